// SPDX-License-Identifier: MIT OR Apache-2.0
//! ServerSocket through the exported functions: its chapter of docs/SEMANTICS.md.

use crate::{listening, serving};
use server_socket::*;
use std::ffi::CStr;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr::null;
use std::rc::Rc;
use support::*;

// ---- A new server ---------------------------------------------------------------------------------------------------

#[test]
fn server_sockets_are_supported() {
    assert!(ss_is_supported());
}

#[test]
fn a_new_server_is_not_bound_and_has_no_address() {
    let events = Loop::new();
    let server = Server::new(&events);
    assert_eq!(server.state(), unbound());
}

#[test]
fn a_new_server_takes_no_descriptor_until_it_is_bound() {
    let events = Loop::new();
    let server = Server::new(&events);
    assert_eq!(native_handle(&server), None);
    ok(server.bind(0, c"127.0.0.1"));
    assert!(native_handle(&server).is_some());
}

// ---- bind -----------------------------------------------------------------------------------------------------------

#[test]
fn null_the_empty_string_and_the_any_address_all_mean_any_ipv4_address() {
    let events = Loop::new();
    for address in [null(), c"".as_ptr(), c"0.0.0.0".as_ptr()] {
        let server = Server::new(&events);
        ok(unsafe { ss_bind(server.0, 0, address) });
        assert_eq!(server.state().address.as_deref(), Some("0.0.0.0"));
    }
}

#[test]
fn a_bound_server_knows_its_address_and_real_port_at_once() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(server.bind(0, c"127.0.0.1"));
    let state = server.state();
    assert!(state.bound && !state.listening);
    assert_eq!(state.address.as_deref(), Some("127.0.0.1"));
    assert!((1..=65535).contains(&state.port), "{}", state.port);
}

#[test]
fn a_server_can_be_bound_to_a_port_of_choice() {
    let events = Loop::new();
    let port = {
        let server = Server::new(&events);
        ok(server.bind(0, c"127.0.0.1"));
        server.port()
    };
    let server = Server::new(&events);
    ok(server.bind(i32::from(port), c"127.0.0.1"));
    assert_eq!(server.port(), port);
}

#[test]
fn a_server_on_an_ipv6_address_accepts_ipv6_peers() {
    if !has_ipv6() {
        return;
    }
    let events = Loop::new();
    let server = Server::listening_on(&events, c"::1");
    assert_eq!(server.state().address.as_deref(), Some("::1"));
    let accepted = server.keep_accepted();
    let peer = client(&format!("[::1]:{}", server.port()));
    events.pump_until(|| accepted.len() == 1);
    let port = peer.local_addr().expect("a local address").port();
    assert_eq!(accepted.last().remote(), (Some("::1".into()), i32::from(port)));
}

#[test]
fn the_any_ipv6_address_takes_no_ipv4_peers_and_leaves_the_port_free_for_them() {
    if !has_ipv6() {
        return;
    }
    let events = Loop::new();
    let v6 = Server::listening_on(&events, c"::");
    assert_eq!(v6.state().address.as_deref(), Some("::"));
    let port = v6.port();
    let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens on IPv4");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    let v4 = Server::new(&events);
    ok(v4.bind(i32::from(port), c"0.0.0.0"));
    ok(v4.listen(0));
    let (by_v6, by_v4) = (v6.keep_accepted(), v4.keep_accepted());
    let _v4_peer = v4.client();
    let _v6_peer = client(&format!("[::1]:{port}"));
    events.pump_until(|| by_v6.len() == 1 && by_v4.len() == 1);
    assert_eq!(by_v4.last().remote().0.as_deref(), Some("127.0.0.1"));
    assert_eq!(by_v6.last().remote().0.as_deref(), Some("::1"));
}

