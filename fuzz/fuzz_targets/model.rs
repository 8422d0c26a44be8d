// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library must do, by AIR's rules and the header, without a line of its code: who is alive, who
//! listens and is called next, what a socket has and is. Handles are numbers here and nothing else.

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};

use server_socket::ss_status::{self, *};

pub type Handle = usize;

/// The event types that programs use; the first five are the library's.
pub const TYPES: [&std::ffi::CStr; 7] =
    [c"connect", c"close", c"socketData", c"outputProgress", c"ioError", c"mine", c""];
pub const CONNECT: usize = 0;
pub const CLOSE: usize = 1;
pub const SOCKET_DATA: usize = 2;
pub const OUTPUT_PROGRESS: usize = 3;
pub const IO_ERROR: usize = 4;

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
}

/// A listener is the pair (function, word).
pub type Pair = (u8, usize);

pub struct Listener {
    pub pair: Pair,
    pub kind: usize,
    pub capture: bool,
    pub priority: i32,
    pub born: u64,
    pub destroy: bool,
}

#[derive(Default)]
pub struct Dispatcher {
    /// In the order in which they are called.
    pub listeners: Vec<Listener>,
}

impl Dispatcher {
    pub fn position(&self, kind: usize, pair: Pair, capture: bool) -> Option<usize> {
        self.listeners.iter().position(|l| l.kind == kind && l.pair == pair && l.capture == capture)
    }

    /// Behind all of its priority; a second registration is ignored. Returns whether it was added.
    pub fn add(&mut self, listener: Listener) -> bool {
        if self.position(listener.kind, listener.pair, listener.capture).is_some() {
            return false;
        }
        let place = self.listeners.iter().position(|l| l.priority < listener.priority).unwrap_or(self.listeners.len());
        self.listeners.insert(place, listener);
        true
    }

    pub fn has(&self, kind: usize) -> bool {
        self.listeners.iter().any(|l| l.kind == kind)
    }

    /// There is no capture phase here.
    pub fn hears(&self, kind: usize) -> bool {
        self.listeners.iter().any(|l| l.kind == kind && !l.capture)
    }

