// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections of which one side has ended: `end`, shutdown, what still comes and goes, and how they end.

#![cfg(target_os = "linux")]

use crate::listening;
use server_socket::*;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::rc::Rc;
use std::thread;
use std::time::Duration;
use support::*;

/// More than the kernel takes for a peer that does not read.
const MUCH: usize = 20_000_000;

/// A connection that goes on half-open.
fn half_open() -> Pair {
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_HALF_OPEN, 1);
    pair
}

/// Which of the sides has ended, and what is still under way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Half {
    /// The peer's has ended.
    Answering,
    /// The same, and it does not read what we have written.
    AnsweringInVain,
    /// Ours is to end behind output that the peer does not read.
    ShuttingDown,
    /// Ours has ended.
    Hearing,
    /// Both are to end, ours behind output that the peer does not read.
    LastAnswer,
}

impl Half {
    const ALL: [Half; 5] =
        [Half::Answering, Half::AnsweringInVain, Half::ShuttingDown, Half::Hearing, Half::LastAnswer];

    /// A connection that has come so far, with nothing left to be done.
    #[track_caller]
    fn reach(self) -> Pair {
        let pair = half_open();
        ok(pair.socket.write(b"early"));
        assert_eq!(pair.events.receive(&pair.peer, 5), b"early");
        if matches!(self, Half::AnsweringInVain | Half::ShuttingDown | Half::LastAnswer) {
            ok(pair.socket.write(&pattern(MUCH)));
        }
        if matches!(self, Half::ShuttingDown | Half::Hearing | Half::LastAnswer) {
            ok(pair.socket.shutdown());
        }
        if !matches!(self, Half::ShuttingDown | Half::Hearing) {
            pair.send_fin();
            pair.events.pump_until(|| pair.log.contains("end"));
        }
        pair.events.settle();
        assert!(pair.socket.connected(), "{self:?}");
        assert!(!pair.log.contains("close"), "{self:?}");
        pair.log.take();
        pair
    }

    fn has_output(self) -> bool {
        !matches!(self, Half::Answering | Half::Hearing)
    }
}

/// The close events of a socket, by their error's number.
fn closes(socket: Socket) -> Rc<RefCell<Vec<i32>>> {
    let closes = Rc::<RefCell<Vec<i32>>>::default();
    let heard = closes.clone();
    on(socket, CLOSE, move |event| heard.borrow_mut().push(event.os_error()));
    closes
}

// ---- The peer ends its side ------------------------------------------------------------------------------------------

#[test]
fn a_peer_that_has_ended_its_side_is_answered_later() {
    let Pair { socket, peer, events, log, server: _server } = half_open();
    let closes = closes(*socket);
    (&peer).write_all(b"a question").expect("the peer writes");
    peer.shutdown(Shutdown::Write).expect("a FIN");
    events.pump_until(|| log.contains("end"));
    assert_loop_rests(&events, 100);
    assert_eq!(log.take(), ["socketData", "end"]);
    assert_eq!((socket.read_all(), socket.connected()), (b"a question".to_vec(), true));

    let answering = *socket;
    post(events.0, move || ok(answering.write(b"an answer")));
    assert_eq!(events.receive(&peer, 9), b"an answer");
    ok(socket.write(b", and the rest"));
    ok(socket.shutdown());
    assert_eq!(events.receive_to_end(&peer), (b", and the rest".to_vec(), None));
    events.rest_until(|| log.contains("close"));
    events.settle();
    assert_eq!(log.take(), ["close"]);
    assert_eq!((closes.take(), socket.connected(), native_handle(*socket)), (vec![0], false, None));
}

#[test]
fn a_close_also_answers_and_ends_a_half_open_connection() {
    let Pair { socket, peer, events, log, server: _server } = half_open();
    peer.shutdown(Shutdown::Write).expect("a FIN");
    events.pump_until(|| log.contains("end"));
    ok(socket.write(&pattern(MUCH)));
    ok(socket.close());
    let (bytes, end) = events.receive_to_end(&peer);
    assert_same_bytes(&bytes, &pattern(MUCH));
    assert_eq!((end, log.take()), (None, vec!["end".into()]));
}

