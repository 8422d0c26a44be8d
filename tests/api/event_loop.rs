// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event loops: turns, waiting, waking, stopping, tasks from other threads, hosts with a loop of their own, and the
//! ends of loops and threads.

use crate::{listening, serving};
use server_socket::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::*;

/// A server whose accepted sockets echo.
fn echo_server(events: &Loop) -> (Server, Accepted) {
    let server = Server::listening(events);
    let accepted = server.keep_accepted();
    on(&server, CONNECT, |event| {
        let socket = event.socket();
        on(socket, SOCKET_DATA, move |_| socket.echo());
    });
    (server, accepted)
}

/// Sends `rounds` messages to an echo server and checks each answer.
fn talk(mut peer: TcpStream, rounds: usize) {
    for round in 0..rounds {
        let message = pattern(1 + round * 37 % 5000);
        peer.write_all(&message).expect("the peer writes");
        let mut answer = vec![0; message.len()];
        peer.read_exact(&mut answer).expect("the peer reads");
        assert_same_bytes(&answer, &message);
    }
}

// ---- poll -----------------------------------------------------------------------------------------------------------

#[test]
fn a_turn_with_nothing_ready_dispatches_nothing() {
    let events = Loop::new();
    assert_eq!(events.turn(0), 0);
    let _server = Server::listening(&events);
    assert_eq!(events.turn(0), 0);
    ok(unsafe { ss_loop_poll(events.0, 0, null_mut()) });
}

#[test]
fn a_turn_says_how_many_events_it_dispatched() {
    let (events, server) = listening();
    // Two listeners, but one event for each of three peers.
    let accepted = server.keep_accepted();
    on(&server, CONNECT, |_| {});
    let _peers = [server.client(), server.client(), server.client()];
    let mut dispatched = 0;
    while accepted.len() < 3 {
        dispatched += events.turn(2);
    }
    assert_eq!(dispatched, 3);
}

/// A lower bound, not a measurement: time limits may only be exceeded.
#[test]
fn a_wait_with_a_limit_lasts_until_the_limit() {
    let events = Loop::new();
    let _server = Server::listening(&events);
    let start = Instant::now();
    assert_eq!(events.turn(60), 0);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_wait_without_end_returns_with_the_first_event() {
    let _watchdog = Watchdog::new();
    let (events, server, accepted) = serving();
    let port = server.port();
    let peer = thread::spawn(move || client(&format!("127.0.0.1:{port}")));
    while accepted.len() == 0 {
        events.turn(-1);
    }
    events.join(peer);
}

#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere nobody asks how much time was spent
fn waiting_takes_no_processor_time() {
    let events = Loop::new();
    let (server, accepted) = echo_server(&events);
    let _peers: Vec<TcpStream> = (0..50).map(|_| server.client()).collect();
    events.pump_until(|| accepted.len() == 50);
    events.settle();
    let start = Instant::now();
    assert_loop_rests(&events, 400);
    assert!(start.elapsed() >= Duration::from_millis(400), "it did not wait");
}

#[test]
#[cfg(target_os = "linux")] // Windows has no signals
fn a_signal_ends_a_wait_early_and_is_no_error() {
    in_own_process!(|| {
        // A handler that does nothing, and no SA_RESTART.
        extern "C-unwind" fn handler(_: libc::c_int) {}
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        }
        let events = Loop::new();
        let _server = Server::listening(&events);
        let returned = Arc::new(AtomicBool::new(false));
        let waiting = AnyThread::new(unsafe { libc::pthread_self() });
        let signals = thread::spawn({
            let returned = returned.clone();
            move || {
                // Again and again, since the first may come before the wait begins.
                while !returned.load(Ordering::SeqCst) {
                    unsafe { libc::pthread_kill(waiting.get(), libc::SIGUSR1) };
                    thread::yield_now();
                }
            }
        });
        let mut dispatched = u32::MAX;
        ok(unsafe { ss_loop_poll(events.0, -1, &mut dispatched) });
        assert_eq!(dispatched, 0);
        returned.store(true, Ordering::SeqCst);
        signals.join().expect("the signals end");
    });
}

