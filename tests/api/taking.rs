// SPDX-License-Identifier: MIT OR Apache-2.0
//! ss_socket_take: all unread bytes in place, counted as read, and good until the listener returns.

use server_socket::*;
use std::io::Write;
use std::ptr::null_mut;
use support::*;

/// The bytes in place. They are the library's, and good for as long as it says.
fn take(socket: Socket) -> &'static [u8] {
    let mut length = usize::MAX;
    let bytes = unsafe { ss_socket_take(socket.0, &mut length) };
    assert_eq!(bytes.is_null(), length == 0);
    match bytes.is_null() {
        true => &[],
        false => unsafe { std::slice::from_raw_parts(bytes, length) },
    }
}

/// Has the loop's buffers used by somebody else: what was given back to it is overwritten.
fn use_buffers(other: Socket) {
    for _ in 0..64 {
        either_way(other.write(&[0xee; 100_000]));
    }
    assert!(other.pending() > 0);
}

/// A connection that has `kept` unread from an earlier event, and another one of the same loop, whose peer does not read.
fn with_kept(kept: &[u8]) -> (Pair, Kept, std::net::TcpStream) {
    let pair = Pair::new();
    let accepted = pair.server.keep_accepted();
    let idle = pair.server.client();
    pair.events.pump_until(|| accepted.len() == 1);
    let other = accepted.get(0).keep();
    accepted.clear();
    if !kept.is_empty() {
        pair.send(kept);
        pair.pump_until_available(kept.len());
    }
    (pair, other, idle)
}

#[test]
fn what_is_taken_counts_as_read_and_is_written_back_as_it_is() {
    for kept in [&b""[..], b"kept "] {
        let (pair, _other, _idle) = with_kept(kept);
        let taken = Log::default();
        on(*pair.socket, SOCKET_DATA, {
            let (taken, socket) = (taken.clone(), *pair.socket);
            move |_| {
                let bytes = take(socket);
                taken.add(String::from_utf8_lossy(bytes));
                assert_eq!(socket.available(), 0);
                assert_eq!(take(socket), b"", "nothing is left to be taken");
                ok(socket.write(bytes));
            }
        });
        pair.send(b"and more");
        pair.events.pump_until(|| taken.len() == 1);
        let all = [kept, b"and more"].concat();
        assert_eq!(pair.events.receive(&pair.peer, all.len()), all);
    }
}

/// Its bytes are lent in place as well, but by another way.
#[test]
fn what_a_socket_with_user_data_takes_counts_as_read() {
    let pair = Pair::new();
    let object = pair.socket.object();
    ok(unsafe { ss_set_user_data(object, object, None) });
    let taken = Log::default();
    on(*pair.socket, SOCKET_DATA, {
        let (taken, socket) = (taken.clone(), *pair.socket);
        move |_| {
            taken.add(String::from_utf8_lossy(take(socket)));
            assert_eq!(socket.available(), 0);
        }
    });
    for (count, text) in ["one", "two"].into_iter().enumerate() {
        pair.send(text.as_bytes());
        pair.events.pump_until(|| taken.len() > count);
    }
    assert_eq!(taken.take(), ["one", "two"]);
}

#[test]
fn with_nothing_unread_it_answers_null_and_that_is_no_failure() {
    let pair = Pair::new();
    assert_eq!(ss_socket_skip(null_mut(), 0), SS_ERR_HANDLE);
    assert_eq!(take(*pair.socket), b"");
    assert_eq!(last_error().status, SS_ERR_HANDLE, "the last error is the one before");
    ok(pair.socket.close());
    assert_eq!(take(*pair.socket), b"");
    assert_eq!(last_error().status, SS_ERR_IO);
    assert!(unsafe { ss_socket_take(pair.socket.0.0, null_mut()) }.is_null());
    assert_eq!(last_error().status, SS_ERR_TYPE);
}

/// Lent bytes lie in the loop's receive buffer, kept ones in a buffer of the socket's own: both stay where they are.
#[test]
fn what_is_taken_stays_until_the_listener_returns_though_the_socket_is_closed_and_destroyed() {
    for kept in [vec![], pattern(50_000)] {
        let (pair, other, _idle) = with_kept(&kept);
        let seen = shared::<usize>();
        let socket = *pair.socket;
        on(socket, SOCKET_DATA, {
            let (kept, seen, other) = (kept.clone(), seen.clone(), *other);
            move |_| {
                let bytes = take(socket);
                ok(socket.close());
                ok(release(socket.0));
                use_buffers(other);
                assert_same_bytes(bytes, &[&kept[..], b"news"].concat());
                increment(&seen);
            }
        });
        std::mem::forget(pair.socket);
        (&pair.peer).write_all(b"news").expect("the peer writes");
        pair.events.pump_until(|| seen.get() == 1);
        assert!(!socket.alive());
    }
}

#[test]
fn what_is_taken_outside_of_a_listener_stays_until_the_next_poll() {
    let kept = pattern(50_000);
    let (pair, other, _idle) = with_kept(&kept);
    let bytes = take(*pair.socket);
    ok(pair.socket.close());
    dispatch(*other, c"mine");
    use_buffers(*other);
    assert_same_bytes(bytes, &kept);
}

/// A task may turn another loop than its own.
#[test]
fn what_a_task_takes_of_another_loops_socket_stays_though_that_loop_is_turned() {
    let kept = pattern(50_000);
    let (pair, other, _idle) = with_kept(&kept);
    let own = Loop::new();
    let seen = shared::<usize>();
    post(own.0, {
        let (kept, seen, socket, other, events) = (kept.clone(), seen.clone(), *pair.socket, *other, pair.events.0);
        move || {
            let bytes = take(socket);
            assert_eq!(unsafe { ss_loop_poll(events, 0, null_mut()) }, SS_OK);
            use_buffers(other);
            assert_same_bytes(bytes, &kept);
            increment(&seen);
        }
    });
    own.pump_until(|| seen.get() == 1);
}

/// A full socket is read on from once its bytes are taken.
#[test]
fn taking_makes_room_below_the_read_limit() {
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_READ_LIMIT, 1000);
    let bytes = pattern(5000);
    pair.send(&bytes);
    let mut got = Vec::new();
    pair.events.pump_until(|| {
        got.extend_from_slice(take(*pair.socket));
        got.len() == bytes.len()
    });
    assert_same_bytes(&got, &bytes);
}
