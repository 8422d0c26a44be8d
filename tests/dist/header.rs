// SPDX-License-Identifier: MIT OR Apache-2.0
//! `include/server_socket.h` as its reader and his compiler meet it.

use support::harness;

use harness::{Language, build, compile, compiler, header, scratch_dir};
use std::fs;

/// Compiles a text without linking it.
fn check_syntax(name: &str, text: &str, language: Language) {
    let source = scratch_dir(&format!("{name}-{language:?}")).join("main.c");
    fs::write(&source, text).expect("a source can be written");
    let mut command = compiler(language);
    command.arg("-fsyntax-only").arg(source);
    compile(command);
}

#[test]
fn the_header_compiles_alone() {
    for language in harness::LANGUAGES {
        check_syntax("alone", "#include \"server_socket.h\"\n", language);
    }
}

#[test]
fn the_header_may_be_included_twice() {
    for language in harness::LANGUAGES {
        check_syntax("twice", "#include \"server_socket.h\"\n#include \"server_socket.h\"\n", language);
    }
}

/// A header that does not compile must not pass: that the warnings are errors is part of what the others rely on.
#[test]
#[should_panic(expected = "unused")]
fn a_warning_is_an_error_here() {
    check_syntax("warning", "#include \"server_socket.h\"\nint zero(void) { int unused; return 0; }\n", Language::C99);
}

#[test]
fn every_function_is_explained_right_before_it() {
    let silent: Vec<String> = harness::declarations()
        .into_iter()
        // A documentation comment: a chapter's heading explains no function.
        .filter(|function| !function.comment.as_ref().is_some_and(|text| text.starts_with('*') && text.len() > 20))
        .map(|function| function.name)
        .collect();
    assert!(silent.is_empty(), "without a comment: {silent:?}");
}

/// The program inside the header's first comment: from its first `#include` to the brace that ends it.
fn program_on_top() -> String {
    let header = header();
    let (_, inside) = header.split_once("/*").expect("the header begins with a comment");
    let (comment, _) = inside.split_once("*/").expect("which ends");
    let lines: Vec<&str> =
        comment.lines().map(|line| line.trim_start().strip_prefix('*').unwrap_or(line).trim_end()).collect();
    let first = lines.iter().position(|line| line.contains("#include")).expect("with a program");
    let last = lines.iter().rposition(|line| line.trim() == "}").expect("that ends with a brace");
    lines[first..=last].join("\n") + "\n"
}

#[test]
fn the_program_on_top_of_the_header_compiles_and_links() {
    let program = program_on_top();
    assert!(program.contains("main("), "not a whole program:\n{program}");
    let source = scratch_dir("on_top").join("on_top.c");
    fs::write(&source, &program).expect("a source can be written");
    for language in harness::LANGUAGES {
        build(&source, "on_top", language);
    }
}

#[test]
fn the_functions_of_the_contract_are_declared() {
    let declared: Vec<String> = harness::declarations().into_iter().map(|function| function.name).collect();
    let missing: Vec<&str> =
        CONTRACT.split_whitespace().filter(|name| !declared.iter().any(|found| found == name)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

/// What the first programs were written against, and what no version may lose.
const CONTRACT: &str = "
    ss_status_name ss_last_error_id ss_last_error_message ss_last_os_error
    ss_version ss_is_supported
    ss_loop_new ss_loop_default ss_loop_poll ss_loop_run ss_loop_stop ss_loop_wake ss_loop_post ss_loop_fd ss_loop_timeout
    ss_new ss_bind ss_listen ss_close ss_bound ss_listening ss_local_address ss_local_port
    ss_retain ss_release ss_set_user_data ss_user_data ss_native_handle
    ss_add_listener ss_add_listener_full ss_remove_listener ss_has_listener ss_will_trigger ss_dispatch_event
    ss_event_new ss_event_clone ss_event_type ss_event_bubbles ss_event_cancelable ss_event_phase
    ss_event_target ss_event_current_target ss_event_prevent_default ss_event_is_default_prevented
    ss_event_stop_propagation ss_event_stop_immediate_propagation ss_event_socket
    ss_event_bytes_loaded ss_event_bytes_pending ss_event_bytes_total
    ss_event_error_id ss_event_text ss_event_os_error ss_event_to_string
    ss_socket_new ss_socket_close ss_socket_abort ss_socket_flush
    ss_socket_connected ss_socket_bytes_available ss_socket_bytes_pending
    ss_socket_local_address ss_socket_remote_address ss_socket_local_port ss_socket_remote_port
    ss_socket_read ss_socket_peek ss_socket_skip ss_socket_read_bytes ss_socket_write_bytes
";
