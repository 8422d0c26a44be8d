// SPDX-License-Identifier: MIT OR Apache-2.0
//! ss_loop_wake and ss_loop_stop in signal handlers, whatever they interrupt.
#![cfg(unix)]

use server_socket::*;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::thread;
use std::time::{Duration, Instant};
use support::*;

/// What the handler works on.
static LOOP: AtomicPtr<ss_loop> = AtomicPtr::new(null_mut());
static ENDED: AtomicPtr<ss_loop> = AtomicPtr::new(null_mut());
static STOP: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn handle(signal: i32, handler: extern "C" fn(i32)) {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    assert_eq!(unsafe { libc::sigaction(signal, &action, null_mut()) }, 0);
}

extern "C" fn set_a_flag_and_wake(_: i32) {
    STOP.store(true, SeqCst);
    if ss_loop_wake(LOOP.load(SeqCst)) != SS_OK {
        WRONG.fetch_add(1, SeqCst);
    }
    HANDLED.fetch_add(1, SeqCst);
}

extern "C" fn stop_the_run(_: i32) {
    if ss_loop_stop(LOOP.load(SeqCst)) != SS_OK {
        WRONG.fetch_add(1, SeqCst);
    }
    HANDLED.fetch_add(1, SeqCst);
}

/// As a host waits that looks at what its handler noted down.
fn wait_until_stopped(events: &Loop) {
    while !STOP.load(SeqCst) {
        ok(unsafe { ss_loop_poll(events.0, -1, null_mut()) });
    }
}

/// A signal some microseconds from now, on whichever thread the system chooses.
fn alarm_in(microseconds: usize) {
    let time = libc::timeval { tv_sec: 0, tv_usec: microseconds as libc::suseconds_t };
    let once = libc::itimerval { it_value: time, it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 } };
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &once, null_mut()) }, 0);
}

#[test]
fn a_signal_between_the_look_at_the_flag_and_the_wait_is_not_lost() {
    in_own_process!(|| {
        let events = Loop::new();
        let _server = Server::listening(&events);
        LOOP.store(events.0, SeqCst);
        handle(libc::SIGUSR1, set_a_flag_and_wake);
        for _ in 0..100 {
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            assert!(STOP.load(SeqCst));
            ok(unsafe { ss_loop_poll(events.0, -1, null_mut()) }); // the look was before the signal
            STOP.store(false, SeqCst);
        }
        handle(libc::SIGUSR1, stop_the_run);
        for _ in 0..100 {
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            ok(ss_loop_run(events.0));
        }
        assert_eq!(WRONG.load(SeqCst), 0);
    });
}

#[test]
fn signals_at_random_moments_end_every_wait_and_every_run() {
    in_own_process!(|| {
        let events = Loop::new();
        let _server = Server::listening(&events);
        LOOP.store(events.0, SeqCst);
        let mut random = Random(5);
        handle(libc::SIGALRM, set_a_flag_and_wake);
        for _ in 0..2000 {
            STOP.store(false, SeqCst);
            alarm_in(1 + random.below(100));
            wait_until_stopped(&events);
        }
        handle(libc::SIGALRM, stop_the_run);
        for _ in 0..2000 {
            alarm_in(1 + random.below(100));
            ok(ss_loop_run(events.0));
        }
        // The last handler may run on another thread, and still be at it.
        let handled = Instant::now();
        while HANDLED.load(SeqCst) < 4000 && handled.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert_eq!((HANDLED.load(SeqCst), WRONG.load(SeqCst)), (4000, 0));
    });
}

extern "C" fn try_everything(_: i32) {
    let outcomes = [
        ss_loop_wake(LOOP.load(SeqCst)) == SS_OK,
        ss_loop_stop(LOOP.load(SeqCst)) == SS_OK,
        ss_loop_wake(null_mut()) == SS_OK,
        ss_loop_wake(ENDED.load(SeqCst)) == SS_ERR_HANDLE,
        ss_loop_stop(std::ptr::without_provenance_mut(77)) == SS_ERR_HANDLE,
    ];
    WRONG.fetch_add(outcomes.iter().filter(|right| !**right).count(), SeqCst);
    HANDLED.fetch_add(1, SeqCst);
}

