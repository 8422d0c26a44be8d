// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection's TLS: sealed bytes go in and plain ones come out, and the other way round. It reads and writes nothing itself.
//!
//! It keeps no buffers but of what is incomplete: the beginning of a record that has not come whole, and what was written
//! in the listener that is running.

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error, ProtocolVersion};

use super::context::Context;
use super::fault::Fault;
use super::secured::Secured;
use super::seen;
use crate::inject;
use crate::memory;
use crate::options::Options;
use crate::reactor::Scratch;

/// What is sealed at a time: three records, which take little more than that.
const PIECE: usize = 3 * RECORD;
/// The most that one record holds.
const RECORD: usize = 16 * 1024;
/// What a record takes besides, at most.
const EXTRA: usize = 128;

pub(crate) struct Session {
    side: Side,
    /// What has come of a record, or of a message of the handshake, that is not whole yet.
    pub held: Vec<u8>,
    /// What was opened and not handed on yet.
    pub opened: Vec<u8>,
    /// What was written and is not sealed yet.
    pub written: Vec<u8>,
    /// The handshake is done.
    done: bool,
    /// The peer has said that it ends its side.
    pub peer_ended: bool,
    /// We have.
    said_goodbye: bool,
    /// The peer has ended its side, and did not say so.
    pub truncated: bool,
    /// Why the connection cannot go on.
    pub fault: Option<Fault>,
    /// The name that the client has asked for.
    name: Option<String>,
    seen: seen::Seen,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

impl Session {
    fn new(side: Side, name: Option<String>) -> Self {
        Session {
            side,
            held: Vec::new(),
            opened: Vec::new(),
            written: Vec::new(),
            done: false,
            peer_ended: false,
            said_goodbye: false,
            truncated: false,
            fault: None,
            name,
            seen: seen::Seen::default(),
        }
    }

    pub(crate) fn server(context: &Context, options: &Options) -> Result<Self, Fault> {
        let config = context.server(options).map_err(|error| Fault::of(&error))?;
        let side = UnbufferedServerConnection::new(config).map_err(|error| Fault::of(&error))?;
        Ok(Session::new(Side::Server(side), None))
    }

    /// `name`: whose certificate the server must have.
    pub(crate) fn client(context: &Context, name: &str, options: &Options) -> Result<Self, Fault> {
        let config = context.client(options).map_err(|error| Fault::of(&error))?;
        let server = ServerName::try_from(name).map_err(|_| Fault::of_name(name))?.to_owned();
        let asked = matches!(server, ServerName::DnsName(_)).then(|| name.to_ascii_lowercase());
        let side = UnbufferedClientConnection::new(Arc::clone(&config), server).map_err(|error| Fault::of(&error))?;
        Ok(Session::new(Side::Client(side), asked))
    }

    /// Whether the name is one that a server can have.
    pub(crate) fn takes_name(name: &str) -> bool {
        ServerName::try_from(name).is_ok()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(client) => client,
            Side::Server(server) => server,
        }
    }

    /// Takes in what has come: what was held, and what is new behind it. What comes of it is given to `plain`, what is to be sent
    /// goes to `out`, and what is left is held. Returns whether the handshake is done with it.
    pub(crate) fn open(&mut self, sealed: &mut [u8], plain: &mut dyn FnMut(&[u8]), out: &mut Scratch) -> bool {
        // What a panic has left there is another connection's.
        drop(seen::take());
        let pumped = match &mut self.side {
            Side::Client(client) => pump(client, sealed, plain, out),
            Side::Server(server) => pump(server, sealed, plain, out),
        };
        inject::point();
        self.take_note();
        self.peer_ended |= pumped.peer_ended;
        self.held.clear();
        if let Some(error) = pumped.error {
            self.fault = Some(Fault::met(&error, self.done, out.bytes()));
            return false;
        }
        match sealed.get(pumped.used..) {
            Some([]) | None => self.held = Vec::new(),
            Some(rest) => {
                if memory::append(&mut self.held, rest).is_err() {
                    self.fault = Some(Fault::of_memory());
                    return false;
                }
            }
        }
        let was_done = self.done;
        self.done = !self.common().is_handshaking();
        self.done && !was_done
    }

    /// Whether tickets are all that is sent behind the peer's last word of the handshake.
    pub(crate) fn ends_with_tickets(&self) -> bool {
        matches!(&self.side, Side::Server(server) if server.protocol_version() == Some(ProtocolVersion::TLSv1_3))
    }

    fn take_note(&mut self) {
        let seen = seen::take();
        if seen.status.is_some() {
            (self.seen.chain, self.seen.status) = (seen.chain, seen.status);
        }
        if let (Some(name), Side::Server(_)) = (seen.name, &self.side) {
            self.name = Some(name);
        }
    }

