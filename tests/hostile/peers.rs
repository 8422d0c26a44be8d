// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every program that is printed or shipped, against peers that mean it ill: none stalls for ever, leaks, dies or spins. What a
//! program cannot serve it ends, and after each such peer a client that behaves is served as ever.
#![cfg(target_os = "linux")]

use support::harness;

use harness::{Language, Running};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// More than all limits and buffers together: the write limit is 64 MiB, the read limit 16 MiB.
const FLOOD: usize = 100_000_000;
const CONNECTS: usize = 5_000;
const DEADLINE: Duration = Duration::from_secs(60);
/// What a program says whose queue is full.
const BUSY: &[u8] = b"busy\n";

/// What a program does with what it gets.
#[derive(Clone, Copy, PartialEq)]
pub enum Service {
    Echo,
    /// Echoes, and ends who reads nothing while too much is written.
    EchoOrEnd,
    Lines,
    Http,
    Chat,
    /// A number in a line has another for an answer, some time later.
    Numbers,
}

impl Service {
    /// Whether the answer is the request.
    fn echoes(self) -> bool {
        matches!(self, Service::Echo | Service::EchoOrEnd | Service::Lines)
    }

    /// A request of a client that behaves, and how its answer begins.
    fn request(self) -> (Vec<u8>, &'static [u8]) {
        match self {
            Service::Echo | Service::EchoOrEnd | Service::Lines => (b"hello\n".repeat(2000), b"hello\n"),
            Service::Http => {
                (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(), b"HTTP/1.1 200 OK\r\n")
            }
            Service::Chat => (b"hello\n".to_vec(), b"Welcome, you are guest "),
            Service::Numbers => (b"10\n".to_vec(), b"10: 4"),
        }
    }
}

impl Service {
    /// How long a peer tries to send what is not taken: nothing is, from then on, however busy the program is.
    fn patience(self) -> Duration {
        Duration::from_millis(if self == Service::Numbers { 3000 } else { 300 })
    }

    /// How much memory it may take: what writes no more than a megabyte ahead needs little.
    fn most_memory_in_kib(self) -> u64 {
        match self {
            Service::Http | Service::Numbers => 24 * 1024,
            _ => 160 * 1024,
        }
    }

    /// What keeps the program busy: some 64 KiB of requests.
    fn work(self) -> Vec<u8> {
        match self {
            Service::Http => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2500),
            Service::Numbers => b"10\n".repeat(22_000),
            _ => [&[b'x'; 255][..], b"\n"].concat().repeat(256),
        }
    }
}

pub struct Server {
    running: Running,
    port: u16,
    service: Service,
}

impl Server {
    pub fn start(mut command: Command, service: Service) -> Server {
        command.env_remove("LD_LIBRARY_PATH").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().expect("it starts"));
        let mut line = String::new();
        let stdout = running.0.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let digits = line.trim().trim_end_matches('/').rsplit(|c: char| !c.is_ascii_digit()).next();
        let port = digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"));
        Server { running, port, service }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline");
        stream
    }

    fn of_process(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.running.0.id())).expect("the process is there")
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.running.0.id())).expect("the process is there").count()
    }

    /// Processor time so far, in the system's ticks.
    fn ticks(&self) -> u64 {
        let stat = self.of_process("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
    }

    fn most_memory_in_kib(&self) -> u64 {
        let status = self.of_process("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most it ever had");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// A client that behaves is served, whole, once the program is busy with no others.
    fn check_served(&self, after: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.serves(after) {
            assert!(Instant::now() < end, "after a peer that {after}: it stays busy");
        }
    }

    fn serves(&self, after: &str) -> bool {
        let mut client = self.connect();
        let (request, answer) = self.service.request();
        client.write_all(&request).unwrap_or_else(|error| panic!("after a peer that {after}: {error}"));
        let length = if self.service.echoes() { request.len() } else { answer.len() };
        let mut got = vec![0; length];
        client.read_exact(&mut got).unwrap_or_else(|error| panic!("after a peer that {after}: {error}"));
        let is_busy = self.service == Service::Numbers && got == BUSY;
        assert!(is_busy || got.starts_with(answer), "after a peer that {after}: {}", String::from_utf8_lossy(&got));
        !is_busy
    }

    /// It comes to rest when it is done with what it was sent, for which a slow language may take a while.
    fn check_resting(&self, when: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let before = self.ticks();
            thread::sleep(Duration::from_millis(500)); // 50 ticks of a loop that spins
            let spent = self.ticks() - before;
            if spent < 25 {
                return;
            }
            assert!(Instant::now() < deadline, "{when}: {spent} ticks of 50 are spent on nothing");
        }
    }
}

