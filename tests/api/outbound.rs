// SPDX-License-Identifier: MIT OR Apache-2.0
//! Outbound connections: `Socket.connect`, and the state of a socket through its life: the chapter "Socket:
//! state" of docs/SEMANTICS.md.

use crate::{listening, serving};
use std::cell::Cell;
use std::ffi::CStr;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::ptr::null;
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::*;

use server_socket::*;

/// A socket of a loop, with its events in `log`, connect and the errors' numbers included.
struct Outbound {
    socket: Socket,
    log: Log,
}

impl Outbound {
    fn new(events: &Loop) -> Outbound {
        let socket = Socket(ss_socket_new(events.0));
        assert!(!socket.0.is_null());
        let log = Log::default();
        log.record_socket(socket);
        on(socket, CONNECT, log.adds("connect"));
        let errors = log.clone();
        on(socket, IO_ERROR, move |event| errors.add(format!("errno {}", event.os_error())));
        Outbound { socket, log }
    }

    fn connect(&self, host: &CStr, port: u16) -> ss_status {
        unsafe { ss_socket_connect(self.socket.0, host.as_ptr(), port.into()) }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        either_way(release(self.socket));
    }
}

#[test]
fn before_connect_there_is_nothing_and_no_call_is_allowed() {
    let events = Loop::new();
    let out = Outbound::new(&events);
    let socket = out.socket;
    assert!(!socket.connected());
    assert_eq!((socket.available(), socket.pending()), (0, 0));
    assert_eq!((socket.local(), socket.remote()), ((None, 0), (None, 0)));
    assert_eq!(ss_socket_timeout(socket.0), 20_000);
    for status in [
        socket.close(),
        socket.abort(),
        socket.flush(),
        socket.write(b"x"),
        socket.skip(0),
        ss_socket_pause(socket.0),
        ss_socket_resume(socket.0),
    ] {
        fails(status, SS_ERR_IO, 2002);
    }
}

#[test]
fn a_connection_is_made_in_a_later_turn_and_knows_its_ends() {
    let (events, server, accepted) = serving();
    let out = Outbound::new(&events);
    let seen = Rc::new(Cell::new(false));
    on(out.socket, CONNECT, {
        let (seen, socket) = (seen.clone(), out.socket);
        move |event| {
            assert_eq!(event.describe(), "[Event type=\"connect\" bubbles=false cancelable=false eventPhase=2]");
            assert!(socket.connected());
            seen.set(true);
        }
    });
    ok(out.connect(c"127.0.0.1", server.port()));
    assert!(!out.socket.connected() && out.log.len() == 0, "never inside connect");
    events.pump_until(|| seen.get() && accepted.len() == 1);
    assert_eq!(out.log.take(), ["connect"]);
    assert_eq!(out.socket.remote(), (Some("127.0.0.1".into()), server.port().into()));
    assert_eq!(out.socket.local(), accepted.get(0).remote());
    ok(out.socket.write(b"there"));
    events.pump_until(|| accepted.get(0).available() == 5);
    ok(accepted.get(0).write(b"and back"));
    events.pump_until(|| out.socket.available() == 8);
    assert_eq!(out.socket.read_all(), b"and back");
    ok(out.socket.close());
    assert!(!out.socket.connected());
    events.settle();
    assert_eq!(out.log.take(), ["socketData"], "no event follows the own close");
}

#[test]
fn the_port_is_checked_first_and_a_host_must_be_given() {
    let events = Loop::new();
    let out = Outbound::new(&events);
    for port in [-1, 65_536, i32::MAX, i32::MIN] {
        for host in [c"127.0.0.1", c""] {
            fails(unsafe { ss_socket_connect(out.socket.0, host.as_ptr(), port) }, SS_ERR_SECURITY, 2003);
        }
    }
    fails(out.connect(c"", 80), SS_ERR_IO, 2002);
    fails(unsafe { ss_socket_connect(out.socket.0, null(), 80) }, SS_ERR_IO, 2002);
    events.settle();
    assert_eq!(out.log.len(), 0);
}

