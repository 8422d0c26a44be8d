// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secure servers and clients, and peers in other processes.

use crate::certificates::{Authority, Identity};
use server_socket::*;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use std::thread;
use support::*;

pub const HANDSHAKE_ERROR: &CStr = c"handshakeError";

/// What makes connections secure, released in the end.
pub struct Tls(pub *mut ss_tls);

impl Tls {
    pub fn new() -> Tls {
        let tls = ss_tls_new();
        assert!(!tls.is_null(), "{:?}", last_error());
        Tls(tls)
    }

    pub fn of(identity: &Identity) -> Tls {
        let tls = Tls::new();
        ok(tls.set_identity(None, identity));
        tls
    }

    pub fn trusting(authority: &str) -> Tls {
        let tls = Tls::new();
        ok(tls.add(authority.as_bytes(), true));
        tls
    }

    pub fn set_identity(&self, name: Option<&CStr>, identity: &Identity) -> ss_status {
        self.set_parts(name, identity.chain.as_bytes(), identity.key.as_bytes())
    }

    pub fn set_parts(&self, name: Option<&CStr>, chain: &[u8], key: &[u8]) -> ss_status {
        let name = name.map_or(null(), CStr::as_ptr);
        let (chain_start, key_start) = (chain.as_ptr().cast(), key.as_ptr().cast());
        unsafe { ss_tls_set_identity(self.0, name, chain_start, chain.len(), key_start, key.len()) }
    }

    pub fn remove_identity(&self, name: Option<&CStr>) -> ss_status {
        unsafe { ss_tls_set_identity(self.0, name.map_or(null(), CStr::as_ptr), null(), 0, null(), 0) }
    }

    pub fn add(&self, certificate: &[u8], trusted: bool) -> ss_status {
        unsafe { ss_tls_add_certificate(self.0, certificate.as_ptr().cast(), certificate.len(), trusted) }
    }

    pub fn protocols(&self, names: &CStr) -> ss_status {
        unsafe { ss_tls_set_protocols(self.0, names.as_ptr()) }
    }

    pub fn ticket_secret(&self, secret: Option<&[u8]>) -> ss_status {
        let (start, length) = secret.map_or((null(), 0), |secret| (secret.as_ptr().cast(), secret.len()));
        unsafe { ss_tls_set_ticket_secret(self.0, start, length) }
    }

    pub fn secure(&self, object: impl Object) -> ss_status {
        self.secure_as(object, None)
    }

    pub fn secure_as(&self, object: impl Object, name: Option<&CStr>) -> ss_status {
        unsafe { ss_set_tls(object.object(), self.0, name.map_or(null(), CStr::as_ptr)) }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        ok(release(self.0));
    }
}

/// What is known of a secure socket.
pub trait Known {
    fn version(self) -> i32;
    fn server_name(self) -> Option<String>;
    fn protocol(self) -> Option<String>;
    fn status(self) -> String;
    fn certificate(self, index: usize) -> Option<Vec<u8>>;
}

impl Known for Socket {
    fn version(self) -> i32 {
        ss_socket_tls_version(self.0)
    }

    fn server_name(self) -> Option<String> {
        text(ss_socket_server_name(self.0))
    }

    fn protocol(self) -> Option<String> {
        text(ss_socket_protocol(self.0))
    }

    fn status(self) -> String {
        text(ss_socket_certificate_status(self.0)).expect("a word")
    }

    fn certificate(self, index: usize) -> Option<Vec<u8>> {
        let mut length = 77;
        let start = unsafe { ss_socket_peer_certificate(self.0, index, &mut length) };
        match start.is_null() {
            true => {
                assert_eq!(length, 0);
                None
            }
            false => Some(unsafe { std::slice::from_raw_parts(start, length) }.to_vec()),
        }
    }
}

/// A secure server that echoes, and what it has seen.
pub struct EchoServer {
    pub events: Loop,
    pub server: Server,
    pub tls: Tls,
    pub accepted: Rc<RefCell<Vec<Socket>>>,
    pub log: Log,
}

/// Echoes, and reads from nobody who does not read.
pub fn echo(socket: Socket) {
    let serve = move |_: support::Event| {
        ok(socket.write(&socket.read_all()));
        if socket.pending() > 1_000_000 { ok(ss_socket_pause(socket.0)) } else { ok(ss_socket_resume(socket.0)) }
    };
    on(socket, SOCKET_DATA, serve);
    on(socket, OUTPUT_PROGRESS, serve);
}

impl EchoServer {
    pub fn new(tls: Tls) -> EchoServer {
        EchoServer::with(tls, |_| {})
    }

