//! Two masters beside each other, and workers that are withdrawn.

use crate::bench::{Bench, Deed, stop};
use crate::samples;
use arbiter::master::{Event, Master};
use arbiter::pool::Role;
use proto::control::{Answer, ArbiterState, ScaleChange, ScaleTarget, Verb};
use proto::link::Pace;
use proto::spec::{MasterSpec, WorkersSpec};
use supervise::Input;

fn spec() -> MasterSpec {
    samples::master(Some(samples::workers(2)))
}

/// A master that was started beside another and whose workers serve.
fn second() -> Bench {
    let mut spec = spec();
    spec.workers.as_mut().expect("it has workers").requires = vec!["redis".into()];
    let mut bench = Bench::of(Master::beside_predecessor(spec));
    bench.all_ready();
    bench
}

/// A master that has started another.
fn followed() -> Bench {
    let mut bench = Bench::serving();
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), [Deed::StartSuccessor]);
    bench
}

#[test]
fn there_is_one_other_master_at_a_time() {
    let mut bench = followed();
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), []);
    bench.end_successor();
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), [Deed::StartSuccessor]);
}

#[test]
fn none_is_started_during_a_reload_nor_while_stopping() {
    let mut bench = Bench::serving();
    bench.event(Event::Reload);
    bench.take();
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), []);
    bench.event(Event::Stop(Pace::Graceful));
    bench.take();
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), []);
    assert!(bench.log.iter().any(|line| line.ends_with("a reload or restart is under way")));
    assert!(bench.log.iter().any(|line| line.ends_with("arbiter is stopping")));
}

#[test]
fn the_second_one_starts_its_workers_without_companions_or_a_manager() {
    let mut bench = second();
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    assert_eq!(bench.master.state(), ArbiterState::Running);
    assert!(!bench.master.needs_manager() && !bench.master.is_in_charge());
}

#[test]
fn the_second_one_takes_charge_when_the_first_has_gone() {
    let mut bench = second();
    bench.take();
    bench.event(Event::Reload);
    bench.event(Event::Succeed);
    assert_eq!(bench.take(), [], "a reload has to wait, a third master is refused");
    bench.event(Event::TakeCharge);
    assert_eq!(bench.take(), [Deed::Resolve], "what has waited begins");
    assert!(bench.master.needs_manager() && bench.master.is_in_charge());
}

#[test]
fn the_second_one_ends_without_companions_to_wait_for() {
    let mut bench = second();
    bench.take();
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(bench.take(), [Deed::Close, Deed::Ask, Deed::Ask]);
    bench.event(Event::TakeCharge);
    assert!(!bench.master.needs_manager(), "a master that ends has no use for charge");
    bench.all_leave();
    assert_eq!(bench.take(), [Deed::Exit(0)]);
}

#[test]
fn the_first_one_ends_as_ever_while_another_follows() {
    let mut bench = followed();
    bench.event(Event::Stop(Pace::Graceful));
    let expected = [Deed::AbandonSuccessor, Deed::Close, stop(false, Pace::Graceful), Deed::Ask, Deed::Ask];
    assert_eq!(bench.take(), expected, "one that has not been started yet is not wanted any more");
}

#[test]
fn withdrawn_workers_come_back_when_the_other_master_leaves() {
    let mut bench = followed();
    bench.event(Event::Withdraw);
    assert_eq!(bench.take(), [Deed::Ask, Deed::Ask]);
    bench.all_leave();
    assert_eq!(bench.take(), [], "nobody comes in their place");
    bench.end_successor();
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    assert_eq!(bench.master.pool().generation(), 1);
}

#[test]
fn one_more_brings_back_as_many_as_there_were() {
    let mut bench = Bench::serving();
    bench.event(Event::Withdraw);
    bench.all_leave();
    bench.take();
    bench.event(Event::ScaleWorkers(1));
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    bench.event(Event::ScaleWorkers(1));
    assert_eq!(bench.take(), [Deed::Spawn]);
}

#[test]
fn one_fewer_leaves_withdrawn_workers_away_and_fewer_come_back() {
    let mut bench = followed();
    bench.event(Event::ScaleWorkers(1));
    bench.all_ready();
    bench.event(Event::Withdraw);
    bench.all_leave();
    bench.take();
    bench.event(Event::ScaleWorkers(-1));
    assert_eq!(bench.take(), [], "nobody comes back");
    assert_eq!(bench.master.pool().target(), 2);
    let scale = |change| Verb::Scale { target: ScaleTarget::Workers, change };
    bench.request(1, scale(ScaleChange::By(-1)));
    bench.request(2, scale(ScaleChange::To(3)));
    let answers = [Deed::Answer(1, Ok(Answer::Count(1))), Deed::Answer(2, Ok(Answer::Count(3)))];
    assert_eq!(bench.take(), answers, "what is asked for is stored, too");
    for _ in 0..4 {
        bench.event(Event::ScaleWorkers(-1));
    }
    assert_eq!(bench.take(), []);
    bench.end_successor();
    assert_eq!(bench.take(), [Deed::Spawn], "never below one");
}

#[test]
fn a_reload_brings_workers_back_before_anything_is_read() {
    let mut bench = Bench::serving();
    bench.event(Event::Withdraw);
    bench.take();
    bench.event(Event::Reload);
    assert_eq!(bench.take(), [Deed::Resolve, Deed::Spawn, Deed::Spawn]);
}

#[test]
fn a_reload_under_way_fails_when_the_workers_are_withdrawn() {
    let mut bench = Bench::serving();
    bench.reload_until_rolling(7, spec());
    bench.event(Event::Withdraw);
    let deeds = bench.take();
    assert!(deeds.iter().any(|deed| matches!(deed, Deed::Answer(7, Err(_)))), "{deeds:?}");
    assert_eq!(bench.runs(Role::Current), [], "{deeds:?}");
    assert!(!deeds.contains(&Deed::Spawn), "{deeds:?}");
}

#[test]
fn workers_withdrawn_in_the_middle_of_batches_are_not_started_as_they_were_before_they_leave() {
    let mut bench = Bench::serving();
    let workers = WorkersSpec { reload_batch: 1, ..samples::workers(2) };
    bench.reload_until_rolling(7, samples::master(Some(workers)));
    let new = bench.runs(Role::Successor)[0];
    bench.worker(new, Input::Ready);
    bench.exit(new, 1);
    bench.take();
    bench.event(Event::Withdraw);
    let deeds = bench.take();
    assert!(!deeds.contains(&Deed::Spawn), "{deeds:?}");
    assert_eq!(bench.runs(Role::Current), [], "{deeds:?}");
}

#[test]
fn a_stop_ends_what_is_withdrawn() {
    let mut bench = Bench::serving();
    bench.event(Event::Withdraw);
    bench.event(Event::Stop(Pace::Quick));
    bench.event(Event::Withdraw);
    bench.event(Event::ScaleWorkers(1));
    assert!(!bench.take().contains(&Deed::Spawn));
}
