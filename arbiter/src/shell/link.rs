//! Talking with the manager.

use super::{Shell, Source, clocks, now};
use crate::hooks::Occasion;
use crate::ledger::Birth;
use crate::master::Event;
use crate::pool::is_shown_too_old;
use crate::runtime::Kind;
use proto::control::EventKind;
use proto::link::{Channel, Happening, MasterStatus, OutputStream, ToArbiter, ToManager, Transaction};
use std::os::fd::{AsFd, OwnedFd};
use supervise::{Monotonic, RunId};
use sys::notify::NotifySocket;
use sys::reactor::Interest;
use sys::seqpacket::{DATAGRAM_MAX, Received};

/// How many datagrams are taken in a turn: the manager must not keep arbiter from everything else.
const A_TURN: usize = 256;

impl Shell {
    /// The link can be read, or written again.
    pub(super) fn handle_link(&mut self, now: Monotonic, event: sys::reactor::Event) {
        if event.writable {
            self.flush_link();
        }
        let mut buffer = vec![0; DATAGRAM_MAX];
        for _ in 0..A_TURN {
            let Some(link) = &self.companions.link else { return };
            match link.recv(&mut buffer) {
                Ok(Received::Datagram(datagram)) => {
                    let pid = datagram.credentials.pid;
                    let (bytes, descriptors) = (datagram.bytes, datagram.fds);
                    match sys::bulk::unpack(bytes, descriptors) {
                        Ok((message, descriptors)) => self.hear(now, message, descriptors, pid),
                        Err(error) => tracing::error!("a message of the companion manager is lost: {error}"),
                    }
                }
                Ok(Received::Empty) => return,
                Ok(Received::Closed) => return self.link_ended(now),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    tracing::error!("a message of the companion manager is lost: {error}");
                }
                Err(_) => return self.link_ended(now),
            }
        }
    }

    fn hear(&mut self, now: Monotonic, message: ToArbiter, descriptors: Vec<OwnedFd>, sender: i32) {
        match message {
            ToArbiter::Born { run, inputs, captured } => {
                self.companion_born(run, sender, inputs, &captured, descriptors);
            }
            ToArbiter::Drained { run, stream } => self.companions.captures.drained(run, stream),
            ToArbiter::Tail { name } => {
                self.companions.captures.keep_tail(name, descriptors.into_iter().next())
            }
            ToArbiter::DropTail { name } => self.companions.captures.drop_tail(&name),
            ToArbiter::CloseInput { run } => {
                if let Some(ends) = self.companions.inputs.get_mut(&run) {
                    ends.retain(|(channel, _)| *channel != Channel::Stdin);
                }
            }
            ToArbiter::Unborn { run, stage, errno } => self.companions.ledger.unborn(run, stage, errno),
            ToArbiter::Transaction(transaction) => self.apply(now, transaction, descriptors),
            ToArbiter::Acknowledge { number } => self.companions.ledger.acknowledge(number),
            ToArbiter::Pong { number } => self.companions.pings.answered(number),
            ToArbiter::Relay { relay, wait, verb } => {
                self.companions.relays.begin(relay);
                self.master.handle(now, Event::Request { relay, wait, verb })
            }
            ToArbiter::Required { waiting_for } => self.master.handle(now, Event::Required(waiting_for)),
            ToArbiter::Prepared { operation, result } if self.companions.is_current(operation) => {
                self.master.handle(now, Event::Prepared(result));
            }
            ToArbiter::Committed { operation, report } if self.companions.is_current(operation) => {
                self.companions.committed();
                self.master.handle(now, Event::Committed(report));
            }
            ToArbiter::Prepared { .. } | ToArbiter::Committed { .. } => {
                tracing::debug!("the companion manager answered an operation that was given up");
            }
            ToArbiter::Stopped { required_too, killed } => {
                self.master.handle(now, Event::Stopped { required_too, killed });
            }
            ToArbiter::PassOn { run, at_end } => self.pass_on(now, run, at_end),
            ToArbiter::CriticalLost { name, reason } => {
                self.master.handle(now, Event::CriticalLost { name, reason });
            }
            ToArbiter::Watch(is_watched) => self.happenings.watch(is_watched),
            ToArbiter::CompanionEvent(change) => self.hooks.post(now, Occasion::CompanionEvent(change)),
        }
    }

    /// A companion's process reports itself.
    fn companion_born(
        &mut self,
        run: RunId,
        pid: i32,
        inputs: Vec<Channel>,
        captured: &[OutputStream],
        descriptors: Vec<OwnedFd>,
    ) {
        let mut descriptors = descriptors.into_iter();
        let Some(pidfd) = descriptors.next() else {
            tracing::error!("companion process {pid} reported itself without a descriptor");
            return;
        };
        match self.companions.ledger.born(run, pid) {
            Birth::Recorded => {
                self.companions.pidfds.insert(run, pidfd);
                if !inputs.is_empty() {
                    let ends = inputs.into_iter().zip(descriptors.by_ref()).collect();
                    self.companions.inputs.insert(run, ends);
                }
                if let Some((companion, slot)) = self.companions.ledger.place_of(run) {
                    let pipes = captured.iter().copied().zip(descriptors);
                    self.companions.captures.keep_pipes(run, companion, slot, pipes);
                }
                self.running.begun(run, pid, Kind::Companion);
            }
            Birth::Unwanted => {
                tracing::error!("companion process {pid} was started into a slot that is taken: killed");
                let _ = sys::pidfd::send_signal(&pidfd, 9);
            }
        }
    }

    fn apply(&mut self, now: Monotonic, transaction: Transaction, descriptors: Vec<OwnedFd>) {
        let intended: Vec<RunId> = transaction.spawns.iter().map(|intent| intent.run).collect();
        let gone = transaction.gone.clone();
        if let Some(count) = transaction.events {
            self.happenings.counted(count);
        }
        // A death for want of memory that the manager has found its process for is not to be taken for a worker's.
        for _ in transaction.exits.iter().filter(|(_, exit)| exit.status.is_killed()) {
            self.out_of_memory.claims();
        }
        for refused in self.companions.ledger.apply(transaction) {
            let (name, slot) = (refused.companion, refused.slot);
            tracing::error!("the companion manager wanted to start {name}:{slot} a second time: refused");
        }
        for (run, descriptor) in intended.into_iter().zip(descriptors) {
            if self.companions.ledger.contains(run) {
                self.watch_notify_socket(run, descriptor);
            }
        }
        for run in gone {
            self.let_go(now, run);
        }
    }

    pub(super) fn watch_notify_socket(&mut self, run: RunId, descriptor: OwnedFd) {
        let watched = NotifySocket::from_fd(descriptor).and_then(|socket| {
            self.reactor.register(&socket, Source::Notify(run).into(), Interest::READ)?;
            Ok(socket)
        });
        match watched {
            Ok(socket) => drop(self.notify_sockets.insert(run, socket)),
            Err(error) => tracing::error!("cannot listen to what a companion says of itself: {error}"),
        }
    }

    /// Says something to the manager, if there is one.
    pub(super) fn tell_manager(&mut self, message: ToManager) {
        self.companions.retiring |= message == ToManager::Retire;
        if message == ToManager::Prepare {
            if let Err(error) = self.hand_over_sockets(true) {
                tracing::error!("cannot hand the companions' sockets to the companion manager: {error}");
            }
        }
        match self.companions.preface(&message) {
            Ok(Some((preface, descriptors))) => self.queue(&preface, descriptors),
            Ok(None) => {}
            Err(error) => tracing::error!("cannot hand a descriptor to the companion manager: {error}"),
        }
        self.queue(&message, Vec::new());
    }

    pub(super) fn queue(&mut self, message: &ToManager, descriptors: Vec<OwnedFd>) {
        if self.companions.link.is_none() {
            return;
        }
        match sys::bulk::pack(message, descriptors) {
            Ok(packed) => {
                self.companions.outbox.push_back(packed);
                self.companions.pings.said();
            }
            Err(error) => tracing::error!("cannot tell the companion manager something: {error}"),
        }
    }

    /// Sends what is queued, as far as there is room.
    pub(super) fn flush_link(&mut self) {
        let Some(link) = self.companions.link.as_ref().filter(|_| !self.companions.outbox.is_empty()) else {
            return;
        };
        let mut full = false;
        while let Some((bytes, descriptors)) = self.companions.outbox.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match link.send(bytes, &borrowed) {
                Ok(true) => {
                    full = true;
                    break;
                }
                Ok(false) => drop(self.companions.outbox.pop_front()),
                Err(error) => {
                    // The link's end tells the rest.
                    tracing::debug!("cannot write to the link: {error}");
                    self.companions.outbox.clear();
                }
            }
        }
        if std::mem::replace(&mut self.companions.awaiting_room, full) != full {
            let interest = if full { Interest::BOTH } else { Interest::READ };
            if let Err(error) = self.reactor.modify(link, Source::Link.into(), interest) {
                tracing::error!("cannot watch the link: {error}");
            }
        }
    }

    /// Lets the manager prove that it has its turns, where it was told anything.
    pub(super) fn ping_manager(&mut self) {
        if self.companions.link.is_none() {
            return;
        }
        let Some(number) = self.companions.pings.next(now()) else { return };
        match sys::bulk::pack(&ToManager::Ping { number }, Vec::new()) {
            Ok(packed) => self.companions.outbox.push_back(packed),
            Err(error) => tracing::error!("cannot ask the companion manager anything: {error}"),
        }
    }

    /// Something has happened that a machine does not know of.
    pub(super) fn happens(&mut self, subject: &str, kind: EventKind) {
        let time = sys::clock::wall();
        self.happenings.add(Happening { time, subject: subject.into(), kind });
    }

    /// Tells the manager what has happened, while somebody watches and as far as there is room.
    pub(super) fn tell_happenings(&mut self) {
        for (subject, kind) in self.master.take_happened() {
            self.happens(&subject, kind);
        }
        while self.companions.link.is_some() && self.companions.outbox.is_empty() {
            let Some(message) = self.happenings.next_message() else { return };
            self.queue(&message, Vec::new());
            self.flush_link();
        }
    }

    /// arbiter's own part of the status, as it is now.
    pub(super) fn status(&self) -> MasterStatus {
        let listeners = self.listeners.status();
        let restarts = self.companions.manager_restarts();
        let mut status = self.master.status(clocks(), self.started, listeners, restarts);
        status.arbiter.pid = sys::process::pid();
        status.helpers = self.tries.pids().chain(self.hook_pids()).collect();
        status.helpers.sort_unstable();
        status
    }

    /// Tells the manager arbiter's own part of the status when it has changed: only the newest counts.
    pub(super) fn tell_status(&mut self) {
        if self.companions.outbox.is_empty() {
            self.tell_status_first();
        }
    }

    /// As [`Self::tell_status`], however much waits to be told: before something that follows from it.
    pub(super) fn tell_status_first(&mut self) {
        if self.companions.link.is_none() {
            return;
        }
        let status = self.status();
        let is_known = self.companions.told.as_ref().is_some_and(|told| {
            let passed = status.taken.since(told.taken);
            told.is_same_but_older(&status) && !is_shown_too_old(&told.workers, &status.workers, passed)
        });
        if is_known {
            return;
        }
        self.queue(&ToManager::Status(Box::new(status.clone())), Vec::new());
        self.companions.told = Some(status);
    }
}
