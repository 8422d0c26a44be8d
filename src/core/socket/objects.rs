// SPDX-License-Identifier: MIT OR Apache-2.0
//! `readObject` and `writeObject`.

use super::SocketRef;
use crate::amf::{self, Encoding, Graph};
use crate::core::connection::find_mut;
use crate::error::Result;
use crate::reactor::CHUNK;

const _: () = assert!(amf::PIECE <= CHUNK);

impl SocketRef<'_> {
    pub(crate) fn object_encoding(&self) -> Encoding {
        self.socket.cold().map_or(Encoding::default(), |cold| cold.objects.encoding)
    }

    pub(crate) fn set_object_encoding(&mut self, encoding: Encoding) -> Result<()> {
        if encoding != self.object_encoding() {
            self.socket.make_cold()?.objects.set_encoding(encoding);
        }
        Ok(())
    }

    /// The object at the front of the unread bytes, and how many of them it takes up. Nothing is consumed yet.
    pub(crate) fn look_at_object(&mut self) -> Result<(Graph, usize)> {
        let mut input = std::mem::take(&mut self.socket.make_cold()?.objects);
        self.transport.reactor.receive_buffer.keep_account();
        // Without a connection nothing more will come, so that there is nothing to go on with.
        let start = self.position();
        let limit = self.socket.options().read_limit;
        let outcome = self.unread().and_then(|unread| input.read(start, unread, limit));
        self.socket.make_cold()?.objects = input;
        outcome
    }

    /// All of it or nothing.
    pub(crate) fn write_object(&mut self, graph: &Graph, node: u32) -> Result<()> {
        let (encoding, limit) = (self.object_encoding(), self.socket.options().write_limit);
        let (key, connection) = find_mut(&mut self.transport.connections, self.socket.connection)?;
        connection.check_unshut()?;
        let pieces = amf::write(graph, node, encoding, limit)?;
        connection.write_pieces(pieces, limit, &mut self.transport.reactor, key)
    }
}
