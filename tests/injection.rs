// SPDX-License-Identifier: MIT OR Apache-2.0
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

use libc::{c_int, c_void, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use server_socket::*;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering};
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
    Fcntl,
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

type Number = libc::c_long;
type SystemCall = unsafe extern "C" fn(Number, Number, Number, Number, Number, Number, Number) -> Number;

/// The C library's own `syscall`.
fn real_syscall() -> SystemCall {
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    let mut real = REAL.load(Ordering::Relaxed);
    if real.is_null() {
        real = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) };
        REAL.store(real, Ordering::Relaxed);
    }
    unsafe { std::mem::transmute::<*mut c_void, SystemCall>(real) }
}

/// The calls that the library makes by this way.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: Number,
    first: Number,
    second: Number,
    third: Number,
    fourth: Number,
    fifth: Number,
    sixth: Number,
) -> Number {
    let call = match number {
        libc::SYS_accept4 => Some(Call::Accept),
        libc::SYS_recvfrom => Some(Call::Recv),
        libc::SYS_sendto => Some(Call::Send),
        _ => None,
    };
    if call.is_some_and(fails_now) {
        return -1;
    }
    unsafe { real_syscall()(number, first, second, third, fourth, fifth, sixth) }
}

/// An argument of a system call.
trait Argument {
    fn number(self) -> Number;
}

macro_rules! arguments {
    ($($type:ty)*) => {
        $(impl Argument for $type {
            fn number(self) -> Number {
                self as Number
            }
        })*
    };
}

arguments!(c_int u32 u64 usize *const c_void *mut c_void *const sockaddr *mut sockaddr *mut socklen_t *const msghdr);
arguments!(*mut libc::epoll_event);

/// Defines functions that stand before the C library's.
macro_rules! shim {
    ($($call:ident: fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $number:ident $(, $extra:expr)*;)*) => {
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            if fails_now(Call::$call) {
                return -1;
            }
            let mut arguments = [$($arg.number(),)* $($extra,)* 0, 0, 0, 0, 0, 0].into_iter();
            let mut next = || arguments.next().unwrap_or(0);
            let (first, second, third, fourth, fifth, sixth) = (next(), next(), next(), next(), next(), next());
            (unsafe { real_syscall()(libc::$number, first, second, third, fourth, fifth, sixth) }) as $result
        })*
    };
}

shim! {
    Accept: fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int = SYS_accept4;
    Recv: fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t
        = SYS_recvfrom;
    Send: fn send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t
        = SYS_sendto;
    Send: fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = SYS_sendmsg;
    EpollCtl: fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut libc::epoll_event) -> c_int
        = SYS_epoll_ctl;
    EpollWait: fn epoll_wait(epoll: c_int, events: *mut libc::epoll_event, count: c_int, timeout: c_int) -> c_int
        = SYS_epoll_pwait, 0, 8;
    EpollCreate: fn epoll_create1(flags: c_int) -> c_int = SYS_epoll_create1;
    EventFd: fn eventfd(value: libc::c_uint, flags: c_int) -> c_int = SYS_eventfd2;
    Bind: fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int = SYS_bind;
    Listen: fn listen(fd: c_int, backlog: c_int) -> c_int = SYS_listen;
    Connect: fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int = SYS_connect;
    GetSockOpt: fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut socklen_t) -> c_int
        = SYS_getsockopt;
    SetSockOpt: fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, length: socklen_t) -> c_int
        = SYS_setsockopt;
    GetSockName: fn getsockname(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int = SYS_getsockname;
    Shutdown: fn shutdown(fd: c_int, how: c_int) -> c_int = SYS_shutdown;
    Fcntl: fn fcntl(fd: c_int, command: c_int, argument: size_t) -> c_int = SYS_fcntl;
}