/// Every system call that a signal interrupts is tried again.
#[test]
#[cfg(target_os = "linux")] // Windows has no signals
fn a_storm_of_signals_disturbs_no_conversation() {
    in_own_process!(|| {
        extern "C-unwind" fn handler(_: libc::c_int) {}
        let events = Loop::new();
        let (server, _accepted) = echo_server(&events);
        let port = server.port();
        // Signals go to the thread of the loop only: the peer's calls are std's business.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&mut set, libc::SIGALRM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, null_mut());
            let peer = thread::spawn(move || talk(client(&format!("127.0.0.1:{port}")), 500));
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, null_mut());
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGALRM, &action, null_mut()), 0);
            let every = libc::timeval { tv_sec: 0, tv_usec: 500 };
            let timer = libc::itimerval { it_interval: every, it_value: every };
            assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, null_mut()), 0);
            events.join(peer);
        }
    });
}

// ---- wake and stop --------------------------------------------------------------------------------------------------

#[test]
fn a_wake_from_another_thread_ends_a_wait_without_end() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let _server = Server::listening(&events);
    let handle = AnyThread::new(events.0);
    for _ in 0..100 {
        let waker = thread::spawn(move || ss_loop_wake(handle.get()));
        assert_eq!(events.turn(-1), 0);
        ok(waker.join().expect("it wakes"));
    }
}

#[test]
fn a_wake_before_the_wait_is_not_lost_and_many_may_be_one() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    for _ in 0..1000 {
        ok(ss_loop_wake(events.0));
    }
    events.turn(-1);
    let start = Instant::now();
    for _ in 0..1000 {
        events.turn(60);
        if start.elapsed() >= Duration::from_millis(60) {
            return;
        }
    }
    panic!("it goes on waking");
}

#[test]
fn a_stop_from_another_thread_ends_a_run() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let _server = Server::listening(&events);
    let handle = AnyThread::new(events.0);
    let stopper = thread::spawn(move || ss_loop_stop(handle.get()));
    ok(ss_loop_run(events.0));
    ok(stopper.join().expect("it stops"));
}

#[test]
fn a_stop_in_a_listener_ends_the_run_after_its_turn() {
    let _watchdog = Watchdog::new();
    let (events, server) = listening();
    let log = Log::default();
    on(&server, CONNECT, {
        let (log, handle) = (log.clone(), events.0);
        move |_| {
            log.add("stop");
            ok(ss_loop_stop(handle));
        }
    });
    let _peer = server.client();
    ok(ss_loop_run(events.0));
    rethrow();
    assert_eq!(log.take(), ["stop"]);
}

#[test]
fn a_stop_without_a_run_is_kept_for_the_next_one_and_used_up_by_it() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let _server = Server::listening(&events);
    ok(ss_loop_stop(events.0));
    ok(ss_loop_stop(events.0));
    ok(ss_loop_run(events.0));

    let log = Log::default();
    post(events.0, {
        let (log, handle) = (log.clone(), events.0);
        move || {
            log.add("the second run runs");
            ok(ss_loop_stop(handle));
        }
    });
    ok(ss_loop_run(events.0));
    rethrow();
    assert_eq!(log.len(), 1);
}

// ---- run ------------------------------------------------------------------------------------------------------------

#[test]
fn a_run_of_an_empty_loop_returns_at_once() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let _unbound = Server::new(&events);
    ok(ss_loop_run(events.0));
    ok(ss_loop_run(events.0));
}

#[test]
fn a_run_lasts_until_the_last_server_and_connection_are_gone() {
    let _watchdog = Watchdog::new();
    let (events, server) = listening();
    let log = Log::default();
    let kept = server.keep_accepted();
    on(&server, CONNECT, {
        let (log, server) = (log.clone(), server.0);
        move |event| {
            log.add("connect");
            log.record_socket(event.socket());
            ok(ss_close(server));
        }
    });
    let port = server.port();
    let peer = thread::spawn(move || {
        let mut peer = client(&format!("127.0.0.1:{port}"));
        peer.write_all(b"x").expect("the peer writes");
    });
    ok(ss_loop_run(events.0));
    rethrow();
    peer.join().expect("the peer ends");
    assert_eq!(log.take(), ["connect", "socketData", "close"]);
    assert_eq!(kept.len(), 1);
}

