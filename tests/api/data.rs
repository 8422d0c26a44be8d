// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDataInput and IDataOutput of sockets: typed reads and writes through the exported functions, over real
//! connections: the chapter "Socket: data" of docs/SEMANTICS.md.

use crate::{listening, serving};
use support::harness;

use proptest::prelude::*;
use server_socket::*;
use std::ffi::{CStr, CString, c_char};
use std::ops::Range;
use std::process::Command;
use std::ptr::{null, null_mut};
use support::*;

const ENDIANS: [i32; 2] = [SS_BIG_ENDIAN, SS_LITTLE_ENDIAN];

// ---- Values, and the functions that read and write them -------------------------------------------------------------

/// A value of each type that can be written and read, and plain bytes, which may stand between them. Floats are compared by their bits.
#[derive(Clone, Debug)]
enum Value {
    Boolean(bool),
    Byte(i8),
    UnsignedByte(u8),
    Short(i16),
    UnsignedShort(u16),
    Int(i32),
    UnsignedInt(u32),
    Float(f32),
    Double(f64),
    Utf(String),
    UtfBytes(String),
    MultiByte(String, &'static CStr),
    Bytes(Vec<u8>),
}

use Value::*;

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Float(a), Float(b)) => a.to_bits() == b.to_bits(),
            (Double(a), Double(b)) => a.to_bits() == b.to_bits(),
            _ => format!("{self:?}") == format!("{other:?}"),
        }
    }
}

impl Value {
    fn write(&self, socket: Socket) -> ss_status {
        match self {
            Boolean(value) => ss_socket_write_boolean(socket.0, *value),
            Byte(value) => ss_socket_write_byte(socket.0, (*value).into()),
            UnsignedByte(value) => ss_socket_write_byte(socket.0, (*value).into()),
            Short(value) => ss_socket_write_short(socket.0, (*value).into()),
            UnsignedShort(value) => ss_socket_write_short(socket.0, (*value).into()),
            Int(value) => ss_socket_write_int(socket.0, *value),
            UnsignedInt(value) => ss_socket_write_unsigned_int(socket.0, *value),
            Float(value) => ss_socket_write_float(socket.0, *value),
            Double(value) => ss_socket_write_double(socket.0, *value),
            Utf(text) => write_utf(socket, text),
            UtfBytes(text) => write_utf_bytes(socket, text),
            MultiByte(text, charset) => write_multi_byte(socket, text, charset),
            Bytes(bytes) => socket.write(bytes),
        }
    }

    /// Reads a value of the same type. The length of a text without a prefix is known to the reader, in bytes as sent.
    fn read_alike(&self, socket: Socket) -> Result<Value, ss_status> {
        Ok(match self {
            Boolean(_) => Boolean(read(socket, ss_socket_read_boolean)?),
            Byte(_) => Byte(read(socket, ss_socket_read_byte)?),
            UnsignedByte(_) => UnsignedByte(read(socket, ss_socket_read_unsigned_byte)?),
            Short(_) => Short(read(socket, ss_socket_read_short)?),
            UnsignedShort(_) => UnsignedShort(read(socket, ss_socket_read_unsigned_short)?),
            Int(_) => Int(read(socket, ss_socket_read_int)?),
            UnsignedInt(_) => UnsignedInt(read(socket, ss_socket_read_unsigned_int)?),
            Float(_) => Float(read(socket, ss_socket_read_float)?),
            Double(_) => Double(read(socket, ss_socket_read_double)?),
            Utf(_) => Utf(utf_8(read_utf(socket)?)),
            UtfBytes(text) => UtfBytes(utf_8(read_utf_bytes(socket, text.len())?)),
            MultiByte(text, charset) => {
                let units: usize = text.chars().map(char::len_utf16).sum();
                MultiByte(utf_8(read_multi_byte(socket, units * bytes_per_unit(charset), charset)?), charset)
            }
            Bytes(bytes) => {
                let mut room = vec![0; bytes.len()];
                match socket.read_bytes(&mut room) {
                    SS_OK => Bytes(room),
                    status => return Err(status),
                }
            }
        })
    }
}

/// Of the charsets whose texts have a length that is easily told; random texts are sent in these.
fn bytes_per_unit(charset: &CStr) -> usize {
    match charset.to_str() {
        Ok("unicode" | "unicodeFFFE") => 2,
        Ok("windows-1251") => 1,
        other => panic!("{other:?}"),
    }
}

fn utf_8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

fn write_utf(socket: Socket, text: &str) -> ss_status {
    unsafe { ss_socket_write_utf(socket.0, c(text).as_ptr()) }
}

fn write_utf_bytes(socket: Socket, text: &str) -> ss_status {
    unsafe { ss_socket_write_utf_bytes(socket.0, c(text).as_ptr()) }
}

fn write_multi_byte(socket: Socket, text: &str, charset: &CStr) -> ss_status {
    unsafe { ss_socket_write_multi_byte(socket.0, c(text).as_ptr(), charset.as_ptr()) }
}

/// One of the functions that read a number: its result, which a failure must not have touched.
#[track_caller]
fn read<T>(
    socket: Socket,
    function: unsafe extern "C" fn(*mut ss_socket, *mut T) -> ss_status,
) -> Result<T, ss_status> {
    const UNTOUCHED: u8 = 0xa5;
    // Bytes, and not a T, until it is written: the pattern is no valid bool.
    let mut room = std::mem::MaybeUninit::<T>::uninit();
    unsafe { room.as_mut_ptr().cast::<u8>().write_bytes(UNTOUCHED, size_of::<T>()) };
    match unsafe { function(socket.0, room.as_mut_ptr()) } {
        SS_OK => Ok(unsafe { room.assume_init() }),
        status => {
            let bytes = unsafe { std::slice::from_raw_parts(room.as_ptr().cast::<u8>(), size_of::<T>()) };
            assert!(bytes.iter().all(|byte| *byte == UNTOUCHED), "a result was written along with {status:?}");
            Err(status)
        }
    }
}

/// One of the functions that read a text, but for its last three parameters.
type Reader<'a> = &'a dyn Fn(*mut c_char, usize, *mut usize) -> ss_status;

/// A text by the way a C program goes: it asks for the size, makes room, and reads.
#[track_caller]
fn read_text(socket: Socket, reader: Reader) -> Result<Vec<u8>, ss_status> {
    let before = socket.available();
    let mut length = usize::MAX;
    let status = reader(null_mut(), 0, &mut length);
    assert_eq!(socket.available(), before, "asking for the size consumes nothing");
    if status != SS_ERR_RANGE {
        assert_ne!(status, SS_OK, "there is no room for a NUL");
        assert_eq!(length, usize::MAX, "a result was written along with {status:?}");
        return Err(status);
    }
    fails(status, SS_ERR_RANGE, 2006);
    let mut room = vec![0xa5_u8; length + 1];
    let mut written = usize::MAX;
    ok(reader(room.as_mut_ptr().cast(), room.len(), &mut written));
    assert_eq!(written, length, "the size that was asked for");
    assert_eq!(room.pop(), Some(0));
    Ok(room)
}

#[track_caller]
fn read_utf(socket: Socket) -> Result<Vec<u8>, ss_status> {
    read_text(socket, &|dst, capacity, length| unsafe { ss_socket_read_utf(socket.0, dst, capacity, length) })
}

