// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers that mean it ill, or do not know TLS.

use crate::fixture::*;
use crate::secure_life::client_hello;
use server_socket::*;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use support::*;

#[test]
fn what_is_no_handshake_is_refused_and_the_server_says_who_and_why() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let oversized = [&[22, 3, 1, 0x48, 1][..], &[1; 0x4801]].concat();
    // What is said, what the server hears of it, and whether the peer is told.
    let cases: [(&[u8], &str, bool); 7] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does not speak TLS", true),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", "does not speak TLS", true),
        (&[0x80, 0x2e, 1, 0, 2], "", true),
        (&oversized, "", true),
        (&[22, 3, 1, 0, 4, 1, 0, 0, 0], "", true),
        (&[22, 3, 1, 0, 4, 1], "ended the connection in the handshake", false),
        (&[21, 3, 1, 0, 2, 2, 40], "says HandshakeFailure", false),
    ];
    for (bytes, why, is_told) in cases {
        let mut peer = echo.server.client();
        let from = peer.local_addr().expect("bound").to_string();
        peer.write_all(bytes).expect("sent");
        peer.shutdown(Shutdown::Write).expect("ended");
        echo.events.pump_until(|| echo.log.len() == 1);
        let heard = echo.log.take().remove(0);
        assert!(heard.starts_with("handshakeError "), "{heard}");
        assert!(heard.contains(&from) && heard.contains(why), "{heard}");
        let (answer, _) = echo.events.receive_to_end(&peer);
        match is_told {
            true => assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{answer:?} is no fatal alert: {heard}"),
            false => assert_eq!(answer, [], "{heard}"),
        }
    }
    let mut random = Random(7);
    for _ in 0..300 {
        let mut peer = echo.server.client();
        let bytes: Vec<u8> = (0..1 + random.below(600)).map(|_| random.next() as u8).collect();
        peer.write_all(&bytes).expect("sent");
        peer.shutdown(Shutdown::Write).expect("ended");
    }
    echo.events.pump_until(|| echo.log.len() == 300);
    assert_eq!((echo.server.figures().open, ss_object_count(SS_KIND_SOCKET)), (0, 0));
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port());
    assert_eq!(client.settle(&echo.events), "connect 0 ");
}

#[test]
fn one_byte_of_a_handshake_and_then_silence_has_its_time() {
    let (_, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_HANDSHAKE_TIMEOUT, 200));
    });
    let (silent, mut slow) = (echo.server.client(), echo.server.client());
    slow.write_all(&[22]).expect("sent");
    let start = Instant::now();
    echo.events.pump_until(|| echo.log.len() == 2);
    assert!(start.elapsed() >= Duration::from_millis(150));
    for heard in echo.log.take() {
        assert!(heard.starts_with(&format!("handshakeError {}", sys::ETIMEDOUT)), "{heard}");
    }
    echo.events.receive_to_end(&silent);
    echo.events.receive_to_end(&slow);
    assert_eq!(echo.server.figures().open, 0);
}

#[test]
fn a_client_does_not_wait_for_ever_for_a_servers_handshake() {
    let events = Loop::new();
    let server = Server::listening(&events);
    let _accepted = server.keep_accepted();
    let client = Client::new(&events, &Tls::new(), None);
    ok(ss_set_option(client.socket.object(), SS_OPT_HANDSHAKE_TIMEOUT, 200));
    // Not that of connecting, which would be over as well.
    ok(ss_socket_set_timeout(client.socket.0, 600_000));
    client.connect(c"127.0.0.1", server.port());
    let heard = client.settle(&events);
    assert!(heard.starts_with(&format!("ioError {} secure the connection with 127.0.0.1:", sys::ETIMEDOUT)), "{heard}");
    // And one that ends in the middle.
    let client = Client::new(&events, &Tls::new(), None);
    let accepted = server.keep_accepted();
    client.connect(c"127.0.0.1", server.port());
    events.pump_until(|| accepted.len() == 1);
    ok(accepted.get(0).shutdown());
    assert!(client.settle(&events).contains("ended the connection in the handshake"));
}