#[test]
fn a_run_lasts_until_a_closed_socket_has_sent_everything() {
    let _watchdog = Watchdog::new();
    let message = pattern(20_000_000);
    let Pair { socket, mut peer, server, events, .. } = Pair::new();
    ok(socket.write(&message));
    ok(socket.close());
    ok(server.close());
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).expect("the peer reads");
        received
    });
    ok(ss_loop_run(events.0));
    assert_same_bytes(&reader.join().expect("the peer ends"), &message);
}

#[test]
fn a_run_runs_posted_tasks_before_it_ends() {
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let log = Log::default();
    post(events.0, {
        let (log, handle) = (log.clone(), events.0);
        move || {
            log.add("first");
            post(handle, move || log.add("second"));
        }
    });
    ok(ss_loop_run(events.0));
    rethrow();
    assert_eq!(log.take(), ["first", "second"]);
}

// ---- Coming in again ------------------------------------------------------------------------------------------------

#[test]
fn a_loop_cannot_be_polled_or_run_inside_its_own_turn() {
    let events = Loop::new();
    let (server, accepted) = echo_server(&events);
    let refused = shared::<usize>();
    let poll_again = {
        let (handle, refused) = (events.0, refused.clone());
        move || {
            let mut dispatched = 77;
            let status = unsafe { ss_loop_poll(handle, 0, &mut dispatched) };
            assert_eq!((status, dispatched), (SS_ERR_REENTRANT, 77));
            assert_eq!(ss_loop_run(handle), SS_ERR_REENTRANT);
            increment(&refused);
        }
    };
    on(&server, CONNECT, {
        let poll_again = poll_again.clone();
        move |event| {
            poll_again();
            on(event.socket(), SOCKET_DATA, {
                let poll_again = poll_again.clone();
                move |_| poll_again()
            });
        }
    });
    post(events.0, poll_again);
    let port = server.port();
    let peer = thread::spawn(move || talk(client(&format!("127.0.0.1:{port}")), 50));
    events.join(peer);
    assert_eq!(accepted.len(), 1);
    assert!(refused.get() >= 52, "task, connect and each message: {}", refused.get());
}

#[test]
fn a_loop_cannot_be_polled_inside_a_dispatch_of_the_programs_own() {
    let events = Loop::new();
    let (server, accepted) = echo_server(&events);
    let _peer = server.client();
    on(&server, c"mine", {
        let handle = events.0;
        move |_| {
            assert_eq!(unsafe { ss_loop_poll(handle, 0, null_mut()) }, SS_ERR_REENTRANT);
            assert_eq!(ss_loop_run(handle), SS_ERR_REENTRANT);
        }
    });
    dispatch(&server, c"mine");
    assert_eq!(accepted.len(), 0);
    events.pump_until(|| accepted.len() == 1);
}

#[test]
fn another_loop_can_be_polled_inside_a_listener() {
    let outer = Pair::new();
    let inner = Loop::new();
    let (server, _accepted) = echo_server(&inner);
    let port = server.port();
    let conversation = Rc::new(Cell::new(Some(thread::spawn(move || talk(client(&format!("127.0.0.1:{port}")), 50)))));
    let inner = Rc::new(inner);
    on(*outer.socket, SOCKET_DATA, {
        let (socket, inner) = (*outer.socket, inner.clone());
        move |_| {
            inner.join(conversation.take().expect("one event"));
            // What was lent to this listener is still there, though other bytes came in meanwhile.
            assert_eq!(socket.read_all(), b"outer");
        }
    });
    outer.send(b"outer");
    outer.events.pump_until(|| outer.log.contains("socketData"));
    outer.events.settle();
    assert_eq!(outer.socket.available(), 0);
}

