// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles and references: whatever a program hands in, and whatever it ends wherever, is answered and never
//! undefined.

use super::table;
use crate::listening;

use server_socket::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{CStr, c_void};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::ptr::{null, null_mut, without_provenance_mut};
use std::rc::Rc;
use std::thread;
use support::*;

// ---- Every function that takes a handle -----------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Loop,
    Server,
    Socket,
    Event,
    Timer,
    Tls,
    /// A server or a socket.
    Target,
    Any,
}

impl Takes {
    /// Whether an object of this kind is what it takes.
    fn fits(self, kind: Takes) -> bool {
        match self {
            Takes::Any => true,
            Takes::Target => [Takes::Server, Takes::Socket].contains(&kind),
            takes => takes == kind,
        }
    }
}

enum Answer {
    Status(fn(*mut c_void) -> ss_status),
    /// Whether a getter answered with nothing: 0, false, NULL.
    Nothing(fn(*mut c_void) -> bool),
}

struct Export {
    name: &'static str,
    takes: Takes,
    answer: Answer,
}

extern "C-unwind" fn listener(_: *mut ss_event, _: *mut c_void) {}
extern "C-unwind" fn task(_: *mut c_void) {}

/// A server on this thread's own loop, to dispatch events at.
fn bystander() -> *mut ss_server {
    thread_local!(static BYSTANDER: *mut ss_server = ss_new(null_mut()));
    BYSTANDER.with(|server| *server)
}

