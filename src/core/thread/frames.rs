// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver's work on a thread: what is under way, one inside the other, and how each begins, goes on and ends.

use std::time::Duration;

use super::{Thread, WAITING, no_target};
use crate::core::event_loop::Loop;
use crate::core::event_loop::turn::Waiting;
use crate::core::events::dispatch::Dispatch;
use crate::core::host::{HostCall, NextCall};
use crate::error::{Failure, Result};
use crate::handle::Key;

/// A piece of the driver's work, in which it calls the host.
pub(super) struct Frame {
    serial: u64,
    /// Where on the stack.
    place: usize,
    work: Work,
}

pub(super) enum Work {
    /// A turn of a loop.
    Turn(Key),
    /// The turns of a loop until it is stopped.
    Run(Key),
    /// An event of the host's, on an object of a loop.
    Dispatch { event_loop: Key, dispatch: Dispatch },
    /// What is due.
    Due { runs: bool },
}

/// Stands for one piece of the driver's work.
#[derive(Clone, Copy)]
pub(crate) struct FrameNumber {
    index: usize,
    serial: u64,
}

/// Calls from the same place of the host's lie no further apart than this on the stack; one inside another does, since the
/// driver's frame is between them.
pub(crate) const BESIDE: usize = 128;

impl Thread {
    /// A turn is about to begin: what is to be waited for. `place` is where the driver's frame is on the stack. Until
    /// [`end_wait`](super::end_wait) no other step is taken on this thread.
    pub(crate) fn begin_wait(&mut self, key: Key, limit: Option<Duration>, place: usize) -> Result<Waiting> {
        self.make_idle(key, place)?;
        // For the turn that follows.
        self.make_room_for_frame()?;
        let Some(event_loop) = self.loops.get_mut(self.recent) else { return Err(Failure::stale_handle()) };
        let waiting = event_loop.begin_wait(limit, &self.due)?;
        self.epoch_before = std::mem::replace(&mut self.epoch, WAITING);
        Ok(waiting)
    }

    /// Begins the turn.
    pub(crate) fn begin_turn(&mut self, key: Key, called: bool, place: usize) -> Result<FrameNumber> {
        self.event_loop(key)?.begin_turn(called);
        Ok(self.push(place, Work::Turn(key)))
    }

    pub(crate) fn begin_run(&mut self, key: Key, place: usize) -> Result<FrameNumber> {
        self.make_room_for_frame()?;
        let event_loop = self.make_idle(key, place)?;
        event_loop.check_idle()?;
        event_loop.life.pins += 1;
        Ok(self.push(place, Work::Run(key)))
    }

    /// A loop that seems to be polled already may only have been left by a jump of the host's.
    fn make_idle(&mut self, key: Key, place: usize) -> Result<&mut Loop> {
        self.end_lost_frames(place);
        self.event_loop(key)
    }

    /// Begins to dispatch an event of the host's. `Err` inside: nobody hears it, and this is what the dispatch returns.
    pub(crate) fn begin_dispatch(
        &mut self,
        target: Key,
        event: Option<Key>,
        place: usize,
        call: &mut NextCall,
    ) -> Result<std::result::Result<FrameNumber, bool>> {
        let found = self.place(|event_loop| event_loop.owns(target));
        let found = found.ok_or_else(|| no_target(target))?;
        self.make_room_for_frame()?;
        let event_loop = &mut self.loops[found];
        let listeners = event_loop.listeners(target)?;
        match Dispatch::of_event(target, listeners, event, &mut self.events, &mut self.due, call)? {
            Err(unheard) => Ok(Err(unheard)),
            Ok(dispatch) => {
                event_loop.life(target)?.pins += 1;
                event_loop.life.pins += 1;
                event_loop.dispatches += 1;
                let event_loop = event_loop.key;
                Ok(Ok(self.push(place, Work::Dispatch { event_loop, dispatch })))
            }
        }
    }

    /// The driver is about to do what is due.
    pub(crate) fn begin_due(&mut self, place: usize) -> Result<FrameNumber> {
        self.make_room_for_frame()?;
        Ok(self.push(place, Work::Due { runs: false }))
    }

    #[inline]
    fn make_room_for_frame(&mut self) -> Result<()> {
        if self.frames.len() < self.frames.capacity() {
            return Ok(());
        }
        self.grow_frames()
    }

    #[cold]
    fn grow_frames(&mut self) -> Result<()> {
        self.frames.try_reserve(1).map_err(|_| Failure::no_memory())
    }

    fn push(&mut self, place: usize, work: Work) -> FrameNumber {
        self.serial += 1;
        self.frames.push(Frame { serial: self.serial, place, work });
        self.look_at_last_frame();
        FrameNumber { index: self.frames.len() - 1, serial: self.serial }
    }

    /// The frames have changed, or the loops.
    pub(super) fn look_at_last_frame(&mut self) {
        self.turn = (0, 0);
        if let Some(Frame { serial, work: Work::Turn(key), .. }) = self.frames.last() {
            let place = self.loops.iter().position(|event_loop| event_loop.key == *key);
            self.turn = place.map_or((0, 0), |place| (*serial, place));
        }
    }

    /// The place of the loop whose turn has called the host, if one has.
    pub(super) fn loop_of_turn(&self) -> Option<usize> {
        let turn = self.frames.iter().rev().find_map(|frame| match frame.work {
            Work::Turn(key) => Some(key),
            _ => None,
        })?;
        self.loops.iter().position(|event_loop| event_loop.key == turn)
    }

    #[inline]
    fn work(&mut self, frame: FrameNumber) -> Option<&mut Work> {
        let found = self.frames.get_mut(frame.index)?;
        (found.serial == frame.serial).then_some(&mut found.work)
    }

