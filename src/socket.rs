//! Socket: AIR's object, as far as one end of one connection goes: its state and its unread input.
//!
//! One that is connected and idle is small: what is the same for many is in its [`Origin`], what few have in [`Rare`].

use std::collections::VecDeque;
use std::ffi::CString;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Instant;

use once_cell::unsync::OnceCell;

use crate::address;
use crate::amf::ObjectInput;
use crate::data::Endian;
use crate::dispatcher::Dispatcher;
use crate::error::{Failure, Result};
use crate::event::Life;
use crate::foreign::UserData;
use crate::handle::Key;
use crate::memory;
use crate::options::Options;
use crate::origin::Origin;
use crate::reactor::Pool;

/// `Socket.timeout` as AIR sets it.
const DEFAULT_TIMEOUT: u32 = 20_000;

pub(crate) struct Socket {
    pub life: Life,
    /// The peer, while it is connected over IPv4; others are in `rare`. Port 0: nobody.
    peer: SocketAddrV4,
    pub endian: Endian,
    /// Its connection has ended by itself, and the close event is still to come.
    pub close_due: bool,
    pub dispatcher: Dispatcher,
    pub origin: Rc<Origin>,
    /// `Some` while it is connected.
    pub connection: Option<Key>,
    rare: Option<Box<Rare>>,
}

/// What most sockets never need, or not while they are idle.
pub(crate) struct Rare {
    pub user: UserData,
    /// `Some` while it is being connected.
    pub attempt: Option<Box<Attempt>>,
    /// The attempt's next deadline.
    pub timer: Option<Instant>,
    /// Milliseconds that connecting may take; 0 = as long as the system tries.
    pub timeout: u32,
    endpoints: Option<Box<Endpoints>>,
    pub kept: Kept,
    /// How many bytes were read since this is here: where in the stream the unread ones begin.
    pub consumed: u64,
    pub objects: ObjectInput,
}

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

impl Default for Rare {
    fn default() -> Self {
        Rare {
            user: UserData::NONE,
            attempt: None,
            timer: None,
            timeout: DEFAULT_TIMEOUT,
            endpoints: None,
            kept: Kept::default(),
            consumed: 0,
            objects: ObjectInput::default(),
        }
    }
}

impl Socket {
    pub(crate) fn new(origin: Rc<Origin>, life: Life) -> Self {
        Socket {
            life,
            peer: NOBODY,
            endian: Endian::default(),
            close_due: false,
            dispatcher: Dispatcher::EMPTY,
            origin,
            connection: None,
            rare: None,
        }
    }

    /// The loop it lives on.
    #[inline]
    pub(crate) fn home(&self) -> Key {
        self.origin.home
    }

    #[inline]
    pub(crate) fn options(&self) -> &Options {
        &self.origin.options
    }

    pub(crate) fn set_options(&mut self, options: Options) {
        Rc::make_mut(&mut self.origin).options = options;
    }

    /// The connection, if there is one to write to.
    pub(crate) fn connection(&self) -> Result<Key> {
        self.connection.ok_or_else(Failure::not_connected)
    }

    #[inline]
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    #[inline]
    pub(crate) fn rare_mut(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    /// Room for what is rare.
    pub(crate) fn make_rare(&mut self) -> Result<&mut Rare> {
        match &mut self.rare {
            Some(rare) => Ok(rare),
            none => Ok(none.insert(memory::boxed(Rare::default())?)),
        }
    }

    pub(crate) fn attempt(&self) -> Option<&Attempt> {
        self.rare()?.attempt.as_deref()
    }

    pub(crate) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.rare_mut()?.attempt.as_deref_mut()
    }

    pub(crate) fn timeout(&self) -> u32 {
        self.rare().map_or(DEFAULT_TIMEOUT, |rare| rare.timeout)
    }

    /// What listeners have left unread.
    #[inline]
    pub(crate) fn kept(&self) -> &[u8] {
        self.rare().map_or(&[], |rare| rare.kept.unread())
    }

    pub(crate) fn take_user(&mut self) -> UserData {
        self.rare_mut().map_or(UserData::NONE, |rare| std::mem::replace(&mut rare.user, UserData::NONE))
    }

    pub(crate) fn clear_kept(&mut self, pool: &mut Pool) {
        if let Some(rare) = &mut self.rare {
            rare.kept.clear(pool);
        }
    }

    /// It is connected, and this is its peer: it is known from this moment on, since a peer that has reset the
    /// connection cannot be asked any more.
    pub(crate) fn set_peer(&mut self, peer: SocketAddr) -> Result<()> {
        match peer {
            SocketAddr::V4(peer) => self.peer = peer,
            SocketAddr::V6(_) => {
                self.make_rare()?.endpoints = Some(memory::boxed(Endpoints::with_remote(peer))?);
            }
        }
        Ok(())
    }

    pub(crate) fn forget_endpoints(&mut self) {
        self.peer = NOBODY;
        if let Some(rare) = &mut self.rare {
            rare.endpoints = None;
        }
    }

