// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that one thread owns: its loops, events, values and event types, and what is due to the host.
//!
//! All of it lies in one cell of the thread. [`with`] borrows it for the length of one step; no borrow is ever alive while
//! a function of the host runs, since only `driver` calls those.

mod frames;
mod objects;
mod tls;

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::core::connection::Notes;
use crate::core::event_loop::Loop;
use crate::core::event_loop::turn::Waiting;
use crate::core::events::listeners::{List, Registration};
use crate::core::events::{EventType, Events, Keep, Life};
use crate::core::host::Due;
use crate::core::server::ServerRef;
use crate::core::socket::SocketRef;
use crate::core::timer::TimerRef;
use crate::core::tls::Tls;
use crate::core::values::Values;
use crate::error::{Failure, Result};
use crate::handle::{self, Key, Kind, Object, Table};
use crate::inject;
use crate::log::{self, Level};
use crate::memory;
use crate::reactor::{Reactor, ReceiveBuffer, Remote};
use crate::sys;
use frames::Frame;
pub(crate) use frames::{BESIDE, FrameNumber};
pub(crate) use objects::NewListener;

pub(crate) struct Thread {
    #[expect(clippy::vec_box, reason = "a loop is large, and stays where it is when others end")]
    loops: Vec<Box<Loop>>,
    /// The one that was used last: nearly always the next one, too.
    recent: usize,
    /// Gives the loops their keys.
    loop_keys: Table<LoopKey>,
    /// The thread's own loop, made at first use.
    default_loop: Option<Key>,
    /// It was left behind in the parent process, with servers or sockets on it.
    left_behind: bool,
    pub events: Events,
    pub values: Values,
    tls: Table<Tls>,
    /// The listener list that all others begin with.
    no_listeners: Option<Rc<List>>,
    pub due: Due,
    /// What the log was told on this thread.
    hints: Notes,
    /// The driver's work under way, one inside the other.
    frames: Vec<Frame>,
    /// How many there were.
    serial: u64,
    /// The last of them, if it is a turn, and where its loop is.
    turn: (u64, usize),
    /// Of the process, as far as forks go.
    epoch: u32,
    epoch_before: u32,
}

/// A loop's key opens nothing but this: the loops themselves lie beside their table.
struct LoopKey;

impl Object for LoopKey {
    const KIND: Kind = Kind::Loop;
}

thread_local! {
    // Ended by `END`, so that coming by it costs nothing but finding it.
    static THREAD: RefCell<ManuallyDrop<Thread>> = const { RefCell::new(ManuallyDrop::new(Thread::new())) };
    static END: End = const { End };
    /// [`Thread::default_loop`] for signal handlers, which may have interrupted a step. It may be one that has ended.
    static OWN_LOOP: Cell<Option<Key>> = const { Cell::new(None) };
}

/// [`Thread::epoch`] of a thread that has never used the library, and of one that is ending.
const FRESH: u32 = u32::MAX;
const ENDED: u32 = u32::MAX - 1;
/// And of one that waits: what comes in between is a signal handler of the host's.
const WAITING: u32 = u32::MAX - 2;

/// Ends what the thread owns when it ends itself.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        end();
    }
}

/// Ends what this thread owns. Once: then there is nothing left.
extern "C" fn end() {
    let ended = ManuallyDrop::new(Thread { epoch: ENDED, ..Thread::new() });
    let owned = THREAD.with(|thread| thread.try_borrow_mut().map(|mut thread| std::mem::replace(&mut *thread, ended)));
    if let Ok(owned) = owned {
        ManuallyDrop::into_inner(owned).end();
    }
}

extern "C" fn watch_exit() {
    sys::at_exit(end);
}

sys::at_load!(watch_exit);

/// One step on what this thread owns. `step` must not call the host.
#[inline(always)]
pub(crate) fn with<T>(step: impl FnOnce(&mut Thread) -> Result<T>) -> Result<T> {
    THREAD.with(|thread| match thread.try_borrow_mut() {
        Ok(mut thread) => {
            if thread.epoch != sys::fork_epoch() {
                thread.begin()?;
            }
            step(&mut thread)
        }
        // Only a signal handler of the host can get here.
        Err(_) => Err(Failure::reentrant()),
    })
}

