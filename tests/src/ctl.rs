//! Programs that run to their end.

use crate::wait::wait_for;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// What a program that has ended said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// It cannot be started, or does not end in time.
    #[must_use]
    pub fn of(mut command: Command, patience: Duration) -> Self {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let mut ended = false;
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let status = wait_for(&format!("the end of {command:?}"), patience, String::new, || {
                child.try_wait().expect("a child can be waited for")
            });
            ended = true;
            status
        }));
        if !ended {
            // It is our own child and has not been waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
        match status {
            Ok(status) => Self {
                code: status.code().unwrap_or(-1),
                stdout: stdout.join().unwrap_or_default(),
                stderr: stderr.join().unwrap_or_default(),
            },
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// The answer as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// Asserts that it failed as programs have to: with this code, one line on standard error, nothing on
    /// standard output. Returns the line. What was told while it was waited for is no error.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn failed_with(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let mut lines = self.stderr.lines().filter(|line| !line.starts_with("arbiterctl: waiting: "));
        let line = lines.next().unwrap_or_else(|| panic!("it says nothing: {self:?}"));
        assert_eq!(lines.next(), None, "{self:?}");
        line
    }
}

/// Reads a pipe to its end beside the caller.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