#[test]
fn two_loops_on_one_thread_serve_their_own_only() {
    let loops = [Loop::new(), Loop::new()];
    let servers = [Server::listening(&loops[0]), Server::listening(&loops[1])];
    let accepted = [servers[0].keep_accepted(), servers[1].keep_accepted()];
    let _peers = [servers[0].client(), servers[1].client()];
    loops[0].pump_until(|| accepted[0].len() == 1);
    loops[0].settle();
    assert_eq!(accepted[1].len(), 0);
    loops[1].pump_until(|| accepted[1].len() == 1);
}

// ---- The thread's own loop ------------------------------------------------------------------------------------------

#[test]
fn every_thread_has_a_loop_of_its_own_which_null_stands_for() {
    let mine = ss_loop_default();
    assert!(!mine.is_null());
    assert_eq!(ss_loop_default(), mine);
    let theirs = thread::spawn(|| AnyThread::new(ss_loop_default())).join().expect("it has one");
    assert_ne!(theirs.get(), mine);

    let server = Server(ss_new(null_mut()));
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(0));
    let accepted = server.keep_accepted();
    let _peer = server.client();
    let deadline = Instant::now() + DEADLINE;
    while accepted.len() == 0 && Instant::now() < deadline {
        ok(unsafe { ss_loop_poll(null_mut(), 2, null_mut()) });
        rethrow();
    }
    assert_eq!(accepted.len(), 1);
    ok(ss_loop_wake(null_mut()));
    ok(ss_loop_stop(null_mut()));
    ok(ss_loop_run(null_mut()));
    assert_eq!(ss_loop_timeout(null_mut()), -1);
}

#[test]
fn the_threads_own_loop_is_borrowed() {
    let mine = ss_loop_default();
    assert_eq!(release(mine), SS_ERR_HANDLE);
    ok(retain(mine));
    ok(release(mine));
    assert_eq!(release(mine), SS_ERR_HANDLE);
    ok(unsafe { ss_loop_poll(mine, 0, null_mut()) });
    assert_eq!(ss_loop_default(), mine);
}

// ---- Tasks ----------------------------------------------------------------------------------------------------------

