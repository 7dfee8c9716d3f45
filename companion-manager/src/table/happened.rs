//! What is told to those who watch, beside what happens to each process.

use super::{Key, Table, oneoff};
use proto::control::EventKind;

/// A companion, in events.
pub(super) fn companion(name: &str) -> String {
    format!("companion.{name}")
}

/// A process of a companion, in events.
pub(super) fn process(name: &str, slot: u32) -> String {
    format!("companion.{name}.{}", oneoff::shown(slot))
}

impl Table {
    /// Something has happened to a companion as a whole.
    pub(super) fn happens(&mut self, id: u32, kind: EventKind) {
        if let Some(known) = self.companions.get(&id) {
            self.happened.push((companion(&known.spec.name), kind));
        }
    }

    /// Something has happened to the process of a slot, if there is one.
    pub(super) fn happens_to_process(&mut self, key: Key, kind: impl FnOnce(i32) -> EventKind) {
        let Some(known) = self.companions.get(&key.companion) else { return };
        let pid = known.slots.get(&key.slot).and_then(|slot| slot.unit.run()?.pid);
        if let Some(pid) = pid {
            self.happened.push((process(&known.spec.name, key.slot), kind(pid)));
        }
    }
}
