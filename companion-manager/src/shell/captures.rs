//! Captured output: its pipes, its memory files, and who is shown it. What moves it is in `capture`.

use super::turn::Effect;
use super::{Shell, now};
use crate::capture::{Origin, Place, Report, SinkSpec, Tail, Want};
use crate::table::{Asker, Companion};
use proto::control::{Answer, Chunk, Failure, FailureKind, LogRequest, Reply, Response};
use proto::link::{CapturedPipe, OutputStream, ToArbiter};
use proto::spec::{CompanionSpec, Output, template};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use supervise::RunId;

/// A client with so many bytes untaken is shown nothing more for now.
pub(super) const UNTAKEN_MAX: usize = 128 << 10;

/// Clients that are shown captured output.
#[derive(Debug, Default)]
pub(super) struct Readers {
    asking: BTreeMap<u64, (Asker, bool)>,
    next: u64,
}

/// A new pipe for a process's output.
pub(super) struct NewPipe {
    pub(super) stream: OutputStream,
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

/// The output streams of a companion's processes that are captured, each by itself.
pub(super) fn streams(spec: &CompanionSpec) -> Vec<OutputStream> {
    let out = (spec.stdout == Output::Capture).then_some(OutputStream::Stdout);
    let err = (spec.stderr == Some(Output::Capture)).then_some(OutputStream::Stderr);
    out.into_iter().chain(err).collect()
}

/// Pipes for a process to be.
pub(super) fn pipes(spec: &CompanionSpec) -> io::Result<Vec<NewPipe>> {
    streams(spec)
        .into_iter()
        .map(|stream| {
            let (read, write) = sys::pipe::pair()?;
            if let Some(identity) = &spec.process.identity {
                // A program that opens /dev/stdout or /dev/stderr as its own user has to be let in.
                sys::splice::give(&write, identity.uid, identity.gid)?;
            }
            Ok(NewPipe { stream, read, write })
        })
        .collect()
}

impl Shell {
    /// Where captured lines of a slot go.
    pub(super) fn sink_of(&self, companion: &Companion, slot: u32) -> Result<SinkSpec, String> {
        let spec = &companion.spec;
        let timestamps = spec.log.timestamps;
        if spec.log.file.is_empty() {
            let name = format!("memory of {}", spec.name);
            return Ok(SinkSpec { name, companion: spec.name.clone(), place: Place::Memory, timestamps });
        }
        let path = template::expand(&spec.log.file, |name| match name {
            "slot" => Some(slot.to_string()),
            "name" => Some(spec.name.clone()),
            "generation" => Some(self.master.arbiter.generation.to_string()),
            _ => self.variable(spec, name.strip_prefix("env.")?),
        });
        let path = path.map_err(|error| format!("log.file: {error}"))?;
        let place =
            Place::File { path: path.clone().into(), max_size: spec.log.max_size, keep: spec.log.keep };
        Ok(SinkSpec { name: path, companion: spec.name.clone(), place, timestamps })
    }

    fn variable(&self, spec: &CompanionSpec, name: &str) -> Option<String> {
        let set = spec.process.top_env.iter().chain(&spec.process.env).rev();
        let set = set.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let is_unset = spec.process.unset_env.iter().any(|unset| unset == name);
        let inherited = || self.environment.get(OsStr::new(name)).filter(|_| !is_unset);
        set.or_else(|| inherited().map(|value| value.to_string_lossy().into_owned()))
    }

    /// Has the pipes of a new process emptied.
    pub(super) fn capture(&mut self, run: RunId, place: (&str, u32), sink: &SinkSpec, pipes: Vec<NewPipe>) {
        for pipe in pipes {
            // The write end closes here: the process has its own.
            self.captures.take(&self.reactor, (run, pipe.stream), place, pipe.read, sink.clone());
        }
    }

    /// Goes on with what the manager before had captured. Of companions that are no more it is dropped.
    pub(super) fn adopt_captured(
        &mut self,
        pipes: Vec<(CapturedPipe, OwnedFd)>,
        tails: Vec<(String, OwnedFd)>,
    ) {
        let mut wanted: BTreeMap<String, SinkSpec> = BTreeMap::new();
        if !tails.is_empty() {
            let sinks = self.table.companions().flat_map(|(_, companion)| self.sinks_of(companion, None));
            wanted.extend(sinks.map(|sink| (sink.name.clone(), sink)));
        }
        for (name, file) in tails {
            match wanted.remove(&name) {
                Some(sink) => self.captures.keep_tail(&self.reactor, sink, file),
                None => self.outbox.say(&ToArbiter::DropTail { name }),
            }
        }
        for (pipe, end) in pipes {
            let CapturedPipe { run, stream, companion, slot } = pipe;
            match self.table.by_name(&companion).map(|known| self.sink_or_memory(known, slot)) {
                Some(sink) => {
                    self.captures.take(&self.reactor, (run, stream), (&companion, slot), end, sink);
                }
                None => self.outbox.say(&ToArbiter::Drained { run, stream }),
            }
        }
    }

    /// For output that is there already: it has to go somewhere.
    fn sink_or_memory(&self, companion: &Companion, slot: u32) -> SinkSpec {
        self.sink_of(companion, slot).unwrap_or_else(|error| {
            tracing::error!("{}: {error}: its output is kept in memory", companion.spec.name);
            let name = format!("memory of {}", companion.spec.name);
            let companion = companion.spec.name.clone();
            SinkSpec { name, companion, place: Place::Memory, timestamps: false }
        })
    }