#[test]
fn posted_tasks_run_once_in_order_on_the_threads_of_the_loop() {
    let events = Loop::new();
    let log = Log::default();
    let here = thread::current().id();
    let shared = AnyThread::new((events.0, &raw const log));
    let poster = thread::spawn(move || {
        let (handle, log) = shared.get();
        for number in 0..100 {
            let task = move || {
                assert_eq!(thread::current().id(), here);
                unsafe { &*log }.add(number);
            };
            assert_eq!(try_post(handle, task), SS_OK);
        }
    });
    events.join(poster);
    events.pump_until(|| log.len() == 100);
    events.settle();
    assert_eq!(log.take(), (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn tasks_run_in_a_turn_and_not_inside_the_post() {
    let events = Loop::new();
    let log = Log::default();
    post(events.0, {
        let log = log.clone();
        move || log.add("task")
    });
    assert_eq!(log.len(), 0);
    assert_eq!(events.turn(0), 0, "a task is no event");
    assert_eq!(log.take(), ["task"]);
    events.turn(0);
    assert_eq!(log.len(), 0);
}

#[test]
fn a_task_that_posts_itself_again_does_not_keep_a_turn_from_ending() {
    fn again(handle: *mut ss_loop, runs: Rc<Cell<usize>>) {
        increment(&runs);
        post(handle, move || again(handle, runs));
    }
    let _watchdog = Watchdog::new();
    let events = Loop::new();
    let runs = shared::<usize>();
    again(events.0, runs.clone());
    for _ in 0..10 {
        let before = runs.get();
        events.turn(-1);
        assert!(runs.get() > before, "its wake was lost");
    }
}

#[test]
fn a_loop_that_ends_cancels_the_tasks_that_are_left() {
    extern "C-unwind" fn run(_: *mut c_void) {
        panic!("its loop is over");
    }
    extern "C-unwind" fn cancelled(user_data: *mut c_void) {
        increment(unsafe { &*user_data.cast::<Cell<usize>>() });
    }
    let count = Cell::new(0_usize);
    let user_data = (&raw const count).cast_mut().cast();
    let events = Loop::new();
    for _ in 0..3 {
        ok(unsafe { ss_loop_post(events.0, Some(run), user_data, Some(cancelled)) });
    }
    ok(unsafe { ss_loop_post(events.0, Some(run), user_data, None) });
    let handle = events.0;
    drop(events);
    assert_eq!(count.get(), 3);
    let status = unsafe { ss_loop_post(handle, Some(run), user_data, Some(cancelled)) };
    assert_eq!(status, SS_ERR_HANDLE);
    assert_eq!(count.get(), 3, "a post that failed runs neither");
}

#[test]
fn a_task_must_not_be_null() {
    let events = Loop::new();
    let status = unsafe { ss_loop_post(events.0, None, null_mut(), None) };
    assert_eq!((status, last_error().id), (SS_ERR_TYPE, 2007));
}

#[test]
fn a_storm_of_posts_from_eight_threads_runs_each_task_once() {
    const POSTS: usize = 5_000;
    let events = Loop::new();
    let counts: Vec<AtomicUsize> = (0..8 * POSTS).map(|_| AtomicUsize::new(0)).collect();
    let counts = Arc::new(counts);
    let handle = AnyThread::new(events.0);
    let posters: Vec<_> = (0..8)
        .map(|poster| {
            let counts = counts.clone();
            thread::spawn(move || {
                for number in poster * POSTS..(poster + 1) * POSTS {
                    let counts = counts.clone();
                    let task = move || {
                        counts[number].fetch_add(1, Ordering::Relaxed);
                    };
                    assert_eq!(try_post(handle.get(), task), SS_OK);
                }
            })
        })
        .collect();
    for poster in posters {
        events.join(poster);
    }
    // A turn spends about a millisecond on tasks, so that they may take some turns.
    events.pump_until(|| counts.iter().all(|count| count.load(Ordering::Relaxed) > 0));
    events.settle();
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}

#[test]
fn posts_while_the_loop_ends_run_or_are_cancelled_or_refused_each_once() {
    for _ in 0..200 {
        let events = Loop::new();
        let handle = AnyThread::new(events.0);
        // One for each fate, and one for the posts that were taken.
        let (ran, cancelled, taken) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                let (ran, cancelled, taken) = (ran.clone(), cancelled.clone(), &taken);
                scope.spawn(move || {
                    loop {
                        let fate = Fate { ran: ran.clone(), cancelled: cancelled.clone(), has_run: false };
                        match try_post(handle.get(), move || fate.run()) {
                            SS_OK => taken.fetch_add(1, Ordering::SeqCst),
                            status => {
                                assert_eq!(status, SS_ERR_HANDLE);
                                // The closure was dropped on this thread, which counted as a cancellation.
                                cancelled.fetch_sub(1, Ordering::SeqCst);
                                return;
                            }
                        };
                    }
                });
            }
            while taken.load(Ordering::SeqCst) < 20 {
                events.turn(0);
            }
            drop(events);
        });
        let ended = ran.load(Ordering::SeqCst) + cancelled.load(Ordering::SeqCst);
        assert_eq!(ended, taken.load(Ordering::SeqCst));
    }

    struct Fate {
        ran: Arc<AtomicUsize>,
        cancelled: Arc<AtomicUsize>,
        has_run: bool,
    }
    impl Fate {
        fn run(mut self) {
            self.has_run = true;
        }
    }
    impl Drop for Fate {
        fn drop(&mut self) {
            let counter = if self.has_run { &self.ran } else { &self.cancelled };
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn stopping_and_waking_from_other_threads_while_the_loop_ends_is_harmless() {
    for _ in 0..100 {
        let events = Loop::new();
        let handle = AnyThread::new(events.0);
        thread::scope(|scope| {
            for call in [ss_loop_wake, ss_loop_stop] as [extern "C" fn(_) -> _; 2] {
                scope.spawn(move || while call(handle.get()) == SS_OK {});
            }
            events.turn(0);
            drop(events);
        });
    }
}

// ---- A host with a loop of its own ----------------------------------------------------------------------------------

#[cfg(target_os = "linux")] // on Windows a loop has no descriptor to wait for
mod descriptor {
    use super::*;

    fn descriptor(events: &Loop) -> i32 {
        let mut fd = -1;
        ok(unsafe { ss_loop_fd(events.0, &mut fd) });
        i32::try_from(fd).expect("a descriptor")
    }

    /// Whether the descriptor is readable, or becomes so within `milliseconds`.
    fn readable(fd: i32, milliseconds: i32) -> bool {
        let mut wanted = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let ready = unsafe { libc::poll(&mut wanted, 1, milliseconds) };
        assert!(ready >= 0);
        ready == 1
    }

    const SOON: i32 = 30_000;

    /// Turns as a host does it: only when the descriptor says so or the timer is due.
    #[track_caller]
    fn host_until(events: &Loop, mut done: impl FnMut() -> bool) {
        let fd = descriptor(events);
        let deadline = Instant::now() + DEADLINE;
        while !done() {
            assert!(Instant::now() < deadline, "what the test waits for did not happen");
            let patience = ss_loop_timeout(events.0);
            // Not without end, for `done` may come true by another thread. A missed wake-up still fails: the turn is
            // only taken if something is due.
            let wait = if patience < 0 { 5 } else { patience.min(5) };
            if readable(fd, wait) || (0..=5).contains(&patience) {
                events.turn(0);
            }
        }
    }

    #[test]
    fn the_descriptor_is_readable_exactly_when_there_is_work() {
        let (events, server, accepted) = serving();
        let fd = descriptor(&events);
        assert_eq!(descriptor(&events), fd);
        assert!(!readable(fd, 0));

        let mut peer = server.client();
        assert!(readable(fd, SOON), "a peer waits");
        host_until(&events, || accepted.len() == 1);
        while readable(fd, 0) {
            events.turn(0);
        }
        peer.write_all(b"x").expect("the peer writes");
        assert!(readable(fd, SOON), "bytes have come");
        host_until(&events, || accepted.last().available() == 1);
        while readable(fd, 0) {
            events.turn(0);
        }
        assert!(!readable(fd, 20), "unread input is not work");
    }

    #[test]
    fn wakes_and_posts_make_the_descriptor_readable() {
        let events = Loop::new();
        let fd = descriptor(&events);
        ok(ss_loop_wake(events.0));
        assert!(readable(fd, SOON));
        while readable(fd, 0) {
            events.turn(0);
        }
        let log = Log::default();
        post(events.0, {
            let log = log.clone();
            move || log.add("task")
        });
        assert!(readable(fd, SOON));
        host_until(&events, || log.len() == 1);
    }

    #[test]
    fn what_is_written_outside_of_a_turn_makes_the_descriptor_readable_or_the_timer_due() {
        let pair = Pair::new();
        let fd = descriptor(&pair.events);
        pair.events.settle();
        ok(pair.socket.write(b"hello"));
        assert!(readable(fd, 0) || ss_loop_timeout(pair.events.0) == 0);
        host_until(&pair.events, || pair.socket.pending() == 0);
    }

    /// The kernel tells of the waiting peers once; that somebody listens now is only known to us.
    #[test]
    fn a_connect_listener_added_outside_of_a_turn_makes_the_descriptor_readable() {
        let (events, server) = listening();
        let fd = descriptor(&events);
        let _peer = server.client();
        events.settle();
        assert!(!readable(fd, 0), "nobody listens");
        let accepted = server.keep_accepted();
        assert!(readable(fd, SOON));
        host_until(&events, || accepted.len() == 1);
    }

    #[test]
    fn reading_below_the_limit_outside_of_a_turn_makes_the_descriptor_readable() {
        let pair = Pair::new();
        let fd = descriptor(&pair.events);
        let sent = pattern(5_000_000);
        let writer = thread::spawn({
            let (mut peer, sent) = (pair.peer.try_clone().expect("a second handle"), sent.clone());
            move || peer.write_all(&sent).expect("the peer writes")
        });
        let mut received = Vec::new();
        while received.len() < sent.len() {
            host_until(&pair.events, || pair.socket.available() > 0);
            while readable(fd, 20) {
                pair.events.turn(0);
            }
            received.extend(pair.socket.read_all());
        }
        writer.join().expect("the writer ends");
        assert_same_bytes(&received, &sent);
    }

    #[test]
    fn a_host_that_polls_only_when_told_to_serves_conversations() {
        let events = Loop::new();
        let (server, _accepted) = echo_server(&events);
        let port = server.port();
        let peers: Vec<_> =
            (0..4).map(|_| thread::spawn(move || talk(client(&format!("127.0.0.1:{port}")), 300))).collect();
        host_until(&events, || peers.iter().all(|peer| peer.is_finished()));
        for peer in peers {
            events.join(peer);
        }
    }

    #[test]
    fn a_host_that_polls_only_when_told_to_sends_large_answers_whole() {
        let pair = Pair::new();
        let message = pattern(20_000_000);
        ok(pair.socket.write(&message));
        ok(pair.socket.close());
        let mut peer = pair.peer.try_clone().expect("a second handle");
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).expect("the peer reads");
            received
        });
        host_until(&pair.events, || reader.is_finished());
        assert_same_bytes(&pair.events.join(reader), &message);
    }
}

