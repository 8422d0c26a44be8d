// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hints in the log: what is allowed, and hardly meant. Each comes once, and a program that is right gets none. One log is
//! for a process, so that each test has one of its own.

use crate::{listening, serving};
use server_socket::*;
use std::ffi::CStr;
use std::io::Write;
use std::net::TcpStream;
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use support::*;

/// The hints that there are.
#[track_caller]
fn hints(messages: &Messages) -> Vec<String> {
    messages.about(SS_LOG_HINT, "")
}

/// There is one hint, and it has these words in it.
#[track_caller]
fn hinted(messages: &Messages, words: &[&str]) {
    let hints = hints(messages);
    assert_eq!(hints.len(), 1, "{hints:?}");
    for word in words {
        assert!(hints[0].contains(word), "{hints:?}");
    }
}

#[track_caller]
fn not_hinted(messages: &Messages) {
    assert_eq!(hints(messages), [""; 0]);
}

fn nothing() -> impl Fn(Event) + 'static {
    |_| {}
}

/// Turns for so long.
fn turn_for(events: &Loop, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        events.turn(20);
    }
}

/// Longer than the library waits until it says that nobody reads.
const LONG: Duration = Duration::from_millis(1_500);

#[test]
fn an_accepted_socket_with_listeners_that_is_not_retained() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        on(&server, CONNECT, |event| drop(on(event.socket(), SOCKET_DATA, nothing())));
        let peers: Vec<TcpStream> = (0..3).map(|_| server.client()).collect();
        events.pump_until(|| server.figures().refused == 3);
        hinted(&messages, &["ss_retain", "listeners"]);
        drop(peers);
    });
}

#[test]
fn peers_that_are_turned_away_on_purpose_are_no_mistake() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        let turn = shared::<usize>();
        on(&server, CONNECT, {
            let turn = turn.clone();
            move |event| {
                increment(&turn);
                // The second has listeners, and is closed.
                if turn.get() == 2 {
                    on(event.socket(), CLOSE, nothing());
                    ok(event.socket().close());
                }
            }
        });
        let peers: Vec<TcpStream> = (0..2).map(|_| server.client()).collect();
        events.pump_until(|| server.figures().refused == 2);
        not_hinted(&messages);
        drop(peers);
    });
}

#[test]
fn a_server_that_nobody_listens_at() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        on(&server, CLOSE, nothing());
        events.settle();
        not_hinted(&messages);
        let first = server.client();
        events.pump_until(|| !hints(&messages).is_empty());
        let second = server.client();
        events.settle();
        let port = server.port().to_string();
        hinted(&messages, &["\"connect\"", &port, "ss_add_listener"]);
        drop((first, second));
    });
}

#[test]
fn a_server_that_is_listened_at_later_or_no_more_is_no_mistake() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        let peer = server.client();
        // Still in the same turn.
        let accepted = server.keep_accepted();
        events.pump_until(|| accepted.len() == 1);
        let other = Server::listening(&events);
        let listener = on(&other, CONNECT, nothing());
        listener.remove();
        let waiting = other.client();
        events.settle();
        not_hinted(&messages);
        drop((peer, waiting));
    });
}

#[test]
fn a_socket_whose_bytes_nobody_hears_of_and_nobody_reads() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server, accepted) = serving();
        let peers: Vec<TcpStream> = (0..3).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == 3);
        let listener = on(accepted.get(0), CLOSE, nothing());
        peers.iter().for_each(|mut peer| peer.write_all(b"hello").expect("it can write"));
        turn_for(&events, LONG);
        hinted(&messages, &["\"socketData\"", "5 bytes", "127.0.0.1:", "ss_socket_pause"]);
        listener.remove();
        accepted.clear();
    });
}

