// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets, and the other ends of their connections.

use std::ffi::CStr;

use server_socket::ss_object_kind;
use server_socket::ss_status::{self, *};

use super::*;
use crate::ends::{Stream, Target};

/// The other end of a connection.
pub struct Peer {
    pub stream: Stream,
    /// Its own, kept since a torn connection has none.
    pub port: u16,
    /// Which bytes it sends, see [`pattern`].
    pub number: usize,
    pub sent: usize,
    pub got: usize,
    pub ended: bool,
    /// It has met the end of our side.
    pub saw_end: bool,
    /// The systems at both ends take little for it.
    pub narrow: bool,
}

impl Peer {
    pub fn new(stream: Stream, number: usize) -> Peer {
        let port = stream.port();
        Peer { stream, port, number, sent: 0, got: 0, ended: false, saw_end: false, narrow: false }
    }
}

/// The byte at a place of a peer's stream.
pub fn pattern(number: usize, place: usize) -> u8 {
    (number.wrapping_mul(151) + place.wrapping_mul(7) + place / 251) as u8
}

pub enum State {
    Idle,
    /// Where the connection will come to.
    Connecting(Target),
    Connected,
    /// The peer has ended it; what is unread stays.
    Ended,
}

/// Whether the library holds a reference of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    No,
    /// It will when the socket connects.
    FromConnect,
    Now,
    /// It has given it up if the attempt has failed, of which nobody may have heard.
    Unknown,
}

impl State {
    /// Whether a connection can be given to it. `None`: if its attempt has failed, of which nobody may have heard.
    pub fn is_free(&self) -> Option<bool> {
        match self {
            State::Connecting(Target::Nobody(_)) => None,
            State::Connecting(_) | State::Connected => Some(false),
            State::Idle | State::Ended => Some(true),
        }
    }
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
    pub keep: Keep,
    /// Its connection, or the last one, is of the Unix domain.
    pub unix: bool,
    /// Our end's address, if it is connected by TCP.
    pub local: &'static CStr,
    /// Where its connections are to come from, if that was chosen; `None` is of IPv6.
    pub local_end: Option<Option<&'static CStr>>,
    /// The host has ended our side.
    pub shut: bool,
    /// The end of the peer's side was told.
    pub deaf: bool,
    /// It was set to be half-open at some time since the peer's end, or to be not.
    pub may_be_half: bool,
    pub may_be_whole: bool,
    /// Nobody listened for the end of the peer's side, at some time since that.
    pub end_unheard: bool,
    /// Its time may be over: it can end at any time.
    pub given_up: bool,
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
            keep: Keep::No,
            unix: false,
            local: c"127.0.0.1",
            local_end: None,
            shut: false,
            deaf: false,
            may_be_half: false,
            may_be_whole: false,
            end_unheard: false,
            given_up: false,
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
        match self.is_connected() && !self.shut {
            false => SS_ERR_IO,
            true if length > limit => SS_ERR_RANGE,
            true if length > 0 && pending + length > limit => SS_ERR_FULL,
            true => SS_OK,
        }
    }

    /// Reset by the peer, or given up by the library: in any case it may have ended before its data.
    pub fn is_torn(&self) -> bool {
        self.reset || self.given_up
    }

    /// Connected, connecting, or its listeners are still to hear of the end.
    pub fn is_in_use(&self) -> bool {
        self.owes_close || matches!(self.state, State::Connecting(_) | State::Connected)
    }

    /// Whether the library holds it. While nobody else does, it may let go at any time at which its end may go unheard.
    pub fn is_kept(&self) -> bool {
        if !matches!(self.keep, Keep::Now | Keep::Unknown) {
            return false;
        }
        self.life.references > 0 || self.is_there()
    }

    pub fn is_there(&self) -> bool {
        ss_object_kind(std::ptr::without_provenance_mut(self.life.handle)) != 0
    }

    /// Its connection or attempt may be over, though nobody has heard of it.
    pub fn may_have_ended(&self) -> bool {
        match &self.state {
            State::Connecting(target) => matches!(target, Target::Nobody(_)),
            State::Connected => {
                let peer_ended = self.peer.as_ref().is_some_and(|peer| peer.ended);
                self.is_torn() || (peer_ended && self.ends_with_peer())
            }
            State::Ended => true,
            State::Idle => false,
        }
    }

    /// A connection comes to be, or an attempt at one.
    pub fn begin(&mut self, state: State, number: usize) {
        (self.state, self.number, self.reset) = (state, number, false);
        self.forget_connection();
        if self.keep == Keep::FromConnect {
            self.keep = Keep::Now;
        }
        if let (State::Connecting(Target::Nobody(_)), Keep::Now) = (&self.state, self.keep) {
            self.keep = Keep::Unknown;
        }
        self.given_up = self.options[READ_TIMEOUT] == 1;
    }

    /// What was known of a connection that is there no more.
    pub fn forget_connection(&mut self) {
        (self.shut, self.deaf, self.may_be_half, self.may_be_whole) = (false, false, false, false);
        (self.given_up, self.end_unheard) = (false, false);
    }

    /// The peer may have ended its side, or the option have changed.
    pub fn note_half_open(&mut self) {
        self.given_up |= self.options[READ_TIMEOUT] == 1 && self.is_connected();
        if self.peer.as_ref().is_some_and(|peer| peer.ended) && !self.deaf {
            let half_open = self.options[HALF_OPEN] == 1;
            (self.may_be_half, self.may_be_whole) = (self.may_be_half || half_open, self.may_be_whole || !half_open);
        }
    }

    /// Nobody may listen now.
    pub fn note_unheard(&mut self) {
        let peer_ended = self.peer.as_ref().is_some_and(|peer| peer.ended);
        self.end_unheard |= peer_ended && !self.dispatcher.hears(END);
    }

    /// Whether the connection may end now that its peer has ended its side.
    pub fn ends_with_peer(&self) -> bool {
        self.may_be_whole || self.shut
    }

    /// Whether the connection goes at once when the socket leaves it.
    pub fn leaves_at_once(&self) -> bool {
        self.options[LINGER] == 0
    }
}
