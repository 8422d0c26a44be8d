// SPDX-License-Identifier: MIT OR Apache-2.0
//! ss_drain: a server that ends in peace, and what its peers and its host see of that.

#![cfg(target_os = "linux")]

use crate::listening;
use server_socket::*;
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;
use support::*;

/// More than the kernel takes for a peer that does not read.
const MUCH: usize = 20_000_000;
/// Only a failing test waits that long.
const LONG: u32 = 600_000;

fn drain(server: &Server, milliseconds: u32) {
    ok(ss_drain(server.0, milliseconds));
}

/// The server's close events, by their error's number.
fn closes(server: &Server) -> Rc<RefCell<Vec<i32>>> {
    let closes = Rc::<RefCell<Vec<i32>>>::default();
    let heard = closes.clone();
    on(server, CLOSE, move |event| heard.borrow_mut().push(event.os_error()));
    closes
}

/// A server with `count` connections that the test keeps, and their peers.
struct Busy {
    accepted: Accepted,
    peers: Vec<TcpStream>,
    closes: Rc<RefCell<Vec<i32>>>,
    log: Log,
    server: Server,
    events: Loop,
}

impl Busy {
    #[track_caller]
    fn new(count: usize) -> Busy {
        let (events, server) = listening();
        let (log, accepted) = (Log::default(), server.keep_accepted());
        on(&server, CLOSE, log.adds("server"));
        let peers = (0..count).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == count);
        for index in 0..count {
            log.record_socket(accepted.get(index));
        }
        let closes = closes(&server);
        Busy { accepted, peers, closes, log, server, events }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_server_without_connections_has_drained_in_the_next_turn() {
    for (listening, heard) in [(true, true), (true, false), (false, true), (false, false)] {
        let events = Loop::new();
        let server = Server::new(&events);
        if heard {
            on(&server, CONNECT, |_| {});
        }
        ok(server.bind(0, c"127.0.0.1"));
        if listening {
            ok(server.listen(0));
        }
        let (port, closes) = (server.port(), closes(&server));
        drain(&server, LONG);
        assert_eq!(closes.take(), [] as [i32; 0]);
        events.turn(0);
        assert_eq!((closes.take(), server.state()), (vec![0], unbound()));
        assert!(is_free(port));
        assert_loop_rests(&events, 50);
        assert_eq!(closes.take(), [] as [i32; 0]);
    }
}

/// Each connection ends in a way of its own; the server's close comes behind all of them.
#[test]
fn a_server_closes_when_the_last_of_its_connections_has_ended() {
    let Busy { accepted, peers, closes, log, server, events } = Busy::new(6);
    let port = server.port();
    drain(&server, LONG);
    events.settle();
    assert_eq!(server.state(), unbound());
    let refused = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
    assert!(is_free(port));
    assert_loop_rests(&events, 100);

    // A conversation goes on.
    (&peers[0]).write_all(b"question").expect("the peer writes");
    events.pump_until(|| accepted.get(0).available() == 8);
    ok(accepted.get(0).write(b"answer"));
    assert_eq!(events.receive(&peers[0], 6), b"answer");

    let mut peers: Vec<_> = peers.into_iter().map(Some).collect();
    peers[0] = None;
    ok(accepted.get(1).abort());
    ok(accepted.get(2).write(&pattern(MUCH)));
    ok(accepted.get(2).close());
    set(accepted.get(3), SS_OPT_HALF_OPEN, 1);
    peers[3].as_ref().expect("it is there").shutdown(Shutdown::Write).expect("a FIN");
    reset(peers[4].take().expect("it is there"));
    ok(accepted.get(5).write(b"last words"));
    ok(accepted.get(5).shutdown());
    events.settle();
    let said = events.receive_to_end(peers[5].as_ref().expect("it is there"));
    assert_eq!(said, (b"last words".to_vec(), None));
    peers[5] = None;
    events.settle();
    assert_loop_rests(&events, 100);
    assert_eq!((closes.take(), server.figures().open, server.figures().lingering), (vec![], 1, 1));

    // What lingers counts, too.
    ok(accepted.get(3).close());
    events.settle();
    assert_eq!((closes.take(), server.figures().open), (vec![], 0));
    let (bytes, end) = events.receive_to_end(peers[2].as_ref().expect("it is there"));
    assert_same_bytes(&bytes, &pattern(MUCH));
    assert_eq!(end, None);
    peers[2] = None;
    events.rest_until(|| !closes.borrow().is_empty());
    assert_eq!((closes.take(), log.take().pop().as_deref()), (vec![0], Some("server")));
    fails(ss_drain(server.0, 0), SS_ERR_ERROR, 2002);
    events.settle();
    assert_eq!(closes.take(), [] as [i32; 0]);
}

#[test]
fn connections_whose_sockets_were_released_are_waited_for() {
    let Busy { accepted, peers, closes, server, events, .. } = Busy::new(1);
    ok(accepted.get(0).write(&pattern(MUCH)));
    drain(&server, LONG);
    accepted.clear();
    events.settle();
    assert_loop_rests(&events, 50);
    assert_eq!(closes.take(), [] as [i32; 0]);
    assert_same_bytes(&events.receive_to_end(&peers[0]).0, &pattern(MUCH));
    drop(peers);
    events.rest_until(|| !closes.borrow().is_empty());
    assert_eq!(closes.take(), [0]);
}

#[test]
fn who_waits_in_the_systems_queue_is_accepted_first() {
    for paused in [false, true] {
        let (events, server) = listening();
        let (accepted, closes, port) = (server.keep_accepted(), closes(&server), server.port());
        if paused {
            ok(ss_pause(server.0));
        }
        // More than one turn accepts.
        let peers: Vec<_> = (0..700).map(|_| server.client()).collect();
        drain(&server, LONG);
        assert!(!is_free(port));
        events.pump_until(|| accepted.len() == peers.len());
        events.settle();
        assert!(is_free(port));
        for (index, peer) in peers.iter().enumerate() {
            ok(accepted.get(index).write(b"welcome"));
            assert_eq!(events.receive(peer, 7), b"welcome");
        }
        let stats = server.figures();
        assert_eq!((stats.accepted, stats.refused, closes.take()), (700, 0, vec![]));
        drop(peers);
        events.pump_until(|| !closes.borrow().is_empty()); // seven hundred ends are work
        assert_eq!(closes.take(), [0]);
    }
}

#[test]
fn who_waits_for_a_place_gets_it() {
    let Busy { accepted, peers, closes, server, events, .. } = Busy::new(2);
    set(&server, SS_OPT_MAX_CONNECTIONS, 2);
    let late = server.client();
    drain(&server, LONG);
    events.settle();
    assert_loop_rests(&events, 100);
    assert_eq!((accepted.len(), is_free(server.port())), (2, false));
    let port = server.port();
    drop(peers);
    events.rest_until(|| accepted.len() == 3);
    events.settle();
    assert!(is_free(port));
    ok(accepted.get(2).write(b"welcome"));
    assert_eq!(events.receive(&late, 7), b"welcome");
    assert_eq!(closes.take(), [] as [i32; 0]);
    drop(late);
    events.rest_until(|| !closes.borrow().is_empty());
}

#[test]
fn whom_nobody_would_hear_of_is_reset() {
    let (events, server) = listening();
    let (closes, peer) = (closes(&server), server.client());
    drain(&server, LONG);
    assert_eq!(events.receive_to_end(&peer), (vec![], Some(ErrorKind::ConnectionReset)));
    events.settle();
    assert_eq!(closes.take(), [0]);
}

/// In each phase: open, half-open, about to shut down, closed and still sending, waiting for a place.
#[test]
fn at_the_deadline_the_rest_is_reset_and_everybody_is_told() {
    for milliseconds in [0, 60] {
        let Busy { accepted, peers, closes, log, server, events } = Busy::new(5);
        set(&server, SS_OPT_MAX_CONNECTIONS, 5);
        let port = server.port();
        set(accepted.get(1), SS_OPT_HALF_OPEN, 1);
        peers[1].shutdown(Shutdown::Write).expect("a FIN");
        ok(accepted.get(2).write(&pattern(MUCH)));
        ok(accepted.get(2).shutdown());
        ok(accepted.get(3).write(&pattern(MUCH)));
        ok(accepted.get(3).close());
        // Else the one that waits would get the place of the one that lingers.
        ok(ss_pause(server.0));
        let waiting = server.client();
        events.settle();
        assert_eq!((server.figures().open, server.figures().lingering, log.take()), (4, 1, vec!["end".into()]));
        let errors: Vec<Rc<RefCell<Vec<i32>>>> = [0, 1, 2, 4].map(|index| errors(accepted.get(index))).into();
        set(&server, SS_OPT_MAX_CONNECTIONS, 4);
        drain(&server, milliseconds);
        events.rest_until(|| log.contains("server"));
        events.settle();
        let told = log.take();
        assert_eq!((told.len(), told.last().map(String::as_str)), (9, Some("server")), "{told:?}");
        for errors in errors {
            assert_eq!(errors.take(), [libc::ETIMEDOUT; 2]);
        }
        assert_eq!(closes.take(), [libc::ETIMEDOUT]);
        for peer in peers.iter().chain([&waiting]) {
            let (_, end) = events.receive_to_end(peer);
            let is_behind_its_end = peer.peer_addr().is_err() && end.is_none();
            assert!(end == Some(ErrorKind::ConnectionReset) || is_behind_its_end, "{end:?}");
        }
        assert_eq!((server.figures().open, server.figures().lingering, is_free(port)), (0, 0, true));
        assert_loop_rests(&events, 50);
        fails(ss_drain(server.0, 0), SS_ERR_ERROR, 2002);
    }
}

/// The errors that a socket is told of: of its ioError and its close.
fn errors(socket: Socket) -> Rc<RefCell<Vec<i32>>> {
    let errors = Rc::<RefCell<Vec<i32>>>::default();
    for kind in [IO_ERROR, CLOSE] {
        let heard = errors.clone();
        on(socket, kind, move |event| heard.borrow_mut().push(event.os_error()));
    }
    errors
}

#[test]
fn a_second_drain_sets_another_deadline() {
    let Busy { accepted, closes, server, events, peers, .. } = Busy::new(1);
    drain(&server, 50);
    drain(&server, LONG);
    assert_loop_rests(&events, 150);
    assert_eq!((closes.take(), accepted.get(0).connected()), (vec![], true));
    drain(&server, 0);
    events.rest_until(|| !closes.borrow().is_empty());
    assert_eq!((closes.take(), accepted.get(0).connected()), (vec![libc::ETIMEDOUT], false));
    assert_eq!(events.receive_to_end(&peers[0]), (vec![], Some(ErrorKind::ConnectionReset)));
}

#[test]
fn close_and_release_end_a_drain_and_leave_the_connections_alone() {
    for released in [false, true] {
        let Busy { accepted, peers, closes, server, events, .. } = Busy::new(1);
        set(&server, SS_OPT_MAX_CONNECTIONS, 1);
        let (waiting, port) = (server.client(), server.port());
        drain(&server, 1_000);
        events.settle();
        assert!(!is_free(port));
        let server = if released {
            drop(server);
            None
        } else {
            ok(server.close());
            fails(server.close(), SS_ERR_ERROR, 2002);
            fails(ss_drain(server.0, 0), SS_ERR_ERROR, 2002);
            Some(server)
        };
        assert!(is_free(port));
        assert_eq!(events.receive_to_end(&waiting), (vec![], Some(ErrorKind::ConnectionReset)));
        assert_loop_rests(&events, 1_100);
        assert!(accepted.get(0).connected());
        ok(accepted.get(0).write(b"still here"));
        assert_eq!(events.receive(&peers[0], 10), b"still here");
        drop(peers);
        events.settle();
        assert_eq!(closes.take(), [] as [i32; 0]);
        drop(server);
    }
}

#[test]
fn what_cannot_be_drained_says_so_and_nothing_changes() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(ss_drain(server.0, 0), SS_ERR_ERROR, 2002);
    assert!(last_detail().contains("not open"), "{}", last_detail());
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.close());
    fails(ss_drain(server.0, 0), SS_ERR_ERROR, 2002);
    let socket = Kept(Socket(ss_socket_new(events.0)));
    assert_eq!(ss_drain(null_mut(), 0), SS_ERR_HANDLE);
    assert_eq!(ss_drain(socket.0.0.cast(), 0), SS_ERR_HANDLE);

    let Busy { server, events: _events, .. } = Busy::new(1);
    drain(&server, LONG);
    fails(server.listen(0), SS_ERR_IO, 2002);
    assert!(last_detail().contains("draining"), "{}", last_detail());
    fails(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
}

