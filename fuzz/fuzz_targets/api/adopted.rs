// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of the program's that become the library's.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::*;

/// Two ends of a connection, of which the first is for the library.
fn pair(unix: bool) -> (OwnedFd, Stream, Option<(i32, i32)>) {
    if unix {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        return (ours.into(), Stream::Unix(theirs), None);
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let ours = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
    let ends = ours.local_addr().expect("it is connected").port().into();
    let (stream, ends) = match Target::Tcp(listener).accept() {
        (stream, Some((_, port))) => (stream, (ends, port)),
        _ => unreachable!("it is TCP's"),
    };
    (ours.into(), stream, Some(ends))
}

/// A socket takes over a connection, or what is none.
pub fn adopt_connection() {
    let choice = byte();
    let id = good!(Wanted::Socket, |handle| ss_socket_adopt(handle, -1));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    if choice & 0x70 == 0 {
        let expected = match with(|trial| trial.model.sockets[index].state.is_free()) {
            Some(true) => [SS_ERR_ARGUMENT, SS_ERR_ARGUMENT],
            Some(false) => [SS_ERR_IO, SS_ERR_IO],
            None => [SS_ERR_ARGUMENT, SS_ERR_IO],
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(expected.contains(&ss_socket_adopt(handle, listener.as_raw_fd().into())));
        assert_eq!(ss_socket_adopt(handle, -1), SS_ERR_IO);
        return check_socket(index);
    }
    if with(|trial| trial.peers >= 40) {
        return;
    }
    let (descriptor, stream, ends) = pair(choice & 1 == 1);
    let status = ss_socket_adopt(handle, descriptor.as_raw_fd().into());
    match with(|trial| trial.model.sockets[index].state.is_free()) {
        Some(free) => assert_eq!(status, if free { SS_OK } else { SS_ERR_IO }),
        None => assert!([SS_OK, SS_ERR_IO].contains(&status)),
    }
    if status != SS_OK {
        return check_socket(index);
    }
    let descriptor = i64::from(descriptor.into_raw_fd());
    with(|trial| {
        trial.peers += 1;
        let number = trial.peers;
        trial.model.leave(index);
        let socket = &mut trial.model.sockets[index];
        socket.begin(State::Connected, number);
        (socket.server, socket.ends, socket.unix, socket.local) = (None, ends, ends.is_none(), c"127.0.0.1");
        socket.peer = Some(Peer::new(stream, number));
        socket.note_half_open();
    });
    // Nobody else can have it.
    assert!([SS_ERR_ARGUMENT, SS_ERR_IO].contains(&ss_socket_adopt(handle, descriptor)));
    check_socket(index);
}

/// A server takes over a socket that is bound already.
pub fn adopt_server() {
    let choice = byte();
    let (unix, listening) = (choice & 1 == 1, choice & 2 == 0);
    let id = good!(Wanted::Server, |handle| ss_adopt(handle, -1, listening));
    let Id::Server(index) = id else { unreachable!() };
    let name = ends::name();
    let (descriptor, port): (OwnedFd, u16) = match unix {
        true => (ends::listener_at(&name).into(), 0),
        false => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("an address").port();
            (listener.into(), port)
        }
    };
    let expected = with(|trial| match (trial.model.servers[index].state, listening) {
        (ServerState::Fresh, true) => SS_OK,
        (ServerState::Fresh, false) => SS_ERR_ARGUMENT,
        _ => SS_ERR_IO,
    });
    assert_eq!(ss_adopt(pointer(id), descriptor.as_raw_fd().into(), listening), expected);
    if expected == SS_OK {
        let _ = descriptor.into_raw_fd();
        with(|trial| {
            let server = &mut trial.model.servers[index];
            (server.state, server.port, server.backlog) = (ServerState::Listening, port.into(), 8);
            server.path = unix.then(|| std::ffi::CString::new(format!("@{name}")).expect("no NUL"));
        });
    }
    check_server(index);
}
