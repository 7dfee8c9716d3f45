//! Companions that listen on a socket held for them: looked at while they start.

mod world;

use proto::spec::{CompanionSpec, Ready};
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{Input as UnitInput, State};
use world::{World, companion, listener};

fn listening(ready: Ready) -> CompanionSpec {
    CompanionSpec {
        listen: Some(listener("redis")),
        ready,
        start_timeout: Duration::from_secs(10),
        ..companion("redis")
    }
}

fn world(spec: CompanionSpec) -> World {
    let mut world = World::new(vec![spec]);
    world.behave("redis", Program { ready_after: None, ..Program::obedient() });
    world.seconds(1);
    world
}

#[test]
fn one_that_is_seen_waiting_is_ready_and_looked_at_no_more() {
    for ready in [Ready::Auto, Ready::Listening] {
        let mut world = world(listening(ready));
        assert_eq!(world.state("redis"), State::Starting);
        let run = *world.looks.last().expect("it is looked at");
        world.handle(companion_manager::table::Input::Run { run, input: UnitInput::Ready });
        assert_eq!(world.state("redis"), State::Running);
        world.looks.clear();
        world.seconds(60);
        assert_eq!(world.looks, []);
    }
}

#[test]
fn one_that_is_never_seen_is_taken_as_ready_only_where_nobody_has_said_how_it_tells() {
    let mut auto = world(listening(Ready::Auto));
    auto.seconds(10);
    assert_eq!(auto.state("redis"), State::Running);
    assert!(auto.lines.iter().any(|line| line.contains("set ready to say how it tells")), "{:?}", auto.lines);
    let mut listening = world(listening(Ready::Listening));
    listening.seconds(10);
    assert_ne!(listening.state("redis"), State::Running);
}

#[test]
fn another_manager_goes_on_looking() {
    let mut world = world(listening(Ready::Listening));
    world.crash(usize::MAX);
    world.looks.clear();
    world.seconds(1);
    assert!(!world.looks.is_empty());
}
