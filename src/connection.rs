//! The transport under a socket: one TCP connection, its unsent output, and its way to a good end.
//!
//! A connection outlives its socket: when a socket is closed, what was written is still sent, in the background.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::options::{self, Options};
use crate::reactor::{CHUNK, Pool, Reactor};
use crate::sys;

/// Up to here written bytes are gathered until the listener ends; what is larger is sent from where it lies.
const GATHER: usize = CHUNK;
/// How much one flush hands to the kernel before others get their turn.
const FLUSH_BUDGET: usize = 4 * 1024 * 1024;
/// How much input of a closed socket is thrown away while its output is still under way. A peer that sends more
/// without listening to the answer loses the end of it.
const DRAIN_LIMIT: usize = 8 * 1024 * 1024;
/// How many buffers one system call hands over.
const SLICES: usize = 64;

pub(crate) struct Connection {
    stream: TcpStream,
    /// The socket it belongs to; `None` when that was closed and only the output is still to be sent.
    pub owner: Option<Key>,
    /// The loop it lives on.
    pub home: Key,
    /// The server that accepted it, for its figures.
    pub server: Option<Key>,
    output: Output,
    /// Bytes handed to the kernel so far.
    pub sent: u64,
    pub received: u64,
    /// When a byte last went either way.
    pub last_traffic: Instant,
    /// The deadline of the background sending; while it is open, of the silence.
    pub deadline: Option<Instant>,
    drained: usize,
    pub flags: Flags,
    /// Sending failed with this error; what was unsent is lost.
    pub send_error: Option<i32>,
}

/// What is known about the connection without asking the kernel.
#[derive(Default)]
pub(crate) struct Flags {
    pub registered: bool,
    /// It is in the loop's list of the ready.
    pub queued: bool,
    /// It is in the list of those that have something to send when the listener ends.
    pub dirty: bool,
    /// The kernel refused bytes; it will tell when it takes more.
    pub full: bool,
    /// The system had no memory for this connection, and will not tell when it has: it is to be tried again.
    pub starved: bool,
    /// The kernel may have bytes for us.
    pub unread: bool,
    /// The peer's end or an error was announced: read on until it is met.
    pub to_the_end: bool,
    /// The peer has ended its side.
    pub peer_ended: bool,
    /// We have ended ours.
    pub shut_down: bool,
    /// It is an attempt, and not yet a connection.
    pub connecting: bool,
}

