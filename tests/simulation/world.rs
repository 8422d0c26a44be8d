// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host and its listeners: one loop, one server, and all the lives on it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::time::Duration;

use server_socket::simulate::{self, Odds, Peer};
use server_socket::*;

use super::life::{Life, Limits, Phase};
use support::*;

/// For how many milliseconds the system tries to connect.
const SYSTEM_TIMEOUT: u32 = 127_000;

pub const MINE: &std::ffi::CStr = c"mine";

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    static MADE: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

/// What this run is like.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    pub odds: Odds,
    /// The size of the system's queues, at most.
    pub buffers: usize,
    /// The size of what is written, mostly.
    pub message: usize,
    pub population: usize,
    pub has_limits: bool,
    pub has_clocks: bool,
    /// Connections are half-open from the beginning.
    pub half_open: bool,
    /// How long a turn may wait, at most, in milliseconds.
    pub wait: usize,
}

/// A server that ends in its time.
#[derive(Clone, Copy, Debug)]
pub struct Draining {
    pub server: *mut ss_server,
    pub number: usize,
    pub port: u16,
    pub deadline: Duration,
}

pub struct World {
    pub random: Random,
    pub mood: Mood,
    pub events: *mut ss_loop,
    pub server: *mut ss_server,
    /// There were as many before.
    pub server_number: usize,
    pub draining: Vec<Draining>,
    pub port: u16,
    pub lives: Vec<Life>,
    /// Lives that go on at one of their ends.
    pub active: Vec<usize>,
    pub of_socket: BTreeMap<usize, usize>,
    of_port: BTreeMap<u16, usize>,
    /// The ports that we call.
    called: BTreeMap<u16, usize>,
    pub defaults: Limits,
    pub max_connections: u64,
    pub linger_bytes: u64,
    /// How much all connections of a server may have unread, where that was set.
    pub unread_limits: BTreeMap<usize, u64>,
    /// When there may last have come to be room for unread input.
    pub relief: Duration,
    pub server_paused: bool,
    pub turn: u64,
    pub heard: u64,
    pub accepted: u64,
    pub refused: u64,
    pub errors: u64,
    /// Listeners only listen.
    pub quiet: bool,
    pub traces: bool,
}

pub fn with<T>(act: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| act(world.as_mut().expect("there is a world")))
}

pub fn set(world: World) {
    WORLD.set(Some(world));
}

pub fn take() -> World {
    WORLD.take().expect("there is a world")
}

macro_rules! trace {
    ($world:expr, $($what:tt)*) => {
        if $world.traces {
            eprintln!("{:>6} {:>10.3?} {}", $world.turn, simulate::clock(), format!($($what)*));
        }
    };
}
pub(crate) use trace;

extern "C-unwind" fn freed(_: *mut c_void) {
    FREED.set(FREED.get() + 1);
}

/// A destructor, or a task, that is owed from now on.
pub fn owe() -> extern "C-unwind" fn(*mut c_void) {
    MADE.set(MADE.get() + 1);
    freed
}

/// A timer of the host's, and what is known of it.
struct Ticking {
    timer: *mut ss_timer,
    due: Duration,
    /// How often it starts itself anew, or is called again by itself after each period.
    again: u32,
    period: u32,
}

extern "C-unwind" fn tick(data: *mut c_void) {
    let ticking = unsafe { &mut *data.cast::<Ticking>() };
    keep_panic(|| assert!(simulate::clock() >= ticking.due, "a timer is early"));
    if ticking.again == 0 {
        return ok(release(ticking.timer));
    }
    ticking.again -= 1;
    if ticking.period > 0 {
        ticking.due = simulate::clock() + milliseconds(ticking.period.into());
        return;
    }
    let delay = ticking.again * 70;
    ticking.due = simulate::clock() + Duration::from_millis(delay.into());
    ok(ss_timer_set(ticking.timer, delay, 0));
}

extern "C-unwind" fn end_ticking(data: *mut c_void) {
    drop(unsafe { Box::from_raw(data.cast::<Ticking>()) });
    freed(null_mut());
}

/// A timer that ends itself when it has come as often as it is to.
pub fn begin_timer(events: *mut ss_loop, delay: u32, again: u32, period: u32) {
    owe();
    let due = simulate::clock() + Duration::from_millis(delay.into());
    let data = Box::into_raw(Box::new(Ticking { timer: null_mut(), due, again, period }));
    let timer = unsafe { ss_timer_new(events, delay, period, Some(tick), data.cast(), Some(end_ticking)) };
    assert!(!timer.is_null(), "{:?}", last_error());
    unsafe { (*data).timer = timer };
}

