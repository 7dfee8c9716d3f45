//! The peer: gunicorn with sync workers, as it is installed, its control socket included.

use super::Label;
use crate::process::{Process, log_tail};
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Its configuration: a hook that takes the time first thing in a forked worker.
const HOOKS: &str = include_str!("../../peer/hooks.py");
/// The least application there is.
const APPLICATION: &str = include_str!("../../peer/app.py");

/// A running gunicorn.
pub struct Gunicorn<'p> {
    // In this order: the process ends before its directory goes.
    process: Process,
    directory: TempDir,
    programs: &'p Programs,
}

impl<'p> Gunicorn<'p> {
    /// Returns when its control socket answers, which it opens after its first workers.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(programs: &'p Programs, workers: usize, label: Option<Label<'_>>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        std::fs::write(directory.path().join("hooks.py"), HOOKS)?;
        std::fs::write(directory.path().join("app.py"), APPLICATION)?;
        let workers = workers.to_string();
        let words = [
            "--config",
            "hooks.py",
            "--bind",
            "unix:listener",
            "--control-socket",
            "control.sock",
            "--workers",
            &workers,
            "app",
        ];
        let argv: Vec<&OsStr> =
            std::iter::once(programs.gunicorn.as_ref()).chain(words.iter().map(OsStr::new)).collect();
        let process = Process::start(directory.path(), &argv, &Label::environment(label))?;
        let mut gunicorn = Self { process, directory, programs };
        let socket = gunicorn.directory.path().join("control.sock");
        let ready = || Ok(UnixStream::connect(&socket).ok().map(drop));
        let waited = gunicorn.process.wait_for("gunicorn was ready", ready);
        waited.with_context(|| log_tail(gunicorn.directory.path()))?;
        Ok(gunicorn)
    }

    /// The master's number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// A connection to its control socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(&self) -> anyhow::Result<UnixStream> {
        Ok(UnixStream::connect(self.directory.path().join("control.sock"))?)
    }

    /// A whole run of its control client.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, words: &str) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.programs.gunicornc);
        let socket = self.directory.path().join("control.sock");
        let output = command.arg("-s").arg(socket).args(["-c", words]).output()?;
        if !output.status.success() {
            bail!("gunicornc {words}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }
}
