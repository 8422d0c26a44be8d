// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections whose sockets are closed give way to others: those first that have gone longest without progress.

use std::cell::Cell;

use super::close::End;
use super::{Connection, Happening, ServerShare, Transport};
use crate::handle::Key;
use crate::sys::Instant;

/// How many are found at a time. To find them all connections are looked at.
const BATCH: usize = 64;
/// How often they are looked for. By then all of them are making progress just now, and it is any of them.
const LOOKS: u32 = 3;

/// Those of a server's that lingered longest without progress when that was last looked for, the longest last. What is
/// known of them may be old; whatever has happened since makes the time shorter, and never that of another one longer.
#[derive(Default)]
pub(crate) struct Candidates(Cell<Vec<(Instant, Key)>>);

impl Transport {
    /// Cuts the connections of a server that linger longest without progress, until what they have unsent is within its
    /// limit.
    pub(crate) fn keep_lingering_bounded(&mut self, server: &ServerShare) {
        while server.lingering_bytes.get() > server.linger_limit.get() && self.cut_longest_lingering(server) {}
    }

    /// Makes room: the connection of that server which lingers longest without progress is reset. Returns whether there
    /// was one.
    pub(crate) fn cut_longest_lingering(&mut self, server: &ServerShare) -> bool {
        let Some(key) = self.longest_lingering(server) else { return false };
        self.happen(key, Happening::Cut, End::default());
        true
    }

    fn longest_lingering(&mut self, server: &ServerShare) -> Option<Key> {
        let mut candidates = server.candidates.0.take();
        let mut found = self.still_longest(&mut candidates, server);
        let mut any = None;
        for _ in 0..LOOKS {
            if found.is_some() {
                break;
            }
            self.find_candidates(&mut candidates, server);
            any = candidates.last().map(|(_, key)| *key).or_else(|| self.any_lingering(server));
            found = self.still_longest(&mut candidates, server);
        }
        server.candidates.0.set(candidates);
        found.or(any)
    }

    /// Takes the one out that has gone longest without progress. The system is asked only about those that may be it.
    fn still_longest(&mut self, candidates: &mut Vec<(Instant, Key)>, server: &ServerShare) -> Option<Key> {
        let latest = candidates.first()?.0;
        while let Some((since, key)) = candidates.pop() {
            let connection = self.connections.get_mut(key).filter(|connection| connection.lingers_of(server));
            let Some(now) = connection.and_then(Connection::stuck_since) else { continue };
            if now <= since {
                return Some(key);
            }
            if now <= latest {
                let place = candidates.partition_point(|(since, _)| *since > now);
                candidates.insert(place, (now, key));
            }
        }
        None
    }

    fn find_candidates(&self, candidates: &mut Vec<(Instant, Key)>, server: &ServerShare) {
        if candidates.try_reserve_exact(BATCH).is_err() {
            return;
        }
        for (key, connection) in self.connections.iter().filter(|(_, connection)| connection.lingers_of(server)) {
            let Some(since) = connection.known_stuck_since() else { continue };
            if candidates.len() == BATCH {
                if candidates.first().is_some_and(|(latest, _)| since >= *latest) {
                    continue;
                }
                candidates.remove(0);
            }
            let place = candidates.partition_point(|(other, _)| *other > since);
            candidates.insert(place, (since, key));
        }
    }

    /// Where there is no memory for candidates.
    fn any_lingering(&self, server: &ServerShare) -> Option<Key> {
        self.connections.iter().find(|(_, connection)| connection.lingers_of(server)).map(|(key, _)| key)
    }
}

impl Connection {
    fn lingers_of(&self, server: &ServerShare) -> bool {
        self.phase.lingers() && self.was_accepted_by(server)
    }
}
