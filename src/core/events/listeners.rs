// SPDX-License-Identifier: MIT OR Apache-2.0
//! EventDispatcher: a listener list that may change while an event goes along it.
//!
//! The list is sorted by priority, then by age. A [`Cursor`] remembers *where* it is as a position in that order, not
//! as an index, and takes in no listener younger than itself. So adding and removing need no care for the dispatches
//! under way, and none of them holds a borrow while a listener runs.
//!
//! Ten thousand sockets of one server have the same few listeners, told apart only by the user data that the host gives
//! for each socket. So they share one [`List`], and keep nothing but the user data. What is not like that, a listener
//! that is removed again, or user data that differ within one socket, gets a list of its own.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use super::types::{BUILT_IN, EventType};
use crate::core::host::{Call, Callback, Function, ListenerFunction, UserData};
use crate::error::{Failure, Result};
use crate::memory;

/// Longer lists are not shared: nobody has ten thousand of them.
const SHARED_LENGTH: usize = 4;
/// How many continuations of one list are remembered.
const CONTINUATIONS: usize = 8;

pub(crate) type Destroy = Option<Function>;

/// What is asked to be added.
pub(crate) struct Registration {
    pub kind: EventType,
    pub callback: Callback,
    pub destroy: Destroy,
    pub capture: bool,
    pub priority: i32,
}

#[derive(Clone)]
struct Listener {
    function: ListenerFunction,
    destroy: Destroy,
    /// Its own user data; not used in a list that is shared.
    data: *mut c_void,
    born: u64,
    kind: EventType,
    priority: i32,
    capture: bool,
}

/// By falling priority, then by age.
type Order = (i64, u64);

impl Listener {
    #[inline]
    fn order(&self) -> Order {
        (-i64::from(self.priority), self.born)
    }

    /// There is no display list here, so that the capture phase never comes.
    #[inline]
    fn hears(&self, kind: EventType) -> bool {
        self.kind == kind && !self.capture
    }

    fn is_like(&self, other: &Registration) -> bool {
        self.kind == other.kind
            && self.capture == other.capture
            && self.priority == other.priority
            && std::ptr::fn_addr_eq(self.function, other.callback.function)
            && self.destroy.map(|destroy| destroy as usize) == other.destroy.map(|destroy| destroy as usize)
    }
}

#[derive(Clone, Copy, Default)]
struct Heard {
    first: u32,
    count: u32,
}

/// A list of listeners.
pub(crate) struct List {
    listeners: Vec<Listener>,
    /// How many were ever added.
    births: u64,
    /// Which of them hear the library's own types: the place of the first one, and how many there are.
    heard: [Heard; BUILT_IN],
    /// Whether it may be another target's, too: it never changes then, and the user data are the targets'.
    shared: bool,
    /// Nobody counts on hearing that one of them is gone: none has a destructor, or a type that is not the library's own.
    plain: bool,
    /// The shared lists that are this one and one more listener.
    next: RefCell<Vec<Continuation>>,
}

/// A shared list that is another one and one more listener.
struct Continuation {
    last: Listener,
    list: Rc<List>,
}

impl Continuation {
    /// Whether it, or what continues it, is somebody's.
    fn is_used(&self) -> bool {
        Rc::strong_count(&self.list) > 1 || self.list.next.borrow().iter().any(Continuation::is_used)
    }
}

impl List {
    /// The list that all others begin with.
    pub(crate) fn empty() -> Rc<List> {
        Rc::new(List { shared: true, ..List::of(Vec::new(), 0) })
    }

    fn of(listeners: Vec<Listener>, births: u64) -> List {
        let mut list =
            List { listeners, births, heard: Default::default(), shared: false, plain: true, next: RefCell::default() };
        list.index();
        list
    }

    /// Finds out anew who hears the library's own types.
    fn index(&mut self) {
        self.heard = Default::default();
        self.plain =
            self.listeners.iter().all(|listener| listener.destroy.is_none() && listener.kind.built_in().is_some());
        for (place, listener) in self.listeners.iter().enumerate().filter(|(_, listener)| !listener.capture) {
            if let Some(number) = listener.kind.built_in() {
                let heard = &mut self.heard[number];
                if heard.count == 0 {
                    heard.first = place as u32;
                }
                heard.count += 1;
            }
        }
    }

