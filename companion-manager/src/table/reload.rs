//! The difference between two specifications, and how it is applied.

use super::pending::{Verdict, judge_ready};
use super::{Action, Companion, Key, Table, Will};
use proto::control::{EventKind, ReloadReport};
use proto::link::{Pace, ToArbiter};
use proto::spec::{CompanionSpec, CompanionsSpec};
use std::collections::{BTreeMap, BTreeSet};
use supervise::{Desired, Monotonic};

/// A specification that is about to come into force.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    spec: CompanionsSpec,
    /// What was added for it.
    added: Vec<u32>,
    /// Whether arbiter has been told how that went.
    answered: bool,
}

/// A specification that has come into force and whose effects are waited for.
#[derive(Clone, Debug)]
pub(super) struct Committing {
    report: ReloadReport,
    /// Processes that are to become ready.
    ready: BTreeSet<Key>,
    /// Rolls that are to end, with the name of whom they restart.
    rolls: BTreeMap<u64, String>,
    /// Companions that are to go, and slots that do.
    leaving: BTreeSet<Key>,
}

impl Committing {
    /// A roll has ended.
    pub(super) fn end_roll(&mut self, number: u64, result: Result<(), String>) {
        if let (Some(name), Err(reason)) = (self.rolls.remove(&number), result) {
            self.report.problems.push(format!("{name}: {reason}"));
        }
    }
}

/// What becomes of one companion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Unchanged,
    /// Its processes are replaced.
    Restarted,
    /// Settings are stored; nothing else happens.
    Applied,
}

impl Table {
    pub(super) fn handle_prepare(&mut self, spec: CompanionsSpec, now: Monotonic) {
        let mut added = match self.prepared.take() {
            // arbiter repeats to a new manager what it has asked the one before for.
            Some(prepared) if prepared.spec == spec => prepared.added,
            before => {
                self.prepared = before;
                self.handle_abort(now);
                Vec::new()
            }
        };
        if self.shutdown.is_none() {
            for companion in &spec.companions {
                if !spec.required.contains(&companion.name) {
                    continue;
                }
                match self.names.get(&companion.name).copied() {
                    None => added.push(self.add(Companion::new(companion.clone()))),
                    Some(id) if self.companion(id).is_some_and(|old| old.removed) => {
                        self.revive(id, companion.clone(), now);
                        added.push(id);
                    }
                    Some(_) => {}
                }
            }
            for &id in &added {
                self.autostart(id, now);
            }
        }
        self.prepared = Some(Prepared { spec, added, answered: false });
    }

    /// The manager before had begun to bring `coming` into force, and had added companions for it: they stay until
    /// arbiter says what becomes of that.
    pub(super) fn go_on_preparing(&mut self, coming: Option<CompanionsSpec>, added: Vec<u32>) {
        self.prepared = coming.map(|spec| Prepared { spec, added, answered: true });
    }

    /// Whether a companion is there for a specification that is not in force yet.
    #[must_use]
    pub fn is_prepared(&self, companion: u32) -> bool {
        self.prepared.as_ref().is_some_and(|prepared| prepared.added.contains(&companion))
    }

    pub(super) fn handle_abort(&mut self, now: Monotonic) {
        if let Some(prepared) = self.prepared.take() {
            self.remove(&prepared.added.into_iter().collect(), now);
        }
    }

    pub(super) fn handle_compare(&mut self, spec: &CompanionsSpec) {
        let mut report = ReloadReport::default();
        for companion in &spec.companions {
            let name = companion.name.clone();
            match self.by_name(&name).filter(|old| !old.removed) {
                None => report.added.push(name),
                Some(old) => {
                    classify(old, companion, &mut report);
                }
            }
        }
        report.removed = self.missing_from(spec).into_values().collect();
        self.actions.push(Action::Tell(ToArbiter::Committed { operation: self.operation, report }));
    }

    pub(super) fn handle_commit(&mut self, only: Option<&[String]>, now: Monotonic) {
        let Some(prepared) = self.prepared.take() else {
            let problem = "nothing was prepared: reload again".to_owned();
            let report = ReloadReport { problems: vec![problem], ..ReloadReport::default() };
            self.actions.push(Action::Tell(ToArbiter::Committed { operation: self.operation, report }));
            return;
        };
        // A commit that is still being waited for is superseded: its report goes out as it is.
        self.finish_commit();
        let mut committing = Committing {
            report: ReloadReport::default(),
            ready: BTreeSet::new(),
            rolls: BTreeMap::new(),
            leaving: BTreeSet::new(),
        };
        let missing = self.missing_from(&prepared.spec);
        committing.report.removed = missing.values().cloned().collect();
        for &id in missing.keys() {
            committing.leaving.extend(self.keys_of(id));
            // Should it come back, it is a new one.
            if let Some(companion) = self.companions.get_mut(&id) {
                companion.will = Will::Untold;
            }
        }
        self.required = prepared.spec.required;
        self.tells_changes = prepared.spec.tells_changes;
        let mut fresh = prepared.added.clone();
        let is_meant = |spec: &CompanionSpec| only.is_none_or(|names| names.contains(&spec.name));
        for spec in prepared.spec.companions.into_iter().filter(is_meant) {
            let known = self.names.get(&spec.name).copied().filter(|id| !prepared.added.contains(id));
            match known {
                Some(id) => self.apply(id, spec, &mut committing, now),
                None if self.names.contains_key(&spec.name) => committing.report.added.push(spec.name),
                None => {
                    committing.report.added.push(spec.name.clone());
                    fresh.push(self.add(Companion::new(spec)));
                }
            }
        }
        for id in fresh {
            if self.shutdown.is_none() {
                self.autostart(id, now);
            }
            let up = self.companion(id).is_some_and(|companion| companion.will == Will::Up);
            committing.ready.extend(self.staying_keys(id).into_iter().filter(|_| up));
        }
        self.remove(&missing.into_keys().collect(), now);
        self.committing = Some(committing);
    }

