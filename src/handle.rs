//! Handles: keys that say which kind of object, in which slot, of which generation; and the tables they open.
//!
//! A [`Table`] belongs to one thread and is read without a lock. Its slots come in blocks of 64 whose numbers
//! are unique in the process, so that a key of another thread is never mistaken for one of ours: it simply
//! finds no block here. Only when a look-up has *failed* is the process-wide registry asked why, to tell
//! a stale handle from one that lives on another thread.

use std::any::Any;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use once_cell::sync::Lazy;

use crate::error::{Failure, Result};
use crate::sys;

/// What a key opens. Zero is no kind, so that NULL is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    Loop = 1,
    Server = 2,
    Socket = 3,
    Event = 4,
    /// The transport under a socket. Its keys go to the poller and never to the host.
    Connection = 5,
    Value = 6,
}

const KIND_BITS: u32 = 3;
const SLOT_BITS: u32 = if usize::BITS == 64 { 29 } else { 18 };
const GENERATION_BITS: u32 = usize::BITS - KIND_BITS - SLOT_BITS;
const MAX_GENERATION: u32 = u32::MAX >> (32 - GENERATION_BITS);

const BLOCK_BITS: u32 = 6;
const BLOCK: usize = 1 << BLOCK_BITS;
const MAX_BLOCKS: usize = 1 << (SLOT_BITS - BLOCK_BITS);

/// generation | slot | kind, in one pointer-sized word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(usize);

impl Key {
    fn new(kind: Kind, slot: usize, generation: u32) -> Self {
        Key((generation as usize) << (SLOT_BITS + KIND_BITS) | slot << KIND_BITS | kind as usize)
    }

    /// Any word at all, for instance one that a host handed in.
    pub(crate) fn from_bits(bits: usize) -> Self {
        Key(bits)
    }

    pub(crate) fn bits(self) -> usize {
        self.0
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        [Kind::Loop, Kind::Server, Kind::Socket, Kind::Event, Kind::Connection, Kind::Value]
            .into_iter()
            .find(|kind| *kind as usize == self.0 & ((1 << KIND_BITS) - 1))
    }

    fn is(self, kind: Kind) -> bool {
        self.0 & ((1 << KIND_BITS) - 1) == kind as usize
    }

    fn slot(self) -> usize {
        self.0 >> KIND_BITS & ((1 << SLOT_BITS) - 1)
    }

    fn block(self) -> usize {
        self.slot() >> BLOCK_BITS
    }

    fn index(self) -> usize {
        self.slot() & (BLOCK - 1)
    }

    fn generation(self) -> u32 {
        (self.0 >> (SLOT_BITS + KIND_BITS)) as u32
    }
}

/// Objects of one kind that live on one thread.
pub(crate) struct Table<T> {
    kind: Kind,
    /// By the block's number in the process; most are other threads' and stay `None`.
    blocks: Vec<Option<Block<T>>>,
    /// Slots that can be filled; the last one freed is the first one used again, since it is hot.
    vacant: Vec<u32>,
}

struct Block<T> {
    entries: Vec<Entry<T>>,
    live: Arc<Live>,
}

struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// Keys of the living objects of a block, 0 where the slot is vacant; written by the owner, read by other threads
/// that want to know whether a handle which is not theirs is somebody's.
struct Live([AtomicUsize; BLOCK]);

