// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that the host hands over.

use super::SocketRef;
use crate::address::Ends;
use crate::core::adoption::Offer;
use crate::error::{Failure, Result};
use crate::inject;

impl SocketRef<'_> {
    /// Whether it can become another connection's.
    pub(crate) fn check_unconnected(&self) -> Result<()> {
        match self.socket.connection.is_some() || self.socket.is_connecting() {
            true => Err(Failure::invalid_socket().because("the socket is connected or connecting; close it first")),
            false => Ok(()),
        }
    }

    /// Takes over a connection of the host. It stays the host's if this fails. The socket is connected at once, and no event
    /// tells of it.
    pub(crate) fn adopt(&mut self, descriptor: i64) -> Result<()> {
        inject::point();
        let offer = Offer::new(descriptor)?;
        let ends = offer.ends()?;
        offer.settle()?;
        self.leave_former()?;
        self.socket.set_ends(ends)?;
        let options = *self.socket.options();
        let adopted = self.transport.adopt(&offer, matches!(ends, Ends::UnixDomain), self.key, &options);
        let key = adopted.inspect_err(|_| self.socket.forget_endpoints())?;
        self.socket.connection = Some(key);
        self.socket.begin_keep();
        self.listeners_changed();
        self.begin_time();
        Ok(())
    }
}