#[test]
fn a_port_out_of_range_is_a_range_error() {
    let events = Loop::new();
    let server = Server::new(&events);
    for port in [-1, 65536, i32::MIN, i32::MAX] {
        fails_with(server.bind(port, c"127.0.0.1"), SS_ERR_RANGE, 2003, 0);
        assert_eq!(server.state(), unbound());
    }
    ok(server.bind(0, c"127.0.0.1"));
}

#[test]
fn the_port_is_checked_before_the_address_and_before_the_state() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(server.bind(65536, c"no address"), SS_ERR_RANGE, 2003);
    ok(server.bind(0, c"127.0.0.1"));
    let bound = server.state();
    fails(server.bind(-1, c"127.0.0.1"), SS_ERR_RANGE, 2003);
    assert_eq!(server.state(), bound);
}

#[test]
fn a_malformed_address_is_an_argument_error() {
    let events = Loop::new();
    let server = Server::new(&events);
    let long = std::ffi::CString::new(vec![b'1'; 100_000]).expect("no NUL");
    let malformed: &[&CStr] = &[
        c"localhost",
        c"example.com",
        c"127.1",
        c"1.2.3",
        c"1.2.3.4.5",
        c"2130706433",
        c"0x7f.0.0.1",
        c"127.0.0.01",
        c"127.0.0.1.",
        c"256.0.0.1",
        c"-1.0.0.1",
        c"+127.0.0.1",
        c"127.0.0.1:80",
        c" ",
        c" 127.0.0.1",
        c"127.0.0.1 ",
        c"127.0.0.1\n",
        c"127. 0.0.1",
        c"[::1]",
        c"[::]:80",
        c":",
        c":::",
        c"1::2::3",
        c"::g",
        c"::12345",
        c"1:2:3:4:5:6:7",
        c"1:2:3:4:5:6:7:8:9",
        c"::1.2.3",
        c"::1/128",
        c"::1%",
        c"%lo",
        c"127.0.0.1%lo",
        c"fe80::1%no-such-interface",
        c"\xff\xfe",
        c"127.0.0.1\xc0\x80",
        &long,
    ];
    for address in malformed {
        let status = server.bind(0, address);
        assert_eq!(status, SS_ERR_ARGUMENT, "{address:?}");
        fails_with(status, SS_ERR_ARGUMENT, 2004, 0);
        assert_eq!(server.state(), unbound());
    }
    ok(server.bind(0, c"127.0.0.1"));
}

#[test]
fn an_ipv6_address_may_be_written_in_every_form() {
    if !has_ipv6() {
        return;
    }
    let events = Loop::new();
    for address in [c"0:0:0:0:0:0:0:1", c"::0001", c"0::0.0.0.1"] {
        let server = Server::new(&events);
        ok(server.bind(0, address));
        assert_eq!(server.state().address.as_deref(), Some("::1"));
    }
}

/// fe80::1 is nobody's address here: that the system says so, and not we, shows that the scope was understood.
#[test]
#[cfg(target_os = "linux")] // the interface is called lo
fn an_ipv6_address_may_have_the_scope_of_an_interface() {
    if !has_ipv6() {
        return;
    }
    let events = Loop::new();
    let server = Server::new(&events);
    let status = server.bind(0, c"fe80::1%lo");
    fails_with(status, SS_ERR_IO, 2002, errno::EADDRNOTAVAIL);
}

#[test]
fn an_address_of_another_machine_is_an_io_error_and_bind_may_be_tried_again() {
    let events = Loop::new();
    let server = Server::new(&events);
    for address in [c"192.0.2.1", c"198.51.100.1"] {
        fails_with(server.bind(0, address), SS_ERR_IO, 2002, errno::EADDRNOTAVAIL);
        assert_eq!(server.state(), unbound());
    }
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(0));
}

