// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that end: in peace, when their time is over, or since the operating system has ended them.

use std::io;

use super::Loop;
use crate::core::events::{Cause, Detail, EventType};
use crate::handle::Key;
use crate::sys;

impl Loop {
    /// A server that drains may have come further.
    #[inline(never)]
    pub(super) fn look_at_drain(&mut self, key: Key) {
        let ended = self.server(key).ok().and_then(|mut server| server.go_on_draining());
        if let Some(os_error) = ended {
            self.turn.announce(key, EventType::CLOSE, Detail::Close { os_error, cause: Cause::Drain });
        }
    }

    /// The time of a server has come.
    pub(super) fn expire_server(&mut self, key: Key) {
        if self.server(key).is_ok_and(|mut server| server.expire()) {
            self.evict(key);
        }
    }

    /// The time in which its connections were to end is over: those that are left are reset.
    fn evict(&mut self, key: Key) {
        let Ok(mut server) = self.server(key) else { return };
        server.close_port();
        let share = server.server.share().clone();
        for connection in self.transport.connections_of(&share) {
            self.transport.evict(connection);
        }
        self.look_at_drain(key);
    }

    /// The operating system, or somebody with our descriptor, has ended a listening socket.
    pub(super) fn lose_server(&mut self, key: Key, error: &io::Error) {
        let Ok(mut server) = self.server(key) else { return };
        server.lose(sys::is_not_ours(error));
        if server.server.is_draining() {
            // It goes on without its port.
            self.look_at_drain(key);
        } else {
            let detail = Detail::Close { os_error: error.raw_os_error().unwrap_or(0), cause: Cause::Accept };
            self.turn.announce(key, EventType::CLOSE, detail);
        }
    }
}