thread_local! {
    /// TCP is to be multipath TCP, as under `mptcpize run`.
    static MULTIPATH: Cell<bool> = const { Cell::new(false) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if fails_now(Call::Socket) {
        return -1;
    }
    let is_tcp = domain != libc::AF_UNIX && (kind & 0xf) == libc::SOCK_STREAM;
    let protocol = if MULTIPATH.get() && is_tcp { libc::IPPROTO_MPTCP } else { protocol };
    unsafe { real_syscall()(libc::SYS_socket, domain.number(), kind.number(), protocol.number(), 0, 0, 0) as c_int }
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
            libc::EACCES,
            libc::ENOSYS,
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
    // EBADF and ENOTSOCK say that the descriptor is another's by now: tests/hostile/faults.rs takes it away for real.
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
    let what = format!(
        "{call:?} errno {errno} {when:?}: {whole} whole, {connects} connects, {closes} closes, {failed} failed"
    );
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
    assert!(turns < 1_000, "{what}: {turns} turns");
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
    figure(format_args!(
        "{} rows, {failed} failed calls, at most {most_turns} turns for {PEERS} conversations",
        rows.len()
    ));
}

// ---- While it lasts -------------------------------------------------------------------------------------------------

/// One conversation stands, then the system has no memory, descriptors or room for a second: the loop rests, nobody is
/// told anything, and afterwards everybody gets everything.
#[test]
fn while_the_system_is_exhausted_the_loop_rests_and_afterwards_nothing_is_missing() {
    let exhausted = [
        (Call::Accept, libc::EMFILE),
        (Call::Accept, libc::ENFILE),
        (Call::Accept, libc::ENOBUFS),
        (Call::Accept, libc::ENOMEM),
        (Call::Accept, libc::EPERM),
        (Call::Accept, libc::EACCES),
        (Call::Recv, libc::ENOBUFS),
        (Call::Recv, libc::ENOMEM),
        (Call::Send, libc::ENOBUFS),
        (Call::Send, libc::ENOMEM),
        (Call::EpollCtl, libc::ENOMEM),
        (Call::EpollCtl, libc::ENOSPC),
    ];
    let running = exhausted.map(|(call, errno)| thread::spawn(move || rest(call, errno)));
    running.into_iter().for_each(|running| running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
}

fn rest(call: Call, errno: c_int) {
    let pair = Pair::new();
    on(&pair.server, CONNECT, |event| {
        let socket = event.socket();
        on(socket, SOCKET_DATA, move |_| socket.echo());
    });
    let accepted = pair.server.keep_accepted();
    ok(pair.socket.write(&pattern(50_000)));
    pair.send(b"some words");
    let newcomers: Vec<_> = (0..PEERS).map(|number| talk(pair.server.port(), number)).collect();
    let (busy, failed) = with_plan(call, errno, When::Always, || percent_busy(&pair.events, 1_000));
    figure(format_args!("{call:?} fails with {errno} for a second: {failed} attempts, {busy:.2} % of a processor"));
    assert!((1..=200).contains(&failed), "{call:?} errno {errno}: {failed} attempts");
    assert!(busy < 5.0, "{call:?} errno {errno}: {busy} % busy");
    assert!(!pair.log.contains("close") && pair.server.state().listening, "{call:?} errno {errno}");
    let again = Instant::now();
    assert_same_bytes(&pair.events.receive(&pair.peer, 50_000), &pattern(50_000));
    pair.pump_until_available(10);
    for newcomer in newcomers {
        assert!(pair.events.join(newcomer), "{call:?} errno {errno}: a newcomer was not served whole");
    }
    assert_eq!(accepted.len(), PEERS);
    assert!(again.elapsed() < Duration::from_secs(5), "{:?} until all was served", again.elapsed());
    assert_eq!(pair.log.take(), ["socketData"]);
}

// ---- What makes something -------------------------------------------------------------------------------------------

/// A call that fails has changed nothing, names the system's reason, leaves no descriptor, and works the next time.
#[test]
fn what_cannot_be_made_now_can_be_made_later_and_leaves_nothing_behind() {
    in_own_process!(|| {
        let shortage = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        let before = open_descriptors();
        for call in [Call::EpollCreate, Call::EventFd, Call::EpollCtl] {
            for errno in shortage {
                let (made, failed) = with_plan(call, errno, When::Nth(1), || ss_loop_new());
                assert!(made.is_null() && failed == 1, "{call:?}");
                assert_eq!(ss_last_os_error(), errno, "{call:?}");
                assert_eq!(open_descriptors(), before, "{call:?}");
            }
        }
        let events = Loop::new();
        for call in [Call::Socket, Call::Bind, Call::Fcntl, Call::GetSockName] {
            for errno in shortage {
                let server = Server::new(&events);
                let before = open_descriptors();
                let (bound, failed) = with_plan(call, errno, When::Nth(1), || server.bind(0, c"127.0.0.1"));
                assert_eq!(failed, 1, "{call:?}");
                fails_with(bound, SS_ERR_IO, 2002, errno);
                assert_eq!((server.state(), open_descriptors()), (unbound(), before), "{call:?}");
                ok(server.bind(0, c"127.0.0.1"));
            }
        }
        for call in [Call::Listen, Call::EpollCtl] {
            for errno in shortage {
                let server = Server::new(&events);
                ok(server.bind(0, c"127.0.0.1"));
                let state = server.state();
                let (listens, failed) = with_plan(call, errno, When::Nth(1), || server.listen(0));
                assert_eq!(failed, 1, "{call:?}");
                fails_with(listens, SS_ERR_IO, 2002, errno);
                assert_eq!(server.state(), state, "{call:?}");
                ok(server.listen(0));
                let accepted = server.keep_accepted();
                let _peer = server.client();
                events.pump_until(|| accepted.len() == 1);
            }
        }
    });
}

/// Never inside connect, always one ioError with the system's reason; then the socket can be used again.
#[test]
fn whatever_fails_while_connecting_is_one_io_error_and_leaves_nothing_behind() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        let socket = Kept(Socket(ss_socket_new(events.0)));
        let log = Log::default();
        on(*socket, CONNECT, log.adds("connect"));
        on(*socket, IO_ERROR, {
            let log = log.clone();
            move |event| log.add(event.os_error())
        });
        let errors: &[(Call, &[c_int])] = &[
            (
                Call::Socket,
                &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EACCES, libc::EAFNOSUPPORT],
            ),
            (
                Call::Connect,
                &[
                    libc::EADDRNOTAVAIL,
                    libc::ENETUNREACH,
                    libc::ECONNREFUSED,
                    libc::EAGAIN,
                    libc::EACCES,
                    libc::EPERM,
                    libc::ETIMEDOUT,
                ],
            ),
            (Call::EpollCtl, &[libc::ENOMEM, libc::ENOSPC]),
            (Call::GetSockOpt, &[libc::ENOBUFS, libc::ENOMEM]),
            (Call::GetSockName, &[libc::ENOBUFS]),
        ];
        for (call, errors) in errors {
            for errno in *errors {
                let before = open_descriptors();
                let ((), failed) = with_plan(*call, *errno, When::Nth(1), || {
                    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), server.port().into()) });
                    assert_eq!(log.len(), 0, "{call:?}: inside connect");
                    events.pump_until(|| log.len() > 0);
                });
                assert_eq!(failed, 1, "{call:?}");
                assert_eq!(log.take(), [errno.to_string()], "{call:?}");
                accepted.clear();
                events.settle();
                assert_eq!((log.len(), open_descriptors()), (0, before), "{call:?} errno {errno}");
                ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), server.port().into()) });
                events.pump_until(|| socket.connected() && accepted.len() > 0);
                ok(socket.abort());
                accepted.clear();
                events.settle();
                assert_eq!(log.take(), ["connect"]);
            }
        }
    });
}

