//! Processes that are held back until something else is over.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, Role};
use proto::link::Pace;
use proto::spec::{Heartbeat, Ready, StopSpec, WorkersSpec};
use std::time::Duration;
use supervise::{Input, State};

/// The signal that asks the samples to leave.
const TERM: i32 = 15;

fn holding(spec: WorkersSpec) -> Bench {
    let mut bench = Bench::with(spec, false);
    bench.holds = true;
    bench.start();
    assert_eq!(bench.take().spawned, [(1, 1)]);
    bench
}

/// What the pool is told of a run that was withdrawn.
fn withdrawn() -> Input {
    Input::NotSpawned { reason: "asked to stop before it was started".into() }
}

#[test]
fn the_time_of_a_worker_begins_when_it_has_a_process() {
    let mut bench = holding(WorkersSpec {
        ready: Ready::Started,
        start_seconds: Duration::from_secs(2),
        heartbeat: Heartbeat::Required,
        timeout: Duration::from_secs(30),
        ..samples::workers(1)
    });
    assert_eq!(bench.pool.next_deadline(), None);
    bench.pass(100.0);
    let worker = bench.status().processes.remove(0).process;
    assert_eq!((worker.state, worker.ready, worker.pid), (State::Starting, false, None));
    assert_eq!(worker.reason.as_deref(), Some("waiting for the hook pre_fork to be over"));
    bench.spawned(bench.run(1, 1));
    let worker = bench.status().processes.remove(0).process;
    assert_eq!((worker.uptime, worker.reason), (Some(Duration::ZERO), None));
    assert_eq!(bench.wait(), Duration::from_secs(2));
    assert!(bench.status().processes[0].process.ready);
    assert_eq!(bench.wait(), Duration::from_secs(28), "its silence counts from its start, too");
    assert!(matches!(&bench.take().reports[..], [Report::Aborted { .. }]));
}

#[test]
fn a_worker_that_is_not_ready_in_time_had_all_of_its_time() {
    let mut bench = holding(samples::workers(1));
    bench.pass(100.0);
    bench.spawned(bench.run(1, 1));
    assert_eq!(bench.wait(), Duration::from_secs(60), "start_timeout");
}

#[test]
fn a_stop_ends_a_worker_that_is_held_back() {
    let mut bench = holding(samples::workers(1));
    let run = bench.run(1, 1);
    bench.stop(Pace::Graceful);
    assert_eq!(bench.take().asked, [((1, 1), TERM)]);
    bench.handle(run, withdrawn());
    assert!(bench.pool.is_settled());
    assert!(!bench.pool.had_to_kill());
    assert_eq!(bench.seats(Role::Leaving), []);
}

#[test]
fn one_that_is_held_back_is_not_killed_where_others_would_be_at_once() {
    let stop = StopSpec { timeout: Duration::ZERO, ..samples::workers(1).stop };
    let mut bench = holding(WorkersSpec { stop, ..samples::workers(1) });
    let run = bench.run(1, 1);
    bench.stop(Pace::Graceful);
    bench.handle(run, withdrawn());
    assert!(bench.pool.is_settled());
    assert!(!bench.pool.had_to_kill());
}

#[test]
fn an_abandoned_rollout_leaves_nothing_of_successors_that_are_held_back() {
    let mut bench = Bench::serving(1);
    bench.holds = true;
    bench.roll_out(Some(samples::workers(1)));
    let run = bench.run(1, 2);
    bench.abandon_rollout();
    assert_eq!(bench.take().asked, [((1, 2), TERM)]);
    bench.handle(run, withdrawn());
    assert_eq!((bench.seats(Role::Current), bench.seats(Role::Leaving)), (vec![(1, 1)], vec![]));
    assert_eq!(bench.pool.next_deadline(), None);
}
