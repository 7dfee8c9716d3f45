//! An operator's stop: it beats whatever else was to come, and takes no longer than it may.

mod world;

use companion_manager::table::Input;
use proto::control::{Reply, Verb};
use proto::spec::{Check, CompanionSpec, Flapping, Health, Recycle};
use std::time::Duration;
use supervise::simulator::{Program, Sleep};
use supervise::{ExitStatus, State};
use world::{World, companion, names, restart, run, start, stop};

const SECOND: Duration = Duration::from_secs(1);

/// What was to become of a companion, and how its world comes there.
struct Case {
    what: &'static str,
    spec: fn(CompanionSpec) -> CompanionSpec,
    program: fn() -> Program,
    /// Until it is stopped.
    until: fn(&mut World),
    state: State,
}

fn crashing() -> Program {
    Program { ends_after: Some((SECOND / 10, ExitStatus::Code(1))), ..Program::obedient() }
}

fn silent() -> Program {
    Program { ready_after: None, ..Program::obedient() }
}

fn slow_to_stop() -> Program {
    Program { leaves_after: Some((3 * SECOND, 0)), ..Program::obedient() }
}

fn deaf() -> Program {
    Program { leaves_after: None, others: 2, others_leave_after: None, ..Program::obedient() }
}

fn say(world: &mut World, text: &str) {
    let unit = &world.table.by_name("redis").expect("it is known").slots[&1].unit;
    let run = unit.run().expect("it runs").id;
    world.handle(Input::Notified { run, text: text.into() });
}

const CASES: [Case; 10] = [
    Case {
        what: "a back-off",
        spec: |spec| spec,
        program: crashing,
        until: |world| world.run_for(SECOND / 2),
        state: State::Backoff,
    },
    Case {
        what: "the wait after a flap",
        spec: |spec| CompanionSpec {
            flapping: Some(Flapping {
                attempts: 1,
                window: 60 * SECOND,
                retry_in: 50 * SECOND,
                max_retry: 3,
            }),
            ..spec
        },
        program: crashing,
        until: |world| world.seconds(20),
        state: State::Backoff,
    },
    Case {
        what: "a start that has no end",
        spec: |spec| CompanionSpec { start_timeout: 5 * SECOND, ..spec },
        program: silent,
        until: |world| world.seconds(4),
        state: State::Starting,
    },
    Case {
        what: "the end of one that was not ready in time",
        spec: |spec| CompanionSpec { start_timeout: 5 * SECOND, ..spec },
        program: || Program { ready_after: None, ..slow_to_stop() },
        until: |world| world.seconds(6),
        state: State::Stopping,
    },
    Case {
        what: "silence that is doubted",
        spec: |spec| CompanionSpec { watchdog: 5 * SECOND, ..spec },
        program: slow_to_stop,
        until: |world| {
            world.seconds(1);
            say(world, "WATCHDOG=1");
            world.seconds(6);
        },
        state: State::Running,
    },
    Case {
        what: "a lifetime that is over",
        spec: |spec| CompanionSpec {
            recycle: Recycle { max_lifetime: 5 * SECOND, ..Recycle::default() },
            ..spec
        },
        program: slow_to_stop,
        until: |world| world.seconds(6),
        state: State::Stopping,
    },
    Case {
        what: "a check under way",
        spec: |spec| CompanionSpec {
            health: Some(Health {
                check: Check::Tcp("127.0.0.1:1".into()),
                interval: SECOND,
                timeout: 60 * SECOND,
                failures: 1,
            }),
            ..spec
        },
        program: slow_to_stop,
        until: |world| {
            world.seconds(3);
            assert_eq!(world.tries.len(), 1);
        },
        state: State::Running,
    },
    Case {
        what: "the wait for what it comes after",
        spec: |spec| CompanionSpec { after: names(&["db"]), ..spec },
        program: Program::obedient,
        until: |world| world.seconds(5),
        state: State::Starting,
    },
    Case {
        what: "a restart under way",
        spec: |spec| spec,
        program: slow_to_stop,
        until: |world| {
            world.seconds(1);
            world.ask(restart(&["redis"]));
            world.seconds(1);
        },
        state: State::Stopping,
    },
    Case {
        what: "one that leaves by itself",
        spec: |spec| spec,
        program: || Program { ends_after: Some((4 * SECOND, ExitStatus::Code(0))), ..Program::obedient() },
        until: |world| {
            world.seconds(1);
            say(world, "STOPPING=1");
        },
        state: State::Stopping,
    },
];