#[test]
fn the_end_comes_after_all_that_the_kernel_holds() {
    for (taken, sent) in [(true, 400_000), (false, 100_000)] {
        let pair = half_open();
        const LIMIT: usize = 50_000;
        set(*pair.socket, SS_OPT_READ_LIMIT, LIMIT as i64);
        let socket = *pair.socket;
        let got = Rc::<RefCell<Vec<u8>>>::default();
        if taken {
            let got = got.clone();
            on(socket, SOCKET_DATA, move |_| got.borrow_mut().extend(socket.read_all()));
        }
        let mut peer = pair.peer.try_clone().expect("a second handle");
        let writer = thread::spawn(move || {
            peer.write_all(&pattern(sent)).expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("a FIN");
        });
        pair.events.join(writer);
        pair.events.rest_until(|| pair.log.contains("end"));
        assert_loop_rests(&pair.events, 100);
        got.borrow_mut().extend(socket.read_all());
        assert_same_bytes(&got.borrow(), &pattern(sent));
        assert_eq!((pair.log.count("end"), pair.log.count("close"), socket.connected()), (1, 0, true));
    }
}

#[test]
fn the_end_waits_while_the_host_has_paused() {
    let pair = half_open();
    ok(ss_socket_pause(pair.socket.0.0));
    pair.send(b"before");
    pair.send_fin();
    assert_loop_rests(&pair.events, 200);
    assert_eq!(pair.log.take(), [] as [&str; 0]);
    ok(ss_socket_resume(pair.socket.0.0));
    pair.events.rest_until(|| pair.log.contains("end"));
    assert_eq!(pair.log.take(), ["socketData", "end"]);
    ok(ss_socket_pause(pair.socket.0.0));
    ok(ss_socket_resume(pair.socket.0.0));
    assert_loop_rests(&pair.events, 100);
    assert_eq!(pair.log.take(), [] as [&str; 0]);
}

#[test]
fn without_the_option_the_peers_end_is_the_close() {
    let pair = Pair::new();
    assert_eq!(option(*pair.socket, SS_OPT_HALF_OPEN), 0);
    pair.send_fin();
    pair.events.rest_until(|| pair.log.contains("close"));
    assert_eq!(pair.log.take(), ["close"]);
}

#[test]
fn sockets_of_a_server_and_those_that_connect_can_be_half_open() {
    let (events, server) = listening();
    set(&server, SS_OPT_HALF_OPEN, 1);
    let (accepted, log) = (server.keep_accepted(), Log::default());
    let client = Kept(Socket(ss_socket_new(events.0)));
    set(*client, SS_OPT_HALF_OPEN, 1);
    log.record_socket(*client);
    on(*client, CONNECT, log.adds("connect"));
    ok(unsafe { ss_socket_connect(client.0.0, c"127.0.0.1".as_ptr(), server.port().into()) });
    events.pump_until(|| accepted.len() == 1 && log.contains("connect"));
    let other = Log::default();
    other.record_socket(accepted.last());
    ok(client.shutdown());
    events.pump_until(|| other.contains("end"));
    ok(accepted.last().write(b"later"));
    ok(accepted.last().shutdown());
    events.pump_until(|| other.contains("close") && log.contains("close"));
    assert_eq!(other.take(), ["end", "close"]);
    assert_eq!(log.take(), ["connect", "socketData", "end", "close"]);
    assert_eq!(client.read_all(), b"later");
    fails(ss_set_option(client.0.0.cast(), SS_OPT_HALF_OPEN, 2), SS_ERR_RANGE, 2006);
}

// ---- We end our side -------------------------------------------------------------------------------------------------

