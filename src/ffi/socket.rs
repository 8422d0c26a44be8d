//! Socket.

use std::ffi::{c_char, c_void};

use super::border::{bytes, c_string, check_room, get, handle, key, loop_key, status, store, value};
use super::event_loop::ss_loop;
use super::status::ss_status;
use crate::error::{Failure, Result};
use crate::objects::{Objects, with};
use crate::socket::Endpoint;

/// One end of a TCP connection: AIR's Socket. Belongs to the thread of its loop.
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
        let home = loop_key(r#loop)?;
        with(|objects| objects.new_socket(home)).map(handle)
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
        // A copy: the text may be the library's own, of the connection that this call ends (ss_socket_remote_address).
        let host = match host.is_null() {
            true => String::new(),
            // SAFETY: a NUL-terminated string, by contract. What is not UTF-8 is no host's name either.
            false => unsafe { c_string(host, "host") }?.to_string_lossy().into_owned(),
        };
        with(|objects| objects.connect(key(socket), &host, port))
    })
}

/// Socket.close(): the socket is not connected from now on, and no event follows. Unread bytes are dropped. What was
/// written is still sent, in the background, for at most the time that SS_OPT_LINGER allows.
///
/// An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_close(socket: *mut ss_socket) -> ss_status {
    status(|| with(|objects| objects.close_socket(key(socket))))
}

/// Ends the connection at once: the peer sees it reset, unread and unsent bytes are dropped, no event follows.
///
/// An attempt to connect is given up. SS_ERR_IO 2002: it is neither connected nor connecting.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_abort(socket: *mut ss_socket) -> ss_status {
    status(|| with(|objects| objects.abort_socket(key(socket))))
}

/// Socket.flush(): begins to send what was written now, rather than at the end of the listener. Never waits.
///
/// SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_flush(socket: *mut ss_socket) -> ss_status {
    status(|| with(|objects| objects.flush(key(socket))))
}

/// Stops reading: what the peer sends waits in the system, and in the end at the peer. No socketData and no close event
/// comes until ss_socket_resume. SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_pause(socket: *mut ss_socket) -> ss_status {
    status(|| with(|objects| objects.set_reading_paused(key(socket), true)))
}

/// Reads again after ss_socket_pause; nothing was lost. SS_ERR_IO 2002: it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_resume(socket: *mut ss_socket) -> ss_status {
    status(|| with(|objects| objects.set_reading_paused(key(socket), false)))
}

/// Socket.connected. False in the listener of its close event.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_connected(socket: *mut ss_socket) -> bool {
    get(false, |objects| Ok(objects.socket(key(socket))?.connection.is_some()))
}

/// Socket.bytesAvailable: unread bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_bytes_available(socket: *mut ss_socket) -> usize {
    get(0, |objects| objects.bytes_available(key(socket)))
}

/// Socket.bytesPending: written bytes that the system has not taken yet.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_bytes_pending(socket: *mut ss_socket) -> usize {
    get(0, |objects| objects.bytes_pending(key(socket)))
}

/// Socket.localAddress, in digits; NULL when not connected.
///
/// The text is the library's and is valid while the connection lives.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_local_address(socket: *mut ss_socket) -> *const c_char {
    get(std::ptr::null(), |objects| Ok(address(objects.local_endpoint(key(socket))?)))
}

/// Socket.remoteAddress, in digits; NULL when not connected.
///
/// The text is the library's and is valid while the connection lives.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_remote_address(socket: *mut ss_socket) -> *const c_char {
    get(std::ptr::null(), |objects| Ok(address(remote(objects, socket)?)))
}

/// Socket.localPort; 0 when not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_local_port(socket: *mut ss_socket) -> i32 {
    get(0, |objects| Ok(port(objects.local_endpoint(key(socket))?)))
}

/// Socket.remotePort; 0 when not connected.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_remote_port(socket: *mut ss_socket) -> i32 {
    get(0, |objects| Ok(port(remote(objects, socket)?)))
}

/// Socket.timeout: how many milliseconds connecting may take, looking the name up included; 0: as long as the system tries.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_timeout(socket: *mut ss_socket) -> u32 {
    get(0, |objects| Ok(objects.socket(key(socket))?.timeout()))
}

