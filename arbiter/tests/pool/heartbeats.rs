//! Silence, and who is aborted for it. The samples' timeout is 30 s.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, heartbeat_period, is_shown_too_old};
use proto::link::Pace;
use proto::spec::{Heartbeat, WorkersSpec};
use std::time::Duration;

const ABRT: i32 = 6;
const TERM: i32 = 15;

fn serving(heartbeat: Heartbeat, timeout: u64) -> Bench {
    let spec = WorkersSpec { heartbeat, timeout: Duration::from_secs(timeout), ..samples::workers(1) };
    let mut bench = Bench::with(spec, false);
    bench.start();
    bench.ready(1, 1);
    bench.take();
    bench
}

fn aborted(reason: &str) -> Report {
    Report::Aborted { reason: reason.into() }
}

#[test]
fn a_worker_that_stops_beating_is_aborted_killed_and_replaced() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.beat(1, 1);
    bench.pass(29.9);
    assert!(bench.take().asked.is_empty(), "it has time left");
    assert_eq!(bench.wait(), Duration::from_millis(100));
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 1), ABRT)]);
    let reason = "worker 1 (generation 1): silent for 30.0 s while serving (timeout), aborting it";
    assert_eq!(wanted.reports, [aborted(reason)]);
    assert_eq!(bench.wait(), Duration::from_secs(1), "abort_timeout");
    assert_eq!(bench.take().killed, [(1, 1)]);
    bench.exit(1, 1, 0);
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn a_worker_that_beats_is_left_alone_and_keeps_its_age() {
    let mut bench = serving(Heartbeat::Auto, 30);
    for _ in 0..10 {
        bench.beat(1, 1);
        bench.pass(29.0);
    }
    assert!(bench.take().asked.is_empty());
    assert_eq!(bench.status().processes[0].heartbeat_age, Some(Duration::from_secs(29)));
}

#[test]
fn under_auto_a_worker_that_never_beats_is_left_alone() {
    let mut bench = serving(Heartbeat::Auto, 30);
    assert_eq!(bench.pool.next_deadline(), None);
    bench.pass(1e6);
    assert!(bench.take().asked.is_empty());
    assert_eq!(bench.status().processes[0].heartbeat_age, None);
}

#[test]
fn under_auto_the_next_process_in_the_slot_has_to_beat_first_again() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.beat(1, 1);
    bench.exit(1, 1, 1);
    bench.ready(1, 1);
    bench.take();
    assert_eq!(bench.pool.next_deadline(), None);
    assert_eq!(bench.status().processes[0].heartbeat_age, None);
}

#[test]
fn where_it_is_required_silence_counts_from_the_start() {
    let spec = WorkersSpec { heartbeat: Heartbeat::Required, ..samples::workers(1) };
    let mut bench = Bench::with(spec, false);
    bench.start();
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(30));
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 1), ABRT)]);
    let reason = "worker 1 (generation 1): silent for 30.0 s while booting (timeout), aborting it";
    assert_eq!(wanted.reports, [aborted(reason)]);
    bench.exit(1, 1, 0);
    assert_eq!(bench.take().spawned, [], "it was never ready: it backs off");
    bench.wait();
    bench.take();
    assert_eq!(bench.wait(), Duration::from_secs(30), "and the next one is watched anew");
    assert_eq!(bench.take().asked, [((1, 1), ABRT)]);
}

#[test]
fn readiness_is_no_beat() {
    let mut bench = serving(Heartbeat::Required, 30);
    bench.pass(29.0);
    bench.ready(1, 1);
    bench.pool.describe_status(bench.run(1, 1), "busy".into());
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert_eq!(bench.take().asked, [((1, 1), ABRT)]);
}

#[test]
fn where_it_is_off_or_the_timeout_is_zero_silence_never_counts() {
    for (heartbeat, timeout) in [(Heartbeat::Off, 30), (Heartbeat::Auto, 0), (Heartbeat::Required, 0)] {
        let mut bench = serving(heartbeat, timeout);
        bench.beat(1, 1);
        assert_eq!(bench.pool.next_deadline(), None, "{heartbeat:?} {timeout}");
        bench.pass(1e6);
        assert!(bench.take().asked.is_empty(), "{heartbeat:?} {timeout}");
    }
}

