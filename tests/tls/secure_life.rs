// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a secure connection: the handshake, bytes, both ways to an end.

use crate::fixture::*;
use server_socket::*;
use std::io::Write;
use std::net::TcpStream;
use support::*;

#[test]
fn a_client_and_a_server_of_the_librarys_talk_in_both_versions() {
    let (authority, identity) = localhost();
    for version in [12, 13] {
        let echo = EchoServer::with(Tls::of(&identity), |server| {
            ok(ss_set_option(server.object(), SS_OPT_TLS_MIN_VERSION, version));
        });
        ok(echo.tls.protocols(c"one,two"));
        let trust = Tls::trusting(&authority.certificate);
        ok(trust.protocols(c"three,two"));
        let client = Client::new(&echo.events, &trust, None);
        client.connect(c"localhost", echo.port());
        assert_eq!(client.settle(&echo.events), "connect 0 ");
        assert_eq!(client.ask(&echo.events, b"hello"), b"hello");
        assert_eq!(client.socket.version(), 13);
        assert_eq!(client.socket.protocol().as_deref(), Some("two"));
        assert_eq!(client.socket.server_name().as_deref(), Some("localhost"));
        assert_eq!(client.socket.status(), "trusted");
        assert_eq!(client.socket.certificate(0), Some(identity.der.clone()));
        assert_eq!(client.socket.certificate(1), None);
        assert_eq!(echo.log.take(), [r#"connect 13 Some("localhost") Some("two") unknown"#]);
    }
}

#[test]
fn many_bytes_go_both_ways_and_none_is_lost() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    for length in [1, 16_383, 16_384, 16_385, 32_768, 100_000, 1_000_000, 20_000_000] {
        let bytes = pattern(length);
        assert_same_bytes(&client.ask(&echo.events, &bytes), &bytes);
    }
}

#[test]
fn what_a_listener_writes_in_parts_is_one_record() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    let before = echo.server.figures().bytes_out;
    let socket = echo.accepted.borrow()[0];
    for _ in 0..1000 {
        ok(socket.write(b"0123456789"));
    }
    assert_eq!(socket.pending(), 10_000, "it is written, and not sealed yet");
    echo.events.pump_until(|| client.received.borrow().len() == 10_000);
    // A header, a type and a tag of one record.
    assert_eq!(echo.server.figures().bytes_out - before, 10_000 + 22);
}

#[test]
fn a_close_is_told_to_the_peer_behind_all_that_was_written() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    let bytes = pattern(3_000_000);
    let socket = echo.accepted.borrow()[0];
    ok(socket.write(&bytes));
    ok(socket.close());
    echo.events.pump_until(|| client.is("close"));
    assert_same_bytes(&client.received.take(), &bytes);
    assert!(client.is("close 0 "), "{:?}", client.log.entries());
    // The library's own end of the client answers it, and the server's is gone in time.
    echo.events.pump_until(|| echo.server.figures().lingering == 0);
}

#[test]
fn a_clients_end_is_a_good_one_for_the_server() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    ok(client.socket.close());
    echo.events.pump_until(|| echo.log.contains("close 0"));
}

#[test]
fn one_side_may_end_and_the_other_goes_on() {
    let (authority, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_HALF_OPEN, 1));
    });
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    client.ask(&echo.events, b"x");
    let ended = shared::<usize>();
    let socket = echo.accepted.borrow()[0];
    on(socket, END, {
        let ended = ended.clone();
        move |_| increment(&ended)
    });
    ok(client.socket.write(b"last words"));
    ok(client.socket.shutdown());
    fails(client.socket.write(b"no more"), SS_ERR_IO, 2002);
    echo.events.pump_until(|| ended.get() == 1);
    ok(socket.write(b"the answer"));
    echo.events.pump_until(|| client.received.borrow().len() == 20);
    assert_eq!(client.received.take(), b"last wordsthe answer");
    ok(socket.shutdown());
    echo.events.pump_until(|| client.is("close 0") && echo.log.contains("close 0"));
}

#[test]
fn bytes_that_come_with_the_end_of_the_handshake_come_after_connect() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    on(client.socket, CONNECT, {
        let socket = client.socket;
        move |_| ok(socket.write(b"at once"))
    });
    client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    echo.events.pump_until(|| client.received.borrow().len() == 7);
}

