// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way out: gathered writes, what the system does not take at once, and what it does later.

use std::io::{self, IoSlice};

use super::phase::Owed;
use super::share::subtract;
use super::{Connection, ErrorNumber, Marks, Sending, Transport};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;
use crate::reactor::{GATHER, Pool, Reactor, SLICES};
use crate::sys;

/// How much one flush hands to the system before others get their turn.
const FLUSH_BUDGET: usize = 4 * 1024 * 1024;

/// What came of an attempt to send.
#[derive(Default, Clone, Copy)]
struct Flushed {
    moved: usize,
    /// The budget ended before the output did.
    more: bool,
}

/// When bytes are to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    Now,
    /// Together with what follows, which is not far: the system may keep them a moment for that.
    WithWhatFollows,
}

impl Connection {
    /// Whether what its socket's listeners write may be gathered, as long as there is so little of it.
    #[inline]
    pub(crate) fn gathers(&self, limit: usize) -> bool {
        self.output.is_empty() && self.sending.goes_on() && limit >= GATHER
    }

    /// How much is unsent, besides what is gathered.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.output.length() + self.unsealed()
    }

    /// The system takes no more for now.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn owed(&self) -> Owed {
        if !self.output.is_empty() || (!self.sending.goes_on() && self.owes_apart()) {
            Owed::Output
        } else if self.sent > 0 {
            Owed::ItsReading
        } else {
            Owed::Nothing
        }
    }

    /// What most connections need not ask: sending has failed, or something is not sealed yet.
    fn owes_apart(&self) -> bool {
        self.send_error().is_some() || self.unsealed() > 0
    }

    /// Takes `bytes` over, all or nothing. Few are gathered until the listener ends; many are sent at once, straight from
    /// the caller's memory, behind what was gathered.
    #[inline(always)]
    pub(crate) fn write(&mut self, bytes: &[u8], limit: usize, reactor: &mut Reactor, key: Key) -> Result<()> {
        if self.output.is_empty() && self.sending.goes_on() && !bytes.is_empty() {
            let total = reactor.send_buffer.length(key) + bytes.len();
            if total <= limit.min(GATHER) && reactor.send_buffer.gather(key, bytes) {
                reactor.has_work();
                return Ok(());
            }
        }
        self.write_behind(std::iter::once(bytes), bytes.len(), limit, reactor, key)
    }

    /// As [`write`](Self::write), of bytes in several parts, `length` in all: all of them or none.
    pub(crate) fn write_all<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a [u8]> + Clone,
        length: usize,
        limit: usize,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        if self.output.is_empty() && self.sending.goes_on() && length > 0 {
            let total = reactor.send_buffer.length(key).saturating_add(length);
            if total <= limit.min(GATHER) && reactor.send_buffer.gather_all(key, parts.clone(), length) {
                reactor.has_work();
                return Ok(());
            }
        }
        self.write_behind(parts, length, limit, reactor, key)
    }

    #[inline(never)]
    fn write_behind<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a [u8]> + Clone,
        length: usize,
        limit: usize,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        if !self.make_ready(length, limit, reactor, key)? {
            return Ok(());
        }
        if self.is_secure() {
            return self.write_unsealed(parts, length, reactor, key);
        }
        if self.output.length().saturating_add(length) > GATHER && !self.full {
            return self.write_through(parts, Haste::Now, reactor, key);
        }
        self.output.append_all(parts, &mut reactor.pool)?;
        self.send_later(reactor, key);
        Ok(())
    }

    /// As [`write`](Self::write), of bytes that were made for this: they are not copied.
    pub(crate) fn write_pieces(
        &mut self,
        pieces: Vec<Vec<u8>>,
        limit: usize,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        let length = pieces.iter().map(Vec::len).sum::<usize>();
        if let Some(piece) = pieces.first().filter(|piece| piece.len() == length) {
            return self.write(piece, limit, reactor, key);
        }
        if !self.make_ready(length, limit, reactor, key)? {
            return Ok(());
        }
        if self.is_secure() {
            return self.write_unsealed(pieces.iter().map(Vec::as_slice), length, reactor, key);
        }
        self.output.append_pieces(pieces, &mut reactor.pool)?;
        self.send_later(reactor, key);
        Ok(())
    }

    /// The host has not ended our side.
    pub(crate) fn check_unshut(&self) -> Result<()> {
        if self.phase.is_shut() { Err(Failure::shut_down()) } else { Ok(()) }
    }

    /// Makes ready for `length` bytes behind all that was written. Returns false if there is nothing to be written, or the peer
    /// is gone, and the listeners are about to be told: as with any network write, it may get lost.
    fn make_ready(&mut self, length: usize, limit: usize, reactor: &mut Reactor, key: Key) -> Result<bool> {
        reactor.send_buffer.answering = None;
        self.check_unshut()?;
        if length > 0 && (self.pending() + reactor.send_buffer.length(key)).saturating_add(length) > limit {
            return Err(too_much(length, limit));
        }
        if !self.sending.takes_more() || length == 0 {
            return Ok(false);
        }
        self.spill(reactor, key)?;
        Ok(true)
    }

    /// What is gathered becomes output of the connection's own.
    fn spill(&mut self, reactor: &mut Reactor, key: Key) -> Result<()> {
        if reactor.send_buffer.owner == Some(key) {
            self.output.append(&reactor.send_buffer.bytes, &mut reactor.pool)?;
            reactor.send_buffer.owner = None;
            reactor.send_buffer.bytes.clear();
            self.send_later(reactor, key);
        }
        Ok(())
    }

    pub(super) fn send_later(&mut self, reactor: &mut Reactor, key: Key) {
        if !self.dirty && !self.full {
            self.dirty = true;
            reactor.push_dirty(key);
        }
    }

    /// As [`spill`](Self::spill), where nobody can be told that there is no memory for it: the connection is broken then.
    pub(super) fn take_gathered(&mut self, reactor: &mut Reactor, key: Key) {
        if self.spill(reactor, key).is_err() {
            reactor.send_buffer.owner = None;
            reactor.send_buffer.bytes.clear();
            self.fail(ErrorNumber::new(sys::NO_MEMORY), reactor, key);
        }
    }

    /// The listener has ended: sends what it has gathered. Returns whether the system has taken it.
    #[inline(always)]
    fn send_gathered(&mut self, reactor: &mut Reactor, key: Key) -> bool {
        let length = reactor.send_buffer.bytes.len();
        match self.stream.send(&reactor.send_buffer.bytes) {
            Ok(taken) if taken == length => {
                reactor.send_buffer.bytes.clear();
                self.sent += taken as u64;
                // Nearly always: nobody wants to know.
                if self.rare.is_some() || self.is(Marks::WANTS_PROGRESS) {
                    self.account(Flushed { moved: taken, more: false }, reactor, key);
                }
                true
            }
            outcome => {
                self.keep_gathered(outcome, reactor, key);
                false
            }
        }
    }

    /// The system has taken a part of what is gathered, or nothing.
    #[cold]
    fn keep_gathered(&mut self, outcome: io::Result<usize>, reactor: &mut Reactor, key: Key) {
        let taken = match outcome {
            Ok(taken) => {
                self.full = sys::SHORT_READ_DRAINS;
                taken
            }
            Err(error) => {
                self.refuse(&error);
                0
            }
        };
        self.sent += taken as u64;
        let rest = reactor.send_buffer.bytes.get(taken..).unwrap_or_default();
        if self.sending.goes_on() && self.output.append(rest, &mut reactor.pool).is_err() {
            self.sending = Sending::failed(ErrorNumber::new(sys::NO_MEMORY));
        }
        reactor.send_buffer.bytes.clear();
        self.account(Flushed { moved: taken, more: !self.full }, reactor, key);
    }

    pub(super) fn write_through<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a [u8]> + Clone,
        haste: Haste,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        let kept = self.output.length();
        let moved = self.send(parts.clone(), haste);
        self.output.consume(moved.min(kept), &mut reactor.pool);
        self.sent += moved as u64;
        let mut gone = moved.saturating_sub(kept);
        let rest = parts.map(|part| {
            let (sent, rest) = part.split_at(gone.min(part.len()));
            gone -= sent.len();
            rest
        });
        if self.send_error().is_none() && self.output.append_all(rest, &mut reactor.pool).is_err() {
            // Part of it is on its way, so that there is no going back: the stream would have a hole.
            self.sending = Sending::failed(ErrorNumber::new(sys::NO_MEMORY));
            self.output.clear(&mut reactor.pool);
        }
        self.account(Flushed { moved, more: false }, reactor, key);
        if self.is(Marks::STARVED) {
            // The system will not tell when it has memory: it is tried again when the listener ends, and rests then.
            self.full = false;
        }
        if !self.output.is_empty() {
            // More parts than one system call takes.
            self.send_later(reactor, key);
        }
        Ok(())
    }

    /// Hands to the system what it takes now.
    pub(crate) fn flush(&mut self, reactor: &mut Reactor, key: Key) {
        reactor.send_buffer.answering = None;
        self.take_gathered(reactor, key);
        if self.is_secure() {
            self.seal_written(reactor, key);
        }
        let mut flushed = Flushed::default();
        while !self.output.is_empty() && !self.full && self.send_error().is_none() {
            if flushed.moved >= FLUSH_BUDGET {
                flushed.more = true;
                break;
            }
            let moved = self.send(std::iter::empty(), Haste::Now);
            self.output.consume(moved, &mut reactor.pool);
            self.sent += moved as u64;
            flushed.moved += moved;
        }
        self.account(flushed, reactor, key);
        if self.has_sent_last() {
            self.queue(reactor, key);
        }
    }

    /// Everything is sent, and something follows from that.
    pub(crate) fn has_sent_last(&self) -> bool {
        self.phase.ends_when_sent() && self.output.is_empty() && self.send_error().is_none()
    }

    /// The host has ended our side, if the phase says so: nothing more can be written.
    pub(super) fn end_side(&mut self, reactor: &mut Reactor, key: Key) {
        if self.phase.is_shut() && self.sending.takes_more() {
            self.sending = Sending::SHUT_DOWN;
        }
        if self.has_sent_last() {
            self.queue(reactor, key);
        }
    }

    /// Takes note of what was sent, for the turn to act on.
    #[inline(never)]
    fn account(&mut self, flushed: Flushed, reactor: &mut Reactor, key: Key) {
        inject::point();
        if let Some(error) = self.send_error() {
            self.output.clear(&mut reactor.pool);
            self.fail(error, reactor, key);
        } else if flushed.more {
            self.queue(reactor, key);
        }
        if flushed.moved == 0 {
            return;
        }
        self.note_sent(flushed.moved, reactor, key);
        if self.is(Marks::WANTS_PROGRESS) && !self.is(Marks::PROGRESS_DUE) {
            self.tell_progress(reactor);
        }
        if self.phase.lingers() {
            self.count_lingering(flushed.moved);
        }
    }

    fn tell_progress(&mut self, reactor: &mut Reactor) {
        if let Some(owner) = self.owner {
            self.mark(Marks::PROGRESS_DUE, true);
            reactor.push_progress(owner);
        }
    }

    fn count_lingering(&self, moved: usize) {
        if let Some(server) = &self.server {
            subtract(&server.lingering_bytes, moved as u64);
        }
    }

    /// One system call for what is kept and `more` behind it. Returns how much the system took, and notes down whether it
    /// is full or the connection dead.
    #[inline]
    fn send<'a>(&mut self, more: impl Iterator<Item = &'a [u8]> + Clone, haste: Haste) -> usize {
        let mut others = more.clone();
        let first = others.next().unwrap_or_default();
        let is_only = others.next().is_none();
        let (offered, outcome) = match self.output.only_slice() {
            Some(bytes) if first.is_empty() && is_only => (bytes.len(), self.stream.send(bytes)),
            None if self.output.is_empty() && is_only => match haste {
                Haste::Now => (first.len(), self.stream.send(first)),
                Haste::WithWhatFollows => (first.len(), self.stream.send_ahead(first)),
            },
            _ => self.send_parts(more),
        };
        match outcome {
            Ok(taken) => {
                self.full = taken < offered && sys::SHORT_READ_DRAINS;
                taken
            }
            Err(error) => {
                self.refuse(&error);
                0
            }
        }
    }

    fn send_parts<'a>(&self, more: impl Iterator<Item = &'a [u8]>) -> (usize, io::Result<usize>) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, offered) = self.output.slices(more, &mut slices);
        (offered, self.stream.send_vectored(&slices[..count]))
    }

    #[cold]
    fn refuse(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.full = true;
        } else if sys::is_exhausted(error) {
            self.full = true;
            self.mark(Marks::STARVED, true);
        } else {
            self.sending = Sending::failed(ErrorNumber::from(error));
        }
    }

    /// What it holds goes back to the pool.
    pub(super) fn drop_output(&mut self, pool: &mut Pool) {
        if !self.output.is_empty() {
            self.output.clear(pool);
        }
    }
}

