// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs in c-examples, built as their Makefile builds them but against the library that
//! `cargo test` has just built, and used by the clients that people use: nc, curl, ab, wrk, Python, sockets.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::harness::Running;
use support::noise;

/// How long anything may take that a person would wait for; only a broken program comes near.
const DEADLINE: Duration = Duration::from_secs(60);

const EXAMPLES: [&str; 6] =
    ["echo_server", "chat_server", "http_hello", "frame_pump", "multicore_echo", "echo_server_cpp"];

// ---- Building ----

/// Where the library lies that belongs to this test run. The copy one directory up may be stale.
fn library_dir() -> PathBuf {
    let this_test = std::env::current_exe().expect("the path of this test");
    this_test.parent().expect("its directory").to_path_buf()
}

fn examples_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c-examples")
}

/// A directory for what these tests make.
fn output_dir() -> PathBuf {
    support::harness::scratch_dir("programs")
}

/// Starts a command for `program` which cannot find another library than the one linked to:
/// cargo's search path would come before the run path.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH");
    command
}

/// The path of an example, which is built at the first call. `None`: its compiler is missing.
fn program(name: &str) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let (variable, compiler, standard, source) = match name {
        "echo_server_cpp" => ("CXX", "c++", "-std=c++11", "echo_server.cpp".to_owned()),
        _ => ("CC", "cc", "-std=c99", format!("{name}.c")),
    };
    let compiler = std::env::var(variable).unwrap_or_else(|_| compiler.to_owned());
    if !has_tool(&compiler) {
        return None;
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return Some(path.clone());
    }
    let path = output_dir().join(name);
    // Under a name of its own first: another test process may be running the program.
    let fresh = output_dir().join(format!("{name}.{}", std::process::id()));
    let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
    rpath.push(library_dir());
    let output = run(command(&compiler)
        .args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"])
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(examples_dir().join(source))
        .arg("-o")
        .arg(&fresh)
        .arg("-L")
        .arg(library_dir())
        .arg(rpath)
        .arg("-lserver_socket"));
    assert!(output.status.success(), "{name} does not compile cleanly:\n{}", text(&output.stderr));
    fs::rename(&fresh, &path).expect("move the program to its place");
    built.insert(name.to_owned(), path.clone());
    Some(path)
}

// ---- Running ----

/// Whether a tool is there. If not, says so, and fails where all tools are required.
fn has_tool(name: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", name])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        support::skipped(&format!("{name} is not installed"));
    }
    found
}

fn spawn(command: &mut Command) -> Running {
    Running(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
}

/// Runs a tool to its end.
fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = spawn(command);
    let stdout = collect(running.0.stdout.take().expect("its output"));
    let stderr = collect(running.0.stderr.take().expect("its errors"));
    let status = running.wait(DEADLINE);
    let all = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(DEADLINE).expect("the end of its output");
    Output { status, stdout: all(stdout), stderr: all(stderr) }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("read from a child");
        let _ = sender.send(bytes);
    });
    receiver
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if line.is_err() || sender.send(line.expect("just looked")).is_err() {
                return;
            }
        }
    });
    receiver
}

/// An example that listens.
struct Server {
    running: Running,
    lines: Receiver<String>,
    port: u16,
}

impl Server {
    /// Starts an example on a free port. `None`: it cannot be built here.
    fn start(name: &str) -> Option<Server> {
        Some(Server::from(command(program(name)?).arg("0")))
    }

    fn from(command: &mut Command) -> Server {
        let mut running = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let lines = lines(running.0.stdout.take().expect("its output"));
        let greeting = lines.recv_timeout(DEADLINE).expect("the line that tells where it listens");
        let port = greeting
            .strip_prefix("listening on ")
            .and_then(|address| address.trim_end_matches('/').rsplit(':').next())
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no port in {greeting:?}"));
        Server { running, lines, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect to the example");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read deadline");
        stream.set_write_timeout(Some(DEADLINE)).expect("a write deadline");
        stream.set_nodelay(true).expect("small segments");
        stream
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("another line of output")
    }

    fn assert_alive(&mut self) {
        assert_eq!(self.running.0.try_wait().expect("look at the server"), None, "the server has ended");
    }
}

// ---- Bytes ----

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Not `assert_eq!`: a difference in megabytes would be printed as megabytes.
fn assert_same(received: &[u8], sent: &[u8], what: &str) {
    if received != sent {
        let common = received.iter().zip(sent).take_while(|(a, b)| a == b).count();
        panic!("{what}: {} bytes sent, {} received, the first {common} are the same", sent.len(), received.len());
    }
}

fn read_exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("read what was asked for");
    bytes
}

fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read to the end of the stream");
    bytes
}

/// Writes without reading until nothing moves any more, then reads and writes on at the same time.
/// Returns the first `answer_length` bytes of what came back.
fn write_ahead_of_reading(mut stream: TcpStream, bytes: Vec<u8>, answer_length: usize) -> Vec<u8> {
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a short deadline");
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("write ahead: {error}"),
        }
    }
    stream.set_write_timeout(Some(DEADLINE)).expect("the usual deadline");
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = thread::spawn(move || writer.write_all(&bytes[written..]).expect("write the rest"));
    let answer = read_exactly(&mut stream, answer_length);
    writing.join().expect("the writer");
    answer
}