    /// Says what the driver is to call next. Returns false when the work of this frame is done.
    #[inline(always)]
    pub(crate) fn next(&mut self, frame: FrameNumber, call: &mut NextCall) -> bool {
        if self.turn.0 == frame.serial {
            if let Some(event_loop) = self.loops.get_mut(self.turn.1) {
                self.recent = self.turn.1;
                return event_loop.next(&mut self.events, &mut self.due, call);
            }
        }
        self.next_of_other(frame, call)
    }

    #[inline(never)]
    fn next_of_other(&mut self, frame: FrameNumber, call: &mut NextCall) -> bool {
        let next = match self.work(frame) {
            Some(Work::Dispatch { .. }) => return self.next_in_dispatch(frame, call).unwrap_or(false),
            Some(Work::Due { .. }) => self.next_due(frame),
            Some(Work::Run(_) | Work::Turn(_)) | None => None,
        };
        let some = next.is_some();
        if let Some(next) = next {
            call.set(next);
        }
        some
    }

    fn next_in_dispatch(&mut self, frame: FrameNumber, call: &mut NextCall) -> Option<bool> {
        let Work::Dispatch { event_loop: key, dispatch } = &mut self.frames.get_mut(frame.index)?.work else {
            return None;
        };
        let event_loop = self.loops.iter_mut().find(|event_loop| event_loop.key == *key)?;
        event_loop.transport.flush_dirty();
        let listeners = event_loop.listeners(dispatch.target()?).ok();
        Some(dispatch.next(listeners, &self.events, call))
    }

    fn next_due(&mut self, frame: FrameNumber) -> Option<HostCall> {
        let Work::Due { runs } = &mut self.frames.get_mut(frame.index)?.work else { return None };
        if std::mem::take(runs) {
            self.due.running = false;
        }
        let call = self.due.next()?;
        if matches!(call, HostCall::Function(_)) {
            (*runs, self.due.running) = (true, true);
        }
        Some(call)
    }

    /// The work of a frame is done or cut short, and with it that of all inside it. Returns how many events listeners got,
    /// of a turn; of a dispatch, 1 if its event's default was left alone.
    pub(crate) fn end_frame(&mut self, frame: FrameNumber) -> u32 {
        match self.work(frame) {
            Some(_) => self.end_from(frame.index),
            None => 0,
        }
    }

    fn end_from(&mut self, index: usize) -> u32 {
        let mut result = 0;
        while self.frames.len() > index {
            let Some(Frame { work, .. }) = self.frames.pop() else { break };
            result = self.end_work(work);
        }
        self.look_at_last_frame();
        result
    }

    fn end_work(&mut self, work: Work) -> u32 {
        match work {
            Work::Turn(key) => {
                let Some(found) = self.place(|event_loop| event_loop.key == key) else { return 0 };
                let event_loop = &mut self.loops[found];
                let count = event_loop.end_turn(&mut self.events, &mut self.due);
                if event_loop.life.is_over() {
                    self.end_loop(key);
                }
                count
            }
            Work::Run(key) => {
                self.unpin_loop(key);
                0
            }
            Work::Dispatch { event_loop: key, mut dispatch } => {
                let target = dispatch.target();
                let not_prevented = dispatch.end(&mut self.events, &mut self.due);
                if let (Some(target), Ok(event_loop)) = (target, self.event_loop(key)) {
                    event_loop.dispatches = event_loop.dispatches.saturating_sub(1);
                    let found = self.recent;
                    self.loops[found].unpin(target, &mut self.events, &mut self.due);
                }
                self.unpin_loop(key);
                u32::from(not_prevented)
            }
            Work::Due { runs } => {
                if runs {
                    self.due.running = false;
                }
                0
            }
        }
    }

    /// A jump of the host's may have skipped frames of the driver, which never return. Those that lie below `place` on the
    /// stack, or beside it, are lost: their work is taken as ended. Stacks grow downwards on all systems that the library is
    /// for.
    pub(super) fn end_lost_frames(&mut self, place: usize) {
        if let Some(first) = self.frames.iter().position(|frame| frame.place <= place + BESIDE) {
            self.end_from(first);
        }
    }

    pub(crate) fn has_future(&mut self, key: Key) -> bool {
        self.event_loop(key).is_ok_and(Loop::has_future)
    }

    /// Something is due that may be done now.
    #[inline]
    pub(crate) fn is_something_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A panic in the middle of a step: see `event_loop::recovery`. `frame`: the step was one of that frame's work.
    pub(crate) fn recover(&mut self, frame: Option<FrameNumber>) {
        if let Some(Work::Turn(key)) = frame.and_then(|frame| self.work(frame)) {
            let key = *key;
            if let Ok(event_loop) = self.event_loop(key) {
                event_loop.break_served();
            }
        }
        let dispatches: Vec<(Key, Key)> = self
            .frames
            .iter()
            .filter_map(|frame| match &frame.work {
                Work::Dispatch { dispatch, .. } => Some((dispatch.event()?, dispatch.target()?)),
                _ => None,
            })
            .collect();
        let told: Vec<Key> = self.loops.iter().filter_map(|event_loop| event_loop.event()).collect();
        let count = |event: Key| {
            let by_host = dispatches.iter().filter(|(other, _)| *other == event).count();
            (by_host + told.iter().filter(|other| **other == event).count()) as u16
        };
        self.events.set_pins(count);
        self.events.sweep(&mut self.due);
        let timers = self.loops.iter().filter(|event_loop| event_loop.runs_timer()).count();
        self.due.depth = (dispatches.len() + told.len() + timers) as u32;
        let targets: Vec<Key> = dispatches.iter().map(|(_, target)| *target).collect();
        for event_loop in &mut self.loops {
            event_loop.recover(&targets, &mut self.events, &mut self.due);
        }
    }
}
