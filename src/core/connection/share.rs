// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the connections of one server have in common with it: its figures, and its limits.

use std::cell::Cell;

use super::give_way::Candidates;
use crate::core::events::EventType;
use crate::handle::Key;
use crate::reactor::Reactor;

pub(crate) struct ServerShare {
    /// The server's key, once it has one. The server may be gone by now.
    pub key: Cell<Option<Key>>,
    pub accepted: Cell<u64>,
    /// Connections whose sockets are open.
    pub open: Cell<u64>,
    /// Connections whose sockets are closed, and that still send or wait for the peer.
    pub lingering: Cell<u64>,
    /// What those have unsent.
    pub lingering_bytes: Cell<u64>,
    /// How much that may be.
    pub linger_limit: Cell<u64>,
    pub refused: Cell<u64>,
    pub accept_deferred: Cell<u64>,
    pub bytes_in: Cell<u64>,
    /// Of connections that have ended; those that are there count their own.
    pub bytes_out: Cell<u64>,
    pub errors: Cell<u64>,
    /// Peers wait, and the server has no place for them.
    pub wants_place: Cell<bool>,
    /// It is in the loop's list of the ready.
    pub queued: Cell<bool>,
    pub unread: Unread,
    /// Those of its connections that give way first.
    pub candidates: Candidates,
    pub notes: Notes,
}

/// What the log was told of a server and its connections, or on a thread, each once.
pub(crate) struct Notes(Cell<u8>);

impl Notes {
    /// Too much is unread.
    pub(crate) const UNREAD: u8 = 1;
    /// An accepted socket has listeners, but was not kept.
    pub(crate) const NOT_KEPT: u8 = 2;
    /// Peers come, and nobody listens for them.
    pub(crate) const NO_CONNECT: u8 = 4;
    /// A socket has unread bytes, and nobody listens for them.
    pub(crate) const NO_DATA: u8 = 8;

    /// A listener of a server's for what only sockets dispatch.
    pub(crate) const SOCKETS_TYPE: u8 = 1;

    pub(crate) const fn new() -> Self {
        Notes(Cell::new(0))
    }

    /// A listener for a type that is nearly one of AIR's.
    pub(crate) fn meant(kind: EventType) -> u8 {
        2 << kind.built_in().unwrap_or_default()
    }

    /// Whether that was not noted before.
    pub(crate) fn first_time(&self, note: u8) -> bool {
        let before = self.0.replace(self.0.get() | note);
        before & note == 0
    }
}

/// The unread input of all connections of a server, and its bound.
pub(crate) struct Unread {
    bytes: Cell<u64>,
    limit: Cell<u64>,
    /// It was more than the limit, and is not much less yet.
    over: Cell<bool>,
}

impl Unread {
    fn new(limit: u64) -> Self {
        Unread { bytes: Cell::default(), limit: Cell::new(limit), over: Cell::default() }
    }

    /// Bytes were left unread.
    pub(crate) fn add(&self, count: usize) {
        add(&self.bytes, count as u64);
        self.over.set(self.over.get() || self.bytes.get() > self.limit.get());
    }

    /// Some of them are unread no more. Returns whether those that were held back may be read from again.
    pub(crate) fn subtract(&self, count: usize) -> bool {
        subtract(&self.bytes, count as u64);
        // Not for every byte: all of them are looked at then.
        let limit = self.limit.get();
        let was_over = self.over.get();
        self.over.set(was_over && self.bytes.get() > limit - limit / 8);
        was_over && !self.over.get()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit.get()
    }
}

impl ServerShare {
    pub(crate) fn new(linger_limit: u64, unread_limit: u64) -> Self {
        ServerShare {
            key: Cell::default(),
            accepted: Cell::default(),
            open: Cell::default(),
            lingering: Cell::default(),
            lingering_bytes: Cell::default(),
            linger_limit: Cell::new(linger_limit),
            refused: Cell::default(),
            accept_deferred: Cell::default(),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            errors: Cell::default(),
            wants_place: Cell::default(),
            queued: Cell::default(),
            unread: Unread::new(unread_limit),
            candidates: Candidates::default(),
            notes: Notes::new(),
        }
    }

    /// The server is looked at in this turn or the next.
    pub(crate) fn queue(&self, reactor: &mut Reactor) {
        if let (Some(key), false) = (self.key.get(), self.queued.replace(true)) {
            reactor.push_ready(key);
        }
    }

    /// There is another limit. Some of those that were held back may be read from again, also if it is exceeded still.
    pub(crate) fn set_unread_limit(&self, limit: u64, reactor: &mut Reactor) {
        let Unread { bytes, over, .. } = &self.unread;
        self.unread.limit.set(limit);
        let was_over = over.replace(bytes.get() > limit);
        match (was_over, over.get()) {
            (true, false) => reactor.push_loop(),
            (true, true) => reactor.look_at_all(),
            (false, _) => {}
        }
    }

    /// Whether a connection that holds so many unread bytes is to be read from no further: all of them together are over the
    /// limit, and it holds more than its part of a quarter of that. So those that hold the most rest first, who reads goes on,
    /// and all together they hold hardly more than a quarter beyond the limit.
    pub(crate) fn holds_back(&self, bytes: usize) -> bool {
        let part = self.unread.limit.get() / 4 / self.open.get().max(1);
        self.unread.over.get() && bytes as u64 >= part.max(1)
    }

    /// One connection less. Each of the others has a larger part of what may be unread.
    pub(crate) fn free_place(&self, reactor: &mut Reactor) {
        if self.wants_place.take() {
            self.queue(reactor);
        }
        if self.unread.is_over() {
            reactor.look_at_all();
        }
    }
}

/// Adds to a figure.
#[inline]
pub(crate) fn add(figure: &Cell<u64>, count: u64) {
    figure.set(figure.get().wrapping_add(count));
}

/// Takes from a figure.
pub(crate) fn subtract(figure: &Cell<u64>, count: u64) {
    figure.set(figure.get().saturating_sub(count));
}
