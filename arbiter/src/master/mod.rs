//! arbiter as a whole, as a pure machine: start, serve, reload, stop.
//!
//! It decides what the pool, the companions and the listeners do and in which order; `run` performs it. A
//! long operation is a value that says how far it has come, so it can be shown, cancelled and gone on with
//! when the manager dies in the middle of it.
//!
//! | phase | what is awaited | what ends it |
//! | --- | --- | --- |
//! | starting | required companions, then every worker's first readiness | all ready: running |
//! | running | | |
//! | operation (one at a time, see `operation`) | see there | done or failed: running |
//! | stopping (see `stop`) | workers and other companions, required companions, the manager | exit |

mod operation;
mod pending;
mod requests;
mod stop;
mod view;

use crate::pool::{Pool, PoolAction, Report};
use operation::{Kind, Operation};
use proto::control::{ReloadReport, Reply, ScaleChange, Verb};
use proto::link::{Pace, ToManager};
use proto::spec::{MasterSpec, OnBootFailure};
use std::collections::VecDeque;
use stop::Stop;
use supervise::{Input, Monotonic, RunId, RunIds};
pub use view::Clocks;

/// Where arbiter's own runs are numbered from: the manager's never come near.
const OWN_RUNS: u64 = 1 << 48;

/// Who waits for an answer: a number of the manager's, or nobody.
pub type Ticket = Option<u64>;

/// What arbiter does with its life.
#[derive(Debug)]
enum Phase {
    /// Not everything has been ready yet.
    Starting,
    /// Everything has been ready once.
    Running,
    /// It is going to end and serves on for load balancers to notice.
    Leaving {
        /// Until then.
        until: Monotonic,
    },
    /// It ends.
    Stopping(Stop),
}

/// What the shell is to do.
#[derive(Debug)]
pub enum MasterAction {
    /// What the pool wants.
    Pool(PoolAction),
    /// Read the configuration in a child; answer with [`Master::resolved`].
    Resolve,
    /// End the child that reads the configuration: nobody waits for it any more.
    AbandonResolver,
    /// Open what the new configuration listens on beside what is open; answer with [`Master::bound`].
    Bind(Box<MasterSpec>),
    /// Keep the new listeners and close those that are configured no more.
    KeepNewListeners,
    /// Close the new listeners.
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
    /// Reopen the log.
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
    Prepared(Result<(), String>),
    /// It is in force, or was compared.
    Committed(ReloadReport),
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
    operation: Option<Operation>,
    waiting: VecDeque<(Kind, Vec<u64>)>,
    manager_up: bool,
    pool_started: bool,
    required_pending: Option<String>,
    actions: Vec<MasterAction>,
}

impl Master {
    /// arbiter with a configuration in force and nothing running.
    #[must_use]
    pub fn new(spec: MasterSpec) -> Self {
        let pool = Pool::new(spec.workers.clone(), !spec.listeners.is_empty());
        Self {
            pool,
            spec,
            ids: RunIds::starting_at(OWN_RUNS),
            phase: Phase::Starting,
            operation: None,
            waiting: VecDeque::new(),
            manager_up: false,
            pool_started: false,
            required_pending: Some("the companion manager to start".into()),
            actions: Vec::new(),
        }
    }

    /// Begins: the workers start as soon as what they require is ready.
    pub fn start(&mut self, now: Monotonic) {
        self.maybe_start_pool(now);
        self.settle(now);
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
        match &self.phase {
            Phase::Stopping(stop) => stop.needs_manager(),
            Phase::Starting | Phase::Running | Phase::Leaving { .. } => true,
        }
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<MasterAction> {
        std::mem::take(&mut self.actions)
    }

    /// The next moment at which [`Master::handle_deadlines`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let stop = match &self.phase {
            Phase::Stopping(stop) => stop.deadline(),
            Phase::Leaving { until } => Some(*until),
            Phase::Starting | Phase::Running => None,
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
                if let Err(reason) = self.scale(now, ScaleChange::By(by)) {
                    self.log(Line::Warn(format!("the number of workers stays as it is: {reason}")));
                }
            }
            Event::ReopenLogs => self.actions.push(MasterAction::ReopenLog),
            Event::Request { relay, wait, verb } => self.handle_request(now, relay, wait, verb),
            Event::ManagerBegun => {
                self.manager_up = true;
                self.remind_manager();
            }
            Event::ManagerGone => self.manager_up = false,
            Event::Required(waiting_for) => {
                self.required_pending = waiting_for.map(|names| format!("{names} to be ready"));
                self.maybe_start_pool(now);
            }
            Event::Prepared(result) => self.prepared(now, result),
            Event::Committed(report) => self.committed(report),
            Event::Stopped { required_too, killed } => self.companions_stopped(now, required_too, killed),
        }
        self.settle(now);
    }

    /// Starts the workers once what they require is ready.
    fn maybe_start_pool(&mut self, now: Monotonic) {
        let requires = self.spec.workers.as_ref().is_some_and(|workers| !workers.requires.is_empty());
        let held = requires && self.required_pending.is_some();
        if !self.pool_started && !held && !self.is_stopping() {
            self.pool_started = true;
            self.pool.start(now, &mut self.ids);
        }
    }

    /// After any change: passes on what the pool wants, and goes on with what may be complete.
    fn settle(&mut self, now: Monotonic) {
        loop {
            self.take_pool_actions(now);
            if matches!(self.phase, Phase::Starting) && self.pool_started && self.pool.all_were_ready() {
                self.phase = Phase::Running;
                let workers = self.pool.target();
                self.log(Line::Info(format!("running, {workers} workers ready")));
            }
            if !self.begin_next_operation(now) {
                break;
            }
        }
        self.advance_stop(now);
    }

    /// Passes on what the pool wants, in its order, and takes in what it reports.
    fn take_pool_actions(&mut self, now: Monotonic) {
        loop {
            let actions = self.pool.take_actions();
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
            Report::RolloutFailed { reason } => self.fail_operation(now, &reason),
            Report::Aborted { reason } => self.log(Line::Warn(reason)),
            Report::BootFailed { code, reason } => {
                let halts = self.spec.on_boot_failure == OnBootFailure::Halt;
                // A reload under way may be just what mends it; if not, the next attempt ends arbiter.
                if halts && !self.is_stopping() && !self.is_reloading() {
                    self.log(Line::Error(format!("{reason}: stopping, see the program's own output")));
                    self.begin_stop(now, Pace::Graceful, code);
                }
            }
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

    fn tell(&mut self, message: ToManager) {
        if self.manager_up {
            self.actions.push(MasterAction::Tell(message));
        }
    }

    fn log(&mut self, line: Line) {
        self.actions.push(MasterAction::Log(line));
    }
}
