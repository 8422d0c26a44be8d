// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other implementations: OpenSSL's programs, curl, GnuTLS, Python.
#![cfg(unix)]

use crate::certificates::{Authority, Files};
use crate::fixture::*;
use server_socket::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use support::harness::have_tool;
use support::*;

fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    if !found {
        skipped("openssl is not installed");
    }
    found
}

#[test]
fn openssl_talks_to_a_server_in_both_versions() {
    if !has_openssl() {
        return;
    }
    let (authority, identity) = localhost();
    let files = Files::new("s_client");
    let ca = files.put("ca.pem", &authority.certificate);
    let echo = EchoServer::new(Tls::of(&identity));
    ok(echo.tls.protocols(c"h2,http/1.1"));
    for (option, version) in [("-tls1_2", 12), ("-tls1_3", 13)] {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-verify_return_error",
            "-servername",
            "localhost",
            "-alpn",
            "http/1.1",
            option,
        ]);
        command.args(["-CAfile", &ca, "-connect", &format!("127.0.0.1:{}", echo.port())]);
        let output = echo.serve(&mut command, b"hello\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{}", String::from_utf8_lossy(&output.stderr));
        let heard = echo.log.take();
        assert_eq!(heard[0], format!(r#"connect {version} Some("localhost") Some("http/1.1") unknown"#));
        echo.events.pump_until(|| echo.server.figures().open == 0);
    }
}

#[test]
fn openssl_is_refused_below_the_oldest_version_and_renegotiation_is() {
    if !has_openssl() {
        return;
    }
    let (_, identity) = localhost();
    let echo = EchoServer::with(Tls::of(&identity), |server| {
        ok(ss_set_option(server.object(), SS_OPT_TLS_MIN_VERSION, 13));
    });
    let connect = format!("127.0.0.1:{}", echo.port());
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-connect", &connect]);
    assert!(!echo.serve(&mut command, b"").status.success());
    echo.events.pump_until(|| echo.log.len() == 1);
    assert!(echo.log.take()[0].starts_with("handshakeError"));

    let echo = EchoServer::new(Tls::of(&identity));
    let connect = format!("127.0.0.1:{}", echo.port());
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-legacy_renegotiation", "-connect", &connect]);
    // R asks for it.
    let output = echo.serve(&mut command, b"R\n");
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("RENEGOTIATING"), "{told}");
    assert!(told.contains("no renegotiation") || !output.status.success(), "{told}");
}

#[test]
fn a_session_is_resumed_in_both_versions_across_servers_that_share_a_secret() {
    if !has_openssl() {
        return;
    }
    let (authority, identity) = localhost();
    let files = Files::new("resume");
    let ca = files.put("ca.pem", &authority.certificate);
    let session = files.path().join("session").to_str().expect("plain").to_owned();
    let secret = [7; 48];
    for option in ["-tls1_2", "-tls1_3"] {
        let with_secret = |secret: Option<&[u8]>| {
            let tls = Tls::of(&identity);
            ok(tls.ticket_secret(secret));
            EchoServer::new(tls)
        };
        let ask = |echo: &EchoServer, how: &str| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-CAfile", &ca, "-servername", "localhost", option, how, &session]);
            command.args(["-connect", &format!("127.0.0.1:{}", echo.port())]);
            let output = echo.serve(&mut command, b"x\n");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let (first, second, other) =
            (with_secret(Some(&secret)), with_secret(Some(&secret)), with_secret(Some(&[8; 48])));
        assert!(ask(&first, "-sess_out").contains("New, TLS"), "{option}");
        assert!(ask(&second, "-sess_in").contains("Reused, TLS"), "{option}: at another server with the secret");
        assert!(ask(&other, "-sess_in").contains("New, TLS"), "{option}: and not without it");
        // After a change the one before still opens.
        ok(first.tls.ticket_secret(Some(&[9; 48])));
        assert!(ask(&first, "-sess_in").contains("Reused, TLS"), "{option}: after a change");
        ok(first.tls.ticket_secret(None));
        assert!(ask(&first, "-sess_in").contains("New, TLS"), "{option}: and not without tickets");
    }
}

