//! What outlives a manager.

mod world;

use companion_manager::table::Input;
use proto::control::{ScaleChange, ScaleTarget, Verb};
use proto::link::{Pace, ToArbiter};
use proto::spec::{CompanionSpec, RestartPolicy};
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{ExitStatus, State};
use world::{World, companion, names, restart, specification, start, stop};

#[test]
fn running_processes_are_not_touched_and_not_forgotten() {
    let mut rq = companion("rq");
    rq.count = 2;
    let mut world = World::new(vec![companion("redis"), rq]);
    world.seconds(1);
    let before = (world.pids("redis"), world.pids("rq"));
    world.crash(0);
    world.seconds(10);
    assert_eq!((world.pids("redis"), world.pids("rq")), before);
    assert_eq!(world.spawned.len(), 3);
    world.ask(stop(&["*"]));
    world.seconds(2);
    assert_eq!(world.living(), 0);
}

#[test]
fn what_was_stopped_by_hand_and_what_was_scaled_stays_so() {
    let mut world = World::new(vec![companion("redis"), companion("rq")]);
    world.seconds(1);
    world.ask(stop(&["redis"]));
    world.ask(Verb::Scale { target: ScaleTarget::Companion("rq".into()), change: ScaleChange::To(3) });
    world.seconds(1);
    for _ in 0..3 {
        world.crash(0);
        world.seconds(2);
    }
    assert_eq!(world.state("redis"), State::Stopped);
    assert_eq!(world.pids("rq").len(), 3);
}

#[test]
fn a_manager_that_begins_in_a_stop_starts_nothing_that_it_would_stop() {
    let mut world = World::new(vec![companion("redis"), companion("rq")]);
    world.handle(Input::Stop { required_too: false, pace: Pace::Graceful });
    world.seconds(1);
    let spawned = world.spawned.len();
    world.forget_records();
    world.stop = Some((false, Pace::Graceful));
    world.crash(0);
    world.seconds(5);
    assert_eq!((world.spawned.len(), world.living()), (spawned, 0));
    world.take_told();
    world.handle(Input::Stop { required_too: false, pace: Pace::Graceful });
    world.seconds(1);
    assert_eq!(world.take_told(), [ToArbiter::Stopped { required_too: false, killed: false }]);
}

#[test]
fn a_back_off_goes_on_where_it_was() {
    let mut spec = companion("redis");
    spec.restart_delay = Duration::from_secs(8);
    let mut world = World::new(vec![spec]);
    let crashing = Program {
        ready_after: None,
        ends_after: Some((Duration::from_millis(100), ExitStatus::Code(1))),
        ..Program::obedient()
    };
    world.behave("redis", crashing);
    world.seconds(1);
    world.behave("redis", Program::obedient());
    world.crash(0);
    world.seconds(6);
    assert_eq!((world.state("redis"), world.spawned.len()), (State::Backoff, 1));
    world.seconds(2);
    assert_eq!(world.state("redis"), State::Running);
}

/// A command is recorded and then the manager dies before it has done all of it.
fn die_within(verb: Verb, performed: usize) -> World {
    let mut rq = companion("rq");
    rq.count = 2;
    rq.after = names(&["db"]);
    let mut world = World::new(vec![companion("db"), rq]);
    world.seconds(1);
    world.table.handle(
        Input::Command {
            asker: companion_manager::table::Asker { client: 1, id: 1, token: [1; 16] },
            request: proto::control::Request { id: 1, token: [1; 16], wait: true, verb },
        },
        world.kernel.now(),
    );
    world.crash(performed);
    world.seconds(90);
    let asker = companion_manager::table::Asker { client: 1, id: 1, token: [1; 16] };
    assert!(world.results(asker).iter().all(|result| !result.failed), "{}", world.message(asker));
    world
}

#[test]
fn a_stop_is_carried_out_wherever_the_manager_dies() {
    for performed in 0..8 {
        let world = die_within(stop(&["*"]), performed);
        assert_eq!(world.living(), 0, "after {performed} actions");
        assert_eq!((world.state("db"), world.state("rq")), (State::Stopped, State::Stopped));
    }
}