// ---- The peers ----

type Peer = fn(&Server);

/// Sends 100 MB before it reads anything, as far as it is let. Then it wants all of it back, or to be shown out.
fn pours(server: &Server) {
    let mut stream = server.connect();
    stream.set_write_timeout(Some(server.service.patience())).expect("a deadline");
    let is_of_lines = matches!(server.service, Service::Lines | Service::Numbers);
    let piece = if is_of_lines { server.service.work() } else { vec![b'x'; 65536] };
    // Numbers take long to answer; of those so many are more than the system and the program take before somebody reads.
    let flood = if server.service == Service::Numbers { FLOOD / 8 } else { FLOOD };
    let mut sent = 0;
    while sent < flood {
        match stream.write(&piece) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => {
                assert!(server.service != Service::Echo, "{sent} bytes were taken, then {error}");
                return; // it is shown out
            }
        }
    }
    if server.service == Service::Numbers {
        // By then it has answered as much as it does before somebody reads.
        server.check_resting("while a peer that pours does not read yet");
    }
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = thread::spawn(move || {
        writer.set_write_timeout(Some(DEADLINE))?;
        while sent < flood {
            sent += writer.write(&piece)?;
        }
        writer.shutdown(Shutdown::Write)?;
        Ok::<usize, std::io::Error>(sent)
    });
    let mut room = vec![0; 1 << 20];
    let mut received = 0;
    let end = loop {
        match stream.read(&mut room) {
            Ok(0) => break Ok(()),
            Ok(count) => received += count,
            Err(error) => break Err(error),
        }
    };
    let sent = writing.join().expect("the writer does not panic");
    match (server.service, end) {
        (Service::Echo | Service::EchoOrEnd, Ok(())) => {
            assert_eq!(sent.expect("all is taken"), received, "all comes back")
        }
        (Service::Echo, Err(error)) => panic!("{received} bytes came back, then {error}"),
        (_, Err(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => panic!("it stalls"),
        _ => {}
    }
}

/// Sends a line that never ends, beyond all limits. Where lines are served it is shown out, rather than waited for.
fn never_ends_its_line(server: &Server) {
    let mut stream = server.connect();
    let piece = vec![b'x'; 65536];
    let outcome = (0..FLOOD / piece.len()).try_for_each(|_| stream.write_all(&piece));
    let is_shown_out =
        |error: std::io::Error| matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
    assert!(outcome.is_err_and(is_shown_out), "it stalls, or takes all of it");
}

/// Sends as much as it can and never reads; it stays.
fn never_reads(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.set_write_timeout(Some(server.service.patience())).expect("a deadline");
    let (piece, mut sent) = (server.service.work(), 0);
    while sent < FLOOD {
        match stream.write(&piece) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    stream
}

fn sends_and_resets(server: &Server) {
    for length in [1_usize, 100, 65_536, 1_000_000].repeat(8) {
        let mut stream = server.connect();
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a deadline");
        let _ = stream.write(&server.service.work().repeat(length.div_ceil(65_536))[..length]);
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let length = size_of::<libc::linger>() as libc::socklen_t;
        let value = (&raw const linger).cast();
        // SAFETY: the option's value is there, of the length that is said.
        let set = unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, length) };
        assert_eq!(set, 0);
    }
}

/// Its answer comes all the same, whole, where it is there when the end comes.
fn half_closes(server: &Server) {
    let mut stream = server.connect();
    let (request, answer) = server.service.request();
    stream.write_all(&request).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("a FIN");
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("the answer, and the end");
    let may_be_busy = server.service == Service::Numbers && (got.is_empty() || got == BUSY);
    let is_answered = got.starts_with(answer) || may_be_busy;
    assert!(is_answered, "{}", String::from_utf8_lossy(&got));
    assert!(!server.service.echoes() || got.len() == request.len());
}