#[test]
fn a_refused_connection_is_told_at_once_but_not_inside_connect_and_the_socket_can_be_used_again() {
    let events = Loop::new();
    let out = Outbound::new(&events);
    let start = Instant::now();
    ok(out.connect(c"127.0.0.1", free_port()));
    assert_eq!(out.log.len(), 0);
    events.pump_until(|| out.log.len() == 2);
    assert!(start.elapsed() < Duration::from_secs(10), "long before the 20 s of the time-out");
    assert_eq!(out.log.take(), ["ioError 2031".to_owned(), format!("errno {}", errno::ECONNREFUSED)]);
    assert!(!out.socket.connected());

    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    ok(out.connect(c"127.0.0.1", server.port()));
    events.pump_until(|| out.socket.connected() && accepted.len() == 1);
    assert_eq!(out.log.take(), ["connect"]);
}

#[test]
fn names_are_looked_up_and_each_of_their_addresses_is_tried() {
    let events = Loop::new();
    // On IPv4 only, whatever order localhost's addresses come in.
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let out = Outbound::new(&events);
    ok(out.connect(c"localhost", server.port()));
    assert_eq!(out.log.len(), 0);
    events.pump_until(|| out.socket.connected() && accepted.len() == 1);
    assert_eq!(out.log.take(), ["connect"]);
}

#[test]
fn a_name_that_does_not_exist_is_one_io_error() {
    let events = Loop::new();
    let out = Outbound::new(&events);
    for host in [c"no-such-host.invalid", c"not a name at all", c"127.0.0.1.5"] {
        ok(out.connect(host, 80));
        assert_eq!(out.log.len(), 0);
        events.pump_until(|| out.log.len() == 2);
        let events_of_it = out.log.take();
        assert_eq!(events_of_it[0], "ioError 2031", "{host:?}");
        assert_ne!(events_of_it[1], "errno 0", "{host:?}: the resolver's number");
    }
}

#[test]
fn nobody_answers_within_the_timeout_and_that_is_an_io_error() {
    let events = Loop::new();
    let hole = BlackHole::new();
    let out = Outbound::new(&events);
    ok(ss_socket_set_timeout(out.socket.0, 50));
    ok(out.connect(c"127.0.0.1", hole.port));
    events.pump_until(|| out.log.len() == 2);
    assert_eq!(out.log.take(), ["ioError 2031".to_owned(), format!("errno {}", errno::ETIMEDOUT)]);
}

#[test]
fn a_running_attempt_follows_a_change_of_the_timeout_and_0_means_none() {
    let events = Loop::new();
    let hole = BlackHole::new();
    let out = Outbound::new(&events);
    ok(ss_socket_set_timeout(out.socket.0, 0));
    ok(out.connect(c"127.0.0.1", hole.port));
    assert_eq!(ss_loop_timeout(events.0), -1, "no timer runs");
    ok(ss_socket_set_timeout(out.socket.0, 60_000));
    assert!((1..=60_000).contains(&ss_loop_timeout(events.0)));
    ok(ss_socket_set_timeout(out.socket.0, 30));
    events.pump_until(|| out.log.len() == 2);
    assert_eq!(ss_loop_timeout(events.0), -1);
}

#[test]
fn closing_or_aborting_an_attempt_cancels_it_without_an_event() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let hole = BlackHole::new();
    for end in [ss_socket_close, ss_socket_abort] {
        for host in [c"127.0.0.1", c"localhost"] {
            let out = Outbound::new(&events);
            ok(out.connect(host, hole.port));
            fails(out.socket.write(b"x"), SS_ERR_IO, 2002);
            fails(out.socket.flush(), SS_ERR_IO, 2002);
            ok(end(out.socket.0));
            fails(end(out.socket.0), SS_ERR_IO, 2002);
            events.settle();
            assert_eq!(out.log.len(), 0);
            assert_eq!(ss_loop_timeout(events.0), -1, "its timers are gone");
        }
    }
    ok(ss_loop_run(events.0)); // returns: nothing is left on the loop
}

