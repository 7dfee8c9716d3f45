//! What becomes of companions that end again and again.

mod world;

use companion_manager::table::Input;
use proto::control::{SignalTarget, Verb};
use proto::link::ToArbiter;
use proto::spec::{CompanionSpec, Flapping, Recycle, RestartPolicy};
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{Ending, ExitStatus, State};
use world::{World, companion, names, specification, start, stop};

const SECOND: Duration = Duration::from_secs(1);

fn crashing() -> Program {
    let ends_after = Some((Duration::from_millis(100), ExitStatus::Code(1)));
    Program { ready_after: None, ends_after, ..Program::obedient() }
}

/// Given up at the second flap of two ends.
fn shaky(critical: bool) -> CompanionSpec {
    let flapping = Flapping { attempts: 2, window: 20 * SECOND, retry_in: 5 * SECOND, max_retry: 1 };
    CompanionSpec { flapping: Some(flapping), critical, ..companion("redis") }
}

fn lost(world: &mut World) -> usize {
    world.take_told().iter().filter(|message| matches!(message, ToArbiter::CriticalLost { .. })).count()
}

fn world(spec: CompanionSpec) -> World {
    let mut world = World::new(vec![spec]);
    world.behave("redis", crashing());
    world
}

#[test]
fn one_that_flaps_is_given_up_also_when_the_manager_dies_at_every_end() {
    for crashes in [false, true] {
        let mut world = world(shaky(false));
        for _ in 0..30 {
            world.seconds(1);
            if crashes {
                world.crash(0);
                world.behave("redis", crashing());
            }
        }
        assert_eq!((world.state("redis"), world.spawned.len()), (State::Fatal, 4), "crashes: {crashes}");
    }
}

#[test]
fn a_critical_one_that_is_given_up_is_told_once_by_each_manager() {
    let mut world = world(shaky(true));
    world.seconds(5);
    assert_eq!(lost(&mut world), 0);
    world.seconds(30);
    assert_eq!((world.state("redis"), lost(&mut world)), (State::Fatal, 1));
    world.seconds(30);
    assert_eq!(lost(&mut world), 0);
    world.crash(0);
    assert_eq!(lost(&mut world), 1, "the one before may have died before it said so");
}

#[test]
fn a_critical_one_that_is_not_to_be_started_again_is_lost_where_it_fails() {
    for (code, expected) in [(1, 1), (0, 0)] {
        let spec = CompanionSpec { critical: true, restart: RestartPolicy::Never, ..companion("redis") };
        let mut world = World::new(vec![spec]);
        let ends_after = Some((SECOND, ExitStatus::Code(code)));
        world.behave("redis", Program { ends_after, ..Program::obedient() });
        world.seconds(5);
        assert_eq!((world.state("redis"), lost(&mut world)), (State::Exited, expected));
    }
}

#[test]
fn a_critical_one_that_an_operator_ends_by_a_signal_is_not_lost() {
    let spec = CompanionSpec { critical: true, restart: RestartPolicy::Never, ..companion("redis") };
    let mut world = World::new(vec![spec]);
    world.seconds(2);
    world.ask(Verb::Signal { target: SignalTarget::Companions(names(&["redis"])), signal: 9 });
    world.seconds(2);
    assert_eq!((world.state("redis"), lost(&mut world)), (State::Exited, 0));
    let unit = &world.table.by_name("redis").expect("it is known").slots[&1].unit;
    assert!(unit.last().is_some_and(Ending::was_requested));
    world.crash(0);
    assert_eq!((world.state("redis"), lost(&mut world)), (State::Exited, 0), "nor for the next manager");
    assert_eq!(world.spawned.len(), 1);
}

#[test]
fn one_that_becomes_critical_later_is_told_of_when_it_is_given_up_again() {
    let mut world = world(shaky(false));
    world.seconds(30);
    assert_eq!(world.state("redis"), State::Fatal);
    world.handle(Input::Prepare { operation: 1, spec: specification(vec![shaky(true)]) });
    world.handle(Input::Commit { only: None });
    world.seconds(1);
    assert_eq!(lost(&mut world), 0);
    world.ask(start(&["redis"]));
    world.seconds(30);
    assert_eq!(lost(&mut world), 1);
}

#[test]
fn one_that_is_only_being_prepared_fails_its_reload_and_nothing_else() {
    let mut world = World::new(Vec::new());
    world.behave("redis", crashing());
    let flapping = Some(Flapping { attempts: 1, window: SECOND, retry_in: SECOND, max_retry: 0 });
    let mut spec = specification(vec![CompanionSpec { flapping, ..shaky(true) }]);
    spec.required = vec!["redis".into()];
    world.handle(Input::Prepare { operation: 1, spec });
    world.seconds(5);
    let told = world.take_told();
    assert!(told.iter().any(|message| matches!(message, ToArbiter::Prepared { result: Err(_), .. })));
    assert!(!told.iter().any(|message| matches!(message, ToArbiter::CriticalLost { .. })));
}

#[test]
fn other_settings_reset_what_was_counted() {
    let mut world = world(shaky(false));
    // One flap is over, and the first end after it.
    world.seconds(7);
    let ends = world.spawned.len();
    assert_eq!(ends, 3);
    let changed = CompanionSpec { restart_delay_max: 30 * SECOND, ..shaky(false) };
    world.handle(Input::Prepare { operation: 1, spec: specification(vec![changed]) });
    world.handle(Input::Commit { only: None });
    world.seconds(30);
    assert_eq!(world.state("redis"), State::Fatal);
    assert_eq!(world.spawned.len() - ends, 4, "two whole flaps again");
}

