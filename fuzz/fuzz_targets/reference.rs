//! What the readers must answer, by the rules of the formats and of the header, and without a line of the library.

use std::ffi::CStr;

/// The peer's stream, and how far it has come.
pub struct Unread {
    stream: Vec<u8>,
    limit: usize,
    read: usize,
    arrived: usize,
    sent: usize,
    ended: bool,
}

impl Unread {
    pub fn new(stream: &[u8], limit: usize) -> Unread {
        Unread { stream: stream.to_vec(), limit, read: 0, arrived: 0, sent: 0, ended: false }
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
        (self.sent - self.arrived).min(self.limit.saturating_sub(self.bytes().len()))
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

    /// The peer has ended the connection.
    pub fn end(&mut self) {
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
    /// The text at the front of `unread`, if it has come as a whole.
    pub fn find(self, unread: &[u8], little_endian: bool) -> Option<Found> {
        match self {
            Text::Prefixed => {
                let prefix = [*unread.first()?, *unread.get(1)?];
                let length = if little_endian { u16::from_le_bytes(prefix) } else { u16::from_be_bytes(prefix) };
                let text = unread.get(2..2 + usize::from(length))?;
                Some(Found { text: Some(flash_text(text).to_vec()), length: 2 + text.len() })
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
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
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
