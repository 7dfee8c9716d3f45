//! Every operation on companions, and after each of its steps, which are inputs and actions, every victim and every
//! kind of mishap. The cells are generated: an operation is begun again and again with the mishap one step later, until
//! it is over before that. Whatever happens, exactly what is wanted runs in the end, and who asked was answered.

mod world;

use companion_manager::table::{Asker, Input};
use proto::control::{ScaleChange, ScaleTarget, Verb};
use proto::link::{Pace, ToArbiter};
use proto::spec::CompanionsSpec;
use std::collections::BTreeMap;
use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Program};
use supervise::{Monotonic, State};
use world::{World, companion, names, restart, specification, start, stop};

/// How often each cell is played, each time with other waits.
const ROUNDS: u64 = 4;
/// How long who is stopped stays so.
const PAUSE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Start,
    Stop,
    ForcedStop,
    StopAll,
    Restart,
    ScaleUp,
    ScaleDown,
    Run,
    /// One is new, one is gone, one has another command.
    Reload,
    /// The manager is replaced.
    Adoption,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Manager,
    Arbiter,
    Companion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Kill,
    StopAndContinue,
    Exit,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Start,
    Operation::Stop,
    Operation::ForcedStop,
    Operation::StopAll,
    Operation::Restart,
    Operation::ScaleUp,
    Operation::ScaleDown,
    Operation::Run,
    Operation::Reload,
    Operation::Adoption,
];
const VICTIMS: [Victim; 3] = [Victim::Manager, Victim::Arbiter, Victim::Companion];
const KINDS: [Kind; 3] = [Kind::Kill, Kind::StopAndContinue, Kind::Exit];

/// What runs before: one that the others come after, two of `app`, one that a reload removes, none of `batch`.
fn before() -> CompanionsSpec {
    let (mut app, mut batch) = (companion("app"), companion("batch"));
    (app.count, app.after) = (2, names(&["db"]));
    batch.autostart = false;
    specification(vec![companion("db"), app, batch, companion("old")])
}

fn after_reload() -> CompanionsSpec {
    let mut spec = before();
    spec.companions.retain(|companion| companion.name != "old");
    spec.companions[1].process.command.push("--other".into());
    spec.companions.push(companion("new"));
    spec
}

/// How many of each run when `operation` is over.
fn wanted(operation: Operation) -> BTreeMap<&'static str, usize> {
    let mut wanted = BTreeMap::from([("db", 1), ("app", 2), ("batch", 0), ("old", 1)]);
    match operation {
        Operation::Start => drop(wanted.insert("batch", 1)),
        Operation::Stop | Operation::ForcedStop => drop(wanted.insert("app", 0)),
        Operation::StopAll => wanted.values_mut().for_each(|count| *count = 0),
        Operation::ScaleUp => drop(wanted.insert("app", 3)),
        Operation::ScaleDown => drop(wanted.insert("app", 1)),
        Operation::Reload => {
            wanted.remove("old");
            wanted.insert("new", 1);
        }
        Operation::Restart | Operation::Run | Operation::Adoption => {}
    }
    wanted
}

struct Game {
    world: World,
    rng: fastrand::Rng,
    operation: Operation,
    asked: Option<Asker>,
    /// How far arbiter has come with a reload.
    reload: Reload,
    /// Until when arbiter says nothing.
    arbiter_away: Option<Monotonic>,
    /// Whether all is to end.
    ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    /// None is under way.
    None,
    /// It is to be prepared.
    Wanted,
    /// It is prepared, or was at least asked to be.
    Preparing,
    /// It comes into force.
    Committing,
}

impl Game {
    fn new(seed: u64, operation: Operation) -> Self {
        let mut world = World::with(before(), Kernel::new(seed, Odds::calm()), false);
        let obedient = Program {
            ready_after: Some(Duration::from_millis(100 + 10 * seed)),
            leaves_after: Some((Duration::from_millis(200), 0)),
            ..Program::obedient()
        };
        for name in ["db", "app", "batch", "old", "new"] {
            world.behave(name, obedient.clone());
        }
        world.seconds(5);
        world.take_told();
        let rng = fastrand::Rng::with_seed(seed);
        Self { world, rng, operation, asked: None, reload: Reload::None, arbiter_away: None, ends: false }
    }

    fn begin(&mut self) {
        let scale =
            |by| Verb::Scale { target: ScaleTarget::Companion("app".into()), change: ScaleChange::By(by) };
        let verb = match self.operation {
            Operation::Start => start(&["batch"]),
            Operation::Stop => stop(&["app"]),
            Operation::ForcedStop => Verb::Stop { names: names(&["app"]), force: true },
            Operation::StopAll => stop(&["*"]),
            Operation::Restart => restart(&["app"]),
            Operation::ScaleUp => scale(1),
            Operation::ScaleDown => scale(-1),
            Operation::Run => world::run("batch", &[]),
            Operation::Reload => {
                self.reload = Reload::Wanted;
                return;
            }
            Operation::Adoption => return self.world.crash(0),
        };
        // A one-off that is waited for is answered by its end.
        let waits = self.operation != Operation::Run;
        self.asked = Some(self.world.ask_and(verb, waits));
    }

    /// arbiter goes on with a reload.
    fn go_on(&mut self) {
        let now = self.world.kernel.now();
        if self.ends || self.arbiter_away.is_some_and(|until| now < until) {
            return;
        }
        let told = self.world.take_told();
        let told = |wanted: fn(&ToArbiter) -> bool| told.iter().any(wanted);
        match self.reload {
            Reload::Wanted => {
                self.reload = Reload::Preparing;
                self.world.prepare(after_reload());
            }
            Reload::Preparing if told(|message| matches!(message, ToArbiter::Prepared { .. })) => {
                self.reload = Reload::Committing;
                self.world.handle(Input::Commit { only: None });
            }
            Reload::Committing if told(|message| matches!(message, ToArbiter::Committed { .. })) => {
                self.committed();
            }
            Reload::None | Reload::Preparing | Reload::Committing => {}
        }
    }

