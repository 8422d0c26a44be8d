// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles: keys that say which kind of object, in which slot, of which generation; and the tables they open.
//!
//! A [`Table`] belongs to one thread and is read without a lock. Its slots come in blocks of 64 whose numbers
//! are unique in the process, so that a key of another thread is never mistaken for one of ours: it simply
//! finds no block here. Only when a look-up has *failed* is the process-wide registry asked why, to tell
//! a stale handle from one that lives on another thread.

mod registry;
mod walk;

use std::num::{NonZeroU32, NonZeroUsize};

use registry::{Slots, alive, lock, next_generation, vacant};
pub(crate) use registry::{explain, hold};

use crate::error::{Failure, Result};

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    /// All other numbers of three bits are taken. NULL is no key for all that, since no generation is 0.
    Tls = 0,
    Loop = 1,
    Server = 2,
    Socket = 3,
    Event = 4,
    /// The transport under a socket. Its keys go to the poller and never to the host.
    Connection = 5,
    Value = 6,
    Timer = 7,
}

impl Kind {
    #[inline]
    pub(crate) fn of(number: usize) -> Option<Kind> {
        match number {
            0 => Some(Kind::Tls),
            1 => Some(Kind::Loop),
            2 => Some(Kind::Server),
            3 => Some(Kind::Socket),
            4 => Some(Kind::Event),
            5 => Some(Kind::Connection),
            6 => Some(Kind::Value),
            7 => Some(Kind::Timer),
            _ => None,
        }
    }

    /// For a message about a handle.
    pub(crate) fn genitive(self) -> &'static str {
        match self {
            Kind::Loop => "a loop's",
            Kind::Server => "a server's",
            Kind::Socket => "a socket's",
            Kind::Timer => "a timer's",
            Kind::Event => "an event's",
            Kind::Connection => "a connection's",
            Kind::Value => "a value's",
            Kind::Tls => "an ss_tls's",
        }
    }
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

/// slot | generation | kind, in one pointer-sized word. Never zero, so that "no key" takes no room either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(NonZeroUsize);

/// Stands for NULL; its kind is none.
const NOTHING: NonZeroUsize = NonZeroUsize::new(usize::MAX << KIND_BITS).expect("some bits are set");

impl Key {
    fn new(kind: Kind, slot: usize, generation: u32) -> Self {
        Key::from_bits(slot << (GENERATION_BITS + KIND_BITS) | (generation as usize) << KIND_BITS | kind as usize)
    }

    /// Any word at all, for instance one that a host handed in.
    #[inline]
    pub(crate) fn from_bits(bits: usize) -> Self {
        Key(NonZeroUsize::new(bits).unwrap_or(NOTHING))
    }

    /// The same for a word that may be 0, which is no key.
    #[inline]
    pub(crate) fn from_some_bits(bits: usize) -> Option<Self> {
        NonZeroUsize::new(bits).map(Key)
    }

    #[inline]
    pub(crate) fn bits(self) -> usize {
        self.0.get()
    }

    /// Whether it is the one that is remembered: one comparison, since no key is 0.
    #[inline]
    pub(crate) fn is_that(self, remembered: Option<Key>) -> bool {
        remembered.map_or(0, Key::bits) == self.bits()
    }

    /// Whether it stands for NULL.
    pub(crate) fn is_null(self) -> bool {
        self.0 == NOTHING
    }

    #[inline]
    pub(crate) fn kind(self) -> Option<Kind> {
        Kind::of(self.bits() & ((1 << KIND_BITS) - 1))
    }

    #[inline]
    fn is(self, kind: Kind) -> bool {
        self.bits() & ((1 << KIND_BITS) - 1) == kind as usize
    }

    #[inline]
    fn slot(self) -> usize {
        self.bits() >> (GENERATION_BITS + KIND_BITS)
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
        (self.bits() >> KIND_BITS) as u32 & MAX_GENERATION
    }

    /// What stands in the slot while this key's object lives.
    #[inline]
    fn alive(self) -> u32 {
        alive(self.generation())
    }
}

/// What a table may hold.
pub(crate) trait Object {
    const KIND: Kind;
}

/// Objects of one kind that live on one thread.
pub(crate) struct Table<T> {
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

impl<T: Object> Table<T> {
    pub(crate) const fn new() -> Self {
        Table { blocks: Vec::new(), vacant: None }
    }