#[test]
fn handshakes_have_a_place_among_the_connections_that_may_be_there() {
    let (authority, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_MAX_CONNECTIONS, 3));
        ok(ss_set_option(server.object(), SS_OPT_HANDSHAKE_TIMEOUT, 300));
    });
    let silent = [echo.server.client(), echo.server.client(), echo.server.client()];
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port());
    echo.events.pump_until(|| echo.server.figures().open == 3);
    assert_eq!(echo.server.figures().accepted, 3);
    // When the time of the silent ones is over it is served.
    assert_eq!(client.settle(&echo.events), "connect 0 ");
    drop(silent);
}

#[test]
fn an_end_without_a_word_is_told_apart_from_a_good_one() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    // The descriptor ends below the library: a FIN, and no close_notify.
    let socket = echo.accepted.borrow()[0];
    socket2::SockRef::from(&system_socket(socket)).shutdown(Shutdown::Write).expect("it ends");
    echo.events.pump_until(|| client.is("close"));
    let heard = client.log.entries().pop().expect("close");
    assert!(!heard.starts_with("close 0") && heard.contains("close_notify"), "{heard}");
}

#[test]
fn a_record_that_was_changed_on_its_way_ends_the_connection() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    let socket = system_socket(client.socket);
    let record = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
    socket2::SockRef::from(&socket).send(&record).expect("sent");
    echo.events.pump_until(|| echo.log.len() == 2 && client.is("close"));
    assert!(!echo.log.entries()[1].starts_with("close 0"), "{:?}", echo.log.entries());
}

#[test]
fn a_thousand_handshakes_keep_no_other_connection_waiting_long() {
    let (authority, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_HANDSHAKE_TIMEOUT, 60_000));
    });
    let plain_server = Server::listening(&echo.events);
    on(&plain_server, CONNECT, |event| {
        ok(ss_socket_keep(event.socket().0));
        crate::fixture::echo(event.socket());
    });
    let port = echo.port();
    let clients = std::thread::spawn(move || {
        let events = Loop::new();
        let trust = Tls::trusting(&authority.certificate);
        let clients: Vec<Client> = (0..1000).map(|_| Client::new(&events, &trust, None)).collect();
        clients.iter().for_each(|client| {
            ok(ss_set_option(client.socket.object(), SS_OPT_HANDSHAKE_TIMEOUT, 60_000));
            ok(ss_socket_set_timeout(client.socket.0, 60_000));
            client.connect(c"127.0.0.1", port);
        });
        events.pump_until(|| clients.iter().all(|client| client.is("connect") || client.is("ioError")));
        clients.iter().filter(|client| client.is("connect")).count()
    });
    let mut peer = plain_server.client();
    let mut times = Vec::new();
    while !clients.is_finished() {
        let start = Instant::now();
        peer.write_all(b"ping").expect("sent");
        assert_eq!(echo.events.receive(&peer, 4), b"ping");
        times.push(start.elapsed());
    }
    assert_eq!(clients.join().expect("it ends"), 1000);
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    figure(format!("{} plain echoes beside 1,000 handshakes: p99 {p99:?}, longest {:?}", times.len(), times.last()));
}

#[test]
fn a_turn_goes_on_with_some_of_the_handshakes_and_leaves_the_others_to_the_next() {
    const PEERS: usize = 300;
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let hello = client_hello(&echo.events, &Tls::trusting(&authority.certificate));
    let peers: Vec<TcpStream> = (0..PEERS)
        .map(|_| {
            let mut peer = echo.server.client();
            peer.write_all(&hello).expect("sent");
            peer.set_nonblocking(true).expect("non-blocking");
            peer
        })
        .collect();
    let (mut answered, mut most) = (0, 0);
    echo.events.pump_until(|| {
        let now = peers.iter().filter(|peer| peer.peek(&mut [0]).is_ok()).count();
        most = most.max(now - answered);
        answered = now;
        answered == PEERS
    });
    assert!(most < PEERS / 2, "{most} of {PEERS} handshakes went on in one turn");
}

mod sys {
    #[cfg(unix)]
    pub use libc::ETIMEDOUT;
    #[cfg(windows)]
    pub const ETIMEDOUT: i32 = 10060;
}