#[test]
fn a_connection_that_is_plain_becomes_secure_in_the_middle() {
    let (authority, identity) = localhost();
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let (tls, trust) = (Tls::of(&identity), Tls::trusting(&authority.certificate));
    let client = Client::new(&events, &trust, None);
    ok(plain(client.socket));
    client.connect(c"127.0.0.1", server.port());
    events.pump_until(|| client.is("connect") && accepted.len() == 1);
    let socket = accepted.get(0);
    let connected = shared::<usize>();
    on(socket, CONNECT, {
        let connected = connected.clone();
        move |_| increment(&connected)
    });
    on(socket, SOCKET_DATA, {
        move |_| {
            let bytes = socket.read_all();
            if bytes == b"STARTTLS" {
                ok(socket.write(b"go"));
                ok(tls.secure(socket));
                ok(socket.write(b"secret"));
                fails(tls.secure(socket), SS_ERR_IO, 2002);
            } else {
                ok(socket.write(&bytes));
            }
        }
    });
    ok(client.socket.write(b"STARTTLS"));
    events.pump_until(|| client.received.borrow().len() == 2);
    assert_eq!(client.received.take(), b"go");
    assert_eq!(client.socket.version(), 0);
    ok(trust.secure_as(client.socket, Some(c"localhost")));
    ok(client.socket.write(b"hidden"));
    events.pump_until(|| client.received.borrow().len() >= 12);
    assert_eq!(client.received.take(), b"secrethidden");
    assert_eq!((client.socket.version(), socket.version(), connected.get()), (13, 13, 1));
    assert_eq!(client.log.count("connect 0 "), 2);
}

#[test]
fn a_header_may_come_plain_before_the_handshake() {
    let (authority, identity) = localhost();
    let events = Loop::new();
    let server = Server::listening(&events);
    let tls = Tls::of(&identity);
    let accepted = server.keep_accepted();
    let mut peer = server.client();
    // The header and the beginning of the handshake come together.
    let hello = client_hello(&events, &Tls::trusting(&authority.certificate));
    peer.write_all(&[b"PROXY\n", &hello[..]].concat()).expect("sent");
    events.pump_until(|| accepted.len() == 1 && accepted.get(0).available() > 6);
    let socket = accepted.get(0);
    let mut header = [0; 6];
    ok(socket.read_bytes(&mut header));
    ok(tls.secure(socket));
    assert_eq!(socket.available(), 0);
    let answer = events.receive(&peer, 6);
    assert_eq!(answer[..3], [22, 3, 3], "a handshake record of the server's");
}

/// The first bytes of a client of the library's.
pub fn client_hello(events: &Loop, trust: &Tls) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = Client::new(events, trust, None);
    client.connect(c"127.0.0.1", listener.local_addr().expect("bound").port());
    let (stream, _): (TcpStream, _) = listener.accept().expect("it comes");
    let head = events.receive(&stream, 5);
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    [head, events.receive(&stream, length)].concat()
}

#[test]
fn a_server_drains_with_its_handshakes() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port());
    echo.events.pump_until(|| echo.server.figures().accepted == 1);
    let closed = shared::<usize>();
    on(&echo.server, CLOSE, {
        let closed = closed.clone();
        move |_| increment(&closed)
    });
    ok(ss_drain(echo.server.0, 30_000));
    assert_eq!(client.settle(&echo.events), "connect 0 ");
    assert_eq!(client.ask(&echo.events, b"still served"), b"still served");
    assert_eq!(closed.get(), 0);
    ok(client.socket.close());
    echo.events.pump_until(|| closed.get() == 1);
}

#[test]
fn a_server_that_is_closed_gives_its_handshakes_up() {
    let (_, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_HANDSHAKE_TIMEOUT, 600_000));
    });
    let peer = echo.server.client();
    echo.events.pump_until(|| echo.server.figures().open == 1);
    assert_eq!(ss_object_count(SS_KIND_SOCKET), 0, "nobody has heard of it");
    ok(echo.server.close());
    let (bytes, _) = echo.events.receive_to_end(&peer);
    assert!(bytes.is_empty());
    assert_eq!(echo.log.len(), 0);
    echo.events.run_to_its_end();
}

#[test]
fn an_idle_connection_takes_little_memory() {
    if !cfg!(target_os = "linux") {
        return;
    }
    in_own_process!(|| {
        const COUNT: usize = 300;
        let (authority, identity) = localhost();
        let patient = |object: *mut ss_object| ok(ss_set_option(object, SS_OPT_HANDSHAKE_TIMEOUT, 60_000));
        let echo = EchoServer::with(Tls::of(&identity), |server| patient(server.object()));
        let trust = Tls::trusting(&authority.certificate);
        let connect = |count: usize| -> Vec<Client> {
            let clients: Vec<Client> = (0..count).map(|_| Client::new(&echo.events, &trust, None)).collect();
            clients.iter().for_each(|client| {
                patient(client.socket.object());
                ok(ss_socket_set_timeout(client.socket.0, 60_000));
                client.connect(c"127.0.0.1", echo.port());
            });
            echo.events.pump_until(|| clients.iter().all(|client| client.is("connect")));
            clients
        };
        let first = connect(20);
        let before = resident_memory();
        let clients = connect(COUNT);
        clients.iter().for_each(|client| assert_eq!(client.ask(&echo.events, b"x"), b"x"));
        let each = resident_memory().saturating_sub(before) / COUNT;
        figure(format!("an idle secure connection, both of its ends in one process: {each} bytes"));
        assert!(each < 64 * 1024, "{each} bytes");
        drop((first, clients));
    });
}
