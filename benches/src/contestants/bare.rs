//! The bare limit: a loop that brings one process back and does nothing else.

use super::Label;
use crate::process::Process;
use crate::programs::Programs;
use anyhow::Context;
use tempfile::TempDir;

/// A running bare loop.
pub struct Bare {
    // In this order: the process ends before its directory goes.
    process: Process,
    _directory: TempDir,
}

impl Bare {
    /// `how` is `vfork`, `fork` or `clone`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(programs: &Programs, how: &str, label: Option<Label<'_>>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        let argv = [programs.bare_loop.as_ref(), how.as_ref(), programs.stamp_worker.as_ref()];
        let process = Process::start(directory.path(), &argv, &Label::environment(label))?;
        Ok(Self { process, _directory: directory })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }
}
