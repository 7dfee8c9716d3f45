//! From nothing to running.

use crate::bench::{Bench, Deed, stop};
use crate::samples;
use arbiter::master::Event;
use proto::control::{Answer, ArbiterState, ScaleChange, ScaleTarget, Verb};
use proto::link::{Pace, ToManager};
use proto::spec::{MasterSpec, OnBootFailure};

fn requiring() -> MasterSpec {
    let mut workers = samples::workers(2);
    workers.requires = vec!["redis".into()];
    samples::master(Some(workers))
}

#[test]
fn workers_that_require_nothing_start_at_once() {
    let mut bench = Bench::new(samples::master(Some(samples::workers(2))));
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    assert_eq!(bench.master.state(), ArbiterState::Starting);
    bench.all_ready();
    assert_eq!(bench.master.state(), ArbiterState::Running);
}

#[test]
fn workers_wait_for_what_they_require() {
    let mut bench = Bench::new(requiring());
    bench.event(Event::ManagerBegun);
    bench.event(Event::Required(Some("redis to be ready".into())));
    assert_eq!(bench.take(), []);
    bench.event(Event::Required(None));
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    bench.event(Event::Required(Some("redis to be ready".into())));
    bench.event(Event::Required(None));
    assert_eq!(bench.take(), [], "they are started once");
}

#[test]
fn without_workers_it_runs_at_once() {
    let mut bench = Bench::new(samples::master(None));
    assert_eq!(bench.master.state(), ArbiterState::Running);
    bench.request(1, Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::To(3) });
    assert!(matches!(bench.take().as_slice(), [Deed::Answer(1, Err(_))]));
}

#[test]
fn a_number_asked_for_while_they_wait_is_what_starts() {
    let mut bench = Bench::new(requiring());
    bench.event(Event::ScaleWorkers(1));
    bench.event(Event::Required(None));
    assert_eq!(bench.take().len(), 3);
}

#[test]
fn an_absurd_number_is_refused() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::To(u32::MAX) });
    assert!(matches!(bench.take().as_slice(), [Deed::Answer(1, Err(_))]));
    bench.request(2, Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::By(-9) });
    assert_eq!(bench.take(), [Deed::Ask]);
    bench.all_leave();
    assert!(bench.take().contains(&Deed::Answer(2, Ok(Answer::Count(1)))), "there is always one");
}

#[test]
fn who_waits_for_more_workers_is_answered_when_they_are_ready_or_one_has_failed() {
    let scale = |count| Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::To(count) };
    let mut bench = Bench::serving();
    bench.request(1, scale(3));
    assert_eq!(bench.take(), [Deed::Spawn]);
    bench.event(Event::Request { relay: 2, wait: false, verb: scale(3) });
    assert_eq!(bench.take(), [Deed::Answer(2, Ok(Answer::Count(3)))], "nobody waits for this one");
    bench.all_ready();
    assert_eq!(bench.take(), [Deed::Answer(1, Ok(Answer::Count(3)))]);

    bench.request(3, scale(4));
    let fourth = bench.runs(arbiter::pool::Role::Current)[3];
    bench.exit(fourth, 1);
    let deeds = bench.take();
    assert!(
        matches!(&deeds[1..], [Deed::Answer(3, Err(text))] if text.starts_with("worker 4: exited with status 1")),
        "{deeds:?}"
    );
    assert_eq!(bench.master.pool().target(), 4, "it is tried again");

    bench.request(4, scale(5));
    bench.event(Event::Stop(Pace::Graceful));
    let is_refused = |deed: &Deed| matches!(deed, Deed::Answer(4, Err(text)) if text.contains("stopping"));
    assert!(bench.take().iter().any(is_refused));
}

