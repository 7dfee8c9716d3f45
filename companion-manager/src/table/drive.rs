//! The one way an input reaches a unit, and all that follows from it.

use super::{Action, Key, Table};
use super::{happened, narrate, oneoff};
use proto::control::EventKind;
use proto::link::{CompanionChange, ToArbiter};
use supervise::unit::Phase;
use supervise::{Monotonic, Note, Policy, Turn, Unit};

impl Table {
    /// Lets `act` give an input to the unit at `key`, and turns the unit's answer into actions.
    pub(super) fn drive(
        &mut self,
        key: Key,
        now: Monotonic,
        act: impl FnOnce(&mut Unit, &mut Turn<'_>, &Policy),
    ) {
        let is_oneoff = oneoff::is_oneoff(key.slot);
        let gate = is_oneoff || self.gate_open(key.companion);
        let Some(companion) = self.companions.get_mut(&key.companion) else { return };
        let label = companion.label(key.slot);
        let settings = companion.settings;
        let of_oneoffs = is_oneoff.then(|| oneoff::policy(&companion.policy));
        let policy = of_oneoffs.as_ref().unwrap_or(&companion.policy);
        let Some(slot) = companion.slots.get_mut(&key.slot) else { return };
        let run_before = slot.unit.run().map(|run| run.id);
        let phase_before = slot.unit.phase();
        let (state_before, pid_before) = (slot.unit.state(), slot.unit.run().and_then(|run| run.pid));
        let before = slot.unit.before();
        let mut actions = Vec::new();
        let mut turn = Turn { now, ids: &mut self.ids, gate, storm: false, actions: &mut actions };
        act(&mut slot.unit, &mut turn, policy);
        let unit = &slot.unit;
        let changes = before.changes(unit, &actions).into_iter();
        let subject = || happened::process(&companion.spec.name, key.slot);
        self.happened
            .extend(changes.map(|change| (subject(), EventKind::of(change, oneoff::is_oneoff(key.slot)))));
        if self.tells_changes && unit.state() != state_before {
            self.actions.push(Action::Tell(ToArbiter::CompanionEvent(CompanionChange {
                name: companion.spec.name.clone(),
                slot: oneoff::shown(key.slot),
                pid: unit.run().and_then(|run| run.pid).or(pid_before),
                before: state_before,
                after: unit.state(),
                reason: unit.lasting_reason(),
            })));
        }
        if let (Phase::Stopping { cause, .. }, false) =
            (unit.phase(), matches!(phase_before, Phase::Stopping { .. }))
        {
            self.actions.extend(narrate::ending(&label, cause));
        }
        if unit.awaits_gate() {
            self.waiting.insert(key);
        } else {
            self.waiting.remove(&key);
        }
        self.dirty.insert(key.companion);
        self.touched = true;
        if let Some(before) = run_before.filter(|before| unit.run().map(|run| run.id) != Some(*before)) {
            self.runs.remove(&before);
            let has_ended = |action| matches!(action, &supervise::Action::Note { note: Note::Ended, .. });
            if let Some(ending) = slot.unit.last().filter(|_| actions.iter().any(has_ended)) {
                companion.history.push(key.slot, pid_before, ending);
            }
            slot.previous = Some(before);
            slot.signalled = None;
            slot.status_text = None;
            slot.watch = super::watchdog::Watch::default();
            slot.too_big = None;
        }
        for action in actions {
            match action {
                supervise::Action::Spawn { run } => {
                    self.runs.insert(run, key);
                    slot.settings = settings;
                    let replaces = slot.previous;
                    self.actions.push(Action::Spawn { run, key, replaces });
                }
                supervise::Action::Signal { run, signal, group } => {
                    self.actions.push(Action::Signal { run, signal, group });
                }
                supervise::Action::Kill { run } => self.actions.push(Action::Kill { run }),
                supervise::Action::Note { note, .. } => {
                    if matches!(note, Note::Killed | Note::Stuck) {
                        self.killed.insert(key.companion);
                    }
                    // That of a one-off says no more than that it was started.
                    if !(is_oneoff && matches!(note, Note::Ready { .. })) {
                        self.actions.extend(narrate::note(&label, note, &slot.unit, policy, now));
                    }
                }
            }
        }
        self.follow_looks(key, run_before, now);
        self.follow_probes(key, run_before, now);
        self.arm(key);
    }

    /// Sets the moment at which something of a slot is due.
    pub(super) fn arm(&mut self, key: Key) {
        let companion = self.companions.get(&key.companion);
        let slot = companion.and_then(|companion| Some((companion, companion.slots.get(&key.slot)?)));
        let due = slot.and_then(|(companion, slot)| {
            let recycled = slot.recycled_at(companion).filter(|_| !self.recycling.due.contains(&key));
            let own = [slot.unit.next_deadline(), slot.silent_at(&companion.spec), recycled];
            own.into_iter().flatten().min()
        });
        self.timers.set(key, due);
    }
}
