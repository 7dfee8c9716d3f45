//! Every key of every table, in one place: what is not here is an error, and what is near is suggested.

/// The keys of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// Those of its own.
    pub(crate) own: &'static [&'static str],
    /// Those it shares with other tables.
    pub(crate) shared: &'static [&'static str],
}

impl Keys {
    const fn of(own: &'static [&'static str]) -> Self {
        Self { own, shared: &[] }
    }

    /// All of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static str> {
        self.own.iter().chain(self.shared).copied()
    }
}

/// What is loaded at run time.
pub(crate) const LOADED: Keys = Keys::of(&["companion"]);

/// How a process is run: workers and companions.
const PROCESS: &[&str] = &[
    "command",
    "cwd",
    "env",
    "unset_env",
    "env_file",
    "user",
    "group",
    "umask",
    "limits",
    "nice",
    "oom_score_adj",
    "no_new_privileges",
    "ready",
    "start_seconds",
    "start_timeout",
    "stop_signal",
    "stop_group",
    "max_lifetime",
    "max_lifetime_jitter",
    "memory_max",
];

/// The top level.
pub(crate) const TOP: Keys = Keys::of(&[
    "name",
    "pidfile",
    "chdir",
    "umask",
    "user",
    "group",
    "env",
    "unset_env",
    "pre_stop_delay",
    "on_boot_failure",
    "include",
    "control",
    "log",
    "listener",
    "workers",
    "companion",
    "hooks",
]);

/// `[control]`.
pub(crate) const CONTROL: Keys = Keys::of(&["socket", "mode", "group", "allow_users", "allow_groups"]);

/// `[log]`.
pub(crate) const LOG: Keys = Keys::of(&["level", "format", "file"]);

/// `[[listener]]`.
pub(crate) const LISTENER: Keys =
    Keys::of(&["name", "address", "backlog", "reuse_port", "v6only", "mode", "user", "group"]);

/// `[workers]`.
pub(crate) const WORKERS: Keys = Keys {
    own: &[
        "count",
        "timeout",
        "heartbeat",
        "abort_signal",
        "abort_timeout",
        "quick_stop_signal",
        "reopen_signal",
        "graceful_timeout",
        "reload_batch",
        "requires",
        "halt_exit_codes",
    ],
    shared: PROCESS,
};

/// `[companion.NAME]`.
pub(crate) const COMPANION: Keys = Keys {
    own: &[
        "session",
        "count",
        "autostart",
        "critical",
        "after",
        "restart",
        "success_exit_codes",
        "restart_delay",
        "restart_delay_max",
        "flapping",
        "health",
        "watchdog",
        "stop_timeout",
        "reload_signal",
        "stdout",
        "stderr",
        "log",
        "stdin",
        "streams",
        "listen",
    ],
    shared: PROCESS,
};

/// `flapping = { … }`.
pub(crate) const FLAPPING: Keys = Keys::of(&["attempts", "window", "retry_in", "max_retry"]);

/// `health = { … }`.
pub(crate) const HEALTH: Keys = Keys::of(&["exec", "tcp", "http", "interval", "timeout", "failures"]);

/// `ready = { … }`.
pub(crate) const READY: Keys = Keys::of(&["exec", "tcp", "http", "interval", "timeout"]);

/// `log = { … }` of a companion.
pub(crate) const COMPANION_LOG: Keys = Keys::of(&["file", "max_size", "keep", "timestamps"]);

/// `listen = { … }` of a companion.
pub(crate) const LISTEN: Keys = Keys::of(&["address", "backlog", "mode", "user", "group"]);

/// A hook written as a table.
pub(crate) const HOOK: Keys = Keys::of(&["command", "timeout"]);
