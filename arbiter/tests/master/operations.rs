//! Reloads and restarts, and how each of their steps is undone.

use crate::bench::{Bench, Deed};
use crate::samples;
use arbiter::master::Event;
use arbiter::pool::Role;
use proto::control::{Answer, ArbiterState, ReloadReport, ReloadScope, Verb};
use proto::link::{Pace, ToManager};
use proto::spec::{ListenerSpec, MasterSpec};

const ALL: Verb = Verb::Reload(ReloadScope::All);

fn spec(count: u32) -> MasterSpec {
    samples::master(Some(samples::workers(count)))
}

fn failed(deeds: &[Deed], relay: u64) -> &str {
    let answer = deeds.iter().find_map(|deed| match deed {
        Deed::Answer(number, Err(message)) if *number == relay => Some(message.as_str()),
        _ => None,
    });
    answer.unwrap_or_else(|| panic!("request {relay} should have failed: {deeds:?}"))
}

fn report(deeds: &[Deed]) -> &ReloadReport {
    let report = deeds.iter().find_map(|deed| match deed {
        Deed::Answer(_, Ok(Answer::Reload(report))) => Some(report),
        _ => None,
    });
    report.unwrap_or_else(|| panic!("a report was expected: {deeds:?}"))
}

#[test]
fn a_reload_goes_step_by_step() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    assert_eq!(bench.take(), [Deed::Resolve]);
    assert_eq!(bench.master.state(), ArbiterState::Reloading);
    bench.resolved(Ok(spec(2)));
    assert_eq!(bench.take(), [Deed::Bind]);
    bench.bound(Ok(()));
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Prepare)]);
    bench.event(Event::Prepared(Ok(false)));
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    bench.all_ready();
    // Nobody is asked to leave before clients come to the new listeners.
    let expected =
        [Deed::Keep, Deed::Adopt, Deed::Tell(ToManager::Commit { only: None }), Deed::Ask, Deed::Ask];
    assert_eq!(bench.take(), expected);
    bench.committed();
    let deeds = bench.take();
    assert_eq!((report(&deeds).generation, report(&deeds).workers_replaced), (2, 2));
    assert_eq!(bench.master.state(), ArbiterState::Running);
}

/// They lost the companions they leaned on while they still served.
#[test]
fn companions_change_when_the_workers_before_have_left() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    bench.resolved(Ok(spec(2)));
    bench.bound(Ok(()));
    bench.event(Event::Prepared(Ok(true)));
    bench.take();
    bench.all_ready();
    assert_eq!(bench.take(), [Deed::Keep, Deed::Adopt, Deed::Ask, Deed::Ask]);
    let old = bench.runs(Role::Leaving);
    bench.exit(old[0], 0);
    assert_eq!(bench.take(), []);
    assert_eq!(bench.master.state(), ArbiterState::Reloading);
    bench.event(Event::ManagerGone);
    bench.event(Event::ManagerBegun);
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Prepare)]);
    bench.event(Event::Prepared(Ok(true)));
    bench.exit(old[1], 0);
    assert_eq!(bench.take(), [Deed::Tell(ToManager::Commit { only: None })]);
    bench.committed();
    assert_eq!(report(&bench.take()).workers_replaced, 2);
}

/// A stop does not wait for them.
#[test]
fn a_stop_while_the_workers_before_are_leaving_says_what_is_in_force() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    bench.resolved(Ok(spec(2)));
    bench.bound(Ok(()));
    bench.event(Event::Prepared(Ok(true)));
    bench.all_ready();
    bench.take();
    bench.event(Event::Stop(Pace::Graceful));
    let deeds = bench.take();
    assert_eq!(
        failed(&deeds, 1),
        "reload is in force, but its companions are as before: arbiter is stopping"
    );
}

