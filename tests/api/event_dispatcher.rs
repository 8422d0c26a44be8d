// SPDX-License-Identifier: MIT OR Apache-2.0
//! EventDispatcher and Event through the exported functions: the chapter "Events" of docs/SEMANTICS.md.

use crate::{listening, serving};
use server_socket::*;
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{CStr, CString, c_void};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use support::*;

const A: &CStr = c"a";
const B: &CStr = c"b";

/// Runs `test` with a server and with an accepted socket as the dispatcher.
fn on_every_kind_of_target(test: impl Fn(*mut c_void)) {
    let pair = Pair::new();
    test(pair.server.object());
    test(pair.socket.object());
}

/// An argument that must not be NULL was.
#[track_caller]
fn fails_null(status: ss_status, parameter: &str) {
    let error = last_error();
    assert_eq!((status, error.id), (SS_ERR_TYPE, 2007), "{error:?}");
    assert_eq!(error.text, format!("Parameter {parameter} must be non-null."));
}

fn has(target: impl Object, kind: &CStr) -> bool {
    let has = unsafe { ss_has_listener(target.object(), kind.as_ptr()) };
    let will = unsafe { ss_will_trigger(target.object(), kind.as_ptr()) };
    assert_eq!(has, will, "there is no display list: the two are the same");
    has
}

/// A loop and a server that is nothing but a dispatcher.
fn dispatcher() -> (Loop, Server) {
    let events = Loop::new();
    let target = Server::new(&events);
    (events, target)
}

// ---- Order and registration -----------------------------------------------------------------------------------------

#[test]
fn listeners_run_in_the_order_in_which_they_were_added() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        for name in ["1", "2", "3", "4", "5"] {
            on(target, A, log.adds(name));
        }
        assert!(dispatch(target, A));
        assert_eq!(log.take(), ["1", "2", "3", "4", "5"]);
    });
}

#[test]
fn a_higher_priority_runs_first_and_equal_ones_keep_their_order() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let listeners = [
            ("zero", 0),
            ("minus", -1),
            ("lowest", i32::MIN),
            ("five", 5),
            ("zero again", 0),
            ("highest", i32::MAX),
            ("five again", 5),
            ("highest again", i32::MAX),
            ("minus again", -1),
        ];
        for (name, priority) in listeners {
            on_with(target, A, false, priority, log.adds(name));
        }
        dispatch(target, A);
        assert_eq!(
            log.take(),
            ["highest", "highest again", "five", "five again", "zero", "zero again", "minus", "minus again", "lowest"]
        );
    });
}

#[test]
fn a_listener_hears_its_own_type_at_its_own_target_only() {
    let (events, target) = dispatcher();
    let other = Server::new(&events);
    let log = Log::default();
    on(&target, A, log.adds("a"));
    on(&target, B, log.adds("b"));
    on(&other, A, log.adds("a at the other"));
    dispatch(&target, A);
    assert_eq!(log.take(), ["a"]);
    dispatch(&target, c"A");
    dispatch(&other, B);
    assert_eq!(log.len(), 0);
}

#[test]
fn a_listener_that_is_added_twice_is_there_once_with_its_first_priority() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let twice = Callback::new(log.adds("twice"));
        twice.add_with(target, A, false, 0);
        let _between = on_with(target, A, false, 1, log.adds("between"));
        twice.add_with(target, A, false, 0);
        twice.add_with(target, A, false, 9);
        dispatch(target, A);
        assert_eq!(log.take(), ["between", "twice"]);

        twice.remove(target, A, false);
        dispatch(target, A);
        assert_eq!(log.take(), ["between"]);
    });
}

#[test]
fn removing_and_adding_again_changes_place_and_priority() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    let moved = Callback::new(log.adds("moved"));
    moved.add(&target, A);
    on(&target, A, log.adds("other"));

    moved.remove(&target, A, false);
    moved.add(&target, A);
    dispatch(&target, A);
    assert_eq!(log.take(), ["other", "moved"]);

    moved.remove(&target, A, false);
    moved.add_with(&target, A, false, 1);
    dispatch(&target, A);
    assert_eq!(log.take(), ["moved", "other"]);
}

/// A listener is the pair of function and user data: the same function with other data is another one, and so is
/// another function with the same data.
#[test]
fn function_and_user_data_together_are_the_listener() {
    extern "C-unwind" fn first(_: *mut ss_event, user_data: *mut c_void) {
        unsafe { &*user_data.cast::<Log>() }.add("first");
    }
    extern "C-unwind" fn second(_: *mut ss_event, user_data: *mut c_void) {
        unsafe { &*user_data.cast::<Log>() }.add("second");
    }
    let logs = [Log::default(), Log::default()];
    let (_events, target) = dispatcher();
    let user_data = |log: &Log| (&raw const *log).cast_mut().cast::<c_void>();
    for log in &logs {
        for function in [first, second] as [unsafe extern "C-unwind" fn(_, _); 2] {
            ok(unsafe { ss_add_listener(target.object(), A.as_ptr(), Some(function), user_data(log), false, 0) });
        }
    }
    dispatch(&target, A);
    assert_eq!(logs[0].take(), ["first", "second"]);
    assert_eq!(logs[1].take(), ["first", "second"]);

    ok(unsafe { ss_remove_listener(target.object(), A.as_ptr(), Some(first), user_data(&logs[1]), false) });
    dispatch(&target, A);
    assert_eq!(logs[0].take(), ["first", "second"]);
    assert_eq!(logs[1].take(), ["second"]);
}

#[test]
fn a_capture_registration_counts_but_is_never_called() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let listener = Callback::new(log.adds("called"));
        listener.add_with(target, A, true, 0);
        assert!(has(target, A));
        dispatch(target, A);
        assert_eq!(log.len(), 0);
        listener.remove(target, A, true);
        assert!(!has(target, A));
    });
}

#[test]
fn capture_and_target_registrations_are_two_and_need_two_removals() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    let listener = Callback::new(log.adds("called"));
    listener.add_with(&target, A, true, 0);
    listener.add_with(&target, A, false, 0);
    dispatch(&target, A);
    assert_eq!(log.take(), ["called"]);

    listener.remove(&target, A, true);
    assert!(has(&target, A));
    dispatch(&target, A);
    assert_eq!(log.take(), ["called"]);

    listener.remove(&target, A, false);
    assert!(!has(&target, A));
}

#[test]
fn removing_what_was_never_added_has_no_effect() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let (there, never) = (Callback::new(log.adds("there")), Callback::new(log.adds("never")));
        there.add(target, A);
        never.remove(target, A, false);
        never.remove(target, c"a type nobody named", false);
        there.remove(target, A, true);
        there.remove(target, B, false);
        dispatch(target, A);
        assert_eq!(log.take(), ["there"]);
        there.remove(target, A, false);
        there.remove(target, A, false);
    });
}

#[test]
fn has_listener_and_will_trigger_tell_whether_anybody_listens() {
    on_every_kind_of_target(|target| {
        let listeners = [Callback::new(|_| {}), Callback::new(|_| {})];
        assert!(!has(target, A));
        listeners[0].add(target, A);
        listeners[1].add(target, A);
        assert!(has(target, A) && !has(target, B));
        listeners[0].remove(target, A, false);
        assert!(has(target, A));
        listeners[1].remove(target, A, false);
        assert!(!has(target, A));
    });
}

