/*
 * server_socket for C++17: the library of server_socket.h, with references that count themselves, callables as
 * listeners, and exceptions or std::error_code. Header only; link the library as a C program does.
 *
 *     #include <server_socket.hpp>
 *     #include <cstdio>
 *
 *     // Bytes came in, or output went out that was waiting: sends back what is unread.
 *     static void echo(ss::event &event)
 *     {
 *         const ss::socket &peer = event.target_socket();
 *         if (!peer.try_write(peer.take()))               // in place, no copy; sent when this listener ends
 *             peer.abort();
 *         else if (peer.bytes_pending() > 1000000)        // who does not read is not read from, until it does
 *             peer.pause();
 *         else
 *             peer.resume();
 *     }
 *
 *     int main()
 *     {
 *         ss::server server;
 *         server.on_connect([](ss::event &event) {
 *             const ss::socket &peer = event.socket();
 *             peer.keep();                                // until its connection ends
 *             peer.on_data(echo);
 *             peer.on_output_progress(echo);
 *         });
 *         server.set_idle_timeout(std::chrono::minutes(1)); // ends who is silent, or does not read
 *         server.bind(0, "127.0.0.1");
 *         server.listen();
 *         std::printf("port %d\n", server.local_port());
 *         std::fflush(stdout);
 *         ss::loop::current().run();
 *     }
 *
 * The rules, besides those of server_socket.h:
 *
 *  1. An ss::loop, ss::timer, ss::tls, ss::server, ss::socket, ss::event or ss::value is one reference. A copy is one more, and the
 *     last one to go closes and destroys the object. An empty one refers to nothing: nullptr makes it, and its functions fail.
 *     All of them belong to the thread of their loop, their destructors included; only an ss::loop_remote may be used from
 *     everywhere. As with a pointer, a const reference may change its object.
 *  2. What an event hands out is lent: the event itself, event.target_socket() and event.socket() cost nothing and are good
 *     until the listener returns. Copy one to keep it: ss::socket peer = event.socket().
 *  3. A function that fails throws an ss::error, of the class that AIR would throw: ss::io_error, ss::range_error, ...
 *     It is a std::system_error, and carries the status, AIR's id and the system's number. Every function that can fail
 *     takes a std::error_code as its last argument, too; then it throws nothing, sets it, and returns 0, false or nothing.
 *     A text with a NUL in it, where it would end the text, is refused with a std::invalid_argument. With -fno-exceptions
 *     a failure that no std::error_code takes ends the program.
 *  4. A listener is any callable that takes an ss::event & or nothing. It is destroyed when it is removed or its target
 *     dies. It must not capture its own target, which would then never die: the event has it, and socket::keep() keeps it.
 *  5. What a listener or a posted task throws leaves the poll(), run() or dispatch() that ran it, at once: the listeners
 *     of the same event that have not run do not run. The loop stays usable, and nothing else is lost: other events come
 *     with the next poll() or run(). The end of a thread (pthread_exit, pthread_cancel) passes in the same way. What the
 *     destructor of a callable throws ends the program, as what any destructor throws does.
 *  6. Texts that the library reads end with a NUL: a std::string or a literal is passed as it is, a std::string_view is
 *     copied. Bytes are an ss::bytes: a text, an array, a std::vector, or a pointer and a length.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef SERVER_SOCKET_HPP
#define SERVER_SOCKET_HPP

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "server_socket.h"

/* Whether failures can be thrown. */
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define SS_HPP_EXCEPTIONS 1
#else
#define SS_HPP_EXCEPTIONS 0
#endif

/* One module catches what another has thrown, also where modules hide their symbols. */
#if defined(__GNUC__) && !defined(_WIN32)
#define SS_HPP_VISIBLE __attribute__((visibility("default")))
#else
#define SS_HPP_VISIBLE
#endif

namespace ss {

/* ---- Errors ----------------------------------------------------------------------------------------------- */

/** The statuses of failures, as what a std::error_code is compared with: if (code == ss::errc::full) ... */
enum class errc : std::int32_t {
    error = SS_ERR_ERROR,
    argument = SS_ERR_ARGUMENT,
    range = SS_ERR_RANGE,
    io = SS_ERR_IO,
    eof = SS_ERR_EOF,
    security = SS_ERR_SECURITY,
    type = SS_ERR_TYPE,
    handle = SS_ERR_HANDLE,
    thread = SS_ERR_THREAD,
    reentrant = SS_ERR_REENTRANT,
    full = SS_ERR_FULL,
    unsupported = SS_ERR_UNSUPPORTED,
    no_memory = SS_ERR_NO_MEMORY,
    forked = SS_ERR_FORKED,
    panic = SS_ERR_PANIC,
};

namespace detail {

class SS_HPP_VISIBLE status_category final : public std::error_category {
public:
    const char *name() const noexcept override { return "server_socket"; }
    std::string message(int status) const override { return ss_status_name(status); }
    std::error_condition default_error_condition(int status) const noexcept override
    {
        switch (static_cast<errc>(status)) {
        case errc::argument:
        case errc::type: return std::errc::invalid_argument;
        case errc::range: return std::errc::result_out_of_range;
        case errc::io: return std::errc::io_error;
        case errc::security: return std::errc::permission_denied;
        case errc::handle: return std::errc::bad_file_descriptor;
        case errc::thread:
        case errc::forked: return std::errc::operation_not_permitted;
        case errc::reentrant: return std::errc::resource_deadlock_would_occur;
        case errc::eof:
        case errc::full: return std::errc::resource_unavailable_try_again;
        case errc::unsupported: return std::errc::not_supported;
        case errc::no_memory: return std::errc::not_enough_memory;
        default: return std::error_condition(status, *this);
        }
    }
};

#if defined(_WIN32) && defined(__GLIBCXX__)
/** std::system_category of MinGW's library does not say what the numbers of Windows' sockets mean. */
class SS_HPP_VISIBLE system_category final : public std::error_category {
public:
    const char *name() const noexcept override { return "system"; }
    std::string message(int number) const override { return std::system_category().message(number); }
    std::error_condition default_error_condition(int number) const noexcept override
    {
        switch (number) { // WSAE...
        case 10013: return std::errc::permission_denied;
        case 10022: return std::errc::invalid_argument;
        case 10024: return std::errc::too_many_files_open;
        case 10047: return std::errc::address_family_not_supported;
        case 10048: return std::errc::address_in_use;
        case 10049: return std::errc::address_not_available;
        case 10050: return std::errc::network_down;
        case 10051: return std::errc::network_unreachable;
        case 10052: return std::errc::network_reset;
        case 10053: return std::errc::connection_aborted;
        case 10054: return std::errc::connection_reset;
        case 10055: return std::errc::no_buffer_space;
        case 10056: return std::errc::already_connected;
        case 10057: return std::errc::not_connected;
        case 10060: return std::errc::timed_out;
        case 10061: return std::errc::connection_refused;
        case 10065: return std::errc::host_unreachable;
        default: return std::system_category().default_error_condition(number);
        }
    }
};

inline std::error_code os_code(int number) noexcept
{
    static const system_category category;
    return {number, category};
}
#else
inline std::error_code os_code(int number) noexcept
{
    return {number, std::system_category()};
}
#endif

} // namespace detail

/** The category of std::error_codes whose values are statuses, SS_ERR_... */
inline const std::error_category &category() noexcept
{
    static const detail::status_category category;
    return category;
}

inline std::error_code make_error_code(errc status) noexcept
{
    return {static_cast<int>(status), category()};
}

/**
 * What every failure is thrown as; what() is the sentence for people, message() AIR's bare text. code() is the status; it
 * also equals the std::errc that comes nearest, std::errc::resource_unavailable_try_again for a full socket.
 */
class SS_HPP_VISIBLE error : public std::system_error {
public:
    /** This thread's last failure. */
    explicit error(ss_status status)
        : std::system_error(make_error_code(static_cast<errc>(status))), air_id_(ss_last_error_id()),
          os_error_(ss_last_os_error()),
          texts_(std::make_shared<texts>(texts{ss_last_error_detail(), ss_last_error_message()}))
    {
    }

    const char *what() const noexcept override { return texts_->detail.c_str(); }
    ss_status status() const noexcept { return static_cast<ss_status>(code().value()); }
    /** AIR's number (2002, 2003, ...), 0 if AIR has none. */
    int air_id() const noexcept { return air_id_; }
    /** The system's number (errno, GetLastError), 0 if it had none. */
    int os_error() const noexcept { return os_error_; }
    /** os_error() as a code, to compare with std::errc::address_in_use and its like. */
    std::error_code os_code() const noexcept { return detail::os_code(os_error_); }
    const std::string &message() const noexcept { return texts_->message; }
    /** AIR's name of the class ("RangeError") or ours ("InvalidHandle"). */
    const char *name() const noexcept { return ss_status_name(code().value()); }

private:
    struct texts {
        std::string detail;
        std::string message;
    };
    int air_id_;
    int os_error_;
    std::shared_ptr<const texts> texts_; // shared, so that copying an exception does not throw
};

/** AIR's ArgumentError: SS_ERR_ARGUMENT. */
struct SS_HPP_VISIBLE argument_error : error { using error::error; };
/** AIR's RangeError: SS_ERR_RANGE. */
struct SS_HPP_VISIBLE range_error : error { using error::error; };
/** AIR's IOError: SS_ERR_IO. */
struct SS_HPP_VISIBLE io_error : error { using error::error; };
/** AIR's EOFError: SS_ERR_EOF. */
struct SS_HPP_VISIBLE eof_error : error { using error::error; };
/** AIR's SecurityError: SS_ERR_SECURITY. */
struct SS_HPP_VISIBLE security_error : error { using error::error; };
/** AIR's TypeError: SS_ERR_TYPE. */
struct SS_HPP_VISIBLE type_error : error { using error::error; };
/** The handle's object is gone. */
struct SS_HPP_VISIBLE handle_error : error { using error::error; };
/** The object is another thread's. */
struct SS_HPP_VISIBLE thread_error : error { using error::error; };
/** The loop is being polled already. */
struct SS_HPP_VISIBLE reentrant_error : error { using error::error; };
/** The write limit is reached; nothing was written. */
struct SS_HPP_VISIBLE full_error : error { using error::error; };
/** This system or version does not offer it. */
struct SS_HPP_VISIBLE unsupported_error : error { using error::error; };
/** Out of memory; nothing was changed. */
struct SS_HPP_VISIBLE memory_error : error { using error::error; };
/** The object belongs to the process that this one was forked from. */
struct SS_HPP_VISIBLE forked_error : error { using error::error; };

/** This thread's last failure, for what a std::error_code does not carry: what(), air_id(), os_error(). */
inline error last_error() { return error(ss_last_status()); }

/** Throws this thread's last failure as the class that belongs to the status. */
[[noreturn]] inline void raise(ss_status status)
{
#if SS_HPP_EXCEPTIONS
    switch (status) {
    case SS_ERR_ARGUMENT: throw argument_error(status);
    case SS_ERR_RANGE: throw range_error(status);
    case SS_ERR_IO: throw io_error(status);
    case SS_ERR_EOF: throw eof_error(status);
    case SS_ERR_SECURITY: throw security_error(status);
    case SS_ERR_TYPE: throw type_error(status);
    case SS_ERR_HANDLE: throw handle_error(status);
    case SS_ERR_THREAD: throw thread_error(status);
    case SS_ERR_REENTRANT: throw reentrant_error(status);
    case SS_ERR_FULL: throw full_error(status);
    case SS_ERR_UNSUPPORTED: throw unsupported_error(status);
    case SS_ERR_NO_MEMORY: throw memory_error(status);
    case SS_ERR_FORKED: throw forked_error(status);
    default: throw error(status);
    }
#else
    std::fprintf(stderr, "server_socket: %s: %s\n", ss_status_name(status), ss_last_error_detail());
    std::abort();
#endif
}

/** Throws unless the status is SS_OK: for calls of the C functions by hand. */
inline void check(ss_status status)
{
    if (status != SS_OK)
        raise(status);
}

/**
 * Where a function's failure goes: the last argument of every function that can fail. It is made of a std::error_code, or
 * left out; then the failure is thrown.
 */
class failure {
public:
    failure() noexcept = default;
    failure(std::error_code &code) noexcept : code_(&code) {}

