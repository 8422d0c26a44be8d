// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers.

use std::collections::VecDeque;

use super::{Dispatcher, Life, Options, Peer};

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
}
