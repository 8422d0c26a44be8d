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
#include <unordered_map>
#include <utility>

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

// The connections that are open, each with our reference to it.
using Connections = std::unordered_map<ss_socket *, Ref<ss_socket>>;

// Listeners are called from C, through which no exception may pass: noexcept says that they keep
// to it, and each turns what is thrown inside into an end of its own connection.
extern "C" {

// Bytes came in, or waiting output went out: send back what is unread.
static void echo(ss_event *event, void *user_data) noexcept
{
    auto &connections = *static_cast<Connections *>(user_data);
    auto *socket = static_cast<ss_socket *>(ss_event_target(event));
    try {
        std::size_t length = 0;
        const std::uint8_t *bytes = ss_socket_peek(socket, &length); // in place: nothing is copied
        const ss_status status = ss_socket_write_bytes(socket, bytes, length);
        if (status == SS_ERR_FULL)
            return; // a client that does not read has to wait; outputProgress brings us back here
        check(status, "write");
        check(ss_socket_skip(socket, length), "skip");
    } catch (const std::exception &error) {
        std::cerr << "echo_server: " << error.what() << '\n';
        ss_socket_abort(socket);
        connections.erase(socket);
    }
}

static void on_close(ss_event *event, void *user_data) noexcept
{
    auto &connections = *static_cast<Connections *>(user_data);
    connections.erase(static_cast<ss_socket *>(ss_event_target(event)));
}

static void on_connect(ss_event *event, void *user_data) noexcept
{
    auto &connections = *static_cast<Connections *>(user_data);
    ss_socket *socket = ss_event_socket(event); // borrowed: not retained, it closes on return
    try {
        check(ss_retain(socket), "retain");
        Ref<ss_socket> reference(socket);
        check(ss_add_listener(socket, SS_EVENT_SOCKET_DATA, echo, &connections, false, 0), "listen to data");
        check(ss_add_listener(socket, SS_EVENT_OUTPUT_PROGRESS, echo, &connections, false, 0), "listen to output");
        check(ss_add_listener(socket, SS_EVENT_CLOSE, on_close, &connections, false, 0), "listen to close");
        connections.emplace(socket, std::move(reference));
    } catch (const std::exception &error) { // the guard has given the reference back
        std::cerr << "echo_server: a connection is refused: " << error.what() << '\n';
    }
}

} // extern "C"

int main(int argc, char **argv)
try {
    const int port = argc > 1 ? std::atoi(argv[1]) : 7000;

    // Guards go in the opposite order: first the connections, then the server, then the loop.
    Ref<ss_loop> loop(ss_loop_new());
    if (!loop)
        fail("loop");
    Ref<ss_server> server(ss_new(loop.get()));
    if (!server)
        fail("server");
    Connections connections;

    check(ss_add_listener(server.get(), SS_EVENT_CONNECT, on_connect, &connections, false, 0), "listen to connections");
    check(ss_bind(server.get(), port, "127.0.0.1"), "bind");
    check(ss_listen(server.get(), 0), "listen");
    std::cout << "listening on " << ss_local_address(server.get()) << ':' << ss_local_port(server.get()) << std::endl;

    check(ss_loop_run(loop.get()), "run"); // serves until the process is ended
    return EXIT_SUCCESS;
} catch (const std::exception &error) {
    std::cerr << "echo_server: " << error.what() << '\n';
    return EXIT_FAILURE;
}
