// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of servers and sockets.

use super::border::{key, status, store};
use super::object::ss_object;
use super::status::ss_status;
use crate::core::thread::{Thread, with};
use crate::error::Result;
use crate::handle::{Kind, explain};
use crate::options::Name;

/// An option of a server or a socket: one of SS_OPT_... Set on a server, those of sockets are what the sockets that it
/// accepts from then on start with.
pub type ss_option = i32;

/// Socket.tcpNoDelay (TCP_NODELAY): small writes leave at once instead of waiting for more. 0 or 1; default 1.
pub const SS_OPT_NO_DELAY: ss_option = 1;
/// Server, before bind: "::" takes IPv4 connections too, whose addresses then read as IPv4's. 0 or 1; default 0.
pub const SS_OPT_DUAL_STACK: ss_option = 2;
/// Server, before bind: several servers, of several loops or processes, share a port; each of them must set it, and the
/// system deals the connections out. 0 or 1; default 0. SS_ERR_UNSUPPORTED where there is no such thing (Windows).
pub const SS_OPT_REUSE_PORT: ss_option = 3;
/// Server: how many of the connections it accepted may be there; at the limit accepting pauses and peers wait in the system's
/// queue. Those whose sockets are closed and that still send count, too, but give way: the one that has gone longest without
/// progress is reset when a new peer needs its place. Default 0: any number.
pub const SS_OPT_MAX_CONNECTIONS: ss_option = 4;
/// Unread bytes at which reading pauses until some are read; the peer is then slowed down by TCP. From 1; default 16777216
/// (16 MiB). Nothing that is read in one piece can be longer: SS_ERR_RANGE says so. A listener that takes nothing when the
/// limit is reached waits for ever; the log has a warning then. What the system still holds when the peer has ended is taken in
/// beyond the limit.
pub const SS_OPT_READ_LIMIT: ss_option = 5;
/// Unsent bytes beyond which a write is refused with SS_ERR_FULL, or with SS_ERR_RANGE if it alone is more. From 1; default
/// 67108864 (64 MiB).
pub const SS_OPT_WRITE_LIMIT: ss_option = 6;
/// Milliseconds for which a closed socket may go on sending without progress: without a byte that the peer acknowledges. Ten times
/// as long is the most in all. What is unsent then is dropped, and the peer sees a reset. Default 30000; 0: what the system does
/// not take at once is dropped.
pub const SS_OPT_LINGER: ss_option = 7;
/// Milliseconds without a byte either way, or with fewer than SS_OPT_IDLE_BYTES, after which a connection is given up:
/// ioError (ss_event_os_error is ETIMEDOUT), then close. Bytes that the peer acknowledges count, where the system tells of
/// them; it is asked when the time is over, so that it may be twice as long in the end. Default 0: never.
pub const SS_OPT_IDLE_TIMEOUT: ss_option = 8;
/// Seconds of silence after which the system probes whether the peer is still there, and between probes. A peer that answers
/// nothing for ten times as long is given up, on Linux also while output is under way. One that answers but takes nothing, since
/// its window is shut, is there. At most 32767; default 0: it does not.
pub const SS_OPT_KEEP_ALIVE: ss_option = 9;
/// How many bytes have to go either way within each SS_OPT_IDLE_TIMEOUT for a connection not to be idle: a rate that
/// peers must keep to. With the default, 1, any byte will do; with more, a peer that sends or reads one now and then, and
/// would hold the connection for ever, is given up as one that is silent. From 1 to 4294967295.
pub const SS_OPT_IDLE_BYTES: ss_option = 10;
/// What the peer's end means. 0: the connection is over with it, as with AIR's Socket, and close comes. 1: the connection
/// goes on half-open. The event "end" says that the peer has ended its side, after all that it sent, and the socket stays
/// connected and can be written to, until ss_socket_shutdown or ss_socket_close; close comes when both sides have ended. Listen
/// for "end" then: without it such a connection stays until it is closed, reset or given up by a time-out. A reset is noticed at
/// once, whatever has ended. Looked at when the peer ends its side. Default 0.
pub const SS_OPT_HALF_OPEN: ss_option = 11;
/// Milliseconds without a byte from the peer after which a connection is given up: ioError (ss_event_os_error is ETIMEDOUT),
/// then close. What we write does not count, other than with SS_OPT_IDLE_TIMEOUT. The time stands still while the host does not
/// read, that is after ss_socket_pause and at SS_OPT_READ_LIMIT, and begins anew when reading goes on; after the peer's end
/// ("end") it is over. Default 0: never.
pub const SS_OPT_READ_TIMEOUT: ss_option = 12;
/// TLS: the oldest version that is spoken: 12 (default) or 13.
pub const SS_OPT_TLS_MIN_VERSION: ss_option = 13;
/// Server: how many bytes all of its connections together whose sockets are closed may have unsent. Beyond it those that have gone
/// longest without progress are reset. From 1; default 268435456 (256 MiB).
pub const SS_OPT_LINGER_BYTES: ss_option = 14;
/// Server: how many bytes all of its connections together may have unread. Beyond it those that hold the most are read from no further
/// until there is room again: all but those that hold less than an equal part of a quarter of it, so that who reads goes on. Their
/// peers are slowed down by TCP, their end is told later, and nothing is lost. The log has a warning, once. SS_OPT_READ_LIMIT holds for
/// each of them besides. From 1; default 268435456 (256 MiB).
pub const SS_OPT_UNREAD_LIMIT: ss_option = 15;
/// TLS, of a server and its sockets: whether clients are asked for a certificate, signed by one that ss_tls_add_certificate has made
/// trusted. 0: no (default). 1: they are, and may have none; one that is shown must be good. 2: they must have one.
pub const SS_OPT_CLIENT_CERTIFICATE: ss_option = 16;
/// TLS: milliseconds for which a handshake may go on. The connection is given up then: handshakeError on the server, ioError on a socket that
/// connects (ss_event_os_error is ETIMEDOUT). Default 10000; 0: as long as it likes.
pub const SS_OPT_HANDSHAKE_TIMEOUT: ss_option = 17;

/// Sets an option.
///
/// SS_ERR_ARGUMENT 2008: there is no such option, or only servers have it. SS_ERR_RANGE 2006: the value does not fit
/// it. SS_ERR_IO 2002: it is for before bind, or the system refused.
#[unsafe(no_mangle)]
pub extern "C" fn ss_set_option(object: *mut ss_object, option: ss_option, value: i64) -> ss_status {
    status(|| {
        with(|thread| {
            check(thread, object)?;
            let name = Name::from_number(option)?;
            match key(object).kind() {
                Some(Kind::Server) => thread.server(key(object))?.set_option(name, value),
                _ => thread.socket(key(object))?.set_option(name, value),
            }
        })
    })
}

/// What an option is set to.
///
/// SS_ERR_ARGUMENT 2008: there is no such option, or only servers have it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_get_option(object: *mut ss_object, option: ss_option, value: *mut i64) -> ss_status {
    status(|| {
        let setting = with(|thread| {
            check(thread, object)?;
            let name = Name::from_number(option)?;
            match key(object).kind() {
                Some(Kind::Server) => Ok(thread.server(key(object))?.server.option(name)),
                _ => thread.socket(key(object))?.option(name),
            }
        })?;
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(value, setting) };
        Ok(())
    })
}

/// Only servers and sockets have options.
fn check(thread: &mut Thread, object: *mut ss_object) -> Result<()> {
    match key(object).kind() {
        Some(Kind::Server | Kind::Socket) => thread.check(key(object)),
        _ => Err(explain(key(object), &[Kind::Server, Kind::Socket])),
    }
}
