//! Starting a process.

use super::{Shell, Source, now};
use crate::table::{Input, Key};
use proto::codec;
use proto::link::ToArbiter;
use proto::spec::{CompanionSpec, Output};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use supervise::RunId;
use sys::launch::{Launch, Place};
use sys::reactor::Interest;
use sys::spawn::{Letter, SpawnFailure, Stage};

/// Where the stage stands in a packed [`ToArbiter::Unborn`]: behind the mark, the variant and the run.
const STAGE_AT: usize = 1 + 4 + 8;
/// Where the error number stands: behind the stage.
const ERRNO_AT: usize = STAGE_AT + 4;

/// Where a run's notify socket is.
pub(super) fn notify_path(directory: &str, run: RunId) -> PathBuf {
    Path::new(directory).join(run.to_string())
}

/// The sentence for a step at which a process failed before its exec.
pub(super) fn describe(spec: &CompanionSpec, stage: u32, errno: i32) -> String {
    let program = spec.process.command.first().map_or("its program", String::as_str);
    SpawnFailure { stage: Stage::from_code(stage), errno }.describe(program, Some(&spec.process.cwd))
}

/// A letter's bytes: it is one of the messages on the link.
fn letter(message: &ToArbiter) -> Vec<u8> {
    sys::bulk::inline(&codec::encode(message))
}

impl Shell {
    /// Starts the process of a run that arbiter has been told of.
    pub(super) fn spawn(&mut self, run: RunId, key: Key) {
        match self.try_spawn(run, key) {
            Ok(Some(pid)) => self.feed(run, supervise::Input::Spawned { pid }),
            // The slot has gone meanwhile; nobody waits for the run.
            Ok(None) => self.facts.gone.push(run),
            Err(reason) => self.not_spawned(run, reason),
        }
    }

    /// No process came into being.
    pub(super) fn not_spawned(&mut self, run: RunId, reason: String) {
        self.facts.gone.push(run);
        self.unlink_notify_socket(run);
        let reason = reason.into();
        self.table.handle(Input::Run { run, input: supervise::Input::NotSpawned { reason } }, now());
    }

    fn try_spawn(&mut self, run: RunId, key: Key) -> Result<Option<i32>, String> {
        let Some(companion) = self.table.companion(key.companion) else { return Ok(None) };
        let spec = &companion.spec;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let out = output(&spec.stdout, stdout.as_fd(), self.null.as_fd());
        let err = match &spec.stderr {
            // Together with standard output; a file is opened once for each, to append.
            None | Some(Output::Stdout) if spec.stdout != Output::Inherit => out,
            None | Some(Output::Stdout) => sys::launch::Output::Open(stderr.as_fd()),
            Some(own) => output(own, stderr.as_fd(), self.null.as_fd()),
        };
        let path = notify_path(&self.boot.notify_directory, run);
        let launch = Launch {
            spec: &spec.process,
            inherited: &self.environment,
            place: Place {
                arbiter: self.boot.arbiter,
                name: &spec.name,
                slot: key.slot,
                generation: self.master.arbiter.generation,
                control_socket: self.boot.control_socket.as_deref(),
            },
            variables: Vec::new(),
            listeners: Vec::new(),
            stdin: self.null.as_fd(),
            outputs: [out, err],
            notify_socket: Some(&path),
            watchdog: None,
            nofile: self.boot.nofile,
            // Companions outlive the manager.
            parent_death_signal: None,
            letter: Some(Letter {
                socket: self.link.as_fd(),
                born: letter(&ToArbiter::Born { run }),
                failed: letter(&ToArbiter::Unborn { run, stage: 0, errno: 0 }),
                failed_stage_offset: STAGE_AT,
                failed_errno_offset: ERRNO_AT,
                send: Vec::new(),
            }),
        };
        let (command, program) = launch.command().map_err(|error| error.to_string())?;
        let spawned =
            sys::spawn::spawn(&command).map_err(|error| format!("cannot start {}: {error}", program.name))?;
        drop(command);
        let token = Source::Progress(run).token();
        if let Err(error) = self.reactor.register(&spawned.status, token, Interest::READ) {
            tracing::error!("run {run}: its start cannot be followed: {error}");
        }
        self.processes.starting.insert(run, (spawned.status, program));
        self.processes.children.insert(run, spawned.pid, spawned.pidfd);
        self.watch(run);
        Ok(Some(spawned.pid))
    }

    /// Removes a run's notify socket, which nobody writes to any more.
    pub(super) fn unlink_notify_socket(&self, run: RunId) {
        let path = notify_path(&self.boot.notify_directory, run);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{} cannot be removed: {error}", path.display()),
        }
    }
}

/// Where a stream of a child goes; what is inherited is ours.
fn output<'a>(
    output: &'a Output,
    inherited: BorrowedFd<'a>,
    null: BorrowedFd<'a>,
) -> sys::launch::Output<'a> {
    match output {
        Output::Null => sys::launch::Output::Open(null),
        Output::File(path) => sys::launch::Output::File(path),
        // Captured output needs a reader that this version does not have: it goes where arbiter's goes.
        Output::Inherit | Output::Capture | Output::Stdout => sys::launch::Output::Open(inherited),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_stage_and_error_number_in_a_letter_are_where_they_are_said_to_be() {
        let letter = |stage, errno| letter(&ToArbiter::Unborn { run: RunId(0x0102_0304), stage, errno });
        let mut bytes = letter(0, 0);
        bytes[STAGE_AT..STAGE_AT + 4].copy_from_slice(&7u32.to_le_bytes());
        bytes[ERRNO_AT..ERRNO_AT + 4].copy_from_slice(&(-2i32).to_le_bytes());
        assert_eq!(bytes, letter(7, -2));
    }
}
