/* The C++ header against the library. Each case is a function; the first failure ends the program with 1. */

#include <server_socket.hpp>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

void fail(const char *what, int line)
{
    std::fprintf(stderr, "suite.cpp:%d: %s\n", line, what);
    std::_Exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail("not true: " #condition, __LINE__))

template <class Error, class Function> Error thrown(Function function, int line)
{
    try {
        function();
    } catch (const Error &error) {
        return error;
    } catch (...) {
        fail("another exception", line);
    }
    fail("no exception", line);
    std::abort();
}

#define THROWN(type, ...) thrown<type>([&] { __VA_ARGS__; }, __LINE__)

#ifdef _WIN32
using descriptor = SOCKET;
constexpr descriptor no_descriptor = INVALID_SOCKET;
constexpr int address_in_use = WSAEADDRINUSE;
constexpr int connection_refused = WSAECONNREFUSED;

void close_descriptor(descriptor fd) { ::closesocket(fd); }

long send_now(descriptor fd, const char *data, std::size_t size) { return ::send(fd, data, static_cast<int>(size), 0); }

/* Winsock has no such flag for one call. */
long receive_now(descriptor fd, char *room, std::size_t size)
{
    u_long now = 1;
    CHECK(::ioctlsocket(fd, static_cast<long>(FIONBIO), &now) == 0);
    const int count = ::recv(fd, room, static_cast<int>(size), 0);
    now = 0;
    CHECK(::ioctlsocket(fd, static_cast<long>(FIONBIO), &now) == 0);
    return count;
}

/* For the clients: the library does so for itself. */
void start_sockets()
{
    WSADATA data;
    CHECK(::WSAStartup(MAKEWORD(2, 2), &data) == 0);
}
#else
using descriptor = int;
constexpr descriptor no_descriptor = -1;
constexpr int address_in_use = EADDRINUSE;
constexpr int connection_refused = ECONNREFUSED;

void close_descriptor(descriptor fd) { ::close(fd); }

long send_now(descriptor fd, const char *data, std::size_t size) { return ::send(fd, data, size, MSG_NOSIGNAL); }

long receive_now(descriptor fd, char *room, std::size_t size) { return ::recv(fd, room, size, MSG_DONTWAIT); }

void start_sockets() {}
#endif

/* A client that waits for nothing but to be connected. */
class client {
public:
    explicit client(int port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK(::connect(descriptor_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    }
    ~client() { end(); }
    client(const client &) = delete;
    client &operator=(const client &) = delete;

    void send(const std::string &text)
    {
        CHECK(send_now(descriptor_, text.data(), text.size()) == static_cast<long>(text.size()));
    }
    /* Up to size bytes that have come, without waiting. */
    std::string receive(std::size_t size)
    {
        std::string text(size, '\0');
        const long count = receive_now(descriptor_, text.data(), size);
        text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
        return text;
    }
    /* The peer has ended. */
    bool at_end()
    {
        char byte;
        return receive_now(descriptor_, &byte, 1) == 0;
    }
    void end()
    {
        if (descriptor_ != no_descriptor)
            close_descriptor(descriptor_);
        descriptor_ = no_descriptor;
    }

private:
    descriptor descriptor_;
};

void pump_until(ss::loop &loop, const std::function<bool()> &done)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end)
            fail("what the test waits for did not happen", __LINE__);
        loop.poll(std::chrono::milliseconds(5));
    }
}

ss::server listening(const ss::loop &loop)
{
    ss::server server(loop);
    server.bind(0, "127.0.0.1");
    server.listen();
    return server;
}

/* Says when it is destroyed. */
using token = std::shared_ptr<int>;

void errors_carry_class_id_and_errno()
{
    ss::loop loop;
    ss::server server = listening(loop);
    ss::server other(loop);
    const ss::io_error in_use = THROWN(ss::io_error, other.bind(server.local_port(), "127.0.0.1"));
    CHECK(in_use.status() == SS_ERR_IO && in_use.air_id() == 2002 && in_use.os_error() == address_in_use);
    CHECK(in_use.message() == "Operation attempted on invalid socket.");
    CHECK(std::string(in_use.what()).find("127.0.0.1") != std::string::npos);
    CHECK(std::string(in_use.name()) == "IOError");
    CHECK(THROWN(ss::range_error, other.bind(70000)).air_id() == 2003);
    CHECK(THROWN(ss::argument_error, other.bind(0, "localhost")).air_id() == 2004);
    CHECK(THROWN(ss::error, other.close()).status() == SS_ERR_ERROR);
    CHECK(THROWN(ss::security_error, ss::socket(loop).connect("127.0.0.1", -1)).air_id() == 2003);
    CHECK(THROWN(ss::io_error, ss::socket(loop).write("x")).air_id() == 2002);
    CHECK(!other.bound() && server.listening());
}

void a_constructor_throws_what_the_library_says()
{
    ss::loop loop;
    std::thread([&] { THROWN(ss::thread_error, ss::server{loop}); }).join();
}

void references_count_and_the_last_one_closes()
{
    ss::loop loop;
    ss::server server = listening(loop);
    const int port = server.local_port();
    {
        ss::server copy = server;
        CHECK(copy == server && copy.get() == server.get());
        ss::server moved = std::move(copy);
        CHECK(moved == server && !copy);
    }
    CHECK(server.listening());
    ss_server *handle = server.get();
    server = ss::server(loop);
    CHECK(!ss_listening(handle));
    ss::server again(loop);
    again.bind(port, "127.0.0.1");
}

/* A copy is one more reference, which cannot be had on another thread, nor of what is gone. */
void a_copy_that_fails_throws()
{
    static_assert(!std::is_nothrow_copy_assignable_v<ss::server> && std::is_nothrow_move_assignable_v<ss::server>);
    ss::loop loop;
    ss::server server = listening(loop), other(loop);
    std::thread elsewhere([&] {
        ss::server empty(std::move(other));
        other = std::move(empty);
        THROWN(ss::thread_error, other = server);
        THROWN(ss::thread_error, ss::server copy(server));
    });
    elsewhere.join();
    loop = ss::loop();
    THROWN(ss::handle_error, other = server);
    CHECK(other && other != server);
}

void an_empty_reference_is_a_handle_error()
{
    ss::loop loop;
    ss::server server(loop);
    ss::server moved = std::move(server);
    THROWN(ss::handle_error, server.listen());
    CHECK(!server.bound());
}

void an_echo_needs_four_lines()
{
    ss::loop loop;
    ss::server server = listening(loop);
    int closes = 0;
    server.on_connect([&](ss::event &event) {
        ss::socket peer = event.socket();
        CHECK(peer.connected() && peer.remote_address() == "127.0.0.1" && peer.remote_port() > 0);
        peer.keep();
        peer.on_data([](ss::event &data) {
            ss::socket from = data.target_socket();
            CHECK(data.bytes_loaded() == from.bytes_available());
            from.write(from.peek());
            from.skip(from.bytes_available());
        });
        peer.on_close([&](ss::event &) { ++closes; });
    });
    client one(server.local_port()), two(server.local_port());
    one.send("one");
    two.send("two");
    std::string first, second;
    pump_until(loop, [&] { return (first += one.receive(9)) == "one" && (second += two.receive(9)) == "two"; });
    one.end();
    pump_until(loop, [&] { return closes == 1; });
    CHECK(server.stats().accepted == 2 && server.stats().open == 1);
}

/* What is accepted and not kept is closed. */
void nobody_keeps_a_socket_by_looking_at_it()
{
    ss::loop loop;
    ss::server server = listening(loop);
    server.on_connect([](ss::event &event) { CHECK(event.socket().connected()); });
    client peer(server.local_port());
    pump_until(loop, [&] { return peer.at_end(); });
}

void keeping_ends_with_the_connection_whoever_ends_it()
{
    ss::loop loop;
    ss::server server = listening(loop);
    std::vector<ss_socket *> handles;
    bool close_at_once = false;
    server.on_connect([&](ss::event &event) {
        ss::socket peer = event.socket();
        peer.keep();
        handles.push_back(peer.get());
        if (close_at_once)
            peer.close();
    });
    client peer(server.local_port());
    pump_until(loop, [&] { return handles.size() == 1; });
    CHECK(ss_object_kind(handles[0]) == SS_KIND_SOCKET);
    peer.end();
    pump_until(loop, [&] { return ss_object_kind(handles[0]) == 0; });

    close_at_once = true;
    client other(server.local_port());
    pump_until(loop, [&] { return handles.size() == 2 && ss_object_kind(handles[1]) == 0; });
}

void callables_are_destroyed_when_they_can_never_run_again()
{
    ss::loop loop;
    ss::server server = listening(loop);
    token removed = std::make_shared<int>(), dies_with_target = std::make_shared<int>();
    ss::listener which = server.add_listener("x", [removed](ss::event &) { ++*removed; });
    server.add_listener("x", [dies_with_target](ss::event &) { ++*dies_with_target; });
    ss::event event("x");
    CHECK(server.dispatch(event));
    server.remove_listener(which);
    CHECK(removed.use_count() == 1 && dies_with_target.use_count() == 2);
    server.remove_listener(which); // there is nothing any more
    ss::event again("x");
    server.dispatch(again);
    CHECK(*removed == 1 && *dies_with_target == 2);
    server = ss::server(loop);
    CHECK(dies_with_target.use_count() == 1);
}

void a_listener_may_remove_itself()
{
    ss::loop loop;
    ss::server server(loop);
    token alive = std::make_shared<int>();
    auto which = std::make_shared<ss::listener>();
    *which = server.add_listener("x", [&server, which, alive](ss::event &) {
        server.remove_listener(*which);
        ++*alive; // what was captured is still there
    });
    ss::event event("x");
    server.dispatch(event);
    CHECK(*alive == 1 && alive.use_count() == 1 && !server.has_listener("x"));
}

void events_have_airs_properties()
{
    ss::loop loop;
    ss::server server(loop);
    server.add_listener("x", [](ss::event &event) { event.prevent_default(); }, 5);
    server.add_listener("x", [](ss::event &event) { event.stop_immediate_propagation(); });
    server.add_listener("x", [](ss::event &) { fail("was stopped", __LINE__); }, -5);
    ss::event event("x", true, true);
    CHECK(event.type() == "x" && event.bubbles() && event.cancelable() && event.phase() == SS_PHASE_AT_TARGET);
    CHECK(!event.target_server() && !event.target_socket() && !event.socket());
    CHECK(!server.dispatch(event) && event.is_default_prevented());
    CHECK(event.target_server() == server && !event.target_socket());
    CHECK(!event.clone().is_default_prevented());
    CHECK(event.to_string() == "[Event type=\"x\" bubbles=true cancelable=true eventPhase=2]");
}

void an_exception_is_thrown_from_the_dispatch_and_the_others_run()
{
    ss::loop loop;
    ss::server server(loop);
    bool other_ran = false;
    server.add_listener("x", [](ss::event &) { throw std::runtime_error("first"); }, 2);
    server.add_listener("x", [](ss::event &) { throw std::logic_error("second"); }, 1);
    server.add_listener("x", [&](ss::event &) { other_ran = true; });
    ss::event event("x");
    CHECK(THROWN(std::runtime_error, server.dispatch(event)).what() == std::string("first"));
    CHECK(other_ran);
    loop.poll(std::chrono::milliseconds(0)); // nothing is left over
}

void an_exception_is_thrown_from_poll_and_from_run()
{
    ss::loop loop;
    ss::server server = listening(loop);
    server.on_connect([](ss::event &) { throw std::runtime_error("at connect"); });
    client one(server.local_port());
    THROWN(std::runtime_error, for (int turn = 0; turn < 1000; ++turn) loop.poll(std::chrono::milliseconds(20)));
    client two(server.local_port());
    THROWN(std::runtime_error, loop.run());
    loop.remote().post([] { throw std::logic_error("in a task"); });
    THROWN(std::logic_error, loop.run());
}

void tasks_come_from_other_threads_and_stop_ends_the_run()
{
    ss::loop loop;
    ss::server server = listening(loop);
    int ran = 0;
    token cancelled = std::make_shared<int>();
    ss::loop_remote remote = loop.remote();
    std::thread other([&] {
        for (int task = 0; task < 100; ++task)
            remote.post([&ran] { ++ran; });
        THROWN(ss::thread_error, server.listen(5));
        remote.post([remote] { remote.stop(); });
    });
    loop.run();
    other.join();
    CHECK(ran == 100);
    remote.post([cancelled] { ++*cancelled; });
    server = ss::server(); // of this thread's own loop
    loop = ss::loop();
    CHECK(*cancelled == 0 && cancelled.use_count() == 1);
    THROWN(ss::handle_error, remote.wake());
}

void a_socket_connects_reads_and_writes_typed()
{
    ss::loop loop;
    ss::server server = listening(loop);
    std::vector<ss::socket> accepted;
    server.on_connect([&](ss::event &event) { accepted.push_back(event.socket()); });
    ss::socket out(loop);
    out.set_timeout(std::chrono::seconds(5));
    CHECK(out.timeout() == std::chrono::seconds(5));
    bool connected = false;
    out.on_connect([&](ss::event &event) { connected = event.target_socket() == out; });
    out.connect("localhost", server.local_port());
    pump_until(loop, [&] { return connected && accepted.size() == 1; });
    out.set_endian(SS_LITTLE_ENDIAN);
    out.write_boolean(true);
    out.write_byte(-1);
    out.write_short(-2);
    out.write_int(-3);
    out.write_unsigned_int(4000000000u);
    out.write_float(1.5f);
    out.write_double(-2.25);
    out.write_utf("h\xc3\xa9");
    out.write_utf(std::string(1000, 'x'));
    out.write_multi_byte("\xd0\x9f", "koi8-r");
    out.write(std::vector<std::uint8_t>{1, 2, 3});
    out.write(std::array<char, 2>{{'o', 'k'}});
    ss::socket &in = accepted[0];
    pump_until(loop, [&] { return in.bytes_available() == 24 + 5 + 1002 + 1 + 3 + 2; });
    in.set_endian(SS_LITTLE_ENDIAN);
    CHECK(in.read_boolean() && in.read_unsigned_byte() == 255 && in.read_short() == -2 && in.read_int() == -3);
    CHECK(in.read_unsigned_int() == 4000000000u && in.read_float() == 1.5f && in.read_double() == -2.25);
    CHECK(in.read_utf() == "h\xc3\xa9" && in.read_utf() == std::string(1000, 'x'));
    CHECK(in.read_multi_byte(1, "koi8-r") == "\xd0\x9f");
    THROWN(ss::eof_error, in.read_string(std::size_t{1} << 40));
    CHECK(in.read_string(3) == std::string("\x01\x02\x03") && in.read_all() == "ok");
    THROWN(ss::eof_error, in.read_byte());
    in.set_option(SS_OPT_WRITE_LIMIT, 4);
    CHECK(in.option(SS_OPT_WRITE_LIMIT) == 4);
    THROWN(ss::full_error, in.write("too long"));
    CHECK(out.bytes_pending() == 0);
}

void a_refused_connection_is_an_event()
{
    ss::loop loop;
    int port;
    {
        ss::server gone = listening(loop);
        port = gone.local_port();
    }
    ss::socket out(loop);
    int os_error = 0;
    out.on_io_error([&](ss::event &event) {
        CHECK(event.error_id() == 2031 && event.text() == "Error #2031: Socket Error.");
        os_error = event.os_error();
    });
    out.connect("127.0.0.1", port);
    pump_until(loop, [&] { return os_error != 0; });
    CHECK(os_error == connection_refused && !out.connected());
}

void the_descriptor_and_the_timeout_are_for_other_loops()
{
    ss::loop loop;
#ifdef _WIN32
    THROWN(ss::unsupported_error, loop.fd());
#else
    CHECK(loop.fd() >= 0);
#endif
    CHECK(loop.timeout() < std::chrono::milliseconds(0));
    CHECK(loop.poll(std::chrono::milliseconds(0)) == 0);
}

} // namespace

