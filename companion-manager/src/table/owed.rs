//! Requests that outlive the manager that took them in.
//!
//! A request that waits leaves a record until it is answered. The next manager goes on waiting for it, and
//! with what of a rolling restart had not been begun: the client that was cut off asks for its outcome.

use super::pending::{Goal, Pending, Watched};
use super::{Asker, Companion, Key, Table, Will, record};
use proto::link::Saved;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use supervise::RunId;
use supervise::unit::Phase;

/// A request under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owed {
    goal: Goal,
    watched: Vec<OwedSlot>,
}

/// One process that it waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OwedSlot {
    name: String,
    slot: u32,
    changed: bool,
    /// The run at the time of the request: one that is still there has yet to be replaced.
    run: Option<RunId>,
    end: Option<Result<String, String>>,
}

impl Table {
    /// Leaves a record of a request that is to be answered later.
    pub(super) fn owe(&mut self, pending: &Pending) {
        if pending.asker.token == [0; 16] {
            return;
        }
        let watched = pending.watched.iter().map(|watched| OwedSlot {
            name: watched.name.clone(),
            slot: watched.key.slot,
            changed: watched.changed,
            run: self.slot(watched.key).and_then(|slot| slot.unit.run()).map(|run| run.id),
            end: watched.end.clone(),
        });
        let owed = Owed { goal: pending.goal, watched: watched.collect() };
        self.records.extend(record::request(&pending.asker.token, &owed));
    }

    /// Takes up the requests that the manager before owed answers to.
    pub(super) fn take_owed(&mut self, saved: &Saved) {
        for (token, owed) in saved.records.iter().filter_map(record::parse_request::<Owed>) {
            let asker = Asker { client: 0, id: 0, token };
            let mut still: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            let mut watched: Vec<Watched> = Vec::new();
            for slot in owed.watched {
                let companion = self.names.get(&slot.name).copied().unwrap_or_default();
                let key = Key { companion, slot: slot.slot };
                if owed.goal == Goal::Rolled && slot.end.is_none() && self.is_unreplaced(key, slot.run) {
                    still.entry(companion).or_default().push(slot.slot);
                }
                watched.push(Watched {
                    key,
                    name: slot.name,
                    roll: None,
                    changed: slot.changed,
                    end: slot.end,
                    ran: None,
                });
            }
            for (companion, slots) in still {
                let number = self.roll(companion, slots.iter().copied(), false);
                for watched in watched.iter_mut().filter(|watched| watched.key.companion == companion) {
                    watched.roll = slots.contains(&watched.key.slot).then_some(number);
                }
            }
            self.pending.push(Pending { asker, goal: owed.goal, watched });
        }
    }

    /// Whether a slot still has the run that a restart was to replace, and has not been asked to.
    fn is_unreplaced(&self, key: Key, run: Option<RunId>) -> bool {
        let Some(slot) = self.slot(key).filter(|slot| !slot.leaving) else { return false };
        let wanted = |companion: &Companion| companion.will == Will::Up && !companion.removed;
        // In a stop of everything nothing is restarted any more.
        if !self.companion(key.companion).is_some_and(wanted) || self.is_shut_down(key.companion) {
            return false;
        }
        let stopping = matches!(slot.unit.phase(), Phase::Stopping { .. });
        match (slot.unit.run(), run) {
            (Some(current), Some(old)) => current.id == old && !stopping,
            (None, None) => slot.unit.phase() == Phase::Stopped && !self.is_doomed(key.companion),
            _ => false,
        }
    }
}
