/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A process forks while a thread of its makes the first loop of all, with a name look-up. The child makes a loop, too. Each round
 * in a process of its own, which has not used the library before. Most rounds say nothing: it takes many. */
#define _GNU_SOURCE
#include <server_socket.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 600, TOO_LONG = 10 };

static pthread_barrier_t barrier;

static void use(void)
{
    ss_loop *loop = ss_loop_new();
    ss_socket *socket = ss_socket_new(loop);
    if (loop == NULL || socket == NULL || ss_socket_connect(socket, "localhost", 1) != SS_OK)
        _exit(3);
    ss_loop_poll(loop, 0, NULL);
    ss_release(loop);
}

static void *use_on_thread(void *unused)
{
    pthread_barrier_wait(&barrier);
    use();
    return unused;
}

/* The child of this process is the one that matters. */
static int round_of(int number)
{
    pthread_t thread;
    if (pthread_barrier_init(&barrier, NULL, 2) != 0 || pthread_create(&thread, NULL, use_on_thread, NULL) != 0)
        return 4;
    pthread_barrier_wait(&barrier);
    for (volatile int i = 0; i < number * 50; i++)
        ;
    pid_t child = fork();
    if (child == 0) {
        alarm(TOO_LONG);
        use();
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 5;
    pthread_join(thread, NULL);
    return status == 0 ? 0 : 1;
}

int main(void)
{
    int hung = 0;
    for (int number = 0; number < ROUNDS && hung == 0; number++) {
        pid_t process = fork();
        if (process == 0)
            _exit(round_of(number));
        int status = 0;
        if (process < 0 || waitpid(process, &status, 0) != process)
            return 2;
        if (status != 0) {
            printf("round %d: status %d\n", number, status);
            hung++;
        }
    }
    return hung;
}
