// SPDX-License-Identifier: MIT OR Apache-2.0
//! Name look-ups beside a name server that does not answer: a C program, which has a getaddrinfo of its own.

#![cfg(target_os = "linux")]

use support::harness;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn run(scenario: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/names/names.c");
    let program = harness::build(&source, &format!("names_{scenario}"), harness::Language::C99);
    let mut command = Command::new(program);
    command.arg(scenario);
    harness::run(command, Duration::from_secs(60));
}

#[test]
fn look_ups_that_were_given_up_keep_no_other_waiting() {
    run("given_up");
}

#[test]
fn look_ups_that_were_given_up_while_they_waited_are_never_begun() {
    run("queue");
}

#[test]
fn a_look_up_holds_nothing_of_a_loop_that_has_ended() {
    run("ended_loop");
}

#[test]
fn the_threads_of_look_ups_take_no_signals() {
    run("signals");
}
