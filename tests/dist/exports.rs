// SPDX-License-Identifier: MIT OR Apache-2.0
//! The symbols of the shared library are the functions of the header, no more and no less.

use support::harness;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

#[test]
fn exported_symbols_equal_the_functions_of_the_header() {
    if !harness::have_tool("nm") {
        return;
    }
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(harness::library())
        .output()
        .expect("nm starts");
    assert!(output.status.success(), "nm: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("symbols are plain text");
    let exported: BTreeSet<&str> = listing.lines().filter_map(|line| line.split(' ').next()).collect();
    let functions = harness::declarations();
    let declared: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(declared.len(), functions.len(), "a function is declared twice");
    let only_exported: Vec<_> = exported.difference(&declared).collect();
    let only_declared: Vec<_> = declared.difference(&exported).collect();
    assert!(
        only_exported.is_empty() && only_declared.is_empty(),
        "exported but not in the header: {only_exported:?}; in the header but not exported: {only_declared:?}; \
         `cargo check --features header` makes the header anew"
    );
}

/// What calls a function of the library through the table of symbols reaches another copy of it, if one was loaded before.
#[test]
#[cfg(target_os = "linux")]
fn the_library_reaches_none_of_its_own_functions_through_the_table_of_symbols() {
    if !harness::have_tool("readelf") {
        return;
    }
    let output = Command::new("readelf").args(["--relocs", "--wide"]).arg(harness::library()).output();
    let output = output.expect("readelf starts");
    let listing = String::from_utf8(output.stdout).expect("symbols are plain text");
    let foreign = listing.lines().filter(|line| line.contains("malloc") || line.contains("getaddrinfo")).count();
    let own: Vec<&str> = listing.lines().filter(|line| line.contains(" ss_")).collect();
    assert!(output.status.success() && foreign > 0 && own.is_empty(), "{own:?}");
}

#[test]
fn every_function_that_takes_a_handle_is_tried_with_bad_ones() {
    let source = fs::read_to_string(harness::c_dir().join("handles.c")).expect("handles.c can be read");
    let handles = ["ss_loop", "ss_timer", "ss_server", "ss_socket", "ss_event", "ss_value", "ss_tls", "ss_object"];
    let forgotten: Vec<String> = harness::declarations()
        .into_iter()
        .filter(|function| handles.iter().any(|handle| function.parameters.contains(&format!("{handle} *"))))
        .map(|function| function.name)
        .filter(|name| !source.contains(&format!("{name}(")))
        .collect();
    assert!(forgotten.is_empty(), "handles.c does not call {forgotten:?}");
}
