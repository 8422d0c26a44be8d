// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepted sockets: their state, what comes in, what goes out, and how connections end.

use crate::{listening, serving};
use server_socket::*;
use socket2::SockRef;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use support::*;

/// What the peer receives until its connection ends.
fn read_to_end(peer: &TcpStream) -> JoinHandle<std::io::Result<Vec<u8>>> {
    let mut peer = peer.try_clone().expect("a second handle");
    thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).map(|_| received)
    })
}

/// Appends what comes in to the returned bytes, as it comes.
fn collect(socket: Socket) -> Rc<RefCell<Vec<u8>>> {
    let received = Rc::new(RefCell::new(Vec::new()));
    on(socket, SOCKET_DATA, {
        let received = received.clone();
        move |_| received.borrow_mut().extend(socket.read_all())
    });
    received
}

fn disconnected(socket: Socket) {
    assert!(!socket.connected());
    // Whom it was connected to can still be asked.
    let (local, remote) = (socket.local(), socket.remote());
    assert!(local.0.is_some() && local.1 > 0 && remote.0.is_some() && remote.1 > 0, "{local:?} {remote:?}");
    assert_eq!(socket.pending(), 0);
}

/// Everything that needs a connection says that there is none.
#[track_caller]
fn every_call_fails(socket: Socket) {
    fails(socket.write(b"x"), SS_ERR_IO, 2002);
    fails(socket.flush(), SS_ERR_IO, 2002);
    fails(socket.read_bytes(&mut [0]), SS_ERR_IO, 2002);
    fails(socket.skip(1), SS_ERR_IO, 2002);
    fails(socket.close(), SS_ERR_IO, 2002);
    fails(socket.abort(), SS_ERR_IO, 2002);
    assert_eq!(socket.available(), 0);
    assert_eq!(socket.read(8), b"");
    assert_eq!(socket.peek(), b"");
}

// ---- State and addresses --------------------------------------------------------------------------------------------

#[test]
fn a_socket_that_was_never_connected_says_so() {
    let events = Loop::new();
    let socket = Socket(ss_socket_new(events.0));
    assert!(!socket.connected());
    assert_eq!((socket.local(), socket.remote(), socket.pending()), ((None, 0), (None, 0), 0));
    every_call_fails(socket);
    ok(release(socket));
}

#[test]
fn a_socket_accepted_at_any_address_knows_the_one_it_was_reached_at() {
    let events = Loop::new();
    for (any, reached) in [(c"0.0.0.0", "127.0.0.1"), (c"::", "::1")] {
        if reached == "::1" && !has_ipv6() {
            return;
        }
        let server = Server::listening_on(&events, any);
        let accepted = server.keep_accepted();
        let address = if reached.contains(':') { format!("[{reached}]") } else { reached.to_owned() };
        let peer = client(&format!("{address}:{}", server.port()));
        events.pump_until(|| accepted.len() == 1);
        let socket = accepted.last();
        assert_eq!(socket.local(), (Some(reached.into()), server.port().into()));
        let port = peer.local_addr().expect("an address").port();
        assert_eq!(socket.remote(), (Some(reached.into()), port.into()));
    }
}

#[test]
fn the_peers_address_is_known_even_if_it_is_gone_already() {
    let (events, server, kept) = serving();
    let log = Log::default();
    on(&server, CONNECT, {
        let log = log.clone();
        move |event| {
            log.record_socket(event.socket());
            log.add(event.socket().remote().0.expect("an address"));
        }
    });
    match cfg!(windows) {
        false => reset(server.client()),
        // A reset connection is not handed out by Winsock's accept, an ended one is.
        true => drop(server.client()),
    }
    events.pump_until(|| log.len() == 2);
    events.settle();
    assert_eq!(log.take(), ["127.0.0.1", "close"]);
    disconnected(kept.last());
}

#[test]
fn a_closed_socket_keeps_its_addresses_and_every_call_says_that_it_is_closed() {
    let pair = Pair::new();
    pair.send(b"unread");
    pair.pump_until_available(6);
    ok(pair.socket.close());
    disconnected(*pair.socket);
    every_call_fails(*pair.socket);
}

#[test]
fn an_aborted_socket_keeps_its_addresses_and_every_call_says_that_it_is_closed() {
    let pair = Pair::new();
    ok(pair.socket.abort());
    disconnected(*pair.socket);
    every_call_fails(*pair.socket);
}

#[test]
fn small_packets_are_not_delayed_by_default() {
    let pair = Pair::new();
    assert!(SockRef::from(&system_socket(*pair.socket)).tcp_nodelay().expect("an option"));
}

// ---- Reading --------------------------------------------------------------------------------------------------------

#[test]
fn a_read_takes_what_is_there_up_to_the_room_it_has() {
    let pair = Pair::new();
    pair.send(b"abcdef");
    pair.pump_until_available(6);
    assert_eq!(pair.socket.read(4), b"abcd");
    assert_eq!(pair.socket.available(), 2);
    assert_eq!(pair.socket.read(0), b"");
    assert_eq!(pair.socket.read(100), b"ef");
    assert_eq!(pair.socket.read(100), b"");
    assert!(pair.socket.connected());
}

