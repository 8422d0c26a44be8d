//! Sockets and their connections among the thread's objects: what comes in, what goes out, and how it ends.

use std::io;
use std::rc::Rc;

use super::dispatching::Dispatch;
use super::{Loop, Objects};
use crate::connection::{Connection, ErrorNumber, Flushed, Inbound, Stage};
use crate::error::{Failure, Result};
use crate::event::{Detail, Event, Life};
use crate::handle::{Key, Table};
use crate::inject;
use crate::memory;
use crate::names::EventType;
use crate::options::Options;
use crate::origin::Origin;
use crate::reactor::{Reactor, Ready};
use crate::socket::{Endpoint, Endpoints, Socket};
use crate::sys;

/// What there is to do next for a connection that is being served.
#[derive(Default)]
pub(crate) enum Work {
    #[default]
    Nothing,
    /// An attempt has succeeded: the socket is connected.
    Connected { socket: Key },
    /// Bytes have come, and this is the dispatch that tells of them; `None`: nobody listens.
    Received { socket: Key, count: usize, dispatch: Option<Dispatch> },
    /// The peer's end was met, or the connection's.
    Ended { error: Option<io::Error> },
}

/// A connection that ended by itself, and what its socket's listeners have to be told.
pub(crate) struct Ending {
    pub socket: Key,
    /// Output was lost: ioError comes before close.
    pub lost_output: Option<i32>,
}

impl Objects {
    pub(crate) fn socket_mut(&mut self, key: Key) -> Result<&mut Socket> {
        self.sockets.find_mut(key)
    }

    pub(crate) fn new_socket(&mut self, home: Key) -> Result<Key> {
        self.loops.find(home)?;
        let origin =
            memory::shared(Origin { home, server: None, bytes_in: Rc::default(), options: Options::default() })?;
        self.sockets.insert(Socket::new(origin, Life::OWNED))
    }

    /// Takes note of a readiness event, and serves its connection unless that is in line already.
    pub(crate) fn take_up(&mut self, home: Key, ready: Ready) -> Work {
        let Some(connection) = self.connections.get_mut(ready.key) else { return Work::Nothing };
        if ready.to_the_end {
            connection.flags.inbound = Inbound::TheEnd;
        } else if ready.readable && connection.flags.inbound == Inbound::Nothing {
            connection.flags.inbound = Inbound::Bytes;
        }
        connection.flags.full &= !ready.writable;
        if connection.flags.queued {
            return Work::Nothing;
        }
        match connection.only_receives() {
            true => self.receive(home, ready.key),
            false => self.begin_service(home, ready.key),
        }
    }

