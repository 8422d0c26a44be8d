/*
 * server_socket for C++17: the library of server_socket.h, with references that count themselves, callables as
 * listeners, and exceptions. Header only; link the library as a C program does.
 *
 *     #include <server_socket.hpp>
 *     #include <cstdio>
 *
 *     int main()
 *     {
 *         ss::server server;
 *         server.on_connect([](ss::event &event) {
 *             ss::socket peer = event.socket();
 *             peer.keep();                                // until its connection ends
 *             peer.on_data([](ss::event &data) {
 *                 ss::socket from = data.target_socket();
 *                 ss::bytes unread = from.peek();         // in place, no copy
 *                 from.write(unread);                     // sent when this listener ends
 *                 from.skip(unread.size());
 *             });
 *         });
 *         server.bind(0, "127.0.0.1");
 *         server.listen();
 *         std::printf("port %d\n", server.local_port());
 *         std::fflush(stdout);
 *         ss::loop::current().run();
 *     }
 *
 * The rules, besides those of server_socket.h:
 *
 *  1. An ss::loop, ss::server, ss::socket or ss::event is one reference. A copy is one more, and the last one to go
 *     closes and destroys the object. All of them belong to the thread of their loop, their destructors included; only
 *     an ss::loop_remote may be used from everywhere.
 *  2. A function that fails throws an ss::error, of the class that AIR would throw: ss::io_error, ss::range_error, ...
 *     It carries the status, AIR's id and the system's number. Constructors that find no memory or descriptor throw, too.
 *  3. A listener is any callable that takes an ss::event &. It is destroyed when it is removed or its target dies. It must
 *     not capture its own target, which would then never die: the event has it, and socket::keep() keeps it.
 *  4. An exception that leaves a listener or a posted task is held, and the other listeners run. It is thrown by the
 *     poll(), run() or dispatch() that ran the listener. Of several, the first is.
 *  5. An ss::value is one reference to the whole that it is part of, and belongs to the thread that it was made on.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef SERVER_SOCKET_HPP
#define SERVER_SOCKET_HPP

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "server_socket.h"

namespace ss {

/* ---- Errors ----------------------------------------------------------------------------------------------- */

/** What every failure is thrown as; what() is the sentence for people, message() AIR's bare text. */
class error : public std::runtime_error {
public:
    explicit error(ss_status status)
        : std::runtime_error(ss_last_error_detail()), status_(status), air_id_(ss_last_error_id()),
          os_error_(ss_last_os_error()), message_(std::make_shared<std::string>(ss_last_error_message()))
    {
    }

    ss_status status() const noexcept { return status_; }
    /** AIR's number (2002, 2003, ...), 0 if AIR has none. */
    int air_id() const noexcept { return air_id_; }
    /** The system's number (errno, GetLastError), 0 if it had none. */
    int os_error() const noexcept { return os_error_; }
    const std::string &message() const noexcept { return *message_; }
    /** AIR's name of the class ("RangeError") or ours ("InvalidHandle"). */
    const char *name() const noexcept { return ss_status_name(static_cast<std::int32_t>(status_)); }

private:
    ss_status status_;
    int air_id_;
    int os_error_;
    std::shared_ptr<std::string> message_; // shared, so that copying an exception does not throw
};

struct argument_error : error { using error::error; };
struct range_error : error { using error::error; };
struct io_error : error { using error::error; };
struct eof_error : error { using error::error; };
struct security_error : error { using error::error; };
struct type_error : error { using error::error; };
/** The handle's object is gone. */
struct handle_error : error { using error::error; };
/** The object is another thread's. */
struct thread_error : error { using error::error; };
/** The loop is being polled already. */
struct reentrant_error : error { using error::error; };
/** The write limit is reached; nothing was written. */
struct full_error : error { using error::error; };
struct unsupported_error : error { using error::error; };
struct memory_error : error { using error::error; };
struct forked_error : error { using error::error; };

/** Throws this thread's last failure as the class that belongs to the status. */
[[noreturn]] inline void raise(ss_status status)
{
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
}