#[track_caller]
fn read_utf_bytes(socket: Socket, byte_length: usize) -> Result<Vec<u8>, ss_status> {
    read_text(socket, &|dst, capacity, length| unsafe {
        ss_socket_read_utf_bytes(socket.0, byte_length, dst, capacity, length)
    })
}

#[track_caller]
fn read_multi_byte(socket: Socket, byte_length: usize, charset: &CStr) -> Result<Vec<u8>, ss_status> {
    read_text(socket, &|dst, capacity, length| unsafe {
        ss_socket_read_multi_byte(socket.0, byte_length, charset.as_ptr(), dst, capacity, length)
    })
}

fn set_endian(socket: Socket, endian: i32) -> ss_status {
    ss_socket_set_endian(socket.0, endian)
}

/// The bytes of the value, after the other bytes, are `bytes` when it is written, and give the value when they are read.
#[track_caller]
fn travels_as(pair: &Pair, value: &Value, bytes: &[u8]) {
    ok(value.write(*pair.socket));
    assert_eq!(pair.events.receive(&pair.peer, bytes.len()), bytes, "{value:?} written");
    pair.send(bytes);
    pair.pump_until_available(bytes.len());
    assert_eq!(value.read_alike(*pair.socket).as_ref(), Ok(value), "{bytes:02x?} read");
    assert_eq!(pair.socket.available(), 0, "{value:?} took another number of bytes");
}

/// Sends bytes, waits for them, and returns the socket that has them unread.
#[track_caller]
fn holding(pair: &Pair, bytes: &[u8]) -> Socket {
    pair.send(bytes);
    pair.pump_until_available(pair.socket.available() + bytes.len());
    *pair.socket
}

// ---- Numbers --------------------------------------------------------------------------------------------------------

#[test]
fn numbers_have_exactly_these_bytes_in_each_byte_order() {
    let table: [(Value, &[u8]); 36] = [
        (Boolean(false), &[0]),
        (Boolean(true), &[1]),
        (Byte(0), &[0]),
        (Byte(127), &[0x7f]),
        (Byte(-1), &[0xff]),
        (Byte(-128), &[0x80]),
        (UnsignedByte(128), &[0x80]),
        (UnsignedByte(255), &[0xff]),
        (Short(1), &[0, 1]),
        (Short(-2), &[0xff, 0xfe]),
        (Short(0x1234), &[0x12, 0x34]),
        (Short(i16::MIN), &[0x80, 0]),
        (Short(i16::MAX), &[0x7f, 0xff]),
        (UnsignedShort(0xfffe), &[0xff, 0xfe]),
        (UnsignedShort(0x8001), &[0x80, 1]),
        (Int(1), &[0, 0, 0, 1]),
        (Int(-2), &[0xff, 0xff, 0xff, 0xfe]),
        (Int(0x1234_5678), &[0x12, 0x34, 0x56, 0x78]),
        (Int(i32::MIN), &[0x80, 0, 0, 0]),
        (Int(i32::MAX), &[0x7f, 0xff, 0xff, 0xff]),
        (UnsignedInt(0xdead_beef), &[0xde, 0xad, 0xbe, 0xef]),
        (UnsignedInt(u32::MAX), &[0xff; 4]),
        (Float(0.0), &[0; 4]),
        (Float(-0.0), &[0x80, 0, 0, 0]),
        (Float(1.5), &[0x3f, 0xc0, 0, 0]),
        (Float(-2.5e-39), &[0x80, 0x1b, 0x38, 0xfc]),
        (Float(f32::MAX), &[0x7f, 0x7f, 0xff, 0xff]),
        (Float(f32::NEG_INFINITY), &[0xff, 0x80, 0, 0]),
        (Float(f32::from_bits(0x7fc0_1234)), &[0x7f, 0xc0, 0x12, 0x34]),
        (Double(0.0), &[0; 8]),
        (Double(-0.0), &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        (Double(std::f64::consts::PI), &[0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18]),
        (Double(-1e300), &[0xfe, 0x37, 0xe4, 0x3c, 0x88, 0x00, 0x75, 0x9c]),
        (Double(5e-324), &[0, 0, 0, 0, 0, 0, 0, 1]),
        (Double(f64::INFINITY), &[0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
        (Double(f64::from_bits(0xfff8_0000_0000_abcd)), &[0xff, 0xf8, 0, 0, 0, 0, 0xab, 0xcd]),
    ];
    let pair = Pair::new();
    for (value, big) in table {
        let little: Vec<u8> = big.iter().rev().copied().collect();
        ok(set_endian(*pair.socket, SS_BIG_ENDIAN));
        travels_as(&pair, &value, big);
        ok(set_endian(*pair.socket, SS_LITTLE_ENDIAN));
        travels_as(&pair, &value, &little);
    }
}

#[test]
fn a_byte_and_a_short_are_written_by_their_low_bits() {
    let pair = Pair::new();
    for value in [0x1ff, -1, i32::MIN | 0x7f, i32::MAX] {
        ok(ss_socket_write_byte(pair.socket.0.0, value));
    }
    assert_eq!(pair.events.receive(&pair.peer, 4), [0xff, 0xff, 0x7f, 0xff]);
    for value in [0x12345, -2, i32::MIN | 1] {
        ok(ss_socket_write_short(pair.socket.0.0, value));
    }
    assert_eq!(pair.events.receive(&pair.peer, 6), [0x23, 0x45, 0xff, 0xfe, 0, 1]);
}

#[test]
fn every_byte_but_zero_reads_as_true() {
    let pair = Pair::new();
    let bytes: Vec<u8> = (0..=255).collect();
    let socket = holding(&pair, &bytes);
    for byte in bytes {
        assert_eq!(read(socket, ss_socket_read_boolean), Ok(byte != 0), "{byte}");
    }
}

#[test]
fn a_result_that_nobody_wants_is_consumed_all_the_same() {
    let pair = Pair::new();
    let socket = holding(&pair, b"\x01\x02\x03\x04\x05\x06\0\x02hi!");
    ok(unsafe { ss_socket_read_int(socket.0, null_mut()) });
    ok(unsafe { ss_socket_read_boolean(socket.0, null_mut()) });
    assert_eq!(read(socket, ss_socket_read_byte), Ok(6));
    let mut room = [0_u8; 3];
    ok(unsafe { ss_socket_read_utf(socket.0, room.as_mut_ptr().cast(), room.len(), null_mut()) });
    assert_eq!(&room, b"hi\0");
    assert_eq!(socket.read_all(), b"!");
}

// ---- Endian ---------------------------------------------------------------------------------------------------------

#[test]
fn a_socket_is_big_endian_until_it_is_told_otherwise() {
    let events = Loop::new();
    let socket = Socket(ss_socket_new(events.0));
    assert_eq!((SS_BIG_ENDIAN, SS_LITTLE_ENDIAN), (0, 1));
    assert_eq!(ss_socket_endian(socket.0), SS_BIG_ENDIAN);
    ok(set_endian(socket, SS_LITTLE_ENDIAN));
    assert_eq!(ss_socket_endian(socket.0), SS_LITTLE_ENDIAN);
    ok(set_endian(socket, SS_BIG_ENDIAN));
    assert_eq!(ss_socket_endian(socket.0), SS_BIG_ENDIAN);
    assert_eq!(ss_socket_endian(Pair::new().socket.0.0), SS_BIG_ENDIAN);
}

#[test]
fn another_value_than_the_two_byte_orders_is_an_argument_error() {
    let pair = Pair::new();
    ok(set_endian(*pair.socket, SS_LITTLE_ENDIAN));
    for endian in [-1, 2, 256, i32::MIN, i32::MAX] {
        let status = set_endian(*pair.socket, endian);
        assert_eq!((status, last_error().id), (SS_ERR_ARGUMENT, 2008));
        assert_eq!(last_error().text, "Parameter endian must be one of the accepted values.");
        assert_eq!(ss_socket_endian(pair.socket.0.0), SS_LITTLE_ENDIAN);
    }
}

#[test]
fn the_byte_order_counts_at_the_moment_of_the_read_and_of_the_write() {
    let pair = Pair::new();
    // It is changed after the bytes have come, and before the written ones have left.
    let socket = holding(&pair, &[1, 2, 1, 2, 1, 2]);
    assert_eq!(read(socket, ss_socket_read_short), Ok(0x0102));
    ok(ss_socket_write_short(socket.0, 0x0304));
    ok(set_endian(socket, SS_LITTLE_ENDIAN));
    assert_eq!(read(socket, ss_socket_read_short), Ok(0x0201));
    ok(ss_socket_write_short(socket.0, 0x0304));
    ok(set_endian(socket, SS_BIG_ENDIAN));
    assert_eq!(read(socket, ss_socket_read_short), Ok(0x0102));
    assert_eq!(pair.events.receive(&pair.peer, 4), [3, 4, 4, 3]);
}

#[test]
fn the_byte_order_outlasts_the_connection() {
    let (events, server, accepted) = serving();
    let socket = Socket(ss_socket_new(events.0));
    ok(set_endian(socket, SS_LITTLE_ENDIAN));
    for round in 1..=3 {
        ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), server.port().into()) });
        events.pump_until(|| socket.connected() && accepted.len() == round);
        assert_eq!(ss_socket_endian(socket.0), SS_LITTLE_ENDIAN);
        ok(ss_socket_write_short(socket.0, 1));
        events.pump_until(|| accepted.last().available() == 2);
        assert_eq!(accepted.last().read_all(), [1, 0]);
        // Ended by either side, in turns.
        match round % 2 {
            0 => ok(socket.close()),
            _ => ok(accepted.last().close()),
        }
        events.pump_until(|| !socket.connected());
    }
    ok(release(socket.0));
}

