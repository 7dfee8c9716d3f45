//! What comes after what: gates at the start, levels at the stop.

mod world;

use companion_manager::table::Input;
use proto::control::STOPPING;
use proto::link::{Pace, ToArbiter};
use proto::spec::{CompanionSpec, Flapping};
use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Program};
use supervise::{ExitStatus, State};
use world::{World, companion, specification, start, stop};

fn after(name: &str, below: &[&str]) -> CompanionSpec {
    let mut spec = companion(name);
    spec.after = world::names(below);
    spec
}

fn slow_to_stop() -> Program {
    Program { leaves_after: Some((Duration::from_secs(3), 0)), ..Program::obedient() }
}

#[test]
fn a_gate_opens_when_everything_below_is_ready() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"]), after("web", &["rq", "db"])]);
    world.behave("db", Program { ready_after: Some(Duration::from_secs(2)), ..Program::obedient() });
    world.seconds(1);
    assert_eq!(world.state("rq"), State::Starting);
    let shown = world.table.view(&[], world.kernel.now(), Duration::ZERO).unwrap();
    let reason = |index: usize| shown[index].processes[0].process.reason.clone().unwrap_or_default();
    assert_eq!(reason(1), "waiting for db to be ready");
    assert_eq!(reason(2), "waiting for rq, db to be ready");
    assert_eq!(shown[1].processes[0].process.pid, None);
    world.seconds(2);
    assert_eq!(world.spawned.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["db", "rq", "web"]);
    assert_eq!(world.state("web"), State::Running);
}

#[test]
fn changes_of_state_are_told_only_where_that_is_asked_for() {
    for tells_changes in [false, true] {
        let mut spec = specification(vec![companion("db")]);
        spec.tells_changes = tells_changes;
        let mut world = World::with(spec, Kernel::new(7, Odds::calm()), false);
        world.behave("db", Program { ready_after: Some(Duration::from_secs(2)), ..Program::obedient() });
        world.seconds(3);
        world.ask(stop(&["db"]));
        world.seconds(1);
        let changes: Vec<_> = world
            .take_told()
            .into_iter()
            .filter_map(|message| match message {
                ToArbiter::CompanionEvent(change) => {
                    Some((change.before, change.after, change.pid.is_some()))
                }
                _ => None,
            })
            .collect();
        let all = [
            (State::Stopped, State::Starting, false),
            (State::Starting, State::Running, true),
            (State::Running, State::Stopping, true),
            (State::Stopping, State::Stopped, true),
        ];
        assert_eq!(changes, if tells_changes { all.to_vec() } else { Vec::new() });
    }
}

#[test]
fn a_migration_that_ended_with_success_opens_the_gate_and_a_failed_one_does_not() {
    for (code, expected) in [(0, State::Running), (1, State::Starting)] {
        let mut migrate = companion("migrate");
        migrate.ready = proto::spec::Ready::Exit;
        migrate.restart = proto::spec::RestartPolicy::Never;
        let mut world = World::new(vec![migrate, after("web", &["migrate"])]);
        let ends = Some((Duration::from_secs(1), ExitStatus::Code(code)));
        world.behave("migrate", Program { ends_after: ends, ..Program::obedient() });
        world.seconds(5);
        assert_eq!(
            (world.state("migrate"), world.state("web")),
            (State::Exited, expected),
            "exit code {code}"
        );
    }
}

#[test]
fn start_of_what_comes_after_something_stopped_fails_at_once() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"])]);
    world.seconds(1);
    world.ask(stop(&["rq", "db"]));
    world.seconds(1);
    let alone = world.ask(start(&["rq"]));
    assert_eq!(world.message(alone), "comes after db, which is STOPPED: start db first");
    assert_eq!(world.state("rq"), State::Stopped);
    let both = world.ask(start(&["rq", "db"]));
    world.seconds(1);
    assert_eq!(world.message(both), "started; started");
}

#[test]
fn a_stop_of_all_goes_level_by_level() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"]), after("web", &["rq"])]);
    for name in ["db", "rq", "web"] {
        world.behave(name, slow_to_stop());
    }
    world.seconds(1);
    let asked = world.ask(stop(&["*"]));
    for (level, expected) in [
        ["RUNNING", "RUNNING", "STOPPING"],
        ["RUNNING", "STOPPING", "STOPPED"],
        ["STOPPING", "STOPPED", "STOPPED"],
    ]
    .iter()
    .enumerate()
    {
        world.seconds(if level == 0 { 1 } else { 3 });
        let states = ["db", "rq", "web"].map(|name| world.state(name).to_string());
        assert_eq!(&states, expected, "level {level}");
    }
    world.seconds(3);
    assert_eq!(world.message(asked), "stopped; stopped; stopped");
}