#[test]
fn releasing_a_socket_that_is_connecting_ends_the_attempt() {
    in_own_process!(|| {
        let events = Loop::new();
        let hole = BlackHole::new();
        let before = open_descriptors();
        for host in [c"127.0.0.1", c"localhost"] {
            let out = Outbound::new(&events);
            ok(out.connect(host, hole.port));
        }
        // The resolver's thread lives on for a moment.
        events.pump_until(|| open_descriptors() == before);
        ok(ss_loop_run(events.0));
    });
}

#[test]
fn connecting_anew_closes_the_old_connection_silently_and_keeps_the_rest() {
    let events = Loop::new();
    let (first, second) = (Server::listening(&events), Server::listening(&events));
    let (at_first, at_second) = (first.keep_accepted(), second.keep_accepted());
    let out = Outbound::new(&events);
    ok(ss_socket_set_timeout(out.socket.0, 7_000));
    ok(ss_socket_set_endian(out.socket.0, SS_LITTLE_ENDIAN));
    ok(out.connect(c"127.0.0.1", first.port()));
    events.pump_until(|| out.socket.connected() && at_first.len() == 1);
    ok(at_first.get(0).write(b"unread"));
    events.pump_until(|| out.socket.available() == 6);
    out.log.take();

    ok(out.connect(c"127.0.0.1", second.port()));
    assert!(!out.socket.connected());
    assert_eq!(out.socket.available(), 0, "what was unread belonged to the old connection");
    events.pump_until(|| out.socket.connected() && at_second.len() == 1 && !at_first.get(0).connected());
    assert_eq!(out.log.take(), ["connect"], "no close event");
    assert_eq!((ss_socket_timeout(out.socket.0), ss_socket_endian(out.socket.0)), (7_000, SS_LITTLE_ENDIAN));
}

/// The text that says where to connect to is that of the connection which the call ends.
#[test]
fn a_socket_can_be_connected_again_by_its_own_remote_address() {
    let (events, server, accepted) = serving();
    let out = Outbound::new(&events);
    ok(out.connect(c"127.0.0.1", server.port()));
    for reconnected in 1..5 {
        events.pump_until(|| out.socket.connected() && accepted.len() == reconnected);
        let (host, port) = (ss_socket_remote_address(out.socket.0), ss_socket_remote_port(out.socket.0));
        ok(unsafe { ss_socket_connect(out.socket.0, host, port) });
    }
    events.pump_until(|| out.socket.connected() && accepted.len() == 5);
    assert_eq!(out.log.take(), ["connect"; 5], "and no error");
}

#[test]
fn connecting_anew_while_connecting_forgets_the_first_attempt() {
    let events = Loop::new();
    let hole = BlackHole::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let out = Outbound::new(&events);
    ok(ss_socket_set_timeout(out.socket.0, 100));
    ok(out.connect(c"127.0.0.1", hole.port));
    ok(out.connect(c"localhost", server.port()));
    events.pump_until(|| accepted.len() == 1 && out.socket.connected());
    assert_rests_without_an_event(&events, &out);
}

fn assert_rests_without_an_event(events: &Loop, out: &Outbound) {
    out.log.take();
    events.turn(200); // longer than the timeout of the attempt that is forgotten
    assert_eq!(out.log.len(), 0);
}

#[test]
fn a_socket_can_be_connected_again_in_its_own_close_and_error_listeners() {
    let (events, server, accepted) = serving();
    let out = Outbound::new(&events);
    let again = Rc::new(Cell::new(2));
    for kind in [CLOSE, IO_ERROR] {
        let (again, socket, port) = (again.clone(), out.socket, server.port());
        on(out.socket, kind, move |_| {
            if again.get() > 0 {
                again.set(again.get() - 1);
                ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), port.into()) });
            }
        });
    }
    ok(out.connect(c"127.0.0.1", free_port()));
    events.pump_until(|| accepted.len() == 1 && out.socket.connected());
    ok(accepted.get(0).close());
    events.pump_until(|| accepted.len() == 2 && out.socket.connected());
    assert_eq!(again.get(), 0);
    assert_eq!(out.log.count("close"), 1);
}

