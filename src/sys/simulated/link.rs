// SPDX-License-Identifier: MIT OR Apache-2.0
//! One made-up connection: two queues each way, as TCP has them, and what becomes of them when an end comes.
//!
//! What we write lies in `outbound` until the peer's system has it, and then in `at_peer` until the peer reads it; what the
//! peer writes in `from_peer` until there is room for it in `inbound`. Each change of what a poller would tell sets `news`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use super::kernel::Dice;
use crate::handle::Key;
use crate::sys::LastAnswer;
use crate::sys::simulated::News;

/// How long the system sends again what nobody acknowledges.
const GIVE_UP: Duration = Duration::from_secs(924);
/// How long it tries to connect.
const GIVE_UP_CONNECTING: Duration = Duration::from_secs(127);
/// How many probes of keep-alive may be left unanswered.
const PROBES: u32 = 9;

/// How a connection looks to its peer when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Our side ended well: everything that we wrote before has come.
    Fin,
    /// A reset, since the library asked for one.
    Reset,
    /// A reset, since our side was closed with unread input.
    Unread,
    /// A reset, since the peer wrote to a side that was closed already.
    TooLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We have called, and nobody has answered.
    Calling,
    Established,
    /// Nothing comes or goes any more.
    Dead,
}

pub(crate) struct Link {
    pub stage: Stage,
    /// Our end is open.
    pub ours: bool,
    /// We called, and were not called.
    pub outgoing: bool,
    pub poller: Option<(u32, Key)>,
    /// There is something to tell that no poller has told yet.
    pub news: bool,
    /// It is in the poller's list.
    pub listed: bool,
    /// There may be something to move.
    pub moves: bool,
    pub local: SocketAddr,
    pub remote: SocketAddr,

    from_peer: VecDeque<u8>,
    pub inbound: VecDeque<u8>,
    pub inbound_room: usize,
    /// Where in `inbound` the urgent mark is.
    urgent: Option<usize>,
    /// The peer writes no more.
    pub peer_ended: bool,
    /// The peer's program is gone: what comes for it is answered with a reset.
    pub peer_gone: bool,
    pub fin_here: bool,

    pub outbound: VecDeque<u8>,
    pub outbound_room: usize,
    at_peer: VecDeque<u8>,
    pub window: usize,
    /// We met a full queue: the poller tells when there is room.
    wants_room: bool,
    pub shut_down: bool,

    /// The system's error, told once.
    pub error: Option<i32>,
    /// Closing our end resets the connection.
    pub resets: bool,
    pub ending: Option<Ending>,
    pub silent: bool,
    /// When the peer's system last had anything to answer.
    pub heard: Duration,
    /// When our side last read or wrote anything.
    pub moved: Duration,
    pub keep_alive: Option<Duration>,
    /// When the system gives it up.
    pub doom: Option<Duration>,
    /// How many bytes our side has read, and how many it has written.
    pub read: u64,
    pub written: u64,
}

impl Link {
    pub(super) fn new(stage: Stage, outgoing: bool, local: SocketAddr, remote: SocketAddr) -> Self {
        Link {
            stage,
            ours: true,
            outgoing,
            poller: None,
            news: false,
            listed: false,
            moves: false,
            local,
            remote,
            from_peer: VecDeque::new(),
            inbound: VecDeque::new(),
            inbound_room: 64 * 1024,
            urgent: None,
            peer_ended: false,
            peer_gone: false,
            fin_here: false,
            outbound: VecDeque::new(),
            outbound_room: 64 * 1024,
            at_peer: VecDeque::new(),
            window: 64 * 1024,
            wants_room: false,
            shut_down: false,
            error: None,
            resets: false,
            ending: None,
            silent: false,
            heard: Duration::ZERO,
            moved: Duration::ZERO,
            keep_alive: None,
            doom: None,
            read: 0,
            written: 0,
        }
    }

    fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// What a poller would say now: what there is to read, and whether there is room to write.
    pub(super) fn readiness(&self) -> (News, bool) {
        if self.stage == Stage::Calling {
            return (News::Nothing, false);
        }
        let dead = self.stage == Stage::Dead;
        let news = if self.error.is_some() {
            News::Broken
        } else if self.fin_here || dead {
            News::TheEnd
        } else if self.urgent.is_some() {
            News::Urgent
        } else if !self.inbound.is_empty() {
            News::Bytes
        } else {
            News::Nothing
        };
        (news, dead || self.shut_down || self.has_much_room())
    }

