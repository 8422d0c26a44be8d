// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network that is made up: the interface of `net`, for the simulation.
//!
//! `kernel` is what stands for the system: the clock, the pollers' lists, the listening sockets. `link` is one connection with
//! both of its ends. All of it belongs to the thread, and nothing in it comes from outside: the same seed and the same calls
//! give the same run. Listening sockets are bound for real, so that ports are the system's choice; nobody connects to them.

pub(crate) mod kernel;
pub(crate) mod link;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::Socket;

pub(crate) use super::readiness::{EVENTS, News, Ready};
use crate::handle::Key;
use crate::sys::{self, Instant, LastAnswer};
use kernel::{Entry, Trouble, with};

pub(crate) fn now() -> Instant {
    with(|kernel| kernel.now())
}

pub(crate) struct Poller {
    number: u32,
    called: Arc<AtomicBool>,
    is_out: bool,
}

/// Waits for readiness, without waiting: where nothing is ready the clock jumps.
pub(crate) struct Wait {
    number: u32,
    called: Arc<AtomicBool>,
}

/// May be used from every thread, as the real one.
pub(crate) struct Waker(Arc<AtomicBool>);

impl Waker {
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.0.store(true, Ordering::Release);
        Ok(())
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Poller { number: with(kernel::Kernel::new_poller), called: Arc::default(), is_out: false })
    }

    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Ok(Waker(self.called.clone()))
    }

    pub(crate) fn descriptor(&self) -> Option<i64> {
        None
    }

    pub(crate) fn register(&self, stream: &mut Stream, key: Key) -> io::Result<()> {
        with(|kernel| kernel.register(self.number, Entry::Link(stream.0), key))
    }

    pub(crate) fn deregister(&self, stream: &mut Stream) {
        with(|kernel| kernel.deregister(Entry::Link(stream.0)));
    }

    pub(crate) fn register_listener(&self, listener: &mut Listener, key: Key) -> io::Result<()> {
        with(|kernel| kernel.register(self.number, Entry::Port(listener.port), key))
    }

    pub(crate) fn deregister_listener(&self, listener: &mut Listener) {
        with(|kernel| kernel.deregister(Entry::Port(listener.port)));
    }

    pub(crate) fn take_out(&mut self) -> Option<Wait> {
        if std::mem::replace(&mut self.is_out, true) {
            return None;
        }
        Some(Wait { number: self.number, called: self.called.clone() })
    }

    pub(crate) fn put_back(&mut self, _wait: Wait) {
        self.is_out = false;
    }
}

impl Wait {
    pub(crate) fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
        let called = self.called.swap(false, Ordering::AcqRel);
        let limit = if called { Some(Duration::ZERO) } else { limit };
        with(|kernel| kernel.wait(self.number, limit, ready))?;
        Ok(called)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        kernel::with_if_there(|kernel| kernel.forget_poller(self.number));
    }
}

/// A listening socket: a real one, at which nobody calls.
pub(crate) struct Listener {
    socket: Socket,
    port: u16,
}

impl Listener {
    pub(crate) fn new(socket: Socket, _unix_domain: bool) -> Self {
        let port = socket.local_addr().ok().and_then(|address| address.as_socket()).map_or(0, |address| address.port());
        with(|kernel| kernel.listen(port));
        Listener { socket, port }
    }

    pub(crate) fn into_socket(self) -> Socket {
        with(|kernel| kernel.close_port(self.port));
        self.socket
    }

    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        with(|kernel| kernel.accept(self.port)).map(|(number, remote)| (Stream(number), Some(remote)))
    }

    pub(crate) fn listen(&self, backlog: i32) -> io::Result<()> {
        self.socket.listen(backlog)
    }

    pub(crate) fn set_no_delay(&self, yes: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(yes)
    }

    pub(crate) fn pass_over_newcomers(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn raw(&self) -> i64 {
        sys::raw(&self.socket)
    }

    pub(crate) fn refuse(&self) {}

    pub(crate) fn close(self) {
        drop(self.into_socket());
    }

    pub(crate) fn forget(self) {
        sys::forget(self.into_socket());
    }
}

/// One connection's end that is ours, or an attempt at one.
pub(crate) struct Stream(u32);

impl Stream {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        with(|kernel| kernel.connect(address)).map(Stream)
    }

    /// The local end is made up, as everything is.
    pub(crate) fn connect_from(_socket: Socket, remote: SocketAddr) -> io::Result<Self> {
        Stream::connect(remote)
    }

    pub(crate) fn connect_path(_address: &sys::paths::Address) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn peer_credentials(&self) -> io::Result<sys::Credentials> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The made-up network has no such connection: it stays the host's.
    pub(crate) fn adopt(socket: Socket) -> io::Result<Self> {
        sys::forget(socket);
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        with(|kernel| {
            kernel.stumble(Trouble::Read)?;
            kernel.act(self.0, |link, odds| link.receive(buffer, odds))
        })
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(bytes)])
    }

    pub(crate) fn send_ahead(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    pub(crate) fn send_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        with(|kernel| {
            kernel.stumble(Trouble::Write)?;
            kernel.act(self.0, |link, odds| link.send(parts, odds))
        })
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(with(|kernel| kernel.link(self.0).error.take()).map(io::Error::from_raw_os_error))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        with(|kernel| kernel.link(self.0).remote_address())
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        with(|kernel| Ok(kernel.link(self.0).local))
    }

    pub(crate) fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn set_no_delay(&self, _yes: bool) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn keep_urgent_data_in_line(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn set_keep_alive(&self, period: Option<Duration>) -> io::Result<()> {
        with(|kernel| kernel.set_keep_alive(self.0, period));
        Ok(())
    }

    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        with(|kernel| Some(kernel.link(self.0).outbound.len() as u64))
    }

    pub(crate) fn last_answer(&self) -> Option<LastAnswer> {
        with(|kernel| {
            let clock = kernel.clock;
            Some(kernel.link(self.0).last_answer(clock))
        })
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        with(|kernel| kernel.act(self.0, |link, _| link.shut_down()))
    }

    pub(crate) fn reset(&self) {
        with(|kernel| kernel.link(self.0).resets = true);
    }

    pub(crate) fn raw(&self) -> i64 {
        i64::from(self.0)
    }

    pub(crate) fn close(self) {}

    pub(crate) fn forget(self) {}
}

impl Drop for Stream {
    fn drop(&mut self) {
        kernel::with_if_there(|kernel| kernel.close(self.0));
    }
}