#[test]
fn a_connection_to_itself_is_refused() {
    // A socket that connects to a port of the ephemeral range may be given that port as its own; the kernel then lets it
    // talk to itself. It cannot be forced, so that many attempts are made.
    let events = Loop::new();
    let out = Outbound::new(&events);
    let port = free_port();
    for _ in 0..500 {
        ok(out.connect(c"127.0.0.1", port));
        events.pump_until(|| out.log.len() > 0);
        assert!(!out.log.contains("connect"), "connected to nobody");
        out.log.take();
    }
}

/// One listener closes another socket whose event is due in the same turn, and connects: the new connection has the old
/// one's descriptor, but not its event, which would have it connected in this very turn.
#[test]
fn a_connection_made_in_a_listener_gets_no_event_of_the_one_whose_descriptor_it_gets() {
    let (events, server, accepted) = serving();
    let partner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = partner.local_addr().expect("an address").port();
    let mut reused = 0;
    for round in 0..200 {
        let peers = [server.client(), server.client()];
        events.pump_until(|| accepted.len() == 2);
        let (socket, victim) = (accepted.get(0), accepted.get(1));
        let descriptor = native_handle(victim);
        let out = Rc::new(Outbound::new(&events));
        on(socket, SOCKET_DATA, {
            let out = out.clone();
            move |_| {
                ok(victim.abort());
                ok(out.connect(c"127.0.0.1", port));
            }
        });
        peers.iter().for_each(|mut peer| peer.write_all(b"x").expect("the peer writes"));
        events.pump_until(|| !victim.connected());
        assert_eq!(out.log.len(), 0, "round {round}: in the turn in which it was made");
        events.pump_until(|| out.log.len() > 0);
        assert_eq!(out.log.take(), ["connect"], "round {round}");
        reused += usize::from(native_handle(out.socket) == descriptor);
        reset(partner.accept().expect("it is connected").0);
        peers.into_iter().for_each(reset);
        accepted.clear();
    }
    assert!(reused > 100 || cfg!(windows), "descriptors were used again {reused} times only");
}

#[test]
fn hundreds_connect_at_once() {
    let (events, server, accepted) = serving();
    let sockets: Vec<Outbound> = (0..400).map(|_| Outbound::new(&events)).collect();
    sockets.iter().for_each(|out| ok(out.connect(c"127.0.0.1", server.port())));
    events.pump_until(|| accepted.len() == 400 && sockets.iter().all(|out| out.socket.connected()));
    for out in &sockets {
        assert_eq!(out.log.take(), ["connect"]);
    }
}

#[test]
fn many_lookups_at_once_all_get_their_answer_and_their_threads_end() {
    in_own_process!(|| {
        let threads = || std::fs::read_dir("/proc/self/task").expect("/proc").count();
        let before = threads();
        let (events, server, accepted) = serving();
        let sockets: Vec<Outbound> = (0..60).map(|_| Outbound::new(&events)).collect();
        sockets.iter().for_each(|out| ok(out.connect(c"localhost", server.port())));
        assert!(threads() <= before + 4, "a few threads, however many names");
        events.pump_until(|| accepted.len() == 60 && sockets.iter().all(|out| out.socket.connected()));
        let end = Instant::now() + DEADLINE;
        while threads() > before {
            assert!(Instant::now() < end, "the threads stay");
            events.turn(20);
        }
    });
}

#[test]
fn a_loop_ends_at_once_while_names_are_looked_up() {
    in_own_process!(|| {
        let before = open_descriptors();
        let events = Loop::new();
        let sockets: Vec<Outbound> = (0..50).map(|_| Outbound::new(&events)).collect();
        sockets.iter().for_each(|out| ok(out.connect(c"no-such-host.invalid", 80)));
        drop(events);
        sockets.iter().for_each(|out| assert!(!out.socket.alive()));
        // Descriptors of the resolver's own may come and go; the loop's do not stay.
        let end = Instant::now() + DEADLINE;
        while open_descriptors() > before {
            assert!(Instant::now() < end, "descriptors stay");
            std::thread::yield_now();
        }
    });
}

