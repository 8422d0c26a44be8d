//! Spare byte buffers, so that a connection holds one only while it has bytes to keep, and none is allocated
//! per message.

/// The capacity up to which a buffer is filled and kept for later.
pub(crate) const CHUNK: usize = 64 * 1024;
/// How much capacity is kept in all; what is beyond goes back to the allocator.
const KEPT: usize = 1024 * 1024;

#[derive(Default)]
pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    capacity: usize,
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
