//! Replacing workers, new before old: all at once, or in batches.
//!
//! A batch is so many successors. When all of them are ready they take over and the old ones in their slots
//! are asked to leave, and the next batch begins; successors for slots that nobody serves yet stay ready
//! beside the others until the end. The last batch is the commit: settings, generation and number are the
//! new ones from then on. Until then a worker that takes its slot's place after a death is as its slot is:
//! new where the slot has been replaced, old where it has not.
//!
//! A successor that fails, or a new worker that dies and does not come back, ends the rollout ([`super::undo`]).

use super::{Pool, PoolAction, Report, Role, Settings, Worker};
use proto::spec::WorkersSpec;
use std::collections::BTreeSet;
use std::sync::Arc;
use supervise::unit::{Cause, Step};
use supervise::{Monotonic, Phase, RunIds, Unit, slots};

/// A replacement under way.
#[derive(Debug)]
pub(super) struct Rollout {
    /// What the successors run with; it becomes the pool's when they have taken over.
    pub(super) settings: Option<Arc<Settings>>,
    /// Their generation.
    pub(super) generation: u64,
    /// How many workers the configuration says.
    configured: u32,
    /// The slots that are replaced; `None`: all.
    only: Option<u32>,
    /// What cannot be completed is undone.
    pub(super) failed: Option<super::undo::Failed>,
}

impl Rollout {
    /// How many successors are started at a time.
    pub(super) fn batch(&self) -> usize {
        match self.settings.as_ref().map_or(0, |settings| settings.spec.reload_batch) {
            0 => usize::MAX,
            batch => batch as usize,
        }
    }
}

impl Pool {
    /// Starts the next generation with `spec` beside the current one. Ends with [`Report::RolledOut`] or
    /// [`Report::RolloutFailed`]; without workers to start, or before [`Pool::start`], it ends at once.
    pub fn roll_out(
        &mut self,
        now: Monotonic,
        ids: &mut RunIds,
        spec: Option<WorkersSpec>,
        has_listeners: bool,
    ) {
        self.abandon_recycling(now, ids);
        let configured = spec.as_ref().map_or(0, |spec| spec.count);
        let settings = spec.map(|spec| Arc::new(Settings::new(spec, has_listeners)));
        // Workers of a rollout that could not be undone may have had the next number.
        let newest = self.current().map(|worker| worker.generation).max().unwrap_or_default();
        let generation = self.generation.max(newest) + 1;
        self.rollout = Some(Rollout { settings, generation, configured, only: None, failed: None });
        self.extend_rollout(now, ids);
        self.settle(now, ids);
    }

