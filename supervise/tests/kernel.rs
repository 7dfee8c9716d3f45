//! The simulated kernel does what a real one would.

use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Place, Program, Sleep};
use supervise::{Exit, ExitStatus, Input, RunId};

const PLACE: Place = Place(1);
const RUN: RunId = RunId(1);

fn kernel(program: Program) -> Kernel {
    let mut kernel = Kernel::new(7, Odds { latency: Duration::ZERO, ..Odds::calm() });
    kernel.spawn_program(RUN, PLACE, program);
    assert!(matches!(kernel.poll_event(), Some((RUN, Input::Spawned { .. } | Input::NotSpawned { .. }))));
    kernel
}

/// Lets `seconds` pass and tells what came of it.
fn pass(kernel: &mut Kernel, seconds: u64) -> Vec<Input> {
    let moment = kernel.now() + Duration::from_secs(seconds);
    kernel.advance_to(moment);
    std::iter::from_fn(|| kernel.poll_event()).map(|(_, input)| input).collect()
}

fn exited(status: ExitStatus, survivors: bool) -> Input {
    Input::Exited { exit: Exit::bare(status), survivors }
}

const KILLED: ExitStatus = ExitStatus::Signal { number: 9, core_dumped: false };

#[test]
fn a_process_is_ready_leaves_when_asked_and_is_reaped() {
    let mut kernel = kernel(Program::obedient());
    assert_eq!(pass(&mut kernel, 1), [Input::Ready]);
    kernel.signal(RUN, 15, false);
    assert_eq!(pass(&mut kernel, 1), [exited(ExitStatus::Code(0), false)]);
    assert_eq!((kernel.at(PLACE), kernel.runs().count(), kernel.next_event()), (None, 0, None));
}

#[test]
fn one_that_ignores_signals_goes_by_sigkill_only() {
    let mut kernel = kernel(Program { leaves_after: None, ready_after: None, ..Program::obedient() });
    kernel.signal(RUN, 15, true);
    assert_eq!(pass(&mut kernel, 60), []);
    kernel.signal(RUN, 9, false);
    assert_eq!(pass(&mut kernel, 1), [exited(KILLED, false)]);
}

#[test]
fn others_of_a_group_outlive_the_main_process_until_the_group_is_signalled() {
    let mut kernel = kernel(Program { others: 2, ready_after: None, ..Program::obedient() });
    kernel.signal(RUN, 15, false);
    assert_eq!(pass(&mut kernel, 60), [exited(ExitStatus::Code(0), true)]);
    let (_, sight) = kernel.at(PLACE).expect("not reaped: others are left");
    assert_eq!((sight.leader_alive, sight.living()), (false, 2));
    kernel.signal(RUN, 15, true);
    assert_eq!(pass(&mut kernel, 1), [Input::Gone]);
    assert_eq!(kernel.at(PLACE), None);
}

#[test]
fn a_death_that_falls_into_an_uninterruptible_sleep_waits_for_its_end() {
    let sleep = Sleep { begins: Duration::ZERO, lasts: Some(Duration::from_secs(100)) };
    let mut kernel = kernel(Program { sleep: Some(sleep), ready_after: None, ..Program::obedient() });
    kernel.kill(RUN);
    assert_eq!(pass(&mut kernel, 99), []);
    assert!(kernel.is_asleep(RUN));
    assert_eq!(pass(&mut kernel, 1), [exited(KILLED, false)]);
}

#[test]
fn one_that_cannot_be_spawned_leaves_nothing() {
    let mut kernel = kernel(Program { spawn_fails: true, ..Program::obedient() });
    assert_eq!((pass(&mut kernel, 60), kernel.runs().count()), (vec![], 0));
}

#[test]
fn one_that_cannot_become_its_program_says_so_and_then_exits() {
    let mut kernel = kernel(Program { exec_fails: true, others: 3, ..Program::obedient() });
    let reason = "no such program".into();
    let expected = [Input::NotExecuted { reason }, exited(ExitStatus::Code(127), false)];
    assert_eq!(pass(&mut kernel, 1), expected);
}

#[test]
fn a_signal_to_a_zombie_is_fine_and_one_to_a_reaped_run_is_not() {
    let mut kernel = kernel(Program { ready_after: None, ..Program::obedient() });
    kernel.kill(RUN);
    kernel.advance_to(kernel.now());
    kernel.signal(RUN, 15, false);
    assert_eq!(kernel.check(), Ok(()));
    assert_eq!(pass(&mut kernel, 1).len(), 1);
    kernel.signal(RUN, 15, false);
    assert!(kernel.check().is_err());
}

#[test]
fn a_place_takes_the_next_run_only_when_the_last_one_is_reaped() {
    let mut kernel = kernel(Program::obedient());
    kernel.spawn(RunId(2), Place(2));
    assert_eq!(kernel.check(), Ok(()), "another place is free");
    kernel.spawn(RunId(3), PLACE);
    assert!(kernel.check().is_err());
}

#[test]
fn the_clock_never_goes_back() {
    let mut kernel = kernel(Program::obedient());
    let start = kernel.now();
    pass(&mut kernel, 5);
    kernel.advance_to(start);
    assert_eq!(kernel.now(), start + Duration::from_secs(5));
}

#[test]
fn a_stopped_process_does_nothing_until_it_is_continued_but_dies_of_sigkill() {
    let late = Program { ready_after: Some(Duration::from_secs(1)), ..Program::obedient() };
    let mut kernel = kernel(late);
    let until = kernel.now() + Duration::from_secs(10);
    kernel.pause(RUN, until);
    kernel.signal(RUN, 15, false);
    assert_eq!(pass(&mut kernel, 5), []);
    assert_eq!(pass(&mut kernel, 10), [exited(ExitStatus::Code(0), false)]);
}

#[test]
fn sigkill_ends_a_stopped_process_at_once() {
    let mut kernel = kernel(Program::obedient());
    pass(&mut kernel, 1);
    let until = kernel.now() + Duration::from_secs(10);
    kernel.pause(RUN, until);
    kernel.exit(RUN, 3);
    kernel.kill(RUN);
    assert_eq!(pass(&mut kernel, 1), [exited(KILLED, false)]);
    assert_eq!(pass(&mut kernel, 60), []);
}
