// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event, and what each kind of event carries.

use std::ffi::{CStr, CString};
use std::fmt::{self, Write};

use super::cause::Cause;
use super::types::EventType;
use crate::core::host::UserData;
use crate::error::{Result, SOCKET_ERROR_TEXT};
use crate::handle::{Key, Kind, Object};
use crate::memory;

/// Whose references keep an object alive.
#[derive(Default)]
pub(crate) struct Life {
    /// References that the host holds and owes a release for.
    pub references: u32,
    /// Dispatches and polls under way, which the object outlives.
    pub pins: u16,
    pub keep: Keep,
}

/// Whether the library holds a socket, as long as it is connected or connecting.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    #[default]
    No,
    /// It does when the socket is connecting.
    FromConnect,
    Now,
}

impl Life {
    pub(crate) const OWNED: Life = Life { references: 1, pins: 0, keep: Keep::No };
    pub(crate) const PINNED: Life = Life { references: 0, pins: 1, keep: Keep::No };

    pub(crate) fn is_over(&self) -> bool {
        self.references == 0 && self.pins == 0 && self.keep != Keep::Now
    }
}

/// What the subclasses of AIR's Event add.
#[derive(Clone, Copy)]
pub(crate) enum Detail {
    /// Event
    Plain,
    /// Event, of a connection that is over, or of a server that was lost: the system's number, 0 after a good end.
    Close { os_error: i32, cause: Cause },
    /// ServerSocketConnectEvent
    Connect { socket: Key },
    /// ProgressEvent
    Progress { loaded: u64 },
    /// OutputProgressEvent
    Output { pending: u64, total: u64 },
    /// IOErrorEvent
    IoError { os_error: i32, cause: Cause },
}

pub(crate) struct Event {
    pub life: Life,
    pub kind: EventType,
    pub bubbles: bool,
    pub cancelable: bool,
    pub prevented: bool,
    /// stopImmediatePropagation was called. stopPropagation needs no flag: there is only one node.
    pub stopped: bool,
    /// `None` before the dispatch.
    pub target: Option<Key>,
    pub detail: Detail,
    /// Hardly any event has it.
    pub rare: Option<Box<Rare>>,
}

/// What few events have.
pub(crate) struct Rare {
    pub user: UserData,
    /// What it tells people, once somebody has asked.
    pub told: Option<CString>,
}

impl Rare {
    pub(crate) const NONE: Rare = Rare { user: UserData::NONE, told: None };
}

impl Object for Event {
    const KIND: Kind = Kind::Event;
}

impl Event {
    #[inline]
    pub(crate) fn new(kind: EventType, detail: Detail) -> Self {
        Event {
            life: Life::OWNED,
            kind,
            bubbles: false,
            cancelable: false,
            prevented: false,
            stopped: false,
            target: None,
            detail,
            rare: None,
        }
    }

    /// Becomes one of the library's own that is being dispatched.
    #[inline]
    pub(crate) fn begin(&mut self, target: Key, kind: EventType, detail: Detail) {
        self.life = Life::PINNED;
        self.kind = kind;
        (self.bubbles, self.cancelable, self.prevented, self.stopped) = (false, false, false, false);
        self.target = Some(target);
        self.detail = detail;
    }

    /// `clone()`: the same in all that the constructor sets, fresh in all that a dispatch leaves behind.
    pub(crate) fn duplicate(&self) -> Self {
        Event { bubbles: self.bubbles, cancelable: self.cancelable, ..Event::new(self.kind, self.detail) }
    }

    /// Why it came, if it tells of an end or an error.
    pub(crate) fn cause(&self) -> Option<(Cause, i32)> {
        match self.detail {
            Detail::Close { os_error, cause } | Detail::IoError { os_error, cause } => Some((cause, os_error)),
            _ => None,
        }
    }

    /// Room for what is rare.
    pub(crate) fn make_rare(&mut self) -> Result<&mut Rare> {
        match &mut self.rare {
            Some(rare) => Ok(rare),
            none => Ok(none.insert(memory::boxed(Rare::NONE)?)),
        }
    }

    pub(crate) fn text(&self) -> Option<&'static CStr> {
        matches!(self.detail, Detail::IoError { .. }).then_some(SOCKET_ERROR_TEXT)
    }

    /// `toString()`, to be put out by parts: the type's bytes need not be UTF-8.
    pub(crate) fn describe(&self, kind: &CStr, out: &mut dyn FnMut(&[u8])) {
        let class = match self.detail {
            Detail::Plain | Detail::Close { .. } => "Event",
            Detail::Connect { .. } => "ServerSocketConnectEvent",
            Detail::Progress { .. } => "ProgressEvent",
            Detail::Output { .. } => "OutputProgressEvent",
            Detail::IoError { .. } => "IOErrorEvent",
        };
        let mut text = Parts(out);
        // Writing to a closure cannot fail.
        let _ = write!(text, "[{class} type=\"");
        (text.0)(kind.to_bytes());
        let _ = write!(text, "\" bubbles={} cancelable={}", self.bubbles, self.cancelable);
        let _ = match self.detail {
            Detail::Plain | Detail::Close { .. } => write!(text, " eventPhase=2]"),
            Detail::Connect { .. } => write!(text, " socket=[object Socket]]"),
            Detail::Progress { loaded } => write!(text, " eventPhase=2 bytesLoaded={loaded} bytesTotal=0]"),
            Detail::Output { pending, total } => {
                write!(text, " eventPhase=2 bytesPending={pending} bytesTotal={total}]")
            }
            Detail::IoError { .. } => write!(text, " eventPhase=2 text={SOCKET_ERROR_TEXT:?}]"),
        };
    }
}

struct Parts<'a>(&'a mut dyn FnMut(&[u8]));

impl fmt::Write for Parts<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        (self.0)(text.as_bytes());
        Ok(())
    }
}