    /// Serving begins: sees an attempt through, sends what waited for room, receives.
    pub(crate) fn begin_service(&mut self, home: Key, key: Key) -> Work {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return Work::Nothing };
        connection.flags.queued = false;
        if connection.owner.is_none() {
            self.wind_up(key, true);
            return Work::Nothing;
        }
        match connection.flags.stage {
            Stage::Connecting => {
                return self.check_attempt(key).map_or(Work::Nothing, |socket| Work::Connected { socket });
            }
            Stage::Broken => return Work::Ended { error: Some(io::Error::from_raw_os_error(sys::BROKEN)) },
            Stage::Fresh | Stage::Open => {}
        }
        if connection.pending() > 0 && !connection.flags.full {
            self.flush_connection(key);
        }
        self.receive(home, key)
    }

    /// Reads once into the loop's buffer, if there may be anything, for the socket of this connection, and begins to tell
    /// its listeners.
    pub(crate) fn receive(&mut self, home: Key, key: Key) -> Work {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return Work::Nothing };
        if !connection.flags.unread() {
            return Work::Nothing;
        }
        let Some(socket_key) = connection.owner else { return Work::Nothing };
        let Some(socket) = self.sockets.get_mut(socket_key) else { return Work::Nothing };
        let Some(event_loop) = self.loops.get_mut(home) else { return Work::Nothing };
        if event_loop.is_released() {
            return Work::Nothing;
        }
        let reactor = &mut event_loop.reactor;
        let room = socket.options().read_limit.saturating_sub(socket.kept().len());
        if room == 0 || connection.flags.paused {
            // What is inbound stays noted, and reading some brings the connection back.
            return Work::Nothing;
        }
        let want = room.min(reactor.receive_buffer.bytes.len());
        match connection.read(&mut reactor.receive_buffer.bytes[..want]) {
            Ok(0) => Work::Ended { error: None },
            Ok(count) => {
                connection.flags.was_read(count, want);
                inject::point();
                connection.note_traffic(count);
                let bytes_in = &connection.origin.bytes_in;
                bytes_in.set(bytes_in.get() + count as u64);
                match socket.rare_mut() {
                    Some(rare) if !rare.kept.is_empty() => {
                        if rare.kept.append(&reactor.receive_buffer.bytes[..count], &mut reactor.pool).is_err() {
                            return Work::Ended { error: Some(io::ErrorKind::OutOfMemory.into()) };
                        }
                    }
                    _ => reactor.receive_buffer.lend(socket_key, count),
                }
                let event =
                    Event::of_target(socket_key, EventType::SOCKET_DATA, Detail::Progress { loaded: count as u64 });
                let dispatch = Dispatch::of_data(socket, event_loop, &mut self.events, event);
                self.depth += u32::from(dispatch.is_some());
                Work::Received { socket: socket_key, count, dispatch }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.flags.inbound = Inbound::Nothing;
                match connection.send_error {
                    Some(number) => Work::Ended { error: Some(io::Error::from_raw_os_error(number.get())) },
                    None => Work::Nothing,
                }
            }
            Err(error) if sys::is_exhausted(&error) => {
                // What is inbound stays noted.
                connection.flags.starved = true;
                rest_if_starved(connection, reactor, key);
                Work::Nothing
            }
            Err(error) => Work::Ended { error: Some(error) },
        }
    }

    /// The rest of those connections is over for which the system had no memory.
    pub(crate) fn feed_starved(&mut self, home: Key) {
        let Some(event_loop) = self.loops.get_mut(home) else { return };
        for key in event_loop.reactor.take_starved() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.flags.starved = false;
            connection.flags.full = false;
            if connection.flags.stage == Stage::Fresh {
                watch(connection, &mut event_loop.reactor, key);
            }
            queue(connection, &mut event_loop.reactor, key);
        }
    }

    /// The listeners have seen the bytes: what they left is kept. Returns whether to read on in this turn, which
    /// is so only to meet an end that was announced; other bytes wait for the next turn.
    pub(crate) fn settle(&mut self, home: Key, key: Key, socket_key: Key, count: usize) -> bool {
        inject::point();
        let Some(event_loop) = self.loops.get_mut(home) else { return false };
        let reactor = &mut event_loop.reactor;
        if reactor.receive_buffer.lent_to(socket_key).is_empty()
            && let Some(connection) = self.connections.get(key)
            && connection.owner == Some(socket_key)
            && !connection.flags.unread()
        {
            return false;
        }
        let Some(socket) = self.sockets.get_mut(socket_key) else { return false };
        let kept = keep_what_is_lent(socket_key, socket, reactor);
        if socket.connection != Some(key) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if kept.is_err() {
            connection.send_error = Some(ErrorNumber::new(sys::NO_MEMORY));
            connection.flags.inbound = Inbound::TheEnd;
        }
        if !connection.flags.unread() || socket.kept().len() >= socket.options().read_limit {
            return false;
        }
        if connection.flags.inbound == Inbound::TheEnd && count < reactor.receive_buffer.bytes.len() {
            return true;
        }
        queue(connection, reactor, key);
        false
    }

    /// The next turn goes on with this connection.
    pub(crate) fn continue_later(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(home) = self.loops.get_mut(connection.home())
        {
            queue(connection, &mut home.reactor, key);
        }
    }

    /// The connection has ended by itself. The socket keeps what is unread.
    pub(crate) fn end_connection(&mut self, key: Key, error: Option<io::Error>) -> Option<Ending> {
        inject::point();
        let socket_key = self.detach(key)?;
        let connection = self.connections.get_mut(key)?;
        let socket = self.sockets.get_mut(socket_key)?;
        socket.connection = None;
        socket.forget_endpoints();
        socket.close_due = true;
        let linger = socket.options().linger;
        let os_error = connection.send_error.or(error.as_ref().map(ErrorNumber::from));
        let broken = error.is_some() || connection.send_error.is_some();
        let lost = connection.send_error.is_some() || (broken && connection.pending() > 0);
        if broken && let Some(server) = connection.origin.server.and_then(|server| self.servers.get_mut(server)) {
            server.figures.errors += 1;
        }
        if !broken && connection.pending() > 0 {
            // The peer has only ended its side, and still gets what we owe it.
            connection.flags.inbound = Inbound::Nothing;
            self.linger(key, linger, true);
        } else {
            self.drop_connection(key, error.as_ref().is_some_and(sys::is_not_ours));
        }
        Some(Ending { socket: socket_key, lost_output: lost.then_some(os_error.map_or(0, ErrorNumber::get)) })
    }

    /// The two ends of the socket's connection; `None` without one.
    pub(crate) fn endpoints(&mut self, key: Key) -> Result<Option<&mut Endpoints>> {
        self.sockets.find_mut(key)?.endpoints()
    }

    /// The local end, asked of the system when somebody first wants to know.
    pub(crate) fn local_endpoint(&mut self, key: Key) -> Result<Option<&Endpoint>> {
        let socket = self.sockets.find_mut(key)?;
        let connection = socket.connection.and_then(|key| self.connections.get(key));
        let (Some(connection), Some(endpoints)) = (connection, socket.endpoints()?) else { return Ok(None) };
        if endpoints.local.is_none() {
            endpoints.local = connection.local_address().ok().map(Endpoint::new);
        }
        Ok(endpoints.local.as_ref())
    }

    pub(crate) fn bytes_available(&self, key: Key) -> Result<usize> {
        let socket = self.sockets.find(key)?;
        Ok(self.input(key, socket)?.len())
    }

    pub(crate) fn bytes_pending(&self, key: Key) -> Result<usize> {
        let connection = self.sockets.find(key)?.connection;
        Ok(connection.and_then(|key| self.connections.get(key)).map_or(0, Connection::pending))
    }

    /// If outputProgress is due: the bytes handed to the kernel since the connection was made, and those that are
    /// still pending.
    pub(crate) fn take_progress_of(&mut self, key: Key) -> Option<(u64, u64)> {
        let connection = self.connections.get_mut(self.sockets.get(key)?.connection?)?;
        std::mem::take(&mut connection.flags.progress_due).then(|| (connection.sent, connection.pending() as u64))
    }

    /// The unread bytes of a socket, in place.
    #[inline]
    pub(crate) fn unread(&self, key: Key) -> Result<&[u8]> {
        let socket = self.sockets.find(key)?;
        let input = self.input(key, socket)?;
        match input.is_empty() && socket.connection.is_none() {
            true => Err(Failure::not_connected()),
            false => Ok(input),
        }
    }

    #[inline]
    fn input<'a>(&'a self, key: Key, socket: &'a Socket) -> Result<&'a [u8]> {
        Ok(input(key, socket, &self.loops.find(socket.home())?.reactor))
    }

    /// Counts bytes as read; not more than there are.
    #[inline]
    pub(crate) fn consume(&mut self, key: Key, count: usize) -> Result<()> {
        inject::point();
        let socket = self.sockets.find_mut(key)?;
        let event_loop = self.loops.find_mut(socket.home())?;
        consume(socket, event_loop, &mut self.connections, count);
        Ok(())
    }

    /// Counts as many bytes as read, if there are so many.
    pub(crate) fn skip(&mut self, key: Key, count: usize) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let event_loop = self.loops.find_mut(socket.home())?;
        let available = input(key, socket, &event_loop.reactor).len();
        if available == 0 && socket.connection.is_none() {
            return Err(Failure::not_connected());
        }
        if count > available {
            return Err(Failure::too_few());
        }
        consume(socket, event_loop, &mut self.connections, count);
        Ok(())
    }

    pub(crate) fn write(&mut self, key: Key, bytes: &[u8]) -> Result<()> {
        inject::point();
        let socket = self.sockets.find(key)?;
        let limit = socket.options().write_limit;
        let connection_key = socket.connection()?;
        let connection = self.connections.find_mut(connection_key)?;
        let home = self.loops.find_mut(connection.home())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let flushed = connection.write(bytes, limit, &mut home.reactor.pool)?;
        if !connection.flags.dirty && !connection.flags.full {
            connection.flags.dirty = true;
            self.dirty.push(connection_key);
            home.reactor.has_work();
        }
        if let Some(flushed) = flushed {
            account(connection, home, &self.sockets, connection_key, flushed);
        }
        Ok(())
    }

    /// Sends what was written, as far as the kernel takes it now.
    pub(crate) fn flush(&mut self, key: Key) -> Result<()> {
        let connection = self.sockets.find(key)?.connection()?;
        self.flush_connection(connection);
        Ok(())
    }

    /// At the end of a listener: sends what it wrote, each connection's in one system call.
    #[inline]
    pub(crate) fn flush_dirty(&mut self) {
        while let Some(key) = self.dirty.pop() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.flags.dirty = false;
            let Some(event_loop) = self.loops.get_mut(connection.home()) else { continue };
            flush(connection, event_loop, &self.sockets, key);
        }
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn flush_connection(&mut self, key: Key) {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home()) else { return };
        flush(connection, home, &self.sockets, key);
    }

    /// `close()`: the socket is closed from now on; what was written is still sent, in the background.
    pub(crate) fn close_socket(&mut self, key: Key) -> Result<()> {
        inject::point();
        let connecting = self.cancel_attempt(key);
        let had_unread = self.bytes_available(key)? > 0;
        let socket = self.sockets.find_mut(key)?;
        let home = self.loops.find_mut(socket.home())?;
        drop_input(key, socket, &mut home.reactor);
        socket.forget_endpoints();
        let linger = socket.options().linger;
        let connection = socket.connection.take();
        if connection.is_none() && !had_unread && !connecting {
            return Err(Failure::not_connected());
        }
        // Without a connection the peer has closed it, and with this the host says that it does not want the rest.
        socket.close_due = false;
        if let Some(connection) = connection {
            self.retire(connection, linger);
        }
        Ok(())
    }

    /// Ends the connection with RST; unsent output is dropped.
    pub(crate) fn abort_socket(&mut self, key: Key) -> Result<()> {
        inject::point();
        if self.cancel_attempt(key) {
            return Ok(());
        }
        let socket = self.sockets.find_mut(key)?;
        let connection_key = socket.connection()?;
        let home = self.loops.find_mut(socket.home())?;
        socket.connection = None;
        socket.forget_endpoints();
        drop_input(key, socket, &mut home.reactor);
        self.connections.find(connection_key)?.set_abort();
        self.drop_connection(connection_key, false);
        Ok(())
    }

    /// A connection goes on without its socket, until everything is sent and the peer has ended too.
    fn retire(&mut self, key: Key, linger: u32) {
        inject::point();
        self.detach(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.owes_nothing() || linger == 0 {
            return self.drop_connection(key, false);
        }
        let Some(home) = self.loops.get_mut(connection.home()) else { return };
        if connection.flags.stage == Stage::Fresh && !watch(connection, &mut home.reactor, key) {
            return self.drop_connection(key, false);
        }
        self.linger(key, linger, false);
    }

    /// The connection has no socket any more, and at most so many milliseconds to come to a good end.
    fn linger(&mut self, key: Key, milliseconds: u32, peer_ended: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home()) else { return };
        match connection.linger(milliseconds, peer_ended, &mut home.reactor, key) {
            Ok(()) => self.wind_up(key, false),
            Err(_) => self.drop_connection(key, false),
        }
    }

    fn wind_up(&mut self, key: Key, may_read: bool) {
        inject::point();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home()) else { return };
        if connection.wind_up(&mut home.reactor, may_read) {
            return self.drop_connection(key, false);
        }
        rest_if_starved(connection, &mut home.reactor, key);
        let may_go_on = connection.flags.unread() && !connection.flags.starved;
        if may_go_on || (connection.pending() > 0 && !connection.flags.full) {
            queue(connection, &mut home.reactor, key);
        }
    }

    /// The connection is not its socket's any more, and its server may accept another one. Returns the socket.
    fn detach(&mut self, key: Key) -> Option<Key> {
        let connection = self.connections.get_mut(key)?;
        let owner = connection.owner.take()?;
        if let Some(server_key) = connection.origin.server
            && let Some(server) = self.servers.get_mut(server_key)
        {
            server.figures.open -= 1;
            self.resume_accepting(server_key);
        }
        Some(owner)
    }

    /// `pause` and `resume`: while it is paused nothing is read, and the peer's window closes in time.
    pub(crate) fn set_reading_paused(&mut self, key: Key, paused: bool) -> Result<()> {
        let connection = self.sockets.find(key)?.connection()?;
        self.connections.find_mut(connection)?.flags.paused = paused;
        self.read_on(connection);
        Ok(())
    }

    /// What kept the connection from being read is gone, perhaps.
    pub(super) fn read_on(&mut self, key: Key) {
        if self.connections.get(key).is_some_and(|connection| connection.flags.unread()) {
            self.continue_later(key);
        }
    }

    /// Closes the descriptor. `not_ours`: it was taken from us, and its number may be a stranger's by now.
    pub(super) fn drop_connection(&mut self, key: Key, not_ours: bool) {
        inject::point();
        self.detach(key);
        inject::point();
        let Some(connection) = self.connections.remove(key) else { return };
        if let Some(server) = connection.origin.server.and_then(|server| self.servers.get_mut(server)) {
            server.figures.bytes_out += connection.sent;
        }
        if let Some(home) = self.loops.get_mut(connection.home()) {
            home.active -= 1;
            connection.dispose(&mut home.reactor, key, not_ours);
        }
    }

    /// The connection cannot go on. The listeners hear of it as of any that is broken, in the next turn.
    pub(super) fn give_up(&mut self, key: Key, error: ErrorNumber) {
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(home) = self.loops.get_mut(connection.home())
        {
            give_up(connection, &mut home.reactor, key, error);
        }
    }

    pub(crate) fn check_available(&self, key: Key, count: usize) -> Result<()> {
        match count <= self.unread(key)?.len() {
            true => Ok(()),
            false => Err(Failure::too_few()),
        }
    }
}