// ---- Limits ----

/// Tests that hold many descriptors open take turns.
fn many_descriptors() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises this process's soft descriptor limit to the hard one and returns it.
fn raise_descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only use the struct they are given, which lives as long as they run.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        // macOS has no hard limit by default and refuses more than OPEN_MAX, which is 10,240 there.
        let most = if cfg!(target_vendor = "apple") { 10_240 } else { limit.rlim_max };
        limit.rlim_cur = limit.rlim_max.min(most);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

// ---- All examples ----

/// Without this, all the other tests might praise a library of last week.
#[test]
#[cfg(target_os = "linux")]
fn the_examples_run_with_the_library_that_was_just_built() {
    let library = library_dir().join("libserver_socket.so").canonicalize().expect("the library of this test run");
    for name in EXAMPLES {
        let Some(server) = Server::start(name) else { continue };
        let maps =
            fs::read_to_string(format!("/proc/{}/maps", server.running.0.id())).expect("what the process has loaded");
        assert!(maps.contains(library.to_str().expect("a plain path")), "{name} runs with another library:\n{maps}");
    }
}

#[test]
fn a_port_in_use_ends_an_example_with_a_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its number").port().to_string();
    for name in EXAMPLES {
        let Some(program) = program(name) else { continue };
        let output = run(command(program).arg(&port));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(text(&output.stdout), "", "{name}");
        assert!(text(&output.stderr).contains("in use"), "{name} gives no reason: {}", text(&output.stderr));
    }
}

#[test]
fn the_makefile_builds_every_example_and_serves_a_client() {
    if !(has_tool("make") && has_tool("cc") && has_tool("c++")) {
        return;
    }
    let build = output_dir().join("make");
    let make = |target: &str| {
        let mut library = std::ffi::OsString::from("LIBDIR=");
        library.push(library_dir());
        let mut directory = std::ffi::OsString::from("BUILD=");
        directory.push(&build);
        run(command("make")
            .env_remove("MAKEFLAGS") // of a make that may have started this test
            .arg("-C")
            .arg(examples_dir())
            .args([library, directory, "CFLAGS=-Werror".into(), "CXXFLAGS=-Werror".into(), target.into()]))
    };
    for target in ["clean", "all", "run"] {
        let output = make(target);
        assert!(output.status.success(), "make {target}: {}{}", text(&output.stdout), text(&output.stderr));
    }
    for name in EXAMPLES {
        assert!(build.join(name).is_file(), "make has not built {name}");
    }
    assert!(make("clean").status.success());
    assert!(!build.exists(), "make clean has left something");
}

#[test]
fn run_sh_serves_each_client_it_knows() {
    let Some(program) = program("echo_server") else { return };
    for client in ["nc", "curl", "python3", "bash"] {
        if !has_tool(client) {
            continue;
        }
        let output = run(command("sh").arg(examples_dir().join("run.sh")).arg(&program).arg(client));
        let said = text(&output.stdout);
        assert!(output.status.success(), "{client}: {said}{}", text(&output.stderr));
        assert!(said.contains(&format!("{client} receives: hello")), "{client}: {said}");
    }
}

#[test]
fn run_sh_fails_when_the_server_or_its_answer_is_wrong() {
    let wrong_programs =
        [("does not exist", output_dir().join("no_such_program")), ("does not listen", PathBuf::from("true"))];
    for (what, wrong) in wrong_programs {
        let output = run(command("sh").arg(examples_dir().join("run.sh")).arg(wrong));
        assert_eq!(output.status.code(), Some(1), "a server that {what}");
        assert!(text(&output.stderr).contains("FAILED"), "a server that {what}");
    }
    // A chat answers too, but not with the line that was sent.
    let Some(chat) = program("chat_server") else { return };
    let output = run(command("sh").arg(examples_dir().join("run.sh")).arg(chat));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("not what was sent"), "{}", text(&output.stderr));
}

// ---- The echo servers ----

fn answers_nc(name: &str) {
    if !has_tool("nc") {
        return;
    }
    let Some(server) = Server::start(name) else { return };
    let mut nc = spawn(
        Command::new("nc").args(["127.0.0.1", &server.port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped()),
    );
    let answers = lines(nc.0.stdout.take().expect("nc's output"));
    let input = nc.0.stdin.as_mut().expect("nc's input");
    for line in ["hello", "", "how are you?"] {
        writeln!(input, "{line}").expect("type into nc");
        assert_eq!(answers.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }
}

fn returns_a_long_stream(name: &str) {
    let Some(mut server) = Server::start(name) else { return };
    let bytes = noise(1, 32 * 1024 * 1024);
    let stream = server.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let sent = bytes.clone();
    let writing = thread::spawn(move || {
        // Pieces of all sizes, so that they fit nothing on the way.
        let mut rest = sent.as_slice();
        for size in (1..).map(|n: usize| 1 + n * 7919 % 200_000) {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            writer.write_all(piece).expect("write a piece");
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        writer.shutdown(Shutdown::Write).expect("end the stream");
    });
    // The server has to send all it owes before it closes.
    assert_same(&read_to_end(stream), &bytes, name);
    writing.join().expect("the writer");
    server.assert_alive();
}

fn makes_a_client_wait_that_does_not_read(name: &str) {
    let Some(mut server) = Server::start(name) else { return };
    // More than the write limit of 64 MiB and all buffers of the system together.
    let bytes = noise(2, 96 * 1024 * 1024);
    let mut neighbour = server.connect();
    let answer = write_ahead_of_reading(server.connect(), bytes.clone(), bytes.len());
    assert_same(&answer, &bytes, name);
    neighbour.write_all(b"still there?").expect("write");
    assert_eq!(read_exactly(&mut neighbour, 12), b"still there?");
    server.assert_alive();
}

/// Opens the connections, then three times sends something else on each of them before it reads
/// any answer, then ends them and expects nothing more.
const THOUSAND_SOCKETS: &str = r#"
import os, resource, socket, sys

port, count = int(sys.argv[1]), int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if soft != resource.RLIM_INFINITY and soft < count + 100:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, hard))

def receive(connection, length):
    received = bytearray()
    while len(received) < length:
        piece = connection.recv(length - len(received))
        if not piece:
            break
        received += piece
    return received

connections = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(count)]
for turn in range(3):
    sent = [os.urandom(1 + (n * 37 + turn) % 20000) for n in range(count)]
    for connection, message in zip(connections, sent):
        connection.sendall(message)
    for connection, message in zip(connections, sent):
        assert receive(connection, len(message)) == message
