// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection's life: what holds it, what ends it and how that is told, and how little it costs while it waits.

#![cfg(target_os = "linux")]

use crate::{listening, serving};
use server_socket::*;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ptr::null_mut;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};
use support::*;

/// What a close event says: its error's number, and what is readable in it.
type End = (i32, Vec<u8>);

/// The close events of sockets.
#[derive(Clone, Default)]
struct Closes(Rc<RefCell<Vec<End>>>);

impl Closes {
    fn hear(&self, socket: Socket) {
        let closes = self.clone();
        on(socket, CLOSE, move |event| {
            let unread = socket.read_all();
            closes.0.borrow_mut().push((event.os_error(), unread));
        });
    }

    fn of(socket: Socket) -> Closes {
        let closes = Closes::default();
        closes.hear(socket);
        closes
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// The one that came.
    #[track_caller]
    fn only(&self) -> End {
        let mut closes = self.0.take();
        assert_eq!(closes.len(), 1, "close events");
        closes.remove(0)
    }
}

/// More than the kernel takes for a peer that does not read.
const MUCH: usize = 20_000_000;

/// A connection whose peer does not read, with output that the kernel does not take.
fn clogged() -> Pair {
    let pair = Pair::new();
    ok(pair.socket.write(&pattern(MUCH)));
    pair.events.settle();
    assert!(pair.socket.pending() > 0);
    pair
}

/// What the peer of `clogged` gets in the end: a part, and a reset, never an end that looks whole.
#[track_caller]
fn was_cut(what: &str, mut peer: &TcpStream) {
    let mut received = Vec::new();
    let end = peer.read_to_end(&mut received).map_err(|error| error.kind());
    assert_eq!(end.err(), Some(ErrorKind::ConnectionReset), "{what}: {} of {MUCH} bytes", received.len());
    assert!(received.len() < MUCH && pattern(MUCH).starts_with(&received), "{what}");
}

// ---- Nobody reads, and the peer ends ----------------------------------------------------------------------------

const LIMIT: usize = 64 << 10;
/// What the kernel holds besides.
const BEYOND: usize = 40_000;

/// Why what a peer sends is not read.
#[derive(Clone, Copy, Debug)]
enum Unread {
    AtTheLimit,
    Paused,
    PausedAtTheLimit,
    NobodyListens,
}

impl Unread {
    const ALL: [Unread; 4] = [Unread::AtTheLimit, Unread::Paused, Unread::PausedAtTheLimit, Unread::NobodyListens];

    /// The peer sends, until the rest waits in the kernel.
    fn send(self, events: &Loop, socket: Socket, mut peer: &TcpStream) -> Vec<u8> {
        set(socket, SS_OPT_READ_LIMIT, LIMIT as i64);
        if !matches!(self, Unread::NobodyListens) {
            on(socket, SOCKET_DATA, |_| {});
        }
        if matches!(self, Unread::Paused) {
            ok(ss_socket_pause(socket.0));
        }
        let sent = pattern(if matches!(self, Unread::Paused) { BEYOND } else { LIMIT + BEYOND });
        peer.write_all(&sent).expect("the peer writes");
        events.pump_until(|| socket.available() + held_by_kernel(socket) == sent.len());
        if matches!(self, Unread::PausedAtTheLimit) {
            ok(ss_socket_pause(socket.0));
        }
        sent
    }
}

#[test]
fn a_reset_is_noticed_and_frees_the_descriptor_whatever_is_paused_or_full() {
    in_own_process!(|| {
        let (events, server, accepted) = serving();
        let before = open_descriptors();
        let (mut peers, mut sent, mut closes) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..100 {
            peers.push(server.client());
            events.pump_until(|| accepted.len() == peers.len());
            closes.push(Closes::of(accepted.last()));
            sent.push(Unread::ALL[index % 4].send(&events, accepted.last(), &peers[index]));
        }
        assert_loop_rests(&events, 300);
        let start = Instant::now();
        peers.into_iter().for_each(reset);
        events.pump_until(|| closes.iter().all(|closes| closes.len() > 0));
        let after = start.elapsed();
        assert_eq!(open_descriptors(), before);
        assert_loop_rests(&events, 200);
        for (index, closes) in closes.iter().enumerate() {
            let (error, unread) = closes.only();
            assert_eq!(error, libc::ECONNRESET, "{:?}", Unread::ALL[index % 4]);
            assert_same_bytes(&unread, &sent[index]);
        }
        figure(format_args!("100 peers reset while nothing is read: all noticed after {} ms", after.as_millis()));
        assert!(after < Duration::from_secs(5), "{after:?}");
    });
}

/// A socket without any listener is none the less one whose descriptor is to be given back.
#[test]
fn a_reset_is_noticed_where_nobody_listens_for_anything() {
    let (events, server, accepted) = serving();
    let peer = server.client();
    events.pump_until(|| accepted.len() == 1);
    let socket = accepted.last();
    let sent = Unread::NobodyListens.send(&events, socket, &peer);
    reset(peer);
    events.rest_until(|| !socket.connected());
    assert_eq!(native_handle(socket), None);
    assert_same_bytes(&socket.read_all(), &sent);
}

#[test]
fn a_fin_at_the_read_limit_is_told_after_all_that_the_kernel_holds() {
    for unread in [Unread::AtTheLimit, Unread::NobodyListens] {
        let pair = Pair::new();
        let (closes, loaded) = (Closes::of(*pair.socket), shared::<u64>());
        on(*pair.socket, SOCKET_DATA, {
            let loaded = loaded.clone();
            move |event| loaded.set(loaded.get() + event.bytes_loaded())
        });
        let sent = unread.send(&pair.events, *pair.socket, &pair.peer);
        assert_loop_rests(&pair.events, 200);
        assert!(pair.socket.connected());
        pair.log.take();
        pair.send_fin();
        pair.events.rest_until(|| pair.log.contains("close"));
        assert_loop_rests(&pair.events, 200);
        let told = pair.log.take();
        assert!(told.len() > 1 && told[..told.len() - 1].iter().all(|event| event == "socketData"), "{told:?}");
        assert_eq!(loaded.get(), sent.len() as u64);
        let (error, bytes) = closes.only();
        assert_eq!(error, 0);
        assert_same_bytes(&bytes, &sent);
        assert_eq!(native_handle(*pair.socket), None);
    }
}

#[test]
fn a_paused_socket_keeps_its_peers_fin_for_resume() {
    for unread in [Unread::Paused, Unread::PausedAtTheLimit] {
        let pair = Pair::new();
        let closes = Closes::of(*pair.socket);
        let sent = unread.send(&pair.events, *pair.socket, &pair.peer);
        pair.log.take();
        pair.send_fin();
        assert_loop_rests(&pair.events, 300);
        assert_eq!(pair.log.take(), [] as [&str; 0], "{unread:?}");
        assert!(pair.socket.connected());
        ok(ss_socket_resume(pair.socket.0.0));
        pair.events.rest_until(|| closes.len() > 0);
        let (error, bytes) = closes.only();
        assert_eq!(error, 0);
        assert_same_bytes(&bytes, &sent);
    }
}

#[test]
fn a_reset_behind_a_fin_is_noticed_while_the_host_has_paused() {
    let Pair { socket, peer, events, log, .. } = Pair::new();
    Unread::Paused.send(&events, *socket, &peer);
    peer.shutdown(Shutdown::Write).expect("a FIN");
    assert_loop_rests(&events, 200);
    assert_eq!(log.take(), [] as [&str; 0]);
    reset(peer);
    events.rest_until(|| log.contains("close"));
    assert_eq!((log.count("close"), native_handle(*socket)), (1, None));
}

/// What a reset leaves is the host's to read, in the close event and later.
#[test]
fn what_came_before_a_reset_stays_readable_after_its_close_event() {
    let Pair { socket, peer, events, log, .. } = Pair::new();
    let sent = Unread::AtTheLimit.send(&events, *socket, &peer);
    reset(peer);
    events.rest_until(|| log.contains("close"));
    events.settle();
    assert_same_bytes(&socket.read_all(), &sent);
}

// ---- Messages longer than the limit ------------------------------------------------------------------------------

#[test]
fn the_read_limit_is_sixteen_megabytes_unless_it_is_set() {
    let pair = Pair::new();
    assert_eq!(option(&pair.server, SS_OPT_READ_LIMIT), 16 << 20);
    assert_eq!(option(*pair.socket, SS_OPT_READ_LIMIT), 16 << 20);
}

/// AIR's way: a length, then waiting until all of it is there. What can never be there is said.
#[test]
fn a_read_of_more_than_the_read_limit_says_that_it_can_never_be() {
    let pair = Pair::new();
    let socket = *pair.socket;
    set(socket, SS_OPT_READ_LIMIT, 1_000);
    let mut bytes = vec![0; 2_000];
    let text = bytes.as_mut_ptr().cast();
    let mut length = 0;
    for come in [0, 500, 1_000] {
        pair.send(&vec![0xff; come - socket.available()]);
        pair.pump_until_available(come);
        let reads = [
            unsafe { ss_socket_read_bytes(socket.0, text, 1_001) },
            unsafe { ss_socket_read_utf_bytes(socket.0, 1_001, text.cast(), 2_000, &mut length) },
            unsafe { ss_socket_read_multi_byte(socket.0, 1_001, c"utf-8".as_ptr(), text.cast(), 2_000, &mut length) },
        ];
        for status in reads {
            fails(status, SS_ERR_RANGE, 2006);
            assert!(last_detail().contains("SS_OPT_READ_LIMIT"), "{}", last_detail());
        }
        // As many as the limit may still come.
        assert_eq!(
            unsafe { ss_socket_read_bytes(socket.0, text, 1_000) },
            if come < 1_000 { SS_ERR_EOF } else { SS_OK }
        );
    }
    assert_eq!(socket.available(), 0);

    // A text of 65,535 bytes, and numbers that are longer than the limit.
    pair.send(&[0xff; 4]);
    pair.pump_until_available(4);
    fails(unsafe { ss_socket_read_utf(socket.0, text.cast(), 2_000, &mut length) }, SS_ERR_RANGE, 2006);
    assert!(last_detail().contains("SS_OPT_READ_LIMIT"), "{}", last_detail());
    set(socket, SS_OPT_READ_LIMIT, 4);
    fails(unsafe { ss_socket_read_double(socket.0, &mut 0.0) }, SS_ERR_RANGE, 2006);
    assert!(last_detail().contains("SS_OPT_READ_LIMIT"), "{}", last_detail());
    ok(unsafe { ss_socket_read_int(socket.0, &mut 0) });
}

/// What is there already can be read, whatever the limit is now.
#[test]
fn a_read_of_what_is_there_succeeds_though_the_limit_has_been_lowered() {
    let pair = Pair::new();
    pair.send(&[7; 5_000]);
    pair.pump_until_available(5_000);
    set(*pair.socket, SS_OPT_READ_LIMIT, 10);
    let mut bytes = [0; 5_000];
    ok(pair.socket.read_bytes(&mut bytes));
    assert_eq!(bytes, [7; 5_000]);
}

#[test]
fn raising_the_read_limit_after_the_refusal_lets_the_message_in() {
    const LENGTH: usize = 4_000_000;
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_READ_LIMIT, LIMIT as i64);
    let (message, read, refused) = (pattern(LENGTH), Rc::new(RefCell::new(Vec::new())), shared::<usize>());
    on(*pair.socket, SOCKET_DATA, {
        let (socket, read, refused) = (*pair.socket, read.clone(), refused.clone());
        move |_| {
            let mut bytes = vec![0; LENGTH];
            match socket.read_bytes(&mut bytes) {
                SS_OK => *read.borrow_mut() = bytes,
                SS_ERR_EOF => {}
                status => {
                    fails(status, SS_ERR_RANGE, 2006);
                    increment(&refused);
                    set(socket, SS_OPT_READ_LIMIT, LENGTH as i64);
                }
            }
        }
    });
    let (mut peer, bytes) = (pair.peer.try_clone().expect("a second handle"), message.clone());
    let writer = thread::spawn(move || peer.write_all(&bytes).expect("the peer writes"));
    pair.events.pump_until(|| !read.borrow().is_empty());
    pair.events.join(writer);
    assert_same_bytes(&read.borrow(), &message);
    assert_eq!(refused.get(), 1);
}