#[test]
fn only_a_heartbeat_that_counts_is_asked_for() {
    let period = |heartbeat, timeout| {
        let timeout = Duration::from_secs(timeout);
        heartbeat_period(&WorkersSpec { heartbeat, timeout, ..samples::workers(1) })
    };
    assert_eq!(period(Heartbeat::Auto, 30), Some(Duration::from_secs(30)));
    assert_eq!(period(Heartbeat::Required, 2), Some(Duration::from_secs(2)));
    assert_eq!(period(Heartbeat::Off, 30), None);
    assert_eq!(period(Heartbeat::Auto, 0), None);
}

#[test]
fn one_that_is_stopping_may_be_silent() {
    let mut bench = serving(Heartbeat::Required, 5);
    bench.beat(1, 1);
    bench.stop(Pace::Graceful);
    assert_eq!(bench.take().asked, [((1, 1), TERM)]);
    assert_eq!(bench.wait(), Duration::from_secs(30), "the graceful timeout is the next that is due");
    let wanted = bench.take();
    assert_eq!((wanted.asked, wanted.killed), (vec![], vec![(1, 1)]));
}

#[test]
fn one_that_is_being_aborted_is_not_aborted_again() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.beat(1, 1);
    bench.wait();
    bench.take();
    bench.give_up(1, 1);
    bench.beat(1, 1);
    assert_eq!(bench.take(), crate::bench::Wanted::default());
    assert_eq!(bench.wait(), Duration::from_secs(1), "a late beat does not save it");
    assert_eq!(bench.take().killed, [(1, 1)]);
}

#[test]
fn one_that_says_it_has_failed_is_aborted_at_once_whatever_is_configured() {
    for heartbeat in [Heartbeat::Auto, Heartbeat::Required, Heartbeat::Off] {
        let mut bench = serving(heartbeat, 30);
        bench.give_up(1, 1);
        let wanted = bench.take();
        assert_eq!(wanted.asked, [((1, 1), ABRT)], "{heartbeat:?}");
        let reason = "worker 1 (generation 1): says that it has failed while serving, aborting it";
        assert_eq!(wanted.reports, [aborted(reason)]);
    }
}

#[test]
fn one_that_says_it_has_failed_while_it_stops_is_left_to_stop() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.stop(Pace::Graceful);
    bench.take();
    bench.give_up(1, 1);
    assert_eq!(bench.take(), crate::bench::Wanted::default());
}

#[test]
fn what_was_not_heard_while_arbiter_was_away_is_held_against_nobody() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.beat(1, 1);
    bench.be_away(100.0);
    assert!(bench.take().asked.is_empty());
    assert_eq!(bench.status().processes[0].heartbeat_age, Some(Duration::from_secs(100)), "it is shown");
    assert_eq!(bench.wait(), Duration::from_secs(30), "a fresh period");
    assert_eq!(bench.take().asked, [((1, 1), ABRT)]);
}

#[test]
fn being_away_begins_no_watch_that_was_not_kept() {
    let mut bench = serving(Heartbeat::Auto, 30);
    bench.be_away(100.0);
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn a_successor_that_is_silent_undoes_the_rollout() {
    let mut bench = Bench::serving(2);
    bench.roll_out(Some(samples::workers(2)));
    bench.beat(1, 2);
    bench.take();
    bench.wait();
    let wanted = bench.take();
    assert!(wanted.asked.contains(&((1, 2), ABRT)), "{wanted:?}");
    let reason = "new worker 1 does not answer any more".into();
    let failed = Report::RolloutFailed { reason, stay: Vec::new() };
    assert!(wanted.reports.contains(&failed), "{wanted:?}");
    assert!(wanted.asked.iter().all(|((_, generation), _)| *generation == 2), "{wanted:?}");
}

#[test]
fn a_beat_is_told_on_when_the_worker_would_be_shown_as_silent() {
    let mut bench = serving(Heartbeat::Auto, 30);
    let never = bench.status();
    bench.beat(1, 1);
    let told = bench.status();
    assert!(is_shown_too_old(&never, &told, Duration::ZERO), "the first one is told");
    bench.pass(5.0);
    bench.beat(1, 1);
    assert!(!is_shown_too_old(&told, &bench.status(), Duration::from_secs(5)));
    bench.pass(0.5);
    bench.beat(1, 1);
    assert!(is_shown_too_old(&told, &bench.status(), Duration::from_millis(5500)));
    bench.pass(20.0);
    let (silent, passed) = (bench.status(), Duration::from_millis(25_500));
    assert!(is_shown_too_old(&told, &silent, passed), "what was not told is still to be told");
    assert!(!is_shown_too_old(&silent, &silent, Duration::ZERO));
}
