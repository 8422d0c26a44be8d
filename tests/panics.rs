// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fault inside the library that shows as a panic, at every place that a conversation comes to: it is the answer of
//! one call, the host lives, and everything else goes on.
//!
//! Needs the feature `inject-panic`: `cargo test --features inject-panic --test panics`.

#![cfg(all(unix, feature = "inject-panic"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

#[cfg(feature = "tls")]
#[path = "tls/certificates.rs"]
#[expect(dead_code, reason = "the room of TLS has more cases")]
mod certificates;
#[cfg(feature = "tls")]
#[path = "tls/fixture.rs"]
#[expect(dead_code, reason = "the room of TLS has more cases")]
mod fixture;
#[cfg(feature = "tls")]
#[path = "panics/secure.rs"]
mod secure;

use server_socket::{inject, *};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::*;

/// One conversation at a time: there is one log for a process, and it is told of every panic.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns until `done`; one of them may be the one that panics. Returns false if it never comes to it.
fn pump(events: *mut ss_loop, panics: &Cell<usize>, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        note(panics, unsafe { ss_loop_poll(events, 1, null_mut()) });
        rethrow();
    }
    true
}

/// Takes note of a panic; every other answer of a call will do.
fn note(panics: &Cell<usize>, status: ss_status) -> bool {
    if status == SS_ERR_PANIC {
        increment(panics);
    }
    status == SS_OK
}

/// An accepted socket that echoes, and its peer.
struct Echo {
    socket: Kept,
    peer: TcpStream,
    closes: Rc<Cell<usize>>,
}

impl Echo {
    fn new(events: &Loop, panics: &Rc<Cell<usize>>) -> Echo {
        let server = Server::listening(events);
        let accepted = server.keep_accepted();
        let peer = server.client();
        events.pump_until(|| accepted.len() == 1);
        let socket = accepted.last().keep();
        accepted.clear();
        let closes = shared::<usize>();
        on(*socket, SOCKET_DATA, {
            let panics = panics.clone();
            move |event| echo(Socket(event.target().cast()), &panics)
        });
        on(*socket, CLOSE, {
            let closes = closes.clone();
            move |_| increment(&closes)
        });
        Echo { socket, peer, closes }
    }

    /// A round: whether the answer came, whole.
    #[track_caller]
    fn converse(&self, events: *mut ss_loop, panics: &Cell<usize>) -> bool {
        self.converse_until(events, panics, 10)
    }

    /// A round, after which so many bytes must have come.
    #[track_caller]
    fn converse_until(&self, events: *mut ss_loop, panics: &Cell<usize>, length: usize) -> bool {
        let mut peer = &self.peer;
        if peer.write_all(b"a question").is_err() {
            return false;
        }
        peer.set_nonblocking(true).expect("non-blocking");
        let (mut answer, mut over) = (Vec::new(), false);
        let came = pump(events, panics, || {
            let mut buffer = [0; 100];
            match peer.read(&mut buffer) {
                Ok(0) => over = true,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) => over = error.kind() != std::io::ErrorKind::WouldBlock,
            }
            over || answer.len() >= length
        });
        peer.set_nonblocking(false).expect("blocking");
        // Twice, if the first was not answered in its round.
        assert!(b"a questiona question".starts_with(&answer), "another answer: {}", answer.escape_ascii());
        assert!(came || panics.get() > 0, "neither an answer nor an end");
        answer.len() >= length
    }
}

fn echo(socket: Socket, panics: &Cell<usize>) {
    let mut length = 0;
    let bytes = unsafe { ss_socket_peek(socket.0, &mut length) };
    if note(panics, unsafe { ss_socket_write_bytes(socket.0, bytes.cast(), length) }) {
        note(panics, socket.skip(length));
    }
}

