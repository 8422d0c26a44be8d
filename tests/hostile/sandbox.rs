// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls that a sandbox has to allow are those of docs/EMBEDDING.md: under a filter that refuses all others the
//! library serves, and is served.
#![cfg(target_os = "linux")]

use support::harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The calls that the documents list behind this word.
fn listed(word: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/EMBEDDING.md");
    let document = std::fs::read_to_string(path).expect("docs/EMBEDDING.md");
    let (_, list) = document.split_once(&format!("\n    {word}: ")).expect("the list is there");
    let lines = list.lines().take_while(|line| !line.is_empty() && !line.contains(':'));
    lines.flat_map(str::split_whitespace).map(String::from).collect()
}

/// Those calls as a list in C. Each system has others of them.
fn array(name: &str, calls: &[String]) -> String {
    let entries = calls.iter().map(|call| format!("#ifdef __NR_{call}\n    __NR_{call},\n#endif\n"));
    format!("static const int {name}[] = {{\n{}}};\n", entries.collect::<String>())
}

fn build() -> PathBuf {
    // Where `harness::build` has the compiler look.
    let folder = harness::scratch_dir("sandbox-C99");
    let always = [listed("always"), listed("outbound")].concat();
    let header = array("allowed", &always) + &array("allowed_for_names", &listed("names"));
    std::fs::write(folder.join("allowed.h"), header).expect("it can be written");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/sandbox.c");
    harness::build(&source, "sandbox", harness::Language::C99)
}

fn start(arguments: &[&str]) -> Child {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PROGRAM.get_or_init(build));
    command.args(arguments).env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped()).spawn().expect("it starts")
}

fn ends_well(mut child: Child) {
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_server_serves_in_a_sandbox() {
    let mut child = start(&["server"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it tells its port");
    let port: u16 = line.trim().parse().expect("a port");
    let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    peer.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let mut writer = peer.try_clone().expect("another handle");
    let bytes = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&bytes).expect("it writes");
    });
    let mut received = vec![0; sent.len()];
    peer.read_exact(&mut received).expect("an echo");
    writing.join().expect("no panic");
    assert!(received == sent);
    peer.shutdown(Shutdown::Write).expect("a FIN");
    ends_well(child);
}

fn is_called_by(host: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let mut child = start(&[host, &port]);
    listener.set_nonblocking(true).expect("a flag");
    let mut peer = loop {
        match listener.accept() {
            Ok((peer, _)) => break peer,
            Err(_) => assert!(child.try_wait().expect("it is ours").is_none(), "it has ended without a connection"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    peer.set_nonblocking(false).expect("a flag");
    peer.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut message = [0; 14];
    peer.read_exact(&mut message).expect("it speaks");
    peer.write_all(&message).expect("it listens");
    assert_eq!(peer.read(&mut [0]).expect("it closes"), 0);
    drop(peer);
    ends_well(child);
}

#[test]
fn a_socket_connects_in_a_sandbox_by_address() {
    is_called_by("127.0.0.1");
}

#[test]
fn a_socket_connects_in_a_sandbox_by_name() {
    is_called_by("localhost");
}
