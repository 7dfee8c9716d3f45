use crate::fake_manager::{FakeManager, replying};
use proto::control::{Answer, Progress, ReloadReport, Reply, ScaleChange, ScaleTarget, TargetResult, Verb};
use proto::supervise::{ExitStatus, State};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

fn result(name: &str, message: &str, failed: bool) -> TargetResult {
    TargetResult {
        name: name.into(),
        slot: None,
        state: State::Running,
        pid: None,
        changed: true,
        message: message.into(),
        failed,
    }
}

#[test]
fn what_was_started_is_told_and_the_request_has_a_token() {
    let results = vec![result("redis", "started", false), result("rq", "already running", false)];
    let mut manager = FakeManager::answering(Answer::Results(results));
    manager.run(&["start", "companion", "redis", "rq"]).answers("redis: started\nrq: already running\n");
    let request = manager.requests().remove(0);
    assert_eq!(request.verb, Verb::Start(vec!["redis".into(), "rq".into()]));
    assert!(request.wait);
    assert_ne!(request.token, [0; 16]);
}

#[test]
fn what_failed_is_told_apart_from_what_was_done() {
    let results = vec![result("redis", "stopped", false), result("rq", "is still there", true)];
    FakeManager::answering(Answer::Results(results))
        .run(&["stop", "companion", "*"])
        .fails(1, &["rq: is still there (redis: stopped)"]);

    let results = vec![result("rq", "exited with status 1", true)];
    let mut manager = FakeManager::answering(Answer::Results(results));
    manager.run(&["start", "companion", "rq"]).fails(1, &["rq: exited with status 1"]);
}

#[test]
fn a_request_need_not_be_waited_for() {
    let mut manager = FakeManager::answering(Answer::Done);
    manager.run(&["upgrade", "--no-wait"]).answers("upgrade: begun\n");
    assert!(!manager.requests()[0].wait);
}

#[test]
fn scaling_prints_the_new_number() {
    let mut manager = FakeManager::answering(Answer::Count(3));
    manager.run(&["scale", "companion", "rq", "-1"]).answers("3\n");
    let target = ScaleTarget::Companion("rq".into());
    assert_eq!(manager.requests()[0].verb, Verb::Scale { target, change: ScaleChange::By(-1) });
    FakeManager::answering(Answer::Count(3))
        .run(&["scale", "workers", "3", "--json"])
        .answers("{\"schema\":1,\"count\":3}\n");
}

#[test]
fn a_reload_that_broke_a_companion_tells_both() {
    let report = ReloadReport {
        generation: 2,
        added: vec!["rq".into()],
        problems: vec!["rq exited with status 1".into()],
        workers_replaced: 4,
        ..ReloadReport::default()
    };
    FakeManager::answering(Answer::Reload(report))
        .run(&["reload"])
        .fails(1, &["(added: rq; workers: 4 replaced, generation 2), but then: rq exited with status 1"]);
}

#[test]
fn a_run_prints_its_pid_and_ends_as_its_process_does() {
    FakeManager::answering(Answer::Run { pid: 7, exit: None, success: true })
        .run(&["run", "companion", "rq"])
        .answers("7\n");
    let exit = Some(ExitStatus::Code(3));
    FakeManager::answering(Answer::Run { pid: 7, exit, success: false })
        .run(&["run", "companion", "rq", "--wait", "--", "-x"])
        .fails(1, &["rq (pid 7) exited with status 3"]);
}

fn waiting(message: &str, seconds: u64) -> Reply {
    Reply::Progress(Progress {
        message: message.into(),
        since: Duration::from_secs(seconds),
        escalates_in: Some(Duration::from_secs(48)),
        escalation: "SIGKILL".into(),
    })
}

#[test]
fn where_there_is_no_terminal_what_takes_long_is_a_plain_line_for_each_change() {
    let replies = || {
        vec![
            waiting("redis is RUNNING", 1),
            waiting("redis is STOPPING", 5),
            waiting("redis is STOPPING", 6),
            waiting("redis is STARTING", 7),
            Reply::Done(Answer::Results(vec![result("redis", "restarted", false)])),
        ]
    };
    let outcome = FakeManager::replying(replies()).run(&["restart", "companion", "redis"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "redis: restarted\n"));
    let expected = "\
arbiterctl: waiting: redis is STOPPING, 5 s so far, SIGKILL in 48 s
arbiterctl: waiting: redis is STARTING, 7 s so far, SIGKILL in 48 s
";
    assert_eq!(outcome.stderr, expected);
    let outcome = FakeManager::replying(replies()).run(&["--json", "restart", "companion", "redis"]);
    assert_eq!(outcome.stderr, "", "a program that wants JSON wants no lines beside it");
}

#[test]
fn what_is_done_soon_is_done_in_silence() {
    let replies = vec![waiting("redis is STOPPING", 4), Reply::Done(Answer::Done)];
    FakeManager::replying(replies).run(&["reopen-logs"]).answers("reopen-logs: done\n");
}

#[test]
fn standard_input_is_sent_as_it_is_and_then_its_end() {
    let pieces = vec![replying(vec![Reply::Done(Answer::Done)]), replying(vec![Reply::Done(Answer::Done)])];
    let mut manager = FakeManager::play(pieces);
    let mut child = manager
        .place
        .command(&["send", "companion", "rq", "--eof"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"no newline").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    manager.finish();
    let sent: Vec<_> = manager
        .requests()
        .into_iter()
        .map(|request| match request.verb {
            Verb::Send(send) => (send.data, send.eof),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, [(b"no newline".to_vec(), false), (vec![], true)]);
}
