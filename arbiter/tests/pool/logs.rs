//! The signal that asks for logs to be reopened.

use crate::bench::Bench;
use crate::samples;
use proto::spec::WorkersSpec;

const USR1: i32 = 10;

fn starting(count: u32) -> Bench {
    let mut bench = Bench::with(WorkersSpec { reopen_signal: Some(USR1), ..samples::workers(count) }, false);
    bench.start();
    bench.take();
    bench
}

#[test]
fn workers_with_a_signal_for_it_get_it_those_that_leave_included() {
    let mut bench = starting(2);
    bench.ready(1, 1);
    bench.ready(2, 1);
    bench.scale_to(1);
    bench.take();
    bench.reopen_logs();
    assert_eq!(bench.take().asked, [((1, 1), USR1), ((2, 1), USR1)]);
}

#[test]
fn one_that_is_starting_gets_it_when_it_is_ready_and_once() {
    let mut bench = starting(1);
    bench.reopen_logs();
    bench.reopen_logs();
    assert_eq!(bench.take().asked, []);
    bench.ready(1, 1);
    assert_eq!(bench.take().asked, [((1, 1), USR1)]);
    bench.pass(1.0);
    assert_eq!(bench.take().asked, []);
}

#[test]
fn what_comes_after_one_that_was_owed_it_has_opened_its_logs_itself() {
    let mut bench = starting(1);
    bench.reopen_logs();
    bench.exit(1, 1, 1);
    bench.wait();
    bench.ready(1, 1);
    assert_eq!(bench.take().asked, []);
}

#[test]
fn nobody_without_a_signal_for_it_gets_any() {
    let mut bench = Bench::serving(2);
    bench.reopen_logs();
    assert_eq!(bench.take().asked, []);
}
