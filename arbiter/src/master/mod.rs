//! arbiter as a whole, as a pure machine: start, serve, reload, stop.
//!
//! It decides what the pool, the companions and the listeners do and in which order; `run` performs it. A
//! long operation is a value that says how far it has come, so it can be shown, cancelled and gone on with
//! when the manager dies in the middle of it.
//!
//! | phase | what is awaited | what ends it |
//! | --- | --- | --- |
//! | opening | the hook `on_starting`, where there is one | it is over: starting, or exit |
//! | starting | required companions, then every worker's first readiness | all ready: running |
//! | running | | |
//! | operation (one at a time, see `operation`) | see there | done or failed: running |
//! | stopping (see `stop`) | workers and other companions, required companions, the manager | exit |

mod opening;
mod operation;
mod pending;
mod requests;
mod scaled;
mod stop;
mod succession;
mod upgrade;
mod view;

use crate::hooks::Occasion;
use crate::pool::{Pool, PoolAction, Report};
pub(crate) use opening::EXIT_CANNOT_START;
use operation::{Kind, Operation};
use proto::control::{EventKind, ReloadReport, Reply, ScaleChange, Verb};
use proto::link::{Pace, ToManager};
use proto::spec::{Change, MasterSpec};
use scaled::Scaled;
use std::collections::{BTreeMap, VecDeque};
use stop::Stop;
use succession::Beside;
use supervise::probe::Attempt;
use supervise::{Input, Monotonic, RunId, RunIds};
pub use upgrade::Saved;
pub use view::Clocks;

/// Where arbiter's own runs are numbered from: the manager's never come near.
const OWN_RUNS: u64 = 1 << 48;

/// Who waits for an answer: a number of the manager's, or nobody.
pub type Ticket = Option<u64>;

/// What arbiter does with its life.
#[derive(Debug)]
enum Phase {
    /// Nothing is started before the hook `on_starting` is over.
    Opening,
    /// Not everything has been ready yet.
    Starting,
    /// Everything has been ready once.
    Running,
    /// It is going to end and serves on for load balancers to notice.
    Leaving {
        /// Until then.
        until: Monotonic,
        /// The exit status, where something decided it.
        code: u8,
    },
    /// It ends.
    Stopping(Stop),
}

/// What the shell is to do.
#[derive(Debug)]
pub enum MasterAction {
    /// Run the hook `on_starting`; answer with [`Master::opened`].
    Open,
    /// Start the manager.
    StartManager,
    /// This has happened: for the hook that is there for it.
    Hook(Occasion),
    /// What the pool wants.
    Pool(PoolAction),
    /// Read the configuration in a child, or a change of the companions in force; answer with
    /// [`Master::resolved`], or [`Master::changed`].
    Resolve(Option<Box<Change>>),
    /// End the child that reads the configuration: nobody waits for it any more.
    AbandonResolver,
    /// Open what the new configuration listens on, and its files, beside what is open; answer with
    /// [`Master::bound`].
    Bind(Box<MasterSpec>),
    /// The same, where only what is held for companions is new.
    BindHeld(Box<MasterSpec>),
    /// Keep the new listeners and close those that are configured no more.
    KeepNewListeners,
    /// Close the new listeners and whatever else was opened with them.
    DropNewListeners,
    /// Close all listeners: nobody new is to come.
    CloseListeners,
    /// The new configuration is in force: logs, titles, files.
    Adopt(Box<MasterSpec>),
    /// Say this to the manager. With a message that needs the candidate's companions, hand them over.
    Tell(ToManager),
    /// Answer a relayed request.
    Answer {
        /// Its number.
        relay: u64,
        /// With this.
        reply: Reply,
    },
    /// Send a signal to a worker's main process.
    Signal {
        /// Which run.
        run: RunId,
        /// Which signal.
        signal: i32,
    },
    /// Start another master beside this one; answer with [`Event::SuccessorGone`] once it has ended.
    StartSuccessor {
        /// Its run.
        run: RunId,
    },
    /// Do not start the other master, if it has not been started yet.
    AbandonSuccessor {
        /// Its run.
        run: RunId,
    },
    /// See whether the program that is installed now can take over; answer with [`Master::tried_to_upgrade`].
    TryUpgrade,
    /// Nobody waits for that any more.
    AbandonUpgrade,
    /// The program is not replaced after all: if there is no manager because of that, start one.
    KeepProgram,
    /// Reopen the log, the manager's too.
    ReopenLog,
    /// SIGKILL every companion's group: the manager has not managed.
    KillCompanions,
    /// End with this exit status.
    Exit(u8),
    /// A line for the log.
    Log(Line),
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// What an operator wants to know.
    Info(String),
    /// What is doubtful.
    Warn(String),
    /// What failed.
    Error(String),
}

