// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines on the monotonic clock, at most one for each key: a heap with four branches.
//!
//! Setting one, moving it and taking it back cost a few comparisons, however many there are, and leave nothing behind: a
//! deadline knows its place in the heap.

use std::num::NonZeroU32;

use crate::error::{Failure, Result};
use crate::handle::Key;
use crate::sys::Instant;

const BRANCHES: usize = 4;

/// What the owner of a key keeps, so that its deadline can be found again.
#[derive(Default)]
pub(crate) struct Deadline(Option<NonZeroU32>);

impl Deadline {
    pub(crate) const NONE: Deadline = Deadline(None);

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// It has come, and was taken out.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[derive(Default)]
pub(crate) struct Timers {
    heap: Vec<Entry>,
    /// By the numbers that deadlines know; the first is nobody's.
    slots: Vec<Slot>,
    /// The first of those that are free; each has the next one's number as its place. 0: none is.
    vacant: u32,
    /// How many deadlines were set. Equal ones come in the order in which they were.
    serial: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    due: Instant,
    serial: u32,
    slot: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    /// `None`: it is free.
    key: Option<Key>,
    /// Where in the heap.
    place: u32,
}

impl Entry {
    #[inline]
    fn is_before(&self, other: &Entry) -> bool {
        match self.due == other.due {
            false => self.due < other.due,
            true => (self.serial.wrapping_sub(other.serial) as i32) < 0,
        }
    }
}

impl Timers {
    /// Room for one more deadline, so that setting it cannot fail.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<()> {
        if self.has_room() { Ok(()) } else { self.grow() }
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() < self.slots.capacity() && self.heap.len() < self.heap.capacity()
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let more = self.heap.try_reserve(1).and_then(|()| self.slots.try_reserve(2));
        more.map_err(|_| Failure::no_memory())
    }

    /// Moves the deadline of `key`. The owner keeps `current`, so that it can be found again.
    pub(crate) fn set(&mut self, key: Key, current: &mut Deadline, due: Option<Instant>) {
        match due {
            Some(due) => self.set_at(key, current, due),
            None => self.cancel(key, current),
        }
    }

    #[inline]
    pub(crate) fn set_at(&mut self, key: Key, current: &mut Deadline, due: Instant) {
        match self.place(key, current) {
            Some(place) => self.move_to(place, due),
            None => *current = self.insert(key, due),
        }
    }