fn sends_byte_by_byte(server: &Server) {
    let mut stream = server.connect();
    stream.set_nodelay(true).expect("no delay");
    for byte in b"0123456789\n" {
        stream.write_all(&[*byte]).expect("it reads");
        thread::sleep(Duration::from_millis(10)); // the peer's own pace
    }
}

fn connects_and_leaves(server: &Server) {
    for _ in 0..CONNECTS / 250 {
        let held: Vec<TcpStream> = (0..250).map(|_| server.connect()).collect();
        drop(held);
    }
}

fn sends_garbage(server: &Server) {
    let mut state = 88_172_645_463_325_252u64;
    for length in [1, 7, 1_000, 100_000] {
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(length)
        .collect();
        let mut stream = server.connect();
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a deadline");
        let _ = stream.write(&garbage);
        // SAFETY: one byte is there; whether it is taken does not matter.
        unsafe { libc::send(stream.as_raw_fd(), garbage.as_ptr().cast(), 1, libc::MSG_OOB | libc::MSG_NOSIGNAL) };
    }
}

/// All of them in turn.
pub fn withstands(mut server: Server) {
    server.check_served("was not there");
    let before = server.descriptors();
    let stays = never_reads(&server);
    server.check_served("never reads");
    server.check_resting("beside a peer that never reads");
    let peers: [(&str, Peer); 6] = [
        ("pours", pours),
        ("sends and resets", sends_and_resets),
        ("half-closes", half_closes),
        ("sends byte by byte", sends_byte_by_byte),
        ("connects and leaves", connects_and_leaves),
        ("sends garbage", sends_garbage),
    ];
    for (does, peer) in peers {
        peer(&server);
        server.check_served(does);
    }
    if matches!(server.service, Service::Lines | Service::Chat | Service::Numbers) {
        never_ends_its_line(&server);
        server.check_served("never ends its line");
    }
    drop(stays);
    let end = Instant::now() + DEADLINE;
    while server.descriptors() > before {
        assert!(Instant::now() < end, "{} descriptors are left, {before} were there", server.descriptors());
        thread::sleep(Duration::from_millis(5));
    }
    server.check_resting("alone");
    let memory = server.most_memory_in_kib();
    println!("at most {memory} KiB");
    assert!(memory < server.service.most_memory_in_kib(), "{memory} KiB");
    assert!(server.running.0.try_wait().expect("it can be waited for").is_none(), "it has ended");
}

// ---- The programs ----

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program in the comment on top of a header.
fn program_on_top(header: &str) -> String {
    let text = fs::read_to_string(harness::include_dir().join(header)).expect("the header can be read");
    let comment = text.split("*/").next().expect("a comment on top");
    let lines = comment.lines().filter_map(|line| line.strip_prefix(" *     "));
    let program: Vec<&str> = lines.skip_while(|line| !line.contains("#include")).collect();
    let end = program.iter().rposition(|line| *line == "}").expect("the program ends");
    program[..=end].join("\n") + "\n"
}

/// A block of code of a document, the first one that has these words.
fn block(document: &str, words: &str) -> String {
    let text = fs::read_to_string(root().join(document)).expect("the document can be read");
    let mut blocks = text.split("\n```c\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.find(|block| block.contains(words)).unwrap_or_else(|| panic!("{document} shows {words}")).to_owned()
}

fn compiled(name: &str, program: &str) -> Command {
    let source = harness::scratch_dir("sources").join(format!("{name}.c"));
    fs::write(&source, program).expect("a source can be written");
    unbuffered(&harness::build(&source, name, Language::C99))
}

fn compiled_as_cpp(name: &str, standard: &str, program: &str) -> Command {
    let dir = harness::scratch_dir("sources");
    let source = dir.join(format!("{name}.cpp"));
    fs::write(&source, program).expect("a source can be written");
    let mut command = Command::new("c++");
    command.args([standard, "-O1", "-I"]).arg(harness::include_dir()).arg(&source).arg("-o").arg(dir.join(name));
    harness::link(&mut command);
    harness::compile(command);
    Command::new(dir.join(name))
}

/// A program in which a time is shorter, so that nobody has to wait for it.
fn sooner(program: &str, time: &str, short: &str) -> String {
    assert_eq!(program.matches(time).count(), 1, "the program has a time of {time}");
    program.replace(time, short)
}

/// A program that does not flush what it prints.
fn unbuffered(program: &Path) -> Command {
    let mut command = Command::new("stdbuf");
    command.arg("-oL").arg(program);
    command
}

fn example(name: &str, package: Option<&str>) -> Option<Command> {
    let mut command = Command::new(harness::example(name, package)?);
    command.arg("0");
    Some(command)
}

fn an_example_withstands(name: &str, package: Option<&str>, service: Service) {
    if let Some(command) = example(name, package) {
        withstands(Server::start(command, service));
    }
}

/// Who says nothing, and who says something and then nothing more, is shown out.
fn ends_who_is_silent(server: &Server) {
    let (silent, mut was_served) = (server.connect(), server.connect());
    was_served.write_all(b"hello\n").expect("it reads");
    was_served.read_exact(&mut [0; 6]).expect("it answers");
    for mut peer in [silent, was_served] {
        match peer.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0, "it says something"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it waits for ever"),
        }
    }
}

