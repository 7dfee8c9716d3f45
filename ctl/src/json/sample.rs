//! A status, and how it is written.

use proto::control::{
    ArbiterState, ArbiterStatus, CompanionProcess, CompanionStatus, LastExit, ListenerStatus, ManagerStatus,
    ProcessStatus, Status, WorkerStatus, WorkersStatus,
};
use proto::supervise::{ExitStatus, State};
use std::time::Duration;

/// The documented form of [`status`], with spaces for people.
pub(crate) const STATUS: &str = r#"
{"schema": 1,
 "arbiter": {"pid": 10, "name": "web", "version": "0.1.0", "state": "running", "generation": 1, "uptime_seconds": 12.3, "config": "/etc/arbiter/arbiter.toml"},
 "manager": {"pid": 11, "restarts": 0},
 "listeners": [{"name": "http", "address": "127.0.0.1:8000"}],
 "workers": {"target": 4, "configured": 4, "processes": [{"slot": 1, "pid": 12, "state": "RUNNING", "ready": true, "generation": 1, "uptime_seconds": 12.1,
   "restarts": 0, "heartbeat_age_seconds": null, "status_text": null, "last_exit": null, "retry_in_seconds": null, "reason": null}]},
 "companions": [{"name": "redis", "session": "default", "state": "RUNNING", "target": 1, "configured": 1, "description": "pid 16, uptime 0:00:12",
   "processes": [{"slot": 1, "oneoff": false, "pid": 16, "state": "RUNNING", "ready": true, "uptime_seconds": 12.0, "restarts": 0, "status_text": null,
     "last_exit": {"code": null, "signal": "SIGKILL", "at": "2026-01-01T00:00:00Z", "requested": false, "remark": null}, "retry_in_seconds": null, "reason": null}]}],
 "strays": []}
"#;

/// JSON without the spaces and line breaks outside its strings.
pub(crate) fn without_spaces(json: &str) -> String {
    let mut in_string = false;
    json.chars()
        .filter(|&c| {
            in_string ^= c == '"';
            in_string || !c.is_whitespace()
        })
        .collect()
}

fn process(pid: i32, uptime: Duration) -> ProcessStatus {
    ProcessStatus {
        slot: 1,
        pid: Some(pid),
        state: State::Running,
        ready: true,
        uptime: Some(uptime),
        restarts: 0,
        status_text: None,
        last_exit: None,
        retry_in: None,
        reason: None,
    }
}

/// One worker of four and one companion.
pub(crate) fn status() -> Status {
    let killed = LastExit {
        status: Some(ExitStatus::Signal { number: 9, core_dumped: false }),
        at: Duration::from_secs(1_767_225_600),
        requested: false,
        remark: None,
    };
    let redis = ProcessStatus { last_exit: Some(killed), ..process(16, Duration::from_secs(12)) };
    Status {
        arbiter: ArbiterStatus {
            pid: 10,
            name: "web".into(),
            version: "0.1.0".into(),
            state: ArbiterState::Running,
            generation: 1,
            uptime: Duration::from_millis(12_300),
            config: Some("/etc/arbiter/arbiter.toml".into()),
        },
        manager: ManagerStatus { pid: Some(11), restarts: 0 },
        listeners: vec![ListenerStatus { name: "http".into(), address: "127.0.0.1:8000".into() }],
        workers: WorkersStatus {
            target: 4,
            configured: 4,
            processes: vec![WorkerStatus {
                generation: 1,
                heartbeat_age: None,
                process: process(12, Duration::from_micros(12_100_049)),
            }],
        },
        companions: vec![CompanionStatus {
            name: "redis".into(),
            session: "default".into(),
            state: State::Running,
            target: 1,
            configured: 1,
            autostart: true,
            succeeded: false,
            description: "pid 16, uptime 0:00:12".into(),
            processes: vec![CompanionProcess { oneoff: false, process: redis }],
        }],
        strays: vec![],
    }
}
