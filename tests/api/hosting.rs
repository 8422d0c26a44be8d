// SPDX-License-Identifier: MIT OR Apache-2.0
//! What concerns the host's process: adopted descriptors, forks, programs that are started, figures and the log.
#![cfg(unix)]

use crate::{listening, serving};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

use server_socket::*;

// ---- Adopted descriptors --------------------------------------------------------------------------------------------

fn is_open(fd: i32) -> bool {
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

fn bound_socket() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket
}

#[test]
fn a_listening_descriptor_is_taken_over_with_those_who_wait_at_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut early = client(&format!("127.0.0.1:{port}"));
    let fd = listener.into_raw_fd();
    unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }; // as an activated process gets it

    let events = Loop::new();
    let server = Server::new(&events);
    let accepted = server.keep_accepted();
    ok(ss_adopt(server.0, fd.into(), true));
    let expected = ServerState { bound: true, listening: true, address: Some("127.0.0.1".into()), port: port.into() };
    assert_eq!(server.state(), expected);
    assert_eq!(native_handle(&server), Some(fd.into()), "the very descriptor");
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK, libc::O_NONBLOCK);
    let _late = server.client();
    events.pump_until(|| accepted.len() == 2);
    ok(accepted.get(0).write(b"served"));
    events.settle();
    let mut answer = [0; 6];
    early.read_exact(&mut answer).expect("an answer");
    ok(server.close());
    assert!(!is_open(fd));
}

#[test]
fn a_bound_descriptor_is_taken_over_and_listens_when_it_is_told_to() {
    let events = Loop::new();
    let server = Server::new(&events);
    let accepted = server.keep_accepted();
    ok(ss_adopt(server.0, bound_socket().into_raw_fd().into(), false));
    assert!(server.state().bound && !server.state().listening);
    fails(server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
    ok(server.listen(0));
    let _peer = server.client();
    events.pump_until(|| accepted.len() == 1);
}

#[test]
fn what_cannot_be_adopted_stays_the_callers_as_it_was() {
    let events = Loop::new();
    let listening: OwnedFd = TcpListener::bind("127.0.0.1:0").expect("a port").into();
    let bound: OwnedFd = bound_socket().into();
    let unbound: OwnedFd =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket").into();
    let udp: OwnedFd = UdpSocket::bind("127.0.0.1:0").expect("a port").into();
    for (fd, as_listening) in [(&listening, false), (&bound, true), (&unbound, false), (&udp, false)] {
        let server = Server::new(&events);
        fails(ss_adopt(server.0, fd.as_raw_fd().into(), as_listening), SS_ERR_ARGUMENT, 2004);
        assert_eq!(server.state(), unbound_state());
        assert!(is_open(fd.as_raw_fd()));
        assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK, 0);
        ok(server.bind(0, c"127.0.0.1")); // the server is none the worse
    }
    let server = Server::new(&events);
    for number in [-1, i64::MAX, i64::MIN, 1_000_000] {
        fails_with(ss_adopt(server.0, number, true), SS_ERR_IO, 2002, libc::EBADF);
    }
    ok(server.bind(0, c"127.0.0.1"));
    fails(ss_adopt(server.0, listening.as_raw_fd().into(), true), SS_ERR_IO, 2002);
    ok(server.close());
    fails(ss_adopt(server.0, listening.as_raw_fd().into(), true), SS_ERR_IO, 2002);
}

