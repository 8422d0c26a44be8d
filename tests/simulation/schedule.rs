// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens, and in which order: all of it by chance.

use server_socket::simulate::{self, Odds};
use server_socket::*;

use super::life::{Life, Phase};
use super::world::{self, Mood, World, trace, turn, with};
use support::*;

impl Mood {
    pub fn of(random: &mut Random) -> Mood {
        let mut pick = |choices: &[usize]| choices[random.below(choices.len())];
        let often = pick(&[0, 4, 40, 200]) as u32;
        let odds = Odds {
            short: often,
            would_block: often,
            no_memory: often / 8,
            no_descriptors: often,
            aborted: often / 4,
            unreachable: often / 4,
            again: often,
        };
        Mood {
            odds,
            buffers: pick(&[300, 5_000, 70_000, 400_000]),
            message: pick(&[20, 300, 5_000, 100_000]),
            population: pick(&[2, 20, 100, 400]),
            has_limits: pick(&[0, 1]) == 1,
            has_clocks: pick(&[0, 0, 1]) == 1,
            half_open: pick(&[0, 1]) == 1,
            wait: pick(&[1, 30, 1_000, 40_000]),
        }
    }
}

/// What a listener does: something with its own socket, mostly.
pub fn react(world: &mut World, number: usize) {
    for _ in 0..world.random.below(4) {
        let own = world.chance(75);
        match if own { Some(number) } else { pick(world) } {
            Some(number) => host_acts(world, number),
            None => return,
        }
    }
    if world.chance(5) {
        someone_acts(world);
    }
}

fn pick(world: &mut World) -> Option<usize> {
    let count = world.active.len();
    (count > 0).then(|| world.active[world.random.below(count)])
}

fn host_acts(world: &mut World, number: usize) {
    if !world.lives[number].kept {
        return;
    }
    let over = !matches!(world.lives[number].phase, Phase::Open | Phase::Connecting);
    match world.random.below(if over { 160 } else { 100 }) {
        0..35 => world.host_reads(number),
        35..65 => world.host_writes(number),
        65..69 => world.host_pauses(number, true),
        69..80 => world.host_pauses(number, false),
        80..83 => world.host_closes(number),
        83 => world.host_aborts(number),
        84..86 => world.host_releases(number),
        86..91 => world.host_sets_option(number),
        91..93 => world.host_shuts_down(number),
        93 => either_way(ss_socket_flush(world.lives[number].socket)),
        94 => world.call(Some(number)),
        95..97 => world.host_sets_timeout(number),
        97..100 => {}
        100..110 => world.call(Some(number)),
        _ => world.host_releases(number),
    }
}

fn peer_acts(world: &mut World, number: usize) {
    let life = &world.lives[number];
    if life.peer.is_none() || life.peer_gone {
        return;
    }
    if life.phase == Phase::Connecting {
        return answer(world, number);
    }
    if life.ending.is_some() && world.chance(50) {
        return peer_leaves(world, number);
    }
    let size = world.size(world.mood.message);
    match world.random.below(100) {
        0..38 => world.lives[number].peer_writes(size, false),
        38..40 => world.lives[number].peer_writes(size, true),
        40..75 => {
            let most = if world.chance(30) { usize::MAX } else { size };
            world.lives[number].peer_reads(most);
        }
        75..78 => peer_ends(&mut world.lives[number]),
        78..81 => peer_leaves(world, number),
        81 => {
            let life = &mut world.lives[number];
            life.peer().reset();
            (life.peer_reset, life.peer_gone, life.peer_ended) = (true, true, true);
            trace!(world, "life {number}: peer resets");
        }
        82..90 => {
            let most = world.mood.buffers;
            let window = if world.chance(30) { 0 } else { world.size(most) };
            world.lives[number].peer().set_window(window);
        }
        90..93 if world.mood.has_clocks => be_silent(&mut world.lives[number], true),
        93..97 => be_silent(&mut world.lives[number], false),
        _ => {}
    }
    let life = &world.lives[number];
    trace!(world, "life {number}: peer has sent {} and got {}", life.sent, life.got);
}

