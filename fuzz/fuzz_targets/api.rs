// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random programs against the exported functions, and against a model of what they must do.
//!
//! The input is the program, a byte or two for each decision. It makes loops, servers, sockets and events, with real
//! peers; registers listeners; and lets turns happen. A listener or task that runs takes its own next steps from the same
//! program, so that everything is called from everywhere. Handles are good ones mostly, and else NULL, stale, another
//! thread's, of another kind, with a bit changed, or garbage.
//!
//! The model says what each call must answer and which listener is called next with what; the peers check that each byte
//! comes once and in order. At the end everything that is on its way must arrive, every destructor must have run, and no
//! descriptor may be left.

#![no_main]

mod common;
mod model;
mod values;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Program, reset};
use model::*;
use server_socket::ss_status::{self, *};
use server_socket::*;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    Trial::begin(data);
    while step() {}
    wind_down();
});

/// A program takes no longer than this many steps, however it is read.
const MAX_STEPS: usize = 400;
/// How much all the peers and sockets of a program may send.
const MAX_TRAFFIC: usize = 1 << 18;

struct Trial {
    program: Program,
    model: Model,
    steps: usize,
    traffic: usize,
    peers: usize,
    tasks: usize,
    /// Descriptors of this process at the beginning.
    descriptors: usize,
    /// Bytes that were taken in listeners and tasks, and must stay until those return.
    taken: Vec<Taken>,
    /// Those that were taken outside of listeners, and must stay until the next poll.
    taken_outside: Vec<Taken>,
}

struct Taken {
    start: *const u8,
    expected: Vec<u8>,
    home: usize,
}

thread_local! {
    static TRIAL: RefCell<Option<Trial>> = const { RefCell::new(None) };
}

/// A look at the trial. Never while the library may call back.
#[track_caller]
fn with<T>(look: impl FnOnce(&mut Trial) -> T) -> T {
    TRIAL.with(|trial| look(trial.borrow_mut().as_mut().expect("a trial is under way")))
}

/// A decision of the program; 0 when it is over.
fn byte() -> usize {
    with(|trial| trial.program.byte().unwrap_or(0).into())
}

impl Trial {
    fn begin(data: &[u8]) {
        others();
        values::prepare();
        let mut model = Model::default();
        let default = ss_loop_default();
        model.loops.push(Loop { life: Life::new(default.addr(), 0), is_default: true, tasks: Default::default() });
        let trial = Trial {
            program: Program::new(data),
            model,
            steps: 0,
            traffic: 0,
            peers: 0,
            tasks: 0,
            descriptors: common::open_descriptors(),
            taken: Vec::new(),
            taken_outside: Vec::new(),
        };
        TRIAL.with(|slot| *slot.borrow_mut() = Some(trial));
        // Something to begin with: most programs need it.
        new_loop();
        new_server(1);
        new_socket(1);
    }
}

// ---- Handles --------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Loop,
    Server,
    Socket,
    Event,
    Value,
    /// A server or a socket.
    Target,
    Any,
}

/// A handle for a call: an object of the model, or one that must be refused like this.
enum Subject {
    Good(Id),
    Bad(Handle, &'static [ss_status]),
}

/// Objects of another thread, which waits for the end of the process: loop, server, socket, event, value.
fn others() -> [Handle; 5] {
    static OTHERS: OnceLock<[Handle; 5]> = OnceLock::new();
    *OTHERS.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let events = ss_loop_new();
            // SAFETY: a constant.
            let event = unsafe { ss_event_new(c"other".as_ptr(), false, false) };
            let value = ss_value_new(SS_VALUE_ARRAY);
            let all = [events.addr(), ss_new(events).addr(), ss_socket_new(events).addr(), event.addr(), value.addr()];
            sender.send(all).expect("the other end waits");
            loop {
                std::thread::park();
            }
        });
        receiver.recv().expect("they are made")
    })
}

fn fits(wanted: Wanted, id: Id) -> bool {
    match wanted {
        Wanted::Loop => matches!(id, Id::Loop(_)),
        Wanted::Server => matches!(id, Id::Server(_)),
        Wanted::Socket => matches!(id, Id::Socket(_)),
        Wanted::Event => matches!(id, Id::Event(_)),
        Wanted::Value => matches!(id, Id::Value(_)),
        Wanted::Target => matches!(id, Id::Server(_) | Id::Socket(_)),
        Wanted::Any => true,
    }
}

impl Model {
    /// All that live and fit.
    fn living(&self, wanted: Wanted) -> Vec<(Id, Handle)> {
        let mut found = Vec::new();
        let mut add = |id: Id, life: &Life| {
            if life.alive && fits(wanted, id) {
                found.push((id, life.handle));
            }
        };
        self.loops.iter().enumerate().for_each(|(index, object)| add(Id::Loop(index), &object.life));
        self.servers.iter().enumerate().for_each(|(index, object)| add(Id::Server(index), &object.life));
        self.sockets.iter().enumerate().for_each(|(index, object)| add(Id::Socket(index), &object.life));
        self.events.iter().enumerate().for_each(|(index, object)| add(Id::Event(index), &object.life));
        self.values.iter().enumerate().for_each(|(index, life)| add(Id::Value(index), life));
        found
    }
}

fn subject(wanted: Wanted) -> Subject {
    let choice = byte();
    if choice < 232 {
        let good = with(|trial| {
            let living = trial.model.living(wanted);
            // The last ones are the most interesting.
            (!living.is_empty()).then(|| living[living.len() - 1 - choice % living.len()].0)
        });
        if let Some(id) = good {
            return Subject::Good(id);
        }
    }
    bad(wanted, choice)
}

fn bad(wanted: Wanted, choice: usize) -> Subject {
    let detail = byte();
    with(|trial| {
        let model = &trial.model;
        let living = model.living(Wanted::Any);
        let garbage = |handle: Handle| {
            let is_one = living.iter().any(|(_, other)| *other == handle)
                || others().contains(&handle)
                || values::is_scribes(handle);
            let handle = if is_one || (handle == 0 && wanted == Wanted::Loop) { 1 } else { handle };
            Subject::Bad(handle, &[SS_ERR_HANDLE])
        };
        let other = match wanted {
            Wanted::Loop => others()[0],
            Wanted::Server => others()[1],
            Wanted::Socket => others()[2],
            Wanted::Event => others()[3],
            Wanted::Value => others()[4],
            Wanted::Target => others()[1 + detail % 2],
            Wanted::Any => others()[detail % 5],
        };
        match choice % 6 {
            0 => garbage(0),
            1 => garbage(model.stale.iter().rev().nth(detail % model.stale.len().max(1)).copied().unwrap_or(0x55)),
            2 => Subject::Bad(other, &[SS_ERR_THREAD]),
            3 => {
                let unfit: Vec<_> = living.iter().filter(|(id, _)| !fits(wanted, *id)).collect();
                match unfit.is_empty() {
                    true => garbage(detail << 3 | 7),
                    false => Subject::Bad(unfit[detail % unfit.len()].1, &[SS_ERR_HANDLE]),
                }
            }
            4 => garbage(living[detail % living.len()].1 ^ 1 << (detail & 63)),
            _ => garbage((detail * 0x0101_0101_0101) ^ choice),
        }
    })
}

/// The object, or after `$refused` has been checked to be answered like that, nothing more for this step.
macro_rules! good {
    ($wanted:expr, |$handle:ident| $refused:expr) => {
        match subject($wanted) {
            Subject::Good(id) => id,
            Subject::Bad($handle, statuses) => {
                let $handle = std::ptr::without_provenance_mut($handle);
                let status = $refused;
                assert!(statuses.contains(&status), "{status:?} instead of {statuses:?}");
                return;
            }
        }
    };
}

use good;

fn pointer<T>(id: Id) -> *mut T {
    std::ptr::without_provenance_mut(with(|trial| trial.model.life(id).handle))
}

/// A getter's answer to a bad handle, as a status: the reason is left as the last error, the answer is nothing.
fn nothing(is_nothing: bool) -> ss_status {
    assert!(is_nothing);
    ss_last_status()
}

// ---- Steps ----------------------------------------------------------------------------------------------------------

/// One step of the program; false when it is over.
fn step() -> bool {
    let Some(code) = with(|trial| {
        trial.steps += 1;
        if trial.steps > MAX_STEPS { None } else { trial.program.byte() }
    }) else {
        return false;
    };
    if code >= 224 {
        values::step();
        check_destructors();
        return true;
    }
    match code % 64 {
        0..=9 => poll(),
        10 => new_loop(),
        11 => new_server_somewhere(),
        12 => new_socket_somewhere(),
        13 => new_event(),
        14 | 15 => retain(),
        16 | 17 => release(),
        18 => user_data(),
        19..=22 => add_listener(),
        23 => remove_listener(),
        24 => has_listener(),
        25..=27 => dispatch(),
        28 => bind(),
        29 => listen(),
        30 => close_server(),
        31 => pause_server(),
        32..=34 => client(),
        35 => look_at_server(),
        36..=38 => connect(),
        39 => close_socket(),
        40 => abort(),
        41 => flush(),
        42 => pause_socket(),
        43..=45 => write(),
        46 => read(),
        47 => take(),
        48 => skip(),
        49 => look_at_socket(),
        50 => settings(),
        51 => option(),
        52 => event_calls(),
        53 => look_at_event(),
        54 => clone_event(),
        55 => post(),
        56 => run(),
        57 => look_at_loop(),
        58..=60 => peer_sends(),
        61 => peer_reads(),
        62 => peer_ends(),
        _ => peer_resets(),
    }
    check_destructors();
    true
}