#[test]
fn after_a_shutdown_reading_goes_on_until_the_peer_ends_too() {
    for half_open in [false, true] {
        let Pair { socket, peer, events, log, server: _server } = Pair::new();
        set(*socket, SS_OPT_HALF_OPEN, half_open.into());
        let closes = closes(*socket);
        ok(socket.write(b"all of it"));
        ok(socket.shutdown());
        ok(socket.shutdown());
        assert_eq!(events.receive_to_end(&peer), (b"all of it".to_vec(), None));
        for round in 1..4u8 {
            (&peer).write_all(&[round; 1_000]).expect("the peer writes");
            events.pump_until(|| socket.available() == 1_000);
            assert_eq!(socket.read_all(), [round; 1_000]);
        }
        ok(socket.shutdown());
        assert_loop_rests(&events, 100);
        log.take();
        peer.shutdown(Shutdown::Write).expect("a FIN");
        events.rest_until(|| log.contains("close"));
        events.settle();
        assert_eq!(log.take(), if half_open { vec!["end", "close"] } else { vec!["close"] });
        assert_eq!((closes.take(), native_handle(*socket)), (vec![0], None));
    }
}

/// Every way to write, also in the listener to whom the answers that are written most are the cheapest.
#[test]
fn nothing_can_be_written_after_a_shutdown() {
    let pair = half_open();
    let socket = *pair.socket;
    let refused = move || {
        let write = |bytes: &[u8]| socket.write(bytes);
        for bytes in [&b"more"[..], b"", &pattern(200_000)] {
            fails(write(bytes), SS_ERR_IO, 2002);
            assert!(last_detail().contains("ss_socket_shutdown"), "{}", last_detail());
        }
        fails(ss_socket_write_int(socket.0, 7), SS_ERR_IO, 2002);
        fails(unsafe { ss_socket_write_utf(socket.0, c"text".as_ptr()) }, SS_ERR_IO, 2002);
        let value = ss_value_new(SS_VALUE_NULL);
        fails(ss_socket_write_object(socket.0, value), SS_ERR_IO, 2002);
        ok(release(value));
        let longer = ss_value_new(SS_VALUE_ARRAY);
        ok(ss_set_option(socket.object(), SS_OPT_WRITE_LIMIT, 1));
        fails(ss_socket_write_object(socket.0, longer), SS_ERR_IO, 2002);
        ok(ss_set_option(socket.object(), SS_OPT_WRITE_LIMIT, 64 << 20));
        ok(release(longer));
        ok(socket.flush());
        assert_eq!((socket.pending(), socket.connected()), (0, true));
    };
    ok(socket.shutdown());
    refused();
    on(socket, SOCKET_DATA, move |_| {
        fails(socket.write(b"an echo"), SS_ERR_IO, 2002);
        socket.read_all();
        refused();
    });
    for _ in 0..3 {
        pair.send(b"hear");
        pair.events.pump_until(|| pair.log.take().contains(&"socketData".into()));
    }
    assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
}

/// In the listener that has just answered, too: what it wrote goes before the end.
#[test]
fn a_shutdown_in_a_listener_ends_our_side_behind_what_it_wrote() {
    let pair = Pair::new();
    let socket = *pair.socket;
    on(socket, SOCKET_DATA, move |_| {
        socket.echo();
        ok(socket.shutdown());
        fails(socket.write(b"late"), SS_ERR_IO, 2002);
    });
    pair.send(b"question");
    assert_eq!(pair.events.receive_to_end(&pair.peer), (b"question".to_vec(), None));
    assert!(socket.connected());
}

#[test]
fn a_shutdown_behind_output_that_the_peer_reads_slowly_comes_when_all_is_sent() {
    for half in [Half::ShuttingDown, Half::LastAnswer] {
        let pair = half.reach();
        assert!(pair.socket.pending() > 0);
        let progress = shared::<usize>();
        on(*pair.socket, OUTPUT_PROGRESS, {
            let progress = progress.clone();
            move |_| increment(&progress)
        });
        for part in pattern(MUCH).chunks(MUCH / 4) {
            pair.events.settle();
            assert_loop_rests(&pair.events, 100);
            assert_same_bytes(&pair.events.receive(&pair.peer, part.len()), part);
        }
        assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
        assert!(progress.get() > 0);
        pair.events.settle();
        assert_eq!(pair.log.take(), if half == Half::LastAnswer { vec!["close"] } else { vec![] });
    }
}

