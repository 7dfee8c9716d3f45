//! Connections that are lost, and answers that do not come.

use crate::fake_manager::{FakeManager, Script, dying, replying};
use proto::control::{Answer, Chunk, Failure, FailureKind, Pid, Reply, Verb};

fn outcome(reply: Reply) -> Script {
    replying(vec![reply])
}

#[test]
fn a_question_that_was_cut_off_is_asked_again() {
    let mut manager = FakeManager::play(vec![dying(), replying(vec![Reply::Done(Answer::Done)])]);
    manager.run(&["ping"]).answers("pong\n");
    let verbs: Vec<_> = manager.requests().into_iter().map(|request| request.verb).collect();
    assert_eq!(verbs, [Verb::Ping, Verb::Ping]);
}

#[test]
fn a_change_that_was_cut_off_is_not_repeated_but_its_outcome_asked_for() {
    let mut manager = FakeManager::play(vec![dying(), outcome(Reply::Done(Answer::Count(5)))]);
    manager.run(&["scale", "workers", "+1"]).answers("5\n");
    let requests = manager.requests();
    assert_eq!(requests[1].verb, Verb::Outcome(requests[0].token));
}

#[test]
fn an_outcome_may_be_a_failure_and_the_manager_may_die_again() {
    let failure = Failure::new(FailureKind::Refused, "a reload is under way; try again");
    let mut manager = FakeManager::play(vec![dying(), dying(), outcome(Reply::Failed(failure))]);
    manager.run(&["upgrade"]).fails(1, &["a reload is under way"]);
    assert_eq!(manager.requests().len(), 3);
}

#[test]
fn an_outcome_that_nobody_knows_is_unknown() {
    let unknown = replying(vec![Reply::Failed(Failure::new(FailureKind::Unknown, "no such token"))]);
    let mut manager = FakeManager::play(vec![dying(), unknown]);
    manager.run(&["reload"]).fails(8, &["`reload`", "unknown", "arbiterctl status"]);
}

#[test]
fn a_manager_that_dies_of_a_request_is_not_asked_for_ever() {
    let mut manager = FakeManager::play((0..5).map(|_| dying()).collect());
    manager.run(&["upgrade"]).fails(8, &["`upgrade`"]);
}

#[test]
fn a_request_that_could_not_be_sent_is_sent_again_as_it_was() {
    let deaf: Script = Box::new(|conversation, _| conversation.hello_without_listening());
    let mut manager = FakeManager::play(vec![deaf, replying(vec![Reply::Done(Answer::Count(2))])]);
    manager.run(&["scale", "workers", "2"]).answers("2\n");
    let requests = manager.requests();
    assert!(matches!(requests[0].verb, Verb::Scale { .. }), "{requests:?}");
}

/// Answers who is there, then reads one request and dies, or says that it knows nothing of that.
fn of_arbiter(pid: i32, answers: bool) -> Script {
    Box::new(move |conversation, _| {
        conversation.hello();
        let unknown = || Reply::Failed(Failure::new(FailureKind::Unknown, "no such token"));
        while let Some(request) = conversation.request() {
            let there = Pid { name: "arbiter".into(), slot: None, pid };
            match request.verb {
                Verb::Pids(_) => conversation.reply(&request, Reply::Done(Answer::Pids(vec![there]))),
                _ if answers => conversation.reply(&request, unknown()),
                _ => return,
            }
        }
    })
}

#[test]
fn a_shutdown_is_done_when_nobody_listens_any_more() {
    let mut manager = FakeManager::play(vec![of_arbiter(7, false)]);
    manager.run(&["shutdown"]).answers("shutdown: done\n");
}

#[test]
fn a_shutdown_is_done_when_another_arbiter_answers_and_unknown_when_it_is_the_same() {
    let mut manager = FakeManager::play(vec![of_arbiter(7, false), of_arbiter(8, true)]);
    manager.run(&["shutdown"]).answers("shutdown: done\n");
    let mut manager = FakeManager::play(vec![of_arbiter(7, false), of_arbiter(7, true)]);
    manager.run(&["shutdown"]).fails(8, &["`shutdown`", "unknown"]);
}

#[test]
fn a_stream_that_was_cut_off_is_not_begun_again() {
    let script: Script = Box::new(|conversation, _| {
        conversation.hello();
        let request = conversation.request().unwrap();
        conversation.reply(&request, Reply::Chunk(Chunk::Bytes(b"one\n".to_vec())));
    });
    let outcome = FakeManager::play(vec![script]).run(&["logs", "companion", "rq", "-f"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "one\n"), "{outcome:?}");
    outcome.complains(&["lost"]);
}

#[test]
fn a_log_that_is_followed_is_taken_up_where_the_connection_was_lost() {
    let script = |text: &'static [u8], next: u8, ends: bool| -> Script {
        Box::new(move |conversation, note| {
            conversation.hello();
            let request = conversation.request().unwrap();
            note(&request);
            let chunk = Chunk::Log { bytes: text.to_vec(), next: vec![next] };
            conversation.reply(&request, Reply::Chunk(chunk));
            if ends {
                conversation.reply(&request, Reply::Done(Answer::Done));
            }
        })
    };
    let mut manager = FakeManager::play(vec![script(b"one\n", 7, false), script(b"two\n", 8, true)]);
    manager.run(&["logs", "companion", "rq", "-f"]).answers("one\ntwo\n");
    let after = |request: &proto::control::Request| match &request.verb {
        Verb::Logs(request) => request.after.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(manager.requests().iter().map(after).collect::<Vec<_>>(), [None, Some(vec![7])]);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_late_and_the_work_goes_on() {
    let silent = || FakeManager::replying(vec![]);
    silent().run(&["stop", "companion", "rq", "--timeout", "0.2"]).fails(7, &["`stop`", "the work goes on"]);
    silent().run(&["status", "--timeout", "0.2"]).fails(7, &["`status`", "--timeout"]);
}

#[test]
fn a_socket_where_nobody_says_hello_is_not_waited_for_beyond_the_time_given() {
    let script: Script = Box::new(|conversation, _| conversation.until_silent());
    FakeManager::play(vec![script]).run(&["ping", "--timeout", "0.2"]).fails(7, &["not asked"]);
}
