//! Everything that one thread owns: its loops, servers, sockets, connections and events, and how they hang
//! together: references, ends, and what is due to the host.
//!
//! All of it lies in one cell of the thread. [`with`] borrows it for the length of one step; no borrow is ever
//! alive while a function of the host runs. Whatever such a function may have changed is looked up again.

mod connecting;
mod dispatching;
mod listening;
mod recovery;
mod settings;
mod traffic;
mod typed;
mod values;

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

pub(crate) use dispatching::{Dispatch, Then};
pub(crate) use listening::Accepted;
pub(crate) use traffic::{Ending, Work};
pub(crate) use typed::Found;

use crate::connection::Connection;
use crate::dispatcher::{Dispatcher, Plan, Registration, Walk};
use crate::error::{Failure, Result};
use crate::event::{Event, Life};
use crate::foreign::{Call, Callback, UserData};
use crate::handle::{self, Key, Kind, Table};
use crate::inject;
use crate::log::{self, Level};
use crate::names::{EventType, Names};
use crate::reactor::{Reactor, Ready};
use crate::server::Server;
use crate::socket::Socket;
use crate::sys;
use traffic::drop_input;

pub(crate) struct Objects {
    loops: Table<Loop>,
    servers: Table<Server>,
    sockets: Table<Socket>,
    connections: Table<Connection>,
    events: Table<Event>,
    values: Table<values::Value>,
    pub(crate) names: Names,
    /// The listener list that all others begin with.
    no_listeners: Rc<Plan>,
    /// The thread's own loop, made at first use.
    default_loop: Option<Key>,
    /// Connections that have something to send when the running listener ends.
    dirty: Vec<Key>,
    /// How many dispatches are under way, one inside the other.
    pub(crate) depth: u32,
    /// Destructors and cancellations that are due, to be run when no listener is running.
    due: Vec<Call>,
    /// They are being run.
    draining: bool,
    /// Messages for the log, to be handed over when nothing is borrowed.
    notes: Vec<(Level, String)>,
    /// How many attempts to connect have been made; each has its number.
    attempts: u64,
    epoch: u32,
}

/// An event loop and what its turns need.
pub(crate) struct Loop {
    pub life: Life,
    /// The thread's own, which nobody holds a reference to.
    is_default: bool,
    pub user: UserData,
    pub reactor: Reactor,
    pub polling: bool,
    /// How many dispatches on its objects are under way.
    pub dispatches: u32,
    /// Listening servers and open connections: what can still bring an event.
    pub active: usize,
    /// Sockets whose outputProgress is due at the end of the turn.
    pub progress: Vec<Key>,
    /// Scratch lists of a turn, kept for their capacity.
    pub batch: Vec<Ready>,
    pub accepting: Vec<Key>,
}

thread_local! {
    static OBJECTS: RefCell<Objects> = RefCell::new(Objects::new());
}

impl Loop {
    /// A dispatch begins.
    #[inline]
    fn enter(&mut self) {
        self.life.pins += 1;
        self.dispatches += 1;
    }

    /// The host has given it up in the middle of a turn: it lives on only until that ends, and brings no events.
    #[inline]
    fn is_released(&self) -> bool {
        self.life.references == 0 && !self.is_default
    }

    /// Neither polled nor in a listener: a turn may begin.
    pub(crate) fn check_idle(&self) -> Result<()> {
        match self.polling || self.dispatches > 0 {
            true => Err(Failure::reentrant()),
            false => Ok(()),
        }
    }
}

/// One step on this thread's objects. `step` must not call the host.
#[inline]
pub(crate) fn with<T>(step: impl FnOnce(&mut Objects) -> Result<T>) -> Result<T> {
    OBJECTS
        .try_with(|objects| match objects.try_borrow_mut() {
            Ok(mut objects) => {
                if objects.epoch != sys::fork_epoch() {
                    objects.leave_to_the_parent();
                }
                step(&mut objects)
            }
            // Only a signal handler of the host can get here.
            Err(_) => Err(Failure::reentrant()),
        })
        // The thread is ending, and its objects are gone.
        .unwrap_or_else(|_| Err(Failure::stale_handle()))
}