// ---- What is refused ------------------------------------------------------------------------------------------------

/// An echo in each direction: of a server that binds and of one that adopts, and of a socket that connects.
fn everything_goes(events: &Loop) {
    let bound = Server::listening(events);
    let adopted = Server::new(events);
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).and_then(|()| listener.listen(8)).expect("it listens");
    ok(ss_adopt(adopted.0, std::os::fd::IntoRawFd::into_raw_fd(listener).into(), true));
    for server in [bound, adopted] {
        set(&server, SS_OPT_KEEP_ALIVE, 60);
        let accepted = server.keep_accepted();
        on(&server, CONNECT, |event| {
            let socket = event.socket();
            on(socket, SOCKET_DATA, move |_| socket.echo());
        });
        let out = Kept(Socket(ss_socket_new(events.0)));
        set(*out, SS_OPT_KEEP_ALIVE, 60);
        ok(unsafe { ss_socket_connect(out.0.0, c"127.0.0.1".as_ptr(), server.port().into()) });
        events.pump_until(|| out.connected() && accepted.len() == 1);
        ok(out.write(b"there and back"));
        events.pump_until(|| out.available() == 14);
    }
    let all_of_ipv6 = Server::new(events);
    if all_of_ipv6.bind(0, c"::1") != SS_OK {
        // No IPv6 here.
        assert_eq!(last_error().os_error, libc::EADDRNOTAVAIL, "{}", last_detail());
    }
}

