// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every export passes: handles become keys, and every failure becomes a status and the thread's last error.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};

use super::status::ss_status;
use crate::core::thread::{Thread, glance, with};
use crate::driver::{place, settle_up};
use crate::error::{Class, Failure, Result};
use crate::guard::{guarded, quieten_panics};
use crate::handle::Key;

/// Runs the body of a function that returns a status. The host is not called in it.
#[inline]
pub(super) fn status(body: impl FnOnce() -> Result<()>) -> ss_status {
    outcome(guarded(body))
}

/// The status of what the driver did, who guards himself.
#[inline]
pub(super) fn outcome(outcome: Result<()>) -> ss_status {
    match outcome {
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
    if failure.class == Class::Panic {
        // What the panic said goes to the log.
        settle_up(place());
    }
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

/// A loop argument of what goes on with a loop, rather than make something on it.
pub(super) fn loop_in_use<T>(handle: *mut T) -> Result<Key> {
    match handle.is_null() {
        true => {
            quieten_panics();
            with(Thread::inherited_loop)
        }
        false => Ok(key(handle)),
    }
}

/// This thread's own loop, made at first use.
pub(super) fn default_loop() -> Result<Key> {
    quieten_panics();
    with(Thread::default_loop)
}

/// A loop argument of a function that drives the loop.
pub(super) fn loop_to_drive<T>(handle: *mut T, place: usize) -> Result<Key> {
    if !handle.is_null() {
        return Ok(key(handle));
    }
    match with(|thread| Ok(thread.known_default_loop())) {
        Ok(Some(key)) => Ok(key),
        _ => new_loop_to_drive(place),
    }
}

#[cold]
fn new_loop_to_drive(place: usize) -> Result<Key> {
    quieten_panics();
    let found = with(Thread::default_loop_to_drive);
    // There may be a hint, and the wait may be long.
    settle_up(place);
    found
}

/// A text that the host must give.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives through the call.
#[inline]
pub(super) unsafe fn c_string<'a>(text: *const c_char, parameter: &str) -> Result<&'a CStr> {
    match text.is_null() {
        true => Err(Failure::null(parameter)),
        // SAFETY: not NULL, and the caller vouches for the rest.
        false => Ok(unsafe { CStr::from_ptr(text) }),
    }
}

/// A localAddress: NULL and "" are all of IPv4.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives through the call.
pub(super) unsafe fn local_address_text<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Ok("0.0.0.0");
    }
    // SAFETY: the same contract.
    match unsafe { c_string(text, "localAddress") }?.to_str() {
        Ok("") => Ok("0.0.0.0"),
        Ok(address) => Ok(address),
        // Reported after the port, which is checked first.
        Err(_) => Ok("\u{fffd}"),
    }
}

/// Bytes that the host lends for reading.
///
/// # Safety
/// `bytes` is NULL or points to `length` readable bytes that do not change during the call.
#[inline]
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

#[inline]
fn check_buffer(buffer: *const c_void, length: usize, parameter: &str) -> Result<()> {
    if buffer.is_null() || length > isize::MAX as usize {
        return check_unusual_buffer(buffer.is_null(), length, parameter);
    }
    Ok(())
}

#[cold]
fn check_unusual_buffer(is_null: bool, length: usize, parameter: &str) -> Result<()> {
    if is_null && length > 0 {
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
pub(super) fn get<T>(fallback: T, look: impl FnOnce(&mut Thread) -> Result<T>) -> T {
    value(fallback, || with(look))
}

/// A step of a few comparisons on what a handle opens, see [`glance`].
#[inline(always)]
pub(super) fn glance_at<H, T>(handle: *mut H, step: impl FnOnce(&mut Thread, Key) -> Option<T>) -> Option<T> {
    let key = Key::from_some_bits(handle.addr())?;
    glance(|thread| step(thread, key))
}

/// A change after which something may be due to the host, which is done then.
#[inline(never)]
pub(super) fn change(place: usize, change: impl FnOnce(&mut Thread) -> Result<()>) -> ss_status {
    let changed = guarded(|| {
        with(|thread| {
            change(thread)?;
            Ok(thread.is_something_due())
        })
    });
    match changed {
        Ok(something_is_due) => {
            if something_is_due {
                settle_up(place);
            }
            ss_status::SS_OK
        }
        Err(failure) => record(failure),
    }
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
        assert!(default_loop().is_ok());
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