#[test]
fn what_is_no_listening_socket_is_called_by_its_name_and_stays_the_callers() {
    let events = Loop::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut caller = client(&listener.local_addr().expect("an address").to_string());
    let (mut connection, _) = listener.accept().expect("one waits");
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let [reader, _writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    let udp: OwnedFd = UdpSocket::bind("127.0.0.1:0").expect("a port").into();
    let (end, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let offered: [(OwnedFd, &str); 6] = [
        (connection.try_clone().expect("a duplicate").into(), "is a connection"),
        (end.into(), "is a connection"),
        (udp, "is a datagram socket"),
        (reader, "is a pipe"),
        (std::fs::File::open("/dev/null").expect("a device").into(), "is a device"),
        (std::fs::File::open(file!()).expect("a file").into(), "is a file"),
    ];
    for (fd, what) in offered {
        let server = Server::new(&events);
        for listening in [true, false] {
            fails(ss_adopt(server.0, fd.as_raw_fd().into(), listening), SS_ERR_ARGUMENT, 2004);
            assert!(last_detail().contains(what), "{what}: {}", last_detail());
        }
        assert!(is_open(fd.as_raw_fd()) && server.state() == unbound_state());
    }
    // Nobody has lost his peer.
    caller.write_all(b"still there?").expect("it writes");
    connection.read_exact(&mut [0; 12]).expect("they are connected");
}

#[test]
fn a_descriptor_that_the_library_has_is_not_taken_over_again() {
    let (pair, elsewhere) = (Pair::new(), Loop::new());
    let bound = Server::new(&elsewhere);
    ok(bound.bind(0, c"127.0.0.1"));
    let held = [native_handle(&pair.server), native_handle(*pair.socket), native_handle(&bound)];
    for fd in held.map(|fd| fd.expect("a descriptor")) {
        for events in [&pair.events, &elsewhere] {
            let server = Server::new(events);
            fails(ss_adopt(server.0, fd, false), SS_ERR_ARGUMENT, 2004);
            fails(ss_adopt(server.0, fd, true), SS_ERR_ARGUMENT, 2004);
            assert!(last_detail().contains("already"), "{}", last_detail());
        }
        assert!(is_open(fd as i32));
    }
    // On another thread, too.
    let listening = native_handle(&pair.server).expect("a descriptor");
    let there = std::thread::spawn(move || {
        let events = Loop::new();
        fails(ss_adopt(Server::new(&events).0, listening, true), SS_ERR_ARGUMENT, 2004);
        assert!(last_detail().contains("already"), "{}", last_detail());
    });
    there.join().expect("no panic");
    // A duplicate is another descriptor.
    let duplicate = system_socket(&pair.server).try_clone_to_owned().expect("a duplicate");
    let server = Server::new(&elsewhere);
    ok(ss_adopt(server.0, duplicate.into_raw_fd().into(), true));
}

fn unbound_state() -> ServerState {
    unbound()
}

// ---- Forks ----------------------------------------------------------------------------------------------------------

/// Forks, runs `child` there, and returns its exit code. Only for a process with one thread, or for what is safe then.
fn fork_and_wait(child: impl FnOnce() -> i32) -> i32 {
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
            unsafe { libc::_exit(code) }
        }
        process => {
            assert!(process > 0, "no fork");
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(process, &mut status, 0) }, process);
            assert!(libc::WIFEXITED(status), "the child died: {status}");
            libc::WEXITSTATUS(status)
        }
    }
}

#[test]
fn a_forked_child_is_refused_what_it_inherited_and_disturbs_nothing() {
    in_own_process!(|| {
        let pair = Pair::new();
        let event = Event::new(c"x", false, false);
        pair.send(b"before");
        pair.pump_until_available_here(6);
        let (socket, server, events) = (pair.socket.0.0, pair.server.0, pair.events.0);
        let code = fork_and_wait(|| {
            let refused = [
                ss_loop_run(events),
                unsafe { ss_loop_poll(events, 0, null_mut()) },
                ss_loop_wake(events),
                ss_loop_stop(events),
                unsafe { ss_loop_post(events, Some(never), null_mut(), None) },
                ss_listen(server, 0),
                ss_close(server),
                ss_socket_close(socket),
                ss_socket_abort(socket),
                unsafe { ss_socket_write_bytes(socket, b"x".as_ptr().cast(), 1) },
                ss_event_prevent_default(event.0),
                ss_release(socket.cast()),
                ss_release(server.cast()),
                ss_release(events.cast()),
            ];
            match refused.iter().position(|status| *status != SS_ERR_FORKED) {
                Some(place) => place as i32 + 1,
                None if ss_socket_connected(socket) || ss_bound(server) => 50,
                None => 0,
            }
        });
        assert_eq!(code, 0, "the number of the call that was not refused");
        // The parent goes on as if nothing had happened.
        assert_eq!(pair.socket.read_all(), b"before");
        ok(pair.socket.write(b"after"));
        assert_eq!(pair.events.receive(&pair.peer, 5), b"after");
        let accepted = pair.server.keep_accepted();
        let _another = pair.server.client();
        pair.events.pump_until(|| accepted.len() == 1);
        assert_eq!(dispatch_count(&pair, event), 1);
    });
}

unsafe extern "C-unwind" fn never(_: *mut c_void) {
    std::process::abort();
}

fn dispatch_count(pair: &Pair, event: Event) -> usize {
    let count = shared::<usize>();
    on(&pair.server, c"x", {
        let count = count.clone();
        move |_| increment(&count)
    });
    assert_eq!(try_dispatch(&pair.server, event).0, SS_OK);
    count.get()
}

trait PumpHere {
    fn pump_until_available_here(&self, length: usize);
}