/// Ctrl-C ends it, and well.
fn ends_at_an_interrupt(server: Server) {
    server.running.signal(libc::SIGINT);
    ends_well(server);
}

fn ends_well(mut server: Server) {
    let status = server.running.wait(DEADLINE);
    assert!(status.success(), "{status}");
}

#[test]
fn the_program_of_the_readme() {
    let program = block("README.md", "int main");
    assert!(program.lines().filter(|line| !line.trim().is_empty()).count() <= 45, "a page");
    withstands(Server::start(compiled("readme", &program), Service::Echo));
    ends_at_an_interrupt(Server::start(compiled("readme", &program), Service::Echo));
    ends_who_is_silent(&Server::start(compiled("readme_soon", &sooner(&program, "60000", "500")), Service::Echo));
}

#[test]
fn the_program_of_the_header() {
    let program = program_on_top("server_socket.h");
    assert!(program.lines().filter(|line| !line.trim().is_empty()).count() <= 45, "a page");
    withstands(Server::start(compiled("header", &program), Service::Echo));
    ends_at_an_interrupt(Server::start(compiled("header", &program), Service::Echo));
    ends_who_is_silent(&Server::start(compiled("header_soon", &sooner(&program, "60000", "500")), Service::Echo));
}

#[test]
fn the_program_of_the_cpp_header() {
    let program = program_on_top("server_socket.hpp");
    withstands(Server::start(compiled_as_cpp("on_top", "-std=c++17", &program), Service::Echo));
    let soon = sooner(&program, "minutes(1)", "milliseconds(500)");
    ends_who_is_silent(&Server::start(compiled_as_cpp("on_top_soon", "-std=c++17", &soon), Service::Echo));
}