    /// As much as has the system tell of room.
    fn has_much_room(&self) -> bool {
        let free = self.outbound_room.saturating_sub(self.outbound.len());
        free * 3 >= self.outbound_room
    }

    /// Has something happened that the system moves bytes for? Then it does.
    pub(super) fn deliver(&mut self, clock: Duration) {
        self.moves = false;
        if self.silent || !self.is_established() {
            return;
        }
        if self.peer_gone && !self.outbound.is_empty() {
            return self.peer_resets();
        }
        let room = self.window.saturating_sub(self.at_peer.len());
        if transfer(&mut self.outbound, &mut self.at_peer, room) > 0 {
            self.heard = clock;
        }
        if self.wants_room && self.has_much_room() {
            (self.wants_room, self.news) = (false, true);
        }
        if self.shut_down && self.outbound.is_empty() && self.ending.is_none() {
            self.ending = Some(Ending::Fin);
        }
        if !self.ours {
            if !self.from_peer.is_empty() {
                self.end_with(Ending::TooLate);
            }
            return;
        }
        let room = self.inbound_room.saturating_sub(self.inbound.len());
        if transfer(&mut self.from_peer, &mut self.inbound, room) > 0 {
            (self.heard, self.news) = (clock, true);
        }
        if self.peer_ended && self.from_peer.is_empty() && !self.fin_here {
            (self.fin_here, self.news) = (true, true);
        }
    }

    /// Our side resets the connection. What has come to the peer can still be read there.
    fn end_with(&mut self, ending: Ending) {
        self.stage = Stage::Dead;
        self.ending = Some(ending);
        self.outbound.clear();
        self.from_peer.clear();
    }

    /// When the system gives it up, as things are.
    pub(super) fn doom(&self, clock: Duration) -> Option<Duration> {
        match self.stage {
            Stage::Calling => Some(clock + GIVE_UP_CONNECTING),
            Stage::Established if self.silent => {
                let unanswered = (!self.outbound.is_empty()).then(|| clock + GIVE_UP);
                let unprobed = self.keep_alive.map(|period| clock.max(self.heard) + period * (PROBES + 1));
                [unanswered, unprobed].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// It is over, and our side is told by an error.
    pub(super) fn fail(&mut self, error: i32) {
        self.stage = Stage::Dead;
        self.error = Some(error);
        self.news = true;
        self.outbound.clear();
        self.from_peer.clear();
    }

    pub(super) fn last_answer(&self, clock: Duration) -> LastAnswer {
        // A shut window is probed, and each probe answered.
        let probed = !self.silent && !self.outbound.is_empty();
        let ago = if probed { Duration::ZERO } else { clock - self.heard };
        LastAnswer { ago, one_is_due: self.silent && !self.outbound.is_empty() }
    }
}

// Our end.
impl Link {
    pub(super) fn remote_address(&self) -> io::Result<SocketAddr> {
        if self.is_established() { Ok(self.remote) } else { Err(error(libc::ENOTCONN)) }
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8], dice: &mut Dice) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return self.receive_nothing();
        }
        let mut count = buffer.len().min(self.inbound.len());
        if let Some(mark) = self.urgent.filter(|mark| *mark > 0) {
            count = count.min(mark);
        }
        let is_going_on = self.is_established() && !self.fin_here;
        if is_going_on && dice.roll(dice.odds.would_block) {
            // It was not quite there yet, and comes now.
            self.news = true;
            return Err(error(libc::EAGAIN));
        }
        if is_going_on && count > 1 && dice.roll(dice.odds.short) {
            // The rest comes now.
            count = 1 + dice.below(count - 1);
            self.news = true;
        }
        take(&mut self.inbound, &mut buffer[..count]);
        self.urgent = self.urgent.and_then(|mark| (mark > 0).then(|| mark - count));
        self.read += count as u64;
        self.moves = true;
        Ok(count)
    }

    /// After a FIN no reset is told of, and else once.
    fn receive_nothing(&mut self) -> io::Result<usize> {
        if self.fin_here {
            return Ok(0);
        }
        match self.error.take() {
            Some(number) => Err(error(number)),
            None if self.stage == Stage::Dead => Ok(0),
            None => Err(error(libc::EAGAIN)),
        }
    }