// ---- Sockets that cannot be read or written -------------------------------------------------------------------------

type Attempt = Box<dyn Fn(Socket) -> ss_status>;

/// Every typed read, as an attempt, and with how many bytes it needs at least.
fn every_read() -> Vec<(Attempt, usize, &'static str)> {
    fn number<T: 'static>(function: unsafe extern "C" fn(*mut ss_socket, *mut T) -> ss_status) -> Attempt {
        Box::new(move |socket| read(socket, function).err().unwrap_or(SS_OK))
    }
    fn text(function: impl Fn(Socket) -> Result<Vec<u8>, ss_status> + 'static) -> Attempt {
        Box::new(move |socket| function(socket).err().unwrap_or(SS_OK))
    }
    vec![
        (number(ss_socket_read_boolean), 1, "boolean"),
        (number(ss_socket_read_byte), 1, "byte"),
        (number(ss_socket_read_unsigned_byte), 1, "unsigned byte"),
        (number(ss_socket_read_short), 2, "short"),
        (number(ss_socket_read_unsigned_short), 2, "unsigned short"),
        (number(ss_socket_read_int), 4, "int"),
        (number(ss_socket_read_unsigned_int), 4, "unsigned int"),
        (number(ss_socket_read_float), 4, "float"),
        (number(ss_socket_read_double), 8, "double"),
        (text(read_utf), 2, "UTF"),
        (text(|socket| read_utf_bytes(socket, 3)), 3, "UTF bytes"),
        (text(|socket| read_multi_byte(socket, 5, c"shift_jis")), 5, "multi-byte"),
        (text(|socket| read_multi_byte(socket, 4, c"unicode")), 4, "multi-byte in UTF-16"),
    ]
}

fn every_write() -> Vec<Value> {
    vec![
        Boolean(true),
        Byte(1),
        Short(1),
        Int(1),
        UnsignedInt(1),
        Float(1.0),
        Double(1.0),
        Utf("x".into()),
        Utf(String::new()),
        UtfBytes("x".into()),
        UtfBytes(String::new()),
        MultiByte("x".into(), c"windows-1251"),
        MultiByte(String::new(), c"windows-1251"),
    ]
}

/// There is no connection and nothing unread: each read and write says so.
#[track_caller]
fn refuses_everything(socket: Socket) {
    for (read, _, name) in every_read() {
        assert_eq!(read(socket), SS_ERR_IO, "{name}");
        fails(SS_ERR_IO, SS_ERR_IO, 2002);
    }
    for byte_length in [0, usize::MAX] {
        assert_eq!(read_utf_bytes(socket, byte_length), Err(SS_ERR_IO));
        assert_eq!(read_multi_byte(socket, byte_length, c"utf-8"), Err(SS_ERR_IO));
    }
    for value in every_write() {
        fails(value.write(socket), SS_ERR_IO, 2002);
    }
    fails(write_utf(socket, &"x".repeat(70_000)), SS_ERR_IO, 2002);
}

#[test]
fn a_socket_that_was_never_connected_cannot_be_read_or_written() {
    let events = Loop::new();
    let socket = Socket(ss_socket_new(events.0));
    refuses_everything(socket);
    ok(release(socket.0));
}

#[test]
fn a_socket_that_is_still_connecting_cannot_be_read_or_written() {
    let (events, server) = listening();
    let socket = Socket(ss_socket_new(events.0));
    ok(unsafe { ss_socket_connect(socket.0, c"127.0.0.1".as_ptr(), server.port().into()) });
    refuses_everything(socket);
    events.pump_until(|| socket.connected());
    ok(ss_socket_write_byte(socket.0, 1));
    ok(release(socket.0));
}

#[test]
fn a_closed_socket_cannot_be_read_or_written_whatever_was_unread() {
    let pair = Pair::new();
    let socket = holding(&pair, b"left unread");
    ok(socket.close());
    refuses_everything(socket);
}

#[test]
fn an_aborted_socket_cannot_be_read_or_written() {
    let pair = Pair::new();
    let socket = holding(&pair, b"left unread");
    ok(socket.abort());
    refuses_everything(socket);
}

#[test]
fn what_a_peer_sent_before_it_closed_can_be_read_to_its_end_and_nothing_written() {
    let pair = Pair::new();
    let Pair { socket, log, events, .. } = &pair;
    let socket = **socket;
    pair.send(b"\x01\x02\0\x02hi\x03\x04\x05");
    pair.send_fin();
    events.pump_until(|| log.contains("close"));
    assert!(!socket.connected());
    assert_eq!(read(socket, ss_socket_read_short), Ok(0x0102));
    for value in every_write() {
        fails(value.write(socket), SS_ERR_IO, 2002);
    }
    assert_eq!(read_utf(socket), Ok(b"hi".to_vec()));
    // Some is left, but too little: that is the end of the file, and not an invalid socket.
    fails(read(socket, ss_socket_read_int).expect_err("3 bytes"), SS_ERR_EOF, 2030);
    assert_eq!(socket.available(), 3);
    assert_eq!(read(socket, ss_socket_read_byte), Ok(3));
    assert_eq!(read(socket, ss_socket_read_short), Ok(0x0405));
    refuses_everything(socket);
}