for connection in connections:
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""
print("all the same:", len(connections))
"#;

fn serves_a_thousand_python_sockets(name: &str) {
    if !has_tool("python3") {
        return;
    }
    let Some(mut server) = Server::start(name) else { return };
    let _turn = many_descriptors();
    let output = run(Command::new("python3").args(["-c", THOUSAND_SOCKETS, &server.port.to_string(), "1000"]));
    assert_eq!(text(&output.stdout), "all the same: 1000\n", "{}", text(&output.stderr));
    server.assert_alive();
}

/// What a thread of multicore_echo says when it ends: its connections and its bytes.
fn connections_and_bytes(server: &Server, thread: usize) -> (usize, usize) {
    let line = server.line();
    let said = line.strip_prefix(&format!("thread {thread}: ")).and_then(|rest| rest.strip_suffix(" bytes"));
    let (connections, bytes) = said.and_then(|rest| rest.split_once(" connections, ")).expect(&line);
    (connections.parse().expect("a number"), bytes.parse().expect("a number"))
}

#[test]
fn multicore_echo_serves_on_every_thread_and_ends_when_told() {
    const CLIENTS: usize = 64; // that one of two threads gets none of them will not happen before the sun goes out
    let Some(program) = program("multicore_echo") else { return };
    let mut server = Server::from(command(program).args(["0", "2"]));

    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let mut stream = server.connect();
            thread::spawn(move || {
                for turn in 0..10 {
                    let message = noise((n * 10 + turn) as u64, 1 + n * 701 + turn);
                    stream.write_all(&message).expect("write");
                    assert_same(&read_exactly(&mut stream, message.len()), &message, "a message");
                }
                stream
            })
        })
        .collect();
    let streams: Vec<TcpStream> = clients.into_iter().map(|client| client.join().expect("a client")).collect();

    server.running.signal(libc::SIGTERM);
    let threads = [connections_and_bytes(&server, 1), connections_and_bytes(&server, 2)];
    assert!(server.running.wait(DEADLINE).success());
    assert!(threads.iter().all(|&(connections, _)| connections > 0), "one thread had nothing to do: {threads:?}");
    assert_eq!(threads.iter().map(|&(connections, _)| connections).sum::<usize>(), CLIENTS);
    let sent: usize = (0..CLIENTS).flat_map(|n| (0..10).map(move |turn| 1 + n * 701 + turn)).sum();
    assert_eq!(threads.iter().map(|&(_, bytes)| bytes).sum::<usize>(), sent);
    for stream in streams {
        assert_same(&read_to_end(stream), b"", "after the end");
    }
}