    /// The two ends of its connection; `None` without one.
    pub(crate) fn endpoints(&mut self) -> Result<Option<&mut Endpoints>> {
        if self.connection.is_none() {
            return Ok(None);
        }
        let peer = self.peer.into();
        let endpoints = &mut self.make_rare()?.endpoints;
        if endpoints.is_none() {
            *endpoints = Some(memory::boxed(Endpoints::with_remote(peer))?);
        }
        Ok(endpoints.as_deref_mut())
    }
}

/// An attempt to connect: the addresses still to be tried, and those being tried.
pub(crate) struct Attempt {
    /// Tells the answer to this attempt's look-up from one that comes too late.
    pub number: u64,
    pub started: Instant,
    /// A name is being looked up.
    pub resolving: bool,
    pub addresses: VecDeque<SocketAddr>,
    pub racing: Vec<Key>,
    /// When the next address is tried, even though the ones before have not failed.
    pub next_start: Option<Instant>,
    /// What the system said to the last one that failed.
    pub error: i32,
    /// Nothing is left to be tried; the listeners are about to be told.
    pub failed: bool,
}

impl Attempt {
    /// Prepares addresses for the race: the families take turns, beginning with the one that the system prefers
    /// (RFC 8305).
    pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
        let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
            addresses.into_iter().partition(|address| address.is_ipv6() == preferred);
        let mut order = VecDeque::new();
        while let Some(address) = first.pop_front() {
            order.push_back(address);
            std::mem::swap(&mut first, &mut second);
            if first.is_empty() {
                std::mem::swap(&mut first, &mut second);
            }
        }
        order
    }
}

/// The two ends of a connection. The texts are made when somebody wants them.
pub(crate) struct Endpoints {
    pub local: Option<Endpoint>,
    pub remote: Endpoint,
}

pub(crate) struct Endpoint {
    pub address: SocketAddr,
    text: OnceCell<CString>,
}

impl Endpoints {
    fn with_remote(remote: SocketAddr) -> Self {
        Endpoints { local: None, remote: Endpoint::new(remote) }
    }
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Endpoint { address, text: OnceCell::new() }
    }

    pub(crate) fn text(&self) -> &CString {
        self.text.get_or_init(|| address::text(&self.address))
    }
}

/// Bytes that listeners have left unread. While the listeners of their event run they lie in the loop's receive
/// buffer, lent to the socket; what is left then moves here, and later ones are put behind.
#[derive(Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    /// How many of them have been read.
    head: usize,
}

impl Kept {
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<()> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        // Moving the unread part to the front costs at most what was read since the last time: linear in all.
        if self.head > 0 && self.head >= self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        self.bytes.try_reserve(bytes.len()).map_err(|_| Failure::no_memory())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Counts `count` bytes as read; not more than there are.
    pub(crate) fn consume(&mut self, count: usize, pool: &mut Pool) {
        self.head += count;
        if self.head == self.bytes.len() {
            self.clear(pool);
        }
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.bytes));
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Place;

    #[test]
    fn the_families_take_turns_beginning_with_the_preferred_one() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (address("[::1]:1"), address("[::2]:1"), address("[::3]:1"));
        let (x, y) = (address("1.1.1.1:1"), address("2.2.2.2:1"));
        assert_eq!(Attempt::interleave(vec![a, b, x, y, c]), [a, x, b, y, c]);
        assert_eq!(Attempt::interleave(vec![x, y]), [x, y]);
        assert!(Attempt::interleave(vec![]).is_empty());
    }

    #[test]
    fn an_idle_socket_takes_little_memory() {
        assert!(size_of::<Place<Socket>>() <= 56);
    }

    #[test]
    fn what_is_kept_grows_at_its_end() {
        let mut pool = Pool::default();
        let mut kept = Kept::default();
        kept.append(b"abcdef", &mut pool).unwrap();
        kept.consume(2, &mut pool);
        kept.append(b"ghi", &mut pool).unwrap();
        assert_eq!(kept.unread(), b"cdefghi");
        kept.consume(7, &mut pool);
        assert!(kept.is_empty() && kept.bytes.capacity() == 0);
    }

    #[test]
    fn reading_slower_than_bytes_come_keeps_their_order() {
        let mut pool = Pool::default();
        let mut kept = Kept::default();
        let (mut written, mut read) = (0u8, 0u8);
        for round in 0..10_000 {
            let bytes = [written, written.wrapping_add(1), written.wrapping_add(2)];
            written = written.wrapping_add(3);
            kept.append(&bytes, &mut pool).unwrap();
            for _ in 0..if round % 2 == 0 { 2 } else { 3 } {
                assert_eq!(kept.unread()[0], read);
                kept.consume(1, &mut pool);
                read = read.wrapping_add(1);
            }
        }
        assert_eq!(kept.unread().len(), 5_000);
    }
}