#[test]
fn a_close_listener_can_read_what_is_left() {
    let pair = Pair::new();
    let values = Log::default();
    on(*pair.socket, CLOSE, {
        let values = values.clone();
        move |event| {
            let socket = Socket(event.target().cast());
            values.add(format!("{:?}", read(socket, ss_socket_read_short)));
            values.add(format!("{:?}", read(socket, ss_socket_read_short)));
        }
    });
    pair.send(&[0, 7]);
    pair.send_fin();
    pair.events.pump_until(|| values.len() == 2);
    assert_eq!(values.take(), ["Ok(7)", "Err(SS_ERR_IO)"]);
}

// ---- Too few bytes --------------------------------------------------------------------------------------------------

#[test]
fn a_read_with_too_few_bytes_is_an_eof_error_and_consumes_nothing() {
    let pair = Pair::new();
    let socket = *pair.socket;
    for (read, needs, name) in every_read() {
        for there in 0..needs {
            assert_eq!(socket.available(), there);
            assert_eq!(read(socket), SS_ERR_EOF, "{name} with {there} bytes");
            fails(SS_ERR_EOF, SS_ERR_EOF, 2030);
            assert_eq!(socket.available(), there, "{name}");
            // A zero: readUTF has a prefix of 0 when it is complete.
            holding(&pair, &[0]);
        }
        assert_eq!(read(socket), SS_OK, "{name}");
        assert_eq!(socket.available(), 0, "{name}");
    }
}

#[test]
fn a_text_whose_length_has_come_and_not_all_of_its_bytes_stays_whole() {
    for (endian, prefix) in [(SS_BIG_ENDIAN, [0, 5]), (SS_LITTLE_ENDIAN, [5, 0])] {
        let pair = Pair::new();
        let socket = *pair.socket;
        ok(set_endian(socket, endian));
        for (index, byte) in prefix.iter().chain(b"hello").enumerate() {
            assert_eq!(read_utf(socket), Err(SS_ERR_EOF));
            fails(SS_ERR_EOF, SS_ERR_EOF, 2030);
            assert_eq!(socket.peek(), [&prefix[..], b"hello"].concat()[..index]);
            holding(&pair, &[*byte]);
        }
        assert_eq!(read_utf(socket), Ok(b"hello".to_vec()));
        assert_eq!(socket.available(), 0);
    }
}

#[test]
fn a_length_that_can_never_come_is_a_range_error() {
    let pair = Pair::new();
    let socket = holding(&pair, b"some");
    let limit = 16 << 20;
    for byte_length in [5, limit] {
        assert_eq!(read_utf_bytes(socket, byte_length), Err(SS_ERR_EOF), "{byte_length}");
        assert_eq!(read_multi_byte(socket, byte_length, c"unicode"), Err(SS_ERR_EOF), "{byte_length}");
    }
    for byte_length in [limit + 1, 1 << 31, isize::MAX as usize, usize::MAX] {
        let mut length = 7;
        let status = unsafe { ss_socket_read_utf_bytes(socket.0, byte_length, null_mut(), 0, &mut length) };
        fails(status, SS_ERR_RANGE, 2006);
        assert_eq!(length, 7, "no size would do");
        assert!(text(ss_last_error_detail()).is_some_and(|detail| detail.contains("SS_OPT_READ_LIMIT")));
    }
    assert_eq!(socket.read_all(), b"some");
}

#[test]
fn an_eof_error_is_no_end_the_value_is_read_when_the_rest_has_come() {
    let pair = Pair::new();
    let values = Log::default();
    on(*pair.socket, SOCKET_DATA, {
        let values = values.clone();
        move |event| {
            let socket = Socket(event.target().cast());
            while let Ok(value) = read(socket, ss_socket_read_int) {
                values.add(value);
            }
        }
    });
    for (sent, byte) in (0..8).zip([0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]) {
        pair.send(&[byte]);
        pair.events.pump_until(|| {
            pair.socket.available() == (sent + 1) % 4 && values.len() == usize::from(sent >= 3) + usize::from(sent >= 7)
        });
    }
    assert_eq!(values.take(), ["256", "-1"]);
}

// ---- Room for a text ------------------------------------------------------------------------------------------------

type TextRead = Box<dyn Fn(Socket, *mut c_char, usize, *mut usize) -> ss_status>;

