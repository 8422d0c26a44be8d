//! Windows.

use std::ffi::c_int;
use std::io;
use std::os::windows::io::{AsRawSocket, AsSocket, IntoRawSocket};

use mio::Interest;
use mio::net::TcpStream;
use socket2::{SockRef, Socket};
use windows_sys::Win32::Networking::WinSock;

use super::AcceptError;

/// mio arms a socket again only when an operation would have blocked.
pub(crate) const SHORT_READ_DRAINS: bool = false;
pub(crate) const SEND_FLAGS: c_int = 0;

pub(crate) fn interest() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

#[inline]
pub(crate) fn fork_epoch() -> u32 {
    0
}

#[inline]
pub(crate) fn has_forked() -> bool {
    false
}

pub(crate) fn on_fork(_before: fn(), _after: fn()) {}

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

pub(crate) fn prepare_accepted(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_nodelay(true)
}

pub(crate) fn accept_error(error: &io::Error) -> AcceptError {
    match error.raw_os_error() {
        Some(WinSock::WSAEWOULDBLOCK) => AcceptError::Drained,
        Some(WinSock::WSAECONNRESET | WinSock::WSAECONNABORTED | WinSock::WSAEINTR | WinSock::WSAENETDOWN) => {
            AcceptError::Next
        }
        Some(WinSock::WSAEMFILE | WinSock::WSAENOBUFS) => AcceptError::Exhausted,
        _ => AcceptError::Fatal,
    }
}

pub(crate) fn still_listens(listener: &impl AsSocket) -> io::Result<()> {
    SockRef::from(listener).r#type().map(|_| ())
}

pub(crate) fn is_not_ours(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WinSock::WSAENOTSOCK)
}

pub(crate) fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Windows writes interfaces as numbers, which need no look-up.
pub(crate) fn interface_index(_name: &str) -> io::Result<u32> {
    Err(io::ErrorKind::NotFound.into())
}