#[test]
fn raising_the_read_limit_outside_of_listeners_goes_on_at_once() {
    let pair = Pair::new();
    let sent = Unread::AtTheLimit.send(&pair.events, *pair.socket, &pair.peer);
    assert_loop_rests(&pair.events, 200);
    set(*pair.socket, SS_OPT_READ_LIMIT, 1 << 20);
    pair.events.rest_until(|| pair.socket.available() == sent.len());
    assert_same_bytes(&pair.socket.read_all(), &sent);
}

#[test]
fn a_listener_that_leaves_the_limit_full_is_warned_of_once_for_a_connection() {
    in_own_process!(|| {
        let messages = Messages::record();
        let warnings = || messages.about(SS_LOG_WARNING, "SS_OPT_READ_LIMIT").len();
        for connections in 1..=2 {
            let pair = Pair::new();
            Unread::AtTheLimit.send(&pair.events, *pair.socket, &pair.peer);
            assert_loop_rests(&pair.events, 200);
            assert_eq!(warnings(), connections);
            // It takes some, and leaves the limit full again.
            ok(pair.socket.skip(10_000));
            pair.events.rest_until(|| held_by_kernel(*pair.socket) < BEYOND);
            assert_loop_rests(&pair.events, 200);
            assert_eq!(warnings(), connections);
        }
        // Who takes all, or pauses, does what is right.
        let pair = Pair::new();
        on(*pair.socket, SOCKET_DATA, {
            let socket = *pair.socket;
            move |_| ok(socket.skip(socket.available()))
        });
        set(*pair.socket, SS_OPT_READ_LIMIT, 1_000);
        pair.send(&[0; BEYOND]);
        pair.events.pump_until(|| held_by_kernel(*pair.socket) == 0);
        pair.events.settle();
        assert_eq!(warnings(), 2);
    });
}

// ---- Writes that can never fit ----------------------------------------------------------------------------------

#[test]
fn a_write_that_alone_exceeds_the_write_limit_says_that_it_can_never_fit() {
    let pair = Pair::new();
    let socket = *pair.socket;
    set(socket, SS_OPT_WRITE_LIMIT, 1_000);
    let (text, value) = (CString::new(vec![b'x'; 1_001]).expect("no NUL"), ss_value_new(SS_VALUE_UNDEFINED));
    ok(unsafe { ss_value_set_string(value, text.as_ptr()) });
    let too_long = || {
        [
            socket.write(&[0; 1_001]),
            unsafe { ss_socket_write_utf(socket.0, text.as_ptr()) },
            unsafe { ss_socket_write_utf_bytes(socket.0, text.as_ptr()) },
            unsafe { ss_socket_write_multi_byte(socket.0, text.as_ptr(), c"utf-16".as_ptr()) },
            ss_socket_write_object(socket.0, value),
        ]
    };
    for pending in [0, 1_000] {
        if pending > 0 {
            ok(socket.write(&vec![0; pending]));
        }
        for status in too_long() {
            assert_eq!(status, SS_ERR_RANGE);
            let error = last_error();
            assert_eq!((error.status, error.id), (SS_ERR_RANGE, 2006), "{error:?}");
            assert!(last_detail().contains("SS_OPT_WRITE_LIMIT"), "{}", last_detail());
        }
        assert_eq!(socket.pending(), pending);
    }
    // What fits alone waits for its turn, as ever.
    assert_eq!(socket.write(b"x"), SS_ERR_FULL);
    assert_eq!(pair.events.receive(&pair.peer, 1_000), [0; 1_000]);
    ok(socket.write(b"x"));
    set(socket, SS_OPT_WRITE_LIMIT, 7);
    fails(ss_socket_write_double(socket.0, 1.0), SS_ERR_RANGE, 2006);
    ok(release(value));
}

#[test]
fn a_message_beyond_the_default_write_limit_is_refused_on_an_idle_connection_and_fits_when_it_is_raised() {
    let pair = Pair::new();
    let limit = option(*pair.socket, SS_OPT_WRITE_LIMIT);
    let long = vec![7; limit as usize + 1];
    fails(pair.socket.write(&long), SS_ERR_RANGE, 2006);
    assert_eq!((pair.socket.pending(), pair.socket.connected()), (0, true));
    set(*pair.socket, SS_OPT_WRITE_LIMIT, limit + 1);
    ok(pair.socket.write(&long));
}

// ---- Closed connections that still send --------------------------------------------------------------------------

