// SPDX-License-Identifier: MIT OR Apache-2.0
//! ServerSocket: bind, listen, accept, close.
//!
//! `bind` is how it comes by a port, `accept` how peers come in, `drain` how it ends in peace. Its verbs are methods of a [`ServerRef`], which has in
//! hand all that they work on.

pub(crate) mod accept;
mod bind;
pub(crate) mod drain;

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use socket2::Socket;

use crate::address;
use crate::core::connection::settings::Optional;
use crate::core::connection::{ServerShare, Transport};
use crate::core::events::Life;
use crate::core::events::listeners::Listeners;
use crate::core::host::UserData;
use crate::core::known;
use crate::core::socket::SharedConfig;
use crate::core::tls::Context;
use crate::error::{Failure, Result, of_call};
use crate::handle::{Key, Kind, Object};
use crate::log::Repeated;
use crate::memory;
use crate::options::{Name, Options, ServerOptions};
use crate::reactor::Deadline;
use crate::sys::net::Listener;
use crate::sys::paths::SocketFile;
use crate::sys::{self, Instant};

pub(crate) struct Server {
    pub life: Life,
    pub user: UserData,
    pub listeners: Listeners,
    /// What its sockets start with.
    options: Options,
    server_options: ServerOptions,
    /// What its sockets share; made anew when the options change.
    config: Option<Rc<SharedConfig>>,
    /// Its figures, which its connections count, too.
    share: Rc<ServerShare>,
    state: State,
    local: Option<Local>,
    /// Others may have the descriptor on purpose: it was adopted, or the host has asked for it.
    shared: bool,
    /// The system said that peers wait, and nothing has shown since that none is left.
    peers_wait: bool,
    /// Out of descriptors or memory: accepting waits until then.
    retry: Option<Instant>,
    /// The warning that accepting rests.
    rests: Repeated,
    /// It drains, and its connections have until then.
    drain: Option<Instant>,
    /// That time was over before they had ended.
    overdue: bool,
    /// Newcomers are passed over since.
    passes_over: bool,
    /// How long those who had begun to connect before have to come.
    grace: Option<Instant>,
    /// What is in the loop's timers.
    timer: Deadline,
    /// The host has paused accepting.
    paused: bool,
    /// What those that it accepts are secured with.
    tls: Option<Rc<Context>>,
    /// Somebody listens, or has listened, for peers.
    pub was_heard: bool,
}

impl Object for Server {
    const KIND: Kind = Kind::Server;
}

/// Where a server is to be found.
pub(crate) struct Local {
    /// `None`: at a path.
    pub address: Option<SocketAddr>,
    /// The address in digits, or the path.
    pub text: CString,
    /// What the path's socket has made there, if it is ours.
    file: Option<SocketFile>,
}

impl Local {
    fn at_address(address: SocketAddr) -> Self {
        Local { address: Some(address), text: address::text(&address), file: None }
    }

    fn at_path(text: CString, file: Option<SocketFile>) -> Self {
        Local { address: None, text, file }
    }
}

enum State {
    Fresh,
    Bound(Socket),
    Listening(Listener),
    Closed,
}

/// A server, and what it lives on.
pub(crate) struct ServerRef<'a> {
    pub key: Key,
    pub server: &'a mut Server,
    pub transport: &'a mut Transport,
}

impl Server {
    pub(crate) fn new() -> Result<Self> {
        let server_options = ServerOptions::default();
        let share = memory::shared(ServerShare::new(server_options.linger_bytes, server_options.unread_limit))?;
        Ok(Server {
            life: Life::OWNED,
            user: UserData::NONE,
            listeners: Listeners::EMPTY,
            options: Options::default(),
            server_options,
            config: None,
            share,
            state: State::Fresh,
            local: None,
            shared: false,
            peers_wait: false,
            retry: None,
            rests: Repeated::default(),
            drain: None,
            overdue: false,
            passes_over: false,
            grace: None,
            timer: Deadline::NONE,
            paused: false,
            tls: None,
            was_heard: false,
        })
    }