#[test]
fn a_shutdown_needs_a_connection() {
    let events = Loop::new();
    let silent = BlackHole::new();
    let socket = Kept(Socket(ss_socket_new(events.0)));
    fails(socket.shutdown(), SS_ERR_IO, 2002);
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), silent.port.into()) });
    fails(socket.shutdown(), SS_ERR_IO, 2002);
    ok(socket.close());
    let pair = Pair::new();
    ok(pair.socket.close());
    fails(pair.socket.shutdown(), SS_ERR_IO, 2002);
    assert_eq!(ss_socket_shutdown(null_mut()), SS_ERR_HANDLE);
    assert_eq!(ss_socket_shutdown(pair.server.0.cast()), SS_ERR_HANDLE);
}

#[test]
fn a_shutdown_in_the_connect_listener_is_one_as_any() {
    for (kept, writes) in [(true, false), (true, true), (false, true)] {
        let (events, server) = listening();
        let (log, all) = (Log::default(), Rc::<RefCell<Vec<Kept>>>::default());
        on(&server, CONNECT, {
            let (log, all) = (log.clone(), all.clone());
            move |event| {
                let socket = event.socket();
                log.record_socket(socket);
                if writes {
                    ok(socket.write(b"goodbye"));
                }
                ok(socket.shutdown());
                fails(socket.write(b"late"), SS_ERR_IO, 2002);
                if kept {
                    all.borrow_mut().push(socket.keep());
                }
            }
        });
        let peer = server.client();
        let wanted = if writes { b"goodbye".to_vec() } else { vec![] };
        assert_eq!(events.receive_to_end(&peer), (wanted, None));
        if kept {
            (&peer).write_all(b"heard").expect("the peer writes");
            events.pump_until(|| all.borrow()[0].available() == 5);
            peer.shutdown(Shutdown::Write).expect("a FIN");
            events.rest_until(|| log.contains("close"));
            assert_eq!(log.take(), ["socketData", "close"]);
        }
        drop(peer);
        events.settle();
        assert_eq!((server.figures().open, server.figures().lingering), (0, 0));
        assert_loop_rests(&events, 50);
    }
}

// ---- In every phase --------------------------------------------------------------------------------------------------

#[test]
fn in_every_phase_of_a_half_open_connection_the_loop_rests() {
    for half in Half::ALL {
        println!("{half:?}");
        let pair = half.reach();
        assert_loop_rests(&pair.events, 100);
        assert_ne!(ss_loop_timeout(pair.events.0), 0);
        ok(ss_socket_pause(pair.socket.0.0));
        assert_loop_rests(&pair.events, 100);
        if matches!(half, Half::ShuttingDown | Half::Hearing) {
            pair.send(&[7; 100_000]);
            socket2::SockRef::from(&pair.peer).send_out_of_band(b"!").expect("an urgent byte");
            assert_loop_rests(&pair.events, 100);
            pair.send_fin();
            assert_loop_rests(&pair.events, 100);
            set(*pair.socket, SS_OPT_READ_LIMIT, 1_000);
            ok(ss_socket_resume(pair.socket.0.0));
            pair.events.settle();
            assert_loop_rests(&pair.events, 100);
            assert_eq!(pair.socket.available(), 100_001);
            assert!(pair.log.contains("end"));
        }
        either_way(ss_socket_resume(pair.socket.0.0));
        assert_loop_rests(&pair.events, 100);
    }
}