/// A step that cannot fail. On a thread that is ending, where nothing is left to work on, it gives the default.
#[inline]
pub(crate) fn step<T: Default>(step: impl FnOnce(&mut Objects) -> T) -> T {
    with(|objects| Ok(step(objects))).unwrap_or_default()
}

/// Cleaning up on the way out of a function, which may be a panic's: a second one would end the process.
pub(crate) fn after_a_panic(clean_up: impl FnOnce()) {
    match std::thread::panicking() {
        false => clean_up(),
        true => drop(catch_unwind(AssertUnwindSafe(clean_up))),
    }
}

/// Runs the destructors that are due, unless a listener is running: what it uses must not go away under it.
#[inline]
pub(crate) fn run_due() {
    loop {
        let (calls, notes) = step(Objects::take_due);
        for (level, message) in notes {
            log::write(level, &message);
        }
        if calls.is_empty() {
            return;
        }
        calls.into_iter().for_each(Call::run);
        step(|objects| objects.draining = false);
    }
}

impl Objects {
    fn new() -> Self {
        Objects {
            loops: Table::new(Kind::Loop),
            servers: Table::new(Kind::Server),
            sockets: Table::new(Kind::Socket),
            connections: Table::new(Kind::Connection),
            events: Table::new(Kind::Event),
            values: Table::new(Kind::Value),
            names: Names::new(),
            no_listeners: Plan::empty(),
            default_loop: None,
            dirty: Vec::new(),
            depth: 0,
            due: Vec::new(),
            draining: false,
            notes: Vec::new(),
            attempts: 0,
            epoch: sys::fork_epoch(),
        }
    }

    #[inline]
    pub(crate) fn is_something_due(&self) -> bool {
        !self.notes.is_empty() || self.may_run_due()
    }

    #[inline]
    fn may_run_due(&self) -> bool {
        !self.due.is_empty() && self.depth == 0 && !self.draining
    }

    fn take_due(&mut self) -> (Vec<Call>, Vec<(Level, String)>) {
        let notes = std::mem::take(&mut self.notes);
        if !self.may_run_due() {
            return (Vec::new(), notes);
        }
        self.draining = true;
        (std::mem::take(&mut self.due), notes)
    }

    pub(crate) fn new_loop(&mut self, life: Life) -> Result<Key> {
        inject::point();
        let reactor =
            Reactor::new().map_err(|error| Failure::invalid_socket().with_system("make an event loop", &error, ""))?;
        let remote = reactor.remote().clone();
        let key = self.loops.insert(Loop {
            life,
            is_default: false,
            user: UserData::NONE,
            reactor,
            polling: false,
            dispatches: 0,
            active: 0,
            progress: Vec::new(),
            batch: Vec::new(),
            accepting: Vec::new(),
        })?;
        handle::publish(key, remote);
        Ok(key)
    }

    /// The loop that `None` stands for.
    pub(crate) fn default_loop(&mut self) -> Result<Key> {
        if let Some(key) = self.default_loop
            && self.loops.get(key).is_some()
        {
            return Ok(key);
        }
        let key = self.new_loop(Life::PINNED)?;
        self.loops.find_mut(key)?.is_default = true;
        self.default_loop = Some(key);
        Ok(key)
    }

    #[inline]
    pub(crate) fn is_alive(&self, home: Key) -> bool {
        self.loops.get(home).is_some_and(|event_loop| !event_loop.is_released())
    }

    /// The descriptor on which a host may wait for the loop. From now on it tells of our own work, too.
    pub(crate) fn export_loop(&mut self, key: Key) -> Result<i64> {
        let work = self.patience(key)? == 0;
        let reactor = &mut self.loops.find_mut(key)?.reactor;
        let descriptor = reactor.export().ok_or_else(Failure::unsupported)?;
        if work {
            reactor.has_work();
        }
        Ok(descriptor)
    }

    /// How many milliseconds the loop can wait before it has something to do by itself; -1 is without end.
    pub(crate) fn patience(&self, key: Key) -> Result<i32> {
        let event_loop = self.loops.find(key)?;
        if !self.dirty.is_empty() || !event_loop.progress.is_empty() {
            return Ok(0);
        }
        let patience = event_loop.reactor.patience();
        // Rounded up: a host that comes too early would come again at once.
        let milliseconds = |patience: Duration| patience.as_micros().div_ceil(1000).try_into().unwrap_or(i32::MAX);
        Ok(patience.map_or(-1, milliseconds))
    }