#[test]
fn a_mistake_in_the_configuration_changes_nothing() {
    let mut bench = Bench::serving();
    let before = bench.runs(Role::Current);
    bench.request(1, ALL);
    bench.resolved(Err("arbiter.toml:3:1: unknown key"));
    let deeds = bench.take();
    assert!(failed(&deeds, 1).contains("arbiter.toml:3:1: unknown key"));
    assert_eq!(bench.runs(Role::Current), before);
    assert_eq!(bench.master.state(), ArbiterState::Running);
}

#[test]
fn a_listener_that_cannot_be_opened_closes_the_others_that_were() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    bench.resolved(Ok(spec(2)));
    bench.take();
    bench.bound(Err("127.0.0.1:80 is in use"));
    let deeds = bench.take();
    assert_eq!(deeds[0], Deed::Drop);
    assert!(failed(&deeds, 1).contains("127.0.0.1:80 is in use"));
}

#[test]
fn a_required_companion_that_does_not_start_takes_its_reload_back() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    bench.resolved(Ok(spec(2)));
    bench.bound(Ok(()));
    bench.take();
    bench.event(Event::Prepared(Err("redis exited with status 1".into())));
    let deeds = bench.take();
    assert_eq!(deeds[..2], [Deed::Drop, Deed::Tell(ToManager::Abort)]);
    assert!(failed(&deeds, 1).contains("redis exited with status 1"));
}

#[test]
fn new_workers_that_fail_take_their_reload_back_and_leave_the_old_ones_alone() {
    let mut bench = Bench::serving();
    let before = bench.runs(Role::Current);
    bench.reload_until_rolling(1, spec(3));
    bench.exit(bench.runs(Role::Successor)[0], 3);
    let deeds = bench.take();
    assert_eq!(deeds[..4], [Deed::Ask, Deed::Ask, Deed::Drop, Deed::Tell(ToManager::Abort)]);
    assert!(failed(&deeds, 1).contains("new worker 1 exited with status 3"));
    assert_eq!(bench.runs(Role::Current), before);
    assert_eq!(bench.master.pool().target(), 2);
    assert_eq!(bench.master.spec().workers.as_ref().map(|workers| workers.count), Some(2));
}

#[test]
fn equal_waiting_reloads_are_one_and_all_are_answered() {
    let mut bench = Bench::serving();
    bench.request(1, ALL);
    bench.request(2, ALL);
    bench.event(Event::Reload);
    bench.request(3, ALL);
    assert_eq!(bench.take(), [Deed::Resolve]);
    bench.resolved(Err("a mistake"));
    let deeds = bench.take();
    assert!(failed(&deeds, 1).contains("a mistake"));
    assert_eq!(deeds.last(), Some(&Deed::Resolve), "one more begins");
    bench.resolved(Err("another"));
    let deeds = bench.take();
    assert!(failed(&deeds, 2).contains("another") && failed(&deeds, 3).contains("another"));
    assert!(!deeds.contains(&Deed::Resolve), "and only one");
}

#[test]
fn many_waiting_restarts_that_cannot_be_end_one_after_the_other() {
    let mut bench = Bench::serving();
    bench.request(0, ALL);
    for slot in 10..5_010 {
        bench.request(u64::from(slot), Verb::RestartWorker { slot });
    }
    bench.take();
    bench.resolved(Err("a mistake"));
    let answers = bench.take().into_iter().filter(|deed| matches!(deed, Deed::Answer(_, Err(_)))).count();
    assert_eq!(answers, 5_001);
}

#[test]
fn who_does_not_wait_is_answered_at_once() {
    let mut bench = Bench::serving();
    bench.event(Event::Request { relay: 1, wait: false, verb: ALL });
    assert_eq!(bench.take(), [Deed::Answer(1, Ok(Answer::Done)), Deed::Resolve]);
    bench.resolved(Err("a mistake"));
    assert!(!bench.take().iter().any(|deed| matches!(deed, Deed::Answer(..))));
}

