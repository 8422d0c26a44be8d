// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket.

use std::ffi::{c_char, c_void};

use super::border::{
    bytes, c_string, change, check_room, get, glance_at, handle, key, local_address_text, loop_key, status, store,
    value,
};
use super::event_loop::ss_loop;
use super::parts::{all_parts, ss_bytes};
use super::status::ss_status;
use crate::core::socket::SocketRef;
use crate::core::socket::endpoints::Endpoint;
use crate::core::thread::{Thread, with};
use crate::driver::place;
use crate::error::{Failure, Result};
use crate::handle::Key;

/// One end of a connection, by TCP or in the Unix domain: AIR's Socket. Belongs to the thread of its loop.
pub struct ss_socket {
    _key: [u8; 0],
}

/// new Socket(): makes a socket that is not connected, on a loop (NULL: this thread's own).
///
/// Returns one reference: give it back with ss_release, which closes the socket. NULL on failure. A server's
/// sockets are not made with this; they come with its connect events.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_new(r#loop: *mut ss_loop) -> *mut ss_socket {
    value(std::ptr::null_mut(), || {
        let key = loop_key(r#loop)?;
        with(|thread| thread.event_loop(key)?.new_socket()).map(handle)
    })
}

/// Socket.connect: begins to connect to a host, given by name or by address, and returns at once. What comes of it is an
/// event: "connect", or "ioError" (2031; ss_event_os_error tells the system's number, for a name that was not found
/// getaddrinfo's). Until then the socket is not connected. After a failure it can be connected again.
///
/// Names are looked up on a thread of the library's. If a name has several addresses they are tried in the system's
/// order, IPv6 and IPv4 by turns, the next one after a failure or 250 ms, and the first that answers is taken.
/// A connection or an attempt that the socket has already is closed first, without an event.
/// SS_ERR_SECURITY 2003: no such port. SS_ERR_IO 2002: host is NULL or "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_connect(socket: *mut ss_socket, host: *const c_char, port: i32) -> ss_status {
    status(|| {
        let host = match host.is_null() {
            true => "",
            // SAFETY: a NUL-terminated string, by contract. What is not UTF-8 is no host's name either.
            false => unsafe { c_string(host, "host") }?.to_str().unwrap_or("\u{fffd}"),
        };
        with(|thread| thread.socket(key(socket))?.connect(host, port))
    })
}

/// Connects to a Unix-domain socket: path is that of a file, or on Linux "@name" an abstract name. What comes of it is an event, as
/// with ss_socket_connect; Socket.timeout holds. Such a connection has no addresses (NULL) and no ports (0).
///
/// SS_ERR_TYPE 2007: path is NULL. SS_ERR_ARGUMENT 2004: it is empty, or longer than the system takes (about 100 bytes).
/// SS_ERR_UNSUPPORTED: Windows; abstract names on other systems than Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_connect_path(socket: *mut ss_socket, path: *const c_char) -> ss_status {
    status(|| {
        // SAFETY: a NUL-terminated string, by contract. A copy, as above.
        let path = unsafe { c_string(path, "path") }?.to_owned();
        with(|thread| thread.socket(key(socket))?.connect_path(&path))
    })
}

/// Chooses the local end of the connections that ss_socket_connect makes from now on: a port (0 = any free one, as without
/// this) and an address of this machine, given in digits; NULL, "" and "0.0.0.0" mean any IPv4 address, "::" any IPv6 address.
///
/// The end is tried at once, so that an error is told here, and taken anew by each connection: then it may be in use, which is an
/// ioError. Only hosts of the same family of addresses can be connected to: another address is SS_ERR_ARGUMENT 2004 from
/// ss_socket_connect, a name without such an address an ioError with EAFNOSUPPORT. A port is no hindrance while old connections of
/// it linger. Unix-domain connections take no notice of it.
/// SS_ERR_RANGE 2003: no such port. SS_ERR_ARGUMENT 2004: not an IP address. SS_ERR_IO 2002: the socket is connected or
/// connecting, or the system refused: then ss_last_os_error() says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_bind(
    socket: *mut ss_socket,
    local_port: i32,
    local_address: *const c_char,
) -> ss_status {
    status(|| {
        // SAFETY: NULL or a NUL-terminated string, by contract.
        let address = unsafe { local_address_text(local_address) }?;
        with(|thread| thread.socket(key(socket))?.bind(local_port, address))
    })
}

