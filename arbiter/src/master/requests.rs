//! What is asked over the control socket, and the answers.

use super::operation::Kind;
use super::{Line, Master, MasterAction, Ticket};
use crate::pool::subject;
use proto::control::{
    Answer, EventKind, Failure, FailureKind, ReloadScope, Reply, STOPPING, ScaleChange, ScaleTarget,
    SignalTarget, Verb,
};
use proto::link::{Pace, ToManager};
use proto::spec::{Change, MOST_PROCESSES};
use supervise::Monotonic;

/// The most changes of the companions that may wait: each holds its text.
const MOST_CHANGES: usize = 16;

impl Master {
    pub(super) fn handle_request(&mut self, now: Monotonic, relay: u64, wait: bool, verb: Verb) {
        let ticket = wait.then_some(relay);
        let kind = match verb {
            Verb::Reload(ReloadScope::All) => Kind::Reload,
            Verb::Reload(ReloadScope::Companions) => Kind::ReloadCompanions,
            Verb::Reload(ReloadScope::DryRun) => Kind::DryRun,
            Verb::RestartWorkers => Kind::RestartWorkers,
            Verb::RestartWorker { slot } => Kind::RestartWorker(slot),
            Verb::Load(load) => return self.change(relay, ticket, Change::Load(load)),
            Verb::Unload(names) => return self.change(relay, ticket, Change::Unload(names)),
            Verb::RestartManager => return self.restart_manager(relay, wait),
            Verb::Upgrade => return self.upgrade(relay, ticket),
            other => return self.answer_at_once(now, relay, wait, other),
        };
        if self.is_stopping() {
            return self.refuse(relay, STOPPING);
        }
        self.enqueue(kind, ticket);
        if !wait {
            self.answer(relay, Ok(Answer::Done));
        }
    }

    /// The companions in force are to be changed. No two changes are equal.
    fn change(&mut self, relay: u64, ticket: Ticket, change: Change) {
        if self.is_stopping() {
            return self.refuse(relay, STOPPING);
        }
        if self.changes.len() >= MOST_CHANGES {
            return self.refuse(relay, "too many others wait to be loaded: try again later");
        }
        let number = self.next_change;
        self.next_change += 1;
        let kind = match change {
            Change::Load(_) => Kind::Load(number),
            Change::Unload(_) => Kind::Unload(number),
        };
        self.changes.insert(number, change);
        self.enqueue(kind, ticket);
        if ticket.is_none() {
            self.answer(relay, Ok(Answer::Done));
        }
    }

    /// The manager is to answer what it owes and to leave; the one that follows is told when it has begun.
    fn restart_manager(&mut self, relay: u64, wait: bool) {
        if self.is_stopping() {
            return self.refuse(relay, STOPPING);
        }
        if wait {
            self.manager_awaited.push(relay);
        } else {
            self.answer(relay, Ok(Answer::Done));
        }
        self.log(Line::Info("the companion manager is asked to make room for another".into()));
        self.tell(ToManager::Retire);
    }

    /// Another manager has begun.
    pub(super) fn answer_restart(&mut self) {
        for relay in std::mem::take(&mut self.manager_awaited) {
            self.answer(relay, Ok(Answer::Done));
        }
    }

    fn answer_at_once(&mut self, now: Monotonic, relay: u64, wait: bool, verb: Verb) {
        let answer = match verb {
            Verb::Shutdown { force } => {
                self.begin_stop(now, if force { Pace::Force } else { Pace::Graceful }, 0);
                // Who waits for the end is told by the end itself: the socket closes when it has come.
                if wait {
                    return;
                }
                Ok(Answer::Done)
            }
            Verb::Scale { target: ScaleTarget::Workers, change } => {
                return self.scale_for(now, relay, wait, change);
            }
            Verb::Signal { target, signal } => self.signal_workers(now, &target, signal),
            Verb::ReopenLogs => {
                self.reopen_logs();
                Ok(Answer::Done)
            }
            other => {
                let message = format!("{} is not implemented in this version", other.name());
                Err(Failure::new(FailureKind::NotImplemented, message))
            }
        };
        self.answer(relay, answer);
    }

    pub(super) fn scale(&mut self, now: Monotonic, change: ScaleChange) -> Result<u32, String> {
        if self.spec.workers.is_none() {
            return Err("there are no workers to scale: configure [workers]".into());
        }
        if self.is_stopping() {
            return Err(STOPPING.into());
        }
        let before = self.pool.target();
        let wanted = match change {
            ScaleChange::To(count) => count,
            ScaleChange::By(by) => before.saturating_add_signed(by),
        };
        if wanted > MOST_PROCESSES {
            return Err(format!("{wanted} workers are too many: ask for at most {MOST_PROCESSES}"));
        }
        let after = self.pool.scale_to(now, &mut self.ids, wanted);
        if after != before {
            self.log(Line::Info(format!("workers: {before} before, {after} now")));
        }
        Ok(after)
    }

    fn signal_workers(
        &mut self,
        now: Monotonic,
        target: &SignalTarget,
        signal: i32,
    ) -> Result<Answer, Failure> {
        let wanted = match target {
            SignalTarget::Worker(slot) => Some(*slot),
            SignalTarget::Workers => None,
            SignalTarget::Companions(_) => {
                return Err(Failure::new(FailureKind::BadRequest, "companions are the manager's"));
            }
        };
        let results: Vec<_> = self
            .pool
            .signalled(wanted, signal, now)
            .map(|(run, result)| {
                self.actions.push(MasterAction::Signal { run, signal });
                if let Some((slot, pid)) = result.slot.zip(result.pid) {
                    self.happened.push((subject(slot), EventKind::Kill { pid, signal }));
                }
                result
            })
            .collect();
        match wanted {
            Some(slot) if results.is_empty() => Err(Failure::new(
                FailureKind::NotFound,
                format!("there is no worker {slot}: see `arbiterctl status`"),
            )),
            _ => Ok(Answer::Results(results)),
        }
    }

    pub(super) fn answer(&mut self, relay: u64, answer: Result<Answer, Failure>) {
        let reply = answer.map_or_else(Reply::Failed, Reply::Done);
        self.actions.push(MasterAction::Answer { relay, reply });
    }

    pub(super) fn refuse(&mut self, relay: u64, reason: &str) {
        self.answer(relay, Err(Failure::new(FailureKind::Refused, reason)));
    }
}
