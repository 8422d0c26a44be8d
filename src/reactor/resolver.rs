// SPDX-License-Identifier: MIT OR Apache-2.0
//! Name look-ups, which the system offers only as calls that wait: done by a few threads, which end when there is
//! nothing to do. They hold neither a loop up nor the process, and nothing of either.
//!
//! A look-up that nobody waits for any more leaves the queue. One that is under way cannot be stopped: it goes on without
//! counting, so that a name server which does not answer keeps no other name waiting.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};

use super::BACK_OFF;
use super::remote::{Answer, Remote};
use crate::handle::Key;
use crate::sys;

/// At most so many look-ups that somebody waits for go on at once in the process; further ones wait their turn.
const AT_ONCE: usize = 4;
/// With those that nobody waits for any more there are at most so many threads.
const THREADS: usize = 16;
/// How long a thread waits that takes the place of one whose look-up was given up: many may be given up at once.
const BREATH: Duration = Duration::from_millis(50);
/// How long a thread waits for more to do.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many addresses of a name are tried at most.
const ADDRESSES: usize = 32;

pub(crate) struct Request {
    pub socket: Key,
    pub host: String,
    pub port: u16,
    pub reply_to: Weak<Remote>,
}

/// A look-up that somebody waits for. Dropping this gives it up.
pub(crate) struct Lookup(u64);

impl Lookup {
    /// Whether this is what it was that was looked up.
    pub(crate) fn is_answered_by(&self, answer: &Answer) -> bool {
        self.0 == answer.lookup
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut state = lock();
        let state = &mut *state;
        if state.waiting.remove(&self.0).is_none() && state.running.remove(&self.0) {
            // The others have one more place now, unless they are given up in the same breath.
            let _ = state.look_after_threads(BREATH);
            WORK.notify_one();
        }
    }
}

struct State {
    /// By their numbers: the oldest first.
    waiting: BTreeMap<u64, Request>,
    /// Those under way that somebody waits for.
    running: BTreeSet<u64>,
    /// The last number that was given out.
    last: u64,
    threads: usize,
    /// Those that wait for something to do, or have just begun.
    idle: usize,
    epoch: u32,
}

static STATE: Mutex<State> = Mutex::new(State::new(0, 0));
static WORK: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.epoch != sys::fork_epoch() {
        // The threads, and what they were to do, are the parent's.
        let fresh = State::new(sys::fork_epoch(), state.last);
        std::mem::forget(std::mem::replace(&mut *state, fresh));
    }
    state
}

/// Holds the look-ups while the process forks.
pub(crate) fn hold() -> Box<dyn Any> {
    Box::new(lock())
}

impl State {
    const fn new(epoch: u32, last: u64) -> Self {
        State { waiting: BTreeMap::new(), running: BTreeSet::new(), last, threads: 0, idle: 0, epoch }
    }

    fn take(&mut self) -> Option<(u64, Request)> {
        let (number, request) = if self.running.len() < AT_ONCE { self.waiting.pop_first()? } else { return None };
        self.running.insert(number);
        Some((number, request))
    }

    /// Makes a thread if one more would have something to do, after a while. Fails if there is none at all then.
    fn look_after_threads(&mut self, rest: Duration) -> io::Result<()> {
        let wanted = self.waiting.len() > self.idle && self.idle + self.running.len() < AT_ONCE;
        if !wanted || self.threads >= THREADS {
            return Ok(());
        }
        let thread = thread::Builder::new().name("server_socket names".into());
        match sys::without_signals(|| thread.spawn(move || work(rest))) {
            Ok(_) => {
                self.threads += 1;
                self.idle += 1;
            }
            Err(error) if self.threads == 0 => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

/// Has a name looked up; the answer goes to the loop that asked. Fails if no thread can be made for it.
pub(crate) fn resolve(request: Request) -> io::Result<Lookup> {
    let mut state = lock();
    state.last += 1;
    let number = state.last;
    state.waiting.insert(number, request);
    if let Err(error) = state.look_after_threads(Duration::ZERO) {
        state.waiting.remove(&number);
        return Err(error);
    }
    WORK.notify_one();
    Ok(Lookup(number))
}

/// What a thread does. It counts as idle when it begins.
fn work(rest: Duration) {
    thread::sleep(rest);
    let mut state = lock();
    state.idle -= 1;
    loop {
        if let Some((number, request)) = state.take() {
            drop(state);
            let outcome = look_up(&request.host, request.port);
            state = lock();
            if state.running.remove(&number) {
                drop(state);
                answer(request, number, outcome);
                state = lock();
            }
            continue;
        }
        state.idle += 1;
        let (woken, waited) = WORK.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.waiting.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}

fn answer(request: Request, lookup: u64, outcome: Result<Vec<SocketAddr>, i32>) {
    let mut answer = Answer { socket: request.socket, lookup, outcome };
    while let Some(reply_to) = request.reply_to.upgrade() {
        match reply_to.answer(answer) {
            Ok(()) => return,
            Err(back) => answer = back,
        }
        drop(reply_to);
        thread::sleep(BACK_OFF);
    }
}

/// The addresses in the order in which the system would have them tried, or its error number.
fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, i32> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), flags: 0, address: 0, protocol: 0 };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| error.error_num())?;
    let with_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    Ok(found.filter_map(Result::ok).take(ADDRESSES).map(|info| with_port(info.sockaddr)).collect())
}
