//! Reloads and restarts: one at a time, equal waiting ones are one.
//!
//! A reload changes nothing before its commit; until then it is undone by ending what was started for it.
//!
//! | step | what happens | failure |
//! | --- | --- | --- |
//! | resolving | the configuration is read and checked in a child | nothing to undo |
//! | binding | new listeners, control socket, pidfile and log are opened beside the old ones | those that were opened are closed |
//! | preparing | new companions that the workers will require become ready | they are removed, new listeners closed |
//! | rolling | new workers become ready; then the old ones are asked to leave: the commit; in batches, old ones leave before it | as before, new workers leave, each where one has taken over for an old one again |
//! | draining | where companions change: the old workers, which may lean on them as they were, leave | told, not undone |
//! | committing | every other companion follows | told, not undone |

use super::pending::pending;
use super::{Line, Master, MasterAction, Phase, Ticket};
use crate::hooks::Occasion;
use proto::control::{Answer, EventKind, Failure, FailureKind, ReloadReport, Reply};
use proto::link::ToManager;
use proto::spec::{ListenerSpec, MasterSpec};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::Monotonic;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Read the configuration and apply all of it.
    Reload,
    /// Read and check it, apply the companions' part.
    ReloadCompanions,
    /// Read and check it, tell what would change.
    DryRun,
    /// The next generation of workers from the settings in force.
    RestartWorkers,
    /// One worker's successor.
    RestartWorker(u32),
    /// Add companions: the change of this number.
    Load(u64),
    /// Remove companions that were loaded: the change of this number.
    Unload(u64),
    /// Replace arbiter's own program.
    Upgrade,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Step {
    Resolving,
    Binding(Box<MasterSpec>),
    Preparing(Box<MasterSpec>),
    Rolling(Option<Box<MasterSpec>>),
    Draining {
        replaced: u32,
    },
    Committing {
        /// Whom it is about; `None`: about all companions.
        only: Option<Vec<String>>,
        replaced: u32,
        pending: Vec<String>,
    },
    /// What companions listen on is opened for a change, which is about those of `names`.
    Opening {
        names: Vec<String>,
        held: Vec<ListenerSpec>,
    },
    Comparing {
        replaced: u32,
        pending: Vec<String>,
    },
    /// The installed program says whether it can take over.
    Trying,
    /// The manager makes room; then the program is replaced.
    Leaving,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) tickets: Vec<u64>,
    pub(super) step: Step,
    /// Whether its commit changes companions, where it is one that prepares.
    pub(super) changes: bool,
}

/// How an operation failed.
struct Undone {
    kind: FailureKind,
    /// What is left of it.
    what: &'static str,
    reason: String,
}

/// An operation that failed and left nothing.
fn undone(reason: &str) -> Undone {
    Undone { kind: FailureKind::Refused, what: "nothing was changed", reason: reason.into() }
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Reload => "reload".into(),
            Self::ReloadCompanions => "reload of the companions".into(),
            Self::DryRun => "dry run of a reload".into(),
            Self::RestartWorkers => "restart of the workers".into(),
            Self::RestartWorker(slot) => format!("restart of worker {slot}"),
            Self::Load(_) => "load".into(),
            Self::Unload(_) => "unload".into(),
            Self::Upgrade => "upgrade".into(),
        }
    }

    /// Whether its end is an event of its own; those of a single worker tell the rest.
    fn is_a_reload(self) -> bool {
        matches!(self, Self::Reload | Self::ReloadCompanions | Self::RestartWorkers)
    }

    /// Whether it replaces every worker, or may.
    fn is_of_all_workers(self) -> bool {
        matches!(self, Self::Reload | Self::RestartWorkers)
    }
}

impl Master {
    /// Whether a reload or restart is under way.
    pub(super) fn is_reloading(&self) -> bool {
        self.operation.as_ref().is_some_and(|it| !matches!(it.kind, Kind::DryRun | Kind::Upgrade))
    }

