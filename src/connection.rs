//! The transport under a socket: one TCP connection, its unsent output, and its way to a good end.
//!
//! A connection outlives its socket: when a socket is closed, what was written is still sent, in the background.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroI32;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::memory;
use crate::options;
use crate::origin::Origin;
use crate::reactor::{CHUNK, Output, Pool, Reactor, SLICES};
use crate::sys;

/// Up to here written bytes are gathered until the listener ends; what is larger is sent from where it lies.
const GATHER: usize = CHUNK;
/// How much one flush hands to the kernel before others get their turn.
const FLUSH_BUDGET: usize = 4 * 1024 * 1024;
/// How much input of a closed socket is thrown away while its output is still under way. A peer that sends more
/// without listening to the answer loses the end of it.
const DRAIN_LIMIT: usize = 8 * 1024 * 1024;
pub(crate) struct Connection {
    stream: TcpStream,
    /// Sending failed with this error; what was unsent is lost.
    pub send_error: Option<ErrorNumber>,
    pub flags: Flags,
    /// The socket it belongs to; `None` when that was closed and only the output is still to be sent.
    pub owner: Option<Key>,
    pub origin: Rc<Origin>,
    output: Output,
    /// Bytes handed to the kernel so far.
    pub sent: u64,
    timing: Option<Box<Timing>>,
}

/// What counts as silence: fewer bytes than these in so much time.
#[derive(Clone, Copy)]
pub(crate) struct Silence {
    pub time: Duration,
    pub bytes: usize,
}

/// Long enough for a turn that reads, and for those that rest meanwhile since the system is out of memory.
const SOON: Duration = Duration::from_millis(10);

/// What only a connection needs whose silence is timed, or that goes on without its socket.
struct Timing {
    /// When as many bytes as are wanted had last gone either way.
    last_traffic: Instant,
    /// How many have gone since.
    moved: usize,
    wanted: usize,
    /// The deadline of the background sending; while the socket is open, of the silence.
    deadline: Option<Instant>,
    drained: usize,
    /// The peer has ended its side.
    peer_ended: bool,
    /// We have ended ours.
    shut_down: bool,
}

/// A system's error number. Zero, which is none, stands for an error that has no number.
#[derive(Clone, Copy)]
pub(crate) struct ErrorNumber(NonZeroI32);

impl ErrorNumber {
    const UNKNOWN: NonZeroI32 = NonZeroI32::MIN;

    pub(crate) fn new(number: i32) -> Self {
        ErrorNumber(NonZeroI32::new(number).unwrap_or(Self::UNKNOWN))
    }

    pub(crate) fn get(self) -> i32 {
        if self.0 == Self::UNKNOWN { 0 } else { self.0.get() }
    }
}

impl From<&io::Error> for ErrorNumber {
    fn from(error: &io::Error) -> Self {
        ErrorNumber::new(error.raw_os_error().unwrap_or(0))
    }
}

/// What is known about the connection without asking the kernel.
#[derive(Default)]
pub(crate) struct Flags {
    pub stage: Stage,
    pub inbound: Inbound,
    /// It is in the loop's list of the ready.
    pub queued: bool,
    /// It is in the list of those that have something to send when the listener ends.
    pub dirty: bool,
    /// The kernel refused bytes; it will tell when it takes more.
    pub full: bool,
    /// The system had no memory for this connection, and will not tell when it has: it is to be tried again.
    pub starved: bool,
    /// The host has paused reading.
    pub paused: bool,
    /// Its socket is in the list of those whose outputProgress is due.
    pub progress_due: bool,
}

#[derive(Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not registered with the poller: nobody has kept it yet, or there was no room.
    #[default]
    Fresh,
    /// It is an attempt, and not yet a connection.
    Connecting,
    Open,
    /// A fault of the library's own has left it half served: it is given up.
    Broken,
}

/// What the kernel may have for us.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Inbound {
    #[default]
    Nothing,
    Bytes,
    /// The peer's end or an error was announced: read on until it is met.
    TheEnd,
}

impl Flags {
    /// The kernel may have bytes for us.
    #[inline]
    pub(crate) fn unread(&self) -> bool {
        self.inbound != Inbound::Nothing
    }

