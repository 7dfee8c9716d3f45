//! Replacing arbiter's own program in place, and the master as a value that the new program goes on with.
//!
//! | step | what happens | failure |
//! | --- | --- | --- |
//! | trying | the program that is installed now says, as a child, whether it can take over | nothing to undo |
//! | leaving | the manager makes room; then the program is replaced | another manager is started, this program goes on |
//!
//! The new program answers who asked, or this one again, if that was sent back.

use super::operation::{Kind, Step};
use super::scaled::Scaled;
use super::{Beside, Line, Master, MasterAction, OWN_RUNS, Phase, Ticket};
use crate::pool::{self, Pool};
use proto::control::{Answer, EventKind, Failure, FailureKind, Reply};
use proto::link::ToManager;
use proto::spec::{Change, MasterSpec};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use supervise::{Monotonic, RunIds};

/// A master that runs and does nothing else but being replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The configuration in force.
    pub spec: MasterSpec,
    pool: pool::Saved,
    next_run: u64,
    /// Who waits for the replacement.
    tickets: Vec<u64>,
    waiting: Vec<(Kind, Vec<u64>)>,
    changes: BTreeMap<u64, Change>,
    next_change: u64,
    /// Who waits for another manager.
    manager_awaited: Vec<u64>,
    /// Who waits for the number of workers to be as asked.
    scaled: Vec<Scaled>,
    required_pending: Option<String>,
    target_told: u32,
}

impl Master {
    /// arbiter's program is to be replaced.
    pub(super) fn upgrade(&mut self, relay: u64, ticket: Ticket) {
        if let Some(reason) = self.no_upgrade() {
            return self.refuse(relay, &format!("arbiter is not upgraded: {reason}"));
        }
        self.enqueue(Kind::Upgrade, ticket);
        if ticket.is_none() {
            self.answer(relay, Ok(Answer::Done));
        }
    }

    /// Whether the program is being replaced.
    pub(super) fn is_upgrading(&self) -> bool {
        self.operation.as_ref().is_some_and(|operation| operation.kind == Kind::Upgrade)
    }

    /// Why the program cannot be replaced now.
    pub(super) fn no_upgrade(&self) -> Option<&'static str> {
        match (&self.phase, self.beside) {
            (Phase::Leaving { .. } | Phase::Stopping(_), _) => Some("it is stopping"),
            (_, Beside::Successor(_)) => Some("there is another arbiter beside this one, started by USR2"),
            (_, Beside::Predecessor) => Some("the arbiter before this one has not left yet"),
            (Phase::Opening | Phase::Starting, _) => Some("it has not started up yet"),
            (Phase::Running, Beside::Nobody) => None,
        }
    }

    /// Whether the program that is installed now is to be asked.
    #[must_use]
    pub fn awaits_trial(&self) -> bool {
        self.operation.as_ref().is_some_and(|operation| matches!(operation.step, Step::Trying))
    }

    /// The program that is installed now has been asked whether it can take over.
    pub fn tried_to_upgrade(&mut self, now: Monotonic, result: Result<(), String>) {
        let Some(operation) = self.operation.as_mut().filter(|it| matches!(it.step, Step::Trying)) else {
            return;
        };
        match result {
            Ok(()) => {
                operation.step = Step::Leaving;
                self.log(Line::Info(
                    "the installed program can take over: the companion manager makes room".into(),
                ));
                self.tell(ToManager::Retire);
            }
            Err(reason) => self.fail_operation(now, &reason),
        }
        self.settle(now);
    }

    /// Whether the program is to be replaced as soon as there is no manager.
    #[must_use]
    pub fn is_to_be_replaced(&self) -> bool {
        self.operation.as_ref().is_some_and(|it| matches!(it.step, Step::Leaving)) && self.pool.is_calm()
    }

    /// The program could not be replaced.
    pub fn not_replaced(&mut self, now: Monotonic, reason: &str) {
        self.fail_operation(now, reason);
        self.settle(now);
    }

    /// All of it, at a moment when [`Master::is_to_be_replaced`] and nothing is left to be done.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved {
            spec: self.spec.clone(),
            pool: self.pool.save(),
            next_run: self.ids.upcoming(),
            tickets: self.operation.iter().flat_map(|operation| operation.tickets.clone()).collect(),
            waiting: self.waiting.iter().cloned().collect(),
            changes: self.changes.clone(),
            next_change: self.next_change,
            manager_awaited: self.manager_awaited.clone(),
            scaled: self.scaled.clone(),
            required_pending: self.required_pending.clone(),
            target_told: self.target_told,
        }
    }

    /// A master that goes on as `saved`, under another program or, for this reason, under the same again. `None`:
    /// it contradicts itself.
    #[must_use]
    pub fn restore(saved: Saved, sent_back: Option<&str>, now: Monotonic) -> Option<Self> {
        let mut master = Self {
            pool: Pool::restore(saved.pool, now)?,
            ids: RunIds::starting_at(saved.next_run.max(OWN_RUNS)),
            phase: Phase::Running,
            waiting: VecDeque::from(saved.waiting),
            changes: saved.changes,
            next_change: saved.next_change,
            manager_awaited: saved.manager_awaited,
            scaled: saved.scaled,
            pool_started: true,
            required_pending: saved.required_pending,
            target_told: saved.target_told,
            ..Self::new(saved.spec)
        };
        master.happens(EventKind::Upgrade { ok: sent_back.is_none() });
        match sent_back {
            // They are answered by the manager that follows.
            None => master.manager_awaited.extend(saved.tickets),
            Some(reason) => {
                let message = format!("upgrade failed, nothing was changed: {reason}");
                master.log(Line::Error(message.clone()));
                let failure = Failure::new(FailureKind::Refused, message);
                for relay in saved.tickets {
                    let reply = Reply::Failed(failure.clone());
                    master.actions.push(MasterAction::Answer { relay, reply });
                }
            }
        }
        master.actions.push(MasterAction::StartManager);
        Some(master)
    }
}