    pub(super) fn enqueue(&mut self, kind: Kind, ticket: Ticket) {
        if self.is_stopping() {
            self.log(Line::Warn(format!("{} ignored: arbiter is stopping", kind.name())));
            return;
        }
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == kind) {
            Some((_, tickets)) => tickets.extend(ticket),
            None => self.waiting.push_back((kind, ticket.into_iter().collect())),
        }
        if !self.may_begin(kind) {
            self.log(Line::Info(format!("{} waits: the arbiter before has not left yet", kind.name())));
        }
    }

    /// Begins what has waited longest, if nothing is under way. Returns whether it did.
    pub(super) fn begin_next_operation(&mut self, now: Monotonic) -> bool {
        if self.operation.is_some() || self.is_stopping() || matches!(self.phase, Phase::Opening) {
            return false;
        }
        if !self.waiting.front().is_some_and(|(kind, _)| self.may_begin(*kind)) {
            return false;
        }
        let Some((kind, tickets)) = self.waiting.pop_front() else { return false };
        if kind.is_of_all_workers() {
            self.bring_back(now);
        }
        self.log(Line::Info(format!("{} begins", kind.name())));
        if matches!(kind, Kind::Reload | Kind::ReloadCompanions) {
            let (generation, companions_only) = (self.pool.generation(), kind == Kind::ReloadCompanions);
            let occasion = Occasion::OnReload { generation, companions_only };
            self.actions.push(MasterAction::Hook(occasion));
        }
        let step = match kind {
            Kind::Reload | Kind::ReloadCompanions | Kind::DryRun | Kind::Load(_) | Kind::Unload(_) => {
                Step::Resolving
            }
            Kind::RestartWorkers | Kind::RestartWorker(_) => Step::Rolling(None),
            Kind::Upgrade => Step::Trying,
        };
        let has_workers = self.spec.workers.is_some() && self.pool_started;
        self.operation = Some(Operation { kind, tickets, step, changes: false });
        match kind {
            Kind::RestartWorkers if has_workers => self.pool.restart(now, &mut self.ids),
            Kind::RestartWorkers => self.fail_operation(now, "there are no workers"),
            Kind::RestartWorker(slot) => {
                if !has_workers || !self.pool.restart_slot(now, &mut self.ids, slot) {
                    let reason = format!("there is no worker {slot}, see `arbiterctl status`");
                    self.fail_operation_as(now, Undone { kind: FailureKind::NotFound, ..undone(&reason) });
                }
            }
            Kind::Reload | Kind::ReloadCompanions | Kind::DryRun => {
                self.actions.push(MasterAction::Resolve(None));
            }
            Kind::Load(number) | Kind::Unload(number) => {
                let change = self.changes.remove(&number).map(Box::new);
                self.actions.push(MasterAction::Resolve(change));
            }
            Kind::Upgrade => match self.no_upgrade() {
                Some(reason) => self.fail_operation(now, reason),
                None => self.actions.push(MasterAction::TryUpgrade),
            },
        }
        true
    }

    /// The configuration was read: a new one, or what is wrong with it.
    pub fn resolved(&mut self, now: Monotonic, result: Result<Box<MasterSpec>, String>) {
        let Some(operation) = self.operation.as_mut().filter(|it| matches!(it.step, Step::Resolving)) else {
            return;
        };
        match (result, operation.kind) {
            (Err(errors), _) => self.fail_operation(now, &errors),
            (Ok(spec), Kind::DryRun) => {
                let workers = spec.workers.as_ref();
                let replaced = workers.map_or(0, |workers| self.pool.target_with(workers.count));
                operation.step = Step::Comparing { replaced, pending: pending(&self.spec, &spec) };
                self.tell(ToManager::Compare);
            }
            (Ok(spec), Kind::ReloadCompanions) if spec.held != self.spec.held => {
                operation.step = Step::Binding(spec.clone());
                let held = MasterSpec { held: spec.held, ..self.spec.clone() };
                self.actions.push(MasterAction::BindHeld(Box::new(held)));
            }
            // A change is answered by `changed`.
            (Ok(_), Kind::Load(_) | Kind::Unload(_) | Kind::Upgrade) => {
                self.fail_operation(now, "something else was read")
            }
            (Ok(spec), Kind::ReloadCompanions) => self.commit_companions(&spec),
            (Ok(spec), Kind::Reload | Kind::RestartWorkers | Kind::RestartWorker(_)) => {
                operation.step = Step::Binding(spec.clone());
                self.actions.push(MasterAction::Bind(spec));
            }
        }
        self.settle(now);
    }

    /// A change of the companions in force was read: it is about `names`, and the slowest chain of companions may
    /// take `stop_within` to stop from now on.
    pub fn changed(
        &mut self,
        now: Monotonic,
        names: Vec<String>,
        stop_within: Duration,
        held: Vec<ListenerSpec>,
    ) {
        let Some(operation) = self.operation.as_mut().filter(|it| matches!(it.step, Step::Resolving)) else {
            return;
        };
        let within = &mut self.spec.companions_stop_within;
        *within = stop_within.max(*within);
        if held == self.spec.held {
            self.commit_change(names);
        } else {
            operation.step = Step::Opening { names, held: held.clone() };
            let spec = MasterSpec { held, ..self.spec.clone() };
            self.actions.push(MasterAction::BindHeld(Box::new(spec)));
        }
        self.settle(now);
    }

    /// A change of the companions in force, about those of `names`, comes into force.
    fn commit_change(&mut self, names: Vec<String>) {
        let Some(operation) = &mut self.operation else { return };
        let only = Some(names);
        operation.step = Step::Committing { only: only.clone(), replaced: 0, pending: Vec::new() };
        self.spec.has_companions = true;
        self.tell(ToManager::Prepare);
        self.tell(ToManager::Commit { only });
    }

    /// What the new configuration listens on is open, and its files are; or why one is not.
    pub fn bound(&mut self, now: Monotonic, result: Result<(), String>) {
        let Some(Operation { kind, step, .. }) = &mut self.operation else { return };
        if let Step::Opening { names, held } = step {
            let (names, held) = (std::mem::take(names), std::mem::take(held));
            match result {
                Ok(()) => {
                    self.actions.push(MasterAction::KeepNewListeners);
                    self.spec.held = held;
                    self.commit_change(names);
                }
                Err(reason) => self.fail_operation(now, &reason),
            }
            return self.settle(now);
        }
        let Step::Binding(spec) = step else { return };
        match result {
            Ok(()) if *kind == Kind::ReloadCompanions => {
                let spec = spec.clone();
                self.actions.push(MasterAction::KeepNewListeners);
                self.commit_companions(&spec);
                self.spec.held = spec.held;
            }
            Ok(()) => {
                *step = Step::Preparing(spec.clone());
                self.tell(ToManager::Prepare);
            }
            Err(reason) => self.fail_operation(now, &reason),
        }
        self.settle(now);
    }

    /// The companions' part of a configuration comes into force, and nothing else of it.
    fn commit_companions(&mut self, spec: &MasterSpec) {
        let Some(operation) = &mut self.operation else { return };
        operation.step = Step::Committing { only: None, replaced: 0, pending: pending(&self.spec, spec) };
        // A stop from now on has to wait for the old ones and the new ones.
        let within = &mut self.spec.companions_stop_within;
        *within = spec.companions_stop_within.max(*within);
        self.tell(ToManager::Prepare);
        self.tell(ToManager::Commit { only: None });
    }

    /// What the workers will require is ready, and whether the commit will change companions; or why it is not.
    pub(super) fn prepared(&mut self, now: Monotonic, result: Result<bool, String>) {
        let Some(Operation { step, changes, .. }) = &mut self.operation else { return };
        let Step::Preparing(spec) = step else { return };
        match result {
            Ok(changes_any) => {
                *changes = changes_any;
                let (workers, has_listeners) = (spec.workers.clone(), !spec.listeners.is_empty());
                *step = Step::Rolling(Some(spec.clone()));
                self.pool.roll_out(now, &mut self.ids, workers, has_listeners);
            }
            Err(reason) => self.fail_operation(now, &reason),
        }
    }

    /// The new workers have taken over: from here on the reload is not undone.
    pub(super) fn rolled_out(&mut self, now: Monotonic, replaced: u32) {
        let Some(operation) = &mut self.operation else { return };
        match std::mem::replace(&mut operation.step, Step::Draining { replaced }) {
            Step::Rolling(Some(spec)) => {
                self.spec = (*spec).clone();
                self.actions.push(MasterAction::KeepNewListeners);
                self.actions.push(MasterAction::Adopt(spec));
                self.advance_drain();
                // Workers that waited for what they require may not require it any more.
                self.maybe_start_pool(now);
            }
            Step::Rolling(None) => {
                let report = ReloadReport { workers_replaced: replaced, ..ReloadReport::default() };
                self.finish_operation(report);
            }
            step => operation.step = step,
        }
    }

    /// The companions follow, once no worker is left that may lean on them as they were.
    pub(super) fn advance_drain(&mut self) {
        let Some(Operation { step, changes, .. }) = &mut self.operation else { return };
        let Step::Draining { replaced } = *step else { return };
        if !*changes || !self.pool.has_old_ones() {
            *step = Step::Committing { only: None, replaced, pending: Vec::new() };
            self.tell(ToManager::Commit { only: None });
        }
    }

    /// The new workers have not taken over, or those that had have made room again.
    pub(super) fn rollout_failed(&mut self, now: Monotonic, reason: &str, stay: &[(u32, String)]) {
        let mut undone = undone(reason);
        for (slot, why) in stay {
            undone.what = "not all of it could be undone";
            let more = format!("; worker {slot} stays as it is, for one as before {why}");
            undone.reason.push_str(&more);
        }
        self.fail_operation_as(now, undone);
    }

    pub(super) fn committed(&mut self, mut report: ReloadReport) {
        let Some(Operation { step, .. }) = &mut self.operation else { return };
        if let Step::Committing { replaced, pending, .. } | Step::Comparing { replaced, pending } = step {
            report.workers_replaced = *replaced;
            report.pending.append(pending);
            self.finish_operation(report);
        }
    }

    fn finish_operation(&mut self, mut report: ReloadReport) {
        let Some(operation) = self.operation.take() else { return };
        report.generation = self.pool.generation();
        if report.problems.is_empty() {
            self.log(Line::Info(format!("{} done, generation {}", operation.kind.name(), report.generation)));
        } else {
            let problems = report.problems.join("; ");
            self.log(Line::Error(format!("{} done, but {problems}", operation.kind.name())));
        }
        if operation.kind.is_a_reload() {
            let error = (!report.problems.is_empty()).then(|| report.problems.join("; "));
            self.happens(EventKind::Reload { generation: report.generation, ok: error.is_none(), error });
        }
        for relay in operation.tickets {
            self.answer(relay, Ok(Answer::Reload(report.clone())));
        }
    }

    /// Undoes an operation that cannot succeed.
    pub(super) fn fail_operation(&mut self, now: Monotonic, reason: &str) {
        self.fail_operation_as(now, undone(reason));
    }

    fn fail_operation_as(&mut self, now: Monotonic, Undone { kind, what, reason }: Undone) {
        let Some(operation) = self.operation.take() else { return };
        let companions = match operation.step {
            Step::Draining { .. } => Some("its companions are as before"),
            Step::Committing { .. } => Some("its companions were not waited for"),
            _ => None,
        };
        let is_an_upgrade = operation.kind == Kind::Upgrade;
        match operation.step {
            Step::Resolving => self.actions.push(MasterAction::AbandonResolver),
            Step::Binding(_) | Step::Opening { .. } => self.actions.push(MasterAction::DropNewListeners),
            Step::Preparing(_) | Step::Rolling(Some(_)) => {
                self.pool.abandon_rollout(now, &mut self.ids);
                self.actions.push(MasterAction::DropNewListeners);
                self.tell(ToManager::Abort);
            }
            Step::Rolling(None) => self.pool.abandon_rollout(now, &mut self.ids),
            Step::Trying => self.actions.push(MasterAction::AbandonUpgrade),
            Step::Leaving => self.actions.push(MasterAction::KeepProgram),
            Step::Draining { .. } | Step::Committing { .. } | Step::Comparing { .. } => {}
        }
        let name = operation.kind.name();
        let message = match companions {
            Some(companions) => format!("{name} is in force, but {companions}: {reason}"),
            None => format!("{name} failed, {what}: {reason}"),
        };
        if operation.kind.is_a_reload() {
            let generation = self.pool.generation();
            self.happens(EventKind::Reload { generation, ok: false, error: Some(message.clone()) });
        }
        if is_an_upgrade {
            self.happens(EventKind::Upgrade { ok: false });
        }
        let failure = Failure::new(kind, message.clone());
        self.log(Line::Error(message));
        for relay in operation.tickets {
            self.actions.push(MasterAction::Answer { relay, reply: Reply::Failed(failure.clone()) });
        }
    }

    /// Gives a replacement of workers up, where one is under way.
    pub(super) fn fail_replacement(&mut self, now: Monotonic, reason: &str) {
        let is_one = |operation: &Operation| {
            matches!(operation.kind, Kind::Reload | Kind::RestartWorkers | Kind::RestartWorker(_))
                && !matches!(operation.step, Step::Draining { .. } | Step::Committing { .. })
        };
        if self.operation.as_ref().is_some_and(is_one) {
            self.fail_operation(now, reason);
        }
    }

    /// Gives up whatever is under way or waits, because arbiter stops.
    pub(super) fn abandon_operations(&mut self, now: Monotonic) {
        self.fail_operation(now, "arbiter is stopping");
        for (kind, tickets) in std::mem::take(&mut self.waiting) {
            for relay in tickets {
                self.refuse(relay, &format!("{} was not begun: arbiter is stopping", kind.name()));
            }
        }
        // There may be no other manager any more.
        for relay in std::mem::take(&mut self.manager_awaited) {
            self.refuse(relay, "another companion manager was not waited for: arbiter is stopping");
        }
    }

    /// Whether the manager before may have begun to change companions for what is under way.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.operation.as_ref().is_some_and(|operation| match operation.step {
            Step::Preparing(_) | Step::Rolling(Some(_)) | Step::Draining { .. } | Step::Committing { .. } => {
                true
            }
            Step::Resolving
            | Step::Binding(_)
            | Step::Opening { .. }
            | Step::Rolling(None)
            | Step::Comparing { .. }
            | Step::Trying
            | Step::Leaving => false,
        })
    }

    /// Asks a new manager again for what the one before has not answered.
    pub(super) fn remind_of_operation(&mut self) {
        if self.is_prepared() {
            self.tell(ToManager::Prepare);
        }
        match self.operation.as_ref().map(|operation| &operation.step) {
            Some(Step::Committing { only, .. }) => {
                let only = only.clone();
                self.tell(ToManager::Commit { only });
            }
            Some(Step::Comparing { .. }) => self.tell(ToManager::Compare),
            Some(Step::Leaving) => self.tell(ToManager::Retire),
            _ => {}
        }
    }
}
