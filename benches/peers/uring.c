/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* io_uring by hand, one thread: completions instead of readiness, and one system call for all that is under way.
 *
 * One request accepts all peers, one for each connection receives all that comes, into buffers that the system takes from
 * a ring. An echo is sent straight from the buffer that it came in, one send of a connection at a time, and the buffer goes
 * back to the ring when that is done. When the ring is empty, receiving rests until buffers come back; peers that do not
 * read can hold all of them, which is good enough for measuring and for nothing else.
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES 4096
#ifndef BUFFERS
#define BUFFERS 256 /* a power of two, below NONE */
#define BUFFER_SIZE (64 * 1024)
#endif
#define GROUP 0
#define NONE 0xffff /* no buffer */

/* What a completion is about; in its user_data, with the descriptor. */
enum what { ACCEPTED, RECEIVED, SENT, CLOSED };

struct connection {
    uint16_t first, last; /* the buffers that are to be sent back */
    bool receiving, sending;
    bool ended; /* by the peer, or broken */
    bool waits; /* for a buffer */
};

static struct connection *connections; /* by descriptor */
static struct { uint32_t start, end; uint16_t next; } held[BUFFERS]; /* what is in a buffer that is not the ring's */
static struct io_uring ring;
static struct io_uring_buf_ring *spare;
static uint8_t *buffers;
static enum mode mode;
static int *waiting, waiting_count, listener; /* connections that wait for a buffer */

static struct io_uring_sqe *request(enum what what, int fd)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (sqe == NULL) { /* there are many: hand them over now */
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    io_uring_sqe_set_data64(sqe, (uint64_t)fd << 2 | what);
    return sqe;
}

static void request_accept(void)
{
    io_uring_prep_multishot_accept(request(ACCEPTED, listener), listener, NULL, NULL, SOCK_CLOEXEC);
}

static void receive(int fd)
{
    struct io_uring_sqe *sqe = request(RECEIVED, fd);

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    connections[fd].receiving = true;
}

static void give_back(uint16_t buffer)
{
    io_uring_buf_ring_add(spare, buffers + (size_t)buffer * BUFFER_SIZE, BUFFER_SIZE, buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(spare, 1);
    if (waiting_count > 0) {
        int fd = waiting[--waiting_count];
        connections[fd].waits = false;
        receive(fd);
    }
}

static void send_first(int fd)
{
    uint16_t buffer = connections[fd].first;

    connections[fd].sending = true;
    io_uring_prep_send(request(SENT, fd), fd, buffers + (size_t)buffer * BUFFER_SIZE + held[buffer].start,
                       held[buffer].end - held[buffer].start, MSG_WAITALL | MSG_NOSIGNAL);
}

static void emit(int fd)
{
    connections[fd].sending = true;
    io_uring_prep_send(request(SENT, fd), fd, pattern, CHUNK, MSG_WAITALL | MSG_NOSIGNAL);
}

/* Closes a connection that has ended and is not waited for any more. */
static void end(int fd)
{
    struct connection *connection = &connections[fd];

    if (connection->ended && !connection->receiving && !connection->sending && !connection->waits)
        io_uring_prep_close(request(CLOSED, fd), fd);
}

static void accepted(int fd, uint32_t flags)
{
    if (!(flags & IORING_CQE_F_MORE))
        request_accept();
    if (fd < 0) {
        fprintf(stderr, "accept: %s\n", strerror(-fd));
        return;
    }
    connections[fd] = (struct connection){.first = NONE, .last = NONE};
    if (mode == MODE_DISCARD) {
        io_uring_prep_close(request(CLOSED, fd), fd);
        return;
    }
    receive(fd);
    if (mode == MODE_SOURCE)
        emit(fd);
}

static void keep(int fd, uint16_t buffer, uint32_t length)
{
    struct connection *connection = &connections[fd];

    held[buffer].start = 0;
    held[buffer].end = length;
    held[buffer].next = NONE;
    if (connection->first == NONE)
        connection->first = buffer;
    else
        held[connection->last].next = buffer;
    connection->last = buffer;
}

static void received(int fd, int result, uint32_t flags)
{
    struct connection *connection = &connections[fd];

    connection->receiving = flags & IORING_CQE_F_MORE;
    if (result > 0) {
        uint16_t buffer = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (mode == MODE_ECHO) {
            keep(fd, buffer, (uint32_t)result);
            if (!connection->sending)
                send_first(fd);
        } else {
            give_back(buffer);
        }
        if (!connection->receiving)
            receive(fd);
    } else if (result == -ENOBUFS) {
        connection->waits = true;
        waiting[waiting_count++] = fd;
    } else {
        connection->ended = true;
        end(fd);
    }
}

static void sent(int fd, int result)
{
    struct connection *connection = &connections[fd];

    connection->sending = false;
    connection->ended |= result < 0;
    if (mode == MODE_SOURCE) {
        if (result == CHUNK && !connection->ended)
            emit(fd);
    } else {
        uint16_t buffer = connection->first;
        if (result > 0)
            held[buffer].start += (uint32_t)result;
        if (result < 0 || held[buffer].start == held[buffer].end) {
            connection->first = held[buffer].next;
            give_back(buffer);
        }
        if (connection->first != NONE)
            send_first(fd);
    }
    end(fd);
}

static void serve(const struct io_uring_cqe *cqe)
{
    int fd = (int)(cqe->user_data >> 2);

    switch ((enum what)(cqe->user_data & 3)) {
    case ACCEPTED: accepted(cqe->res, cqe->flags); break;
    case RECEIVED: received(fd, cqe->res, cqe->flags); break;
    case SENT: sent(fd, cqe->res); break;
    case CLOSED: break;
    }
}

static void *pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        peer_failed("uring", "out of memory");
    return memory;
}

static void set_up(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 4 * ENTRIES,
    };
    struct io_uring_buf_reg group = {.ring_entries = BUFFERS, .bgid = GROUP};
    int error = io_uring_queue_init_params(ENTRIES, &ring, &parameters);

    if (error != 0)
        peer_failed("io_uring_queue_init", strerror(-error));
    buffers = pages((size_t)BUFFERS * BUFFER_SIZE);
    spare = pages(BUFFERS * sizeof(struct io_uring_buf));
    group.ring_addr = (uint64_t)(uintptr_t)spare;
    error = io_uring_register_buf_ring(&ring, &group, 0);
    if (error != 0)
        peer_failed("io_uring_register_buf_ring", strerror(-error));
    io_uring_buf_ring_init(spare);
    for (int i = 0; i < BUFFERS; i++)
        give_back((uint16_t)i);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct rlimit limit;
    int port, one = 1;

    mode = peer_begin(argc, argv, &port);
    address.sin_port = htons((uint16_t)port);
    getrlimit(RLIMIT_NOFILE, &limit);
    connections = calloc(limit.rlim_cur, sizeof *connections);
    waiting = calloc(limit.rlim_cur, sizeof *waiting);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
    if (connections == NULL || waiting == NULL || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, BACKLOG) != 0)
        peer_failed("uring", strerror(errno));
    set_up();
    request_accept();
    getsockname(listener, (struct sockaddr *)&address, &length);
    peer_listens(ntohs(address.sin_port));

    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe) {
            serve(cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
