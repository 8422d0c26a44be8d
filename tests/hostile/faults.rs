// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that a server meets in the field and must survive: those that no other file of these tests provokes. Most run
//! in a process of their own, since they count or exhaust what all tests of a process share.

#![cfg(target_os = "linux")]

use server_socket::*;
use socket2::{Domain, SockAddr, Socket as SystemSocket, Type};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::*;

/// Has the sockets that `server` accepts from now on echo.
fn echo(server: &Server) {
    on(server, CONNECT, |event| {
        let socket = event.socket();
        on(socket, SOCKET_DATA, move |_| socket.echo());
    });
}

/// One message there and back.
#[track_caller]
fn converse(events: &Loop, mut peer: &TcpStream) {
    peer.write_all(b"ping").expect("the peer writes");
    assert_eq!(events.receive(peer, 4), b"ping");
}

// ---- Accepting ------------------------------------------------------------------------------------------------------

fn figures_of(server: &Server) -> ss_stats {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
    ok(unsafe { ss_server_stats(server.0, &mut stats) });
    stats
}

/// At the limit of descriptors, for three seconds, while one peer talks and twenty wait.
#[test]
fn without_free_descriptors_peers_wait_others_are_served_and_the_loop_rests() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        echo(&server);
        let (accepted, closed) = (server.keep_accepted(), Log::default());
        on(&server, CLOSE, closed.adds("close"));
        let old = server.client();
        events.pump_until(|| accepted.len() == 1);

        let peers: Vec<TcpStream> = (0..20).map(|_| server.client()).collect();
        let mut taken = take_all_descriptors();
        let busy = percent_busy(&events, 3_000);
        let deferred = figures_of(&server).accept_deferred;
        assert!(busy < 1.0, "{busy} % of a processor");
        assert!((5..=30).contains(&deferred), "{deferred} attempts in three seconds");
        assert_eq!((accepted.len(), closed.len()), (1, 0));
        assert!(server.state().listening);
        converse(&events, &old);

        // One comes free: one more is served, and within a second.
        let start = Instant::now();
        taken.pop();
        events.pump_until(|| accepted.len() == 2);
        let one = start.elapsed();
        let start = Instant::now();
        drop(taken);
        events.pump_until(|| accepted.len() == 21);
        let all = start.elapsed();
        assert!(one < Duration::from_secs(1) && all < Duration::from_secs(1), "{one:?}, {all:?}");
        for peer in &peers {
            converse(&events, peer);
        }
        assert_eq!(closed.len(), 0);
        figure(format_args!(
            "{busy:.2} % of a processor at the limit, {deferred} deferred accepts in 3 s; a peer {} ms after one descriptor \
             came free, the other 19 after {} ms; none lost",
            one.as_millis(),
            all.as_millis()
        ));
    });
}

#[test]
fn while_the_system_has_no_memory_for_new_peers_accepting_is_tried_now_and_then() {
    let (calls, exhausted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let answer = {
        let (calls, exhausted) = (calls.clone(), exhausted.clone());
        move || {
            calls.fetch_add(1, Ordering::SeqCst);
            exhausted.load(Ordering::SeqCst).then_some(libc::ENOBUFS)
        }
    };
    with_failing_call(libc::SYS_accept4, answer, move || {
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        let _peers = [server.client(), server.client()];
        assert_loop_rests(&events, 1_000);
        let tried = calls.load(Ordering::SeqCst);
        assert!((1..=100).contains(&tried), "{tried} attempts in a second");
        exhausted.store(false, Ordering::SeqCst);
        events.pump_until(|| accepted.len() == 2);
    });
}

/// Between two answers of a conversation only a bounded number of new peers is accepted.
#[test]
fn a_flood_of_new_peers_does_not_hold_up_a_conversation() {
    in_own_process!(|| {
        let peers = (raise_descriptor_limit(8_200) as usize - 200) / 2;
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        echo(&server);
        let mut talker = server.client();
        events.pump_until(|| accepted.len() == 1);

        // As many as the system's queue takes without anybody accepting.
        let queue = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("/proc");
        let peers = peers.min(queue.trim().parse().expect("a number"));
        let flood: Vec<TcpStream> = (0..peers).map(|_| server.client()).collect();
        while accepted.len() < 1 + flood.len() {
            let before = accepted.len();
            talker.write_all(b"ping").expect("the peer writes");
            events.turn(0);
            assert!(accepted.len() - before <= 1_000, "{} accepted in one turn", accepted.len() - before);
            talker.read_exact(&mut [0; 4]).expect("the answer came in the same turn");
        }
    });
}

/// Linux leaves peers beyond the backlog in doubt: some believe that they are connected. The library sees only those that
/// the system let through, each of them once, and goes on.
#[test]
fn an_overflowing_backlog_brings_each_peer_once_at_most_and_harms_nobody_later() {
    let events = Loop::new();
    let server = Server::new(&events);
    ok(server.bind(0, c"127.0.0.1"));
    ok(server.listen(1));
    let address: SocketAddr = format!("127.0.0.1:{}", server.port()).parse().expect("an address");
    let peers: Vec<TcpStream> = (0..50)
        .map(|_| {
            let peer = SystemSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            peer.set_nonblocking(true).expect("non-blocking");
            let begun = peer.connect(&SockAddr::from(address)).err();
            assert!(begun.is_none_or(|e| e.raw_os_error() == Some(libc::EINPROGRESS)));
            peer.into()
        })
        .collect();
    let kept = server.keep_accepted();
    events.pump_until(|| kept.len() >= 2);
    events.settle();
    let known: HashSet<i32> = peers.iter().map(|peer| peer.local_addr().expect("an address").port().into()).collect();
    let accepted: Vec<i32> = (0..kept.len()).map(|index| kept.get(index).remote().1).collect();
    let distinct: HashSet<i32> = accepted.iter().copied().collect();
    assert_eq!(distinct.len(), accepted.len(), "a peer came twice");
    assert!(distinct.is_subset(&known));
    figure(format_args!("a backlog of 1, 50 peers: {} connect events, none twice", accepted.len()));

    drop(peers);
    let late = server.client();
    let port = i32::from(late.local_addr().expect("an address").port());
    events.pump_until(|| (0..kept.len()).any(|index| kept.get(index).remote().1 == port));
}

#[test]
fn peers_that_reset_before_they_are_accepted_come_once_and_end_once() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        let (connects, closes) = (shared::<usize>(), shared::<usize>());
        let accepted = server.keep_accepted();
        on(&server, CONNECT, {
            let (connects, closes) = (connects.clone(), closes.clone());
            move |event| {
                assert_eq!(event.socket().remote().0.as_deref(), Some("127.0.0.1"));
                assert_ne!(event.socket().remote().1, 0);
                increment(&connects);
                let closes = closes.clone();
                on(event.socket(), CLOSE, move |_| increment(&closes));
            }
        });
        let before = open_descriptors();
        for _ in 0..5 {
            // Nobody accepts meanwhile.
            (0..200).for_each(|_| reset(server.client()));
            events.pump_until(|| closes.get() == connects.get() && connects.get() % 200 == 0 && connects.get() > 0);
            events.settle();
            accepted.clear();
        }
        figure(format_args!("1,000 peers reset while they wait: {} connects, {} closes", connects.get(), closes.get()));
        assert_eq!((connects.get(), closes.get(), open_descriptors()), (1_000, 1_000, before));
    });
}

