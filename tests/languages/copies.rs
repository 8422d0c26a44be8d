// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library loaded and unloaded at run time, and twice in one process: it keeps nothing when it goes, and two copies
//! are strangers to each other. As a C program, since this test has a copy of its own in it.

#![cfg(unix)]

use support::harness;

use harness::Language;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Not linked against the library: it is to go with the last dlclose.
fn program(name: &str) -> std::path::PathBuf {
    let program = harness::scratch_dir(name).join("copies");
    let mut command = harness::compiler(Language::C99);
    command.arg(harness::c_dir().with_file_name("copies").join("copies.c")).arg("-o").arg(&program).arg("-ldl");
    harness::compile(command);
    program
}

#[test]
fn it_is_loaded_and_unloaded_a_hundred_times_with_live_sockets_before_each() {
    let mut command = Command::new(program("reload"));
    command.arg("reload").arg(harness::library());
    harness::run(command, Duration::from_secs(120));
}

#[test]
fn two_copies_in_one_process_work_side_by_side_and_refuse_each_others_handles() {
    let copy = harness::scratch_dir("copy").join("libserver_socket_copy.so");
    fs::copy(harness::library(), &copy).expect("a file can be copied");
    let mut command = Command::new(program("two"));
    command.arg("two").arg(harness::library()).arg(&copy);
    harness::run(command, Duration::from_secs(120));
}

#[test]
fn nothing_is_lost_or_touched_wrongly_by_loading_and_unloading_under_valgrind() {
    if !harness::may_use_valgrind() {
        return;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=99", "--fair-sched=yes"]);
    valgrind.arg(program("valgrind")).arg("reload").arg(harness::library()).arg("10");
    harness::run(valgrind, Duration::from_secs(300));
}