/// Its lines are numbered; a peer that comes later hears the later ones.
#[test]
fn daemon_tells_the_time_reports_at_a_signal_and_ends_well() {
    let Some(program) = program("daemon") else { return };
    let mut server = Server::from(command(program).args(["0", "10"]));
    let mut first = BufReader::new(server.connect());
    let second = server.connect();
    let mut line = String::new();
    let mut numbers: Vec<u32> = Vec::new();
    while numbers.len() < 5 {
        line.clear();
        first.read_line(&mut line).expect("a line");
        numbers.push(line.trim_end().parse().expect("a number"));
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    server.running.signal(libc::SIGHUP);
    let report = server.line();
    assert!(report.starts_with("2 accepted, 2 connected, "), "{report}");
    server.assert_alive();
    server.running.signal(libc::SIGTERM);
    assert!(server.line().starts_with("2 accepted, 2 connected, "));
    let mut rest = String::new();
    first.read_to_string(&mut rest).expect("a good end");
    assert!(rest.ends_with("bye\n"), "{rest}");
    assert!(text(&read_to_end(second)).ends_with("bye\n"));
    assert!(server.running.wait(DEADLINE).success());
}

/// Nobody waits for who stays, once there is a second signal: not for the five seconds that a closed connection may go on.
#[test]
fn daemon_ends_at_once_at_a_second_signal() {
    let Some(program) = program("daemon") else { return };
    for number in [libc::SIGINT, libc::SIGTERM] {
        let mut server = Server::from(command(&program).args(["0", "1000000"]));
        let stays = server.connect();
        let mut report = String::new();
        while !report.starts_with("1 accepted") {
            server.running.signal(libc::SIGHUP);
            report = server.line();
        }
        server.running.signal(number);
        server.line();
        assert!(text(&read_to_end(stays.try_clone().expect("a clone"))).ends_with("bye\n"));
        server.assert_alive();
        let begun = Instant::now();
        server.running.signal(number);
        assert!(server.running.wait(DEADLINE).success());
        assert!(begun.elapsed() < Duration::from_secs(4), "it has waited for who stays");
    }
}

#[test]
fn multicore_echo_returns_a_long_stream_and_then_closes() {
    returns_a_long_stream("multicore_echo");
}

#[test]
fn multicore_echo_serves_a_thousand_python_sockets() {
    serves_a_thousand_python_sockets("multicore_echo");
}

#[test]
fn echo_server_answers_nc() {
    answers_nc("echo_server");
}

#[test]
fn echo_server_cpp_answers_nc() {
    answers_nc("echo_server_cpp");
}

#[test]
fn echo_server_returns_a_long_stream_and_then_closes() {
    returns_a_long_stream("echo_server");
}

#[test]
fn echo_server_cpp_returns_a_long_stream_and_then_closes() {
    returns_a_long_stream("echo_server_cpp");
}

#[test]
fn echo_server_makes_a_client_wait_that_does_not_read() {
    makes_a_client_wait_that_does_not_read("echo_server");
}

#[test]
fn echo_server_cpp_makes_a_client_wait_that_does_not_read() {
    makes_a_client_wait_that_does_not_read("echo_server_cpp");
}

#[test]
fn echo_server_serves_a_thousand_python_sockets() {
    serves_a_thousand_python_sockets("echo_server");
}

#[test]
fn echo_server_cpp_serves_a_thousand_python_sockets() {
    serves_a_thousand_python_sockets("echo_server_cpp");
}

#[test]
fn echo_server_holds_ten_thousand_connections_and_loses_none() {
    const WANTED: usize = 10_000;
    const SPARE: usize = 100; // what the process needs besides
    const UNCONFIRMED: usize = 500; // well below the length of any system's accept queue but the smallest

    let Some(program) = program("echo_server") else { return };
    let _turn = many_descriptors();
    let count = WANTED.min(raise_descriptor_limit().saturating_sub(SPARE));
    if count < WANTED {
        println!("the hard descriptor limit allows {count} connections here, not {WANTED}");
    }
    // It has to raise its own limit: it starts with a soft one that is far too low.
    let mut server = Server::from(command("sh").args(["-c", "ulimit -S -n 200 && exec \"$0\" 0"]).arg(program));

    let message = |n: usize, turn: u64| noise(n as u64 * 10 + turn, 50 + n % 300);
    let mut connections = Vec::with_capacity(count);
    for n in 0..count {
        let mut connection = server.connect();
        // Connections are accepted in order: an answer on this one says that all before it are in.
        if n % UNCONFIRMED == 0 {
            connection.write_all(b"?").expect("ask");
            assert_eq!(read_exactly(&mut connection, 1), b"?");
        }
        connections.push(connection);
    }
    for turn in 1..=3 {
        for (n, connection) in connections.iter_mut().enumerate() {
            connection.write_all(&message(n, turn)).expect("write on an open connection");
        }
        for (n, connection) in connections.iter_mut().enumerate() {
            let sent = message(n, turn);
            assert_same(&read_exactly(connection, sent.len()), &sent, &format!("connection {n}, turn {turn}"));
        }
    }
    for connection in &connections {
        connection.shutdown(Shutdown::Write).expect("end an open connection");
    }
    for (n, connection) in connections.into_iter().enumerate() {
        assert_same(&read_to_end(connection), b"", &format!("the end of connection {n}"));
    }
    server.assert_alive();
}

// ---- The chat ----

/// A guest of either chat.
pub(crate) struct Guest<S: Read + Write = TcpStream> {
    pub(crate) stream: BufReader<S>,
    pub(crate) number: u32,
    pub(crate) others: u32,
}

impl Guest {
    fn enter(server: &Server) -> Guest {
        Guest::enter_by(server.connect())
    }
}

impl<S: Read + Write> Guest<S> {
    /// Enters and reads the welcome, after which the server knows this guest.
    pub(crate) fn enter_by(stream: S) -> Guest<S> {
        let mut guest = Guest { stream: BufReader::new(stream), number: 0, others: 0 };
        let welcome = guest.hear();
        let numbers: Vec<u32> =
            welcome.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
        let [number, others] = numbers[..] else { panic!("a welcome without numbers: {welcome:?}") };
        (guest.number, guest.others) = (number, others);
        guest
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let stream = self.stream.get_mut();
        stream.write_all(bytes.as_ref()).expect("say something");
        stream.flush().expect("it is sent");
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("hear a line");
        line
    }
}

#[test]
fn chat_server_passes_each_line_to_everybody_else() {
    let Some(server) = Server::start("chat_server") else { return };
    let [mut anna, mut ben, mut carl] = [(); 3].map(|()| Guest::enter(&server));
    assert_eq!((anna.others, ben.others, carl.others), (0, 1, 2));

    anna.say("hello\n");
    let hello = format!("guest {}: hello\n", anna.number);
    assert_eq!((ben.hear(), carl.hear()), (hello.clone(), hello));

    // Had anna heard herself, that would come first here.
    ben.say("one\ntwo\r\n\n");
    for line in ["one", "two", ""] {
        let line = format!("guest {}: {line}\n", ben.number);
        assert_eq!((anna.hear(), carl.hear()), (line.clone(), line));
    }

    let carl_number = carl.number;
    carl.say("who leaves in the middle of a li");
    drop(carl);
    anna.say("bye\n");
    assert_eq!(ben.hear(), format!("guest {}: bye\n", anna.number), "half a line of guest {carl_number} was passed on");
}

#[test]
fn chat_server_puts_lines_together_from_pieces() {
    let Some(server) = Server::start("chat_server") else { return };
    let [mut anna, mut ben] = [(); 2].map(|()| Guest::enter(&server));
    let said = "a line in many pieces\nand the next\n";
    for byte in said.bytes() {
        anna.say([byte]);
    }
    for line in said.lines() {
        assert_eq!(ben.hear(), format!("guest {}: {line}\n", anna.number));
    }
}

#[test]
fn chat_server_shows_out_who_sends_too_long_a_line() {
    let Some(server) = Server::start("chat_server") else { return };
    let [mut anna, mut ben, mut carl] = [(); 3].map(|()| Guest::enter(&server));
    let longest = "x".repeat(1024);
    anna.say(format!("{longest}\n"));
    assert_eq!(ben.hear(), format!("guest {}: {longest}\n", anna.number));

    ben.say(format!("{longest}x\n")); // with its end, and
    carl.say(format!("{longest}x")); // without
    for mut stranger in [ben, carl] {
        let mut rest = Vec::new();
        // Thrown out, not left waiting; what it had not read yet may come first.
        if let Err(error) = stranger.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
    assert_eq!(Guest::enter(&server).others, 1);
}

#[test]
fn chat_server_drops_a_slow_reader_and_holds_nobody_up() {
    const ROUNDS: usize = 480;
    const LINES: usize = 64; // of about 1,000 bytes: 30 MB from each talker, 90 MB for the slow reader
    const MOST_MEMORY: u64 = 48 * 1024 * 1024;

    let Some(mut server) = Server::start("chat_server") else { return };
    let slow = Guest::enter(&server);
    let talkers = [(); 3].map(|()| Guest::enter(&server));
    let numbers = [0, 1, 2].map(|n: usize| talkers[n].number);
    let line = |number: u32, n: usize| format!("{number}/{n} {}", "word ".repeat(200 - n % 7));

    // A round ends when everybody has heard all of it, so that none of these three is ever a slow
    // reader; were they held up by the fourth, the rounds would not go on.
    let talking = talkers.map(|mut guest| {
        thread::spawn(move || {
            let mut heard = [0; 3];
            for round in 0..ROUNDS {
                let block: String = (0..LINES).map(|n| line(guest.number, round * LINES + n) + "\n").collect();
                guest.say(block);
                for _ in 0..2 * LINES {
                    let said = guest.hear();
                    let from = (0..3)
                        .find(|&who| said.starts_with(&format!("guest {}: ", numbers[who])))
                        .unwrap_or_else(|| panic!("nobody says {said:?}"));
                    assert_ne!(numbers[from], guest.number);
                    let expected = format!("guest {}: {}\n", numbers[from], line(numbers[from], heard[from]));
                    assert_same(said.as_bytes(), expected.as_bytes(), "a line of the chat");
                    heard[from] += 1;
                }
            }
            guest // stays until all are done
        })
    });
    let talkers = talking.map(|thread| thread.join().expect("a talker"));

    server.assert_alive();
    if let Some(peak) = peak_memory(&server) {
        assert!(peak < MOST_MEMORY, "the server has used {peak} bytes");
    }
    assert_eq!(Guest::enter(&server).others, 3, "the slow reader is still there");
    // What had left the server before it was dropped may still come, then the reset.
    let mut rest = Vec::new();
    let error = slow.stream.into_inner().read_to_end(&mut rest).expect_err("a clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(rest.len() < ROUNDS * LINES * 1000);
    drop(talkers);
}

/// Ten of a thousand guests never read. They are dropped, and nobody else misses a line or waits for them.
#[test]
fn chat_server_tells_a_thousand_guests_of_whom_ten_never_read() {
    const GUESTS: usize = 1_000;
    const MUTE: usize = 10;
    const LINES: usize = 64;
    const MOST_ROUNDS: usize = 400; // 26 MB for each: more than all buffers and the bound together
    const OF_ALL: usize = 5; // then most of those who listen leave, and the rest takes less time
    const STAY: usize = 90;

    let Some(program) = program("chat_server") else { return };
    let _turn = many_descriptors();
    assert!(raise_descriptor_limit() > GUESTS + 100, "the hard descriptor limit is too low");
    let mut server = Server::from(command("sh").args(["-c", "ulimit -S -n 4096 && exec \"$0\" 0"]).arg(program));
    let mute: Vec<Guest> = (0..MUTE).map(|_| Guest::enter(&server)).collect();
    for guest in &mute {
        let size: libc::c_int = 4096;
        let (value, length) = ((&raw const size).cast(), size_of::<libc::c_int>() as libc::socklen_t);
        // SAFETY: the option's value is there, of the length that is said.
        let set = unsafe {
            let descriptor = guest.stream.get_ref().as_raw_fd();
            libc::setsockopt(descriptor, libc::SOL_SOCKET, libc::SO_RCVBUF, value, length)
        };
        assert_eq!(set, 0);
    }
    let mut speaker = Guest::enter(&server);
    let mut listening: Vec<Guest> = (0..GUESTS - MUTE).map(|_| Guest::enter(&server)).collect();
    let mut rounds = 0;
    loop {
        assert!(rounds < MOST_ROUNDS, "the ten are still there");
        let lines: Vec<String> = (0..LINES).map(|n| format!("{rounds}/{n} {}\n", "word ".repeat(200))).collect();
        speaker.say(lines.concat());
        let expected: String = lines.iter().map(|line| format!("guest {}: {line}", speaker.number)).collect();
        for guest in &mut listening {
            let mut heard = vec![0; expected.len()];
            guest.stream.read_exact(&mut heard).expect("it hears what is said");
            assert!(heard == expected.as_bytes(), "a round of the chat");
        }
        rounds += 1;
        if rounds == OF_ALL {
            listening.truncate(STAY);
        }
        if rounds % 5 == 0 && Guest::enter(&server).others as usize <= listening.len() + 1 {
            break;
        }
    }
    server.assert_alive();
    for guest in mute {
        let error = guest.stream.into_inner().read_to_end(&mut Vec::new()).expect_err("a clean end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

/// The most memory a server has had so far, where the system tells.
fn peak_memory(server: &Server) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.running.0.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

// ---- The web server ----

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends a request and reads to the end of the stream, which the server has to bring about.
fn until_closed(server: &Server, request: impl AsRef<[u8]>) -> String {
    let mut stream = server.connect();
    stream.write_all(request.as_ref()).expect("send a request");
    text(&read_to_end(stream))
}

/// Reads one reply and leaves what follows it.
fn read_reply(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.extend(read_exactly(stream, 1));
    }
    let head = text(&reply);
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    reply.extend(read_exactly(stream, length.parse().expect("a number")));
    text(&reply)
}

/// The one reply that a page gets, to compare others with.
fn hello(server: &Server) -> String {
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).expect("ask for the page");
    let reply = read_reply(&mut stream);
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("Hello"), "{reply}");
    reply
}

#[test]
fn http_hello_keeps_a_connection_for_curl() {
    if !has_tool("curl") {
        return;
    }
    let Some(server) = Server::start("http_hello") else { return };
    let output = run(Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "%{http_code} %{num_connects}\n"])
        .args([server.url("/"), server.url("/nothing"), server.url("/?query")]));
    let page = "<!doctype html>\n<title>Hello</title>\n<p>Hello from server_socket.\n";
    let expected = format!("{page}200 1\nThere is only one page here: /\n404 0\n{page}200 0\n");
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[test]
fn http_hello_answers_curl_that_other_methods_are_not_allowed() {
    if !has_tool("curl") {
        return;
    }
    let Some(server) = Server::start("http_hello") else { return };
    for method in [&["--data", "a=b"][..], &["--request", "DELETE"], &["--request", "head"]] {
        let output = run(Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--include"])
            .args(method)
            .arg(server.url("/")));
        let reply = text(&output.stdout);
        assert!(output.status.success(), "{method:?}: {}", text(&output.stderr));
        assert!(reply.starts_with("HTTP/1.1 405 ") && reply.contains("Allow: GET, HEAD\r\n"), "{method:?}: {reply}");
    }
}

#[test]
fn http_hello_understands_a_request_in_any_pieces() {
    let Some(server) = Server::start("http_hello") else { return };
    let page = hello(&server);
    let mut stream = server.connect();
    for byte in GET.bytes() {
        stream.write_all(&[byte]).expect("send a byte");
    }
    assert_eq!(read_reply(&mut stream), page);
    for cut in 1..GET.len() {
        let (first, second) = GET.split_at(cut);
        // The end of one request and the start of the next go together.
        stream.write_all(first.as_bytes()).expect("send the first part");
        stream.write_all(format!("{second}\r\n{first}").as_bytes()).expect("send the second part");
        assert_eq!(read_reply(&mut stream), page, "cut at {cut}");
        stream.write_all(second.as_bytes()).expect("send the last part");
        assert_eq!(read_reply(&mut stream), page, "cut at {cut}");
    }
}

#[test]
fn http_hello_answers_pipelined_requests_in_order() {
    let Some(server) = Server::start("http_hello") else { return };
    let page = hello(&server);
    let missing = "GET /missing HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let replies = until_closed(&server, (GET.to_owned() + missing).repeat(1000) + last + GET);

    let mut rest = replies.as_str();
    for n in 0..1000 {
        rest = rest.strip_prefix(page.as_str()).unwrap_or_else(|| panic!("no page in pair {n}: {rest:.200}"));
        let end = rest.find(" here: /\n").expect("a page that says there is none") + " here: /\n".len();
        assert!(rest.starts_with("HTTP/1.1 404 Not Found\r\n"), "{rest:.200}");
        rest = &rest[end..];
    }
    assert_eq!(rest, page.replace("keep-alive", "close"), "after the last request nothing is answered");
}

#[test]
fn http_hello_answers_all_to_a_client_that_reads_late() {
    let Some(mut server) = Server::start("http_hello") else { return };
    let page = hello(&server);
    const REQUESTS: usize = 200_000;
    let answer = write_ahead_of_reading(server.connect(), GET.repeat(REQUESTS).into_bytes(), page.len() * REQUESTS);
    assert_same(&answer, page.repeat(REQUESTS).as_bytes(), "the replies");
    server.assert_alive();
}

#[test]
fn http_hello_closes_or_keeps_as_the_client_asks() {
    let Some(server) = Server::start("http_hello") else { return };
    let page = hello(&server);
    let closing = page.replace("Connection: keep-alive", "Connection: close");
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nCONNECTION: Keep-Alive, Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        assert_eq!(until_closed(&server, request), closing, "{request}");
    }
    // As `ab -k` asks.
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").expect("ask again");
        assert_eq!(read_reply(&mut stream), page);
    }
}

