use crate::json::{answer, sample::without_spaces};
use proto::control::{Answer, Info, PastExit, Pid, ReloadReport, Stats, TargetResult};
use proto::supervise::{ExitStatus, State};
use std::time::Duration;

#[test]
fn each_answer_has_its_documented_form() {
    let reload = ReloadReport { generation: 2, workers_replaced: 4, ..ReloadReport::default() };
    let result = TargetResult {
        name: "rq".into(),
        slot: Some(1),
        state: State::Running,
        pid: Some(7),
        changed: true,
        message: "started".into(),
        failed: false,
    };
    let version = format!(
        r#"{{"schema": 1, "arbiter": "0.1.0", "manager": "0.2.0", "arbiterctl": "{}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    for (given, expected) in [
        (Answer::Done, r#"{"schema": 1, "ok": true}"#),
        (Answer::Version { manager: "0.2.0".into(), arbiter: "0.1.0".into() }, version.as_str()),
        (Answer::Count(3), r#"{"schema": 1, "count": 3}"#),
        (
            Answer::Reload(reload),
            r#"{"schema": 1, "generation": 2, "added": [], "removed": [], "restarted": [], "scaled": [],
                "applied": [], "unchanged": [], "pending": [], "workers": {"replaced": 4}}"#,
        ),
        (
            Answer::Results(vec![result]),
            r#"{"schema": 1, "results": [{"name": "rq", "slot": 1, "state": "RUNNING", "pid": 7, "changed": true,
                "message": "started"}]}"#,
        ),
        (Answer::Run { pid: 7, exit: None, success: true }, r#"{"schema": 1, "pid": 7, "exit": null}"#),
        (
            Answer::Run { pid: 7, exit: Some(ExitStatus::Code(0)), success: true },
            r#"{"schema": 1, "pid": 7, "exit": {"code": 0, "signal": null}}"#,
        ),
        (
            Answer::Pids(vec![Pid { name: "arbiter".into(), slot: None, pid: 10 }]),
            r#"{"schema": 1, "pids": [{"name": "arbiter", "slot": null, "pid": 10}]}"#,
        ),
    ] {
        assert_eq!(answer(&given), without_spaces(expected) + "\n");
    }
}

#[test]
fn info_and_stats_are_in_seconds_and_bytes() {
    let exit = PastExit {
        slot: 1,
        pid: None,
        at: Duration::ZERO,
        status: Some(ExitStatus::Signal { number: 34, core_dumped: false }),
        requested: true,
        lived: Duration::from_millis(1500),
    };
    let info = Info { name: "rq".into(), settings: "count = 1\n".into(), exits: vec![exit] };
    assert_eq!(
        answer(&Answer::Info(Box::new(info))),
        concat!(
            r#"{"schema":1,"name":"rq","settings":"count = 1\n","exits":[{"slot":1,"pid":null,"code":null,"#,
            r#""signal":"SIG34","at":"1970-01-01T00:00:00Z","requested":true,"lived_seconds":1.5}]}"#,
            "\n"
        )
    );
    let stats = Stats {
        name: "rq".into(),
        slot: Some(1),
        pid: 7,
        cpu: 0.5,
        cpu_time: Duration::from_millis(2250),
        memory: 4096,
        descriptors: 3,
        threads: 1,
    };
    assert_eq!(
        answer(&Answer::Stats(vec![stats])),
        concat!(
            r#"{"schema":1,"processes":[{"name":"rq","slot":1,"pid":7,"cpu":0.5,"cpu_seconds":2.25,"#,
            r#""memory_bytes":4096,"descriptors":3,"threads":1}],"#,
            r#""sum":{"cpu":0.5,"cpu_seconds":2.25,"memory_bytes":4096,"descriptors":3,"threads":1}}"#,
            "\n"
        )
    );
}