#[test]
fn a_port_in_use_fails_at_bind_and_its_owner_is_undisturbed() {
    let events = Loop::new();
    let first = Server::listening(&events);
    let second = Server::new(&events);
    let port = i32::from(first.port());
    fails_with(second.bind(port, c"127.0.0.1"), SS_ERR_IO, 2002, errno::EADDRINUSE);
    assert_eq!(second.state(), unbound());

    let accepted = first.keep_accepted();
    let _peer = first.client();
    events.pump_until(|| accepted.len() == 1);
    drop(first);
    ok(second.bind(port, c"127.0.0.1"));
}

#[test]
fn a_port_that_is_bound_but_not_yet_listened_on_fails_at_bind_too() {
    let events = Loop::new();
    let (first, second) = (Server::new(&events), Server::new(&events));
    ok(first.bind(0, c"127.0.0.1"));
    let port = i32::from(first.port());
    fails_with(second.bind(port, c"127.0.0.1"), SS_ERR_IO, 2002, errno::EADDRINUSE);
    fails_with(second.bind(port, c"0.0.0.0"), SS_ERR_IO, 2002, errno::EADDRINUSE);
    ok(first.listen(0));
}

/// Root may do everything, so one thread lays its privilege down.
#[test]
#[cfg(target_os = "linux")] // elsewhere no port is privileged, or another range
fn a_privileged_port_is_an_io_error() {
    let first_free = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .expect("/proc")
        .trim()
        .parse::<u32>()
        .expect("a port");
    if first_free <= 1 {
        return skipped("every port is free for everybody here");
    }
    std::thread::spawn(|| {
        const KEEP: libc::c_long = -1;
        // The system call itself: it changes this thread only, libc's function all of them.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, KEEP, 65534_i64, KEEP) };
        let already_unprivileged = unsafe { libc::geteuid() } != 0;
        assert!(result == 0 || already_unprivileged);
        let events = Loop::new();
        let server = Server::new(&events);
        fails_with(server.bind(1, c"127.0.0.1"), SS_ERR_IO, 2002, libc::EACCES);
        assert_eq!(server.state(), unbound());
        ok(server.bind(0, c"127.0.0.1"));
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
#[cfg(target_os = "linux")] // the failure is injected with seccomp
fn an_ipv6_address_on_a_system_without_ipv6_is_an_io_error() {
    let no_ipv6_at_first = once(libc::EAFNOSUPPORT);
    with_failing_call(libc::SYS_socket, no_ipv6_at_first, || {
        let events = Loop::new();
        let server = Server::new(&events);
        fails_with(server.bind(0, c"::1"), SS_ERR_IO, 2002, libc::EAFNOSUPPORT);
        assert_eq!(server.state(), unbound());
        ok(server.bind(0, c"127.0.0.1"));
    });
}

#[test]
#[cfg(target_os = "linux")] // takes all descriptors; elsewhere they have no limit, or another one
fn without_a_free_descriptor_a_server_can_be_made_but_not_bound() {
    in_own_process!(|| {
        let events = Loop::new();
        let taken = take_all_descriptors();
        let server = Server::new(&events);
        fails_with(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002, libc::EMFILE);
        drop(taken);
        ok(server.bind(0, c"127.0.0.1"));
    });
}

#[test]
fn a_bound_server_cannot_be_bound_again() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(server.bind(0, c"127.0.0.1"));
    for listening in [false, true] {
        if listening {
            ok(server.listen(0));
        }
        let before = server.state();
        fails(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
        fails(server.bind(0, c"::1"), SS_ERR_IO, 2002);
        assert_eq!(server.state(), before);
    }
    let accepted = server.keep_accepted();
    let _peer = server.client();
    events.pump_until(|| accepted.len() == 1);
}

#[test]
fn a_closed_server_cannot_be_reopened() {
    let (_events, server) = listening();
    ok(server.close());
    fails(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
    fails(server.listen(0), SS_ERR_IO, 2002);
    assert_eq!(server.state(), unbound());
}

#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere descriptors are not counted
fn failed_binds_leave_no_descriptor_behind() {
    in_own_process!(|| {
        let events = Loop::new();
        let first = Server::listening(&events);
        let port = i32::from(first.port());
        let before = open_descriptors();
        for _ in 0..100 {
            let server = Server::new(&events);
            fails(server.bind(port, c"127.0.0.1"), SS_ERR_IO, 2002);
            fails(server.bind(0, c"192.0.2.1"), SS_ERR_IO, 2002);
            fails(server.bind(0, c"localhost"), SS_ERR_ARGUMENT, 2004);
        }
        assert_eq!(open_descriptors(), before);
    });
}

// ---- listen ---------------------------------------------------------------------------------------------------------

#[test]
fn an_unbound_server_cannot_listen() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(server.listen(0), SS_ERR_IO, 2002);
    assert_eq!(server.state(), unbound());
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(0));
}

#[test]
fn a_negative_backlog_is_a_range_error() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(server.bind(0, c"127.0.0.1"));
    for backlog in [-1, i32::MIN] {
        fails_with(server.listen(backlog), SS_ERR_RANGE, 2006, 0);
        assert!(!server.state().listening);
    }
    ok(server.listen(1));
}

#[test]
fn a_closed_server_says_so_before_it_looks_at_the_backlog() {
    let (_events, server) = listening();
    ok(server.close());
    fails(server.listen(-1), SS_ERR_IO, 2002);
}

#[test]
#[cfg(target_os = "linux")] // no other system tells the length of the queue
fn backlog_0_and_a_huge_one_are_the_systems_maximum() {
    let maximum = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("/proc");
    let maximum = maximum.trim().parse::<u32>().expect("a number");
    let events = Loop::new();
    for backlog in [0, i32::MAX] {
        let server = Server::new(&events);
        ok(server.bind(0, c"127.0.0.1"));
        ok(server.listen(backlog));
        assert_eq!(accept_queue(&server), (0, maximum));
    }
}

#[test]
#[cfg(target_os = "linux")] // no other system tells the length of the queue
fn listening_again_sets_the_backlog_and_keeps_the_queue() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(3));
    let _peers = [server.client(), server.client()];
    assert_eq!(accept_queue(&server), (2, 3));
    ok(server.listen(7));
    assert_eq!(accept_queue(&server), (2, 7));
    assert!(server.state().listening);

    let accepted = server.keep_accepted();
    events.pump_until(|| accepted.len() == 2);
}