    pub(crate) fn new_server(&mut self, home: Key) -> Result<Key> {
        inject::point();
        self.loops.find(home)?;
        self.servers.insert(Server::new(home))
    }

    /// The event's use of its type's name passes to the table.
    #[inline(always)]
    pub(crate) fn new_event(&mut self, event: Event) -> Result<Key> {
        let kind = event.kind;
        let inserted = self.events.insert(event);
        if inserted.is_err() {
            self.names.release(kind);
        }
        inserted
    }

    pub(crate) fn event_loop(&self, key: Key) -> Result<&Loop> {
        self.loops.find(key)
    }

    pub(crate) fn event_loop_mut(&mut self, key: Key) -> Result<&mut Loop> {
        self.loops.find_mut(key)
    }

    pub(crate) fn server(&self, key: Key) -> Result<&Server> {
        self.servers.find(key)
    }

    pub(crate) fn socket(&self, key: Key) -> Result<&Socket> {
        self.sockets.find(key)
    }

    pub(crate) fn event(&self, key: Key) -> Result<&Event> {
        self.events.find(key)
    }

    pub(crate) fn event_mut(&mut self, key: Key) -> Result<&mut Event> {
        self.events.find_mut(key)
    }

    /// The target of an event, if it is still there.
    #[inline]
    pub(crate) fn target_of(&self, event: Key) -> Result<Option<Key>> {
        let event = self.events.find(event)?;
        // While the event is dispatched its target is pinned.
        Ok(event.target.filter(|target| event.life.pins > 0 || self.lives(*target)))
    }

    /// Whether an object that was remembered, a target say, is still there.
    pub(crate) fn lives(&self, key: Key) -> bool {
        self.servers.get(key).is_some() || self.sockets.get(key).is_some()
    }

    fn life(&mut self, key: Key) -> Result<&mut Life> {
        match key.kind() {
            Some(Kind::Loop) => self.loops.find_mut(key).map(|object| &mut object.life),
            Some(Kind::Server) => self.servers.find_mut(key).map(|object| &mut object.life),
            Some(Kind::Socket) => self.sockets.find_mut(key).map(|object| &mut object.life),
            Some(Kind::Event) => self.events.find_mut(key).map(|object| &mut object.life),
            Some(Kind::Value) => self.value_life(key),
            _ => Err(Failure::stale_handle()),
        }
    }

    /// Whether a host's handle is one of a living object.
    pub(crate) fn check(&mut self, key: Key) -> Result<()> {
        self.life(key).map(|_| ())
    }

    pub(crate) fn retain(&mut self, key: Key) -> Result<()> {
        inject::point();
        let life = self.life(key)?;
        life.references = life.references.checked_add(1).ok_or_else(Failure::out_of_range)?;
        Ok(())
    }

    pub(crate) fn release(&mut self, key: Key) -> Result<()> {
        let life = self.life(key)?;
        life.references = life.references.checked_sub(1).ok_or_else(Failure::nothing_to_release)?;
        if life.is_over() {
            self.destroy(key);
        }
        Ok(())
    }

    /// Keeps an object alive through a stretch of the library's own work.
    pub(crate) fn pin(&mut self, key: Key) {
        if let Ok(life) = self.life(key) {
            life.pins += 1;
        }
    }

    #[inline]
    pub(crate) fn unpin(&mut self, key: Key) {
        let life = match key.kind() {
            Some(Kind::Socket) => self.sockets.get_mut(key).map(|object| &mut object.life),
            Some(Kind::Server) => self.servers.get_mut(key).map(|object| &mut object.life),
            _ => self.life(key).ok(),
        };
        if let Some(life) = life {
            life.pins -= 1;
            if life.is_over() {
                self.destroy(key);
            }
        }
    }

    /// The end of a dispatch. Returns whether the event's default was left alone.
    #[inline]
    fn unpin_event(&mut self, key: Key) -> bool {
        let Some(event) = self.events.get_mut(key) else { return false };
        let not_prevented = !event.prevented;
        event.life.pins -= 1;
        if event.life.is_over() {
            self.destroy_event(key);
        }
        not_prevented
    }

