// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rule 8 of the header: the library prints nothing.
#![cfg(target_os = "linux")]

use support::harness;

use harness::LANGUAGES;
use std::path::Path;
use std::process::Command;

#[test]
fn without_random_numbers_the_library_works_and_prints_nothing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quiet/without_random.c");
    for language in LANGUAGES {
        let program = harness::build(&source, "without_random", language);
        let output = Command::new(program).env_remove("LD_LIBRARY_PATH").output().expect("it starts");
        let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!((output.status.code(), printed), (Some(0), [String::new(), String::new()]), "{language:?}");
    }
}
