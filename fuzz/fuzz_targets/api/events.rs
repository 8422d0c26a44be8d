// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events, the program's own and the library's.

use super::*;

pub fn event_calls() {
    let choice = byte();
    let call = |handle| match choice % 3 {
        0 => ss_event_prevent_default(handle),
        1 => ss_event_stop_propagation(handle),
        _ => ss_event_stop_immediate_propagation(handle),
    };
    let id = good!(Wanted::Event, |handle| call(handle));
    let Id::Event(index) = id else { unreachable!() };
    with(|trial| {
        let event = &mut trial.model.events[index];
        event.prevented |= choice % 3 == 0 && event.cancelable;
        event.stopped |= choice % 3 == 2;
    });
    assert_eq!(call(pointer(id)), SS_OK);
    check_event(id);
}

pub fn look_at_event() {
    let id = good!(Wanted::Event, |handle| {
        assert!(!ss_event_bubbles(handle) && !ss_event_cancelable(handle) && ss_event_phase(handle) == 0);
        assert!(ss_event_target(handle).is_null() && ss_event_current_target(handle).is_null());
        assert!(ss_event_socket(handle).is_null() && ss_event_text(handle).is_null());
        assert!(ss_event_detail(handle).is_null());
        // SAFETY: there is no room.
        assert_eq!(unsafe { ss_event_to_string(handle, null_mut(), 0) }, 0);
        nothing(ss_event_type(handle).is_null())
    });
    check_event(id);
}

pub fn clone_event() {
    let id = good!(Wanted::Event, |handle| nothing(ss_event_clone(handle).is_null()));
    let Id::Event(index) = id else { unreachable!() };
    let handle = ss_event_clone(pointer(id));
    let clone = with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        let clone = trial.model.events[index].clone_as(handle.addr(), 1);
        trial.model.events.push(clone);
        trial.model.events.len() - 1
    });
    check_event(Id::Event(clone));
}

pub fn check_event(id: Id) {
    let Id::Event(index) = id else { unreachable!() };
    let handle: *mut ss_event = pointer(id);
    let kind = event_type(handle);
    let (target, socket) = (ss_event_target(handle).addr(), ss_event_socket(handle).addr());
    assert_eq!(ss_event_current_target(handle).addr(), target);
    let mut text = [0xa5_u8; 200];
    // SAFETY: there is that much room.
    let length = unsafe { ss_event_to_string(handle, text.as_mut_ptr().cast(), text.len()) };
    assert!(length < text.len() && text[length] == 0 && text[0] == b'[' && text[length - 1] == b']');
    with(|trial| {
        let model = &mut trial.model;
        let expected = |model: &mut Model, id: Option<Id>| {
            id.map(|id| model.life(id)).filter(|life| life.alive).map_or(0, |life| life.handle)
        };
        let (expected_target, named) = (model.events[index].target, model.events[index].socket.map(Id::Socket));
        assert_eq!(target, expected(model, expected_target));
        assert_eq!(socket, expected(model, named));
        let event = &model.events[index];
        assert_eq!(kind, event.kind);
        assert_eq!(ss_event_bubbles(handle), event.bubbles);
        assert_eq!(ss_event_cancelable(handle), event.cancelable);
        assert_eq!(ss_event_is_default_prevented(handle), event.prevented);
        assert_eq!(ss_event_phase(handle), SS_PHASE_AT_TARGET);
        let numbers = [
            ss_event_bytes_loaded(handle),
            ss_event_bytes_pending(handle),
            ss_event_bytes_total(handle),
            ss_event_error_id(handle) as u64,
            ss_event_os_error(handle) as u64,
        ];
        assert_eq!(numbers, event.numbers);
        assert_eq!(ss_event_text(handle).is_null(), numbers[3] == 0);
        let detail = ss_event_detail(handle);
        assert_eq!(detail.is_null(), !(event.told && matches!(event.kind, CLOSE | IO_ERROR)));
        // SAFETY: not NULL then, and the event lives.
        assert!(detail.is_null() || !unsafe { CStr::from_ptr(detail) }.is_empty());
        assert_eq!(ss_object_kind(handle.cast()), SS_KIND_EVENT);
    });
}
