// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a listener may do to the secure socket that it hears of: everything, at any time.

use crate::fixture::*;
use server_socket::*;
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;
use support::*;

/// What an action may need besides the socket.
#[derive(Clone, Copy)]
struct Stage {
    server: *mut ss_server,
    port: u16,
    trust: *mut ss_tls,
}

type Action = (&'static str, fn(Stage, Socket));

const ACTIONS: [Action; 9] = [
    ("close", |_, socket| either_way(socket.close())),
    ("abort", |_, socket| either_way(socket.abort())),
    ("release", |_, socket| either_way(release(socket))),
    ("shutdown", |_, socket| either_way(socket.shutdown())),
    ("write and close", |_, socket| {
        either_way(socket.write(&pattern(100_000)));
        either_way(socket.close());
    }),
    ("make plain", |_, socket| either_way(plain(socket))),
    ("make secure again", |stage, socket| {
        either_way(unsafe { ss_set_tls(socket.object(), stage.trust, c"localhost".as_ptr()) });
    }),
    ("connect anew", |stage, socket| {
        either_way(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), stage.port.into()) });
    }),
    ("close the server", |stage, socket| {
        either_way(ss_close(stage.server));
        either_way(socket.close());
    }),
];

/// Has `act` done the first time that a listener of that kind is called.
fn watch(socket: Socket, kind: &CStr, done: &Rc<Cell<usize>>, stage: Stage, act: fn(Stage, Socket)) {
    let done = done.clone();
    on(socket, kind, move |_| {
        if done.get() == 0 {
            increment(&done);
            act(stage, socket);
        }
    });
}

/// A conversation in which `act` is done in a listener of `kind`, on one of the sides.
fn converse(kind: &'static CStr, on_server: bool, act: fn(Stage, Socket)) {
    let (authority, identity) = localhost();
    let events = Loop::new();
    let server = Server::listening(&events);
    let (tls, trust) = (Tls::of(&identity), Tls::trusting(&authority.certificate));
    ok(tls.secure(&server));
    let accepted = Rc::new(RefCell::new(Vec::new()));
    on(&server, CONNECT, {
        let accepted = accepted.clone();
        move |event| {
            let socket = event.socket();
            ok(ss_socket_keep(socket.0));
            on(socket, SOCKET_DATA, move |_| either_way(socket.write(&socket.read_all())));
            accepted.borrow_mut().push(socket);
        }
    });
    let client = Client::new(&events, &trust, None);
    let done = shared::<usize>();
    let stage = Stage { server: server.0, port: server.port(), trust: trust.0 };
    if on_server {
        let done = done.clone();
        on(&server, CONNECT, move |event| {
            if kind == CONNECT {
                increment(&done);
                act(stage, event.socket());
            } else {
                watch(event.socket(), kind, &done, stage, act);
            }
        });
    } else {
        watch(client.socket, kind, &done, stage, act);
    }
    on(client.socket, CONNECT, {
        let socket = client.socket;
        move |_| either_way(socket.write(b"hello"))
    });
    client.connect(c"localhost", server.port());
    events.pump_until(|| done.get() > 0 || client.received.borrow().len() == 5);
    if kind == CLOSE {
        let other = if on_server { client.socket } else { accepted.borrow()[0] };
        ok(other.close());
    }
    events.pump_until(|| done.get() > 0);
    either_way(client.socket.close());
    accepted.borrow().iter().for_each(|socket| either_way(socket.close()));
    drop(client);
    events.pump_until(|| {
        let figures = server.figures();
        figures.open + figures.lingering == 0
    });
}

#[test]
fn everything_may_be_done_to_a_secure_socket_in_every_listener() {
    for kind in [CONNECT, SOCKET_DATA, OUTPUT_PROGRESS, CLOSE] {
        for on_server in [false, true] {
            for action in ACTIONS {
                println!("{kind:?}, {}: {}", if on_server { "server" } else { "client" }, action.0);
                converse(kind, on_server, action.1);
            }
        }
    }
    assert_eq!((ss_object_count(SS_KIND_SOCKET), ss_object_count(SS_KIND_TLS)), (0, 0));
}
