//! Replacing all, or one, new before old.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, Role};
use supervise::{Exit, ExitStatus, Input};

fn failure(bench: &mut Bench) -> String {
    match bench.take().reports.as_slice() {
        [Report::RolloutFailed { reason, stay }] if stay.is_empty() => reason.clone(),
        other => panic!("a failed rollout was expected, not {other:?}"),
    }
}

/// Two that serve, and their successors.
fn rolling() -> Bench {
    let mut bench = Bench::serving(2);
    bench.roll_out(Some(samples::workers(2)));
    assert_eq!(bench.take().spawned, [(1, 2), (2, 2)]);
    bench
}

fn assert_undone(bench: &mut Bench, generation: u64) {
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1)], "the old ones are untouched");
    assert_eq!(bench.seats(Role::Successor), []);
    assert_eq!(bench.pool.generation(), generation);
    assert!(!bench.pool.is_rolling_out());
}

#[test]
fn old_workers_are_asked_to_leave_when_all_new_ones_are_ready() {
    let mut bench = rolling();
    bench.ready(2, 2);
    assert_eq!(bench.take().asked, []);
    bench.ready(1, 2);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 1), 15), ((2, 1), 15)]);
    assert_eq!(wanted.reports, [Report::RolledOut { replaced: 2 }]);
    assert_eq!(bench.pool.generation(), 2);
    bench.exit(1, 1, 0);
    bench.exit(2, 1, 0);
    assert_eq!(bench.take().spawned, []);
    assert_eq!(bench.seats(Role::Leaving), []);
}

#[test]
fn a_new_worker_that_exits_undoes_the_rollout() {
    let mut bench = rolling();
    bench.ready(1, 2);
    bench.take();
    bench.exit(2, 2, 3);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 2), 15)], "the other new one leaves");
    let reason = "new worker 2 exited with status 3 after 0 s".into();
    assert_eq!(
        wanted.reports,
        [Report::RolloutFailed { reason, stay: Vec::new() }],
        "and a halt code halts nothing"
    );
    assert_undone(&mut bench, 1);
}

#[test]
fn a_new_worker_that_dies_after_it_was_ready_undoes_the_rollout() {
    let mut bench = rolling();
    bench.ready(1, 2);
    bench.take();
    bench.exit(1, 2, 0);
    assert_eq!(failure(&mut bench), "new worker 1 exited with status 0 after 0 s");
    assert_undone(&mut bench, 1);
}

#[test]
fn a_new_worker_that_leaves_others_behind_undoes_the_rollout_and_says_how_it_ended() {
    let mut bench = rolling();
    let exit = Exit::bare(ExitStatus::Code(1));
    bench.handle(bench.run(1, 2), Input::Exited { exit, survivors: true });
    assert_eq!(failure(&mut bench), "new worker 1 exited with status 1");
    assert_undone(&mut bench, 1);
}

#[test]
fn a_new_worker_that_cannot_be_spawned_undoes_the_rollout() {
    let mut bench = rolling();
    bench.handle(bench.run(1, 2), Input::NotSpawned { reason: "cannot be started: no memory".into() });
    assert_eq!(failure(&mut bench), "new worker 1 cannot be started: no memory");
    assert_undone(&mut bench, 1);
}

#[test]
fn a_new_worker_that_cannot_become_its_program_undoes_the_rollout_with_that_reason() {
    let mut bench = rolling();
    bench.handle(bench.run(2, 2), Input::NotExecuted { reason: "cannot run serve: not found".into() });
    bench.exit(2, 2, 127);
    assert_eq!(failure(&mut bench), "new worker 2 cannot run serve: not found");
    assert_undone(&mut bench, 1);
}

#[test]
fn a_new_worker_that_is_not_ready_in_time_undoes_the_rollout() {
    let mut bench = rolling();
    bench.ready(1, 2);
    bench.take();
    bench.wait();
    assert_eq!(failure(&mut bench), "new worker 2 was not ready within its start_timeout");
    assert_undone(&mut bench, 1);
}

