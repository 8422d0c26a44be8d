// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands for the system: the clock, the listening sockets, the lists of the pollers, and what it refuses.
//!
//! Readiness is edge-triggered as epoll's: a change puts an entry in its poller's list, and the next wait tells what is so
//! by then, once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::link::{Link, Stage, error};
use super::{EVENTS, News, Ready};
use crate::handle::Key;
use crate::sys::Instant;

/// How many peers wait at a listening socket.
const BACKLOG: usize = 128;

thread_local! {
    static KERNEL: RefCell<Kernel> = RefCell::new(Kernel::new(0));
}

pub(crate) fn with<T>(act: impl FnOnce(&mut Kernel) -> T) -> T {
    KERNEL.with_borrow_mut(act)
}

/// The thread may be ending, and have no kernel any more.
pub(super) fn with_if_there(act: impl FnOnce(&mut Kernel)) {
    let _ = KERNEL.try_with(|kernel| act(&mut kernel.borrow_mut()));
}

/// How often out of 1,024 times the system does what it seldom does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    /// A read or a write takes less than it could.
    pub short: u32,
    /// A read or a write takes nothing though it could.
    pub would_block: u32,
    /// There is no memory for a call.
    pub no_memory: u32,
    /// There are no descriptors for who is accepted.
    pub no_descriptors: u32,
    /// A peer is gone before it is accepted.
    pub aborted: u32,
    /// There is no way to a host that is called.
    pub unreachable: u32,
    /// A poller tells again what it has told.
    pub again: u32,
}

pub(crate) struct Dice {
    state: u64,
    pub odds: Odds,
}

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(super) fn roll(&mut self, odds: u32) -> bool {
        odds > 0 && self.next() % 1024 < u64::from(odds)
    }
}

/// A call that the system may have no memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Read,
    Write,
    Register,
}

/// What can be registered with a poller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Link(u32),
    Port(u16),
}

/// A listening socket.
#[derive(Default)]
struct Port {
    poller: Option<(u32, Key)>,
    listed: bool,
    waiting: VecDeque<u32>,
}

pub(crate) struct Kernel {
    base: Instant,
    /// How much time has passed.
    pub clock: Duration,
    dice: Dice,
    links: Vec<Link>,
    ports: BTreeMap<u16, Port>,
    pollers: u32,
    /// What each poller has to tell.
    lists: BTreeMap<u32, VecDeque<Entry>>,
    /// Connections in which something may move.
    moving: Vec<u32>,
    dooms: BTreeSet<(Duration, u32)>,
    /// Calls of ours that nobody has taken note of.
    pub calls: Vec<u32>,
    /// How many descriptors are open.
    pub open: usize,
    /// How often the system has refused a call.
    pub refusals: u64,
    /// How many waits there were.
    pub waits: u64,
    /// What our side has moved: bytes, connections, descriptors.
    pub moved: u64,
}

impl Kernel {
    pub(crate) fn new(seed: u64) -> Self {
        Kernel {
            base: Instant::now(),
            clock: Duration::ZERO,
            dice: Dice { state: seed, odds: Odds::default() },
            links: Vec::new(),
            ports: BTreeMap::new(),
            pollers: 0,
            lists: BTreeMap::new(),
            moving: Vec::new(),
            dooms: BTreeSet::new(),
            calls: Vec::new(),
            open: 0,
            refusals: 0,
            waits: 0,
            moved: 0,
        }
    }

    pub(crate) fn set_odds(&mut self, odds: Odds) {
        self.dice.odds = odds;
    }

    pub(super) fn now(&self) -> Instant {
        self.base + self.clock
    }

    #[expect(clippy::indexing_slicing, reason = "numbers are only given out for links that are there")]
    pub(crate) fn link(&mut self, number: u32) -> &mut Link {
        &mut self.links[number as usize]
    }

    /// Fails where the system has no memory this time.
    pub(super) fn stumble(&mut self, trouble: Trouble) -> io::Result<()> {
        if !self.dice.roll(self.dice.odds.no_memory) {
            return Ok(());
        }
        self.refusals += 1;
        let numbers = match trouble {
            Trouble::Register => [libc::ENOMEM, libc::ENOSPC],
            Trouble::Read | Trouble::Write => [libc::ENOMEM, libc::ENOBUFS],
        };
        Err(error(if self.dice.roll(512) { numbers[0] } else { numbers[1] }))
    }

