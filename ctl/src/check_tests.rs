use super::*;
use crate::json::sample;
use proto::control::CompanionProcess;

/// A status in which everything is as configured.
fn good() -> Status {
    let mut status = sample::status();
    let worker = status.workers.processes[0].clone();
    for slot in 2..=4 {
        let mut another = worker.clone();
        another.process.slot = slot;
        status.workers.processes.push(another);
    }
    status
}

fn message(status: &Status, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    match check(status, &names) {
        Ok(()) => String::new(),
        Err(problem) => {
            assert_eq!(problem.code, exit_code::NOT_AS_CONFIGURED);
            problem.message
        }
    }
}

#[test]
fn all_ready_is_as_configured() {
    assert_eq!(message(&good(), &[]), "");
    assert_eq!(message(&good(), &["redis"]), "");
    assert_eq!(message(&good(), &["redis:1"]), "");
}

#[test]
fn an_arbiter_that_is_stopping_is_not() {
    let mut status = good();
    status.arbiter.state = ArbiterState::Stopping;
    assert!(message(&status, &[]).contains("arbiter is stopping"));
    assert!(message(&status, &["redis"]).contains("arbiter is stopping"));
}

#[test]
fn workers_may_be_replaced_while_enough_ready_ones_serve() {
    let mut status = good();
    let mut new = status.workers.processes[0].clone();
    (new.process.state, new.process.ready) = (State::Starting, false);
    status.workers.processes.push(new);
    assert_eq!(message(&status, &[]), "");
    status.workers.processes[0].process.state = State::Stopping;
    assert!(message(&status, &[]).contains("3 of 4 workers are ready"));
    assert_eq!(message(&status, &["redis"]), "", "workers are not what was asked for");
}

#[test]
fn a_running_process_that_is_not_ready_does_not_count() {
    let mut status = good();
    status.companions[0].processes[0].process.ready = false;
    for names in [&[][..], &["redis"], &["redis:1"]] {
        assert_ne!(message(&status, names), "", "{names:?}");
    }
}

#[test]
fn a_companion_that_has_exited_must_have_succeeded() {
    let mut status = good();
    let companion = &mut status.companions[0];
    companion.state = State::Exited;
    companion.processes[0].process.state = State::Exited;
    assert!(message(&status, &[]).contains("redis is EXITED without success"));
    status.companions[0].succeeded = true;
    for names in [&[][..], &["redis"], &["redis:1"]] {
        assert_eq!(message(&status, names), "", "{names:?}");
    }
}

#[test]
fn a_companion_that_does_not_start_by_itself_counts_only_when_named() {
    let mut status = good();
    let companion = &mut status.companions[0];
    companion.state = State::Stopped;
    companion.processes[0].process.state = State::Stopped;
    companion.processes[0].process.ready = false;
    assert!(message(&status, &[]).contains("redis is STOPPED"));
    status.companions[0].autostart = false;
    assert_eq!(message(&status, &[]), "");
    assert!(message(&status, &["redis"]).contains("redis is STOPPED"));
}

#[test]
fn one_that_was_stopped_is_not_as_configured_even_without_slots() {
    let mut status = good();
    let companion = &mut status.companions[0];
    companion.state = State::Stopped;
    companion.target = 0;
    companion.processes.clear();
    assert!(message(&status, &[]).contains("redis is STOPPED"));
    status.companions[0].configured = 0;
    assert_eq!(message(&status, &[]), "", "there should be none");
    assert!(message(&status, &["redis"]).contains("redis is STOPPED"));
}

#[test]
fn extra_processes_do_not_stand_in_for_the_companion() {
    let mut status = good();
    let companion = &mut status.companions[0];
    let mut oneoff = companion.processes[0].process.clone();
    oneoff.slot = 0;
    companion.processes[0].process.ready = false;
    companion.processes.push(CompanionProcess { oneoff: true, process: oneoff });
    assert_ne!(message(&status, &[]), "");
}
