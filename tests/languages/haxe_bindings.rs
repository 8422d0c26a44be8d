// SPDX-License-Identifier: MIT OR Apache-2.0
//! `haxe/`: the bindings equal the header.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::harness;
use support::haxe::*;

/// The C++ file of `haxe/tests/Drift.hx`: an assertion for each function and constant of `serversocket.Native`.
fn drift_source(dir: &Path) -> PathBuf {
    let source = dir.join("drift.cpp");
    let mut command = haxe(dir);
    command.arg("-cp").arg(haxe_dir().join("tests")).args(["-cpp", "out", "-D", "no-compilation"]);
    command.arg("--macro").arg(format!("Drift.write(\"{}\")", source.display())).arg("serversocket.Native");
    harness::compile(command);
    source
}

fn check_against(source: &Path, include: &Path) -> Command {
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-fsyntax-only", "-I"]).arg(include).arg(source);
    command
}

/// The constants of the header that bindings need: not its version, nor the names of events.
fn constants(header: &str) -> BTreeSet<String> {
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let enumerated = header.lines().map(str::trim_start).filter(|line| line.starts_with("SS_") && line.contains(" = "));
    let name = |line: &str| line.split_whitespace().next().expect("a name").to_owned();
    let wanted = |name: &String| {
        name.starts_with("SS_") && !name.starts_with("SS_VERSION") && !name.starts_with("SS_EVENT") && name != "SS_API"
    };
    defined.map(name).chain(enumerated.map(name)).filter(wanted).collect()
}

#[test]
fn the_bindings_equal_the_header() {
    if !harness::have_tool("haxe") || !harness::have_tool("g++") {
        return;
    }
    let dir = empty_dir("drift");
    let source = drift_source(&dir);
    harness::compile(check_against(&source, &harness::include_dir()));

    let text = fs::read_to_string(&source).expect("the file can be read");
    let bound: BTreeSet<String> = text.lines().filter_map(|line| line.strip_prefix("// ")).map(str::to_owned).collect();
    let mut declared = constants(&harness::header());
    declared.extend(harness::declarations().into_iter().map(|function| function.name));
    let only_bound: Vec<_> = bound.difference(&declared).collect();
    let only_declared: Vec<_> = declared.difference(&bound).collect();
    assert!(
        only_bound.is_empty() && only_declared.is_empty(),
        "bound but not in the header: {only_bound:?}; in the header but not bound: {only_declared:?}"
    );

    // And the assertions would notice a change.
    let changes = [
        ("int32_t local_port,", "int64_t local_port,"),
        ("bool ss_bound(ss_server", "int32_t ss_bound(ss_server"),
        ("const char *ss_event_type(", "char *ss_event_type("),
        ("(ss_socket *socket, uint32_t timeout_ms)", "(ss_socket *socket, int32_t timeout_ms)"),
        ("ss_status ss_loop_run(ss_loop *loop)", "ss_status ss_loop_run(ss_server *loop)"),
        ("#define SS_ERR_FULL 23", "#define SS_ERR_FULL 27"),
        ("#define SS_OPT_LINGER 7", "#define SS_OPT_LINGER 17"),
        ("    uint64_t bytes_out;", "    uint32_t bytes_out;"),
    ];
    for (old, new) in changes {
        let changed = harness::header().replacen(old, new, 1);
        assert_ne!(changed, harness::header(), "the header has no {old:?}");
        fs::write(dir.join("server_socket.h"), changed).expect("a header can be written");
        let output = check_against(&source, &dir).output().expect("g++ starts");
        assert!(!output.status.success(), "{new:?} was not noticed");
    }
}

/// `haxe/bindings.py` in a copy of the repository, with that header.
fn check_bindings(dir: &Path, header: &str) -> std::process::Output {
    fs::create_dir_all(dir.join("include")).expect("a folder can be made");
    fs::write(dir.join("include/server_socket.h"), header).expect("a header can be written");
    let mut command = Command::new("python3");
    command.arg(dir.join("haxe/bindings.py")).arg("--check");
    command.output().expect("python3 starts")
}

#[test]
fn what_the_bindings_repeat_is_what_the_script_makes_of_the_header() {
    if !harness::have_tool("python3") {
        return;
    }
    let dir = empty_dir("bindings");
    copy_tree(&haxe_dir(), &dir.join("haxe"));
    let output = check_bindings(&dir, &harness::header());
    assert!(output.status.success(), "run haxe/bindings.py: {}", String::from_utf8_lossy(&output.stderr));
    // And a change would be noticed.
    for (old, new) in [
        ("SS_API bool ss_bound(ss_server *server);", "SS_API bool ss_bound(ss_server *server, int32_t more);"),
        ("#define SS_OPT_LINGER 7", "#define SS_OPT_LINGER 8"),
        ("    uint64_t bytes_out;", "    uint64_t bytes_out;\n    uint64_t lingering;"),
    ] {
        let changed = harness::header().replacen(old, new, 1);
        assert_ne!(changed, harness::header(), "the header has no {old:?}");
        assert!(!check_bindings(&dir, &changed).status.success(), "{new:?} was not noticed");
    }
}
