// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all objects have in common, and EventDispatcher.

use std::ffi::{CStr, c_char, c_void};

use super::border::{c_string, change, get, glance_at, key, outcome, status, store};
use super::event::ss_event;
use super::event_loop::ss_task;
use super::status::ss_status;
use crate::core::events::EventType;
use crate::core::events::listeners::Registration;
use crate::core::host::{Callback, ListenerFunction, UserData};
use crate::core::thread::{NewListener, Thread, with};
use crate::driver::{self, place};
use crate::error::{Failure, Result};
use crate::handle::Kind;

/// Any handle: an ss_loop *, ss_timer *, ss_server *, ss_socket *, ss_event *, ss_value * or ss_tls *.
pub type ss_object = c_void;

/// ss_object_kind of a loop.
pub const SS_KIND_LOOP: i32 = 1;
/// ss_object_kind of a server.
pub const SS_KIND_SERVER: i32 = 2;
/// ss_object_kind of a socket.
pub const SS_KIND_SOCKET: i32 = 3;
/// ss_object_kind of an event.
pub const SS_KIND_EVENT: i32 = 4;
/// ss_object_kind of a value.
pub const SS_KIND_VALUE: i32 = 6;
/// ss_object_kind of a timer.
pub const SS_KIND_TIMER: i32 = 7;
/// ss_object_kind of an ss_tls.
pub const SS_KIND_TLS: i32 = 8;

/// What kind of object a handle is of: SS_KIND_...; 0 if it is not one of a living object of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn ss_object_kind(object: *mut ss_object) -> i32 {
    get(0, |thread| {
        thread.check(key(object))?;
        Ok(key(object).kind().map_or(0, number_of))
    })
}

/// How many objects of a kind (SS_KIND_...) the calling thread has: for a leak test of a host.
///
/// Sockets count from their connect event, or from ss_socket_new, until they are destroyed, whoever holds them; events while a
/// reference to them is held; a value with all its parts as one; the thread's own loop from its first use. 0 for other numbers. It
/// walks what there is, which takes a while among many.
#[unsafe(no_mangle)]
pub extern "C" fn ss_object_count(kind: i32) -> usize {
    get(0, |thread| Ok(kind_of(kind).map_or(0, |kind| thread.count(kind))))
}

/// SS_KIND_...
fn number_of(kind: Kind) -> i32 {
    if kind == Kind::Tls { SS_KIND_TLS } else { kind as i32 }
}

fn kind_of(number: i32) -> Option<Kind> {
    match number {
        SS_KIND_TLS => Some(Kind::Tls),
        _ => usize::try_from(number).ok().and_then(Kind::of).filter(|kind| number_of(*kind) == number),
    }
}

/// Adds a reference to an object of any kind.
///
/// Each one is owed an ss_release. This is how a listener keeps what it only borrows: an accepted socket, an event.
#[unsafe(no_mangle)]
pub extern "C" fn ss_retain(object: *mut ss_object) -> ss_status {
    match glance_at(object, |thread, key| thread.retain_socket(key)) {
        Some(()) => ss_status::SS_OK,
        None => retain(object),
    }
}

#[inline(never)]
fn retain(object: *mut ss_object) -> ss_status {
    status(|| with(|thread| thread.retain(key(object))))
}

/// Gives a reference back. With the last one the object is closed and destroyed, and its handle is stale from then on: a loop
/// with everything on it, a server, a socket (what was written is still sent), a timer (it is not called any more), an event, a
/// value with all its parts. An ss_tls lives on in the servers and sockets that use it.
///
/// If a dispatch on the object is running, that is done when the dispatch ends. NULL is allowed: nothing happens.
/// SS_ERR_HANDLE: no such object, or no reference is left to give back.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ss_release(object: *mut ss_object) -> ss_status {
    if object.is_null() {
        return ss_status::SS_OK;
    }
    match glance_at(object, |thread, key| thread.release_socket(key)) {
        Some(()) => ss_status::SS_OK,
        None => release(object, place()),
    }
}