/// How many destructors are owed and how many have run.
pub fn destructors() -> (usize, usize) {
    (MADE.get(), FREED.get())
}

#[track_caller]
fn listen(target: *mut c_void, kind: &std::ffi::CStr, listener: extern "C-unwind" fn(*mut ss_event, *mut c_void)) {
    ok(unsafe { ss_add_listener_full(target, kind.as_ptr(), Some(listener), null_mut(), Some(owe()), false, 0) });
}

/// A new server that listens.
pub fn serve(events: *mut ss_loop, defaults: Limits) -> *mut ss_server {
    let server = ss_new(events);
    ok(ss_set_option(server.cast(), SS_OPT_HALF_OPEN, defaults.half_open.into()));
    ok(unsafe { ss_bind(server, 0, c"127.0.0.1".as_ptr()) });
    while ss_listen(server, 0) != SS_OK {
        assert!([libc::ENOMEM, libc::ENOSPC].contains(&ss_last_os_error()), "{:?}", last_error());
    }
    listen(server.cast(), CONNECT, on_accepted);
    listen(server.cast(), CLOSE, on_drained);
    server
}

impl World {
    pub fn new(seed: u64, mood: Mood) -> World {
        MADE.set(0);
        FREED.set(0);
        let events = ss_loop_new();
        let defaults = Limits { half_open: mood.half_open, ..Limits::DEFAULT };
        let server = serve(events, defaults);
        World {
            random: Random(seed),
            mood,
            events,
            server,
            server_number: 0,
            draining: Vec::new(),
            port: ss_local_port(server) as u16,
            lives: Vec::new(),
            active: Vec::new(),
            of_socket: BTreeMap::new(),
            of_port: BTreeMap::new(),
            called: BTreeMap::new(),
            defaults,
            max_connections: 0,
            linger_bytes: 256 << 20,
            unread_limits: BTreeMap::new(),
            relief: Duration::ZERO,
            server_paused: false,
            turn: 0,
            heard: 0,
            accepted: 0,
            refused: 0,
            errors: 0,
            quiet: false,
            traces: std::env::var_os("SS_SIMULATION_TRACE").is_some(),
        }
    }

    fn add(&mut self, life: Life) -> usize {
        let number = life.number;
        self.lives.push(life);
        self.active.push(number);
        number
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.random.below(100) < percent
    }

    /// A size, small mostly.
    pub fn size(&mut self, most: usize) -> usize {
        let bits = usize::BITS - most.leading_zeros();
        let bit = self.random.below(bits as usize + 1);
        1 + self.random.below((1 << bit).min(most))
    }

    fn life_of(&self, event: *mut ss_event) -> usize {
        let target = ss_event_target(event) as usize;
        *self.of_socket.get(&target).expect("an event of a socket that we know")
    }
}

// ---- Coming to be ---------------------------------------------------------------------------------------------------

impl World {
    pub fn peer_connects(&mut self) {
        let Some(peer) = simulate::connect(self.port) else { return };
        let mut life = Life::new(self.lives.len(), Phase::Waiting, self.defaults);
        life.peer = Some(peer);
        life.may_be_cut = self.mood.has_limits;
        life.server = self.server_number;
        self.give_buffers(peer);
        self.of_port.insert(peer.address().port(), life.number);
        trace!(self, "life {} waits", life.number);
        self.add(life);
    }

    /// We call somebody, with a new socket or with one that has no connection any more.
    pub fn call(&mut self, socket: Option<usize>) {
        let number = self.lives.len();
        if let Some(old) = socket {
            self.has_closed(old, Phase::Closed);
        }
        let limits = socket.map_or(Limits::DEFAULT, |old| self.lives[old].limits);
        let mut life = Life::new(number, Phase::Connecting, limits);
        life.kept = true;
        life.by_library = match socket {
            Some(old) => self.lives[old].by_library,
            None => self.chance(30),
        };
        let keeps = life.by_library && socket.is_none();
        life.socket = match socket {
            Some(old) => {
                self.lives[old].kept = false;
                life.timeout = self.lives[old].timeout;
                life.shortest_timeout = if life.timeout > 0 { life.timeout } else { SYSTEM_TIMEOUT };
                life.has_rate = self.lives[old].has_rate;
                self.lives[old].socket
            }
            None => {
                let socket = ss_socket_new(self.events);
                self.furnish(socket);
                socket
            }
        };
        let port = 1 + (number % 65_000) as u16;
        ok(unsafe { ss_socket_connect(life.socket, c"10.9.8.7".as_ptr(), port.into()) });
        if keeps {
            ok(ss_socket_keep(life.socket));
            ok(ss_release(life.socket.cast()));
        }
        self.of_socket.insert(life.socket as usize, number);
        self.called.insert(port, number);
        trace!(self, "life {number} calls, socket of {socket:?}");
        self.add(life);
        self.meet_called();
    }