#[test]
fn a_failed_boot_stops_everything_with_the_workers_code() {
    let mut bench = Bench::new(samples::master(Some(samples::workers(2))));
    bench.event(Event::ManagerBegun);
    bench.take();
    let first = bench.runs(arbiter::pool::Role::Current)[0];
    bench.exit(first, 3);
    assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Graceful), Deed::Ask]);
    bench.all_leave();
    bench.stopped(false, true);
    bench.stopped(true, false);
    bench.event(Event::ManagerGone);
    assert_eq!(bench.take().last(), Some(&Deed::Exit(3)), "though something was killed");
}

#[test]
fn a_failed_boot_is_tried_again_where_that_is_asked_for() {
    let mut spec = samples::master(Some(samples::workers(1)));
    spec.on_boot_failure = OnBootFailure::Retry;
    let mut bench = Bench::new(spec);
    bench.take();
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 3);
    assert_eq!(bench.take(), []);
    bench.wait();
    assert_eq!(bench.take(), [Deed::Spawn]);
}

#[test]
fn a_failed_boot_during_a_reload_waits_for_what_that_brings() {
    let mut bench = Bench::new(samples::master(Some(samples::workers(1))));
    bench.event(Event::Reload);
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 3);
    assert_eq!(bench.master.state(), ArbiterState::Starting);
    bench.resolved(Err("arbiter.toml:1:1: a mistake"));
    bench.wait();
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 3);
    assert_eq!(bench.master.state(), ArbiterState::Stopping);
}

#[test]
fn a_reload_while_workers_wait_starts_only_the_new_ones_and_not_before_their_time() {
    let mut bench = Bench::new(requiring());
    bench.event(Event::ManagerBegun);
    bench.event(Event::Required(Some("redis to be ready".into())));
    bench.reload_until_rolling(1, requiring());
    assert_eq!(bench.runs(arbiter::pool::Role::Current), []);
    assert_eq!(bench.master.pool().generation(), 2);
    bench.committed();
    assert!(matches!(bench.take().as_slice(), [Deed::Answer(1, Ok(_))]));
    bench.event(Event::Required(None));
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
}

#[test]
fn a_failed_boot_after_a_reload_that_came_before_the_workers_has_its_code_too() {
    let mut bench = Bench::new(requiring());
    bench.event(Event::ManagerBegun);
    bench.event(Event::Required(Some("redis to be ready".into())));
    bench.reload_until_rolling(1, requiring());
    bench.committed();
    bench.event(Event::Required(None));
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 4);
    assert_eq!(bench.master.state(), ArbiterState::Stopping);
    bench.all_leave();
    bench.stopped(false, false);
    bench.stopped(true, false);
    bench.event(Event::ManagerGone);
    assert_eq!(bench.take().last(), Some(&Deed::Exit(4)));
}

#[test]
fn a_reload_into_code_that_cannot_boot_fails_before_any_worker_was_ready_and_only_the_next_attempt_halts() {
    let mut bench = Bench::new(samples::master(Some(samples::workers(2))));
    bench.event(Event::ManagerBegun);
    bench.reload_until_rolling(1, samples::master(Some(samples::workers(2))));
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 3);
    assert_eq!(bench.master.state(), ArbiterState::Starting);
    bench.exit(bench.runs(arbiter::pool::Role::Successor)[0], 3);
    let told = bench.take();
    assert!(told.iter().any(|deed| matches!(deed, Deed::Answer(1, Err(_)))), "{told:?}");
    assert_eq!(bench.master.state(), ArbiterState::Starting);
    bench.exit(bench.runs(arbiter::pool::Role::Current)[0], 3);
    assert_eq!(bench.master.state(), ArbiterState::Stopping);
}

#[test]
fn a_reload_can_free_workers_from_what_they_wait_for() {
    let mut bench = Bench::new(requiring());
    bench.event(Event::ManagerBegun);
    bench.event(Event::Reload);
    bench.resolved(Ok(samples::master(Some(samples::workers(1)))));
    bench.bound(Ok(()));
    bench.take();
    bench.event(Event::Prepared(Ok(false)));
    let expected = [Deed::Keep, Deed::Adopt, Deed::Tell(ToManager::Commit { only: None }), Deed::Spawn];
    assert_eq!(bench.take(), expected);
}
