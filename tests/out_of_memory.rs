// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every single allocation of a long conversation fails once, each in a process of its own. The allocations whose size a
//! peer chooses, or an argument of the host, are answered with SS_ERR_NO_MEMORY or cost that one connection; where Rust aborts,
//! the test says where. And values take no more memory than they may.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

#[cfg(feature = "tls")]
#[path = "tls/certificates.rs"]
#[expect(dead_code, reason = "the room of TLS has more cases")]
mod certificates;
#[cfg(feature = "tls")]
#[path = "out_of_memory/secure.rs"]
mod secure;

use server_socket::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::FromRawFd;
use std::ptr::null_mut;
use support::*;

// ---- An allocator that fails once -----------------------------------------------------------------------------------

struct Failing;

thread_local! {
    /// Whether allocations are the library's.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static SEEN: Cell<usize> = const { Cell::new(0) };
    /// Which one fails; 0: none.
    static VICTIM: Cell<usize> = const { Cell::new(0) };
    /// The victim's size.
    static SIZE: Cell<usize> = const { Cell::new(0) };
    static REPORT: Cell<i32> = const { Cell::new(-1) };
    /// Smaller ones do not count.
    static SMALLEST: Cell<usize> = const { Cell::new(0) };
    /// What is allocated, with the allocator's share, and the most that it was.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count_live(pointer: *mut u8, sign: isize) {
    if COUNTS.get() && !pointer.is_null() {
        let bytes = unsafe { libc::malloc_usable_size(pointer.cast()) } + size_of::<usize>();
        LIVE.set(LIVE.get() + sign * bytes as isize);
        PEAK.set(PEAK.get().max(LIVE.get()));
    }
}

fn fails(size: usize) -> bool {
    if !COUNTS.get() || size < SMALLEST.get() {
        return false;
    }
    SEEN.set(SEEN.get() + 1);
    if SEEN.get() != VICTIM.get() {
        return false;
    }
    SIZE.set(size);
    // Looking for the place takes memory by itself.
    COUNTS.set(false);
    report(size);
    COUNTS.set(true);
    true
}

/// Tells the parent which function of the library asked for memory, and for how much.
fn report(size: usize) {
    let trace = Backtrace::force_capture().to_string();
    let place = trace.lines().find_map(|line| {
        let ours = line.split_once("server_socket::").map(|(_, place)| place.to_owned());
        ours.or_else(|| {
            ["rustls::", "webpki::", "rustls_pki_types::"]
                .iter()
                .any(|theirs| line.contains(theirs))
                .then(|| of_rustls(line))
        })
    });
    let place = place.unwrap_or_else(|| "(outside of the library)".into());
    let mut pipe = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(REPORT.get()) });
    let _ = pipe.write_all(format!("{size} {place}").as_bytes());
}

/// Rust ends the process when an allocation of rustls's own fails.
const OF_RUSTLS: &str = "rustls: ";

fn of_rustls(line: &str) -> String {
    OF_RUSTLS.to_owned() + line.trim_start().split_once(": ").map_or(line, |(_, place)| place)
}

unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let pointer = if fails(layout.size()) { null_mut() } else { unsafe { System.alloc(layout) } };
        count_live(pointer, 1);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count_live(pointer, -1);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails(size) {
            return null_mut();
        }
        count_live(pointer, -1);
        let pointer = unsafe { System.realloc(pointer, layout, size) };
        count_live(pointer, 1);
        pointer
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// A call into the library, whose allocations count.
fn library<T>(call: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let result = call();
    COUNTS.set(false);
    result
}

// ---- The conversation -----------------------------------------------------------------------------------------------

/// One more than a block of the tables holds.
const PEERS: usize = 65;

