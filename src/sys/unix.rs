// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix: Linux, Android, macOS, iOS, the BSDs.

use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll};
use socket2::{SockRef, Socket, TcpKeepalive};

use super::{AcceptError, LastAnswer};

pub(crate) const SHORT_READ_DRAINS: bool = true;

/// Writing to a connection that the peer has reset must not raise SIGPIPE in the host. Apple's systems know the flag
/// only lately and ignore it before: see [`prepare_stream`].
pub(crate) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
/// More follows soon, or the end: the system may wait for it, up to a fifth of a second, and send both together.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE_FOLLOWS: c_int = libc::MSG_MORE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE_FOLLOWS: c_int = 0;

/// As the standard library has it: while the machine sleeps the clock stands.
#[cfg(target_vendor = "apple")]
const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
#[cfg(not(target_vendor = "apple"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

#[inline]
pub(crate) fn monotonic_nanoseconds() -> u64 {
    // SAFETY: all zeros are a time.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: a place for a time. It does not fail where the clock is known.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

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

    /// What it is, if it is no socket, where the system tells.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        let file = File::from(self.0.try_clone_to_owned().ok()?).metadata().ok()?.file_type();
        let kinds = [
            (file.is_file(), "a file"),
            (file.is_dir(), "a directory"),
            (file.is_fifo(), "a pipe"),
            (file.is_char_device() || file.is_block_device(), "a device"),
            (!file.is_socket(), "no socket"),
        ];
        kinds.into_iter().find_map(|(is_it, kind)| is_it.then_some(kind))
    }

    /// From here on the descriptor is ours. To be called once.
    pub(crate) fn take(&self) -> Socket {
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

/// Has the system pass over who begins to connect, at this listening socket: he tries again after a second, and then meets
/// another socket that shares the port. Who has come before can be accepted still.
#[cfg(target_os = "linux")]
pub(crate) fn pass_over_newcomers(listener: &impl AsFd) -> io::Result<()> {
    use socket2::SockFilter;
    /// Where the flags are in a TCP header, those that are looked at, and the one that alone begins a connection.
    const FLAGS: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, FLAGS),
        SockFilter::new((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0, 0, SYN_AND_ACK),
        SockFilter::new((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, SYN),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pass_over_newcomers(_listener: &impl AsFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// As dropping it, but without complaint if a host has closed the descriptor behind our back.
pub(crate) fn close(socket: impl IntoRawFd) {
    // SAFETY: the descriptor was ours until now. If it is not any more there is nothing that we could do about it.
    unsafe { plain::close(socket.into_raw_fd()) };
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

/// Takes one peer out of the system's queue.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    plain::accept(listener)
}

/// Where the system, or a sandbox, does not know accept4.
#[cold]
fn accept_the_old_way(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, address) = uncancelled(|| SockRef::from(listener).accept_raw())?;
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    let address = address.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((TcpStream::from_std(socket.into()), address))
}

/// One read.
#[inline]
pub(crate) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: an open socket, and room for as many bytes as are said to be there.
    let count = unsafe { plain::recv(stream.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// One write.
#[inline]
pub(crate) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: an open socket, and as many bytes as are said to be there.
    let count = unsafe { plain::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), SEND_FLAGS) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// As [`send`], of what need not leave before what follows.
pub(crate) fn send_ahead(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = SEND_FLAGS | MORE_FOLLOWS;
    // SAFETY: as above.
    let count = unsafe { plain::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// The calls of the hot path, by ways that are no cancellation points, where there are such. Sanitizers (ci/asan, ci/tsan, ci/fuzz)
/// know only the C library's functions: they would not see which memory is written to, nor that a descriptor is another one now.
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(sanitized)))]
mod plain {
    use std::ffi::{c_int, c_long, c_void};
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::{AsRawFd, FromRawFd};

    use mio::net::{TcpListener, TcpStream};
    use socket2::{SockAddr, SockAddrStorage};

    pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        const FLAGS: c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let accept = |address: *mut SockAddrStorage, length: *mut libc::socklen_t| {
            // SAFETY: an open socket, and room for an address of as many bytes as are said to be there.
            let number = unsafe { libc::syscall(libc::SYS_accept4, listener.as_raw_fd(), address, length, FLAGS) };
            if number < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it was opened just now, and nobody else has it.
            Ok(unsafe { TcpStream::from_raw_fd(number as c_int) })
        };
        // SAFETY: the system has written the address and its length, if it has taken a peer.
        let (stream, address) = match unsafe { SockAddr::try_init(accept) } {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return super::accept_the_old_way(listener),
            outcome => outcome?,
        };
        let address = address.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((stream, address))
    }

    pub(super) unsafe fn close(fd: c_int) -> c_long {
        // SAFETY: the caller's.
        unsafe { libc::syscall(libc::SYS_close, fd) }
    }

    #[inline]
    pub(super) unsafe fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> c_long {
        // SAFETY: the caller's; there is no address.
        unsafe { libc::syscall(libc::SYS_recvfrom, fd, buffer, length, flags, 0usize, 0usize) }
    }

    #[inline]
    pub(super) unsafe fn send(fd: c_int, bytes: *const c_void, length: usize, flags: c_int) -> c_long {
        // SAFETY: the caller's; there is no address.
        unsafe { libc::syscall(libc::SYS_sendto, fd, bytes, length, flags, 0usize, 0usize) }
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(sanitized))))]
mod plain {
    use std::ffi::{c_int, c_void};
    use std::io;
    use std::net::SocketAddr;

