// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library asks of the network: sockets that listen, connections, a poller and a clock.
//!
//! This is the one place from which a connection's calls reach the system. `simulated` has the same interface over a
//! made-up network, for the tests that drive the library through schedules no real network would repeat.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::{SockRef, Socket};

pub(crate) use super::readiness::{EVENTS, News, Ready};
use crate::handle::Key;
use crate::sys::{self, Instant, LastAnswer};

/// No key has these bits.
const WAKER: Token = Token(0);

#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The poller: epoll, kqueue, or what Windows has. `None` while the thread waits.
pub(crate) struct Poller(Option<Wait>);

/// What waits for readiness. It is taken out of its poller for that time, so that nothing is borrowed meanwhile.
pub(crate) struct Wait {
    poll: Poll,
    events: Events,
}

pub(crate) type Waker = mio::Waker;

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Poller(Some(Wait { poll: Poll::new()?, events: Events::with_capacity(EVENTS) })))
    }

    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.registry()?, WAKER)
    }

    fn registry(&self) -> io::Result<&Registry> {
        self.0.as_ref().map(|wait| wait.poll.registry()).ok_or(io::ErrorKind::ResourceBusy.into())
    }

    /// The descriptor that becomes readable whenever there is something to tell, where there is one.
    pub(crate) fn descriptor(&self) -> Option<i64> {
        sys::pollable(&self.0.as_ref()?.poll)
    }

    pub(crate) fn register(&self, stream: &mut Stream, key: Key) -> io::Result<()> {
        self.registry()?.register(&mut stream.0, Token(key.bits()), sys::interest())
    }

    /// Fails only for a descriptor that is not registered (any more), which is what is wanted.
    pub(crate) fn deregister(&self, stream: &mut Stream) {
        let _ = self.registry().and_then(|registry| registry.deregister(&mut stream.0));
    }

    pub(crate) fn register_listener(&self, listener: &mut Listener, key: Key) -> io::Result<()> {
        self.registry()?.register(&mut listener.socket, Token(key.bits()), Interest::READABLE)
    }

    pub(crate) fn deregister_listener(&self, listener: &mut Listener) {
        let _ = self.registry().and_then(|registry| registry.deregister(&mut listener.socket));
    }

    pub(crate) fn take_out(&mut self) -> Option<Wait> {
        self.0.take()
    }

    pub(crate) fn put_back(&mut self, wait: Wait) {
        self.0 = Some(wait);
    }
}

impl Wait {
    /// Waits, appends what is ready to `ready`, and says whether somebody has used the waker. A signal ends the wait
    /// early, so that a host can look at what its handler noted down.
    pub(crate) fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, limit) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            outcome => outcome?,
        }
        let mut called = false;
        let mut list = std::mem::take(ready);
        for event in &self.events {
            if event.token() == WAKER {
                called = true;
                continue;
            }
            let news = if event.is_read_closed() || event.is_error() || event.is_priority() {
                rare_news(event)
            } else if event.is_readable() {
                News::Bytes
            } else {
                News::Nothing
            };
            list.push(Ready { key: Key::from_bits(event.token().0), news, writable: event.is_writable() });
        }
        *ready = list;
        Ok(called)
    }
}

#[cold]
fn rare_news(event: &Event) -> News {
    if event.is_error() {
        News::Broken
    } else if event.is_read_closed() {
        News::TheEnd
    } else {
        News::Urgent
    }
}

/// A listening socket.
pub(crate) struct Listener {
    socket: TcpListener,
    unix_domain: bool,
}

impl Listener {
    /// Of a socket that listens already.
    pub(crate) fn new(socket: Socket, unix_domain: bool) -> Self {
        Listener { socket: TcpListener::from_std(socket.into()), unix_domain }
    }

    pub(crate) fn into_socket(self) -> Socket {
        std::net::TcpListener::from(self.socket).into()
    }

