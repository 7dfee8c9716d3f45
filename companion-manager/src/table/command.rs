//! What operators ask.

use super::names::Selected;
use super::pending::{Goal, Watched, blocked_by};
use super::{Action, Asker, Key, Table, Will};
use proto::control::{
    Answer, CompanionUntil, Failure, FailureKind, Pid, Reply, Request, ScaleChange, ScaleTarget,
    SignalTarget, TargetResult, Verb,
};
use proto::link::Pace;
use std::collections::BTreeSet;
use std::time::Duration;
use supervise::unit::Phase;
use supervise::{Desired, Exit, ExitStatus, Monotonic};

/// How long an end by exactly the signal an operator sent counts as asked for.
const SIGNALLED_FOR: Duration = Duration::from_secs(5);

/// The most processes of one companion: beyond it lies a slip of the finger.
const COUNT_MAX: u32 = 10_000;

impl Table {
    pub(super) fn handle_command(&mut self, asker: Asker, request: Request, now: Monotonic) {
        let wait = request.wait;
        let result = match request.verb {
            Verb::Start(names) => self.start(asker, wait, &names, now),
            Verb::Stop { names, force } => self.stop(asker, wait, &names, force, now),
            Verb::Restart(names) | Verb::ReloadCompanion(names) => self.restart(asker, wait, &names),
            Verb::Scale { target: ScaleTarget::Companion(name), change } => {
                self.scale(asker, wait, &name, change, now)
            }
            Verb::Signal { target: SignalTarget::Companions(names), signal } => {
                self.signal(asker, &names, signal, now)
            }
            Verb::Wait { name, until } => self.wait_for(asker, &name, until),
            verb => {
                let text = format!("{} is not implemented in this version", verb.name());
                Err(Failure::new(FailureKind::NotImplemented, text))
            }
        };
        if let Err(failure) = result {
            self.actions.push(Action::Reply { to: asker, reply: Reply::Failed(failure) });
        }
    }

    fn start(&mut self, asker: Asker, wait: bool, names: &[String], now: Monotonic) -> Result<(), Failure> {
        let selected = self.select(names)?;
        self.refuse_while_stopping()?;
        let chosen: BTreeSet<u32> = selected.iter().map(|one| one.companion).collect();
        let mut watched = Vec::new();
        for one in &selected {
            let blocked = self.hopeless_blocker(one.companion, |id| chosen.contains(&id));
            let blocked = blocked.map(|(name, state)| blocked_by(name, state));
            if blocked.is_none() {
                self.spare(one.companion);
                if let Some(companion) = self.companions.get_mut(&one.companion) {
                    companion.will = Will::Up;
                }
            }
            for key in self.selected_keys(one) {
                let needed = self.slot(key).is_some_and(|slot| {
                    !slot.unit.is_ready() && !matches!(slot.unit.phase(), Phase::Starting { .. })
                });
                let mut watch = self.watch(key, needed && blocked.is_none());
                match &blocked {
                    Some(reason) if needed => watch.end = Some(Err(reason.clone())),
                    _ => {}
                }
                if watch.changed {
                    self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
                }
                watched.push(watch);
            }
        }
        self.pend(asker, wait, Goal::Ready, watched);
        Ok(())
    }

    fn stop(
        &mut self,
        asker: Asker,
        wait: bool,
        names: &[String],
        force: bool,
        now: Monotonic,
    ) -> Result<(), Failure> {
        let selected = self.select(names)?;
        let pace = if force { Pace::Force } else { Pace::Graceful };
        let whole: BTreeSet<u32> =
            selected.iter().filter(|one| one.slot.is_none()).map(|one| one.companion).collect();
        let mut watched = Vec::new();
        for one in &selected {
            for key in self.selected_keys(one) {
                let runs = self.slot(key).is_some_and(|slot| {
                    !matches!(slot.unit.phase(), Phase::Stopped | Phase::Exited { .. } | Phase::Fatal)
                });
                watched.push(self.watch(key, runs));
                if one.slot.is_some() {
                    self.stop_slot(key, pace, now);
                }
            }
        }
        for id in &whole {
            if let Some(companion) = self.companions.get_mut(id) {
                companion.will = Will::Down;
                self.dirty.insert(*id);
            }
        }
        self.descend(&whole, pace, now);
        self.pend(asker, wait, Goal::Stopped, watched);
        Ok(())
    }