#[test]
fn the_type_null_is_listened_to_by_nobody() {
    let (_events, target) = dispatcher();
    assert!(!unsafe { ss_has_listener(target.object(), null()) });
    assert!(!unsafe { ss_will_trigger(target.object(), null()) });
}

// ---- NULL where there must be something -----------------------------------------------------------------------------

#[test]
fn a_null_listener_is_a_type_error() {
    on_every_kind_of_target(|target| {
        let status = unsafe { ss_add_listener(target, A.as_ptr(), None, null_mut(), false, 0) };
        fails_null(status, "listener");
        let life = Life::default();
        let status = unsafe { ss_add_listener_full(target, A.as_ptr(), None, life.user_data(), Some(end), false, 0) };
        fails_null(status, "listener");
        assert!(!has(target, A));
        assert_eq!(life.ends(), 0, "a call that failed took nothing over");
    });
}

#[test]
fn a_null_type_is_a_type_error() {
    let (_events, target) = dispatcher();
    let life = Life::default();
    let status =
        unsafe { ss_add_listener_full(target.object(), null(), Some(live), life.user_data(), Some(end), false, 0) };
    fails_null(status, "type");
    assert_eq!(life.ends(), 0, "a call that failed took nothing over");
    assert!(unsafe { ss_event_new(null(), false, false) }.is_null());
    fails_null(SS_ERR_TYPE, "type");
}

#[test]
fn a_null_event_is_a_type_error() {
    on_every_kind_of_target(|target| {
        let (status, not_prevented) = try_dispatch(target, Event(null_mut()));
        fails_null(status, "event");
        assert_eq!(not_prevented, None, "written on success only");
    });
}

// ---- The return value, and the ways to stop -------------------------------------------------------------------------

#[test]
fn dispatch_returns_true_unless_the_default_of_a_cancelable_event_was_prevented() {
    on_every_kind_of_target(|target| {
        for (cancelable, prevent) in [(false, false), (false, true), (true, false), (true, true)] {
            let listener = on(target, A, move |event| {
                assert_eq!(event.cancelable(), cancelable);
                if prevent {
                    event.prevent_default();
                }
                assert_eq!(event.is_default_prevented(), cancelable && prevent);
            });
            let event = Event::new(A, false, cancelable);
            let (status, not_prevented) = try_dispatch(target, event);
            ok(status);
            assert_eq!(not_prevented, Some(!(cancelable && prevent)));
            assert_eq!(event.is_default_prevented(), cancelable && prevent);
            ok(release(event));
            listener.remove();
        }
    });
}

#[test]
fn dispatch_returns_true_where_nobody_listens() {
    on_every_kind_of_target(|target| assert!(dispatch(target, A)));
}

#[test]
fn dispatch_may_be_asked_for_no_return_value() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    on(&target, A, log.adds("called"));
    let event = Event::new(A, false, false);
    ok(unsafe { ss_dispatch_event(target.object(), event.0, null_mut()) });
    ok(release(event));
    assert_eq!(log.take(), ["called"]);
}

#[test]
fn stop_propagation_lets_the_other_listeners_of_this_target_run() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        on(target, A, Event::stop_propagation);
        on(target, A, log.adds("still called"));
        assert!(dispatch(target, A));
        assert_eq!(log.take(), ["still called"]);
    });
}

#[test]
fn stop_immediate_propagation_stops_them_too() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        on(target, A, log.adds("before"));
        on(target, A, Event::stop_immediate_propagation);
        on(target, A, log.adds("after"));
        assert!(dispatch(target, A));
        assert_eq!(log.take(), ["before"]);
    });
}

#[test]
fn stopping_a_nested_event_does_not_stop_the_outer_one() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    on(&target, A, {
        let target = target.object();
        move |_| assert!(dispatch(target, B))
    });
    on(&target, B, Event::stop_immediate_propagation);
    on(&target, B, log.adds("inner"));
    on(&target, A, log.adds("outer"));
    dispatch(&target, A);
    assert_eq!(log.take(), ["outer"]);
}

#[test]
fn a_default_can_be_prevented_before_the_dispatch() {
    let (_events, target) = dispatcher();
    on(&target, A, |event| assert!(event.is_default_prevented()));
    let event = Event::new(A, false, true);
    event.prevent_default();
    assert_eq!(try_dispatch(&target, event), (SS_OK, Some(false)));
    ok(release(event));
}

// ---- Changes while a dispatch runs ----------------------------------------------------------------------------------

#[test]
fn a_listener_added_during_a_dispatch_waits_for_the_next_one() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let (early, late) = (Rc::new(Callback::new(log.adds("early"))), Rc::new(Callback::new(log.adds("late"))));
        let adding = on(target, A, {
            let (early, late, log) = (early.clone(), late.clone(), log.clone());
            move |_| {
                log.add("adding");
                early.add_with(target, A, false, 1);
                late.add_with(target, A, false, -1);
                assert!(has(target, A));
            }
        });
        on(target, A, log.adds("last"));
        dispatch(target, A);
        assert_eq!(log.take(), ["adding", "last"]);
        adding.remove();
        dispatch(target, A);
        assert_eq!(log.take(), ["early", "last", "late"]);
        early.remove(target, A, false);
        late.remove(target, A, false);
    });
}

#[test]
fn a_listener_added_during_a_dispatch_hears_a_nested_one() {
    let log = Log::default();
    let added = Rc::new(Callback::new(log.adds("added")));
    let (_events, target) = dispatcher();
    on(&target, A, {
        let (added, log, target) = (added.clone(), log.clone(), target.object());
        let nested = Cell::new(false);
        move |_| {
            log.add("adding");
            if !nested.replace(true) {
                added.add(target, A);
                dispatch(target, A);
                log.add("nested is over");
            }
        }
    });
    dispatch(&target, A);
    assert_eq!(log.take(), ["adding", "adding", "added", "nested is over"]);
}

#[test]
fn a_listener_removed_during_a_dispatch_is_not_called() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let victims = [on(target, A, log.adds("earlier, already called"))];
        let later = Rc::new(Callback::new(log.adds("later")));
        on(target, A, {
            let later = later.clone();
            move |_| {
                victims[0].remove();
                later.remove(target, A, false);
            }
        });
        later.add(target, A);
        on(target, A, log.adds("last"));
        dispatch(target, A);
        assert_eq!(log.take(), ["earlier, already called", "last"]);
        dispatch(target, A);
        assert_eq!(log.take(), ["last"]);
    });
}

#[test]
fn a_listener_that_removes_itself_does_not_hide_the_next_one() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        for name in ["1", "2", "3"] {
            let log = log.clone();
            on_with_itself(target, A, move |_, itself| {
                itself.remove();
                log.add(name);
            });
        }
        dispatch(target, A);
        assert_eq!(log.take(), ["1", "2", "3"]);
        dispatch(target, A);
        assert_eq!(log.len(), 0);
        assert!(!has(target, A));
    });
}

