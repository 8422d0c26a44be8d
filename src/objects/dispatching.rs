//! Dispatches among the thread's objects: how one begins, goes from listener to listener, and ends.

use super::{Loop, Objects, after_a_panic, step};
use crate::dispatcher::Walk;
use crate::error::{Failure, Result};
use crate::event::{Detail, Event, Life};
use crate::foreign::Callback;
use crate::handle::{Key, Table};
use crate::inject;
use crate::names::EventType;
use crate::socket::Socket;

/// AIR's "default maximum is 256".
const MAX_DEPTH: u32 = 256;

/// A dispatch under way. Its event, its target and the target's loop are pinned.
pub(crate) struct Dispatch {
    target: Key,
    pub event: Key,
    home: Key,
    walk: Walk,
    /// The listener whose turn it is.
    pub next: Callback,
    /// 1 until it has been taken leave of. A number, like those of the walk.
    ends_owed: u32,
}

/// If a panic of ours cut it short: what it kept alive is let go, and what it counted counted back.
impl Drop for Dispatch {
    fn drop(&mut self) {
        if self.ends_owed > 0 {
            after_a_panic(|| {
                step(|objects| objects.end_dispatch(self));
            });
        }
    }
}

/// What comes after a listener.
pub(crate) enum Then {
    Listener(Callback),
    Over { not_prevented: bool, something_is_due: bool },
}

impl Default for Then {
    fn default() -> Self {
        Then::Over { not_prevented: true, something_is_due: false }
    }
}

impl Dispatch {
    /// Begins to tell the listeners of a socket, all of whose surroundings are at hand, of its data. `None`: nobody
    /// listens. The depth is to be counted by the caller.
    #[inline]
    pub(super) fn of_data(
        socket: &mut Socket,
        event_loop: &mut Loop,
        events: &mut Table<Event>,
        event: Event,
    ) -> Option<Dispatch> {
        let mut walk = socket.dispatcher.walk(event.kind);
        let next = socket.dispatcher.next(&mut walk)?;
        let target = event.target?;
        let event = events.insert(event).ok()?;
        socket.life.pins += 1;
        event_loop.enter();
        Some(Dispatch { target, event, home: socket.home(), walk, next, ends_owed: 1 })
    }
}

impl Objects {
    /// Begins the dispatch of an event of the host's; `None`: nobody hears it. Beside it stands what `dispatchEvent`
    /// returns then.
    pub(crate) fn begin_redispatch(&mut self, target: Key, event_key: Option<Key>) -> Result<(Option<Dispatch>, bool)> {
        let dispatcher = self.dispatcher(target)?;
        let event_key = event_key.ok_or_else(|| Failure::null("event"))?;
        let event = self.events.find(event_key)?;
        let (kind, stopped) = (event.kind, event.stopped);
        let was_dispatched = event.target.is_some();
        // One that was delivered before would be dispatched as a fresh clone.
        let unheard = was_dispatched || !event.prevented;
        let mut walk = dispatcher.walk(kind);
        let Some(next) = dispatcher.next(&mut walk) else { return Ok((None, unheard)) };
        if self.depth >= MAX_DEPTH {
            return Err(
                Failure::recursion_overflow().because("a listener dispatches an event that leads to itself, 256 deep")
            );
        }
        if was_dispatched {
            // This delivery gets a fresh event, which dies with it.
            let clone = Event { life: Life::PINNED, target: Some(target), ..event.duplicate() };
            self.names.retain(kind);
            let clone = self.new_event(clone)?;
            return Ok((Some(self.begin(target, clone, walk, next)?), unheard));
        }
        let event = self.events.find_mut(event_key)?;
        event.target = Some(target);
        if stopped {
            return Ok((None, unheard));
        }
        event.life.pins += 1;
        Ok((Some(self.begin(target, event_key, walk, next)?), unheard))
    }

    /// Begins the dispatch of an event of the library's own; `None`: nobody hears it.
    pub(crate) fn begin_announcement(&mut self, target: Key, kind: EventType, detail: Detail) -> Option<Dispatch> {
        let dispatcher = self.dispatcher(target).ok()?;
        let mut walk = dispatcher.walk(kind);
        let next = dispatcher.next(&mut walk)?;
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.names.retain(kind);
        let event = self.new_event(Event::of_target(target, kind, detail)).ok()?;
        self.begin(target, event, walk, next).ok()
    }

    /// The event is pinned already.
    #[inline(always)]
    fn begin(&mut self, target: Key, event: Key, walk: Walk, next: Callback) -> Result<Dispatch> {
        let home = self.pin_target(target)?;
        if let Some(event_loop) = self.loops.get_mut(home) {
            event_loop.enter();
        }
        self.depth += 1;
        Ok(Dispatch { target, event, home, walk, next, ends_owed: 1 })
    }

    /// A listener has ended: what it wrote leaves now.
    pub(crate) fn go_on(&mut self, dispatch: &mut Dispatch) -> Then {
        self.flush_dirty();
        inject::point();
        if !dispatch.walk.is_over()
            && self.events.get(dispatch.event).is_some_and(|event| !event.stopped)
            && let Some(next) = self.next_listener(dispatch.target, &mut dispatch.walk)
        {
            return Then::Listener(next);
        }
        self.end_dispatch(dispatch)
    }

    #[inline]
    fn end_dispatch(&mut self, dispatch: &mut Dispatch) -> Then {
        dispatch.ends_owed = 0;
        // Less than nothing only in a child that was forked inside a listener.
        self.depth = self.depth.saturating_sub(1);
        // First what cannot go wrong: a loop that counts a dispatch which is over would never be polled again.
        let loop_is_over = self.loops.get_mut(dispatch.home).is_some_and(|event_loop| {
            event_loop.dispatches -= 1;
            event_loop.life.pins -= 1;
            event_loop.life.is_over()
        });
        let not_prevented = self.unpin_event(dispatch.event);
        self.unpin(dispatch.target);
        if loop_is_over {
            self.destroy(dispatch.home);
        }
        Then::Over { not_prevented, something_is_due: self.is_something_due() }
    }
}
