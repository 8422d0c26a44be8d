// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a peer may send, and however it is cut into pieces, against every function that reads: numbers in both byte
//! orders, texts in many charsets, objects in both encodings.
//!
//! The input is a small program, see [`Step::next`], and the peer's stream. Every answer is compared:
//! - numbers and most texts with a reference that is written here, by the format's own rules;
//! - an object with what another socket makes of the very same unread bytes when they come in one piece: it must not
//!   matter how they came, nor what was tried before they were complete;
//! - what is read and written again, with what was read first.
//!
//! And nothing may change on a failure: neither the unread bytes nor the caller's variables.

#![no_main]

#[path = "../common/mod.rs"]
mod common;
mod reference;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::io::Write;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use common::{Connection, Program, Side, Value, socket_error, try_read_object};
use reference::{Text, Unread};
use server_socket::ss_status::*;
use server_socket::*;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((header, rest)) = data.split_first_chunk::<2>() else { return };
    let steps = rest.len().min(usize::from(header[1]) * 2);
    let (program, stream) = rest.split_at(steps);
    Trial::run(header[0], program, stream);
});

const CHARSETS: [&CStr; 13] = [
    c"",
    c"utf-8",
    c"iso-8859-1",
    c"us-ascii",
    c"utf-16",
    c"unicodeFFFE",
    c"no such charset",
    c"shift_jis",
    c"gb18030",
    c"big5",
    c"iso-2022-jp",
    c"euc-kr",
    c"windows-1252",
];

/// The reads of numbers, each with how many bytes it takes.
const NUMBERS: [(usize, NumberRead); 9] = [
    (1, |trial| trial.number(ss_socket_read_boolean)),
    (1, |trial| trial.number(ss_socket_read_byte)),
    (1, |trial| trial.number(ss_socket_read_unsigned_byte)),
    (2, |trial| trial.number(ss_socket_read_short)),
    (2, |trial| trial.number(ss_socket_read_unsigned_short)),
    (4, |trial| trial.number(ss_socket_read_int)),
    (4, |trial| trial.number(ss_socket_read_unsigned_int)),
    (4, |trial| trial.number(ss_socket_read_float)),
    (8, |trial| trial.number(ss_socket_read_double)),
];

/// A status and, if that is SS_OK, the bytes of the result as this machine has them in memory.
type Outcome = (ss_status, Vec<u8>);

type NumberRead = fn(&mut Trial) -> Outcome;

thread_local! {
    /// The scratch socket has a loop of its own, since it is used inside listeners of the other.
    static SIDES: [Side; 2] = [Side::new(), Side::new()];
}

struct Trial {
    events: *mut ss_loop,
    connection: Connection,
    /// Gets in one piece what the other got in many.
    scratch: Connection,
    program: Program,
    unread: Unread,
    little_endian: bool,
    encoding: i32,
    /// How many steps the listener of the next piece takes.
    inside: usize,
}

extern "C-unwind" fn on_data(event: *mut ss_event, user_data: *mut c_void) {
    // SAFETY: the trial outlives the connection, and nothing of it is borrowed while the loop is polled.
    let trial = unsafe { &*user_data.cast::<RefCell<Trial>>() };
    trial.borrow_mut().heard(ss_event_bytes_loaded(event));
}