#[test]
fn a_drain_may_begin_in_every_listener() {
    // In the server's own connect listener: the peer that it is told of is kept as ever.
    let (events, server) = listening();
    let (kept, log) = (Rc::<RefCell<Vec<Kept>>>::default(), Log::default());
    on(&server, CONNECT, {
        let (kept, log, handle) = (kept.clone(), log.clone(), server.0);
        move |event| {
            log.record_socket(event.socket());
            kept.borrow_mut().push(event.socket().keep());
            ok(ss_drain(handle, LONG));
        }
    });
    on(&server, CLOSE, {
        let (log, handle) = (log.clone(), server.0);
        move |_| {
            log.add("server");
            fails(ss_drain(handle, 0), SS_ERR_ERROR, 2002);
            fails(ss_close(handle), SS_ERR_ERROR, 2002);
        }
    });
    let peers = [server.client(), server.client()];
    events.pump_until(|| kept.borrow().len() == 2);
    drop(peers);
    events.rest_until(|| log.contains("server"));
    assert_eq!(log.take(), ["close", "close", "server"]);

    // And in the listener of the last close, and of a socket's data.
    for kind in [SOCKET_DATA, CLOSE] {
        let Busy { accepted, peers, closes, server, events, .. } = Busy::new(1);
        let handle = server.0;
        on(accepted.get(0), kind, move |_| ok(ss_drain(handle, LONG)));
        (&peers[0]).write_all(b"!").expect("the peer writes");
        events.pump_until(|| accepted.get(0).available() == 1);
        drop(peers);
        events.rest_until(|| !closes.borrow().is_empty());
        assert_eq!(closes.take(), [0]);
    }
}