/// Outside of everything, all destructors that are due have run.
fn check_destructors() {
    with(|trial| {
        if trial.model.frames.is_empty() {
            assert_eq!(trial.model.ran, trial.model.due, "destructors that ran, and those that were due");
        }
    });
}

fn new_loop() {
    if with(|trial| trial.model.loops.iter().filter(|object| object.life.alive).count() > 3) {
        return;
    }
    let handle = ss_loop_new();
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        let life = Life::new(handle.addr(), 1);
        trial.model.loops.push(Loop { life, is_default: false, tasks: Default::default() });
    });
}

fn new_server_somewhere() {
    let Id::Loop(home) = good!(Wanted::Loop, |handle| nothing(ss_new(handle).is_null())) else { unreachable!() };
    new_server(home);
}

fn new_server(home: usize) {
    let handle = ss_new(pointer(Id::Loop(home)));
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        trial.model.servers.push(Server {
            life: Life::new(handle.addr(), 1),
            home,
            state: ServerState::Fresh,
            port: 0,
            backlog: 0,
            paused: false,
            options: DEFAULT_OPTIONS,
            dispatcher: Dispatcher::default(),
            waiting: Default::default(),
            accepted: 0,
        });
    });
}

fn new_socket_somewhere() {
    let Id::Loop(home) = good!(Wanted::Loop, |handle| nothing(ss_socket_new(handle).is_null())) else { unreachable!() };
    new_socket(home);
}

fn new_socket(home: usize) {
    let handle = ss_socket_new(pointer(Id::Loop(home)));
    assert!(!handle.is_null());
    with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        trial.model.sockets.push(Socket::new(handle.addr(), 1, home, DEFAULT_OPTIONS));
    });
}

fn new_event() {
    let (kind, flags) = (byte() % TYPES.len(), byte());
    // SAFETY: constants.
    let handle = unsafe { ss_event_new(TYPES[kind].as_ptr(), flags & 1 == 1, flags & 2 == 2) };
    assert!(!handle.is_null());
    with(|trial| trial.model.events.push(Event::new(handle.addr(), kind, flags & 1 == 1, flags & 2 == 2)));
    // SAFETY: NULL is refused.
    assert!(unsafe { ss_event_new(null(), false, false) }.is_null());
}

fn retain() {
    let id = good!(Wanted::Any, |handle| ss_retain(handle));
    if matches!(id, Id::Loop(0)) {
        // The thread's own loop is for all programs.
        return;
    }
    assert_eq!(ss_retain(pointer(id)), SS_OK);
    with(|trial| trial.model.retain(id));
}

fn release() {
    let id = good!(Wanted::Any, |handle| match <*mut c_void>::is_null(handle) {
        true => {
            assert_eq!(ss_release(handle), SS_OK);
            SS_ERR_HANDLE
        }
        false => ss_release(handle),
    });
    let handle = pointer(id);
    let expected = with(|trial| trial.model.release(id));
    assert_eq!(ss_release(handle), expected, "{id:?}");
}

extern "C-unwind" fn destroy(word: *mut c_void) {
    with(|trial| {
        trial.model.finish_dispatch();
        assert_eq!(trial.model.depth(), 0, "a destructor runs while a listener does");
        trial.model.ran[word.addr()] += 1;
        if trial.model.ran[word.addr()] > trial.model.due[word.addr()] {
            trial.model.finish_turn();
        }
        assert!(trial.model.ran[word.addr()] <= trial.model.due[word.addr()], "a destructor runs that is not due");
    });
}

fn user_data() {
    // SAFETY: words, and a destructor that takes them.
    let set = |handle, word: usize, destructor| unsafe {
        ss_set_user_data(handle, std::ptr::without_provenance_mut(word), destructor)
    };
    let id = good!(Wanted::Any, |handle| {
        assert!(ss_user_data(handle).is_null());
        set(handle, 1, Some(destroy))
    });
    if matches!(id, Id::Loop(0)) {
        return;
    }
    let choice = byte();
    let (word, with_destructor) = (1 + choice % 3, choice & 8 == 8);
    let handle = pointer(id);
    let before = with(|trial| {
        let life = trial.model.life(id);
        let before = (life.word, life.destroy);
        (life.word, life.destroy) = (word, with_destructor);
        trial.model.due[before.0] += usize::from(before.1);
        before.0
    });
    assert_eq!(ss_user_data(handle).addr(), before);
    assert_eq!(
        set(handle, word, with_destructor.then_some(destroy as unsafe extern "C-unwind" fn(*mut c_void))),
        SS_OK
    );
    assert_eq!(ss_user_data(handle).addr(), word);
}

// ---- Listeners and dispatches ---------------------------------------------------------------------------------------

extern "C-unwind" fn listener_0(event: *mut ss_event, word: *mut c_void) {
    heard(event, (0, word.addr()));
}

extern "C-unwind" fn listener_1(event: *mut ss_event, word: *mut c_void) {
    heard(event, (1, word.addr()));
}

const LISTENERS: [unsafe extern "C-unwind" fn(*mut ss_event, *mut c_void); 2] = [listener_0, listener_1];

struct Registration {
    kind: usize,
    pair: Pair,
    capture: bool,
    priority: i32,
    destroy: bool,
}

fn registration() -> Registration {
    let (kind, who) = (byte(), byte());
    Registration {
        kind: kind % TYPES.len(),
        pair: ((who & 1) as u8, 1 + (who >> 1) % 3),
        capture: who & 0x60 == 0x60,
        priority: [0, 0, 0, 1, -1, i32::MAX, i32::MIN, 7][kind >> 5],
        destroy: who & 0x10 == 0x10,
    }
}

fn call_add(handle: *mut c_void, r: &Registration) -> ss_status {
    let (function, word) = (Some(LISTENERS[usize::from(r.pair.0)]), std::ptr::without_provenance_mut(r.pair.1));
    let kind = TYPES[r.kind].as_ptr();
    // SAFETY: functions for these words, and a constant text.
    unsafe {
        match r.destroy {
            true => ss_add_listener_full(handle, kind, function, word, Some(destroy), r.capture, r.priority),
            false => ss_add_listener(handle, kind, function, word, r.capture, r.priority),
        }
    }
}

fn add_listener() {
    let r = registration();
    let target = good!(Wanted::Target, |handle| call_add(handle, &r));
    let handle = pointer(target);
    with(|trial| {
        trial.model.births += 1;
        let born = trial.model.births;
        let Registration { kind, pair, capture, priority, destroy } = r;
        trial.model.dispatcher(target).add(Listener { pair, kind, capture, priority, born, destroy });
    });
    assert_eq!(call_add(handle, &r), SS_OK);
    // SAFETY: NULL is refused.
    unsafe {
        assert_eq!(ss_add_listener(handle, null(), Some(listener_0), null_mut(), false, 0), SS_ERR_TYPE);
        assert_eq!(ss_add_listener(handle, c"x".as_ptr(), None, null_mut(), false, 0), SS_ERR_TYPE);
    }
}

fn remove_listener() {
    let r = registration();
    let call = |handle: *mut c_void| {
        let (function, word) = (Some(LISTENERS[usize::from(r.pair.0)]), std::ptr::without_provenance_mut(r.pair.1));
        // SAFETY: as for adding.
        unsafe { ss_remove_listener(handle, TYPES[r.kind].as_ptr(), function, word, r.capture) }
    };
    let target = good!(Wanted::Target, |handle| call(handle));
    let handle = pointer(target);
    with(|trial| {
        let dispatcher = trial.model.dispatcher(target);
        if let Some(place) = dispatcher.position(r.kind, r.pair, r.capture) {
            let gone = dispatcher.listeners.remove(place);
            let hears_close = dispatcher.hears(CLOSE);
            trial.model.due[gone.pair.1] += usize::from(gone.destroy);
            if let Id::Socket(index) = target {
                trial.model.sockets[index].may_go_unheard |= !hears_close;
            }
        }
    });
    assert_eq!(call(handle), SS_OK);
}