impl Trial {
    fn run(flags: u8, program: &[u8], stream: &[u8]) {
        let limit = [1 << 20, 7, 300, 4096][usize::from(flags & 3)];
        let (events, connection, scratch) = SIDES.with(|[side, other]| (side.events, side.connect(), other.connect()));
        let trial = Trial {
            events,
            connection,
            scratch,
            program: Program::new(program),
            unread: Unread::new(stream, limit),
            little_endian: false,
            encoding: SS_AMF3,
            inside: 0,
        };
        for socket in [trial.connection.socket, trial.scratch.socket] {
            assert_eq!(ss_set_option(socket.cast(), SS_OPT_READ_LIMIT, limit as i64), SS_OK);
        }
        let trial = RefCell::new(trial);
        let user_data = (&raw const trial).cast_mut().cast();
        let socket = trial.borrow().connection.socket;
        // SAFETY: see on_data.
        let added =
            unsafe { ss_add_listener(socket.cast(), c"socketData".as_ptr(), Some(on_data), user_data, false, 0) };
        assert_eq!(added, SS_OK);
        trial.borrow_mut().set_encoding(flags >> 2 & 1);
        trial.borrow_mut().set_endian(flags >> 3 & 1);
        loop {
            let piece = trial.borrow_mut().step();
            match piece {
                None => break,
                Some(Step::Done) => {}
                Some(Step::Arrive { length, inside }) => Trial::arrive(&trial, length, inside),
            }
        }
        Trial::end(&trial);
    }

    /// The peer sends up to `length` more bytes, and they arrive as far as the read limit allows. The listener makes
    /// `inside` steps.
    fn arrive(trial: &RefCell<Trial>, length: usize, inside: usize) {
        {
            let mut this = trial.borrow_mut();
            this.inside = inside;
            let piece = this.unread.send(length);
            this.connection.peer.write_all(&piece).expect("loopback takes it");
        }
        let events = trial.borrow().events;
        // What the listener reads makes room for more.
        common::poll_until(events, || trial.borrow().unread.to_arrive() == 0);
        let mut this = trial.borrow_mut();
        this.inside = 0;
        this.check_unread();
    }

    fn heard(&mut self, loaded: u64) {
        assert!(loaded > 0);
        self.unread.arrived(loaded as usize);
        self.check_unread();
        while self.inside > 0 {
            self.inside -= 1;
            match self.step() {
                Some(Step::Done) => {}
                // Not from in here: it ends the listener's part.
                _ => break,
            }
        }
    }

    /// The unread bytes are those of the reference, in place.
    fn check_unread(&self) {
        let socket = self.connection.socket;
        let expected = self.unread.bytes();
        assert_eq!(ss_socket_bytes_available(socket), expected.len());
        let mut length = usize::MAX;
        // SAFETY: `length` is ours, and the bytes are looked at before the next call.
        let bytes = unsafe { ss_socket_peek(socket, &mut length) };
        assert_eq!(length, expected.len());
        assert_eq!(bytes.is_null(), expected.is_empty());
        if !bytes.is_null() {
            // SAFETY: as above.
            assert!(unsafe { std::slice::from_raw_parts(bytes, length) } == expected);
        }
    }
}

enum Step {
    /// Bytes are to arrive, and then so many steps to be made in the listener.
    Arrive {
        length: usize,
        inside: usize,
    },
    Done,
}

impl Trial {
    /// One step of the program. All but the arrivals are done in here.
    fn step(&mut self) -> Option<Step> {
        let [kind, value] = self.program.pair()?;
        let (high, value) = (usize::from(kind >> 5), usize::from(value));
        match kind & 31 {
            0..=7 => return Some(Step::Arrive { length: value + 1, inside: high }),
            8 => return Some(Step::Arrive { length: value * 16, inside: high }),
            9..=17 => self.read_number(usize::from(kind & 31) - 9),
            18 => self.read(value),
            19 => self.skip(value),
            20 => self.read_bytes(value),
            21 | 22 => self.read_text(Text::Prefixed, value),
            23 => self.read_text(Text::Of(value), high),
            24 => self.read_text(Text::In(CHARSETS[value % CHARSETS.len()], (high * 256 + value) / 7), value >> 4),
            25 => self.set_endian(value as u8 & 1),
            26 => self.set_encoding(value as u8 & 1),
            27 => self.take(),
            _ => self.read_object(),
        }
        Some(Step::Done)
    }

