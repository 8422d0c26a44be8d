// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between a secure connection and its socket: what comes is opened, what is written is sealed.
//!
//! What a listener writes is sealed when it ends, so that there are as few records as possible; many bytes are sealed at once, from
//! where they lie. What has come is opened into the loop's receive buffer, where it is lent to the socket as plain bytes are.

use super::phase::Happening;
use super::receive::{Broken, Received};
use super::send::Haste;
use super::{Connection, ErrorNumber, Line, Sending};
use crate::core::tls::{Fault, Session};
use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::inject;
use crate::memory;
use crate::reactor::{GATHER, Reactor, Scratch};
use crate::sys;
use crate::sys::net::News;

/// How many sealed bytes are read at a time: at most so many, and not fewer than a few, however little the socket may have unread.
const MOST: usize = 64 * 1024;
const LEAST: usize = 4 * 1024;
/// How many sealed bytes, or a few more, are handed to the system together.
const TOGETHER: usize = 128 * 1024;

impl Connection {
    #[inline]
    pub(crate) fn is_secure(&self) -> bool {
        self.line.0 & Line::APART != 0
    }

    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.session().is_some_and(|session| !session.is_done())
    }

    /// The peer has ended its side without saying so: the end of what it sent may be missing.
    pub(crate) fn is_truncated(&self) -> bool {
        self.session().is_some_and(|session| session.truncated)
    }

    pub(crate) fn has_fault(&self) -> bool {
        self.session().is_some_and(|session| session.fault.is_some())
    }

    /// How much was written and is not sealed yet.
    #[inline]
    pub(super) fn unsealed(&self) -> usize {
        match &self.rare {
            None => 0,
            Some(_) => self.session().map_or(0, |session| session.written.len()),
        }
    }

    /// From now on it is secure. `unread`: what has come already, and is the beginning of the peer's handshake.
    pub(crate) fn secure(&mut self, session: Session, unread: &[u8], reactor: &mut Reactor, key: Key) -> Result<()> {
        inject::point();
        let session = memory::boxed(session)?;
        self.make_rare()?.session = Some(session);
        self.line.0 |= Line::APART;
        reactor.send_buffer.answering = None;
        if self.sending.goes_on() {
            self.sending = Sending::SEALED;
        }
        let mut sealed = std::mem::take(&mut reactor.sealed_in);
        sealed.clear();
        let begun = sealed.room(unread.len()).map(|room| room.copy_from_slice(unread));
        sealed.add(unread.len());
        if begun.is_ok() {
            self.open(&mut sealed, reactor, key);
        }
        reactor.sealed_in = sealed;
        if self.session().is_some_and(|session| session.fault.is_some()) {
            self.inbound = News::Broken;
            self.queue(reactor, key);
        }
        begun
    }

    /// Takes over what was written, which is known to be allowed: all or nothing.
    pub(super) fn write_unsealed<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a [u8]>,
        length: usize,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        let Some(session) = self.session_mut() else { return Ok(()) };
        if session.is_done() && session.written.len().saturating_add(length) > GATHER {
            self.seal_written(reactor, key);
            parts.for_each(|part| self.seal(part, None, reactor, key));
            return Ok(());
        }
        if session.written.capacity() == 0 {
            session.written = reactor.pool.take();
        }
        session.written.try_reserve(length).map_err(|_| Failure::no_memory())?;
        parts.for_each(|part| session.written.extend_from_slice(part));
        if session.is_done() {
            self.send_later(reactor, key);
        }
        Ok(())
    }

    /// What was written is sealed, if the handshake is done, and handed to the system as far as it takes it.
    pub(super) fn seal_written(&mut self, reactor: &mut Reactor, key: Key) {
        self.seal_last(None, reactor, key);
    }

    /// The same; `goodbye`: and the peer is told behind it that our side ends.
    fn seal_last(&mut self, goodbye: Option<Haste>, reactor: &mut Reactor, key: Key) {
        let Some(session) = self.session_mut().filter(|session| session.is_done()) else { return };
        let written = std::mem::take(&mut session.written);
        self.seal(&written, goodbye, reactor, key);
        reactor.pool.give(written);
    }

    /// Many records are handed over together.
    fn seal(&mut self, mut plain: &[u8], goodbye: Option<Haste>, reactor: &mut Reactor, key: Key) {
        let mut out = std::mem::take(&mut reactor.sealed_out);
        inject::point();
        out.clear();
        while !plain.is_empty() && self.send_error().is_none() {
            let Some(session) = self.session_mut() else { break };
            match session.seal(plain, &mut out) {
                Ok(count) => plain = plain.get(count..).unwrap_or_default(),
                Err(fault) => self.meet_fault(fault, reactor, key),
            }
            if out.bytes().len() >= TOGETHER {
                self.hand_over(&out, Haste::Now, reactor, key);
                out.clear();
            }
        }
        if let (Some(_), Some(session)) = (goodbye, self.session_mut()) {
            session.say_goodbye(&mut out);
        }
        self.hand_over(&out, goodbye.unwrap_or(Haste::Now), reactor, key);
        reactor.sealed_out = out;
    }

    fn meet_fault(&mut self, fault: Fault, reactor: &mut Reactor, key: Key) {
        let error = ErrorNumber::new(fault.os_error);
        if let Some(session) = self.session_mut() {
            session.fault = Some(fault);
        }
        self.fail(error, reactor, key);
    }

    /// What is sealed is sent, behind what waits. What the system does not take becomes the connection's output.
    fn hand_over(&mut self, out: &Scratch, haste: Haste, reactor: &mut Reactor, key: Key) {
        if out.bytes().is_empty() || self.send_error().is_some() {
            return;
        }
        let outcome = match self.full {
            true => self.output.append(out.bytes(), &mut reactor.pool),
            false => self.write_through(std::iter::once(out.bytes()), haste, reactor, key),
        };
        if outcome.is_err() {
            self.fail(ErrorNumber::new(sys::NO_MEMORY), reactor, key);
        }
    }

    /// Something happens to the connection: what was written is sealed before, and the peer is told of an end that is ours.
    #[cold]
    pub(super) fn prepare_for(&mut self, happening: Happening, reactor: &mut Reactor, key: Key) {
        use Happening::{Closed, ClosedAtOnce, Cut, PeerEnded, ShutDown};
        if !self.is_secure() {
            return;
        }
        let goodbye = match happening {
            // What follows is the end of our side, in one packet with it.
            Closed | PeerEnded | ShutDown => Some(Haste::WithWhatFollows),
            // A reset follows if there is something unread, and takes along what has not left.
            ClosedAtOnce => Some(Haste::Now),
            _ => None,
        };
        self.seal_last(goodbye, reactor, key);
        // The loop ends, say, and everything was sent.
        if happening == Cut && self.output.is_empty() {
            self.seal_last(Some(Haste::Now), reactor, key);
        }
    }

    /// Reads once, and opens what has come, into the loop's receive buffer. While there is a handshake nothing comes of it but that,
    /// and what is behind it is kept.
    pub(crate) fn receive_sealed(&mut self, room: usize, reactor: &mut Reactor, key: Key) -> Received {
        if let Some(received) = self.receive_opened(reactor) {
            return received;
        }
        let mut sealed = std::mem::take(&mut reactor.sealed_in);
        let received = self.read_sealed(room, &mut sealed);
        let received = match received {
            Received::Bytes(_) => {
                let was_shaking_hands = self.is_shaking_hands();
                let count = self.open(&mut sealed, reactor, key);
                match was_shaking_hands && !self.is_shaking_hands() {
                    true => Received::Nothing,
                    false => self.opened(count),
                }
            }
            other => other,
        };
        reactor.sealed_in = sealed;
        received
    }

    /// What was opened before, or an end that was met with it.
    fn receive_opened(&mut self, reactor: &mut Reactor) -> Option<Received> {
        let session = self.session_mut()?;
        if session.is_done() && !session.opened.is_empty() {
            let opened = std::mem::take(&mut session.opened);
            let count = reactor.receive_buffer.put(0, &opened);
            reactor.pool.give(opened);
            return Some(self.opened(count));
        }
        if session.fault.is_some() || session.peer_ended { Some(self.opened(0)) } else { None }
    }

    /// The handshake is done. What came in one piece with its last word is met behind the connect event.
    fn look_behind_handshake(&mut self) {
        if self
            .session()
            .is_some_and(|session| session.peer_ended || session.fault.is_some() || !session.opened.is_empty())
        {
            self.inbound = self.inbound.max(News::Bytes);
        }
    }

    /// So many bytes were opened. What is behind them is met next.
    fn opened(&mut self, count: usize) -> Received {
        let Some(session) = self.session() else { return Received::Nothing };
        let (fault, ended) = (session.fault.as_ref().map(|fault| fault.os_error), session.peer_ended);
        match (count, fault, ended) {
            (1.., None, false) => Received::Bytes(count),
            (1.., ..) => {
                self.inbound = if fault.is_some() { News::Broken } else { self.inbound.max(News::TheEnd) };
                Received::Bytes(count)
            }
            (0, Some(error), _) => Received::Failed(Broken { error: ErrorNumber::new(error), not_ours: false }),
            (0, None, true) => {
                (self.inbound, self.ended) = (News::Nothing, true);
                Received::TheEnd
            }
            (0, None, false) => Received::Nothing,
        }
    }

    /// What is held, and what one read brings behind it.
    fn read_sealed(&mut self, room: usize, sealed: &mut Scratch) -> Received {
        sealed.clear();
        let Some(session) = self.session_mut() else { return Received::Nothing };
        let held = session.held.len();
        let Ok(place) = sealed.room(held + MOST) else { return self.out_of_memory() };
        place[..held].copy_from_slice(&session.held);
        sealed.add(held);
        let Ok(place) = sealed.room(room.clamp(LEAST, MOST)) else { return self.out_of_memory() };
        let received = self.receive(place);
        match received {
            Received::Bytes(count) => sealed.add(count),
            Received::TheEnd => {
                if let Some(session) = self.session_mut() {
                    session.truncated = true;
                }
            }
            _ => {}
        }
        received
    }

    fn out_of_memory(&mut self) -> Received {
        Received::Failed(Broken { error: ErrorNumber::new(sys::NO_MEMORY), not_ours: false })
    }

    /// Opens what has come, and sends what is to be answered. Returns how many bytes are in the receive buffer.
    fn open(&mut self, sealed: &mut Scratch, reactor: &mut Reactor, key: Key) -> usize {
        let mut out = std::mem::take(&mut reactor.sealed_out);
        inject::point();
        out.clear();
        let mut count = 0;
        let Some(session) = self.session_mut() else { return 0 };
        let finished = if session.is_done() {
            let buffer = &mut reactor.receive_buffer;
            session.open(sealed.bytes_mut(), &mut |plain| count = buffer.put(count, plain), &mut out)
        } else {
            let (mut opened, mut fits) = (std::mem::take(&mut session.opened), true);
            let mut keep = |plain: &[u8]| fits = fits && memory::append(&mut opened, plain).is_ok();
            let finished = session.open(sealed.bytes_mut(), &mut keep, &mut out);
            session.opened = opened;
            if !fits {
                session.fault = Some(Fault::of_memory());
            }
            finished
        };
        // They are for later connections: nobody waits for them, and they leave with the first answer.
        let has_only_tickets = session.ends_with_tickets();
        if finished {
            self.look_behind_handshake();
        }
        let haste = if finished && has_only_tickets { Haste::WithWhatFollows } else { Haste::Now };
        self.hand_over(&out, haste, reactor, key);
        reactor.sealed_out = out;
        count
    }
}
