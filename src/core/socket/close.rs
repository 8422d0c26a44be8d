// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways out of a connection: the host's, and the connection's own.

use super::{Socket, SocketRef};
use crate::core::connection::close::End;
use crate::core::connection::phase::Told;
use crate::core::connection::{Happening, find_mut};
use crate::core::events::Keep;
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;

impl Socket {
    /// Connected, connecting, or its listeners are still to hear of the end.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.connection.is_some() || self.is_connecting() || self.close_due
    }

    /// It connects: if it is to be kept from then on, it is.
    pub(super) fn begin_keep(&mut self) {
        if self.life.keep == Keep::FromConnect {
            self.life.keep = Keep::Now;
        }
    }
}

impl SocketRef<'_> {
    /// The library holds the socket as long as it is connected or connecting.
    pub(crate) fn keep(&mut self) {
        self.transport.keeps = true;
        self.socket.life.keep = if self.socket.is_in_use() { Keep::Now } else { Keep::FromConnect };
    }

    /// `close()`: the socket is closed from now on; what was written is still sent, in the background.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.remember_local();
        self.give_up()
    }

    fn give_up(&mut self) -> Result<()> {
        inject::point();
        let connecting = self.cancel_attempt();
        let had_unread = self.bytes_available() > 0;
        let connection = self.let_go();
        if connection.is_none() && !had_unread && !connecting {
            return Err(Failure::not_connected());
        }
        // Without a connection the peer has closed it, and with this the host says that it does not want the rest.
        self.socket.close_due = false;
        let linger = self.socket.options().linger;
        let Ok((key, connection)) = find_mut(&mut self.transport.connections, connection) else { return Ok(()) };
        let at_once = linger == 0 || connection.send_error().is_some();
        if linger == 0 {
            self.transport.flush(key);
        }
        let happening = if at_once { Happening::ClosedAtOnce } else { Happening::Closed };
        self.transport.happen(key, happening, End { linger, ..End::default() });
        Ok(())
    }

    /// `shutdown`: our side ends behind what was written, and the peer's goes on.
    pub(crate) fn shut_down(&mut self) -> Result<()> {
        inject::point();
        let (key, _) = self.connection()?;
        self.transport.flush(key);
        self.transport.happen(key, Happening::ShutDown, End::default());
        Ok(())
    }

    /// Ends the connection with RST; unsent output is dropped.
    pub(crate) fn abort(&mut self) -> Result<()> {
        inject::point();
        if self.cancel_attempt() {
            return Ok(());
        }
        self.connection()?;
        self.remember_local();
        let Some(key) = self.let_go() else { return Ok(()) };
        self.transport.happen(key, Happening::Aborted, End::default());
        Ok(())
    }

    /// The socket has no connection and no input any more.
    fn let_go(&mut self) -> Option<Key> {
        self.socket.drop_input(self.key, &mut self.transport.reactor);
        self.socket.connection.take()
    }

    /// The connection has ended by itself, or its peer has. The socket keeps what is unread, and the addresses. Returns what
    /// its listeners are to be told.
    pub(crate) fn connection_ended(&mut self, connection: Key, happening: Happening, not_ours: bool) -> Told {
        inject::point();
        self.remember_local();
        self.socket.connection = None;
        self.socket.close_due = true;
        let linger = self.socket.options().linger;
        self.transport.happen(connection, happening, End { linger, not_ours, may_read: false })
    }

    /// The object dies. What was written is still sent.
    #[inline]
    pub(crate) fn bury(&mut self) {
        if self.socket.connection.is_none() && self.socket.cold.is_none() {
            // Nearly always: its connection has ended before.
            self.socket.drop_input(self.key, &mut self.transport.reactor);
            return;
        }
        // Neither connected nor connecting: then there is nothing to give up.
        let _ = self.give_up();
    }
}
