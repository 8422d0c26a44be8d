// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection's clocks: silence, a peer that answers nothing, and how long a closed socket's output may take.
//!
//! Only connections that need a clock have one. Its deadline is in the loop's timers under the connection's key.

use std::time::Duration;

use super::phase::{Happening, Phase};
use super::rare::timing_of;
use super::{Connection, Marks, Transport};
use crate::error::Result;
use crate::handle::Key;
use crate::options::Options;
use crate::reactor::{Deadline, Reactor};
use crate::sys::Instant;
use crate::sys::net::{self, News};

/// Long enough for a turn that reads, and for those that rest meanwhile since the system is out of memory.
const SOON: Duration = Duration::from_millis(10);
/// How many periods of keep-alive a peer may leave unanswered.
const KEEP_ALIVE_PERIODS: u32 = 10;
/// A closed socket's output may take so many times SS_OPT_LINGER in all, however slowly it makes progress.
const LINGER_PERIODS: u32 = 10;

pub(crate) struct Timing {
    /// What is in the loop's timers.
    deadline: Deadline,
    /// What counts as silence; `None`: nobody wants to know.
    silence: Option<Silence>,
    /// When as many bytes as are wanted had last gone either way; when one that lingers last made progress.
    since: Instant,
    /// How many have gone since.
    moved: usize,
    /// How many bytes the peer had acknowledged when that was last asked.
    acknowledged: u64,
    /// The time is over, and what the system had for us is being looked at before we judge.
    judging: bool,
    read: Option<ReadClock>,
    keep_alive: Option<Duration>,
    /// When to look whether the peer answers what was sent to it.
    look: Option<Instant>,
    /// It did not, when we last looked.
    suspect: bool,
    linger: Option<Linger>,
    drained: usize,
    /// When a handshake has to be done.
    handshake: Option<Instant>,
}

/// What counts as silence: fewer bytes than these in so much time.
#[derive(Clone, Copy)]
pub(crate) struct Silence {
    time: Duration,
    bytes: usize,
}

/// How long the peer may say nothing.
#[derive(Clone, Copy)]
struct ReadClock {
    time: Duration,
    /// When it last said something; `None`: the clock stands still, since the host does not read.
    since: Option<Instant>,
    /// As with silence either way.
    judging: bool,
}

#[derive(Clone, Copy)]
struct Linger {
    /// How long it may go without progress.
    time: Duration,
    /// When it is over in any case.
    end: Instant,
}

impl Timing {
    fn new(now: Instant) -> Self {
        Timing {
            deadline: Deadline::NONE,
            silence: None,
            since: now,
            moved: 0,
            acknowledged: 0,
            judging: false,
            read: None,
            keep_alive: None,
            look: None,
            suspect: false,
            linger: None,
            drained: 0,
            handshake: None,
        }
    }

    /// Bytes went either way. The time is taken exactly, since a turn may have begun long ago.
    fn note(&mut self, bytes: usize, when: Instant) {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= self.silence.map_or(1, |silence| silence.bytes) {
            self.restart(when);
        }
    }

    fn restart(&mut self, when: Instant) {
        (self.since, self.moved, self.judging) = (self.since.max(when), 0, false);
    }

    fn next_deadline(&self) -> Option<Instant> {
        if let Some(linger) = self.linger {
            return Some(linger.end.min(self.since + linger.time));
        }
        if let Some(handshake) = self.handshake {
            return Some(handshake);
        }
        let silence =
            self.silence.map(|silence| if self.judging { net::now() + SOON } else { self.since + silence.time });
        let read = self.read.and_then(|clock| clock.due());
        [silence, read, self.look].into_iter().flatten().min()
    }

    fn arm(&mut self, reactor: &mut Reactor, key: Key) {
        let due = self.next_deadline();
        reactor.timers.set(key, &mut self.deadline, due);
    }
}

impl Silence {
    fn of(options: &Options) -> Option<Silence> {
        let time = Duration::from_millis(options.idle_timeout.into());
        (!time.is_zero()).then_some(Silence { time, bytes: options.idle_bytes as usize })
    }
}