    fn set_endian(&mut self, little: u8) {
        self.little_endian = little == 1;
        assert_eq!(ss_socket_set_endian(self.connection.socket, i32::from(little)), SS_OK);
    }

    fn set_encoding(&mut self, amf0: u8) {
        self.encoding = if amf0 == 1 { SS_AMF0 } else { SS_AMF3 };
        for socket in [self.connection.socket, self.scratch.socket] {
            assert_eq!(ss_socket_set_object_encoding(socket, self.encoding), SS_OK);
        }
    }

    /// Fewer than `wanted` bytes: EOFError, RangeError if so many can never be unread, or IOError when nothing is left of
    /// a connection that has ended.
    fn too_few(&self, wanted: usize) -> ss_status {
        match self.unread.has_ended() && self.unread.bytes().is_empty() {
            true => SS_ERR_IO,
            false if wanted > self.unread.limit() => SS_ERR_RANGE,
            false => SS_ERR_EOF,
        }
    }

    /// Reads a number. What the variable held before is nothing that was sent.
    fn number<T>(&mut self, read: unsafe extern "C" fn(*mut ss_socket, *mut T) -> ss_status) -> Outcome {
        let mut value = MaybeUninit::<T>::uninit();
        let size = size_of::<T>();
        // SAFETY: the variable is ours, and all of its bytes are set.
        unsafe { value.as_mut_ptr().cast::<u8>().write_bytes(0xa5, size) };
        // SAFETY: the variable is ours.
        let status = unsafe { read(self.connection.socket, value.as_mut_ptr()) };
        // SAFETY: all of its bytes were set, and a number or bool has no padding.
        let bytes = unsafe { std::slice::from_raw_parts(value.as_ptr().cast::<u8>(), size) }.to_vec();
        assert!(status == SS_OK || bytes.iter().all(|byte| *byte == 0xa5));
        (status, bytes)
    }

    fn read_number(&mut self, index: usize) {
        let (size, read) = NUMBERS[index];
        let (status, got) = read(self);
        match self.unread.take(size) {
            None => assert_eq!(status, self.too_few(size)),
            Some(mut bytes) => {
                assert_eq!(status, SS_OK);
                if index == 0 {
                    bytes[0] = u8::from(bytes[0] != 0);
                }
                if !self.little_endian {
                    bytes.reverse();
                }
                assert_eq!(got, bytes, "read {index}");
            }
        }
        self.check_unread();
    }

    fn read(&mut self, capacity: usize) {
        let mut room = vec![0xa5; capacity + 1];
        // SAFETY: there is that much room.
        let length = unsafe { ss_socket_read(self.connection.socket, room.as_mut_ptr().cast(), capacity) };
        let expected = self.unread.take(capacity.min(self.unread.bytes().len())).expect("as many as there are");
        assert!(room[..length] == expected && room[length..].iter().all(|byte| *byte == 0xa5));
        self.check_unread();
    }

    fn take(&mut self) {
        let mut length = usize::MAX;
        // SAFETY: `length` is ours, and the bytes are looked at before the next call.
        let bytes = unsafe { ss_socket_take(self.connection.socket, &mut length) };
        let expected = self.unread.take(self.unread.bytes().len()).expect("as many as there are");
        assert_eq!((bytes.is_null(), length), (expected.is_empty(), expected.len()));
        // Whatever is called meanwhile, they stay.
        self.check_unread();
        if !bytes.is_null() {
            // SAFETY: as above.
            assert!(unsafe { std::slice::from_raw_parts(bytes, length) } == expected);
        }
    }

    fn read_bytes(&mut self, length: usize) {
        let mut room = vec![0xa5; length + 1];
        // SAFETY: there is that much room.
        let status = unsafe { ss_socket_read_bytes(self.connection.socket, room.as_mut_ptr().cast(), length) };
        let expected = self.expect(status, length);
        let got = if status == SS_OK { length } else { 0 };
        assert!(room[..got] == expected && room[got..].iter().all(|byte| *byte == 0xa5));
        self.check_unread();
    }

