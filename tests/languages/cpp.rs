// SPDX-License-Identifier: MIT OR Apache-2.0
//! `include/server_socket.hpp` as its reader and his compilers meet it.

use support::harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn header() -> String {
    fs::read_to_string(harness::include_dir().join("server_socket.hpp")).expect("the header can be read")
}

/// The last one is C++23, by the name that older compilers know, too.
const STANDARDS: [&str; 3] = ["-std=c++17", "-std=c++20", "-std=c++2b"];

/// A compiler with the strictest usual warnings as errors.
fn compiler(name: &str, standard: &str) -> Command {
    let mut command = Command::new(name);
    command.args([standard, "-g1", "-pthread", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion"]);
    command.args(["-Werror", "-I"]).arg(harness::include_dir());
    command
}

/// The compilers that are there; one of them must be.
fn compilers() -> Vec<&'static str> {
    let found: Vec<&str> = ["g++", "clang++"].into_iter().filter(|name| harness::have_tool(name)).collect();
    assert!(!found.is_empty(), "there is no C++ compiler");
    found
}

/// Compiles a program of tests/cpp, or another; `flags` make it what `name` says.
fn build_with(compiler_name: &str, standard: &str, source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let program = harness::scratch_dir(&format!("{compiler_name}{standard}")).join(name);
    let mut command = compiler(compiler_name, standard);
    command.args(flags).arg(source).arg("-o").arg(&program);
    harness::link(&mut command);
    harness::compile(command);
    program
}

fn build(compiler_name: &str, standard: &str, source: &Path, name: &str) -> PathBuf {
    build_with(compiler_name, standard, source, name, &[])
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpp").join(name)
}

fn suite() -> PathBuf {
    source("suite.cpp")
}

fn run(program: PathBuf) {
    harness::run(Command::new(program), Duration::from_secs(120));
}

/// What runs is built by the oldest standard with the first compiler, and by the newest with the last: compiling it takes far longer than
/// running it.
fn builds() -> [(&'static str, &'static str); 2] {
    let compilers = compilers();
    [(compilers[0], STANDARDS[0]), (compilers[compilers.len() - 1], STANDARDS[2])]
}

/// Under the sanitizers, where these are. The compiler sees it by the other standards, too.
fn the_suite_passes((name, standard): (&str, &str)) {
    run(build_with(name, standard, &suite(), "suite", sanitizers(name)));
    for other in STANDARDS.into_iter().filter(|other| *other != standard) {
        let mut command = compiler(name, other);
        command.arg("-fsyntax-only").arg(suite());
        harness::compile(command);
    }
}

#[test]
fn the_suite_passes_by_the_oldest_standard() {
    the_suite_passes(builds()[0]);
}

#[test]
fn the_suite_passes_by_the_newest_standard() {
    the_suite_passes(builds()[1]);
}

#[test]
fn secure_servers_and_clients_are_theirs_too() {
    for (name, flags) in compilers_one_with_sanitizers() {
        run(build_with(name, STANDARDS[0], &source("tls.cpp"), "tls", flags));
    }
}

/// With exceptions too: `parsers::every_standard_takes_the_cpp_layer`.
#[test]
fn the_header_compiles_alone_and_twice_without_exceptions() {
    let source = harness::scratch_dir("alone").join("alone.cpp");
    let text = "#include \"server_socket.hpp\"\n#include \"server_socket.hpp\"\nint main() {}\n";
    fs::write(&source, text).expect("a source can be written");
    for name in compilers() {
        for standard in STANDARDS {
            let mut command = compiler(name, standard);
            command.args(["-fno-exceptions", "-fno-rtti", "-fsyntax-only"]).arg(&source);
            harness::compile(command);
        }
    }
}

#[test]
fn without_exceptions_failures_are_codes_or_the_end() {
    for (name, standard) in builds() {
        let flags = ["-fno-exceptions", "-fno-rtti"];
        let program = build_with(name, standard, &source("no_exceptions.cpp"), "no_exceptions", &flags);
        run(program.clone());
        for (what, sentence) in [("status", "bind the server before it listens"), ("nul", "an address with a NUL")] {
            let output = Command::new(&program).arg(what).env_remove("LD_LIBRARY_PATH").output();
            let output = output.expect("the program starts");
            assert_eq!(output.status.code(), None, "{what}: it is ended by a signal");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(sentence), "{what}: {said}");
        }
    }
}

