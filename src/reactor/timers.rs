//! Deadlines on the monotonic clock, at most one for each key.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::handle::Key;

#[derive(Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Key)>);

impl Timers {
    /// Moves the deadline of `key`. The owner keeps it in `current`, so that it can be found again.
    pub(crate) fn set(&mut self, key: Key, current: &mut Option<Instant>, due: Option<Instant>) {
        if let Some(old) = current.take() {
            self.0.remove(&(old, key));
        }
        if let Some(due) = due {
            self.0.insert((due, key));
        }
        *current = due;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Takes out one key whose deadline has come. Its owner's `current` is stale then and is cleared by the caller.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        let (due, key) = *self.0.first()?;
        if due > now {
            return None;
        }
        self.0.pop_first();
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_deadline_comes_first_and_a_moved_one_only_once() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let (early, late) = (Key::from_bits(1), Key::from_bits(2));
        let (mut first, mut second) = (None, None);
        timers.set(late, &mut second, Some(start + Duration::from_secs(2)));
        timers.set(early, &mut first, Some(start + Duration::from_secs(9)));
        timers.set(early, &mut first, Some(start + Duration::from_secs(1)));
        assert_eq!(timers.next(), first);
        assert!(timers.pop_due(start).is_none());
        let end = start + Duration::from_secs(10);
        assert!(timers.pop_due(end) == Some(early) && timers.pop_due(end) == Some(late));
        assert!(timers.pop_due(end).is_none());
    }

    #[test]
    fn a_cancelled_deadline_never_comes() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let mut current = None;
        timers.set(Key::from_bits(1), &mut current, Some(start));
        timers.set(Key::from_bits(1), &mut current, None);
        assert!(timers.pop_due(start + Duration::from_secs(1)).is_none() && timers.next().is_none());
    }
}