#[test]
fn a_start_during_a_stop_of_all_spares_what_was_not_asked_yet() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"])]);
    world.behave("rq", slow_to_stop());
    world.seconds(1);
    let before = world.pids("db");
    world.ask(stop(&["*"]));
    world.seconds(1);
    world.ask(start(&["db"]));
    world.seconds(10);
    assert_eq!(world.pids("db"), before);
    assert_eq!(world.state("rq"), State::Stopped);
}

#[test]
fn a_start_during_a_stop_of_all_holds_up_nobody_else() {
    for seconds in [1, 4] {
        let mut world = World::new(vec![
            companion("db"),
            after("rq", &["db"]),
            after("web", &["rq"]),
            after("www", &["rq"]),
        ]);
        world.behave("web", slow_to_stop());
        world.behave("rq", slow_to_stop());
        world.seconds(1);
        let stopped = world.ask(stop(&["*"]));
        world.seconds(seconds);
        let asked_already = seconds > 3;
        assert_eq!(world.state("rq"), if asked_already { State::Stopping } else { State::Running });
        let started = world.ask(start(&["rq"]));
        world.seconds(10);
        assert_eq!(world.message(stopped), "stopped; was started meanwhile; stopped; stopped");
        assert_eq!(world.state("db"), State::Stopped);
        if asked_already {
            // It goes first, and what it comes after was being stopped then.
            assert_eq!(world.message(started), "comes after db, which is STOPPED: start db first");
            assert_eq!(world.living(), 0);
        } else {
            assert_eq!((world.message(started).as_str(), world.living()), ("was already running", 1));
        }
    }
}

fn reason(world: &World, name: &str) -> String {
    let shown =
        world.table.view(&world::names(&[name]), world.kernel.now(), Duration::ZERO).expect("it is known");
    shown[0].processes[0].process.reason.clone().unwrap_or_default()
}

fn crashing() -> Program {
    Program { ends_after: Some((Duration::from_millis(100), ExitStatus::Code(1))), ..Program::obedient() }
}

#[test]
fn start_of_what_comes_after_something_given_up_fails_at_once_and_works_when_that_is_started_again() {
    let mut db = companion("db");
    let window = Duration::from_secs(60);
    db.flapping = Some(Flapping { attempts: 1, window, retry_in: Duration::ZERO, max_retry: 0 });
    let mut world = World::new(vec![db, after("rq", &["db"])]);
    world.behave("db", Program { ready_after: None, ..crashing() });
    world.seconds(1);
    assert_eq!((world.state("db"), world.state("rq")), (State::Fatal, State::Starting));
    let alone = world.ask(start(&["rq"]));
    assert_eq!(world.message(alone), "comes after db, which is FATAL: start db first");
    world.behave("db", Program::obedient());
    world.ask(start(&["db"]));
    world.seconds(1);
    assert_eq!(world.state("rq"), State::Running, "it was still wanted");
}

#[test]
fn one_that_comes_after_something_that_fails_again_and_again_starts_once_that_is_ready() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"])]);
    world.behave("db", Program { ready_after: None, ..crashing() });
    world.seconds(20);
    assert_eq!((world.state("db"), world.state("rq")), (State::Backoff, State::Starting));
    assert_eq!(reason(&world, "rq"), "waiting for db to be ready");
    assert!(world.spawned.iter().all(|(name, _)| name == "db"));
    world.behave("db", Program::obedient());
    world.seconds(60);
    assert_eq!(world.state("rq"), State::Running);
}