#[test]
fn a_restart_of_the_workers_is_the_next_generation_of_the_same_settings() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::RestartWorkers);
    assert_eq!(bench.take(), [Deed::Spawn, Deed::Spawn]);
    bench.all_ready();
    let deeds = bench.take();
    assert_eq!(deeds[1..], [Deed::Ask, Deed::Ask]);
    assert_eq!((report(&deeds).generation, report(&deeds).workers_replaced), (2, 2));
}

#[test]
fn a_restart_of_a_worker_that_is_not_there_fails() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::RestartWorker { slot: 9 });
    assert!(failed(&bench.take(), 1).contains("there is no worker 9"));
    bench.request(2, Verb::RestartWorker { slot: 2 });
    bench.all_ready();
    assert_eq!(report(&bench.take()).workers_replaced, 1);
}

#[test]
fn a_reload_of_the_companions_lists_what_else_has_changed() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::Reload(ReloadScope::Companions));
    bench.resolved(Ok(spec(5)));
    let expected =
        [Deed::Resolve, Deed::Tell(ToManager::Prepare), Deed::Tell(ToManager::Commit { only: None })];
    assert_eq!(bench.take(), expected);
    bench.committed();
    let deeds = bench.take();
    assert_eq!(report(&deeds).pending, ["workers"]);
    assert_eq!(report(&deeds).generation, 1);
}

#[test]
fn a_dry_run_only_compares() {
    let mut bench = Bench::serving();
    bench.request(1, Verb::Reload(ReloadScope::DryRun));
    assert_eq!(bench.master.state(), ArbiterState::Running);
    bench.resolved(Ok(spec(5)));
    assert_eq!(bench.take(), [Deed::Resolve, Deed::Tell(ToManager::Compare)]);
    bench.committed();
    let deeds = bench.take();
    assert_eq!(report(&deeds).workers_replaced, 5);
    assert_eq!(report(&deeds).pending, ["workers"]);
    assert_eq!(bench.master.pool().target(), 2);
}

#[test]
fn a_dry_run_names_the_listeners_that_would_change() {
    let mut bench = Bench::serving();
    bench.event(Event::ScaleWorkers(1));
    bench.request(1, Verb::Reload(ReloadScope::DryRun));
    let mut other = spec(2);
    let old = other.listeners[0].clone();
    other.listeners =
        vec![ListenerSpec { backlog: 7, ..old.clone() }, ListenerSpec { name: "admin".into(), ..old }];
    bench.resolved(Ok(other.clone()));
    bench.committed();
    let deeds = bench.take();
    assert_eq!(report(&deeds).pending, ["listener.http", "listener.admin"]);
    assert_eq!(report(&deeds).workers_replaced, 3, "the number that was asked for lasts");
    bench.request(2, Verb::Reload(ReloadScope::DryRun));
    other.listeners.clear();
    bench.resolved(Ok(MasterSpec { workers: None, ..other }));
    bench.committed();
    let deeds = bench.take();
    assert_eq!(report(&deeds).pending, ["listener.http", "workers"]);
    assert_eq!(report(&deeds).workers_replaced, 0);
}

#[test]
fn what_comes_out_of_turn_changes_nothing() {
    let mut bench = Bench::serving();
    bench.event(Event::Prepared(Ok(false)));
    bench.committed();
    bench.bound(Ok(()));
    bench.resolved(Ok(spec(5)));
    bench.request(1, Verb::RestartWorkers);
    bench.take();
    bench.resolved(Ok(spec(5)));
    bench.event(Event::Prepared(Err("late".into())));
    assert_eq!(bench.take(), []);
}