impl<T> Table<T> {
    pub(crate) fn new(kind: Kind) -> Self {
        Table { kind, blocks: Vec::new(), vacant: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> Result<Key> {
        if self.vacant.is_empty() {
            self.grow()?;
        }
        let slot = self.vacant.pop().ok_or_else(Failure::no_memory)? as usize;
        let index = slot & (BLOCK - 1);
        let block = self.blocks[slot >> BLOCK_BITS].as_mut().expect("vacant slots are in blocks of ours");
        let entry = &mut block.entries[index];
        entry.value = Some(value);
        let key = Key::new(self.kind, slot, entry.generation);
        block.live.0[index].store(key.bits(), Ordering::Relaxed);
        Ok(key)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if !key.is(self.kind) {
            return None;
        }
        let block = self.blocks.get(key.block())?.as_ref()?;
        let entry = &block.entries[key.index()];
        match entry.generation == key.generation() {
            true => entry.value.as_ref(),
            false => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if !key.is(self.kind) {
            return None;
        }
        let block = self.blocks.get_mut(key.block())?.as_mut()?;
        let entry = &mut block.entries[key.index()];
        match entry.generation == key.generation() {
            true => entry.value.as_mut(),
            false => None,
        }
    }

    /// As [`get`](Table::get), with the reason where there is nothing.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Result<&T> {
        self.get(key).ok_or_else(|| explain(key, self.kind))
    }

    /// As [`get_mut`](Table::get_mut), with the reason where there is nothing.
    #[inline]
    pub(crate) fn find_mut(&mut self, key: Key) -> Result<&mut T> {
        let kind = self.kind;
        self.get_mut(key).ok_or_else(|| explain(key, kind))
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let block = self.blocks[key.block()].as_mut()?;
        let entry = &mut block.entries[key.index()];
        let value = entry.value.take();
        block.live.0[key.index()].store(0, Ordering::Relaxed);
        if let Some(next) = next_generation(entry.generation) {
            entry.generation = next;
            self.vacant.push(key.slot() as u32);
        }
        value
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let kind = self.kind;
        self.blocks.iter().enumerate().filter_map(|(number, block)| Some((number, block.as_ref()?))).flat_map(
            move |(number, block)| {
                block.entries.iter().enumerate().filter_map(move |(index, entry)| {
                    let key = Key::new(kind, number << BLOCK_BITS | index, entry.generation);
                    Some((key, entry.value.as_ref()?))
                })
            },
        )
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(BLOCK).map_err(|_| Failure::no_memory())?;
        // A slot must always find room to become vacant again without allocating.
        self.vacant
            .try_reserve(self.blocks.iter().flatten().count() * BLOCK + BLOCK)
            .map_err(|_| Failure::no_memory())?;
        let (number, generation, live) = lock().claim()?;
        if number >= self.blocks.len() {
            self.blocks.resize_with(number + 1, || None);
        }
        entries.extend((0..BLOCK).map(|_| Entry { generation, value: None }));
        self.blocks[number] = Some(Block { entries, live });
        self.vacant.extend((0..BLOCK).rev().map(|index| (number << BLOCK_BITS | index) as u32));
        Ok(())
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let mut registry = lock();
        for (number, block) in self.blocks.iter().enumerate() {
            if let Some(block) = block {
                let last = block.entries.iter().map(|entry| entry.generation).max().unwrap_or(1);
                registry.give_back(number, last);
            }
        }
    }
}

/// `None`: the slot has used up its generations and is retired, so that no stale key can ever fit it again.
/// Where a key has too few bits for that (32-bit systems) generations start over instead.
fn next_generation(generation: u32) -> Option<u32> {
    match generation < MAX_GENERATION {
        true => Some(generation + 1),
        false if usize::BITS == 64 => None,
        false => Some(1),
    }
}

/// Why a key opens nothing here.
#[cold]
pub(crate) fn explain(key: Key, kind: Kind) -> Failure {
    if !key.is(kind) {
        return Failure::stale_handle();
    }
    let registry = lock();
    match registry.blocks.get(key.block()) {
        Some(block) if block.live.0[key.index()].load(Ordering::Relaxed) == key.bits() => {
            match block.epoch == sys::fork_epoch() {
                true => Failure::wrong_thread(),
                false => Failure::forked(),
            }
        }
        _ => Failure::stale_handle(),
    }
}

/// Makes `object` reachable from every thread under `key`, until [`withdraw`].
pub(crate) fn publish(key: Key, object: Arc<dyn Any + Send + Sync>) {
    lock().published.insert(key, object);
}

pub(crate) fn withdraw(key: Key) {
    lock().published.remove(&key);
}

pub(crate) fn published<T: Any + Send + Sync>(key: Key) -> Option<Arc<T>> {
    let object = lock().published.get(&key).cloned()?;
    object.downcast().ok()
}

/// What all threads of the process share: who owns which block, and the objects any thread may reach.
struct Registry {
    blocks: Vec<Owned>,
    free: Vec<usize>,
    published: BTreeMap<Key, Arc<dyn Any + Send + Sync>>,
}

struct Owned {
    epoch: u32,
    /// The generation its slots start with when it is claimed next.
    generation: u32,
    live: Arc<Live>,
}

impl Registry {
    fn claim(&mut self) -> Result<(usize, u32, Arc<Live>)> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.blocks.len() < MAX_BLOCKS => {
                let live = Arc::new(Live([const { AtomicUsize::new(0) }; BLOCK]));
                self.blocks.push(Owned { epoch: 0, generation: first_generation(), live });
                self.blocks.len() - 1
            }
            None => return Err(Failure::no_memory()),
        };
        let block = &mut self.blocks[number];
        block.epoch = sys::fork_epoch();
        Ok((number, block.generation, block.live.clone()))
    }

