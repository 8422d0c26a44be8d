// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grammar of AMF0 and AMF3, as a machine that takes one token at a time.
//!
//! A token is taken as a whole or not at all, so that the machine can stop where the bytes do, and go on later. It does
//! not recurse, bounds the depth, and counts what the value would take in memory before anything is allocated for it.
//! Nothing is ever reserved for a length that a peer announces.

use super::input::{Header, Input};
use super::markers::{amf0, amf3};
use super::sink::{Fault, Outcome, Sink, Stop, Word};
use super::value::{Container, Node, Text, Type};
use super::{Encoding, MAX_DEPTH};
use crate::memory::push;

/// What is to come of a value that has begun.
#[derive(Clone, Copy)]
enum Frame {
    Items {
        version: Encoding,
        left: u32,
    },
    Numbers {
        kind: Type,
        left: u32,
    },
    /// Names and values until an empty name, then items.
    ArrayNames {
        items: u32,
    },
    /// Names of a shape, then an object of it.
    Shape {
        left: u32,
    },
    Shaped {
        shape: u32,
        next: u32,
    },
    /// Names and values until an empty name.
    Dynamic,
    /// AMF0: names and values until an empty name with an end marker.
    Properties,
}

#[derive(Clone, Copy)]
struct Shape {
    sealed: u32,
    dynamic: bool,
}

pub(super) struct Reader<S> {
    pub(super) sink: S,
    encoding: Encoding,
    /// The bytes that were taken.
    position: usize,
    begun: bool,
    /// The name of the innermost value's next part has been taken, the part has not.
    named: bool,
    frames: Vec<Frame>,
    strings: u32,
    /// How many values were met that a reference may name, in AMF0 and in AMF3.
    counted: [u32; 2],
    shapes: Vec<Shape>,
    /// Bytes of memory that the rest of the value may take.
    memory: usize,
    /// How many nodes it has so far.
    pub(super) nodes: usize,
}

// What things take in memory, at the most: lists are up to twice as long as what is in them, and the allocator has its own
// share. The test `out_of_memory` measures that no value takes more.

/// What is kept of each allocation by the allocator.
const ALLOCATION: usize = 2 * size_of::<usize>();
/// The host's handle of a node, which it may ask for: its place, its slot's word, and where it is found by its node.
const HANDLE: usize = 32;
const REFERENCE: usize = 2 * size_of::<u32>();
const PART: usize = size_of::<Node>() + HANDLE + REFERENCE;
/// Lists begin with room for four.
const LISTS: usize = 4 * (size_of::<u32>() + size_of::<(Text, u32)>()) + 2 * ALLOCATION;
const CONTAINER: usize = size_of::<Container>() + ALLOCATION + LISTS + PART;
const NAMED: usize = 2 * size_of::<(Text, u32)>();
/// A string's own, beyond its bytes: the counters, the pointer, its place in the table of strings.
const TEXT: usize = 6 * size_of::<usize>() + 3 * ALLOCATION;
/// A shape here and at the builder, and the list of its names.
const SHAPE: usize = 2 * (size_of::<Shape>() + 5 * size_of::<usize>()) + 4 * size_of::<Text>() + ALLOCATION;

impl<S: Sink> Reader<S> {
    pub(super) fn new(encoding: Encoding, memory: usize, sink: S) -> Self {
        Reader {
            sink,
            encoding,
            position: 0,
            begun: false,
            named: false,
            frames: Vec::new(),
            strings: 0,
            counted: [0; 2],
            shapes: Vec::new(),
            memory,
            nodes: 0,
        }
    }

