// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDataInput and IDataOutput: numbers in either byte order, and text in many charsets. Conversions only; where the
//! bytes come from and go to is `objects`' business.

use std::borrow::Cow;

use encoding_rs::{
    CoderResult, EUC_JP, EUC_KR, EncoderResult, Encoding, GBK, ISO_2022_JP, KOI8_R, SHIFT_JIS, UTF_8, UTF_16BE,
    UTF_16LE, WINDOWS_1252,
};

use crate::error::{Failure, Result};

/// `Endian`, as it is set on a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Endian {
    #[default]
    Big,
    Little,
}

/// A number of `N` bytes with its two conversions from bytes.
pub(crate) struct Reading<T, const N: usize> {
    pub big: fn([u8; N]) -> T,
    pub little: fn([u8; N]) -> T,
}

impl<T, const N: usize> Reading<T, N> {
    pub(crate) fn read(&self, bytes: [u8; N], endian: Endian) -> T {
        match endian {
            Endian::Big => (self.big)(bytes),
            Endian::Little => (self.little)(bytes),
        }
    }
}

/// A number's bytes in both orders.
pub(crate) struct Written<const N: usize> {
    pub big: [u8; N],
    pub little: [u8; N],
}

impl<const N: usize> Written<N> {
    pub(crate) fn bytes(&self, endian: Endian) -> &[u8; N] {
        match endian {
            Endian::Big => &self.big,
            Endian::Little => &self.little,
        }
    }
}

/// The length that stands before a text of `writeUTF`, if it fits.
pub(crate) fn utf_prefix(length: usize) -> Result<Written<2>> {
    let length = u16::try_from(length).map_err(|_| {
        Failure::out_of_range().because(format!(
            "the text has {length} bytes; its length is sent as 16 bits, so that 65535 is the most (ss_socket_write_utf_bytes has no such limit)"
        ))
    })?;
    Ok(Written { big: length.to_be_bytes(), little: length.to_le_bytes() })
}