/// Has `server` answer each peer with `MUCH` and close. Returns how many it has answered.
fn answer_and_close(server: &Server) -> Rc<Cell<usize>> {
    let (answered, answer) = (shared::<usize>(), pattern(MUCH));
    on(server, CONNECT, {
        let answered = answered.clone();
        move |event| {
            increment(&answered);
            ok(event.socket().write(&answer));
            ok(event.socket().close());
        }
    });
    answered
}

fn open_and_lingering(server: &Server) -> (u64, u64) {
    let figures = server.figures();
    (figures.open, figures.lingering)
}

#[test]
fn connections_that_still_send_count_against_the_limit_and_give_way_to_new_peers() {
    in_own_process!(|| {
        const PEERS: usize = 30;
        let (events, server) = listening();
        set(&server, SS_OPT_MAX_CONNECTIONS, 5);
        let answered = answer_and_close(&server);
        let before = open_descriptors();
        let mut peers = Vec::new();
        for count in 1..=PEERS {
            peers.push(server.client());
            events.pump_until(|| answered.get() == count);
            assert!(open_descriptors() <= before + count + 5, "{} peers", peers.len());
        }
        assert_loop_rests(&events, 300);
        assert_eq!(open_and_lingering(&server), (0, 5));
        // Who gave way was reset; the others have all the time they need.
        let whole = peers.iter().map(|peer| events.receive_to_end(peer)).filter(|(bytes, error)| {
            assert_eq!(error.is_none(), bytes.len() == MUCH, "{} bytes, then {error:?}", bytes.len());
            error.is_none()
        });
        assert_eq!(whole.count(), 5);
        drop(peers);
        events.pump_until(|| open_and_lingering(&server) == (0, 0));
    });
}

#[test]
fn the_connection_that_lingers_longest_without_progress_gives_way_first() {
    let (events, server) = listening();
    set(&server, SS_OPT_MAX_CONNECTIONS, 2);
    let answered = answer_and_close(&server);
    let connect = |count: usize| {
        let peer = server.client();
        events.pump_until(|| answered.get() == count);
        events.settle();
        assert_loop_rests(&events, 200);
        peer
    };
    let (first, second) = (connect(1), connect(2));
    assert_same_bytes(&events.receive(&first, MUCH / 4), &pattern(MUCH)[..MUCH / 4]);
    assert_loop_rests(&events, 200);
    let third = connect(3);
    was_cut("the second", &second);
    assert_same_bytes(&events.receive(&first, MUCH - MUCH / 4), &pattern(MUCH)[MUCH / 4..]);
    assert_eq!(events.receive_to_end(&first), (vec![], None));
    assert_same_bytes(&events.receive(&third, MUCH), &pattern(MUCH));
}

#[test]
fn connections_that_are_open_give_way_to_nobody() {
    let (events, server) = listening();
    set(&server, SS_OPT_MAX_CONNECTIONS, 2);
    let accepted = server.keep_accepted();
    let peers = [server.client(), server.client()];
    events.pump_until(|| accepted.len() == 2);
    ok(accepted.get(0).write(&pattern(MUCH)));
    ok(accepted.get(0).close());
    events.settle();
    assert_eq!(open_and_lingering(&server), (1, 1));
    // The third takes the place of the one that is closed, the fourth waits.
    let _third = server.client();
    events.pump_until(|| accepted.len() == 3);
    was_cut("the closed one", &peers[0]);
    let _fourth = server.client();
    assert_loop_rests(&events, 300);
    assert_eq!((accepted.len(), open_and_lingering(&server)), (3, (2, 0)));
    assert!(accepted.get(1).connected() && accepted.get(2).connected());
    ok(accepted.get(1).close());
    events.pump_until(|| accepted.len() == 4);
}

/// Nobody is cut off for a peer that is not accepted anyway.
#[test]
fn a_server_that_accepts_nobody_cuts_nobody_off() {
    let (events, server) = listening();
    set(&server, SS_OPT_MAX_CONNECTIONS, 1);
    let answered = answer_and_close(&server);
    let first = server.client();
    events.pump_until(|| answered.get() == 1);
    ok(ss_pause(server.0));
    let second = server.client();
    events.settle();
    assert_loop_rests(&events, 200);
    assert_eq!((answered.get(), open_and_lingering(&server)), (1, (0, 1)));
    ok(ss_resume(server.0));
    events.pump_until(|| answered.get() == 2);
    was_cut("the first", &first);
    // Nor does it matter to those who still send whether their server is there.
    drop(server);
    assert_same_bytes(&events.receive(&second, MUCH), &pattern(MUCH));
    assert_eq!(events.receive_to_end(&second), (vec![], None));
}

/// Whether the host has closed it or the peer has ended its side: it is told as one that lingers, as long as it does.
#[test]
fn a_connection_that_still_sends_is_a_figure_of_its_own() {
    for host_closes in [true, false] {
        let pair = clogged();
        assert_eq!(open_and_lingering(&pair.server), (1, 0));
        match host_closes {
            true => ok(pair.socket.close()),
            false => pair.send_fin(),
        }
        pair.events.rest_until(|| !pair.socket.connected());
        assert_eq!(open_and_lingering(&pair.server), (0, 1), "closed by the host: {host_closes}");
        assert_loop_rests(&pair.events, 300);
        assert_same_bytes(&pair.events.receive(&pair.peer, MUCH), &pattern(MUCH));
        assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
        drop(pair.peer);
        pair.events.pump_until(|| open_and_lingering(&pair.server) == (0, 0));
    }
}

/// Four with 20 MB each, of which the kernel takes at most a fifth: two have room.
#[test]
fn the_unsent_bytes_of_all_that_linger_are_bounded_and_the_oldest_give_way() {
    let (events, server) = listening();
    assert_eq!(option(&server, SS_OPT_LINGER_BYTES), 256 << 20);
    set(&server, SS_OPT_LINGER_BYTES, 2 * MUCH as i64);
    let answered = answer_and_close(&server);
    let peers: Vec<TcpStream> = (1..=4)
        .map(|count| {
            let peer = server.client();
            events.pump_until(|| answered.get() == count);
            events.settle();
            assert_loop_rests(&events, 200);
            peer
        })
        .collect();
    assert_eq!(open_and_lingering(&server), (0, 2));
    was_cut("the first", &peers[0]);
    was_cut("the second", &peers[1]);
    for peer in &peers[2..] {
        assert_same_bytes(&events.receive(peer, MUCH), &pattern(MUCH));
        assert_eq!(events.receive_to_end(peer), (vec![], None));
    }
}

#[test]
fn only_servers_have_a_bound_for_what_lingers() {
    let pair = Pair::new();
    let status = ss_set_option(pair.socket.object(), SS_OPT_LINGER_BYTES, 1);
    let error = last_error();
    assert_eq!((status, error.id), (SS_ERR_ARGUMENT, 2008));
}

// ---- Output that is dropped, and what is gathered ------------------------------------------------------------

/// How a connection ends before its output is sent.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Aborted,
    ClosedWithoutLinger,
    ReleasedWithoutLinger,
    LingerOver,
    Idle,
    LoopReleased,
    LoopReleasedWhileItLingers,
}

impl Cut {
    const ALL: [Cut; 7] = [
        Cut::Aborted,
        Cut::ClosedWithoutLinger,
        Cut::ReleasedWithoutLinger,
        Cut::LingerOver,
        Cut::Idle,
        Cut::LoopReleased,
        Cut::LoopReleasedWhileItLingers,
    ];

    /// In a process of its own: it counts descriptors.
    fn cut(self, socket: Kept, events: Loop) {
        let before = open_descriptors();
        match self {
            Cut::Aborted => ok(socket.abort()),
            Cut::ClosedWithoutLinger => {
                set(*socket, SS_OPT_LINGER, 0);
                ok(socket.close());
            }
            Cut::ReleasedWithoutLinger => {
                set(*socket, SS_OPT_LINGER, 0);
                ok(release(*socket));
            }
            Cut::LingerOver => {
                set(*socket, SS_OPT_LINGER, 300);
                ok(socket.close());
            }
            Cut::Idle => set(*socket, SS_OPT_IDLE_TIMEOUT, 300),
            Cut::LoopReleased => return drop(events),
            Cut::LoopReleasedWhileItLingers => {
                ok(socket.close());
                return drop(events);
            }
        }
        events.rest_until(|| open_descriptors() < before);
    }
}

#[test]
fn output_that_is_dropped_ends_in_a_reset_whatever_drops_it() {
    in_own_process!(|| {
        for how in Cut::ALL {
            let Pair { socket, peer, events, server: _server, .. } = clogged();
            how.cut(socket, events);
            was_cut(&format!("{how:?}"), &peer);
        }
    });
}

