//! What operators ask, in each state a companion can be in.

mod world;

use companion_manager::table::Input;
use proto::control::{
    Answer, CompanionUntil, FailureKind, Reply, STOPPING, ScaleChange, ScaleTarget, SignalTarget, Verb,
};
use proto::spec::CompanionSpec;
use std::time::Duration;
use supervise::simulator::Program;
use supervise::{ExitStatus, State};
use world::{World, companion, names, restart, run, start, stop};

fn crashing() -> Program {
    Program {
        ready_after: None,
        ends_after: Some((Duration::from_millis(100), ExitStatus::Code(1))),
        ..Program::obedient()
    }
}

fn stubborn() -> Program {
    Program { leaves_after: None, ..Program::obedient() }
}

fn scale(name: &str, change: ScaleChange) -> Verb {
    Verb::Scale { target: ScaleTarget::Companion(name.into()), change }
}

#[test]
fn autostart_starts_and_a_companion_without_it_is_stopped_until_it_is_started() {
    let mut quiet = companion("quiet");
    quiet.autostart = false;
    let mut world = World::new(vec![companion("redis"), quiet]);
    world.seconds(1);
    assert_eq!((world.state("redis"), world.state("quiet")), (State::Running, State::Stopped));
    let asked = world.ask(start(&["quiet"]));
    assert!(world.reply(asked).is_none(), "it is not ready yet");
    world.seconds(1);
    assert_eq!(world.message(asked), "started");
    assert_eq!(world.state("quiet"), State::Running);
}

#[test]
fn start_of_what_runs_is_a_success_that_changes_nothing() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(1);
    let before = world.pids("redis");
    let asked = world.ask(start(&["redis"]));
    assert_eq!(world.message(asked), "was already running");
    assert!(!world.results(asked)[0].changed);
    assert_eq!(world.pids("redis"), before);
}

#[test]
fn start_answers_at_the_first_failure_and_trying_goes_on() {
    let mut spec = companion("redis");
    spec.autostart = false;
    let mut world = World::new(vec![spec]);
    world.behave("redis", crashing());
    let asked = world.ask(start(&["redis"]));
    world.run_for(Duration::from_millis(500));
    assert!(world.results(asked)[0].failed);
    assert!(world.message(asked).starts_with("exited with status 1 after 0."), "{}", world.message(asked));
    world.behave("redis", Program::obedient());
    world.seconds(3);
    assert_eq!(world.state("redis"), State::Running);
}

#[test]
fn start_in_backoff_starts_now() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", crashing());
    world.seconds(20);
    assert_eq!(world.state("redis"), State::Backoff);
    world.behave("redis", Program::obedient());
    let asked = world.ask(start(&["redis"]));
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.message(asked), "started");
}

#[test]
fn stop_waits_for_the_end_and_beats_every_timer() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", crashing());
    world.run_for(Duration::from_millis(500));
    assert_eq!(world.state("redis"), State::Backoff);
    let asked = world.ask(stop(&["redis"]));
    assert_eq!(world.message(asked), "stopped");
    let spawned = world.spawned.len();
    world.seconds(1000);
    assert_eq!(world.spawned.len(), spawned, "nothing brings back what was stopped");
    assert_eq!(world.state("redis"), State::Stopped);
}

#[test]
fn a_stop_of_what_does_not_listen_ends_with_a_kill_and_force_kills_at_once() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", stubborn());
    world.seconds(1);
    let asked = world.ask(stop(&["redis"]));
    world.seconds(59);
    assert!(world.reply(asked).is_none());
    let forced = world.ask(Verb::Stop { names: names(&["redis"]), force: true });
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.message(asked), "stopped");
    assert_eq!(world.message(forced), "stopped");
    assert_eq!(world.living(), 0);
}

