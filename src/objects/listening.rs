//! Servers among the thread's objects: accepting, and the end of listening.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::Objects;
use crate::connection::{Connection, Stage};
use crate::error::Result;
use crate::event::Life;
use crate::handle::Key;
use crate::inject;
use crate::log::Level;
use crate::names::EventType;
use crate::reactor::BACK_OFF;
use crate::server::Server;
use crate::socket::Socket;
use crate::sys::{self, AcceptError};

/// What came of one attempt to accept.
#[derive(Default)]
pub(crate) enum Accepted {
    /// A peer is connected; its socket waits for the connect event.
    Peer(Key),
    /// This attempt brought nobody, but the next one may.
    Nobody,
    /// Nothing more to do now.
    #[default]
    Done,
    /// The operating system has closed the server.
    Lost,
}

impl Objects {
    pub(crate) fn listen(&mut self, key: Key, backlog: i32) -> Result<()> {
        inject::point();
        let server = self.servers.find_mut(key)?;
        let was_listening = server.is_listening();
        let home = self.loops.find_mut(server.home)?;
        server.listen(backlog, &home.reactor, key)?;
        home.active += usize::from(!was_listening);
        Ok(())
    }

    pub(crate) fn close_server(&mut self, key: Key) -> Result<()> {
        inject::point();
        let server = self.servers.find_mut(key)?;
        let was_listening = server.is_listening();
        let home = self.loops.find_mut(server.home)?;
        server.close(&mut home.reactor, key)?;
        home.active -= usize::from(was_listening);
        Ok(())
    }

    pub(crate) fn adopt(&mut self, key: Key, descriptor: i64, listening: bool) -> Result<()> {
        let server = self.servers.find_mut(key)?;
        let home = self.loops.find_mut(server.home)?;
        server.adopt(descriptor, listening, &home.reactor, key)?;
        home.active += usize::from(listening);
        Ok(())
    }

    pub(crate) fn set_paused(&mut self, key: Key, paused: bool) -> Result<()> {
        self.servers.find_mut(key)?.set_paused(paused)?;
        self.resume_accepting(key);
        Ok(())
    }

    /// Something that kept the server from accepting is gone.
    pub(crate) fn resume_accepting(&mut self, key: Key) {
        inject::point();
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.peers_wait
            && server.may_accept()
            && !server.queued
            && let Some(home) = self.loops.get_mut(server.home)
        {
            server.queued = true;
            home.reactor.push_ready(key);
        }
    }

    /// The server has come off the list of the ready.
    pub(crate) fn unqueue_server(&mut self, key: Key) {
        if let Some(server) = self.servers.get_mut(key) {
            server.queued = false;
        }
    }

    /// The server's time to try again has come.
    pub(crate) fn end_back_off(&mut self, key: Key) {
        if let Some(server) = self.servers.get_mut(key) {
            server.retry = None;
            self.resume_accepting(key);
        }
    }

    /// Takes one peer out of the kernel's queue, unless nobody would hear of it.
    pub(crate) fn accept(&mut self, home: Key, key: Key) -> Accepted {
        inject::point();
        if !self.is_alive(home) {
            return Accepted::Done;
        }
        let Some(server) = self.servers.get_mut(key) else { return Accepted::Done };
        server.peers_wait = true;
        if !server.may_accept() || !server.dispatcher.hears(EventType::CONNECT) {
            return Accepted::Done;
        }
        match server.accept() {
            Ok((stream, remote)) => match self.welcome(key, stream, remote) {
                Ok(socket) => Accepted::Peer(socket),
                Err(_) => {
                    // No memory for it: the peer sees its connection closed.
                    self.count_refused(key);
                    Accepted::Nobody
                }
            },
            Err(error) => match sys::accept_error(&error) {
                AcceptError::Drained => {
                    server.peers_wait = false;
                    Accepted::Done
                }
                AcceptError::Next => Accepted::Nobody,
                AcceptError::Exhausted => {
                    self.back_off(key, &error);
                    Accepted::Done
                }
                AcceptError::Fatal => {
                    self.report(Level::Error, || format!("accept: {error}: the server is closed"));
                    self.lose_server(key, sys::is_not_ours(&error));
                    Accepted::Lost
                }
            },
        }
    }