/// The three ways to read the text `hello` when `bytes` are there, and how they are told how long it is.
fn hellos() -> [(&'static [u8], TextRead); 3] {
    [
        (
            b"\0\x05hello",
            Box::new(|s, dst, capacity, length| unsafe { ss_socket_read_utf(s.0, dst, capacity, length) }),
        ),
        (
            b"hello",
            Box::new(|s, dst, capacity, length| unsafe { ss_socket_read_utf_bytes(s.0, 5, dst, capacity, length) }),
        ),
        (
            b"\0h\0e\0l\0l\0o",
            Box::new(|s, dst, capacity, length| unsafe {
                ss_socket_read_multi_byte(s.0, 10, c"unicodeFFFE".as_ptr(), dst, capacity, length)
            }),
        ),
    ]
}

#[test]
fn too_little_room_is_a_range_error_that_tells_the_size_and_consumes_nothing() {
    for (bytes, read) in hellos() {
        let pair = Pair::new();
        let socket = holding(&pair, bytes);
        let mut room = [0xa5_u8; 16];
        let dst = room.as_mut_ptr().cast::<c_char>();
        for capacity in 0..=5 {
            let mut length = usize::MAX;
            fails(read(socket, dst, capacity, &mut length), SS_ERR_RANGE, 2006);
            assert_eq!(length, 5);
            fails(read(socket, dst, capacity, null_mut()), SS_ERR_RANGE, 2006);
        }
        let mut length = usize::MAX;
        fails(read(socket, null_mut(), 0, &mut length), SS_ERR_RANGE, 2006);
        assert_eq!(length, 5);
        assert_eq!(room, [0xa5; 16], "nothing was written");
        assert_eq!(socket.peek(), bytes);

        ok(read(socket, dst, 6, &mut length));
        assert_eq!(length, 5);
        assert_eq!(room[..6], *b"hello\0");
        assert_eq!(room[6..], [0xa5; 10], "what lies behind the NUL is the caller's");
        assert_eq!(socket.available(), 0);
    }
}

#[test]
fn more_room_than_a_text_needs_is_left_alone() {
    for (bytes, read) in hellos() {
        let pair = Pair::new();
        let socket = holding(&pair, bytes);
        let mut room = [0xa5_u8; 16];
        let mut length = 0;
        // A caller who knows that there is room enough may say so with any number.
        ok(read(socket, room.as_mut_ptr().cast(), usize::MAX, &mut length));
        assert_eq!((length, &room[..7]), (5, &b"hello\0\xa5"[..]));
    }
}

#[test]
fn room_that_is_not_there_is_a_type_error() {
    for (bytes, read) in hellos() {
        let pair = Pair::new();
        let socket = holding(&pair, bytes);
        let mut length = usize::MAX;
        let status = read(socket, null_mut(), 6, &mut length);
        assert_eq!((status, last_error().id), (SS_ERR_TYPE, 2007));
        assert_eq!(last_error().text, "Parameter dst must be non-null.");
        assert_eq!(length, usize::MAX);
        assert_eq!(socket.peek(), bytes);
    }
}

#[test]
fn an_empty_text_needs_room_for_its_nul() {
    let pair = Pair::new();
    let socket = holding(&pair, &[0, 0, 0, 0, b'!']);
    assert_eq!(read_utf(socket), Ok(vec![]));
    assert_eq!(read_utf(socket), Ok(vec![]));
    assert_eq!(read_utf_bytes(socket, 0), Ok(vec![]));
    assert_eq!(read_multi_byte(socket, 0, c"big5"), Ok(vec![]));
    assert_eq!(socket.read_all(), b"!");
    // Also with nothing unread: it does not need any.
    assert_eq!(read_utf_bytes(socket, 0), Ok(vec![]));
}

#[test]
fn a_text_may_be_read_onto_the_bytes_that_were_peeked_at() {
    let pair = Pair::new();
    let socket = holding(&pair, b"\0\x05hello--");
    let mut length = 0;
    let peeked = unsafe { ss_socket_peek(socket.0, &mut length) }.cast_mut();
    ok(unsafe { ss_socket_read_utf(socket.0, peeked.cast(), 7, &mut length) });
    let text = unsafe { CStr::from_ptr(peeked.cast()) };
    assert_eq!((text, length), (c"hello", 5));
    assert_eq!(socket.available(), 2);
}

// ---- Text as Flash has it -------------------------------------------------------------------------------------------

#[test]
fn texts_have_exactly_these_bytes() {
    let pair = Pair::new();
    travels_as(&pair, &Utf("Grüße".into()), b"\0\x07Gr\xc3\xbc\xc3\x9fe");
    travels_as(&pair, &UtfBytes("Grüße".into()), b"Gr\xc3\xbc\xc3\x9fe");
    travels_as(&pair, &Utf("🦀".into()), b"\0\x04\xf0\x9f\xa6\x80");
    travels_as(&pair, &Utf(String::new()), b"\0\0");
    ok(set_endian(*pair.socket, SS_LITTLE_ENDIAN));
    travels_as(&pair, &Utf("Grüße".into()), b"\x07\0Gr\xc3\xbc\xc3\x9fe");
    travels_as(&pair, &UtfBytes("Grüße".into()), b"Gr\xc3\xbc\xc3\x9fe");
    // The order of the bytes is in the charset's name, and not the socket's.
    travels_as(&pair, &MultiByte("aß".into(), c"unicodeFFFE"), b"\0a\0\xdf");
}

#[test]
fn a_byte_order_mark_at_the_front_of_a_text_is_not_part_of_it() {
    let pair = Pair::new();
    let socket = holding(&pair, b"\0\x05\xef\xbb\xbfab\xef\xbb\xbfab\xef\xbb\xbfab");
    assert_eq!(read_utf(socket), Ok(b"ab".to_vec()));
    assert_eq!(read_utf_bytes(socket, 5), Ok(b"ab".to_vec()));
    assert_eq!(read_multi_byte(socket, 5, c"utf-8"), Ok(b"ab".to_vec()));
    let socket = holding(&pair, b"\xff\xfea\0\xfe\xff\0a");
    assert_eq!(read_multi_byte(socket, 4, c"unicode"), Ok(b"a".to_vec()));
    assert_eq!(read_multi_byte(socket, 4, c"unicodeFFFE"), Ok(b"a".to_vec()));
    // One mark, at the front; and not a part of one.
    let socket = holding(&pair, b"\xef\xbb\xbf\xef\xbb\xbfx\xef\xbb\xbf\xef\xbb");
    assert_eq!(read_utf_bytes(socket, 10), Ok("\u{feff}x\u{feff}".into()));
    assert_eq!(read_utf_bytes(socket, 2), Ok(b"\xef\xbb".to_vec()));
}

#[test]
fn the_first_nul_ends_a_text_and_the_bytes_behind_it_are_consumed_with_it() {
    let pair = Pair::new();
    let socket = holding(&pair, b"\0\x05ab\0cdab\0cdab\0cd\0\0\0\0a\0\0\0b\0!");
    assert_eq!(read_utf(socket), Ok(b"ab".to_vec()));
    assert_eq!(read_utf_bytes(socket, 5), Ok(b"ab".to_vec()));
    assert_eq!(read_multi_byte(socket, 5, c"iso-8859-1"), Ok(b"ab".to_vec()));
    assert_eq!(read_utf_bytes(socket, 4), Ok(vec![]));
    // A zero byte is not a NUL yet where characters have two.
    assert_eq!(read_multi_byte(socket, 6, c"unicode"), Ok(b"a".to_vec()));
    assert_eq!(socket.read_all(), b"!");
}

#[test]
fn a_text_that_is_not_utf_8_is_handed_out_as_it_came() {
    let pair = Pair::new();
    let bytes = b"a\xff\xc3(\xed\xa0\x80\xf8";
    let socket = holding(&pair, &[b"\0\x08", &bytes[..], bytes].concat());
    assert_eq!(read_utf(socket), Ok(bytes.to_vec()));
    assert_eq!(read_utf_bytes(socket, 8), Ok(bytes.to_vec()));
    ok(unsafe { ss_socket_write_utf(socket.0, c"\xff\xc3".as_ptr()) });
    ok(unsafe { ss_socket_write_utf_bytes(socket.0, c"\xed\xa0".as_ptr()) });
    assert_eq!(pair.events.receive(&pair.peer, 6), b"\0\x02\xff\xc3\xed\xa0");
}

#[test]
fn a_text_of_65535_bytes_is_the_longest_with_a_length() {
    let pair = Pair::new();
    let longest = "x".repeat(65_535);
    let too_long = "x".repeat(65_536);
    fails(write_utf(*pair.socket, &too_long), SS_ERR_RANGE, 2006);
    assert_eq!(pair.socket.pending(), 0, "nothing was written");
    ok(write_utf(*pair.socket, &longest));
    fails(write_utf(*pair.socket, &too_long), SS_ERR_RANGE, 2006);
    ok(write_utf_bytes(*pair.socket, &too_long));
    let sent = pair.events.receive(&pair.peer, 2 + 65_535 + 65_536);
    assert_same_bytes(&sent, &[b"\xff\xff", longest.as_bytes(), too_long.as_bytes()].concat());

    let socket = *pair.socket;
    let sender = std::thread::spawn({
        let (mut peer, sent) = (pair.peer.try_clone().expect("a clone"), sent.clone());
        move || std::io::Write::write_all(&mut peer, &sent).expect("the peer can write")
    });
    pair.pump_until_available(sent.len());
    pair.events.join(sender);
    assert_same_bytes(&read_utf(socket).expect("all is there"), longest.as_bytes());
    assert_same_bytes(&read_utf_bytes(socket, 65_536).expect("all is there"), too_long.as_bytes());
}

#[test]
fn a_text_that_is_null_is_a_type_error_and_writes_nothing() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    let attempts = [
        unsafe { ss_socket_write_utf(socket, null()) },
        unsafe { ss_socket_write_utf_bytes(socket, null()) },
        unsafe { ss_socket_write_multi_byte(socket, null(), c"big5".as_ptr()) },
        unsafe { ss_socket_write_multi_byte(socket, null(), null()) },
    ];
    for status in attempts {
        assert_eq!((status, last_error().id), (SS_ERR_TYPE, 2007));
        assert_eq!(last_error().text, "Parameter text must be non-null.");
    }
    assert_eq!(pair.socket.pending(), 0);
}

