// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's log function: one for the process, none at first, and then nothing is ever put out.

use std::any::Any;
use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys::Instant;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Level {
    /// Something was lost.
    Error = 1,
    /// Something is short, and the library copes; or a listener is missing that should have heard.
    Warning = 2,
    /// Something works as it is written down, and is hardly what the program means.
    Hint = 3,
}

/// How often a warning that repeats is put out at most.
const PAUSE: Duration = Duration::from_secs(10);

/// A warning that repeats: put out once in ten seconds at most, with how often it was left out.
#[derive(Default)]
pub(crate) struct Repeated {
    last: Option<Instant>,
    left_out: u64,
}

impl Repeated {
    /// The end of the message, if it is to be put out now.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now < last + PAUSE) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        match std::mem::take(&mut self.left_out) {
            0 => Some(String::new()),
            count => Some(format!(" ({count} more times since the last message)")),
        }
    }
}

pub(crate) type LogFunction = unsafe extern "C-unwind" fn(i32, *const c_char, *mut c_void);

#[derive(Clone, Copy)]
struct Sink {
    function: LogFunction,
    data: *mut c_void,
}

// SAFETY: the pointer is only handed back to the host, which was told that it may be on any thread.
unsafe impl Send for Sink {}

static SET: AtomicBool = AtomicBool::new(false);
static SINK: Mutex<Option<Sink>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Sink>> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds the log's function while the process forks.
pub(crate) fn hold() -> Box<dyn Any> {
    Box::new(lock())
}

pub(crate) fn set(function: Option<LogFunction>, data: *mut c_void) {
    let sink = function.map(|function| Sink { function, data });
    SET.store(sink.is_some(), Ordering::Release);
    *lock() = sink;
}

/// Whether anybody reads the log: asked before a message is made.
#[inline]
pub(crate) fn is_set() -> bool {
    SET.load(Ordering::Acquire)
}

/// Hands a message to the host. Not to be called while the thread's objects are borrowed.
pub(crate) fn write(level: Level, message: &str) {
    let sink = *lock();
    let Some(sink) = sink else { return };
    if let Ok(message) = CString::new(message) {
        // SAFETY: the host gave the pair for exactly this call.
        unsafe { (sink.function)(level as i32, message.as_ptr(), sink.data) }
    }
}
