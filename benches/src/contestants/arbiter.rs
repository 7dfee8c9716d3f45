//! arbiter, with workers and companions that only sleep.

use super::{Label, ctl};
use crate::process::{Process, log_tail};
use crate::programs::Programs;
use anyhow::Context;
use std::fmt::Write;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A running arbiter.
pub struct Arbiter<'p> {
    // In this order: the process ends before its directory goes.
    process: Process,
    directory: TempDir,
    programs: &'p Programs,
}

impl<'p> Arbiter<'p> {
    /// Returns when all are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub fn start(
        programs: &'p Programs,
        workers: usize,
        companions: usize,
        label: Option<Label<'_>>,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        std::fs::write(directory.path().join("arbiter.toml"), configuration(programs, workers, companions)?)?;
        let argv = [programs.arbiter.as_ref(), "-c".as_ref(), "arbiter.toml".as_ref()];
        let mut environment = Label::environment(label);
        // Its own: another arbiter of this machine is not to be met.
        environment.push(("RUNTIME_DIRECTORY", directory.path().as_os_str()));
        let process = Process::start(directory.path(), &argv, &environment)?;
        let mut arbiter = Self { process, directory, programs };
        let (socket, ctl) = (arbiter.socket(), &programs.arbiterctl);
        let ready = || {
            let output = Command::new(ctl).arg("-s").arg(&socket).args(["status", "--check"]).output()?;
            Ok(output.status.success().then_some(()))
        };
        let waited = arbiter.process.wait_for("arbiter was ready", ready);
        waited.with_context(|| log_tail(arbiter.directory.path()))?;
        Ok(arbiter)
    }

    /// arbiter's own number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The manager's number.
    ///
    /// # Errors
    /// `status` fails or does not name it.
    pub fn manager(&self) -> anyhow::Result<i32> {
        ctl::manager(&ctl::status(self.programs, &self.socket())?)
    }

    /// The manager, and the processes of all companions, as `status` has them.
    ///
    /// # Errors
    /// `status` fails or does not name them.
    pub fn companions(&self) -> anyhow::Result<(i32, Vec<i64>)> {
        let status = ctl::status(self.programs, &self.socket())?;
        let companions = status["companions"].as_array().context("the status names no companions")?;
        let pids = companions.iter().filter_map(|one| one["processes"][0]["pid"].as_i64()).collect();
        Ok((i32::try_from(status["manager"]["pid"].as_i64().unwrap_or_default())?, pids))
    }

    /// A whole run of arbiterctl.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, words: &[&str]) -> anyhow::Result<Output> {
        ctl::run(self.programs, &self.socket(), words)
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("control.sock")
    }
}

fn configuration(programs: &Programs, workers: usize, companions: usize) -> anyhow::Result<String> {
    let worker = programs.stamp_worker.display();
    let mut text = format!(
        "name = \"bench\"\n[control]\nsocket = \"control.sock\"\n\
         [workers]\ncommand = [\"{worker}\"]\ncount = {workers}\nready = \"notify\"\n"
    );
    for number in 1..=companions {
        write!(text, "[companion.side{number}]\ncommand = [\"{worker}\", \"--stay\"]\nready = \"notify\"\n")?;
    }
    Ok(text)
}
