/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A chat's guests, as chat_server.c and secure_chat.c have them: each line that one sends goes to everybody else. */
#ifndef CHAT_H
#define CHAT_H

#include <server_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program; /* for messages */

enum {
    LONGEST_LINE = 1024,         /* without the newline; who sends more is shown out */
    LONGEST_NAME = 32,           /* "guest 4294967295: " */
    MOST_PENDING = 1024 * 1024   /* unsent bytes per guest; who is further behind is dropped */
};

/* One guest. The socket's user data points here, and its destructor frees it. */
typedef struct guest {
    ss_socket *socket; /* our reference, given back in leave() */
    unsigned number;
    struct guest *previous, *next;
} guest;

static guest *guests; /* everybody who is here */
static unsigned guest_count, last_number;

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program, what, ss_last_error_detail());
    return EXIT_FAILURE;
}

static void enter(guest *who)
{
    who->next = guests;
    if (guests != NULL)
        guests->previous = who;
    guests = who;
    guest_count++;
}

/* Takes the guest off the list and gives its reference back. The library then destroys the socket
 * and calls the destructor of its user data, but never under a running listener: until the
 * listener has returned, `who` may still be looked at. */
static void leave(guest *who)
{
    if (who->previous != NULL)
        who->previous->next = who->next;
    else
        guests = who->next;
    if (who->next != NULL)
        who->next->previous = who->previous;
    guest_count--;
    ss_release(who->socket);
}

/* Ends the connection at once. A close event comes only when the other side ends it, so leave()
 * is ours to call. That abort fails can only mean that the connection is over already. */
static void drop(guest *who, const char *why)
{
    fprintf(stderr, "%s: guest %u is dropped: %s\n", program, who->number, why);
    ss_socket_abort(who->socket);
    leave(who);
}

static bool is_behind(const guest *who, size_t length)
{
    return ss_socket_bytes_pending(who->socket) + length > MOST_PENDING;
}

/* Sends without ever waiting. What the guest's connection does not take now is kept in memory by
 * the library; were there no bound here, one sleeping guest could eat up all of it. */
static void send_to(guest *who, const char *text, size_t length)
{
    /* Written bytes leave when the listener returns. A full guest may just not have had the chance
     * to take them, so offer them before judging. */
    if (is_behind(who, length) && ss_socket_flush(who->socket) != SS_OK)
        drop(who, ss_last_error_detail());
    else if (is_behind(who, length))
        drop(who, "does not read");
    else if (ss_socket_write_bytes(who->socket, text, length) != SS_OK)
        drop(who, ss_last_error_detail());
}

static void broadcast(const guest *from, const char *line, size_t length)
{
    char text[LONGEST_NAME + LONGEST_LINE + 1];
    size_t used = (size_t)snprintf(text, LONGEST_NAME, "guest %u: ", from->number);
    guest *who, *next;

    memcpy(text + used, line, length);
    used += length;
    text[used++] = '\n';
    for (who = guests; who != NULL; who = next) {
        next = who->next; /* now: sending may take `who` off the list */
        if (who != from)
            send_to(who, text, used);
    }
}

/* A stream has no lines: an event may bring half of one, or a hundred. Whole lines are used and
 * skipped; the rest stays unread in the socket, which is our buffer for it. */
static void on_data(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_target(event);
    guest *from = ss_user_data(socket);
    size_t length = 0, used = 0;
    const char *bytes = (const char *)ss_socket_peek(socket, &length);

    (void)user_data;
    while (used < length) {
        const char *line = bytes + used;
        const char *end = memchr(line, '\n', length - used);
        size_t line_length = end != NULL ? (size_t)(end - line) : length - used;

        if (line_length > LONGEST_LINE) {
            drop(from, "line too long");
            return;
        }
        if (end == NULL)
            break;
        used += line_length + 1;
        if (line_length > 0 && line[line_length - 1] == '\r')
            line_length--;
        broadcast(from, line, line_length);
    }
    if (ss_socket_skip(socket, used) != SS_OK)
        drop(from, ss_last_error_detail());
}

static void on_close(ss_event *event, void *user_data)
{
    (void)user_data;
    leave(ss_user_data(ss_event_target(event)));
}

static void on_connect(ss_event *event, void *user_data)
{
    ss_socket *socket = ss_event_socket(event);
    guest *who = calloc(1, sizeof *who);
    char text[80];
    int length;

    (void)user_data;
    if (who == NULL) {
        fprintf(stderr, "%s: no memory for a guest\n", program);
        return; /* a socket that nobody retained is closed now */
    }
    if (ss_set_user_data(socket, who, free) != SS_OK) {
        fail("cannot welcome a guest");
        free(who);
        return;
    }
    /* From here on `who` belongs to the socket and goes with it, also on the failures below. */
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, on_data, NULL, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_CLOSE, on_close, NULL, false, 0) != SS_OK ||
        ss_retain(socket) != SS_OK) {
        fail("cannot welcome a guest");
        return;
    }
    who->socket = socket;
    who->number = ++last_number;
    length = snprintf(text, sizeof text, "Welcome, you are guest %u. Others here: %u.\n",
                      who->number, guest_count);
    enter(who);
    send_to(who, text, (size_t)length);
}

/* What the library has to say: lost connections, shortages, and hints at what is hardly meant. */
static void on_log(int32_t level, const char *message, void *user_data)
{
    const char *kind = level == SS_LOG_ERROR ? "error" : level == SS_LOG_WARNING ? "warning" : "hint";

    (void)user_data;
    fprintf(stderr, "%s: %s: %s\n", program, kind, message);
}

/* Lets guests in, and goes on until it cannot. */
static int serve(ss_server *server, int port)
{
    if (ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0) != SS_OK ||
        ss_bind(server, port, "127.0.0.1") != SS_OK || ss_listen(server, 0) != SS_OK)
        return fail("cannot start");
    printf("listening on %s:%d\n", ss_local_address(server), (int)ss_local_port(server));
    fflush(stdout);

    if (ss_loop_run(NULL) != SS_OK)
        return fail("cannot go on");
    ss_release(server);
    return EXIT_SUCCESS;
}

#endif
