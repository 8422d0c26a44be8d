// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of ours whose numbers the host knows, since it has asked for them or handed them over: it may offer them again,
//! on whatever thread. One that was taken over twice would be closed twice, the second time as a stranger's.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys;

struct Known {
    epoch: u32,
    descriptors: BTreeSet<i64>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { epoch: 0, descriptors: BTreeSet::new() });
/// There is one, or was: else nobody needs to look.
static ANY: AtomicBool = AtomicBool::new(false);

fn lock() -> MutexGuard<'static, Known> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.epoch != sys::fork_epoch() {
        // What the parent has is no object of this process, which may take over what it inherited.
        known.descriptors.clear();
        known.epoch = sys::fork_epoch();
    }
    known
}

/// The host knows a descriptor that an object of ours has.
pub(crate) fn note(descriptor: i64) {
    ANY.store(true, Ordering::Relaxed);
    lock().descriptors.insert(descriptor);
}

/// It is about to be closed, or given up.
#[inline(always)]
pub(crate) fn forget(descriptor: i64) {
    if ANY.load(Ordering::Relaxed) {
        lock().descriptors.remove(&descriptor);
    }
}

/// Holds them while the process forks.
pub(crate) fn hold() -> Box<dyn Any> {
    Box::new(lock())
}

/// Whether the host knows it as one of ours.
pub(crate) fn is_ours(descriptor: i64) -> bool {
    lock().descriptors.contains(&descriptor)
}
