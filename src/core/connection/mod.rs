// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport under a socket: one TCP connection.
//!
//! `phase` is its life as a table, `send` and `receive` are its two directions, `timing` its clocks, `settings` its socket
//! options, `close` its ways to an end, `give_way` that of connections in others' way. All of them work on a [`Transport`]: the connections of one loop, and the reactor that serves them.
//!
//! A connection outlives its socket: when a socket is closed, what was written is still sent, in the background.

mod adopt;
pub(crate) mod close;
mod flags;
mod give_way;
pub(crate) mod phase;
pub(crate) mod receive;
mod rare;
pub(crate) mod secure;
pub(crate) mod send;
pub(crate) mod settings;
mod share;
pub(crate) mod timing;

use std::io;
use std::rc::Rc;

pub(crate) use flags::{ErrorNumber, Marks};
use flags::{Line, Sending};
pub(crate) use phase::{Happening, Phase};
use rare::Rare;
use settings::Refusals;
pub(crate) use share::{Notes, ServerShare};

use crate::address::Ends;
use crate::core::events::EventType;
use crate::core::events::listeners::Listeners;
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind, Object, Table};
use crate::reactor::{Output, Reactor};
use crate::sys;
use crate::sys::net::{News, Ready, Stream};

/// The connections of one loop, and what serves them.
pub(crate) struct Transport {
    pub reactor: Reactor,
    pub connections: Table<Connection>,
    /// Listening servers, open connections and attempts: what can still bring an event.
    pub active: usize,
    pub refusals: Refusals,
    /// One of the sockets was kept: those that have ended are to be let go of.
    pub keeps: bool,
}

pub(crate) struct Connection {
    stream: Stream,
    sending: Sending,
    phase: Phase,
    /// What the system may have for us.
    pub inbound: News,
    /// The peer's end was met: what announces it again is no news.
    ended: bool,
    line: Line,
    /// It is in the list of those that have something to send when the listener ends.
    dirty: bool,
    /// The system refused bytes; it will tell when it takes more.
    full: bool,
    /// It is a Unix-domain socket's.
    unix_domain: bool,
    marks: Marks,
    /// The socket it belongs to; `None` when that was closed and only the output is still to be sent.
    pub owner: Option<Key>,
    /// The server that accepted it.
    pub server: Option<Rc<ServerShare>>,
    output: Output,
    /// Bytes handed to the system so far.
    pub sent: u64,
    rare: Option<Box<Rare>>,
}

impl Object for Connection {
    const KIND: Kind = Kind::Connection;
}

impl Connection {
    pub(crate) fn new(stream: Stream, owner: Key, server: Option<Rc<ServerShare>>, phase: Phase) -> Self {
        Connection {
            stream,
            sending: Sending::GOES_ON,
            phase,
            inbound: News::Nothing,
            ended: false,
            line: Line::OUT,
            dirty: false,
            full: false,
            unix_domain: false,
            marks: Marks(0),
            owner: Some(owner),
            server,
            output: Output::default(),
            sent: 0,
            rare: None,
        }
    }

    /// Whether it is a Unix-domain socket's.
    pub(crate) fn over(self, unix_domain: bool) -> Self {
        Connection { unix_domain, ..self }
    }

    pub(crate) fn is_unix_domain(&self) -> bool {
        self.unix_domain
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    #[inline]
    pub(crate) fn is(&self, mark: Marks) -> bool {
        self.marks.0 & mark.0 != 0
    }

    #[inline]
    pub(crate) fn mark(&mut self, mark: Marks, yes: bool) {
        self.marks.0 = if yes { self.marks.0 | mark.0 } else { self.marks.0 & !mark.0 };
    }

    /// The system may have bytes for us, or an end.
    #[inline]
    pub(crate) fn has_inbound(&self) -> bool {
        self.inbound != News::Nothing
    }

    /// Its socket, if nothing is to be done for it but receive.
    #[inline]
    pub(crate) fn owner_that_only_receives(&self) -> Option<Key> {
        self.owner.filter(|_| self.phase == Phase::Open && self.output.is_empty() && self.line == Line::OUT)
    }

    /// Takes note of what the poller says.
    #[inline(always)]
    pub(crate) fn note(&mut self, ready: &Ready) {
        if ready.news > self.inbound && (!self.ended || ready.news == News::Broken) {
            self.inbound = ready.news;
        }
        self.full &= !ready.writable;
    }

    fn was_accepted_by(&self, server: &ServerShare) -> bool {
        self.server.as_ref().is_some_and(|its| std::ptr::eq(&**its, server))
    }

    pub(crate) fn raw(&self) -> i64 {
        self.stream.raw()
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What the listeners' interest in outputProgress has become.
    pub(crate) fn follow(&mut self, listeners: &Listeners) {
        self.mark(Marks::WANTS_PROGRESS, listeners.hears(EventType::OUTPUT_PROGRESS));
    }

    /// How an attempt to connect stands: the two ends when it has succeeded, `None` while it is under way.
    pub(crate) fn outcome(&self) -> io::Result<Option<Ends>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if self.unix_domain {
            // Connecting it never waits.
            return Ok(Some(Ends::UnixDomain));
        }
        let remote = match self.stream.peer_addr() {
            Ok(remote) => remote,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
            Err(error) => return Err(error),
        };
        // A connect to a free port of this machine may be given that very port as its own end, and meet itself.
        let local = self.stream.local_addr()?;
        if local == remote {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Some(Ends::Addresses { local, remote }))
    }
}

impl Transport {
    pub(crate) fn new(reactor: Reactor) -> Self {
        Transport { reactor, connections: Table::new(), active: 0, refusals: Refusals::default(), keeps: false }
    }

