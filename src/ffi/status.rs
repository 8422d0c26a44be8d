// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status and last error.

use std::ffi::{CStr, c_char};

use super::border;

/// What a function that can fail returns. The numbers never change and are never used again.
///
/// Each of the first group stands for an error class of AIR that a program in ActionScript or Haxe would catch.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ss_status {
    /// Success.
    SS_OK = 0,
    /// AIR's Error.
    SS_ERR_ERROR = 1,
    /// AIR's ArgumentError: a malformed value.
    SS_ERR_ARGUMENT = 2,
    /// AIR's RangeError: a number out of range.
    SS_ERR_RANGE = 3,
    /// AIR's IOError: the socket is not in a state that allows the call, or the system refused.
    SS_ERR_IO = 4,
    /// AIR's EOFError: fewer bytes have arrived than were asked for.
    SS_ERR_EOF = 5,
    /// AIR's SecurityError: a remote port out of range.
    SS_ERR_SECURITY = 6,
    /// AIR's TypeError: a NULL where there must be something.
    SS_ERR_TYPE = 7,
    /// Not a handle of a living object of this kind: NULL, released, of another kind, or garbage.
    SS_ERR_HANDLE = 20,
    /// The object belongs to another thread.
    SS_ERR_THREAD = 21,
    /// The loop is being polled already.
    SS_ERR_REENTRANT = 22,
    /// The write limit is reached; nothing was written.
    SS_ERR_FULL = 23,
    /// This system or version does not offer it.
    SS_ERR_UNSUPPORTED = 24,
    /// Out of memory; nothing was changed.
    SS_ERR_NO_MEMORY = 25,
    /// The object belongs to the process that this one was forked from.
    SS_ERR_FORKED = 26,
    /// A fault inside the library, stopped at its border. Please report it.
    SS_ERR_PANIC = 99,
}

/// The name of a status: AIR's class ("RangeError") or ours ("InvalidHandle").
///
/// Any number is allowed; one that is no status is "UnknownStatus". Never NULL, never to be freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ss_status_name(status: i32) -> *const c_char {
    let name: &CStr = match status {
        0 => c"OK",
        1 => c"Error",
        2 => c"ArgumentError",
        3 => c"RangeError",
        4 => c"IOError",
        5 => c"EOFError",
        6 => c"SecurityError",
        7 => c"TypeError",
        20 => c"InvalidHandle",
        21 => c"WrongThread",
        22 => c"Reentrant",
        23 => c"WriteLimit",
        24 => c"Unsupported",
        25 => c"NoMemory",
        26 => c"Forked",
        99 => c"Panic",
        _ => c"UnknownStatus",
    };
    name.as_ptr()
}

/// The status of this thread's last failure; SS_OK before any. For functions that return an object or a value, and NULL
/// or nothing when they fail: a success in between does not change it.
#[unsafe(no_mangle)]
pub extern "C" fn ss_last_status() -> ss_status {
    border::last_numbers().0
}

/// AIR's number of this thread's last failure (2002, 2003, ...): Error.errorID. 0 if AIR has none for it.
#[unsafe(no_mangle)]
pub extern "C" fn ss_last_error_id() -> i32 {
    border::last_numbers().1
}

/// The text of this thread's last failure: Error.message, AIR's own words without the number, where AIR has any.
///
/// "" before any failure. The text is the library's and is valid until this thread's next call that fails.
#[unsafe(no_mangle)]
pub extern "C" fn ss_last_error_message() -> *const c_char {
    border::last_text()
}

/// The last failure of this thread as a sentence for people: what was attempted, what the system said, and what
/// to do about it. For a log or a message box; its wording may change.
///
/// "" before any failure, else never empty. Valid as long as ss_last_error_message().
#[unsafe(no_mangle)]
pub extern "C" fn ss_last_error_detail() -> *const c_char {
    border::last_detail()
}

/// The operating system's number of this thread's last failure (errno, GetLastError), 0 if it had none.
#[unsafe(no_mangle)]
pub extern "C" fn ss_last_os_error() -> i32 {
    border::last_numbers().2
}
