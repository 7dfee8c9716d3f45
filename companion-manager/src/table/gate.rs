//! Who may start.

use super::{Companion, Table};
use supervise::State;

impl Table {
    /// Whether everything that a companion comes after is ready, and its turn to be stopped is not to come.
    pub(super) fn gate_open(&self, companion: u32) -> bool {
        !self.is_doomed(companion)
            && self
                .companions
                .get(&companion)
                .is_some_and(|companion| self.blockers(companion).next().is_none())
    }

    /// What a companion still waits for, by name. What waits for its turn to be stopped is not there for it any more.
    pub(super) fn blockers<'a>(&'a self, companion: &'a Companion) -> impl Iterator<Item = &'a str> {
        companion.spec.after.iter().map(String::as_str).filter(|name| {
            let id = self.names.get(*name).filter(|id| !self.is_doomed(**id));
            !id.and_then(|&id| self.companion(id)).is_some_and(Companion::is_satisfied)
        })
    }

    /// The first thing that a companion waits for and that will not become ready by itself, with its state.
    /// Those that `spared` names are about to be started.
    pub(super) fn hopeless_blocker(
        &self,
        companion: u32,
        spared: impl Fn(u32) -> bool,
    ) -> Option<(&str, State)> {
        let companion = self.companions.get(&companion)?;
        self.blockers(companion).find_map(|name| {
            let id = *self.names.get(name)?;
            let blocker = self.companions.get(&id)?;
            (blocker.is_hopeless() && !spared(id)).then(|| (name, blocker.state()))
        })
    }

    /// Lets those units start that waited for a gate which is open now. Whether there were any.
    pub(super) fn open_gates(&mut self, now: supervise::Monotonic) -> bool {
        let open: Vec<_> = self.waiting.iter().copied().filter(|key| self.gate_open(key.companion)).collect();
        for &key in &open {
            self.drive(key, now, |unit, turn, policy| unit.reconcile(turn, policy));
        }
        !open.is_empty()
    }
}
