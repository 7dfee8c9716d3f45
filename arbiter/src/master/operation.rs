//! Reloads and restarts: one at a time, equal waiting ones are one.
//!
//! A reload changes nothing before its commit; until then it is undone by ending what was started for it.
//!
//! | step | what happens | failure |
//! | --- | --- | --- |
//! | resolving | the configuration is read and checked in a child | nothing to undo |
//! | binding | new listeners are opened beside the old ones | nothing to undo |
//! | preparing | new companions that the workers will require become ready | they are removed, new listeners closed |
//! | rolling | new workers become ready; then the old ones are asked to leave: the commit | as before, new workers leave |
//! | committing | every other companion follows | told, not undone |

use super::pending::pending;
use super::{Line, Master, MasterAction, Ticket};
use proto::control::{Answer, Failure, FailureKind, ReloadReport, Reply};
use proto::link::ToManager;
use proto::spec::MasterSpec;
use supervise::Monotonic;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// How far it has come.
#[derive(Debug)]
enum Step {
    Resolving,
    Binding(Box<MasterSpec>),
    Preparing(Box<MasterSpec>),
    Rolling(Option<Box<MasterSpec>>),
    Committing { replaced: u32, pending: Vec<String> },
    Comparing,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Operation {
    kind: Kind,
    tickets: Vec<u64>,
    step: Step,
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Reload => "reload".into(),
            Self::ReloadCompanions => "reload of the companions".into(),
            Self::DryRun => "dry run of a reload".into(),
            Self::RestartWorkers => "restart of the workers".into(),
            Self::RestartWorker(slot) => format!("restart of worker {slot}"),
        }
    }
}

impl Master {
    /// Whether a reload or restart is under way.
    pub(super) fn is_reloading(&self) -> bool {
        self.operation.as_ref().is_some_and(|operation| operation.kind != Kind::DryRun)
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
    }

    /// Begins what has waited longest, if nothing is under way. Returns whether it did.
    pub(super) fn begin_next_operation(&mut self, now: Monotonic) -> bool {
        if self.operation.is_some() || self.is_stopping() {
            return false;
        }
        let Some((kind, tickets)) = self.waiting.pop_front() else { return false };
        self.log(Line::Info(format!("{} begins", kind.name())));
        let step = match kind {
            Kind::Reload | Kind::ReloadCompanions | Kind::DryRun => Step::Resolving,
            Kind::RestartWorkers | Kind::RestartWorker(_) => Step::Rolling(None),
        };
        let rolling = matches!(step, Step::Rolling(_));
        self.operation = Some(Operation { kind, tickets, step });
        match kind {
            _ if rolling && (self.spec.workers.is_none() || !self.pool_started) => {
                self.fail_operation(now, "there are no workers");
            }
            Kind::RestartWorkers => self.pool.restart(now, &mut self.ids),
            Kind::RestartWorker(slot) => {
                if !self.pool.restart_slot(now, &mut self.ids, slot) {
                    let reason = format!("there is no worker {slot}, see arbiterctl status");
                    self.fail_operation_as(now, FailureKind::NotFound, &reason);
                }
            }
            Kind::Reload | Kind::ReloadCompanions | Kind::DryRun => {
                self.actions.push(MasterAction::Resolve);
            }
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
            (Ok(_), Kind::DryRun) => {
                operation.step = Step::Comparing;
                self.tell(ToManager::Compare);
            }
            (Ok(spec), Kind::ReloadCompanions) => {
                operation.step = Step::Committing { replaced: 0, pending: pending(&self.spec, &spec) };
                // A stop from now on has to wait for the old ones and the new ones.
                let within = &mut self.spec.companions_stop_within;
                *within = spec.companions_stop_within.max(*within);
                self.tell(ToManager::Prepare);
                self.tell(ToManager::Commit);
            }
            (Ok(spec), Kind::Reload | Kind::RestartWorkers | Kind::RestartWorker(_)) => {
                operation.step = Step::Binding(spec.clone());
                self.actions.push(MasterAction::Bind(spec));
            }
        }
        self.settle(now);
    }

