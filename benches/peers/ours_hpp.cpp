/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// Our library through its C++ header.
#include "peer.h"

#include <server_socket.hpp>

// A source: writes until the system takes no more, and again when it has taken the rest.
static void emit(const ss::socket &socket)
{
    for (int i = 0; i < BURST && socket.bytes_pending() == 0; i++)
        socket.write(pattern, CHUNK);
}

static void accept_one(const ss::socket &peer, mode mode)
{
    peer.keep();
    peer.on_data([mode](ss::event &data) {
        const ss::socket &from = data.target_socket();
        const ss::bytes bytes = from.take();
        if (mode == MODE_ECHO && !from.try_write(bytes))
            from.abort();
    });
    if (mode == MODE_SOURCE) {
        peer.on_output_progress([](ss::event &progress) { emit(progress.target_socket()); });
        emit(peer);
    }
}

int main(int argc, char **argv)
try {
    int port;
    const mode mode = peer_begin(argc, argv, &port);
    ss::server server;

    server.on_connect([mode](ss::event &event) {
        if (mode != MODE_DISCARD) // which does not keep it, so that it is closed
            accept_one(event.socket(), mode);
    });
    server.bind(port, "127.0.0.1");
    server.listen(BACKLOG);
    peer_listens(server.local_port());
    ss::loop::current().run();
} catch (const std::exception &error) {
    peer_failed("ours_hpp", error.what());
}