    /// All sinks of a companion, or that of one slot.
    fn sinks_of(&self, companion: &Companion, slot: Option<u32>) -> Vec<SinkSpec> {
        if streams(&companion.spec).is_empty() {
            return Vec::new();
        }
        let slots: Vec<u32> = match slot {
            Some(slot) => vec![slot],
            // A log outlives its process: one that is stopped, or has none now, has a first slot.
            None if companion.slots.is_empty() => vec![1],
            None => companion.slots.keys().copied().collect(),
        };
        let mut sinks: Vec<SinkSpec> = Vec::new();
        for slot in slots {
            let Ok(sink) = self.sink_of(companion, slot) else { continue };
            if !sinks.contains(&sink) {
                sinks.push(sink);
            }
        }
        sinks
    }

    /// Companions have changed, or one is gone.
    pub(super) fn refresh_captures(&mut self) {
        let mut captures = std::mem::replace(&mut self.captures, crate::capture::Hand::new(TOKEN_OF_NONE));
        captures
            .refresh(&self.reactor, |name, slot| Some(self.sink_or_memory(self.table.by_name(name)?, slot)));
        let dropped = captures.drop_tails(&self.reactor, |sink| {
            let companion = self.table.by_name(&sink.companion);
            let is_memory = |companion: &Companion| companion.spec.log.file.is_empty();
            companion.is_some_and(|companion| sink.place != Place::Memory || is_memory(companion))
        });
        self.captures = captures;
        for name in dropped {
            self.outbox.say(&ToArbiter::DropTail { name });
        }
    }

    /// The moving thread has said something.
    pub(super) fn handle_captures(&mut self) {
        for report in self.captures.reports() {
            match report {
                Report::Ended(origin) => self.drained(origin),
                Report::WantsTail(name) => self.make_tail(&name),
                Report::DropsTail(name) => {
                    self.captures.forget_tail(&name);
                    self.outbox.say(&ToArbiter::DropTail { name });
                }
                Report::Piece { reader, bytes, next } => self.show(reader, bytes, next),
                Report::End { reader } => {
                    if let Some((asker, _)) = self.readers.asking.remove(&reader) {
                        self.answer(asker, Reply::Done(Answer::Done));
                    }
                }
                Report::Flushed => {}
            }
        }
    }

    fn drained(&mut self, (run, stream): Origin) {
        self.captures.ended((run, stream));
        self.outbox.say(&ToArbiter::Drained { run, stream });
    }

    /// Output will be kept in memory, once arbiter holds that.
    fn make_tail(&mut self, name: &str) {
        let Some(sink) = self.captures.sink(name).cloned() else { return };
        match Tail::create().and_then(|file| Ok((file.try_clone()?, file))) {
            Ok((theirs, ours)) => {
                self.outbox.hand_over(&ToArbiter::Tail { name: name.to_owned() }, vec![theirs]);
                self.outbox.then(Effect::KeepTail(Box::new(sink), ours));
            }
            Err(error) => tracing::error!("{}: its output waits for memory: {error}", sink.companion),
        }
    }

    fn show(&mut self, reader: u64, bytes: Vec<u8>, next: Vec<u8>) {
        let Some((asker, has_room)) = self.readers.asking.get_mut(&reader) else { return };
        *has_room = false;
        let asker = *asker;
        let reply = Reply::Chunk(Chunk::Log { bytes, next });
        self.server.answer(asker.client, &Response { id: asker.id, reply }, &self.reactor);
    }

    /// Lets those be shown more who have taken what they were shown.
    pub(super) fn serve_readers(&mut self) {
        for (reader, (asker, has_room)) in &mut self.readers.asking {
            if !*has_room && self.server.owes(asker.client) < UNTAKEN_MAX {
                *has_room = true;
                self.captures.more(&self.reactor, *reader);
            }
        }
    }

    /// A client has gone.
    pub(super) fn forget_readers(&mut self, client: u64) {
        let captures = &mut self.captures;
        let reactor = &self.reactor;
        self.readers.asking.retain(|reader, (asker, _)| {
            if asker.client == client {
                captures.leave(reactor, *reader);
            }
            asker.client != client
        });
    }

    /// `logs`.
    pub(super) fn begin_logs(&mut self, asker: Asker, request: LogRequest) {
        match self.wanted_logs(request) {
            Ok(want) => {
                self.readers.next += 1;
                let reader = self.readers.next;
                self.readers.asking.insert(reader, (asker, true));
                self.captures.read(&self.reactor, reader, want);
            }
            Err(failure) => self.answer(asker, Reply::Failed(failure)),
        }
    }

    fn wanted_logs(&self, request: LogRequest) -> Result<Want, Failure> {
        let LogRequest { name, follow, lines, after } = request;
        self.table.view(std::slice::from_ref(&name), now(), sys::clock::wall())?;
        let (full, slot) = match name.rsplit_once(':') {
            Some((full, slot)) => (full, slot.parse().ok()),
            None => (name.as_str(), None),
        };
        let Some(companion) = self.table.by_name(full) else {
            let text = format!("{name} is a pattern: logs are shown of one companion, name it");
            return Err(Failure::new(FailureKind::BadRequest, text));
        };
        if streams(&companion.spec).is_empty() {
            let text =
                format!("the output of {full} is not captured: set stdout = \"capture\" for it, or log.file");
            return Err(Failure::new(FailureKind::Refused, text));
        }
        Ok(Want { sinks: self.sinks_of(companion, slot), follow, lines, after })
    }
}

/// Of a hand that stands in for a moment: it is never registered.
const TOKEN_OF_NONE: sys::reactor::Token = sys::reactor::Token(u64::MAX);