#[test]
fn a_socket_option_that_can_be_done_without_costs_nothing_when_it_is_refused_and_is_noted_once() {
    in_own_process!(|| {
        for errno in [libc::EPERM, libc::ENOPROTOOPT, libc::EOPNOTSUPP, libc::EINVAL, libc::ENOMEM] {
            let (events, messages) = (Loop::new(), Messages::record());
            let ((), failed) = with_plan(Call::SetSockOpt, errno, When::Always, || {
                everything_goes(&events);
                everything_goes(&events);
                events.turn(0);
            });
            let said = std::io::Error::from_raw_os_error(errno).to_string();
            for option in ["TCP_NODELAY", "SO_OOBINLINE", "SO_KEEPALIVE", "SO_REUSEADDR"] {
                let notes = messages.about(SS_LOG_WARNING, option);
                assert!(notes.len() == 1 && notes[0].contains(&said), "{option}, {errno}: {notes:?}");
            }
            assert!(failed > 10, "{failed} options were refused");
            // Who asks for one is told, and nothing has changed.
            let server = Server::listening(&events);
            let (refused, _) =
                with_plan(Call::SetSockOpt, errno, When::Always, || ss_set_option(server.0.cast(), SS_OPT_NO_DELAY, 0));
            fails_with(refused, SS_ERR_IO, 2002, errno);
            assert!(last_detail().contains("TCP_NODELAY"), "{}", last_detail());
            assert_eq!(option(&server, SS_OPT_NO_DELAY), 1);
        }
    });
}

