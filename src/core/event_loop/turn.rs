// SPDX-License-Identifier: MIT OR Apache-2.0
//! One turn of an event loop: wait, then serve what is ready, each in its bounds, so that nobody starves.
//!
//! The order within a turn: tasks of other threads, timers, connections, accepting, outputProgress. The turn calls nobody:
//! [`Loop::next`] says which function of the host is to be called next, and goes on when it has returned. What is left of a
//! turn that is cut short, since a listener threw or jumped away, is left to the next one.

use std::io;
use std::time::Duration;

use super::Loop;
use super::state::{After, Running, Stage, Step};
use crate::core::events::dispatch::check_depth;
use crate::core::events::{Cause, Detail, EventType, Events};
use crate::core::host::{Due, HostCall, NextCall};
use crate::core::server::Server;
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind};
use crate::inject;
use crate::sys;
use crate::sys::net::{self, EVENTS, Ready, Wait};

/// How long a turn may spend on tasks of other threads, and as long on timers, the host's and our own; it runs one of each at
/// least.
const TASK_TIME: Duration = Duration::from_millis(1);

/// What came of looking for a timer whose time has come.
enum Expired {
    /// One of the host's: its task is to be called.
    Task(HostCall),
    /// One of the library's own, which is done.
    Other,
    /// None has come, or the time for them is over.
    Nothing,
}

/// A wait for readiness, in which nothing of the loop is borrowed.
pub(crate) struct Waiting {
    pub wait: Wait,
    pub limit: Option<Duration>,
    pub batch: Vec<Ready>,
}

impl Loop {
    /// A turn is about to begin: what is to be waited for, for `limit` at most.
    pub(crate) fn begin_wait(&mut self, limit: Option<Duration>, due: &Due) -> Result<Waiting> {
        self.check_idle()?;
        check_depth(due)?;
        if !self.was_polled {
            self.was_polled = true;
            self.transport.reactor.remote().note_poll();
        }
        self.transport.flush_dirty();
        self.transport.reactor.let_go();
        inject::point();
        let limit = if self.turn.has_work() { Some(Duration::ZERO) } else { limit };
        let limit = self.transport.reactor.wait_limit(limit);
        let wait = self.transport.reactor.poller.take_out().ok_or_else(Failure::reentrant)?;
        Ok(Waiting { wait, limit, batch: std::mem::take(&mut self.turn.batch) })
    }

    /// The wait is over, or was cut short.
    pub(crate) fn end_wait(&mut self, waiting: Waiting) {
        self.transport.reactor.poller.put_back(waiting.wait);
        self.transport.reactor.now = net::now();
        self.turn.batch = waiting.batch;
    }

    /// Begins a turn with what the poller has named. `called`: another thread has something for us.
    pub(crate) fn begin_turn(&mut self, called: bool) {
        inject::point();
        self.turn.stage = Stage::Tasks;
        self.turn.quiet = !called && self.turn.tasks.is_empty();
        (self.turn.task_end, self.turn.handshake_end) = (None, None);
        if called {
            self.collect();
        }
        self.polling = true;
        self.life.pins += 1;
    }

    /// The host has given the loop up: that is to be noticed.
    pub(crate) fn interrupt(&mut self) {
        self.turn.straight = false;
    }

    /// What other threads have sent: names looked up, and tasks.
    fn collect(&mut self) {
        let (tasks, answers) = self.transport.reactor.remote().collect();
        // Nearly always: they need no room of their own.
        if self.turn.tasks.is_empty() {
            self.turn.tasks = tasks.into();
        } else {
            self.turn.tasks.extend(tasks);
        }
        for answer in answers {
            if let Ok(mut socket) = self.socket(answer.socket) {
                socket.resolved(answer);
            }
        }
    }

