// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events, and the listeners that hear them.
//!
//! `types` numbers the event types, `event` is what a listener gets, `cause` what it tells of an error, `listeners` the list of one target, `dispatch` one
//! event on its way along that list.

mod cause;
pub(crate) mod dispatch;
pub(crate) mod event;
pub(crate) mod listeners;
pub(crate) mod types;

pub(crate) use cause::Cause;
pub(crate) use event::{Detail, Event, Keep, Life};
pub(crate) use types::EventType;

use crate::core::host::Due;
use crate::error::{Failure, Result};
use crate::handle::{Key, Reserved, Table};
use crate::inject;
use types::EventTypes;

/// The events of a thread, and their types.
pub(crate) struct Events {
    table: Table<Event>,
    own: Option<OwnEvent>,
    pub types: EventTypes,
}

/// The library's own event that is being dispatched. It has a key like every other, but goes into the table only when
/// somebody keeps it, or when another one is dispatched inside of it.
struct OwnEvent {
    slot: Reserved,
    key: Key,
    event: Event,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// None is being dispatched.
    Idle,
    /// It is as it was made: nobody has kept it, or attached anything to it.
    Untouched,
    Touched,
}

impl OwnEvent {
    #[inline]
    fn is(&self, key: Key) -> bool {
        self.key == key && self.state != State::Idle
    }
}

impl Events {
    pub(crate) const fn new() -> Self {
        Events { table: Table::new(), own: None, types: EventTypes::new() }
    }

    /// The event's use of its type passes to the table.
    pub(crate) fn add(&mut self, event: Event) -> Result<Key> {
        let kind = event.kind;
        let inserted = self.table.insert(event);
        if inserted.is_err() {
            self.types.release(kind);
        }
        inserted
    }

    /// An event of the library's own that is being dispatched. Its type is one of AIR's, whose uses nobody counts.
    #[inline(always)]
    pub(crate) fn announce(&mut self, target: Key, kind: EventType, detail: Detail) -> Result<Key> {
        let own = match &mut self.own {
            Some(own) if own.state == State::Idle => own,
            _ => self.make_room()?,
        };
        own.key = own.slot.open();
        own.event.begin(target, kind, detail);
        own.state = State::Untouched;
        Ok(own.key)
    }

    /// The one that is being dispatched moves to the table.
    #[cold]
    fn make_room(&mut self) -> Result<&mut OwnEvent> {
        let slot = self.table.reserve()?;
        let key = slot.open();
        let event = Event::new(EventType::CLOSE, Detail::Plain);
        if let Some(before) = self.own.take() {
            self.table.fill(before.slot, before.event);
        }
        Ok(self.own.insert(OwnEvent { slot, key, event, state: State::Idle }))
    }

    #[inline]
    pub(crate) fn find(&self, key: Key) -> Result<&Event> {
        match &self.own {
            Some(own) if own.is(key) => Ok(&own.event),
            _ => self.table.find(key),
        }
    }

    #[inline]
    pub(crate) fn find_mut(&mut self, key: Key) -> Result<&mut Event> {
        match &mut self.own {
            Some(own) if own.is(key) => {
                own.state = State::Touched;
                Ok(&mut own.event)
            }
            _ => self.table.find_mut(key),
        }
    }

    /// The event that a dispatch of `key` to `target` delivers: the event itself, or a fresh clone of one that was
    /// delivered before. It is pinned.
    pub(crate) fn prepare(&mut self, key: Key, target: Key) -> Result<Key> {
        let event = self.find_mut(key)?;
        if event.target.is_none() {
            event.target = Some(target);
            event.life.pins += 1;
            return Ok(key);
        }
        let clone = Event { life: Life::PINNED, target: Some(target), ..event.duplicate() };
        self.types.retain(clone.kind);
        self.add(clone)
    }

    /// `clone()`
    pub(crate) fn duplicate(&mut self, key: Key) -> Result<Key> {
        let clone = self.find(key)?.duplicate();
        self.types.retain(clone.kind);
        self.add(clone)
    }

