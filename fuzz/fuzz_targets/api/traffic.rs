// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets read and write.

use super::*;

/// How many bytes: few, thousands, or as many as go to the system at once.
pub fn amount() -> usize {
    let choice = byte();
    match choice >> 6 {
        0 => choice & 63,
        1 => (choice & 63) * 31,
        2 => (choice & 63) * 500,
        _ => (choice & 63) * 3000,
    }
}

/// Whether so many more bytes may travel.
pub fn may_send(amount: usize) -> bool {
    with(|trial| {
        let allowed = trial.traffic + amount <= MAX_TRAFFIC;
        trial.traffic += if allowed { amount } else { 0 };
        allowed
    })
}

pub fn write() {
    let (fill, length) = (byte() as u8, amount());
    let length = if may_send(length) { length } else { 0 };
    let bytes: Vec<u8> = (0..length).map(|place| fill.wrapping_add(place as u8)).collect();
    // SAFETY: the bytes are ours.
    let call = |handle| unsafe { ss_socket_write_bytes(handle, bytes.as_ptr().cast(), bytes.len()) };
    let id = good!(Wanted::Socket, |handle| call(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let pending = ss_socket_bytes_pending(pointer(id));
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.write_status(length, pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        status
    });
    assert_eq!(call(pointer(id)), expected);
    write_number(index, fill);
}

/// Bytes that lie in several places.
pub fn write_vector() {
    let (fill, cut, length) = (byte() as u8, 1 + byte() * 3, amount());
    let length = if may_send(length) { length } else { 0 };
    let bytes: Vec<u8> = (0..length).map(|place| fill.wrapping_add(place as u8)).collect();
    let mut parts: Vec<ss_bytes> =
        bytes.chunks(cut).map(|part| ss_bytes { bytes: part.as_ptr().cast(), length: part.len() }).collect();
    if fill & 1 == 1 {
        parts.insert(parts.len() / 2, ss_bytes { bytes: null(), length: 0 });
    }
    // SAFETY: the parts and their bytes are ours.
    let call = |handle| unsafe { ss_socket_write_vector(handle, parts.as_ptr(), parts.len()) };
    let id = good!(Wanted::Socket, |handle| call(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let pending = ss_socket_bytes_pending(pointer(id));
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.write_status(length, pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        status
    });
    assert_eq!(call(pointer(id)), expected);
    let nowhere = ss_bytes { bytes: null(), length: 1 };
    // SAFETY: NULL is refused.
    unsafe {
        assert_eq!(ss_socket_write_vector(pointer(id), null(), 1), SS_ERR_TYPE);
        assert_eq!(ss_socket_write_vector(pointer(id), &nowhere, 1), SS_ERR_TYPE);
    }
}

/// The typed writes, a byte or four.
pub fn write_number(index: usize, fill: u8) {
    let handle = pointer(Id::Socket(index));
    let number = i32::from(fill).wrapping_mul(0x0101_0301);
    let pending = ss_socket_bytes_pending(handle);
    let (expected, call) = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let bytes = match (fill % 3, socket.little_endian) {
            (0, _) => vec![number as u8],
            (_, true) => number.to_le_bytes().to_vec(),
            (_, false) => number.to_be_bytes().to_vec(),
        };
        let status = socket.write_status(bytes.len(), pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        (status, if fill % 3 == 0 { ss_socket_write_byte } else { ss_socket_write_int })
    });
    assert_eq!(call(handle, number), expected);
}

pub fn read() {
    let capacity = amount();
    let mut room = vec![0xa5_u8; capacity + 1];
    let mut read_to = |handle| {
        // SAFETY: there is that much room.
        unsafe { ss_socket_read(handle, room.as_mut_ptr().cast(), capacity) }
    };
    let id = good!(Wanted::Socket, |handle| {
        let status = nothing(ss_socket_bytes_available(handle) == 0);
        assert_eq!(read_to(handle), 0);
        status
    });
    let Id::Socket(index) = id else { unreachable!() };
    let length = read_to(pointer(id));
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let expected = &socket.unread_bytes()[..capacity.min(socket.unread())];
        assert!(room[..length] == *expected && room[length..].iter().all(|byte| *byte == 0xa5), "bytes read");
        socket.read += length;
    });
    check_socket(index);
}

pub fn take() {
    let mut length = 77;
    // SAFETY: `length` is ours.
    let mut call = |handle| unsafe { ss_socket_take(handle, &mut length) };
    let id = good!(Wanted::Socket, |handle| {
        let status = nothing(call(handle).is_null());
        assert_eq!(length, 0);
        status
    });
    let Id::Socket(index) = id else { unreachable!() };
    let start = call(pointer(id));
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let expected = socket.unread_bytes();
        assert_eq!((start.is_null(), length), (expected.is_empty(), expected.len()));
        if !start.is_null() {
            // SAFETY: so many bytes are there.
            assert!(unsafe { std::slice::from_raw_parts(start, length) } == expected, "bytes taken");
            socket.read += length;
            let taken = Taken { start, expected, home: socket.home };
            match trial.model.frames.is_empty() {
                true => trial.taken_outside.push(taken),
                false => trial.taken.push(taken),
            }
        }
    });
    check_socket(index);
}

pub fn skip() {
    let length = amount();
    let id = good!(Wanted::Socket, |handle| ss_socket_skip(handle, length));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.read_status(length);
        socket.read += if status == SS_OK { length } else { 0 };
        status
    });
    assert_eq!(ss_socket_skip(pointer(id), length), expected);
    read_number(index);
}

/// A typed read.
pub fn read_number(index: usize) {
    let handle = pointer(Id::Socket(index));
    let mut got = 0xa5a5_a5a5;
    // SAFETY: `got` is ours.
    let status = unsafe { ss_socket_read_unsigned_int(handle, &mut got) };
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        assert_eq!(status, socket.read_status(4));
        let expected = match status {
            SS_OK => {
                let bytes = *socket.unread_bytes().first_chunk().expect("four bytes");
                socket.read += 4;
                if socket.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
            }
            _ => 0xa5a5_a5a5,
        };
        assert_eq!(got, expected);
    });
    check_socket(index);
}
