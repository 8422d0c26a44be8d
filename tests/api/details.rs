// SPDX-License-Identifier: MIT OR Apache-2.0
//! ss_event_detail: with whom what was attempted, and what the system said to it.
#![cfg(target_os = "linux")] // whose words and numbers these are

use crate::listening;
use server_socket::*;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::rc::Rc;
use support::*;

fn detail(event: Event) -> Option<String> {
    text(ss_event_detail(event.0))
}

/// Notes down what the events of both types say.
fn record(socket: Socket) -> Log {
    let log = Log::default();
    for kind in [IO_ERROR, CLOSE] {
        let log = log.clone();
        on(socket, kind, move |event| {
            let told = ss_event_detail(event.0);
            assert_eq!(told, ss_event_detail(event.0), "it stays where it is");
            log.add(format!("{}: {}", event.kind().expect("a type"), detail(event).expect("it says something")));
        });
    }
    log
}

fn name(peer: &std::net::TcpStream) -> String {
    peer.local_addr().expect("an address").to_string()
}

#[test]
fn a_reset_says_what_was_read_from_whom() {
    let Pair { socket, peer, events, .. } = Pair::new();
    let (log, peer_name) = (record(*socket), name(&peer));
    reset(peer);
    events.pump_until(|| log.len() == 1);
    assert_eq!(log.take(), [format!("close: read from {peer_name}: Connection reset by peer (104)")]);
}

#[test]
fn a_good_end_says_who_has_ended_the_connection() {
    for address in [c"127.0.0.1", c"::1"] {
        if address == c"::1" && !has_ipv6() {
            continue;
        }
        let events = Loop::new();
        let server = Server::listening_on(&events, address);
        let accepted = server.keep_accepted();
        let host = if address == c"::1" { "[::1]" } else { "127.0.0.1" };
        let peer = client(&format!("{host}:{}", server.port()));
        events.pump_until(|| accepted.len() == 1);
        let (log, peer_name) = (record(accepted.get(0)), name(&peer));
        drop(peer);
        events.pump_until(|| log.len() == 1);
        assert_eq!(log.take(), [format!("close: {peer_name} has ended the connection")]);
    }
}

#[test]
fn a_write_that_failed_says_so() {
    let Pair { socket, peer, events, .. } = Pair::new();
    let (log, peer_name) = (record(*socket), name(&peer));
    on(*socket, c"mine", {
        let (socket, peer) = (*socket, Cell::new(Some(peer)));
        move |_| {
            // It finds out by the write, before the poller tells.
            reset(peer.take().expect("once"));
            either_way(socket.write(&[0; 200_000]));
        }
    });
    dispatch(*socket, c"mine");
    events.pump_until(|| log.len() == 2);
    let told = log.take();
    assert!(told[0].starts_with(&format!("ioError: write to {peer_name}: ")), "{told:?}");
}

#[test]
fn silence_says_for_whom_was_waited() {
    let Pair { socket, peer, events, .. } = Pair::new();
    let log = record(*socket);
    set(*socket, SS_OPT_IDLE_TIMEOUT, 20);
    events.pump_until(|| log.len() == 2);
    let told = format!("ioError: wait for {}: Connection timed out (110)", name(&peer));
    assert_eq!(log.take()[0], told);
}

#[test]
fn an_attempt_that_failed_says_whereto() {
    let events = Loop::new();
    let socket = Socket(ss_socket_new(events.0));
    let log = record(socket);
    let port = free_port();
    ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), port.into()) });
    events.pump_until(|| log.len() == 1);
    assert_eq!(log.take(), [format!("ioError: connect to 127.0.0.1:{port}: Connection refused (111)")]);
    let hole = BlackHole::new();
    ok(ss_socket_set_timeout(socket.0, 30));
    ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), hole.port.into()) });
    events.pump_until(|| log.len() == 1);
    assert_eq!(log.take(), [format!("ioError: connect to 127.0.0.1:{}: Connection timed out (110)", hole.port)]);
}

#[test]
fn a_name_that_is_not_found_says_so_in_getaddrinfos_words() {
    let events = Loop::new();
    let socket = Socket(ss_socket_new(events.0));
    let told = Rc::new(Cell::new(None));
    on(socket, IO_ERROR, {
        let told = told.clone();
        move |event| told.set(Some((detail(event), event.os_error())))
    });
    ok(unsafe { ss_socket_connect(socket.0, c"no-such-host.invalid".as_ptr(), 80) });
    let mut outcome = None;
    events.pump_until(|| {
        outcome = told.take();
        outcome.is_some()
    });
    let (told, number) = outcome.expect("it failed");
    let words = text(unsafe { libc::gai_strerror(number) }).expect("words");
    assert_eq!(told, Some(format!("look up no-such-host.invalid: {words} ({number})")));
}

