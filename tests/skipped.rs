// SPDX-License-Identifier: MIT OR Apache-2.0
//! No test, but the last line of `cargo test`: which tests were skipped, and why. It is a program of its own since the test runner
//! shows nothing of tests that pass, and cargo runs it behind the rooms by its name.

fn main() {
    if let Some(summary) = support::summary() {
        println!("{summary}");
    }
}