/// The guide's listener for lines, as it stands there, with a server around it.
#[test]
fn the_lines_of_the_guide() {
    let around = "
#include <stdio.h>
static void on_connect(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_add_listener(ss_event_socket(event), SS_EVENT_SOCKET_DATA, on_lines, NULL, false, 0);
    ss_socket_keep(ss_event_socket(event));
}
int main(void)
{
    ss_server *server = ss_new(NULL);
    ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0);
    if (ss_bind(server, 0, \"127.0.0.1\") != SS_OK || ss_listen(server, 0) != SS_OK) return 1;
    printf(\"port %d\\n\", (int)ss_local_port(server));
    return ss_loop_run(NULL) != SS_OK;
}
";
    withstands(Server::start(compiled("lines", &(block("docs/EMBEDDING.md", "on_lines") + around)), Service::Lines));
}

/// The guide's function for an end, as it stands there: behind a signal, peers that wait to be accepted are served, too, and another
/// signal loses nobody.
#[test]
fn the_end_of_the_guide_loses_nobody() {
    let around = "
#include <signal.h>
#include <stdio.h>
static ss_loop *loop;
static void stop(int number)
{
    (void)number;
    ss_loop_stop(loop);
}
static void echo(ss_event *event, void *user_data)
{
    size_t length;
    const uint8_t *bytes = ss_socket_take(ss_event_target(event), &length);
    (void)user_data;
    ss_socket_write_bytes(ss_event_target(event), bytes, length);
}
static void on_connect(ss_event *event, void *user_data)
{
    (void)user_data;
    ss_socket_keep(ss_event_socket(event));
    ss_add_listener(ss_event_socket(event), SS_EVENT_SOCKET_DATA, echo, NULL, false, 0);
}
int main(void)
{
    ss_server *server = ss_new(NULL);
    struct sigaction action = {0};
    loop = ss_loop_default();
    action.sa_handler = stop;
    sigaction(SIGTERM, &action, NULL);
    ss_add_listener(server, SS_EVENT_CONNECT, on_connect, NULL, false, 0);
    if (ss_bind(server, 0, \"127.0.0.1\") != SS_OK || ss_listen(server, 0) != SS_OK) return 1;
    printf(\"port %d\\n\", (int)ss_local_port(server));
    return ss_loop_run(NULL) != SS_OK || end_in_peace(loop, server, 60000) != SS_OK;
}
";
    let program = ["#define _POSIX_C_SOURCE 200809L\n", &block("docs/EMBEDDING.md", "end_in_peace"), around].concat();
    let server = Server::start(compiled("end_in_peace", &program), Service::Echo);
    let mut connected = server.connect();
    assert_eq!(answer_to(&mut connected, b"before"), b"before");
    server.running.signal(libc::SIGSTOP);
    let mut waiting = server.connect();
    server.running.signal(libc::SIGTERM);
    server.running.signal(libc::SIGCONT);
    assert_eq!(answer_to(&mut waiting, b"waited"), b"waited");
    server.running.signal(libc::SIGTERM);
    for mut client in [waiting, connected] {
        assert_eq!(answer_to(&mut client, b"after"), b"after");
    }
    ends_well(server);
}

fn answer_to(client: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    client.write_all(request).expect("it is taken");
    let mut answer = vec![0; request.len()];
    client.read_exact(&mut answer).expect("it is answered");
    answer
}

#[test]
fn the_echo_server() {
    an_example_withstands("echo_server", None, Service::Echo);
}

#[test]
fn the_echo_server_in_cpp() {
    an_example_withstands("echo_server_cpp", None, Service::Echo);
}

#[test]
fn the_echo_server_of_coroutines() {
    an_example_withstands("coroutine_echo", None, Service::Echo);
    if let Some(command) = example("coroutine_echo", None) {
        ends_at_an_interrupt(Server::start(command, Service::Echo));
        let program = fs::read_to_string(root().join("c-examples/coroutine_echo.cpp")).expect("it can be read");
        let mut soon =
            compiled_as_cpp("coroutine_soon", "-std=c++20", &sooner(&program, "minutes(1)", "milliseconds(500)"));
        soon.arg("0");
        ends_who_is_silent(&Server::start(soon, Service::Echo));
    }
}

#[test]
fn the_echo_server_on_many_cores() {
    an_example_withstands("multicore_echo", None, Service::Echo);
}

#[test]
fn the_echo_server_for_socket_activation() {
    an_example_withstands("systemd_echo", None, Service::Echo);
}

#[test]
fn the_host_with_poll() {
    an_example_withstands("poll_host", None, Service::Echo);
}

#[test]
fn the_host_with_glib() {
    an_example_withstands("glib_host", Some("glib-2.0"), Service::Echo);
}

#[test]
fn the_host_with_libuv() {
    an_example_withstands("libuv_host", Some("libuv"), Service::Echo);
}

#[test]
fn the_game_loop() {
    an_example_withstands("frame_pump", None, Service::EchoOrEnd);
}

#[test]
fn the_chat() {
    an_example_withstands("chat_server", None, Service::Chat);
}

#[test]
fn the_pool_of_workers() {
    an_example_withstands("workers", None, Service::Numbers);
}

#[test]
fn the_web_server() {
    an_example_withstands("http_hello", None, Service::Http);
}

#[test]
fn the_web_server_with_a_folder() {
    let Some(program) = harness::example("http_hello", None) else { return };
    let folder = harness::scratch_dir("served");
    fs::write(folder.join("index.html"), "hello\n".repeat(20_000)).expect("a file");
    let mut command = Command::new(program);
    command.args(["0", "10"]).arg(folder);
    withstands(Server::start(command, Service::Http));
}

#[test]
fn the_echo_server_in_python() {
    if !harness::have_tool("python3") {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(root().join("examples/python/echo.py")).arg("0").env("SERVER_SOCKET_LIB", harness::library());
    withstands(Server::start(command, Service::Echo));
}

/// With a limit of 256 descriptors 300 peers that send a byte now and then hold all of them. They are given up, and others served.
#[test]
fn the_web_server_gives_slow_peers_up_before_they_deny_everybody() {
    let Some(program) = harness::example("http_hello", None) else { return };
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$0\" 0 1"]).arg(program);
    let server = Server::start(limited, Service::Http);
    let mut slow: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + DEADLINE;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                for peer in &mut slow {
                    let _ = peer.write_all(b"G"); // those that were shown out take no more
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        server.check_served("is slow");
        is_over.store(true, Ordering::Relaxed);
    });
}

// ---- The client, and servers that mean it ill ----

/// Has the client send `input` to a server. Returns whether it says that all went well, and what it printed.
fn client_of(input: &[u8], server: impl FnOnce(TcpStream) + Send + 'static) -> Option<(bool, Vec<u8>)> {
    Some(outcome_of(Command::new(harness::example("client", None)?), input, server))
}

fn outcome_of(mut client: Command, input: &[u8], server: impl FnOnce(TcpStream) + Send + 'static) -> (bool, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = thread::spawn(move || server(listener.accept().expect("it connects").0));
    let file = harness::scratch_dir("input").join(port.to_string());
    fs::write(&file, input).expect("a file can be written");
    client.args(["127.0.0.1", &port.to_string()]).env_remove("LD_LIBRARY_PATH");
    let output = client.stdin(fs::File::open(&file).expect("the file")).output().expect("it starts");
    serving.join().expect("the server does not panic");
    fs::remove_file(file).expect("the file goes");
    (output.status.success(), output.stdout)
}

#[test]
fn the_client_gives_a_server_up_that_says_nothing() {
    let program = fs::read_to_string(root().join("c-examples/client.c")).expect("it can be read");
    let client = compiled("client_soon", &sooner(&program, "SILENCE = 60000", "SILENCE = 500"));
    let held = Arc::new(Mutex::new(None));
    let keeper = held.clone();
    let (went_well, printed) = outcome_of(client, b"GET /\n", move |stream| {
        *keeper.lock().expect("nobody panics") = Some(stream); // open, and silent
    });
    assert!(!went_well && printed.is_empty());
}

#[test]
fn the_client_prints_all_of_an_answer_that_is_longer_than_what_it_sent() {
    let answer = vec![b'a'; 200_102];
    let expected = answer.clone();
    let outcome = client_of(b"GET /\n", move |mut stream| {
        stream.write_all(&answer[..113_254]).expect("it reads");
        stream.read_to_end(&mut Vec::new()).expect("its request, and the end of it");
        stream.write_all(&answer[113_254..]).expect("it reads");
    });
    if let Some((went_well, printed)) = outcome {
        assert!(went_well && printed == expected, "{} bytes of {}", printed.len(), expected.len());
    }
}

#[test]
fn the_client_says_when_a_server_ends_early_or_resets() {
    let input = vec![b'x'; 50_000_000];
    let reads_a_little = |mut stream: TcpStream| {
        stream.read_exact(&mut [0; 1000]).expect("some");
    };
    if let Some((went_well, _)) = client_of(&input, reads_a_little) {
        assert!(!went_well, "most of its input was never read");
    }
    // All of a short request was sent, and the answer breaks off.
    let breaks_off = |mut stream: TcpStream| {
        stream.read_to_end(&mut Vec::new()).expect("its request, and the end of it");
        stream.write_all(b"half of an ans").expect("it reads");
        support::reset(stream);
    };
    if let Some((went_well, _)) = client_of(b"GET /\n", breaks_off) {
        assert!(!went_well, "the answer was not whole");
    }
    let ends_at_once = |stream: TcpStream| {
        stream.shutdown(Shutdown::Write).expect("a FIN");
        let _ = (&stream).read_to_end(&mut Vec::new());
    };
    if let Some((went_well, _)) = client_of(&input, ends_at_once) {
        assert!(!went_well, "not all of its input was sent");
    }
}
