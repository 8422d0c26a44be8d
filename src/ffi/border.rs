//! The guard that every export passes: no panic gets out, and every failure becomes a status and the thread's
//! last error.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use super::status::ss_status;
use crate::error::{Class, Failure, Result};
use crate::handle::Key;
use crate::log::{self, Level};
use crate::objects::{Objects, step, with};

/// Runs the body of a function that returns a status.
#[inline]
pub(super) fn status(body: impl FnOnce() -> Result<()>) -> ss_status {
    match guarded(body) {
        Ok(()) => ss_status::SS_OK,
        Err(failure) => record(failure),
    }
}

/// Runs the body of a function that returns a value, `fallback` if it fails.
#[inline]
pub(super) fn value<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    guarded(body).unwrap_or_else(|failure| {
        record(failure);
        fallback
    })
}

#[inline]
fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // Unwind safe: no borrow of the objects outlives a panic, each object is checked before it is used, and what may
    // have been left half done is done anew.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| recover())
}

#[cold]
fn recover<T>() -> Result<T> {
    // A panic in here must not get out either.
    let _ = catch_unwind(|| step(Objects::recover));
    Err(Failure::panicked())
}

/// Has panics of this library's own code written to the log, if there is one, and not to the host's standard error.
/// Panics of others, where host and library share Rust's standard library, go where they went before.
pub(super) fn quieten_panics() {
    static ONCE: Once = Once::new();
    // The folder above this one, as the compiler saw it: where our code lies.
    let sources = Path::new(file!()).parent().and_then(Path::parent).unwrap_or(Path::new(""));
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.location() {
            Some(place) if Path::new(place.file()).starts_with(sources) && !cfg!(test) => {
                log::write(Level::Error, &format!("server_socket failed inside: {panic}"));
            }
            _ => others(panic),
        }));
    });
}

/// The last failure on this thread. The buffers are reused, so that a failure which is common, a full socket
/// say, allocates nothing.
struct LastError {
    status: ss_status,
    id: i32,
    os_error: i32,
    text: Vec<u8>,
    detail: Vec<u8>,
}

thread_local! {
    static LAST_ERROR: RefCell<LastError> = const {
        RefCell::new(LastError {
            status: ss_status::SS_OK,
            id: 0,
            os_error: 0,
            text: Vec::new(),
            detail: Vec::new(),
        })
    };
}

#[cold]
fn record(failure: Failure) -> ss_status {
    let status = status_of(failure.class);
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            let last = &mut *last;
            last.status = status;
            last.id = failure.id;
            last.os_error = failure.os_error;
            write_c_string(&mut last.text, &failure.text);
            write_c_string(&mut last.detail, if failure.detail.is_empty() { &failure.text } else { &failure.detail });
        }
    });
    status
}

fn status_of(class: Class) -> ss_status {
    match class {
        Class::Error => ss_status::SS_ERR_ERROR,
        Class::Argument => ss_status::SS_ERR_ARGUMENT,
        Class::Range => ss_status::SS_ERR_RANGE,
        Class::Io => ss_status::SS_ERR_IO,
        Class::Eof => ss_status::SS_ERR_EOF,
        Class::Security => ss_status::SS_ERR_SECURITY,
        Class::Type => ss_status::SS_ERR_TYPE,
        Class::Handle => ss_status::SS_ERR_HANDLE,
        Class::Thread => ss_status::SS_ERR_THREAD,
        Class::Reentrant => ss_status::SS_ERR_REENTRANT,
        Class::Full => ss_status::SS_ERR_FULL,
        Class::Unsupported => ss_status::SS_ERR_UNSUPPORTED,
        Class::NoMemory => ss_status::SS_ERR_NO_MEMORY,
        Class::Forked => ss_status::SS_ERR_FORKED,
        Class::Panic => ss_status::SS_ERR_PANIC,
    }
}

fn write_c_string(buffer: &mut Vec<u8>, text: &str) {
    buffer.clear();
    buffer.extend_from_slice(text.as_bytes());
    // A name that came from outside may contain anything; the first NUL is the end of what C sees.
    buffer.push(0);
}

/// (status, AIR's id, the system's number)
pub(super) fn last_numbers() -> (ss_status, i32, i32) {
    let found = LAST_ERROR.try_with(|last| last.try_borrow().map(|last| (last.status, last.id, last.os_error)).ok());
    found.ok().flatten().unwrap_or((ss_status::SS_OK, 0, 0))
}

pub(super) fn last_text() -> *const c_char {
    last_string(|last| &last.text)
}

