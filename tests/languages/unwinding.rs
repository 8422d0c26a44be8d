// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listeners that do not return: those of C that jump out (as Lua's `error` and Ruby's `raise` do), those of C++ that throw,
//! those whose thread ends. Each program of `tests/unwinding` runs as C99 and as C++11.
#![cfg(unix)]

use support::harness;

use harness::Language;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Tests run at the same time, so that each has a program of its own.
fn build(source: &str, program: &str, language: Language) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unwinding");
    harness::build(&folder.join(format!("{source}.c")), program, language)
}

fn run(command: Command) {
    harness::run(command, Duration::from_secs(600));
}

#[test]
fn a_listener_that_jumps_out_leaves_a_usable_loop() {
    run(Command::new(build("leaving", "leaving", Language::C99)));
}

#[test]
fn a_listener_that_throws_leaves_a_usable_loop() {
    run(Command::new(build("leaving", "leaving", Language::Cpp11)));
}

/// The cases of `threads.c`, by their names. Elsewhere the end of a thread skips the frames that it leaves.
#[cfg(target_os = "linux")]
macro_rules! cases {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            for language in harness::LANGUAGES {
                let mut command = Command::new(build("threads", stringify!($name), language));
                command.arg(stringify!($name));
                run(command);
            }
        })*
    };
}

#[cfg(target_os = "linux")]
cases!(
    a_thread_that_exits_takes_its_loop_with_it,
    a_thread_that_is_cancelled_in_a_listener_takes_its_loop_with_it,
    a_thread_that_is_cancelled_while_its_loop_waits_takes_it_with_it,
    a_thread_that_is_cancelled_amid_traffic_takes_its_loop_with_it,
    a_process_may_exit_inside_the_hosts_functions
);
