// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a peer may send in TLS: bytes of its own, and what a client and a server of the library's say to each other with
//! somebody between them who changes it, cuts it in pieces or cuts it off.
//!
//! The first byte of the input says which. Nothing may panic, no call may fail that cannot, what is opened is what was written,
//! and in the end nobody is left.

#![no_main]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use std::time::Duration;

use server_socket::ss_status::*;
use server_socket::*;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    STAGE.with(|stage| if kind % 2 == 0 { stage.hear(rest) } else { stage.relay(rest) });
});

thread_local! {
    static STAGE: Stage = Stage::new();
}

/// What the client writes, and the server echoes.
const MESSAGE: &[u8] = b"what is written is what comes";

struct Stage {
    events: *mut ss_loop,
    server: *mut ss_server,
    trust: *mut ss_tls,
    front: TcpListener,
}

extern "C-unwind" fn on_log(level: i32, message: *const c_char, _: *mut c_void) {
    // SAFETY: a text, by contract.
    let message = unsafe { std::ffi::CStr::from_ptr(message) };
    assert!(level != SS_LOG_ERROR, "{message:?}");
}

extern "C-unwind" fn on_connect(event: *mut ss_event, _: *mut c_void) {
    let socket = ss_event_socket(event);
    assert_eq!(ss_socket_keep(socket), SS_OK);
    listen(socket.cast(), SOCKET_DATA, on_data);
}

extern "C-unwind" fn on_data(event: *mut ss_event, _: *mut c_void) {
    let socket = ss_event_target(event).cast();
    let mut length = 0;
    // SAFETY: taken and written within the listener.
    unsafe {
        let bytes = ss_socket_take(socket, &mut length);
        assert!(MESSAGE.starts_with(std::slice::from_raw_parts(bytes, length)), "nothing else was ever sealed");
        assert_eq!(ss_socket_write_bytes(socket, bytes.cast(), length), SS_OK);
    }
}

extern "C-unwind" fn on_connected(event: *mut ss_event, _: *mut c_void) {
    let socket = ss_event_target(event).cast();
    // SAFETY: a constant.
    assert_eq!(unsafe { ss_socket_write_bytes(socket, MESSAGE.as_ptr().cast(), MESSAGE.len()) }, SS_OK);
}

const SOCKET_DATA: *const c_char = c"socketData".as_ptr();

fn listen(
    target: *mut ss_object,
    kind: *const c_char,
    listener: unsafe extern "C-unwind" fn(*mut ss_event, *mut c_void),
) {
    // SAFETY: constants.
    assert_eq!(unsafe { ss_add_listener(target, kind, Some(listener), null_mut(), false, 0) }, SS_OK);
}