#[test]
fn the_timeout_is_without_end_for_an_idle_loop_and_0_when_there_is_work() {
    let pair = Pair::new();
    pair.events.settle();
    assert_eq!(ss_loop_timeout(pair.events.0), -1);
    ok(pair.socket.write(b"x"));
    assert_eq!(ss_loop_timeout(pair.events.0), 0);
    pair.events.settle();
    assert_eq!(ss_loop_timeout(pair.events.0), -1);
}

#[test]
fn a_closed_socket_that_still_sends_has_a_time_limit() {
    let pair = Pair::new();
    ok(pair.socket.write(&pattern(20_000_000)));
    ok(pair.socket.close());
    pair.events.settle();
    let timeout = ss_loop_timeout(pair.events.0);
    assert!((1..=30_000).contains(&timeout), "{timeout}");
}

// ---- The end of a loop ----------------------------------------------------------------------------------------------

#[test]
fn releasing_a_loop_ends_everything_on_it() {
    let Pair { socket, peer, server, events, log } = Pair::new();
    let waiting = server.client();
    let handles = [events.object(), server.object(), socket.object()];
    ok(release(&events));
    for handle in handles {
        assert_eq!(retain(handle), SS_ERR_HANDLE);
    }
    assert!(!socket.connected());
    assert_eq!(server.state(), unbound());
    assert_eq!(unsafe { ss_loop_poll(events.0, 0, null_mut()) }, SS_ERR_HANDLE);
    for mut peer in [peer, waiting] {
        let end = peer.read(&mut [0]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    }
    assert_eq!(log.len(), 0, "no event");
}

#[test]
fn a_retained_loop_outlives_one_release() {
    let (events, server, accepted) = serving();
    ok(retain(&events));
    ok(release(&events));
    let _peer = server.client();
    events.pump_until(|| accepted.len() == 1);
}

#[test]
fn a_loop_released_in_a_listener_brings_no_more_events() {
    let (events, server) = listening();
    let log = Log::default();
    let kept: Rc<RefCell<Vec<Socket>>> = Rc::default();
    let handle = events.0;
    on(&server, CONNECT, {
        let (log, kept) = (log.clone(), kept.clone());
        move |event| {
            let socket = event.socket();
            ok(retain(socket));
            kept.borrow_mut().push(socket);
            on(socket, SOCKET_DATA, {
                let log = log.clone();
                move |event| {
                    log.add("data");
                    ok(release(handle));
                    assert_eq!(event.target(), socket.object());
                    assert_eq!(socket.read_all(), b"x", "the target lives until the dispatch ends");
                    log.add("released");
                }
            });
            on(socket, SOCKET_DATA, log.adds("second listener of the same event"));
        }
    });
    let peers: Vec<TcpStream> = (0..5).map(|_| server.client()).collect();
    events.pump_until(|| kept.borrow().len() == 5);
    for mut peer in &peers {
        peer.write_all(b"x").expect("the peer writes");
    }
    let late = server.client();
    while log.len() == 0 {
        events.turn(2);
    }
    assert_eq!(log.take(), ["data", "released", "second listener of the same event"]);
    assert_eq!(unsafe { ss_loop_poll(handle, 0, null_mut()) }, SS_ERR_HANDLE);
    assert!(kept.borrow().iter().all(|socket| !socket.alive()));
    for mut peer in peers.into_iter().chain([late]) {
        assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)), "its connection is over");
    }
}