/// What comes from outside, by signal or request, and what the manager says of its companions.
#[derive(Debug)]
pub enum Event {
    /// Stop; a repeated one hurries.
    Stop(Pace),
    /// Reload everything.
    Reload,
    /// This many workers more, or fewer.
    ScaleWorkers(i32),
    /// The workers leave until they are brought back.
    Withdraw,
    /// Another master is wanted beside this one.
    Succeed,
    /// The other master has ended, or could not be started.
    SuccessorGone {
        /// Its run.
        run: RunId,
    },
    /// The master before this one has gone, and what it ran with it.
    TakeCharge,
    /// Reopen logs.
    ReopenLogs,
    /// A request that the manager relays.
    Request {
        /// Its number.
        relay: u64,
        /// Whether the answer is to come when it is done.
        wait: bool,
        /// What.
        verb: Verb,
    },
    /// A new manager has begun.
    ManagerBegun,
    /// The manager has ended.
    ManagerGone,
    /// Whether all that the workers require is ready, or the names of what is waited for.
    Required(Option<String>),
    /// The companions' part of a new configuration is prepared.
    Prepared(Result<bool, String>),
    /// It is in force, or was compared.
    Committed(ReloadReport),
    /// A critical companion was given up.
    CriticalLost {
        /// Which process.
        name: String,
        /// Why.
        reason: String,
    },
    /// Companions have stopped.
    Stopped {
        /// Also the required ones.
        required_too: bool,
        /// Whether anything had to be killed.
        killed: bool,
    },
}

/// arbiter.
#[derive(Debug)]
pub struct Master {
    spec: MasterSpec,
    pool: Pool,
    ids: RunIds,
    phase: Phase,
    beside: Beside,
    operation: Option<Operation>,
    waiting: VecDeque<(Kind, Vec<u64>)>,
    /// Changes that wait, by their numbers.
    changes: BTreeMap<u64, Change>,
    next_change: u64,
    manager_up: bool,
    /// Who waits for the manager to be replaced.
    manager_awaited: Vec<u64>,
    scaled: Vec<Scaled>,
    pool_started: bool,
    required_pending: Option<String>,
    /// How many workers there should be, as hooks were told last.
    target_told: u32,
    actions: Vec<MasterAction>,
    happened: Vec<(String, EventKind)>,
}