#[test]
fn a_listener_removed_and_added_again_during_a_dispatch_waits_for_the_next_one() {
    on_every_kind_of_target(|target| {
        let log = Log::default();
        let later = Rc::new(Callback::new(log.adds("later")));
        let first = on(target, A, {
            let (later, log) = (later.clone(), log.clone());
            move |_| {
                log.add("first");
                later.remove(target, A, false);
                later.add(target, A);
            }
        });
        later.add(target, A);
        dispatch(target, A);
        assert_eq!(log.take(), ["first"]);
        first.remove();
        dispatch(target, A);
        assert_eq!(log.take(), ["later"]);
        later.remove(target, A, false);
    });
}

#[test]
fn a_listener_that_removes_and_adds_itself_is_called_once_a_dispatch() {
    let log = Log::default();
    let itself = Rc::new(OnceCell::<Callback>::new());
    let (_events, target) = dispatcher();
    let listener = Callback::new({
        let (log, itself, target) = (log.clone(), itself.clone(), target.object());
        move |_| {
            let itself = itself.get().expect("set below");
            log.add("called");
            itself.remove(target, A, false);
            itself.add(target, A);
        }
    });
    listener.add(&target, A);
    assert!(itself.set(listener).is_ok());
    dispatch(&target, A);
    assert_eq!(log.take(), ["called"]);
    dispatch(&target, A);
    assert_eq!(log.take(), ["called"]);
}

#[test]
fn a_listener_removed_in_a_nested_dispatch_is_not_called_in_the_outer_one() {
    let log = Log::default();
    let victim = Rc::new(Callback::new(log.adds("victim")));
    let (_events, target) = dispatcher();
    on(&target, A, {
        let target = target.object();
        move |_| assert!(dispatch(target, B))
    });
    on(&target, B, {
        let (victim, target) = (victim.clone(), target.object());
        move |_| victim.remove(target, A, false)
    });
    victim.add(&target, A);
    dispatch(&target, A);
    assert_eq!(log.len(), 0);
}

/// The order that AS3 was measured to have: a(abc)bc, and a(abc)c where the inner dispatch removes b.
#[test]
fn a_nested_dispatch_of_the_same_type_has_a_snapshot_of_its_own() {
    for (remove_b, order) in [(false, "a(abc)bc"), (true, "a(abc)c")] {
        let trace = Rc::new(RefCell::new(String::new()));
        let (_events, target) = dispatcher();
        let b = Rc::new(OnceCell::<Listener>::new());
        on(&target, A, {
            let (trace, b, target) = (trace.clone(), b.clone(), target.object());
            let nested = Cell::new(false);
            move |_| {
                trace.borrow_mut().push('a');
                if !nested.replace(true) {
                    trace.borrow_mut().push('(');
                    dispatch(target, A);
                    trace.borrow_mut().push(')');
                    if remove_b {
                        b.get().expect("set below").remove();
                    }
                }
            }
        });
        let letter = |letter| {
            let trace = trace.clone();
            move |_| trace.borrow_mut().push(letter)
        };
        assert!(b.set(on(&target, A, letter('b'))).is_ok());
        on(&target, A, letter('c'));
        dispatch(&target, A);
        assert_eq!(*trace.borrow(), order);
    }
}

// ---- Recursion ------------------------------------------------------------------------------------------------------

/// Dispatches A at `next` from a listener of A at `target`, until that fails: the statuses that it failed with.
fn dispatch_without_end(target: &Server, next: &Server, depth: &Rc<Cell<usize>>, log: &Log) {
    on(target, A, {
        let (next, depth, log) = (next.object(), depth.clone(), log.clone());
        move |_| {
            increment(&depth);
            let event = Event::new(A, false, false);
            let (status, not_prevented) = try_dispatch(next, event);
            if status != SS_OK {
                fails_with(status, SS_ERR_ERROR, 2094, 0);
                assert_eq!(not_prevented, None);
                assert_eq!(event.target(), null_mut(), "it was not dispatched");
                log.add("overflow");
            }
            ok(release(event));
        }
    });
}

#[test]
fn the_257th_nested_dispatch_is_error_2094_and_the_outer_ones_continue() {
    let (_events, target) = dispatcher();
    let (depth, log) = (shared::<usize>(), Log::default());
    dispatch_without_end(&target, &target, &depth, &log);
    on(&target, A, log.adds("continued"));
    assert!(dispatch(&target, A));
    assert_eq!(depth.get(), 256);
    let entries = log.take();
    assert_eq!(entries[0], "overflow");
    assert_eq!(entries.len(), 1 + 256);
    assert!(entries[1..].iter().all(|entry| entry == "continued"));

    depth.set(0);
    dispatch(&target, A);
    assert_eq!(depth.get(), 256, "an overflow leaves nothing behind");
}

#[test]
fn a_dispatch_that_goes_back_and_forth_between_two_objects_overflows_too() {
    let (events, ping) = dispatcher();
    let pong = Server::new(&events);
    let (depth, log) = (shared::<usize>(), Log::default());
    dispatch_without_end(&ping, &pong, &depth, &log);
    dispatch_without_end(&pong, &ping, &depth, &log);
    dispatch(&ping, A);
    assert_eq!(log.take(), ["overflow"]);
    assert_eq!(depth.get(), 256);
}

// ---- Dispatching an event again, clones -----------------------------------------------------------------------------

/// Notes the handles of the events of type A that come.
fn record_events(target: impl Object) -> Rc<RefCell<Vec<Event>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    on(target, A, {
        let seen = seen.clone();
        move |event| seen.borrow_mut().push(event)
    });
    seen
}

#[test]
fn the_first_dispatch_delivers_the_event_itself_and_the_next_ones_clones_of_it() {
    let (events, first) = dispatcher();
    let second = Server::new(&events);
    let (at_first, at_second) = (record_events(&first), record_events(&second));
    let event = Event::new(A, true, true);
    on(&second, A, {
        let second = second.object();
        move |clone| {
            assert_eq!(clone.kind().as_deref(), Some("a"));
            assert!(clone.bubbles() && clone.cancelable());
            assert_eq!(clone.target(), second);
        }
    });
    ok(try_dispatch(&first, event).0);
    ok(try_dispatch(&second, event).0);
    ok(try_dispatch(&second, event).0);
    assert_eq!(*at_first.borrow(), [event]);
    assert_eq!(at_second.borrow().len(), 2);
    assert!(!at_second.borrow().contains(&event));
    assert_eq!(event.target(), first.object(), "the event keeps its target");
    ok(release(event));
}

#[test]
fn an_event_that_nobody_heard_is_not_marked_and_not_cloned() {
    let (events, silent) = dispatcher();
    let target = Server::new(&events);
    let seen = record_events(&target);
    let event = Event::new(A, false, false);
    ok(try_dispatch(&silent, event).0);
    assert_eq!(event.target(), null_mut());
    ok(try_dispatch(&target, event).0);
    assert_eq!(*seen.borrow(), [event]);
    ok(release(event));
}