/// Each peer wakes both processes, and one of them finds nobody.
#[test]
fn two_processes_that_share_a_listening_socket_share_its_peers_without_an_error() {
    in_own_process!(|| {
        const PEERS: usize = 400;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut ends = [0; 2];
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }, 0);
        let [read, write] = ends.map(|end| unsafe { File::from_raw_fd(end) });
        let serve = |listener: TcpListener, is_over: &mut dyn FnMut() -> bool| {
            let events = Loop::new();
            let server = Server::new(&events);
            let closed = Log::default();
            on(&server, CLOSE, closed.adds("close"));
            ok(ss_adopt(server.0, i64::from(listener.into_raw_fd()), true));
            echo(&server);
            let accepted = server.keep_accepted();
            events.pump_until(is_over);
            assert!(closed.len() == 0 && server.state().listening);
            accepted.len()
        };
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            drop(write);
            // Until the parent closes its end.
            let mut over = || matches!((&read).read(&mut [0]), Ok(0));
            let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| serve(listener, &mut over)));
            // An exit code has eight bits.
            unsafe { libc::_exit(served.map_or(255, |served| (served * 200 / PEERS) as i32)) };
        }
        let clients = thread::spawn(move || {
            for _ in 0..PEERS / 8 {
                let mut peers: Vec<TcpStream> = (0..8).map(|_| client(&format!("127.0.0.1:{port}"))).collect();
                for peer in &mut peers {
                    peer.write_all(b"ping").expect("the peer writes");
                    peer.read_exact(&mut [0; 4]).expect("one of the two answers");
                }
                peers.into_iter().for_each(reset);
            }
        });
        let here = serve(listener, &mut || clients.is_finished());
        clients.join().expect("all were served");
        drop(write);
        let mut status = -1;
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) <= 200, "{status}");
        let there = libc::WEXITSTATUS(status) as usize * PEERS / 200;
        figure(format_args!(
            "{PEERS} peers, {here} served by one process and about {there} by the other: no event but connect"
        ));
        assert!(here > 0 && here < PEERS && here + there <= PEERS);
    });
}

#[test]
fn ten_thousand_denied_peers_leave_neither_descriptors_nor_memory_behind() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        let denied = shared::<usize>();
        on(&server, CONNECT, {
            let denied = denied.clone();
            move |event| {
                increment(&denied);
                ok(event.socket().close());
            }
        });
        let deny = |peers: usize| {
            for _ in 0..peers {
                let (peer, before) = (server.client(), denied.get());
                events.pump_until(|| denied.get() > before);
                reset(peer);
            }
        };
        deny(500);
        let (descriptors, memory) = (open_descriptors(), resident_memory());
        deny(10_000);
        assert_eq!(open_descriptors(), descriptors);
        let grown = resident_memory().saturating_sub(memory);
        figure(format_args!(
            "10,000 peers closed in their connect event: {descriptors} descriptors as before, {grown} bytes more"
        ));
        assert!(grown < 2_000_000, "{grown} bytes");
    });
}

#[test]
fn a_restarted_server_gets_its_port_while_old_connections_linger_or_live() {
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let living = server.client();
    events.pump_until(|| accepted.len() == 1);
    let port = port_with_a_lingering_connection(&events, server);

    let start = Instant::now();
    let again = Server::new(&events);
    ok(again.bind(port, c"127.0.0.1"));
    ok(again.listen(0));
    let took = start.elapsed();
    figure(format_args!("bound again in {took:?} with one connection in TIME_WAIT and one alive"));
    assert!(took < Duration::from_millis(50), "{took:?}");
    let newcomers = again.keep_accepted();
    let _peer = again.client();
    events.pump_until(|| newcomers.len() == 1);
    ok(accepted.get(0).write(b"alive"));
    assert_eq!(events.receive(&living, 5), b"alive");
}

