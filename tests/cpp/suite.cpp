/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The C++ header against the library. Each case is a function; the first failure ends the program with 1. */

#include <server_socket.hpp>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
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
    ss::server next(loop);
    server = std::move(next);
    CHECK(!ss_listening(handle) && server && !next);
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

/* As it would leave a loop over the listeners: those behind it do not run. */
void an_exception_leaves_the_dispatch_at_once()
{
    ss::loop loop;
    ss::server server(loop);
    int heard = 0, behind = 0;
    server.add_listener("x", [&](ss::event &) { ++heard; }, 3);
    ss::listener first = server.add_listener("x", [](ss::event &) { throw std::runtime_error("first"); }, 2);
    server.add_listener("x", [](ss::event &) { throw std::logic_error("second"); }, 1);
    server.add_listener("x", [&](ss::event &) { ++behind; });
    ss::event event("x");
    CHECK(THROWN(std::runtime_error, server.dispatch(event)).what() == std::string("first"));
    CHECK(heard == 1 && behind == 0);
    loop.poll(std::chrono::milliseconds(0)); // nothing is left over
    server.remove_listener(first);
    THROWN(std::logic_error, server.dispatch(event));
    CHECK(heard == 2 && behind == 0);
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

void a_timer_calls_a_callable_for_as_long_as_it_is_kept()
{
    using namespace std::chrono;
    ss::loop loop;
    int ticks = 0;
    token held = std::make_shared<int>();
    ss::timer tick(loop, milliseconds(1), microseconds(500), [&ticks, held] { ++ticks; });
    CHECK(held.use_count() == 2 && tick && ss_object_kind(tick.get()) == SS_KIND_TIMER);
    pump_until(loop, [&] { return ticks >= 3; });
    ss::timer copy = tick;
    tick = nullptr;
    pump_until(loop, [&] { return ticks >= 4; });
    copy = ss::timer();
    CHECK(held.use_count() == 1);
    const int before = ticks;
    // Once, and again when it is set; it may end itself, and is destroyed after its call.
    ss::timer once;
    once = ss::timer(loop, seconds(0), [&, held] {
        ++*held;
        if (*held == 3)
            once = nullptr;
        CHECK(held.use_count() == 2);
    });
    loop.run(); // until none runs
    CHECK(*held == 1);
    once.set(milliseconds(1), milliseconds(1));
    loop.run();
    CHECK(*held == 3 && held.use_count() == 1 && ticks == before);
}

void a_timer_stops_throws_and_refuses()
{
    using namespace std::chrono;
    ss::loop loop;
    ss::timer timer(loop, milliseconds(0), milliseconds(1), [] { throw std::runtime_error("in a task"); });
    CHECK(std::string(THROWN(std::runtime_error, loop.run()).what()) == "in a task");
    THROWN(std::runtime_error, loop.run());
    timer.stop();
    loop.run();
    token held = std::make_shared<int>();
    THROWN(std::invalid_argument, ss::timer(loop, milliseconds(-1), [held] {}));
    THROWN(std::invalid_argument, timer.set(hours(24 * 50)));
    timer.set(hours(24 * 49));
    timer.stop();
    std::error_code code;
    CHECK(!ss::timer(nullptr, seconds(1), seconds(-1), [held] {}, code) && code == std::errc::invalid_argument);
    loop = nullptr;
    timer.set(seconds(1), code);
    CHECK(code == ss::errc(SS_ERR_HANDLE) && held.use_count() == 1);
    THROWN(ss::handle_error, ss::timer(nullptr).stop());
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
    THROWN(ss::eof_error, in.read_string(6));
    CHECK(THROWN(ss::range_error, in.read_string(SIZE_MAX / 2)).air_id() == 2006); // it can never be there
    CHECK(in.read_string(3) == std::string("\x01\x02\x03") && in.read_all() == "ok");
    THROWN(ss::eof_error, in.read_byte());
    in.set_option(SS_OPT_WRITE_LIMIT, 4);
    CHECK(in.option(SS_OPT_WRITE_LIMIT) == 4);
    CHECK(THROWN(ss::range_error, in.write("too long")).air_id() == 2006);
    in.write("long");
    THROWN(ss::full_error, in.write("er"));
    CHECK(out.bytes_pending() == 0 && in.bytes_pending() == 4);
}

/* The two ends of one connection; what is written at one end is read at the other. */
struct connection {
    ss::loop loop;
    ss::server server = listening(loop);
    ss::socket out{loop}, in{loop};

    connection()
    {
        server.on_connect([this](ss::event &event) { in = event.socket(); });
        out.connect("127.0.0.1", server.local_port());
        pump_until(loop, [&] { return out.connected() && in.connected(); });
    }
    /* What an object is when it has been written and read again. */
    ss::value sent(const ss::value &object)
    {
        out.write_object(object);
        ss::value arrived;
        pump_until(loop, [&] { return bool(arrived = in.try_read_object()); });
        return arrived;
    }
};

void values_say_what_they_were_made_of()
{
    ss::value empty;
    CHECK(!empty && empty.type() == 0 && !empty.as_bool() && empty.as_number() == 0 && empty.as_int() == 0);
    CHECK(empty.bytes().data() == nullptr && empty.as_string().empty() && empty.class_name().empty());
    CHECK(!empty["x"] && !empty[0] && !empty["x"][0]["y"] && empty.item_count() == 0 && empty.property_count() == 0);
    CHECK(ss::value::undefined().type() == SS_VALUE_UNDEFINED && ss::value(nullptr).type() == SS_VALUE_NULL);
    CHECK(ss::value(true).as_bool() && ss::value(true).as_number() == 1 && !ss::value(false).as_bool());
    CHECK(ss::value(false).type() == SS_VALUE_BOOLEAN && !ss::value(1).as_bool());
    for (const char *text : {"text", ""}) {
        CHECK(ss::value(text).type() == SS_VALUE_STRING && ss::value(text).bytes() == text);
        CHECK(ss::value(std::string(text)).bytes() == text && ss::value(std::string_view(text)).as_string() == text);
        CHECK(ss::value(text).bytes().data() != nullptr && ss::value(text).as_number() == 0);
    }
    CHECK(ss::value(std::string("a\0b", 3)).bytes().size() == 3);
    CHECK(ss::value(std::string_view()).type() == SS_VALUE_STRING);
    CHECK(THROWN(ss::type_error, ss::value(static_cast<const char *>(nullptr))).air_id() == 2007);
    const ss::value date = ss::value::date(1.5e12);
    CHECK(date.type() == SS_VALUE_DATE && date.as_number() == 1.5e12);
    const ss::value raw = ss::value::byte_array(std::vector<std::uint8_t>{0, 255});
    CHECK(raw.type() == SS_VALUE_BYTE_ARRAY && raw.bytes() == std::string_view("\0\xff", 2));
    CHECK(ss::value::byte_array({}).bytes().empty());
    CHECK(ss::value::xml("<a/>").type() == SS_VALUE_XML && ss::value::xml("<a/>").bytes() == "<a/>");
    CHECK(ss::value::xml_document("<a/>").type() == SS_VALUE_XML_DOCUMENT);
    CHECK(THROWN(ss::argument_error, ss::value::of_type(99)).air_id() == 2008);
    CHECK(THROWN(ss::argument_error, ss::value(1).set_bytes(SS_VALUE_DATE, "x")).air_id() == 2008);
}

void numbers_are_ints_where_they_fit()
{
    const auto is = [](const ss::value &number, std::int32_t type, double what) {
        return number.type() == type && number.as_number() == what;
    };
    CHECK(is(0, SS_VALUE_INTEGER, 0) && is(INT32_MAX, SS_VALUE_INTEGER, INT32_MAX));
    CHECK(is(std::int64_t{INT32_MIN}, SS_VALUE_INTEGER, INT32_MIN) && is(std::size_t{7}, SS_VALUE_INTEGER, 7));
    CHECK(is(INT32_MIN - std::int64_t{1}, SS_VALUE_NUMBER, -2147483649.0));
    CHECK(is(2147483648u, SS_VALUE_NUMBER, 2147483648.0) && is(UINT64_MAX, SS_VALUE_NUMBER, 18446744073709551616.0));
    CHECK(is(std::int8_t{-1}, SS_VALUE_INTEGER, -1) && is(1.0, SS_VALUE_NUMBER, 1) && is(0.5f, SS_VALUE_NUMBER, 0.5));
    const double infinity = HUGE_VAL;
    CHECK(ss::value(-5.9).as_int() == -5 && ss::value(4294967297.0).as_int() == 1 && ss::value(true).as_int() == 1);
    CHECK(ss::value(2147483648.0).as_int() == INT32_MIN && ss::value(-4294967295.0).as_int() == 1);
    CHECK(ss::value(infinity).as_int() == 0 && ss::value(-infinity).as_int() == 0 && ss::value("5").as_int() == 0);
    CHECK(ss::value(std::nan("")).as_int() == 0 && std::isnan(ss::value(std::nan("")).as_number()));
    CHECK(ss::value(1e300).as_int() == 0 && ss::value(1e19).as_int() == -1981284352);
}

/* What would quietly do something else does not compile. */
void values_are_not_made_by_accident()
{
    static_assert(!std::is_constructible_v<ss::value, char> && !std::is_constructible_v<ss::value, void *>);
    static_assert(!std::is_constructible_v<ss::value, ss_value *> && !std::is_constructible_v<ss::value, ss::socket>);
    static_assert(std::is_assignable_v<ss::value &, int> && !std::is_assignable_v<ss::value, int>);
    static_assert(!std::is_convertible_v<ss::value, bool> && !std::is_convertible_v<ss::value, int>);
    static_assert(std::is_nothrow_move_constructible_v<ss::value> && std::is_nothrow_move_assignable_v<ss::value>);
    static_assert(!std::is_nothrow_copy_constructible_v<ss::value> && !std::is_nothrow_copy_assignable_v<ss::value>);
}

void a_value_is_built_and_walked()
{
    ss::value message = ss::value::object("com.example.Score");
    CHECK(message.set("name", "Ann").bytes() == "Ann");
    ss::value scores = message.set("scores", ss::value::array(1, 2.5, "three"));
    scores.add(nullptr);
    scores.add(ss::value::array(true));
    scores.add_item().set_date(7);
    scores.set("note", "an array has properties, too");
    CHECK(message.type() == SS_VALUE_OBJECT && message.class_name() == "com.example.Score");
    CHECK(message["scores"] == scores && message["name"] != scores && message["scores"][4][0].as_bool());
    CHECK(!message["nothing"] && !message[0] && !scores[6] && !scores[SIZE_MAX] && !scores["name"]);

    std::vector<std::int32_t> types;
    for (ss::value item : message["scores"].items())
        types.push_back(item.type());
    CHECK((types == std::vector<std::int32_t>{SS_VALUE_INTEGER, SS_VALUE_NUMBER, SS_VALUE_STRING, SS_VALUE_NULL,
                                              SS_VALUE_ARRAY, SS_VALUE_DATE}));
    std::string names;
    for (auto [name, content] : message.properties())
        names += std::string(name) + "=" + content.as_string() + ";";
    CHECK(names == "name=Ann;scores=;" && message.property_count() == 2);
    ss::value copy = ss::value::object(message.class_name());
    for (auto [name, content] : message.properties())
        copy.set(name, content);
    CHECK(copy["scores"][4] != message["scores"][4] && copy["scores"][4][0].as_bool());
    CHECK(copy.class_name() == "com.example.Score" && copy["scores"].item_count() == 6);
    CHECK(copy[std::string("name")].bytes() == "Ann" && !copy[std::string_view("nam")]);
    for (const auto &[name, content] : scores.properties())
        CHECK(name == "note" && content.bytes() == "an array has properties, too");
    for (ss::value none : ss::value(5).items())
        fail("a number has no items", none.type());

    message.set("name", 5); // the one that is there
    CHECK(message.property_count() == 2 && message["name"].as_int() == 5);
    message.add_property("name").assign("Bob"); // another one, which counts
    CHECK(message.property_count() == 3 && message["name"].bytes() == "Bob");
    message["name"].assign(std::string("Cid"));
    CHECK(message["name"].bytes() == "Cid");
    message.set_class_name("");
    CHECK(message.class_name().empty());
}

/* A loop over items may add some: it comes to those that there were. */
void items_may_be_added_while_they_are_walked()
{
    ss::value list = ss::value::array(1, 2);
    int count = 0;
    for (ss::value item : list.items()) {
        list.add(item);
        ++count;
    }
    CHECK(count == 2 && list.item_count() == 4 && list[3].as_int() == 2);
}

void a_part_keeps_its_whole()
{
    ss_value *handle;
    {
        ss::value part;
        {
            ss::value whole = ss::value::array("first", ss::value::array("inner"));
            handle = whole.get();
            part = whole[1];
        }
        CHECK(ss_value_type(handle) == SS_VALUE_ARRAY && part[0].bytes() == "inner");
        ss::value copy = part, moved = std::move(part);
        CHECK(copy == moved && !part && ss::value(moved) == moved);
        part = ss::value(1);
        std::swap(part, moved);
        CHECK(moved.as_int() == 1 && part == copy);
    }
    CHECK(ss_value_type(handle) == 0);
    for (ss::value item : ss::value::array(ss::value::array(1, 2))[0].items())
        CHECK(item.as_int() > 0);
}

/* A list, and what counts when it is gone. Valgrind does not see lost references: their values go with the thread. */
ss::value watched(int &gone)
{
    ss::value list = ss::value::array(1, ss::value::array(2, 3));
    ss::check(ss_set_user_data(list.get(), &gone, [](void *count) { ++*static_cast<int *>(count); }));
    return list;
}

void exceptions_lose_no_reference()
{
    int gone = 0;
    THROWN(std::runtime_error, for (ss::value item : watched(gone)[1].items()) throw std::runtime_error("in a loop"));
    CHECK(gone == 1);
    THROWN(ss::argument_error, ss::value(5).add(watched(gone)));
    CHECK(gone == 2);
    THROWN(ss::argument_error, watched(gone).set_type(SS_VALUE_NULL));
    CHECK(gone == 3);
    THROWN(ss::argument_error, watched(gone)[1].assign(watched(gone)[0]));
    CHECK(gone == 5);
    THROWN(ss::argument_error, watched(gone)[1].set_class_name("x"));
    CHECK(gone == 6);
    THROWN(std::invalid_argument, watched(gone).set(std::string(1, '\0'), watched(gone)));
    CHECK(gone == 8);
    THROWN(ss::handle_error, ss::value().add(watched(gone)));
    CHECK(gone == 9);
    watched(gone).set("x", watched(gone)).add(watched(gone));
    CHECK(gone == 12);
}

/* In one whole assigning shares, a circle included; from one whole to another it copies. */
void assigning_shares_or_copies()
{
    ss::value parent = ss::value::object();
    ss::value child = parent.set("child", ss::value::object());
    child.set("parent", parent);
    CHECK(child["parent"] == parent && parent["child"]["parent"]["child"] == child);
    ss::value copy;
    copy = ss::value::array(parent)[0];
    CHECK(copy != parent && copy["child"]["parent"] == copy);
    ss::value one = ss::value::array(1);
    ss::value other = ss::value::array(one[0]);
    other[0].assign(2);
    CHECK(one[0].as_int() == 1);
    ss::value grown = ss::value::undefined();
    grown.set_type(SS_VALUE_ARRAY);
    grown.add(grown);
    CHECK(grown[0] == grown);
}

/* As in ActionScript, where what is not there is undefined. */
void what_is_not_there_is_passed_on_as_undefined()
{
    const ss::value request = ss::value::object();
    ss::value answer = ss::value::object();
    CHECK(answer.set("id", request["id"]).type() == SS_VALUE_UNDEFINED && answer.property_count() == 1);
    answer.set("id", 5);
    answer.set("id", request["id"]);
    CHECK(answer["id"] && answer["id"].type() == SS_VALUE_UNDEFINED);
    CHECK(ss::value::array(request["id"], 1)[0].type() == SS_VALUE_UNDEFINED);
}

/* Whoever catches it goes on with a value that is as it was. */
void what_cannot_be_set_throws_and_changes_nothing()
{
    ss::value list = ss::value::array(1), number = 5, empty;
    CHECK(THROWN(ss::argument_error, list.assign(5)).air_id() == 2004);
    THROWN(ss::argument_error, list.set_type(SS_VALUE_NULL));
    THROWN(ss::argument_error, list.assign(number));
    THROWN(ss::argument_error, number.add(1));
    THROWN(ss::argument_error, number.add_item());
    THROWN(ss::argument_error, number.set("x", 1));
    THROWN(ss::argument_error, number.add_property("x"));
    THROWN(ss::argument_error, number.set_class_name("x"));
    THROWN(ss::argument_error, list.assign(empty));
    THROWN(ss::handle_error, empty.add(1));
    THROWN(ss::handle_error, empty.set("x", 1));
    THROWN(ss::handle_error, empty.assign(1));
    THROWN(ss::handle_error, empty.assign("text"));
    THROWN(ss::type_error, ss::value::array(1, "two", static_cast<const char *>(nullptr)));
    CHECK(list.item_count() == 1 && list.property_count() == 0 && number.as_int() == 5 && !empty);
    std::thread elsewhere([&] {
        THROWN(ss::thread_error, list.add(1));
        THROWN(ss::thread_error, ss::value copy(list));
        THROWN(ss::thread_error, ss::value::array(list));
        CHECK(!list[0] && list.type() == 0);
        ss::value mine = ss::value::array(1);
        THROWN(ss::thread_error, mine.add(list));
        THROWN(ss::thread_error, mine.set("x", list));
        CHECK(mine.item_count() == 1 && mine.property_count() == 0);
    });
    elsewhere.join();
    CHECK(list.item_count() == 1);
}

/* Names with a NUL come from peers only; the C functions would take what is before it for the name. */
void a_name_with_a_nul_is_another_name()
{
    const std::string name("a\0b", 3);
    ss::value object = ss::value::object();
    object.set("a", 1);
    THROWN(std::invalid_argument, object.set(name, 2));
    THROWN(std::invalid_argument, object.add_property(name));
    THROWN(std::invalid_argument, object.set_class_name(name));
    CHECK(!object[name] && object.property_count() == 1 && object["a"].as_int() == 1);

    connection wire;
    const char bytes[] = "\x0a\x0b\x01\x07" "a\0b" "\x04\x04\x00\x04\x05\x01"; // { "a\0b": 4, "a\0b": 5 }
    wire.out.write(bytes, sizeof bytes - 1);
    pump_until(wire.loop, [&] { return bool(object = wire.in.try_read_object()); });
    CHECK(object[name].as_int() == 5 && !object["a"] && object.set(name, 6) == object[name]);
    int expected = 4;
    for (auto [found, content] : object.properties()) {
        CHECK(found == name && content.as_int() == expected);
        expected += 2;
    }
    CHECK(expected == 8);
}

void objects_are_written_and_read_in_both_encodings()
{
    connection wire;
    CHECK(wire.out.object_encoding() == SS_AMF3);
    CHECK(THROWN(ss::argument_error, wire.out.set_object_encoding(1)).air_id() == 2008);
    for (const std::int32_t encoding : {SS_AMF3, SS_AMF0}) {
        wire.out.set_object_encoding(encoding);
        wire.in.set_object_encoding(encoding);
        CHECK(wire.in.object_encoding() == encoding);
        ss::value all = ss::value::object("com.example.All");
        all.set("list", ss::value::array(1, "two", nullptr, false, ss::value::date(86400000)));
        all.set("self", all);
        all.set("raw", ss::value::byte_array("\xff"));
        all.set("xml", ss::value::xml_document("<a/>"));
        all.set("ints", ss::value::vector_of_int()).add(-1);
        all.set("uints", ss::value::vector_of_uint()).add(4000000000u);
        all.set("numbers", ss::value::vector_of_number()).add(0.5);
        all.set("points", ss::value::vector_of("com.example.Point")).add(ss::value::object("com.example.Point"));
        ss::value dictionary = all.set("dictionary", ss::value::dictionary());
        dictionary.add(7);
        dictionary.add("seven");
        const ss::value read = wire.sent(all);
        CHECK(read != all && read.class_name() == "com.example.All" && read["self"] == read);
        CHECK(read.property_count() == all.property_count() && read["list"].item_count() == 5);
        CHECK(read["list"][0].as_int() == 1 && read["list"][1].bytes() == "two" && !read["list"][3].as_bool());
        CHECK(read["list"][4].type() == SS_VALUE_DATE && read["list"][4].as_number() == 86400000);
        CHECK(read["raw"].bytes() == "\xff" && read["raw"].type() == SS_VALUE_BYTE_ARRAY);
        CHECK(read["xml"].type() == SS_VALUE_XML_DOCUMENT && read["xml"].as_string() == "<a/>");
        CHECK(read["ints"][0].as_int() == -1 && read["uints"][0].as_number() == 4000000000);
        CHECK(read["numbers"].type() == SS_VALUE_VECTOR_NUMBER && read["numbers"][0].as_number() == 0.5);
        CHECK(read["points"].class_name() == "com.example.Point" && read["points"][0].type() == SS_VALUE_OBJECT);
        CHECK(read["dictionary"][0].as_int() == 7 && read["dictionary"][1].bytes() == "seven");
        CHECK(wire.sent(all["list"]).item_count() == 5); // a part by itself
        CHECK(wire.sent(42).as_int() == 42 && wire.sent("text").bytes() == "text");
        CHECK(wire.sent(nullptr).type() == SS_VALUE_NULL && wire.sent(all["no such"]).type() == SS_VALUE_UNDEFINED);
    }
}

void an_object_that_has_not_come_as_a_whole_is_waited_for()
{
    connection wire;
    CHECK(THROWN(ss::eof_error, wire.in.read_object()).air_id() == 2030);
    CHECK(!wire.in.try_read_object());
    wire.out.write("\x06\x09" "te"); // a string of four bytes
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 4; });
    CHECK(!wire.in.try_read_object());
    THROWN(ss::eof_error, wire.in.read_object());
    CHECK(wire.in.bytes_available() == 4);
    wire.out.write("xt");
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 6; });
    CHECK(wire.in.read_object().bytes() == "text" && wire.in.bytes_available() == 0);
}

