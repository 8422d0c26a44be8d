//! Handles: keys that say which kind of object, in which slot, of which generation; and the tables they open.
//!
//! A [`Table`] belongs to one thread and is read without a lock. Its slots come in blocks of 64 whose numbers
//! are unique in the process, so that a key of another thread is never mistaken for one of ours: it simply
//! finds no block here. Only when a look-up has *failed* is the process-wide registry asked why, to tell
//! a stale handle from one that lives on another thread.

use std::any::Any;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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
const SLOT_BITS: u32 = if usize::BITS == 64 { 30 } else { 18 };
/// At most 31 of them, so that a word of 32 has room for "alive" beside it. All bits of a key are used: no two words
/// are the same key.
const GENERATION_BITS: u32 = if usize::BITS == 64 { 31 } else { usize::BITS - KIND_BITS - SLOT_BITS };
const _: () = assert!(KIND_BITS + SLOT_BITS + GENERATION_BITS == usize::BITS);
const MAX_GENERATION: u32 = u32::MAX >> (32 - GENERATION_BITS);

const BLOCK_BITS: u32 = 6;
const BLOCK: usize = 1 << BLOCK_BITS;
const MAX_BLOCKS: usize = 1 << (SLOT_BITS - BLOCK_BITS);

/// generation | slot | kind, in one pointer-sized word. Never zero, so that "no key" takes no room either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(NonZeroUsize);

/// Stands for NULL; its kind is none.
const NOTHING: NonZeroUsize = NonZeroUsize::MAX;

impl Key {
    fn new(kind: Kind, slot: usize, generation: u32) -> Self {
        Key::from_bits((generation as usize) << (SLOT_BITS + KIND_BITS) | slot << KIND_BITS | kind as usize)
    }

    /// Any word at all, for instance one that a host handed in.
    #[inline]
    pub(crate) fn from_bits(bits: usize) -> Self {
        Key(NonZeroUsize::new(bits).unwrap_or(NOTHING))
    }

    #[inline]
    pub(crate) fn bits(self) -> usize {
        self.0.get()
    }

    #[inline]
    pub(crate) fn kind(self) -> Option<Kind> {
        match self.bits() & ((1 << KIND_BITS) - 1) {
            1 => Some(Kind::Loop),
            2 => Some(Kind::Server),
            3 => Some(Kind::Socket),
            4 => Some(Kind::Event),
            5 => Some(Kind::Connection),
            6 => Some(Kind::Value),
            _ => None,
        }
    }

    #[inline]
    fn is(self, kind: Kind) -> bool {
        self.bits() & ((1 << KIND_BITS) - 1) == kind as usize
    }

    #[inline]
    fn slot(self) -> usize {
        self.bits() >> KIND_BITS & ((1 << SLOT_BITS) - 1)
    }

    #[inline]
    fn block(self) -> usize {
        self.slot() >> BLOCK_BITS
    }

    #[inline]
    fn index(self) -> usize {
        self.slot() & (BLOCK - 1)
    }

    #[inline]
    fn generation(self) -> u32 {
        (self.bits() >> (SLOT_BITS + KIND_BITS)) as u32
    }

    /// What stands in the slot while this key's object lives.
    #[inline]
    fn alive(self) -> u32 {
        alive(self.generation())
    }
}

/// Objects of one kind that live on one thread.
pub(crate) struct Table<T> {
    kind: Kind,
    /// By the block's number in the process; most are other threads' and stay `None`.
    blocks: Vec<Option<Block<T>>>,
    /// The first of the slots that can be filled: the last one freed, since it is hot.
    vacant: Next,
}

/// Where an object is, or was, or will be.
pub(crate) enum Place<T> {
    Taken(T),
    /// A link of the chain of vacant ones.
    Vacant(Next),
}

/// The number of a slot.
type Next = Option<NonZeroU32>;

/// Slot 0 would be no link; it is kept out of use.
fn link(slot: usize) -> Next {
    NonZeroU32::new(slot as u32)
}

impl<T> Place<T> {
    #[inline]
    fn get(&self) -> Option<&T> {
        match self {
            Place::Taken(object) => Some(object),
            Place::Vacant(_) => None,
        }
    }

    #[inline]
    fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            Place::Taken(object) => Some(object),
            Place::Vacant(_) => None,
        }
    }
}

struct Block<T> {
    places: Box<[Place<T>; BLOCK]>,
    slots: &'static Slots,
}

/// A word for each slot of a block: its generation, and whether it is alive. Written by the owner; read by it at
/// every look-up, and by other threads that want to know whether a handle which is not theirs is somebody's.
///
/// Words are written whenever an object comes or goes, as an event does with each message: so no two blocks share a
/// cache line, and no loop makes another one's processor wait.
#[repr(align(64))]
struct Slots([AtomicU32; BLOCK]);

