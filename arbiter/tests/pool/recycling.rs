//! Workers that are replaced though nothing is wrong.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::{Report, Role};
use proto::link::Pace;
use proto::spec::{Recycle, WorkersSpec};
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn serving(count: u32, recycle: Recycle) -> Bench {
    let mut bench = Bench::with(WorkersSpec { recycle, ..samples::workers(count) }, false);
    bench.start();
    for slot in 1..=count {
        bench.ready(slot, 1);
    }
    bench.take();
    bench
}

fn living(seconds: u64, jitter: u64) -> Recycle {
    let seconds = Duration::from_secs(seconds);
    Recycle { max_lifetime: seconds, max_lifetime_jitter: Duration::from_secs(jitter), ..Recycle::default() }
}

fn recycled(reason: &str) -> Report {
    Report::Recycles { reason: reason.into() }
}

/// Makes the one successor ready.
fn ready_successor(bench: &mut Bench) {
    let new = bench.pool.members().find(|m| m.role == Role::Successor).and_then(|m| m.run);
    bench.handle(new.expect("a successor runs"), supervise::Input::Ready);
}

fn exit_successor(bench: &mut Bench) {
    let new = bench.pool.members().find(|m| m.role == Role::Successor).and_then(|m| m.run);
    let exit = supervise::Exit::bare(supervise::ExitStatus::Code(1));
    bench.handle(new.expect("a successor runs"), supervise::Input::Exited { exit, survivors: false });
}

#[test]
fn workers_that_have_lived_long_enough_are_replaced_one_after_the_other_new_before_old() {
    let mut bench = serving(2, living(3600, 0));
    assert_eq!(bench.wait(), Duration::from_secs(3600));
    let wanted = bench.take();
    assert_eq!((wanted.spawned, wanted.asked), (vec![(1, 1)], vec![]));
    let reason = "worker 1 (generation 1): has lived 3600 s (max_lifetime), replacing it";
    assert_eq!(wanted.reports, [recycled(reason)]);
    ready_successor(&mut bench);
    let wanted = bench.take();
    assert_eq!((wanted.asked, wanted.spawned), (vec![((1, 1), 15)], vec![(2, 1)]), "then the next");
    ready_successor(&mut bench);
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1)]);
    let restarts: u32 = bench.status().processes.iter().map(|worker| worker.process.restarts).sum();
    assert_eq!(restarts, 0, "that is no failure");
}

#[test]
fn each_lives_for_a_part_of_the_jitter_longer() {
    let mut bench = serving(4, living(100, 50));
    let mut last = Duration::ZERO;
    let mut due = Vec::new();
    for _ in 0..4 {
        while bench.seats(Role::Successor).is_empty() {
            last += bench.wait();
        }
        due.push(last);
        ready_successor(&mut bench);
        for (slot, generation) in bench.seats(Role::Leaving) {
            bench.exit(slot, generation, 0);
        }
    }
    assert!(due.iter().all(|at| (100..=150).contains(&at.as_secs())), "{due:?}");
    due.dedup();
    assert_eq!(due.len(), 4, "not at the same moment");
}

#[test]
fn one_that_is_too_big_is_replaced_and_others_are_left_alone() {
    let mut bench = serving(2, Recycle { memory_max: 128 * MIB, ..Recycle::default() });
    assert_eq!(bench.wait(), Duration::from_secs(10));
    let measured = bench.take().measured;
    assert_eq!(measured.iter().map(|one| one.limit).collect::<Vec<_>>(), [128 * MIB; 2]);
    bench.weigh(measured[0].run, 128 * MIB);
    assert_eq!(bench.take().spawned, []);
    bench.weigh(measured[1].run, 130 * MIB);
    let wanted = bench.take();
    assert_eq!(wanted.spawned, [(2, 1)]);
    let reason = "worker 2 (generation 1): uses 130 MiB (memory_max 128 MiB), replacing it";
    assert_eq!(wanted.reports, [recycled(reason)]);
    ready_successor(&mut bench);
    assert_eq!(bench.take().asked, [((2, 1), 15)]);
    assert_eq!(bench.wait(), Duration::from_secs(10), "and they are looked at again");
}

#[test]
fn without_limits_nobody_is_looked_at() {
    let bench = serving(2, Recycle::default());
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn one_whose_successor_fails_serves_on_and_the_next_try_waits_longer_each_time() {
    let mut bench = serving(1, living(100, 0));
    bench.wait();
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        bench.take();
        exit_successor(&mut bench);
        let reason = format!(
            "worker 1 (generation 1): stays, its successor exited with status 1 after 0 s; the next try is in {wait} s"
        );
        let wanted = bench.take();
        assert_eq!(wanted.reports, [Report::RecyclingFailed { reason }]);
        assert_eq!(wanted.asked, []);
        assert_eq!(bench.wait(), Duration::from_secs(wait));
        assert_eq!(bench.take().spawned, [(1, 1)]);
    }
    ready_successor(&mut bench);
    assert_eq!(bench.seats(Role::Current), [(1, 1)]);
}

#[test]
fn it_waits_for_a_rollout_and_what_is_under_way_makes_room_for_one() {
    let mut bench = serving(2, living(30, 0));
    bench.roll_out(Some(samples::workers(2)));
    bench.take();
    bench.pass(50.0);
    assert_eq!(bench.take(), crate::bench::Wanted::default());
    bench.exit(1, 2, 1);
    let wanted = bench.take();
    assert_eq!((wanted.spawned, wanted.reports.len()), (vec![(1, 1)], 2), "the rollout is over");
    bench.roll_out(Some(samples::workers(2)));
    let wanted = bench.take();
    assert_eq!((wanted.spawned, wanted.asked), (vec![(1, 2), (2, 2)], vec![((1, 1), 15)]));
    bench.ready(1, 2);
    bench.ready(2, 2);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2)]);
}

#[test]
fn a_stop_takes_the_successor_too_and_nobody_is_recycled_any_more() {
    let mut bench = serving(2, living(100, 0));
    bench.wait();
    bench.take();
    bench.stop(Pace::Graceful);
    assert_eq!(bench.take().asked.len(), 3);
    bench.pass(20.0);
    assert_eq!(bench.take().spawned, []);
}

#[test]
fn one_that_dies_or_is_one_too_many_meanwhile_needs_no_successor() {
    let mut bench = serving(2, living(100, 0));
    bench.wait();
    bench.take();
    let old = bench.pool.members().find(|m| m.role == Role::Current && m.slot == 1).and_then(|m| m.run);
    let exit = supervise::Exit::bare(supervise::ExitStatus::Code(1));
    bench.handle(old.unwrap(), supervise::Input::Exited { exit, survivors: false });
    assert_eq!(bench.seats(Role::Leaving), [(1, 1)], "the successor");
    assert_eq!(bench.seats(Role::Current), [(1, 1), (2, 1)]);

    let mut bench = serving(2, living(100, 0));
    bench.wait();
    bench.scale_to(1);
    assert_eq!(bench.seats(Role::Current).len(), 1);
    assert_eq!(bench.seats(Role::Successor), [(2, 1)], "the other one's turn");
    ready_successor(&mut bench);
    assert_eq!(bench.seats(Role::Current), [(2, 1)]);
}