    fn give_back(&mut self, number: usize, last_generation: u32) {
        let block = &mut self.blocks[number];
        for live in &block.live.0 {
            live.store(0, Ordering::Relaxed);
        }
        if let Some(next) = next_generation(last_generation) {
            block.generation = next;
            self.free.push(number);
        }
    }
}

/// Random, so that a handle of another copy of this library in the same process does not fit by accident;
/// in the lower half, so that a slot serves two thousand million times before it is retired.
fn first_generation() -> u32 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    (hasher.finish() as u32 & (MAX_GENERATION >> 1)).max(1)
}

static REGISTRY: Lazy<Mutex<Registry>> = Lazy::new(|| {
    sys::FORK_GUARDS.add(|| Box::new(lock()));
    Mutex::new(Registry { blocks: Vec::new(), free: Vec::new(), published: BTreeMap::new() })
});

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = Key::new(Kind::Event, (1 << SLOT_BITS) - 1, MAX_GENERATION);
        assert_eq!(key.kind(), Some(Kind::Event));
        assert_eq!(key.slot(), (1 << SLOT_BITS) - 1);
        assert_eq!(key.generation(), MAX_GENERATION);
    }

    #[test]
    fn a_removed_object_leaves_its_key_stale_and_its_slot_reusable() {
        let mut table = Table::new(Kind::Server);
        let first = table.insert("first").unwrap();
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second").unwrap();
        assert_eq!(first.slot(), second.slot());
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(second), Some(&"second"));
    }

    #[test]
    fn a_slot_that_has_used_up_its_generations_is_retired() {
        let mut table = Table::new(Kind::Server);
        let key = table.insert(()).unwrap();
        table.blocks[key.block()].as_mut().unwrap().entries[key.index()].generation = MAX_GENERATION;
        let last = Key::new(Kind::Server, key.slot(), MAX_GENERATION);
        table.remove(last);
        for _ in 0..BLOCK * 2 {
            assert_ne!(table.insert(()).unwrap().slot(), key.slot());
        }
    }

    #[test]
    fn blocks_of_an_ended_thread_start_with_later_generations() {
        let stale = std::thread::spawn(|| Table::new(Kind::Socket).insert(1).unwrap()).join().unwrap();
        let mut table = Table::new(Kind::Socket);
        for _ in 0..BLOCK * 8 {
            assert_ne!(table.insert(1).unwrap(), stale);
        }
    }

    #[test]
    fn another_threads_key_is_told_from_a_stale_one() {
        use crate::error::Class;
        let mut table = Table::new(Kind::Socket);
        let key = table.insert(1).unwrap();
        let class = move || explain(key, Kind::Socket).class;
        assert_eq!(std::thread::spawn(class).join().unwrap(), Class::Thread);
        table.remove(key);
        assert_eq!(std::thread::spawn(class).join().unwrap(), Class::Handle);
    }

    #[test]
    fn iterating_yields_every_living_object_once() {
        let mut table = Table::new(Kind::Socket);
        let keys: Vec<Key> = (0..200).map(|number| table.insert(number).unwrap()).collect();
        table.remove(keys[100]);
        let mut seen: Vec<i32> = table.iter().map(|(_, value)| *value).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).filter(|number| *number != 100).collect::<Vec<_>>());
    }
}
