//! One process of a companion after the other gets a new run, each waiting for the one before to be ready.

use super::pending::{Verdict, judge_ready};
use super::{Key, Table};
use std::collections::VecDeque;
use supervise::Monotonic;

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
}

impl Roll {
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
    /// Restarts `slots` of a companion. A restart under way takes them in: two equal ones become one.
    /// Answers the roll's number.
    pub(super) fn roll(&mut self, id: u32, slots: impl IntoIterator<Item = u32>, afresh: bool) -> u64 {
        let number = self.number();
        self.spare(id);
        let roll = self.rolls.entry(id).or_insert_with(|| Roll {
            number,
            queue: VecDeque::new(),
            current: None,
            done: Vec::new(),
        });
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
                Verdict::Failed(reason) => {
                    if let Some(roll) = self.rolls.remove(&id) {
                        self.end_roll(&roll, Err(reason));
                    }
                }
            }
            return true;
        }
        let Some(slot) = roll.queue.pop_front() else {
            if let Some(roll) = self.rolls.remove(&id) {
                self.end_roll(&roll, Ok(()));
            }
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

    /// Tells everybody who waits for the roll how it ended. The caller has taken it out.
    pub(super) fn end_roll(&mut self, roll: &Roll, result: Result<(), String>) {
        self.resolve_rolled(roll, &result);
        if let Some(committing) = &mut self.committing {
            committing.end_roll(roll.number, result);
        }
    }
}
