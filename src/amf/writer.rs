// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a value to bytes.
//!
//! What is met a second time is written as a reference where the encoding can do that, so that shared parts stay
//! shared and a value that goes round in circles comes to an end. Nothing recurses.

use super::markers::{amf0, amf3};
use super::value::{Container, Graph, Node, Text, Type};
use super::{Encoding, MAX_DEPTH};
use crate::error::{Failure, Result};
use crate::memory::{self, Map};

/// What AMF3 can say of a length or an index: 28 bits.
const MAX_LENGTH: usize = (1 << 28) - 1;
/// The integers that AMF3 writes as such; others are numbers to it.
const INTEGERS: std::ops::Range<i32> = -(1 << 28)..1 << 28;

/// What is written comes in pieces of so many bytes, the last one of fewer: in one it would be copied as it grows.
pub(crate) const PIECE: usize = 64 * 1024;

/// A node of `graph` in bytes, at most `limit` of them.
pub(crate) fn write(graph: &Graph, root: u32, encoding: Encoding, limit: usize) -> Result<Vec<Vec<u8>>> {
    let mut writer = Writer {
        graph,
        limit,
        pieces: Vec::new(),
        last: Vec::new(),
        frames: Vec::new(),
        seen: [Map::default(), Map::default()],
        strings: Strings::default(),
        no_class: Text::new(&[])?,
        words: Map::default(),
        shapes: Map::default(),
    };
    writer.value(root, encoding)?;
    while !writer.frames.is_empty() {
        writer.step()?;
    }
    memory::push(&mut writer.pieces, writer.last)?;
    Ok(writer.pieces)
}

struct Writer<'a> {
    graph: &'a Graph,
    limit: usize,
    /// What is full of what was written, and what is not.
    pieces: Vec<Vec<u8>>,
    last: Vec<u8>,
    /// Values that have begun, from the outermost to the innermost.
    frames: Vec<Frame>,
    /// What was written and can be referred to, in AMF0 and in AMF3.
    seen: [Map<u32, usize>; 2],
    strings: Strings,
    /// The class of what has none.
    no_class: Text,
    /// AMF3's table of strings.
    words: Map<StringId, usize>,
    shapes: Map<Shape, usize>,
}

#[derive(Clone, Copy)]
struct Frame {
    node: u32,
    version: Encoding,
    /// How many of its parts have been written.
    next: usize,
    /// AMF3: how many properties of an object come without their names, which its shape has.
    sealed: usize,
    /// Properties with names follow.
    dynamic: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Shape {
    class: StringId,
    sealed: Vec<StringId>,
    dynamic: bool,
}

type StringId = usize;

/// Numbers for strings: equal ones have the same. Those that share their bytes are told by that, so that a long string
/// which a peer refers to a hundred thousand times is looked at once. All of them outlive this.
#[derive(Default)]
struct Strings {
    by_address: Map<*const u8, StringId>,
    by_content: Map<Text, StringId>,
}

impl Strings {
    fn number(&mut self, text: &Text) -> Result<StringId> {
        if let Some(id) = self.by_address.get(&text.address()) {
            return Ok(*id);
        }
        let id = match self.by_content.get(text) {
            Some(id) => *id,
            None => {
                let next = self.by_content.len();
                memory::insert(&mut self.by_content, text.clone(), next)?;
                next
            }
        };
        memory::insert(&mut self.by_address, text.address(), id)?;
        Ok(id)
    }
}

impl Writer<'_> {
    /// Goes on with the innermost value: writes its next part, or its end.
    fn step(&mut self) -> Result<()> {
        let graph = self.graph;
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let Frame { node, version, next, sealed, dynamic } = *frame;
        frame.next += 1;
        let Some(container) = graph.node(node).container() else { return Ok(()) };
        let Container { kind, items, named, .. } = container;
        match (version, kind) {
            (Encoding::Amf0, Type::Array) if named.is_empty() => match items.get(next) {
                Some(part) => self.value(*part, version),
                None => self.end(&[]),
            },
            // Items first, under names that are their indices.
            (Encoding::Amf0, _) => match (items.get(next), named.get(next.wrapping_sub(items.len()))) {
                (Some(part), _) => {
                    self.text0(next.to_string().as_bytes())?;
                    self.value(*part, version)
                }
                (None, Some((name, part))) => {
                    self.text0(name.bytes())?;
                    self.value(*part, version)
                }
                (None, None) => self.end(&[0, 0, amf0::OBJECT_END]),
            },
            (Encoding::Amf3, Type::Object) => match named.get(next) {
                Some((_, part)) if next < sealed => self.value(*part, version),
                Some((name, part)) => {
                    self.word(name)?;
                    self.value(*part, version)
                }
                None if dynamic => self.end(&[EMPTY_WORD]),
                None => self.end(&[]),
            },
            // Properties first, then an empty name, then the items.
            (Encoding::Amf3, Type::Array) => match named.get(next) {
                Some((name, _)) if name.bytes().is_empty() => Err(Failure::invalid_parameter()
                    .because("AMF3 cannot say that an array has a property without a name; nothing was written")),
                Some((name, part)) => {
                    self.word(name)?;
                    self.value(*part, version)
                }
                None => {
                    if next == named.len() {
                        self.put(&[EMPTY_WORD])?;
                    }
                    match items.get(next - named.len()) {
                        Some(part) => self.value(*part, version),
                        None => self.end(&[]),
                    }
                }
            },
            (Encoding::Amf3, _) => match items.get(next) {
                Some(part) => self.value(*part, version),
                None => self.end(&[]),
            },
        }
    }