// The library's thread for names waits half a second for more to do. One that still lives at the end of the process keeps
// its stack, which valgrind takes for a possible leak.
static void threads_for_names_end_by_themselves()
{
    const std::filesystem::path threads = "/proc/self/task";
    if (!std::filesystem::exists(threads))
        return;
    const auto count = [&] {
        const std::filesystem::directory_iterator begin(threads);
        return std::distance(begin, std::filesystem::directory_iterator());
    };
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (count() > 1) {
        CHECK(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

int main()
{
    start_sockets();
    errors_carry_class_id_and_errno();
    a_constructor_throws_what_the_library_says();
    references_count_and_the_last_one_closes();
    a_copy_that_fails_throws();
    an_empty_reference_is_a_handle_error();
    an_echo_needs_four_lines();
    nobody_keeps_a_socket_by_looking_at_it();
    keeping_ends_with_the_connection_whoever_ends_it();
    callables_are_destroyed_when_they_can_never_run_again();
    a_listener_may_remove_itself();
    events_have_airs_properties();
    an_exception_is_thrown_from_the_dispatch_and_the_others_run();
    an_exception_is_thrown_from_poll_and_from_run();
    tasks_come_from_other_threads_and_stop_ends_the_run();
    a_socket_connects_reads_and_writes_typed();
    a_refused_connection_is_an_event();
    the_descriptor_and_the_timeout_are_for_other_loops();
    threads_for_names_end_by_themselves();
    std::puts("all passed");
    return 0;
}