    /// Whether a key, if it opens anything at all, opens something of this table.
    #[inline]
    pub(crate) fn owns(&self, key: Key) -> bool {
        key.is(T::KIND) && self.blocks.get(key.block()).is_some_and(Option::is_some)
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Result<Key> {
        let entry = self.vacant_entry()?;
        let key = entry.key;
        entry.fill(value);
        Ok(key)
    }

    /// A place for an object that is told its key before it comes to be.
    #[inline]
    pub(crate) fn vacant_entry(&mut self) -> Result<VacantEntry<'_, T>> {
        if self.vacant.is_none() {
            self.grow()?;
        }
        let slot = self.vacant.ok_or_else(Failure::no_memory)?.get() as usize;
        let index = slot & (BLOCK - 1);
        let block = self.blocks[slot >> BLOCK_BITS].as_mut().expect("vacant slots are in blocks of ours");
        let key = Key::new(T::KIND, slot, block.slots.get(index) >> 1);
        Ok(VacantEntry { key, place: &mut block.places[index], slots: block.slots, vacant: &mut self.vacant })
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if !key.is(T::KIND) {
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
        if !key.is(T::KIND) {
            return None;
        }
        let block = self.blocks.get_mut(key.block())?.as_mut()?;
        match block.slots.get(key.index()) == key.alive() {
            true => block.places[key.index()].get_mut(),
            false => None,
        }
    }

    /// What a key opens that the library has kept itself, of an object that is known to live: less is looked at.
    #[inline(always)]
    pub(crate) fn known_mut(&mut self, key: Key) -> Option<&mut T> {
        debug_assert!(self.get(key).is_some(), "it lives");
        self.blocks.get_mut(key.block())?.as_mut()?.places[key.index()].get_mut()
    }

    /// As [`get`](Table::get), with the reason where there is nothing.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Result<&T> {
        self.get(key).ok_or_else(|| explain(key, &[T::KIND]))
    }

    /// As [`get_mut`](Table::get_mut), with the reason where there is nothing.
    #[inline]
    pub(crate) fn find_mut(&mut self, key: Key) -> Result<&mut T> {
        self.get_mut(key).ok_or_else(|| explain(key, &[T::KIND]))
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (place, rest) = self.vacate(key)?;
        match std::mem::replace(place, Place::Vacant(rest)) {
            Place::Taken(object) => Some(object),
            Place::Vacant(_) => None,
        }
    }

    /// As [`remove`](Table::remove), where nobody wants to have the object: it ends in its place.
    #[inline]
    pub(crate) fn discard(&mut self, key: Key) {
        if let Some((place, rest)) = self.vacate(key) {
            *place = Place::Vacant(rest);
        }
    }

    /// The key becomes stale. Returns the place, and what is to stand there from now on: its link of the chain.
    #[inline(always)]
    fn vacate(&mut self, key: Key) -> Option<(&mut Place<T>, Next)> {
        if !key.is(T::KIND) {
            return None;
        }
        let block = self.blocks.get_mut(key.block())?.as_mut()?;
        if block.slots.get(key.index()) != key.alive() {
            return None;
        }
        let next = next_generation(key.generation());
        block.slots.set(key.index(), vacant(next.unwrap_or(key.generation())));
        // One that has used up its generations is left out of the chain.
        let rest = if next.is_some() { std::mem::replace(&mut self.vacant, link(key.slot())) } else { None };
        Some((&mut block.places[key.index()], rest))
    }

    /// Takes a slot out of the table, for an object that lies elsewhere most of its time.
    pub(crate) fn reserve(&mut self) -> Result<Reserved> {
        if self.vacant.is_none() {
            self.grow()?;
        }
        let slot = self.vacant.ok_or_else(Failure::no_memory)?.get() as usize;
        let block = self.blocks[slot >> BLOCK_BITS].as_mut().expect("vacant slots are in blocks of ours");
        let Place::Vacant(next) = std::mem::replace(&mut block.places[slot & (BLOCK - 1)], Place::Vacant(None)) else {
            unreachable!("the chain has only vacant places");
        };
        self.vacant = next;
        Ok(Reserved { slots: block.slots, slot, generation: block.slots.get(slot & (BLOCK - 1)) >> 1, kind: T::KIND })
    }

