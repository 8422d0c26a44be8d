//! Unix: Linux, Android, macOS, iOS, the BSDs.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Poll};
use once_cell::sync::OnceCell;
use socket2::{SockRef, Socket, TcpKeepalive};

use super::AcceptError;

pub(crate) const SHORT_READ_DRAINS: bool = true;

/// Writing to a connection that the peer has reset must not raise SIGPIPE in the host. Apple's systems know the flag
/// only lately and ignore it before: see [`prepare_stream`].
pub(crate) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;

/// Readable and writable, for good; with urgent data where the system tells of it, since a read stops short
/// at the urgent mark though more bytes follow.
pub(crate) fn interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both | Interest::PRIORITY;
    both
}

/// epoll and kqueue are descriptors themselves.
pub(crate) fn pollable(poll: &Poll) -> Option<i64> {
    Some(raw(poll))
}

/// OpenBSD keeps the periods to the administrator.
pub(crate) fn keep_alive(period: Duration) -> TcpKeepalive {
    let settings = TcpKeepalive::new().with_time(period);
    #[cfg(any(
        target_vendor = "apple",
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "dragonfly"
    ))]
    let settings = settings.with_interval(period);
    settings
}

static EPOCH: AtomicU32 = AtomicU32::new(0);
static FORKED: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn fork_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

#[inline]
pub(crate) fn has_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// The process-wide locks. The thread that forks holds them across the fork: else another thread might hold one at
/// that moment, and in the child, where that thread does not exist, nobody would ever unlock it.
pub(crate) static FORK_GUARDS: ForkGuards = ForkGuards([const { OnceCell::new() }; 3]);

pub(crate) struct ForkGuards([OnceCell<Lock>; 3]);

type Lock = fn() -> Box<dyn Any>;

thread_local! {
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

impl ForkGuards {
    /// Adds a lock, once in the life of the process; there are places for all of them.
    pub(crate) fn add(&self, lock: Lock) {
        watch_forks();
        let free = self.0.iter().any(|place| place.set(lock).is_ok());
        debug_assert!(free, "one place for each lock of the process");
    }
}

fn watch_forks() {
    extern "C" fn prepare() {
        let locks = FORK_GUARDS.0.iter().filter_map(OnceCell::get);
        let _ = HELD.try_with(|held| held.borrow_mut().extend(locks.map(|lock| lock())));
    }
    extern "C" fn parent() {
        FORKED.store(true, Ordering::Relaxed);
        let _ = HELD.try_with(|held| held.borrow_mut().clear());
    }
    extern "C" fn child() {
        EPOCH.fetch_add(1, Ordering::Relaxed);
        parent();
    }
    static ONCE: Once = Once::new();
    // SAFETY: the three handlers only touch atomics and locks that the forking thread itself holds. Should the
    // registration fail for want of memory, forks go unnoticed, as they would without it.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(Some(prepare), Some(parent), Some(child));
    });
}

pub(crate) fn raw(socket: &impl AsRawFd) -> i64 {
    i64::from(socket.as_raw_fd())
}

/// A descriptor of the host, looked at before it is taken over.
pub(crate) struct Borrowed(BorrowedFd<'static>);

impl Borrowed {
    pub(crate) fn new(descriptor: i64) -> io::Result<Self> {
        let descriptor = RawFd::try_from(descriptor).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        // SAFETY: asking for the flags of any number at all is harmless.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is open, as was just seen, and the host vouches that it stays so during the call.
        Ok(Borrowed(unsafe { BorrowedFd::borrow_raw(descriptor) }))
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }

    /// From here on the descriptor is ours.
    pub(crate) fn take(self) -> Socket {
        // SAFETY: it is open, and the host hands it over.
        unsafe { Socket::from_raw_fd(self.0.as_raw_fd()) }
    }
}

pub(crate) fn close_on_exec(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_cloexec(true)
}

/// Whether a socket listens; `None` where the system cannot say.
pub(crate) fn listens(socket: &SockRef<'_>) -> io::Result<Option<bool>> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return socket.is_listener().map(Some);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    socket.r#type().map(|_| None)
}

pub(crate) const CAN_SHARE_PORTS: bool = true;

pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
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
pub(crate) const INHERITS_SETTINGS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// How long a peer may leave output unacknowledged; `None`: as long as the system's own patience lasts. Only Linux has it.
pub(crate) fn set_user_timeout(_socket: &SockRef<'_>, _timeout: Option<Duration>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    _socket.set_tcp_user_timeout(_timeout)?;
    Ok(())
}

/// What no listener can hand down. Apple's systems refuse it for a connection that has ended already.
pub(crate) fn prepare_stream(_stream: &TcpStream) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    SockRef::from(_stream).set_nosigpipe(true)?;
    Ok(())
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
        // It was accepted, but has no address any more: so macOS tells of a peer that is gone again.
        None => AcceptError::Next,
        _ => AcceptError::Fatal,
    }
}

/// The system has no memory, or no room in the poller, for this at the moment.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC))
}

/// Whether the descriptor still is a listening socket; nobody tells us when a host closes it behind our back.
pub(crate) fn still_listens(listener: &impl AsFd) -> io::Result<()> {
    match listens(&SockRef::from(listener))? {
        Some(false) => Err(io::Error::from_raw_os_error(libc::ENOTSOCK)),
        _ => Ok(()),
    }
}

/// The descriptor was closed behind our back; its number may be a stranger's by now.
pub(crate) fn is_not_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK))
}

pub(crate) const TIMED_OUT: i32 = libc::ETIMEDOUT;
pub(crate) const REFUSED: i32 = libc::ECONNREFUSED;
pub(crate) const BROKEN: i32 = libc::EIO;
pub(crate) const NO_MEMORY: i32 = libc::ENOMEM;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_has_no_address_any_more_closes_no_server() {
        assert_eq!(accept_error(&io::ErrorKind::InvalidInput.into()), AcceptError::Next);
    }
}
