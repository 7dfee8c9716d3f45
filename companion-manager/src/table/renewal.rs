//! What operators ask to be done anew: restart, and reload of single companions.

use super::names::Selected;
use super::pending::{Goal, Watched, blocked_by};
use super::{Action, Asker, Key, Table, Will};
use proto::control::Failure;
use std::collections::BTreeSet;
use supervise::{Desired, Monotonic};

impl Table {
    pub(super) fn restart(&mut self, asker: Asker, wait: bool, names: &[String]) -> Result<(), Failure> {
        let selected = self.select(names)?;
        self.refuse_while_stopping()?;
        self.refuse_oneoffs(&selected)?;
        let watched = self.restart_selected(&selected);
        self.pend(asker, wait, Goal::Rolled, watched);
        Ok(())
    }

    /// Those with a signal for it get that, the others are restarted.
    pub(super) fn reload(
        &mut self,
        asker: Asker,
        wait: bool,
        names: &[String],
        now: Monotonic,
    ) -> Result<(), Failure> {
        let selected = self.select(names)?;
        self.refuse_while_stopping()?;
        self.refuse_oneoffs(&selected)?;
        let has_signal = |one: &Selected| {
            self.companion(one.companion).is_some_and(|companion| companion.spec.reload_signal.is_some())
        };
        let (told, restarted): (Vec<_>, Vec<_>) = selected.into_iter().partition(has_signal);
        let mut watched = Vec::new();
        for one in &told {
            for key in self.selected_keys(one) {
                watched.push(self.tell_to_reload(key, one.by_pattern, now));
            }
        }
        watched.extend(self.restart_selected(&restarted));
        watched.sort_by(|one, other| (&one.name, one.key.slot).cmp(&(&other.name, other.key.slot)));
        self.pend(asker, wait, Goal::Rolled, watched);
        Ok(())
    }

    fn tell_to_reload(&mut self, key: Key, by_pattern: bool, now: Monotonic) -> Watched {
        let signal = self.companion(key.companion).and_then(|companion| companion.spec.reload_signal);
        let slot = self.companions.get_mut(&key.companion).and_then(|c| c.slots.get_mut(&key.slot));
        let sent = signal.zip(slot).and_then(|(signal, slot)| {
            let run = slot.unit.run().filter(|run| run.pid.is_some() && run.exit.is_none())?.id;
            // A program that does not know the signal dies of it: that is no failure then.
            slot.signalled = Some((signal, now));
            Some((run, signal))
        });
        let mut watch = self.watch(key, sent.is_some());
        watch.end = Some(match sent {
            Some((run, signal)) => {
                self.actions.push(Action::Signal { run, signal, group: false });
                let name = supervise::signal_label(signal);
                Ok(format!("{name} sent"))
            }
            None if by_pattern => Ok("not running, left as it is".into()),
            None => Err(format!("is not running: `arbiterctl start companion {}` starts it", watch.name)),
        });
        watch
    }

    fn restart_selected(&mut self, selected: &[Selected]) -> Vec<Watched> {
        let chosen: BTreeSet<u32> = selected.iter().map(|one| one.companion).collect();
        let mut watched = Vec::new();
        for one in selected {
            let blocked = self.hopeless_blocker(one.companion, |id| chosen.contains(&id));
            let blocked = blocked.map(|(name, state)| blocked_by(name, state));
            let mut slots = Vec::new();
            for key in self.selected_keys(one) {
                let up = self.slot(key).is_some_and(|slot| slot.unit.desired() == Desired::Up);
                let running = self.slot(key).is_some_and(|slot| slot.unit.run().is_some());
                let mut watch = self.watch(key, up || !one.by_pattern);
                match &blocked {
                    // What runs can be restarted whatever became of what it came after.
                    Some(reason) if watch.changed && !running => watch.end = Some(Err(reason.clone())),
                    _ if watch.changed => slots.push(key.slot),
                    _ => watch.end = Some(Ok("stopped, left as it is".into())),
                }
                watched.push(watch);
            }
            if slots.is_empty() {
                continue;
            }
            if let Some(companion) = self.companions.get_mut(&one.companion) {
                companion.will = Will::Up;
            }
            self.dirty.insert(one.companion);
            let number = self.roll(one.companion, slots, false);
            for watch in watched.iter_mut().filter(|watch| watch.key.companion == one.companion) {
                watch.roll = Some(number);
            }
        }
        watched
    }
}