#[test]
fn the_listeners_that_a_deadline_calls_may_release_everything() {
    let Busy { accepted, closes, server, events, peers: _peers, .. } = Busy::new(3);
    let (handle, released) = (server.0, Rc::new(Cell::new(false)));
    for index in 0..3 {
        let (accepted, released) = (accepted.clone(), released.clone());
        on(accepted.get(index), IO_ERROR, move |_| {
            if !released.replace(true) {
                accepted.clear();
                ok(ss_release(handle.cast()));
            }
        });
    }
    std::mem::forget(server);
    drain(&std::mem::ManuallyDrop::new(Server(handle)), 0);
    events.settle();
    assert_eq!((closes.take(), released.get()), (vec![], true));
    assert_loop_rests(&events, 50);
}

#[test]
fn a_loop_runs_on_until_a_server_has_drained() {
    let Busy { accepted, peers, closes, server, events, .. } = Busy::new(1);
    on(accepted.get(0), SOCKET_DATA, {
        let socket = accepted.get(0);
        move |_| socket.echo()
    });
    drain(&server, LONG);
    let mut peer = peers.into_iter().next().expect("one");
    let talk = thread::spawn(move || {
        let mut room = [0; 5];
        for _ in 0..20 {
            peer.write_all(b"hello").expect("the peer writes");
            peer.read_exact(&mut room).expect("an echo");
        }
    });
    events.run_to_its_end();
    talk.join().expect("no panic");
    assert_eq!(closes.take(), [0]);

    // And when its time is over, with nobody but itself on the loop.
    let Busy { closes, server, events, peers: _peers, .. } = Busy::new(1);
    drain(&server, 50);
    events.run_to_its_end();
    assert_eq!(closes.take(), [libc::ETIMEDOUT]);
}

