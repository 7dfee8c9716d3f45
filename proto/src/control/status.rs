//! The answer to `status`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use supervise::{ExitStatus, Monotonic, State, Unit};

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The master.
    pub arbiter: ArbiterStatus,
    /// The manager.
    pub manager: ManagerStatus,
    /// Listening sockets.
    pub listeners: Vec<ListenerStatus>,
    /// The workers.
    pub workers: WorkersStatus,
    /// The companions, by full name.
    pub companions: Vec<CompanionStatus>,
    /// Processes that came to arbiter from a child of its children.
    pub strays: Vec<StrayStatus>,
}

/// The master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArbiterStatus {
    /// Its process.
    pub pid: i32,
    /// Its configured name.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// What it does.
    pub state: ArbiterState,
    /// The workers' generation, from 1.
    pub generation: u64,
    /// Since its start.
    pub uptime: Duration,
    /// Its configuration file.
    pub config: Option<String>,
}

/// What arbiter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArbiterState {
    /// Not everything has been ready yet.
    Starting,
    /// It serves.
    Running,
    /// A reload is under way.
    Reloading,
    /// It ends.
    Stopping,
    /// It replaces its own program.
    Upgrading,
}

impl fmt::Display for ArbiterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reloading => "reloading",
            Self::Stopping => "stopping",
            Self::Upgrading => "upgrading",
        })
    }
}

/// The manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerStatus {
    /// Its process; `None` while it is being replaced.
    pub pid: Option<i32>,
    /// How often it was replaced.
    pub restarts: u32,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it listens, as bound.
    pub address: String,
}

/// The workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkersStatus {
    /// How many there should be.
    pub target: u32,
    /// How many the configuration says.
    pub configured: u32,
    /// Each of them, leaving ones too.
    pub processes: Vec<WorkerStatus>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its generation.
    pub generation: u64,
    /// Since its last sign of life, where it gives them.
    pub heartbeat_age: Option<Duration>,
    /// The rest.
    pub process: ProcessStatus,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its slot; 0 for a one-off.
    pub slot: u32,
    /// The process, while there is one.
    pub pid: Option<i32>,
    /// Its state.
    pub state: State,
    /// Whether it is ready.
    pub ready: bool,
    /// Since its start, while there is a process.
    pub uptime: Option<Duration>,
    /// How often it came back after ending by itself.
    pub restarts: u32,
    /// What it says of itself.
    pub status_text: Option<String>,
    /// How the one before it ended.
    pub last_exit: Option<LastExit>,
    /// Until it is tried again, in BACKOFF.
    pub retry_in: Option<Duration>,
    /// Why it is in its state, where that is not plain.
    pub reason: Option<String>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// Its status; `None` when it could not be started.
    pub status: Option<ExitStatus>,
    /// When, since the Unix epoch.
    pub at: Duration,
    /// Whether it was asked for.
    pub requested: bool,
    /// What else is known of it: that memory had run out, what the process said last.
    pub remark: Option<String>,
}

/// One companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionStatus {
    /// Full name.
    pub name: String,
    /// Its session.
    pub session: String,
    /// The state of its worst process.
    pub state: State,
    /// How many processes there should be.
    pub target: u32,
    /// How many the configuration says.
    pub configured: u32,
    /// Whether it is started without being asked for.
    pub autostart: bool,
    /// Whether it has ended with success, where EXITED.
    pub succeeded: bool,
    /// One line for a person.
    pub description: String,
    /// Each process, leaving ones and one-offs too.
    pub processes: Vec<CompanionProcess>,
}

/// One process of a companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionProcess {
    /// Whether it is an extra process that is not counted.
    pub oneoff: bool,
    /// The rest.
    pub process: ProcessStatus,
}

/// A process that came to arbiter from a child of its children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayStatus {
    /// The process.
    pub pid: i32,
    /// Its program's short name.
    pub command: String,
}

/// The two clocks at one moment, to show a past moment as a date.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The monotonic clock.
    pub now: Monotonic,
    /// Since the Unix epoch.
    pub wall: Duration,
}

impl Clocks {
    /// The date of a past moment.
    #[must_use]
    pub fn date(&self, moment: Monotonic) -> Duration {
        self.wall.saturating_sub(self.now.since(moment))
    }
}

impl ProcessStatus {
    /// The process of `unit` in `slot`, as it is at `clocks`.
    #[must_use]
    pub fn of(unit: &Unit, slot: u32, status_text: Option<String>, clocks: Clocks) -> Self {
        let run = unit.run().filter(|run| run.pid.is_some());
        Self {
            slot,
            pid: run.and_then(|run| run.pid),
            state: unit.state(),
            ready: unit.is_ready(),
            uptime: run.map(|run| clocks.now.since(run.started)),
            restarts: unit.restarts(),
            status_text,
            last_exit: unit.last().map(|ending| LastExit {
                status: ending.exit.map(|exit| exit.status),
                at: clocks.date(ending.at),
                requested: ending.was_requested(),
                remark: ending.remark.as_deref().map(str::to_owned),
            }),
            retry_in: unit.retry_in(clocks.now),
            reason: unit.reason(clocks.now),
        }
    }
}
