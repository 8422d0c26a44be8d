// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library must do, by AIR's rules and the header, without a line of its code: who is alive, who
//! listens and is called next, what a socket has and is. Handles are numbers here and nothing else.

mod dispatch;
mod farewell;
mod options;
mod server;
mod socket;
mod timer;

use std::collections::VecDeque;

pub use dispatch::{Dispatcher, Event, Frame, Listener, Pair, Walk};
pub use farewell::{Farewell, Reset, SYSTEM_TAKES};
pub use options::*;
pub use server::{Server, ServerState};
use server_socket::ss_status::{self, *};
pub use socket::{Keep, Peer, Socket, State, pattern};
pub use timer::Timer;

pub type Handle = usize;

/// The event types that programs use; the first five and the last are the library's.
pub const TYPES: [&std::ffi::CStr; 8] =
    [c"connect", c"close", c"socketData", c"outputProgress", c"ioError", c"mine", c"", c"end"];
pub const CONNECT: usize = 0;
pub const CLOSE: usize = 1;
pub const SOCKET_DATA: usize = 2;
pub const OUTPUT_PROGRESS: usize = 3;
pub const IO_ERROR: usize = 4;
pub const END: usize = 7;

/// Words of user data that programs use: 1 to 3.
pub const WORDS: usize = 4;
pub const MAX_DEPTH: usize = 256;

/// An object by its place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Loop(usize),
    Server(usize),
    Socket(usize),
    Event(usize),
    /// A whole.
    Value(usize),
    Timer(usize),
}

/// What all objects have.
#[derive(Debug)]
pub struct Life {
    pub handle: Handle,
    pub references: u32,
    pub alive: bool,
    pub word: usize,
    /// Whether the word has a destructor.
    pub destroy: bool,
}

impl Life {
    pub fn new(handle: Handle, references: u32) -> Life {
        Life { handle, references, alive: true, word: 0, destroy: false }
    }
}

pub struct Loop {
    pub life: Life,
    /// The thread's own: it needs no reference.
    pub is_default: bool,
    /// Posted tasks: their numbers, and whether they can be cancelled.
    pub tasks: VecDeque<(usize, bool)>,
    /// How many turns have begun.
    pub turn: u64,
}

impl Loop {
    pub fn new(life: Life, is_default: bool) -> Loop {
        Loop { life, is_default, tasks: VecDeque::new(), turn: 0 }
    }
}

#[derive(Default)]
pub struct Model {
    pub loops: Vec<Loop>,
    pub servers: Vec<Server>,
    pub sockets: Vec<Socket>,
    pub events: Vec<Event>,
    pub values: Vec<Life>,
    pub timers: Vec<Timer>,
    /// What the values are, with all their parts.
    pub parts: crate::values::Values,
    pub frames: Vec<Frame>,
    pub farewells: Vec<Farewell>,
    pub births: u64,
    /// Destructors by their words: how many must run or have run, and how many have.
    pub due: [usize; WORDS],
    pub ran: [usize; WORDS],
    /// Tasks of loops that have ended.
    pub cancelled: Vec<usize>,
    /// Timers that have ended, and whose destructors have not run yet.
    pub ended_timers: Vec<usize>,
    /// Handles of what is dead.
    pub stale: Vec<Handle>,
}

impl Model {
    pub fn life(&mut self, id: Id) -> &mut Life {
        match id {
            Id::Loop(index) => &mut self.loops[index].life,
            Id::Server(index) => &mut self.servers[index].life,
            Id::Socket(index) => &mut self.sockets[index].life,
            Id::Event(index) => &mut self.events[index].life,
            Id::Value(index) => &mut self.values[index],
            Id::Timer(index) => &mut self.timers[index].life,
        }
    }

    pub fn dispatcher(&mut self, target: Id) -> &mut Dispatcher {
        match target {
            Id::Server(index) => &mut self.servers[index].dispatcher,
            Id::Socket(index) => &mut self.sockets[index].dispatcher,
            _ => unreachable!("only these have listeners"),
        }
    }

    pub fn home(&self, target: Id) -> usize {
        match target {
            Id::Server(index) => self.servers[index].home,
            Id::Socket(index) => self.sockets[index].home,
            _ => unreachable!("only these live on loops"),
        }
    }

    /// The living object of a handle.
    pub fn find(&self, handle: Handle) -> Option<Id> {
        let is = |life: &Life| life.alive && life.handle == handle;
        let position = |place: Option<usize>, id: fn(usize) -> Id| place.map(id);
        position(self.loops.iter().position(|object| is(&object.life)), Id::Loop)
            .or(position(self.servers.iter().position(|object| is(&object.life)), Id::Server))
            .or(position(self.sockets.iter().position(|object| is(&object.life)), Id::Socket))
            .or(position(self.events.iter().position(|object| is(&object.life)), Id::Event))
            .or(position(self.values.iter().position(is), Id::Value))
            .or(position(self.timers.iter().position(|object| is(&object.life)), Id::Timer))
    }

