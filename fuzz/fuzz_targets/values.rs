// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values in programs: built, set, joined, copied, looked at, and given to sockets, from anywhere.
//!
//! The model keeps all values' parts side by side, whichever whole they belong to.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use super::{Subject, Wanted, byte, good, pointer, subject, with};
use crate::common::{Connection, Side, counted, is_type, socket_error, try_read_object};
use crate::model::*;
use server_socket::ss_status::{self, *};
use server_socket::*;

/// What a value is. Other values are named by their places among all of them.
#[derive(Clone, Default)]
pub struct Part {
    kind: i32,
    number: f64,
    bytes: Vec<u8>,
    class: Vec<u8>,
    items: Vec<usize>,
    named: Vec<(Vec<u8>, usize)>,
    /// It is the same as another.
    same: Option<usize>,
    /// 0: nobody has asked for it yet.
    handle: Handle,
    whole: usize,
}

impl Part {
    fn new(whole: usize, kind: i32) -> Part {
        Part { kind, whole, ..Part::default() }
    }

    fn has_parts(&self) -> bool {
        !self.items.is_empty() || !self.named.is_empty()
    }

    fn has_items(&self) -> bool {
        self.kind == SS_VALUE_ARRAY || (SS_VALUE_VECTOR_INT..=SS_VALUE_DICTIONARY).contains(&self.kind)
    }

    fn has_names(&self) -> bool {
        self.kind == SS_VALUE_ARRAY || self.kind == SS_VALUE_OBJECT
    }

    fn has_bytes(&self) -> bool {
        matches!(self.kind, SS_VALUE_STRING | SS_VALUE_BYTE_ARRAY | SS_VALUE_XML | SS_VALUE_XML_DOCUMENT)
    }
}

/// All values that were ever made.
#[derive(Default)]
pub struct Values {
    parts: Vec<Part>,
}

impl Values {
    pub fn add_whole(&mut self, whole: usize, kind: i32, handle: Handle) {
        let part = Part { handle, ..Part::new(whole, kind) };
        self.parts.push(part);
    }

    /// The handles of a whole's parts, all of which die with it.
    pub fn end(&mut self, whole: usize) -> Vec<Handle> {
        let parts = self.parts.iter_mut().filter(|part| part.whole == whole && part.handle != 0);
        parts.map(|part| std::mem::take(&mut part.handle)).collect()
    }

    fn resolve(&self, mut place: usize) -> usize {
        while let Some(other) = self.parts[place].same {
            place = other;
        }
        place
    }

    fn part(&self, place: usize) -> &Part {
        &self.parts[self.resolve(place)]
    }

    fn part_mut(&mut self, place: usize) -> &mut Part {
        let place = self.resolve(place);
        &mut self.parts[place]
    }

    fn add(&mut self, whole: usize) -> usize {
        self.parts.push(Part::new(whole, SS_VALUE_UNDEFINED));
        self.parts.len() - 1
    }

    /// Those parts of a whole that the program has handles of.
    fn known(&self, whole: usize) -> Vec<usize> {
        (0..self.parts.len())
            .filter(|place| self.parts[*place].whole == whole && self.parts[*place].handle != 0)
            .collect()
    }

    fn set(&mut self, place: usize, new: Part) -> ss_status {
        let old = self.part_mut(place);
        if old.has_parts() {
            return SS_ERR_ARGUMENT;
        }
        let (handle, whole) = (old.handle, old.whole);
        *old = Part { handle, whole, ..new };
        SS_OK
    }