/// All of them, with otherwise good arguments.
fn exports() -> Vec<Export> {
    use Takes::{Any, Event, Loop, Server, Socket, Target, Timer, Tls};
    const TYPE: *const std::ffi::c_char = c"type".as_ptr();

    fn status(name: &'static str, takes: Takes, call: fn(*mut c_void) -> ss_status) -> Export {
        Export { name, takes, answer: Answer::Status(call) }
    }
    fn getter(name: &'static str, takes: Takes, call: fn(*mut c_void) -> bool) -> Export {
        Export { name, takes, answer: Answer::Nothing(call) }
    }
    /// A constructor that takes a handle fails as a status does.
    fn made<T>(handle: *mut T) -> bool {
        assert!(handle.is_null() || release(handle) == SS_OK);
        handle.is_null()
    }

    vec![
        status("ss_retain", Any, |h| ss_retain(h)),
        status("ss_release", Any, |h| ss_release(h)),
        status("ss_set_user_data", Any, |h| unsafe { ss_set_user_data(h, null_mut(), None) }),
        getter("ss_user_data", Any, |h| ss_user_data(h).is_null()),
        status("ss_native_handle", Target, |h| {
            let mut fd = -77;
            let status = unsafe { ss_native_handle(h, &mut fd) };
            assert!(status == SS_OK || fd == -77);
            status
        }),
        status("ss_add_listener", Target, |h| unsafe {
            ss_add_listener(h, TYPE, Some(listener), null_mut(), false, 0)
        }),
        status("ss_add_listener_full", Target, |h| unsafe {
            ss_add_listener_full(h, TYPE, Some(listener), null_mut(), None, false, 0)
        }),
        status("ss_remove_listener", Target, |h| unsafe {
            ss_remove_listener(h, TYPE, Some(listener), null_mut(), false)
        }),
        getter("ss_has_listener", Target, |h| unsafe { !ss_has_listener(h, TYPE) }),
        getter("ss_will_trigger", Target, |h| unsafe { !ss_will_trigger(h, TYPE) }),
        status("ss_dispatch_event (target)", Target, |h| {
            let event = support::Event::new(c"type", false, false);
            let (status, not_prevented) = try_dispatch(h, event);
            assert_eq!(not_prevented.is_some(), status == SS_OK);
            ok(release(event));
            status
        }),
        status("ss_dispatch_event (event)", Event, |h| try_dispatch(bystander(), support::Event(h.cast())).0),
        status("ss_loop_poll", Loop, |h| {
            let mut events = 77;
            let status = unsafe { ss_loop_poll(h.cast(), 0, &mut events) };
            assert!(status == SS_OK || events == 77);
            status
        }),
        status("ss_loop_run", Loop, |h| ss_loop_run(h.cast())),
        status("ss_loop_stop", Loop, |h| ss_loop_stop(h.cast())),
        status("ss_loop_wake", Loop, |h| ss_loop_wake(h.cast())),
        status("ss_loop_post", Loop, |h| unsafe { ss_loop_post(h.cast(), Some(task), null_mut(), None) }),
        status("ss_loop_fd", Loop, |h| {
            let mut fd = -77;
            let status = unsafe { ss_loop_fd(h.cast(), &mut fd) };
            assert!(status == SS_OK || fd == -77);
            status
        }),
        getter("ss_loop_timeout", Loop, |h| ss_loop_timeout(h.cast()) == 0),
        getter("ss_timer_new", Loop, |h| {
            made(unsafe { ss_timer_new(h.cast(), 1_000_000, 0, Some(task), null_mut(), None) })
        }),
        status("ss_timer_set", Timer, |h| ss_timer_set(h.cast(), 1_000_000, 0)),
        status("ss_timer_stop", Timer, |h| ss_timer_stop(h.cast())),
        status("ss_tls_set_identity", Tls, |h| unsafe {
            ss_tls_set_identity(h.cast(), null(), b"x".as_ptr().cast(), 1, b"x".as_ptr().cast(), 1)
        }),
        status("ss_tls_add_certificate", Tls, |h| unsafe {
            ss_tls_add_certificate(h.cast(), b"x".as_ptr().cast(), 1, true)
        }),
        status("ss_tls_set_protocols", Tls, |h| unsafe { ss_tls_set_protocols(h.cast(), c"x".as_ptr()) }),
        status("ss_tls_set_ticket_secret", Tls, |h| unsafe { ss_tls_set_ticket_secret(h.cast(), null(), 0) }),
        status("ss_set_tls (tls)", Tls, |h| {
            // NULL is an argument there: plain.
            let handle = if h.is_null() { without_provenance_mut(8) } else { h };
            unsafe { ss_set_tls(bystander().object(), handle.cast(), null()) }
        }),
        status("ss_set_tls (object)", Target, |h| unsafe { ss_set_tls(h, null_mut(), null()) }),
        getter("ss_socket_tls_version", Socket, |h| ss_socket_tls_version(h.cast()) == 0),
        getter("ss_socket_server_name", Socket, |h| ss_socket_server_name(h.cast()).is_null()),
        getter("ss_socket_protocol", Socket, |h| ss_socket_protocol(h.cast()).is_null()),
        getter("ss_socket_peer_certificate", Socket, |h| {
            let mut length = 77;
            unsafe { ss_socket_peer_certificate(h.cast(), 0, &mut length).is_null() && length == 0 }
        }),
        getter("ss_new", Loop, |h| made(ss_new(h.cast()))),
        getter("ss_socket_new", Loop, |h| made(ss_socket_new(h.cast()))),
        status("ss_bind", Server, |h| unsafe { ss_bind(h.cast(), 0, c"127.0.0.1".as_ptr()) }),
        status("ss_listen", Server, |h| ss_listen(h.cast(), 0)),
        status("ss_close", Server, |h| ss_close(h.cast())),
        getter("ss_bound", Server, |h| !ss_bound(h.cast())),
        getter("ss_listening", Server, |h| !ss_listening(h.cast())),
        getter("ss_local_address", Server, |h| ss_local_address(h.cast()).is_null()),
        getter("ss_local_port", Server, |h| ss_local_port(h.cast()) == 0),
        status("ss_socket_close", Socket, |h| ss_socket_close(h.cast())),
        status("ss_socket_abort", Socket, |h| ss_socket_abort(h.cast())),
        status("ss_socket_keep", Socket, |h| ss_socket_keep(h.cast())),
        status("ss_socket_flush", Socket, |h| ss_socket_flush(h.cast())),
        getter("ss_socket_connected", Socket, |h| !ss_socket_connected(h.cast())),
        getter("ss_socket_bytes_available", Socket, |h| ss_socket_bytes_available(h.cast()) == 0),
        getter("ss_socket_bytes_pending", Socket, |h| ss_socket_bytes_pending(h.cast()) == 0),
        getter("ss_socket_local_address", Socket, |h| ss_socket_local_address(h.cast()).is_null()),
        getter("ss_socket_remote_address", Socket, |h| ss_socket_remote_address(h.cast()).is_null()),
        getter("ss_socket_local_port", Socket, |h| ss_socket_local_port(h.cast()) == 0),
        getter("ss_socket_remote_port", Socket, |h| ss_socket_remote_port(h.cast()) == 0),
        getter("ss_socket_read", Socket, |h| {
            let mut room = [0_u8; 8];
            unsafe { ss_socket_read(h.cast(), room.as_mut_ptr().cast(), room.len()) == 0 }
        }),
        getter("ss_socket_peek", Socket, |h| {
            let mut length = 77;
            let bytes = unsafe { ss_socket_peek(h.cast(), &mut length) };
            bytes.is_null() || length == 0
        }),
        status("ss_socket_skip", Socket, |h| ss_socket_skip(h.cast(), 1)),
        status("ss_socket_read_bytes", Socket, |h| {
            let mut room = [0_u8; 1];
            unsafe { ss_socket_read_bytes(h.cast(), room.as_mut_ptr().cast(), room.len()) }
        }),
        status("ss_socket_write_bytes", Socket, |h| unsafe {
            ss_socket_write_bytes(h.cast(), b"x".as_ptr().cast(), 1)
        }),
        status("ss_socket_write_vector", Socket, |h| unsafe {
            ss_socket_write_vector(h.cast(), &ss_bytes { bytes: b"x".as_ptr().cast(), length: 1 }, 1)
        }),
        getter("ss_socket_take", Socket, |h| {
            let mut length = 77;
            let bytes = unsafe { ss_socket_take(h.cast(), &mut length) };
            bytes.is_null() || length == 0
        }),
        status("ss_socket_skip", Socket, |h| ss_socket_skip(h.cast(), 1)),
        status("ss_socket_read_bytes", Socket, |h| {
            let mut room = [0_u8; 1];
            unsafe { ss_socket_read_bytes(h.cast(), room.as_mut_ptr().cast(), room.len()) }
        }),
        status("ss_socket_write_bytes", Socket, |h| unsafe {
            ss_socket_write_bytes(h.cast(), b"x".as_ptr().cast(), 1)
        }),
        getter("ss_event_clone", Event, |h| made(ss_event_clone(h.cast()))),
        getter("ss_event_type", Event, |h| ss_event_type(h.cast()).is_null()),
        getter("ss_event_bubbles", Event, |h| !ss_event_bubbles(h.cast())),
        getter("ss_event_cancelable", Event, |h| !ss_event_cancelable(h.cast())),
        getter("ss_event_phase", Event, |h| ss_event_phase(h.cast()) == 0),
        getter("ss_event_target", Event, |h| ss_event_target(h.cast()).is_null()),
        getter("ss_event_current_target", Event, |h| ss_event_current_target(h.cast()).is_null()),
        status("ss_event_prevent_default", Event, |h| ss_event_prevent_default(h.cast())),
        getter("ss_event_is_default_prevented", Event, |h| !ss_event_is_default_prevented(h.cast())),
        status("ss_event_stop_propagation", Event, |h| ss_event_stop_propagation(h.cast())),
        status("ss_event_stop_immediate_propagation", Event, |h| ss_event_stop_immediate_propagation(h.cast())),
        getter("ss_event_socket", Event, |h| ss_event_socket(h.cast()).is_null()),
        getter("ss_event_bytes_loaded", Event, |h| ss_event_bytes_loaded(h.cast()) == 0),
        getter("ss_event_bytes_pending", Event, |h| ss_event_bytes_pending(h.cast()) == 0),
        getter("ss_event_bytes_total", Event, |h| ss_event_bytes_total(h.cast()) == 0),
        getter("ss_event_error_id", Event, |h| ss_event_error_id(h.cast()) == 0),
        getter("ss_event_text", Event, |h| ss_event_text(h.cast()).is_null()),
        getter("ss_event_os_error", Event, |h| ss_event_os_error(h.cast()) == 0),
        getter("ss_event_detail", Event, |h| ss_event_detail(h.cast()).is_null()),
        getter("ss_event_to_string", Event, |h| unsafe { ss_event_to_string(h.cast(), null_mut(), 0) == 0 }),
    ]
}