#[test]
fn start_while_stopping_waits_for_the_end_and_then_starts() {
    let mut world = World::new(vec![companion("redis")]);
    let slow = Program { leaves_after: Some((Duration::from_secs(5), 0)), ..Program::obedient() };
    world.behave("redis", slow);
    world.seconds(1);
    let stopping = world.ask(stop(&["redis"]));
    world.seconds(1);
    let starting = world.ask(start(&["redis"]));
    assert_eq!(world.message(stopping), "was started meanwhile");
    world.seconds(10);
    assert_eq!(world.message(starting), "started");
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn a_stop_ends_a_pending_start_as_a_failure() {
    let mut spec = companion("redis");
    spec.autostart = false;
    let mut world = World::new(vec![spec]);
    world.behave("redis", Program { ready_after: None, ..Program::obedient() });
    let starting = world.ask(start(&["redis"]));
    world.seconds(1);
    world.ask(stop(&["redis"]));
    assert_eq!(world.message(starting), "was stopped meanwhile");
    assert!(world.results(starting)[0].failed);
}

#[test]
fn an_unknown_name_among_several_means_that_nothing_is_done() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(1);
    let asked = world.ask(stop(&["redis", "rediss"]));
    match world.reply(asked) {
        Some(Reply::Failed(failure)) => {
            assert_eq!(failure.kind, FailureKind::NotFound);
            let expected = "no companion is called rediss, did you mean redis: see `arbiterctl status`";
            assert_eq!(failure.message, expected);
        }
        other => panic!("expected a failure, found {other:?}"),
    }
    assert_eq!(world.state("redis"), State::Running);
    let slot = world.ask(stop(&["redis:7"]));
    assert_eq!(world.message(slot), "redis has no slot 7, it has 1");
}

#[test]
fn restart_replaces_one_process_after_the_other() {
    let mut spec = companion("rq");
    spec.count = 3;
    let mut world = World::new(vec![spec]);
    world.behave("rq", Program { ready_after: Some(Duration::from_secs(2)), ..Program::obedient() });
    world.seconds(3);
    let before = world.pids("rq");
    let asked = world.ask(restart(&["rq"]));
    for replaced in 1..=3 {
        world.seconds(1);
        let ready =
            world.table.by_name("rq").unwrap().slots.values().filter(|slot| slot.unit.is_ready()).count();
        assert_eq!(ready, 2, "while replacing number {replaced}");
        world.run_for(Duration::from_millis(1020));
    }
    assert!(world.results(asked).iter().all(|result| result.message == "restarted" && !result.failed));
    let after = world.pids("rq");
    assert!(before.iter().zip(&after).all(|(old, new)| old.0 == new.0 && old.1 != new.1));
}

#[test]
fn a_rolling_restart_stops_at_the_first_that_does_not_come_back() {
    let mut spec = companion("rq");
    spec.count = 3;
    let mut world = World::new(vec![spec]);
    world.seconds(1);
    let before = world.pids("rq");
    world.behave("rq", crashing());
    let asked = world.ask(restart(&["rq"]));
    world.run_for(Duration::from_millis(500));
    let results = world.results(asked);
    assert_eq!(results.iter().filter(|result| result.failed).count(), 3);
    assert!(results[0].message.starts_with("exited with status 1"), "{}", results[0].message);
    assert_eq!(world.pids("rq")[..], before[1..], "the others are not touched");
}

#[test]
fn restart_by_name_starts_what_is_stopped_and_by_pattern_leaves_it_alone() {
    let mut world = World::new(vec![companion("one"), companion("two")]);
    world.seconds(1);
    world.ask(stop(&["two"]));
    world.seconds(1);
    let by_pattern = world.ask(restart(&["*"]));
    world.seconds(1);
    assert_eq!(world.message(by_pattern), "restarted; stopped, left as it is");
    assert_eq!(world.state("two"), State::Stopped);
    let by_name = world.ask(restart(&["two"]));
    world.seconds(1);
    assert_eq!(world.message(by_name), "restarted");
    assert_eq!(world.state("two"), State::Running);
}

