// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secure sockets: what connections to come are secured with, one that is connected already, and what is known of the peer.

use std::rc::Rc;
use std::time::Duration;

use super::{Socket, SocketRef};
use crate::address::Ends;
use crate::core::connection::Phase;
use crate::core::tls::{Context, Fault, Secured, Session};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;
use crate::memory;
use crate::sys::net;

/// What is rare among what is rare.
#[derive(Default)]
pub(super) struct Security {
    /// What later connections are secured with.
    later: Option<Later>,
    /// What the last handshake has found.
    secured: Option<Secured>,
}

struct Later {
    context: Rc<Context>,
    /// Whose certificate the server must have; `None`: the host's that is connected to.
    name: Option<String>,
}

impl Socket {
    fn make_security(&mut self) -> Result<&mut Security> {
        let security = &mut self.make_cold()?.security;
        match security {
            Some(security) => Ok(security),
            none => Ok(none.insert(memory::boxed(Security::default())?)),
        }
    }

    pub(crate) fn set_secured(&mut self, secured: Secured) -> Result<()> {
        self.make_security()?.secured = Some(secured);
        Ok(())
    }

    /// It will be connected anew.
    pub(super) fn forget_secured(&mut self) {
        if let Some(security) = self.cold_mut().and_then(|cold| cold.security.as_mut()) {
            security.secured = None;
        }
    }

    /// Why the connection is about to end, for people.
    pub(crate) fn note_fault(&mut self, fault: &Fault) {
        let peer = self.peer();
        if let Some(cold) = self.cold_mut() {
            let peer = peer.map_or_else(|| String::from("the peer"), |peer| peer.to_string());
            cold.failure = Some(format!("secure the connection with {peer}: {}", fault.why).into_boxed_str());
        }
    }
}

impl SocketRef<'_> {
    /// What the last handshake has found; `None`: there was none, or it is not done.
    pub(crate) fn secured(&mut self) -> Option<&Secured> {
        self.socket.cold()?.security.as_ref()?.secured.as_ref()
    }

    pub(crate) fn set_tls(&mut self, context: Option<Rc<Context>>, name: Option<&str>) -> Result<()> {
        if self.socket.is_connecting() {
            return Err(Failure::invalid_socket().because("the socket is connecting: do this before, or when it is"));
        }
        if let Some(name) = name.filter(|name| !Session::takes_name(name)) {
            return Err(Failure::invalid_parameter()
                .because(format!("\"{name:.100}\" is neither a host's name nor an IP address")));
        }
        if let Ok((_, connection)) = self.connection() {
            return match (connection.is_secure(), context) {
                (true, _) => Err(Failure::invalid_socket().because("the connection is secure already")),
                (false, Some(context)) => self.start_tls(&context, name),
                (false, None) => Ok(()),
            };
        }
        let name = name.map(memory::text).transpose()?;
        if context.is_some() || self.socket.cold().is_some_and(|cold| cold.security.is_some()) {
            self.socket.make_security()?.later = context.map(|context| Later { context, name });
        }
        Ok(())
    }

    /// STARTTLS: what was written before leaves plain, and what is unread is the beginning of the peer's handshake.
    fn start_tls(&mut self, context: &Context, name: Option<&str>) -> Result<()> {
        inject::point();
        let (key, connection) = self.connection()?;
        let (phase, accepted) = (connection.phase(), connection.server.is_some());
        if !matches!(phase, Phase::Open | Phase::Accepted) || connection.send_error().is_some() {
            return Err(Failure::invalid_socket().because("one side of the connection has ended"));
        }
        let options = *self.socket.options();
        let host = self.socket.cold().and_then(|cold| cold.host.as_deref()).filter(|_| !accepted);
        let session = match name.or(host) {
            Some(name) => Session::client(context, name, &options),
            None => Session::server(context, &options),
        };
        let session = session.map_err(|fault| Failure::invalid_parameter().because(fault.why))?;
        self.transport.flush(key);
        let unread = memory::bytes(self.unread()?)?;
        self.socket.make_security()?;
        self.socket.drop_input(self.key, &mut self.transport.reactor);
        let reactor = &mut self.transport.reactor;
        let Some(connection) = self.transport.connections.get_mut(key) else { return Ok(()) };
        connection.secure(session, &unread, reactor, key)?;
        connection.begin_handshake_time(options.handshake_timeout, reactor, key)
    }
}

// ---- A client's handshake ---------------------------------------------------------------------------------------------

impl SocketRef<'_> {
    /// An address has answered. If the connection is to be secure the attempt goes on with its handshake. Returns whether the socket is
    /// connected now.
    pub(super) fn win_or_secure(&mut self, key: Key, ends: Ends) -> bool {
        let later = self.socket.cold().and_then(|cold| cold.security.as_ref()?.later.as_ref());
        let Some(later) = later else { return self.win(key, ends) };
        inject::point();
        let options = *self.socket.options();
        let host = self.socket.attempt().map(|attempt| attempt.host.as_str()).unwrap_or_default();
        let name = later.name.as_deref().unwrap_or(host);
        let session = Session::client(&later.context, name, &options);
        let Some(attempt) = self.socket.attempt_mut() else { return false };
        attempt.ends = Some(ends);
        if options.handshake_timeout > 0 {
            attempt.handshake_end = Some(net::now() + Duration::from_millis(options.handshake_timeout.into()));
        }
        attempt.targets.clear();
        let losers: Vec<Key> = attempt.racing.iter().copied().filter(|racing| *racing != key).collect();
        attempt.racing.retain(|racing| *racing == key);
        losers.into_iter().for_each(|loser| self.lose(loser, false));
        let begun = session.and_then(|session| {
            let Some(connection) = self.transport.connections.get_mut(key) else { return Ok(()) };
            let secured = connection.secure(session, &[], &mut self.transport.reactor, key);
            secured.map_err(|_| Fault::of_memory())
        });
        match begun {
            Ok(()) => self.socket.arm(self.key, &mut self.transport.reactor),
            Err(fault) => self.lose_secured(key, &fault),
        }
        false
    }

    /// The handshake of the attempt is done. Returns whether the socket is connected now.
    pub(crate) fn win_secured(&mut self, key: Key) -> bool {
        let Some(ends) = self.socket.attempt().and_then(|attempt| attempt.ends) else { return false };
        self.win(key, ends)
    }

    /// The handshake of the attempt has failed, and the attempt with it: another address is the same host.
    pub(crate) fn lose_secured(&mut self, key: Key, fault: &Fault) {
        self.lose(key, false);
        if let Some(attempt) = self.socket.attempt_mut() {
            attempt.racing.clear();
            attempt.targets.clear();
            attempt.error = fault.os_error;
            attempt.fault = Some(fault.why.clone());
        }
        self.race();
    }
}
