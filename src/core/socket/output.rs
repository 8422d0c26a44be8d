// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a socket writes.

use super::SocketRef;
use crate::core::connection::find_mut;
use crate::error::{Failure, Result};
use crate::inject;

impl SocketRef<'_> {
    #[inline(always)]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        inject::point();
        let limit = self.socket.options().write_limit;
        let key = self.socket.connection.ok_or_else(Failure::not_connected)?;
        let connection = self.transport.connections.known_mut(key).ok_or_else(Failure::not_connected)?;
        connection.write(bytes, limit, &mut self.transport.reactor, key)
    }

    /// Bytes in several parts, `length` in all: all of them or none.
    pub(crate) fn write_all<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]> + Clone, length: usize) -> Result<()> {
        inject::point();
        let limit = self.socket.options().write_limit;
        let (key, connection) = find_mut(&mut self.transport.connections, self.socket.connection)?;
        connection.write_all(parts, length, limit, &mut self.transport.reactor, key)
    }

    /// Sends what was written, as far as the system takes it now.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let (key, _) = self.connection()?;
        self.transport.flush(key);
        Ok(())
    }

    pub(crate) fn bytes_pending(&mut self) -> usize {
        let Ok((key, connection)) = find_mut(&mut self.transport.connections, self.socket.connection) else { return 0 };
        connection.pending() + self.transport.reactor.send_buffer.length(key)
    }
}
