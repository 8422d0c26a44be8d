//! One turn of an event loop: wait, then serve what is ready, each in its bounds, so that nobody starves.
//!
//! The order within a turn: tasks of other threads, timers, connections, accepting, outputProgress.

use std::io;
use std::time::Duration;

use crate::dispatch::{self, announce};
use crate::error::{Failure, Result};
use crate::event::Detail;
use crate::handle::{Key, Kind};
use crate::inject;
use crate::log::Level;
use crate::names::EventType;
use crate::objects::{Accepted, Ending, Objects, Work, after_a_panic, run_due, step, with};
use crate::reactor::{Answer, Posted, Ready};

/// How many peers one server accepts in a turn: hundreds for a host that polls once a frame, and yet no longer
/// than a few milliseconds for the connections that wait meanwhile.
const ACCEPT_BATCH: u32 = 512;
/// So many failed accepts in a row mean trouble that trying on does not mend.
const ACCEPT_FAILURES: u32 = 64;
/// How often one connection is read from in a turn, when its end was announced.
const READS: u32 = 16;

/// Waits for at most `timeout` milliseconds (negative: without end) and serves what is ready. Returns the number
/// of events that listeners got.
pub(crate) fn poll(home: Key, timeout: i32) -> Result<u32> {
    let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
    with(|objects| objects.begin_turn(home))?;
    let mut turn = Turn { home, events: 0, served: None };
    let outcome = with(|objects| objects.wait(home, limit)).map(|called| turn.work(called));
    let events = turn.events;
    drop(turn);
    run_due();
    outcome.map(|()| events)
}

/// Turns until somebody calls stop, or until nothing on the loop can ever bring an event again.
pub(crate) fn run(home: Key) -> Result<()> {
    with(|objects| objects.begin_run(home))?;
    let running = Running(home);
    let mut outcome = Ok(());
    while outcome.is_ok() && step(|objects| objects.has_future(home)) {
        outcome = poll(home, -1).map(|_| ());
    }
    drop(running);
    run_due();
    outcome
}

struct Running(Key);

impl Drop for Running {
    fn drop(&mut self) {
        after_a_panic(|| step(|objects| objects.unpin(self.0)));
    }
}

struct Turn {
    home: Key,
    events: u32,
    /// The connection whose turn it is.
    served: Option<Key>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        after_a_panic(|| {
            step(|objects| {
                // Only a panic comes here with one: what has become of its bytes is not known.
                if let Some(key) = self.served {
                    objects.break_connection(key);
                }
                objects.end_turn(self.home);
            });
        });
    }
}

/// A peer that was accepted, until the listeners of its connect event have returned.
struct Admission {
    server: Key,
    socket: Key,
}

impl Drop for Admission {
    fn drop(&mut self) {
        after_a_panic(|| step(|objects| objects.admit(self.server, self.socket)));
    }
}

/// Tasks that are to be run. What a panic leaves of them is run in the next turn.
struct Tasks {
    home: Key,
    left: std::vec::IntoIter<Posted>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.left);
        if left.len() > 0 {
            after_a_panic(|| step(|objects| objects.put_tasks_back(self.home, left.collect())));
        }
    }
}

impl Turn {
    fn work(&mut self, called: bool) {
        let mut quiet = !called;
        if called {
            self.run_tasks();
        }
        while let Some(key) = step(|objects| objects.next_due_timer(self.home)) {
            quiet = false;
            if let Some(ending) = step(|objects| objects.expire(key)) {
                self.report_end(ending);
            }
        }
        let (batch, left_over) = step(|objects| objects.take_batch(self.home));
        quiet &= batch.is_empty() && left_over == 0;
        self.serve_all(&batch, left_over);
        self.accept_all();
        self.report_progress();
        if quiet {
            self.look_for_lost_servers();
        }
        step(|objects| objects.give_batch_back(self.home, batch));
    }

    /// What other threads have sent: names looked up, and tasks.
    fn run_tasks(&mut self) {
        let (tasks, answers) = step(|objects| objects.collect(self.home));
        for answer in answers {
            step(|objects| objects.resolved(answer));
        }
        let mut tasks = Tasks { home: self.home, left: tasks.into_iter() };
        for Posted { task, cancelled } in tasks.left.by_ref() {
            if step(|objects| objects.is_alive(self.home)) {
                task.run();
                step(Objects::flush_dirty);
            } else if let Some(cancelled) = cancelled {
                cancelled.run();
            }
            run_due();
        }
    }

    /// Serves the connections that the kernel named, then those that were left over from earlier turns. Servers
    /// are put aside: connections come before new ones.
    fn serve_all(&mut self, batch: &[Ready], left_over: usize) {
        for ready in batch {
            self.served = Some(ready.key);
            let work = step(|objects| objects.take_up_or_put_aside(self.home, *ready));
            self.serve(ready.key, work);
            self.served = None;
        }
        for _ in 0..left_over {
            match step(|objects| objects.next_left_over(self.home)) {
                Some(key) if key.kind() == Some(Kind::Socket) => self.report_what_is_due(key),
                Some(key) => {
                    self.served = Some(key);
                    let work = step(|objects| objects.begin_service(self.home, key));
                    self.serve(key, work);
                }
                None => {}
            }
            self.served = None;
        }
    }