/// Registers the connection with the poller. Where that has no room now it is tried again later; returns whether there
/// is hope.
pub(super) fn watch(connection: &mut Connection, reactor: &mut Reactor, key: Key) -> bool {
    match connection.register(reactor, key) {
        Ok(()) => true,
        Err(error) if sys::is_exhausted(&error) => {
            connection.flags.starved = true;
            rest_if_starved(connection, reactor, key);
            true
        }
        Err(error) => {
            // Without the poller there will be no events.
            give_up(connection, reactor, key, ErrorNumber::from(&error));
            false
        }
    }
}

fn give_up(connection: &mut Connection, reactor: &mut Reactor, key: Key, error: ErrorNumber) {
    connection.send_error = Some(error);
    connection.flags.inbound = Inbound::TheEnd;
    queue(connection, reactor, key);
}

/// The system had no memory for the connection: it is tried again after a rest.
fn rest_if_starved(connection: &Connection, reactor: &mut Reactor, key: Key) {
    if connection.flags.starved {
        reactor.starve(connection.home(), key);
    }
}

/// The unread bytes. What is kept comes first, and nothing is lent then.
#[inline]
fn input<'a>(key: Key, socket: &'a Socket, reactor: &'a Reactor) -> &'a [u8] {
    match socket.kept() {
        [] => reactor.receive_buffer.lent_to(key),
        kept => kept,
    }
}

