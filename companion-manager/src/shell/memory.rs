//! How much memory companions use ([`sys::measurer`]).

use super::{Shell, Source, now};
use crate::table::Input;
use std::io;
use supervise::Monotonic;
use supervise::recycling::Measured;
use supervise::signal::SIGKILL;
use sys::children::Children;
use sys::measurer::{self, Doubtful, Job, Sizes};
use sys::reactor::Interest;

/// A measurement under way: one at a time.
pub(super) struct Measuring {
    /// The child that measures.
    child: Children<()>,
    /// `None` once it has taken too long and is only waited for.
    job: Option<(Job, Monotonic)>,
}

impl Measuring {
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.job.as_ref().map(|(_, deadline)| *deadline)
    }

    /// Whether the child is this process.
    pub(super) fn is(&self, pid: i32) -> bool {
        self.child.key_of(pid).is_some()
    }
}

impl Shell {
    /// Resident sizes are read at once; where one is above its limit, shared pages may be the reason.
    pub(super) fn measure(&mut self, processes: Vec<Measured>) {
        let (known, doubtful) = measurer::resident(processes);
        self.weigh(known);
        if doubtful.is_empty() || self.measuring.is_some() {
            return;
        }
        match self.start_measurer(&doubtful) {
            Ok(measuring) => self.measuring = Some(measuring),
            Err(error) => {
                tracing::warn!("memory cannot be measured: {error}: resident sizes count instead");
                self.weigh(measurer::as_resident(doubtful));
            }
        }
    }

    fn start_measurer(&self, doubtful: &[Doubtful]) -> io::Result<Measuring> {
        let job = Job::start("companion-manager", doubtful)?;
        let (mut child, spawned) = (Children::new(), job.spawned());
        child.insert((), spawned.pid, spawned.pidfd.try_clone()?);
        self.reactor.register(&spawned.pidfd, Source::Measurer.token(), Interest::READ)?;
        Ok(Measuring { child, job: Some((job, now() + measurer::TIMEOUT)) })
    }

    /// The child that measures has ended.
    pub(super) fn measurer_ended(&mut self) {
        let Some(mut measuring) = self.measuring.take() else { return };
        if let Some(pidfd) = measuring.child.get(()) {
            let _ = self.reactor.deregister(&pidfd);
        }
        if let Err(error) = measuring.child.reap(()) {
            tracing::error!("the process that measures memory cannot be reaped: {error}");
        }
        if let Some((job, _)) = measuring.job {
            self.weigh(job.sizes());
        }
    }

    pub(super) fn end_late_measurer(&mut self) {
        let Some(measuring) = &mut self.measuring else { return };
        let Some((job, _)) = measuring.job.take_if(|(_, deadline)| *deadline <= now()) else { return };
        // Its end is still to come.
        let _ = measuring.child.signal_group((), SIGKILL);
        tracing::warn!("measuring memory took more than {} s", measurer::TIMEOUT.as_secs());
        self.weigh(job.sizes());
    }

    fn weigh(&mut self, sizes: Sizes) {
        for (run, bytes) in sizes {
            self.table.handle(Input::Weighed { run, bytes }, now());
        }
    }
}