    /// Does what a connection is ready for, until nothing is left of it or its share of the turn is used up.
    fn serve(&mut self, key: Key, mut work: Work) {
        for reads in 1.. {
            match work {
                Work::Nothing => return,
                Work::Connected { socket } => self.announce(socket, EventType::CONNECT, Detail::Plain),
                Work::Received { socket, count, dispatch } => {
                    if let Some(dispatch) = dispatch {
                        dispatch::run(dispatch);
                        self.events += 1;
                    }
                    if !step(|objects| objects.settle(self.home, key, socket, count)) {
                        return;
                    }
                }
                Work::Ended { error } => {
                    if let Some(ending) = step(|objects| objects.end_connection(key, error)) {
                        self.report_end(ending);
                    }
                    return;
                }
            }
            if reads == READS {
                return step(|objects| objects.continue_later(key));
            }
            work = step(|objects| objects.receive(self.home, key));
        }
    }

    /// An attempt to connect has failed, or a panic came between an end and its event.
    fn report_what_is_due(&mut self, socket: Key) {
        if let Some(os_error) = step(|objects| objects.take_failure(socket)) {
            self.announce(socket, EventType::IO_ERROR, Detail::IoError { os_error });
        }
        self.report_close(socket);
    }

    fn report_end(&mut self, ending: Ending) {
        let socket = ending.socket;
        if let Some(os_error) = ending.lost_output {
            self.announce(socket, EventType::IO_ERROR, Detail::IoError { os_error });
        }
        self.report_close(socket);
    }

    /// Not if a listener has closed the socket meanwhile, or connected it anew.
    fn report_close(&mut self, socket: Key) {
        if step(|objects| objects.take_close(socket)) {
            self.announce(socket, EventType::CLOSE, Detail::Plain);
        }
    }

    fn accept_all(&mut self) {
        let servers = step(|objects| objects.take_accepting(self.home));
        for server in &servers {
            self.accept(*server);
        }
        step(|objects| objects.give_accepting_back(self.home, servers));
    }

    fn accept(&mut self, server: Key) {
        let mut failures = 0;
        for _ in 0..ACCEPT_BATCH {
            match step(|objects| objects.accept(self.home, server)) {
                Accepted::Peer(socket) => {
                    failures = 0;
                    let admission = Admission { server, socket };
                    self.announce(server, EventType::CONNECT, Detail::Connect { socket });
                    drop(admission);
                    run_due();
                }
                Accepted::Nobody if failures < ACCEPT_FAILURES => failures += 1,
                Accepted::Nobody => {
                    let error = io::Error::other("one peer after the other was gone");
                    return step(|objects| objects.back_off(server, &error));
                }
                Accepted::Lost => return self.announce(server, EventType::CLOSE, Detail::Plain),
                Accepted::Done => return,
            }
        }
        step(|objects| objects.resume_accepting(server));
    }

    /// At most one outputProgress for a socket in a turn; what these listeners write is reported in the next.
    fn report_progress(&mut self) {
        let sockets = step(|objects| objects.take_progress(self.home));
        for socket in &sockets {
            if let Some((sent, pending)) = step(|objects| objects.take_progress_of(*socket)) {
                self.announce(*socket, EventType::OUTPUT_PROGRESS, Detail::Output { pending, total: sent + pending });
            }
        }
        step(|objects| objects.give_progress_back(self.home, sockets));
    }

    fn look_for_lost_servers(&mut self) {
        for server in step(|objects| objects.lost_servers(self.home)) {
            self.announce(server, EventType::CLOSE, Detail::Plain);
        }
    }

    fn announce(&mut self, target: Key, kind: EventType, detail: Detail) {
        if !step(|objects| objects.is_alive(self.home)) {
            return;
        }
        if announce(target, kind, detail) {
            self.events += 1;
        } else if kind == EventType::IO_ERROR {
            // AIR's words for an error that nobody listens for.
            let message = || String::from("Error #2044: Unhandled IOErrorEvent:. text=Error #2031: Socket Error.");
            step(|objects| objects.report(Level::Error, message));
        }
    }
}

impl Objects {
    fn begin_turn(&mut self, home: Key) -> Result<()> {
        self.event_loop(home)?.check_idle()?;
        self.pin(home);
        self.event_loop_mut(home)?.polling = true;
        Ok(())
    }

