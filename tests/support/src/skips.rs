// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that could not run here. Each says so where it stands, and notes it down for the line that `tests/skipped.rs` prints at the
//! end of `cargo test`.

use crate::CHILD;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Says that a test could not run here; where everything must be there, it fails.
pub fn skipped(reason: &str) {
    assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "{reason}");
    left_out(reason);
}

/// Says that a test, or a part of it, was left out, which is no failure anywhere.
pub fn left_out(reason: &str) {
    println!("SKIPPED: {reason}");
    // What is said in a test's own process the test says again.
    if std::env::var_os(CHILD).is_none() {
        note(reason);
    }
}

fn note(reason: &str) {
    let program = std::env::current_exe().expect("a test knows its own path");
    let room = program.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
    let room = room.rsplit_once('-').map_or(room, |(room, _)| room);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a thread of a test");
    let reason = reason.lines().next().unwrap_or_default();
    let Some(notes) = notes() else { return };
    let file = fs::OpenOptions::new().create(true).append(true).open(notes);
    // One write for a line: tests run side by side.
    let written = file.and_then(|mut file| file.write_all(format!("{reason}\t{room} {test}\n").as_bytes()));
    written.expect("a note can be written beside the build");
}

/// Where the tests of this run of cargo note down what they skip. `None` where a process cannot tell who started it.
fn notes() -> Option<PathBuf> {
    let folder = crate::harness::library_dir().with_file_name("tmp");
    fs::create_dir_all(&folder).expect("a folder can be made beside the build");
    Some(folder.join(format!("skipped-{}", run()?)))
}

/// Cargo's process, and when it began: numbers of processes come again.
#[cfg(target_os = "linux")]
fn run() -> Option<String> {
    let cargo = std::os::unix::process::parent_id();
    let stat = fs::read_to_string(format!("/proc/{cargo}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(format!("{cargo}-{}", fields.split(' ').nth(19)?))
}

#[cfg(not(target_os = "linux"))]
fn run() -> Option<String> {
    None
}

/// What the tests of this run of cargo have skipped: how many they are, why, and which. The notes are gone afterwards.
pub fn summary() -> Option<String> {
    let path = notes()?;
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut count = 0;
    for (reason, test) in text.lines().filter_map(|line| line.split_once('\t')) {
        let tests = tests.entry(reason).or_default();
        if !tests.contains(&test) {
            tests.push(test);
            count += 1;
        }
    }
    let reasons: Vec<String> = tests.iter().map(|(reason, tests)| format!("{reason} ({})", tests.join(", "))).collect();
    Some(match count {
        0 => "no test was skipped".to_owned(),
        _ => format!("SKIPPED: {count} in all: {}", reasons.join("; ")),
    })
}
