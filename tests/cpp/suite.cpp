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
#include <cmath>
#include <cstdint>
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
    THROWN(ss::eof_error, in.read_string(SIZE_MAX / 2));
    CHECK(in.read_string(3) == std::string("\x01\x02\x03") && in.read_all() == "ok");
    THROWN(ss::eof_error, in.read_byte());
    in.set_option(SS_OPT_WRITE_LIMIT, 4);
    CHECK(in.option(SS_OPT_WRITE_LIMIT) == 4);
    THROWN(ss::full_error, in.write("too long"));
    CHECK(out.bytes_pending() == 0);
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
    THROWN(ss::full_error, wire.out.write_object("too long"));
    wire.out.close();
    CHECK(THROWN(ss::io_error, wire.out.write_object(1)).air_id() == 2002);
    THROWN(ss::io_error, wire.out.try_read_object());
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
    an_exception_is_thrown_from_the_dispatch_and_the_others_run();
    an_exception_is_thrown_from_poll_and_from_run();
    tasks_come_from_other_threads_and_stop_ends_the_run();
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
    a_refused_connection_is_an_event();
    the_descriptor_and_the_timeout_are_for_other_loops();
    threads_for_names_end_by_themselves(threads_at_first);
    std::puts("all passed");
    return 0;
}