#[test]
fn http_hello_refuses_a_head_without_end() {
    let Some(mut server) = Server::start("http_hello") else { return };
    let endless = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(8 * 1024));
    let ended_too_late = format!("{endless}\r\n\r\n");
    let much_more = format!("{endless}{}", "x".repeat(300 * 1024));
    for request in [endless, ended_too_late, much_more] {
        let reply = until_closed(&server, &request);
        assert!(reply.starts_with("HTTP/1.1 431 "), "{} bytes: {reply}", request.len());
        assert!(reply.contains("Connection: close\r\n"), "{reply}");
    }
    // One that is large but within the bound is fine.
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ";
    let large = format!("{head}{}\r\n\r\n", "x".repeat(8 * 1024 - head.len() - 4));
    assert!(until_closed(&server, large).starts_with("HTTP/1.1 200 "));
    server.assert_alive();
}

#[test]
fn http_hello_refuses_what_it_does_not_understand() {
    let Some(server) = Server::start("http_hello") else { return };
    for (request, status) in [
        ("hello\r\n\r\n", "400"),
        ("GET  HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"), // no Host
        ("GET / HTTP/1.1\r\nHost: x\r\nno colon in here\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nbody", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"),
        ("GET /\r\n\r\n", "505"),
    ] {
        let reply = until_closed(&server, request);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {reply}");
    }
}

#[test]
fn http_hello_serves_ab_without_a_failed_request() {
    if !has_tool("ab") {
        return;
    }
    let Some(server) = Server::start("http_hello") else { return };
    let _turn = many_descriptors();
    for keep_alive in [true, false] {
        let mut ab = Command::new("ab");
        ab.args(["-q", "-c", "50", "-n", "5000"]).args(keep_alive.then_some("-k")).arg(server.url("/"));
        let output = run(&mut ab);
        let report = text(&output.stdout);
        let figure = |name: &str| {
            report.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim_matches([':', ' ']).to_owned())
        };
        assert!(output.status.success(), "{report}{}", text(&output.stderr));
        assert_eq!(figure("Complete requests").as_deref(), Some("5000"), "{report}");
        assert_eq!(figure("Failed requests").as_deref(), Some("0"), "{report}");
        assert_eq!(figure("Non-2xx responses"), None, "{report}");
        assert_eq!(figure("Keep-Alive requests").as_deref(), keep_alive.then_some("5000"), "{report}");
    }
}

