// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board of things that every thread may reach by a key, signal handlers included: looking takes no lock and no memory.
//!
//! Its entries are never given back, so that whoever looks can always walk along them; they serve again and again. What hangs there is
//! taken down by its owner, who waits for those that are just looking at it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::time::Duration;
use std::{ptr, thread};

const BUCKETS: usize = 64;
/// How often the owner lets others run until those that look are gone: they are there for some instructions.
const YIELDS: usize = 1000;
/// And how often it sleeps a millisecond, if one of them does not get the processor.
const SLEEPS: usize = 200;

/// No key.
const FREE: usize = 0;
/// Somebody looked and never came back: a signal handler that jumped away, say. The entry does not serve again.
const RETIRED: usize = usize::MAX;

pub(crate) struct Board<T> {
    buckets: [AtomicPtr<Entry<T>>; BUCKETS],
}

struct Entry<T> {
    /// Whose it is. It is set before the value comes, and stays until that is gone: keys are never used twice.
    key: AtomicUsize,
    value: AtomicPtr<T>,
    /// How many are looking.
    readers: AtomicUsize,
    next: AtomicPtr<Entry<T>>,
}

impl<T: Send + Sync> Board<T> {
    pub(crate) const fn new() -> Self {
        Board { buckets: [const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS] }
    }

    /// Hangs something up, until [`take_down`](Self::take_down).
    pub(crate) fn hang_up(&self, key: usize, value: Arc<T>) {
        let value = Arc::into_raw(value).cast_mut();
        let free = |entry: &&Entry<T>| entry.key.compare_exchange(FREE, key, SeqCst, SeqCst).is_ok();
        if let Some(entry) = self.entries(key).find(free) {
            return entry.value.store(value, SeqCst);
        }
        let entry = Box::into_raw(Box::new(Entry {
            key: AtomicUsize::new(key),
            value: AtomicPtr::new(value),
            readers: AtomicUsize::new(0),
            next: AtomicPtr::default(),
        }));
        let first = self.bucket(key);
        // Another thread may be faster: then its entry comes behind ours.
        let _ = first.fetch_update(SeqCst, SeqCst, |others| {
            // SAFETY: it was made just now, and is never given back.
            unsafe { &*entry }.next.store(others, SeqCst);
            Some(entry)
        });
    }

    /// What hangs under the key. `look` may run in a signal handler.
    pub(crate) fn look<R>(&self, key: usize, look: impl FnOnce(&T) -> R) -> Option<R> {
        let entry = self.entries(key).find(|entry| entry.key.load(SeqCst) == key)?;
        if entry.value.load(SeqCst).is_null() {
            // It is being taken down: whoever asks again and again must not keep its owner waiting.
            return None;
        }
        entry.readers.fetch_add(1, SeqCst);
        let value = entry.value.load(SeqCst);
        // The entry was the key's before and is so afterwards: so is the value.
        let is_its = !value.is_null() && entry.key.load(SeqCst) == key;
        // SAFETY: its owner has not let go of it, and will not as long as we are counted.
        let result = is_its.then(|| look(unsafe { &*value }));
        entry.readers.fetch_sub(1, SeqCst);
        result
    }

    /// What hangs there, for those who need it for longer. Not in a signal handler, which might be the last to let go of it.
    pub(crate) fn get(&self, key: usize) -> Option<Arc<T>> {
        self.look(key, |value| {
            // SAFETY: it was hung up as an Arc, whose owner has not let go of it.
            unsafe {
                Arc::increment_strong_count(value);
                Arc::from_raw(value)
            }
        })
    }

    /// Whether one of all that hang there is like that.
    pub(crate) fn any(&self, is_like_that: impl Fn(&T) -> bool) -> bool {
        self.buckets.iter().flat_map(entries_from).any(|entry| {
            entry.readers.fetch_add(1, SeqCst);
            let value = entry.value.load(SeqCst);
            // SAFETY: its owner has not let go of it, and will not as long as we are counted.
            let found = !value.is_null() && is_like_that(unsafe { &*value });
            entry.readers.fetch_sub(1, SeqCst);
            found
        })
    }

    pub(crate) fn take_down(&self, key: usize) {
        let Some(entry) = self.entries(key).find(|entry| entry.key.load(SeqCst) == key) else { return };
        let value = entry.value.swap(ptr::null_mut(), SeqCst);
        for round in 0..YIELDS + SLEEPS {
            if entry.readers.load(SeqCst) == 0 {
                if !value.is_null() {
                    // SAFETY: it was hung up as an Arc, nobody looks at it any more, and nobody finds it from now on.
                    drop(unsafe { Arc::from_raw(value) });
                }
                return entry.key.store(FREE, SeqCst);
            }
            if round < YIELDS { thread::yield_now() } else { thread::sleep(Duration::from_millis(1)) }
        }
        entry.key.store(RETIRED, SeqCst);
    }

    fn bucket(&self, key: usize) -> &AtomicPtr<Entry<T>> {
        // Fibonacci's hash: which bits of a key differ is the keys' own affair.
        &self.buckets[(key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (usize::BITS - 6)]
    }

    fn entries(&self, key: usize) -> impl Iterator<Item = &Entry<T>> {
        entries_from(self.bucket(key))
    }
}

fn entries_from<T>(first: &AtomicPtr<Entry<T>>) -> impl Iterator<Item = &Entry<T>> {
    // SAFETY: entries are never given back, and hang there as they were made.
    let entry = |pointer: &AtomicPtr<Entry<T>>| unsafe { pointer.load(SeqCst).as_ref() };
    std::iter::successors(entry(first), move |last| entry(&last.next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_hangs_there_is_found_by_its_key_and_dropped_when_it_is_taken_down() {
        static BOARD: Board<String> = Board::new();
        let values: Vec<Arc<String>> = (1..=500).map(|key| Arc::new(format!("value {key}"))).collect();
        for (index, value) in values.iter().enumerate() {
            BOARD.hang_up(index + 1, value.clone());
        }
        for key in 1..=500 {
            assert_eq!(BOARD.look(key, String::clone), Some(format!("value {key}")));
        }
        assert!(BOARD.any(|value| value == "value 321") && !BOARD.any(|value| value == "value 0"));
        for key in 1..=500 {
            BOARD.take_down(key);
            assert_eq!(BOARD.look(key, |_| ()), None);
            assert_eq!(Arc::strong_count(&values[key - 1]), 1);
        }
        BOARD.take_down(7);
    }

    #[test]
    fn entries_serve_again_and_each_key_opens_its_own() {
        static BOARD: Board<usize> = Board::new();
        static STOP: AtomicBool = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !STOP.load(SeqCst) {
                        for key in 1..2000 {
                            BOARD.look(key, |value| assert_eq!(*value, key));
                        }
                    }
                });
            }
            for key in 1..2000 {
                BOARD.hang_up(key, Arc::new(key));
                assert_eq!(BOARD.look(key, |value| *value), Some(key));
                BOARD.take_down(key);
            }
            STOP.store(true, SeqCst);
        });
        let entries: usize =
            (0..64).map(|bucket| BOARD.buckets[bucket].load(SeqCst)).filter(|first| !first.is_null()).count();
        assert!(entries <= BUCKETS);
    }
}
