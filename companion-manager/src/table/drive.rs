//! The one way an input reaches a unit, and all that follows from it.

use super::narrate;
use super::{Action, Key, Table};
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
        let gate = self.gate_open(key.companion);
        let Some(companion) = self.companions.get_mut(&key.companion) else { return };
        let label = companion.label(key.slot);
        let settings = companion.settings;
        let Some(slot) = companion.slots.get_mut(&key.slot) else { return };
        let run_before = slot.unit.run().map(|run| run.id);
        let phase_before = slot.unit.phase();
        let mut actions = Vec::new();
        let mut turn = Turn { now, ids: &mut self.ids, gate, storm: false, actions: &mut actions };
        act(&mut slot.unit, &mut turn, &companion.policy);
        let unit = &slot.unit;
        if let (Phase::Stopping { cause, .. }, false) =
            (unit.phase(), matches!(phase_before, Phase::Stopping { .. }))
        {
            self.actions.extend(narrate::ending(&label, cause));
        }
        self.timers.set(key, unit.next_deadline());
        if unit.phase() == Phase::Waiting {
            self.waiting.insert(key);
        } else {
            self.waiting.remove(&key);
        }
        self.dirty.insert(key.companion);
        self.touched = true;
        if let Some(before) = run_before.filter(|before| unit.run().map(|run| run.id) != Some(*before)) {
            self.runs.remove(&before);
            slot.previous = Some(before);
            slot.signalled = None;
            slot.status_text = None;
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
                    self.actions.extend(narrate::note(&label, note, &slot.unit, &companion.policy, now));
                }
            }
        }
    }
}