#[test]
fn no_event_is_dispatched_inside_listen() {
    let (events, server) = listening();
    let log = Log::default();
    on(&server, CONNECT, log.adds("connect"));
    let _peer = server.client();
    ok(server.listen(0));
    assert_eq!(log.len(), 0);
    events.pump_until(|| log.len() == 1);
}

#[test]
#[cfg(target_os = "linux")] // the failure is injected with seccomp
fn a_failed_listen_leaves_the_server_bound_and_not_listening() {
    with_failing_call(libc::SYS_listen, once(errno::EADDRINUSE), || {
        let events = Loop::new();
        let server = Server::new(&events);
        ok(server.bind(0, c"127.0.0.1"));
        let bound = server.state();
        fails_with(server.listen(0), SS_ERR_IO, 2002, errno::EADDRINUSE);
        assert_eq!(server.state(), bound);
        ok(server.listen(0));
        assert!(server.state().listening);
    });
}

// ---- Who listens for connect decides whether peers are accepted -----------------------------------------------------

#[test]
fn peers_wait_in_the_kernel_while_nobody_listens_for_connect() {
    let (events, server) = listening();
    let _peers = [server.client(), server.client(), server.client()];
    events.settle();
    #[cfg(target_os = "linux")]
    assert_eq!(accept_queue(&server).0, 3);

    let accepted = server.keep_accepted();
    events.pump_until(|| accepted.len() == 3);
}

#[test]
fn removing_one_of_two_connect_listeners_goes_on_accepting() {
    let (events, server) = listening();
    let log = Log::default();
    let first = on(&server, CONNECT, log.adds("first"));
    let _second = on(&server, CONNECT, log.adds("second"));
    first.remove();
    let _peers = [server.client(), server.client()];
    events.pump_until(|| log.len() == 2);
    assert_eq!(log.take(), ["second", "second"]);
}