#[test]
fn read_bytes_reads_exactly_or_nothing() {
    let pair = Pair::new();
    pair.send(b"abcdef");
    pair.pump_until_available(6);
    let mut room = [b'#'; 7];
    fails(pair.socket.read_bytes(&mut room), SS_ERR_EOF, 2030);
    assert_eq!((room, pair.socket.available()), ([b'#'; 7], 6));
    ok(pair.socket.read_bytes(&mut room[..4]));
    assert_eq!(&room, b"abcd###");
    ok(pair.socket.read_bytes(&mut room[..2]));
    assert_eq!(&room, b"efcd###");
    fails(pair.socket.read_bytes(&mut room[..1]), SS_ERR_EOF, 2030);
}

#[test]
fn peek_shows_the_unread_bytes_and_skip_consumes_them() {
    let pair = Pair::new();
    pair.send(b"abcdef");
    pair.pump_until_available(6);
    assert_eq!(pair.socket.peek(), b"abcdef");
    assert_eq!(pair.socket.peek(), b"abcdef");
    ok(pair.socket.skip(2));
    assert_eq!(pair.socket.peek(), b"cdef");
    fails(pair.socket.skip(5), SS_ERR_EOF, 2030);
    fails(pair.socket.skip(usize::MAX), SS_ERR_RANGE, 2006);
    assert_eq!(pair.socket.peek(), b"cdef");
    ok(pair.socket.skip(4));
    assert_eq!(pair.socket.peek(), b"");
}

#[test]
fn nothing_is_read_skipped_or_written_without_effect() {
    let pair = Pair::new();
    ok(pair.socket.read_bytes(&mut []));
    ok(pair.socket.skip(0));
    ok(pair.socket.write(b""));
    ok(unsafe { ss_socket_write_bytes(pair.socket.0.0, null_mut(), 0) });
    ok(unsafe { ss_socket_read_bytes(pair.socket.0.0, null_mut(), 0) });
    assert_eq!(unsafe { ss_socket_read(pair.socket.0.0, null_mut(), 0) }, 0);
    let progress = Log::default();
    on(*pair.socket, OUTPUT_PROGRESS, progress.adds("progress"));
    pair.events.settle();
    assert_eq!((pair.log.len(), progress.len()), (0, 0));
    assert_eq!(pair.socket.pending(), 0);
}

#[test]
fn room_and_bytes_must_not_be_null() {
    let pair = Pair::new();
    pair.send(b"abc");
    pair.pump_until_available(3);
    let socket = pair.socket.0.0;
    for status in [unsafe { ss_socket_read_bytes(socket, null_mut(), 1) }, unsafe {
        ss_socket_write_bytes(socket, null_mut(), 1)
    }] {
        assert_eq!((status, last_error().id), (SS_ERR_TYPE, 2007));
    }
    assert_eq!(unsafe { ss_socket_read(socket, null_mut(), 1) }, 0);
    assert_eq!(pair.socket.read_all(), b"abc");
}

#[test]
fn unread_bytes_stay_and_bring_no_second_event() {
    let pair = Pair::new();
    pair.send(b"first");
    pair.pump_until_available(5);
    pair.events.settle();
    assert_eq!(pair.log.take(), ["socketData"]);
    let loaded = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, SOCKET_DATA, {
        let loaded = loaded.clone();
        move |event| loaded.borrow_mut().push((event.bytes_loaded(), event.bytes_total()))
    });
    pair.send(b" second");
    pair.pump_until_available(12);
    assert_eq!(*loaded.borrow(), [(7, 0)], "the new bytes only");
    assert_eq!(pair.socket.read_all(), b"first second");
}

#[test]
fn bytes_are_in_place_inside_the_listener_and_what_it_leaves_is_kept() {
    let pair = Pair::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, SOCKET_DATA, {
        let (socket, seen) = (*pair.socket, seen.clone());
        move |_| {
            seen.borrow_mut().push(socket.peek());
            ok(socket.skip(1));
            seen.borrow_mut().push(socket.read(1));
        }
    });
    pair.send(b"abcd");
    pair.pump_until_available(2);
    pair.events.settle();
    assert_eq!(*seen.borrow(), [b"abcd".to_vec(), b"b".to_vec()]);
    assert_eq!(pair.socket.read_all(), b"cd");
}

#[test]
fn the_bytes_loaded_add_up_to_what_came() {
    let pair = Pair::new();
    let sum = shared::<u64>();
    on(*pair.socket, SOCKET_DATA, {
        let sum = sum.clone();
        move |event| {
            assert!(event.bytes_loaded() > 0);
            sum.set(sum.get() + event.bytes_loaded());
        }
    });
    let received = collect(*pair.socket);
    let sent = pattern(3_000_000);
    let writer = thread::spawn({
        let (mut peer, sent) = (pair.peer.try_clone().expect("a second handle"), sent.clone());
        move || peer.write_all(&sent).expect("the peer writes")
    });
    pair.events.pump_until(|| received.borrow().len() == sent.len());
    pair.events.join(writer);
    assert_same_bytes(&received.borrow(), &sent);
    assert_eq!(sum.get(), sent.len() as u64);
}

#[test]
fn a_socket_has_at_most_one_data_event_a_turn() {
    let pair = Pair::new();
    let received = collect(*pair.socket);
    let sent = pattern(5_000_000);
    let writer = thread::spawn({
        let (mut peer, sent) = (pair.peer.try_clone().expect("a second handle"), sent.clone());
        move || peer.write_all(&sent).expect("the peer writes")
    });
    pair.events.pump_until(|| {
        assert!(pair.log.take().len() <= 1);
        received.borrow().len() == sent.len()
    });
    pair.events.join(writer);
}

