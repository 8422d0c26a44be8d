// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections in a turn: one after the other is received from, and its socket's listeners are told.

use super::Loop;
use super::state::{After, Delivery, Step, Turn};
use crate::core::connection::close::End;
use crate::core::connection::phase::Told;
use crate::core::connection::receive::{Broken, Received};
use crate::core::connection::{Connection, ErrorNumber, Happening, Marks, Notes, Phase, ServerShare};
use crate::core::events::{Cause, Detail, EventType, Events};
use crate::core::host::{Due, NextCall};
use crate::core::socket::{Socket, SocketRef};
use crate::core::tls::Fault;
use crate::error::system_message;
use crate::handle::{Key, Kind};
use crate::inject;
use crate::log::{self, Level, Repeated};
use crate::reactor::Reactor;
use crate::sys;
use crate::sys::net::{self, News, Ready};

/// How often one connection is read from in a turn, when its end was announced.
const READS: u32 = 16;

impl Loop {
    /// Takes note of a readiness event, and serves its connection unless that is in line already.
    #[inline(always)]
    pub(super) fn take_up(&mut self, ready: &Ready, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        if let Some(connection) = self.transport.connections.get_mut(ready.key) {
            connection.note(ready);
            if let Some(owner) = connection.owner_that_only_receives() {
                if let Some(socket) = self.sockets.known_mut(owner) {
                    self.turn.reads = 0;
                    self.turn.serving = Some(ready.key);
                    let place =
                        Place { key: ready.key, connection, owner, socket, reactor: &mut self.transport.reactor };
                    return match self.turn.receive(place, events, due, call) {
                        Delivered::Told => Step::Call,
                        other => self.delivered(ready.key, other, events, due, call),
                    };
                }
            }
        }
        self.take_up_other(ready.key, events, due, call)
    }

    #[inline(never)]
    fn take_up_other(&mut self, key: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        match self.transport.connections.get(key) {
            Some(connection) if connection.is_queued() => {}
            Some(_) => return self.serve(key, events, due, call),
            None if key.kind() == Some(Kind::Server) => self.put_aside(key),
            None => {}
        }
        Step::Again
    }

    /// Serving begins: sees an attempt through, sends what waited for room, receives.
    pub(super) fn serve(&mut self, key: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        inject::point();
        let Some(connection) = self.transport.connections.get_mut(key) else { return Step::Again };
        connection.unqueue();
        self.turn.serving = Some(key);
        self.turn.reads = 0;
        let Some(owner) = connection.owner else {
            self.transport.wind_up(key, true);
            return Step::Again;
        };
        if connection.is(Marks::GIVEN_UP) {
            let error = connection.send_error().map_or(sys::BROKEN, ErrorNumber::get);
            if connection.phase() == Phase::Connecting && connection.is_secure() {
                self.fail_handshake(key, owner, &Fault::new(system_message(error), error));
                return Step::Again;
            }
            self.end_connection(key, Happening::Failed, Some(broken(error)));
            return Step::Again;
        }
        if connection.phase() == Phase::Connecting {
            if connection.is_secure() {
                return self.shake_hands(key, owner, events, due, call);
            }
            if self.socket(owner).is_ok_and(|mut socket| socket.check_attempt(key)) {
                self.turn.announce(owner, EventType::CONNECT, Detail::Plain);
                self.turn.read_on();
            }
            return Step::Again;
        }
        let ends_when_sent = connection.phase().ends_when_sent();
        if connection.pending() > 0 && !connection.is_full() {
            self.transport.flush(key);
        }
        if ends_when_sent {
            self.end_what_is_sent(key);
        }
        self.receive_more(key, events, due, call)
    }

    /// The host has ended our side, and the last of what it wrote before is sent.
    #[inline(never)]
    fn end_what_is_sent(&mut self, key: Key) {
        let Some(connection) = self.transport.connections.get(key) else { return };
        if !connection.has_sent_last() {
            return;
        }
        if connection.phase() == Phase::LastAnswer {
            self.end_connection(key, Happening::AllSent, None);
        } else {
            self.transport.happen(key, Happening::AllSent, End::default());
        }
    }

