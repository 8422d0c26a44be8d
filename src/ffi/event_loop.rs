// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as a whole, and event loops.

use std::ffi::c_void;

use super::border::{default_loop, handle, key, loop_in_use, loop_to_drive, outcome, status, store, value};
use super::status::ss_status;
use crate::core::events::Life;
use crate::core::host::Call;
use crate::core::thread::{own_loop, with};
use crate::driver::{self, place};
use crate::error::Failure;
use crate::guard::quieten_panics;
use crate::handle::{Kind, explain};
use crate::reactor::{Posted, Remote};
use crate::sys;

/// An event loop. It and everything made on it belong to the thread that made it; only ss_loop_post, ss_loop_wake
/// and ss_loop_stop may be called from others, and the last two from signal handlers.
pub struct ss_loop {
    _key: [u8; 0],
}

/// A function of the host with its user data: a destructor, or a task for a loop. It may leave by an exception or by longjmp, as a
/// listener may (rule 4).
pub type ss_task = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// The version of the library that is running: major << 16 | minor << 8 | patch. Compare with SS_VERSION.
///
/// Same major number (below 1.0: same minor number), same ABI. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ss_version() -> u32 {
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"))
}

/// ServerSocket.isSupported: whether servers can run here. True wherever this library is built for. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ss_is_supported() -> bool {
    true
}

/// Makes an event loop on the calling thread.
///
/// Returns one reference: give it back with ss_release, which ends the loop and closes everything on it.
/// NULL on failure: SS_ERR_IO when the system has no descriptors left.
#[unsafe(no_mangle)]
pub extern "C" fn ss_loop_new() -> *mut ss_loop {
    value(std::ptr::null_mut(), || {
        quieten_panics();
        with(|thread| thread.new_loop(Life::OWNED)).map(handle)
    })
}

/// The calling thread's own loop, made at first use. NULL as a loop argument means this one.
///
/// Borrowed: no release is owed. It ends with its thread. NULL on failure, as ss_loop_new.
#[unsafe(no_mangle)]
pub extern "C" fn ss_loop_default() -> *mut ss_loop {
    value(std::ptr::null_mut(), || default_loop().map(handle))
}

