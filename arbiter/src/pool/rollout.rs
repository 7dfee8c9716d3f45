//! Replacing workers, new before old.

use super::{Pool, PoolAction, Report, Role, Settings, Worker};
use proto::spec::WorkersSpec;
use std::collections::BTreeSet;
use std::sync::Arc;
use supervise::unit::Cause;
use supervise::{Monotonic, Phase, RunIds, Unit, slots};

/// A replacement under way.
#[derive(Debug)]
pub(super) struct Rollout {
    /// What the successors run with; it becomes the pool's when they have taken over.
    settings: Option<Arc<Settings>>,
    /// Their generation.
    generation: u64,
    /// How many workers the configuration says.
    configured: u32,
    /// The slots that are replaced; `None`: all.
    only: Option<u32>,
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
        let configured = spec.as_ref().map_or(0, |spec| spec.count);
        let settings = spec.map(|spec| Arc::new(Settings::new(spec, has_listeners)));
        let generation = self.generation + 1;
        self.rollout = Some(Rollout { settings, generation, configured, only: None });
        if self.started {
            self.extend_rollout(now, ids);
        }
        self.settle(now, ids);
    }

    /// Starts the successors that a rollout of all still lacks: one for each slot that will be served, the
    /// slots in use first.
    pub(super) fn extend_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        let Some(Rollout { settings: Some(settings), generation, configured, only: None }) = &self.rollout
        else {
            return;
        };
        let (settings, generation) = (Arc::clone(settings), *generation);
        let wanted = if *configured == self.configured { self.target } else { *configured };
        let mut taken: BTreeSet<u32> = self.successors().map(|worker| worker.slot).collect();
        let in_use: BTreeSet<u32> = self.current().map(|worker| worker.slot).collect();
        while taken.len() < wanted as usize {
            let slot = in_use.difference(&taken).next().copied();
            let slot = slot.unwrap_or_else(|| slots::lowest_free(taken.iter().copied()));
            taken.insert(slot);
            self.add(now, ids, slot, generation, Role::Successor, Arc::clone(&settings));
        }
    }

    fn successors(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.role == Role::Successor)
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
        let settings = self.settings.clone().expect("a pool with a worker has settings");
        self.add(now, ids, slot, self.generation, Role::Successor, settings.clone());
        self.rollout = Some(Rollout {
            settings: Some(settings),
            generation: self.generation,
            configured: self.configured,
            only: Some(slot),
        });
        self.settle(now, ids);
        true
    }

    /// Whether a replacement is under way.
    #[must_use]
    pub fn is_rolling_out(&self) -> bool {
        self.rollout.is_some()
    }

    /// Gives a replacement up: what was started for it is asked to leave.
    pub fn abandon_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        if self.rollout.take().is_some() {
            self.dismiss_all(now, ids, |worker| worker.role == Role::Successor);
            self.settle(now, ids);
        }
    }

    pub(super) fn advance_rollout(&mut self, now: Monotonic, ids: &mut RunIds) {
        let Some(rollout) = &self.rollout else { return };
        let failed = self.successors().find_map(|worker| failure(worker, now));
        let all_ready = self.successors().all(|worker| worker.unit.is_ready());
        if let Some(reason) = failed {
            self.rollout = None;
            self.dismiss_all(now, ids, |worker| worker.role == Role::Successor);
            self.actions.push(PoolAction::Report(Report::RolloutFailed { reason }));
        } else if all_ready {
            let replaced = u32::try_from(self.successors().count()).unwrap_or(u32::MAX);
            let only = rollout.only;
            let rollout = self.rollout.take().expect("looked at above");
            self.settings = rollout.settings;
            self.generation = rollout.generation;
            if rollout.configured != self.configured {
                self.configured = rollout.configured;
                self.target = rollout.configured;
            }
            self.dismiss_all(now, ids, |worker| {
                worker.role == Role::Current && only.is_none_or(|slot| worker.slot == slot)
            });
            for worker in &mut self.workers {
                if worker.role == Role::Successor {
                    worker.role = Role::Current;
                }
            }
            self.actions.push(PoolAction::Report(Report::RolledOut { replaced }));
        }
    }

    fn dismiss_all(&mut self, now: Monotonic, ids: &mut RunIds, which: impl Fn(&Worker) -> bool) {
        for index in 0..self.workers.len() {
            if which(&self.workers[index]) {
                self.dismiss(now, ids, index);
            }
        }
    }
}

/// Why a successor will not become ready, if so.
fn failure(worker: &Worker, now: Monotonic) -> Option<String> {
    let gone_wrong = match worker.unit.phase() {
        Phase::Starting { .. } | Phase::Running | Phase::Waiting => false,
        Phase::Stopped
        | Phase::Backoff { .. }
        | Phase::Stopping { .. }
        | Phase::Exited { .. }
        | Phase::Fatal => true,
    };
    gone_wrong.then(|| format!("new worker {} {}", worker.slot, sentence(&worker.unit, now)))
}

fn sentence(unit: &Unit, now: Monotonic) -> String {
    let exit = unit.run().and_then(|run| run.exit);
    match (unit.phase(), exit, unit.last()) {
        (Phase::Stopping { cause: Cause::Unready, .. }, _, _) => {
            "was not ready within its start_timeout".into()
        }
        (Phase::Stopping { cause: Cause::Unhealthy, .. }, _, _) => "does not answer any more".into(),
        // It left others of its group behind.
        (_, Some(exit), _) => exit.status.to_string(),
        (_, None, Some(ending)) => ending.sentence(),
        (_, None, None) => unit.reason(now).unwrap_or_else(|| "was stopped".into()),
    }
}
