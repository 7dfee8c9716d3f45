//! Errors that were once found, each under its name.

mod world;

use companion_manager::table::{Action, Input, Past, Table};
use proto::control::Verb;
use proto::link::{Pace, Saved, SavedProcess};
use proto::spec::{CompanionSpec, MOST_PROCESSES};
use std::collections::BTreeSet;
use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Program, Sleep};
use supervise::{Exit, ExitStatus, Monotonic, RunId, State};
use world::{World, companion, names, restart, run, specification};

fn past(saved: &Saved, next_run: u64, restarts: u32) -> Past<'_> {
    Past {
        saved,
        next_run,
        restarts,
        stop: None,
        describe: &|_, _, _| "cannot execute it".to_owned(),
        survivors: const { &BTreeSet::new() },
        coming: None,
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
        main: None,
        exit: Some(exit),
        is_reaped: false,
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

/// The record of a unit that waits for its gate begins with what is wanted, a zero for `Up`, and the phase.
#[test]
fn a_damaged_record_of_one_that_waits_without_being_wanted_keeps_nobody_busy() {
    let later = CompanionSpec { after: vec!["db".into()], ..companion("app") };
    let now = Kernel::new(1, Odds::calm()).now();
    let mut table =
        Table::restore(specification(vec![later, companion("db")]), past(&Saved::default(), 1, 0), now);
    let mut records = table.drain().records;
    let record = records.iter_mut().find(|record| record.name == "app:1").expect("it waits");
    let content = record.content.as_mut().expect("it is no removal");
    let desired = &mut content[4..8];
    assert_eq!(desired, [0; 4]);
    desired[0] = 1;
    let saved = Saved { records, ..Saved::default() };
    let spec = specification(vec![companion("app")]);
    let table = Table::restore(spec, past(&saved, 2, 1), now);
    let view = table.view(&[], now, Duration::ZERO).unwrap();
    assert!(view.iter().any(|companion| companion.name == "app"));
}

/// A process of its own was taken for a one-off, or the other way round.
#[test]
fn a_record_at_a_place_that_is_not_of_its_kind_is_none() {
    const ONE_OFFS: u32 = 1 << 31;
    let spec = specification(vec![companion("redis")]);
    let now = Kernel::new(1, Odds::calm()).now();
    let mut table = Table::restore(spec.clone(), past(&Saved::default(), 1, 0), now);
    let mut records = table.drain().records;
    let record = records.iter_mut().find(|record| record.name == "redis:1").expect("it starts");
    record.name = format!("redis:{ONE_OFFS}");
    let mut table = Table::restore(spec, past(&Saved { records, ..Saved::default() }, 2, 1), now);
    let slots: Vec<u32> = table.by_name("redis").unwrap().slots.keys().copied().collect();
    assert_eq!(slots, [1]);
    spawned(&table.drain().actions);
}

/// Whoever waited for the end of such a one-off waited for ever.
#[test]
fn a_one_off_that_cannot_be_killed_is_told_of() {
    let mut world = World::new(vec![companion("rq")]);
    world.seconds(1);
    let sleep = Some(Sleep { begins: Duration::ZERO, lasts: None });
    world.behave("rq", Program { sleep, ..Program::obedient() });
    let waiting = world.ask(run("rq", &[]));
    world.seconds(1);
    world.ask(Verb::Stop { names: names(&["rq:0"]), force: true });
    world.seconds(15);
    let message = world.message(waiting);
    assert!(message.ends_with("is still there after SIGKILL: it sleeps in the kernel"), "{message}");
}

/// It took the companion out of the stop, which then had no end.
#[test]
fn a_restart_under_way_does_not_go_on_with_a_manager_that_begins_in_a_stop() {
    let mut db = companion("db");
    db.count = 2;
    let mut rq = companion("rq");
    rq.after = names(&["db"]);
    let mut world = World::new(vec![db, rq]);
    world.behave("rq", Program { leaves_after: Some((Duration::from_secs(3), 0)), ..Program::obedient() });
    world.seconds(1);
    world.behave("db", Program { ready_after: Some(Duration::from_secs(5)), ..Program::obedient() });
    let restarted = world.ask(restart(&["db"]));
    world.seconds(1);
    world.stop = Some((true, Pace::Graceful));
    world.crash(0);
    world.seconds(10);
    assert_eq!(world.living(), 0);
    let message = world.message(restarted);
    assert!(message.contains("arbiter is stopping"), "{message}");
}

/// Of what the workers require nothing is stopped at first, but by whom an operator's stop was under way.
#[test]
fn a_stop_of_what_the_workers_require_goes_on_when_arbiter_begins_to_stop() {
    let after = |name: &str, below: &str| CompanionSpec { after: names(&[below]), ..companion(name) };
    let mut spec = specification(vec![companion("db"), after("rq", "db")]);
    spec.required = names(&["db", "rq"]);
    let mut world = World::with(spec, Kernel::new(7, Odds::calm()), false);
    world.behave("rq", Program { leaves_after: Some((Duration::from_secs(3), 0)), ..Program::obedient() });
    world.seconds(1);
    let stopped = world.ask(Verb::Stop { names: names(&["db", "rq"]), force: false });
    world.seconds(1);
    world.stop(false, Pace::Graceful);
    world.seconds(10);
    assert_eq!(world.message(stopped), "stopped; stopped");
    assert_eq!(world.living(), 0);
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

/// A record whose number of processes was damaged kept the next manager busy until it was killed as silent, and so on.
#[test]
fn a_record_with_an_absurd_number_of_processes_holds_nobody_up() {
    let spec = specification(vec![companion("redis")]);
    let now = Kernel::new(1, Odds::calm()).now();
    let mut table = Table::restore(spec.clone(), past(&Saved::default(), 1, 0), now);
    let mut records = table.drain().records;
    let head = records.iter_mut().find(|record| record.name == "redis").unwrap();
    let content = head.content.as_mut().unwrap();
    // The form, the program, what is wanted; then the number.
    assert_eq!(content[16..20], 1u32.to_le_bytes());
    content[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let table = Table::restore(spec, past(&Saved { records, ..Saved::default() }, 2, 1), now);
    assert_eq!(table.by_name("redis").unwrap().target, MOST_PROCESSES);
}