void what_is_no_object_is_not_read_nor_written()
{
    connection wire;
    wire.out.write("\x7f");
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 1; });
    CHECK(THROWN(ss::argument_error, wire.in.read_object()).air_id() == 2008);
    THROWN(ss::argument_error, wire.in.try_read_object());
    CHECK(wire.in.bytes_available() == 1);
    ss::value vector = ss::value::vector_of_int();
    vector.add("no number");
    CHECK(THROWN(ss::argument_error, wire.out.write_object(vector)).air_id() == 2004);
    wire.out.set_option(SS_OPT_WRITE_LIMIT, 4);
    CHECK(THROWN(ss::range_error, wire.out.write_object("too long")).air_id() == 2006);
    wire.out.close();
    CHECK(THROWN(ss::io_error, wire.out.write_object(1)).air_id() == 2002);
    THROWN(ss::io_error, wire.out.try_read_object());
}

/* ---- Exceptions: out of the innermost call that ran the listener, and out of nothing else ---- */

/* What is caught within a listener is nobody's business outside: the loop runs on. */
void a_dispatch_whose_exception_is_caught_leaves_the_run_alone()
{
    ss::loop loop;
    ss::server server = listening(loop);
    ss::server other(loop);
    other.add_listener("x", [] { throw 1; });
    int connects = 0, caught = 0;
    const ss::loop_remote remote = loop.remote();
    server.on_connect([&] {
        try {
            other.dispatch(ss::event("x"));
        } catch (int) {
            ++caught;
        }
        if (++connects == 2)
            remote.stop();
    });
    client one(server.local_port());
    std::thread later([&, port = server.local_port()] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        client two(port);
    });
    loop.run();
    later.join();
    CHECK(connects == 2 && caught == 2);
}

