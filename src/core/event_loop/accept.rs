// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers in a turn: they are accepted after the connections were served, each server's in its bounds.

use super::Loop;
use super::state::{After, Step, Turn};
use crate::core::connection::Notes;
use crate::core::events::{Detail, EventType, Events, Keep};
use crate::core::host::{Due, NextCall};
use crate::core::server::ServerRef;
use crate::core::server::accept::Accepted;
use crate::core::socket::SocketRef;
use crate::handle::Key;
use crate::inject;
use crate::log::{self, Level};

/// How many peers one server accepts in a turn: hundreds for a host that polls once a frame, and yet no longer
/// than a few milliseconds for the connections that wait meanwhile.
const ACCEPT_BATCH: u32 = 512;
/// So many failed accepts in a row mean trouble that trying on does not mend.
const ACCEPT_FAILURES: u32 = 64;

impl Turn {
    fn next_server(&mut self) {
        self.accepting.pop_front();
        (self.accepted, self.failures) = (0, 0);
    }
}

impl Loop {
    /// Servers are put aside: connections come before new ones.
    pub(super) fn put_aside(&mut self, server: Key) {
        if let Ok(found) = self.server(server) {
            found.server.share().queued.set(false);
        }
        if !self.turn.accepting.contains(&server) {
            self.turn.accepting.push_back(server);
        }
    }

    /// One attempt of the first server in line.
    pub(super) fn accept(&mut self, key: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Loop { servers, sockets, transport, turn, .. } = self;
        let Some(server) = servers.get_mut(key) else {
            turn.next_server();
            return Step::Again;
        };
        let mut server = ServerRef { key, server, transport };
        let socket = match server.accept(sockets) {
            Accepted::Peer(socket) => socket,
            other => {
                let drains = server.server.is_draining();
                self.accepted_nobody(key, other, due);
                if drains {
                    self.look_at_drain(key);
                }
                return Step::Again;
            }
        };
        turn.failures = 0;
        turn.accepted += 1;
        if turn.accepted == ACCEPT_BATCH {
            turn.next_server();
            server.resume_accepting();
        }
        let (detail, after) = (Detail::Connect { socket }, After::Admit { socket });
        if turn.tell(key, &server.server.listeners, EventType::CONNECT, detail, after, events, due, call) {
            return Step::Call;
        }
        self.admit(key, socket, events, due);
        Step::Again
    }

    fn accepted_nobody(&mut self, key: Key, outcome: Accepted, due: &mut Due) {
        match outcome {
            Accepted::Peer(_) => {}
            Accepted::Stranger(socket) => {
                self.turn.failures = 0;
                self.turn.accepted += 1;
                if self.turn.accepted == ACCEPT_BATCH {
                    self.turn.next_server();
                    if let Ok(mut server) = self.server(key) {
                        server.resume_accepting();
                    }
                }
                self.begin_handshake(key, socket);
            }
            Accepted::Nobody(error) => {
                self.turn.failures += 1;
                if self.turn.failures > ACCEPT_FAILURES {
                    let error = error.map_or_else(|| "no memory".into(), |error| error.to_string());
                    self.back_off(key, &format!("one peer after the other was gone, the last one with {error}"), due);
                    self.turn.next_server();
                }
            }
            Accepted::NotNow(error) => {
                self.back_off(key, &error.to_string(), due);
                self.turn.next_server();
            }
            Accepted::Lost(error) => {
                due.log(Level::Error, || format!("accept: {error}: the server is closed"));
                self.lose_server(key, &error);
                self.turn.next_server();
            }
            Accepted::Done => self.turn.next_server(),
            Accepted::Unheard => {
                self.turn.next_server();
                self.hint_at_no_listener(key, due);
            }
        }
    }

    /// Peers wait, and nobody has ever listened for them.
    fn hint_at_no_listener(&mut self, key: Key, due: &mut Due) {
        let Some(server) = self.servers.get(key) else { return };
        if server.was_heard || !log::is_set() || !server.share().notes.first_time(Notes::NO_CONNECT) {
            return;
        }
        let place = server.local().map_or_else(String::new, |local| match local.address {
            Some(address) => format!("port {}", address.port()),
            None => local.text.to_string_lossy().into_owned(),
        });
        due.log(Level::Hint, || {
            format!(
                "a peer waits at {place}, and the server has no listener for \"connect\": nobody is accepted. Add one with \
                 ss_add_listener(server, SS_EVENT_CONNECT, ...)"
            )
        });
    }

    fn back_off(&mut self, key: Key, why: &str, due: &mut Due) {
        if let Some(times) = self.server(key).ok().and_then(|mut server| server.back_off()) {
            due.log(Level::Warning, || format!("accept: {why}: peers wait, and accepting is tried again{times}"));
        }
    }

    /// The connect event is over: the socket goes to the poller if anybody kept it. It was not registered before, so that
    /// a peer which is turned away costs no system call for it.
    pub(super) fn admit(&mut self, server: Key, key: Key, events: &mut Events, due: &mut Due) {
        inject::point();
        // It is pinned until now.
        let Some(socket) = self.sockets.known_mut(key) else { return };
        let kept = socket.connection.filter(|_| socket.life.references > 0 || socket.life.keep == Keep::Now);
        let mut starved = false;
        if let Some(connection) = kept {
            starved = self.transport.admit(connection);
            SocketRef { key, socket, transport: &mut self.transport }.begin_time();
        }
        socket.life.pins = socket.life.pins.saturating_sub(1);
        let over = socket.life.is_over();
        let forgotten = kept.is_none() && socket.connection.is_some() && !socket.listeners.is_empty();
        if starved {
            // Whoever comes now would not be heard either.
            self.back_off(server, "the poller has no room", due);
        }
        if kept.is_none() {
            self.count_refused(server, forgotten, due);
        }
        if over {
            self.destroy(key, events, due);
        }
    }

    /// A peer that nobody kept, though somebody listens to it, perhaps.
    fn count_refused(&mut self, server: Key, forgotten: bool, due: &mut Due) {
        let Some(server) = self.servers.get_mut(server) else { return };
        server.count_refused();
        if forgotten && log::is_set() && server.share().notes.first_time(Notes::NOT_KEPT) {
            due.log(Level::Hint, || {
                String::from(
                    "an accepted socket got listeners, but was not retained: it is closed when its connect listeners return. \
                     Call ss_retain in the connect listener, and ss_release when the connection is over",
                )
            });
        }
    }
}
