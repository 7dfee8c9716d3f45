//! Companions that are asked how they are.

mod world;

use proto::spec::{Check, CompanionSpec, Health, Ready};
use std::time::Duration;
use supervise::State;
use supervise::simulator::Program;
use world::{World, companion, start, stop};

/// A program that says nothing of itself.
fn silent() -> Program {
    Program { ready_after: None, ..Program::obedient() }
}

fn check() -> Check {
    Check::Tcp("127.0.0.1:63{slot}".into())
}

fn asked() -> CompanionSpec {
    let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(5));
    CompanionSpec { ready: Ready::Probe { check: check(), interval, timeout }, ..companion("redis") }
}

fn watched(failures: u32) -> CompanionSpec {
    let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
    CompanionSpec {
        health: Some(Health { check: check(), interval, timeout, failures }),
        ..companion("redis")
    }
}

/// Lets the time pass until a try is under way.
fn until_asked(world: &mut World) {
    for _ in 0..20 {
        if world.tries.is_empty() {
            world.seconds(1);
        }
    }
    assert_eq!(world.tries.len(), 1);
}

fn reason(world: &World) -> String {
    let slot = &world.table.by_name("redis").expect("it is known").slots[&1];
    slot.unit.reason(world.kernel.now()).unwrap_or_default()
}

#[test]
fn one_with_a_check_is_ready_when_that_is_well_and_tells_meanwhile_what_it_waits_for() {
    let mut world = World::new(vec![asked()]);
    world.behave("redis", silent());
    world.seconds(1);
    assert_eq!(world.tries.len(), 1);
    world.answer(Err("connection refused"));
    assert_eq!(reason(&world), "waiting for 127.0.0.1:631: connection refused");
    world.seconds(2);
    assert_eq!((world.state("redis"), world.tries.len()), (State::Starting, 1));
    world.answer(Ok(()));
    assert_eq!(world.state("redis"), State::Running);
    world.seconds(100);
    assert_eq!(world.tries, [], "there is nothing more to ask");
}

#[test]
fn one_that_never_answers_is_stopped_at_its_start_timeout_and_says_why() {
    let mut world = World::new(vec![asked()]);
    world.behave("redis", silent());
    world.seconds(61);
    assert_eq!(world.state("redis"), State::Backoff);
    let expected = "was not ready within 60 s (waiting for 127.0.0.1:631: no answer within 5 s)";
    assert!(reason(&world).starts_with(expected), "{}", reason(&world));
}

#[test]
fn another_manager_goes_on_asking() {
    let mut world = World::new(vec![asked()]);
    world.behave("redis", silent());
    world.seconds(1);
    world.crash(0);
    assert_eq!(world.tries.len(), 1);
    world.answer(Ok(()));
    assert_eq!(world.state("redis"), State::Running);
}

#[test]
fn so_many_bad_answers_in_a_row_replace_a_process_and_fewer_do_not() {
    let mut world = World::new(vec![watched(2)]);
    world.seconds(1);
    let first = world.pids("redis");
    for result in [Err("connection refused"), Ok(()), Err("connection refused")] {
        until_asked(&mut world);
        world.answer(result);
    }
    assert_eq!((world.state("redis"), world.pids("redis")), (State::Running, first.clone()));
    until_asked(&mut world);
    world.answer(Err("connection refused"));
    world.seconds(1);
    assert_eq!(world.state("redis"), State::Running);
    assert_ne!(world.pids("redis"), first);
    let unit = &world.table.by_name("redis").unwrap().slots[&1].unit;
    assert_eq!(unit.restarts(), 1, "nobody asked for it");
    let sentence = unit.last().unwrap().sentence();
    assert!(sentence.ends_with("(127.0.0.1:631: connection refused)"), "{sentence}");
}

#[test]
fn one_that_is_stopped_is_asked_no_more_and_one_that_is_started_again_is() {
    let mut world = World::new(vec![watched(1)]);
    until_asked(&mut world);
    world.ask(stop(&["redis"]));
    world.seconds(60);
    assert_eq!(world.tries, []);
    world.ask(start(&["redis"]));
    until_asked(&mut world);
}

#[test]
fn a_changed_check_takes_effect_in_place() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(20);
    assert_eq!(world.tries, []);
    let pids = world.pids("redis");
    let spec = world::specification(vec![watched(1)]);
    world.handle(companion_manager::table::Input::Prepare { operation: 1, spec: spec.clone() });
    world.handle(companion_manager::table::Input::Commit { only: None });
    until_asked(&mut world);
    assert_eq!(world.pids("redis"), pids);
}