/// Reads of every size, inside and outside of listeners, of pieces of every size, are one stream.
#[test]
fn reads_of_any_size_give_the_stream_in_order() {
    let mut random = Random(5);
    for _ in 0..20 {
        let pair = Pair::new();
        let sent = pattern(300_000);
        let received = Rc::new(RefCell::new(Vec::new()));
        on(*pair.socket, SOCKET_DATA, {
            let (socket, received) = (*pair.socket, received.clone());
            let random = RefCell::new(Random(random.next()));
            move |_| {
                let mut random = random.borrow_mut();
                for _ in 0..random.below(4) {
                    received.borrow_mut().extend(socket.read(random.below(5_000)));
                }
            }
        });
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(1 + random.below(20_000)));
            pair.send(piece);
            rest = later;
            pair.events.turn(0);
            received.borrow_mut().extend(pair.socket.read(random.below(10_000)));
        }
        pair.events.pump_until(|| {
            received.borrow_mut().extend(pair.socket.read_all());
            received.borrow().len() == sent.len()
        });
        assert_same_bytes(&received.borrow(), &sent);
    }
}

#[test]
fn a_hundred_thousand_segments_of_one_byte_arrive_in_order() {
    let pair = Pair::new();
    let received = collect(*pair.socket);
    let sent = pattern(100_000);
    let writer = thread::spawn({
        let (mut peer, sent) = (pair.peer.try_clone().expect("a second handle"), sent.clone());
        move || {
            peer.set_nodelay(true).expect("an option");
            for byte in &sent {
                peer.write_all(std::slice::from_ref(byte)).expect("the peer writes");
            }
        }
    });
    pair.events.pump_until(|| received.borrow().len() == sent.len());
    pair.events.join(writer);
    assert_same_bytes(&received.borrow(), &sent);
}

#[test]
fn an_urgent_byte_leaves_the_stream_intact() {
    let pair = Pair::new();
    let received = collect(*pair.socket);
    let mut expected = 0;
    for round in 0..50 {
        pair.send(b"before");
        SockRef::from(&pair.peer).send_out_of_band(b"!").expect("an urgent byte");
        pair.send(b"after");
        expected += 11;
        if round % 2 == 0 {
            pair.events.turn(0);
        }
    }
    let normal = |received: &[u8]| received.iter().copied().filter(|byte| *byte != b'!').collect::<Vec<u8>>();
    pair.events.pump_until(|| normal(&received.borrow()).len() == expected);
    assert_eq!(normal(&received.borrow()), b"beforeafter".repeat(50));
    // It is a byte like any other.
    #[cfg(target_os = "linux")]
    assert_eq!(received.borrow().as_slice(), b"before!after".repeat(50));
    pair.events.settle();
    #[cfg(any(target_os = "linux", windows))]
    assert_loop_rests(&pair.events, 300);
    pair.send(b"more");
    pair.events.pump_until(|| received.borrow().ends_with(b"more"));
}

// ---- The peer's end -------------------------------------------------------------------------------------------------

#[test]
fn bytes_before_the_peers_end_stay_readable_in_and_after_the_close_event() {
    let pair = Pair::new();
    on(*pair.socket, CLOSE, {
        let socket = *pair.socket;
        move |event| {
            assert!(!event.bubbles() && !event.cancelable());
            assert!(!socket.connected());
            assert_eq!(socket.read(4), b"last");
            fails(socket.write(b"too late"), SS_ERR_IO, 2002);
        }
    });
    pair.send(b"last words");
    pair.send_fin();
    pair.events.pump_until(|| pair.log.contains("close"));
    pair.events.settle();
    assert_eq!(pair.log.take(), ["socketData", "close"]);
    assert_eq!(pair.socket.peek(), b" words");
    let mut word = [0; 6];
    ok(pair.socket.read_bytes(&mut word));
    assert_eq!(&word, b" words");
    disconnected(*pair.socket);
    every_call_fails(*pair.socket);
}

#[test]
fn closing_after_the_peers_end_gives_up_what_is_unread() {
    let pair = Pair::new();
    pair.send(b"last words");
    pair.send_fin();
    pair.events.pump_until(|| pair.log.contains("close"));
    assert_eq!(pair.socket.available(), 10);
    ok(pair.socket.close());
    every_call_fails(*pair.socket);
}

