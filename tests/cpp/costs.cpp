/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the C++ header costs: the calls of the library in which a connection is accepted, a message echoed and the end heard,
 * counted by standing in for them. The first that is not expected ends the program with 1. */

#include <server_socket.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace {

std::map<std::string, int> calls;

template <class Function> Function *counted(const char *name, Function *function)
{
    ++calls[name];
    return function;
}

} // namespace

// What the header calls from here on is counted. The names stand for the functions only where they are called.
#define ss_retain(...) (counted("ss_retain", ss_retain)(__VA_ARGS__))
#define ss_release(...) (counted("ss_release", ss_release)(__VA_ARGS__))
#define ss_object_kind(...) (counted("ss_object_kind", ss_object_kind)(__VA_ARGS__))
#define ss_event_target(...) (counted("ss_event_target", ss_event_target)(__VA_ARGS__))
#define ss_event_socket(...) (counted("ss_event_socket", ss_event_socket)(__VA_ARGS__))
#define ss_socket_peek(...) (counted("ss_socket_peek", ss_socket_peek)(__VA_ARGS__))
#define ss_socket_take(...) (counted("ss_socket_take", ss_socket_take)(__VA_ARGS__))
#define ss_socket_write_bytes(...) (counted("ss_socket_write_bytes", ss_socket_write_bytes)(__VA_ARGS__))
#define ss_socket_bytes_available(...) (counted("ss_socket_bytes_available", ss_socket_bytes_available)(__VA_ARGS__))

#include <server_socket.hpp>

namespace {

void expect(const char *when, const std::map<std::string, int> &expected)
{
    if (calls != expected) {
        for (const auto &[name, count] : calls)
            std::fprintf(stderr, "%s: %s is called %d times\n", when, name.c_str(), count);
        std::_Exit(1);
    }
    calls.clear();
}

} // namespace

int main()
{
    ss::loop loop;
    ss::server server(loop);
    const ss::socket client(loop);
    int messages = 0;
    ss::weak_socket accepted;
    std::string answer;

    server.on_connect([&](ss::event &event) {
        calls.clear();
        const ss::socket &peer = event.socket();
        accepted = peer;
        peer.on_data([&messages](ss::event &data) {
            const ss::socket &from = data.target_socket();
            if (!from.try_write(from.take()))
                from.abort();
            ++messages;
        });
        expect("a connection", {{"ss_event_socket", 1}});
        peer.keep();
    });
    client.on_data([&answer](ss::event &data) { answer += data.target_socket().take().text(); });
    client.once(SS_EVENT_CONNECT, [&client] { client.write("one"); });
    server.bind(0, "127.0.0.1");
    server.listen();
    client.connect("127.0.0.1", server.local_port());
    while (answer != "one")
        loop.poll();
    calls.clear();
    client.write("two");
    expect("a write", {{"ss_socket_write_bytes", 1}});
    while (answer != "onetwo")
        loop.poll();
    expect("a message, echoed", {{"ss_socket_take", 2}, {"ss_socket_write_bytes", 1}});
    if (messages != 2)
        return 1;

    // A copy is a reference, and only a copy.
    {
        const ss::socket copy = accepted.lock();
        expect("from a weak reference", {{"ss_object_kind", 1}, {"ss_retain", 1}});
        const ss::socket &same = copy;
        const ss::socket another = same;
        expect("a copy", {{"ss_retain", 1}});
    }
    expect("the end of two copies", {{"ss_release", 2}});
    std::puts("all passed");
    return 0;
}
