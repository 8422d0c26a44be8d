// SPDX-License-Identifier: MIT OR Apache-2.0
//! The event loop's engine: waits for readiness, keeps time, lends buffers, hears other threads.
//!
//! It knows keys and nothing of what they open. The layer above takes what is ready from [`Reactor::wait`] and acts on
//! it.

mod buffers;
mod output;
mod remote;
mod resolver;
mod timers;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use buffers::{CHUNK, GATHER, Pool, RECEIVE_BUFFER, ReceiveBuffer, Scratch, SendBuffer};
pub(crate) use output::{Output, SLICES};
pub(crate) use remote::{Answer, Posted, Remote};
pub(crate) use resolver::{Lookup, Request, hold as hold_names, resolve};
pub(crate) use timers::{Deadline, Timers};

use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::memory;
use crate::sys::Instant;
use crate::sys::net::{self, EVENTS, Poller, Ready, Waker};

fn make_poller() -> io::Result<(Poller, Waker)> {
    let poller = Poller::new()?;
    let waker = poller.waker()?;
    Ok((poller, waker))
}

/// How long something rests for which the process or the system has no descriptors or memory left.
pub(crate) const BACK_OFF: Duration = Duration::from_millis(200);

/// A wait for a deadline is no longer than this: the turn after it waits on.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Reactor {
    /// The loop's own.
    key: Key,
    pub(crate) poller: Poller,
    remote: Arc<Remote>,
    /// What is known to be ready without the kernel saying so again: work that a turn's budget left over.
    ready: VecDeque<Key>,
    /// Connections with output that leaves when the running listener ends.
    dirty: Vec<Key>,
    /// Sockets whose outputProgress is due at the end of the turn.
    pub(crate) progress: VecDeque<Key>,
    pub(crate) timers: Timers,
    /// Connections for which the system had no memory: they are tried again when the loop's own timer says so.
    starved: BTreeSet<Key>,
    retry: Deadline,
    /// There was no memory for one of the lists: what belongs there is looked for then.
    short: bool,
    pub(crate) pool: Pool,
    pub(crate) receive_buffer: ReceiveBuffer,
    pub(crate) send_buffer: SendBuffer,
    /// What has come sealed, and what is to leave so.
    pub(crate) sealed_in: Scratch,
    pub(crate) sealed_out: Scratch,
    /// Input that the running listener has taken as it is; the memory is in use until it returns.
    taken: Vec<Vec<u8>>,
    /// The time at which this turn began to work.
    pub(crate) now: Instant,
    /// Whether a host waits on the poller's own descriptor, which must then become readable for our own work too.
    exported: bool,
    /// All connections are to be looked at: it is in the list of the ready itself.
    looks_at_all: bool,
}

