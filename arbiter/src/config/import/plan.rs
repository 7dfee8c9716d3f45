//! What a foreign configuration says, in our words. Each reader makes one, and `write` makes the text of it.

use std::time::Duration;
use supervise::Flapping;

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What has to be said of the whole.
    pub(super) notes: Vec<String>,
    /// `name`.
    pub(super) name: Option<String>,
    /// `pidfile`.
    pub(super) pidfile: Option<String>,
    /// `chdir`.
    pub(super) chdir: Option<String>,
    /// `umask`.
    pub(super) umask: Option<String>,
    /// `user`.
    pub(super) user: Option<String>,
    /// `env`.
    pub(super) env: Vec<(String, String)>,
    /// Keys of `[control]` with their values as TOML, and what has to be said there.
    pub(super) control: (Vec<String>, Vec<(&'static str, String)>),
    /// `[log]`, likewise.
    pub(super) log: (Vec<String>, Vec<(&'static str, String)>),
    /// What runs.
    pub(super) programs: Vec<Program>,
    /// What has to be said in the end, of what became nothing.
    pub(super) rest: Vec<String>,
}

/// What becomes `[workers]` or a companion.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// A companion's name, `SESSION.NAME` where it has a session.
    pub(super) name: String,
    /// It becomes `[workers]`.
    pub(super) is_workers: bool,
    /// What has no counterpart.
    pub(super) notes: Vec<String>,
    /// `command`.
    pub(super) command: Vec<String>,
    /// `count`.
    pub(super) count: Option<u32>,
    /// `cwd`.
    pub(super) cwd: Option<String>,
    /// `env`.
    pub(super) env: Vec<(String, String)>,
    /// `env_file`.
    pub(super) env_file: Option<String>,
    /// `user`.
    pub(super) user: Option<String>,
    /// `group`.
    pub(super) group: Option<String>,
    /// `umask`.
    pub(super) umask: Option<String>,
    /// `limits`.
    pub(super) limits: Vec<(String, String)>,
    /// It is not started by itself.
    pub(super) is_manual: bool,
    /// It has done its work when it has ended.
    pub(super) ends: bool,
    /// `restart`; `None`: always.
    pub(super) restart: Option<&'static str>,
    /// `success_exit_codes`.
    pub(super) success_exit_codes: Option<Vec<u8>>,
    /// `flapping`.
    pub(super) flapping: Option<Flapping>,
    /// `start_seconds`.
    pub(super) start_seconds: Option<u32>,
    /// `stop_signal`.
    pub(super) stop_signal: Option<String>,
    /// `stop_timeout`, or the workers' `graceful_timeout`.
    pub(super) stop_seconds: Option<u32>,
    /// `stop_group`.
    pub(super) stop_group: bool,
    /// `reload_signal`.
    pub(super) reload_signal: Option<&'static str>,
    /// `max_lifetime` and its jitter.
    pub(super) max_lifetime: Option<(u32, u32)>,
    /// Where its output goes.
    pub(super) output: Output,
    /// What it listens on without opening it itself.
    pub(super) sockets: Vec<Socket>,
    /// What is smaller starts earlier and stops later; equal ones do so together.
    pub(super) rank: i64,
    /// Names of what it comes after, whatever its rank.
    pub(super) after: Vec<String>,
}

impl Program {
    /// Whether something has to be over or up before what comes after it starts.
    pub(super) fn starts(&self) -> bool {
        !self.is_manual && self.count != Some(0)
    }
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Target {
    /// Where arbiter's goes.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To the manager, which keeps it in memory or in the file of `log`.
    Capture,
    /// To a file that nobody rotates.
    File(String),
}

/// `stdout`, `stderr` and `log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    /// `stdout`.
    pub(super) stdout: Target,
    /// `stderr`; `None`: wherever `stdout` goes.
    pub(super) stderr: Option<Target>,
    /// `log`.
    pub(super) log: Option<Log>,
}

/// `log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// `file`.
    pub(super) file: String,
    /// `max_size`, in bytes.
    pub(super) max_size: u64,
    /// `keep`.
    pub(super) keep: u32,
    /// `timestamps`.
    pub(super) timestamps: bool,
}

/// `[[listener]]`, or `listen` of a companion.
#[derive(Clone, Debug, Default)]
pub(super) struct Socket {
    /// Its name.
    pub(super) name: String,
    /// `address`.
    pub(super) address: String,
    /// `backlog`.
    pub(super) backlog: Option<u32>,
    /// `reuse_port`.
    pub(super) reuse_port: bool,
    /// `mode`.
    pub(super) mode: Option<String>,
    /// `user`.
    pub(super) user: Option<String>,
    /// `group`.
    pub(super) group: Option<String>,
}

/// The address of a socket file. A path that begins with `@` would be an abstract name.
pub(super) fn file_address(path: &str) -> String {
    let beginning = if path.starts_with('@') { "./" } else { "" };
    format!("unix:{beginning}{path}")
}

/// Pauses between starts where nothing else is said.
const DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A rule that can be broken: with a window in which as many ends as it counts can come.
pub(super) fn reachable(rule: Flapping, each: Duration) -> Flapping {
    let fastest = rule.fastest(DELAY.0, DELAY.1) + each * rule.attempts;
    Flapping { window: rule.window.max(fastest), ..rule }
}
