//! How long it takes to come back.

use crate::bench::{Bench, policy, seconds, spawn};
use supervise::{Input, Phase, Policy, State};

/// Lets the current run exit at once, waits as long as it takes, and tells how long that was.
fn crash(bench: &mut Bench) -> f64 {
    bench.exit(1);
    assert_eq!(bench.unit.state(), State::Backoff);
    let from = bench.now;
    let until = bench.due().expect("a time to try again");
    bench.at(until).deadline();
    assert_eq!(bench.unit.state(), State::Starting);
    until - from
}

#[test]
fn the_wait_doubles_up_to_the_longest() {
    let mut bench = Bench::new();
    bench.start();
    let waits: Vec<f64> = (0..9).map(|_| crash(&mut bench)).collect();
    assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
    assert_eq!(bench.unit.restarts(), 9);
}

#[test]
fn the_wait_stays_the_longest_however_often_it_crashes() {
    let mut bench = Bench::new();
    bench.start();
    for _ in 0..200 {
        crash(&mut bench);
    }
    assert_eq!(crash(&mut bench), 60.0);
}

#[test]
fn workers_wait_from_a_tenth_of_a_second_to_ten_seconds() {
    let mut bench = Bench::with(Policy { delay: seconds(0.1), delay_max: seconds(10.0), ..policy() });
    bench.start();
    let waits: Vec<f64> = (0..9).map(|_| (crash(&mut bench) * 1000.0).round()).collect();
    assert_eq!(waits, [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, 10_000.0, 10_000.0]);
}

#[test]
fn a_longest_wait_below_the_first_one_changes_nothing() {
    let mut bench = Bench::with(Policy { delay_max: seconds(0.0), ..policy() });
    bench.start();
    assert_eq!([crash(&mut bench), crash(&mut bench)], [1.0, 1.0]);
}

#[test]
fn after_a_healthy_run_the_restart_is_immediate_and_the_next_wait_is_the_first() {
    let mut bench = Bench::new();
    bench.start();
    crash(&mut bench);
    crash(&mut bench);
    bench.handle(Input::Ready);
    bench.take();
    let later = bench.now + 1.0;
    bench.at(later).exit(1);
    assert_eq!(bench.take(), [spawn(4)]);
    assert_eq!(crash(&mut bench), 1.0);
}

#[test]
fn a_run_that_was_ready_but_not_for_long_enough_is_not_healthy() {
    let mut bench = Bench::new();
    bench.start();
    bench.handle(Input::Ready);
    bench.at(0.999).exit(0);
    assert_eq!(bench.unit.state(), State::Backoff);
}

#[test]
fn a_run_that_lived_long_but_was_never_ready_is_not_healthy() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(59.0).exit(0);
    assert_eq!(bench.unit.state(), State::Backoff);
}

#[test]
fn the_time_others_of_its_group_take_to_go_does_not_make_a_run_healthy() {
    let mut bench = Bench::running();
    bench.at(0.2).handle(crate::bench::exited(1, true));
    bench.at(5.0).handle(Input::Gone);
    assert_eq!((bench.unit.state(), bench.last().lived), (State::Backoff, seconds(0.2)));
}

#[test]
fn the_time_an_abort_takes_does_not_make_a_run_healthy() {
    let mut bench = Bench::running();
    bench.at(0.2).fail();
    bench.at(1.2).exit(0);
    assert_eq!((bench.unit.state(), bench.last().lived), (State::Backoff, seconds(0.2)));
}

#[test]
fn in_a_storm_of_deaths_even_a_healthy_run_waits() {
    let mut bench = Bench::running();
    bench.storm = true;
    bench.at(100.0).exit(1);
    assert_eq!((bench.unit.state(), bench.due()), (State::Backoff, Some(101.0)));
}

#[test]
fn start_and_restart_forget_the_failures() {
    for restart in [false, true] {
        let mut bench = Bench::new();
        bench.start();
        crash(&mut bench);
        crash(&mut bench);
        bench.exit(1);
        if restart {
            bench.restart()
        } else {
            bench.start()
        }
        assert_eq!(bench.unit.state(), State::Starting, "at once");
        assert_eq!(crash(&mut bench), 1.0);
    }
}

#[test]
fn a_gate_that_closed_meanwhile_is_waited_for_after_the_wait() {
    let mut bench = Bench::new();
    bench.start();
    bench.exit(1);
    bench.gate = false;
    bench.at(1.0).deadline();
    assert_eq!((bench.phase(), bench.due()), (Phase::Waiting, None));
    bench.gate = true;
    bench.reconcile();
    assert_eq!(bench.take(), [spawn(1), spawn(2)]);
}

#[test]
fn an_open_gate_does_not_cut_the_wait_short() {
    let mut bench = Bench::new();
    bench.start();
    bench.exit(1);
    bench.take();
    bench.at(0.5).reconcile();
    bench.deadline();
    assert_eq!((bench.unit.state(), bench.take()), (State::Backoff, vec![]));
}