#[test]
fn writing_an_empty_text_writes_nothing_but_its_length_if_it_has_one() {
    let pair = Pair::new();
    let progress = shared::<usize>();
    on(*pair.socket, OUTPUT_PROGRESS, {
        let progress = progress.clone();
        move |_| increment(&progress)
    });
    ok(write_utf_bytes(*pair.socket, ""));
    ok(write_multi_byte(*pair.socket, "", c"unicode"));
    assert_eq!(pair.socket.pending(), 0);
    pair.events.settle();
    assert_eq!(progress.get(), 0);
    ok(write_utf(*pair.socket, ""));
    assert_eq!(pair.events.receive(&pair.peer, 2), [0, 0]);
}

// ---- The write limit ------------------------------------------------------------------------------------------------

#[test]
fn a_write_beyond_the_limit_is_refused_whole() {
    let pair = Pair::new();
    let socket = *pair.socket;
    ok(ss_set_option(socket.object(), SS_OPT_WRITE_LIMIT, 10));
    // What is written outside of a listener stays until the next turn.
    ok(ss_socket_write_double(socket.0, 0.0));
    let refused = |value: Value| {
        assert_eq!(value.write(socket), SS_ERR_FULL, "{value:?}");
        assert_eq!(last_error().id, 0);
    };
    refused(Int(1));
    refused(UnsignedInt(1));
    refused(Float(1.0));
    refused(Double(1.0));
    refused(Utf("x".into()));
    refused(UtfBytes("xyz".into()));
    // Three characters, which would fit, but twice as many bytes.
    refused(MultiByte("xyz".into(), c"unicode"));
    assert_eq!(socket.pending(), 8);
    ok(Utf(String::new()).write(socket));
    assert_eq!(socket.pending(), 10);
    refused(Boolean(true));
    refused(Byte(1));
    refused(Short(1));
    ok(UtfBytes(String::new()).write(socket));
    assert_eq!(pair.events.receive(&pair.peer, 10), [0; 10]);
    // There is room again, and nothing of what was refused got in between.
    ok(ss_socket_write_double(socket.0, 1.0));
    assert_eq!(pair.events.receive(&pair.peer, 8), 1_f64.to_be_bytes());
}

// ---- Charsets -------------------------------------------------------------------------------------------------------

/// Names of AIR's for a charset, a text that it has, and that text's bytes in it. From "Supported character sets" in
/// Adobe's reference; the bytes are what Python's codecs make of the texts.
const CHARSETS: &[(&[&CStr], &str, &[u8])] = &[
    (&[c"utf-8", c"UTF-8", c"utf8", c"unicode-1-1-utf-8"], "Grüße 🦀", "Grüße 🦀".as_bytes()),
    (&[c"unicode", c"utf-16", c"UTF-16LE"], "aß🦀", b"a\0\xdf\0\x3e\xd8\x80\xdd"),
    (&[c"unicodeFFFE", c"utf-16be"], "aß🦀", b"\0a\0\xdf\xd8\x3e\xdd\x80"),
    (
        &[c"us-ascii", c"ascii", c"ANSI_X3.4-1968", c"ANSI_X3.4-1986", c"cp367", c"csASCII", c"IBM367"],
        "plain ~",
        b"plain ~",
    ),
    (&[c"ISO_646.irv:1991", c"ISO646-US", c"iso-ir-6us"], "plain ~", b"plain ~"),
    (
        &[c"iso-8859-1", c"cp819", c"csISOLatin1", c"ibm819", c"iso_8859-1", c"iso_8859-1:1987", c"iso8859-1"],
        "café \u{80}\u{9f}ÿ",
        b"caf\xe9 \x80\x9f\xff",
    ),
    (&[c"iso-ir-100", c"l1", c"latin1", c"Latin1", c" ISO-8859-1 "], "\u{85}é", b"\x85\xe9"),
    (&[c"windows-1252", c"Windows-1252", c"x-ansi", c"cp1252"], "€ café", b"\x80 caf\xe9"),
    (&[c"iso-8859-2", c"csISOLatin2", c"iso_8859-2:1987", c"iso-ir-101", c"l2", c"latin2"], "łódź", b"\xb3\xf3d\xbc"),
    (&[c"iso-8859-3", c"csISOLatin3", c"latin3", c"l3"], "ĉĝ", b"\xe6\xf8"),
    (&[c"iso-8859-4", c"csISOLatin4", c"latin4", c"l4"], "ēģ", b"\xba\xbb"),
    (&[c"iso-8859-5", c"csISOLatinCyrillic", c"cyrillic"], "Привет", b"\xbf\xe0\xd8\xd2\xd5\xe2"),
    (&[c"iso-8859-6", c"arabic", c"csISOLatinArabic", c"ECMA-114", c"ASMO-708"], "سلام", b"\xd3\xe4\xc7\xe5"),
    (&[c"iso-8859-7", c"csISOLatinGreek", c"ECMA-118", c"ELOT_928", c"greek", c"greek8"], "γειά", b"\xe3\xe5\xe9\xdc"),
    (
        &[c"iso-8859-8", c"csISOLatinHebrew", c"hebrew", c"visual", c"iso-8859-8-i", c"logical"],
        "שלום",
        b"\xf9\xec\xe5\xed",
    ),
    (&[c"iso-8859-9", c"ISO_8859-9:1989", c"latin5", c"l5", c"windows-1254"], "Şığ", b"\xde\xfd\xf0"),
    (&[c"iso-8859-15", c"csISOLatin9", c"ISO_8859-15", c"l9"], "€ŒŽ", b"\xa4\xbc\xb4"),
    (&[c"windows-1250", c"x-cp1250"], "Žluťoučký", b"\x8elu\x9dou\xe8k\xfd"),
    (&[c"windows-1251", c"x-cp1251"], "Привет", b"\xcf\xf0\xe8\xe2\xe5\xf2"),
    (&[c"windows-1253"], "γειά", b"\xe3\xe5\xe9\xdc"),
    (&[c"windows-1255"], "שלום", b"\xf9\xec\xe5\xed"),
    (&[c"windows-1256", c"cp1256"], "سلام", b"\xd3\xe1\xc7\xe3"),
    (&[c"windows-1257"], "Žąsis", b"\xde\xe0sis"),
    (&[c"windows-1258"], "Đăng", b"\xd0\xe3ng"),
    (&[c"windows-874", c"DOS-874", c"iso-8859-11", c"TIS-620"], "ไทย", b"\xe4\xb7\xc2"),
    (&[c"koi8-r", c"csKOI8R", c"koi", c"koi8", c"koi8r"], "Привет", b"\xf0\xd2\xc9\xd7\xc5\xd4"),
    (&[c"koi8-u", c"koi8-ru"], "їжак", b"\xa7\xd6\xc1\xcb"),
    (&[c"cp866", c"ibm866"], "Привет", b"\x8f\xe0\xa8\xa2\xa5\xe2"),
    (&[c"macintosh"], "café", b"caf\x8e"),
    (&[c"x-mac-cyrillic"], "Привет", b"\x8f\xf0\xe8\xe2\xe5\xf2"),
    (
        &[c"gb2312", c"chinese", c"CN-GB", c"csGB2312", c"csGB231280", c"csISO58GB231280", c"GB_2312-80", c"GBK"],
        "汉字",
        b"\xba\xba\xd7\xd6",
    ),
    (&[c"GB231280", c"GB2312-80", c"iso-ir-58", c"EUC-CN", c"x-euc-cn"], "汉字", b"\xba\xba\xd7\xd6"),
    (&[c"gb18030"], "汉字🦀", b"\xba\xba\xd7\xd6\x95\x30\xd8\x32"),
    (&[c"big5", c"cn-big5", c"csbig5", c"x-x-big5"], "漢字", b"\xba\x7e\xa6\x72"),
    (
        &[c"shift_jis", c"csShiftJIS", c"csWindows31J", c"ms_Kanji", c"shift-jis", c"x-ms-cp932", c"x-sjis"],
        "日本語ｶﾅ",
        b"\x93\xfa\x96\x7b\x8c\xea\xb6\xc5",
    ),
    (&[c"euc-jp", c"csEUCPkdFmtJapanese", c"x-euc", c"x-euc-jp"], "日本語", b"\xc6\xfc\xcb\xdc\xb8\xec"),
    (&[c"Extended_UNIX_Code_Packed_Format_for_Japanese"], "日本語", b"\xc6\xfc\xcb\xdc\xb8\xec"),
    (&[c"iso-2022-jp", c"csISO2022JP", c"_iso-2022-jp", c"_iso-2022-jp$SIO"], "a日本", b"a\x1b$BF|K\\\x1b(B"),
    (
        &[c"euc-kr", c"csEUCKR", c"ks_c_5601-1987", c"csKSC56011987", c"korean", c"ks_c_5601", c"ks_c_5601_1987"],
        "한글",
        b"\xc7\xd1\xb1\xdb",
    ),
    (&[c"ks_c_5601-1989", c"KSC_5601", c"KSC5601"], "한글", b"\xc7\xd1\xb1\xdb"),
];

