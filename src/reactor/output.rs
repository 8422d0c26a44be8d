// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unsent bytes of a connection.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::buffers::{CHUNK, Pool};
use crate::error::{Failure, Result};

/// How many buffers one system call hands over.
pub(crate) const SLICES: usize = 64;

/// Bytes that the kernel has not taken yet. While there are none it takes one word.
#[derive(Default)]
pub(crate) struct Output(Option<Box<Queue>>);

/// The bytes, in buffers of at most [`CHUNK`]. The first is in line, so that a connection whose writes are taken at
/// once needs no list.
#[derive(Default)]
pub(crate) struct Queue {
    pub(super) first: Vec<u8>,
    /// How much of `first` has been taken.
    head: usize,
    rest: VecDeque<Vec<u8>>,
    length: usize,
}

impl Output {
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.length)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<()> {
        self.append_all(std::iter::once(bytes), pool)
    }

    /// All of the parts or none.
    pub(crate) fn append_all<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, pool: &mut Pool) -> Result<()> {
        let mut parts = parts.filter(|part| !part.is_empty()).peekable();
        if parts.peek().is_none() {
            return Ok(());
        }
        let queue = match &mut self.0 {
            Some(queue) => queue,
            none => none.insert(pool.take_queue()?),
        };
        let length = queue.length;
        let outcome = parts.try_for_each(|part| queue.append_some(part, pool));
        if outcome.is_err() {
            queue.truncate(length, pool);
            if length == 0 {
                self.clear(pool);
            }
        }
        outcome
    }

    /// Takes over bytes in pieces of at most [`CHUNK`]. All or nothing.
    pub(crate) fn append_pieces(&mut self, pieces: Vec<Vec<u8>>, pool: &mut Pool) -> Result<()> {
        let queue = match &mut self.0 {
            Some(queue) => queue,
            none => none.insert(pool.take_queue()?),
        };
        if queue.rest.try_reserve(pieces.len()).is_err() {
            if queue.length == 0 {
                self.clear(pool);
            }
            return Err(Failure::no_memory());
        }
        queue.length += pieces.iter().map(Vec::len).sum::<usize>();
        queue.rest.extend(pieces);
        Ok(())
    }

    /// The kept bytes and `more` behind them, as far as they fit. Returns how many slices and how many bytes.
    pub(crate) fn slices<'a, 'b: 'a>(
        &'a self,
        more: impl Iterator<Item = &'b [u8]>,
        slices: &mut [IoSlice<'a>],
    ) -> (usize, usize) {
        let (first, rest) = match &self.0 {
            Some(queue) => (&queue.first[queue.head..], Some(&queue.rest)),
            None => (&[][..], None),
        };
        let parts = std::iter::once(first)
            .chain(rest.into_iter().flatten().map(Vec::as_slice))
            .chain(more.map(|part| -> &'a [u8] { part }))
            .filter(|part| !part.is_empty());
        let mut offered = 0;
        let mut count = 0;
        for (slot, part) in slices.iter_mut().zip(parts) {
            *slot = IoSlice::new(part);
            offered += part.len();
            count += 1;
        }
        (count, offered)
    }

    /// The bytes, if they lie in one piece.
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        self.0.as_ref().filter(|queue| queue.rest.is_empty()).map(|queue| &queue.first[queue.head..])
    }

    #[inline]
    pub(crate) fn consume(&mut self, count: usize, pool: &mut Pool) {
        if let Some(queue) = &mut self.0 {
            queue.consume(count, pool);
            if queue.length == 0 {
                self.clear(pool);
            }
        }
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        if let Some(mut queue) = self.0.take() {
            queue.consume(queue.length, pool);
            pool.give_queue(queue);
        }
    }
}

