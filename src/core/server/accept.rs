// SPDX-License-Identifier: MIT OR Apache-2.0
//! How peers come in.

use std::io;
use std::net::SocketAddr;

use super::{ServerRef, State};
use crate::core::connection::{Connection, Phase};
use crate::core::events::EventType;
use crate::core::socket::Socket;
use crate::error::Result;
use crate::handle::{Key, Table};
use crate::inject;
use crate::reactor::BACK_OFF;
use crate::sys::net::{self, Stream};
use crate::sys::{self, AcceptError};

/// What came of one attempt to accept.
pub(crate) enum Accepted {
    /// A peer is connected; its socket waits for the connect event.
    Peer(Key),
    /// A peer of a secure server, whose handshake is to begin; its socket is nobody's yet.
    Stranger(Key),
    /// This attempt brought nobody, but the next one may.
    Nobody(Option<io::Error>),
    /// Peers may wait, and nobody listens for them.
    Unheard,
    /// Nothing more to do now.
    Done,
    /// The system has no descriptors or memory, or forbids it: accepting rests, and peers wait.
    NotNow(io::Error),
    /// The operating system has closed the server.
    Lost(io::Error),
}

impl ServerRef<'_> {
    /// Something that kept the server from accepting is gone.
    pub(crate) fn resume_accepting(&mut self) {
        inject::point();
        if !self.server.peers_wait {
            return;
        }
        if self.is_full() {
            // The next connection that ends brings us back.
            self.server.share.wants_place.set(true);
        } else if self.may_accept() {
            self.server.share.queue(&mut self.transport.reactor);
        }
    }

    /// After a panic: peers may wait.
    pub(crate) fn look_again(&mut self) {
        self.server.peers_wait = self.server.is_listening();
        if self.server.is_draining() {
            return self.server.share.queue(&mut self.transport.reactor);
        }
        self.resume_accepting();
    }

    fn may_accept(&self) -> bool {
        self.server.is_listening() && self.server.retry.is_none() && !self.server.paused && !self.is_full()
    }

    /// Whether as many connections are open as may be. Those that linger give way.
    fn is_full(&self) -> bool {
        let limit = u64::from(self.server.server_options.max_connections);
        limit > 0 && self.server.share.open.get() >= limit
    }

    /// Takes one peer out of the system's queue, unless nobody would hear of it.
    #[inline]
    pub(crate) fn accept(&mut self, sockets: &mut Table<Socket>) -> Accepted {
        inject::point();
        // At one that is bound and does not listen nobody waits.
        self.server.peers_wait = self.server.is_listening();
        if self.is_full() {
            self.server.share.wants_place.set(true);
        }
        if !self.may_accept() {
            return Accepted::Done;
        }
        let phase = if self.server.tls.is_none() { Phase::Accepted } else { Phase::Connecting };
        if !self.server.listeners.hears(EventType::CONNECT) {
            return Accepted::Unheard;
        }
        let outcome = match &self.server.state {
            State::Listening(listener) => listener.accept(),
            _ => return Accepted::Done,
        };
        let error = match outcome {
            Ok((stream, remote)) => {
                self.make_place();
                return match self.welcome(sockets, stream, remote, phase) {
                    Ok(socket) if phase == Phase::Accepted => Accepted::Peer(socket),
                    Ok(socket) => Accepted::Stranger(socket),
                    Err(_) => {
                        // No memory for it: the peer sees its connection closed.
                        count(&self.server.share.refused);
                        Accepted::Nobody(None)
                    }
                };
            }
            Err(error) => error,
        };
        match sys::accept_error(&error) {
            AcceptError::Drained => {
                self.server.peers_wait = false;
                Accepted::Done
            }
            AcceptError::Next => Accepted::Nobody(Some(error)),
            AcceptError::NotNow => Accepted::NotNow(error),
            AcceptError::Fatal => Accepted::Lost(error),
        }
    }

    /// A new peer takes the place of a connection whose socket is closed and that lingers, if there are too many.
    fn make_place(&mut self) {
        let limit = u64::from(self.server.server_options.max_connections);
        let share = &self.server.share;
        while limit > 0 && share.lingering.get() > 0 && share.open.get() + share.lingering.get() >= limit {
            if !self.transport.cut_longest_lingering(share) {
                return;
            }
        }
    }

    /// It is closed: nobody will hear of those whose handshakes are under way.
    pub(super) fn give_up_handshakes(&mut self) {
        for key in self.transport.connections_of(&self.server.share) {
            let connection = self.transport.connections.get(key);
            if connection.is_some_and(|connection| connection.phase() == Phase::Connecting) {
                self.transport.evict(key);
            }
        }
    }

    /// Accepting rests for a while, and peers wait in the system's queue. Returns the end of the warning, if it is time for one.
    pub(crate) fn back_off(&mut self) -> Option<String> {
        count(&self.server.share.accept_deferred);
        let now = net::now();
        self.server.retry = Some(now + BACK_OFF);
        self.arm();
        self.server.rests.admit(now)
    }

    /// Makes the socket of an accepted connection: alive through the connect event, and longer if it is retained.
    fn welcome(
        &mut self,
        sockets: &mut Table<Socket>,
        stream: Stream,
        remote: Option<SocketAddr>,
        phase: Phase,
    ) -> Result<Key> {
        let config = self.server.config()?;
        let share = &self.server.share;
        let entry = sockets.vacant_entry()?;
        let key = entry.key;
        let connection = Connection::new(stream, key, Some(share.clone()), phase);
        let mut connection = connection.over(remote.is_none());
        // A peer that is gone already makes this fail; its end is met when reading.
        let _ = connection.apply(&self.server.options, sys::INHERITS_SETTINGS, &mut self.transport.refusals);
        let connection = self.transport.add(connection)?;
        entry.fill(Socket::accepted(config, remote, connection).inspect_err(|_| self.transport.discard(connection))?);
        count(&share.accepted);
        count(&share.open);
        Ok(key)
    }
}

fn count(figure: &std::cell::Cell<u64>) {
    figure.set(figure.get() + 1);
}
