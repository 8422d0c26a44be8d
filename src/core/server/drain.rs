// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server's end in peace: who waits is accepted, the port is given back, and the connections end in their time.

use std::time::Duration;

use super::{ServerRef, State};
use crate::core::events::EventType;
use crate::error::{Failure, Result};
use crate::inject;
use crate::sys::{self, Instant, net};

/// How long a peer's last word of the handshake may be under way.
const GRACE: Duration = Duration::from_millis(200);

impl ServerRef<'_> {
    /// `drain`: from now on it ends. A second call sets another deadline.
    pub(crate) fn drain(&mut self, milliseconds: u32) -> Result<()> {
        inject::point();
        if !self.server.is_bound() && self.server.drain.is_none() {
            return Err(Failure::cannot_close().because("the server is not open, so that there is nothing to drain"));
        }
        self.server.drain = Some(net::now() + Duration::from_millis(milliseconds.into()));
        self.server.paused = false;
        self.arm();
        self.server.share.queue(&mut self.transport.reactor);
        Ok(())
    }

    /// Gives the port back when nobody waits any more, or nobody would hear of who does. When the last
    /// connection has ended, so has the drain: returns the error that the host is told, 0 for none.
    pub(crate) fn go_on_draining(&mut self) -> Option<i32> {
        inject::point();
        self.server.drain?;
        let hears = self.server.listeners.hears(EventType::CONNECT);
        if !hears || !self.server.peers_wait && !self.waits_for_late_ones() {
            self.close_port();
        }
        let share = &self.server.share;
        let over = !self.server.is_bound() && share.open.get() == 0 && share.lingering.get() == 0;
        // The next connection that ends brings us back.
        share.wants_place.set(!over);
        if !over {
            return None;
        }
        self.server.drain = None;
        self.arm();
        Some(if self.server.overdue { sys::TIMED_OUT } else { 0 })
    }

    /// Where servers take turns at a port, whoever comes between the last look at the system's queue and the end of the
    /// listening socket would be lost. So newcomers are passed over first, and those who have begun to connect get some time.
    /// A socket that others have, too, is theirs to go on with. Returns whether that time still runs.
    fn waits_for_late_ones(&mut self) -> bool {
        let server = &mut *self.server;
        let ours = server.server_options.reuse_port && !server.shared && !sys::has_forked();
        if let (State::Listening(listener), true, false) = (&server.state, ours, server.passes_over) {
            server.passes_over = true;
            if listener.pass_over_newcomers().is_ok() {
                server.grace = Some(net::now() + GRACE);
                self.arm();
            }
        }
        self.server.grace.is_some()
    }

    /// The server's time has come: to accept again, to give the port back, or to end. Returns whether the time of its
    /// connections is over.
    pub(crate) fn expire(&mut self) -> bool {
        self.server.timer.clear();
        let now = net::now();
        if self.server.retry.is_some_and(|retry| retry <= now) {
            self.server.retry = None;
            self.resume_accepting();
        }
        if self.server.grace.is_some_and(|grace| grace <= now) {
            self.server.grace = None;
            self.server.share.queue(&mut self.transport.reactor);
        }
        let over = self.deadline().is_some_and(|deadline| deadline <= now);
        self.server.overdue |= over;
        self.arm();
        over
    }

    /// When what is left is reset, unless that has been done.
    fn deadline(&self) -> Option<Instant> {
        self.server.drain.filter(|_| !self.server.overdue)
    }

    /// Sets the server's timer to whatever comes first.
    pub(super) fn arm(&mut self) {
        let due = [self.server.retry, self.server.grace, self.deadline()].into_iter().flatten().min();
        self.transport.reactor.timers.set(self.key, &mut self.server.timer, due);
    }
}