/** Throws unless the status is SS_OK: for calls of the C functions by hand. */
inline void check(ss_status status)
{
    if (status != SS_OK)
        raise(status);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------ */

/** Bytes that are somebody else's, like std::span<const std::uint8_t> of C++20. */
class bytes {
public:
    constexpr bytes() noexcept = default;
    constexpr bytes(const std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** A text's bytes, without any NUL. */
    bytes(std::string_view text) noexcept
        : data_(reinterpret_cast<const std::uint8_t *>(text.data())), size_(text.size())
    {
    }
    bytes(const char *text) noexcept : bytes(std::string_view(text)) {}
    bytes(const std::string &text) noexcept : bytes(std::string_view(text)) {}
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
    constexpr const std::uint8_t *begin() const noexcept { return data_; }
    constexpr const std::uint8_t *end() const noexcept { return data_ + size_; }
    constexpr std::uint8_t operator[](std::size_t index) const { return data_[index]; }
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data_), size_}; }
    std::string string() const { return std::string(text()); }

private:
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/* ---- References ------------------------------------------------------------------------------------------- */

class socket;
class server;
class event;

/** One reference to an object of the library. */
template <class Handle> class reference {
public:
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
    ~reference() { ss_release(handle_); }

    /** The C handle, for calls of the C functions by hand; NULL for an empty reference. */
    Handle *get() const noexcept { return handle_; }
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    friend bool operator==(const reference &left, const reference &right) noexcept
    {
        return left.handle_ == right.handle_;
    }
    friend bool operator!=(const reference &left, const reference &right) noexcept { return !(left == right); }

protected:
    /** Takes a reference over that was given to us; NULL is a constructor's failure. */
    static Handle *made(Handle *handle)
    {
        if (handle == nullptr)
            raise(ss_last_status());
        return handle;
    }
    struct adopt {};
    reference(adopt, Handle *handle) noexcept : handle_(handle) {}

private:
    Handle *handle_ = nullptr;
};

namespace detail {

/** The exception that a listener of this thread has thrown and nobody has got yet. */
inline std::exception_ptr &held()
{
    static thread_local std::exception_ptr exception;
    return exception;
}

/** The loop that this thread is running, which an exception has to stop. */
inline ss_loop *&running()
{
    static thread_local ss_loop *loop = nullptr;
    return loop;
}

inline void hold() noexcept
{
    if (!held())
        held() = std::current_exception();
    if (running() != nullptr)
        ss_loop_stop(running());
}

inline void rethrow()
{
    if (held())
        std::rethrow_exception(std::exchange(held(), nullptr));
}

/** A listener's callable. */
struct callable {
    virtual ~callable() = default;
    virtual void call(ss_event *event) = 0;
};

/** A posted task's callable. */
struct task {
    virtual ~task() = default;
    virtual void call() = 0;
};

extern "C" {
inline void ss_hpp_listener(ss_event *event, void *callable_) noexcept
{
    try {
        static_cast<callable *>(callable_)->call(event);
    } catch (...) {
        hold();
    }
}
inline void ss_hpp_destroy(void *callable_) noexcept
{
    delete static_cast<callable *>(callable_);
}
inline void ss_hpp_task(void *task_) noexcept
{
    std::unique_ptr<task> owned(static_cast<task *>(task_));
    try {
        owned->call();
    } catch (...) {
        hold();
    }
}
inline void ss_hpp_cancelled(void *task_) noexcept
{
    delete static_cast<task *>(task_);
}
inline void ss_hpp_kept(ss_event *, void *socket) noexcept
{
    ss_remove_listener(socket, SS_EVENT_CLOSE, ss_hpp_kept, socket, false);
}
inline void ss_hpp_unkeep(void *socket) noexcept
{
    ss_release(socket);
}
}

} // namespace detail

/** A registration: what remove_listener() takes. It needs not be kept. */
class listener {
public:
    listener() = default;

private:
    template <class Handle> friend class dispatcher;
    listener(std::string type, void *callable, bool use_capture)
        : type_(std::move(type)), callable_(callable), use_capture_(use_capture)
    {
    }
    std::string type_;
    void *callable_ = nullptr;
    bool use_capture_ = false;
};

