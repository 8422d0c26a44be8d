// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways to an end: what a happening does to the connection, in the background where the host has closed it.

use super::phase::{Happening, Phase, Told, Wire};
use super::receive::Drained;
use super::share::{add, subtract};
use super::{Connection, ErrorNumber, Marks, Sending, ServerShare, Transport};
use crate::core::known;
use crate::handle::Key;
use crate::inject;
use crate::reactor::RECEIVE_BUFFER;
use crate::sys;
use crate::sys::net::News;

/// What is known of an end.
#[derive(Clone, Copy, Default)]
pub(crate) struct End {
    /// How long a closed socket may go on without progress, in milliseconds.
    pub linger: u32,
    /// The descriptor was taken from us, and its number may be a stranger's by now.
    pub not_ours: bool,
    /// No listener is running, to which the receive buffer is lent.
    pub may_read: bool,
}

impl Transport {
    /// Lets something happen to a connection, by the table of phases. Returns what the host is to be told.
    pub(crate) fn happen(&mut self, key: Key, happening: Happening, end: End) -> Told {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return Told::Nothing };
        self.reactor.send_buffer.answering = None;
        connection.take_gathered(&mut self.reactor, key);
        if !connection.sending.goes_on() {
            connection.prepare_for(happening, &mut self.reactor, key);
        }
        let before = connection.phase;
        let transition = before.after(happening, connection.owed());
        match transition.wire {
            Wire::Nothing => {}
            Wire::Fin => {
                if let Err(error) = connection.stream.shutdown_write() {
                    if transition.phase.is_none_or(Phase::lingers) {
                        self.drop_connection(key, end.not_ours);
                        return transition.told;
                    }
                    // It is broken, and the listeners hear of that next.
                    connection.meet_broken(&error, &mut self.reactor, key);
                }
            }
            Wire::Close => self.drop_connection(key, end.not_ours),
            Wire::Reset => {
                connection.stream.reset();
                self.drop_connection(key, end.not_ours);
            }
        }
        match transition.phase {
            Some(phase) if phase != before => self.enter(key, phase, end),
            _ => {}
        }
        transition.told
    }

    fn enter(&mut self, key: Key, phase: Phase, end: End) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let registered = connection.phase != Phase::Accepted || connection.watch(&mut self.reactor, key);
        let before = std::mem::replace(&mut connection.phase, phase);
        if !phase.lingers() {
            return connection.end_side(&mut self.reactor, key);
        }
        if !before.lingers() {
            connection.owner = None;
            connection.mark(Marks::PROGRESS_DUE, false);
            connection.mark(Marks::WANTS_PROGRESS, false);
            connection.mark(Marks::PAUSED, false);
            let server = connection.server.clone();
            if let Some(server) = &server {
                subtract(&server.open, 1);
                add(&server.lingering, 1);
                add(&server.lingering_bytes, connection.pending() as u64);
                server.free_place(&mut self.reactor);
            }
            let timed = connection.begin_linger(end.linger, &mut self.reactor, key);
            if !registered || timed.is_err() {
                self.happen(key, Happening::Cut, end);
                return;
            }
            if let Some(server) = server {
                self.keep_lingering_bounded(&server);
            }
        }
        self.wind_up(key, end.may_read);
    }

    /// Does what can be done now for a connection whose socket is closed.
    pub(crate) fn wind_up(&mut self, key: Key, may_read: bool) {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.flush(&mut self.reactor, key);
        let end = End { may_read, ..End::default() };
        if connection.send_error().is_some() {
            self.happen(key, Happening::Failed, end);
            return;
        }
        if connection.output.is_empty() && connection.phase != Phase::Draining {
            // Comes back here in the phase of draining, if there is one.
            self.happen(key, Happening::AllSent, end);
            return;
        }
        if may_read && connection.has_inbound() {
            let happening = match connection.drain(self.reactor.receive_buffer.room(RECEIVE_BUFFER)) {
                Drained::Some => None,
                Drained::TheEnd => Some(Happening::PeerEnded),
                Drained::Failed => Some(Happening::Failed),
                Drained::TooMuch if connection.phase == Phase::Draining => Some(Happening::TimedOut),
                Drained::TooMuch => None,
            };
            if let Some(happening) = happening {
                self.happen(key, happening, end);
            }
        }
        self.go_on_later(key);
    }

    /// What is left to be done for one that lingers is done in the next turn, unless it waits for the system.
    fn go_on_later(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is(Marks::STARVED) {
            return self.rest_if_starved(key);
        }
        if connection.has_inbound() || (connection.pending() > 0 && !connection.full) {
            connection.queue(&mut self.reactor, key);
        }
    }

    /// Closes the descriptor and gives back what was held.
    fn drop_connection(&mut self, key: Key, not_ours: bool) {
        inject::point();
        let Some(mut connection) = self.connections.remove(key) else { return };
        self.active -= 1;
        known::forget(connection.raw());
        self.settle_accounts(&connection);
        connection.disarm(&mut self.reactor, key);
        if connection.dirty {
            self.reactor.drop_dirty(key);
        }
        connection.drop_output(&mut self.reactor.pool);
        if not_ours {
            return connection.stream.forget();
        }
        if sys::has_forked() {
            // A child may hold a copy of the descriptor: it would keep its place in the poll set, and the connection
            // open. After a reset there is nothing to end any more, and this changes nothing.
            self.reactor.poller.deregister(&mut connection.stream);
            let _ = connection.stream.shutdown_write();
        }
        connection.stream.close();
    }

    /// The figures of the server that accepted it.
    fn settle_accounts(&mut self, connection: &Connection) {
        let Some(server) = &connection.server else { return };
        add(&server.bytes_out, connection.sent);
        if connection.phase.lingers() {
            subtract(&server.lingering, 1);
            subtract(&server.lingering_bytes, connection.pending() as u64);
        } else {
            subtract(&server.open, 1);
        }
        server.free_place(&mut self.reactor);
    }

    /// The connections that a server has accepted.
    pub(crate) fn connections_of(&self, server: &ServerShare) -> Vec<Key> {
        self.connections
            .iter()
            .filter(|(_, connection)| connection.was_accepted_by(server))
            .map(|(key, _)| key)
            .collect()
    }

    /// Its server's time is over. If the connection is an open socket's, the listeners are told when its turn comes.
    pub(crate) fn evict(&mut self, key: Key) {
        match self.connections.get_mut(key) {
            Some(connection) if connection.owner.is_some() => {
                connection.mark(Marks::GIVEN_UP, true);
                connection.fail(ErrorNumber::new(sys::TIMED_OUT), &mut self.reactor, key);
            }
            _ => {
                self.happen(key, Happening::Cut, End::default());
            }
        }
    }

    /// What was written is handed to the system, as far as it takes it, before the loop ends; what it does not take is
    /// lost, and the peer sees a reset.
    pub(crate) fn end_all(&mut self) {
        let mut place = 0;
        while let Some(key) = self.connections.walk(&mut place) {
            self.flush(key);
            self.happen(key, Happening::Cut, End::default());
        }
    }

    /// A fault of the library's own has left the connection half served: bytes may be missing, so that it must not go on,
    /// and the peer must not take it for a good end.
    pub(crate) fn break_connection(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.mark(Marks::GIVEN_UP, true);
            connection.inbound = News::Broken;
            connection.sending = Sending::failed(ErrorNumber::new(sys::BROKEN));
        }
    }
}
