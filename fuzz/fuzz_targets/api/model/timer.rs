// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers. Their clock is the machine's, so that only bounds are known of when they are due.

use std::time::{Duration, Instant};

use super::Life;

pub struct Timer {
    pub life: Life,
    pub home: usize,
    /// When it is due, not before the first and not after the second. `None`: it does not run.
    pub due: Option<(Instant, Instant)>,
    pub repeat: u32,
    /// The turn in which it was started, or the last one before: it is never called in that.
    pub started_in: u64,
    pub calls: u32,
}

impl Timer {
    /// It was started between two moments.
    pub fn start(&mut self, delay: u32, between: (Instant, Instant), turn: u64) {
        let delay = Duration::from_millis(delay.into());
        self.due = Some((between.0 + delay, between.1 + delay));
        self.started_in = turn;
    }

    /// It is called.
    pub fn call(&mut self, turn: u64) {
        let now = Instant::now();
        let (due, _) = self.due.take().expect("a timer is called that does not run");
        assert!(now >= due, "a timer is called {:?} too early", due - now);
        assert!(turn > self.started_in, "a timer is called in the turn in which it was started");
        self.calls += 1;
        if self.repeat > 0 {
            // From when its call was decided on; that is after the time when it was due.
            self.start(self.repeat, (due, now), turn);
        }
    }
}