fn has_listener() {
    let kind = byte() % TYPES.len();
    let name = TYPES[kind].as_ptr();
    // SAFETY: a constant text.
    let target = good!(Wanted::Target, |handle| nothing(unsafe { !ss_has_listener(handle, name) }));
    let handle = pointer(target);
    let expected = with(|trial| trial.model.dispatcher(target).has(kind));
    // SAFETY: a constant text.
    unsafe {
        assert_eq!(ss_has_listener(handle, name), expected);
        assert_eq!(ss_will_trigger(handle, name), expected);
    }
}

fn call_dispatch(target: *mut c_void, event: *mut ss_event) -> (ss_status, u8) {
    let mut result = 0xa5_u8;
    // SAFETY: a bool is one byte, and ours.
    let status = unsafe { ss_dispatch_event(target, event, (&raw mut result).cast()) };
    assert!(if status == SS_OK { result < 2 } else { result == 0xa5 });
    (status, result)
}

fn dispatch() {
    // An event that is not there is looked at after the target.
    let target = good!(Wanted::Target, |handle| call_dispatch(handle, null_mut()).0);
    let target_handle = pointer(target);
    let event = match subject(Wanted::Event) {
        Subject::Good(Id::Event(event)) => event,
        Subject::Good(_) => unreachable!(),
        Subject::Bad(handle, statuses) => {
            let (status, _) = call_dispatch(target_handle, std::ptr::without_provenance_mut(handle));
            assert!(if handle == 0 { status == SS_ERR_TYPE } else { statuses.contains(&status) }, "{status:?}");
            return;
        }
    };
    let handle = pointer(Id::Event(event));
    enum Course {
        Unheard(bool),
        TooDeep,
        Heard(usize),
    }
    let course = with(|trial| {
        let model = &mut trial.model;
        let kind = model.events[event].kind;
        let was_delivered = model.events[event].target.is_some();
        if !model.dispatcher(target).hears(kind) {
            return Course::Unheard(was_delivered || !model.events[event].prevented);
        }
        if model.depth() >= MAX_DEPTH {
            return Course::TooDeep;
        }
        // One that was delivered before goes out as a clone, whose handle its first listener will tell.
        let delivered = match was_delivered {
            true => {
                let clone = model.events[event].clone_as(0, 0);
                model.events.push(clone);
                model.events.len() - 1
            }
            false => event,
        };
        let walk = model.walk(target, delivered, None);
        model.frames.push(Frame::Dispatch { walk: Some(walk) });
        Course::Heard(delivered)
    });
    let (status, result) = call_dispatch(target_handle, handle);
    match course {
        Course::Unheard(expected) => assert_eq!((status, result), (SS_OK, u8::from(expected))),
        Course::TooDeep => assert_eq!(status, SS_ERR_ERROR),
        Course::Heard(delivered) => with(|trial| {
            let prevented = trial.model.events[delivered].prevented;
            trial.model.finish_dispatch();
            let Some(Frame::Dispatch { .. }) = trial.model.frames.pop() else { panic!("frames out of order") };
            assert_eq!((status, result), (SS_OK, u8::from(!prevented)));
        }),
    }
}

/// Any listener: it must be its turn. Then it makes a few steps of its own.
fn heard(event: *mut ss_event, pair: Pair) {
    let (target, kind) = (ss_event_target(event).addr(), event_type(event));
    let index = with(|trial| trial.enter(event, target, kind, pair));
    check_event(Id::Event(index));
    some_steps();
    with(|trial| match trial.model.frames.last_mut() {
        Some(frame) => frame.walk_mut().as_mut().expect("it is under way").running = false,
        None => panic!("frames out of order"),
    });
}

/// The steps of a listener or a task. What it takes stays until it returns.
fn some_steps() {
    let before = with(|trial| trial.taken.len());
    for _ in 0..byte() % 6 {
        if !step() {
            break;
        }
    }
    with(|trial| {
        let taken = trial.taken.split_off(before);
        trial.check_taken(taken);
    });
}

impl Trial {
    /// What was taken is still there. Nobody looks at it from now on.
    fn check_taken(&self, all: Vec<Taken>) {
        // A loop takes everything with it.
        for taken in all.iter().filter(|taken| self.model.loops[taken.home].life.alive) {
            // SAFETY: the library promises that they stay.
            let bytes = unsafe { std::slice::from_raw_parts(taken.start, taken.expected.len()) };
            assert!(bytes == taken.expected, "bytes that were taken have changed");
        }
    }
}

fn event_type(event: *mut ss_event) -> usize {
    let kind = ss_event_type(event);
    assert!(!kind.is_null());
    // SAFETY: not NULL, and the event lives.
    let kind = unsafe { CStr::from_ptr(kind) };
    TYPES.iter().position(|other| *other == kind).expect("a type of this program's")
}

impl Trial {
    /// A listener is called. Returns the event.
    fn enter(&mut self, event: *mut ss_event, target: Handle, kind: usize, pair: Pair) -> usize {
        let handle = event.addr();
        let model = &mut self.model;
        let is_known = match model.frames.last() {
            Some(Frame::Poll { walk, .. }) => {
                walk.as_ref().is_some_and(|walk| model.events[walk.event].life.handle == handle)
            }
            Some(Frame::Dispatch { walk }) => {
                let walk = walk.as_ref().expect("it is under way");
                let life = &mut model.events[walk.event].life;
                if life.handle == 0 {
                    life.handle = handle;
                }
                assert_eq!(life.handle, handle, "another event than the one dispatched");
                true
            }
            None => panic!("a listener runs outside of polls and dispatches"),
        };
        if !is_known {
            model.finish_dispatch();
        }
        self.look_at_connections();
        let model = &mut self.model;
        if !is_known {
            let target = model.find(target).expect("the target of an event lives");
            let walk = self.announced(event, target, kind);
            let Some(Frame::Poll { home, walk: slot, events, .. }) = self.model.frames.last_mut() else {
                unreachable!()
            };
            assert_eq!(walk.home, *home, "an event of another loop");
            *events += 1;
            *slot = Some(walk);
        }
        let model = &mut self.model;
        let mut frame = model.frames.pop().expect("looked at above");
        let walk = frame.walk_mut().as_mut().expect("it is under way");
        assert!(!walk.running, "a listener runs inside another of the same dispatch");
        assert_eq!(model.find(target), Some(walk.target));
        assert_eq!(model.events[walk.event].kind, kind);
        assert_eq!(model.next_listener(walk), Some(pair), "another listener's turn");
        walk.running = true;
        let index = walk.event;
        model.frames.push(frame);
        index
    }

    /// The library dispatches an event of its own: whether that may be, and what it tells.
    fn announced(&mut self, event: *mut ss_event, target: Id, kind: usize) -> Walk {
        let model = &mut self.model;
        assert!(model.brings_events(model.home(target)), "an event of a loop that was released");
        let mut accepted = None;
        match (kind, target) {
            (CONNECT, Id::Server(server)) => accepted = Some(self.accepted(server, event)),
            (CONNECT, Id::Socket(index)) => assert!(self.model.sockets[index].is_connected()),
            (CLOSE, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                assert!(std::mem::take(&mut socket.owes_close), "a close event that nobody is owed");
                let error = ss_event_os_error(event);
                match (socket.reset, socket.peer_ended) {
                    (false, _) => assert_eq!(error, 0, "the peer has ended its side, and no more"),
                    (true, false) => assert_ne!(error, 0, "the peer has reset the connection"),
                    // Which of the two was met is not known.
                    (true, true) => {}
                }
            }
            (SOCKET_DATA, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                let loaded = ss_event_bytes_loaded(event) as usize;
                assert!(socket.is_connected() && !socket.paused && loaded > 0);
                assert!(loaded <= socket.unread(), "more bytes are new than there are");
            }
            (OUTPUT_PROGRESS, Id::Socket(index)) => {
                let socket = &model.sockets[index];
                assert!(socket.is_connected());
                // What was lost with a torn connection is not counted any more.
                let (total, written) = (ss_event_bytes_total(event), socket.written.len() as u64);
                assert!(total == written || (socket.reset && total < written), "{total} of {written} bytes");
                assert!(ss_event_bytes_pending(event) <= ss_event_bytes_total(event));
            }
            (IO_ERROR, Id::Socket(index)) => {
                let socket = &mut model.sockets[index];
                match socket.state {
                    // Whoever listens is reached.
                    State::Connecting(None) => {
                        assert_eq!(ss_event_os_error(event), libc::ECONNREFUSED);
                        socket.state = State::Idle;
                    }
                    _ => {
                        assert!(socket.owes_close && socket.reset, "an ioError out of nothing");
                        assert_ne!(ss_event_os_error(event), 0);
                    }
                }
            }
            _ => panic!("an event of the library: {:?} at {target:?}", TYPES[kind]),
        }
        let model = &mut self.model;
        let numbers = [
            if kind == SOCKET_DATA { ss_event_bytes_loaded(event) } else { 0 },
            if kind == OUTPUT_PROGRESS { ss_event_bytes_pending(event) } else { 0 },
            if kind == OUTPUT_PROGRESS { ss_event_bytes_total(event) } else { 0 },
            if kind == IO_ERROR { 2031 } else { 0 },
            if kind == IO_ERROR || kind == CLOSE { ss_event_os_error(event) as u64 } else { 0 },
        ];
        let mut made = Event::new(event.addr(), kind, false, false);
        made.life.references = 0;
        model.events.push(Event { socket: accepted, numbers, ..made });
        model.walk(target, model.events.len() - 1, accepted)
    }