    /// Accepting rests for a while, and peers wait in the kernel.
    pub(crate) fn back_off(&mut self, key: Key, error: &io::Error) {
        let Some(server) = self.servers.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(server.home) else { return };
        server.figures.accept_deferred += 1;
        let due = home.reactor.now + BACK_OFF;
        home.reactor.timers.set(key, &mut server.retry, Some(due));
        self.report(Level::Warning, || format!("accept: {error}: peers wait, and accepting is tried again"));
    }

    fn lose_server(&mut self, key: Key, not_ours: bool) {
        let Some(server) = self.servers.get_mut(key) else { return };
        let Some(home) = self.loops.get_mut(server.home) else { return };
        home.active -= usize::from(server.is_listening());
        server.lose(&mut home.reactor, key, not_ours);
    }

    /// In a turn that brought nothing: whether each server of the loop still has its descriptor. A host that
    /// closes it by mistake is not told by the kernel, and neither are we.
    pub(crate) fn lost_servers(&mut self, home: Key) -> Vec<Key> {
        let gone = |server: &Server| server.home == home && server.probe().is_err_and(|error| sys::is_not_ours(&error));
        let lost = super::keys_of(&self.servers, gone);
        for key in &lost {
            self.lose_server(*key, true);
        }
        lost
    }

    /// Makes the socket of an accepted connection: alive through the connect event, and longer if it is retained.
    fn welcome(&mut self, server_key: Key, stream: TcpStream, remote: SocketAddr) -> Result<Key> {
        let server = self.servers.find_mut(server_key)?;
        let origin = server.origin(server_key)?;
        let event_loop = self.loops.find_mut(origin.home)?;
        let mut socket = Socket::new(origin.clone(), Life::PINNED);
        socket.set_peer(remote)?;
        let socket_key = self.sockets.insert(socket)?;
        let mut connection = Connection::new(stream, socket_key, origin, Stage::Fresh);
        // A peer that is gone already makes this fail; its end is met when reading.
        let _ = connection.apply(sys::INHERITS_SETTINGS);
        match self.connections.insert(connection) {
            Ok(connection) => {
                event_loop.active += 1;
                server.figures.accepted += 1;
                server.figures.open += 1;
                self.sockets.find_mut(socket_key)?.connection = Some(connection);
                Ok(socket_key)
            }
            Err(failure) => {
                self.sockets.remove(socket_key);
                Err(failure)
            }
        }
    }

    fn count_refused(&mut self, server: Key) {
        if let Some(server) = self.servers.get_mut(server) {
            server.figures.refused += 1;
        }
    }

    /// The connect event is over: the socket goes to the poller if anybody kept it. It was not registered before,
    /// so that a peer which is turned away costs no system call for it.
    pub(crate) fn admit(&mut self, server: Key, socket: Key) {
        inject::point();
        let kept = |socket: &Socket| socket.life.references > 0 && socket.connection.is_some();
        if !self.sockets.get(socket).is_some_and(kept) {
            self.count_refused(server);
        }
        if let Some(kept) = self.sockets.get(socket)
            && kept.life.references > 0
            && let Some(key) = kept.connection
            && let Some(connection) = self.connections.get_mut(key)
            && let Some(home) = self.loops.get_mut(connection.home())
            && connection.flags.stage == Stage::Fresh
        {
            super::traffic::watch(connection, &mut home.reactor, key);
            if connection.flags.starved {
                // Whoever comes now would not be heard either.
                self.back_off(server, &io::Error::from_raw_os_error(sys::NO_MEMORY));
            }
        }
        if let Some(connection) = self.sockets.get(socket).and_then(|socket| socket.connection) {
            self.begin_silence(connection);
        }
        self.unpin(socket);
    }

    pub(crate) fn bind(&mut self, key: Key, port: i32, address: &str) -> Result<()> {
        self.servers.find_mut(key)?.bind(port, address)
    }
}
