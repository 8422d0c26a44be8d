// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers: when they come, how often, and what ends them.

use server_socket::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::io::Write;
use std::ptr::null_mut;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};
use support::*;

type Closure = Box<dyn Fn()>;

extern "C-unwind" fn call(user_data: *mut c_void) {
    keep_panic(|| unsafe { &*user_data.cast::<Closure>() }());
}

extern "C-unwind" fn destroy(user_data: *mut c_void) {
    keep_panic(|| drop(unsafe { Box::from_raw(user_data.cast::<Closure>()) }));
}

/// A timer and the reference to it. Its closure is dropped by its destructor.
struct Timer(*mut ss_timer);

impl Timer {
    #[track_caller]
    fn new(events: &Loop, delay: u32, repeat: u32, task: impl Fn() + 'static) -> Timer {
        let closure: Box<Closure> = Box::new(Box::new(task));
        let data = Box::into_raw(closure).cast();
        let timer = unsafe { ss_timer_new(events.0, delay, repeat, Some(call), data, Some(destroy)) };
        assert!(!timer.is_null(), "{:?}", last_error());
        Timer(timer)
    }

    #[track_caller]
    fn set(&self, delay: u32, repeat: u32) {
        ok(ss_timer_set(self.0, delay, repeat));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        either_way(release(self.0));
    }
}

/// A place for a timer that its own task, or another one's, reaches.
#[derive(Clone, Default)]
struct Holder(Rc<RefCell<Option<Timer>>>);

impl Holder {
    fn hold(&self, timer: Timer) {
        assert!(self.0.replace(Some(timer)).is_none());
    }

    fn release(&self) {
        let timer = self.0.take();
        drop(timer);
    }

    #[track_caller]
    fn set(&self, delay: u32, repeat: u32) {
        self.0.borrow().as_ref().expect("it is held").set(delay, repeat);
    }
}

/// Says when it is dropped.
struct Guard(Log, &'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// Spends the time, as a task that computes does.
fn busy(milliseconds: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        std::hint::spin_loop();
    }
}

// ---- When -----------------------------------------------------------------------------------------------------------

/// Lower bounds, not measurements: a time may only be exceeded.
#[test]
fn a_timer_comes_once_and_never_early() {
    let events = Loop::new();
    let came = Rc::new(Cell::new(None));
    let start = Instant::now();
    let _timer = Timer::new(&events, 30, 0, {
        let came = came.clone();
        move || assert!(came.replace(Some(Instant::now())).is_none(), "only once")
    });
    while came.get().is_none() {
        assert!(start.elapsed() < DEADLINE);
        assert_eq!(events.turn(-1), 0, "a timer is no event");
    }
    assert!(came.get().expect("it came") - start >= Duration::from_millis(30));
    events.settle();
}

#[test]
fn a_timer_that_repeats_comes_again_and_again_and_never_early() {
    let events = Loop::new();
    let times: Rc<RefCell<Vec<Instant>>> = Rc::default();
    let start = Instant::now();
    let timer = Timer::new(&events, 5, 7, {
        let times = times.clone();
        move || times.borrow_mut().push(Instant::now())
    });
    events.rest_until(|| times.borrow().len() >= 6);
    drop(timer);
    let times = times.borrow();
    assert!(times[0] - start >= Duration::from_millis(5));
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(7));
    }
}

#[test]
fn timers_come_in_the_order_of_their_times_and_those_of_the_same_time_in_the_order_of_their_starts() {
    let events = Loop::new();
    let log = Log::default();
    let timer = |delay: u32, name: String| {
        let log = log.clone();
        Timer::new(&events, delay, 0, move || log.add(&name))
    };
    // Far enough apart for a slow machine to start them all before the first of them comes.
    let mut timers: Vec<Timer> =
        [(400, "c"), (200, "b"), (0, "a")].map(|(delay, name)| timer(delay, name.into())).into();
    timers.extend((0..100).map(|number| timer(600, number.to_string())));
    events.pump_until(|| log.len() == 103);
    let wanted: Vec<String> =
        ["a", "b", "c"].into_iter().map(String::from).chain((0..100).map(|number| number.to_string())).collect();
    assert_eq!(log.take(), wanted);
}

