//! Typed reads and writes on sockets: all or nothing, each.

use std::borrow::Cow;

use super::Objects;
use crate::data::{Charset, Endian, Reading, Written, text_of, utf_prefix};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;

/// A text that was found in the unread bytes, and how many of them it takes up.
pub(crate) struct Found<'a> {
    pub text: Cow<'a, [u8]>,
    pub length: usize,
}

impl Objects {
    pub(crate) fn endian(&self, key: Key) -> Result<Endian> {
        Ok(self.socket(key)?.endian)
    }

    pub(crate) fn set_endian(&mut self, key: Key, endian: Endian) -> Result<()> {
        self.socket_mut(key)?.endian = endian;
        Ok(())
    }

    pub(crate) fn read_number<T, const N: usize>(&mut self, key: Key, reading: &Reading<T, N>) -> Result<T> {
        inject::point();
        let endian = self.endian(key)?;
        let bytes = *self.unread(key)?.first_chunk::<N>().ok_or_else(Failure::too_few)?;
        self.consume(key, N)?;
        Ok(reading.read(bytes, endian))
    }

    pub(crate) fn write_number<const N: usize>(&mut self, key: Key, number: &Written<N>) -> Result<()> {
        let endian = self.endian(key)?;
        self.write(key, number.bytes(endian))
    }

    /// The text of `readUTF`, with its length before it. Nothing is consumed yet.
    pub(crate) fn find_utf(&self, key: Key) -> Result<Found<'_>> {
        let endian = self.endian(key)?;
        let unread = self.unread(key)?;
        let (prefix, rest) = unread.split_first_chunk::<2>().ok_or_else(Failure::too_few)?;
        let prefix = Reading { big: u16::from_be_bytes, little: u16::from_le_bytes }.read(*prefix, endian);
        let text = rest.get(..prefix.into()).ok_or_else(Failure::too_few)?;
        Ok(Found { text: text_of(text).into(), length: 2 + text.len() })
    }

    pub(crate) fn find_utf_bytes(&self, key: Key, length: usize) -> Result<Found<'_>> {
        let text = self.unread(key)?.get(..length).ok_or_else(Failure::too_few)?;
        Ok(Found { text: text_of(text).into(), length })
    }

    pub(crate) fn find_multi_byte(&self, key: Key, length: usize, charset: Charset) -> Result<Found<'_>> {
        let text = self.unread(key)?.get(..length).ok_or_else(Failure::too_few)?;
        Ok(Found { text: charset.decode(text), length })
    }

    /// `writeUTF`: the text with its length before it.
    pub(crate) fn write_utf(&mut self, key: Key, text: &[u8]) -> Result<()> {
        inject::point();
        let endian = self.endian(key)?;
        self.socket(key)?.connection()?;
        let prefix = utf_prefix(text.len())?;
        let mut framed = self.spare_buffer(key)?;
        framed.try_reserve(2 + text.len()).map_err(|_| Failure::no_memory())?;
        framed.extend_from_slice(prefix.bytes(endian));
        framed.extend_from_slice(text);
        let outcome = self.write(key, &framed);
        self.give_spare_buffer_back(key, framed);
        outcome
    }

    fn spare_buffer(&mut self, key: Key) -> Result<Vec<u8>> {
        let home = self.home(key)?;
        Ok(self.event_loop_mut(home)?.reactor.pool.take())
    }

    fn give_spare_buffer_back(&mut self, key: Key, buffer: Vec<u8>) {
        if let Ok(home) = self.home(key)
            && let Ok(home) = self.event_loop_mut(home)
        {
            home.reactor.pool.give(buffer);
        }
    }
}
