//! Extra processes from a companion's settings.

mod world;

use proto::control::{Answer, CompanionUntil, Reply, ScaleChange, ScaleTarget, SignalTarget, Verb};
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{ExitStatus, State};
use world::{World, companion, names, restart, run, start, stop};

/// Time enough to become ready.
const SOON: Duration = Duration::from_millis(10);

/// A program that ends by itself after a second.
fn brief(code: i32) -> Program {
    let ends_after = Some((Duration::from_secs(1), ExitStatus::Code(code)));
    Program { ends_after, ..Program::obedient() }
}

/// The pid, and how it ended where that was waited for.
fn answer(world: &World, asked: companion_manager::table::Asker) -> (i32, Option<ExitStatus>, bool) {
    match world.reply(asked) {
        Some(Reply::Done(Answer::Run { pid, exit, success })) => (*pid, *exit, *success),
        other => panic!("expected the answer to a run, found {other:?}"),
    }
}

#[test]
fn a_one_off_is_answered_by_its_pid_and_runs_beside_the_companion() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    let first = world.ask_and(run("rq", &["--burst"]), false);
    let second = world.ask_and(run("rq", &[]), false);
    world.run_for(SOON);
    assert_eq!(world.pids("rq").iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(answer(&world, first).0, world.pids("rq")[1].1);
    assert_eq!(answer(&world, second), (world.pids("rq")[2].1, None, true));
    assert_eq!(world.ran, [names(&["--burst"]), vec![]]);
    let shown = world.table.view(&[], world.kernel.now(), Duration::ZERO).unwrap();
    let processes: Vec<_> = shown[0].processes.iter().map(|it| (it.process.slot, it.oneoff)).collect();
    assert_eq!(processes, [(1, false), (0, true), (0, true)]);
    assert_eq!((shown[0].target, shown[0].state), (1, State::Running));
}

#[test]
fn the_end_of_one_that_is_waited_for_is_told_and_judged_by_the_companions_success_codes() {
    let mut spec = companion("rq");
    spec.success_exit_codes = vec![3];
    let mut world = World::new(vec![spec]);
    world.seconds(1);
    for (code, success) in [(3, true), (0, false)] {
        world.behave("rq", brief(code));
        let asked = world.ask_and(run("rq", &[]), true);
        world.run_for(SOON);
        assert_eq!(world.reply(asked), None, "it runs");
        world.seconds(2);
        let (_, exit, told) = answer(&world, asked);
        assert_eq!((exit, told), (Some(ExitStatus::Code(code)), success));
    }
    assert_eq!(world.spawned, [("rq".into(), 1), ("rq".into(), 0), ("rq".into(), 0)], "never again");
}

#[test]
fn one_of_a_stopped_companion_runs_and_the_companion_stays_stopped() {
    let mut spec = companion("rq");
    spec.count = 0;
    let mut world = World::new(vec![companion("db"), spec]);
    world.ask(stop(&["db"]));
    world.seconds(1);
    for name in ["db", "rq"] {
        world.ask_and(run(name, &[]), false);
    }
    world.seconds(1);
    world.crash(usize::MAX);
    world.seconds(1);
    assert_eq!((world.state("db"), world.state("rq")), (State::Stopped, State::Stopped));
    assert_eq!((world.pids("db").len(), world.pids("rq").len()), (1, 1));
}

#[test]
fn one_offs_are_stopped_with_their_companion_and_not_restarted_nor_scaled_with_it() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    world.ask_and(run("rq", &[]), false);
    world.run_for(SOON);
    let oneoff = world.pids("rq")[1];
    world.ask(restart(&["rq"]));
    world.seconds(1);
    let change = ScaleChange::To(2);
    world.ask(Verb::Scale { target: ScaleTarget::Companion("rq".into()), change });
    world.seconds(1);
    assert_eq!(world.pids("rq")[2], oneoff);
    let asked = world.ask(stop(&["rq"]));
    world.seconds(1);
    assert_eq!(
        world.results(asked).iter().map(|result| result.slot).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(0)]
    );
    assert_eq!(world.living(), 0);
    assert_eq!(world.state("rq"), State::Stopped);
}