impl ReadClock {
    /// The clock that the options ask for. One that runs already runs on.
    fn of(options: &Options, before: Option<ReadClock>) -> Option<ReadClock> {
        let time = Duration::from_millis(options.read_timeout.into());
        let before = before.filter(|before| before.time == time);
        (!time.is_zero()).then(|| before.unwrap_or(ReadClock { time, since: Some(net::now()), judging: false }))
    }

    fn due(self) -> Option<Instant> {
        self.since.map(|since| if self.judging { net::now() + SOON } else { since + self.time })
    }

    fn is_over(self) -> bool {
        self.since.is_some_and(|since| self.judging || net::now() >= since + self.time)
    }

    /// The peer has said something.
    fn restart(&mut self, when: Instant) {
        if self.since.is_some() {
            (self.since, self.judging) = (Some(when), false);
        }
    }
}

impl Connection {
    fn make_timing(&mut self, reactor: &mut Reactor) -> Result<&mut Timing> {
        let timing = &mut self.make_rare()?.timing;
        if timing.is_none() {
            reactor.timers.reserve()?;
        }
        Ok(timing.get_or_insert_with(|| Timing::new(net::now())))
    }

    /// Follows the options that need a clock.
    pub(crate) fn watch_time(&mut self, options: &Options, reactor: &mut Reactor, key: Key) -> Result<()> {
        let silence = Silence::of(options);
        let keep_alive = (options.keep_alive > 0).then(|| Duration::from_secs(options.keep_alive.into()));
        if !options.needs_clock() && self.timing().is_none() {
            return Ok(());
        }
        let acknowledged = self.acknowledged();
        let timing = self.make_timing(reactor)?;
        (timing.silence, timing.keep_alive, timing.acknowledged) = (silence, keep_alive, acknowledged);
        timing.read = ReadClock::of(options, timing.read);
        timing.look = None;
        timing.arm(reactor, key);
        if !options.needs_clock() {
            self.drop_timing();
        }
        Ok(())
    }

    /// What kept it from being read is gone, perhaps. Its peer then has all of its time anew.
    pub(crate) fn read_on(&mut self, reactor: &mut Reactor, key: Key) {
        if self.has_inbound() {
            self.queue(reactor, key);
        }
        let hears = self.may_have_spoken();
        let Some(timing) = timing_of(&mut self.rare).filter(|_| hears) else { return };
        if let Some(clock) = &mut timing.read {
            let stood_still = clock.since.is_none();
            (clock.since, clock.judging) = (Some(net::now()), false);
            if stood_still {
                timing.arm(reactor, key);
            }
        }
    }

    /// It may be read from again, perhaps. Its peer's time begins anew if it stood still.
    pub(super) fn look_for_room(&mut self, reactor: &mut Reactor, key: Key) {
        let clock = self.timing().and_then(|timing| timing.read);
        if clock.is_some_and(|clock| clock.since.is_none()) {
            self.read_on(reactor, key);
        } else if self.has_inbound() {
            self.queue(reactor, key);
        }
    }

    #[inline]
    pub(super) fn note_received(&mut self, bytes: usize) {
        if self.rare.is_some() {
            self.time_received(bytes);
        }
    }

    fn time_received(&mut self, bytes: usize) {
        if let Some(timing) = self.timing_mut() {
            let now = net::now();
            timing.note(bytes, now);
            if let Some(clock) = &mut timing.read {
                clock.restart(now);
            }
        }
    }

    #[inline]
    pub(super) fn note_sent(&mut self, bytes: usize, reactor: &mut Reactor, key: Key) {
        if self.rare.is_some() {
            self.time_sent(bytes, reactor, key);
        }
    }

    fn time_sent(&mut self, bytes: usize, reactor: &mut Reactor, key: Key) {
        let Some(timing) = timing_of(&mut self.rare) else { return };
        // Where a rate is asked for, what the peer has acknowledged counts, and not what the system has taken.
        if timing.linger.is_none() && timing.silence.is_none_or(|silence| silence.bytes == 1) {
            timing.note(bytes, net::now());
        }
        if let (Some(period), None) = (timing.keep_alive, timing.look) {
            timing.look = Some(net::now() + period);
            timing.arm(reactor, key);
        }
    }

    /// How many bytes of the output the peer has acknowledged.
    fn acknowledged(&self) -> u64 {
        self.sent.saturating_sub(self.stream.unacknowledged().unwrap_or(0))
    }

