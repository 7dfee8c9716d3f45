//! What outlives a manager.

mod world;

use companion_manager::table::Input;
use proto::control::{ScaleChange, ScaleTarget, Verb};
use proto::link::{Pace, ToArbiter};
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
        let mut quiet = companion("quiet");
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
        world.seconds(10);
        assert_eq!((world.state("quiet"), world.living()), (State::Running, 1), "after {performed} actions");
    }
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
            world.table.handle(Input::Commit, world.kernel.now());
            if told_new {
                world.spec = spec.clone();
            }
            world.crash(performed);
            world.handle(Input::Prepare { operation: 1, spec: spec.clone() });
            world.handle(Input::Commit);
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
