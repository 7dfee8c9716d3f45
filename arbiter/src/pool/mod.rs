//! The workers, as a pure machine: N slots of one program, replaced new before old.
//!
//! Each worker is a [`supervise::Unit`] with a slot and a generation. A *rollout* (a reload, a restart)
//! starts a successor beside each current worker; when all successors are ready they take over and the
//! old ones are asked to leave. A successor that ends before it is ready undoes the rollout. With
//! `reload_batch` that happens so many at a time, and what was replaced before the failure goes back. A
//! worker that is old or big is *recycled*: one at a time, also new before old, when no rollout is under way.
//!
//! | role | meaning | when its process ends |
//! | --- | --- | --- |
//! | current | serves its slot | it is replaced in the slot |
//! | successor | will serve the slot once ready | the rollout fails, the recycling is tried later |
//! | leaving | asked to stop | it is forgotten |

mod deaths;
mod heartbeat;
mod members;
mod probes;
mod recycling;
mod rollout;
mod saved;
mod settings;
mod undo;
mod view;
mod words;

use deaths::Deaths;
pub use heartbeat::{is_shown_too_old, period as heartbeat_period};
use proto::control::EventKind;
use proto::link::Pace;
use proto::spec::WorkersSpec;
use recycling::{Lifetime, Recycling};
use rollout::Rollout;
pub use saved::Saved;
use serde::{Deserialize, Serialize};
pub(crate) use settings::QUICK_STOP;
pub use settings::Settings;
use std::sync::Arc;
use supervise::probe::{Probes, Step};
pub use supervise::recycling::Measured;
use supervise::unit::Change;
use supervise::{Action, Heartbeat, Input, Monotonic, Phase, RunId, RunIds, Turn, Unit};
pub use view::Member;
pub use words::Weight;

/// A worker's place in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// It serves its slot.
    Current,
    /// It will, once it and all the others are ready.
    Successor,
    /// It was asked to stop.
    Leaving,
}

/// One worker.
#[derive(Debug)]
struct Worker {
    slot: u32,
    generation: u64,
    role: Role,
    settings: Arc<Settings>,
    unit: Unit,
    /// Its newest run, also when that is over.
    last_run: Option<RunId>,
    status_text: Option<String>,
    heartbeat: Heartbeat,
    lifetime: Lifetime,
    /// When to look again whether it waits on a listener.
    look_at: Option<Monotonic>,
    /// Its logs are to be reopened once it is ready: before, the signal might end it.
    owes_reopening: bool,
    /// Its settings are in force no more: it serves, but what follows its end has others.
    superseded: bool,
    /// Whether its process is held back: nothing is due before there is one.
    held: bool,
    /// The signal an operator sent last, and when.
    signalled: Option<(i32, Monotonic)>,
}

impl Worker {
    /// When to look whether it waits on a listener: not before it has a process.
    fn next_look(&self) -> Option<Monotonic> {
        self.look_at.filter(|_| self.unit.run().is_some_and(|run| run.pid.is_some()))
    }
}

/// What the pool wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum PoolAction {
    /// What a worker wants; the run tells which one ([`Pool::launch`]).
    Unit(Action),
    /// See whether this run's process waits on one of its listeners; if so it is ready.
    Look {
        /// Which run.
        run: RunId,
        /// Its process.
        pid: i32,
    },
    /// See how much memory these use; answer each with [`Pool::weigh`].
    Measure {
        /// Which.
        workers: Vec<Measured>,
    },
    /// Ask a starting worker whether it is ready, or give a try up ([`Pool::tried`]).
    Probe(Step),
    /// Something that concerns the pool as a whole.
    Report(Report),
}

/// What happened to the pool as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A rollout is complete: this many workers were replaced.
    RolledOut {
        /// How many.
        replaced: u32,
    },
    /// A rollout cannot be completed: what has taken over already is being replaced by what was before.
    GoesBack {
        /// Why, as a sentence.
        reason: String,
    },
    /// A rollout was undone.
    RolloutFailed {
        /// Why, as a sentence.
        reason: String,
        /// The slots whose new worker stays, each with what became of the one that was to follow it.
        stay: Vec<(u32, String)>,
    },
    /// A worker is being replaced though nothing is wrong.
    Recycles {
        /// Which and why, as a sentence.
        reason: String,
    },
    /// A worker that was to be replaced stays for now.
    RecyclingFailed {
        /// Which and why, as a sentence.
        reason: String,
    },
    /// A worker that hangs is being aborted.
    Aborted {
        /// Which and why, as a sentence.
        reason: String,
    },
    /// A worker of the first generation could not become its program, and none was ever ready.
    CannotStart,
    /// A worker of the first generation ended with a code that halts arbiter, before any was ready.
    BootFailed {
        /// The code.
        code: u8,
        /// How, as a sentence.
        reason: String,
    },
}

