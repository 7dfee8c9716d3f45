//! What one supervised process is promised: when it counts as ready, how it is stopped, whether and
//! when it comes back.

use crate::Flapping;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The rules for one process. A unit is shown its policy at every input, so new settings take effect
/// at the next decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether an ended process is started again.
    pub restart: Restart,
    /// Exit codes that count as success.
    pub success_codes: Vec<u8>,
    /// The first wait after an exit that ends no healthy run; it doubles up to `delay_max`.
    pub delay: Duration,
    /// The longest wait.
    pub delay_max: Duration,
    /// When it is given up; `None`: never.
    pub flapping: Option<Flapping>,
    /// A run is healthy when it became ready and then lived until this long after its start.
    pub healthy_after: Duration,
    /// When a started process counts as ready.
    pub readiness: Readiness,
    /// How long a process may take to become ready.
    pub start_timeout: Duration,
    /// How it is asked to stop.
    pub stop: Ladder,
    /// How one that did not become ready, or hangs, is ended.
    pub abort: Ladder,
}

impl Policy {
    /// The wait after `failures` bad ends in a row: `delay`, doubled each time, at most `delay_max`.
    #[must_use]
    pub fn wait_after(failures: u32, delay: Duration, delay_max: Duration) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        delay.saturating_mul(1 << doublings).min(delay_max.max(delay))
    }
}

/// Which ends of a process are followed by another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// All of them.
    Always,
    /// A signal, or an exit code that does not mean success.
    OnFailure,
    /// None.
    Never,
}

/// When a started process counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// When somebody says so: the process itself, a probe, a look at its sockets.
    Told,
    /// When it has been alive this long.
    Alive(Duration),
    /// Whichever of the two comes first.
    ToldOrAlive(Duration),
    /// When told; one that is alive but was not heard of at the start timeout counts as ready too.
    ToldOrTimeout,
    /// When it has ended with success.
    Success,
}

/// How long to wait before looking again at a process that has been starting for `age`: often at first, when most
/// become ready, and seldom when it takes long.
#[must_use]
pub fn look_interval(age: Duration) -> Duration {
    (age / 8).clamp(Duration::from_millis(5), Duration::from_millis(250))
}

/// One request to leave, then force: a signal, a wait, SIGKILL to the whole group, and a wait for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The signal that asks.
    pub signal: i32,
    /// How long the process, and then what is left of its group, may take. Zero: SIGKILL at once.
    pub timeout: Duration,
    /// Whether the whole group is asked at once instead of the main process first.
    pub group: bool,
}

impl Ladder {
    /// SIGKILL at once.
    pub const FORCE: Self = Self { signal: 9, timeout: Duration::ZERO, group: true };

    /// The same request with at most `limit` to answer it.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { timeout: self.timeout.min(limit), ..self }
    }
}