#[test]
fn an_old_worker_that_dies_in_a_rollout_is_replaced_as_it_was() {
    let mut bench = rolling();
    bench.exit(1, 1, 1);
    assert_eq!(bench.take().spawned, [(1, 1)]);
    bench.ready(1, 2);
    bench.ready(2, 2);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2)]);
}

#[test]
fn an_abandoned_rollout_leaves_everything_as_it_was() {
    let mut bench = rolling();
    bench.ready(1, 2);
    bench.abandon_rollout();
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((1, 2), 15), ((2, 2), 15)]);
    assert_eq!(wanted.reports, []);
    assert_undone(&mut bench, 1);
    bench.exit(1, 2, 0);
    bench.exit(2, 2, 0);
    assert_eq!(bench.seats(Role::Leaving), []);
    assert_eq!(bench.take().spawned, []);
}

#[test]
fn a_configuration_with_fewer_workers_starts_and_keeps_fewer() {
    let mut bench = Bench::serving(3);
    bench.roll_out(Some(samples::workers(1)));
    assert_eq!(bench.take().spawned, [(1, 2)]);
    bench.ready(1, 2);
    assert_eq!(bench.seats(Role::Current), [(1, 2)]);
    assert_eq!(bench.pool.target(), 1);
}

#[test]
fn a_scaled_number_outlives_a_reload_that_does_not_change_the_count() {
    let mut bench = Bench::serving(2);
    bench.scale_to(3);
    bench.take();
    bench.roll_out(Some(samples::workers(2)));
    assert_eq!(bench.take().spawned, [(1, 2), (2, 2), (3, 2)]);
    for slot in 1..=3 {
        bench.ready(slot, 2);
    }
    bench.roll_out(Some(samples::workers(1)));
    assert_eq!(bench.pool.target(), 3, "nothing has taken over yet");
    bench.ready(1, 3);
    assert_eq!(bench.pool.target(), 1);
}

#[test]
fn a_successor_carries_the_slot_of_the_one_it_replaces() {
    let mut bench = Bench::serving(3);
    bench.scale_to(2);
    assert_eq!(bench.seats(Role::Current), [(2, 1), (3, 1)]);
    bench.take();
    bench.roll_out(Some(samples::workers(3)));
    assert_eq!(bench.take().spawned, [(2, 2), (3, 2)]);
}

#[test]
fn a_configuration_without_workers_ends_them_all() {
    let mut bench = Bench::serving(2);
    bench.roll_out(None);
    let wanted = bench.take();
    assert_eq!(wanted.asked.len(), 2);
    assert_eq!(wanted.reports, [Report::RolledOut { replaced: 0 }]);
    bench.exit(1, 1, 0);
    bench.exit(2, 1, 0);
    assert!(bench.pool.is_settled());
    bench.roll_out(Some(samples::workers(2)));
    assert_eq!(bench.take().spawned, [(1, 3), (2, 3)], "and they can come back");
}

#[test]
fn a_rollout_before_the_start_only_changes_what_will_be_started() {
    let mut bench = Bench::with(samples::workers(1), false);
    bench.roll_out(Some(samples::workers(2)));
    let wanted = bench.take();
    assert_eq!(wanted.spawned, []);
    assert_eq!(wanted.reports, [Report::RolledOut { replaced: 0 }]);
    bench.start();
    assert_eq!(bench.take().spawned, [(1, 2), (2, 2)]);
}

#[test]
fn one_worker_is_restarted_new_before_old_in_its_generation() {
    let mut bench = Bench::serving(2);
    assert!(bench.restart_slot(2));
    assert_eq!(bench.take().spawned, [(2, 1)]);
    let new = bench.pool.members().find(|m| m.role == Role::Successor).and_then(|m| m.run);
    bench.handle(new.expect("a successor runs"), Input::Ready);
    let wanted = bench.take();
    assert_eq!(wanted.asked, [((2, 1), 15)]);
    assert_eq!(wanted.reports, [Report::RolledOut { replaced: 1 }]);
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1)]);
    assert!(!bench.restart_slot(7), "there is no worker 7");
    assert!(!bench.pool.is_rolling_out());
}
