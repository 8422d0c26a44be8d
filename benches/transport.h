/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a load's connections are made of: TCP, or with BENCH_TLS OpenSSL over it. Both fail by ending the load. */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include "load.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef BENCH_TLS

/* Whether something that has come may wait in it although the system has nothing more. */
#define TRANSPORT_BUFFERS false

struct transport {
    int fd;
};

static inline void transport_prepare(void)
{
}

static inline void transport_begin(struct transport *transport, int fd, bool resume)
{
    (void)resume;
    transport->fd = fd;
}

/* Whether sending and receiving may wait; TCP is told each time. */
static inline void transport_may_wait(struct transport *transport, bool may_wait)
{
    (void)transport;
    (void)may_wait;
}

/* How many bytes were taken; -1: none now. */
static inline ssize_t transport_send(struct transport *transport, const void *bytes, size_t length)
{
    ssize_t sent = send(transport->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        fail("send: %s", strerror(errno));
    return sent;
}

/* How many bytes have come, 0 at the end; -1: none now. */
static inline ssize_t transport_receive(struct transport *transport, void *bytes, size_t length, bool may_wait)
{
    ssize_t got = recv(transport->fd, bytes, length, may_wait ? 0 : MSG_DONTWAIT);

    if (got < 0 && errno != EAGAIN)
        fail("recv: %s", strerror(errno));
    return got;
}

/* Ends our side. */
static inline void transport_end(struct transport *transport)
{
    shutdown(transport->fd, SHUT_WR);
}

static inline void transport_close(struct transport *transport)
{
    close(transport->fd);
}

#else

#include <openssl/err.h>
#include <openssl/ssl.h>

#define TRANSPORT_BUFFERS true

struct transport {
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* of the connection before; the next one takes it up if it is to */
    bool resume;
};

static SSL_CTX *transport_context;

static inline void transport_failed(const char *what)
{
    fail("%s: %s, %s", what, ERR_error_string(ERR_get_error(), NULL), strerror(errno));
}

/* BENCH_TLS_VERSION=12 has TLS 1.2 spoken. The server's certificate is not looked at, its signature is. */
static inline void transport_prepare(void)
{
    const char *version = getenv("BENCH_TLS_VERSION");

    signal(SIGPIPE, SIG_IGN);
    transport_context = SSL_CTX_new(TLS_client_method());
    if (transport_context == NULL)
        transport_failed("SSL_CTX_new");
    if (version != NULL && strcmp(version, "12") == 0)
        SSL_CTX_set_max_proto_version(transport_context, TLS1_2_VERSION);
    SSL_CTX_set_mode(transport_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(transport_context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(transport_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_read_ahead(transport_context, 1);
    SSL_CTX_set_default_read_buffer_len(transport_context, 64 * 1024);
}

static inline void transport_may_wait(struct transport *transport, bool may_wait)
{
    int flags = fcntl(transport->fd, F_GETFL);

    fcntl(transport->fd, F_SETFL, may_wait ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* The handshake comes with the first byte that is sent or received. */
static inline void transport_begin(struct transport *transport, int fd, bool resume)
{
    transport->fd = fd;
    transport->resume = resume && transport->session != NULL;
    transport->ssl = SSL_new(transport_context);
    if (transport->ssl == NULL || SSL_set_fd(transport->ssl, fd) != 1 ||
        SSL_set_tlsext_host_name(transport->ssl, "localhost") != 1 ||
        (transport->resume && SSL_set_session(transport->ssl, transport->session) != 1))
        transport_failed("SSL_new");
    SSL_set_connect_state(transport->ssl);
}

/* What a call of OpenSSL's has to say that did nothing: 0 at the end; -1: nothing now. */
static inline ssize_t transport_outcome(struct transport *transport, int result, const char *what)
{
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        transport_failed(what);
        return 0;
    }
}

static inline ssize_t transport_send(struct transport *transport, const void *bytes, size_t length)
{
    int sent;

    ERR_clear_error();
    sent = SSL_write(transport->ssl, bytes, (int)length);
    return sent > 0 ? sent : transport_outcome(transport, sent, "SSL_write");
}

static inline ssize_t transport_receive(struct transport *transport, void *bytes, size_t length, bool may_wait)
{
    int got;

    ERR_clear_error();
    got = SSL_read(transport->ssl, bytes, (int)length);
    (void)may_wait;
    return got > 0 ? got : transport_outcome(transport, got, "SSL_read");
}

/* By now the server's tickets have come. */
static inline void transport_end(struct transport *transport)
{
    if (transport->resume && !SSL_session_reused(transport->ssl))
        fail("the server does not resume a session");
    SSL_SESSION_free(transport->session);
    transport->session = SSL_SESSION_dup(SSL_get0_session(transport->ssl)); /* SSL_free spoils the other */
    SSL_shutdown(transport->ssl);
    shutdown(transport->fd, SHUT_WR);
}

static inline void transport_close(struct transport *transport)
{
    SSL_free(transport->ssl);
    close(transport->fd);
}

#endif
#endif
