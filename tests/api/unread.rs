// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unread input of all connections of a server, and its bound.

#![cfg(target_os = "linux")]

use crate::listening;
use server_socket::*;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::*;

const PEERS: usize = 1_000;
const LIMIT: usize = 16 << 20;
/// What each peer sends.
const LENGTH: usize = 50_000;

/// A peer that sends as much as is taken, and no more.
struct Pouring {
    peer: TcpStream,
    sent: usize,
}

impl Pouring {
    fn new(server: &Server) -> Pouring {
        let peer = server.client();
        peer.set_nonblocking(true).expect("a flag");
        Pouring { peer, sent: 0 }
    }

    /// Whether something was taken.
    fn pour(&mut self, bytes: &[u8]) -> bool {
        let before = self.sent;
        while self.sent < bytes.len() {
            match self.peer.write(&bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.sent > before
    }
}

fn pour_all(events: &Loop, peers: &mut [Pouring], bytes: &[u8]) {
    let mut quiet = 0;
    while quiet < 20 {
        let poured = peers.iter_mut().filter_map(|peer| peer.pour(bytes).then_some(())).count();
        let told = events.turn(1);
        quiet = if poured == 0 && told == 0 { quiet + 1 } else { 0 };
    }
}

fn unread(accepted: &Accepted) -> usize {
    (0..accepted.len()).map(|index| accepted.get(index).available()).sum()
}

#[test]
fn what_all_peers_together_leave_unread_is_bounded_and_nothing_is_lost() {
    in_own_process!(|| {
        let messages = Messages::record();
        raise_descriptor_limit(4_096);
        let (events, server) = listening();
        assert_eq!(option(&server, SS_OPT_UNREAD_LIMIT), 256 << 20);
        set(&server, SS_OPT_UNREAD_LIMIT, LIMIT as i64);
        let accepted = server.keep_accepted();
        let bytes = pattern(LENGTH);
        let mut peers: Vec<Pouring> = (0..PEERS).map(|_| Pouring::new(&server)).collect();
        events.pump_until(|| accepted.len() == PEERS);
        pour_all(&events, &mut peers, &bytes);
        let held = unread(&accepted);
        let largest = (0..PEERS).map(|index| accepted.get(index).available()).max().expect("there are some");
        assert!(held > LIMIT / 2 && held < LIMIT + LIMIT / 4 + PEERS * 16_384, "{held} bytes are unread");
        assert_eq!(messages.about(SS_LOG_WARNING, "SS_OPT_UNREAD_LIMIT").len(), 1);
        figure(format_args!(
            "{PEERS} peers, a limit of {LIMIT}: {held} bytes unread, {largest} of one of them at most"
        ));

        // Who reads goes on.
        let reader = server.client();
        events.pump_until(|| accepted.len() == PEERS + 1);
        let socket = accepted.last();
        on(socket, SOCKET_DATA, move |_| socket.echo());
        for round in 0..100 {
            let message = [round; 1_000];
            (&reader).write_all(&message).expect("it can write");
            assert_eq!(events.receive(&reader, message.len()), message);
        }

        // And nothing is lost in the end. A few are read first, which makes room for others.
        let mut received = vec![Vec::new(); PEERS];
        let mut read = |range: std::ops::Range<usize>| {
            for index in range {
                received[index].extend(accepted.get(index).read_all());
            }
            received.iter().map(Vec::len).sum::<usize>()
        };
        let mut ended = false;
        events.pump_until(|| {
            peers.iter_mut().for_each(|peer| either(peer.pour(&bytes)));
            if !ended && peers.iter().all(|peer| peer.sent == LENGTH) {
                ended = true;
                peers.iter().for_each(|peer| peer.peer.shutdown(std::net::Shutdown::Write).expect("a FIN"));
            }
            assert!(unread(&accepted) < LIMIT + LIMIT / 4 + PEERS * 16_384);
            read(0..PEERS / 2);
            read(PEERS / 2..PEERS) == PEERS * LENGTH && ended
        });
        events.pump_until(|| (0..PEERS).all(|index| !accepted.get(index).connected()));
        received.iter().for_each(|got| assert_same_bytes(got, &bytes));
    });
}

fn either(_: bool) {}

/// A server whose connections may have 10,000 bytes unread, and some that hold as many as are said.
fn with_holders(events: &Loop, holds: &[usize]) -> (Server, Accepted, Vec<Pouring>) {
    let server = Server::listening(events);
    let accepted = server.keep_accepted();
    let mut peers: Vec<Pouring> = holds.iter().map(|_| Pouring::new(&server)).collect();
    events.pump_until(|| accepted.len() == holds.len());
    for (index, (peer, length)) in peers.iter_mut().zip(holds).enumerate() {
        peer.pour(&pattern(*length));
        events.pump_until(|| accepted.get(index).available() == *length);
    }
    set(&server, SS_OPT_UNREAD_LIMIT, 10_000);
    (server, accepted, peers)
}

/// Turns for so many milliseconds.
fn pass(events: &Loop, milliseconds: u64) {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    events.pump_until(|| Instant::now() >= end);
}

#[test]
fn who_reads_outside_of_listeners_goes_on_while_others_hold_too_much() {
    let events = Loop::new();
    let (server, accepted, _holders) = with_holders(&events, &[20_000]);
    let bytes = pattern(100_000);
    for way in [|socket: Socket| socket.read_all(), take] {
        let mut peer = Pouring::new(&server);
        let before = accepted.len();
        events.pump_until(|| accepted.len() > before);
        let socket = accepted.last();
        assert!(peer.pour(&bytes));
        let mut got = Vec::new();
        events.pump_until(|| {
            got.extend(way(socket));
            got.len() == peer.sent
        });
        assert_same_bytes(&got, &bytes[..peer.sent]);
    }
}

fn take(socket: Socket) -> Vec<u8> {
    let mut length = 0;
    let start = unsafe { ss_socket_take(socket.0, &mut length) };
    if start.is_null() { Vec::new() } else { unsafe { std::slice::from_raw_parts(start, length) }.to_vec() }
}

#[test]
fn fewer_connections_have_larger_parts_of_what_may_be_unread() {
    let events = Loop::new();
    // One of eleven may hold 227 bytes, one of two 1,250.
    let (server, accepted, mut peers) = with_holders(&events, &[20_000, 1_000, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let bytes = pattern(1_100);
    peers[1].pour(&bytes);
    pass(&events, 50);
    assert_eq!(accepted.get(1).available(), 1_000, "it holds more than its part");
    peers.truncate(2);
    events.pump_until(|| accepted.get(1).available() == bytes.len());
    // A higher bound makes them larger, too, also if all together have more still.
    peers[1].pour(&pattern(1_300));
    events.pump_until(|| accepted.get(1).available() == 1_300);
    let bytes = pattern(2_000);
    peers[1].pour(&bytes);
    pass(&events, 50);
    assert_eq!(accepted.get(1).available(), 1_300, "it holds more than its part");
    set(&server, SS_OPT_UNREAD_LIMIT, 18_000);
    events.pump_until(|| accepted.get(1).available() == bytes.len());
}

#[test]
fn the_time_of_a_silent_peer_begins_anew_when_there_is_room_for_unread_input() {
    let events = Loop::new();
    let (_server, accepted, _peers) = with_holders(&events, &[8_000, 6_000]);
    let silent = accepted.get(1);
    let log = Log::default();
    log.record_socket(silent);
    set(silent, SS_OPT_READ_TIMEOUT, 50);
    // It stands still meanwhile.
    pass(&events, 300);
    assert!(log.take().is_empty());
    accepted.get(0).read_all();
    events.pump_until(|| log.count("close") == 1);
    assert_eq!(log.take(), ["ioError 2031", "close"]);
}

#[test]
fn a_higher_bound_on_unread_input_goes_on_at_once() {
    let (events, server) = listening();
    set(&server, SS_OPT_UNREAD_LIMIT, 10_000);
    let accepted = server.keep_accepted();
    let bytes = pattern(3_000_000);
    let mut peer = Pouring::new(&server);
    events.pump_until(|| accepted.len() == 1);
    pour_all(&events, std::slice::from_mut(&mut peer), &bytes);
    assert!(accepted.last().available() < bytes.len());
    set(&server, SS_OPT_UNREAD_LIMIT, 4_000_000);
    pour_all(&events, std::slice::from_mut(&mut peer), &bytes);
    assert_same_bytes(&accepted.last().read_all(), &bytes);
}

#[test]
fn the_account_of_unread_input_follows_every_way_out_of_it() {
    let (events, server) = listening();
    set(&server, SS_OPT_UNREAD_LIMIT, 10_000);
    let accepted = server.keep_accepted();
    let bytes = pattern(9_000);
    // Read, taken, skipped, closed, aborted, released: the bytes count no more, so that the next peer's all come.
    let ways: [fn(Socket); 6] = [
        |socket| drop(socket.read_all()),
        |socket| {
            let mut length = 0;
            assert!(!unsafe { ss_socket_take(socket.0, &mut length) }.is_null());
        },
        |socket| ok(socket.skip(socket.available())),
        |socket| ok(socket.close()),
        |socket| ok(socket.abort()),
        |_| {},
    ];
    for way in ways.into_iter().cycle().take(18) {
        let mut peer = Pouring::new(&server);
        events.pump_until(|| accepted.len() == 1);
        // In two pieces, of which the second is put behind the first.
        for length in [4_000, 9_000] {
            assert!(peer.pour(&bytes[..length]));
            events.pump_until(|| accepted.last().available() == length);
        }
        way(accepted.last());
        accepted.clear();
    }
}
