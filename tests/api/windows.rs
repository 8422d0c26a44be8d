// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Windows has of its own: handles that no child inherits, addresses that nobody can share, adoption of sockets,
//! and no descriptor for a host to wait for.

#![cfg(windows)]

use crate::{listening, serving};
use server_socket::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::windows::io::{AsRawSocket, IntoRawSocket};
use support::*;
use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE_FLAG_INHERIT};
use windows_sys::Win32::Networking::WinSock::WSAENOTSOCK;

#[track_caller]
fn inherited(object: impl Object) -> bool {
    let socket = native_handle(object).expect("it has a socket");
    let mut flags = 0;
    assert_ne!(unsafe { GetHandleInformation(socket as _, &mut flags) }, 0);
    flags & HANDLE_FLAG_INHERIT != 0
}

#[test]
fn no_socket_is_inherited_by_child_processes() {
    let pair = Pair::new();
    let bound = Server::new(&pair.events);
    ok(bound.bind(0, c"127.0.0.1"));
    let outbound = Socket(ss_socket_new(pair.events.0));
    let accepted = pair.server.keep_accepted();
    ok(unsafe { ss_socket_connect(outbound.0, c"127.0.0.1".as_ptr(), pair.server.port().into()) });
    pair.events.pump_until(|| outbound.connected() && accepted.len() == 1);
    assert!(!inherited(&pair.server), "a listening server");
    assert!(!inherited(&bound), "a bound server");
    assert!(!inherited(*pair.socket), "an accepted socket");
    assert!(!inherited(outbound), "an outbound socket");
    ok(release(outbound));
}

#[test]
fn a_loop_has_no_descriptor_and_loses_nothing_by_being_asked() {
    let pair = Pair::new();
    let mut descriptor = 77;
    assert_eq!(unsafe { ss_loop_fd(pair.events.0, &mut descriptor) }, SS_ERR_UNSUPPORTED);
    assert_eq!(descriptor, 77);
    pair.send(b"hello");
    pair.pump_until_available(5);
}

#[test]
fn another_socket_that_would_share_the_address_cannot() {
    if under_wine() {
        left_out("Wine shares addresses by the rules of the system below it");
        return;
    }
    let (events, server) = listening();
    let thief = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    thief.set_reuse_address(true).expect("SO_REUSEADDR");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port()));
    let error = thief.bind(&address.into()).expect_err("the address is the server's alone");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a_listening_socket_of_the_host_is_adopted_and_accepts() {
    let events = Loop::new();
    let server = Server::new(&events);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    ok(ss_adopt(server.0, listener.into_raw_socket() as i64, true));
    let expected = ServerState {
        bound: true,
        listening: true,
        address: Some("127.0.0.1".to_owned()),
        port: address.port().into(),
    };
    assert_eq!(server.state(), expected);
    assert!(!inherited(&server));
    let accepted = server.keep_accepted();
    let mut peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    peer.write_all(b"hello").expect("it is connected");
    events.pump_until(|| accepted.last().available() == 5);
}

#[test]
fn what_is_no_listening_socket_is_refused_and_stays_the_hosts() {
    let events = Loop::new();
    let server = Server::new(&events);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let socket = listener.as_raw_socket() as i64;
    fails(ss_adopt(server.0, socket, false), SS_ERR_ARGUMENT, 2004); // it listens already
    for garbage in [-1, 0, 0x7fff_fff0] {
        fails_with(ss_adopt(server.0, garbage, true), SS_ERR_IO, 2002, WSAENOTSOCK);
    }
    assert_eq!(server.state(), unbound());
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it still listens");
    let (mut accepted, _) = listener.accept().expect("one waits");
    client.write_all(b"x").expect("connected");
    accepted.read_exact(&mut [0]).expect("connected");
}

#[test]
fn a_peer_that_is_reset_before_it_is_accepted_closes_no_server() {
    let (events, server, accepted) = serving();
    for _ in 0..200 {
        reset(server.client());
    }
    events.settle();
    let _peer = server.client();
    let before = accepted.len();
    events.pump_until(|| accepted.len() > before);
    assert!(server.state().listening);
}

/// A server whose host closes its socket behind its back.
#[test]
fn a_socket_that_is_closed_from_outside_is_one_close_event() {
    use windows_sys::Win32::Networking::WinSock::closesocket;
    in_own_process!(|| {
        let (events, server) = listening();
        server.keep_accepted();
        let log = Log::default();
        on(&server, CLOSE, log.adds("close"));
        events.settle();
        assert_eq!(unsafe { closesocket(native_handle(&server).expect("a socket") as usize) }, 0);
        events.pump_until(|| log.len() > 0);
        events.settle();
        assert_eq!(log.take(), ["close"]);
        assert_eq!(server.state(), unbound());
    });
}

/// The way to host a loop that docs/PLATFORMS.md describes: a thread of its own that waits in ss_loop_run, while
/// others reach it with ss_loop_post and end it with ss_loop_stop.
#[test]
fn a_loop_on_a_thread_of_its_own_is_reached_by_posts() {
    let (to_host, from_loop) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let (events, server) = listening();
        on(&server, CONNECT, |event| {
            ok(retain(event.socket()));
            on(event.socket(), SOCKET_DATA, |event| Socket(event.target().cast()).echo());
        });
        to_host.send((AnyThread::new(events.0), server.port())).expect("the host waits");
        ok(ss_loop_run(events.0));
        rethrow();
    });
    let (events, port) = from_loop.recv_timeout(DEADLINE).expect("it listens");
    let mut peer = client(&format!("127.0.0.1:{port}"));
    peer.write_all(b"hello").expect("it is connected");
    let mut answer = [0; 5];
    peer.read_exact(&mut answer).expect("it echoes");
    assert_eq!(&answer, b"hello");
    let (to_host, from_task) = std::sync::mpsc::channel();
    ok(try_post(events.get(), move || to_host.send(()).expect("the host waits")));
    from_task.recv_timeout(DEADLINE).expect("the task runs");
    ok(ss_loop_stop(events.get()));
    thread.join().expect("the loop ends");
}
