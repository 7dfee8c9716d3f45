//! What operators ask.

use super::names::Selected;
use super::pending::{Goal, Watched, blocked_by};
use super::{Action, Asker, Key, Table, Will, oneoff, shown};
use proto::control::{
    Answer, CompanionUntil, EventKind, Failure, FailureKind, Pid, Reply, Request, STOPPING, ScaleChange,
    ScaleTarget, SignalTarget, TargetResult, Verb,
};
use proto::link::Pace;
use proto::spec::{CompanionSpec, MOST_PROCESSES};
use std::collections::BTreeSet;
use supervise::unit::Phase;
use supervise::{Exit, Monotonic, RunId};

impl Table {
    pub(super) fn handle_command(&mut self, asker: Asker, request: Request, now: Monotonic) {
        let wait = request.wait;
        let result = match request.verb {
            Verb::Start(names) => self.start(asker, wait, &names, now),
            Verb::Stop { names, force } => self.stop(asker, wait, &names, force, now),
            Verb::Restart(names) => self.restart(asker, wait, &names),
            Verb::ReloadCompanion(names) => self.reload(asker, wait, &names, now),
            Verb::Scale { target: ScaleTarget::Companion(name), change } => {
                self.scale(asker, wait, &name, change, now)
            }
            Verb::Signal { target: SignalTarget::Companions(names), signal } => {
                self.signal(asker, &names, signal, now)
            }
            Verb::Run(run) => self.run(asker, wait, run, now),
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
        self.refuse_oneoffs(&selected)?;
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
            for key in self.stoppable_keys(one) {
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
        if count > MOST_PROCESSES {
            let text =
                format!("{count} processes are too many for one companion, {MOST_PROCESSES} is the limit");
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
        let is_new = companion.target != count;
        companion.target = count;
        let (added, surplus) = (companion.fill(), companion.surplus());
        let up = companion.will == Will::Up;
        self.dirty.insert(id);
        if is_new {
            self.happens(id, EventKind::Update { target: count });
        }
        let mut watched = Vec::new();
        for slot in surplus {
            let key = Key { companion: id, slot };
            self.happens_to_process(key, |pid| EventKind::Reap { pid });
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
            let mut of_this = Vec::new();
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
                let label = supervise::signal_label(signal);
                of_this.push(TargetResult {
                    name,
                    slot: Some(shown(key.slot)),
                    state: slot.unit.state(),
                    pid,
                    changed: run.is_some(),
                    message: run.map_or("has no process".into(), |_| format!("{label} sent")),
                    failed: run.is_none(),
                });
                if run.is_some() {
                    self.happens_to_process(key, |pid| EventKind::Kill { pid, signal });
                }
            }
            // A companion is signalled in those of its processes that there are.
            if of_this.iter().any(|result| !result.failed) {
                of_this.retain(|result| !result.failed);
            }
            results.append(&mut of_this);
        }
        self.actions.push(Action::Reply { to: asker, reply: Reply::Done(Answer::Results(results)) });
        Ok(())
    }

    /// Whether a process ended by the signal that an operator has just sent it.
    pub(super) fn was_signalled(&self, key: Key, exit: &Exit, now: Monotonic) -> bool {
        let signalled = self.slot(key).and_then(|slot| slot.signalled);
        signalled.is_some_and(|(signal, at)| exit.status.is_by(signal, now.since(at)))
    }

    fn wait_for(&mut self, asker: Asker, name: &str, until: CompanionUntil) -> Result<(), Failure> {
        let selected = self.select(&[name.to_owned()])?;
        let goal = match until {
            CompanionUntil::Ready => Goal::WaitReady,
            CompanionUntil::Stopped => Goal::WaitStopped,
        };
        let keys = |one: &Selected| match until {
            CompanionUntil::Ready => self.selected_keys(one),
            CompanionUntil::Stopped => self.stoppable_keys(one),
        };
        let keys: Vec<Key> = selected.iter().flat_map(keys).collect();
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
                Some(Pid { name, slot: Some(shown(key.slot)), pid })
            })
            .collect())
    }

    /// The one slot that a name stands for, and its companion's settings.
    ///
    /// # Errors
    ///
    /// When it stands for none, or for several.
    pub fn slot_of(&self, name: &str) -> Result<(Key, &CompanionSpec), Failure> {
        let selected = self.select(&[name.to_owned()])?;
        let keys = selected.iter().flat_map(|one| self.selected_keys(one));
        let keys: Vec<Key> = keys.filter(|key| !oneoff::is_oneoff(key.slot)).collect();
        let refused = |text| Err(Failure::new(FailureKind::Refused, text));
        let key = match keys[..] {
            [key] => key,
            [] => return refused(format!("{name} has no process: scale it up first")),
            [first, ..] => {
                let one =
                    self.companion(first.companion).map(|it| format!("{}:{}", it.spec.name, first.slot));
                let one = one.unwrap_or_default();
                return refused(format!(
                    "{name} stands for several processes: name one of them, as in {one}"
                ));
            }
        };
        match self.companion(key.companion) {
            Some(companion) => Ok((key, &companion.spec)),
            None => refused(format!("{name} has no process: start it first")),
        }
    }

    /// The one process that a name stands for, and its companion's settings.
    ///
    /// # Errors
    ///
    /// When it stands for none, or for several.
    pub fn process_of(&self, name: &str) -> Result<(RunId, &CompanionSpec), Failure> {
        let (key, spec) = self.slot_of(name)?;
        let run = self.slot(key).and_then(|slot| slot.unit.run());
        let run = run.filter(|run| run.pid.is_some() && run.exit.is_none()).map(|run| run.id);
        let text = format!("{name} has no process: start it first");
        run.map(|run| (run, spec)).ok_or_else(|| Failure::new(FailureKind::Refused, text))
    }

    /// A client has gone: nobody is to be answered any more. What it asked for goes on.
    pub fn forget_client(&mut self, client: u64) {
        self.pending.retain(|pending| pending.asker.client != client || pending.asker.token != [0; 16]);
    }

    pub(super) fn selected_keys(&self, one: &Selected) -> Vec<Key> {
        self.all_keys(one)
            .into_iter()
            .filter(|&key| self.slot(key).is_some_and(|slot| !slot.leaving))
            .collect()
    }

    pub(super) fn all_keys(&self, one: &Selected) -> Vec<Key> {
        match one.slot {
            Some(0) => self.keys_of(one.companion).into_iter().filter(|key| shown(key.slot) == 0).collect(),
            Some(slot) => vec![Key { companion: one.companion, slot }],
            None => self.keys_of(one.companion),
        }
    }

    pub(super) fn refuse_while_stopping(&self) -> Result<(), Failure> {
        if self.ending || self.shutdown.is_some() {
            return Err(Failure::new(FailureKind::Refused, STOPPING));
        }
        Ok(())
    }
}