impl PumpHere for Pair {
    fn pump_until_available_here(&self, length: usize) {
        self.events.pump_until(|| self.socket.available() == length);
    }
}

#[test]
fn a_forked_child_can_make_a_loop_of_its_own() {
    in_own_process!(|| {
        let pair = Pair::new();
        let default = ss_loop_default();
        // A thread that looks names up is there, and waits for more to do.
        let out = Kept(Socket(ss_socket_new(pair.events.0)));
        ok(unsafe { ss_socket_connect(out.0.0, c"localhost".as_ptr(), pair.server.port().into()) });
        pair.events.pump_until(|| out.connected());
        let code = fork_and_wait(|| {
            assert_ne!(ss_loop_default(), default);
            let (events, server, accepted) = serving();
            let mut peer = server.client();
            events.pump_until(|| accepted.len() == 1);
            peer.write_all(b"echo").expect("it writes");
            events.pump_until(|| accepted.get(0).available() == 4);
            accepted.get(0).echo();
            assert_eq!(events.receive(&peer, 4), b"echo");
            // By name: the threads that look names up are the parent's.
            let out = Socket(ss_socket_new(events.0));
            ok(unsafe { ss_socket_connect(out.0, c"localhost".as_ptr(), server.port().into()) });
            events.pump_until(|| out.connected());
            0
        });
        assert_eq!(code, 0);
        ok(pair.socket.write(b"still here"));
        assert_eq!(pair.events.receive(&pair.peer, 10), b"still here");
    });
}

#[test]
fn a_child_that_drives_the_loop_of_its_parent_is_told() {
    in_own_process!(|| {
        let server = ss_new(null_mut());
        ok(unsafe { ss_bind(server, 0, null_mut()) });
        ok(ss_listen(server, 0));
        // As daemon() does.
        let code = fork_and_wait(|| {
            let poll = || unsafe { ss_loop_poll(null_mut(), 0, null_mut()) };
            let refused = [ss_loop_run(null_mut()), poll(), ss_loop_run(null_mut())];
            if refused != [SS_ERR_FORKED; 3] {
                return 1;
            }
            // It makes something of its own.
            let own = ss_new(null_mut());
            if own.is_null() || poll() != SS_OK || ss_loop_run(null_mut()) != SS_OK {
                return 2;
            }
            0
        });
        assert_eq!(code, 0);
        ok(release(server));
    });
}

#[test]
fn a_fork_while_other_threads_post_does_not_hang_the_child() {
    in_own_process!(|| {
        let events = Loop::new();
        let handle = AnyThread::new(events.0);
        let stop = Arc::new(AtomicBool::new(false));
        let posters: Vec<_> = (0..3)
            .map(|poster| {
                let stop = stop.clone();
                std::thread::spawn(move || {
                    let events = handle.get();
                    while !stop.load(Ordering::Relaxed) {
                        either_way(ss_loop_wake(events));
                        // The others hold a lock of the process much of the time.
                        if poster == 0 {
                            ok(release(ss_loop_new()));
                        }
                    }
                })
            })
            .collect();
        for _ in 0..30 {
            let code = fork_and_wait(|| {
                unsafe { libc::alarm(20) }; // a child that hangs is ended, and fails the test
                let own = ss_loop_new();
                i32::from(own.is_null() || ss_loop_wake(own) != SS_OK)
            });
            assert_eq!(code, 0);
        }
        stop.store(true, Ordering::Relaxed);
        posters.into_iter().for_each(|poster| poster.join().expect("it does not panic"));
    });
}

#[test]
fn a_peer_sees_the_end_though_a_forked_child_holds_the_descriptor() {
    in_own_process!(|| {
        let pair = Pair::new();
        let _child = Child::fork();
        ok(pair.socket.write(b"last words"));
        ok(pair.socket.close());
        let (bytes, error) = pair.events.receive_to_end(&pair.peer);
        assert_eq!((bytes.as_slice(), error), (&b"last words"[..], None));
        assert_loop_rests(&pair.events, 100); // no ghost of it in the poll set
    });
}

#[test]
fn a_closed_servers_port_is_free_and_refuses_though_a_forked_child_holds_the_descriptor() {
    in_own_process!(|| {
        for listens in [true, false] {
            let events = Loop::new();
            // By its number: the system gives such a port back only with the last descriptor.
            let port = free_port();
            let server = Server::new(&events);
            ok(server.bind(port.into(), c"127.0.0.1"));
            if listens {
                ok(server.listen(0));
            }
            let _child = Child::fork();
            ok(server.close());
            let refused = std::net::TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
            assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
            let again = Server::new(&events);
            ok(again.bind(port.into(), c"127.0.0.1"));
            ok(again.listen(0));
            let accepted = again.keep_accepted();
            let _peer = again.client();
            events.pump_until(|| accepted.len() == 1);
            assert_loop_rests(&events, 100);
        }
    });
}

