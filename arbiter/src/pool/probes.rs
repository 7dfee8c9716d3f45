//! Asking workers that are starting whether they are ready.
//!
//! A worker whose `ready` is a check is asked from the moment it has a process until it is ready or being ended.
//! What was wrong last is its reason meanwhile, and stays with its end when it was not ready in time.

use super::{Pool, PoolAction, Worker};
use proto::spec::Check;
use supervise::probe::{Attempt, Plan, Verdict};
use supervise::{Input, Monotonic, Phase, RunId, RunIds};

impl Worker {
    /// How it is to be asked at present.
    fn plan(&self) -> Option<Plan> {
        let run = self.unit.run()?;
        let is_asked =
            matches!(self.unit.phase(), Phase::Starting { .. }) && run.pid.is_some() && run.failure.is_none();
        is_asked.then(|| self.settings.spec.ready.plan()).flatten()
    }

    /// What it is waited for, for a person.
    fn waited_for(&self) -> Option<String> {
        let check: &Check = self.settings.spec.ready.check()?;
        Some(check.shown(|name| match name {
            "slot" => Some(self.slot.to_string()),
            "generation" => Some(self.generation.to_string()),
            _ => None,
        }))
    }
}

impl Pool {
    /// A try has ended: an error says what was wrong.
    pub fn tried(&mut self, now: Monotonic, ids: &mut RunIds, attempt: Attempt, result: Result<(), String>) {
        if let Some(verdict) = self.probes.tried(attempt, result, now) {
            self.judge(now, ids, verdict);
            self.settle(now, ids);
        }
    }

    /// After an input to the worker at `index`, whose run before was `was`.
    pub(super) fn follow_probes(&mut self, now: Monotonic, index: usize, was: Option<RunId>) {
        let worker = &self.workers[index];
        let run = worker.unit.run().map(|run| run.id);
        if let Some(was) = was.filter(|&was| run != Some(was)) {
            self.probes.follow(was, None, now);
        }
        if let Some(run) = run {
            self.probes.follow(run, worker.plan(), now);
        }
    }

    /// Ends the tries that take too long.
    pub(super) fn expire_tries(&mut self, now: Monotonic, ids: &mut RunIds) {
        for verdict in self.probes.expire(now) {
            self.judge(now, ids, verdict);
        }
    }

    /// Begins the tries that are due.
    pub(super) fn begin_tries(&mut self, now: Monotonic) {
        self.probes.begin_due(now);
        self.actions.extend(self.probes.take_steps().into_iter().map(PoolAction::Probe));
    }

    fn judge(&mut self, now: Monotonic, ids: &mut RunIds, verdict: Verdict) {
        let Some(index) = self.find(verdict.run) else { return };
        let input = match verdict.failure {
            None => Input::Ready,
            Some(failure) => {
                let what = self.workers[index].waited_for().unwrap_or_default();
                Input::Awaits { what: format!("waiting for {what}: {failure}") }
            }
        };
        self.drive(now, ids, index, false, |unit, turn, policy| {
            unit.handle(turn, policy, verdict.run, input)
        });
    }
}
