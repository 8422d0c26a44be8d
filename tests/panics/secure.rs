// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same over TLS: a server and a client of the library's, on one loop, whose handshake, question, answer and end one panic
//! interrupts, and a connection that becomes secure in the middle.

use super::certificates::{Authority, Identity};
use super::fixture::{Client, Tls, localhost};
use super::{alone, note, pump};
use server_socket::{inject, *};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::rc::Rc;
use support::*;

thread_local! {
    /// How many calls of listeners were answered with SS_ERR_PANIC.
    static IN_LISTENERS: Cell<usize> = const { Cell::new(0) };
}

fn noted(status: ss_status) -> bool {
    IN_LISTENERS.with(|panics| note(panics, status))
}

/// As the documents have it: after SS_ERR_PANIC it is not known how far a call came, and the socket is aborted. Returns whether it was.
fn abort_unless(status: ss_status, socket: Socket) -> bool {
    let fails = !noted(status);
    if fails {
        noted(ss_socket_abort(socket.0));
    }
    fails
}

extern "C-unwind" fn accept(event: *mut ss_event, _: *mut c_void) {
    let socket = ss_event_socket(event);
    if !abort_unless(ss_socket_keep(socket), Socket(socket)) {
        let listener =
            unsafe { ss_add_listener(socket.cast(), SOCKET_DATA.as_ptr(), Some(echo), null_mut(), false, 0) };
        abort_unless(listener, Socket(socket));
    }
}

extern "C-unwind" fn echo(event: *mut ss_event, _: *mut c_void) {
    let socket = Socket(ss_event_target(event).cast());
    let mut length = 0;
    let bytes = unsafe { ss_socket_peek(socket.0, &mut length) };
    if !abort_unless(unsafe { ss_socket_write_bytes(socket.0, bytes.cast(), length) }, socket) {
        abort_unless(socket.skip(length), socket);
    }
}

/// A server that echoes.
fn server(events: &Loop, tls: Option<&Tls>) -> Server {
    let server = Server::listening(events);
    ok(ss_set_option(server.object(), SS_OPT_HANDSHAKE_TIMEOUT, 300));
    ok(unsafe { ss_add_listener(server.object(), CONNECT.as_ptr(), Some(accept), null_mut(), false, 0) });
    if let Some(tls) = tls {
        ok(tls.secure(&server));
    }
    server
}

/// A client that asks when it is connected, and may close when it has its answer.
struct Asker {
    socket: Socket,
    answer: Rc<RefCell<Vec<u8>>>,
    is_over: Rc<Cell<bool>>,
}

const QUESTION: &[u8] = b"a question";

impl Asker {
    fn new(events: &Loop, closes: bool) -> Asker {
        let socket = Socket(ss_socket_new(events.0));
        let (answer, is_over) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
        ok(ss_set_option(socket.object(), SS_OPT_HANDSHAKE_TIMEOUT, 300));
        on(socket, CONNECT, {
            let is_over = is_over.clone();
            move |_| is_over.set(is_over.get() || abort_unless(socket.write(QUESTION), socket))
        });
        on(socket, SOCKET_DATA, {
            let (answer, is_over) = (answer.clone(), is_over.clone());
            move |_| {
                let mut room = [0; 100];
                let length = unsafe { ss_socket_read(socket.0, room.as_mut_ptr().cast(), room.len()) };
                if length == 0 && abort_unless(ss_last_status(), socket) {
                    is_over.set(true);
                }
                answer.borrow_mut().extend_from_slice(&room[..length]);
                if closes && answer.borrow().len() >= QUESTION.len() {
                    noted(socket.close());
                }
            }
        });
        for kind in [CLOSE, IO_ERROR] {
            let is_over = is_over.clone();
            on(socket, kind, move |_| is_over.set(true));
        }
        Asker { socket, answer, is_over }
    }

    /// Asks, and turns until there is the whole answer, or an end. Returns whether it was answered.
    #[track_caller]
    fn ask(&self, events: &Loop, panics: &Cell<usize>, tls: Option<&Tls>, port: u16) -> bool {
        let secured = tls.is_none_or(|tls| note(panics, tls.secure_as(self.socket, Some(c"localhost"))));
        let begun =
            secured && note(panics, unsafe { ss_socket_connect(self.socket.0, c"127.0.0.1".as_ptr(), port.into()) });
        let is_done = || self.answer.borrow().len() >= QUESTION.len() || self.is_over.get();
        let done = !begun || pump(events.0, panics, is_done);
        assert!(done, "neither answered nor over: {:?}, connected {}", self.answer, self.socket.connected());
        assert!(QUESTION.starts_with(&self.answer.borrow()), "another answer: {:?}", self.answer);
        self.answer.borrow().len() == QUESTION.len()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        either_way(release(self.socket));
    }
}

