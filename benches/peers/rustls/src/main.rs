// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reference line for TLS: rustls over mio, one thread, edge-triggered, one receive buffer for all connections.
//!
//!     rustls echo|sink|source [port; 0 = any]
//!
//! The certificate and the key are PEM files, named by BENCH_CERTIFICATE and BENCH_KEY. What has come is read in one system call,
//! decrypted, and answered in one; what the system does not take stays with rustls, and until it has gone nothing more is read from
//! that peer.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

const READ_SIZE: usize = 256 * 1024;
/// A prime, as in pattern.h.
const PATTERN_PERIOD: usize = 65521;
const LISTENER: Token = Token(usize::MAX);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Echo,
    Sink,
    Source,
}

struct Connection {
    socket: TcpStream,
    tls: ServerConnection,
}

/// Whether the connection goes on.
type Alive = bool;

/// What all connections share.
struct Shared {
    mode: Mode,
    received: Vec<u8>,
    plain: Vec<u8>,
    pattern: Vec<u8>,
}

impl Connection {
    /// Hands what rustls has for the peer to the system, as far as it takes it.
    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The peer has ended: it is told that we do, too, as TLS has it.
    fn say_goodbye(&mut self) {
        self.tls.send_close_notify();
        let _ = self.send();
    }

    /// A source: as much as keeps the system busy.
    fn emit(&mut self, shared: &Shared) -> io::Result<()> {
        while !self.tls.is_handshaking() && !self.tls.wants_write() {
            self.tls.writer().write_all(&shared.pattern)?;
            self.send()?;
        }
        Ok(())
    }

    /// Decrypts what was received, and answers.
    fn take(&mut self, shared: &mut Shared, count: usize) -> io::Result<()> {
        let mut rest = &shared.received[..count];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest)?;
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let length = self.tls.reader().read(&mut shared.plain)?;
                left -= length;
                if shared.mode == Mode::Echo {
                    self.tls.writer().write_all(&shared.plain[..length])?;
                }
            }
        }
        Ok(())
    }

    /// has_ended: the poller says that the peer's end has come, so that a short read is not the last one.
    fn serve(&mut self, shared: &mut Shared, has_ended: bool) -> io::Result<Alive> {
        self.send()?;
        while !self.tls.wants_write() {
            let count = match self.socket.read(&mut shared.received) {
                Ok(0) => {
                    self.say_goodbye();
                    return Ok(false);
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.take(shared, count)?;
            self.send()?;
            if count < shared.received.len() && !has_ended {
                break;
            }
        }
        if shared.mode == Mode::Source {
            self.emit(shared)?;
        }
        Ok(true)
    }
}

/// The bytes that a source sends again and again, as in pattern.h.
fn pattern() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..PATTERN_PERIOD).map(|_| next()).collect()
}

fn config() -> Arc<ServerConfig> {
    let path = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("{name} names a file"));
    let chain = fs::read(path("BENCH_CERTIFICATE")).expect("the certificate can be read");
    let key = fs::read(path("BENCH_KEY")).expect("the key can be read");
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>().expect("a chain");
    let key = PrivateKeyDer::from_pem_slice(&key).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key that fits");
    config.ticketer = ring::Ticketer::new().expect("tickets");
    Arc::new(config)
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    config: &Arc<ServerConfig>,
    slots: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) {
    while let Ok((mut socket, _)) = listener.accept() {
        socket.set_nodelay(true).expect("TCP_NODELAY");
        let mut tls = ServerConnection::new(config.clone()).expect("a connection");
        tls.set_buffer_limit(None);
        let slot = free.pop().unwrap_or_else(|| {
            slots.push(None);
            slots.len() - 1
        });
        poll.registry().register(&mut socket, Token(slot), Interest::READABLE | Interest::WRITABLE).expect("epoll_ctl");
        slots[slot] = Some(Connection { socket, tls });
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = match arguments.next().as_deref() {
        Some("echo") => Mode::Echo,
        Some("sink") => Mode::Sink,
        Some("source") => Mode::Source,
        _ => panic!("usage: rustls echo|sink|source [port]"),
    };
    let port: u16 = arguments.next().map_or(0, |port| port.parse().expect("a port"));
    let mut shared = Shared { mode, received: vec![0; READ_SIZE], plain: vec![0; READ_SIZE], pattern: pattern() };
    let config = config();
    let mut poll = Poll::new().expect("a poller");
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into()).expect("a port");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("epoll_ctl");
    println!("listening on {}", listener.local_addr().expect("an address"));
    let mut slots: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        if let Err(error) = poll.poll(&mut events, None) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &config, &mut slots, &mut free);
                continue;
            }
            let slot = event.token().0;
            let Some(connection) = &mut slots[slot] else { continue };
            if !connection.serve(&mut shared, event.is_read_closed()).unwrap_or(false) {
                let _ = connection.socket.shutdown(std::net::Shutdown::Both);
                slots[slot] = None;
                free.push(slot);
            }
        }
    }
}
