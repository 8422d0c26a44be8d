// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only caller of the host's functions.
//!
//! The core answers what is to be called next, and the driver calls it: outside of every borrow of the core's, and of every
//! `catch_unwind`. So a listener may call every function of the library, and what it throws passes through to the host.
//!
//! A frame of the core's stands for each piece of work in which the host is called. It is ended when the work is done, and
//! when an exception passes; a jump that skips the driver's frames is noticed when the loop is next polled.

use std::time::Duration;

use crate::core::event_loop::turn::Waiting;
use crate::core::host::{Due, HostCall, NextCall};
use crate::core::thread::{BESIDE, FrameNumber, end_wait, with};
use crate::error::{Failure, Result};
use crate::guard::{guarded, guarded_step};
use crate::handle::Key;
use crate::log;

/// Waits for at most `timeout` milliseconds (negative: without end) and serves what is ready. Returns the number of events
/// that listeners got.
pub(crate) fn poll(key: Key, timeout: i32, place: usize) -> Result<u32> {
    let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
    let mut pause = Pause { key, waiting: Some(guarded(|| with(|thread| thread.begin_wait(key, limit, place)))?) };
    let called = pause.wait();
    pause.end()?;
    let called = called.map_err(|error| Failure::invalid_socket().with_system("wait for events", &error, ""))?;
    let frame = guarded(|| with(|thread| thread.begin_turn(key, called, place)))?;
    let outcome = drive(frame, NextCall::NONE);
    settle_up(place);
    outcome
}

/// A wait for readiness. The host's thread may be cancelled in it, or a handler of its signals throw: it is ended then, too.
struct Pause {
    key: Key,
    waiting: Option<Waiting>,
}

impl Pause {
    fn wait(&mut self) -> std::io::Result<bool> {
        match &mut self.waiting {
            Some(Waiting { wait, limit, batch }) => wait.wait(*limit, batch),
            None => Ok(false),
        }
    }

    fn end(mut self) -> Result<()> {
        self.waiting.take().map_or(Ok(()), |waiting| guarded(|| end_wait(self.key, waiting)))
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let _ = guarded(|| end_wait(self.key, waiting));
        }
    }
}

/// Turns until somebody calls stop, or until nothing on the loop can ever bring an event again.
pub(crate) fn run(key: Key, place: usize) -> Result<()> {
    let running = Ending(guarded(|| with(|thread| thread.begin_run(key, place)))?);
    let mut outcome = Ok(());
    while outcome.is_ok() && guarded(|| with(|thread| Ok(thread.has_future(key))))? {
        outcome = poll(key, -1, place - 1).map(|_| ());
    }
    drop(running);
    settle_up(place);
    outcome
}

/// `dispatchEvent` of an event that the host holds. Returns AIR's result: false if its default was prevented.
pub(crate) fn dispatch(target: Key, event: Option<Key>, place: usize) -> Result<bool> {
    let mut first = NextCall::NONE;
    match guarded(|| with(|thread| thread.begin_dispatch(target, event, place, &mut first)))? {
        Err(unheard) => Ok(unheard),
        Ok(frame) => {
            let outcome = drive(frame, first);
            settle_up(place);
            outcome.map(|not_prevented| not_prevented > 0)
        }
    }
}

/// Does what is due to the host, if it may be done now.
#[inline]
pub(crate) fn settle_up(place: usize) {
    if with(|thread| Ok(thread.is_something_due())).unwrap_or(false) {
        settle(place);
    }
}

#[cold]
fn settle(place: usize) {
    let begun = guarded(|| with(|thread| thread.begin_due(place)));
    // What goes wrong here is nobody's call to answer for.
    let _ = begun.and_then(|frame| drive(frame, NextCall::NONE));
}

/// Calls what is to be called, one after the other, until the work of the frame is done.
#[inline(never)]
fn drive(frame: FrameNumber, mut call: NextCall) -> Result<u32> {
    // Keeps what is called in here away from what called this.
    let _distance = std::hint::black_box([std::mem::MaybeUninit::<u8>::uninit(); 2 * BESIDE]);
    let ending = Ending(frame);
    loop {
        if let Some((callback, event)) = call.listener() {
            callback.call(event);
        } else if let Some(other) = call.take_other() {
            make(other);
        }
        if !guarded_step(|| with(|thread| Ok(thread.next(frame, &mut call))), |thread| thread.recover(Some(frame)))? {
            return ending.end();
        }
    }
}

fn make(call: HostCall) {
    match call {
        HostCall::Function(call) => call.run(),
        HostCall::Log(level, message) => log::write(level, &message),
    }
}

/// Ends the frame when an exception of the host's passes, too.
struct Ending(FrameNumber);

impl Ending {
    fn end(self) -> Result<u32> {
        let frame = self.0;
        std::mem::forget(self);
        guarded(|| with(|thread| Ok(thread.end_frame(frame))))
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let frame = self.0;
        let _ = guarded(|| with(|thread| Ok(thread.end_frame(frame))));
    }
}

/// The thread ends: what is due to the host is done now, whatever comes of it.
pub(crate) fn at_the_end(mut due: Due) {
    while let Some(call) = due.next() {
        make(call);
    }
}

/// Where the caller's frame is on the stack.
#[inline(always)]
pub(crate) fn place() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here).addr()
}
