//! Sockets and their connections among the thread's objects: what comes in, what goes out, and how it ends.

use std::io;

use super::Objects;
use crate::connection::{Connection, Flushed};
use crate::error::Result;
use crate::handle::Key;
use crate::names::EventType;
use crate::reactor::{Reactor, Ready};
use crate::socket::{self, Endpoint, Socket};
use crate::sys;

/// What serving a connection begins with.
#[derive(Default)]
pub(crate) enum Service {
    #[default]
    Done,
    /// There may be something to read.
    Read,
    /// An attempt has succeeded, and the socket is connected.
    Connected(Key),
}

/// What came of one attempt to read.
#[derive(Default)]
pub(crate) enum Incoming {
    Bytes {
        socket: Key,
        count: usize,
    },
    /// Nothing now.
    #[default]
    Nothing,
    /// The peer's end, or the connection's.
    End {
        error: Option<io::Error>,
    },
}

/// A connection that ended by itself, and what its socket's listeners have to be told.
pub(crate) struct Ending {
    pub socket: Key,
    /// The socket's `closes` at that moment.
    pub closes: u32,
    /// Output was lost: ioError comes before close.
    pub lost_output: Option<i32>,
}

impl Objects {
    pub(crate) fn socket_mut(&mut self, key: Key) -> Result<&mut Socket> {
        self.sockets.find_mut(key)
    }

    pub(crate) fn new_socket(&mut self, home: Key) -> Result<Key> {
        self.loops.find(home)?;
        self.sockets.insert(Socket::new(home, Default::default()))
    }

    /// Takes note of a readiness event. Returns whether its connection is to be served now.
    pub(crate) fn note(&mut self, ready: Ready) -> bool {
        let Some(connection) = self.connections.get_mut(ready.key) else { return false };
        connection.flags.unread |= ready.readable;
        connection.flags.to_the_end |= ready.to_the_end;
        connection.flags.full &= !ready.writable;
        !connection.flags.queued
    }

    /// First step of serving a connection: sees an attempt through, sends what waited for room.
    pub(crate) fn begin_service(&mut self, key: Key) -> Service {
        let Some(connection) = self.connections.get_mut(key) else { return Service::Done };
        connection.flags.queued = false;
        if connection.owner.is_none() {
            self.wind_up(key);
            return Service::Done;
        }
        if connection.flags.connecting {
            return self.check_attempt(key).map_or(Service::Done, Service::Connected);
        }
        if connection.pending() > 0 && !connection.flags.full {
            self.flush_connection(key);
        }
        match self.connections.get(key) {
            Some(connection) if connection.flags.unread => Service::Read,
            _ => Service::Done,
        }
    }

    /// Reads once into the loop's buffer, for the socket of this connection.
    pub(crate) fn receive(&mut self, key: Key) -> Incoming {
        let Some(connection) = self.connections.get_mut(key) else { return Incoming::Nothing };
        let Some(socket_key) = connection.owner else { return Incoming::Nothing };
        let Some(socket) = self.sockets.get_mut(socket_key) else { return Incoming::Nothing };
        let Some(home) = self.loops.get_mut(connection.home) else { return Incoming::Nothing };
        let reactor = &mut home.reactor;
        let room = socket.options.read_limit.saturating_sub(socket.input.available());
        if room == 0 || socket.paused {
            // `unread` stays set, and reading some brings the connection back.
            return Incoming::Nothing;
        }
        let want = room.min(reactor.receive_buffer.len());
        match connection.read(&mut reactor.receive_buffer[..want]) {
            Ok(0) => Incoming::End { error: None },
            Ok(count) => {
                connection.flags.unread = count == want || connection.flags.to_the_end || !sys::SHORT_READ_DRAINS;
                connection.received += count as u64;
                connection.note_traffic(reactor.now);
                match socket.input.arrive(count, &reactor.receive_buffer, &mut reactor.pool) {
                    Ok(()) => Incoming::Bytes { socket: socket_key, count },
                    Err(_) => Incoming::End { error: Some(io::ErrorKind::OutOfMemory.into()) },
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.flags.unread = false;
                connection.flags.to_the_end = false;
                match connection.send_error {
                    Some(errno) => Incoming::End { error: Some(io::Error::from_raw_os_error(errno)) },
                    None => Incoming::Nothing,
                }
            }
            Err(error) if sys::is_exhausted(&error) => {
                // `unread` stays set.
                connection.flags.starved = true;
                rest_if_starved(connection, reactor, key);
                Incoming::Nothing
            }
            Err(error) => Incoming::End { error: Some(error) },
        }
    }

    /// The rest of those connections is over for which the system had no memory.
    pub(crate) fn feed_starved(&mut self, home: Key) {
        let Some(event_loop) = self.loops.get_mut(home) else { return };
        for key in event_loop.reactor.take_starved() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.flags.starved = false;
            connection.flags.full = false;
            if !connection.flags.registered {
                watch(connection, &mut event_loop.reactor, key);
            }
            queue(connection, &mut event_loop.reactor, key);
        }
    }