/// Each of the calls that a bind cannot do without is refused in turn: the detail has its name, and advice that fits.
#[test]
fn a_refused_call_is_named_and_only_a_privileged_port_is_called_so() {
    in_own_process!(|| {
        let events = Loop::new();
        let refused = |call: Call, errno: c_int, port: i32, address: &std::ffi::CStr, option: Option<ss_option>| {
            let server = Server::new(&events);
            if let Some(option) = option {
                set(&server, option, 1);
            }
            let (bound, failed) = with_plan(call, errno, When::Always, || server.bind(port, address));
            assert!(failed > 0, "{call:?}");
            fails_with(bound, SS_ERR_IO, 2002, errno);
            assert_eq!(server.state(), unbound());
            last_detail()
        };
        let any = c"127.0.0.1";
        for errno in [libc::EPERM, libc::EACCES] {
            for port in [0, 80] {
                for (call, name) in
                    [(Call::Socket, "socket "), (Call::Fcntl, "fcntl "), (Call::GetSockName, "getsockname ")]
                {
                    if (call, port) == (Call::Socket, 80) || port == 0 {
                        let detail = refused(call, errno, port, any, None);
                        assert!(detail.starts_with(name) && !detail.contains("1024"), "{detail}");
                        assert!(detail.contains("sandbox"), "{detail}");
                    }
                }
            }
            for (call, name) in [(Call::Socket, "socket"), (Call::Fcntl, "fcntl O_NONBLOCK"), (Call::Bind, "bind")] {
                let server = Server::new(&events);
                let path = c"@nobody binds this";
                let (bound, _) =
                    with_plan(call, errno, When::Always, || unsafe { ss_bind_path(server.0, path.as_ptr()) });
                fails_with(bound, SS_ERR_IO, 2002, errno);
                assert!(last_detail().starts_with(&format!("{name} @nobody binds this: ")), "{}", last_detail());
                assert_eq!(server.state(), unbound());
            }
            let detail = refused(Call::SetSockOpt, errno, 0, any, Some(SS_OPT_REUSE_PORT));
            assert!(detail.starts_with("setsockopt SO_REUSEPORT ") && !detail.contains("1024"), "{detail}");
            let detail = refused(Call::Bind, errno, 0, any, None);
            assert!(detail.starts_with("bind 127.0.0.1:0: ") && !detail.contains("1024"), "{detail}");
            assert_eq!(refused(Call::Bind, errno, 80, any, None).contains("1024"), errno == libc::EACCES);
            assert_eq!(refused(Call::Bind, errno, 1023, any, None).contains("1024"), errno == libc::EACCES);
            assert!(!refused(Call::Bind, errno, 1024, any, None).contains("1024 up"));
        }
    });
}

#[test]
fn a_connection_that_cannot_be_taken_over_now_stays_the_callers_and_open() {
    in_own_process!(|| {
        let events = Loop::new();
        let socket = Kept(Socket(ss_socket_new(events.0)));
        for (call, errno) in
            [(Call::EpollCtl, libc::ENOSPC), (Call::Fcntl, libc::EPERM), (Call::GetSockName, libc::EPERM)]
        {
            let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            let fd = std::os::fd::AsRawFd::as_raw_fd(&ours);
            // The first fcntl asks whether it is open at all.
            let when = if call == Call::Fcntl { When::Nth(2) } else { When::Nth(1) };
            let (adopted, failed) = with_plan(call, errno, when, || ss_socket_adopt(socket.0.0, fd.into()));
            assert_eq!(failed, 1, "{call:?}");
            fails_with(adopted, SS_ERR_IO, 2002, errno);
            (&ours).write_all(b"still open").expect("it is the caller's");
            (&peer).read_exact(&mut [0; 10]).expect("its peer has not noticed");
            assert!(!socket.connected());
            ok(ss_socket_adopt(socket.0.0, std::os::fd::IntoRawFd::into_raw_fd(ours).into()));
            ok(socket.close());
        }
    });
}

/// "::" without IPv4, or with it, is what the host relies on; where it is so anyway nothing is refused.
#[test]
fn dual_stack_that_is_refused_is_an_error_unless_it_is_as_wanted() {
    in_own_process!(|| {
        if socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).is_err() {
            return left_out("no IPv6 here");
        }
        let events = Loop::new();
        let only_v6 = std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|text| text.trim() == "1");
        for dual in [0, 1] {
            let server = Server::new(&events);
            set(&server, SS_OPT_DUAL_STACK, dual);
            let (bound, failed) = with_plan(Call::SetSockOpt, libc::EPERM, When::Nth(1), || server.bind(0, c"::"));
            assert_eq!(failed, 1);
            if (dual == 0) == only_v6 {
                ok(bound);
            } else {
                fails_with(bound, SS_ERR_IO, 2002, libc::EPERM);
                assert!(last_detail().starts_with("setsockopt IPV6_V6ONLY "), "{}", last_detail());
            }
        }
    });
}