    pub(crate) fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(_) | State::Listening(_))
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Peers can still come to it.
    pub(crate) fn is_open(&self) -> bool {
        self.is_listening() || self.is_draining()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn context(&self) -> Option<Rc<Context>> {
        self.tls.clone()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    pub(crate) fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// Nobody finds it by its path any more. To be called while its socket is open.
    fn remove_file(&mut self) {
        if let Some(file) = self.local.as_mut().and_then(|local| local.file.take()) {
            file.remove();
        }
    }

    fn is_at_path(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.address.is_none())
    }

    pub(crate) fn share(&self) -> &Rc<ServerShare> {
        &self.share
    }

    /// A peer that nobody kept.
    pub(crate) fn count_refused(&self) {
        self.share.refused.set(self.share.refused.get() + 1);
    }

    /// The descriptor, for the host, which may hand it on.
    pub(crate) fn native_handle(&mut self) -> Option<i64> {
        let descriptor = self.descriptor()?;
        self.shared = true;
        Some(descriptor)
    }

    pub(crate) fn descriptor(&self) -> Option<i64> {
        match &self.state {
            State::Bound(socket) => Some(sys::raw(socket)),
            State::Listening(listener) => Some(listener.raw()),
            State::Fresh | State::Closed => None,
        }
    }

    /// What a socket that it accepts now starts with.
    fn config(&mut self) -> Result<Rc<SharedConfig>> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let local =
            self.local.as_ref().and_then(|local| local.address).filter(|address| !address.ip().is_unspecified());
        let config = memory::shared(SharedConfig { options: self.options, local })?;
        Ok(self.config.insert(config).clone())
    }

    pub(crate) fn option(&self, name: Name) -> i64 {
        self.options.get(name).unwrap_or_else(|| self.server_options.get(name))
    }

    /// Whether the descriptor is still our listening socket. `Err` says why not.
    pub(crate) fn probe(&self) -> io::Result<()> {
        match &self.state {
            State::Listening(listener) => listener.probe(),
            _ => Ok(()),
        }
    }
}

