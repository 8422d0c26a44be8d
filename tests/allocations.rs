// SPDX-License-Identifier: MIT OR Apache-2.0
//! On the way of a message of a settled connection, and of an event of the program, memory is neither allocated nor
//! freed. The one test of this file counts, with the program's own allocator.

#![cfg(unix)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

use server_socket::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ptr::null_mut;
use support::*;

struct Counting;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    if COUNTS.get() {
        COUNT.set(COUNT.get() + 1);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was allocated, freed or moved in `f`.
fn allocations(f: impl FnOnce()) -> usize {
    COUNT.set(0);
    COUNTS.set(true);
    f();
    COUNTS.set(false);
    COUNT.get()
}

// The listeners are plain functions: the test's own closures and assertions would allocate.

extern "C-unwind" fn echo_in_place(_: *mut ss_event, user_data: *mut c_void) {
    let mut length = 0;
    let socket = user_data.cast();
    let bytes = unsafe { ss_socket_peek(socket, &mut length) };
    unsafe { ss_socket_write_bytes(socket, bytes.cast(), length) };
    ss_socket_skip(socket, length);
}

extern "C-unwind" fn echo_a_copy(_: *mut ss_event, user_data: *mut c_void) {
    let mut room = [0_u8; 700];
    let socket = user_data.cast();
    loop {
        let length = unsafe { ss_socket_read(socket, room.as_mut_ptr().cast(), room.len()) };
        if length == 0 {
            return;
        }
        unsafe { ss_socket_write_bytes(socket, room.as_ptr().cast(), length) };
    }
}

extern "C-unwind" fn echo_in_small_writes(_: *mut ss_event, user_data: *mut c_void) {
    let mut byte = [0_u8; 7];
    let socket = user_data.cast();
    loop {
        let length = unsafe { ss_socket_read(socket, byte.as_mut_ptr().cast(), byte.len()) };
        if length == 0 {
            return;
        }
        unsafe { ss_socket_write_bytes(socket, byte.as_ptr().cast(), length) };
    }
}

extern "C-unwind" fn hear(_: *mut ss_event, user_data: *mut c_void) {
    increment(unsafe { &*user_data.cast::<Cell<usize>>() });
}

const CONNECTIONS: usize = 20;

/// Echoes `rounds` messages on each connection: how often memory was touched inside the turns.
fn converse(events: &Loop, peers: &mut [TcpStream], rounds: usize) -> usize {
    let message = pattern(3_000);
    let mut answer = vec![0; message.len()];
    let mut touched = 0;
    for round in 0..rounds {
        let message = &message[..1 + round * 131 % message.len()];
        for peer in peers.iter_mut() {
            peer.write_all(message).expect("the peer writes");
        }
        for peer in peers.iter_mut() {
            let mut length = 0;
            while length < message.len() {
                match peer.read(&mut answer[length..message.len()]) {
                    Ok(read) => length += read,
                    Err(_) => {
                        let mut status = SS_OK;
                        touched += allocations(|| status = unsafe { ss_loop_poll(events.0, 1, null_mut()) });
                        ok(status);
                    }
                }
            }
            assert_same_bytes(&answer[..length], message);
        }
    }
    touched
}

#[test]
fn messages_and_events_touch_no_memory_once_a_connection_has_settled() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 2, "the test counts");

    let echoes: [(&str, unsafe extern "C-unwind" fn(_, _)); 3] = [
        ("peek and skip", echo_in_place),
        ("read", echo_a_copy),
        ("read, and several small writes", echo_in_small_writes),
    ];
    for (name, echo) in echoes {
        let events = Loop::new();
        let server = Server::listening(&events);
        let accepted = server.keep_accepted();
        on(&server, CONNECT, move |event| {
            let socket = event.socket();
            let user_data = socket.object();
            ok(unsafe { ss_add_listener(socket.object(), SOCKET_DATA.as_ptr(), Some(echo), user_data, false, 0) });
        });
        let mut peers: Vec<TcpStream> = (0..CONNECTIONS).map(|_| server.client()).collect();
        events.pump_until(|| accepted.len() == CONNECTIONS);
        for peer in &peers {
            peer.set_nonblocking(true).expect("non-blocking");
        }
        converse(&events, &mut peers, 50);
        assert_eq!(converse(&events, &mut peers, 10_000 / CONNECTIONS), 0, "{name}");
    }

    let events = Loop::new();
    let target = Server::new(&events);
    let heard = Cell::new(0_usize);
    let user_data = (&raw const heard).cast_mut().cast();
    ok(unsafe { ss_add_listener(target.object(), c"mine".as_ptr(), Some(hear), user_data, false, 0) });
    let dispatch_twice = || {
        let event = Event::new(c"mine", false, false);
        // The second delivers a clone.
        let touched = allocations(|| unsafe {
            ss_dispatch_event(target.object(), event.0, null_mut());
            ss_dispatch_event(target.object(), event.0, null_mut());
        });
        ok(release(event));
        touched
    };
    for _ in 0..10 {
        dispatch_twice();
    }
    assert_eq!((0..1_000).map(|_| dispatch_twice()).sum::<usize>(), 0);
    assert_eq!(heard.get(), 2_020);
}