/// What makes the first bind possible must not make a second one possible.
#[test]
fn a_port_with_lingering_connections_goes_to_one_server_only() {
    let events = Loop::new();
    let port = port_with_a_lingering_connection(&events, Server::listening(&events));
    let (first, second) = (Server::new(&events), Server::new(&events));
    ok(first.bind(port, c"127.0.0.1"));
    fails_with(second.bind(port, c"127.0.0.1"), SS_ERR_IO, 2002, libc::EADDRINUSE);
    ok(first.listen(0));
    fails_with(second.bind(port, c"127.0.0.1"), SS_ERR_IO, 2002, libc::EADDRINUSE);
}

/// Ends `server`, of which a connection is left that waits for stray packets, as that does which closes first.
fn port_with_a_lingering_connection(events: &Loop, server: Server) -> i32 {
    let accepted = server.keep_accepted();
    let peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    ok(accepted.last().close());
    assert_eq!(events.receive_to_end(&peer), (vec![], None));
    server.state().port
}

/// What echoing takes a quiet client while `disturb` goes on: the times of its messages, sorted. The client says little,
/// on a thread of its own, and the loop runs on another one.
fn echo_times(port: u16, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Duration>> {
    thread::spawn(move || {
        let mut peer = client(&format!("127.0.0.1:{port}"));
        peer.set_nodelay(true).expect("an option");
        let mut times = Vec::new();
        while !stop.load(Ordering::SeqCst) || times.len() < 100 {
            let start = Instant::now();
            peer.write_all(b"ping").expect("the peer writes");
            peer.read_exact(&mut [0; 4]).expect("it is answered");
            times.push(start.elapsed());
            thread::sleep(Duration::from_millis(1));
        }
        times.sort();
        times
    })
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Where others use the processors as well, no program answers quickly for certain: it is enough that one of a few attempts
/// does, or that a turn of the loop, which is what a quiet client has to wait for, never took half of that time in any.
#[track_caller]
fn is_quick(what: &str, attempt: impl Fn() -> (Vec<Duration>, Duration)) {
    let limit = Duration::from_millis(20);
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let (times, turn) = attempt();
        longest = longest.max(turn);
        let (median, p99) = (percentile(&times, 50), percentile(&times, 99));
        let worst = times[times.len() - 1];
        figure(format_args!(
            "{what}: a quiet client's echo takes {median:?}, p99 {p99:?}, at most {worst:?} ({} messages); the longest turn \
             computes for {turn:?}",
            times.len()
        ));
        if p99 < limit {
            return;
        }
    }
    assert!(longest < limit / 2, "{what}: a quiet client waits too long");
}

#[test]
fn a_flood_of_five_thousand_peers_leaves_a_quiet_client_quick() {
    in_own_process!(|| {
        let peers = 5_000.min((raise_descriptor_limit(10_200) as usize - 200) / 2);
        is_quick("5,000 peers connect", || {
            let events = Loop::new();
            let server = Server::listening(&events);
            echo(&server);
            let accepted = server.keep_accepted();
            let stop = Arc::new(AtomicBool::new(false));
            let quiet = echo_times(server.port(), stop.clone());
            events.pump_until(|| accepted.len() == 1);
            let port = server.port();
            let flood = thread::spawn(move || {
                let address = format!("127.0.0.1:{port}");
                (0..peers).map(|_| client(&address)).collect::<Vec<TcpStream>>()
            });
            let longest = events.longest_turn_until(|| accepted.len() == 1 + peers);
            stop.store(true, Ordering::SeqCst);
            let times = events.join(quiet);
            events.join(flood).into_iter().for_each(reset);
            (times, longest)
        });
    });
}

#[test]
fn peers_that_send_and_read_without_pause_leave_a_quiet_client_quick_and_timers_on_time() {
    in_own_process!(|| {
        is_quick("4 peers pour", || {
            let events = Loop::new();
            let server = Server::listening(&events);
            // On a busy machine one that reads late may have much to come.
            ok(ss_set_option(server.0.cast(), SS_OPT_WRITE_LIMIT, i32::MAX.into()));
            echo(&server);
            let accepted = server.keep_accepted();
            let stop = Arc::new(AtomicBool::new(false));
            let quiet = echo_times(server.port(), stop.clone());
            // It says nothing, and is given up in time.
            let idle = server.client();
            events.pump_until(|| accepted.len() == 2);
            let port = server.port();
            let firehoses: Vec<_> = (0..4).map(|_| pour(port, stop.clone())).collect();
            let silent = (0..2).map(|index| accepted.get(index));
            let silent = silent.min_by_key(|socket| socket.remote().1 != local_port(&idle)).expect("two");
            let ended = Rc::new(Cell::new(None));
            on(silent, IO_ERROR, {
                let ended = ended.clone();
                move |_| ended.set(Some(Instant::now()))
            });
            let start = Instant::now();
            ok(ss_set_option(silent.0.cast(), SS_OPT_IDLE_TIMEOUT, 1_000));
            let longest = events.longest_turn_until(|| start.elapsed() > Duration::from_secs(2));
            let after = ended.get().expect("the silent one was given up").duration_since(start);
            figure(format_args!("an idle timeout of 1 s came after {} ms", after.as_millis()));
            stop.store(true, Ordering::SeqCst);
            let poured: u64 = firehoses.into_iter().map(|firehose| events.join(firehose)).sum();
            figure(format_args!("{} MB poured in and came back meanwhile", poured / 1_000_000));
            (events.join(quiet), longest)
        });
    });
}

/// A reader that is as quick as the loop could keep it busy for as long as there is something to send.
#[test]
fn a_turn_sends_a_bounded_part_to_a_quick_reader() {
    let sent = pattern(60_000_000);
    let mut most = 0;
    for _ in 0..10 {
        let pair = Pair::new();
        let (mut peer, length) = (pair.peer.try_clone().expect("a second handle"), sent.len());
        ok(pair.socket.write(&sent));
        let reader = thread::spawn(move || {
            let (mut read, mut room) = (0, vec![0; 1 << 20]);
            while read < length {
                read += peer.read(&mut room).expect("the peer reads");
            }
        });
        pair.events.pump_until(|| {
            let before = pair.socket.pending();
            pair.events.turn(0);
            most = most.max(before - pair.socket.pending());
            pair.socket.pending() == 0
        });
        pair.events.join(reader);
    }
    figure(format_args!("60 MB for a quick reader: at most {most} bytes in a turn"));
    assert!(most <= 8 << 20, "{most} bytes in one turn");
}

fn local_port(peer: &TcpStream) -> i32 {
    peer.local_addr().expect("an address").port().into()
}

/// Sends without pause, and reads what comes back: how much that was.
fn pour(port: u16, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut peer = client(&format!("127.0.0.1:{port}"));
        let mut writer = peer.try_clone().expect("a second handle");
        let writing = thread::spawn(move || {
            let part = vec![0; 1 << 18];
            while !stop.load(Ordering::SeqCst) && writer.write_all(&part).is_ok() {}
            let _ = writer.shutdown(Shutdown::Write);
        });
        let (mut read, mut buffer) = (0, vec![0; 1 << 18]);
        while let Ok(length @ 1..) = peer.read(&mut buffer) {
            read += length as u64;
        }
        writing.join().expect("it does not panic");
        read
    })
}

