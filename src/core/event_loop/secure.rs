// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secure connections in a turn: handshakes, so many of them that the others do not wait long, and what comes sealed.

use std::ffi::CString;
use std::time::Duration;

use super::Loop;
use super::serve::{Delivered, Place, room};
use super::state::{After, Step, Turn};
use crate::core::connection::close::End;
use crate::core::connection::receive::Received;
use crate::core::connection::{Happening, Phase};
use crate::core::events::{Cause, Detail, EventType, Events, Keep};
use crate::core::host::{Due, NextCall};
use crate::core::tls::{Fault, Session};
use crate::error::system_message;
use crate::handle::Key;
use crate::inject;
use crate::reactor::RECEIVE_BUFFER;
use crate::sys::{self, Instant, net};

/// How long a turn may spend on handshakes, of which one takes up to half a millisecond; it goes on with one at least.
const HANDSHAKE_TIME: Duration = Duration::from_millis(2);

impl Turn {
    /// Whether a handshake may go on in this turn.
    fn has_time_for_handshakes(&mut self) -> bool {
        let now = net::now();
        let end: Instant = *self.handshake_end.get_or_insert(now + HANDSHAKE_TIME);
        now < end
    }
}

impl Loop {
    /// A secure server has accepted a peer. Its socket is known to nobody until the handshake is done.
    pub(super) fn begin_handshake(&mut self, server: Key, owner: Key) {
        inject::point();
        let Loop { servers, sockets, transport, .. } = self;
        let Some(server) = servers.get_mut(server) else { return };
        let Some(key) = sockets.get(owner).and_then(|socket| socket.connection) else { return };
        let Some(context) = server.context() else { return };
        let options = *server.options();
        let begun = Session::server(&context, &options).and_then(|session| {
            let Some(connection) = transport.connections.get_mut(key) else { return Ok(()) };
            let reactor = &mut transport.reactor;
            let secured = connection.secure(session, &[], reactor, key);
            secured
                .and_then(|()| connection.begin_handshake_time(options.handshake_timeout, reactor, key))
                .map_err(|_| Fault::of_memory())?;
            let registered = transport.register(key);
            registered.map_err(|error| Fault::new(format!("watch: {error}"), error.raw_os_error().unwrap_or(0)))
        });
        if let Err(fault) = begun {
            self.fail_handshake(key, owner, &fault);
        }
    }

    /// A secure connection is ready.
    pub(super) fn receive_secure(
        &mut self,
        key: Key,
        owner: Key,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        inject::point();
        let Loop { sockets, transport, .. } = self;
        let Some(connection) = transport.connections.get_mut(key) else { return Step::Again };
        if connection.is_shaking_hands() {
            return self.shake_hands(key, owner, events, due, call);
        }
        let Some(socket) = sockets.get_mut(owner) else { return Step::Again };
        let Some(room) = room(connection, socket).filter(|_| connection.has_inbound()) else { return Step::Again };
        let reactor = &mut transport.reactor;
        match connection.receive_sealed(room, reactor, key) {
            Received::Bytes(count) => {
                let place = Place { key, connection, owner, socket, reactor };
                let delivered = self.turn.deliver(place, count, events, due, call);
                self.delivered(key, delivered, events, due, call)
            }
            Received::Nothing => {
                if connection.has_inbound() {
                    connection.queue(reactor, key);
                }
                Step::Again
            }
            other => self.delivered(key, Delivered::Nothing(other), events, due, call),
        }
    }

    /// A handshake goes on.
    pub(super) fn shake_hands(
        &mut self,
        key: Key,
        owner: Key,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        inject::point();
        let Some(connection) = self.transport.connections.get_mut(key) else { return Step::Again };
        let reactor = &mut self.transport.reactor;
        if !self.turn.has_time_for_handshakes() {
            connection.queue(reactor, key);
            return Step::Again;
        }
        if connection.pending() > 0 && !connection.is_full() {
            connection.flush(reactor, key);
        }
        if !connection.has_inbound() {
            return Step::Again;
        }
        let fault = match connection.receive_sealed(RECEIVE_BUFFER, reactor, key) {
            _ if !connection.is_shaking_hands() => return self.end_handshake(key, owner, events, due, call),
            Received::Failed(broken) => match connection.session_mut().and_then(|session| session.fault.take()) {
                Some(fault) => fault,
                None => Fault::new(system_message(broken.error.get()), broken.error.get()),
            },
            Received::TheEnd => Fault::new("the peer has ended the connection in the handshake", sys::PROTOCOL),
            Received::Starved => {
                self.transport.rest_if_starved(key);
                return Step::Again;
            }
            Received::Nothing | Received::Bytes(_) => {
                if connection.has_inbound() {
                    connection.queue(reactor, key);
                }
                return Step::Again;
            }
        };
        self.fail_handshake(key, owner, &fault);
        Step::Again
    }