    pub(super) fn send(&mut self, parts: &[IoSlice<'_>], dice: &mut Dice) -> io::Result<usize> {
        if let Some(number) = self.error.take() {
            return Err(error(number));
        }
        match self.stage {
            Stage::Calling => return Err(error(libc::EAGAIN)),
            Stage::Established if !self.shut_down => {}
            _ => return Err(error(libc::EPIPE)),
        }
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        let mut room = self.outbound_room.saturating_sub(self.outbound.len()).min(offered);
        if room > 0 && dice.roll(dice.odds.would_block) {
            room = 0;
        } else if room > 1 && dice.roll(dice.odds.short) {
            room = 1 + dice.below(room - 1);
        }
        (self.wants_room, self.moves) = (self.wants_room || room < offered, true);
        if room == 0 && offered > 0 {
            return Err(error(libc::EAGAIN));
        }
        let mut left = room;
        for part in parts {
            let count = part.len().min(left);
            self.outbound.extend(&part[..count]);
            left -= count;
        }
        self.written += room as u64;
        Ok(room)
    }

    pub(super) fn shut_down(&mut self) -> io::Result<()> {
        if !self.is_established() {
            return Err(error(libc::ENOTCONN));
        }
        (self.shut_down, self.moves, self.news) = (true, true, true);
        Ok(())
    }

    /// Our descriptor is closed.
    pub(super) fn close(&mut self) {
        (self.ours, self.poller) = (false, None);
        match self.stage {
            Stage::Dead => {}
            Stage::Calling => self.stage = Stage::Dead,
            Stage::Established if self.resets => self.end_with(Ending::Reset),
            Stage::Established if !self.inbound.is_empty() => self.end_with(Ending::Unread),
            Stage::Established => (self.shut_down, self.moves) = (true, true),
        }
    }
}

// The peer's end.
impl Link {
    /// Somebody answers our call, if it is still there.
    pub(crate) fn answer(&mut self) {
        if self.stage == Stage::Calling && self.ours {
            (self.stage, self.news, self.moves) = (Stage::Established, true, true);
        }
    }

    pub(crate) fn set_silent(&mut self, silent: bool) {
        (self.silent, self.moves) = (silent, true);
    }

    /// How many bytes the peer's system takes.
    pub(crate) fn peer_writes(&mut self, bytes: &[u8], is_urgent: bool) -> usize {
        if !self.is_established() || self.peer_ended {
            return 0;
        }
        if is_urgent && self.from_peer.is_empty() && self.inbound.len() + bytes.len() <= self.inbound_room {
            // The mark is on the last byte.
            self.urgent = (self.inbound.len() + bytes.len()).checked_sub(1);
        }
        self.from_peer.extend(bytes);
        self.moves = true;
        bytes.len()
    }

    pub(crate) fn peer_reads(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(self.at_peer.len())];
        take(&mut self.at_peer, &mut bytes);
        self.moves = true;
        bytes
    }

    /// How the connection ended, to a peer that has read everything.
    pub(crate) fn peer_sees(&self) -> Option<Ending> {
        self.ending.filter(|_| self.at_peer.is_empty())
    }

    pub(crate) fn peer_ends(&mut self) {
        (self.peer_ended, self.moves) = (true, true);
    }

    pub(crate) fn peer_resets(&mut self) {
        match self.stage {
            Stage::Dead => {}
            Stage::Calling => self.fail(libc::ECONNREFUSED),
            Stage::Established => self.fail(if self.fin_here { libc::EPIPE } else { libc::ECONNRESET }),
        }
        self.at_peer.clear();
        (self.peer_ended, self.peer_gone) = (true, true);
    }

    /// The peer's program ends. With unread input that is a reset.
    pub(crate) fn peer_closes(&mut self) {
        if !self.at_peer.is_empty() || self.stage == Stage::Calling {
            return self.peer_resets();
        }
        self.peer_gone = true;
        self.peer_ends();
    }

    /// What is on its way to us, and not here yet.
    pub(crate) fn under_way(&self) -> usize {
        self.from_peer.len()
    }

    pub(crate) fn unread_by_peer(&self) -> usize {
        self.at_peer.len()
    }
}

pub(super) fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn transfer(from: &mut VecDeque<u8>, to: &mut VecDeque<u8>, most: usize) -> usize {
    let count = from.len().min(most);
    if count > 0 {
        if to.is_empty() && count == from.len() {
            std::mem::swap(from, to);
        } else {
            let (first, second) = from.as_slices();
            let at = first.len().min(count);
            to.extend(&first[..at]);
            to.extend(&second[..count - at]);
            from.drain(..count);
        }
    }
    count
}

fn take(from: &mut VecDeque<u8>, to: &mut [u8]) {
    let (first, second) = from.as_slices();
    let at = first.len().min(to.len());
    let (head, tail) = to.split_at_mut(at);
    head.copy_from_slice(&first[..at]);
    tail.copy_from_slice(&second[..tail.len()]);
    from.drain(..to.len());
}
