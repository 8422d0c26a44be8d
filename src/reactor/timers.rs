//! Deadlines on the monotonic clock, at most one for each key: a heap with four branches.
//!
//! Setting one, moving it and taking it back cost a few comparisons, however many there are, and leave nothing behind: a
//! deadline knows its place in the heap.

use std::num::NonZeroU32;
use std::time::Instant;

use crate::error::{Failure, Result};
use crate::handle::Key;

const BRANCHES: usize = 4;

/// What the owner of a key keeps, so that its deadline can be found again.
#[derive(Default)]
pub(crate) struct Deadline(Option<NonZeroU32>);

impl Deadline {
    pub(crate) const NONE: Deadline = Deadline(None);

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// It has come, and was taken out.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[derive(Default)]
pub(crate) struct Timers {
    heap: Vec<Entry>,
    /// By the numbers that deadlines know, less one.
    slots: Vec<Slot>,
    /// The numbers that are free.
    vacant: Vec<NonZeroU32>,
    /// How many deadlines were set. Equal ones come in the order in which they were.
    serial: u64,
    /// How many had been set when the turn began: a later one does not come in it.
    turn: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    due: Instant,
    serial: u64,
    slot: NonZeroU32,
}

#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    /// Where in the heap.
    place: u32,
}

impl Entry {
    #[inline]
    fn is_before(&self, other: &Entry) -> bool {
        (self.due, self.serial) < (other.due, other.serial)
    }
}

impl Timers {
    /// Room for one more deadline, so that setting it cannot fail.
    pub(crate) fn reserve(&mut self) -> Result<()> {
        let Timers { heap, slots, vacant, .. } = self;
        let more = heap.try_reserve(1).and_then(|()| slots.try_reserve(1)).and_then(|()| {
            // Each number may become free.
            vacant.try_reserve(slots.len() + 1 - vacant.len())
        });
        more.map_err(|_| Failure::no_memory())
    }

    /// Moves the deadline of `key`. The owner keeps `current`, so that it can be found again.
    pub(crate) fn set(&mut self, key: Key, current: &mut Deadline, due: Option<Instant>) {
        match (self.place(key, current), due) {
            (Some(place), Some(due)) => self.move_to(place, due),
            (Some(place), None) => {
                self.remove(place);
                current.clear();
            }
            (None, Some(due)) => *current = Deadline(Some(self.insert(key, due))),
            (None, None) => current.clear(),
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.due)
    }

    /// A turn begins. What is set from now on does not come in it, even if it is due at once.
    pub(crate) fn begin_turn(&mut self) {
        self.turn = self.serial;
    }

    /// A key whose deadline has come.
    pub(crate) fn due(&self, now: Instant) -> Option<Key> {
        let first = self.heap.first()?;
        let has_come = first.due <= now && first.serial < self.turn;
        has_come.then(|| self.slot(first.slot).key)
    }

    /// Takes that one out. Its owner's `current` is stale then and is cleared by the caller.
    pub(crate) fn pop(&mut self) {
        if !self.heap.is_empty() {
            self.remove(0);
        }
    }

    /// Where the deadline of `key` is, if `current` is not stale.
    fn place(&self, key: Key, current: &Deadline) -> Option<usize> {
        let number = current.0?;
        let slot = self.slots.get(number.get() as usize - 1)?;
        let place = slot.place as usize;
        let is_its = slot.key == key && self.heap.get(place).is_some_and(|entry| entry.slot == number);
        is_its.then_some(place)
    }

    fn slot(&self, number: NonZeroU32) -> &Slot {
        &self.slots[number.get() as usize - 1]
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial - 1
    }

    fn insert(&mut self, key: Key, due: Instant) -> NonZeroU32 {
        let slot = Slot { key, place: 0 };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.slots[number.get() as usize - 1] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                NonZeroU32::new(self.slots.len() as u32).expect("there is one at least")
            }
        };
        let serial = self.next_serial();
        self.heap.push(Entry { due, serial, slot: number });
        self.rise(self.heap.len() - 1);
        number
    }

    fn move_to(&mut self, place: usize, due: Instant) {
        let serial = self.next_serial();
        let entry = &mut self.heap[place];
        (entry.due, entry.serial) = (due, serial);
        self.settle(place);
    }

    fn remove(&mut self, place: usize) {
        let gone = self.heap.swap_remove(place);
        self.vacant.push(gone.slot);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// The entry at `place` is another one: it goes to where it belongs.
    fn settle(&mut self, place: usize) {
        if self.rise(place) == place {
            self.sink(place);
        }
    }

    /// Goes up until what is above is no later. Returns where it stays.
    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let above = (place - 1) / BRANCHES;
            if !entry.is_before(&self.heap[above]) {
                break;
            }
            self.put(place, self.heap[above]);
            place = above;
        }
        self.put(place, entry);
        place
    }

    /// Goes down until nothing below is earlier.
    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let first = place * BRANCHES + 1;
            let below = first..(first + BRANCHES).min(self.heap.len());
            let Some(least) = below.reduce(|a, b| if self.heap[b].is_before(&self.heap[a]) { b } else { a }) else { break };
            if !self.heap[least].is_before(&entry) {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.slots[entry.slot.get() as usize - 1].place = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn pop_due(timers: &mut Timers, now: Instant) -> Option<Key> {
        timers.begin_turn();
        let key = timers.due(now);
        if key.is_some() {
            timers.pop();
        }
        key
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
    fn what_is_set_in_a_turn_does_not_come_in_it_and_equal_ones_come_in_order() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let mut deadlines: Vec<Deadline> = (0..10).map(|_| Deadline::NONE).collect();
        timers.begin_turn();
        for (number, deadline) in deadlines.iter_mut().enumerate() {
            timers.set(Key::from_bits(number + 1), deadline, Some(start));
        }
        assert_eq!(timers.due(start), None);
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
        assert!(timers.slots.len() <= deadlines.len() && timers.heap.len() + timers.vacant.len() == timers.slots.len());
        let mut order: Vec<((Instant, usize), usize)> = model.into_iter().map(|(owner, due)| (due, owner)).collect();
        order.sort_unstable();
        for (_, owner) in order {
            assert_eq!(pop_due(&mut timers, start + Duration::from_secs(2)), Some(Key::from_bits(owner + 1)));
        }
        assert!(timers.heap.is_empty());
    }
}