/// While the child holds a copy of it no closing of ours ends a connection, and what is done about that must not look like
/// an end that is clean.
#[test]
fn output_that_is_dropped_ends_in_a_reset_after_a_fork_too() {
    in_own_process!(|| {
        for child_lives in [true, false] {
            for how in Cut::ALL {
                let Pair { socket, peer, events, server: _server, .. } = clogged();
                let child = Some(Child::fork()).filter(|_| child_lives);
                how.cut(socket, events);
                was_cut(&format!("{how:?}, the child lives: {child_lives}"), &peer);
                drop(child);
            }
        }
    });
}

/// Also where nothing was dropped: the host wants the peer to see a break.
#[test]
fn an_abort_with_nothing_pending_is_a_reset_after_a_fork_too() {
    in_own_process!(|| {
        for child_lives in [true, false] {
            let pair = Pair::new();
            ok(pair.socket.write(b"part of a file"));
            assert_eq!(pair.events.receive(&pair.peer, 14), b"part of a file");
            let child = Some(Child::fork()).filter(|_| child_lives);
            ok(pair.socket.abort());
            assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], Some(ErrorKind::ConnectionReset)));
            drop(child);
        }
    });
}

#[test]
fn what_was_written_is_sent_before_its_loop_ends() {
    type Ending = fn(&Kept);
    let ends: [(&str, Ending); 4] = [
        ("written", |_| {}),
        ("flushed", |socket| ok(socket.flush())),
        ("closed", |socket| ok(socket.close())),
        ("released", |socket| ok(release(**socket))),
    ];
    for length in [5, 1_000, 100_000] {
        for (what, end) in ends {
            let Pair { socket, mut peer, events, server: _server, .. } = Pair::new();
            ok(socket.write(&pattern(length)));
            end(&socket);
            drop(events);
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap_or_else(|error| panic!("{length} bytes, {what}: {error}"));
            assert_same_bytes(&received, &pattern(length));
        }
    }
}

/// In a listener, of this connection or another one.
#[test]
fn what_a_listener_has_written_is_sent_though_it_ends_its_loop() {
    for length in [5, 100_000] {
        let Pair { socket, mut peer, events, server, .. } = Pair::new();
        let accepted = server.keep_accepted();
        let mut other = server.client();
        events.pump_until(|| accepted.len() == 1);
        on(*socket, SOCKET_DATA, {
            let (sockets, handle) = ([*socket, accepted.get(0)], events.0);
            move |_| {
                sockets.iter().for_each(|socket| ok(socket.write(&pattern(length))));
                ok(release(handle));
            }
        });
        peer.write_all(b"x").expect("the peer writes");
        let status = unsafe { ss_loop_poll(events.0, 10_000, null_mut()) };
        rethrow();
        ok(status);
        assert_eq!(ss_object_kind(events.object()), 0);
        for peer in [&mut peer, &mut other] {
            let mut received = vec![0; length];
            peer.read_exact(&mut received).expect("all of it");
            assert_same_bytes(&received, &pattern(length));
        }
    }
}

/// The kernel resets a connection that is closed with unread input: what was written must be there before.
#[test]
fn what_was_written_arrives_before_its_loop_ends_though_input_is_unread() {
    for close in [true, false] {
        let Pair { socket, mut peer, events, server: _server, .. } = Pair::new();
        peer.write_all(b"not read").expect("the peer writes");
        while held_by_kernel(*socket) < 8 {
            thread::yield_now();
        }
        ok(socket.write(b"answer"));
        if close {
            ok(socket.close());
        }
        drop(events);
        let mut received = [0; 6];
        peer.read_exact(&mut received).expect("the answer");
        assert_eq!(&received, b"answer");
    }
}

/// A thread's own loop ends with it.
#[test]
fn what_was_written_is_sent_or_seen_to_be_cut_when_its_thread_ends() {
    for length in [5, MUCH] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let host = thread::spawn(move || {
            let events = std::mem::ManuallyDrop::new(Loop(ss_loop_default()));
            let socket = Socket(ss_socket_new(null_mut()));
            ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), port.into()) });
            events.pump_until(|| socket.connected());
            ok(socket.write(&pattern(length)));
        });
        let mut peer = listener.accept().expect("a peer").0;
        set_timeouts(&peer);
        host.join().expect("no panic");
        if length == MUCH {
            was_cut("the thread has ended", &peer);
        } else {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).expect("no reset");
            assert_same_bytes(&received, &pattern(length));
        }
    }
}

// ---- Why a connection was closed ---------------------------------------------------------------------------------

#[test]
fn a_close_event_says_what_ended_the_connection() {
    type Ending = fn(&Pair, TcpStream);
    let ends: [(&str, Ending, i32, &[&str]); 4] = [
        ("a FIN", |_, peer| drop(peer), 0, &["close"]),
        ("a reset", |_, peer| reset(peer), libc::ECONNRESET, &["close"]),
        (
            "a reset with output pending",
            |pair, peer| {
                ok(pair.socket.write(&pattern(MUCH)));
                ok(pair.socket.flush());
                reset(peer);
            },
            libc::ECONNRESET,
            &["ioError 104", "close"],
        ),
        (
            "silence",
            |pair, peer| {
                set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 200);
                std::mem::forget(peer);
            },
            libc::ETIMEDOUT,
            &["ioError 110", "close"],
        ),
    ];
    for (what, end, error, told) in ends {
        let mut pair = Pair::new();
        let log = Log::default();
        on(*pair.socket, CLOSE, {
            let log = log.clone();
            move |event| {
                let clone = Event(ss_event_clone(event.0));
                assert_eq!((event.os_error(), clone.os_error()), (error, error), "{what}");
                ok(release(clone));
                log.add("close");
            }
        });
        on(*pair.socket, IO_ERROR, {
            let log = log.clone();
            move |event| log.add(format!("ioError {}", event.os_error()))
        });
        let another = pair.server.client();
        let peer = std::mem::replace(&mut pair.peer, another);
        end(&pair, peer);
        pair.events.rest_until(|| log.contains("close"));
        assert_eq!(log.take(), told, "{what}");
        assert_eq!(pair.server.figures().errors, u64::from(error != 0), "{what}");
    }
}

/// A file that comes to an end looks like a whole one, unless one is told.
#[test]
fn half_an_upload_and_a_reset_is_no_whole_upload() {
    for (torn, error) in [(false, 0), (true, libc::ECONNRESET)] {
        let Pair { socket, peer, events, server: _server, .. } = Pair::new();
        let (closes, read) = (Closes::of(*socket), shared::<usize>());
        on(*socket, SOCKET_DATA, {
            let (socket, read) = (*socket, read.clone());
            move |_| read.set(read.get() + socket.read_all().len())
        });
        (&peer).write_all(b"half of a file").expect("the peer writes");
        events.pump_until(|| read.get() == 14);
        if torn {
            reset(peer);
        } else {
            drop(peer);
        }
        events.rest_until(|| closes.len() > 0);
        assert_eq!(closes.only(), (error, vec![]));
    }
}

// ---- What is dirty ends with its connection -----------------------------------------------------------------------

#[test]
fn a_loop_whose_last_connection_ends_with_an_unflushed_write_has_run_to_its_end() {
    type Ending = fn(&Kept);
    let ends: [(&str, Ending); 5] = [
        ("abort", |socket| ok(socket.abort())),
        ("close without linger", |socket| {
            set(**socket, SS_OPT_LINGER, 0);
            ok(socket.close());
        }),
        ("abort and release", |socket| {
            ok(socket.abort());
            ok(release(**socket));
        }),
        ("release without linger", |socket| {
            set(**socket, SS_OPT_LINGER, 0);
            ok(release(**socket));
        }),
        ("connect anew without linger, and abort", |socket| {
            set(**socket, SS_OPT_LINGER, 0);
            let port = free_port().into();
            ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), port) });
            ok(socket.abort());
        }),
    ];
    for (what, end) in ends {
        println!("{what}");
        let Pair { socket, peer: _peer, events, server, .. } = Pair::new();
        drop(server);
        ok(socket.write(b"unflushed"));
        end(&socket);
        events.run_to_its_end();
    }
}

#[test]
fn an_unflushed_write_on_another_loop_holds_nobody_up_and_is_not_lost() {
    let pair = Pair::new();
    ok(pair.socket.write(b"unflushed"));
    let other = Loop::new();
    other.run_to_its_end();
    assert_loop_rests(&other, 200);
    assert_eq!(pair.events.receive(&pair.peer, 9), b"unflushed");
}

