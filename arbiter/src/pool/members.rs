//! How many there are: starting, scaling, stopping.

use super::{Heartbeat, Pool, Role, Settings, Worker};
use proto::link::Pace;
use std::sync::Arc;
use std::time::Duration;
use supervise::{Monotonic, RunIds, Unit, slots};

impl Pool {
    /// Starts the first generation.
    pub fn start(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.started = true;
        self.settle(now, ids);
    }

    /// There should be `target` workers, and at least one. Returns the new number. Before [`Pool::start`]
    /// it is only noted. A replacement under way replaces the new ones as well.
    pub fn scale_to(&mut self, now: Monotonic, ids: &mut RunIds, target: u32) -> u32 {
        if self.settings.is_some() {
            self.target = target.max(1);
            self.fill(now, ids);
            self.extend_rollout(now, ids);
            self.settle(now, ids);
        }
        self.target
    }

    /// Asks all workers to leave, or hurries them; none is started any more.
    pub fn stop(&mut self, now: Monotonic, ids: &mut RunIds, pace: Pace) {
        self.stopping = Some(self.stopping.map_or(pace, |current| current.max(pace)));
        self.rollout = None;
        for index in 0..self.workers.len() {
            let ladder = self.workers[index].settings.ladder(pace);
            self.workers[index].role = Role::Leaving;
            self.drive(now, ids, index, false, |unit, turn, _| unit.stop(turn, ladder));
        }
        self.settle(now, ids);
    }

    /// Starts what is missing of the target.
    pub(super) fn fill(&mut self, now: Monotonic, ids: &mut RunIds) {
        let may = self.started && self.stopping.is_none();
        let Some(settings) = self.settings.clone().filter(|_| may) else { return };
        while self.current().count() < self.target as usize {
            let used = self.workers.iter().filter(|w| w.role != Role::Leaving).map(|w| w.slot);
            let slot = slots::lowest_free(used);
            let generation = self.generation;
            self.add(now, ids, slot, generation, Role::Current, Arc::clone(&settings));
        }
    }

    /// Asks what is over the target to leave, the oldest first.
    pub(super) fn shrink(&mut self, now: Monotonic, ids: &mut RunIds) {
        let surplus = self.current().count().saturating_sub(self.target as usize);
        let copies: Vec<_> = self.current().map(|w| (w.slot, w.unit.run().map(|run| run.started))).collect();
        for slot in slots::oldest(copies, surplus) {
            let index = self.workers.iter().position(|w| w.role == Role::Current && w.slot == slot);
            self.dismiss(now, ids, index.expect("the slot was just listed"));
        }
        self.forget_gone();
    }

    /// Drops those that have left.
    pub(super) fn forget_gone(&mut self) {
        self.workers.retain(|worker| worker.role != Role::Leaving || worker.unit.run().is_some());
    }

    pub(super) fn current(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.role == Role::Current)
    }

    pub(super) fn add(
        &mut self,
        now: Monotonic,
        ids: &mut RunIds,
        slot: u32,
        generation: u64,
        role: Role,
        settings: Arc<Settings>,
    ) {
        let unit = Unit::new();
        let heartbeat = Heartbeat::default();
        let worker =
            Worker { slot, generation, role, settings, unit, status_text: None, heartbeat, look_at: None };
        self.workers.push(worker);
        let index = self.workers.len() - 1;
        self.drive(now, ids, index, false, Unit::start);
    }

    /// Asks one worker to leave in its own time.
    pub(super) fn dismiss(&mut self, now: Monotonic, ids: &mut RunIds, index: usize) {
        let ladder = self.workers[index].settings.ladder(Pace::Graceful);
        self.workers[index].role = Role::Leaving;
        self.drive(now, ids, index, false, |unit, turn, _| unit.stop(turn, ladder));
    }

    /// How long the most patient of those that are there may take to leave.
    #[must_use]
    pub fn longest_drain(&self) -> Duration {
        self.workers.iter().map(|worker| worker.settings.policy.stop.timeout).max().unwrap_or_default()
    }
}