    /// A server's connect event: it is the turn of the peer that has waited longest.
    fn accepted(&mut self, server: usize, event: *mut ss_event) -> usize {
        let handle = ss_event_socket(event);
        let model = &mut self.model;
        assert_eq!(model.find(handle.addr()), None, "an accepted socket is a new one");
        let object = &mut model.servers[server];
        assert!(object.state == ServerState::Listening && !object.paused, "accepted by a server that does not");
        let peer = object.waiting.pop_front().expect("somebody waited");
        object.accepted += 1;
        let ends = (object.port, i32::from(peer.port));
        assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends);
        assert!(ss_socket_connected(handle));
        if peer.narrow {
            let mut descriptor = -1;
            // SAFETY: `descriptor` is ours.
            assert_eq!(unsafe { ss_native_handle(handle.cast(), &mut descriptor) }, SS_OK);
            common::narrow(descriptor);
        }
        let options = object.options;
        let mut socket = Socket::new(handle.addr(), 0, object.home, options);
        (socket.server, socket.state, socket.ends) = (Some(server), State::Connected, Some(ends));
        (socket.number, socket.reset) = (peer.number, common::is_reset(&peer.stream));
        socket.peer = Some(peer);
        model.sockets.push(socket);
        let limit = options[MAX_CONNECTIONS];
        if limit > 0 {
            let stats = stats(std::ptr::without_provenance_mut(model.servers[server].life.handle));
            assert!(stats.open + stats.lingering <= limit as u64, "{stats:?}: more than may be there");
            model.make_place(server);
        }
        model.sockets.len() - 1
    }

    /// What turns have changed on the loops that are being polled.
    fn look_at_connections(&mut self) {
        let homes: Vec<usize> = self
            .model
            .frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::Poll { home, .. } => Some(*home),
                Frame::Dispatch { .. } => None,
            })
            .collect();
        for socket in &mut self.model.sockets {
            if socket.life.alive && homes.contains(&socket.home) {
                socket.look(&mut self.model.farewells);
            }
        }
    }
}

impl Socket {
    /// Takes over what the library says about the connection, if it can be true.
    fn look(&mut self, farewells: &mut Vec<Farewell>) {
        let handle: *mut ss_socket = std::ptr::without_provenance_mut(self.life.handle);
        let connected = ss_socket_connected(handle);
        match &self.state {
            State::Connecting(Some(listener)) if connected => {
                let (stream, _) = listener.accept().expect("it is connected");
                let port = listener.local_addr().expect("it is bound").port();
                self.ends = Some((common::peer_port(&stream).into(), port.into()));
                assert_eq!(Some((ss_socket_local_port(handle), ss_socket_remote_port(handle))), self.ends);
                reset(&stream);
                self.peer = Some(Peer::new(stream, self.number));
                self.state = State::Connected;
            }
            State::Connected => {}
            _ => assert!(!connected),
        }
        let (available, left) = (ss_socket_bytes_available(handle), self.peer.as_ref().map_or(0, |peer| peer.sent));
        if self.is_connected() {
            let come = available.checked_sub(self.unread()).expect("unread bytes are gone");
            assert!(self.arrived + come <= left, "more bytes than were sent");
            let limit = self.options[READ_LIMIT] as usize;
            let peer_ended = self.peer.as_ref().is_some_and(|peer| peer.ended);
            // What the kernel has of a connection that is over is taken in beyond the limit.
            assert!(
                come == 0 || available <= limit || self.reset || peer_ended,
                "{available} bytes and a limit of {limit}"
            );
            assert!(come == 0 || !self.paused || self.reset, "{come} bytes were read, though it is paused");
            self.arrived += come;
            if !connected {
                let peer = self.peer.take().expect("it was connected");
                self.peer_ended = peer.ended;
                assert!(
                    peer.ended || self.reset,
                    "the connection {} of server {:?} has ended, and nobody has ended it",
                    self.number,
                    self.server
                );
                assert!(self.reset || self.arrived == peer.sent, "the end came before the data");
                assert!(self.reset || !self.paused, "the end of a connection that is paused");
                (self.state, self.owes_close) = (State::Ended, true);
                farewells.push(Farewell::new(self, peer));
            }
        }
        assert_eq!(available, self.unread());
    }
}

// ---- Turns ----------------------------------------------------------------------------------------------------------

fn poll() {
    // SAFETY: NULL is allowed.
    let id = good!(Wanted::Loop, |handle| unsafe { ss_loop_poll(handle, 0, null_mut()) });
    let Id::Loop(home) = id else { unreachable!() };
    poll_once(home, 0);
}

fn poll_once(home: usize, patience: i32) {
    let handle = pointer(Id::Loop(home));
    with(|trial| {
        let taken = std::mem::take(&mut trial.taken_outside);
        trial.check_taken(taken);
    });
    let (idle, deep) = with(|trial| {
        let (idle, deep) = (trial.model.is_idle(home), trial.model.depth() >= MAX_DEPTH);
        if idle && !deep {
            for socket in trial.model.sockets.iter_mut().filter(|socket| socket.home == home) {
                socket.may_go_unheard = !socket.dispatcher.hears(CLOSE);
            }
            trial.model.frames.push(Frame::Poll { home, walk: None, events: 0, over: false });
        }
        (idle, deep)
    });
    let mut events = u32::MAX;
    // SAFETY: `events` is ours.
    let status = unsafe { ss_loop_poll(handle, patience, &mut events) };
    if !idle {
        assert_eq!((status, events), (SS_ERR_REENTRANT, u32::MAX));
        return;
    }
    if deep {
        assert_eq!((status, events), (SS_ERR_ERROR, u32::MAX));
        return;
    }
    assert_eq!(status, SS_OK);
    with(|trial| {
        trial.model.finish_dispatch();
        // The loop may have been released in the turn, and be gone by now.
        if trial.model.brings_events(home) {
            trial.look_at_connections();
        }
        let model = &mut trial.model;
        let Some(Frame::Poll { events: seen, walk: None, .. }) = model.frames.pop() else {
            panic!("frames out of order")
        };
        assert_eq!(events, seen, "events dispatched");
        for socket in model.sockets.iter_mut().filter(|socket| socket.home == home && socket.life.alive) {
            let owed = std::mem::take(&mut socket.owes_close);
            assert!(!owed || socket.may_go_unheard, "no close event came");
        }
        model.reap(Id::Loop(home));
    });
}

extern "C-unwind" fn task(number: *mut c_void) {
    let number = number.addr();
    with(|trial| {
        trial.model.finish_dispatch();
        let Some(Frame::Poll { home, .. }) = trial.model.frames.last() else { panic!("a task runs outside of a turn") };
        let home = *home;
        assert!(trial.model.brings_events(home), "a task runs on a loop that was released");
        assert_eq!(
            trial.model.loops[home].tasks.pop_front().map(|(first, _)| first),
            Some(number),
            "tasks out of order"
        );
    });
    some_steps();
}

extern "C-unwind" fn cancelled(number: *mut c_void) {
    let number = number.addr();
    with(|trial| {
        trial.model.finish_dispatch();
        let model = &mut trial.model;
        if let Some(place) = model.cancelled.iter().position(|other| *other == number) {
            model.cancelled.remove(place);
            return;
        }
        // Released in the turn that would have run it.
        let found = model
            .loops
            .iter_mut()
            .find(|object| object.life.references == 0 && !object.is_default && object.tasks.contains(&(number, true)));
        found.expect("a task of a loop that was released").tasks.retain(|(other, _)| *other != number);
    });
}

fn post() {
    let choice = byte();
    let number = with(|trial| {
        trial.tasks += 1;
        trial.tasks
    });
    let cancel = (choice & 1 == 1).then_some(cancelled as unsafe extern "C-unwind" fn(*mut c_void));
    // SAFETY: functions for such numbers.
    let call = |handle: *mut ss_loop| unsafe {
        ss_loop_post(handle, Some(task), std::ptr::without_provenance_mut(number), cancel)
    };
    let id = match subject(Wanted::Loop) {
        Subject::Good(id) => id,
        // All threads may, and nobody polls that loop.
        Subject::Bad(handle, _) if others().contains(&handle) => {
            assert_eq!(ss_loop_wake(std::ptr::without_provenance_mut(handle)), SS_OK);
            return assert_eq!(ss_loop_stop(std::ptr::without_provenance_mut(handle)), SS_OK);
        }
        Subject::Bad(handle, _) => {
            let handle = std::ptr::without_provenance_mut(handle);
            assert_eq!((ss_loop_wake(handle), ss_loop_stop(handle)), (SS_ERR_HANDLE, SS_ERR_HANDLE));
            return assert_eq!(call(handle), SS_ERR_HANDLE);
        }
    };
    let Id::Loop(home) = id else { unreachable!() };
    with(|trial| trial.model.loops[home].tasks.push_back((number, cancel.is_some())));
    assert_eq!(call(pointer(id)), SS_OK);
    // SAFETY: NULL is refused.
    assert_eq!(unsafe { ss_loop_post(pointer(id), None, null_mut(), cancel) }, SS_ERR_TYPE);
}