    fn assign(&mut self, place: usize, other: usize) -> ss_status {
        let (place, other) = (self.resolve(place), self.resolve(other));
        if place == other {
            return SS_OK;
        }
        if self.parts[place].has_parts() {
            return SS_ERR_ARGUMENT;
        }
        let whole = self.parts[place].whole;
        if whole == self.parts[other].whole {
            self.parts[place].same = Some(other);
            return SS_OK;
        }
        if !self.parts[other].has_parts() {
            return self.set(place, self.parts[other].clone());
        }
        // Its parts are copied once each, however often they are referred to.
        let mut copies = vec![(other, self.add(whole))];
        let mut done = 0;
        while let Some((original, copy)) = copies.get(done).copied() {
            done += 1;
            let mut part = Part { handle: 0, whole, ..self.parts[original].clone() };
            for child in part.items.iter_mut().chain(part.named.iter_mut().map(|(_, child)| child)) {
                let original = self.resolve(*child);
                *child = match copies.iter().find(|(known, _)| *known == original) {
                    Some((_, copy)) => *copy,
                    None => {
                        copies.push((original, self.add(whole)));
                        copies[copies.len() - 1].1
                    }
                };
            }
            self.parts[copy] = part;
        }
        self.parts[place].same = Some(copies[0].1);
        SS_OK
    }

    /// Whether every encoding can say it: nothing in it is of the kinds that can be wrong in themselves, or deep.
    fn is_plain(&self, place: usize) -> bool {
        let (mut seen, mut rest) = (HashSet::new(), vec![(self.resolve(place), 0)]);
        while let Some((place, depth)) = rest.pop() {
            if !seen.insert(place) {
                continue;
            }
            let part = &self.parts[place];
            let is_odd = matches!(part.kind, SS_VALUE_VECTOR_INT..=SS_VALUE_DICTIONARY);
            if is_odd || depth > 100 || part.named.iter().any(|(name, _)| name.is_empty()) {
                return false;
            }
            let children = part.items.iter().chain(part.named.iter().map(|(_, child)| child));
            rest.extend(children.map(|child| (self.resolve(*child), depth + 1)));
        }
        true
    }
}

/// One of the parts of a living value, or the value itself; by its place.
struct Chosen {
    place: usize,
    handle: *mut ss_value,
}

fn choose(whole: usize) -> Chosen {
    let choice = byte();
    with(|trial| {
        let known = trial.model.parts.known(whole);
        // The last ones are the most interesting.
        let place = known[known.len() - 1 - choice % known.len()];
        Chosen { place, handle: std::ptr::without_provenance_mut(trial.model.parts.parts[place].handle) }
    })
}

/// One step of a program that has to do with values.
pub fn step() {
    match byte() % 16 {
        0 | 1 => make(),
        2..=4 => set(),
        5 => set_class(),
        6..=9 => add(),
        10 | 11 => assign(),
        12 => look(),
        13 => whole_by_its_part(),
        14 => read_object(),
        _ => write_object(),
    }
}

fn make() {
    let kind = (byte() % 20) as i32;
    let handle = ss_value_new(kind);
    assert_eq!(!handle.is_null(), is_type(kind), "a value of type {kind}");
    if !is_type(kind) {
        return;
    }
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        let whole = trial.model.values.len();
        trial.model.values.push(Life::new(handle.addr(), 1));
        trial.model.parts.add_whole(whole, kind, handle.addr());
    });
    check(handle);
}

const TEXTS: [&CStr; 6] = [c"", c"a", c"0", c"name", c"\xc3\xa4", c"a longer text than the others, with blanks"];

fn set() {
    let (way, choice) = (byte() % 7, byte());
    let number = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, -1e300, 5.0, 4e9][choice % 8];
    let integer = [0, 1, -1, 1 << 28, -(1 << 28), i32::MAX, i32::MIN, 77][choice % 8];
    let text = TEXTS[choice % TEXTS.len()];
    let kind = (choice % 20) as i32;
    // SAFETY: constants.
    let call = |value: *mut ss_value| unsafe {
        match way {
            0 => ss_value_set(value, kind),
            1 => ss_value_set_boolean(value, choice & 1 == 1),
            2 => ss_value_set_integer(value, integer),
            3 => ss_value_set_number(value, number),
            4 => ss_value_set_date(value, number),
            5 => ss_value_set_string(value, text.as_ptr()),
            _ => ss_value_set_bytes(value, kind, text.as_ptr().cast(), text.count_bytes()),
        }
    };
    let Id::Value(whole) = good!(Wanted::Value, |handle| call(handle)) else { unreachable!() };
    let Chosen { place, handle } = choose(whole);
    let mut new = Part::new(whole, kind);
    match way {
        0 => {}
        1 => (new.kind, new.number) = (SS_VALUE_BOOLEAN, (choice & 1) as f64),
        2 => (new.kind, new.number) = (SS_VALUE_INTEGER, integer.into()),
        3 => (new.kind, new.number) = (SS_VALUE_NUMBER, number),
        4 => (new.kind, new.number) = (SS_VALUE_DATE, number),
        5 => (new.kind, new.bytes) = (SS_VALUE_STRING, text.to_bytes().to_vec()),
        _ => new.bytes = text.to_bytes().to_vec(),
    }
    let expected = match is_type(new.kind) && (way < 6 || new.has_bytes()) {
        true => with(|trial| trial.model.parts.set(place, new)),
        false => SS_ERR_ARGUMENT,
    };
    assert_eq!(call(handle), expected, "way {way}, type {kind}");
    // SAFETY: NULL is refused.
    assert_eq!(unsafe { ss_value_set_string(handle, null()) }, SS_ERR_TYPE);
    check_part(place, handle);
}

