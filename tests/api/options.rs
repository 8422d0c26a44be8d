// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of servers and sockets: their ranges, what sockets inherit, and what they do.

use crate::listening;
use socket2::SockRef;
use std::io::Read;
use std::net::TcpStream;
use support::*;

use server_socket::*;

const ALL: [(ss_option, i64); 17] = [
    (SS_OPT_NO_DELAY, 1),
    (SS_OPT_DUAL_STACK, 0),
    (SS_OPT_REUSE_PORT, 0),
    (SS_OPT_MAX_CONNECTIONS, 0),
    (SS_OPT_READ_LIMIT, 16 * 1024 * 1024),
    (SS_OPT_WRITE_LIMIT, 64 * 1024 * 1024),
    (SS_OPT_LINGER, 30_000),
    (SS_OPT_IDLE_TIMEOUT, 0),
    (SS_OPT_KEEP_ALIVE, 0),
    (SS_OPT_IDLE_BYTES, 1),
    (SS_OPT_HALF_OPEN, 0),
    (SS_OPT_READ_TIMEOUT, 0),
    (SS_OPT_LINGER_BYTES, 256 * 1024 * 1024),
    (SS_OPT_UNREAD_LIMIT, 256 * 1024 * 1024),
    (SS_OPT_TLS_MIN_VERSION, 12),
    (SS_OPT_CLIENT_CERTIFICATE, 0),
    (SS_OPT_HANDSHAKE_TIMEOUT, 10_000),
];

const ONLY_SERVERS: [ss_option; 5] =
    [SS_OPT_DUAL_STACK, SS_OPT_REUSE_PORT, SS_OPT_MAX_CONNECTIONS, SS_OPT_LINGER_BYTES, SS_OPT_UNREAD_LIMIT];

fn set(object: impl Object, option: ss_option, value: i64) -> ss_status {
    ss_set_option(object.object(), option, value)
}

#[track_caller]
fn get(object: impl Object, option: ss_option) -> i64 {
    let mut value = -1;
    ok(unsafe { ss_get_option(object.object(), option, &mut value) });
    value
}

/// What the system says of TCP_NODELAY and SO_KEEPALIVE.
#[track_caller]
fn system_options(object: impl Object) -> (bool, bool) {
    let socket = system_socket(object);
    let socket = SockRef::from(&socket);
    (socket.tcp_nodelay().expect("it is a TCP socket"), socket.keepalive().expect("it is a socket"))
}

/// A pair whose server was set up by `prepare` before it accepted.
fn pair_of(events: &Loop, prepare: impl FnOnce(&Server)) -> (Server, Socket, TcpStream) {
    let server = Server::listening(events);
    prepare(&server);
    let accepted = server.keep_accepted();
    let peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    let socket = accepted.get(0);
    ok(retain(socket)); // for the test, which ends its loop anyway
    (server, socket, peer)
}

#[test]
fn the_list_of_defaults_has_every_option_of_the_header() {
    let defined =
        include_str!("../../include/server_socket.h").lines().filter_map(|line| line.strip_prefix("#define SS_OPT_"));
    let mut defined: Vec<ss_option> =
        defined.map(|rest| rest.split(' ').nth(1).and_then(|number| number.parse().ok()).expect(rest)).collect();
    let mut listed = ALL.map(|(option, _)| option);
    defined.sort_unstable();
    listed.sort_unstable();
    assert_eq!(defined, listed);
}

#[test]
fn each_option_has_its_default() {
    let events = Loop::new();
    let server = Server::new(&events);
    let socket = ss_socket_new(events.0);
    for (option, default) in ALL {
        assert_eq!(get(&server, option), default, "option {option}");
        if !ONLY_SERVERS.contains(&option) {
            assert_eq!(get(socket, option), default, "option {option}");
        }
    }
}

