// SPDX-License-Identifier: MIT OR Apache-2.0
//! docs/TROUBLESHOOTING.md has the messages that one really sees: each mistake is made here, and what the library says about it
//! must be in the document, as must everything that the document says it says.

#![cfg(target_os = "linux")]

use crate::listening;
use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::ptr::{null, null_mut};
use std::thread;

use server_socket::*;
use support::*;

const PAGE: &str = include_str!("../../docs/TROUBLESHOOTING.md");

/// The lines of the document's blocks of messages.
fn documented() -> Vec<&'static str> {
    let blocks = PAGE.split("\n```message\n").skip(1);
    blocks.flat_map(|rest| rest.split_once("\n```").expect("a block ends").0.lines()).collect()
}

/// What was said, with the names that the document uses for what is another one each time.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn add(&mut self, message: &str) {
        if !self.0.iter().any(|known| known == message) {
            self.0.push(message.to_owned());
        }
    }

    /// The detail of the failure that `status` tells of.
    #[track_caller]
    fn detail(&mut self, status: ss_status, expected: ss_status) {
        assert_eq!(status, expected, "{:?}", last_error());
        self.add(&last_detail());
    }

    /// The same where a port is in it.
    #[track_caller]
    fn detail_with_port(&mut self, status: ss_status, expected: ss_status, port: u16, instead: &str) {
        assert_eq!(status, expected, "{:?}", last_error());
        self.add(&last_detail().replace(&format!(":{port}"), instead));
    }
}

fn servers(said: &mut Said) {
    let events = Loop::new();
    let first = Server::listening(&events);
    let second = Server::new(&events);
    said.detail_with_port(second.bind(first.port().into(), c"127.0.0.1"), SS_ERR_IO, first.port(), ":8080");
    said.detail(second.bind(0, c"192.0.2.1"), SS_ERR_IO);
    said.detail(second.bind(0, c"localhost"), SS_ERR_ARGUMENT);
    said.detail(second.bind(65536, c"127.0.0.1"), SS_ERR_RANGE);
    said.detail(second.listen(0), SS_ERR_IO);
    said.detail(first.bind(0, c"127.0.0.1"), SS_ERR_IO);
    said.detail(ss_set_option(first.object(), SS_OPT_REUSE_PORT, 1), SS_ERR_IO);
    ok(first.close());
    said.detail(first.bind(0, c"127.0.0.1"), SS_ERR_IO);
    said.detail(first.close(), SS_ERR_ERROR);
}

/// On a thread that may not: the system call itself, since libc's function changes all threads.
fn a_privileged_port(said: &mut Said) {
    const KEEP: libc::c_long = -1;
    let detail = thread::spawn(|| {
        let result = unsafe { libc::syscall(libc::SYS_setresuid, KEEP, 65534_i64, KEEP) };
        assert!(result == 0 || unsafe { libc::geteuid() } != 0, "the thread keeps its privilege");
        let events = Loop::new();
        assert_eq!(Server::new(&events).bind(80, c"0.0.0.0"), SS_ERR_IO);
        last_detail()
    });
    said.add(&detail.join().expect("no panic"));
}

fn reading_and_writing(said: &mut Said) {
    let pair = Pair::new();
    said.detail(pair.socket.read_bytes(&mut [0; 4]), SS_ERR_EOF);
    said.detail(pair.socket.read_bytes(&mut vec![0; 20_000_000]), SS_ERR_RANGE);
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 1_000);
    ok(pair.socket.write(&[0; 900]));
    said.detail(pair.socket.write(&[0; 900]), SS_ERR_FULL);
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 64 << 20);
    said.detail(pair.socket.write(&vec![0; (64 << 20) + 1]), SS_ERR_RANGE);
    pair.send_fin();
    pair.events.pump_until(|| !pair.socket.connected());
    said.detail(pair.socket.write(b"too late"), SS_ERR_IO);
}