    /// A connection comes to be.
    #[inline]
    pub(crate) fn add(&mut self, connection: Connection) -> Result<Key> {
        let key = self.connections.insert(connection)?;
        self.active += 1;
        Ok(key)
    }

    /// There was no memory for its socket.
    #[cold]
    pub(crate) fn discard(&mut self, key: Key) {
        self.connections.discard(key);
        self.active -= 1;
    }

    /// Registers an attempt with the poller.
    pub(crate) fn register(&mut self, key: Key) -> io::Result<()> {
        match self.connections.get_mut(key) {
            Some(connection) => self.reactor.poller.register(&mut connection.stream, key),
            None => Ok(()),
        }
    }

    /// Somebody has kept an accepted connection. Returns whether the poller has no room for it now.
    pub(crate) fn admit(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.known_mut(key) else { return false };
        if connection.phase != Phase::Accepted {
            return false;
        }
        connection.watch(&mut self.reactor, key);
        connection.is(Marks::STARVED)
    }

    /// The next turn goes on with this connection.
    pub(crate) fn queue(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.queue(&mut self.reactor, key);
        }
    }

    /// The rest of those connections is over for which the system had no memory.
    pub(crate) fn feed_starved(&mut self) {
        for key in self.reactor.take_starved() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.mark(Marks::STARVED, false);
            connection.full = false;
            if connection.is(Marks::UNWATCHED) {
                connection.watch(&mut self.reactor, key);
            }
            connection.queue(&mut self.reactor, key);
        }
    }

    /// There is room for unread input again: whoever may have been held back is looked at.
    pub(crate) fn read_on(&mut self) {
        let Transport { reactor, connections, .. } = self;
        reactor.looked_at_all();
        for (key, connection) in connections.iter_mut() {
            if connection.owner.is_some() {
                connection.look_for_room(reactor, key);
            }
        }
    }

    /// There was no memory for one of the loop's lists: what is to be done for connections is found by looking at each.
    pub(crate) fn make_lists_anew(&mut self) {
        let Transport { reactor, connections, .. } = self;
        reactor.forget_lists();
        for (key, connection) in connections.iter() {
            if connection.is_queued() {
                reactor.push_ready(key);
            }
            if connection.dirty {
                reactor.push_dirty(key);
            }
            if let (true, Some(owner)) = (connection.is(Marks::PROGRESS_DUE), connection.owner) {
                reactor.push_progress(owner);
            }
        }
    }

    /// The connection cannot go on. The listeners hear of it as of any that is broken, in the next turn.
    pub(crate) fn give_up(&mut self, key: Key, error: i32) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.fail(ErrorNumber::new(error), &mut self.reactor, key);
        }
    }
}

impl Connection {
    /// Registers an accepted connection with the poller. Where that has no room now it is tried again later; returns whether
    /// there is hope.
    #[inline]
    fn watch(&mut self, reactor: &mut Reactor, key: Key) -> bool {
        match reactor.poller.register(&mut self.stream, key) {
            Ok(()) => {
                self.mark(Marks::UNWATCHED, false);
                self.phase = self.phase.after(Happening::Kept, self.owed()).phase.unwrap_or(Phase::Open);
                true
            }
            Err(error) => self.go_unwatched(&error, reactor, key),
        }
    }

