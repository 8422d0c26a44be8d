//! Typed reads and writes: IDataInput and IDataOutput of sockets.

mod support;

use proptest::prelude::*;
use std::ffi::{CStr, CString, c_char};
use std::io::{Read, Write};
use std::ptr::{null, null_mut};
use support::*;

use server_socket::*;

type Handle = *mut ss_socket;

fn read_utf(socket: Handle, capacity: usize) -> (ss_status, usize, Vec<u8>) {
    read_text(capacity, |dst, capacity, length| unsafe { ss_socket_read_utf(socket, dst, capacity, length) })
}

fn read_text(
    capacity: usize,
    read: impl FnOnce(*mut c_char, usize, *mut usize) -> ss_status,
) -> (ss_status, usize, Vec<u8>) {
    let mut room = vec![0xAAu8; capacity];
    let mut length = usize::MAX;
    let dst = if capacity == 0 { null_mut() } else { room.as_mut_ptr().cast() };
    let status = read(dst, capacity, &mut length);
    if status == SS_OK {
        assert_eq!(room[length], 0, "a NUL stands behind the text");
        room.truncate(length);
    }
    (status, length, room)
}

/// A connection whose peer has sent `bytes`, all of them unread.
fn unread(bytes: &[u8]) -> Pair {
    let pair = Pair::new();
    pair.send(bytes);
    pair.pump_until_available(bytes.len());
    pair
}

fn sent(pair: &Pair, length: usize) -> Vec<u8> {
    pair.events.receive(&pair.peer, length)
}

#[test]
fn endian_is_big_at_first_takes_two_values_and_outlasts_the_connection() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    assert_eq!(ss_socket_endian(socket), SS_BIG_ENDIAN);
    ok(ss_socket_set_endian(socket, SS_LITTLE_ENDIAN));
    for wrong in [-1, 2, i32::MAX] {
        assert_eq!(ss_socket_set_endian(socket, wrong), SS_ERR_ARGUMENT);
        let error = last_error();
        assert_eq!((error.id, &*error.text), (2008, "Parameter endian must be one of the accepted values."));
    }
    ok(ss_socket_close(socket));
    assert_eq!(ss_socket_endian(socket), SS_LITTLE_ENDIAN);
}

#[test]
fn each_number_is_written_in_its_width_and_order() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    for (endian, expected) in [
        (
            SS_BIG_ENDIAN,
            &b"\x01\x00\xfe\x12\x34\xff\xfe\x01\x02\x03\x04\xff\xff\xff\xfe\x3f\xc0\x00\x00\xc0\x02\x00\x00\x00\x00\x00\x00"[..],
        ),
        (
            SS_LITTLE_ENDIAN,
            &b"\x01\x00\xfe\x34\x12\xfe\xff\x04\x03\x02\x01\xfe\xff\xff\xff\x00\x00\xc0\x3f\x00\x00\x00\x00\x00\x00\x02\xc0"[..],
        ),
    ] {
        ok(ss_socket_set_endian(socket, endian));
        ok(ss_socket_write_boolean(socket, true));
        ok(ss_socket_write_boolean(socket, false));
        ok(ss_socket_write_byte(socket, 0x12fe)); // the low 8 bits
        ok(ss_socket_write_short(socket, 0x7f1234)); // the low 16 bits
        ok(ss_socket_write_short(socket, -2));
        ok(ss_socket_write_int(socket, 0x01020304));
        ok(ss_socket_write_unsigned_int(socket, u32::MAX - 1));
        ok(ss_socket_write_float(socket, 1.5));
        ok(ss_socket_write_double(socket, -2.25));
        assert_eq!(sent(&pair, expected.len()), expected);
    }
}

