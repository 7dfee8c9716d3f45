//! What workers and companions have in common.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a program is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Program and arguments, with placeholders. Never empty.
    pub command: Vec<String>,
    /// Working directory, absolute, with placeholders; resolved anew at each spawn.
    pub cwd: String,
    /// Variables set, later ones over earlier ones: the table's over the top level's.
    pub env: Vec<(String, String)>,
    /// Variables removed before `env` is applied.
    pub unset_env: Vec<String>,
    /// A file of variables, read at each spawn.
    pub env_file: Option<EnvFile>,
    /// The user to become; `None` stays the user that started arbiter.
    pub identity: Option<Identity>,
    /// File creation mask; `None` inherits arbiter's.
    pub umask: Option<u32>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Scheduling priority, -20 to 19; `None` inherits arbiter's.
    pub nice: Option<i32>,
    /// Preference of the out-of-memory killer, -1000 to 1000; `None` inherits arbiter's.
    pub oom_score_adj: Option<i32>,
    /// Whether exec may no longer grant privileges.
    pub no_new_privileges: bool,
}

/// A file of environment variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Absolute path.
    pub path: String,
    /// Whether it may be missing.
    pub optional: bool,
}

/// A user and the groups a process gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// `USER` and `LOGNAME`, `HOME` and `SHELL`; `None` for a bare number without an entry.
    pub login: Option<(String, String, String)>,
}

/// One resource limit; `u64::MAX` is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which.
    pub resource: Resource,
    /// The limit in force.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// The resources of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// Address space in bytes.
    As,
    /// Core file in bytes.
    Core,
    /// Processor time in seconds.
    Cpu,
    /// Data segment in bytes.
    Data,
    /// File size in bytes.
    Fsize,
    /// File locks.
    Locks,
    /// Locked memory in bytes.
    Memlock,
    /// Bytes in message queues.
    Msgqueue,
    /// Ceiling of the nice value.
    Nice,
    /// Open descriptors.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Resident set in bytes.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Real-time slice in microseconds.
    Rttime,
    /// Pending signals.
    Sigpending,
    /// Stack in bytes.
    Stack,
}

impl Resource {
    /// All of them with their configuration names.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::As, "as"),
        (Self::Core, "core"),
        (Self::Cpu, "cpu"),
        (Self::Data, "data"),
        (Self::Fsize, "fsize"),
        (Self::Locks, "locks"),
        (Self::Memlock, "memlock"),
        (Self::Msgqueue, "msgqueue"),
        (Self::Nice, "nice"),
        (Self::Nofile, "nofile"),
        (Self::Nproc, "nproc"),
        (Self::Rss, "rss"),
        (Self::Rtprio, "rtprio"),
        (Self::Rttime, "rttime"),
        (Self::Sigpending, "sigpending"),
        (Self::Stack, "stack"),
    ];
}

/// When a started process counts as ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// With listeners as `Listening`, and after the start timeout anyway; without, READY=1 or alive for
    /// the start time.
    #[default]
    Auto,
    /// READY=1 over `NOTIFY_SOCKET`.
    Notify,
    /// READY=1, or seen waiting on one of its listeners.
    Listening,
    /// Alive for the start time.
    Started,
    /// Ended with a success code (companions).
    Exit,
    /// A check succeeds.
    Probe {
        /// What is asked.
        check: Check,
        /// Between two tries.
        interval: Duration,
        /// For one try.
        timeout: Duration,
    },
}

/// A question put to a process from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// A command that exits with 0.
    Exec(Vec<String>),
    /// An address that accepts a connection: `IP:PORT` or `unix:PATH`.
    Tcp(String),
    /// A URL that answers with 200 to 399.
    Http(String),
}

/// How a process is asked to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// The signal's number.
    pub signal: i32,
    /// How long it may take before SIGKILL. Zero: SIGKILL at once.
    pub timeout: Duration,
    /// Whether the whole group gets the signal at once.
    pub group: bool,
}

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