/// What Flash makes of the bytes of a text: a byte order mark is not part of it, and the first NUL ends it.
pub(crate) fn text_of(bytes: &[u8]) -> &[u8] {
    up_to_nul(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// A charset by one of AIR's names for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charset {
    /// Bytes are handed through; also what an unknown name means, as in Flash.
    Utf8,
    /// ISO 8859-1 proper: each byte is the character of that number.
    Latin1,
    /// Seven bits; others are no characters.
    Ascii,
    Other(&'static Encoding),
}

/// AIR's names for ISO 8859-1 and for ASCII. The Web takes most of them for windows-1252; AIR means what they say.
const LATIN1: [&str; 11] = [
    "iso-8859-1",
    "iso_8859-1",
    "iso8859-1",
    "iso_8859-1:1987",
    "iso-ir-100",
    "latin1",
    "l1",
    "cp819",
    "ibm819",
    "csISOLatin1",
    "iso88591",
];
const ASCII: [&str; 10] = [
    "us-ascii",
    "ascii",
    "ANSI_X3.4-1968",
    "ANSI_X3.4-1986",
    "ISO_646.irv:1991",
    "ISO646-US",
    "iso-ir-6us",
    "cp367",
    "IBM367",
    "csASCII",
];
/// AIR's names for charsets that the Web has under other names.
const MORE: [(&[&str], &Encoding); 7] = [
    (&["CN-GB", "EUC-CN", "x-euc-cn", "GB2312-80", "GB231280", "csGB231280"], GBK),
    (&["csWindows31J", "x-ms-cp932"], SHIFT_JIS),
    (&["x-euc", "Extended_UNIX_Code_Packed_Format_for_Japanese"], EUC_JP),
    (&["_iso-2022-jp", "_iso-2022-jp$SIO"], ISO_2022_JP),
    (&["ks_c_5601", "ks_c_5601_1987"], EUC_KR),
    (&["koi8r"], KOI8_R),
    (&["x-ansi"], WINDOWS_1252),
];

impl Charset {
    pub(crate) fn named(name: &[u8]) -> Charset {
        let name = name.trim_ascii();
        let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        if LATIN1.iter().any(is) {
            return Charset::Latin1;
        }
        if ASCII.iter().any(is) {
            return Charset::Ascii;
        }
        let more = MORE.iter().find(|(names, _)| names.iter().any(is)).map(|(_, encoding)| *encoding);
        match more.or_else(|| Encoding::for_label_no_replacement(name)) {
            Some(encoding) if encoding != UTF_8 => Charset::Other(encoding),
            _ => Charset::Utf8,
        }
    }

    /// To UTF-8, as `readMultiByte` gives it: what is malformed becomes U+FFFD, and the first NUL ends the text.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
        let bytes = match self {
            Charset::Utf8 => text_of(bytes),
            Charset::Latin1 | Charset::Ascii => up_to_nul(bytes),
            Charset::Other(encoding) => return decode(encoding, bytes).map(Cow::Owned),
        };
        let same = if self == Charset::Utf8 { std::str::from_utf8(bytes).is_ok() } else { bytes.is_ascii() };
        if same {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut text = Vec::new();
        if self == Charset::Utf8 {
            for chunk in bytes.utf8_chunks() {
                append(&mut text, chunk.valid().as_bytes())?;
                append(&mut text, if chunk.invalid().is_empty() { &[] } else { REPLACEMENT })?;
            }
        } else {
            for byte in bytes {
                let character = if self == Charset::Latin1 || byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' };
                append(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(Cow::Owned(text))
    }

    /// From UTF-8, as `writeMultiByte` sends it: a character that the charset has not becomes '?'.
    pub(crate) fn encode(self, text: &[u8]) -> Result<Cow<'_, [u8]>> {
        let mut bytes = Vec::new();
        match self {
            Charset::Utf8 => return Ok(Cow::Borrowed(text)),
            Charset::Latin1 => encode_each(text, &mut bytes, |character| [narrow(character, 0x100)])?,
            Charset::Ascii => encode_each(text, &mut bytes, |character| [narrow(character, 0x80)])?,
            Charset::Other(encoding) if encoding == UTF_16LE => encode_units(text, &mut bytes, u16::to_le_bytes)?,
            Charset::Other(encoding) if encoding == UTF_16BE => encode_units(text, &mut bytes, u16::to_be_bytes)?,
            Charset::Other(encoding) => encode(encoding, text, &mut bytes)?,
        }
        Ok(Cow::Owned(bytes))
    }
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

fn append(text: &mut Vec<u8>, more: &[u8]) -> Result<()> {
    text.try_reserve(more.len()).map_err(|_| Failure::no_memory())?;
    text.extend_from_slice(more);
    Ok(())
}

/// The text in pieces that are well formed; what is not becomes U+FFFD.
fn pieces(text: &[u8]) -> impl Iterator<Item = &str> {
    text.utf8_chunks().flat_map(|chunk| [chunk.valid(), if chunk.invalid().is_empty() { "" } else { "\u{fffd}" }])
}

fn narrow(character: char, limit: u32) -> u8 {
    u8::try_from(character).ok().filter(|byte| u32::from(*byte) < limit).unwrap_or(b'?')
}

fn encode_each<const N: usize>(text: &[u8], bytes: &mut Vec<u8>, encode: impl Fn(char) -> [u8; N]) -> Result<()> {
    pieces(text).flat_map(str::chars).try_for_each(|character| append(bytes, &encode(character)))
}

fn encode_units(text: &[u8], bytes: &mut Vec<u8>, encode: fn(u16) -> [u8; 2]) -> Result<()> {
    pieces(text).flat_map(str::encode_utf16).try_for_each(|unit| append(bytes, &encode(unit)))
}

/// How many bytes of a text are converted at a time.
const STEP: usize = 64 * 1024;

fn decode(encoding: &'static Encoding, mut bytes: &[u8]) -> Result<Vec<u8>> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut text = String::new();
    loop {
        text.try_reserve(STEP.min(bytes.len() * 3) + 16).map_err(|_| Failure::no_memory())?;
        let known = text.len();
        let (result, read, _) = decoder.decode_to_string(bytes, &mut text, true);
        bytes = &bytes[read..];
        let nul = text[known..].find('\0');
        if nul.is_some() || result == CoderResult::InputEmpty {
            text.truncate(nul.map_or(text.len(), |nul| known + nul));
            return Ok(text.into_bytes());
        }
    }
}

fn encode(encoding: &'static Encoding, text: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
    let mut encoder = encoding.new_encoder();
    for (mut piece, last) in pieces(text).map(|piece| (piece, false)).chain([("", true)]) {
        loop {
            bytes.try_reserve(STEP.min(piece.len() * 2) + 16).map_err(|_| Failure::no_memory())?;
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(piece, bytes, last);
            piece = &piece[read..];
            match result {
                EncoderResult::InputEmpty => break,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => append(bytes, b"?")?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(charset: &str, bytes: &[u8]) -> String {
        String::from_utf8(Charset::named(charset.as_bytes()).decode(bytes).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn every_charset_gives_back_what_it_was_given() {
        let samples = [
            ("shift_jis", "日本語テキスト", &b"\x93\xfa\x96\x7b\x8c\xea\x83\x65\x83\x4c\x83\x58\x83\x67"[..]),
            ("gb2312", "汉字", b"\xba\xba\xd7\xd6"),
            ("cn-gb", "汉字", b"\xba\xba\xd7\xd6"),
            ("big5", "漢字", b"\xba\x7e\xa6\x72"),
            ("euc-kr", "한글", b"\xc7\xd1\xb1\xdb"),
            ("euc-jp", "日本", b"\xc6\xfc\xcb\xdc"),
            ("koi8-r", "Привет", b"\xf0\xd2\xc9\xd7\xc5\xd4"),
            ("windows-1251", "Привет", b"\xcf\xf0\xe8\xe2\xe5\xf2"),
            ("windows-1252", "€uro", b"\x80uro"),
            ("iso-8859-1", "café", b"caf\xe9"),
            ("iso-8859-2", "łódź", b"\xb3\xf3d\xbc"),
            ("us-ascii", "plain", b"plain"),
            ("utf-8", "žluť", "žluť".as_bytes()),
            ("utf-16", "aé", b"a\0\xe9\0"),
            ("unicode", "aé", b"a\0\xe9\0"),
            ("unicodeFFFE", "aé", b"\0a\0\xe9"),
        ];
        for (name, text, bytes) in samples {
            let charset = Charset::named(name.as_bytes());
            assert_eq!(&*charset.encode(text.as_bytes()).unwrap(), bytes, "{name}");
            assert_eq!(decoded(name, bytes), text, "{name}");
        }
    }

    #[test]
    fn an_unknown_charset_is_utf_8() {
        for name in ["", "no-such-charset", "UTF-8", " utf8 "] {
            assert_eq!(Charset::named(name.as_bytes()), Charset::Utf8, "{name}");
        }
    }

    #[test]
    fn what_a_charset_has_not_becomes_a_question_mark() {
        let encoded = |charset: &str, text: &str| {
            Charset::named(charset.as_bytes()).encode(text.as_bytes()).unwrap().into_owned()
        };
        assert_eq!(encoded("us-ascii", "aéb"), b"a?b");
        assert_eq!(encoded("iso-8859-1", "aé€"), b"a\xe9?");
        assert_eq!(encoded("windows-1252", "a日b本"), b"a?b?");
        assert_eq!(encoded("shift_jis", "ž日"), b"?\x93\xfa");
    }

    #[test]
    fn malformed_bytes_become_replacement_characters() {
        assert_eq!(decoded("utf-8", b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decoded("us-ascii", b"a\x80b"), "a\u{fffd}b");
        assert_eq!(decoded("shift_jis", b"a\x81"), "a\u{fffd}");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_a_nul_ends_the_text() {
        assert_eq!(text_of(b"\xEF\xBB\xBFab\0cd"), b"ab");
        assert_eq!(decoded("utf-8", b"\xEF\xBB\xBFab\0cd"), "ab");
        assert_eq!(decoded("utf-16", b"\xff\xfea\0\0\0b\0"), "a");
        assert_eq!(decoded("iso-8859-1", b"a\0b"), "a");
    }

    #[test]
    fn a_length_that_does_not_fit_is_refused() {
        assert!(utf_prefix(65_535).is_ok());
        let failure = utf_prefix(65_536).err().unwrap();
        assert_eq!((failure.class, failure.id), (crate::error::Class::Range, 2006));
    }
}