/// Calls of every kind, on things that are nobody else's.
fn calls(events: &Loop, panics: &Rc<Cell<usize>>) {
    let server = ss_new(events.0);
    let quiet = |_: Event| {};
    let callback = Callback::new(quiet);
    let listening =
        note(panics, unsafe { ss_bind(server, 0, c"127.0.0.1".as_ptr()) }) && note(panics, ss_listen(server, 0));
    let word = callback.user_data();
    extern "C-unwind" fn keep(event: *mut ss_event, _: *mut std::ffi::c_void) {
        ss_retain(ss_event_socket(event).cast());
        ACCEPTED.set(ss_event_socket(event));
    }
    thread_local!(static ACCEPTED: Cell<*mut ss_socket> = const { Cell::new(null_mut()) });
    note(panics, unsafe { ss_add_listener(server.cast(), CONNECT.as_ptr(), Some(keep), word, false, 0) });
    let client =
        listening.then(|| TcpStream::connect(("127.0.0.1", ss_local_port(server) as u16)).expect("it listens"));
    for _ in 0..5 {
        note(panics, unsafe { ss_loop_poll(events.0, 0, null_mut()) });
    }
    let accepted = ACCEPTED.replace(null_mut());
    note(panics, unsafe { ss_socket_write_utf(accepted, c"text".as_ptr()) });
    let value = ss_value_new(SS_VALUE_ARRAY);
    note(panics, ss_socket_write_object(accepted, value));
    note(panics, ss_release(value.cast()));
    note(panics, ss_socket_flush(accepted));
    let event = unsafe { ss_event_new(c"mine".as_ptr(), false, false) };
    note(panics, unsafe { ss_add_listener(server.cast(), c"mine".as_ptr(), Some(keep_nothing), word, false, 0) });
    note(panics, unsafe { ss_dispatch_event(server.cast(), event, null_mut()) });
    note(panics, unsafe { ss_remove_listener(server.cast(), c"mine".as_ptr(), Some(keep_nothing), word, false) });
    note(panics, ss_release(event.cast()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let outbound = ss_socket_new(events.0);
    note(panics, unsafe { ss_socket_connect(outbound, c"127.0.0.1".as_ptr(), port.into()) });
    for _ in 0..3 {
        note(panics, unsafe { ss_loop_poll(events.0, 0, null_mut()) });
    }
    note(panics, ss_socket_close(outbound));
    note(panics, ss_socket_abort(accepted));
    note(panics, ss_close(server));
    for object in [outbound.cast(), accepted.cast(), server.cast::<std::ffi::c_void>()] {
        note(panics, ss_release(object));
    }
    drop(client);
}

extern "C-unwind" fn keep_nothing(_: *mut ss_event, _: *mut std::ffi::c_void) {}

/// What the log function was told of panics, and what the library answered it meanwhile.
struct Witness {
    socket: Socket,
    events: *mut ss_loop,
    told: Cell<usize>,
    answered: Cell<usize>,
}

struct Unheard;

impl Drop for Unheard {
    fn drop(&mut self) {
        ok(unsafe { ss_set_log(None, null_mut()) });
    }
}

/// A log function may use the library as any other of the host's: whoever fails has put everything back before.
extern "C-unwind" fn hear(level: i32, message: *const std::ffi::c_char, witness: *mut std::ffi::c_void) {
    let witness = unsafe { &*witness.cast::<Witness>() };
    if let Some(text) = text(message).filter(|text| text.contains("on purpose")) {
        println!("{}", text.replace('\n', " "));
        increment(&witness.told);
        let mut value = 0;
        let wakes = ss_loop_wake(witness.events) == SS_OK;
        let reads = unsafe { ss_get_option(witness.socket.object(), SS_OPT_NO_DELAY, &mut value) } == SS_OK;
        if level == SS_LOG_ERROR && wakes && reads && witness.socket.connected() {
            increment(&witness.answered);
        }
    }
}

/// One conversation with everything in it. The `point`th place that it comes to panics. Returns how many there were.
fn conversation(point: u64) -> u64 {
    let _alone = alone();
    let panics = shared::<usize>();
    let (events, other_loop) = (Loop::new(), Loop::new());
    let partner = Echo::new(&events, &panics);
    let bystander = Echo::new(&events, &panics);
    let elsewhere = Echo::new(&other_loop, &panics);
    let scribe = Echo::new(&events, &panics);
    // What the poller says of a new connection is heard before: who is served when it happens is not a bystander.
    events.settle();
    let tasks = shared::<usize>();
    for _ in 0..3 {
        let (tasks, socket, panics) = (tasks.clone(), *scribe.socket, panics.clone());
        post(events.0, move || {
            increment(&tasks);
            note(&panics, socket.write(b"sent when the task has ended"));
        });
    }

    let witness = Witness { socket: *bystander.socket, events: events.0, told: Cell::new(0), answered: Cell::new(0) };
    ok(unsafe { ss_set_log(Some(hear), (&raw const witness).cast_mut().cast()) });
    let _unheard = Unheard;
    inject::arm(point);
    let answered = partner.converse(events.0, &panics);
    calls(&events, &panics);
    let passed = inject::passed();
    inject::arm(0);

    // The loop is no other than before, nor are those who had nothing to do with it.
    let expected = usize::from(point <= passed);
    // The call that panicked may have been one whose answer is no status.
    assert!(panics.get() <= expected, "point {point}: {} panics", panics.get());
    let happened = usize::from((1..=passed).contains(&point));
    assert_eq!(witness.told.get(), happened, "point {point}: messages");
    assert_eq!(witness.answered.get(), happened, "point {point}: the library did not answer the log function");
    assert!(elsewhere.converse(other_loop.0, &panics), "point {point}: another loop stands still");
    assert!(bystander.converse(events.0, &panics), "point {point}: another connection stands still");
    assert!(pump(events.0, &panics, || tasks.get() == 3), "point {point}: {} of 3 tasks ran", tasks.get());
    if !answered {
        // What was being served when it happened is over, and both sides know.
        assert!(expected == 1, "point {point}: no answer without a panic");
        let ended = pump(events.0, &panics, || !partner.socket.connected() && partner.closes.get() == 1);
        // If it goes on nothing is missing: the answer to the first question comes as well.
        let goes_on = || partner.converse_until(events.0, &panics, 20);
        assert!(ended || goes_on(), "point {point}: it neither ends nor goes on");
    }
    let newcomer = Echo::new(&events, &panics);
    assert!(newcomer.converse(events.0, &panics), "point {point}: nobody new is served");
    // Nothing is counted as a listener that still runs: destructors are not kept waiting, turns not refused.
    let destroyed = shared::<usize>();
    struct Counts(Rc<Cell<usize>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            increment(&self.0);
        }
    }
    let counts = Counts(destroyed.clone());
    on(*bystander.socket, c"mine", move |_| drop(counts.0.clone())).remove();
    assert_eq!(destroyed.get(), 1, "point {point}: a destructor waits for a listener that does not run");
    passed
}

#[test]
fn a_panic_at_any_place_is_the_answer_of_one_call_and_everything_else_goes_on() {
    let _watchdog = Watchdog::new();
    let points = conversation(u64::MAX);
    assert!(points > 60, "only {points} places");
    let before = open_descriptors();
    for point in 1..=points {
        conversation(point);
    }
    println!(
        "a panic at each of {points} places; descriptors left by them: {}",
        open_descriptors() as i64 - before as i64
    );
}

#[test]
fn without_being_armed_nothing_panics() {
    assert!(conversation(0) > 60);
}