    /// What the peer has acknowledged since that was last asked counts as traffic, at the time when it did.
    fn note_acknowledged(&mut self) {
        let acknowledged = self.acknowledged();
        let Some(timing) = timing_of(&mut self.rare) else { return };
        let news = acknowledged.saturating_sub(timing.acknowledged);
        timing.acknowledged = acknowledged;
        let when = self.stream.last_answer().and_then(|answer| net::now().checked_sub(answer.ago));
        if let (1.., Some(when)) = (news, when) {
            timing.note(usize::try_from(news).unwrap_or(usize::MAX), when);
        }
    }

    /// Begins the time in which the connection goes on without its socket.
    pub(super) fn begin_linger(&mut self, milliseconds: u32, reactor: &mut Reactor, key: Key) -> Result<()> {
        let time = Duration::from_millis(milliseconds.into());
        let acknowledged = self.acknowledged();
        let timing = self.make_timing(reactor)?;
        timing.restart(net::now());
        (timing.silence, timing.keep_alive, timing.acknowledged) = (None, None, acknowledged);
        (timing.read, timing.handshake) = (None, None);
        timing.linger = Some(Linger { time, end: timing.since + time * LINGER_PERIODS });
        timing.arm(reactor, key);
        Ok(())
    }

    /// Begins the time that a handshake may take.
    pub(crate) fn begin_handshake_time(&mut self, milliseconds: u32, reactor: &mut Reactor, key: Key) -> Result<()> {
        if milliseconds > 0 {
            let timing = self.make_timing(reactor)?;
            timing.handshake = Some(net::now() + Duration::from_millis(milliseconds.into()));
            timing.arm(reactor, key);
        }
        Ok(())
    }

    /// The handshake is done. What other clocks there are begin anew.
    pub(crate) fn end_handshake_time(&mut self, options: &Options, reactor: &mut Reactor, key: Key) {
        let Some(timing) = self.timing_mut() else { return };
        timing.handshake = None;
        timing.restart(net::now());
        timing.read = None;
        timing.arm(reactor, key);
        // There is room for it already.
        let _ = self.watch_time(options, reactor, key);
    }

    /// Since when one that lingers has made no progress.
    pub(super) fn stuck_since(&mut self) -> Option<Instant> {
        self.note_acknowledged();
        self.timing().map(|timing| timing.since)
    }

    /// As far as that is known without asking the system.
    pub(super) fn known_stuck_since(&self) -> Option<Instant> {
        self.timing().map(|timing| timing.since)
    }

    /// Adds to what was thrown away, and says how much that is.
    pub(super) fn has_drained(&mut self, more: usize) -> usize {
        self.timing_mut().map_or(0, |timing| {
            timing.drained = timing.drained.saturating_add(more);
            timing.drained
        })
    }

    /// It has no deadline any more.
    pub(super) fn disarm(&mut self, reactor: &mut Reactor, key: Key) {
        if let Some(timing) = timing_of(&mut self.rare) {
            reactor.timers.set(key, &mut timing.deadline, None);
        }
    }

    /// Whether there may be input in the system, which is to be read before its peer is called silent. Nobody asks the
    /// system for it in another way: it would tell of a reset only once.
    fn may_have_spoken(&self) -> bool {
        !self.is(Marks::PAUSED) && !self.ended
    }
}

impl Transport {
    /// The time of a connection has come. `reads`: its socket has room for input. Returns what happens to it.
    pub(crate) fn expire(&mut self, key: Key, reads: bool) -> Option<Happening> {
        let connection = self.connections.get_mut(key)?;
        connection.timing_mut()?.deadline.clear();
        if connection.timing().is_some_and(|timing| timing.handshake.is_some_and(|end| net::now() >= end)) {
            return Some(Happening::TimedOut);
        }
        if connection.phase.lingers() {
            return self.expire_linger(key);
        }
        // An accepted one for which the poller has no room yet has its clocks, too.
        if connection.phase == Phase::Connecting {
            return None;
        }
        let over = connection.leaves_all_unanswered()
            || connection.is_silent(reads, &mut self.reactor, key)
            || connection.hears_nothing(reads, &mut self.reactor, key);
        if over {
            return Some(Happening::TimedOut);
        }
        if let Some(timing) = connection.timing_mut() {
            timing.arm(&mut self.reactor, key);
        }
        self.rest_if_starved(key);
        None
    }

