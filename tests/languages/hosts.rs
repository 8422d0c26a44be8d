// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library in loops of others, activated by others, and as a client: c-examples with real peers.
#![cfg(unix)]

use support::{harness, noise};

use harness::{Running, example};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

struct Server {
    running: Running,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl Server {
    fn start(mut command: Command) -> Server {
        command.env_remove("LD_LIBRARY_PATH").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().expect("it starts"));
        let input = running.0.stdin.take();
        let mut output = BufReader::new(running.0.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says where it listens");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        Server { running, input, output, port: port.unwrap_or_else(|| panic!("no port in {line:?}")) }
    }

    fn of(program: PathBuf) -> Server {
        let mut command = Command::new(program);
        command.arg("0");
        Server::start(command)
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        client
    }

    /// Ends it by a signal; it must end well. Returns what else it printed.
    fn terminate(mut self) -> String {
        self.running.signal(libc::SIGTERM);
        self.wait_for_its_end()
    }

    fn wait_for_its_end(&mut self) -> String {
        let status = self.running.wait(Duration::from_secs(30));
        assert!(status.success(), "{status}");
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("plain text");
        rest
    }
}

/// Megabytes to and fro, and hundreds of connections.
fn check_echo(server: &Server) {
    let bytes = noise(1, 5_000_000);
    let mut client = server.client();
    let writer = std::thread::spawn({
        let (mut client, bytes) = (client.try_clone().expect("a second handle"), bytes.clone());
        move || client.write_all(&bytes)
    });
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).expect("all comes back");
    writer.join().expect("it does not panic").expect("all was written");
    assert!(got == bytes, "what comes back is not what was sent");

    let mut clients: Vec<TcpStream> = (0..300).map(|_| server.client()).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        client.write_all(&(place as u32).to_be_bytes()).expect("it writes");
    }
    for (place, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 4];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(u32::from_be_bytes(answer) as usize, place);
    }
    clients[0].shutdown(Shutdown::Write).expect("a FIN");
    assert_eq!(clients[0].read(&mut [0]).expect("the end"), 0);
}

fn ticks(printed: &str) -> u32 {
    printed.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number of ticks")
}

#[test]
fn a_host_with_its_own_poll_loop_serves_and_hears_its_own_input() {
    let Some(program) = example("poll_host", None) else { return };
    let mut server = Server::of(program);
    check_echo(&server);
    let mut input = server.input.take().expect("it is piped");
    input.write_all(b"go on\n").expect("it reads");
    check_echo(&server);
    input.write_all(b"quit\n").expect("it reads");
    server.wait_for_its_end();
}

#[test]
fn the_end_of_input_ends_the_poll_host_with_connections_open() {
    let Some(program) = example("poll_host", None) else { return };
    let mut server = Server::of(program);
    let mut open = server.client();
    open.write_all(b"x").expect("it writes");
    open.read_exact(&mut [0]).expect("it is served");
    drop(server.input.take());
    server.wait_for_its_end();
}

#[test]
fn glib_hosts_it_and_its_own_timers_go_on() {
    let Some(program) = example("glib_host", Some("glib-2.0")) else { return };
    let server = Server::of(program);
    check_echo(&server);
    std::thread::sleep(Duration::from_millis(200)); // ten of the host's ticks, with nothing of ours to do
    check_echo(&server);
    assert!(ticks(&server.terminate()) > 2);
}

#[test]
fn libuv_hosts_it_and_its_own_timers_go_on() {
    let Some(program) = example("libuv_host", Some("libuv")) else { return };
    let server = Server::of(program);
    check_echo(&server);
    std::thread::sleep(Duration::from_millis(200));
    check_echo(&server);
    assert!(ticks(&server.terminate()) > 2);
}

#[test]
fn a_socket_handed_over_by_a_service_manager_is_served() {
    let Some(program) = example("systemd_echo", None) else { return };
    if !harness::have_tool("python3") {
        return;
    }
    // What systemd does: the listening socket becomes descriptor 3, and the environment of the process says so.
    let manager = "
import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
";
    let mut python = Command::new("python3");
    // A port that is taken: only the socket that is handed over can be served.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    python.args(["-c", manager]).arg(program).arg(taken.local_addr().expect("an address").port().to_string());
    let server = Server::start(python);
    assert_ne!(server.port, taken.local_addr().expect("an address").port());
    check_echo(&server);
}

#[test]
fn without_a_service_manager_it_listens_by_itself() {
    let Some(program) = example("systemd_echo", None) else { return };
    let mut command = Command::new(program);
    command.arg("0").env("LISTEN_FDS", "1").env("LISTEN_PID", "1"); // meant for somebody else
    check_echo(&Server::start(command));
}

/// Jobs outlive their clients: an answer to one that has left is nobody's, and the others get theirs.
#[test]
fn a_pool_of_workers_answers_whoever_is_still_there() {
    let Some(program) = example("workers", None) else { return };
    let mut server = Server::of(program);
    let mut patient = server.client();
    for _ in 0..20 {
        let mut leaves = server.client();
        leaves.write_all(b"300000\n200000\n").expect("it reads");
    }
    patient.write_all(b"10\n100\n1000\n999999999999\nno number\n").expect("it reads");
    let mut lines = BufReader::new(patient).lines();
    let mut answers: Vec<String> = (0..5).map(|_| lines.next().expect("a line").expect("an answer")).collect();
    answers.sort(); // they come as they are ready
    assert_eq!(answers, ["0: 0", "1000: 168", "100: 25", "10: 4", "busy"]);
    // A thousand jobs may wait. Who asks for more is told so at once, long before the first of these is done.
    let mut asks_too_much = server.client();
    asks_too_much.write_all(&b"2000000\n".repeat(1500)).expect("it reads");
    let mut refusals = [0; 5 * 400];
    asks_too_much.read_exact(&mut refusals).expect("it answers");
    assert_eq!(String::from_utf8_lossy(&refusals), "busy\n".repeat(400));
    server.running.signal(libc::SIGINT);
    server.wait_for_its_end();
}

#[test]
fn the_client_sends_a_file_and_gets_it_back() {
    let (Some(client), Some(host)) = (example("client", None), example("echo_server", None)) else { return };
    let server = Server::of(host);
    let bytes = noise(1, 100_000_000); // more than the write limit
    let file = harness::scratch_dir("files").join("noise");
    fs::write(&file, &bytes).expect("a file can be written");
    let output = Command::new(client)
        .args(["localhost", &server.port.to_string()])
        .env_remove("LD_LIBRARY_PATH")
        .stdin(fs::File::open(&file).expect("the file"))
        .output()
        .expect("it starts");
    fs::remove_file(file).expect("the file goes");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == bytes, "what comes back is not what was sent");
}

#[test]
fn the_client_says_why_it_could_not_connect() {
    let Some(client) = example("client", None) else { return };
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    for (host, reason) in [("127.0.0.1", "refused"), ("no-such-host.invalid", "Error #2031")] {
        let output = Command::new(&client)
            .args([host, &free.to_string()])
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(reason), "{said}");
    }
}