#[test]
fn equal_restarts_at_the_same_time_are_one() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(1);
    let first = world.ask(restart(&["redis"]));
    let second = world.ask(restart(&["redis"]));
    world.seconds(1);
    assert_eq!((world.message(first), world.message(second)), ("restarted".into(), "restarted".into()));
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn scale_adds_the_lowest_free_slots_and_takes_the_oldest_away() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    let asked = world.ask(scale("rq", ScaleChange::By(2)));
    world.seconds(1);
    assert_eq!(world.reply(asked), Some(&Reply::Done(Answer::Count(3))));
    let pids = world.pids("rq");
    assert_eq!(pids.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1, 2, 3]);
    world.ask(scale("rq", ScaleChange::To(2)));
    world.seconds(1);
    assert_eq!(world.pids("rq"), pids[1..], "the oldest went");
    world.ask(scale("rq", ScaleChange::By(1)));
    world.seconds(1);
    assert_eq!(world.pids("rq").iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1, 2, 3]);
    let none = world.ask(scale("rq", ScaleChange::By(-9)));
    world.seconds(1);
    assert_eq!(world.reply(none), Some(&Reply::Done(Answer::Count(0))));
    assert_eq!(world.living(), 0);
}

#[test]
fn scaling_what_is_stopped_stores_the_number() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    world.ask(stop(&["rq"]));
    world.seconds(1);
    let asked = world.ask(scale("rq", ScaleChange::To(3)));
    assert_eq!(world.reply(asked), Some(&Reply::Done(Answer::Count(3))));
    world.seconds(1);
    assert_eq!(world.living(), 0);
    world.ask(start(&["rq"]));
    world.seconds(1);
    assert_eq!(world.living(), 3);
}

#[test]
fn nothing_is_started_once_arbiter_is_about_to_end_and_what_runs_can_be_stopped() {
    let spare = CompanionSpec { autostart: false, ..companion("spare") };
    let mut world = World::new(vec![companion("redis"), spare]);
    world.seconds(1);
    world.take_told();
    world.handle(Input::Ending);
    let starting = [
        start(&["spare"]),
        run("spare", &[]),
        scale("redis", ScaleChange::To(2)),
        restart(&["redis"]),
        Verb::ReloadCompanion(names(&["redis"])),
    ];
    for verb in starting {
        let asked = world.ask(verb);
        assert_eq!(world.message(asked), STOPPING);
    }
    assert_eq!((world.state("redis"), world.state("spare")), (State::Running, State::Stopped));
    let asked = world.ask(Verb::Signal { target: SignalTarget::Companions(names(&["redis"])), signal: 9 });
    assert_eq!(world.message(asked), "SIGKILL sent");
    world.run_for(Duration::from_millis(200));
    assert_eq!((world.state("redis"), world.spawned.len()), (State::Running, 2), "what ends comes back");
    world.ask(stop(&["redis"]));
    world.seconds(1);
    assert_eq!((world.living(), world.take_told().len()), (0, 0), "no stop of everything was asked for");
}

#[test]
fn one_process_of_several_can_be_stopped_and_started() {
    let mut spec = companion("rq");
    spec.count = 2;
    let mut world = World::new(vec![spec]);
    world.seconds(1);
    world.ask(stop(&["rq:2"]));
    world.seconds(1);
    assert_eq!(world.pids("rq").len(), 1);
    let pattern = world.ask(restart(&["*"]));
    world.seconds(1);
    assert_eq!(world.message(pattern), "restarted; stopped, left as it is");
    world.ask(start(&["rq:2"]));
    world.seconds(1);
    assert_eq!(world.pids("rq").len(), 2);
}