/// One turn of the loop: waits until something is ready, at most timeout_ms milliseconds (0 = do not wait,
/// negative = without end), then calls the listeners of what is.
///
/// *events (may be NULL) receives how many events were dispatched to listeners. A turn is bounded: what is left
/// over comes in the next, which then does not wait. A signal ends the wait early, with SS_OK.
/// SS_ERR_REENTRANT inside a listener of the same loop. SS_ERR_FORKED in a child process, if the loop is NULL and the parent had
/// servers or sockets on it: make them in the child, after daemon() say.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ss_loop_poll(r#loop: *mut ss_loop, timeout_ms: i32, events: *mut u32) -> ss_status {
    // SAFETY: the same contract.
    unsafe { poll(r#loop, timeout_ms, events, place()) }
}

/// # Safety
/// `events` is NULL or points to a writable uint32_t.
#[inline(never)]
unsafe fn poll(r#loop: *mut ss_loop, timeout_ms: i32, events: *mut u32, place: usize) -> ss_status {
    let polled = loop_to_drive(r#loop, place).and_then(|key| driver::poll(key, timeout_ms, place));
    outcome(polled.map(|count| {
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(events, count) };
    }))
}

/// Turns of the loop until ss_loop_stop is called, or until nothing on the loop can ever bring an event again:
/// no listening server, no open connection, no timer that runs, no posted task.
///
/// SS_ERR_REENTRANT inside a listener of the same loop. SS_ERR_FORKED as ss_loop_poll.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ss_loop_run(r#loop: *mut ss_loop) -> ss_status {
    run(r#loop, place())
}

#[inline(never)]
fn run(r#loop: *mut ss_loop, place: usize) -> ss_status {
    outcome(loop_to_drive(r#loop, place).and_then(|key| driver::run(key, place)))
}

/// Makes ss_loop_run return after the turn it is in. If it is not running, the next ss_loop_run returns at once.
///
/// Any thread, and signal handlers: it takes no lock and no memory, and errno stays as it is. NULL is the loop of the thread that
/// calls, in a handler of whichever thread was interrupted: give a handler the handle. SS_ERR_HANDLE when the loop has ended, or for
/// NULL when the thread has no loop of its own yet. The status is all that is told of a failure: no last error.
#[unsafe(no_mangle)]
pub extern "C" fn ss_loop_stop(r#loop: *mut ss_loop) -> ss_status {
    reach(r#loop, Remote::stop)
}

/// Makes a waiting ss_loop_poll return; if none is waiting, the next one does not wait. Many wakes may be one.
///
/// Any thread, and signal handlers, as ss_loop_stop: a handler that sets a flag and calls this ends a wait whenever it comes, also
/// between a look at the flag and the wait.
#[unsafe(no_mangle)]
pub extern "C" fn ss_loop_wake(r#loop: *mut ss_loop) -> ss_status {
    reach(r#loop, Remote::wake)
}

/// Has task(user_data) run once, on the loop's thread, in a turn of the loop. If the loop ends first,
/// cancelled(user_data) runs instead, unless it is NULL.
///
/// Exactly one of the two runs if SS_OK was returned, neither if not. Tasks run in the order of the posts.
/// Any thread, but not a signal handler. SS_ERR_HANDLE when the loop has ended, SS_ERR_TYPE when task is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_loop_post(
    r#loop: *mut ss_loop,
    task: ss_task,
    user_data: *mut c_void,
    cancelled: ss_task,
) -> ss_status {
    status(|| {
        let key = loop_in_use(r#loop)?;
        let remote = Remote::find(key).ok_or_else(|| match key.kind() {
            // Never another thread's: this is for all threads.
            Some(Kind::Loop) => Failure::stale_handle(),
            _ => explain(key, &[Kind::Loop]),
        })?;
        if !remote.is_of_this_process() {
            return Err(Failure::forked());
        }
        let task = task.ok_or_else(|| Failure::null("task"))?;
        let cancelled = cancelled.map(|cancelled| Call::new(cancelled, user_data));
        remote.post(Posted { task: Call::new(task, user_data), cancelled })
    })
}

/// A descriptor that is readable whenever ss_loop_poll(loop, 0) has work, for a host with a loop of its own: wait
/// for it there, for at most ss_loop_timeout milliseconds, then poll.
///
/// The descriptor stays the library's: never read, close or change it. SS_ERR_UNSUPPORTED where there is none
/// (Windows).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_loop_fd(r#loop: *mut ss_loop, fd: *mut i64) -> ss_status {
    status(|| {
        let key = loop_in_use(r#loop)?;
        let descriptor = with(|thread| thread.event_loop(key)?.export())?;
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(fd, descriptor) };
        Ok(())
    })
}

/// How long, in milliseconds, a host may wait for the descriptor before it has to poll: until the next timer
/// of the loop, 0 when there is work already, -1 without end.
#[unsafe(no_mangle)]
pub extern "C" fn ss_loop_timeout(r#loop: *mut ss_loop) -> i32 {
    value(0, || {
        let key = loop_in_use(r#loop)?;
        with(|thread| Ok(thread.event_loop(key)?.timeout()))
    })
}

/// Calls what any thread may, and a signal handler, too: so there is no guard, and no error is left behind.
fn reach(r#loop: *mut ss_loop, call: fn(&Remote)) -> ss_status {
    sys::keeping_errno(|| {
        let key = if r#loop.is_null() { own_loop() } else { Some(key(r#loop)) };
        let called = key.and_then(|key| Remote::of(key, |remote| remote.is_of_this_process().then(|| call(remote))));
        match called {
            Some(Some(())) => ss_status::SS_OK,
            Some(None) => ss_status::SS_ERR_FORKED,
            None => ss_status::SS_ERR_HANDLE,
        }
    })
}
