//! Processes that give no sign of life any more.
//!
//! From its first WATCHDOG=1 on a process may be silent for `watchdog`; then it is ended as one that does not
//! answer any more: an end that nobody asked for. What it says comes by way of arbiter, which may be away while
//! the manager is not. So before silence is believed arbiter is asked to pass on what it has, and when it
//! answers the silence either is over or is one.
//!
//! A manager that was away itself, or has just begun, gives everybody a whole period again.

use super::narrate::say;
use super::{Action, Key, Level, Slot, Table};
use proto::control::EventKind;
use proto::link::ToArbiter;
use proto::spec::CompanionSpec;
use supervise::unit::Phase;
use supervise::{Heartbeat, Input, Monotonic, RunId};

/// What is known of the signs of life of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    heartbeat: Heartbeat,
    /// Whether it seems to be silent and arbiter has yet to say so.
    is_doubted: bool,
}

impl Watch {
    /// Of a run that the manager before knew.
    pub(super) fn of_record(beats: bool, now: Monotonic) -> Self {
        let mut watch = Self::default();
        if beats {
            watch.heartbeat.beat(now, true);
        }
        watch
    }

    /// Whether it has given a sign.
    pub(super) fn beats(&self) -> bool {
        self.heartbeat.silent_since().is_some()
    }
}

impl Slot {
    /// When its process will have been silent for too long; never while it is being ended.
    pub(super) fn silent_at(&self, spec: &CompanionSpec) -> Option<Monotonic> {
        let counts = match self.unit.phase() {
            Phase::Starting { .. } | Phase::Running => !spec.watchdog.is_zero() && !self.watch.is_doubted,
            Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::Fatal => false,
        };
        self.watch.heartbeat.silent_at(spec.watchdog).filter(|_| counts)
    }
}

impl Table {
    /// The process of `run` gave a sign of life.
    pub(super) fn beat(&mut self, key: Key, run: RunId, now: Monotonic) {
        let slot = self.companions.get_mut(&key.companion).and_then(|c| c.slots.get_mut(&key.slot));
        let Some(slot) = slot.filter(|slot| slot.unit.run().is_some_and(|current| current.id == run)) else {
            return;
        };
        if !slot.watch.beats() {
            self.dirty.insert(key.companion);
        }
        slot.watch.heartbeat.beat(now, true);
        self.arm(key);
    }

    /// It says itself that it has failed (`WATCHDOG=trigger` of sd_notify(3)), whatever is configured.
    pub(super) fn fail_by_itself(&mut self, key: Key, run: RunId, now: Monotonic) {
        self.fail_unwell(key, run, "it said so itself", now);
    }

    /// Asks arbiter for what it may not have passed on of a process that seems to be silent.
    pub(super) fn doubt_if_silent(&mut self, key: Key, now: Monotonic) {
        let Some(companion) = self.companions.get_mut(&key.companion) else { return };
        let Some(slot) = companion.slots.get_mut(&key.slot) else { return };
        if slot.silent_at(&companion.spec).is_none_or(|at| now < at) {
            return;
        }
        slot.watch.is_doubted = true;
        if let Some(run) = slot.unit.run().map(|run| run.id) {
            self.actions.push(Action::Tell(ToArbiter::PassOn { run, at_end: false }));
        }
        self.arm(key);
    }

    /// arbiter has passed on all there was: whether the process of `run` has been silent for too long.
    pub(super) fn judge_silence(&mut self, run: RunId, now: Monotonic) {
        let Some(&key) = self.runs.get(&run) else { return };
        let Some(companion) = self.companions.get_mut(&key.companion) else { return };
        let Some(slot) = companion.slots.get_mut(&key.slot) else { return };
        if !std::mem::take(&mut slot.watch.is_doubted) {
            return;
        }
        let since = slot.watch.heartbeat.silent_since();
        let is_silent = slot.silent_at(&companion.spec).is_some_and(|at| at <= now);
        match since.filter(|_| is_silent) {
            Some(since) => {
                let text = format!("silent for {:.1} s", now.since(since).as_secs_f64());
                self.fail_unwell(key, run, &text, now);
            }
            None => self.arm(key),
        }
    }

    /// The manager was away: every silence begins anew.
    pub(super) fn forgive_silence(&mut self, now: Monotonic) {
        let mut keys = Vec::new();
        for (&companion, all) in &mut self.companions {
            for (&slot, place) in all.slots.iter_mut().filter(|(_, place)| place.watch.beats()) {
                place.watch.heartbeat.forgive(now);
                keys.push(Key { companion, slot });
            }
        }
        keys.into_iter().for_each(|key| self.arm(key));
    }

    /// Ends a process that does not do what it is for any more, as a failure.
    pub(super) fn fail_unwell(&mut self, key: Key, run: RunId, why: &str, now: Monotonic) {
        let label = self.companion(key.companion).map(|companion| companion.label(key.slot));
        let is_due = self.slot(key).is_some_and(|slot| {
            matches!(slot.unit.phase(), Phase::Starting { .. } | Phase::Running)
                && slot.unit.run().is_some_and(|current| current.id == run)
        });
        if !is_due {
            return;
        }
        let label = label.unwrap_or_default();
        self.actions.push(say(Level::Warn, format!("{label}: is not well, stopping it: {why}")));
        self.happens_to_process(key, |_| EventKind::Health { ok: false, reason: why.to_owned() });
        self.drive(key, now, |unit, turn, policy| {
            unit.handle(turn, policy, run, Input::Remark { text: why.to_owned() });
            unit.fail(turn, policy);
        });
    }
}
