//! Rollouts so many at a time, and the way back.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, Role};
use proto::link::Pace;
use proto::spec::WorkersSpec;

fn batched(count: u32, reload_batch: u32) -> WorkersSpec {
    WorkersSpec { reload_batch, ..samples::workers(count) }
}

/// `count` that serve, and a rollout of as many in batches.
fn rolling(count: u32, reload_batch: u32) -> Bench {
    let mut bench = Bench::serving(count);
    bench.roll_out(Some(batched(count, reload_batch)));
    bench
}

/// Those that serve or will: none of them ever fewer than `least`.
fn ready(bench: &Bench) -> usize {
    bench.pool.members().filter(|member| member.role == Role::Current && member.ready).count()
}

#[test]
fn each_batch_takes_over_when_it_is_ready_and_then_the_next_begins() {
    let mut bench = rolling(5, 2);
    assert_eq!(bench.take().spawned, [(1, 2), (2, 2)]);
    bench.ready(1, 2);
    assert_eq!(bench.take(), crate::bench::Wanted::default(), "the batch is not complete");
    bench.ready(2, 2);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 1), 15), ((2, 1), 15)]);
    assert_eq!((wanted.spawned, wanted.reports), (vec![(3, 2), (4, 2)], vec![]));
    assert_eq!(bench.pool.generation(), 1, "not yet");
    bench.ready(3, 2);
    bench.ready(4, 2);
    let wanted = bench.take();
    assert_eq!((wanted.asked.len(), wanted.spawned), (2, vec![(5, 2)]));
    bench.ready(5, 2);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((5, 1), 15)]);
    assert_eq!(wanted.reports, [Report::RolledOut { replaced: 5 }]);
    assert_eq!(bench.pool.generation(), 2);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]);
}

#[test]
fn more_workers_than_before_are_started_in_batches_too_and_fewer_leave_at_the_end() {
    let mut bench = rolling(1, 1);
    bench.abandon_rollout();
    bench.exit(1, 2, 0);
    bench.take();
    bench.roll_out(Some(batched(3, 1)));
    for slot in 1..=3 {
        assert_eq!(bench.take().spawned, [(slot, 2)]);
        bench.ready(slot, 2);
    }
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2), (3, 2)]);
    bench.take();
    bench.roll_out(Some(batched(1, 1)));
    bench.ready(1, 3);
    assert_eq!(bench.take().asked.len(), 3);
    assert_eq!(bench.seats(Role::Current), [(1, 3)]);
}

#[test]
fn a_first_batch_that_fails_changes_nothing() {
    let mut bench = rolling(3, 1);
    bench.take();
    bench.exit(1, 2, 3);
    let reason = "new worker 1 exited with status 3 after 0 s".into();
    assert_eq!(bench.take().reports, [Report::RolloutFailed { reason, stay: Vec::new() }]);
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1), (3, 1)]);
    assert_eq!(ready(&bench), 3);
}

/// Slots 1 and 2 of three have been replaced, one by one, and the third successor has failed.
fn going_back() -> Bench {
    let mut bench = rolling(3, 1);
    bench.ready(1, 2);
    bench.exit(1, 1, 0);
    bench.ready(2, 2);
    bench.exit(2, 1, 0);
    bench.take();
    bench.exit(3, 2, 1);
    bench
}

const FAILED: &str = "new worker 3 exited with status 1 after 0 s";

#[test]
fn what_was_replaced_goes_back_new_before_old_and_then_the_rollout_fails_with_the_first_reason() {
    let mut bench = going_back();
    let wanted = bench.take();
    assert_eq!(wanted.reports, [Report::GoesBack { reason: FAILED.into() }]);
    assert_eq!((wanted.spawned, wanted.asked), (vec![(1, 1)], vec![]), "one at a time, nobody leaves yet");
    bench.ready(1, 1);
    let wanted = bench.take();
    assert_eq!((wanted.asked, wanted.spawned), (vec![((1, 2), 15)], vec![(2, 1)]));
    assert_eq!(ready(&bench), 3);
    bench.ready(2, 1);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((2, 2), 15)]);
    assert_eq!(wanted.reports, [Report::RolloutFailed { reason: FAILED.into(), stay: Vec::new() }]);
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1), (3, 1)]);
    assert_eq!((bench.pool.generation(), bench.pool.is_rolling_out()), (1, false));
}