    fn end(&mut self, mark: &[u8]) -> Result<()> {
        self.frames.pop();
        self.put(mark)
    }

    fn value(&mut self, id: u32, version: Encoding) -> Result<()> {
        match version {
            Encoding::Amf0 => self.value0(id),
            Encoding::Amf3 => self.value3(id),
        }
    }

    fn value0(&mut self, id: u32) -> Result<()> {
        let id = self.graph.resolve(id);
        match self.graph.node(id) {
            Node::Undefined | Node::Same(_) => self.put(&[amf0::UNDEFINED]),
            Node::Null => self.put(&[amf0::NULL]),
            Node::Boolean(boolean) => self.put(&[amf0::BOOLEAN, u8::from(*boolean)]),
            Node::Integer(integer) => self.double(amf0::NUMBER, f64::from(*integer)),
            Node::Number(number) => self.double(amf0::NUMBER, *number),
            Node::Date(milliseconds) => {
                self.double(amf0::DATE, *milliseconds)?;
                self.put(&[0, 0])
            }
            Node::Text(Type::String, text) if text.bytes().len() <= u16::MAX.into() => {
                self.put(&[amf0::STRING])?;
                self.text0(text.bytes())
            }
            Node::Text(Type::String, text) => self.long_text0(amf0::LONG_STRING, text.bytes()),
            Node::Text(Type::Xml | Type::XmlDocument, text) => self.long_text0(amf0::XML_DOCUMENT, text.bytes()),
            Node::Container(container) if matches!(container.kind, Type::Array | Type::Object) => {
                if let Some(index) = self.meet(id, Encoding::Amf0)? {
                    let index = u16::try_from(index).map_err(|_| too_long("AMF0 can refer to 65536 values only"))?;
                    self.put(&[amf0::REFERENCE])?;
                    return self.put(&index.to_be_bytes());
                }
                match (&container.kind, &container.class, container.named.is_empty()) {
                    (Type::Object, None, _) => self.put(&[amf0::OBJECT])?,
                    (Type::Object, Some(class), _) => {
                        self.put(&[amf0::TYPED_OBJECT])?;
                        self.text0(class.bytes())?;
                    }
                    (_, _, true) => self.count0(amf0::STRICT_ARRAY, container.items.len())?,
                    (_, _, false) => {
                        self.count0(amf0::ECMA_ARRAY, container.items.len() + container.named.len())?;
                    }
                }
                self.open(id, Encoding::Amf0, 0, false)
            }
            // AMF0 has no such type, but it can hold one value of AMF3.
            Node::Text(..) | Node::Container(_) => {
                self.put(&[amf0::AMF3])?;
                self.value3(id)
            }
        }
    }