#[test]
fn http_hello_serves_wrk_without_a_failed_request() {
    if !has_tool("wrk") {
        return;
    }
    let Some(mut server) = Server::start("http_hello") else { return };
    let _turn = many_descriptors();
    let output = run(Command::new("wrk").args(["-t", "1", "-c", "50", "-d", "1s"]).arg(server.url("/")));
    let report = text(&output.stdout);
    assert!(output.status.success() && report.contains(" requests in "), "{report}{}", text(&output.stderr));
    assert!(!report.contains(" 0 requests in "), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    server.assert_alive();
}

// ---- The proxy ----

/// A proxy in front of a port of this machine.
fn proxy_to(port: u16) -> Option<Server> {
    Some(Server::from(command(program("proxy")?).args(["0", "127.0.0.1", &port.to_string()])))
}

/// A server for one client: what it is to do with it.
fn upstream<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    (port, thread::spawn(move || serve(listener.accept().expect("somebody calls").0)))
}

/// As `ssh`, rsync and git do: it answers when it has met the end of the question.
fn answer_at_the_end(mut client: TcpStream) -> Vec<u8> {
    let mut question = Vec::new();
    client.read_to_end(&mut question).expect("a question");
    client.write_all(&question).expect("an answer");
    question
}

#[test]
fn proxy_passes_an_answer_on_that_comes_after_the_question_has_ended() {
    let bytes = noise(3, 20 << 20);
    let (port, answering) = upstream(answer_at_the_end);
    let Some(proxy) = proxy_to(port) else { return };
    let stream = proxy.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    writer.write_all(&bytes).expect("the question");
    writer.shutdown(Shutdown::Write).expect("its end");
    assert_same(&read_to_end(stream), &bytes, "the answer");
    assert_same(&answering.join().expect("no panic"), &bytes, "the question");
}