/// Takes over a connection: a connected stream socket, TCP or Unix-domain. inetd and systemd (Accept=yes) hand a program one as
/// descriptor 0 or 3, socketpair makes two, SCM_RIGHTS passes one.
///
/// The socket is connected when this returns: there is no connect event, and what the peer has sent comes as socketData in a later
/// turn. On SS_OK the descriptor is the library's; before and otherwise it is the caller's. It is made non-blocking and
/// close-on-exec, and gets the socket's options. A Unix-domain connection has no addresses (NULL) and no ports (0).
/// SS_ERR_ARGUMENT 2004: not a connected stream socket, or an object of the library has it already (dup it first); the detail
/// says what it is. SS_ERR_IO 2002: the socket is connected or connecting already, or there is no such descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_adopt(socket: *mut ss_socket, fd: i64) -> ss_status {
    status(|| with(|thread| thread.adopt_connection(key(socket), fd)))
}

/// Socket.close(): the socket is not connected from now on, and no event follows. Unread bytes are dropped. What was
/// written is still sent, in the background, for at most the time that SS_OPT_LINGER allows.
///
/// An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ss_socket_close(socket: *mut ss_socket) -> ss_status {
    change(place(), |thread| thread.end_socket(key(socket), |socket| socket.close()))
}

/// Ends our side of the connection behind all that was written: the peer reads it, and then meets the end (shutdown with
/// SHUT_WR; a FIN). Reading goes on, and the socket stays connected until the peer ends its side, too: then comes close.
///
/// Nothing can be written any more: SS_ERR_IO 2002. What the system has not taken yet is sent in time, with outputProgress. A
/// peer that never ends its side holds the connection for ever, unless SS_OPT_READ_TIMEOUT or SS_OPT_IDLE_TIMEOUT is set. A
/// second call does nothing, with SS_OK. SS_ERR_IO 2002: it is not connected, or not yet.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_shutdown(socket: *mut ss_socket) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.shut_down()))
}

/// Ends the connection at once: the peer sees it reset, unread and unsent bytes are dropped, no event follows.
///
/// An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ss_socket_abort(socket: *mut ss_socket) -> ss_status {
    change(place(), |thread| thread.end_socket(key(socket), |socket| socket.abort()))
}

/// Keeps a socket alive without a reference of yours, as long as it is connected or connecting: for a server's connections,
/// in the listener of the connect event, and for a socket of your own, before ss_socket_connect or after it.
///
/// The library holds a reference of its own. It gives it back when the socket is neither connected nor connecting any more:
/// after the listeners of the close event, or of the ioError event of an attempt that has failed, whatever they do, and at
/// ss_socket_close and ss_socket_abort. If nobody else has one then the socket is destroyed, when the listener that is running
/// has returned. One that is connected anew before that stays kept. Called twice it is as called once.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_keep(socket: *mut ss_socket) -> ss_status {
    match glance_at(socket, |thread, key| thread.keep_socket(key)) {
        Some(()) => ss_status::SS_OK,
        None => keep(socket),
    }
}

#[inline(never)]
fn keep(socket: *mut ss_socket) -> ss_status {
    status(|| {
        with(|thread| {
            thread.socket(key(socket))?.keep();
            Ok(())
        })
    })
}

/// Socket.flush(): begins to send what was written now, rather than at the end of the listener. Never waits.
///
/// SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_flush(socket: *mut ss_socket) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.flush()))
}

/// Stops reading: what the peer sends waits in the system, and in the end at the peer. Nothing that the peer does is told
/// until ss_socket_resume: no socketData, end or close event comes of it. Only where both sides have ended, so that nothing
/// is left to read, close comes all the same. SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_pause(socket: *mut ss_socket) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.set_paused(true)))
}

/// Reads again after ss_socket_pause; nothing was lost. SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_resume(socket: *mut ss_socket) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.set_paused(false)))
}

/// Socket.connected. False in the listener of its close event.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_connected(socket: *mut ss_socket) -> bool {
    get(false, |thread| Ok(thread.socket(key(socket))?.socket.connection.is_some()))
}