    fn value3(&mut self, id: u32) -> Result<()> {
        let id = self.graph.resolve(id);
        match self.graph.node(id) {
            Node::Undefined | Node::Same(_) => self.put(&[amf3::UNDEFINED]),
            Node::Null => self.put(&[amf3::NULL]),
            Node::Boolean(false) => self.put(&[amf3::FALSE]),
            Node::Boolean(true) => self.put(&[amf3::TRUE]),
            Node::Integer(integer) if INTEGERS.contains(integer) => {
                self.put(&[amf3::INTEGER])?;
                self.u29(*integer as u32 & 0x1fff_ffff)
            }
            Node::Integer(integer) => self.double(amf3::NUMBER, f64::from(*integer)),
            Node::Number(number) => self.double(amf3::NUMBER, *number),
            Node::Date(milliseconds) => match self.refer(amf3::DATE, id)? {
                true => Ok(()),
                // The length, which a date does not have.
                false => self.double(1, *milliseconds),
            },
            Node::Text(Type::String, text) => {
                self.put(&[amf3::STRING])?;
                self.word(text)
            }
            Node::Text(kind, text) => {
                let marker = match kind {
                    Type::Xml => amf3::XML,
                    Type::XmlDocument => amf3::XML_DOCUMENT,
                    _ => amf3::BYTE_ARRAY,
                };
                match self.refer(marker, id)? {
                    true => Ok(()),
                    false => {
                        self.length(text.bytes().len())?;
                        self.put(text.bytes())
                    }
                }
            }
            Node::Container(container) => self.container3(id, container),
        }
    }

    fn container3(&mut self, id: u32, container: &Container) -> Result<()> {
        let marker = match container.kind {
            Type::Object => amf3::OBJECT,
            Type::VectorInt => amf3::VECTOR_INT,
            Type::VectorUint => amf3::VECTOR_UINT,
            Type::VectorNumber => amf3::VECTOR_NUMBER,
            Type::VectorObject => amf3::VECTOR_OBJECT,
            Type::Dictionary => amf3::DICTIONARY,
            _ => amf3::ARRAY,
        };
        if self.refer(marker, id)? {
            return Ok(());
        }
        let flag = [u8::from(container.flag)];
        match container.kind {
            Type::Object => return self.object3(id, container),
            Type::Dictionary => {
                if container.items.len() % 2 != 0 {
                    return Err(Failure::invalid_parameter()
                        .because("the last key of the dictionary has no value; nothing was written"));
                }
                self.length(container.items.len() / 2)?;
                self.put(&flag)?;
            }
            Type::VectorObject => {
                self.length(container.items.len())?;
                self.put(&flag)?;
                self.word(&self.class_of(container))?;
            }
            Type::VectorInt | Type::VectorUint | Type::VectorNumber => {
                self.length(container.items.len())?;
                self.put(&flag)?;
                return self.numbers(container);
            }
            _ => self.length(container.items.len())?,
        }
        self.open(id, Encoding::Amf3, 0, false)
    }

    fn object3(&mut self, id: u32, container: &Container) -> Result<()> {
        let own = match container.flag {
            true => (container.sealed as usize).min(container.named.len()),
            false => container.named.len(),
        };
        // An empty name would end the named properties, but a shape may have one.
        let dynamic = container.flag && container.named[own..].iter().all(|(name, _)| !name.bytes().is_empty());
        let sealed = if dynamic { own } else { container.named.len() };
        let class = self.class_of(container);
        let own = &container.named[..sealed];
        let mut names = Vec::new();
        names.try_reserve_exact(sealed).map_err(|_| Failure::no_memory())?;
        for (name, _) in own {
            names.push(self.strings.number(name)?);
        }
        let shape = Shape { class: self.strings.number(&class)?, sealed: names, dynamic };
        if let Some(index) = self.shapes.get(&shape) {
            let index = *index;
            self.check_length(index << 1)?;
            self.u29((index as u32) << 2 | 0b01)?;
        } else {
            let next = self.shapes.len();
            memory::insert(&mut self.shapes, shape, next)?;
            self.check_length(sealed << 3)?;
            self.u29((sealed as u32) << 4 | u32::from(dynamic) << 3 | 0b011)?;
            self.word(&class)?;
            for (name, _) in own {
                self.word(name)?;
            }
        }
        self.open(id, Encoding::Amf3, sealed, dynamic)
    }

    fn class_of(&self, container: &Container) -> Text {
        container.class.as_ref().unwrap_or(&self.no_class).clone()
    }

    fn numbers(&mut self, container: &Container) -> Result<()> {
        for item in &container.items {
            let number = match self.graph.node(*item) {
                Node::Integer(integer) => f64::from(*integer),
                Node::Number(number) => *number,
                _ => {
                    return Err(Failure::invalid_parameter()
                        .because("an item of a vector of numbers is not a number; nothing was written"));
                }
            };
            match container.kind {
                Type::VectorNumber => self.put(&number.to_be_bytes())?,
                // The low 32 bits, as ActionScript's int() and uint() take them.
                _ => self.put(&(number as i64 as u32).to_be_bytes())?,
            }
        }
        Ok(())
    }

