// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forks at moments at which another thread is in the middle of something.

#![cfg(unix)]

use support::harness;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_child_forked_while_another_thread_makes_the_first_loop_makes_one_of_its_own() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forks/first.c");
    let program = harness::build(&source, "first", harness::Language::C99);
    harness::run(Command::new(program), Duration::from_secs(120));
}