#[test]
fn a_listener_may_dispatch_the_event_that_it_got() {
    let (events, outer) = dispatcher();
    let inner = Server::new(&events);
    let seen = record_events(&inner);
    on(&outer, A, {
        let (outer, inner, seen) = (outer.object(), inner.object(), seen.clone());
        move |event| {
            ok(try_dispatch(inner, event).0);
            assert_ne!(seen.borrow()[0], event);
            assert_eq!((event.target(), event.current_target()), (outer, outer));
        }
    });
    dispatch(&outer, A);
    assert_eq!(seen.borrow().len(), 1);
}

#[test]
fn an_event_dispatched_again_has_forgotten_that_it_was_stopped_or_prevented() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    let stopping = on(&target, A, |event| {
        event.prevent_default();
        event.stop_immediate_propagation();
    });
    on(&target, A, {
        let log = log.clone();
        move |event| log.add(format!("prevented {}", event.is_default_prevented()))
    });
    let event = Event::new(A, false, true);
    assert_eq!(try_dispatch(&target, event), (SS_OK, Some(false)));
    stopping.remove();
    assert_eq!(try_dispatch(&target, event), (SS_OK, Some(true)));
    assert_eq!(log.take(), ["prevented false"]);
    assert!(event.is_default_prevented(), "the event itself keeps it");
    ok(release(event));
}

/// What is dispatched again is a clone, also where nobody hears it, and nothing has prevented the clone's default.
#[test]
fn an_event_dispatched_again_where_nobody_listens_is_not_prevented() {
    let (events, target) = dispatcher();
    let silent = Server::new(&events);
    on(&target, A, Event::prevent_default);
    let event = Event::new(A, false, true);
    assert_eq!(try_dispatch(&target, event), (SS_OK, Some(false)));
    assert_eq!(try_dispatch(&silent, event), (SS_OK, Some(true)));
    assert_eq!(event.target(), target.object());
    ok(release(event));
}

#[test]
fn a_clone_is_as_new_and_says_the_same() {
    let (_events, target) = dispatcher();
    on(&target, A, |event| {
        event.prevent_default();
        event.stop_immediate_propagation();
    });
    for (bubbles, cancelable) in [(false, true), (true, false), (true, true)] {
        let event = Event::new(A, bubbles, cancelable);
        ok(try_dispatch(&target, event).0);
        let clone = Event(ss_event_clone(event.0));
        ok(release(event));
        assert_eq!(clone.kind().as_deref(), Some("a"));
        assert_eq!((clone.bubbles(), clone.cancelable()), (bubbles, cancelable));
        assert_eq!(clone.target(), null_mut());
        assert_eq!(clone.current_target(), null_mut());
        assert_eq!(clone.phase(), 2);
        assert!(!clone.is_default_prevented());
        ok(release(clone));
    }
}

#[test]
fn a_clone_of_a_data_event_carries_its_number() {
    let pair = Pair::new();
    let clones = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, SOCKET_DATA, {
        let clones = clones.clone();
        move |event| {
            clones.borrow_mut().push(Event(ss_event_clone(event.0)));
        }
    });
    pair.send(b"12345");
    pair.pump_until_available(5);
    let loaded: u64 = clones.borrow().iter().map(|e| e.bytes_loaded()).sum();
    assert_eq!(loaded, 5);
    for clone in clones.take() {
        assert_eq!(clone.target(), null_mut());
        ok(release(clone));
    }
}

#[test]
fn a_clone_of_a_connect_event_carries_its_socket() {
    let (events, server, kept) = serving();
    let clone = Rc::new(Cell::new(None));
    on(&server, CONNECT, {
        let clone = clone.clone();
        move |event| clone.set(Some(Event(ss_event_clone(event.0))))
    });
    let _peer = server.client();
    events.pump_until(|| clone.get().is_some());
    let clone = clone.get().expect("there is one");
    assert_eq!(clone.socket(), kept.last());
    ok(release(clone));
}

// ---- Target, current target, phase ----------------------------------------------------------------------------------

#[test]
fn an_event_has_its_target_from_the_dispatch_on() {
    on_every_kind_of_target(|target| {
        let event = Event::new(A, false, false);
        assert_eq!(event.target(), null_mut());
        assert_eq!(event.current_target(), null_mut());
        assert_eq!(event.phase(), 2);
        let inside = on(target, A, move |event| {
            assert_eq!(event.target(), target);
            assert_eq!(event.current_target(), target);
            assert_eq!(event.phase(), 2);
        });
        ok(try_dispatch(target, event).0);
        assert_eq!(event.target(), target);
        assert_eq!(event.phase(), 2);
        ok(release(event));
        inside.remove();
    });
}

#[test]
fn a_bubbling_event_reaches_its_target_once() {
    let (_events, target) = dispatcher();
    let seen = record_events(&target);
    let event = Event::new(A, true, false);
    ok(try_dispatch(&target, event).0);
    assert_eq!(*seen.borrow(), [event]);
    ok(release(event));
}

#[test]
fn an_event_of_the_program_carries_no_socket_and_no_numbers() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    for kind in [CONNECT, SOCKET_DATA, OUTPUT_PROGRESS, IO_ERROR, CLOSE] {
        let log = log.clone();
        on(&target, kind, move |event| {
            assert!(event.socket().0.is_null());
            assert_eq!((event.bytes_loaded(), event.bytes_pending(), event.bytes_total()), (0, 0, 0));
            assert_eq!((event.error_id(), event.os_error()), (0, 0));
            log.add(event.kind().expect("a type"));
        });
        assert!(dispatch(&target, kind), "also where it is an error");
    }
    assert_eq!(log.len(), 5);
}

#[test]
fn an_error_event_that_nobody_hears_stops_nothing() {
    on_every_kind_of_target(|target| {
        assert!(dispatch(target, IO_ERROR));
        assert!(dispatch(target, c"error"));
    });
}

// ---- toString -------------------------------------------------------------------------------------------------------

#[test]
fn an_event_describes_itself_as_flash_does() {
    for (bubbles, cancelable) in [(false, false), (true, false), (false, true)] {
        let event = Event::new(c"x", bubbles, cancelable);
        assert_eq!(
            event.describe(),
            format!("[Event type=\"x\" bubbles={bubbles} cancelable={cancelable} eventPhase=2]")
        );
        ok(release(event));
    }
}

/// The descriptions of the events of type `kind` that come to `target`.
fn descriptions(target: impl Object, kind: &CStr) -> Log {
    let log = Log::default();
    on(target, kind, {
        let log = log.clone();
        move |event| log.add(event.describe())
    });
    log
}

#[test]
fn a_connect_event_describes_itself() {
    let (events, server) = listening();
    let log = descriptions(&server, CONNECT);
    let _peer = server.client();
    events.pump_until(|| log.len() == 1);
    assert_eq!(
        log.take(),
        ["[ServerSocketConnectEvent type=\"connect\" bubbles=false cancelable=false socket=[object Socket]]"]
    );
}

