//! The workers.

use super::{ProcessSpec, Ready, Recycle, StopSpec};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// N identical processes of the one served program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkersSpec {
    /// How each is run.
    pub process: ProcessSpec,
    /// How many.
    pub count: u32,
    /// When one is ready.
    pub ready: Ready,
    /// How long being alive has to last where that makes a worker ready.
    pub start_seconds: Duration,
    /// How long one may take to become ready.
    pub start_timeout: Duration,
    /// How long one may be silent; zero: for ever.
    pub timeout: Duration,
    /// From when on silence counts.
    pub heartbeat: Heartbeat,
    /// How one is asked to leave; the timeout is the graceful timeout.
    pub stop: StopSpec,
    /// The signal of a quick stop.
    pub quick_stop_signal: i32,
    /// The signal for one that hangs.
    pub abort_signal: i32,
    /// How long after it SIGKILL follows.
    pub abort_timeout: Duration,
    /// The signal that asks for logs to be reopened; `None`: not asked.
    pub reopen_signal: Option<i32>,
    /// When one is replaced though nothing is wrong.
    pub recycle: Recycle,
    /// How many new ones at a time a reload starts; zero: all.
    pub reload_batch: u32,
    /// Full names of the companions that are ready before the workers start and stop after them.
    pub requires: Vec<String>,
    /// Exit codes of a worker that never was ready which end arbiter with the same code.
    pub halt_exit_codes: Vec<u8>,
}

/// From when on a worker's silence counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heartbeat {
    /// From its first WATCHDOG=1 on.
    #[default]
    Auto,
    /// From its start.
    Required,
    /// Never.
    Off,
}