/// The peer's end often comes in the same packet as its last bytes: all bytes come first, and `close` once.
#[test]
fn data_always_comes_before_close() {
    let (events, server, accepted) = serving();
    // For those sockets that are read when all has come.
    ok(ss_set_option(server.0.cast(), SS_OPT_READ_LIMIT, 16 << 20));
    let (log, received) = (Log::default(), Rc::new(RefCell::new(Vec::new())));
    on(&server, CONNECT, {
        let (log, received) = (log.clone(), received.clone());
        move |event| {
            let socket = event.socket();
            let read_at_the_end = socket.remote().1 % 2 == 0;
            on(socket, SOCKET_DATA, {
                let received = received.clone();
                move |_| {
                    if !read_at_the_end {
                        received.borrow_mut().extend(socket.read_all());
                    }
                }
            });
            on(socket, CLOSE, {
                let received = received.clone();
                move |_| received.borrow_mut().extend(socket.read_all())
            });
            log.record_socket(socket);
        }
    });
    let mut random = Random(16);
    let mut total = 0;
    for burst in 0..1_000 {
        // From 1 byte to 1 MB, small ones as often as large ones, and 10 MB.
        let exponent = random.below(20);
        let length = 1 + random.below(1 << exponent);
        let sent = pattern(if burst < 2 { 10_000_000 } else { length });
        total += sent.len();
        let mut peer = server.client();
        let writer = (sent.len() > 50_000).then(|| {
            let (mut peer, sent) = (peer.try_clone().expect("a second handle"), sent.clone());
            thread::spawn(move || {
                peer.write_all(&sent).expect("the peer writes");
                peer.shutdown(Shutdown::Write).expect("a FIN");
            })
        });
        if writer.is_none() {
            peer.write_all(&sent).expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("a FIN");
        }
        events.pump_until(|| log.contains("close"));
        if let Some(writer) = writer {
            events.join(writer);
        }
        assert_same_bytes(&received.take(), &sent);
        let mut entries = log.take();
        assert_eq!(entries.pop().as_deref(), Some("close"));
        assert!(!entries.is_empty() && entries.iter().all(|entry| entry == "socketData"), "{entries:?}");
        accepted.clear();
        reset(peer);
    }
    events.settle();
    assert_eq!(log.len(), 0, "a second close");
    figure(format_args!(
        "1,000 bursts with FIN, 1 byte to 10 MB, {total} bytes: all of them before close, one close each"
    ));
}

#[test]
fn data_before_a_reset_is_delivered_and_then_close_once() {
    for length in [1, 1_000, 60_000] {
        let Pair { socket, peer, log, events, server: _server } = Pair::new();
        let received = collect(*socket);
        let sent = pattern(length);
        (&peer).write_all(&sent).expect("the peer writes");
        // Arrived, but not yet read by the loop: the system keeps it beyond the reset.
        let arrived = || {
            let mut all = vec![0; length];
            let fd = SockRef::from(&system_socket(*socket)).try_clone().expect("a second handle");
            fd.peek(as_uninit(&mut all)).is_ok_and(|peeked| peeked == length)
        };
        while !arrived() {
            thread::yield_now();
        }
        reset(peer);
        events.pump_until(|| log.contains("close"));
        events.settle();
        assert_same_bytes(&received.borrow(), &sent);
        let entries = log.take();
        assert_eq!(entries.iter().filter(|entry| *entry == "close").count(), 1);
        assert_eq!(entries.last().map(String::as_str), Some("close"));
        assert!(!entries.iter().any(|entry| entry.starts_with("ioError")), "no output was lost");
        figure(format_args!("{length} bytes and a RST: {} bytes read, then close once", received.borrow().len()));
    }
}

fn as_uninit(bytes: &mut [u8]) -> &mut [std::mem::MaybeUninit<u8>] {
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [std::mem::MaybeUninit<u8>]) }
}

#[test]
fn a_reset_that_loses_output_is_an_io_error_and_then_close() {
    let Pair { socket, peer, log, events, server: _server } = Pair::new();
    ok(socket.write(&pattern(30_000_000)));
    ok(socket.flush());
    reset(peer);
    events.pump_until(|| log.contains("close"));
    events.settle();
    assert_eq!(log.take(), ["ioError 2031", "close"]);
    every_call_fails(*socket);
}

#[test]
fn an_io_error_that_nobody_hears_stops_nothing() {
    let (events, server, accepted) = serving();
    let (first, second) = (server.client(), server.client());
    events.pump_until(|| accepted.len() == 2);
    ok(accepted.get(0).write(&pattern(30_000_000)));
    reset(first);
    events.pump_until(|| !accepted.get(0).connected());
    ok(accepted.get(1).write(b"still here"));
    assert_eq!(events.receive(&second, 10), b"still here");
}

/// SEMANTICS.md: the `close` event is never after an own close, and an ioError listener is a place to close.
#[test]
fn closing_in_the_io_error_listener_with_unread_input_brings_no_close_event() {
    let Pair { socket, peer, log, events, server: _server } = Pair::new();
    (&peer).write_all(b"unread").expect("the peer writes");
    events.pump_until(|| socket.available() == 6);
    log.take();
    on(*socket, IO_ERROR, {
        let socket = *socket;
        move |_| ok(socket.close())
    });
    ok(socket.write(&pattern(30_000_000)));
    reset(peer);
    events.pump_until(|| log.len() > 0);
    events.settle();
    assert_eq!(log.take(), ["ioError 2031"]);
}

#[test]
fn a_reset_while_idle_is_close_alone() {
    let Pair { socket, peer, log, events, server: _server } = Pair::new();
    reset(peer);
    events.pump_until(|| log.contains("close"));
    events.settle();
    assert_eq!(log.take(), ["close"]);
    disconnected(*socket);
}

#[test]
fn a_peer_that_has_ended_its_side_still_gets_everything_it_is_owed() {
    let pair = Pair::new();
    let answer = Arc::new(pattern(5_000_000));
    on(*pair.socket, SOCKET_DATA, {
        let (socket, answer) = (*pair.socket, answer.clone());
        move |_| ok(socket.write(&answer))
    });
    pair.send(b"question");
    pair.send_fin();
    let reader = read_to_end(&pair.peer);
    let received = pair.events.join(reader).expect("no reset");
    assert_same_bytes(&received, &answer);
    assert_eq!(pair.log.take(), ["socketData", "close"]);
    figure(format_args!("{} of 5000000 bytes after the peer's FIN", received.len()));
}

