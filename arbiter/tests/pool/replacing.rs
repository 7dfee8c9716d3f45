//! Deaths, and what follows them.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::Report;
use proto::spec::Ready;
use std::time::Duration;
use supervise::{Exit, ExitStatus, Input};

#[test]
fn a_ready_worker_that_dies_is_replaced_at_once_in_its_slot() {
    let mut bench = Bench::serving(3);
    bench.exit(2, 1, 1);
    assert_eq!(bench.take().spawned, [(2, 1)]);
}

#[test]
fn a_worker_that_went_by_the_signal_an_operator_sent_was_asked_to() {
    for (sent, requested) in [(9, true), (10, false)] {
        let mut bench = Bench::serving(1);
        bench.signal(1, sent);
        let exit = Exit::bare(ExitStatus::Signal { number: 9, core_dumped: false });
        bench.handle(bench.run(1, 1), Input::Exited { exit, survivors: false });
        assert_eq!(bench.take().spawned, [(1, 1)]);
        let unit = bench.pool.unit_of(bench.run(1, 1)).expect("it is there");
        let last = unit.last().expect("it ended");
        assert_eq!(last.was_requested(), requested, "{sent}");
        assert_eq!(unit.restarts(), u32::from(!requested), "{sent}");
    }
}

#[test]
fn a_worker_that_dies_before_it_is_ready_waits_longer_each_time() {
    let mut bench = Bench::serving(2);
    bench.exit(1, 1, 1);
    bench.take();
    let waits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0].map(Duration::from_secs_f64);
    for expected in waits {
        bench.exit(1, 1, 1);
        assert_eq!(bench.take().spawned, [], "it is not tried at once");
        assert_eq!(bench.wait(), expected);
        assert_eq!(bench.take().spawned, [(1, 1)]);
    }
    assert!(bench.pool.members().any(|member| member.slot == 2 && member.ready), "the other serves on");
}

#[test]
fn a_worker_that_becomes_ready_again_forgets_its_failures() {
    let mut bench = Bench::starting(1);
    for _ in 0..3 {
        bench.exit(1, 1, 1);
        bench.wait();
    }
    bench.ready(1, 1);
    bench.take();
    bench.exit(1, 1, 1);
    assert_eq!(bench.take().spawned, [(1, 1)]);
    bench.exit(1, 1, 1);
    assert_eq!(bench.wait(), Duration::from_millis(100));
}