#[test]
fn removing_the_last_connect_listener_stops_accepting_until_one_is_added() {
    let (events, server) = listening();
    let log = Log::default();
    let listeners = [on(&server, CONNECT, log.adds("a")), on(&server, CONNECT, log.adds("b"))];
    let _first = server.client();
    events.pump_until(|| log.len() == 2);
    listeners.iter().for_each(Listener::remove);

    let _second = server.client();
    events.settle();
    #[cfg(target_os = "linux")]
    assert_eq!(accept_queue(&server).0, 1);
    assert_eq!(log.take(), ["a", "b"]);

    on(&server, CONNECT, log.adds("c"));
    events.pump_until(|| log.len() == 1);
}

#[test]
fn a_connect_listener_that_removes_itself_gets_one_peer_and_the_others_wait() {
    let (events, server) = listening();
    let log = Log::default();
    on_with_itself(&server, CONNECT, {
        let log = log.clone();
        move |_, itself| {
            log.add("once");
            itself.remove();
        }
    });
    let _peers: Vec<TcpStream> = (0..5).map(|_| server.client()).collect();
    events.settle();
    assert_eq!(log.take(), ["once"]);

    let accepted = server.keep_accepted();
    events.pump_until(|| accepted.len() == 4);
}

// ---- The connect event ----------------------------------------------------------------------------------------------

#[test]
fn a_connect_event_carries_the_connected_socket() {
    let (events, server) = listening();
    let peer = server.client();
    let seen = shared::<usize>();
    on(&server, CONNECT, {
        let seen = seen.clone();
        let target = server.object();
        let peer_port = i32::from(peer.local_addr().expect("a local address").port());
        let server_port = i32::from(server.port());
        move |event| {
            increment(&seen);
            assert_eq!(event.kind().as_deref(), Some("connect"));
            assert!(!event.bubbles() && !event.cancelable());
            assert_eq!(event.target(), target);
            assert_eq!(event.current_target(), target);
            assert_eq!(event.phase(), 2);
            let socket = event.socket();
            assert!(socket.connected());
            assert_eq!(socket.remote(), (Some("127.0.0.1".into()), peer_port));
            assert_eq!(socket.local(), (Some("127.0.0.1".into()), server_port));
            assert_eq!((socket.available(), socket.pending()), (0, 0));
        }
    });
    events.pump_until(|| seen.get() == 1);
}

#[test]
fn every_peer_gets_exactly_one_connect_event_in_the_order_of_arrival() {
    let (events, server) = listening();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| log.add(event.socket().remote().1)
    });
    let peers: Vec<TcpStream> = (0..300).map(|_| server.client()).collect();
    events.pump_until(|| log.len() >= peers.len());
    events.settle();
    let ports = peers.iter().map(|peer| peer.local_addr().expect("a local address").port());
    assert_eq!(log.take(), ports.map(|port| port.to_string()).collect::<Vec<_>>());
}

/// A frame of a game is one turn: one connection a frame would be too few.
#[test]
fn a_single_turn_accepts_many_waiting_peers() {
    let (events, server, accepted) = serving();
    let peers: Vec<TcpStream> = (0..100).map(|_| server.client()).collect();
    let mut turns = 0;
    events.pump_until(|| {
        turns += 1;
        accepted.len() == peers.len()
    });
    assert!(turns <= 10, "{turns} turns for {} peers", peers.len());
}

#[test]
fn a_connect_listener_may_write_at_once() {
    let (events, server, kept) = serving();
    on(&server, CONNECT, |event| ok(event.socket().write(b"welcome")));
    let peer = server.client();
    assert_eq!(events.receive(&peer, 7), b"welcome");
    assert_eq!(kept.len(), 1);
}