    /** Reports a status. Returns whether it is SS_OK. */
    bool operator()(ss_status status) const
    {
        if (status != SS_OK) {
            if (code_ == nullptr)
                raise(status);
            *code_ = make_error_code(static_cast<errc>(status));
            return false;
        }
        if (code_ != nullptr)
            code_->clear();
        return true;
    }
    /** Reports what is refused here, before the library is called. */
    bool refuse(const char *why) const
    {
        if (code_ == nullptr) {
#if SS_HPP_EXCEPTIONS
            throw std::invalid_argument(why);
#else
            std::fprintf(stderr, "server_socket: %s\n", why);
            std::abort();
#endif
        }
        *code_ = std::make_error_code(std::errc::invalid_argument);
        return false;
    }

private:
    std::error_code *code_ = nullptr;
};

/* ---- Bytes and texts -------------------------------------------------------------------------------------- */

/**
 * Bytes that are somebody else's, like std::span<const std::uint8_t> of C++20.
 *
 * A literal is a text, without its last NUL; so is any array of const char. An array of char, std::uint8_t, std::byte, ... is
 * data, and all of it; if there is a shorter text in it, say so by a std::string_view.
 */
class bytes {
#ifdef __cpp_char8_t
    template <class Char> static constexpr bool is_text = std::is_same_v<Char, char> || std::is_same_v<Char, char8_t>;
#else
    template <class Char> static constexpr bool is_text = std::is_same_v<Char, char>;
#endif
    template <class Byte>
    static constexpr bool is_data = std::is_same_v<Byte, char> ||
                                    std::is_same_v<std::remove_const_t<Byte>, signed char> ||
                                    std::is_same_v<std::remove_const_t<Byte>, unsigned char> ||
                                    std::is_same_v<std::remove_const_t<Byte>, std::byte>;

public:
    using value_type = std::uint8_t;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using const_reference = const std::uint8_t &;
    using reference = const_reference;
    using const_iterator = const std::uint8_t *;
    using iterator = const_iterator;

    constexpr bytes() noexcept = default;
    constexpr bytes(const std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    bytes(const void *data, std::size_t size) noexcept : data_(static_cast<const std::uint8_t *>(data)), size_(size) {}
    bytes(std::nullptr_t) = delete;
    bytes(std::string_view text) noexcept : bytes(text.data(), text.size()) {}
    bytes(const std::string &text) noexcept : bytes(text.data(), text.size()) {}
    /** A text that ends with a NUL. */
    template <class Pointer,
              std::enable_if_t<std::is_same_v<Pointer, const char *> || std::is_same_v<Pointer, char *>, int> = 0>
    bytes(const Pointer &text) : bytes(text, length(text))
    {
    }
    /** A literal, or another array of const char: what comes before its last NUL. */
    template <class Char, std::size_t Size, std::enable_if_t<is_text<Char>, int> = 0>
    bytes(const Char (&text)[Size]) noexcept : bytes(static_cast<const void *>(text), text[Size - 1] == 0 ? Size - 1 : Size)
    {
    }
    /** An array that is data: all of it. */
    template <class Byte, std::size_t Size, std::enable_if_t<is_data<Byte>, int> = 0>
    bytes(Byte (&data)[Size]) noexcept : bytes(static_cast<const void *>(data), Size)
    {
    }
    /** A std::vector, std::array or std::span of bytes. */
    template <class Container,
              class = std::enable_if_t<sizeof(*std::declval<const Container &>().data()) == 1 &&
                                       !std::is_convertible_v<const Container &, std::string_view>>>
    constexpr bytes(const Container &container) noexcept
        : data_(reinterpret_cast<const std::uint8_t *>(container.data())), size_(container.size())
    {
    }

    constexpr const std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const_iterator begin() const noexcept { return data_; }
    constexpr const_iterator end() const noexcept { return data_ + size_; }
    constexpr std::uint8_t operator[](std::size_t index) const { return data_[index]; }
    /** At most count of them, the first of which is offset; none if there are not that many. */
    constexpr bytes subspan(std::size_t offset, std::size_t count = SIZE_MAX) const noexcept
    {
        if (offset >= size_)
            return {};
        return {data_ + offset, count < size_ - offset ? count : size_ - offset};
    }
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data_), size_}; }
    std::string string() const { return std::string(text()); }

private:
    static std::size_t length(const char *text)
    {
        if (text == nullptr)
            failure().refuse("ss::bytes: a null pointer");
        return std::char_traits<char>::length(text);
    }
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/** A text for the C functions, which end it at its first NUL. */
class text {
public:
    text(std::nullptr_t) = delete;
    /** The library knows what to do with a null pointer. */
    text(const char *literal) noexcept : begin_(literal) {}
    text(const std::string &string) noexcept : begin_(string.c_str()), view_(with_nul(string)) {}
    text(std::string_view view) : copy_(view), begin_(copy_.c_str()), view_(with_nul(view)) {}
    text(const text &) = delete;
    text &operator=(const text &) = delete;

    const char *c_str() const noexcept { return begin_; }
    /** The text with its NULs, if it is one that is not whole. */
    std::string_view view() const noexcept { return view_; }
    /** Whether it ends at its first NUL. */
    bool is_whole() const noexcept { return view_.empty(); }
    /** is_whole(), and what is not is refused. */
    bool is_whole(const failure &out, const char *why) const { return is_whole() || out.refuse(why); }
    static bool has_nul(std::string_view view) noexcept { return view.find('\0') != std::string_view::npos; }

private:
    static std::string_view with_nul(std::string_view view) noexcept { return has_nul(view) ? view : std::string_view(); }
    std::string copy_;
    const char *begin_;
    std::string_view view_;
};

/* ---- References ------------------------------------------------------------------------------------------- */

class loop;
class server;
class socket;
class event;
template <class Reference> class lent;