pub(super) fn last_detail() -> *const c_char {
    last_string(|last| &last.detail)
}

fn last_string(part: impl FnOnce(&LastError) -> &Vec<u8>) -> *const c_char {
    let found = LAST_ERROR.try_with(|last| match last.try_borrow() {
        Ok(last) if !part_is_unset(&last) => part(&last).as_ptr().cast(),
        _ => c"".as_ptr(),
    });
    found.unwrap_or(c"".as_ptr())
}

fn part_is_unset(last: &LastError) -> bool {
    last.text.is_empty()
}

/// A handle of the host, whatever it may be.
pub(super) fn key<T>(handle: *mut T) -> Key {
    Key::from_bits(handle.addr())
}

/// A key as the host's handle. It is a number in a pointer's clothes, and nobody ever dereferences it.
pub(super) fn handle<T>(key: Key) -> *mut T {
    std::ptr::without_provenance_mut(key.bits())
}

/// A loop argument: NULL is this thread's own.
pub(super) fn loop_key<T>(handle: *mut T) -> Result<Key> {
    match handle.is_null() {
        true => default_loop(),
        false => Ok(key(handle)),
    }
}

/// This thread's own loop, made at first use.
pub(super) fn default_loop() -> Result<Key> {
    quieten_panics();
    with(|objects| objects.default_loop())
}

/// A text that the host must give.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives through the call.
pub(super) unsafe fn c_string<'a>(text: *const c_char, parameter: &str) -> Result<&'a CStr> {
    match text.is_null() {
        true => Err(Failure::null(parameter)),
        // SAFETY: not NULL, and the caller vouches for the rest.
        false => Ok(unsafe { CStr::from_ptr(text) }),
    }
}

/// Bytes that the host lends for reading.
///
/// # Safety
/// `bytes` is NULL or points to `length` readable bytes that do not change during the call.
pub(super) unsafe fn bytes<'a>(bytes: *const c_void, length: usize, parameter: &str) -> Result<&'a [u8]> {
    check_buffer(bytes, length, parameter)?;
    match length {
        0 => Ok(&[]),
        // SAFETY: not NULL and not longer than an object may be; the caller vouches for the rest.
        _ => Ok(unsafe { std::slice::from_raw_parts(bytes.cast(), length) }),
    }
}

/// Checks room that the host lends for writing. It stays a pointer: the bytes may be uninitialised.
pub(super) fn check_room(room: *mut c_void, length: usize, parameter: &str) -> Result<()> {
    check_buffer(room, length, parameter)
}

fn check_buffer(buffer: *const c_void, length: usize, parameter: &str) -> Result<()> {
    if length > 0 && buffer.is_null() {
        return Err(Failure::null(parameter));
    }
    if length > isize::MAX as usize {
        return Err(Failure::out_of_range().because("no object is that long"));
    }
    Ok(())
}

/// Where a result goes that the host may not want.
///
/// # Safety
/// `out` is NULL or points to a writable T.
pub(super) unsafe fn store<T>(out: *mut T, result: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and the caller vouches for the rest.
        unsafe { out.write(result) };
    }
}

/// A getter of an object: looks it up and copies something out.
#[inline]
pub(super) fn get<T>(fallback: T, look: impl FnOnce(&mut crate::objects::Objects) -> Result<T>) -> T {
    value(fallback, || with(look))
}

/// After a call that may have ended something: runs what is due to the host.
pub(super) fn settle_up(status: ss_status) -> ss_status {
    crate::objects::run_due();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_other_calls_go_on() {
        let status_of_panic = status(|| panic!("on purpose"));
        assert_eq!(status_of_panic, ss_status::SS_ERR_PANIC);
        assert_eq!(status(|| Ok(())), ss_status::SS_OK);
        assert_eq!(get(7, |_| panic!("on purpose, with the objects borrowed")), 7);
        crate::objects::step(|objects| assert!(objects.default_loop().is_ok()));
    }

    #[test]
    fn a_failure_is_remembered_until_the_next_one() {
        assert_eq!(status(|| Err(Failure::invalid_port().because("too big"))), ss_status::SS_ERR_RANGE);
        assert_eq!(status(|| Ok(())), ss_status::SS_OK);
        assert_eq!(last_numbers(), (ss_status::SS_ERR_RANGE, 2003, 0));
        // SAFETY: both are NUL-terminated and live until the next failure.
        let (text, detail) = unsafe { (CStr::from_ptr(last_text()), CStr::from_ptr(last_detail())) };
        assert_eq!(text, c"Invalid socket port number specified.");
        assert_eq!(detail, c"too big");
    }
}
