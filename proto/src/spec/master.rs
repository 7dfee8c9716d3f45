//! The rest: arbiter itself, its listeners, hooks, log and control socket.

use super::{ProcessSpec, WorkersSpec};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// What the resolver found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// A configuration to run with.
    Run {
        /// arbiter's own part.
        master: Box<MasterSpec>,
        /// An encoded [`super::CompanionsSpec`], which arbiter hands on unopened.
        #[serde(with = "serde_bytes")]
        companions: Vec<u8>,
    },
    /// The companions that are in force after a [`super::Change`].
    Companions {
        /// An encoded [`super::CompanionsSpec`].
        #[serde(with = "serde_bytes")]
        companions: Vec<u8>,
        /// Whom the change is about.
        names: Vec<String>,
        /// How long the slowest chain of companions may take to stop.
        stop_within: Duration,
        /// Sockets held for all of them, as [`MasterSpec::held`].
        held: Vec<ListenerSpec>,
        /// What is doubtful.
        warnings: Vec<String>,
    },
    /// An answer in itself (`--help`, `--check-config`, an error): print this and exit.
    Print {
        /// For standard output.
        stdout: String,
        /// For standard error.
        stderr: String,
        /// The exit status.
        code: u8,
    },
}

/// arbiter's own part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterSpec {
    /// Shown in titles and logs.
    pub name: String,
    /// The configuration file, absolute; `None` when everything came from flags.
    pub config: Option<String>,
    /// The pidfile, absolute; `None`: none.
    pub pidfile: Option<String>,
    /// How long after TERM workers still serve.
    pub pre_stop_delay: Duration,
    /// What a failed boot of the first generation does.
    pub on_boot_failure: OnBootFailure,
    /// Whether to leave the terminal once ready.
    pub daemon: bool,
    /// The control socket.
    pub control: ControlSpec,
    /// arbiter's own log.
    pub log: Log,
    /// Listening sockets, in order: the first one is the child's descriptor 3.
    pub listeners: Vec<ListenerSpec>,
    /// Sockets held for companions, each by its companion's full name; nothing is passed to workers but their
    /// addresses.
    pub held: Vec<ListenerSpec>,
    /// The workers; `None`: arbiter looks after companions only.
    pub workers: Option<WorkersSpec>,
    /// Whether any companion is configured.
    pub has_companions: bool,
    /// How long the slowest chain of companions may take to stop.
    pub companions_stop_within: Duration,
    /// Commands run at events.
    pub hooks: Vec<HookSpec>,
    /// What should be said once at start: doubtful settings.
    pub warnings: Vec<String>,
    /// The effective configuration, as `--print-config` shows it; only where it will be logged.
    pub effective: Option<String>,
}

/// What a worker of the first generation that fails to boot does to arbiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnBootFailure {
    /// With one of the halt exit codes, it ends arbiter.
    #[default]
    Halt,
    /// It is tried again.
    Retry,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlSpec {
    /// Where; `None`: there is none.
    pub socket: Option<String>,
    /// Whether the path was given, so that failing to use it is an error, not a warning.
    pub explicit: bool,
    /// The socket's mode.
    pub mode: u32,
    /// The socket's group.
    pub group: Option<u32>,
    /// Users let in beside root and arbiter's own.
    pub allow_users: Vec<u32>,
    /// Groups let in.
    pub allow_groups: Vec<u32>,
}

/// arbiter's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The least that is written.
    pub level: LogLevel,
    /// How.
    pub format: LogFormat,
    /// Where to.
    pub target: LogTarget,
}

/// Log levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is doubtful.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// Log formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Where the log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// Standard error.
    #[default]
    Stderr,
    /// A file, absolute path.
    File(String),
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSpec {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: AddressSpec,
    /// The address as it was written.
    pub written: String,
    /// Length of the accept queue.
    pub backlog: u32,
    /// One socket per slot instead of a shared one.
    pub reuse_port: bool,
    /// For an IPv6 address: not for IPv4 as well.
    pub v6only: bool,
    /// Unix only: mode of the socket file.
    pub mode: u32,
    /// Unix only: owner of the socket file.
    pub owner: Option<OwnerSpec>,
}

/// A file's owner; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerSpec {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AddressSpec {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A socket file, absolute path.
    Unix(String),
    /// A name without a file.
    Abstract(String),
}

/// A command run at an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSpec {
    /// At which.
    pub event: HookEvent,
    /// What is run.
    pub process: ProcessSpec,
    /// How long it may take.
    pub timeout: Duration,
}

/// The events that have hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HookEvent {
    /// Before anything is started.
    OnStarting,
    /// All workers are ready for the first time.
    WhenReady,
    /// A worker is about to be started.
    PreFork,
    /// A worker was started.
    PostFork,
    /// A worker has ended.
    WorkerExit,
    /// A child that is no worker has ended.
    ChildExit,
    /// The number of workers changed.
    NworkersChanged,
    /// A reload begins.
    OnReload,
    /// An upgrade begins.
    PreExec,
    /// arbiter is about to end.
    OnExit,
    /// A companion changed its state.
    CompanionEvent,
}

impl HookEvent {
    /// All of them with their configuration names.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::OnStarting, "on_starting"),
        (Self::WhenReady, "when_ready"),
        (Self::PreFork, "pre_fork"),
        (Self::PostFork, "post_fork"),
        (Self::WorkerExit, "worker_exit"),
        (Self::ChildExit, "child_exit"),
        (Self::NworkersChanged, "nworkers_changed"),
        (Self::OnReload, "on_reload"),
        (Self::PreExec, "pre_exec"),
        (Self::OnExit, "on_exit"),
        (Self::CompanionEvent, "companion_event"),
    ];

    /// Its configuration name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(event, _)| *event == self);
        known.map(|(_, name)| *name).expect("all events are in the list")
    }
}