/** What is the same for the references to all objects of the library. */
template <class Reference, class Handle> class reference {
public:
    using handle_type = Handle;

    reference() noexcept = default;
    reference(const reference &other) : handle_(other.handle_)
    {
        if (handle_ != nullptr)
            check(ss_retain(handle_));
    }
    reference(reference &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    // Two, since a copy may fail: of one by value, clang makes derived classes' copying noexcept.
    reference &operator=(const reference &other) { return *this = reference(other); }
    reference &operator=(reference &&other) noexcept
    {
        reference taken(std::move(other));
        std::swap(handle_, taken.handle_);
        return *this;
    }
    ~reference()
    {
        if (handle_ != nullptr)
            ss_release(handle_);
    }

    /** Another reference to the object of a C handle; NULL gives an empty one. */
    [[nodiscard]] static Reference retained(Handle *handle, failure out = {})
    {
        const bool is_ours = handle == nullptr || out(ss_retain(handle));
        return Reference(adopt{}, is_ours ? handle : nullptr);
    }
    /** Takes over a reference that the program owns as a C handle. */
    [[nodiscard]] static Reference adopted(Handle *handle) noexcept { return Reference(adopt{}, handle); }
    /** The C handle, for calls of the C functions by hand; NULL for an empty reference. */
    Handle *get() const noexcept { return handle_; }
    /** Gives the reference up: the caller owns it as a C handle. */
    [[nodiscard]] Handle *detach() noexcept { return std::exchange(handle_, nullptr); }
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    friend bool operator==(const reference &left, const reference &right) noexcept
    {
        return left.handle_ == right.handle_;
    }
    friend bool operator!=(const reference &left, const reference &right) noexcept { return !(left == right); }
    friend bool operator==(const reference &left, std::nullptr_t) noexcept { return left.handle_ == nullptr; }
    friend bool operator!=(const reference &left, std::nullptr_t) noexcept { return left.handle_ != nullptr; }

    /**
     * Attaches a word to the object, for whoever meets it again. `destroy(word)`, unless nullptr, runs when the word is
     * replaced or the object destroyed. The word of a value is that of its whole.
     */
    void set_user_data(void *word, ss_task destroy = nullptr, failure out = {}) const
    {
        out(ss_set_user_data(handle_, word, destroy));
    }
    /** Attaches what a pointer owns. */
    template <class Data> void set_user_data(std::unique_ptr<Data> data, failure out = {}) const
    {
        const ss_task destroy = [](void *word) { delete static_cast<Data *>(word); };
        if (out(ss_set_user_data(handle_, data.get(), destroy)))
            data.release();
    }
    /** The word that was attached; nullptr if none was. Which type it has, the program must know. */
    template <class Data = void> [[nodiscard]] Data *user_data() const
    {
        return static_cast<Data *>(ss_user_data(handle_));
    }

protected:
    struct adopt {};
    reference(adopt, Handle *handle) noexcept : handle_(handle) {}
    /** Takes a reference over that was given to us; NULL is a constructor's failure. */
    static Handle *made(Handle *handle, const failure &out = {})
    {
        out(handle != nullptr ? ss_status(SS_OK) : ss_last_status());
        return handle;
    }

private:
    template <class Lent> friend class lent;
    friend class event;
    Handle *handle_ = nullptr;
};

/**
 * A C handle as an ss::socket, ss::event, ..., without another reference: for the listeners of a C program.
 *
 *     ss::lent<ss::socket> peer(ss_event_socket(event));
 *     peer->write("hello");
 */
template <class Reference> class lent {
public:
    explicit lent(typename Reference::handle_type *handle) noexcept : reference_(Reference::adopted(handle)) {}
    ~lent() { reference_.handle_ = nullptr; }
    lent(const lent &) = delete;
    lent &operator=(const lent &) = delete;

    const Reference &operator*() const noexcept { return reference_; }
    const Reference *operator->() const noexcept { return &reference_; }

private:
    friend class event;
    void lend(typename Reference::handle_type *handle) noexcept { reference_.handle_ = handle; }
    Reference reference_;
};

/** A server or a socket that may go: lock() gives a reference to it, an empty one if it is gone. Costs no reference. */
template <class Reference> class weak {
public:
    weak() noexcept = default;
    weak(const Reference &to) noexcept : handle_(to.get()) {}

    [[nodiscard]] Reference lock() const
    {
        return expired() ? Reference(nullptr) : Reference::retained(handle_);
    }
    bool expired() const { return handle_ == nullptr || ss_object_kind(handle_) == 0; }
    friend bool operator==(const weak &left, const weak &right) noexcept { return left.handle_ == right.handle_; }
    friend bool operator!=(const weak &left, const weak &right) noexcept { return !(left == right); }

    /** The C handle, for keys of maps; it may be one of an object that is gone. */
    typename Reference::handle_type *get() const noexcept { return handle_; }

private:
    typename Reference::handle_type *handle_ = nullptr;
};

using weak_socket = weak<socket>;
using weak_server = weak<server>;

/* ---- EventDispatcher -------------------------------------------------------------------------------------- */

namespace detail {

/** What is known of a listener without its callable. The library has one reference to it, each ss::listener another. */
class registration {
public:
    registration(const registration &) = delete;
    registration &operator=(const registration &) = delete;

    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }
    /** The trampoline is that of the module that added it, whoever removes it. */
    ss_status remove_from(ss_object *target)
    {
        return ss_remove_listener(target, type_, trampoline_, this, use_capture_);
    }

protected:
    registration(const char *type, bool is_literal, ss_listener trampoline, bool use_capture)
        : own_type_(is_literal ? "" : type), type_(is_literal ? type : own_type_.c_str()), trampoline_(trampoline),
          use_capture_(use_capture)
    {
    }
    virtual ~registration() = default;
    /** Has the library call `trampoline(event, this)`, and once `destroy(this)`. */
    ss_status add_to(ss_object *target, ss_task destroy, std::int32_t priority)
    {
        return ss_add_listener_full(target, type_, trampoline_, this, destroy, use_capture_, priority);
    }

private:
    std::string own_type_;
    const char *type_;
    ss_listener trampoline_;
    std::atomic<std::uint32_t> references_{1};
    bool use_capture_;
};

/** How a listener is added. */
struct manner {
    std::int32_t priority = 0;
    bool use_capture = false;
    bool once = false;
    /** The type is one of the constants, and needs no copy. */
    bool is_literal = false;
};

/** The listener of a socket or a server, with its callable. */
template <class Handle, class Function> class callable final : public registration {
public:
    /** Makes one and adds it. Returns nullptr if it failed. */
    template <class Given>
    static registration *add(Handle *target, const char *type, const manner &how, Given &&function, const failure &out)
    {
        std::unique_ptr<callable, destroyer> made(new callable(target, type, how, std::forward<Given>(function)));
        if (!out(made->add_to(target, destroy, how.priority)))
            return nullptr;
        return made.release();
    }

private:
    template <class Given>
    callable(Handle *target, const char *type, const manner &how, Given &&function)
        : registration(type, how.is_literal, call, how.use_capture), target_(target), once_(how.once),
          function_(std::forward<Given>(function))
    {
    }
    ~callable() override {}
    static callable *of(void *word) { return static_cast<callable *>(static_cast<registration *>(word)); }

    static void call(ss_event *event, void *word);
    /** The library gives it up. Its place stays until nobody can name it any more. */
    static void destroy(void *word)
    {
        of(word)->function_.~Function();
        of(word)->release();
    }
    struct destroyer {
        void operator()(registration *made) const { destroy(made); }
    };

    Handle *target_;
    bool once_;
    union {
        Function function_;
    };
};

/** A posted task. */
template <class Function> struct task {
    Function function;

    static void run(void *word)
    {
        const std::unique_ptr<task> owned(static_cast<task *>(word));
        owned->function();
    }
    static void cancel(void *word) { delete static_cast<task *>(word); }
};

/** The callable of a timer. */
template <class Function> struct ticking {
    Function function;

    static void run(void *word) { static_cast<ticking *>(word)->function(); }
    static void destroy(void *word) { delete static_cast<ticking *>(word); }
};

/** A duration in milliseconds, rounded up, however long it is. */
template <class Rep, class Period> double whole_milliseconds(const std::chrono::duration<Rep, Period> &time)
{
    return std::ceil(std::chrono::duration<double, std::milli>(time).count());
}

/** A duration in the milliseconds of the C functions; -1 for a negative one. */
template <class Rep, class Period> std::int32_t milliseconds(const std::chrono::duration<Rep, Period> &time)
{
    const double count = whole_milliseconds(time);
    return count < 0 ? -1 : count < INT32_MAX ? static_cast<std::int32_t>(count) : INT32_MAX;
}

/** A duration in the milliseconds of a timer. Returns whether there are such. */
template <class Rep, class Period>
bool timer_milliseconds(const std::chrono::duration<Rep, Period> &time, std::uint32_t &milliseconds, const failure &out)
{
    const double count = whole_milliseconds(time);
    if (!(count >= 0 && count <= UINT32_MAX))
        return out.refuse("ss::timer: a time of 0 to 4294967295 ms");
    milliseconds = static_cast<std::uint32_t>(count);
    return true;
}

} // namespace detail

/**
 * A registration: what remove_listener() takes. It needs not be kept. As long as it is, it stands for this one listener and
 * for no other, also when that is gone.
 */
class listener {
public:
    listener() noexcept = default;
    listener(const listener &other) noexcept : registration_(other.registration_)
    {
        if (registration_ != nullptr)
            registration_->add_reference();
    }
    listener(listener &&other) noexcept : registration_(std::exchange(other.registration_, nullptr)) {}
    listener &operator=(listener other) noexcept
    {
        std::swap(registration_, other.registration_);
        return *this;
    }
    ~listener()
    {
        if (registration_ != nullptr)
            registration_->release();
    }
    /** Whether it stands for a listener, that may be gone. */
    explicit operator bool() const noexcept { return registration_ != nullptr; }

private:
    template <class Reference, class Handle> friend class dispatcher;
    explicit listener(detail::registration *registration) noexcept : registration_(registration)
    {
        if (registration_ != nullptr)
            registration_->add_reference();
    }
    detail::registration *registration_ = nullptr;
};

/** What servers and sockets have in common: listeners, options. */
template <class Reference, class Handle> class dispatcher : public reference<Reference, Handle> {
public:
    using reference<Reference, Handle>::get;

    /** EventDispatcher.addEventListener. function: any callable that takes an ss::event & or nothing. */
    template <class Function>
    listener add_listener(const text &type, Function &&function, std::int32_t priority = 0, bool use_capture = false,
                          failure out = {}) const
    {
        return add(type, {priority, use_capture, false, false}, std::forward<Function>(function), out);
    }
    /** add_listener() for one event: the listener is removed before it runs. */
    template <class Function>
    listener once(const text &type, Function &&function, std::int32_t priority = 0, failure out = {}) const
    {
        return add(type, {priority, false, true, false}, std::forward<Function>(function), out);
    }
    /**
     * EventDispatcher.removeEventListener; the callable is destroyed, after the listener that is running, if one is. What is
     * not registered here, or no more, is left alone.
     */
    void remove_listener(const listener &which, failure out = {}) const
    {
        out(which.registration_ != nullptr ? which.registration_->remove_from(get()) : ss_status(SS_OK));
    }

    bool has_listener(const text &type, failure out = {}) const
    {
        return type.is_whole(out, nul_in_type) && ss_has_listener(get(), type.c_str());
    }
    bool will_trigger(const text &type, failure out = {}) const
    {
        return type.is_whole(out, nul_in_type) && ss_will_trigger(get(), type.c_str());
    }

    /** EventDispatcher.dispatchEvent: false if a listener prevented the default. */
    inline bool dispatch(const event &what, failure out = {}) const;

    void set_option(ss_option option, std::int64_t value, failure out = {}) const
    {
        out(ss_set_option(get(), option, value));
    }
    std::int64_t option(ss_option option, failure out = {}) const
    {
        std::int64_t value = 0;
        out(ss_get_option(get(), option, &value));
        return value;
    }
    /** SS_OPT_LINGER: how long a closed socket may go on sending without progress. */
    std::chrono::milliseconds linger(failure out = {}) const
    {
        return std::chrono::milliseconds(option(SS_OPT_LINGER, out));
    }
    void set_linger(std::chrono::milliseconds time, failure out = {}) const
    {
        set_option(SS_OPT_LINGER, time.count(), out);
    }
    /** SS_OPT_IDLE_TIMEOUT: after how long without a byte a connection is given up; 0: never. */
    std::chrono::milliseconds idle_timeout(failure out = {}) const
    {
        return std::chrono::milliseconds(option(SS_OPT_IDLE_TIMEOUT, out));
    }
    void set_idle_timeout(std::chrono::milliseconds time, failure out = {}) const
    {
        set_option(SS_OPT_IDLE_TIMEOUT, time.count(), out);
    }
    /** SS_OPT_READ_TIMEOUT: after how long without a byte from the peer a connection is given up; 0: never. */
    std::chrono::milliseconds read_timeout(failure out = {}) const
    {
        return std::chrono::milliseconds(option(SS_OPT_READ_TIMEOUT, out));
    }
    void set_read_timeout(std::chrono::milliseconds time, failure out = {}) const
    {
        set_option(SS_OPT_READ_TIMEOUT, time.count(), out);
    }
    /** SS_OPT_HANDSHAKE_TIMEOUT: how long a handshake of TLS may take. */
    std::chrono::milliseconds handshake_timeout(failure out = {}) const
    {
        return std::chrono::milliseconds(option(SS_OPT_HANDSHAKE_TIMEOUT, out));
    }
    void set_handshake_timeout(std::chrono::milliseconds time, failure out = {}) const
    {
        set_option(SS_OPT_HANDSHAKE_TIMEOUT, time.count(), out);
    }
    /** SS_OPT_HALF_OPEN: whether a connection goes on when the peer has ended its side. */
    bool half_open(failure out = {}) const { return option(SS_OPT_HALF_OPEN, out) != 0; }
    void set_half_open(bool yes, failure out = {}) const { set_option(SS_OPT_HALF_OPEN, yes, out); }
    /** SS_OPT_KEEP_ALIVE: after how long a silence the system probes whether the peer is still there; 0: it does not. */
    std::chrono::seconds keep_alive(failure out = {}) const
    {
        return std::chrono::seconds(option(SS_OPT_KEEP_ALIVE, out));
    }
    void set_keep_alive(std::chrono::seconds time, failure out = {}) const
    {
        set_option(SS_OPT_KEEP_ALIVE, time.count(), out);
    }
    /** The system's descriptor. It stays the library's. */
    std::int64_t native_handle(failure out = {}) const
    {
        std::int64_t descriptor = 0;
        out(ss_native_handle(get(), &descriptor));
        return descriptor;
    }

protected:
    using base = reference<Reference, Handle>;
    using typename base::adopt;
    dispatcher() noexcept = default;
    dispatcher(adopt tag, Handle *handle) noexcept : base(tag, handle) {}

    /** Adds a listener for one of the library's own types. */
    template <class Function> listener on(const char *type, Function &&function, const failure &out) const
    {
        return add_whole(type, {0, false, false, true}, std::forward<Function>(function), out);
    }
    static std::string or_empty(const char *text) { return text != nullptr ? std::string(text) : std::string(); }

private:
    static constexpr const char *nul_in_type = "server_socket: the type of an event has a NUL in it";

    template <class Function>
    listener add(const text &type, const detail::manner &how, Function &&function, const failure &out) const
    {
        if (!type.is_whole(out, nul_in_type))
            return {};
        if (type.c_str() == nullptr) { // the library says what is wrong with it
            out(ss_remove_listener(get(), nullptr, nullptr, nullptr, false));
            return {};
        }
        return add_whole(type.c_str(), how, std::forward<Function>(function), out);
    }
    template <class Function>
    listener add_whole(const char *type, const detail::manner &how, Function &&function, const failure &out) const
    {
        using callable = detail::callable<Handle, std::decay_t<Function>>;
        static_assert(std::is_invocable_v<std::decay_t<Function> &, event &> ||
                          std::is_invocable_v<std::decay_t<Function> &>,
                      "a listener takes an ss::event & or nothing");
        return listener(callable::add(get(), type, how, std::forward<Function>(function), out));
    }
};