#[test]
fn other_events_have_no_detail() {
    let pair = Pair::new();
    on(*pair.socket, SOCKET_DATA, |event| assert_eq!(detail(event), None));
    on(&pair.server, CONNECT, |event| assert_eq!(detail(event), None));
    let own = Event::new(CLOSE, false, false);
    assert_eq!(detail(own), None);
    let (status, _) = try_dispatch(*pair.socket, own);
    ok(status);
    assert_eq!(detail(own), None);
    ok(release(own));
    pair.send(b"x");
    let _second = pair.server.client();
    pair.pump_until_available(1);
    pair.events.settle();
    assert_eq!(detail(Event(null_mut())), None);
    assert_eq!(last_error().status, SS_ERR_HANDLE);
}

#[test]
fn a_detail_lives_as_long_as_its_event_and_beside_a_word_of_the_hosts() {
    let Pair { socket, peer, events, .. } = Pair::new();
    let (kept, peer_name) = (Rc::new(Cell::new(null_mut())), name(&peer));
    let address = Rc::new(Cell::new(std::ptr::null()));
    on(*socket, CLOSE, {
        let (kept, address) = (kept.clone(), address.clone());
        move |event| {
            ok(unsafe { ss_set_user_data(event.0.cast(), 7 as *mut _, None) });
            address.set(ss_event_detail(event.0));
            assert_eq!(ss_user_data(event.0.cast()), 7 as *mut _);
            ok(retain(event.0));
            kept.set(event.0);
        }
    });
    drop(peer);
    events.pump_until(|| !kept.get().is_null());
    drop(socket);
    events.settle();
    let told = unsafe { CStr::from_ptr(address.get()) };
    assert_eq!(told, &*CString::new(format!("{peer_name} has ended the connection")).expect("no NUL"));
    assert_eq!(ss_event_detail(kept.get()), address.get());
    // A clone has the same to say, and nobody to say it of any more.
    let clone = Event(ss_event_clone(kept.get()));
    assert_eq!(detail(clone).as_deref(), Some("the peer has ended the connection"));
    ok(release(clone));
    ok(release(kept.get()));
}

/// What is asked for too late may know less, and never the wrong peer.
#[test]
fn an_event_does_not_name_the_peer_of_a_later_connection() {
    for is_over in [false, true] {
        let Pair { socket, peer, events, server, .. } = Pair::new();
        let _accepted = server.keep_accepted();
        let (kept, port) = (Rc::new(Cell::new(null_mut())), i32::from(server.port()));
        on(*socket, CLOSE, {
            let (kept, socket) = (kept.clone(), *socket);
            move |event| {
                ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), port) });
                ok(retain(event.0));
                kept.set(event.0);
            }
        });
        drop(peer);
        events.pump_until(|| !kept.get().is_null() && socket.connected());
        if is_over {
            ok(socket.close());
        }
        assert_eq!(detail(Event(kept.get())).as_deref(), Some("the peer has ended the connection"));
        ok(release(kept.get()));
    }
}

#[test]
fn an_error_that_nobody_hears_is_a_warning_that_says_the_same() {
    in_own_process!(|| {
        let messages = Messages::record();
        let (events, server) = listening();
        let accepted = Rc::new(Cell::new(null_mut()));
        on(&server, CONNECT, {
            let accepted = accepted.clone();
            move |event| {
                ok(retain(event.socket().0));
                accepted.set(event.socket().0);
            }
        });
        let peer = server.client();
        let told = format!(
            "Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error. wait for {}: Connection timed out (110)",
            name(&peer)
        );
        events.pump_until(|| !accepted.get().is_null());
        ok(ss_set_option(accepted.get().cast(), SS_OPT_IDLE_TIMEOUT, 20));
        events.pump_until(|| !messages.about(SS_LOG_WARNING, "#2044").is_empty());
        assert_eq!(messages.about(SS_LOG_WARNING, "#2044"), [told]);
        assert!(messages.about(SS_LOG_ERROR, "").is_empty());
        ok(release(accepted.get()));
    });
}

/// In a process of its own, where nobody else gets the descriptor's number meanwhile.
#[test]
fn a_server_whose_descriptor_was_closed_behind_its_back_says_what_the_system_said() {
    in_own_process!(|| {
        let (events, server) = listening();
        let log = Log::default();
        on(&server, CLOSE, {
            let log = log.clone();
            move |event| log.add(format!("{} {}", event.os_error(), detail(event).expect("it says something")))
        });
        let fd = native_handle(&server).expect("it has one");
        assert_eq!(unsafe { libc::close(fd as i32) }, 0);
        events.pump_until(|| log.len() == 1);
        assert_eq!(log.take(), ["9 accept: Bad file descriptor (9)"]);
    });
}
