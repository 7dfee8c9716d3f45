//! How much memory processes use: what is cheap to read first, and what is dear only where that is too much.

use std::io;

use supervise::RunId;
use supervise::recycling::Measured;

use crate::spawn::Spawned;
use crate::usage::{self, Usage};

/// How long measuring may take.
pub const TIMEOUT: std::time::Duration = usage::TIMEOUT;

/// Sizes in bytes, by run.
pub type Sizes = Vec<(RunId, u64)>;

/// A process of which shared pages may be the reason that its resident size is above its limit.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful {
    run: RunId,
    pid: i32,
    resident: u64,
}

/// Reads the resident sizes: those that are within their limits, and the others, which want a closer look.
#[must_use]
pub fn resident(measured: Vec<Measured>) -> (Sizes, Vec<Doubtful>) {
    let (mut known, mut doubtful) = (Vec::new(), Vec::new());
    for Measured { run, pid, limit } in measured {
        let Some(stat) = crate::procfs::stat(pid) else { continue };
        let resident = stat.rss_pages * crate::process::page_size();
        if resident > limit {
            doubtful.push(Doubtful { run, pid, resident });
        } else {
            known.push((run, resident));
        }
    }
    (known, doubtful)
}

/// The resident sizes, where no better are to be had.
pub fn as_resident(doubtful: impl IntoIterator<Item = Doubtful>) -> Sizes {
    doubtful.into_iter().map(|one| (one.run, one.resident)).collect()
}

/// A child that measures, and what it is asked about.
#[derive(Debug)]
pub struct Job {
    child: usage::Job,
    doubtful: Vec<Doubtful>,
}

impl Job {
    /// Starts a child that measures these processes: the daemon's own program, under its `name`.
    ///
    /// # Errors
    /// No process or memory is to be had.
    pub fn start(name: &str, doubtful: &[Doubtful]) -> io::Result<Self> {
        let child = usage::Job::start(name, doubtful.iter().map(|one| one.pid))?;
        Ok(Self { child, doubtful: doubtful.to_vec() })
    }

    /// The child.
    #[must_use]
    pub fn spawned(&self) -> &Spawned {
        &self.child.spawned
    }

    /// The sizes as far as the child has come, resident ones where it could read no better.
    #[must_use]
    pub fn sizes(self) -> Sizes {
        let found = self.child.result();
        let size = |one: &Doubtful| found.get(&one.pid).map_or(one.resident, Usage::memory);
        self.doubtful.iter().map(|one| (one.run, size(one))).collect()
    }
}