#[test]
fn slot_0_names_one_offs_for_stop_signal_and_wait() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    let asked = world.ask(stop(&["rq:0"]));
    assert_eq!(world.message(asked), "no one-off of rq runs, and slot 0 is that of one-offs");
    world.ask_and(run("rq", &[]), false);
    world.run_for(SOON);
    let target = SignalTarget::Companions(names(&["rq:0"]));
    let signalled = world.ask(Verb::Signal { target, signal: 1 });
    assert_eq!(world.message(signalled), "SIGHUP sent");
    for verb in [start(&["rq:0"]), restart(&["rq:0"])] {
        let asked = world.ask(verb);
        let expected = "slot 0 is that of one-offs: start one with `arbiterctl run companion rq`";
        assert_eq!(world.message(asked), expected);
    }
    let waiting = world.ask(Verb::Wait { name: "rq:0".into(), until: CompanionUntil::Stopped });
    let stopped = world.ask(stop(&["rq:0"]));
    world.seconds(1);
    assert_eq!((world.message(waiting), world.message(stopped)), ("stopped".into(), "stopped".into()));
    assert_eq!((world.state("rq"), world.living()), (State::Running, 1));
}

#[test]
fn a_signal_to_a_stopped_companion_reaches_its_one_offs_and_their_end_was_asked_for() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    world.ask_and(run("rq", &[]), false);
    world.ask(stop(&["rq:1"]));
    world.seconds(1);
    let target = SignalTarget::Companions(names(&["rq"]));
    let signalled = world.ask(Verb::Signal { target: target.clone(), signal: 9 });
    let results = world.results(signalled);
    assert_eq!(
        results.iter().map(|result| (result.slot, result.failed)).collect::<Vec<_>>(),
        [(Some(0), false)]
    );
    world.seconds(1);
    assert_eq!(world.living(), 0);
    let none = world.ask(Verb::Signal { target, signal: 9 });
    assert!(world.results(none).iter().all(|result| result.failed), "now there is none to signal");
}

#[test]
fn a_manager_that_dies_at_any_moment_of_a_run_neither_loses_it_nor_does_it_twice() {
    for performed in 0..4 {
        let mut world = World::new(vec![companion("rq")]);
        world.seconds(1);
        world.behave("rq", brief(0));
        let token = [7; 16];
        let asker = companion_manager::table::Asker { client: 1, id: 1, token };
        let verb = run("rq", &["--once"]);
        let request = proto::control::Request { id: 1, token, wait: true, verb };
        let now = world.kernel.now();
        world.table.handle(companion_manager::table::Input::Command { asker, request }, now);
        world.crash(performed);
        world.seconds(5);
        assert_eq!(world.ran, [names(&["--once"])], "after {performed}");
        assert_eq!(answer(&world, asker).1, Some(ExitStatus::Code(0)), "after {performed}");
        assert_eq!(world.living(), 1);
    }
}

#[test]
fn one_that_ends_while_there_is_no_manager_is_told_of_all_the_same() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    world.behave("rq", brief(4));
    let asked = world.ask_and(run("rq", &[]), true);
    world.run_for(SOON);
    world.crash(0);
    assert_eq!(world.reply(asked), None);
    world.seconds(3);
    let (_, exit, success) = answer(&world, asked);
    assert_eq!((exit, success), (Some(ExitStatus::Code(4)), false));
}

#[test]
fn without_records_a_one_off_runs_on_as_one() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    world.ask_and(run("rq", &[]), false);
    world.run_for(SOON);
    let before = world.pids("rq");
    world.forget_records();
    world.crash(0);
    world.seconds(1);
    assert_eq!(world.pids("rq"), before);
}

#[test]
fn what_cannot_be_run_is_refused() {
    let mut world = World::new(vec![companion("a"), companion("b")]);
    world.seconds(1);
    for (name, expected) in [
        ("*", "* is not one companion: run takes one, by its full name"),
        ("a:1", "a:1 is not one companion: run takes one, by its full name"),
        ("x", "no companion is called x: see `arbiterctl status`"),
    ] {
        let asked = world.ask(run(name, &[]));
        assert_eq!(world.message(asked), expected);
    }
    let env = vec![("A=B".to_owned(), String::new())];
    let request = proto::control::RunRequest { name: "a".into(), env, args: Vec::new() };
    let asked = world.ask(Verb::Run(request));
    assert_eq!(world.message(asked), "\"A=B\" is no name of a variable: give --env NAME=VALUE");
    world.behave("a", Program { leaves_after: None, ..Program::obedient() });
    world.ask(restart(&["a"]));
    world.seconds(1);
    world.ask(stop(&["a"]));
    let asked = world.ask(run("a", &[]));
    assert_eq!(world.message(asked), "a is being stopped: run it when it has stopped, or start it");
}
