//! The error record: which AIR class, which AIR id, the text, and the system's errno.
//!
//! Every fallible operation of the core returns a [`Failure`]; the C border turns it into a status and
//! keeps it as the thread's last error.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// What kind of failure it is: AIR's error classes, then what only a C library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Error,
    Argument,
    Range,
    Io,
    Eof,
    Security,
    Type,
    Handle,
    Thread,
    Reentrant,
    Full,
    Unsupported,
    NoMemory,
    Forked,
    Panic,
}

/// One failed operation. `text` is AIR's bare text where AIR has one; `detail` is for people: what was
/// attempted, what the system said, what can be done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub class: Class,
    pub id: i32,
    pub text: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    pub os_error: i32,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// AIR's number and text of an I/O error event.
pub(crate) const SOCKET_ERROR_ID: i32 = 2031;
pub(crate) const SOCKET_ERROR_TEXT: &std::ffi::CStr = c"Error #2031: Socket Error.";

impl Failure {
    const fn air(class: Class, id: i32, text: &'static str) -> Self {
        Failure { class, id, text: Cow::Borrowed(text), detail: Cow::Borrowed(""), os_error: 0 }
    }

    /// A failure that AIR does not know; the text is ours and already says what to do.
    const fn ours(class: Class, text: &'static str) -> Self {
        Failure::air(class, 0, text)
    }

    /// Adds the sentence for people.
    pub(crate) fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds what the operating system said. `attempt` reads like "bind 127.0.0.1:80".
    pub(crate) fn with_system(mut self, attempt: impl fmt::Display, error: &io::Error, advice: &str) -> Self {
        self.os_error = error.raw_os_error().unwrap_or(0);
        let stop = if advice.is_empty() { "" } else { ": " };
        self.detail = Cow::Owned(format!("{attempt}: {error}{stop}{advice}"));
        self
    }

    /// IOError 2002: the socket is not in a state that allows this.
    pub(crate) const fn invalid_socket() -> Self {
        Failure::air(Class::Io, 2002, "Operation attempted on invalid socket.")
    }

    /// Error 2002: `ServerSocket.close()` of a socket that is not open.
    pub(crate) const fn cannot_close() -> Self {
        Failure::air(Class::Error, 2002, "Operation attempted on invalid socket.")
    }

    pub(crate) const fn invalid_port() -> Self {
        Failure::air(Class::Range, 2003, "Invalid socket port number specified.")
    }

    pub(crate) const fn invalid_parameter() -> Self {
        Failure::air(Class::Argument, 2004, "One of the parameters is invalid.")
    }

    pub(crate) const fn out_of_range() -> Self {
        Failure::air(Class::Range, 2006, "The supplied index is out of bounds.")
    }

    /// TypeError 2007: a parameter that must not be NULL is.
    pub(crate) fn null(parameter: &str) -> Self {
        let mut failure = Failure::air(Class::Type, 2007, "");
        failure.text = Cow::Owned(format!("Parameter {parameter} must be non-null."));
        failure
    }

    /// ArgumentError 2008: a value that is none of those that can be chosen.
    pub(crate) fn not_accepted(parameter: &str) -> Self {
        let mut failure = Failure::air(Class::Argument, 2008, "");
        failure.text = Cow::Owned(format!("Parameter {parameter} must be one of the accepted values."));
        failure
    }

    /// SecurityError 2003: `Socket.connect` to a port that does not exist.
    pub(crate) const fn forbidden_port() -> Self {
        Failure::air(Class::Security, 2003, "Invalid socket port number specified.")
    }

    pub(crate) const fn end_of_file() -> Self {
        Failure::air(Class::Eof, 2030, "End of file was encountered.")
    }

    pub(crate) const fn recursion_overflow() -> Self {
        Failure::air(Class::Error, 2094, "Event dispatch recursion overflow.")
    }

    pub(crate) const fn stale_handle() -> Self {
        Failure::ours(
            Class::Handle,
            "This is not a handle of a living object of that kind. It may have been released, or its loop may have ended.",
        )
    }

    pub(crate) const fn nothing_to_release() -> Self {
        Failure::ours(
            Class::Handle,
            "The object has no reference left to give back. Release only what was created or retained.",
        )
    }

    pub(crate) const fn wrong_thread() -> Self {
        Failure::ours(
            Class::Thread,
            "The object belongs to another thread. Call from the thread that made its loop, or hand the work over with ss_loop_post.",
        )
    }

    pub(crate) const fn forked() -> Self {
        Failure::ours(
            Class::Forked,
            "The object belongs to the parent process. Make new objects in the child, or exec.",
        )
    }

    pub(crate) const fn reentrant() -> Self {
        Failure::ours(
            Class::Reentrant,
            "The loop is already being polled. Do not poll it inside its own listeners, or from a signal handler.",
        )
    }

    pub(crate) const fn write_limit() -> Self {
        Failure::ours(
            Class::Full,
            "The unsent output would exceed the socket's write limit. Nothing was written: wait for outputProgress, or close the socket.",
        )
    }

    pub(crate) const fn no_memory() -> Self {
        Failure::ours(Class::NoMemory, "Out of memory. Nothing was changed.")
    }

    pub(crate) const fn unsupported() -> Self {
        Failure::ours(Class::Unsupported, "This system does not offer that.")
    }

    pub(crate) const fn panicked() -> Self {
        Failure::ours(
            Class::Panic,
            "The library failed inside: a fault of its own. The call had no defined effect; other objects go on working.",
        )
    }
}