fn handles(said: &mut Said) {
    let events = Loop::new();
    let socket = ss_socket_new(events.0);
    ok(release(socket));
    said.detail(ss_socket_close(socket), SS_ERR_HANDLE);
    said.detail(ss_socket_close(null_mut()), SS_ERR_HANDLE);
    said.detail(ss_socket_close(Server::new(&events).0.cast()), SS_ERR_HANDLE);
    post(events.0, {
        let events = AnyThread::new(events.0);
        move || assert_eq!(ss_loop_run(events.get()), SS_ERR_REENTRANT)
    });
    events.settle();
    said.detail(ss_last_status(), SS_ERR_REENTRANT);
    let server = Server::new(&events);
    let handle = AnyThread::new(server.0);
    let detail = thread::spawn(move || {
        assert_eq!(ss_close(handle.get()), SS_ERR_THREAD);
        last_detail()
    });
    said.add(&detail.join().expect("no panic"));
}

fn a_forked_child(said: &mut Said) {
    let (_events, server) = listening();
    let (mut reader, mut writer) = UnixStream::pair().expect("a pair");
    match unsafe { libc::fork() } {
        0 => {
            let status = server.close();
            let detail = if status == SS_ERR_FORKED { last_detail() } else { format!("{status:?}") };
            writer.write_all(detail.as_bytes()).expect("somebody reads");
            unsafe { libc::_exit(0) };
        }
        child => {
            drop(writer);
            let mut detail = String::new();
            reader.read_to_string(&mut detail).expect("the child ends its side");
            assert_eq!(unsafe { libc::waitpid(child, null_mut(), 0) }, child);
            said.add(&detail);
        }
    }
}

fn the_log(said: &mut Said) {
    let messages = Messages::record();
    // Nobody hears that nobody answers.
    let events = Loop::new();
    let socket = ss_socket_new(events.0);
    let port = free_port();
    ok(unsafe { ss_socket_connect(socket, c"127.0.0.1".as_ptr(), port.into()) });
    events.pump_until(|| !messages.about(SS_LOG_WARNING, "Unhandled").is_empty());
    said.add(&messages.about(SS_LOG_WARNING, "Unhandled").remove(0).replace(&format!(":{port}"), ":8080"));
    // Nobody reads.
    let pair = Pair::new();
    let peer = pair.peer.local_addr().expect("it is connected").port();
    let flood = thread::spawn({
        let mut peer = pair.peer.try_clone().expect("a duplicate");
        move || drop(peer.write_all(&vec![0; 18 << 20])) // reset in the middle, unless the system takes it all
    });
    pair.events.pump_until(|| !messages.about(SS_LOG_WARNING, "SS_OPT_READ_LIMIT").is_empty());
    let full = messages.about(SS_LOG_WARNING, "SS_OPT_READ_LIMIT").remove(0);
    said.add(&full.replace(&format!(":{peer}:"), ":5123:"));
    ok(pair.socket.abort());
    flood.join().expect("no panic");
    // Nobody can be accepted.
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let _peer = server.client();
    let taken = take_all_descriptors();
    events.pump_until(|| !messages.about(SS_LOG_WARNING, "accept").is_empty());
    drop(taken);
    said.add(&messages.about(SS_LOG_WARNING, "accept").remove(0));
    events.pump_until(|| accepted.len() == 1);
}

/// A certificate for localhost that is its own issuer, and its key.
fn own_certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn set_identity(tls: *mut ss_tls, chain: &str, key: &str) -> ss_status {
    unsafe { ss_tls_set_identity(tls, null(), chain.as_ptr().cast(), chain.len(), key.as_ptr().cast(), key.len()) }
}

/// A secure server, and what it says of handshakes that have failed, from a port that the document has.
fn secure_server(events: &Loop, tls: *mut ss_tls) -> (Server, Log) {
    let (server, told) = (Server::listening(events), Log::default());
    ok(unsafe { ss_set_tls(server.object(), tls, null()) });
    on(&server, CONNECT, |_| ());
    on(&server, c"handshakeError", {
        let told = told.clone();
        move |event| {
            let detail = text(ss_event_detail(event.0)).expect("it says why");
            let (before, after) = detail.split_once("127.0.0.1:").expect("it says who");
            told.add(format!("{before}127.0.0.1:5123{}", after.trim_start_matches(|c: char| c.is_ascii_digit())));
        }
    });
    (server, told)
}