    /// Starts the successors that a rollout of all still lacks, as many as go at a time: one for each slot
    /// that will be served, the slots in use first.
    pub(super) fn extend_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        let started = self.started;
        let Some(rollout) = self.rollout.as_ref().filter(|it| started && it.failed.is_none()) else { return };
        let Some(settings) = rollout.settings.clone().filter(|_| rollout.only.is_none()) else { return };
        let (generation, batch) = (rollout.generation, rollout.batch());
        let mut under_way = self.successors().filter(|worker| !worker.unit.is_ready()).count();
        if batch != usize::MAX && under_way > 0 {
            return;
        }
        let mut done: BTreeSet<u32> = self.new_ones().map(|worker| worker.slot).collect();
        let in_use: BTreeSet<u32> = self.current().map(|worker| worker.slot).collect();
        while done.len() < self.wanted() && under_way < batch {
            let slot = in_use.difference(&done).next().copied();
            let slot = slot.unwrap_or_else(|| slots::lowest_free(done.iter().copied()));
            done.insert(slot);
            under_way += 1;
            self.add(now, ids, slot, generation, Role::Successor, Arc::clone(&settings));
        }
    }

    /// How many workers a rollout leads to.
    fn wanted(&self) -> usize {
        let Some(rollout) = &self.rollout else { return 0 };
        if rollout.settings.is_none() { 0 } else { self.target_with(rollout.configured) as usize }
    }

    /// How many workers there will be when a rollout is complete whose configuration says `configured`: a
    /// number that was asked for lasts until the configuration's own changes.
    #[must_use]
    pub fn target_with(&self, configured: u32) -> u32 {
        if configured == self.configured { self.target } else { configured }
    }

    pub(super) fn successors(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.role == Role::Successor)
    }

    /// What a rollout of all has brought so far: those that have taken over, and those that will.
    fn new_ones(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.role == Role::Successor || self.has_taken_over(worker))
    }

    /// Whether a worker is a new one of the rollout under way that serves its slot already.
    pub(super) fn has_taken_over(&self, worker: &Worker) -> bool {
        let rollout = self.rollout.as_ref().filter(|rollout| rollout.only.is_none());
        worker.role == Role::Current && rollout.is_some_and(|it| it.generation == worker.generation)
    }

    /// Starts the next generation with the settings in force.
    pub fn restart(&mut self, now: Monotonic, ids: &mut RunIds) {
        if let Some(settings) = self.settings.clone() {
            self.roll_out(now, ids, Some(settings.spec.clone()), settings.has_listeners);
        }
    }

    /// Starts a successor for one worker. Returns whether there is such a worker.
    pub fn restart_slot(&mut self, now: Monotonic, ids: &mut RunIds, slot: u32) -> bool {
        if !self.current().any(|worker| worker.slot == slot) {
            return false;
        }
        self.abandon_recycling(now, ids);
        let settings = self.settings.clone().expect("a pool with a worker has settings");
        self.add(now, ids, slot, self.generation, Role::Successor, settings.clone());
        self.rollout = Some(Rollout {
            settings: Some(settings),
            generation: self.generation,
            configured: self.configured,
            only: Some(slot),
            failed: None,
        });
        self.settle(now, ids);
        true
    }

    /// Whether a replacement is under way.
    #[must_use]
    pub fn is_rolling_out(&self) -> bool {
        self.rollout.is_some()
    }

    /// Whether workers of generations before this one are still leaving, save what cannot be killed.
    #[must_use]
    pub fn has_old_ones(&self) -> bool {
        self.workers.iter().any(|worker| worker.generation < self.generation && !worker.unit.is_settled())
    }

    pub(super) fn advance_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        let Some(rollout) = &self.rollout else { return };
        if rollout.failed.is_some() {
            return self.advance_undo(now, ids);
        }
        if let Some(reason) = self.failure_of_rollout(now) {
            return self.begin_undo(now, ids, reason);
        }
        let is_waited_for = |worker: &Worker| {
            let stuck = matches!(worker.unit.phase(), Phase::Stopping { step: Step::Stuck, .. });
            !worker.unit.is_ready() && !stuck
        };
        if self.new_ones().any(is_waited_for) {
            return;
        }
        let is_last = rollout.only.is_some() || !self.started || self.new_ones().count() >= self.wanted();
        if is_last {
            self.commit(now, ids);
        } else {
            self.take_over(now, ids);
            self.extend_rollout(now, ids);
        }
    }

    /// Why a rollout will not be completed, if so.
    fn failure_of_rollout(&self, now: Monotonic) -> Option<String> {
        let only = self.rollout.as_ref().and_then(|rollout| rollout.only);
        if let Some(slot) = only.filter(|slot| !self.current().any(|worker| worker.slot == *slot)) {
            return Some(format!("worker {slot} is one too many since the number was made smaller"));
        }
        self.workers.iter().find_map(|worker| {
            let failed = match worker.role {
                Role::Successor => has_failed(worker),
                Role::Current => self.has_taken_over(worker) && does_not_come_back(worker),
                Role::Leaving => false,
            };
            failed.then(|| format!("new worker {} {}", worker.slot, sentence(&worker.unit, now)))
        })
    }

    /// The successors of one batch serve the slots that somebody served before them.
    fn take_over(&mut self, now: Monotonic, ids: &mut RunIds) {
        let slots: BTreeSet<u32> = self.successors().map(|worker| worker.slot).collect();
        let old: BTreeSet<u32> =
            self.current().map(|worker| worker.slot).filter(|slot| slots.contains(slot)).collect();
        self.replace(now, ids, &old);
    }

    /// In each of `slots` the successor takes the place of the current one, which is asked to leave.
    pub(super) fn replace(&mut self, now: Monotonic, ids: &mut RunIds, slots: &BTreeSet<u32>) {
        let leaves = |worker: &Worker| worker.role == Role::Current && slots.contains(&worker.slot);
        self.dismiss_all(now, ids, leaves);
        for worker in &mut self.workers {
            if worker.role == Role::Successor && slots.contains(&worker.slot) {
                worker.role = Role::Current;
            }
        }
    }

    /// All that is new is ready: it takes over where it has not, and what is old leaves.
    fn commit(&mut self, now: Monotonic, ids: &mut RunIds) {
        let taken_over = self.current().filter(|worker| self.has_taken_over(worker)).count();
        let new = self.successors().count() + taken_over;
        let rollout = self.rollout.take().expect("one is committed");
        self.settings = rollout.settings;
        self.generation = rollout.generation;
        if rollout.configured != self.configured {
            self.configured = rollout.configured;
            self.target = rollout.configured;
        }
        // First of all, so that clients come to the new ones' sockets before the old ones are asked to leave.
        let replaced = u32::try_from(new).unwrap_or(u32::MAX);
        self.actions.push(PoolAction::Report(Report::RolledOut { replaced }));
        self.dismiss_all(now, ids, |worker| {
            worker.role == Role::Current
                && match rollout.only {
                    Some(slot) => worker.slot == slot,
                    None => worker.generation != rollout.generation,
                }
        });
        for worker in &mut self.workers {
            if worker.role == Role::Successor {
                worker.role = Role::Current;
            }
        }
    }

    /// Asks all to leave that `which` names.
    pub(super) fn dismiss_all(&mut self, now: Monotonic, ids: &mut RunIds, which: impl Fn(&Worker) -> bool) {
        for index in 0..self.workers.len() {
            if which(&self.workers[index]) {
                self.dismiss(now, ids, index);
            }
        }
    }
}

