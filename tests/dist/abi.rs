// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ABI against that of the last release: what `abi/check` finds, and what it lets pass.

use support::harness;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What `abi/check` says to a header, if the version of the crate were `version`.
fn check(name: &str, header: &str, version: &str) -> Output {
    let file = harness::scratch_dir("headers").join(format!("{name}.h"));
    fs::write(&file, header).expect("a header can be written");
    let mut command = Command::new("python3");
    command.arg(script()).arg("--new").arg(file).args(["--old-version", "0.1.0", "--new-version", version]);
    command.output().expect("python3 starts")
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/check")
}

fn last_release() -> String {
    fs::read_to_string(script().with_file_name("server_socket.h")).expect("the last release's header is there")
}

/// The last release's header with `from`, which must be there, made `to`.
fn with(from: &str, to: &str) -> String {
    let header = last_release();
    assert!(header.contains(from), "the header has no {from:?}");
    header.replacen(from, to, 1)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_abi_is_that_of_the_last_release_or_the_version_says_so() {
    if !harness::have_tool("python3") {
        return;
    }
    let output = Command::new("python3").arg(script()).output().expect("python3 starts");
    println!("{}", said(&output));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn what_breaks_programs_fails_unless_the_version_says_so() {
    if !harness::have_tool("python3") {
        return;
    }
    let broken = [
        ("removed_function", "bool ss_is_supported(void);", "", "removed: function ss_is_supported"),
        (
            "parameter",
            "ss_listen(ss_server *server, int32_t backlog)",
            "ss_listen(ss_server *server, int64_t backlog)",
            "ss_listen",
        ),
        (
            "fewer_parameters",
            "ss_listen(ss_server *server, int32_t backlog)",
            "ss_listen(ss_server *server)",
            "ss_listen",
        ),
        ("result", "int32_t ss_local_port(", "uint16_t ss_local_port(", "changed: function ss_local_port"),
        ("constness", "ss_loop_timeout(ss_loop *loop)", "ss_loop_timeout(const ss_loop *loop)", "ss_loop_timeout"),
        ("enumerator", "SS_ERR_FULL = 23", "SS_ERR_FULL = 24", "changed: constant SS_ERR_FULL"),
        ("removed_enumerator", "SS_ERR_FORKED = 26,", "", "removed: constant SS_ERR_FORKED"),
        (
            "enumeration",
            "enum ss_status\n#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n  : int32_t",
            "enum ss_status\n#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n  : int64_t",
            "changed: type ss_status",
        ),
        ("constant", "#define SS_OPT_LINGER 7", "#define SS_OPT_LINGER 8", "changed: constant SS_OPT_LINGER"),
        ("member", "uint64_t errors;", "uint32_t errors;", "changed: struct ss_stats"),
        ("member_in_between", "uint64_t open;", "uint64_t more;\nuint64_t open;", "changed: struct ss_stats"),
        (
            "callback",
            "typedef void (*ss_task)(void *user_data);",
            "typedef int (*ss_task)(void *user_data);",
            "changed: type ss_task",
        ),
        ("type", "typedef int32_t ss_option;", "typedef int64_t ss_option;", "changed: type ss_option"),
    ];
    for (name, from, to, report) in broken {
        let header = with(from, to);
        for version in ["0.1.0", "0.1.7"] {
            let output = check(name, &header, version);
            assert!(!output.status.success(), "{name} passes");
            assert!(said(&output).contains(report), "{name}: {}", said(&output));
        }
        for version in ["0.2.0", "1.0.0"] {
            let output = check(name, &header, version);
            assert!(output.status.success(), "{name}: {}", said(&output));
            assert!(said(&output).contains(report), "{name}: {}", said(&output));
        }
    }
}

#[test]
fn additions_and_other_words_pass() {
    if !harness::have_tool("python3") {
        return;
    }
    let harmless = [
        (
            "function",
            "bool ss_is_supported(void);",
            "bool ss_is_supported(void);\nint ss_new_one(ss_loop *loop);",
            "added: function ss_new_one",
        ),
        ("enumerator", "SS_ERR_PANIC = 99,", "SS_ERR_PANIC = 99,\nSS_ERR_NEW = 100,", "added: constant SS_ERR_NEW"),
        (
            "constant",
            "#define SS_OPT_LINGER 7",
            "#define SS_OPT_LINGER 7\n#define SS_OPT_NEW 99",
            "added: constant SS_OPT_NEW",
        ),
        ("growth", "uint64_t errors;", "uint64_t errors;\nuint64_t more;", "grown: struct ss_stats"),
        (
            "type",
            "typedef int32_t ss_option;",
            "typedef int32_t ss_option;\ntypedef struct ss_new ss_new;",
            "added: type ss_new",
        ),
        (
            "name_of_a_parameter",
            "ss_listen(ss_server *server, int32_t backlog)",
            "ss_listen(ss_server *it, int32_t queue)",
            "nothing has changed",
        ),
        (
            "comment",
            "bool ss_is_supported(void);",
            "/** Other words. */\nbool ss_is_supported(void);",
            "nothing has changed",
        ),
    ];
    for (name, from, to, report) in harmless {
        let output = check(name, &with(from, to), "0.1.1");
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(said(&output).contains(report), "{name}: {}", said(&output));
    }
}

/// Only one that begins with its size: of another one the library cannot know how much of it there is.
#[test]
fn a_struct_without_its_size_may_not_grow() {
    if !harness::have_tool("python3") {
        return;
    }
    let dir = harness::scratch_dir("headers");
    let old = with("size_t size;", "uint64_t first;");
    let new = old.replacen("uint64_t errors;", "uint64_t errors;\nuint64_t more;", 1);
    for (name, header) in [("unsized", &old), ("unsized_grown", &new)] {
        fs::write(dir.join(format!("{name}.h")), header).expect("a header can be written");
    }
    let mut command = Command::new("python3");
    command.arg(script()).arg("--old").arg(dir.join("unsized.h")).arg("--new").arg(dir.join("unsized_grown.h"));
    let output = command.args(["--old-version", "0.1.0", "--new-version", "0.1.7"]).output().expect("python3 starts");
    assert!(!output.status.success(), "it passes: {}", said(&output));
    assert!(said(&output).contains("changed: struct ss_stats"), "{}", said(&output));
}

/// What was exported by the last release is what its header declares; else one of the two was recorded without the other.
#[test]
fn a_record_that_does_not_agree_with_itself_is_refused() {
    if !harness::have_tool("python3") {
        return;
    }
    let crate_dir = harness::scratch_dir("abi_of_its_own");
    let dir = crate_dir.join("abi");
    fs::create_dir_all(&dir).expect("a folder can be made");
    fs::copy(harness::root().join("Cargo.toml"), crate_dir.join("Cargo.toml")).expect("a file can be copied");
    for file in ["check", "server_socket.h", "version"] {
        fs::copy(script().with_file_name(file), dir.join(file)).expect("a file can be copied");
    }
    let exports = fs::read_to_string(script().with_file_name("exports")).expect("the record is there");
    fs::write(dir.join("exports"), exports.replacen("ss_listen\n", "", 1)).expect("it can be written");
    let mut command = Command::new("python3");
    command.arg(dir.join("check")).arg("--new").arg(dir.join("server_socket.h")).args(["--new-version", "0.1.0"]);
    let output = command.output().expect("python3 starts");
    assert!(!output.status.success(), "it passes: {}", said(&output));
    assert!(said(&output).contains("['ss_listen']"), "{}", said(&output));
}
