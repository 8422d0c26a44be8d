// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket: AIR's object, one end of one connection.
//!
//! `input` is its unread bytes, `output` what it writes, `connect` (with `attempt`) and `adopt` the ways to a connection, `close` the ways out of one,
//! `bind` the local end of connections to come, `secure` TLS, `typed` numbers and texts, `endpoints` the two addresses.
//!
//! A socket that is connected and idle is small: what is the same for many is in its [`SharedConfig`], what few have in
//! [`Cold`]. Its verbs are methods of a [`SocketRef`], which has in hand all that they work on.

mod adopt;
mod attempt;
mod bind;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod endpoints;
pub(crate) mod input;
mod objects;
mod output;
mod secure;
pub(crate) mod typed;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;

use crate::amf::ObjectInput;
use crate::core::connection::{Connection, Transport, find_mut};
use crate::core::events::Life;
use crate::core::events::listeners::Listeners;
use crate::core::host::UserData;
use crate::data::Endian;
use crate::error::{Failure, Result, of_call};
use crate::handle::{Key, Kind, Object};
use crate::memory;
use crate::options::{Name, Options};
use crate::reactor::Deadline;
use crate::sys::Credentials;
use attempt::Attempt;
use endpoints::Endpoints;
use input::Kept;
use secure::Security;

/// `Socket.timeout` as AIR sets it.
const DEFAULT_TIMEOUT: u32 = 20_000;

pub(crate) struct Socket {
    pub life: Life,
    /// The peer, if it has one over IPv4; others are in `cold`. Port 0: nobody.
    peer: SocketAddrV4,
    pub endian: Endian,
    /// Its connection has ended by itself, and the close event is still to come.
    pub close_due: bool,
    pub listeners: Listeners,
    pub config: Rc<SharedConfig>,
    /// `Some` while it is connected.
    pub connection: Option<Key>,
    cold: Option<Box<Cold>>,
}

impl Object for Socket {
    const KIND: Kind = Kind::Socket;
}

/// What a socket has in common with the others of its server; stored once, and not ten thousand times.
#[derive(Clone)]
pub(crate) struct SharedConfig {
    /// The settings it started with, or a socket's own once they are changed.
    pub options: Options,
    /// The local end, where the server's address says it.
    pub local: Option<SocketAddr>,
}

/// What most sockets never need, or not while they are idle.
pub(crate) struct Cold {
    pub user: UserData,
    /// `Some` while it is being connected.
    attempt: Option<Box<Attempt>>,
    /// Why the last one has failed, for people.
    failure: Option<Box<str>>,
    /// There was an attempt.
    was_tried: bool,
    /// It is in the loop's list of the ready.
    pub queued: bool,
    /// The attempt's next deadline.
    timer: Deadline,
    /// Where its connections are to come from.
    local_end: Option<SocketAddr>,
    /// Milliseconds that connecting may take; 0 = as long as the system tries.
    timeout: u32,
    endpoints: Option<Box<Endpoints>>,
    kept: Kept,
    /// How many bytes were read since this is here: where in the stream the unread ones begin.
    consumed: u64,
    pub objects: ObjectInput,
    /// The host that it has connected to.
    host: Option<Box<str>>,
    security: Option<Box<Security>>,
}

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

impl Default for Cold {
    fn default() -> Self {
        Cold {
            user: UserData::NONE,
            attempt: None,
            failure: None,
            was_tried: false,
            queued: false,
            timer: Deadline::NONE,
            local_end: None,
            timeout: DEFAULT_TIMEOUT,
            endpoints: None,
            kept: Kept::default(),
            consumed: 0,
            objects: ObjectInput::default(),
            host: None,
            security: None,
        }
    }
}

/// A socket, and what it lives on.
pub(crate) struct SocketRef<'a> {
    pub key: Key,
    pub socket: &'a mut Socket,
    pub transport: &'a mut Transport,
}

impl Socket {
    #[inline]
    pub(crate) fn new(config: Rc<SharedConfig>, life: Life) -> Self {
        Socket {
            life,
            peer: NOBODY,
            endian: Endian::default(),
            close_due: false,
            listeners: Listeners::EMPTY,
            config,
            connection: None,
            cold: None,
        }
    }

    #[inline]
    pub(crate) fn options(&self) -> &Options {
        &self.config.options
    }