    /// The listeners have seen the bytes: what they left is kept. Returns whether to read on in this turn, which
    /// is so only to meet an end that was announced; other bytes wait for the next turn.
    pub(crate) fn settle(&mut self, key: Key, socket: Key, count: usize) -> bool {
        let Some(socket) = self.sockets.get_mut(socket) else { return false };
        let Some(home) = self.loops.get_mut(socket.home) else { return false };
        let reactor = &mut home.reactor;
        let kept = socket.input.settle(&reactor.receive_buffer, &mut reactor.pool);
        if socket.connection != Some(key) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if kept.is_err() {
            connection.send_error = Some(sys::NO_MEMORY);
            connection.flags.unread = true;
        }
        if !connection.flags.unread || socket.input.available() >= socket.options.read_limit {
            return false;
        }
        if connection.flags.to_the_end && count < reactor.receive_buffer.len() {
            return true;
        }
        queue(connection, reactor, key);
        false
    }

    /// The turn's share is used up; the next turn goes on with this connection.
    pub(crate) fn continue_later(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(home) = self.loops.get_mut(connection.home)
        {
            queue(connection, &mut home.reactor, key);
        }
    }

    /// The connection has ended by itself. The socket keeps what is unread.
    pub(crate) fn end_connection(&mut self, key: Key, error: Option<io::Error>) -> Option<Ending> {
        let socket_key = self.detach(key)?;
        let connection = self.connections.get_mut(key)?;
        let socket = self.sockets.get_mut(socket_key)?;
        socket.connection = None;
        socket.endpoints = None;
        let linger = socket.options.linger;
        let closes = socket.closes;
        let os_error = connection.send_error.or(error.as_ref().and_then(io::Error::raw_os_error));
        let broken = error.is_some() || connection.send_error.is_some();
        let lost = connection.send_error.is_some() || (broken && connection.pending() > 0);
        if broken && let Some(server) = connection.server.and_then(|server| self.servers.get_mut(server)) {
            server.figures.errors += 1;
        }
        if !broken && connection.pending() > 0 {
            // The peer has only ended its side, and still gets what we owe it.
            connection.flags.peer_ended = true;
            connection.flags.unread = false;
            let home = self.loops.get_mut(connection.home)?;
            connection.linger_until(linger, &mut home.reactor, key);
            self.wind_up(key);
        } else {
            self.drop_connection(key, error.as_ref().is_some_and(sys::is_not_ours));
        }
        Some(Ending { socket: socket_key, closes, lost_output: lost.then_some(os_error.unwrap_or(0)) })
    }

    /// The local end, asked of the system when somebody first wants to know.
    pub(crate) fn local_endpoint(&mut self, key: Key) -> Result<Option<&Endpoint>> {
        let socket = self.sockets.find(key)?;
        let Some(endpoints) = &socket.endpoints else { return Ok(None) };
        if endpoints.local.address.get().is_none()
            && let Some(connection) = socket.connection.and_then(|key| self.connections.get(key))
            && let Ok(address) = connection.local_address()
        {
            let _ = endpoints.local.address.set(address);
        }
        Ok(Some(&endpoints.local))
    }