/// The wait of a loop is over, or was cut short.
pub(crate) fn end_wait(key: Key, waiting: Waiting) -> Result<()> {
    THREAD.with(|thread| {
        let mut thread = thread.try_borrow_mut().map_err(|_| Failure::reentrant())?;
        thread.epoch = thread.epoch_before;
        if thread.epoch != sys::fork_epoch() {
            // A signal handler has forked, and this is the child: the poller is the parent's.
            std::mem::forget(waiting);
            return Err(Failure::forked());
        }
        thread.event_loop(key)?.end_wait(waiting);
        Ok(())
    })
}

/// As [`with`], for a step of a few comparisons that cannot fail and cannot panic. `None`: the step is to be taken the usual
/// way.
#[inline(always)]
pub(crate) fn glance<T>(step: impl FnOnce(&mut Thread) -> Option<T>) -> Option<T> {
    THREAD.with(|thread| {
        let mut thread = thread.try_borrow_mut().ok()?;
        if thread.epoch != sys::fork_epoch() {
            return None;
        }
        step(&mut thread)
    })
}

/// The loop of this thread's own, if it has one. Also in a signal handler.
pub(crate) fn own_loop() -> Option<Key> {
    OWN_LOOP.get()
}

/// Why a key is none of a server or a socket of this thread.
#[cold]
fn no_target(key: Key) -> Failure {
    handle::explain(key, &[Kind::Server, Kind::Socket])
}

/// Why a key is none of any object of this thread.
#[cold]
fn no_object(key: Key) -> Failure {
    handle::explain(key, &[Kind::Loop, Kind::Server, Kind::Socket, Kind::Event, Kind::Value, Kind::Tls])
}

/// Whether a step is under way on this thread: what panics now is the library.
pub(crate) fn is_in_a_step() -> bool {
    THREAD.with(|thread| thread.try_borrow_mut().is_err())
}

impl Thread {
    const fn new() -> Self {
        Thread {
            loops: Vec::new(),
            recent: 0,
            loop_keys: Table::new(),
            default_loop: None,
            left_behind: false,
            events: Events::new(),
            values: Values::new(),
            tls: Table::new(),
            no_listeners: None,
            due: Due::new(),
            hints: Notes::new(),
            frames: Vec::new(),
            serial: 0,
            turn: (0, 0),
            epoch: FRESH,
            epoch_before: FRESH,
        }
    }

    /// The thread's first step, in this process.
    #[cold]
    fn begin(&mut self) -> Result<()> {
        if self.epoch == WAITING {
            return Err(Failure::reentrant());
        }
        if self.epoch == ENDED || END.try_with(|_| ()).is_err() {
            // The thread is ending, and what it owned is gone.
            return Err(Failure::stale_handle());
        }
        if self.epoch != FRESH {
            // A child process: everything so far is the parent's, and is neither used nor ended here. Winding connections
            // up, or taking them out of the poller that both share, would disturb the parent. The child begins anew.
            let left_behind = self.left_behind || self.default_loop_is_used();
            std::mem::forget(std::mem::replace(self, Thread { left_behind, ..Thread::new() }));
            if !left_behind {
                OWN_LOOP.set(None);
            }
        }
        self.epoch = sys::fork_epoch();
        Ok(())
    }
}

// ---- Loops ----------------------------------------------------------------------------------------------------------

impl Thread {
    pub(crate) fn new_loop(&mut self, life: Life) -> Result<Key> {
        inject::point();
        self.loops.try_reserve(1).map_err(|_| Failure::no_memory())?;
        let key = self.loop_keys.insert(LoopKey)?;
        let made = Reactor::new(key).and_then(|reactor| Loop::new(key, reactor, life)).and_then(memory::boxed);
        let event_loop = made.inspect_err(|_| self.loop_keys.discard(key))?;
        event_loop.transport.reactor.remote().publish(key);
        self.loops.push(event_loop);
        Ok(key)
    }

    /// The thread's own loop, for a step that goes on with what is there: not a new one in place of the parent's, on which
    /// nothing would ever happen.
    pub(crate) fn inherited_loop(&mut self) -> Result<Key> {
        if self.left_behind && self.default_loop.is_none() {
            return Err(Failure::forked().because(
                "this thread's loop, and what was made on it, is the parent process's: fork, or call daemon(), before \
                 anything is made, or make it anew in the child",
            ));
        }
        self.default_loop()
    }

    fn default_loop_is_used(&self) -> bool {
        self.loops.iter().any(|event_loop| Some(event_loop.key) == self.default_loop && event_loop.is_used())
    }

