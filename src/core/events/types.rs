// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event types, as numbers: a dispatch compares numbers and never text.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use crate::error::{Failure, Result};
use crate::memory;

/// The number of an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventType(u32);

impl EventType {
    pub(crate) const CONNECT: EventType = EventType(0);
    pub(crate) const CLOSE: EventType = EventType(1);
    pub(crate) const SOCKET_DATA: EventType = EventType(2);
    pub(crate) const OUTPUT_PROGRESS: EventType = EventType(3);
    pub(crate) const IO_ERROR: EventType = EventType(4);
    pub(crate) const END: EventType = EventType(5);
    pub(crate) const HANDSHAKE_ERROR: EventType = EventType(6);

    /// The one of the library's own types that has this name. Each is compared by its length first, and then by whole words.
    #[inline]
    pub(crate) fn of_air(name: &[u8]) -> Option<EventType> {
        if name == b"socketData" {
            Some(EventType::SOCKET_DATA)
        } else if name == b"close" {
            Some(EventType::CLOSE)
        } else if name == b"connect" {
            Some(EventType::CONNECT)
        } else if name == b"outputProgress" {
            Some(EventType::OUTPUT_PROGRESS)
        } else if name == b"ioError" {
            Some(EventType::IO_ERROR)
        } else if name == b"end" {
            Some(EventType::END)
        } else if name == b"handshakeError" {
            Some(EventType::HANDSHAKE_ERROR)
        } else {
            None
        }
    }

    /// Its place among the library's own types, if it is one of them.
    #[inline]
    pub(crate) fn built_in(self) -> Option<usize> {
        Some(self.0 as usize).filter(|number| *number < BUILT_IN)
    }
}

/// How many types are the library's own: AIR's, `end` and `handshakeError`. They are always there, and nobody counts their uses.
pub(crate) const BUILT_IN: usize = 7;
const BUILT_IN_NAMES: [&CStr; BUILT_IN] =
    [c"connect", c"close", c"socketData", c"outputProgress", c"ioError", c"end", c"handshakeError"];

/// What other libraries call events that have another name here.
const OTHER_NAMES: [(&[u8], EventType); 4] = [
    (b"data", EventType::SOCKET_DATA),
    (b"connection", EventType::CONNECT),
    (b"disconnect", EventType::CLOSE),
    (b"error", EventType::IO_ERROR),
];

/// The type of the library's that is meant by a name which is none of them: it differs in case or in marks between the words alone, or
/// is another library's name for it.
pub(crate) fn meant_by(name: &[u8]) -> Option<(EventType, &'static CStr)> {
    let letters = |name: &[u8]| {
        let letters = name.iter().copied().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
        letters.map(|byte| byte.to_ascii_lowercase()).take(20).collect::<Vec<u8>>()
    };
    let same = BUILT_IN_NAMES.iter().position(|built_in| letters(built_in.to_bytes()) == letters(name));
    let meant = match same {
        Some(number) => EventType(number as u32),
        None => OTHER_NAMES.iter().find(|(other, _)| *other == name)?.1,
    };
    Some((meant, BUILT_IN_NAMES[meant.0 as usize]))
}

/// The types in use on one thread. A type that is not the library's own lives as long as a listener or an event uses it.
pub(crate) struct EventTypes {
    numbers: BTreeMap<Name, u32>,
    /// By number, less those of the library's own.
    entries: Vec<Entry>,
    vacant: Vec<u32>,
}

struct Entry {
    /// `None` while nobody uses it.
    name: Option<Name>,
    uses: usize,
}

/// The text stays where it is while anybody has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name(Rc<CString>);

impl Borrow<CStr> for Name {
    fn borrow(&self) -> &CStr {
        &self.0
    }
}

impl EventTypes {
    pub(crate) const fn new() -> Self {
        EventTypes { numbers: BTreeMap::new(), entries: Vec::new(), vacant: Vec::new() }
    }

    #[inline]
    pub(crate) fn find(&self, name: &CStr) -> Option<EventType> {
        EventType::of_air(name.to_bytes()).or_else(|| self.find_other(name))
    }