#[test]
fn what_is_set_is_got_and_a_wrong_value_changes_nothing() {
    let events = Loop::new();
    let server = Server::new(&events);
    let in_range = [(SS_OPT_NO_DELAY, 0), (SS_OPT_MAX_CONNECTIONS, 5), (SS_OPT_READ_LIMIT, 1), (SS_OPT_WRITE_LIMIT, 7)];
    let in_range = in_range.into_iter().chain([
        (SS_OPT_LINGER, 0),
        (SS_OPT_IDLE_TIMEOUT, 4_294_967_295),
        (SS_OPT_KEEP_ALIVE, 32_767),
        (SS_OPT_IDLE_BYTES, 4_294_967_295),
        (SS_OPT_TLS_MIN_VERSION, 13),
        (SS_OPT_CLIENT_CERTIFICATE, 2),
        (SS_OPT_HANDSHAKE_TIMEOUT, 0),
        (SS_OPT_DUAL_STACK, 1),
        (SS_OPT_REUSE_PORT, cfg!(unix).into()), // Windows has only 0
    ]);
    for (option, value) in in_range {
        ok(set(&server, option, value));
        assert_eq!(get(&server, option), value, "option {option}");
    }
    let out_of_range = [
        (SS_OPT_NO_DELAY, 2),
        (SS_OPT_DUAL_STACK, -1),
        (SS_OPT_REUSE_PORT, 2),
        (SS_OPT_MAX_CONNECTIONS, -1),
        (SS_OPT_READ_LIMIT, 0),
        (SS_OPT_READ_LIMIT, -5),
        (SS_OPT_WRITE_LIMIT, 0),
        (SS_OPT_WRITE_LIMIT, i64::MIN),
        (SS_OPT_LINGER, 4_294_967_296),
        (SS_OPT_IDLE_TIMEOUT, -1),
        (SS_OPT_KEEP_ALIVE, 32_768),
        (SS_OPT_IDLE_BYTES, 0),
        (SS_OPT_TLS_MIN_VERSION, 11),
        (SS_OPT_TLS_MIN_VERSION, 14),
        (SS_OPT_CLIENT_CERTIFICATE, 3),
        (SS_OPT_HANDSHAKE_TIMEOUT, -1),
    ];
    for (option, value) in out_of_range {
        let before = get(&server, option);
        fails(set(&server, option, value), SS_ERR_RANGE, 2006);
        assert_eq!(get(&server, option), before, "option {option}");
    }
}

#[test]
fn an_unknown_option_and_a_servers_option_on_a_socket_are_refused() {
    let events = Loop::new();
    let server = Server::new(&events);
    let socket = ss_socket_new(events.0);
    let mut value = 77;
    let unknown = [0, 18, -1, i32::MAX, i32::MIN].map(|option| (server.0.cast(), option));
    let not_a_sockets = ONLY_SERVERS.map(|option| (socket.cast(), option));
    for (object, option) in unknown.into_iter().chain(not_a_sockets) {
        assert_eq!(ss_set_option(object, option, 1), SS_ERR_ARGUMENT, "option {option}");
        assert_eq!(unsafe { ss_get_option(object, option, &mut value) }, SS_ERR_ARGUMENT);
        let error = last_error();
        assert_eq!((error.id, &*error.text), (2008, "Parameter option must be one of the accepted values."));
    }
    assert_eq!(value, 77);
    assert_eq!(ss_set_option(events.0.cast(), SS_OPT_NO_DELAY, 1), SS_ERR_HANDLE);
}

#[test]
fn what_is_for_before_bind_is_refused_after_it() {
    let (_events, server) = listening();
    for option in [SS_OPT_DUAL_STACK, SS_OPT_REUSE_PORT] {
        fails(set(&server, option, 1), SS_ERR_IO, 2002);
        assert_eq!(get(&server, option), 0);
    }
}

#[test]
fn accepted_sockets_start_with_what_is_set_on_their_server_and_go_their_own_way() {
    let events = Loop::new();
    let (server, socket, _peer) = pair_of(&events, |server| {
        ok(set(server, SS_OPT_WRITE_LIMIT, 1000));
        ok(set(server, SS_OPT_LINGER, 123));
        ok(set(server, SS_OPT_NO_DELAY, 0));
        ok(set(server, SS_OPT_KEEP_ALIVE, 60));
    });
    assert_eq!(get(socket, SS_OPT_WRITE_LIMIT), 1000);
    assert_eq!(get(socket, SS_OPT_LINGER), 123);
    assert_eq!(system_options(socket), (false, true));
    ok(set(&server, SS_OPT_LINGER, 5));
    assert_eq!(get(socket, SS_OPT_LINGER), 123);
    ok(set(socket, SS_OPT_LINGER, 6));
    assert_eq!(get(&server, SS_OPT_LINGER), 5);
}

