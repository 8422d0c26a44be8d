// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket's unread input.
//!
//! While the listeners of their event run the bytes lie in the loop's receive buffer, lent to the socket. What is left
//! then is kept by the socket itself, and later bytes are put behind it.

use std::rc::Rc;
use std::time::Duration;

use super::{Cold, Socket, SocketRef};
use crate::core::connection::{Marks, ServerShare};
use crate::core::events::EventType;
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;
use crate::reactor::{Pool, Reactor};
use crate::sys::net;

/// In what time bytes are read by those who read in their own time, or listened for by those who do so later.
const SOON: Duration = Duration::from_secs(1);

/// Bytes that listeners have left unread.
#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// How many of them have been read.
    head: usize,
    /// The server that has an account of them.
    server: Option<Rc<ServerShare>>,
}

impl Kept {
    #[inline]
    fn unread(&self) -> &[u8] {
        self.bytes.get(self.head..).unwrap_or_default()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn append(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<()> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        // Moving the unread part to the front costs at most what was read since the last time: linear in all.
        if self.head > 0 && self.head >= self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        self.bytes.try_reserve(bytes.len()).map_err(|_| Failure::no_memory())?;
        self.bytes.extend_from_slice(bytes);
        if let Some(server) = &self.server {
            server.unread.add(bytes.len());
        }
        Ok(())
    }

    /// How many more there may be; `None`: none, since all connections of the server together have too many.
    fn room(&self, limit: usize) -> Option<usize> {
        let length = self.unread().len();
        let held_back = self.server.as_ref().is_some_and(|server| server.holds_back(length));
        (!held_back).then(|| limit.saturating_sub(length))
    }

    fn has_room(&self, limit: usize) -> bool {
        self.room(limit).is_some_and(|room| room > 0)
    }

    /// The server's account of as many bytes is settled. Returns whether that makes room for others.
    #[must_use]
    fn settle(&self, count: usize) -> bool {
        self.server.as_ref().is_some_and(|server| server.unread.subtract(count))
    }

    /// Counts `count` bytes as read; not more than there are.
    fn consume(&mut self, count: usize, pool: &mut Pool) {
        self.head += count;
        if self.head == self.bytes.len() {
            self.clear(pool);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.head = 0;
        std::mem::take(&mut self.bytes)
    }

    fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.bytes));
        self.head = 0;
    }
}

impl Cold {
    /// It is looked at again soon, unless that is due already.
    pub(crate) fn watch_unheard(&mut self, key: Key, reactor: &mut Reactor) {
        if !self.timer.is_set() {
            reactor.timers.set(key, &mut self.timer, Some(net::now() + SOON));
        }
    }
}

impl Socket {
    /// What listeners have left unread.
    #[inline]
    pub(crate) fn kept(&self) -> &[u8] {
        self.cold().map_or(&[], |cold| cold.kept.unread())
    }

    /// How many bytes more may be unread; `None`: none, since all connections of the server together have too many.
    #[inline]
    pub(crate) fn room(&self) -> Option<usize> {
        let limit = self.options().read_limit;
        match self.cold() {
            None => Some(limit),
            Some(cold) => cold.kept.room(limit),
        }
    }

    /// Bytes have come for it, the first `count` of the receive buffer: behind those that are kept, or to be read in place.
    #[inline(always)]
    pub(crate) fn take_in(&mut self, key: Key, count: usize, reactor: &mut Reactor) -> Result<()> {
        if let Some(cold) = self.cold.as_deref_mut().filter(|cold| !cold.kept.is_empty()) {
            let bytes = reactor.receive_buffer.received(count);
            return cold.kept.append(bytes, &mut reactor.pool);
        }
        reactor.receive_buffer.lend(key, count, self.cold.is_none());
        Ok(())
    }

    /// The receive buffer is wanted for others: what is left of what was lent is kept.
    #[inline]
    pub(crate) fn keep_what_is_lent(
        &mut self,
        key: Key,
        server: Option<&Rc<ServerShare>>,
        reactor: &mut Reactor,
    ) -> Result<()> {
        if !reactor.receive_buffer.is_lent_to(key) {
            return Ok(());
        }
        let lent = reactor.receive_buffer.lent_to(key);
        let outcome = match lent.is_empty() {
            true => Ok(()),
            false => self.make_cold().and_then(|cold| {
                cold.kept.server = server.cloned();
                cold.kept.append(lent, &mut reactor.pool)
            }),
        };
        reactor.receive_buffer.take_back(key);
        reactor.send_buffer.answering = None;
        outcome
    }

    /// Unread input is dropped.
    pub(crate) fn drop_input(&mut self, key: Key, reactor: &mut Reactor) {
        reactor.receive_buffer.take_back(key);
        reactor.send_buffer.answering = None;
        if let Some(cold) = &mut self.cold {
            let makes_room = cold.kept.settle(cold.kept.unread().len());
            cold.kept.clear(&mut reactor.pool);
            if makes_room {
                reactor.push_loop();
            }
        }
    }
}

