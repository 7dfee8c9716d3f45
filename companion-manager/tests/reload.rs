//! The difference between two specifications, and what is done about it.

mod world;

use companion_manager::table::Input;
use proto::control::ReloadReport;
use proto::link::ToArbiter;
use proto::spec::CompanionSpec;
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{ExitStatus, State};
use world::{World, companion, names, restart, specification, stop};

fn changed(name: &str) -> CompanionSpec {
    let mut spec = companion(name);
    spec.process.command.push("--other".into());
    spec
}

fn crashing() -> Program {
    Program {
        ready_after: None,
        ends_after: Some((Duration::from_millis(100), ExitStatus::Code(1))),
        ..Program::obedient()
    }
}

impl World {
    fn reload(&mut self, companions: Vec<CompanionSpec>) {
        let spec = specification(companions);
        self.handle(Input::Prepare { operation: 1, spec: spec.clone() });
        self.handle(Input::Commit { only: None });
        self.spec = spec;
    }
}

#[test]
fn every_companion_ends_up_in_its_class_and_only_those_that_must_are_restarted() {
    let mut in_place = companion("in_place");
    let mut scaled = companion("scaled");
    let old =
        vec![companion("gone"), in_place.clone(), companion("other"), companion("same"), scaled.clone()];
    let mut world = World::new(old);
    world.seconds(1);
    let pids = |world: &World, name: &str| world.pids(name);
    let before = ["in_place", "other", "same", "scaled"].map(|name| pids(&world, name));
    in_place.stop.timeout = Duration::from_secs(5);
    scaled.count = 3;
    world.reload(vec![companion("fresh"), in_place, changed("other"), companion("same"), scaled]);
    world.seconds(2);
    let report = world.report();
    assert_eq!(report.added, ["fresh"]);
    assert_eq!(report.removed, ["gone"]);
    assert_eq!(report.restarted, ["other"]);
    assert_eq!(report.scaled, ["scaled"]);
    assert_eq!(report.applied, ["in_place"]);
    assert_eq!(report.unchanged, ["same"]);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let after = ["in_place", "other", "same", "scaled"].map(|name| pids(&world, name));
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert_ne!(before[1], after[1]);
    assert_eq!((after[3].len(), after[3][0]), (3, before[3][0]));
    assert!(world.table.by_name("gone").is_none());
    assert_eq!(world.state("fresh"), State::Running);
}

#[test]
fn each_setting_that_a_process_keeps_for_life_restarts_it() {
    let changes: [fn(&mut CompanionSpec); 8] = [
        |spec| spec.process.cwd = "/tmp".into(),
        |spec| spec.env_digest = 1,
        |spec| spec.process.umask = Some(0o77),
        |spec| spec.process.nice = Some(3),
        |spec| spec.stdout = proto::spec::Output::Null,
        |spec| spec.streams.push("s".into()),
        |spec| spec.watchdog = Duration::from_secs(9),
        |spec| spec.stdin = proto::spec::Stdin::Pipe,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut world = World::new(vec![companion("redis")]);
        world.seconds(1);
        let mut spec = companion("redis");
        change(&mut spec);
        world.reload(vec![spec]);
        world.seconds(1);
        assert_eq!(world.report().restarted, ["redis"], "change {index}");
        assert_eq!(world.spawned.len(), 2);
    }
}

#[test]
fn what_was_stopped_by_hand_stays_so_and_runs_with_the_new_settings_later() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(1);
    world.ask(stop(&["redis"]));
    world.seconds(1);
    world.reload(vec![changed("redis")]);
    assert_eq!(world.report().applied, ["redis"]);
    world.seconds(10);
    assert_eq!(world.living(), 0);
    assert_eq!(world.table.by_name("redis").unwrap().spec.process.command.len(), 2);
}

#[test]
fn a_changed_autostart_starts_what_was_stopped() {
    let mut quiet = companion("redis");
    quiet.autostart = false;
    let mut world = World::new(vec![quiet]);
    world.seconds(1);
    world.reload(vec![companion("redis")]);
    world.seconds(1);
    assert_eq!(world.report().applied, ["redis"]);
    assert_eq!(world.state("redis"), State::Running);
}