    #[inline]
    fn heard(&self, kind: EventType) -> Heard {
        match kind.built_in() {
            Some(number) => self.heard[number],
            None => self.search(kind),
        }
    }

    fn search(&self, kind: EventType) -> Heard {
        let first = self.listeners.iter().position(|listener| listener.hears(kind)).unwrap_or(0);
        let count = self.listeners.iter().filter(|listener| listener.hears(kind)).count();
        Heard { first: first as u32, count: count as u32 }
    }

    /// One that is not shared.
    fn copy(&self, room: usize) -> Result<List> {
        let mut listeners = Vec::new();
        listeners.try_reserve_exact(self.listeners.len() + room).map_err(|_| Failure::no_memory())?;
        listeners.extend_from_slice(&self.listeners);
        Ok(List::of(listeners, self.births))
    }

    fn add(&mut self, new: &Registration) -> Result<()> {
        // Most lists are short and keep their length for life: no spare capacity.
        let growth = if self.listeners.len() < 4 { 1 } else { self.listeners.len() };
        if self.listeners.len() == self.listeners.capacity() {
            self.listeners.try_reserve_exact(growth).map_err(|_| Failure::no_memory())?;
        }
        self.births += 1;
        let place = self.listeners.partition_point(|other| other.priority >= new.priority);
        let listener = Listener {
            function: new.callback.function,
            destroy: new.destroy,
            data: new.callback.data,
            born: self.births,
            kind: new.kind,
            priority: new.priority,
            capture: new.capture,
        };
        self.listeners.insert(place, listener);
        self.index();
        Ok(())
    }

    /// The shared list with one more listener, if somebody has it.
    #[inline]
    fn continuation(&self, new: &Registration) -> Option<Rc<List>> {
        let next = self.next.try_borrow().ok()?;
        next.iter().find(|next| next.last.is_like(new)).map(|next| next.list.clone())
    }

    /// Makes the shared list with one more listener.
    #[cold]
    fn continue_with(&self, new: &Registration) -> Result<Rc<List>> {
        let mut list = self.copy(1)?;
        list.add(new)?;
        list.shared = true;
        let list = memory::shared(list)?;
        let mut next = self.next.borrow_mut();
        if next.len() == CONTINUATIONS {
            next.retain(Continuation::is_used);
        }
        let last = list.listeners.iter().find(|listener| listener.born == list.births);
        if let (Some(last), true) = (last, next.len() < CONTINUATIONS) {
            next.push(Continuation { last: last.clone(), list: list.clone() });
        }
        Ok(list)
    }
}

/// One target's listeners.
pub(crate) struct Listeners {
    list: Option<Rc<List>>,
    /// The user data of all of them, if the list is shared.
    data: *mut c_void,
}

/// Where one dispatch is in the list.
pub(crate) struct Cursor {
    kind: EventType,
    /// How many listeners can still come at the most.
    left: u32,
    /// The age of the youngest listener that may hear the event.
    youngest: u64,
    last: Order,
}

impl Cursor {
    pub(crate) const START: Cursor = Cursor { kind: EventType::CLOSE, left: 0, youngest: 0, last: (0, 0) };

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// What came of removing a listener.
pub(crate) enum Removed {
    NotThere,
    /// The destructor of its user data is due, if it has one.
    Gone(Option<Call>),
}

impl Listeners {
    pub(crate) const EMPTY: Listeners = Listeners { list: None, data: std::ptr::null_mut() };

    #[inline]
    fn callback(&self, list: &List, listener: &Listener) -> Callback {
        let data = if list.shared { self.data } else { listener.data };
        Callback { function: listener.function, data }
    }

    /// Returns whether it was added: a second registration of the same pair, type and phase is ignored.
    pub(crate) fn add(&mut self, new: &Registration, empty: &Rc<List>) -> Result<bool> {
        if self.share(new, empty) {
            return Ok(true);
        }
        if self.position(new.kind, &new.callback, new.capture).is_some() {
            return Ok(false);
        }
        if self.may_share(new) {
            let list = self.list.as_ref().unwrap_or(empty).continue_with(new)?;
            (self.list, self.data) = (Some(list), new.callback.data);
        } else {
            self.own_list(1)?.add(new)?;
        }
        Ok(true)
    }

