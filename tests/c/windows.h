/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The part of POSIX that check.h and the programs use, on top of Winsock, so that one source runs on both. It is for
 * tests only: a descriptor is a SOCKET in an int, and errno has Winsock's numbers.
 */
#ifndef WINDOWS_H_FOR_TESTS
#define WINDOWS_H_FOR_TESTS

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include <errno.h>
#include <io.h>
#include <limits.h>
#include <process.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef EACCES
#undef EADDRINUSE
#undef EADDRNOTAVAIL
#undef EAFNOSUPPORT
#undef EAGAIN
#undef ECONNREFUSED
#undef ECONNRESET
#undef ETIMEDOUT
#undef EINTR
#undef EMFILE
#undef EPIPE
#undef EWOULDBLOCK
#define EACCES WSAEACCES
#define EADDRINUSE WSAEADDRINUSE
#define EADDRNOTAVAIL WSAEADDRNOTAVAIL
#define EAFNOSUPPORT WSAEAFNOSUPPORT
#define EAGAIN WSAEWOULDBLOCK
#define ECONNREFUSED WSAECONNREFUSED
#define ECONNRESET WSAECONNRESET
#define ETIMEDOUT WSAETIMEDOUT
#define EINTR WSAEINTR
#define EMFILE WSAEMFILE
#define EPIPE WSAECONNABORTED
#define EWOULDBLOCK WSAETIMEDOUT /* another than EAGAIN, for switches; never met */

#define MSG_DONTWAIT 0x40000000
#define MSG_NOSIGNAL 0
#define SHUT_RD SD_RECEIVE
#define SHUT_WR SD_SEND
#define SHUT_RDWR SD_BOTH

/* Notes down Winsock's error, if there is one. */
static inline int posix_result(int result)
{
    if (result == SOCKET_ERROR) errno = WSAGetLastError();
    return result;
}

static inline int posix_socket(int family, int type, int protocol)
{
    return posix_result((int)socket(family, type, protocol));
}

static inline int posix_close(int fd)
{
    return posix_result(closesocket((SOCKET)fd));
}

static inline void posix_block(int fd, int blocking)
{
    u_long on = !blocking;
    ioctlsocket((SOCKET)fd, (long)FIONBIO, &on);
}

static inline ssize_t posix_send(int fd, const void *data, size_t size, int flags)
{
    int result;
    if (size > INT_MAX) size = INT_MAX;
    if (flags & MSG_DONTWAIT) posix_block(fd, 0);
    result = posix_result(send((SOCKET)fd, (const char *)data, (int)size, flags & ~MSG_DONTWAIT));
    if (flags & MSG_DONTWAIT) posix_block(fd, 1);
    return result;
}

static inline ssize_t posix_recv(int fd, void *data, size_t size, int flags)
{
    int result;
    if (size > INT_MAX) size = INT_MAX;
    if (flags & MSG_DONTWAIT) posix_block(fd, 0);
    result = posix_result(recv((SOCKET)fd, (char *)data, (int)size, flags & ~MSG_DONTWAIT));
    if (flags & MSG_DONTWAIT) posix_block(fd, 1);
    return result;
}

static inline int posix_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    DWORD milliseconds;
    if (level == SOL_SOCKET && (name == SO_SNDTIMEO || name == SO_RCVTIMEO)) {
        const struct timeval *time = (const struct timeval *)value;
        milliseconds = (DWORD)(time->tv_sec * 1000 + time->tv_usec / 1000);
        value = &milliseconds;
        length = sizeof milliseconds;
    }
    return posix_result(setsockopt((SOCKET)fd, level, name, (const char *)value, length));
}

static inline int posix_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    return posix_result(getsockopt((SOCKET)fd, level, name, (char *)value, length));
}

static inline int posix_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return posix_result(connect((SOCKET)fd, address, length));
}

static inline int posix_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return posix_result(bind((SOCKET)fd, address, length));
}

static inline int posix_poll(struct pollfd *entries, unsigned count, int timeout)
{
    if (count == 0) return Sleep((DWORD)timeout), 0;
    return posix_result(WSAPoll(entries, count, timeout));
}

#define bind posix_bind
#define close posix_close
#define connect posix_connect
#define getsockopt posix_getsockopt
#define poll posix_poll
#define recv posix_recv
#define send posix_send
#define setsockopt posix_setsockopt
#define socket posix_socket

static inline void *use_a_socket(void *unused)
{
    struct sockaddr_in any;
    int fd;
    memset(&any, 0, sizeof any);
    any.sin_family = AF_INET;
    fd = posix_socket(AF_INET, SOCK_STREAM, 0);
    if (posix_bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || posix_close(fd) != 0) abort();
    return unused;
}

/* Winsock is there from here on, for the programs' own sockets: the library must do so for itself. The first thread and
 * the first socket of each thread bring handles that stay, which are no leak: they are there from here on, too. */
static inline void start_sockets(void)
{
    WSADATA data;
    pthread_t thread;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) abort();
    use_a_socket(NULL);
    if (pthread_create(&thread, NULL, use_a_socket, NULL) != 0 || pthread_join(thread, NULL) != 0) abort();
}

/* What a read says after a RST: Wine shows that as an ordinary end. */
static inline int reset_error(void)
{
    return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") ? 0 : ECONNRESET;
}

/* Runs `program NAME` to its end: its exit status, or -1 if it hangs and had to be ended. */
static inline int run_program(const char *program, const char *name, int64_t limit_ms)
{
    DWORD status = 1;
    intptr_t child = _spawnl(_P_NOWAIT, program, program, name, (const char *)NULL);
    if (child == -1) return perror(program), 1;
    if (WaitForSingleObject((HANDLE)child, (DWORD)limit_ms) == WAIT_TIMEOUT) {
        TerminateProcess((HANDLE)child, 1);
        WaitForSingleObject((HANDLE)child, INFINITE);
        CloseHandle((HANDLE)child);
        return -1;
    }
    GetExitCodeProcess((HANDLE)child, &status);
    CloseHandle((HANDLE)child);
    return (int)status;
}

/* This process' open handles, sockets among them; asked one by one, since Wine does not know their number. */
static inline int count_descriptors(void)
{
    uintptr_t handle;
    DWORD flags;
    int count = 0;
    for (handle = 4; handle < 1 << 14; handle += 4) count += GetHandleInformation((HANDLE)handle, &flags) != 0;
    return count;
}

#endif