thread_local! {
    static ACCEPTED: Cell<[*mut ss_socket; PEERS]> = const { Cell::new([null_mut(); PEERS]) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Keeps the first sockets.
extern "C-unwind" fn keep(event: *mut ss_event, _: *mut c_void) {
    let mut accepted = ACCEPTED.get();
    if COUNT.get() < accepted.len() && ss_retain(ss_event_socket(event).cast()) == SS_OK {
        accepted[COUNT.get()] = ss_event_socket(event);
        ACCEPTED.set(accepted);
        COUNT.set(COUNT.get() + 1);
    }
}

extern "C-unwind" fn hear(_: *mut ss_event, _: *mut c_void) {}

/// Turns until nothing comes any more; a turn itself may fail.
fn turn(events: &Loop) {
    let mut quiet = 0;
    for _ in 0..2_000 {
        let mut count = 0;
        let status = library(|| unsafe { ss_loop_poll(events.0, 0, &mut count) });
        assert!(status == SS_OK || status == SS_ERR_NO_MEMORY, "{status:?}");
        quiet = if count == 0 { quiet + 1 } else { 0 };
        if quiet > 3 {
            return;
        }
    }
    panic!("it spins");
}

/// AMF3: a byte array of `length` bytes.
fn amf_bytes(length: usize) -> Vec<u8> {
    let head = (length << 1 | 1) as u32;
    let u29 =
        [0x80 | (head >> 22) as u8, 0x80 | (head >> 15) as u8 & 0x7f | 0x80, (head >> 8) as u8 | 0x80, head as u8];
    [&[0x0c], &u29[..], &vec![7; length]].concat()
}

/// What a server meets: peers that come, that send much which is not read, a word, a value, and that read nothing.
/// Every status is a success or a refusal; what is read is what was sent.
fn conversation() {
    let events = Loop::new();
    let server = Server::listening(&events);
    ok(unsafe { ss_add_listener(server.0.cast(), CONNECT.as_ptr(), Some(keep), null_mut(), false, 0) });
    let address = server.port();
    let peers: Vec<TcpStream> = (0..PEERS).map(|_| client(&format!("127.0.0.1:{address}"))).collect();
    let (sent, answer) = (pattern(600_000), pattern(1_000_000));
    let accept = |status: ss_status| {
        let fine = [SS_OK, SS_ERR_NO_MEMORY, SS_ERR_IO, SS_ERR_EOF, SS_ERR_FULL, SS_ERR_HANDLE];
        assert!(fine.contains(&status), "{status:?}");
    };
    turn(&events);
    for (index, mut peer) in peers.iter().take(2).enumerate() {
        let socket = Socket(ACCEPTED.get()[index]);
        if let Some(fd) = native_handle(socket) {
            // So that most of the answer waits with us.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd as i32) };
            socket2::SockRef::from(&fd).set_send_buffer_size(4_096).expect("an option");
        }
        let listen =
            || unsafe { ss_add_listener(socket.0.cast(), SOCKET_DATA.as_ptr(), Some(hear), null_mut(), false, 0) };
        accept(library(listen));
        accept(library(|| ss_set_option(socket.0.cast(), SS_OPT_READ_LIMIT, 4 << 20)));
        // In pieces, so that the unread input grows again and again.
        for part in sent.chunks(100_000) {
            let _ = peer.write_all(part);
            turn(&events);
        }
        let mut bytes = vec![0; sent.len()];
        let read = library(|| unsafe { ss_socket_read(socket.0, bytes.as_mut_ptr().cast(), bytes.len()) });
        assert_same_bytes(&bytes[..read], &sent[..read]);
        let word = [&[0, 5][..], b"hello"].concat();
        let _ = peer.write_all(&word);
        turn(&events);
        let (mut text, mut length) = ([0; 64], 0);
        accept(library(|| unsafe { ss_socket_read_utf(socket.0, text.as_mut_ptr(), text.len(), &mut length) }));
        let _ = peer.write_all(&amf_bytes(300_000));
        turn(&events);
        let mut value = null_mut();
        let status = library(|| unsafe { ss_socket_read_object(socket.0, &mut value) });
        accept(status);
        if status == SS_OK {
            ok(library(|| ss_release(value.cast())));
        }
        accept(library(|| socket.write(&answer)));
        accept(library(|| socket.write(&answer[..100])));
        turn(&events);
        if index % 2 == 0 {
            let _ = peer.shutdown(Shutdown::Write);
            turn(&events);
        }
        accept(library(|| socket.close()));
    }
    let outbound = library(|| ss_socket_new(events.0));
    if !outbound.is_null() {
        accept(library(|| unsafe { ss_socket_connect(outbound, c"127.0.0.1".as_ptr(), address.into()) }));
        turn(&events);
        ok(library(|| ss_release(outbound.cast())));
    }
    // Whatever failed, the loop serves the next one.
    VICTIM.set(0);
    let accepted = server.keep_accepted();
    let last = server.client();
    events.pump_until(|| accepted.len() > 0 && accepted.last().connected());
    ok(accepted.last().write(b"still here"));
    assert_eq!(events.receive(&last, 10), b"still here");
    ACCEPTED.get().into_iter().take(COUNT.get()).for_each(|socket| either_way(release(socket)));
}

// ---- Each in a process of its own -----------------------------------------------------------------------------------

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Survived,
    Aborted,
    Wrong(i32),
}

/// A conversation with its allocation number `victim` failing: how much it asked for and where, and what came of it.
fn fate_of(victim: usize, conversation: fn()) -> (usize, String, Fate) {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    let [mut read, write] = ends.map(|end| unsafe { File::from_raw_fd(end) });
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        use std::os::fd::AsRawFd;
        REPORT.set(write.as_raw_fd());
        VICTIM.set(victim);
        // Rust says that memory allocation failed; that is known.
        let null = File::options().write(true).open("/dev/null").expect("/dev/null");
        unsafe { libc::dup2(null.as_raw_fd(), 2) };
        let fine = std::panic::catch_unwind(conversation).is_ok();
        unsafe { libc::_exit(if fine { 0 } else { 1 }) };
    }
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text).expect("a pipe");
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    let fate = match status {
        0 => Fate::Survived,
        status if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT => Fate::Aborted,
        status => Fate::Wrong(status),
    };
    let (size, place) = text.split_once(' ').unwrap_or(("0", "(no allocation)"));
    (size.parse().expect("a number"), place.to_owned(), fate)
}

