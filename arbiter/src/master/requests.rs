//! What is asked over the control socket, and the answers.

use super::operation::Kind;
use super::{Line, Master, MasterAction};
use proto::control::{
    Answer, Failure, FailureKind, ReloadScope, Reply, ScaleChange, ScaleTarget, SignalTarget, Verb,
};
use proto::link::Pace;
use supervise::Monotonic;

/// The most workers that can be asked for, as in the configuration.
const MOST_WORKERS: u32 = 100_000;

impl Master {
    pub(super) fn handle_request(&mut self, now: Monotonic, relay: u64, wait: bool, verb: Verb) {
        let ticket = wait.then_some(relay);
        let kind = match verb {
            Verb::Reload(ReloadScope::All) => Kind::Reload,
            Verb::Reload(ReloadScope::Companions) => Kind::ReloadCompanions,
            Verb::Reload(ReloadScope::DryRun) => Kind::DryRun,
            Verb::RestartWorkers => Kind::RestartWorkers,
            Verb::RestartWorker { slot } => Kind::RestartWorker(slot),
            other => return self.answer_at_once(now, relay, wait, other),
        };
        if self.is_stopping() {
            return self.refuse(relay, "arbiter is stopping");
        }
        self.enqueue(kind, ticket);
        if !wait {
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
            Verb::Scale { target: ScaleTarget::Workers, change } => self
                .scale(now, change)
                .map(Answer::Count)
                .map_err(|reason| Failure::new(FailureKind::Refused, reason)),
            Verb::Signal { target, signal } => self.signal_workers(&target, signal),
            Verb::ReopenLogs => {
                self.actions.push(MasterAction::ReopenLog);
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
            return Err("arbiter is stopping".into());
        }
        let before = self.pool.target();
        let wanted = match change {
            ScaleChange::To(count) => count,
            ScaleChange::By(by) => before.saturating_add_signed(by),
        };
        if wanted > MOST_WORKERS {
            return Err(format!("{wanted} workers are too many: ask for at most {MOST_WORKERS}"));
        }
        let after = self.pool.scale_to(now, &mut self.ids, wanted);
        if after != before {
            self.log(Line::Info(format!("workers: {before} before, {after} now")));
        }
        Ok(after)
    }

    fn signal_workers(&mut self, target: &SignalTarget, signal: i32) -> Result<Answer, Failure> {
        let wanted = match target {
            SignalTarget::Worker(slot) => Some(*slot),
            SignalTarget::Workers => None,
            SignalTarget::Companions(_) => {
                return Err(Failure::new(FailureKind::BadRequest, "companions are the manager's"));
            }
        };
        let results: Vec<_> = self
            .pool
            .signalled(wanted)
            .map(|(run, result)| {
                self.actions.push(MasterAction::Signal { run, signal });
                result
            })
            .collect();
        match wanted {
            Some(slot) if results.is_empty() => Err(Failure::new(
                FailureKind::NotFound,
                format!("there is no worker {slot}: see arbiterctl status"),
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
