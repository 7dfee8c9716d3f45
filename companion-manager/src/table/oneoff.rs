//! Extra processes that operators run from a companion's settings.
//!
//! A one-off lives in a slot of its own, which goes with its process: it counts for nothing, is never started
//! again, waits for no gate, and is stopped with its companion. It is ready as soon as it has become its program.

use super::names::Selected;
use super::pending::{Goal, Ran};
use super::{Asker, Companion, Key, Slot, Table, Will};
use proto::control::{Failure, FailureKind, RunRequest};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::{Desired, Monotonic, Policy, Readiness, Restart, Unit};

/// Where the numbers of their slots begin. Everybody else knows each of them as slot 0.
const FIRST: u32 = 1 << 31;

/// The most of one companion at a time.
const MOST: usize = 1_000;

/// The longest request that is part of a record. A longer one is not begun again when its manager dies before
/// it has a process.
const RECORDED_MAX: usize = 8 * 1024;

/// What a slot knows of its one-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOff {
    /// What was asked for, until it may have been begun: as long as nobody can have come to the program.
    pub request: Option<RunRequest>,
    /// Its process.
    pub(super) pid: Option<i32>,
}

impl OneOff {
    /// As it is recorded.
    pub(super) fn recorded(&self) -> Self {
        let is_short = |request: &RunRequest| proto::codec::encode(request).len() <= RECORDED_MAX;
        Self { request: self.request.clone().filter(is_short), pid: self.pid }
    }
}

/// The number by which a slot is known outside.
#[must_use]
pub fn shown(slot: u32) -> u32 {
    if is_oneoff(slot) { 0 } else { slot }
}

pub(super) fn is_oneoff(slot: u32) -> bool {
    slot >= FIRST
}

/// What is promised to a one-off of a companion with this policy.
pub(super) fn policy(of_companion: &Policy) -> Policy {
    Policy {
        restart: Restart::Never,
        readiness: Readiness::Told,
        healthy_after: Duration::ZERO,
        ..of_companion.clone()
    }
}

impl Companion {
    /// Its one-offs, by the numbers of their slots.
    pub(super) fn oneoffs(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.slots.range(FIRST..).map(|(&number, slot)| (number, &**slot))
    }

    /// A slot for a one-off.
    pub(super) fn add_oneoff(&mut self, oneoff: OneOff) -> u32 {
        let number =
            self.slots.last_key_value().map_or(FIRST, |(&last, _)| FIRST.max(last.saturating_add(1)));
        let number = number.max(self.next_oneoff);
        self.next_oneoff = number.saturating_add(1);
        let slot = Slot { leaving: true, oneoff: Some(oneoff), ..Slot::new() };
        self.slots.insert(number, Box::new(slot));
        number
    }
}

impl Table {
    pub(super) fn run(
        &mut self,
        asker: Asker,
        to_end: bool,
        request: RunRequest,
        now: Monotonic,
    ) -> Result<(), Failure> {
        let name = request.name.clone();
        let refused = |text: String| Err(Failure::new(FailureKind::Refused, text));
        let selected = self.select(std::slice::from_ref(&name))?;
        let [Selected { companion: id, slot: None, by_pattern: false }] = selected[..] else {
            return refused(format!("{name} is not one companion: run takes one, by its full name"));
        };
        self.refuse_while_stopping()?;
        let is_wrong = |name: &str| name.is_empty() || name.contains(['=', '\0']);
        if let Some((variable, _)) = request.env.iter().find(|(name, _)| is_wrong(name)) {
            let text = format!("{variable:?} is no name of a variable: give --env NAME=VALUE");
            return Err(Failure::new(FailureKind::BadRequest, text));
        }
        let is_doomed = self.is_doomed(id);
        let Some(companion) = self.companions.get_mut(&id) else { return Ok(()) };
        let is_leaving = companion.staying().any(|(_, slot)| slot.unit.run().is_some());
        if is_doomed || (companion.will == Will::Down && is_leaving) {
            return refused(format!("{name} is being stopped: run it when it has stopped, or start it"));
        }
        if companion.oneoffs().count() >= MOST {
            return refused(format!("{MOST} one-offs of {name} run already: that is the limit"));
        }
        let slot = companion.add_oneoff(OneOff { request: Some(request), pid: None });
        let key = Key { companion: id, slot };
        self.leaving.insert(key);
        self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
        let watched = vec![self.watch(key, true)];
        self.pend(asker, true, Goal::Ran { to_end }, watched);
        Ok(())
    }

    /// A one-off has a process. One that arbiter has no letter of never comes to its program.
    pub(super) fn oneoff_spawned(&mut self, key: Key, pid: i32) {
        if let Some(oneoff) = self.oneoff_mut(key) {
            oneoff.pid = Some(pid);
        }
    }

    /// A one-off may have been begun: what was asked for must not be done again.
    pub(super) fn oneoff_begun(&mut self, key: Key) {
        if let Some(oneoff) = self.oneoff_mut(key) {
            oneoff.request = None;
        }
    }

    fn oneoff_mut(&mut self, key: Key) -> Option<&mut OneOff> {
        let slot = self.companions.get_mut(&key.companion)?.slots.get_mut(&key.slot)?;
        slot.oneoff.as_mut()
    }

    /// Whether the run at `key`, which was lost before it came into being, is a one-off that is to be run all
    /// the same.
    pub(super) fn is_owed_oneoff(&self, key: Key) -> bool {
        let slot = self.slot(key).filter(|slot| slot.unit.desired() == Desired::Up);
        let request = slot.and_then(|slot| slot.oneoff.as_ref()?.request.as_ref());
        request.is_some() && !self.is_shut_down(key.companion)
    }

    /// One-offs are neither started nor restarted.
    pub(super) fn refuse_oneoffs(&self, selected: &[Selected]) -> Result<(), Failure> {
        let Some(one) = selected.iter().find(|one| one.slot == Some(0)) else { return Ok(()) };
        let name = self.companion(one.companion).map(|it| it.spec.name.as_str()).unwrap_or_default();
        let text = format!("slot 0 is that of one-offs: start one with `arbiterctl run companion {name}`");
        Err(Failure::new(FailureKind::Refused, text))
    }

    /// What of a companion a stop stops: its processes, and its one-offs.
    pub(super) fn stoppable_keys(&self, one: &Selected) -> Vec<Key> {
        let mut keys = self.all_keys(one);
        keys.retain(|key| is_oneoff(key.slot) || self.slot(*key).is_some_and(|slot| !slot.leaving));
        keys
    }
}

/// How a one-off ended whose slot goes now, and whose companion counts `success_codes` as success.
pub(super) fn ending(unit: &Unit, oneoff: &OneOff, success_codes: &[u8]) -> Result<Ran, String> {
    let Some(last) = unit.last() else { return Err("could not be started".into()) };
    match (last.exit, oneoff.pid) {
        (Some(exit), Some(pid)) if last.failure.is_none() => {
            Ok(Ran { pid, exit: Some(exit.status), success: exit.status.is_success(success_codes) })
        }
        _ => Err(last.sentence()),
    }
}
