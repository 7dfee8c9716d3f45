//! Workers that ask for more time, or leave by themselves.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, Role};
use proto::link::Pace;
use std::time::Duration;
use supervise::{Input, State};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn say(bench: &mut Bench, generation: u64, input: Input) {
    bench.handle(bench.run(1, generation), input);
}

#[test]
fn a_start_and_a_stop_in_good_order_take_longer_where_a_worker_asks_for_it() {
    let mut bench = Bench::starting(1);
    say(&mut bench, 1, Input::MoreTime { by: seconds(100) });
    assert_eq!(bench.pool.next_deadline().map(|_| bench.wait()), Some(seconds(100)));
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Graceful);
    say(&mut bench, 1, Input::MoreTime { by: seconds(1000) });
    assert_eq!(bench.wait(), seconds(90), "three times the graceful timeout");
    assert!(!bench.take().killed.is_empty());
}

#[test]
fn a_stop_in_a_hurry_has_no_more_time_to_give() {
    let mut bench = Bench::serving(1);
    bench.stop(Pace::Quick);
    say(&mut bench, 1, Input::MoreTime { by: seconds(1000) });
    assert_eq!(bench.wait(), seconds(5));
}

#[test]
fn a_successor_that_needs_more_time_gets_it() {
    let mut bench = Bench::serving(1);
    bench.roll_out(Some(samples::workers(1)));
    say(&mut bench, 2, Input::MoreTime { by: seconds(100) });
    bench.pass(90.0);
    bench.ready(1, 2);
    assert_eq!(bench.take().reports, [Report::RolledOut { replaced: 1 }]);
}

#[test]
fn one_that_leaves_by_itself_may_be_silent_hears_nothing_and_is_replaced_when_it_has_gone() {
    let mut bench = Bench::serving(2);
    bench.beat(1, 1);
    say(&mut bench, 1, Input::Leaves);
    assert_eq!(bench.take(), crate::bench::Wanted::default());
    assert_eq!(bench.status().processes[0].process.state, State::Stopping);
    bench.pass(29.9);
    assert_eq!(bench.take(), crate::bench::Wanted::default());
    bench.exit(1, 1, 0);
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn one_that_leaves_and_does_not_go_is_killed_after_the_graceful_timeout_and_replaced() {
    let mut bench = Bench::serving(1);
    say(&mut bench, 1, Input::Leaves);
    assert_eq!(bench.wait(), seconds(30));
    assert_eq!(bench.take().killed, [(1, 1)]);
    bench.exit(1, 1, 0);
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn workers_that_leave_again_and_again_are_a_storm_too() {
    let mut bench = Bench::serving(1);
    for _ in 0..19 {
        say(&mut bench, 1, Input::Leaves);
        bench.exit(1, 1, 0);
        bench.ready(1, 1);
    }
    bench.take();
    say(&mut bench, 1, Input::Leaves);
    bench.exit(1, 1, 0);
    assert_eq!(bench.take().spawned, []);
}

#[test]
fn a_new_worker_that_leaves_undoes_the_rollout() {
    let mut bench = Bench::serving(1);
    bench.roll_out(Some(samples::workers(1)));
    say(&mut bench, 2, Input::Leaves);
    let reason = "new worker 1 leaves by itself".into();
    assert_eq!(bench.take().reports, [Report::RolloutFailed { reason, stay: Vec::new() }]);
    assert_eq!(bench.seats(Role::Current), [(1, 1)]);
}