/// What came of an attempt to send.
#[derive(Default, Clone, Copy)]
pub(crate) struct Flushed {
    pub moved: usize,
    /// The budget ended before the output did.
    pub more: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, owner: Key, home: Key, server: Option<Key>, now: Instant) -> Self {
        Connection {
            stream,
            owner: Some(owner),
            home,
            server,
            output: Output::default(),
            sent: 0,
            received: 0,
            last_traffic: now,
            deadline: None,
            drained: 0,
            flags: Flags::default(),
            send_error: None,
        }
    }

    pub(crate) fn native_handle(&self) -> i64 {
        sys::raw(&self.stream)
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Hands the settings to the system. `inherited`: those that a listener hands down are there already.
    pub(crate) fn apply(&mut self, options: &Options, inherited: bool) -> io::Result<()> {
        if let Err(error) = sys::prepare_stream(&self.stream) {
            self.send_error = Some(error.raw_os_error().unwrap_or(0));
            return Err(error);
        }
        let socket = SockRef::from(&self.stream);
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

    /// How an attempt to connect stands: the two ends when it has succeeded, `None` while it is under way.
    pub(crate) fn outcome(&self) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        let remote = match self.stream.peer_addr() {
            Ok(remote) => remote,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
            Err(error) => return Err(error),
        };
        let local = self.stream.local_addr()?;
        // A connect to a free port of this machine may be given that very port as its own end, and meet itself.
        match local == remote {
            true => Err(io::ErrorKind::ConnectionRefused.into()),
            false => Ok(Some((local, remote))),
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.output.length
    }

    /// A byte went either way. If somebody counts the silence the time is taken exactly: the turn, which began at `turn`,
    /// may be long ago for a host that does much in its listeners, or outside of turns.
    pub(crate) fn note_traffic(&mut self, turn: Instant) {
        self.last_traffic = if self.deadline.is_some() { Instant::now() } else { turn };
    }

    /// Whether the peer has said something, or ended, that was not read yet.
    pub(crate) fn has_input(&self) -> bool {
        !matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(crate) fn register(&mut self, reactor: &Reactor, key: Key) -> io::Result<()> {
        let outcome = reactor.register(&mut self.stream, key, sys::interest());
        self.flags.registered = outcome.is_ok();
        if outcome.is_err() {
            // mio would remember the attempt, and refuse another one.
            reactor.deregister(&mut self.stream);
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
    /// from the caller's memory, behind what was kept.
    pub(crate) fn write(&mut self, bytes: &[u8], limit: usize, pool: &mut Pool) -> Result<Flushed> {
        let total = self.output.length.saturating_add(bytes.len());
        if total > limit {
            return Err(Failure::write_limit());
        }
        if self.send_error.is_some() {
            // The peer is gone, and the listeners are about to be told. As with any network write, it may get lost.
            return Ok(Flushed::default());
        }
        if total <= GATHER || self.flags.full {
            self.output.append(bytes, pool)?;
            return Ok(Flushed::default());
        }
        let kept = self.output.length;
        let moved = self.send(bytes);
        self.output.consume(moved.min(kept), pool);
        self.sent += moved as u64;
        let rest = &bytes[moved.saturating_sub(kept)..];
        if self.send_error.is_none() && self.output.append(rest, pool).is_err() {
            // Part of it is on its way, so that there is no going back: the stream would have a hole.
            self.fail(io::ErrorKind::OutOfMemory.into(), pool);
        }
        Ok(Flushed { moved, more: false })
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
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, offered) = self.output.slices(more, &mut slices);
        let socket = SockRef::from(&self.stream);
        let outcome = loop {
            let attempt = self.stream.try_io(|| match count {
                1 => socket.send_with_flags(&slices[0], sys::SEND_FLAGS),
                _ => socket.send_vectored_with_flags(&slices[..count], sys::SEND_FLAGS),
            });
            match attempt {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => break outcome,
            }
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
                self.send_error = Some(error.raw_os_error().unwrap_or(0));
                0
            }
        }
    }

    fn fail(&mut self, error: io::Error, pool: &mut Pool) {
        self.send_error = Some(error.raw_os_error().unwrap_or(sys::NO_MEMORY));
        self.output.clear(pool);
    }

    /// Whether closing may simply close: nothing was ever promised to the peer.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.send_error.is_some() || (self.sent == 0 && self.output.is_empty())
    }

    pub(crate) fn linger_until(&mut self, milliseconds: u32, reactor: &mut Reactor, key: Key) {
        let due = Instant::now() + Duration::from_millis(milliseconds.into());
        reactor.timers.set(key, &mut self.deadline, Some(due));
    }

    /// Does what can be done now for a connection whose socket is closed: send, then end our side, then wait for
    /// the peer's end, throwing away what it still says: closing with unread input would reset the connection and
    /// destroy what the peer has not read yet. Returns whether it is finished.
    pub(crate) fn wind_up(&mut self, reactor: &mut Reactor) -> bool {
        self.flush(&mut reactor.pool);
        if self.send_error.is_some() {
            return true;
        }
        if self.output.is_empty() && !self.flags.shut_down {
            self.flags.shut_down = true;
            if self.flags.peer_ended || self.stream.shutdown(Shutdown::Write).is_err() {
                return true;
            }
        }
        if self.flags.unread && self.drain(&mut reactor.receive_buffer) {
            self.flags.peer_ended = true;
        }
        if self.output.is_empty() {
            return self.flags.peer_ended || self.drained > DRAIN_LIMIT;
        }
        false
    }

    /// Throws input away. Returns whether the peer's end was met.
    fn drain(&mut self, buffer: &mut [u8]) -> bool {
        // One buffer a turn, like everybody else; `unread` brings us back.
        while self.drained <= DRAIN_LIMIT {
            match self.read(buffer) {
                Ok(0) => return true,
                Ok(length) => {
                    self.drained += length;
                    self.flags.unread = length == buffer.len() || self.flags.to_the_end || !sys::SHORT_READ_DRAINS;
                    if !self.flags.to_the_end {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.flags.unread = false;
                    return false;
                }
                Err(error) if sys::is_exhausted(&error) => {
                    self.flags.starved = true;
                    return false;
                }
                Err(error) => {
                    self.send_error = error.raw_os_error().or(Some(0));
                    return true;
                }
            }
        }
        self.flags.unread = false;
        false
    }

    /// Ends the connection with RST.
    pub(crate) fn set_abort(&self) {
        // If it fails the close is an ordinary one, and there is nothing better to be done.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Closes the descriptor and gives back what was held.
    pub(crate) fn dispose(mut self, reactor: &mut Reactor, key: Key, not_ours: bool) {
        reactor.timers.set(key, &mut self.deadline, None);
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

/// Bytes that the kernel has not taken yet, in buffers of at most [`CHUNK`]. The first is in line, so that a
/// connection whose writes are taken at once allocates nothing.
#[derive(Default)]
struct Output {
    first: Vec<u8>,
    /// How much of `first` has been taken.
    head: usize,
    rest: VecDeque<Vec<u8>>,
    length: usize,
}

impl Output {
    fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All or nothing.
    fn append(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<()> {
        let length = self.length;
        let outcome = self.append_some(bytes, pool);
        if outcome.is_err() {
            self.truncate(length, pool);
        }
        outcome
    }

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

    /// The kept bytes and `more` behind them, as far as they fit. Returns how many slices and how many bytes.
    fn slices<'a>(&'a self, more: &'a [u8], slices: &mut [IoSlice<'a>]) -> (usize, usize) {
        let parts = std::iter::once(&self.first[self.head..])
            .chain(self.rest.iter().map(Vec::as_slice))
            .chain(std::iter::once(more))
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

    fn consume(&mut self, mut count: usize, pool: &mut Pool) {
        self.length -= count;
        loop {
            let left = self.first.len() - self.head;
            if count < left {
                self.head += count;
                return;
            }
            count -= left;
            self.head = 0;
            let next = self.rest.pop_front();
            let last = next.is_none();
            pool.give(std::mem::replace(&mut self.first, next.unwrap_or_default()));
            if last {
                self.rest = VecDeque::new();
                return;
            }
        }
    }

    fn clear(&mut self, pool: &mut Pool) {
        self.consume(self.length, pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, offered) = output.slices(&[], &mut slices);
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
            assert_eq!(output.length, bytes.len() - taken);
        }
        output.clear(&mut pool);
        assert!(output.is_empty() && output.first.capacity() == 0 && output.rest.capacity() == 0);
    }

    #[test]
    fn taking_back_an_append_leaves_what_was_there() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        output.append(&[1; 100], &mut pool).unwrap();
        output.append(&[2; CHUNK * 2], &mut pool).unwrap();
        output.truncate(100, &mut pool);
        assert_eq!(content(&output), [1; 100]);
        output.append(&[3; 5], &mut pool).unwrap();
        assert_eq!(content(&output)[100..], [3; 5]);
    }
}