/// Each allocation of a conversation fails once.
fn fail_each(conversation: fn()) {
    // So that the children have the program's symbols already.
    let _ = Backtrace::force_capture().to_string();
    conversation();
    let allocations = SEEN.get();
    COUNT.set(0);
    SEEN.set(0);
    let mut places = BTreeMap::<(Fate, String), (usize, usize)>::new();
    for victim in 1..=allocations {
        let (size, place, fate) = fate_of(victim, conversation);
        assert!(!matches!(fate, Fate::Wrong(_)), "allocation {victim}, {size} bytes in {place}: {fate:?}");
        let must_survive = size >= SMALL && !place.starts_with(OF_RUSTLS);
        assert!(fate == Fate::Survived || !must_survive, "allocation {victim}, {size} bytes in {place}: {fate:?}");
        let (times, largest) = places.entry((fate, place)).or_default();
        *times += 1;
        *largest = size.max(*largest);
    }
    figure(format_args!("{allocations} allocations, each failed once:"));
    for ((fate, place), (times, largest)) in places {
        figure(format_args!("{fate:?} {times} times, at most {largest} bytes: {place}"));
    }
}

/// Smaller allocations than that may end the process: nobody chooses their size.
const SMALL: usize = 1_024;

#[test]
fn each_allocation_that_fails_is_answered_or_named() {
    in_own_process!(|| fail_each(conversation));
}

#[test]
fn no_allocation_whose_size_somebody_chooses_ends_the_process() {
    in_own_process!(|| {
        SMALLEST.set(SMALL);
        fail_each(hostile_conversation);
    });
}