#[test]
fn a_reset_is_noticed_at_once_in_every_phase() {
    for half in Half::ALL {
        for paused in [false, true] {
            let Pair { socket, peer, events, log, server } = half.reach();
            println!("{half:?}, paused: {paused}");
            let closes = closes(*socket);
            if paused {
                ok(ss_socket_pause(socket.0.0));
            }
            reset(peer);
            events.rest_until(|| log.contains("close"));
            assert_loop_rests(&events, 50);
            let told = if half.has_output() { vec!["ioError 2031", "close"] } else { vec!["close"] };
            assert_eq!(log.take(), told, "{half:?}");
            let error = closes.take();
            assert!([vec![libc::ECONNRESET], vec![libc::EPIPE]].contains(&error), "{half:?}: {error:?}");
            assert_eq!((native_handle(*socket), server.figures().open), (None, 0));
        }
    }
}

/// The kernel tells whoever reads of the end alone then.
#[test]
fn a_reset_right_behind_the_end_is_noticed() {
    for _ in 0..20 {
        let Pair { socket, peer, events, log, server: _server } = half_open();
        let closes = closes(*socket);
        (&peer).write_all(b"the last words").expect("the peer writes");
        peer.shutdown(Shutdown::Write).expect("a FIN");
        reset(peer);
        events.rest_until(|| log.contains("close"));
        assert_eq!(
            (log.take(), socket.read_all()),
            (vec!["socketData".into(), "close".into()], b"the last words".to_vec())
        );
        assert_ne!(closes.take(), [0]);
    }
}

#[test]
fn a_write_to_a_half_open_peer_that_is_gone_ends_the_connection() {
    let Pair { socket, peer, events, log, server: _server } = half_open();
    // The peer closes: its end looks just like that of one who still reads.
    drop(peer);
    events.pump_until(|| log.contains("end"));
    events.settle();
    assert!(socket.connected());
    ok(socket.write(b"is anybody there?"));
    events.rest_until(|| log.contains("close"));
    assert_eq!((socket.connected(), native_handle(*socket)), (false, None));
}

/// The host ends it, in each way, in each phase: no event follows, and the peer sees the end of all that was written, or a
/// reset.
#[test]
fn every_way_to_end_a_half_open_connection_ends_it() {
    type Way = fn(&Kept);
    let ways: [(&str, bool, Way); 5] = [
        ("close", true, |socket| ok(socket.close())),
        ("release", true, |socket| ok(release(**socket))),
        ("connect elsewhere", true, |socket| {
            let port = free_port().into();
            ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), port) });
            ok(socket.close());
        }),
        ("abort", false, |socket| ok(socket.abort())),
        ("close without linger", false, |socket| {
            set(**socket, SS_OPT_LINGER, 0);
            ok(socket.close());
        }),
    ];
    for half in Half::ALL {
        for (what, whole, end) in ways {
            println!("{half:?}, {what}");
            let Pair { socket, peer, events, log, server } = half.reach();
            if what == "release" {
                let socket = std::mem::ManuallyDrop::new(socket);
                end(&socket);
            } else {
                end(&socket);
                fails(socket.shutdown(), SS_ERR_IO, 2002);
                std::mem::forget(socket);
            }
            events.settle();
            assert_loop_rests(&events, 50);
            let (bytes, error) = events.receive_to_end(&peer);
            let mut cut = what == "abort" || !whole && half.has_output();
            if half == Half::Hearing && cut {
                // Behind our end a reset is not met by reading.
                cut = false;
                assert!(peer.take_error().expect("it can be asked").is_some(), "{what}");
            }
            assert_eq!(error, cut.then_some(ErrorKind::ConnectionReset), "{half:?}, {what}");
            if whole {
                assert_same_bytes(&bytes, if half.has_output() { pattern(MUCH) } else { vec![] }.as_slice());
            }
            drop(peer);
            events.pump_until(|| server.figures().lingering == 0);
            assert_eq!((log.take(), server.figures().open), (vec![], 0), "{half:?}, {what}");
        }
    }
}

