//! The stop of everything.

use super::{Action, Table};
use proto::link::{Pace, ToArbiter};
use std::collections::BTreeSet;
use supervise::Monotonic;

/// A stop that arbiter has asked for. It never ends but with the manager.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    /// Whether those that the workers require go too.
    required_too: bool,
    /// The harshest that was asked for.
    pace: Pace,
    /// Answers that are still owed: one for each extent.
    owed: Vec<Owed>,
    /// When what is left is killed.
    pub(super) force_at: Option<Monotonic>,
}

/// An answer that is still owed.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// Whether those that the workers require go too.
    required_too: bool,
    /// Who had still to go when that was looked at last. The next look begins there: a thousand ends then take one
    /// walk over a thousand companions, and not one each.
    waits_for: u32,
}

impl Table {
    /// Goes on with a stop that the manager before was asked for; it will be asked for again.
    pub(super) fn resume_stop(&mut self, required_too: bool, pace: Pace) {
        self.shutdown = Some(Shutdown { required_too, pace, owed: Vec::new(), force_at: None });
    }

    pub(super) fn handle_stop(&mut self, required_too: bool, pace: Pace, now: Monotonic) {
        let before = self.shutdown.take();
        let first = before.is_none();
        let mut shutdown =
            before.unwrap_or(Shutdown { required_too, pace, owed: Vec::new(), force_at: None });
        if first {
            self.killed.clear();
        }
        shutdown.required_too |= required_too;
        shutdown.pace = shutdown.pace.max(pace);
        if !shutdown.owed.iter().any(|owed| owed.required_too == required_too) {
            shutdown.owed.push(Owed { required_too, waits_for: 0 });
        }
        let pace = shutdown.pace;
        let scope = self.scope(shutdown.required_too);
        self.shutdown = Some(shutdown);
        if pace == Pace::Force {
            scope.iter().for_each(|&id| self.spare(id));
            let left = |id: &&u32| self.companion(**id).is_some_and(|companion| !companion.is_settled());
            let left: Vec<u32> = scope.iter().filter(left).copied().collect();
            self.killed.extend(left);
            for &id in &scope {
                self.stop_companion(id, pace, now);
            }
            return;
        }
        // Those that have been asked already are asked again, for a harsher pace shortens their time; their
        // order stays as it was.
        let asked: Vec<u32> =
            scope.iter().copied().filter(|&id| !self.is_doomed(id) && self.is_asked(id)).collect();
        // What operators stop of the others goes on.
        scope.iter().for_each(|&id| self.spare(id));
        for id in asked {
            self.stop_companion(id, pace, now);
        }
        self.descend(&scope, pace, now);
        self.note_owed();
    }

    pub(super) fn handle_orphaned(&mut self, now: Monotonic) {
        self.handle_stop(true, Pace::Quick, now);
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.force_at = Some(now + super::descent::QUICK);
        }
    }

    pub(super) fn force_when_due(&mut self, now: Monotonic) {
        let due = self.shutdown.as_ref().and_then(|shutdown| shutdown.force_at).is_some_and(|at| at <= now);
        if due {
            if let Some(shutdown) = &mut self.shutdown {
                shutdown.force_at = None;
            }
            self.handle_stop(true, Pace::Force, now);
        }
    }

    /// Answers the stops whose companions are all gone.
    pub(super) fn advance_shutdown(&mut self) {
        let Some(mut shutdown) = self.shutdown.take() else { return };
        shutdown.owed.retain_mut(|owed| {
            let required_too = owed.required_too;
            if let Some(id) = self.still_to_go(*owed) {
                owed.waits_for = id;
                return true;
            }
            let killed = self.scope(required_too).iter().any(|id| self.killed.contains(id));
            self.actions.push(Action::Tell(ToArbiter::Stopped { required_too, killed }));
            false
        });
        self.shutdown = Some(shutdown);
    }

    /// Whether a companion is in the extent of a stop of everything.
    pub(super) fn is_shut_down(&self, id: u32) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.required_too || !self.is_required(id))
    }

    /// Whether everything is to stop in less time than it is promised.
    pub(super) fn is_in_a_hurry(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.pace != Pace::Graceful)
    }

    /// Whether nothing runs any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.companions.values().all(|companion| companion.is_settled())
    }

    fn scope(&self, required_too: bool) -> BTreeSet<u32> {
        self.companions.keys().copied().filter(|&id| required_too || !self.is_required(id)).collect()
    }

    /// One of an extent that has not gone: all are looked at before there is none.
    fn still_to_go(&self, owed: Owed) -> Option<u32> {
        let from = self.companions.range(owed.waits_for..);
        let mut ids = from.chain(self.companions.range(..owed.waits_for)).map(|(&id, _)| id);
        ids.find(|&id| !self.is_settled(id) && (owed.required_too || !self.is_required(id)))
    }

    fn is_required(&self, id: u32) -> bool {
        self.companion(id).is_some_and(|companion| self.required.contains(&companion.spec.name))
    }

    fn is_asked(&self, id: u32) -> bool {
        self.companion(id).is_some_and(|companion| {
            companion.slots.values().any(|slot| slot.unit.state() == supervise::State::Stopping)
        })
    }
}