    /// From here on the object lies in the table, under the key that it has already.
    pub(crate) fn fill(&mut self, reserved: Reserved, value: T) {
        if let Some(block) = self.blocks.get_mut(reserved.slot >> BLOCK_BITS).and_then(Option::as_mut) {
            block.places[reserved.slot & (BLOCK - 1)] = Place::Taken(value);
        }
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let mut places = Vec::new();
        places.try_reserve_exact(BLOCK).map_err(|_| Failure::no_memory())?;
        let (number, slots) = lock().claim(T::KIND)?;
        let missing = (number + 1).saturating_sub(self.blocks.len());
        if self.blocks.try_reserve(missing).is_err() {
            lock().give_back(number);
            return Err(Failure::no_memory());
        }
        self.blocks.resize_with(self.blocks.len() + missing, || None);
        let first = number << BLOCK_BITS;
        places.extend((1..=BLOCK).map(|next| Place::Vacant(if next < BLOCK { link(first + next) } else { None })));
        let places = places.into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!("it has that length"));
        self.blocks[number] = Some(Block { places, slots });
        self.vacant = link(first.max(1));
        Ok(())
    }
}

/// A place of a table that is about to be filled, or left vacant if it is not.
pub(crate) struct VacantEntry<'a, T> {
    pub key: Key,
    place: &'a mut Place<T>,
    slots: &'static Slots,
    vacant: &'a mut Next,
}

impl<T> VacantEntry<'_, T> {
    #[inline]
    pub(crate) fn fill(self, value: T) {
        let Place::Vacant(next) = *self.place else { unreachable!("the chain has only vacant places") };
        *self.place = Place::Taken(value);
        *self.vacant = next;
        self.slots.set(self.key.index(), self.key.alive());
    }
}

/// A slot of a table whose object lies elsewhere.
pub(crate) struct Reserved {
    slots: &'static Slots,
    slot: usize,
    generation: u32,
    kind: Kind,
}

impl Reserved {
    /// The object comes to be. Returns its key.
    #[inline]
    pub(crate) fn open(&self) -> Key {
        self.slots.set(self.slot & (BLOCK - 1), alive(self.generation));
        Key::new(self.kind, self.slot, self.generation)
    }

    /// The object is gone, and its key stale. Returns whether the slot can serve again.
    #[inline]
    pub(crate) fn close(&mut self) -> bool {
        let Some(next) = next_generation(self.generation) else {
            self.slots.set(self.slot & (BLOCK - 1), vacant(self.generation));
            return false;
        };
        self.generation = next;
        self.slots.set(self.slot & (BLOCK - 1), vacant(next));
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Object for &'static str {
        const KIND: Kind = Kind::Server;
    }

    impl Object for () {
        const KIND: Kind = Kind::Server;
    }

    impl Object for i32 {
        const KIND: Kind = Kind::Socket;
    }

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = Key::new(Kind::Event, (1 << SLOT_BITS) - 1, MAX_GENERATION);
        assert_eq!(key.kind(), Some(Kind::Event));
        assert_eq!(key.slot(), (1 << SLOT_BITS) - 1);
        assert_eq!(key.generation(), MAX_GENERATION);
    }

    #[test]
    fn a_removed_object_leaves_its_key_stale_and_its_slot_reusable() {
        let mut table = Table::new();
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
        let mut table = Table::new();
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
        let stale = std::thread::spawn(|| Table::new().insert(1).unwrap()).join().unwrap();
        let mut table = Table::new();
        for _ in 0..BLOCK * 8 {
            assert_ne!(table.insert(1).unwrap(), stale);
        }
    }

    #[test]
    fn another_threads_key_is_told_from_a_stale_one() {
        use crate::error::Class;
        let mut table = Table::new();
        let key = table.insert(1).unwrap();
        let class = move || explain(key, &[Kind::Socket]).class;
        assert_eq!(std::thread::spawn(class).join().unwrap(), Class::Thread);
        table.remove(key);
        assert_eq!(std::thread::spawn(class).join().unwrap(), Class::Handle);
    }

    #[test]
    fn iterating_yields_every_living_object_once() {
        let mut table = Table::new();
        let keys: Vec<Key> = (0..200).map(|number| table.insert(number).unwrap()).collect();
        table.remove(keys[100]);
        let mut seen: Vec<i32> = table.iter().map(|(_, value)| *value).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).filter(|number| *number != 100).collect::<Vec<_>>());
        let mut place = 0;
        while let Some(key) = table.walk(&mut place) {
            assert!(table.remove(key).is_some_and(|number| seen.contains(&number)));
        }
        assert_eq!((table.iter().count(), table.iter_mut().count()), (0, 0));
    }
}