#[test]
#[cfg(feature = "tls")]
fn no_larger_allocation_of_a_secure_conversation_ends_the_process_but_rustlss_own() {
    in_own_process!(|| {
        SMALLEST.set(SMALL);
        fail_each(secure::conversation);
    });
}

// ---- Sizes that a peer chooses, or an argument ------------------------------------------------------------------------

/// A call that may fail for want of memory has changed nothing then: the next time it succeeds.
#[track_caller]
fn again(mut call: impl FnMut() -> ss_status) {
    match library(&mut call) {
        SS_OK => {}
        SS_ERR_NO_MEMORY => ok(library(&mut call)),
        status => panic!("{status:?}: {}", last_detail()),
    }
}

/// As [`again`], of a call that gives something.
#[track_caller]
fn again_for<T>(mut call: impl FnMut() -> *mut T) -> *mut T {
    let made = library(&mut call);
    if !made.is_null() {
        return made;
    }
    assert_eq!(ss_last_status(), SS_ERR_NO_MEMORY, "{}", last_detail());
    let made = library(&mut call);
    assert!(!made.is_null());
    made
}

/// AMF3: an array of so many parts, which are all written alike.
fn amf_array(count: usize, part: &[u8]) -> Vec<u8> {
    let head = (count << 1 | 1) as u32;
    let u29 = [0x80 | (head >> 22) as u8, 0x80 | (head >> 15) as u8, 0x80 | (head >> 8) as u8, head as u8];
    [&[0x09], &u29[..], &[1], &part.repeat(count)].concat()
}

/// Sends something to a socket. Returns whether it has come: without memory the connection may have been given up.
fn send(events: &Loop, socket: Socket, peer: &TcpStream, bytes: &[u8]) -> bool {
    let (mut peer, bytes) = (peer, bytes.to_vec());
    let wanted = socket.available() + bytes.len();
    let _ = peer.write_all(&bytes);
    let deadline = std::time::Instant::now() + DEADLINE;
    while socket.available() < wanted && socket.connected() {
        assert!(std::time::Instant::now() < deadline, "what was sent does not come");
        turn(events);
    }
    socket.available() == wanted
}

/// What a peer sends is read, and written again, in all the ways whose results are long.
fn exchange(events: &Loop, socket: Socket, peer: &TcpStream) {
    for (encoding, bytes) in
        [(SS_AMF3, amf_array(3_000, &[0x09, 0x03, 0x01, 0x01])), (SS_AMF0, [&[0x11], &amf_bytes(4_000)[..]].concat())]
    {
        if !send(events, socket, peer, &bytes) {
            return;
        }
        ok(ss_socket_set_object_encoding(socket.0, encoding));
        let mut value = null_mut();
        again(|| unsafe { ss_socket_read_object(socket.0, &mut value) });
        for encoding in [SS_AMF3, SS_AMF0] {
            ok(ss_socket_set_object_encoding(socket.0, encoding));
            again(|| ss_socket_write_object(socket.0, value));
        }
        for index in 0..ss_value_item_count(value) {
            again_for(|| ss_value_item(value, index));
        }
        let other = again_for(|| ss_value_new(SS_VALUE_ARRAY));
        let item = again_for(|| ss_value_add_item(other));
        again(|| ss_value_assign(item, value));
        again(|| unsafe { ss_value_set_bytes(other_item(other), SS_VALUE_STRING, bytes.as_ptr().cast(), bytes.len()) });
        ok(library(|| ss_release(value.cast())));
        ok(library(|| ss_release(other.cast())));
    }
    // Half of a letter, in some charsets.
    let bytes = [0xe9; 4_000];
    let mut room = vec![0; 4 * bytes.len()];
    for charset in [c"iso-8859-1", c"us-ascii", c"shift_jis", c"utf-16", c"utf-8"] {
        if !send(events, socket, peer, &bytes) {
            return;
        }
        let (mut length, name) = (0, charset.as_ptr());
        let dst = room.as_mut_ptr();
        again(|| unsafe { ss_socket_read_multi_byte(socket.0, bytes.len(), name, dst, 4 * bytes.len(), &mut length) });
        assert!(length >= bytes.len() / 2);
        let text = std::ffi::CString::new("\u{e9}".repeat(2_000)).expect("no NUL");
        again(|| unsafe { ss_socket_write_multi_byte(socket.0, text.as_ptr(), name) });
        again(|| unsafe { ss_socket_write_utf(socket.0, text.as_ptr()) });
    }
    // Many times in one listener, so to speak.
    for _ in 0..50 {
        if !send(events, socket, peer, &bytes[..100]) {
            return;
        }
        let mut length = 0;
        assert!(!again_for(|| unsafe { ss_socket_take(socket.0, &mut length) }.cast_mut()).is_null());
    }
}