void a_harmless_dispatch_throws_nothing_of_anothers()
{
    ss::loop loop;
    ss::server server(loop), other(loop);
    bool harmless_returned = false;
    other.add_listener("harmless", [] {});
    server.add_listener("x", [&] {
        CHECK(other.dispatch(ss::event("harmless")));
        harmless_returned = true;
    }, 1);
    server.add_listener("x", [] { throw std::runtime_error("of the outer dispatch"); });
    THROWN(std::runtime_error, server.dispatch(ss::event("x")));
    CHECK(harmless_returned);
    CHECK(other.dispatch(ss::event("harmless")));
}

/* A listener of one loop polls another, whose task throws. */
void the_exception_of_an_inner_loop_stays_there_if_it_is_caught()
{
    ss::loop outer, inner;
    int turns = 0, caught = 0;
    std::function<void()> tick = [&] {
        inner.post([] { throw 1; });
        try {
            inner.poll(std::chrono::milliseconds(0));
        } catch (int) {
            ++caught;
        }
        if (++turns < 5)
            outer.post([&] { tick(); });
    };
    outer.post([&] { tick(); });
    outer.run();
    CHECK(turns == 5 && caught == 5);
    outer.post([&] {
        inner.post([] { throw std::logic_error("all the way"); });
        inner.poll(std::chrono::milliseconds(0));
    });
    THROWN(std::logic_error, outer.run());
    inner.post([&] { ++turns; });
    CHECK(inner.poll(std::chrono::milliseconds(0)) == 0 && turns == 6);
}

