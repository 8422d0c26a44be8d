// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guard around each step of the core: no panic of the library's own gets out, and what one leaves is mended.
//!
//! The host's code never runs inside of it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::thread::{Thread, is_in_a_step, with};
use crate::error::{Failure, Result};
use crate::fork;
use crate::log::Level;

thread_local! {
    /// What the panic that was just caught said.
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a piece of the library's own code.
#[inline]
pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded_step(body, |thread| thread.recover(None))
}

/// As [`guarded`]; `recover` mends what a panic has left.
#[inline]
pub(crate) fn guarded_step<T>(body: impl FnOnce() -> Result<T>, recover: impl FnOnce(&mut Thread)) -> Result<T> {
    // Unwind safe: no borrow of the core outlives a panic, each object is checked before it is used, and what may have been
    // left half done is done anew.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(outcome) => outcome,
        Err(_) => Err(mend(recover)),
    }
}

#[cold]
fn mend(recover: impl FnOnce(&mut Thread)) -> Failure {
    let note = NOTE.try_with(|note| note.take()).ok().flatten();
    // A panic in here must not get out either.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        with(|thread| {
            let note = note.unwrap_or_default();
            thread.due.log(Level::Error, || format!("server_socket failed inside: {note}"));
            recover(thread);
            Ok(())
        })
    }));
    Failure::panicked()
}

/// Has panics of this library's own code noted for the log, and not printed to the host's standard error. Panics of others,
/// where host and library share Rust's standard library, go where they went before.
pub(crate) fn quieten_panics() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Ordering::Acquire) {
        fork::undivided(|| {
            if !DONE.load(Ordering::Acquire) {
                set_panic_hook();
                DONE.store(true, Ordering::Release);
            }
        });
    }
}

#[cold]
fn set_panic_hook() {
    let sources = Path::new(file!()).parent().unwrap_or(Path::new(""));
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_ours = |place: &std::panic::Location<'_>| Path::new(place.file()).starts_with(sources);
        let ours = is_in_a_step() || panic.location().is_some_and(is_ours);
        if ours && !cfg!(test) {
            let _ = NOTE.try_with(|note| note.replace(Some(panic.to_string())));
        } else {
            others(panic);
        }
    }));
}
