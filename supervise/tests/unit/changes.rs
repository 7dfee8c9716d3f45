//! What is told of a unit's life.

use crate::bench::{Bench, exited, policy, seconds};
use supervise::unit::Change;
use supervise::{Exit, ExitStatus, Flapping, Input, Policy};

/// What has changed by `act`.
fn told(bench: &mut Bench, act: impl FnOnce(&mut Bench)) -> Vec<Change> {
    bench.actions.clear();
    let before = bench.unit.before();
    act(bench);
    before.changes(&bench.unit, &bench.actions)
}

fn ended(pid: Option<i32>, status: Option<ExitStatus>, requested: bool) -> Change {
    Change::Ended { pid, status, requested }
}

#[test]
fn a_life_is_told_step_by_step() {
    let mut bench = Bench::new();
    assert_eq!(told(&mut bench, Bench::start), [Change::Wanted]);
    let spawned = told(&mut bench, |bench| bench.handle(Input::Spawned { pid: 10 }));
    assert_eq!(spawned, [Change::Spawned { pid: 10 }]);
    assert_eq!(told(&mut bench, |bench| bench.handle(Input::Ready)), [Change::Ready { pid: 10 }]);
    assert_eq!(told(&mut bench, |bench| bench.handle(Input::Ready)), []);
    assert_eq!(told(&mut bench, Bench::stop), [Change::Unwanted]);
    let status = Some(ExitStatus::Code(0));
    assert_eq!(told(&mut bench, |bench| bench.exit(0)), [ended(Some(10), status, true)]);
}

#[test]
fn an_end_is_told_when_nothing_is_left_and_before_the_next_process() {
    let mut bench = Bench::running();
    bench.at(5.0);
    assert_eq!(told(&mut bench, |bench| bench.handle(exited(3, true))), []);
    let end = told(&mut bench, |bench| bench.handle(Input::Gone));
    assert_eq!(end, [ended(Some(10), Some(ExitStatus::Code(3)), false)]);
    let next = told(&mut bench, |bench| bench.handle(Input::Spawned { pid: 11 }));
    assert_eq!(next, [Change::Spawned { pid: 11 }]);
}

#[test]
fn a_restart_is_an_end_that_was_asked_for() {
    let mut bench = Bench::running();
    assert_eq!(told(&mut bench, Bench::restart), []);
    let status = ExitStatus::Signal { number: 15, core_dumped: false };
    let input = Input::Exited { exit: Exit::bare(status), survivors: false };
    assert_eq!(told(&mut bench, |bench| bench.handle(input)), [ended(Some(10), Some(status), true)]);
}

#[test]
fn what_never_had_a_process_ends_without_one() {
    let mut bench = Bench::new();
    bench.start();
    let failed = told(&mut bench, |bench| bench.handle(Input::NotSpawned { reason: "no memory".into() }));
    assert_eq!(failed, [ended(None, None, false)]);
}

#[test]
fn one_that_is_ready_before_its_number_is_known_is_told_as_started_first() {
    let mut bench = Bench::new();
    bench.start();
    assert_eq!(told(&mut bench, |bench| bench.handle(Input::Ready)), []);
    let spawned = told(&mut bench, |bench| bench.handle(Input::Spawned { pid: 10 }));
    assert_eq!(spawned, [Change::Spawned { pid: 10 }, Change::Ready { pid: 10 }]);
}

#[test]
fn a_flap_is_told_after_the_end_that_completes_it_and_the_last_one_as_given_up() {
    let flapping = Flapping { attempts: 2, window: seconds(10.0), retry_in: seconds(30.0), max_retry: 1 };
    let mut bench = Bench::with(Policy { flapping: Some(flapping), ..policy() });
    bench.start();
    let mut crash = || {
        let told = told(&mut bench, |bench| bench.exit(1));
        if let Some(due) = bench.due() {
            bench.at(due).deadline();
        }
        told.into_iter().skip(1).collect::<Vec<_>>()
    };
    assert_eq!(crash(), []);
    assert_eq!(crash(), [Change::Flaps { count: 1, retry_in: seconds(30.0) }]);
    assert_eq!(crash(), []);
    assert!(matches!(crash()[..], [Change::GivenUp { .. }]));
}
