/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program and a plug-in that both use the C++ header, each with its own copy of it: modules.cpp PLUGIN. */

#include <server_socket.hpp>

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

void fail(const char *what, int line)
{
    std::fprintf(stderr, "modules.cpp:%d: not true: %s\n", line, what);
    std::_Exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

void *plugin;

template <class Function> Function *found(const char *name)
{
    void *address = dlsym(plugin, name);
    CHECK(address != nullptr);
    return reinterpret_cast<Function *>(address);
}

} // namespace

int main(int, char **argv)
{
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != nullptr);
    ss::loop loop;
    const ss::server server(loop);

    ss::listener added;
    found<void(const ss::server &, ss::listener &)>("plugin_add")(server, added);
    const auto heard = found<int()>("plugin_heard");
    server.dispatch(ss::event("x"));
    CHECK(heard() == 1);
    server.remove_listener(added);
    server.dispatch(ss::event("x"));
    CHECK(heard() == 1 && !server.has_listener("x"));

    found<void(const ss::server &)>("plugin_add_throwing")(server);
    bool is_caught = false;
    try {
        server.dispatch(ss::event("error"));
    } catch (const ss::handle_error &error) {
        is_caught = error.code() == std::error_code(SS_ERR_HANDLE, error.code().category());
    }
    CHECK(is_caught);
    is_caught = false;
    loop.post([&server] { server.dispatch(ss::event("own")); });
    try {
        loop.run();
    } catch (const std::runtime_error &error) {
        is_caught = error.what() == std::string("of the plug-in");
    }
    CHECK(is_caught);
    std::puts("all passed");
    return 0;
}