#[test]
fn an_end_by_the_signal_an_operator_sent_counts_as_asked_for() {
    let mut world = World::new(vec![companion("redis")]);
    world.run_for(Duration::from_millis(200));
    let asked = world.ask(Verb::Signal { target: SignalTarget::Companions(names(&["redis"])), signal: 9 });
    assert_eq!(world.message(asked), "SIGKILL sent");
    world.run_for(Duration::from_millis(200));
    assert_eq!(world.state("redis"), State::Running, "no back-off for what was asked for");
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn wait_answers_when_it_is_so() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", Program { ready_after: Some(Duration::from_secs(5)), ..Program::obedient() });
    let ready = world.ask(Verb::Wait { name: "redis".into(), until: CompanionUntil::Ready });
    let stopped = world.ask(Verb::Wait { name: "redis".into(), until: CompanionUntil::Stopped });
    world.seconds(4);
    assert!(world.reply(ready).is_none());
    world.seconds(2);
    assert_eq!(world.message(ready), "ready");
    assert!(world.reply(stopped).is_none());
    world.ask(stop(&["redis"]));
    world.seconds(1);
    assert_eq!(world.message(stopped), "stopped");
}

#[test]
fn a_request_that_does_not_wait_is_answered_at_once() {
    let mut world = World::new(vec![companion("redis")]);
    world.seconds(1);
    let asked = world.ask_and(restart(&["redis"]), false);
    assert_eq!(world.message(asked), "asked for");
    world.seconds(1);
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn what_this_version_does_not_have_says_so() {
    let mut world = World::new(vec![companion("redis")]);
    let asked = world.ask(Verb::Stats(Vec::new()));
    assert_eq!(world.message(asked), "stats is not implemented in this version");
}

#[test]
fn the_ends_of_runs_are_known_over_the_managers_death() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave(
        "redis",
        Program { ends_after: Some((Duration::from_secs(2), ExitStatus::Code(3))), ..Program::obedient() },
    );
    world.seconds(1);
    let pid = world.pids("redis")[0].1;
    world.seconds(2);
    world.ask(stop(&["redis"]));
    world.seconds(1);
    let exits = |world: &World| {
        let info = world.table.info("redis", world.kernel.now(), Duration::from_secs(1000), 0).unwrap();
        assert!(info.settings.starts_with("[companion.redis]\n"), "{}", info.settings);
        info.exits
    };
    let before = exits(&world);
    assert_eq!((before[1].pid, before[1].status), (Some(pid), Some(ExitStatus::Code(3))));
    assert_eq!((before[0].requested, before[1].requested), (true, false));
    world.crash(0);
    assert_eq!(exits(&world), before);
    for name in ["*", "redis:1", "none"] {
        let asked = world.table.info(name, world.kernel.now(), Duration::ZERO, 0);
        assert_eq!(asked.is_err(), name != "*", "{name}: one is one");
    }
}

#[test]
fn restarts_that_come_when_the_new_process_is_there_already_are_one_more_together() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", Program { ready_after: Some(Duration::from_secs(5)), ..Program::obedient() });
    world.seconds(10);
    let early: Vec<_> = (0..5).map(|_| world.ask(restart(&["redis"]))).collect();
    world.seconds(3);
    assert_eq!(world.spawned.len(), 2);
    let late: Vec<_> = (0..5).map(|_| world.ask(restart(&["redis"]))).collect();
    world.seconds(4);
    for asked in early {
        assert_eq!(world.message(asked), "restarted");
    }
    assert!(late.iter().all(|&asked| world.reply(asked).is_none()));
    world.seconds(20);
    for asked in late {
        assert_eq!(world.message(asked), "restarted");
    }
    assert_eq!((world.spawned.len(), world.state("redis")), (3, State::Running));
}

#[test]
fn a_stop_answers_restarts_that_wait_behind_another_one() {
    let mut world = World::new(vec![companion("redis")]);
    world.behave("redis", Program { ready_after: Some(Duration::from_secs(5)), ..Program::obedient() });
    world.seconds(10);
    let first = world.ask(restart(&["redis"]));
    world.seconds(3);
    let second = world.ask(restart(&["redis"]));
    world.ask(stop(&["redis"]));
    for asked in [first, second] {
        assert_eq!(world.message(asked), "was stopped meanwhile");
    }
    world.seconds(100);
    assert_eq!((world.spawned.len(), world.state("redis")), (2, State::Stopped));
}
