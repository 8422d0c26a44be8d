// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the machine tells of what it meets, and to whom.

use super::Encoding;
use super::value::{Node, Type};

/// Why the machine stopped before the end of the value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There must be at least this many bytes.
    Incomplete(usize),
    Fault(Fault),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed(&'static str),
    TooDeep,
    TooLarge,
    Externalizable,
    NoMemory,
}

pub(super) type Outcome<T = ()> = Result<T, Stop>;

/// A string as it stands in the bytes.
#[derive(Clone, Copy)]
pub(super) enum Word<'a> {
    Empty,
    /// AMF0's: nothing refers to it later.
    Plain(&'a [u8]),
    /// The next one of AMF3's table of strings.
    New(&'a [u8]),
    Known(u32),
}

/// Who wants to know what the machine meets. What does not interest it does nothing.
pub(super) trait Sink {
    /// A value without parts.
    fn leaf(&mut self, _value: Node) -> Outcome {
        Ok(())
    }
    /// A string, XML or a byte array.
    fn text(&mut self, _kind: Type, _word: Word) -> Outcome {
        Ok(())
    }
    /// A value that was met before: the `_index`th of those that this version counts.
    fn reference(&mut self, _version: Encoding, _index: u32) -> Outcome {
        Ok(())
    }
    /// The value just met is one that this version counts.
    fn count(&mut self, _version: Encoding) -> Outcome {
        Ok(())
    }
    /// A value with parts, which follow, up to its [`close`](Sink::close).
    fn open(&mut self, _kind: Type, _class: Word, _flag: bool) -> Outcome {
        Ok(())
    }
    /// The name of the part that comes next.
    fn name(&mut self, _word: Word) -> Outcome {
        Ok(())
    }
    fn close(&mut self) {}
    /// A new shape of objects (AMF3's traits): its class, then the names of the properties that all of them have.
    fn shape(&mut self, _class: Word, _dynamic: bool) -> Outcome {
        Ok(())
    }
    fn shape_name(&mut self, _word: Word) -> Outcome {
        Ok(())
    }
    /// An object of a known shape, as [`open`](Sink::open).
    fn open_shaped(&mut self, _shape: u32) -> Outcome {
        Ok(())
    }
    /// The part that comes next is the `_index`th property of the shape.
    fn shaped_name(&mut self, _shape: u32, _index: u32) {}
}

/// The sink that keeps nothing.
pub(super) struct Scan;

impl Sink for Scan {}
