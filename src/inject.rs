// SPDX-License-Identifier: MIT OR Apache-2.0
//! Panics on demand, for the tests that see what becomes of one. Without the feature `inject-panic` a point is nothing.

/// A place where a fault of the library would show as a panic: in the middle of a step.
#[cfg(not(feature = "inject-panic"))]
#[inline(always)]
pub(crate) fn point() {}

#[cfg(feature = "inject-panic")]
pub(crate) use armed::point;
#[cfg(feature = "inject-panic")]
pub use armed::{arm, passed};

#[cfg(feature = "inject-panic")]
mod armed {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<u64> = const { Cell::new(0) };
        static PASSED: Cell<u64> = const { Cell::new(0) };
    }

    /// The `count`th point from now on that this thread comes to panics, once; 0: none.
    pub fn arm(count: u64) {
        LEFT.set(count);
        PASSED.set(0);
    }

    /// How many points this thread has come to since it was armed.
    pub fn passed() -> u64 {
        PASSED.get()
    }

    #[track_caller]
    pub(crate) fn point() {
        PASSED.set(PASSED.get() + 1);
        match LEFT.get() {
            0 => {}
            1 => {
                LEFT.set(0);
                panic!("on purpose, at point {}", PASSED.get());
            }
            left => LEFT.set(left - 1),
        }
    }
}