    fn skip(&mut self, length: usize) {
        let status = ss_socket_skip(self.connection.socket, length);
        self.expect(status, length);
        self.check_unread();
    }

    /// The status is that of an attempt to take `length` bytes: the bytes.
    fn expect(&mut self, status: ss_status, length: usize) -> Vec<u8> {
        let gone = self.unread.has_ended() && self.unread.bytes().is_empty();
        match self.unread.take(length) {
            Some(bytes) if !gone => {
                assert_eq!(status, SS_OK);
                bytes
            }
            _ => {
                assert_eq!(status, self.too_few(length));
                Vec::new()
            }
        }
    }

    /// Reads a text, after an attempt with too little room.
    fn read_text(&mut self, text: Text, shortage: usize) {
        let gone = self.unread.has_ended() && self.unread.bytes().is_empty();
        let Some(found) = text.find(self.unread.bytes(), self.little_endian).filter(|_| !gone) else {
            let wanted = text.length(self.unread.bytes(), self.little_endian);
            let (status, _) = self.call_read_text(text, 1000);
            assert_eq!(status, self.too_few(wanted));
            return self.check_unread();
        };
        let needed = self.needed_room(text);
        let (status, _) = self.call_read_text(text, needed.saturating_sub(shortage));
        assert_eq!(status, SS_ERR_RANGE);
        self.check_unread();
        let (status, got) = self.call_read_text(text, needed + 1 + shortage);
        assert_eq!((status, got.len()), (SS_OK, needed));
        match found.text {
            Some(expected) => assert!(got == expected, "{} not {}", got.escape_ascii(), expected.escape_ascii()),
            // Charsets that are too large to be written down once more: the rules.
            None => assert!(std::str::from_utf8(&got).is_ok() && !got.contains(&0)),
        }
        self.unread.take(found.length).expect("it was there");
        self.check_unread();
    }

    /// Asks for the length of a text that is there.
    fn needed_room(&self, text: Text) -> usize {
        let mut needed = usize::MAX;
        // SAFETY: no room is promised, and `needed` is ours.
        let status = unsafe { text.read(self.connection.socket, null_mut(), 0, &mut needed) };
        assert_eq!(status, SS_ERR_RANGE);
        needed
    }

    /// One call with so much room: the text, if it fitted. Nothing behind its NUL is touched.
    fn call_read_text(&mut self, text: Text, capacity: usize) -> Outcome {
        let mut room = vec![0xa5_u8; capacity + 1];
        let mut length = usize::MAX;
        // SAFETY: there is that much room, and `length` is ours.
        let status = unsafe { text.read(self.connection.socket, room.as_mut_ptr().cast(), capacity, &mut length) };
        let used = match status {
            SS_OK => {
                assert!(length < capacity && room[length] == 0);
                length + 1
            }
            // There is too little room, unless there are too few bytes, for ever.
            SS_ERR_RANGE => {
                assert!(length >= capacity);
                0
            }
            _ => {
                assert_eq!(length, usize::MAX);
                0
            }
        };
        assert!(room[used..].iter().all(|byte| *byte == 0xa5));
        room.truncate(used.saturating_sub(1));
        (status, room)
    }

