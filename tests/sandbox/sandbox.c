/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A sandbox that allows the system calls of docs/EMBEDDING.md and refuses all others: a server and a client of the library's
 * in it. What the library logs is printed, and fails the test. */
#include "../c/check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

/* What the documents list, written by the test. */
#include "allowed.h"

/* The program's own. */
static const int own[] = {__NR_exit_group};

static void enter_sandbox(int names)
{
    struct sock_filter program[256];
    struct sock_fprog filter;
    struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const int *lists[] = {allowed, allowed_for_names, own};
    const size_t lengths[] = {COUNT_OF(allowed), names ? COUNT_OF(allowed_for_names) : 0, COUNT_OF(own)};
    size_t list, i, length = 0;

    program[length++] = load;
    for (list = 0; list < COUNT_OF(lists); ++list) {
        for (i = 0; i < lengths[list]; ++i) {
            struct sock_filter compare = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)lists[list][i], 0, 1);
            program[length++] = compare;
            program[length++] = allow;
        }
    }
    program[length++] = refuse;
    filter.len = (unsigned short)length;
    filter.filter = program;
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
    CHECK_EQ(open("/dev/null", O_RDONLY), names ? 3 : -1);
}

static void say(int level, const char *message, void *user_data)
{
    (void)level;
    (void)user_data;
    /* A call was refused: which one, it says. */
    if (write(2, message, strlen(message)) > 0)
        _exit(1);
}

/* Serves one peer, until that has gone. */
static void serve(void)
{
    char text[16];
    ss_server *server = ss_new(NULL);
    ss_socket *socket = NULL;

    CHECK_OK(ss_set_option(server, SS_OPT_KEEP_ALIVE, 60));
    CHECK_OK(ss_bind(server, 0, "127.0.0.1"));
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    CHECK_OK(ss_listen(server, 0));
    snprintf(text, sizeof text, "%d\n", ss_local_port(server));
    CHECK(write(1, text, strlen(text)) > 0);
    PUMP_UNTIL(NULL, socket != NULL);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    CHECK_OK(ss_close(server));
    CHECK_OK(ss_loop_run(NULL)); /* until the peer has closed */
    CHECK_OK(ss_release(socket));
    CHECK_OK(ss_release(server));
}

/* Connects to an echo server, by name or by address, and has a conversation. */
static void call(const char *host, int port)
{
    ss_socket *socket = ss_socket_new(NULL);
    int connects = 0;

    CHECK_OK(ss_set_option(socket, SS_OPT_KEEP_ALIVE, 60));
    CHECK_OK(ss_add_listener(socket, SS_EVENT_CONNECT, count_event, &connects, false, 0));
    CHECK_OK(ss_socket_connect(socket, host, port));
    PUMP_UNTIL(NULL, connects == 1);
    CHECK_OK(ss_socket_write_bytes(socket, "there and back", 14));
    PUMP_UNTIL(NULL, ss_socket_bytes_available(socket) == 14);
    CHECK_OK(ss_socket_close(socket));
    CHECK_OK(ss_loop_run(NULL));
    CHECK_OK(ss_release(socket));
}

int main(int argc, char **argv)
{
    CHECK(argc == 2 || argc == 3);
    CHECK_OK(ss_set_log(say, NULL));
    enter_sandbox(!strcmp(argv[1], "localhost"));
    if (argc == 2)
        serve();
    else
        call(argv[1], atoi(argv[2]));
    return 0;
}
