// SPDX-License-Identifier: MIT OR Apache-2.0
//! Much data: byte for byte, in bounded memory and linear time; and what closing owes to it.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use support::*;

use server_socket::*;

/// How many bytes a transfer moves: `usual` megabytes, or what the environment variable says.
fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual) << 20
}

/// SS_TEST_TRANSFER_MB=1024 for the whole gigabyte.
fn transfer_size() -> usize {
    size("SS_TEST_TRANSFER_MB", 64)
}

/// The bytes of a stream by their place, so that none of it has to be kept.
fn chunk(place: usize) -> Vec<u8> {
    noise(place as u64, 48 * 1024 + 13)
}

/// A stream as it is to come.
#[derive(Default)]
struct Expected {
    place: usize,
    chunk: Vec<u8>,
    /// How much of the chunk has come.
    at: usize,
    count: usize,
}

impl Expected {
    #[track_caller]
    fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.at == self.chunk.len() {
                (self.chunk, self.at) = (chunk(self.place), 0);
                self.place += 1;
            }
            let length = bytes.len().min(self.chunk.len() - self.at);
            assert!(bytes[..length] == self.chunk[self.at..][..length], "after {} bytes come others", self.count);
            (self.at, self.count, bytes) = (self.at + length, self.count + length, &bytes[length..]);
        }
    }
}

fn small_buffers(peer: &TcpStream) {
    socket2::SockRef::from(peer).set_send_buffer_size(4096).expect("the system takes it");
}

#[test]
fn a_long_stream_to_us_arrives_whole_through_a_small_send_buffer() {
    let pair = Pair::new();
    small_buffers(&pair.peer);
    let total = transfer_size();
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || {
        let (mut sent, mut place) = (0, 0);
        while sent < total {
            let bytes = chunk(place);
            let bytes = &bytes[..bytes.len().min(total - sent)];
            peer.write_all(bytes).expect("it writes");
            sent += bytes.len();
            place += 1;
        }
        peer.shutdown(Shutdown::Write).expect("a FIN");
    });
    let expected = Rc::new(RefCell::new(Expected::default()));
    on(*pair.socket, SOCKET_DATA, {
        let (expected, socket) = (expected.clone(), *pair.socket);
        move |_| {
            let bytes = socket.peek();
            expected.borrow_mut().check(&bytes);
            ok(socket.skip(bytes.len()));
        }
    });
    while pair.socket.connected() {
        pair.events.turn(1000);
    }
    assert_eq!(expected.borrow().count, total);
    writer.join().expect("it does not panic");
}

#[test]
fn a_long_stream_from_us_arrives_whole() {
    check_stream_from(&Pair::new(), transfer_size());
}

/// Short, since with such a buffer the kernel waits for each of the peer's delayed acknowledgements: a gigabyte takes ten
/// minutes (SS_TEST_SLOW_TRANSFER_MB=1024).
#[test]
fn a_stream_from_us_arrives_whole_through_a_small_send_buffer() {
    let pair = Pair::new();
    socket2::SockRef::from(&system_socket(*pair.socket)).set_send_buffer_size(4096).expect("the system takes it");
    check_stream_from(&pair, size("SS_TEST_SLOW_TRANSFER_MB", 8));
}

fn check_stream_from(pair: &Pair, total: usize) {
    let mut peer = pair.peer.try_clone().expect("a second handle");
    let reader = std::thread::spawn(move || {
        let (mut expected, mut buffer) = (Expected::default(), vec![0; 100_000]);
        while expected.count < total {
            let length = buffer.len().min(total - expected.count);
            peer.read_exact(&mut buffer[..length]).expect("it reads");
            expected.check(&buffer[..length]);
        }
    });
    ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_WRITE_LIMIT, 1 << 20));
    let (mut written, mut place) = (0, 0);
    while written < total {
        let bytes = chunk(place);
        let bytes = &bytes[..bytes.len().min(total - written)];
        loop {
            match pair.socket.write(bytes) {
                SS_OK => break,
                status => assert_eq!(status, SS_ERR_FULL),
            }
            assert!(!reader.is_finished(), "the reader has given up");
            pair.events.turn(1000);
        }
        written += bytes.len();
        place += 1;
    }
    // What is left goes out in the background.
    ok(pair.socket.close());
    pair.events.join(reader);
}

#[test]
fn a_reader_that_sleeps_costs_no_more_memory_than_the_limit_allows() {
    in_own_process!(|| {
        let pair = Pair::new();
        let limit = 2 << 20;
        ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_WRITE_LIMIT, limit));
        let bytes = pattern(10 << 20);
        let before = resident_memory();
        let mut written = 0;
        for piece in bytes.chunks(100_000) {
            match pair.socket.write(piece) {
                SS_OK => written += piece.len(),
                status => {
                    assert_eq!(status, SS_ERR_FULL);
                    break;
                }
            }
            pair.events.turn(0);
        }
        assert!(written < bytes.len(), "the kernel and the limit together take less");
        let grown = resident_memory() - before;
        assert!(grown < limit as usize * 2, "{grown} bytes for {} pending ones", pair.socket.pending());
        // It wakes up, and everything that was taken comes.
        assert_same_bytes(&pair.events.receive(&pair.peer, written), &bytes[..written]);
    });
}

