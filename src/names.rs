//! Event types, interned: a dispatch compares numbers and never text.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use crate::error::{Failure, Result};

/// An interned event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventType(u32);

impl EventType {
    pub(crate) const CONNECT: EventType = EventType(0);
    pub(crate) const CLOSE: EventType = EventType(1);
    pub(crate) const SOCKET_DATA: EventType = EventType(2);
    pub(crate) const OUTPUT_PROGRESS: EventType = EventType(3);
    pub(crate) const IO_ERROR: EventType = EventType(4);

    fn is_built_in(self) -> bool {
        (self.0 as usize) < BUILT_IN.len()
    }
}

/// AIR's own types in the order of their numbers; they are always there, and nobody counts their uses.
const BUILT_IN: [&CStr; 5] = [c"connect", c"close", c"socketData", c"outputProgress", c"ioError"];

/// The types in use on one thread. A type that is not AIR's own lives as long as a listener or an event uses it.
pub(crate) struct Names {
    numbers: HashMap<Rc<CStr>, u32>,
    entries: Vec<Entry>,
    vacant: Vec<u32>,
}

struct Entry {
    name: Rc<CStr>,
    uses: usize,
}

impl Names {
    pub(crate) fn new() -> Self {
        let entries: Vec<Entry> = BUILT_IN.iter().map(|name| Entry { name: Rc::from(*name), uses: 1 }).collect();
        let numbers = entries.iter().zip(0..).map(|(entry, number)| (entry.name.clone(), number)).collect();
        Names { numbers, entries, vacant: Vec::new() }
    }

    pub(crate) fn find(&self, name: &CStr) -> Option<EventType> {
        self.numbers.get(name).copied().map(EventType)
    }

    /// Interns `name`, or counts one more user of it. Each acquire is paid back by a [`release`](Names::release).
    pub(crate) fn acquire(&mut self, name: &CStr) -> Result<EventType> {
        if let Some(known) = self.find(name) {
            self.retain(known);
            return Ok(known);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(name.count_bytes() + 1).map_err(|_| Failure::no_memory())?;
        bytes.extend_from_slice(name.to_bytes());
        let name: Rc<CStr> = CString::new(bytes).expect("taken from a C string").into();
        let entry = Entry { name: name.clone(), uses: 1 };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.numbers.insert(name, number);
        Ok(EventType(number))
    }

    #[inline]
    pub(crate) fn retain(&mut self, kind: EventType) {
        if !kind.is_built_in() {
            self.entries[kind.0 as usize].uses += 1;
        }
    }

    #[inline]
    pub(crate) fn release(&mut self, kind: EventType) {
        if !kind.is_built_in() {
            self.forget(kind);
        }
    }

    fn forget(&mut self, kind: EventType) {
        let entry = &mut self.entries[kind.0 as usize];
        entry.uses -= 1;
        if entry.uses == 0 {
            self.numbers.remove(&entry.name);
            entry.name = Rc::from(c"");
            self.vacant.push(kind.0);
        }
    }

    /// The text; it stays where it is while the type is in use.
    pub(crate) fn name(&self, kind: EventType) -> &CStr {
        &self.entries[kind.0 as usize].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn airs_own_types_have_their_fixed_numbers() {
        let names = Names::new();
        assert_eq!(names.find(c"connect"), Some(EventType::CONNECT));
        assert_eq!(names.find(c"ioError"), Some(EventType::IO_ERROR));
        assert_eq!(names.name(EventType::SOCKET_DATA), c"socketData");
    }

    #[test]
    fn a_type_that_nobody_uses_any_more_is_forgotten() {
        let mut names = Names::new();
        for round in 0..1000 {
            let name = CString::new(format!("type {round}")).unwrap();
            let kind = names.acquire(&name).unwrap();
            assert_eq!(names.acquire(&name).unwrap(), kind);
            names.release(kind);
            assert_eq!(names.name(kind), &*name);
            names.release(kind);
            assert_eq!(names.find(&name), None);
        }
        assert_eq!(names.entries.len(), BUILT_IN.len() + 1);
    }
}