    pub fn with(tls: Tls, prepare: impl FnOnce(&Server)) -> EchoServer {
        let events = Loop::new();
        let server = Server::listening(&events);
        prepare(&server);
        ok(tls.secure(&server));
        let (accepted, log) = (Rc::new(RefCell::new(Vec::new())), Log::default());
        on(&server, CONNECT, {
            let (accepted, log) = (accepted.clone(), log.clone());
            move |event| {
                let socket = event.socket();
                ok(ss_socket_keep(socket.0));
                echo(socket);
                log.add(format!(
                    "connect {} {:?} {:?} {}",
                    socket.version(),
                    socket.server_name(),
                    socket.protocol(),
                    socket.status()
                ));
                on(socket, CLOSE, {
                    let log = log.clone();
                    move |event| log.add(format!("close {}", event.os_error()))
                });
                accepted.borrow_mut().push(socket);
            }
        });
        on(&server, HANDSHAKE_ERROR, {
            let log = log.clone();
            move |event| {
                let detail = text(ss_event_detail(event.0)).expect("it says why");
                log.add(format!("handshakeError {} {detail}", event.os_error()));
            }
        });
        EchoServer { events, server, tls, accepted, log }
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Serves until a program has ended.
    pub fn serve(&self, command: &mut Command, input: &[u8]) -> Output {
        run(&self.events, command, input)
    }
}

/// Runs a program, and turns the loop until it has ended. Its input stays open until it has answered as much.
pub fn run(events: &Loop, command: &mut Command, input: &[u8]) -> Output {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut stderr = child.stderr.take().expect("piped");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
        // s_client ends with its input, whatever is under way.
        thread::sleep(std::time::Duration::from_millis(if input.is_empty() { 0 } else { 700 }));
    });
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes)
    });
    let _watchdog = Watchdog::new();
    let mut status = None;
    events.pump_until(|| {
        status = child.try_wait().expect("it can be waited for");
        status.is_some()
    });
    writer.join().expect("it writes");
    let stdout = events.join(reader).expect("it is read");
    let stderr = events.join(errors).expect("it is read");
    Output { status: status.expect("it has ended"), stdout, stderr }
}

/// A program of another's that serves, ended in the end.
pub struct Other(pub Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client of the library's that is connecting, and what it has heard.
pub struct Client {
    pub socket: Socket,
    pub log: Log,
    pub received: Rc<RefCell<Vec<u8>>>,
}

impl Client {
    pub fn new(events: &Loop, tls: &Tls, name: Option<&CStr>) -> Client {
        let socket = Socket(ss_socket_new(events.0));
        ok(tls.secure_as(socket, name));
        let (log, received) = (Log::default(), Rc::new(RefCell::new(Vec::new())));
        for kind in [CONNECT, CLOSE, IO_ERROR] {
            on(socket, kind, {
                let log = log.clone();
                move |event| {
                    let detail = text(ss_event_detail(event.0)).unwrap_or_default();
                    log.add(format!("{} {} {detail}", kind.to_str().expect("plain"), event.os_error()));
                }
            });
        }
        on(socket, SOCKET_DATA, {
            let received = received.clone();
            move |_| received.borrow_mut().extend(socket.read_all())
        });
        Client { socket, log, received }
    }

    pub fn connect(&self, host: &CStr, port: u16) -> &Client {
        ok(unsafe { ss_socket_connect(self.socket.0, host.as_ptr(), port.into()) });
        self
    }

    pub fn is(&self, what: &str) -> bool {
        self.log.entries().iter().any(|entry| entry.starts_with(what))
    }

    /// Until it is connected, or has failed.
    pub fn settle(&self, events: &Loop) -> String {
        events.pump_until(|| self.is("connect") || self.is("ioError"));
        self.log.entries()[0].clone()
    }

    pub fn ask(&self, events: &Loop, bytes: &[u8]) -> Vec<u8> {
        ok(self.socket.write(bytes));
        events.pump_until(|| self.received.borrow().len() >= bytes.len() || self.is("close"));
        self.received.take()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        either_way(release(self.socket));
    }
}

/// A server for "localhost" and 127.0.0.1, and the authority that has signed it.
pub fn localhost() -> (Authority, Identity) {
    let authority = Authority::new("test authority");
    let identity = authority.issue(&["localhost", "127.0.0.1"]);
    (authority, identity)
}

pub fn c_text(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

pub fn plain(object: impl Object) -> ss_status {
    unsafe { ss_set_tls(object.object(), null_mut(), null::<c_char>()) }
}