impl Export {
    /// The function refuses `handle` with `status`, or answers with nothing and leaves `status` as the last error.
    #[track_caller]
    fn refuses(&self, handle: *mut c_void, status: ss_status) {
        match self.answer {
            Answer::Status(call) => assert_eq!(call(handle), status, "{} of {handle:?}", self.name),
            Answer::Nothing(call) => assert!(call(handle), "{} of {handle:?}", self.name),
        }
    }
}

/// One object of each kind.
struct Zoo {
    event: Event,
    timer: *mut ss_timer,
    tls: *mut ss_tls,
    pair: Pair,
}

impl Zoo {
    fn new() -> Zoo {
        let pair = Pair::new();
        let timer = unsafe { ss_timer_new(pair.events.0, 1_000_000, 0, Some(task), null_mut(), None) };
        assert!(!timer.is_null(), "{:?}", last_error());
        let tls = ss_tls_new();
        assert!(!tls.is_null(), "{:?}", last_error());
        Zoo { event: Event::new(c"type", false, false), timer, tls, pair }
    }

    fn animals(&self) -> [(Takes, *mut c_void); 6] {
        [
            (Takes::Loop, self.pair.events.object()),
            (Takes::Server, self.pair.server.object()),
            (Takes::Socket, self.pair.socket.object()),
            (Takes::Event, self.event.object()),
            (Takes::Timer, self.timer.object()),
            (Takes::Tls, self.tls.object()),
        ]
    }

    /// Everything is as it was made.
    #[track_caller]
    fn is_well(&self) {
        let Pair { socket, peer, server, events, .. } = &self.pair;
        assert!(server.state().listening);
        assert!(socket.connected());
        ok(socket.write(b"ping"));
        assert_eq!(events.receive(peer, 4), b"ping");
        self.pair.send(b"pong");
        self.pair.pump_until_available(4);
        assert_eq!(socket.read_all(), b"pong");
        assert_eq!(self.event.kind().as_deref(), Some("type"));
        assert!(!self.event.is_default_prevented());
        events.turn(0); // Windows says only to the next read that all has come
        assert!((1..=1_000_000).contains(&ss_loop_timeout(events.0)), "the timer runs");
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        ss_release(self.event.object());
        ss_release(self.timer.object());
        ss_release(self.tls.object());
    }
}

#[test]
fn null_is_no_object() {
    for export in exports() {
        match (export.name, export.takes) {
            ("ss_release", _) => export.refuses(null_mut(), SS_OK),
            // AIR's dispatchEvent(null).
            ("ss_dispatch_event (event)", _) => export.refuses(null_mut(), SS_ERR_TYPE),
            // NULL is the thread's own loop.
            (_, Takes::Loop) => {}
            _ => export.refuses(null_mut(), SS_ERR_HANDLE),
        }
    }
}

#[test]
fn a_stale_handle_of_any_kind_is_refused_by_every_function() {
    let zoo = Zoo::new();
    let animals = zoo.animals();
    drop(zoo);
    for export in exports() {
        for (_, handle) in animals {
            export.refuses(handle, SS_ERR_HANDLE);
        }
    }
}

#[test]
fn a_handle_of_another_kind_is_refused_by_every_function() {
    let zoo = Zoo::new();
    for export in exports() {
        for (kind, handle) in zoo.animals() {
            if !export.takes.fits(kind) {
                export.refuses(handle, SS_ERR_HANDLE);
            }
        }
    }
    zoo.is_well();
}

// In processes of their own, so that no word is by accident a handle of another test.

#[test]
fn millions_of_garbage_handles_are_refused() {
    in_own_process!(|| {
        let zoo = Zoo::new();
        let exports = exports();
        let mut random = Random(1);
        for _ in 0..20_000 {
            let mut word = random.next();
            // Small ones and such that look like a key of some kind come, too.
            if random.below(2) == 0 {
                word >>= random.below(60);
            }
            if word == 0 {
                continue;
            }
            let garbage = without_provenance_mut(word as usize);
            for export in &exports {
                export.refuses(garbage, SS_ERR_HANDLE);
            }
        }
        zoo.is_well();
    });
}

#[test]
fn a_handle_with_one_bit_changed_is_refused() {
    in_own_process!(|| {
        let zoo = Zoo::new();
        let exports = exports();
        for (_, handle) in zoo.animals() {
            for bit in 0..usize::BITS {
                let changed = without_provenance_mut(handle.addr() ^ (1 << bit));
                if [bystander().object(), ss_loop_default().object()].contains(&changed) {
                    continue;
                }
                for export in &exports {
                    export.refuses(changed, SS_ERR_HANDLE);
                }
            }
        }
        zoo.is_well();
    });
}

// ---- Threads --------------------------------------------------------------------------------------------------------