    /// What arbiter had asked for is in force.
    fn committed(&mut self) {
        self.reload = Reload::None;
        self.world.candidate = None;
        self.world.spec = after_reload();
    }

    /// Everything that follows, for minutes.
    fn rest(&mut self, fault: (Victim, Kind)) -> bool {
        let later = |world: &World| world.kernel.now() + Duration::from_secs(300);
        let mut until = later(&self.world);
        let mut has_hit = false;
        loop {
            if self.world.is_cut() {
                self.world.cut = None;
                has_hit |= self.strike(fault);
            }
            self.go_on();
            let goes_on = self.world.is_cut() || self.world.step(until);
            if !goes_on {
                let before = self.reload;
                self.go_on();
                if self.reload == Reload::None {
                    return has_hit;
                }
                assert_ne!(self.reload, before, "the reload has no end");
                until = later(&self.world);
            }
        }
    }

    fn strike(&mut self, (victim, kind): (Victim, Kind)) -> bool {
        let until = self.world.kernel.now() + PAUSE;
        match (victim, kind) {
            (Victim::Manager, Kind::Kill | Kind::Exit) => self.replace_manager(kind),
            (Victim::Manager, Kind::StopAndContinue) => {
                self.world.kernel.advance_to(until);
                self.world.handle(Input::WasAway);
            }
            (Victim::Arbiter, Kind::Kill) => {
                (self.ends, self.reload) = (true, Reload::None);
                self.world.handle(Input::Orphaned);
            }
            (Victim::Arbiter, Kind::StopAndContinue) => self.arbiter_away = Some(until),
            (Victim::Arbiter, Kind::Exit) => {
                (self.ends, self.reload) = (true, Reload::None);
                self.world.handle(Input::Stop { required_too: false, pace: Pace::Graceful });
                self.world.seconds(100);
                self.world.handle(Input::Stop { required_too: true, pace: Pace::Graceful });
            }
            (Victim::Companion, _) => {
                let living = self.world.kernel.runs().filter(|(_, sight)| sight.leader_alive);
                let living: Vec<_> = living.map(|(run, _)| run).collect();
                let Some(run) = self.rng.choice(living) else { return false };
                match kind {
                    Kind::Kill => self.world.kernel.kill(run),
                    Kind::StopAndContinue => self.world.kernel.pause(run, until),
                    Kind::Exit => self.world.kernel.exit(run, 1),
                }
            }
        }
        true
    }

    /// One that exits has done what it was about to do; one that is killed has not.
    fn replace_manager(&mut self, kind: Kind) {
        let told = self.world.told.iter();
        if told.clone().any(|message| matches!(message, ToArbiter::Committed { .. })) {
            self.committed();
        }
        self.world.crash(if kind == Kind::Exit { usize::MAX } else { 0 });
        // arbiter repeats what it has asked for and what was not answered.
        if self.reload == Reload::Committing {
            self.world.handle(Input::Commit { only: None });
        }
    }

    fn check(&self) {
        self.world.kernel.check().expect("nobody does what nobody may do");
        if self.ends {
            return assert_eq!(self.world.living(), 0, "something outlives arbiter");
        }
        for (name, count) in wanted(self.operation) {
            let (state, pids) = (self.world.state(name), self.world.pids(name));
            assert_eq!(state, if count > 0 { State::Running } else { State::Stopped }, "{name}");
            let of_slots = pids.iter().filter(|(slot, _)| *slot > 0).count();
            assert_eq!(of_slots, count, "{name}: {pids:?}");
        }
        assert!(self.world.table.by_name("old").is_none() || self.operation != Operation::Reload);
        assert!(self.world.ran.len() <= 1, "it was run twice");
        if let Some(asked) = self.asked {
            assert!(self.world.reply(asked).is_some(), "who asks is answered");
        }
    }
}

/// Plays `operation` with the mishap after each of its steps. Answers how often there was somebody for it.
fn play_all_steps(seed: u64, operation: Operation, fault: (Victim, Kind)) -> u64 {
    let mut hits = 0;
    for after in 1.. {
        let mut game = Game::new(seed, operation);
        let _announce = Announce(format!("{operation:?}, seed {seed}, {fault:?} after step {after}"));
        game.world.cut = Some((game.world.steps + after, fault == (Victim::Manager, Kind::Kill)));
        game.begin();
        hits += u64::from(game.rest(fault));
        if game.world.cut.is_some() {
            break;
        }
        game.check();
    }
    hits
}

struct Announce(String);

#[expect(clippy::print_stderr, reason = "a failure tells where it was")]
impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

#[test]
fn whatever_fails_at_whichever_step_exactly_what_is_wanted_runs_in_the_end() {
    let mut cells: BTreeMap<(Operation, Victim, Kind), u64> = BTreeMap::new();
    for operation in OPERATIONS {
        for (victim, kind) in VICTIMS.into_iter().flat_map(|victim| KINDS.map(|kind| (victim, kind))) {
            let hits = (0..ROUNDS).map(|seed| play_all_steps(seed, operation, (victim, kind))).sum();
            cells.insert((operation, victim, kind), hits);
        }
    }
    println!("{} cells, {} mishaps: {cells:?}", cells.len(), cells.values().sum::<u64>());
    assert_eq!(cells.len(), OPERATIONS.len() * VICTIMS.len() * KINDS.len());
    assert!(cells.values().all(|hits| *hits > 0), "a cell is empty: {cells:?}");
}
