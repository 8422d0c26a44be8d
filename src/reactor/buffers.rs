// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spare byte buffers, so that a connection holds one only while it has bytes to keep, and none is allocated
//! per message.

use std::ops::Range;

use super::output::Queue;
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::memory::{self, Pages};

/// The capacity up to which a buffer is filled and kept for later.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Up to here what a listener writes is gathered until it ends. What is larger is sent from where it lies: a system call
/// costs less than copying it.
pub(crate) const GATHER: usize = CHUNK / 2;
/// How much capacity is kept in all; what is beyond goes back to the allocator.
const KEPT: usize = 1024 * 1024;

/// How many heads of output queues are kept.
const QUEUES: usize = 64;

#[derive(Default)]
pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    capacity: usize,
    /// Empty ones, each with its first buffer.
    #[expect(clippy::vec_box, reason = "a connection holds its queue by one word")]
    queues: Vec<Box<Queue>>,
}

impl Pool {
    /// An empty buffer, with room if a spare one is there.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.capacity -= buffer.capacity();
        buffer
    }

    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let is_wanted = capacity > 0 && capacity <= CHUNK && self.capacity + capacity <= KEPT;
        if is_wanted && self.spare.try_reserve(1).is_ok() {
            buffer.clear();
            self.capacity += capacity;
            self.spare.push(buffer);
        }
    }

    pub(super) fn take_queue(&mut self) -> Result<Box<Queue>> {
        if let Some(queue) = self.queues.pop() {
            self.capacity -= queue.first.capacity();
            return Ok(queue);
        }
        let mut queue = memory::boxed(Queue::default())?;
        queue.first = self.take();
        Ok(queue)
    }

    pub(super) fn give_queue(&mut self, queue: Box<Queue>) {
        let capacity = queue.first.capacity();
        let is_wanted = self.queues.len() < QUEUES && capacity <= CHUNK && self.capacity + capacity <= KEPT;
        if is_wanted && self.queues.try_reserve(1).is_ok() {
            self.capacity += capacity;
            self.queues.push(queue);
        }
    }
}

/// One read takes at most this much.
pub(crate) const RECEIVE_BUFFER: usize = 256 * 1024;
/// And so much while too much is unread.
const LITTLE: usize = 16 * 1024;

/// Where all that a loop receives arrives: one buffer, hot in the cache, and lent to a socket while its listeners run.
/// There is at most one such socket, since nothing is received meanwhile.
pub(crate) struct ReceiveBuffer {
    /// It begins at a page: the system copies to it at twice the speed.
    bytes: Pages,
    /// How much one read of a connection takes at most.
    pub most: usize,
    lent_to: Option<Key>,
    /// The same, if nothing but its bytes needs to be known of the socket to read them.
    plainly_lent_to: Option<Key>,
    /// What is lent and not read yet.
    lent: Range<usize>,
}

impl ReceiveBuffer {
    pub(super) fn new() -> Result<Self> {
        let bytes = Pages::new(RECEIVE_BUFFER)?;
        Ok(ReceiveBuffer { bytes, most: RECEIVE_BUFFER, lent_to: None, plainly_lent_to: None, lent: 0..0 })
    }

    /// While too much is unread, each read takes little: what it brings may be left unread, too.
    pub(crate) fn take_little(&mut self, little: bool) {
        self.most = if little { LITTLE } else { RECEIVE_BUFFER };
    }

    /// Where `count` bytes are received, or as many as a read takes.
    #[inline]
    pub(crate) fn room(&mut self, count: usize) -> &mut [u8] {
        self.bytes.get_mut(..count.min(self.most)).unwrap_or_default()
    }

    /// Puts bytes at a place where some could have been received. Returns the place behind them.
    pub(crate) fn put(&mut self, place: usize, bytes: &[u8]) -> usize {
        let end = place + bytes.len();
        if let Some(room) = self.bytes.get_mut(place..end) {
            room.copy_from_slice(bytes);
        }
        end
    }

    /// The first `count` bytes that were received.
    pub(crate) fn received(&self, count: usize) -> &[u8] {
        self.bytes.get(..count).unwrap_or_default()
    }

    /// The first `count` bytes are the socket's, to be read in place. `plain`: nobody keeps an account of what it reads.
    #[inline]
    pub(crate) fn lend(&mut self, socket: Key, count: usize, plain: bool) {
        self.lent_to = Some(socket);
        self.plainly_lent_to = if plain { self.lent_to } else { None };
        self.lent = 0..count;
    }

    /// From now on there is an account of what the socket reads.
    pub(crate) fn keep_account(&mut self) {
        self.plainly_lent_to = None;
    }

    /// Whether bytes are lent to the socket, and nothing else needs to be known of it.
    #[inline]
    pub(crate) fn is_plainly_lent(&self, socket: Key) -> bool {
        socket.is_that(self.plainly_lent_to)
    }

    /// The bytes that are lent and not read yet, which count as read now.
    #[inline]
    pub(crate) fn take(&mut self) -> &[u8] {
        let lent = self.lent.clone();
        self.lent.start = self.lent.end;
        self.bytes.get(lent).unwrap_or_default()
    }

