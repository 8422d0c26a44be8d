// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listeners: they are added and removed, called by dispatches of the program's own, and make steps of their own.

use super::*;

pub extern "C-unwind" fn listener_0(event: *mut ss_event, word: *mut c_void) {
    heard(event, (0, word.addr()));
}

pub extern "C-unwind" fn listener_1(event: *mut ss_event, word: *mut c_void) {
    heard(event, (1, word.addr()));
}

pub const LISTENERS: [unsafe extern "C-unwind" fn(*mut ss_event, *mut c_void); 2] = [listener_0, listener_1];

pub struct Registration {
    kind: usize,
    pair: Pair,
    capture: bool,
    priority: i32,
    destroy: bool,
}

pub fn registration() -> Registration {
    let (kind, who) = (byte(), byte());
    Registration {
        kind: kind % TYPES.len(),
        pair: ((who & 1) as u8, 1 + (who >> 1) % 3),
        capture: who & 0x60 == 0x60,
        priority: [0, 0, 0, 1, -1, i32::MAX, i32::MIN, 7][kind >> 5],
        destroy: who & 0x10 == 0x10,
    }
}

pub fn call_add(handle: *mut c_void, r: &Registration) -> ss_status {
    let (function, word) = (Some(LISTENERS[usize::from(r.pair.0)]), std::ptr::without_provenance_mut(r.pair.1));
    let kind = TYPES[r.kind].as_ptr();
    // SAFETY: functions for these words, and a constant text.
    unsafe {
        match r.destroy {
            true => ss_add_listener_full(handle, kind, function, word, Some(destroy), r.capture, r.priority),
            false => ss_add_listener(handle, kind, function, word, r.capture, r.priority),
        }
    }
}

pub fn add_listener() {
    let r = registration();
    let target = good!(Wanted::Target, |handle| call_add(handle, &r));
    let handle = pointer(target);
    with(|trial| {
        trial.model.births += 1;
        let born = trial.model.births;
        let Registration { kind, pair, capture, priority, destroy } = r;
        trial.model.dispatcher(target).add(Listener { pair, kind, capture, priority, born, destroy });
    });
    assert_eq!(call_add(handle, &r), SS_OK);
    // SAFETY: NULL is refused.
    unsafe {
        assert_eq!(ss_add_listener(handle, null(), Some(listener_0), null_mut(), false, 0), SS_ERR_TYPE);
        assert_eq!(ss_add_listener(handle, c"x".as_ptr(), None, null_mut(), false, 0), SS_ERR_TYPE);
    }
}

pub fn remove_listener() {
    let r = registration();
    let call = |handle: *mut c_void| {
        let (function, word) = (Some(LISTENERS[usize::from(r.pair.0)]), std::ptr::without_provenance_mut(r.pair.1));
        // SAFETY: as for adding.
        unsafe { ss_remove_listener(handle, TYPES[r.kind].as_ptr(), function, word, r.capture) }
    };
    let target = good!(Wanted::Target, |handle| call(handle));
    let handle = pointer(target);
    with(|trial| {
        let dispatcher = trial.model.dispatcher(target);
        if let Some(place) = dispatcher.position(r.kind, r.pair, r.capture) {
            let gone = dispatcher.listeners.remove(place);
            let hears_close = dispatcher.hears(CLOSE);
            trial.model.due[gone.pair.1] += usize::from(gone.destroy);
            if let Id::Socket(index) = target {
                trial.model.sockets[index].may_go_unheard |= !hears_close;
                trial.model.sockets[index].note_unheard();
            }
            if let Id::Server(index) = target {
                let server = &mut trial.model.servers[index];
                server.may_lose_waiting |= server.draining && !server.dispatcher.hears(CONNECT);
            }
        }
    });
    assert_eq!(call(handle), SS_OK);
}

pub fn has_listener() {
    let kind = byte() % TYPES.len();
    let name = TYPES[kind].as_ptr();
    // SAFETY: a constant text.
    let target = good!(Wanted::Target, |handle| nothing(unsafe { !ss_has_listener(handle, name) }));
    let handle = pointer(target);
    let expected = with(|trial| trial.model.dispatcher(target).has(kind));
    // SAFETY: a constant text.
    unsafe {
        assert_eq!(ss_has_listener(handle, name), expected);
        assert_eq!(ss_will_trigger(handle, name), expected);
    }
}

