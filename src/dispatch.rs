//! Dispatching: the walk along a target's listeners, with no borrow alive while one of them runs.

use crate::dispatcher::Walk;
use crate::error::{Failure, Result};
use crate::event::{Detail, Event};
use crate::foreign::{Callback, EventWord};
use crate::handle::Key;
use crate::inject;
use crate::names::EventType;
use crate::objects::{Objects, after_a_panic, run_due, step, with};

/// AIR's "default maximum is 256".
const MAX_DEPTH: u32 = 256;

/// A dispatch under way. Its event, its target and the target's loop are pinned.
struct Dispatch {
    target: Key,
    event: Key,
    home: Key,
    walk: Walk,
    /// It has been taken leave of.
    over: bool,
}

/// `dispatchEvent` of an event that the host holds. Returns AIR's result: false if its default was prevented.
pub(crate) fn dispatch_event(target: Key, event: Key) -> Result<bool> {
    let (dispatch, unheard) = with(|objects| objects.begin_redispatch(target, event))?;
    match dispatch {
        Some(dispatch) => Ok(run(dispatch)),
        None => Ok(unheard),
    }
}

/// Dispatches an event of the library's own. Returns whether anybody heard it.
pub(crate) fn announce(target: Key, kind: EventType, detail: Detail) -> bool {
    match with(|objects| objects.begin_announcement(target, kind, detail)) {
        Ok(Some(dispatch)) => {
            run(dispatch);
            true
        }
        _ => false,
    }
}

fn run(mut dispatch: Dispatch) -> bool {
    let word = dispatch.event.bits() as EventWord;
    while let Some(callback) = step(|objects| objects.next_listener(&mut dispatch)) {
        callback.call(word);
    }
    let not_prevented = step(|objects| objects.end_dispatch(&mut dispatch));
    run_due();
    not_prevented
}

/// If a panic of ours cut it short: what it kept alive is let go, and what it counted counted back.
impl Drop for Dispatch {
    fn drop(&mut self) {
        if !self.over {
            after_a_panic(|| step(|objects| objects.leave_dispatch(self)));
        }
    }
}

impl Objects {
    fn begin_redispatch(&mut self, target: Key, event_key: Key) -> Result<(Option<Dispatch>, bool)> {
        let event = self.event(event_key)?;
        let kind = event.kind;
        let was_dispatched = event.target.is_some();
        // One that was delivered before would be dispatched as a fresh clone.
        let unheard = was_dispatched || !event.prevented;
        if !self.hears(target, kind)? {
            return Ok((None, unheard));
        }
        if self.depth >= MAX_DEPTH {
            return Err(
                Failure::recursion_overflow().because("a listener dispatches an event that leads to itself, 256 deep")
            );
        }
        let event_key = match was_dispatched {
            // The event has been delivered before: this delivery gets a fresh one, which dies with it.
            true => {
                let clone = self.event(event_key)?.duplicate();
                self.names.retain(kind);
                self.new_event(clone)?
            }
            false => event_key,
        };
        let dispatch = self.begin(target, event_key, kind)?;
        if was_dispatched {
            self.release(event_key)?;
        }
        Ok((Some(dispatch), unheard))
    }

    fn begin_announcement(&mut self, target: Key, kind: EventType, detail: Detail) -> Result<Option<Dispatch>> {
        if !self.hears(target, kind)? || self.depth >= MAX_DEPTH {
            return Ok(None);
        }
        self.names.retain(kind);
        let event = self.new_event(Event::new(kind, detail))?;
        let dispatch = self.begin(target, event, kind)?;
        self.release(event)?;
        Ok(Some(dispatch))
    }

    fn begin(&mut self, target: Key, event: Key, kind: EventType) -> Result<Dispatch> {
        let walk = self.walk(target, kind)?;
        let home = self.home(target)?;
        self.event_mut(event)?.target = Some(target);
        self.pin(event);
        self.pin(target);
        self.pin(home);
        self.count_dispatch(home, 1);
        self.depth += 1;
        Ok(Dispatch { target, event, home, walk, over: false })
    }

    fn count_dispatch(&mut self, home: Key, change: i32) {
        if let Ok(event_loop) = self.event_loop_mut(home) {
            event_loop.dispatches = event_loop.dispatches.saturating_add_signed(change);
        }
    }

    /// The one before has ended: what it wrote leaves now.
    fn next_listener(&mut self, dispatch: &mut Dispatch) -> Option<Callback> {
        self.flush_dirty();
        inject::point();
        if self.event(dispatch.event).ok()?.stopped {
            return None;
        }
        self.next_on(dispatch.target, &mut dispatch.walk)
    }

    fn end_dispatch(&mut self, dispatch: &mut Dispatch) -> bool {
        self.flush_dirty();
        inject::point();
        let not_prevented = self.event(dispatch.event).is_ok_and(|event| !event.prevented);
        self.leave_dispatch(dispatch);
        not_prevented
    }

    fn leave_dispatch(&mut self, dispatch: &mut Dispatch) {
        dispatch.over = true;
        // Less than nothing only in a child that was forked inside a listener.
        self.depth = self.depth.saturating_sub(1);
        self.count_dispatch(dispatch.home, -1);
        self.unpin(dispatch.event);
        self.unpin(dispatch.target);
        self.unpin(dispatch.home);
    }
}
