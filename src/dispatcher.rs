//! EventDispatcher: a listener list that may change while it is walked.
//!
//! The list is sorted by priority, then by age. A walk remembers *where* it is as a position in that order, not
//! as an index, and takes in no listener younger than itself. So adding and removing need no care for the
//! walks under way, and none of them holds a borrow while a listener runs.
//!
//! Ten thousand sockets of one server have the same few listeners, told apart only by the word that the host gives
//! for each socket. So they share one [`Plan`], and keep nothing but that word: what is not like that, a listener
//! that is removed again, or words that differ within one socket, gets a plan of its own.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::{Rc, Weak};

use crate::error::{Failure, Result};
use crate::foreign::{Call, Callback, ListenerFunction, UserData};
use crate::memory;
use crate::names::EventType;

/// Longer lists are not shared: nobody has ten thousand of them.
const SHARED_LENGTH: usize = 4;
/// How many continuations of one plan are remembered.
const CONTINUATIONS: usize = 8;

pub(crate) type Destroy = Option<unsafe extern "C" fn(*mut c_void)>;

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
    /// Its own word; not used in a plan that is shared.
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

/// A list of listeners.
pub(crate) struct Plan {
    listeners: Vec<Listener>,
    /// How many were ever added.
    births: u64,
    /// Whether it may be another dispatcher's, too: it never changes then, and the words are the dispatchers'.
    shared: bool,
    /// The shared plan that this one continues: it lives as long as there is one that does.
    _start: Option<Rc<Plan>>,
    /// The shared plans that are this one and one more listener.
    next: RefCell<Vec<Weak<Plan>>>,
}

impl Plan {
    /// The list that all others begin with.
    pub(crate) fn empty() -> Rc<Plan> {
        Rc::new(Plan { listeners: Vec::new(), births: 0, shared: true, _start: None, next: RefCell::default() })
    }

    /// One that is not shared.
    fn copy(&self, room: usize) -> Result<Plan> {
        let mut listeners = Vec::new();
        listeners.try_reserve_exact(self.listeners.len() + room).map_err(|_| Failure::no_memory())?;
        listeners.extend_from_slice(&self.listeners);
        Ok(Plan { listeners, births: self.births, shared: false, _start: None, next: RefCell::default() })
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
        Ok(())
    }

    /// The shared plan with one more listener; made if nobody has it yet.
    fn continued(self: &Rc<Plan>, new: &Registration) -> Result<Rc<Plan>> {
        let mut next = self.next.borrow_mut();
        let ends_like_that = |plan: &Rc<Plan>| {
            plan.listeners.iter().find(|listener| listener.born == plan.births).is_some_and(|last| last.is_like(new))
        };
        if let Some(known) = next.iter().filter_map(Weak::upgrade).find(ends_like_that) {
            return Ok(known);
        }
        let mut plan = self.copy(1)?;
        plan.add(new)?;
        plan.shared = true;
        plan._start = Some(self.clone());
        let plan = memory::shared(plan)?;
        next.retain(|plan| plan.strong_count() > 0);
        if next.len() < CONTINUATIONS {
            next.push(Rc::downgrade(&plan));
        }
        Ok(plan)
    }
}

/// One object's listeners.
pub(crate) struct Dispatcher {
    plan: Option<Rc<Plan>>,
    /// The word of all of them, if the plan is shared.
    word: *mut c_void,
}

/// One dispatch on its way along the list.
pub(crate) struct Walk {
    kind: EventType,
    /// How many listeners can still come at the most. Plain numbers, here and below: a walk is handed on by value, and
    /// what has a niche is copied in pieces, for which the processor waits.
    left: u32,
    youngest: u64,
    last: Order,
}

/// Before every listener.
const START: Order = (i64::MIN, 0);

impl Walk {
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }
}

impl Dispatcher {
    pub(crate) const EMPTY: Dispatcher = Dispatcher { plan: None, word: std::ptr::null_mut() };

