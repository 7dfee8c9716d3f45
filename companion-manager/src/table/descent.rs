//! Stopping in the reverse order of starting: whatever comes after a companion is gone before the companion
//! is asked to go.

use super::{Key, Table};
use proto::link::Pace;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use supervise::{Desired, Ladder, Monotonic, State, Unit};

/// How long each companion may take in a quick stop.
pub(super) const QUICK: Duration = Duration::from_secs(5);

/// A stop of several companions that is under way.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    /// Those not asked yet, each with those of the stop that come after it.
    waiting: BTreeMap<u32, Vec<u32>>,
    /// How patiently each is asked.
    pace: Pace,
}

impl Table {
    /// Begins to stop `companions`, in order.
    pub(super) fn descend(&mut self, companions: &BTreeSet<u32>, pace: Pace, now: Monotonic) {
        let mut waiting: BTreeMap<u32, Vec<u32>> = companions.iter().map(|&id| (id, Vec::new())).collect();
        for &id in companions {
            let Some(companion) = self.companions.get(&id) else { continue };
            let below =
                companion.spec.after.iter().filter_map(|name| self.names.get(name)).filter(|&&below| {
                    // The order of what is being removed and that of what stays come from two specifications,
                    // which together may go in a circle.
                    self.companions.get(&below).is_some_and(|below| below.removed == companion.removed)
                });
            for below in below {
                if let Some(above) = waiting.get_mut(below) {
                    above.push(id);
                }
            }
        }
        for (_, roll) in self.rolls.extract_if_in(companions) {
            self.give_up_roll(roll, "was stopped meanwhile");
        }
        self.descents.push(Descent { waiting, pace });
        self.advance_descents(now);
    }

    /// Asks those whose turn it is. Whether there were any.
    pub(super) fn advance_descents(&mut self, now: Monotonic) -> bool {
        let mut due: Vec<(u32, Pace)> = Vec::new();
        for descent in &self.descents {
            let ready =
                descent.waiting.iter().filter(|(_, above)| above.iter().all(|id| !self.is_to_leave(*id)));
            due.extend(ready.map(|(&id, _)| (id, descent.pace)));
        }
        // One that has just been asked may be settled at once and let the next one go: the caller comes back
        // as long as anything advances.
        for &(id, pace) in &due {
            for descent in self.descents.iter_mut().filter(|descent| descent.pace == pace) {
                descent.waiting.remove(&id);
            }
            self.stop_companion(id, pace, now);
        }
        self.descents.retain(|descent| !descent.waiting.is_empty());
        !due.is_empty()
    }

    /// Takes a companion out of every stop whose turn for it has not come.
    pub(super) fn spare(&mut self, id: u32) {
        for descent in &mut self.descents {
            descent.waiting.remove(&id);
        }
    }

    /// Whether a companion waits for its turn to be stopped.
    pub(super) fn is_doomed(&self, id: u32) -> bool {
        self.descents.iter().any(|descent| descent.waiting.contains_key(&id))
    }

    /// Asks all processes of a companion to go.
    pub(super) fn stop_companion(&mut self, id: u32, pace: Pace, now: Monotonic) {
        for key in self.keys_of(id) {
            self.stop_slot(key, pace, now);
        }
    }

    /// Asks one process to go.
    pub(super) fn stop_slot(&mut self, key: Key, pace: Pace, now: Monotonic) {
        self.drive(key, now, |unit, turn, policy| {
            let ladder = match pace {
                Pace::Graceful => policy.stop,
                Pace::Quick => policy.stop.within(QUICK),
                Pace::Force => Ladder::FORCE,
            };
            if unit.desired() == Desired::Up || unit.run().is_some() {
                unit.stop(turn, ladder);
            }
        });
    }

    /// Whether a companion of a stop still has to go. One that was started again meanwhile has not, and holds up
    /// nobody.
    fn is_to_leave(&self, id: u32) -> bool {
        let stays = |unit: &Unit| unit.desired() == Desired::Up && unit.state() != State::Stopping;
        let companion = self.companions.get(&id);
        let mut units =
            companion.into_iter().flat_map(|companion| companion.slots.values()).map(|it| &it.unit);
        self.is_doomed(id) || units.any(|unit| !unit.is_settled() && !stays(unit))
    }

    /// Whether nothing of a companion runs, save what cannot be killed.
    pub(super) fn is_settled(&self, id: u32) -> bool {
        self.companions.get(&id).is_none_or(|companion| companion.is_settled() && !self.is_doomed(id))
    }
}

/// Taking several entries out of a map at once.
trait ExtractIn<V> {
    fn extract_if_in(&mut self, keys: &BTreeSet<u32>) -> Vec<(u32, V)>;
}

impl<V> ExtractIn<V> for BTreeMap<u32, V> {
    fn extract_if_in(&mut self, keys: &BTreeSet<u32>) -> Vec<(u32, V)> {
        keys.iter().filter_map(|&key| Some((key, self.remove(&key)?))).collect()
    }
}