#[test]
fn a_server_drains_though_a_child_has_a_copy_of_its_descriptors() {
    in_own_process!(|| {
        let Busy { accepted: _accepted, peers, closes, server, events, .. } = Busy::new(1);
        let child = Child::fork();
        drain(&server, LONG);
        events.settle();
        assert_eq!(server.state(), unbound());
        assert_loop_rests(&events, 100);
        peers[0].shutdown(Shutdown::Write).expect("a FIN");
        events.rest_until(|| !closes.borrow().is_empty());
        assert_eq!(closes.take(), [0]);
        drop(child);
    });
}

/// Accepting fails for want of descriptors: who waits is accepted when there are some.
#[test]
fn who_waits_while_there_are_no_descriptors_is_accepted_later() {
    in_own_process!(|| {
        let (events, server) = listening();
        let (accepted, closes) = (server.keep_accepted(), closes(&server));
        let peers = [server.client(), server.client()];
        let hoard = Hoard::all_descriptors();
        drain(&server, LONG);
        events.settle();
        assert_eq!((accepted.len(), server.state().listening), (0, true));
        assert_loop_rests(&events, 300);
        drop(hoard);
        events.rest_until(|| accepted.len() == 2);
        drop(peers);
        events.rest_until(|| !closes.borrow().is_empty());
        assert_eq!(closes.take(), [0]);
    });
}

/// Every descriptor that the process may still open.
struct Hoard(Vec<TcpListener>);

impl Hoard {
    fn all_descriptors() -> Hoard {
        let limit = libc::rlimit { rlim_cur: 200, rlim_max: 200 };
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        Hoard(std::iter::from_fn(|| TcpListener::bind("127.0.0.1:0").ok()).collect())
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        assert!(!self.0.is_empty());
    }
}