/// The same, but the peer begins to read long after its end has been reported.
#[test]
fn a_slow_peer_that_has_ended_its_side_still_gets_everything_it_is_owed() {
    let pair = Pair::new();
    let answer = pattern(5_000_000);
    ok(pair.socket.write(&answer));
    pair.send_fin();
    pair.events.pump_until(|| pair.log.contains("close"));
    pair.events.settle();
    let reader = read_to_end(&pair.peer);
    assert_same_bytes(&pair.events.join(reader).expect("no reset"), &answer);
}

#[test]
fn a_peer_that_ends_its_side_and_then_resets_leaves_nothing_open() {
    let _watchdog = Watchdog::new();
    let Pair { socket, peer, server, log, events } = Pair::new();
    ok(socket.write(&pattern(30_000_000)));
    peer.shutdown(Shutdown::Write).expect("a FIN");
    events.pump_until(|| log.contains("close"));
    reset(peer);
    drop(server);
    // Returns when no connection is left on the loop.
    let start = std::time::Instant::now();
    ok(ss_loop_run(events.0));
    figure(format_args!("FIN, then RST while 30 MB are unsent: nothing left after {:?}", start.elapsed()));
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "not before the linger was over");
    assert_eq!(log.take(), ["close"]);
}

// ---- Writing --------------------------------------------------------------------------------------------------------

/// Less goes through the smallest buffer, since the system itself takes half a second for a megabyte then.
#[test]
fn fifty_megabytes_through_a_small_send_buffer_arrive_whole_and_in_order() {
    for (buffer, length) in [(4_096, 1_000_000), (65_536, 50_000_000)] {
        let pair = Pair::new();
        SockRef::from(&system_socket(*pair.socket)).set_send_buffer_size(buffer).expect("an option");
        let sent = pattern(length);
        for part in sent.chunks(1_234_567) {
            ok(pair.socket.write(part));
        }
        assert!(pair.socket.pending() > 0);
        let mut peer = pair.peer.try_clone().expect("a second handle");
        let reader = thread::spawn(move || {
            let mut received = vec![0; length];
            peer.read_exact(&mut received).expect("the peer reads");
            received
        });
        assert_same_bytes(&pair.events.join(reader), &sent);
        pair.events.settle();
        assert_eq!(pair.socket.pending(), 0);
        figure(format_args!("{length} bytes through a send buffer of {buffer}: whole and in order"));
    }
}

/// Small writes are gathered, large ones sent from where they lie, and what the system refuses waits: one stream.
#[test]
fn writes_of_any_size_give_the_stream_in_order() {
    let mut random = Random(28);
    for _ in 0..20 {
        let pair = Pair::new();
        let sent = pattern(5_000_000);
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let largest = 1 << random.below(21);
            let (piece, later) = rest.split_at(rest.len().min(1 + random.below(largest)));
            ok(pair.socket.write(piece));
            rest = later;
            match random.below(8) {
                0 => ok(pair.socket.flush()),
                1 => either_way(unsafe { ss_loop_poll(pair.events.0, 0, null_mut()) }),
                _ => {}
            }
        }
        assert_same_bytes(&pair.events.receive(&pair.peer, sent.len()), &sent);
    }
}

#[test]
#[cfg(target_os = "linux")] // no other system tells the number of segments
fn what_one_listener_writes_leaves_in_one_segment() {
    let pair = Pair::new();
    let segments = || tcp_info(*pair.socket).tcpi_data_segs_out;
    on(*pair.socket, SOCKET_DATA, {
        let socket = *pair.socket;
        move |_| {
            for _ in 0..100 {
                ok(socket.write(b"ten bytes."));
            }
            assert_eq!(socket.pending(), 1_000, "not before the listener has ended");
        }
    });
    on(*pair.socket, SOCKET_DATA, {
        let socket = *pair.socket;
        move |_| assert_eq!(socket.pending(), 0, "a later listener")
    });
    let before = segments();
    pair.send(b"x");
    assert_eq!(pair.events.receive(&pair.peer, 1_000), b"ten bytes.".repeat(100));
    assert_eq!(segments() - before, 1);
}

#[test]
fn flush_sends_at_once_and_no_turn_is_needed() {
    let pair = Pair::new();
    ok(pair.socket.write(b"now"));
    assert_eq!(pair.socket.pending(), 3);
    ok(pair.socket.flush());
    assert_eq!(pair.socket.pending(), 0);
    let mut received = [0; 3];
    (&pair.peer).read_exact(&mut received).expect("it was sent");
    assert_eq!(&received, b"now");
}

#[test]
fn what_is_written_outside_of_listeners_leaves_with_the_next_turn() {
    let pair = Pair::new();
    pair.events.settle();
    ok(pair.socket.write(b"soon"));
    pair.events.turn(0);
    let mut received = [0; 4];
    (&pair.peer).read_exact(&mut received).expect("it was sent");
    assert_eq!(&received, b"soon");
}

#[test]
fn what_is_written_in_a_dispatch_of_the_programs_own_leaves_with_its_end() {
    let pair = Pair::new();
    on(*pair.socket, c"mine", {
        let socket = *pair.socket;
        move |_| ok(socket.write(b"soon"))
    });
    dispatch(*pair.socket, c"mine");
    let mut received = [0; 4];
    (&pair.peer).read_exact(&mut received).expect("it was sent");
    assert_eq!(&received, b"soon");
}