    /// The new configuration's listeners are open, or why one is not.
    pub fn bound(&mut self, now: Monotonic, result: Result<(), String>) {
        let Some(Operation { step, .. }) = &mut self.operation else { return };
        let Step::Binding(spec) = step else { return };
        match result {
            Ok(()) => {
                *step = Step::Preparing(spec.clone());
                self.tell(ToManager::Prepare);
            }
            Err(reason) => self.fail_operation(now, &reason),
        }
        self.settle(now);
    }

    pub(super) fn prepared(&mut self, now: Monotonic, result: Result<(), String>) {
        let Some(Operation { step, .. }) = &mut self.operation else { return };
        let Step::Preparing(spec) = step else { return };
        match result {
            Ok(()) => {
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
        let committing = Step::Committing { replaced, pending: Vec::new() };
        match std::mem::replace(&mut operation.step, committing) {
            Step::Rolling(Some(spec)) => {
                self.spec = (*spec).clone();
                self.actions.push(MasterAction::KeepNewListeners);
                self.actions.push(MasterAction::Adopt(spec));
                self.tell(ToManager::Commit);
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

    pub(super) fn committed(&mut self, mut report: ReloadReport) {
        match self.operation.as_mut().map(|operation| &mut operation.step) {
            Some(Step::Committing { replaced, pending }) => {
                report.workers_replaced = *replaced;
                report.pending.append(pending);
                self.finish_operation(report);
            }
            Some(Step::Comparing) => self.finish_operation(report),
            _ => {}
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
        for relay in operation.tickets {
            self.answer(relay, Ok(Answer::Reload(report.clone())));
        }
    }

    /// Undoes an operation that cannot succeed. Nothing it would have replaced has been touched.
    pub(super) fn fail_operation(&mut self, now: Monotonic, reason: &str) {
        self.fail_operation_as(now, FailureKind::Refused, reason);
    }

    fn fail_operation_as(&mut self, now: Monotonic, kind: FailureKind, reason: &str) {
        let Some(operation) = self.operation.take() else { return };
        let in_force = matches!(operation.step, Step::Committing { .. });
        match operation.step {
            Step::Resolving => self.actions.push(MasterAction::AbandonResolver),
            Step::Binding(_) => self.actions.push(MasterAction::DropNewListeners),
            Step::Preparing(_) | Step::Rolling(Some(_)) => {
                self.pool.abandon_rollout(now, &mut self.ids);
                self.actions.push(MasterAction::DropNewListeners);
                self.tell(ToManager::Abort);
            }
            Step::Rolling(None) => self.pool.abandon_rollout(now, &mut self.ids),
            Step::Committing { .. } | Step::Comparing => {}
        }
        let name = operation.kind.name();
        let message = if in_force {
            format!("{name} is in force, but its companions were not waited for: {reason}")
        } else {
            format!("{name} failed, nothing was changed: {reason}")
        };
        let failure = Failure::new(kind, message.clone());
        self.log(Line::Error(message));
        for relay in operation.tickets {
            self.actions.push(MasterAction::Answer { relay, reply: Reply::Failed(failure.clone()) });
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
    }

    /// Asks a new manager again for what the one before has not answered.
    pub(super) fn remind_of_operation(&mut self) {
        let Some(operation) = &self.operation else { return };
        match operation.step {
            Step::Preparing(_) | Step::Rolling(Some(_)) => self.tell(ToManager::Prepare),
            Step::Committing { .. } => {
                self.tell(ToManager::Prepare);
                self.tell(ToManager::Commit);
            }
            Step::Comparing => self.tell(ToManager::Compare),
            Step::Resolving | Step::Binding(_) | Step::Rolling(None) => {}
        }
    }
}
