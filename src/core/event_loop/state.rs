// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of the turn under way, and of what an earlier one has left over.

use std::collections::VecDeque;
use std::ffi::CString;

use crate::core::events::dispatch::Dispatch;
use crate::core::events::{Detail, EventType};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::log::Repeated;
use crate::reactor::Posted;
use crate::sys::Instant;
use crate::sys::net::{EVENTS, Ready};

pub(super) struct Turn {
    pub stage: Stage,
    /// Nothing comes before the next of what the poller named.
    pub straight: bool,
    /// What the poller named, and how far it is served.
    pub batch: Vec<Ready>,
    pub served: usize,
    /// How many that earlier turns left over are still to be served in this one.
    pub left_over: usize,
    pub tasks: VecDeque<Posted>,
    /// When the time for tasks is over, or that for timers.
    pub task_end: Option<Instant>,
    pub accepting: VecDeque<Key>,
    /// How many the first of those has accepted, and how many attempts in a row brought nobody.
    pub accepted: u32,
    pub failures: u32,
    /// When the time for handshakes is over.
    pub handshake_end: Option<Instant>,
    pub progress: VecDeque<Key>,
    /// What is to be told next.
    pub announcements: VecDeque<Announcement>,
    /// The event that is being told.
    pub dispatch: Dispatch,
    /// The target of that event has lost its last reference, and dies when all have heard it.
    pub doomed: bool,
    /// What is to be done then.
    pub after: After,
    /// The bytes that the event is about, if it is about any.
    pub delivery: Delivery,
    /// The connection whose turn it is.
    pub serving: Option<Key>,
    /// It is to be read from again.
    pub read_on: bool,
    pub reads: u32,
    /// What the host runs that is no listener.
    pub running: Running,
    /// How many events listeners got.
    pub events: u32,
    /// Nothing has happened.
    pub quiet: bool,
    /// The warning that listeners leave all that their sockets may have unread.
    pub full_inputs: Repeated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Tasks,
    Timers,
    Batch,
    LeftOver,
    Accepting,
    Progress,
    LostServers,
}

/// A call of the host's that is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    Nothing,
    /// One that was due.
    Due,
    /// The task of a timer. As in a listener, what becomes due in it waits for its end.
    Timer,
}

/// An event that is to be told.
pub(super) struct Announcement {
    pub target: Key,
    pub kind: EventType,
    pub detail: Detail,
    /// What it has to say to people, where that is known now and not later.
    pub told: Option<CString>,
}

/// What follows when all have heard the event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    /// What the listeners left of the bytes is kept.
    Settle,
    /// The socket goes to the poller if anybody kept it.
    Admit {
        socket: Key,
    },
}

/// Bytes that the listeners of a socket are told of.
#[derive(Clone, Copy)]
pub(super) struct Delivery {
    pub count: usize,
    /// How many bytes are unread if the listeners take none.
    pub untouched: usize,
    /// The bytes are lent to the socket, and no more were waiting: nothing is to be done if the listeners take them.
    pub lent: bool,
}

/// What comes of one step of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The host is to be called.
    Call,
    Again,
    Over,
}

impl Turn {
    pub(super) fn new() -> Result<Self> {
        let mut batch = Vec::new();
        batch.try_reserve_exact(EVENTS).map_err(|_| Failure::no_memory())?;
        Ok(Turn {
            stage: Stage::Idle,
            straight: false,
            batch,
            served: 0,
            left_over: 0,
            tasks: VecDeque::new(),
            task_end: None,
            accepting: VecDeque::new(),
            accepted: 0,
            failures: 0,
            handshake_end: None,
            progress: VecDeque::new(),
            announcements: VecDeque::new(),
            dispatch: Dispatch::none(),
            doomed: false,
            after: After::Nothing,
            delivery: Delivery { count: 0, untouched: 0, lent: false },
            serving: None,
            read_on: false,
            reads: 0,
            running: Running::Nothing,
            events: 0,
            quiet: false,
            full_inputs: Repeated::default(),
        })
    }

    pub(super) fn has_work(&self) -> bool {
        !self.tasks.is_empty() || !self.announcements.is_empty() || !self.accepting.is_empty()
    }

    pub(super) fn take_tasks(&mut self) -> VecDeque<Posted> {
        std::mem::take(&mut self.tasks)
    }

    pub(super) fn announce(&mut self, target: Key, kind: EventType, detail: Detail) {
        self.announcements.push_back(Announcement { target, kind, detail, told: None });
        self.straight = false;
    }

    /// The same with what it has to say to people.
    pub(super) fn announce_with(&mut self, target: Key, kind: EventType, detail: Detail, told: CString) {
        self.announcements.push_back(Announcement { target, kind, detail, told: Some(told) });
        self.straight = false;
    }

    pub(super) fn read_on(&mut self) {
        self.read_on = true;
        self.straight = false;
    }
}