    #[inline]
    pub(crate) fn cancel(&mut self, key: Key, current: &mut Deadline) {
        if let Some(place) = self.place(key, current) {
            self.remove(place);
        }
        current.clear();
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.due)
    }

    /// A key whose deadline has come.
    #[inline]
    pub(crate) fn due(&self, now: Instant) -> Option<Key> {
        let first = self.heap.first().filter(|first| first.due <= now)?;
        self.slots.get(first.slot as usize)?.key
    }

    /// Takes that one out. Its owner's `current` is stale then and is cleared by the caller.
    pub(crate) fn pop(&mut self) {
        if !self.heap.is_empty() {
            self.remove(0);
        }
    }

    /// Where the deadline of `key` is, if `current` is not stale.
    #[inline]
    fn place(&self, key: Key, current: &Deadline) -> Option<usize> {
        let slot = self.slots.get(current.0?.get() as usize)?;
        key.is_that(slot.key).then_some(slot.place as usize)
    }

    #[inline]
    fn insert(&mut self, key: Key, due: Instant) -> Deadline {
        let slot = self.take_slot(key);
        self.serial = self.serial.wrapping_add(1);
        let entry = Entry { due, serial: self.serial, slot };
        let place = self.heap.len();
        self.heap.push(entry);
        self.rise(place, entry);
        Deadline(NonZeroU32::new(slot))
    }

    #[inline]
    fn take_slot(&mut self, key: Key) -> u32 {
        let number = self.vacant;
        match self.slots.get_mut(number as usize) {
            Some(slot) if number > 0 => {
                self.vacant = slot.place;
                slot.key = Some(key);
                number
            }
            _ => self.new_slot(key),
        }
    }

    #[cold]
    fn new_slot(&mut self, key: Key) -> u32 {
        if self.slots.is_empty() {
            self.slots.push(Slot { key: None, place: 0 });
        }
        self.slots.push(Slot { key: Some(key), place: 0 });
        self.slots.len() as u32 - 1
    }

    fn move_to(&mut self, place: usize, due: Instant) {
        self.serial = self.serial.wrapping_add(1);
        let Some(entry) = self.heap.get(place) else { return };
        let entry = Entry { due, serial: self.serial, ..*entry };
        self.settle(place, entry);
    }

    fn remove(&mut self, place: usize) {
        let Some(gone) = self.heap.get(place).map(|entry| entry.slot) else { return };
        if let Some(slot) = self.slots.get_mut(gone as usize) {
            *slot = Slot { key: None, place: self.vacant };
            self.vacant = gone;
        }
        // The last entry takes its place.
        let Some(last) = self.heap.pop() else { return };
        if place < self.heap.len() {
            self.settle(place, last);
        }
    }

    /// `entry` is to be at `place`: it goes to where it belongs from there.
    #[inline]
    fn settle(&mut self, place: usize, entry: Entry) {
        match self.heap.get(place.wrapping_sub(1) / BRANCHES) {
            Some(above) if place > 0 && entry.is_before(above) => self.rise(place, entry),
            _ => self.sink(place, entry),
        }
    }

    /// Goes up until what is above is no later.
    #[inline]
    fn rise(&mut self, mut place: usize, entry: Entry) {
        while place > 0 {
            let above = (place - 1) / BRANCHES;
            match self.heap.get(above) {
                Some(other) if entry.is_before(other) => self.put(place, *other),
                _ => break,
            }
            place = above;
        }
        self.put(place, entry);
    }

    /// Goes down until nothing below is earlier.
    #[inline]
    fn sink(&mut self, mut place: usize, entry: Entry) {
        while let Some((below, other)) = self.least_below(place) {
            if !other.is_before(&entry) {
                break;
            }
            self.put(place, other);
            place = below;
        }
        self.put(place, entry);
    }

    #[inline]
    fn least_below(&self, place: usize) -> Option<(usize, Entry)> {
        let first = place * BRANCHES + 1;
        let below = self.heap.get(first..)?;
        let earlier = |one: usize, other: usize| if below[other].is_before(&below[one]) { other } else { one };
        let least = match below.first_chunk::<BRANCHES>() {
            Some(_) => earlier(earlier(0, 1), earlier(2, 3)),
            None => (1..below.len()).fold(0, earlier),
        };
        Some((first + least, *below.get(least)?))
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(room) = self.heap.get_mut(place) {
            *room = entry;
        }
        if let Some(slot) = self.slots.get_mut(entry.slot as usize) {
            slot.place = place as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn pop_due(timers: &mut Timers, now: Instant) -> Option<Key> {
        let key = timers.due(now)?;
        timers.pop();
        Some(key)
    }

    #[test]
    fn the_earliest_deadline_comes_first_and_a_moved_one_only_once() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let (early, late) = (Key::from_bits(1), Key::from_bits(2));
        let (mut first, mut second) = (Deadline::NONE, Deadline::NONE);
        timers.set(late, &mut second, Some(start + Duration::from_secs(2)));
        timers.set(early, &mut first, Some(start + Duration::from_secs(9)));
        timers.set(early, &mut first, Some(start + Duration::from_secs(1)));
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert!(pop_due(&mut timers, start).is_none());
        let end = start + Duration::from_secs(10);
        assert!(pop_due(&mut timers, end) == Some(early) && pop_due(&mut timers, end) == Some(late));
        assert!(pop_due(&mut timers, end).is_none());
    }

    #[test]
    fn a_cancelled_deadline_never_comes() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let mut current = Deadline::NONE;
        timers.set(Key::from_bits(1), &mut current, Some(start));
        timers.set(Key::from_bits(1), &mut current, None);
        assert!(pop_due(&mut timers, start + Duration::from_secs(1)).is_none() && timers.next().is_none());
        assert!(!current.is_set());
    }

    /// Its number may have another owner by now.
    #[test]
    fn a_stale_deadline_takes_nobody_elses_back() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let (gone, other) = (Key::from_bits(1), Key::from_bits(2));
        let (mut stale, mut current) = (Deadline::NONE, Deadline::NONE);
        timers.set(gone, &mut stale, Some(start));
        assert_eq!(pop_due(&mut timers, start), Some(gone));
        timers.set(other, &mut current, Some(start));
        timers.set(gone, &mut stale, None);
        assert_eq!(pop_due(&mut timers, start), Some(other));
    }

    #[test]
    fn equal_deadlines_come_in_the_order_in_which_they_were_set() {
        let mut timers = Timers { serial: u32::MAX - 3, ..Timers::default() };
        let start = Instant::now();
        let mut deadlines: Vec<Deadline> = (0..10).map(|_| Deadline::NONE).collect();
        for (number, deadline) in deadlines.iter_mut().enumerate() {
            timers.set(Key::from_bits(number + 1), deadline, Some(start));
        }
        for number in 0..10 {
            assert_eq!(pop_due(&mut timers, start), Some(Key::from_bits(number + 1)));
        }
    }

    #[test]
    fn a_storm_of_sets_moves_and_cancels_leaves_exactly_what_is_set() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let mut deadlines: Vec<Deadline> = (0..500).map(|_| Deadline::NONE).collect();
        let mut model: BTreeMap<usize, (Instant, usize)> = BTreeMap::new();
        let mut random = 1_u64;
        for round in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let owner = (random >> 33) as usize % deadlines.len();
            let due = (random >> 60 < 12).then(|| start + Duration::from_millis(random >> 40 & 0x3ff));
            timers.set(Key::from_bits(owner + 1), &mut deadlines[owner], due);
            match due {
                Some(due) => model.insert(owner, (due, round)),
                None => model.remove(&owner),
            };
            assert_eq!(timers.heap.len(), model.len());
        }
        assert!(timers.slots.len() <= deadlines.len() + 1);
        let mut order: Vec<((Instant, usize), usize)> = model.into_iter().map(|(owner, due)| (due, owner)).collect();
        order.sort_unstable();
        for (_, owner) in order {
            assert_eq!(pop_due(&mut timers, start + Duration::from_secs(2)), Some(Key::from_bits(owner + 1)));
        }
        assert!(timers.heap.is_empty());
    }
}
