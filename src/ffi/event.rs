// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event and its subclasses.

use std::ffi::c_char;

use super::border::{c_string, get, glance_at, handle, key, status, value};
use super::object::ss_object;
use super::socket::ss_socket;
use super::status::ss_status;
use crate::core::events::{Detail, Event};
use crate::core::thread::with;
use crate::error::SOCKET_ERROR_ID;
use crate::handle::Key;

/// An event: AIR's Event and its subclasses. Belongs to the thread that it was made on.
pub struct ss_event {
    _key: [u8; 0],
}

/// Event.eventPhase: never met here, since sockets have no parents.
pub const SS_PHASE_CAPTURING: i32 = 1;
/// Event.eventPhase of every event here, before, during and after its dispatch.
pub const SS_PHASE_AT_TARGET: i32 = 2;
/// Event.eventPhase: never met here.
pub const SS_PHASE_BUBBLING: i32 = 3;

/// new Event(type, bubbles, cancelable): an event of the host's own, for ss_dispatch_event. The text is copied.
///
/// Returns one reference. NULL on failure; SS_ERR_TYPE 2007: type is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_event_new(r#type: *const c_char, bubbles: bool, cancelable: bool) -> *mut ss_event {
    value(std::ptr::null_mut(), || {
        // SAFETY: a NUL-terminated string, by contract.
        let name = unsafe { c_string(r#type, "type") }?;
        with(|thread| thread.new_event(name, bubbles, cancelable)).map(handle)
    })
}

/// Event.clone(): the same type and contents, fresh as before any dispatch.
///
/// Returns one reference. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_clone(event: *mut ss_event) -> *mut ss_event {
    get(std::ptr::null_mut(), |thread| thread.events.duplicate(key(event)).map(handle))
}

/// Event.type. The text is the library's and is valid while the event lives.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_type(event: *mut ss_event) -> *const c_char {
    get(std::ptr::null(), |thread| {
        let kind = thread.events.find(key(event))?.kind;
        Ok(thread.events.types.name(kind).as_ptr())
    })
}

/// Event.bubbles: false for the library's own events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_bubbles(event: *mut ss_event) -> bool {
    get(false, |thread| Ok(thread.events.find(key(event))?.bubbles))
}

/// Event.cancelable: false for the library's own events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_cancelable(event: *mut ss_event) -> bool {
    get(false, |thread| Ok(thread.events.find(key(event))?.cancelable))
}

/// Event.eventPhase: SS_PHASE_AT_TARGET; 0 if the handle is not an event's.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_phase(event: *mut ss_event) -> i32 {
    get(0, |thread| thread.events.find(key(event)).map(|_| SS_PHASE_AT_TARGET))
}

/// Event.target: the server or socket it was dispatched to. Borrowed. NULL before the dispatch, and when the target
/// is not there any more.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_target(event: *mut ss_event) -> *mut ss_object {
    match glance_at(event, |thread, key| thread.events.target_of_own(key)) {
        Some(target) => handle(target),
        None => target(event),
    }
}

#[inline(never)]
fn target(event: *mut ss_event) -> *mut ss_object {
    get(std::ptr::null_mut(), |thread| Ok(thread.target_of(key(event))?.map_or(std::ptr::null_mut(), handle)))
}

/// Event.currentTarget: the same as ss_event_target, since sockets have no parents.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_current_target(event: *mut ss_event) -> *mut ss_object {
    target(event)
}

/// Event.preventDefault(): only a cancelable event takes note of it. The library's own events are not cancelable.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_prevent_default(event: *mut ss_event) -> ss_status {
    status(|| {
        with(|thread| {
            let event = thread.events.find_mut(key(event))?;
            event.prevented |= event.cancelable;
            Ok(())
        })
    })
}

/// Event.isDefaultPrevented(): whether ss_event_prevent_default took effect.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_is_default_prevented(event: *mut ss_event) -> bool {
    get(false, |thread| Ok(thread.events.find(key(event))?.prevented))
}

/// Event.stopPropagation(): without effect here, since sockets have no parents. The target's other listeners run.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_stop_propagation(event: *mut ss_event) -> ss_status {
    status(|| with(|thread| thread.events.find(key(event)).map(|_| ())))
}

/// Event.stopImmediatePropagation(): the listeners that have not run yet do not run.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_stop_immediate_propagation(event: *mut ss_event) -> ss_status {
    status(|| {
        with(|thread| {
            thread.events.find_mut(key(event))?.stopped = true;
            Ok(())
        })
    })
}

/// ServerSocketConnectEvent.socket: the accepted connection. NULL for other events.
///
/// Borrowed: ss_socket_keep or ss_retain it in the listener, or it is closed when the dispatch ends. To turn the peer away,
/// call ss_socket_close, or do neither.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_socket(event: *mut ss_event) -> *mut ss_socket {
    match glance_at(event, |thread, key| thread.events.socket_of_own(key)) {
        Some(socket) => handle(socket),
        None => socket(event),
    }
}

