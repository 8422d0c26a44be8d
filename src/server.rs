//! ServerSocket: bind, listen, accept, close.
//!
//! One server by itself. Which events come of it, and what else lives on the loop, is `objects`' business.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::address;
use crate::dispatcher::Dispatcher;
use crate::error::{Failure, Result};
use crate::event::Life;
use crate::foreign::UserData;
use crate::handle::Key;
use crate::memory;
use crate::options::{Name, Options, ServerOptions};
use crate::origin::Origin;
use crate::reactor::Reactor;
use crate::sys;

pub(crate) struct Server {
    pub life: Life,
    pub user: UserData,
    pub dispatcher: Dispatcher,
    /// The loop it lives on.
    pub home: Key,
    /// What its sockets start with.
    pub options: Options,
    pub server_options: ServerOptions,
    /// What its sockets share; made anew when the options change.
    origin: Option<Rc<Origin>>,
    pub figures: Figures,
    pub bytes_in: Rc<Cell<u64>>,
    state: State,
    local: Option<(SocketAddr, CString)>,
    /// The kernel said that peers wait, and nothing has shown since that none is left.
    pub peers_wait: bool,
    /// It is in the loop's list of the ready.
    pub queued: bool,
    /// Out of descriptors or memory: accepting waits until then.
    pub retry: Option<Instant>,
    /// The host has paused accepting.
    pub paused: bool,
}

/// What has happened so far. Traffic is that of connections that have ended; those that are open count their own.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub accepted: u64,
    pub open: u64,
    pub refused: u64,
    pub accept_deferred: u64,
    pub bytes_out: u64,
    pub errors: u64,
}

enum State {
    Fresh,
    Bound(Socket),
    Listening(TcpListener),
    Closed,
}

impl Server {
    pub(crate) fn new(home: Key) -> Self {
        Server {
            life: Life::OWNED,
            user: UserData::NONE,
            dispatcher: Dispatcher::EMPTY,
            home,
            options: Options::default(),
            server_options: ServerOptions::default(),
            origin: None,
            figures: Figures::default(),
            bytes_in: Rc::default(),
            state: State::Fresh,
            local: None,
            peers_wait: false,
            queued: false,
            retry: None,
            paused: false,
        }
    }

