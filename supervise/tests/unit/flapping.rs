//! When one that keeps ending is given up.

use crate::bench::{Bench, policy, seconds};
use supervise::{Flapping, Input, Policy, State};

/// Three ends within ten seconds are a flap; after it, half a minute; the third flap is the end.
fn bench() -> Bench {
    let flapping = Flapping { attempts: 3, window: seconds(10.0), retry_in: seconds(30.0), max_retry: 2 };
    let mut bench = Bench::with(Policy { flapping: Some(flapping), ..policy() });
    bench.start();
    bench
}

/// The current run ends at once; how long it waits then.
fn crash(bench: &mut Bench) -> f64 {
    bench.exit(1);
    bench.due().expect("it is tried again") - bench.now
}

fn come_back(bench: &mut Bench) {
    let due = bench.due().expect("it is tried again");
    bench.at(due).deadline();
    assert_eq!(bench.unit.state(), State::Starting);
}

/// Ends until a flap is complete, and comes back where there is a way.
fn flap(bench: &mut Bench) {
    for _ in 0..2 {
        crash(bench);
        come_back(bench);
    }
    bench.exit(1);
}

#[test]
fn a_flap_waits_long_and_begins_anew_and_the_one_after_the_last_retry_is_fatal() {
    let mut bench = bench();
    for _ in 0..2 {
        let waits = [0, 1, 2].map(|_| {
            let wait = crash(&mut bench);
            come_back(&mut bench);
            wait
        });
        assert_eq!(waits, [1.0, 2.0, 30.0], "the waits begin anew after a flap");
    }
    flap(&mut bench);
    assert_eq!((bench.unit.state(), bench.due()), (State::Fatal, None));
}

#[test]
fn a_person_reads_how_often_it_ended() {
    let mut bench = bench();
    flap(&mut bench);
    assert_eq!(bench.reason(), "exited with status 1 after 0 s, third time within 10 s, retrying in 30 s");
    come_back(&mut bench);
    flap(&mut bench);
    come_back(&mut bench);
    flap(&mut bench);
    assert_eq!(
        bench.reason(),
        "given up: it exited with status 1 after 0 s, third time within 10 s, 3 times over"
    );
}

#[test]
fn whatever_the_operator_does_resets_it() {
    for reset in [Bench::start as fn(&mut Bench), Bench::restart, |bench| bench.unit.forgive()] {
        let mut bench = bench();
        flap(&mut bench);
        come_back(&mut bench);
        flap(&mut bench);
        come_back(&mut bench);
        reset(&mut bench);
        if bench.unit.state() == State::Stopping {
            bench.exit(0);
        }
        flap(&mut bench);
        assert_eq!(bench.unit.state(), State::Backoff, "the first flap of a new row");
    }
}

#[test]
fn one_that_is_given_up_can_be_started_and_is_stopped_by_hand() {
    let mut bench = bench();
    for _ in 0..2 {
        flap(&mut bench);
        come_back(&mut bench);
    }
    flap(&mut bench);
    bench.start();
    assert_eq!(bench.unit.state(), State::Starting);
    bench.handle(Input::Ready);
    bench.stop();
    bench.exit(0);
    assert_eq!((bench.unit.state(), bench.due()), (State::Stopped, None));
}

#[test]
fn ends_that_were_asked_for_never_count() {
    let mut bench = bench();
    for _ in 0..20 {
        bench.restart();
        bench.exit(1);
        assert_eq!(bench.unit.state(), State::Starting);
    }
}

#[test]
fn a_run_as_long_as_the_window_begins_a_new_row() {
    let mut bench = bench();
    for _ in 0..10 {
        flap(&mut bench);
        come_back(&mut bench);
        bench.handle(Input::Ready);
        let later = bench.now + 10.0;
        bench.at(later).exit(1);
        assert_eq!(bench.unit.state(), State::Starting, "a healthy run is followed at once");
    }
}