    /// The target of the library's own event that is being dispatched, if this is that event.
    #[inline]
    pub(crate) fn target_of_own(&self, key: Key) -> Option<Key> {
        self.own.as_ref().filter(|own| own.is(key))?.event.target
    }

    /// The socket of the connect event that is being dispatched, if this is that event. The socket outlives it.
    #[inline]
    pub(crate) fn socket_of_own(&self, key: Key) -> Option<Key> {
        let event = &self.own.as_ref().filter(|own| own.is(key))?.event;
        match event.detail {
            Detail::Connect { socket } if event.is_being_dispatched() => Some(socket),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn is_stopped(&self, key: Key) -> bool {
        !self.find(key).is_ok_and(|event| !event.stopped)
    }

    /// The end of a dispatch. Returns whether the event's default was left alone.
    #[inline(always)]
    pub(crate) fn end(&mut self, key: Key, due: &mut Due) -> bool {
        match &mut self.own {
            Some(own) if own.key == key && own.state == State::Untouched => {
                own.state = State::Idle;
                if !own.slot.close() {
                    self.own = None;
                }
                true
            }
            _ => self.end_kept(key, due),
        }
    }

    #[cold]
    fn end_kept(&mut self, key: Key, due: &mut Due) -> bool {
        let Ok(event) = self.find_mut(key) else { return true };
        let not_prevented = !event.prevented;
        event.life.pins = event.life.pins.saturating_sub(1);
        if event.life.is_over() {
            self.destroy(key, due);
        }
        if self.own.as_ref().is_some_and(|own| own.is(key)) {
            // Without memory for another one it stays where it is, and the next event goes without.
            let _ = self.make_room();
        }
        not_prevented
    }

    pub(crate) fn destroy(&mut self, key: Key, due: &mut Due) {
        inject::point();
        let event = match &mut self.own {
            Some(own) if own.is(key) => {
                own.state = State::Idle;
                let event = std::mem::replace(&mut own.event, Event::new(EventType::CLOSE, Detail::Plain));
                if !own.slot.close() {
                    self.own = None;
                }
                Some(event)
            }
            _ => self.table.remove(key),
        };
        if let Some(event) = event {
            self.types.release(event.kind);
            due.add(event.rare.and_then(|rare| rare.user.into_destructor()));
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let own = self.own.as_ref().filter(|own| own.state != State::Idle).map(|own| own.key);
        self.table.iter().map(|(key, _)| key).chain(own).collect()
    }

    /// How many the host holds a reference to.
    pub(crate) fn count_held(&self) -> usize {
        let is_held = |key: &Key| self.find(*key).is_ok_and(|event| event.life.references > 0);
        self.keys().iter().filter(|key| is_held(key)).count()
    }

    pub(crate) fn retain(&mut self, key: Key) -> Result<()> {
        self.find_mut(key)?.life.retain()
    }

    pub(crate) fn release(&mut self, key: Key, due: &mut Due) -> Result<()> {
        if self.find_mut(key)?.life.release()? {
            self.destroy(key, due);
        }
        Ok(())
    }

    /// After a panic: which events are being dispatched is known from elsewhere.
    pub(crate) fn set_pins(&mut self, pins: impl Fn(Key) -> u16) {
        for key in self.keys() {
            if let Ok(event) = self.find_mut(key) {
                event.life.pins = pins(key);
            }
        }
    }

    /// The events that nobody has any more.
    pub(crate) fn sweep(&mut self, due: &mut Due) {
        for key in self.keys() {
            if self.find(key).is_ok_and(|event| event.life.is_over()) {
                self.destroy(key, due);
            }
        }
    }
}

impl Life {
    pub(crate) fn retain(&mut self) -> Result<()> {
        self.references = self.references.checked_add(1).ok_or_else(Failure::out_of_range)?;
        Ok(())
    }

    /// Returns whether the object is over.
    pub(crate) fn release(&mut self) -> Result<bool> {
        self.references = self.references.checked_sub(1).ok_or_else(Failure::nothing_to_release)?;
        Ok(self.is_over())
    }
}
