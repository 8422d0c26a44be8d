// SPDX-License-Identifier: MIT OR Apache-2.0
//! ServerSocket.

use std::ffi::c_char;

use super::border::{c_string, get, handle, key, local_address_text, loop_key, status, value};
use super::event_loop::ss_loop;
use super::status::ss_status;
use crate::core::thread::with;

/// A server, of TCP or the Unix domain: AIR's ServerSocket. Belongs to the thread of its loop.
pub struct ss_server {
    _key: [u8; 0],
}

/// new ServerSocket(): makes a server on a loop (NULL: this thread's own). Nothing is opened yet.
///
/// Returns one reference: give it back with ss_release, which closes the server. The connections it has accepted
/// live on. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn ss_new(r#loop: *mut ss_loop) -> *mut ss_server {
    value(std::ptr::null_mut(), || {
        let key = loop_key(r#loop)?;
        with(|thread| thread.event_loop(key)?.new_server()).map(handle)
    })
}

/// ServerSocket.bind: takes a port (0 = any free one) on an address of this machine, given in digits.
///
/// NULL, "" and "0.0.0.0" mean all IPv4 addresses, "::" all IPv6 addresses, and no IPv4 ones.
/// SS_ERR_RANGE 2003: no such port. SS_ERR_ARGUMENT 2004: not an IP address (names are never looked up).
/// SS_ERR_IO 2002: bound already, closed, or refused by the system: then ss_last_os_error() says why (the port is
/// in use, the address is not this machine's, ...), the server stays unbound, and bind may be tried again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_bind(server: *mut ss_server, local_port: i32, local_address: *const c_char) -> ss_status {
    status(|| {
        // SAFETY: NULL or a NUL-terminated string, by contract.
        let address = unsafe { local_address_text(local_address) }?;
        with(|thread| thread.server(key(server))?.bind(local_port, address))
    })
}

/// Binds a Unix-domain socket in place of ss_bind: path is that of a file, or on Linux "@name" an abstract name, which is no file.
/// Everything else is as with ports; accepted sockets have no addresses, but see ss_socket_peer_credentials.
///
/// A file that a former server has left there is replaced, if nobody has its socket any more; no other file ever is. ss_close and
/// the end of the server remove the file, unless another one has taken its place or the descriptor was asked for with
/// ss_native_handle. Who may connect is decided by the file's permissions: set umask before, or chmod it before ss_listen.
/// ss_local_address is the path as given, ss_local_port 0. SS_OPT_DUAL_STACK, SS_OPT_REUSE_PORT, SS_OPT_NO_DELAY and SS_OPT_KEEP_ALIVE
/// mean nothing here, and these connections know no reset: the peer of one that is aborted, or of which output is dropped, sees its
/// end.
/// SS_ERR_TYPE 2007: path is NULL. SS_ERR_ARGUMENT 2004: it is empty, or longer than the system takes (about 100 bytes).
/// SS_ERR_IO 2002: bound already, closed, or refused by the system: ss_last_os_error() is EADDRINUSE where a server or a file of
/// another kind is. SS_ERR_UNSUPPORTED: Windows; abstract names on other systems than Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_bind_path(server: *mut ss_server, path: *const c_char) -> ss_status {
    status(|| {
        // SAFETY: a NUL-terminated string, by contract.
        let path = unsafe { c_string(path, "path") }?.to_owned();
        with(|thread| thread.server(key(server))?.bind_path(&path))
    })
}

/// ServerSocket.listen: from now on the system takes connections in; up to about backlog of them (0 = the
/// system's maximum) wait there until they are accepted, further ones are turned away by the system.
///
/// Returns at once. Accepting happens in ss_loop_poll, and only while somebody listens for "connect". Listening
/// again changes the backlog. SS_ERR_RANGE 2006: backlog is negative. SS_ERR_IO 2002: not bound, or closed.
#[unsafe(no_mangle)]
pub extern "C" fn ss_listen(server: *mut ss_server, backlog: i32) -> ss_status {
    status(|| with(|thread| thread.server(key(server))?.listen(backlog)))
}

/// ServerSocket.close: gives the port back. Connections not yet accepted are reset, accepted ones live on.
///
/// Nobody can connect from then on, also while a forked child holds a copy of the descriptor (on Linux; elsewhere the child
/// must close it). Whoever was given it on purpose keeps it: one that was adopted, or asked for with ss_native_handle.
/// No event follows. A closed server cannot be opened again, but still has to be released.
/// SS_ERR_ERROR 2002: it is not open.
#[unsafe(no_mangle)]
pub extern "C" fn ss_close(server: *mut ss_server) -> ss_status {
    status(|| with(|thread| thread.server(key(server))?.close()))
}

