//! `include/server_socket.hpp` as its reader and his compilers meet it.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn header() -> String {
    fs::read_to_string(harness::include_dir().join("server_socket.hpp")).expect("the header can be read")
}

const STANDARDS: [&str; 2] = ["-std=c++17", "-std=c++20"];

/// A compiler with the strictest usual warnings as errors.
fn compiler(name: &str, standard: &str) -> Command {
    let mut command = Command::new(name);
    command.args([standard, "-g", "-pthread", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I"]);
    command.arg(harness::include_dir());
    command
}

/// The compilers that are there; one of them must be.
fn compilers() -> Vec<&'static str> {
    let found: Vec<&str> = ["g++", "clang++"].into_iter().filter(|name| harness::have_tool(name)).collect();
    assert!(!found.is_empty(), "there is no C++ compiler");
    found
}

fn build(compiler_name: &str, standard: &str, source: &Path, name: &str) -> PathBuf {
    let program = harness::scratch_dir(&format!("{compiler_name}{standard}")).join(name);
    let mut command = compiler(compiler_name, standard);
    command.arg(source).arg("-o").arg(&program);
    harness::link(&mut command);
    harness::compile(command);
    program
}

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpp/suite.cpp")
}

#[test]
fn the_suite_passes_with_each_compiler() {
    for name in compilers() {
        for standard in STANDARDS {
            harness::run(Command::new(build(name, standard, &suite(), "suite")), Duration::from_secs(120));
        }
    }
}

#[test]
fn the_header_compiles_alone_and_twice_and_as_cpp20() {
    let source = harness::scratch_dir("alone").join("alone.cpp");
    let text = "#include \"server_socket.hpp\"\n#include \"server_socket.hpp\"\nint main() {}\n";
    fs::write(&source, text).expect("a source can be written");
    for name in compilers() {
        for standard in STANDARDS {
            let mut command = compiler(name, standard);
            command.arg("-fsyntax-only").arg(&source);
            harness::compile(command);
        }
    }
}

#[test]
fn the_program_on_top_of_the_header_serves_a_client() {
    let header = header();
    let comment = header.split("*/").next().expect("a comment on top");
    let lines = comment.lines().filter_map(|line| line.strip_prefix(" *     "));
    let program: Vec<&str> = lines.skip_while(|line| !line.contains("#include")).collect();
    let end = program.iter().position(|line| *line == "}").expect("the program ends");
    let source = harness::scratch_dir("on_top").join("on_top.cpp");
    fs::write(&source, program[..=end].join("\n") + "\n").expect("a source can be written");
    for name in compilers() {
        harness::check_echo(Command::new(build(name, STANDARDS[0], &source, "on_top")));
    }
}

#[test]
fn the_suite_leaks_nothing_under_valgrind() {
    if !harness::may_use_valgrind() {
        return;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--leak-check=full", "--error-exitcode=99"]);
    valgrind.args(["--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible"]);
    valgrind.arg(build(compilers()[0], STANDARDS[0], &suite(), "suite_for_valgrind"));
    harness::run(valgrind, Duration::from_secs(300));
}