#[test]
fn a_connect_listener_may_read_at_once_and_misses_nothing_later() {
    let (events, server, accepted) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            assert_eq!(event.socket().read(100), b"");
            log.record_socket(event.socket());
        }
    });
    let mut peer = server.client();
    peer.write_all(b"early").expect("the peer writes");
    events.pump_until(|| log.len() == 1);
    assert_eq!(accepted.last().read_all(), b"early");
}

#[test]
fn an_accepted_socket_gets_no_connect_event_of_its_own() {
    let (events, server, accepted) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| drop(on(event.socket(), CONNECT, log.adds("connect")))
    });
    let mut peer = server.client();
    peer.write_all(b"x").expect("the peer writes");
    events.pump_until(|| accepted.len() == 1 && accepted.last().available() == 1);
    events.settle();
    assert_eq!(log.len(), 0);
}

#[test]
fn the_first_data_comes_after_all_connect_listeners_have_returned() {
    let (events, server, kept) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            log.record_socket(event.socket());
            log.add("first listener");
        }
    });
    on(&server, CONNECT, log.adds("second listener"));
    let mut peer = server.client();
    peer.write_all(b"early").expect("the peer writes");
    events.pump_until(|| log.contains("socketData"));
    assert_eq!(log.take(), ["first listener", "second listener", "socketData"]);
    assert_eq!(kept.len(), 1);
}

// ---- Denial, and who keeps the socket -------------------------------------------------------------------------------

#[test]
fn closing_the_socket_in_the_connect_listener_denies_the_connection() {
    let (events, server, kept) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            log.record_socket(event.socket());
            ok(event.socket().close());
            log.add("denied");
        }
    });
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            let socket = event.socket();
            log.add(format!("later listener, connected {}", socket.connected()));
            assert!(socket.remote().1 > 0, "who was turned away");
        }
    });
    let peer = server.client();
    assert_eq!(events.receive_to_end(&peer), (vec![], None));
    drop(peer);
    events.settle();
    assert_eq!(log.take(), ["denied", "later listener, connected false"]);
    assert!(kept.last().alive());
    assert!(server.state().listening);
}

#[test]
fn denying_a_peer_that_has_sent_already_ends_its_connection() {
    let (events, server) = listening();
    on(&server, CONNECT, |event| ok(event.socket().close()));
    let mut peer = server.client();
    peer.write_all(b"hello").expect("the peer writes");
    let (bytes, error) = events.receive_to_end(&peer);
    assert_eq!(bytes, b"");
    assert!(matches!(error, None | Some(ErrorKind::ConnectionReset)));
}

#[test]
fn a_socket_that_no_listener_retains_is_closed_when_the_dispatch_ends() {
    let (events, server) = listening();
    let seen = Rc::new(std::cell::Cell::new(None));
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| log.record_socket(event.socket())
    });
    on(&server, CONNECT, {
        let seen = seen.clone();
        move |event| {
            assert!(event.socket().connected());
            seen.set(Some(event.socket()));
        }
    });
    let peer = server.client();
    assert_eq!(events.receive_to_end(&peer), (vec![], None));
    let socket = seen.get().expect("the listener ran");
    assert!(!socket.alive());
    assert_eq!(socket.close(), SS_ERR_HANDLE);
    assert_eq!(log.len(), 0);
}

#[test]
fn a_retained_socket_lives_until_it_is_released() {
    let (events, server, accepted) = serving();
    let peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    events.settle();
    let socket = accepted.last();
    assert!(socket.connected());
    accepted.clear();
    assert!(!socket.alive());
    assert_eq!(events.receive_to_end(&peer), (vec![], None));
}

// ---- close ----------------------------------------------------------------------------------------------------------