    /// Not too small ones: what goes byte by byte takes its time.
    fn give_buffers(&mut self, peer: Peer) {
        let least = self.mood.message.min(self.mood.buffers) / 10 + 1;
        let [inbound, outbound, window] = [(); 3].map(|()| least + self.size(self.mood.buffers));
        peer.set_buffers(inbound, outbound);
        peer.set_window(window);
    }

    /// Takes note of whom the library has called.
    pub fn meet_called(&mut self) {
        for peer in simulate::called() {
            let number = self.called[&peer.address().port()];
            self.give_buffers(peer);
            self.lives[number].peer = Some(peer);
        }
    }

    /// Gives a socket its listeners and its word.
    fn furnish(&mut self, socket: *mut ss_socket) {
        ok(unsafe { ss_set_user_data(socket.cast(), null_mut(), Some(owe())) });
        listen(socket.cast(), CONNECT, on_connected);
        listen(socket.cast(), SOCKET_DATA, on_data);
        listen(socket.cast(), OUTPUT_PROGRESS, on_progress);
        listen(socket.cast(), CLOSE, on_close);
        listen(socket.cast(), END, on_end);
        listen(socket.cast(), IO_ERROR, on_error);
        listen(socket.cast(), MINE, on_mine);
    }

    fn accept(&mut self, event: *mut ss_event) -> usize {
        let socket = ss_event_socket(event);
        let number = self.of_port[&(ss_socket_remote_port(socket) as u16)];
        let target = ss_event_target(event).cast::<ss_server>();
        let draining = self.draining.iter().find(|draining| draining.server == target).copied();
        if draining.is_none() {
            self.check_accepting();
        }
        let (limits, by_library) = (self.defaults, self.chance(40));
        let life = &mut self.lives[number];
        life.by_library = by_library;
        assert_eq!(life.phase, Phase::Waiting, "{life:?}: accepted twice");
        (life.phase, life.socket, life.limits, life.kept) = (Phase::Open, socket, limits, true);
        life.server = draining.map_or(self.server_number, |draining| draining.number);
        life.deadline = draining.map(|draining| draining.deadline);
        (life.was_half_open, life.was_whole, life.hears_since) =
            (limits.half_open, !limits.half_open, simulate::clock());
        (life.shortest_idle, life.last_traffic) = ((limits.idle > 0).then_some(limits.idle), simulate::clock());
        self.of_socket.insert(socket as usize, number);
        self.accepted += u64::from(draining.is_none());
        ok(if by_library { ss_socket_keep(socket) } else { ss_retain(socket.cast()) });
        self.furnish(socket);
        trace!(self, "life {number} is accepted");
        number
    }

    fn check_accepting(&self) {
        let stats = self.figures();
        assert!(!self.server_paused, "accepted although the server is paused");
        if self.max_connections > 0 {
            assert!(stats.open + stats.lingering <= self.max_connections, "too many connections: {stats:?}");
        }
    }

    /// A server that drains is told that it has drained, or that its time is over.
    fn drained(&mut self, event: *mut ss_event) {
        let (target, os_error) = (ss_event_target(event).cast::<ss_server>(), ss_event_os_error(event));
        let place = self.draining.iter().position(|draining| draining.server == target).expect("a server that drains");
        let Draining { server, number, deadline, .. } = self.draining.remove(place);
        trace!(self, "server {number} has drained: {os_error}");
        assert!(!ss_bound(server), "its port is in use");
        for life in self.lives.iter().filter(|life| life.is_of(number)) {
            assert!(!life.peer().facts().open && !life.is_connected(), "{life:?}: its server has drained");
        }
        match os_error {
            0 if self.mood.odds.aborted == 0 => {
                let waits = |life: &&Life| life.phase == Phase::Waiting && life.server == number && !life.peer_gone;
                assert_eq!(self.lives.iter().find(waits).map(|life| life.number), None, "who waited was lost");
            }
            0 => {}
            error => assert!(error == libc::ETIMEDOUT && simulate::clock() >= deadline, "{error} at {deadline:?}"),
        }
        ok(ss_release(server.cast()));
    }
}

// ---- Listeners ------------------------------------------------------------------------------------------------------

