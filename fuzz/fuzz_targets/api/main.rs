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

#[path = "../common/mod.rs"]
mod common;
mod adopted;
mod end;
mod ends;
mod events;
mod handles;
mod listeners;
mod model;
mod objects;
mod options;
mod paths;
mod peers;
mod servers;
mod sockets;
mod timers;
mod told;
mod traffic;
mod turns;
mod values;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use adopted::*;
use common::Program;
use end::*;
use ends::{Stream, Target};
use events::*;
use handles::*;
use listeners::*;
use model::*;
use objects::*;
use options::*;
use paths::*;
use peers::*;
use server_socket::ss_status::{self, *};
use server_socket::*;
use servers::*;
use sockets::*;
use timers::*;
use traffic::*;
use turns::*;

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

/// Bytes that a call has handed out, and what they are.
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
        model.loops.push(Loop::new(Life::new(default.addr(), 0), true));
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
    if code >= 192 {
        newer_step(code);
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

/// Calls that have come later than others.
fn newer_step(code: u8) {
    match code {
        192 | 193 => keep(),
        194 | 195 => shut_down(),
        196..=198 => new_timer(),
        199 => set_timer(),
        200 => stop_timer(),
        201 | 202 => write_vector(),
        203 => drain(),
        204 | 205 => bind_path(),
        206 | 207 => connect_path(),
        208 | 209 => adopt_connection(),
        210 => adopt_server(),
        211 | 212 => choose_end(),
        213..=215 => newer_option(),
        216 => count_objects(),
        217 => credentials(),
        218 | 219 => peer_ends(),
        _ => poll(),
    }
}

/// Outside of everything, all destructors that are due have run.
fn check_destructors() {
    with(|trial| {
        if trial.model.frames.is_empty() {
            assert_eq!(trial.model.ran, trial.model.due, "destructors that ran, and those that were due");
            assert!(trial.model.ended_timers.is_empty(), "timers have ended, and nobody was told");
        }
    });
}
