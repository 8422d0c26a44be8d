// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values in programs: built, set, joined, copied, looked at, and given to sockets, from anywhere.
//!
//! The model keeps all values' parts side by side, whichever whole they belong to.

mod parts;
mod scribe;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use super::{Subject, Wanted, byte, check_socket, good, may_send, nothing, pointer, subject, with};
use crate::common::{Connection, Side, counted, is_type, socket_error, try_read_object};
use crate::model::*;
use server_socket::ss_status::{self, *};
use server_socket::*;

pub use parts::{Part, Values};
pub use scribe::{is_scribes, prepare};
use scribe::{read_object, write_object};

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
    let Id::Value(whole) = good!(Wanted::Value, |handle| nothing(call(handle).is_null())) else { unreachable!() };
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
        nothing(ss_value_property_at(handle, 0).is_null())
    });
    let Id::Value(whole) = id else { unreachable!() };
    let Chosen { place, handle } = choose(whole);
    check_part(place, handle);
}

/// A reference to a part is one to the whole.
fn whole_by_its_part() {
    let Id::Value(whole) = good!(Wanted::Value, |handle| nothing(ss_value_type(handle) == 0)) else { unreachable!() };
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
