// SPDX-License-Identifier: MIT OR Apache-2.0
//! One event on its way along a target's listeners.

use super::listeners::{Cursor, Listeners};
use super::{Detail, Event, EventType, Events};
use crate::core::host::{Due, NextCall};
use crate::error::{Failure, Result};
use crate::handle::Key;

/// AIR's "default maximum is 256".
pub(crate) const MAX_DEPTH: u32 = 256;

/// A dispatch under way. Its event is pinned; its target outlives it.
pub(crate) struct Dispatch {
    /// `None`: none is under way.
    target: Option<Key>,
    event: Key,
    cursor: Cursor,
}

impl Dispatch {
    pub(crate) fn none() -> Self {
        Dispatch { target: None, event: Key::from_bits(0), cursor: Cursor::START }
    }

    /// Begins to dispatch an event of the library's own. Returns false if nobody hears it, or there is no memory for it.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "an event, who hears it, and where all of that goes")]
    pub(crate) fn announce(
        &mut self,
        target: Key,
        listeners: &Listeners,
        kind: EventType,
        detail: Detail,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> bool {
        let Some(callback) = listeners.begin(kind, &mut self.cursor) else { return false };
        let Ok(event) = events.announce(target, kind, detail) else { return false };
        (self.target, self.event) = (Some(target), event);
        due.depth += 1;
        call.set_listener(callback, event);
        true
    }

    /// Begins to dispatch an event of the host's. `Err` inside: nobody hears it, and this is the result.
    pub(crate) fn of_event(
        target: Key,
        listeners: &Listeners,
        event: Option<Key>,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> Result<std::result::Result<Dispatch, NotPrevented>> {
        let key = event.ok_or_else(|| Failure::null("event"))?;
        let event = events.find(key)?;
        // One that was delivered before is dispatched as a fresh clone.
        let fresh = event.target.is_some();
        let unheard = fresh || !event.prevented;
        let stopped = event.stopped && !fresh;
        let mut cursor = Cursor::START;
        let Some(callback) = listeners.begin(event.kind, &mut cursor) else { return Ok(Err(unheard)) };
        check_depth(due)?;
        let event = events.prepare(key, target)?;
        if stopped {
            events.end(event, due);
            return Ok(Err(unheard));
        }
        due.depth += 1;
        call.set_listener(callback, event);
        Ok(Ok(Dispatch { target: Some(target), event, cursor }))
    }

    /// The target of the event that is being dispatched, if one is.
    #[inline]
    pub(crate) fn target(&self) -> Option<Key> {
        self.target
    }

    pub(crate) fn event(&self) -> Option<Key> {
        self.target.map(|_| self.event)
    }

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.cursor.is_over()
    }

    /// A listener has returned: the next one, if there is one.
    pub(crate) fn next(&mut self, listeners: Option<&Listeners>, events: &Events, call: &mut NextCall) -> bool {
        if self.is_over() || events.is_stopped(self.event) {
            return false;
        }
        let Some(callback) = listeners.and_then(|listeners| listeners.next(&mut self.cursor)) else { return false };
        call.set_listener(callback, self.event);
        true
    }

    /// All have heard the event. Returns AIR's result: false if the default was prevented.
    #[inline(always)]
    pub(crate) fn end(&mut self, events: &mut Events, due: &mut Due) -> NotPrevented {
        self.target = None;
        // Less than nothing only in a child that was forked inside a listener.
        due.depth = due.depth.saturating_sub(1);
        events.end(self.event, due)
    }
}

/// What `dispatchEvent` returns.
pub(crate) type NotPrevented = bool;

/// Listeners that lead to themselves must not use up the stack.
pub(crate) fn check_depth(due: &Due) -> Result<()> {
    if due.depth >= MAX_DEPTH {
        return Err(
            Failure::recursion_overflow().because("a listener dispatches an event that leads to itself, 256 deep")
        );
    }
    Ok(())
}

impl Event {
    /// Whether its target is pinned by a dispatch that is under way.
    #[inline]
    pub(crate) fn is_being_dispatched(&self) -> bool {
        self.life.pins > 0
    }
}