#[inline(never)]
fn socket(event: *mut ss_event) -> *mut ss_socket {
    living(event, |event| match event.detail {
        Detail::Connect { socket } => Some(socket),
        _ => None,
    })
}

/// ProgressEvent.bytesLoaded of a socketData event: how many bytes are new with it. 0 for other events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_bytes_loaded(event: *mut ss_event) -> u64 {
    get(0, |thread| match thread.events.find(key(event))?.detail {
        Detail::Progress { loaded } => Ok(loaded),
        _ => Ok(0),
    })
}

/// OutputProgressEvent.bytesPending of an outputProgress event: how many written bytes the system has not taken yet.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_bytes_pending(event: *mut ss_event) -> u64 {
    get(0, |thread| match thread.events.find(key(event))?.detail {
        Detail::Output { pending, .. } => Ok(pending),
        _ => Ok(0),
    })
}

/// OutputProgressEvent.bytesTotal of an outputProgress event: how many bytes were written since the socket was
/// connected, pending ones included. 0 for other events, as ProgressEvent.bytesTotal of socketData.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_bytes_total(event: *mut ss_event) -> u64 {
    get(0, |thread| match thread.events.find(key(event))?.detail {
        Detail::Output { total, .. } => Ok(total),
        _ => Ok(0),
    })
}

/// IOErrorEvent.errorID of an ioError event: 2031. 0 for other events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_error_id(event: *mut ss_event) -> i32 {
    get(0, |thread| match thread.events.find(key(event))?.detail {
        Detail::IoError { .. } => Ok(SOCKET_ERROR_ID),
        _ => Ok(0),
    })
}

/// IOErrorEvent.text of an ioError event: "Error #2031: Socket Error." NULL for other events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_text(event: *mut ss_event) -> *const c_char {
    get(std::ptr::null(), |thread| {
        Ok(thread.events.find(key(event))?.text().map_or(std::ptr::null(), |text| text.as_ptr()))
    })
}

/// The operating system's number of the error that an ioError or a handshakeError event tells of, or that has ended the connection
/// whose close event this is: ECONNRESET, ETIMEDOUT, ... 0 if it had none, and of a close event after a good end: the peer has
/// ended its side, and everything that it sent has come.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_os_error(event: *mut ss_event) -> i32 {
    get(0, |thread| match thread.events.find(key(event))?.detail {
        Detail::IoError { os_error, .. } | Detail::Close { os_error, .. } => Ok(os_error),
        _ => Ok(0),
    })
}

/// What an ioError, a close or a handshakeError event has to say to people: with whom what was attempted, and what the system or
/// TLS said to it.
///
/// "read from 10.0.0.7:5123: Connection reset by peer (104)", "connect to example.com:80: Connection refused (111)", "look up
/// nosuch.invalid: Name or service not known (-2)", "10.0.0.7:5123 has ended the connection". The text is the library's and is valid
/// while the event lives. It is made when it is first asked for: ask in the listener, and before the socket is connected anew, since
/// later it may not say with whom. NULL for other events, and for those of the host's own.
#[unsafe(no_mangle)]
pub extern "C" fn ss_event_detail(event: *mut ss_event) -> *const c_char {
    get(std::ptr::null(), |thread| Ok(thread.event_detail(key(event))?.map_or(std::ptr::null(), |text| text.as_ptr())))
}

/// Event.toString(), like snprintf: writes at most capacity bytes, a NUL included, and returns the length of the
/// whole text without the NUL. dst may be NULL if capacity is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_event_to_string(event: *mut ss_event, dst: *mut c_char, capacity: usize) -> usize {
    get(0, |thread| {
        super::border::check_room(dst.cast(), capacity, "dst")?;
        let event = thread.events.find(key(event))?;
        let mut length = 0;
        event.describe(thread.events.types.name(event.kind), &mut |part| {
            let room = capacity.saturating_sub(length + 1).min(part.len());
            if room > 0 {
                // SAFETY: `length + room` is below `capacity`, for which the caller vouches.
                unsafe { dst.add(length).copy_from(part.as_ptr().cast(), room) };
            }
            length += part.len();
        });
        if capacity > 0 {
            // SAFETY: as above.
            unsafe { dst.add(length.min(capacity - 1)).write(0) };
        }
        Ok(length)
    })
}

/// An object that an event names, if it is still there.
fn living<T>(event: *mut ss_event, named: impl FnOnce(&Event) -> Option<Key>) -> *mut T {
    get(std::ptr::null_mut(), |thread| {
        let object = named(thread.events.find(key(event))?).filter(|key| thread.lives(*key));
        Ok(object.map_or(std::ptr::null_mut(), handle))
    })
}
