//! Requests.

use crate::spec::Load;
use serde::{Deserialize, Serialize};

/// A random number that names one changing request, so that a client that was cut off can ask what became
/// of it and nothing is done twice.
pub type Token = [u8; 16];

/// One request on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The client's number for it; the answer carries it.
    pub id: u64,
    /// Its token; all zero for questions.
    pub token: Token,
    /// Whether the answer comes when the thing is done instead of when it is begun.
    pub wait: bool,
    /// What is asked.
    pub verb: Verb,
}

/// What can be asked. New verbs are added at the end; the order is the wire format.
///
/// NAME stands for a companion's full name, `NAME:SLOT` for one process of it, or a pattern (`*` alone:
/// all; otherwise within one dotted part).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// The manager's and arbiter's versions.
    Version,
    /// Whether both are alive.
    Ping,
    /// Everything, or the companions that match.
    Status(Vec<String>),
    /// Read the configuration and apply it.
    Reload(ReloadScope),
    /// arbiter replaces its own program.
    Upgrade,
    /// Stop everything.
    Shutdown {
        /// With SIGKILL at once.
        force: bool,
    },
    /// Start the companions named.
    Start(Vec<String>),
    /// Stop them.
    Stop {
        /// NAMEs.
        names: Vec<String>,
        /// With SIGKILL at once.
        force: bool,
    },
    /// Restart companions.
    Restart(Vec<String>),
    /// The next generation of workers from the settings in force.
    RestartWorkers,
    /// Replace one worker, new before old.
    RestartWorker {
        /// Its slot.
        slot: u32,
    },
    /// Replace the manager; companions run on.
    RestartManager,
    /// Reload companions by their reload signal, else by a rolling restart.
    ReloadCompanion(Vec<String>),
    /// How many there should be.
    Scale {
        /// Of what.
        target: ScaleTarget,
        /// To what.
        change: ScaleChange,
    },
    /// Send a signal.
    Signal {
        /// To whom.
        target: SignalTarget,
        /// Its number.
        signal: i32,
    },
    /// An extra process from a companion's settings.
    Run(RunRequest),
    /// Settings and the last exits of a companion.
    Info(String),
    /// Processor time, memory, descriptors and threads.
    Stats(Vec<String>),
    /// Process ids; of arbiter when no name is given.
    Pids(Vec<String>),
    /// Captured output.
    Logs(LogRequest),
    /// The stream of events whose subject matches one of the patterns.
    Events {
        /// Patterns; none: every event.
        patterns: Vec<String>,
        /// Go on behind the event of this number.
        after: Option<u64>,
    },
    /// Wait until a companion is as said.
    Wait {
        /// NAME.
        name: String,
        /// Until when.
        until: CompanionUntil,
    },
    /// Write to a companion's standard input or stream.
    Send(SendRequest),
    /// What it wrote to a stream.
    Receive {
        /// NAME.
        name: String,
        /// Which stream.
        stream: String,
        /// Whether to go on with what comes.
        follow: bool,
        /// Only what comes after that place, which an answer named.
        #[serde(with = "serde_bytes")]
        after: Option<Vec<u8>>,
    },
    /// Add companions from TOML text.
    Load(Load),
    /// Stop and forget companions that were loaded.
    Unload(Vec<String>),
    /// Reopen arbiter's and captured logs.
    ReopenLogs,
    /// What became of the request with this token: answered with what that request is answered with.
    Outcome(Token),
}

impl Verb {
    /// The verb as a person types it, for messages and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Ping => "ping",
            Self::Status(_) => "status",
            Self::Reload(_) => "reload",
            Self::Upgrade => "upgrade",
            Self::Shutdown { .. } => "shutdown",
            Self::Start(_) => "start",
            Self::Stop { .. } => "stop",
            Self::Restart(_) => "restart",
            Self::RestartWorkers => "restart workers",
            Self::RestartWorker { .. } => "restart worker",
            Self::RestartManager => "restart manager",
            Self::ReloadCompanion(_) => "reload companion",
            Self::Scale { .. } => "scale",
            Self::Signal { .. } => "signal",
            Self::Run(_) => "run",
            Self::Info(_) => "info",
            Self::Stats(_) => "stats",
            Self::Pids(_) => "pid",
            Self::Logs(_) => "logs",
            Self::Events { .. } => "events",
            Self::Wait { .. } => "wait",
            Self::Send(_) => "send",
            Self::Receive { .. } => "recv",
            Self::Load(_) => "load",
            Self::Unload(_) => "unload",
            Self::ReopenLogs => "reopen-logs",
            Self::Outcome(_) => "outcome",
        }
    }
}

/// How much of the configuration a reload applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReloadScope {
    /// All of it.
    All,
    /// The companions; the rest is listed as pending.
    Companions,
    /// Nothing: only what would change is told.
    DryRun,
}

/// What is scaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScaleTarget {
    /// The workers.
    Workers,
    /// A companion, by full name.
    Companion(String),
}

/// The new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScaleChange {
    /// This many.
    To(u32),
    /// More, or with a negative number fewer.
    By(i32),
}

/// Who gets a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalTarget {
    /// Companions.
    Companions(Vec<String>),
    /// All workers.
    Workers,
    /// One worker.
    Worker(u32),
}

/// An extra process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// From which companion's settings.
    pub name: String,
    /// Variables set over the companion's.
    pub env: Vec<(String, String)>,
    /// Appended to the command.
    pub args: Vec<String>,
}

/// Which captured output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// Whose.
    pub name: String,
    /// Whether to go on with what comes.
    pub follow: bool,
    /// How many of the last lines; `None`: all that are kept.
    pub lines: Option<u64>,
    /// Only what comes after that place, which an answer named; `lines` does not count then.
    #[serde(with = "serde_bytes")]
    pub after: Option<Vec<u8>>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompanionUntil {
    /// It is ready.
    Ready,
    /// Nothing of it runs.
    Stopped,
}

/// What to write to a companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// NAME.
    pub name: String,
    /// To which stream; `None`: standard input.
    pub stream: Option<String>,
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// Whether to close it afterwards.
    pub eof: bool,
}