// ---- A rate that peers must keep to ------------------------------------------------------------------------------

/// How the host drives its loop: turns once. All of it is on the loop's thread, the peer too, so that whatever holds up one
/// holds up both.
fn drive(events: &Loop, busy: bool) {
    if busy {
        // There is always something to do.
        post(events.0, || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(12) {
                std::hint::spin_loop();
            }
        });
        events.turn(1_000);
    } else {
        thread::sleep(Duration::from_millis(16));
        events.turn(0);
    }
}

#[test]
fn a_peer_below_the_rate_is_given_up_however_the_loop_is_driven() {
    for busy in [false, true] {
        let pair = Pair::new();
        pair.peer.set_nodelay(true).expect("a flag");
        let closes = Closes::of(*pair.socket);
        set(*pair.socket, SS_OPT_IDLE_BYTES, 100_000);
        set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 500);
        let (start, mut sent) = (Instant::now(), 0);
        while closes.len() == 0 {
            assert!(start.elapsed() < Duration::from_secs(20), "{sent} bytes are enough; the host is busy: {busy}");
            // Nobody takes it when the connection has just been given up.
            sent += (&pair.peer).write(b"x").unwrap_or(0);
            drive(&pair.events, busy);
        }
        assert_eq!(closes.only().0, libc::ETIMEDOUT);
        assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    }
}

#[test]
fn a_peer_that_keeps_to_the_rate_is_left_alone_however_the_loop_is_driven() {
    for busy in [false, true] {
        let pair = Pair::new();
        set(*pair.socket, SS_OPT_IDLE_BYTES, 1_000);
        set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 500);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            pair.send(&[7; 1_000]);
            drive(&pair.events, busy);
            assert!(pair.socket.connected(), "given up after {:?}; the host is busy: {busy}", start.elapsed());
            pair.socket.read_all();
        }
    }
}

// ---- Addresses that stay -----------------------------------------------------------------------------------------

#[test]
fn who_has_left_can_be_said_in_the_close_event_and_later() {
    for torn in [false, true] {
        let Pair { socket, peer, events, server: _server, .. } = Pair::new();
        let (told, ends) = (shared::<usize>(), (socket.local(), socket.remote()));
        let texts = [ss_socket_local_address(socket.0.0), ss_socket_remote_address(socket.0.0)];
        assert_eq!(ends.1.1, i32::from(peer.local_addr().expect("an address").port()));
        for kind in [IO_ERROR, CLOSE] {
            on(*socket, kind, {
                let (socket, told, ends) = (*socket, told.clone(), ends.clone());
                move |_| {
                    assert_eq!((socket.local(), socket.remote()), ends);
                    increment(&told);
                }
            });
        }
        if torn {
            ok(socket.write(&pattern(MUCH)));
            reset(peer);
        } else {
            drop(peer);
        }
        let wanted = if torn { 2 } else { 1 };
        events.rest_until(|| told.get() == wanted);
        events.settle();
        assert_eq!((socket.local(), socket.remote()), ends);
        // What was asked for while the connection lived is still valid.
        assert_eq!(texts.map(text), [ends.0.0, ends.1.0]);
    }
}

#[test]
fn the_addresses_of_a_former_connection_go_with_the_next_connect() {
    let Pair { socket, peer, events, server, log } = Pair::new();
    drop(peer);
    events.rest_until(|| log.contains("close"));
    let left = socket.remote();
    let other = Server::listening(&events);
    let accepted = other.keep_accepted();
    assert_ne!(left.1, 0);
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), other.port().into()) });
    assert_eq!((socket.local(), socket.remote()), ((None, 0), (None, 0)));
    events.pump_until(|| socket.connected() && accepted.len() == 1);
    assert_eq!(socket.remote(), (Some("127.0.0.1".into()), other.port().into()));
    assert_eq!(socket.local(), accepted.last().remote());
    drop(server);
}

// ---- Turns are bounded, closes are told once, figures are their owner's -----------------------------------------

/// Posts `count` tasks of two milliseconds each, which note that they ran.
fn post_long_tasks(events: &Loop, count: usize) -> Rc<RefCell<Vec<usize>>> {
    let ran = Rc::new(RefCell::new(Vec::new()));
    for number in 0..count {
        let ran = ran.clone();
        post(events.0, move || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            }
            ran.borrow_mut().push(number);
        });
    }
    ran
}

/// A thousand peers that have come at once, and say nothing, hold nobody up when their time is over.
#[test]
fn those_whose_time_is_over_at_once_share_the_loop_with_others() {
    const PEERS: usize = 60;
    let (events, server) = listening();
    set(&server, SS_OPT_IDLE_TIMEOUT, 30);
    let accepted = server.keep_accepted();
    let _peers: Vec<_> = (0..PEERS).map(|_| server.client()).collect();
    events.pump_until(|| accepted.len() == PEERS);
    let closed = shared::<usize>();
    for index in 0..PEERS {
        let closed = closed.clone();
        on(accepted.get(index), CLOSE, move |_| {
            increment(&closed);
            compute(Duration::from_millis(1));
        });
    }
    // The host is busy until all of them are overdue.
    compute(Duration::from_millis(60));
    let mut most = 0;
    events.pump_until(|| {
        let before = closed.get();
        events.turn(0);
        most = most.max(closed.get() - before);
        closed.get() == PEERS
    });
    assert!(most <= 4, "{most} were told of their end in one turn");
}

fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn posted_tasks_share_the_loop_with_its_peers() {
    const TASKS: usize = 200;
    let pair = Pair::new();
    on(*pair.socket, SOCKET_DATA, {
        let socket = *pair.socket;
        move |_| socket.echo()
    });
    let ran = post_long_tasks(&pair.events, TASKS);
    pair.send(b"ping");
    let mut turns = 0;
    while !pair.log.contains("socketData") {
        pair.events.turn(0);
        turns += 1;
        assert!(turns <= 10);
    }
    let meanwhile = ran.borrow().len();
    assert!((1..TASKS / 4).contains(&meanwhile), "{meanwhile} tasks before the peer was heard");
    assert_eq!(pair.events.receive(&pair.peer, 4), b"ping");

    // No turn is without a task, none waits while some are left, and each task runs once, in the order of the posts.
    for _ in 0..TASKS {
        let before = ran.borrow().len();
        if before == TASKS {
            break;
        }
        let descriptor = loop_descriptor(&pair.events);
        assert_eq!((ss_loop_timeout(pair.events.0), is_readable(descriptor)), (0, true), "{before} tasks have run");
        pair.events.turn(10_000);
        assert!(ran.borrow().len() > before);
    }
    assert_eq!(*ran.borrow(), (0..TASKS).collect::<Vec<_>>());
    assert_loop_rests(&pair.events, 200);
}

fn loop_descriptor(events: &Loop) -> i32 {
    let mut descriptor = -1;
    ok(unsafe { ss_loop_fd(events.0, &mut descriptor) });
    descriptor as i32
}

fn is_readable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn a_loop_that_is_stopped_does_not_run_all_posted_tasks_first() {
    const TASKS: usize = 200;
    let events = Loop::new();
    let _server = Server::listening(&events);
    let handle = AnyThread::new(events.0);
    post(events.0, move || ok(ss_loop_stop(handle.get())));
    let ran = post_long_tasks(&events, TASKS);
    ok(ss_loop_run(events.0));
    let before = ran.borrow().len();
    assert!(before < TASKS / 4, "{before} of {TASKS} tasks before the loop stopped");
    events.pump_until(|| ran.borrow().len() == TASKS);
    assert_eq!(*ran.borrow(), (0..TASKS).collect::<Vec<_>>());
}

/// A task that posts itself again is one task a turn, not a turn without end.
#[test]
fn a_task_that_posts_itself_anew_leaves_room_for_peers() {
    fn again(events: AnyThread<*mut ss_loop>, count: Rc<Cell<usize>>, over: Rc<Cell<bool>>) {
        increment(&count);
        if !over.get() {
            post(events.get(), move || again(events, count, over));
        }
    }
    let pair = Pair::new();
    let (handle, count, over) = (AnyThread::new(pair.events.0), shared::<usize>(), shared::<bool>());
    again(handle, count.clone(), over.clone());
    for round in 1..=10 {
        pair.send(b"x");
        pair.pump_until_available(round);
    }
    over.set(true);
    assert!(count.get() > 10);
    pair.events.settle();
    assert_loop_rests(&pair.events, 200);
}