/* Not even the callables. */
void an_exception_leaks_nothing_and_the_loop_is_usable()
{
    ss::loop loop;
    ss::server server = listening(loop);
    const token alive = std::make_shared<int>();
    int echoed = 0;
    server.on_connect([&, alive](ss::event &event) {
        const ss::socket &peer = event.socket();
        peer.keep();
        peer.on_data([&, alive](ss::event &data) {
            data.target_socket().take();
            if (++echoed == 1)
                throw std::runtime_error("once");
        });
        peer.on_close([alive] { throw std::logic_error("at the end"); });
    });
    const long before = alive.use_count();
    {
        client peer(server.local_port());
        peer.send("x");
        THROWN(std::runtime_error, loop.run());
        peer.send("y");
        pump_until(loop, [&] { return echoed == 2; });
        CHECK(alive.use_count() == before + 2);
    }
    THROWN(std::logic_error, loop.run());
    pump_until(loop, [&] { return alive.use_count() == before; });
}

/* AddressSanitizer knows of exceptions, not of this unwinding: it takes the stack that was left for one still in use. */
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

#if defined(__linux__) && !defined(ADDRESS_SANITIZER)
/* The end of a thread unwinds it: no catch and no noexcept may be in its way. */
void a_thread_that_ends_in_a_listener_is_unwound()
{
    struct witness {
        std::atomic<int> *seen;
        ~witness() { ++*seen; }
    };
    std::atomic<int> unwound{0};
    for (const bool is_cancelled : {false, true}) {
        std::thread ending([&] {
            const witness whole{&unwound};
            ss::loop loop;
            ss::server server(loop);
            const auto leave = [&] {
                const witness inside{&unwound};
                if (is_cancelled) {
                    ::pthread_cancel(::pthread_self());
                    for (;;)
                        ::pthread_testcancel();
                }
                ::pthread_exit(nullptr);
            };
            server.add_listener("x", leave);
            loop.post([&] { server.dispatch(ss::event("x")); });
            loop.run();
            fail("the thread has ended", __LINE__);
        });
        ending.join();
    }
    CHECK(unwound == 4);
}
#endif

/* ---- Listeners ---- */

void a_listener_removed_twice_removes_nobody_else()
{
    ss::loop loop;
    ss::server server(loop);
    int calls = 0;
    const auto count = [&calls] { ++calls; };
    for (int turn = 0; turn < 100; ++turn) { // malloc likes to use an address again
        const ss::listener gone = server.add_listener("x", count), copy = gone;
        server.remove_listener(gone);
        const ss::listener other = server.add_listener("x", count);
        server.remove_listener(gone);
        server.remove_listener(copy);
        server.dispatch(ss::event("x"));
        CHECK(calls == turn + 1);
        server.remove_listener(other);
        CHECK(!server.has_listener("x"));
    }
    ss::listener empty;
    server.remove_listener(empty);
    CHECK(!empty && server.add_listener("x", count));
    ss::listener outlives;
    {
        ss::server short_lived(loop);
        outlives = short_lived.add_listener("x", count);
    }
    server.remove_listener(outlives);
    CHECK(server.has_listener("x"));
}

void a_listener_may_take_no_argument_and_be_called_once()
{
    ss::loop loop;
    const ss::server server(loop);
    int once = 0, always = 0, by_function = 0;
    const token alive = std::make_shared<int>();
    server.once("x", [&, alive] {
        ++once;
        CHECK(alive.use_count() == 2); // still there, though it is removed
        server.dispatch(ss::event("x")); // which it does not hear
    });
    server.add_listener("x", [&] { ++always; });
    static int *counted;
    counted = &by_function;
    server.add_listener("x", +[](const ss::event &) { ++*counted; });
    for (int turn = 0; turn < 3; ++turn)
        server.dispatch(ss::event("x"));
    CHECK(once == 1 && alive.use_count() == 1 && always == 4 && by_function == 4);

    server.once("y", [alive] { throw std::runtime_error("once"); });
    THROWN(std::runtime_error, server.dispatch(ss::event("y")));
    CHECK(!server.has_listener("y") && alive.use_count() == 1);
    const ss::listener never = server.once("y", [] { fail("was removed", __LINE__); });
    server.remove_listener(never);
    server.dispatch(ss::event("y"));
}

/* A lambda that has captured a socket calls it without mutable; a member function of a const object does, too. */
void references_are_used_where_they_are_const()
{
    ss::loop loop;
    const ss::server server = listening(loop);
    const ss::socket out(loop);
    out.connect("127.0.0.1", server.local_port());
    std::string came;
    server.on_connect([&came](const ss::event &event) {
        event.socket().keep();
        event.socket().on_data([&came](const ss::event &data) { came += data.target_socket().read_all(); });
    });
    out.once(SS_EVENT_CONNECT, [out] {
        out.write("written");
        out.flush();
    });
    pump_until(loop, [&] { return came == "written"; });
    out.close();
}

/* ---- What an event hands out is lent ---- */

void what_is_copied_from_an_event_outlives_it()
{
    ss::loop loop;
    const ss::server server = listening(loop);
    ss::event copied(nullptr), moved(nullptr), assigned(nullptr);
    ss::socket kept(nullptr);
    ss_event *detached = nullptr, *lent = nullptr;
    server.on_connect([&](ss::event &event) {
        lent = event.get();
        CHECK(event.target_server() == server && !event.target_socket());
        copied = event;
        ss::event first = std::move(event); // a copy: it is not ours
        CHECK(event.get() == lent && first == event);
        moved = std::move(first);
        assigned = std::move(event);
        detached = event.detach();
        kept = event.socket();
        CHECK(&event.socket() == &event.socket());
    });
    client peer(server.local_port());
    pump_until(loop, [&] { return kept != nullptr; });
    CHECK(ss_object_kind(lent) == SS_KIND_EVENT && kept.connected());
    CHECK(copied.get() == lent && moved == copied && assigned == copied && detached == lent);
    CHECK(copied.type() == SS_EVENT_CONNECT && copied.socket() == kept && moved.target_server() == server);
    CHECK(ss_release(detached) == SS_OK);
    copied = nullptr;
    moved = std::move(assigned);
    CHECK(ss_object_kind(lent) == SS_KIND_EVENT);
    moved = ss::event(nullptr);
    CHECK(ss_object_kind(lent) == 0);
    ss_socket *handle = kept.get();
    kept = nullptr;
    CHECK(ss_object_kind(handle) == 0);
    pump_until(loop, [&] { return peer.at_end(); });
}

