//! The end.

use crate::bench::{Bench, Deed, stop};
use crate::samples;
use arbiter::master::Event;
use proto::control::{ArbiterState, Verb};
use proto::link::{Pace, ToManager};
use std::time::Duration;

/// Everything else that a stop waits for happens.
fn finish(bench: &mut Bench, killed: bool) -> Option<Deed> {
    bench.all_leave();
    bench.stopped(false, killed);
    bench.stopped(true, false);
    bench.event(Event::ManagerGone);
    bench.take().pop()
}

#[test]
fn a_stop_ends_workers_and_others_then_what_they_require_then_the_manager() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Graceful), Deed::Ask, Deed::Ask]);
    assert_eq!(bench.master.state(), ArbiterState::Stopping);
    bench.all_leave();
    assert_eq!(bench.take(), [], "the other companions are waited for");
    bench.stopped(false, false);
    assert_eq!(bench.take(), [stop(true, Pace::Graceful)]);
    assert!(bench.master.needs_manager());
    bench.stopped(true, false);
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Retire)]);
    assert!(!bench.master.needs_manager());
    bench.event(Event::ManagerGone);
    assert_eq!(bench.take(), [Deed::Exit(0)]);
    bench.event(Event::Stop(Pace::Graceful));
    assert!(!bench.take().contains(&Deed::Exit(0)), "it ends once");
    assert_eq!(bench.master.next_deadline(), None);
}

/// A master that serves on for a while after TERM.
fn with_delay() -> Bench {
    let mut spec = samples::master(Some(samples::workers(2)));
    spec.pre_stop_delay = Duration::from_secs(3);
    Bench::serving_with(spec)
}

#[test]
fn a_delay_before_the_stop_is_served_through_and_the_stop_follows() {
    let mut bench = with_delay();
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(bench.take(), []);
    assert_eq!(bench.master.state(), ArbiterState::Stopping);
    bench.event(Event::Reload);
    assert_eq!(bench.take(), [], "a reload is ignored while stopping");
    assert_eq!(bench.wait(), Duration::from_secs(3));
    assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Graceful), Deed::Ask, Deed::Ask]);
    assert_eq!(finish(&mut bench, false), Some(Deed::Exit(0)));
}

#[test]
fn a_second_request_or_a_quick_one_skips_the_delay() {
    for second in [Pace::Graceful, Pace::Quick] {
        let mut bench = with_delay();
        bench.event(Event::Stop(Pace::Graceful));
        bench.event(Event::Stop(second));
        assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Quick), Deed::Ask, Deed::Ask]);
    }
    let mut bench = with_delay();
    bench.event(Event::Stop(Pace::Quick));
    assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Quick), Deed::Ask, Deed::Ask]);
}

#[test]
fn required_companions_outlive_the_workers() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.take();
    bench.stopped(false, false);
    assert_eq!(bench.take(), []);
    bench.all_leave();
    assert_eq!(bench.take(), [stop(true, Pace::Graceful)]);
}

#[test]
fn a_stop_that_had_to_kill_a_worker_says_so() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.stopped(false, false);
    bench.wait();
    assert!(bench.take().contains(&Deed::Kill));
    assert_eq!(finish(&mut bench, false), Some(Deed::Exit(5)));
}

#[test]
fn a_stop_that_had_to_kill_a_companion_says_so() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Quick));
    assert_eq!(finish(&mut bench, true), Some(Deed::Exit(5)));
}

#[test]
fn a_second_request_hurries_and_a_third_kills() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.take();
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(bench.take(), [stop(false, Pace::Quick), Deed::Ask, Deed::Ask]);
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(bench.take(), [stop(false, Pace::Force), Deed::Kill, Deed::Kill]);
    assert_eq!(finish(&mut bench, false), Some(Deed::Exit(5)));
}

#[test]
fn a_kill_that_was_asked_for_is_no_failure() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::Shutdown { force: true });
    // Who waits is answered by the end.
    assert_eq!(bench.take(), [Deed::Close, stop(false, Pace::Force), Deed::Kill, Deed::Kill]);
    assert_eq!(finish(&mut bench, true), Some(Deed::Exit(0)));
}

#[test]
fn new_workers_of_an_abandoned_reload_that_are_killed_count_as_killed() {
    let mut spec = samples::master(Some(samples::workers(1)));
    let mut bench = Bench::serving();
    if let Some(workers) = &mut spec.workers {
        workers.stop.timeout = Duration::ZERO;
    }
    bench.reload_until_rolling(1, spec);
    bench.event(Event::Stop(Pace::Graceful));
    assert_eq!(finish(&mut bench, false), Some(Deed::Exit(5)));
}

#[test]
fn companions_that_do_not_end_in_time_are_killed() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.all_leave();
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(40), "the slowest of both, and ten seconds");
    assert_eq!(bench.take(), [Deed::KillCompanions, Deed::Exit(5)]);
    assert!(!bench.master.needs_manager());
    assert_eq!(bench.master.next_deadline(), None);
}

#[test]
fn required_companions_get_their_own_time_after_the_others() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.wait();
    bench.all_leave();
    bench.stopped(false, false);
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(30));
    assert_eq!(bench.take(), [Deed::KillCompanions, Deed::Exit(5)]);
}

#[test]
fn a_manager_that_does_not_retire_is_not_waited_for_for_ever() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.all_leave();
    bench.stopped(false, false);
    bench.stopped(true, false);
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(10));
    assert_eq!(bench.take(), [Deed::KillCompanions, Deed::Exit(5)]);
}

#[test]
fn a_forced_stop_waits_ten_seconds_for_its_manager() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.request(1, Verb::Shutdown { force: true });
    bench.request(2, Verb::Shutdown { force: true });
    bench.all_leave();
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(10));
    assert_eq!(bench.take().first(), Some(&Deed::KillCompanions));
}

#[test]
fn companions_are_not_killed_under_workers_that_still_have_time() {
    let mut bench = Bench::serving();
    bench.event(Event::Stop(Pace::Graceful));
    bench.stopped(false, false);
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(30), "the workers are killed");
    assert_eq!(bench.wait(), Duration::from_secs(10), "they are stuck, and given up");
    let deeds = bench.take();
    assert!(!deeds.contains(&Deed::KillCompanions), "{deeds:?}");
    assert_eq!(deeds.last(), Some(&stop(true, Pace::Graceful)));
}

#[test]
fn workers_that_were_to_start_do_not_after_a_stop() {
    let mut workers = samples::workers(2);
    workers.requires = vec!["redis".into()];
    let mut bench = Bench::new(samples::master(Some(workers)));
    bench.event(Event::ManagerBegun);
    bench.event(Event::Stop(Pace::Graceful));
    bench.event(Event::Required(None));
    assert!(!bench.take().contains(&Deed::Spawn));
    assert_eq!(finish(&mut bench, false), Some(Deed::Exit(0)));
}
