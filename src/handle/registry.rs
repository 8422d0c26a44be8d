// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all threads of the process share: who owns which block of slots, and what their words say. It is asked only when a block
//! comes or goes, and when a look-up has failed.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BLOCK, Key, Kind, MAX_BLOCKS, MAX_GENERATION};
use crate::error::{Failure, Result};
use crate::memory::{self, Seed};
use crate::sys;

/// A word for each slot of a block: its generation, and whether it is alive. Written by the owner; read by it at
/// every look-up, and by other threads that want to know whether a handle which is not theirs is somebody's.
///
/// Words are written whenever an object comes or goes, as an event does with each message: so no two blocks share a
/// cache line, and no loop makes another one's processor wait.
#[repr(align(64))]
pub(super) struct Slots([AtomicU32; BLOCK]);

/// The word of a slot whose object lives. One that is vacant has the generation that it will have next.
#[inline]
pub(super) fn alive(generation: u32) -> u32 {
    vacant(generation) | 1
}

#[inline]
pub(super) fn vacant(generation: u32) -> u32 {
    generation << 1
}

impl Slots {
    #[inline]
    pub(super) fn get(&self, index: usize) -> u32 {
        self.0[index].load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, index: usize, word: u32) {
        self.0[index].store(word, Ordering::Relaxed);
    }
}

/// `None`: the slot has used up its generations and is retired, so that no stale key can ever fit it again.
/// Where a key has too few bits for that (32-bit systems) generations start over instead.
pub(super) fn next_generation(generation: u32) -> Option<u32> {
    match generation < MAX_GENERATION {
        true => Some(generation + 1),
        false if usize::BITS == 64 => None,
        false => Some(1),
    }
}

/// Why a key opens nothing here, where something of one of these kinds is wanted.
#[cold]
pub(crate) fn explain(key: Key, wanted: &[Kind]) -> Failure {
    if key.is_null() {
        return Failure::null_handle();
    }
    // Connections have no handles: what looks like one is garbage.
    let Some(kind) = key.kind().filter(|kind| *kind != Kind::Connection) else { return Failure::stale_handle() };
    let epoch = match lock().blocks.get(key.block()) {
        Some(block) if block.kind == kind && block.slots.get(key.index()) == key.alive() => block.epoch,
        _ => return Failure::stale_handle(),
    };
    if !wanted.contains(&kind) {
        let names: Vec<&str> = wanted.iter().map(|kind| kind.genitive()).collect();
        return Failure::other_handle(kind.genitive(), &names.join(" or "));
    }
    match epoch == sys::fork_epoch() {
        true => Failure::wrong_thread(),
        false => Failure::forked(),
    }
}

/// What all threads of the process share: who owns which block.
pub(super) struct Registry {
    blocks: Vec<Owned>,
    free: Vec<usize>,
}

struct Owned {
    epoch: u32,
    kind: Kind,
    slots: &'static Slots,
}

impl Registry {
    pub(super) fn claim(&mut self, kind: Kind) -> Result<(usize, &'static Slots)> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.blocks.len() < MAX_BLOCKS => {
                let first = vacant(first_generation());
                // So that to give one back takes no memory.
                self.free.try_reserve(self.blocks.len() + 1).map_err(|_| Failure::no_memory())?;
                self.blocks.try_reserve(1).map_err(|_| Failure::no_memory())?;
                // Never given back: another thread may look at it at any time.
                let slots = Box::leak(memory::boxed(Slots(std::array::from_fn(|_| AtomicU32::new(first))))?);
                self.blocks.push(Owned { epoch: 0, kind, slots });
                self.blocks.len() - 1
            }
            None => return Err(Failure::no_memory()),
        };
        let block = &mut self.blocks[number];
        block.epoch = sys::fork_epoch();
        block.kind = kind;
        Ok((number, block.slots))
    }

    /// Whoever claims the block next goes on with later generations, so that no key of now fits then.
    pub(super) fn give_back(&mut self, number: usize) {
        let slots = &self.blocks[number].slots;
        let last = (0..BLOCK).map(|index| slots.get(index) >> 1).max().unwrap_or(1);
        let next = next_generation(last);
        for index in 0..BLOCK {
            slots.set(index, vacant(next.unwrap_or(last)));
        }
        if next.is_some() {
            self.free.push(number);
        }
    }
}

/// Hardly ever the same twice, so that a handle of another copy of this library in the same process does not fit by
/// accident; in the lower half, so that a slot serves a thousand million times before it is retired. It is no secret.
fn first_generation() -> u32 {
    (Seed::default().number() as u32 & (MAX_GENERATION >> 1)).max(1)
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { blocks: Vec::new(), free: Vec::new() });

pub(super) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds the registry while the process forks.
pub(crate) fn hold() -> Box<dyn Any> {
    Box::new(lock())
}
