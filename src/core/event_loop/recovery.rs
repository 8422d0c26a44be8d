// SPDX-License-Identifier: MIT OR Apache-2.0
//! After a panic inside the library, which may have left a step half done: whatever follows from other things is worked
//! out anew, and everything is looked at again, so that nothing waits for an event that was lost.

use super::{Loop, keys_of};
use crate::core::connection::close::End;
use crate::core::connection::{Connection, Happening, Phase, Transport};
use crate::core::events::Events;
use crate::core::host::Due;
use crate::handle::Key;

impl Loop {
    /// Everything on this loop. `pinned` are the targets of the dispatches that the host has under way.
    pub(crate) fn recover(&mut self, pinned: &[Key], events: &mut Events, due: &mut Due) {
        self.part_strangers();
        self.transport.recover();
        let mut pinned = pinned.to_vec();
        pinned.extend(self.pinned_by_turn());
        for key in keys_of(&self.sockets) {
            self.recover_socket(key);
        }
        self.transport.active += self.timers.iter().filter(|(_, timer)| timer.is_running()).count();
        for key in keys_of(&self.servers) {
            self.recover_server(key);
        }
        for key in keys_of(&self.sockets).into_iter().chain(keys_of(&self.servers)) {
            self.let_go(key, events, due);
            let Ok(life) = self.life(key) else { continue };
            life.pins = pinned.iter().filter(|pin| **pin == key).count() as u16;
            if life.is_over() {
                self.lose(key, events, due);
            }
        }
    }

    /// A socket and its connection know each other, or neither does: what is known of keys is relied upon.
    fn part_strangers(&mut self) {
        for key in keys_of(&self.sockets) {
            let Ok(socket) = self.socket(key) else { continue };
            let connection = socket.socket.connection.and_then(|key| socket.transport.connections.get(key));
            // It had won, and was not established yet: that will not come any more.
            let was_won = |connection: &Connection| {
                connection.phase() == Phase::Connecting && connection.server.is_none() && !socket.socket.is_connecting()
            };
            let is_lost = |connection: &Connection| connection.owner != Some(key) || was_won(connection);
            if socket.socket.connection.is_some() && connection.is_none_or(is_lost) {
                socket.socket.connection = None;
                socket.socket.close_due = true;
            }
        }
        for key in keys_of(&self.transport.connections) {
            let Some(connection) = self.transport.connections.get(key) else { continue };
            let Some(owner) = connection.owner else { continue };
            let knows = self.sockets.get(owner).is_some_and(|socket| socket.knows(key));
            if !knows {
                self.transport.happen(key, Happening::Cut, End::default());
            }
        }
    }

    fn recover_socket(&mut self, key: Key) {
        let Ok(socket) = self.socket(key) else { return };
        socket.transport.active += usize::from(socket.socket.is_connecting());
        let queued = socket.socket.cold().is_some_and(|cold| cold.queued);
        if socket.socket.close_due || socket.socket.has_failed() || queued {
            socket.transport.reactor.push_ready(key);
        }
        socket.socket.arm(key, &mut socket.transport.reactor);
    }

    fn recover_server(&mut self, key: Key) {
        let Ok(mut server) = self.server(key) else { return };
        server.transport.active += usize::from(server.server.is_listening());
        server.transport.recount(server.server.share());
        server.look_again();
    }
}

impl Transport {
    /// The lists, the figures and the connections themselves.
    fn recover(&mut self) {
        self.reactor.forget_lists();
        self.reactor.remote().rouse();
        self.active = 0;
        for key in keys_of(&self.connections) {
            self.active += 1;
            if let Some(connection) = self.connections.get_mut(key) {
                connection.look_again(&mut self.reactor, key);
            }
        }
    }
}