    /// AMF3's marker, and if the value was written before, a reference to it: then it is done.
    fn refer(&mut self, marker: u8, id: u32) -> Result<bool> {
        self.put(&[marker])?;
        let Some(index) = self.meet(id, Encoding::Amf3)? else { return Ok(false) };
        self.check_length(index)?;
        self.u29((index as u32) << 1)?;
        Ok(true)
    }

    /// Where the value stands among those that can be referred to, if it was written before. If not, it stands there
    /// from now on.
    fn meet(&mut self, id: u32, version: Encoding) -> Result<Option<usize>> {
        let seen = &mut self.seen[version as usize];
        if let Some(index) = seen.get(&id) {
            return Ok(Some(*index));
        }
        let next = seen.len();
        memory::insert(seen, id, next)?;
        Ok(None)
    }

    fn open(&mut self, node: u32, version: Encoding, sealed: usize, dynamic: bool) -> Result<()> {
        if self.frames.len() == MAX_DEPTH {
            return Err(Failure::out_of_range()
                .because(format!("the value is nested more than {MAX_DEPTH} deep; nothing was written")));
        }
        memory::push(&mut self.frames, Frame { node, version, next: 0, sealed, dynamic })
    }

    /// A string of AMF3.
    fn word(&mut self, text: &Text) -> Result<()> {
        if text.bytes().is_empty() {
            return self.put(&[EMPTY_WORD]);
        }
        let id = self.strings.number(text)?;
        if let Some(index) = self.words.get(&id) {
            let index = *index;
            self.check_length(index)?;
            return self.u29((index as u32) << 1);
        }
        let next = self.words.len();
        memory::insert(&mut self.words, id, next)?;
        self.length(text.bytes().len())?;
        self.put(text.bytes())
    }

    fn length(&mut self, length: usize) -> Result<()> {
        self.check_length(length)?;
        self.u29((length as u32) << 1 | 1)
    }

    fn check_length(&self, length: usize) -> Result<()> {
        match length <= MAX_LENGTH {
            true => Ok(()),
            false => Err(too_long("AMF3 counts to 268435455 only")),
        }
    }

    fn u29(&mut self, number: u32) -> Result<()> {
        let more = |shift: u32| (number >> shift) as u8 | 0x80;
        let seven = number as u8 & 0x7f;
        match number {
            0..0x80 => self.put(&[seven]),
            0x80..0x4000 => self.put(&[more(7), seven]),
            0x4000..0x20_0000 => self.put(&[more(14), more(7), seven]),
            _ => self.put(&[more(22), more(15), more(8), number as u8]),
        }
    }

    fn text0(&mut self, text: &[u8]) -> Result<()> {
        let length = u16::try_from(text.len()).map_err(|_| too_long("a name in AMF0 has at most 65535 bytes"))?;
        self.put(&length.to_be_bytes())?;
        self.put(text)
    }

    fn long_text0(&mut self, marker: u8, text: &[u8]) -> Result<()> {
        self.count0(marker, text.len())?;
        self.put(text)
    }

    fn count0(&mut self, marker: u8, count: usize) -> Result<()> {
        let count = u32::try_from(count).map_err(|_| too_long("AMF0 counts to 4294967295 only"))?;
        self.put(&[marker])?;
        self.put(&count.to_be_bytes())
    }

    fn double(&mut self, marker: u8, number: f64) -> Result<()> {
        self.put(&[marker])?;
        self.put(&number.to_be_bytes())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        let length = self.pieces.len() * PIECE + self.last.len();
        if length + bytes.len() > self.limit {
            return Err(Failure::out_of_range().because(format!(
                "the value can never fit: write it in parts, or raise SS_OPT_WRITE_LIMIT, which is {}",
                self.limit
            )));
        }
        while bytes.len() > PIECE - self.last.len() {
            let (part, rest) = bytes.split_at(PIECE - self.last.len());
            self.add(part)?;
            memory::push(&mut self.pieces, std::mem::take(&mut self.last))?;
            bytes = rest;
        }
        self.add(bytes)
    }

    fn add(&mut self, part: &[u8]) -> Result<()> {
        if self.last.capacity() - self.last.len() < part.len() {
            let room = if self.pieces.is_empty() { part.len().max(self.last.len()) } else { PIECE };
            let room = room.min(PIECE - self.last.len());
            self.last.try_reserve_exact(room).map_err(|_| Failure::no_memory())?;
        }
        self.last.extend_from_slice(part);
        Ok(())
    }
}

/// A length of 0, which is AMF3's empty string.
const EMPTY_WORD: u8 = 1;

fn too_long(why: &'static str) -> Failure {
    Failure::out_of_range().because(why)
}
