// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host sets: identities, protocols, secrets; and what is wrong with what it gives.

use crate::certificates::self_signed;
use crate::fixture::*;
use server_socket::*;
use std::ffi::CStr;
use std::ptr::null;
use support::*;

#[test]
fn what_is_malformed_or_does_not_fit_changes_nothing() {
    let (authority, identity) = localhost();
    let other = authority.issue(&["localhost"]);
    let echo = EchoServer::new(Tls::of(&identity));
    let tls = &echo.tls;
    let (chain, key) = (identity.chain.as_bytes(), identity.key.as_bytes());
    let cases: [(&[u8], &[u8], &str); 8] = [
        (chain, other.key.as_bytes(), "not that of the certificate"),
        (b"", key, "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", key, "no good PEM"),
        (b"0\x03abc", key, "a certificate"),
        (key, key, "no certificate"),
        (chain, chain, "no private key"),
        (chain, b"", "no private key"),
        (chain, b"0\x03abc", "private key"),
    ];
    for (chain, key, why) in cases {
        fails(tls.set_parts(None, chain, key), SS_ERR_ARGUMENT, 2004);
        assert!(last_detail().contains(why), "{}: {why}", last_detail());
    }
    for name in [c"", c"*.", c"a b", c"*.*.org", c"-", c"\xff"] {
        let status = tls.set_identity(Some(name), &identity);
        if name != c"" {
            fails(status, SS_ERR_ARGUMENT, 2004);
        }
    }
    fails(tls.remove_identity(Some(c"nobody.example")), SS_ERR_ARGUMENT, 2004);
    fails(tls.add(b"nothing", true), SS_ERR_ARGUMENT, 2004);
    fails(tls.protocols(c"h2,,x"), SS_ERR_ARGUMENT, 2004);
    fails(tls.ticket_secret(Some(&[1; 31])), SS_ERR_ARGUMENT, 2004);
    let null_key = unsafe { ss_tls_set_identity(tls.0, null(), chain.as_ptr().cast(), chain.len(), null(), 0) };
    assert_eq!(null_key, SS_ERR_TYPE);
    assert_eq!(unsafe { ss_tls_add_certificate(tls.0, null(), 5, true) }, SS_ERR_TYPE);
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port());
    assert_eq!(client.settle(&echo.events), "connect 0 ");
    assert_eq!(client.socket.certificate(0), Some(identity.der));
}

#[test]
fn der_is_taken_as_pem_is() {
    let (authority, identity) = localhost();
    let tls = Tls::new();
    let key = rcgen::KeyPair::from_pem(&identity.key).expect("a key").serialize_der();
    ok(tls.set_parts(None, &identity.der, &key));
    let echo = EchoServer::new(tls);
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port());
    assert_eq!(client.settle(&echo.events), "connect 0 ");
}

#[test]
fn each_name_has_its_identity_and_a_star_stands_for_one_label() {
    let (authority, all_others) = localhost();
    let (one, star) = (authority.issue(&["one.example"]), authority.issue(&["*.two.example"]));
    let echo = EchoServer::new(Tls::of(&all_others));
    ok(echo.tls.set_identity(Some(c"One.Example"), &one));
    ok(echo.tls.set_identity(Some(c"*.two.example"), &star));
    let trust = Tls::trusting(&authority.certificate);
    let ask = |name: &CStr| {
        let client = Client::new(&echo.events, &trust, Some(name));
        client.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
        client.socket.certificate(0).expect("it was shown")
    };
    assert_eq!(ask(c"one.example"), one.der);
    assert_eq!(ask(c"a.two.example"), star.der);
    for other in [c"two.example", c"a.b.two.example", c"three.example", c"127.0.0.1"] {
        assert_eq!(ask(other), all_others.der, "{other:?}");
    }
    ok(echo.tls.remove_identity(Some(c"one.example")));
    assert_eq!(ask(c"one.example"), all_others.der);
    ok(echo.tls.remove_identity(None));
    let client = Client::new(&echo.events, &trust, Some(c"three.example"));
    client.connect(c"127.0.0.1", echo.port());
    assert!(client.settle(&echo.events).starts_with("ioError"));
}