#[test]
fn a_chain_of_fifty_starts_from_its_bottom_and_stops_from_its_top() {
    let all: Vec<String> = (0..50).map(|number| format!("link{number:02}")).collect();
    let spec = |at: usize| {
        after(&all[at], &all[at.saturating_sub(1)..at].iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut world = World::new((0..50).map(spec).collect());
    world.seconds(5);
    let started: Vec<&str> = world.spawned.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(started, all);
    let asked = world.ask(stop(&["*"]));
    world.seconds(5);
    assert_eq!(world.message(asked), vec!["stopped"; 50].join("; "));
    let mut asked: Vec<&str> = world.signalled.iter().map(|(name, ..)| name.as_str()).collect();
    asked.reverse();
    assert_eq!(asked, all);
}

#[test]
fn another_order_counts_from_the_reload_on_that_brings_it_and_replaces_nobody() {
    let mut world = World::new(vec![companion("db"), companion("rq"), companion("web")]);
    world.seconds(1);
    let before = [world.pids("db"), world.pids("rq"), world.pids("web")];
    let spec = specification(vec![companion("db"), after("rq", &["db"]), after("web", &["rq"])]);
    world.spec = spec.clone();
    world.handle(Input::Prepare { operation: 1, spec });
    world.handle(Input::Commit { only: None });
    world.seconds(1);
    assert_eq!([world.pids("db"), world.pids("rq"), world.pids("web")], before);
    world.crash(0);
    world.ask(stop(&["*"]));
    world.seconds(1);
    let asked: Vec<&str> = world.signalled.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(asked, ["web", "rq", "db"]);
    let refused = world.ask(start(&["web"]));
    assert_eq!(world.message(refused), "comes after rq, which is STOPPED: start rq first");
}

#[test]
fn one_that_no_longer_waits_for_anything_starts_with_the_reload_that_says_so() {
    let mut world = World::new(vec![companion("db"), after("rq", &["db"])]);
    world.behave("db", Program { ready_after: None, ..Program::obedient() });
    world.seconds(1);
    assert_eq!(world.state("rq"), State::Starting);
    for spec in [vec![companion("db"), companion("rq")], vec![companion("rq")]] {
        let spec = specification(spec);
        world.spec = spec.clone();
        world.handle(Input::Prepare { operation: 1, spec });
        world.handle(Input::Commit { only: None });
        world.seconds(1);
        assert_eq!(world.state("rq"), State::Running);
    }
}

fn required(names: &[&str]) -> World {
    let mut spec = specification(vec![companion("db"), companion("mail"), after("rq", &["db"])]);
    spec.required = world::names(names);
    World::with(spec, Kernel::new(7, Odds::calm()), false)
}

#[test]
fn arbiter_is_told_when_what_the_workers_require_is_ready() {
    let mut world = required(&["db"]);
    world.behave("db", Program { ready_after: Some(Duration::from_secs(2)), ..Program::obedient() });
    world.seconds(1);
    assert_eq!(world.take_told(), [ToArbiter::Required { waiting_for: Some("db".into()) }]);
    world.seconds(5);
    assert_eq!(world.take_told(), [ToArbiter::Required { waiting_for: None }]);
}

#[test]
fn the_others_stop_before_what_the_workers_require() {
    let mut world = required(&["db"]);
    world.seconds(1);
    world.take_told();
    world.handle(Input::Stop { required_too: false, pace: Pace::Graceful });
    world.seconds(1);
    assert_eq!(world.take_told(), [ToArbiter::Stopped { required_too: false, killed: false }]);
    assert_eq!((world.state("db"), world.state("mail")), (State::Running, State::Stopped));
    let refused = world.ask(start(&["mail"]));
    assert_eq!(world.message(refused), STOPPING);
    world.handle(Input::Stop { required_too: true, pace: Pace::Graceful });
    world.seconds(1);
    assert!(world.take_told().contains(&ToArbiter::Stopped { required_too: true, killed: false }));
    assert_eq!(world.living(), 0);
}

#[test]
fn nothing_is_started_again_during_a_stop() {
    let mut world = required(&[]);
    let crashing = Program {
        ends_after: Some((Duration::from_millis(300), ExitStatus::Code(1))),
        ..Program::obedient()
    };
    world.behave("db", crashing);
    world.behave("rq", Program { leaves_after: Some((Duration::from_secs(20), 0)), ..Program::obedient() });
    world.seconds(10);
    world.handle(Input::Stop { required_too: true, pace: Pace::Graceful });
    let spawned = world.spawned.len();
    world.seconds(30);
    assert_eq!(world.spawned.len(), spawned);
    assert_eq!(world.living(), 0);
}

#[test]
fn a_quick_stop_kills_after_five_seconds_a_level_and_a_harsher_one_hurries_a_patient_one() {
    let mut world = required(&[]);
    for name in ["db", "rq"] {
        world.behave(name, Program { leaves_after: None, ..Program::obedient() });
    }
    world.seconds(1);
    world.take_told();
    world.handle(Input::Stop { required_too: true, pace: Pace::Graceful });
    world.seconds(20);
    assert_eq!(world.living(), 2);
    world.handle(Input::Stop { required_too: true, pace: Pace::Quick });
    world.run_for(Duration::from_millis(5100));
    assert_eq!(world.living(), 1, "rq is killed, and db asked");
    world.run_for(Duration::from_millis(5100));
    assert_eq!(world.living(), 0);
    assert_eq!(world.take_told().last(), Some(&ToArbiter::Stopped { required_too: true, killed: true }));
}

#[test]
fn force_kills_all_at_once() {
    let mut world = required(&["db"]);
    world.seconds(1);
    world.handle(Input::Stop { required_too: true, pace: Pace::Force });
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.living(), 0);
    assert!(world.told.contains(&ToArbiter::Stopped { required_too: true, killed: true }));
}

#[test]
fn without_arbiter_everything_is_gone_after_five_seconds() {
    let mut world = required(&["db"]);
    for name in ["db", "rq", "mail"] {
        world.behave(name, Program { leaves_after: None, ..Program::obedient() });
    }
    world.seconds(1);
    world.handle(Input::Orphaned);
    world.run_for(Duration::from_millis(5100));
    assert_eq!(world.living(), 0);
    assert!(world.table.is_empty());
}