fn run() {
    let id = good!(Wanted::Loop, |handle| ss_loop_run(handle));
    let Id::Loop(home) = id else { unreachable!() };
    let expected = with(|trial| if trial.model.is_idle(home) { SS_OK } else { SS_ERR_REENTRANT });
    // A stop that comes before the run ends it before its first turn.
    assert_eq!(ss_loop_stop(pointer(id)), SS_OK);
    assert_eq!(ss_loop_run(pointer(id)), expected);
}

fn look_at_loop() {
    let mut fd = -77;
    // SAFETY: `fd` is ours.
    let id = good!(Wanted::Loop, |handle| {
        let status = nothing(ss_loop_timeout(handle) == 0);
        assert_eq!(unsafe { ss_loop_fd(handle, &mut fd) }, status);
        assert_eq!(fd, -77);
        status
    });
    // SAFETY: as above.
    assert_eq!(unsafe { ss_loop_fd(pointer(id), &mut fd) }, SS_OK);
    assert!(fd >= 0);
    assert!(ss_loop_timeout(pointer(id)) >= -1);
    assert_eq!(ss_loop_wake(pointer(id)), SS_OK);
    assert_eq!(ss_object_kind(pointer(id)), SS_KIND_LOOP);
}

// ---- Servers --------------------------------------------------------------------------------------------------------

fn bind() {
    const ADDRESSES: [(Option<&CStr>, bool); 8] = [
        (Some(c"127.0.0.1"), true),
        (Some(c"127.0.0.1"), true),
        (None, true),
        (Some(c""), true),
        (Some(c"0.0.0.0"), true),
        (Some(c"localhost"), false),
        (Some(c"127.0.0.01"), false),
        (Some(c"[::1]"), false),
    ];
    let choice = byte();
    let (address, well_formed) = ADDRESSES[choice & 7];
    let port = [0, 0, 0, 0, 0, 0, -1, 65_536][choice >> 5];
    let address = address.map_or(null(), CStr::as_ptr);
    // SAFETY: constants.
    let call = |handle: *mut ss_server| unsafe { ss_bind(handle, port, address) };
    let id = good!(Wanted::Server, |handle| unsafe { ss_bind(handle, 0, null()) });
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| match (port, well_formed, trial.model.servers[index].state) {
        (-1 | 65_536, _, _) => SS_ERR_RANGE,
        (_, false, _) => SS_ERR_ARGUMENT,
        (_, _, ServerState::Fresh) => SS_OK,
        _ => SS_ERR_IO,
    });
    assert_eq!(call(pointer(id)), expected);
    if expected == SS_OK {
        let port = ss_local_port(pointer(id));
        assert!(port > 0);
        with(|trial| {
            let server = &mut trial.model.servers[index];
            (server.state, server.port) = (ServerState::Bound, port);
        });
    }
    check_server(index);
}

fn listen() {
    let backlog = [0, 0, 100, 1, i32::MAX, 3, -1, i32::MIN][byte() % 8];
    let id = good!(Wanted::Server, |handle| ss_listen(handle, backlog));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let server = &mut trial.model.servers[index];
        match server.state {
            ServerState::Closed => SS_ERR_IO,
            _ if backlog < 0 => SS_ERR_RANGE,
            ServerState::Fresh => SS_ERR_IO,
            _ => {
                // Where the queue is full the kernel lets clients wait, and so would we.
                server.backlog = if backlog == 0 { 8 } else { backlog.min(8) as usize };
                server.state = ServerState::Listening;
                SS_OK
            }
        }
    });
    assert_eq!(ss_listen(pointer(id), backlog), expected);
    check_server(index);
}

fn close_server() {
    let id = good!(Wanted::Server, |handle| ss_close(handle));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let server = &mut trial.model.servers[index];
        match server.state {
            ServerState::Bound | ServerState::Listening => {
                (server.state, server.port) = (ServerState::Closed, 0);
                server.waiting.clear();
                SS_OK
            }
            _ => SS_ERR_ERROR,
        }
    });
    assert_eq!(ss_close(pointer(id)), expected);
    check_server(index);
}

fn pause_server() {
    let paused = byte() & 1 == 0;
    let call = |handle| if paused { ss_pause(handle) } else { ss_resume(handle) };
    let id = good!(Wanted::Server, |handle| call(handle));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let server = &mut trial.model.servers[index];
        match server.state {
            ServerState::Closed => SS_ERR_IO,
            _ => {
                server.paused = paused;
                SS_OK
            }
        }
    });
    assert_eq!(call(pointer(id)), expected);
}

fn look_at_server() {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..Default::default() };
    let id = good!(Wanted::Server, |handle| {
        assert!(!ss_bound(handle) && !ss_listening(handle) && ss_local_port(handle) == 0);
        assert!(ss_local_address(handle).is_null());
        // SAFETY: `stats` is ours.
        unsafe { ss_server_stats(handle, &mut stats) }
    });
    let Id::Server(index) = id else { unreachable!() };
    check_server(index);
}

fn check_server(index: usize) {
    let handle: *mut ss_server = pointer(Id::Server(index));
    let (state, port, accepted, open) = with(|trial| {
        let server = &trial.model.servers[index];
        let is_its = |socket: &&Socket| socket.server == Some(index) && socket.is_connected();
        let open = trial.model.sockets.iter().filter(is_its).count() as u64;
        (server.state, server.port, server.accepted, open)
    });
    let bound = matches!(state, ServerState::Bound | ServerState::Listening);
    assert_eq!(ss_bound(handle), bound);
    assert_eq!(ss_listening(handle), state == ServerState::Listening);
    assert_eq!(ss_local_port(handle), port);
    assert_eq!(ss_local_address(handle).is_null(), !bound);
    let stats = stats(handle);
    assert_eq!((stats.accepted, stats.open), (accepted, open));
    assert!(stats.open + stats.lingering <= accepted && stats.open + stats.refused <= accepted);
    assert_eq!(stats.accept_deferred, 0);
    check_descriptor(handle.cast(), bound);
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_SERVER);
}

fn stats(server: *mut ss_server) -> ss_stats {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..Default::default() };
    // SAFETY: `stats` is ours.
    assert_eq!(unsafe { ss_server_stats(server, &mut stats) }, SS_OK);
    stats
}

fn check_descriptor(handle: *mut c_void, expected: bool) {
    let mut fd = -77;
    // SAFETY: `fd` is ours.
    let status = unsafe { ss_native_handle(handle, &mut fd) };
    assert_eq!((status, fd >= 0), if expected { (SS_OK, true) } else { (SS_ERR_IO, false) });
}

/// A client comes to a server, unless it would have to wait for room in the queue.
fn client() {
    let choice = byte();
    let Some((index, port)) = with(|trial| {
        let listening: Vec<(usize, i32)> = trial
            .model
            .servers
            .iter()
            .enumerate()
            .filter(|(_, server)| server.life.alive && server.state == ServerState::Listening)
            .filter(|(_, server)| server.waiting.len() < server.backlog)
            .map(|(index, server)| (index, server.port))
            .collect();
        (!listening.is_empty() && trial.peers < 40).then(|| listening[choice % listening.len()])
    }) else {
        return;
    };
    let narrow = choice & 0x80 != 0;
    let stream = common::connect(port as u16, narrow);
    with(|trial| {
        trial.peers += 1;
        let peer = Peer { narrow, ..Peer::new(stream, trial.peers) };
        trial.model.servers[index].waiting.push_back(peer);
    });
}

// ---- Sockets --------------------------------------------------------------------------------------------------------

fn connect() {
    let choice = byte();
    // SAFETY: constants.
    let call = |handle, host: *const c_char, port: i32| unsafe { ss_socket_connect(handle, host, port) };
    let id = good!(Wanted::Socket, |handle| call(handle, c"127.0.0.1".as_ptr(), 1));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    match choice % 16 {
        0 => return assert_eq!(call(handle, c"127.0.0.1".as_ptr(), -1), SS_ERR_SECURITY),
        1 => return assert_eq!(call(handle, c"127.0.0.1".as_ptr(), 65_536), SS_ERR_SECURITY),
        2 => return assert_eq!(call(handle, null(), 1), SS_ERR_IO),
        3 => return assert_eq!(call(handle, c"".as_ptr(), 1), SS_ERR_IO),
        _ => {}
    }
    if with(|trial| trial.peers >= 40) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let refused = choice % 16 < 6;
    let listener = (!refused).then_some(listener);
    with(|trial| {
        trial.peers += 1;
        let number = trial.peers;
        trial.model.leave(index);
        let socket = &mut trial.model.sockets[index];
        (socket.state, socket.number, socket.reset) = (State::Connecting(listener), number, false);
        // From now on it is nobody's, and its addresses are gone.
        (socket.server, socket.ends) = (None, None);
    });
    assert_eq!(call(handle, c"127.0.0.1".as_ptr(), port.into()), SS_OK);
    check_socket(index);
}

