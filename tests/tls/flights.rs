// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client says, in pieces that it chooses itself.

use crate::certificates::{Authority, Identity};
use crate::fixture::*;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use support::*;

fn client_config(authority: &Authority, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).expect("PEM")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).expect("it is known");
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn client(authority: &Authority, version: &'static SupportedProtocolVersion) -> ClientConnection {
    let config = Arc::new(client_config(authority, version));
    ClientConnection::new(config, ServerName::try_from("localhost").expect("a name")).expect("a client")
}

/// Says `question` behind its last word of the handshake, and perhaps goodbye, all in one piece. Returns what it gets.
fn say_at_once(client: ClientConnection, port: u16, question: &[u8], goodbye: bool, end: bool) -> Vec<u8> {
    converse(client, port, question, goodbye, end).0
}

/// As [`say_at_once`]; returns the connection, too.
fn converse(
    mut client: ClientConnection,
    port: u16,
    question: &[u8],
    goodbye: bool,
    end: bool,
) -> (Vec<u8>, TcpStream) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    let mut said = Vec::new();
    while client.is_handshaking() {
        while client.wants_write() {
            client.write_tls(&mut said).expect("memory");
        }
        stream.write_all(&said).expect("it reads");
        said.clear();
        client.read_tls(&mut stream).expect("it answers");
        client.process_new_packets().expect("it is trusted");
    }
    client.writer().write_all(question).expect("memory");
    if goodbye {
        client.send_close_notify();
    }
    while client.wants_write() {
        client.write_tls(&mut said).expect("memory");
    }
    stream.write_all(&said).expect("it reads");
    if end {
        stream.shutdown(Shutdown::Write).expect("it is connected");
    }
    let mut answer = Vec::new();
    while answer.len() < question.len() {
        let count = client.read_tls(&mut stream).expect("it answers in time");
        client.process_new_packets().expect("it is right");
        let _ = client.reader().read_to_end(&mut answer);
        if count == 0 {
            break;
        }
    }
    (answer, stream)
}

#[test]
fn what_comes_in_one_piece_with_the_last_word_of_the_handshake_is_answered() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    for version in [&TLS13, &TLS12] {
        for (goodbye, end) in [(false, false), (true, false), (false, true), (true, true)] {
            let (client, port) = (client(&authority, version), echo.port());
            let asks = thread::spawn(move || say_at_once(client, port, b"a question", goodbye, end));
            let answer = echo.events.join(asks);
            assert_eq!(answer, b"a question", "{version:?}, close_notify {goodbye}, FIN {end}");
        }
    }
}

/// How many packets with bytes in them have come.
#[cfg(target_os = "linux")]
fn packets(stream: &TcpStream) -> u32 {
    use std::os::fd::AsRawFd;
    // tcpi_data_segs_in of struct tcp_info, which libc's crate does not have.
    const PLACE: usize = 152;
    let (mut info, mut length) = ([0_u8; 512], 512);
    let start = info.as_mut_ptr().cast();
    let known =
        unsafe { libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, start, &raw mut length) };
    assert!(known == 0 && length as usize >= PLACE + 4, "the system does not count");
    u32::from_ne_bytes(*info[PLACE..].first_chunk().expect("four bytes"))
}

#[test]
#[cfg(target_os = "linux")]
fn tickets_leave_with_the_first_answer() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    // On a machine that stands still for a fifth of a second the system lets the tickets go alone.
    let fewest = (0..5).map(|_| {
        let (client, port) = (client(&authority, &TLS13), echo.port());
        let (answer, stream) =
            echo.events.join(thread::spawn(move || converse(client, port, b"a question", false, false)));
        assert_eq!(answer, b"a question");
        packets(&stream)
    });
    // The server's side of the handshake, and the tickets with the answer.
    assert_eq!(fewest.min(), Some(2));
}

/// A client that has a ticket of another server of that name, which takes early data.
fn client_with_early_data(authority: &Authority, identity: &Identity) -> ClientConnection {
    let mut config = client_config(authority, &TLS13);
    config.enable_early_data = true;
    let config = Arc::new(config);
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13]).expect("it is known").with_no_client_auth();
    let chain = vec![CertificateDer::from(identity.der.clone())];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
    let mut other = builder.with_single_cert(chain, key).expect("they fit");
    other.max_early_data_size = 16 * 1024;
    let name = || ServerName::try_from("localhost").expect("a name");
    let mut server = ServerConnection::new(Arc::new(other)).expect("a server");
    let mut first = ClientConnection::new(config.clone(), name()).expect("a client");
    while first.wants_write() || server.wants_write() {
        let mut said = Vec::new();
        first.write_tls(&mut said).expect("memory");
        server.read_tls(&mut &said[..]).expect("memory");
        server.process_new_packets().expect("it is right");
        said.clear();
        server.write_tls(&mut said).expect("memory");
        first.read_tls(&mut &said[..]).expect("memory");
        first.process_new_packets().expect("it is right");
    }
    ClientConnection::new(config, name()).expect("a client")
}

#[test]
fn early_data_that_another_server_allowed_is_passed_over() {
    let (authority, identity) = localhost();
    let echo = EchoServer::new(Tls::of(&identity));
    for length in [10, 8_000, 16_000] {
        let mut client = client_with_early_data(&authority, &identity);
        let written = client.early_data().expect("it has a ticket").write(&vec![7; length]).expect("it is taken");
        assert_eq!(written, length);
        let port = echo.port();
        let asks = thread::spawn(move || say_at_once(client, port, b"a question", false, false));
        assert_eq!(echo.events.join(asks), b"a question", "{length} bytes of early data");
    }
}