#[test]
fn no_delay_and_keep_alive_reach_the_system_at_once() {
    let events = Loop::new();
    let (_server, socket, _peer) = pair_of(&events, |_| {});
    assert_eq!(system_options(socket), (true, false));
    ok(set(socket, SS_OPT_NO_DELAY, 0));
    assert_eq!(system_options(socket), (false, false));
    ok(set(socket, SS_OPT_KEEP_ALIVE, 33));
    assert_eq!(system_options(socket), (false, true));
    #[cfg(target_os = "linux")]
    {
        let system = system_socket(socket);
        let period = std::time::Duration::from_secs(33);
        assert_eq!(SockRef::from(&system).tcp_keepalive_time().expect("TCP_KEEPIDLE"), period);
        assert_eq!(SockRef::from(&system).tcp_keepalive_interval().expect("TCP_KEEPINTVL"), period);
    }
    ok(set(socket, SS_OPT_KEEP_ALIVE, 0));
    assert_eq!(system_options(socket), (false, false));
}

#[test]
fn dual_stack_takes_ipv4_too_and_shows_its_addresses_as_ipv4() {
    if !has_ipv6() {
        return;
    }
    let events = Loop::new();
    let server = Server::new(&events);
    ok(set(&server, SS_OPT_DUAL_STACK, 1));
    ok(server.bind(0, c"::"));
    ok(server.listen(0));
    let accepted = server.keep_accepted();
    let (_four, _six) = (server.client(), client(&format!("[::1]:{}", server.port())));
    events.pump_until(|| accepted.len() == 2);
    assert_eq!(accepted.get(0).remote().0.as_deref(), Some("127.0.0.1"));
    assert_eq!(accepted.get(0).local().0.as_deref(), Some("127.0.0.1"));
    assert_eq!(accepted.get(1).remote().0.as_deref(), Some("::1"));
}

#[test]
#[cfg(not(unix))]
fn reuse_port_is_refused_where_the_system_has_no_such_thing() {
    let events = Loop::new();
    let server = Server::new(&events);
    assert_eq!(set(&server, SS_OPT_REUSE_PORT, 1), SS_ERR_UNSUPPORTED);
    assert_eq!(get(&server, SS_OPT_REUSE_PORT), 0);
    ok(server.bind(0, c"127.0.0.1"));
}

#[test]
#[cfg(target_os = "linux")] // others share the port, but do not deal connections out
fn reuse_port_shares_a_port_among_those_that_all_ask_for_it() {
    let events = Loop::new();
    let first = Server::new(&events);
    ok(set(&first, SS_OPT_REUSE_PORT, 1));
    ok(first.bind(0, c"127.0.0.1"));
    ok(first.listen(0));
    let second = Server::new(&events);
    ok(set(&second, SS_OPT_REUSE_PORT, 1));
    ok(second.bind(first.port().into(), c"127.0.0.1"));
    ok(second.listen(0));
    let third = Server::new(&events);
    fails_with(third.bind(first.port().into(), c"127.0.0.1"), SS_ERR_IO, 2002, errno::EADDRINUSE);
    let (at_first, at_second) = (first.keep_accepted(), second.keep_accepted());
    let peers: Vec<TcpStream> = (0..64).map(|_| first.client()).collect();
    events.pump_until(|| at_first.len() + at_second.len() == peers.len());
    assert!(at_first.len() > 0 && at_second.len() > 0, "the system deals them out");
}