    pub(super) fn receive_more(&mut self, key: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Some(connection) = self.transport.connections.get_mut(key) else { return Step::Again };
        let Some(owner) = connection.owner else { return Step::Again };
        if connection.is_secure() {
            return self.receive_secure(key, owner, events, due, call);
        }
        let Some(socket) = self.sockets.get_mut(owner) else { return Step::Again };
        let place = Place { key, connection, owner, socket, reactor: &mut self.transport.reactor };
        match self.turn.receive(place, events, due, call) {
            Delivered::Told => Step::Call,
            other => self.delivered(key, other, events, due, call),
        }
    }

    /// Nobody is told of what was received.
    #[inline(never)]
    pub(super) fn delivered(
        &mut self,
        key: Key,
        delivered: Delivered,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        match delivered {
            Delivered::Told => return Step::Call,
            Delivered::Unheard(owner) => {
                self.settle(owner, due);
                if log::is_set() {
                    self.watch_unheard(owner);
                }
            }
            Delivered::NoMemory => self.end_connection(key, Happening::Failed, Some(broken(sys::NO_MEMORY))),
            Delivered::Nothing(Received::TheEnd) => return self.meet_end(key, events, due, call),
            Delivered::Nothing(received) => self.received_nothing(key, received),
        }
        Step::Again
    }

    /// Nobody listens for what has come. Some read it in their own time, or listen later: whether that happens is seen soon.
    #[cold]
    fn watch_unheard(&mut self, key: Key) {
        let Ok(mut socket) = self.socket(key) else { return };
        if !socket.is_left_unheard() {
            return;
        }
        let reactor = &mut socket.transport.reactor;
        if let Some(cold) = socket.socket.cold_mut() {
            cold.watch_unheard(key, reactor);
        }
    }

    /// The time is over in which somebody might have listened, or read.
    pub(super) fn hint_at_unheard(&mut self, key: Key, due: &mut Due) {
        let Ok(mut socket) = self.socket(key) else { return };
        if !socket.is_left_unheard() {
            return;
        }
        let (length, peer) = (socket.bytes_available(), socket.socket.peer());
        let Ok((_, connection)) = socket.connection() else { return };
        let server = connection.server.clone();
        if server.as_ref().map_or(&self.notes, |server| &server.notes).first_time(Notes::NO_DATA) {
            due.log(Level::Hint, || {
                let peer = peer.map_or_else(String::new, |peer| format!("{peer}: "));
                format!(
                    "{peer}{length} bytes have come, and the socket has no listener for \"socketData\", nor does anybody read them. Add \
                     one with ss_add_listener(socket, SS_EVENT_SOCKET_DATA, ...), or stop reading with ss_socket_pause"
                )
            });
        }
    }

    pub(super) fn received_nothing(&mut self, key: Key, received: Received) {
        match received {
            Received::Failed(broken) => self.end_connection(key, Happening::Failed, Some(broken)),
            Received::Starved => self.transport.rest_if_starved(key),
            Received::Nothing | Received::Bytes(_) | Received::TheEnd => {}
        }
    }

