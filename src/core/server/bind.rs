//! How a server comes by its port: by bind, or from a socket that the host hands over.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Server, ServerRef, State};
use crate::address;
use crate::error::{Failure, Result};
use crate::options::{Options, ServerOptions};
use crate::sys;
use crate::sys::net::Listener;

impl Server {
    pub(crate) fn bind(&mut self, port: i32, address: &str) -> Result<()> {
        let port = address::port(port)?;
        let address = address::parse(address, port)?;
        self.check_fresh()?;
        let (socket, local) = bind(&address, &self.options, &self.server_options).map_err(|error| {
            Failure::invalid_socket().with_system(format!("bind {address}"), &error, advice(&error))
        })?;
        self.local = Some((local, address::text(&local)));
        self.state = State::Bound(socket);
        Ok(())
    }

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
    /// Takes over a socket that was bound, and perhaps listens, already. It stays the host's if this fails.
    pub(crate) fn adopt(&mut self, descriptor: i64, listening: bool) -> Result<()> {
        self.server.check_fresh()?;
        let refused = |error: io::Error| {
            Failure::invalid_socket().with_system(format!("adopt descriptor {descriptor}"), &error, "")
        };
        let candidate = sys::Borrowed::new(descriptor).map_err(refused)?;
        let local = check_adoptable(&candidate, listening).map_err(refused)??;
        let settle = |socket: &SockRef<'_>| {
            socket.set_nonblocking(true)?;
            sys::close_on_exec(socket)?;
            prepare(socket, &self.server.options)
        };
        settle(&candidate.socket()).map_err(refused)?;
        if listening {
            let mut listener = Listener::new(candidate.take());
            if let Err(error) = self.transport.reactor.poller.register_listener(&mut listener, self.key) {
                listener.forget();
                return Err(refused(error));
            }
            self.server.state = State::Listening(listener);
            self.transport.active += 1;
        } else {
            self.server.state = State::Bound(candidate.take());
        }
        self.server.local = Some((local, address::text(&local)));
        self.server.shared = true;
        Ok(())
    }
}

/// A bind that fails *now* if another socket has the port, be it one that only bound it, and yet succeeds when
/// just old connections still linger on it. SO_REUSEADDR alone gives only the second: two sockets that both
/// have it may both bind, and one of them fails later, in listen.
fn bind(address: &SocketAddr, options: &Options, server_options: &ServerOptions) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!server_options.dual_stack)?;
    }
    if server_options.reuse_port {
        sys::share_port(&socket)?;
    }
    sys::exclusive(&socket)?;
    match socket.bind(&(*address).into()) {
        Err(error) if sys::is_in_use(&error) => {
            sys::may_share(&socket, true)?;
            socket.bind(&(*address).into())?;
            sys::may_share(&socket, false)?;
        }
        outcome => outcome?,
    }
    socket.set_nonblocking(true)?;
    prepare(&SockRef::from(&socket), options)?;
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok((socket, local))
}

/// Settings that are handed down to accepted sockets where the system does that.
fn prepare(socket: &SockRef<'_>, options: &Options) -> io::Result<()> {
    socket.set_tcp_nodelay(options.no_delay)?;
    // Urgent data stay in the stream (RFC 6093): nothing that a peer sends is lost.
    socket.set_out_of_band_inline(true)
}

/// The address of a socket that a host offers, if it can be taken over. Outside: what the system says; inside: what
/// we say.
fn check_adoptable(candidate: &sys::Borrowed, listening: bool) -> io::Result<Result<SocketAddr>> {
    let unfit = |why: &'static str| Ok(Err(Failure::invalid_parameter().because(why)));
    let socket = &candidate.socket();
    if let Err(failure) = check_stream(candidate) {
        return Ok(Err(failure));
    }
    if socket.peer_addr().is_ok() {
        return unfit("the descriptor is a connection, and no listening socket");
    }
    let Some(local) = socket.local_addr()?.as_socket() else {
        return unfit("the descriptor is not a TCP socket's");
    };
    if local.port() == 0 {
        return unfit("the socket is not bound");
    }
    match sys::listens(socket)? {
        Some(false) if listening => unfit("the socket does not listen yet; adopt it with listening = false"),
        Some(true) if !listening => unfit("the socket listens already; adopt it with listening = true"),
        _ => Ok(Ok(local)),
    }
}

/// Whether a descriptor that a host offers is a stream socket.
fn check_stream(candidate: &sys::Borrowed) -> Result<()> {
    let why = match candidate.socket().r#type() {
        Ok(Type::STREAM) => return Ok(()),
        Ok(Type::DGRAM) => "the descriptor is a datagram socket; only stream sockets can be taken over".into(),
        Ok(_) => "the descriptor is no stream socket".into(),
        Err(_) => format!("the descriptor is {}; only stream sockets can be taken over", candidate.kind()),
    };
    Err(Failure::invalid_parameter().because(why))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another socket has this port; choose another one, or 0 for any free one",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
        io::ErrorKind::PermissionDenied => "this port needs a privilege; choose one from 1024 up",
        _ => "",
    }
}
