// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::value::{Graph, Node, Text, Type};
use super::{Encoding, ObjectInput};
use crate::error::{Class, Result};

use Encoding::{Amf0, Amf3};

/// What a socket lets in unless it is told otherwise.
const LIMIT: usize = 1024 * 1024;

/// Only a failing test takes that long, even on a slow machine and without optimisation.
const DEADLINE: Duration = Duration::from_secs(30);

// ---- Values in short ------------------------------------------------------------------------------------------------

/// A value as text. What was written before, and is counted by the encoding, is a `#` and its number.
fn describe(graph: &Graph, encoding: Encoding) -> String {
    let mut text = String::new();
    Description { graph, encoding, seen: HashMap::new(), text: &mut text }.value(Graph::ROOT);
    text
}

struct Description<'a> {
    graph: &'a Graph,
    encoding: Encoding,
    seen: HashMap<u32, usize>,
    text: &'a mut String,
}

impl Description<'_> {
    fn put(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    fn value(&mut self, id: u32) {
        let id = self.graph.resolve(id);
        let node = self.graph.node(id);
        let counted = match node.kind() {
            Type::Undefined | Type::Null | Type::Boolean | Type::Integer | Type::Number | Type::String => false,
            Type::Array | Type::Object | Type::VectorObject | Type::Dictionary => true,
            _ => self.encoding == Amf3,
        };
        if counted {
            let next = self.seen.len();
            if let Some(number) = self.seen.get(&id) {
                return self.put(format!("#{number}"));
            }
            self.seen.insert(id, next);
        }
        match node {
            Node::Undefined | Node::Same(_) => self.put("undefined"),
            Node::Null => self.put("null"),
            Node::Boolean(boolean) => self.put(format!("{boolean}")),
            // In AMF0 all numbers are of one type, and all XML.
            Node::Integer(integer) if self.encoding == Amf0 => self.put(format!("{:?}", f64::from(*integer))),
            Node::Integer(integer) => self.put(format!("{integer}")),
            Node::Number(number) => self.put(format!("{number:?}")),
            Node::Date(milliseconds) => self.put(format!("Date({milliseconds:?})")),
            Node::Text(Type::String, text) => self.put(format!("'{}'", text.bytes().escape_ascii())),
            Node::Text(Type::Xml, text) if self.encoding == Amf0 => {
                self.put(format!("XmlDocument({})", text.bytes().escape_ascii()));
            }
            Node::Text(kind, text) => self.put(format!("{kind:?}({})", text.bytes().escape_ascii())),
            Node::Container(container) => {
                if let Some(class) = &container.class {
                    self.put(format!("{} ", class.bytes().escape_ascii()));
                }
                if container.kind != Type::Array && container.kind != Type::Object {
                    self.put(format!("{:?}{} ", container.kind, if container.flag { "!" } else { "" }));
                }
                self.put(if container.kind == Type::Object { "{" } else { "[" });
                for (index, item) in container.items.iter().enumerate() {
                    self.put(if index == 0 { "" } else { ", " });
                    self.value(*item);
                }
                for (index, (name, part)) in container.named.iter().enumerate() {
                    self.put(if index == 0 && container.items.is_empty() { "" } else { ", " });
                    self.put(format!("{}: ", name.bytes().escape_ascii()));
                    self.value(*part);
                }
                self.put(if container.kind == Type::Object { "}" } else { "]" });
            }
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn read(encoding: Encoding, bytes: &[u8]) -> Result<(Graph, usize)> {
    ObjectInput { encoding, ..Default::default() }.read(None, bytes, LIMIT)
}

#[track_caller]
fn refuses(encoding: Encoding, bytes: &[u8], class: Class) {
    let start = Instant::now();
    assert_eq!(read(encoding, bytes).map(|_| ()).unwrap_err().class, class);
    assert!(start.elapsed() < DEADLINE);
}

fn write(graph: &Graph, root: u32, encoding: Encoding, limit: usize) -> Result<Vec<u8>> {
    super::write(graph, root, encoding, limit).map(|pieces| pieces.concat())
}

fn bytes_of(graph: &Graph, encoding: Encoding) -> Result<Vec<u8>> {
    write(graph, Graph::ROOT, encoding, usize::MAX)
}

// ---- The types, as the specifications have them -----------------------------------------------------------------------

/// Bytes, and what they mean. Unless they end in a `~`, writing that must give the same bytes.
const VECTORS: &[(Encoding, &str, &str)] = &[
    // AMF 0, 2.2: number
    (Amf0, "00 3ff0000000000000", "1.0"),
    (Amf0, "00 c045400000000000", "-42.5"),
    (Amf0, "00 7ff0000000000000", "inf"),
    // 2.3: boolean
    (Amf0, "01 00", "false"),
    (Amf0, "01 01", "true"),
    (Amf0, "01 7f ~", "true"),
    // 2.4, 2.14: string, long string
    (Amf0, "02 0000", "''"),
    (Amf0, "02 0003 666f6f", "'foo'"),
    (Amf0, "02 0003 e282ac", r"'\xe2\x82\xac'"),
    (Amf0, "0c 00000003 666f6f ~", "'foo'"),
    // 2.5, 2.18: anonymous object, typed object
    (Amf0, "03 0000 09", "{}"),
    (Amf0, "03 0001 61 05 0001 62 02 0001 78 0000 09", "{a: null, b: 'x'}"),
    (Amf0, "03 0000 05 0000 09", "{: null}"),
    (Amf0, "10 0003 666f6f 0003 62617a 05 0000 09", "foo {baz: null}"),
    // 2.7, 2.8: null, undefined; 2.15: unsupported
    (Amf0, "05", "null"),
    (Amf0, "06", "undefined"),
    (Amf0, "0d ~", "undefined"),
    // 2.9: reference
    (Amf0, "0a 00000002 03 0000 09 07 0001", "[{}, #1]"),
    (Amf0, "03 0001 61 07 0000 0000 09", "{a: #0}"),
    // 2.10: ECMA array
    (Amf0, "08 00000001 0001 61 05 0000 09", "[a: null]"),
    (Amf0, "08 00000002 0001 30 05 0001 61 06 0000 09", "[null, a: undefined]"),
    (Amf0, "08 00000000 0001 30 05 0001 31 06 0000 09 ~", "[null, undefined]"),
    (Amf0, "08 ffffffff 0001 31 05 0000 09 ~", "[1: null]"),
    // 2.12: strict array
    (Amf0, "0a 00000000", "[]"),
    (Amf0, "0a 00000003 00 3ff0000000000000 01 01 02 0001 61", "[1.0, true, 'a']"),
    // 2.13: date, with and without the time zone that means nothing
    (Amf0, "0b 4271f71fb0450000 0000", "Date(1234567890000.0)"),
    (Amf0, "0b 4271f71fb0450000 ffc4 ~", "Date(1234567890000.0)"),
    // 2.17: XML document
    (Amf0, "0f 00000004 3c612f3e", "XmlDocument(<a/>)"),
    // 3.1: one value of AMF3
    (Amf0, "11 0c 07 010203", r"ByteArray(\x01\x02\x03)"),
    (Amf0, "0a 00000002 11 0c 03 ff 11 0c 00", r"[ByteArray(\xff), ByteArray(\xff)]"),
    (Amf0, "11 04 05 ~", "5.0"),
    // AMF 3, 3.2 to 3.5
    (Amf3, "00", "undefined"),
    (Amf3, "01", "null"),
    (Amf3, "02", "false"),
    (Amf3, "03", "true"),
    // 3.6, 1.3.1: integers at the edges of their one to four bytes
    (Amf3, "04 00", "0"),
    (Amf3, "04 7f", "127"),
    (Amf3, "04 8100", "128"),
    (Amf3, "04 ff7f", "16383"),
    (Amf3, "04 818000", "16384"),
    (Amf3, "04 ffff7f", "2097151"),
    (Amf3, "04 80c08000", "2097152"),
    (Amf3, "04 bfffffff", "268435455"),
    (Amf3, "04 ffffffff", "-1"),
    (Amf3, "04 c0808000", "-268435456"),
    // 3.7: double
    (Amf3, "05 3ff8000000000000", "1.5"),
    (Amf3, "05 41b0000000000000", "268435456.0"),
    // 3.8: string, by value and by reference
    (Amf3, "06 01", "''"),
    (Amf3, "06 07 666f6f", "'foo'"),
    (Amf3, "09 07 01 06 03 61 06 00 06 01", "['a', 'a', '']"),
    // 3.9, 3.13: XML
    (Amf3, "07 09 3c612f3e", "XmlDocument(<a/>)"),
    (Amf3, "0b 09 3c612f3e", "Xml(<a/>)"),
    (Amf3, "09 05 01 0b 09 3c612f3e 0b 02", "[Xml(<a/>), #1]"),
    // 3.10: date
    (Amf3, "08 01 4271f71fb0450000", "Date(1234567890000.0)"),
    (Amf3, "09 05 01 08 01 0000000000000000 08 02", "[Date(0.0), #1]"),
    // 3.11: array, dense and with names
    (Amf3, "09 01 01", "[]"),
    (Amf3, "09 07 01 04 01 03 01", "[1, true, null]"),
    (Amf3, "09 03 03 61 04 02 01 04 01", "[1, a: 2]"),
    (Amf3, "09 03 01 09 00", "[#0]"),
    // 3.12: object: anonymous, of a class, of a class and dynamic; traits by reference; itself
    (Amf3, "0a 0b 01 01", "{}"),
    (Amf3, "0a 0b 01 03 61 04 01 03 62 06 00 01", "{a: 1, b: 'a'}"),
    (Amf3, "0a 13 07 666f6f 03 61 04 01", "foo {a: 1}"),
    (Amf3, "0a 1b 07 666f6f 03 61 04 01 03 62 04 02 01", "foo {a: 1, b: 2}"),
    (Amf3, "09 05 01 0a 13 07 666f6f 03 61 04 01 0a 01 04 02", "[foo {a: 1}, foo {a: 2}]"),
    (Amf3, "09 05 01 0a 0b 01 03 61 04 01 01 0a 01 03 62 04 02 01", "[{a: 1}, {b: 2}]"),
    (Amf3, "0a 13 01 01 01", "{: null}"),
    (Amf3, "0a 0b 01 03 61 0a 00 01", "{a: #0}"),
    // What flash-lso writes wrongly: a date, and equal objects, before a reference.
    (Amf3, "09 09 01 08 01 0000000000000000 0a 0b 01 01 0a 01 01 0a 06", "[Date(0.0), {}, {}, #3]"),
    // 3.14: byte array
    (Amf3, "0c 01", "ByteArray()"),
    (Amf3, "0c 05 00ff", r"ByteArray(\x00\xff)"),
    (Amf3, "09 05 01 0c 03 07 0c 02", r"[ByteArray(\x07), #1]"),
    // 3.15: vectors
    (Amf3, "0d 05 00 ffffffff 7fffffff", "VectorInt [-1, 2147483647]"),
    (Amf3, "0e 05 01 00000001 ffffffff", "VectorUint! [1, 4294967295.0]"),
    (Amf3, "0f 03 00 3ff8000000000000", "VectorNumber [1.5]"),
    (Amf3, "10 05 00 07 666f6f 01 10 00", "foo VectorObject [null, #0]"),
    (Amf3, "10 01 01 01", "VectorObject! []"),
    // 3.16: dictionary
    (Amf3, "11 01 00", "Dictionary []"),
    (Amf3, "11 05 01 06 03 61 04 01 0a 0b 01 01 11 00", "Dictionary! ['a', 1, {}, #0]"),
    // As Py3AMF 0.9.1 writes them
    (Amf0, "08 00000000 0001 61 00 3ff0000000000000 0000 09 ~", "[a: 1.0]"),
    (Amf0, "0a 00000002 10 0004 6d792e50 0002 6d65 07 0001 0000 09 07 0001", "[my.P {me: #1}, #1]"),
    (Amf3, "09 05 01 0a 0b 09 6d792e50 03 78 04 01 05 6d65 0a 02 01 0a 02", "[my.P {x: 1, me: #1}, #1]"),
];

fn vectors() -> impl Iterator<Item = (Encoding, Vec<u8>, &'static str, bool)> {
    VECTORS.iter().map(|(encoding, bytes, meaning)| {
        let canonical = bytes.strip_suffix('~');
        (*encoding, hex(canonical.unwrap_or(bytes)), *meaning, canonical.is_none())
    })
}

#[test]
fn every_type_of_both_encodings_is_read_and_written_as_specified() {
    for (encoding, bytes, meaning, canonical) in vectors() {
        let (graph, length) = read(encoding, &bytes).unwrap_or_else(|failure| panic!("{meaning}: {failure:?}"));
        assert_eq!(length, bytes.len(), "{meaning}");
        assert_eq!(describe(&graph, encoding), meaning);
        if canonical {
            assert_eq!(bytes_of(&graph, encoding).unwrap(), bytes, "{meaning}");
        }
    }
}

#[test]
fn what_follows_a_value_is_not_touched() {
    for (encoding, mut bytes, meaning, _) in vectors() {
        let length = bytes.len();
        bytes.extend([0xff; 20]);
        let (graph, taken) = read(encoding, &bytes).unwrap();
        assert_eq!((taken, describe(&graph, encoding)), (length, meaning.into()));
    }
}

#[test]
fn every_beginning_of_a_value_is_too_short() {
    for (encoding, bytes, meaning, _) in vectors() {
        for length in 0..bytes.len() {
            let failure = read(encoding, &bytes[..length]).map(|_| ()).unwrap_err();
            assert_eq!((failure.class, failure.id), (Class::Eof, 2030), "{length} bytes of {meaning}");
        }
    }
}

#[test]
fn a_value_that_comes_byte_by_byte_is_read_when_it_is_whole() {
    for (encoding, bytes, meaning, _) in vectors() {
        let mut input = ObjectInput { encoding, ..Default::default() };
        for length in 0..bytes.len() {
            let failure = input.read(Some((1, 7)), &bytes[..length], LIMIT).map(|_| ()).unwrap_err();
            assert_eq!(failure.class, Class::Eof, "{length} bytes of {meaning}");
        }
        let (graph, length) = input.read(Some((1, 7)), &bytes, LIMIT).unwrap();
        assert_eq!((length, describe(&graph, encoding)), (bytes.len(), meaning.into()));
    }
}

#[test]
fn a_value_that_comes_in_a_million_pieces_is_looked_at_once() {
    let mut bytes = hex("0a 000c3500"); // 800000 items
    bytes.resize(5 + 800_000, 5);
    let mut input = ObjectInput { encoding: Amf0, ..Default::default() };
    let start = Instant::now();
    for length in 0..bytes.len() {
        assert_eq!(input.read(Some((0, 0)), &bytes[..length], 4 * LIMIT).map(|_| ()).unwrap_err().class, Class::Eof);
        assert!(start.elapsed() < DEADLINE, "at byte {length}");
    }
    assert_eq!(input.read(Some((0, 0)), &bytes, 4 * LIMIT).unwrap().1, bytes.len());
}

#[test]
fn what_was_learned_of_other_bytes_is_forgotten() {
    let mut input = ObjectInput::default();
    assert!(input.read(Some((1, 0)), &hex("06 07 66"), LIMIT).is_err());
    // Somebody has read the marker with another function.
    let (graph, length) = input.read(Some((1, 1)), &hex("04 05"), LIMIT).unwrap();
    assert_eq!((length, describe(&graph, Amf3)), (2, "5".into()));
    assert!(input.read(Some((1, 3)), &hex("06 07 66"), LIMIT).is_err());
    // Another connection.
    assert!(input.read(Some((2, 3)), &hex("04 05"), LIMIT).is_ok());
    assert!(input.read(Some((2, 5)), &hex("0a"), LIMIT).is_err());
    input.set_encoding(Amf0);
    assert_eq!(input.read(Some((2, 5)), &hex("0a 00000000"), LIMIT).unwrap().1, 5);
}

// ---- Hostile bytes --------------------------------------------------------------------------------------------------

/// A length or a reference of AMF3.
fn u29(number: u32) -> Vec<u8> {
    let bytes = [(number >> 22) as u8 | 0x80, (number >> 15) as u8 | 0x80, (number >> 8) as u8 | 0x80, number as u8];
    match number {
        0x20_0000.. => bytes.into(),
        0x4000.. => vec![(number >> 14) as u8 | 0x80, (number >> 7) as u8 | 0x80, number as u8 & 0x7f],
        0x80.. => vec![(number >> 7) as u8 | 0x80, number as u8 & 0x7f],
        _ => vec![number as u8],
    }
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    let unknown = "an unknown type";
    let cases = [
        (Amf0, "04", unknown),
        (Amf0, "09", unknown),
        (Amf0, "0e", unknown),
        (Amf0, "12", unknown),
        (Amf0, "ff", unknown),
        (Amf3, "12", unknown),
        (Amf3, "ff", unknown),
        (Amf0, "11 12", unknown),
        (Amf0, "03 0001 61 09", "an end with a name"),
        (Amf0, "07 0000", "a reference to nothing"),
        (Amf0, "0a 00000001 07 0001", "a reference to what comes later"),
        (Amf3, "06 00", "a reference to no string"),
        (Amf3, "09 00", "a reference to no array"),
        (Amf3, "0a 02", "a reference to no object"),
        (Amf3, "0a 01", "a reference to no class"),
        (Amf3, "0c 04", "a reference to no byte array"),
        (Amf3, "09 05 01 06 01 06 00", "a reference to the empty string, which is not counted"),
        (Amf3, "09 03 00", "a name that is a reference to nothing"),
    ];
    for (encoding, bytes, what) in cases {
        let failure = read(encoding, &hex(bytes)).map(|_| ()).unwrap_err();
        assert_eq!((failure.class, failure.id), (Class::Argument, 2008), "{what}");
        assert_eq!(failure.text, "Parameter object must be one of the accepted values.");
        assert!(failure.detail.contains("nothing was read"));
    }
}

#[test]
fn that_bytes_are_no_good_is_remembered() {
    let mut input = ObjectInput::default();
    let mut bytes = [&[9], &u29(500_000 << 1 | 1)[..], &[1]].concat();
    bytes.resize(250_000, 1);
    bytes.push(0xee);
    let start = Instant::now();
    for _ in 0..100_000 {
        let failure = input.read(Some((1, 1)), &bytes, LIMIT).map(|_| ()).unwrap_err();
        assert_eq!(failure.class, Class::Argument);
        assert!(start.elapsed() < DEADLINE);
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |encoding, level: &str, middle: &str, end: &str, depth| {
        let bytes = [hex(level).repeat(depth), hex(middle), hex(end).repeat(depth)].concat();
        (encoding, bytes)
    };
    let ways = [
        (Amf3, "09 03 01", "01", ""),
        (Amf3, "09 01 03 61", "01", "01"),
        (Amf3, "0a 0b 01 03 61", "01", "01"),
        (Amf3, "10 03 00 01", "01", ""),
        (Amf3, "11 03 00 01", "01", ""),
        (Amf0, "0a 00000001", "05", ""),
        (Amf0, "08 00000001 0001 61", "05", "0000 09"),
        (Amf0, "03 0001 61", "05", "0000 09"),
        (Amf0, "10 0001 78 0001 61", "05", "0000 09"),
    ];
    for (encoding, level, middle, end) in ways {
        let (_, bytes) = nested(encoding, level, middle, end, 128);
        assert!(read(encoding, &bytes).is_ok(), "{level}");
        let (_, bytes) = nested(encoding, level, middle, end, 129);
        refuses(encoding, &bytes, Class::Range);
        let (_, bytes) = nested(encoding, level, middle, end, 1_000_000);
        refuses(encoding, &bytes, Class::Range);
    }
}

#[test]
fn lengths_that_a_peer_announces_reserve_nothing() {
    // More than the limit lets in: that it cannot come is known at once.
    for (encoding, bytes) in [
        (Amf0, hex("0c ffffffff 61")),
        (Amf0, hex("0f 7fffffff")),
        (Amf3, [&[6], &u29(u32::MAX)[..]].concat()),
        (Amf3, [&[0x0b], &u29(u32::MAX)[..]].concat()),
        (Amf3, [&[0x0c], &u29(u32::MAX)[..]].concat()),
    ] {
        refuses(encoding, &bytes, Class::Range);
    }
    // A number of parts: they may all be small, so that the end of the bytes decides.
    for (encoding, bytes) in [
        (Amf0, hex("0a ffffffff 05")),
        (Amf3, [&[9], &u29(u32::MAX)[..], &[1, 1]].concat()),
        (Amf3, [&[0x0a], &u29(!4)[..], &[1, 1]].concat()),
        (Amf3, [&[0x0d], &u29(u32::MAX)[..], &[0, 0, 0, 0, 1]].concat()),
        (Amf3, [&[0x0f], &u29(u32::MAX)[..], &[0]].concat()),
        (Amf3, [&[0x10], &u29(u32::MAX)[..], &[0, 1, 1]].concat()),
        (Amf3, [&[0x11], &u29(u32::MAX)[..], &[0, 1, 1]].concat()),
    ] {
        refuses(encoding, &bytes, Class::Eof);
    }
}

#[test]
fn a_value_that_fills_the_read_limit_and_is_not_whole_can_never_be_read() {
    let bytes = [hex("0a ffffffff 05050505 05050505"), [0].repeat(LIMIT)].concat();
    refuses(Amf0, &bytes[..LIMIT], Class::Range);
    refuses(Amf0, &bytes[..LIMIT - 1], Class::Eof);
}

/// An array whose first item is a string of `length` bytes, and which refers to it `times` times.
fn string_bomb(length: usize, times: usize) -> Vec<u8> {
    let mut bytes = vec![9];
    bytes.extend(u29((times as u32 + 1) << 1 | 1));
    bytes.extend([1, 6]);
    bytes.extend(u29((length as u32) << 1 | 1));
    bytes.resize(bytes.len() + length, b'x');
    bytes.extend([6, 0].repeat(times));
    bytes
}

#[test]
fn a_string_that_is_referred_to_is_not_multiplied() {
    let bytes = string_bomb(1_000_000, 100_000);
    let mut input = ObjectInput::default();
    let (graph, length) = input.read(None, &bytes, 2 * LIMIT).unwrap();
    assert_eq!(length, bytes.len());
    let items = &graph.node(Graph::ROOT).container().unwrap().items;
    let text = |index: u32| match graph.node(index) {
        Node::Text(_, text) => text.bytes().as_ptr(),
        other => panic!("{other:?}"),
    };
    assert!(items.iter().all(|item| text(*item) == text(items[0])));
    // Neither when it is written again, in AMF3; AMF0 has no references to strings, so that it meets the limit.
    let start = Instant::now();
    assert_eq!(bytes_of(&graph, Amf3).unwrap(), bytes);
    let failure = write(&graph, Graph::ROOT, Amf0, 64 * LIMIT).unwrap_err();
    assert_eq!(failure.class, Class::Range);
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn a_class_that_is_referred_to_is_not_multiplied() {
    // A class of 1000 properties that all have one long name, and objects of it, each written in 1002 bytes.
    let mut class = vec![0x0a];
    class.extend(u29(1000 << 4 | 0b0011));
    class.push(1);
    class.extend(u29(100_000 << 1 | 1));
    class.resize(class.len() + 100_000, b'n');
    class.extend(vec![0; 999]);
    let mut bytes = vec![9];
    bytes.extend(u29(400 << 1 | 1));
    bytes.push(1);
    bytes.extend(class);
    bytes.extend([1].repeat(1000));
    for _ in 1..400 {
        bytes.extend([0x0a, 1]);
        bytes.extend([1].repeat(1000));
    }
    let start = Instant::now();
    let (graph, _) = ObjectInput::default().read(None, &bytes, 4 * LIMIT).unwrap();
    assert_eq!(bytes_of(&graph, Amf3).unwrap(), bytes);
    assert!(start.elapsed() < DEADLINE);
}

// With pointers of 32 bits the same objects fit into what is allowed.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_value_that_would_take_too_much_memory_is_refused_before_it_does() {
    let mut bytes = hex("0a 000f4240"); // a million of empty objects
    bytes.extend(hex("03 0000 09").repeat(1_000_000));
    let mut input = ObjectInput { encoding: Amf0, ..Default::default() };
    let failure = input.read(None, &bytes[..LIMIT], LIMIT).map(|_| ()).unwrap_err();
    assert_eq!((failure.class, failure.id), (Class::Range, 2006));
    assert!(failure.detail.contains("memory"));
    // It can be let in.
    assert!(input.read(None, &bytes, 32 * LIMIT).is_ok());
}

#[test]
fn a_class_that_encodes_itself_is_not_supported() {
    let failure = read(Amf3, &hex("0a 07 07 666f6f 01")).map(|_| ()).unwrap_err();
    assert_eq!(failure.class, Class::Unsupported);
    assert!(failure.detail.contains("IExternalizable"));
}

#[test]
fn strings_are_what_the_peer_sent_even_if_it_is_not_utf_8() {
    for (encoding, bytes) in [(Amf0, "02 0003 ff00c3"), (Amf3, "06 07 ff00c3")] {
        let (graph, _) = read(encoding, &hex(bytes)).unwrap();
        assert_eq!(describe(&graph, encoding), r"'\xff\x00\xc3'");
        assert_eq!(bytes_of(&graph, encoding).unwrap(), hex(bytes));
    }
}

// ---- Writing --------------------------------------------------------------------------------------------------------

/// A value of parts that are given in a row: `build` gets the whole and adds what it likes.
fn made(kind: Type, build: impl FnOnce(&mut Graph)) -> Graph {
    let mut graph = Graph::new(1).unwrap();
    graph.set(Graph::ROOT, kind.empty().unwrap()).unwrap();
    build(&mut graph);
    graph
}

fn text(bytes: &[u8]) -> Text {
    Text::new(bytes).unwrap()
}

impl Graph {
    fn with_item(&mut self, id: u32, node: Node) -> u32 {
        let item = self.add(node).unwrap();
        self.list(id).unwrap().push_item(item).unwrap();
        item
    }

    fn with_property(&mut self, id: u32, name: &[u8], node: Node) -> u32 {
        let property = self.add(node).unwrap();
        self.object(id).unwrap().push_named(text(name), property).unwrap();
        property
    }
}

#[test]
fn integers_that_amf3_cannot_hold_are_written_as_numbers() {
    for (integer, bytes) in [
        ((1 << 28) - 1, "04 bfffffff"),
        (1 << 28, "05 41b0000000000000"),
        (-(1 << 28), "04 c0808000"),
        (-(1 << 28) - 1, "05 c1b0000001000000"),
        (i32::MAX, "05 41dfffffffc00000"),
    ] {
        let mut graph = Graph::new(1).unwrap();
        graph.set(Graph::ROOT, Node::Integer(integer)).unwrap();
        assert_eq!(bytes_of(&graph, Amf3).unwrap(), hex(bytes), "{integer}");
    }
}

#[test]
fn long_strings_are_written_in_both_encodings() {
    let long = vec![b'x'; 65536];
    let mut graph = Graph::new(1).unwrap();
    for (length, amf0, amf3) in [(65535, "02 ffff", "06 87ff7f"), (65536, "0c 00010000", "06 888001")] {
        graph.set(Graph::ROOT, Node::Text(Type::String, text(&long[..length]))).unwrap();
        assert_eq!(bytes_of(&graph, Amf0).unwrap(), [&hex(amf0), &long[..length]].concat());
        assert_eq!(bytes_of(&graph, Amf3).unwrap(), [&hex(amf3), &long[..length]].concat());
    }
    let long_name = made(Type::Object, |graph| {
        graph.with_property(Graph::ROOT, &long, Node::Null);
    });
    assert_eq!(bytes_of(&long_name, Amf0).unwrap_err().class, Class::Range);
    assert!(bytes_of(&long_name, Amf3).is_ok());
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |graph: &Graph, encoding| bytes_of(graph, encoding).unwrap_err().class;
    let no_name = made(Type::Array, |graph| {
        graph.with_property(Graph::ROOT, b"", Node::Null);
    });
    assert_eq!(refused(&no_name, Amf3), Class::Argument);
    assert!(bytes_of(&no_name, Amf0).is_ok());
    let no_value = made(Type::Dictionary, |graph| {
        graph.with_item(Graph::ROOT, Node::Null);
    });
    let no_number = made(Type::VectorInt, |graph| {
        graph.with_item(Graph::ROOT, Node::Null);
    });
    for graph in [no_value, no_number] {
        assert_eq!(refused(&graph, Amf3), Class::Argument);
        assert_eq!(refused(&graph, Amf0), Class::Argument);
    }
    let deep = made(Type::Array, |graph| {
        let mut id = Graph::ROOT;
        for _ in 0..100_000 {
            id = graph.with_item(id, Type::Array.empty().unwrap());
        }
    });
    assert_eq!(refused(&deep, Amf3), Class::Range);
    assert_eq!(refused(&deep, Amf0), Class::Range);
}

#[test]
fn what_does_not_fit_the_limit_is_refused_and_what_fills_it_is_not() {
    for (encoding, bytes, meaning, _) in vectors() {
        let (graph, _) = read(encoding, &bytes).unwrap();
        let length = bytes_of(&graph, encoding).unwrap().len();
        assert!(write(&graph, Graph::ROOT, encoding, length).is_ok(), "{meaning}");
        for limit in 0..length {
            assert_eq!(write(&graph, Graph::ROOT, encoding, limit).unwrap_err().class, Class::Range, "{meaning}");
        }
    }
}

#[test]
fn an_object_with_a_nameless_property_gets_a_shape_that_has_it() {
    let graph = made(Type::Object, |graph| {
        graph.with_property(Graph::ROOT, b"", Node::Null);
        graph.with_property(Graph::ROOT, b"a", Node::Boolean(true));
    });
    let bytes = bytes_of(&graph, Amf3).unwrap();
    assert_eq!(bytes, hex("0a 23 01 01 03 61 01 03"));
    assert_eq!(describe(&read(Amf3, &bytes).unwrap().0, Amf3), "{: null, a: true}");
}

#[test]
fn more_than_amf0_can_refer_to_is_an_error_only_if_it_is_referred_to() {
    let mut graph = made(Type::Array, |graph| {
        for _ in 0..70_000 {
            graph.with_item(Graph::ROOT, Type::Array.empty().unwrap());
        }
    });
    assert!(bytes_of(&graph, Amf0).is_ok());
    let items = graph.list(Graph::ROOT).unwrap().items.clone();
    graph.list(Graph::ROOT).unwrap().push_item(items[65_534]).unwrap();
    assert!(bytes_of(&graph, Amf0).is_ok());
    graph.list(Graph::ROOT).unwrap().push_item(items[65_535]).unwrap();
    assert_eq!(bytes_of(&graph, Amf0).unwrap_err().class, Class::Range);
    assert!(bytes_of(&graph, Amf3).is_ok());
}

#[test]
fn a_circle_through_both_encodings_comes_to_an_end() {
    let graph = made(Type::Object, |graph| {
        let dictionary = graph.with_property(Graph::ROOT, b"d", Type::Dictionary.empty().unwrap());
        graph.with_item(dictionary, Node::Integer(1));
        graph.list(dictionary).unwrap().push_item(Graph::ROOT).unwrap();
    });
    let bytes = bytes_of(&graph, Amf0).unwrap();
    assert_eq!(bytes, hex("03 0001 64 11 11 03 00 04 01 0a 0b 01 03 64 11 00 01 0000 09"));
    assert!(read(Amf0, &bytes).is_ok());
}

#[test]
fn vectors_of_integers_take_the_low_bits_of_numbers() {
    let graph = made(Type::VectorUint, |graph| {
        for number in [-1.0, 4294967295.0, 1.9, f64::NAN] {
            graph.with_item(Graph::ROOT, Node::Number(number));
        }
    });
    assert_eq!(bytes_of(&graph, Amf3).unwrap(), hex("0e 09 00 ffffffff ffffffff 00000001 00000000"));
}

// ---- Copies ---------------------------------------------------------------------------------------------------------

#[test]
fn a_copy_keeps_what_is_shared_and_what_goes_round() {
    let (source, _) = read(Amf3, &hex("09 07 01 0a 0b 01 03 61 0a 02 01 0a 02 09 00")).unwrap();
    assert_eq!(describe(&source, Amf3), "[{a: #1}, #1, #0]");
    let mut graph = made(Type::Object, |_| {});
    let part = graph.with_property(Graph::ROOT, b"p", Node::Null);
    graph.copy(part, &source, Graph::ROOT).unwrap();
    drop(source);
    assert_eq!(describe(&graph, Amf3), "{p: [{a: #2}, #2, #1]}");
}

#[test]
fn a_value_can_be_joined_to_another_and_to_itself() {
    let mut graph = made(Type::Array, |graph| {
        graph.with_item(Graph::ROOT, Node::Null);
        graph.with_item(Graph::ROOT, Node::Null);
    });
    let items = graph.list(Graph::ROOT).unwrap().items.clone();
    graph.join(items[0], items[0]).unwrap();
    graph.join(items[0], items[1]).unwrap();
    graph.join(items[1], items[0]).unwrap();
    graph.join(items[1], Graph::ROOT).unwrap();
    assert_eq!(describe(&graph, Amf3), "[#0, #0]");
    assert_eq!(graph.join(Graph::ROOT, items[0]).map_err(|failure| failure.class), Ok(()));
    let failure = graph.set(items[0], Node::Null).unwrap_err();
    assert_eq!((failure.class, failure.id), (Class::Argument, 2004));
}

// ---- At random ------------------------------------------------------------------------------------------------------

/// A value as proptest makes it.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(Leaf),
    /// One that is there already, the innermost ones included.
    Again(usize),
    List(Type, bool, Vec<Tree>, Vec<(String, Tree)>),
    Object(String, bool, Vec<(String, Tree)>),
    Numbers(Type, Vec<i32>),
}

#[derive(Clone, Debug)]
enum Leaf {
    Undefined,
    Null,
    Boolean(bool),
    Integer(i32),
    Number(f64),
    Date(f64),
    Text(Type, Vec<u8>),
}

fn leaves() -> impl Strategy<Value = Leaf> {
    let kinds = prop::sample::select(&[Type::String, Type::ByteArray, Type::Xml, Type::XmlDocument][..]);
    prop_oneof![
        Just(Leaf::Undefined),
        Just(Leaf::Null),
        any::<bool>().prop_map(Leaf::Boolean),
        (-(1i32 << 28)..1 << 28).prop_map(Leaf::Integer),
        any::<f64>().prop_map(Leaf::Number),
        any::<f64>().prop_map(Leaf::Date),
        (kinds, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Leaf::Text(kind, bytes)),
    ]
}

/// Names that are no index: in AMF0 those are items.
const NAME: &str = "[a-c]{1,2}";

fn trees(both_encodings: bool) -> impl Strategy<Value = Tree> {
    let numbers = prop::sample::select(&[Type::VectorInt, Type::VectorNumber][..]);
    let small = prop_oneof![
        6 => leaves().prop_map(Tree::Leaf),
        1 => any::<usize>().prop_map(Tree::Again),
        1 => (numbers, prop::collection::vec(any::<i32>(), 0..5)).prop_map(|(kind, list)| Tree::Numbers(kind, list)),
    ];
    small.prop_recursive(6, 60, 6, move |inner| {
        let named = || prop::collection::vec((NAME, inner.clone()), 0..5);
        let items = || prop::collection::vec(inner.clone(), 0..5);
        // Inside of these AMF0 goes on in AMF3, which forgets what AMF0 has counted.
        let amf3_only = match both_encodings {
            true => (items()).prop_map(|items| Tree::List(Type::Array, false, items, Vec::new())).boxed(),
            false => (any::<bool>(), any::<bool>(), items())
                .prop_map(|(vector, flag, mut items)| {
                    if vector {
                        return Tree::List(Type::VectorObject, flag, items, Vec::new());
                    }
                    items.truncate(items.len() / 2 * 2);
                    Tree::List(Type::Dictionary, flag, items, Vec::new())
                })
                .boxed(),
        };
        prop_oneof![
            (items(), named()).prop_map(|(items, named)| Tree::List(Type::Array, false, items, named)),
            ("[A-C]?", any::<bool>(), named()).prop_map(|(class, dynamic, named)| Tree::Object(class, dynamic, named)),
            amf3_only,
        ]
    })
}

/// Makes the tree grow at `id`. `known` are the arrays and objects so far.
fn grow(graph: &mut Graph, id: u32, tree: &Tree, known: &mut Vec<u32>) {
    let node = match tree {
        Tree::Leaf(leaf) => match leaf {
            Leaf::Undefined => Node::Undefined,
            Leaf::Null => Node::Null,
            Leaf::Boolean(boolean) => Node::Boolean(*boolean),
            Leaf::Integer(integer) => Node::Integer(*integer),
            Leaf::Number(number) => Node::Number(*number),
            Leaf::Date(milliseconds) => Node::Date(*milliseconds),
            Leaf::Text(kind, bytes) => Node::Text(*kind, text(bytes)),
        },
        Tree::Again(_) if known.is_empty() => Node::Null,
        Tree::Again(index) => return graph.join(id, known[index % known.len()]).unwrap(),
        Tree::Numbers(kind, numbers) => {
            graph.set(id, kind.empty().unwrap()).unwrap();
            for number in numbers {
                let node = match kind {
                    Type::VectorInt => Node::Integer(*number),
                    _ => Node::Number(f64::from(*number)),
                };
                graph.with_item(id, node);
            }
            return;
        }
        Tree::List(kind, ..) => kind.empty().unwrap(),
        Tree::Object(..) => Type::Object.empty().unwrap(),
    };
    graph.set(id, node).unwrap();
    let (items, named): (&[Tree], &[(String, Tree)]) = match tree {
        Tree::List(_, _, items, named) => (items, named),
        Tree::Object(_, _, named) => (&[], named),
        _ => return,
    };
    known.push(id);
    for item in items {
        let part = graph.with_item(id, Node::Undefined);
        grow(graph, part, item, known);
    }
    for (name, tree) in named {
        let part = graph.with_property(id, name.as_bytes(), Node::Undefined);
        grow(graph, part, tree, known);
    }
    match tree {
        Tree::Object(class, dynamic, _) if !class.is_empty() => {
            graph.set_class(id, Some(text(class.as_bytes()))).unwrap();
            graph.object(id).unwrap().flag = *dynamic;
        }
        Tree::List(kind, flag, ..) if *kind != Type::Array => graph.list(id).unwrap().flag = *flag,
        _ => {}
    }
}

fn grown(tree: &Tree) -> Graph {
    let mut graph = Graph::new(1).unwrap();
    grow(&mut graph, Graph::ROOT, tree, &mut Vec::new());
    graph
}

#[track_caller]
fn comes_back(tree: &Tree, encoding: Encoding) {
    let graph = grown(tree);
    let bytes = bytes_of(&graph, encoding).unwrap();
    let (copy, length) = read(encoding, &bytes).unwrap();
    assert_eq!(length, bytes.len());
    assert_eq!(describe(&copy, encoding), describe(&graph, encoding));
    assert_eq!(bytes_of(&copy, encoding).unwrap(), bytes);
}

/// The same value or the same failure, however the bytes are cut up.
fn reads_the_same_in_pieces(encoding: Encoding, bytes: &[u8]) {
    let outcome = |result: Result<(Graph, usize)>| match result {
        Ok((graph, length)) => (describe(&graph, encoding), length),
        Err(failure) => (format!("{:?} {}", failure.class, failure.detail), 0),
    };
    let mut input = ObjectInput { encoding, ..Default::default() };
    for length in (0..bytes.len()).step_by(3) {
        let _ = input.read(Some((1, 1)), &bytes[..length], LIMIT);
    }
    let in_pieces = outcome(input.read(Some((1, 1)), bytes, LIMIT));
    let at_once = outcome(read(encoding, bytes));
    // What is complete earlier stays so, and what is no good.
    assert_eq!(in_pieces, at_once);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn values_come_back_from_amf3(tree in trees(false)) {
        comes_back(&tree, Amf3);
    }

    #[test]
    fn values_come_back_from_amf0(tree in trees(true)) {
        comes_back(&tree, Amf0);
    }

    #[test]
    fn values_that_are_spoiled_do_no_harm(tree in trees(false), place in any::<usize>(), byte in any::<u8>()) {
        for encoding in [Amf0, Amf3] {
            let mut bytes = bytes_of(&grown(&tree), encoding).unwrap();
            let place = place % bytes.len();
            bytes[place] = byte;
            reads_the_same_in_pieces(encoding, &bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..40), marker in 0u8..18) {
        for encoding in [Amf0, Amf3] {
            let _ = read(encoding, &[&[marker], &bytes[..]].concat());
        }
    }
}