    #[inline]
    pub(crate) fn cold(&self) -> Option<&Cold> {
        self.cold.as_deref()
    }

    #[inline]
    pub(crate) fn cold_mut(&mut self) -> Option<&mut Cold> {
        self.cold.as_deref_mut()
    }

    /// Room for what is cold.
    pub(crate) fn make_cold(&mut self) -> Result<&mut Cold> {
        match &mut self.cold {
            Some(cold) => Ok(cold),
            none => Ok(none.insert(memory::boxed(Cold::default())?)),
        }
    }

    pub(crate) fn user(&self) -> *mut std::ffi::c_void {
        self.cold().map_or(std::ptr::null_mut(), |cold| cold.user.data)
    }

    pub(crate) fn take_user(&mut self) -> Option<UserData> {
        self.cold_mut().map(|cold| std::mem::replace(&mut cold.user, UserData::NONE))
    }
}

impl SocketRef<'_> {
    /// Its connection, if there is one to write to.
    #[inline]
    pub(crate) fn connection(&mut self) -> Result<(Key, &mut Connection)> {
        find_mut(&mut self.transport.connections, self.socket.connection)
    }

    pub(crate) fn native_handle(&mut self) -> Option<i64> {
        self.connection().ok().map(|(_, connection)| connection.raw())
    }

    /// Who the peer of a Unix-domain connection is.
    pub(crate) fn peer_credentials(&mut self) -> Result<Credentials> {
        let (_, connection) = self.connection()?;
        if !connection.is_unix_domain() {
            return Err(Failure::unsupported().because("only a Unix-domain connection tells who the peer is"));
        }
        let found = connection.stream().peer_credentials().map_err(of_call("getsockopt"));
        found.map_err(|failed| Failure::invalid_socket().with_call(&failed, ""))
    }

    /// Its listeners have changed.
    pub(crate) fn listeners_changed(&mut self) {
        if let Ok((_, connection)) = find_mut(&mut self.transport.connections, self.socket.connection) {
            connection.follow(&self.socket.listeners);
        }
    }

    pub(crate) fn set_option(&mut self, name: Name, value: i64) -> Result<()> {
        self.transport.reactor.send_buffer.answering = None;
        let mut options = *self.socket.options();
        options.set(name, value).unwrap_or_else(|| Err(only_servers()))?;
        let connection = find_mut(&mut self.transport.connections, self.socket.connection).ok();
        if let Some((key, connection)) = connection {
            let outcome = match name {
                Name::NoDelay => connection.set_no_delay(options.no_delay).map_err(of_call("setsockopt TCP_NODELAY")),
                Name::KeepAlive => {
                    connection.set_keep_alive(options.keep_alive).map_err(of_call("setsockopt SO_KEEPALIVE"))
                }
                _ => Ok(()),
            };
            outcome.map_err(|failed| Failure::invalid_socket().with_call(&failed, "the option stays as it was"))?;
            match name {
                Name::IdleTimeout | Name::IdleBytes | Name::KeepAlive | Name::ReadTimeout => {
                    connection.watch_time(&options, &mut self.transport.reactor, key)?;
                }
                Name::ReadLimit => connection.read_on(&mut self.transport.reactor, key),
                _ => {}
            }
        }
        Rc::make_mut(&mut self.socket.config).options = options;
        Ok(())
    }

    pub(crate) fn option(&self, name: Name) -> Result<i64> {
        self.socket.options().get(name).ok_or_else(only_servers)
    }

    /// The clocks that its options ask for begin. Without memory for them the connection is given up, rather than
    /// forgotten.
    #[inline]
    pub(crate) fn begin_time(&mut self) {
        if self.socket.options().needs_clock() {
            self.watch_time();
        }
    }

    fn watch_time(&mut self) {
        let options = *self.socket.options();
        let Ok((key, connection)) = find_mut(&mut self.transport.connections, self.socket.connection) else { return };
        if connection.watch_time(&options, &mut self.transport.reactor, key).is_err() {
            self.transport.give_up(key, crate::sys::NO_MEMORY);
        }
    }
}

fn only_servers() -> Failure {
    Failure::not_accepted("option").because("this option is a server's; set it there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Place;

    #[test]
    fn an_idle_socket_takes_little_memory() {
        assert!(size_of::<Place<Socket>>() <= 56);
    }
}