#[test]
fn a_text_goes_out_and_comes_in_by_every_name_that_air_has_for_a_charset() {
    let pair = Pair::new();
    let socket = *pair.socket;
    for (names, text, bytes) in CHARSETS {
        for name in *names {
            ok(write_multi_byte(socket, text, name));
            assert_eq!(pair.events.receive(&pair.peer, bytes.len()), *bytes, "{text} written in {name:?}");
            holding(&pair, bytes);
            let read = read_multi_byte(socket, bytes.len(), name).expect("all is there");
            assert_eq!(String::from_utf8(read).as_deref(), Ok(*text), "{bytes:02x?} read in {name:?}");
        }
    }
}

#[test]
fn no_charset_and_one_that_is_not_known_mean_utf_8() {
    let pair = Pair::new();
    let socket = *pair.socket;
    let text = "Grüße";
    for charset in
        [null(), c"".as_ptr(), c" ".as_ptr(), c"no such charset".as_ptr(), c"ibm850".as_ptr(), c"\xff".as_ptr()]
    {
        ok(unsafe { ss_socket_write_multi_byte(socket.0, c(text).as_ptr(), charset) });
        assert_eq!(pair.events.receive(&pair.peer, text.len()), text.as_bytes());
        holding(&pair, text.as_bytes());
        let read = read_text(socket, &|dst, capacity, length| unsafe {
            ss_socket_read_multi_byte(socket.0, text.len(), charset, dst, capacity, length)
        });
        assert_eq!(read, Ok(text.into()));
    }
}

#[test]
fn in_iso_8859_1_each_byte_is_the_character_of_that_number() {
    let pair = Pair::new();
    let bytes: Vec<u8> = (1..=255).collect();
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    ok(write_multi_byte(*pair.socket, &text, c"iso-8859-1"));
    assert_eq!(pair.events.receive(&pair.peer, 255), bytes);
    let socket = holding(&pair, &bytes);
    assert_eq!(read_multi_byte(socket, 255, c"iso-8859-1"), Ok(text.into()));
}

#[test]
fn a_character_that_a_charset_has_not_is_written_as_a_question_mark() {
    let pair = Pair::new();
    let table: [(&str, &CStr, &[u8]); 8] = [
        ("aéb", c"us-ascii", b"a?b"),
        ("aé€b", c"iso-8859-1", b"a\xe9?b"),
        ("a日b本", c"windows-1252", b"a?b?"),
        ("ž日🦀本", c"shift_jis", b"?\x93\xfa?\x96\x7b"),
        ("字€", c"big5", b"\xa6\x72\xa3\xe1"),
        ("🦀字", c"gb2312", b"?\xd7\xd6"),
        ("éПривет", c"koi8-r", b"?\xf0\xd2\xc9\xd7\xc5\xd4"),
        // The '?' must not become half of a character where two bytes make one.
        ("日🦀本", c"iso-2022-jp", b"\x1b$BF|\x1b(B?\x1b$BK\\\x1b(B"),
    ];
    for (text, charset, bytes) in table {
        ok(write_multi_byte(*pair.socket, text, charset));
        assert_eq!(pair.events.receive(&pair.peer, bytes.len()), bytes, "{text} in {charset:?}");
    }
}

#[test]
fn bytes_that_are_no_characters_are_read_as_u_fffd() {
    let pair = Pair::new();
    let table: [(&[u8], &CStr, &str); 8] = [
        (b"a\xffb\xe6\x97", c"utf-8", "a\u{fffd}b\u{fffd}"),
        (b"a\x80\xffb", c"us-ascii", "a\u{fffd}\u{fffd}b"),
        (b"a\x81", c"shift_jis", "a\u{fffd}"),
        (b"\xff\xff", c"euc-kr", "\u{fffd}\u{fffd}"),
        (b"\x81", c"windows-1253", "\u{81}"),
        (b"\xd2", c"windows-1253", "\u{fffd}"),
        (b"a\0\x3e\xd8b\0", c"unicode", "a\u{fffd}b"),
        (b"\0a\0", c"unicodeFFFE", "a\u{fffd}"),
    ];
    for (bytes, charset, text) in table {
        let socket = holding(&pair, bytes);
        let read = read_multi_byte(socket, bytes.len(), charset).expect("all is there");
        assert_eq!(String::from_utf8(read).as_deref(), Ok(text), "{bytes:02x?} in {charset:?}");
    }
}