#[test]
fn a_loop_released_in_a_task_cancels_the_tasks_behind_it() {
    let events = Loop::new();
    let log = Log::default();
    /// Says which of the two happened to it.
    struct Behind(Log, bool);
    impl Drop for Behind {
        fn drop(&mut self) {
            self.0.add(if self.1 { "ran" } else { "cancelled" });
        }
    }
    post(events.0, {
        let (log, handle) = (log.clone(), events.0);
        move || {
            ok(release(handle));
            log.add("released");
        }
    });
    let mut behind = Behind(log.clone(), false);
    post(events.0, move || {
        behind.1 = true;
        drop(behind);
    });
    events.turn(0);
    assert_eq!(log.take(), ["released", "cancelled"]);
    assert_eq!(unsafe { ss_loop_poll(events.0, 0, null_mut()) }, SS_ERR_HANDLE);
}

#[test]
fn a_run_ends_when_its_loop_is_released_in_a_listener() {
    let _watchdog = Watchdog::new();
    let (events, server) = listening();
    on(&server, CONNECT, {
        let handle = events.0;
        move |_| ok(release(handle))
    });
    let _peer = server.client();
    ok(ss_loop_run(events.0));
    rethrow();
    assert_eq!(retain(&server), SS_ERR_HANDLE);
}