    fn restart(&mut self, asker: Asker, wait: bool, names: &[String]) -> Result<(), Failure> {
        let selected = self.select(names)?;
        self.refuse_while_stopping()?;
        let chosen: BTreeSet<u32> = selected.iter().map(|one| one.companion).collect();
        let mut watched = Vec::new();
        for one in &selected {
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
        self.pend(asker, wait, Goal::Rolled, watched);
        Ok(())
    }

    fn scale(
        &mut self,
        asker: Asker,
        wait: bool,
        name: &str,
        change: ScaleChange,
        now: Monotonic,
    ) -> Result<(), Failure> {
        let selected = self.select(&[name.to_owned()])?;
        let [Selected { companion: id, slot: None, .. }] = selected[..] else {
            let text =
                format!("{name} is more or less than one companion: scale one at a time, by its full name");
            return Err(Failure::new(FailureKind::Refused, text));
        };
        self.refuse_while_stopping()?;
        let target = self.companion(id).map_or(0, |companion| companion.target);
        let count = match change {
            ScaleChange::To(count) => count,
            ScaleChange::By(difference) => target.saturating_add_signed(difference),
        };
        if count > COUNT_MAX {
            let text = format!("{count} processes are too many for one companion, {COUNT_MAX} is the limit");
            return Err(Failure::new(FailureKind::Refused, text));
        }
        let watched = self.set_target(id, count, now);
        self.pend(asker, wait, Goal::Scaled(count), watched);
        Ok(())
    }

    /// Sets how many processes a companion should have; starts the new ones where it is to run. What is to
    /// be waited for: changed ones are new, others leave.
    pub(super) fn set_target(&mut self, id: u32, count: u32, now: Monotonic) -> Vec<Watched> {
        let Some(companion) = self.companions.get_mut(&id) else { return Vec::new() };
        companion.target = count;
        let (added, surplus) = (companion.fill(), companion.surplus());
        let up = companion.will == Will::Up;
        self.dirty.insert(id);
        let mut watched = Vec::new();
        for slot in surplus {
            let key = Key { companion: id, slot };
            self.leave(key, Pace::Graceful, now);
            watched.push(self.watch(key, false));
        }
        if up {
            for slot in added {
                let key = Key { companion: id, slot };
                self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
                watched.push(self.watch(key, true));
            }
        }
        watched
    }

    /// Has a slot go as soon as its process has gone.
    pub(super) fn leave(&mut self, key: Key, pace: Pace, now: Monotonic) {
        let slot = self.companions.get_mut(&key.companion).and_then(|c| c.slots.get_mut(&key.slot));
        if let Some(slot) = slot {
            slot.leaving = true;
            self.leaving.insert(key);
            self.stop_slot(key, pace, now);
        }
    }

    fn signal(&mut self, asker: Asker, names: &[String], signal: i32, now: Monotonic) -> Result<(), Failure> {
        if !(1..=64).contains(&signal) {
            return Err(Failure::new(FailureKind::BadRequest, format!("there is no signal {signal}")));
        }
        let selected = self.select(names)?;
        let mut results = Vec::new();
        for one in &selected {
            for key in self.all_keys(one) {
                let Some(companion) = self.companions.get_mut(&key.companion) else { continue };
                let name = companion.spec.name.clone();
                let Some(slot) = companion.slots.get_mut(&key.slot) else { continue };
                let run = slot.unit.run().filter(|run| run.pid.is_some() && run.exit.is_none());
                let (run, pid) = (run.map(|run| run.id), run.and_then(|run| run.pid));
                if let Some(run) = run {
                    slot.signalled = Some((signal, now));
                    self.actions.push(Action::Signal { run, signal, group: false });
                }
                let label = supervise::signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned);
                results.push(TargetResult {
                    name,
                    slot: Some(key.slot),
                    state: slot.unit.state(),
                    pid,
                    changed: run.is_some(),
                    message: run.map_or("has no process".into(), |_| format!("{label} sent")),
                    failed: run.is_none(),
                });
            }
        }
        self.actions.push(Action::Reply { to: asker, reply: Reply::Done(Answer::Results(results)) });
        Ok(())
    }

    /// Whether a process ended by the signal that an operator has just sent it.
    pub(super) fn was_signalled(&self, key: Key, exit: &Exit, now: Monotonic) -> bool {
        let Some(slot) = self.slot(key) else { return false };
        let runs = matches!(slot.unit.phase(), Phase::Starting { .. } | Phase::Running);
        let by_signal = matches!((exit.status, slot.signalled), (ExitStatus::Signal { number, .. }, Some((signal, at)))
            if number == signal && now.since(at) <= SIGNALLED_FOR);
        let comes_back = self
            .companion(key.companion)
            .is_some_and(|companion| companion.policy.restart != supervise::Restart::Never);
        runs && by_signal && comes_back
    }

    fn wait_for(&mut self, asker: Asker, name: &str, until: CompanionUntil) -> Result<(), Failure> {
        let selected = self.select(&[name.to_owned()])?;
        let goal = match until {
            CompanionUntil::Ready => Goal::WaitReady,
            CompanionUntil::Stopped => Goal::WaitStopped,
        };
        let keys: Vec<Key> = selected.iter().flat_map(|one| self.selected_keys(one)).collect();
        if keys.is_empty() && until == CompanionUntil::Ready {
            let text = format!("{name} has no processes: `arbiterctl scale companion {name} 1` gives it one");
            return Err(Failure::new(FailureKind::Refused, text));
        }
        let watched = keys.into_iter().map(|key| self.watch(key, true)).collect();
        self.pend(asker, true, goal, watched);
        Ok(())
    }

    /// The processes of the companions that match; of arbiter nothing.
    ///
    /// # Errors
    ///
    /// When a name stands for nothing.
    pub fn pids(&self, names: &[String]) -> Result<Vec<Pid>, Failure> {
        let selected = self.select(names)?;
        let keys = selected.iter().flat_map(|one| self.all_keys(one));
        Ok(keys
            .filter_map(|key| {
                let name = self.companion(key.companion)?.spec.name.clone();
                let pid = self.slot(key)?.unit.run()?.pid?;
                Some(Pid { name, slot: Some(key.slot), pid })
            })
            .collect())
    }

    /// A client has gone: nobody is to be answered any more. What it asked for goes on.
    pub fn forget_client(&mut self, client: u64) {
        self.pending.retain(|pending| pending.asker.client != client || pending.asker.token != [0; 16]);
    }

    fn selected_keys(&self, one: &Selected) -> Vec<Key> {
        self.all_keys(one)
            .into_iter()
            .filter(|&key| self.slot(key).is_some_and(|slot| !slot.leaving))
            .collect()
    }

    fn all_keys(&self, one: &Selected) -> Vec<Key> {
        match one.slot {
            Some(slot) => vec![Key { companion: one.companion, slot }],
            None => self.keys_of(one.companion),
        }
    }

    fn refuse_while_stopping(&self) -> Result<(), Failure> {
        if self.shutdown.is_some() {
            return Err(Failure::new(
                FailureKind::Refused,
                "arbiter is stopping: nothing is started any more",
            ));
        }
        Ok(())
    }
}
