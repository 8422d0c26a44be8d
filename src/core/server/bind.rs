// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a server comes by its port: by bind, or from a socket that the host hands over.

use std::ffi::{CStr, CString};
use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Local, Server, ServerRef, State};
use crate::address;
use crate::core::adoption::Offer;
use crate::core::connection::settings::{self, Refusals};
use crate::error::{Failure, Result, SystemError, of_call};
use crate::inject;
use crate::options::{Options, ServerOptions};
use crate::sys;
use crate::sys::net::Listener;
use crate::sys::paths::{self, Address};

impl Server {
    pub(crate) fn check_fresh(&self) -> Result<()> {
        match self.state {
            State::Fresh => Ok(()),
            State::Closed => {
                Err(Failure::invalid_socket().because("a closed server cannot be opened again; make a new one"))
            }
            _ => Err(Failure::invalid_socket()
                .because("the server is already bound; close it and make a new one to bind elsewhere")),
        }
    }
}

impl ServerRef<'_> {
    pub(crate) fn bind(&mut self, port: i32, address: &str) -> Result<()> {
        let port = address::port(port)?;
        let address = address::parse(address, port)?;
        self.server.check_fresh()?;
        let refusals = &mut self.transport.refusals;
        let bound = bind(&address, &self.server.options, &self.server.server_options, refusals);
        let (socket, local) = bound.map_err(|failed| {
            let attempt = format!("{} {address}", failed.call);
            Failure::invalid_socket().with_system(attempt, &failed.error, address::advice(&failed, port))
        })?;
        self.server.local = Some(Local::at_address(local));
        self.server.state = State::Bound(socket);
        Ok(())
    }

    /// Binds it to a path, or on Linux to an abstract name.
    pub(crate) fn bind_path(&mut self, path: &CStr) -> Result<()> {
        inject::point();
        let address = address::of_path(path)?;
        self.server.check_fresh()?;
        let refused = |failed: SystemError, advice: &str| {
            let attempt = format!("{} {}", failed.call, path.to_string_lossy());
            Failure::invalid_socket().with_system(attempt, &failed.error, advice)
        };
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(of_call("socket"));
        let socket = socket.map_err(|failed| refused(failed, ""))?;
        socket.set_nonblocking(true).map_err(|error| refused(of_call("fcntl O_NONBLOCK")(error), ""))?;
        let file =
            paths::bind(&socket, &address).map_err(|in_use| refused(of_call("bind")(in_use.error), in_use.why))?;
        self.server.local = Some(Local::at_path(path.to_owned(), file));
        self.server.state = State::Bound(socket);
        Ok(())
    }

    /// Takes over a socket that was bound, and perhaps listens, already. It stays the host's if this fails.
    pub(crate) fn adopt(&mut self, descriptor: i64, listening: bool) -> Result<()> {
        self.server.check_fresh()?;
        let offer = Offer::new(descriptor)?;
        let bound_to = offer.bound_to(listening)?;
        let local = match bound_to.as_socket() {
            Some(address) => Local::at_address(address),
            None => Local::at_path(CString::new(Address::text_of(&bound_to)).unwrap_or_default(), None),
        };
        offer.settle()?;
        if local.address.is_some() {
            settings::prepare(&offer.socket(), &self.server.options, &mut self.transport.refusals);
        }
        if listening {
            let mut listener = Listener::new(offer.take(), local.address.is_none());
            if let Err(error) = self.transport.reactor.poller.register_listener(&mut listener, self.key) {
                listener.forget();
                return Err(offer.refused(&of_call("watch")(error)));
            }
            self.server.state = State::Listening(listener);
            self.transport.active += 1;
            self.transport.reactor.remote().count_server(true);
        } else {
            self.server.state = State::Bound(offer.take());
        }
        self.server.local = Some(local);
        self.server.shared = true;
        Ok(())
    }
}

/// A bind that fails *now* if another socket has the port, be it one that only bound it, and yet succeeds when
/// just old connections still linger on it. SO_REUSEADDR alone gives only the second: two sockets that both
/// have it may both bind, and one of them fails later, in listen.
fn bind(
    address: &SocketAddr,
    options: &Options,
    server_options: &ServerOptions,
    refusals: &mut Refusals,
) -> std::result::Result<(Socket, SocketAddr), SystemError> {
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP));
    let socket = socket.map_err(of_call("socket"))?;
    if address.is_ipv6() {
        take_only_v6(&socket, address, !server_options.dual_stack).map_err(of_call("setsockopt IPV6_V6ONLY"))?;
    }
    if server_options.reuse_port {
        sys::share_port(&socket).map_err(of_call("setsockopt SO_REUSEPORT"))?;
    }
    sys::exclusive(&socket).map_err(of_call("setsockopt SO_EXCLUSIVEADDRUSE"))?;
    let bound = socket.bind(&(*address).into());
    match bound {
        // Without the option the port stays taken, as the system has just said.
        Err(error) if sys::is_in_use(&error) && sys::may_share(&socket, true).is_ok() => {
            socket.bind(&(*address).into()).map_err(of_call("bind"))?;
            sys::may_share(&socket, false).map_err(of_call("setsockopt SO_REUSEADDR"))?;
        }
        outcome => outcome.map_err(of_call("bind"))?,
    }
    socket.set_nonblocking(true).map_err(of_call("fcntl O_NONBLOCK"))?;
    settings::prepare(&SockRef::from(&socket), options, refusals);
    let local = socket.local_addr().and_then(|local| local.as_socket().ok_or(io::ErrorKind::Unsupported.into()));
    Ok((socket, local.map_err(of_call("getsockname"))?))
}

/// Whether "::" takes IPv4, too, must be as it was asked for. Other addresses are of one family anyway.
fn take_only_v6(socket: &Socket, address: &SocketAddr, yes: bool) -> io::Result<()> {
    match socket.set_only_v6(yes) {
        Err(error) if address.ip().is_unspecified() && socket.only_v6().ok() != Some(yes) => Err(error),
        _ => Ok(()),
    }
}