#[test]
fn a_restart_leaves_everything_running_wherever_the_manager_dies() {
    for performed in 0..8 {
        let world = die_within(restart(&["*"]), performed);
        assert_eq!(world.spawned.len(), 6, "each once, and once again");
        assert_eq!(world.living(), 3, "after {performed} actions");
        assert_eq!((world.state("db"), world.state("rq")), (State::Running, State::Running));
    }
}

#[test]
fn a_start_is_carried_out_wherever_the_manager_dies() {
    for performed in 0..6 {
        // One that would not be started again, had it really been started.
        let mut quiet = CompanionSpec { restart: RestartPolicy::Never, ..companion("quiet") };
        quiet.autostart = false;
        let mut world = World::new(vec![quiet]);
        world.seconds(1);
        world.table.handle(
            Input::Command {
                asker: companion_manager::table::Asker { client: 1, id: 1, token: [1; 16] },
                request: proto::control::Request {
                    id: 1,
                    token: [1; 16],
                    wait: true,
                    verb: start(&["quiet"]),
                },
            },
            world.kernel.now(),
        );
        world.crash(performed);
        world.seconds(1);
        assert_eq!((world.state("quiet"), world.living()), (State::Running, 1), "after {performed} actions");
    }
}

#[test]
fn a_commit_that_was_carried_out_but_not_told_of_starts_nothing_twice() {
    for later in [10, 100, 3000] {
        let mut world = World::new(vec![companion("gone"), companion("same")]);
        let stubborn = Program { leaves_after: Some((Duration::from_secs(1), 0)), ..Program::obedient() };
        world.behave("gone", stubborn);
        world.seconds(1);
        let spec = specification(vec![companion("fresh"), companion("same")]);
        world.prepare(spec.clone());
        world.handle(Input::Commit { only: None });
        world.run_for(Duration::from_millis(later));
        let fresh = world.pids("fresh");
        assert_eq!((fresh.len(), world.spawned.len()), (1, 3));
        world.told.clear();
        world.crash(0);
        world.handle(Input::Commit { only: None });
        world.candidate = None;
        world.spec = spec;
        world.seconds(10);
        assert_eq!((world.pids("fresh"), world.spawned.len()), (fresh, 3), "after {later} ms");
        assert!(world.table.by_name("gone").is_none());
        let report = world.report();
        assert_eq!(report.added, names(&["fresh"]));
        assert_eq!(report.removed, names(&["gone"]));
    }
}

#[test]
fn what_was_lost_is_not_begun_again_where_it_is_to_stop_or_to_go() {
    for performed in 0..4 {
        let migration = CompanionSpec { restart: RestartPolicy::Never, autostart: false, ..companion("rq") };
        let mut world = World::new(vec![migration]);
        world.seconds(1);
        let asker = companion_manager::table::Asker { client: 1, id: 1, token: [1; 16] };
        let request = proto::control::Request { id: 1, token: [1; 16], wait: true, verb: start(&["rq"]) };
        world.table.handle(Input::Command { asker, request }, world.kernel.now());
        world.stop = Some((true, Pace::Graceful));
        world.crash(performed);
        world.seconds(10);
        assert_eq!(world.living(), 0, "after {performed} actions");
        assert!(!world.lines.iter().any(|line| line.contains("starting it again")), "{:?}", world.lines);

        let mut world = World::new(vec![]);
        let mut spec = specification(vec![companion("fresh")]);
        spec.required = names(&["fresh"]);
        world.table.handle(Input::Prepare { operation: 1, spec }, world.kernel.now());
        // The reload is given up meanwhile.
        world.crash(performed);
        world.seconds(10);
        assert_eq!(world.living(), 0, "after {performed} actions");
        assert!(!world.lines.iter().any(|line| line.contains("starting it again")), "{:?}", world.lines);
    }
}

