// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between operating systems, and nothing else: one small interface, a file per system.
//!
//! Contract of each file:
//! - `fork_epoch()` changes, in the child only, when the process forks; `has_forked()` is true in a process that has.
//! - `watch_forks(prepare, in_parent, in_child)`: functions that are called around each fork; `note_fork(in_child)`.
//! - `at_load!(function)`: called when the library is loaded, where that is needed.
//! - `at_exit(function)`: called when the process exits, where that is needed.
//! - `without_signals(make)`: makes a thread that takes none of the host's signals.
//! - `SHORT_READ_DRAINS`: a read that returned less than it could have proves that the kernel's buffer was empty,
//!   and a short write that it is full, as far as the next readiness event is concerned.
//! - `interest()`: what a connection is registered for, once.
//! - `pollable(poll)`: the descriptor that becomes readable whenever the poller has something to tell, where there is one.
//! - `raw(x)`: the number a host knows the socket by; `close(x)`: close it, even
//!   if it is not open any more; `forget(x)`: give it up *without* closing it.
//! - `exclusive(socket)`: called before bind, so that nobody can share or steal the port.
//! - `may_share(socket, yes)`: whether the port may be bound while old connections of it linger.
//! - `INHERITS_SETTINGS`: an accepted socket starts with its listener's settings.
//! - `uncancelled(call)`: system calls in which the thread must not be cancelled, since the library's own frames are above.
//! - `accept(listener)`, `receive(stream, buffer)`, `send(stream, bytes)`: one system call each, which never raises a signal, and
//!   in which no thread is cancelled.
//! - `send_ahead(stream, bytes)`: as `send`; the system may keep the bytes a moment, for what follows.
//! - `name_error(number)`: what getaddrinfo's number means, for people.
//! - `unacknowledged(stream)`, `last_answer(stream)`: what the system knows of the peer's answers, where it tells.
//! - `disconnect(stream)`: resets a connection whose descriptor a child process may hold, too.
//! - `prepare_stream(stream)`: what every connection needs here, accepted or not; one for which this fails must not be
//!   written to.
//! - `keep_alive(period)`: probes after that much silence, and as often from then on, as far as the system takes it.
//! - `Borrowed`: a descriptor of the host, looked at before it is taken over; `close_on_exec(socket)`.
//! - `listens(socket)`, `still_listens(listener)`; `CAN_SHARE_PORTS`, `share_port(socket)`.
//! - `pass_over_newcomers(listener)`: nobody begins to connect at it any more, where there is a way that loses nobody.
//! - `needs_privilege(error, port)`: what a bind said that would have succeeded with another port.
//! - `is_under_way(error)`: what connecting says when it does not wait.
//! - `TIMED_OUT`, `REFUSED`, `OTHER_FAMILY`, `BROKEN`, `NO_MEMORY`, `NO_SUCH_NAME`, `PROTOCOL`: the system's numbers for what we find out
//!   ourselves.
//! - `paths`: Unix-domain sockets. `Address::new(text)`, `bind(socket, address)`, `SocketFile::remove`; `net` connects and accepts.
//! - `keeping_errno(call)`: the thread's errno is afterwards what it was before.
//! - `monotonic_nanoseconds()`: a clock that never goes back, from anywhere on; `Instant` is made of it.
//! - `Board`: what every thread reaches without a lock, the same on all systems.
//! - `net`: sockets, the poller and the clock, the same on all systems; `simulated` takes its place in the simulation.
//! - `accept_error(error)`, `is_exhausted(error)`, `is_not_ours(error)`: classes of system errors.

mod board;
mod instant;
#[cfg(not(feature = "simulate"))]
pub(crate) mod net;
#[cfg(not(all(unix, not(feature = "simulate"))))]
#[path = "no_paths.rs"]
pub(crate) mod paths;
#[cfg(all(unix, not(feature = "simulate")))]
pub(crate) mod paths;
#[cfg(unix)]
mod process;
mod readiness;
#[cfg(feature = "simulate")]
pub(crate) mod simulated;
#[cfg(unix)]
#[cfg_attr(feature = "simulate", allow(dead_code, reason = "what a made-up network has no use for"))]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use board::Board;
pub(crate) use instant::Instant;
#[cfg(unix)]
pub(crate) use process::*;
#[cfg(feature = "simulate")]
pub(crate) use simulated as net;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// What the system knows of the peer's answers.
pub(crate) struct LastAnswer {
    /// How long ago the last one came.
    pub ago: std::time::Duration,
    /// Something was sent again, or the window probed, since: an answer is due.
    pub one_is_due: bool,
}

/// Why a path could not be bound.
pub(crate) struct PathInUse {
    pub error: std::io::Error,
    /// What is there, and what to do; "": the error says it.
    pub why: &'static str,
}

/// Who a peer is: numbers of the system's. -1 where it does not tell a process.
pub(crate) struct Credentials {
    pub user: u32,
    pub group: u32,
    pub process: i32,
}

/// What an error of accept means for the listening socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// Nobody is waiting.
    Drained,
    /// That one peer is gone, or a signal came; go on with the next.
    Next,
    /// The process or the system is out of descriptors or memory, or it is forbidden; peers wait in the kernel, try again
    /// later.
    NotNow,
    /// The listening socket is dead.
    Fatal,
}