/// A client that asks for a server of this name; the two tell why nothing comes of it.
fn refused(said: &mut Said, server_tls: *mut ss_tls, client_tls: *mut ss_tls, name: &CStr) {
    let events = Loop::new();
    let (server, told) = secure_server(&events, server_tls);
    let (socket, port) = (ss_socket_new(events.0), server.port());
    ok(unsafe { ss_set_tls(socket.object(), client_tls, name.as_ptr()) });
    on(Socket(socket), IO_ERROR, {
        let told = told.clone();
        move |event| {
            let detail = text(ss_event_detail(event.0)).expect("it says why");
            told.add(detail.replace(&format!(":{port}"), ":8443"));
        }
    });
    ok(unsafe { ss_socket_connect(socket, c"127.0.0.1".as_ptr(), port.into()) });
    events.pump_until(|| told.len() == 2);
    told.take().iter().for_each(|message| said.add(message));
}

fn secure_connections(said: &mut Said) {
    let ((chain, key), (_, other_key)) = (own_certificate(), own_certificate());
    let (without, with, trusting) = (ss_tls_new(), ss_tls_new(), ss_tls_new());
    said.detail(set_identity(with, &chain, &other_key), SS_ERR_ARGUMENT);
    ok(set_identity(with, &chain, &key));
    ok(unsafe { ss_tls_add_certificate(trusting, chain.as_ptr().cast(), chain.len(), true) });
    refused(said, without, trusting, c"localhost");
    refused(said, with, without, c"localhost");
    refused(said, with, trusting, c"example.org");
    // No client of TLS's at all.
    let events = Loop::new();
    let (server, told) = secure_server(&events, with);
    server.client().write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it can write");
    events.pump_until(|| told.len() == 1);
    told.take().iter().for_each(|message| said.add(message));
    [without, with, trusting].into_iter().for_each(|tls| ok(release(tls)));
}

/// What is allowed and hardly meant.
fn the_hints(said: &mut Said) {
    let messages = Messages::record();
    let (events, server) = listening();
    let port = server.port();
    let _waits = server.client();
    events.pump_until(|| !messages.about(SS_LOG_HINT, "no listener").is_empty());
    on(&server, CONNECT, |event| {
        on(event.socket(), SOCKET_DATA, |_| ());
    });
    events.pump_until(|| !messages.about(SS_LOG_HINT, "retain").is_empty());
    on(&server, c"connection", |_| ());
    events.settle();
    messages.about(SS_LOG_HINT, "").iter().for_each(|hint| said.add(&hint.replace(&port.to_string(), "8080")));
}

#[test]
fn the_messages_of_the_document_are_those_that_the_library_gives() {
    in_own_process!(|| {
        let mut said = Said::default();
        servers(&mut said);
        a_privileged_port(&mut said);
        reading_and_writing(&mut said);
        handles(&mut said);
        a_forked_child(&mut said);
        the_log(&mut said);
        the_hints(&mut said);
        secure_connections(&mut said);
        let documented = documented();
        let missing: Vec<_> = said.0.iter().filter(|message| !documented.contains(&message.as_str())).collect();
        let unsaid: Vec<_> = documented.iter().filter(|message| !said.0.iter().any(|said| said == *message)).collect();
        assert!(
            missing.is_empty() && unsaid.is_empty(),
            "docs/TROUBLESHOOTING.md lacks {missing:#?}, and nobody says {unsaid:#?}"
        );
    });
}

#[test]
fn each_trouble_has_a_cause_and_a_cure() {
    let troubles: Vec<&str> = PAGE.split("\n### ").skip(1).collect();
    assert!(troubles.len() >= 20, "the document was not understood");
    for trouble in troubles {
        assert!(trouble.contains("**Cause.**") && trouble.contains("**Cure.**"), "{trouble}");
    }
}
