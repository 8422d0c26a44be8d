/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The part of modules.cpp that is loaded at run time. All of its symbols are hidden but these. */

#include <server_socket.hpp>

#include <stdexcept>

#define SHOWN extern "C" __attribute__((visibility("default")))

static int heard;

/* Whoever adds a listener need not be the one to remove it. */
SHOWN void plugin_add(const ss::server &server, ss::listener &added)
{
    added = server.add_listener("x", [] { ++heard; });
}

SHOWN int plugin_heard() { return heard; }

SHOWN void plugin_add_throwing(const ss::server &server)
{
    server.add_listener("error", [] { ss::socket(nullptr).write("x"); });
    server.add_listener("own", [] { throw std::runtime_error("of the plug-in"); });
}