    /// The listeners have seen the bytes: what they left is kept, and it is decided whether to read on.
    pub(super) fn settle(&mut self, owner: Key, due: &mut Due) {
        inject::point();
        let delivery = self.turn.delivery;
        let Some(socket) = self.sockets.get_mut(owner) else { return };
        let reactor = &mut self.transport.reactor;
        let serving = self.turn.serving.filter(|serving| socket.connection == Some(*serving));
        let found = serving.and_then(|key| Some((key, self.transport.connections.get_mut(key)?)));
        let server = found.as_ref().and_then(|(_, connection)| connection.server.as_ref());
        let kept = socket.keep_what_is_lent(owner, server, reactor);
        let Some((key, connection)) = found else { return };
        if kept.is_err() {
            return self.transport.give_up(key, sys::NO_MEMORY);
        }
        let unread = socket.kept().len();
        if unread > 0 && unread == delivery.untouched && unread >= socket.options().read_limit {
            warn_of_full_input(connection, socket, &mut self.turn.full_inputs, due);
        }
        if let Some(server) = connection.server.as_ref().filter(|server| server.unread.is_over()) {
            reactor.receive_buffer.take_little(true);
            warn_of_unread(server, due);
        }
        if !connection.has_inbound() || room(connection, socket).is_none() {
            return;
        }
        // An end that was announced is met at once. Everything else waits for the next turn.
        let fills = delivery.count == reactor.receive_buffer.most;
        self.turn.reads += 1;
        if connection.inbound > News::Bytes && !fills && self.turn.reads < READS {
            self.turn.read_on();
        } else {
            connection.queue(reactor, key);
        }
    }

    /// The time of a connection has come.
    pub(super) fn expire_connection(&mut self, key: Key) {
        let owner = self.transport.connections.get(key).and_then(|connection| connection.owner);
        let socket = owner.and_then(|owner| self.sockets.get(owner));
        let reads = socket.is_some_and(|socket| socket.room().is_some_and(|room| room > 0));
        match self.transport.expire(key, reads) {
            None => {}
            Some(happening) if owner.is_none() => {
                self.transport.happen(key, happening, Default::default());
            }
            Some(_) if self.transport.connections.get(key).is_some_and(Connection::is_shaking_hands) => {
                let fault = Fault::new(system_message(sys::TIMED_OUT), sys::TIMED_OUT);
                owner.into_iter().for_each(|owner| self.fail_handshake(key, owner, &fault));
            }
            Some(happening) => self.end_connection(key, happening, Some(broken(sys::TIMED_OUT))),
        }
    }

    /// The connection has ended by itself, or both sides have: its socket's listeners are to be told.
    fn end_connection(&mut self, key: Key, happening: Happening, broken: Option<Broken>) {
        let Some(connection) = self.transport.connections.get_mut(key) else { return };
        let Some(owner) = connection.owner else { return };
        let Some(socket) = self.sockets.get_mut(owner) else { return };
        if broken.is_some() {
            connection.count_error();
        }
        let not_ours = broken.as_ref().is_some_and(|broken| broken.not_ours);
        let os_error = broken.as_ref().map_or(0, |broken| broken.error.get());
        let cause = match (happening, broken) {
            (_, None) => Cause::Ended,
            _ if connection.has_fault() => Cause::Secure,
            (Happening::TimedOut, _) => Cause::Wait,
            _ if connection.is(Marks::GIVEN_UP) && os_error == sys::TIMED_OUT => Cause::Wait,
            _ if connection.is(Marks::GIVEN_UP) || os_error == sys::NO_MEMORY => Cause::Serve,
            _ if connection.send_error().is_some() => Cause::Write,
            _ => Cause::Read,
        };
        if let Some(fault) = connection.session_mut().and_then(|session| session.fault.take()) {
            socket.note_fault(&fault);
        }
        let mut socket = SocketRef { key: owner, socket, transport: &mut self.transport };
        let told = socket.connection_ended(key, happening, not_ours);
        if told == Told::ErrorAndClose {
            self.turn.announce(owner, EventType::IO_ERROR, Detail::IoError { os_error, cause });
        }
        self.turn.announce(owner, EventType::CLOSE, Detail::Close { os_error, cause });
    }

    /// The handshake of a connected socket has failed: its listeners are told of an error, whatever was written.
    pub(super) fn end_secure(&mut self, key: Key, os_error: i32) {
        let Some(connection) = self.transport.connections.get_mut(key) else { return };
        let (Some(owner), cause) = (connection.owner, Cause::Secure) else { return };
        connection.count_error();
        let Ok(mut socket) = self.socket(owner) else { return };
        socket.connection_ended(key, Happening::TimedOut, false);
        self.turn.announce(owner, EventType::IO_ERROR, Detail::IoError { os_error, cause });
        self.turn.announce(owner, EventType::CLOSE, Detail::Close { os_error, cause });
    }

