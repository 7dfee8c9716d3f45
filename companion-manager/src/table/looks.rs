//! Looking at starting processes that listen: one that waits on its socket is ready.

use super::{Action, Key, Table, oneoff};
use supervise::unit::Phase;
use supervise::{Monotonic, RunId};

impl Table {
    /// Begins or ends the looking at a process, after something happened to it.
    pub(super) fn follow_looks(&mut self, key: Key, run_before: Option<RunId>, now: Monotonic) {
        let Some(companion) = self.companion(key.companion) else { return };
        let unit = companion.slots.get(&key.slot).map(|slot| &slot.unit);
        let starting = unit.filter(|unit| matches!(unit.phase(), Phase::Starting { .. }));
        match starting
            .and_then(|unit| unit.run())
            .filter(|_| companion.is_looked_at() && !oneoff::is_oneoff(key.slot))
        {
            None => self.looks.set(key, None),
            Some(run) if !self.looks.is_set(key) || run_before != Some(run.id) => {
                self.looks.set(key, Some(now));
            }
            Some(_) => {}
        }
    }

    pub(super) fn look_when_due(&mut self, now: Monotonic) {
        while let Some(key) = self.looks.pop_due(now) {
            let Some(run) = self.slot(key).and_then(|slot| slot.unit.run()) else { continue };
            let (id, is_there, age) = (run.id, run.pid.is_some(), now.since(run.started));
            self.looks.set(key, Some(now + supervise::look_interval(age)));
            if is_there {
                self.actions.push(Action::Look { run: id });
            }
        }
    }
}