/// The 257th nested dispatch is refused. A turn of another loop would need one for each of its events: it is refused as a
/// whole, and what it would have told waits.
#[test]
fn a_poll_that_could_dispatch_nothing_is_refused_and_nothing_is_lost() {
    fn dive(target: AnyThread<*mut ss_server>, depth: usize, bottom: &Rc<dyn Fn()>) {
        let deeper = CString::new(format!("depth {depth}")).expect("no NUL");
        let listener = on(target.get(), &deeper, {
            let bottom = bottom.clone();
            move |_| if depth == 256 { bottom() } else { dive(target, depth + 1, &bottom) }
        });
        assert!(dispatch(target.get(), &deeper));
        listener.remove();
    }
    let pair = Pair::new();
    let accepted = pair.server.keep_accepted();
    let Pair { peer, events, log, server, .. } = &pair;
    on(server, CONNECT, log.adds("connect"));
    peer.shutdown(Shutdown::Both).expect("an end");
    let _another = server.client();
    post(events.0, {
        let log = log.clone();
        move || log.add("task")
    });

    let elsewhere = Loop::new();
    let target = Server::new(&elsewhere);
    let reached = shared::<usize>();
    let bottom: Rc<dyn Fn()> = Rc::new({
        let (handle, log, reached) = (AnyThread::new(events.0), log.clone(), reached.clone());
        move || {
            increment(&reached);
            for _ in 0..3 {
                fails(unsafe { ss_loop_poll(handle.get(), 10, null_mut()) }, SS_ERR_ERROR, 2094);
            }
            fails(ss_loop_run(handle.get()), SS_ERR_ERROR, 2094);
            assert_eq!(log.len(), 0);
        }
    });
    dive(AnyThread::new(target.0), 1, &bottom);
    assert_eq!((reached.get(), log.len()), (1, 0));
    events.pump_until(|| log.len() >= 3);
    events.settle();
    let mut told = log.take();
    told.sort();
    assert_eq!(told, ["close", "connect", "task"]);
    assert_eq!((accepted.len(), server.figures().accepted, server.figures().refused), (1, 2, 0));
    assert_loop_rests(events, 200);
}

#[test]
fn what_a_socket_does_after_it_has_been_connected_elsewhere_is_no_figure_of_its_former_server() {
    let Pair { socket, events, server, peer, .. } = Pair::new();
    (&peer).write_all(b"counted").expect("the peer writes");
    events.pump_until(|| socket.available() == 7);
    ok(socket.write(b"counted, too"));
    assert_eq!(events.receive(&peer, 12), b"counted, too");
    let other = Server::listening(&events);
    let accepted = other.keep_accepted();
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), other.port().into()) });
    events.pump_until(|| accepted.len() == 1 && socket.connected());
    ok(accepted.last().write(&pattern(100_000)));
    events.pump_until(|| socket.available() == 100_000);
    ok(socket.write(&pattern(50_000)));
    events.pump_until(|| accepted.last().available() == 50_000);
    let figures = server.figures();
    assert_eq!((figures.open, figures.bytes_in, figures.bytes_out), (0, 7, 12));
    let figures = other.figures();
    assert_eq!((figures.open, figures.bytes_in, figures.bytes_out), (1, 50_000, 100_000));
}

// ---- Several addresses -----------------------------------------------------------------------------------------

/// The resolver of this program. A name that ends in ".addresses" consists of them: "127.0.0.2-127.0.0.1.addresses".
mod names {
    use libc::{addrinfo, c_char, c_int, in_addr, sockaddr_in};
    use std::ffi::{CStr, c_void};
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    /// The lists that are ours: they are never freed.
    static OURS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

    fn addresses(name: &str) -> Option<Vec<Ipv4Addr>> {
        name.strip_suffix(".addresses")?.split('-').map(|address| address.parse().ok()).collect()
    }

    unsafe fn next(name: &CStr) -> *mut c_void {
        let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        assert!(!function.is_null());
        function
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        result: *mut *mut addrinfo,
    ) -> c_int {
        type Function =
            unsafe extern "C" fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int;
        let name = if node.is_null() { "" } else { unsafe { CStr::from_ptr(node) }.to_str().unwrap_or("") };
        let Some(addresses) = addresses(name) else {
            let function: Function = unsafe { std::mem::transmute(next(c"getaddrinfo")) };
            return unsafe { function(node, service, hints, result) };
        };
        let mut list = std::ptr::null_mut();
        for address in addresses.into_iter().rev() {
            let mut entry: addrinfo = unsafe { std::mem::zeroed() };
            let mut place: sockaddr_in = unsafe { std::mem::zeroed() };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_addr = in_addr { s_addr: u32::from(address).to_be() };
            (entry.ai_family, entry.ai_socktype) = (libc::AF_INET, libc::SOCK_STREAM);
            entry.ai_addrlen = size_of::<sockaddr_in>() as libc::socklen_t;
            entry.ai_addr = Box::into_raw(Box::new(place)).cast();
            entry.ai_next = list;
            list = Box::into_raw(Box::new(entry));
        }
        OURS.lock().expect("no panic").push(list as usize);
        unsafe { *result = list };
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn freeaddrinfo(list: *mut addrinfo) {
        if !OURS.lock().expect("no panic").contains(&(list as usize)) {
            let function: unsafe extern "C" fn(*mut addrinfo) = unsafe { std::mem::transmute(next(c"freeaddrinfo")) };
            unsafe { function(list) };
        }
    }
}

/// One address refuses, one is silent, one cannot be reached: in any order, what says most is told.
#[test]
fn of_several_addresses_that_fail_the_error_that_says_most_is_told() {
    let silent = BlackHole::new();
    let (refuses, unreachable) = ("127.0.0.2", "127.255.255.255"); // no connection goes to a broadcast address
    let silence = "127.0.0.1";
    let cases: [(&[&str], i32); 9] = [
        (&[unreachable], libc::ENETUNREACH),
        (&[refuses], libc::ECONNREFUSED),
        (&[silence], libc::ETIMEDOUT),
        (&[refuses, unreachable], libc::ECONNREFUSED),
        (&[unreachable, refuses], libc::ECONNREFUSED),
        (&[refuses, silence], libc::ECONNREFUSED),
        (&[silence, refuses], libc::ECONNREFUSED),
        (&[unreachable, silence], libc::ETIMEDOUT),
        (&[silence, unreachable], libc::ETIMEDOUT),
    ];
    let events = Loop::new();
    let attempts = cases.map(|(addresses, _)| {
        let socket = Kept(Socket(ss_socket_new(events.0)));
        let log = Log::default();
        on(*socket, IO_ERROR, {
            let log = log.clone();
            move |event| log.add(event.os_error())
        });
        on(*socket, CONNECT, log.adds("connect"));
        let name = CString::new(format!("{}.addresses", addresses.join("-"))).expect("no NUL");
        // Long enough for all of them to be looked up and tried.
        ok(ss_socket_set_timeout(socket.0.0, 4_000));
        ok(unsafe { ss_socket_connect(socket.0.0, name.as_ptr(), silent.port.into()) });
        (addresses, socket, log)
    });
    events.rest_until(|| attempts.iter().all(|(_, _, log)| log.len() > 0));
    events.settle();
    let told = attempts.each_ref().map(|(addresses, _, log)| (*addresses, log.entries().join(", ")));
    assert_eq!(told, cases.map(|(addresses, error)| (addresses, error.to_string())));
}

// ---- The library's own text and bytes, given back to it ----------------------------------------------------------

/// "To the same peer again": the text is valid at the time of the call, and goes with the connection.
#[test]
fn a_socket_connects_to_an_address_that_is_its_own_text() {
    // What reads freed memory may end the process.
    in_own_process!(|| {
        type Address = extern "C" fn(*mut ss_socket) -> *const std::ffi::c_char;
        let addresses: [Address; 2] = [ss_socket_remote_address, ss_socket_local_address];
        for address in addresses {
            let (events, server, _accepted) = serving();
            let socket = Kept(Socket(ss_socket_new(events.0)));
            let log = Log::default();
            log.record_socket(*socket);
            on(*socket, CONNECT, {
                let (socket, log, port) = (*socket, log.clone(), server.port());
                move |_| {
                    log.add("connect");
                    if log.len() < 5 {
                        ok(unsafe { ss_socket_connect(socket.0, address(socket.0), port.into()) });
                    }
                }
            });
            ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), server.port().into()) });
            events.pump_until(|| log.len() == 5 || log.contains("ioError 2031"));
            assert_eq!(log.take(), ["connect"; 5]);
            // While an attempt is under way, and when it has failed, the text is the library's, too, if there is one.
            either_way(unsafe { ss_socket_connect(socket.0.0, address(socket.0.0), server.port().into()) });
        }
    });
}

