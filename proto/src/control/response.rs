//! Answers.

use super::{Event, Status};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::{ExitStatus, State};

/// One frame from the manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The request it belongs to; 0 when it belongs to the connection.
    pub id: u64,
    /// What is said.
    pub reply: Reply,
}

/// What is said to a request: any number of `Progress` and `Chunk`, then one `Done` or `Failed`. A reply
/// whose frame would be too long comes as `Part`s, whose bytes put together are an encoded `Response`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done(Answer),
    /// It was refused or went wrong.
    Failed(Failure),
    /// How far it has come, for a person to read.
    Progress(Progress),
    /// The next piece of a stream.
    Chunk(Chunk),
    /// A piece of a longer answer.
    Part {
        /// Counted from 0.
        number: u32,
        /// Whether it is the last one.
        last: bool,
        /// Its bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
}

/// A request's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// Program versions.
    Version {
        /// The manager's.
        manager: String,
        /// arbiter's.
        arbiter: String,
    },
    /// To `status`.
    Status(Box<Status>),
    /// To `reload`, `load`, `unload`.
    Reload(ReloadReport),
    /// To `start`, `stop`, `restart`, `signal`, `wait`.
    Results(Vec<TargetResult>),
    /// To `scale`: the new number.
    Count(u32),
    /// To `run`: the process, and how it ended where that was waited for.
    Run {
        /// The process.
        pid: i32,
        /// Its end.
        exit: Option<ExitStatus>,
        /// Whether that is a success to its companion; true where it was not waited for.
        success: bool,
    },
    /// To `info`.
    Info(Box<Info>),
    /// To `stats`.
    Stats(Vec<Stats>),
    /// To `pid`.
    Pids(Vec<Pid>),
}

/// What a request did to one companion process, or to one companion when `slot` is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetResult {
    /// Full name; `workers` for workers.
    pub name: String,
    /// Which process.
    pub slot: Option<u32>,
    /// Its state now.
    pub state: State,
    /// Its process.
    pub pid: Option<i32>,
    /// Whether anything was done.
    pub changed: bool,
    /// What was done or why it failed, as a sentence.
    pub message: String,
    /// Whether it failed.
    pub failed: bool,
}

/// What a reload changed; names are full names of companions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The workers' generation now.
    pub generation: u64,
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones that were started anew.
    pub restarted: Vec<String>,
    /// Ones whose number changed.
    pub scaled: Vec<String>,
    /// Ones whose settings changed in place.
    pub applied: Vec<String>,
    /// The others.
    pub unchanged: Vec<String>,
    /// What of the file is not in force: its top-level keys and tables, listeners as `listener.NAME`.
    pub pending: Vec<String>,
    /// How many workers were, or would be, replaced.
    pub workers_replaced: u32,
    /// What went wrong afterwards without being undone.
    pub problems: Vec<String>,
}

/// A companion's settings and past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Full name.
    pub name: String,
    /// Its effective settings as TOML.
    pub settings: String,
    /// The last exits, newest first, at most 20.
    pub exits: Vec<PastExit>,
}

/// One end of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastExit {
    /// Of which slot.
    pub slot: u32,
    /// The process.
    pub pid: Option<i32>,
    /// When, since the Unix epoch.
    pub at: Duration,
    /// How; `None` when it could not be started.
    pub status: Option<ExitStatus>,
    /// Whether it was asked for.
    pub requested: bool,
    /// How long it lived.
    pub lived: Duration,
}

/// What one process uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// `worker`, `manager`, `arbiter`, or a companion's full name.
    pub name: String,
    /// Which process.
    pub slot: Option<u32>,
    /// The process.
    pub pid: i32,
    /// Share of one processor, 1.0 = all of it, since the last look.
    pub cpu: f64,
    /// Processor time so far.
    pub cpu_time: Duration,
    /// Memory in bytes: PSS, or RSS where that cannot be read.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u32,
    /// Threads.
    pub threads: u32,
}

/// One process id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pid {
    /// Full name, or `arbiter`.
    pub name: String,
    /// Which process.
    pub slot: Option<u32>,
    /// The process.
    pub pid: i32,
}

/// How far a request has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is waited for, as a sentence.
    pub message: String,
    /// For how long already.
    pub since: Duration,
    /// When something harsher happens, if anything.
    pub escalates_in: Option<Duration>,
    /// What that is: `SIGKILL`, `start_timeout`; empty if nothing.
    pub escalation: String,
}

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Chunk {
    /// Of output.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Of events.
    Event(Event),
    /// Output that was dropped, in bytes.
    Lost(u64),
    /// Of captured output.
    Log {
        /// The bytes, as they were written.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Names the place behind them, for `after` of another request.
        #[serde(with = "serde_bytes")]
        next: Vec<u8>,
    },
    /// Of the events up to this number, all that match have been told.
    At(u64),
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for programs.
    pub kind: FailureKind,
    /// What is wrong and what to do, in one line.
    pub message: String,
}

/// What everybody is told who asks for something while arbiter ends.
pub const STOPPING: &str = "arbiter is stopping: nothing is started or changed any more";

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// It was refused or went wrong.
    Refused,
    /// No such companion or worker.
    NotFound,
    /// The caller may not ask this.
    NotPermitted,
    /// This version does not have the verb.
    NotImplemented,
    /// The request is malformed or makes no sense.
    BadRequest,
    /// What became of it is not known.
    Unknown,
}

impl Failure {
    /// A failure of `kind` with a one-line `message`.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