    /// Sends before it judges: the host may have been busy.
    fn expire_linger(&mut self, key: Key) -> Option<Happening> {
        let connection = self.connections.get_mut(key)?;
        connection.try_again(&mut self.reactor, key);
        connection.note_acknowledged();
        let timing = connection.timing_mut()?;
        let linger = timing.linger?;
        let now = net::now();
        if now >= linger.end || now >= timing.since + linger.time {
            return Some(Happening::TimedOut);
        }
        timing.arm(&mut self.reactor, key);
        if connection.output.is_empty() && connection.phase != Phase::Draining {
            // The system has taken the last of it just now, and has nothing to tell of that.
            connection.queue(&mut self.reactor, key);
        }
        self.rest_if_starved(key);
        None
    }
}

impl Connection {
    /// Whether fewer bytes than are wanted have gone either way in the time that is set.
    fn is_silent(&mut self, reads: bool, reactor: &mut Reactor, key: Key) -> bool {
        let over = |timing: &Timing| {
            let now = net::now();
            timing.silence.is_some_and(|silence| timing.judging || now >= timing.since + silence.time)
        };
        if !self.timing().is_some_and(over) {
            return false;
        }
        self.try_again(reactor, key);
        self.note_acknowledged();
        if !self.timing().is_some_and(over) {
            return false;
        }
        // The peer may not have been silent: the host was busy. It is read from in this turn, and judged after it.
        let judged = self.timing().is_some_and(|timing| timing.judging);
        if !judged && reads && self.may_have_spoken() {
            self.inbound = self.inbound.max(News::Bytes);
            self.queue(reactor, key);
            if let Some(timing) = timing_of(&mut self.rare) {
                timing.judging = true;
            }
            return false;
        }
        true
    }

    /// Whether the peer has said nothing in the time that is set. While the host does not read that is not the peer's doing.
    fn hears_nothing(&mut self, reads: bool, reactor: &mut Reactor, key: Key) -> bool {
        let (hears, starved) = (reads && self.may_have_spoken(), self.is(Marks::STARVED));
        let Some(clock) = self.timing_mut().and_then(|timing| timing.read.as_mut()) else { return false };
        if !clock.is_over() {
            return false;
        }
        if !hears {
            clock.since = None;
            return false;
        }
        let judged = std::mem::replace(&mut clock.judging, true) && !starved;
        if !judged {
            // As with silence either way: it is read from in this turn, and judged after it.
            self.inbound = self.inbound.max(News::Bytes);
            self.queue(reactor, key);
        }
        judged
    }

    /// Sends before it is judged: the host may have been busy, and the system have had room for more. That it takes more
    /// says nothing of the peer; that the peer has acknowledged all that it could get does.
    fn try_again(&mut self, reactor: &mut Reactor, key: Key) {
        let unacknowledged = self.stream.unacknowledged();
        let waits_for_us = self.pending() > 0 && unacknowledged == Some(0);
        let since = self.timing().map(|timing| timing.since);
        self.full = false;
        self.flush(reactor, key);
        let (Some(timing), Some(since), Some(_)) = (timing_of(&mut self.rare), since, unacknowledged) else { return };
        timing.since = since;
        if waits_for_us {
            timing.restart(net::now());
        }
    }

    /// Whether the peer answers nothing, although something was sent to it. A shut window is no silence: the peer's
    /// system answers each probe of it. Nothing under way: there is nothing to look for until something is sent.
    fn leaves_all_unanswered(&mut self) -> bool {
        let now = net::now();
        let Some(timing) = timing_of(&mut self.rare) else { return false };
        let Some(period) = timing.keep_alive.filter(|_| timing.look.is_some_and(|look| now >= look)) else {
            return false;
        };
        let under_way = !self.output.is_empty() || self.stream.unacknowledged() != Some(0);
        timing.look = under_way.then(|| now + period);
        let patience = period * KEEP_ALIVE_PERIODS;
        let answer = self.stream.last_answer();
        let silent = answer.is_some_and(|answer| answer.one_is_due && answer.ago >= patience);
        // Twice: an answer may have been on its way.
        let gone = silent && timing.suspect;
        timing.suspect = silent;
        if silent && !gone {
            timing.look = Some(now + SOON * 10);
        }
        gone
    }
}