#[test]
fn text_that_an_event_an_error_or_an_address_owns_can_be_given_to_every_call() {
    let pair = Pair::new();
    let socket = *pair.socket;
    let detail = || {
        fails(pair.server.bind(0, c"127.0.0.1"), SS_ERR_IO, 2002);
        ss_last_error_detail()
    };
    // The error's text is read before a new error takes its place.
    let server = Server::new(&pair.events);
    for _ in 0..3 {
        fails(unsafe { ss_bind(server.0, 0, detail()) }, SS_ERR_ARGUMENT, 2004);
        fails(unsafe { ss_bind(server.0, 0, ss_last_error_detail()) }, SS_ERR_ARGUMENT, 2004);
        fails(unsafe { ss_socket_connect(socket.0, ss_last_error_message(), -1) }, SS_ERR_SECURITY, 2003);
    }
    ok(unsafe { ss_bind(server.0, 0, ss_local_address(pair.server.0)) });
    assert_eq!(server.state().address.as_deref(), Some("127.0.0.1"));

    // An event's type outlives the event where it is used.
    let event = Event::new(c"a type of its own", false, false);
    let heard = Log::default();
    let listener = Callback::new(heard.adds("heard"));
    let kind = unsafe { CStr::from_ptr(ss_event_type(event.0)) };
    listener.add(socket, kind);
    assert!(unsafe { ss_has_listener(socket.object(), ss_event_type(event.0)) });
    let again = Event::new(kind, false, false);
    ok(release(event));
    assert_eq!(again.kind().as_deref(), Some("a type of its own"));
    dispatch(socket, c"a type of its own");
    assert_eq!(heard.take(), ["heard"]);
    listener.remove(socket, c"a type of its own", false);
    ok(release(again));

    // What is written may be an address, an error or what has come.
    let mut expected = Vec::new();
    for text_of in [ss_socket_remote_address, ss_socket_local_address] {
        ok(unsafe { ss_socket_write_utf_bytes(socket.0, text_of(socket.0)) });
        ok(unsafe { ss_socket_write_multi_byte(socket.0, text_of(socket.0), text_of(socket.0)) });
        expected.extend_from_slice(b"127.0.0.1127.0.0.1");
    }
    pair.send(b"what has come");
    pair.pump_until_available(13);
    let mut length = 0;
    let bytes = unsafe { ss_socket_peek(socket.0, &mut length) };
    for _ in 0..3 {
        ok(unsafe { ss_socket_write_bytes(socket.0, bytes.cast(), length) });
        expected.extend_from_slice(b"what has come");
    }
    assert_eq!(pair.events.receive(&pair.peer, expected.len()), expected);
}

/// Where they lie is no business of the call's.
#[test]
fn unread_bytes_can_be_written_to_any_socket_and_set_as_any_value() {
    let pair = Pair::new();
    let sent = pattern(300_000);
    pair.send(&sent);
    pair.pump_until_available(sent.len());
    let mut length = 0;
    let bytes = unsafe { ss_socket_peek(pair.socket.0.0, &mut length) };
    assert_eq!(length, sent.len());
    let value = ss_value_new(SS_VALUE_UNDEFINED);
    ok(unsafe { ss_value_set_bytes(value, SS_VALUE_BYTE_ARRAY, bytes.cast(), length) });
    ok(unsafe { ss_socket_write_bytes(pair.socket.0.0, bytes.cast(), length) });
    assert_same_bytes(&pair.events.receive(&pair.peer, length), &sent);
    assert_eq!(bytes_of(value), sent);
    ok(release(value));
}

fn bytes_of(value: *mut ss_value) -> Vec<u8> {
    let mut length = 0;
    let bytes = unsafe { ss_value_bytes(value, &mut length) };
    assert!(!bytes.is_null());
    unsafe { std::slice::from_raw_parts(bytes.cast(), length) }.to_vec()
}

#[test]
fn a_value_can_be_set_to_its_own_text_or_to_a_part_of_it() {
    let long = CString::new(vec![b'a'; 1_000]).expect("no NUL");
    let whole = ss_value_new(SS_VALUE_OBJECT);
    let part = unsafe { ss_value_add_property(whole, c"name".as_ptr()) };
    ok(unsafe { ss_value_set_string(part, long.as_ptr()) });
    let text = || unsafe { ss_value_bytes(part, null_mut()) };
    ok(unsafe { ss_value_set_string(part, text()) });
    assert_eq!(bytes_of(part), long.as_bytes());
    ok(unsafe { ss_value_set_string(part, text().add(1)) });
    assert_eq!(bytes_of(part), &long.as_bytes()[1..]);
    ok(unsafe { ss_value_set_bytes(part, SS_VALUE_BYTE_ARRAY, text().add(1).cast(), 900) });
    assert_eq!(bytes_of(part), &long.as_bytes()[..900]);
    ok(unsafe { ss_value_set_bytes(part, SS_VALUE_XML, text().cast(), 900) });
    assert_eq!(bytes_of(part), &long.as_bytes()[..900]);

    // Names, too, also while the whole that owns them grows.
    ok(unsafe { ss_value_set_class_name(whole, text()) });
    let class = || unsafe { ss_value_class_name(whole, null_mut()) };
    ok(unsafe { ss_value_set_class_name(whole, class().add(890)) });
    assert_eq!(support::text(class()).as_deref(), Some("aaaaaaaaaa"));
    let name = |index| unsafe { ss_value_property_name(whole, index, null_mut()) };
    for index in 0..100 {
        let added = unsafe { ss_value_add_property(whole, name(index)) };
        ok(unsafe { ss_value_set_string(added, name(index)) });
        assert_eq!((support::text(name(index + 1)), bytes_of(added)), (Some("name".into()), b"name".to_vec()));
    }
    assert!(!unsafe { ss_value_property(whole, name(50)) }.is_null());

    // A value that becomes a part of itself, of its own whole or of another one.
    let other = ss_value_new(SS_VALUE_ARRAY);
    ok(ss_value_assign(ss_value_add_item(other), whole));
    ok(ss_value_assign(ss_value_add_item(other), other));
    ok(ss_value_assign(part, part));
    assert_eq!(bytes_of(part), &long.as_bytes()[..900]);
    ok(release(whole));
    assert_eq!(ss_value_property_count(ss_value_item(other, 0)), 101);
    ok(release(other));
}

// ---- Who waits, sleeps --------------------------------------------------------------------------------------------

/// For a host that polls, for one that runs the loop, and for one that waits for its descriptor.
#[track_caller]
fn rests(what: &str, events: &Loop) {
    println!("{what}");
    events.settle();
    assert_loop_rests(events, 150);
    assert!(!is_readable(loop_descriptor(events)), "{what}: the host is told that there is something to do");
    assert_ne!(ss_loop_timeout(events.0), 0, "{what}");
}

#[test]
fn in_every_phase_of_a_connection_the_loop_rests() {
    let pair = Pair::new();
    rests("connected", &pair.events);
    ok(ss_socket_pause(pair.socket.0.0));
    rests("paused", &pair.events);
    pair.send(&[7; 1_000]);
    rests("paused, with bytes in the kernel", &pair.events);
    socket2::SockRef::from(&pair.peer).send_out_of_band(b"!").expect("an urgent byte");
    rests("paused, with an urgent byte", &pair.events);
    pair.send_fin();
    rests("paused, with the peer's end", &pair.events);
    ok(pair.socket.write(&pattern(MUCH)));
    rests("paused, with the peer's end, and output that it does not read", &pair.events);
    ok(pair.socket.close());
    rests("closed, with output that the peer does not read", &pair.events);

    // The peer's end lies behind bytes that it cannot send.
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_READ_LIMIT, LIMIT as i64);
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let writer = thread::spawn(move || peer.write_all(&pattern(MUCH)).and_then(|()| peer.shutdown(Shutdown::Write)));
    pair.pump_until_available(LIMIT);
    rests("at the limit, and the peer has more", &pair.events);
    ok(pair.socket.write(&pattern(MUCH)));
    rests("at the limit, and the peer reads nothing", &pair.events);
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 10 * MUCH as i64);
    ok(pair.socket.write(&pattern(MUCH)));
    ok(ss_socket_pause(pair.socket.0.0));
    pair.socket.read_all();
    rests("paused below the limit", &pair.events);
    ok(pair.socket.abort());
    rests("aborted", &pair.events);
    writer.join().expect("no panic").expect_err("it could not send all");

    let events = Loop::new();
    let silent = BlackHole::new();
    let socket = Kept(Socket(ss_socket_new(events.0)));
    ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), silent.port.into()) });
    rests("connecting to nobody", &events);
}

