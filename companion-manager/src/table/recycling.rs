//! Processes that are replaced though nothing is wrong: they have lived long enough, or grown too big.
//!
//! Processes of a companion never overlap, so one is stopped and then started again. Of a companion with several
//! one at a time goes, and only while the others that should serve do; never beside a rolling restart, which
//! replaces them anyway. All of that follows from how things are, so that nothing of it is lost with a manager:
//! also the random part of a lifetime is drawn from what the record of a run says.

use super::narrate::say;
use super::{Action, Companion, Key, Level, Slot, Table};
use std::collections::BTreeSet;
use supervise::recycling::{LOOK_EVERY, Measured};
use supervise::unit::Run;
use supervise::{Desired, Jitter, Monotonic, RunId};

/// What recycling knows of all companions.
#[derive(Clone, Debug, Default)]
pub(super) struct Recycling {
    /// Slots that are due and wait for their turn.
    pub(super) due: BTreeSet<Key>,
    /// Companions whose memory is limited.
    limited: BTreeSet<u32>,
    /// When memory is looked at next.
    pub(super) look_at: Option<Monotonic>,
}

impl Recycling {
    pub(super) fn forget(&mut self, id: u32) {
        self.limited.remove(&id);
        self.due.retain(|key| key.companion != id);
    }
}

impl Slot {
    /// The run that serves here, while nothing is to become of it.
    fn serving(&self) -> Option<&Run> {
        let serves = self.unit.is_ready() && !self.leaving && self.unit.desired() == Desired::Up;
        self.unit.run().filter(|run| serves && run.exit.is_none())
    }

    /// When its process is to be replaced, if nothing happens.
    pub(super) fn recycled_at(&self, companion: &Companion) -> Option<Monotonic> {
        let run = self.serving()?;
        if self.too_big.is_some() {
            return Some(run.started);
        }
        let nanoseconds = u64::try_from(run.started.since_boot().as_nanos()).unwrap_or(u64::MAX);
        let mut jitter = Jitter::from_seed(nanoseconds ^ run.id.0.rotate_left(32));
        companion.spec.recycle.lifetime_over(run.started, &mut jitter)
    }
}

impl Table {
    /// A process uses so many bytes.
    pub(super) fn weigh(&mut self, run: RunId, bytes: u64) {
        let Some(&key) = self.runs.get(&run) else { return };
        let Some(companion) = self.companions.get_mut(&key.companion) else { return };
        let is_too_big = companion.spec.recycle.is_too_big(bytes);
        if let Some(slot) = companion.slots.get_mut(&key.slot) {
            slot.too_big = is_too_big.then_some(bytes);
        }
        self.arm(key);
    }

    /// Remembers that a slot is due: its turn comes when it may.
    pub(super) fn want_recycling_when_due(&mut self, key: Key, now: Monotonic) {
        if self.is_due(key, now) {
            self.recycling.due.insert(key);
            self.arm(key);
        }
    }

    fn is_due(&self, key: Key, now: Monotonic) -> bool {
        let companion = self.companion(key.companion);
        let due = companion.and_then(|companion| companion.slots.get(&key.slot)?.recycled_at(companion));
        due.is_some_and(|at| at <= now)
    }

    /// Recycles what is due and may go. Whether anything was.
    pub(super) fn advance_recycling(&mut self, now: Monotonic) -> bool {
        let mut any = false;
        for key in self.recycling.due.clone() {
            if !self.is_due(key, now) {
                self.recycling.due.remove(&key);
                self.arm(key);
            } else if self.may_recycle(key) {
                self.recycling.due.remove(&key);
                self.recycle(key, now);
                any = true;
            }
        }
        any
    }

    fn may_recycle(&self, key: Key) -> bool {
        let id = key.companion;
        let Some(companion) = self.companion(id) else { return false };
        let others_serve = companion.slots.iter().all(|(&number, slot)| {
            number == key.slot || slot.unit.is_ready() || slot.unit.desired() == Desired::Down
        });
        others_serve && !self.rolls.contains_key(&id) && !self.is_doomed(id) && !self.is_shut_down(id)
    }

    fn recycle(&mut self, key: Key, now: Monotonic) {
        let Some(companion) = self.companion(key.companion) else { return };
        let Some(slot) = companion.slots.get(&key.slot) else { return };
        let lived = slot.unit.run().map(|run| now.since(run.started)).unwrap_or_default();
        let why = companion.spec.recycle.reason(lived, slot.too_big);
        let text = format!("{}: {why}, restarting it", companion.label(key.slot));
        self.actions.push(say(Level::Info, text));
        self.drive(key, now, |unit, turn, policy| unit.recycle(turn, policy));
    }

    /// Memory is looked at from now on where it is limited, and only there.
    pub(super) fn arm_look_at_memory(&mut self, now: Monotonic) {
        // Whatever has changed since records were written last.
        for &id in &self.dirty {
            if self.companions.get(&id).is_some_and(|companion| companion.spec.recycle.memory_max > 0) {
                self.recycling.limited.insert(id);
            } else {
                self.recycling.limited.remove(&id);
            }
        }
        let is_limited = self.shutdown.is_none() && self.measured().next().is_some();
        let look_at = self.recycling.look_at.unwrap_or(now + LOOK_EVERY);
        self.recycling.look_at = is_limited.then_some(look_at);
    }

    pub(super) fn look_at_memory_when_due(&mut self, now: Monotonic) {
        if self.recycling.look_at.take_if(|at| *at <= now).is_some() {
            let processes = self.measured().collect();
            self.actions.push(Action::Measure(processes));
        }
    }

    fn measured(&self) -> impl Iterator<Item = Measured> + '_ {
        let companions = self.recycling.limited.iter().filter_map(|id| self.companions.get(id));
        // Other settings may have come into force since they were put on the list.
        let companions = companions.filter(|companion| companion.spec.recycle.memory_max > 0);
        companions.flat_map(|companion| {
            let limit = companion.spec.recycle.memory_max;
            let runs = companion.slots.values().filter_map(|slot| slot.serving());
            runs.filter_map(move |run| Some(Measured { run: run.id, pid: run.pid?, limit }))
        })
    }
}