#[test]
fn at_the_connection_limit_peers_wait_and_one_that_leaves_lets_one_in() {
    let (events, server) = listening();
    ok(set(&server, SS_OPT_MAX_CONNECTIONS, 5));
    let accepted = server.keep_accepted();
    let mut peers: Vec<TcpStream> = (0..15).map(|_| server.client()).collect();
    events.settle();
    assert_eq!(accepted.len(), 5);
    // Ended by the peer, by us, and by a reset.
    drop(peers.remove(0));
    events.pump_until(|| accepted.len() == 6);
    ok(accepted.get(1).write(b"bye"));
    ok(accepted.get(1).close());
    events.pump_until(|| accepted.len() == 7);
    ok(accepted.get(2).abort());
    events.pump_until(|| accepted.len() == 8);
    events.settle();
    assert_eq!(accepted.len(), 8);
    figure("a limit of 5, 15 peers: 5 live, one more for each of 3 that went, the other 7 when the limit was lifted");
    ok(set(&server, SS_OPT_MAX_CONNECTIONS, 0));
    events.pump_until(|| accepted.len() == 15);
}

#[test]
fn a_paused_server_leaves_peers_in_the_queue_until_it_resumes() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(ss_pause(server.0)); // also before it listens
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(0));
    let accepted = server.keep_accepted();
    let _peers = [server.client(), server.client()];
    events.settle();
    assert_eq!(accepted.len(), 0);
    ok(ss_resume(server.0));
    events.pump_until(|| accepted.len() == 2);
    ok(ss_pause(server.0));
    ok(ss_pause(server.0));
    let _more = server.client();
    events.settle();
    assert_eq!(accepted.len(), 2);
    ok(ss_resume(server.0));
    events.pump_until(|| accepted.len() == 3);
    ok(server.close());
    fails(ss_pause(server.0), SS_ERR_IO, 2002);
    fails(ss_resume(server.0), SS_ERR_IO, 2002);
}

#[test]
fn a_paused_socket_reads_nothing_not_even_the_end_and_loses_nothing() {
    let pair = Pair::new();
    ok(ss_socket_pause(pair.socket.0.0));
    pair.send(b"while paused");
    pair.send_fin();
    pair.events.settle();
    assert_eq!((pair.log.len(), pair.socket.available()), (0, 0));
    assert!(pair.socket.connected());
    ok(ss_socket_resume(pair.socket.0.0));
    pair.events.pump_until(|| !pair.socket.connected());
    assert_eq!(pair.log.take(), ["socketData", "close"]);
    assert_eq!(pair.socket.read_all(), b"while paused");
}

#[test]
fn at_the_read_limit_the_peer_is_held_up_and_nothing_is_lost() {
    let pair = Pair::new();
    ok(set(*pair.socket, SS_OPT_READ_LIMIT, 10_000));
    let bytes = pattern(20_000_000);
    let writer = std::thread::spawn({
        let (mut peer, bytes) = (pair.peer.try_clone().expect("a second handle"), bytes.clone());
        move || std::io::Write::write_all(&mut peer, &bytes)
    });
    pair.events.pump_until(|| pair.socket.available() == 10_000);
    pair.events.settle();
    assert_eq!(pair.socket.available(), 10_000, "not a byte beyond the limit");
    let mut got = Vec::new();
    pair.events.pump_until(|| {
        got.extend(pair.socket.read_all());
        got.len() == bytes.len()
    });
    assert_same_bytes(&got, &bytes);
    pair.events.join(writer).expect("all was written");
}

#[test]
fn raising_the_read_limit_reads_on() {
    let pair = Pair::new();
    ok(set(*pair.socket, SS_OPT_READ_LIMIT, 4));
    pair.send(b"12345678");
    pair.events.pump_until(|| pair.socket.available() == 4);
    pair.events.settle();
    ok(set(*pair.socket, SS_OPT_READ_LIMIT, 100));
    pair.events.pump_until(|| pair.socket.available() == 8);
}

