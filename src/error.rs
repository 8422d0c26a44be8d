// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error record: which AIR class, which AIR id, the text, and the system's errno.
//!
//! Every fallible operation of the core returns a [`Failure`]; the C border turns it into a status and
//! keeps it as the thread's last error.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Deref;

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

/// One failed operation. Every result has room for one, also where all goes well, so that it is small: what it has to
/// tell lies elsewhere.
#[derive(Debug)]
pub(crate) enum Failure {
    Known(&'static Record),
    Told(Box<Record>),
}

/// What a failure has to tell. `text` is AIR's bare text where AIR has one; `detail` is for people: what was
/// attempted, what the system said, what can be done.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub class: Class,
    pub id: i32,
    pub text: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    pub os_error: i32,
}

/// The text of what is wrong with a handle; the sentence for people says what.
const NO_HANDLE: &str =
    "This is not a handle of a living object of that kind. It may have been released, or its loop may have ended.";

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// AIR's number and text of an I/O error event.
pub(crate) const SOCKET_ERROR_ID: i32 = 2031;
pub(crate) const SOCKET_ERROR_TEXT: &std::ffi::CStr = c"Error #2031: Socket Error.";

/// A system call that failed: its name, and what the system said.
pub(crate) struct SystemError {
    pub call: &'static str,
    pub error: io::Error,
}

/// Says of which call an error is.
pub(crate) fn of_call(call: &'static str) -> impl Fn(io::Error) -> SystemError {
    move |error| SystemError { call, error }
}

impl Record {
    const fn air(class: Class, id: i32, text: &'static str) -> Self {
        Record::detailed(class, id, text, "")
    }

    /// A failure that AIR does not know; the text is ours and already says what to do.
    const fn ours(class: Class, text: &'static str) -> Self {
        Record::air(class, 0, text)
    }

    /// One with its sentence for people, so common that it must not allocate as [`Failure::because`] does.
    const fn detailed(class: Class, id: i32, text: &'static str, detail: &'static str) -> Self {
        Record { class, id, text: Cow::Borrowed(text), detail: Cow::Borrowed(detail), os_error: 0 }
    }
}

impl Deref for Failure {
    type Target = Record;

    fn deref(&self) -> &Record {
        match self {
            Failure::Known(record) => record,
            Failure::Told(record) => record,
        }
    }
}

/// What the system calls one of its error numbers, and the number.
pub(crate) fn system_message(number: i32) -> String {
    if number == 0 {
        return String::from("an error without a number");
    }
    let message = io::Error::from_raw_os_error(number).to_string();
    let text = message.strip_suffix(&format!(" (os error {number})")).unwrap_or(&message);
    format!("{text} ({number})")
}

impl Failure {
    fn told(record: Record) -> Self {
        Failure::Told(Box::new(record))
    }

    #[cold]
    fn into_record(self) -> Box<Record> {
        match self {
            Failure::Known(record) => Box::new(record.clone()),
            Failure::Told(record) => record,
        }
    }

    /// Adds the sentence for people.
    pub(crate) fn because(self, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut record = self.into_record();
        record.detail = detail.into();
        Failure::Told(record)
    }

    /// Adds what the operating system said. `attempt` reads like "bind 127.0.0.1:80".
    pub(crate) fn with_system(self, attempt: impl fmt::Display, error: &io::Error, advice: &str) -> Self {
        let mut record = self.into_record();
        record.os_error = error.raw_os_error().unwrap_or(0);
        let stop = if advice.is_empty() { "" } else { ": " };
        record.detail = Cow::Owned(format!("{attempt}: {error}{stop}{advice}"));
        Failure::Told(record)
    }

    /// As [`with_system`](Self::with_system), where it is the call that was attempted.
    pub(crate) fn with_call(self, failed: &SystemError, advice: &str) -> Self {
        self.with_system(failed.call, &failed.error, advice)
    }

    /// IOError 2002: the socket is not in a state that allows this.
    pub(crate) fn invalid_socket() -> Self {
        static RECORD: Record = Record::air(Class::Io, 2002, "Operation attempted on invalid socket.");
        Failure::Known(&RECORD)
    }

