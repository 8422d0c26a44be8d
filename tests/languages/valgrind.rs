// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C programs once more under valgrind: no error, no leak, with the release library.

use support::harness;

use harness::Language;
use std::process::Command;
use std::time::Duration;

fn run(name: &str) {
    if !harness::may_use_valgrind() {
        return;
    }
    let program = harness::build(&harness::c_dir().join(format!("{name}.c")), name, Language::C99);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--leak-check=full", "--error-exitcode=99", "--fair-sched=yes"]);
    valgrind.args(["--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible"]);
    valgrind.arg(program).env("SS_TEST_SLOW", "20");
    harness::run(valgrind, Duration::from_secs(1800));
}

macro_rules! programs {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
    };
}

programs!(event_loop, events, handles, life, lifetimes, server, socket, values);
