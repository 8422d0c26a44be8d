// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same as tests/injection.rs from outside: the echo server of the examples, its system calls failed by the kernel under
//! `strace -e inject=`. Every peer still gets its echo, byte for byte.

#![cfg(target_os = "linux")]

use support::harness;

use harness::{Language, Running};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The call, its error, and from which call on every how-manieth fails.
const ROWS: &[(&str, &str, &str)] = &[
    ("accept4", "EMFILE", "1+3"),
    ("accept4", "ENFILE", "1+3"),
    ("accept4", "ENOBUFS", "1+3"),
    ("accept4", "ENOMEM", "1+3"),
    ("accept4", "ECONNABORTED", "1+2"),
    ("accept4", "EPROTO", "1+2"),
    ("accept4", "ENETDOWN", "1+2"),
    ("accept4", "EINTR", "1+2"),
    ("recvfrom", "EINTR", "1+2"),
    ("recvfrom", "ENOMEM", "1+3"),
    ("recvfrom", "ENOBUFS", "1+3"),
    ("sendto", "EINTR", "1+2"),
    ("sendto", "ENOMEM", "1+3"),
    ("sendto", "ENOBUFS", "1+3"),
    // Without the first two, the loop's own and the listening socket's, there would be no server. Each that fails is taken back
    // by another one.
    ("epoll_ctl", "ENOMEM", "3+3"),
    ("epoll_ctl", "ENOSPC", "3+3"),
    ("epoll_wait", "EINTR", "1+2"),
];

/// Runs the server under strace, has four peers talk to it, and returns how many were answered whole, and how many
/// calls failed.
fn serve(program: &Path, (call, error, when): (&str, &str, &str)) -> (usize, usize) {
    let log = harness::scratch_dir("logs").join(format!("{call}-{error}"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:error={error}:when={when}")]).arg(program).arg("0");
    strace.env_remove("LD_LIBRARY_PATH").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = Running(strace.spawn().expect("strace starts"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
    let port: u16 = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("where it listens");
    let peers: Vec<_> = (0..4).map(|number| thread::spawn(move || is_answered(port, number))).collect();
    let whole = peers.into_iter().map(|peer| peer.join().expect("no panic")).filter(|whole| *whole).count();
    // strace ends with its child, which would go on without it.
    let of_strace = server.0.id();
    let children = fs::read_to_string(format!("/proc/{of_strace}/task/{of_strace}/children")).expect("/proc");
    for child in children.split_whitespace() {
        // SAFETY: a child of a process that we started, which waits for it: the number is nobody else's.
        unsafe { libc::kill(child.parse().expect("a number"), libc::SIGTERM) };
    }
    server.0.wait().expect("it ends");
    let injected = fs::read_to_string(log).expect("its log").matches("(INJECTED)").count();
    (whole, injected)
}

fn is_answered(port: u16, number: usize) -> bool {
    let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    peer.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    let sent: Vec<u8> = (0..100_000 + number).map(|place| (place * 7 / 3 + number) as u8).collect();
    let mut writer = peer.try_clone().expect("a second handle");
    let bytes = sent.clone();
    let writing = thread::spawn(move || {
        bytes.chunks(20_000).try_for_each(|part| writer.write_all(part)).is_ok()
            && writer.shutdown(Shutdown::Write).is_ok()
    });
    let mut received = Vec::new();
    let ended = peer.read_to_end(&mut received).is_ok();
    writing.join().expect("no panic") && ended && received == sent
}

#[test]
fn an_echo_server_whose_system_calls_fail_now_and_then_answers_everybody_whole() {
    if !harness::have_tool("strace") {
        return;
    }
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("c-examples/echo_server.c");
    let program = harness::build(&source, "echo_server", Language::C99);
    for row in ROWS {
        let (whole, injected) = serve(&program, *row);
        println!("figure: {row:?}: {injected} calls failed, {whole} of 4 echoes whole");
        assert!(injected > 0, "{row:?}: nothing failed");
        assert_eq!(whole, 4, "{row:?}");
    }
}
