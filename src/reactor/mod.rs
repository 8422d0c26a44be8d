//! The event loop's engine: waits for readiness, keeps time, lends buffers, hears other threads.
//!
//! It knows keys and nothing of what they open. The layer above takes what is ready from [`Reactor::wait`]
//! and acts on it.

mod buffers;
mod output;
mod remote;
mod resolver;
mod timers;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

pub(crate) use buffers::{CHUNK, Pool, ReceiveBuffer};
pub(crate) use output::{Output, SLICES};
pub(crate) use remote::{Answer, Posted, Remote};
pub(crate) use resolver::{Request, resolve};
pub(crate) use timers::Timers;

use crate::handle::Key;
use crate::sys;

/// How many readiness events one turn takes from the kernel.
const EVENTS: usize = 1024;
/// How long something rests for which the process or the system has no descriptors or memory left.
pub(crate) const BACK_OFF: Duration = Duration::from_millis(200);
/// No key has these bits.
const WAKER: Token = Token(0);

pub(crate) struct Reactor {
    poll: Poll,
    events: Events,
    remote: Arc<Remote>,
    /// What is known to be ready without the kernel saying so again: work that a turn's budget left over.
    ready: VecDeque<Key>,
    pub(crate) timers: Timers,
    /// Connections for which the system had no memory: they are tried again when the loop's own timer says so.
    starved: BTreeSet<Key>,
    retry: Option<Instant>,
    pub(crate) pool: Pool,
    pub(crate) receive_buffer: ReceiveBuffer,
    /// The time at which this turn began to work.
    pub(crate) now: Instant,
    /// Whether a host waits on the poller's own descriptor, which must then become readable for our own work too.
    exported: bool,
}

/// One readiness event.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub key: Key,
    pub readable: bool,
    pub writable: bool,
    /// The peer's end, an error, or urgent data: a short read does not prove that nothing more is there.
    pub to_the_end: bool,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let remote = Arc::new(Remote::new(poll.registry(), WAKER)?);
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS),
            remote,
            ready: VecDeque::new(),
            timers: Timers::default(),
            starved: BTreeSet::new(),
            retry: None,
            pool: Pool::default(),
            receive_buffer: ReceiveBuffer::new(),
            now: Instant::now(),
            exported: false,
        })
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    pub(crate) fn register(&self, source: &mut impl Source, key: Key, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(source, Token(key.bits()), interest)
    }

    pub(crate) fn deregister(&self, source: &mut impl Source) {
        // Fails only for a descriptor that is not registered (any more), which is what is wanted.
        let _ = self.poll.registry().deregister(source);
    }

    /// Has `key` looked at in the next turn, which then does not wait.
    pub(crate) fn push_ready(&mut self, key: Key) {
        self.ready.push_back(key);
        self.has_work();
    }

    /// There is something to do that the kernel does not know of.
    pub(crate) fn has_work(&self) {
        if self.exported {
            self.remote.wake();
        }
    }

    /// Has the connection `key` tried again after a rest. `home` is this loop's own key.
    pub(crate) fn starve(&mut self, home: Key, key: Key) {
        self.starved.insert(key);
        if self.retry.is_none() {
            let due = Instant::now() + BACK_OFF;
            self.timers.set(home, &mut self.retry, Some(due));
        }
    }

    /// The rest is over.
    pub(crate) fn take_starved(&mut self) -> BTreeSet<Key> {
        self.retry = None;
        std::mem::take(&mut self.starved)
    }

    /// The list of the ready is made anew.
    pub(crate) fn forget_ready(&mut self) {
        self.ready.clear();
    }

    pub(crate) fn pop_ready(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// The poller's descriptor, for a host's own loop.
    pub(crate) fn export(&mut self) -> Option<i64> {
        let descriptor = sys::pollable(&self.poll)?;
        self.exported = true;
        Some(descriptor)
    }

    /// How long a wait may last, given nothing but the timers and the list of the ready.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.ready.is_empty() {
            false => Some(Duration::ZERO),
            true => self.timers.next().map(|due| due.saturating_duration_since(Instant::now())),
        }
    }

    /// Waits for readiness, appends it to `ready`, and says whether another thread has called.
    /// A signal ends the wait early, so that a host can look at what its handler noted down.
    pub(crate) fn wait(&mut self, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
        let patience = match (limit, self.patience()) {
            (Some(limit), Some(own)) => Some(limit.min(own)),
            (limit, own) => limit.or(own),
        };
        let outcome = self.poll.poll(&mut self.events, patience);
        self.now = Instant::now();
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            outcome => outcome?,
        }
        let mut called = false;
        for event in &self.events {
            if event.token() == WAKER {
                called = true;
                continue;
            }
            let to_the_end = event.is_read_closed() || event.is_error() || event.is_priority();
            ready.push(Ready {
                key: Key::from_bits(event.token().0),
                readable: event.is_readable() || to_the_end,
                writable: event.is_writable(),
                to_the_end,
            });
        }
        Ok(called)
    }
}
