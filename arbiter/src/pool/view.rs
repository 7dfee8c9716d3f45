//! The pool as `status` shows it, and as requests address it.

use super::{Pool, Role, Worker};
use proto::control::{Clocks, ProcessStatus, TargetResult, WorkerStatus, WorkersStatus};
use std::time::Duration;
use supervise::{Monotonic, Phase, RunId, State};

/// One worker, as the set sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its slot.
    pub slot: u32,
    /// Its generation.
    pub generation: u64,
    /// Its place in the slot.
    pub role: Role,
    /// Whether it is ready.
    pub ready: bool,
    /// Its run, while there is one.
    pub run: Option<RunId>,
}

impl Worker {
    /// As log lines name it.
    pub(super) fn name(&self) -> String {
        format!("worker {} (generation {})", self.slot, self.generation)
    }
}

impl Pool {
    /// Every worker that is kept, tried or leaving, in no order.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.workers.iter().map(|worker| Member {
            slot: worker.slot,
            generation: worker.generation,
            role: worker.role,
            ready: worker.unit.is_ready(),
            run: worker.unit.run().map(|run| run.id),
        })
    }

    /// Why the worker that serves `slot`, or is to, has no process for now, if it has failed.
    #[must_use]
    pub fn failure_in(&self, slot: u32) -> Option<String> {
        let worker = self.current().find(|worker| worker.slot == slot)?;
        matches!(worker.unit.phase(), Phase::Backoff { .. }).then(|| worker.unit.lasting_reason())?
    }

    /// Whether a worker is to serve `slot` and is not ready.
    #[must_use]
    pub fn awaits(&self, slot: u32) -> bool {
        self.current().any(|worker| worker.slot == slot && !worker.unit.is_ready())
    }

    /// Whether nothing is left of a run that is to be waited for.
    #[must_use]
    pub fn has_left(&self, run: RunId) -> bool {
        self.find(run).is_none_or(|index| self.workers[index].unit.is_settled())
    }

    /// Every worker, by slot and generation; of those that have not been started, what they wait for.
    #[must_use]
    pub fn status(&self, clocks: Clocks, waiting_for: Option<&str>) -> WorkersStatus {
        let mut processes: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let text = worker.status_text.clone();
                let mut process = ProcessStatus::of(&worker.unit, worker.slot, text, clocks);
                process.reason = worker.unit.lasting_reason();
                if worker.held {
                    process.reason = Some("waiting for the hook pre_fork to be over".into());
                }
                let heartbeat_age = worker.heartbeat.age(clocks.now);
                WorkerStatus { generation: worker.generation, heartbeat_age, process }
            })
            .collect();
        processes.sort_by_key(|worker| (worker.process.slot, worker.generation));
        if let Some(waiting_for) = waiting_for {
            processes = (1..=self.target).map(|slot| self.waiting(slot, waiting_for, clocks)).collect();
        }
        WorkersStatus { target: self.target, configured: self.configured, processes }
    }

    /// How long until workers are treated more harshly, by their pids.
    pub fn escalations(&self, now: Monotonic) -> Vec<(i32, Duration)> {
        let in_time = |worker: &Worker| Some((worker.unit.run()?.pid?, worker.unit.escalates_in(now)?));
        self.workers.iter().filter_map(in_time).collect()
    }

    fn waiting(&self, slot: u32, waiting_for: &str, clocks: Clocks) -> WorkerStatus {
        let mut process = ProcessStatus::of(&supervise::Unit::new(), slot, None, clocks);
        process.state = State::Starting;
        process.reason = Some(format!("waiting for {waiting_for}"));
        WorkerStatus { generation: self.generation, heartbeat_age: None, process }
    }

    /// A run's worker as log lines name it.
    #[must_use]
    pub fn name_of(&self, run: RunId) -> Option<String> {
        Some(self.workers[self.find(run)?].name())
    }

    /// Whom a line of the log is about, which begins with the worker's name: its slot, and its process where
    /// no other worker has that name.
    #[must_use]
    pub fn subject_of(&self, line: &str) -> Option<(u32, Option<i32>)> {
        let named = || self.workers.iter().filter(|worker| line.starts_with(&worker.name()));
        let mut runs = named().map(|worker| worker.unit.run().and_then(|run| run.pid));
        let pid = runs.next().flatten().filter(|_| runs.next().is_none());
        named().next().map(|worker| (worker.slot, pid))
    }

    /// How a run ended before the current one, for the log.
    #[must_use]
    pub fn unit_of(&self, run: RunId) -> Option<&supervise::Unit> {
        Some(&self.workers[self.find(run)?].unit)
    }

    /// The live processes of `slot`, or all of them, which are about to get `signal`, each with what that is answered
    /// with.
    pub fn signalled(
        &mut self,
        slot: Option<u32>,
        signal: i32,
        now: Monotonic,
    ) -> impl Iterator<Item = (RunId, TargetResult)> + '_ {
        self.workers.iter_mut().filter(move |worker| slot.is_none_or(|slot| worker.slot == slot)).filter_map(
            move |worker| {
                let run = worker.unit.run()?;
                run.pid?;
                worker.signalled = Some((signal, now));
                let result = TargetResult {
                    name: "workers".into(),
                    slot: Some(worker.slot),
                    state: worker.unit.state(),
                    pid: Some(run.pid?),
                    changed: true,
                    message: format!("{} sent", supervise::signal_label(signal)),
                    failed: false,
                };
                Some((run.id, result))
            },
        )
    }
}
