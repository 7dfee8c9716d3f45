//! What a person reads.

use crate::bench::{Bench, exited, moment, policy, seconds};
use supervise::unit::ordinal;
use supervise::{Exit, ExitStatus, Input, Policy, Restart, State};

#[test]
fn backoff_tells_how_it_ended_how_often_and_when_it_is_tried_again() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(0.2).exit(1);
    assert_eq!(bench.reason(), "exited with status 1 after 0.2 s, retrying in 1 s");
    bench.at(1.2).deadline();
    bench.at(1.4).exit(1);
    bench.at(3.4).deadline();
    bench.at(3.6).exit(1);
    assert_eq!(bench.reason(), "exited with status 1 after 0.2 s, third time, retrying in 4 s");
    bench.at(5.1);
    assert_eq!(bench.reason(), "exited with status 1 after 0.2 s, third time, retrying in 2.5 s");
    assert_eq!(bench.unit.retry_in(moment(5.1)), Some(seconds(2.5)));
}

#[test]
fn only_backoff_has_a_time_to_retry() {
    let bench = Bench::running();
    assert_eq!(bench.unit.retry_in(moment(0.0)), None);
    assert_eq!(bench.unit.reason(moment(0.0)), None);
}

#[test]
fn a_signal_is_told_by_its_name() {
    let mut bench = Bench::new();
    bench.start();
    let status = ExitStatus::Signal { number: 11, core_dumped: true };
    bench.at(90.0).handle(Input::Exited { exit: Exit::bare(status), survivors: false });
    assert_eq!(bench.reason(), "was killed by SIGSEGV (core dumped) after 90 s, retrying in 1 s");
}

#[test]
fn what_could_not_be_started_says_why() {
    let mut bench = Bench::new();
    bench.start();
    bench.handle(Input::NotSpawned { reason: "cannot create a process: too many".into() });
    assert_eq!(bench.reason(), "cannot create a process: too many, retrying in 1 s");
    bench.at(1.0).deadline();
    bench.handle(Input::NotExecuted { reason: "redis-server: no such file".into() });
    assert_eq!(bench.reason(), "redis-server: no such file");
    bench.exit(127);
    assert_eq!(bench.reason(), "redis-server: no such file, second time, retrying in 2 s");
}

#[test]
fn one_that_was_not_ready_in_time_tells_the_time_it_had() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(60.0).deadline();
    assert_eq!(bench.reason(), "was not ready in time, SIGKILL in 1 s");
    bench.at(60.9).exit(1);
    assert_eq!(bench.reason(), "was not ready within 60 s, retrying in 1 s");
}

#[test]
fn one_that_does_not_answer_says_so() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(30.0).fail();
    assert_eq!(bench.reason(), "does not answer, SIGKILL in 1 s");
    bench.at(30.5).exit(1);
    assert_eq!(bench.reason(), "did not answer any more after 30 s, retrying in 1 s");
}

#[test]
fn stopping_tells_how_far_it_has_come() {
    let mut bench = Bench::running();
    bench.stop();
    assert_eq!(bench.reason(), "asked to stop, SIGKILL in 60 s");
    bench.at(60.0).deadline();
    assert_eq!(bench.reason(), "killed, not gone yet");
    bench.at(70.0).deadline();
    assert_eq!(bench.reason(), "pid 10 is still there after SIGKILL: it sleeps in the kernel");
}

#[test]
fn exited_tells_the_end() {
    let mut bench = Bench::with(Policy { restart: Restart::Never, ..policy() });
    bench.start();
    bench.at(7200.0).exit(0);
    assert_eq!(bench.reason(), "exited with status 0 after 2 h");
    bench.stop();
    assert_eq!(bench.unit.reason(moment(7200.0)), None, "stopped is plain");
}

#[test]
fn one_that_left_others_behind_tells_its_own_end() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(3.0).handle(exited(4, true));
    assert_eq!(bench.reason(), "killed, not gone yet");
    bench.at(9.0).handle(Input::Gone);
    assert_eq!(bench.reason(), "exited with status 4 after 3 s, retrying in 1 s");
}

#[test]
fn one_that_has_gone_without_a_witness_is_not_taken_for_one_that_never_was() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(3.0).handle(Input::Gone);
    assert_eq!(bench.reason(), "ended after 3 s, nobody saw how, retrying in 1 s");
}

#[test]
fn numbers_are_spoken_as_a_person_would() {
    let spoken: Vec<String> = [1, 3, 9, 10, 11, 12, 13, 21, 22, 23, 101, 111, 112].map(ordinal).into();
    let expected = [
        "first", "third", "ninth", "10th", "11th", "12th", "13th", "21st", "22nd", "23rd", "101st", "111th",
        "112th",
    ];
    assert_eq!(spoken, expected);
}

#[test]
fn a_set_is_shown_in_the_state_of_its_worst_process() {
    let worst_first = [
        State::Fatal,
        State::Backoff,
        State::Stopping,
        State::Starting,
        State::Exited,
        State::Stopped,
        State::Running,
    ];
    for (index, state) in worst_first.into_iter().enumerate() {
        assert_eq!(State::worst(worst_first[index..].iter().rev().copied()), state);
    }
    assert_eq!(State::worst([]), State::Stopped);
    assert_eq!(State::Backoff.to_string(), "BACKOFF");
}

#[test]
fn what_else_is_known_is_told_while_it_starts_and_with_its_end() {
    let mut bench = Bench::new();
    bench.start();
    let text = "waiting for 127.0.0.1:80: connection refused".to_owned();
    bench.handle(Input::Awaits { what: text });
    assert_eq!(bench.reason(), "waiting for 127.0.0.1:80: connection refused");
    bench.at(60.0).deadline();
    bench.at(60.1).exit(1);
    let unready = "was not ready within 60 s (waiting for 127.0.0.1:80: connection refused)";
    assert_eq!(bench.reason(), format!("{unready}, retrying in 1 s"));
}

#[test]
fn what_was_waited_for_is_over_when_the_process_is_ready_and_never_grows_a_record() {
    let mut bench = Bench::new();
    bench.start();
    bench.handle(Input::Awaits { what: "x".repeat(100_000) });
    assert_eq!(bench.reason().len(), supervise::unit::REMARK_MAX);
    bench.handle(Input::Ready);
    bench.handle(Input::Remark { text: "out of memory".into() });
    let status = ExitStatus::Signal { number: 9, core_dumped: false };
    bench.at(0.5).handle(Input::Exited { exit: Exit::bare(status), survivors: false });
    assert_eq!(bench.reason(), "was killed by SIGKILL (out of memory) after 0.5 s, retrying in 1 s");
}
