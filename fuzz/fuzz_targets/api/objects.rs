// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all objects have: they are made, counted, released, and carry a word of user data.

use super::*;

pub fn new_loop() {
    if with(|trial| trial.model.loops.iter().filter(|object| object.life.alive).count() > 3) {
        return;
    }
    let handle = ss_loop_new();
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        let life = Life::new(handle.addr(), 1);
        trial.model.loops.push(Loop::new(life, false));
    });
}

pub fn new_server_somewhere() {
    let Id::Loop(home) = good!(Wanted::Loop, |handle| nothing(ss_new(handle).is_null())) else { unreachable!() };
    new_server(home);
}

pub fn new_server(home: usize) {
    let handle = ss_new(pointer(Id::Loop(home)));
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        trial.model.servers.push(Server::new(handle.addr(), home));
    });
}

pub fn new_socket_somewhere() {
    let Id::Loop(home) = good!(Wanted::Loop, |handle| nothing(ss_socket_new(handle).is_null())) else { unreachable!() };
    new_socket(home);
}

pub fn new_socket(home: usize) {
    let handle = ss_socket_new(pointer(Id::Loop(home)));
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        trial.model.sockets.push(Socket::new(handle.addr(), 1, home, DEFAULT_OPTIONS));
    });
}

pub fn new_event() {
    let (kind, flags) = (byte() % TYPES.len(), byte());
    // SAFETY: constants.
    let handle = unsafe { ss_event_new(TYPES[kind].as_ptr(), flags & 1 == 1, flags & 2 == 2) };
    assert!(!handle.is_null());
    with(|trial| trial.model.events.push(Event::new(handle.addr(), kind, flags & 1 == 1, flags & 2 == 2)));
    // SAFETY: NULL is refused.
    assert!(unsafe { ss_event_new(null(), false, false) }.is_null());
}

pub fn retain() {
    let id = good!(Wanted::Any, |handle| ss_retain(handle));
    if matches!(id, Id::Loop(0)) {
        // The thread's own loop is for all programs.
        return;
    }
    assert_eq!(ss_retain(pointer(id)), SS_OK);
    with(|trial| trial.model.retain(id));
}

pub fn release() {
    let id = good!(Wanted::Any, |handle| match <*mut c_void>::is_null(handle) {
        true => {
            assert_eq!(ss_release(handle), SS_OK);
            SS_ERR_HANDLE
        }
        false => ss_release(handle),
    });
    let handle = pointer(id);
    let expected = with(|trial| trial.model.release(id));
    assert_eq!(ss_release(handle), expected, "{id:?}");
    with(|trial| trial.model.settle());
}

pub extern "C-unwind" fn destroy(word: *mut c_void) {
    with(|trial| {
        trial.model.finish_dispatch();
        assert_eq!(trial.model.depth(), 0, "a destructor runs while a listener does");
        trial.model.ran[word.addr()] += 1;
        if trial.model.ran[word.addr()] > trial.model.due[word.addr()] {
            trial.model.settle();
        }
        if trial.model.ran[word.addr()] > trial.model.due[word.addr()] {
            trial.model.finish_turn();
        }
        assert!(trial.model.ran[word.addr()] <= trial.model.due[word.addr()], "a destructor runs that is not due");
    });
}

pub fn user_data() {
    // SAFETY: words, and a destructor that takes them.
    let set = |handle, word: usize, destructor| unsafe {
        ss_set_user_data(handle, std::ptr::without_provenance_mut(word), destructor)
    };
    let id = good!(Wanted::Any, |handle| {
        assert!(ss_user_data(handle).is_null());
        set(handle, 1, Some(destroy))
    });
    if matches!(id, Id::Loop(0)) {
        return;
    }
    let choice = byte();
    let (word, with_destructor) = (1 + choice % 3, choice & 8 == 8);
    let handle = pointer(id);
    let before = with(|trial| {
        let life = trial.model.life(id);
        let before = (life.word, life.destroy);
        (life.word, life.destroy) = (word, with_destructor);
        trial.model.due[before.0] += usize::from(before.1);
        before.0
    });
    assert_eq!(ss_user_data(handle).addr(), before);
    assert_eq!(
        set(handle, word, with_destructor.then_some(destroy as unsafe extern "C-unwind" fn(*mut c_void))),
        SS_OK
    );
    assert_eq!(ss_user_data(handle).addr(), word);
}

/// How many objects there are; the scribe's are not the model's.
pub fn count_objects() {
    let is_idle = with(|trial| trial.model.frames.is_empty());
    assert_eq!(ss_object_count(5) + ss_object_count(0) + ss_object_count(-1) + ss_object_count(99), 0);
    if !is_idle {
        return;
    }
    let counts = [SS_KIND_LOOP, SS_KIND_SERVER, SS_KIND_SOCKET, SS_KIND_TIMER, SS_KIND_VALUE, SS_KIND_EVENT]
        .map(|kind| ss_object_count(kind));
    with(|trial| {
        let model = &trial.model;
        let count = |wanted| model.living(wanted).len();
        let held = model.events.iter().filter(|event| event.life.alive && event.life.references > 0).count();
        let expected = [
            count(Wanted::Loop) + 1,
            count(Wanted::Server) + 1,
            count(Wanted::Socket) + 1,
            count(Wanted::Timer),
            count(Wanted::Value),
            held,
        ];
        assert_eq!(counts, expected, "loops, servers, sockets, timers, values, events");
    });
}