#[test]
fn a_delay_of_0_is_the_next_turn_and_never_the_one_that_is_under_way() {
    let events = Loop::new();
    let (runs, holder) = (shared::<usize>(), Holder::default());
    holder.hold(Timer::new(&events, 0, 0, {
        let (runs, holder) = (runs.clone(), holder.clone());
        move || {
            increment(&runs);
            holder.set(0, 0);
        }
    }));
    for turn in 1..=20 {
        events.turn(-1);
        assert_eq!(runs.get(), turn, "once in a turn");
    }
    // Neither does a task of another thread, which runs before timers do, start one that comes in its own turn.
    let (ran, handle) = (shared::<usize>(), events.0);
    holder.release();
    post(handle, {
        let (ran, holder) = (ran.clone(), holder.clone());
        move || holder.hold(Timer::new(&Loop(handle).forget(), 0, 0, move || increment(&ran)))
    });
    events.turn(-1);
    assert_eq!(ran.get(), 0);
    events.turn(-1);
    assert_eq!(ran.get(), 1);
    holder.release();
}

trait Forget {
    fn forget(self) -> std::mem::ManuallyDrop<Loop>;
}

impl Forget for Loop {
    /// The loop of a handle that is borrowed.
    fn forget(self) -> std::mem::ManuallyDrop<Loop> {
        std::mem::ManuallyDrop::new(self)
    }
}

#[test]
fn what_a_busy_loop_has_missed_is_not_made_up_for() {
    let events = Loop::new();
    let times: Rc<RefCell<Vec<Instant>>> = Rc::default();
    let _timer = Timer::new(&events, 4, 4, {
        let times = times.clone();
        move || times.borrow_mut().push(Instant::now())
    });
    busy(45); // ten periods
    events.pump_until(|| times.borrow().len() >= 4);
    for pair in times.borrow().windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(4));
    }
}

#[test]
fn setting_a_timer_starts_it_anew() {
    let events = Loop::new();
    let runs = shared::<usize>();
    let timer = Timer::new(&events, 10_000_000, 0, {
        let runs = runs.clone();
        move || increment(&runs)
    });
    timer.set(0, 0);
    events.turn(-1);
    assert_eq!(runs.get(), 1);
    timer.set(0, 1);
    events.pump_until(|| runs.get() >= 4);
    timer.set(10_000_000, 1);
    let before = runs.get();
    events.settle();
    assert_eq!(runs.get(), before, "what it was due for before does not come");
}

#[test]
fn a_stopped_timer_does_not_come_until_it_is_set_again() {
    let events = Loop::new();
    let runs = shared::<usize>();
    let timer = Timer::new(&events, 0, 1, {
        let runs = runs.clone();
        move || increment(&runs)
    });
    ok(ss_timer_stop(timer.0));
    ok(ss_timer_stop(timer.0));
    events.settle();
    assert_eq!(runs.get(), 0);
    ok(ss_loop_run(events.0)); // nothing is left to wait for
    timer.set(0, 1);
    events.pump_until(|| runs.get() == 2);
    ok(ss_timer_stop(timer.0));
}

