/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The library through dlopen.
 *
 *     copies reload LIBRARY [TIMES]     loads, talks, leaves sockets open, unloads, TIMES times
 *     copies two LIBRARY COPY           two copies at once
 */
#define _GNU_SOURCE /* for dlfcn.h's RTLD_NOLOAD, and dirent */

#include "server_socket.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

#define CHECK(condition)      \
    do {                      \
        if (!(condition))     \
            fail(#condition); \
    } while (0)

/* The functions of one copy. */
typedef struct {
    void *library;
    ss_loop *(*loop_new)(void);
    ss_loop *(*loop_default)(void);
    ss_status (*loop_poll)(ss_loop *, int32_t, uint32_t *);
    ss_server *(*server_new)(ss_loop *);
    ss_status (*bind)(ss_server *, int32_t, const char *);
    ss_status (*listen)(ss_server *, int32_t);
    int32_t (*local_port)(ss_server *);
    ss_status (*retain)(ss_object *);
    ss_status (*release)(ss_object *);
    ss_status (*add_listener)(ss_object *, const char *, ss_listener, void *, bool, int32_t);
    ss_object *(*event_target)(ss_event *);
    ss_socket *(*event_socket)(ss_event *);
    size_t (*read)(ss_socket *, void *, size_t);
    ss_status (*write)(ss_socket *, const void *, size_t);
    ss_status (*connect)(ss_socket *, const char *, int32_t);
    ss_socket *(*socket_new)(ss_loop *);
    int heard;
} copy;

/* A function by its name. The detour is how POSIX has a pointer to data become one to a function. */
static void find(copy *self, const char *name, void *function)
{
    void *found = dlsym(self->library, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void load(copy *self, const char *path)
{
    memset(self, 0, sizeof *self);
    self->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (self->library == NULL)
        fail(dlerror());
    find(self, "ss_loop_new", &self->loop_new);
    find(self, "ss_loop_default", &self->loop_default);
    find(self, "ss_loop_poll", &self->loop_poll);
    find(self, "ss_new", &self->server_new);
    find(self, "ss_bind", &self->bind);
    find(self, "ss_listen", &self->listen);
    find(self, "ss_local_port", &self->local_port);
    find(self, "ss_retain", &self->retain);
    find(self, "ss_release", &self->release);
    find(self, "ss_add_listener", &self->add_listener);
    find(self, "ss_event_target", &self->event_target);
    find(self, "ss_event_socket", &self->event_socket);
    find(self, "ss_socket_read", &self->read);
    find(self, "ss_socket_write_bytes", &self->write);
    find(self, "ss_socket_connect", &self->connect);
    find(self, "ss_socket_new", &self->socket_new);
}

static void on_data(ss_event *event, void *user_data)
{
    copy *self = (copy *)user_data;
    char bytes[64];
    ss_socket *socket = (ss_socket *)self->event_target(event);
    size_t length = self->read(socket, bytes, sizeof bytes);

    self->heard++;
    CHECK(self->write(socket, bytes, length) == SS_OK);
}

static void on_connect(ss_event *event, void *user_data)
{
    copy *self = (copy *)user_data;
    ss_socket *socket = self->event_socket(event);

    CHECK(self->retain(socket) == SS_OK);
    CHECK(self->add_listener(socket, "socketData", on_data, self, false, 0) == SS_OK);
}

static ss_server *serve(copy *self, ss_loop *loop)
{
    ss_server *server = self->server_new(loop);

    CHECK(server != NULL);
    CHECK(self->add_listener(server, "connect", on_connect, self, false, 0) == SS_OK);
    CHECK(self->bind(server, 0, "127.0.0.1") == SS_OK && self->listen(server, 0) == SS_OK);
    return server;
}

/* A client, non-blocking. */
static int client_of(copy *self, ss_server *server)
{
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)self->local_port(server));
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void converse(copy *self, ss_loop *loop, int client)
{
    char answer[8];
    ssize_t length = -1;
    int turns;

    CHECK(send(client, "ping", 4, MSG_NOSIGNAL) == 4);
    for (turns = 0; turns < 5000 && length < 0; turns++) {
        CHECK(self->loop_poll(loop, 1, NULL) == SS_OK);
        length = recv(client, answer, sizeof answer, MSG_DONTWAIT);
    }
    CHECK(length == 4 && memcmp(answer, "ping", 4) == 0);
}

static int count(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int entries = 0;

    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL)
        entries += entry->d_name[0] != '.';
    closedir(directory);
    return entries;
}

/* The host gives back what it made, and the copy goes; what is open then is live sockets. */
static void reload(const char *path, int times)
{
    int descriptors = 0, threads = 0, round;

    for (round = 0; round <= times; round++) {
        copy self;
        ss_loop *loop;
        ss_server *server, *other;
        int clients[2];

        load(&self, path);
        loop = self.loop_new();
        server = serve(&self, loop);
        other = serve(&self, NULL); /* on the thread's own loop, which nobody ends */
        clients[0] = client_of(&self, server);
        clients[1] = client_of(&self, other);
        converse(&self, loop, clients[0]);
        converse(&self, NULL, clients[1]);
        CHECK(self.heard == 2);
        CHECK(self.release(loop) == SS_OK);
        CHECK(self.release(other) == SS_OK);
        CHECK(dlclose(self.library) == 0);
        close(clients[0]);
        close(clients[1]);
        if (round == 0) {
            descriptors = count("/proc/self/fd");
            threads = count("/proc/self/task");
        }
    }
    printf("after %d rounds: descriptors %d -> %d, threads %d -> %d\n", times, descriptors, count("/proc/self/fd"), threads,
           count("/proc/self/task"));
    CHECK(count("/proc/self/task") == threads);
    CHECK(count("/proc/self/fd") <= descriptors + 2);
}

static void two(const char *path, const char *copy_path)
{
    copy first, second;
    ss_loop *loops[2];
    ss_server *servers[2];
    int clients[2], round;

    load(&first, path);
    load(&second, copy_path);
    CHECK(first.library != second.library);
    loops[0] = first.loop_new();
    loops[1] = second.loop_new();
    servers[0] = serve(&first, loops[0]);
    servers[1] = serve(&second, loops[1]);
    clients[0] = client_of(&first, servers[0]);
    clients[1] = client_of(&second, servers[1]);
    for (round = 0; round < 100; round++) {
        converse(&first, loops[0], clients[0]);
        converse(&second, loops[1], clients[1]);
    }
    CHECK(first.heard == 100 && second.heard == 100);
    /* A handle of one is garbage to the other. */
    CHECK(first.retain(servers[1]) == SS_ERR_HANDLE && second.retain(servers[0]) == SS_ERR_HANDLE);
    CHECK(first.loop_poll(loops[1], 0, NULL) == SS_ERR_HANDLE && second.loop_poll(loops[0], 0, NULL) == SS_ERR_HANDLE);
    CHECK(first.loop_default() != second.loop_default());
    /* One goes, the other stays. */
    CHECK(first.release(servers[0]) == SS_OK && first.release(loops[0]) == SS_OK);
    CHECK(dlclose(first.library) == 0);
    converse(&second, loops[1], clients[1]);
    CHECK(second.release(loops[1]) == SS_OK);
    CHECK(dlclose(second.library) == 0);
    close(clients[0]);
    close(clients[1]);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    if (strcmp(argv[1], "reload") == 0)
        reload(argv[2], argc > 3 ? atoi(argv[3]) : 100);
    else
        two(argv[2], argv[3]);
    return 0;
}
