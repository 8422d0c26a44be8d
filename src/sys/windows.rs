// SPDX-License-Identifier: MIT OR Apache-2.0
//! Windows.

use std::ffi::c_int;
use std::io;
use std::net::SocketAddr;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, FromRawSocket, IntoRawSocket, RawSocket};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll};
use socket2::{SockRef, Socket, TcpKeepalive};
use windows_sys::Win32::Networking::WinSock;
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

use super::{AcceptError, LastAnswer};

/// mio arms a socket again only when an operation would have blocked.
pub(crate) const SHORT_READ_DRAINS: bool = false;
pub(crate) const SEND_FLAGS: c_int = 0;

pub(crate) fn monotonic_nanoseconds() -> u64 {
    let (mut count, mut each_second) = (0, 0);
    // SAFETY: both are places for a number. They do not fail on any Windows that Rust's library runs on.
    unsafe {
        QueryPerformanceFrequency(&mut each_second);
        QueryPerformanceCounter(&mut count);
    }
    let nanoseconds = i128::from(count) * 1_000_000_000 / i128::from(each_second.max(1));
    u64::try_from(nanoseconds).unwrap_or(0)
}

pub(crate) fn interest() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

/// A completion port is nothing that a host could wait for together with other things.
pub(crate) fn pollable(_poll: &Poll) -> Option<i64> {
    None
}

pub(crate) fn keep_alive(period: Duration) -> TcpKeepalive {
    TcpKeepalive::new().with_time(period).with_interval(period)
}

#[inline]
pub(crate) fn fork_epoch() -> u32 {
    0
}

#[inline]
pub(crate) fn has_forked() -> bool {
    false
}

/// Nothing forks here.
pub(crate) fn note_fork(_in_child: bool) {}

pub(crate) fn watch_forks(_prepare: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}

/// A thread's own variables are ended with it, also when the process exits.
pub(crate) fn at_exit(_function: extern "C" fn()) {}

/// Nothing has to be done when the library is loaded.
macro_rules! at_load {
    ($function:path) => {
        const _: extern "C" fn() = $function;
    };
}
pub(crate) use at_load;

/// There are no signals.
pub(crate) fn without_signals<T>(make: impl FnOnce() -> T) -> T {
    make()
}

pub(crate) fn raw(socket: &impl AsRawSocket) -> i64 {
    socket.as_raw_socket() as i64
}

/// As dropping it, but without complaint if a host has closed the socket behind our back.
pub(crate) fn close(socket: impl IntoRawSocket) {
    // SAFETY: the socket was ours until now. If it is not any more there is nothing that we could do about it.
    unsafe { WinSock::closesocket(socket.into_raw_socket() as WinSock::SOCKET) };
}

pub(crate) fn forget(socket: impl IntoRawSocket) {
    let _ = socket.into_raw_socket();
}

