// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens when the process forks: its locks are free in the child, and nothing there is half made.
//!
//! A thread that is at work while another one forks does not exist in the child, which would wait for it for ever. So the
//! thread that forks holds the locks of the process meanwhile. All of them are there from the start, and this watch is set
//! when the library is loaded: what were made at first use might be cut in two.

use std::any::Any;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use crate::core::known;
use crate::{handle, log, reactor, sys};

type Hold = fn() -> Box<dyn Any>;

/// The process-wide locks, in the order in which they are taken.
const LOCKS: [Hold; 5] = [hold, handle::hold, log::hold, reactor::hold_names, known::hold];

/// Taken by what is done once in the process.
static UNDIVIDED: Mutex<()> = Mutex::new(());

thread_local! {
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

sys::at_load!(watch);

extern "C" fn watch() {
    sys::watch_forks(prepare, in_parent, in_child);
}

/// Does something that no fork comes between.
pub(crate) fn undivided<T>(work: impl FnOnce() -> T) -> T {
    let _undivided = UNDIVIDED.lock().unwrap_or_else(PoisonError::into_inner);
    work()
}

fn hold() -> Box<dyn Any> {
    Box::new(UNDIVIDED.lock().unwrap_or_else(PoisonError::into_inner))
}

extern "C" fn prepare() {
    let _ = HELD.try_with(|held| held.borrow_mut().extend(LOCKS.map(|lock| lock())));
}

extern "C" fn in_parent() {
    sys::note_fork(false);
    let_go();
}

extern "C" fn in_child() {
    sys::note_fork(true);
    let_go();
}

fn let_go() {
    let _ = HELD.try_with(|held| held.borrow_mut().clear());
}