#[test]
fn each_number_is_read_in_its_width_and_order() {
    let pair =
        unread(b"\x02\x00\xfe\xfe\xff\xfe\xff\xfe\xff\xff\xff\xfd\xff\xff\xff\xfd\x3f\xc0\x00\x00\xc0\x02\0\0\0\0\0\0");
    let socket = pair.socket.0.0;
    let mut boolean = false;
    ok(unsafe { ss_socket_read_boolean(socket, &mut boolean) });
    assert!(boolean, "anything but 0 is true");
    ok(unsafe { ss_socket_read_boolean(socket, &mut boolean) });
    assert!(!boolean);
    let (mut byte, mut unsigned_byte) = (0, 0);
    ok(unsafe { ss_socket_read_byte(socket, &mut byte) });
    ok(unsafe { ss_socket_read_unsigned_byte(socket, &mut unsigned_byte) });
    assert_eq!((byte, unsigned_byte), (-2, 254));
    let (mut short, mut unsigned_short) = (0, 0);
    ok(unsafe { ss_socket_read_short(socket, &mut short) });
    ok(unsafe { ss_socket_read_unsigned_short(socket, &mut unsigned_short) });
    assert_eq!((short, unsigned_short), (-2, 65_534));
    let (mut int, mut unsigned_int) = (0, 0);
    ok(unsafe { ss_socket_read_int(socket, &mut int) });
    ok(unsafe { ss_socket_read_unsigned_int(socket, &mut unsigned_int) });
    assert_eq!((int, unsigned_int), (-3, u32::MAX - 2));
    let (mut float, mut double) = (0.0, 0.0);
    ok(unsafe { ss_socket_read_float(socket, &mut float) });
    ok(unsafe { ss_socket_read_double(socket, &mut double) });
    assert_eq!((float, double), (1.5, -2.25));
    assert_eq!(pair.socket.available(), 0);
}

#[test]
fn a_read_of_more_than_has_come_is_an_eof_error_and_consumes_nothing() {
    let pair = unread(b"\x00\x05ab");
    let socket = pair.socket.0.0;
    let (mut double, mut length) = (7.0, 99);
    let mut room = [0 as c_char; 10];
    let dst = room.as_mut_ptr();
    for status in [
        unsafe { ss_socket_read_double(socket, &mut double) },
        unsafe { ss_socket_read_utf(socket, dst, 10, &mut length) }, // the prefix is there, the body is not
        unsafe { ss_socket_read_utf_bytes(socket, 5, dst, 10, &mut length) },
        unsafe { ss_socket_read_multi_byte(socket, 5, c"koi8-r".as_ptr(), dst, 10, &mut length) },
        unsafe { ss_socket_read_utf_bytes(socket, usize::MAX, dst, 10, &mut length) },
    ] {
        fails(status, SS_ERR_EOF, 2030);
        assert_eq!((double, length, pair.socket.available()), (7.0, 99, 4));
    }
    pair.send(b"cde");
    pair.pump_until_available(7);
    assert_eq!(read_utf(socket, 10), (SS_OK, 5, b"abcde".to_vec()));
}

#[test]
fn what_is_not_connected_can_be_neither_read_nor_written() {
    let events = Loop::new();
    let socket = ss_socket_new(events.0);
    let mut number = 0;
    for status in [
        unsafe { ss_socket_read_int(socket, &mut number) },
        read_utf(socket, 10).0,
        ss_socket_write_boolean(socket, true),
        ss_socket_write_byte(socket, 1),
        ss_socket_write_short(socket, 1),
        ss_socket_write_int(socket, 1),
        ss_socket_write_unsigned_int(socket, 1),
        ss_socket_write_float(socket, 1.0),
        ss_socket_write_double(socket, 1.0),
        unsafe { ss_socket_write_utf(socket, c"text".as_ptr()) },
        unsafe { ss_socket_write_utf_bytes(socket, c"text".as_ptr()) },
        unsafe { ss_socket_write_multi_byte(socket, c"text".as_ptr(), c"utf-8".as_ptr()) },
    ] {
        fails(status, SS_ERR_IO, 2002);
    }
    ok(release(socket));
}

#[test]
fn bytes_stay_readable_after_the_peers_end_and_then_there_is_nothing() {
    let pair = unread(b"\x01\x02\x03\x04");
    pair.send_fin();
    pair.events.pump_until(|| !pair.socket.connected());
    let socket = pair.socket.0.0;
    let mut short = 0;
    ok(unsafe { ss_socket_read_short(socket, &mut short) });
    assert_eq!(short, 0x0102);
    let mut int = 0;
    fails(unsafe { ss_socket_read_int(socket, &mut int) }, SS_ERR_EOF, 2030);
    ok(unsafe { ss_socket_read_short(socket, &mut short) });
    fails(unsafe { ss_socket_read_short(socket, &mut short) }, SS_ERR_IO, 2002);
}

#[test]
fn a_text_tells_how_much_room_it_needs_and_stays_until_it_has_it() {
    let pair = unread(b"\x00\x05hello");
    let socket = pair.socket.0.0;
    for capacity in [0, 1, 5] {
        let (status, length, _) = read_utf(socket, capacity);
        fails(status, SS_ERR_RANGE, 2006);
        assert_eq!((length, pair.socket.available()), (5, 7));
    }
    assert_eq!(read_utf(socket, 6), (SS_OK, 5, b"hello".to_vec()));
}

