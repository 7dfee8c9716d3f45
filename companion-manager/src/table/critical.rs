//! Companions without which nothing makes sense: when one is given up, arbiter stops.
//!
//! That follows from how things are and not from the moment when it came about, so that it is not lost with a
//! manager: the next one finds the same and says it again.

use super::{Action, Table};
use proto::link::ToArbiter;

impl Table {
    /// Tells arbiter of critical companions that have been given up.
    pub(super) fn tell_critical(&mut self) {
        if self.shutdown.is_some() {
            return;
        }
        // Whatever has changed since records were written last.
        for id in self.dirty.clone() {
            let Some((name, reason)) = self.lost_process(id) else {
                self.lost.remove(&id);
                continue;
            };
            // What is only being prepared fails the reload that wants it, and nothing else.
            if !self.is_prepared(id) && self.lost.insert(id) {
                self.actions.push(Action::Tell(ToArbiter::CriticalLost { name, reason }));
            }
        }
    }

    /// A companion that had been given up before it became critical has had its chance to stop arbiter.
    pub(super) fn become_critical(&mut self, id: u32) {
        if self.lost_process(id).is_some() {
            self.lost.insert(id);
        }
    }

    fn lost_process(&self, id: u32) -> Option<(String, String)> {
        let companion =
            self.companion(id).filter(|companion| companion.spec.critical && !companion.removed)?;
        let slot = companion.given_up()?;
        let reason = companion.slots.get(&slot)?.unit.lasting_reason();
        Some((companion.label(slot), reason.unwrap_or_default()))
    }
}
