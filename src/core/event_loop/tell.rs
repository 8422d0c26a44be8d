// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the turn tells the listeners of something.

use std::ffi::CString;

use super::Loop;
use super::state::{After, Announcement, Step, Turn};
use crate::core::events::listeners::Listeners;
use crate::core::events::{Detail, Event, EventType, Events};
use crate::core::host::{Due, NextCall};
use crate::handle::{Key, Kind};
use crate::log::Level;

impl Turn {
    /// Begins to tell the listeners of a target. Returns whether anybody hears it.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "an event, who hears it, what follows, and where all of that goes")]
    pub(super) fn tell(
        &mut self,
        target: Key,
        listeners: &Listeners,
        kind: EventType,
        detail: Detail,
        after: After,
        events: &mut Events,
        due: &mut Due,
        call: &mut NextCall,
    ) -> bool {
        let heard = self.dispatch.announce(target, listeners, kind, detail, events, due, call);
        if heard {
            self.after = after;
            self.events += 1;
        }
        heard
    }
}

impl Turn {
    /// What the event that is being told has to say to people.
    fn say(&self, told: CString, events: &mut Events) {
        let event = self.dispatch.event().and_then(|event| events.find_mut(event).ok());
        // Without memory for it the event says less.
        if let Some(Ok(rare)) = event.map(Event::make_rare) {
            rare.told = Some(told);
        }
    }
}

impl Loop {
    /// Begins to tell of what is to be told next.
    pub(super) fn tell_next(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Some(Announcement { target, kind, detail, told }) = self.turn.announcements.pop_front() else {
            return Step::Again;
        };
        if kind == EventType::CLOSE && !self.takes_close(target) {
            return Step::Again;
        }
        let listeners = match target.kind() {
            Some(Kind::Server) => self.servers.get(target).map(|server| &server.listeners),
            _ => self.sockets.get(target).map(|socket| &socket.listeners),
        };
        let Some(listeners) = listeners else { return Step::Again };
        if self.turn.tell(target, listeners, kind, detail, After::Nothing, events, due, call) {
            if let Some(told) = told {
                self.turn.say(told, events);
            }
            return Step::Call;
        }
        if kind == EventType::IO_ERROR {
            self.log_unheard(target, detail, due);
        }
        self.let_go(target, events, due);
        Step::Again
    }

    /// AIR's words for an error that nobody listens for, and what has happened.
    fn log_unheard(&mut self, target: Key, detail: Detail, due: &mut Due) {
        let (Some(socket), Detail::IoError { os_error, cause }) = (self.sockets.get(target), detail) else { return };
        due.log(Level::Warning, || {
            let detail = socket.explain(cause, os_error, true);
            format!("Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error. {detail}")
        });
    }

    /// Not if a listener has closed the socket meanwhile, or connected it anew. A server's close event is always due.
    fn takes_close(&mut self, target: Key) -> bool {
        match self.sockets.get_mut(target) {
            Some(socket) => std::mem::take(&mut socket.close_due),
            None => target.kind() == Some(Kind::Server),
        }
    }
}
