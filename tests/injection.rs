//! System calls that fail: each with the errors that it can give, at the first, second, third and every third time, and
//! for a while without end. Nothing spins, and nothing is lost that could be saved.
//!
//! The shim is this program itself: its functions of these names take the place of the C library's, and fail by a plan of
//! the thread that calls. Peers are on threads of their own, where no plan is made.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod support;

use libc::{c_int, c_void, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use server_socket::*;
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::*;

// ---- The shim -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Accept,
    Recv,
    Send,
    EpollCtl,
    EpollWait,
    EpollCreate,
    EventFd,
    Socket,
    Bind,
    Listen,
    Connect,
    GetSockOpt,
    SetSockOpt,
    GetSockName,
    Shutdown,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Nth(u64),
    EveryThird,
    Always,
}

#[derive(Clone, Copy)]
struct Plan {
    call: Call,
    errno: c_int,
    when: When,
    seen: u64,
    failed: u64,
}

thread_local! {
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
}

/// Whether this call is to fail: sets errno, and counts.
fn fails_now(call: Call) -> bool {
    let Some(mut plan) = PLAN.get().filter(|plan| plan.call == call) else { return false };
    plan.seen += 1;
    let fails = match plan.when {
        When::Nth(n) => plan.seen == n,
        When::EveryThird => plan.seen % 3 == 1,
        When::Always => true,
    };
    plan.failed += u64::from(fails);
    PLAN.set(Some(plan));
    if fails {
        unsafe { *libc::__errno_location() = plan.errno };
    }
    fails
}

/// Runs `f` with these calls of this thread failing. Returns what `f` does, and how many calls failed.
fn with_plan<T>(call: Call, errno: c_int, when: When, f: impl FnOnce() -> T) -> (T, u64) {
    PLAN.set(Some(Plan { call, errno, when, seen: 0, failed: 0 }));
    let result = f();
    (result, PLAN.take().map_or(0, |plan| plan.failed))
}

/// Defines functions that stand before the C library's.
macro_rules! shim {
    ($($call:ident: fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $number:ident $(, $extra:expr)*;)*) => {
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            if fails_now(Call::$call) {
                return -1;
            }
            (unsafe { libc::syscall(libc::$number, $($arg),* $(, $extra)*) }) as $result
        })*
    };
}

shim! {
    Accept: fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int = SYS_accept4;
    Recv: fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t
        = SYS_recvfrom, null::<c_void>(), null::<c_void>();
    Send: fn send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t
        = SYS_sendto, null::<c_void>(), 0;
    Send: fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = SYS_sendmsg;
    EpollCtl: fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut libc::epoll_event) -> c_int
        = SYS_epoll_ctl;
    EpollWait: fn epoll_wait(epoll: c_int, events: *mut libc::epoll_event, count: c_int, timeout: c_int) -> c_int
        = SYS_epoll_pwait, null::<c_void>(), 8;
    EpollCreate: fn epoll_create1(flags: c_int) -> c_int = SYS_epoll_create1;
    EventFd: fn eventfd(value: libc::c_uint, flags: c_int) -> c_int = SYS_eventfd2;
    Socket: fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int = SYS_socket;
    Bind: fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int = SYS_bind;
    Listen: fn listen(fd: c_int, backlog: c_int) -> c_int = SYS_listen;
    Connect: fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int = SYS_connect;
    GetSockOpt: fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t) -> c_int
        = SYS_getsockopt;
    SetSockOpt: fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int
        = SYS_setsockopt;
    GetSockName: fn getsockname(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int = SYS_getsockname;
    Shutdown: fn shutdown(fd: c_int, how: c_int) -> c_int = SYS_shutdown;
}

// ---- Conversations while calls fail ---------------------------------------------------------------------------------

const PEERS: usize = 4;
const MESSAGE: usize = 100_000;

/// A client that sends, half-closes, and reads the echo to its end: whether it got all of it.
fn talk(port: u16, number: usize) -> JoinHandle<bool> {
    thread::spawn(move || {
        let Ok(mut peer) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        set_timeouts(&peer);
        let sent = pattern(MESSAGE + number);
        let mut writer = peer.try_clone().expect("a second handle");
        let bytes = sent.clone();
        let writing = thread::spawn(move || {
            // It may be refused: what counts is the echo.
            let _ = bytes.chunks(9_000).try_for_each(|part| writer.write_all(part));
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut received = Vec::new();
        let ended = peer.read_to_end(&mut received);
        writing.join().expect("it does not panic");
        ended.is_ok() && received == sent
    })
}

/// What became of an echo server and its peers.
struct Outcome {
    whole: usize,
    connects: usize,
    closes: usize,
    server_closes: usize,
    listening: bool,
    failed: u64,
    turns: u64,
    descriptors_left: bool,
}

fn converse(call: Call, errno: c_int, when: When) -> Outcome {
    let events = Loop::new();
    let server = Server::listening(&events);
    // Has accepting make a call that may fail.
    ok(ss_set_option(server.0.cast(), SS_OPT_KEEP_ALIVE, 60));
    let (accepted, closed, log) = (server.keep_accepted(), Log::default(), Log::default());
    on(&server, CLOSE, closed.adds("close"));
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            let socket = event.socket();
            on(socket, SOCKET_DATA, move |_| socket.echo());
            log.record_socket(socket);
        }
    });
    let peers: Vec<_> = (0..PEERS).map(|number| talk(server.port(), number)).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut turns = 0;
    let ((), failed) = with_plan(call, errno, when, || {
        while !peers.iter().all(JoinHandle::is_finished) {
            assert!(Instant::now() < deadline, "{call:?} errno {errno} {when:?}: a peer waits for ever");
            // It fails when waiting does, and the host goes on.
            either_way(unsafe { ss_loop_poll(events.0, 5, null_mut()) });
            rethrow();
            turns += 1;
        }
    });
    let whole = peers.into_iter().map(|peer| peer.join().expect("no panic")).filter(|whole| *whole).count();
    events.settle();
    let descriptors_left = (0..accepted.len()).any(|index| native_handle(accepted.get(index)).is_some());
    Outcome {
        whole,
        connects: accepted.len(),
        closes: log.count("close"),
        server_closes: closed.len(),
        listening: server.state().listening,
        failed,
        turns,
        descriptors_left,
    }
}