#[test]
fn accepting_goes_on_where_accept4_is_not_known() {
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let _peers = [server.client(), server.client()];
    let ((), failed) =
        with_plan(Call::Accept, libc::ENOSYS, When::Always, || events.pump_until(|| accepted.len() == 2));
    assert!(failed >= 2);
    for index in 0..2 {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&system_socket(accepted.get(index)));
        let flags = unsafe { (libc::fcntl(fd, libc::F_GETFD, 0), libc::fcntl(fd, libc::F_GETFL, 0)) };
        assert_eq!((flags.0 & libc::FD_CLOEXEC, flags.1 & libc::O_NONBLOCK), (libc::FD_CLOEXEC, libc::O_NONBLOCK));
    }
}

#[test]
fn accepting_that_is_forbidden_is_told_as_the_system_says_it() {
    in_own_process!(|| {
        let (events, messages) = (Loop::new(), Messages::record());
        for errno in [libc::EPERM, libc::EHOSTUNREACH] {
            let server = Server::listening(&events);
            let accepted = server.keep_accepted();
            let _peer = server.client();
            let said = std::io::Error::from_raw_os_error(errno).to_string();
            with_plan(Call::Accept, errno, When::Always, || {
                events.pump_until(|| server.figures().accept_deferred > 0);
            });
            assert_eq!((messages.about(SS_LOG_WARNING, &said).len(), accepted.len()), (1, 0), "{said}");
            events.pump_until(|| accepted.len() == 1);
        }
    });
}

#[test]
fn a_warning_that_repeats_comes_once_in_ten_seconds_with_how_often_it_was_left_out() {
    in_own_process!(|| {
        let (events, messages) = (Loop::new(), Messages::record());
        let servers = [Server::listening(&events), Server::listening(&events)];
        let accepted = servers.each_ref().map(Server::keep_accepted);
        let _peers = servers.each_ref().map(Server::client);
        let deferred = |count: u64| servers.iter().all(|server| server.figures().accept_deferred >= count);
        let warnings = || messages.about(SS_LOG_WARNING, "Too many open files");
        with_plan(Call::Accept, libc::EMFILE, When::Always, || {
            events.pump_until(|| deferred(4));
            assert_eq!(warnings().len(), 2, "one for each server: {:?}", warnings());
            let left_out: u64 = servers.iter().map(|server| server.figures().accept_deferred - 1).sum();
            TIME_PASSED.fetch_add(10, Ordering::Relaxed);
            events.pump_until(|| deferred(5));
            let warnings = warnings();
            let counts =
                warnings.iter().filter_map(|text| text.split_once(" (")?.1.rsplit_once('(')?.1.split_once(' '));
            let told: u64 = counts.filter_map(|(count, _)| count.parse::<u64>().ok()).sum();
            assert_eq!((warnings.len(), told), (4, left_out), "{warnings:?}");
        });
        events.pump_until(|| accepted.iter().all(|accepted| accepted.len() == 1));
    });
}

#[test]
fn multipath_tcp_serves_as_tcp_does() {
    in_own_process!(|| {
        let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled");
        if !enabled.is_ok_and(|text| text.trim() == "1") {
            return skipped("this kernel has no multipath TCP");
        }
        let (events, messages) = (Loop::new(), Messages::record());
        MULTIPATH.set(true);
        everything_goes(&events);
        MULTIPATH.set(false);
        assert_eq!(messages.about(SS_LOG_WARNING, "SO_OOBINLINE").len(), 1, "it does not know it");
    });
}