    /// Whether the loop still brings events: it has not been released.
    pub fn brings_events(&self, home: usize) -> bool {
        let object = &self.loops[home];
        object.life.alive && (object.is_default || object.life.references > 0)
    }

    /// Neither polled nor in a listener.
    pub fn is_idle(&self, home: usize) -> bool {
        let is_polled = |frame: &Frame| matches!(frame, Frame::Poll { home: polled, .. } if *polled == home);
        let in_listener = |frame: &Frame| frame.walk().is_some_and(|walk| walk.running && walk.home == home);
        !self.frames.iter().any(|frame| is_polled(frame) || in_listener(frame))
    }

    /// How many dispatches are under way.
    pub fn depth(&self) -> usize {
        let runs = |frame: &&Frame| {
            frame.walk().is_some_and(|walk| walk.running) || matches!(frame, Frame::Poll { timer: Some(_), .. })
        };
        self.frames.iter().filter(runs).count()
    }

    fn is_pinned(&self, id: Id) -> bool {
        let by_walk = |walk: &Walk| {
            Id::Event(walk.event) == id
                || walk.target == id
                || Id::Loop(walk.home) == id
                || walk.accepted.is_some_and(|socket| Id::Socket(socket) == id)
        };
        let by_turn = |frame: &Frame| matches!(frame, Frame::Poll { home, over: false, .. } if Id::Loop(*home) == id);
        self.frames.iter().any(|frame| by_turn(frame) || frame.walk().is_some_and(by_walk))
    }

    pub fn retain(&mut self, id: Id) {
        self.life(id).references += 1;
    }

    /// Gives a reference back.
    pub fn release(&mut self, id: Id) -> ss_status {
        if self.life(id).references == 0 {
            return SS_ERR_HANDLE;
        }
        self.life(id).references -= 1;
        if let Id::Loop(home) = id {
            if !self.brings_events(home) {
                let sockets = self.sockets.iter_mut().filter(|socket| socket.home == home);
                sockets.for_each(|socket| socket.may_go_unheard = true);
            }
        }
        self.reap(id);
        SS_OK
    }

    /// The object ends if nothing keeps it.
    pub fn reap(&mut self, id: Id) {
        let kept = match id {
            Id::Loop(home) => self.loops[home].is_default,
            Id::Socket(index) => self.sockets[index].is_kept(),
            _ => false,
        };
        if kept || !self.life(id).alive || self.life(id).references > 0 || self.is_pinned(id) {
            return;
        }
        match id {
            Id::Loop(home) => self.end_loop(home),
            _ => self.end(id),
        }
    }

    fn end(&mut self, id: Id) {
        match id {
            Id::Server(index) => {
                self.servers[index].waiting.clear();
                self.servers[index].state = ServerState::Closed;
            }
            Id::Socket(index) => self.leave(index),
            Id::Value(index) => self.stale.extend(self.parts.end(index)),
            Id::Timer(index) => self.ended_timers.push(index),
            Id::Event(_) | Id::Loop(_) => {}
        }
        if matches!(id, Id::Server(_) | Id::Socket(_)) {
            for listener in std::mem::take(&mut self.dispatcher(id).listeners) {
                self.due[listener.pair.1] += usize::from(listener.destroy);
            }
        }
        let life = self.life(id);
        life.alive = false;
        let (word, destroy, handle) = (life.word, life.destroy, life.handle);
        self.due[word] += usize::from(destroy);
        self.stale.push(handle);
    }

    fn end_loop(&mut self, home: usize) {
        for index in 0..self.servers.len() {
            if self.servers[index].home == home && self.servers[index].life.alive {
                self.end(Id::Server(index));
            }
        }
        for index in 0..self.sockets.len() {
            if self.sockets[index].home == home && self.sockets[index].life.alive {
                self.end(Id::Socket(index));
            }
        }
        for farewell in self.farewells.iter_mut().filter(|farewell| farewell.home == home) {
            let whole = farewell.whole && !farewell.peer.narrow && farewell.written.len() <= SYSTEM_TAKES;
            farewell.may_be_cut();
            farewell.whole = whole;
        }
        for index in 0..self.timers.len() {
            if self.timers[index].home == home && self.timers[index].life.alive {
                self.end(Id::Timer(index));
            }
        }
        let tasks = std::mem::take(&mut self.loops[home].tasks);
        self.cancelled.extend(tasks.into_iter().filter(|(_, cancellable)| *cancellable).map(|(number, _)| number));
        self.end(Id::Loop(home));
    }