// ---- Peers ----------------------------------------------------------------------------------------------------------

#[test]
fn input_that_the_program_does_not_read_is_bounded_and_goes_on_without_loss() {
    const LIMIT: usize = 1 << 20;
    let pair = Pair::new();
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_READ_LIMIT, LIMIT as i64));
    let sent = pattern(30_000_000);
    let done = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (mut peer, sent, done) = (pair.peer.try_clone().expect("a second handle"), sent.clone(), done.clone());
        move || {
            peer.write_all(&sent).expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("a FIN");
            done.store(true, Ordering::SeqCst);
        }
    });
    pair.pump_until_available(LIMIT);
    pair.events.settle();
    assert_eq!(pair.socket.available(), LIMIT);
    assert_loop_rests(&pair.events, 300);
    assert!(!done.load(Ordering::SeqCst), "the peer was not held up");

    let mut received = Vec::new();
    let mut random = Random(24);
    pair.events.pump_until(|| {
        assert!(pair.socket.available() <= LIMIT);
        received.extend(pair.socket.read(random.below(2 * LIMIT)));
        received.len() == sent.len()
    });
    pair.events.join(writer);
    assert_same_bytes(&received, &sent);
    figure(format_args!(
        "30 MB for a program that reads late: never more than {LIMIT} bytes unread, all of them arrive"
    ));
    pair.events.pump_until(|| pair.log.contains("close"));
}

/// Who waits for the rest of a message leaves all of it unread, which is no reason for a warning.
#[test]
fn a_listener_that_waits_for_more_is_not_warned_of() {
    in_own_process!(|| {
        let messages = Messages::record();
        let pair = Pair::new();
        ok(ss_set_option(pair.socket.object(), SS_OPT_READ_LIMIT, 1_000));
        for length in [1, 500, 999, 1_000] {
            pair.send(&vec![0; length - pair.socket.available()]);
            pair.pump_until_available(length);
            pair.events.settle();
            let warnings = messages.about(SS_LOG_WARNING, "SS_OPT_READ_LIMIT").len();
            assert_eq!(warnings, usize::from(length == 1_000), "{length} bytes");
        }
    });
}

/// The end of a peer is behind its last byte, also if the program has reading paused.
#[test]
fn close_waits_until_input_that_is_paused_has_been_delivered() {
    let pair = Pair::new();
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_READ_LIMIT, 1 << 20));
    let sent = pattern(3_000_000);
    let writer = thread::spawn({
        let (mut peer, sent) = (pair.peer.try_clone().expect("a second handle"), sent.clone());
        move || {
            peer.write_all(&sent).expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("a FIN");
        }
    });
    pair.pump_until_available(1 << 20);
    ok(ss_socket_pause(pair.socket.0.0));
    pair.events.settle();
    assert!(!pair.log.contains("close"));
    ok(ss_socket_resume(pair.socket.0.0));
    let mut received = Vec::new();
    pair.events.pump_until(|| {
        if !pair.log.contains("close") {
            received.extend(pair.socket.read(100_000));
        }
        pair.log.contains("close")
    });
    received.extend(pair.socket.read_all());
    pair.events.join(writer);
    assert_same_bytes(&received, &sent);
}

#[test]
fn unsent_output_of_peers_that_never_read_takes_the_memory_it_needs_and_no_more() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        let _deaf: Vec<TcpStream> = (0..10).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == 10);
        let part = pattern(100_000);
        let before = resident_memory();
        for _ in 0..150 {
            for index in 0..accepted.len() {
                ok(accepted.get(index).write(&part));
            }
            events.turn(0);
        }
        let pending: usize = (0..accepted.len()).map(|index| accepted.get(index).pending()).sum();
        let grown = resident_memory().saturating_sub(before);
        assert!(pending > 0);
        assert!(grown < pending + pending / 2 + 5_000_000, "{grown} bytes for {pending}");
    });
}