    #[inline]
    fn listeners(&self) -> &[Listener] {
        self.plan.as_ref().map_or(&[], |plan| &plan.listeners)
    }

    #[inline]
    fn callback(&self, plan: &Plan, listener: &Listener) -> Callback {
        let data = if plan.shared { self.word } else { listener.data };
        Callback { function: listener.function, data }
    }

    /// Returns whether it was added: a second registration of the same pair, type and phase is ignored.
    pub(crate) fn add(&mut self, new: &Registration, empty: &Rc<Plan>) -> Result<bool> {
        if self.position(new.kind, &new.callback, new.capture).is_some() {
            return Ok(false);
        }
        let plan = self.plan.as_ref().unwrap_or(empty);
        let data = new.callback.data;
        let fits = plan.listeners.is_empty() || data == self.word;
        if plan.shared && fits && plan.listeners.len() < SHARED_LENGTH {
            self.plan = Some(plan.continued(new)?);
            self.word = data;
        } else {
            self.own_plan(1)?.add(new)?;
        }
        Ok(true)
    }

    /// Takes a listener out; `Some` if there was one, with the destructor that is due.
    pub(crate) fn remove(
        &mut self,
        kind: EventType,
        callback: &Callback,
        capture: bool,
    ) -> Result<Option<Option<Call>>> {
        let Some(place) = self.position(kind, callback, capture) else { return Ok(None) };
        let listener = self.own_plan(0)?.listeners.remove(place);
        Ok(Some(UserData { data: listener.data, destroy: listener.destroy }.into_destructor()))
    }

    /// Takes out all of them: the object dies. Hands over each one's type and the destructor that is due.
    pub(crate) fn clear(&mut self, mut removed: impl FnMut(EventType, Option<Call>)) {
        let Some(plan) = self.plan.take() else { return };
        for listener in &plan.listeners {
            let Callback { data, .. } = self.callback(&plan, listener);
            removed(listener.kind, UserData { data, destroy: listener.destroy }.into_destructor());
        }
    }

    /// `hasEventListener`: registrations for the capture phase count.
    pub(crate) fn has(&self, kind: EventType) -> bool {
        self.listeners().iter().any(|listener| listener.kind == kind)
    }

    /// Whether an event of this type would reach anybody.
    #[inline]
    pub(crate) fn hears(&self, kind: EventType) -> bool {
        self.listeners().iter().any(|listener| listener.hears(kind))
    }

    #[inline]
    pub(crate) fn walk(&self, kind: EventType) -> Walk {
        let left = self.listeners().iter().filter(|listener| listener.hears(kind)).count() as u32;
        Walk { kind, left, youngest: self.plan.as_ref().map_or(0, |plan| plan.births), last: START }
    }

    /// The next listener to call.
    #[inline]
    pub(crate) fn next(&self, walk: &mut Walk) -> Option<Callback> {
        walk.left = walk.left.checked_sub(1)?;
        let plan = self.plan.as_ref()?;
        let start = match walk.last {
            START => 0,
            last => plan.listeners.partition_point(|listener| listener.order() <= last),
        };
        let next = plan.listeners[start..]
            .iter()
            .find(|listener| listener.hears(walk.kind) && listener.born <= walk.youngest)?;
        walk.last = next.order();
        Some(self.callback(plan, next))
    }

    fn position(&self, kind: EventType, callback: &Callback, capture: bool) -> Option<usize> {
        let plan = self.plan.as_ref()?;
        plan.listeners.iter().position(|listener| {
            listener.kind == kind && listener.capture == capture && self.callback(plan, listener).same(callback)
        })
    }