/// Descriptors are counted, so that no other test may run in the process.
#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere descriptors are not counted
fn a_thread_that_ends_leaves_nothing_behind() {
    in_own_process!(|| {
        let before = open_descriptors();
        let destroyed = Arc::new(AtomicUsize::new(0));
        let peers = thread::spawn({
            let destroyed = destroyed.clone();
            move || {
                // All of it is left as it is: nothing is released.
                let events = std::mem::ManuallyDrop::new(Loop::new());
                let server = std::mem::ManuallyDrop::new(Server::listening(&events));
                let kept = Rc::new(Cell::new(0));
                /// Counts its end.
                struct Counted(Arc<AtomicUsize>);
                impl Drop for Counted {
                    fn drop(&mut self) {
                        self.0.fetch_add(1, Ordering::SeqCst);
                    }
                }
                let counted = Counted(destroyed);
                on(&*server, CONNECT, {
                    let kept = kept.clone();
                    move |event| {
                        let _owned = &counted;
                        ok(retain(event.socket()));
                        increment(&kept);
                    }
                });
                let _default = ss_new(null_mut());
                let _event = Event::new(c"never released", false, false);
                let peers = [server.client(), server.client()];
                events.pump_until(|| kept.get() == 2);
                peers
            }
        })
        .join()
        .expect("the thread ends");
        for mut peer in peers {
            assert!(matches!(peer.read(&mut [0]), Ok(0)));
        }
        assert_eq!(destroyed.load(Ordering::SeqCst), 1);
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
#[cfg(any(target_os = "linux", windows))] // elsewhere descriptors are not counted
fn a_thousand_loops_leave_no_descriptor_behind() {
    in_own_process!(|| {
        let before = open_descriptors();
        for _ in 0..1000 {
            let events = Loop::new();
            let _server = Server::listening(&events);
            events.turn(0);
        }
        assert_eq!(open_descriptors(), before);
    });
}
