//! Spare byte buffers, so that a connection holds one only while it has bytes to keep, and none is allocated
//! per message.

use std::ops::Range;

use super::output::Queue;
use crate::error::Result;
use crate::handle::Key;
use crate::memory;

/// The capacity up to which a buffer is filled and kept for later.
pub(crate) const CHUNK: usize = 64 * 1024;
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
        if capacity > 0 && capacity <= CHUNK && self.capacity + capacity <= KEPT {
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
        if self.queues.len() < QUEUES && capacity <= CHUNK && self.capacity + capacity <= KEPT {
            self.capacity += capacity;
            self.queues.push(queue);
        }
    }
}

/// One read takes at most this much.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Where all that a loop receives arrives: one buffer, hot in the cache, and lent to a socket while its listeners run.
/// There is at most one such socket, since nothing is received meanwhile.
pub(crate) struct ReceiveBuffer {
    pub bytes: Vec<u8>,
    lent_to: Option<Key>,
    /// What is lent and not read yet.
    lent: Range<usize>,
}

impl ReceiveBuffer {
    pub(super) fn new() -> Self {
        ReceiveBuffer { bytes: vec![0; RECEIVE_BUFFER], lent_to: None, lent: 0..0 }
    }

    /// The first `count` bytes are the socket's, to be read in place.
    pub(crate) fn lend(&mut self, socket: Key, count: usize) {
        self.lent_to = Some(socket);
        self.lent = 0..count;
    }

    #[inline]
    pub(crate) fn lent_to(&self, socket: Key) -> &[u8] {
        match self.lent_to == Some(socket) {
            true => &self.bytes[self.lent.clone()],
            false => &[],
        }
    }

    /// The socket has read `count` of the bytes that are lent to it.
    pub(crate) fn consume(&mut self, count: usize) {
        self.lent.start += count;
    }

    /// What is lent to the socket is not any more.
    pub(crate) fn take_back(&mut self, socket: Key) {
        if self.lent_to == Some(socket) {
            self.lent_to = None;
        }
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