impl Reactor {
    /// `key` is the loop's own.
    pub(crate) fn new(key: Key) -> Result<Self> {
        memory::look_for(EVENTS * 2 * size_of::<Ready>())?;
        let (poller, waker) =
            make_poller().map_err(|error| Failure::invalid_socket().with_system("make an event loop", &error, ""))?;
        let remote = Arc::new(Remote::new(waker));
        Ok(Reactor {
            key,
            poller,
            remote,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            progress: VecDeque::new(),
            timers: Timers::default(),
            starved: BTreeSet::new(),
            retry: Deadline::NONE,
            short: false,
            pool: Pool::default(),
            receive_buffer: ReceiveBuffer::new()?,
            send_buffer: SendBuffer::default(),
            sealed_in: Scratch::default(),
            sealed_out: Scratch::default(),
            taken: Vec::new(),
            now: net::now(),
            exported: false,
            looks_at_all: false,
        })
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Has `key` looked at in the next turn, which then does not wait.
    pub(crate) fn push_ready(&mut self, key: Key) {
        if self.ready.try_reserve(1).is_err() {
            return self.fall_short();
        }
        self.ready.push_back(key);
        self.has_work();
    }

    /// There is no memory for one of the lists. What is to be done rests until the timer says that it is looked for.
    #[cold]
    fn fall_short(&mut self) {
        self.short = true;
        self.rest();
    }

    /// Whether things that are to be done are in no list.
    pub(crate) fn take_short(&mut self) -> bool {
        std::mem::take(&mut self.short)
    }

    /// Has the whole loop looked at in the next turn: there is room for unread input again.
    pub(crate) fn push_loop(&mut self) {
        self.receive_buffer.take_little(false);
        self.look_at_all();
    }

    /// Has all connections looked at in the next turn: some of them may be read from again.
    pub(crate) fn look_at_all(&mut self) {
        if !std::mem::replace(&mut self.looks_at_all, true) {
            self.push_ready(self.key);
        }
    }

    /// They are.
    pub(crate) fn looked_at_all(&mut self) {
        self.looks_at_all = false;
    }

    pub(crate) fn pop_ready(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// After a panic the list of the ready is made anew.
    pub(crate) fn forget_lists(&mut self) {
        self.ready.clear();
        self.looks_at_all = false;
        self.dirty.clear();
        self.progress.clear();
    }

    /// The connection has output for the end of the listener.
    #[inline]
    pub(crate) fn push_dirty(&mut self, key: Key) {
        if self.dirty.try_reserve(1).is_err() {
            return self.fall_short();
        }
        self.dirty.push(key);
        self.has_work();
    }

    #[inline]
    pub(crate) fn pop_dirty(&mut self) -> Option<Key> {
        self.dirty.pop()
    }

    #[inline]
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn drop_dirty(&mut self, key: Key) {
        self.dirty.retain(|dirty| *dirty != key);
    }

    pub(crate) fn push_progress(&mut self, socket: Key) {
        if self.progress.try_reserve(1).is_err() {
            return self.fall_short();
        }
        self.progress.push_back(socket);
        self.has_work();
    }

    /// What was due of an earlier connection of the socket is not due any more.
    pub(crate) fn drop_progress(&mut self, socket: Key) {
        self.progress.retain(|due| *due != socket);
    }

    /// Room for one more in [`hold`](Self::hold).
    pub(crate) fn make_room_to_hold(&mut self) -> Result<()> {
        self.taken.try_reserve(1).map_err(|_| Failure::no_memory())
    }

    /// Keeps bytes where they are until the running listener returns.
    pub(crate) fn hold(&mut self, taken: Vec<u8>) {
        self.taken.push(taken);
    }

    /// The listener has returned.
    #[inline]
    pub(crate) fn let_go(&mut self) {
        if !self.taken.is_empty() {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&mut self) {
        while let Some(taken) = self.taken.pop() {
            self.pool.give(taken);
        }
    }

    /// Whether there is something to do that no readiness and no timer will tell of.
    pub(crate) fn is_busy(&self) -> bool {
        self.send_buffer.owner.is_some()
            || !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.progress.is_empty()
    }

    /// There is something to do that the kernel does not know of.
    #[inline]
    pub(crate) fn has_work(&self) {
        if self.exported {
            self.remote.wake();
        }
    }

    /// Has the connection `key` tried again after a rest.
    pub(crate) fn starve(&mut self, key: Key) {
        self.starved.insert(key);
        self.rest();
    }

    fn rest(&mut self) {
        if !self.retry.is_set() {
            self.timers.set(self.key, &mut self.retry, Some(net::now() + BACK_OFF));
        }
    }

    /// The rest is over.
    pub(crate) fn take_starved(&mut self) -> BTreeSet<Key> {
        self.retry.clear();
        std::mem::take(&mut self.starved)
    }

    /// The poller's descriptor, for a host's own loop.
    pub(crate) fn export(&mut self) -> Option<i64> {
        let descriptor = self.poller.descriptor()?;
        self.exported = true;
        Some(descriptor)
    }

    /// How long a wait may last, given nothing but the timers and what is to be done.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        match self.is_busy() {
            true => Some(Duration::ZERO),
            false => self.timers.next().map(|due| due.saturating_duration_since(net::now())),
        }
    }

    /// How long to wait at most, if the host wants to wait for `limit`.
    pub(crate) fn wait_limit(&self, limit: Option<Duration>) -> Option<Duration> {
        match (limit, self.poll_timeout()) {
            (Some(limit), Some(own)) => Some(limit.min(own)),
            // More milliseconds than an int holds are without end to some pollers.
            (limit, own) => limit.or(own.map(|own| own.min(LONGEST_WAIT))),
        }
    }
}