/* A listener may have its event go: it was only lent. */
void what_is_assigned_to_a_lent_event_does_not_end_it()
{
    ss::loop loop;
    const ss::server server(loop);
    int heard = 0;
    server.add_listener("x", [](ss::event &event) { event = ss::event("another"); }, 1);
    server.add_listener("x", [&](ss::event &event) {
        CHECK(event.type() == "x" && event.target_server() == server);
        ++heard;
    });
    const ss::event event("x");
    server.dispatch(event);
    CHECK(heard == 1 && event.type() == "x" && event.target_server() == server);
    ss::event of_the_dead = [&] {
        const ss::server dying(loop);
        const ss::event own("y");
        dying.add_listener("y", [] {});
        dying.dispatch(own);
        CHECK(own.target_server() == dying);
        return own;
    }();
    CHECK(!of_the_dead.target_server());
}

/* ---- keep() ---- */

/* A server whose next peer is told to `accept`, and whether its socket is still there. */
struct keeping {
    ss::loop loop;
    ss::server server = listening(loop);
    ss::weak_socket kept;

    template <class Accept> explicit keeping(Accept accept)
    {
        server.on_connect([this, accept](ss::event &event) {
            kept = event.socket();
            accept(event.socket());
        });
    }
    void peer_comes_and_goes()
    {
        client peer(server.local_port());
        pump_until(loop, [&] { return !kept.expired(); });
        for (int turn = 0; turn < 5; ++turn)
            loop.poll(std::chrono::milliseconds(1));
        CHECK(kept.lock().connected());
    }
    void check_gone()
    {
        pump_until(loop, [&] { return kept.expired(); });
        CHECK(kept.lock() == nullptr);
    }
};

void a_kept_socket_goes_with_its_connection_whatever_its_listeners_do()
{
    keeping twice([](const ss::socket &peer) {
        peer.keep();
        peer.keep();
        peer.keep();
    });
    twice.peer_comes_and_goes();
    twice.check_gone();

    keeping stopped([](const ss::socket &peer) {
        peer.add_listener(SS_EVENT_CLOSE, [](ss::event &close) { close.stop_immediate_propagation(); }, INT32_MAX - 1);
        peer.keep();
        peer.on_close([](ss::event &close) { close.stop_immediate_propagation(); });
    });
    stopped.peer_comes_and_goes();
    stopped.check_gone();

    keeping throwing([](const ss::socket &peer) {
        peer.keep();
        peer.on_close([] { throw std::runtime_error("at the end"); });
    });
    throwing.peer_comes_and_goes();
    THROWN(std::runtime_error, throwing.check_gone());
    throwing.check_gone();

    int own = 0;
    keeping dispatching([&own](const ss::socket &peer) {
        peer.keep();
        peer.on_close([&own] { ++own; });
        peer.dispatch(ss::event(SS_EVENT_CLOSE)); // which ends nothing
        CHECK(own == 1);
    });
    dispatching.peer_comes_and_goes();
    dispatching.check_gone();
    CHECK(own == 2);

    keeping closing([](const ss::socket &peer) {
        peer.keep();
        peer.on_data([](ss::event &data) { data.target_socket().abort(); });
    });
    {
        client peer(closing.server.local_port());
        peer.send("x");
        pump_until(closing.loop, [&] { return !closing.kept.expired(); });
        closing.check_gone();
    }
}

void a_socket_is_kept_while_it_connects()
{
    ss::loop loop;
    const int port = listening(loop).local_port(); // nobody's any more
    int failures = 0;
    ss::weak_socket refused, given_up, never_connected;
    {
        const ss::socket client(loop);
        refused = client;
        client.on_io_error([&failures] { ++failures; });
        client.keep();
        client.connect("127.0.0.1", port);
        client.keep();
        const ss::socket other(loop);
        given_up = other;
        other.connect("127.0.0.1", port);
        other.keep();
        const ss::socket third(loop);
        never_connected = third;
        third.keep();
    }
    CHECK(!refused.expired() && !given_up.expired() && never_connected.expired());
    given_up.lock().close();
    CHECK(given_up.expired());
    pump_until(loop, [&] { return refused.expired(); });
    CHECK(failures == 1);
}

/* ---- Texts and bytes ---- */

void a_text_with_a_nul_is_refused_or_sent_whole()
{
    const std::string text("ab\0cd", 5);
    connection wire;
    const auto sent = [&](const auto &write) {
        const std::size_t before = wire.in.bytes_available();
        write();
        wire.out.flush();
        pump_until(wire.loop, [&] { return wire.in.bytes_available() > before; });
        return wire.in.read_all();
    };
    CHECK(sent([&] { wire.out.write_utf_bytes(text); }) == text);
    CHECK(sent([&] { wire.out.write_utf(text); }) == std::string("\0\5", 2) + text);
    CHECK(sent([&] { wire.out.write_utf(std::string_view("ab")); }) == std::string("\0\2ab", 4));
    wire.out.set_endian(SS_LITTLE_ENDIAN);
    CHECK(sent([&] { wire.out.write_utf(text); }) == std::string("\5\0", 2) + text);
    CHECK(sent([&] { wire.out.write_utf(std::string(300, '\0')); }) == std::string("\x2c\x01", 2) + std::string(300, '\0'));
    CHECK(sent([&] { wire.out.write(text); }) == text && sent([&] { wire.out.write("ab\0cd"); }) == text);
    CHECK(sent([&] { wire.out.write_multi_byte("ab", std::string("utf-8")); }) == "ab");
    CHECK(THROWN(ss::range_error, wire.out.write_utf(std::string(65536, '\0'))).air_id() == 2006);
    CHECK(THROWN(ss::type_error, wire.out.write_utf(static_cast<const char *>(nullptr))).air_id() == 2007);

    THROWN(std::invalid_argument, wire.out.write_multi_byte(text, "utf-8"));
    THROWN(std::invalid_argument, wire.out.write_multi_byte("ab", text));
    THROWN(std::invalid_argument, wire.in.read_multi_byte(0, text));
    THROWN(std::invalid_argument, ss::event{text});
    THROWN(std::invalid_argument, wire.in.add_listener(text, [] {}));
    THROWN(std::invalid_argument, wire.in.once(text, [] {}));
    THROWN(std::invalid_argument, wire.in.has_listener(text));
    THROWN(ss::type_error, wire.in.add_listener(static_cast<const char *>(nullptr), [] {}));
    ss::server server(wire.loop);
    THROWN(std::invalid_argument, server.bind(0, std::string("127.0.0.1\0x", 11)));
    CHECK(!server.bound());
    ss::socket out(wire.loop);
    THROWN(std::invalid_argument, out.connect(std::string("127.0.0.1\0.evil.example", 23), wire.server.local_port()));
    THROWN(std::invalid_argument, out.connect(std::string_view("127.0.0.1\0", 10), wire.server.local_port()));
    out.connect(std::string_view("127.0.0.1 and more", 9), wire.server.local_port());
    std::error_code code;
    out.connect(text, 1, code);
    CHECK(code == std::errc::invalid_argument);
    pump_until(wire.loop, [&] { return out.connected(); }); // the other attempt was left alone
}

