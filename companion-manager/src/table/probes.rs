//! Asking processes how they are: whether one that starts is ready, and whether one that is ready still works.
//!
//! A check of health that has failed so often in a row that it counts ends the process as one that does not
//! answer any more: an end that nobody asked for.

use super::{Companion, Key, Slot, Table};
use proto::spec::Check;
use supervise::probe::{Attempt, Plan, Purpose, Verdict};
use supervise::unit::Phase;
use supervise::{Input, Monotonic, RunId};

/// How a slot's process is to be asked at present.
pub(super) fn plan(companion: &Companion, slot: &Slot) -> Option<Plan> {
    if slot.oneoff.is_some() {
        return None;
    }
    let run = slot.unit.run().filter(|run| run.pid.is_some() && run.failure.is_none())?;
    match slot.unit.phase() {
        Phase::Starting { .. } => companion.spec.ready.plan(),
        Phase::Running if run.exit.is_none() => companion.spec.health.as_ref().map(|health| health.plan()),
        Phase::Running
        | Phase::Stopped
        | Phase::Waiting
        | Phase::Backoff { .. }
        | Phase::Stopping { .. }
        | Phase::Exited { .. }
        | Phase::Fatal => None,
    }
}

impl Companion {
    /// What its processes are asked.
    #[must_use]
    pub fn check(&self, purpose: Purpose) -> Option<&Check> {
        match purpose {
            Purpose::Ready => self.spec.ready.check(),
            Purpose::Health => self.spec.health.as_ref().map(|health| &health.check),
        }
    }
}

impl Table {
    /// A try has ended: an error says what was wrong.
    pub(super) fn handle_tried(&mut self, attempt: Attempt, result: Result<(), String>, now: Monotonic) {
        if let Some(verdict) = self.probes.tried(attempt, result, now) {
            self.judge(verdict, now);
        }
    }

    /// After an input to the unit at `key`, whose run before was `was`.
    pub(super) fn follow_probes(&mut self, key: Key, was: Option<RunId>, now: Monotonic) {
        let companion = self.companions.get(&key.companion);
        let slot = companion.and_then(|companion| Some((companion, companion.slots.get(&key.slot)?)));
        let run = slot.and_then(|(_, slot)| slot.unit.run()).map(|run| run.id);
        let wanted = slot.and_then(|(companion, slot)| plan(companion, slot));
        if let Some(was) = was.filter(|&was| run != Some(was)) {
            self.probes.follow(was, None, now);
        }
        if let Some(run) = run {
            self.probes.follow(run, wanted, now);
        }
    }

    /// Ends the tries that take too long.
    pub(super) fn expire_tries(&mut self, now: Monotonic) {
        for verdict in self.probes.expire(now) {
            self.judge(verdict, now);
        }
    }

    /// Begins the tries that are due.
    pub(super) fn begin_tries(&mut self, now: Monotonic) {
        self.probes.begin_due(now);
        self.actions.extend(self.probes.take_steps().into_iter().map(super::Action::Probe));
    }

    fn judge(&mut self, verdict: Verdict, now: Monotonic) {
        let run = verdict.run;
        let Some(&key) = self.runs.get(&run) else { return };
        let Some(companion) = self.companions.get(&key.companion) else { return };
        let asked = companion.check(verdict.purpose).map(|check| {
            check.shown(|name| match name {
                "slot" => Some(key.slot.to_string()),
                "name" => Some(companion.spec.name.clone()),
                _ => None,
            })
        });
        let asked = asked.unwrap_or_default();
        match (verdict.purpose, verdict.failure) {
            (Purpose::Ready, None) => {
                self.drive(key, now, |unit, turn, policy| unit.handle(turn, policy, run, Input::Ready));
            }
            (Purpose::Ready, Some(failure)) => {
                let what = format!("waiting for {asked}: {failure}");
                self.drive(key, now, |unit, turn, policy| {
                    unit.handle(turn, policy, run, Input::Awaits { what });
                });
            }
            (Purpose::Health, Some(failure)) if verdict.counts => {
                let text = format!("{asked}: {failure}");
                self.fail_unwell(key, run, &text, now);
            }
            (Purpose::Health, _) => {}
        }
    }
}