#[test]
fn who_reads_without_a_listener_or_pauses_or_listens_later_makes_no_mistake() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server, accepted) = serving();
        let peers: Vec<TcpStream> = (0..4).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == 4);
        let (reads, paused, later, heard) = (accepted.get(0), accepted.get(1), accepted.get(2), accepted.get(3));
        on(heard, SOCKET_DATA, nothing());
        peers.iter().for_each(|mut peer| peer.write_all(b"hello").expect("it can write"));
        events.pump_until(|| (0..4).all(|index| accepted.get(index).available() == 5));
        ok(ss_socket_pause(paused.0));
        events.settle();
        assert_eq!(reads.read(1), b"h");
        on(later, SOCKET_DATA, nothing());
        turn_for(&events, LONG);
        not_hinted(&messages);
        accepted.clear();
    });
}

#[test]
fn a_listener_for_a_type_that_is_nearly_one_of_airs() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        for kind in [c"SOCKET_DATA", c"socketdata", c"data"] {
            on(&server, kind, nothing());
            events.turn(0);
        }
        hinted(&messages, &["\"SOCKET_DATA\"", "\"socketData\"", "ss_dispatch_event"]);
        on(&server, c"connection", nothing());
        events.turn(0);
        assert_eq!(hints(&messages).len(), 2);
        // A server has no bytes.
        for _ in 0..2 {
            on(&server, SOCKET_DATA, nothing());
            events.turn(0);
        }
        let hints = hints(&messages);
        assert!(hints.len() == 3 && hints[2].contains("on a server"), "{hints:?}");
    });
}

#[test]
fn a_program_s_own_types_are_no_mistake() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server, accepted) = serving();
        let peer = server.client();
        events.pump_until(|| accepted.len() == 1);
        let socket = accepted.last();
        let own: [&CStr; 4] = [c"message", c"myEvent", c"ready", c"connected"];
        let airs = [SOCKET_DATA, CLOSE, IO_ERROR, OUTPUT_PROGRESS, CONNECT];
        own.into_iter().chain(airs).for_each(|kind| drop(on(socket, kind, nothing())));
        own.into_iter().chain([CONNECT, CLOSE]).for_each(|kind| drop(on(&server, kind, nothing())));
        assert!(dispatch(socket, c"message"));
        events.settle();
        accepted.clear();
        drop(server);
        drop(events);
        not_hinted(&messages);
        drop(peer);
    });
}

#[test]
fn another_threads_server_waits_while_an_empty_loop_is_polled() {
    in_own_process!(|| {
        let messages = Messages::record();
        let server = ss_new(null_mut());
        ok(unsafe { ss_bind(server, 0, null_mut()) });
        ok(ss_listen(server, 0));
        let poll = || {
            for _ in 0..3 {
                ok(unsafe { ss_loop_poll(null_mut(), 0, null_mut()) });
            }
        };
        std::thread::spawn(poll).join().expect("no panic");
        hinted(&messages, &["NULL", "another thread", "never polled"]);
        // A loop of its own, though, that it has made.
        let own = || {
            ss_loop_default();
            ok(unsafe { ss_loop_poll(null_mut(), 0, null_mut()) });
        };
        std::thread::spawn(own).join().expect("no panic");
        // Nor is it a mistake where the other loop is driven.
        ok(unsafe { ss_loop_poll(null_mut(), 0, null_mut()) });
        std::thread::spawn(poll).join().expect("no panic");
        assert_eq!(hints(&messages).len(), 1);
        ok(release(server));
    });
}

#[test]
fn a_loop_that_ends_with_what_was_not_released() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server, accepted) = serving();
        let peer = server.client();
        events.pump_until(|| accepted.len() == 1);
        let outbound = ss_socket_new(events.0);
        drop(events);
        hinted(&messages, &["1 servers and 2 sockets", "ss_release"]);
        assert_eq!(release(outbound), SS_ERR_HANDLE);
        drop(peer);
    });
}

#[test]
fn without_a_log_nothing_is_done_about_hints() {
    in_own_process!(|| {
        let (events, server, accepted) = serving();
        let mut peer = server.client();
        events.pump_until(|| accepted.len() == 1);
        peer.write_all(b"hello").expect("it can write");
        events.pump_until(|| accepted.last().available() == 5);
        // No timer of the library's.
        assert_eq!(ss_loop_timeout(events.0), -1);
    });
}
