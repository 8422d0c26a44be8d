// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server and a client that speak TLS, on one loop, while one larger allocation fails. What rustls allocates for itself ends the
//! process, as Rust has it; it is named in the test's figures.

use super::certificates::{Authority, Identity};
use super::{ALL, VICTIM, again, again_for, keep_all, library, turn};
use server_socket::*;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::Instant;
use support::*;

thread_local! {
    /// The client has heard of an end, or of an error.
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
}

extern "C-unwind" fn hear_end(_: *mut ss_event, _: *mut c_void) {
    IS_OVER.set(true);
}

fn identity() -> &'static (Authority, Identity) {
    static IDENTITY: OnceLock<(Authority, Identity)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let authority = Authority::new("test authority");
        let identity = authority.issue(&["localhost"]);
        (authority, identity)
    })
}

/// What makes a server secure, and its clients trust it.
fn made() -> *mut ss_tls {
    let (authority, identity) = identity();
    let (chain, key, trusted) = (&identity.chain, &identity.key, &authority.certificate);
    let tls = again_for(|| ss_tls_new());
    let parts = (chain.as_ptr().cast(), chain.len(), key.as_ptr().cast(), key.len());
    again(|| unsafe { ss_tls_set_identity(tls, null(), parts.0, parts.1, parts.2, parts.3) });
    again(|| unsafe { ss_tls_add_certificate(tls, trusted.as_ptr().cast(), trusted.len(), true) });
    tls
}

fn new_client(events: &Loop) -> Socket {
    let socket = Socket(again_for(|| ss_socket_new(events.0)));
    for kind in [CLOSE, IO_ERROR] {
        again(|| unsafe { ss_add_listener(socket.object(), kind.as_ptr(), Some(hear_end), null_mut(), false, 0) });
    }
    socket
}

fn connect(events: &Loop, socket: Socket, port: u16) {
    IS_OVER.set(false);
    again(|| unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), port.into()) });
    until(events, || socket.connected());
}

fn secure(socket: Socket, tls: *mut ss_tls) {
    again(|| unsafe { ss_set_tls(socket.object(), tls, c"localhost".as_ptr()) });
}

/// Turns until then, or until the client's end.
fn until(events: &Loop, is_done: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_done() && !IS_OVER.get() {
        assert!(Instant::now() < deadline, "it neither goes on nor ends");
        turn(events);
    }
}

/// The one that was accepted last.
fn accepted() -> Option<Socket> {
    ALL.with(|all| all.borrow().last().copied())
}

/// As [`again`], where the connection may have been given up. Returns whether it was not.
fn again_if_connected(mut call: impl FnMut() -> ss_status) -> bool {
    let mut status = library(&mut call);
    if status == SS_ERR_NO_MEMORY {
        status = library(&mut call);
    }
    assert!(status == SS_OK || status == SS_ERR_IO, "{status:?}: {}", last_detail());
    status == SS_OK
}

/// The client writes, and the server writes it back. Both may end before.
fn echo(events: &Loop, client: Socket, length: usize) -> bool {
    let bytes = pattern(length);
    until(events, || accepted().is_some());
    let Some(server) = accepted() else { return false };
    if !again_if_connected(|| client.write(&bytes)) {
        return false;
    }
    until(events, || server.available() == length || !server.connected());
    if server.available() < length {
        return false;
    }
    assert!(server.read_all() == bytes, "other bytes");
    if !again_if_connected(|| server.write(&bytes)) {
        return false;
    }
    until(events, || client.available() == length);
    if client.available() < length {
        return false;
    }
    assert!(client.read_all() == bytes, "other bytes");
    true
}

fn forget_accepted() {
    ALL.with(std::cell::RefCell::take).into_iter().for_each(|socket| either_way(ss_release(socket.object())));
}

pub fn conversation() {
    let events = Loop::new();
    let tls = made();
    let plain = Server::listening(&events);
    let server = Server::listening(&events);
    for server in [&plain, &server] {
        ok(unsafe { ss_add_listener(server.object(), CONNECT.as_ptr(), Some(keep_all), null_mut(), false, 0) });
    }
    ok(unsafe { ss_set_tls(server.object(), tls, null()) });
    let client = new_client(&events);
    secure(client, tls);
    connect(&events, client, server.port());
    if client.connected() {
        echo(&events, client, 100_000);
        again_if_connected(|| client.close());
        turn(&events);
    }
    forget_accepted();
    // STARTTLS, the handshake's beginning behind a few plain bytes that are not read yet.
    let middle = new_client(&events);
    connect(&events, middle, plain.port());
    until(&events, || accepted().is_some());
    if let Some(socket) = accepted().filter(|_| middle.connected()) {
        secure(middle, tls);
        turn(&events);
        if again_if_connected(|| unsafe { ss_set_tls(socket.object(), tls, null()) }) {
            echo(&events, middle, 5_000);
        }
    }
    forget_accepted();
    // Whatever failed, the loop serves the next one.
    VICTIM.set(0);
    for socket in [client, middle] {
        either_way(ss_release(socket.object()));
    }
    events.settle();
    let last = new_client(&events);
    secure(last, tls);
    connect(&events, last, server.port());
    assert!(last.connected() && echo(&events, last, 10), "nobody is served any more");
    forget_accepted();
    either_way(ss_release(last.object()));
    ok(library(|| ss_release(tls.cast())));
}