#[test]
fn as_in_flash_a_byte_order_mark_is_dropped_and_a_nul_ends_the_text() {
    let text = b"\xEF\xBB\xBFab\0cd";
    let mut bytes = vec![0, text.len() as u8];
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(text);
    let pair = unread(&bytes);
    let socket = pair.socket.0.0;
    assert_eq!(read_utf(socket, 10), (SS_OK, 2, b"ab".to_vec()));
    let bytes = read_text(10, |dst, capacity, length| unsafe {
        ss_socket_read_utf_bytes(socket, text.len(), dst, capacity, length)
    });
    assert_eq!(bytes, (SS_OK, 2, b"ab".to_vec()));
    let multi_byte = read_text(10, |dst, capacity, length| unsafe {
        ss_socket_read_multi_byte(socket, text.len(), null(), dst, capacity, length)
    });
    assert_eq!(multi_byte, (SS_OK, 2, b"ab".to_vec()));
    assert_eq!(pair.socket.available(), 0);
}

#[test]
fn utf_that_is_not_utf_8_is_handed_over_as_it_is() {
    let pair = unread(b"\x00\x03\xff\xfeA");
    assert_eq!(read_utf(pair.socket.0.0, 10), (SS_OK, 3, b"\xff\xfeA".to_vec()));
}

#[test]
fn a_text_is_written_with_its_length_and_without_its_nul() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    ok(unsafe { ss_socket_write_utf(socket, c"h\u{e9}".as_ptr()) });
    ok(ss_socket_set_endian(socket, SS_LITTLE_ENDIAN));
    ok(unsafe { ss_socket_write_utf(socket, c"".as_ptr()) });
    ok(unsafe { ss_socket_write_utf(socket, c"ab".as_ptr()) });
    ok(unsafe { ss_socket_write_utf_bytes(socket, c"raw".as_ptr()) });
    ok(unsafe { ss_socket_write_multi_byte(socket, c"\u{41f}".as_ptr(), c"koi8-r".as_ptr()) });
    assert_eq!(sent(&pair, 15), b"\x00\x03h\xc3\xa9\x00\x00\x02\x00abraw\xf0");
}

#[test]
fn a_text_over_65535_bytes_is_a_range_error_and_nothing_of_it_is_written() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    let longest = CString::new(vec![b'x'; 65_535]).unwrap();
    let longer = CString::new(vec![b'x'; 65_536]).unwrap();
    fails(unsafe { ss_socket_write_utf(socket, longer.as_ptr()) }, SS_ERR_RANGE, 2006);
    assert_eq!(pair.socket.pending(), 0);
    ok(unsafe { ss_socket_write_utf(socket, longest.as_ptr()) });
    let bytes = sent(&pair, 65_537);
    assert_eq!(bytes[..2], [0xff, 0xff]);
    assert_same_bytes(&bytes[2..], longest.as_bytes());
}

#[test]
fn typed_writes_are_refused_whole_at_the_write_limit() {
    let pair = Pair::new();
    let socket = pair.socket.0.0;
    ok(ss_set_option(socket.cast(), SS_OPT_WRITE_LIMIT, 3));
    assert_eq!(ss_socket_write_int(socket, 1), SS_ERR_FULL);
    assert_eq!(unsafe { ss_socket_write_utf(socket, c"ab".as_ptr()) }, SS_ERR_FULL);
    ok(ss_socket_write_short(socket, 1));
    assert_eq!(sent(&pair, 2), [0, 1]);
}

#[test]
fn a_null_text_is_a_type_error_and_a_null_result_is_thrown_away() {
    let pair = unread(b"\x01\x02\x03");
    let socket = pair.socket.0.0;
    let writes: [unsafe extern "C" fn(Handle, *const c_char) -> ss_status; 2] =
        [ss_socket_write_utf, ss_socket_write_utf_bytes];
    for write in writes {
        assert_eq!(unsafe { write(socket, null()) }, SS_ERR_TYPE);
        assert_eq!(last_error().id, 2007);
        assert_eq!(last_error().text, "Parameter text must be non-null.");
    }
    ok(unsafe { ss_socket_read_short(socket, null_mut()) });
    assert_eq!(pair.socket.available(), 1);
}