#[test]
fn written_bytes_are_copied_and_may_change_after_the_call() {
    let pair = Pair::new();
    for length in [10, 100_000, 20_000_000] {
        let mut bytes = pattern(length);
        ok(pair.socket.write(&bytes));
        bytes.fill(b'#');
        assert_same_bytes(&pair.events.receive(&pair.peer, length), &pattern(length));
    }
}

#[test]
fn output_progress_tells_what_has_left_and_what_is_still_there() {
    let pair = Pair::new();
    let figures = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, OUTPUT_PROGRESS, {
        let (socket, figures) = (*pair.socket, figures.clone());
        move |event| {
            assert!(!event.bubbles() && !event.cancelable());
            assert_eq!(event.bytes_pending(), socket.pending() as u64);
            figures.borrow_mut().push((event.bytes_pending(), event.bytes_total()));
        }
    });
    ok(pair.socket.write(b"12345"));
    pair.events.settle();
    ok(pair.socket.write(b"678"));
    pair.events.settle();
    assert_eq!(figures.take(), [(0, 5), (0, 8)], "the total grows with the connection");
    assert_eq!(pair.events.receive(&pair.peer, 8), b"12345678");

    let large = pattern(20_000_000);
    ok(pair.socket.write(&large));
    pair.events.pump_until(|| {
        assert!(figures.borrow().len() <= 1, "more than one in a turn");
        figures.borrow().len() == 1
    });
    let first = figures.borrow()[0];
    assert!(first.0 > 0 && first.1 == 20_000_008, "{first:?}");
    assert_same_bytes(&pair.events.receive(&pair.peer, large.len()), &large);
    pair.events.settle();
    let figures = figures.take();
    assert!(figures.windows(2).all(|two| two[1].0 < two[0].0), "bytes pending only become fewer");
    assert!(figures.iter().all(|(_, total)| *total == 20_000_008));
    assert_eq!(figures.last(), Some(&(0, 20_000_008)));
}

#[test]
fn several_flushes_in_one_turn_are_one_progress_event() {
    let pair = Pair::new();
    let progress = Log::default();
    on(*pair.socket, OUTPUT_PROGRESS, {
        let progress = progress.clone();
        move |event| progress.add(event.bytes_total())
    });
    on(*pair.socket, SOCKET_DATA, {
        let socket = *pair.socket;
        move |_| {
            for _ in 0..5 {
                ok(socket.write(b"ten bytes."));
                ok(socket.flush());
            }
        }
    });
    pair.send(b"x");
    pair.pump_until_available(1);
    pair.events.settle();
    assert_eq!(progress.take(), ["50"]);
}

/// A progress listener that writes more is how a program streams what it does not want to hold in memory.
#[test]
fn a_progress_listener_may_write_on() {
    let pair = Pair::new();
    let sent = Rc::new(pattern(30_000_000));
    let next = shared::<usize>();
    let write_on = {
        let (socket, sent, next) = (*pair.socket, sent.clone(), next.clone());
        move || {
            while socket.pending() < 500_000 && next.get() < sent.len() {
                let part = &sent[next.get()..sent.len().min(next.get() + 100_000)];
                ok(socket.write(part));
                next.set(next.get() + part.len());
            }
        }
    };
    on(*pair.socket, OUTPUT_PROGRESS, {
        let write_on = write_on.clone();
        move |_| write_on()
    });
    write_on();
    assert_same_bytes(&pair.events.receive(&pair.peer, sent.len()), &sent);
}

#[test]
fn a_write_beyond_the_limit_is_refused_whole_and_the_stream_goes_on() {
    let pair = Pair::new();
    let part = pattern(10_000_000);
    let mut parts = 0;
    loop {
        let pending = pair.socket.pending();
        match pair.socket.write(&part) {
            SS_OK => parts += 1,
            status => {
                assert_eq!(status, SS_ERR_FULL);
                assert_eq!(pair.socket.pending(), pending, "all or nothing");
                break;
            }
        }
        assert!(parts < 20, "unsent output has no bound");
    }
    assert!(pair.socket.pending() > 50_000_000);
    assert_same_bytes(&pair.events.receive(&pair.peer, parts * part.len()), &part.repeat(parts));
    ok(pair.socket.write(b"on"));
    assert_eq!(pair.events.receive(&pair.peer, 2), b"on");
    assert_eq!(pair.log.len(), 0);
}

#[test]
fn a_peer_that_never_reads_does_not_hold_up_the_others() {
    let (events, server, accepted) = serving();
    let deaf: Vec<TcpStream> = (0..20).map(|_| server.client()).collect();
    events.pump_until(|| accepted.len() == deaf.len());
    for index in 0..deaf.len() {
        ok(accepted.get(index).write(&pattern(8_000_000)));
    }
    let mut peer = server.client();
    events.pump_until(|| accepted.len() == deaf.len() + 1);
    let socket = accepted.last();
    on(socket, SOCKET_DATA, move |_| socket.echo());
    for round in 0..200 {
        let message = pattern(round * 100 + 1);
        peer.write_all(&message).expect("the peer writes");
        assert_same_bytes(&events.receive(&peer, message.len()), &message);
    }
    assert!((0..deaf.len()).all(|index| accepted.get(index).pending() > 0));
}

// ---- The own end ----------------------------------------------------------------------------------------------------

