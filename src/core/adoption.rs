// SPDX-License-Identifier: MIT OR Apache-2.0
//! A descriptor that the host hands over: looked at before it is taken, and the host's own until then.

use std::borrow::Cow;

use socket2::{SockAddr, SockRef, Socket, Type};

use crate::address::Ends;
use crate::error::{Failure, Result, SystemError, of_call};
use crate::sys;
use crate::sys::paths::Address;

/// A stream socket that the host offers.
pub(crate) struct Offer {
    descriptor: i64,
    candidate: sys::Borrowed,
}

impl Offer {
    pub(crate) fn new(descriptor: i64) -> Result<Self> {
        let candidate = sys::Borrowed::new(descriptor).map_err(of_call("fcntl"));
        let candidate = candidate.map_err(|failed| refused(descriptor, &failed))?;
        let offer = Offer { descriptor, candidate };
        match offer.socket().r#type() {
            Ok(Type::STREAM) => Ok(offer),
            Ok(Type::DGRAM) => Err(unfit("the descriptor is a datagram socket; only stream sockets can be taken over")),
            Ok(_) => Err(unfit("the descriptor is no stream socket")),
            Err(error) => Err(match offer.candidate.kind() {
                Some(kind) => unfit(format!("the descriptor is {kind}; only stream sockets can be taken over")),
                None => offer.refused(&of_call("getsockopt")(error)),
            }),
        }
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        self.candidate.socket()
    }

    /// A call that it needs was refused.
    pub(crate) fn refused(&self, failed: &SystemError) -> Failure {
        refused(self.descriptor, failed)
    }

    /// Where a server's socket is bound. `listening`: whether the host says that it listens.
    pub(crate) fn bound_to(&self, listening: bool) -> Result<SockAddr> {
        if self.socket().peer_addr().is_ok() {
            return Err(unfit("the descriptor is a connection; ss_socket_adopt takes that"));
        }
        let local = self.local()?;
        let is_bound = match local.as_socket() {
            Some(address) => address.port() != 0,
            None if local.is_unix() && cfg!(unix) => !Address::text_of(&local).is_empty(),
            None => return Err(unfit("the descriptor is neither a TCP socket's nor a Unix-domain socket's")),
        };
        if !is_bound {
            return Err(unfit("the socket is not bound"));
        }
        match self.listens()? {
            Some(false) if listening => Err(unfit("the socket does not listen yet; adopt it with listening = false")),
            Some(true) if !listening => Err(unfit("the socket listens already; adopt it with listening = true")),
            _ => Ok(local),
        }
    }

    /// The two ends of a connection.
    pub(crate) fn ends(&self) -> Result<Ends> {
        if self.listens()? == Some(true) {
            return Err(unfit("the descriptor is a listening socket; ss_adopt takes that"));
        }
        let Ok(remote) = self.socket().peer_addr() else {
            return Err(unfit("the socket is not connected, or its peer is gone already"));
        };
        let local = self.local()?;
        match (local.as_socket(), remote.as_socket()) {
            (Some(local), Some(remote)) => Ok(Ends::Addresses { local, remote }),
            _ if local.is_unix() && cfg!(unix) => Ok(Ends::UnixDomain),
            _ => Err(unfit("the descriptor is neither a TCP socket's nor a Unix-domain socket's")),
        }
    }

    fn local(&self) -> Result<SockAddr> {
        self.socket().local_addr().map_err(|error| self.refused(&of_call("getsockname")(error)))
    }

    fn listens(&self) -> Result<Option<bool>> {
        sys::listens(&self.socket()).map_err(|error| self.refused(&of_call("getsockopt")(error)))
    }

    /// Makes it what all of our sockets are.
    pub(crate) fn settle(&self) -> Result<()> {
        let socket = self.socket();
        let outcome = socket.set_nonblocking(true).map_err(of_call("fcntl O_NONBLOCK"));
        let outcome = outcome.and_then(|()| sys::close_on_exec(&socket).map_err(of_call("fcntl FD_CLOEXEC")));
        outcome.map_err(|failed| self.refused(&failed))
    }

    /// From here on it is ours.
    pub(crate) fn take(&self) -> Socket {
        self.candidate.take()
    }
}

fn unfit(why: impl Into<Cow<'static, str>>) -> Failure {
    Failure::invalid_parameter().because(why)
}

fn refused(descriptor: i64, failed: &SystemError) -> Failure {
    let attempt = format!("{} of descriptor {descriptor}, to adopt it", failed.call);
    Failure::invalid_socket().with_system(attempt, &failed.error, "")
}