/// What a listener of `end` may do to the connection that it hears of.
#[test]
fn the_listener_of_the_end_may_end_the_connection() {
    type Way = fn(Socket);
    let ways: [(&str, &[&str], Way); 4] = [
        ("close", &[], |socket| ok(socket.close())),
        ("abort", &[], |socket| ok(socket.abort())),
        ("shutdown", &["close"], |socket| ok(socket.shutdown())),
        ("answer and shut down", &["close"], |socket| {
            ok(socket.write(b"answer"));
            ok(socket.shutdown());
        }),
    ];
    for shut in [false, true] {
        for (what, told, way) in ways.iter().filter(|(what, ..)| !shut || !what.starts_with("answer")) {
            println!("{what}, our side ended before: {shut}");
            let Pair { socket, peer, events, log, server } = half_open();
            if shut {
                ok(socket.shutdown());
            }
            let (ended, way) = (*socket, *way);
            on(ended, END, move |_| {
                assert!(ended.connected());
                way(ended);
            });
            peer.shutdown(Shutdown::Write).expect("a FIN");
            events.pump_until(|| log.contains("end"));
            events.settle();
            assert_eq!(log.take()[1..], **told, "{what}, {shut}");
            assert_eq!((native_handle(ended), server.figures().open, server.figures().lingering), (None, 0, 0));
            assert_loop_rests(&events, 50);
        }
    }
}

#[test]
fn the_listener_of_the_end_may_release_its_socket() {
    for shut in [false, true] {
        let Pair { socket, peer, events, log, server } = half_open();
        if shut {
            ok(socket.shutdown());
        }
        let ended = *socket;
        std::mem::forget(socket);
        on(ended, END, move |_| ok(release(ended)));
        peer.shutdown(Shutdown::Write).expect("a FIN");
        events.pump_until(|| log.contains("end"));
        events.settle();
        assert_eq!(events.receive_to_end(&peer), (vec![], None));
        assert_eq!((log.take(), ended.alive(), server.figures().open), (vec!["end".into()], false, 0));
    }
}

#[test]
fn a_half_open_connection_that_is_silent_is_given_up() {
    for half in Half::ALL {
        let Pair { socket, peer: _peer, events, log, server } = half.reach();
        let closes = closes(*socket);
        set(*socket, SS_OPT_IDLE_TIMEOUT, 60);
        events.rest_until(|| log.contains("close"));
        assert_eq!(log.take(), ["ioError 2031", "close"], "{half:?}");
        assert_eq!((closes.take(), server.figures().open), (vec![libc::ETIMEDOUT], 0), "{half:?}");
    }
}

#[test]
fn a_loop_runs_until_both_sides_have_ended() {
    let Pair { socket, peer, events, log, server } = Half::Answering.reach();
    drop(server);
    let answering = *socket;
    let stayed = thread::spawn(move || {
        let mut answer = Vec::new();
        (&peer).read_to_end(&mut answer).expect("an answer");
        answer
    });
    post(events.0, move || {
        ok(answering.write(b"answer"));
        ok(answering.shutdown());
    });
    events.run_to_its_end();
    assert_eq!((stayed.join().expect("no panic"), log.take()), (b"answer".to_vec(), vec!["close".into()]));
}

#[test]
fn a_shutdown_reaches_the_peer_though_a_child_has_a_copy() {
    in_own_process!(|| {
        let pair = half_open();
        let child = Child::fork();
        ok(pair.socket.write(b"all"));
        ok(pair.socket.shutdown());
        assert_eq!(pair.events.receive_to_end(&pair.peer), (b"all".to_vec(), None));
        pair.send_fin();
        pair.events.rest_until(|| pair.log.contains("close"));
        assert_eq!(pair.log.take(), ["end", "close"]);
        assert_loop_rests(&pair.events, 100);
        drop(child);
    });
}

// ---- Much, both ways --------------------------------------------------------------------------------------------------

/// One that takes four kilobytes at a time, from the beginning: TCP waits for half of the largest window that it has seen.
fn client_with_a_small_window(server: &Server) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("an option");
    let address: std::net::SocketAddr = ([127, 0, 0, 1], server.port()).into();
    socket.connect(&address.into()).expect("a client connects");
    socket.into()
}