#[inline(never)]
fn release(object: *mut ss_object, place: usize) -> ss_status {
    change(place, |thread| thread.release(key(object), place))
}

/// Attaches a pointer of yours to an object of any kind. A clone of an event does not have it.
///
/// destroy(user_data), unless NULL, runs once: when the pointer is replaced or the object is destroyed; if a listener
/// is running then, after it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_set_user_data(
    object: *mut ss_object,
    user_data: *mut c_void,
    destroy: ss_task,
) -> ss_status {
    let user = UserData { data: user_data, destroy };
    change(place(), |thread| thread.set_user(key(object), user))
}

/// The pointer that ss_set_user_data has attached; NULL if none was.
#[unsafe(no_mangle)]
pub extern "C" fn ss_user_data(object: *mut ss_object) -> *mut c_void {
    get(std::ptr::null_mut(), |thread| thread.user_data(key(object)))
}

/// The system's descriptor (a SOCKET on Windows) of a bound server or a connected socket.
///
/// For options that this library does not know. It stays the library's: do not read, write or close it.
/// SS_ERR_IO 2002: it has none now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_native_handle(object: *mut ss_object, fd: *mut i64) -> ss_status {
    status(|| {
        let descriptor = with(|thread| thread.native_handle(key(object)))?;
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(fd, descriptor) };
        Ok(())
    })
}

/// A function that hears events. The event is borrowed, and dies after the dispatch unless it is retained.
///
/// It runs on the loop's thread, inside ss_loop_poll, ss_loop_run or ss_dispatch_event. It may call every function
/// of this library, and close or release anything, its own target included. It may leave by an exception or by longjmp (rule 4).
pub type ss_listener = Option<unsafe extern "C-unwind" fn(event: *mut ss_event, user_data: *mut c_void)>;

