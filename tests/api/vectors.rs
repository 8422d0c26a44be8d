// SPDX-License-Identifier: MIT OR Apache-2.0
//! ss_socket_write_vector: bytes that lie in several places, all of them or none.

use server_socket::*;
use std::ptr::{null, null_mut};
use support::*;

fn part(bytes: &[u8]) -> ss_bytes {
    ss_bytes { bytes: bytes.as_ptr().cast(), length: bytes.len() }
}

fn write_vector(socket: Socket, parts: &[&[u8]]) -> ss_status {
    let parts: Vec<ss_bytes> = parts.iter().map(|bytes| part(bytes)).collect();
    unsafe { ss_socket_write_vector(socket.0, parts.as_ptr(), parts.len()) }
}

#[test]
fn parts_arrive_one_behind_the_other_and_between_other_writes() {
    let pair = Pair::new();
    ok(pair.socket.write(b"<"));
    ok(write_vector(*pair.socket, &[b"HTTP/1.1 200 OK\r\n", b"", b"\r\n", b"body"]));
    ok(pair.socket.write(b">"));
    assert_eq!(pair.events.receive(&pair.peer, 25), b"<HTTP/1.1 200 OK\r\n\r\nbody>");
}

/// From a few bytes to far more than the system takes at once, in one part or in hundreds.
#[test]
fn any_number_of_parts_of_any_size_arrives_whole() {
    for (count, size) in [(1, 100_000), (2, 40_000), (3, 3_000_000), (300, 1), (300, 70_000), (5000, 700)] {
        let pair = Pair::new();
        set(*pair.socket, SS_OPT_WRITE_LIMIT, 1 << 30);
        pair.events.settle(); // else what the poller says first would send what is left
        let bytes = pattern(count * size);
        let parts: Vec<&[u8]> = bytes.chunks(size).collect();
        ok(write_vector(*pair.socket, &parts));
        assert_same_bytes(&pair.events.receive(&pair.peer, bytes.len()), &bytes);
        ok(write_vector(*pair.socket, &parts[..1]));
        assert_same_bytes(&pair.events.receive(&pair.peer, size), &bytes[..size]);
    }
}

#[test]
fn all_of_it_fits_below_the_write_limit_or_none_is_written() {
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 1000);
    ok(pair.socket.write(&[1; 600]));
    assert_eq!(write_vector(*pair.socket, &[&[2; 100], &[3; 301]]), SS_ERR_FULL);
    assert_eq!(pair.socket.pending(), 600, "the header is not written without its body");
    ok(write_vector(*pair.socket, &[&[2; 100], &[3; 300]]));
    let wanted = [&[1; 600][..], &[2; 100], &[3; 300]].concat();
    assert_same_bytes(&pair.events.receive(&pair.peer, 1000), &wanted);
    fails(write_vector(*pair.socket, &[&[0; 900], &[0; 101]]), SS_ERR_RANGE, 2006);
}

/// As long as the peer does not read, what is written is kept, and the limit holds for all parts together.
#[test]
fn a_full_socket_keeps_all_parts_or_none() {
    let pair = Pair::new();
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 32 << 20);
    let flood = pattern(16 << 20);
    ok(pair.socket.write(&flood));
    pair.events.settle();
    let before = pair.socket.pending();
    assert!(before > 0, "the system has taken all of it");
    let (header, body) = (pattern(17), pattern(200_000));
    ok(write_vector(*pair.socket, &[&header, &body]));
    assert_eq!(pair.socket.pending(), before + 200_017);
    assert_eq!(write_vector(*pair.socket, &[&header, &flood, &flood[..8 << 20]]), SS_ERR_FULL);
    assert_eq!(pair.socket.pending(), before + 200_017);
    // Nothing fits, whatever the limit has become.
    set(*pair.socket, SS_OPT_WRITE_LIMIT, 1_000);
    assert_eq!(pair.socket.write(b"x"), SS_ERR_FULL);
    ok(pair.socket.write(b""));
    ok(write_vector(*pair.socket, &[b""]));
    assert_eq!(pair.socket.pending(), before + 200_017);
    assert_same_bytes(&pair.events.receive(&pair.peer, flood.len()), &flood);
    assert_same_bytes(&pair.events.receive(&pair.peer, 200_017), &[header, body].concat());
}

