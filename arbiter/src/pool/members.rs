//! How many there are: starting, scaling, stopping.

use super::{Lifetime, Pool, PoolAction, Role, Settings, Worker, subject};
use proto::control::EventKind;
use proto::link::Pace;
use std::sync::Arc;
use std::time::Duration;
use supervise::{Action, Input, Monotonic, RunId, RunIds, Unit, slots};

impl Pool {
    /// Starts the first generation.
    pub fn start(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.started = true;
        self.first_generation = Some(self.generation);
        self.settle(now, ids);
    }

    /// Asks all workers to leave in good order, for as long as [`Pool::bring_back`] is not called: none is
    /// started meanwhile, and a replacement under way is given up. How many there should be stays known.
    pub fn withdraw(&mut self, now: Monotonic, ids: &mut RunIds) {
        self.withdrawn = true;
        self.abandon_rollout(now, ids);
        self.dismiss_all(now, ids, |worker| worker.role == Role::Current);
        self.settle(now, ids);
    }

    /// Starts again what was withdrawn. Returns whether anything was.
    pub fn bring_back(&mut self, now: Monotonic, ids: &mut RunIds) -> bool {
        let was = std::mem::take(&mut self.withdrawn);
        self.settle(now, ids);
        was
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
        self.abandon_recycling(now, ids);
        for index in 0..self.workers.len() {
            let ladder = self.workers[index].settings.ladder(pace);
            self.workers[index].role = Role::Leaving;
            self.drive(now, ids, index, false, |unit, turn, _| unit.stop(turn, ladder));
        }
        self.settle(now, ids);
    }

    /// Starts what is missing of the target.
    pub(super) fn fill(&mut self, now: Monotonic, ids: &mut RunIds) {
        let may = self.started && self.stopping.is_none() && !self.withdrawn;
        let Some(settings) = self.settings.clone().filter(|_| may) else { return };
        let missing = (self.target as usize).saturating_sub(self.current().count());
        let used = self.workers.iter().filter(|w| w.role != Role::Leaving).map(|w| w.slot);
        let free = slots::lowest_free_of(used, missing);
        let generation = self.generation;
        for slot in free {
            self.add(now, ids, slot, generation, Role::Current, Arc::clone(&settings));
        }
    }

    /// Asks what is over the target to leave, the oldest first.
    pub(super) fn shrink(&mut self, now: Monotonic, ids: &mut RunIds) {
        let surplus = self.current().count().saturating_sub(self.target as usize);
        let copies: Vec<_> = self.current().map(|w| (w.slot, w.unit.run().map(|run| run.started))).collect();
        for slot in slots::oldest(copies, surplus) {
            let index = self.workers.iter().position(|w| w.role == Role::Current && w.slot == slot);
            let index = index.expect("the slot was just listed");
            if let Some(pid) = self.workers[index].unit.run().and_then(|run| run.pid) {
                self.happened.push((subject(slot), EventKind::Reap { pid }));
            }
            self.dismiss(now, ids, index);
        }
        self.forget_gone();
    }

    /// Drops those that have left, and will not come back as they were.
    pub(super) fn forget_gone(&mut self) {
        self.workers.retain(|worker| {
            let stays_away = worker.role == Role::Leaving || worker.superseded;
            !stays_away || worker.unit.run().is_some()
        });
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
        let heartbeat = supervise::Heartbeat::default();
        self.workers.push(Worker {
            slot,
            generation,
            role,
            settings,
            unit,
            last_run: None,
            status_text: None,
            heartbeat,
            lifetime: Lifetime::default(),
            look_at: None,
            owes_reopening: false,
            superseded: false,
            held: false,
            signalled: None,
        });
        let index = self.workers.len() - 1;
        self.drive(now, ids, index, false, Unit::start);
    }

    /// A run's process is held back until something else is over. Its time begins when it has one.
    pub fn hold(&mut self, run: RunId) {
        if let Some(index) = self.find(run) {
            self.workers[index].held = true;
        }
    }

    /// A worker that was held back has a process, or will have none.
    pub(super) fn let_go(&mut self, now: Monotonic, index: usize, input: &Input) {
        let worker = &mut self.workers[index];
        if std::mem::take(&mut worker.held) && matches!(input, Input::Spawned { .. }) {
            worker.heartbeat = super::heartbeat::of_new_run(&worker.settings.spec, now);
        }
    }

    /// An end by the signal that an operator has just sent was asked for.
    pub(super) fn notice_signalled(&mut self, now: Monotonic, index: usize, input: &Input) {
        let worker = &mut self.workers[index];
        let Input::Exited { exit, .. } = input else { return };
        if worker.signalled.take().is_some_and(|(signal, at)| exit.status.is_by(signal, now.since(at))) {
            let settings = Arc::clone(&worker.settings);
            worker.unit.ends_as_asked(now, &settings.policy);
        }
    }

    /// Asks one worker to leave in its own time.
    pub(super) fn dismiss(&mut self, now: Monotonic, ids: &mut RunIds, index: usize) {
        let ladder = self.workers[index].settings.ladder(Pace::Graceful);
        self.workers[index].role = Role::Leaving;
        self.drive(now, ids, index, false, |unit, turn, _| unit.stop(turn, ladder));
    }

    /// Sends the workers that have a signal for it that signal, those that leave included: they write logs,
    /// too. One that is starting gets it when it is ready.
    pub fn reopen_logs(&mut self) {
        for index in 0..self.workers.len() {
            self.reopen_log_of(index);
        }
    }

    pub(super) fn reopen_log_of(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let Some(signal) = worker.settings.spec.reopen_signal else { return };
        let Some(run) = worker.unit.run().filter(|run| run.exit.is_none()) else { return };
        worker.owes_reopening = run.ready_at.is_none();
        if !worker.owes_reopening {
            let action = Action::Signal { run: run.id, signal, group: false };
            self.actions.push(PoolAction::Unit(action));
        }
    }

    /// How long the most patient of those that are there may take to leave.
    #[must_use]
    pub fn longest_drain(&self) -> Duration {
        self.workers.iter().map(|worker| worker.settings.policy.stop.timeout).max().unwrap_or_default()
    }
}
