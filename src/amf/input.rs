// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes, taken token by token.

use super::sink::{Outcome, Stop, Word};

/// The bytes that are there, and how many of them the step at hand has taken.
pub(super) struct Input<'a> {
    pub bytes: &'a [u8],
    pub position: usize,
}

/// What AMF3 has before the contents of a value.
pub(super) enum Header {
    /// There are none: it is a value that was met before.
    Reference(u32),
    Length(u32),
}

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let end = self.position.saturating_add(count);
        let taken = self.bytes.get(self.position..end).ok_or(Stop::Incomplete(end))?;
        self.position = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many as were asked for"))
    }

    pub(super) fn peek(&self) -> Outcome<u8> {
        self.bytes.get(self.position).copied().ok_or(Stop::Incomplete(self.position + 1))
    }

    pub(super) fn byte(&mut self) -> Outcome<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> Outcome<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn int(&mut self) -> Outcome<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn double(&mut self) -> Outcome<f64> {
        self.array().map(f64::from_be_bytes)
    }

    /// 29 bits in one to four bytes: seven in each that another follows, eight in the fourth.
    pub(super) fn u29(&mut self) -> Outcome<u32> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = self.byte()?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Ok(number << 8 | u32::from(self.byte()?))
    }

    pub(super) fn header(&mut self) -> Outcome<Header> {
        let header = self.u29()?;
        Ok(match header & 1 {
            0 => Header::Reference(header >> 1),
            _ => Header::Length(header >> 1),
        })
    }

    pub(super) fn text0(&mut self) -> Outcome<Word<'a>> {
        let length = self.short()?;
        self.plain(length.into())
    }

    pub(super) fn long_text0(&mut self) -> Outcome<Word<'a>> {
        let length = self.int()?;
        self.plain(length as usize)
    }

    pub(super) fn plain(&mut self, length: usize) -> Outcome<Word<'a>> {
        Ok(match length {
            0 => Word::Empty,
            _ => Word::Plain(self.take(length)?),
        })
    }
}
