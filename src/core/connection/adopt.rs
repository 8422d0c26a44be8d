// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection that the host has made, or was given, and hands over.

use super::{Connection, Phase, Transport};
use crate::core::adoption::Offer;
use crate::error::{Result, of_call};
use crate::handle::Key;
use crate::options::Options;
use crate::sys::net::Stream;

impl Transport {
    /// Takes a connection over, which is open from the start. It stays the host's if this fails.
    pub(crate) fn adopt(&mut self, offer: &Offer, unix_domain: bool, owner: Key, options: &Options) -> Result<Key> {
        let entry = self.connections.vacant_entry()?;
        let key = entry.key;
        let stream = Stream::adopt(offer.take()).map_err(|error| offer.refused(&of_call("watch")(error)))?;
        let mut connection = Connection::new(stream, owner, None, Phase::Open).over(unix_domain);
        let settled = connection.apply(options, false, &mut self.refusals);
        let settled = settled.and_then(|()| self.reactor.poller.register(&mut connection.stream, key));
        if let Err(error) = settled {
            connection.stream.forget();
            return Err(offer.refused(&of_call("watch")(error)));
        }
        entry.fill(connection);
        self.active += 1;
        Ok(key)
    }
}