/// Counts `count` of the unread bytes as read. What was full may then have room for more.
fn consume(socket: &mut Socket, event_loop: &mut Loop, connections: &mut Table<Connection>, count: usize) {
    let reactor = &mut event_loop.reactor;
    let limit = socket.options().read_limit;
    let Some(rare) = socket.rare_mut() else { return reactor.receive_buffer.consume(count) };
    rare.consumed = rare.consumed.wrapping_add(count as u64);
    if rare.kept.is_empty() {
        return reactor.receive_buffer.consume(count);
    }
    let was_full = rare.kept.unread().len() >= limit;
    rare.kept.consume(count, &mut reactor.pool);
    if was_full
        && rare.kept.unread().len() < limit
        && let Some(key) = socket.connection
        && let Some(connection) = connections.get_mut(key)
        && connection.flags.unread()
    {
        queue(connection, reactor, key);
    }
}

fn flush(connection: &mut Connection, event_loop: &mut Loop, sockets: &Table<Socket>, key: Key) {
    let flushed = connection.flush(&mut event_loop.reactor.pool);
    account(connection, event_loop, sockets, key, flushed);
}

/// Takes note of what a flush did, for the turn to act on.
fn account(connection: &mut Connection, home: &mut Loop, sockets: &Table<Socket>, key: Key, flushed: Flushed) {
    inject::point();
    rest_if_starved(connection, &mut home.reactor, key);
    if connection.send_error.is_some() {
        // What the peer sent before its end is read first, then the end itself.
        connection.flags.inbound = Inbound::TheEnd;
        queue(connection, &mut home.reactor, key);
    } else if flushed.more {
        queue(connection, &mut home.reactor, key);
    }
    if flushed.moved == 0 {
        return;
    }
    connection.note_traffic(flushed.moved);
    if let Some(socket_key) = connection.owner
        && !connection.flags.progress_due
        && let Some(socket) = sockets.get(socket_key)
        && socket.dispatcher.hears(EventType::OUTPUT_PROGRESS)
    {
        connection.flags.progress_due = true;
        home.progress.push(socket_key);
        home.reactor.has_work();
    }
}

/// Unread input is dropped.
pub(super) fn drop_input(key: Key, socket: &mut Socket, reactor: &mut Reactor) {
    reactor.receive_buffer.take_back(key);
    socket.clear_kept(&mut reactor.pool);
}

/// The receive buffer is wanted for others.
fn keep_what_is_lent(key: Key, socket: &mut Socket, reactor: &mut Reactor) -> Result<()> {
    let lent = reactor.receive_buffer.lent_to(key);
    let outcome = match lent.is_empty() {
        true => Ok(()),
        false => socket.make_rare().and_then(|rare| rare.kept.append(lent, &mut reactor.pool)),
    };
    reactor.receive_buffer.take_back(key);
    outcome
}

/// Puts the connection on the loop's list of the ready, once.
fn queue(connection: &mut Connection, reactor: &mut Reactor, key: Key) {
    if !connection.flags.queued {
        connection.flags.queued = true;
        reactor.push_ready(key);
    }
}