    fn destroy(&mut self, key: Key) {
        match key.kind() {
            Some(Kind::Loop) => self.destroy_loop(key),
            Some(Kind::Server) => self.destroy_server(key),
            Some(Kind::Socket) => self.destroy_socket(key, true),
            Some(Kind::Event) => self.destroy_event(key),
            Some(Kind::Value) => self.destroy_value(key),
            _ => {}
        }
    }

    fn destroy_event(&mut self, key: Key) {
        inject::point();
        if let Some(event) = self.events.remove(key) {
            self.names.release(event.kind);
            self.due.extend(event.user.into_destructor());
        }
    }

    fn destroy_server(&mut self, key: Key) {
        inject::point();
        let _ = self.close_server(key);
        if let Some(mut server) = self.servers.remove(key) {
            self.bury(&mut server.dispatcher, server.user);
        }
    }

    /// `gently`: what was written is still sent.
    fn destroy_socket(&mut self, key: Key, gently: bool) {
        inject::point();
        if gently {
            let _ = self.close_socket(key);
        }
        self.cancel_attempt(key);
        if let Some(mut socket) = self.sockets.remove(key) {
            if let Some(home) = self.loops.get_mut(socket.home()) {
                drop_input(key, &mut socket, &mut home.reactor);
            }
            let user = socket.take_user();
            self.bury(&mut socket.dispatcher, user);
        }
    }

    /// Ends a loop and everything on it, whoever still holds references to it.
    fn destroy_loop(&mut self, key: Key) {
        handle::withdraw(key);
        for server in keys_of(&self.servers, |server| server.home == key) {
            self.destroy_server(server);
        }
        for socket in keys_of(&self.sockets, |socket| socket.home() == key) {
            self.destroy_socket(socket, false);
        }
        for connection in keys_of(&self.connections, |connection| connection.home() == key) {
            self.drop_connection(connection, false);
        }
        if let Some(ended) = self.loops.remove(key) {
            let cancelled = ended.reactor.remote().close().into_iter().filter_map(|posted| posted.cancelled);
            self.due.extend(cancelled);
            self.due.extend(ended.user.into_destructor());
        }
    }

    /// Puts what a dead object owes to the host on the list.
    fn bury(&mut self, dispatcher: &mut Dispatcher, user: UserData) {
        dispatcher.clear(|kind, destructor| {
            self.names.release(kind);
            self.due.extend(destructor);
        });
        self.due.extend(user.into_destructor());
    }