#[test]
fn a_certificate_is_renewed_under_load_and_nobody_fails() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    let trust = Tls::trusting(&authority.certificate);
    let old = Client::new(&echo.events, &trust, None);
    old.connect(c"127.0.0.1", echo.port()).settle(&echo.events);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        let trust = Tls::trusting(&authority.certificate);
        let clients: Vec<Client> = (0..20).map(|_| Client::new(&echo.events, &trust, None)).collect();
        clients.iter().for_each(|client| {
            client.connect(c"127.0.0.1", echo.port());
        });
        echo.events.turn(0);
        ok(echo.tls.set_identity(None, &authority.issue(&["localhost", "127.0.0.1"])));
        for client in &clients {
            assert_eq!(client.settle(&echo.events), "connect 0 ", "round {round}");
            seen.insert(client.socket.certificate(0).expect("it was shown"));
        }
    }
    assert!(seen.len() >= 10, "each renewed one was shown: {}", seen.len());
    assert_eq!(old.ask(&echo.events, b"the old one goes on"), b"the old one goes on");
    assert!(!echo.log.entries().iter().any(|entry| entry.starts_with("handshakeError")));
}

#[test]
fn a_server_goes_on_with_what_it_has_when_the_handle_is_released() {
    let (authority, identity) = localhost();
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let tls = Tls::of(&identity);
    ok(tls.secure(&server));
    assert_eq!(ss_object_count(SS_KIND_TLS), 1);
    drop(tls);
    assert_eq!(ss_object_count(SS_KIND_TLS), 0);
    let client = Client::new(&events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", server.port());
    assert_eq!(client.settle(&events), "connect 0 ");
    events.pump_until(|| accepted.len() == 1);
    // And is plain again when it is told so.
    ok(plain(&server));
    let peer = server.client();
    events.pump_until(|| accepted.len() == 2);
    assert_eq!(accepted.get(1).version(), 0);
    ok(accepted.get(1).write(b"plain"));
    assert_eq!(events.receive(&peer, 5), b"plain");
}

#[test]
fn no_protocol_in_common_is_no_connection() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    ok(echo.tls.protocols(c"h2"));
    let trust = Tls::trusting(&authority.certificate);
    ok(trust.protocols(c"http/1.1"));
    let client = Client::new(&echo.events, &trust, None);
    client.connect(c"127.0.0.1", echo.port());
    assert!(client.settle(&echo.events).starts_with("ioError"));
    echo.events.pump_until(|| echo.log.len() == 1);
    assert!(echo.log.entries()[0].contains("ALPN"), "{:?}", echo.log.entries());
    // Who offers none is taken.
    let client = Client::new(&echo.events, &Tls::trusting(&authority.certificate), None);
    client.connect(c"127.0.0.1", echo.port());
    assert_eq!(client.settle(&echo.events), "connect 0 ");
    assert_eq!(client.socket.protocol(), None);
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused_at_once() {
    let events = Loop::new();
    let (tls, socket) = (Tls::new(), Socket(ss_socket_new(events.0)));
    for name in [c"a b", c"-", c"*.example.org", c"\xff"] {
        fails(tls.secure_as(socket, Some(name)), SS_ERR_ARGUMENT, 2004);
    }
    for name in [c"example.org", c"127.0.0.1", c"::1", c""] {
        ok(tls.secure_as(socket, Some(name)));
    }
    ok(release(socket));
}

#[test]
fn the_key_is_never_in_the_log_or_in_an_error() {
    let messages = Messages::record();
    let identity = self_signed(&["localhost"], false);
    let secret = identity.key.lines().nth(1).expect("it has lines").to_owned();
    let broken = identity.key.replacen("PRIVATE KEY", "PRIVATE TEA", 1);
    let tls = Tls::new();
    fails(tls.set_parts(None, identity.chain.as_bytes(), broken.as_bytes()), SS_ERR_ARGUMENT, 2004);
    assert!(!last_detail().contains(&secret) && !last_error().text.contains(&secret));
    for level in [SS_LOG_ERROR, SS_LOG_WARNING, SS_LOG_HINT] {
        assert!(messages.about(level, &secret).is_empty());
    }
}