/// What an error may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cost {
    /// Nothing at all.
    Nothing,
    /// Each failed call at most the one connection that it was for.
    Connection,
    /// The server: one close event. Connections that it has go on.
    Server,
}

const ERRORS: &[(Call, Cost, &[c_int])] = &[
    (
        Call::Accept,
        Cost::Nothing,
        &[
            libc::EINTR,
            libc::ECONNABORTED,
            libc::EPROTO,
            libc::EPERM,
            libc::ENETDOWN,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
            libc::ETIMEDOUT,
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
        ],
    ),
    // EBADF and ENOTSOCK say that the descriptor is another's by now: tests/faults.rs takes it away for real.
    (Call::Accept, Cost::Server, &[libc::EINVAL, libc::EFAULT]),
    (Call::Recv, Cost::Nothing, &[libc::EINTR, libc::ENOMEM, libc::ENOBUFS]),
    (
        Call::Recv,
        Cost::Connection,
        &[libc::ECONNRESET, libc::ETIMEDOUT, libc::EHOSTUNREACH, libc::ENETDOWN, libc::ENOTCONN, libc::EIO],
    ),
    (Call::Send, Cost::Nothing, &[libc::EINTR, libc::ENOMEM, libc::ENOBUFS]),
    (
        Call::Send,
        Cost::Connection,
        &[libc::EPIPE, libc::ECONNRESET, libc::ETIMEDOUT, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EACCES],
    ),
    (Call::EpollCtl, Cost::Nothing, &[libc::ENOMEM, libc::ENOSPC]),
    (Call::EpollCtl, Cost::Connection, &[libc::EPERM, libc::EEXIST, libc::EINVAL, libc::ELOOP]),
    (Call::EpollWait, Cost::Nothing, &[libc::EINTR, libc::EINVAL, libc::EFAULT]),
    (Call::GetSockOpt, Cost::Nothing, &[libc::ENOMEM, libc::ENOBUFS, libc::EPERM]),
    (Call::SetSockOpt, Cost::Nothing, &[libc::ENOMEM, libc::ENOBUFS, libc::EINVAL, libc::ENOPROTOOPT]),
];

const OCCASIONS: [When; 4] = [When::Nth(1), When::Nth(2), When::Nth(3), When::EveryThird];

#[track_caller]
fn check(call: Call, errno: c_int, when: When, cost: Cost) -> Outcome {
    let outcome = converse(call, errno, when);
    let Outcome { whole, connects, closes, server_closes, listening, failed, turns, descriptors_left } = outcome;
    let what = format!("{call:?} errno {errno} {when:?}: {whole} whole, {connects} connects, {closes} closes, {failed} failed");
    let lost = match cost {
        Cost::Nothing => 0,
        Cost::Connection => failed as usize,
        Cost::Server => PEERS,
    };
    assert!(whole + lost >= PEERS, "{what}");
    match cost {
        Cost::Server => {
            assert!(server_closes == failed as usize && (failed == 0 || !listening), "{what}");
            assert_eq!((whole, closes), (connects, connects), "{what}: whom it had is served on");
        }
        _ => {
            assert!(server_closes == 0 && listening, "{what}");
            assert_eq!((connects, closes), (PEERS, PEERS), "{what}: every peer comes once and ends once");
        }
    }
    assert!(!descriptors_left, "{what}: a connection is left");
    assert!(turns < 3_000, "{what}: {turns} turns");
    outcome
}

#[test]
fn a_failing_system_call_costs_nothing_or_the_connection_it_is_for() {
    let rows: Vec<_> = ERRORS
        .iter()
        .flat_map(|(call, cost, errors)| errors.iter().map(move |errno| (*call, *errno, *cost)))
        .flat_map(|(call, errno, cost)| OCCASIONS.map(|when| (call, errno, when, cost)))
        .collect();
    let (mut failed, mut most_turns, mut wrong) = (0, 0, 0);
    // Many rest for a while, so that several go on at once.
    for some in rows.chunks(16) {
        let running: Vec<_> = some
            .iter()
            .map(|(call, errno, when, cost)| {
                let (call, errno, when, cost) = (*call, *errno, *when, *cost);
                thread::spawn(move || check(call, errno, when, cost))
            })
            .collect();
        for outcome in running {
            match outcome.join() {
                Ok(outcome) => {
                    failed += outcome.failed;
                    most_turns = most_turns.max(outcome.turns);
                }
                Err(_) => wrong += 1,
            }
        }
    }
    assert_eq!(wrong, 0, "of {} rows", rows.len());
    println!("{} rows, {failed} failed calls, at most {most_turns} turns for {PEERS} conversations", rows.len());
}
