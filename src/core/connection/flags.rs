// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a connection in a byte or a word.

use std::io;
use std::num::NonZeroI32;

/// What else is known about a connection, in one byte.
#[derive(Clone, Copy)]
pub(crate) struct Marks(pub(super) u8);

impl Marks {
    /// The system had no memory for it, and will not tell when it has: it is to be tried again.
    pub(crate) const STARVED: Marks = Marks(1);
    /// The host has paused reading.
    pub(crate) const PAUSED: Marks = Marks(2);
    /// Its socket's listeners want to hear of outputProgress.
    pub(crate) const WANTS_PROGRESS: Marks = Marks(4);
    /// Its socket is in the list of those whose outputProgress is due.
    pub(crate) const PROGRESS_DUE: Marks = Marks(8);
    /// The log has a warning that its unread input is full.
    pub(crate) const WARNED: Marks = Marks(16);
    /// It is given up, with the error that is noted: nothing more is read.
    pub(crate) const GIVEN_UP: Marks = Marks(32);
    /// The poller had no room for it, and does not know it yet.
    pub(super) const UNWATCHED: Marks = Marks(64);
}

/// Whether it is in the loop's list of the ready, and whether it is served apart from most: one byte, since both keep it from
/// being served at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Line(pub(super) u8);

impl Line {
    pub(super) const OUT: Line = Line(0);
    pub(super) const QUEUED: u8 = 1;
    /// It is secure.
    pub(super) const APART: u8 = 2;
}

/// A system's error number. Zero, which is none, stands for an error that has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorNumber(NonZeroI32);

impl ErrorNumber {
    const UNKNOWN: NonZeroI32 = NonZeroI32::MIN;

    pub(crate) fn new(number: i32) -> Self {
        ErrorNumber(NonZeroI32::new(number).unwrap_or(Self::UNKNOWN))
    }

    pub(crate) fn get(self) -> i32 {
        if self.0 == Self::UNKNOWN { 0 } else { self.0.get() }
    }
}

impl From<&io::Error> for ErrorNumber {
    fn from(error: &io::Error) -> Self {
        ErrorNumber::new(error.raw_os_error().unwrap_or(0))
    }
}

/// Whether what is written is still sent: one word, since every write looks at it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Sending(i32);

impl Sending {
    pub(super) const GOES_ON: Sending = Sending(0);
    /// The host has ended our side: what was written before is sent, and nothing more can be written.
    pub(super) const SHUT_DOWN: Sending = Sending(i32::MIN + 1);
    /// What is written is sealed first.
    pub(super) const SEALED: Sending = Sending(i32::MIN + 2);

    /// It has failed with this error; what was unsent is lost.
    pub(super) fn failed(error: ErrorNumber) -> Self {
        Sending(error.0.get())
    }

    #[inline]
    pub(super) fn goes_on(self) -> bool {
        self == Sending::GOES_ON
    }

    /// More can be written, plain or sealed.
    pub(super) fn takes_more(self) -> bool {
        self == Sending::GOES_ON || self == Sending::SEALED
    }

    pub(super) fn error(self) -> Option<ErrorNumber> {
        NonZeroI32::new(self.0).filter(|_| self != Sending::SHUT_DOWN && self != Sending::SEALED).map(ErrorNumber)
    }
}