#[cold]
fn too_much(length: usize, limit: usize) -> Failure {
    if length > limit {
        return Failure::out_of_range().because(format!(
            "{length} bytes can never fit: write them in parts, or raise SS_OPT_WRITE_LIMIT, which is {limit}"
        ));
    }
    Failure::write_limit()
}

impl Transport {
    /// At the end of a listener: sends what it wrote, each connection's in one system call.
    #[inline(always)]
    pub(crate) fn flush_dirty(&mut self) {
        if let Some(key) = self.reactor.send_buffer.owner.take() {
            if let Some(connection) = self.connections.known_mut(key) {
                if !connection.send_gathered(&mut self.reactor, key) {
                    self.rest_if_starved(key);
                }
            }
        }
        if self.reactor.is_dirty() {
            self.flush_others();
        }
    }

    #[inline(never)]
    fn flush_others(&mut self) {
        while let Some(key) = self.reactor.pop_dirty() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.dirty = false;
            }
            self.flush(key);
        }
    }

    /// Sends what was written, as far as the system takes it now.
    pub(crate) fn flush(&mut self, key: Key) {
        inject::point();
        if let Some(connection) = self.connections.get_mut(key) {
            connection.flush(&mut self.reactor, key);
            self.rest_if_starved(key);
        }
    }

    /// The system had no memory for the connection: it is tried again after a rest.
    pub(crate) fn rest_if_starved(&mut self, key: Key) {
        if self.connections.get(key).is_some_and(|connection| connection.is(Marks::STARVED)) {
            self.reactor.starve(key);
        }
    }

    /// If outputProgress is due: the bytes handed to the system since the connection was made, and those that are still
    /// pending.
    pub(crate) fn take_progress(&mut self, key: Key) -> Option<(u64, u64)> {
        let connection = self.connections.get_mut(key).filter(|connection| connection.is(Marks::PROGRESS_DUE))?;
        connection.mark(Marks::PROGRESS_DUE, false);
        Some((connection.sent, connection.pending() as u64))
    }
}
