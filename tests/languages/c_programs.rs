// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as C and C++ programs meet it: each program of `tests/c` runs as C99 and is compiled and linked as C++11. It is the same
//! program then; `ci/platforms` runs both, where no test in Rust runs.

use support::harness;

use harness::Language;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn build(name: &str, language: Language) -> PathBuf {
    harness::build(&harness::c_dir().join(format!("{name}.c")), name, language)
}

macro_rules! programs {
    ($($name:ident),*) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];
        $(mod $name {
            #[test]
            fn as_c99() {
                let program = super::build(stringify!($name), super::Language::C99);
                super::harness::run(super::Command::new(program), super::Duration::from_secs(600));
            }

            #[test]
            fn as_cpp11() {
                super::build(stringify!($name), super::Language::Cpp11);
            }
        })*
    };
}

programs!(event_loop, events, half_open, handles, life, lifetimes, server, socket, values);

#[test]
fn every_program_of_the_folder_is_run() {
    let mut sources: Vec<String> = fs::read_dir(harness::c_dir())
        .expect("tests/c can be read")
        .map(|entry| entry.expect("an entry can be read").file_name().into_string().expect("names are plain"))
        .filter_map(|name| name.strip_suffix(".c").map(str::to_owned))
        .collect();
    sources.sort();
    assert_eq!(sources, PROGRAMS);
}