    /// Does something to a link, and takes note of what changes by that.
    pub(crate) fn act<T>(&mut self, number: u32, act: impl FnOnce(&mut Link, &mut Dice) -> T) -> T {
        let clock = self.clock;
        let mut dice = Dice { state: self.dice.state, odds: self.dice.odds };
        let link = self.link(number);
        let before = link.read + link.written;
        let outcome = act(link, &mut dice);
        let moved = link.read + link.written - before;
        if moved > 0 {
            link.moved = clock;
        }
        self.moved += moved;
        self.dice.state = dice.state;
        self.follow(number);
        outcome
    }

    fn follow(&mut self, number: u32) {
        let clock = self.clock;
        let link = self.link(number);
        let moves = std::mem::take(&mut link.moves);
        let listed = match link.poller {
            Some((poller, _)) if link.news && !link.listed => Some(poller),
            _ => None,
        };
        link.listed |= listed.is_some();
        let doom = link.doom(clock);
        let old = link.doom;
        // A time that is running is not set back by what happens meanwhile.
        let kept = if doom.is_some() { old.or(doom) } else { None };
        link.doom = kept;
        if moves {
            self.moving.push(number);
        }
        if let Some(poller) = listed {
            self.lists.entry(poller).or_default().push_back(Entry::Link(number));
        }
        if old != kept {
            self.dooms.extend(kept.map(|doom| (doom, number)));
            if let Some(old) = old {
                self.dooms.remove(&(old, number));
            }
        }
    }

    /// Moves what can be moved between both ends.
    pub(crate) fn deliver(&mut self) {
        let clock = self.clock;
        while let Some(number) = self.moving.pop() {
            self.act(number, |link, _| link.deliver(clock));
        }
    }
}

// Our side's calls.
impl Kernel {
    pub(super) fn connect(&mut self, remote: SocketAddr) -> io::Result<u32> {
        if self.dice.roll(self.dice.odds.unreachable) {
            return Err(error(libc::ENETUNREACH));
        }
        let local = self.own_address();
        let number = self.add(Link::new(Stage::Calling, true, local, remote));
        self.calls.push(number);
        self.open += 1;
        self.follow(number);
        Ok(number)
    }

    /// The address of the next link's end, which no other has had for long.
    fn own_address(&self) -> SocketAddr {
        let number = self.links.len() as u32;
        (Ipv4Addr::new(10, 0, (number / 60_000) as u8, 1), 1024 + (number % 60_000) as u16).into()
    }

    fn add(&mut self, link: Link) -> u32 {
        self.links.push(link);
        self.links.len() as u32 - 1
    }

    pub(super) fn listen(&mut self, port: u16) {
        self.open += 1;
        self.ports.insert(port, Port::default());
    }

    /// Who waits there is reset.
    pub(super) fn close_port(&mut self, port: u16) {
        let Some(closed) = self.ports.remove(&port) else { return };
        self.open -= 1;
        for number in closed.waiting {
            self.act(number, |link, _| {
                link.resets = true;
                link.close();
            });
        }
    }

    pub(super) fn accept(&mut self, port: u16) -> io::Result<(u32, SocketAddr)> {
        let Some(listening) = self.ports.get_mut(&port) else { return Err(error(libc::EBADF)) };
        if listening.waiting.is_empty() {
            return Err(error(libc::EAGAIN));
        }
        let odds = self.dice.odds;
        if self.dice.roll(odds.no_descriptors) {
            self.refusals += 1;
            let number = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM][self.dice.below(4)];
            return Err(error(number));
        }
        let Some(number) = listening.waiting.pop_front() else { return Err(error(libc::EAGAIN)) };
        if self.dice.roll(odds.aborted) {
            self.act(number, |link, _| {
                link.resets = true;
                link.close();
            });
            return Err(error(libc::ECONNABORTED));
        }
        self.open += 1;
        self.moved += 1;
        Ok((number, self.link(number).remote))
    }

    pub(super) fn register(&mut self, poller: u32, entry: Entry, key: Key) -> io::Result<()> {
        self.stumble(Trouble::Register)?;
        match entry {
            Entry::Link(number) => self.act(number, |link, _| {
                link.poller = Some((poller, key));
                let (news, writable) = link.readiness();
                link.news = news != News::Nothing || writable;
            }),
            Entry::Port(port) => {
                if let Some(port) = self.ports.get_mut(&port) {
                    port.poller = Some((poller, key));
                }
                self.list_port(port);
            }
        }
        Ok(())
    }

    fn list_port(&mut self, number: u16) {
        let Some(port) = self.ports.get_mut(&number) else { return };
        let Some((poller, _)) = port.poller.filter(|_| !port.listed && !port.waiting.is_empty()) else { return };
        port.listed = true;
        self.lists.entry(poller).or_default().push_back(Entry::Port(number));
    }

    pub(super) fn deregister(&mut self, entry: Entry) {
        match entry {
            Entry::Link(number) => self.link(number).poller = None,
            Entry::Port(port) => {
                if let Some(port) = self.ports.get_mut(&port) {
                    port.poller = None;
                }
            }
        }
    }

    pub(super) fn set_keep_alive(&mut self, number: u32, period: Option<Duration>) {
        self.link(number).doom = None;
        self.act(number, |link, _| link.keep_alive = period);
    }

    pub(super) fn close(&mut self, number: u32) {
        self.open -= 1;
        self.moved += 1;
        self.act(number, |link, _| link.close());
    }
}