    /// Error 2002: `ServerSocket.close()` of a socket that is not open.
    pub(crate) fn cannot_close() -> Self {
        static RECORD: Record = Record::air(Class::Error, 2002, "Operation attempted on invalid socket.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn invalid_port() -> Self {
        static RECORD: Record = Record::air(Class::Range, 2003, "Invalid socket port number specified.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn invalid_parameter() -> Self {
        static RECORD: Record = Record::air(Class::Argument, 2004, "One of the parameters is invalid.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn out_of_range() -> Self {
        static RECORD: Record = Record::air(Class::Range, 2006, "The supplied index is out of bounds.");
        Failure::Known(&RECORD)
    }

    /// TypeError 2007: a parameter that must not be NULL is.
    pub(crate) fn null(parameter: &str) -> Self {
        let text = Cow::Owned(format!("Parameter {parameter} must be non-null."));
        Failure::told(Record { text, ..Record::air(Class::Type, 2007, "") })
    }

    /// ArgumentError 2008: a value that is none of those that can be chosen.
    pub(crate) fn not_accepted(parameter: &str) -> Self {
        let text = Cow::Owned(format!("Parameter {parameter} must be one of the accepted values."));
        Failure::told(Record { text, ..Record::air(Class::Argument, 2008, "") })
    }

    /// SecurityError 2003: `Socket.connect` to a port that does not exist.
    pub(crate) fn forbidden_port() -> Self {
        static RECORD: Record = Record::air(Class::Security, 2003, "Invalid socket port number specified.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn end_of_file() -> Self {
        static RECORD: Record = Record::air(Class::Eof, 2030, "End of file was encountered.");
        Failure::Known(&RECORD)
    }

    /// IOError 2002, of a socket that is not connected.
    pub(crate) fn not_connected() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Io,
            2002,
            "Operation attempted on invalid socket.",
            "the socket is not connected; look at ss_socket_connected first",
        );
        Failure::Known(&RECORD)
    }

    /// IOError 2002, of a write behind the end of our side.
    pub(crate) fn shut_down() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Io,
            2002,
            "Operation attempted on invalid socket.",
            "nothing can be written after ss_socket_shutdown; write first, then shut down",
        );
        Failure::Known(&RECORD)
    }

    /// EOFError 2030, of a read for which too little has come.
    pub(crate) fn too_few() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Eof,
            2030,
            "End of file was encountered.",
            "fewer bytes have come than were asked for; nothing was read",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn recursion_overflow() -> Self {
        static RECORD: Record = Record::air(Class::Error, 2094, "Event dispatch recursion overflow.");
        Failure::Known(&RECORD)
    }

    /// A handle of an object that is gone, or of none.
    pub(crate) fn stale_handle() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Handle,
            0,
            NO_HANDLE,
            "the object was released, or its loop or thread has ended, or there never was one; retain what is to be used \
             later (ss_retain), and forget a handle when its reference is given back",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn null_handle() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Handle,
            0,
            NO_HANDLE,
            "the handle is NULL: nothing was stored there yet, or the call that was to make the object has failed, and \
             ss_last_error_detail said why",
        );
        Failure::Known(&RECORD)
    }

    /// A handle of a living object, which is not what the function takes. Both read like "a socket's".
    pub(crate) fn other_handle(is: &str, wanted: &str) -> Self {
        static RECORD: Record = Record::ours(Class::Handle, NO_HANDLE);
        Failure::Known(&RECORD).because(format!("this is {is} handle, not {wanted}"))
    }

    pub(crate) fn nothing_to_release() -> Self {
        static RECORD: Record = Record::ours(
            Class::Handle,
            "The object has no reference left to give back. Release only what was created or retained.",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn wrong_thread() -> Self {
        static RECORD: Record = Record::ours(
            Class::Thread,
            "The object belongs to another thread. Call from the thread that made its loop, or hand the work over with ss_loop_post.",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn forked() -> Self {
        static RECORD: Record = Record::ours(
            Class::Forked,
            "The object belongs to the parent process. Make new objects in the child, or exec.",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn reentrant() -> Self {
        static RECORD: Record = Record::ours(
            Class::Reentrant,
            "The loop is already being polled. Do not poll it inside its own listeners, or from a signal handler.",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn write_limit() -> Self {
        static RECORD: Record = Record::ours(
            Class::Full,
            "The unsent output would exceed the socket's write limit. Nothing was written: wait for outputProgress, or close the socket.",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn no_memory() -> Self {
        static RECORD: Record = Record::ours(Class::NoMemory, "Out of memory. Nothing was changed.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn unsupported() -> Self {
        static RECORD: Record = Record::ours(Class::Unsupported, "This system does not offer that.");
        Failure::Known(&RECORD)
    }

    pub(crate) fn without_tls() -> Self {
        static RECORD: Record = Record::detailed(
            Class::Unsupported,
            0,
            "The library was built without TLS.",
            "the library was built without TLS: build it with the feature tls, which is one of its defaults",
        );
        Failure::Known(&RECORD)
    }

    pub(crate) fn panicked() -> Self {
        static RECORD: Record = Record::ours(
            Class::Panic,
            "The library failed inside: a fault of its own. The call had no defined effect; other objects go on working.",
        );
        Failure::Known(&RECORD)
    }
}