#[test]
fn a_new_worker_stays_where_one_as_before_cannot_start_and_has_a_successor_as_before_when_it_ends() {
    let mut bench = going_back();
    bench.take();
    bench.exit(1, 1, 4);
    assert_eq!(bench.take().spawned, [(2, 1)], "the other is tried all the same");
    bench.ready(2, 1);
    let stay = vec![(1, "exited with status 4 after 0 s".into())];
    assert_eq!(bench.take().reports, [Report::RolloutFailed { reason: FAILED.into(), stay }]);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 1), (3, 1)]);
    assert_eq!(ready(&bench), 3);
    bench.exit(1, 2, 0);
    assert_eq!(bench.take().spawned, [(1, 1)]);
    bench.exit(1, 1, 1);
    assert_eq!(bench.take().spawned, [], "and that backs off like any other");
    bench.wait();
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn the_rollout_after_one_that_left_something_has_a_number_of_its_own() {
    let mut bench = going_back();
    bench.exit(1, 1, 4);
    bench.ready(2, 1);
    bench.take();
    bench.roll_out(Some(samples::workers(3)));
    assert_eq!(bench.take().spawned, [(1, 3), (2, 3), (3, 3)]);
    for slot in 1..=3 {
        bench.ready(slot, 3);
    }
    assert_eq!(bench.seats(Role::Current), [(1, 3), (2, 3), (3, 3)]);
}

#[test]
fn a_replaced_worker_that_dies_in_the_rollout_comes_back_new_and_one_that_is_not_replaced_yet_old() {
    let mut bench = rolling(3, 1);
    bench.ready(1, 2);
    bench.exit(1, 1, 0);
    bench.take();
    bench.exit(1, 2, 1);
    bench.exit(3, 1, 1);
    assert_eq!(bench.take().spawned, [(1, 2), (3, 1)]);
    bench.ready(2, 2);
    assert_eq!(bench.take().asked, [], "nobody leaves before the new one is back");
    bench.ready(1, 2);
    let wanted = bench.take();
    assert_eq!((wanted.asked, wanted.spawned), (vec![((2, 1), 15)], vec![(3, 2)]));
}

#[test]
fn a_replaced_worker_that_does_not_come_back_ends_the_rollout() {
    let mut bench = rolling(2, 1);
    bench.ready(1, 2);
    bench.exit(1, 1, 0);
    bench.exit(1, 2, 1);
    bench.take();
    bench.exit(1, 2, 1);
    let wanted = bench.take();
    let reason = "new worker 1 exited with status 1 after 0 s".into();
    assert_eq!(wanted.reports, [Report::RolloutFailed { reason, stay: Vec::new() }]);
    assert_eq!(wanted.spawned, [(1, 1)], "what follows it is as before, at once");
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1)]);
}

#[test]
fn a_new_worker_that_dies_on_the_way_back_is_followed_by_the_one_that_was_started_for_it() {
    let mut bench = going_back();
    bench.take();
    bench.exit(1, 2, 1);
    assert_eq!(bench.take().spawned, [(2, 1)], "its successor serves the slot now");
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 2), (3, 1)]);
    bench.ready(2, 1);
    assert_eq!(bench.take().reports.len(), 1);
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn a_stop_in_the_middle_takes_everybody() {
    for mut bench in [rolling(3, 1), going_back()] {
        bench.take();
        bench.stop(Pace::Graceful);
        let there = bench.seats(Role::Leaving).len();
        assert_eq!(bench.take().asked.len(), there);
        assert_eq!((bench.seats(Role::Current), bench.pool.is_rolling_out()), (vec![], false));
    }
}

#[test]
fn what_has_taken_over_in_an_abandoned_rollout_serves_on_and_is_followed_by_what_was_before() {
    let mut bench = rolling(3, 1);
    bench.ready(1, 2);
    bench.exit(1, 1, 0);
    bench.take();
    bench.abandon_rollout();
    assert_eq!(bench.take().asked, [((2, 2), 15)], "only what was not ready goes");
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 1), (3, 1)]);
    bench.exit(1, 2, 0);
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn a_number_made_larger_in_a_rollout_is_rolled_out_too() {
    let mut bench = rolling(2, 1);
    bench.take();
    bench.scale_to(3);
    assert_eq!(bench.take().spawned, [(3, 1)], "it serves as before until its turn comes");
    bench.ready(3, 1);
    for slot in 1..=3 {
        bench.ready(slot, 2);
        bench.exit(slot, 1, 0);
    }
    assert_eq!(bench.take().reports, [Report::RolledOut { replaced: 3 }]);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2), (3, 2)]);
}

#[test]
fn a_number_made_smaller_in_a_rollout_or_on_the_way_back_holds_at_its_end() {
    let mut bench = rolling(4, 2);
    bench.scale_to(2);
    bench.ready(1, 2);
    bench.ready(2, 2);
    assert_eq!(bench.take().reports, [Report::RolledOut { replaced: 2 }]);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2)]);

    let mut bench = going_back();
    bench.scale_to(1);
    assert_eq!(bench.seats(Role::Current).len(), 1);
    while bench.pool.is_rolling_out() {
        let (slot, generation) = bench.seats(Role::Successor)[0];
        bench.ready(slot, generation);
    }
    assert_eq!(bench.seats(Role::Current).len(), 1);
    assert_eq!(ready(&bench), 1);
}