fn other_item(list: *mut ss_value) -> *mut ss_value {
    again_for(|| ss_value_add_item(list))
}

thread_local! {
    static ALL: RefCell<Vec<Socket>> = const { RefCell::new(Vec::new()) };
}

/// Keeps every socket. What the test allocates does not count.
extern "C-unwind" fn keep_all(event: *mut ss_event, _: *mut c_void) {
    let socket = Socket(ss_event_socket(event));
    if ss_retain(socket.object()) == SS_OK {
        let counts = COUNTS.replace(false);
        ALL.with(|all| all.borrow_mut().push(socket));
        COUNTS.set(counts);
    }
}

fn accept_one(events: &Loop, server: &Server) -> (TcpStream, Option<Socket>) {
    let before = ALL.with(|all| all.borrow().len());
    let peer = server.client();
    turn(events);
    let accepted = ALL.with(|all| all.borrow().get(before).copied());
    (peer, accepted)
}

/// Everybody is written to at once, and gets what was written.
fn write_to_all(events: &Loop, peers: &[TcpStream]) {
    let sockets: Vec<Socket> =
        ALL.with(|all| all.borrow().iter().copied().filter(|socket| socket.connected()).collect());
    for socket in &sockets {
        let listener =
            || unsafe { ss_add_listener(socket.object(), OUTPUT_PROGRESS.as_ptr(), Some(hear), null_mut(), false, 0) };
        again(listener);
        again(|| socket.write(b"word"));
    }
    let (mut received, mut room) = (0, [0; 100]);
    let deadline = std::time::Instant::now() + DEADLINE;
    while received < 4 * sockets.len() {
        assert!(std::time::Instant::now() < deadline, "{received} of {} bytes have come", 4 * sockets.len());
        turn(events);
        received += peers.iter().filter_map(|peer| read_now(peer, &mut room)?.ok()).sum::<usize>();
    }
}

fn hostile_conversation() {
    let events = Loop::new();
    let server = Server::listening(&events);
    ok(unsafe { ss_add_listener(server.object(), CONNECT.as_ptr(), Some(keep_all), null_mut(), false, 0) });
    let peers: Vec<TcpStream> = (0..150).map(|_| server.client()).collect();
    turn(&events);
    // All speak at once, and what some of them say is a burden.
    for (index, mut peer) in peers.iter().enumerate() {
        let _ = peer.write_all(&pattern(if index % 10 == 0 { 100_000 } else { 10 }));
    }
    turn(&events);
    write_to_all(&events, &peers);
    let (peer, socket) = accept_one(&events, &server);
    if let Some(socket) = socket {
        exchange(&events, socket, &peer);
    }
    let long = std::ffi::CString::new("x".repeat(5_000)).expect("no NUL");
    let event = again_for(|| unsafe { ss_event_new(long.as_ptr(), false, false) });
    ok(library(|| ss_release(event.cast())));
    let outbound = again_for(|| ss_socket_new(events.0));
    again(|| unsafe { ss_socket_connect(outbound, long.as_ptr(), 1) });
    turn(&events);
    ok(library(|| ss_release(outbound.cast())));
    let other = again_for(|| ss_new(events.0));
    assert_eq!(library(|| unsafe { ss_bind(other, 0, long.as_ptr()) }), SS_ERR_ARGUMENT);
    // Whatever failed, the loop serves the next one.
    VICTIM.set(0);
    let (peer, socket) = accept_one(&events, &server);
    let socket = socket.expect("it is accepted");
    let _ = (&peer).write_all(b"and now?");
    events.pump_until(|| socket.available() == 8);
    ok(socket.write(b"still here"));
    assert_eq!(events.receive(&peer, 10), b"still here");
    ALL.with(RefCell::take).into_iter().for_each(|socket| either_way(ss_release(socket.object())));
}