    fn read_object(&mut self) {
        let before = self.unread.bytes().to_vec();
        let outcome = try_read_object(self.connection.socket);
        let taken = before.len() - ss_socket_bytes_available(self.connection.socket);
        if before.is_empty() {
            return assert_eq!(outcome.err(), Some(self.too_few(1)));
        }
        match outcome {
            Err(status) => {
                assert!(
                    [SS_ERR_EOF, SS_ERR_ARGUMENT, SS_ERR_RANGE, SS_ERR_UNSUPPORTED].contains(&status),
                    "{status:?}"
                );
                assert_eq!(taken, 0);
                if before.len() <= self.unread.limit() {
                    assert_eq!(self.read_in_one_piece(&before).err(), Some(status));
                }
            }
            Ok(value) => {
                assert!((1..=before.len()).contains(&taken));
                self.unread.take(taken).expect("it was there");
                let description = value.describe();
                let object = &before[..taken];
                // The other socket takes in no more than its limit.
                if taken <= self.unread.limit() {
                    assert_eq!(self.read_in_one_piece(object).map(|value| value.describe()), Ok(description));
                    assert_eq!(self.read_in_one_piece(&object[..taken - 1]).err(), Some(SS_ERR_EOF));
                }
                self.write_and_read_again(&value);
            }
        }
        self.check_unread();
    }

    /// What the scratch socket makes of `bytes`, which come all at once.
    fn read_in_one_piece(&mut self, bytes: &[u8]) -> Result<Value, ss_status> {
        let scratch = &mut self.scratch;
        scratch.receive(bytes);
        let outcome = try_read_object(scratch.socket);
        let left = ss_socket_bytes_available(scratch.socket);
        assert_eq!(left, if outcome.is_ok() { 0 } else { bytes.len() });
        if left > 0 {
            assert_eq!(ss_socket_skip(scratch.socket, left), SS_OK);
        }
        outcome
    }

    fn write_and_read_again(&mut self, value: &Value) {
        if self.unread.has_ended() {
            return;
        }
        let status = ss_socket_write_object(self.scratch.socket, value.0);
        if status != SS_OK {
            // What the other encoding can say, this one may not.
            assert!([SS_ERR_ARGUMENT, SS_ERR_RANGE].contains(&status), "{status:?} {:?}", socket_error());
            return;
        }
        let written = self.scratch.sent();
        if written.len() <= self.unread.limit() {
            let encoding = self.encoding;
            let text = |value: &Value| match encoding {
                SS_AMF0 => value.describe_loosely(),
                _ => value.describe(),
            };
            let again = self.read_in_one_piece(&written).map(|again| text(&again));
            assert_eq!(again, Ok(text(value)), "{}", written.escape_ascii());
        }
    }

    /// The rest arrives, and the peer's end; what is unread can be read then, and nothing after it.
    fn end(trial: &RefCell<Trial>) {
        Trial::arrive(trial, usize::MAX, 0);
        let (events, socket) = {
            let mut this = trial.borrow_mut();
            // What is on its way comes now, beyond the limit.
            this.connection.peer.shutdown(std::net::Shutdown::Write).expect("a FIN");
            this.unread.finish();
            (this.events, this.connection.socket)
        };
        common::poll_until(events, || !ss_socket_connected(socket));
        let mut this = trial.borrow_mut();
        this.unread.end();
        this.check_unread();
        this.read_object();
        // Of what is far beyond the limit not every byte is looked at by itself.
        let surplus = this.unread.bytes().len().saturating_sub(this.unread.limit().max(64));
        this.skip(surplus);
        this.read_object();
        while !this.unread.bytes().is_empty() {
            this.read_number(1);
        }
        this.read_number(5);
        this.read_object();
        this.read_text(Text::Of(0), 0);
        this.skip(0);
    }
}

impl Text {
    /// The library's call for this kind of text.
    ///
    /// # Safety
    /// As that call.
    unsafe fn read(self, socket: *mut ss_socket, dst: *mut c_char, capacity: usize, length: *mut usize) -> ss_status {
        // SAFETY: the same contract.
        unsafe {
            match self {
                Text::Prefixed => ss_socket_read_utf(socket, dst, capacity, length),
                Text::Of(bytes) => ss_socket_read_utf_bytes(socket, bytes, dst, capacity, length),
                Text::In(charset, bytes) => {
                    let charset = if charset.is_empty() { null() } else { charset.as_ptr() };
                    ss_socket_read_multi_byte(socket, bytes, charset, dst, capacity, length)
                }
            }
        }
    }
}
