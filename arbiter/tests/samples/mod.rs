//! Configurations to start from.

use proto::spec::{
    AddressSpec, ControlSpec, Heartbeat, ListenerSpec, Log, LogFormat, LogLevel, LogTarget, MasterSpec,
    OnBootFailure, ProcessSpec, Ready, Recycle, StopSpec, WorkersSpec,
};
use std::time::Duration;

/// Workers that tell when they are ready, within a minute; TERM and 30 s to leave, QUIT in a hurry, ABRT
/// and a second to abort, exit code 3 halts.
pub(crate) fn workers(count: u32) -> WorkersSpec {
    WorkersSpec {
        process: ProcessSpec { command: vec!["serve".into()], cwd: "/".into(), ..ProcessSpec::default() },
        count,
        ready: Ready::Notify,
        start_seconds: Duration::from_secs(1),
        start_timeout: Duration::from_secs(60),
        timeout: Duration::from_secs(30),
        heartbeat: Heartbeat::Auto,
        stop: StopSpec { signal: 15, timeout: Duration::from_secs(30), group: false },
        quick_stop_signal: 3,
        abort_signal: 6,
        abort_timeout: Duration::from_secs(1),
        reopen_signal: None,
        recycle: Recycle::default(),
        reload_batch: 0,
        requires: Vec::new(),
        halt_exit_codes: vec![3, 4],
    }
}

/// arbiter with one listener and companions that stop within 20 s.
#[allow(dead_code, reason = "not every test that starts from workers needs the rest")]
pub(crate) fn master(workers: Option<WorkersSpec>) -> MasterSpec {
    let address = AddressSpec::Tcp(([127, 0, 0, 1], 0).into());
    MasterSpec {
        name: "web".into(),
        config: None,
        pidfile: None,
        pre_stop_delay: Duration::ZERO,
        on_boot_failure: OnBootFailure::Halt,
        daemon: false,
        control: ControlSpec {
            socket: None,
            explicit: false,
            mode: 0o600,
            group: None,
            allow_users: Vec::new(),
            allow_groups: Vec::new(),
        },
        log: Log { level: LogLevel::Info, format: LogFormat::Text, target: LogTarget::Stderr },
        listeners: vec![ListenerSpec {
            name: "http".into(),
            address,
            written: "127.0.0.1:0".into(),
            backlog: 2048,
            reuse_port: false,
            v6only: false,
            mode: 0o666,
            owner: None,
        }],
        held: Vec::new(),
        workers,
        has_companions: true,
        companions_stop_within: Duration::from_secs(20),
        hooks: Vec::new(),
        warnings: Vec::new(),
        effective: None,
    }
}