impl Stage {
    fn new() -> Stage {
        let identity = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
        let (chain, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
        let (events, tls, trust) = (ss_loop_new(), ss_tls_new(), ss_tls_new());
        let server = ss_new(events);
        // SAFETY: all of it lives through the calls.
        unsafe {
            assert_eq!(ss_set_log(Some(on_log), null_mut()), SS_OK);
            let (chain, key) = (chain.as_bytes(), key.as_bytes());
            let set =
                ss_tls_set_identity(tls, null(), chain.as_ptr().cast(), chain.len(), key.as_ptr().cast(), key.len());
            assert_eq!(set, SS_OK);
            assert_eq!(ss_tls_add_certificate(trust, chain.as_ptr().cast(), chain.len(), true), SS_OK);
            assert_eq!(ss_bind(server, 0, c"127.0.0.1".as_ptr()), SS_OK);
            assert_eq!(ss_set_tls(server.cast(), tls, null()), SS_OK);
        }
        listen(server.cast(), c"connect".as_ptr(), on_connect);
        assert_eq!(ss_listen(server, 0), SS_OK);
        Stage { events, server, trust, front: TcpListener::bind("127.0.0.1:0").expect("a port") }
    }

    fn connect(&self) -> TcpStream {
        let peer = TcpStream::connect(("127.0.0.1", ss_local_port(self.server) as u16)).expect("it listens");
        let _ = socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO));
        peer.set_nonblocking(true).expect("a socket");
        peer
    }

    fn turn(&self) {
        // SAFETY: no result is wanted.
        assert_eq!(unsafe { ss_loop_poll(self.events, 0, null_mut()) }, SS_OK);
    }

    /// A server that is told these bytes, in pieces of as many as the first says.
    fn hear(&self, data: &[u8]) {
        let Some((&size, bytes)) = data.split_first() else { return };
        let mut peer = self.connect();
        for piece in bytes.chunks(usize::from(size) * 8 + 1) {
            let _ = peer.write(piece);
            self.turn();
        }
        drop(peer);
        self.end();
    }

    /// A client and a server with somebody between them. Each change is three bytes: how far into what goes which way, and what becomes
    /// of the byte there: 0 is the end of all.
    fn relay(&self, data: &[u8]) {
        let socket = ss_socket_new(self.events);
        listen(socket.cast(), c"connect".as_ptr(), on_connected);
        let received = Rc::new(RefCell::new(Vec::new()));
        // SAFETY: constants, and a socket of ours.
        unsafe {
            assert_eq!(ss_set_tls(socket.cast(), self.trust, c"localhost".as_ptr()), SS_OK);
            let port = self.front.local_addr().expect("bound").port();
            assert_eq!(ss_socket_connect(socket, c"127.0.0.1".as_ptr(), port.into()), SS_OK);
        }
        let (client, _) = self.front.accept().expect("it connects");
        client.set_nonblocking(true).expect("a socket");
        let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
        let ways = [Way::new(0, data), Way::new(1, data)];
        let ends = [client, self.connect()];
        for _ in 0..24 {
            self.turn();
            let ended = ways[0].carry(&ends[0], &ends[1]) | ways[1].carry(&ends[1], &ends[0]);
            let mut bytes = [0_u8; 64];
            // SAFETY: so much room is there.
            let count = unsafe { ss_socket_read(socket, bytes.as_mut_ptr().cast(), bytes.len()) };
            received.borrow_mut().extend_from_slice(&bytes[..count]);
            if ended || received.borrow().len() >= MESSAGE.len() {
                break;
            }
        }
        assert!(MESSAGE.starts_with(&received.borrow()), "what comes is what was written, or nothing");
        drop(ends);
        assert_eq!(ss_release(socket.cast()), SS_OK);
        self.end();
    }

    /// All connections end, and nobody is left.
    fn end(&self) {
        for _ in 0..10_000 {
            self.turn();
            let mut figures = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
            // SAFETY: a place of ours.
            assert_eq!(unsafe { ss_server_stats(self.server, &mut figures) }, SS_OK);
            if figures.open + figures.lingering == 0 && ss_object_count(SS_KIND_SOCKET) == 0 {
                return;
            }
        }
        panic!("somebody is left");
    }
}

/// What goes one way, and what becomes of it.
struct Way<'a> {
    number: u8,
    changes: &'a [u8],
    carried: Cell<usize>,
}

impl Way<'_> {
    fn new(number: u8, changes: &[u8]) -> Way<'_> {
        Way { number, changes, carried: Cell::new(0) }
    }

    /// Returns whether it is the end.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream) -> bool {
        let mut bytes = [0_u8; 4096];
        let count = match from.read(&mut bytes) {
            Ok(0) => return true,
            Ok(count) => count,
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        };
        let start = self.carried.get();
        self.carried.set(start + count);
        for change in self.changes.chunks_exact(3).filter(|change| change[0] & 1 == self.number) {
            let place = usize::from(u16::from_le_bytes([change[0] >> 1, change[1]]));
            if (start..start + count).contains(&place) {
                if change[2] == 0 {
                    return true;
                }
                bytes[place - start] ^= change[2];
            }
        }
        to.write_all(&bytes[..count]).is_err()
    }
}
