//! After a panic inside the library, which may have left a step half done: whatever follows from other things is worked
//! out anew, and everything is looked at again, so that nothing waits for an event that was lost.
//!
//! What the step was about may be lost: a connection that was being served is broken, and its socket is told so.

use super::{Objects, keys_of};
use crate::connection::{ErrorNumber, Inbound, Stage};
use crate::handle::Key;
use crate::sys;

impl Objects {
    /// Everything on every loop of this thread.
    pub(crate) fn recover(&mut self) {
        self.dirty = keys_of(&self.connections, |connection| connection.flags.dirty);
        for home in keys_of(&self.loops, |_| true) {
            self.recover_loop(home);
        }
    }

    fn recover_loop(&mut self, home: Key) {
        if let Some(event_loop) = self.loops.get_mut(home) {
            event_loop.reactor.forget_ready();
            event_loop.reactor.remote().rouse();
            event_loop.progress.clear();
            event_loop.active = 0;
        }
        for key in keys_of(&self.connections, |connection| connection.home() == home) {
            self.recover_connection(home, key);
        }
        for key in keys_of(&self.sockets, |socket| socket.home() == home) {
            self.recover_socket(home, key);
        }
        for key in keys_of(&self.servers, |server| server.home == home) {
            self.recover_server(home, key);
        }
    }

    fn recover_connection(&mut self, home: Key, key: Key) {
        let (Some(connection), Some(event_loop)) = (self.connections.get_mut(key), self.loops.get_mut(home)) else {
            return;
        };
        event_loop.active += 1;
        if connection.flags.progress_due {
            event_loop.progress.extend(connection.owner);
        }
        connection.flags.queued = false;
        if connection.flags.stage != Stage::Fresh {
            connection.flags.inbound = Inbound::TheEnd;
            connection.flags.full = false;
            self.continue_later(key);
        }
    }

    fn recover_socket(&mut self, home: Key, key: Key) {
        let (Some(socket), Some(event_loop)) = (self.sockets.get_mut(key), self.loops.get_mut(home)) else { return };
        event_loop.active += usize::from(socket.attempt().is_some());
        if socket.close_due || socket.attempt().is_some_and(|attempt| attempt.failed) {
            event_loop.reactor.push_ready(key);
        }
        super::connecting::arm(key, socket, &mut event_loop.reactor);
    }

    fn recover_server(&mut self, home: Key, key: Key) {
        let (Some(server), Some(event_loop)) = (self.servers.get_mut(key), self.loops.get_mut(home)) else { return };
        event_loop.active += usize::from(server.is_listening());
        server.queued = false;
        server.peers_wait = server.is_listening();
        self.resume_accepting(key);
    }

    /// The connection was being served when something went wrong: bytes may be missing, so that it must not go on.
    pub(crate) fn break_connection(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.flags.stage = Stage::Broken;
            connection.send_error = Some(ErrorNumber::new(sys::BROKEN));
            // The peer must not take it for a good end.
            connection.set_abort();
        }
    }
}
