//! A rollout that cannot be completed: what has taken over goes back to what was before.
//!
//! Nobody that serves leaves before somebody else serves in its place, also on the way back: each new worker
//! gets a successor with the settings and the generation in force, a batch at a time, and leaves when that is
//! ready. One whose successor fails stays; what follows its own end one day has the settings in force.

use super::rollout::{has_failed, sentence};
use super::{Pool, PoolAction, Report, Role, Worker};
use std::collections::BTreeSet;
use std::sync::Arc;
use supervise::{Monotonic, RunIds};

/// Why a rollout is undone, and what cannot be.
#[derive(Debug)]
pub(super) struct Failed {
    /// What went wrong first.
    reason: String,
    /// The slots whose new worker stays, and why.
    stay: Vec<(u32, String)>,
}

impl Pool {
    /// Gives a replacement up: what was started for it is asked to leave. What has taken over serves on, and
    /// what comes after it is as before.
    pub fn abandon_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        if self.rollout.is_some() {
            self.set_aside(now, ids);
            self.rollout = None;
            self.settle(now, ids);
        }
    }

    pub(super) fn begin_undo(&mut self, now: Monotonic, ids: &mut RunIds, reason: String) {
        self.set_aside(now, ids);
        if self.superseded().next().is_some() {
            self.actions.push(PoolAction::Report(Report::GoesBack { reason: reason.clone() }));
        }
        let rollout = self.rollout.as_mut().expect("it is undone");
        rollout.failed = Some(Failed { reason, stay: Vec::new() });
        self.advance_undo(now, ids);
    }

    /// No new worker is started any more, and those that are not ready are not waited for.
    fn set_aside(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.dismiss_all(now, ids, |worker| worker.role == Role::Successor);
        for index in 0..self.workers.len() {
            if !self.has_taken_over(&self.workers[index]) {
                continue;
            }
            if self.workers[index].unit.is_ready() {
                self.workers[index].superseded = true;
            } else {
                self.dismiss(now, ids, index);
            }
        }
    }

    fn superseded(&self) -> impl Iterator<Item = &Worker> {
        self.current().filter(|worker| worker.superseded)
    }

    pub(super) fn advance_undo(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.settle_orphans(now, ids);
        self.keep_where_nothing_follows(now, ids);
        let ready: BTreeSet<u32> =
            self.successors().filter(|worker| worker.unit.is_ready()).map(|worker| worker.slot).collect();
        self.replace(now, ids, &ready);
        self.start_going_back(now, ids);
        let Some(failed) = self.rollout.as_mut().and_then(|rollout| rollout.failed.as_mut()) else { return };
        if self.workers.iter().any(|worker| worker.role == Role::Successor) {
            return;
        }
        let (reason, stay) = (std::mem::take(&mut failed.reason), std::mem::take(&mut failed.stay));
        self.rollout = None;
        self.actions.push(PoolAction::Report(Report::RolloutFailed { reason, stay }));
    }

    /// A successor whose slot nobody serves any more serves it, or goes when there are enough without it.
    fn settle_orphans(&mut self, now: Monotonic, ids: &mut RunIds) {
        let mut served: BTreeSet<u32> = self.current().map(|worker| worker.slot).collect();
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.role != Role::Successor || served.contains(&worker.slot) {
                continue;
            }
            if served.len() < self.target as usize && !has_failed(worker) {
                served.insert(worker.slot);
                self.workers[index].role = Role::Current;
            } else {
                self.dismiss(now, ids, index);
            }
        }
    }

    /// A new worker whose successor has failed stays.
    fn keep_where_nothing_follows(&mut self, now: Monotonic, ids: &mut RunIds) {
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.role == Role::Successor && has_failed(worker) {
                let why = (worker.slot, sentence(&worker.unit, now));
                self.dismiss(now, ids, index);
                let failed = self.rollout.as_mut().and_then(|rollout| rollout.failed.as_mut());
                failed.expect("it is being undone").stay.push(why);
            }
        }
    }

    /// Starts successors for new workers that have had none, as many as go at a time.
    fn start_going_back(&mut self, now: Monotonic, ids: &mut RunIds) {
        let (Some(rollout), Some(settings)) = (&self.rollout, self.settings.clone()) else { return };
        let Some(failed) = &rollout.failed else { return };
        let under_way = self.successors().count();
        let tried: BTreeSet<u32> = self.successors().map(|worker| worker.slot).collect();
        let stays = |slot| failed.stay.iter().any(|(stays, _)| *stays == slot);
        // Workers that stay since an earlier rollout are not this one's.
        let of_this = |worker: &&Worker| worker.generation == rollout.generation;
        let slots = self.superseded().filter(of_this).map(|worker| worker.slot);
        let slots: Vec<u32> = slots
            .filter(|slot| !tried.contains(slot) && !stays(*slot))
            .take(rollout.batch().saturating_sub(under_way))
            .collect();
        let generation = self.generation;
        for slot in slots {
            self.add(now, ids, slot, generation, Role::Successor, Arc::clone(&settings));
        }
    }
}
