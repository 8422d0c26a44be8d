// SPDX-License-Identifier: MIT OR Apache-2.0
//! The monotonic clock.

use std::num::NonZeroU64;
use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A moment of the system's monotonic clock, in nanoseconds. As the standard library's of the same name, but one word, so that
/// comparing and adding are an instruction each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(NonZeroU64);

impl Instant {
    #[inline]
    pub(crate) fn now() -> Self {
        Instant::at(super::monotonic_nanoseconds())
    }

    #[inline]
    fn at(nanoseconds: u64) -> Self {
        Instant(NonZeroU64::new(nanoseconds).unwrap_or(NonZeroU64::MIN))
    }

    /// The first one behind it.
    #[inline]
    pub(crate) fn next(self) -> Self {
        Instant(self.0.saturating_add(1))
    }

    /// Zero if `earlier` is later.
    #[inline]
    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// `None`: the clock did not run then.
    pub(crate) fn checked_sub(self, duration: Duration) -> Option<Self> {
        let before = self.0.get().checked_sub(duration.as_nanos().try_into().ok()?)?;
        NonZeroU64::new(before).map(Instant)
    }

    #[inline]
    pub(crate) fn after_milliseconds(self, milliseconds: u32) -> Self {
        Instant(self.0.saturating_add(u64::from(milliseconds) * 1_000_000))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, duration: Duration) -> Instant {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        Instant(self.0.saturating_add(seconds.saturating_add(duration.subsec_nanos().into())))
    }
}

impl AddAssign<Duration> for Instant {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_counts_as_the_standard_librarys_does() {
        let (ours, theirs) = (Instant::now(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ours, theirs) = (Instant::now().saturating_duration_since(ours), theirs.elapsed());
        assert!(ours >= Duration::from_millis(20), "{ours:?}");
        assert!(ours.abs_diff(theirs) < Duration::from_secs(5), "{ours:?} {theirs:?}");
    }

    #[test]
    fn what_is_too_far_is_the_end_of_time() {
        let end = Instant::now() + Duration::MAX;
        assert!(end == end + Duration::from_secs(1) && end.next() == end && end > Instant::now());
    }

    #[test]
    fn an_instant_takes_one_word_even_where_there_may_be_none() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }
}
