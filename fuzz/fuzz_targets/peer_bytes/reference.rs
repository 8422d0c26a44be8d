// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the readers must answer, by the rules of the formats and of the header, and without a line of the library.

use std::ffi::CStr;

/// The peer's stream, and how far it has come.
pub struct Unread {
    stream: Vec<u8>,
    limit: usize,
    read: usize,
    arrived: usize,
    sent: usize,
    /// The peer has ended its side: what was sent before comes, whatever the limit.
    finished: bool,
    ended: bool,
}

impl Unread {
    pub fn new(stream: &[u8], limit: usize) -> Unread {
        Unread { stream: stream.to_vec(), limit, read: 0, arrived: 0, sent: 0, finished: false, ended: false }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn bytes(&self) -> &[u8] {
        &self.stream[self.read..self.arrived]
    }

    /// The next bytes of the stream, on their way from now on.
    pub fn send(&mut self, length: usize) -> Vec<u8> {
        let start = self.sent;
        self.sent = start.saturating_add(length).min(self.stream.len());
        self.stream[start..self.sent].to_vec()
    }

    /// How many bytes must still arrive: those on their way, as far as the limit has room for them.
    pub fn to_arrive(&self) -> usize {
        let room = if self.finished { usize::MAX } else { self.limit.saturating_sub(self.bytes().len()) };
        self.waiting().min(room)
    }

    /// How many are on their way, room or not.
    pub fn waiting(&self) -> usize {
        self.sent - self.arrived
    }

    pub fn arrived(&mut self, count: usize) {
        assert!(count <= self.to_arrive(), "{count} bytes came and {} could", self.to_arrive());
        self.arrived += count;
    }

    pub fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes().get(..count)?.to_vec();
        self.read += count;
        Some(bytes)
    }

    /// The peer ends its side.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The connection has ended: all that was sent has come.
    pub fn end(&mut self) {
        assert_eq!(self.waiting(), 0, "bytes are lost");
        self.ended = true;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

/// A text by the function that reads it.
#[derive(Clone, Copy)]
pub enum Text {
    /// Its length, 16 bits, is before it.
    Prefixed,
    /// So many bytes.
    Of(usize),
    /// So many bytes in a charset.
    In(&'static CStr, usize),
}

/// A text that was found in the unread bytes.
pub struct Found {
    /// `None` if its charset is not written down here.
    pub text: Option<Vec<u8>>,
    /// How many bytes it takes up.
    pub length: usize,
}

impl Text {
    /// How many bytes it takes up, as far as that is known: those of its length, if that has not come.
    pub fn length(self, unread: &[u8], little_endian: bool) -> usize {
        match (self, unread) {
            (Text::Prefixed, [first, second, ..]) => {
                let prefix = [*first, *second];
                let length = if little_endian { u16::from_le_bytes(prefix) } else { u16::from_be_bytes(prefix) };
                2 + usize::from(length)
            }
            (Text::Prefixed, _) => 2,
            (Text::Of(length) | Text::In(_, length), _) => length,
        }
    }

    /// The text at the front of `unread`, if it has come as a whole.
    pub fn find(self, unread: &[u8], little_endian: bool) -> Option<Found> {
        match self {
            Text::Prefixed => {
                let length = self.length(unread, little_endian);
                let text = unread.get(2..length)?;
                Some(Found { text: Some(flash_text(text).to_vec()), length })
            }
            Text::Of(length) => Some(Found { text: Some(flash_text(unread.get(..length)?).to_vec()), length }),
            Text::In(charset, length) => {
                let text = decode(charset, unread.get(..length)?).map(|text| up_to_nul(text.as_bytes()).to_vec());
                Some(Found { text, length })
            }
        }
    }
}

fn decode(charset: &CStr, bytes: &[u8]) -> Option<String> {
    let ascii = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
    match charset.to_bytes() {
        b"" | b"utf-8" | b"no such charset" => Some(String::from_utf8_lossy(flash_text(bytes)).into_owned()),
        b"iso-8859-1" => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        b"us-ascii" => Some(bytes.iter().map(ascii).collect()),
        b"utf-16" => Some(utf_16(bytes, u16::from_le_bytes)),
        b"unicodeFFFE" => Some(utf_16(bytes, u16::from_be_bytes)),
        _ => None,
    }
}

/// A byte order mark is no part of a text, and the first NUL ends it.
fn flash_text(bytes: &[u8]) -> &[u8] {
    up_to_nul(bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes))
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The decoder of the Encoding Standard (https://encoding.spec.whatwg.org/#shared-utf-16-decoder), and before it the
/// removal of a byte order mark of the same order.
fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder();
    let mut units: Vec<u16> = pairs.map(|pair| unit([pair[0], pair[1]])).collect();
    if units.first() == Some(&0xfeff) {
        units.remove(0);
    }
    let mut text: String =
        char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    // A half unit at the end is one error, together with a lead surrogate before it.
    let lead_is_open = units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit));
    if !odd.is_empty() && !lead_is_open {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}
