//! The end of all workers.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::Role;
use proto::link::Pace;
use std::time::Duration;

#[test]
fn a_graceful_stop_asks_everybody_and_waits() {
    let mut bench = Bench::serving(2);
    bench.stop(Pace::Graceful);
    assert_eq!(bench.take().asked, [((1, 1), 15), ((2, 1), 15)]);
    assert!(!bench.pool.is_settled());
    bench.exit(1, 1, 0);
    bench.exit(2, 1, 1);
    assert_eq!(bench.take().spawned, []);
    assert!(bench.pool.is_settled());
    assert!(!bench.pool.had_to_kill());
}

#[test]
fn one_that_outstays_its_time_is_killed_and_that_is_remembered() {
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Graceful);
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(30));
    assert_eq!(bench.take().killed, [(1, 1)]);
    assert!(bench.pool.had_to_kill());
    assert!(!bench.pool.is_settled(), "a kill is waited for");
    assert_eq!(bench.wait(), Duration::from_secs(10));
    assert!(bench.pool.is_settled(), "for ten seconds");
}

#[test]
fn a_quick_stop_has_its_own_signal_and_five_seconds() {
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Quick);
    assert_eq!(bench.take().asked, [((1, 1), 3)]);
    assert_eq!(bench.wait(), Duration::from_secs(5));
    assert_eq!(bench.take().killed, [(1, 1)]);
}

#[test]
fn a_stop_is_hurried_and_then_forced() {
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Graceful);
    bench.take();
    bench.stop(Pace::Quick);
    assert_eq!(bench.take().asked, [((1, 1), 3)]);
    bench.stop(Pace::Force);
    assert_eq!(bench.take().killed, [(1, 1)]);
}

#[test]
fn a_quick_stop_gives_no_more_time_than_was_left() {
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Graceful);
    bench.pass(28.0);
    bench.stop(Pace::Quick);
    assert_eq!(bench.wait(), Duration::from_secs(2));
}

#[test]
fn without_a_graceful_timeout_a_stop_kills_at_once() {
    let mut spec = samples::workers(1);
    spec.stop.timeout = Duration::ZERO;
    let mut bench = Bench::with(spec, false);
    bench.start();
    bench.stop(Pace::Graceful);
    let wanted = bench.take();
    assert_eq!((wanted.asked, wanted.killed), (vec![], vec![(1, 1)]));
}

#[test]
fn a_stop_takes_new_and_old_workers_of_a_rollout() {
    let mut bench = Bench::serving(1);
    bench.roll_out(Some(samples::workers(1)));
    bench.take();
    bench.stop(Pace::Graceful);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 1), 15), ((1, 2), 15)]);
    assert_eq!(wanted.reports, []);
    bench.exit(1, 2, 0);
    bench.exit(1, 1, 0);
    assert!(bench.pool.is_settled());
    assert!(!bench.pool.is_rolling_out());
}

#[test]
fn one_that_waits_to_be_tried_again_just_goes() {
    let mut bench = Bench::starting(1);
    bench.exit(1, 1, 1);
    bench.stop(Pace::Graceful);
    assert!(bench.pool.is_settled());
    assert_eq!(bench.seats(Role::Leaving), []);
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn an_old_worker_that_still_drains_keeps_the_time_of_its_own_settings() {
    let mut bench = Bench::serving(1);
    let mut spec = samples::workers(1);
    spec.stop.timeout = Duration::from_secs(300);
    bench.roll_out(Some(spec));
    bench.ready(1, 2);
    assert_eq!(bench.pool.longest_drain(), Duration::from_secs(300));
    bench.stop(Pace::Graceful);
    assert_eq!(bench.wait(), Duration::from_secs(30), "the old one");
    assert_eq!(bench.wait(), Duration::from_secs(10), "and the wait for its kill");
    assert_eq!(bench.wait(), Duration::from_secs(260), "the new one");
}