void arrays_are_written_by_their_size()
{
    const auto is = [](ss::bytes bytes, std::string_view expected) { return bytes.text() == expected; };
    char four[4] = {1, 2, 3, 4}, ended[4] = {'a', 0, 'b', 0};
    const std::uint8_t octets[4] = {0, 255, 0, 0};
    std::uint8_t writable[2] = {7, 0};
    const std::byte raw[3] = {std::byte{1}, std::byte{0}, std::byte{2}};
    signed char negative[1] = {-1};
    const char not_ended[2] = {'n', 'o'};
    CHECK(is(four, "\1\2\3\4") && is(ended, std::string_view("a\0b\0", 4)) && is(not_ended, "no"));
    CHECK(is(octets, std::string_view("\0\xff\0\0", 4)) && is(writable, std::string_view("\7\0", 2)));
    CHECK(is(raw, std::string_view("\1\0\2", 3)) && is(negative, "\xff"));
    CHECK(is("text", "text") && is("", "") && is("a\0b", std::string_view("a\0b", 3)));
    const char *pointer = "pointer";
    char *to_four = ended;
    CHECK(is(pointer, "pointer") && is(to_four, "a") && is(std::string_view(ended), "a"));
    CHECK(is(std::string("a\0b", 3), std::string_view("a\0b", 3)) && is(std::vector<char>{'v'}, "v"));
    CHECK(is(std::array<std::byte, 1>{{std::byte{'b'}}}, "b") && is({four, 2}, "\1\2"));
#ifdef __cpp_char8_t
    CHECK(is(u8"text", "text"));
#endif
    static_assert(!std::is_constructible_v<ss::bytes, std::nullptr_t> && !std::is_constructible_v<ss::bytes, int[4]>);
    static_assert(!std::is_constructible_v<ss::text, std::nullptr_t> && !std::is_constructible_v<ss::bytes, void *>);
    THROWN(std::invalid_argument, ss::bytes{static_cast<const char *>(nullptr)});

    const ss::bytes all(four);
    CHECK(is(all.subspan(1), "\2\3\4") && is(all.subspan(1, 2), "\2\3") && is(all.subspan(3, 9), "\4"));
    CHECK(all.subspan(4).empty() && all.subspan(9).empty() && all.subspan(0).size() == 4);
    CHECK(std::vector<std::uint8_t>(all.begin(), all.end()) == (std::vector<std::uint8_t>{1, 2, 3, 4}));
    static_assert(std::is_same_v<std::iterator_traits<ss::bytes::iterator>::value_type, ss::bytes::value_type>);

    connection wire;
    wire.out.write(four);
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 4; });
    CHECK(wire.in.take().text() == "\1\2\3\4" && wire.in.take().empty() && wire.in.bytes_available() == 0);
    wire.out.write_vector({"head ", std::string("body "), four});
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 14; });
    CHECK(wire.in.take().text() == "head body \1\2\3\4");
    wire.out.write_vector({});
    THROWN(ss::range_error, (wire.out.set_option(SS_OPT_WRITE_LIMIT, 5), wire.out.write_vector({"abc", "def"})));
}

void reading_all_of_nothing_is_an_empty_string()
{
    ss::loop loop;
    ss::server server = listening(loop);
    std::vector<std::string> rests;
    server.on_connect([&](ss::event &event) {
        event.socket().keep();
        event.socket().on_close([&](ss::event &close) { rests.push_back(close.target_socket().read_all()); });
    });
    for (const char *text : {"rest", ""}) {
        client peer(server.local_port());
        peer.send(text);
        peer.end();
        const std::size_t before = rests.size();
        pump_until(loop, [&] { return rests.size() > before; });
        CHECK(rests.back() == text);
    }
    CHECK(ss::socket(loop).read_all().empty());
    THROWN(ss::handle_error, ss::socket(nullptr).read_all());
    THROWN(ss::io_error, ss::socket(loop).read_string(1));
}

/* ---- Values ---- */

void iterators_hold_what_they_go_along()
{
    auto first = ss::value::array(1, 2, 3).items().begin();
    CHECK((*first).as_int() == 1 && (*++first).as_int() == 2 && (*first++).as_int() == 2 && (*first).as_int() == 3);
    auto properties = [] {
        ss::value object = ss::value::object();
        object.set("name", "Ann");
        return object.properties();
    }();
    CHECK(properties.size() == 1 && !properties.empty() && (*properties.begin()).content.bytes() == "Ann");
    const auto list = ss::value::array(1, 2, 3).items();
    const std::vector<ss::value> copy(list.begin(), list.end());
    CHECK(copy.size() == 3 && copy[2].as_int() == 3 && std::distance(list.begin(), list.end()) == 3);
    const auto found = std::find_if(list.begin(), list.end(), [](const ss::value &item) { return item.as_int() == 2; });
    CHECK(found != list.end() && (*found).as_int() == 2);
    using iterator = decltype(list.begin());
    static_assert(std::is_same_v<std::iterator_traits<iterator>::value_type, ss::value>);
    static_assert(std::is_same_v<std::iterator_traits<iterator>::iterator_category, std::input_iterator_tag>);
#if __cplusplus >= 202002L && defined(__cpp_lib_concepts)
    static_assert(std::input_iterator<iterator>);
#endif
}

void a_date_is_a_time()
{
    using namespace std::chrono;
    const system_clock::time_point when = system_clock::time_point(milliseconds(1700000000123));
    const ss::value date = ss::value::date(when);
    CHECK(date.type() == SS_VALUE_DATE && date.as_number() == 1700000000123.0 && date.as_time() == when);
    date.set_date(when - hours(1));
    CHECK(date.as_time() == when - hours(1));
    CHECK(ss::value::date(-1500.0).as_time() == system_clock::time_point(milliseconds(-1500)));
    CHECK(ss::value::date(std::nan("")).as_time() == system_clock::time_point());
    CHECK(ss::value::date(HUGE_VAL).as_time() == system_clock::time_point::max());
    CHECK(ss::value::date(-HUGE_VAL).as_time() == system_clock::time_point::min());
    CHECK(ss::value("no date").as_time() == system_clock::time_point());
}

/* ---- Errors as codes ---- */

void a_failure_is_an_error_code_where_one_is_given()
{
    std::error_code code = std::make_error_code(std::errc::io_error);
    ss::loop loop(code);
    CHECK(!code && loop);
    ss::server server(loop, code), other(loop, code);
    server.bind(0, "127.0.0.1", code);
    server.listen(0, code);
    CHECK(!code && server.listening());
    other.bind(server.local_port(), "127.0.0.1", code);
    CHECK(code == ss::errc::io && code == std::errc::io_error && code.category() == ss::category());
    CHECK(code.message() == "IOError" && std::string(code.category().name()) == "server_socket");
    CHECK(ss::last_error().os_error() == address_in_use && ss::last_error().os_code() == std::errc::address_in_use);
    other.bind(70000, "", code);
    CHECK(code == ss::errc::range && code == std::errc::result_out_of_range && code != ss::errc::io);
    other.bind(0, "localhost", code);
    CHECK(code == ss::errc::argument && code == std::errc::invalid_argument);
    other.bind(0, "", code);
    CHECK(!code && other.bound());

    ss::socket empty(nullptr);
    CHECK(empty.read_int(code) == 0 && code == ss::errc::handle);
    CHECK(empty.read_string(1, code).empty() && code == ss::errc::handle);
    CHECK(empty.read_all(code).empty() && code == ss::errc::handle);
    CHECK(empty.read_utf(code).empty() && code == ss::errc::handle);
    CHECK(!empty.read_object(code) && code == ss::errc::handle);
    CHECK(!empty.try_read_object(code) && code == ss::errc::handle);
    CHECK(!empty.try_write("x", code) && code == ss::errc::handle);
    CHECK(empty.option(SS_OPT_LINGER, code) == 0 && code == ss::errc::handle);
    CHECK(!empty.on_data([] {}, code) && code == ss::errc::handle);
    CHECK(!empty.add_listener("x", [] {}, 0, false, code) && code == ss::errc::handle);
    CHECK(!empty.dispatch(ss::event("x"), code) && code == ss::errc::handle);
    empty.keep(code);
    CHECK(code == ss::errc::handle);
    empty.set_timeout(std::chrono::milliseconds(-1), code);
    CHECK(code == std::errc::invalid_argument);
    loop.poll(std::chrono::milliseconds(0), code);
    CHECK(!code);
    std::thread([&] {
        std::error_code elsewhere;
        CHECK(loop.poll(std::chrono::milliseconds(0), elsewhere) == 0 && elsewhere == ss::errc::thread);
        CHECK(!ss::server(loop, elsewhere) && elsewhere == ss::errc::thread);
        CHECK(!ss::server::retained(server.get(), elsewhere) && elsewhere == ss::errc::thread);
    }).join();
    const ss::loop_remote remote = loop.remote();
    const token posted = std::make_shared<int>();
    server = other = nullptr;
    loop = nullptr;
    remote.post([posted] {}, code);
    CHECK(code == ss::errc::handle && posted.use_count() == 1);
}

