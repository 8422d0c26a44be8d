// SPDX-License-Identifier: MIT OR Apache-2.0
//! An attempt to connect, as long as it is under way.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::address::Ends;
use crate::core::events::Cause;
use crate::error::Result;
use crate::handle::Key;
use crate::memory;
use crate::reactor::Lookup;
use crate::sys::net;
use crate::sys::paths;
use crate::sys::{self, Instant};

/// What a socket connects to.
pub(super) enum Target {
    Address(SocketAddr),
    Path(paths::Address),
}

/// An attempt to connect: the addresses still to be tried, and those being tried.
pub(super) struct Attempt {
    /// Whom it is to be connected to, as the host said: a name or an address, or the path of a Unix-domain socket.
    pub(super) host: String,
    /// A path has none.
    pub(super) port: Option<u16>,
    pub(super) started: Instant,
    /// The host is a name that is to be looked up. That begins with the next turn: many an attempt is given up at once.
    pub(super) to_look_up: bool,
    /// It is being looked up.
    pub(super) lookup: Option<Lookup>,
    pub(super) targets: VecDeque<Target>,
    pub(super) racing: Vec<Key>,
    /// When the next address is tried, even though the ones before have not failed.
    pub(super) next_start: Option<Instant>,
    /// What the system said to those that failed: the answer that says most.
    pub(super) error: i32,
    /// What failed is the look-up of the name.
    pub(super) unknown_name: bool,
    /// Nothing is left to be tried; the listeners are about to be told.
    pub(super) failed: bool,
    /// The connection is there, and its handshake is under way: with these ends, until then.
    pub(super) ends: Option<Ends>,
    pub(super) handshake_end: Option<Instant>,
    /// Why the handshake has failed.
    pub(super) fault: Option<String>,
}

impl Attempt {
    pub(super) fn is_resolving(&self) -> bool {
        self.to_look_up || self.lookup.is_some()
    }

    /// Copies what it needs of the host: that may be the library's own text, of the connection that ends before this begins.
    pub(super) fn new(host: &str, port: Option<u16>) -> Result<Box<Self>> {
        memory::boxed(Attempt {
            host: memory::text(host)?,
            port,
            started: net::now(),
            to_look_up: false,
            lookup: None,
            targets: VecDeque::new(),
            racing: Vec::new(),
            next_start: None,
            error: 0,
            unknown_name: false,
            failed: false,
            ends: None,
            handshake_end: None,
            fault: None,
        })
    }

    /// Prepares addresses for the race: the families take turns, beginning with the one that the system prefers
    /// (RFC 8305).
    pub(super) fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
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

    pub(super) fn fail_to_look_up(&mut self, number: i32) {
        (self.error, self.unknown_name) = (number, true);
    }

    /// Why it has failed, for people.
    pub(super) fn describe(&self) -> String {
        let Attempt { port, error, .. } = self;
        // The host may have given anything.
        let host = beginning(&self.host);
        if self.unknown_name {
            return format!("look up {host}: {}", sys::name_error(*error));
        }
        let peer = match port {
            None => host.to_owned(),
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
        };
        match &self.fault {
            Some(fault) => format!("secure the connection with {peer}: {fault}"),
            None => Cause::Connect.describe(Some(peer), *error),
        }
    }

    /// One address has failed. A host that refuses was reached, which says more than silence, and that more than a
    /// network which has no way there.
    pub(super) fn note_failure(&mut self, error: i32) {
        let says = |error: i32| match error {
            0 => 0,
            sys::REFUSED => 3,
            sys::TIMED_OUT => 2,
            _ => 1,
        };
        if says(error) >= says(self.error) {
            self.error = error;
        }
    }
}

/// As much of a host's name as a message has room for. No name that can be looked up is longer.
fn beginning(host: &str) -> &str {
    let end = (0..=host.len().min(255)).rev().find(|end| host.is_char_boundary(*end));
    &host[..end.unwrap_or(0)]
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
}