/// EventDispatcher.addEventListener: registers a listener on a server or a socket.
///
/// A listener is the pair (listener, user_data). A second registration of the same pair for the same type and
/// use_capture is ignored. Higher priorities run first, equal ones in the order of registration. One that is added
/// while an event is dispatched does not hear that event. use_capture registrations count for ss_has_listener but
/// are never called, as in AIR, since a socket has no parents. SS_ERR_TYPE 2007: type or listener is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_add_listener(
    target: *mut ss_object,
    r#type: *const c_char,
    listener: ss_listener,
    user_data: *mut c_void,
    use_capture: bool,
    priority: i32,
) -> ss_status {
    // SAFETY: the same contract.
    unsafe { add(target, r#type, listener, user_data, None, use_capture, priority) }
}

/// ss_add_listener with a destructor: destroy(user_data), unless NULL, runs once, when the listener has been
/// removed or its target destroyed and it can never run again.
///
/// If a listener is running then, the destructor waits for its end. A registration that is ignored because it is there
/// already is ignored whole, its destructor included: user_data is still in use. When the call fails, destroy is not
/// called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_add_listener_full(
    target: *mut ss_object,
    r#type: *const c_char,
    listener: ss_listener,
    user_data: *mut c_void,
    destroy: ss_task,
    use_capture: bool,
    priority: i32,
) -> ss_status {
    // SAFETY: the same contract.
    unsafe { add(target, r#type, listener, user_data, destroy, use_capture, priority) }
}

/// Most listeners are of AIR's own types, on sockets of which others have the same: little is to be done for those.
///
/// # Safety
/// `kind` is NULL or a NUL-terminated string.
#[inline(never)]
unsafe fn add(
    target: *mut ss_object,
    kind: *const c_char,
    listener: ss_listener,
    user_data: *mut c_void,
    destroy: ss_task,
    use_capture: bool,
    priority: i32,
) -> ss_status {
    if let (Some(listener), false) = (listener, kind.is_null()) {
        // SAFETY: a NUL-terminated string, by contract.
        if let Some(kind) = EventType::of_air(unsafe { CStr::from_ptr(kind) }.to_bytes()) {
            let callback = callback(listener, user_data);
            let new = Registration { kind, callback, destroy, capture: use_capture, priority };
            if glance_at(target, |thread, key| thread.share_listener(key, &new)).is_some() {
                return ss_status::SS_OK;
            }
        }
    }
    // SAFETY: the same contract.
    unsafe { add_any(target, kind, listener, user_data, destroy, use_capture, priority) }
}

/// # Safety
/// `kind` is NULL or a NUL-terminated string.
#[inline(never)]
unsafe fn add_any(
    target: *mut ss_object,
    kind: *const c_char,
    listener: ss_listener,
    user_data: *mut c_void,
    destroy: ss_task,
    use_capture: bool,
    priority: i32,
) -> ss_status {
    status(|| {
        with(|thread| {
            thread.add_listener(key(target), || {
                // SAFETY: a NUL-terminated string, by contract.
                let kind = unsafe { c_string(kind, "type") }?;
                let callback = callback(listener.ok_or_else(|| Failure::null("listener"))?, user_data);
                Ok(NewListener { kind, callback, destroy, capture: use_capture, priority })
            })
        })
    })
}

/// EventDispatcher.removeEventListener. From its return on the listener is not called any more, not even by a
/// dispatch that is under way. Removing what is not registered does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_remove_listener(
    target: *mut ss_object,
    r#type: *const c_char,
    listener: ss_listener,
    user_data: *mut c_void,
    use_capture: bool,
) -> ss_status {
    change(place(), |thread| {
        thread.loop_of(key(target))?.listeners(key(target))?;
        // SAFETY: a NUL-terminated string, by contract.
        let kind = unsafe { c_string(r#type, "type") }?;
        let callback = callback(listener.ok_or_else(|| Failure::null("listener"))?, user_data);
        thread.remove_listener(key(target), kind, &callback, use_capture)
    })
}

/// EventDispatcher.hasEventListener: whether anybody is registered for the type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_has_listener(target: *mut ss_object, r#type: *const c_char) -> bool {
    // SAFETY: the same contract.
    get(false, |thread| unsafe { has(thread, target, r#type) })
}

/// EventDispatcher.willTrigger: the same as ss_has_listener, since sockets have no parents.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_will_trigger(target: *mut ss_object, r#type: *const c_char) -> bool {
    // SAFETY: the same contract.
    get(false, |thread| unsafe { has(thread, target, r#type) })
}

/// EventDispatcher.dispatchEvent: calls the target's listeners for the event's type, now.
///
/// *not_prevented (may be NULL) receives AIR's result: false if a listener prevented the default of a cancelable
/// event. An event that was delivered before is cloned, and the clone is dispatched.
/// SS_ERR_TYPE 2007: event is NULL. SS_ERR_ERROR 2094: dispatches are nested more than 256 deep.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_dispatch_event(
    target: *mut ss_object,
    event: *mut ss_event,
    not_prevented: *mut bool,
) -> ss_status {
    // SAFETY: the same contract.
    unsafe { dispatch(target, event, not_prevented, place()) }
}

/// # Safety
/// `not_prevented` is NULL or points to a writable bool.
#[inline(never)]
unsafe fn dispatch(target: *mut ss_object, event: *mut ss_event, not_prevented: *mut bool, place: usize) -> ss_status {
    let event = (!event.is_null()).then(|| key(event));
    outcome(driver::dispatch(key(target), event, place).map(|result| {
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(not_prevented, result) };
    }))
}

/// # Safety
/// `kind` is NULL or a NUL-terminated string.
unsafe fn has(thread: &mut Thread, target: *mut ss_object, kind: *const c_char) -> Result<bool> {
    thread.loop_of(key(target))?.listeners(key(target))?;
    // SAFETY: a NUL-terminated string, by contract.
    thread.has_listener(key(target), unsafe { c_string(kind, "type") }?)
}

/// A listener as the host has it.
type Listener = unsafe extern "C-unwind" fn(*mut ss_event, *mut c_void);

fn callback(listener: Listener, user_data: *mut c_void) -> Callback {
    // SAFETY: the two types differ only in what the first pointer is said to point to, which is the same to a call.
    let function = unsafe { std::mem::transmute::<Listener, ListenerFunction>(listener) };
    Callback { function, data: user_data }
}