#[test]
fn a_text_to_convert_that_is_not_utf_8_does_no_harm() {
    let pair = Pair::new();
    let table: [(&CStr, &[u8]); 3] =
        [(c"us-ascii", b"a?b"), (c"windows-1251", b"a?b"), (c"unicode", b"a\0\xfd\xffb\0")];
    for (charset, bytes) in table {
        ok(unsafe { ss_socket_write_multi_byte(pair.socket.0.0, c"a\xffb".as_ptr(), charset.as_ptr()) });
        assert_eq!(pair.events.receive(&pair.peer, bytes.len()), bytes, "{charset:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes in any charset: the result is UTF-8 without a NUL, and exactly these bytes are consumed.
    #[test]
    fn any_bytes_can_be_read_in_any_charset(bytes in prop::collection::vec(any::<u8>(), 0..40), index in any::<prop::sample::Index>()) {
        thread_local!(static PAIR: Pair = Pair::new());
        PAIR.with(|pair| {
            let charset = index.get(CHARSETS).0[0];
            let socket = holding(pair, &[&bytes[..], b"!"].concat());
            let read = read_multi_byte(socket, bytes.len(), charset).expect("all is there");
            prop_assert!(!read.contains(&0) && String::from_utf8(read).is_ok());
            prop_assert_eq!(socket.read_all(), b"!");
            Ok(())
        })?;
    }
}

// ---- Everything together --------------------------------------------------------------------------------------------

/// No NUL, which C's strings cannot have, and no byte order mark at the front, which is not read back.
fn any_text(size: Range<usize>) -> impl Strategy<Value = String> {
    let character = prop_oneof![4 => prop::char::range(' ', '~'), 4 => any::<char>(), 1 => Just('\u{feff}')];
    prop::collection::vec(character.prop_filter("C's strings end there", |c| *c != '\0'), size)
        .prop_map(|characters| characters.into_iter().collect::<String>().trim_start_matches('\u{feff}').to_owned())
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Boolean),
        any::<i8>().prop_map(Byte),
        any::<u8>().prop_map(UnsignedByte),
        any::<i16>().prop_map(Short),
        any::<u16>().prop_map(UnsignedShort),
        any::<i32>().prop_map(Int),
        any::<u32>().prop_map(UnsignedInt),
        any::<u32>().prop_map(|bits| Float(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Double(f64::from_bits(bits))),
        any_text(0..60).prop_map(Utf),
        any_text(200..900).prop_map(Utf),
        any_text(0..60).prop_map(UtfBytes),
        any_text(0..60).prop_map(|text| MultiByte(text, c"unicode")),
        any_text(0..60).prop_map(|text| MultiByte(text, c"unicodeFFFE")),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes),
        "[а-яА-Я a-z]{0,40}".prop_map(|text| MultiByte(text, c"windows-1251")),
    ]
}

/// Values, each with the byte order in which it is written and read.
fn any_conversation() -> impl Strategy<Value = Vec<(i32, Value)>> {
    prop::collection::vec((prop::sample::select(&ENDIANS[..]), any_value()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The peer sends back what was written to it, cut into pieces of any size. The socket tries to read the next value
    /// whenever some bytes have come, so that each is tried with too few of them, too.
    #[test]
    fn whatever_is_written_is_read_back_equal_however_the_stream_is_cut(
        conversation in any_conversation(),
        pieces in prop::collection::vec(1..50_usize, 1..20),
    ) {
        let pair = Pair::new();
        let socket = *pair.socket;
        for (endian, value) in &conversation {
            ok(set_endian(socket, *endian));
            ok(value.write(socket));
        }
        let length = socket.pending();
        let stream = pair.events.receive(&pair.peer, length);

        pair.peer.set_nodelay(true).expect("TCP_NODELAY");
        let mut rest = &stream[..];
        let mut pieces = pieces.into_iter().cycle();
        let mut expected = conversation.iter();
        let mut next = expected.next();
        while let Some((endian, value)) = next {
            ok(set_endian(socket, *endian));
            let before = socket.available();
            match value.read_alike(socket) {
                Ok(read) => {
                    prop_assert_eq!(&read, value);
                    next = expected.next();
                }
                Err(status) => {
                    prop_assert_eq!(status, SS_ERR_EOF);
                    prop_assert_eq!(socket.available(), before);
                    prop_assert!(!rest.is_empty(), "{:?} cannot be read though all has come", value);
                    let (piece, later) = rest.split_at(pieces.next().expect("a cycle").min(rest.len()));
                    holding(&pair, piece);
                    rest = later;
                }
            }
        }
        prop_assert!(rest.is_empty() && socket.available() == 0, "bytes were written that no value is made of");
    }
}

// ---- Python as the peer ---------------------------------------------------------------------------------------------

/// Sends values made by Python's own `struct` and codecs, in both byte orders; then reads what comes and compares it
/// with the same bytes.
const PYTHON_PEER: &str = r#"
import socket, struct, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
message = b""
for order in ">", "<":
    message += struct.pack(order + "?bBhHiIfd", True, -100, 200, -30000, 60000, -2000000000, 4000000000, -1.1, 2.2e-308)
    text = "Größe 🦀".encode("utf-8")
    message += struct.pack(order + "H", len(text)) + text + text
for charset, text in ("shift_jis", "日本語ｶﾅ"), ("gb2312", "汉字"), ("big5", "漢字"), ("euc_kr", "한글"), ("koi8_r", "Привет"), ("cp1251", "Привет"), ("iso8859_2", "łódź"), ("latin1", "caf\xe9\x85"), ("utf_16_le", "ß🦀"), ("utf_16_be", "ß🦀"):
    message += text.encode(charset)
peer.sendall(message)
answer = b""
while len(answer) < len(message):
    answer += peer.recv(65536) or sys.exit("the end after %r" % answer)
sys.exit(None if answer == message else "%r instead of %r" % (answer, message))
"#;

#[test]
fn python_and_a_socket_understand_each_other() {
    if !harness::have_tool("python3") {
        return;
    }
    let (events, server, accepted) = serving();
    let mut python = Command::new("python3")
        .args(["-X", "utf8", "-c", PYTHON_PEER, &server.port().to_string()])
        .spawn()
        .expect("python3 starts");
    events.pump_until(|| accepted.len() == 1);
    let socket = accepted.last();

    let text = "Größe 🦀";
    let numbers = [
        Boolean(true),
        Byte(-100),
        UnsignedByte(200),
        Short(-30_000),
        UnsignedShort(60_000),
        Int(-2_000_000_000),
        UnsignedInt(4_000_000_000),
        Float(-1.1),
        Double(2.2e-308),
        Utf(text.into()),
        UtfBytes(text.into()),
    ];
    // A value with how its reader would know its length, if it has none of its own.
    let texts: [(&str, &CStr, usize); 10] = [
        ("日本語ｶﾅ", c"shift_jis", 8),
        ("汉字", c"gb2312", 4),
        ("漢字", c"big5", 4),
        ("한글", c"euc-kr", 4),
        ("Привет", c"koi8-r", 6),
        ("Привет", c"windows-1251", 6),
        ("łódź", c"iso-8859-2", 4),
        ("café\u{85}", c"iso-8859-1", 5),
        ("ß🦀", c"utf-16", 6),
        ("ß🦀", c"unicodeFFFE", 6),
    ];
    for endian in ENDIANS {
        ok(set_endian(socket, endian));
        for value in &numbers {
            let mut read = Err(SS_ERR_EOF);
            events.pump_until(|| {
                read = value.read_alike(socket);
                read != Err(SS_ERR_EOF)
            });
            assert_eq!(read.as_ref(), Ok(value));
            ok(value.write(socket));
        }
    }
    for (text, charset, length) in texts {
        events.pump_until(|| socket.available() >= length);
        assert_eq!(read_multi_byte(socket, length, charset), Ok(text.into()), "{charset:?}");
        ok(write_multi_byte(socket, text, charset));
    }
    let mut status = None;
    events.pump_until(|| {
        status = python.try_wait().expect("python3 can be waited for");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "python3 says what it missed");
}