#[test]
fn a_scaled_number_lasts_until_the_configured_one_changes() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    let target = proto::control::ScaleTarget::Companion("rq".into());
    world.ask(proto::control::Verb::Scale { target, change: proto::control::ScaleChange::To(4) });
    world.seconds(1);
    world.reload(vec![changed("rq")]);
    world.seconds(2);
    assert_eq!(world.pids("rq").len(), 4);
    let mut two = changed("rq");
    two.count = 2;
    world.take_told();
    world.reload(vec![two]);
    world.seconds(2);
    assert_eq!(world.report().scaled, ["rq"]);
    assert_eq!(world.pids("rq").len(), 2);
}

#[test]
fn what_fails_afterwards_is_reported_and_the_rest_of_it_not_touched() {
    let mut rq = companion("rq");
    rq.count = 3;
    let mut world = World::new(vec![rq]);
    world.seconds(1);
    let before = world.pids("rq");
    world.behave("rq", crashing());
    world.behave("fresh", crashing());
    let mut rq = changed("rq");
    rq.count = 3;
    world.reload(vec![companion("fresh"), rq]);
    world.seconds(1);
    let report = world.report();
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert!(report.problems.iter().any(|problem| problem.starts_with("fresh: exited with status 1")));
    assert!(report.problems.iter().any(|problem| problem.starts_with("rq: exited with status 1")));
    assert_eq!(world.pids("rq")[..], before[1..]);
}

#[test]
fn what_a_failed_reload_left_as_it_was_the_next_one_restarts() {
    let mut old = companion("rq");
    old.count = 3;
    let mut world = World::new(vec![old]);
    world.seconds(1);
    let before = world.pids("rq");
    world.behave("rq", crashing());
    let mut new = changed("rq");
    new.count = 3;
    world.reload(vec![new.clone()]);
    world.seconds(1);
    assert_eq!(world.report().problems.len(), 1);
    assert_eq!(world.pids("rq")[..], before[1..], "two still run with the settings before");
    world.behave("rq", Program::obedient());
    world.seconds(20);
    world.handle(Input::Compare { operation: 1, spec: specification(vec![new.clone()]) });
    assert_eq!(world.report().restarted, ["rq"]);
    world.reload(vec![new.clone()]);
    world.seconds(2);
    let report = world.report();
    assert_eq!((report.restarted, report.problems), (names(&["rq"]), names(&[])));
    let after = world.pids("rq");
    assert_eq!((after.len(), after.iter().any(|pid| before.contains(pid))), (3, false));
    world.reload(vec![new]);
    world.seconds(2);
    assert_eq!(world.report().unchanged, ["rq"]);
    assert_eq!(world.pids("rq"), after);
}

#[test]
fn new_required_ones_are_ready_before_anything_else_changes_and_removed_by_an_abort() {
    let mut world = World::new(vec![companion("old")]);
    world.seconds(1);
    let mut spec = specification(vec![companion("db"), companion("extra"), changed("old")]);
    spec.required = names(&["db"]);
    let slow = Program { ready_after: Some(Duration::from_secs(2)), ..Program::obedient() };
    world.behave("db", slow);
    world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
    world.seconds(1);
    assert!(!world.told.iter().any(|message| matches!(message, ToArbiter::Prepared { .. })));
    world.seconds(2);
    assert!(world.told.contains(&ToArbiter::Prepared { operation: 1, result: Ok(true) }));
    assert_eq!(world.spawned.len(), 2, "extra and old wait for the commit");
    world.handle(Input::Abort);
    world.seconds(1);
    assert!(world.table.by_name("db").is_none());
    world.take_told();
    world.handle(Input::Prepare { operation: 1, spec });
    world.seconds(3);
    world.handle(Input::Commit { only: None });
    world.seconds(1);
    let report = world.report();
    assert_eq!((report.added, report.restarted), (names(&["db", "extra"]), names(&["old"])));
    assert_eq!(world.living(), 3);
}

#[test]
fn one_that_is_newly_required_is_waited_for_though_it_is_not_new() {
    let mut world = World::new(vec![]);
    let mut spec = specification(vec![companion("db")]);
    world.behave("db", Program { ready_after: Some(Duration::from_secs(3)), ..Program::obedient() });
    world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
    world.handle(Input::Commit { only: None });
    world.seconds(1);
    spec.required = names(&["db"]);
    world.take_told();
    world.handle(Input::Prepare { operation: 2, spec });
    assert_eq!(world.take_told(), []);
    world.seconds(3);
    assert!(world.take_told().contains(&ToArbiter::Prepared { operation: 2, result: Ok(false) }));
}