fn close_socket() {
    let id = good!(Wanted::Socket, |handle| ss_socket_close(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let status = ss_socket_close(pointer(id));
    with(|trial| {
        let socket = &trial.model.sockets[index];
        match &socket.state {
            // Whether it has failed by now nobody may have heard.
            State::Connecting(None) => assert!([SS_OK, SS_ERR_IO].contains(&status)),
            State::Connecting(Some(_)) | State::Connected => assert_eq!(status, SS_OK),
            _ => assert_eq!(status, if socket.unread() > 0 { SS_OK } else { SS_ERR_IO }),
        }
        if status == SS_OK {
            trial.model.leave(index);
        }
    });
    check_socket(index);
}

fn abort() {
    let id = good!(Wanted::Socket, |handle| ss_socket_abort(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let status = ss_socket_abort(pointer(id));
    with(|trial| {
        match &trial.model.sockets[index].state {
            State::Connecting(None) => assert!([SS_OK, SS_ERR_IO].contains(&status)),
            State::Connecting(Some(_)) | State::Connected => assert_eq!(status, SS_OK),
            _ => assert_eq!(status, SS_ERR_IO),
        }
        if status == SS_OK {
            // What the peer has not got by now is lost.
            trial.model.sockets[index].reset = true;
            let is_connected = trial.model.sockets[index].is_connected();
            trial.model.leave(index);
            if let (true, Some(farewell)) = (is_connected, trial.model.farewells.last_mut()) {
                farewell.reset = Reset::Yes;
            }
        }
    });
    check_socket(index);
}

fn flush() {
    let id = good!(Wanted::Socket, |handle| ss_socket_flush(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| trial.model.sockets[index].connected_status());
    assert_eq!(ss_socket_flush(pointer(id)), expected);
}

fn pause_socket() {
    let paused = byte() & 1 == 0;
    let call = |handle| if paused { ss_socket_pause(handle) } else { ss_socket_resume(handle) };
    let id = good!(Wanted::Socket, |handle| call(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        if socket.is_connected() {
            socket.paused = paused;
        }
        socket.connected_status()
    });
    assert_eq!(call(pointer(id)), expected);
}

/// How many bytes: few, thousands, or as many as go to the system at once.
fn amount() -> usize {
    let choice = byte();
    match choice >> 6 {
        0 => choice & 63,
        1 => (choice & 63) * 31,
        2 => (choice & 63) * 500,
        _ => (choice & 63) * 3000,
    }
}

/// Whether so many more bytes may travel.
fn may_send(amount: usize) -> bool {
    with(|trial| {
        let allowed = trial.traffic + amount <= MAX_TRAFFIC;
        trial.traffic += if allowed { amount } else { 0 };
        allowed
    })
}

fn write() {
    let (fill, length) = (byte() as u8, amount());
    let length = if may_send(length) { length } else { 0 };
    let bytes: Vec<u8> = (0..length).map(|place| fill.wrapping_add(place as u8)).collect();
    // SAFETY: the bytes are ours.
    let call = |handle| unsafe { ss_socket_write_bytes(handle, bytes.as_ptr().cast(), bytes.len()) };
    let id = good!(Wanted::Socket, |handle| call(handle));
    let Id::Socket(index) = id else { unreachable!() };
    let pending = ss_socket_bytes_pending(pointer(id));
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.write_status(length, pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        status
    });
    assert_eq!(call(pointer(id)), expected);
    write_number(index, fill);
}

/// The typed writes, a byte or four.
fn write_number(index: usize, fill: u8) {
    let handle = pointer(Id::Socket(index));
    let number = i32::from(fill).wrapping_mul(0x0101_0301);
    let pending = ss_socket_bytes_pending(handle);
    let (expected, call) = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let bytes = match (fill % 3, socket.little_endian) {
            (0, _) => vec![number as u8],
            (_, true) => number.to_le_bytes().to_vec(),
            (_, false) => number.to_be_bytes().to_vec(),
        };
        let status = socket.write_status(bytes.len(), pending);
        if status == SS_OK {
            socket.written.extend_from_slice(&bytes);
        }
        (status, if fill % 3 == 0 { ss_socket_write_byte } else { ss_socket_write_int })
    });
    assert_eq!(call(handle, number), expected);
}

fn read() {
    let capacity = amount();
    let mut room = vec![0xa5_u8; capacity + 1];
    let mut read_to = |handle| {
        // SAFETY: there is that much room.
        unsafe { ss_socket_read(handle, room.as_mut_ptr().cast(), capacity) }
    };
    let id = good!(Wanted::Socket, |handle| {
        let status = nothing(ss_socket_bytes_available(handle) == 0);
        assert_eq!(read_to(handle), 0);
        status
    });
    let Id::Socket(index) = id else { unreachable!() };
    let length = read_to(pointer(id));
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let expected = &socket.unread_bytes()[..capacity.min(socket.unread())];
        assert!(room[..length] == *expected && room[length..].iter().all(|byte| *byte == 0xa5), "bytes read");
        socket.read += length;
    });
    check_socket(index);
}

fn take() {
    let mut length = 77;
    // SAFETY: `length` is ours.
    let mut call = |handle| unsafe { ss_socket_take(handle, &mut length) };
    let id = good!(Wanted::Socket, |handle| {
        let status = nothing(call(handle).is_null());
        assert_eq!(length, 0);
        status
    });
    let Id::Socket(index) = id else { unreachable!() };
    let start = call(pointer(id));
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let expected = socket.unread_bytes();
        assert_eq!((start.is_null(), length), (expected.is_empty(), expected.len()));
        if !start.is_null() {
            // SAFETY: so many bytes are there.
            assert!(unsafe { std::slice::from_raw_parts(start, length) } == expected, "bytes taken");
            socket.read += length;
            let taken = Taken { start, expected, home: socket.home };
            match trial.model.frames.is_empty() {
                true => trial.taken_outside.push(taken),
                false => trial.taken.push(taken),
            }
        }
    });
    check_socket(index);
}

fn skip() {
    let length = amount();
    let id = good!(Wanted::Socket, |handle| ss_socket_skip(handle, length));
    let Id::Socket(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let socket = &mut trial.model.sockets[index];
        let status = socket.read_status(length);
        socket.read += if status == SS_OK { length } else { 0 };
        status
    });
    assert_eq!(ss_socket_skip(pointer(id), length), expected);
    read_number(index);
}

/// A typed read.
fn read_number(index: usize) {
    let handle = pointer(Id::Socket(index));
    let mut got = 0xa5a5_a5a5;
    // SAFETY: `got` is ours.
    let status = unsafe { ss_socket_read_unsigned_int(handle, &mut got) };
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        assert_eq!(status, socket.read_status(4));
        let expected = match status {
            SS_OK => {
                let bytes = *socket.unread_bytes().first_chunk().expect("four bytes");
                socket.read += 4;
                if socket.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
            }
            _ => 0xa5a5_a5a5,
        };
        assert_eq!(got, expected);
    });
    check_socket(index);
}

fn look_at_socket() {
    let id = good!(Wanted::Socket, |handle| {
        let mut length = 77;
        assert!(!ss_socket_connected(handle) && ss_socket_bytes_pending(handle) == 0);
        assert!(ss_socket_local_address(handle).is_null() && ss_socket_remote_address(handle).is_null());
        assert!(ss_socket_local_port(handle) == 0 && ss_socket_remote_port(handle) == 0);
        assert!(ss_socket_endian(handle) == SS_BIG_ENDIAN && ss_socket_timeout(handle) == 0);
        // SAFETY: `length` is ours.
        assert!(unsafe { ss_socket_peek(handle, &mut length) }.is_null() && length == 0);
        nothing(ss_socket_bytes_available(handle) == 0)
    });
    let Id::Socket(index) = id else { unreachable!() };
    check_socket(index);
}

