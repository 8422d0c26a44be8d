// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library in a made-up network: hundreds of peers, and everything that they, the host and the system can do, by chance,
//! against a model. Each run has a process of its own. `SS_SIMULATION_SEED=n` repeats one; `SS_SIMULATION_TRACE=1` says what happens in it;
//! `SS_SIMULATION_STEPS=n` is how many steps there are in all.
//!
//! Needs the feature `simulate`: `cargo test --features simulate --test simulation`.

#![cfg(all(unix, feature = "simulate"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it is C's side of the interface, with the test's own pointers"
)]

mod finish;
mod host;
mod life;
mod rest;
mod schedule;
mod world;

use life::Life;
use server_socket::simulate::{self, Ending};
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;
use support::*;
use world::{Mood, World};

/// How long one network is there.
const EPISODE: usize = 10_000;

/// What came of a run: steps, connections, those that their peers saw end well, those that they saw reset, those that ended by
/// an error, events, bytes, and milliseconds of the network's time.
type Tally = [u64; 8];

/// In front of a run's tally, where it is printed.
const TALLY: &str = "tally:";

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One network, from its beginning to its end.
fn episode(seed: u64, steps: usize) -> Tally {
    let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mood = Mood::of(&mut random);
    simulate::begin(random.next());
    world::set(World::new(random.next(), mood));
    simulate::set_odds(mood.odds);
    schedule::gather();
    for _ in 0..steps {
        schedule::step();
    }
    let world = finish::finish();
    let bytes = world.lives.iter().map(|life| life.read + life.got).sum();
    let count = |is: fn(&Life) -> bool| world.lives.iter().filter(|life| is(life)).count() as u64;
    let fins = count(|life| life.ending == Some(Ending::Fin));
    let resets = count(|life| life.ending.is_some_and(|ending| ending != Ending::Fin));
    let errors = count(|life| life.error.is_some());
    let time = simulate::clock().as_millis() as u64;
    [steps as u64, world.lives.len() as u64, fins, resets, errors, world.heard, bytes, time]
}

/// A run that prints its tally. One that fails says how to see it again, and so does one that never ends.
fn run_here(seed: u64) {
    let (_over, is_over) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if is_over.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("it hangs");
            std::process::abort();
        }
    });
    let tally = episode(seed, EPISODE).map(|figure| figure.to_string());
    println!("\n{TALLY}{}", tally.join(" "));
}

/// A run in a process of its own: what was there before would be seen in the order of handles, and a run could not be repeated.
fn run(seed: u64) -> Tally {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["whatever_happens_the_library_keeps_to_its_model", "--exact", "--nocapture"])
        .env("SS_SIMULATION_SEED", seed.to_string())
        .output()
        .expect("the test program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\nagain: SS_SIMULATION_SEED={seed} SS_SIMULATION_TRACE=1");
    let tally = out.lines().find_map(|line| line.strip_prefix(TALLY)).expect("a tally");
    let mut figures = tally.split(' ').map(|figure| figure.parse().expect("a number"));
    std::array::from_fn(|_| figures.next().expect("a figure"))
}

#[test]
fn whatever_happens_the_library_keeps_to_its_model() {
    if let Some(seed) = number("SS_SIMULATION_SEED") {
        return run_here(seed as u64);
    }
    let (start, mut all) = (Instant::now(), [0; 8]);
    let steps = number("SS_SIMULATION_STEPS").unwrap_or(300_000);
    let first = number("SS_SIMULATION_FIRST").unwrap_or(1);
    for seed in first..first + steps.div_ceil(EPISODE) {
        let tally = run(seed as u64);
        all = std::array::from_fn(|index| all[index] + tally[index]);
    }
    let seconds = start.elapsed().as_secs_f64();
    let [steps, lives, fins, resets, errors, events, bytes, time] = all;
    figure(format!(
        "simulation: {steps} steps in {seconds:.1} s, {:.0} a second: {lives} connections ({fins} FIN, {resets} RST, \
         {errors} errors), {events} events, {bytes} bytes, {} s of its time",
        steps as f64 / seconds,
        time / 1_000
    ));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7), run(7));
}