#[test]
fn openssl_is_talked_to_by_a_client() {
    if !has_openssl() {
        return;
    }
    let (authority, identity) = localhost();
    let files = Files::new("s_server");
    let (chain, key) = (files.put("chain.pem", &identity.chain), files.put("key.pem", &identity.key));
    for (option, version) in [("-tls1_2", 12), ("-tls1_3", 13)] {
        let port = free_port();
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-rev",
            option,
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            &chain,
            "-key",
            &key,
        ]);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut other = Other(child);
        let mut lines = BufReader::new(other.0.stdout.take().expect("piped")).lines();
        while lines.next().expect("it says ACCEPT").expect("text") != "ACCEPT" {}
        let events = Loop::new();
        let client = Client::new(&events, &Tls::trusting(&authority.certificate), None);
        client.connect(c"127.0.0.1", port);
        assert_eq!(client.settle(&events), "connect 0 ");
        assert_eq!(client.ask(&events, b"hello\n"), b"olleh\n");
        assert_eq!((client.socket.version(), client.socket.status().as_str()), (version, "trusted"));
        drop(lines);
    }
}

#[test]
fn curl_gets_a_page() {
    if !have_tool("curl") {
        return;
    }
    let (authority, identity) = localhost();
    let files = Files::new("curl");
    let ca = files.put("ca.pem", &authority.certificate);
    let events = Loop::new();
    let server = Server::listening(&events);
    let tls = Tls::of(&identity);
    ok(tls.protocols(c"http/1.1"));
    ok(tls.secure(&server));
    let page = pattern(300_000);
    on(&server, CONNECT, {
        let page = page.clone();
        move |event| {
            let socket = event.socket();
            ok(ss_socket_keep(socket.0));
            let page = page.clone();
            on(socket, SOCKET_DATA, move |_| {
                if socket.read_all().ends_with(b"\r\n\r\n") {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
                    ok(socket.write(head.as_bytes()));
                    ok(socket.write(&page));
                    ok(socket.close());
                }
            });
        }
    });
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "--cacert", &ca, &format!("https://localhost:{}/", server.port())]);
    let output = run(&events, &mut command, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_same_bytes(&output.stdout, &page);
}

#[test]
fn gnutls_talks_to_a_server() {
    if !have_tool("gnutls-cli") {
        return;
    }
    let (authority, identity) = localhost();
    let files = Files::new("gnutls");
    let ca = files.put("ca.pem", &authority.certificate);
    let echo = EchoServer::new(Tls::of(&identity));
    for priority in ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] {
        let mut command = Command::new("gnutls-cli");
        command.args(["--x509cafile", &ca, "--priority", priority, "-p", &echo.port().to_string(), "localhost"]);
        let output = echo.serve(&mut command, b"hello\n");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("The certificate is trusted") && told.contains("\nhello\n"), "{told}");
    }
}

const PYTHON: &str = r#"
import socket, ssl, sys
port, ca, chain, key = int(sys.argv[1]), *sys.argv[2:5]
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols(["x", "h2"])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        secure = context.wrap_socket(plain, server_hostname="localhost")
        assert secure.selected_alpn_protocol() == "h2", secure.selected_alpn_protocol()
        sent = bytes(range(256)) * 4096
        secure.sendall(sent)
        got = b""
        while len(got) < len(sent):
            got += secure.recv(65536)
        assert got == sent
        secure.unwrap()  # close_notify, and waits for the answer to it
print("all is well")
"#;

#[test]
fn python_talks_to_a_server_and_both_say_goodbye() {
    if !have_tool("python3") {
        return;
    }
    let (authority, identity) = localhost();
    let clients = Authority::new("clients");
    let client = clients.issue(&["somebody"]);
    let files = Files::new("python");
    let arguments = [
        files.put("ca.pem", &authority.certificate),
        files.put("chain.pem", &client.chain),
        files.put("key.pem", &client.key),
    ];
    let tls = Tls::of(&identity);
    ok(tls.protocols(c"h2"));
    ok(tls.add(clients.certificate.as_bytes(), true));
    let echo = EchoServer::with(tls, |server| {
        ok(ss_set_option(server.object(), SS_OPT_CLIENT_CERTIFICATE, 2));
    });
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON, &echo.port().to_string()]).args(&arguments);
    let output = echo.serve(&mut command, b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all is well\n", "{}", String::from_utf8_lossy(&output.stderr));
    echo.events.pump_until(|| echo.log.count("close 0") == 2);
}