    /// Says what is to be called next in this turn. Returns false when it is over.
    #[inline(always)]
    pub(crate) fn next(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> bool {
        self.transport.flush_dirty();
        self.transport.reactor.let_go();
        if let Some(target) = self.turn.dispatch.target() {
            if self.listener_returned(target, events, due, call) {
                return true;
            }
        } else if self.turn.running != Running::Nothing {
            self.call_returned(due);
        }
        loop {
            if !due.is_empty() && self.next_due(due, call) {
                return true;
            }
            match self.step(events, due, call) {
                Step::Call => return true,
                Step::Again => {}
                Step::Over => return false,
            }
        }
    }

    #[cold]
    fn next_due(&mut self, due: &mut Due, call: &mut NextCall) -> bool {
        let Some(next) = due.next() else { return false };
        if matches!(next, HostCall::Function(_)) {
            (self.turn.running, due.running) = (Running::Due, true);
        }
        call.set(next);
        true
    }

    #[cold]
    fn call_returned(&mut self, due: &mut Due) {
        match std::mem::replace(&mut self.turn.running, Running::Nothing) {
            Running::Nothing => {}
            Running::Due => due.running = false,
            Running::Timer => due.depth = due.depth.saturating_sub(1),
        }
    }

    /// Whether the task of a timer is being run.
    pub(crate) fn runs_timer(&self) -> bool {
        self.turn.running == Running::Timer
    }

    /// Returns whether another listener is to be called.
    #[inline(always)]
    fn listener_returned(&mut self, target: Key, events: &mut Events, due: &mut Due, call: &mut NextCall) -> bool {
        inject::point();
        if !self.turn.dispatch.is_over() && self.next_listener(target, events, call) {
            return true;
        }
        self.end_dispatch(target, events, due);
        false
    }

    fn next_listener(&mut self, target: Key, events: &Events, call: &mut NextCall) -> bool {
        let listeners = match target.kind() {
            Some(Kind::Server) => self.servers.get(target).map(|server| &server.listeners),
            _ => self.sockets.get(target).map(|socket| &socket.listeners),
        };
        self.turn.dispatch.next(listeners, events, call)
    }

    /// All have heard the event.
    #[inline(always)]
    fn end_dispatch(&mut self, target: Key, events: &mut Events, due: &mut Due) {
        self.turn.dispatch.end(events, due);
        let reactor = &mut self.transport.reactor;
        let plain = self.turn.after == After::Settle && self.turn.delivery.lent && !self.turn.doomed;
        if plain && reactor.receive_buffer.is_used_up() {
            // Nearly always: the listeners have taken all of it, and nothing more is known to wait.
            reactor.send_buffer.answering = None;
            return reactor.receive_buffer.take_all_back();
        }
        self.after_dispatch(target, events, due);
    }

    #[inline(never)]
    fn after_dispatch(&mut self, target: Key, events: &mut Events, due: &mut Due) {
        match self.turn.after {
            After::Settle => self.settle(target, due),
            After::Admit { socket } => self.admit(target, socket, events, due),
            After::Nothing => self.let_go(target, events, due),
        }
        if std::mem::take(&mut self.turn.doomed) {
            self.destroy(target, events, due);
        }
    }

    /// The turn is over, or cut short. Returns how many events listeners got.
    pub(crate) fn end_turn(&mut self, events: &mut Events, due: &mut Due) -> u32 {
        self.abandon(events, due);
        self.transport.refusals.tell(due);
        self.polling = false;
        self.life.pins = self.life.pins.saturating_sub(1);
        if self.turn.has_work() {
            self.transport.reactor.has_work();
        }
        std::mem::take(&mut self.turn.events)
    }

    /// A call of the host's did not return: what waits for it is done without. The rest of the turn is left to the next.
    pub(super) fn abandon(&mut self, events: &mut Events, due: &mut Due) {
        if let Some(target) = self.turn.dispatch.target() {
            self.end_dispatch(target, events, due);
        }
        if self.turn.running != Running::Nothing {
            self.call_returned(due);
        }
        if self.turn.stage != Stage::Idle {
            self.leave_rest();
        }
    }

    #[cold]
    fn leave_rest(&mut self) {
        self.turn.stage = Stage::Idle;
        self.turn.straight = false;
        if let (true, Some(key)) = (std::mem::take(&mut self.turn.read_on), self.turn.serving.take()) {
            self.transport.queue(key);
        }
        while let Some(ready) = self.turn.batch.get(self.turn.served).copied() {
            self.turn.served += 1;
            self.note(&ready);
        }
        self.turn.batch.clear();
        self.turn.served = 0;
        for key in std::mem::take(&mut self.turn.accepting) {
            if let Ok(server) = self.server(key) {
                server.server.share().clone().queue(&mut self.transport.reactor);
            }
        }
        while let Some(socket) = self.turn.progress.pop_front() {
            self.transport.reactor.push_progress(socket);
        }
    }

    /// A readiness event that the next turn serves.
    fn note(&mut self, ready: &Ready) {
        if let Some(connection) = self.transport.connections.get_mut(ready.key) {
            connection.note(ready);
            connection.queue(&mut self.transport.reactor, ready.key);
        } else if ready.key.kind() == Some(Kind::Server) {
            self.put_aside(ready.key);
        }
    }
}

impl Loop {
    #[inline(always)]
    fn step(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        if self.turn.straight {
            if let Some(ready) = self.turn.batch.get(self.turn.served) {
                let ready = *ready;
                self.turn.served += 1;
                return self.take_up(&ready, events, due, call);
            }
        }
        self.other_step(events, due, call)
    }

