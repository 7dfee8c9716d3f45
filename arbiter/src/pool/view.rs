//! The pool as `status` shows it, and as requests address it.

use super::{Pool, Role, Worker};
use proto::control::{Clocks, ProcessStatus, TargetResult, WorkerStatus, WorkersStatus};
use supervise::{RunId, State};

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

    /// How a run ended before the current one, for the log.
    #[must_use]
    pub fn unit_of(&self, run: RunId) -> Option<&supervise::Unit> {
        Some(&self.workers[self.find(run)?].unit)
    }

    /// The live processes of `slot`, or all of them, each with what a signal to it is answered with.
    pub fn signalled(&self, slot: Option<u32>) -> impl Iterator<Item = (RunId, TargetResult)> + '_ {
        self.workers.iter().filter(move |worker| slot.is_none_or(|slot| worker.slot == slot)).filter_map(
            |worker| {
                let run = worker.unit.run()?;
                let result = TargetResult {
                    name: "workers".into(),
                    slot: Some(worker.slot),
                    state: worker.unit.state(),
                    pid: Some(run.pid?),
                    changed: true,
                    message: "signal sent".into(),
                    failed: false,
                };
                Some((run.id, result))
            },
        )
    }
}
