// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timer: a task of the host's that runs when its time has come, once or again and again.
//!
//! Its deadline is in the loop's timers under its own key, and the turn runs its task.

use std::ffi::c_void;

use crate::core::connection::Transport;
use crate::core::events::Life;
use crate::core::host::{Call, Due, Function, UserData};
use crate::error::Result;
use crate::handle::{Key, Kind, Object};
use crate::reactor::Deadline;
use crate::sys::{Instant, net};

pub(crate) struct Timer {
    pub life: Life,
    pub user: UserData,
    task: Function,
    data: *mut c_void,
    /// What becomes of `data` in the end.
    destroy: Option<Function>,
    /// Milliseconds from one run to the next; 0: there is only one.
    repeat: u32,
    deadline: Deadline,
}

impl Object for Timer {
    const KIND: Kind = Kind::Timer;
}

/// A timer that is to be made.
pub(crate) struct NewTimer {
    pub task: Function,
    pub data: *mut c_void,
    pub destroy: Option<Function>,
    pub repeat: u32,
}

/// A timer, and what it lives on.
pub(crate) struct TimerRef<'a> {
    pub key: Key,
    pub timer: &'a mut Timer,
    pub transport: &'a mut Transport,
}

impl Timer {
    pub(crate) fn new(new: NewTimer) -> Self {
        let NewTimer { task, data, destroy, repeat } = new;
        Timer { life: Life::OWNED, user: UserData::NONE, task, data, destroy, repeat, deadline: Deadline::NONE }
    }

    /// Its task is still to be called.
    pub(crate) fn is_running(&self) -> bool {
        self.deadline.is_set()
    }

    /// Puts what a dead timer owes to the host on the list.
    pub(crate) fn settle_debts(&mut self, due: &mut Due) {
        due.add(self.destroy.take().map(|destroy| Call::new(destroy, self.data)));
        due.add(std::mem::replace(&mut self.user, UserData::NONE).into_destructor());
    }
}

impl TimerRef<'_> {
    /// Starts anew, whatever it was at.
    pub(crate) fn set(&mut self, delay: u32, repeat: u32) -> Result<()> {
        self.transport.reactor.timers.reserve()?;
        self.start_anew(delay, repeat);
        Ok(())
    }

    /// As `set`. `None`: that is to be done the usual way, since room has to be made.
    #[inline(always)]
    pub(crate) fn set_in_place(&mut self, delay: u32, repeat: u32) -> Option<()> {
        let has_room = self.transport.reactor.timers.has_room();
        has_room.then(|| self.start_anew(delay, repeat))
    }

    #[inline(always)]
    fn start_anew(&mut self, delay: u32, repeat: u32) {
        self.timer.repeat = repeat;
        self.start(delay);
    }

    /// There is room for its deadline.
    #[inline(always)]
    pub(crate) fn start(&mut self, delay: u32) {
        self.start_at(net::now(), delay);
    }

    /// Not in the turn that is under way, however coarse the clock is.
    #[inline(always)]
    fn start_at(&mut self, time: Instant, delay: u32) {
        let reactor = &mut self.transport.reactor;
        let due = time.max(reactor.now.next()).after_milliseconds(delay);
        self.transport.active += usize::from(!self.timer.is_running());
        reactor.timers.set_at(self.key, &mut self.timer.deadline, due);
    }

    #[inline]
    pub(crate) fn stop(&mut self) {
        if self.timer.is_running() {
            self.transport.reactor.timers.cancel(self.key, &mut self.timer.deadline);
            self.transport.active -= 1;
        }
    }

    /// Its time has come, and its deadline was taken out. One that repeats runs on from now: it does not make up for what the
    /// loop was too busy to call. Returns the task.
    pub(crate) fn expire(&mut self, now: Instant) -> Call {
        self.timer.deadline.clear();
        self.transport.active -= 1;
        if self.timer.repeat > 0 {
            self.start_at(now, self.timer.repeat);
        }
        Call::new(self.timer.task, self.timer.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Place;

    #[test]
    fn a_timer_takes_little_memory() {
        assert!(size_of::<Place<Timer>>() <= 64);
    }
}
