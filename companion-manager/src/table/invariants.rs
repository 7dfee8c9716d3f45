//! What has to hold after every step.

use super::{Key, Table, Will};
use std::collections::BTreeSet;
use supervise::Desired;

impl Table {
    /// Looks at everything that has to hold between two inputs.
    ///
    /// # Panics
    ///
    /// When something does not: that is a mistake in this program.
    pub fn check_invariants(&self) {
        let mut runs = BTreeSet::new();
        for (&id, companion) in &self.companions {
            let name = &companion.spec.name;
            assert_eq!(self.names.get(name), Some(&id), "{name} is not found by its name");
            if companion.removed {
                assert!(
                    companion.slots.values().all(|slot| slot.leaving),
                    "{name}: a slot of a removed one stays"
                );
            } else {
                let staying = companion.staying().count();
                assert_eq!(staying, companion.target as usize, "{name}: slots");
            }
            for (&number, slot) in &companion.slots {
                let key = Key { companion: id, slot: number };
                let unit = &slot.unit;
                if let Some(run) = unit.run() {
                    assert!(runs.insert(run.id), "{name}:{number}: run {} is somebody else's too", run.id);
                    assert_eq!(self.runs.get(&run.id), Some(&key), "{name}:{number}: its run is not found");
                }
                assert_eq!(
                    self.waiting.contains(&key),
                    unit.awaits_gate(),
                    "{name}:{number}: the list of waiting ones"
                );
                assert_eq!(
                    self.leaving.contains(&key),
                    slot.leaving,
                    "{name}:{number}: the list of leaving ones"
                );
                assert_eq!(
                    slot.oneoff.is_some(),
                    super::oneoff::is_oneoff(number),
                    "{name}:{number}: a one-off in its own slot"
                );
                let wanted = unit.desired() == Desired::Up;
                let doomed = self.is_doomed(id);
                assert!(
                    !wanted || doomed || slot.oneoff.is_some() || companion.will == Will::Up,
                    "{name}:{number} is to run, though nobody wants that"
                );
                assert!(
                    !wanted || doomed || !(self.is_shut_down(id) || (slot.leaving && slot.oneoff.is_none())),
                    "{name}:{number} is to run, though it is to go"
                );
            }
        }
        assert_eq!(self.runs.len(), runs.len(), "runs of nobody");
        for roll in self.rolls.keys() {
            assert!(self.companions.contains_key(roll), "a rolling restart of nobody");
        }
    }
}
