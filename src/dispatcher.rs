//! EventDispatcher: a listener list that may change while it is walked.
//!
//! The list is sorted by priority, then by age. A walk remembers *where* it is as a position in that order, not
//! as an index, and takes in no listener younger than itself. So adding and removing need no care for the
//! walks under way, and none of them holds a borrow while a listener runs.

use std::cmp::Reverse;

use crate::error::{Failure, Result};
use crate::foreign::{Call, Callback, UserData};
use crate::names::EventType;

struct Listener {
    callback: Callback,
    destroy: Option<unsafe extern "C" fn(*mut std::ffi::c_void)>,
    born: u64,
    kind: EventType,
    priority: i32,
    capture: bool,
}

impl Listener {
    fn order(&self) -> Order {
        (Reverse(self.priority), self.born)
    }

    fn into_destructor(self) -> Option<Call> {
        UserData { data: self.callback.data, destroy: self.destroy }.into_destructor()
    }
}

type Order = (Reverse<i32>, u64);

#[derive(Default)]
pub(crate) struct Dispatcher {
    listeners: Vec<Listener>,
    births: u64,
}

/// One dispatch on its way along the list.
pub(crate) struct Walk {
    kind: EventType,
    youngest: u64,
    last: Option<Order>,
}

impl Dispatcher {
    /// Returns whether it was added: a second registration of the same pair, type and phase is ignored.
    pub(crate) fn add(
        &mut self,
        kind: EventType,
        callback: Callback,
        destroy: Option<unsafe extern "C" fn(*mut std::ffi::c_void)>,
        capture: bool,
        priority: i32,
    ) -> Result<bool> {
        if self.position(kind, &callback, capture).is_some() {
            return Ok(false);
        }
        // Most sockets have two or three listeners and keep them for life: no spare capacity.
        let growth = if self.listeners.len() < 4 { 1 } else { self.listeners.len() };
        if self.listeners.len() == self.listeners.capacity() {
            self.listeners.try_reserve_exact(growth).map_err(|_| Failure::no_memory())?;
        }
        self.births += 1;
        let listener = Listener { callback, destroy, born: self.births, kind, priority, capture };
        let place = self.listeners.partition_point(|other| other.priority >= priority);
        self.listeners.insert(place, listener);
        Ok(true)
    }

    /// Takes a listener out; `Some` if there was one, with the destructor that is due.
    pub(crate) fn remove(&mut self, kind: EventType, callback: &Callback, capture: bool) -> Option<Option<Call>> {
        let place = self.position(kind, callback, capture)?;
        Some(self.listeners.remove(place).into_destructor())
    }

    /// Takes out all of them: the object dies. Yields each one's type and the destructor that is due.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (EventType, Option<Call>)> {
        std::mem::take(&mut self.listeners).into_iter().map(|listener| (listener.kind, listener.into_destructor()))
    }

    /// `hasEventListener`: registrations for the capture phase count.
    pub(crate) fn has(&self, kind: EventType) -> bool {
        self.listeners.iter().any(|listener| listener.kind == kind)
    }

    /// Whether an event of this type would reach anybody. There is no display list here, so that the capture
    /// phase never comes.
    #[inline]
    pub(crate) fn hears(&self, kind: EventType) -> bool {
        self.listeners.iter().any(|listener| listener.kind == kind && !listener.capture)
    }

    pub(crate) fn walk(&self, kind: EventType) -> Walk {
        Walk { kind, youngest: self.births, last: None }
    }

    /// The next listener to call.
    #[inline]
    pub(crate) fn next(&self, walk: &mut Walk) -> Option<Callback> {
        let start = match walk.last {
            None => 0,
            Some(last) => self.listeners.partition_point(|listener| listener.order() <= last),
        };
        let next = self.listeners[start..]
            .iter()
            .find(|listener| listener.kind == walk.kind && !listener.capture && listener.born <= walk.youngest)?;
        walk.last = Some(next.order());
        Some(next.callback)
    }

    fn position(&self, kind: EventType, callback: &Callback, capture: bool) -> Option<usize> {
        self.listeners.iter().position(|listener| {
            listener.kind == kind && listener.capture == capture && listener.callback.same(callback)
        })
    }
}