#[test]
fn data_progress_and_close_events_describe_themselves() {
    let pair = Pair::new();
    let data = descriptions(*pair.socket, SOCKET_DATA);
    let progress = descriptions(*pair.socket, OUTPUT_PROGRESS);
    let close = descriptions(*pair.socket, CLOSE);
    pair.send(b"1");
    pair.pump_until_available(1);
    ok(pair.socket.write(b"12345"));
    pair.events.receive(&pair.peer, 5);
    pair.events.pump_until(|| progress.len() == 1);
    pair.send_fin();
    pair.events.pump_until(|| close.len() == 1);
    assert_eq!(
        data.take(),
        ["[ProgressEvent type=\"socketData\" bubbles=false cancelable=false eventPhase=2 bytesLoaded=1 bytesTotal=0]"]
    );
    assert_eq!(
        progress.take(),
        [
            "[OutputProgressEvent type=\"outputProgress\" bubbles=false cancelable=false eventPhase=2 bytesPending=0 bytesTotal=5]"
        ]
    );
    assert_eq!(close.take(), ["[Event type=\"close\" bubbles=false cancelable=false eventPhase=2]"]);
}

#[test]
fn an_io_error_event_describes_itself() {
    let Pair { socket, peer, events, server: _server, .. } = Pair::new();
    let log = descriptions(*socket, IO_ERROR);
    on(*socket, IO_ERROR, |event| {
        assert!(!event.bubbles() && !event.cancelable());
        assert_eq!(event.error_id(), 2031);
        assert_eq!(event.error_text().as_deref(), Some("Error #2031: Socket Error."));
        assert!([errno::ECONNRESET, errno::EPIPE].contains(&event.os_error()));
    });
    // More than the kernel takes, so that there is unsent output to be lost.
    ok(socket.write(&pattern(40_000_000)));
    ok(socket.flush());
    assert!(socket.pending() > 0);
    reset(peer);
    events.pump_until(|| log.len() > 0);
    assert_eq!(
        log.take(),
        [
            "[IOErrorEvent type=\"ioError\" bubbles=false cancelable=false eventPhase=2 text=\"Error #2031: Socket Error.\"]"
        ]
    );
}

#[test]
fn a_description_is_cut_to_the_room_there_is_and_ends_with_nul() {
    let event = Event::new(c"x", false, false);
    let whole = event.describe();
    for capacity in 0..whole.len() + 4 {
        let mut room = vec![b'#'; whole.len() + 8];
        let needed = unsafe { ss_event_to_string(event.0, room.as_mut_ptr().cast(), capacity) };
        assert_eq!(needed, whole.len());
        let written = (whole.len() + 1).min(capacity);
        if written > 0 {
            assert_eq!(&room[..written - 1], &whole.as_bytes()[..written - 1]);
            assert_eq!(room[written - 1], 0);
        }
        assert!(room[written..].iter().all(|&byte| byte == b'#'), "written past capacity {capacity}");
    }
    assert_eq!(unsafe { ss_event_to_string(event.0, null_mut(), 0) }, whole.len());
    ok(release(event));
}

// ---- Types ----------------------------------------------------------------------------------------------------------

#[test]
fn every_sequence_of_bytes_is_a_type() {
    let (_events, target) = dispatcher();
    let long = CString::new(vec![b'x'; 100_000]).expect("no NUL");
    let mut almost = long.clone().into_bytes();
    *almost.last_mut().expect("not empty") = b'y';
    let almost = CString::new(almost).expect("no NUL");
    let all_bytes = CString::new((1..=255).collect::<Vec<u8>>()).expect("no NUL");
    let kinds: [&CStr; 10] =
        [c"", c" ", c"connect ", c"Connect", c"\xff\xfe", c"\xff\xff", c"\n\"]", &all_bytes, &long, &almost];
    let log = Log::default();
    for (index, kind) in kinds.iter().enumerate() {
        let (log, kind) = (log.clone(), CString::from(*kind));
        on(&target, &kind.clone(), move |event| {
            let seen = unsafe { CStr::from_ptr(ss_event_type(event.0)) };
            assert!(seen == kind.as_c_str());
            log.add(index);
        });
    }
    for (index, kind) in kinds.iter().enumerate() {
        assert!(has(&target, kind));
        dispatch(&target, kind);
        assert_eq!(log.take(), [index.to_string()]);
    }
}

#[test]
fn a_type_is_copied_and_may_change_after_the_call() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    let mut kind = *b"first\0";
    let as_type = |kind: &[u8; 6]| CStr::from_bytes_with_nul(kind).expect("a NUL").to_owned();
    on(&target, &as_type(&kind), log.adds("called"));
    let event = unsafe { ss_event_new(kind.as_ptr().cast(), false, false) };
    kind.copy_from_slice(b"other\0");
    assert_eq!(Event(event).kind().as_deref(), Some("first"));
    ok(try_dispatch(&target, Event(event)).0);
    ok(release(event));
    assert_eq!(log.take(), ["called"]);
}

#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere nobody asks for the memory in use
fn types_that_are_used_no_more_take_no_memory() {
    in_own_process!(|| {
        let (_events, target) = dispatcher();
        let use_types = |range: std::ops::Range<usize>| {
            for number in range {
                let kind = CString::new(format!("{number:0>1000}")).expect("no NUL");
                let listener = on(&target, &kind, |_| {});
                dispatch(&target, &kind);
                listener.remove();
                assert!(!has(&target, &kind));
            }
        };
        use_types(0..1_000);
        let before = resident_memory();
        use_types(1_000..51_000);
        let grown = resident_memory().saturating_sub(before);
        assert!(grown < 10_000_000, "{grown} bytes for 50 MB of types");
    });
}

// ---- Destructors ----------------------------------------------------------------------------------------------------

/// User data that knows how often its listener and its destructor ran.
#[derive(Default)]
struct Life {
    calls: Cell<usize>,
    ends: Cell<usize>,
    action: OnceCell<Box<dyn Fn(Event)>>,
}

extern "C-unwind" fn live(event: *mut ss_event, user_data: *mut c_void) {
    let life = unsafe { &*user_data.cast::<Life>() };
    keep_panic(|| {
        let ends = life.ends();
        increment(&life.calls);
        if let Some(action) = life.action.get() {
            action(Event(event));
        }
        assert_eq!(life.ends(), ends, "its destructor ran while it ran");
    });
}

extern "C-unwind" fn end(user_data: *mut c_void) {
    increment(&unsafe { &*user_data.cast::<Life>() }.ends);
}

impl Life {
    /// It does `action` whenever it is called.
    fn with_action(action: impl Fn(Event) + 'static) -> Life {
        let life = Life::default();
        assert!(life.action.set(Box::new(action)).is_ok());
        life
    }

    fn user_data(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }

    #[track_caller]
    fn add(&self, target: impl Object, kind: &CStr) {
        ok(unsafe {
            ss_add_listener_full(target.object(), kind.as_ptr(), Some(live), self.user_data(), Some(end), false, 0)
        });
    }

    #[track_caller]
    fn remove(&self, target: impl Object, kind: &CStr) {
        ok(unsafe { ss_remove_listener(target.object(), kind.as_ptr(), Some(live), self.user_data(), false) });
    }

    fn calls(&self) -> usize {
        self.calls.get()
    }

    fn ends(&self) -> usize {
        self.ends.get()
    }
}

