//! Events.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::ExitStatus;
use supervise::unit::Change;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event of arbiter's life, over crashes of the manager. That of a mark of lost events is
    /// the last lost one's.
    pub seq: u64,
    /// When, since the Unix epoch.
    pub time: Duration,
    /// To whom: `worker.3`, `companion.redis.1`, `manager`, `arbiter`.
    pub subject: String,
    /// What.
    pub kind: EventKind,
}

/// What happened. New kinds are added at the end; the order is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A process was started.
    Spawn {
        /// The process.
        pid: i32,
    },
    /// It is ready.
    Ready {
        /// The process.
        pid: i32,
    },
    /// It has ended.
    Exit {
        /// The process.
        pid: Option<i32>,
        /// Its exit code.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Whether it was asked for.
        requested: bool,
        /// Whether it was an extra process.
        oneoff: bool,
    },
    /// One too many is being stopped.
    Reap {
        /// The process.
        pid: i32,
    },
    /// A signal was sent on request.
    Kill {
        /// The process.
        pid: i32,
        /// Which.
        signal: i32,
    },
    /// It keeps ending.
    Flap {
        /// How often in a row.
        count: u32,
        /// Until it is tried again.
        retry_in: Duration,
    },
    /// It was given up.
    Fatal {
        /// Why.
        reason: String,
    },
    /// A health check changed its mind.
    Health {
        /// Whether it succeeds.
        ok: bool,
        /// What it says.
        reason: String,
    },
    /// There should be another number of them.
    Update {
        /// How many.
        target: u32,
    },
    /// A companion's process should run from now on.
    Start,
    /// It should not run any more.
    Stop,
    /// A companion was added.
    Load,
    /// A companion was removed.
    Unload,
    /// A reload ended.
    Reload {
        /// The workers' generation.
        generation: u64,
        /// Whether it succeeded.
        ok: bool,
        /// Why not.
        error: Option<String>,
    },
    /// An upgrade ended.
    Upgrade {
        /// Whether it succeeded.
        ok: bool,
    },
    /// Events were dropped because the reader was too slow, or with a manager that died.
    Lost {
        /// How many, those included that the reader's patterns do not match.
        count: u64,
    },
}

impl EventKind {
    /// What is told of a change in a process's life; `oneoff`: of an extra process.
    #[must_use]
    pub fn of(change: Change, oneoff: bool) -> Self {
        match change {
            Change::Wanted => Self::Start,
            Change::Unwanted => Self::Stop,
            Change::Spawned { pid } => Self::Spawn { pid },
            Change::Ready { pid } => Self::Ready { pid },
            Change::Ended { pid, status, requested } => {
                let (code, signal) = match status {
                    Some(ExitStatus::Code(code)) => (Some(code), None),
                    Some(ExitStatus::Signal { number, .. }) => (None, Some(number)),
                    None => (None, None),
                };
                Self::Exit { pid, code, signal, requested, oneoff }
            }
            Change::Flaps { count, retry_in } => Self::Flap { count, retry_in },
            Change::GivenUp { reason } => Self::Fatal { reason },
        }
    }
}