fn peer_ends(life: &mut Life) {
    life.peer().shut_down();
    life.peer_ended = true;
}

fn be_silent(life: &mut Life, silent: bool) {
    life.peer().set_silent(silent);
    life.silent = silent;
    life.was_silent |= silent;
}

fn answer(world: &mut World, number: usize) {
    let chance = world.random.below(100);
    let life = &mut world.lives[number];
    match chance {
        0..40 => life.peer().answer(),
        40..50 => {
            life.peer().reset();
            (life.peer_reset, life.peer_gone, life.peer_ended) = (true, true, true);
        }
        _ => {}
    }
    trace!(world, "life {number}: peer answers, {chance}");
}

/// The peer closes its descriptor. With unread input that is a reset.
pub fn peer_leaves(world: &mut World, number: usize) {
    let life = &mut world.lives[number];
    life.look_at_end();
    life.peer_reset |= life.peer().facts().at_peer > 0;
    life.peer().close();
    (life.peer_gone, life.peer_ended) = (true, true);
    trace!(world, "life {number}: peer leaves");
}

/// Somebody who connects, somebody whom we call, a peer, or the host.
fn someone_acts(world: &mut World) {
    let room = world.active.len() < world.mood.population;
    match world.random.below(100) {
        0..8 if room => world.peer_connects(),
        8..11 if room => world.call(None),
        11..16 => world.host_sets_server(),
        16..60 => {
            if let Some(number) = pick(world) {
                peer_acts(world, number);
            }
        }
        _ => {
            if let Some(number) = pick(world) {
                host_acts(world, number);
            }
        }
    }
}

/// Half of those who may be there come at the beginning.
pub fn gather() {
    let (crowd, events) = with(|world| (world.mood.population / 2, world.events));
    for count in 0..crowd {
        with(World::peer_connects);
        if count % 50 == 49 {
            turn(events, 0);
        }
    }
}

/// One step of the schedule.
pub fn step() {
    let (acts, events) = with(|world| (world.chance(70), world.events));
    if acts {
        let own = with(|world| {
            someone_acts(world);
            pick(world).and_then(|number| world.dispatches(number, 2))
        });
        if let Some(socket) = own {
            world::dispatch_mine(socket);
            rethrow();
        }
        return;
    }
    // The host is busy, now and then, and comes late.
    if let Some(late) = with(|world| world.chance(5).then(|| world.random.below(world.mood.wait + 1))) {
        simulate::pass(world::milliseconds(late as u64));
    }
    let wait = with(|world| if world.chance(50) { 0 } else { world.random.below(world.mood.wait + 1) });
    turn(events, wait as i32);
    with(|world| {
        if world.chance(10) {
            world::sweep(world);
        }
    });
    if with(|world| world.chance(4)) {
        settle();
    }
}

// ---- When nothing is under way any more -----------------------------------------------------------------------------

/// So many turns in a row may bring nothing though the loop did not want to sleep.
const IDLE_TURNS: u32 = 8;

/// Turns until the loop would sleep. Fails if it spins.
fn come_to_rest() {
    let events = with(|world| world.events);
    let mut idle = 0;
    while ss_loop_timeout(events) == 0 || simulate::has_news() {
        let before = simulate::counts();
        let heard = turn(events, 0);
        let after = simulate::counts();
        idle = if heard > 0 || after.moved > before.moved { 0 } else { idle + 1 };
        assert!(idle < IDLE_TURNS, "the loop spins");
    }
}

/// Lets everything that is under way arrive, and what rests for want of memory be tried again. Then nothing may be left
/// that somebody should have seen to.
pub fn settle() {
    let odds = with(|world| world.mood.odds);
    simulate::set_odds(Odds::default());
    let events = with(|world| {
        world.quiet = true;
        trace!(world, "everything comes to rest");
        world.events
    });
    come_to_rest();
    let end = simulate::clock() + world::milliseconds(250);
    while simulate::clock() < end {
        let left = (end - simulate::clock()).as_millis() as i32 + 1;
        turn(events, left);
        come_to_rest();
    }
    with(|world| {
        world.check_rest();
        world.quiet = false;
    });
    simulate::set_odds(odds);
}
