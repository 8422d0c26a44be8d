/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libevent, with its buffered connections (bufferevent) and its listener, as its book has them; with BENCH_TLS over OpenSSL. */
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static enum mode mode;

#ifdef BENCH_TLS
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

static SSL_CTX *tls;

static void prepare(void)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, getenv("BENCH_CERTIFICATE")) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, getenv("BENCH_KEY"), SSL_FILETYPE_PEM) != 1)
        peer_failed("libevent", "the certificate and its key");
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS); /* an idle connection keeps none */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF); /* tickets need none */
}

static struct bufferevent *buffered(struct event_base *base, evutil_socket_t fd)
{
    struct bufferevent *made =
        bufferevent_openssl_socket_new(base, fd, SSL_new(tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

    if (made != NULL)
        bufferevent_openssl_set_allow_dirty_shutdown(made, 1);
    return made;
}
#else
static void prepare(void)
{
}

static struct bufferevent *buffered(struct event_base *base, evutil_socket_t fd)
{
    return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
}
#endif

static void on_data(struct bufferevent *connection, void *context)
{
    struct evbuffer *input = bufferevent_get_input(connection);

    (void)context;
    if (mode == MODE_ECHO)
        evbuffer_add_buffer(bufferevent_get_output(connection), input); /* moves it, without a copy */
    else
        evbuffer_drain(input, evbuffer_get_length(input));
}

/* A source: the output has run empty. */
static void emit(struct bufferevent *connection, void *context)
{
    (void)context;
    for (int i = 0; i < 4; i++)
        evbuffer_add_reference(bufferevent_get_output(connection), pattern, CHUNK, NULL, NULL);
}

static void on_end(struct bufferevent *connection, short what, void *context)
{
    (void)context;
    if (!(what & BEV_EVENT_CONNECTED)) /* a handshake is done */
        bufferevent_free(connection);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
                          void *context)
{
    struct bufferevent *connection;

    (void)peer;
    (void)length;
    (void)context;
    if (mode == MODE_DISCARD) {
        evutil_closesocket(fd);
        return;
    }
    connection = buffered(evconnlistener_get_base(listener), fd);
    if (connection == NULL)
        peer_failed("libevent", "out of memory");
    bufferevent_set_max_single_read(connection, READ_SIZE);
    bufferevent_set_max_single_write(connection, READ_SIZE);
    bufferevent_setcb(connection, on_data, mode == MODE_SOURCE ? emit : NULL, on_end, NULL);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
    if (mode == MODE_SOURCE)
        emit(connection, NULL);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct event_base *base = event_base_new();
    struct evconnlistener *listener;
    int port, one = 1;

    mode = peer_begin(argc, argv, &port);
    prepare();
    address.sin_port = htons((uint16_t)port);
    listener = evconnlistener_new_bind(base, on_connection, NULL,
                                       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
                                       (struct sockaddr *)&address, sizeof address);
    if (listener == NULL)
        peer_failed("libevent", "cannot listen");
    /* Accepted sockets inherit it. */
    setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
    peer_listens(ntohs(address.sin_port));
    return event_base_dispatch(base);
}