fn watched() -> World {
    let spec = CompanionSpec { watchdog: 10 * SECOND, ..companion("redis") };
    let mut world = World::new(vec![spec]);
    world.seconds(2);
    assert_eq!(world.state("redis"), State::Running);
    world
}

fn run_of(world: &World) -> supervise::RunId {
    let slot = &world.table.by_name("redis").expect("it is known").slots[&1];
    slot.unit.run().expect("it runs").id
}

fn beat(world: &mut World) {
    let run = run_of(world);
    world.handle(Input::Notified { run, text: "WATCHDOG=1".into() });
}

fn asked_to_pass_on(world: &mut World) -> usize {
    world.take_told().iter().filter(|message| matches!(message, ToArbiter::PassOn { .. })).count()
}

#[test]
fn silence_counts_from_the_first_sign_of_life_on_and_arbiter_is_asked_before_it_is_believed() {
    let mut world = watched();
    world.seconds(100);
    assert_eq!(world.spawned.len(), 1, "it has never beaten");
    beat(&mut world);
    world.seconds(9);
    beat(&mut world);
    world.seconds(9);
    assert_eq!(asked_to_pass_on(&mut world), 0);
    world.seconds(2);
    assert_eq!((asked_to_pass_on(&mut world), world.spawned.len()), (1, 1));
    // A sign lay with arbiter.
    let run = run_of(&world);
    beat(&mut world);
    world.handle(Input::PassedOn { run });
    world.seconds(9);
    assert_eq!(world.state("redis"), State::Running);
    world.seconds(2);
    assert_eq!(asked_to_pass_on(&mut world), 1);
    world.handle(Input::PassedOn { run });
    assert_eq!(world.state("redis"), State::Stopping);
    world.seconds(10);
    assert_eq!((world.state("redis"), world.spawned.len()), (State::Running, 2));
    let unit = &world.table.by_name("redis").expect("it is known").slots[&1].unit;
    assert_eq!(unit.restarts(), 1, "nobody asked for that");
    world.seconds(100);
    assert_eq!(world.spawned.len(), 2, "the new one has never beaten");
}

#[test]
fn a_manager_that_was_away_or_has_just_begun_forgives_silence_once() {
    let mut world = watched();
    beat(&mut world);
    world.seconds(9);
    world.handle(Input::WasAway);
    world.seconds(9);
    assert_eq!(asked_to_pass_on(&mut world), 0);
    world.crash(0);
    world.seconds(9);
    assert_eq!(asked_to_pass_on(&mut world), 0);
    world.seconds(2);
    assert_eq!(asked_to_pass_on(&mut world), 1, "it has beaten once, so its silence counts");
}

fn recycled(count: u32, recycle: Recycle) -> World {
    let mut world = World::new(vec![CompanionSpec { recycle, count, ..companion("redis") }]);
    world.seconds(2);
    assert_eq!(world.state("redis"), State::Running);
    world
}

#[test]
fn lifetimes_end_one_after_the_other_and_are_the_same_for_the_next_manager() {
    let recycle =
        Recycle { max_lifetime: 100 * SECOND, max_lifetime_jitter: 50 * SECOND, ..Recycle::default() };
    let restarted = |crashes: bool| {
        let mut world = recycled(3, recycle);
        let mut moments = Vec::new();
        for second in 0..200 {
            world.seconds(1);
            if crashes && second % 7 == 0 {
                world.crash(0);
            }
            let down = world.table.by_name("redis").expect("it is known");
            assert!(down.slots.values().filter(|slot| !slot.unit.is_ready()).count() <= 1);
            moments.push(world.spawned.len());
        }
        assert!(moments[95] == 3 && moments[199] >= 6, "{moments:?}");
        moments
    };
    assert_eq!(restarted(false), restarted(true));
}

#[test]
fn one_that_grew_too_big_is_restarted_and_one_that_shrinks_in_time_is_not() {
    let mut world = recycled(2, Recycle { memory_max: 1000, ..Recycle::default() });
    world.seconds(10);
    assert_eq!(world.measured.len(), 2);
    let first = world.measured[0].run;
    world.handle(Input::Weighed { run: first, bytes: 1000 });
    world.seconds(5);
    assert_eq!(world.spawned.len(), 2, "that is as much as it may use");
    world.handle(Input::Weighed { run: first, bytes: 1001 });
    world.seconds(5);
    assert_eq!((world.spawned.len(), world.state("redis")), (3, State::Running));
    let processes = &world.table.by_name("redis").expect("it is known").slots;
    assert!(processes.values().all(|slot| slot.unit.restarts() == 0), "that is no failure");
    world.handle(Input::Weighed { run: first, bytes: 5000 });
    world.seconds(5);
    assert_eq!(world.spawned.len(), 3, "that run is over");
}

#[test]
fn what_is_stopped_by_hand_no_lifetime_starts_again() {
    let mut world = recycled(1, Recycle { max_lifetime: 10 * SECOND, ..Recycle::default() });
    world.seconds(7);
    world.ask(stop(&["redis"]));
    world.seconds(60);
    assert_eq!((world.state("redis"), world.spawned.len()), (State::Stopped, 1));
}
