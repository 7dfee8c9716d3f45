//! One turn: what changed goes out, then what was decided is done.

use super::Shell;
use crate::table::{Action, Asker, Level};
use proto::control::{Reply, Response};
use proto::link::{SpawnIntent, ToArbiter, Transaction};
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
    /// A client is answered.
    Answer(Asker, Reply),
}

impl Shell {
    /// Everything that follows from what the table was told last, until nothing does or the link is full.
    pub(super) fn turn(&mut self) {
        loop {
            self.take_incoming();
            self.collect();
            match self.outbox.next(&self.link) {
                Ok(Some(effect)) => self.perform(effect),
                Ok(None) if self.server_is_quiet() => break,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!("the link: {error}");
                    self.orphan();
                }
            }
        }
        self.await_room();
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
        let mut sockets = Vec::new();
        let mut after: Vec<Effect> = Vec::new();
        let mut said: Vec<ToArbiter> = Vec::new();
        for action in drained.actions {
            match action {
                Action::Spawn { run, key, replaces } => {
                    let Some(companion) = self.table.companion(key.companion) else { continue };
                    match spawn_socket(&self.boot.notify_directory, run, companion) {
                        Ok(socket) => {
                            let companion = companion.spec.name.clone();
                            sockets.push(socket);
                            transaction.spawns.push(SpawnIntent { run, companion, slot: key.slot, replaces });
                            after.push(Effect::Act(action));
                        }
                        Err(error) => {
                            let text = format!("its notify socket cannot be made: {error}");
                            after.push(Effect::Unprepared(run, text));
                        }
                    }
                }
                Action::Say { level, text } => match level {
                    Level::Error => tracing::error!("{text}"),
                    Level::Warn => tracing::warn!("{text}"),
                    Level::Info => tracing::info!("{text}"),
                },
                Action::Reply { to, reply } => self.settle(to, reply, &mut transaction, &mut after),
                Action::Tell(message) => said.push(message),
                Action::Signal { .. } | Action::Kill { .. } => after.push(Effect::Act(action)),
            }
        }
        self.send(transaction, sockets, after, said);
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
            Effect::Act(Action::Reply { .. } | Action::Tell(_) | Action::Say { .. }) => {
                unreachable!("these are not put into the outbox")
            }
            Effect::Told(run) => self.end_told(run),
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
