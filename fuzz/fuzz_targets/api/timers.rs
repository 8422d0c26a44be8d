// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers.

use super::*;

extern "C-unwind" fn timer_task(number: *mut c_void) {
    let number = number.addr();
    with(|trial| trial.call_timer(number));
    some_steps();
    with(|trial| match trial.model.frames.last_mut() {
        Some(Frame::Poll { timer, .. }) => assert_eq!(timer.take(), Some(number), "frames out of order"),
        _ => panic!("frames out of order"),
    });
}

extern "C-unwind" fn timer_destroyed(number: *mut c_void) {
    let number = number.addr();
    with(|trial| {
        let model = &mut trial.model;
        model.finish_dispatch();
        assert_eq!(model.depth(), 0, "a timer's destructor runs while a listener or a task does");
        if !model.ended_timers.contains(&number) {
            model.finish_turn();
        }
        let place = model.ended_timers.iter().position(|other| *other == number);
        model.ended_timers.remove(place.expect("a timer's destructor runs that is not due"));
    });
}

impl Trial {
    /// A timer is called: it must be due, and no other one be due before.
    fn call_timer(&mut self, number: usize) {
        self.model.finish_dispatch();
        self.look_at_connections();
        let model = &mut self.model;
        let Some(Frame::Poll { home, timer, .. }) = model.frames.last_mut() else {
            panic!("a timer's task runs outside of a turn")
        };
        assert_eq!(timer.replace(number), None, "a task inside another one's");
        let home = *home;
        assert!(model.brings_events(home), "a timer of a loop that was released");
        let turn = model.loops[home].turn;
        let called = &model.timers[number];
        assert!(called.life.alive && called.home == home, "a timer is called that has ended");
        let latest = called.due.expect("a timer is called that does not run").1;
        for (index, other) in model.timers.iter().enumerate().filter(|(index, _)| *index != number) {
            let waits = other.life.alive && other.home == home && other.started_in < turn;
            let is_earlier = waits && other.due.is_some_and(|due| due.1 < model.timers[number].due.expect("it runs").0);
            assert!(!is_earlier, "timer {number} is called before {index}, which is due before {latest:?}");
        }
        model.timers[number].call(turn);
    }
}

const DELAYS: [u32; 8] = [0, 0, 0, 1, 1, 2, 1_000_000, u32::MAX];
const PERIODS: [u32; 8] = [0, 0, 0, 0, 1, 1, 2, u32::MAX];

pub fn new_timer() {
    let choice = byte();
    let (delay, repeat) = (DELAYS[choice & 7], PERIODS[choice >> 3 & 7]);
    let number = with(|trial| trial.model.timers.len());
    // SAFETY: functions for such numbers.
    let call = |handle: *mut ss_loop| unsafe {
        let number = std::ptr::without_provenance_mut(number);
        ss_timer_new(handle, delay, repeat, Some(timer_task), number, Some(timer_destroyed))
    };
    let Id::Loop(home) = good!(Wanted::Loop, |handle| nothing(call(handle).is_null())) else { unreachable!() };
    if with(|trial| trial.model.living(Wanted::Timer).len() > 20) {
        return;
    }
    let before = Instant::now();
    let handle = call(pointer(Id::Loop(home)));
    assert!(!handle.is_null());
    with(|trial| {
        let model = &mut trial.model;
        assert_eq!(model.find(handle.addr()), None);
        let life = Life::new(handle.addr(), 1);
        let mut timer = Timer { life, home, due: None, repeat, started_in: 0, calls: 0 };
        timer.start(delay, (before, Instant::now()), model.loops[home].turn);
        model.timers.push(timer);
    });
    // SAFETY: NULL is refused.
    let refused = unsafe { ss_timer_new(pointer(Id::Loop(home)), 0, 0, None, null_mut(), Some(timer_destroyed)) };
    assert!(refused.is_null() && ss_last_status() == SS_ERR_TYPE);
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_TIMER);
}

pub fn set_timer() {
    let choice = byte();
    let (delay, repeat) = (DELAYS[choice & 7], PERIODS[choice >> 3 & 7]);
    let Id::Timer(index) = good!(Wanted::Timer, |handle| ss_timer_set(handle, delay, repeat)) else { unreachable!() };
    let before = Instant::now();
    assert_eq!(ss_timer_set(pointer(Id::Timer(index)), delay, repeat), SS_OK);
    with(|trial| {
        let turn = trial.model.loops[trial.model.timers[index].home].turn;
        let timer = &mut trial.model.timers[index];
        timer.repeat = repeat;
        timer.start(delay, (before, Instant::now()), turn);
    });
}

pub fn stop_timer() {
    let Id::Timer(index) = good!(Wanted::Timer, |handle| ss_timer_stop(handle)) else { unreachable!() };
    assert_eq!(ss_timer_stop(pointer(Id::Timer(index))), SS_OK);
    with(|trial| trial.model.timers[index].due = None);
}

impl Model {
    /// A timer that is due soon, and has not been called yet.
    pub fn missing_timer(&self) -> Option<String> {
        let soon = Instant::now() + Duration::from_secs(1);
        let waits = |timer: &&Timer| timer.life.alive && timer.due.is_some_and(|due| due.1 < soon);
        let missing = self.timers.iter().filter(waits).find(|timer| timer.repeat == 0 || timer.calls == 0);
        missing.map(|timer| format!("a timer of loop {} is due since {:?}", timer.home, timer.due))
    }
}
