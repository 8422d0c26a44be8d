// SPDX-License-Identifier: MIT OR Apache-2.0
//! What few connections have: clocks, and TLS. While there is neither it takes one word.

use super::Connection;
use super::timing::Timing;
use crate::core::tls::Session;
use crate::error::Result;
use crate::memory;

#[derive(Default)]
pub(super) struct Rare {
    pub timing: Option<Timing>,
    pub session: Option<Box<Session>>,
}

/// The clocks of a connection, with nothing else of it borrowed.
pub(super) fn timing_of(rare: &mut Option<Box<Rare>>) -> Option<&mut Timing> {
    rare.as_mut()?.timing.as_mut()
}

impl Connection {
    pub(super) fn make_rare(&mut self) -> Result<&mut Rare> {
        match &mut self.rare {
            Some(rare) => Ok(rare),
            none => Ok(none.insert(memory::boxed(Rare::default())?)),
        }
    }

    pub(super) fn timing(&self) -> Option<&Timing> {
        self.rare.as_ref()?.timing.as_ref()
    }

    pub(super) fn timing_mut(&mut self) -> Option<&mut Timing> {
        timing_of(&mut self.rare)
    }

    /// It needs no clock any more.
    pub(super) fn drop_timing(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.timing = None;
            if rare.session.is_none() {
                self.rare = None;
            }
        }
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.rare.as_ref()?.session.as_deref()
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        self.rare.as_mut()?.session.as_deref_mut()
    }
}