/// Whether a successor will not become ready, or is not any more.
pub(super) fn has_failed(worker: &Worker) -> bool {
    match worker.unit.phase() {
        Phase::Starting { .. } | Phase::Running | Phase::Waiting => false,
        Phase::Stopped
        | Phase::Backoff { .. }
        | Phase::Stopping { .. }
        | Phase::Exited { .. }
        | Phase::Fatal => true,
    }
}

/// Whether a worker that has taken over has ended and the process after it was not ready.
fn does_not_come_back(worker: &Worker) -> bool {
    matches!(worker.unit.phase(), Phase::Backoff { .. } | Phase::Stopping { cause: Cause::Unready, .. })
}

/// What became of a worker, without its name.
pub(super) fn sentence(unit: &Unit, now: Monotonic) -> String {
    let exit = unit.run().and_then(|run| run.exit);
    match (unit.phase(), exit, unit.last()) {
        (Phase::Stopping { cause: Cause::Unready, .. }, _, _) => {
            "was not ready within its start_timeout".into()
        }
        (Phase::Stopping { cause: Cause::Unhealthy, .. }, _, _) => "does not answer any more".into(),
        (Phase::Stopping { cause: Cause::Leaves, .. }, None, _) => "leaves by itself".into(),
        // It left others of its group behind.
        (_, Some(exit), _) => exit.status.to_string(),
        (_, None, Some(ending)) => ending.sentence(),
        (_, None, None) => unit.reason(now).unwrap_or_else(|| "was stopped".into()),
    }
}