    /// The peer has ended its side, and everything that it sent is read: the listeners are told at once.
    fn meet_end(&mut self, key: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Loop { sockets, transport, .. } = self;
        let Some(connection) = transport.connections.known_mut(key) else { return Step::Again };
        let (owner, deaf) = (connection.owner, connection.phase().is_deaf());
        let Some((owner, socket)) = owner.and_then(|owner| Some((owner, sockets.known_mut(owner)?))) else {
            return Step::Again;
        };
        if socket.options().half_open || deaf || connection.is_secure() {
            return self.meet_other_end(key, owner, events, due, call);
        }
        self.end_at_peers_end(key, owner, Detail::Close { os_error: 0, cause: Cause::Ended }, events, due, call)
    }

    #[inline(always)]
    fn end_at_peers_end(
        &mut self,
        key: Key,
        owner: Key,
        detail: Detail,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        let Loop { sockets, transport, turn, .. } = self;
        let Some(socket) = sockets.known_mut(owner) else { return Step::Again };
        SocketRef { key: owner, socket, transport }.connection_ended(key, Happening::PeerEnded, false);
        socket.close_due = false;
        if turn.tell(owner, &socket.listeners, EventType::CLOSE, detail, After::Nothing, events, due, call) {
            return Step::Call;
        }
        self.let_go(owner, events, due);
        Step::Again
    }

    /// The same where the end may be that of one side alone, or has to be one that the peer has announced.
    #[inline(never)]
    fn meet_other_end(
        &mut self,
        key: Key,
        owner: Key,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Step {
        let Some(connection) = self.transport.connections.get(key) else { return Step::Again };
        let Some(socket) = self.sockets.get(owner) else { return Step::Again };
        let detail = if connection.is_truncated() {
            Detail::Close { os_error: sys::PROTOCOL, cause: Cause::Truncated }
        } else if socket.options().half_open || connection.phase().is_deaf() {
            return self.meet_half_end(key, owner, events, due, call);
        } else {
            Detail::Close { os_error: 0, cause: Cause::Ended }
        };
        self.end_at_peers_end(key, owner, detail, events, due, call)
    }

    /// The same of a connection that goes on half-open.
    #[inline(never)]
    fn meet_half_end(&mut self, key: Key, owner: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Some(connection) = self.transport.connections.get(key) else { return Step::Again };
        if let Some(error) = connection.error_behind_end() {
            self.end_connection(key, Happening::Failed, Some(Broken { error, not_ours: false }));
            return Step::Again;
        }
        let told = self.transport.happen(key, Happening::PeerShutDown, End::default());
        let Some(socket) = self.sockets.get(owner).filter(|_| told == Told::End) else { return Step::Again };
        let (end, after) = (EventType::END, After::Nothing);
        match self.turn.tell(owner, &socket.listeners, end, Detail::Plain, after, events, due, call) {
            true => Step::Call,
            false => Step::Again,
        }
    }

    /// The turn was cut short by a fault of the library's own: what has become of the bytes of the connection that was
    /// being served is not known.
    pub(crate) fn break_served(&mut self) {
        if let Some(key) = self.turn.serving.take() {
            self.transport.break_connection(key);
        }
        self.turn.read_on = false;
    }
}

/// A connection that is being served, with everything around it.
pub(super) struct Place<'a> {
    pub key: Key,
    pub connection: &'a mut Connection,
    pub owner: Key,
    pub socket: &'a mut Socket,
    pub reactor: &'a mut Reactor,
}

/// What came of receiving.
pub(super) enum Delivered {
    /// A listener is to be called.
    Told,
    Unheard(Key),
    NoMemory,
    Nothing(Received),
}

