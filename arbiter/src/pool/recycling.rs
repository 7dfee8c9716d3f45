//! Workers that are replaced though nothing is wrong: they have lived long enough, or grown too big.
//!
//! One at a time, new before old, in the settings and the generation in force; never beside a rollout, which
//! replaces them anyway. A successor that fails leaves the old worker serving, and the next try waits, longer
//! each time.

use super::rollout::{has_failed, sentence};
use super::{Pool, PoolAction, Report, Role, Worker};
use proto::spec::Recycle;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use supervise::recycling::{LOOK_EVERY, Measured};
use supervise::{Jitter, Monotonic, RunId, RunIds};

/// The wait after a recycling that failed; it doubles …
const RETRY: Duration = Duration::from_secs(1);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Recycling, as far as it concerns the whole pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recycling {
    pub(super) jitter: Jitter,
    /// The slot and the run for which a successor was started.
    under_way: Option<(u32, RunId)>,
    /// How many have failed in a row.
    failures: u32,
    /// When the next may begin, after one that has failed.
    not_before: Option<Monotonic>,
    /// When memory is looked at next.
    look_at: Option<Monotonic>,
}

/// How long one run may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lifetime {
    /// When it will have lived long enough.
    over_at: Option<Monotonic>,
    /// How many bytes it used when that was more than it may.
    too_big: Option<u64>,
}

impl Lifetime {
    /// Of a run that begins now.
    pub(super) fn of_new_run(recycle: &Recycle, jitter: &mut Jitter, now: Monotonic) -> Self {
        Self { over_at: recycle.lifetime_over(now, jitter), too_big: None }
    }
}

impl Worker {
    /// When it is to be replaced, if nothing happens; while it serves.
    fn due_at(&self) -> Option<Monotonic> {
        let run = self.unit.run().filter(|_| self.role == Role::Current && self.unit.is_ready())?;
        self.lifetime.too_big.map(|_| run.started).or(self.lifetime.over_at)
    }

    /// Why it is replaced.
    fn recycling_reason(&self, now: Monotonic) -> String {
        let lived = self.unit.run().map(|run| now.since(run.started)).unwrap_or_default();
        let why = self.settings.spec.recycle.reason(lived, self.lifetime.too_big);
        format!("{}: {why}, replacing it", self.name())
    }
}

impl Pool {
    /// Where chance begins: the parts of `max_lifetime_jitter` are drawn from it.
    pub fn seed(&mut self, seed: u64) {
        self.recycling.jitter = Jitter::from_seed(seed);
    }

    /// A worker uses so many bytes.
    pub fn weigh(&mut self, now: Monotonic, ids: &mut RunIds, run: RunId, bytes: u64) {
        let Some(index) = self.find(run) else { return };
        let worker = &mut self.workers[index];
        let is_too_big = worker.settings.spec.recycle.is_too_big(bytes);
        worker.lifetime.too_big = is_too_big.then_some(bytes);
        self.settle(now, ids);
    }

    /// The next moment at which recycling has something to do.
    pub(super) fn next_recycling(&self) -> Option<Monotonic> {
        let due = self.workers.iter().filter_map(Worker::due_at).min();
        let due = due.map(|at| self.recycling.not_before.map_or(at, |not_before| at.max(not_before)));
        due.filter(|_| self.may_recycle()).into_iter().chain(self.recycling.look_at).min()
    }

    fn may_recycle(&self) -> bool {
        let is_calm = self.rollout.is_none() && self.recycling.under_way.is_none();
        is_calm && self.stopping.is_none() && !self.withdrawn
    }

    /// Goes on with what is under way, or begins with the one that is due longest.
    pub(super) fn advance_recycling(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.finish_recycling(now, ids);
        let is_early = self.recycling.not_before.is_some_and(|at| now < at);
        if !self.may_recycle() || is_early {
            return;
        }
        let due = self.workers.iter().filter_map(|worker| Some((worker.due_at()?, worker)));
        let Some((_, worker)) = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) else { return };
        let (slot, run) = (worker.slot, worker.unit.run().map(|run| run.id));
        let reason = worker.recycling_reason(now);
        self.actions.push(PoolAction::Report(Report::Recycles { reason }));
        let settings = self.settings.clone().expect("a pool with a worker has settings");
        self.recycling.under_way = run.map(|run| (slot, run));
        self.add(now, ids, slot, self.generation, Role::Successor, settings);
    }

    fn finish_recycling(&mut self, now: Monotonic, ids: &mut RunIds) {
        let Some((slot, run)) = self.recycling.under_way else { return };
        let is_there = self.current().any(|w| w.unit.run().is_some_and(|current| current.id == run));
        let Some(successor) = self.successors().next().filter(|_| is_there) else {
            // It has gone by itself, or is not wanted any more.
            return self.abandon_recycling(now, ids);
        };
        if successor.unit.is_ready() {
            self.replace(now, ids, &BTreeSet::from([slot]));
            self.recycling.under_way = None;
            self.recycling.failures = 0;
            self.recycling.not_before = None;
        } else if has_failed(successor) {
            let (name, why) = (successor.name(), sentence(&successor.unit, now));
            let doublings = self.recycling.failures.min(16);
            let wait = RETRY.saturating_mul(1 << doublings).min(RETRY_MAX);
            self.recycling.failures = self.recycling.failures.saturating_add(1);
            self.recycling.not_before = Some(now + wait);
            let reason =
                format!("{name}: stays, its successor {why}; the next try is in {} s", wait.as_secs());
            self.actions.push(PoolAction::Report(Report::RecyclingFailed { reason }));
            self.abandon_recycling(now, ids);
        }
    }

    /// Ends the successor of a worker that is not to be recycled now.
    pub(super) fn abandon_recycling(&mut self, now: Monotonic, ids: &mut RunIds) {
        if self.recycling.under_way.take().is_some() {
            self.dismiss_all(now, ids, |worker| worker.role == Role::Successor);
        }
    }

    /// Memory is looked at from now on where it is limited, and only there.
    pub(super) fn arm_look_at_memory(&mut self, now: Monotonic) {
        let is_limited = self.measured().next().is_some() && self.stopping.is_none();
        let look_at = self.recycling.look_at.unwrap_or(now + LOOK_EVERY);
        self.recycling.look_at = is_limited.then_some(look_at);
    }

    pub(super) fn look_at_memory_when_due(&mut self, now: Monotonic) {
        if self.recycling.look_at.take_if(|at| *at <= now).is_some() {
            let workers = self.measured().collect();
            self.actions.push(PoolAction::Measure { workers });
        }
    }

    fn measured(&self) -> impl Iterator<Item = Measured> + '_ {
        self.current().filter(|worker| worker.unit.is_ready()).filter_map(|worker| {
            let limit = Some(worker.settings.spec.recycle.memory_max).filter(|limit| *limit > 0)?;
            let run = worker.unit.run()?;
            Some(Measured { run: run.id, pid: run.pid?, limit })
        })
    }
}