/// The word of a slot whose object lives. One that is vacant has the generation that it will have next.
#[inline]
fn alive(generation: u32) -> u32 {
    vacant(generation) | 1
}

#[inline]
fn vacant(generation: u32) -> u32 {
    generation << 1
}

impl Slots {
    #[inline]
    fn get(&self, index: usize) -> u32 {
        self.0[index].load(Ordering::Relaxed)
    }

    fn set(&self, index: usize, word: u32) {
        self.0[index].store(word, Ordering::Relaxed);
    }
}

impl<T> Table<T> {
    pub(crate) fn new(kind: Kind) -> Self {
        Table { kind, blocks: Vec::new(), vacant: None }
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, value: T) -> Result<Key> {
        if self.vacant.is_none() {
            self.grow()?;
        }
        let slot = self.vacant.ok_or_else(Failure::no_memory)?.get() as usize;
        let index = slot & (BLOCK - 1);
        let block = self.blocks[slot >> BLOCK_BITS].as_mut().expect("vacant slots are in blocks of ours");
        let generation = block.slots.get(index) >> 1;
        let Place::Vacant(next) = std::mem::replace(&mut block.places[index], Place::Taken(value)) else {
            unreachable!("the chain has only vacant places");
        };
        self.vacant = next;
        block.slots.set(index, alive(generation));
        Ok(Key::new(self.kind, slot, generation))
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if !key.is(self.kind) {
            return None;
        }
        let block = self.blocks.get(key.block())?.as_ref()?;
        match block.slots.get(key.index()) == key.alive() {
            true => block.places[key.index()].get(),
            false => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if !key.is(self.kind) {
            return None;
        }
        let block = self.blocks.get_mut(key.block())?.as_mut()?;
        match block.slots.get(key.index()) == key.alive() {
            true => block.places[key.index()].get_mut(),
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
        if !key.is(self.kind) {
            return None;
        }
        let block = self.blocks.get_mut(key.block())?.as_mut()?;
        if block.slots.get(key.index()) != key.alive() {
            return None;
        }
        let next = next_generation(key.generation());
        block.slots.set(key.index(), vacant(next.unwrap_or(key.generation())));
        // One that has used up its generations is left out of the chain.
        let rest = if next.is_some() { self.vacant } else { None };
        let place = std::mem::replace(&mut block.places[key.index()], Place::Vacant(rest));
        if next.is_some() {
            self.vacant = link(key.slot());
        }
        match place {
            Place::Taken(object) => Some(object),
            Place::Vacant(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let kind = self.kind;
        self.blocks.iter().enumerate().filter_map(|(number, block)| Some((number, block.as_ref()?))).flat_map(
            move |(number, block)| {
                block.places.iter().enumerate().filter_map(move |(index, place)| {
                    let key = Key::new(kind, number << BLOCK_BITS | index, block.slots.get(index) >> 1);
                    Some((key, place.get()?))
                })
            },
        )
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let mut places = Vec::new();
        places.try_reserve_exact(BLOCK).map_err(|_| Failure::no_memory())?;
        let (number, slots) = lock().claim(self.kind)?;
        if number >= self.blocks.len() {
            self.blocks.resize_with(number + 1, || None);
        }
        let first = number << BLOCK_BITS;
        places.extend((1..=BLOCK).map(|next| Place::Vacant(if next < BLOCK { link(first + next) } else { None })));
        let places = places.into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!("it has that length"));
        self.blocks[number] = Some(Block { places, slots });
        self.vacant = link(first.max(1));
        Ok(())
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let mut registry = lock();
        for (number, _) in self.blocks.iter().enumerate().filter(|(_, block)| block.is_some()) {
            registry.give_back(number);
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
        Some(block) if block.kind == kind && block.slots.get(key.index()) == key.alive() => {
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
    kind: Kind,
    slots: &'static Slots,
}

impl Registry {
    fn claim(&mut self, kind: Kind) -> Result<(usize, &'static Slots)> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.blocks.len() < MAX_BLOCKS => {
                let first = vacant(first_generation());
                // Never given back: another thread may look at it at any time.
                let slots = Box::leak(Box::new(Slots(std::array::from_fn(|_| AtomicU32::new(first)))));
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
    fn give_back(&mut self, number: usize) {
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

/// Random, so that a handle of another copy of this library in the same process does not fit by accident;
/// in the lower half, so that a slot serves a thousand million times before it is retired.
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

    // With fewer bits generations start over.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_slot_that_has_used_up_its_generations_is_retired() {
        let mut table = Table::new(Kind::Server);
        let key = table.insert(()).unwrap();
        table.blocks[key.block()].as_mut().unwrap().slots.set(key.index(), alive(MAX_GENERATION));
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
