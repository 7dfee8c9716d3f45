//! Errors that were once found, each under its name.

mod world;

use companion_manager::table::{Action, Input, Past, Table};
use proto::link::{Saved, SavedProcess};
use std::time::Duration;
use supervise::simulator::{Kernel, Odds};
use supervise::{Exit, ExitStatus, Monotonic, RunId, State};
use world::{companion, specification};

fn past(saved: &Saved, next_run: u64, restarts: u32) -> Past<'_> {
    Past {
        saved,
        next_run,
        restarts,
        stop: None,
        describe: &|_, _, _| "cannot execute it".to_owned(),
        has_group: &|_| false,
    }
}

/// A process ended while there was no manager; its healthy run means that it is started again at once, while
/// the new manager still takes in what the one before left. The new run is in no list of that, of course.
#[test]
fn a_process_started_while_a_manager_begins_is_not_taken_for_lost() {
    let spec = specification(vec![companion("redis")]);
    let mut now = Kernel::new(1, Odds::calm()).now();
    let mut table = Table::restore(spec.clone(), past(&Saved::default(), 1, 0), now);
    let drained = table.drain();
    let (run, mut records) = (spawned(&drained.actions), drained.records);
    table.handle(Input::Run { run, input: supervise::Input::Spawned { pid: 100 } }, now);
    table.handle(Input::Notified { run, text: "READY=1".into() }, now);
    now = later(now, 10);
    table.handle(Input::Deadline, now);
    records.extend(table.drain().records);

    let exit = Exit::bare(ExitStatus::Code(1));
    let process = SavedProcess {
        run,
        companion: "redis".into(),
        slot: 1,
        pid: Some(100),
        exit: Some(exit),
        failure: None,
    };
    records.reverse();
    records.sort_by(|one, other| one.name.cmp(&other.name));
    records.dedup_by(|one, other| one.name == other.name);
    let saved = Saved { records, processes: vec![process], outcomes: Vec::new() };
    let mut table = Table::restore(spec, past(&saved, 2, 1), later(now, 1));
    let second = spawned(&table.drain().actions);
    assert_ne!(second, run);
    table.handle(Input::Run { run: second, input: supervise::Input::Spawned { pid: 101 } }, later(now, 1));
    table.handle(Input::Notified { run: second, text: "READY=1".into() }, later(now, 1));
    table.handle(Input::Deadline, later(now, 20));
    let again = table.drain().actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
    assert!(!again, "the run was forgotten and is started once more");
    let view = table.view(&[], later(now, 20), Duration::ZERO).unwrap();
    let process = &view[0].processes[0].process;
    assert_eq!((process.state, process.pid), (State::Running, Some(101)));
}

fn later(now: Monotonic, seconds: u64) -> Monotonic {
    now + Duration::from_secs(seconds)
}

fn spawned(actions: &[Action]) -> RunId {
    let found = actions.iter().find_map(|action| match action {
        Action::Spawn { run, .. } => Some(*run),
        _ => None,
    });
    found.expect("a process is to be started")
}