    /// Adds a listener that others have at the same place of their lists. Returns false if that cannot be done, or if there
    /// are no such others. A list that is shared has no listener twice.
    #[inline(always)]
    pub(crate) fn share(&mut self, new: &Registration, empty: &Rc<List>) -> bool {
        if !self.may_share(new) {
            return false;
        }
        let Some(list) = self.list.as_ref().unwrap_or(empty).continuation(new) else { return false };
        (self.list, self.data) = (Some(list), new.callback.data);
        true
    }

    #[inline]
    fn may_share(&self, new: &Registration) -> bool {
        match &self.list {
            None => true,
            Some(list) => list.shared && self.data == new.callback.data && list.listeners.len() < SHARED_LENGTH,
        }
    }

    /// Takes a listener out.
    pub(crate) fn remove(&mut self, kind: EventType, callback: &Callback, capture: bool) -> Result<Removed> {
        let Some(place) = self.position(kind, callback, capture) else { return Ok(Removed::NotThere) };
        let list = self.own_list(0)?;
        let listener = list.listeners.remove(place);
        list.index();
        Ok(Removed::Gone(UserData { data: listener.data, destroy: listener.destroy }.into_destructor()))
    }

    /// Takes out all of them: the object dies. Hands over each one's type and the destructor that is due.
    pub(crate) fn clear(&mut self, mut removed: impl FnMut(EventType, Option<Call>)) {
        let Some(list) = self.list.take().filter(|list| !list.plain) else { return };
        for listener in &list.listeners {
            let Callback { data, .. } = self.callback(&list, listener);
            removed(listener.kind, UserData { data, destroy: listener.destroy }.into_destructor());
        }
    }

    /// `hasEventListener`: registrations for the capture phase count.
    pub(crate) fn has(&self, kind: EventType) -> bool {
        self.list.as_ref().is_some_and(|list| list.listeners.iter().any(|listener| listener.kind == kind))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.as_ref().is_none_or(|list| list.listeners.is_empty())
    }

    /// Whether an event of this type would reach anybody.
    #[inline]
    pub(crate) fn hears(&self, kind: EventType) -> bool {
        self.list.as_ref().is_some_and(|list| list.heard(kind).count > 0)
    }

    /// The first listener to call; `cursor` says where to go on.
    #[inline(always)]
    pub(crate) fn begin(&self, kind: EventType, cursor: &mut Cursor) -> Option<Callback> {
        let list = self.list.as_deref()?;
        let heard = list.heard(kind);
        let first = list.listeners.get(heard.first as usize)?;
        cursor.left = heard.count.checked_sub(1)?;
        if cursor.left > 0 {
            (cursor.kind, cursor.youngest, cursor.last) = (kind, list.births, first.order());
        }
        Some(self.callback(list, first))
    }

    /// The next listener to call.
    #[inline]
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Option<Callback> {
        cursor.left = cursor.left.checked_sub(1)?;
        let list = self.list.as_ref()?;
        let start = list.listeners.partition_point(|listener| listener.order() <= cursor.last);
        let next = list.listeners[start..]
            .iter()
            .find(|listener| listener.hears(cursor.kind) && listener.born <= cursor.youngest)?;
        cursor.last = next.order();
        Some(self.callback(list, next))
    }

    #[inline]
    fn position(&self, kind: EventType, callback: &Callback, capture: bool) -> Option<usize> {
        let list = self.list.as_ref()?;
        list.listeners.iter().position(|listener| {
            listener.kind == kind && listener.capture == capture && self.callback(list, listener).same(callback)
        })
    }