    /// The loop that `None` stands for.
    pub(crate) fn default_loop(&mut self) -> Result<Key> {
        if let Some(key) = self.default_loop {
            return Ok(key);
        }
        let key = self.new_loop(Life::PINNED)?;
        self.event_loop(key)?.is_default = true;
        self.default_loop = Some(key);
        OWN_LOOP.set(Some(key));
        Ok(key)
    }

    #[inline]
    pub(crate) fn known_default_loop(&self) -> Option<Key> {
        self.default_loop
    }

    /// The loop that `None` stands for, for a caller who wants to drive it and has made nothing on it yet.
    pub(crate) fn default_loop_to_drive(&mut self) -> Result<Key> {
        let key = self.inherited_loop()?;
        if log::is_set() && Remote::any_waits_to_be_polled() {
            self.due.log(Level::Hint, || {
                String::from(
                    "this thread's own loop is driven, on which there is nothing, while another thread's loop has a server and was \
                     never polled. A loop belongs to the thread that has made it, and NULL is the calling thread's own: poll or run \
                     it there",
                )
            });
        }
        Ok(key)
    }

    #[inline]
    pub(crate) fn event_loop(&mut self, key: Key) -> Result<&mut Loop> {
        let is_it = |event_loop: &Loop| event_loop.key == key;
        match self.place(is_it) {
            Some(place) => Ok(&mut *self.loops[place]),
            None => Err(handle::explain(key, &[Kind::Loop])),
        }
    }

    /// The loop on which a server or a socket lives.
    #[inline]
    pub(crate) fn loop_of(&mut self, key: Key) -> Result<&mut Loop> {
        match self.place(|event_loop| event_loop.owns(key)) {
            Some(place) => Ok(&mut *self.loops[place]),
            None => Err(no_target(key)),
        }
    }

    /// Finds a loop. The one that was used last is looked at first.
    #[inline]
    fn place(&mut self, is_it: impl Fn(&Loop) -> bool) -> Option<usize> {
        match self.loops.get(self.recent) {
            Some(recent) if is_it(recent) => Some(self.recent),
            _ => {
                let place = self.loops.iter().position(|event_loop| is_it(event_loop))?;
                self.recent = place;
                Some(place)
            }
        }
    }