/// Whoever gives way is found without asking the system about each connection that lingers.
#[test]
fn a_newcomer_at_the_limit_costs_little_however_many_linger() {
    const MANY: usize = 400;
    const MORE: usize = 100;
    let events = Loop::new();
    let server = Server::listening(&events);
    set(&server, SS_OPT_MAX_CONNECTIONS, MANY as i64);
    let count = shared::<usize>();
    on(&server, CONNECT, {
        let count = count.clone();
        move |event| {
            increment(&count);
            ok(event.socket().write(b"x"));
            ok(event.socket().close());
        }
    });
    let come = |number: usize| -> Vec<TcpStream> {
        let before = count.get();
        let peers = (0..number).map(|_| server.client()).collect();
        events.pump_until(|| count.get() == before + number);
        peers
    };
    let first = come(MANY);
    PLAN.set(Some(Plan { call: Call::GetSockOpt, errno: 0, when: When::Nth(u64::MAX), seen: 0, failed: 0 }));
    let more = come(MORE);
    let asked = PLAN.take().expect("it was set").seen;
    figure(format_args!("{MANY} linger, and {MORE} come: the system is asked {asked} times"));
    assert!(asked < 20 * MORE as u64, "the system was asked {asked} times");
    drop((first, more));
}

// ---- Signals --------------------------------------------------------------------------------------------------------

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn catch(_: c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// A thousand signals a second whose handler does not restart calls, while four peers talk, again and again.
#[test]
fn a_storm_of_signals_interrupts_nothing() {
    in_own_process!(|| {
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = catch as *const () as usize;
        assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, null_mut()) }, 0);
        let events = Loop::new();
        let server = Server::listening(&events);
        let (accepted, log) = (server.keep_accepted(), Log::default());
        on(&server, CONNECT, {
            let log = log.clone();
            move |event| {
                let socket = event.socket();
                on(socket, SOCKET_DATA, move |_| socket.echo());
                log.record_socket(socket);
            }
        });
        // The timer's signal goes to any thread of the process: it is handed on to that of the loop.
        let (me, here) = (unsafe { libc::pthread_self() }, std::process::id());
        let storm = AtomicI64::new(1);
        let (mut whole, mut turns) = (0, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while storm.load(Ordering::Relaxed) == 1 {
                    unsafe { libc::pthread_kill(me, libc::SIGALRM) };
                    thread::sleep(Duration::from_micros(500));
                }
            });
            let interval = libc::timeval { tv_sec: 0, tv_usec: 1_000 };
            let timer = libc::itimerval { it_interval: interval, it_value: interval };
            assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, null_mut()) }, 0, "process {here}");
            for round in 0..10 {
                let peers: Vec<_> = (0..PEERS).map(|number| talk(server.port(), round * PEERS + number)).collect();
                while !peers.iter().all(JoinHandle::is_finished) {
                    events.turn(20);
                    turns += 1;
                }
                whole += peers.into_iter().map(|peer| peer.join().expect("no panic")).filter(|whole| *whole).count();
            }
            let never = libc::itimerval { it_interval: interval, it_value: libc::timeval { tv_sec: 0, tv_usec: 0 } };
            assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &never, null_mut()) }, 0);
            storm.store(0, Ordering::Relaxed);
        });
        let signals = CAUGHT.load(Ordering::Relaxed);
        figure(format_args!("{signals} signals in {turns} turns: {whole} of {} echoes whole", 10 * PEERS));
        assert!(signals > 20, "no storm");
        events.settle();
        assert_eq!((whole, accepted.len(), log.count("close")), (10 * PEERS, 10 * PEERS, 10 * PEERS));
        assert!(!log.contains("ioError 2031"));
    });
}

// ---- The clock ------------------------------------------------------------------------------------------------------