/// Each side sends twenty megabytes through a small window and ends, the one before the other.
#[test]
fn much_goes_both_ways_through_a_small_window_around_both_ends() {
    for peer_first in [true, false] {
        let (events, server) = listening();
        set(&server, SS_OPT_HALF_OPEN, 1);
        set(&server, SS_OPT_READ_LIMIT, 4_096);
        let accepted = server.keep_accepted();
        let peer = client_with_a_small_window(&server);
        events.pump_until(|| accepted.len() == 1);
        let (socket, log) = (accepted.last().keep(), Log::default());
        log.record_socket(*socket);
        let (received, answering) = (Rc::<RefCell<Vec<u8>>>::default(), *socket);
        on(*socket, SOCKET_DATA, {
            let received = received.clone();
            move |_| received.borrow_mut().extend(answering.read_all())
        });
        on(*socket, END, move |_| {
            if peer_first {
                ok(answering.write(&pattern(MUCH)));
                ok(answering.shutdown());
            }
        });
        if !peer_first {
            ok(socket.write(&pattern(MUCH)));
            ok(socket.shutdown());
        }
        let mut writer = peer.try_clone().expect("a second handle");
        let writes = thread::spawn(move || {
            writer.write_all(&pattern(MUCH)).expect("the peer writes");
            writer.shutdown(Shutdown::Write).expect("a FIN");
        });
        let mut reader = peer;
        let reads = thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).expect("the peer reads");
            all
        });
        events.pump_until(|| log.contains("close"));
        assert_same_bytes(&events.join(reads), &pattern(MUCH));
        events.join(writes);
        assert_same_bytes(&received.borrow(), &pattern(MUCH));
        let told = log.take();
        assert_eq!(told[told.len() - 2..], ["end", "close"]);
    }
}

/// `nc -N` ends its side behind what it was given, and waits for the answer, which a thread of the host's makes meanwhile.
#[test]
fn nc_that_ends_its_side_gets_an_answer_that_comes_later() {
    let (events, server) = listening();
    set(&server, SS_OPT_HALF_OPEN, 1);
    let (loop_handle, accepted) = (AnyThread::new(events.0), Rc::<RefCell<Vec<Kept>>>::default());
    on(&server, CONNECT, move |event| {
        let socket = event.socket();
        accepted.borrow_mut().push(socket.keep());
        on(socket, END, move |_| {
            let (question, socket) = (socket.read_all(), AnyThread::new(socket));
            thread::spawn(move || {
                post(loop_handle.get(), move || {
                    ok(socket.get().write(&question.to_ascii_uppercase()));
                    ok(socket.get().close());
                });
            });
        });
    });
    let nc = Command::new("nc")
        .args(["-N", "127.0.0.1", &server.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut nc) = nc else {
        return skipped("nc is not installed");
    };
    nc.stdin.take().expect("a pipe").write_all(b"a question").expect("nc takes it");
    let mut answer = nc.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        answer.read_to_string(&mut text).expect("nc answers");
        text
    });
    assert_eq!(events.join(reader), "A QUESTION");
    assert!(nc.wait().expect("nc ends").success());
}

// ---- SS_OPT_READ_TIMEOUT ----------------------------------------------------------------------------------------------

/// Two connections on one loop: the first is the one under test, the second marks time, since it is as silent.
fn with_a_witness(milliseconds: i64) -> (Pair, TcpStream, Kept, Log) {
    let pair = Pair::new();
    let accepted = pair.server.keep_accepted();
    let peer = pair.server.client();
    pair.events.pump_until(|| accepted.len() == 1);
    let (witness, log) = (accepted.last().keep(), Log::default());
    log.record_socket(*witness);
    set(*pair.socket, SS_OPT_READ_TIMEOUT, milliseconds);
    set(*witness, SS_OPT_READ_TIMEOUT, milliseconds);
    (pair, peer, witness, log)
}