/* ---- Event ------------------------------------------------------------------------------------------------ */

/** AIR's Event and its subclasses. A copy outlives the dispatch. */
class event : public reference<ss_event> {
public:
    /** An event of your own, for dispatch(). */
    explicit event(const std::string &type, bool bubbles = false, bool cancelable = false)
        : reference(adopt{}, made(ss_event_new(type.c_str(), bubbles, cancelable)))
    {
    }

    std::string_view type() const { return or_empty(ss_event_type(get())); }
    bool bubbles() const { return ss_event_bubbles(get()); }
    bool cancelable() const { return ss_event_cancelable(get()); }
    int phase() const { return ss_event_phase(get()); }
    event clone() const { return event(adopt{}, made(ss_event_clone(get()))); }
    void prevent_default() { check(ss_event_prevent_default(get())); }
    bool is_default_prevented() const { return ss_event_is_default_prevented(get()); }
    void stop_propagation() { check(ss_event_stop_propagation(get())); }
    void stop_immediate_propagation() { check(ss_event_stop_immediate_propagation(get())); }

    /** The socket that the event was dispatched to; empty if it was not a socket. */
    inline ss::socket target_socket() const;
    /** The server that the event was dispatched to; empty if it was not a server. */
    inline ss::server target_server() const;
    /** A connect event's accepted connection; empty for others. */
    inline ss::socket socket() const;
    std::uint64_t bytes_loaded() const { return ss_event_bytes_loaded(get()); }
    std::uint64_t bytes_pending() const { return ss_event_bytes_pending(get()); }
    std::uint64_t bytes_total() const { return ss_event_bytes_total(get()); }
    int error_id() const { return ss_event_error_id(get()); }
    std::string_view text() const { return or_empty(ss_event_text(get())); }
    int os_error() const { return ss_event_os_error(get()); }
    std::string to_string() const
    {
        std::string text(ss_event_to_string(get(), nullptr, 0) + 1, '\0');
        text.resize(ss_event_to_string(get(), text.data(), text.size()));
        return text;
    }

private:
    template <class Handle> friend class dispatcher;
    event(adopt tag, ss_event *handle) noexcept : reference(tag, handle) {}
    static event retained(ss_event *handle)
    {
        check(ss_retain(handle));
        return event(adopt{}, handle);
    }
    static std::string_view or_empty(const char *text) { return text != nullptr ? text : std::string_view(); }
};

/* ---- EventDispatcher -------------------------------------------------------------------------------------- */

/** What servers and sockets have in common: listeners, options. */
template <class Handle> class dispatcher : public reference<Handle> {
public:
    using reference<Handle>::get;

    /** EventDispatcher.addEventListener. function: any callable that takes an ss::event &. */
    template <class Function>
    listener add_listener(const std::string &type, Function &&function, std::int32_t priority = 0,
                          bool use_capture = false)
    {
        struct box final : detail::callable {
            std::decay_t<Function> function;
            explicit box(Function &&given) : function(std::forward<Function>(given)) {}
            void call(ss_event *handle) override
            {
                event borrowed = event::retained(handle);
                function(borrowed);
            }
        };
        std::unique_ptr<detail::callable> callable = std::make_unique<box>(std::forward<Function>(function));
        void *key = callable.get();
        check(ss_add_listener_full(get(), type.c_str(), detail::ss_hpp_listener, key, detail::ss_hpp_destroy,
                                   use_capture, priority));
        callable.release();
        return listener(type, key, use_capture);
    }

    /** EventDispatcher.removeEventListener; the callable is destroyed, after the listener that is running, if one is. */
    void remove_listener(const listener &which)
    {
        if (which.callable_ != nullptr)
            check(ss_remove_listener(get(), which.type_.c_str(), detail::ss_hpp_listener, which.callable_,
                                     which.use_capture_));
    }

    bool has_listener(const std::string &type) const { return ss_has_listener(get(), type.c_str()); }
    bool will_trigger(const std::string &type) const { return ss_will_trigger(get(), type.c_str()); }

    /** EventDispatcher.dispatchEvent: false if a listener prevented the default. */
    bool dispatch(event &what)
    {
        bool not_prevented = true;
        const ss_status status = ss_dispatch_event(get(), what.get(), &not_prevented);
        detail::rethrow();
        check(status);
        return not_prevented;
    }

    void set_option(ss_option option, std::int64_t value) { check(ss_set_option(get(), option, value)); }
    std::int64_t option(ss_option option) const
    {
        std::int64_t value = 0;
        check(ss_get_option(get(), option, &value));
        return value;
    }
    /** The system's descriptor. It stays the library's. */
    std::int64_t native_handle() const
    {
        std::int64_t descriptor = 0;
        check(ss_native_handle(get(), &descriptor));
        return descriptor;
    }

protected:
    using reference<Handle>::reference;
    using typename reference<Handle>::adopt;
    dispatcher() = default;
    dispatcher(adopt tag, Handle *handle) noexcept : reference<Handle>(tag, handle) {}
    static std::string or_empty(const char *text) { return text != nullptr ? std::string(text) : std::string(); }
};