impl ServerRef<'_> {
    /// Sets an option of the server, or of the sockets that it will accept.
    pub(crate) fn set_option(&mut self, name: Name, value: i64) -> Result<()> {
        let server = &mut *self.server;
        if name.is_for_bind() && !matches!(server.state, State::Fresh) {
            return Err(Failure::invalid_socket().because("set this option before the server is bound"));
        }
        if name == Name::ReusePort && value == 1 && !sys::CAN_SHARE_PORTS {
            return Err(Failure::unsupported());
        }
        let mut options = server.options;
        match options.set(name, value) {
            None => server.server_options.set(name, value)?,
            Some(outcome) => outcome?,
        }
        if name == Name::NoDelay && !server.is_at_path() {
            // Where accepted sockets inherit it, the listening socket must know.
            let outcome = match &server.state {
                State::Bound(socket) => socket.set_tcp_nodelay(options.no_delay),
                State::Listening(listener) => listener.set_no_delay(options.no_delay),
                State::Fresh | State::Closed => Ok(()),
            };
            let outcome = outcome.map_err(of_call("setsockopt TCP_NODELAY"));
            outcome.map_err(|failed| Failure::invalid_socket().with_call(&failed, "the option stays as it was"))?;
        }
        server.options = options;
        server.config = None;
        server.share.linger_limit.set(server.server_options.linger_bytes);
        match name {
            Name::MaxConnections => self.resume_accepting(),
            Name::LingerBytes => self.transport.keep_lingering_bounded(&self.server.share.clone()),
            Name::UnreadLimit => {
                server.share.set_unread_limit(server.server_options.unread_limit, &mut self.transport.reactor)
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn set_paused(&mut self, paused: bool) -> Result<()> {
        if matches!(self.server.state, State::Closed) {
            return Err(Failure::invalid_socket().because("the server is closed"));
        }
        self.server.paused = paused;
        self.resume_accepting();
        Ok(())
    }

    /// What those that it accepts from now on are secured with; `None`: they are plain.
    pub(crate) fn set_tls(&mut self, context: Option<Rc<Context>>) -> Result<()> {
        if matches!(self.server.state, State::Closed) {
            return Err(Failure::invalid_socket().because("the server is closed"));
        }
        self.server.tls = context;
        Ok(())
    }

    pub(crate) fn listen(&mut self, backlog: i32) -> Result<()> {
        match &self.server.state {
            _ if self.server.is_draining() => {
                return Err(Failure::invalid_socket().because("the server is draining; make a new one"));
            }
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
        let outcome = match std::mem::replace(&mut self.server.state, State::Closed) {
            State::Bound(socket) => self.start_listening(socket, backlog),
            state => {
                self.server.state = state;
                match &self.server.state {
                    State::Listening(listener) => listener.listen(backlog),
                    _ => Ok(()),
                }
            }
        };
        outcome.map_err(|error| Failure::invalid_socket().with_system("listen", &error, ""))
    }

    fn start_listening(&mut self, socket: Socket, backlog: i32) -> io::Result<()> {
        // Inherited by accepted sockets: else what remains of them would block a restart of the server.
        let unix_domain = self.server.is_at_path();
        if !unix_domain {
            self.transport.refusals.note(Optional::ReuseAddress, sys::may_share(&socket, true));
        }
        if let Err(error) = socket.listen(backlog) {
            let _ = sys::may_share(&socket, false);
            self.server.state = State::Bound(socket);
            return Err(error);
        }
        let mut listener = Listener::new(socket, unix_domain);
        if let Err(error) = self.transport.reactor.poller.register_listener(&mut listener, self.key) {
            // The system's queue stays open, but to the host this is a bound socket whose listen may be tried again.
            self.server.state = State::Bound(listener.into_socket());
            return Err(error);
        }
        self.server.state = State::Listening(listener);
        self.transport.active += 1;
        self.transport.reactor.remote().count_server(true);
        Ok(())
    }

    /// `close()`. Peers that were not accepted yet are reset by the system.
    pub(crate) fn close(&mut self) -> Result<()> {
        crate::inject::point();
        if !self.server.is_bound() && !self.server.is_draining() {
            return Err(Failure::cannot_close().because("the server is not open; look at ss_bound first"));
        }
        self.server.drain = None;
        self.close_port();
        if self.server.tls.is_some() {
            self.give_up_handshakes();
        }
        Ok(())
    }

    /// Gives the port back, if it has one still.
    pub(crate) fn close_port(&mut self) {
        if !self.server.shared {
            self.server.remove_file();
        }
        // A child may hold a copy of the descriptor, without knowing.
        let leaked = sys::has_forked() && !self.server.shared;
        match self.end() {
            State::Listening(mut listener) => {
                if sys::has_forked() {
                    // The copy would keep its place in the poll set.
                    self.transport.reactor.poller.deregister_listener(&mut listener);
                }
                if leaked {
                    listener.refuse();
                }
                listener.close();
            }
            State::Bound(socket) => {
                if leaked {
                    // Else the copy would keep the port. What fails here leaves it so.
                    let _ = sys::may_share(&socket, true);
                }
                sys::close(socket);
            }
            State::Fresh | State::Closed => {}
        }
    }

    /// The operating system, or somebody with our descriptor, has ended the listening socket.
    pub(crate) fn lose(&mut self, not_ours: bool) {
        if !not_ours {
            self.close_port();
        } else if let State::Listening(listener) = self.end() {
            listener.forget();
        }
    }

    fn end(&mut self) -> State {
        self.server.descriptor().into_iter().for_each(known::forget);
        if self.server.is_listening() {
            self.transport.active -= 1;
            self.transport.reactor.remote().count_server(false);
        }
        (self.server.retry, self.server.grace) = (None, None);
        self.arm();
        self.server.local = None;
        self.server.config = None;
        std::mem::replace(&mut self.server.state, State::Closed)
    }
}