    /// The handshake is done: from now on there is a connection, to the host, too.
    fn end_handshake(&mut self, key: Key, owner: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        inject::point();
        let Loop { sockets, transport, .. } = self;
        let Some(connection) = transport.connections.get_mut(key) else { return Step::Again };
        let Some(socket) = sockets.get_mut(owner) else { return Step::Again };
        let secured = connection.session().map(Session::secured);
        let kept = secured.map_or(Ok(()), |secured| socket.set_secured(secured));
        connection.end_handshake_time(socket.options(), &mut transport.reactor, key);
        connection.flush(&mut transport.reactor, key);
        if connection.has_inbound() {
            connection.queue(&mut transport.reactor, key);
        }
        if kept.is_err() {
            transport.give_up(key, sys::NO_MEMORY);
        }
        match (connection_side(self, key), self.socket(owner)) {
            (Side::Server(server), _) => self.welcome_secured(server, key, owner, events, due, call),
            (Side::Client, Ok(mut socket)) => {
                if socket.win_secured(key) {
                    self.turn.announce(owner, EventType::CONNECT, Detail::Plain);
                }
                Step::Again
            }
            (Side::Connected, _) => {
                self.turn.announce(owner, EventType::CONNECT, Detail::Plain);
                Step::Again
            }
            (Side::Client, Err(_)) => Step::Again,
        }
    }

    /// The server tells of a peer whose handshake is done.
    fn welcome_secured(
        &mut self,
        server: Key,
        key: Key,
        owner: Key,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        self.transport.happen(key, Happening::Established, End::default());
        let (detail, after) = (Detail::Connect { socket: owner }, After::Admit { socket: owner });
        let Loop { servers, turn, .. } = self;
        let listeners = servers.get(server).filter(|server| server.is_open()).map(|server| &server.listeners);
        if let Some(listeners) = listeners {
            if turn.tell(server, listeners, EventType::CONNECT, detail, after, events, due, call) {
                return Step::Call;
            }
        }
        self.admit(server, owner, events, due);
        Step::Again
    }

    /// A handshake has failed, or took too long. Who is told depends on who had begun to connect.
    pub(super) fn fail_handshake(&mut self, key: Key, owner: Key, fault: &Fault) {
        inject::point();
        let secured =
            self.transport.connections.get(key).and_then(|connection| connection.session()).map(Session::secured);
        match connection_side(self, key) {
            Side::Server(server) => self.fail_peer(server, key, owner, fault),
            Side::Client => {
                let Ok(mut socket) = self.socket(owner) else { return };
                // Without memory for it there is less to be told.
                let _ = secured.map(|secured| socket.socket.set_secured(secured));
                socket.lose_secured(key, fault);
            }
            Side::Connected => {
                let Ok(socket) = self.socket(owner) else { return };
                let _ = secured.map(|secured| socket.socket.set_secured(secured));
                socket.socket.note_fault(fault);
                self.end_secure(key, fault.os_error);
            }
        }
    }

    /// The peer of a server: its socket, of which nobody has heard, ends with it.
    fn fail_peer(&mut self, server: Key, key: Key, owner: Key, fault: &Fault) {
        if let Some(connection) = self.transport.connections.get(key) {
            connection.count_error();
        }
        let peer = self.sockets.get(owner).and_then(|socket| socket.peer());
        self.transport.happen(key, Happening::Failed, End::default());
        if let Some(socket) = self.sockets.get_mut(owner) {
            (socket.connection, socket.life.pins, socket.life.keep) = (None, 0, Keep::No);
            self.sockets.discard(owner);
        }
        if self.servers.get(server).is_some_and(|server| server.is_open()) {
            let peer = peer.map_or_else(|| String::from("a peer"), |peer| peer.to_string());
            let told = CString::new(format!("handshake with {peer}: {}", fault.why)).unwrap_or_default();
            let detail = Detail::Close { os_error: fault.os_error, cause: Cause::Secure };
            self.turn.announce_with(server, EventType::HANDSHAKE_ERROR, detail, told);
        }
    }
}

/// Whose handshake it is.
enum Side {
    /// A server's, whose connect event is still to come.
    Server(Key),
    /// A socket's that connects.
    Client,
    /// A connected socket's.
    Connected,
}

fn connection_side(event_loop: &Loop, key: Key) -> Side {
    match event_loop.transport.connections.get(key) {
        Some(connection) if connection.phase() == Phase::Connecting => {
            match connection.server.as_ref().and_then(|server| server.key.get()) {
                Some(server) => Side::Server(server),
                None => Side::Client,
            }
        }
        _ => Side::Connected,
    }
}
