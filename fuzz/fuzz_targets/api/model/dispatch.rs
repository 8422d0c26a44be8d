// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listeners, events, and the dispatches that are under way.

use super::{Handle, Id, Life};

/// A listener is the pair (function, word).
pub type Pair = (u8, usize);

pub struct Listener {
    pub pair: Pair,
    pub kind: usize,
    pub capture: bool,
    pub priority: i32,
    pub born: u64,
    pub destroy: bool,
}

#[derive(Default)]
pub struct Dispatcher {
    /// In the order in which they are called.
    pub listeners: Vec<Listener>,
}

impl Dispatcher {
    pub fn position(&self, kind: usize, pair: Pair, capture: bool) -> Option<usize> {
        self.listeners.iter().position(|l| l.kind == kind && l.pair == pair && l.capture == capture)
    }

    /// Behind all of its priority; a second registration is ignored. Returns whether it was added.
    pub fn add(&mut self, listener: Listener) -> bool {
        if self.position(listener.kind, listener.pair, listener.capture).is_some() {
            return false;
        }
        let place = self.listeners.iter().position(|l| l.priority < listener.priority).unwrap_or(self.listeners.len());
        self.listeners.insert(place, listener);
        true
    }

    pub fn has(&self, kind: usize) -> bool {
        self.listeners.iter().any(|l| l.kind == kind)
    }

    /// There is no capture phase here.
    pub fn hears(&self, kind: usize) -> bool {
        self.listeners.iter().any(|l| l.kind == kind && !l.capture)
    }

    pub fn snapshot(&self, kind: usize) -> Vec<u64> {
        self.listeners.iter().filter(|l| l.kind == kind && !l.capture).map(|l| l.born).collect()
    }
}

pub struct Event {
    pub life: Life,
    pub kind: usize,
    pub bubbles: bool,
    pub cancelable: bool,
    pub prevented: bool,
    pub stopped: bool,
    pub target: Option<Id>,
    /// The socket of a connect event of a server.
    pub socket: Option<usize>,
    /// The library has told it, or it is a clone of one that it has.
    pub told: bool,
    /// What else the library's events carry: bytesLoaded, bytesPending, bytesTotal, errorID, the system's error.
    pub numbers: [u64; 5],
}

impl Event {
    pub fn new(handle: Handle, kind: usize, bubbles: bool, cancelable: bool) -> Event {
        Event {
            life: Life::new(handle, 1),
            kind,
            bubbles,
            cancelable,
            prevented: false,
            stopped: false,
            target: None,
            socket: None,
            told: false,
            numbers: [0; 5],
        }
    }

    pub fn clone_as(&self, handle: Handle, references: u32) -> Event {
        Event {
            life: Life::new(handle, references),
            socket: self.socket,
            numbers: self.numbers,
            told: self.told,
            ..Event::new(handle, self.kind, self.bubbles, self.cancelable)
        }
    }
}

/// A dispatch under way.
pub struct Walk {
    pub event: usize,
    pub target: Id,
    pub home: usize,
    /// The socket of a connect event: it lives until the end of the dispatch at least.
    pub accepted: Option<usize>,
    pub snapshot: Vec<u64>,
    pub next: usize,
    /// One of its listeners is running.
    pub running: bool,
}

/// Calls of the library under way that call back. A dispatch that has just ended may still be there.
pub enum Frame {
    /// A turn, and how many dispatches there were in it; it may be over, but for the destructors of what it kept.
    Poll { home: usize, walk: Option<Walk>, events: u32, over: bool, timer: Option<usize> },
    /// A dispatch of the program's own.
    Dispatch { walk: Option<Walk> },
}

impl Frame {
    pub fn walk(&self) -> Option<&Walk> {
        match self {
            Frame::Poll { walk, .. } | Frame::Dispatch { walk } => walk.as_ref(),
        }
    }

    pub fn walk_mut(&mut self) -> &mut Option<Walk> {
        match self {
            Frame::Poll { walk, .. } | Frame::Dispatch { walk } => walk,
        }
    }
}