#[test]
fn a_listening_socket_that_others_were_given_goes_on_when_its_server_is_closed() {
    in_own_process!(|| {
        let events = Loop::new();
        let adopted = Server::new(&events);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        ok(ss_adopt(adopted.0, listener.into_raw_fd().into(), true));
        let asked_for = Server::listening(&events);
        assert!(native_handle(&asked_for).is_some());
        for server in [adopted, asked_for] {
            let port = server.port();
            let _child = Child::fork();
            ok(server.close());
            drop(client(&format!("127.0.0.1:{port}")));
        }
    });
}

/// A number that was ours and is free again may come back as another's.
#[test]
fn a_number_that_an_object_has_given_back_can_be_taken_over() {
    in_own_process!(|| {
        let pair = Pair::new();
        let accepted = native_handle(*pair.socket).expect("a descriptor") as i32;
        let listening = native_handle(&pair.server).expect("a descriptor") as i32;
        ok(pair.socket.abort());
        ok(pair.server.close());
        for number in [accepted, listening] {
            // It may have got that very number.
            let again = TcpListener::bind("127.0.0.1:0").expect("a port").into_raw_fd();
            assert_eq!(unsafe { libc::dup2(again, number) }, number);
            let server = Server::new(&pair.events);
            ok(ss_adopt(server.0, number.into(), true));
        }
    });
}

#[test]
fn a_forked_child_can_take_over_what_its_parents_server_has() {
    in_own_process!(|| {
        let (events, server) = listening();
        let (port, listening) = (server.port(), native_handle(&server).expect("a descriptor"));
        let code = fork_and_wait(|| {
            let events = Loop::new();
            let server = Server::new(&events);
            ok(ss_adopt(server.0, listening, true));
            let accepted = server.keep_accepted();
            let _peer = client(&format!("127.0.0.1:{port}"));
            events.pump_until(|| accepted.len() == 1);
            0
        });
        assert_eq!(code, 0);
        let accepted = server.keep_accepted();
        let _peer = server.client();
        events.pump_until(|| accepted.len() == 1);
    });
}

#[test]
fn a_process_that_became_a_daemon_is_told_that_its_loop_is_the_parents() {
    in_own_process!(|| {
        let of_default = Loop(null_mut());
        let server = Server::listening(&of_default);
        let of_daemon = || {
            let refused = [
                ss_loop_run(null_mut()),
                unsafe { ss_loop_poll(null_mut(), 0, null_mut()) },
                ss_loop_wake(null_mut()),
                ss_loop_stop(null_mut()),
                unsafe { ss_loop_fd(null_mut(), null_mut()) },
            ];
            assert_eq!(refused, [SS_ERR_FORKED; 5]);
            assert!(last_detail().contains("daemon()"), "{}", last_detail());
            // A child's child has lost it just as well.
            assert_eq!(fork_and_wait(|| i32::from(ss_loop_run(null_mut()) != SS_ERR_FORKED)), 0);
            // What it makes itself it can use.
            let own = Server::listening(&of_default);
            let accepted = own.keep_accepted();
            let _peer = own.client();
            of_default.pump_until(|| accepted.len() == 1);
            drop((accepted, own));
            ok(ss_loop_run(null_mut()));
            0
        };
        assert_eq!(fork_and_wait(of_daemon), 0);
        drop(server);
        // With nothing on it a loop is as good as new.
        assert_eq!(fork_and_wait(|| i32::from(ss_loop_run(null_mut()) != SS_OK)), 0);
    });
}

#[test]
fn a_program_started_in_a_listener_inherits_no_descriptor() {
    in_own_process!(|| {
        let descriptors = || {
            let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("ls runs");
            String::from_utf8(output.stdout).expect("plain text")
        };
        // Whoever runs the tests may have some to hand down.
        let before = descriptors();
        let pair = Pair::new();
        let mut fd = 0;
        ok(unsafe { ss_loop_fd(pair.events.0, &mut fd) });
        let listing = std::rc::Rc::new(RefCell::new(String::new()));
        on(*pair.socket, SOCKET_DATA, {
            let listing = listing.clone();
            move |_| *listing.borrow_mut() = descriptors()
        });
        pair.send(b"go");
        pair.events.pump_until(|| !listing.borrow().is_empty());
        let listing = listing.borrow();
        let targets = listing.lines().filter_map(|line| line.split_once(" -> ")).map(|(_, target)| target);
        let mut ours = targets.filter(|target| target.starts_with("socket:") || target.contains("anon_inode"));
        assert!(ours.all(|target| before.contains(target)), "{listing}");
    });
}

