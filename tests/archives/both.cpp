/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// Two libraries of Rust in one program: each has its own standard library, and both unwind.
#include <server_socket.h>

extern "C" uint64_t other_sum(uint32_t n);

static void on_event(ss_event *, void *) { throw 42; }

static bool passes_through()
{
    ss_server *server = ss_new(nullptr);
    ss_event *event = ss_event_new("question", false, false);
    int caught = 0;
    ss_add_listener(server, "question", on_event, nullptr, false, 0);
    try {
        ss_dispatch_event(server, event, nullptr);
    } catch (int answer) {
        caught = answer;
    }
    ss_release(event);
    return caught == 42 && ss_bind(server, 0, "127.0.0.1") == SS_OK && ss_release(server) == SS_OK;
}

int main()
{
    return passes_through() && other_sum(10) == 45 && other_sum(0) == 1 && passes_through() ? 0 : 1;
}
