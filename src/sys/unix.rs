//! Unix: Linux, Android, macOS, iOS, the BSDs.

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mio::Interest;
use mio::net::TcpStream;
use once_cell::sync::OnceCell;
use socket2::{SockRef, Socket};

use super::AcceptError;

pub(crate) const SHORT_READ_DRAINS: bool = true;

/// Writing to a connection that the peer has reset must not raise SIGPIPE in the host.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
/// Apple's systems have SO_NOSIGPIPE on the socket instead.
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: c_int = 0;

/// Readable and writable, for good; with urgent data where the system tells of it, since a read stops short
/// at the urgent mark though more bytes follow.
pub(crate) fn interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both | Interest::PRIORITY;
    both
}

static EPOCH: AtomicU32 = AtomicU32::new(0);
static FORKED: AtomicBool = AtomicBool::new(false);
static BEFORE_FORK: OnceCell<fn()> = OnceCell::new();
static AFTER_FORK: OnceCell<fn()> = OnceCell::new();

#[inline]
pub(crate) fn fork_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

#[inline]
pub(crate) fn has_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Called once in the process.
pub(crate) fn on_fork(before: fn(), after: fn()) {
    extern "C" fn prepare() {
        if let Some(before) = BEFORE_FORK.get() {
            before();
        }
    }
    extern "C" fn parent() {
        FORKED.store(true, Ordering::Relaxed);
        if let Some(after) = AFTER_FORK.get() {
            after();
        }
    }
    extern "C" fn child() {
        EPOCH.fetch_add(1, Ordering::Relaxed);
        parent();
    }
    if AFTER_FORK.set(after).is_ok() && BEFORE_FORK.set(before).is_ok() {
        // SAFETY: the three handlers only touch atomics and a lock that the forking thread itself holds. Should
        // the registration fail for want of memory, forks go unnoticed, as they would without it.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

pub(crate) fn raw(socket: &impl AsRawFd) -> i64 {
    i64::from(socket.as_raw_fd())
}

/// As dropping it, but without complaint if a host has closed the descriptor behind our back.
pub(crate) fn close(socket: impl IntoRawFd) {
    // SAFETY: the descriptor was ours until now. If it is not any more there is nothing that we could do about it.
    unsafe { libc::close(socket.into_raw_fd()) };
}

pub(crate) fn forget(socket: impl IntoRawFd) {
    let _ = socket.into_raw_fd();
}

/// A plain bind refuses a port that is in use.
pub(crate) fn exclusive(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn may_share(socket: &impl AsFd, yes: bool) -> io::Result<()> {
    SockRef::from(socket).set_reuse_address(yes)
}

/// Linux and Android hand every setting of the listener down to what it accepts.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn prepare_accepted(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn prepare_accepted(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    socket.set_tcp_nodelay(true)
}

pub(crate) fn accept_error(error: &io::Error) -> AcceptError {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => AcceptError::Drained,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Some(libc::ENONET) => AcceptError::Next,
        // Linux passes pending network errors of the new connection through accept (see accept(2)).
        Some(
            libc::EINTR
            | libc::ECONNABORTED
            | libc::EPROTO
            | libc::EPERM
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::ETIMEDOUT,
        ) => AcceptError::Next,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => AcceptError::Exhausted,
        _ => AcceptError::Fatal,
    }
}

/// Whether the descriptor still is a listening socket; nobody tells us when a host closes it behind our back.
pub(crate) fn still_listens(listener: &impl AsFd) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if !SockRef::from(listener).is_listener()? {
        return Err(io::Error::from_raw_os_error(libc::ENOTSOCK));
    }
    SockRef::from(listener).r#type().map(|_| ())
}

/// The descriptor was closed behind our back; its number may be a stranger's by now.
pub(crate) fn is_not_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK))
}

pub(crate) fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// The index of a network interface, for the part of an IPv6 address behind '%'.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string that lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}
