// SPDX-License-Identifier: MIT OR Apache-2.0
//! An event loop: it owns its servers, its sockets, and their transport.
//!
//! `turn` is one turn of it: wait, then serve what is ready, each in its bounds: connections (`serve`), secure ones (`secure`), new peers (`accept`).
//! `tell` begins to tell their listeners, `drain` ends servers, `life` objects that nobody holds, `state` is what all of them share.
//! `recovery` mends what a fault of the library's own has left.

mod accept;
mod drain;
mod life;
mod recovery;
mod secure;
mod serve;
mod state;
mod tell;
pub(crate) mod turn;

use std::time::Duration;

use crate::core::connection::{Connection, Notes, Phase, Transport};
use crate::core::events::listeners::Listeners;
use crate::core::events::{EventType, Events, Life};
use crate::core::host::{Due, UserData};
use crate::core::server::{Server, ServerRef};
use crate::core::socket::{SharedConfig, Socket, SocketRef};
use crate::core::timer::{NewTimer, Timer, TimerRef};
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind, Object, Table};
use crate::inject;
use crate::memory;
use crate::options::Options;
use crate::reactor::Reactor;
use state::Turn;

pub(crate) struct Loop {
    pub key: Key,
    pub life: Life,
    /// The thread's own, which nobody holds a reference to.
    pub is_default: bool,
    pub user: UserData,
    pub servers: Table<Server>,
    pub sockets: Table<Socket>,
    pub timers: Table<Timer>,
    pub transport: Transport,
    polling: bool,
    was_polled: bool,
    /// What the log was told of its outbound connections.
    notes: Notes,
    /// How many dispatches of the host's on its objects are under way.
    pub dispatches: u32,
    turn: Turn,
}

/// What has happened on a server.
pub(crate) struct Figures {
    pub accepted: u64,
    pub open: u64,
    pub lingering: u64,
    pub refused: u64,
    pub accept_deferred: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub errors: u64,
}

impl Loop {
    pub(crate) fn new(key: Key, reactor: Reactor, life: Life) -> Result<Self> {
        Ok(Loop {
            key,
            life,
            is_default: false,
            user: UserData::NONE,
            servers: Table::new(),
            sockets: Table::new(),
            timers: Table::new(),
            transport: Transport::new(reactor),
            polling: false,
            was_polled: false,
            notes: Notes::new(),
            dispatches: 0,
            turn: Turn::new()?,
        })
    }

    /// Whether a key, if it opens anything at all, opens something of this loop.
    #[inline]
    pub(crate) fn owns(&self, key: Key) -> bool {
        self.sockets.owns(key) || self.servers.owns(key)
    }

