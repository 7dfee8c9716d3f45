use crate::fake_manager::{FakeManager, replying};
use proto::codec;
use proto::control::{
    Answer, ArbiterState, ArbiterStatus, Chunk, CompanionStatus, Event, EventKind, ManagerStatus, Pid, Reply,
    Response, Status, Verb, WorkersStatus,
};
use proto::supervise::State;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

fn status(companions: usize) -> Status {
    let companion = |number| CompanionStatus {
        name: format!("companion-{number}"),
        session: "default".into(),
        state: State::Stopped,
        target: 1,
        configured: 1,
        autostart: true,
        succeeded: false,
        description: "stopped by hand".into(),
        processes: vec![],
    };
    Status {
        arbiter: ArbiterStatus {
            pid: 10,
            name: "web".into(),
            version: "0.1.0".into(),
            state: ArbiterState::Running,
            generation: 1,
            uptime: Duration::from_secs(12),
            config: None,
        },
        manager: ManagerStatus { pid: Some(11), restarts: 0 },
        listeners: vec![],
        workers: WorkersStatus::default(),
        companions: (0..companions).map(companion).collect(),
        strays: vec![],
    }
}

fn status_answer(companions: usize) -> Answer {
    Answer::Status(Box::new(status(companions)))
}

#[test]
fn a_status_is_asked_for_and_shown() {
    let mut manager = FakeManager::answering(status_answer(1));
    let expected = "\
arbiter      RUNNING   pid 10, uptime 0:00:12, web 0.1.0, generation 1
manager      RUNNING   pid 11
companion-0  STOPPED   stopped by hand
";
    manager.run(&["status"]).answers(expected);
    let requests = manager.requests();
    assert_eq!(requests[0].verb, Verb::Status(vec![]));
    assert_eq!(requests[0].token, [0; 16], "a question has no token");
}

#[test]
fn a_check_says_what_is_wrong_and_nothing_else() {
    FakeManager::answering(status_answer(1))
        .run(&["status", "--check"])
        .fails(3, &["companion-0 is STOPPED"]);
    let outcome = FakeManager::answering(status_answer(0)).run(&["status", "--check", "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.starts_with(r#"{"schema":1,"arbiter":{"pid":10,"#), "{outcome:?}");
}

#[test]
fn colours_are_shown_when_asked_for_and_not_into_a_pipe() {
    let outcome = FakeManager::answering(status_answer(0)).run(&["status", "--color", "always"]);
    assert!(outcome.stdout.contains("\x1b[32mRUNNING"), "{outcome:?}");
    let outcome = FakeManager::answering(status_answer(0)).run(&["status"]);
    assert!(!outcome.stdout.contains('\x1b'), "{outcome:?}");
}

#[test]
fn a_long_answer_comes_in_parts() {
    let response = Response { id: 1, reply: Reply::Done(status_answer(2000)) };
    let bytes = codec::encode(&response);
    let pieces: Vec<_> = bytes.chunks(50_000).collect();
    assert!(pieces.len() > 2);
    let parts = pieces.iter().enumerate().map(|(number, piece)| Reply::Part {
        number: u32::try_from(number).unwrap(),
        last: number + 1 == pieces.len(),
        bytes: piece.to_vec(),
    });
    let outcome = FakeManager::replying(parts.collect()).run(&["status"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 2002);
}

#[test]
fn parts_out_of_order_are_no_answer() {
    let part = Reply::Part { number: 1, last: true, bytes: vec![] };
    FakeManager::replying(vec![part]).run(&["status"]).fails(1, &["part 1 of an answer where 0 was due"]);
}

#[test]
fn small_questions_have_small_answers() {
    FakeManager::answering(Answer::Done).run(&["ping"]).answers("pong\n");
    FakeManager::answering(Answer::Done).run(&["--json", "ping"]).answers("{\"schema\":1,\"ok\":true}\n");
    let pids = vec![
        Pid { name: "rq".into(), slot: Some(1), pid: 40 },
        Pid { name: "rq".into(), slot: Some(2), pid: 41 },
    ];
    FakeManager::answering(Answer::Pids(pids)).run(&["pid", "rq"]).answers("40\n41\n");
    let version = Answer::Version { manager: "0.1.1".into(), arbiter: "0.1.2".into() };
    let own = env!("CARGO_PKG_VERSION");
    FakeManager::answering(version)
        .run(&["version"])
        .answers(&format!("arbiter 0.1.2\ncompanion-manager 0.1.1\narbiterctl {own}\n"));
}

#[test]
fn a_stream_is_passed_on_as_it_comes() {
    let replies = vec![
        Reply::Chunk(Chunk::Bytes(b"one\nt".to_vec())),
        Reply::Chunk(Chunk::Bytes(b"wo\n".to_vec())),
        Reply::Done(Answer::Done),
    ];
    let outcome = FakeManager::replying(replies).run(&["logs", "companion", "rq"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "one\ntwo\n"), "{outcome:?}");

    let time = Duration::from_secs(1_767_225_600);
    let event = Event { seq: 1, time, subject: "companion.rq".into(), kind: EventKind::Start };
    let replies = vec![Reply::Chunk(Chunk::Event(event)), Reply::Done(Answer::Done)];
    let outcome = FakeManager::replying(replies).run(&["events"]);
    assert_eq!(outcome.stdout, "1 2026-01-01T00:00:00.000Z companion.rq start\n");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let mut manager = FakeManager::answering(status_answer(2000));
    let mut child =
        manager.place.command(&["status"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    manager.finish();
}

#[test]
fn a_watched_status_is_shown_until_the_manager_has_gone() {
    let answer = || replying(vec![Reply::Done(status_answer(0))]);
    let outcome = FakeManager::play(vec![answer(), answer()]).run(&["status", "--watch", "--json"]);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (Some(5), 2), "{outcome:?}");
    outcome.complains(&["nothing listens"]);
}