    use mio::net::{TcpListener, TcpStream};

    pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        match super::uncancelled(|| listener.accept()) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => super::accept_the_old_way(listener),
            outcome => outcome,
        }
    }

    pub(super) unsafe fn close(fd: c_int) -> c_int {
        // SAFETY: the caller's.
        super::uncancelled(|| unsafe { libc::close(fd) })
    }

    pub(super) unsafe fn recv(fd: c_int, buffer: *mut c_void, length: usize, flags: c_int) -> isize {
        // SAFETY: the caller's.
        super::uncancelled(|| unsafe { libc::recv(fd, buffer, length, flags) })
    }

    pub(super) unsafe fn send(fd: c_int, bytes: *const c_void, length: usize, flags: c_int) -> isize {
        // SAFETY: the caller's.
        super::uncancelled(|| unsafe { libc::send(fd, bytes, length, flags) })
    }
}

/// Makes a system call that is a cancellation point: a thread that is cancelled there would be unwound through the library's
/// own frames, which ends the process. It is cancelled while the loop waits, or in the host's code.
#[cfg(not(target_os = "android"))]
pub(crate) fn uncancelled<T>(call: impl FnOnce() -> T) -> T {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
    const DISABLE: c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };
    let mut before = DISABLE;
    // SAFETY: it only notes the state down, and gives back the one before.
    unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
    let outcome = call();
    // SAFETY: as above.
    unsafe { pthread_setcancelstate(before, std::ptr::null_mut()) };
    outcome
}

/// The thread's errno is afterwards what it was before: for what a signal handler may call.
pub(crate) fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    unsafe extern "C" {
        #[cfg_attr(any(target_os = "linux", target_os = "dragonfly"), link_name = "__errno_location")]
        #[cfg_attr(any(target_vendor = "apple", target_os = "freebsd"), link_name = "__error")]
        #[cfg_attr(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"), link_name = "__errno")]
        fn errno_location() -> *mut c_int;
    }
    // SAFETY: the thread's own errno, for as long as it lives.
    let before = unsafe { *errno_location() };
    let outcome = call();
    // SAFETY: as above.
    unsafe { *errno_location() = before };
    outcome
}

/// There is no such thing as cancelling a thread.
#[cfg(target_os = "android")]
pub(crate) fn uncancelled<T>(call: impl FnOnce() -> T) -> T {
    call()
}

/// What getaddrinfo's number means, and the number.
pub(crate) fn name_error(number: c_int) -> String {
    // SAFETY: it takes any number, and its texts are there for ever.
    let text = unsafe { CStr::from_ptr(libc::gai_strerror(number)) };
    format!("{} ({number})", text.to_string_lossy())
}

/// How many bytes the system still holds that the peer has not acknowledged.
pub(crate) fn unacknowledged(_stream: &TcpStream) -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut count: c_int = 0;
        // SAFETY: an open socket, and room for the int that is written.
        let status = unsafe { libc::ioctl(_stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        if status == 0 {
            return u64::try_from(count).ok();
        }
    }
    None
}

/// When the peer's system last answered. A shut window is no silence: it answers each probe of it.
pub(crate) fn last_answer(_stream: &TcpStream) -> Option<LastAnswer> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        /// The beginning of Linux' struct tcp_info.
        #[repr(C)]
        #[derive(Default)]
        struct Info {
            /// state, ca_state, retransmits, probes, backoff, options, window scales, flags
            bytes: [u8; 8],
            /// rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, last_data_sent, last_ack_sent,
            /// last_data_recv, last_ack_recv
            words: [u32; 13],
        }
        let mut info = Info::default();
        let mut length = size_of::<Info>() as libc::socklen_t;
        // SAFETY: an open socket, and room for as many bytes as are said to be there.
        let status = unsafe {
            let option = (&raw mut info).cast();
            libc::getsockopt(_stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, option, &raw mut length)
        };
        let (repeated, probes) = (info.bytes[2], info.bytes[3]);
        if status == 0 && length as usize == size_of::<Info>() {
            let ago = Duration::from_millis(info.words[12].into());
            return Some(LastAnswer { ago, one_is_due: repeated > 0 || probes > 0 });
        }
    }
    None
}

/// Ends the connection with a reset whoever else holds the descriptor, where the system has such a call.
pub(crate) fn disconnect(_stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
        let length = size_of::<libc::sockaddr>() as libc::socklen_t;
        // SAFETY: an open socket, and an address of the length that is given.
        uncancelled(|| unsafe { libc::connect(_stream.as_raw_fd(), &raw const nowhere, length) });
    }
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
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::ETIMEDOUT,
        ) => AcceptError::Next,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => AcceptError::NotNow,
        // A security module, or a sandbox, before anybody was taken out of the queue.
        Some(libc::EPERM | libc::EACCES) => AcceptError::NotNow,
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
pub(crate) const OTHER_FAMILY: i32 = libc::EAFNOSUPPORT;
pub(crate) const BROKEN: i32 = libc::EIO;
pub(crate) const NO_MEMORY: i32 = libc::ENOMEM;
pub(crate) const PROTOCOL: i32 = libc::EPROTO;
pub(crate) const NO_SUCH_NAME: i32 = libc::EAI_NONAME;

pub(crate) fn needs_privilege(error: &io::Error, port: u16) -> bool {
    error.raw_os_error() == Some(libc::EACCES) && (1..1024).contains(&port)
}

pub(crate) fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// What connecting says when it does not wait.
pub(crate) fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
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
