/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// Boost.Asio: one thread, asynchronous reads, and writes that are tried at once. An asynchronous read must own where it
// reads to, so that each connection has a buffer; the system gives it memory as it is used.
#include "peer.h"

#include <boost/asio.hpp>
#include <memory>

using boost::asio::ip::tcp;
using boost::system::error_code;

static mode the_mode;
constexpr std::size_t BUFFER = 64 * 1024;

class connection : public std::enable_shared_from_this<connection> {
public:
    explicit connection(tcp::socket socket) : socket_(std::move(socket)) { socket_.non_blocking(true); }

    void start()
    {
        receive();
        if (the_mode == MODE_SOURCE)
            emit();
    }

private:
    void receive()
    {
        socket_.async_read_some(boost::asio::buffer(buffer_.get(), BUFFER),
                                [self = shared_from_this()](error_code error, std::size_t got) {
                                    if (!error) // else the last reference goes with this handler, and closes
                                        self->received(got);
                                });
    }

    void received(std::size_t got)
    {
        error_code error;
        std::size_t sent = got;
        if (the_mode == MODE_ECHO)
            sent = socket_.write_some(boost::asio::buffer(buffer_.get(), got), error);
        if (error && error != boost::asio::error::would_block)
            return;
        if (sent == got)
            receive();
        else
            boost::asio::async_write(socket_, boost::asio::buffer(buffer_.get() + sent, got - sent),
                                     [self = shared_from_this()](error_code failure, std::size_t) {
                                         if (!failure)
                                             self->receive();
                                     });
    }

    void emit()
    {
        socket_.async_write_some(boost::asio::buffer(pattern + position_, CHUNK),
                                 [self = shared_from_this()](error_code error, std::size_t sent) {
                                     self->position_ = (self->position_ + sent) % PATTERN_PERIOD;
                                     if (!error)
                                         self->emit();
                                 });
    }

    tcp::socket socket_;
    std::unique_ptr<char[]> buffer_{new char[BUFFER]};
    std::size_t position_ = 0; // of a source, in the pattern
};

static void accept_next(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
        if (!error && the_mode != MODE_DISCARD)
            std::make_shared<connection>(std::move(socket))->start();
        accept_next(acceptor);
    });
}

int main(int argc, char **argv)
try {
    int port;
    the_mode = peer_begin(argc, argv, &port);
    boost::asio::io_context context(1); // one thread: locks are left out
    tcp::acceptor acceptor(context);
    const tcp::endpoint endpoint(boost::asio::ip::address_v4::loopback(), static_cast<unsigned short>(port));

    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.set_option(tcp::no_delay(true)); // accepted sockets inherit it
    acceptor.bind(endpoint);
    acceptor.listen(BACKLOG);
    peer_listens(acceptor.local_endpoint().port());
    accept_next(acceptor);
    context.run();
} catch (const std::exception &error) {
    peer_failed("asio", error.what());
}