    pub(crate) fn bytes_pending(&self, key: Key) -> Result<usize> {
        let connection = self.sockets.find(key)?.connection;
        Ok(connection.and_then(|key| self.connections.get(key)).map_or(0, Connection::pending))
    }

    /// Bytes handed to the kernel since the connection was made, and those that are still pending.
    pub(crate) fn output_figures(&self, key: Key) -> Option<(u64, u64)> {
        let connection = self.connections.get(self.sockets.get(key)?.connection?)?;
        Some((connection.sent, connection.pending() as u64))
    }

    /// The unread bytes of a socket, in place.
    #[inline]
    pub(crate) fn unread(&self, key: Key) -> Result<&[u8]> {
        let socket = self.sockets.find(key)?;
        socket.check_readable()?;
        let home = self.loops.find(socket.home)?;
        Ok(socket.input.unread(&home.reactor.receive_buffer))
    }

    /// Counts bytes as read; not more than there are.
    #[inline]
    pub(crate) fn consume(&mut self, key: Key, count: usize) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let home = self.loops.find_mut(socket.home)?;
        let limit = socket.options.read_limit;
        let was_full = socket.input.available() >= limit;
        socket.input.consume(count, &mut home.reactor.pool);
        if was_full
            && socket.input.available() < limit
            && let Some(key) = socket.connection
            && let Some(connection) = self.connections.get_mut(key)
            && connection.flags.unread
        {
            queue(connection, &mut home.reactor, key);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, key: Key, bytes: &[u8]) -> Result<()> {
        let socket = self.sockets.find(key)?;
        let limit = socket.options.write_limit;
        let connection_key = socket.connection()?;
        let connection = self.connections.find_mut(connection_key)?;
        let home = self.loops.find_mut(connection.home)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let flushed = connection.write(bytes, limit, &mut home.reactor.pool)?;
        if !connection.flags.dirty && !connection.flags.full {
            connection.flags.dirty = true;
            self.dirty.push(connection_key);
            home.reactor.has_work();
        }
        self.account(connection_key, flushed);
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
            if let Some(connection) = self.connections.get_mut(key) {
                connection.flags.dirty = false;
                self.flush_connection(key);
            }
        }
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn flush_connection(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home) else { return };
        let flushed = connection.flush(&mut home.reactor.pool);
        self.account(key, flushed);
    }

    /// Takes note of what a flush did, for the turn to act on.
    fn account(&mut self, key: Key, flushed: Flushed) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home) else { return };
        rest_if_starved(connection, &mut home.reactor, key);
        if connection.send_error.is_some() {
            // What the peer sent before its end is read first, then the end itself.
            connection.flags.unread = true;
            connection.flags.to_the_end = true;
            queue(connection, &mut home.reactor, key);
        } else if flushed.more {
            queue(connection, &mut home.reactor, key);
        }
        if flushed.moved == 0 {
            return;
        }
        connection.note_traffic(home.reactor.now);
        if let Some(socket_key) = connection.owner
            && let Some(socket) = self.sockets.get_mut(socket_key)
            && !socket.progress_due
            && socket.dispatcher.hears(EventType::OUTPUT_PROGRESS)
        {
            socket.progress_due = true;
            home.progress.push(socket_key);
            home.reactor.has_work();
        }
    }

    /// `close()`: the socket is closed from now on; what was written is still sent, in the background.
    pub(crate) fn close_socket(&mut self, key: Key) -> Result<()> {
        let connecting = self.cancel_attempt(key);
        let socket = self.sockets.find_mut(key)?;
        socket.paused = false;
        let home = self.loops.find_mut(socket.home)?;
        let had_unread = socket.input.available() > 0;
        socket.input.clear(&mut home.reactor.pool);
        socket.endpoints = None;
        let linger = socket.options.linger;
        let connection = socket.connection.take();
        if connection.is_none() && !had_unread && !connecting {
            return Err(socket::not_connected());
        }
        socket.closes = socket.closes.wrapping_add(1);
        // Without one the peer has closed it, and with this the host says that it does not want the rest.
        if let Some(connection) = connection {
            self.retire(connection, linger);
        }
        Ok(())
    }

    /// Ends the connection with RST; unsent output is dropped.
    pub(crate) fn abort_socket(&mut self, key: Key) -> Result<()> {
        if self.cancel_attempt(key) {
            return Ok(());
        }
        let socket = self.sockets.find_mut(key)?;
        let connection_key = socket.connection()?;
        let home = self.loops.find_mut(socket.home)?;
        socket.connection = None;
        socket.endpoints = None;
        socket.paused = false;
        socket.input.clear(&mut home.reactor.pool);
        self.connections.find(connection_key)?.set_abort();
        self.drop_connection(connection_key, false);
        Ok(())
    }

    /// A connection goes on without its socket, until everything is sent and the peer has ended too.
    fn retire(&mut self, key: Key, linger: u32) {
        self.detach(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.owes_nothing() || linger == 0 {
            return self.drop_connection(key, false);
        }
        let Some(home) = self.loops.get_mut(connection.home) else { return };
        connection.linger_until(linger, &mut home.reactor, key);
        if !connection.flags.registered && !watch(connection, &mut home.reactor, key) {
            return self.drop_connection(key, false);
        }
        self.wind_up(key);
    }

    fn wind_up(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(connection.home) else { return };
        if connection.wind_up(&mut home.reactor) {
            return self.drop_connection(key, false);
        }
        rest_if_starved(connection, &mut home.reactor, key);
        let may_go_on = connection.flags.unread && !connection.flags.starved;
        if may_go_on || (connection.pending() > 0 && !connection.flags.full) {
            queue(connection, &mut home.reactor, key);
        }
    }

    /// The connection is not its socket's any more, and its server may accept another one. Returns the socket.
    fn detach(&mut self, key: Key) -> Option<Key> {
        let connection = self.connections.get_mut(key)?;
        let owner = connection.owner.take()?;
        if let Some(server_key) = connection.server
            && let Some(server) = self.servers.get_mut(server_key)
        {
            server.figures.open -= 1;
            self.resume_accepting(server_key);
        }
        Some(owner)
    }

    /// `pause` and `resume`: while it is paused nothing is read, and the peer's window closes in time.
    pub(crate) fn set_reading_paused(&mut self, key: Key, paused: bool) -> Result<()> {
        let socket = self.sockets.find_mut(key)?;
        let connection = socket.connection()?;
        socket.paused = paused;
        self.read_on(connection);
        Ok(())
    }

    /// What kept the connection from being read is gone, perhaps.
    pub(super) fn read_on(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.flags.unread
            && let Some(home) = self.loops.get_mut(connection.home)
        {
            queue(connection, &mut home.reactor, key);
        }
    }

    /// Closes the descriptor. `not_ours`: it was taken from us, and its number may be a stranger's by now.
    pub(super) fn drop_connection(&mut self, key: Key, not_ours: bool) {
        self.detach(key);
        let Some(connection) = self.connections.remove(key) else { return };
        if let Some(server) = connection.server.and_then(|server| self.servers.get_mut(server)) {
            server.figures.bytes_in += connection.received;
            server.figures.bytes_out += connection.sent;
        }
        if let Some(home) = self.loops.get_mut(connection.home) {
            home.active -= 1;
            connection.dispose(&mut home.reactor, key, not_ours);
        }
    }

    pub(crate) fn check_available(&self, key: Key, count: usize) -> Result<()> {
        match count <= self.unread(key)?.len() {
            true => Ok(()),
            false => Err(socket::too_few()),
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
            // Without the poller there will be no events. The listeners hear of it as of any broken connection.
            connection.send_error = Some(error.raw_os_error().unwrap_or(0));
            connection.flags.unread = true;
            queue(connection, reactor, key);
            false
        }
    }
}

/// The system had no memory for the connection: it is tried again after a rest.
fn rest_if_starved(connection: &Connection, reactor: &mut Reactor, key: Key) {
    if connection.flags.starved {
        reactor.starve(connection.home, key);
    }
}

/// Puts the connection on the loop's list of the ready, once.
fn queue(connection: &mut Connection, reactor: &mut Reactor, key: Key) {
    if !connection.flags.queued {
        connection.flags.queued = true;
        reactor.push_ready(key);
    }
}