#[test]
fn a_stop_beats_every_timer_also_over_a_death_of_the_manager() {
    for Case { what, spec, program, until, state } in CASES {
        for dies in [false, true] {
            let mut world = World::new(vec![companion("db"), spec(companion("redis"))]);
            world.behave("db", Program { ready_after: Some(10 * SECOND), ..Program::obedient() });
            world.behave("redis", program());
            until(&mut world);
            assert_eq!(world.state("redis"), state, "{what}");
            let runs: Vec<_> = world.kernel.runs().map(|(run, _)| run).collect();
            let tries = world.tries.clone();
            let asked = world.ask(stop(&["redis"]));
            let started = world.spawned.len();
            if dies {
                world.crash(0);
            }
            // What was asked before is answered now.
            runs.into_iter().for_each(|run| world.handle(Input::PassedOn { run }));
            for (attempt, _) in tries {
                world.handle(Input::Tried { attempt, result: Err("connection refused".into()) });
            }
            world.seconds(5);
            assert!(world.reply(asked).is_some(), "{what}, dies: {dies}: no answer");
            assert_eq!(world.message(asked), "stopped", "{what}, dies: {dies}");
            world.seconds(1000);
            assert_eq!(world.spawned.len(), started, "{what}, dies: {dies}: something was started again");
            assert_eq!((world.state("redis"), world.living()), (State::Stopped, 1), "{what}, dies: {dies}");
        }
    }
}

#[test]
fn deadlines_do_not_wait_for_one_another() {
    let all: Vec<String> = (0..20).map(|number| format!("deaf{number:02}")).collect();
    let spec = |name: &String| {
        let mut spec = companion(name);
        spec.stop.timeout = 2 * SECOND;
        spec
    };
    let mut world = World::new(all.iter().map(spec).collect());
    all.iter().for_each(|name| world.behave(name, deaf()));
    world.seconds(1);
    assert_eq!(world.living(), 60);
    let asked = world.ask(stop(&["*"]));
    world.run_for(Duration::from_millis(1990));
    assert!(world.reply(asked).is_none());
    world.run_for(Duration::from_millis(20));
    assert_eq!((world.living(), world.message(asked)), (0, vec!["stopped"; 20].join("; ")));
}

#[test]
fn a_stop_is_answered_when_what_was_killed_has_gone_and_not_before() {
    let mut spec = companion("redis");
    spec.stop.timeout = SECOND;
    for (sleeps, expected) in [(5, "stopped"), (60, "it sleeps in the kernel")] {
        let mut world = World::new(vec![spec.clone()]);
        let sleep = Some(Sleep { begins: Duration::ZERO, lasts: Some(sleeps * SECOND) });
        world.behave("redis", Program { sleep, ..Program::obedient() });
        world.run_for(SECOND / 2);
        let asked = world.ask(stop(&["redis"]));
        world.seconds(3);
        assert!(world.reply(asked).is_none(), "SIGKILL alone ends nothing");
        world.seconds(10);
        let message = world.message(asked);
        assert!(message.ends_with(expected), "{message}");
        world.seconds(60);
        assert_eq!((world.living(), world.state("redis")), (0, State::Stopped));
    }
}

#[test]
fn one_of_several_is_stopped_alone_and_a_stop_of_all_takes_the_others_and_their_one_offs() {
    let mut world = World::new(vec![CompanionSpec { count: 3, ..companion("redis") }]);
    world.behave("redis", slow_to_stop());
    world.seconds(1);
    let ran = world.ask_and(run("redis", &[]), false);
    world.seconds(1);
    let one = world.ask(stop(&["redis:2"]));
    world.seconds(1);
    let all = world.ask(Verb::Stop { names: names(&["redis"]), force: false });
    world.seconds(10);
    assert!(matches!(world.reply(ran), Some(Reply::Done(_))));
    assert_eq!(world.message(one), "stopped");
    assert_eq!(world.message(all), "stopped; stopped; stopped; stopped");
    assert_eq!((world.living(), world.state("redis")), (0, State::Stopped));
    let asked = world.ask(start(&["redis:2"]));
    world.seconds(1);
    assert_eq!((world.message(asked).as_str(), world.living()), ("started", 1));
}