/// Socket.bytesAvailable: unread bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_bytes_available(socket: *mut ss_socket) -> usize {
    get(0, |thread| Ok(thread.socket(key(socket))?.bytes_available()))
}

/// Socket.bytesPending: written bytes that the system has not taken yet.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_bytes_pending(socket: *mut ss_socket) -> usize {
    get(0, |thread| Ok(thread.socket(key(socket))?.bytes_pending()))
}

/// Socket.localAddress, in digits; NULL before the first connection, while connecting, and of a Unix-domain connection.
///
/// It stays readable when the connection is over. The text is the library's and is valid until the next attempt to connect, or
/// the end of the socket.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_local_address(socket: *mut ss_socket) -> *const c_char {
    get(std::ptr::null(), |thread| Ok(address(thread.socket(key(socket))?.local_endpoint()?)))
}

/// Socket.remoteAddress, in digits; NULL before the first connection, while connecting, and of a Unix-domain connection.
///
/// It stays readable when the connection is over, in the listener of its close event for instance. The text is the library's
/// and is valid until the next attempt to connect, or the end of the socket.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_remote_address(socket: *mut ss_socket) -> *const c_char {
    get(std::ptr::null(), |thread| Ok(address(thread.socket(key(socket))?.socket.remote_endpoint()?)))
}

/// Socket.localPort; 0 where ss_socket_local_address is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_local_port(socket: *mut ss_socket) -> i32 {
    get(0, |thread| Ok(port(thread.socket(key(socket))?.local_endpoint()?)))
}

/// Socket.remotePort; 0 where ss_socket_remote_address is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_remote_port(socket: *mut ss_socket) -> i32 {
    get(0, |thread| Ok(port(thread.socket(key(socket))?.socket.remote_endpoint()?)))
}

/// Who the peer of a Unix-domain connection is: the user, the group and the process that connected, or made the pair, as the system
/// saw them then. Each place may be NULL; *pid receives -1 where the system does not tell (the BSDs). They are written on SS_OK only.
///
/// SS_ERR_IO 2002: it is not connected. SS_ERR_UNSUPPORTED: a connection by TCP, or Windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_peer_credentials(
    socket: *mut ss_socket,
    uid: *mut u32,
    gid: *mut u32,
    pid: *mut i32,
) -> ss_status {
    status(|| {
        let peer = with(|thread| thread.socket(key(socket))?.peer_credentials())?;
        // SAFETY: each is NULL or the caller's, by contract.
        unsafe {
            store(uid, peer.user);
            store(gid, peer.group);
            store(pid, peer.process);
        }
        Ok(())
    })
}

/// Socket.timeout: how many milliseconds connecting may take, looking the name up included; 0: as long as the system tries.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_timeout(socket: *mut ss_socket) -> u32 {
    get(0, |thread| Ok(thread.socket(key(socket))?.socket.timeout()))
}

/// Sets Socket.timeout; 20000 at first. An attempt that is under way follows.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_set_timeout(socket: *mut ss_socket, timeout_ms: u32) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.set_timeout(timeout_ms)))
}

/// Reads up to capacity of the unread bytes into dst. Returns how many; 0 when there are none, or on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read(socket: *mut ss_socket, dst: *mut c_void, capacity: usize) -> usize {
    if !dst.is_null() && capacity <= isize::MAX as usize {
        let read = glance_at(socket, |thread, key| {
            let buffer = thread.plainly_lent(key).filter(|buffer| !buffer.is_used_up())?;
            // SAFETY: the caller vouches for `capacity` bytes at `dst`.
            let count = unsafe { copy_out(buffer.lent(), dst, capacity) };
            buffer.consume(count);
            Some(count)
        });
        if let Some(count) = read {
            return count;
        }
    }
    // SAFETY: the same contract.
    unsafe { read(socket, dst, capacity) }
}

/// # Safety
/// `dst` is NULL or has room for `capacity` bytes.
#[inline(never)]
unsafe fn read(socket: *mut ss_socket, dst: *mut c_void, capacity: usize) -> usize {
    get(0, |thread| {
        check_room(dst, capacity, "dst")?;
        // SAFETY: the caller vouches for `capacity` bytes at `dst`.
        unsafe { read_out(&mut thread.socket(key(socket))?, dst, capacity) }
    })
}