#[test]
fn an_application_that_does_not_read_costs_no_more_memory_than_the_limit_allows() {
    in_own_process!(|| {
        let pair = Pair::new();
        ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_READ_LIMIT, 1 << 20));
        let peer = pair.peer.try_clone().expect("a second handle");
        let writer = std::thread::spawn(move || {
            let bytes = pattern(32 << 20);
            let mut peer = peer;
            peer.write_all(&bytes)
        });
        pair.events.pump_until(|| pair.socket.available() == 1 << 20);
        let before = resident_memory();
        pair.events.settle();
        assert_eq!(pair.socket.available(), 1 << 20);
        assert!(resident_memory() - before < 1 << 20);
        let mut read = 0;
        pair.events.pump_until(|| {
            read += pair.socket.read_all().len();
            read == 32 << 20
        });
        pair.events.join(writer).expect("all was written");
    });
}

/// Bytes that come one by one and are all left unread: what a turn takes of the processor does not grow with those that lie
/// there. (How many of them the system hands over at once is the scheduler's whim.)
#[test]
fn a_million_single_bytes_take_linear_time() {
    // Fewer, where less than usual is to be moved: under Wine each one takes its time.
    let singles = if transfer_size() < 64 << 20 { 20_000 } else { 1_000_000 };
    in_own_process!(move || {
        let time_of_a_turn = |before: usize, count: usize| {
            let pair = Pair::new();
            ok(ss_set_option(pair.socket.0.0.cast(), SS_OPT_READ_LIMIT, (before + count) as i64 + 1));
            pair.peer.set_nodelay(true).expect("a flag");
            let mut peer = pair.peer.try_clone().expect("a second handle");
            let many = std::thread::spawn(move || peer.write_all(&vec![7; before]).expect("it writes"));
            pair.pump_until_available(before);
            pair.events.join(many);
            let mut peer = pair.peer.try_clone().expect("a second handle");
            let writer = std::thread::spawn(move || {
                (0..count).for_each(|place| peer.write_all(&[place as u8]).expect("it writes"));
            });
            let (start, mut turns) = (thread_cpu_time(), 0);
            pair.events.pump_until(|| {
                turns += 1;
                pair.socket.available() == before + count
            });
            let spent = (thread_cpu_time() - start) / turns;
            pair.events.join(writer);
            let bytes = pair.socket.read_all();
            assert!(bytes[before..].iter().enumerate().all(|(place, byte)| *byte == place as u8));
            spent
        };
        time_of_a_turn(0, 1_000); // warm
        let (few, many) = (time_of_a_turn(0, singles), time_of_a_turn(16 << 20, singles / 10));
        figure(format_args!(
            "{singles} single bytes: {few:?} of the thread for a turn; on top of 16 MB unread: {many:?}"
        ));
        assert!(many < few * 4, "a turn takes {few:?}, and {many:?} with much unread");
    });
}

#[test]
fn a_reply_arrives_whole_though_nobody_reads_what_the_peer_sends_meanwhile() {
    let pair = Pair::new();
    let reply = pattern(4_000_000);
    let mut peer = pair.peer.try_clone().expect("a second handle");
    pair.send(&[7; 100_000]);
    pair.events.pump_until(|| pair.socket.available() > 0);
    ok(pair.socket.write(&reply));
    ok(pair.socket.close());
    let client = std::thread::spawn(move || {
        peer.write_all(&[8; 1_000_000]).expect("it writes on");
        let mut got = Vec::new();
        peer.read_to_end(&mut got).expect("no reset");
        got
    });
    assert_same_bytes(&pair.events.join(client), &reply);
}

#[test]
fn a_peer_that_never_stops_sending_is_not_drained_for_ever() {
    in_own_process!(|| {
        let pair = Pair::new();
        ok(pair.socket.write(b"a reply"));
        ok(pair.socket.flush());
        let before = open_descriptors();
        ok(pair.socket.close());
        let mut peer = pair.peer.try_clone().expect("a second handle");
        let flood = std::thread::spawn(move || {
            let mut sent = 0usize;
            while peer.write(&[9; 65_536]).is_ok_and(|length| {
                sent += length;
                sent < 1 << 30
            }) {}
            sent
        });
        // The clone of the peer's end takes a descriptor, ours goes.
        pair.events.pump_until(|| open_descriptors() <= before);
        assert!(flood.join().expect("it does not panic") < 1 << 30);
    });
}

#[test]
fn a_loop_that_ends_with_everything_pending_leaves_nothing_behind() {
    in_own_process!(|| {
        let before = open_descriptors();
        let pair = Pair::new();
        let closing = Rc::new(Cell::new(0));
        let accepted = pair.server.keep_accepted();
        let peers: Vec<TcpStream> = (0..20).map(|_| pair.server.client()).collect();
        pair.events.pump_until(|| accepted.len() == 20);
        for place in 0..20 {
            let socket = accepted.get(place);
            ok(socket.write(&pattern(8_000_000)));
            match place % 3 {
                0 => ok(socket.close()),
                1 => ok(socket.flush()),
                _ => {}
            }
            closing.set(place);
        }
        accepted.clear();
        drop(pair);
        drop(peers);
        assert_eq!(open_descriptors(), before);
    });
}
