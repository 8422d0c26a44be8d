/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The C++ header with -fno-exceptions and -fno-rtti: every failure is a std::error_code, or ends the program. Given a word, the
 * program does what fails without one. */

#include <server_socket.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

void fail(const char *what, int line)
{
    std::fprintf(stderr, "no_exceptions.cpp:%d: not true: %s\n", line, what);
    std::_Exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

void end_by(const std::string &what)
{
    if (what == "status")
        ss::server().listen();
    if (what == "nul")
        ss::server().bind(0, std::string("127.0.0.1\0x", 11));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1)
        end_by(argv[1]);
    std::error_code code;
    const ss::loop loop(code);
    CHECK(!code);
    const ss::server server(loop, code);
    server.listen(0, code);
    CHECK(code == ss::errc::io && ss::last_error().air_id() == 2002);
    server.bind(0, std::string("127.0.0.1\0x", 11), code);
    CHECK(code == std::errc::invalid_argument && !server.bound());
    server.bind(0, "127.0.0.1", code);
    server.listen(0, code);
    server.on_connect([](ss::event &event) {
        std::error_code failed;
        const ss::socket &peer = event.socket();
        peer.keep(failed);
        peer.on_data([](ss::event &data) {
            std::error_code error;
            const ss::socket &from = data.target_socket();
            while (const ss::value object = from.try_read_object(error))
                from.write_object(object, error);
            CHECK(!error);
        }, failed);
        CHECK(!failed);
    }, code);
    CHECK(!code);

    const ss::socket client(loop, code);
    std::string answer;
    client.once(SS_EVENT_CONNECT, [&] { client.write_object("echo", code); }, 0, code);
    client.on_data([&] {
        if (const ss::value object = client.try_read_object(code)) {
            answer = object.as_string();
            loop.stop(code);
        }
    }, code);
    client.connect("127.0.0.1", server.local_port(), code);
    CHECK(!code);
    loop.run(code);
    CHECK(!code && answer == "echo");
    CHECK(client.read_int(code) == 0 && code == ss::errc::eof);
    CHECK(client.try_write(std::string(100000, 'x'), code) && !code);
    std::puts("all passed");
    return 0;
}