pub fn call_dispatch(target: *mut c_void, event: *mut ss_event) -> (ss_status, u8) {
    let mut result = 0xa5_u8;
    // SAFETY: a bool is one byte, and ours.
    let status = unsafe { ss_dispatch_event(target, event, (&raw mut result).cast()) };
    assert!(if status == SS_OK { result < 2 } else { result == 0xa5 });
    (status, result)
}

pub fn dispatch() {
    // An event that is not there is looked at after the target.
    let target = good!(Wanted::Target, |handle| call_dispatch(handle, null_mut()).0);
    let target_handle = pointer(target);
    let event = match subject(Wanted::Event) {
        Subject::Good(Id::Event(event)) => event,
        Subject::Good(_) => unreachable!(),
        Subject::Bad(handle, statuses) => {
            let (status, _) = call_dispatch(target_handle, std::ptr::without_provenance_mut(handle));
            assert!(if handle == 0 { status == SS_ERR_TYPE } else { statuses.contains(&status) }, "{status:?}");
            return;
        }
    };
    let handle = pointer(Id::Event(event));
    enum Course {
        Unheard(bool),
        TooDeep,
        Heard(usize),
    }
    let course = with(|trial| {
        let model = &mut trial.model;
        let kind = model.events[event].kind;
        let was_delivered = model.events[event].target.is_some();
        if !model.dispatcher(target).hears(kind) {
            return Course::Unheard(was_delivered || !model.events[event].prevented);
        }
        if model.depth() >= MAX_DEPTH {
            return Course::TooDeep;
        }
        // One that was delivered before goes out as a clone, whose handle its first listener will tell.
        let delivered = match was_delivered {
            true => {
                let clone = model.events[event].clone_as(0, 0);
                model.events.push(clone);
                model.events.len() - 1
            }
            false => event,
        };
        let walk = model.walk(target, delivered, None);
        model.frames.push(Frame::Dispatch { walk: Some(walk) });
        Course::Heard(delivered)
    });
    let (status, result) = call_dispatch(target_handle, handle);
    match course {
        Course::Unheard(expected) => assert_eq!((status, result), (SS_OK, u8::from(expected))),
        Course::TooDeep => assert_eq!(status, SS_ERR_ERROR),
        Course::Heard(delivered) => with(|trial| {
            let prevented = trial.model.events[delivered].prevented;
            trial.model.finish_dispatch();
            let Some(Frame::Dispatch { .. }) = trial.model.frames.pop() else { panic!("frames out of order") };
            assert_eq!((status, result), (SS_OK, u8::from(!prevented)));
        }),
    }
}

/// Any listener: it must be its turn. Then it makes a few steps of its own.
pub fn heard(event: *mut ss_event, pair: Pair) {
    let (target, kind) = (ss_event_target(event).addr(), event_type(event));
    let index = with(|trial| trial.enter(event, target, kind, pair));
    check_event(Id::Event(index));
    some_steps();
    with(|trial| match trial.model.frames.last_mut() {
        Some(frame) => frame.walk_mut().as_mut().expect("it is under way").running = false,
        None => panic!("frames out of order"),
    });
}

/// The steps of a listener or a task. What it takes stays until it returns.
pub fn some_steps() {
    let before = with(|trial| trial.taken.len());
    for _ in 0..byte() % 6 {
        if !step() {
            break;
        }
    }
    with(|trial| {
        let taken = trial.taken.split_off(before);
        trial.check_taken(taken);
    });
}

pub fn event_type(event: *mut ss_event) -> usize {
    let kind = ss_event_type(event);
    assert!(!kind.is_null());
    // SAFETY: not NULL, and the event lives.
    let kind = unsafe { CStr::from_ptr(kind) };
    TYPES.iter().position(|other| *other == kind).expect("a type of this program's")
}

impl Trial {
    /// What was taken is still there. Nobody looks at it from now on.
    pub fn check_taken(&self, all: Vec<Taken>) {
        // A loop takes everything with it.
        for taken in all.iter().filter(|taken| self.model.loops[taken.home].life.alive) {
            // SAFETY: the library promises that they stay.
            let bytes = unsafe { std::slice::from_raw_parts(taken.start, taken.expected.len()) };
            assert!(bytes == taken.expected, "bytes that were taken have changed");
        }
    }
}