/// Everything that can be asked about a socket is as the model has it.
fn check_socket(index: usize) {
    let handle: *mut ss_socket = pointer(Id::Socket(index));
    let (connected, ends) = with(|trial| {
        let socket = &trial.model.sockets[index];
        (socket.is_connected(), socket.ends)
    });
    assert_eq!(ss_socket_connected(handle), connected);
    assert_eq!((ss_socket_local_port(handle), ss_socket_remote_port(handle)), ends.unwrap_or_default());
    for address in [ss_socket_local_address(handle), ss_socket_remote_address(handle)] {
        // SAFETY: if it is not NULL it is valid as long as the socket is.
        let address = (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) });
        assert_eq!(address, ends.map(|_| c"127.0.0.1"));
    }
    assert!(connected || ss_socket_bytes_pending(handle) == 0);
    check_descriptor(handle.cast(), connected);
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_SOCKET);
    let mut length = usize::MAX;
    // SAFETY: `length` is ours; the bytes are looked at before the next call.
    let bytes = unsafe { ss_socket_peek(handle, &mut length) };
    let available = ss_socket_bytes_available(handle);
    with(|trial| {
        let socket = &trial.model.sockets[index];
        assert_eq!((length, available), (socket.unread(), socket.unread()));
        assert_eq!(bytes.is_null(), length == 0);
        if length > 0 {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
            assert!(bytes == socket.unread_bytes(), "unread bytes are not what the peer sent");
        }
        assert_eq!(ss_socket_endian(handle) == SS_LITTLE_ENDIAN, socket.little_endian);
        assert_eq!(ss_socket_object_encoding(handle) == SS_AMF0, socket.amf0);
        assert_eq!(ss_socket_timeout(handle), socket.timeout);
    });
}

fn settings() {
    let choice = byte();
    let id = good!(Wanted::Socket, |handle| ss_socket_set_endian(handle, 0));
    let Id::Socket(index) = id else { unreachable!() };
    let handle = pointer(id);
    let flag = choice & 1 == 1;
    match choice >> 1 & 3 {
        0 => assert_eq!(ss_socket_set_endian(handle, i32::from(flag)), SS_OK),
        1 => assert_eq!(ss_socket_set_object_encoding(handle, if flag { SS_AMF0 } else { SS_AMF3 }), SS_OK),
        2 => assert_eq!(ss_socket_set_timeout(handle, 1_000_000 + choice as u32), SS_OK),
        _ => {
            assert_eq!(ss_socket_set_endian(handle, 2 + choice as i32), SS_ERR_ARGUMENT);
            assert_eq!(ss_socket_set_object_encoding(handle, 4 + choice as i32), SS_ERR_ARGUMENT);
        }
    }
    with(|trial| {
        let socket = &mut trial.model.sockets[index];
        match choice >> 1 & 3 {
            0 => socket.little_endian = flag,
            1 => socket.amf0 = flag,
            2 => socket.timeout = 1_000_000 + choice as u32,
            _ => {}
        }
    });
    check_socket(index);
}

/// (option, value, whether it fits)
const VALUES: [(usize, i64, bool); 25] = [
    (1, 0, true),
    (1, 1, true),
    (1, 2, false),
    (2, 1, true),
    (3, 1, true),
    (4, 0, true),
    (4, 1, true),
    (4, 2, true),
    (4, -1, false),
    (5, 1, true),
    (5, 10, true),
    (5, 5000, true),
    (5, 0, false),
    (6, 1, true),
    (6, 1000, true),
    (6, 64 << 20, true),
    (7, 0, true),
    (8, u32::MAX as i64, true),
    (9, 60, true),
    (9, 32_768, false),
    (10, 100, true),
    (10, 0, false),
    (14, 1, true),
    (14, 50_000, true),
    (14, 0, false),
];

fn option() {
    let (option, value, fits) = VALUES[byte() % VALUES.len()];
    let id = good!(Wanted::Target, |handle| {
        let mut got = -77;
        // SAFETY: `got` is ours.
        let status = unsafe { ss_get_option(handle, 1, &mut got) };
        assert_eq!(got, -77);
        assert_eq!(ss_set_option(handle, 1, 1), status);
        status
    });
    let handle = pointer(id);
    for unknown in [0, 99, -1] {
        assert_eq!(ss_set_option(handle, unknown, 1), SS_ERR_ARGUMENT);
    }
    let of_servers = (2..=4).contains(&option) || option == LINGER_BYTES;
    let expected = with(|trial| {
        let before_bind = option == 2 || option == 3;
        match id {
            Id::Socket(_) if of_servers => return SS_ERR_ARGUMENT,
            Id::Server(index) if before_bind && trial.model.servers[index].state != ServerState::Fresh => {
                return SS_ERR_IO;
            }
            _ if !fits => return SS_ERR_RANGE,
            _ => {}
        }
        let options = match id {
            Id::Server(index) => &mut trial.model.servers[index].options,
            Id::Socket(index) => &mut trial.model.sockets[index].options,
            _ => unreachable!(),
        };
        options[option] = value;
        if option == LINGER_BYTES {
            trial.model.bound_farewells();
        }
        SS_OK
    });
    assert_eq!(ss_set_option(handle, option as i32, value), expected, "option {option}, {value}");
    let mut got = -77;
    // SAFETY: `got` is ours.
    let status = unsafe { ss_get_option(handle, option as i32, &mut got) };
    with(|trial| match id {
        Id::Socket(_) if of_servers => assert_eq!((status, got), (SS_ERR_ARGUMENT, -77)),
        Id::Socket(index) => assert_eq!((status, got), (SS_OK, trial.model.sockets[index].options[option])),
        Id::Server(index) => assert_eq!((status, got), (SS_OK, trial.model.servers[index].options[option])),
        _ => unreachable!(),
    });
}

// ---- Events ---------------------------------------------------------------------------------------------------------

fn event_calls() {
    let choice = byte();
    let call = |handle| match choice % 3 {
        0 => ss_event_prevent_default(handle),
        1 => ss_event_stop_propagation(handle),
        _ => ss_event_stop_immediate_propagation(handle),
    };
    let id = good!(Wanted::Event, |handle| call(handle));
    let Id::Event(index) = id else { unreachable!() };
    with(|trial| {
        let event = &mut trial.model.events[index];
        event.prevented |= choice % 3 == 0 && event.cancelable;
        event.stopped |= choice % 3 == 2;
    });
    assert_eq!(call(pointer(id)), SS_OK);
    check_event(id);
}

fn look_at_event() {
    let id = good!(Wanted::Event, |handle| {
        assert!(!ss_event_bubbles(handle) && !ss_event_cancelable(handle) && ss_event_phase(handle) == 0);
        assert!(ss_event_target(handle).is_null() && ss_event_current_target(handle).is_null());
        assert!(ss_event_socket(handle).is_null() && ss_event_text(handle).is_null());
        // SAFETY: there is no room.
        assert_eq!(unsafe { ss_event_to_string(handle, null_mut(), 0) }, 0);
        nothing(ss_event_type(handle).is_null())
    });
    check_event(id);
}

fn clone_event() {
    let id = good!(Wanted::Event, |handle| nothing(ss_event_clone(handle).is_null()));
    let Id::Event(index) = id else { unreachable!() };
    let handle = ss_event_clone(pointer(id));
    let clone = with(|trial| {
        assert_eq!(trial.model.find(handle.addr()), None);
        let clone = trial.model.events[index].clone_as(handle.addr(), 1);
        trial.model.events.push(clone);
        trial.model.events.len() - 1
    });
    check_event(Id::Event(clone));
}

fn check_event(id: Id) {
    let Id::Event(index) = id else { unreachable!() };
    let handle: *mut ss_event = pointer(id);
    let kind = event_type(handle);
    let (target, socket) = (ss_event_target(handle).addr(), ss_event_socket(handle).addr());
    assert_eq!(ss_event_current_target(handle).addr(), target);
    let mut text = [0xa5_u8; 200];
    // SAFETY: there is that much room.
    let length = unsafe { ss_event_to_string(handle, text.as_mut_ptr().cast(), text.len()) };
    assert!(length < text.len() && text[length] == 0 && text[0] == b'[' && text[length - 1] == b']');
    with(|trial| {
        let model = &mut trial.model;
        let expected = |model: &mut Model, id: Option<Id>| {
            id.map(|id| model.life(id)).filter(|life| life.alive).map_or(0, |life| life.handle)
        };
        let (expected_target, named) = (model.events[index].target, model.events[index].socket.map(Id::Socket));
        assert_eq!(target, expected(model, expected_target));
        assert_eq!(socket, expected(model, named));
        let event = &model.events[index];
        assert_eq!(kind, event.kind);
        assert_eq!(ss_event_bubbles(handle), event.bubbles);
        assert_eq!(ss_event_cancelable(handle), event.cancelable);
        assert_eq!(ss_event_is_default_prevented(handle), event.prevented);
        assert_eq!(ss_event_phase(handle), SS_PHASE_AT_TARGET);
        let numbers = [
            ss_event_bytes_loaded(handle),
            ss_event_bytes_pending(handle),
            ss_event_bytes_total(handle),
            ss_event_error_id(handle) as u64,
            ss_event_os_error(handle) as u64,
        ];
        assert_eq!(numbers, event.numbers);
        assert_eq!(ss_event_text(handle).is_null(), numbers[3] == 0);
        assert_eq!(ss_object_kind(handle.cast()), SS_KIND_EVENT);
    });
}