void a_full_socket_is_ordinary()
{
    connection wire;
    wire.out.set_option(SS_OPT_WRITE_LIMIT, 8);
    CHECK(wire.out.try_write("12345678") && !wire.out.try_write("9"));
    std::error_code code;
    CHECK(!wire.out.try_write("9", code) && !code);
    wire.out.write("9", code);
    CHECK(code == ss::errc::full && code == std::errc::resource_unavailable_try_again);
    CHECK(THROWN(ss::full_error, wire.out.write("9")).code() == ss::errc::full);
    pump_until(wire.loop, [&] { return wire.in.bytes_available() == 8; });
    CHECK(wire.in.read_all() == "12345678" && wire.out.try_write("9"));
    THROWN(ss::range_error, (void)wire.out.try_write("123456789"));
    wire.out.close();
    THROWN(ss::io_error, (void)wire.out.try_write("x"));
    CHECK(!wire.out.try_write("x", code) && code == ss::errc::io);
}

void an_error_is_a_system_error()
{
    ss::loop loop;
    ss::server server = listening(loop);
    const std::system_error caught = THROWN(std::system_error, ss::server(loop).bind(server.local_port(), "127.0.0.1"));
    CHECK(caught.code() == ss::errc::io && caught.code().value() == SS_ERR_IO);
    const ss::error whole = THROWN(ss::error, ss::server(loop).bind(server.local_port(), "127.0.0.1"));
    CHECK(whole.os_code() == std::errc::address_in_use && whole.what() == std::string(ss::last_error().what()));
    const ss::error copy = whole;
    CHECK(copy.what() == whole.what() && std::is_nothrow_copy_constructible_v<ss::error>);
    THROWN(std::runtime_error, ss::check(SS_ERR_FULL));
}

/* ---- Handles, words, maps ---- */

void a_c_handle_comes_back_as_a_reference()
{
    ss::loop loop;
    ss_socket *handle = ss_socket_new(loop.get());
    {
        const ss::socket second = ss::socket::retained(handle);
        const ss::socket first = ss::socket::adopted(handle);
        CHECK(first == second && first.get() == handle && ss_object_kind(handle) == SS_KIND_SOCKET);
    }
    CHECK(ss_object_kind(handle) == 0);
    THROWN(ss::handle_error, (void)ss::socket::retained(handle));
    CHECK(!ss::socket::retained(nullptr) && !ss::event::adopted(nullptr));
    ss::server server(loop);
    ss_server *given = server.detach();
    CHECK(!server && ss_object_kind(given) == SS_KIND_SERVER);
    {
        const ss::lent<ss::server> lent(given);
        CHECK(!lent->bound() && *lent != nullptr);
        const ss::server copy = *lent;
        CHECK(copy.get() == given);
    }
    CHECK(ss_release(given) == SS_OK && ss_object_kind(given) == 0);

    struct c_listener {
        static void hear(ss_event *event, void *count)
        {
            const ss::event copy = ss::event::retained(event);
            const ss::lent<ss::event> lent(event);
            CHECK(copy.type() == "x" && lent->type() == "x" && lent->target_server() == copy.target_server());
            ++*static_cast<int *>(count);
        }
    };
    int heard = 0;
    server = ss::server(loop);
    ss::check(ss_add_listener(server.get(), "x", c_listener::hear, &heard, false, 0));
    const ss::event event("x");
    CHECK(server.dispatch(event) && heard == 1 && ss_release(ss::event(event).detach()) == SS_OK);
}

void an_empty_reference_is_made_and_compared_with_nullptr()
{
    ss::socket socket = nullptr;
    ss::server server(nullptr);
    const ss::event event(nullptr);
    const ss::value value;
    CHECK(socket == nullptr && !server && event == nullptr && value == nullptr && !socket.connected());
    THROWN(ss::handle_error, socket.write("x"));
    ss::loop loop;
    socket = ss::socket(loop);
    CHECK(socket != nullptr);
    ss_socket *handle = socket.get();
    socket = nullptr;
    CHECK(socket == nullptr && ss_object_kind(handle) == 0);
    loop = nullptr;
    CHECK(!loop);
}

void a_weak_reference_knows_when_its_object_is_gone()
{
    ss::weak_socket weak;
    ss::loop loop;
    CHECK(weak.expired() && weak.lock() == nullptr);
    {
        const ss::socket socket(loop);
        weak = socket;
        CHECK(!weak.expired() && weak.lock() == socket && weak == ss::weak_socket(socket));
        std::thread([&] { CHECK(weak.expired() && !weak.lock()); }).join();
    }
    CHECK(weak.expired() && !weak.lock() && weak != ss::weak_socket());
    const ss::weak_server server = ss::weak_server(ss::server(loop));
    CHECK(server.expired());
}

void references_are_keys_of_maps()
{
    ss::loop loop;
    std::unordered_map<ss::socket, int> sockets;
    std::unordered_set<ss::weak_socket> weak;
    std::vector<ss_socket *> handles;
    for (int number = 0; number < 10; ++number) {
        const ss::socket socket(loop);
        sockets.emplace(socket, number);
        weak.insert(socket);
        weak.insert(socket);
        handles.push_back(socket.get());
    }
    CHECK(sockets.size() == 10 && weak.size() == 10 && sockets.at(ss::socket::retained(handles[7])) == 7);
    sockets.clear();
    CHECK(ss_object_kind(handles[7]) == 0 && weak.begin()->expired());
    CHECK(std::hash<ss::server>()(ss::server(nullptr)) == std::hash<ss::server>()(nullptr));
    CHECK(std::hash<ss::loop>()(loop) != std::hash<ss::loop>()(nullptr));
    (void)std::unordered_set<ss::event>{ss::event("x")};
    (void)std::unordered_set<ss::value>{ss::value(1)};
}

void a_word_is_attached_to_an_object()
{
    ss::loop loop;
    const token alive = std::make_shared<int>(7);
    {
        const ss::socket socket(loop);
        CHECK(socket.user_data() == nullptr);
        socket.set_user_data(std::make_unique<token>(alive));
        CHECK(**socket.user_data<token>() == 7 && alive.use_count() == 2);
        socket.set_user_data(std::make_unique<token>(alive));
        CHECK(alive.use_count() == 2);
        int word = 5;
        socket.set_user_data(&word);
        CHECK(socket.user_data<int>() == &word && alive.use_count() == 1);
        socket.set_user_data(&word, [](void *that) { *static_cast<int *>(that) = 6; });
        socket.set_user_data(nullptr);
        CHECK(word == 6);
        socket.set_user_data(std::make_unique<token>(alive));
    }
    CHECK(alive.use_count() == 1);
    THROWN(ss::handle_error, ss::socket(nullptr).set_user_data(std::make_unique<token>(alive)));
    CHECK(alive.use_count() == 1);
}

/* A question whose end is the client's, an answer that comes later, and a server that ends when both have ended. */
void either_side_may_end_first_and_a_server_in_peace()
{
    ss::loop loop;
    const ss::server server = listening(loop);
    server.set_half_open(true);
    CHECK(server.half_open());
    std::string told;
    server.on_connect([&](const ss::event &event) {
        const ss::socket peer = event.socket();
        peer.keep();
        peer.on_end([&told, peer] {
            told += "end of " + peer.read_all() + ", ";
            peer.write("answer");
            peer.shutdown();
            THROWN(ss::io_error, peer.write("late"));
        });
        peer.on_close([&told] { told += "close, "; });
    });
    server.on_close([&told](const ss::event &event) { told += event.os_error() == 0 ? "drained" : "overdue"; });
    const ss::socket client(loop);
    THROWN(ss::io_error, client.shutdown());
    client.connect("127.0.0.1", server.local_port());
    client.once(SS_EVENT_CONNECT, [client] {
        client.write("question");
        client.shutdown();
    });
    std::string answer;
    client.on_close([&answer, client] { answer = client.read_all(); });
    pump_until(loop, [&] { return server.stats().accepted == 1; });
    server.drain(std::chrono::minutes(10));
    loop.run();
    CHECK(answer == "answer" && told == "end of question, close, drained");
    std::error_code refused;
    server.drain(std::chrono::hours::max(), refused);
    CHECK(refused);
}