/// However much some peers send, what a quiet one says is heard in one of the next two turns.
#[test]
fn peers_that_send_without_pause_do_not_hold_up_quiet_ones() {
    let events = Loop::new();
    let server = Server::listening(&events);
    let kept = server.keep_accepted();
    let (heard, poured) = (shared::<usize>(), shared::<u64>());
    on(&server, CONNECT, {
        let (heard, poured) = (heard.clone(), poured.clone());
        move |event| {
            let socket = event.socket();
            let (heard, poured) = (heard.clone(), poured.clone());
            on(socket, SOCKET_DATA, move |event| {
                if event.bytes_loaded() == 1 {
                    increment(&heard);
                }
                poured.set(poured.get() + event.bytes_loaded());
                ok(socket.skip(socket.available()));
            });
        }
    });
    let quiet: Vec<TcpStream> = (0..50).map(|_| server.client()).collect();
    events.pump_until(|| kept.len() == quiet.len());
    let stop = Arc::new(AtomicBool::new(false));
    let port = server.port();
    let firehoses: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut peer = client(&format!("127.0.0.1:{port}"));
                let part = vec![0; 1 << 20];
                while !stop.load(Ordering::SeqCst) {
                    peer.write_all(&part).expect("the peer writes");
                }
            })
        })
        .collect();
    events.pump_until(|| poured.get() > 10_000_000);
    for _ in 0..20 {
        for mut peer in &quiet {
            let before = heard.get();
            peer.write_all(b"x").expect("the peer writes");
            events.turn(0);
            if heard.get() == before {
                events.turn(0);
            }
            assert_eq!(heard.get(), before + 1);
        }
    }
    stop.store(true, Ordering::SeqCst);
    for firehose in firehoses {
        events.join(firehose);
    }
}

/// A turn takes 1,024 connections from the system at most, and as many that the loop has in line itself. Nobody else is passed over.
#[test]
fn a_turn_serves_a_bounded_number_of_connections_and_the_others_in_the_next() {
    in_own_process!(|| {
        const IN_A_TURN: usize = 1_024;
        const MANY: usize = 1_500;
        raise_descriptor_limit(2 * MANY as u64 + 200);
        let events = Loop::new();
        let server = Server::listening(&events);
        let (accepted, heard) = (server.keep_accepted(), shared::<usize>());
        let peers: Vec<TcpStream> = (0..MANY)
            .map(|number| {
                let peer = server.client();
                events.pump_until(|| accepted.len() > number);
                let (socket, heard) = (accepted.last(), heard.clone());
                on(socket, SOCKET_DATA, move |_| heard.set(heard.get() + socket.read_all().len()));
                peer
            })
            .collect();
        events.settle();
        let all_send = || {
            heard.set(0);
            for (number, mut peer) in peers.iter().enumerate() {
                peer.write_all(b"x").expect("it writes");
                while held_by_kernel(accepted.get(number)) == 0 {
                    thread::yield_now();
                }
            }
        };
        let two_turns_serve_all = |what: &str| {
            events.turn(0);
            assert_eq!(heard.get(), IN_A_TURN, "{what}");
            events.turn(0);
            assert_eq!(heard.get(), MANY, "{what}");
        };
        all_send();
        two_turns_serve_all("the system names them");
        (0..MANY).for_each(|number| ok(ss_socket_pause(accepted.get(number).0)));
        all_send();
        events.settle();
        assert_eq!(heard.get(), 0, "who is paused is not read from");
        (0..MANY).for_each(|number| ok(ss_socket_resume(accepted.get(number).0)));
        two_turns_serve_all("they are in line");
    });
}

/// A thousand peers that never read get what they may have, and no more; another one talks on as if alone.
#[test]
fn a_thousand_peers_that_never_read_take_bounded_memory_and_hold_nobody_up() {
    in_own_process!(|| {
        const LIMIT: usize = 192 * 1024;
        let deaf = 1_000.min((raise_descriptor_limit(2_300) as usize - 200) / 2);
        let events = Loop::new();
        let server = Server::listening(&events);
        ok(ss_set_option(server.0.cast(), SS_OPT_WRITE_LIMIT, LIMIT as i64));
        let accepted = server.keep_accepted();
        let _deaf: Vec<TcpStream> = (0..deaf)
            .map(|_| {
                let (peer, before) = (server.client(), accepted.len());
                events.pump_until(|| accepted.len() > before);
                small_buffers(accepted.last(), &peer);
                peer
            })
            .collect();
        let before = resident_memory();
        let part = pattern(10_000);
        let mut taken = 0;
        // Until none of them takes more, though the system has taken what it wants.
        let mut full = 0;
        while full < deaf {
            full = 0;
            for index in 0..deaf {
                match accepted.get(index).write(&part) {
                    SS_OK => taken += part.len(),
                    status => {
                        assert_eq!(status, SS_ERR_FULL);
                        full += 1;
                    }
                }
            }
            events.turn(0);
        }
        let pending: usize = (0..deaf).map(|index| accepted.get(index).pending()).sum();
        let grown = resident_memory().saturating_sub(before);
        let mut talker = server.client();
        events.pump_until(|| accepted.len() == deaf + 1);
        let socket = accepted.last();
        on(socket, SOCKET_DATA, move |_| socket.echo());
        let (mut turns, spent) = (0, thread_cpu_time());
        for _ in 0..1_000 {
            talker.write_all(b"ping").expect("the peer writes");
            while socket.pending() == 0 && turns < 10_000 {
                turns += 1;
                if events.turn(100) > 0 {
                    break;
                }
            }
            talker.read_exact(&mut [0; 4]).expect("it is answered");
        }
        let each = (thread_cpu_time() - spent) / 1_000;
        figure(format_args!(
            "{deaf} peers that read nothing were given {} MB: {} MB of them pending here, in {} MB of memory; another one's \
             echo takes {turns} turns for 1,000 messages and {each:?} of the loop's thread",
            taken / 1_000_000,
            pending / 1_000_000,
            grown / 1_000_000
        ));
        assert!(pending > 0 && pending <= deaf * LIMIT);
        assert!(grown < deaf * LIMIT * 3 / 2 + 5_000_000, "{grown} bytes");
        assert!(turns <= 2_000, "{turns} turns");
    });
}

