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
    owed: Vec<bool>,
    /// When what is left is killed.
    pub(super) force_at: Option<Monotonic>,
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
        if !shutdown.owed.contains(&required_too) {
            shutdown.owed.push(required_too);
        }
        let pace = shutdown.pace;
        let scope = self.scope(shutdown.required_too);
        self.shutdown = Some(shutdown);
        if pace == Pace::Force {
            self.descents.clear();
            for &id in &scope {
                self.stop_companion(id, pace, now);
            }
            return;
        }
        // Those that have been asked already are asked again, for a harsher pace shortens their time; their
        // order stays as it was.
        let asked: Vec<u32> =
            scope.iter().copied().filter(|&id| !self.is_doomed(id) && self.is_asked(id)).collect();
        self.descents.clear();
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
        shutdown.owed.retain(|&required_too| {
            let scope = self.scope(required_too);
            let settled = scope.iter().all(|&id| self.is_settled(id));
            if settled {
                let killed = scope.iter().any(|id| self.killed.contains(id));
                self.actions.push(Action::Tell(ToArbiter::Stopped { required_too, killed }));
            }
            !settled
        });
        self.shutdown = Some(shutdown);
    }

    /// Whether a companion is in the extent of a stop of everything.
    pub(super) fn is_shut_down(&self, id: u32) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.required_too || !self.is_required(id))
    }

    /// Whether nothing runs any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.companions.values().all(super::Companion::is_settled)
    }

    fn scope(&self, required_too: bool) -> BTreeSet<u32> {
        self.companions.keys().copied().filter(|&id| required_too || !self.is_required(id)).collect()
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