#[test]
fn what_was_written_before_close_arrives_whole() {
    for length in [5, 10_000_000] {
        let pair = Pair::new();
        let sent = pattern(length);
        ok(pair.socket.write(&sent));
        ok(pair.socket.close());
        let reader = read_to_end(&pair.peer);
        assert_same_bytes(&pair.events.join(reader).expect("no reset"), &sent);
        assert_eq!(pair.log.len(), 0);
    }
}

#[test]
fn what_was_written_before_the_last_release_arrives_whole() {
    let Pair { socket, peer, events, server: _server, .. } = Pair::new();
    let sent = pattern(10_000_000);
    ok(socket.write(&sent));
    drop(socket);
    let reader = read_to_end(&peer);
    assert_same_bytes(&events.join(reader).expect("no reset"), &sent);
}

/// Closing a connection with unread input makes the system reset it, which destroys what the peer has not read yet.
#[test]
fn closing_with_unread_input_loses_nothing_of_the_answer() {
    for unread in [1, 100, 1_000_000] {
        let pair = Pair::new();
        let answer = pattern(4_000_000);
        let request = pattern(unread);
        let writer = thread::spawn({
            let mut peer = pair.peer.try_clone().expect("a second handle");
            move || peer.write_all(&request).expect("the peer writes")
        });
        pair.pump_until_available(1);
        ok(pair.socket.write(&answer));
        ok(pair.socket.close());
        pair.events.join(writer);
        let reader = read_to_end(&pair.peer);
        let received = pair.events.join(reader).expect("no reset");
        assert_same_bytes(&received, &answer);
        figure(format_args!("closed with {unread} bytes of input unread: {} of 4000000 bytes arrive", received.len()));
    }
}

/// The same for a peer that talks on while it reads: all of the answer is with the system long before it is with the peer.
#[test]
fn closing_loses_nothing_of_the_answer_for_a_peer_that_talks_while_it_reads() {
    let pair = Pair::new();
    let answer = pattern(2_000_000);
    ok(pair.socket.write(&answer));
    ok(pair.socket.close());
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let talker = thread::spawn(move || {
        let (mut received, mut part) = (Vec::new(), vec![0; 20_000]);
        loop {
            peer.write_all(&[7; 20_000])?;
            match peer.read(&mut part)? {
                0 => return std::io::Result::Ok(received),
                length => received.extend_from_slice(&part[..length]),
            }
            thread::yield_now();
        }
    });
    assert_same_bytes(&pair.events.join(talker).expect("no reset"), &answer);
}

/// The same where the whole answer is with the system already, and the input comes just before the close or after it.
#[test]
fn closing_is_no_reset_though_input_is_on_its_way() {
    for length in [10, 100_000] {
        for late in [false, true] {
            let pair = Pair::new();
            let answer = pattern(length);
            if !late {
                pair.send(b"the loop has not read this");
            }
            ok(pair.socket.write(&answer));
            ok(pair.socket.close());
            pair.events.turn(0);
            if late {
                pair.send(b"the loop has not read this");
            }
            pair.events.settle();
            let reader = read_to_end(&pair.peer);
            assert_same_bytes(&pair.events.join(reader).expect("no reset"), &answer);
        }
    }
}

/// The bytes of a listener's event lie in the loop's buffer, into which nothing else may be read meanwhile: not even what
/// a socket that the listener closes still has to throw away.
#[test]
fn closing_another_socket_in_a_listener_leaves_the_bytes_of_the_event_alone() {
    let pair = Pair::new();
    let accepted = pair.server.keep_accepted();
    let other_peer = pair.server.client();
    pair.events.pump_until(|| accepted.len() == 1);
    let other = accepted.last();
    // It owes its peer an end, and has bytes that it has not read but knows of.
    ok(other.write(b"answer"));
    ok(other.flush());
    ok(ss_socket_pause(other.0));
    (&other_peer).write_all(&[0xee; 1000]).expect("the peer can write");
    pair.events.settle();
    assert_eq!(other.available(), 0);

    let seen = Rc::new(RefCell::new(Vec::new()));
    on(*pair.socket, SOCKET_DATA, {
        let (seen, socket) = (seen.clone(), *pair.socket);
        move |_| {
            ok(other.close());
            seen.borrow_mut().extend(socket.read_all());
        }
    });
    let bytes = pattern(2000);
    pair.send(&bytes);
    pair.events.pump_until(|| seen.borrow().len() == bytes.len());
    assert_same_bytes(&seen.borrow(), &bytes);
}

/// The wait for the end of a peer that goes on talking is bounded.
#[test]
fn a_peer_that_talks_on_after_close_is_cut_off() {
    let pair = Pair::new();
    ok(pair.socket.write(b"goodbye"));
    ok(pair.socket.close());
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let talker = thread::spawn(move || {
        let part = vec![0; 1 << 20];
        (0..200).find_map(|_| peer.write_all(&part).err())
    });
    let error = pair.events.join(talker).expect("200 MB were taken by a closed socket");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    figure(format_args!("a peer that talks on after close: {error}"));
}

#[test]
fn abort_resets_the_connection_and_drops_what_was_not_sent() {
    for unread in [&b""[..], b"unread"] {
        let pair = Pair::new();
        pair.send(unread);
        pair.pump_until_available(unread.len());
        pair.log.take();
        let sent = pattern(20_000_000);
        ok(pair.socket.write(&sent));
        ok(pair.socket.abort());
        let (received, error) = pair.events.receive_to_end(&pair.peer);
        assert_eq!(error, told_of_resets().then_some(ErrorKind::ConnectionReset));
        assert!(received.len() < sent.len());
        pair.events.settle();
        assert_eq!(pair.log.len(), 0, "no event");
    }
}