/// What is added to the time of day, for the whole process: as if somebody set the clock.
static CLOCK_STEP: AtomicI64 = AtomicI64::new(0);
/// What is added to the clock that cannot be set: as if the time had passed.
static TIME_PASSED: AtomicI64 = AtomicI64::new(0);

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    if result == 0 && clock == libc::CLOCK_REALTIME {
        unsafe { (*time).tv_sec += CLOCK_STEP.load(Ordering::Relaxed) };
    } else if result == 0 && clock == libc::CLOCK_MONOTONIC {
        unsafe { (*time).tv_sec += TIME_PASSED.load(Ordering::Relaxed) };
    }
    result
}

#[test]
fn timers_do_not_heed_the_time_of_day() {
    in_own_process!(|| {
        for step in [-3_600, 3_600] {
            let pair = Pair::new();
            let (start, day) = (Instant::now(), std::time::SystemTime::now());
            ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_TIMEOUT, 300));
            pair.events.turn(50);
            CLOCK_STEP.fetch_add(step, Ordering::Relaxed);
            pair.events.pump_until(|| pair.log.contains("close"));
            let (waited, moved) = (start.elapsed(), std::time::SystemTime::now().duration_since(day));
            assert!(
                moved.is_err() || moved.is_ok_and(|moved| moved > Duration::from_secs(3_000)),
                "the clock stood still"
            );
            figure(format_args!("a step of {step} s: an idle timeout of 300 ms after {} ms", waited.as_millis()));
            assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(20), "{waited:?}");
            assert_eq!(pair.log.take(), ["ioError 2031", "close"]);
        }
    });
}

// ---- Names ----------------------------------------------------------------------------------------------------------

/// A resolver whose servers do not answer: it says so after a while.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    _node: *const libc::c_char,
    _service: *const libc::c_char,
    _hints: *const libc::addrinfo,
    _found: *mut *mut libc::addrinfo,
) -> c_int {
    thread::sleep(Duration::from_millis(1_000));
    libc::EAI_AGAIN
}

#[test]
fn a_dead_resolver_holds_nobody_up_who_needs_no_name() {
    in_own_process!(|| {
        let threads = || std::fs::read_dir("/proc/self/task").expect("/proc").count();
        let events = Loop::new();
        let server = Server::listening(&events);
        on(&server, CONNECT, |event| {
            let socket = event.socket();
            on(socket, SOCKET_DATA, move |_| socket.echo());
        });
        let _accepted = server.keep_accepted();
        let before = threads();
        let failures = Rc::new(Cell::new(0));
        let waiting: Vec<Kept> = (0..200)
            .map(|_| {
                let socket = Socket(ss_socket_new(events.0));
                let failures = failures.clone();
                on(socket, IO_ERROR, move |_| increment(&failures));
                ok(ss_socket_set_timeout(socket.0, 1_500));
                ok(unsafe { ss_socket_connect(socket.0, c"nobody.answers.example".as_ptr(), 80) });
                Kept(socket)
            })
            .collect();
        let port = server.port();
        let quiet = thread::spawn(move || {
            let mut peer = client(&format!("127.0.0.1:{port}"));
            let mut times: Vec<Duration> = (0..500)
                .map(|_| {
                    let start = Instant::now();
                    peer.write_all(b"ping").expect("it writes");
                    peer.read_exact(&mut [0; 4]).expect("it is answered");
                    start.elapsed()
                })
                .collect();
            times.sort();
            times[times.len() * 99 / 100]
        });
        let latency = events.join(quiet);
        let most = threads() - before;
        let start = Instant::now();
        events.pump_until(|| failures.get() == waiting.len());
        figure(format_args!(
            "200 look-ups without an answer: {most} threads, echo p99 meanwhile {latency:?}, all given up after {:?}",
            start.elapsed()
        ));
        // Four at once that somebody waits for; those that are given up go on beside them, within a bound.
        assert!((4..=16).contains(&most), "{most} threads");
        assert!(latency < Duration::from_millis(100), "{latency:?}");
        drop(waiting);
        drop(server);
        ok(ss_loop_run(events.0));
    });
}
