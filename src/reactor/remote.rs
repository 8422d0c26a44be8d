// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of a loop that every thread may touch: wake, stop, post. The first two are for signal handlers, too.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::host::Call;
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::sys::net::Waker;
use crate::sys::{self, Board};

/// The loops of the process.
static LOOPS: Board<Remote> = Board::new();

pub(crate) struct Remote {
    waker: Waker,
    /// A wake is under way: further ones are saved.
    called: AtomicBool,
    stop: AtomicBool,
    inbox: Mutex<Inbox>,
    epoch: u32,
    /// How many of its servers listen.
    servers: AtomicUsize,
    /// It was polled.
    polled: AtomicBool,
}

#[derive(Default)]
struct Inbox {
    tasks: Vec<Posted>,
    answers: Vec<Answer>,
    closed: bool,
}

/// What a look-up of a name has brought: addresses, or the system's error number.
pub(crate) struct Answer {
    pub socket: Key,
    pub lookup: u64,
    pub outcome: std::result::Result<Vec<SocketAddr>, i32>,
}

/// One of the two runs, once.
pub(crate) struct Posted {
    pub task: Call,
    pub cancelled: Option<Call>,
}

impl Remote {
    /// Makes it reachable from every thread under its loop's key, until [`withdraw`](Self::withdraw).
    pub(crate) fn publish(self: &Arc<Self>, key: Key) {
        LOOPS.hang_up(key.bits(), self.clone());
    }

    pub(crate) fn withdraw(key: Key) {
        LOOPS.take_down(key.bits());
    }

    /// That of a loop, wherever the loop lives. `None`: there is no such loop, or not any more.
    pub(crate) fn find(key: Key) -> Option<Arc<Remote>> {
        LOOPS.get(key.bits())
    }

    /// As [`find`](Self::find), for a call that takes a moment and may be made in a signal handler.
    pub(crate) fn of<T>(key: Key, call: impl FnOnce(&Remote) -> T) -> Option<T> {
        LOOPS.look(key.bits(), call)
    }

    /// Whether there is one in the process that waits to be polled, and never was.
    pub(crate) fn any_waits_to_be_polled() -> bool {
        LOOPS.any(Remote::waits_to_be_polled)
    }

    pub(crate) fn new(waker: Waker) -> Self {
        Remote {
            waker,
            called: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            inbox: Mutex::default(),
            epoch: sys::fork_epoch(),
            servers: AtomicUsize::new(0),
            polled: AtomicBool::new(false),
        }
    }

    /// A server begins to listen, or ends that.
    pub(crate) fn count_server(&self, more: bool) {
        if more {
            self.servers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.servers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_poll(&self) {
        self.polled.store(true, Ordering::Relaxed);
    }

    /// It has servers, and nobody has ever polled it.
    fn waits_to_be_polled(&self) -> bool {
        self.servers.load(Ordering::Relaxed) > 0 && !self.polled.load(Ordering::Relaxed) && self.is_of_this_process()
    }

    pub(crate) fn is_of_this_process(&self) -> bool {
        self.epoch == sys::fork_epoch()
    }

    /// Ends the wait of the loop, now or when it next begins to wait. Also in a signal handler, whatever it has interrupted: this
    /// takes no lock and no memory.
    pub(crate) fn wake(&self) {
        if !self.called.swap(true, Ordering::AcqRel) {
            // It fails only when the counter is full, and then the loop is awake anyway.
            let _ = sys::uncancelled(|| self.waker.wake());
        }
    }

    /// As `wake`, also when nobody knows whether an earlier one was heard.
    pub(crate) fn rouse(&self) {
        self.called.store(false, Ordering::Release);
        self.wake();
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn post(&self, posted: Posted) -> Result<()> {
        {
            let mut inbox = self.lock();
            if inbox.closed {
                return Err(Failure::stale_handle());
            }
            inbox.tasks.try_reserve(1).map_err(|_| Failure::no_memory())?;
            inbox.tasks.push(posted);
        }
        self.wake();
        Ok(())
    }

    pub(crate) fn has_tasks(&self) -> bool {
        !self.lock().tasks.is_empty()
    }

    /// Gives the answer back if there is no memory for it now.
    pub(crate) fn answer(&self, answer: Answer) -> std::result::Result<(), Answer> {
        {
            let mut inbox = self.lock();
            if inbox.closed {
                return Ok(());
            }
            if inbox.answers.try_reserve(1).is_err() {
                return Err(answer);
            }
            inbox.answers.push(answer);
        }
        self.wake();
        Ok(())
    }

    /// Called when the wait said that somebody called: from here on a new call wakes again.
    pub(crate) fn collect(&self) -> (Vec<Posted>, Vec<Answer>) {
        self.called.store(false, Ordering::Release);
        let mut inbox = self.lock();
        (std::mem::take(&mut inbox.tasks), std::mem::take(&mut inbox.answers))
    }

    /// The loop ends. Posts fail from now on; what is still there is handed back to be cancelled.
    pub(crate) fn close(&self) -> Vec<Posted> {
        let mut inbox = self.lock();
        inbox.closed = true;
        std::mem::take(&mut inbox.tasks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A post that came in between would find a wake under way, which nobody hears any more, and nobody would take it.
    #[test]
    fn a_new_call_wakes_again_before_the_tasks_are_taken() {
        let poller = crate::sys::net::Poller::new().unwrap();
        let remote = Remote::new(poller.waker().unwrap());
        remote.wake();
        std::thread::scope(|scope| {
            // As somebody who posts.
            let inbox = remote.lock();
            scope.spawn(|| remote.collect());
            let deadline = Instant::now() + Duration::from_secs(60);
            while remote.called.load(Ordering::Acquire) {
                assert!(Instant::now() < deadline, "it takes the tasks first");
                std::thread::yield_now();
            }
            drop(inbox);
        });
    }
}