#[test]
fn proxy_serves_nc_that_ends_its_side_and_curl() {
    if !has_tool("nc") || !has_tool("curl") {
        return;
    }
    let (port, _answering) = upstream(answer_at_the_end);
    let Some(proxy) = proxy_to(port) else { return };
    let mut nc = spawn(
        Command::new("nc")
            .args(["-N", "127.0.0.1", &proxy.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let answers = lines(nc.0.stdout.take().expect("nc's output"));
    writeln!(nc.0.stdin.take().expect("nc's input"), "hello").expect("type into nc");
    assert_eq!(answers.recv_timeout(DEADLINE).as_deref(), Ok("hello"));
    assert!(nc.wait(DEADLINE).success());

    let Some(hello) = Server::start("http_hello") else { return };
    let Some(mut proxy) = proxy_to(hello.port) else { return };
    for _ in 0..3 {
        let output = run(Command::new("curl").args(["--silent", "--show-error"]).arg(proxy.url("/")));
        assert!(output.status.success() && !output.stdout.is_empty(), "{}", text(&output.stderr));
    }
    proxy.assert_alive();
}

/// Neither a peer that does not read, nor one that resets, nor a server that is not there does any harm.
#[test]
fn proxy_holds_its_own_against_hostile_peers() {
    const MUCH: usize = 64 << 20;
    let poured = Arc::new(AtomicUsize::new(0));
    let (port, source) = upstream({
        let poured = poured.clone();
        move |mut client| {
            for part in noise(4, MUCH).chunks(65_536) {
                client.write_all(part).expect("it is read in the end");
                poured.fetch_add(part.len(), Ordering::Relaxed);
            }
        }
    });
    let Some(mut proxy) = proxy_to(port) else { return };
    let slow = proxy.connect();
    // Until it has poured as much as is taken.
    let (end, mut before) = (Instant::now() + DEADLINE, usize::MAX);
    while before != poured.load(Ordering::Relaxed) || before == 0 {
        assert!(Instant::now() < end, "the proxy reads on and on, or nothing");
        before = poured.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(300));
    }
    assert!(before < MUCH, "the proxy has taken all of it");
    assert!(peak_memory(&proxy).is_none_or(|bytes| bytes < 32 << 20), "{:?}", peak_memory(&proxy));
    assert_same(&read_to_end(slow), &noise(4, MUCH), "what the slow reader gets");
    source.join().expect("no panic");

    // Nobody listens there any more.
    assert_same(&read_to_end_or_reset(proxy.connect()), b"", "nobody");
    proxy.assert_alive();

    // A reset of the one is a reset for the other, in either direction.
    let reset = |stream: TcpStream| {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
    };
    let (port, torn) = upstream(|mut client| client.read_to_end(&mut Vec::new()).map_err(|error| error.kind()));
    let Some(mut proxy) = proxy_to(port) else { return };
    let mut stream = proxy.connect();
    stream.write_all(b"half of a").expect("a part");
    reset(stream);
    assert_eq!(torn.join().expect("no panic"), Err(ErrorKind::ConnectionReset));
    let (port, _) = upstream(move |mut client| {
        client.read_exact(&mut [0; 4]).expect("a word");
        reset(client);
    });
    let Some(other) = proxy_to(port) else { return };
    let mut stream = other.connect();
    stream.write_all(b"word").expect("a word");
    let end = stream.read(&mut [0; 10]).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    proxy.assert_alive();
}

fn read_to_end_or_reset(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => bytes,
    }
}

// ---- The game loop ----

/// How many connections the system keeps for a process that does not accept them.
fn accept_queue() -> usize {
    let known = fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    known.and_then(|number| number.trim().parse().ok()).unwrap_or(128)
}

#[test]
fn frame_pump_accepts_hundreds_in_one_frame_and_echoes_on() {
    const FRAMES: usize = 240;

    let Some(program) = program("frame_pump") else { return };
    let _turn = many_descriptors();
    let count = 500.min(accept_queue() / 2).min(raise_descriptor_limit().saturating_sub(100));
    let mut server = Server::from(command(program).args(["0", &FRAMES.to_string()]));

    // While the game stands still the players gather; the frame after that finds them all at once.
    server.running.signal(libc::SIGSTOP);
    let mut players: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
    server.running.signal(libc::SIGCONT);
    for turn in 0..3 {
        for (n, player) in players.iter_mut().enumerate() {
            player.write_all(&noise(n as u64 + turn, 100)).expect("make a move");
        }
        for (n, player) in players.iter_mut().enumerate() {
            assert_same(&read_exactly(player, 100), &noise(n as u64 + turn, 100), "a move");
        }
    }

    let mut accepted = Vec::new();
    let summary = loop {
        let line = server.line();
        let Some((_, number)) = line.split_once(": accepted ").filter(|_| line.starts_with("frame ")) else {
            break line;
        };
        accepted.push(number.parse::<usize>().expect("a number of connections"));
    };
    let busiest = accepted.iter().max().copied().unwrap_or(0);
    assert_eq!(accepted.iter().sum::<usize>(), count);
    assert_eq!(summary, format!("{FRAMES} frames: accepted {count}, at most {busiest} in one frame"));
    assert!(busiest >= count * 2 / 5, "no frame took more than {busiest} of {count}: {accepted:?}");
    assert!(server.running.wait(DEADLINE).success());
    // It ended its loop, and that ended the connections.
    for player in players {
        assert_same(&read_to_end(player), b"", "after the game");
    }
}
