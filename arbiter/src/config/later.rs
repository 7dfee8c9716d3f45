//! Keys whose behaviour this version does not have yet: they are read and checked, and named at start.
//!
//! The lists are meant to shrink: whoever builds a behaviour removes its line here, and nothing else.

use proto::spec::{CompanionSpec, LogSpec, MasterSpec, Output, Ready, Stdin, WorkersSpec};

/// A key, and whether a specification asks for more than its default.
type Later<T> = (&'static str, fn(&T) -> bool);

const MASTER: &[Later<MasterSpec>] = &[
    ("--daemon", |master| master.daemon),
    ("listener.reuse_port", |master| master.listeners.iter().any(|listener| listener.reuse_port)),
];

const WORKERS: &[Later<WorkersSpec>] = &[
    ("env_file", |workers| workers.process.env_file.is_some()),
    ("max_lifetime", |workers| !workers.recycle.max_lifetime.is_zero()),
    ("max_lifetime_jitter", |workers| !workers.recycle.max_lifetime_jitter.is_zero()),
    ("memory_max", |workers| workers.recycle.memory_max > 0),
    ("reopen_signal", |workers| workers.reopen_signal.is_some()),
    ("reload_batch", |workers| workers.reload_batch > 0),
    ("ready", |workers| matches!(workers.ready, Ready::Probe { .. })),
];

const COMPANION: &[Later<CompanionSpec>] = &[
    ("critical", |companion| companion.critical),
    ("env_file", |companion| companion.process.env_file.is_some()),
    ("flapping", |companion| companion.flapping.is_some()),
    ("health", |companion| companion.health.is_some()),
    ("watchdog", |companion| !companion.watchdog.is_zero()),
    ("log", |companion| companion.log != default_log()),
    ("stdout", |companion| companion.stdout == Output::Capture),
    ("stderr", |companion| companion.stderr == Some(Output::Capture)),
    ("stdin", |companion| companion.stdin == Stdin::Pipe),
    ("streams", |companion| !companion.streams.is_empty()),
    ("listen", |companion| companion.listen.is_some()),
    ("reload_signal", |companion| companion.reload_signal.is_some()),
    ("max_lifetime", |companion| !companion.recycle.max_lifetime.is_zero()),
    ("max_lifetime_jitter", |companion| !companion.recycle.max_lifetime_jitter.is_zero()),
    ("memory_max", |companion| companion.recycle.memory_max > 0),
    ("ready", |companion| matches!(companion.ready, Ready::Probe { .. })),
];

/// A companion's `log` where nothing is said.
pub(crate) fn default_log() -> LogSpec {
    LogSpec {
        file: String::new(),
        max_size: super::output::MAX_SIZE,
        keep: super::output::KEEP,
        timestamps: false,
    }
}

/// All of them that a configuration asks for, as `table.key`.
pub(crate) fn not_implemented(master: &MasterSpec, companions: &[CompanionSpec]) -> Vec<String> {
    let mut keys = asked(MASTER, master, "");
    if let Some(workers) = &master.workers {
        keys.extend(asked(WORKERS, workers, "workers."));
    }
    let mut hooks: Vec<_> = master.hooks.iter().map(|hook| hook.event).collect();
    hooks.dedup();
    let names = proto::spec::HookEvent::ALL.iter().filter(|(event, _)| hooks.contains(event));
    keys.extend(names.map(|(_, name)| format!("hooks.{name}")));
    for companion in companions {
        keys.extend(asked(COMPANION, companion, &format!("companion.{}.", companion.name)));
    }
    keys
}

fn asked<T>(table: &[Later<T>], spec: &T, prefix: &str) -> Vec<String> {
    table.iter().filter(|(_, is_asked)| is_asked(spec)).map(|(key, _)| format!("{prefix}{key}")).collect()
}