    pub(crate) fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(_) | State::Listening(_))
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    pub(crate) fn local(&self) -> Option<&(SocketAddr, CString)> {
        self.local.as_ref()
    }

    pub(crate) fn native_handle(&self) -> Option<i64> {
        match &self.state {
            State::Bound(socket) => Some(sys::raw(socket)),
            State::Listening(listener) => Some(sys::raw(listener)),
            State::Fresh | State::Closed => None,
        }
    }

    pub(crate) fn bind(&mut self, port: i32, address: &str) -> Result<()> {
        let port = address::port(port)?;
        let address = address::parse(address, port)?;
        self.check_fresh()?;
        let (socket, local) = bind(&address, &self.options, &self.server_options).map_err(|error| {
            Failure::invalid_socket().with_system(format!("bind {address}"), &error, bind_advice(&error))
        })?;
        self.local = Some((local, address::text(&local)));
        self.state = State::Bound(socket);
        Ok(())
    }

    fn check_fresh(&self) -> Result<()> {
        match self.state {
            State::Fresh => Ok(()),
            State::Closed => {
                Err(Failure::invalid_socket().because("a closed server cannot be opened again; make a new one"))
            }
            _ => Err(Failure::invalid_socket()
                .because("the server is already bound; close it and make a new one to bind elsewhere")),
        }
    }

    /// Takes over a socket that was bound, and perhaps listens, already. It stays the host's if this fails.
    pub(crate) fn adopt(&mut self, descriptor: i64, listening: bool, reactor: &Reactor, key: Key) -> Result<()> {
        self.check_fresh()?;
        let refused = |error: io::Error| {
            Failure::invalid_socket().with_system(format!("adopt descriptor {descriptor}"), &error, "")
        };
        let candidate = sys::Borrowed::new(descriptor).map_err(refused)?;
        let local = check_adoptable(&candidate.socket(), listening).map_err(refused)??;
        let settle = |socket: &SockRef<'_>| {
            socket.set_nonblocking(true)?;
            sys::close_on_exec(socket)?;
            prepare(socket, &self.options)
        };
        settle(&candidate.socket()).map_err(refused)?;
        if listening {
            let mut listener = TcpListener::from_std(candidate.take().into());
            if let Err(error) = reactor.register(&mut listener, key, Interest::READABLE) {
                sys::forget(listener);
                return Err(refused(error));
            }
            self.state = State::Listening(listener);
        } else {
            self.state = State::Bound(candidate.take());
        }
        self.local = Some((local, address::text(&local)));
        Ok(())
    }

    /// Sets an option of the server, or of the sockets that it will accept.
    pub(crate) fn set_option(&mut self, name: Name, value: i64) -> Result<()> {
        if name.is_for_bind() && !matches!(self.state, State::Fresh) {
            return Err(Failure::invalid_socket().because("set this option before the server is bound"));
        }
        if name == Name::ReusePort && value == 1 && !sys::CAN_SHARE_PORTS {
            return Err(Failure::unsupported());
        }
        let mut options = self.options;
        match options.set(name, value) {
            None => return self.server_options.set(name, value),
            Some(outcome) => outcome?,
        }
        if name == Name::NoDelay {
            // Where accepted sockets inherit it, the listening socket must know.
            let failed = |error: io::Error| Failure::invalid_socket().with_system("set TCP_NODELAY", &error, "");
            match &self.state {
                State::Bound(socket) => socket.set_tcp_nodelay(options.no_delay).map_err(failed)?,
                State::Listening(listener) => {
                    SockRef::from(listener).set_tcp_nodelay(options.no_delay).map_err(failed)?;
                }
                State::Fresh | State::Closed => {}
            }
        }
        self.options = options;
        self.origin = None;
        Ok(())
    }

    pub(crate) fn origin(&mut self, key: Key) -> Result<Rc<Origin>> {
        match &self.origin {
            Some(origin) => Ok(origin.clone()),
            None => {
                let origin = Origin {
                    home: self.home,
                    server: Some(key),
                    bytes_in: self.bytes_in.clone(),
                    options: self.options,
                };
                Ok(self.origin.insert(memory::shared(origin)?).clone())
            }
        }
    }

    pub(crate) fn option(&self, name: Name) -> i64 {
        self.options.get(name).unwrap_or_else(|| self.server_options.get(name))
    }

    pub(crate) fn set_paused(&mut self, paused: bool) -> Result<()> {
        if matches!(self.state, State::Closed) {
            return Err(Failure::invalid_socket().because("the server is closed"));
        }
        self.paused = paused;
        Ok(())
    }

    /// Whether as many connections are open as may be.
    fn is_full(&self) -> bool {
        let limit = u64::from(self.server_options.max_connections);
        limit > 0 && self.figures.open >= limit
    }

    pub(crate) fn listen(&mut self, backlog: i32, reactor: &Reactor, key: Key) -> Result<()> {
        match &self.state {
            State::Closed => return Err(Failure::invalid_socket().because("the server is closed; make a new one")),
            State::Fresh if backlog >= 0 => {
                return Err(Failure::invalid_socket().because("bind the server before it listens"));
            }
            _ if backlog < 0 => {
                return Err(Failure::out_of_range()
                    .because(format!("backlog {backlog}: it must not be negative; 0 is the system's maximum")));
            }
            _ => {}
        }
        let backlog = if backlog == 0 { i32::MAX } else { backlog };
        let failed = |error: io::Error| Failure::invalid_socket().with_system("listen", &error, "");
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Bound(socket) => {
                let (state, outcome) = start_listening(socket, backlog, reactor, key);
                self.state = state;
                outcome.map_err(failed)
            }
            state => {
                self.state = state;
                let State::Listening(listener) = &self.state else { unreachable!("refused above") };
                SockRef::from(listener).listen(backlog).map_err(failed)
            }
        }
    }

    /// `close()`. Peers that were not accepted yet are reset by the system.
    pub(crate) fn close(&mut self, reactor: &mut Reactor, key: Key) -> Result<()> {
        if !self.is_bound() {
            return Err(Failure::cannot_close().because("the server is not open; look at ss_bound first"));
        }
        reactor.timers.set(key, &mut self.retry, None);
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Listening(mut listener) => {
                if sys::has_forked() {
                    // A child may hold a copy of the descriptor, which would keep its place in the poll set.
                    reactor.deregister(&mut listener);
                }
                sys::close(listener);
            }
            State::Bound(socket) => sys::close(socket),
            State::Fresh | State::Closed => {}
        }
        self.local = None;
        Ok(())
    }

    /// The operating system, or somebody with our descriptor, has ended the listening socket.
    pub(crate) fn lose(&mut self, reactor: &mut Reactor, key: Key, not_ours: bool) {
        if not_ours && let State::Listening(listener) = std::mem::replace(&mut self.state, State::Closed) {
            sys::forget(listener);
            self.local = None;
            reactor.timers.set(key, &mut self.retry, None);
        } else {
            let _ = self.close(reactor, key);
        }
    }

    pub(crate) fn may_accept(&self) -> bool {
        self.is_listening() && self.retry.is_none() && !self.paused && !self.is_full()
    }

    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.state {
            State::Listening(listener) => listener.accept(),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether the descriptor is still our listening socket. `Err` says why not.
    pub(crate) fn probe(&self) -> io::Result<()> {
        match &self.state {
            State::Listening(listener) => sys::still_listens(listener),
            _ => Ok(()),
        }
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
fn check_adoptable(socket: &SockRef<'_>, listening: bool) -> io::Result<Result<SocketAddr>> {
    let unfit = |why: &'static str| Ok(Err(Failure::invalid_parameter().because(why)));
    if socket.r#type()? != Type::STREAM {
        return unfit("the descriptor is not a stream socket's");
    }
    let Some(local) = socket.local_addr()?.as_socket() else {
        return unfit("the descriptor is not a TCP socket's");
    };
    if local.port() == 0 {
        return unfit("the socket is not bound");
    }
    match sys::listens(socket)? {
        Some(listens) if listens != listening => match listening {
            true => unfit("the socket does not listen yet; adopt it with listening = false"),
            false => unfit("the socket listens already; adopt it with listening = true"),
        },
        _ => Ok(Ok(local)),
    }
}

fn start_listening(socket: Socket, backlog: i32, reactor: &Reactor, key: Key) -> (State, io::Result<()>) {
    // Inherited by accepted sockets: else what remains of them would block a restart of the server.
    if let Err(error) = sys::may_share(&socket, true).and_then(|()| socket.listen(backlog)) {
        let _ = sys::may_share(&socket, false);
        return (State::Bound(socket), Err(error));
    }
    let mut listener = TcpListener::from_std(socket.into());
    match reactor.register(&mut listener, key, Interest::READABLE) {
        Ok(()) => (State::Listening(listener), Ok(())),
        // The kernel's queue stays open, but to the host this is a bound socket whose listen may be tried again.
        Err(error) => (State::Bound(std::net::TcpListener::from(listener).into()), Err(error)),
    }
}

fn bind_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another socket has this port; choose another one, or 0 for any free one",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
        io::ErrorKind::PermissionDenied => "this port needs a privilege; choose one from 1024 up",
        _ => "",
    }
}
