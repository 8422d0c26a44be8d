//! Socket: AIR's object, as far as one end of one connection goes: its state and its unread input.

use std::collections::VecDeque;
use std::ffi::CString;
use std::net::SocketAddr;
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
use crate::options::Options;
use crate::reactor::Pool;

/// `Socket.timeout` as AIR sets it.
const DEFAULT_TIMEOUT: u32 = 20_000;

pub(crate) struct Socket {
    pub life: Life,
    pub user: UserData,
    pub dispatcher: Dispatcher,
    /// The loop it lives on.
    pub home: Key,
    pub options: Options,
    /// `Some` while it is connected.
    pub connection: Option<Key>,
    /// `Some` while it is being connected.
    pub attempt: Option<Box<Attempt>>,
    /// The attempt's next deadline.
    pub timer: Option<Instant>,
    /// Milliseconds that connecting may take; 0 = as long as the system tries.
    pub timeout: u32,
    pub endian: Endian,
    /// The host has paused reading.
    pub paused: bool,
    pub endpoints: Option<Box<Endpoints>>,
    pub input: Input,
    pub objects: ObjectInput,
    /// How often the host has closed it: nothing of what was before is reported after that.
    pub closes: u32,
    /// It is in the list of those whose outputProgress is due.
    pub progress_due: bool,
}

impl Socket {
    pub(crate) fn new(home: Key, options: Options) -> Self {
        Socket {
            life: Life::OWNED,
            user: UserData::NONE,
            dispatcher: Dispatcher::default(),
            home,
            options,
            connection: None,
            attempt: None,
            timer: None,
            timeout: DEFAULT_TIMEOUT,
            endian: Endian::default(),
            paused: false,
            endpoints: None,
            input: Input::default(),
            objects: ObjectInput::default(),
            closes: 0,
            progress_due: false,
        }
    }

    /// The connection, if there is one to write to.
    pub(crate) fn connection(&self) -> Result<Key> {
        self.connection.ok_or_else(not_connected)
    }

    /// Fails unless there is something to read or there may yet be.
    pub(crate) fn check_readable(&self) -> Result<()> {
        match self.connection.is_some() || self.input.available() > 0 {
            true => Ok(()),
            false => Err(not_connected()),
        }
    }
}

pub(crate) fn not_connected() -> Failure {
    Failure::invalid_socket().because("the socket is not connected; look at ss_socket_connected first")
}

pub(crate) fn too_few() -> Failure {
    Failure::end_of_file().because("fewer bytes have come than were asked for; nothing was read")
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

/// The two ends of a connection, known from the moment it was made: a peer that has reset it since cannot be
/// asked any more. The texts are made when somebody wants them.
pub(crate) struct Endpoints {
    pub local: Endpoint,
    pub remote: Endpoint,
}

#[derive(Default)]
pub(crate) struct Endpoint {
    pub address: OnceCell<SocketAddr>,
    text: OnceCell<CString>,
}

impl Endpoint {
    pub(crate) fn known(address: SocketAddr) -> Self {
        Endpoint { address: OnceCell::with_value(address), text: OnceCell::new() }
    }

    pub(crate) fn text(&self) -> Option<&CString> {
        let address = self.address.get()?;
        Some(self.text.get_or_init(|| address::text(address)))
    }

    pub(crate) fn port(&self) -> i32 {
        self.address.get().map_or(0, |address| address.port().into())
    }
}

/// Unread bytes. While the listener of their event runs they lie in the loop's receive buffer; what it leaves
/// unread moves here.
#[derive(Default)]
pub(crate) struct Input {
    kept: Vec<u8>,
    /// How much of `kept` has been read.
    head: usize,
    /// The part of the receive buffer that is lent to this socket and unread. Only while `kept` is empty.
    lent: std::ops::Range<usize>,
}

impl Input {
    pub(crate) fn available(&self) -> usize {
        self.lent.len() + self.kept.len() - self.head
    }

    /// Bytes have come into the receive buffer.
    pub(crate) fn arrive(&mut self, count: usize, received: &[u8], pool: &mut Pool) -> Result<()> {
        if self.kept.is_empty() {
            self.lent = 0..count;
            return Ok(());
        }
        self.keep(&received[..count], pool)
    }

    /// The receive buffer is wanted for others: what is unread in it is kept.
    pub(crate) fn settle(&mut self, received: &[u8], pool: &mut Pool) -> Result<()> {
        let lent = std::mem::take(&mut self.lent);
        match lent.is_empty() {
            true => Ok(()),
            false => self.keep(&received[lent], pool),
        }
    }

    fn keep(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<()> {
        if self.kept.capacity() == 0 {
            self.kept = pool.take();
        }
        // Moving the unread part to the front costs at most what was read since the last time: linear in all.
        if self.head > 0 && self.head >= self.kept.len() / 2 {
            self.kept.drain(..self.head);
            self.head = 0;
        }
        self.kept.try_reserve(bytes.len()).map_err(|_| Failure::no_memory())?;
        self.kept.extend_from_slice(bytes);
        Ok(())
    }

    /// The unread bytes in place.
    pub(crate) fn unread<'a>(&'a self, received: &'a [u8]) -> &'a [u8] {
        match self.lent.is_empty() {
            true => &self.kept[self.head..],
            false => &received[self.lent.clone()],
        }
    }

    /// Counts `count` bytes as read; not more than there are.
    pub(crate) fn consume(&mut self, count: usize, pool: &mut Pool) {
        if !self.lent.is_empty() {
            self.lent.start += count;
            return;
        }
        self.head += count;
        if self.head == self.kept.len() {
            self.clear(pool);
        }
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.kept));
        self.head = 0;
        self.lent = 0..0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_a_listener_leaves_unread_is_kept_and_grows_at_its_end() {
        let mut pool = Pool::default();
        let mut input = Input::default();
        input.arrive(6, b"abcdef", &mut pool).unwrap();
        assert_eq!(input.unread(b"abcdef"), b"abcdef");
        input.consume(2, &mut pool);
        input.settle(b"abcdef", &mut pool).unwrap();
        input.arrive(3, b"ghi---", &mut pool).unwrap();
        assert_eq!(input.unread(b"------"), b"cdefghi");
        assert_eq!(input.available(), 7);
        input.consume(7, &mut pool);
        assert!(input.available() == 0 && input.kept.capacity() == 0);
    }

    #[test]
    fn reading_slower_than_bytes_come_keeps_their_order() {
        let mut pool = Pool::default();
        let mut input = Input::default();
        let (mut written, mut read) = (0u8, 0u8);
        for round in 0..10_000 {
            let bytes = [written, written.wrapping_add(1), written.wrapping_add(2)];
            written = written.wrapping_add(3);
            input.arrive(3, &bytes, &mut pool).unwrap();
            input.settle(&bytes, &mut pool).unwrap();
            for _ in 0..if round % 2 == 0 { 2 } else { 3 } {
                assert_eq!(input.unread(&[])[0], read);
                input.consume(1, &mut pool);
                read = read.wrapping_add(1);
            }
        }
        assert_eq!(input.available(), 5_000);
    }
}
