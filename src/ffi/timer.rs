// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers.

use std::ffi::c_void;

use super::border::{glance_at, handle, key, loop_key, status, value};
use super::event_loop::{ss_loop, ss_task};
use super::status::ss_status;
use crate::core::thread::with;
use crate::core::timer::NewTimer;
use crate::error::Failure;

/// A timer of a loop: it has the loop call a task after some time, once or again and again. Belongs to the thread of its loop.
pub struct ss_timer {
    _key: [u8; 0],
}

/// Makes a timer on a loop (NULL: this thread's own) and starts it: task(user_data) runs in a turn of the loop, delay_ms
/// milliseconds from now, and then every repeat_ms milliseconds; 0: only once.
///
/// Returns one reference. The timer runs for as long as somebody holds one: with ss_release of the last it is never called
/// again, even if it is due already. destroy(user_data), unless NULL, runs once, when the timer has ended with its last reference
/// or its loop; if its task is running then, after it.
///
/// A task never runs early, and never in the turn in which its timer was started: a delay of 0 is the next turn. Tasks that are due
/// run in the order of their times, for about a millisecond a turn; the rest follows in the next one, so that connections do not
/// wait for many timers. A time that the loop was too busy for is not made up for: repeat_ms counts from when the task is called.
/// A task may start, stop and release its own timer. It may leave by an exception, as a listener may.
///
/// While a timer runs ss_loop_run goes on. There may be any number of them; starting and stopping one costs the same among a hundred
/// thousand. NULL on failure; SS_ERR_TYPE 2007: task is NULL. destroy is not called then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_timer_new(
    r#loop: *mut ss_loop,
    delay_ms: u32,
    repeat_ms: u32,
    task: ss_task,
    user_data: *mut c_void,
    destroy: ss_task,
) -> *mut ss_timer {
    value(std::ptr::null_mut(), || {
        let task = task.ok_or_else(|| Failure::null("task"))?;
        let key = loop_key(r#loop)?;
        let new = NewTimer { task, data: user_data, destroy, repeat: repeat_ms };
        with(|thread| thread.event_loop(key)?.new_timer(new, delay_ms)).map(handle)
    })
}

/// Starts a timer anew with another delay and period, whether it runs, has run or was stopped.
///
/// What it was due for before does not come any more.
#[unsafe(no_mangle)]
pub extern "C" fn ss_timer_set(timer: *mut ss_timer, delay_ms: u32, repeat_ms: u32) -> ss_status {
    let set = glance_at(timer, |thread, key| thread.recent_timer(key)?.set_in_place(delay_ms, repeat_ms));
    match set {
        Some(()) => ss_status::SS_OK,
        None => set_any(timer, delay_ms, repeat_ms),
    }
}

#[inline(never)]
fn set_any(timer: *mut ss_timer, delay_ms: u32, repeat_ms: u32) -> ss_status {
    status(|| with(|thread| thread.timer(key(timer))?.set(delay_ms, repeat_ms)))
}

/// Stops a timer: it is not called until ss_timer_set starts it again. Stopping one that does not run does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ss_timer_stop(timer: *mut ss_timer) -> ss_status {
    let stopped = glance_at(timer, |thread, key| {
        thread.recent_timer(key)?.stop();
        Some(())
    });
    match stopped {
        Some(()) => ss_status::SS_OK,
        None => stop_any(timer),
    }
}

#[inline(never)]
fn stop_any(timer: *mut ss_timer) -> ss_status {
    status(|| {
        with(|thread| {
            thread.timer(key(timer))?.stop();
            Ok(())
        })
    })
}
