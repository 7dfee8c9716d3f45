//! Answers.

use super::{Sample, texts};
use proto::control::{
    Answer, ArbiterState, ArbiterStatus, CompanionProcess, CompanionStatus, Failure, FailureKind, Info,
    LastExit, ListenerStatus, ManagerStatus, PastExit, Pid, ProcessStatus, Progress, ReloadReport, Reply,
    Stats, Status, StrayStatus, TargetResult, WorkerStatus, WorkersStatus,
};
use proto::supervise::{ExitStatus, State};
use std::time::Duration;

const DATE: Duration = Duration::new(1_767_225_600, 500_000_000);
const KILLED: ExitStatus = ExitStatus::Signal { number: 9, core_dumped: false };

pub(crate) fn replies() -> Vec<Sample<Reply>> {
    let answers = short_answers().into_iter().chain(long_answers()).chain(statuses());
    answers
        .map(|(name, answer)| (name, Reply::Done(answer)))
        .chain(failures())
        .chain([
            ("progress", progress(None)),
            ("progress_that_escalates", progress(Some(Duration::from_millis(27_500)))),
            ("part", Reply::Part { number: 1, last: false, bytes: vec![0, 1, 0xfe, 0xff] }),
            ("last_part", Reply::Part { number: 2, last: true, bytes: Vec::new() }),
        ])
        .collect()
}

fn progress(escalates_in: Option<Duration>) -> Reply {
    let message = "waiting for redis to stop".into();
    let escalation = String::from(if escalates_in.is_some() { "SIGKILL" } else { "" });
    Reply::Progress(Progress { message, since: Duration::from_millis(2500), escalates_in, escalation })
}

fn failures() -> impl Iterator<Item = Sample<Reply>> {
    [
        ("failed_refused", FailureKind::Refused),
        ("failed_not_found", FailureKind::NotFound),
        ("failed_not_permitted", FailureKind::NotPermitted),
        ("failed_not_implemented", FailureKind::NotImplemented),
        ("failed_bad_request", FailureKind::BadRequest),
        ("failed_unknown", FailureKind::Unknown),
    ]
    .into_iter()
    .map(|(name, kind)| (name, Reply::Failed(Failure::new(kind, "what is wrong; what to do"))))
}

fn short_answers() -> Vec<Sample<Answer>> {
    vec![
        ("done", Answer::Done),
        ("version", Answer::Version { manager: "0.1.0".into(), arbiter: "0.2.0".into() }),
        ("count", Answer::Count(8)),
        ("run", Answer::Run { pid: 4711, exit: None, success: true }),
        ("run_that_exited", Answer::Run { pid: 4711, exit: Some(ExitStatus::Code(3)), success: true }),
        ("run_that_was_killed", Answer::Run { pid: 4711, exit: Some(KILLED), success: false }),
    ]
}

fn long_answers() -> Vec<Sample<Answer>> {
    let stats = Stats {
        name: "redis".into(),
        slot: Some(1),
        pid: 16,
        cpu: 0.75,
        cpu_time: Duration::from_millis(1250),
        memory: 9 << 20,
        descriptors: 12,
        threads: 4,
    };
    let pids = vec![
        Pid { name: "arbiter".into(), slot: None, pid: 10 },
        Pid { name: "redis".into(), slot: Some(1), pid: 16 },
    ];
    vec![
        ("reload", Answer::Reload(reload())),
        ("results", Answer::Results(results())),
        ("info", Answer::Info(Box::new(info()))),
        ("stats", Answer::Stats(vec![stats])),
        ("pids", Answer::Pids(pids)),
    ]
}

fn reload() -> ReloadReport {
    ReloadReport {
        generation: 2,
        added: texts(&["a"]),
        removed: texts(&["b"]),
        restarted: texts(&["c", "d"]),
        scaled: texts(&["e"]),
        applied: texts(&["f"]),
        unchanged: texts(&["g"]),
        pending: texts(&["workers.command"]),
        workers_replaced: 4,
        problems: texts(&["c: exited with status 1"]),
    }
}