/* ---- Loops ------------------------------------------------------------------------------------------------ */

/** What every thread may do with a loop. A plain value; after the loop's end its functions throw handle_error. */
class loop_remote {
public:
    explicit loop_remote(ss_loop *handle) noexcept : handle_(handle) {}

    /** Ends run() after the turn it is in. */
    void stop(failure out = {}) const { out(ss_loop_stop(handle_)); }
    /** Ends a waiting poll(). */
    void wake(failure out = {}) const { out(ss_loop_wake(handle_)); }
    /** Has function() run once on the loop's thread. If the loop ends first it is destroyed without running. */
    template <class Function> void post(Function &&function, failure out = {}) const
    {
        using task = detail::task<std::decay_t<Function>>;
        std::unique_ptr<task> made(new task{std::forward<Function>(function)});
        if (out(ss_loop_post(handle_, task::run, made.get(), task::cancel)))
            made.release();
    }

private:
    ss_loop *handle_;
};

/** An event loop. */
class loop : public reference<loop, ss_loop> {
public:
    /** A loop of its own, on this thread. With its last reference everything on it ends. */
    loop() : loop(failure()) {}
    explicit loop(failure out) : reference(adopt{}, made(ss_loop_new(), out)) {}
    /** An empty reference. */
    loop(std::nullptr_t) noexcept {}
    /** This thread's own loop, which is there until the thread ends. */
    [[nodiscard]] static loop current(failure out = {}) { return retained(made(ss_loop_default(), out), out); }

    /** One turn, which waits without end; returns how many events were dispatched. */
    std::uint32_t poll(failure out = {}) const { return poll_for(-1, out); }
    /** One turn, which waits for a time at most. Negative: without end. */
    template <class Rep, class Period>
    std::uint32_t poll(const std::chrono::duration<Rep, Period> &timeout, failure out = {}) const
    {
        return poll_for(detail::milliseconds(timeout), out);
    }
    /** Turns until stop(), or until nothing can bring an event any more. */
    void run(failure out = {}) const { out(ss_loop_run(get())); }

    loop_remote remote() const noexcept { return loop_remote(get()); }
    void stop(failure out = {}) const { remote().stop(out); }
    template <class Function> void post(Function &&function, failure out = {}) const
    {
        remote().post(std::forward<Function>(function), out);
    }
    /** The descriptor to wait for in a loop of the host's; see ss_loop_fd. */
    std::int64_t fd(failure out = {}) const
    {
        std::int64_t descriptor = 0;
        out(ss_loop_fd(get(), &descriptor));
        return descriptor;
    }
    /** The longest a host may wait for it; negative: without end. */
    std::chrono::milliseconds timeout() const { return std::chrono::milliseconds(ss_loop_timeout(get())); }

private:
    friend class reference<loop, ss_loop>;
    loop(adopt tag, ss_loop *handle) noexcept : reference(tag, handle) {}
    std::uint32_t poll_for(std::int32_t timeout, const failure &out) const
    {
        std::uint32_t events = 0;
        out(ss_loop_poll(get(), timeout, &events));
        return events;
    }
};

/**
 * Calls a callable after some time, once or again and again, as long as there is a reference to it: keep it. With the last
 * reference it is never called again, and the callable is destroyed; after its call, if it is running.
 *
 *     ss::timer tick(ss::loop::current(), 1s, 1s, [] { std::puts("tick"); });
 */
class timer : public reference<timer, ss_timer> {
public:
    /** An empty reference. */
    timer() noexcept = default;
    timer(std::nullptr_t) noexcept {}
    /** Calls function() once, after `delay`. */
    template <class Rep, class Period, class Function,
              std::enable_if_t<std::is_invocable_v<std::decay_t<Function> &>, int> = 0>
    timer(const loop &home, const std::chrono::duration<Rep, Period> &delay, Function &&function, failure out = {})
        : timer(home, delay, std::chrono::milliseconds(0), std::forward<Function>(function), out)
    {
    }
    /** Calls function() after `delay`, and then again and again after `period`; 0: only once. Times are rounded up. */
    template <class Rep, class Period, class OtherRep, class OtherPeriod, class Function>
    timer(const loop &home, const std::chrono::duration<Rep, Period> &delay,
          const std::chrono::duration<OtherRep, OtherPeriod> &period, Function &&function, failure out = {})
        : reference(adopt{}, start(home, delay, period, std::forward<Function>(function), out))
    {
    }

    /** Starts it anew, whether it runs, has run or was stopped. */
    template <class Rep, class Period>
    void set(const std::chrono::duration<Rep, Period> &delay, failure out = {}) const
    {
        set(delay, std::chrono::milliseconds(0), out);
    }
    template <class Rep, class Period, class OtherRep, class OtherPeriod>
    void set(const std::chrono::duration<Rep, Period> &delay,
             const std::chrono::duration<OtherRep, OtherPeriod> &period, failure out = {}) const
    {
        std::uint32_t first = 0, next = 0;
        if (detail::timer_milliseconds(delay, first, out) && detail::timer_milliseconds(period, next, out))
            out(ss_timer_set(get(), first, next));
    }
    /** It is not called until set() starts it again. */
    void stop(failure out = {}) const { out(ss_timer_stop(get())); }

private:
    friend class reference<timer, ss_timer>;
    timer(adopt tag, ss_timer *handle) noexcept : reference(tag, handle) {}
    template <class Delay, class Period, class Function>
    static ss_timer *start(const loop &home, const Delay &delay, const Period &period, Function &&function,
                           const failure &out)
    {
        using ticking = detail::ticking<std::decay_t<Function>>;
        std::uint32_t first = 0, next = 0;
        if (!detail::timer_milliseconds(delay, first, out) || !detail::timer_milliseconds(period, next, out))
            return nullptr;
        std::unique_ptr<ticking> word(new ticking{std::forward<Function>(function)});
        ss_timer *const handle = ss_timer_new(home.get(), first, next, ticking::run, word.get(), ticking::destroy);
        made(handle, out);
        if (handle != nullptr)
            word.release();
        return handle;
    }
};

/* ---- Values ----------------------------------------------------------------------------------------------- */

template <class Part> class parts;
struct property;

/**
 * A value as ActionScript has it: what Socket.readObject returns, and Socket.writeObject takes.
 *
 *     ss::value message = ss::value::object();
 *     message.set("name", "Ann");
 *     message.set("scores", ss::value::array(1, 2.5));
 *     socket.write_object(message);
 *
 *     while (ss::value answer = socket.try_read_object())
 *         for (ss::value score : answer["scores"].items())
 *             std::printf("%g\n", score.as_number());
 *
 * A value and its parts are one whole, which lives as long as there is an ss::value of any of them. A copy is one more
 * reference to the same value, and == asks whether two are the same one, not whether they say the same.
 *
 * An ss::value may be empty: what is looked for and not there is. Its getters answer false, 0 and nothing, and it is
 * assigned and written as undefined, so that one need not ask first what a peer has sent. As a condition an ss::value
 * is true unless it is empty; what a boolean says is as_bool().
 */
class value : public reference<value, ss_value> {
    template <class Plain>
    static constexpr bool is_plain = std::is_same_v<Plain, std::nullptr_t> ||
                                     (std::is_arithmetic_v<Plain> && !std::is_same_v<Plain, char>) ||
                                     std::is_convertible_v<const Plain &, std::string_view>;

public:
    /** An empty one. */
    value() noexcept = default;
    /** A null (nullptr), a boolean, a number or a text: see assign(). */
    template <class Plain, class = std::enable_if_t<is_plain<Plain>>>
    value(const Plain &plain) : value(of_type(SS_VALUE_UNDEFINED))
    {
        assign(plain);
    }
    value(const value &) = default;
    value(value &&) noexcept = default;
    // Not to what a function returns: message["name"] = "Ann" would change nothing in the message, see set().
    value &operator=(const value &) & = default;
    value &operator=(value &&) & noexcept = default;
    ~value() = default;