/// Sets Socket.timeout; 20000 at first. An attempt that is under way follows.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_set_timeout(socket: *mut ss_socket, timeout_ms: u32) -> ss_status {
    status(|| with(|objects| objects.set_timeout(key(socket), timeout_ms)))
}

/// Reads up to capacity of the unread bytes into dst. Returns how many; 0 when there are none, or on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read(socket: *mut ss_socket, dst: *mut c_void, capacity: usize) -> usize {
    get(0, |objects| {
        check_room(dst, capacity, "dst")?;
        let count = objects.unread(key(socket))?.len().min(capacity);
        // SAFETY: the caller vouches for `capacity` bytes at `dst`.
        unsafe { read_out(objects, socket, dst, count) }?;
        Ok(count)
    })
}

/// The unread bytes where they lie, without a copy; *length receives how many. Reads nothing: count what was used as
/// read with ss_socket_skip. What is left stays for later, and comes first then.
///
/// Valid until the next call on this socket that reads, skips or closes, and no longer than the listener runs.
/// NULL with *length 0 when there are none, or on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_peek(socket: *mut ss_socket, length: *mut usize) -> *const u8 {
    let (start, count) = get((std::ptr::null(), 0), |objects| {
        if length.is_null() {
            return Err(Failure::null("length"));
        }
        let unread = objects.unread(key(socket))?;
        match unread.is_empty() {
            true => Ok((std::ptr::null(), 0)),
            false => Ok((unread.as_ptr(), unread.len())),
        }
    });
    // SAFETY: NULL or the caller's, by contract.
    unsafe { store(length, count) };
    start
}

/// Counts length unread bytes as read.
///
/// SS_ERR_EOF 2030: there are fewer, and none was skipped. SS_ERR_IO 2002: not connected and nothing left to read.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_skip(socket: *mut ss_socket, length: usize) -> ss_status {
    status(|| with(|objects| objects.skip(key(socket), length)))
}

/// Socket.readBytes: reads exactly length bytes into dst.
///
/// SS_ERR_EOF 2030: there are fewer, and none was read. SS_ERR_IO 2002: not connected and nothing left to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_bytes(socket: *mut ss_socket, dst: *mut c_void, length: usize) -> ss_status {
    status(|| {
        with(|objects| {
            objects.check_available(key(socket), length)?;
            check_room(dst, length, "dst")?;
            // SAFETY: the caller vouches for `length` bytes at `dst`.
            unsafe { read_out(objects, socket, dst, length) }
        })
    })
}

/// Socket.writeBytes: takes over length bytes to be sent, all or none. They are copied, or sent at once.
///
/// They leave at the end of the listener, all that it wrote together; outside a listener at the start of the next
/// turn; or at ss_socket_flush. SS_ERR_FULL: they would exceed the write limit. SS_ERR_IO 2002: not connected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_bytes(socket: *mut ss_socket, src: *const c_void, length: usize) -> ss_status {
    status(|| {
        // SAFETY: the caller vouches for `length` bytes at `src`.
        let bytes = unsafe { bytes(src, length, "src") }?;
        with(|objects| objects.write(key(socket), bytes))
    })
}

/// Copies `count` unread bytes out, as many as are known to be there, and counts them as read.
///
/// # Safety
/// `dst` has room for `count` bytes.
unsafe fn read_out(objects: &mut Objects, socket: *mut ss_socket, dst: *mut c_void, count: usize) -> Result<()> {
    let unread = objects.unread(key(socket))?;
    if count > 0 {
        // SAFETY: `unread` has at least `count` bytes, `dst` room for them. They may overlap: a host may well read
        // into what it peeked at.
        unsafe { std::ptr::copy(unread.as_ptr(), dst.cast(), count) };
    }
    objects.consume(key(socket), count)
}

fn remote(objects: &mut Objects, socket: *mut ss_socket) -> Result<Option<&Endpoint>> {
    Ok(objects.endpoints(key(socket))?.map(|endpoints| &endpoints.remote))
}

fn address(endpoint: Option<&Endpoint>) -> *const c_char {
    endpoint.map_or(std::ptr::null(), |endpoint| endpoint.text().as_ptr())
}

fn port(endpoint: Option<&Endpoint>) -> i32 {
    endpoint.map_or(0, |endpoint| endpoint.address.port().into())
}
