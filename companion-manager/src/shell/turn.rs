//! One turn: what changed goes out, then what was decided is done.

use super::{Shell, now};
use crate::capture::SinkSpec;
use crate::table::{Action, Asker, Level, shown};
use proto::control::{Event, Reply, Response};
use proto::link::{SpawnIntent, ToArbiter, Transaction};
use std::os::fd::OwnedFd;
use supervise::RunId;
use sys::reactor::Interest;

/// What stands behind messages in the outbox.
#[derive(Debug)]
pub(super) enum Effect {
    /// Something that the table decided.
    Act(Action),
    /// The end of this run's main process has been told: it may be reaped.
    Told(RunId),
    /// No process could be prepared for this run.
    Unprepared(RunId, String),
    /// arbiter holds the memory file for this output.
    KeepTail(Box<SinkSpec>, OwnedFd),
    /// arbiter holds the memory file for this stream.
    KeepStream(String, OwnedFd),
    /// A client is answered.
    Answer(Asker, Reply),
    /// Those who watch are told of these.
    Publish(Vec<Event>),
}

impl Shell {
    /// Everything that follows from what the table was told last, until nothing does, the link is full, or the
    /// slice is over: what is left is done in the next ones, in its order.
    pub(super) fn turn(&mut self) {
        loop {
            self.take_incoming();
            self.collect();
            if !self.perform_all() && self.server_is_quiet() {
                break;
            }
        }
        self.tell_lost();
        self.await_room();
    }

    /// Performs what may be done. What follows from all of it goes into one transaction. Whether there was anything.
    fn perform_all(&mut self) -> bool {
        let mut any = false;
        while now() < self.slice_ends {
            match self.outbox.next(&self.link) {
                Ok(Some(effect)) => {
                    sys::fail_point::reach("manager-told");
                    self.perform(effect);
                    sys::fail_point::reach("manager-acted");
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!("the link: {error}");
                    self.orphan();
                }
            }
            any = true;
        }
        any
    }

    /// Whether there is something to do that waits for nothing but its turn.
    pub(super) fn is_behind(&self) -> bool {
        !self.outbox.is_empty() && !self.outbox.is_blocked()
    }

    /// Asks to be woken when the link has room, while that is what everything waits for.
    fn await_room(&mut self) {
        let wanted = self.outbox.is_blocked();
        if wanted == self.awaiting_room {
            return;
        }
        let interest = if wanted { Interest::BOTH } else { Interest::READ };
        match self.reactor.modify(&self.link, super::Source::Link.token(), interest) {
            Ok(()) => self.awaiting_room = wanted,
            Err(error) => tracing::error!("cannot wait for the link: {error}"),
        }
    }

    /// Puts what came out of the table into the outbox: first what is told, then what is done.
    fn collect(&mut self) {
        let drained = self.table.drain();
        let mut transaction = std::mem::take(&mut self.facts);
        transaction.records.splice(0..0, drained.records);
        if transaction.records.iter().any(|record| record.content.is_none()) {
            self.refresh_captures();
            self.refresh_streams();
        }
        let mut sockets = Vec::new();
        let mut after: Vec<Effect> = Vec::new();
        let mut said: Vec<ToArbiter> = Vec::new();
        self.number(drained.happened, &mut transaction, &mut after);
        for action in drained.actions {
            match action {
                Action::Spawn { run, key, replaces } => {
                    let Some(companion) = self.table.companion(key.companion) else { continue };
                    match spawn_socket(&self.boot.notify_directory, run, companion) {
                        Ok(socket) => {
                            let companion = companion.spec.name.clone();
                            sockets.push(socket);
                            let slot = shown(key.slot);
                            transaction.spawns.push(SpawnIntent { run, companion, slot, replaces });
                            after.push(Effect::Act(action));
                        }
                        Err(error) => {
                            let text = format!("its notify socket cannot be made: {error}");
                            after.push(Effect::Unprepared(run, text));
                        }
                    }
                }
                Action::Say { level, text } => self.say(level, &text),
                Action::Reply { to, reply } => self.settle(to, reply, &mut transaction, &mut after),
                // What nothing keeps must not pile up before a link that is full.
                Action::Tell(ToArbiter::CompanionEvent(_)) if self.outbox.is_blocked() => {}
                Action::Tell(message) => said.push(message),
                Action::Signal { .. }
                | Action::Kill { .. }
                | Action::Look { .. }
                | Action::Probe(_)
                | Action::Measure(_) => {
                    after.push(Effect::Act(action));
                }
            }
        }
        self.send(transaction, sockets, after, said);
    }

    /// Writes a line that may be about a companion.
    fn say(&self, level: Level, text: &str) {
        let (companion, pid) = self.table.subject_of(text).unzip();
        let pid = pid.flatten();
        match level {
            Level::Error => tracing::error!(companion, pid, "{text}"),
            Level::Warn => tracing::warn!(companion, pid, "{text}"),
            Level::Info => tracing::info!(companion, pid, "{text}"),
        }
    }

    /// An answer: kept by arbiter first where it names a token.
    pub(super) fn settle(
        &mut self,
        to: Asker,
        reply: Reply,
        transaction: &mut Transaction,
        after: &mut Vec<Effect>,
    ) {
        let told = self.outcomes.settle(to, &reply, transaction);
        after.extend(told.into_iter().map(|(asker, reply)| Effect::Answer(asker, reply)));
        after.push(Effect::Answer(to, reply));
    }

    pub(super) fn send(
        &mut self,
        transaction: Transaction,
        sockets: Vec<std::os::fd::OwnedFd>,
        after: Vec<Effect>,
        said: Vec<ToArbiter>,
    ) {
        let ends: Vec<RunId> = transaction.exits.iter().map(|(run, _)| *run).collect();
        if !transaction.is_empty() {
            self.outbox.tell(transaction, sockets);
        }
        for run in ends {
            self.outbox.then(Effect::Told(run));
        }
        for message in said {
            self.outbox.say(&message);
        }
        for effect in after {
            self.outbox.then(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Act(Action::Spawn { run, key, .. }) => self.spawn(run, key),
            Effect::Act(Action::Signal { run, signal, group }) => self.signal(run, signal, group),
            Effect::Act(Action::Kill { run }) => self.kill(run),
            Effect::Act(Action::Measure(processes)) => self.measure(processes),
            Effect::Act(Action::Look { run }) => self.look(run),
            Effect::Act(Action::Probe(step)) => self.act_on_probe(step),
            Effect::Act(Action::Reply { .. } | Action::Tell(_) | Action::Say { .. }) => {
                unreachable!("these are not put into the outbox")
            }
            Effect::Told(run) => self.end_told(run),
            Effect::KeepTail(sink, file) => self.captures.keep_tail(&self.reactor, *sink, file),
            Effect::KeepStream(name, file) => self.keep_stream(name, file),
            Effect::Publish(events) => self.publish(&events),
            Effect::Unprepared(run, reason) => self.not_spawned(run, reason),
            Effect::Answer(to, reply) => {
                self.server.answer(to.client, &Response { id: to.id, reply }, &self.reactor);
            }
        }
    }
}

/// The socket over which a new process can tell that it is ready. arbiter reads it.
fn spawn_socket(
    directory: &str,
    run: RunId,
    companion: &crate::table::Companion,
) -> std::io::Result<std::os::fd::OwnedFd> {
    let path = super::spawn::notify_path(directory, run);
    let owner = companion.spec.process.identity.as_ref().map(|identity| identity.uid);
    Ok(sys::notify::NotifySocket::bind(&path, owner)?.into_fd())
}