#[test]
fn a_removed_listener_is_destroyed_before_the_removal_returns() {
    on_every_kind_of_target(|target| {
        let life = Life::default();
        life.add(target, A);
        dispatch(target, A);
        assert_eq!(life.ends(), 0);
        life.remove(target, A);
        assert_eq!((life.calls(), life.ends()), (1, 1));
        life.remove(target, A);
        dispatch(target, A);
        assert_eq!((life.calls(), life.ends()), (1, 1));
    });
}

#[test]
fn a_listener_dies_with_its_object() {
    let life = Life::default();
    let (events, target) = dispatcher();
    life.add(&target, A);
    life.add(&target, B);
    ok(retain(&target));
    ok(release(&target));
    assert_eq!(life.ends(), 0);
    drop(target);
    assert_eq!(life.ends(), 2);
    drop(events);
    assert_eq!(life.ends(), 2);
}

#[test]
fn a_listener_dies_with_the_loop_of_its_object() {
    let life = Life::default();
    let (events, target) = dispatcher();
    life.add(&target, A);
    drop(events);
    assert_eq!(life.ends(), 1);
    assert_eq!(release(&target), SS_ERR_HANDLE);
    assert_eq!(life.ends(), 1);
}

#[test]
fn closing_an_object_destroys_no_listener() {
    let life = Life::default();
    let pair = Pair::new();
    life.add(&pair.server, A);
    life.add(*pair.socket, A);
    ok(pair.server.close());
    ok(pair.socket.close());
    assert_eq!(life.ends(), 0);
    drop(pair);
    assert_eq!(life.ends(), 2);
}

/// The pair of function and user data is still registered, so that its user data is in use: destroying it would be wrong.
#[test]
fn a_duplicate_is_ignored_whole_with_its_destructor() {
    let (_events, target) = dispatcher();
    let life = Rc::new(Life::default());
    life.add(&target, A);
    life.add(&target, A);
    on(&target, B, {
        let (life, target) = (life.clone(), target.object());
        move |_| life.add(target, A)
    });
    dispatch(&target, B);
    assert_eq!(life.ends(), 0);
    dispatch(&target, A);
    assert_eq!(life.calls(), 1);
    life.remove(&target, A);
    assert_eq!(life.ends(), 1);
}

#[test]
fn a_listener_that_removes_itself_is_destroyed_when_the_dispatch_has_ended() {
    let (_events, target) = dispatcher();
    let itself = Rc::new(OnceCell::<Life>::new());
    let life = Life::with_action({
        let (itself, target) = (itself.clone(), target.object());
        move |_| itself.get().expect("set below").remove(target, A)
    });
    assert!(itself.set(life).is_ok());
    let life = itself.get().expect("just set");
    life.add(&target, A);
    let log = Log::default();
    on(&target, A, {
        let (log, itself) = (log.clone(), itself.clone());
        move |_| log.add(itself.get().expect("set").ends())
    });
    dispatch(&target, A);
    assert_eq!((life.calls(), life.ends()), (1, 1));
    assert_eq!(log.take(), ["0"], "not before the end of the dispatch");
}

#[test]
fn a_listener_removed_by_another_is_destroyed_when_the_outermost_dispatch_has_ended() {
    let (_events, target) = dispatcher();
    let victim = Rc::new(Life::default());
    let log = Log::default();
    victim.add(&target, A);
    on(&target, A, {
        let (victim, log, target) = (victim.clone(), log.clone(), target.object());
        move |_| {
            dispatch(target, B);
            log.add(format!("ends {} after the nested dispatch", victim.ends()));
        }
    });
    on(&target, B, {
        let (victim, target) = (victim.clone(), target.object());
        move |_| victim.remove(target, A)
    });
    dispatch(&target, A);
    assert_eq!(log.take(), ["ends 0 after the nested dispatch"]);
    assert_eq!((victim.calls(), victim.ends()), (1, 1));
}

#[test]
fn an_object_destroyed_in_its_own_listener_lives_until_the_dispatch_has_ended() {
    let life = Rc::new(Life::default());
    let events = Loop::new();
    let target = ss_new(events.0);
    on(target, A, {
        let life = life.clone();
        move |event| {
            ok(release(target));
            assert_eq!(life.ends(), 0);
            assert_eq!(event.target(), target.object());
            assert!(has(target, A), "its handle still answers");
        }
    });
    life.add(target, A);
    dispatch(target, A);
    assert_eq!(life.ends(), 1);
    assert_eq!(release(target), SS_ERR_HANDLE);
}

#[test]
fn an_object_released_in_its_own_listener_can_be_saved_by_a_later_one() {
    let life = Life::default();
    let events = Loop::new();
    let target = ss_new(events.0);
    life.add(target, B);
    on_with_itself(target, A, move |_, itself| {
        itself.remove();
        ok(release(target));
    });
    let saving = on(target, A, move |_| ok(retain(target)));
    dispatch(target, A);
    assert_eq!(life.ends(), 0);
    saving.remove();
    dispatch(target, B);
    assert_eq!(life.calls(), 1);
    ok(release(target));
    assert_eq!(life.ends(), 1);
}

#[test]
fn a_destructor_may_use_the_library() {
    /// Removes the listener of B at `target` and dispatches there, when it is dropped.
    struct Busy(*mut c_void, Listener);
    impl Drop for Busy {
        fn drop(&mut self) {
            self.1.remove();
            dispatch(self.0, c"from a destructor");
        }
    }
    let (_events, target) = dispatcher();
    let log = Log::default();
    let busy = Busy(target.object(), on(&target, B, log.adds("b")));
    on(&target, c"from a destructor", log.adds("heard"));
    let listener = on(&target, A, move |_| {
        let _owned = &busy;
    });
    listener.remove();
    assert!(!has(&target, B));
    assert_eq!(log.take(), ["heard"]);
}

#[test]
fn a_failed_registration_takes_no_user_data_over() {
    let life = Life::default();
    let (_events, target) = dispatcher();
    let stale = target.0;
    drop(target);
    let status =
        unsafe { ss_add_listener_full(stale.object(), A.as_ptr(), Some(live), life.user_data(), Some(end), false, 0) };
    assert_eq!((status, life.ends()), (SS_ERR_HANDLE, 0));
}

#[test]
fn user_data_of_an_object_is_destroyed_when_replaced_and_when_the_object_dies() {
    let lives = [Life::default(), Life::default()];
    let pair = Pair::new();
    for target in [pair.server.object(), pair.socket.object(), pair.events.object()] {
        give_user_data(target, &lives);
    }
    assert_eq!((lives[0].ends(), lives[1].ends()), (3, 3));
    drop(pair);
    assert_eq!((lives[0].ends(), lives[1].ends()), (6, 3));
}

#[test]
fn an_event_may_have_user_data_like_every_object() {
    let lives = [Life::default(), Life::default()];
    let event = Event::new(A, false, false);
    give_user_data(event, &lives);
    ok(release(event));
    assert_eq!((lives[0].ends(), lives[1].ends()), (2, 1));
}