#[test]
fn a_worker_that_cannot_be_spawned_is_tried_again_later() {
    let mut bench = Bench::serving(1);
    bench.exit(1, 1, 0);
    bench.take();
    bench.handle(bench.run(1, 1), Input::NotSpawned { reason: "too many processes".into() });
    assert_eq!(bench.take().spawned, []);
    assert_eq!(bench.wait(), Duration::from_millis(100));
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_aborted_and_tried_again() {
    let mut bench = Bench::starting(1);
    assert_eq!(bench.wait(), Duration::from_secs(60));
    assert_eq!(bench.take().asked, [((1, 1), 6)]);
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert_eq!(bench.take().killed, [(1, 1)]);
    bench.handle(bench.run(1, 1), Input::Exited { exit: Exit::bare(ExitStatus::Code(0)), survivors: false });
    assert_eq!(bench.wait(), Duration::from_millis(100));
    assert_eq!(bench.take().spawned, [(1, 1)]);
    assert!(!bench.pool.had_to_kill(), "only kills of a stop count");
}

#[test]
fn the_twentieth_death_within_ten_seconds_has_to_wait() {
    let mut bench = Bench::serving(1);
    for _ in 0..19 {
        bench.pass(0.5);
        bench.exit(1, 1, 1);
        assert_eq!(bench.take().spawned, [(1, 1)]);
        bench.ready(1, 1);
    }
    bench.exit(1, 1, 1);
    assert_eq!(bench.take().spawned, []);
    assert_eq!(bench.wait(), Duration::from_millis(100));
}

#[test]
fn twenty_deaths_in_more_than_ten_seconds_are_no_storm() {
    let mut bench = Bench::serving(1);
    for _ in 0..60 {
        bench.pass(0.53);
        bench.exit(1, 1, 1);
        assert_eq!(bench.take().spawned, [(1, 1)]);
        bench.ready(1, 1);
    }
}

#[test]
fn a_worker_whose_group_outlives_it_is_replaced_when_that_is_gone() {
    let mut bench = Bench::serving(1);
    let run = bench.run(1, 1);
    bench.handle(run, Input::Exited { exit: Exit::bare(ExitStatus::Code(1)), survivors: true });
    let wanted = bench.take();
    assert_eq!((wanted.killed, wanted.spawned), (vec![(1, 1)], vec![]));
    bench.handle(run, Input::Gone);
    assert_eq!(bench.take().spawned, [(1, 1)]);
}

#[test]
fn a_first_worker_that_exits_with_a_halt_code_before_any_was_ready_is_a_failed_boot() {
    let mut bench = Bench::starting(2);
    bench.exit(2, 1, 4);
    let reason = "worker 2 exited with status 4 before it was ready".into();
    assert_eq!(bench.take().reports, [Report::BootFailed { code: 4, reason }]);
}

#[test]
fn a_first_worker_that_cannot_become_its_program_before_any_was_ready_is_told() {
    let unable = || Input::NotExecuted { reason: "cannot execute serve: Exec format error".into() };
    let mut bench = Bench::starting(2);
    bench.handle(bench.run(2, 1), unable());
    assert_eq!(bench.take().reports, [Report::CannotStart]);
    let mut bench = Bench::starting(2);
    bench.ready(1, 1);
    bench.handle(bench.run(2, 1), unable());
    assert_eq!(bench.take().reports, []);
}

#[test]
fn other_codes_and_signals_are_no_failed_boot() {
    let mut bench = Bench::starting(2);
    bench.exit(1, 1, 1);
    let exit = Exit::bare(ExitStatus::Signal { number: 3, core_dumped: false });
    bench.handle(bench.run(2, 1), Input::Exited { exit, survivors: false });
    assert_eq!(bench.take().reports, []);
}

#[test]
fn a_halt_code_is_no_failed_boot_once_any_worker_was_ready() {
    let mut bench = Bench::starting(2);
    bench.ready(1, 1);
    bench.exit(1, 1, 3);
    bench.exit(2, 1, 3);
    assert_eq!(bench.take().reports, []);
}

#[test]
fn the_first_generation_is_the_one_that_was_started_first_whatever_its_number() {
    let mut bench = Bench::with(samples::workers(1), false);
    bench.roll_out(Some(samples::workers(1)));
    bench.start();
    bench.take();
    bench.exit(1, 2, 3);
    let reason = "worker 1 exited with status 3 before it was ready".into();
    assert_eq!(bench.take().reports, [Report::BootFailed { code: 3, reason }]);
}

#[test]
fn a_halt_code_in_a_reload_fails_that_and_is_a_failed_boot_again_afterwards() {
    let mut bench = Bench::starting(1);
    bench.roll_out(Some(samples::workers(1)));
    bench.exit(1, 2, 3);
    let reports = bench.take().reports;
    assert!(matches!(reports.as_slice(), [Report::RolloutFailed { .. }]), "{reports:?}");
    bench.exit(1, 1, 4);
    let reports = bench.take().reports;
    assert!(matches!(reports.as_slice(), [Report::BootFailed { code: 4, .. }]), "{reports:?}");
}

#[test]
fn the_first_worker_that_cannot_boot_decides_the_code() {
    let mut bench = Bench::starting(8);
    for slot in 1..=8 {
        bench.exit(slot, 1, 3 + i32::try_from(slot % 2).unwrap());
    }
    let codes: Vec<u8> = bench
        .take()
        .reports
        .into_iter()
        .map(|report| match report {
            Report::BootFailed { code, .. } => code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [4, 3, 4, 3, 4, 3, 4, 3], "each is told, in order");
}

#[test]
fn with_listeners_a_starting_worker_is_looked_at_until_it_is_ready() {
    let mut spec = samples::workers(1);
    spec.ready = Ready::Listening;
    let mut bench = Bench::with(spec, true);
    bench.start();
    assert!(bench.take().looked.is_empty());
    bench.pass(0.0);
    assert_eq!(bench.take().looked, [(1, 1)]);
    bench.wait();
    assert_eq!(bench.take().looked, [(1, 1)]);
    bench.ready(1, 1);
    assert_eq!(bench.pool.next_deadline(), None, "nothing is looked at any more");
}