    /// Takes one peer out of the system's queue. One of a Unix-domain socket has no address.
    #[inline]
    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        if self.unix_domain {
            return sys::paths::accept(&self.socket).map(|stream| (Stream(stream), None));
        }
        sys::accept(&self.socket).map(|(stream, remote)| (Stream(stream), Some(remote)))
    }

    /// Changes the backlog.
    pub(crate) fn listen(&self, backlog: i32) -> io::Result<()> {
        SockRef::from(&self.socket).listen(backlog)
    }

    pub(crate) fn set_no_delay(&self, yes: bool) -> io::Result<()> {
        SockRef::from(&self.socket).set_tcp_nodelay(yes)
    }

    /// Nobody begins to connect at it any more; who has come can be accepted. Where there is no such thing it fails.
    pub(crate) fn pass_over_newcomers(&self) -> io::Result<()> {
        sys::pass_over_newcomers(&self.socket)
    }

    /// Whether the descriptor still is a listening socket. `Err` says why not.
    pub(crate) fn probe(&self) -> io::Result<()> {
        sys::still_listens(&self.socket)
    }

    pub(crate) fn raw(&self) -> i64 {
        sys::raw(&self.socket)
    }

    /// Nobody can connect from now on, whoever else holds the descriptor, where the system has such a call.
    pub(crate) fn refuse(&self) {
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
    }

    pub(crate) fn close(self) {
        sys::close(self.socket);
    }

    /// Gives the descriptor up without closing it.
    pub(crate) fn forget(self) {
        sys::forget(self.socket);
    }
}

/// One connection, or an attempt at one.
pub(crate) struct Stream(TcpStream);

impl Stream {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        sys::uncancelled(|| TcpStream::connect(address)).map(Stream)
    }

    /// Connects a socket whose local end is chosen.
    pub(crate) fn connect_from(socket: Socket, remote: SocketAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        match sys::uncancelled(|| socket.connect(&remote.into())) {
            Err(error) if !sys::is_under_way(&error) => Err(error),
            _ => Stream::adopt(socket),
        }
    }

    pub(crate) fn connect_path(address: &sys::paths::Address) -> io::Result<Self> {
        sys::paths::connect(address).and_then(Stream::adopt)
    }

    /// Who the peer is, for a Unix-domain socket.
    pub(crate) fn peer_credentials(&self) -> io::Result<sys::Credentials> {
        sys::paths::peer_credentials(&self.0)
    }

    /// Of a connection that the host has handed over.
    pub(crate) fn adopt(socket: Socket) -> io::Result<Self> {
        Ok(Stream(TcpStream::from_std(socket.into())))
    }

    #[inline(always)]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match sys::receive(&self.0, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    #[inline(always)]
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(|| sys::send(&self.0, bytes))
    }

    /// As [`send`](Self::send), of what need not leave before what follows, which is not far.
    pub(crate) fn send_ahead(&self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(|| sys::send_ahead(&self.0, bytes))
    }

    pub(crate) fn send_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.retry(|| sys::uncancelled(|| SockRef::from(&self.0).send_vectored_with_flags(parts, sys::SEND_FLAGS)))
    }

    /// Until no signal comes between.
    #[inline]
    fn retry(&self, call: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match self.0.try_io(&call) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// What every connection needs on this system, accepted or not; one for which it fails must not be written to.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        sys::prepare_stream(&self.0)
    }

    pub(crate) fn set_no_delay(&self, yes: bool) -> io::Result<()> {
        SockRef::from(&self.0).set_tcp_nodelay(yes)
    }

    /// Urgent data stay in the stream (RFC 6093): nothing that a peer sends is lost.
    pub(crate) fn keep_urgent_data_in_line(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_out_of_band_inline(true)
    }

    /// Has the system probe a peer that is silent for that long; `None`: it does not.
    pub(crate) fn set_keep_alive(&self, period: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        match period {
            None => socket.set_keepalive(false),
            Some(period) => socket.set_tcp_keepalive(&sys::keep_alive(period)),
        }
    }

    /// How many bytes were handed to the system that the peer has not acknowledged, where the system tells.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        sys::unacknowledged(&self.0)
    }

    /// When the peer's system last answered, where ours tells.
    pub(crate) fn last_answer(&self) -> Option<LastAnswer> {
        sys::last_answer(&self.0)
    }

    /// Ends our side: FIN.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Makes the end of the connection a reset. If it fails the end is an ordinary one, and nothing better can be done.
    pub(crate) fn reset(&self) {
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
        if sys::has_forked() {
            // A child may hold a copy of the descriptor, so that closing ours would send nothing.
            sys::disconnect(&self.0);
        }
    }

    pub(crate) fn raw(&self) -> i64 {
        sys::raw(&self.0)
    }

    pub(crate) fn close(self) {
        sys::close(self.0);
    }

    /// Gives the descriptor up without closing it.
    pub(crate) fn forget(self) {
        sys::forget(self.0);
    }
}
