//! A moment on the monotonic clock.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment: time since boot on `CLOCK_MONOTONIC`, in nanoseconds.
///
/// The clock is one for the whole machine, so a moment means the same in every process: it goes into
/// records and messages as it is. A stepped wall clock changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The moment `since_boot` after the clock's start. Times past 584 years are held at the end.
    #[must_use]
    pub fn from_boot(since_boot: Duration) -> Self {
        Self(u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Time since boot.
    #[must_use]
    pub fn since_boot(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self::from_boot(self.since_boot().saturating_add(delay))
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.since_boot().as_secs_f64())
    }
}