/// Calls of every kind.
fn calls(panics: &Cell<usize>, authority: &Authority, identity: &Identity) {
    let tls = ss_tls_new();
    let (chain, key, trusted) = (&identity.chain, &identity.key, &authority.certificate);
    let parts = (chain.as_ptr().cast(), chain.len(), key.as_ptr().cast(), key.len());
    note(panics, unsafe { ss_tls_set_identity(tls, null(), parts.0, parts.1, parts.2, parts.3) });
    note(panics, unsafe { ss_tls_add_certificate(tls, trusted.as_ptr().cast(), trusted.len(), true) });
    note(panics, unsafe { ss_tls_set_protocols(tls, c"h2".as_ptr()) });
    note(panics, unsafe { ss_tls_set_ticket_secret(tls, [1_u8; 32].as_ptr().cast(), 32) });
    note(panics, ss_release(tls.cast()));
}

/// What a plain connection does to become secure on both sides.
fn start_tls(events: &Loop, panics: &Cell<usize>, pair: &Asker, accepted: Socket, tls: &Tls, trust: &Tls) {
    if note(panics, tls.secure(accepted)) && note(panics, trust.secure_as(pair.socket, Some(c"localhost"))) {
        // The socket's connect event asks.
        pump(events.0, panics, || pair.answer.borrow().len() >= QUESTION.len() || pair.is_over.get());
    } else {
        note(panics, ss_socket_abort(accepted.0));
    }
    assert!(QUESTION.starts_with(&pair.answer.borrow()), "another answer: {:?}", pair.answer);
}

/// One conversation with everything in it. The `point`th place that it comes to panics. Returns how many there were.
fn conversation(point: u64) -> u64 {
    let _alone = alone();
    let panics = shared::<usize>();
    let events = Loop::new();
    let (authority, identity) = localhost();
    let (tls, trust) = (Tls::of(&identity), Tls::trusting(&authority.certificate));
    let (secure, plain) = (server(&events, Some(&tls)), server(&events, None));
    let bystander = Client::new(&events, &trust, Some(c"localhost"));
    assert!(bystander.connect(c"127.0.0.1", secure.port()).settle(&events).starts_with("connect"));
    assert_eq!(bystander.ask(&events, b"before"), b"before");
    let accepted = plain.keep_accepted();
    let middle = Asker::new(&events, false);
    assert!(middle.ask(&events, &panics, None, plain.port()));
    middle.answer.borrow_mut().clear();
    let partner = Asker::new(&events, true);
    let distrustful = Asker::new(&events, true);
    let stranger = Tls::new();
    events.settle();
    IN_LISTENERS.set(0);

    inject::arm(point);
    let answered = partner.ask(&events, &panics, Some(&trust), secure.port());
    let deceived = distrustful.ask(&events, &panics, Some(&stranger), secure.port());
    calls(&panics, &authority, &identity);
    if middle.socket.connected() {
        start_tls(&events, &panics, &middle, accepted.get(0), &tls, &trust);
    }
    let passed = inject::passed();
    inject::arm(0);

    let expected = usize::from(point <= passed);
    let counted = panics.get() + IN_LISTENERS.get();
    assert!(counted <= expected, "point {point}: {counted} panics");
    assert!(answered || expected == 1, "point {point}: no answer without a panic");
    assert!(!deceived, "point {point}: a stranger was trusted");
    assert_eq!(bystander.ask(&events, b"after"), b"after", "point {point}: another connection stands still");
    let newcomer = Asker::new(&events, true);
    assert!(newcomer.ask(&events, &panics, Some(&trust), secure.port()), "point {point}: nobody new is served");
    let elsewhere = Loop::new();
    let other = Asker::new(&elsewhere, true);
    let other_server = server(&elsewhere, Some(&tls));
    assert!(other.ask(&elsewhere, &panics, Some(&trust), other_server.port()), "point {point}: another loop");
    passed
}

#[test]
fn a_panic_at_any_place_of_a_secure_conversation_is_the_answer_of_one_call_and_the_others_go_on() {
    let _watchdog = Watchdog::new();
    let points = conversation(u64::MAX);
    assert!(points > 100, "only {points} places");
    for point in 1..=points {
        conversation(point);
    }
    figure(format_args!("a panic at each of {points} places of a secure conversation"));
}