#[test]
fn two_loops_on_two_threads_talk_to_each_other() {
    let (tell_port, port) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let (events, server, accepted) = serving();
        tell_port.send(server.port()).expect("somebody asks");
        events.pump_until(|| accepted.len() == 1 && accepted.get(0).available() == 4);
        accepted.get(0).echo();
        events.pump_until(|| !accepted.get(0).connected());
    });
    let events = Loop::new();
    let out = Outbound::new(&events);
    ok(out.connect(c"127.0.0.1", port.recv().expect("a port")));
    events.pump_until(|| out.socket.connected());
    ok(out.socket.write(b"ping"));
    events.pump_until(|| out.socket.available() == 4);
    ok(out.socket.close());
    events.join(other);
}

#[test]
fn an_error_that_nobody_listens_for_is_logged_in_airs_words() {
    in_own_process!(|| {
        unsafe extern "C-unwind" fn log(level: i32, message: *const std::ffi::c_char, lines: *mut std::ffi::c_void) {
            let lines = unsafe { &*lines.cast::<std::cell::RefCell<Vec<(i32, String)>>>() };
            lines.borrow_mut().push((level, text(message).expect("a message")));
        }
        let lines = std::cell::RefCell::new(Vec::<(i32, String)>::new());
        ok(unsafe { ss_set_log(Some(log), (&raw const lines).cast_mut().cast()) });
        let events = Loop::new();
        let socket = ss_socket_new(events.0);
        let port = free_port();
        ok(unsafe { ss_socket_connect(socket, c"127.0.0.1".as_ptr(), port.into()) });
        events.pump_until(|| !lines.borrow().is_empty());
        let expected = format!(
            "Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error. connect to 127.0.0.1:{port}: "
        );
        let (level, line) = lines.borrow()[0].clone();
        assert!(level == SS_LOG_WARNING && line.starts_with(&expected), "{line}");
        ok(unsafe { ss_set_log(None, std::ptr::null_mut()) });
        ok(unsafe { ss_socket_connect(socket, c"127.0.0.1".as_ptr(), free_port().into()) });
        events.settle();
        assert_eq!(lines.borrow().len(), 1, "nobody reads the log any more");
    });
}

#[test]
fn an_accepted_socket_that_is_connected_anew_does_not_count_for_its_server() {
    let (events, server) = listening();
    ok(ss_set_option(server.object(), SS_OPT_MAX_CONNECTIONS, 1));
    let accepted = server.keep_accepted();
    let _first = server.client();
    events.pump_until(|| accepted.len() == 1);
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = elsewhere.local_addr().expect("an address").port();
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
    for round in 1..4 {
        ok(unsafe { ss_socket_connect(accepted.get(0).0, c"127.0.0.1".as_ptr(), port.into()) });
        if round > 1 {
            events.pump_until(|| accepted.get(0).connected());
        }
        ok(accepted.get(0).close());
        ok(unsafe { ss_server_stats(server.0, &mut stats) });
        assert_eq!((stats.accepted, stats.open), (1, 0));
    }
    // There is room for one, and not for two.
    let _others = [server.client(), server.client()];
    events.pump_until(|| accepted.len() == 2);
    events.settle();
    assert_eq!(accepted.len(), 2);
}

#[test]
fn a_run_lasts_as_long_as_an_attempt_or_a_connection_does() {
    let events = Loop::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let out = Outbound::new(&events);
    ok(out.connect(c"localhost", listener.local_addr().expect("an address").port()));
    let peer = std::thread::spawn(move || {
        let (peer, _): (TcpStream, _) = listener.accept().expect("a peer");
        drop(peer);
    });
    ok(ss_loop_run(events.0));
    assert_eq!(out.log.take(), ["connect", "close"]);
    peer.join().expect("it does not panic");
}