/// Gives `target` the one, the other, none and again the one of `lives` as its user data.
fn give_user_data(target: impl Object, lives: &[Life; 2]) {
    let target = target.object();
    let set = |life: &Life| unsafe { ss_set_user_data(target, life.user_data(), Some(end)) };
    let before = [lives[0].ends(), lives[1].ends()];
    let ends = || [lives[0].ends() - before[0], lives[1].ends() - before[1]];
    assert_eq!(ss_user_data(target), null_mut());
    ok(set(&lives[0]));
    assert_eq!(ss_user_data(target), lives[0].user_data());
    ok(set(&lives[1]));
    assert_eq!(ends(), [1, 0]);
    ok(unsafe { ss_set_user_data(target, null_mut(), None) });
    assert_eq!(ends(), [1, 1]);
    assert_eq!(ss_user_data(target), null_mut());
    ok(set(&lives[0]));
}

// ---- Closed objects, kept events ------------------------------------------------------------------------------------

#[test]
fn a_closed_object_still_dispatches_the_programs_events() {
    let pair = Pair::new();
    ok(pair.server.close());
    ok(pair.socket.close());
    for target in [pair.server.object(), pair.socket.object()] {
        let log = Log::default();
        on(target, A, log.adds("a"));
        assert!(dispatch(target, A));
        assert_eq!(log.take(), ["a"]);
    }
}

#[test]
fn a_retained_event_outlives_its_dispatch_and_still_answers() {
    let pair = Pair::new();
    let kept = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, SOCKET_DATA, {
        let kept = kept.clone();
        move |event| {
            ok(retain(event));
            kept.borrow_mut().push(event);
        }
    });
    pair.send(b"12345");
    pair.pump_until_available(5);
    pair.send_fin();
    pair.events.settle();
    for event in kept.borrow().iter() {
        assert_eq!(event.kind().as_deref(), Some("socketData"));
        assert_eq!(event.target(), pair.socket.object());
        assert!(event.bytes_loaded() > 0);
        assert!(event.describe().starts_with("[ProgressEvent"));
        ok(release(event));
        assert_eq!(retain(event), SS_ERR_HANDLE);
    }
    assert!(!kept.borrow().is_empty());
}

#[test]
fn an_event_that_nobody_retains_dies_after_the_dispatch() {
    let pair = Pair::new();
    let seen = Rc::new(Cell::new(None));
    on(*pair.socket, SOCKET_DATA, {
        let seen = seen.clone();
        move |event| seen.set(Some(event))
    });
    pair.send(b"x");
    pair.pump_until_available(1);
    let event = seen.get().expect("an event came");
    assert_eq!(retain(event), SS_ERR_HANDLE);
    assert_eq!(event.kind(), None);
    assert_eq!(event.bytes_loaded(), 0);
}

#[test]
fn a_retained_event_outlives_its_target() {
    let kept = Rc::new(Cell::new(None));
    let (_events, target) = dispatcher();
    on(&target, A, {
        let kept = kept.clone();
        move |event| {
            ok(retain(event));
            kept.set(Some(event));
        }
    });
    dispatch(&target, A);
    drop(target);
    let event = kept.get().expect("an event came");
    assert_eq!(event.kind().as_deref(), Some("a"));
    assert_eq!(retain(event.target()), SS_ERR_HANDLE);
    ok(release(event));
}

#[test]
fn an_event_released_by_its_own_listener_lives_until_the_dispatch_has_ended() {
    let (_events, target) = dispatcher();
    let log = Log::default();
    on(&target, A, |event| ok(release(event)));
    on(&target, A, {
        let log = log.clone();
        move |event| log.add(event.kind().expect("it lives"))
    });
    let event = Event::new(A, false, false);
    ok(try_dispatch(&target, event).0);
    assert_eq!(log.take(), ["a"]);
    assert_eq!(release(event), SS_ERR_HANDLE);
}

// ---- Random programs against a model --------------------------------------------------------------------------------

/// Listeners with random scripts add, remove and dispatch at random; the library and a model of AIR's rules must do the
/// same calls in the same order, return the same values and destroy as much.
mod model {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [&CStr; 2] = [A, B];
    const LISTENERS: usize = 5;
    /// A program whose listeners call each other without end is cut off there.
    const CALLS: usize = 150;

    #[derive(Clone, Debug)]
    enum Step {
        Add { kind: usize, who: usize, capture: bool, priority: i32 },
        Remove { kind: usize, who: usize, capture: bool },
        Has { kind: usize },
        Dispatch { kind: usize, cancelable: bool },
        // These only mean something inside a listener.
        DispatchAgain,
        PreventDefault,
        StopPropagation,
        StopImmediately,
    }

    fn step() -> impl Strategy<Value = Step> {
        let (kind, who, capture) = (0..KINDS.len(), 0..LISTENERS, prop::bool::weighted(0.1));
        prop_oneof![
            4 => (kind.clone(), who.clone(), capture, -1..=1).prop_map(
                |(kind, who, capture, priority)| Step::Add { kind, who, capture, priority }
            ),
            3 => (kind.clone(), who, capture)
                .prop_map(|(kind, who, capture)| Step::Remove { kind, who, capture }),
            1 => kind.clone().prop_map(|kind| Step::Has { kind }),
            3 => (kind, any::<bool>())
                .prop_map(|(kind, cancelable)| Step::Dispatch { kind, cancelable }),
            1 => Just(Step::DispatchAgain),
            1 => Just(Step::PreventDefault),
            1 => Just(Step::StopPropagation),
            1 => Just(Step::StopImmediately),
        ]
    }

    /// What a program says: the steps of each listener, and those of the main program.
    #[derive(Clone, Debug)]
    struct Program {
        listeners: Vec<Vec<Step>>,
        main: Vec<Step>,
    }

    fn program() -> impl Strategy<Value = Program> {
        (prop::collection::vec(prop::collection::vec(step(), 0..4), LISTENERS), prop::collection::vec(step(), 1..25))
            .prop_map(|(listeners, main)| Program { listeners, main })
    }

    /// The library or the model.
    trait World: Sized {
        type Event: Copy;
        fn add(run: &Run<Self>, kind: usize, who: usize, capture: bool, priority: i32);
        fn remove(run: &Run<Self>, kind: usize, who: usize, capture: bool);
        fn has(run: &Run<Self>, kind: usize) -> bool;
        fn dispatch(run: &Run<Self>, kind: usize, cancelable: bool) -> bool;
        fn dispatch_again(run: &Run<Self>, event: Self::Event) -> bool;
        fn prevent_default(event: Self::Event);
        fn stop_propagation(event: Self::Event);
        fn stop_immediately(event: Self::Event);
        /// How many destructors have run.
        fn destroyed(run: &Run<Self>) -> usize;
    }

    struct Run<W> {
        program: Program,
        world: W,
        calls: Cell<usize>,
        trace: Log,
    }

    impl<W: World> Run<W> {
        fn new(program: &Program, world: W) -> Self {
            Run { program: program.clone(), world, calls: Cell::new(0), trace: Log::default() }
        }

        fn main(&self) {
            for step in &self.program.main {
                self.step(step, None);
                self.trace.add(format!("{} destroyed", W::destroyed(self)));
            }
        }