#[test]
fn after_an_own_close_no_event_comes() {
    let pair = Pair::new();
    let progress = Log::default();
    on(*pair.socket, OUTPUT_PROGRESS, progress.adds("progress"));
    ok(pair.socket.write(&pattern(10_000_000)));
    pair.send(b"unread");
    ok(pair.socket.close());
    pair.send_fin();
    let reader = read_to_end(&pair.peer);
    assert_eq!(pair.events.join(reader).expect("no reset").len(), 10_000_000);
    pair.events.settle();
    assert_eq!((pair.log.len(), progress.len()), (0, 0));
}

#[test]
fn events_that_were_due_in_the_same_turn_are_dropped_by_close() {
    for _ in 0..50 {
        let (events, server, accepted) = serving();
        let peers = [server.client(), server.client()];
        events.pump_until(|| accepted.len() == 2);
        let log = Log::default();
        for index in 0..2 {
            let (log, other) = (log.clone(), accepted.get(1 - index));
            log.record_socket(accepted.get(index));
            on(accepted.get(index), SOCKET_DATA, move |_| ok(other.close()));
        }
        for mut peer in &peers {
            peer.write_all(b"x").expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("a FIN");
        }
        events.pump_until(|| log.contains("close"));
        events.settle();
        assert_eq!(log.take(), ["socketData", "close"], "of one of the two");
    }
}

#[test]
fn closing_in_the_close_listener_says_that_it_is_closed() {
    let pair = Pair::new();
    on(*pair.socket, CLOSE, {
        let socket = *pair.socket;
        move |_| fails(socket.close(), SS_ERR_IO, 2002)
    });
    pair.send_fin();
    pair.events.pump_until(|| pair.log.contains("close"));
}

/// One listener closes another socket whose events are due in the same turn, and a new connection gets its descriptor:
/// none of the old one's events may reach the new one.
#[test]
fn a_connection_that_gets_a_used_descriptor_gets_no_event_of_its_predecessor() {
    let (events, server) = listening();
    let log = Log::default();
    let accepted = Rc::new(RefCell::new(Vec::<Socket>::new()));
    on(&server, CONNECT, {
        let (log, accepted) = (log.clone(), accepted.clone());
        move |event| {
            ok(retain(event.socket()));
            accepted.borrow_mut().push(event.socket());
            log.record_socket(event.socket());
        }
    });
    let mut reused = 0;
    for round in 0..5_000 {
        let (mut first, second) = (server.client(), server.client());
        events.pump_until(|| accepted.borrow().len() == 2);
        let victim = accepted.borrow()[1];
        let descriptor = native_handle(victim);
        on(accepted.borrow()[0], SOCKET_DATA, move |_| {
            if victim.connected() {
                ok(victim.abort());
            }
        });
        // Both have something for this turn, and the third waits to be accepted in it.
        first.write_all(b"x").expect("the peer writes");
        match round % 3 {
            0 => (&second).write_all(b"data").expect("the peer writes"),
            1 => second.shutdown(Shutdown::Write).expect("a FIN"),
            _ => SockRef::from(&second).set_linger(Some(std::time::Duration::ZERO)).expect("linger"),
        }
        let third = if round % 3 == 2 {
            drop(second);
            vec![server.client()]
        } else {
            vec![server.client(), second]
        };
        events.pump_until(|| accepted.borrow().len() == 3);
        let new = accepted.borrow()[2];
        reused += usize::from(native_handle(new) == descriptor);
        events.turn(0);
        log.take();
        events.turn(0);
        assert_eq!((new.connected(), new.available(), log.len()), (true, 0, 0), "in round {round}");
        (&third[0]).write_all(b"mine").expect("the peer writes");
        events.pump_until(|| new.available() == 4);
        assert_eq!(log.take(), ["socketData"]);
        accepted.take().into_iter().for_each(|socket| ok(release(socket)));
        third.into_iter().chain([first]).for_each(reset);
    }
    assert!(reused > 1_000, "descriptors were used again {reused} times only");
}

#[test]
fn conversations_on_many_sockets_do_not_mix() {
    let (events, server, kept) = serving();
    on(&server, CONNECT, |event| {
        let socket = event.socket();
        on(socket, SOCKET_DATA, move |_| socket.echo());
    });
    let failed = Arc::new(AtomicBool::new(false));
    let port = server.port();
    let peers: Vec<_> = (0..4)
        .map(|number: usize| {
            let failed = failed.clone();
            thread::spawn(move || {
                let mut peers: Vec<TcpStream> = (0..25).map(|_| client(&format!("127.0.0.1:{port}"))).collect();
                for round in 0..40 {
                    let message = |index: usize| pattern(1 + (number * 7919 + index * 977 + round * 101) % 20_000);
                    for (index, peer) in peers.iter_mut().enumerate() {
                        peer.write_all(&message(index)).expect("the peer writes");
                    }
                    for (index, peer) in peers.iter_mut().enumerate() {
                        let want = message(index);
                        let mut got = vec![0; want.len()];
                        peer.read_exact(&mut got).expect("the peer reads");
                        failed.fetch_or(got != want, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for peer in peers {
        events.join(peer);
    }
    assert!(!failed.load(Ordering::Relaxed));
    assert_eq!(kept.len(), 100);
}
