/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// An echo server whose connections are coroutines (C++20). The adapter is the namespace co: copy it.
//
//     build/coroutine_echo [port; 0 = any, default 7000]       then:  nc 127.0.0.1 7000       SIGINT ends it
#include <coroutine>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <server_socket.hpp>
#include <utility>

namespace co {

// A coroutine that nobody waits for: it runs until it ends, and so does its connection. What it throws ends it.
struct task {
    struct promise_type {
        task get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception()
        {
            try {
                throw;
            } catch (const std::exception &error) {
                std::cerr << "a connection is given up: " << error.what() << '\n';
            }
        }
    };
};

// A connection, for one coroutine.
class socket {
    struct state {
        std::coroutine_handle<> reading, writing; // what waits, if it does
        bool ended = false;
    };
    // A loop may end without a close event. Its listeners end with it, and so does the coroutine that waits for them.
    struct ending {
        std::shared_ptr<state> of;
        explicit ending(std::shared_ptr<state> its) : of(std::move(its)) {}
        ~ending()
        {
            for (std::coroutine_handle<> *waiting : {&of->reading, &of->writing})
                if (*waiting)
                    std::exchange(*waiting, nullptr).destroy();
        }
    };
    static void go_on(std::coroutine_handle<> &waiting)
    {
        if (waiting)
            std::exchange(waiting, nullptr).resume();
    }

public:
    explicit socket(const ss::socket &of) : socket_(of), state_(std::make_shared<state>())
    {
        of.on_data([state = state_] { go_on(state->reading); });
        of.on_output_progress([state = state_](ss::event &event) {
            if (event.bytes_pending() == 0)
                go_on(state->writing);
        });
        of.on_close([end = std::make_unique<ending>(state_)] {
            end->of->ended = true;
            go_on(end->of->reading);
            go_on(end->of->writing);
        });
    }

    // co_await read(): what has come, in place and good until the next co_await; nothing when the peer has ended.
    auto read()
    {
        struct awaiter {
            socket &of;
            bool await_ready() const { return of.state_->ended || of.socket_.bytes_available() > 0; }
            void await_suspend(std::coroutine_handle<> waiting) const { of.state_->reading = waiting; }
            ss::bytes await_resume() const { return of.socket_.take(); }
        };
        return awaiter{*this};
    }

    // co_await write(): goes on when the peer reads; until then it is not read from. False: the connection is over.
    auto write(ss::bytes data)
    {
        struct awaiter {
            socket &of;
            bool await_ready() const { return of.state_->ended || of.socket_.bytes_pending() <= most_pending; }
            void await_suspend(std::coroutine_handle<> waiting) const
            {
                of.socket_.pause();
                of.state_->writing = waiting;
            }
            bool await_resume() const
            {
                if (!of.state_->ended)
                    of.socket_.resume();
                return !of.state_->ended;
            }
        };
        if (!state_->ended)
            socket_.write(data);
        return awaiter{*this};
    }

private:
    static constexpr std::size_t most_pending = 1000000;
    ss::socket socket_;
    std::shared_ptr<state> state_;
};

} // namespace co

static co::task echo(co::socket peer)
{
    for (;;) {
        const ss::bytes bytes = co_await peer.read();
        if (bytes.empty() || !co_await peer.write(bytes))
            break;
    }
}

static ss_loop *running;

int main(int argc, char **argv)
try {
    const ss::loop loop;
    const ss::server server(loop);

    running = loop.get();
    std::signal(SIGINT, [](int) { ss_loop_stop(running); });
    server.on_connect([](ss::event &event) { echo(co::socket(event.socket())); });
    server.set_idle_timeout(std::chrono::minutes(1));
    server.bind(argc > 1 ? std::atoi(argv[1]) : 7000, "127.0.0.1");
    server.listen();
    std::cout << "listening on " << server.local_address() << ':' << server.local_port() << std::endl;
    loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception &error) {
    std::cerr << "coroutine_echo: " << error.what() << '\n';
    return EXIT_FAILURE;
}
