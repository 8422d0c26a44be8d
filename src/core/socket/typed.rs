// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed reads and writes: all or nothing, each.

use std::borrow::Cow;

use super::SocketRef;
use crate::data::{Charset, Reading, Written, text_of, utf_prefix};
use crate::error::{Failure, Result};
use crate::inject;

/// A text that was found in the unread bytes, and how many of them it takes up.
pub(crate) struct Found<'a> {
    pub text: Cow<'a, [u8]>,
    pub length: usize,
}

impl SocketRef<'_> {
    pub(crate) fn read_number<T, const N: usize>(&mut self, reading: &Reading<T, N>) -> Result<T> {
        inject::point();
        let bytes = *self.unread_exactly(N)?.first_chunk::<N>().ok_or_else(Failure::too_few)?;
        self.consume(N);
        Ok(reading.read(bytes, self.socket.endian))
    }

    pub(crate) fn write_number<const N: usize>(&mut self, number: &Written<N>) -> Result<()> {
        self.write(number.bytes(self.socket.endian))
    }

    /// The text of `readUTF`, with its length before it. Nothing is consumed yet.
    pub(crate) fn find_utf(&self) -> Result<Found<'_>> {
        let prefix = *self.unread_exactly(2)?.first_chunk::<2>().ok_or_else(Failure::too_few)?;
        let prefix = Reading { big: u16::from_be_bytes, little: u16::from_le_bytes }.read(prefix, self.socket.endian);
        let length = 2 + usize::from(prefix);
        let text = self.unread_exactly(length)?.get(2..).unwrap_or_default();
        Ok(Found { text: text_of(text).into(), length })
    }

    pub(crate) fn find_utf_bytes(&self, length: usize) -> Result<Found<'_>> {
        Ok(Found { text: text_of(self.unread_exactly(length)?).into(), length })
    }

    pub(crate) fn find_multi_byte(&self, length: usize, charset: Charset) -> Result<Found<'_>> {
        Ok(Found { text: charset.decode(self.unread_exactly(length)?)?, length })
    }

    /// `writeUTF`: the text with its length before it.
    pub(crate) fn write_utf(&mut self, text: &[u8]) -> Result<()> {
        inject::point();
        self.connection()?;
        let prefix = utf_prefix(text.len())?;
        let mut framed = self.transport.reactor.pool.take();
        let outcome = framed.try_reserve(2 + text.len()).map_err(|_| Failure::no_memory()).and_then(|()| {
            framed.extend_from_slice(prefix.bytes(self.socket.endian));
            framed.extend_from_slice(text);
            self.write(&framed)
        });
        self.transport.reactor.pool.give(framed);
        outcome
    }
}