    /** One of a type, SS_VALUE_...: false, 0, "" or without parts. */
    static value of_type(std::int32_t type) { return value(adopt{}, made(ss_value_new(type))); }
    static value undefined() { return of_type(SS_VALUE_UNDEFINED); }
    /** A Date: milliseconds since 1970, UTC. */
    static value date(double milliseconds)
    {
        value result = undefined();
        result.set_date(milliseconds);
        return result;
    }
    static value date(std::chrono::system_clock::time_point time) { return date(milliseconds(time)); }
    /** A ByteArray with a copy of the bytes. */
    static value byte_array(ss::bytes content) { return of_bytes(SS_VALUE_BYTE_ARRAY, content); }
    static value xml(std::string_view text) { return of_bytes(SS_VALUE_XML, text); }
    /** A flash.xml.XMLDocument. */
    static value xml_document(std::string_view text) { return of_bytes(SS_VALUE_XML_DOCUMENT, text); }
    /** An Array of these items. */
    template <class... Items> static value array(const Items &...items)
    {
        value result = of_type(SS_VALUE_ARRAY);
        (result.add(items), ...);
        return result;
    }
    /** An Object, or one of the class that the peer has registered under that name (registerClassAlias). */
    static value object(std::string_view class_name = "") { return of_class(SS_VALUE_OBJECT, class_name); }
    static value vector_of_int() { return of_type(SS_VALUE_VECTOR_INT); }
    static value vector_of_uint() { return of_type(SS_VALUE_VECTOR_UINT); }
    static value vector_of_number() { return of_type(SS_VALUE_VECTOR_NUMBER); }
    /** A Vector of anything else: of a class by its name. */
    static value vector_of(std::string_view class_name) { return of_class(SS_VALUE_VECTOR_OBJECT, class_name); }
    /** A Dictionary. Its items are keys and values in turn. */
    static value dictionary() { return of_type(SS_VALUE_DICTIONARY); }

    /** SS_VALUE_...; 0 if it is empty. */
    std::int32_t type() const { return ss_value_type(get()); }
    /** Whether it is true. Only a boolean can be: false for other types. */
    bool as_bool() const { return ss_value_boolean(get()); }
    /** What an integer, a number, a date (milliseconds since 1970, UTC) or a boolean (0, 1) is. 0 for other types. */
    double as_number() const { return ss_value_number(get()); }
    /** as_number() as ActionScript's int() makes it one: cut off, and modulo 2^32; 0 for NaN and the infinite. */
    std::int32_t as_int() const
    {
        const double number = std::fmod(as_number(), 4294967296.0); // NaN of an infinite one
        return std::isnan(number) ? 0 : static_cast<std::int32_t>(static_cast<std::int64_t>(number));
    }
    /** What a date is, as near as the clock can say it. */
    std::chrono::system_clock::time_point as_time() const
    {
        using clock = std::chrono::system_clock;
        using milliseconds = std::chrono::duration<double, std::milli>;
        const double number = as_number(), whole = std::floor(number);
        if (std::isnan(number))
            return {};
        if (number >= milliseconds(clock::duration::max()).count())
            return clock::time_point::max();
        if (number <= milliseconds(clock::duration::min()).count())
            return clock::time_point::min();
        // Apart, since a double has not that many digits.
        const clock::time_point time(std::chrono::milliseconds(static_cast<std::int64_t>(whole)));
        return time + std::chrono::duration_cast<clock::duration>(milliseconds(number - whole));
    }
    /** A copy of bytes(). Numbers are not put into words. */
    std::string as_string() const { return std::string(bytes()); }
    /**
     * What a string, XML or a byte array consists of, in place; empty, with a data() of nullptr, for other types. Good
     * until the value is set anew or its whole destroyed: as long as there is an ss::value of it.
     */
    std::string_view bytes() const
    {
        return view([this](std::size_t *length) { return ss_value_bytes(get(), length); });
    }
    /** The class of an object, as the peer has registered it, or of a vector's items; "" if there is none. */
    std::string_view class_name() const
    {
        return view([this](std::size_t *length) { return ss_value_class_name(get(), length); });
    }

    /** How many items an array, vector or dictionary has; 0 for other types. */
    std::size_t item_count() const { return ss_value_item_count(get()); }
    /** An item; empty if there is none of that index. */
    value operator[](std::size_t index) const
    {
        return index < item_count() ? part(ss_value_item(get(), index)) : value();
    }
    /** The items, for range-for. */
    inline parts<value> items() const;
    /** How many properties an object has, or an array besides its items; 0 for other types. */
    std::size_t property_count() const { return ss_value_property_count(get()); }
    /** A property, the last one of that name; empty if there is none. */
    value operator[](std::string_view name) const
    {
        if (text::has_nul(name))
            return search(name);
        ss_value *found = ss_value_property(get(), std::string(name).c_str());
        return found != nullptr ? part(found) : value();
    }
    /** The properties in their order, for range-for: for (auto [name, content] : object.properties()). */
    inline parts<property> properties() const;

    /**
     * Makes it a null (nullptr), a boolean, a number or a string. Of the whole numbers those that fit in 32 bits become
     * an int, others a Number, which is exact up to 2^53. This and what else sets a value throws argument_error if it
     * has parts already.
     */
    template <class Plain> std::enable_if_t<is_plain<Plain>> assign(const Plain &plain) const
    {
        if constexpr (std::is_same_v<Plain, std::nullptr_t>)
            set_type(SS_VALUE_NULL);
        else if constexpr (std::is_same_v<Plain, bool>)
            check(ss_value_set_boolean(get(), plain));
        else if constexpr (std::is_integral_v<Plain>)
            assign_integer(static_cast<double>(plain));
        else if constexpr (std::is_arithmetic_v<Plain>)
            check(ss_value_set_number(get(), static_cast<double>(plain)));
        else if constexpr (std::is_convertible_v<const Plain &, const char *>)
            check(ss_value_set_string(get(), plain)); // which knows what to do with a null pointer
        else
            set_bytes(SS_VALUE_STRING, std::string_view(plain));
    }
    /**
     * Makes it the same as another. If both are parts of one whole, that value is in both places from now on, even if
     * it comes to be a part of itself. If not, it becomes a copy of the other, with copies of all its parts. This
     * ss::value stays good, but for == get it anew.
     */
    void assign(const value &other) const
    {
        if (other)
            check(ss_value_assign(get(), other.get()));
        else
            set_type(SS_VALUE_UNDEFINED);
    }
    /** Makes it one of another type, SS_VALUE_...: false, 0, "" or without parts. */
    void set_type(std::int32_t type) const { check(ss_value_set(get(), type)); }
    void set_date(std::chrono::system_clock::time_point time) const { set_date(milliseconds(time)); }
    void set_date(double milliseconds) const { check(ss_value_set_date(get(), milliseconds)); }
    /** SS_VALUE_STRING, SS_VALUE_BYTE_ARRAY, SS_VALUE_XML or SS_VALUE_XML_DOCUMENT, with a copy of the bytes. */
    void set_bytes(std::int32_t type, ss::bytes content) const
    {
        check(ss_value_set_bytes(get(), type, content.data(), content.size()));
    }
    /** The class of an object, with or without parts, or of what a vector of objects is of; "": none. */
    void set_class_name(std::string_view name) const { check(ss_value_set_class_name(get(), c_name(name).c_str())); }

    /** Adds an item to an array, vector or dictionary, undefined as yet, and returns it. */
    value add_item() const { return part(ss_value_add_item(get())); }
    /** Adds an item that is the same as another value, as assign() makes it so, and returns it. */
    value add(const value &item) const
    {
        const value there = item; // what cannot be had gets no place
        add_item().assign(there);
        return (*this)[item_count() - 1]; // assigned, it may go by another handle
    }
    /**
     * Adds a property to an object or array, undefined as yet, even if there is one of that name, and returns it.
     * std::invalid_argument: the name has a NUL in it, as those of peers may.
     */
    value add_property(std::string_view name) const { return part(ss_value_add_property(get(), c_name(name).c_str())); }
    /** Makes a property the same as another value, as assign() does, adds it if it is not there, and returns it. */
    value set(std::string_view name, const value &content) const
    {
        const value there = content;
        value changed = (*this)[name];
        if (!changed)
            changed = add_property(name);
        changed.assign(there);
        return (*this)[name];
    }

private:
    friend class socket;
    friend class reference<value, ss_value>;
    template <class Part> friend class parts;
    value(adopt tag, ss_value *handle) noexcept : reference(tag, handle) {}
    /** A part that the library has lent: a reference to it is one to its whole. */
    static value part(ss_value *lent) { return retained(made(lent)); }

    static double milliseconds(std::chrono::system_clock::time_point time)
    {
        using milliseconds = std::chrono::milliseconds;
        const milliseconds whole = std::chrono::duration_cast<milliseconds>(time.time_since_epoch());
        const std::chrono::duration<double, std::milli> rest = time.time_since_epoch() - whole;
        return static_cast<double>(whole.count()) + rest.count();
    }
    static value of_bytes(std::int32_t type, ss::bytes content)
    {
        value result = undefined();
        result.set_bytes(type, content);
        return result;
    }
    static value of_class(std::int32_t type, std::string_view class_name)
    {
        value result = of_type(type);
        result.set_class_name(class_name);
        return result;
    }
    void assign_integer(double number) const
    {
        if (number >= INT32_MIN && number <= INT32_MAX)
            check(ss_value_set_integer(get(), static_cast<std::int32_t>(number)));
        else
            check(ss_value_set_number(get(), number));
    }

    template <class Getter> static std::string_view view(Getter getter)
    {
        std::size_t length = 0;
        const char *text = getter(&length);
        return text != nullptr ? std::string_view(text, length) : std::string_view();
    }
    std::string_view property_name(std::size_t index) const
    {
        return view([&](std::size_t *length) { return ss_value_property_name(get(), index, length); });
    }
    inline property property_at(std::size_t index) const;