/* ---- Loops ------------------------------------------------------------------------------------------------ */

/** What every thread may do with a loop. A plain value; after the loop's end its functions throw handle_error. */
class loop_remote {
public:
    explicit loop_remote(ss_loop *handle) noexcept : handle_(handle) {}

    /** Ends run() after the turn it is in. */
    void stop() const { check(ss_loop_stop(handle_)); }
    /** Ends a waiting poll(). */
    void wake() const { check(ss_loop_wake(handle_)); }
    /** Has function() run once on the loop's thread. If the loop ends first it is destroyed without running. */
    template <class Function> void post(Function &&function) const
    {
        struct box final : detail::task {
            std::decay_t<Function> function;
            explicit box(Function &&given) : function(std::forward<Function>(given)) {}
            void call() override { function(); }
        };
        std::unique_ptr<detail::task> task = std::make_unique<box>(std::forward<Function>(function));
        check(ss_loop_post(handle_, detail::ss_hpp_task, task.get(), detail::ss_hpp_cancelled));
        task.release();
    }

private:
    ss_loop *handle_;
};

/** An event loop. */
class loop : public reference<ss_loop> {
public:
    /** A loop of its own, on this thread. With its last reference everything on it ends. */
    loop() : reference(adopt{}, made(ss_loop_new())) {}
    /** This thread's own loop, which is there until the thread ends. */
    static loop current()
    {
        ss_loop *handle = made(ss_loop_default());
        check(ss_retain(handle));
        return loop(adopt{}, handle);
    }

    /** One turn; returns how many events were dispatched. Negative: waits without end. Throws what listeners threw. */
    std::uint32_t poll(std::chrono::milliseconds timeout = std::chrono::milliseconds(-1))
    {
        std::uint32_t events = 0;
        const ss_status status = ss_loop_poll(get(), clamp(timeout.count()), &events);
        detail::rethrow();
        check(status);
        return events;
    }

    /** Turns until stop(), or until nothing can bring an event any more, or until a listener throws. */
    void run()
    {
        ss_loop *outer = std::exchange(detail::running(), get());
        const ss_status status = ss_loop_run(get());
        detail::running() = outer;
        detail::rethrow();
        check(status);
    }