fn small_buffers(socket: Socket, peer: &TcpStream) {
    socket2::SockRef::from(&system_socket(socket)).set_send_buffer_size(8_192).expect("an option");
    socket2::SockRef::from(peer).set_recv_buffer_size(8_192).expect("an option");
}

/// The peer moves a byte every 20 ms until the connection is given up. Returns when that was, in words.
#[track_caller]
fn trickle_until_given_up(pair: &Pair, move_one: impl Fn(&TcpStream)) -> String {
    let (start, mut moved) = (Instant::now(), 0);
    pair.events.pump_until(|| {
        if start.elapsed() > Duration::from_millis(20 * moved) {
            moved += 1;
            move_one(&pair.peer);
        }
        pair.log.contains("close")
    });
    format!("given up after {} ms and {moved} bytes", start.elapsed().as_millis())
}

/// One byte now and then opens no window: nothing moves, and the idle timeout ends it.
#[test]
fn a_peer_that_reads_a_byte_now_and_then_is_given_up_after_the_idle_timeout() {
    let pair = Pair::new();
    small_buffers(*pair.socket, &pair.peer);
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_WRITE_LIMIT, 1 << 20));
    ok(pair.socket.write(&pattern(1 << 20)));
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_TIMEOUT, 500));
    let given_up = trickle_until_given_up(&pair, |mut peer| peer.read_exact(&mut [0]).expect("there is enough"));
    figure(format_args!("a byte every 20 ms, idle timeout 500 ms: {given_up}"));
    assert_eq!(pair.log.take(), ["ioError 2031", "close"]);
}

/// Unless more is asked of it than a byte.
/// What the kernel takes at the last moment is no progress, nor is its peer's answer to a probe of the shut window.
#[test]
fn a_peer_that_reads_nothing_is_given_up_when_its_time_is_over_and_not_much_later() {
    const TIME: Duration = Duration::from_secs(2);
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let _peers = [server.client(), server.client()];
    events.pump_until(|| accepted.len() == 2);
    let (closed, open) = (accepted.get(0), accepted.get(1));
    let start = Instant::now();
    for (socket, option) in [(closed, SS_OPT_LINGER), (open, SS_OPT_IDLE_TIMEOUT)] {
        ok(socket.write(&pattern(8_000_000)));
        ok(ss_set_option(socket.0.cast(), option, TIME.as_millis() as i64));
    }
    ok(closed.close());
    let mut after = [Duration::ZERO; 2];
    events.rest_until(|| {
        let figures = server.figures();
        for (after, left) in after.iter_mut().zip([figures.lingering, figures.open]) {
            if after.is_zero() && left == 0 {
                *after = start.elapsed();
            }
        }
        !after.contains(&Duration::ZERO)
    });
    figure(format_args!(
        "8 MB for peers that read nothing, {TIME:?} for progress: given up after {} ms when closed, {} ms when open",
        after[0].as_millis(),
        after[1].as_millis()
    ));
    // What the peer has acknowledged is asked for when the time is over: it may be up to twice the time, and a bit on a busy machine.
    for after in after {
        assert!((TIME..TIME * 3).contains(&after), "{after:?}");
    }
}

#[test]
fn a_peer_that_sends_a_byte_now_and_then_is_given_up_where_more_is_asked_of_it() {
    let pair = Pair::new();
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_BYTES, 1_000));
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_TIMEOUT, 500));
    let given_up = trickle_until_given_up(&pair, |mut peer| {
        // Nobody takes it when the connection has just been given up.
        let _ = peer.write(&[7]);
    });
    figure(format_args!("a byte every 20 ms, 1,000 wanted in 500 ms: {given_up}"));
    assert!(pair.log.take().ends_with(&["ioError 2031".into(), "close".into()]));
}

/// Who sends a byte now and then is not idle: it costs its bytes, no more, and is the program's to end.
#[test]
fn a_peer_that_sends_a_byte_now_and_then_costs_a_descriptor_and_can_be_ended() {
    in_own_process!(|| {
        let pair = Pair::new();
        let before = (open_descriptors(), resident_memory());
        for _ in 0..200 {
            pair.send(b"x");
            pair.events.turn(5);
        }
        assert_eq!(pair.socket.available(), 200);
        let grown = resident_memory().saturating_sub(before.1);
        ok(pair.socket.abort());
        figure(format_args!("200 bytes, one by one, unread: {grown} bytes of memory; ended by ss_socket_abort"));
        assert!(grown < 1_000_000);
        assert_eq!(open_descriptors(), before.0 - 1);
        assert_eq!(pair.events.receive_to_end(&pair.peer).1, Some(ErrorKind::ConnectionReset));
    });
}

