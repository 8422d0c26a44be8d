// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers.

use std::collections::VecDeque;
use std::ffi::CString;

use super::{DEFAULT_OPTIONS, Dispatcher, Handle, Life, Options, Peer};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServerState {
    Fresh,
    Bound,
    Listening,
    Closed,
}

pub struct Server {
    pub life: Life,
    pub home: usize,
    pub state: ServerState,
    pub port: i32,
    pub backlog: usize,
    pub paused: bool,
    pub options: Options,
    pub dispatcher: Dispatcher,
    /// Clients in the kernel's queue, the oldest first.
    pub waiting: VecDeque<Peer>,
    pub accepted: u64,
    /// Where it is bound to, if that is no port.
    pub path: Option<CString>,
    /// It ends in peace, or has ended so and nobody heard of it.
    pub draining: bool,
    /// Its connections have no time left.
    pub overdue: bool,
    /// And it is to be seen to that they end.
    pub evicts: bool,
    /// Nobody listened for those who wait, at some time while it drained.
    pub may_lose_waiting: bool,
}

impl Server {
    pub fn new(handle: Handle, home: usize) -> Server {
        Server {
            life: Life::new(handle, 1),
            home,
            state: ServerState::Fresh,
            port: 0,
            backlog: 0,
            paused: false,
            options: DEFAULT_OPTIONS,
            dispatcher: Dispatcher::default(),
            waiting: VecDeque::new(),
            accepted: 0,
            path: None,
            draining: false,
            overdue: false,
            evicts: false,
            may_lose_waiting: false,
        }
    }

    pub fn is_bound(&self) -> bool {
        matches!(self.state, ServerState::Bound | ServerState::Listening)
    }

    /// Its port is given back.
    pub fn close(&mut self) {
        (self.state, self.port, self.path) = (ServerState::Closed, 0, None);
        self.waiting.clear();
    }
}