/// What a listener does after the world has taken note of its event: no borrow lives meanwhile.
fn hear(note: impl FnOnce(&mut World) -> Option<usize>) {
    keep_panic(|| {
        let own = with(|world| {
            world.heard += 1;
            let number = note(world)?;
            if world.quiet {
                return None;
            }
            super::schedule::react(world, number);
            world.dispatches(number, 8)
        });
        if let Some(socket) = own {
            dispatch_mine(socket);
        }
    });
}

/// The host dispatches an event of its own.
pub fn dispatch_mine(socket: *mut ss_socket) {
    let event = unsafe { ss_event_new(MINE.as_ptr(), false, false) };
    either_way(unsafe { ss_dispatch_event(socket.cast(), event, null_mut()) });
    ok(ss_release(event.cast()));
}

impl World {
    /// Whether the host dispatches an event of its own now.
    pub fn dispatches(&mut self, number: usize, percent: usize) -> Option<*mut ss_socket> {
        (self.chance(percent) && self.lives[number].kept).then(|| self.lives[number].socket)
    }
}

extern "C-unwind" fn on_accepted(event: *mut ss_event, _: *mut c_void) {
    let number = Cell::new(0);
    hear(|world| {
        number.set(world.accept(event));
        Some(number.get())
    });
    keep_panic(|| {
        with(|world| {
            let life = &world.lives[number.get()];
            world.refused += u64::from(life.is_of(world.server_number) && !(life.kept && life.is_open()));
        });
    });
}

extern "C-unwind" fn on_connected(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let number = world.life_of(event);
        let life = &mut world.lives[number];
        assert_eq!(life.phase, Phase::Connecting, "{life:?}: connected");
        (life.phase, life.last_traffic) = (Phase::Open, simulate::clock());
        life.hears_since = simulate::clock();
        trace!(world, "life {number} is connected");
        Some(number)
    });
}

extern "C-unwind" fn on_data(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let (number, turn, loaded) = (world.life_of(event), world.turn, ss_event_bytes_loaded(event));
        trace!(world, "life {number}: told of {loaded} bytes");
        world.lives[number].hear_data(loaded, turn);
        world.lives[number].last_traffic = simulate::clock();
        Some(number)
    });
}

extern "C-unwind" fn on_progress(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let (number, turn) = (world.life_of(event), world.turn);
        trace!(world, "life {number}: told of progress");
        world.lives[number].hear_progress(ss_event_bytes_pending(event), ss_event_bytes_total(event), turn);
        Some(number)
    });
}

extern "C-unwind" fn on_close(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let (number, os_error) = (world.life_of(event), ss_event_os_error(event));
        let server = world.server_number;
        trace!(world, "life {number}: told of the end, {os_error}");
        let life = &mut world.lives[number];
        let counts = os_error != 0 && life.error.is_none() && life.is_of(server);
        life.hear_close(os_error);
        world.errors += u64::from(counts);
        world.relief = simulate::clock();
        Some(number)
    });
    heard(event);
}

/// All of this event is heard: it may have been the last of a socket that the library holds.
fn heard(event: *mut ss_event) {
    let target = ss_event_target(event) as usize;
    keep_panic(|| {
        with(|world| {
            // It may have been connected anew.
            if let Some(number) = world.of_socket.get(&target).copied() {
                world.let_go(number);
            }
        });
    });
}

extern "C-unwind" fn on_end(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let number = world.life_of(event);
        trace!(world, "life {number}: told of its peer's end");
        world.lives[number].hear_end();
        Some(number)
    });
}

extern "C-unwind" fn on_drained(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        world.drained(event);
        None
    });
}

extern "C-unwind" fn on_error(event: *mut ss_event, _: *mut c_void) {
    hear(|world| {
        let (number, os_error) = (world.life_of(event), ss_event_os_error(event));
        let server = world.server_number;
        trace!(world, "life {number}: told of error {os_error}");
        let life = &mut world.lives[number];
        let counts = life.is_open() && life.is_of(server);
        life.hear_error(os_error);
        world.errors += u64::from(counts);
        Some(number)
    });
    heard(event);
}

extern "C-unwind" fn on_mine(event: *mut ss_event, _: *mut c_void) {
    hear(|world| Some(world.life_of(event)));
}

/// One turn. Returns how many events it brought.
pub fn turn(events: *mut ss_loop, milliseconds: i32) -> u32 {
    with(|world| world.turn += 1);
    let mut count = 0;
    let status = unsafe { ss_loop_poll(events, milliseconds, &mut count) };
    rethrow();
    ok(status);
    with(World::meet_called);
    count
}

/// The lives that the world no longer watches are forgotten.
pub fn sweep(world: &mut World) {
    let lives = &world.lives;
    world.active.retain(|number| !lives[*number].is_over());
}

pub fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