    #[inline]
    pub(crate) fn socket(&mut self, key: Key) -> Result<SocketRef<'_>> {
        let socket = self.sockets.find_mut(key)?;
        Ok(SocketRef { key, socket, transport: &mut self.transport })
    }

    pub(crate) fn server(&mut self, key: Key) -> Result<ServerRef<'_>> {
        let server = self.servers.find_mut(key)?;
        Ok(ServerRef { key, server, transport: &mut self.transport })
    }

    pub(crate) fn new_server(&mut self) -> Result<Key> {
        inject::point();
        let key = self.servers.insert(Server::new()?)?;
        self.servers.find_mut(key)?.share().key.set(Some(key));
        Ok(key)
    }

    pub(crate) fn new_socket(&mut self) -> Result<Key> {
        let config = memory::shared(SharedConfig { options: Options::default(), local: None })?;
        self.sockets.insert(Socket::new(config, Life::OWNED))
    }

    #[inline]
    pub(crate) fn timer(&mut self, key: Key) -> Result<TimerRef<'_>> {
        let timer = self.timers.find_mut(key)?;
        Ok(TimerRef { key, timer, transport: &mut self.transport })
    }

    /// Makes a timer, and starts it.
    pub(crate) fn new_timer(&mut self, new: NewTimer, delay: u32) -> Result<Key> {
        inject::point();
        let Loop { timers, transport, .. } = self;
        transport.reactor.timers.reserve()?;
        let key = timers.insert(Timer::new(new))?;
        if let Some(timer) = timers.known_mut(key) {
            TimerRef { key, timer, transport }.start(delay);
        }
        Ok(key)
    }

    pub(crate) fn listeners(&self, target: Key) -> Result<&Listeners> {
        match target.kind() {
            Some(Kind::Server) => self.servers.find(target).map(|server| &server.listeners),
            _ => self.sockets.find(target).map(|socket| &socket.listeners),
        }
    }

    #[inline]
    pub(crate) fn listeners_mut(&mut self, target: Key) -> Result<&mut Listeners> {
        match target.kind() {
            Some(Kind::Server) => self.servers.find_mut(target).map(|server| &mut server.listeners),
            _ => self.sockets.find_mut(target).map(|socket| &mut socket.listeners),
        }
    }

    /// Whether there is anything on it.
    pub(crate) fn is_used(&self) -> bool {
        self.servers.iter().next().is_some() || self.sockets.iter().next().is_some()
    }

    /// Whether a descriptor is that of an object here.
    pub(crate) fn holds(&self, descriptor: i64) -> bool {
        self.servers.iter().any(|(_, server)| server.descriptor() == Some(descriptor))
            || self.transport.connections.iter().any(|(_, connection)| connection.raw() == descriptor)
    }

    /// The listeners that a server or a socket has for a type of event have changed.
    #[inline]
    pub(crate) fn listeners_changed(&mut self, target: Key, kind: EventType) {
        if kind == EventType::OUTPUT_PROGRESS || kind == EventType::CONNECT {
            self.interest_changed(target, kind);
        }
    }

    fn interest_changed(&mut self, target: Key, kind: EventType) {
        if kind == EventType::OUTPUT_PROGRESS {
            if let Ok(mut socket) = self.socket(target) {
                socket.listeners_changed();
            }
        } else if kind == EventType::CONNECT && target.kind() == Some(Kind::Server) {
            if let Ok(mut server) = self.server(target) {
                server.server.was_heard = true;
                server.resume_accepting();
            }
        }
    }

    /// The host has given it up in the middle of a turn: it lives on only until that ends, and brings no events.
    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        self.life.references == 0 && !self.is_default
    }

    /// Neither polled nor in a listener: a turn may begin.
    pub(crate) fn check_idle(&self) -> Result<()> {
        if self.polling || self.dispatches > 0 {
            return Err(Failure::reentrant());
        }
        Ok(())
    }

    /// Its end, and that of everything on it, whoever still holds references. What was written is handed to the system.
    pub(crate) fn end(mut self, events: &mut Events, due: &mut Due) {
        self.abandon(events, due);
        self.transport.flush_dirty();
        let mut place = 0;
        while let Some(key) = self.servers.walk(&mut place) {
            self.destroy_server(key, events, due);
        }
        self.transport.end_all();
        let mut place = 0;
        while let Some(key) = self.sockets.walk(&mut place) {
            self.bury_socket(key, events, due);
        }
        for key in keys_of(&self.timers) {
            self.destroy_timer(key, due);
        }
        for posted in self.turn.take_tasks().into_iter().chain(self.transport.reactor.remote().close()) {
            due.add(posted.cancelled);
        }
        due.add(self.user.into_destructor());
    }

    /// How many sockets the host can have heard of: not those of peers whose handshakes are under way.
    pub(crate) fn count_sockets(&self) -> usize {
        let phase = |connection: Key| self.transport.connections.get(connection).map(Connection::phase);
        let known = |socket: &Socket| socket.connection.and_then(phase) != Some(Phase::Connecting);
        self.sockets.iter().filter(|(_, socket)| known(socket)).count()
    }

    /// How many servers and sockets the host has references to.
    pub(crate) fn count_held(&self) -> (usize, usize) {
        let servers = self.servers.iter().filter(|(_, server)| server.life.references > 0).count();
        let sockets = self.sockets.iter().filter(|(_, socket)| socket.life.references > 0).count();
        (servers, sockets)
    }

    /// Whether a run is to go on: something can still bring an event.
    pub(crate) fn has_future(&mut self) -> bool {
        if self.is_released() || self.transport.reactor.remote().take_stop() {
            return false;
        }
        self.transport.active > 0 || self.is_busy() || self.transport.reactor.remote().has_tasks()
    }

    /// Whether there is something to do that no readiness and no timer will tell of.
    fn is_busy(&self) -> bool {
        self.transport.reactor.is_busy() || self.turn.has_work()
    }

    /// How many milliseconds the loop can wait before it has something to do by itself; -1 is without end.
    pub(crate) fn timeout(&self) -> i32 {
        if self.is_busy() {
            return 0;
        }
        // Rounded up: a host that comes too early would come again at once.
        let milliseconds = |timeout: Duration| timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
        self.transport.reactor.poll_timeout().map_or(-1, milliseconds)
    }

    /// The descriptor on which a host may wait for the loop. From now on it tells of our own work, too.
    pub(crate) fn export(&mut self) -> Result<i64> {
        let descriptor = self.transport.reactor.export().ok_or_else(Failure::unsupported)?;
        if self.timeout() == 0 {
            self.transport.reactor.has_work();
        }
        Ok(descriptor)
    }

    pub(crate) fn figures(&self, server: Key) -> Result<Figures> {
        let share = self.servers.find(server)?.share();
        let is_its =
            |connection: &Connection| connection.server.as_ref().is_some_and(|other| std::rc::Rc::ptr_eq(other, share));
        let here = self.transport.connections.iter().map(|(_, connection)| connection);
        let bytes_out: u64 = here.filter(|connection| is_its(connection)).map(|connection| connection.sent).sum();
        Ok(Figures {
            accepted: share.accepted.get(),
            open: share.open.get(),
            lingering: share.lingering.get(),
            refused: share.refused.get(),
            accept_deferred: share.accept_deferred.get(),
            bytes_in: share.bytes_in.get(),
            bytes_out: share.bytes_out.get() + bytes_out,
            errors: share.errors.get(),
        })
    }
}

fn keys_of<T: Object>(table: &Table<T>) -> Vec<Key> {
    table.iter().map(|(key, _)| key).collect()
}