        fn listener(&self, who: usize, event: W::Event) {
            increment(&self.calls);
            self.trace.add(format!("{who} called"));
            if self.calls.get() < CALLS {
                for step in &self.program.listeners[who] {
                    self.step(step, Some(event));
                }
            }
            self.trace.add(format!("{who} done"));
        }

        fn step(&self, step: &Step, event: Option<W::Event>) {
            match (step.clone(), event) {
                (Step::Add { kind, who, capture, priority }, _) => W::add(self, kind, who, capture, priority),
                (Step::Remove { kind, who, capture }, _) => W::remove(self, kind, who, capture),
                (Step::Has { kind }, _) => self.trace.add(W::has(self, kind)),
                (Step::Dispatch { kind, cancelable }, _) => {
                    self.trace.add(W::dispatch(self, kind, cancelable));
                }
                (Step::DispatchAgain, Some(event)) => {
                    self.trace.add(W::dispatch_again(self, event));
                }
                (Step::PreventDefault, Some(event)) => W::prevent_default(event),
                (Step::StopPropagation, Some(event)) => W::stop_propagation(event),
                (Step::StopImmediately, Some(event)) => W::stop_immediately(event),
                (_, None) => {}
            }
        }
    }

    /// AIR's rules, written for clarity.
    #[derive(Default)]
    struct Model {
        registered: RefCell<Vec<Rc<Registration>>>,
        destroyed: Cell<usize>,
    }

    struct Registration {
        kind: usize,
        who: usize,
        capture: bool,
        priority: i32,
        removed: Cell<bool>,
    }

    #[derive(Clone, Copy)]
    struct ModelEvent<'a> {
        kind: usize,
        cancelable: bool,
        prevented: &'a Cell<bool>,
        stopped: &'a Cell<bool>,
    }

    impl Model {
        fn find(&self, kind: usize, who: usize, capture: bool) -> Option<usize> {
            self.registered.borrow().iter().position(|registration| {
                (registration.kind, registration.who, registration.capture) == (kind, who, capture)
            })
        }
    }

    impl World for Model {
        // Leaked: an event is a few bytes, and a program makes few.
        type Event = ModelEvent<'static>;

        fn add(run: &Run<Self>, kind: usize, who: usize, capture: bool, priority: i32) {
            if run.world.find(kind, who, capture).is_some() {
                return;
            }
            let mut registered = run.world.registered.borrow_mut();
            let place = registered.iter().position(|other| other.priority < priority).unwrap_or(registered.len());
            let registration = Registration { kind, who, capture, priority, removed: Cell::new(false) };
            registered.insert(place, Rc::new(registration));
        }

        fn remove(run: &Run<Self>, kind: usize, who: usize, capture: bool) {
            if let Some(place) = run.world.find(kind, who, capture) {
                run.world.registered.borrow_mut().remove(place).removed.set(true);
                increment(&run.world.destroyed);
            }
        }

        fn has(run: &Run<Self>, kind: usize) -> bool {
            let registered = run.world.registered.borrow();
            registered.iter().any(|other| other.kind == kind)
        }

        fn dispatch(run: &Run<Self>, kind: usize, cancelable: bool) -> bool {
            let event = ModelEvent {
                kind,
                cancelable,
                prevented: Box::leak(Box::default()),
                stopped: Box::leak(Box::default()),
            };
            let snapshot: Vec<_> = run
                .world
                .registered
                .borrow()
                .iter()
                .filter(|other| other.kind == kind && !other.capture)
                .cloned()
                .collect();
            for registration in snapshot {
                if !registration.removed.get() && !event.stopped.get() {
                    run.listener(registration.who, event);
                }
            }
            !event.prevented.get()
        }

        fn dispatch_again(run: &Run<Self>, event: Self::Event) -> bool {
            Self::dispatch(run, event.kind, event.cancelable)
        }

        fn prevent_default(event: Self::Event) {
            event.prevented.set(event.cancelable);
        }

        fn stop_propagation(_: Self::Event) {}

        fn stop_immediately(event: Self::Event) {
            event.stopped.set(true);
        }

        fn destroyed(run: &Run<Self>) -> usize {
            run.world.destroyed.get()
        }
    }

    struct Library {
        target: Server,
        /// The user data of the listeners.
        users: OnceCell<Vec<User>>,
        destroyed: Cell<usize>,
    }

    struct User {
        run: *const Run<Library>,
        who: usize,
    }

    extern "C-unwind" fn call(event: *mut ss_event, user_data: *mut c_void) {
        let user = unsafe { &*user_data.cast::<User>() };
        keep_panic(|| unsafe { &*user.run }.listener(user.who, Event(event)));
    }

    extern "C-unwind" fn destroy(user_data: *mut c_void) {
        let user = unsafe { &*user_data.cast::<User>() };
        increment(&unsafe { &*user.run }.world.destroyed);
    }

    impl Run<Library> {
        fn user(&self, who: usize) -> *mut c_void {
            let users = self.world.users.get_or_init(|| (0..LISTENERS).map(|who| User { run: self, who }).collect());
            (&raw const users[who]).cast_mut().cast()
        }
    }

    impl World for Library {
        type Event = Event;

        fn add(run: &Run<Self>, kind: usize, who: usize, capture: bool, priority: i32) {
            ok(unsafe {
                ss_add_listener_full(
                    run.world.target.object(),
                    KINDS[kind].as_ptr(),
                    Some(call),
                    run.user(who),
                    Some(destroy),
                    capture,
                    priority,
                )
            });
        }

        fn remove(run: &Run<Self>, kind: usize, who: usize, capture: bool) {
            ok(unsafe {
                ss_remove_listener(run.world.target.object(), KINDS[kind].as_ptr(), Some(call), run.user(who), capture)
            });
        }

        fn has(run: &Run<Self>, kind: usize) -> bool {
            super::has(&run.world.target, KINDS[kind])
        }

        fn dispatch(run: &Run<Self>, kind: usize, cancelable: bool) -> bool {
            let event = Event::new(KINDS[kind], false, cancelable);
            let not_prevented = Self::dispatch_again(run, event);
            ok(release(event));
            not_prevented
        }

        fn dispatch_again(run: &Run<Self>, event: Event) -> bool {
            let (status, not_prevented) = try_dispatch(&run.world.target, event);
            ok(status);
            not_prevented.expect("written on success")
        }

        fn prevent_default(event: Event) {
            event.prevent_default();
        }

        fn stop_propagation(event: Event) {
            event.stop_propagation();
        }

        fn stop_immediately(event: Event) {
            event.stop_immediate_propagation();
        }

        fn destroyed(run: &Run<Self>) -> usize {
            run.world.destroyed.get()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_programs_of_listeners_do_what_the_rules_say(program in program()) {
            let model = Run::new(&program, Model::default());
            model.main();

            let events = Loop::new();
            let library = Run::new(&program, Library {
                target: Server::new(&events),
                users: OnceCell::new(),
                destroyed: Cell::new(0),
            });
            library.main();
            prop_assert_eq!(library.trace.take(), model.trace.take());

            let left = model.world.registered.borrow().len();
            ok(release(library.world.target.0));
            prop_assert_eq!(library.world.destroyed.get(), model.world.destroyed.get() + left);
        }
    }
}
