/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ss::tls: a secure server and its clients, both on one loop. The first failure ends the program with 1. */

#include <server_socket.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <unordered_set>

namespace {

/* For "localhost", and its own issuer. The keys are no secrets: they are here. */
const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBkjCCATigAwIBAgIUYUVhEyDPmf1zDMYhRd2dHKeVzGgwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI0MDEwMTAwMDAwMFoYDzIxMjMxMjA4\n"
    "MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAQbq5GsH77LhyMxjyWtNmfXjbNeCcqEra3bMsTu4jxLPczk/VKI2G8U\n"
    "NlznxjdiQ4nTTEcmi1m2auCzSO9dud1so2YwZDAdBgNVHQ4EFgQU3nukb31JgcqM\n"
    "r/pLWCQ3FcOcecswHwYDVR0jBBgwFoAU3nukb31JgcqMr/pLWCQ3FcOcecswFAYD\n"
    "VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAw\n"
    "RQIgFLjYDRLwOyEYr144PG4Ei8dkDI0pzEvCXkkLYqD6pcMCIQDW0wpPR0G1pXw+\n"
    "CsnXCBUvtT5SFIYNsmSD6lY1q3fpZg==\n"
    "-----END CERTIFICATE-----\n";
const char private_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgx0iymjbKbWIl6PwH\n"
    "xP6pVFnTEsxoNEX7H33U0xwa6SWhRANCAAQbq5GsH77LhyMxjyWtNmfXjbNeCcqE\n"
    "ra3bMsTu4jxLPczk/VKI2G8UNlznxjdiQ4nTTEcmi1m2auCzSO9dud1s\n"
    "-----END PRIVATE KEY-----\n";
const char another_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgN0OX1IuWiL1tCCpD\n"
    "IoCX600BL+Fnw3nRG5srZWk+AuqhRANCAASVNbRV6q/d67oarwK+2J6Xm0bfjvuD\n"
    "8wSnH5QUXISucK0wEbU49tScOfOcbcMQWSCox3JJAzsSivrwYJmK1w4S\n"
    "-----END PRIVATE KEY-----\n";

void fail(const char *what, int line)
{
    std::fprintf(stderr, "tls.cpp:%d: %s\n", line, what);
    std::_Exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail("not true: " #condition, __LINE__))

void pump_until(const ss::loop &loop, const std::function<bool()> &done)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end)
            fail("what the test waits for did not happen", __LINE__);
        loop.poll(std::chrono::milliseconds(5));
    }
}

ss::tls with_identity()
{
    ss::tls tls;
    tls.set_identity(certificate, private_key);
    tls.set_protocols("other,echo/1");
    return tls;
}

ss::tls that_trusts_it()
{
    ss::tls tls;
    tls.add_certificate(certificate, true);
    tls.set_protocols("echo/1");
    return tls;
}

ss::server echoing(const ss::loop &loop)
{
    ss::server server(loop);
    server.set_tls(with_identity());
    server.on_connect([](ss::event &event) {
        const ss::socket &peer = event.socket();
        CHECK(peer.tls_version() == 13 && peer.server_name() == "localhost" && peer.protocol() == "echo/1");
        CHECK(peer.peer_certificate().empty());
        peer.keep();
        peer.on_data([](ss::event &data) { data.target_socket().write(data.target_socket().take()); });
    });
    server.bind(0, "127.0.0.1");
    server.listen();
    return server;
}

void a_secure_echo_says_with_whom_it_speaks()
{
    ss::loop loop;
    ss::server server = echoing(loop);
    ss::socket client(loop);
    std::string got;
    client.set_tls(that_trusts_it(), "localhost");
    client.on_connect([](ss::event &event) { event.target_socket().write("hello"); });
    client.on_data([&got](ss::event &event) { got += event.target_socket().read_all(); });
    client.connect("127.0.0.1", server.local_port());
    CHECK(client.tls_version() == 0);
    pump_until(loop, [&] { return got == "hello"; });
    CHECK(client.tls_version() == 13 && client.protocol() == "echo/1" && client.server_name() == "localhost");
    CHECK(client.certificate_status() == "trusted" && !client.peer_certificate().empty());
    CHECK(client.peer_certificate(1).empty());
    client.close();
    CHECK(client.certificate_status() == "trusted");
}