/// The unread bytes where they lie, without a copy; *length receives how many. Reads nothing: count what was used as
/// read with ss_socket_skip. What is left stays for later, and comes first then.
///
/// Valid until the next call on this socket that reads, skips or closes, and no longer than the listener runs.
/// NULL with *length 0 when there are none, or on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_peek(socket: *mut ss_socket, length: *mut usize) -> *const u8 {
    if length.is_null() {
        return null_length();
    }
    let lent = glance_at(socket, |thread, key| {
        let lent = thread.plainly_lent(key).filter(|buffer| !buffer.is_used_up())?.lent();
        Some((lent.as_ptr(), lent.len()))
    });
    // SAFETY: the same contract.
    unsafe { hand_out(socket, length, lent, peek) }
}

/// All unread bytes where they lie, without a copy, counted as read: ss_socket_peek and ss_socket_skip in one. *length
/// receives how many.
///
/// Valid until the listener (or task) returns, whatever is called in it: also when it writes them back, closes the socket or
/// releases it. Outside of one they are valid until the loop is polled next, or ends. NULL with *length 0 when there are none, or
/// on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_take(socket: *mut ss_socket, length: *mut usize) -> *const u8 {
    if length.is_null() {
        return null_length();
    }
    let taken = glance_at(socket, |thread, key| {
        let taken = thread.plainly_lent(key).filter(|buffer| !buffer.is_used_up())?.take();
        Some((taken.as_ptr(), taken.len()))
    });
    // SAFETY: the same contract.
    unsafe { hand_out(socket, length, taken, take) }
}

/// Counts length unread bytes as read.
///
/// SS_ERR_EOF 2030: there are fewer, and none was skipped. SS_ERR_RANGE 2006: more than SS_OPT_READ_LIMIT, and more than there
/// are: they can never be unread at a time. SS_ERR_IO 2002: not connected and nothing left to read.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_skip(socket: *mut ss_socket, length: usize) -> ss_status {
    let skipped = glance_at(socket, |thread, key| {
        let buffer = thread.plainly_lent(key).filter(|buffer| length <= buffer.lent().len())?;
        buffer.consume(length);
        Some(())
    });
    match skipped {
        Some(()) => ss_status::SS_OK,
        None => skip(socket, length),
    }
}

#[inline(never)]
fn skip(socket: *mut ss_socket, length: usize) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.skip(length)))
}

/// Where some bytes are, and how many.
type Bytes = (*const u8, usize);

fn peek(thread: &mut Thread, key: Key) -> Result<Bytes> {
    Ok(found(thread.socket(key)?.unread()?))
}

fn take(thread: &mut Thread, key: Key) -> Result<Bytes> {
    Ok(found(thread.take(key)?))
}

/// NULL where there are none.
fn found(bytes: *const [u8]) -> Bytes {
    if bytes.is_empty() { (std::ptr::null(), 0) } else { (bytes.cast(), bytes.len()) }
}

/// Hands bytes out: those that were found at a glance, or those that `find` finds.
///
/// # Safety
/// `length` points to a writable size_t.
#[inline(always)]
unsafe fn hand_out(
    socket: *mut ss_socket,
    length: *mut usize,
    found: Option<Bytes>,
    find: fn(&mut Thread, Key) -> Result<Bytes>,
) -> *const u8 {
    let (start, count) = match found {
        Some(bytes) => bytes,
        None => find_bytes(socket, find),
    };
    // SAFETY: the caller's, by contract.
    unsafe { length.write(count) };
    start
}

#[inline(never)]
fn find_bytes(socket: *mut ss_socket, find: fn(&mut Thread, Key) -> Result<Bytes>) -> Bytes {
    get((std::ptr::null(), 0), |thread| find(thread, key(socket)))
}

#[cold]
fn null_length() -> *const u8 {
    value(std::ptr::null(), || Err(Failure::null("length")))
}