// ---- What a value takes -----------------------------------------------------------------------------------------------

/// The most memory that reading an array of so many parts takes, and the host's handles of all of them; `None`: it is refused.
fn memory_of(count: usize, first: &[u8], part: &[u8]) -> Option<isize> {
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_READ_LIMIT, 1 << 20);
    let all = amf_array(count, &[]);
    pair.send(&[&all[..], first, &part.repeat(count - 1)].concat());
    pair.pump_until_available(all.len() + first.len() + part.len() * (count - 1));
    LIVE.set(0);
    PEAK.set(0);
    let mut value = null_mut();
    let status = library(|| unsafe { ss_socket_read_object(pair.socket.0.0, &mut value) });
    if status != SS_OK {
        assert_eq!(status, SS_ERR_RANGE, "{}", last_detail());
        assert!(PEAK.get() < 16 << 20, "{} bytes for nothing", PEAK.get());
        return None;
    }
    assert_eq!(ss_value_item_count(value), count);
    for index in 0..count {
        let part = library(|| ss_value_item(value, index));
        for inner in 0..ss_value_item_count(part) {
            library(|| ss_value_item(part, inner));
        }
        for inner in 0..ss_value_property_count(part) {
            library(|| ss_value_property_at(part, inner));
        }
    }
    let peak = PEAK.get();
    ok(library(|| ss_release(value.cast())));
    Some(peak)
}

#[test]
fn a_value_takes_no_more_memory_than_it_may() {
    in_own_process!(|| {
        let parts: [(&str, &[u8], &[u8]); 10] = [
            ("nulls", &[1], &[1]),
            ("empty arrays", &[9, 1, 1], &[9, 1, 1]),
            ("arrays of one item", &[9, 3, 1, 1], &[9, 3, 1, 1]),
            ("objects of one property", &[0x0a, 0x0b, 1, 3, b'a', 1, 1], &[0x0a, 0x0b, 1, 3, b'b', 1, 1]),
            ("objects of a class", &[0x0a, 0x13, 1, 3, b'a', 1], &[0x0a, 1, 1]),
            ("strings", &[6, 3, b'a'], &[6, 3, b'a']),
            ("byte arrays", &[0x0c, 3, b'a'], &[0x0c, 3, b'a']),
            ("dictionaries", &[0x11, 3, 0, 1, 1], &[0x11, 3, 0, 1, 1]),
            ("vectors", &[0x0d, 3, 0, 0, 0, 0, 0], &[0x0d, 3, 0, 0, 0, 0, 0]),
            ("dates", &[8, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[8, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (what, first, part) in parts {
            // As many as are let in, nearly.
            let (mut fits, mut too_many) = (1, (1 << 20) / part.len() - 10);
            let mut peak = 0;
            while too_many - fits > too_many / 20 {
                let count = usize::midpoint(fits, too_many);
                match memory_of(count, first, part) {
                    Some(memory) => (fits, peak) = (count, memory),
                    None => too_many = count,
                }
            }
            figure(format_args!("{fits} {what}, {} bytes: {peak} bytes of memory", fits * part.len()));
            assert!(peak <= 16 << 20, "{fits} {what}: {peak} bytes");
        }
    });
}
