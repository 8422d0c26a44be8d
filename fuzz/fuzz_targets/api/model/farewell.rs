// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that their sockets have left.

use super::{Peer, Socket};

/// So many bytes the system takes for a connection that is not narrow, whatever the peer does.
pub const SYSTEM_TAKES: usize = 4096;

/// A connection that its socket has left, while written bytes are still to come to the peer.
pub struct Farewell {
    pub peer: Peer,
    pub home: usize,
    /// The server that accepted it.
    pub server: Option<usize>,
    pub written: Vec<u8>,
    /// All of it must come.
    pub whole: bool,
    pub reset: Reset,
}

/// Whether the peer may see a reset. In any case an end that is none means that everything has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reset {
    /// Only if nothing was written.
    No,
    Maybe,
    Yes,
}

impl Farewell {
    pub fn new(socket: &mut Socket, peer: Peer) -> Farewell {
        let written = std::mem::take(&mut socket.written);
        let at_once = socket.leaves_at_once();
        let torn = socket.is_torn();
        let is_sent = !peer.narrow && written.len() <= SYSTEM_TAKES;
        let whole = !torn && (!at_once || is_sent);
        let reset = if torn || at_once { Reset::Maybe } else { Reset::No };
        Farewell { peer, home: socket.home, server: socket.server, written, whole, reset }
    }

    /// It may be cut at any time from now on.
    pub fn may_be_cut(&mut self) {
        self.whole = false;
        if self.reset == Reset::No {
            self.reset = Reset::Maybe;
        }
    }
}