/// What a new process needs to know of its worker.
#[derive(Debug)]
pub struct Launch {
    /// Its slot.
    pub slot: u32,
    /// Its generation.
    pub generation: u64,
    /// Its settings.
    pub settings: Arc<Settings>,
}

/// The workers.
#[derive(Debug)]
pub struct Pool {
    settings: Option<Arc<Settings>>,
    generation: u64,
    target: u32,
    configured: u32,
    workers: Vec<Worker>,
    rollout: Option<Rollout>,
    recycling: Recycling,
    deaths: Deaths,
    probes: Probes,
    started: bool,
    withdrawn: bool,
    /// The generation that was started first: a reload may have come before.
    first_generation: Option<u64>,
    ever_ready: bool,
    all_were_ready: bool,
    stopping: Option<Pace>,
    killed: bool,
    actions: Vec<PoolAction>,
    happened: Vec<(String, EventKind)>,
}

impl Pool {
    /// A pool without processes; [`Pool::start`] makes them.
    #[must_use]
    pub fn new(spec: Option<WorkersSpec>, has_listeners: bool) -> Self {
        let configured = spec.as_ref().map_or(0, |spec| spec.count);
        Self {
            settings: spec.map(|spec| Arc::new(Settings::new(spec, has_listeners))),
            generation: 1,
            target: configured,
            configured,
            workers: Vec::new(),
            rollout: None,
            recycling: Recycling::default(),
            deaths: Deaths::default(),
            probes: Probes::default(),
            started: false,
            withdrawn: false,
            first_generation: None,
            ever_ready: false,
            all_were_ready: false,
            stopping: None,
            killed: false,
            actions: Vec::new(),
            happened: Vec::new(),
        }
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<PoolAction> {
        std::mem::take(&mut self.actions)
    }

    /// Takes in what happened to a run. Runs that are no worker's are ignored.
    pub fn handle(&mut self, now: Monotonic, ids: &mut RunIds, run: RunId, input: Input) {
        let Some(index) = self.find(run) else { return };
        self.let_go(now, index, &input);
        self.notice_signalled(now, index, &input);
        if matches!(input, Input::Exited { .. } | Input::NotSpawned { .. }) {
            self.count_death(now, index);
        }
        // A stop that is in a hurry has no more time to give.
        if matches!(input, Input::MoreTime { .. }) && self.stopping.is_some_and(|pace| pace != Pace::Graceful)
        {
            return;
        }
        match &input {
            Input::Exited { exit, .. } => self.notice_failed_boot(index, exit.status),
            Input::NotExecuted { .. } if self.is_first_boot(index) => {
                self.actions.push(PoolAction::Report(Report::CannotStart));
            }
            _ => {}
        }
        let storm = self.deaths.are_a_storm(now);
        self.drive(now, ids, index, storm, |unit, turn, policy| unit.handle(turn, policy, run, input));
        self.settle(now, ids);
    }

    /// A worker said something of itself.
    pub fn describe_status(&mut self, run: RunId, text: String) {
        if let Some(index) = self.find(run) {
            self.workers[index].status_text = Some(text);
        }
    }

    /// Whether no worker is left that a stop has to wait for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.workers.iter().all(|worker| worker.unit.is_settled())
    }

    /// Whether `count` workers have been ready at the same time once.
    #[must_use]
    pub fn all_were_ready(&self) -> bool {
        self.all_were_ready
    }

    /// Whether a stop had to use SIGKILL.
    #[must_use]
    pub fn had_to_kill(&self) -> bool {
        self.killed
    }

    /// How many there should be.
    #[must_use]
    pub fn target(&self) -> u32 {
        self.target
    }

    /// The generation in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What a new process of `run` needs.
    #[must_use]
    pub fn launch(&self, run: RunId) -> Option<Launch> {
        let worker = &self.workers[self.find(run)?];
        Some(Launch {
            slot: worker.slot,
            generation: worker.generation,
            settings: Arc::clone(&worker.settings),
        })
    }