// ---- Peers ----------------------------------------------------------------------------------------------------------

/// Something is done to a peer: one that is connected, or one that waits at a server.
fn with_peer(choice: usize, action: impl FnOnce(&mut Peer, &mut bool) -> bool) {
    with(|trial| {
        let mut peers: Vec<(&mut Peer, Option<&mut bool>)> = Vec::new();
        for socket in &mut trial.model.sockets {
            peers.extend(socket.peer.as_mut().map(|peer| (peer, Some(&mut socket.reset))));
        }
        for server in &mut trial.model.servers {
            peers.extend(server.waiting.iter_mut().map(|peer| (peer, None)));
        }
        if peers.is_empty() {
            return;
        }
        let place = choice % peers.len();
        let (peer, is_reset) = &mut peers[place];
        let mut unused = false;
        action(peer, is_reset.as_deref_mut().unwrap_or(&mut unused));
    });
}

fn peer_sends() {
    let (choice, length) = (byte(), amount());
    if !may_send(length) {
        return;
    }
    with_peer(choice, |peer, is_reset| {
        if peer.ended || *is_reset || common::is_reset(&peer.stream) {
            return false;
        }
        let bytes: Vec<u8> = (peer.sent..peer.sent + length).map(|place| pattern(peer.number, place)).collect();
        peer.stream.set_nonblocking(true).expect("an option");
        match peer.stream.write(&bytes) {
            Ok(count) => peer.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the peer cannot write: {error}"),
        }
        true
    });
}

fn peer_reads() {
    let (choice, length) = (byte(), amount());
    let place = with(|trial| {
        let connected: Vec<usize> = (0..trial.model.sockets.len())
            .filter(|index| trial.model.sockets[*index].peer.is_some() && !trial.model.sockets[*index].reset)
            .collect();
        (!connected.is_empty()).then(|| connected[choice % connected.len()])
    });
    if let Some(index) = place {
        with(|trial| {
            let socket = &mut trial.model.sockets[index];
            let peer = socket.peer.as_mut().expect("looked at above");
            let end = peer.receive(&socket.written, length);
            // While the socket is connected it is neither; but the model may not have looked since the peer's end.
            assert!(end.is_none() || peer.ended, "{end:?} from a connected socket");
        });
    }
}

/// How a connection has ended, as the peer sees it.
#[derive(Debug, PartialEq)]
enum End {
    Fin,
    Torn,
}

impl Peer {
    /// Reads up to `length` bytes, which must be the next ones of `written`.
    fn receive(&mut self, written: &[u8], mut length: usize) -> Option<End> {
        let mut buffer = [0; 65536];
        self.stream.set_nonblocking(true).expect("an option");
        while length > 0 {
            let room = length.min(buffer.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Some(End::Fin),
                Ok(count) => {
                    let expected = written.get(self.got..self.got + count);
                    assert!(expected == Some(&buffer[..count]), "the peer got what was not written");
                    self.got += count;
                    length -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(End::Torn),
            }
        }
        None
    }
}

fn peer_ends() {
    with_peer(byte(), |peer, is_reset| {
        if !peer.ended && !*is_reset && !common::is_reset(&peer.stream) {
            peer.stream.shutdown(Shutdown::Write).expect("a FIN");
            peer.ended = true;
        }
        true
    });
}

fn peer_resets() {
    with_peer(byte(), |peer, is_reset| {
        common::tear(&peer.stream);
        *is_reset = true;
        true
    });
}

// ---- The end --------------------------------------------------------------------------------------------------------

/// What is on its way arrives, then everything is given back.
fn wind_down() {
    turn_until("what must happen did not", poll_all, || {
        with(|trial| {
            for socket in trial.model.sockets.iter_mut().filter(|socket| !socket.reset) {
                if let Some(peer) = &mut socket.peer {
                    peer.receive(&socket.written, usize::MAX);
                }
            }
            trial.model.what_is_missing()
        })
    });
    release_all(|id| !matches!(id, Id::Loop(_)));
    turn_until("what was written before the close did not come", poll_all, || with(|trial| trial.model.say_farewell()));
    release_all(|_| true);
    // What still lingers on the thread's own loop sees that its peer is gone.
    turn_until(
        "the end is not reached",
        |patience| poll_once(0, patience),
        || {
            with(|trial| match common::open_descriptors() == trial.descriptors {
                true => trial.model.what_is_missing(),
                false => Some(String::from("descriptors are left")),
            })
        },
    );
    with(|trial| {
        assert!(trial.model.cancelled.is_empty(), "tasks that were neither run nor cancelled");
        assert_eq!(trial.model.living(Wanted::Any).len(), 1, "only the thread's own loop is left");
    });
    TRIAL.with(|slot| *slot.borrow_mut() = None);
}

/// Turns until nothing is missing.
fn turn_until(failure: &str, turn: impl Fn(i32), missing: impl Fn() -> Option<String>) {
    let start = Instant::now();
    let mut rounds = 0;
    while let Some(what) = missing() {
        assert!(start.elapsed() < Duration::from_secs(5), "{failure}: {what}");
        // Most of it happens at once.
        turn(if rounds < 20 { 0 } else { 1 });
        rounds += 1;
    }
}

fn release_all(wanted: impl Fn(Id) -> bool) {
    while let Some(id) = with(|trial| {
        let living = trial.model.living(Wanted::Any);
        living.iter().map(|(id, _)| *id).rfind(|id| wanted(*id) && trial.model.life(*id).references > 0)
    }) {
        let handle = pointer(id);
        assert_eq!(with(|trial| trial.model.release(id)), SS_OK);
        assert_eq!(ss_release(handle), SS_OK);
    }
    check_destructors();
}

fn poll_all(patience: i32) {
    for (id, _) in with(|trial| trial.model.living(Wanted::Loop)) {
        let Id::Loop(home) = id else { unreachable!() };
        if with(|trial| trial.model.life(id).alive) {
            poll_once(home, patience);
        }
    }
}

impl Model {
    /// What must still happen by itself.
    fn what_is_missing(&self) -> Option<String> {
        let model = self;
        for (index, socket) in model.sockets.iter().enumerate().filter(|(_, socket)| socket.life.alive) {
            let Some(peer) = &socket.peer else {
                if let State::Connecting(Some(_)) = socket.state {
                    return Some(format!("socket {index} is to be connected"));
                }
                continue;
            };
            // A reset is noticed whatever is paused or full.
            if socket.reset {
                return Some(format!("socket {index} was reset"));
            }
            let full = socket.unread() >= socket.options[READ_LIMIT] as usize;
            let end_has_come = peer.ended && common::has_arrived(&peer.stream);
            let reads_on = !full && (socket.arrived < peer.sent || peer.ended);
            if !socket.paused && (reads_on || end_has_come) {
                return Some(format!(
                    "socket {index} has {} of {} bytes; ended: {}",
                    socket.arrived, peer.sent, peer.ended
                ));
            }
            if peer.got < socket.written.len() {
                return Some(format!("the peer of socket {index} has {} of {} bytes", peer.got, socket.written.len()));
            }
        }
        for (index, server) in model.servers.iter().enumerate().filter(|(_, server)| server.life.alive) {
            let open =
                model.sockets.iter().filter(|socket| socket.server == Some(index) && socket.is_connected()).count();
            let full = server.options[MAX_CONNECTIONS] > 0 && open as i64 >= server.options[MAX_CONNECTIONS];
            let accepts = server.state == ServerState::Listening && !server.paused && !full;
            if accepts && server.dispatcher.hears(CONNECT) && !server.waiting.is_empty() {
                return Some(format!("peers wait at server {index}"));
            }
        }
        model.loops.iter().any(|object| !object.tasks.is_empty()).then(|| String::from("tasks are to be run"))
    }

    /// What closed sockets had written comes to their peers, and then the end.
    fn say_farewell(&mut self) -> Option<String> {
        self.farewells.retain_mut(|farewell| {
            let end = farewell.peer.receive(&farewell.written, usize::MAX);
            if let Some(end) = &end {
                let Farewell { peer, written, whole, reset, .. } = farewell;
                let all = peer.got == written.len();
                assert!(all || !*whole, "{end:?} after {} of {} bytes", peer.got, written.len());
                // Output that is dropped never ends in what looks like a good end.
                assert!(all || *end == End::Torn, "an end after {} of {} bytes", peer.got, written.len());
                match reset {
                    Reset::No => assert!(*end == End::Fin || written.is_empty(), "torn though all was written"),
                    Reset::Maybe => {}
                    Reset::Yes => assert_eq!(*end, End::Torn, "the socket was aborted"),
                }
            }
            end.is_none()
        });
        self.farewells.first().map(|farewell| format!("{} of {} bytes", farewell.peer.got, farewell.written.len()))
    }
}