/// The thread that is interrupted allocates, takes the locks of the library, fails, and makes and ends loops all the while: a
/// handler that wanted any of these locks would wait for ever.
#[test]
fn a_storm_of_signals_amid_everything_that_takes_a_lock_hangs_nothing() {
    in_own_process!(|| {
        const SIGNALS: usize = 20_000;
        let events = Loop::new();
        LOOP.store(events.0, SeqCst);
        ENDED.store(Loop::new().0, SeqCst); // it ends here
        assert!(!ss_loop_default().is_null());
        handle(libc::SIGUSR1, try_everything);
        let victim = unsafe { libc::pthread_self() } as usize;
        let sender = thread::spawn(move || {
            for number in 0.. {
                if HANDLED.load(SeqCst) >= SIGNALS {
                    return;
                }
                // No more than one under way: they would be merged.
                unsafe { libc::pthread_kill(victim as libc::pthread_t, libc::SIGUSR1) };
                if number % 64 == 0 {
                    thread::sleep(Duration::from_micros(50));
                }
            }
        });
        while !sender.is_finished() {
            let other = Loop::new();
            let server = Server::new(&other);
            assert_eq!(ss_listen(server.0, 0), SS_ERR_IO, "a failure, which is noted down");
            assert_eq!(retain(ENDED.load(SeqCst)), SS_ERR_HANDLE);
            post(other.0, || {});
            post(events.0, || {});
            other.turn(0);
            either_way(ss_loop_run(events.0));
        }
        sender.join().expect("no panic");
        assert_eq!(WRONG.load(SeqCst), 0);
        // Everything works as before.
        let (ran, seen) = (shared::<usize>(), shared::<usize>());
        post(events.0, {
            let ran = ran.clone();
            move || increment(&ran)
        });
        events.pump_until(|| {
            increment(&seen);
            ran.get() == 1
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn errno_and_the_last_error_stay_as_they_are() {
    let events = Loop::new();
    let stale = Loop::new().0;
    fails(ss_listen(ss_new(events.0), 0), SS_ERR_IO, 2002);
    for (handle, status) in [(events.0, SS_OK), (stale, SS_ERR_HANDLE)] {
        for call in [ss_loop_wake, ss_loop_stop] as [extern "C" fn(_) -> _; 2] {
            unsafe { *libc::__errno_location() = 77 };
            assert_eq!(call(handle), status);
            assert_eq!(unsafe { *libc::__errno_location() }, 77);
            assert_eq!(last_error().status, SS_ERR_IO);
        }
    }
}

#[test]
fn null_means_the_threads_own_loop_and_makes_none() {
    thread::spawn(|| {
        assert_eq!(ss_loop_wake(null_mut()), SS_ERR_HANDLE);
        assert_eq!(ss_loop_stop(null_mut()), SS_ERR_HANDLE);
        assert_eq!(ss_object_count(SS_KIND_LOOP), 0);
        assert!(!ss_loop_default().is_null());
        let _server = Server::listening(&Loop(ss_loop_default()).borrowed());
        assert_eq!(ss_loop_wake(null_mut()), SS_OK);
        ok(unsafe { ss_loop_poll(null_mut(), -1, null_mut()) });
        assert_eq!(ss_loop_stop(null_mut()), SS_OK);
        ok(ss_loop_run(null_mut()));
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

trait Borrowed {
    fn borrowed(self) -> std::mem::ManuallyDrop<Loop>;
}

impl Borrowed for Loop {
    /// One that is not given back.
    fn borrowed(self) -> std::mem::ManuallyDrop<Loop> {
        std::mem::ManuallyDrop::new(self)
    }
}
