// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local end of outbound connections, where the host chooses it.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket as SystemSocket, Type};

use super::SocketRef;
use crate::address;
use crate::error::{Failure, Result, SystemError, of_call};
use crate::sys;

impl SocketRef<'_> {
    /// Chooses where later connections come from. The end is tried now, and taken anew by each connection.
    pub(crate) fn bind(&mut self, port: i32, address: &str) -> Result<()> {
        let port = address::port(port)?;
        let address = address::parse(address, port)?;
        self.check_unconnected()?;
        open_at(&address).map_err(|failed| {
            let attempt = format!("{} {address}", failed.call);
            Failure::invalid_socket().with_system(attempt, &failed.error, address::advice(&failed, port))
        })?;
        self.socket.make_cold()?.local_end = Some(address);
        Ok(())
    }

    /// The local end that the host has chosen.
    pub(super) fn local_end(&self) -> Option<SocketAddr> {
        self.socket.cold()?.local_end
    }

    /// Whether a connection from the local end that was chosen to this address is possible at all.
    pub(super) fn check_family(&self, remote: &SocketAddr) -> Result<()> {
        match self.local_end() {
            Some(local) if local.is_ipv4() != remote.is_ipv4() => Err(Failure::invalid_parameter().because(format!(
                "the socket is bound to {}, and {} is of the other family of addresses",
                local.ip(),
                remote.ip()
            ))),
            _ => Ok(()),
        }
    }
}

/// A system's socket with this local end. Old connections of the port do not hinder it.
pub(super) fn open_at(local: &SocketAddr) -> std::result::Result<SystemSocket, SystemError> {
    let socket = SystemSocket::new(Domain::for_address(*local), Type::STREAM, Some(Protocol::TCP));
    let socket = socket.map_err(of_call("socket"))?;
    if local.port() != 0 {
        // Without it the port may be taken, as bind says then.
        let _ = sys::may_share(&socket, true);
    }
    socket.bind(&(*local).into()).map_err(of_call("bind"))?;
    Ok(socket)
}
