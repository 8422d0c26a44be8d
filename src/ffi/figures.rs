// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures and the log.

use std::ffi::{c_char, c_void};

use super::border::{key, status};
use super::server::ss_server;
use super::status::ss_status;
use crate::core::thread::with;
use crate::error::Failure;
use crate::log;

/// What has happened on a server so far. The struct may grow at its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ss_stats {
    /// The caller sets it to sizeof(ss_stats), so that a program and a library of different ages understand each other.
    pub size: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Those of them that are open now.
    pub open: u64,
    /// Those that nobody kept: not retained, or closed in the connect listener.
    pub refused: u64,
    /// How often accepting was put off because descriptors or memory were short.
    pub accept_deferred: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes handed to the system to be sent.
    pub bytes_out: u64,
    /// Connections that ended by an error: reset, timed out, ...
    pub errors: u64,
    /// Connections whose sockets are closed, and that still send what was written or wait for the peer to have read it.
    pub lingering: u64,
}

/// Figures of a server and the connections that it has accepted.
///
/// Set stats->size = sizeof *stats before the call. SS_ERR_TYPE 2007: stats is NULL. SS_ERR_ARGUMENT 2004: size is not
/// set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_server_stats(server: *mut ss_server, stats: *mut ss_stats) -> ss_status {
    status(|| {
        let figures = with(|thread| thread.loop_of(key(server))?.figures(key(server)))?;
        if stats.is_null() {
            return Err(Failure::null("stats"));
        }
        // SAFETY: not NULL, and the first member is there whatever the size of the rest.
        let size = unsafe { (&raw const (*stats).size).read() };
        if size < size_of::<usize>() {
            return Err(Failure::invalid_parameter().because("set stats->size to sizeof *stats before the call"));
        }
        let filled = ss_stats {
            size,
            accepted: figures.accepted,
            open: figures.open,
            refused: figures.refused,
            accept_deferred: figures.accept_deferred,
            bytes_in: figures.bytes_in,
            bytes_out: figures.bytes_out,
            errors: figures.errors,
            lingering: figures.lingering,
        };
        let length = size.min(size_of::<ss_stats>());
        // SAFETY: the caller vouches for `size` bytes, and ours are not shorter than `length`.
        unsafe { std::ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), stats.cast::<u8>(), length) };
        Ok(())
    })
}

/// The level of a log message: something was lost.
pub const SS_LOG_ERROR: i32 = 1;
/// The level of a log message: something is short, and the library copes; or an ioError had no listener.
pub const SS_LOG_WARNING: i32 = 2;
/// The level of a log message: the program does something that is allowed, and hardly what it means; with what to do. Each of them
/// comes once: for a server, a loop, or a thread.
pub const SS_LOG_HINT: i32 = 3;

/// A function that takes log messages; the text is valid during the call. It may run on any thread that uses the
/// library, also inside a call, and must not throw.
pub type ss_log = Option<unsafe extern "C-unwind" fn(level: i32, message: *const c_char, user_data: *mut c_void)>;

/// Sets the function that gets the library's messages, one for the process; NULL: none, as at first. Without it the
/// library prints nothing.
///
/// Any thread. Another thread may still be inside the old function when this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_set_log(log: ss_log, user_data: *mut c_void) -> ss_status {
    status(|| {
        log::set(log, user_data);
        Ok(())
    })
}