    /// Reads on, in bytes that begin with those of the calls before. Returns the length of the value.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Outcome<usize> {
        while !self.begun || !self.frames.is_empty() {
            let mut input = Input { bytes, position: self.position };
            self.step(&mut input)?;
            self.position = input.position;
        }
        Ok(self.position)
    }

    /// One token. Nothing but the sink may have changed if it fails.
    fn step(&mut self, input: &mut Input) -> Outcome {
        let Some(frame) = self.frames.last().copied() else {
            self.value(self.encoding, input)?;
            self.begun = true;
            return Ok(());
        };
        let top = self.frames.len() - 1;
        match frame {
            Frame::Items { left: 0, .. } | Frame::Numbers { left: 0, .. } => self.close(),
            Frame::Items { version, left } => {
                self.value(version, input)?;
                self.frames[top] = Frame::Items { version, left: left - 1 };
            }
            Frame::Numbers { kind, left } => {
                self.number(kind, input)?;
                self.frames[top] = Frame::Numbers { kind, left: left - 1 };
            }
            Frame::Shape { left: 0 } => {
                let shape = self.shapes.len() as u32 - 1;
                self.sink.open_shaped(shape)?;
                self.count(Encoding::Amf3)?;
                self.frames[top] = Frame::Shaped { shape, next: 0 };
            }
            Frame::Shape { left } => {
                let word = self.word(input)?;
                self.spend(2 * size_of::<Text>() + cost(word))?;
                self.sink.shape_name(word)?;
                self.frames[top] = Frame::Shape { left: left - 1 };
            }
            Frame::Shaped { shape, next } => self.shaped(top, shape, next, input)?,
            Frame::ArrayNames { .. } | Frame::Dynamic if self.named => {
                self.value(Encoding::Amf3, input)?;
                self.named = false;
            }
            Frame::ArrayNames { .. } | Frame::Dynamic => match (self.word(input)?, frame) {
                (Word::Empty, Frame::ArrayNames { items }) => {
                    self.frames[top] = Frame::Items { version: Encoding::Amf3, left: items };
                }
                (Word::Empty, _) => self.close(),
                (word, _) => self.name(word)?,
            },
            Frame::Properties if self.named => {
                self.value(Encoding::Amf0, input)?;
                self.named = false;
            }
            Frame::Properties => self.property0(input)?,
        }
        Ok(())
    }

    /// The next of the properties that an object's shape names, or what comes after them.
    fn shaped(&mut self, top: usize, shape: u32, next: u32, input: &mut Input) -> Outcome {
        let Shape { sealed, dynamic } = self.shapes[shape as usize];
        if next < sealed {
            self.sink.shaped_name(shape, next);
            self.value(Encoding::Amf3, input)?;
            self.spend(NAMED)?;
            self.frames[top] = Frame::Shaped { shape, next: next + 1 };
        } else if dynamic {
            self.frames[top] = Frame::Dynamic;
        } else {
            self.close();
        }
        Ok(())
    }

    /// The name of AMF0's next property, or the end of them.
    fn property0(&mut self, input: &mut Input) -> Outcome {
        let name = input.text0()?;
        if matches!(name, Word::Empty) && input.peek()? == amf0::OBJECT_END {
            input.byte()?;
            self.close();
            return Ok(());
        }
        self.name(name)
    }

    fn value(&mut self, version: Encoding, input: &mut Input) -> Outcome {
        match version {
            Encoding::Amf0 => self.value0(input),
            Encoding::Amf3 => self.value3(input),
        }
    }

    fn value0(&mut self, input: &mut Input) -> Outcome {
        match input.byte()? {
            amf0::NUMBER => {
                let number = input.double()?;
                self.leaf(Node::Number(number))
            }
            amf0::BOOLEAN => {
                let boolean = input.byte()? != 0;
                self.leaf(Node::Boolean(boolean))
            }
            amf0::STRING => {
                let word = input.text0()?;
                self.text(Type::String, word)
            }
            amf0::OBJECT => self.open(Type::Object, Word::Empty, true, Encoding::Amf0, Frame::Properties),
            amf0::NULL => self.leaf(Node::Null),
            amf0::UNDEFINED | amf0::UNSUPPORTED => self.leaf(Node::Undefined),
            amf0::REFERENCE => {
                let index = input.short()?;
                self.reference(Encoding::Amf0, index.into())
            }
            amf0::ECMA_ARRAY => {
                // The count is a hint, and peers send all kinds of numbers.
                input.int()?;
                self.open(Type::Array, Word::Empty, false, Encoding::Amf0, Frame::Properties)
            }
            amf0::STRICT_ARRAY => {
                let left = input.int()?;
                let items = Frame::Items { version: Encoding::Amf0, left };
                self.open(Type::Array, Word::Empty, false, Encoding::Amf0, items)
            }
            amf0::DATE => {
                let milliseconds = input.double()?;
                // A time zone: reserved, and without meaning.
                input.short()?;
                self.leaf(Node::Date(milliseconds))
            }
            amf0::LONG_STRING => {
                let word = input.long_text0()?;
                self.text(Type::String, word)
            }
            amf0::XML_DOCUMENT => {
                let word = input.long_text0()?;
                self.text(Type::XmlDocument, word)
            }
            amf0::TYPED_OBJECT => {
                let class = input.text0()?;
                self.open(Type::Object, class, false, Encoding::Amf0, Frame::Properties)
            }
            amf0::AMF3 => self.value3(input),
            _ => Err(malformed("there is no AMF0 type of that number")),
        }
    }

    fn value3(&mut self, input: &mut Input) -> Outcome {
        match input.byte()? {
            amf3::UNDEFINED => self.leaf(Node::Undefined),
            amf3::NULL => self.leaf(Node::Null),
            amf3::FALSE => self.leaf(Node::Boolean(false)),
            amf3::TRUE => self.leaf(Node::Boolean(true)),
            amf3::INTEGER => {
                // 29 bits, of which the highest is the sign.
                let integer = (input.u29()? << 3) as i32 >> 3;
                self.leaf(Node::Integer(integer))
            }
            amf3::NUMBER => {
                let number = input.double()?;
                self.leaf(Node::Number(number))
            }
            amf3::STRING => {
                let word = self.word(input)?;
                self.text(Type::String, word)
            }
            amf3::XML_DOCUMENT => self.counted_text(Type::XmlDocument, input),
            amf3::DATE => match input.header()? {
                Header::Reference(index) => self.reference(Encoding::Amf3, index),
                Header::Length(_) => {
                    let milliseconds = input.double()?;
                    self.leaf(Node::Date(milliseconds))?;
                    self.count(Encoding::Amf3)
                }
            },
            amf3::ARRAY => match input.header()? {
                Header::Reference(index) => self.reference(Encoding::Amf3, index),
                Header::Length(items) => {
                    let names = Frame::ArrayNames { items };
                    self.open(Type::Array, Word::Empty, false, Encoding::Amf3, names)
                }
            },
            amf3::OBJECT => self.object3(input),
            amf3::XML => self.counted_text(Type::Xml, input),
            amf3::BYTE_ARRAY => self.counted_text(Type::ByteArray, input),
            amf3::VECTOR_INT => self.vector(Type::VectorInt, input),
            amf3::VECTOR_UINT => self.vector(Type::VectorUint, input),
            amf3::VECTOR_NUMBER => self.vector(Type::VectorNumber, input),
            amf3::VECTOR_OBJECT => self.vector(Type::VectorObject, input),
            amf3::DICTIONARY => match input.header()? {
                Header::Reference(index) => self.reference(Encoding::Amf3, index),
                Header::Length(pairs) => {
                    let weak = input.byte()? != 0;
                    // At most 28 bits, so that twice as many are no trouble.
                    let items = Frame::Items { version: Encoding::Amf3, left: pairs * 2 };
                    self.open(Type::Dictionary, Word::Empty, weak, Encoding::Amf3, items)
                }
            },
            _ => Err(malformed("there is no AMF3 type of that number")),
        }
    }

    fn object3(&mut self, input: &mut Input) -> Outcome {
        let header = input.u29()?;
        if header & 0b1 == 0 {
            return self.reference(Encoding::Amf3, header >> 1);
        }
        if header & 0b10 == 0 {
            let shape = header >> 2;
            if shape as usize >= self.shapes.len() {
                return Err(malformed("an object refers to a class that was not described"));
            }
            self.check_depth()?;
            self.spend(CONTAINER)?;
            self.nodes += 1;
            self.sink.open_shaped(shape)?;
            push(&mut self.frames, Frame::Shaped { shape, next: 0 })?;
            return self.count(Encoding::Amf3);
        }
        if header & 0b100 != 0 {
            return Err(Stop::Fault(Fault::Externalizable));
        }
        let shape = Shape { sealed: header >> 4, dynamic: header & 0b1000 != 0 };
        let class = self.word(input)?;
        self.check_depth()?;
        self.spend(SHAPE + CONTAINER + cost(class))?;
        self.nodes += 1;
        push(&mut self.shapes, shape)?;
        self.sink.shape(class, shape.dynamic)?;
        Ok(push(&mut self.frames, Frame::Shape { left: shape.sealed })?)
    }

    fn vector(&mut self, kind: Type, input: &mut Input) -> Outcome {
        let left = match input.header()? {
            Header::Reference(index) => return self.reference(Encoding::Amf3, index),
            Header::Length(left) => left,
        };
        let fixed = input.byte()? != 0;
        let (class, items) = match kind {
            Type::VectorObject => (self.word(input)?, Frame::Items { version: Encoding::Amf3, left }),
            _ => (Word::Empty, Frame::Numbers { kind, left }),
        };
        self.open(kind, class, fixed, Encoding::Amf3, items)
    }

    /// An item of a vector of numbers.
    fn number(&mut self, kind: Type, input: &mut Input) -> Outcome {
        let number = match kind {
            Type::VectorNumber => Node::Number(input.double()?),
            Type::VectorInt => Node::Integer(input.int()? as i32),
            _ => {
                let number = input.int()?;
                i32::try_from(number).map_or(Node::Number(number.into()), Node::Integer)
            }
        };
        self.leaf(number)
    }

    /// A string of AMF3. It must be the last thing that is taken in a step, since it is counted here.
    fn word<'a>(&mut self, input: &mut Input<'a>) -> Outcome<Word<'a>> {
        match input.header()? {
            Header::Reference(index) if index < self.strings => Ok(Word::Known(index)),
            Header::Reference(_) => Err(malformed("a reference to a string that did not come")),
            Header::Length(0) => Ok(Word::Empty),
            Header::Length(length) => {
                let bytes = input.take(length as usize)?;
                self.strings += 1;
                Ok(Word::New(bytes))
            }
        }
    }

    /// XML or a byte array of AMF3.
    fn counted_text(&mut self, kind: Type, input: &mut Input) -> Outcome {
        match input.header()? {
            Header::Reference(index) => self.reference(Encoding::Amf3, index),
            Header::Length(length) => {
                let bytes = input.take(length as usize)?;
                self.text(kind, Word::Plain(bytes))?;
                self.count(Encoding::Amf3)
            }
        }
    }

    fn leaf(&mut self, value: Node) -> Outcome {
        self.spend(PART)?;
        self.nodes += 1;
        self.sink.leaf(value)
    }

    fn text(&mut self, kind: Type, word: Word) -> Outcome {
        self.spend(PART + cost(word))?;
        self.nodes += 1;
        self.sink.text(kind, word)
    }

    fn name(&mut self, word: Word) -> Outcome {
        self.spend(NAMED + cost(word))?;
        self.sink.name(word)?;
        self.named = true;
        Ok(())
    }

    fn reference(&mut self, version: Encoding, index: u32) -> Outcome {
        if index >= self.counted[version as usize] {
            return Err(malformed("a reference to a value that did not come"));
        }
        self.spend(REFERENCE)?;
        self.sink.reference(version, index)
    }

    fn count(&mut self, version: Encoding) -> Outcome {
        self.spend(REFERENCE)?;
        self.counted[version as usize] += 1;
        self.sink.count(version)
    }

    fn open(&mut self, kind: Type, class: Word, flag: bool, version: Encoding, rest: Frame) -> Outcome {
        self.check_depth()?;
        self.spend(CONTAINER + cost(class))?;
        self.nodes += 1;
        self.sink.open(kind, class, flag)?;
        push(&mut self.frames, rest)?;
        self.count(version)
    }

    fn close(&mut self) {
        self.frames.pop();
        self.sink.close();
    }

    fn check_depth(&self) -> Outcome {
        match self.frames.len() < MAX_DEPTH {
            true => Ok(()),
            false => Err(Stop::Fault(Fault::TooDeep)),
        }
    }

    fn spend(&mut self, memory: usize) -> Outcome {
        self.memory = self.memory.checked_sub(memory).ok_or(Stop::Fault(Fault::TooLarge))?;
        Ok(())
    }
}

/// What a string takes in memory. One that is only referred to is shared.
fn cost(word: Word) -> usize {
    match word {
        Word::Plain(bytes) | Word::New(bytes) => bytes.len() + TEXT,
        Word::Empty | Word::Known(_) => 0,
    }
}

pub(super) fn malformed(what: &'static str) -> Stop {
    Stop::Fault(Fault::Malformed(what))
}
