//! Workers whose readiness is asked for.

use crate::bench::Bench;
use crate::samples;
use proto::link::Pace;
use proto::spec::{Check, Ready, WorkersSpec};
use std::time::Duration;
use supervise::State;

fn asked(count: u32) -> WorkersSpec {
    let ready = Ready::Probe {
        check: Check::Http("http://127.0.0.1:80{slot}/".into()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
    };
    WorkersSpec { ready, ..samples::workers(count) }
}

fn starting(count: u32) -> Bench {
    let mut bench = Bench::with(asked(count), true);
    bench.start();
    bench
}

#[test]
fn a_worker_is_asked_as_soon_as_it_has_a_process_and_again_until_all_is_well() {
    let mut bench = starting(1);
    let wanted = bench.take();
    assert_eq!((wanted.tried, wanted.looked), (vec![(1, 1)], vec![]));
    bench.answer(1, 1, Err("connection refused"));
    let process = bench.status().processes[0].process.clone();
    assert_eq!(process.state, State::Starting);
    assert_eq!(process.reason.as_deref(), Some("waiting for http://127.0.0.1:801/: connection refused"));
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert_eq!(bench.take().tried, [(1, 1)]);
    bench.answer(1, 1, Ok(()));
    let process = bench.status().processes[0].process.clone();
    assert_eq!((process.state, process.reason), (State::Running, None));
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn a_worker_that_never_answers_well_is_aborted_at_its_start_timeout_and_its_end_says_why() {
    let mut bench = starting(1);
    bench.answer(1, 1, Err("it answered 503"));
    bench.take();
    while bench.take().asked.is_empty() {
        bench.wait();
    }
    bench.exit(1, 1, 1);
    let reason = bench.status().processes[0].process.reason.clone().unwrap();
    assert_eq!(reason, "was not ready within 60 s (waiting for http://127.0.0.1:801/: no answer within 5 s)");
}

#[test]
fn a_worker_that_is_being_stopped_is_asked_no_more() {
    let mut bench = starting(2);
    bench.answer(1, 1, Err("connection refused"));
    bench.take();
    bench.stop(Pace::Graceful);
    assert_eq!(bench.take().given_up, 1, "the second one's try was under way");
    bench.exit(1, 1, 0);
    bench.exit(2, 1, 0);
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn a_successor_takes_over_when_its_own_check_is_well() {
    let mut bench = starting(1);
    bench.answer(1, 1, Ok(()));
    bench.take();
    bench.roll_out(Some(asked(1)));
    assert_eq!(bench.take().tried, [(1, 2)]);
    bench.answer(1, 2, Err("connection refused"));
    assert_eq!(bench.take().asked, []);
    bench.pass(1.0);
    bench.answer(1, 2, Ok(()));
    assert_eq!(bench.take().asked, [((1, 1), 15)]);
}