#[test]
fn a_required_one_that_was_stopped_by_hand_is_not_waited_for() {
    let mut world = World::new(vec![]);
    let mut spec = specification(vec![companion("db")]);
    spec.required = names(&["db"]);
    world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
    world.seconds(1);
    world.handle(Input::Commit { only: None });
    world.ask(stop(&["db"]));
    world.seconds(1);
    world.take_told();
    world.handle(Input::Prepare { operation: 2, spec });
    assert!(world.take_told().contains(&ToArbiter::Prepared { operation: 2, result: Ok(false) }));
}

#[test]
fn a_required_one_that_fails_fails_the_preparation_with_its_reason() {
    let mut world = World::new(vec![]);
    let mut spec = specification(vec![companion("db")]);
    spec.required = names(&["db"]);
    world.behave("db", crashing());
    world.handle(Input::Prepare { operation: 1, spec });
    world.seconds(1);
    let told = world.take_told();
    let failed = told.iter().any(
        |message| matches!(message, ToArbiter::Prepared { result: Err(reason), .. } if reason.starts_with("db: exited with status 1")),
    );
    assert!(failed, "{told:?}");
    world.handle(Input::Abort);
    world.seconds(1);
    assert!(world.table.by_name("db").is_none());
}

#[test]
fn a_removed_one_that_comes_back_before_it_has_gone_is_started_anew() {
    let mut world = World::new(vec![companion("redis")]);
    world
        .behave("redis", Program { leaves_after: Some((Duration::from_secs(10), 0)), ..Program::obedient() });
    world.seconds(1);
    world.reload(vec![]);
    world.seconds(1);
    assert_eq!(world.state("redis"), State::Stopping);
    world.take_told();
    world.reload(vec![companion("redis")]);
    world.seconds(20);
    assert_eq!(world.state("redis"), State::Running);
    assert_eq!(world.spawned.len(), 2);
    assert_eq!(world.report().added, ["redis"]);
}

#[test]
fn a_comparison_changes_nothing() {
    let mut world = World::new(vec![companion("gone"), companion("redis")]);
    world.seconds(1);
    world.handle(Input::Compare {
        operation: 1,
        spec: specification(vec![companion("fresh"), changed("redis")]),
    });
    let report = world.report();
    assert_eq!(
        (report.added, report.removed, report.restarted),
        (names(&["fresh"]), names(&["gone"]), names(&["redis"]))
    );
    world.seconds(1);
    assert_eq!((world.spawned.len(), world.living()), (2, 2));
}

/// A load or an unload failed with what became of a companion that somebody else restarted meanwhile.
#[test]
fn a_change_that_is_about_one_companion_neither_restarts_others_nor_waits_for_them() {
    let two = |spec: CompanionSpec| CompanionSpec { count: 2, ..spec };
    let mut world = World::new(vec![two(companion("behind")), companion("busy")]);
    world.seconds(1);
    world.behave("behind", crashing());
    world.reload(vec![two(changed("behind")), companion("busy")]);
    world.seconds(1);
    assert_eq!(world.report().problems.len(), 1);
    let before = world.pids("behind");
    assert_eq!(before.len(), 1, "it still runs with the settings before");
    world.behave("busy", Program { ready_after: Some(Duration::from_secs(5)), ..Program::obedient() });
    world.ask(restart(&["busy"]));
    world.seconds(1);
    world.take_told();
    let spec = specification(vec![two(changed("behind")), companion("busy"), companion("fresh")]);
    world.handle(Input::Prepare { operation: 2, spec });
    world.handle(Input::Commit { only: Some(names(&["fresh"])) });
    world.seconds(1);
    let expected = ReloadReport { added: names(&["fresh"]), ..ReloadReport::default() };
    assert_eq!(world.report(), expected);
    assert_eq!(world.pids("behind"), before);
    let spec = specification(vec![two(changed("behind")), companion("busy")]);
    world.handle(Input::Prepare { operation: 3, spec });
    world.handle(Input::Commit { only: Some(names(&["fresh"])) });
    world.seconds(1);
    let expected = ReloadReport { removed: names(&["fresh"]), ..ReloadReport::default() };
    assert_eq!(world.report(), expected);
    assert_eq!(world.pids("behind"), before);
}