    #[inline]
    pub(crate) fn socket(&mut self, key: Key) -> Result<SocketRef<'_>> {
        if !self.loops.get(self.recent).is_some_and(|recent| recent.sockets.owns(key)) {
            self.find_loop_of_socket(key)?;
        }
        match self.loops.get_mut(self.recent) {
            Some(event_loop) => event_loop.socket(key),
            None => Err(Failure::stale_handle()),
        }
    }

    /// The unread bytes of the socket whose listeners are being told of them: for the calls that they make most.
    #[inline(always)]
    pub(crate) fn plainly_lent(&mut self, key: Key) -> Option<&mut ReceiveBuffer> {
        let event_loop = self.loops.get_mut(self.recent)?;
        let buffer = &mut event_loop.transport.reactor.receive_buffer;
        buffer.is_plainly_lent(key).then_some(buffer)
    }

    /// Adds a reference to a socket of the loop that was used last. `None`: that is to be done the usual way.
    #[inline(always)]
    pub(crate) fn retain_socket(&mut self, key: Key) -> Option<()> {
        let life = &mut self.loops.get_mut(self.recent)?.sockets.get_mut(key)?.life;
        life.references = life.references.checked_add(1)?;
        Some(())
    }

    /// Keeps such a socket as long as its connection lasts.
    #[inline(always)]
    pub(crate) fn keep_socket(&mut self, key: Key) -> Option<()> {
        let event_loop = self.loops.get_mut(self.recent)?;
        let socket = event_loop.sockets.get_mut(key)?;
        socket.connection?;
        socket.life.keep = Keep::Now;
        event_loop.transport.keeps = true;
        Some(())
    }

    /// Gives back a reference to such a socket.
    #[inline(always)]
    pub(crate) fn release_socket(&mut self, key: Key) -> Option<()> {
        self.loops.get_mut(self.recent)?.release_socket(key)
    }

    /// Adds a listener to such a socket, if others have the same.
    #[inline(always)]
    pub(crate) fn share_listener(&mut self, key: Key, new: &Registration) -> Option<()> {
        if new.kind == EventType::OUTPUT_PROGRESS {
            return None;
        }
        let listeners = &mut self.loops.get_mut(self.recent)?.sockets.get_mut(key)?.listeners;
        listeners.share(new, self.no_listeners.as_ref()?).then_some(())
    }

    /// An answer of that socket: for the writes that are made most. `None`: it is to be written the usual way.
    #[inline(always)]
    pub(crate) fn gather_answer(&mut self, key: Key, bytes: &[u8]) -> Option<()> {
        let reactor = &mut self.loops.get_mut(self.recent)?.transport.reactor;
        if !reactor.send_buffer.gather_answer(key, bytes) {
            return None;
        }
        reactor.has_work();
        Some(())
    }

    #[cold]
    fn find_loop_of_socket(&mut self, key: Key) -> Result<()> {
        let found = self.place(|event_loop| event_loop.sockets.owns(key));
        found.map(|_| ()).ok_or_else(|| handle::explain(key, &[Kind::Socket]))
    }

    /// All unread bytes of a socket. The loop whose listener or task runs holds them until that returns, since the socket's own
    /// may be polled in it.
    pub(crate) fn take(&mut self, key: Key) -> Result<*const [u8]> {
        self.find_loop_of_socket(key)?;
        let holder = self.loop_of_turn().unwrap_or(self.recent);
        self.loops[holder].transport.reactor.make_room_to_hold()?;
        let (bytes, memory) = self.socket(key)?.take()?;
        if let Some(memory) = memory {
            self.loops[holder].transport.reactor.hold(memory);
        }
        Ok(bytes)
    }

    pub(crate) fn server(&mut self, key: Key) -> Result<ServerRef<'_>> {
        match self.place(|event_loop| event_loop.servers.owns(key)) {
            Some(place) => self.loops[place].server(key),
            None => Err(handle::explain(key, &[Kind::Server])),
        }
    }

    /// A timer of the loop that was used last. `None`: it is to be found the usual way.
    #[inline(always)]
    pub(crate) fn recent_timer(&mut self, key: Key) -> Option<TimerRef<'_>> {
        let Loop { timers, transport, .. } = &mut **self.loops.get_mut(self.recent)?;
        Some(TimerRef { key, timer: timers.get_mut(key)?, transport })
    }

    #[inline]
    pub(crate) fn timer(&mut self, key: Key) -> Result<TimerRef<'_>> {
        match self.place(|event_loop| event_loop.timers.owns(key)) {
            Some(place) => self.loops[place].timer(key),
            None => Err(handle::explain(key, &[Kind::Timer])),
        }
    }

    fn unpin_loop(&mut self, key: Key) {
        let Ok(event_loop) = self.event_loop(key) else { return };
        event_loop.life.pins = event_loop.life.pins.saturating_sub(1);
        if event_loop.life.is_over() {
            self.end_loop(key);
        }
    }

    /// Ends a loop and everything on it.
    fn end_loop(&mut self, key: Key) {
        let Some(place) = self.loops.iter().position(|event_loop| event_loop.key == key) else { return };
        Remote::withdraw(key);
        self.loop_keys.remove(key);
        let event_loop = self.loops.remove(place);
        self.look_at_last_frame();
        if log::is_set() {
            hint_at_what_is_held(&event_loop, &mut self.due);
        }
        event_loop.end(&mut self.events, &mut self.due);
    }
}

/// The host still has references to what ends with its loop.
#[cold]
fn hint_at_what_is_held(event_loop: &Loop, due: &mut Due) {
    let (servers, sockets) = event_loop.count_held();
    if servers + sockets > 0 {
        due.log(Level::Hint, || {
            format!(
                "a loop ends with {servers} servers and {sockets} sockets that were not released: their handles are stale from now \
                 on. Give each reference back with ss_release before, those of accepted sockets when their connection is over"
            )
        });
    }
}

impl Thread {
    /// The thread ends, and everything on it.
    fn end(mut self) {
        if self.epoch != sys::fork_epoch() {
            return std::mem::forget(self);
        }
        while let Some(event_loop) = self.loops.first() {
            self.end_loop(event_loop.key);
        }
        for key in self.events.keys() {
            self.events.destroy(key, &mut self.due);
        }
        self.values.destroy_all(&mut self.due);
        self.destroy_all_tls();
        (self.due.depth, self.due.running) = (0, false);
        crate::driver::at_the_end(self.due);
    }
}
