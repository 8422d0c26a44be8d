// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets, and the other ends of their connections.

use std::net::{TcpListener, TcpStream};

use server_socket::ss_status::{self, *};

use super::*;

/// The other end of a connection.
pub struct Peer {
    pub stream: TcpStream,
    /// Its own, kept since a torn connection has none.
    pub port: u16,
    /// Which bytes it sends, see [`pattern`].
    pub number: usize,
    pub sent: usize,
    pub got: usize,
    pub ended: bool,
    /// The systems at both ends take little for it.
    pub narrow: bool,
}

impl Peer {
    pub fn new(stream: TcpStream, number: usize) -> Peer {
        let port = stream.local_addr().expect("it is connected").port();
        Peer { stream, port, number, sent: 0, got: 0, ended: false, narrow: false }
    }
}

/// The byte at a place of a peer's stream.
pub fn pattern(number: usize, place: usize) -> u8 {
    (number.wrapping_mul(151) + place.wrapping_mul(7) + place / 251) as u8
}

pub enum State {
    Idle,
    /// Where the connection will come to. `None`: where nobody listens.
    Connecting(Option<TcpListener>),
    Connected,
    /// The peer has ended it; what is unread stays.
    Ended,
}

pub struct Socket {
    pub life: Life,
    pub home: usize,
    pub server: Option<usize>,
    pub state: State,
    pub peer: Option<Peer>,
    /// The local and the remote port, from the connection on until the next attempt to connect.
    pub ends: Option<(i32, i32)>,
    /// Of the peer's stream: how much it sent, how much came, how much was read.
    pub number: usize,
    pub arrived: usize,
    pub read: usize,
    /// What was written since it was connected.
    pub written: Vec<u8>,
    pub paused: bool,
    pub reset: bool,
    pub little_endian: bool,
    pub amf0: bool,
    pub timeout: u32,
    pub options: Options,
    pub dispatcher: Dispatcher,
    /// It has ended, and the close event has not come yet.
    pub owes_close: bool,
    /// The peer had ended its side by then.
    pub peer_ended: bool,
    /// In this turn it may end without anybody hearing of it.
    pub may_go_unheard: bool,
}

impl Socket {
    pub fn new(handle: Handle, references: u32, home: usize, options: Options) -> Socket {
        Socket {
            life: Life::new(handle, references),
            home,
            server: None,
            state: State::Idle,
            peer: None,
            ends: None,
            number: 0,
            arrived: 0,
            read: 0,
            written: Vec::new(),
            paused: false,
            reset: false,
            little_endian: false,
            amf0: false,
            timeout: 20_000,
            options,
            dispatcher: Dispatcher::default(),
            owes_close: false,
            peer_ended: false,
            may_go_unheard: false,
        }
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    pub fn unread(&self) -> usize {
        self.arrived - self.read
    }

    pub fn unread_bytes(&self) -> Vec<u8> {
        (self.read..self.arrived).map(|place| pattern(self.number, place)).collect()
    }

    /// A call that needs a connection.
    pub fn connected_status(&self) -> ss_status {
        if self.is_connected() { SS_OK } else { SS_ERR_IO }
    }

    /// A read of `length` bytes. More than the limit can never be there.
    pub fn read_status(&self, length: usize) -> ss_status {
        match (self.is_connected() || self.unread() > 0, length <= self.unread()) {
            (false, _) => SS_ERR_IO,
            (true, false) if length as i64 > self.options[READ_LIMIT] => SS_ERR_RANGE,
            (true, false) => SS_ERR_EOF,
            (true, true) => SS_OK,
        }
    }

    /// A write of `length` bytes while `pending` are unsent.
    pub fn write_status(&self, length: usize, pending: usize) -> ss_status {
        let limit = self.options[WRITE_LIMIT] as usize;
        match self.is_connected() {
            false => SS_ERR_IO,
            true if length > limit => SS_ERR_RANGE,
            true if length > 0 && pending + length > limit => SS_ERR_FULL,
            true => SS_OK,
        }
    }

    /// Whether the connection goes at once when the socket leaves it.
    pub fn leaves_at_once(&self) -> bool {
        self.options[LINGER] == 0
    }
}