impl Queue {
    fn append_some(&mut self, mut bytes: &[u8], pool: &mut Pool) -> Result<()> {
        while !bytes.is_empty() {
            let last = match self.rest.back_mut() {
                Some(last) => last,
                None => &mut self.first,
            };
            if last.capacity() == 0 {
                *last = pool.take();
            }
            let room = CHUNK.saturating_sub(last.len());
            if room == 0 {
                self.rest.try_reserve(1).map_err(|_| Failure::no_memory())?;
                self.rest.push_back(pool.take());
                continue;
            }
            let (part, later) = bytes.split_at(room.min(bytes.len()));
            last.try_reserve(part.len()).map_err(|_| Failure::no_memory())?;
            last.extend_from_slice(part);
            self.length += part.len();
            bytes = later;
        }
        Ok(())
    }

    fn truncate(&mut self, length: usize, pool: &mut Pool) {
        while self.length > length {
            let excess = self.length - length;
            match self.rest.pop_back() {
                Some(last) if last.len() <= excess => {
                    self.length -= last.len();
                    pool.give(last);
                }
                Some(mut last) => {
                    last.truncate(last.len() - excess);
                    self.length = length;
                    self.rest.push_back(last);
                }
                None => {
                    self.first.truncate(self.first.len() - excess);
                    self.length = length;
                }
            }
        }
    }

    fn consume(&mut self, mut count: usize, pool: &mut Pool) {
        self.length -= count;
        if self.length == 0 && self.rest.is_empty() {
            // What comes next begins in the same buffer.
            self.first.clear();
            self.head = 0;
            return;
        }
        loop {
            let left = self.first.len() - self.head;
            if count < left {
                self.head += count;
                return;
            }
            count -= left;
            self.head = 0;
            let Some(next) = self.rest.pop_front() else { return self.first.clear() };
            pool.give(std::mem::replace(&mut self.first, next));
            if self.rest.is_empty() {
                self.rest = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, offered) = output.slices(std::iter::empty(), &mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
        assert_eq!(bytes.len(), offered);
        bytes
    }

    #[test]
    fn output_keeps_order_over_many_chunks_and_partial_sends() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        let bytes: Vec<u8> = (0..CHUNK * 3 + 17).map(|number| (number % 251) as u8).collect();
        for part in bytes.chunks(1000) {
            output.append(part, &mut pool).unwrap();
        }
        assert_eq!(content(&output), bytes);
        let mut taken = 0;
        for step in [1, 500, CHUNK, CHUNK - 1, 3, 2000] {
            output.consume(step, &mut pool);
            taken += step;
            assert_eq!(content(&output), bytes[taken..]);
            assert_eq!(output.length(), bytes.len() - taken);
        }
        output.clear(&mut pool);
        assert!(output.is_empty() && output.0.is_none());
    }

    #[test]
    fn pieces_come_behind_what_is_there() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        for before in [0, 10] {
            output.append(&[1; 10][..before], &mut pool).unwrap();
            output.append_pieces(vec![vec![2; CHUNK], vec![3; 5]], &mut pool).unwrap();
            output.append(&[4; 5], &mut pool).unwrap();
            assert_eq!(output.length(), before + CHUNK + 10);
            output.consume(before + CHUNK - 1, &mut pool);
            assert_eq!(content(&output), [2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
            output.consume(11, &mut pool);
            assert!(output.is_empty());
        }
    }

    #[test]
    fn parts_are_appended_in_their_order_and_empty_ones_are_nothing() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        output.append_all([&b""[..], b""].into_iter(), &mut pool).unwrap();
        assert!(output.is_empty());
        output.append_all([&b"a"[..], b"", b"bc"].into_iter(), &mut pool).unwrap();
        assert_eq!(content(&output), b"abc");
    }

    #[test]
    fn taking_back_an_append_leaves_what_was_there() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        output.append(&[1; 100], &mut pool).unwrap();
        output.append(&[2; CHUNK * 2], &mut pool).unwrap();
        output.0.as_mut().unwrap().truncate(100, &mut pool);
        assert_eq!(content(&output), [1; 100]);
        output.append(&[3; 5], &mut pool).unwrap();
        assert_eq!(content(&output)[100..], [3; 5]);
    }
}