/// No new peers, what is under way is finished, and who does not listen is cut off at the deadline.
#[test]
fn a_server_that_goes_down_delivers_what_is_under_way_and_cuts_stragglers_off_at_the_deadline() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        ok(ss_set_option(server.0.cast(), SS_OPT_LINGER, 1_500));
        let accepted = server.keep_accepted();
        let peers: Vec<TcpStream> = (0..20).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == 20);
        let answer = Arc::new(pattern(8_000_000));
        let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
        ok(server.close());
        for index in 0..20 {
            ok(accepted.get(index).write(&answer));
            ok(accepted.get(index).close());
        }
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let mut peers = peers.into_iter();
        let readers: Vec<_> = peers
            .by_ref()
            .take(15)
            .map(|mut peer| {
                let answer = answer.clone();
                thread::spawn(move || {
                    let mut received = Vec::new();
                    peer.read_to_end(&mut received).expect("no reset");
                    received == *answer
                })
            })
            .collect();
        let stragglers: Vec<TcpStream> = peers.collect();
        let (start, _watchdog) = (Instant::now(), Watchdog::new());
        ok(ss_loop_run(events.0));
        let over = start.elapsed();
        let whole = readers.into_iter().map(|reader| reader.join().expect("no panic")).filter(|whole| *whole).count();
        figure(format_args!(
            "{whole} of 15 readers got their 8 MB whole; {} that did not read were cut off after {} ms (deadline 1500)",
            stragglers.len(),
            over.as_millis()
        ));
        assert_eq!(whole, 15);
        assert!((Duration::from_millis(1_400)..Duration::from_millis(2_500)).contains(&over), "{over:?}");
    });
}

#[test]
fn writing_to_a_peer_that_is_gone_raises_no_signal_and_leaves_the_hosts_handling_alone() {
    in_own_process!(|| {
        let handling = || {
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            assert_eq!(unsafe { libc::sigaction(libc::SIGPIPE, null_mut(), &mut action) }, 0);
            action.sa_sigaction
        };
        // Rust ignores the signal; a C program dies of it.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for end in [drop, reset] {
            let Pair { socket, peer, events, server: _server, log } = Pair::new();
            end(peer);
            // Not yet noticed by the loop. The first write tells the system that the peer is gone, the second raises
            // the signal.
            for _ in 0..3 {
                either_way(socket.write(b"anybody there?"));
                either_way(socket.flush());
            }
            events.pump_until(|| log.contains("close"));
        }
        assert_eq!(handling(), libc::SIG_DFL);
    });
}

#[test]
fn ten_thousand_idle_connections_cost_nothing_and_all_of_them_answer() {
    in_own_process!(|| {
        // Both ends are ours, so that each takes two descriptors.
        let connections = (raise_descriptor_limit(20_100) as usize - 100) / 2;
        if connections < 1_000 {
            return skipped("this machine allows too few descriptors");
        }
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        echo(&server);
        let mut peers: Vec<TcpStream> = Vec::new();
        let before = resident_memory();
        while peers.len() < connections {
            let more = (connections - peers.len()).min(100);
            peers.extend((0..more).map(|_| server.client()));
            events.pump_until(|| accepted.len() == peers.len());
        }
        events.settle();
        let memory = resident_memory().saturating_sub(before);
        let idle = percent_busy(&events, 500);
        assert!(idle < 1.0, "{idle} % of a processor");
        assert!(memory / connections < 1_024, "{} bytes for each connection", memory / connections);
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.write_all(&index.to_le_bytes()).expect("the peer writes");
        }
        let mut answered = 0;
        while answered < peers.len() {
            // Every one is answered at once or in a later turn; the answers are read in order.
            events.turn(1);
            while answered < peers.len() && accepted.get(answered).pending() == 0 {
                let answer = events.receive(&peers[answered], size_of::<usize>());
                assert_eq!(answer, answered.to_le_bytes());
                answered += 1;
            }
        }
        figure(format_args!(
            "{connections} connections, all answered; idle they cost {idle:.2} % of a processor and {} bytes each with their \
             peers' ends, which are this process' own",
            memory / connections
        ));
    });
}

/// Silence counts from when the timeout is set at the earliest, however long ago the last turn was.
#[test]
fn an_idle_timeout_that_is_set_long_after_the_last_turn_is_given_its_time() {
    let pair = Pair::new();
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_TIMEOUT, 200));
    pair.events.pump_until(|| pair.log.contains("close"));
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
}

/// The host does something else for longer than the idle timeout, during which the peer speaks, or after which the host
/// answers before the loop turns again: nobody was silent for too long.
#[test]
fn a_host_that_was_busy_does_not_take_its_peer_for_a_silent_one() {
    for peer_speaks in [true, false] {
        let pair = Pair::new();
        pair.events.turn(0);
        ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_IDLE_TIMEOUT, 200));
        if peer_speaks {
            pair.send(b"word");
        }
        thread::sleep(Duration::from_millis(300));
        if !peer_speaks {
            ok(pair.socket.write(b"word"));
            ok(pair.socket.flush());
        }
        pair.events.turn(0);
        pair.events.turn(0);
        assert!(pair.socket.connected(), "the peer speaks: {peer_speaks}");
        pair.events.pump_until(|| pair.log.contains("close"));
    }
}

// ---- The process ----------------------------------------------------------------------------------------------------

/// A process' sockets, pollers and the like, each by its number. Files that a program opens as it starts do not matter.
fn descriptors_of(process: u32) -> HashSet<(OsString, PathBuf)> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).expect("/proc");
    let described = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.file_name(), entry.path().read_link().ok()?))
    });
    described.filter(|(_, behind)| !behind.starts_with("/")).collect()
}