fn set_class() {
    let choice = byte();
    let name = TEXTS[choice % TEXTS.len()];
    let pointer = if choice & 0x80 == 0 { name.as_ptr() } else { null() };
    // SAFETY: a constant or NULL.
    let call = |value| unsafe { ss_value_set_class_name(value, pointer) };
    let Id::Value(whole) = good!(Wanted::Value, |handle| call(handle)) else { unreachable!() };
    let Chosen { place, handle } = choose(whole);
    let expected = with(|trial| {
        let part = trial.model.parts.part_mut(place);
        if !matches!(part.kind, SS_VALUE_OBJECT | SS_VALUE_VECTOR_OBJECT) {
            return SS_ERR_ARGUMENT;
        }
        part.class = if pointer.is_null() { Vec::new() } else { name.to_bytes().to_vec() };
        SS_OK
    });
    assert_eq!(call(handle), expected);
    check_part(place, handle);
}

fn add() {
    let choice = byte();
    let name = (choice & 1 == 1).then_some(TEXTS[(choice >> 1) % TEXTS.len()]);
    let call = |value| match name {
        // SAFETY: a constant.
        Some(name) => unsafe { ss_value_add_property(value, name.as_ptr()) },
        None => ss_value_add_item(value),
    };
    let Id::Value(whole) = good!(Wanted::Value, |handle| super::nothing(call(handle).is_null())) else {
        unreachable!()
    };
    let Chosen { place, handle } = choose(whole);
    let new = call(handle);
    with(|trial| {
        let values = &mut trial.model.parts;
        let part = values.part(place);
        let can = if name.is_some() { part.has_names() } else { part.has_items() };
        assert_eq!(!new.is_null(), can, "{}", socket_error());
        if !can {
            return;
        }
        let added = values.add(whole);
        values.parts[added].handle = new.addr();
        match name {
            Some(name) => values.part_mut(place).named.push((name.to_bytes().to_vec(), added)),
            None => values.part_mut(place).items.push(added),
        }
    });
    // SAFETY: NULL is refused.
    assert!(unsafe { ss_value_add_property(handle, null()) }.is_null());
    check_part(place, handle);
}

fn assign() {
    let Id::Value(whole) = good!(Wanted::Value, |handle| ss_value_assign(handle, null_mut())) else { unreachable!() };
    let to = choose(whole);
    let Id::Value(source) = good!(Wanted::Value, |handle| ss_value_assign(to.handle, handle)) else { unreachable!() };
    let from = choose(source);
    // Copies of copies would grow without bound.
    if with(|trial| trial.model.parts.parts.len() > 2000) {
        return;
    }
    let expected = with(|trial| trial.model.parts.assign(to.place, from.place));
    assert_eq!(ss_value_assign(to.handle, from.handle), expected);
    check_part(to.place, to.handle);
    check_part(from.place, from.handle);
}