#[test]
fn a_peer_that_says_nothing_is_given_up_however_much_is_written_to_it() {
    let pair = Pair::new();
    let socket = *pair.socket;
    set(socket, SS_OPT_READ_TIMEOUT, 80);
    assert_eq!(option(socket, SS_OPT_READ_TIMEOUT), 80);
    let closes = closes(socket);
    pair.events.rest_until(|| {
        if socket.connected() {
            ok(socket.write(b"."));
        }
        let mut room = [0; 100];
        read_now(&pair.peer, &mut room);
        pair.log.contains("close")
    });
    assert_eq!((pair.log.take(), closes.take()), (vec!["ioError 2031".into(), "close".into()], vec![libc::ETIMEDOUT]));
    assert_loop_rests(&pair.events, 50);
}

#[test]
fn a_peer_that_speaks_in_time_is_left_alone() {
    let (pair, _other, _witness, silent) = with_a_witness(500);
    pair.events.pump_until(|| {
        pair.send(b".");
        silent.contains("close")
    });
    assert!(pair.socket.connected());
    pair.events.rest_until(|| pair.log.contains("close"));
}

/// The host was busy for longer than the peer was silent: what waits in the system counts.
#[test]
fn what_the_peer_has_said_while_the_host_was_busy_counts() {
    let (pair, _other, _witness, silent) = with_a_witness(60);
    thread::sleep(Duration::from_millis(120));
    pair.send(b"in time");
    pair.events.rest_until(|| silent.contains("close"));
    assert!(pair.socket.connected());
}

#[test]
fn the_time_stands_still_while_the_host_does_not_read() {
    for full in [false, true] {
        let (pair, _other, _witness, silent) = with_a_witness(60);
        let socket = *pair.socket;
        if full {
            set(socket, SS_OPT_READ_LIMIT, 10);
            pair.send(&[7; 10]);
            pair.pump_until_available(10);
        } else {
            ok(ss_socket_pause(socket.0));
        }
        pair.events.rest_until(|| silent.contains("close"));
        assert_loop_rests(&pair.events, 200);
        assert!(socket.connected(), "full: {full}");
        assert_eq!(ss_loop_timeout(pair.events.0), -1, "it sleeps");
        if full {
            assert_eq!(socket.read(3).len(), 3);
        } else {
            ok(ss_socket_resume(socket.0));
        }
        pair.events.rest_until(|| pair.log.contains("close"));
        assert!(pair.log.contains("ioError 2031"), "full: {full}");
    }
}

#[test]
fn the_time_is_over_with_the_peers_end_and_runs_on_after_ours() {
    let (pair, other, witness, silent) = with_a_witness(60);
    set(*pair.socket, SS_OPT_HALF_OPEN, 1);
    pair.send_fin();
    ok(witness.shutdown());
    pair.events.rest_until(|| silent.contains("close"));
    assert_loop_rests(&pair.events, 150);
    assert_eq!((pair.log.take(), pair.socket.connected()), (vec!["end".into()], true));
    assert_eq!(silent.take(), ["ioError 2031", "close"]);
    assert_eq!(pair.events.receive_to_end(&other), (vec![], None));
}

#[test]
fn a_server_hands_the_time_down_and_connecting_is_not_in_it() {
    let (events, server) = listening();
    set(&server, SS_OPT_READ_TIMEOUT, 60);
    let accepted = server.keep_accepted();
    let _peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    let log = Log::default();
    log.record_socket(accepted.last());
    events.rest_until(|| log.contains("close"));
    assert_eq!(log.take(), ["ioError 2031", "close"]);

    // One that connects has it from then on.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let socket = Kept(Socket(ss_socket_new(events.0)));
    set(*socket, SS_OPT_READ_TIMEOUT, 60);
    log.record_socket(*socket);
    on(*socket, CONNECT, log.adds("connect"));
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), port.into()) });
    events.rest_until(|| log.contains("close"));
    assert_eq!(log.take(), ["connect", "ioError 2031", "close"]);

    // It can be taken back.
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_READ_TIMEOUT, 50);
    set(*pair.socket, SS_OPT_READ_TIMEOUT, 0);
    assert_loop_rests(&pair.events, 150);
    assert_eq!((ss_loop_timeout(pair.events.0), pair.socket.connected()), (-1, true));
}