/// What brings a reload further, and what undoes it there.
type Step = (fn(&mut Bench), &'static [Deed]);

#[test]
fn a_stop_abandons_what_is_under_way_and_what_waits_and_says_so() {
    let steps: [Step; 5] = [
        (|_| {}, &[Deed::AbandonResolver]),
        (|bench| bench.resolved(Ok(spec(2))), &[Deed::Drop]),
        (|bench| bench.bound(Ok(())), &[Deed::Drop, Deed::Tell(ToManager::Abort)]),
        (|bench| bench.event(Event::Prepared(Ok(false))), &[Deed::Drop, Deed::Tell(ToManager::Abort)]),
        (Bench::all_ready, &[]),
    ];
    for reached in 0..steps.len() {
        let mut bench = Bench::serving();
        bench.request(1, ALL);
        bench.request(2, ALL);
        bench.request(3, Verb::RestartWorkers);
        for (step, _) in &steps[..=reached] {
            step(&mut bench);
        }
        bench.take();
        bench.event(Event::Stop(Pace::Graceful));
        let deeds = bench.take();
        let undone = steps[reached].1;
        assert_eq!(&deeds[..undone.len()], undone);
        let changed = failed(&deeds, 1).contains("is in force");
        assert_eq!(changed, reached == 4, "{deeds:?}");
        assert!(failed(&deeds, 2).contains("was not begun") && failed(&deeds, 3).contains("was not begun"));
        bench.event(Event::Reload);
        bench.request(4, ALL);
        assert!(failed(&bench.take(), 4).contains("arbiter is stopping"));
    }
}

#[test]
fn companions_are_loaded_one_request_after_the_other_and_the_workers_stay() {
    let load = || Verb::Load(proto::spec::Load { toml: "[companion.x]".into(), ..Default::default() });
    let mut bench = Bench::serving();
    bench.request(1, load());
    bench.request(2, load());
    assert_eq!(bench.take(), [Deed::Resolve], "equal ones are two all the same");
    bench.changed(&["x"]);
    let told = || {
        let only = Some(vec!["x".to_owned()]);
        [Deed::Tell(ToManager::Prepare), Deed::Tell(ToManager::Commit { only })]
    };
    assert_eq!(bench.take(), told());
    bench.event(Event::ManagerGone);
    bench.event(Event::ManagerBegun);
    assert_eq!(bench.take(), told(), "the next manager is told the same");
    let added = vec!["x".to_owned()];
    bench.event(Event::Committed(ReloadReport { added, ..ReloadReport::default() }));
    let Deed::Answer(1, Ok(Answer::Reload(report))) = &bench.take()[0] else { panic!("no answer") };
    assert_eq!(report.added, ["x"]);
    bench.resolved(Err("x.toml:1:1: no"));
    let Deed::Answer(2, Err(message)) = &bench.take()[1] else { panic!("no answer") };
    assert_eq!(message, "load failed, nothing was changed: x.toml:1:1: no");
}

#[test]
fn a_reload_of_the_companions_opens_what_they_listen_on_before_it_tells_the_manager() {
    let mut bench = Bench::serving();
    let held = vec![ListenerSpec { name: "redis".into(), ..spec(2).listeners[0].clone() }];
    let other = MasterSpec { held, ..spec(2) };
    for (result, told) in [(Err("taken"), 0), (Ok(()), 2)] {
        bench.request(1, Verb::Reload(ReloadScope::Companions));
        bench.resolved(Ok(other.clone()));
        assert_eq!(bench.take(), [Deed::Resolve, Deed::Bind]);
        bench.bound(result);
        let deeds = bench.take();
        let is_told =
            |deed: &&Deed| matches!(deed, Deed::Tell(ToManager::Prepare | ToManager::Commit { .. }));
        assert_eq!(deeds.iter().filter(is_told).count(), told, "{deeds:?}");
        assert_eq!(deeds[0], if told == 0 { Deed::Drop } else { Deed::Keep });
    }
    bench.committed();
    bench.take();
    bench.request(2, Verb::Reload(ReloadScope::Companions));
    bench.resolved(Ok(other));
    assert!(!bench.take().contains(&Deed::Bind), "they are open already");
}
