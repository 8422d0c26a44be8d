/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A server that is replaced while it serves, without losing a connection: start the new one beside the old one.
 *
 *     build/handover /tmp/handover.sock 7000 &        then:  nc 127.0.0.1 7000
 *     build/handover /tmp/handover.sock               takes the port over; the first one ends when it has served its clients
 *
 * Each waits at a Unix-domain socket for its successor and hands the listening socket over there (SCM_RIGHTS). For a moment both
 * accept from it, so that nobody is turned away; then the old one drains.
 */
#define _XOPEN_SOURCE 700
#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static ss_server *server, *control; /* what clients connect to, and what the successor does */

static int fail(const char *what)
{
    fprintf(stderr, "handover: %s: %s\n", what, ss_last_error_detail());
    return EXIT_FAILURE;
}

/* A client gets one line: which process serves it. */
static void on_client(ss_event *event, void *user_data)
{
    char line[64];
    int length = snprintf(line, sizeof line, "served by %ld\n", (long)getpid());

    (void)user_data;
    ss_socket_write_bytes(ss_event_socket(event), line, (size_t)length);
    /* Not retained: closed when this returns, after all of the line is sent. */
}

/* The message with a descriptor in it: made the same way for sending and for receiving. */
union room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void prepare(struct msghdr *message, struct iovec *part, union room *room, char *byte)
{
    memset(message, 0, sizeof *message);
    memset(room, 0, sizeof *room);
    part->iov_base = byte;
    part->iov_len = 1;
    message->msg_iov = part;
    message->msg_iovlen = 1;
    message->msg_control = room->bytes;
    message->msg_controllen = sizeof room->bytes;
}

/* A successor has come: it is sent the listening socket. */
static void hand_over(ss_socket *successor)
{
    struct msghdr message;
    struct iovec part;
    union room room;
    struct cmsghdr *header;
    int64_t listening, peer;
    char byte = 0;
    int fd;

    if (ss_native_handle(server, &listening) != SS_OK || ss_native_handle(successor, &peer) != SS_OK)
        return;
    prepare(&message, &part, &room, &byte);
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    fd = (int)listening;
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg((int)peer, &message, 0) == 1)
        ss_socket_keep(successor);
}

/* It says that it serves. What is accepted here already is served to its end. */
static void on_serving(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_close(control); /* the path is free for the successor */
    ss_drain(server, 30000);
    ss_socket_close((ss_socket *)ss_event_target(event));
}

static void on_successor(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_add_listener(ss_event_socket(event), SS_EVENT_SOCKET_DATA, on_serving, NULL, false, 0);
    hand_over(ss_event_socket(event));
}

static void on_drained(ss_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    ss_loop_stop(NULL);
}

/* Asks the process that waits at the path for its listening socket; -1: nobody is there. */
static int ask_predecessor(const char *path, int *connection)
{
    struct sockaddr_un address;
    struct msghdr message;
    struct iovec part;
    union room room;
    char byte;
    int fd = -1;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    *connection = socket(AF_UNIX, SOCK_STREAM, 0);
    if (*connection < 0 || connect(*connection, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    prepare(&message, &part, &room, &byte);
    if (recvmsg(*connection, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/* The path is free as soon as the old one has closed its end of it. */
static void wait_at(ss_event *event, void *path)
{
    (void)event;
    if (ss_bind_path(control, path) != SS_OK || ss_listen(control, 0) != SS_OK)
        fail("no successor can come");
}

int main(int argc, char **argv)
{
    int connection, fd;

    if (argc < 2) {
        fprintf(stderr, "usage: handover PATH [PORT]\n");
        return EXIT_FAILURE;
    }
    server = ss_new(NULL);
    control = ss_new(NULL);
    ss_add_listener(server, SS_EVENT_CONNECT, on_client, NULL, false, 0);
    ss_add_listener(server, SS_EVENT_CLOSE, on_drained, NULL, false, 0);
    ss_add_listener(control, SS_EVENT_CONNECT, on_successor, NULL, false, 0);
    fd = ask_predecessor(argv[1], &connection);
    if (fd >= 0) {
        ss_socket *predecessor = ss_socket_new(NULL);

        if (ss_adopt(server, fd, true) != SS_OK || ss_socket_adopt(predecessor, connection) != SS_OK)
            return fail("cannot take over");
        ss_add_listener(predecessor, SS_EVENT_CLOSE, wait_at, argv[1], false, 0);
        ss_socket_write_byte(predecessor, '!');
    } else {
        close(connection);
        if (ss_bind(server, argc > 2 ? atoi(argv[2]) : 7000, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
            return fail("cannot listen");
        wait_at(NULL, argv[1]);
    }
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);
    if (ss_loop_run(NULL) != SS_OK)
        return fail("cannot go on");
    ss_release(server);
    ss_release(control);
    return EXIT_SUCCESS;
}