    /** A name for the C functions, which would take what comes before a NUL for all of it. */
    static std::string c_name(std::string_view name)
    {
        if (text::has_nul(name))
            failure().refuse("ss::value: a name with a NUL");
        return std::string(name);
    }
    /** A property of a name with a NUL, which only a peer can have made. */
    value search(std::string_view name) const
    {
        for (std::size_t index = property_count(); index-- > 0;)
            if (property_name(index) == name)
                return part(ss_value_property_at(get(), index));
        return value();
    }
};

/** A property of an object, or of an array besides its items. The name is good as long as the content is held. */
struct property {
    std::string_view name;
    value content;
};

inline property value::property_at(std::size_t index) const
{
    return {property_name(index), part(ss_value_property_at(get(), index))};
}

/** The items or properties of a value, for range-for. It holds the value, and so do its iterators. What is added
 *  meanwhile is not met. */
template <class Part> class parts {
public:
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Part;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Part;

        iterator() noexcept = default;
        Part operator*() const
        {
            if constexpr (std::is_same_v<Part, property>)
                return of_.property_at(index_);
            else
                return of_[index_];
        }
        iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        iterator operator++(int)
        {
            iterator before = *this;
            ++index_;
            return before;
        }
        bool operator==(const iterator &other) const noexcept { return index_ == other.index_; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

    private:
        friend class parts;
        iterator(const value &of, std::size_t index) : of_(of), index_(index) {}
        value of_;
        std::size_t index_ = 0;
    };
    using const_iterator = iterator;

    iterator begin() const { return {of_, 0}; }
    iterator end() const { return {value(), count_}; }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }

private:
    friend class value;
    parts(const value &of, std::size_t count) : of_(of), count_(count) {}
    value of_;
    std::size_t count_;
};

inline parts<value> value::items() const { return {*this, item_count()}; }
inline parts<property> value::properties() const { return {*this, property_count()}; }

/* ---- TLS -------------------------------------------------------------------------------------------------- */

/**
 * What makes connections secure: who we are, whom we trust, what is spoken above TLS. It belongs to its thread, and serves any
 * number of servers and sockets; what is changed in it holds for handshakes that begin later.
 *
 *     ss::tls tls;
 *     tls.set_identity(chain, private_key);   // the contents of PEM files
 *     server.set_tls(tls);
 */
class tls : public reference<tls, ss_tls> {
public:
    /** Whether the library was built with TLS. Without it the constructors throw unsupported_error. */
    [[nodiscard]] static bool is_supported() noexcept { return ss_tls_is_supported(); }

    /** Trusts the public authorities, and has no identity: all that most clients need. */
    tls() : tls(failure()) {}
    explicit tls(failure out) : reference(adopt{}, made(ss_tls_new(), out)) {}
    /** An empty reference; with it connections are plain. */
    tls(std::nullptr_t) noexcept {}

    /**
     * Sets what is shown to clients that ask for that name ("example.org", "*.example.org"); "": to all others. Each is PEM or DER
     * and is copied. Set again it is a new one for later handshakes: no connection is lost. argument_error: malformed, or the
     * key does not fit; nothing was changed.
     */
    void set_identity(bytes chain, bytes private_key, const text &name = "", failure out = {}) const
    {
        if (name.is_whole(out, "ss::tls::set_identity: a name with a NUL"))
            out(ss_tls_set_identity(get(), name.c_str(), there(chain), chain.size(), there(private_key), private_key.size()));
    }
    void remove_identity(const text &name = "", failure out = {}) const
    {
        if (name.is_whole(out, "ss::tls::remove_identity: a name with a NUL"))
            out(ss_tls_set_identity(get(), name.c_str(), nullptr, 0, nullptr, 0));
    }
    /**
     * SecureSocket.addBinaryChainBuildingCertificate. trusted: an authority besides the public ones, for a server who may sign its
     * clients' certificates; else a link that leads to one.
     */
    void add_certificate(bytes certificate, bool trusted, failure out = {}) const
    {
        out(ss_tls_add_certificate(get(), there(certificate), certificate.size(), trusted));
    }
    /** ALPN, the best first: "h2,http/1.1"; "": none. */
    void set_protocols(const text &protocols, failure out = {}) const
    {
        if (protocols.is_whole(out, "ss::tls::set_protocols: protocols with a NUL"))
            out(ss_tls_set_protocols(get(), protocols.c_str()));
    }
    /** At least 32 bytes, the same in every loop and process: sessions are resumed at each of them. */
    void set_ticket_secret(bytes secret, failure out = {}) const
    {
        out(ss_tls_set_ticket_secret(get(), there(secret), secret.size()));
    }
    /** Nobody resumes a session. */
    void refuse_tickets(failure out = {}) const { out(ss_tls_set_ticket_secret(get(), nullptr, 0)); }

private:
    friend class reference<tls, ss_tls>;
    tls(adopt tag, ss_tls *handle) noexcept : reference(tag, handle) {}
    /** NULL would mean something else than no bytes. */
    static const void *there(const bytes &data) noexcept
    {
        return data.data() != nullptr ? static_cast<const void *>(data.data()) : "";
    }
};

/* ---- Socket ----------------------------------------------------------------------------------------------- */

/** Who the peer of a Unix-domain connection is. */
struct credentials {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    /** -1 where the system does not tell. */
    std::int32_t pid = -1;
};

/** AIR's Socket: one end of a TCP connection. */
class socket : public dispatcher<socket, ss_socket> {
public:
    /** A socket to connect() with. A server's come with its connect events. */
    socket() : socket(failure()) {}
    explicit socket(failure out) : dispatcher(adopt{}, made(ss_socket_new(nullptr), out)) {}
    explicit socket(const loop &home, failure out = {}) : dispatcher(adopt{}, made(ss_socket_new(home.get()), out)) {}
    /** An empty reference. */
    socket(std::nullptr_t) noexcept {}

    /** Begins to connect, and returns; what comes of it is a connect or an ioError event. */
    void connect(const text &host, std::int32_t port, failure out = {}) const
    {
        if (host.is_whole(out, "ss::socket::connect: a host with a NUL"))
            out(ss_socket_connect(get(), host.c_str(), port));
    }
    /** As connect(), to a Unix-domain socket: a file, or on Linux "@name". */
    void connect_path(const text &path, failure out = {}) const
    {
        if (path.is_whole(out, "ss::socket::connect_path: a path with a NUL"))
            out(ss_socket_connect_path(get(), path.c_str()));
    }
    /** Where connect() comes from. Port 0: any free one. Address in digits; "": any of IPv4, "::": any of IPv6. */
    void bind(std::int32_t port, const text &address = "", failure out = {}) const
    {
        if (address.is_whole(out, "ss::socket::bind: an address with a NUL"))
            out(ss_socket_bind(get(), port, address.c_str()));
    }
    /**
     * Makes it secure: before connect() its later connections, when it is connected what follows (STARTTLS). connect comes when the
     * handshake is done, and the peer is who it should be; name: its certificate's, "": that of connect(). An empty tls: plain.
     */
    void set_tls(const ss::tls &policy, const text &name = "", failure out = {}) const
    {
        if (name.is_whole(out, "ss::socket::set_tls: a name with a NUL"))
            out(ss_set_tls(get(), policy.get(), name.c_str()));
    }
    /** 12 or 13; 0: plain. */
    int tls_version() const { return ss_socket_tls_version(get()); }
    /** The name that the client has asked for (SNI). */
    std::string server_name() const { return or_empty(ss_socket_server_name(get())); }
    /** What both have agreed upon (ALPN). */
    std::string protocol() const { return or_empty(ss_socket_protocol(get())); }
    /** SecureSocket.serverCertificate, in DER; 0 is the peer's own, then what it sent with it. Empty: there is none. */
    [[nodiscard]] bytes peer_certificate(std::size_t index = 0) const
    {
        std::size_t size = 0;
        const std::uint8_t *data = ss_socket_peer_certificate(get(), index, &size);
        return {data, size};
    }
    /** SecureSocket.serverCertificateStatus: "trusted", "expired", "principalMismatch", ... */
    std::string certificate_status() const { return or_empty(ss_socket_certificate_status(get())); }
    /** Takes over a connected stream socket: it is connected at once, and no event says so; see ss_socket_adopt. */
    void adopt_descriptor(std::int64_t descriptor, failure out = {}) const { out(ss_socket_adopt(get(), descriptor)); }
    /** Who the peer of a Unix-domain connection is. */
    credentials peer_credentials(failure out = {}) const
    {
        credentials peer;
        out(ss_socket_peer_credentials(get(), &peer.uid, &peer.gid, &peer.pid));
        return peer;
    }
    /** What was written is still sent, in the background. No event follows. */
    void close(failure out = {}) const { out(ss_socket_close(get())); }
    /** Ends our side behind what was written; reading goes on, and close comes when the peer has ended its side, too. */
    void shutdown(failure out = {}) const { out(ss_socket_shutdown(get())); }
    /** The peer sees the connection reset. No event follows. */
    void abort(failure out = {}) const { out(ss_socket_abort(get())); }
    void flush(failure out = {}) const { out(ss_socket_flush(get())); }
    void pause(failure out = {}) const { out(ss_socket_pause(get())); }
    void resume(failure out = {}) const { out(ss_socket_resume(get())); }

    /**
     * Keeps the socket alive as long as it is connected or connecting, though nobody may hold it: for a server's connections,
     * and for a socket of your own, before connect() or after it.
     */
    void keep(failure out = {}) const { out(ss_socket_keep(get())); }

    bool connected() const { return ss_socket_connected(get()); }
    std::size_t bytes_available() const { return ss_socket_bytes_available(get()); }
    std::size_t bytes_pending() const { return ss_socket_bytes_pending(get()); }
    std::string local_address() const { return or_empty(ss_socket_local_address(get())); }
    std::string remote_address() const { return or_empty(ss_socket_remote_address(get())); }
    int local_port() const { return ss_socket_local_port(get()); }
    int remote_port() const { return ss_socket_remote_port(get()); }
    /** SS_BIG_ENDIAN or SS_LITTLE_ENDIAN. */
    std::int32_t endian() const { return ss_socket_endian(get()); }
    void set_endian(std::int32_t endian, failure out = {}) const { out(ss_socket_set_endian(get(), endian)); }
    /** How long connecting may take; 0: as long as the system tries. */
    std::chrono::milliseconds timeout() const { return std::chrono::milliseconds(ss_socket_timeout(get())); }
    void set_timeout(std::chrono::milliseconds time, failure out = {}) const
    {
        const auto count = time.count();
        if ((count >= 0 && count <= UINT32_MAX) || out.refuse("ss::socket::set_timeout: 0 to 4294967295 ms"))
            out(ss_socket_set_timeout(get(), static_cast<std::uint32_t>(count)));
    }

