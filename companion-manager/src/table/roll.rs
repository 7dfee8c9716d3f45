//! One process of a companion after the other gets a new run, each waiting for the one before to be ready.

use super::pending::{Verdict, judge_ready};
use super::{Key, Table};
use std::collections::{BTreeSet, VecDeque};
use supervise::Monotonic;
use supervise::unit::Phase;

/// A rolling restart under way.
#[derive(Clone, Debug)]
pub(super) struct Roll {
    /// Its number: what waits for it knows it by that.
    pub(super) number: u64,
    /// Slots whose turn has not come.
    queue: VecDeque<u32>,
    /// The slot that is being restarted.
    current: Option<u32>,
    /// Slots that are ready again.
    pub(super) done: Vec<u32>,
    /// What was asked for when a slot's new process had been started already: the roll that follows.
    after: Option<(u64, BTreeSet<u32>)>,
}

impl Roll {
    fn new(number: u64, slots: impl IntoIterator<Item = u32>) -> Self {
        let queue = slots.into_iter().collect();
        Self { number, queue, current: None, done: Vec::new(), after: None }
    }

    /// The roll that is to follow this one, if there is one.
    fn follower(&mut self) -> Option<Self> {
        self.after.take().map(|(number, slots)| Self::new(number, slots))
    }

    /// Whether the roll restarts this slot, or has.
    fn holds(&self, slot: u32) -> bool {
        self.current == Some(slot) || self.done.contains(&slot) || self.queue.contains(&slot)
    }

    /// What is being waited for, if anything.
    pub(super) fn current(&self) -> Option<u32> {
        self.current
    }
}

impl Table {
    /// Restarts `slots` of a companion. A restart under way takes them in, where their new processes are still to
    /// be started; otherwise they are restarted once more after it, all that ask for that together: however many
    /// equal requests there are, they become two at most. Answers the number of the roll to wait for.
    pub(super) fn roll(&mut self, id: u32, slots: impl IntoIterator<Item = u32>, afresh: bool) -> u64 {
        let number = self.number();
        self.spare(id);
        let slots: Vec<u32> = slots.into_iter().collect();
        let is_new = |slot: &u32| {
            let roll = self.rolls.get(&id)?;
            let phase = self.slot(Key { companion: id, slot: *slot })?.unit.phase();
            let started =
                roll.current == Some(*slot) && matches!(phase, Phase::Starting { .. } | Phase::Running);
            (started || roll.done.contains(slot)).then_some(())
        };
        let comes_late = !afresh && slots.iter().any(|slot| is_new(slot).is_some());
        let roll = self.rolls.entry(id).or_insert_with(|| Roll::new(number, []));
        if comes_late {
            let (number, after) = roll.after.get_or_insert((number, BTreeSet::new()));
            after.extend(slots);
            return *number;
        }
        for slot in slots {
            if afresh {
                // The settings have changed since: who was restarted already needs it again.
                roll.done.retain(|&done| done != slot);
                if roll.current == Some(slot) {
                    roll.current = None;
                }
            }
            if !roll.holds(slot) {
                roll.queue.push_back(slot);
            }
        }
        roll.number
    }

    /// Moves every roll on as far as it goes. Whether any moved.
    pub(super) fn advance_rolls(&mut self, now: Monotonic) -> bool {
        let mut advanced = false;
        let ids: Vec<u32> = self.rolls.keys().copied().collect();
        for id in ids {
            while self.advance_roll(id, now) {
                advanced = true;
            }
        }
        advanced
    }

    fn advance_roll(&mut self, id: u32, now: Monotonic) -> bool {
        let Some(roll) = self.rolls.get_mut(&id) else { return false };
        if let Some(slot) = roll.current {
            let key = Key { companion: id, slot };
            if self.slot(key).is_none_or(|slot| slot.leaving) {
                if let Some(roll) = self.rolls.get_mut(&id) {
                    roll.current = None;
                }
                return true;
            }
            match judge_ready(self, key) {
                Verdict::Open => return false,
                Verdict::Done(_) => {
                    if let Some(roll) = self.rolls.get_mut(&id) {
                        roll.current = None;
                        roll.done.push(slot);
                    }
                }
                Verdict::Failed(reason) => self.finish_roll(id, Err(reason)),
            }
            return true;
        }
        let Some(slot) = roll.queue.pop_front() else {
            self.finish_roll(id, Ok(()));
            return true;
        };
        let key = Key { companion: id, slot };
        if self.slot(key).is_some_and(|slot| !slot.leaving) {
            if let Some(roll) = self.rolls.get_mut(&id) {
                roll.current = Some(slot);
            }
            self.drive(key, now, |unit, turn, policy| unit.restart(turn, policy));
        }
        true
    }

    /// The roll of a companion has ended: the one that follows it begins.
    fn finish_roll(&mut self, id: u32, result: Result<(), String>) {
        let Some(mut roll) = self.rolls.remove(&id) else { return };
        if let Some(follower) = roll.follower() {
            self.rolls.insert(id, follower);
        }
        self.end_roll(&roll, result);
    }

    /// Tells everybody who waits for a roll that is not to go on, and for the one after it.
    pub(super) fn give_up_roll(&mut self, mut roll: Roll, reason: &str) {
        let follower = roll.follower();
        for roll in std::iter::once(roll).chain(follower) {
            self.end_roll(&roll, Err(reason.to_owned()));
        }
    }

    /// Tells everybody who waits for the roll how it ended. The caller has taken it out.
    fn end_roll(&mut self, roll: &Roll, result: Result<(), String>) {
        self.resolve_rolled(roll, &result);
        if let Some(committing) = &mut self.committing {
            committing.end_roll(roll.number, result);
        }
    }
}
