//! What the connections of one server have in common with it: its figures, and its limits.

use std::cell::Cell;

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
}

impl ServerShare {
    pub(crate) fn new(linger_limit: u64) -> Self {
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
        }
    }

    /// The server is looked at in this turn or the next.
    pub(crate) fn queue(&self, reactor: &mut Reactor) {
        if let (Some(key), false) = (self.key.get(), self.queued.replace(true)) {
            reactor.push_ready(key);
        }
    }

    /// One connection less.
    pub(crate) fn free_place(&self, reactor: &mut Reactor) {
        if self.wants_place.take() {
            self.queue(reactor);
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