    fn user(&mut self, key: Key) -> Result<&mut UserData> {
        match key.kind() {
            Some(Kind::Loop) => self.loops.find_mut(key).map(|object| &mut object.user),
            Some(Kind::Server) => self.servers.find_mut(key).map(|object| &mut object.user),
            Some(Kind::Socket) => self.sockets.find_mut(key)?.make_rare().map(|rare| &mut rare.user),
            Some(Kind::Event) => self.events.find_mut(key).map(|object| &mut object.user),
            Some(Kind::Value) => self.value_user(key),
            _ => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn set_user(&mut self, key: Key, user: UserData) -> Result<()> {
        let old = std::mem::replace(self.user(key)?, user);
        self.due.extend(old.into_destructor());
        Ok(())
    }

    pub(crate) fn user_data(&mut self, key: Key) -> Result<*mut c_void> {
        if key.kind() == Some(Kind::Socket) {
            return Ok(self.sockets.find(key)?.rare().map_or(std::ptr::null_mut(), |rare| rare.user.data));
        }
        self.user(key).map(|user| user.data)
    }

    pub(crate) fn native_handle(&self, key: Key) -> Result<i64> {
        let handle = match key.kind() {
            Some(Kind::Server) => self.servers.find(key)?.native_handle(),
            Some(Kind::Socket) => {
                let connection = self.sockets.find(key)?.connection;
                connection.and_then(|key| self.connections.get(key)).map(Connection::native_handle)
            }
            _ => return Err(Failure::stale_handle()),
        };
        handle.ok_or_else(|| Failure::invalid_socket().because("it has no descriptor until it is bound or connected"))
    }

    /// Keeps a target alive through a dispatch. Returns its loop.
    #[inline]
    pub(crate) fn pin_target(&mut self, target: Key) -> Result<Key> {
        let (life, home) = match target.kind() {
            Some(Kind::Server) => self.servers.find_mut(target).map(|object| (&mut object.life, object.home)),
            Some(Kind::Socket) => self.sockets.find_mut(target).map(|object| (&mut object.life, object.origin.home)),
            _ => Err(Failure::stale_handle()),
        }?;
        life.pins += 1;
        Ok(home)
    }

    #[inline(always)]
    pub(crate) fn dispatcher(&self, target: Key) -> Result<&Dispatcher> {
        match target.kind() {
            Some(Kind::Server) => self.servers.find(target).map(|object| &object.dispatcher),
            Some(Kind::Socket) => self.sockets.find(target).map(|object| &object.dispatcher),
            _ => Err(Failure::stale_handle()),
        }
    }

    fn dispatcher_mut(&mut self, target: Key) -> Result<&mut Dispatcher> {
        match target.kind() {
            Some(Kind::Server) => self.servers.find_mut(target).map(|object| &mut object.dispatcher),
            Some(Kind::Socket) => self.sockets.find_mut(target).map(|object| &mut object.dispatcher),
            _ => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn add_listener(
        &mut self,
        target: Key,
        kind: &CStr,
        callback: Callback,
        destroy: Option<unsafe extern "C" fn(*mut c_void)>,
        capture: bool,
        priority: i32,
    ) -> Result<()> {
        inject::point();
        self.dispatcher(target)?;
        let kind = self.names.acquire(kind)?;
        let new = Registration { kind, callback, destroy, capture, priority };
        let empty = self.no_listeners.clone();
        match self.dispatcher_mut(target)?.add(&new, &empty) {
            Ok(true) => {
                if kind == EventType::CONNECT && target.kind() == Some(Kind::Server) {
                    self.resume_accepting(target);
                }
                Ok(())
            }
            outcome => {
                self.names.release(kind);
                outcome.map(|_| ())
            }
        }
    }

    pub(crate) fn remove_listener(
        &mut self,
        target: Key,
        kind: &CStr,
        callback: &Callback,
        capture: bool,
    ) -> Result<()> {
        inject::point();
        let kind = self.names.find(kind);
        let dispatcher = self.dispatcher_mut(target)?;
        if let Some(kind) = kind
            && let Some(destructor) = dispatcher.remove(kind, callback, capture)?
        {
            self.names.release(kind);
            self.due.extend(destructor);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn next_listener(&self, target: Key, walk: &mut Walk) -> Option<Callback> {
        self.dispatcher(target).ok()?.next(walk)
    }

    /// The loop that a server or socket lives on.
    pub(crate) fn home(&self, target: Key) -> Result<Key> {
        match target.kind() {
            Some(Kind::Server) => self.servers.find(target).map(|object| object.home),
            Some(Kind::Socket) => self.sockets.find(target).map(Socket::home),
            _ => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn has_listener(&self, target: Key, kind: &CStr) -> Result<bool> {
        let dispatcher = self.dispatcher(target)?;
        Ok(self.names.find(kind).is_some_and(|kind| dispatcher.has(kind)))
    }
}

fn keys_of<T>(table: &Table<T>, of_interest: impl Fn(&T) -> bool) -> Vec<Key> {
    table.iter().filter(|(_, object)| of_interest(object)).map(|(key, _)| key).collect()
}

impl Drop for Objects {
    /// The thread ends, and everything on it.
    fn drop(&mut self) {
        if self.epoch != sys::fork_epoch() {
            self.leave_to_the_parent();
        }
        for key in keys_of(&self.loops, |_| true) {
            self.destroy_loop(key);
        }
        for key in keys_of(&self.events, |_| true) {
            self.destroy_event(key);
        }
        for key in keys_of(&self.values, |_| true) {
            self.destroy_value(key);
        }
        std::mem::take(&mut self.due).into_iter().for_each(Call::run);
    }
}

impl Objects {
    /// In a child process: everything so far is the parent's, and is neither used nor ended here. Winding connections
    /// up, or taking them out of the poller that both share, would disturb the parent. The child begins anew.
    #[cold]
    fn leave_to_the_parent(&mut self) {
        std::mem::forget(std::mem::replace(self, Objects::new()));
    }

    /// Has a message logged, if anybody reads the log.
    pub(crate) fn report(&mut self, level: Level, message: impl FnOnce() -> String) {
        if log::is_set() {
            self.notes.push((level, message()));
        }
    }
}
