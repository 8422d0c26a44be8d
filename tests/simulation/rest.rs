// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must be so when nothing is under way.

use std::time::Duration;

use server_socket::{SS_KIND_SOCKET, SS_KIND_TIMER, simulate, ss_loop_timeout, ss_object_count};

use super::life::{Life, Phase};
use super::world::World;

impl World {
    pub fn check_rest(&mut self) {
        super::world::sweep(self);
        let kept = self.lives.iter().filter(|life| life.kept).count();
        assert_eq!(ss_object_count(SS_KIND_SOCKET), kept, "sockets");
        let held_back: Vec<usize> = self.active.iter().copied().filter(|number| self.is_held_back(*number)).collect();
        for number in self.active.clone() {
            let life = &mut self.lives[number];
            match life.phase {
                Phase::Open => life.check_open(held_back.contains(&number), self.relief),
                Phase::Closed | Phase::Ended | Phase::Aborted => life.check_closed(),
                Phase::Failed => assert!(life.peer.is_none_or(|peer| !peer.facts().open), "{life:?}: it is open still"),
                Phase::Connecting => life.check_time(life.timeout, life.last_traffic),
                Phase::Waiting => {}
            }
        }
        self.check_figures();
        for draining in &self.draining {
            let over = simulate::clock() > draining.deadline + SOON;
            assert!(!over, "{draining:?}: its time is over since long");
            let is_there = |life: &Life| life.is_of(draining.number) && life.peer().facts().open;
            let waits = simulate::waiting(draining.port) > 0;
            assert!(waits || self.lives.iter().any(is_there), "{draining:?}: it has nobody, and goes on");
        }
        let has_timers = ss_object_count(SS_KIND_TIMER) > 0;
        if self.draining.is_empty() && !has_timers && !self.active.iter().any(|number| self.lives[*number].has_clocks())
        {
            let (now, timeout) = (simulate::clock(), ss_loop_timeout(self.events));
            assert_eq!(timeout, -1, "nothing can happen, and the loop does not sleep, at {now:?}");
        }
    }

    /// Whether it may be read from no further, since all of its server's have too much unread.
    fn is_held_back(&self, number: usize) -> bool {
        let life = &self.lives[number];
        if !life.is_connected() || !life.was_accepted() {
            return false;
        }
        let Some(limit) = self.unread_limits.get(&life.server).copied() else { return false };
        let unread = |life: &Life| life.handle().available() as u64;
        let its = || self.lives.iter().filter(|other| other.kept && other.is_of(life.server));
        let open = its().filter(|other| other.is_connected()).count() as u64;
        let part = (limit / 4 / open.max(1)).max(1);
        its().map(unread).sum::<u64>() > limit - limit / 8 && unread(life) >= part
    }

    fn check_figures(&self) {
        let stats = self.figures();
        let full = self.max_connections > 0 && stats.open >= self.max_connections;
        if !self.server_paused && !full {
            assert_eq!(simulate::waiting(self.port), 0, "peers wait, and nobody accepts them");
        }
        assert_eq!(stats.accepted, self.accepted, "accepted");
        assert_eq!(stats.refused, self.refused, "refused");
        assert_eq!(stats.errors, self.errors, "errors");
        let number = self.server_number;
        let its = self.lives.iter().filter(|life| life.is_of(number));
        let facts = its.map(|life| (life, life.peer().facts()));
        let (mut open, mut lingering, mut unsent, mut written, mut read) = (0, 0, 0, 0, 0);
        for (life, facts) in facts {
            written += facts.written;
            read += life.read + life.unread;
            if facts.open && life.is_open() {
                open += 1;
            } else if facts.open {
                lingering += 1;
                unsent += life.written - facts.written;
            }
        }
        assert_eq!((stats.open, stats.lingering), (open, lingering), "open and lingering");
        assert!(unsent <= self.linger_bytes, "{unsent} bytes linger, and {} may", self.linger_bytes);
        assert_eq!(stats.bytes_out, written, "bytes_out");
        assert!(stats.bytes_in >= read, "bytes_in: {} of {read}", stats.bytes_in);
    }
}

/// How long it may take until the library sees to something whose time has come.
const SOON: Duration = Duration::from_millis(500);