impl Master {
    /// arbiter with a configuration in force and nothing running.
    #[must_use]
    pub fn new(spec: MasterSpec) -> Self {
        let pool = Pool::new(spec.workers.clone(), !spec.listeners.is_empty());
        Self {
            target_told: pool.target(),
            pool,
            spec,
            ids: RunIds::starting_at(OWN_RUNS),
            phase: Phase::Starting,
            beside: Beside::Nobody,
            operation: None,
            waiting: VecDeque::new(),
            changes: BTreeMap::new(),
            next_change: 1,
            manager_up: false,
            manager_awaited: Vec::new(),
            scaled: Vec::new(),
            pool_started: false,
            required_pending: Some("the companion manager to start".into()),
            actions: Vec::new(),
            happened: Vec::new(),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn spec(&self) -> &MasterSpec {
        &self.spec
    }

    /// The workers.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A number for a process of arbiter's own that is no worker.
    pub fn allot_run(&mut self) -> RunId {
        self.ids.allot()
    }

    /// Whether a manager that has ended is to be followed by another.
    #[must_use]
    pub fn needs_manager(&self) -> bool {
        let is_wanted = match &self.phase {
            Phase::Opening => false,
            Phase::Stopping(stop) => stop.needs_manager(),
            Phase::Starting | Phase::Running | Phase::Leaving { .. } => true,
        };
        is_wanted && self.is_in_charge()
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<MasterAction> {
        std::mem::take(&mut self.actions)
    }

    /// What has happened to arbiter and its workers, in order, and to whom.
    pub fn take_happened(&mut self) -> Vec<(String, EventKind)> {
        std::mem::take(&mut self.happened)
    }

    fn happens(&mut self, kind: EventKind) {
        self.happened.push(("arbiter".into(), kind));
    }

    /// The next moment at which [`Master::handle_deadlines`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let stop = match &self.phase {
            Phase::Stopping(stop) => stop.deadline(),
            Phase::Leaving { until, .. } => Some(*until),
            Phase::Opening | Phase::Starting | Phase::Running => None,
        };
        self.pool.next_deadline().into_iter().chain(stop).min()
    }

    /// Does what is due.
    pub fn handle_deadlines(&mut self, now: Monotonic) {
        self.leave_when_due(now);
        self.pool.handle_deadlines(now, &mut self.ids);
        // What the workers' deadlines bring about may be all that a stop still waited for.
        self.settle(now);
        self.stop_overdue(now);
        self.settle(now);
    }

    /// Takes in what happened to a worker's process.
    pub fn handle_worker(&mut self, now: Monotonic, run: RunId, input: Input) {
        self.pool.handle(now, &mut self.ids, run, input);
        self.settle(now);
    }

    /// A worker's process is held back until something else is over.
    pub fn hold_worker(&mut self, run: RunId) {
        self.pool.hold(run);
    }

    /// A worker said something of itself.
    pub fn describe_worker(&mut self, run: RunId, text: String) {
        self.pool.describe_status(run, text);
    }

    /// A worker gave a sign of life.
    pub fn worker_beats(&mut self, now: Monotonic, run: RunId) {
        self.pool.beat(now, run);
    }

    /// A worker says that it has failed.
    pub fn worker_gives_up(&mut self, now: Monotonic, run: RunId) {
        self.pool.give_up(now, &mut self.ids, run);
        self.settle(now);
    }

    /// A worker uses so many bytes of memory.
    pub fn worker_weighs(&mut self, now: Monotonic, run: RunId, bytes: u64) {
        self.pool.weigh(now, &mut self.ids, run, bytes);
        self.settle(now);
    }

    /// Where chance begins.
    pub fn seed(&mut self, seed: u64) {
        self.pool.seed(seed);
    }

    /// A try to ask a worker whether it is ready has ended.
    pub fn tried(&mut self, now: Monotonic, attempt: Attempt, result: Result<(), String>) {
        self.pool.tried(now, &mut self.ids, attempt, result);
        self.settle(now);
    }

    /// arbiter itself was away: nobody's silence counts from before.
    pub fn was_away(&mut self, now: Monotonic) {
        self.pool.forgive(now);
    }

    /// Takes in what happened outside.
    pub fn handle(&mut self, now: Monotonic, event: Event) {
        match event {
            Event::Stop(pace) => self.begin_stop(now, pace, 0),
            Event::Reload => self.enqueue(Kind::Reload, None),
            Event::ScaleWorkers(by) => {
                // One fewer brings nobody back: so many fewer come when they do.
                if by > 0 && self.bring_back(now) {
                    // That many more than none is what there was before.
                } else if let Err(reason) = self.scale(now, ScaleChange::By(by)) {
                    self.log(Line::Warn(format!("the number of workers stays as it is: {reason}")));
                }
            }
            Event::Withdraw => self.withdraw(now),
            Event::Succeed => self.succeed(),
            Event::SuccessorGone { run } => self.successor_gone(now, run),
            Event::TakeCharge => self.take_charge(),
            Event::ReopenLogs => self.reopen_logs(),
            Event::Request { relay, wait, verb } => self.handle_request(now, relay, wait, verb),
            Event::ManagerBegun => {
                self.manager_up = true;
                self.remind_manager();
                self.answer_restart();
            }
            Event::ManagerGone => self.manager_up = false,
            Event::Required(waiting_for) => {
                self.required_pending = waiting_for.map(|names| format!("{names} to be ready"));
                self.maybe_start_pool(now);
            }
            Event::Prepared(result) => self.prepared(now, result),
            Event::Committed(report) => self.committed(report),
            Event::CriticalLost { name, reason } => self.critical_lost(now, &name, &reason),
            Event::Stopped { required_too, killed } => self.companions_stopped(now, required_too, killed),
        }
        self.settle(now);
    }

    /// Starts the workers once what they require is ready.
    fn maybe_start_pool(&mut self, now: Monotonic) {
        let requires = self.spec.workers.as_ref().is_some_and(|workers| !workers.requires.is_empty());
        // Beside a predecessor it is the predecessor's companions that serve.
        let held = requires && self.is_in_charge() && self.required_pending.is_some();
        if !self.pool_started && !held && !self.is_stopping() {
            self.pool_started = true;
            self.pool.start(now, &mut self.ids);
        }
    }

    /// After any change: passes on what the pool wants, and goes on with what may be complete.
    fn settle(&mut self, now: Monotonic) {
        loop {
            self.take_pool_actions(now);
            self.advance_drain();
            if matches!(self.phase, Phase::Starting) && self.pool_started && self.pool.all_were_ready() {
                self.phase = Phase::Running;
                let workers = self.pool.target();
                self.log(Line::Info(format!("running, {workers} workers ready")));
                self.actions.push(MasterAction::Hook(Occasion::WhenReady { workers }));
            }
            if !self.begin_next_operation(now) {
                break;
            }
        }
        self.tell_target();
        self.answer_scaled();
        self.advance_stop(now);
    }

    fn tell_target(&mut self) {
        let after = self.pool.target();
        let before = std::mem::replace(&mut self.target_told, after);
        if before != after {
            self.actions.push(MasterAction::Hook(Occasion::NworkersChanged { before, after }));
            self.happened.push(("worker".into(), EventKind::Update { target: after }));
        }
    }

    /// Passes on what the pool wants, in its order, and takes in what it reports.
    fn take_pool_actions(&mut self, now: Monotonic) {
        loop {
            let actions = self.pool.take_actions();
            self.happened.extend(self.pool.take_happened());
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    PoolAction::Report(report) => self.handle_report(now, report),
                    action => self.actions.push(MasterAction::Pool(action)),
                }
            }
        }
    }

    fn handle_report(&mut self, now: Monotonic, report: Report) {
        match report {
            Report::RolledOut { replaced } => self.rolled_out(now, replaced),
            Report::GoesBack { reason } => {
                self.log(Line::Warn(format!("{reason}: going back to the workers before")));
            }
            Report::RolloutFailed { reason, stay } => self.rollout_failed(now, &reason, &stay),
            Report::Recycles { reason } => self.log(Line::Info(reason)),
            Report::RecyclingFailed { reason } | Report::Aborted { reason } => self.log(Line::Warn(reason)),
            Report::CannotStart => self.cannot_start(now),
            Report::BootFailed { code, reason } => self.boot_failed(now, code, &reason),
        }
    }

    /// Tells a manager that has just begun what the one before was asked.
    fn remind_manager(&mut self) {
        self.remind_of_operation();
        self.remind_of_stop();
    }

    /// Whether it ends.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. } | Phase::Stopping(_))
    }

    /// Logs are opened anew: arbiter's, the manager's, and those of workers that have a signal for it.
    fn reopen_logs(&mut self) {
        self.actions.push(MasterAction::ReopenLog);
        self.pool.reopen_logs();
    }

    fn tell(&mut self, message: ToManager) {
        if self.manager_up {
            self.actions.push(MasterAction::Tell(message));
        }
    }

    fn log(&mut self, line: Line) {
        self.actions.push(MasterAction::Log(line));
    }
}