    /** The unread bytes in place; good until the next read, skip or close, and no longer than the listener runs. */
    [[nodiscard]] bytes peek() const
    {
        std::size_t size = 0;
        const std::uint8_t *data = ss_socket_peek(get(), &size);
        return {data, size};
    }
    /** All unread bytes in place, counted as read: peek() and skip() in one. Good until the listener returns. */
    bytes take() const
    {
        std::size_t size = 0;
        const std::uint8_t *data = ss_socket_take(get(), &size);
        return {data, size};
    }
    /** Counts peeked bytes as read. */
    void skip(std::size_t length, failure out = {}) const { out(ss_socket_skip(get(), length)); }
    /** Up to capacity of the unread bytes; returns how many. */
    std::size_t read(void *target, std::size_t capacity) const { return ss_socket_read(get(), target, capacity); }
    /** All the unread bytes: "" if there are none, also when the connection is over. */
    std::string read_all(failure out = {}) const
    {
        const std::size_t length = bytes_available();
        if (length > 0)
            return read_string(length, out);
        const ss_status status = ss_socket_skip(get(), 0);
        out(status == SS_ERR_IO ? ss_status(SS_OK) : status);
        return {};
    }
    /** Exactly length bytes, or eof_error and none; range_error if there can never be so many (SS_OPT_READ_LIMIT). */
    void read_bytes(void *target, std::size_t length, failure out = {}) const
    {
        out(ss_socket_read_bytes(get(), target, length));
    }
    std::string read_string(std::size_t length, failure out = {}) const
    {
        // What is not there must not make us reserve room for it.
        if (length > bytes_available()) {
            skip(length, out); // fails, and skips nothing
            return {};
        }
        std::string read(length, '\0');
        return out(ss_socket_read_bytes(get(), read.data(), length)) ? read : std::string();
    }
    bool read_boolean(failure out = {}) const { return read_value(ss_socket_read_boolean, out); }
    std::int8_t read_byte(failure out = {}) const { return read_value(ss_socket_read_byte, out); }
    std::uint8_t read_unsigned_byte(failure out = {}) const { return read_value(ss_socket_read_unsigned_byte, out); }
    std::int16_t read_short(failure out = {}) const { return read_value(ss_socket_read_short, out); }
    std::uint16_t read_unsigned_short(failure out = {}) const { return read_value(ss_socket_read_unsigned_short, out); }
    std::int32_t read_int(failure out = {}) const { return read_value(ss_socket_read_int, out); }
    std::uint32_t read_unsigned_int(failure out = {}) const { return read_value(ss_socket_read_unsigned_int, out); }
    float read_float(failure out = {}) const { return read_value(ss_socket_read_float, out); }
    double read_double(failure out = {}) const { return read_value(ss_socket_read_double, out); }
    /** A text with its length before it. As in Flash a NUL within ends it. */
    std::string read_utf(failure out = {}) const
    {
        return read_text(out, [this](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_utf(get(), target, capacity, length);
        });
    }
    std::string read_utf_bytes(std::size_t byte_length, failure out = {}) const
    {
        return read_text(out, [this, byte_length](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_utf_bytes(get(), byte_length, target, capacity, length);
        });
    }
    /** A text in another charset, as UTF-8. */
    std::string read_multi_byte(std::size_t byte_length, const text &charset, failure out = {}) const
    {
        if (!charset.is_whole(out, "ss::socket::read_multi_byte: a charset with a NUL"))
            return {};
        return read_text(out, [&](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_multi_byte(get(), byte_length, charset.c_str(), target, capacity, length);
        });
    }

    /** Socket.objectEncoding, for the objects read and written from now on: SS_AMF3 (the default) or SS_AMF0. */
    std::int32_t object_encoding() const { return ss_socket_object_encoding(get()); }
    void set_object_encoding(std::int32_t encoding, failure out = {}) const
    {
        out(ss_socket_set_object_encoding(get(), encoding));
    }
    /**
     * Socket.readObject: the object that comes next, or eof_error if it has not arrived as a whole yet. Other failures
     * (argument_error, range_error, unsupported_error: see ss_socket_read_object) mean that what this peer sends cannot
     * be read. After any of them all bytes are unread still.
     */
    value read_object(failure out = {}) const
    {
        ss_value *object = nullptr;
        out(ss_socket_read_object(get(), &object));
        return value(value::adopt{}, object);
    }
    /** read_object(), but empty where that throws eof_error: how long an object is shows only when it is there. */
    value try_read_object(failure out = {}) const
    {
        ss_value *object = nullptr;
        const ss_status status = ss_socket_read_object(get(), &object);
        out(status == SS_ERR_EOF ? ss_status(SS_OK) : status);
        return value(value::adopt{}, object);
    }

    /** All of the bytes or, when the write limit is reached, full_error and none. Sent when the listener ends. */
    void write(bytes data, failure out = {}) const { out(ss_socket_write_bytes(get(), data.data(), data.size())); }
    void write(const void *data, std::size_t length, failure out = {}) const
    {
        out(ss_socket_write_bytes(get(), data, length));
    }
    /** write() of several parts, one behind the other: all of them or none. */
    void write_vector(std::initializer_list<bytes> parts, failure out = {}) const
    {
        std::vector<ss_bytes> all;
        all.reserve(parts.size());
        for (const bytes &part : parts)
            all.push_back({part.data(), part.size()});
        out(ss_socket_write_vector(get(), all.data(), all.size()));
    }
    /** write(), but false where that throws full_error: outputProgress comes when the peer has read some. */
    [[nodiscard]] bool try_write(bytes data, failure out = {}) const
    {
        const ss_status status = ss_socket_write_bytes(get(), data.data(), data.size());
        return out(status == SS_ERR_FULL ? ss_status(SS_OK) : status) && status == SS_OK;
    }
    void write_boolean(bool value, failure out = {}) const { out(ss_socket_write_boolean(get(), value)); }
    void write_byte(std::int32_t value, failure out = {}) const { out(ss_socket_write_byte(get(), value)); }
    void write_short(std::int32_t value, failure out = {}) const { out(ss_socket_write_short(get(), value)); }
    void write_int(std::int32_t value, failure out = {}) const { out(ss_socket_write_int(get(), value)); }
    void write_unsigned_int(std::uint32_t value, failure out = {}) const
    {
        out(ss_socket_write_unsigned_int(get(), value));
    }
    void write_float(float value, failure out = {}) const { out(ss_socket_write_float(get(), value)); }
    void write_double(double value, failure out = {}) const { out(ss_socket_write_double(get(), value)); }
    /** A text with its length before it, at most 65535 bytes. It may have NULs in it, where many readers end it. */
    void write_utf(const text &text, failure out = {}) const
    {
        if (text.is_whole())
            out(ss_socket_write_utf(get(), text.c_str()));
        else
            write_utf_with_nul(text.view(), out);
    }
    /** A text's bytes. */
    void write_utf_bytes(const text &text, failure out = {}) const
    {
        if (text.is_whole())
            out(ss_socket_write_utf_bytes(get(), text.c_str()));
        else
            write(text.view(), out);
    }
    void write_multi_byte(const text &text, const ss::text &charset, failure out = {}) const
    {
        if (text.is_whole(out, "ss::socket::write_multi_byte: a text with a NUL") &&
            charset.is_whole(out, "ss::socket::write_multi_byte: a charset with a NUL"))
            out(ss_socket_write_multi_byte(get(), text.c_str(), charset.c_str()));
    }
    /** Socket.writeObject: a value with all its parts or, when the write limit is reached, full_error and nothing. */
    void write_object(const value &object, failure out = {}) const
    {
        const value content = object ? object : value::undefined();
        out(ss_socket_write_object(get(), content.get()));
    }

    template <class Function> listener on_connect(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_CONNECT, std::forward<Function>(function), out);
    }
    template <class Function> listener on_data(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_SOCKET_DATA, std::forward<Function>(function), out);
    }
    /** The peer has ended its side, and writing goes on: with SS_OPT_HALF_OPEN. */
    template <class Function> listener on_end(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_END, std::forward<Function>(function), out);
    }
    template <class Function> listener on_close(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_CLOSE, std::forward<Function>(function), out);
    }
    template <class Function> listener on_output_progress(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_OUTPUT_PROGRESS, std::forward<Function>(function), out);
    }
    template <class Function> listener on_io_error(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_IO_ERROR, std::forward<Function>(function), out);
    }

private:
    friend class ss::reference<socket, ss_socket>;
    socket(adopt tag, ss_socket *handle) noexcept : dispatcher(tag, handle) {}

    template <class Value> Value read_value(ss_status (*function)(ss_socket *, Value *), const failure &out) const
    {
        Value value{};
        out(function(get(), &value));
        return value;
    }
    template <class Read> static std::string read_text(const failure &out, Read function)
    {
        std::size_t length = 0;
        std::string read(64, '\0');
        ss_status status = function(read.data(), read.size() + 1, &length);
        if (status == SS_ERR_RANGE && length > read.size()) { // now we know how much room it needs
            read.resize(length);
            status = function(read.data(), read.size() + 1, &length);
        }
        read.resize(out(status) ? length : 0);
        return read;
    }
    /** The C function takes a text that ends with a NUL. Its failures are its own all the same. */
    void write_utf_with_nul(std::string_view text, const failure &out) const
    {
        if (text.size() > UINT16_MAX) {
            out(ss_socket_write_utf(get(), std::string(text.size(), ' ').c_str()));
            return;
        }
        const char high = static_cast<char>(text.size() >> 8), low = static_cast<char>(text.size() & 255);
        std::string framed = endian() == SS_LITTLE_ENDIAN ? std::string{low, high} : std::string{high, low};
        framed += text;
        write(framed, out);
    }
};

/* ---- ServerSocket ----------------------------------------------------------------------------------------- */

/** AIR's ServerSocket. */
class server : public dispatcher<server, ss_server> {
public:
    server() : server(failure()) {}
    explicit server(failure out) : dispatcher(adopt{}, made(ss_new(nullptr), out)) {}
    explicit server(const loop &home, failure out = {}) : dispatcher(adopt{}, made(ss_new(home.get()), out)) {}
    /** An empty reference. */
    server(std::nullptr_t) noexcept {}

