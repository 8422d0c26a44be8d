// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two ends of a socket's connection. They stay readable when that is over, until the next attempt.

use std::ffi::CString;
use std::net::SocketAddr;
use std::rc::Rc;

use once_cell::unsync::OnceCell;

use super::{NOBODY, SharedConfig, Socket, SocketRef};
use crate::address::{self, Ends};
use crate::core::connection::find_mut;
use crate::core::events::Life;
use crate::error::Result;
use crate::handle::Key;
use crate::memory;

/// The texts are made when somebody wants them.
pub(super) struct Endpoints {
    local: Option<Endpoint>,
    remote: Endpoint,
}

pub(crate) struct Endpoint {
    pub address: SocketAddr,
    text: OnceCell<CString>,
}

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        Endpoint { address, text: OnceCell::new() }
    }

    pub(crate) fn text(&self) -> &CString {
        self.text.get_or_init(|| address::text(&self.address))
    }
}

impl Socket {
    /// One that a server has accepted: alive through the connect event.
    #[inline]
    pub(crate) fn accepted(config: Rc<SharedConfig>, peer: Option<SocketAddr>, connection: Key) -> Result<Self> {
        let socket = Socket { connection: Some(connection), ..Socket::new(config, Life::PINNED) };
        match peer {
            Some(SocketAddr::V4(peer)) => Ok(Socket { peer, ..socket }),
            Some(peer) => socket.with_peer(peer),
            None => Ok(socket),
        }
    }

    fn with_peer(mut self, peer: SocketAddr) -> Result<Self> {
        self.set_peer(peer)?;
        Ok(self)
    }

    /// It is connected, and this is its peer: it is known from this moment on, since a peer that has reset the
    /// connection cannot be asked any more.
    pub(crate) fn set_peer(&mut self, peer: SocketAddr) -> Result<()> {
        match peer {
            SocketAddr::V4(peer) => self.peer = peer,
            SocketAddr::V6(_) => {
                let endpoints = Endpoints { local: None, remote: Endpoint::new(peer) };
                self.make_cold()?.endpoints = Some(memory::boxed(endpoints)?);
            }
        }
        Ok(())
    }

    /// It is connected, and these are the two ends.
    pub(super) fn set_ends(&mut self, ends: Ends) -> Result<()> {
        match ends {
            Ends::Addresses { local, remote } => self.set_peer(remote).and_then(|()| self.set_local(local)),
            Ends::UnixDomain => Ok(()),
        }
    }

    pub(super) fn forget_endpoints(&mut self) {
        self.peer = NOBODY;
        if let Some(cold) = &mut self.cold {
            cold.endpoints = None;
        }
    }

    /// Whom it is or was connected to, for a message.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self.cold().and_then(|cold| cold.endpoints.as_ref()) {
            Some(endpoints) => Some(endpoints.remote.address),
            None => (self.peer != NOBODY).then_some(SocketAddr::V4(self.peer)),
        }
    }

    fn endpoints(&mut self) -> Result<Option<&mut Endpoints>> {
        let Some(peer) = self.peer() else { return Ok(None) };
        let endpoints = &mut self.make_cold()?.endpoints;
        if endpoints.is_none() {
            *endpoints = Some(memory::boxed(Endpoints { local: None, remote: Endpoint::new(peer) })?);
        }
        Ok(endpoints.as_deref_mut())
    }

    /// The peer's end; `None` before the first connection.
    pub(crate) fn remote_endpoint(&mut self) -> Result<Option<&Endpoint>> {
        Ok(self.endpoints()?.map(|endpoints| &endpoints.remote))
    }

    pub(super) fn set_local(&mut self, local: SocketAddr) -> Result<()> {
        if let Some(endpoints) = self.endpoints()? {
            endpoints.local = Some(Endpoint::new(local));
        }
        Ok(())
    }
}

impl SocketRef<'_> {
    /// Our end, asked of the system when somebody first wants to know.
    pub(crate) fn local_endpoint(&mut self) -> Result<Option<&Endpoint>> {
        let known = self.socket.config.local;
        let connection = find_mut(&mut self.transport.connections, self.socket.connection).ok();
        let Some(endpoints) = self.socket.endpoints()? else { return Ok(None) };
        if endpoints.local.is_none() {
            let asked = || connection.and_then(|(_, connection)| connection.stream().local_addr().ok());
            endpoints.local = known.or_else(asked).map(Endpoint::new);
        }
        Ok(endpoints.local.as_ref())
    }

    /// The connection is about to end: what only it knows is asked of it now.
    pub(super) fn remember_local(&mut self) {
        if self.socket.config.local.is_none() {
            let _ = self.local_endpoint();
        }
    }
}