/// Ends the server in peace. Who waits to be connected is still accepted; then the port is given back, in the next turns of
/// the loop, as ss_close gives it back. The connections live on, and "close" comes on the server when the last one that it
/// accepted has ended, those included that were closed and still send. ss_event_os_error of it is 0 then.
///
/// After timeout_ms milliseconds those that are left are reset, those that wait included: each open socket gets ioError and
/// close, and the server close behind them, all with ETIMEDOUT. With 0 that begins with the next turn. Until then ss_loop_run goes on.
/// Called again it sets another deadline. ss_close ends it, and so does the last ss_release: the port is given back,
/// connections live on, and no event follows.
///
/// With SS_OPT_REUSE_PORT another server can take over meanwhile. Linux then passes newcomers over for 200 ms before the port is
/// given back, so that nobody is lost who has begun to connect; they meet the other server at their next try, a second later.
/// Not where the listening socket may be somebody else's, too: after ss_native_handle or ss_adopt, or a fork.
///
/// Accepting goes on after ss_pause. SS_OPT_MAX_CONNECTIONS still holds: who waits for a place keeps the port in use. Nobody
/// listens for "connect": who waits is reset. SS_ERR_ERROR 2002: the server is neither bound nor draining.
#[unsafe(no_mangle)]
pub extern "C" fn ss_drain(server: *mut ss_server, timeout_ms: u32) -> ss_status {
    status(|| with(|thread| thread.server(key(server))?.drain(timeout_ms)))
}

/// Takes over a socket, of TCP or the Unix domain, that is bound already, as a service manager hands it to the process (systemd's socket activation),
/// in place of ss_bind, and if listening is true of ss_listen.
///
/// On SS_OK the descriptor is the library's; before and otherwise it is the caller's. It is made non-blocking and
/// close-on-exec. SS_ERR_ARGUMENT 2004: not a bound stream socket, a connection (see ss_socket_adopt), listening is not what it is, or
/// an object of the library has it already. SS_ERR_IO 2002: the server is bound or closed already, or there is no such descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn ss_adopt(server: *mut ss_server, fd: i64, listening: bool) -> ss_status {
    status(|| with(|thread| thread.adopt(key(server), fd, listening)))
}

/// Stops accepting: peers wait in the system's queue until ss_resume. SS_ERR_IO 2002: the server is closed.
#[unsafe(no_mangle)]
pub extern "C" fn ss_pause(server: *mut ss_server) -> ss_status {
    status(|| with(|thread| thread.server(key(server))?.set_paused(true)))
}

/// Accepts again after ss_pause. SS_ERR_IO 2002: the server is closed.
#[unsafe(no_mangle)]
pub extern "C" fn ss_resume(server: *mut ss_server) -> ss_status {
    status(|| with(|thread| thread.server(key(server))?.set_paused(false)))
}

/// ServerSocket.bound: between bind and close.
#[unsafe(no_mangle)]
pub extern "C" fn ss_bound(server: *mut ss_server) -> bool {
    get(false, |thread| Ok(thread.server(key(server))?.server.is_bound()))
}

/// ServerSocket.listening: between listen and close.
#[unsafe(no_mangle)]
pub extern "C" fn ss_listening(server: *mut ss_server) -> bool {
    get(false, |thread| Ok(thread.server(key(server))?.server.is_listening()))
}

/// ServerSocket.localAddress, in digits, or the path of ss_bind_path; NULL when not bound.
///
/// The text is the library's and is valid until the server is closed or destroyed.
#[unsafe(no_mangle)]
pub extern "C" fn ss_local_address(server: *mut ss_server) -> *const c_char {
    get(std::ptr::null(), |thread| {
        let local = thread.server(key(server))?.server.local();
        Ok(local.map_or(std::ptr::null(), |local| local.text.as_ptr()))
    })
}

/// ServerSocket.localPort; 0 when not bound, and of a path. The real port as soon as bind has returned, also when 0 was asked for.
#[unsafe(no_mangle)]
pub extern "C" fn ss_local_port(server: *mut ss_server) -> i32 {
    get(0, |thread| {
        let local = thread.server(key(server))?.server.local();
        Ok(local.and_then(|local| local.address).map_or(0, |address| address.port().into()))
    })
}