    /// Those in force that `spec` no longer has, with their names.
    fn missing_from(&self, spec: &CompanionsSpec) -> BTreeMap<u32, String> {
        let wanted: BTreeSet<&str> =
            spec.companions.iter().map(|companion| companion.name.as_str()).collect();
        self.companions()
            .filter(|(_, companion)| !companion.removed && !wanted.contains(companion.spec.name.as_str()))
            .map(|(id, companion)| (id, companion.spec.name.clone()))
            .collect()
    }

    /// Has companions stopped, in order, and forgotten.
    pub(super) fn remove(&mut self, gone: &BTreeSet<u32>, now: Monotonic) {
        for id in gone {
            let Some(companion) = self.companions.get_mut(id) else { continue };
            let is_news = !std::mem::replace(&mut companion.removed, true);
            for slot in companion.slots.values_mut() {
                slot.leaving = true;
            }
            let keys = self.keys_of(*id);
            self.dirty.insert(*id);
            if is_news {
                self.happens(*id, EventKind::Unload);
            }
            if keys.is_empty() {
                let name = self.companion(*id).map(|c| c.spec.name.clone()).unwrap_or_default();
                self.forget(*id, &name);
            }
            self.leaving.extend(keys);
        }
        // A slot is dropped once it has no run, and its turn to stop may come later: what waits for a gate
        // or for its next try must not start meanwhile.
        let keys: Vec<Key> = gone.iter().flat_map(|&id| self.keys_of(id)).collect();
        for key in keys {
            if self.slot(key).is_some_and(|slot| slot.unit.run().is_none()) {
                self.stop_slot(key, Pace::Graceful, now);
            }
        }
        self.descend(gone, Pace::Graceful, now);
    }

    /// Applies other settings to a companion in force.
    fn apply(&mut self, id: u32, spec: CompanionSpec, committing: &mut Committing, now: Monotonic) {
        let Some(companion) = self.companions.get_mut(&id) else { return };
        if companion.removed {
            committing.report.added.push(spec.name.clone());
            self.revive(id, spec, now);
            let up = self.companion(id).is_some_and(|companion| companion.will == Will::Up);
            committing.ready.extend(self.staying_keys(id).into_iter().filter(|_| up));
            return;
        }
        let change = classify(companion, &spec, &mut committing.report);
        let rescale = companion.spec.count != spec.count;
        let autostart = spec.autostart && !companion.spec.autostart;
        let becomes_critical = spec.critical && !companion.spec.critical;
        let count = spec.count;
        if companion.spec != spec {
            companion.forgive();
        }
        companion.set_spec(spec);
        let stopped = companion.will != Will::Up;
        self.dirty.insert(id);
        if becomes_critical {
            self.become_critical(id);
        }
        for key in self.keys_of(id) {
            self.follow_probes(key, None, now);
            self.arm(key);
        }
        if rescale {
            let watched = self.set_target(id, count, now);
            let (new, old): (Vec<_>, Vec<_>) = watched.into_iter().partition(|watched| watched.changed);
            committing.ready.extend(new.into_iter().map(|watched| watched.key));
            committing.leaving.extend(old.into_iter().map(|watched| watched.key));
        }
        if self.shutdown.is_some() {
            return;
        }
        if stopped && autostart {
            if let Some(companion) = self.companions.get_mut(&id) {
                companion.will = Will::Untold;
            }
            self.autostart(id, now);
            committing.ready.extend(self.staying_keys(id));
        } else if !stopped && change == Change::Restarted {
            self.roll_outdated(id, committing);
        } else if let (Some(roll), Some(companion)) = (self.rolls.get(&id), self.companion(id)) {
            // Perhaps the manager before had begun to apply this very specification.
            committing.rolls.insert(roll.number, companion.spec.name.clone());
        }
    }

    /// Restarts the processes of a companion that run with other settings than those in force.
    fn roll_outdated(&mut self, id: u32, committing: &mut Committing) {
        let Some(companion) = self.companion(id) else { return };
        let (slots, name) = (companion.outdated(), companion.spec.name.clone());
        if !slots.is_empty() {
            let number = self.roll(id, slots, true);
            committing.rolls.insert(number, name);
        }
    }