    fn find_other(&self, name: &CStr) -> Option<EventType> {
        self.numbers.get(name).copied().map(EventType)
    }

    /// The type of that name, with one more user. Each acquire is paid back by a [`release`](EventTypes::release).
    #[inline]
    pub(crate) fn acquire(&mut self, name: &CStr) -> Result<EventType> {
        match self.find(name) {
            Some(known) => {
                self.retain(known);
                Ok(known)
            }
            None => self.add(name),
        }
    }

    #[cold]
    fn add(&mut self, name: &CStr) -> Result<EventType> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(name.count_bytes() + 1).map_err(|_| Failure::no_memory())?;
        bytes.extend_from_slice(name.to_bytes());
        let name = Name(memory::shared(CString::new(bytes).expect("taken from a C string"))?);
        // So that to forget it takes no memory.
        let room = self.entries.try_reserve(1).and_then(|()| self.vacant.try_reserve(self.entries.len() + 1));
        room.map_err(|_| Failure::no_memory())?;
        let entry = Entry { name: Some(name.clone()), uses: 1 };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.entries[number as usize - BUILT_IN] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                (BUILT_IN + self.entries.len() - 1) as u32
            }
        };
        self.numbers.insert(name, number);
        Ok(EventType(number))
    }

    #[inline]
    pub(crate) fn retain(&mut self, kind: EventType) {
        if kind.built_in().is_none() {
            self.entries[kind.0 as usize - BUILT_IN].uses += 1;
        }
    }

    #[inline]
    pub(crate) fn release(&mut self, kind: EventType) {
        if kind.built_in().is_none() {
            self.forget(kind);
        }
    }

    fn forget(&mut self, kind: EventType) {
        let entry = &mut self.entries[kind.0 as usize - BUILT_IN];
        entry.uses -= 1;
        if entry.uses == 0 {
            if let Some(name) = entry.name.take() {
                self.numbers.remove(&name);
            }
            self.vacant.push(kind.0);
        }
    }

    /// The text; it stays where it is while the type is in use.
    pub(crate) fn name(&self, kind: EventType) -> &CStr {
        match kind.built_in() {
            Some(number) => BUILT_IN_NAMES[number],
            None => self.entries[kind.0 as usize - BUILT_IN].name.as_ref().map_or(c"", Name::borrow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_own_types_have_their_fixed_numbers() {
        let types = EventTypes::new();
        for (number, name) in BUILT_IN_NAMES.into_iter().enumerate() {
            assert_eq!(types.find(name).and_then(EventType::built_in), Some(number));
        }
        assert_eq!(types.find(c"connect"), Some(EventType::CONNECT));
        assert_eq!(types.find(c"ioError"), Some(EventType::IO_ERROR));
        assert_eq!(types.find(c"end"), Some(EventType::END));
        assert_eq!(types.name(EventType::SOCKET_DATA), c"socketData");
    }

    #[test]
    fn a_name_that_is_nearly_one_of_airs_is_told_from_a_programs_own() {
        let meant = |name: &str| meant_by(name.as_bytes()).map(|(_, meant)| meant.to_str().unwrap());
        for (name, air) in [
            ("socketdata", "socketData"),
            ("SOCKET_DATA", "socketData"),
            ("io-error", "ioError"),
            ("Connect", "connect"),
            ("data", "socketData"),
            ("connection", "connect"),
        ] {
            assert_eq!(meant(name), Some(air));
        }
        for name in ["", "message", "Data", "connected", "myError", "closed", "socketDataaaaaaaaaaaaaaaaaaaaaaa"] {
            assert_eq!(meant(name), None);
        }
    }

    #[test]
    fn a_type_that_nobody_uses_any_more_is_forgotten() {
        let mut types = EventTypes::new();
        for round in 0..1000 {
            let name = CString::new(format!("type {round}")).unwrap();
            let kind = types.acquire(&name).unwrap();
            assert_eq!(types.acquire(&name).unwrap(), kind);
            types.release(kind);
            assert_eq!(types.name(kind), &*name);
            types.release(kind);
            assert_eq!(types.find(&name), None);
        }
        assert_eq!(types.entries.len(), 1);
    }
}
