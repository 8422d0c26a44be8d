// SPDX-License-Identifier: MIT OR Apache-2.0
//! The made-up network, for the test that plays its peers. With the feature `simulate` only; C sees nothing of it.
//!
//! Everything here is the calling thread's own.

use std::net::SocketAddr;
use std::time::Duration;

pub use crate::sys::simulated::kernel::Odds;
use crate::sys::simulated::kernel::{Kernel, with};
pub use crate::sys::simulated::link::Ending;
use crate::sys::simulated::link::Stage;

/// Makes a new network, in which nothing is there yet. What `seed` decides is when the system does what `Odds` allow.
pub fn begin(seed: u64) {
    with(|kernel| *kernel = Kernel::new(seed));
}

/// How often the system does what it seldom does, from now on.
pub fn set_odds(odds: Odds) {
    with(|kernel| kernel.set_odds(odds));
}

/// How much time has passed.
pub fn clock() -> Duration {
    with(|kernel| kernel.clock)
}

/// Lets time pass.
pub fn pass(time: Duration) {
    with(|kernel| kernel.pass(time));
}

/// Somebody connects to a port of the library's. `None`: nobody listens there, or too many wait.
pub fn connect(port: u16) -> Option<Peer> {
    with(|kernel| kernel.call(port)).map(Peer)
}

/// How many peers wait at a port to be accepted.
pub fn waiting(port: u16) -> usize {
    with(|kernel| kernel.waiting(port))
}

/// Those whom the library has called since this was last asked.
pub fn called() -> Vec<Peer> {
    with(|kernel| std::mem::take(&mut kernel.calls)).into_iter().map(Peer).collect()
}

/// Whether a poller has something to tell.
pub fn has_news() -> bool {
    with(Kernel::has_news)
}

/// What the system counts.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Descriptors that are open.
    pub open: usize,
    /// Calls that the system has refused.
    pub refusals: u64,
    /// How often a poller has waited.
    pub waits: u64,
    /// What was moved by the library's doing: bytes, connections, descriptors.
    pub moved: u64,
}

/// What the system has counted.
pub fn counts() -> Counts {
    with(|kernel| Counts { open: kernel.open, refusals: kernel.refusals, waits: kernel.waits, moved: kernel.moved })
}

/// The other end of a connection of the library's, with what the network knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(u32);

/// What the network knows of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The library's end is open.
    pub open: bool,
    /// The library has called, and was not called.
    pub outgoing: bool,
    /// How many bytes the library has read, and how many it has handed over.
    pub read: u64,
    /// How many it has handed over.
    pub written: u64,
    /// How many lie at the library's end, unread.
    pub inbound: usize,
    /// How many of the peer's are on their way.
    pub under_way: usize,
    /// How many of the library's are on their way.
    pub outbound: usize,
    /// How many more the library's end would take.
    pub room: usize,
    /// How many lie at the peer's end, unread.
    pub at_peer: usize,
    /// The peer's end has arrived at the library's.
    pub fin_here: bool,
    /// Nothing comes or goes any more, after a reset say.
    pub dead: bool,
    /// When bytes last went either way.
    pub last_traffic: Duration,
    /// The library is registered with a poller.
    pub registered: bool,
}

impl Peer {
    /// The peer's address, as the library sees it.
    pub fn address(self) -> SocketAddr {
        with(|kernel| kernel.link(self.0).remote)
    }

    /// Answers the library's call.
    pub fn answer(self) {
        with(|kernel| kernel.act(self.0, |link, _| link.answer()));
    }

    /// Writes, as much as it likes to. Returns how many bytes are on their way.
    pub fn write(self, bytes: &[u8]) -> usize {
        with(|kernel| kernel.act(self.0, |link, _| link.peer_writes(bytes, false)))
    }

    /// Writes, the last byte as urgent data.
    pub fn write_urgently(self, bytes: &[u8]) -> usize {
        with(|kernel| kernel.act(self.0, |link, _| link.peer_writes(bytes, true)))
    }

    /// Reads at most so many bytes of what has come.
    pub fn read(self, most: usize) -> Vec<u8> {
        with(|kernel| {
            kernel.deliver();
            kernel.act(self.0, |link, _| link.peer_reads(most))
        })
    }

    /// Ends its side.
    pub fn shut_down(self) {
        with(|kernel| kernel.act(self.0, |link, _| link.peer_ends()));
    }

    /// Closes its descriptor.
    pub fn close(self) {
        with(|kernel| {
            kernel.deliver();
            kernel.act(self.0, |link, _| link.peer_closes());
        });
    }

    /// Resets the connection, or refuses it.
    pub fn reset(self) {
        with(|kernel| kernel.act(self.0, |link, _| link.peer_resets()));
    }

    /// Whether nothing comes through, either way.
    pub fn set_silent(self, silent: bool) {
        with(|kernel| kernel.act(self.0, |link, _| link.set_silent(silent)));
    }

    /// How many bytes its system takes that it has not read.
    pub fn set_window(self, window: usize) {
        with(|kernel| kernel.act(self.0, |link, _| (link.window, link.moves) = (window, true)));
    }

    /// How many bytes each queue of the library's end holds.
    pub fn set_buffers(self, inbound: usize, outbound: usize) {
        with(|kernel| {
            kernel.act(self.0, |link, _| {
                (link.inbound_room, link.outbound_room, link.moves) = (inbound, outbound, true);
            });
        });
    }

    /// How the connection ended, when all that came before was read.
    pub fn ending(self) -> Option<Ending> {
        with(|kernel| {
            kernel.deliver();
            kernel.link(self.0).peer_sees()
        })
    }

    /// What the network knows of it.
    pub fn facts(self) -> Facts {
        with(|kernel| {
            kernel.deliver();
            let link = kernel.link(self.0);
            Facts {
                open: link.ours,
                outgoing: link.outgoing,
                read: link.read,
                written: link.written,
                inbound: link.inbound.len(),
                under_way: link.under_way(),
                outbound: link.outbound.len(),
                room: link.outbound_room.saturating_sub(link.outbound.len()),
                at_peer: link.unread_by_peer(),
                fin_here: link.fin_here,
                dead: link.stage == Stage::Dead,
                last_traffic: link.heard.max(link.moved),
                registered: link.poller.is_some(),
            }
        })
    }
}