#[test]
fn a_delay_of_seven_weeks_is_waited_for() {
    let events = Loop::new();
    let _timer = Timer::new(&events, u32::MAX, 0, || panic!("much too early"));
    assert_eq!(ss_loop_timeout(events.0), i32::MAX);
    assert_eq!(events.turn(0), 0);
    let start = Instant::now();
    events.turn(30);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn the_timeout_of_a_hosts_own_loop_is_that_of_the_next_timer() {
    let events = Loop::new();
    assert_eq!(ss_loop_timeout(events.0), -1);
    let timer = Timer::new(&events, 100_000, 0, || {});
    assert!((1..=100_000).contains(&ss_loop_timeout(events.0)));
    timer.set(0, 0);
    assert_eq!(ss_loop_timeout(events.0), 0);
    ok(ss_timer_stop(timer.0));
    assert_eq!(ss_loop_timeout(events.0), -1);
}

// ---- The loop -------------------------------------------------------------------------------------------------------

#[cfg(any(target_os = "linux", windows))]
#[test]
fn a_run_lasts_as_long_as_a_timer_runs_and_rests_meanwhile() {
    let events = Loop::new();
    let (runs, holder) = (shared::<usize>(), Holder::default());
    holder.hold(Timer::new(&events, 20, 20, {
        let (runs, holder) = (runs.clone(), holder.clone());
        move || {
            increment(&runs);
            if runs.get() == 5 {
                holder.release();
            }
        }
    }));
    events.run_to_its_end();
    assert_eq!(runs.get(), 5);
    // One that comes once ends a run without being released.
    let _once = Timer::new(&events, 20, 0, || {});
    events.run_to_its_end();
}

#[cfg(any(target_os = "linux", windows))]
#[test]
fn waiting_for_many_timers_takes_no_processor_time() {
    let events = Loop::new();
    let _timers: Vec<Timer> = (0..10_000).map(|number| Timer::new(&events, 1_000_000 + number, 0, || {})).collect();
    assert_loop_rests(&events, 200);
}

/// By counts: how many tasks had run when a message was answered that had come by then.
#[test]
fn a_turn_is_bounded_however_many_timers_are_due_and_connections_are_served_between_them() {
    let pair = Pair::new();
    let runs = shared::<usize>();
    let timers: Vec<Timer> = (0..200)
        .map(|_| {
            let runs = runs.clone();
            Timer::new(&pair.events, 0, 0, move || {
                increment(&runs);
                busy(1);
            })
        })
        .collect();
    let before = Rc::new(Cell::new(usize::MAX));
    on(*pair.socket, SOCKET_DATA, {
        let (before, runs) = (before.clone(), runs.clone());
        move |_| before.set(runs.get())
    });
    pair.send(b"x");
    pair.events.pump_until(|| runs.get() == timers.len());
    assert!(before.get() <= 20, "it waited for {} timers of 1 ms", before.get());
}

#[test]
fn neither_posted_tasks_nor_timers_keep_the_others_from_running() {
    fn again(handle: *mut ss_loop, runs: Rc<Cell<usize>>) {
        increment(&runs);
        busy(2);
        if runs.get() < 50 {
            post(handle, move || again(handle, runs));
        }
    }
    let events = Loop::new();
    let (tasks, ticks) = (shared::<usize>(), shared::<usize>());
    let timer = Timer::new(&events, 0, 1, {
        let ticks = ticks.clone();
        move || {
            increment(&ticks);
            busy(2);
        }
    });
    again(events.0, tasks.clone());
    events.pump_until(|| tasks.get() == 50);
    drop(timer);
    assert!(ticks.get() >= 20, "{} ticks beside 50 tasks", ticks.get());
}

#[test]
fn timers_run_only_in_turns_of_their_loop() {
    let (events, other) = (Loop::new(), Loop::new());
    let server = Server::new(&other);
    let runs = shared::<usize>();
    let _timer = Timer::new(&events, 0, 0, {
        let runs = runs.clone();
        move || increment(&runs)
    });
    dispatch(&server, c"mine");
    other.turn(0);
    assert_eq!(runs.get(), 0);
    events.turn(0);
    assert_eq!(runs.get(), 1);
}

#[test]
fn a_task_may_poll_another_loop_but_not_its_own() {
    let (events, other) = (Loop::new(), Rc::new(Loop::new()));
    let log = Log::default();
    let _inner = Timer::new(&other, 0, 0, {
        let log = log.clone();
        move || log.add("inner")
    });
    let handle = events.0;
    let _outer = Timer::new(&events, 0, 0, {
        let (log, other) = (log.clone(), other.clone());
        move || {
            assert_eq!(unsafe { ss_loop_poll(handle, 0, null_mut()) }, SS_ERR_REENTRANT);
            other.turn(0);
            log.add("outer");
        }
    });
    events.turn(0);
    assert_eq!(log.take(), ["inner", "outer"]);
}

#[test]
fn what_a_task_writes_leaves_at_its_end() {
    let pair = Pair::new();
    let socket = *pair.socket;
    let _timer = Timer::new(&pair.events, 0, 0, move || {
        ok(socket.write(b"tick "));
        ok(socket.write(b"tock"));
        assert_eq!(socket.pending(), 9);
    });
    pair.events.turn(-1);
    assert_eq!(socket.pending(), 0);
    assert_eq!(pair.events.receive(&pair.peer, 9), b"tick tock");
}

// ---- Ends -----------------------------------------------------------------------------------------------------------

#[test]
fn a_released_timer_never_comes_even_if_it_is_due_in_the_same_turn() {
    let events = Loop::new();
    let log = Log::default();
    let victim = Holder::default();
    let killer = Timer::new(&events, 0, 0, {
        let (log, victim) = (log.clone(), victim.clone());
        move || {
            victim.release();
            log.add("killer");
        }
    });
    let guard = Guard(log.clone(), "destroyed");
    victim.hold(Timer::new(&events, 0, 0, move || guard.0.add("victim")));
    events.turn(0);
    assert_eq!(log.take(), ["killer", "destroyed"], "its destructor runs after the task that is running");
    events.settle();
    drop(killer);
    assert_eq!(log.len(), 0);
}

#[test]
fn a_timer_released_in_its_own_task_ends_after_it_and_is_stale_at_once() {
    let events = Loop::new();
    let (log, holder) = (Log::default(), Holder::default());
    let guard = Guard(log.clone(), "destroyed");
    holder.hold(Timer::new(&events, 0, 1, {
        let holder = holder.clone();
        move || {
            let log = &guard.0;
            let handle = holder.0.borrow().as_ref().expect("it is held").0;
            holder.release();
            assert_eq!(ss_timer_set(handle, 0, 0), SS_ERR_HANDLE);
            assert_eq!(ss_timer_stop(handle), SS_ERR_HANDLE);
            assert_eq!(ss_object_kind(handle.cast()), 0);
            // A dispatch inside it does not end it either.
            let server = Server::new(&Loop(ss_loop_default()).forget());
            dispatch(&server, c"mine");
            log.add("task");
        }
    }));
    events.pump_until(|| log.len() == 2);
    assert_eq!(log.take(), ["task", "destroyed"]);
    events.settle();
    assert_eq!(log.len(), 0);
}

#[test]
fn a_timer_lives_as_long_as_somebody_holds_it() {
    let events = Loop::new();
    let log = Log::default();
    let guard = Guard(log.clone(), "destroyed");
    let timer = Timer::new(&events, 0, 1, move || guard.0.add("tick"));
    ok(retain(timer.0));
    ok(release(timer.0));
    events.pump_until(|| log.count("tick") == 2);
    ok(release(timer.0));
    assert_eq!(log.count("destroyed"), 1, "outside of any listener that is done at once");
    assert_eq!(release(timer.0), SS_ERR_HANDLE);
    assert_eq!(log.count("destroyed"), 1);
}

#[test]
fn a_timer_has_a_word_of_the_hosts_beside_that_of_its_task() {
    extern "C-unwind" fn count(user_data: *mut c_void) {
        increment(unsafe { &*user_data.cast::<Cell<usize>>() });
    }
    let events = Loop::new();
    let ended = Cell::new(0_usize);
    let word = (&raw const ended).cast_mut().cast();
    let timer = Timer::new(&events, 1_000_000, 0, || {});
    assert_eq!(ss_object_kind(timer.0.cast()), SS_KIND_TIMER);
    assert!(ss_user_data(timer.0.cast()).is_null());
    ok(unsafe { ss_set_user_data(timer.0.cast(), word, Some(count)) });
    assert_eq!(ss_user_data(timer.0.cast()), word);
    drop(timer);
    assert_eq!(ended.get(), 1);
}

#[test]
fn a_loop_that_ends_ends_its_timers() {
    let events = Loop::new();
    let log = Log::default();
    let guard = Guard(log.clone(), "destroyed");
    let timer = Timer::new(&events, 0, 0, move || guard.0.add("tick"));
    drop(events);
    assert_eq!(log.take(), ["destroyed"]);
    assert_eq!(ss_timer_set(timer.0, 0, 0), SS_ERR_HANDLE);
    assert_eq!(release(timer.0), SS_ERR_HANDLE);
}

#[test]
fn a_loop_released_in_a_task_calls_no_more_timers() {
    let events = Loop::new();
    let log = Log::default();
    let handle = events.0;
    let first = Timer::new(&events, 0, 0, {
        let log = log.clone();
        move || {
            ok(release(handle));
            log.add("first");
        }
    });
    let guard = Guard(log.clone(), "destroyed");
    let second = Timer::new(&events, 0, 0, move || guard.0.add("second"));
    std::mem::forget(events);
    ok(unsafe { ss_loop_poll(handle, 0, null_mut()) });
    rethrow();
    assert_eq!(log.take(), ["first", "destroyed"]);
    assert_eq!(ss_timer_stop(second.0), SS_ERR_HANDLE);
    drop(first);
}

#[test]
fn a_thread_that_ends_destroys_its_timers() {
    let destroyed = std::sync::Arc::new(());
    let held = destroyed.clone();
    let thread = thread::spawn(move || {
        let handle = ss_loop_default();
        let timer = Timer::new(&Loop(handle).forget(), 0, 0, move || drop(held.clone()));
        std::mem::forget(timer);
    });
    thread.join().expect("no panic");
    assert_eq!(std::sync::Arc::strong_count(&destroyed), 1);
}

#[test]
fn a_timer_belongs_to_the_thread_of_its_loop() {
    let events = Loop::new();
    let timer = Timer::new(&events, 1_000_000, 0, || {});
    let (handle, events_handle) = (AnyThread::new(timer.0), AnyThread::new(events.0));
    let other = thread::spawn(move || {
        assert_eq!(ss_timer_set(handle.get(), 0, 0), SS_ERR_THREAD);
        assert_eq!(ss_timer_stop(handle.get()), SS_ERR_THREAD);
        assert_eq!(ss_release(handle.get().cast()), SS_ERR_THREAD);
        assert!(unsafe { ss_timer_new(events_handle.get(), 0, 0, Some(call), null_mut(), None) }.is_null());
        assert_eq!(last_error().status, SS_ERR_THREAD);
    });
    other.join().expect("no panic");
    assert!((1..=1_000_000).contains(&ss_loop_timeout(events.0)), "it runs on");
}

#[cfg(unix)]
#[test]
fn a_forked_child_has_no_part_in_its_parents_timers() {
    in_own_process!(|| {
        let events = Loop::new();
        let timer = Timer::new(&events, 1_000_000, 0, || panic!("it is the parent's"));
        match unsafe { libc::fork() } {
            0 => {
                let refused =
                    ss_timer_set(timer.0, 0, 0) == SS_ERR_FORKED && ss_release(timer.0.cast()) == SS_ERR_FORKED;
                let own = unsafe {
                    ss_timer_new(
                        null_mut(),
                        0,
                        0,
                        Some(call),
                        Box::into_raw(Box::<Closure>::new(Box::new(|| {}))).cast(),
                        Some(destroy),
                    )
                };
                let works = !own.is_null() && ss_loop_run(null_mut()) == SS_OK && ss_release(own.cast()) == SS_OK;
                unsafe { libc::_exit(if refused && works { 0 } else { 1 }) };
            }
            child => {
                let mut status = -1;
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
    });
}

#[test]
fn a_task_must_not_be_null_and_a_refused_timer_is_not_destroyed() {
    extern "C-unwind" fn never(_: *mut c_void) {
        unreachable!("there was no timer");
    }
    let events = Loop::new();
    assert!(unsafe { ss_timer_new(events.0, 0, 0, None, null_mut(), Some(never)) }.is_null());
    assert_eq!((last_error().status, last_error().id), (SS_ERR_TYPE, 2007));
    let stale = Loop::new().0;
    assert!(unsafe { ss_timer_new(stale, 0, 0, Some(never), null_mut(), Some(never)) }.is_null());
    assert_eq!(last_error().status, SS_ERR_HANDLE);
    ok(ss_loop_run(events.0));
}

// ---- Many -----------------------------------------------------------------------------------------------------------

#[test]
fn a_hundred_thousand_timers_each_come_once_and_the_cancelled_ones_never() {
    const COUNT: u32 = 100_000;
    let events = Loop::new();
    let (came, wrong) = (shared::<usize>(), shared::<usize>());
    let mut random = Random(7);
    let mut timers: Vec<Option<Timer>> = (0..COUNT)
        .map(|number| {
            let (came, wrong, kept) = (came.clone(), wrong.clone(), number % 3 > 0);
            Some(Timer::new(&events, random.below(50) as u32, 0, move || increment(if kept { &came } else { &wrong })))
        })
        .collect();
    for (number, timer) in timers.iter_mut().enumerate() {
        match (number % 3, &timer) {
            (0, _) => *timer = None,
            (1, Some(timer)) => timer.set(random.below(50) as u32, 0),
            _ => {}
        }
    }
    let left = timers.iter().flatten().count();
    events.pump_until(|| came.get() == left);
    ok(ss_loop_run(events.0)); // none runs any more
    assert_eq!((came.get(), wrong.get()), (left, 0));
}

#[cfg(any(target_os = "linux", windows))]
#[test]
fn starting_and_cancelling_without_end_takes_no_more_memory() {
    in_own_process!(|| {
        let events = Loop::new();
        let storm = |rounds: usize| {
            let timer = Timer::new(&events, 1_000_000, 0, || {});
            for round in 0..rounds {
                timer.set(1_000_000 + round as u32, 0);
                drop(Timer::new(&events, 1_000_000, 0, || {}));
            }
        };
        storm(10_000);
        let before = resident_memory();
        storm(500_000);
        let grown = resident_memory().saturating_sub(before);
        assert!(grown < 1 << 20, "{grown} bytes");
    });
}

// ---- Traffic --------------------------------------------------------------------------------------------------------

#[test]
fn a_conversation_goes_on_among_timers_that_start_stop_and_end() {
    let pair = Pair::new();
    let socket = *pair.socket;
    on(socket, SOCKET_DATA, move |_| socket.echo());
    let ticks = shared::<usize>();
    let timers: Vec<Timer> = (1..=20)
        .map(|period| {
            let ticks = ticks.clone();
            Timer::new(&pair.events, 0, period, move || increment(&ticks))
        })
        .collect();
    let mut random = Random(3);
    for round in 0..200 {
        let message = pattern(1 + round * 37 % 3000);
        (&pair.peer).write_all(&message).expect("the peer writes");
        assert_same_bytes(&pair.events.receive(&pair.peer, message.len()), &message);
        let timer = &timers[random.below(timers.len())];
        match random.below(2) {
            0 => ok(ss_timer_stop(timer.0)),
            _ => timer.set(random.below(3) as u32, 1 + random.below(5) as u32),
        }
    }
    assert!(ticks.get() > 20);
}
