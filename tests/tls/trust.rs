// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom a client trusts, and a server: a connection comes about with nobody else.

use crate::certificates::{Authority, Identity, expired, not_yet_valid, self_signed};
use crate::fixture::*;
use server_socket::*;
use support::*;

/// Connects to a server with that identity. Returns what the client has heard first, and the word for the certificate.
fn meet(identity: &Identity, trust: &Tls, host: &str) -> (String, String) {
    let echo = EchoServer::new(Tls::of(identity));
    let client = Client::new(&echo.events, trust, (host != "127.0.0.1").then(|| c_text(host)).as_deref());
    client.connect(c"127.0.0.1", echo.port());
    let outcome = client.settle(&echo.events);
    if outcome.starts_with("ioError") {
        assert!(!client.socket.connected());
        assert_eq!(client.socket.certificate(0), Some(identity.der.clone()), "it can be looked at");
        echo.events.pump_until(|| echo.log.len() == 1);
        assert!(echo.log.entries()[0].starts_with("handshakeError"), "{:?}", echo.log.entries());
    }
    (outcome, client.socket.status())
}

#[test]
fn a_certificate_that_is_not_in_order_is_refused_and_the_status_says_why() {
    let authority = Authority::new("ours");
    let stranger = Authority::new("a stranger");
    let trust = Tls::trusting(&authority.certificate);
    let names = ["localhost"];
    let cases = [
        (authority.issue_with(&names, expired), "localhost", "expired"),
        (authority.issue_with(&names, not_yet_valid), "localhost", "notYetValid"),
        (authority.issue(&["example.org"]), "localhost", "principalMismatch"),
        (authority.issue(&["localhost"]), "127.0.0.1", "principalMismatch"),
        (stranger.issue(&names), "localhost", "untrustedSigners"),
        (self_signed(&names, false), "localhost", "untrustedSigners"),
        (self_signed(&names, true), "localhost", "untrustedSigners"),
    ];
    for (identity, host, status) in cases {
        let (outcome, found) = meet(&identity, &trust, host);
        assert!(outcome.starts_with("ioError "), "{status}: {outcome}");
        assert!(outcome.contains("certificate is not accepted"), "{outcome}");
        assert_eq!(found, status, "{outcome}");
        assert_ne!(meet(&identity, &Tls::new(), host).1.as_str(), "trusted");
    }
    let (outcome, status) = meet(&authority.issue(&names), &trust, "localhost");
    assert_eq!((outcome.as_str(), status.as_str()), ("connect 0 ", "trusted"));
}

#[test]
fn a_certificate_of_its_own_can_be_trusted_as_it_is_but_for_its_name_and_its_time_alone() {
    for authority in [false, true] {
        let identity = self_signed(&["localhost"], authority);
        let trust = Tls::trusting(&identity.chain);
        assert_eq!(meet(&identity, &trust, "localhost"), ("connect 0 ".into(), "trusted".into()));
        assert_eq!(meet(&identity, &trust, "example.org").1, "principalMismatch");
        let other = self_signed(&["localhost"], authority);
        assert_ne!(meet(&other, &trust, "localhost").1, "trusted");
    }
}

#[test]
fn a_link_that_the_server_does_not_send_can_be_added() {
    let root = Authority::new("root");
    let middle = root.issue_authority("middle");
    let identity = middle.issue(&["localhost"]);
    let trust = Tls::trusting(&root.certificate);
    assert_eq!(meet(&identity, &trust, "localhost").1, "untrustedSigners");
    ok(trust.add(middle.certificate.as_bytes(), false));
    assert_eq!(meet(&identity, &trust, "localhost").1, "trusted");
    // It is no authority for that: without the root it leads nowhere.
    let only_link = Tls::new();
    ok(only_link.add(middle.certificate.as_bytes(), false));
    assert_eq!(meet(&identity, &only_link, "localhost").1, "untrustedSigners");
}

#[test]
fn a_server_asks_clients_for_a_certificate_and_lets_in_who_has_one() {
    let (authority, identity) = localhost();
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let of = |identity: &Identity| {
        let tls = Tls::of(identity);
        ok(tls.add(authority.certificate.as_bytes(), true));
        tls
    };
    for (asked, version) in [(1, 12), (1, 13), (2, 12), (2, 13)] {
        let tls = Tls::of(&identity);
        ok(tls.add(clients.certificate.as_bytes(), true));
        let echo = EchoServer::with(tls, |server| {
            ok(ss_set_option(server.object(), SS_OPT_CLIENT_CERTIFICATE, asked));
        });
        let mine = clients.issue(&["somebody"]);
        let ask = |trust: &Tls| {
            let client = Client::new(&echo.events, trust, None);
            ok(ss_set_option(client.socket.object(), SS_OPT_TLS_MIN_VERSION, version));
            client.connect(c"127.0.0.1", echo.port());
            let heard = || echo.log.entries().into_iter().find(|entry| !entry.starts_with("close"));
            echo.events.pump_until(|| heard().is_some());
            let heard = heard().expect("it was heard");
            echo.log.take();
            if heard.starts_with("connect") {
                client.settle(&echo.events);
                assert_eq!(client.ask(&echo.events, b"in"), b"in");
                let socket = *echo.accepted.borrow().last().expect("it is there");
                return (heard, socket.certificate(0));
            }
            (heard, None)
        };
        let (heard, certificate) = ask(&of(&mine));
        assert_eq!((heard.as_str(), certificate), ("connect 13 None None trusted", Some(mine.der.clone())));
        let (heard, _) = ask(&of(&strangers.issue(&["somebody"])));
        assert!(heard.starts_with("handshakeError"), "{heard}");
        let (heard, _) = ask(&Tls::trusting(&authority.certificate));
        match asked {
            1 => assert_eq!(heard, "connect 13 None None unknown"),
            _ => assert!(heard.contains("has shown no certificate"), "{heard}"),
        }
    }
}