    #[cold]
    fn go_unwatched(&mut self, error: &io::Error, reactor: &mut Reactor, key: Key) -> bool {
        // The poller's crate would remember the attempt, and refuse another one.
        reactor.poller.deregister(&mut self.stream);
        if sys::is_exhausted(error) {
            self.mark(Marks::UNWATCHED, true);
            self.starve(reactor, key);
            return true;
        }
        // Without the poller there will be no events.
        self.fail(ErrorNumber::from(error), reactor, key);
        false
    }

    /// Its server counts that it has not come to a good end.
    pub(crate) fn count_error(&self) {
        if let Some(server) = &self.server {
            share::add(&server.errors, 1);
        }
    }

    /// Puts it on the loop's list of the ready, once.
    #[inline]
    pub(crate) fn queue(&mut self, reactor: &mut Reactor, key: Key) {
        if !self.is_queued() {
            self.line.0 |= Line::QUEUED;
            reactor.push_ready(key);
        }
    }

    #[inline]
    pub(crate) fn is_queued(&self) -> bool {
        self.line.0 & Line::QUEUED != 0
    }

    /// It has come off the list of the ready.
    #[inline]
    pub(crate) fn unqueue(&mut self) {
        self.line.0 &= !Line::QUEUED;
    }

    /// The system has no memory for it: it is tried again after a rest.
    #[cold]
    fn starve(&mut self, reactor: &mut Reactor, key: Key) {
        self.mark(Marks::STARVED, true);
        reactor.starve(key);
    }

    /// It is broken. What the peer sent before is read first, then the end is met.
    #[cold]
    fn fail(&mut self, error: ErrorNumber, reactor: &mut Reactor, key: Key) {
        reactor.send_buffer.answering = None;
        self.sending = Sending::failed(error);
        self.inbound = News::Broken;
        self.queue(reactor, key);
    }

    /// The system refuses a call, since the connection is broken: how, it says once.
    #[cold]
    fn meet_broken(&mut self, error: &io::Error, reactor: &mut Reactor, key: Key) {
        let error = self.error_behind_end().unwrap_or_else(|| ErrorNumber::from(error));
        self.fail(error, reactor, key);
    }

    /// Why a write would be in vain: sending has failed, and the listeners are about to be told.
    pub(crate) fn send_error(&self) -> Option<ErrorNumber> {
        self.sending.error()
    }
}

// After a panic.
impl Connection {
    /// What was noted may be wrong: it is looked at again.
    pub(crate) fn look_again(&mut self, reactor: &mut Reactor, key: Key) {
        if self.dirty {
            reactor.push_dirty(key);
        }
        if let (true, Some(owner)) = (self.is(Marks::PROGRESS_DUE), self.owner) {
            reactor.push_progress(owner);
        }
        self.unqueue();
        if self.phase != Phase::Accepted {
            self.inbound = self.inbound.max(News::Urgent);
            self.full = false;
            self.queue(reactor, key);
        }
    }
}

impl Transport {
    /// The figures that follow from the connections.
    pub(crate) fn recount(&self, server: &Rc<ServerShare>) {
        let its = self.connections.iter().map(|(_, connection)| connection);
        let its = its.filter(|connection| connection.server.as_ref().is_some_and(|share| Rc::ptr_eq(share, server)));
        let (lingering, open): (Vec<_>, Vec<_>) = its.partition(|connection| connection.phase.lingers());
        server.open.set(open.len() as u64);
        server.lingering.set(lingering.len() as u64);
        server.lingering_bytes.set(lingering.iter().map(|connection| connection.pending() as u64).sum());
        server.queued.set(false);
    }
}

/// The connection that a key stands for, or why there is none.
pub(crate) fn find_mut(connections: &mut Table<Connection>, key: Option<Key>) -> Result<(Key, &mut Connection)> {
    let key = key.ok_or_else(Failure::not_connected)?;
    connections.find_mut(key).map(|connection| (key, connection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Place;

    #[test]
    fn an_idle_connection_takes_little_memory() {
        // The debug build's mio keeps more in a stream.
        let mio = size_of::<Stream>() - size_of::<i32>();
        assert!(size_of::<Place<Connection>>() <= 56 + mio.next_multiple_of(8));
    }

    #[test]
    fn an_error_without_a_number_is_an_error_still() {
        let numbers = [0, 104, -1].map(|number| ErrorNumber::new(number).get());
        assert_eq!(numbers, [0, 104, -1]);
    }
}
