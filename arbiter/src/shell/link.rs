//! Talking with the manager.

use super::{Shell, Source, clocks};
use crate::ledger::Birth;
use crate::master::Event;
use crate::pool::is_shown_too_old;
use proto::link::{MasterStatus, ToArbiter, ToManager, Transaction};
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
            ToArbiter::Born { run } => self.companion_born(run, sender, descriptors),
            ToArbiter::Unborn { run, stage, errno } => self.companions.ledger.unborn(run, stage, errno),
            ToArbiter::Transaction(transaction) => self.apply(transaction, descriptors),
            ToArbiter::Acknowledge { number } => self.companions.ledger.acknowledge(number),
            ToArbiter::Release { run } => self.release(now, run),
            ToArbiter::Relay { relay, wait, verb } => {
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
        }
    }

    /// A companion's process reports itself.
    fn companion_born(&mut self, run: RunId, pid: i32, descriptors: Vec<OwnedFd>) {
        let Some(pidfd) = descriptors.into_iter().next() else {
            tracing::error!("companion process {pid} reported itself without a descriptor");
            return;
        };
        match self.companions.ledger.born(run, pid) {
            Birth::Recorded => drop(self.companions.pidfds.insert(run, pidfd)),
            Birth::Unwanted => {
                tracing::error!("companion process {pid} was started into a slot that is taken: killed");
                let _ = sys::pidfd::send_signal(&pidfd, 9);
            }
        }
    }

    fn apply(&mut self, transaction: Transaction, descriptors: Vec<OwnedFd>) {
        let intended: Vec<RunId> = transaction.spawns.iter().map(|intent| intent.run).collect();
        let gone = transaction.gone.clone();
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
            self.forget_companion(run);
        }
    }

    fn watch_notify_socket(&mut self, run: RunId, descriptor: OwnedFd) {
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
            Ok(packed) => self.companions.outbox.push_back(packed),
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

    /// arbiter's own part of the status, as it is now.
    pub(super) fn status(&self) -> MasterStatus {
        let listeners = self.listeners.status();
        let restarts = self.companions.manager_restarts();
        let mut status = self.master.status(clocks(), self.started, listeners, restarts);
        status.arbiter.pid = sys::process::pid();
        status
    }

    /// Tells the manager arbiter's own part of the status when it has changed: only the newest counts.
    pub(super) fn tell_status(&mut self) {
        if self.companions.link.is_none() || !self.companions.outbox.is_empty() {
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
