//! Each rule of the checker can be broken, by a unit that was tampered with; and the record of a sound
//! one is enough to go on.

use crate::bench::{Bench, moment, policy, seconds};
use serde_json::{Value, json};
use supervise::simulator::check_unit;
use supervise::{Input, Policy, Readiness, Restart, Unit};

/// `unit` with one of its fields replaced.
fn tampered(unit: &Unit, field: &str, value: Value) -> Unit {
    let mut record = serde_json::to_value(unit).expect("a unit is data");
    record[field] = value;
    serde_json::from_value(record).expect("still a unit")
}

fn violation(unit: &Unit, now: f64, gate: bool) -> String {
    check_unit(unit, moment(now), gate, true).expect_err("a broken rule").to_string()
}

#[test]
fn a_sound_unit_breaks_no_rule() {
    for bench in [Bench::new(), Bench::running()] {
        assert_eq!(check_unit(&bench.unit, moment(0.0), true, true), Ok(()));
    }
}

#[test]
fn a_run_where_there_can_be_none_is_found() {
    let bench = Bench::running();
    let without = tampered(&bench.unit, "run", Value::Null);
    assert!(violation(&without, 0.0, true).contains("has a run where there can be none"));
    let stopped = tampered(&bench.unit, "phase", json!("Stopped"));
    assert!(violation(&stopped, 0.0, true).contains("has a run where there can be none"));
}

#[test]
fn one_that_should_be_stopped_and_runs_is_found() {
    let unit = tampered(&Bench::running().unit, "desired", json!("Down"));
    assert!(violation(&unit, 0.0, true).contains("should be stopped"));
}

#[test]
fn one_that_nothing_will_wake_is_found() {
    let stopped = tampered(&Unit::new(), "desired", json!("Up"));
    assert!(violation(&stopped, 0.0, true).contains("nothing will wake it"));
    let waiting = tampered(&stopped, "phase", json!("Waiting"));
    assert!(violation(&waiting, 0.0, true).contains("nothing will wake it"));
    assert_eq!(check_unit(&waiting, moment(0.0), false, true), Ok(()), "a closed gate will");
}

#[test]
fn a_deadline_in_the_past_is_found_once_all_is_done() {
    let mut bench = Bench::with(Policy { readiness: Readiness::Alive(seconds(1.0)), ..policy() });
    bench.start();
    bench.handle(Input::Spawned { pid: 10 });
    assert!(violation(&bench.unit, 1.5, true).contains("in the past"));
    assert_eq!(check_unit(&bench.unit, moment(1.5), true, false), Ok(()));
}

#[test]
fn a_unit_goes_on_from_its_record_in_every_phase() {
    let mut backoff = Bench::new();
    backoff.start();
    backoff.exit(1);
    let mut starting = Bench::new();
    starting.start();
    let mut stopping = Bench::running();
    stopping.stop();
    let mut exited = Bench::with(Policy { restart: Restart::Never, ..policy() });
    exited.start();
    exited.handle(Input::NotSpawned { reason: "too many processes".into() });
    for bench in [Bench::new(), backoff, starting, stopping, exited, Bench::running()] {
        let record = serde_json::to_string(&bench.unit).expect("a unit is data");
        let again: Unit = serde_json::from_str(&record).expect("a unit");
        assert_eq!(again, bench.unit);
    }
}