#[test]
fn charsets_are_known_by_airs_names_and_others_mean_utf_8() {
    let text = |bytes: &[u8], charset: &CStr| {
        let pair = unread(bytes);
        let (status, _, text) = read_text(100, |dst, capacity, length| unsafe {
            ss_socket_read_multi_byte(pair.socket.0.0, bytes.len(), charset.as_ptr(), dst, capacity, length)
        });
        ok(status);
        String::from_utf8(text).expect("it is UTF-8 now")
    };
    assert_eq!(text(b"\x93\xfa\x96\x7b", c"shift_jis"), "日本");
    assert_eq!(text(b"\xba\xba\xd7\xd6", c"gb2312"), "汉字");
    assert_eq!(text(b"\xcf\xf0", c"windows-1251"), "Пр");
    assert_eq!(text(b"caf\xe9", c"iso-8859-1"), "café");
    assert_eq!(text(b"\0a\0\xe9", c"unicodeFFFE"), "aé");
    assert_eq!(text("ž".as_bytes(), c"no such charset"), "ž");
    assert_eq!(text(b"a\xff", c""), "a\u{fffd}");
}

#[test]
fn python_understands_what_is_written_and_is_understood() {
    let script = r#"
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(struct.pack(">?bBhHiIfdH5s", True, -1, 255, -2, 65534, -3, 4294967293, 0.5, -0.25, 5, b"hello"))
data = b""
while len(data) < 16:
    part = s.recv(100)
    if not part: break
    data += part
print(struct.unpack("<hIdh", data))
"#;
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        assert!(std::env::var_os("SS_TEST_REQUIRE_TOOLS").is_none(), "python3 is not installed");
        return skipped("python3 is not installed");
    }
    let events = Loop::new();
    let server = Server::listening(&events);
    let accepted = server.keep_accepted();
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script, &server.port().to_string()]);
    let python = std::thread::spawn(move || command.output().expect("python3 runs"));
    events.pump_until(|| accepted.len() == 1 && accepted.get(0).available() == 34);
    let socket = accepted.get(0).0;
    let (mut boolean, mut byte, mut unsigned_byte, mut short, mut unsigned_short) = (false, 0, 0, 0, 0);
    let (mut int, mut unsigned_int, mut float, mut double) = (0, 0, 0.0, 0.0);
    unsafe {
        ok(ss_socket_read_boolean(socket, &mut boolean));
        ok(ss_socket_read_byte(socket, &mut byte));
        ok(ss_socket_read_unsigned_byte(socket, &mut unsigned_byte));
        ok(ss_socket_read_short(socket, &mut short));
        ok(ss_socket_read_unsigned_short(socket, &mut unsigned_short));
        ok(ss_socket_read_int(socket, &mut int));
        ok(ss_socket_read_unsigned_int(socket, &mut unsigned_int));
        ok(ss_socket_read_float(socket, &mut float));
        ok(ss_socket_read_double(socket, &mut double));
    }
    assert_eq!((boolean, byte, unsigned_byte, short, unsigned_short), (true, -1, 255, -2, 65_534));
    assert_eq!((int, unsigned_int, float, double), (-3, 4_294_967_293, 0.5, -0.25));
    assert_eq!(read_utf(socket, 10), (SS_OK, 5, b"hello".to_vec()));

    ok(ss_socket_set_endian(socket, SS_LITTLE_ENDIAN));
    ok(ss_socket_write_short(socket, -7));
    ok(ss_socket_write_unsigned_int(socket, 4_000_000_000));
    ok(ss_socket_write_double(socket, 6.5));
    ok(ss_socket_write_short(socket, 12));
    let output = events.join(python);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "(-7, 4000000000, 6.5, 12)");
}

/// One typed write, and the read that takes it back.
#[derive(Clone, Debug)]
enum Item {
    Endian(bool),
    Boolean(bool),
    Byte(i8),
    Short(i16),
    UnsignedShort(u16),
    Int(i32),
    UnsignedInt(u32),
    Float(f32),
    Double(f64),
    Utf(String),
    Bytes(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<bool>().prop_map(Item::Endian),
        any::<bool>().prop_map(Item::Boolean),
        any::<i8>().prop_map(Item::Byte),
        any::<i16>().prop_map(Item::Short),
        any::<u16>().prop_map(Item::UnsignedShort),
        any::<i32>().prop_map(Item::Int),
        any::<u32>().prop_map(Item::UnsignedInt),
        any::<f32>().prop_map(Item::Float),
        any::<f64>().prop_map(Item::Double),
        "[a-zA-Z0-9äöü漢字]{0,40}".prop_map(Item::Utf),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(Item::Bytes),
    ]
}