#[test]
fn a_closed_server_forgets_its_address_and_frees_the_port() {
    let events = Loop::new();
    for listening in [false, true] {
        let server = Server::new(&events);
        ok(server.bind(0, c"127.0.0.1"));
        let port = i32::from(server.port());
        if listening {
            ok(server.listen(0));
        }
        ok(server.close());
        assert_eq!(server.state(), unbound());
        let next = Server::new(&events);
        ok(next.bind(port, c"127.0.0.1"));
        ok(next.listen(0));
    }
}

#[test]
fn accepted_sockets_outlive_the_close_of_their_server() {
    let pair = Pair::new();
    ok(pair.server.close());
    pair.send(b"still there?");
    pair.pump_until_available(12);
    pair.socket.echo();
    assert_eq!(pair.events.receive(&pair.peer, 12), b"still there?");
}

#[test]
fn accepted_sockets_outlive_the_release_of_their_server() {
    let Pair { socket, peer, server, events, .. } = Pair::new();
    drop(server);
    (&peer).write_all(b"still there?").expect("the peer writes");
    events.pump_until(|| socket.available() == 12);
    socket.echo();
    assert_eq!(events.receive(&peer, 12), b"still there?");
}

#[test]
fn peers_that_were_not_yet_accepted_are_reset_when_the_server_closes() {
    let (_events, server) = listening();
    let mut peer = server.client();
    ok(server.close());
    match (peer.read(&mut [0]), told_of_resets()) {
        (Err(error), true) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        (outcome, _) => assert!(matches!(outcome, Ok(0) | Err(_))),
    }
}

#[test]
fn closing_a_server_dispatches_no_close_event() {
    let (events, server) = listening();
    let log = Log::default();
    on(&server, CLOSE, log.adds("close"));
    ok(server.close());
    events.settle();
    assert_eq!(log.len(), 0);
}

#[test]
fn the_program_may_dispatch_close_itself_before_it_closes() {
    let (_events, server) = listening();
    let log = Log::default();
    on(&server, CLOSE, {
        let log = log.clone();
        let server = server.0;
        move |_| log.add(format!("close, bound {}", ss_bound(server)))
    });
    assert!(dispatch(&server, CLOSE));
    ok(server.close());
    assert_eq!(log.take(), ["close, bound true"]);
}

#[test]
fn closing_what_is_not_open_is_an_error() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(server.close(), SS_ERR_ERROR, 2002);
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.close());
    fails(server.close(), SS_ERR_ERROR, 2002);
    ok(release(server.0));
    assert_eq!(server.close(), SS_ERR_HANDLE);
}

/// AIR does not open it; neither did the program. It can still be bound.
#[test]
fn a_failed_close_does_not_make_a_new_server_a_closed_one() {
    let events = Loop::new();
    let server = Server::new(&events);
    fails(server.close(), SS_ERR_ERROR, 2002);
    ok(server.bind(0, c"127.0.0.1"));
}

#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere descriptors are not counted
fn a_server_closed_in_its_own_connect_listener_accepts_nobody_else() {
    in_own_process!(|| {
        let events = Loop::new();
        let before = open_descriptors();
        let server = Server::listening(&events);
        let log = Log::default();
        on(&server, CONNECT, {
            let log = log.clone();
            let server = server.0;
            move |_| {
                log.add("connect");
                ok(ss_close(server));
            }
        });
        on(&server, CLOSE, log.adds("close"));
        let peers: Vec<TcpStream> = (0..30).map(|_| server.client()).collect();
        for peer in &peers {
            let (bytes, _) = events.receive_to_end(peer);
            assert_eq!(bytes, b"");
        }
        events.settle();
        assert_eq!(log.take(), ["connect"]);
        drop(peers);
        events.settle();
        assert_eq!(open_descriptors(), before);
    });
}

// ---- The close event ------------------------------------------------------------------------------------------------