/// Every function that looks at a value says nothing of what is none.
fn look() {
    // SAFETY: the length is ours.
    let id = good!(Wanted::Value, |handle| unsafe {
        let mut length = 77;
        assert!(!ss_value_boolean(handle) && ss_value_number(handle) == 0.0 && ss_value_type(handle) == 0);
        assert!(ss_value_bytes(handle, &mut length).is_null() && length == 0);
        assert!(
            ss_value_class_name(handle, &mut length).is_null()
                && ss_value_property_name(handle, 0, &mut length).is_null()
        );
        assert!(ss_value_item_count(handle) == 0 && ss_value_property_count(handle) == 0);
        assert!(ss_value_item(handle, 0).is_null() && ss_value_property(handle, c"a".as_ptr()).is_null());
        super::nothing(ss_value_property_at(handle, 0).is_null())
    });
    let Id::Value(whole) = id else { unreachable!() };
    let Chosen { place, handle } = choose(whole);
    check_part(place, handle);
}

/// A reference to a part is one to the whole.
fn whole_by_its_part() {
    let Id::Value(whole) = good!(Wanted::Value, |handle| super::nothing(ss_value_type(handle) == 0)) else {
        unreachable!()
    };
    let Chosen { handle, .. } = choose(whole);
    if byte() & 1 == 1 {
        assert_eq!(ss_retain(handle.cast()), SS_OK);
        with(|trial| trial.model.retain(Id::Value(whole)));
    }
    let expected = with(|trial| trial.model.release(Id::Value(whole)));
    assert_eq!(ss_release(handle.cast()), expected);
}

/// A value is as the model has it, and its parts one below.
fn check_part(place: usize, handle: *mut ss_value) {
    let part = with(|trial| trial.model.parts.part(place).clone());
    check(handle);
    assert_eq!(ss_value_type(handle), part.kind);
    assert_eq!(ss_value_boolean(handle), part.kind == SS_VALUE_BOOLEAN && part.number != 0.0);
    assert_eq!(ss_value_number(handle).to_bits(), part.number.to_bits());
    // SAFETY: the length is ours.
    let (bytes, class) = unsafe {
        (counted(|length| ss_value_bytes(handle, length)), counted(|length| ss_value_class_name(handle, length)))
    };
    assert_eq!(bytes, part.has_bytes().then_some(part.bytes.clone()));
    assert_eq!(class.unwrap_or_default(), part.class);
    assert_eq!((ss_value_item_count(handle), ss_value_property_count(handle)), (part.items.len(), part.named.len()));
    for (index, child) in part.items.iter().enumerate() {
        learn(*child, ss_value_item(handle, index));
    }
    for (index, (name, child)) in part.named.iter().enumerate() {
        // SAFETY: the length is ours.
        assert_eq!(counted(|length| unsafe { ss_value_property_name(handle, index, length) }).as_ref(), Some(name));
        learn(*child, ss_value_property_at(handle, index));
        let last = part.named.iter().rfind(|(other, _)| other == name).expect("it is one of them");
        let text = CString::new(name.as_slice()).expect("no NUL");
        // SAFETY: a text.
        learn(last.1, unsafe { ss_value_property(handle, text.as_ptr()) });
    }
    assert!(ss_value_item(handle, part.items.len()).is_null());
    assert!(ss_value_property_at(handle, part.named.len()).is_null());
    // SAFETY: a constant, and NULL, which is refused.
    unsafe {
        assert!(ss_value_property(handle, c"nobody's name".as_ptr()).is_null());
        assert!(ss_value_property(handle, null()).is_null());
    }
}

fn check(handle: *mut ss_value) {
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_VALUE);
}

/// The handle of a part: always the same, and nobody else's.
fn learn(place: usize, handle: *mut ss_value) {
    assert!(!handle.is_null(), "{}", socket_error());
    with(|trial| {
        let known = trial.model.find(handle.addr());
        let part = trial.model.parts.part_mut(place);
        if part.handle == 0 {
            assert_eq!(known, None);
            part.handle = handle.addr();
        }
        assert_eq!(part.handle, handle.addr());
    });
}

