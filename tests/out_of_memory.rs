//! Every single allocation of a long conversation fails once, each in a process of its own. The allocations whose size a
//! peer chooses are answered with SS_ERR_NO_MEMORY or cost that one connection; where Rust aborts, the test says where.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod support;

use server_socket::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
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
}

fn fails(size: usize) -> bool {
    if !COUNTS.get() {
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
    let place = trace.lines().find_map(|line| line.split_once("server_socket::").map(|(_, place)| place));
    let place = place.unwrap_or("(outside of the library)");
    let mut pipe = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(REPORT.get()) });
    let _ = pipe.write_all(format!("{size} {place}").as_bytes());
}

unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails(size) { null_mut() } else { unsafe { System.realloc(pointer, layout, size) } }
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

/// The conversation with its allocation number `victim` failing: how much it asked for and where, and what came of it.
fn fate_of(victim: usize) -> (usize, String, Fate) {
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

#[test]
fn each_allocation_that_fails_is_answered_or_named() {
    in_own_process!(|| {
        // So that the children have the program's symbols already.
        let _ = Backtrace::force_capture().to_string();
        conversation();
        let allocations = SEEN.get();
        COUNT.set(0);
        SEEN.set(0);
        let mut places = BTreeMap::<(Fate, String), (usize, usize)>::new();
        for victim in 1..=allocations {
            let (size, place, fate) = fate_of(victim);
            assert!(!matches!(fate, Fate::Wrong(_)), "allocation {victim}, {size} bytes in {place}: {fate:?}");
            assert!(fate == Fate::Survived || size < 16_384, "allocation {victim}, {size} bytes in {place}: {fate:?}");
            let (times, largest) = places.entry((fate, place)).or_default();
            *times += 1;
            *largest = size.max(*largest);
        }
        figure(format_args!("{allocations} allocations, each failed once:"));
        for ((fate, place), (times, largest)) in places {
            figure(format_args!("{fate:?} {times} times, at most {largest} bytes: {place}"));
        }
    });
}