#[test]
#[cfg(target_os = "linux")] // elsewhere shutdown does not end a listening socket
fn the_system_closing_the_listening_socket_is_one_close_event() {
    let (events, server, accepted) = serving();
    let log = record_close_of(&server);
    let fd = native_handle(&server).expect("a descriptor") as i32;
    assert_eq!(unsafe { libc::shutdown(fd, libc::SHUT_RDWR) }, 0);
    events.pump_until(|| log.len() > 0);
    events.settle();
    assert_eq!(log.take(), ["close, state cleared true"]);
    assert_eq!(accepted.len(), 0);
    fails(server.close(), SS_ERR_ERROR, 2002);
    fails(server.listen(0), SS_ERR_IO, 2002);
}

#[test]
#[cfg(target_os = "linux")] // the failure is injected with seccomp
fn a_fatal_error_of_accept_is_one_close_event() {
    for errno in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
        with_failing_call(libc::SYS_accept4, once(errno), move || {
            let (events, server, accepted) = serving();
            let log = record_close_of(&server);
            let _peer = server.client();
            events.pump_until(|| log.len() > 0);
            events.settle();
            assert_eq!(log.take(), ["close, state cleared true"]);
            assert_eq!(accepted.len(), 0);
        });
    }
}

#[test]
#[cfg(target_os = "linux")] // the failure is injected with seccomp
fn a_passing_error_of_accept_closes_nothing_and_loses_no_peer() {
    let passing =
        [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::ECONNABORTED, libc::EINTR, libc::EPROTO];
    for errno in passing {
        with_failing_call(libc::SYS_accept4, once_in_three(errno), move || {
            let (events, server) = listening();
            let log = record_close_of(&server);
            let accepted = server.keep_accepted();
            let peers: Vec<TcpStream> = (0..5).map(|_| server.client()).collect();
            events.pump_until(|| accepted.len() == peers.len());
            assert_eq!(log.len(), 0, "errno {errno}");
            assert!(server.state().listening, "errno {errno}");
        });
    }
}

/// As when another process that shares the listening socket was faster.
#[test]
#[cfg(target_os = "linux")] // the failure is injected with seccomp
fn accept_finding_nobody_is_no_event() {
    with_failing_call(libc::SYS_accept4, once(libc::EAGAIN), || {
        let (events, server) = listening();
        let log = record_close_of(&server);
        let accepted = server.keep_accepted();
        let _first = server.client();
        events.settle();
        let _second = server.client();
        events.pump_until(|| accepted.len() == 2);
        assert_eq!(log.len(), 0);
    });
}

#[cfg(target_os = "linux")]
/// Notes each close event of the server and whether the server's state was cleared before it.
fn record_close_of(server: &Server) -> Log {
    let log = Log::default();
    on(server, CLOSE, {
        let log = log.clone();
        let server = server.0;
        move |event| {
            assert!(!event.bubbles() && !event.cancelable());
            let cleared = !ss_bound(server)
                && !ss_listening(server)
                && ss_local_address(server).is_null()
                && ss_local_port(server) == 0;
            log.add(format!("close, state cleared {cleared}"));
        }
    });
    log
}

#[cfg(target_os = "linux")]
/// Fails the first call.
fn once(errno: i32) -> impl FnMut() -> Option<i32> + Send {
    let mut first = true;
    move || std::mem::take(&mut first).then_some(errno)
}

#[cfg(target_os = "linux")]
/// Fails the first of every three calls.
fn once_in_three(errno: i32) -> impl FnMut() -> Option<i32> + Send {
    let mut calls = 0;
    move || {
        calls += 1;
        (calls % 3 == 1).then_some(errno)
    }
}

#[test]
fn a_peer_that_was_gone_before_it_was_accepted_is_still_one_connection_that_ends() {
    let (events, server, kept) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            log.add(format!("connect {:?}", event.socket().remote().0));
            log.record_socket(event.socket());
        }
    });
    let peer = server.client();
    peer.shutdown(Shutdown::Both).expect("a FIN");
    drop(peer);
    events.pump_until(|| log.contains("close"));
    events.settle();
    assert_eq!(log.take(), ["connect Some(\"127.0.0.1\")", "close"]);
    assert!(!kept.last().connected());
}
