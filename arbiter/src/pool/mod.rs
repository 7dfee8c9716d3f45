//! The workers, as a pure machine: N slots of one program, replaced new before old.
//!
//! Each worker is a [`supervise::Unit`] with a slot and a generation. A *rollout* (a reload, a restart)
//! starts a successor beside each current worker; when all successors are ready they take over and the
//! old ones are asked to leave. A successor that ends before it is ready undoes the rollout: no old
//! worker has been touched by then.
//!
//! | role | meaning | when its process ends |
//! | --- | --- | --- |
//! | current | serves its slot | it is replaced in the slot |
//! | successor | will serve the slot once ready | the rollout fails |
//! | leaving | asked to stop | it is forgotten |

mod deaths;
mod heartbeat;
mod members;
mod rollout;
mod settings;
mod view;

use deaths::Deaths;
use heartbeat::Heartbeat;
pub use heartbeat::{is_shown_too_old, period as heartbeat_period};
use proto::link::Pace;
use proto::spec::WorkersSpec;
use rollout::Rollout;
pub(crate) use settings::QUICK_STOP;
pub use settings::Settings;
use std::sync::Arc;
use supervise::{Action, Input, Monotonic, Phase, RunId, RunIds, Turn, Unit};
pub use view::Member;

/// A worker's place in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    status_text: Option<String>,
    heartbeat: Heartbeat,
    /// When to look again whether it waits on a listener.
    look_at: Option<Monotonic>,
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
    /// A rollout was undone.
    RolloutFailed {
        /// Why, as a sentence.
        reason: String,
    },
    /// A worker that hangs is being aborted.
    Aborted {
        /// Which and why, as a sentence.
        reason: String,
    },
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
    deaths: Deaths,
    started: bool,
    ever_ready: bool,
    all_were_ready: bool,
    stopping: Option<Pace>,
    killed: bool,
    actions: Vec<PoolAction>,
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
            deaths: Deaths::default(),
            started: false,
            ever_ready: false,
            all_were_ready: false,
            stopping: None,
            killed: false,
            actions: Vec::new(),
        }
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<PoolAction> {
        std::mem::take(&mut self.actions)
    }

    /// Takes in what happened to a run. Runs that are no worker's are ignored.
    pub fn handle(&mut self, now: Monotonic, ids: &mut RunIds, run: RunId, input: Input) {
        let Some(index) = self.find(run) else { return };
        if matches!(input, Input::Exited { .. } | Input::NotSpawned { .. }) {
            self.count_death(now, index);
        }
        if let Input::Exited { exit, .. } = &input {
            self.notice_failed_boot(index, exit.status);
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
            .flat_map(|worker| [worker.unit.next_deadline(), worker.next_look(), worker.silent_at()])
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn handle_deadlines(&mut self, now: Monotonic, ids: &mut RunIds) {
        for index in 0..self.workers.len() {
            self.look(now, index);
            self.drive(now, ids, index, false, |unit, turn, policy| unit.handle_deadline(turn, policy));
            self.abort_if_silent(now, ids, index);
        }
        self.settle(now, ids);
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
        let policy = match worker.role {
            Role::Current => &worker.settings.policy,
            Role::Successor | Role::Leaving => &worker.settings.once,
        };
        let mut actions = Vec::new();
        let mut turn = Turn { now, ids, gate: true, storm, actions: &mut actions };
        act(&mut worker.unit, &mut turn, policy);
        if worker.unit.run().map(|run| run.id) != was {
            worker.status_text = None;
            worker.heartbeat = Heartbeat::of_new_run(&worker.settings.spec, now);
            worker.look_at = worker.settings.watch_listeners.then_some(now);
        }
        if !matches!(worker.unit.phase(), Phase::Starting { .. }) {
            worker.look_at = None;
        }
        self.killed |=
            self.stopping.is_some() && actions.iter().any(|action| matches!(action, Action::Kill { .. }));
        self.actions.extend(actions.into_iter().map(PoolAction::Unit));
    }

    /// After a change: promotes, undoes, forgets.
    fn settle(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.advance_rollout(now, ids);
        self.forget_gone();
        if self.stopping.is_none() {
            self.fill(now, ids);
            self.shrink(now, ids);
        }
        self.ever_ready |= self.workers.iter().any(|worker| worker.unit.is_ready());
        let ready = self.current().filter(|worker| worker.unit.is_ready()).count();
        self.all_were_ready |= self.started && ready >= self.target as usize;
    }

    fn look(&mut self, now: Monotonic, index: usize) {
        let worker = &mut self.workers[index];
        if worker.next_look().is_none_or(|at| now < at) {
            return;
        }
        let Some((run, pid)) = worker.unit.run().and_then(|run| Some((run, run.pid?))) else { return };
        worker.look_at = Some(now + settings::look_interval(now.since(run.started)));
        self.actions.push(PoolAction::Look { run: run.id, pid });
    }
}