#[test]
fn in_every_phase_of_a_server_the_loop_rests() {
    let (events, server) = listening();
    rests("listening", &events);
    let mut peers = vec![server.client()];
    rests("a peer waits for a listener", &events);
    let accepted = server.keep_accepted();
    events.pump_until(|| accepted.len() == 1);
    ok(ss_pause(server.0));
    peers.push(server.client());
    rests("a peer waits for resume", &events);
    set(&server, SS_OPT_MAX_CONNECTIONS, 1);
    ok(ss_resume(server.0));
    peers.push(server.client());
    rests("peers wait for a place", &events);
    peers.remove(1);
    rests("one of them is gone again", &events);
    assert_eq!(accepted.len(), 1);
    ok(accepted.get(0).close());
    events.pump_until(|| accepted.len() == 2);
}

/// It ends its side, reads a part and pauses: until it goes on there is nothing to do.
#[test]
fn a_peer_that_ends_its_side_and_pauses_in_its_reading_costs_nothing_meanwhile() {
    type Ending = fn(&Pair);
    let ends: [(&str, Ending); 3] = [
        ("the peer", Pair::send_fin),
        ("the host, then the peer", |pair| {
            ok(pair.socket.close());
            pair.events.settle();
            pair.send_fin();
        }),
        ("the host, with input unread", |pair| {
            pair.send(&[7; 100_000]);
            pair.events.settle();
            ok(pair.socket.close());
            pair.send(&[7; 100_000]);
            pair.send_fin();
        }),
    ];
    for (what, end) in ends {
        println!("ended by {what}");
        let pair = clogged();
        end(&pair);
        pair.events.pump_until(|| !pair.socket.connected());
        for part in pattern(MUCH).chunks(MUCH / 5) {
            pair.events.settle();
            assert_loop_rests(&pair.events, 200);
            assert_same_bytes(&pair.events.receive(&pair.peer, part.len()), part);
        }
        assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
        assert_loop_rests(&pair.events, 200);
    }
}

/// The echo that the README prints, and a peer that sends all, ends its side and reads some.
#[test]
fn an_echo_to_a_peer_that_pauses_rests() {
    let pair = Pair::new();
    on(*pair.socket, SOCKET_DATA, {
        let socket = *pair.socket;
        move |_| socket.echo()
    });
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let writer = thread::spawn(move || {
        peer.write_all(&pattern(MUCH)).expect("the peer writes");
        peer.shutdown(Shutdown::Write).expect("a FIN");
    });
    pair.events.join(writer);
    pair.events.pump_until(|| pair.log.contains("close"));
    for part in pattern(MUCH).chunks(MUCH / 5) {
        pair.events.settle();
        assert_loop_rests(&pair.events, 200);
        assert_same_bytes(&pair.events.receive(&pair.peer, part.len()), part);
    }
    assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
}

// ---- A host that was busy -----------------------------------------------------------------------------------------

/// Beyond the timeout of an attempt.
#[test]
fn what_came_of_an_attempt_is_looked_at_before_it_is_given_up() {
    let events = Loop::new();
    let (server, silent) = (Server::listening(&events), BlackHole::new());
    let cases = [(server.port(), "connect"), (free_port(), "111"), (silent.port, "110")];
    for (port, told) in cases {
        let socket = Kept(Socket(ss_socket_new(events.0)));
        let log = Log::default();
        on(*socket, CONNECT, log.adds("connect"));
        on(*socket, IO_ERROR, {
            let log = log.clone();
            move |event| log.add(event.os_error())
        });
        ok(ss_socket_set_timeout(socket.0.0, 100));
        ok(unsafe { ss_socket_connect(socket.0.0, c"127.0.0.1".as_ptr(), port.into()) });
        thread::sleep(Duration::from_millis(300));
        events.rest_until(|| log.len() > 0);
        events.settle();
        assert_eq!(log.take(), [told]);
    }
}

/// Reads on a thread of its own, whatever the host does meanwhile.
fn reads_all(pair: &Pair) -> thread::JoinHandle<Vec<u8>> {
    let mut peer = pair.peer.try_clone().expect("a second handle");
    thread::spawn(move || {
        let mut received = vec![0; MUCH];
        peer.read_exact(&mut received).expect("all of it");
        received
    })
}

/// The kernel has sent all that it held, and the peer has read it: nothing was silent but the host.
#[test]
fn a_peer_that_reads_is_not_taken_for_a_silent_one_after_the_host_was_busy() {
    let pair = clogged();
    set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 1_000);
    let reader = reads_all(&pair);
    thread::sleep(Duration::from_millis(1_500));
    assert_same_bytes(&pair.events.join(reader), &pattern(MUCH));
    // It is a silent one from now on.
    pair.events.rest_until(|| pair.log.contains("close"));
}

#[test]
fn a_linger_that_ran_out_while_the_host_was_busy_sends_before_it_judges() {
    let pair = clogged();
    set(*pair.socket, SS_OPT_LINGER, 1_000);
    ok(pair.socket.close());
    let reader = reads_all(&pair);
    thread::sleep(Duration::from_millis(1_500));
    assert_same_bytes(&pair.events.join(reader), &pattern(MUCH));
    assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
}

// ---- Slow downloads -----------------------------------------------------------------------------------------------

/// So slow that the kernel asks for more less often than the timeout allows for silence.
const SLOW: usize = 400_000;

#[test]
fn a_download_that_never_pauses_is_not_idle_however_rarely_the_kernel_asks_for_more() {
    for idle_bytes in [1, 100_000] {
        let pair = clogged();
        set(*pair.socket, SS_OPT_IDLE_BYTES, idle_bytes);
        set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 1_500);
        let (received, end) = pair.events.receive_slowly(&pair.peer, SLOW, 5 * SLOW);
        assert_eq!((received, end), (5 * SLOW, None));
        assert!(pair.socket.connected());
        // It pauses, and is given up: while its bytes are on their way nothing comes back.
        pair.events.rest_until(|| pair.log.contains("close"));
        let (_, end) = pair.events.receive_to_end(&pair.peer);
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
    }
}

/// What the kernel took at first is not the merit of a peer that reads less than is asked of it.
#[test]
fn a_download_below_the_rate_is_given_up() {
    let pair = clogged();
    set(*pair.socket, SS_OPT_IDLE_BYTES, 2 * SLOW as i64);
    set(*pair.socket, SS_OPT_IDLE_TIMEOUT, 1_000);
    let (received, end) = pair.events.receive_slowly(&pair.peer, SLOW, MUCH);
    assert_eq!(end, Some(Some(ErrorKind::ConnectionReset)), "{received} bytes");
    assert_eq!(pair.log.take(), ["ioError 2031", "close"]);
    assert!(received < 10 * SLOW, "{received} bytes");
}

/// Closing is no reason to hurry a peer that reads.
#[test]
fn a_linger_goes_on_for_as_long_as_there_is_progress() {
    const RATE: usize = 4_000_000;
    let pair = clogged();
    set(*pair.socket, SS_OPT_LINGER, 1_000);
    ok(pair.socket.close());
    let (received, end) = pair.events.receive_slowly(&pair.peer, RATE, MUCH);
    assert_eq!((received, end), (MUCH, None));
    assert_eq!(pair.events.receive_to_end(&pair.peer), (vec![], None));
}

/// Ten times as long, and no longer, however steadily the peer reads.
#[test]
fn a_linger_has_an_upper_bound() {
    const RATE: usize = 1_000_000;
    let pair = clogged();
    set(*pair.socket, SS_OPT_LINGER, 300);
    let start = Instant::now();
    ok(pair.socket.close());
    let (received, end) = pair.events.receive_slowly(&pair.peer, RATE, MUCH);
    assert_eq!(end, Some(Some(ErrorKind::ConnectionReset)), "{received} bytes");
    figure(format_args!("a linger of 300 ms for a peer that reads slowly: cut after {:?}", start.elapsed()));
}
