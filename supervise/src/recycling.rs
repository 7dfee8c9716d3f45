//! Processes that are replaced though nothing is wrong: they have lived long enough, or grown too big.

use crate::jitter::Jitter;
use crate::{Monotonic, RunId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often memory is looked at, where that is limited.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// When a process is replaced though nothing is wrong with it; zero means never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recycle {
    /// After living this long.
    pub max_lifetime: Duration,
    /// Plus a random part of this.
    pub max_lifetime_jitter: Duration,
    /// Above this much memory, in bytes.
    pub memory_max: u64,
}

/// A process whose memory is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Which run.
    pub run: RunId,
    /// Its process.
    pub pid: i32,
    /// How many bytes it may use: a measure that is dear need not be taken below it.
    pub limit: u64,
}

impl Recycle {
    /// When a run that was started then will have lived long enough.
    #[must_use]
    pub fn lifetime_over(&self, started: Monotonic, jitter: &mut Jitter) -> Option<Monotonic> {
        let limited = !self.max_lifetime.is_zero();
        limited.then(|| started + self.max_lifetime + jitter.up_to(self.max_lifetime_jitter))
    }

    /// Whether so many bytes are too many.
    #[must_use]
    pub fn is_too_big(&self, bytes: u64) -> bool {
        self.memory_max > 0 && bytes > self.memory_max
    }

    /// Why a process is replaced that has lived so long, or uses so many bytes.
    #[must_use]
    pub fn reason(&self, lived: Duration, too_big: Option<u64>) -> String {
        const MIB: u64 = 1 << 20;
        match too_big {
            Some(bytes) => {
                format!("uses {} MiB (memory_max {} MiB)", bytes / MIB, self.memory_max / MIB)
            }
            None => {
                let decimals = usize::from(lived < LOOK_EVERY);
                format!("has lived {:.decimals$} s (max_lifetime)", lived.as_secs_f64())
            }
        }
    }
}