    /// The list as one of this listeners's own, which may be changed.
    fn own_list(&mut self, room: usize) -> Result<&mut List> {
        let data = self.data;
        let list = self.list.as_mut().expect("only a list with something in it is changed");
        if list.shared {
            let mut own = list.copy(room)?;
            own.listeners.iter_mut().for_each(|listener| listener.data = data);
            *list = memory::shared(own)?;
        }
        Ok(Rc::get_mut(list).expect("nobody else has a list that is not shared"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C-unwind" fn listener(_: *mut c_void, _: *mut c_void) {}
    unsafe extern "C-unwind" fn other_listener(_: *mut c_void, _: *mut c_void) {}

    fn registration(kind: EventType, function: ListenerFunction, data: usize) -> Registration {
        let callback = Callback { function, data: std::ptr::without_provenance_mut(data) };
        Registration { kind, callback, destroy: None, capture: false, priority: 0 }
    }

    fn socket(empty: &Rc<List>, data: usize) -> Listeners {
        let mut listeners = Listeners::EMPTY;
        assert!(listeners.add(&registration(EventType::SOCKET_DATA, listener, data), empty).unwrap());
        assert!(listeners.add(&registration(EventType::CLOSE, other_listener, data), empty).unwrap());
        listeners
    }

    fn data_of(listeners: &Listeners, kind: EventType) -> Vec<usize> {
        let mut cursor = Cursor::START;
        let Some(first) = listeners.begin(kind, &mut cursor) else { return Vec::new() };
        let rest = std::iter::from_fn(|| listeners.next(&mut cursor));
        std::iter::once(first).chain(rest).map(|callback| callback.data.addr()).collect()
    }

    #[test]
    fn sockets_with_the_same_listeners_share_a_plan_and_keep_their_data_of() {
        let empty = List::empty();
        let (first, second) = (socket(&empty, 1), socket(&empty, 2));
        assert!(Rc::ptr_eq(first.list.as_ref().unwrap(), second.list.as_ref().unwrap()));
        assert_eq!((data_of(&first, EventType::CLOSE), data_of(&second, EventType::CLOSE)), (vec![1], vec![2]));
    }

    #[test]
    fn a_change_to_one_leaves_the_others_that_shared_its_plan() {
        let empty = List::empty();
        let (mut first, mut second) = (socket(&empty, 1), socket(&empty, 2));
        let data = registration(EventType::SOCKET_DATA, listener, 1);
        assert!(
            first.remove(data.kind, &data.callback, false).is_ok_and(|removed| matches!(removed, Removed::Gone(None)))
        );
        assert!(second.add(&registration(EventType::CLOSE, listener, 9), &empty).unwrap());
        assert_eq!((first.has(EventType::SOCKET_DATA), data_of(&first, EventType::CLOSE)), (false, vec![1]));
        assert_eq!(data_of(&second, EventType::CLOSE), [2, 9]);
        let third = socket(&empty, 3);
        assert_eq!((data_of(&third, EventType::SOCKET_DATA), data_of(&third, EventType::CLOSE)), (vec![3], vec![3]));
    }

    #[test]
    fn one_that_differs_in_its_destructor_alone_is_another_plan() {
        let empty = List::empty();
        let plain = socket(&empty, 1);
        let mut other = Listeners::EMPTY;
        unsafe extern "C-unwind" fn destroy(_: *mut c_void) {}
        let with_destructor =
            Registration { destroy: Some(destroy), ..registration(EventType::SOCKET_DATA, listener, 1) };
        assert!(other.add(&with_destructor, &empty).unwrap());
        let mut destructors = 0;
        other.clear(|_, destructor| destructors += usize::from(destructor.is_some_and(|_| true)));
        assert_eq!((destructors, data_of(&plain, EventType::SOCKET_DATA)), (1, vec![1]));
    }

    #[test]
    fn what_is_remembered_of_plans_that_come_and_go_is_bounded() {
        let empty = List::empty();
        let kept: Vec<Listeners> = (0..100)
            .map(|priority| {
                let mut listeners = Listeners::EMPTY;
                let new = Registration { priority, ..registration(EventType::CLOSE, listener, 0) };
                assert!(listeners.add(&new, &empty).unwrap());
                listeners
            })
            .collect();
        assert_eq!(kept.iter().filter(|listeners| listeners.has(EventType::CLOSE)).count(), 100);
        assert_eq!(empty.next.borrow().len(), CONTINUATIONS);
    }
}