#[test]
fn an_end_is_in_the_history_once_though_the_next_run_is_lost() {
    for performed in 0..4 {
        let mut world = World::new(vec![companion("redis")]);
        world.seconds(2);
        let (run, _) = world.kernel.runs().next().expect("it runs");
        world.kernel.exit(run, 3);
        world.fuse = Some(performed);
        world.seconds(1);
        assert_eq!(world.state("redis"), State::Running);
        let info = world.table.info("redis", world.kernel.now(), Duration::from_secs(1000), 0).unwrap();
        assert_eq!(info.exits.len(), 1, "after {performed} actions: {:?}", info.exits);
    }
}

#[test]
fn what_a_reload_that_is_given_up_had_started_is_removed_by_the_next_manager() {
    let mut world = World::new(vec![companion("same")]);
    world.seconds(1);
    let mut spec = specification(vec![companion("fresh"), companion("same")]);
    spec.required = names(&["fresh"]);
    world.prepare(spec);
    world.seconds(1);
    assert_eq!(world.living(), 2);
    world.crash(0);
    world.seconds(1);
    assert_eq!(world.living(), 2);
    world.handle(Input::Abort);
    world.candidate = None;
    world.seconds(10);
    assert_eq!((world.living(), world.spawned.len()), (1, 2));
    assert!(world.table.by_name("fresh").is_none());
}

#[test]
fn a_commit_is_carried_out_by_the_next_manager_wherever_the_first_dies() {
    for told_new in [false, true] {
        for performed in 0..8 {
            let mut world = World::new(vec![companion("gone"), companion("other"), companion("same")]);
            world.seconds(1);
            let same = world.pids("same");
            let mut other = companion("other");
            other.process.command.push("--other".into());
            let spec = specification(vec![companion("fresh"), other, companion("same")]);
            world.table.handle(Input::Prepare { operation: 1, spec: spec.clone() }, world.kernel.now());
            world.table.handle(Input::Commit { only: None }, world.kernel.now());
            if told_new {
                world.spec = spec.clone();
            }
            world.crash(performed);
            world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
            world.handle(Input::Commit { only: None });
            world.spec = spec;
            world.seconds(10);
            assert!(world.told.iter().any(|message| matches!(message, ToArbiter::Committed { .. })));
            assert_eq!(world.living(), 3, "after {performed} actions");
            assert_eq!(world.pids("same"), same);
            assert_eq!((world.state("fresh"), world.state("other")), (State::Running, State::Running));
            assert!(world.table.by_name("gone").is_none());
        }
    }
}

#[test]
fn a_group_that_outlived_its_leader_and_its_manager_is_ended_before_the_next_start() {
    let mut world = World::new(vec![companion("redis")]);
    let leaving = Program {
        ends_after: Some((Duration::from_millis(2500), ExitStatus::Code(1))),
        others: 2,
        others_leave_after: None,
        ..Program::obedient()
    };
    world.behave("redis", leaving);
    world.seconds(1);
    world.behave("redis", Program::obedient());
    // The end is known and recorded, and SIGKILL is not sent any more.
    while world.state("redis") == State::Running {
        let next = [world.kernel.next_event(), world.table.next_deadline()].into_iter().flatten().min();
        world.kernel.advance_to(next.expect("something happens"));
        let Some((run, input)) = world.kernel.poll_event() else { continue };
        if let supervise::Input::Exited { exit, .. } = &input {
            world.note_exit(run, *exit);
        }
        world.table.handle(Input::Run { run, input }, world.kernel.now());
    }
    world.crash(0);
    world.seconds(20);
    assert_eq!((world.living(), world.state("redis")), (1, State::Running));
}

#[test]
fn without_records_what_runs_goes_on_and_nothing_else_is_started() {
    let mut quiet = companion("quiet");
    quiet.autostart = false;
    let mut world = World::new(vec![companion("redis"), quiet, companion("stopped")]);
    world.seconds(1);
    world.ask(stop(&["stopped"]));
    world.seconds(1);
    let before = world.pids("redis");
    world.forget_records();
    world.crash(0);
    world.seconds(5);
    assert_eq!(world.pids("redis"), before);
    assert_eq!((world.state("redis"), world.state("stopped")), (State::Running, State::Stopped));
    world.ask(restart(&["redis"]));
    world.seconds(1);
    assert_ne!(world.pids("redis"), before);
}
