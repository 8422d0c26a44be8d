// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a poller says.

use crate::handle::Key;

/// How many readiness events one wait takes from the kernel.
pub(crate) const EVENTS: usize = 1024;

/// One readiness event.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub key: Key,
    pub news: News,
    pub writable: bool,
}

/// What there is to be read. What comes later says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum News {
    Nothing,
    Bytes,
    /// A read stops short at the urgent mark, though more bytes follow: read on until there are none.
    Urgent,
    /// The peer has ended its side: read on until that is met.
    TheEnd,
    /// The connection is broken, by a reset most likely: read on until that is met, whoever has paused reading.
    Broken,
}