#[test]
fn beyond_the_write_limit_a_write_is_refused_whole_and_later_accepted() {
    let pair = Pair::new();
    ok(set(*pair.socket, SS_OPT_WRITE_LIMIT, 100_000));
    let bytes = pattern(100_001);
    fails(pair.socket.write(&bytes), SS_ERR_RANGE, 2006);
    assert_eq!(pair.socket.pending(), 0, "it can never fit");
    let mut expected = Vec::new();
    // The kernel takes some; then it is full, and so are we.
    while pair.socket.write(&bytes[..50_000]) == SS_OK {
        expected.extend_from_slice(&bytes[..50_000]);
        ok(pair.socket.flush());
    }
    assert!((50_001..=100_000).contains(&pair.socket.pending()));
    let before = pair.socket.pending();
    assert_eq!(pair.socket.write(&bytes[..50_000]), SS_ERR_FULL);
    assert_eq!(pair.socket.pending(), before);
    assert_same_bytes(&pair.events.receive(&pair.peer, expected.len()), &expected);
    ok(pair.socket.write(&bytes[..50_000]));
    assert_same_bytes(&pair.events.receive(&pair.peer, 50_000), &bytes[..50_000]);
}

#[test]
fn silence_beyond_the_idle_timeout_is_an_io_error_and_then_the_end() {
    let pair = Pair::new();
    let errno = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = errno.clone();
    on(*pair.socket, IO_ERROR, move |event| seen.set(event.os_error()));
    ok(set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 60));
    pair.events.pump_until(|| !pair.socket.connected());
    assert_eq!(pair.log.take(), ["ioError 2031", "close"]);
    assert_eq!(errno.get(), errno::ETIMEDOUT);
    assert_eq!((&pair.peer).read(&mut [0]).expect("the end"), 0);
}

/// A word now and then, and nothing when the time comes that the one before it had set.
#[test]
fn traffic_either_way_keeps_a_connection_from_being_idle() {
    for peer_speaks in [true, false] {
        let pair = Pair::new();
        ok(set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 1_000));
        for _ in 0..3 {
            match peer_speaks {
                true => pair.send(b"x"),
                false => ok(pair.socket.write(b"y")),
            }
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 600 {
                pair.events.turn(10);
            }
            assert!(pair.socket.connected(), "the peer speaks: {peer_speaks}");
        }
        ok(set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 0));
        pair.events.settle();
        assert_eq!(ss_loop_timeout(pair.events.0), -1, "no timer any more");
    }
}

#[test]
fn a_connection_that_moves_the_bytes_that_are_asked_of_it_is_not_idle() {
    let pair = Pair::new();
    // Long enough for a machine that is busy with other tests: what is asked for has to come in each such time.
    ok(set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 1500));
    ok(set(*pair.socket, SS_OPT_IDLE_BYTES, 1_000));
    let start = std::time::Instant::now();
    while start.elapsed().as_millis() < 3200 {
        // It is their sum that counts.
        pair.send(&[b'x'; 500]);
        ok(pair.socket.write(&[b'y'; 500]));
        pair.events.turn(40);
    }
    assert!(pair.socket.connected());
    ok(set(*pair.socket, SS_OPT_IDLE_BYTES, 1 << 30));
    pair.events.pump_until(|| !pair.socket.connected());
}

#[test]
#[cfg(unix)] // there is no pollable descriptor elsewhere
fn a_host_that_waits_for_the_descriptor_sees_the_idle_timeout() {
    let pair = Pair::new();
    ok(set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 50));
    let mut fd = -1;
    ok(unsafe { ss_loop_fd(pair.events.0, &mut fd) });
    let mut waits = 0;
    while pair.socket.connected() {
        let mut wait = libc::pollfd { fd: fd as i32, events: libc::POLLIN, revents: 0 };
        let timeout = ss_loop_timeout(pair.events.0);
        assert!((0..=50).contains(&timeout), "{timeout}");
        unsafe { libc::poll(&mut wait, 1, timeout) };
        pair.events.turn(0);
        waits += 1;
        assert!(waits < 100, "it does not come");
    }
}

#[test]
fn a_closed_socket_sends_no_longer_than_its_linger_allows() {
    in_own_process!(|| {
        for linger in [0, 60] {
            let pair = Pair::new();
            ok(set(*pair.socket, SS_OPT_LINGER, linger));
            ok(pair.socket.write(&pattern(20_000_000))); // more than the kernel takes: the peer reads nothing
            ok(pair.socket.flush());
            assert!(pair.socket.pending() > 0);
            let before = open_descriptors();
            ok(pair.socket.close());
            pair.events.pump_until(|| open_descriptors() == before - 1);
        }
    });
}
