//! The companions.

use super::{Check, ListenerSpec, ProcessSpec, Ready, Recycle, StopSpec};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::Flapping;
use supervise::probe::{Plan, Purpose};

/// What the manager is to look after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionsSpec {
    /// arbiter's name, for titles and logs.
    pub name: String,
    /// In order of full names.
    pub companions: Vec<CompanionSpec>,
    /// Full names of those that are ready before the workers start, and of what they come after.
    pub required: Vec<String>,
    /// Whether arbiter is told when one comes into another state: it has a hook for that.
    pub tells_changes: bool,
    /// What companions that are loaded at run time are read against.
    pub shared: Shared,
}

/// What the top level of the configuration in force says about every process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// What relative paths are relative to.
    pub base: String,
    /// `env`.
    pub env: Vec<(String, String)>,
    /// `unset_env`.
    pub unset_env: Vec<String>,
    /// `umask`.
    pub umask: Option<u32>,
    /// `user`, and its name where it has an account.
    pub user: Option<(u32, Option<String>)>,
    /// `group`.
    pub group: Option<u32>,
    /// The names of all listeners.
    pub listeners: Vec<String>,
}

/// One companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionSpec {
    /// Full name: `redis` in the default session, else `batch.redis`.
    pub name: String,
    /// Its session.
    pub session: String,
    /// Whether it was loaded at run time, and stands in no file.
    pub loaded: bool,
    /// How each of its processes is run.
    pub process: ProcessSpec,
    /// Stands for what `env`, `unset_env` and `env_file` came to, over arbiter's own environment, when the specification
    /// was made: equal ones gave the same environment, however that was written.
    pub env_digest: u64,
    /// How many.
    pub count: u32,
    /// Whether it is started without being asked for.
    pub autostart: bool,
    /// Whether arbiter stops when it is given up.
    pub critical: bool,
    /// Full names of the companions that have to be ready first.
    pub after: Vec<String>,
    /// Which ends are followed by another start.
    pub restart: RestartPolicy,
    /// Exit codes that mean success.
    pub success_exit_codes: Vec<u8>,
    /// First wait after an end that was not healthy.
    pub restart_delay: Duration,
    /// Longest wait.
    pub restart_delay_max: Duration,
    /// When to give up; `None`: never.
    pub flapping: Option<Flapping>,
    /// When a process is ready.
    pub ready: Ready,
    /// How long being alive has to last where that makes a process ready, and for a run to be healthy.
    pub start_seconds: Duration,
    /// How long a process may take to become ready.
    pub start_timeout: Duration,
    /// A check repeated while it is ready.
    pub health: Option<Health>,
    /// How far apart WATCHDOG=1 may be; zero: not watched.
    pub watchdog: Duration,
    /// How it is asked to leave.
    pub stop: StopSpec,
    /// The signal that asks it to reload itself; `None`: it is replaced.
    pub reload_signal: Option<i32>,
    /// Where standard output goes.
    pub stdout: Output,
    /// Where standard error goes; `None`: wherever standard output goes.
    pub stderr: Option<Output>,
    /// How captured output is kept.
    pub log: LogSpec,
    /// What standard input is.
    pub stdin: Stdin,
    /// Names of extra two-way pipes.
    pub streams: Vec<String>,
    /// A socket held for it.
    pub listen: Option<ListenerSpec>,
    /// When a process is replaced though nothing is wrong.
    pub recycle: Recycle,
}

/// The variable by which every child is told the address of the socket that is held for a companion.
#[must_use]
pub fn companion_variable(name: &str) -> String {
    variable("ARBITER_COMPANION_", name)
}

/// The variable by which a companion is told the descriptor of one of its streams.
#[must_use]
pub fn stream_variable(name: &str) -> String {
    variable("ARBITER_STREAM_", name)
}

fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", name.replace(['-', '.'], "_").to_ascii_uppercase())
}

/// Which ends are followed by another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// All.
    Always,
    /// A signal, or an exit code that does not mean success.
    OnFailure,
    /// None.
    Never,
}

/// A check repeated while a process is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// Between two tries.
    pub interval: Duration,
    /// For one try.
    pub timeout: Duration,
    /// How many failures in a row restart it.
    pub failures: u32,
}

impl Health {
    /// When a process is asked.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let Self { interval, timeout, failures, .. } = *self;
        Plan { purpose: Purpose::Health, interval, timeout, failures }
    }
}

/// Where an output stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Where arbiter's goes.
    Inherit,
    /// Nowhere.
    Null,
    /// A file the child owns, opened to append; with placeholders.
    File(String),
    /// Captured.
    Capture,
    /// Standard error only: together with standard output.
    Stdout,
}

/// How captured output is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// The file, with placeholders; empty: the last MiB in memory.
    pub file: String,
    /// Rotated above this many bytes; zero: never.
    pub max_size: u64,
    /// How many rotated files are kept.
    pub keep: u32,
    /// Whether each line gets the time.
    pub timestamps: bool,
}

/// What standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// /dev/null.
    #[default]
    Null,
    /// A pipe that `arbiterctl send` writes to.
    Pipe,
}