    /// Everything but the next of what the poller named.
    #[inline(never)]
    fn other_step(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        if self.is_released() {
            // It ends with this turn, and brings no more events.
            self.turn.stage = Stage::Idle;
            self.turn.straight = false;
            return Step::Over;
        }
        if !self.turn.announcements.is_empty() {
            return self.tell_next(events, due, call);
        }
        if std::mem::take(&mut self.turn.read_on) {
            return match self.turn.serving {
                Some(key) => self.receive_more(key, events, due, call),
                None => Step::Again,
            };
        }
        self.turn.serving = None;
        self.go_on(events, due, call)
    }

    /// The stages of a turn, one after the other. Those that have nothing to do are passed over at once.
    #[inline(always)]
    fn go_on(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        loop {
            match self.turn.stage {
                Stage::Tasks => {
                    if let Some(task) = self.next_task() {
                        call.set(task);
                        return Step::Call;
                    }
                    self.turn.stage = Stage::Timers;
                    self.turn.task_end = None;
                }
                Stage::Timers => match self.next_timer(due) {
                    Expired::Task(task) => {
                        call.set(task);
                        return Step::Call;
                    }
                    Expired::Other => return Step::Again,
                    Expired::Nothing => {
                        // The others are left to the next turn, behind whatever the poller names then.
                        self.turn.left_over = self.transport.reactor.ready_count().min(EVENTS);
                        self.turn.quiet &= self.turn.batch.is_empty() && self.turn.left_over == 0;
                        self.turn.stage = Stage::Batch;
                    }
                },
                Stage::Batch if self.turn.served < self.turn.batch.len() => {
                    self.turn.straight = true;
                    return Step::Again;
                }
                Stage::Batch => {
                    self.turn.straight = false;
                    self.turn.batch.clear();
                    self.turn.served = 0;
                    self.turn.stage = Stage::LeftOver;
                }
                Stage::LeftOver if self.turn.left_over > 0 => {
                    self.turn.left_over -= 1;
                    return self.serve_left_over(events, due, call);
                }
                Stage::LeftOver => self.turn.stage = Stage::Accepting,
                Stage::Accepting => match self.turn.accepting.front() {
                    Some(server) => {
                        let server = *server;
                        return self.accept(server, events, due, call);
                    }
                    None => {
                        // There is nothing in the turn's own.
                        std::mem::swap(&mut self.turn.progress, &mut self.transport.reactor.progress);
                        self.turn.stage = Stage::Progress;
                    }
                },
                Stage::Progress => match self.turn.progress.pop_front() {
                    Some(socket) => {
                        self.tell_progress(socket);
                        return Step::Again;
                    }
                    None => self.turn.stage = if self.turn.quiet { Stage::LostServers } else { Stage::Idle },
                },
                Stage::LostServers => {
                    self.turn.stage = Stage::Idle;
                    self.look_for_lost_servers();
                    return Step::Again;
                }
                Stage::Idle => return Step::Over,
            }
        }
    }

    fn next_task(&mut self) -> Option<HostCall> {
        if self.turn.tasks.is_empty() {
            return None;
        }
        let now = net::now();
        let end = *self.turn.task_end.get_or_insert(now + TASK_TIME);
        if now >= end {
            return None;
        }
        let posted = self.turn.tasks.pop_front()?;
        Some(HostCall::Function(posted.task))
    }