impl SocketRef<'_> {
    #[inline]
    fn input(&self) -> &[u8] {
        // What is kept comes first, and nothing is lent then.
        match self.socket.kept() {
            [] => self.transport.reactor.receive_buffer.lent_to(self.key),
            kept => kept,
        }
    }

    pub(crate) fn bytes_available(&self) -> usize {
        self.input().len()
    }

    /// The unread bytes, in place.
    #[inline]
    pub(crate) fn unread(&self) -> Result<&[u8]> {
        let input = self.input();
        if input.is_empty() && self.socket.connection.is_none() {
            return Err(Failure::not_connected());
        }
        Ok(input)
    }

    /// As many unread bytes as are asked for. Fewer have come: an error that waiting mends, unless more are asked for
    /// than may be unread.
    pub(crate) fn unread_exactly(&self, count: usize) -> Result<&[u8]> {
        let unread = self.unread()?;
        match unread.get(..count) {
            Some(bytes) => Ok(bytes),
            None => Err(self.too_few(count)),
        }
    }

    #[cold]
    pub(super) fn too_few(&self, count: usize) -> Failure {
        let limit = self.socket.options().read_limit;
        if count > limit {
            return Failure::out_of_range().because(format!(
                "{count} bytes can never be unread at a time: read them in parts, or raise SS_OPT_READ_LIMIT, which is {limit}"
            ));
        }
        Failure::too_few()
    }

    /// It has unread bytes, for which nobody listens, and of which nobody has ever read any.
    pub(crate) fn is_left_unheard(&mut self) -> bool {
        let unread = self.socket.cold().is_some_and(|cold| cold.consumed == 0 && !cold.kept.is_empty());
        unread
            && !self.socket.listeners.hears(EventType::SOCKET_DATA)
            && self.connection().is_ok_and(|(_, connection)| !connection.is(Marks::PAUSED))
    }

    /// Where in the stream of which connection the unread bytes begin; `None`: no more will come.
    pub(crate) fn position(&self) -> Option<(usize, u64)> {
        Some((self.socket.connection?.bits(), self.socket.cold()?.consumed))
    }

    /// Counts bytes as read; not more than there are. What was full may then have room for more.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        inject::point();
        if self.socket.cold.is_none() {
            return self.transport.reactor.receive_buffer.consume(count);
        }
        self.consume_cold(count);
    }

    fn consume_cold(&mut self, count: usize) {
        let limit = self.socket.options().read_limit;
        let reactor = &mut self.transport.reactor;
        let Some(cold) = &mut self.socket.cold else { return };
        cold.consumed = cold.consumed.wrapping_add(count as u64);
        if cold.kept.is_empty() {
            return reactor.receive_buffer.consume(count);
        }
        let had_room = cold.kept.has_room(limit);
        if cold.kept.settle(count) {
            reactor.push_loop();
        }
        cold.kept.consume(count, &mut reactor.pool);
        if !had_room && cold.kept.has_room(limit) {
            self.read_on();
        }
    }

    /// Counts as many bytes as read, if there are so many.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        let unread = self.unread()?.len();
        if count > unread {
            return Err(self.too_few(count));
        }
        self.consume(count);
        Ok(())
    }

    /// All of the unread bytes, counted as read: where they are, and the memory that the caller holds for as long as they are to stay,
    /// if it is not the receive buffer.
    pub(crate) fn take(&mut self) -> Result<(*const [u8], Option<Vec<u8>>)> {
        let bytes: *const [u8] = self.unread()?;
        let length = bytes.len();
        if length == 0 {
            return Ok((bytes, None));
        }
        let limit = self.socket.options().read_limit;
        let Some(cold) = self.socket.cold.as_deref_mut().filter(|cold| !cold.kept.is_empty()) else {
            self.consume(length);
            return Ok((bytes, None));
        };
        let had_room = cold.kept.has_room(limit);
        cold.consumed = cold.consumed.wrapping_add(length as u64);
        if cold.kept.settle(length) {
            self.transport.reactor.push_loop();
        }
        let memory = cold.kept.take();
        if !had_room {
            self.read_on();
        }
        Ok((bytes, Some(memory)))
    }

    /// `pause` and `resume`: while it is paused nothing is read, and the peer's window closes in time.
    pub(crate) fn set_paused(&mut self, paused: bool) -> Result<()> {
        self.connection()?.1.mark(Marks::PAUSED, paused);
        self.read_on();
        Ok(())
    }

    /// What kept the connection from being read is gone, perhaps.
    fn read_on(&mut self) {
        let key = self.socket.connection;
        if let Some((key, connection)) = key.and_then(|key| Some((key, self.transport.connections.get_mut(key)?))) {
            connection.read_on(&mut self.transport.reactor, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_grows_at_its_end() {
        let mut pool = Pool::default();
        let mut kept = Kept::default();
        kept.append(b"abcdef", &mut pool).unwrap();
        kept.consume(2, &mut pool);
        kept.append(b"ghi", &mut pool).unwrap();
        assert_eq!(kept.unread(), b"cdefghi");
        kept.consume(7, &mut pool);
        assert!(kept.is_empty() && kept.bytes.capacity() == 0);
    }

    #[test]
    fn reading_slower_than_bytes_come_keeps_their_order() {
        let mut pool = Pool::default();
        let mut kept = Kept::default();
        let (mut written, mut read) = (0u8, 0u8);
        for round in 0..10_000 {
            let bytes = [written, written.wrapping_add(1), written.wrapping_add(2)];
            written = written.wrapping_add(3);
            kept.append(&bytes, &mut pool).unwrap();
            for _ in 0..if round % 2 == 0 { 2 } else { 3 } {
                assert_eq!(kept.unread()[0], read);
                kept.consume(1, &mut pool);
                read = read.wrapping_add(1);
            }
        }
        assert_eq!(kept.unread().len(), 5_000);
    }
}
