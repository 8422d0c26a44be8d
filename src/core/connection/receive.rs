// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way in: one read into the loop's buffer, and what it says of the peer.

use std::io;

use super::share::add;
use super::{Connection, ErrorNumber, Marks, Sending};
use crate::sys;
use crate::sys::net::News;

/// How much input of a closed socket is thrown away while its output is still under way. A peer that sends more
/// without listening to the answer loses the end of it.
const DRAIN_LIMIT: usize = 8 * 1024 * 1024;

/// What a read has brought.
pub(crate) enum Received {
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The peer has ended its side.
    TheEnd,
    /// The connection is broken.
    Failed(Broken),
    /// The system has no memory for it now.
    Starved,
}

/// Why a connection is broken.
pub(crate) struct Broken {
    pub error: ErrorNumber,
    /// The descriptor was taken from us, and its number may be a stranger's by now.
    pub not_ours: bool,
}

impl Connection {
    /// Reads once.
    #[inline(always)]
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        match self.stream.read(buffer) {
            Ok(0) => self.meet_end(),
            Ok(count) => {
                self.was_read(count, buffer.len());
                self.note_received(count);
                if let Some(server) = &self.server {
                    add(&server.bytes_in, count as u64);
                }
                Received::Bytes(count)
            }
            Err(error) => self.meet_error(&error),
        }
    }

    #[cold]
    fn meet_end(&mut self) -> Received {
        // What was noted of an error is worth more than an end.
        if let Some(error) = self.send_error() {
            return Received::Failed(Broken { error, not_ours: false });
        }
        (self.inbound, self.ended) = (News::Nothing, true);
        Received::TheEnd
    }

    /// A reset that has come behind the peer's end: reading tells of the end alone, and again and again.
    pub(crate) fn error_behind_end(&self) -> Option<ErrorNumber> {
        self.stream.take_error().ok().flatten().map(|error| ErrorNumber::from(&error))
    }

    #[cold]
    fn meet_error(&mut self, error: &io::Error) -> Received {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.inbound = News::Nothing;
            return match self.send_error() {
                Some(error) => Received::Failed(Broken { error, not_ours: false }),
                None => Received::Nothing,
            };
        }
        if sys::is_exhausted(error) {
            // What is inbound stays noted.
            self.mark(Marks::STARVED, true);
            return Received::Starved;
        }
        let number = self.send_error().unwrap_or_else(|| ErrorNumber::from(error));
        Received::Failed(Broken { error: number, not_ours: sys::is_not_ours(error) })
    }

    /// `length` bytes were read where `room` would have been: whether that was all.
    #[inline]
    fn was_read(&mut self, length: usize, room: usize) {
        if self.inbound <= News::Bytes {
            // Of a Unix-domain socket a read stops short where descriptors were passed, though more bytes follow.
            let more = length == room || self.unix_domain || !sys::SHORT_READ_DRAINS;
            self.inbound = if more { News::Bytes } else { News::Nothing };
        }
    }

    /// Throws input away, until there is no more for now or the peer's end is met. One buffer a turn, like everybody
    /// else; what is unread brings us back.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) -> Drained {
        loop {
            if self.has_drained(0) > DRAIN_LIMIT {
                self.inbound = News::Nothing;
                return Drained::TooMuch;
            }
            match self.stream.read(buffer) {
                Ok(0) => {
                    (self.inbound, self.ended) = (News::Nothing, true);
                    return Drained::TheEnd;
                }
                Ok(length) => {
                    self.has_drained(length);
                    self.was_read(length, buffer.len());
                    if self.inbound <= News::Bytes {
                        return Drained::Some;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.inbound = News::Nothing;
                    return Drained::Some;
                }
                Err(error) if sys::is_exhausted(&error) => {
                    self.mark(Marks::STARVED, true);
                    return Drained::Some;
                }
                Err(error) => {
                    self.sending = Sending::failed(ErrorNumber::from(&error));
                    return Drained::Failed;
                }
            }
        }
    }
}

/// What throwing input away has met.
pub(super) enum Drained {
    Some,
    TheEnd,
    TooMuch,
    Failed,
}