    /// The next timer whose time has come.
    fn next_timer(&mut self, due: &mut Due) -> Expired {
        let reactor = &mut self.transport.reactor;
        let Some(key) = reactor.timers.due(reactor.now) else { return Expired::Nothing };
        self.turn.quiet = false;
        let now = net::now();
        let end = *self.turn.task_end.get_or_insert(now + TASK_TIME);
        if now >= end {
            return Expired::Nothing;
        }
        reactor.timers.pop();
        if key.kind() != Some(Kind::Timer) {
            self.expire(key, due);
            return Expired::Other;
        }
        let Ok(mut timer) = self.timer(key) else { return Expired::Other };
        let task = timer.expire(now);
        self.turn.running = Running::Timer;
        due.depth += 1;
        Expired::Task(HostCall::Function(task))
    }

    fn expire(&mut self, key: Key, due: &mut Due) {
        match key.kind() {
            Some(Kind::Server) => self.expire_server(key),
            Some(Kind::Socket) => {
                if self.socket(key).is_ok_and(|mut socket| socket.expire_attempt()) {
                    self.turn.announce(key, EventType::CONNECT, Detail::Plain);
                }
                self.hint_at_unheard(key, due);
            }
            Some(Kind::Loop) => self.end_rest(),
            _ => self.expire_connection(key),
        }
    }

    /// The rest is over of what the process or the system had no memory for.
    fn end_rest(&mut self) {
        self.transport.feed_starved();
        if !self.transport.reactor.take_short() {
            return;
        }
        self.transport.make_lists_anew();
        self.transport.read_on();
        let reactor = &mut self.transport.reactor;
        let queued = self.sockets.iter().filter(|(_, socket)| socket.cold().is_some_and(|cold| cold.queued));
        queued.for_each(|(key, _)| reactor.push_ready(key));
        let queued = self.servers.iter().filter(|(_, server)| server.share().queued.get());
        queued.for_each(|(key, _)| reactor.push_ready(key));
    }

    fn serve_left_over(&mut self, events: &mut Events, due: &mut Due, call: &mut NextCall) -> Step {
        let Some(key) = self.transport.reactor.pop_ready() else { return Step::Again };
        match key.kind() {
            Some(Kind::Server) => self.put_aside(key),
            Some(Kind::Socket) => self.report_what_is_due(key),
            Some(Kind::Loop) => self.transport.read_on(),
            _ => return self.serve(key, events, due, call),
        }
        Step::Again
    }

    /// A name is to be looked up, an attempt to connect has failed, or a panic came between an end and its event.
    fn report_what_is_due(&mut self, key: Key) {
        let Ok(mut socket) = self.socket(key) else { return };
        if let Some(cold) = socket.socket.cold_mut() {
            cold.queued = false;
        }
        socket.look_up();
        if let Some(os_error) = socket.take_failure() {
            self.turn.announce(key, EventType::IO_ERROR, Detail::IoError { os_error, cause: Cause::Connect });
        } else if socket.socket.close_due {
            self.turn.announce(key, EventType::CLOSE, Detail::Close { os_error: 0, cause: Cause::Ended });
        }
    }

    /// At most one outputProgress for a socket in a turn; what these listeners write is reported in the next.
    fn tell_progress(&mut self, key: Key) {
        let Ok(socket) = self.socket(key) else { return };
        let Some(connection) = socket.socket.connection else { return };
        if let Some((sent, pending)) = socket.transport.take_progress(connection) {
            self.turn.announce(key, EventType::OUTPUT_PROGRESS, Detail::Output { pending, total: sent + pending });
        }
    }

    /// In a turn that brought nothing: whether each server still has its descriptor. A host that closes it by mistake is
    /// not told by the kernel, and neither are we.
    fn look_for_lost_servers(&mut self) {
        let probe = |(key, server): (Key, &Server)| Some((key, server.probe().err().filter(sys::is_not_ours)?));
        let lost: Vec<(Key, io::Error)> = self.servers.iter().filter_map(probe).collect();
        for (key, error) in lost {
            self.lose_server(key, &error);
        }
    }
}

impl Loop {
    /// The socket that outlives this turn's connect event.
    pub(super) fn pinned_by_turn(&self) -> Option<Key> {
        match self.turn.after {
            After::Admit { socket } if self.turn.dispatch.target().is_some() => Some(socket),
            _ => None,
        }
    }

    /// The event that this turn dispatches.
    pub(crate) fn event(&self) -> Option<Key> {
        self.turn.dispatch.event()
    }
}