    loop_remote remote() const noexcept { return loop_remote(get()); }
    void stop() { remote().stop(); }
    /** The descriptor to wait for in a loop of the host's; see ss_loop_fd. */
    std::int64_t fd() const
    {
        std::int64_t descriptor = 0;
        check(ss_loop_fd(get(), &descriptor));
        return descriptor;
    }
    /** The longest a host may wait for it; negative: without end. */
    std::chrono::milliseconds timeout() const { return std::chrono::milliseconds(ss_loop_timeout(get())); }

private:
    loop(adopt tag, ss_loop *handle) noexcept : reference(tag, handle) {}
    static std::int32_t clamp(std::chrono::milliseconds::rep count)
    {
        return count < 0 ? -1 : count > INT32_MAX ? INT32_MAX : static_cast<std::int32_t>(count);
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
class value : public reference<ss_value> {
    template <class Plain>
    static constexpr bool is_plain = std::is_same_v<Plain, std::nullptr_t> ||
                                     (std::is_arithmetic_v<Plain> && !std::is_same_v<Plain, char>) ||
                                     std::is_convertible_v<const Plain &, std::string_view>;

public:
    /** An empty one. */
    value() noexcept = default;
    /** A null, a boolean, a number or a text: see assign(). */
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
        if (has_nul(name))
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
    template <class Plain> std::enable_if_t<is_plain<Plain>> assign(const Plain &plain)
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
    void assign(const value &other)
    {
        if (other)
            check(ss_value_assign(get(), other.get()));
        else
            set_type(SS_VALUE_UNDEFINED);
    }
    /** Makes it one of another type, SS_VALUE_...: false, 0, "" or without parts. */
    void set_type(std::int32_t type) { check(ss_value_set(get(), type)); }
    void set_date(double milliseconds) { check(ss_value_set_date(get(), milliseconds)); }
    /** SS_VALUE_STRING, SS_VALUE_BYTE_ARRAY, SS_VALUE_XML or SS_VALUE_XML_DOCUMENT, with a copy of the bytes. */
    void set_bytes(std::int32_t type, ss::bytes content)
    {
        check(ss_value_set_bytes(get(), type, content.data(), content.size()));
    }
    /** The class of an object, with or without parts, or of what a vector of objects is of; "": none. */
    void set_class_name(std::string_view name) { check(ss_value_set_class_name(get(), c_name(name).c_str())); }

    /** Adds an item to an array, vector or dictionary, undefined as yet, and returns it. */
    value add_item() { return part(ss_value_add_item(get())); }
    /** Adds an item that is the same as another value, as assign() makes it so, and returns it. */
    value add(const value &item)
    {
        const value there = item; // what cannot be had gets no place
        add_item().assign(there);
        return (*this)[item_count() - 1]; // assigned, it may go by another handle
    }
    /**
     * Adds a property to an object or array, undefined as yet, even if there is one of that name, and returns it.
     * std::invalid_argument: the name has a NUL in it, as those of peers may.
     */
    value add_property(std::string_view name) { return part(ss_value_add_property(get(), c_name(name).c_str())); }
    /** Makes a property the same as another value, as assign() does, adds it if it is not there, and returns it. */
    value set(std::string_view name, const value &content)
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
    template <class Part> friend class parts;
    value(adopt tag, ss_value *handle) noexcept : reference(tag, handle) {}
    static value retained(ss_value *handle)
    {
        check(ss_retain(handle));
        return value(adopt{}, handle);
    }
    /** A part that the library has lent: a reference to it is one to its whole. */
    static value part(ss_value *lent) { return retained(made(lent)); }

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
    void assign_integer(double number)
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

    static bool has_nul(std::string_view name) { return name.find('\0') != std::string_view::npos; }
    /** A name for the C functions, which would take what comes before a NUL for all of it. */
    static std::string c_name(std::string_view name)
    {
        if (has_nul(name))
            throw std::invalid_argument("ss::value: a name with a NUL");
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

/** The items or properties of a value, for range-for. It holds the value. What is added meanwhile is not met. */
template <class Part> class parts {
public:
    class iterator {
    public:
        Part operator*() const
        {
            if constexpr (std::is_same_v<Part, property>)
                return of_->property_at(index_);
            else
                return (*of_)[index_];
        }
        iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        bool operator==(const iterator &other) const noexcept { return index_ == other.index_; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

    private:
        friend class parts;
        iterator(const value *of, std::size_t index) noexcept : of_(of), index_(index) {}
        const value *of_;
        std::size_t index_;
    };

    iterator begin() const noexcept { return {&of_, 0}; }
    iterator end() const noexcept { return {&of_, count_}; }

private:
    friend class value;
    parts(const value &of, std::size_t count) : of_(of), count_(count) {}
    value of_;
    std::size_t count_;
};

inline parts<value> value::items() const { return {*this, item_count()}; }
inline parts<property> value::properties() const { return {*this, property_count()}; }

/* ---- Socket ----------------------------------------------------------------------------------------------- */

/** AIR's Socket: one end of a TCP connection. */
class socket : public dispatcher<ss_socket> {
public:
    /** A socket to connect() with. A server's come with its connect events. */
    socket() : socket(nullptr) {}
    explicit socket(const loop &home) : socket(home.get()) {}

    /** Begins to connect, and returns; what comes of it is a connect or an ioError event. */
    void connect(const std::string &host, std::int32_t port) { check(ss_socket_connect(get(), host.c_str(), port)); }
    /** What was written is still sent, in the background. No event follows. */
    void close()
    {
        check(ss_socket_close(get()));
        unkeep();
    }
    /** The peer sees the connection reset. No event follows. */
    void abort()
    {
        check(ss_socket_abort(get()));
        unkeep();
    }
    void flush() { check(ss_socket_flush(get())); }
    void pause() { check(ss_socket_pause(get())); }
    void resume() { check(ss_socket_resume(get())); }

    /** Keeps the socket alive until its connection ends, though nobody may hold it: for a server's connections. */
    void keep()
    {
        check(ss_retain(get()));
        const ss_status status =
            ss_add_listener_full(get(), SS_EVENT_CLOSE, detail::ss_hpp_kept, get(), detail::ss_hpp_unkeep, false,
                                 INT32_MIN);
        if (status != SS_OK) {
            ss_release(get());
            raise(status);
        }
    }

    bool connected() const { return ss_socket_connected(get()); }
    std::size_t bytes_available() const { return ss_socket_bytes_available(get()); }
    std::size_t bytes_pending() const { return ss_socket_bytes_pending(get()); }
    std::string local_address() const { return or_empty(ss_socket_local_address(get())); }
    std::string remote_address() const { return or_empty(ss_socket_remote_address(get())); }
    int local_port() const { return ss_socket_local_port(get()); }
    int remote_port() const { return ss_socket_remote_port(get()); }
    /** SS_BIG_ENDIAN or SS_LITTLE_ENDIAN. */
    std::int32_t endian() const { return ss_socket_endian(get()); }
    void set_endian(std::int32_t endian) { check(ss_socket_set_endian(get(), endian)); }
    /** How long connecting may take. */
    std::chrono::milliseconds timeout() const { return std::chrono::milliseconds(ss_socket_timeout(get())); }
    void set_timeout(std::chrono::milliseconds timeout)
    {
        const auto count = timeout.count();
        if (count < 0 || count > UINT32_MAX)
            throw std::invalid_argument("ss::socket::set_timeout: 0 to 4294967295 ms");
        check(ss_socket_set_timeout(get(), static_cast<std::uint32_t>(count)));
    }

    /** The unread bytes in place; good until the next read, skip or close, and no longer than the listener runs. */
    bytes peek() const
    {
        std::size_t size = 0;
        const std::uint8_t *data = ss_socket_peek(get(), &size);
        return {data, size};
    }
    /** Counts peeked bytes as read. */
    void skip(std::size_t length) { check(ss_socket_skip(get(), length)); }
    /** Up to capacity of the unread bytes; returns how many. */
    std::size_t read(void *target, std::size_t capacity) { return ss_socket_read(get(), target, capacity); }
    /** All the unread bytes. */
    std::string read_all() { return read_string(bytes_available()); }
    /** Exactly length bytes, or eof_error and none. */
    void read_bytes(void *target, std::size_t length) { check(ss_socket_read_bytes(get(), target, length)); }
    std::string read_string(std::size_t length)
    {
        // What is not there must not make us reserve room for it.
        if (length > bytes_available())
            skip(length); // fails, and skips nothing
        std::string text(length, '\0');
        read_bytes(text.data(), length);
        return text;
    }
    bool read_boolean() { return read_value<bool>(ss_socket_read_boolean); }
    std::int8_t read_byte() { return read_value<std::int8_t>(ss_socket_read_byte); }
    std::uint8_t read_unsigned_byte() { return read_value<std::uint8_t>(ss_socket_read_unsigned_byte); }
    std::int16_t read_short() { return read_value<std::int16_t>(ss_socket_read_short); }
    std::uint16_t read_unsigned_short() { return read_value<std::uint16_t>(ss_socket_read_unsigned_short); }
    std::int32_t read_int() { return read_value<std::int32_t>(ss_socket_read_int); }
    std::uint32_t read_unsigned_int() { return read_value<std::uint32_t>(ss_socket_read_unsigned_int); }
    float read_float() { return read_value<float>(ss_socket_read_float); }
    double read_double() { return read_value<double>(ss_socket_read_double); }
    /** A text with its length before it. */
    std::string read_utf()
    {
        return read_text([this](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_utf(get(), target, capacity, length);
        });
    }
    std::string read_utf_bytes(std::size_t byte_length)
    {
        return read_text([this, byte_length](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_utf_bytes(get(), byte_length, target, capacity, length);
        });
    }
    /** A text in another charset, as UTF-8. */
    std::string read_multi_byte(std::size_t byte_length, const std::string &charset)
    {
        return read_text([&](char *target, std::size_t capacity, std::size_t *length) {
            return ss_socket_read_multi_byte(get(), byte_length, charset.c_str(), target, capacity, length);
        });
    }

    /** Socket.objectEncoding, for the objects read and written from now on: SS_AMF3 (the default) or SS_AMF0. */
    std::int32_t object_encoding() const { return ss_socket_object_encoding(get()); }
    void set_object_encoding(std::int32_t encoding) { check(ss_socket_set_object_encoding(get(), encoding)); }
    /**
     * Socket.readObject: the object that comes next, or eof_error if it has not arrived as a whole yet. Other failures
     * (argument_error, range_error, unsupported_error: see ss_socket_read_object) mean that what this peer sends cannot
     * be read. After any of them all bytes are unread still.
     */
    value read_object()
    {
        value object = try_read_object();
        if (!object)
            raise(SS_ERR_EOF);
        return object;
    }
    /** read_object(), but empty where that throws eof_error: how long an object is shows only when it is there. */
    value try_read_object()
    {
        ss_value *object = nullptr;
        const ss_status status = ss_socket_read_object(get(), &object);
        if (status != SS_ERR_EOF)
            check(status);
        return value(value::adopt{}, object);
    }

    /** All of the bytes or, when the write limit is reached, full_error and none. Sent when the listener ends. */
    void write(bytes data) { check(ss_socket_write_bytes(get(), data.data(), data.size())); }
    void write(const void *data, std::size_t length) { check(ss_socket_write_bytes(get(), data, length)); }
    void write_boolean(bool value) { check(ss_socket_write_boolean(get(), value)); }
    void write_byte(std::int32_t value) { check(ss_socket_write_byte(get(), value)); }
    void write_short(std::int32_t value) { check(ss_socket_write_short(get(), value)); }
    void write_int(std::int32_t value) { check(ss_socket_write_int(get(), value)); }
    void write_unsigned_int(std::uint32_t value) { check(ss_socket_write_unsigned_int(get(), value)); }
    void write_float(float value) { check(ss_socket_write_float(get(), value)); }
    void write_double(double value) { check(ss_socket_write_double(get(), value)); }
    void write_utf(const std::string &text) { check(ss_socket_write_utf(get(), text.c_str())); }
    void write_utf_bytes(const std::string &text) { check(ss_socket_write_utf_bytes(get(), text.c_str())); }
    void write_multi_byte(const std::string &text, const std::string &charset)
    {
        check(ss_socket_write_multi_byte(get(), text.c_str(), charset.c_str()));
    }
    /** Socket.writeObject: a value with all its parts or, when the write limit is reached, full_error and nothing. */
    void write_object(const value &object)
    {
        const value content = object ? object : value::undefined();
        check(ss_socket_write_object(get(), content.get()));
    }

    template <class Function> listener on_connect(Function &&function)
    {
        return add_listener(SS_EVENT_CONNECT, std::forward<Function>(function));
    }
    template <class Function> listener on_data(Function &&function)
    {
        return add_listener(SS_EVENT_SOCKET_DATA, std::forward<Function>(function));
    }
    template <class Function> listener on_close(Function &&function)
    {
        return add_listener(SS_EVENT_CLOSE, std::forward<Function>(function));
    }
    template <class Function> listener on_output_progress(Function &&function)
    {
        return add_listener(SS_EVENT_OUTPUT_PROGRESS, std::forward<Function>(function));
    }
    template <class Function> listener on_io_error(Function &&function)
    {
        return add_listener(SS_EVENT_IO_ERROR, std::forward<Function>(function));
    }

private:
    friend class event;
    explicit socket(ss_loop *home) : dispatcher(adopt{}, made(ss_socket_new(home))) {}
    /** Another reference to the socket of an event, or none. */
    static socket retained(ss_socket *handle)
    {
        if (handle != nullptr)
            check(ss_retain(handle));
        return socket(adopt{}, handle);
    }
    socket(adopt tag, ss_socket *handle) noexcept : dispatcher(tag, handle) {}

    void unkeep() { ss_remove_listener(get(), SS_EVENT_CLOSE, detail::ss_hpp_kept, get(), false); }

    template <class Value> Value read_value(ss_status (*read)(ss_socket *, Value *))
    {
        Value value{};
        check(read(get(), &value));
        return value;
    }
    template <class Read> static std::string read_text(Read read)
    {
        std::size_t length = 0;
        std::string text(64, '\0');
        ss_status status = read(text.data(), text.size() + 1, &length);
        if (status == SS_ERR_RANGE) { // too small, and now we know how large it must be
            text.resize(length);
            status = read(text.data(), text.size() + 1, &length);
        }
        check(status);
        text.resize(length);
        return text;
    }
};

/* ---- ServerSocket ----------------------------------------------------------------------------------------- */

/** AIR's ServerSocket. */
class server : public dispatcher<ss_server> {
public:
    server() : server(nullptr) {}
    explicit server(const loop &home) : server(home.get()) {}

    /** Port 0: any free one. Address in digits; "": all of IPv4, "::": all of IPv6. */
    void bind(std::int32_t port, const std::string &address = "") { check(ss_bind(get(), port, address.c_str())); }
    void listen(std::int32_t backlog = 0) { check(ss_listen(get(), backlog)); }
    void close() { check(ss_close(get())); }
    /** Takes over a bound socket of the service manager's; see ss_adopt. */
    void adopt_descriptor(std::int64_t descriptor, bool listening) { check(ss_adopt(get(), descriptor, listening)); }
    void pause() { check(ss_pause(get())); }
    void resume() { check(ss_resume(get())); }
    bool bound() const { return ss_bound(get()); }
    bool listening() const { return ss_listening(get()); }
    std::string local_address() const { return or_empty(ss_local_address(get())); }
    int local_port() const { return ss_local_port(get()); }
    ss_stats stats() const
    {
        ss_stats stats{};
        stats.size = sizeof stats;
        check(ss_server_stats(get(), &stats));
        return stats;
    }

    template <class Function> listener on_connect(Function &&function)
    {
        return add_listener(SS_EVENT_CONNECT, std::forward<Function>(function));
    }
    template <class Function> listener on_close(Function &&function)
    {
        return add_listener(SS_EVENT_CLOSE, std::forward<Function>(function));
    }

private:
    friend class event;
    explicit server(ss_loop *home) : dispatcher(adopt{}, made(ss_new(home))) {}
    server(adopt tag, ss_server *handle) noexcept : dispatcher(tag, handle) {}
    static server retained(ss_server *handle)
    {
        if (handle != nullptr)
            check(ss_retain(handle));
        return server(adopt{}, handle);
    }
};

inline ss::socket event::target_socket() const
{
    ss_object *target = ss_event_target(get());
    return ss::socket::retained(ss_object_kind(target) == SS_KIND_SOCKET ? static_cast<ss_socket *>(target) : nullptr);
}

inline ss::server event::target_server() const
{
    ss_object *target = ss_event_target(get());
    return ss::server::retained(ss_object_kind(target) == SS_KIND_SERVER ? static_cast<ss_server *>(target) : nullptr);
}

inline ss::socket event::socket() const { return ss::socket::retained(ss_event_socket(get())); }

} // namespace ss

#endif /* SERVER_SOCKET_HPP */
