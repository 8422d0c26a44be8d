/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// The echo server in C++11: references are held by guards, failures are exceptions on our side and
// statuses at the library's.
//
//     build/echo_server_cpp [port; 0 = any, default 7000]       then:  nc 127.0.0.1 7000
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <server_socket.h>
#include <stdexcept>
#include <string>

// A reference to an object of the library, given back when the guard goes.
struct Release {
    void operator()(ss_object *object) const noexcept { ss_release(object); }
};
template <typename Object>
using Ref = std::unique_ptr<Object, Release>;

[[noreturn]] static void fail(const char *what)
{
    throw std::runtime_error(std::string(what) + ": " + ss_last_error_detail());
}

static void check(ss_status status, const char *what)
{
    if (status != SS_OK)
        fail(what);
}

constexpr std::size_t most_pending = 1000000; // unsent bytes of one connection

// noexcept: what is thrown in a listener would leave ss_loop_run, and end the server.
extern "C" {

// Bytes came in, or waiting output went out: send back what is unread.
static void echo(ss_event *event, void *) noexcept
{
    auto *socket = static_cast<ss_socket *>(ss_event_target(event));
    std::size_t length = 0;
    const std::uint8_t *bytes = ss_socket_take(socket, &length); // in place: nothing is copied
    if (ss_socket_write_bytes(socket, bytes, length) != SS_OK) {
        std::cerr << "echo_server: " << ss_last_error_detail() << '\n';
        ss_socket_abort(socket);
    } else if (ss_socket_bytes_pending(socket) > most_pending) {
        ss_socket_pause(socket); // a client that does not read has to wait; outputProgress brings us back here
    } else {
        ss_socket_resume(socket);
    }
}

static void on_connect(ss_event *event, void *) noexcept
{
    ss_socket *socket = ss_event_socket(event); // borrowed: not kept, it closes on return
    if (ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, nullptr, false, 0) != SS_OK ||
        ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, nullptr, false, 0) != SS_OK ||
        ss_socket_keep(socket) != SS_OK) // until its connection ends
        std::cerr << "echo_server: a connection is refused: " << ss_last_error_detail() << '\n';
}

} // extern "C"

int main(int argc, char **argv)
try {
    const int port = argc > 1 ? std::atoi(argv[1]) : 7000;

    // Guards go in the opposite order: first the server, then the loop with its connections.
    Ref<ss_loop> loop(ss_loop_new());
    if (!loop)
        fail("loop");
    Ref<ss_server> server(ss_new(loop.get()));
    if (!server)
        fail("server");

    check(ss_add_listener(server.get(), SS_EVENT_CONNECT, on_connect, nullptr, false, 0), "listen to connections");
    check(ss_bind(server.get(), port, "127.0.0.1"), "bind");
    check(ss_listen(server.get(), 0), "listen");
    std::cout << "listening on " << ss_local_address(server.get()) << ':' << ss_local_port(server.get()) << std::endl;

    check(ss_loop_run(loop.get()), "run"); // serves until the process is ended
    return EXIT_SUCCESS;
} catch (const std::exception &error) {
    std::cerr << "echo_server: " << error.what() << '\n';
    return EXIT_FAILURE;
}