#[test]
fn a_message_costs_the_calls_that_it_costs_in_c() {
    for (name, flags) in compilers_one_with_sanitizers() {
        run(build_with(name, STANDARDS[0], &source("costs.cpp"), "costs", flags));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn listeners_and_exceptions_pass_between_modules_that_hide_their_symbols() {
    for name in compilers() {
        let hidden = ["-fvisibility=hidden", "-fvisibility-inlines-hidden"];
        let flags = [&hidden[..], &["-shared", "-fPIC"]].concat();
        let plugin = build_with(name, STANDARDS[0], &source("plugin.cpp"), "plugin.so", &flags);
        let mut command = Command::new(build_with(name, STANDARDS[0], &source("modules.cpp"), "modules", &hidden));
        command.arg(plugin);
        harness::run(command, Duration::from_secs(120));
    }
}

/// A compiler may be there without its runtime library for it.
fn can_sanitize(name: &str) -> bool {
    let folder = harness::scratch_dir("sanitizer");
    let (source, program) = (folder.join("nothing.cpp"), folder.join(name));
    fs::write(&source, "int main() {}\n").expect("a source can be written");
    let output = Command::new(name).args(SANITIZERS).arg(&source).arg("-o").arg(&program).output();
    output.is_ok_and(|output| output.status.success())
}

const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// The sanitizers of this compiler; says so where it has none.
fn sanitizers(name: &str) -> &'static [&'static str] {
    let there = can_sanitize(name);
    if !there {
        support::skipped(&format!("{name} has no sanitizers"));
    }
    if there { &SANITIZERS } else { &[] }
}

/// The compilers, and the sanitizers of the last: those of another would only repeat what they find.
fn compilers_one_with_sanitizers() -> Vec<(&'static str, &'static [&'static str])> {
    let compilers = compilers();
    let last = compilers[compilers.len() - 1];
    compilers.into_iter().map(|name| (name, if name == last { sanitizers(name) } else { &[][..] })).collect()
}

/// One coroutine waits for its peer to send, one for its peer to read, when the loop ends.
#[test]
#[cfg(target_os = "linux")]
fn coroutines_end_with_their_loop() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-examples/coroutine_echo.cpp");
    for (name, flags) in compilers_one_with_sanitizers() {
        let mut command = Command::new(build_with(name, "-std=c++20", &source, "coroutine_echo", flags));
        command.arg("0").env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped());
        let mut server = harness::Running(command.spawn().expect("it starts"));
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
        let port: u16 = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let mut sends_no_more = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        sends_no_more.write_all(b"x").expect("it reads");
        sends_no_more.read_exact(&mut [0]).expect("it answers");
        let mut reads_nothing = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        reads_nothing.set_write_timeout(Some(Duration::from_millis(500))).expect("a deadline");
        while reads_nothing.write(&[0; 65536]).is_ok() {}
        server.signal(libc::SIGINT);
        let status = server.0.wait().expect("it can be waited for");
        assert!(status.success(), "{name}: {status}: a leak, or worse");
    }
}

#[test]
fn the_program_on_top_of_the_header_serves_a_client() {
    let header = header();
    let comment = header.split("*/").next().expect("a comment on top");
    let lines = comment.lines().filter_map(|line| line.strip_prefix(" *     "));
    let program: Vec<&str> = lines.skip_while(|line| !line.contains("#include")).collect();
    let end = program.iter().rposition(|line| *line == "}").expect("the program ends");
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