    /// Seals the beginning of what is to be written, as much as is sealed at a time. Returns how much that was.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Scratch) -> Result<usize, Fault> {
        let piece = plain.get(..PIECE).unwrap_or(plain);
        self.write(Job::Seal(piece), out)?;
        Ok(piece.len())
    }

    /// Says to the peer that our side ends, once.
    pub(crate) fn say_goodbye(&mut self, out: &mut Scratch) {
        if self.done && self.fault.is_none() && !std::mem::replace(&mut self.said_goodbye, true) {
            // Without it the peer meets an end that nobody has announced.
            let _ = self.write(Job::Goodbye, out);
        }
    }

    fn write(&mut self, job: Job<'_>, out: &mut Scratch) -> Result<(), Fault> {
        if self.fault.is_some() {
            // The listeners are about to be told.
            return Ok(());
        }
        inject::point();
        match &mut self.side {
            Side::Client(client) => transmit(client, &mut self.held, job, out),
            Side::Server(server) => transmit(server, &mut self.held, job, out),
        }
    }

    /// What the handshake has found.
    pub(crate) fn secured(&self) -> Secured {
        let common = self.common();
        Secured::new(common, self.name.as_deref(), &self.seen)
    }
}

/// What both sides have in common.
trait Records {
    type Data;
    fn common(&self) -> &CommonState;
    fn process<'c, 'i>(&'c mut self, sealed: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Records for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn common(&self) -> &CommonState {
        self
    }
    fn process<'c, 'i>(&'c mut self, sealed: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(sealed)
    }
}

impl Records for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn common(&self) -> &CommonState {
        self
    }
    fn process<'c, 'i>(&'c mut self, sealed: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(sealed)
    }
}

#[derive(Default)]
struct Pumped {
    /// How many of the sealed bytes are done with.
    used: usize,
    peer_ended: bool,
    error: Option<Error>,
}

/// Works until nothing more comes of the sealed bytes.
fn pump<R: Records>(records: &mut R, sealed: &mut [u8], plain: &mut dyn FnMut(&[u8]), out: &mut Scratch) -> Pumped {
    let mut pumped = Pumped::default();
    loop {
        let rest = sealed.get_mut(pumped.used..).unwrap_or_default();
        let UnbufferedStatus { mut discard, state } = records.process(rest);
        let mut goes_on = true;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            discard += record.discard;
                            plain(record.payload);
                        }
                        Err(error) => pumped.error = Some(error),
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut encoding)) => match encode(&mut encoding, out) {
                Ok(()) => {}
                Err(error) => pumped.error = Some(error),
            },
            Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
            Ok(ConnectionState::PeerClosed) => pumped.peer_ended = true,
            Ok(_) => goes_on = false,
            Err(error) => {
                pumped.used += discard;
                pumped.error = Some(error);
                last_words(records, sealed, out);
                return pumped;
            }
        }
        pumped.used += discard;
        if !goes_on || pumped.error.is_some() {
            return pumped;
        }
    }
}

/// After an error: what the peer is to be told of it. There may be an unsent rest of the handshake before it.
fn last_words<R: Records>(records: &mut R, sealed: &mut [u8], out: &mut Scratch) {
    // As long as there is something to be sent the bytes are not looked at, which would be an error again.
    while records.common().wants_write() {
        match records.process(sealed).state {
            Ok(ConnectionState::EncodeTlsData(mut encoding)) => {
                if encode(&mut encoding, out).is_err() {
                    return;
                }
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
            _ => return,
        }
    }
}

fn encode<Data>(encoding: &mut EncodeTlsData<'_, Data>, out: &mut Scratch) -> Result<(), Error> {
    let mut room = EXTRA;
    loop {
        match encoding.encode(out.room(room).map_err(|_| no_memory())?) {
            Ok(count) => {
                out.add(count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(needed)) if needed.required_size > room => room = needed.required_size,
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}

fn no_memory() -> Error {
    Error::General("out of memory".into())
}

enum Job<'a> {
    Seal(&'a [u8]),
    Goodbye,
}

/// Writes, behind what the handshake, or a change of keys, has to send first.
fn transmit<R: Records>(records: &mut R, held: &mut [u8], job: Job<'_>, out: &mut Scratch) -> Result<(), Fault> {
    loop {
        // Nothing whole is held, so that nothing comes of it; but how far it was looked at is known by its place.
        let UnbufferedStatus { state, .. } = records.process(held);
        match state.map_err(|error| Fault::of(&error))? {
            ConnectionState::WriteTraffic(mut traffic) => return write(&mut traffic, job, out),
            ConnectionState::EncodeTlsData(mut encoding) => {
                encode(&mut encoding, out).map_err(|error| Fault::of(&error))?;
            }
            ConnectionState::TransmitTlsData(sent) => sent.done(),
            ConnectionState::PeerClosed => {}
            // Both sides have ended.
            _ => return Ok(()),
        }
    }
}

fn write<Data>(traffic: &mut WriteTraffic<'_, Data>, job: Job<'_>, out: &mut Scratch) -> Result<(), Fault> {
    let length = if let Job::Seal(plain) = &job { plain.len() } else { 0 };
    let room = out.room(length + (length / RECORD + 2) * EXTRA).map_err(|_| Fault::of(&no_memory()))?;
    let written = match job {
        Job::Seal(plain) => traffic.encrypt(plain, room),
        Job::Goodbye => traffic.queue_close_notify(room),
    };
    match written {
        Ok(count) => {
            out.add(count);
            Ok(())
        }
        Err(error) => Err(Fault::of(&Error::General(error.to_string()))),
    }
}