/// A server at a port that others may share.
fn sharing(events: &Loop, port: u16) -> Server {
    let server = Server::new(events);
    set(&server, SS_OPT_REUSE_PORT, 1);
    ok(server.bind(port.into(), c"127.0.0.1"));
    ok(server.listen(0));
    server
}

/// It says a word to everybody, and closes.
fn welcoming(server: Server) -> Server {
    on(&server, CONNECT, |event| {
        let socket = event.socket();
        ok(socket.write(b"welcome"));
        ok(socket.close());
    });
    server
}

fn what_is_said_at(port: u16) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("not refused");
        set_timeouts(&peer);
        peer.read_to_end(&mut said).expect("not reset");
        said
    })
}

/// Whoever begins to connect while a server gives up a port that is shared is left to the successor.
#[test]
fn a_newcomer_at_a_shared_port_is_left_to_the_successor() {
    let events = Loop::new();
    let server = welcoming(sharing(&events, 0));
    let (port, closes) = (server.port(), closes(&server));
    drain(&server, LONG);
    events.pump_until(|| ss_loop_timeout(events.0) > 0);
    let newcomer = what_is_said_at(port);
    events.rest_until(|| !closes.borrow().is_empty());
    assert_eq!((closes.take(), server.figures().accepted, newcomer.is_finished()), (vec![0], 0, false));
    let successor = welcoming(sharing(&events, port));
    assert_eq!(events.join(newcomer), b"welcome");
    assert_eq!(successor.figures().accepted, 1);
}

/// A listening socket that somebody else may have by now goes on to accept there.
#[test]
fn a_listening_socket_that_was_handed_on_goes_on() {
    let events = Loop::new();
    let server = welcoming(sharing(&events, 0));
    let (port, closes) = (server.port(), closes(&server));
    let waiting = what_is_said_at(port);
    let descriptor = native_handle(&server).expect("it has one") as i32;
    let successor = welcoming(Server::new(&events));
    ok(ss_adopt(successor.0, unsafe { libc::dup(descriptor) }.into(), true));
    drain(&server, LONG);
    events.turn(0);
    let at_once = ss_bound(server.0);
    events.rest_until(|| !closes.borrow().is_empty());
    assert_eq!(events.join(waiting), b"welcome");
    for _ in 0..5 {
        assert_eq!(events.join(what_is_said_at(port)), b"welcome");
    }
    assert_eq!((at_once, server.figures().accepted + successor.figures().accepted), (false, 6));
}

/// Servers take turns at one port, which they share for a moment, while clients connect all the while: nobody is refused,
/// nobody is reset, and everybody is answered.
#[test]
fn servers_that_take_turns_at_a_port_lose_nobody() {
    const CLIENTS: usize = 10_000;
    const CALLERS: usize = 8;
    let events = Loop::new();
    let successor = |port: u16| welcoming(sharing(&events, port));
    let first = successor(0);
    let (port, over) = (Arc::new(AtomicU16::new(first.port())), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let port = port.clone();
            thread::spawn(move || {
                for _ in 0..CLIENTS / CALLERS {
                    let mut peer =
                        TcpStream::connect(("127.0.0.1", port.load(Ordering::Relaxed))).expect("not refused");
                    set_timeouts(&peer);
                    let mut said = Vec::new();
                    peer.read_to_end(&mut said).expect("not reset");
                    assert_eq!(said, b"welcome");
                }
            })
        })
        .collect();
    let watch = {
        let over = over.clone();
        thread::spawn(move || {
            let lost = callers.into_iter().filter_map(|caller| caller.join().err()).count();
            over.store(true, Ordering::Relaxed);
            lost
        })
    };
    let (mut server, mut drained, mut turns) = (first, 0, 0);
    while !over.load(Ordering::Relaxed) {
        let next = successor(port.load(Ordering::Relaxed));
        let closes = closes(&server);
        drain(&server, LONG);
        events.pump_until(|| !closes.borrow().is_empty() || over.load(Ordering::Relaxed));
        drained += usize::from(closes.take() == [0]);
        server = next;
        let until = std::time::Instant::now() + Duration::from_millis(500);
        while std::time::Instant::now() < until {
            events.turn(1);
        }
        turns += 1;
    }
    assert_eq!(events.join(watch), 0, "callers that were lost");
    figure(format_args!("{CLIENTS} clients while {turns} servers took turns at a port: none lost"));
    assert!(drained + 1 >= turns, "{drained} of {turns} servers have drained");
}
