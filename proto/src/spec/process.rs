//! What workers and companions have in common.

use super::template;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::probe::{Plan, Purpose};

/// How a program is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Program and arguments, with placeholders. Never empty.
    pub command: Vec<String>,
    /// Working directory, absolute, with placeholders; resolved anew at each spawn.
    pub cwd: String,
    /// Variables removed before any of the following is applied.
    pub unset_env: Vec<String>,
    /// Variables under those of `env_file`: the top level's. Empty without one, for then `env` has them.
    pub top_env: Vec<(String, String)>,
    /// A file of variables, read at each spawn.
    pub env_file: Option<EnvFile>,
    /// Variables over all of these, later ones over earlier ones: the table's.
    pub env: Vec<(String, String)>,
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

impl Identity {
    /// The variables that its login sets, if it has one.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.login.iter().flat_map(|(user, home, shell)| {
            [("USER", user), ("LOGNAME", user), ("HOME", home), ("SHELL", shell)]
                .map(|(name, value)| (name, value.as_str()))
        })
    }
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

impl Ready {
    /// How a process is asked whether it is ready, where that is how it becomes so.
    #[must_use]
    pub fn plan(&self) -> Option<Plan> {
        match *self {
            Self::Probe { interval, timeout, .. } => {
                Some(Plan { purpose: Purpose::Ready, interval, timeout, failures: 1 })
            }
            Self::Auto | Self::Notify | Self::Listening | Self::Started | Self::Exit => None,
        }
    }

    /// What it is asked.
    #[must_use]
    pub fn check(&self) -> Option<&Check> {
        match self {
            Self::Probe { check, .. } => Some(check),
            Self::Auto | Self::Notify | Self::Listening | Self::Started | Self::Exit => None,
        }
    }
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

impl Check {
    /// How its command is run, where it is one: as the process that it is about, which `of` describes.
    #[must_use]
    pub fn process(&self, of: &ProcessSpec) -> ProcessSpec {
        let command = match self {
            Self::Exec(command) => command.clone(),
            Self::Tcp(_) | Self::Http(_) => Vec::new(),
        };
        ProcessSpec { command, ..of.clone() }
    }

    /// Whom or what is asked, as it was written, for a message: placeholders that `value` knows are filled in.
    #[must_use]
    pub fn shown(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let text = match self {
            Self::Exec(command) => command.first().map_or("", String::as_str),
            Self::Tcp(text) | Self::Http(text) => text,
        };
        template::expand(text, value).unwrap_or_else(|_| text.to_owned())
    }
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
