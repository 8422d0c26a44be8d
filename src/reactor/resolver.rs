//! Name look-ups, which the system offers only as calls that wait: done by a few threads, which end when there is
//! nothing to do. They hold neither a loop up nor the process: an answer that nobody waits for any more is dropped.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};
use once_cell::sync::Lazy;

use super::remote::{Answer, Remote};
use crate::handle::Key;
use crate::sys;

/// At most so many look-ups go on at once in the process; further ones wait their turn.
const THREADS: usize = 4;
/// How long a thread waits for more to do.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) struct Request {
    pub socket: Key,
    pub number: u64,
    pub host: String,
    pub port: u16,
    pub reply_to: Arc<Remote>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    threads: usize,
    idle: usize,
    epoch: u32,
}

static STATE: Lazy<Mutex<State>> = Lazy::new(|| {
    sys::FORK_GUARDS.add(|| Box::new(lock()));
    Mutex::default()
});
static WORK: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.epoch != sys::fork_epoch() {
        // The threads, and what they were to do, are the parent's.
        std::mem::forget(std::mem::take(&mut *state));
        state.epoch = sys::fork_epoch();
    }
    state
}

/// Has a name looked up; the answer goes to the loop that asked. Fails if no thread can be made for it.
pub(crate) fn resolve(request: Request) -> io::Result<()> {
    let mut state = lock();
    if state.idle <= state.requests.len() && state.threads < THREADS {
        let spawned = thread::Builder::new().name("server_socket names".into()).spawn(work);
        match spawned {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => return Err(error),
            Err(_) => {}
        }
    }
    state.requests.push_back(request);
    WORK.notify_one();
    Ok(())
}

fn work() {
    let mut state = lock();
    loop {
        if let Some(request) = state.requests.pop_front() {
            drop(state);
            answer(request);
            state = lock();
            continue;
        }
        state.idle += 1;
        let (woken, waited) = WORK.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.requests.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}

fn answer(request: Request) {
    if request.reply_to.is_closed() {
        return;
    }
    let outcome = look_up(&request.host, request.port);
    request.reply_to.answer(Answer { socket: request.socket, number: request.number, outcome });
}

/// The addresses in the order in which the system would have them tried, or its error number.
fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, i32> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), flags: 0, address: 0, protocol: 0 };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| error.error_num())?;
    let with_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    Ok(found.filter_map(Result::ok).map(|info| with_port(info.sockaddr)).collect())
}