    /// `length` bytes were read where `room` would have been: whether that was all.
    #[inline]
    pub(crate) fn was_read(&mut self, length: usize, room: usize) {
        if self.inbound != Inbound::TheEnd {
            let more = length == room || !sys::SHORT_READ_DRAINS;
            self.inbound = if more { Inbound::Bytes } else { Inbound::Nothing };
        }
    }
}

/// What came of an attempt to send.
#[derive(Default, Clone, Copy)]
pub(crate) struct Flushed {
    pub moved: usize,
    /// The budget ended before the output did.
    pub more: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, owner: Key, origin: Rc<Origin>, stage: Stage) -> Self {
        Connection {
            stream,
            send_error: None,
            flags: Flags { stage, ..Flags::default() },
            owner: Some(owner),
            origin,
            output: Output::default(),
            sent: 0,
            timing: None,
        }
    }

    #[inline]
    pub(crate) fn home(&self) -> Key {
        self.origin.home
    }

    pub(crate) fn native_handle(&self) -> i64 {
        sys::raw(&self.stream)
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Hands its settings to the system. `inherited`: those that a listener hands down are there already.
    pub(crate) fn apply(&mut self, inherited: bool) -> io::Result<()> {
        if let Err(error) = sys::prepare_stream(&self.stream) {
            self.send_error = Some(ErrorNumber::from(&error));
            return Err(error);
        }
        let (socket, options) = (SockRef::from(&self.stream), &self.origin.options);
        if !inherited {
            socket.set_tcp_nodelay(options.no_delay)?;
            socket.set_out_of_band_inline(true)?;
        }
        if options.keep_alive > 0 {
            options::apply_keep_alive(&socket, options.keep_alive)?;
        }
        Ok(())
    }

    pub(crate) fn set_no_delay(&self, yes: bool) -> io::Result<()> {
        SockRef::from(&self.stream).set_tcp_nodelay(yes)
    }

    pub(crate) fn set_keep_alive(&self, seconds: u32) -> io::Result<()> {
        options::apply_keep_alive(&SockRef::from(&self.stream), seconds)
    }

    /// How an attempt to connect stands: the peer when it has succeeded, `None` while it is under way.
    pub(crate) fn outcome(&self) -> io::Result<Option<SocketAddr>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        let remote = match self.stream.peer_addr() {
            Ok(remote) => remote,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
            Err(error) => return Err(error),
        };
        // A connect to a free port of this machine may be given that very port as its own end, and meet itself.
        match self.stream.local_addr()? == remote {
            true => Err(io::ErrorKind::ConnectionRefused.into()),
            false => Ok(Some(remote)),
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.output.length()
    }

    /// Bytes went either way. The time is taken exactly, and only if somebody counts the silence: the turn may have
    /// begun long ago for a host that does much in its listeners, or outside of turns.
    #[inline]
    pub(crate) fn note_traffic(&mut self, bytes: usize) {
        if let Some(timing) = &mut self.timing {
            timing.moved = timing.moved.saturating_add(bytes);
            if timing.moved >= timing.wanted {
                (timing.last_traffic, timing.moved) = (Instant::now(), 0);
            }
        }
    }

    /// Sets when to look whether the connection has been silent for too long; `None`: nobody wants to know.
    pub(crate) fn watch_silence(&mut self, limit: Option<Silence>, reactor: &mut Reactor, key: Key) -> Result<()> {
        if limit.is_none() && self.timing.is_none() {
            return Ok(());
        }
        // Not the turn's time, which may be long ago outside of turns.
        let timing = self.timing(Instant::now())?;
        let due = limit.map(|limit| timing.last_traffic + limit.time);
        timing.wanted = limit.map_or(1, |limit| limit.bytes);
        reactor.timers.set(key, &mut timing.deadline, due);
        if due.is_none() {
            self.timing = None;
        }
        Ok(())
    }

    /// As [`watch_silence`](Self::watch_silence), for a look soon: what has come is to be read before.
    pub(crate) fn look_again(&mut self, reactor: &mut Reactor, key: Key) {
        if let Some(timing) = &mut self.timing {
            reactor.timers.set(key, &mut timing.deadline, Some(Instant::now() + SOON));
        }
    }

    /// The deadline has come. Returns since when the connection has been silent.
    pub(crate) fn take_deadline(&mut self) -> Option<Instant> {
        let timing = self.timing.as_mut()?;
        timing.deadline = None;
        Some(timing.last_traffic)
    }

    fn timing(&mut self, now: Instant) -> Result<&mut Timing> {
        match &mut self.timing {
            Some(timing) => Ok(timing),
            none => {
                let timing = Timing {
                    last_traffic: now,
                    moved: 0,
                    wanted: 1,
                    deadline: None,
                    drained: 0,
                    peer_ended: false,
                    shut_down: false,
                };
                Ok(none.insert(memory::boxed(timing)?))
            }
        }
    }

    /// Whether the peer has said something, or ended, that was not read yet.
    pub(crate) fn has_input(&self) -> bool {
        !matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nothing is to be done for it but receive.
    #[inline]
    pub(crate) fn only_receives(&self) -> bool {
        self.flags.stage == Stage::Open && self.owner.is_some() && self.output.is_empty()
    }

    pub(crate) fn register(&mut self, reactor: &Reactor, key: Key) -> io::Result<()> {
        let outcome = reactor.register(&mut self.stream, key, sys::interest());
        match outcome {
            Ok(()) if self.flags.stage == Stage::Fresh => self.flags.stage = Stage::Open,
            Ok(()) => {}
            // mio would remember the attempt, and refuse another one.
            Err(_) => reactor.deregister(&mut self.stream),
        }
        outcome
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => return outcome,
            }
        }
    }

    /// Takes `bytes` over, all or nothing. Few are kept until the listener ends; many are sent at once, straight
    /// from the caller's memory, behind what was kept. `None`: nothing was sent.
    pub(crate) fn write(&mut self, bytes: &[u8], limit: usize, pool: &mut Pool) -> Result<Option<Flushed>> {
        let total = self.output.length().saturating_add(bytes.len());
        if total > limit {
            return Err(Failure::write_limit());
        }
        if self.send_error.is_some() {
            // The peer is gone, and the listeners are about to be told. As with any network write, it may get lost.
            return Ok(None);
        }
        if total <= GATHER || self.flags.full {
            self.output.append(bytes, pool)?;
            return Ok(None);
        }
        let kept = self.output.length();
        let moved = self.send(bytes);
        self.output.consume(moved.min(kept), pool);
        self.sent += moved as u64;
        let rest = &bytes[moved.saturating_sub(kept)..];
        if self.send_error.is_none() && self.output.append(rest, pool).is_err() {
            // Part of it is on its way, so that there is no going back: the stream would have a hole.
            self.fail(io::ErrorKind::OutOfMemory.into(), pool);
        }
        Ok(Some(Flushed { moved, more: false }))
    }

    /// Hands to the kernel what it takes.
    pub(crate) fn flush(&mut self, pool: &mut Pool) -> Flushed {
        let mut flushed = Flushed::default();
        while !self.output.is_empty() && !self.flags.full && self.send_error.is_none() {
            if flushed.moved >= FLUSH_BUDGET {
                flushed.more = true;
                break;
            }
            let moved = self.send(&[]);
            self.output.consume(moved, pool);
            self.sent += moved as u64;
            flushed.moved += moved;
        }
        if self.send_error.is_some() {
            self.output.clear(pool);
        }
        flushed
    }

    /// One system call for what is kept and `more` behind it. Returns how much the kernel took, and notes down
    /// whether it is full or the connection dead.
    fn send(&mut self, more: &[u8]) -> usize {
        let socket = SockRef::from(&self.stream);
        let (offered, outcome) = match self.output.only_slice() {
            Some(bytes) if more.is_empty() => {
                (bytes.len(), self.attempt(|| socket.send_with_flags(bytes, sys::SEND_FLAGS)))
            }
            None if self.output.is_empty() => {
                (more.len(), self.attempt(|| socket.send_with_flags(more, sys::SEND_FLAGS)))
            }
            _ => self.send_gathered(&socket, more),
        };
        match outcome {
            Ok(taken) => {
                self.flags.full = taken < offered && sys::SHORT_READ_DRAINS;
                taken
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.flags.full = true;
                0
            }
            Err(error) if sys::is_exhausted(&error) => {
                self.flags.full = true;
                self.flags.starved = true;
                0
            }
            Err(error) => {
                self.send_error = Some(ErrorNumber::from(&error));
                0
            }
        }
    }

    fn send_gathered(&self, socket: &SockRef<'_>, more: &[u8]) -> (usize, io::Result<usize>) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, offered) = self.output.slices(more, &mut slices);
        let send = || socket.send_vectored_with_flags(&slices[..count], sys::SEND_FLAGS);
        (offered, self.attempt(send))
    }

    /// Until no signal comes between.
    fn attempt(&self, call: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match self.stream.try_io(&call) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => return outcome,
            }
        }
    }

    fn fail(&mut self, error: io::Error, pool: &mut Pool) {
        self.send_error = Some(ErrorNumber::new(error.raw_os_error().unwrap_or(sys::NO_MEMORY)));
        self.output.clear(pool);
    }

    /// Whether closing may simply close: nothing was ever promised to the peer.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.send_error.is_some() || (self.sent == 0 && self.output.is_empty())
    }

    /// Begins the time in which the connection goes on without its socket.
    pub(crate) fn linger(
        &mut self,
        milliseconds: u32,
        peer_ended: bool,
        reactor: &mut Reactor,
        key: Key,
    ) -> Result<()> {
        let timing = self.timing(reactor.now)?;
        timing.peer_ended = peer_ended;
        let due = Instant::now() + Duration::from_millis(milliseconds.into());
        reactor.timers.set(key, &mut timing.deadline, Some(due));
        Ok(())
    }

    /// Does what can be done now for a connection whose socket is closed: send, then end our side, then wait for
    /// the peer's end, throwing away what it still says: closing with unread input would reset the connection and
    /// destroy what the peer has not read yet. Returns whether it is finished.
    ///
    /// `may_read`: no listener is running, to which the receive buffer is lent.
    pub(crate) fn wind_up(&mut self, reactor: &mut Reactor, may_read: bool) -> bool {
        self.flush(&mut reactor.pool);
        let Some(timing) = self.timing.as_mut().filter(|_| self.send_error.is_none()) else { return true };
        if self.output.is_empty() && !timing.shut_down {
            timing.shut_down = true;
            if timing.peer_ended || self.stream.shutdown(Shutdown::Write).is_err() {
                return true;
            }
        }
        if may_read && self.flags.unread() {
            self.drain(&mut reactor.receive_buffer.bytes);
        }
        let over = self.timing.as_ref().is_none_or(|timing| timing.peer_ended || timing.drained > DRAIN_LIMIT);
        self.output.is_empty() && over
    }

    /// Throws input away, until there is no more for now or the peer's end is met.
    fn drain(&mut self, buffer: &mut [u8]) {
        // One buffer a turn, like everybody else; what is unread brings us back.
        while self.timing.as_ref().is_some_and(|timing| timing.drained <= DRAIN_LIMIT) {
            let outcome = self.read(buffer);
            let Some(timing) = &mut self.timing else { return };
            match outcome {
                Ok(0) => timing.peer_ended = true,
                Ok(length) => {
                    timing.drained += length;
                    self.flags.was_read(length, buffer.len());
                    if self.flags.inbound == Inbound::TheEnd {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.flags.inbound = Inbound::Nothing,
                Err(error) if sys::is_exhausted(&error) => self.flags.starved = true,
                Err(error) => {
                    self.send_error = Some(ErrorNumber::from(&error));
                    timing.peer_ended = true;
                }
            }
            return;
        }
        self.flags.inbound = Inbound::Nothing;
    }

    /// Ends the connection with RST.
    pub(crate) fn set_abort(&self) {
        // If it fails the close is an ordinary one, and there is nothing better to be done.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Closes the descriptor and gives back what was held.
    pub(crate) fn dispose(mut self, reactor: &mut Reactor, key: Key, not_ours: bool) {
        if let Some(timing) = &mut self.timing {
            reactor.timers.set(key, &mut timing.deadline, None);
        }
        self.output.clear(&mut reactor.pool);
        if not_ours {
            return sys::forget(self.stream);
        }
        if sys::has_forked() {
            // A child may hold a copy of the descriptor: it would keep its place in the poll set, and the
            // connection open.
            reactor.deregister(&mut self.stream);
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        sys::close(self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Place;

    #[test]
    fn an_idle_connection_takes_little_memory() {
        // The debug build's mio keeps more in a stream.
        let mio = size_of::<TcpStream>() - size_of::<i32>();
        assert!(size_of::<Place<Connection>>() <= 56 + mio.next_multiple_of(8));
    }

    #[test]
    fn an_error_without_a_number_is_an_error_still() {
        let numbers = [0, 104, -1].map(|number| ErrorNumber::new(number).get());
        assert_eq!(numbers, [0, 104, -1]);
    }
}
