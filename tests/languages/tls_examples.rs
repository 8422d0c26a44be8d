// SPDX-License-Identifier: MIT OR Apache-2.0
//! `c-examples/https_hello.c`, `secure_client.c` and `secure_chat.c`, with curl, with openssl and with each other; certificates as the
//! Makefile makes them.
#![cfg(all(unix, feature = "tls"))]

use crate::examples::Guest;
use support::harness;

use harness::{Running, example, have_tool};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A folder with a certificate for localhost, its own issuer, and its key. `None`: there is no openssl.
fn certificate(name: &str) -> Option<PathBuf> {
    if !have_tool("openssl") {
        return None;
    }
    let folder = harness::scratch_dir(name);
    let _ = fs::remove_file(folder.join("certificate.pem"));
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(harness::root().join("c-examples"))
        .arg("certificate")
        .arg(format!("BUILD={}", folder.display()));
    harness::compile(make);
    Some(folder)
}

struct Site {
    running: Running,
    lines: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
    port: String,
}

impl Site {
    /// It looks at its files each second.
    fn start(name: &str) -> Option<Site> {
        let (program, folder) = (example("https_hello", None)?, certificate(name)?);
        let mut command = Command::new(program);
        command.arg(folder.join("certificate.pem")).arg(folder.join("key.pem")).args(["0", "1"]);
        command.env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running(command.spawn().expect("it starts"));
        let mut lines = BufReader::new(running.0.stdout.take().expect("it is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let port = line.trim().trim_end_matches('/').rsplit(':').next().expect("a port").to_owned();
        Some(Site { running, lines, folder, port })
    }

    fn trusted(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    fn curl(&self, trusted: &Path, arguments: &[&str]) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--resolve"]);
        curl.arg(format!("localhost:{}:127.0.0.1", self.port)).arg("--cacert").arg(trusted).args(arguments);
        curl.arg(format!("https://localhost:{}/", self.port)).output().expect("curl runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the client with this input. Returns whether it says that all went well, what it printed, and what it said.
fn client(input: &str, arguments: &[&str]) -> Option<(bool, String, String)> {
    let mut command = Command::new(example("secure_client", None)?);
    command.args(arguments).env_remove("LD_LIBRARY_PATH");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = command.spawn().expect("it starts");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    Some((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn https_hello_serves_curl_that_has_its_certificate_and_no_other() {
    if !have_tool("curl") {
        return;
    }
    let Some(mut site) = Site::start("curl") else { return };
    let output = site.curl(&site.trusted(), &["--http1.1"]);
    assert_eq!(text(&output.stdout), "Hello over TLS 1.3, http/1.1, from localhost.\n", "{}", text(&output.stderr));
    let output = site.curl(&site.trusted(), &["--tls-max", "1.2"]);
    assert!(text(&output.stdout).starts_with("Hello over TLS 1.2, "), "{}", text(&output.stderr));
    let other = certificate("curl-other").expect("there is openssl");
    assert_eq!(
        site.curl(&other.join("certificate.pem"), &[]).status.code(),
        Some(60),
        "a certificate that is not trusted"
    );
    let plain = Command::new("curl").args(["--silent", &format!("http://127.0.0.1:{}/", site.port)]).output();
    assert!(!plain.expect("curl runs").status.success());
    assert!(site.running.0.try_wait().expect("it can be waited for").is_none());
}

#[test]
fn https_hello_shows_a_new_certificate_without_a_restart() {
    if !have_tool("curl") {
        return;
    }
    let Some(mut site) = Site::start("renewed") else { return };
    let before = site.folder.join("before.pem");
    fs::copy(site.trusted(), &before).expect("a copy");
    let renewed = certificate("renewed-by").expect("there is openssl");
    // One of the two alone does not fit, and the old pair stays.
    fs::copy(renewed.join("certificate.pem"), site.trusted()).expect("a copy");
    let mut said = BufReader::new(site.running.0.stderr.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.contains("the old certificate stays"), "{line}");
    assert!(site.curl(&before, &[]).status.success());

    fs::copy(renewed.join("key.pem"), site.folder.join("key.pem")).expect("a copy");
    line.clear();
    site.lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "the certificate is a new one\n");
    assert!(site.curl(&site.trusted(), &[]).status.success());
    assert!(!site.curl(&before, &[]).status.success());
}

#[test]
fn secure_client_speaks_to_whom_it_trusts_only() {
    let Some(site) = Site::start("client") else { return };
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let trusted = site.trusted();
    let trusted = trusted.to_str().expect("UTF-8");
    let Some((good, got, said)) = client(request, &["localhost", &site.port, trusted]) else { return };
    assert!(good && got.ends_with("Hello over TLS 1.3, no ALPN, from localhost.\n"), "{got}{said}");
    assert!(said.contains("the certificate of localhost is trusted"), "{said}");
    let (good, got, said) = client(request, &["localhost", &site.port]).expect("it was built");
    assert!(!good && got.is_empty() && said.contains("untrustedSigners"), "{got}{said}");
    let (good, got, said) = client(request, &["127.0.0.2", &site.port, trusted]).expect("it was built");
    assert!(!good && got.is_empty(), "another host's address: {got}{said}");
}

#[test]
fn secure_client_gets_all_of_an_answer_from_openssl() {
    let Some(folder) = certificate("openssl") else { return };
    let mut server = Command::new("openssl");
    server.args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert"]).arg(folder.join("certificate.pem"));
    server.arg("-key").arg(folder.join("key.pem")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Running(server.spawn().expect("openssl starts"));
    let mut lines = BufReader::new(server.0.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert!(lines.read_line(&mut line).expect("a line") > 0, "openssl does not listen");
    }
    let port = line.trim().rsplit(':').next().expect("a port").to_owned();
    std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
    let trusted = folder.join("certificate.pem");
    let trusted = trusted.to_str().expect("UTF-8");
    let Some((_, got, said)) = client("GET / HTTP/1.0\r\n\r\n", &["localhost", &port, trusted]) else { return };
    assert!(got.contains("<HTML>") && got.trim_end().ends_with("</HTML>"), "{got}{said}");
}

// ---- The chat ----

struct Chat {
    running: Running,
    port: u16,
    config: Arc<ClientConfig>,
}

impl Chat {
    fn start(name: &str) -> Option<Chat> {
        let (program, folder) = (example("secure_chat", None)?, certificate(name)?);
        let mut command = Command::new(program);
        command.arg(folder.join("certificate.pem")).arg(folder.join("key.pem")).arg("0");
        command.env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().expect("it starts"));
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).expect("a certificate");
        roots.add(certificate).expect("it can be read");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Some(Chat { running, port, config })
    }

    fn peer(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(support::DEADLINE)).expect("a deadline");
        stream
    }

    fn assert_alive(&mut self) {
        assert!(self.running.0.try_wait().expect("it can be waited for").is_none());
    }
}

type SecureGuest = Guest<StreamOwned<ClientConnection, TcpStream>>;

impl Chat {
    /// `receive_buffer`: 0 is the system's.
    fn enter_with(&self, receive_buffer: usize) -> SecureGuest {
        let peer = self.peer();
        if receive_buffer > 0 {
            socket2::SockRef::from(&peer).set_recv_buffer_size(receive_buffer).expect("a size");
        }
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(self.config.clone(), name).expect("a client");
        Guest::enter_by(StreamOwned::new(tls, peer))
    }

    fn enter(&self) -> SecureGuest {
        self.enter_with(0)
    }
}

#[test]
fn secure_chat_passes_each_line_to_everybody_else_and_withstands_strangers() {
    let Some(mut chat) = Chat::start("chat") else { return };
    let (mut one, mut other) = (chat.enter(), chat.enter());
    assert_eq!((one.others, other.others), (0, 1));
    one.say("hello\nwho is");
    one.say(" there?\n");
    assert_eq!(other.hear(), format!("guest {}: hello\n", one.number));
    assert_eq!(other.hear(), format!("guest {}: who is there?\n", one.number));

    // Plain words, and half of a handshake. They are told an alert, or nothing; nobody hears of them.
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"hello\n", &[22, 3, 1, 0xff, 0xff], &[0; 1000], b"\x16"] {
        let mut peer = chat.peer();
        peer.write_all(said).expect("it is taken");
        peer.shutdown(std::net::Shutdown::Write).expect("an end");
        let _ = peer.read_to_end(&mut Vec::new());
    }
    let silent: Vec<TcpStream> = (0..20).map(|_| chat.peer()).collect();
    // Guests who vanish, and one who says too much.
    for _ in 0..5 {
        drop(chat.enter());
    }
    let mut loud = chat.enter();
    loud.say("x".repeat(2000));
    let mut rest = Vec::new();
    let end = loud.stream.read_to_end(&mut rest);
    assert!(end.is_err() || rest.is_empty(), "{}", text(&rest));

    other.say("still here\n");
    assert_eq!(one.hear(), format!("guest {}: still here\n", other.number));
    drop(silent);
    chat.assert_alive();
}

/// Four of a hundred guests never read. They are dropped, and nobody else misses a line or waits for them.
#[test]
fn secure_chat_tells_a_hundred_guests_of_whom_four_never_read() {
    const GUESTS: usize = 100;
    const MUTE: usize = 4;
    const LINES: usize = 64;
    const MOST_ROUNDS: usize = 400; // 26 MB for each: more than all buffers and the bound together

    let Some(mut chat) = Chat::start("many-guests") else { return };
    let mute: Vec<SecureGuest> = (0..MUTE).map(|_| chat.enter_with(4096)).collect();
    let mut speaker = chat.enter();
    let mut listening: Vec<SecureGuest> = (0..GUESTS - MUTE - 1).map(|_| chat.enter()).collect();
    let mut rounds = 0;
    loop {
        assert!(rounds < MOST_ROUNDS, "the four are still there");
        let lines: Vec<String> = (0..LINES).map(|n| format!("{rounds}/{n} {}\n", "word ".repeat(200))).collect();
        speaker.say(lines.concat());
        let expected: String = lines.iter().map(|line| format!("guest {}: {line}", speaker.number)).collect();
        for guest in &mut listening {
            let mut heard = vec![0; expected.len()];
            guest.stream.read_exact(&mut heard).expect("it hears what is said");
            assert!(heard == expected.as_bytes(), "a round of the chat");
        }
        rounds += 1;
        if rounds % 5 == 0 && chat.enter().others as usize <= GUESTS - MUTE {
            break;
        }
    }
    chat.assert_alive();
    for mut guest in mute {
        assert!(guest.stream.read_to_end(&mut Vec::new()).is_err(), "a clean end");
    }
}