impl Turn {
    /// Reads once into the loop's buffer, if there may be anything, and begins to tell the socket's listeners.
    #[inline(always)]
    fn receive(&mut self, place: Place<'_>, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Delivered {
        inject::point();
        let Place { key, connection, owner, socket, reactor } = place;
        if !connection.has_inbound() {
            return Delivered::Nothing(Received::Nothing);
        }
        let Some(room) = room(connection, socket) else {
            // What is inbound stays noted, and reading some brings the connection back.
            return Delivered::Nothing(Received::Nothing);
        };
        let count = match connection.receive(reactor.receive_buffer.room(room)) {
            Received::Bytes(count) => count,
            other => return Delivered::Nothing(other),
        };
        inject::point();
        self.deliver(Place { key, connection, owner, socket, reactor }, count, events, due, call)
    }

    /// The first `count` bytes of the loop's buffer are the socket's: begins to tell its listeners.
    #[inline(always)]
    pub(super) fn deliver(
        &mut self,
        place: Place<'_>,
        count: usize,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Delivered {
        let Place { key, connection, owner, socket, reactor } = place;
        let untouched = socket.kept().len() + count;
        let lent = socket.cold().is_none() && !connection.has_inbound();
        self.delivery = Delivery { count, untouched, lent };
        if lent && connection.gathers(socket.options().write_limit) {
            (reactor.send_buffer.answering, reactor.send_buffer.answers_to) = (Some(owner), Some(key));
        }
        if socket.take_in(owner, count, reactor).is_err() {
            return Delivered::NoMemory;
        }
        if connection.is(Marks::PAUSED) {
            return Delivered::Unheard(owner);
        }
        let detail = Detail::Progress { loaded: count as u64 };
        if !self.dispatch.announce(owner, &socket.listeners, EventType::SOCKET_DATA, detail, events, due, call) {
            return Delivered::Unheard(owner);
        }
        self.after = After::Settle;
        self.events += 1;
        Delivered::Told
    }
}

/// How many bytes may be read now; `None`: none. What the system still holds of a connection that has ended is bounded,
/// and taken in beyond the limit: its end would not be met otherwise. While the host has paused reading that goes only for
/// one that is broken, as while all connections of the server have too much unread.
#[inline(always)]
pub(super) fn room(connection: &Connection, socket: &Socket) -> Option<usize> {
    if socket.cold().is_none() && !connection.is(Marks::PAUSED) {
        // Nearly always: nothing is unread.
        return Some(socket.options().read_limit);
    }
    room_beside_unread(connection, socket)
}

#[inline(never)]
fn room_beside_unread(connection: &Connection, socket: &Socket) -> Option<usize> {
    let room = if connection.is(Marks::PAUSED) { None } else { socket.room() };
    if let Some(1..) = room {
        return room;
    }
    let to_the_end = connection.inbound == News::Broken || (connection.inbound == News::TheEnd && room.is_some());
    to_the_end.then_some(usize::MAX)
}

#[cold]
fn warn_of_unread(server: &ServerShare, due: &mut Due) {
    if server.notes.first_time(Notes::UNREAD) {
        let limit = server.unread.limit();
        due.log(Level::Warning, || {
            format!(
                "more than {limit} bytes that the connections of a server have sent are unread: those of them that hold the \
                 most are read from no further until listeners take some, or SS_OPT_UNREAD_LIMIT is raised"
            )
        });
    }
}

#[cold]
fn warn_of_full_input(connection: &mut Connection, socket: &Socket, repeated: &mut Repeated, due: &mut Due) {
    if connection.is(Marks::WARNED) {
        return;
    }
    connection.mark(Marks::WARNED, true);
    let Some(times) = repeated.admit(net::now()) else { return };
    let limit = socket.options().read_limit;
    let peer = socket.peer();
    due.log(Level::Warning, || {
        let peer = peer.map_or_else(String::new, |peer| format!("{peer}: "));
        format!(
            "{peer}{limit} bytes are unread, as many as SS_OPT_READ_LIMIT allows, and the listener took none: \
             nothing more is read until it does, or the limit is raised{times}"
        )
    });
}

fn broken(error: i32) -> Broken {
    Broken { error: ErrorNumber::new(error), not_ours: false }
}