fn write(socket: Handle, item: &Item) {
    let endian = |little| if little { SS_LITTLE_ENDIAN } else { SS_BIG_ENDIAN };
    ok(match item {
        Item::Endian(little) => ss_socket_set_endian(socket, endian(*little)),
        Item::Boolean(value) => ss_socket_write_boolean(socket, *value),
        Item::Byte(value) => ss_socket_write_byte(socket, (*value).into()),
        Item::Short(value) => ss_socket_write_short(socket, (*value).into()),
        Item::UnsignedShort(value) => ss_socket_write_short(socket, (*value).into()),
        Item::Int(value) => ss_socket_write_int(socket, *value),
        Item::UnsignedInt(value) => ss_socket_write_unsigned_int(socket, *value),
        Item::Float(value) => ss_socket_write_float(socket, *value),
        Item::Double(value) => ss_socket_write_double(socket, *value),
        Item::Utf(text) => {
            let text = CString::new(text.as_str()).expect("no NUL in it");
            unsafe { ss_socket_write_utf(socket, text.as_ptr()) }
        }
        Item::Bytes(bytes) => unsafe { ss_socket_write_bytes(socket, bytes.as_ptr().cast(), bytes.len()) },
    });
}

/// Reads an item back; false if it has not come whole yet, and then nothing was consumed.
fn read_back(socket: Socket, item: &Item) -> bool {
    let before = socket.available();
    let handle = socket.0;
    macro_rules! number {
        ($read:ident, $value:expr, $bits:expr) => {{
            let mut got = Default::default();
            let status = unsafe { $read(handle, &mut got) };
            if status == SS_OK {
                assert_eq!($bits(got), $bits(*$value));
            }
            status
        }};
    }
    let same = |value| value;
    let status = match item {
        Item::Endian(little) => {
            ok(ss_socket_set_endian(handle, if *little { SS_LITTLE_ENDIAN } else { SS_BIG_ENDIAN }));
            return true;
        }
        Item::Boolean(value) => number!(ss_socket_read_boolean, value, same),
        Item::Byte(value) => number!(ss_socket_read_byte, value, i8::from),
        Item::Short(value) => number!(ss_socket_read_short, value, i16::from),
        Item::UnsignedShort(value) => number!(ss_socket_read_unsigned_short, value, u16::from),
        Item::Int(value) => number!(ss_socket_read_int, value, i32::from),
        Item::UnsignedInt(value) => number!(ss_socket_read_unsigned_int, value, u32::from),
        Item::Float(value) => number!(ss_socket_read_float, value, f32::to_bits),
        Item::Double(value) => number!(ss_socket_read_double, value, f64::to_bits),
        Item::Utf(text) => {
            let (status, _, got) = read_utf(handle, 400);
            if status == SS_OK {
                assert_eq!(got, text.as_bytes());
            }
            status
        }
        Item::Bytes(bytes) => {
            let mut got = vec![0; bytes.len()];
            let status = socket.read_bytes(&mut got);
            if status == SS_OK {
                assert_eq!(&got, bytes);
            }
            status
        }
    };
    if status != SS_OK {
        assert_eq!(status, SS_ERR_EOF);
        assert_eq!(socket.available(), before, "a read that fails consumes nothing");
    }
    status == SS_OK
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written typed comes back equal, in both byte orders, however the network cuts it.
    #[test]
    fn what_is_written_is_read_back_equal_under_any_segmentation(
        items in proptest::collection::vec(item(), 1..40),
        cuts in proptest::collection::vec(1usize..50, 1..20),
    ) {
        let pair = Pair::new();
        items.iter().for_each(|item| write(pair.socket.0.0, item));
        let total = pair.socket.pending();
        let bytes = sent(&pair, total);

        // The other way round: the same bytes to another connection, in pieces, and typed reads there.
        let other = Pair::new();
        let mut rest = &bytes[..];
        let mut wanted = items.iter().peekable();
        for cut in cuts.iter().cycle() {
            while wanted.peek().is_some_and(|item| read_back(*other.socket, item)) {
                wanted.next();
            }
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            let before = other.socket.available();
            (&other.peer).write_all(piece).expect("the peer can write");
            other.pump_until_available(before + piece.len());
            rest = later;
        }
        prop_assert!(wanted.next().is_none(), "all was read back");
        prop_assert_eq!(other.socket.available(), 0);
    }
}

#[test]
fn reading_from_a_std_peer_is_not_disturbed_by_the_typed_reads_of_others() {
    let pair = Pair::new();
    ok(ss_socket_write_int(pair.socket.0.0, 5));
    ok(pair.socket.flush());
    let mut bytes = [0; 4];
    (&pair.peer).read_exact(&mut bytes).expect("flush has sent it already");
    assert_eq!(bytes, [0, 0, 0, 5]);
}
