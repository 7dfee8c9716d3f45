//! What the master tells hooks, and the one that may forbid its start.

use crate::bench::{Bench, Deed};
use crate::samples;
use arbiter::hooks::Occasion;
use arbiter::master::Event;
use proto::control::{ArbiterState, ReloadScope, Verb};
use proto::link::Pace;
use proto::spec::{HookEvent, HookSpec, MasterSpec, ProcessSpec};
use std::time::Duration;

/// Two workers, and a hook before everything.
fn opening() -> Bench {
    let hook = HookSpec {
        event: HookEvent::OnStarting,
        process: ProcessSpec { command: vec!["check".into()], ..ProcessSpec::default() },
        timeout: Duration::from_secs(10),
    };
    let spec = MasterSpec { hooks: vec![hook], ..samples::master(Some(samples::workers(2))) };
    let mut bench = Bench::new(spec);
    assert_eq!(bench.take(), [Deed::Open]);
    assert!(!bench.manager_wanted);
    bench
}

#[test]
fn nothing_is_started_before_the_hook_that_may_forbid_it_is_over() {
    let mut bench = opening();
    bench.event(Event::Reload);
    bench.event(Event::ScaleWorkers(1));
    assert_eq!(bench.take(), []);
    assert_eq!(bench.master.state(), ArbiterState::Starting);
    assert!(!bench.master.needs_manager());
    bench.opened(Ok(()));
    assert!(bench.manager_wanted);
    assert_eq!(
        bench.take(),
        [Deed::Spawn, Deed::Spawn, Deed::Spawn, Deed::Resolve],
        "what came meanwhile follows"
    );
}

#[test]
fn a_start_that_is_forbidden_ends_with_status_1() {
    let mut bench = opening();
    bench.opened(Err("the hook on_starting exited with status 3"));
    assert_eq!(bench.take(), [Deed::Close, Deed::Exit(1)]);
    assert_eq!(bench.log, ["the hook on_starting exited with status 3: arbiter does not start"]);
    assert!(!bench.manager_wanted && !bench.master.needs_manager());
}

#[test]
fn a_stop_before_anything_was_started_ends_at_once() {
    for pace in [Pace::Graceful, Pace::Quick, Pace::Force] {
        let mut bench = opening();
        bench.event(Event::Reload);
        bench.event(Event::Stop(pace));
        assert_eq!(bench.take(), [Deed::Close, Deed::Exit(0)]);
        bench.opened(Ok(()));
        bench.event(Event::Stop(pace));
        assert_eq!(bench.take(), [], "there is nothing to hurry");
        assert_eq!(bench.master.next_deadline(), None);
    }
}

#[test]
fn hooks_are_told_once_that_all_workers_are_ready() {
    let mut bench = Bench::serving();
    assert_eq!(bench.told, [Occasion::WhenReady { workers: 2 }]);
    bench.told.clear();
    bench.reload_until_rolling(1, samples::master(Some(samples::workers(2))));
    bench.all_ready();
    bench.committed();
    assert_eq!(bench.told, [Occasion::OnReload { generation: 1, companions_only: false }]);
}

#[test]
fn hooks_are_told_when_there_should_be_another_number_of_workers() {
    let mut bench = Bench::serving();
    bench.told.clear();
    bench.event(Event::ScaleWorkers(2));
    bench.event(Event::ScaleWorkers(0));
    bench.event(Event::ScaleWorkers(-9));
    let changed = |before, after| Occasion::NworkersChanged { before, after };
    assert_eq!(bench.told, [changed(2, 4), changed(4, 1)]);
    bench.told.clear();
    bench.reload_until_rolling(1, samples::master(Some(samples::workers(3))));
    bench.all_ready();
    assert_eq!(bench.told[1..], [changed(1, 3)], "a reload changes it, too");
}

#[test]
fn hooks_are_told_of_a_reload_of_the_companions_but_not_of_a_question() {
    let mut bench = Bench::serving();
    bench.told.clear();
    bench.request(1, Verb::Reload(ReloadScope::DryRun));
    bench.resolved(Err("a mistake"));
    bench.request(2, Verb::RestartWorkers);
    bench.all_ready();
    assert_eq!(bench.told, []);
    bench.request(3, Verb::Reload(ReloadScope::Companions));
    assert_eq!(bench.told, [Occasion::OnReload { generation: 2, companions_only: true }]);
}
