// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of what a loop owns: references, and the end.

use super::Loop;
use crate::core::events::listeners::Listeners;
use crate::core::events::{Events, Keep, Life};
use crate::core::host::{Due, UserData};
use crate::core::server::ServerRef;
use crate::core::socket::SocketRef;
use crate::error::Result;
use crate::handle::{Key, Kind};
use crate::inject;

impl Loop {
    #[inline]
    pub(crate) fn life(&mut self, object: Key) -> Result<&mut Life> {
        match object.kind() {
            Some(Kind::Server) => self.servers.find_mut(object).map(|server| &mut server.life),
            _ => self.sockets.find_mut(object).map(|socket| &mut socket.life),
        }
    }

    pub(crate) fn lives(&self, object: Key) -> bool {
        self.servers.get(object).is_some() || self.sockets.get(object).is_some()
    }

    /// Gives back the last reference to the socket whose listeners are being told, or one that is not the last. `None`: that
    /// is to be done the usual way.
    #[inline(always)]
    pub(crate) fn release_socket(&mut self, key: Key) -> Option<()> {
        let life = &mut self.sockets.get_mut(key)?.life;
        let last = life.references == 1;
        if last && self.turn.dispatch.target() != Some(key) {
            return None;
        }
        life.references = life.references.checked_sub(1)?;
        self.turn.doomed |= last;
        Some(())
    }

    /// The library lets go of a socket that it keeps, if its connection or attempt has ended and the listeners know.
    #[inline]
    pub(crate) fn let_go(&mut self, key: Key, events: &mut Events, due: &mut Due) {
        if !self.transport.keeps {
            return;
        }
        let Some(socket) = self.sockets.get_mut(key).filter(|socket| socket.life.keep != Keep::No) else { return };
        if socket.is_in_use() {
            return;
        }
        // One that a listener of its end has asked to be kept anew is kept from the next connection on, if it lives so long.
        if socket.life.keep == Keep::Now {
            socket.life.keep = Keep::No;
        }
        if socket.life.is_over() {
            self.lose(key, events, due);
        }
    }

    /// What happens to an object's references is done.
    #[inline]
    pub(crate) fn unpin(&mut self, object: Key, events: &mut Events, due: &mut Due) {
        if let Ok(life) = self.life(object) {
            life.pins = life.pins.saturating_sub(1);
            if life.is_over() {
                self.lose(object, events, due);
            }
        }
    }

    /// An object has lost its last reference. The target of the event that is being told lives on until all have heard it.
    pub(crate) fn lose(&mut self, object: Key, events: &mut Events, due: &mut Due) {
        if self.turn.dispatch.target() == Some(object) {
            self.turn.doomed = true;
        } else {
            self.destroy(object, events, due);
        }
    }

    /// The end of a server or a socket, unless it has got another reference meanwhile. What a socket has written is still
    /// sent.
    pub(super) fn destroy(&mut self, object: Key, events: &mut Events, due: &mut Due) {
        inject::point();
        match object.kind() {
            Some(Kind::Server) => {
                if self.servers.get(object).is_some_and(|server| server.life.is_over()) {
                    self.destroy_server(object, events, due);
                }
            }
            _ => self.destroy_socket(object, events, due),
        }
    }

    #[inline]
    fn destroy_socket(&mut self, key: Key, events: &mut Events, due: &mut Due) {
        let Some(socket) = self.sockets.get_mut(key).filter(|socket| socket.life.is_over()) else { return };
        SocketRef { key, socket, transport: &mut self.transport }.bury();
        let user = socket.take_user();
        settle_debts(&mut socket.listeners, user, events, due);
        self.sockets.discard(key);
    }

    pub(super) fn destroy_server(&mut self, key: Key, events: &mut Events, due: &mut Due) {
        let Some(server) = self.servers.get_mut(key) else { return };
        // One that is not open needs no closing.
        let _ = ServerRef { key, server, transport: &mut self.transport }.close();
        let user = std::mem::replace(&mut server.user, UserData::NONE);
        settle_debts(&mut server.listeners, Some(user), events, due);
        self.servers.discard(key);
    }

    /// The end of a timer: it is not called any more.
    pub(crate) fn destroy_timer(&mut self, key: Key, due: &mut Due) {
        inject::point();
        let Ok(mut timer) = self.timer(key) else { return };
        timer.stop();
        timer.timer.settle_debts(due);
        self.timers.discard(key);
    }

    /// The end of a socket whose connection is gone.
    pub(super) fn bury_socket(&mut self, key: Key, events: &mut Events, due: &mut Due) {
        let Some(socket) = self.sockets.get_mut(key) else { return };
        let user = socket.take_user();
        settle_debts(&mut socket.listeners, user, events, due);
        self.sockets.discard(key);
    }
}

/// Puts what a dead object owes to the host on the list.
#[inline]
fn settle_debts(listeners: &mut Listeners, user: Option<UserData>, events: &mut Events, due: &mut Due) {
    listeners.clear(|kind, destructor| {
        events.types.release(kind);
        due.add(destructor);
    });
    if let Some(user) = user {
        due.add(user.into_destructor());
    }
}