fn milliseconds_of(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

impl Life {
    pub fn was_accepted(&self) -> bool {
        self.phase != Phase::Waiting && self.peer.is_some_and(|peer| !peer.facts().outgoing)
    }

    pub fn is_of(&self, server: usize) -> bool {
        self.was_accepted() && self.server == server
    }

    /// Whether time alone may bring anything.
    fn has_clocks(&self) -> bool {
        match self.phase {
            Phase::Waiting => false,
            Phase::Open => self.limits.idle > 0 || self.limits.keep_alive > 0 || self.limits.read_time > 0,
            _ => self.phase == Phase::Connecting || self.peer.is_some_and(|peer| peer.facts().open),
        }
    }

    /// A time that began then, or when it was set, is not over for long.
    fn check_time(&self, milliseconds: u32, began: Duration) {
        let over = simulate::clock().saturating_sub(began.max(self.clocks_set)) > SOON + milliseconds_of(milliseconds);
        assert!(milliseconds == 0 || !over, "{self:?}: its time is over since long");
    }

    fn check_open(&mut self, held_back: bool, relief: Duration) {
        let facts = self.peer().facts();
        let socket = self.handle();
        assert!(self.kept && socket.connected(), "{self:?}: it is not connected");
        self.count_unread(0);
        if facts.outbound == 0 {
            // Else each answer to a probe of the shut window counts for what was acknowledged long before. Twice, since an
            // acknowledgement is seen when somebody looks.
            let began = self.last_traffic.max(facts.last_traffic);
            self.check_time(self.limits.idle.saturating_mul(2), began);
        }
        let full = held_back || self.unread >= self.limits.read as u64;
        if !self.paused && !full && !self.heard_end {
            self.check_time(self.limits.read_time, self.hears_since.max(relief));
        }
        if self.silent {
            return;
        }
        assert!(!self.peer_reset && !facts.dead, "{self:?}: its reset was not noticed, {facts:?}");
        if !self.paused {
            assert!(!facts.fin_here || self.heard_end || held_back, "{self:?}: its end was not met, {facts:?}");
            assert!(full || facts.inbound == 0, "{self:?}: nobody reads, {facts:?}");
        }
        assert_eq!(self.progress, facts.written, "{self:?}: nobody told of progress, {facts:?}");
        let pending = socket.pending() as u64;
        self.check_shut(pending);
        assert_eq!(pending, self.written - facts.written, "{self:?}: pending, {facts:?}");
        assert!(pending == 0 || facts.room * 3 < facts.room + facts.outbound, "{self:?}: nobody sends, {facts:?}");
    }

    /// Our side has ended when all is sent, and with both sides the connection.
    fn check_shut(&mut self, pending: u64) {
        self.look_at_end();
        if !self.shut || pending > 0 {
            return;
        }
        let facts = self.peer().facts();
        let all_got = facts.outbound == 0 && facts.at_peer == 0;
        assert!(
            !all_got || self.ending.is_some() || self.peer_gone,
            "{self:?}: its peer was not told of our end, {facts:?}"
        );
        assert!(!self.heard_end, "{self:?}: both sides have ended, and it is open still");
    }

    /// What the host does not care for any more goes on by itself.
    fn check_closed(&mut self) {
        let facts = self.peer().facts();
        let socket = self.handle();
        assert!(!self.kept || !socket.connected(), "{self:?}: it is connected still");
        self.look_at_end();
        let most = self.closed_at + milliseconds_of(self.lingers) * 10 + SOON;
        assert!(!facts.open || simulate::clock() <= most, "{self:?}: it lingers too long");
        if self.silent || self.peer_gone || self.was_silent {
            return;
        }
        let all_got = facts.at_peer == 0 && (self.got == self.written || self.phase == Phase::Aborted);
        assert!(!all_got || self.ending.is_some(), "{self:?}: its peer was not told of the end, {facts:?}");
        if !facts.open {
            return;
        }
        assert!(self.phase != Phase::Aborted, "{self:?}: aborted, and open still");
        let unsent = self.written > facts.written;
        assert!(!unsent || facts.room * 3 < facts.room + facts.outbound, "{self:?}: nobody sends, {facts:?}");
        assert_eq!(facts.inbound, 0, "{self:?}: nobody reads what is thrown away, {facts:?}");
        assert!(unsent || !facts.fin_here, "{self:?}: everything is done, and it is open still, {facts:?}");
    }
}