    /// The plan as one of this dispatcher's own, which may be changed.
    fn own_plan(&mut self, room: usize) -> Result<&mut Plan> {
        let word = self.word;
        let plan = self.plan.as_mut().expect("only a list with something in it is changed");
        if plan.shared {
            let mut own = plan.copy(room)?;
            own.listeners.iter_mut().for_each(|listener| listener.data = word);
            *plan = memory::shared(own)?;
        }
        Ok(Rc::get_mut(plan).expect("nobody else has a plan that is not shared"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn listener(_: *mut c_void, _: *mut c_void) {}
    unsafe extern "C" fn other_listener(_: *mut c_void, _: *mut c_void) {}

    fn registration(kind: EventType, function: ListenerFunction, word: usize) -> Registration {
        let callback = Callback { function, data: std::ptr::without_provenance_mut(word) };
        Registration { kind, callback, destroy: None, capture: false, priority: 0 }
    }

    fn socket(empty: &Rc<Plan>, word: usize) -> Dispatcher {
        let mut dispatcher = Dispatcher::EMPTY;
        assert!(dispatcher.add(&registration(EventType::SOCKET_DATA, listener, word), empty).unwrap());
        assert!(dispatcher.add(&registration(EventType::CLOSE, other_listener, word), empty).unwrap());
        dispatcher
    }

    fn words(dispatcher: &Dispatcher, kind: EventType) -> Vec<usize> {
        let mut walk = dispatcher.walk(kind);
        std::iter::from_fn(|| dispatcher.next(&mut walk)).map(|callback| callback.data.addr()).collect()
    }

    #[test]
    fn sockets_with_the_same_listeners_share_a_plan_and_keep_their_words() {
        let empty = Plan::empty();
        let (first, second) = (socket(&empty, 1), socket(&empty, 2));
        assert!(Rc::ptr_eq(first.plan.as_ref().unwrap(), second.plan.as_ref().unwrap()));
        assert_eq!((words(&first, EventType::CLOSE), words(&second, EventType::CLOSE)), (vec![1], vec![2]));
    }

    #[test]
    fn a_change_to_one_leaves_the_others_that_shared_its_plan() {
        let empty = Plan::empty();
        let (mut first, mut second) = (socket(&empty, 1), socket(&empty, 2));
        let data = registration(EventType::SOCKET_DATA, listener, 1);
        assert!(first.remove(data.kind, &data.callback, false).unwrap().is_some());
        assert!(second.add(&registration(EventType::CLOSE, listener, 9), &empty).unwrap());
        assert_eq!((first.has(EventType::SOCKET_DATA), words(&first, EventType::CLOSE)), (false, vec![1]));
        assert_eq!(words(&second, EventType::CLOSE), [2, 9]);
        let third = socket(&empty, 3);
        assert_eq!((words(&third, EventType::SOCKET_DATA), words(&third, EventType::CLOSE)), (vec![3], vec![3]));
    }

    #[test]
    fn one_that_differs_in_its_destructor_alone_is_another_plan() {
        let empty = Plan::empty();
        let plain = socket(&empty, 1);
        let mut other = Dispatcher::EMPTY;
        unsafe extern "C" fn destroy(_: *mut c_void) {}
        let with_destructor =
            Registration { destroy: Some(destroy), ..registration(EventType::SOCKET_DATA, listener, 1) };
        assert!(other.add(&with_destructor, &empty).unwrap());
        let mut destructors = 0;
        other.clear(|_, destructor| destructors += usize::from(destructor.is_some_and(|_| true)));
        assert_eq!((destructors, words(&plain, EventType::SOCKET_DATA)), (1, vec![1]));
    }

    #[test]
    fn what_is_remembered_of_plans_that_come_and_go_is_bounded() {
        let empty = Plan::empty();
        let kept: Vec<Dispatcher> = (0..100)
            .map(|priority| {
                let mut dispatcher = Dispatcher::EMPTY;
                let new = Registration { priority, ..registration(EventType::CLOSE, listener, 0) };
                assert!(dispatcher.add(&new, &empty).unwrap());
                dispatcher
            })
            .collect();
        assert_eq!(kept.iter().filter(|dispatcher| dispatcher.has(EventType::CLOSE)).count(), 100);
        assert_eq!(empty.next.borrow().len(), CONTINUATIONS);
    }
}