#[test]
fn what_is_no_bytes_is_refused_and_nothing_is_written() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    let nothing = ss_bytes { bytes: null(), length: 0 };
    ok(unsafe { ss_socket_write_vector(socket, null(), 0) });
    ok(unsafe { ss_socket_write_vector(socket, [nothing; 3].as_ptr(), 3) });
    let refused = |parts: *const ss_bytes, count: usize, status: ss_status, id: i32| {
        assert_eq!(unsafe { ss_socket_write_vector(socket, parts, count) }, status);
        assert_eq!(last_error().id, id);
        assert_eq!(pair.socket.pending(), 0);
    };
    refused(null(), 1, SS_ERR_TYPE, 2007);
    refused([part(b"header"), ss_bytes { bytes: null(), length: 1 }].as_ptr(), 2, SS_ERR_TYPE, 2007);
    // Longer than memory: looked at, and never read.
    let word = [0_u8; 1];
    let endless = ss_bytes { bytes: word.as_ptr().cast(), length: isize::MAX as usize };
    refused([part(b"header"), endless, endless, endless].as_ptr(), 4, SS_ERR_RANGE, 2006);
    refused([part(b"header"), ss_bytes { length: usize::MAX, ..endless }].as_ptr(), 2, SS_ERR_RANGE, 2006);
    refused(word.as_ptr().cast(), usize::MAX / 8, SS_ERR_RANGE, 2006);
    fails(unsafe { ss_socket_write_vector(ss_socket_new(pair.events.0), null(), 0) }, SS_ERR_IO, 2002);
    assert_eq!(unsafe { ss_socket_write_vector(null_mut(), null(), 0) }, SS_ERR_HANDLE);
}

/// Bytes that are peeked at and bytes that are taken lie in the library's own buffers, which writing uses, too.
#[test]
fn parts_may_be_the_librarys_own_bytes() {
    let pair = Pair::new();
    let socket = *pair.socket;
    let kept = pattern(90_000);
    pair.send(&kept);
    pair.pump_until_available(kept.len());
    on(socket, SOCKET_DATA, move |_| {
        let (mut peeked, mut taken) = (0, 0);
        let parts = unsafe {
            let first = ss_bytes { bytes: ss_socket_peek(socket.0, &mut peeked).cast(), length: peeked };
            let second = ss_bytes { bytes: ss_socket_take(socket.0, &mut taken).cast(), length: taken };
            [first, part(b" and "), second]
        };
        ok(unsafe { ss_socket_write_vector(socket.0, parts.as_ptr(), 3) });
    });
    pair.send(b"news");
    let all = [&kept[..], b"news"].concat();
    let wanted = [&all[..], b" and ", &all].concat();
    assert_same_bytes(&pair.events.receive(&pair.peer, wanted.len()), &wanted);
}

#[test]
fn a_write_to_a_peer_that_has_gone_is_lost_as_a_whole() {
    let pair = Pair::new();
    let Pair { socket, peer, events, log, .. } = pair;
    reset(peer);
    let large = pattern(300_000);
    for _ in 0..3 {
        either_way(write_vector(*socket, &[b"header", &large]));
    }
    events.pump_until(|| log.contains("close"));
}

/// Counted by the system's filter of this thread's calls.
#[cfg(target_os = "linux")]
#[test]
fn parts_leave_in_one_system_call_with_what_else_the_listener_writes() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let count = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        None
    };
    with_failing_call(libc::SYS_sendto, count, move || {
        let pair = Pair::new();
        let socket = *pair.socket;
        on(socket, SOCKET_DATA, move |_| {
            ok(socket.write(b"<"));
            ok(write_vector(socket, &[&b"header"[..], &pattern(1000)]));
            ok(write_vector(socket, &[&b"header"[..], &pattern(1000)]));
            ok(socket.write(b">"));
        });
        pair.send(b"x");
        let before = calls.load(Ordering::SeqCst);
        pair.events.receive(&pair.peer, 2 * 1006 + 2);
        assert_eq!(calls.load(Ordering::SeqCst) - before, 1);
    });
}