#[test]
fn another_thread_is_told_so_by_every_function_and_changes_nothing() {
    const FOR_EVERY_THREAD: [&str; 3] = ["ss_loop_stop", "ss_loop_wake", "ss_loop_post"];
    let zoo = Zoo::new();
    let animals = AnyThread::new(zoo.animals());
    thread::spawn(move || {
        for export in exports() {
            for (kind, handle) in animals.get() {
                if export.takes.fits(kind) && !FOR_EVERY_THREAD.contains(&export.name) {
                    export.refuses(handle, SS_ERR_THREAD);
                }
            }
        }
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    zoo.is_well();
}

#[test]
fn a_getter_on_another_thread_leaves_a_reason() {
    let zoo = Zoo::new();
    let server = AnyThread::new(zoo.pair.server.0);
    thread::spawn(move || {
        assert!(!ss_bound(server.get()));
        assert_eq!(last_error().status, SS_ERR_THREAD);
        assert!(!ss_bound(without_provenance_mut(usize::MAX)));
        assert_eq!(last_error().status, SS_ERR_HANDLE);
        // What succeeds leaves it as it is.
        assert!(!ss_loop_default().is_null());
        assert_eq!(last_error().status, SS_ERR_HANDLE);
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn a_handle_of_a_thread_that_has_ended_is_stale() {
    let handle = thread::spawn(|| AnyThread::new(ss_new(null_mut()))).join().expect("it ends");
    assert_eq!(retain(handle.get()), SS_ERR_HANDLE);
}

#[test]
fn errors_are_each_threads_own() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(server.bind(-1, c"127.0.0.1"), SS_ERR_RANGE, 2003);
    thread::spawn(|| {
        assert_eq!(last_error(), LastError { status: SS_OK, id: 0, text: String::new(), os_error: 0 });
        fails(ss_close(ss_new(null_mut())), SS_ERR_ERROR, 2002);
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert_eq!(last_error().id, 2003);
}

// ---- Counts ---------------------------------------------------------------------------------------------------------

#[test]
fn objects_are_counted_by_their_kind_from_first_to_last() {
    const KINDS: [i32; 7] =
        [SS_KIND_LOOP, SS_KIND_SERVER, SS_KIND_SOCKET, SS_KIND_EVENT, SS_KIND_VALUE, SS_KIND_TIMER, SS_KIND_TLS];
    let counts = || KINDS.map(|kind| ss_object_count(kind));
    thread::spawn(move || {
        assert_eq!(counts(), [0; 7], "a thread that has never used the library has nothing");
        let zoo = Zoo::new();
        assert_eq!(counts(), [1, 1, 1, 1, 0, 1, 1]);
        let value = ss_value_new(SS_VALUE_ARRAY);
        assert!(!ss_value_add_item(value).is_null(), "a part, which has a handle and is no value of its own");
        let more: Vec<_> = (0..100).map(|_| ss_socket_new(zoo.pair.events.0)).collect();
        let other = ss_new(null_mut()); // on the thread's own loop
        assert_eq!(counts(), [2, 2, 101, 1, 1, 1, 1]);
        // An event is counted while somebody holds it, and not because it is being dispatched.
        let held = Rc::new(Cell::new(null_mut()));
        on(other, c"mine", {
            let held = held.clone();
            move |event| {
                let before = ss_object_count(SS_KIND_EVENT);
                ok(retain(event.0));
                assert_eq!(ss_object_count(SS_KIND_EVENT), before, "the host has a reference to it already");
                held.set(event.0);
            }
        });
        let peer = on(*zoo.pair.socket, SOCKET_DATA, |_| assert_eq!(ss_object_count(SS_KIND_EVENT), 1));
        zoo.pair.send(b"x");
        zoo.pair.pump_until_available(1);
        drop(peer);
        dispatch(other, c"mine");
        assert_eq!(ss_object_count(SS_KIND_EVENT), 2);
        ok(release(held.get()));
        more.into_iter().for_each(|socket| ok(release(socket)));
        ok(release(value));
        ok(release(other));
        assert_eq!(counts(), [2, 1, 1, 1, 0, 1, 1]);
        drop(zoo);
        assert_eq!(counts(), [1, 0, 0, 0, 0, 0, 0], "its own loop stays");
        for unknown in [0, 5, 9, -1, i32::MIN, i32::MAX] {
            assert_eq!(ss_object_count(unknown), 0);
        }
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

// ---- References -----------------------------------------------------------------------------------------------------

#[test]
fn each_reference_can_be_given_back_once() {
    let zoo = Zoo::new();
    for (_, handle) in zoo.animals() {
        for _ in 0..3 {
            ok(retain(handle));
        }
        for _ in 0..3 {
            ok(release(handle));
        }
    }
    zoo.is_well();
    // The loop comes last, for it takes the others with it.
    for (_, handle) in zoo.animals().into_iter().rev() {
        ok(release(handle));
        assert_eq!(release(handle), SS_ERR_HANDLE);
        assert_eq!(retain(handle), SS_ERR_HANDLE);
    }
}

#[test]
fn what_a_listener_borrows_it_cannot_give_back() {
    let (events, server) = listening();
    let kept = Rc::new(RefCell::new(None));
    on(&server, CONNECT, {
        let kept = kept.clone();
        move |event| {
            assert_eq!(release(event), SS_ERR_HANDLE);
            assert_eq!(release(event.socket()), SS_ERR_HANDLE);
            assert!(event.socket().connected());
            assert_eq!(event.kind().as_deref(), Some("connect"));
            *kept.borrow_mut() = Some(event.socket().keep());
            assert_eq!(release(event), SS_ERR_HANDLE);
        }
    });
    let peer = server.client();
    events.pump_until(|| kept.borrow().is_some());
    ok(kept.borrow().as_ref().expect("it is kept").write(b"x"));
    assert_eq!(events.receive(&peer, 1), b"x");
}

#[test]
fn a_slot_that_is_used_again_has_a_new_handle() {
    let events = Loop::new();
    let mut seen = HashSet::new();
    // A handle of 32 bits has room for 2,047 lives of a slot.
    let rounds = if cfg!(target_pointer_width = "64") { 30_000 } else { 2_000 };
    for _ in 0..rounds {
        for handle in
            [ss_new(events.0).object(), ss_socket_new(events.0).object(), Event::new(c"x", false, false).object()]
        {
            assert!(seen.insert(handle), "a handle came twice");
            ok(release(handle));
        }
    }
    assert!(seen.iter().all(|handle| retain(*handle) == SS_ERR_HANDLE));
}

// ---- Ends inside of listeners ---------------------------------------------------------------------------------------

/// A server with two accepted sockets, whose peers make every kind of event come.
struct Stage {
    events: Loop,
    server: Server,
    /// The first is the one that things happen to. Each has one reference of the test's.
    sockets: [Socket; 2],
    peers: [TcpStream; 2],
    log: Log,
}

impl Stage {
    fn new() -> Stage {
        let (events, server) = listening();
        let accepted = Rc::new(RefCell::new(Vec::new()));
        let listener = on(&server, CONNECT, {
            let accepted = accepted.clone();
            move |event| {
                ok(retain(event.socket()));
                accepted.borrow_mut().push(event.socket());
            }
        });
        let peers = [server.client(), server.client()];
        events.pump_until(|| accepted.borrow().len() == 2);
        listener.remove();
        let sockets = [accepted.borrow()[0], accepted.borrow()[1]];
        Stage { events, server, sockets, peers, log: Log::default() }
    }
}

/// What makes a listener run: an event at the first socket or at the server.
type Trigger = fn(&mut Stage) -> (*mut c_void, &'static CStr);

const TRIGGERS: [(&str, Trigger); 6] = [
    ("connect", |stage| {
        stage.peers[1] = stage.server.client();
        (stage.server.object(), CONNECT)
    }),
    ("socketData", |stage| {
        stage.peers[0].write_all(b"data").expect("the peer writes");
        (stage.sockets[0].object(), SOCKET_DATA)
    }),
    ("close", |stage| {
        stage.peers[0].write_all(b"last words").expect("the peer writes");
        stage.peers[0].shutdown(Shutdown::Write).expect("a FIN");
        (stage.sockets[0].object(), CLOSE)
    }),
    ("ioError", |stage| {
        ok(stage.sockets[0].write(&vec![7; 30_000_000]));
        socket2::SockRef::from(&stage.peers[0]).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
        stage.peers[0] = stage.peers[1].try_clone().expect("a second handle");
        (stage.sockets[0].object(), IO_ERROR)
    }),
    ("outputProgress", |stage| {
        ok(stage.sockets[0].write(b"output"));
        (stage.sockets[0].object(), OUTPUT_PROGRESS)
    }),
    ("an event of the program", |stage| (stage.sockets[0].object(), c"mine")),
];

/// What a listener does. They get the stage's handles; a status may be an error where the thing is over already.
#[derive(Clone, Copy)]
struct Handles {
    events: *mut ss_loop,
    server: *mut ss_server,
    sockets: [Socket; 2],
}

type Action = fn(Handles);

const ACTIONS: [(&str, Action); 12] = [
    ("close the socket", |stage| either_way(stage.sockets[0].close())),
    ("abort the socket", |stage| either_way(stage.sockets[0].abort())),
    ("release the socket", |stage| ok(release(stage.sockets[0]))),
    ("close and release the socket", |stage| {
        stage.sockets[0].close();
        ok(release(stage.sockets[0]));
    }),
    ("close the other socket", |stage| either_way(stage.sockets[1].close())),
    ("release the other socket", |stage| ok(release(stage.sockets[1]))),
    ("close the server", |stage| ok(ss_close(stage.server))),
    ("release the server", |stage| ok(release(stage.server))),
    ("release everything on the loop", |stage| {
        ok(release(stage.server));
        stage.sockets.iter().for_each(|socket| ok(release(*socket)));
    }),
    ("release the loop", |stage| ok(release(stage.events))),
    ("release the loop and everything on it", |stage| {
        ok(release(stage.events));
        // If the loop lives on to the end of the turn the others may, too.
        release(stage.server);
        stage.sockets.iter().for_each(|socket| either_way(release(*socket)));
    }),
    ("poll and run", |stage| {
        unsafe { ss_loop_poll(stage.events, 0, null_mut()) };
        // Sticky, so that a run which is allowed returns at once.
        ok(ss_loop_stop(stage.events));
        ss_loop_run(stage.events);
    }),
];

#[test]
fn anything_may_be_ended_inside_any_listener() {
    for (event_name, trigger) in TRIGGERS {
        for (action_name, action) in ACTIONS {
            let mut stage = Stage::new();
            let handles = Handles { events: stage.events.0, server: stage.server.0, sockets: stage.sockets };
            let (target, kind) = trigger(&mut stage);
            let log = stage.log.clone();
            on(target, kind, {
                let log = log.clone();
                let action_name = action_name.to_owned();
                move |event| {
                    // Only once: what a connect listener releases must not be released again.
                    if !log.contains(&action_name) {
                        log.add(&action_name);
                        action(handles);
                        assert!(event.kind().is_some(), "the event lives on");
                        assert_eq!(event.target(), target);
                    }
                }
            });
            on(target, kind, log.adds("later listener"));
            if kind == c"mine" {
                dispatch(target, kind);
            }
            let events = stage.events.0;
            let mut turns = 0;
            while log.len() < 2 || turns < 20 {
                turns += 1;
                assert!(turns < 20_000, "{event_name} did not come to {action_name}");
                let status = unsafe { ss_loop_poll(events, 1, null_mut()) };
                rethrow();
                if status == SS_ERR_HANDLE {
                    break;
                }
                ok(status);
            }
            let entries = log.take();
            assert_eq!(entries[..2], [action_name, "later listener"], "{event_name}");
            assert_eq!(log.len(), 0);
            stage.sockets.iter().for_each(|socket| either_way(release(*socket)));
        }
    }
}

#[test]
fn every_function_of_the_header_is_in_the_table() {
    let header = include_str!("../../include/server_socket.h");
    let declared: HashSet<&str> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/', '#']))
        .filter_map(|line| line.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("ss_"))
        .collect();
    let listed: HashSet<&str> = table::FUNCTIONS.iter().map(|(name, _)| *name).collect();
    assert!(declared.len() > 100, "the header was not understood");
    assert_eq!(declared.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn every_function_may_be_called_from_every_listener() {
    let value = ss_value_new(SS_VALUE_ARRAY);
    for (event_name, trigger) in TRIGGERS {
        for &(name, call) in table::FUNCTIONS {
            let mut stage = Stage::new();
            let (target, kind) = trigger(&mut stage);
            let handles = [
                stage.sockets[0].object(),
                stage.sockets[1].object(),
                stage.server.object(),
                value.cast(),
                null_mut(),
                stage.events.object(),
            ];
            let log = stage.log.clone();
            on(target, kind, {
                let (log, called) = (log.clone(), Cell::new(false));
                move |event| {
                    if called.replace(true) {
                        return;
                    }
                    let mut room = [0_u64; 64];
                    for handle in [event.object()].iter().chain(&handles) {
                        call(*handle, room.as_mut_ptr());
                    }
                    log.add("called");
                    assert_eq!(event.kind().as_deref(), kind.to_str().ok(), "{event_name}, {name}: the event lives on");
                    assert_eq!(event.target(), target, "{event_name}, {name}");
                }
            });
            on(target, kind, log.adds("later"));
            if kind == c"mine" {
                let event = Event::new(kind, false, false);
                either_way(try_dispatch(target, event).0);
                either_way(release(event));
            }
            let mut turns = 0;
            while !log.contains("called") || turns < 3 {
                turns += 1;
                assert!(turns < 20_000, "{event_name} did not come to {name}");
                let status = unsafe { ss_loop_poll(stage.events.0, 1, null_mut()) };
                rethrow();
                assert!([SS_OK, SS_ERR_HANDLE].contains(&status), "{event_name}, {name}: {status:?}");
                if status == SS_ERR_HANDLE {
                    break;
                }
            }
            let stops = name == "ss_event_stop_immediate_propagation";
            assert_eq!(log.contains("later"), !stops, "{event_name}, {name}");
            stage.sockets.iter().for_each(|socket| either_way(release(*socket)));
        }
    }
}

/// A socket ended in its data listener, and so on, a hundred thousand times: nothing is left behind.
#[test]
#[cfg(target_os = "linux")]
fn a_hundred_thousand_peers_closed_in_the_connect_listener_leave_nothing_behind() {
    in_own_process!(|| {
        let (events, server) = listening();
        let closed = shared::<usize>();
        on(&server, CONNECT, {
            let closed = closed.clone();
            move |event| {
                ok(event.socket().close());
                increment(&closed);
            }
        });
        let round = |count: usize| {
            for _ in 0..count / 100 {
                let (wanted, descriptors) = (closed.get() + 100, open_descriptors());
                let peers: Vec<TcpStream> = (0..100).map(|_| server.client()).collect();
                events.pump_until(|| closed.get() == wanted);
                assert_eq!(open_descriptors(), descriptors + peers.len(), "those of the peers alone");
                // Torn by the peers, so that no port is left waiting.
                peers.into_iter().for_each(reset);
            }
            (open_descriptors(), resident_memory())
        };
        let before = round(10_000);
        let after = round(100_000);
        println!("descriptors {} -> {}, resident KiB {} -> {}", before.0, after.0, before.1 >> 10, after.1 >> 10);
        assert_eq!(after.0, before.0);
        assert!(after.1 < before.1 + (1 << 20), "memory grows: {} -> {}", before.1, after.1);
    });
}

#[test]
fn a_socket_ended_in_its_data_listener_gets_no_close_event() {
    for end in [Socket::close, Socket::abort, |socket: Socket| release(socket)] {
        let (events, server) = listening();
        let log = Log::default();
        on(&server, CONNECT, {
            let log = log.clone();
            move |event| {
                let socket = event.socket();
                ok(retain(socket));
                log.record_socket(socket);
                on(socket, SOCKET_DATA, move |_| ok(end(socket)));
            }
        });
        let mut peer = server.client();
        peer.write_all(b"data").expect("the peer writes");
        peer.shutdown(Shutdown::Write).expect("a FIN");
        events.pump_until(|| log.len() > 0);
        events.settle();
        assert_eq!(log.take(), ["socketData"]);
    }
}

#[test]
fn a_listener_may_remove_and_add_listeners_of_every_object() {
    let pair = Pair::new();
    let log = Log::default();
    let first = on(&pair.server, CONNECT, log.adds("first"));
    on(*pair.socket, SOCKET_DATA, {
        let (log, socket, server) = (log.clone(), *pair.socket, pair.server.object());
        let done = Cell::new(false);
        move |_| {
            if !done.replace(true) {
                first.remove();
                on(server, CONNECT, log.adds("second"));
                on(socket, CLOSE, log.adds("closed"));
            }
        }
    });
    pair.send(b"x");
    pair.pump_until_available(1);
    let _peer = pair.server.client();
    pair.send_fin();
    pair.events.pump_until(|| log.len() == 2);
    let mut entries = log.take();
    entries.sort();
    assert_eq!(entries, ["closed", "second"]);
}

// ---- Random schedules -----------------------------------------------------------------------------------------------

/// Listeners that do random things to random objects while real peers talk, end and break off. What must hold: no event
/// of the library comes to a socket that the program has closed, ended or given up, none after `close`, and every
/// destructor runs.
struct Chaos {
    random: RefCell<Random>,
    events: *mut ss_loop,
    server: *mut ss_server,
    loop_is_over: Cell<bool>,
    server_is_over: Cell<bool>,
    actors: RefCell<Vec<Actor>>,
    /// The dispatches under way: (event, target).
    under_way: RefCell<Vec<(Event, *mut c_void)>>,
    registered: Cell<usize>,
    destroyed: Cell<usize>,
}

struct Actor {
    socket: Socket,
    references: usize,
    /// Closed or ended: no event of the library may come any more, but those under way when that became so.
    ended: Option<Vec<Event>>,
    /// The same for the last reference having been given back, which another one may undo while it is still there.
    given_up: Option<Vec<Event>>,
}

const LIBRARY_EVENTS: [&CStr; 4] = [SOCKET_DATA, CLOSE, IO_ERROR, OUTPUT_PROGRESS];

impl Chaos {
    fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().below(end)
    }

    /// The dispatches on this actor that are under way.
    fn events_under_way(&self, index: usize) -> Vec<Event> {
        let socket = self.actors.borrow()[index].socket.object();
        self.under_way.borrow().iter().filter(|(_, target)| *target == socket).map(|(event, _)| *event).collect()
    }

    fn end(&self, index: usize) {
        let under_way = self.events_under_way(index);
        self.actors.borrow_mut()[index].ended.get_or_insert(under_way);
    }

    fn release(&self, index: usize) {
        let (socket, references) = {
            let actors = self.actors.borrow();
            (actors[index].socket, actors[index].references)
        };
        if references > 0 && !self.loop_is_over.get() {
            let given_up = (references == 1).then(|| self.events_under_way(index));
            let actor = &mut self.actors.borrow_mut()[index];
            (actor.references, actor.given_up) = (references - 1, given_up);
            ok(release(socket));
        }
    }

    fn on(self: &Rc<Self>, target: *mut c_void, kind: &'static CStr, index: Option<usize>) {
        struct Counted(Rc<Chaos>);
        impl Drop for Counted {
            fn drop(&mut self) {
                increment(&self.0.destroyed);
            }
        }
        increment(&self.registered);
        let counted = Counted(self.clone());
        on_with_itself(target, kind, move |event, itself| {
            let chaos = &counted.0;
            chaos.heard(event, target, kind, index);
            if chaos.below(10) == 0 {
                itself.remove();
            }
            chaos.under_way.borrow_mut().pop();
        });
    }

    fn heard(self: &Rc<Self>, event: Event, target: *mut c_void, kind: &'static CStr, index: Option<usize>) {
        self.under_way.borrow_mut().push((event, target));
        assert_eq!(event.target(), target);
        if let Some(index) = index.filter(|_| LIBRARY_EVENTS.contains(&kind)) {
            let Actor { ended, given_up, .. } = &self.actors.borrow()[index];
            for allowed in [ended, given_up].into_iter().flatten() {
                assert!(allowed.contains(&event), "{kind:?} after the end");
            }
        }
        match index {
            Some(index) if kind == CLOSE => self.end(index),
            None => self.accepted(event.socket()),
            _ => {}
        }
        for _ in 0..self.below(3) {
            self.act(index);
        }
    }

    fn accepted(self: &Rc<Self>, socket: Socket) {
        let known = self.actors.borrow().iter().any(|actor| actor.socket == socket);
        // Zero for a connect event of the program's own.
        if known || socket.0.is_null() || self.below(10) == 0 {
            return;
        }
        ok(retain(socket));
        let index = self.actors.borrow().len();
        self.actors.borrow_mut().push(Actor { socket, references: 1, ended: None, given_up: None });
        for kind in LIBRARY_EVENTS {
            for _ in 0..self.below(3) {
                self.on(socket.object(), kind, Some(index));
            }
        }
        self.on(socket.object(), c"mine", Some(index));
    }

    /// One random thing, to this socket or to any other.
    fn act(self: &Rc<Self>, this: Option<usize>) {
        let count = self.actors.borrow().len();
        let index = match this {
            Some(index) if self.below(2) == 0 => index,
            _ if count > 0 => self.below(count),
            _ => return,
        };
        let socket = self.actors.borrow()[index].socket;
        match self.below(24) {
            0..=1 => {
                if socket.close() == SS_OK {
                    self.end(index);
                }
            }
            2 => {
                if socket.abort() == SS_OK {
                    self.end(index);
                }
            }
            3..=5 => self.release(index),
            6 => {
                if retain(socket) == SS_OK {
                    let actor = &mut self.actors.borrow_mut()[index];
                    actor.references += 1;
                    actor.given_up = None;
                }
            }
            7..=10 => either_way(socket.write(&vec![1; 1 << self.below(19)])),
            11..=13 => drop(socket.read(1 + self.below(100_000))),
            14 => either_way(socket.skip(1)),
            15 => either_way(socket.flush()),
            16..=17 => {
                if self.under_way.borrow().len() < 5 && socket.alive() {
                    dispatch(socket, c"mine");
                }
            }
            18 => {
                let kind = LIBRARY_EVENTS[self.below(4)];
                if socket.alive() {
                    self.on(socket.object(), kind, Some(index));
                }
            }
            19 => {
                let status = unsafe { ss_loop_poll(self.events, 0, null_mut()) };
                assert!([SS_ERR_REENTRANT, SS_ERR_HANDLE].contains(&status), "{status:?}");
            }
            20 => {
                ss_close(self.server);
            }
            21 if self.below(8) == 0 => {
                if !self.server_is_over.replace(true) {
                    ok(release(self.server));
                }
            }
            22 if self.below(20) == 0 => {
                if !self.loop_is_over.replace(true) {
                    (0..count).for_each(|index| self.end(index));
                    self.server_is_over.set(true);
                    ok(release(self.events));
                }
            }
            _ => post_if_alive(self.events, {
                let chaos = Rc::downgrade(self);
                move || {
                    if let Some(chaos) = chaos.upgrade() {
                        chaos.act(None);
                    }
                }
            }),
        }
    }
}

fn post_if_alive(events: *mut ss_loop, task: impl FnOnce() + 'static) {
    let status = try_post(events, task);
    assert!([SS_OK, SS_ERR_HANDLE].contains(&status));
}

#[test]
fn ten_thousand_random_schedules_inside_listeners_end_well() {
    // On Wine more would take longer than a test may.
    let count = if cfg!(windows) { 1_000 } else { 10_000 };
    let schedules = || (0..count).for_each(random_schedule);
    #[cfg(any(target_os = "linux", windows))]
    in_own_process!(|| {
        let before = open_descriptors();
        schedules();
        assert_eq!(open_descriptors(), before);
    });
    #[cfg(not(any(target_os = "linux", windows)))]
    schedules();
}

fn random_schedule(seed: u64) {
    let (events, server) = listening();
    let chaos = Rc::new(Chaos {
        random: RefCell::new(Random(seed)),
        events: events.0,
        server: server.0,
        loop_is_over: Cell::default(),
        server_is_over: Cell::default(),
        actors: RefCell::default(),
        under_way: RefCell::default(),
        registered: Cell::default(),
        destroyed: Cell::default(),
    });
    chaos.on(server.object(), CONNECT, None);
    chaos.on(server.object(), CONNECT, None);

    let mut peers: Vec<TcpStream> = (0..2 + chaos.below(3)).map(|_| server.client()).collect();
    for peer in &peers {
        peer.set_nonblocking(true).expect("non-blocking");
    }
    for _ in 0..8 {
        if let Some(index) = (!peers.is_empty()).then(|| chaos.below(peers.len())) {
            match chaos.below(6) {
                0 => drop(peers[index].shutdown(Shutdown::Write)),
                1 => reset(peers.swap_remove(index)),
                2 => drop(peers[index].write(&vec![2; 1 << chaos.below(19)])),
                3 => drop(std::io::Read::read(&mut peers[index], &mut vec![0; 300_000])),
                _ => drop(peers[index].write(b"a few bytes")),
            }
        }
        let status = unsafe { ss_loop_poll(events.0, 0, null_mut()) };
        rethrow();
        assert!(status == SS_OK || (status == SS_ERR_HANDLE && chaos.loop_is_over.get()), "seed {seed}: {status:?}");
        assert_eq!(chaos.under_way.borrow().len(), 0);
    }
    peers.into_iter().for_each(reset);
    let count = chaos.actors.borrow().len();
    for index in 0..count {
        while chaos.actors.borrow()[index].references > 0 && !chaos.loop_is_over.get() {
            chaos.release(index);
        }
        assert!(!chaos.actors.borrow()[index].socket.alive(), "seed {seed}");
    }
    drop((server, events));
    assert_eq!(chaos.destroyed.get(), chaos.registered.get(), "seed {seed}");
    assert_eq!(Rc::strong_count(&chaos), 1);
}

// ---- Small things ---------------------------------------------------------------------------------------------------

#[test]
fn every_status_has_a_name_and_so_has_every_other_number() {
    let name = |status: i32| text(ss_status_name(status)).expect("never NULL");
    assert_eq!(name(SS_ERR_RANGE as i32), "RangeError");
    assert_eq!(name(SS_ERR_HANDLE as i32), "InvalidHandle");
    let known = [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26, 99];
    let names: HashSet<String> = known.into_iter().map(name).collect();
    assert_eq!(names.len(), known.len());
    for unknown in [-1, 8, 19, 27, 98, 100, i32::MIN, i32::MAX] {
        assert!(!name(unknown).is_empty() && !names.contains(&name(unknown)));
    }
}

#[test]
fn the_version_is_the_crates() {
    let parts: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().expect("a number")).collect();
    assert_eq!(ss_version(), parts[0] << 16 | parts[1] << 8 | parts[2]);
}

#[test]
fn a_failure_explains_itself_in_words() {
    let events = Loop::new();
    let server = Server::new(&events);
    assert_eq!(server.bind(65536, c"127.0.0.1"), SS_ERR_RANGE);
    let detail = text(ss_last_error_detail()).expect("never NULL");
    assert!(detail.contains("65536"), "{detail}");
}

// ---- What is wrong with a handle --------------------------------------------------------------------------------------

/// The sentence for people about a handle that was refused.
#[track_caller]
fn refusal(status: ss_status) -> String {
    let error = last_error();
    assert_eq!((status, error.status, error.id, error.os_error), (SS_ERR_HANDLE, SS_ERR_HANDLE, 0, 0));
    assert!(error.text.starts_with("This is not a handle"));
    last_detail()
}

#[test]
fn the_error_says_what_is_wrong_with_a_handle() {
    let events = Loop::new();
    let (server, socket) = (Server::new(&events), ss_socket_new(events.0));
    let event = Event::new(c"event", false, false);
    assert!(refusal(ss_socket_close(null_mut())).starts_with("the handle is NULL"));
    assert!(refusal(ss_retain(null_mut())).starts_with("the handle is NULL"));
    assert!(refusal(ss_release(4 as *mut ss_object)).starts_with("the object was released"));
    assert_eq!(refusal(ss_socket_close(server.0.cast())), "this is a server's handle, not a socket's");
    assert_eq!(refusal(ss_listen(socket.cast(), 0)), "this is a socket's handle, not a server's");
    let polled = unsafe { ss_loop_poll(event.0.cast(), 0, null_mut()) };
    assert_eq!(refusal(polled), "this is an event's handle, not a loop's");
    let fd = &mut 0;
    assert_eq!(
        refusal(unsafe { ss_native_handle(events.object(), fd) }),
        "this is a loop's handle, not a server's or a socket's"
    );
    let wrong = ss_set_option(event.object(), SS_OPT_NO_DELAY, 1);
    assert_eq!(refusal(wrong), "this is an event's handle, not a server's or a socket's");
    let wrong = unsafe { ss_add_listener(event.object(), CLOSE.as_ptr(), None, null_mut(), false, 0) };
    assert_eq!(refusal(wrong), "this is an event's handle, not a server's or a socket's");
    let value = ss_value_new(SS_VALUE_NULL);
    assert_eq!(
        refusal(unsafe { ss_value_set_string(socket.cast(), c"".as_ptr()) }),
        "this is a socket's handle, not a value's"
    );
    for object in [event.object(), value.cast(), socket.cast()] {
        ok(release(object));
        assert!(refusal(ss_retain(object)).starts_with("the object was released"));
        // The kind of what is gone says nothing.
        assert!(refusal(ss_close(object.cast())).starts_with("the object was released"));
    }
}
