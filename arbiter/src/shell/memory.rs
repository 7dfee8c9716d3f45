//! How much memory workers use ([`sys::measurer`]).

use super::{Role, Shell};
use crate::pool::Measured;
use supervise::{Monotonic, RunId};
use sys::measurer::{self, Doubtful, Job, Sizes};

/// A measurement under way.
#[derive(Debug)]
pub(super) struct Measuring {
    run: RunId,
    job: Job,
    deadline: Monotonic,
}

impl Measuring {
    pub(super) fn deadline(&self) -> Monotonic {
        self.deadline
    }
}

impl Shell {
    /// Resident sizes are read at once; where one is above its limit, shared pages may be the reason.
    pub(super) fn measure(&mut self, now: Monotonic, workers: Vec<Measured>) {
        let (known, doubtful) = measurer::resident(workers);
        self.weigh(now, known);
        if doubtful.is_empty() || self.measuring.is_some() {
            return;
        }
        match self.start_measurer(now, &doubtful) {
            Ok(measuring) => self.measuring = Some(measuring),
            Err(error) => {
                tracing::warn!("memory cannot be measured: {error:#}: resident sizes count instead");
                self.weigh(now, measurer::as_resident(doubtful));
            }
        }
    }

    fn start_measurer(&mut self, now: Monotonic, doubtful: &[Doubtful]) -> anyhow::Result<Measuring> {
        let run = self.master.allot_run();
        let job = Job::start("arbiter", doubtful)?;
        let pidfd = job.spawned().pidfd.try_clone()?;
        self.watch_child(run, Role::Measurer, job.spawned().pid, pidfd)?;
        Ok(Measuring { run, job, deadline: now + measurer::TIMEOUT })
    }

    /// The child that measures has ended.
    pub(super) fn measurer_ended(&mut self, now: Monotonic, run: RunId) {
        if let Some(measuring) = self.measuring.take_if(|measuring| measuring.run == run) {
            self.weigh(now, measuring.job.sizes());
        }
    }

    pub(super) fn end_late_measurer(&mut self, now: Monotonic) {
        let Some(measuring) = self.measuring.take_if(|measuring| measuring.deadline <= now) else { return };
        // It may have ended already; its exit is taken in like any other.
        let _ = self.children.signal_group(measuring.run, 9);
        tracing::warn!("measuring memory took more than {} s", measurer::TIMEOUT.as_secs());
        self.weigh(now, measuring.job.sizes());
    }

    fn weigh(&mut self, now: Monotonic, sizes: Sizes) {
        for (run, bytes) in sizes {
            self.master.worker_weighs(now, run, bytes);
        }
    }
}