void options_and_waits_are_durations()
{
    using namespace std::chrono;
    ss::loop loop;
    const ss::server server(loop);
    server.set_linger(seconds(5));
    server.set_idle_timeout(minutes(2));
    server.set_keep_alive(minutes(1));
    server.set_read_timeout(seconds(7));
    CHECK(server.read_timeout() == seconds(7) && server.option(SS_OPT_READ_TIMEOUT) == 7000);
    CHECK(server.linger() == milliseconds(5000) && server.option(SS_OPT_LINGER) == 5000);
    CHECK(server.idle_timeout() == minutes(2) && server.option(SS_OPT_IDLE_TIMEOUT) == 120000);
    CHECK(server.keep_alive() == seconds(60) && server.option(SS_OPT_KEEP_ALIVE) == 60);
    THROWN(ss::range_error, server.set_linger(milliseconds(-1)));
    const auto begun = steady_clock::now();
    loop.poll(microseconds(10500)); // rounded up
    CHECK(steady_clock::now() - begun >= milliseconds(10));
    loop.poll(0.001f * seconds(1));
    loop.post([] {});
    loop.poll(hours::max());
    loop.post([] {});
    loop.poll(seconds(-1));
    loop.post([] {});
    loop.poll();
}

void the_log_is_a_callable()
{
    ss::loop loop;
    static std::atomic<int> messages;
    messages = 0;
    const auto fail_to_connect = [&] {
        const ss::socket out(loop);
        int port;
        {
            const ss::server gone = listening(loop);
            port = gone.local_port();
        }
        out.connect("127.0.0.1", port);
        loop.run();
    };
    ss::set_log([](std::int32_t level, std::string_view message) {
        CHECK(level == SS_LOG_ERROR || level == SS_LOG_WARNING);
        CHECK(!message.empty());
        ++messages;
    });
    fail_to_connect();
    const int before = messages;
    CHECK(before > 0);
    ss::set_log(nullptr);
    fail_to_connect();
    CHECK(messages == before);
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

#ifndef _WIN32
void a_path_is_bound_and_connected_to()
{
    ss::loop loop;
    const std::string path =
        (std::filesystem::temp_directory_path() / ("ss-cpp-" + std::to_string(getpid()))).string();
    ss::server server(loop);
    server.bind_path(path);
    CHECK(server.local_address() == path && server.local_port() == 0);
    THROWN(ss::io_error, ss::server(loop).bind_path(path));
    THROWN(std::invalid_argument, ss::server(loop).bind_path(std::string("/a\0b", 4)));
    server.listen();
    ss::credentials seen;
    server.on_connect([&](ss::event &event) {
        const ss::socket peer = event.socket();
        seen = peer.peer_credentials();
        peer.keep();
        peer.write("hello");
    });
    ss::socket out(loop);
    THROWN(std::invalid_argument, out.connect_path(std::string("/a\0b", 4)));
    out.connect_path(path);
    pump_until(loop, [&] { return out.bytes_available() == 5; });
    CHECK(out.read_all() == "hello" && out.remote_address().empty());
    CHECK(seen.uid == geteuid() && seen.gid == getegid());
    server.close();
    CHECK(!std::filesystem::exists(path));
}

void a_connection_is_taken_over()
{
    ss::loop loop;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    ss::socket socket(loop);
    std::error_code code;
    socket.adopt_descriptor(-1, code);
    CHECK(code && !socket.connected());
    socket.adopt_descriptor(ends[0]);
    CHECK(socket.connected() && socket.peer_credentials().uid == geteuid());
    CHECK(::write(ends[1], "hello", 5) == 5);
    pump_until(loop, [&] { return socket.bytes_available() == 5; });
    CHECK(socket.read_all() == "hello");
    ::close(ends[1]);
    pump_until(loop, [&] { return !socket.connected(); });
}
#endif

void a_socket_is_bound_before_it_connects()
{
    ss::loop loop;
    ss::server server = listening(loop);
    int from = 0;
    server.on_connect([&](ss::event &event) { from = event.socket().remote_port(); });
    ss::socket out(loop);
    THROWN(ss::range_error, out.bind(-1));
    THROWN(std::invalid_argument, out.bind(0, std::string("127.0.0.1\0", 10)));
    out.bind(0, "127.0.0.1");
    THROWN(ss::argument_error, out.connect("::1", server.local_port()));
    out.connect("127.0.0.1", server.local_port());
    pump_until(loop, [&] { return from != 0; });
    CHECK(out.local_port() == from);
    THROWN(ss::unsupported_error, out.peer_credentials());
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

// How many threads this process has, an emulator's among them; 0 where the system does not tell.
static std::ptrdiff_t threads()
{
    const std::filesystem::path tasks = "/proc/self/task";
    if (!std::filesystem::exists(tasks))
        return 0;
    return std::distance(std::filesystem::directory_iterator(tasks), std::filesystem::directory_iterator());
}

// The library's thread for names waits half a second for more to do. One that still lives at the end of the process keeps
// its stack, which valgrind takes for a possible leak.
static void threads_for_names_end_by_themselves(std::ptrdiff_t before)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (threads() > before) {
        CHECK(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

int main()
{
    start_sockets();
    const std::ptrdiff_t threads_at_first = threads();
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
    an_exception_leaves_the_dispatch_at_once();
    an_exception_is_thrown_from_poll_and_from_run();
    tasks_come_from_other_threads_and_stop_ends_the_run();
    a_timer_calls_a_callable_for_as_long_as_it_is_kept();
    a_timer_stops_throws_and_refuses();
    a_socket_connects_reads_and_writes_typed();
    values_say_what_they_were_made_of();
    numbers_are_ints_where_they_fit();
    values_are_not_made_by_accident();
    a_value_is_built_and_walked();
    items_may_be_added_while_they_are_walked();
    a_part_keeps_its_whole();
    exceptions_lose_no_reference();
    assigning_shares_or_copies();
    what_is_not_there_is_passed_on_as_undefined();
    what_cannot_be_set_throws_and_changes_nothing();
    a_name_with_a_nul_is_another_name();
    objects_are_written_and_read_in_both_encodings();
    an_object_that_has_not_come_as_a_whole_is_waited_for();
    what_is_no_object_is_not_read_nor_written();
    a_dispatch_whose_exception_is_caught_leaves_the_run_alone();
    a_harmless_dispatch_throws_nothing_of_anothers();
    the_exception_of_an_inner_loop_stays_there_if_it_is_caught();
    an_exception_leaks_nothing_and_the_loop_is_usable();
#if defined(__linux__) && !defined(ADDRESS_SANITIZER)
    a_thread_that_ends_in_a_listener_is_unwound();
#endif
    a_listener_removed_twice_removes_nobody_else();
    a_listener_may_take_no_argument_and_be_called_once();
    references_are_used_where_they_are_const();
    what_is_copied_from_an_event_outlives_it();
    what_is_assigned_to_a_lent_event_does_not_end_it();
    a_kept_socket_goes_with_its_connection_whatever_its_listeners_do();
    a_socket_is_kept_while_it_connects();
    a_text_with_a_nul_is_refused_or_sent_whole();
    arrays_are_written_by_their_size();
    reading_all_of_nothing_is_an_empty_string();
    iterators_hold_what_they_go_along();
    a_date_is_a_time();
    a_failure_is_an_error_code_where_one_is_given();
    a_full_socket_is_ordinary();
    an_error_is_a_system_error();
    a_c_handle_comes_back_as_a_reference();
    an_empty_reference_is_made_and_compared_with_nullptr();
    a_weak_reference_knows_when_its_object_is_gone();
    references_are_keys_of_maps();
    a_word_is_attached_to_an_object();
    either_side_may_end_first_and_a_server_in_peace();
    options_and_waits_are_durations();
    the_log_is_a_callable();
    a_refused_connection_is_an_event();
#ifndef _WIN32
    a_path_is_bound_and_connected_to();
    a_connection_is_taken_over();
#endif
    a_socket_is_bound_before_it_connects();
    the_descriptor_and_the_timeout_are_for_other_loops();
    threads_for_names_end_by_themselves(threads_at_first);
    std::puts("all passed");
    return 0;
}