    fn snapshot(&self, kind: usize) -> Vec<u64> {
        self.listeners.iter().filter(|l| l.kind == kind && !l.capture).map(|l| l.born).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServerState {
    Fresh,
    Bound,
    Listening,
    Closed,
}

pub struct Server {
    pub life: Life,
    pub home: usize,
    pub state: ServerState,
    pub port: i32,
    pub backlog: usize,
    pub paused: bool,
    pub options: Options,
    pub dispatcher: Dispatcher,
    /// Clients in the kernel's queue, the oldest first.
    pub waiting: VecDeque<Peer>,
    pub accepted: u64,
}

/// The other end of a connection.
pub struct Peer {
    pub stream: TcpStream,
    /// Its own, kept since a torn connection has none.
    pub port: u16,
    /// Which bytes it sends, see [`pattern`].
    pub number: usize,
    pub sent: usize,
    pub got: usize,
    pub ended: bool,
    /// The systems at both ends take little for it.
    pub narrow: bool,
}

impl Peer {
    pub fn new(stream: TcpStream, number: usize) -> Peer {
        let port = stream.local_addr().expect("it is connected").port();
        Peer { stream, port, number, sent: 0, got: 0, ended: false, narrow: false }
    }
}

/// The byte at a place of a peer's stream.
pub fn pattern(number: usize, place: usize) -> u8 {
    (number.wrapping_mul(151) + place.wrapping_mul(7) + place / 251) as u8
}

pub enum State {
    Idle,
    /// Where the connection will come to. `None`: where nobody listens.
    Connecting(Option<TcpListener>),
    Connected,
    /// The peer has ended it; what is unread stays.
    Ended,
}

pub struct Socket {
    pub life: Life,
    pub home: usize,
    pub server: Option<usize>,
    pub state: State,
    pub peer: Option<Peer>,
    /// The local and the remote port, from the connection on until the next attempt to connect.
    pub ends: Option<(i32, i32)>,
    /// Of the peer's stream: how much it sent, how much came, how much was read.
    pub number: usize,
    pub arrived: usize,
    pub read: usize,
    /// What was written since it was connected.
    pub written: Vec<u8>,
    pub paused: bool,
    pub reset: bool,
    pub little_endian: bool,
    pub amf0: bool,
    pub timeout: u32,
    pub options: Options,
    pub dispatcher: Dispatcher,
    /// It has ended, and the close event has not come yet.
    pub owes_close: bool,
    /// The peer had ended its side by then.
    pub peer_ended: bool,
    /// In this turn it may end without anybody hearing of it.
    pub may_go_unheard: bool,
}

impl Socket {
    pub fn new(handle: Handle, references: u32, home: usize, options: Options) -> Socket {
        Socket {
            life: Life::new(handle, references),
            home,
            server: None,
            state: State::Idle,
            peer: None,
            ends: None,
            number: 0,
            arrived: 0,
            read: 0,
            written: Vec::new(),
            paused: false,
            reset: false,
            little_endian: false,
            amf0: false,
            timeout: 20_000,
            options,
            dispatcher: Dispatcher::default(),
            owes_close: false,
            peer_ended: false,
            may_go_unheard: false,
        }
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    pub fn unread(&self) -> usize {
        self.arrived - self.read
    }

    pub fn unread_bytes(&self) -> Vec<u8> {
        (self.read..self.arrived).map(|place| pattern(self.number, place)).collect()
    }

    /// A call that needs a connection.
    pub fn connected_status(&self) -> ss_status {
        if self.is_connected() { SS_OK } else { SS_ERR_IO }
    }

    /// A read of `length` bytes. More than the limit can never be there.
    pub fn read_status(&self, length: usize) -> ss_status {
        match (self.is_connected() || self.unread() > 0, length <= self.unread()) {
            (false, _) => SS_ERR_IO,
            (true, false) if length as i64 > self.options[READ_LIMIT] => SS_ERR_RANGE,
            (true, false) => SS_ERR_EOF,
            (true, true) => SS_OK,
        }
    }

    /// A write of `length` bytes while `pending` are unsent.
    pub fn write_status(&self, length: usize, pending: usize) -> ss_status {
        let limit = self.options[WRITE_LIMIT] as usize;
        match self.is_connected() {
            false => SS_ERR_IO,
            true if length > limit => SS_ERR_RANGE,
            true if length > 0 && pending + length > limit => SS_ERR_FULL,
            true => SS_OK,
        }
    }

    /// Whether the connection goes at once when the socket leaves it.
    fn leaves_at_once(&self) -> bool {
        self.options[LINGER] == 0
    }
}

/// The values of SS_OPT_... by their numbers; some numbers are none.
pub type Options = [i64; 15];

/// What they are at first.
pub const DEFAULT_OPTIONS: Options = [0, 1, 0, 0, 0, 16 << 20, 64 << 20, 30_000, 0, 0, 1, 0, 0, 0, 256 << 20];
pub const MAX_CONNECTIONS: usize = 4;
pub const READ_LIMIT: usize = 5;
pub const WRITE_LIMIT: usize = 6;
pub const LINGER: usize = 7;
pub const LINGER_BYTES: usize = 14;

pub struct Event {
    pub life: Life,
    pub kind: usize,
    pub bubbles: bool,
    pub cancelable: bool,
    pub prevented: bool,
    pub stopped: bool,
    pub target: Option<Id>,
    /// The socket of a connect event of a server.
    pub socket: Option<usize>,
    /// What else the library's events carry: bytesLoaded, bytesPending, bytesTotal, errorID, the system's error.
    pub numbers: [u64; 5],
}

impl Event {
    pub fn new(handle: Handle, kind: usize, bubbles: bool, cancelable: bool) -> Event {
        Event {
            life: Life::new(handle, 1),
            kind,
            bubbles,
            cancelable,
            prevented: false,
            stopped: false,
            target: None,
            socket: None,
            numbers: [0; 5],
        }
    }

    pub fn clone_as(&self, handle: Handle, references: u32) -> Event {
        Event {
            life: Life::new(handle, references),
            socket: self.socket,
            numbers: self.numbers,
            ..Event::new(handle, self.kind, self.bubbles, self.cancelable)
        }
    }
}

/// A dispatch under way.
pub struct Walk {
    pub event: usize,
    pub target: Id,
    pub home: usize,
    /// The socket of a connect event: it lives until the end of the dispatch at least.
    pub accepted: Option<usize>,
    snapshot: Vec<u64>,
    next: usize,
    /// One of its listeners is running.
    pub running: bool,
}

/// Calls of the library under way that call back. A dispatch that has just ended may still be there.
pub enum Frame {
    /// A turn, and how many dispatches there were in it; it may be over, but for the destructors of what it kept.
    Poll { home: usize, walk: Option<Walk>, events: u32, over: bool },
    /// A dispatch of the program's own.
    Dispatch { walk: Option<Walk> },
}

impl Frame {
    pub fn walk(&self) -> Option<&Walk> {
        match self {
            Frame::Poll { walk, .. } | Frame::Dispatch { walk } => walk.as_ref(),
        }
    }

    pub fn walk_mut(&mut self) -> &mut Option<Walk> {
        match self {
            Frame::Poll { walk, .. } | Frame::Dispatch { walk } => walk,
        }
    }
}

/// So many bytes the system takes for a connection that is not narrow, whatever the peer does.
const SYSTEM_TAKES: usize = 4096;

/// A connection that its socket has left, while written bytes are still to come to the peer.
pub struct Farewell {
    pub peer: Peer,
    pub home: usize,
    /// The server that accepted it.
    pub server: Option<usize>,
    pub written: Vec<u8>,
    /// All of it must come.
    pub whole: bool,
    pub reset: Reset,
}

/// Whether the peer may see a reset. In any case an end that is none means that everything has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reset {
    /// Only if nothing was written.
    No,
    Maybe,
    Yes,
}

impl Farewell {
    pub fn new(socket: &mut Socket, peer: Peer) -> Farewell {
        let written = std::mem::take(&mut socket.written);
        let at_once = socket.leaves_at_once();
        let is_sent = !peer.narrow && written.len() <= SYSTEM_TAKES;
        let whole = !socket.reset && (!at_once || is_sent);
        let reset = if socket.reset || at_once { Reset::Maybe } else { Reset::No };
        Farewell { peer, home: socket.home, server: socket.server, written, whole, reset }
    }

    /// It may be cut at any time from now on.
    fn may_be_cut(&mut self) {
        self.whole = false;
        if self.reset == Reset::No {
            self.reset = Reset::Maybe;
        }
    }
}

#[derive(Default)]
pub struct Model {
    pub loops: Vec<Loop>,
    pub servers: Vec<Server>,
    pub sockets: Vec<Socket>,
    pub events: Vec<Event>,
    pub values: Vec<Life>,
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
        self.frames.iter().filter_map(Frame::walk).filter(|walk| walk.running).count()
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
        let kept = matches!(id, Id::Loop(home) if self.loops[home].is_default);
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
        let tasks = std::mem::take(&mut self.loops[home].tasks);
        self.cancelled.extend(tasks.into_iter().filter(|(_, cancellable)| *cancellable).map(|(number, _)| number));
        self.end(Id::Loop(home));
    }

    /// The socket and its connection part: what was written is still to come to the peer.
    pub fn leave(&mut self, index: usize) {
        let socket = &mut self.sockets[index];
        if let Some(peer) = socket.peer.take() {
            self.farewells.push(Farewell::new(socket, peer));
        }
        self.bound_farewells();
        let socket = &mut self.sockets[index];
        (socket.state, socket.paused, socket.owes_close) = (State::Idle, false, false);
        (socket.read, socket.arrived) = (0, 0);
        socket.may_go_unheard = true;
    }

    /// What lingers of a server that bounds it may be cut.
    pub fn bound_farewells(&mut self) {
        for farewell in &mut self.farewells {
            let bounds = |index: usize| self.servers[index].options[LINGER_BYTES] < DEFAULT_OPTIONS[LINGER_BYTES];
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
        assert_eq!(left, None, "a listener of {:?} was not called", TYPES[self.events[walk.event].kind]);
        self.reap(Id::Event(walk.event));
        self.reap(walk.target);
        self.reap(Id::Loop(walk.home));
        if let Some(accepted) = walk.accepted {
            self.reap(Id::Socket(accepted));
        }
    }
}
