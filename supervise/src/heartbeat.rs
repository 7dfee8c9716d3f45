//! Signs of life of one run, and since when its silence counts.

use crate::Monotonic;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A supervisor whose turn comes so much later than it wanted was away itself: stopped, or on a machine that was.
const LATE: Duration = Duration::from_secs(1);

/// Whether a supervisor that wanted to be woken at `deadline`, and has its turn `now`, was away: what it did not
/// hear meanwhile is to be held against nobody ([`Heartbeat::forgive`]).
#[must_use]
pub fn was_away(deadline: Option<Monotonic>, now: Monotonic) -> bool {
    deadline.is_some_and(|deadline| now.since(deadline) > LATE)
}

/// The signs of life of one run. A run that has given none, and of which none is required, is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    last: Option<Monotonic>,
    silent_since: Option<Monotonic>,
}

impl Heartbeat {
    /// A run that begins now and whose silence counts from the start.
    #[must_use]
    pub fn required(now: Monotonic) -> Self {
        Self { last: None, silent_since: Some(now) }
    }

    /// A sign was given. Where none are watched for, silence does not count after it either.
    pub fn beat(&mut self, now: Monotonic, is_watched: bool) {
        self.last = Some(now);
        self.silent_since = is_watched.then_some(now);
    }

    /// How long ago the last sign was given.
    #[must_use]
    pub fn age(&self, now: Monotonic) -> Option<Duration> {
        self.last.map(|last| now.since(last))
    }

    /// From when on its silence counts, if it does.
    #[must_use]
    pub fn silent_since(&self) -> Option<Monotonic> {
        self.silent_since
    }

    /// When it will have been silent for `period`.
    #[must_use]
    pub fn silent_at(&self, period: Duration) -> Option<Monotonic> {
        self.silent_since.map(|since| since + period)
    }

    /// Whoever listens was away: a silence that counts begins anew.
    pub fn forgive(&mut self, now: Monotonic) {
        self.silent_since = self.silent_since.map(|_| now);
    }
}