/// Socket.readBytes: reads exactly length bytes into dst.
///
/// SS_ERR_EOF 2030: there are fewer, and none was read. SS_ERR_RANGE 2006: length is more than SS_OPT_READ_LIMIT, and more than
/// there are: they can never be unread at a time. SS_ERR_IO 2002: not connected and nothing left to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_bytes(socket: *mut ss_socket, dst: *mut c_void, length: usize) -> ss_status {
    status(|| {
        with(|thread| {
            let mut socket = thread.socket(key(socket))?;
            socket.unread_exactly(length)?;
            check_room(dst, length, "dst")?;
            // SAFETY: the caller vouches for `length` bytes at `dst`.
            unsafe { read_out(&mut socket, dst, length) }?;
            Ok(())
        })
    })
}

/// Socket.writeBytes: takes over length bytes to be sent, all or none. They are copied, or sent at once.
///
/// They leave at the end of the listener, all that it wrote together; outside a listener at the start of the next
/// turn; or at ss_socket_flush. SS_ERR_FULL: they would exceed SS_OPT_WRITE_LIMIT; wait for outputProgress. SS_ERR_RANGE 2006:
/// they alone exceed it, and can never fit. SS_ERR_IO 2002: not connected, or ss_socket_shutdown was called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_bytes(socket: *mut ss_socket, src: *const c_void, length: usize) -> ss_status {
    if !src.is_null() && length <= GLANCE {
        // SAFETY: not NULL, and not longer than an object may be; the caller vouches for the rest.
        let bytes = unsafe { std::slice::from_raw_parts(src.cast::<u8>(), length) };
        if glance_at(socket, |thread, key| thread.gather_answer(key, bytes)).is_some() {
            return ss_status::SS_OK;
        }
    }
    // SAFETY: the same contract.
    unsafe { write(socket, src, length) }
}

/// As ss_socket_write_bytes, of bytes that lie in several places: takes over count parts, one behind the other, all of them or
/// none, so that a header is never sent without its body.
///
/// They leave together, with what else the listener writes. They may be bytes of this library's, of ss_socket_peek or ss_socket_take.
/// SS_ERR_FULL: all of them would exceed SS_OPT_WRITE_LIMIT; wait for outputProgress. SS_ERR_RANGE 2006: they alone exceed it, and
/// can never fit. SS_ERR_TYPE 2007: parts, or the bytes of a part that has some, are NULL. SS_ERR_IO 2002: as there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_vector(
    socket: *mut ss_socket,
    parts: *const ss_bytes,
    count: usize,
) -> ss_status {
    status(|| {
        // SAFETY: the caller vouches for `count` parts, and for the bytes of each.
        let (parts, length) = unsafe { all_parts(parts, count) }?;
        with(|thread| thread.socket(key(socket))?.write_all(parts, length))
    })
}

/// Writes that are longer are looked at.
const GLANCE: usize = 64 * 1024;

/// # Safety
/// `src` is NULL or points to `length` readable bytes.
#[inline(never)]
unsafe fn write(socket: *mut ss_socket, src: *const c_void, length: usize) -> ss_status {
    status(|| {
        // SAFETY: the caller vouches for `length` bytes at `src`.
        let bytes = unsafe { bytes(src, length, "src") }?;
        with(|thread| thread.socket(key(socket))?.write(bytes))
    })
}

/// Copies unread bytes out, at most `count`, and counts them as read. Returns how many.
///
/// # Safety
/// `dst` has room for `count` bytes.
unsafe fn read_out(socket: &mut SocketRef<'_>, dst: *mut c_void, count: usize) -> Result<usize> {
    // SAFETY: the same contract.
    let count = unsafe { copy_out(socket.unread()?, dst, count) };
    socket.consume(count);
    Ok(count)
}

/// # Safety
/// `dst` has room for `count` bytes, or `count` is 0.
unsafe fn copy_out(unread: &[u8], dst: *mut c_void, count: usize) -> usize {
    let count = count.min(unread.len());
    if count > 0 {
        // SAFETY: both have at least `count` bytes. They may overlap: a host may well read into what it peeked at.
        unsafe { std::ptr::copy(unread.as_ptr(), dst.cast(), count) };
    }
    count
}

fn address(endpoint: Option<&Endpoint>) -> *const c_char {
    endpoint.map_or(std::ptr::null(), |endpoint| endpoint.text().as_ptr())
}

fn port(endpoint: Option<&Endpoint>) -> i32 {
    endpoint.map_or(0, |endpoint| endpoint.address.port().into())
}