void whom_nobody_trusts_is_an_io_error_and_the_server_hears_of_it()
{
    ss::loop loop;
    ss::server server = echoing(loop);
    std::string why, said;
    server.on_handshake_error([&why](ss::event &event) { why = event.detail(); });
    for (const auto &[trusts, name, status] : {std::tuple<bool, const char *, const char *>{false, "localhost", "untrustedSigners"},
                                              {true, "example.org", "principalMismatch"}}) {
        ss::socket client(loop);
        why = said = "";
        client.set_tls(trusts ? that_trusts_it() : ss::tls(), name);
        client.on_connect([] { fail("it is connected", __LINE__); });
        client.on_io_error([&said](ss::event &event) { said = event.detail(); });
        client.connect("127.0.0.1", server.local_port());
        pump_until(loop, [&] { return !said.empty() && !why.empty(); });
        CHECK(client.certificate_status() == status && !client.peer_certificate().empty());
    }
}

void what_does_not_fit_is_refused()
{
    ss::tls tls;
    std::error_code code;
    tls.set_identity(certificate, another_key, "", code);
    CHECK(code == ss::errc::argument);
    tls.set_identity(certificate, "", "", code);
    CHECK(code == ss::errc::argument);
    tls.set_identity("", private_key, "", code);
    CHECK(code == ss::errc::argument);
    tls.remove_identity("", code);
    CHECK(code == ss::errc::argument); // there is none
    tls.set_identity(certificate, private_key, std::string("a\0b", 3), code);
    CHECK(code == std::errc::invalid_argument);
    tls.add_certificate("nothing", true, code);
    CHECK(code == ss::errc::argument);
    tls.set_protocols("a,,b", code);
    CHECK(code == ss::errc::argument);
    tls.set_ticket_secret("short", code);
    CHECK(code == ss::errc::argument);
    tls.set_ticket_secret(std::string(32, 'x'), code);
    CHECK(!code);
    tls.refuse_tickets();
    tls.set_identity(certificate, private_key, "*.example.org");
    tls.set_identity(ss::bytes(), private_key, "*.example.org", code); // no bytes are not NULL, which would remove it
    CHECK(code == ss::errc::argument);
    tls.remove_identity("*.example.org");
}

void it_is_a_reference_like_others()
{
    const std::size_t before = ss_object_count(SS_KIND_TLS);
    {
        ss::loop loop;
        ss::tls tls, copy = tls;
        CHECK(copy == tls && std::unordered_set<ss::tls>{tls}.count(copy) == 1);
        CHECK(ss_object_count(SS_KIND_TLS) == before + 1);
        ss::server server(loop);
        server.set_tls(tls);
        server.set_tls(nullptr);
        server.set_handshake_timeout(std::chrono::seconds(3));
        CHECK(server.handshake_timeout() == std::chrono::milliseconds(3000));
        std::error_code code;
        ss::tls empty(nullptr);
        empty.set_protocols("h2", code);
        CHECK(code == ss::errc::handle && !empty);
    }
    CHECK(ss_object_count(SS_KIND_TLS) == before);
}

} // namespace

int main()
{
    if (!ss::tls::is_supported()) {
        std::error_code code;
        CHECK(!ss::tls(code) && code == ss::errc::unsupported);
        std::puts("the library is built without TLS");
        return 0;
    }
    a_secure_echo_says_with_whom_it_speaks();
    whom_nobody_trusts_is_an_io_error_and_the_server_hears_of_it();
    what_does_not_fit_is_refused();
    it_is_a_reference_like_others();
    std::puts("all passed");
    return 0;
}