// Pollers, and time.
impl Kernel {
    pub(super) fn new_poller(&mut self) -> u32 {
        self.pollers += 1;
        self.pollers
    }

    pub(super) fn forget_poller(&mut self, poller: u32) {
        self.lists.remove(&poller);
    }

    /// As epoll_wait; what would wait jumps in time. Fails if it would wait for ever.
    pub(super) fn wait(&mut self, poller: u32, limit: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.waits += 1;
        let end = limit.map(|limit| self.clock + limit);
        self.tell_again(poller);
        loop {
            self.deliver();
            self.take_list(poller, ready);
            if !ready.is_empty() || limit == Some(Duration::ZERO) {
                return Ok(());
            }
            let doom = self.dooms.first().map(|(doom, _)| *doom);
            match (end, doom) {
                (None, None) => return Err(error(libc::EDEADLK)),
                (Some(end), doom) if doom.is_none_or(|doom| end <= doom) => {
                    self.clock = self.clock.max(end);
                    return Ok(());
                }
                (_, doom) => self.pass(doom.unwrap_or_default().saturating_sub(self.clock)),
            }
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock += time;
        while let Some((doom, number)) = self.dooms.first().copied().filter(|(doom, _)| *doom <= self.clock) {
            self.dooms.remove(&(doom, number));
            self.link(number).doom = None;
            self.act(number, |link, _| link.fail(libc::ETIMEDOUT));
        }
    }

    fn take_list(&mut self, poller: u32, ready: &mut Vec<Ready>) {
        for _ in 0..EVENTS {
            let Some(entry) = self.lists.get_mut(&poller).and_then(VecDeque::pop_front) else { return };
            ready.extend(self.take_news(entry));
        }
    }

    fn take_news(&mut self, entry: Entry) -> Option<Ready> {
        match entry {
            Entry::Link(number) => {
                let link = self.link(number);
                (link.news, link.listed) = (false, false);
                let (_, key) = link.poller?;
                let (news, writable) = link.readiness();
                (news != News::Nothing || writable).then_some(Ready { key, news, writable })
            }
            Entry::Port(port) => {
                let port = self.ports.get_mut(&port)?;
                port.listed = false;
                let (_, key) = port.poller.filter(|_| !port.waiting.is_empty())?;
                Some(Ready { key, news: News::Bytes, writable: false })
            }
        }
    }

    /// Tells now and then what it has told.
    fn tell_again(&mut self, poller: u32) {
        if self.links.is_empty() || !self.dice.roll(self.dice.odds.again) {
            return;
        }
        let number = self.dice.below(self.links.len()) as u32;
        if self.link(number).poller.is_some_and(|(its, _)| its == poller) {
            self.act(number, |link, _| link.news = true);
        }
    }

    /// Whether a poller has something to tell.
    pub(crate) fn has_news(&mut self) -> bool {
        self.deliver();
        self.lists.values().any(|list| !list.is_empty())
    }
}

// The peers' calls.
impl Kernel {
    /// Somebody calls at a port of ours.
    pub(crate) fn call(&mut self, port: u16) -> Option<u32> {
        self.ports.get(&port).filter(|listening| listening.waiting.len() < BACKLOG)?;
        let remote = self.own_address();
        let local = (Ipv4Addr::LOCALHOST, port).into();
        let number = self.add(Link::new(Stage::Established, false, local, remote));
        if let Some(listening) = self.ports.get_mut(&port) {
            listening.waiting.push_back(number);
        }
        self.list_port(port);
        Some(number)
    }

    /// How many wait at a port of ours.
    pub(crate) fn waiting(&self, port: u16) -> usize {
        self.ports.get(&port).map_or(0, |port| port.waiting.len())
    }
}