// ---- Figures and the log --------------------------------------------------------------------------------------------

fn stats(server: &Server) -> ss_stats {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
    ok(unsafe { ss_server_stats(server.0, &mut stats) });
    stats
}

#[test]
fn a_servers_figures_count_what_happened() {
    let (events, server) = listening();
    assert_eq!(stats(&server), ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() });
    let turn_away = shared::<usize>();
    let kept = Log::default();
    on(&server, CONNECT, {
        let (turn_away, kept) = (turn_away.clone(), kept.clone());
        move |event| {
            if turn_away.get() == 0 {
                std::mem::forget(event.socket().keep());
                kept.add(event.socket().0.addr());
            }
        }
    });
    let (mut one, two) = (server.client(), server.client());
    one.write_all(b"12345").expect("it writes");
    events.pump_until(|| kept.len() == 2 && stats(&server).bytes_in == 5);
    assert_eq!((stats(&server).accepted, stats(&server).open), (2, 2));
    let first = Socket(std::ptr::without_provenance_mut(kept.take()[0].parse().expect("a handle")));
    ok(first.write(b"123"));
    events.pump_until(|| stats(&server).bytes_out == 3);
    reset(two);
    events.pump_until(|| stats(&server).errors == 1);
    one.read_exact(&mut [0; 3]).expect("what was written"); // unread, its end would be a reset, too
    drop(one);
    events.pump_until(|| stats(&server).open == 0);
    increment(&turn_away);
    let _refused = server.client();
    events.pump_until(|| stats(&server).refused == 1);
    let end = stats(&server);
    assert_eq!((end.accepted, end.open, end.bytes_in, end.bytes_out, end.errors), (3, 0, 5, 3, 1));
}

#[test]
fn figures_go_only_as_far_as_the_callers_struct() {
    let (events, server, _accepted) = serving();
    let _peer = server.client();
    events.pump_until(|| stats(&server).accepted == 1);
    // An older program's shorter struct, with something of its own behind it.
    let mut short = [usize::MAX; 12];
    short[0] = size_of::<[usize; 2]>();
    ok(unsafe { ss_server_stats(server.0, short.as_mut_ptr().cast()) });
    assert_eq!(short[..3], [size_of::<[usize; 2]>(), 1, usize::MAX]);
    // A newer program's longer one.
    let mut long = [usize::MAX; 12];
    long[0] = size_of_val(&long);
    ok(unsafe { ss_server_stats(server.0, long.as_mut_ptr().cast()) });
    assert_eq!((long[0], long[1], long[2], long[8], long[9]), (96, 1, 1, 0, usize::MAX));
    for size in [0, 1, size_of::<usize>() - 1] {
        let mut stats = ss_stats { size, ..ss_stats::default() };
        fails(unsafe { ss_server_stats(server.0, &mut stats) }, SS_ERR_ARGUMENT, 2004);
    }
    assert_eq!(unsafe { ss_server_stats(server.0, null_mut()) }, SS_ERR_TYPE);
    assert_eq!(unsafe { ss_server_stats(null_mut(), null_mut()) }, SS_ERR_HANDLE);
}

#[test]
fn running_out_of_descriptors_is_counted_and_logged() {
    in_own_process!(|| {
        unsafe extern "C-unwind" fn log(level: i32, message: *const c_char, lines: *mut c_void) {
            let lines = unsafe { &*lines.cast::<RefCell<Vec<(i32, String)>>>() };
            lines.borrow_mut().push((level, text(message).expect("a message")));
        }
        let lines = RefCell::new(Vec::<(i32, String)>::new());
        ok(unsafe { ss_set_log(Some(log), (&raw const lines).cast_mut().cast()) });
        let (events, server, accepted) = serving();
        let _peer = server.client();
        let taken = take_all_descriptors();
        events.pump_until(|| stats(&server).accept_deferred >= 2);
        assert_eq!(accepted.len(), 0);
        let (level, message) = lines.borrow()[0].clone();
        assert_eq!(level, SS_LOG_WARNING);
        assert!(message.contains("Too many open files"), "{message}");
        drop(taken);
        events.pump_until(|| accepted.len() == 1);
        ok(unsafe { ss_set_log(None, null_mut()) });
    });
}
