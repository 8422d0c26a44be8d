// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model of one connection's life: what was said in either direction, and what each end may hear of the other.
//!
//! Its phases are those of `src/core/connection/phase.rs`, as far as they can be told apart from outside.

use std::time::Duration;

use server_socket::simulate::{self, Ending, Peer};
use server_socket::*;

use support::*;

/// Where a life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The peer waits to be accepted.
    Waiting,
    /// We have called.
    Connecting,
    Open,
    /// The host has closed it: what it wrote is still sent.
    Closed,
    /// It has ended by itself, and the host was told.
    Ended,
    Aborted,
    /// It never came to be.
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub read: usize,
    pub write: usize,
    pub linger: u32,
    pub idle: u32,
    pub keep_alive: u32,
    pub read_time: u32,
    pub half_open: bool,
}

impl Limits {
    /// What a socket starts with that no server has accepted.
    pub const DEFAULT: Limits = Limits {
        read: 16 << 20,
        write: 64 << 20,
        linger: 30_000,
        idle: 0,
        keep_alive: 0,
        read_time: 0,
        half_open: false,
    };
}

#[derive(Debug)]
pub struct Life {
    pub number: usize,
    pub peer: Option<Peer>,
    pub socket: *mut ss_socket,
    pub phase: Phase,
    pub limits: Limits,
    /// The smallest time-outs that were ever set, which may still run.
    pub shortest_idle: Option<u32>,
    pub shortest_read: Option<u32>,
    /// Whether it was ever half-open, and ever not.
    pub was_half_open: bool,
    pub was_whole: bool,
    /// The host has ended our side.
    pub shut: bool,
    /// It was told of the peer's end.
    pub heard_end: bool,
    /// When the peer last said something; since when it may be called silent, at the latest: reading went on.
    pub heard_at: Duration,
    pub hears_since: Duration,
    /// When its server's time is over, if that drains.
    pub deadline: Option<Duration>,
    /// More than a byte was asked for in that time.
    pub has_rate: bool,
    /// How long connecting may take, in milliseconds.
    pub timeout: u32,
    /// How long it might have taken at some time, at least: one that was over may not be told yet.
    pub shortest_timeout: u32,
    pub paused: bool,
    pub was_paused: bool,
    /// The host has a reference to the socket, or the library holds it.
    pub kept: bool,
    /// It is the library that holds it: until it is neither connected nor connecting.
    pub by_library: bool,
    /// How many bytes the peer has sent, and the host has read of them.
    pub sent: u64,
    pub read: u64,
    /// How many were unread when that was last seen.
    pub unread: u64,
    /// How many bytes the host has written, and the peer has got of them.
    pub written: u64,
    pub got: u64,
    /// Urgent data were among it.
    pub urgent: bool,
    pub peer_ended: bool,
    pub peer_reset: bool,
    pub peer_gone: bool,
    pub silent: bool,
    pub was_silent: bool,
    /// It was told of an error that comes before the close event.
    pub error: Option<i32>,
    /// In which turns it was last told of bytes and of progress.
    pub told_in_turn: u64,
    pub progress_in_turn: u64,
    /// How many bytes the system had, by what it was last told of progress.
    pub progress: u64,
    /// Which of the servers has accepted it.
    pub server: usize,
    /// When its socket was closed, or it ended; when something was last said.
    pub closed_at: Duration,
    pub last_traffic: Duration,
    /// When the host has last set a clock.
    pub clocks_set: Duration,
    /// The host ended it while nothing may be sent in the background, or the loop ended.
    pub at_once: bool,
    /// How long it may go on then, in milliseconds.
    pub lingers: u32,
    /// It may have had to give way to others.
    pub may_be_cut: bool,
    /// The peer has met this end.
    pub ending: Option<Ending>,
}