/// One in each state.
fn results() -> Vec<TargetResult> {
    [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Backoff,
        State::Stopping,
        State::Exited,
        State::Fatal,
    ]
    .into_iter()
    .map(|state| {
        let runs = state == State::Running;
        TargetResult {
            name: "redis".into(),
            slot: runs.then_some(1),
            state,
            pid: runs.then_some(16),
            changed: runs,
            message: "started".into(),
            failed: !runs,
        }
    })
    .collect()
}

fn info() -> Info {
    let exit = |pid, status| PastExit {
        slot: 1,
        pid,
        at: DATE,
        status,
        requested: false,
        lived: Duration::from_millis(1500),
    };
    Info {
        name: "redis".into(),
        settings: "count = 1\n".into(),
        exits: vec![
            exit(Some(16), Some(ExitStatus::Code(1))),
            exit(Some(17), Some(KILLED)),
            exit(None, None),
        ],
    }
}

fn statuses() -> Vec<Sample<Answer>> {
    let states = [
        ("status_starting", ArbiterState::Starting),
        ("status", ArbiterState::Running),
        ("status_reloading", ArbiterState::Reloading),
        ("status_stopping", ArbiterState::Stopping),
        ("status_upgrading", ArbiterState::Upgrading),
    ];
    states
        .into_iter()
        .map(|(name, state)| {
            let full = state == ArbiterState::Running;
            (name, Answer::Status(Box::new(if full { full_status() } else { small_status(state) })))
        })
        .collect()
}

fn arbiter(state: ArbiterState, config: Option<&str>) -> ArbiterStatus {
    ArbiterStatus {
        pid: 10,
        name: "web".into(),
        version: "0.1.0".into(),
        state,
        generation: 1,
        uptime: Duration::from_millis(12_500),
        config: config.map(str::to_owned),
    }
}

fn small_status(state: ArbiterState) -> Status {
    Status {
        arbiter: arbiter(state, None),
        manager: ManagerStatus { pid: None, restarts: 1 },
        listeners: Vec::new(),
        workers: WorkersStatus::default(),
        companions: Vec::new(),
        strays: Vec::new(),
    }
}

fn full_status() -> Status {
    let worker =
        |process| WorkerStatus { generation: 1, heartbeat_age: Some(Duration::from_millis(500)), process };
    let last_exit =
        LastExit { status: Some(KILLED), at: DATE, requested: true, remark: Some("out of memory".into()) };
    let returning = ProcessStatus {
        pid: None,
        state: State::Backoff,
        ready: false,
        uptime: None,
        restarts: 3,
        status_text: Some("loading".into()),
        last_exit: Some(last_exit),
        retry_in: Some(Duration::from_millis(1500)),
        reason: Some("exited with status 1".into()),
        ..running(2, 13)
    };
    Status {
        arbiter: arbiter(ArbiterState::Running, Some("/etc/arbiter/arbiter.toml")),
        manager: ManagerStatus { pid: Some(11), restarts: 0 },
        listeners: vec![ListenerStatus { name: "http".into(), address: "127.0.0.1:8000".into() }],
        workers: WorkersStatus {
            target: 2,
            configured: 4,
            processes: vec![worker(running(1, 12)), worker(returning)],
        },
        companions: vec![redis()],
        strays: vec![StrayStatus { pid: 99, command: "sleep".into() }],
    }
}

fn redis() -> CompanionStatus {
    CompanionStatus {
        name: "redis".into(),
        session: "default".into(),
        state: State::Running,
        target: 1,
        configured: 2,
        autostart: true,
        succeeded: false,
        description: "pid 16, uptime 0:00:12".into(),
        processes: vec![
            CompanionProcess { oneoff: false, process: running(1, 16) },
            CompanionProcess { oneoff: true, process: running(0, 17) },
        ],
    }
}

fn running(slot: u32, pid: i32) -> ProcessStatus {
    ProcessStatus {
        slot,
        pid: Some(pid),
        state: State::Running,
        ready: true,
        uptime: Some(Duration::from_millis(12_000)),
        restarts: 0,
        status_text: None,
        last_exit: None,
        retry_in: None,
        reason: None,
    }
}