    /// The bytes that are lent and not read yet.
    #[inline]
    pub(crate) fn lent(&self) -> &[u8] {
        self.bytes.get(self.lent.clone()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn is_lent_to(&self, socket: Key) -> bool {
        self.lent_to == Some(socket)
    }

    /// The bytes that are lent to the socket and not read yet.
    #[inline]
    pub(crate) fn lent_to(&self, socket: Key) -> &[u8] {
        match self.lent_to == Some(socket) {
            true => self.bytes.get(self.lent.clone()).unwrap_or_default(),
            false => &[],
        }
    }

    /// Everything that was lent is read.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.lent.is_empty()
    }

    /// The socket has read `count` of the bytes that are lent to it.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        self.lent.start += count;
    }

    /// Nothing is lent any more.
    #[inline]
    pub(crate) fn take_all_back(&mut self) {
        self.lent_to = None;
        self.plainly_lent_to = None;
    }

    /// What is lent to the socket is not any more.
    #[inline]
    pub(crate) fn take_back(&mut self, socket: Key) {
        if self.lent_to == Some(socket) {
            self.take_all_back();
        }
    }
}

/// Where the bytes are gathered that the running listener writes to one connection, the first that it writes to. They leave
/// when it ends, in one system call.
#[derive(Default)]
pub(crate) struct SendBuffer {
    pub owner: Option<Key>,
    pub bytes: Vec<u8>,
    /// The socket whose listeners are being told of bytes, while what they answer may be gathered without another look at it
    /// or at its connection, which is `answers_to`.
    pub answering: Option<Key>,
    pub answers_to: Option<Key>,
}

impl SendBuffer {
    /// Takes bytes of a connection that has nothing else to send. Returns false if this is no place for them.
    #[inline]
    pub(crate) fn gather(&mut self, key: Key, bytes: &[u8]) -> bool {
        if self.owner.is_some_and(|owner| owner != key) {
            return false;
        }
        if self.bytes.capacity() - self.bytes.len() < bytes.len() && !self.grow(bytes.len()) {
            return false;
        }
        self.owner = Some(key);
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// As [`gather`](Self::gather), for bytes in several parts, `length` in all.
    pub(crate) fn gather_all<'a>(&mut self, key: Key, parts: impl Iterator<Item = &'a [u8]>, length: usize) -> bool {
        let has_room = self.bytes.capacity() - self.bytes.len() >= length;
        if self.owner.is_some_and(|owner| owner != key) || (!has_room && !self.grow(length)) {
            return false;
        }
        self.owner = Some(key);
        parts.for_each(|part| self.bytes.extend_from_slice(part));
        true
    }

    /// As [`gather`](Self::gather), for an answer of the socket whose listeners are being told of bytes.
    #[inline(always)]
    pub(crate) fn gather_answer(&mut self, socket: Key, bytes: &[u8]) -> bool {
        let room = self.bytes.capacity() - self.bytes.len();
        if !socket.is_that(self.answering)
            || bytes.is_empty()
            || bytes.len() > room
            || self.bytes.len() + bytes.len() > GATHER
            || (self.owner.is_some() && self.owner != self.answers_to)
        {
            return false;
        }
        self.owner = self.answers_to;
        self.bytes.extend_from_slice(bytes);
        true
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        let wanted = GATHER - self.bytes.len().min(GATHER);
        more <= wanted && self.bytes.try_reserve_exact(wanted).is_ok()
    }

    /// How many bytes of a connection are gathered.
    #[inline]
    pub(crate) fn length(&self, key: Key) -> usize {
        if self.owner == Some(key) { self.bytes.len() } else { 0 }
    }
}

/// Room that a loop has for what is made or taken apart in one step, as often as that comes. It grows and is kept.
#[derive(Default)]
pub(crate) struct Scratch {
    /// All of it is set, so that none needs to be set again.
    memory: Vec<u8>,
    length: usize,
}

impl Scratch {
    /// Room for `count` bytes behind those that are there.
    pub(crate) fn room(&mut self, count: usize) -> Result<&mut [u8]> {
        let end = self.length + count;
        if end > self.memory.len() {
            let missing = end - self.memory.len();
            self.memory.try_reserve(missing).map_err(|_| Failure::no_memory())?;
            self.memory.resize(end, 0);
        }
        Ok(self.memory.get_mut(self.length..end).unwrap_or_default())
    }

    /// So many bytes were put there.
    pub(crate) fn add(&mut self, count: usize) {
        self.length = (self.length + count).min(self.memory.len());
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.length).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_handed_out_again_empty() {
        let mut pool = Pool::default();
        pool.give(vec![7; 100]);
        let buffer = pool.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
        assert_eq!(pool.take().capacity(), 0);
    }

    #[test]
    fn what_is_received_lies_at_the_beginning_of_a_page() {
        let mut buffer = ReceiveBuffer::new().unwrap();
        assert_eq!(buffer.room(RECEIVE_BUFFER).as_ptr().addr() % 4096, 0);
        assert_eq!(buffer.room(usize::MAX).len(), RECEIVE_BUFFER);
        assert_eq!(buffer.room(10).len(), 10);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = Pool::default();
        pool.give(Vec::with_capacity(CHUNK * 2));
        assert_eq!(pool.capacity, 0);
        for _ in 0..1000 {
            pool.give(Vec::with_capacity(CHUNK));
        }
        assert!(pool.capacity <= KEPT && pool.spare.len() <= KEPT / CHUNK);
    }
}