impl Life {
    pub fn new(number: usize, phase: Phase, limits: Limits) -> Life {
        Life {
            number,
            peer: None,
            socket: std::ptr::null_mut(),
            phase,
            limits,
            shortest_idle: (limits.idle > 0).then_some(limits.idle),
            shortest_read: (limits.read_time > 0).then_some(limits.read_time),
            was_half_open: limits.half_open,
            was_whole: !limits.half_open,
            shut: false,
            heard_end: false,
            heard_at: simulate::clock(),
            hears_since: simulate::clock(),
            deadline: None,
            has_rate: false,
            timeout: 20_000,
            shortest_timeout: 20_000,
            paused: false,
            was_paused: false,
            kept: false,
            by_library: false,
            sent: 0,
            read: 0,
            unread: 0,
            written: 0,
            got: 0,
            urgent: false,
            peer_ended: false,
            peer_reset: false,
            peer_gone: false,
            silent: false,
            was_silent: false,
            error: None,
            told_in_turn: 0,
            progress_in_turn: 0,
            progress: 0,
            server: 0,
            closed_at: Duration::ZERO,
            last_traffic: simulate::clock(),
            clocks_set: Duration::ZERO,
            at_once: false,
            lingers: 0,
            may_be_cut: false,
            ending: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// It has not ended yet. Between an error and the close event that follows it has.
    pub fn is_connected(&self) -> bool {
        self.is_open() && self.error.is_none()
    }

    /// The time of its server's drain is over.
    pub fn is_evicted(&self) -> bool {
        self.deadline.is_some_and(|deadline| simulate::clock() >= deadline)
    }

    /// What kept the peer from being heard may be gone.
    pub fn reads_on(&mut self) {
        if self.is_connected() {
            self.hears_since = simulate::clock();
        }
    }

    pub fn set_half_open(&mut self, half_open: bool) {
        self.limits.half_open = half_open;
        self.was_half_open |= half_open;
        self.was_whole |= !half_open;
    }

    pub fn peer(&self) -> Peer {
        self.peer.expect("it has a peer")
    }

    pub fn handle(&self) -> Socket {
        Socket(self.socket)
    }

    /// Neither side has anything to do with it any more.
    pub fn is_over(&self) -> bool {
        let over_here = !self.kept && !matches!(self.phase, Phase::Waiting | Phase::Connecting | Phase::Open);
        over_here && self.peer.is_none_or(|peer| self.peer_gone && !peer.facts().open)
    }

    /// The host ends it.
    pub fn close(&mut self, phase: Phase) {
        self.phase = phase;
        self.closed_at = simulate::clock();
        self.lingers = self.limits.linger;
        self.at_once |= phase == Phase::Closed && self.limits.linger == 0;
        self.unread = 0;
    }
}

// What the host is told.
impl Life {
    /// How many bytes are unread: as many as it was told of. What has come for one that is paused and broken is not told of.
    pub fn count_unread(&mut self, loaded: u64) -> u64 {
        let available = self.handle().available() as u64;
        let untold = self.was_paused && (self.peer_reset || self.peer_gone || self.was_silent);
        let expected = self.unread + loaded;
        assert!(available == expected || untold && available > expected, "{self:?}: {available} bytes are unread");
        assert!(self.read + available <= self.sent, "{self:?}: {available} bytes are more than the peer has sent");
        self.unread = available;
        available
    }

    /// A socketData event: `loaded` bytes are new.
    pub fn hear_data(&mut self, loaded: u64, turn: u64) {
        assert!(self.is_connected(), "{self:?}: bytes without a connection");
        assert!(!self.paused, "{self:?}: bytes for one that is paused");
        assert!(!self.heard_end, "{self:?}: bytes behind the end");
        assert!(loaded > 0, "{self:?}: an event without bytes");
        let available = self.count_unread(loaded);
        let end = self.peer_ended || self.peer_reset || self.was_silent;
        assert!(available <= self.limits.read as u64 || end, "{self:?}: {available} bytes are beyond the limit");
        assert!(self.told_in_turn != turn || end || self.urgent, "{self:?}: told of bytes twice in a turn");
        self.told_in_turn = turn;
        (self.heard_at, self.hears_since) = (simulate::clock(), simulate::clock());
    }

    /// An end event: everything that the peer has sent has come, and writing goes on.
    pub fn hear_end(&mut self) {
        assert!(self.is_connected() && self.handle().connected(), "{self:?}: an end without a connection");
        assert!(!self.heard_end && self.was_half_open && self.peer_ended, "{self:?}: an end that is not due");
        assert!(!self.paused, "{self:?}: an end for one that is paused");
        self.count_unread(0);
        assert_eq!(self.read + self.unread, self.sent, "{self:?}: an end before all has come");
        self.heard_end = true;
    }

    pub fn hear_progress(&mut self, pending: u64, total: u64, turn: u64) {
        assert!(self.is_open(), "{self:?}: progress without a connection");
        let broken = self.peer_reset || self.peer_gone || self.was_silent;
        assert!(total == self.written || broken && total < self.written, "{self:?}: bytesTotal {total}");
        assert!(pending <= self.written, "{self:?}: bytesPending");
        assert!(self.progress_in_turn != turn, "{self:?}: told of progress twice in a turn");
        self.progress_in_turn = turn;
        self.progress = total - pending;
    }

    pub fn hear_error(&mut self, os_error: i32) {
        assert!(self.error.is_none(), "{self:?}: a second error");
        self.error = Some(os_error);
        if self.phase == Phase::Connecting {
            self.phase = Phase::Failed;
            return self.check_failure(os_error);
        }
        assert!(self.is_open(), "{self:?}: an error without a connection");
        self.count_unread(0);
        self.check_cause(os_error);
    }

    pub fn hear_close(&mut self, os_error: i32) {
        assert!(self.is_open(), "{self:?}: a close event that is not due");
        assert!(!self.handle().connected(), "{self:?}: connected in its close event");
        self.count_unread(0);
        let dropped = self.written > self.peer().facts().written;
        if os_error == 0 {
            assert!(self.peer_ended, "{self:?}: the peer has not ended its side");
            assert_eq!(self.read + self.unread, self.sent, "{self:?}: a good end before all has come");
            assert_eq!(self.error, None, "{self:?}: an error and a good end");
            assert!(!self.heard_end || self.shut, "{self:?}: a good end, though ours goes on");
            assert!(!self.heard_end || !dropped, "{self:?}: a good end before all is sent");
            assert!(self.heard_end || self.was_whole, "{self:?}: half-open, and nobody told of the end");
        } else {
            self.check_cause(os_error);
            assert!(!dropped || self.error.is_some(), "{self:?}: output was dropped in silence");
            assert!(self.error.is_none_or(|error| error == os_error), "{self:?}: two errors, {os_error}");
        }
        let unread = self.unread;
        self.close(Phase::Ended);
        self.unread = unread;
    }

    /// Whether there was a reason for an error.
    fn check_cause(&self, os_error: i32) {
        match os_error {
            libc::ECONNRESET | libc::EPIPE => {
                assert!(self.peer_reset || self.peer_gone, "{self:?}: nobody has reset it");
            }
            libc::ETIMEDOUT => {
                let over = self.has_been_idle() || self.has_been_unheard() || self.is_evicted();
                assert!(self.was_silent || over, "{self:?}: it was not silent");
            }
            other => panic!("{self:?}: error {other}"),
        }
    }

    /// Whether there was a reason for an attempt to fail. It began when there was last any traffic.
    fn check_failure(&self, os_error: i32) {
        match os_error {
            // One that has answered may have reset the connection before anybody looked.
            libc::ECONNREFUSED | libc::ECONNRESET => assert!(self.peer_reset, "{self:?}: nobody has refused"),
            libc::ETIMEDOUT => {
                let time = simulate::clock() - self.last_traffic;
                assert!(time >= Duration::from_millis(self.shortest_timeout.into()), "{self:?}: too early");
            }
            libc::ENETUNREACH | libc::ENOMEM | libc::ENOSPC => {}
            other => panic!("{self:?}: error {other}"),
        }
    }

    fn has_been_unheard(&self) -> bool {
        let unheard = simulate::clock() - self.heard_at;
        self.shortest_read.is_some_and(|limit| unheard >= Duration::from_millis(limit.into()))
    }

    fn has_been_idle(&self) -> bool {
        let idle = simulate::clock() - self.last_traffic;
        self.shortest_idle.is_some_and(|limit| self.has_rate || idle >= Duration::from_millis(limit.into()))
    }
}

// What the peer sees.
impl Life {
    /// The peer reads.
    pub fn peer_reads(&mut self, most: usize) {
        let bytes = self.peer().read(most);
        check(&bytes, self.number * 2 + 1, self.got);
        self.got += bytes.len() as u64;
        assert!(self.got <= self.written, "{self:?}: more than was written");
        self.look_at_end();
    }

    pub fn peer_writes(&mut self, length: usize, urgent: bool) {
        let bytes = fill(self.number * 2, self.sent, length);
        let taken = if urgent { self.peer().write_urgently(&bytes) } else { self.peer().write(&bytes) };
        self.sent += taken as u64;
        self.urgent |= urgent;
    }

    /// If the connection is over for the peer: whether it ended as it should have.
    pub fn look_at_end(&mut self) {
        let Some(ending) = self.peer().ending().filter(|_| self.ending.is_none() && !self.peer_gone) else { return };
        self.ending = Some(ending);
        if self.phase == Phase::Failed {
            // It was given up before anybody could know that it had succeeded.
            return;
        }
        let closed = matches!(self.phase, Phase::Closed | Phase::Ended) || self.error.is_some();
        match ending {
            Ending::Fin => {
                assert!(closed || self.shut, "{self:?}: a FIN that nobody has sent");
                assert_eq!(self.got, self.written, "{self:?}: a good end, and bytes are missing");
            }
            Ending::Reset => {
                let refused = matches!(self.phase, Phase::Waiting);
                let cut = self.has_lingered() || self.at_once || self.may_be_cut || self.is_evicted();
                let lost = closed && (cut || self.error.is_some());
                assert!(self.phase == Phase::Aborted || refused || lost, "{self:?}: reset without a reason");
            }
            Ending::Unread | Ending::TooLate => {
                let too_much = self.sent - self.read > 8 << 20;
                let cut = self.at_once || self.has_lingered() || self.may_be_cut || self.is_evicted();
                let unheard = self.written == 0 || cut || too_much;
                let idle = self.error.is_some();
                assert!(closed && (unheard || idle), "{self:?}: {ending:?}, and the peer may not have read all");
            }
        }
    }

    fn has_lingered(&self) -> bool {
        simulate::clock() >= self.closed_at + Duration::from_millis(self.lingers.into())
    }
}

// ---- Bytes ----------------------------------------------------------------------------------------------------------

/// A prime, so that a byte that is lost or moved shows.
const PERIOD: usize = 65_521;

thread_local! {
    static BYTES: Vec<u8> = pattern(PERIOD);
}

fn pieces(stream: usize, position: u64, length: usize, mut see: impl FnMut(std::ops::Range<usize>, &[u8])) {
    BYTES.with(|bytes| {
        let mut start = (stream * 7_919 + position as usize) % PERIOD;
        let mut done = 0;
        while done < length {
            let count = (length - done).min(PERIOD - start);
            see(done..done + count, &bytes[start..start + count]);
            (done, start) = (done + count, 0);
        }
    });
}

/// The bytes of a stream from a place on.
pub fn fill(stream: usize, position: u64, length: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(length);
    pieces(stream, position, length, |_, piece| all.extend_from_slice(piece));
    all
}

/// Bytes are those of a stream from a place on.
#[track_caller]
pub fn check(bytes: &[u8], stream: usize, position: u64) {
    let mut same = true;
    pieces(stream, position, bytes.len(), |range, piece| same &= bytes[range] == *piece);
    assert!(same, "other bytes than were sent: {} of stream {stream} from {position} on", bytes.len());
}