    /// A companion that was being removed is wanted again: its old processes go, new ones come. One that
    /// only the manager before knew, for a reload that goes on, keeps what operators wanted of it.
    fn revive(&mut self, id: u32, spec: CompanionSpec, now: Monotonic) {
        self.spare(id);
        let Some(companion) = self.companions.get_mut(&id) else { return };
        companion.removed = false;
        companion.target = spec.count;
        companion.set_spec(spec);
        for slot in companion.slots.values_mut() {
            slot.leaving = slot.oneoff.is_some();
        }
        companion.fill();
        let surplus = companion.surplus();
        self.happens(id, EventKind::Load);
        self.leaving.retain(|key| key.companion != id || super::oneoff::is_oneoff(key.slot));
        for slot in surplus {
            self.leave(Key { companion: id, slot }, Pace::Graceful, now);
        }
        match self.companion(id).map(|companion| companion.will) {
            Some(Will::Untold) => self.autostart(id, now),
            Some(Will::Up) => {
                for key in self.staying_keys(id) {
                    self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
                }
            }
            Some(Will::Down) | None => {}
        }
    }

    /// Tells arbiter how far a reload has come, where that is settled.
    pub(super) fn advance_reload(&mut self) {
        if let Some(prepared) = self.prepared.as_ref().filter(|prepared| !prepared.answered) {
            if let Some(result) = self.prepared_result(prepared) {
                let operation = self.operation;
                self.actions.push(Action::Tell(ToArbiter::Prepared { operation, result }));
                if let Some(prepared) = &mut self.prepared {
                    prepared.answered = true;
                }
            }
        }
        let Some(mut committing) = self.committing.take() else { return };
        committing.leaving.retain(|key| self.slot(*key).is_some_and(|slot| !slot.unit.is_settled()));
        let open: Vec<Key> = committing.ready.iter().copied().collect();
        for key in open {
            let name = self.companion(key.companion).map(|companion| companion.label(key.slot));
            match judge_ready(self, key) {
                Verdict::Open => continue,
                Verdict::Done(_) => {}
                Verdict::Failed(reason) => {
                    committing.report.problems.push(format!("{}: {reason}", name.unwrap_or_default()));
                }
            }
            committing.ready.remove(&key);
        }
        let done =
            committing.ready.is_empty() && committing.rolls.is_empty() && committing.leaving.is_empty();
        self.committing = Some(committing);
        if done || self.shutdown.is_some() {
            self.finish_commit();
        }
    }

    fn prepared_result(&self, prepared: &Prepared) -> Option<Result<bool, String>> {
        if self.shutdown.is_some() {
            return Some(Err("arbiter is stopping".into()));
        }
        let mut open = false;
        let required = prepared.spec.required.iter().filter_map(|name| self.names.get(name).copied());
        let is_wanted = |key: &Key| {
            let slot = self.slot(*key).filter(|_| !self.is_doomed(key.companion));
            slot.is_some_and(|slot| slot.unit.desired() == Desired::Up)
        };
        for key in required.flat_map(|id| self.staying_keys(id)).filter(is_wanted) {
            match judge_ready(self, key) {
                Verdict::Open => open = true,
                Verdict::Done(_) => {}
                Verdict::Failed(reason) => {
                    let label = self.companion(key.companion).map(|companion| companion.label(key.slot));
                    return Some(Err(format!("{}: {reason}", label.unwrap_or_default())));
                }
            }
        }
        (!open).then(|| Ok(self.would_change(prepared)))
    }

    /// Whether a commit would start, stop, replace or adjust any companion.
    fn would_change(&self, prepared: &Prepared) -> bool {
        let changes = |spec: &CompanionSpec| match self.names.get(&spec.name) {
            Some(id) if prepared.added.contains(id) => false,
            id => id.and_then(|id| self.companion(*id)).is_none_or(|old| {
                old.removed || classify(old, spec, &mut ReloadReport::default()) != Change::Unchanged
            }),
        };
        !self.missing_from(&prepared.spec).is_empty() || prepared.spec.companions.iter().any(changes)
    }

    fn finish_commit(&mut self) {
        if let Some(committing) = self.committing.take() {
            let (operation, report) = (self.operation, committing.report);
            self.actions.push(Action::Tell(ToArbiter::Committed { operation, report }));
        }
    }
}

/// Puts a companion's name where it belongs in the report.
fn classify(old: &Companion, new: &CompanionSpec, report: &mut ReloadReport) -> Change {
    let name = new.name.clone();
    if old.spec == *new {
        if old.will == Will::Up && !old.left_behind().is_empty() {
            report.restarted.push(name);
            return Change::Restarted;
        }
        report.unchanged.push(name);
        return Change::Unchanged;
    }
    let restarted = super::fingerprint::of_settings(new) != old.settings;
    if old.will != Will::Up {
        report.applied.push(name);
        return if restarted { Change::Restarted } else { Change::Applied };
    }
    if restarted {
        report.restarted.push(name.clone());
    }
    if old.spec.count != new.count {
        report.scaled.push(name.clone());
    }
    if !restarted && old.spec.count == new.count {
        report.applied.push(name);
    }
    if restarted { Change::Restarted } else { Change::Applied }
}