    /// The socket and its connection part: what was written is still to come to the peer.
    pub fn leave(&mut self, index: usize) {
        let socket = &mut self.sockets[index];
        // The library may have let go of it in this turn, for the end of the connection that it leaves.
        if socket.keep == Keep::Now && socket.may_go_unheard && socket.may_have_ended() {
            socket.keep = Keep::Unknown;
        }
        if let Some(peer) = socket.peer.take() {
            self.farewells.push(Farewell::new(socket, peer));
        }
        self.bound_farewells();
        let socket = &mut self.sockets[index];
        socket.forget_connection();
        (socket.state, socket.paused, socket.owes_close) = (State::Idle, false, false);
        (socket.read, socket.arrived) = (0, 0);
        socket.may_go_unheard = true;
    }

    /// The library gives up its own reference to a socket, unless that is connected or connecting.
    pub fn let_go(&mut self, index: usize) {
        let socket = &mut self.sockets[index];
        if matches!(socket.keep, Keep::Now | Keep::Unknown) && !socket.is_in_use() {
            socket.keep = Keep::No;
        }
        self.reap(Id::Socket(index));
    }

    /// The time of a server's connections is over.
    pub fn be_overdue(&mut self, server: usize) {
        (self.servers[server].overdue, self.servers[server].evicts) = (true, true);
        for socket in self.sockets.iter_mut().filter(|socket| socket.server == Some(server)) {
            socket.given_up = true;
        }
        self.bound_farewells();
    }

    /// What lingers of a server that bounds it may be cut.
    pub fn bound_farewells(&mut self) {
        for farewell in &mut self.farewells {
            let bounds = |index: usize| {
                let server = &self.servers[index];
                server.options[LINGER_BYTES] < DEFAULT_OPTIONS[LINGER_BYTES] || server.overdue
            };
            if farewell.server.is_some_and(bounds) {
                farewell.may_be_cut();
            }
        }
    }

    /// A new peer has come to a server of which only so many may be there: one that lingers may have given way.
    pub fn make_place(&mut self, server: usize) {
        for farewell in self.farewells.iter_mut().filter(|farewell| farewell.server == Some(server)) {
            farewell.may_be_cut();
        }
    }

    /// A dispatch of this event begins at this target.
    pub fn walk(&mut self, target: Id, event: usize, accepted: Option<usize>) -> Walk {
        let kind = self.events[event].kind;
        let snapshot = self.dispatcher(target).snapshot(kind);
        self.events[event].target = Some(target);
        Walk { event, target, home: self.home(target), accepted, snapshot, next: 0, running: false }
    }

    /// Who is called next: one of those that were there at the beginning and are there still.
    pub fn next_listener(&mut self, walk: &mut Walk) -> Option<Pair> {
        if self.events[walk.event].stopped {
            return None;
        }
        while let Some(born) = walk.snapshot.get(walk.next) {
            walk.next += 1;
            // What is dead has no listeners left.
            if let Some(listener) = self.dispatcher(walk.target).listeners.iter().find(|l| l.born == *born) {
                return Some(listener.pair);
            }
        }
        None
    }

    /// The turn has ended, and a loop that was released in it ends as well.
    pub fn finish_turn(&mut self) {
        if let Some(Frame::Poll { home, over, .. }) = self.frames.last_mut() {
            *over = true;
            let home = *home;
            self.reap(Id::Loop(home));
        }
    }

    /// The library goes on with something else: the dispatch before it, if there was one, has ended. Every listener
    /// must have been called.
    pub fn finish_dispatch(&mut self) {
        let Some(mut walk) = self.frames.last_mut().and_then(|frame| frame.walk_mut().take()) else { return };
        assert!(!walk.running);
        let left = self.next_listener(&mut walk);
        let kind = self.events[walk.event].kind;
        assert_eq!(left, None, "a listener of {:?} was not called", TYPES[kind]);
        let is_told = self.events[walk.event].told;
        let is_told = is_told && matches!(self.frames.last(), Some(Frame::Poll { .. }));
        if let (true, Id::Socket(index), CONNECT | CLOSE | IO_ERROR | END | OUTPUT_PROGRESS) =
            (is_told, walk.target, kind)
        {
            self.let_go(index);
        }
        self.reap(Id::Event(walk.event));
        self.reap(walk.target);
        self.reap(Id::Loop(walk.home));
        if let Some(accepted) = walk.accepted {
            self.reap(Id::Socket(accepted));
        }
    }
}