/// Without this any process may bind the same port with SO_REUSEADDR and take the connections.
pub(crate) fn exclusive(socket: &Socket) -> io::Result<()> {
    let yes: c_int = 1;
    // SAFETY: a valid socket, and an option value of the size that is given.
    let status = unsafe {
        WinSock::setsockopt(
            socket.as_raw_socket() as WinSock::SOCKET,
            WinSock::SOL_SOCKET,
            WinSock::SO_EXCLUSIVEADDRUSE,
            (&raw const yes).cast(),
            size_of::<c_int>() as c_int,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Here SO_REUSEADDR means to share a port that is in use; connections in TIME_WAIT never hinder a bind.
pub(crate) fn may_share(_socket: &impl AsSocket, _yes: bool) -> io::Result<()> {
    Ok(())
}

pub(crate) const INHERITS_SETTINGS: bool = false;

/// What accept makes may be inherited by child processes, unlike the sockets that we ask for ourselves.
pub(crate) fn prepare_stream(stream: &TcpStream) -> io::Result<()> {
    close_on_exec(&SockRef::from(stream))
}

/// A socket of the host, looked at before it is taken over.
pub(crate) struct Borrowed(BorrowedSocket<'static>);

impl Borrowed {
    pub(crate) fn new(descriptor: i64) -> io::Result<Self> {
        let descriptor = RawSocket::try_from(descriptor)
            .ok()
            .filter(|descriptor| *descriptor != RawSocket::MAX)
            .ok_or_else(|| io::Error::from_raw_os_error(WinSock::WSAENOTSOCK))?;
        // SAFETY: the host vouches that it is a socket and stays open during the call.
        Ok(Borrowed(unsafe { BorrowedSocket::borrow_raw(descriptor) }))
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }

    /// What it is, if it is no socket, where the system tells.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        None
    }

    /// From here on the socket is ours. To be called once.
    pub(crate) fn take(&self) -> Socket {
        // SAFETY: the host hands it over.
        unsafe { Socket::from_raw_socket(self.0.as_raw_socket()) }
    }
}

/// A child process does not inherit it.
pub(crate) fn close_on_exec(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_no_inherit(true)
}

pub(crate) fn listens(socket: &SockRef<'_>) -> io::Result<Option<bool>> {
    option(socket, WinSock::SO_ACCEPTCONN).map(|value| Some(value != 0))
}

/// Options of the socket's own level that are an int, which no portable crate has.
fn option(socket: &SockRef<'_>, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as c_int;
    // SAFETY: an open socket, and room for a value of the size that is given.
    let status = unsafe {
        WinSock::getsockopt(
            socket.as_raw_socket() as WinSock::SOCKET,
            WinSock::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if status == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

pub(crate) const CAN_SHARE_PORTS: bool = false;

pub(crate) fn share_port(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn accept_error(error: &io::Error) -> AcceptError {
    match error.raw_os_error() {
        Some(WinSock::WSAEWOULDBLOCK) => AcceptError::Drained,
        Some(WinSock::WSAEMFILE | WinSock::WSAENOBUFS) => AcceptError::NotNow,
        Some(WinSock::WSAENOTSOCK | WinSock::WSAEINVAL | WinSock::WSAEOPNOTSUPP | WinSock::WSANOTINITIALISED) => {
            AcceptError::Fatal
        }
        // A peer that is gone again before it was accepted: WSAECONNRESET, and from other makers of Winsock
        // WSAENOTCONN and more. No peer may close the server.
        _ => AcceptError::Next,
    }
}

/// Nothing is unwound when a thread ends here.
pub(crate) fn uncancelled<T>(call: impl FnOnce() -> T) -> T {
    call()
}

pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    listener.accept()
}

pub(crate) fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut stream, buffer)
}

pub(crate) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(stream).send_with_flags(bytes, SEND_FLAGS)
}

/// As [`send`], of what need not leave before what follows; Windows has no word for that.
pub(crate) fn send_ahead(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    send(stream, bytes)
}

/// There are no handlers that a thread is interrupted by.
pub(crate) fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    call()
}

pub(crate) fn name_error(number: i32) -> String {
    crate::error::system_message(number)
}

pub(crate) fn unacknowledged(_stream: &TcpStream) -> Option<u64> {
    None
}

pub(crate) fn last_answer(_stream: &TcpStream) -> Option<LastAnswer> {
    None
}

/// Nothing forks here, so that closing is enough.
pub(crate) fn disconnect(_stream: &TcpStream) {}

pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WinSock::WSAENOBUFS)
}

/// Whether it still is a listening socket; nobody tells us when a host closes it behind our back.
pub(crate) fn still_listens(listener: &impl AsSocket) -> io::Result<()> {
    match listens(&SockRef::from(listener))? {
        Some(false) => Err(io::Error::from_raw_os_error(WinSock::WSAENOTSOCK)),
        _ => Ok(()),
    }
}

pub(crate) fn pass_over_newcomers(_listener: &impl AsSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_not_ours(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WinSock::WSAENOTSOCK)
}

pub(crate) const TIMED_OUT: i32 = WinSock::WSAETIMEDOUT;
pub(crate) const REFUSED: i32 = WinSock::WSAECONNREFUSED;
pub(crate) const OTHER_FAMILY: i32 = WinSock::WSAEAFNOSUPPORT;
pub(crate) const BROKEN: i32 = WinSock::WSASYSCALLFAILURE;
pub(crate) const NO_MEMORY: i32 = WinSock::WSAENOBUFS;
/// There is no EPROTO.
pub(crate) const PROTOCOL: i32 = WinSock::WSAECONNABORTED;
pub(crate) const NO_SUCH_NAME: i32 = WinSock::WSAHOST_NOT_FOUND;

/// No port is privileged here.
pub(crate) fn needs_privilege(_error: &io::Error, _port: u16) -> bool {
    false
}

pub(crate) fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// What connecting says when it does not wait.
pub(crate) fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WinSock::WSAEWOULDBLOCK)
}

/// Windows writes interfaces as numbers, which need no look-up.
pub(crate) fn interface_index(_name: &str) -> io::Result<u32> {
    Err(io::ErrorKind::NotFound.into())
}
