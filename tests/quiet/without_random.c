/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A sandbox in which the system gives no random numbers, neither by getrandom nor from /dev/urandom: whatever the library
 * draws them for must do without, and nobody is to read of it. The program prints nothing unless a check fails. */
#include "../c/check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

/* From here on these system calls fail. */
static void deny_random_numbers(void)
{
    static const int denied[] = {
        __NR_getrandom,
        __NR_openat,
#ifdef __NR_open
        __NR_open,
#endif
    };
    struct sock_filter program[3 * COUNT_OF(denied) + 2];
    struct sock_fprog filter;
    size_t i, length = 0;
    struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[length++] = load;
    for (i = 0; i < COUNT_OF(denied); ++i) {
        struct sock_filter compare = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)denied[i], 0, 1);
        program[length++] = compare;
        program[length++] = refuse;
    }
    program[length++] = allow;
    filter.len = (unsigned short)length;
    filter.filter = program;
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
    CHECK_EQ(open("/dev/urandom", O_RDONLY), -1);
}

static void *serve_somebody(void *user_data)
{
    ss_loop *loop = new_loop();
    ss_server *server = new_listening_server(loop);
    ss_socket *out = ss_socket_new(loop), *socket;
    ss_value *value = ss_value_new(SS_VALUE_OBJECT), *read = NULL;
    int fd, errors = 0, connects = 0;
    (void)user_data;

    socket = accept_client(loop, server, &fd);
    CHECK_OK(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false, 0));
    client_check_echo(loop, fd, 100000);
    CHECK_OK(ss_remove_listener(socket, SS_EVENT_SOCKET_DATA, echo_data, NULL, false));
    CHECK_OK(ss_value_set_string(ss_value_add_property(value, "name"), "value"));
    CHECK_OK(ss_socket_connect(out, "127.0.0.1", ss_local_port(server)));
    CHECK_OK(ss_add_listener(out, SS_EVENT_CONNECT, count_event, &connects, false, 0));
    CHECK_OK(ss_add_listener(out, SS_EVENT_IO_ERROR, count_event, &errors, false, 0));
    CHECK_OK(ss_release(socket));
    socket = NULL;
    CHECK_OK(ss_add_listener(server, SS_EVENT_CONNECT, keep_socket, &socket, false, 0));
    PUMP_UNTIL(loop, connects == 1 && socket != NULL);
    CHECK_OK(ss_socket_write_object(out, value));
    while (ss_socket_read_object(socket, &read) == SS_ERR_EOF) CHECK_OK(ss_loop_poll(loop, 10, NULL));
    CHECK_TEXT(ss_value_bytes(ss_value_property(read, "name"), NULL), "value");

    /* Without files a name cannot be looked up: an ioError, or it is known all the same. */
    CHECK_OK(ss_socket_connect(out, "localhost", ss_local_port(server)));
    PUMP_UNTIL(loop, errors + connects == 2);
    CHECK(ss_last_status() != SS_ERR_PANIC);
    CHECK_OK(ss_release(read));
    CHECK_OK(ss_release(value));
    CHECK_OK(ss_release(loop));
    CHECK_EQ(close(fd), 0);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    deny_random_numbers();
    serve_somebody(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, serve_somebody, NULL), 0); /* seeds are a thread's own */
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return 0;
}
