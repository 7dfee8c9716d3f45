//! Starting a process.

use super::{Shell, Source, captures, now};
use crate::table::{Input, Key, Slot, shown};
use proto::codec;
use proto::link::{Channel, OutputStream, ToArbiter};
use proto::spec::{CompanionSpec, Output, ProcessSpec, Stdin};
use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use supervise::RunId;
use sys::launch::{Launch, Place, Program};
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
    Program::of(&spec.process, []).describe(SpawnFailure { stage: Stage::from_code(stage), errno })
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
        let process = process(spec, companion.slots.get(&key.slot).map(Box::as_ref));
        let mut sink = None;
        if !captures::streams(spec).is_empty() {
            sink = Some(self.sink_of(companion, key.slot)?);
        }
        let pipes = captures::pipes(spec);
        let pipes = pipes.map_err(|error| format!("a pipe for its output cannot be made: {error}"))?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let outputs = outputs(spec, &pipes, [stdout.as_fd(), stderr.as_fd()], self.null.as_fd());
        let path = notify_path(&self.boot.notify_directory, run);
        let is_prepared = self.table.is_prepared(key.companion);
        let control_socket = if is_prepared { &self.candidate_socket } else { &self.boot.control_socket };
        let listen = match &spec.listen {
            None => None,
            Some(_) => {
                let socket = self.sockets.of(is_prepared, &spec.name);
                Some((
                    spec.name.as_str(),
                    socket.ok_or("arbiter has not handed over the socket it listens on")?,
                ))
            }
        };
        let is_oneoff = companion.slots.get(&key.slot).is_some_and(|slot| slot.oneoff.is_some());
        // Nobody could send an extra process anything, and it would wait for an end that never comes.
        let inputs = if is_oneoff { Vec::new() } else { input_ends(spec)? };
        let stdin = inputs.iter().find(|input| input.channel == Channel::Stdin);
        let variables = self.sockets.variables(is_prepared);
        let launch = Launch {
            spec: &process,
            inherited: &self.environment,
            place: Place {
                arbiter: self.boot.arbiter,
                name: &spec.name,
                slot: shown(key.slot),
                generation: self.master.arbiter.generation,
                control_socket: control_socket.as_deref(),
            },
            variables: variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
            listeners: Vec::new(),
            listen,
            streams: inputs.iter().filter_map(NewInput::stream).collect(),
            stdin: stdin.map_or(self.null.as_fd(), |input| input.theirs.as_fd()),
            outputs,
            notify_socket: Some(&path),
            watchdog: (!spec.watchdog.is_zero()).then_some(spec.watchdog),
            nofile: self.boot.nofile,
            // Companions outlive the manager.
            parent_death_signal: None,
            letter: Some(Letter {
                socket: self.link.as_fd(),
                born: letter(&ToArbiter::Born {
                    run,
                    inputs: inputs.iter().map(|input| input.channel.clone()).collect(),
                    captured: captures::streams(spec),
                }),
                failed: letter(&ToArbiter::Unborn { run, stage: 0, errno: 0 }),
                failed_stage_offset: STAGE_AT,
                failed_errno_offset: ERRNO_AT,
                send: inputs
                    .iter()
                    .map(|input| input.ours.as_fd())
                    .chain(pipes.iter().map(|pipe| pipe.read.as_fd()))
                    .collect(),
            }),
        };
        let (command, program) = launch.command().map_err(|error| error.to_string())?;
        let spawned =
            sys::spawn::spawn(&command).map_err(|error| format!("cannot start {}: {error}", program.name))?;
        drop(command);
        let name = spec.name.clone();
        let token = Source::Progress(run).token();
        if let Err(error) = self.reactor.register(&spawned.status, token, Interest::READ) {
            tracing::error!("run {run}: its start cannot be followed: {error}");
        }
        self.processes.starting.insert(run, (spawned.status, program));
        self.processes.children.insert(run, spawned.pid, spawned.pidfd);
        self.watch(run);
        for NewInput { channel, ours, .. } in inputs {
            let place = (run, channel);
            self.inputs.insert(place.clone(), ours);
            self.begin_stream(&place, key);
        }
        if let Some(sink) = sink {
            self.capture(run, (&name, key.slot), &sink, pipes);
        }
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

/// How the process of a slot is run: as its companion says, and for a one-off with what was asked for.
fn process<'a>(spec: &'a CompanionSpec, slot: Option<&Slot>) -> Cow<'a, ProcessSpec> {
    match slot.and_then(|slot| slot.oneoff.as_ref()?.request.as_ref()) {
        None => Cow::Borrowed(&spec.process),
        Some(request) => {
            let mut process = spec.process.clone();
            process.command.extend(request.args.iter().cloned());
            process.env.extend(request.env.iter().cloned());
            Cow::Owned(process)
        }
    }
}

/// Where both output streams of a process go: what is captured to its pipes, what is inherited to ours.
fn outputs<'a>(
    spec: &'a CompanionSpec,
    pipes: &'a [captures::NewPipe],
    [stdout, stderr]: [BorrowedFd<'a>; 2],
    null: BorrowedFd<'a>,
) -> [sys::launch::Output<'a>; 2] {
    let captured = |stream| pipes.iter().find(|pipe| pipe.stream == stream).map(|pipe| pipe.write.as_fd());
    let out = output(&spec.stdout, captured(OutputStream::Stdout).unwrap_or(stdout), null);
    let err = match &spec.stderr {
        // Together with standard output; a file is opened once for each, to append.
        None | Some(Output::Stdout) if spec.stdout != Output::Inherit => out,
        None | Some(Output::Stdout) => sys::launch::Output::Open(stderr),
        Some(own) => output(own, captured(OutputStream::Stderr).unwrap_or(stderr), null),
    };
    [out, err]
}

/// A way into a process to be.
struct NewInput {
    channel: Channel,
    theirs: OwnedFd,
    /// Written to without waiting.
    ours: OwnedFd,
}

impl NewInput {
    fn stream(&self) -> Option<(&str, BorrowedFd<'_>)> {
        match &self.channel {
            Channel::Stream(name) => Some((name, self.theirs.as_fd())),
            Channel::Stdin => None,
        }
    }
}

/// The ways into a process that a specification asks for.
fn input_ends(spec: &CompanionSpec) -> Result<Vec<NewInput>, String> {
    let mut inputs = Vec::new();
    if spec.stdin == Stdin::Pipe {
        let ends = sys::pipe::pair().and_then(|(theirs, ours)| {
            sys::fd::set_nonblocking(&ours, true)?;
            Ok(NewInput { channel: Channel::Stdin, theirs, ours })
        });
        inputs.push(ends.map_err(|error| format!("no pipe for its standard input: {error}"))?);
    }
    for name in &spec.streams {
        let ends = sys::stream::pair().map_err(|error| format!("no socket for its stream {name}: {error}"));
        let (ours, theirs) = ends?;
        inputs.push(NewInput { channel: Channel::Stream(name.clone()), theirs, ours });
    }
    Ok(inputs)
}

/// Where a stream of a child goes; what is inherited is ours.
pub(super) fn output<'a>(
    output: &'a Output,
    inherited: BorrowedFd<'a>,
    null: BorrowedFd<'a>,
) -> sys::launch::Output<'a> {
    match output {
        Output::Null => sys::launch::Output::Open(null),
        Output::File(path) => sys::launch::Output::File(path),
        // Captured output is given in the place of what is inherited; that of a check goes where arbiter's goes.
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
