//! A manager that dies is followed by one that is told again what is still to be done.

use crate::bench::{Bench, Deed, stop};
use crate::samples;
use arbiter::master::Event;
use proto::control::{ReloadScope, Verb};
use proto::link::{Pace, ToManager};

fn replace(bench: &mut Bench) -> Vec<Deed> {
    bench.event(Event::ManagerGone);
    assert_eq!(bench.take(), [], "nobody is there to be told");
    assert!(bench.master.needs_manager());
    bench.event(Event::ManagerBegun);
    bench.take()
}

#[test]
fn with_nothing_to_do_it_is_told_nothing() {
    let mut bench = Bench::serving();
    assert_eq!(replace(&mut bench), []);
}

#[test]
fn in_a_reload_it_is_told_from_where_it_has_come() {
    let prepare = || Deed::Tell(ToManager::Prepare);
    let mut bench = Bench::serving();
    bench.request(1, Verb::Reload(ReloadScope::All));
    bench.take();
    assert_eq!(replace(&mut bench), [], "resolving");
    bench.resolved(Ok(samples::master(Some(samples::workers(2)))));
    bench.take();
    assert_eq!(replace(&mut bench), [], "binding");
    bench.bound(Ok(()));
    bench.take();
    assert_eq!(replace(&mut bench), [prepare()], "preparing");
    bench.event(Event::Prepared(Ok(false)));
    bench.take();
    assert_eq!(replace(&mut bench), [prepare()], "rolling");
    bench.event(Event::Prepared(Ok(false)));
    assert_eq!(bench.take(), [], "the workers are not started twice");
    bench.all_ready();
    bench.take();
    assert_eq!(replace(&mut bench), [prepare(), Deed::Tell(ToManager::Commit { only: None })], "committing");
    bench.committed();
    assert!(matches!(bench.take().as_slice(), [Deed::Answer(1, Ok(_))]));
    assert_eq!(replace(&mut bench), []);
}

#[test]
fn a_commit_that_falls_between_two_is_told_to_the_second() {
    let mut bench = Bench::serving();
    bench.reload_until_rolling(1, samples::master(Some(samples::workers(2))));
    bench.event(Event::ManagerGone);
    bench.all_ready();
    assert!(!bench.take().iter().any(|deed| matches!(deed, Deed::Tell(_))));
    bench.event(Event::ManagerBegun);
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Prepare), Deed::Tell(ToManager::Commit { only: None })]);
}

#[test]
fn a_comparison_is_asked_for_again() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::Reload(ReloadScope::DryRun));
    bench.resolved(Ok(samples::master(None)));
    bench.take();
    assert_eq!(replace(&mut bench), [Deed::Tell(ToManager::Compare)]);
}

#[test]
fn in_a_stop_it_is_told_what_is_to_leave() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.take();
    assert_eq!(replace(&mut bench), [stop(false, Pace::Graceful)]);
    bench.stopped(false, false);
    bench.take();
    let again = replace(&mut bench);
    assert_eq!(again, [stop(false, Pace::Graceful)], "it must not start again what has stopped");
    bench.stopped(false, false);
    bench.all_leave();
    bench.take();
    assert_eq!(replace(&mut bench), [stop(true, Pace::Graceful)]);
    bench.stopped(true, false);
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Retire)]);
    bench.event(Event::ManagerGone);
    assert_eq!(bench.take(), [Deed::Exit(0)]);
    assert!(!bench.master.needs_manager());
}

#[test]
fn what_it_said_before_it_died_counts() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.stopped(false, false);
    bench.all_leave();
    bench.event(Event::ManagerGone);
    bench.take();
    bench.stopped(true, false);
    assert_eq!(bench.take(), [Deed::Exit(0)]);
}

#[test]
fn one_that_is_to_be_replaced_is_told_to_leave_and_the_next_one_gets_the_answer() {
    let mut bench = Bench::serving();
    bench.request(7, Verb::RestartManager);
    bench.request(8, Verb::RestartManager);
    let retire = || Deed::Tell(ToManager::Retire);
    assert_eq!(bench.take(), [retire(), retire()]);
    assert!(matches!(replace(&mut bench).as_slice(), [Deed::Answer(7, Ok(_)), Deed::Answer(8, Ok(_))]));
    assert_eq!(replace(&mut bench), [], "once");
    bench.event(Event::Stop(Pace::Graceful));
    bench.take();
    bench.request(9, Verb::RestartManager);
    assert!(matches!(bench.take().as_slice(), [Deed::Answer(9, Err(_))]));
}

#[test]
fn who_waits_for_another_one_is_answered_when_arbiter_stops_before_it_has_come() {
    let mut bench = Bench::serving();
    bench.request(7, Verb::RestartManager);
    bench.event(Event::ManagerGone);
    bench.take();
    bench.event(Event::Stop(Pace::Graceful));
    let told = bench.take();
    assert!(matches!(
        told.iter().find(|deed| matches!(deed, Deed::Answer(7, _))),
        Some(Deed::Answer(7, Err(_)))
    ));
}
