// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a run: everybody leaves, and nothing is left.

use server_socket::simulate::{self, Odds};
use server_socket::*;

use super::life::Phase;
use super::schedule;
use super::world::{self, World, turn, with};
use support::*;

/// Everybody leaves, in peace mostly. Returns the world as it was at last.
pub fn finish() -> World {
    let (in_peace, events) = with(|world| (world.chance(70), world.events));
    if in_peace {
        leave_in_peace(events);
        let status = ss_loop_run(events);
        rethrow();
        assert_eq!(status, SS_OK, "the loop does not come to its end: {:?}", last_error());
        with(|world| assert_eq!(world.draining.len(), 0, "a server drains on: {:?}", world.draining));
    } else {
        with(World::is_abandoned);
    }
    ok(release(events));
    let mut world = world::take();
    if !in_peace {
        world.everybody_reads();
    }
    let (made, freed) = world::destructors();
    assert_eq!(made, freed, "destructors");
    assert_eq!(simulate::counts().open, 0, "descriptors are open");
    assert!(world.lives.iter().all(|life| life.phase != Phase::Open), "somebody is connected still");
    world
}

fn leave_in_peace(events: *mut ss_loop) {
    with(|world| {
        world.mood.odds = Odds::default();
        simulate::set_odds(Odds::default());
        world.host_sets_server_free();
    });
    schedule::settle();
    with(World::host_leaves);
    // The server goes, with whoever waits there.
    ok(release(with(|world| world.server)));
    for _ in 0..40 {
        turn(events, 0);
        with(World::everybody_reads);
    }
    with(|world| {
        for number in 0..world.lives.len() {
            if world.lives[number].peer.is_some() && !world.lives[number].peer_gone {
                schedule::peer_leaves(world, number);
            }
        }
    });
}

impl World {
    fn host_leaves(&mut self) {
        for number in 0..self.lives.len() {
            let life = &mut self.lives[number];
            if life.peer.is_some() {
                life.peer().set_silent(false);
                life.silent = false;
                life.peer().set_window(1 << 20);
            }
            if self.lives[number].kept && self.lives[number].by_library {
                self.host_closes(number);
            } else if self.lives[number].kept {
                self.host_releases(number);
            }
        }
    }

    /// The loop ends with everything on it, whoever has references.
    fn is_abandoned(&mut self) {
        for life in &mut self.lives {
            life.at_once = true;
            match life.phase {
                Phase::Open => life.close(Phase::Closed),
                Phase::Connecting => life.close(Phase::Failed),
                _ => {}
            }
        }
    }

    fn everybody_reads(&mut self) {
        for life in &mut self.lives {
            if life.peer.is_some() && !life.peer_gone {
                life.peer_reads(usize::MAX);
            }
        }
    }
}