    /// Waits. Returns whether another thread called.
    fn wait(&mut self, home: Key, limit: Option<Duration>) -> Result<bool> {
        self.flush_dirty();
        inject::point();
        let event_loop = self.event_loop_mut(home)?;
        let limit = if event_loop.progress.is_empty() { limit } else { Some(Duration::ZERO) };
        let outcome = event_loop.reactor.wait(limit, &mut event_loop.batch);
        inject::point();
        outcome.map_err(|error| Failure::invalid_socket().with_system("wait for events", &error, ""))
    }

    fn end_turn(&mut self, home: Key) {
        if let Ok(event_loop) = self.event_loop_mut(home) {
            event_loop.polling = false;
        }
        self.unpin(home);
    }

    fn begin_run(&mut self, home: Key) -> Result<()> {
        self.event_loop(home)?.check_idle()?;
        self.pin(home);
        Ok(())
    }

    /// Whether `run` is to go on.
    fn has_future(&mut self, home: Key) -> bool {
        let dirty = self.has_dirty();
        let alive = self.is_alive(home);
        let Ok(event_loop) = self.event_loop_mut(home) else { return false };
        let reactor = &event_loop.reactor;
        if !alive || reactor.remote().take_stop() {
            return false;
        }
        event_loop.active > 0
            || dirty
            || reactor.ready_count() > 0
            || !event_loop.progress.is_empty()
            || reactor.remote().has_tasks()
    }

    fn collect(&mut self, home: Key) -> (Vec<Posted>, Vec<Answer>) {
        self.event_loop(home).map(|event_loop| event_loop.reactor.remote().collect()).unwrap_or_default()
    }

    fn put_tasks_back(&mut self, home: Key, tasks: Vec<Posted>) {
        if let Ok(event_loop) = self.event_loop(home) {
            event_loop.reactor.remote().put_back(tasks);
        }
    }

    fn next_due_timer(&mut self, home: Key) -> Option<Key> {
        let reactor = &mut self.event_loop_mut(home).ok()?.reactor;
        reactor.timers.pop_due(reactor.now)
    }

    fn expire(&mut self, key: Key) -> Option<Ending> {
        match key.kind() {
            Some(Kind::Server) => self.end_back_off(key),
            Some(Kind::Socket) => self.attempt_timer(key),
            Some(Kind::Loop) => self.feed_starved(key),
            _ => return self.connection_timer(key),
        }
        None
    }

    /// What the kernel named, and how many are left over from earlier turns.
    fn take_batch(&mut self, home: Key) -> (Vec<Ready>, usize) {
        self.event_loop_mut(home)
            .map(|event_loop| (std::mem::take(&mut event_loop.batch), event_loop.reactor.ready_count()))
            .unwrap_or_default()
    }

    fn give_batch_back(&mut self, home: Key, mut batch: Vec<Ready>) {
        batch.clear();
        if let Ok(event_loop) = self.event_loop_mut(home) {
            event_loop.batch = batch;
        }
    }

    /// First step with what the kernel named.
    fn take_up_or_put_aside(&mut self, home: Key, ready: Ready) -> Work {
        if ready.key.kind() == Some(Kind::Server) {
            self.put_aside(home, ready.key);
            return Work::Nothing;
        }
        self.take_up(home, ready)
    }

    fn next_left_over(&mut self, home: Key) -> Option<Key> {
        let key = self.event_loop_mut(home).ok()?.reactor.pop_ready()?;
        if key.kind() == Some(Kind::Server) {
            self.put_aside(home, key);
            return None;
        }
        Some(key)
    }

    fn put_aside(&mut self, home: Key, server: Key) {
        self.unqueue_server(server);
        if let Ok(event_loop) = self.event_loop_mut(home)
            && !event_loop.accepting.contains(&server)
        {
            event_loop.accepting.push(server);
        }
    }

    fn take_accepting(&mut self, home: Key) -> Vec<Key> {
        self.event_loop_mut(home).map(|event_loop| std::mem::take(&mut event_loop.accepting)).unwrap_or_default()
    }

    fn give_accepting_back(&mut self, home: Key, mut servers: Vec<Key>) {
        servers.clear();
        if let Ok(event_loop) = self.event_loop_mut(home) {
            event_loop.accepting = servers;
        }
    }

    fn take_progress(&mut self, home: Key) -> Vec<Key> {
        self.event_loop_mut(home).map(|event_loop| std::mem::take(&mut event_loop.progress)).unwrap_or_default()
    }

    /// Sockets that came onto the list meanwhile stay on it.
    fn give_progress_back(&mut self, home: Key, mut sockets: Vec<Key>) {
        if let Ok(event_loop) = self.event_loop_mut(home)
            && event_loop.progress.is_empty()
        {
            sockets.clear();
            event_loop.progress = sockets;
        }
    }

    /// Whether the close event of a socket whose connection has ended is still due.
    fn take_close(&mut self, socket: Key) -> bool {
        self.socket_mut(socket).is_ok_and(|socket| std::mem::take(&mut socket.close_due))
    }
}