    /** Port 0: any free one. Address in digits; "": all of IPv4, "::": all of IPv6. */
    void bind(std::int32_t port, const text &address = "", failure out = {}) const
    {
        if (address.is_whole(out, "ss::server::bind: an address with a NUL"))
            out(ss_bind(get(), port, address.c_str()));
    }
    /** A Unix-domain socket: a file, or on Linux "@name". */
    void bind_path(const text &path, failure out = {}) const
    {
        if (path.is_whole(out, "ss::server::bind_path: a path with a NUL"))
            out(ss_bind_path(get(), path.c_str()));
    }
    void listen(std::int32_t backlog = 0, failure out = {}) const { out(ss_listen(get(), backlog)); }
    /** Makes the connections secure that it accepts from now on; connect comes after their handshake. An empty tls: plain. */
    void set_tls(const ss::tls &policy, failure out = {}) const { out(ss_set_tls(get(), policy.get(), nullptr)); }
    void close(failure out = {}) const { out(ss_close(get())); }
    /** Ends in peace: close comes when the last accepted connection has ended, or when those left are reset at that time. */
    template <class Rep, class Period> void drain(const std::chrono::duration<Rep, Period> &time, failure out = {}) const
    {
        const double count = detail::whole_milliseconds(time);
        out(ss_drain(get(), count <= 0 ? 0 : count < UINT32_MAX ? static_cast<std::uint32_t>(count) : UINT32_MAX));
    }
    /** Takes over a bound socket of the service manager's; see ss_adopt. */
    void adopt_descriptor(std::int64_t descriptor, bool listening, failure out = {}) const
    {
        out(ss_adopt(get(), descriptor, listening));
    }
    void pause(failure out = {}) const { out(ss_pause(get())); }
    void resume(failure out = {}) const { out(ss_resume(get())); }
    bool bound() const { return ss_bound(get()); }
    bool listening() const { return ss_listening(get()); }
    std::string local_address() const { return or_empty(ss_local_address(get())); }
    int local_port() const { return ss_local_port(get()); }
    ss_stats stats(failure out = {}) const
    {
        ss_stats stats{};
        stats.size = sizeof stats;
        out(ss_server_stats(get(), &stats));
        return stats;
    }

    template <class Function> listener on_connect(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_CONNECT, std::forward<Function>(function), out);
    }
    template <class Function> listener on_close(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_CLOSE, std::forward<Function>(function), out);
    }
    /** A handshake has failed; event::detail() says whose and why. */
    template <class Function> listener on_handshake_error(Function &&function, failure out = {}) const
    {
        return on(SS_EVENT_HANDSHAKE_ERROR, std::forward<Function>(function), out);
    }

private:
    friend class ss::reference<server, ss_server>;
    server(adopt tag, ss_server *handle) noexcept : dispatcher(tag, handle) {}
};

/* ---- Event ------------------------------------------------------------------------------------------------ */

/**
 * AIR's Event and its subclasses. What a listener gets is lent to it: copy it, or move it somewhere else, to have it after the
 * dispatch.
 */
class event : public reference<event, ss_event> {
public:
    /** An event of your own, for dispatch(). */
    explicit event(const ss::text &type, bool bubbles = false, bool cancelable = false, failure out = {})
    {
        if (type.is_whole(out, "ss::event: a type with a NUL"))
            handle_ = made(ss_event_new(type.c_str(), bubbles, cancelable), out);
    }
    /** An empty reference. */
    event(std::nullptr_t) noexcept {}
    event(const event &other) : reference(other) {}
    event(event &&other) noexcept : reference(std::move(other)) { own(other); }
    event &operator=(const event &other) { return *this = event(other); }
    event &operator=(event &&other) noexcept
    {
        event taken(std::move(other));
        std::swap(handle_, taken.handle_);
        std::swap(is_lent_, taken.is_lent_);
        return *this;
    }
    ~event()
    {
        if (is_lent_)
            handle_ = nullptr;
    }
    /** Gives the reference up, or one more of an event that is lent: the caller owns it as a C handle. */
    [[nodiscard]] ss_event *detach() noexcept { return static_cast<reference &&>(event(std::move(*this))).detach(); }

    std::string_view type() const { return or_empty(ss_event_type(get())); }
    bool bubbles() const { return ss_event_bubbles(get()); }
    bool cancelable() const { return ss_event_cancelable(get()); }
    int phase() const { return ss_event_phase(get()); }
    [[nodiscard]] event clone(failure out = {}) const { return event(adopt{}, made(ss_event_clone(get()), out)); }
    void prevent_default(failure out = {}) const { out(ss_event_prevent_default(get())); }
    bool is_default_prevented() const { return ss_event_is_default_prevented(get()); }
    void stop_propagation(failure out = {}) const { out(ss_event_stop_propagation(get())); }
    void stop_immediate_propagation(failure out = {}) const { out(ss_event_stop_immediate_propagation(get())); }

    /** The socket that the event was dispatched to; empty if it was not a socket. Lent: copy it to keep it. */
    const ss::socket &target_socket() const
    {
        if (!is_lent_)
            target_socket_.lend(target<ss_socket>(SS_KIND_SOCKET));
        return *target_socket_;
    }
    /** The server that the event was dispatched to; empty if it was not a server. Lent. */
    const ss::server &target_server() const
    {
        if (!is_lent_)
            target_server_.lend(target<ss_server>(SS_KIND_SERVER));
        return *target_server_;
    }
    /** A connect event's accepted connection; empty for others. Lent. */
    const ss::socket &socket() const
    {
        socket_.lend(ss_event_socket(get()));
        return *socket_;
    }
    std::uint64_t bytes_loaded() const { return ss_event_bytes_loaded(get()); }
    std::uint64_t bytes_pending() const { return ss_event_bytes_pending(get()); }
    std::uint64_t bytes_total() const { return ss_event_bytes_total(get()); }
    int error_id() const { return ss_event_error_id(get()); }
    std::string_view text() const { return or_empty(ss_event_text(get())); }
    /** The system's number of the error that an ioError event tells of, or that has ended a connection; 0 if it had none. */
    int os_error() const { return ss_event_os_error(get()); }
    /** Of ioError and close: with whom what was attempted, and what the system said. Ask in the listener. */
    std::string_view detail() const { return or_empty(ss_event_detail(get())); }
    /** os_error() as a code, to compare with std::errc::connection_reset and its like. */
    std::error_code os_code() const { return detail::os_code(os_error()); }
    std::string to_string() const
    {
        std::string text(ss_event_to_string(get(), nullptr, 0) + 1, '\0');
        text.resize(ss_event_to_string(get(), text.data(), text.size()));
        return text;
    }

private:
    friend class ss::reference<event, ss_event>;
    template <class Handle, class Function> friend class detail::callable;
    event(adopt tag, ss_event *handle) noexcept : reference(tag, handle) {}
    /** For the listeners of a socket or a server, which need not ask what the target is. */
    event(ss_event *lent, ss_socket *target) noexcept : reference(adopt{}, lent), is_lent_(true)
    {
        target_socket_.lend(target);
    }
    event(ss_event *lent, ss_server *target) noexcept : reference(adopt{}, lent), is_lent_(true)
    {
        target_server_.lend(target);
    }
    /** What was moved here is ours: of one that was lent we need a reference, and the lender keeps his. */
    void own(event &other) noexcept
    {
        if (!other.is_lent_)
            return;
        other.handle_ = handle_;
        if (handle_ != nullptr && ss_retain(handle_) != SS_OK)
            handle_ = nullptr;
    }
    template <class Target> Target *target(std::int32_t kind) const
    {
        ss_object *target = ss_event_target(get());
        return target != nullptr && ss_object_kind(target) == kind ? static_cast<Target *>(target) : nullptr;
    }
    static std::string_view or_empty(const char *text) { return text != nullptr ? text : std::string_view(); }

    bool is_lent_ = false;
    mutable lent<ss::socket> target_socket_{nullptr};
    mutable lent<ss::server> target_server_{nullptr};
    mutable lent<ss::socket> socket_{nullptr};
};

template <class Reference, class Handle>
bool dispatcher<Reference, Handle>::dispatch(const event &what, failure out) const
{
    bool not_prevented = false;
    out(ss_dispatch_event(get(), what.get(), &not_prevented));
    return not_prevented;
}

template <class Handle, class Function> void detail::callable<Handle, Function>::call(ss_event *handle, void *word)
{
    callable *self = of(word);
    if (self->once_)
        check(self->remove_from(self->target_)); // its callable is destroyed after it
    if constexpr (std::is_invocable_v<Function &, event &>) {
        event lent(handle, self->target_);
        self->function_(lent);
    } else {
        self->function_();
    }
}

/* ---- The log ---------------------------------------------------------------------------------------------- */

/**
 * Has the library's messages given to function(std::int32_t level, std::string_view message), SS_LOG_...; nullptr: to
 * nobody, as at first. There is one for the process, and it may be called on any thread, also inside a call. So it stays in
 * memory until the process ends: a program sets it once. It must not throw.
 */
template <class Function> void set_log(Function &&function, failure out = {})
{
    if constexpr (std::is_same_v<std::decay_t<Function>, std::nullptr_t>) {
        out(ss_set_log(nullptr, nullptr));
    } else {
        struct logger {
            std::decay_t<Function> function;
            logger *before;
        };
        static std::atomic<logger *> last{nullptr};
        auto *made = new logger{std::forward<Function>(function), last.load()};
        while (!last.compare_exchange_weak(made->before, made)) {
        }
        const ss_log log = [](std::int32_t level, const char *message, void *word) {
            static_cast<logger *>(word)->function(level, std::string_view(message));
        };
        out(ss_set_log(log, made));
    }
}

} // namespace ss

/* ---- For the standard library ----------------------------------------------------------------------------- */

namespace std {

template <> struct is_error_code_enum<ss::errc> : true_type {};

template <> struct hash<ss::loop> {
    size_t operator()(const ss::loop &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::timer> {
    size_t operator()(const ss::timer &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::tls> {
    size_t operator()(const ss::tls &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::server> {
    size_t operator()(const ss::server &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::socket> {
    size_t operator()(const ss::socket &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::event> {
    size_t operator()(const ss::event &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <> struct hash<ss::value> {
    size_t operator()(const ss::value &reference) const noexcept { return hash<void *>()(reference.get()); }
};
template <class Reference> struct hash<ss::weak<Reference>> {
    size_t operator()(const ss::weak<Reference> &reference) const noexcept { return hash<void *>()(reference.get()); }
};

} // namespace std

#endif /* SERVER_SOCKET_HPP */
