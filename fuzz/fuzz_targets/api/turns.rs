// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns of loops, tasks from anywhere, and loops themselves.

use super::*;

pub fn poll() {
    // SAFETY: NULL is allowed.
    let id = good!(Wanted::Loop, |handle| unsafe { ss_loop_poll(handle, 0, null_mut()) });
    let Id::Loop(home) = id else { unreachable!() };
    poll_once(home, 0);
}

pub fn poll_once(home: usize, patience: i32) {
    let handle = pointer(Id::Loop(home));
    with(|trial| {
        let taken = std::mem::take(&mut trial.taken_outside);
        trial.check_taken(taken);
    });
    let (idle, deep) = with(|trial| {
        let (idle, deep) = (trial.model.is_idle(home), trial.model.depth() >= MAX_DEPTH);
        if idle && !deep {
            for socket in trial.model.sockets.iter_mut().filter(|socket| socket.home == home) {
                socket.may_go_unheard = !socket.dispatcher.hears(CLOSE);
                socket.note_unheard();
            }
            for server in trial.model.servers.iter_mut().filter(|server| server.home == home) {
                server.may_lose_waiting |= server.draining && !server.dispatcher.hears(CONNECT);
            }
            trial.model.loops[home].turn += 1;
            trial.model.frames.push(Frame::Poll { home, walk: None, events: 0, over: false, timer: None });
        }
        (idle, deep)
    });
    let mut events = u32::MAX;
    // SAFETY: `events` is ours.
    let status = unsafe { ss_loop_poll(handle, patience, &mut events) };
    if !idle {
        assert_eq!((status, events), (SS_ERR_REENTRANT, u32::MAX));
        return;
    }
    if deep {
        assert_eq!((status, events), (SS_ERR_ERROR, u32::MAX));
        return;
    }
    assert_eq!(status, SS_OK);
    with(|trial| {
        trial.model.finish_dispatch();
        // The loop may have been released in the turn, and be gone by now.
        if trial.model.brings_events(home) {
            trial.look_at_connections();
        }
        let model = &mut trial.model;
        let Some(Frame::Poll { events: seen, walk: None, .. }) = model.frames.pop() else {
            panic!("frames out of order")
        };
        assert_eq!(events, seen, "events dispatched");
        for index in 0..model.sockets.len() {
            let socket = &mut model.sockets[index];
            if socket.home == home && socket.life.alive && std::mem::take(&mut socket.owes_close) {
                assert!(socket.may_go_unheard, "no close event came");
                model.let_go(index);
            }
        }
        model.reap(Id::Loop(home));
    });
}

pub extern "C-unwind" fn task(number: *mut c_void) {
    let number = number.addr();
    with(|trial| {
        trial.model.finish_dispatch();
        let Some(Frame::Poll { home, .. }) = trial.model.frames.last() else { panic!("a task runs outside of a turn") };
        let home = *home;
        assert!(trial.model.brings_events(home), "a task runs on a loop that was released");
        assert_eq!(
            trial.model.loops[home].tasks.pop_front().map(|(first, _)| first),
            Some(number),
            "tasks out of order"
        );
    });
    some_steps();
}

pub extern "C-unwind" fn cancelled(number: *mut c_void) {
    let number = number.addr();
    with(|trial| {
        trial.model.finish_dispatch();
        let model = &mut trial.model;
        if let Some(place) = model.cancelled.iter().position(|other| *other == number) {
            model.cancelled.remove(place);
            return;
        }
        // Released in the turn that would have run it.
        let found = model
            .loops
            .iter_mut()
            .find(|object| object.life.references == 0 && !object.is_default && object.tasks.contains(&(number, true)));
        found.expect("a task of a loop that was released").tasks.retain(|(other, _)| *other != number);
    });
}

pub fn post() {
    let choice = byte();
    let number = with(|trial| {
        trial.tasks += 1;
        trial.tasks
    });
    let cancel = (choice & 1 == 1).then_some(cancelled as unsafe extern "C-unwind" fn(*mut c_void));
    // SAFETY: functions for such numbers.
    let call = |handle: *mut ss_loop| unsafe {
        ss_loop_post(handle, Some(task), std::ptr::without_provenance_mut(number), cancel)
    };
    let id = match subject(Wanted::Loop) {
        Subject::Good(id) => id,
        // All threads may, and nobody polls that loop.
        Subject::Bad(handle, _) if others().contains(&handle) => {
            assert_eq!(ss_loop_wake(std::ptr::without_provenance_mut(handle)), SS_OK);
            return assert_eq!(ss_loop_stop(std::ptr::without_provenance_mut(handle)), SS_OK);
        }
        Subject::Bad(handle, _) => {
            let handle = std::ptr::without_provenance_mut(handle);
            assert_eq!((ss_loop_wake(handle), ss_loop_stop(handle)), (SS_ERR_HANDLE, SS_ERR_HANDLE));
            return assert_eq!(call(handle), SS_ERR_HANDLE);
        }
    };
    let Id::Loop(home) = id else { unreachable!() };
    with(|trial| trial.model.loops[home].tasks.push_back((number, cancel.is_some())));
    assert_eq!(call(pointer(id)), SS_OK);
    // SAFETY: NULL is refused.
    assert_eq!(unsafe { ss_loop_post(pointer(id), None, null_mut(), cancel) }, SS_ERR_TYPE);
}

pub fn run() {
    let id = good!(Wanted::Loop, |handle| ss_loop_run(handle));
    let Id::Loop(home) = id else { unreachable!() };
    let expected = with(|trial| if trial.model.is_idle(home) { SS_OK } else { SS_ERR_REENTRANT });
    // A stop that comes before the run ends it before its first turn.
    assert_eq!(ss_loop_stop(pointer(id)), SS_OK);
    assert_eq!(ss_loop_run(pointer(id)), expected);
}

pub fn look_at_loop() {
    let mut fd = -77;
    // SAFETY: `fd` is ours.
    let id = good!(Wanted::Loop, |handle| {
        let status = nothing(ss_loop_timeout(handle) == 0);
        assert_eq!(unsafe { ss_loop_fd(handle, &mut fd) }, status);
        assert_eq!(fd, -77);
        status
    });
    // SAFETY: as above.
    assert_eq!(unsafe { ss_loop_fd(pointer(id), &mut fd) }, SS_OK);
    assert!(fd >= 0);
    assert!(ss_loop_timeout(pointer(id)) >= -1);
    assert_eq!(ss_loop_wake(pointer(id)), SS_OK);
    assert_eq!(ss_object_kind(pointer(id)), SS_KIND_LOOP);
}