    /// The next moment at which [`Pool::handle_deadlines`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.workers
            .iter()
            .filter(|worker| !worker.held)
            .flat_map(|worker| [worker.unit.next_deadline(), worker.next_look(), worker.silent_at()])
            .flatten()
            .chain(self.next_recycling())
            .chain(self.probes.next_deadline())
            .min()
    }

    /// Does what is due.
    pub fn handle_deadlines(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.expire_tries(now, ids);
        for index in 0..self.workers.len() {
            if self.workers[index].held {
                continue;
            }
            self.look(now, index);
            self.drive(now, ids, index, false, |unit, turn, policy| unit.handle_deadline(turn, policy));
            self.abort_if_silent(now, ids, index);
        }
        self.look_at_memory_when_due(now);
        self.settle(now, ids);
    }

    /// What has happened to workers, in order, and to which.
    pub fn take_happened(&mut self) -> Vec<(String, EventKind)> {
        std::mem::take(&mut self.happened)
    }

    fn find(&self, run: RunId) -> Option<usize> {
        self.workers.iter().position(|worker| worker.unit.run().is_some_and(|current| current.id == run))
    }

    /// Lets one unit act and takes over what it wants done.
    fn drive(
        &mut self,
        now: Monotonic,
        ids: &mut RunIds,
        index: usize,
        storm: bool,
        act: impl FnOnce(&mut Unit, &mut Turn<'_>, &supervise::Policy),
    ) {
        let worker = &mut self.workers[index];
        let was = worker.unit.run().map(|run| run.id);
        let before = worker.unit.before();
        let policy = match worker.role {
            Role::Current if !worker.superseded => &worker.settings.policy,
            Role::Current | Role::Successor | Role::Leaving => &worker.settings.once,
        };
        let mut actions = Vec::new();
        let mut turn = Turn { now, ids, gate: true, storm, actions: &mut actions };
        act(&mut worker.unit, &mut turn, policy);
        // What should be is told of the number of workers, not of each.
        let changes = before.changes(&worker.unit, &actions).into_iter();
        let changes = changes.filter(|change| !matches!(change, Change::Wanted | Change::Unwanted));
        self.happened.extend(changes.map(|change| (subject(worker.slot), EventKind::of(change, false))));
        if worker.unit.run().map(|run| run.id) != was {
            worker.last_run = worker.unit.run().map(|run| run.id).or(was);
            worker.status_text = None;
            let spec = &worker.settings.spec;
            worker.heartbeat = heartbeat::of_new_run(spec, now);
            worker.lifetime = Lifetime::of_new_run(&spec.recycle, &mut self.recycling.jitter, now);
            worker.look_at = worker.settings.watch_listeners.then_some(now);
            worker.owes_reopening = false;
        }
        if !matches!(worker.unit.phase(), Phase::Starting { .. }) {
            worker.look_at = None;
        }
        // What is held back has no process that could be killed.
        self.killed |= self.stopping.is_some()
            && !self.workers[index].held
            && actions.iter().any(|action| matches!(action, Action::Kill { .. }));
        self.actions.extend(actions.into_iter().map(PoolAction::Unit));
        if std::mem::take(&mut self.workers[index].owes_reopening) {
            self.reopen_log_of(index);
        }
        self.follow_probes(now, index, was);
    }

    /// After a change: promotes, undoes, forgets.
    fn settle(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.forget_gone();
        self.advance_rollout(now, ids);
        self.forget_gone();
        if self.stopping.is_none() {
            self.fill(now, ids);
            self.shrink(now, ids);
            self.advance_recycling(now, ids);
            self.forget_gone();
        }
        self.arm_look_at_memory(now);
        self.ever_ready |= self.workers.iter().any(|worker| worker.unit.is_ready());
        let ready = self.current().filter(|worker| worker.unit.is_ready()).count();
        self.all_were_ready |= self.started && ready >= self.target as usize;
        self.begin_tries(now);
    }

    fn look(&mut self, now: Monotonic, index: usize) {
        let worker = &mut self.workers[index];
        if worker.next_look().is_none_or(|at| now < at) {
            return;
        }
        let Some((run, pid)) = worker.unit.run().and_then(|run| Some((run, run.pid?))) else { return };
        worker.look_at = Some(now + supervise::look_interval(now.since(run.started)));
        self.actions.push(PoolAction::Look { run: run.id, pid });
    }
}

/// A worker, in events.
pub(crate) fn subject(slot: u32) -> String {
    format!("worker.{slot}")
}