#[test]
fn a_program_started_in_a_listener_inherits_nothing_and_does_not_keep_the_port() {
    in_own_process!(|| {
        // What this process itself was started with is not ours.
        let given = descriptors_of(std::process::id());
        let events = Loop::new();
        let server = Server::listening(&events);
        let kept = server.keep_accepted();
        let child = Rc::new(RefCell::new(None));
        on(&server, CONNECT, {
            let child = child.clone();
            move |_| {
                let null = Stdio::null;
                let sleep = Command::new("sleep").arg("600").stdin(null()).stdout(null()).stderr(null()).spawn();
                *child.borrow_mut() = Some(sleep.expect("coreutils"));
            }
        });
        let _peer = server.client();
        events.pump_until(|| child.borrow().is_some());
        let mut child = child.take().expect("it was started");
        let inherited: Vec<_> = descriptors_of(child.id()).difference(&given).cloned().collect();

        let port = i32::from(server.port());
        ok(server.close());
        let again = Server::new(&events);
        let rebound = again.bind(port, c"127.0.0.1");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        assert!(inherited.is_empty(), "{inherited:?}");
        assert_eq!(rebound, SS_OK);
        assert!(kept.last().connected());
    });
}

/// How many descriptors are in the loop's poll set.
fn watched(events: &Loop) -> usize {
    let mut descriptor = -1;
    ok(unsafe { ss_loop_fd(events.0, &mut descriptor) });
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).expect("/proc");
    text.lines().filter(|line| line.starts_with("tfd:")).count()
}

/// A child of a fork holds copies of all descriptors, which keeps connections open and in the poll set.
#[test]
fn a_socket_closed_while_a_forked_child_holds_it_is_closed_for_the_peer_and_brings_no_ghosts() {
    in_own_process!(|| {
        let pair = Pair::new();
        let mut ends = [0; 2];
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        let [wait, go] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // The child keeps its copies until the parent lets it go; nothing here may allocate.
            unsafe {
                libc::close(go.as_raw_fd());
                let mut byte = 0_u8;
                libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
        }
        let before = watched(&pair.events);
        ok(pair.socket.close());
        assert_eq!(watched(&pair.events), before - 1);
        assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
        for _ in 0..10 {
            // It may be refused: what counts is that the loop hears nothing of it.
            let _ = (&pair.peer).write_all(b"ghost");
        }
        assert_loop_rests(&pair.events, 300);
        pair.events.settle();
        assert_eq!(pair.log.len(), 0);
        drop(go);
        let mut status = -1;
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
    });
}

#[test]
fn a_duplicate_that_the_host_made_of_a_closed_socket_brings_no_ghosts() {
    in_own_process!(|| {
        let pair = Pair::new();
        let _duplicate = system_socket(*pair.socket).try_clone_to_owned().expect("a duplicate");
        ok(pair.socket.close());
        for _ in 0..10 {
            pair.send(b"ghost");
            assert_eq!(pair.events.turn(1), 0);
        }
        assert_loop_rests(&pair.events, 300);
        assert_eq!(pair.log.len(), 0);
    });
}

// ---- A host that closes what is not its own -------------------------------------------------------------------------

/// Closes the descriptor behind `object` and gives its number to a file that is none of the library's business.
fn steal_descriptor(object: impl Object) -> File {
    let number = system_socket(object).as_raw_fd();
    assert_eq!(unsafe { libc::close(number) }, 0);
    let stranger = File::open("/proc/self/status").expect("/proc");
    assert_eq!(stranger.as_raw_fd(), number, "the lowest free number");
    stranger
}

#[track_caller]
fn is_unharmed(mut stranger: &File) {
    let mut text = String::new();
    stranger.read_to_string(&mut text).expect("it is still open");
    assert!(text.starts_with("Name:"));
}

#[test]
fn a_server_whose_descriptor_the_host_closed_gets_one_close_event_and_closes_no_strangers() {
    in_own_process!(|| {
        let events = Loop::new();
        let server = Server::listening(&events);
        let log = Log::default();
        on(&server, CONNECT, log.adds("connect"));
        on(&server, CLOSE, log.adds("close"));
        let stranger = steal_descriptor(&server);
        events.pump_until(|| log.len() > 0);
        assert_loop_rests(&events, 300);
        assert_eq!(log.take(), ["close"]);
        assert_eq!(server.state(), unbound());
        drop(server);
        drop(events);
        is_unharmed(&stranger);
    });
}

#[test]
fn a_socket_whose_descriptor_the_host_closed_ends_when_it_is_used_and_closes_no_strangers() {
    in_own_process!(|| {
        let Pair { socket, peer: _peer, log, events, server: _server } = Pair::new();
        let stranger = steal_descriptor(*socket);
        ok(socket.write(b"into nothing"));
        events.pump_until(|| log.contains("close"));
        assert_loop_rests(&events, 300);
        assert_eq!(log.take(), ["ioError 2031", "close"]);
        drop(socket);
        drop(events);
        is_unharmed(&stranger);
    });
}

/// Without any turn or use in between. The number is free then, so that nobody else is harmed.
#[test]
fn releasing_what_the_host_has_closed_behind_our_back_is_harmless() {
    in_own_process!(|| {
        let Pair { socket, peer: _peer, server, events, .. } = Pair::new();
        for number in [system_socket(*socket).as_raw_fd(), system_socket(&server).as_raw_fd()] {
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
        drop(socket);
        drop(server);
        let next = Server::listening(&events);
        let accepted = next.keep_accepted();
        let _peer = next.client();
        events.pump_until(|| accepted.len() == 1);
    });
}