/// What comes to sockets is no object, or one by chance: it is taken whole, or nothing is.
fn read_object() {
    let id = good!(Wanted::Socket, |handle| try_read_object(handle).err().unwrap_or(SS_OK));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    let outcome = try_read_object(handle);
    let available = ss_socket_bytes_available(handle);
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let is_there = socket.is_connected() || socket.unread() > 0;
        match &outcome {
            Ok(_) => assert!(is_there && available < socket.unread()),
            Err(SS_ERR_IO) => assert!(!is_there),
            Err(SS_ERR_EOF | SS_ERR_ARGUMENT | SS_ERR_RANGE | SS_ERR_UNSUPPORTED) => {
                assert!(is_there && available == socket.unread())
            }
            Err(other) => panic!("{other:?}"),
        }
        socket.read += socket.unread() - available;
    });
    if let Ok(value) = outcome {
        value.describe();
    }
    super::check_socket(index);
}

thread_local! {
    /// A connection of its own, which tells what a value is in bytes, and what comes of them. It is there to the end of
    /// the process, at which the library may be gone from this thread before it.
    static SCRIBE: RefCell<Option<&'static mut Connection>> = const { RefCell::new(None) };
    /// Its objects, which are not the model's.
    static HANDLES: Cell<[Handle; 3]> = const { Cell::new([0; 3]) };
}

/// Before the first program: it has descriptors, and its connect event must not lie within other dispatches.
pub fn prepare() {
    SCRIBE.with_borrow_mut(|scribe| {
        scribe.get_or_insert_with(|| {
            let side = Side::new();
            let connection = side.connect();
            HANDLES.set([side.events.addr(), side.server.addr(), connection.socket.addr()]);
            Box::leak(Box::new(connection))
        });
    });
}

/// What is no garbage, though the model does not know it.
pub fn is_scribes(handle: Handle) -> bool {
    HANDLES.get().contains(&handle)
}

fn write_object() {
    let id = good!(Wanted::Socket, |handle| ss_socket_write_object(handle, null_mut()));
    let Id::Socket(index) = id else { unreachable!() };
    let socket = pointer(id);
    if !with(|trial| trial.model.sockets[index].is_connected()) {
        assert_eq!(ss_socket_write_object(socket, null_mut()), SS_ERR_IO);
        return;
    }
    let Id::Value(whole) = good!(Wanted::Value, |handle| ss_socket_write_object(socket, handle)) else {
        unreachable!()
    };
    let Chosen { place, handle } = choose(whole);
    let (amf0, is_plain) = with(|trial| (trial.model.sockets[index].amf0, trial.model.parts.is_plain(place)));
    let bytes = match in_bytes(handle, amf0, is_plain) {
        Ok(bytes) => bytes,
        Err(failure) => {
            assert!(!is_plain, "{failure:?} for a plain value");
            let status = ss_socket_write_object(socket, handle);
            // It may be too long for this socket besides.
            return assert!(status == failure || status == SS_ERR_RANGE, "{status:?} instead of {failure:?}");
        }
    };
    if !super::may_send(bytes.len()) {
        return;
    }
    let pending = ss_socket_bytes_pending(socket);
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.write_status(bytes.len(), pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        status
    });
    assert_eq!(ss_socket_write_object(socket, handle), expected);
    check_part(place, handle);
}

/// A value as bytes, or why there are none. What is plain must be the same when it has been read again.
fn in_bytes(value: *mut ss_value, amf0: bool, is_plain: bool) -> Result<Vec<u8>, ss_status> {
    SCRIBE.with_borrow_mut(|scribe| {
        let scribe = scribe.as_mut().expect("it was prepared");
        let encoding = if amf0 { SS_AMF0 } else { SS_AMF3 };
        assert_eq!(ss_socket_set_object_encoding(scribe.socket, encoding), SS_OK);
        let status = ss_socket_write_object(scribe.socket, value);
        if status != SS_OK {
            return Err(status);
        }
        let bytes = scribe.sent();
        if is_plain {
            scribe.receive(&bytes);
            let again = try_read_object(scribe.socket);
            assert_eq!(again.err(), None, "{}: {}", bytes.escape_ascii(), socket_error());
            assert_eq!(ss_socket_bytes_available(scribe.socket), 0);
        }
        Ok(bytes)
    })
}
