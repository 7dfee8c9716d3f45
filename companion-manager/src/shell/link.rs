//! What arbiter says.

use super::{Leaving, Shell, now};
use crate::run::read_spec;
use crate::table::Input;
use proto::link::{MAX_DATAGRAM, ToArbiter, ToManager};
use std::io;
use std::os::fd::OwnedFd;
use sys::seqpacket::Received;

/// The most messages taken in before others have their turn.
const MESSAGES_A_TURN: usize = 64;

impl Shell {
    /// The link has something to say or has room.
    pub(super) fn handle_link(&mut self, readable: bool) {
        if !readable {
            return;
        }
        let mut buffer = vec![0; MAX_DATAGRAM];
        for _ in 0..MESSAGES_A_TURN {
            match self.link.recv(&mut buffer) {
                Ok(Received::Empty) => return,
                Ok(Received::Closed) => {
                    self.orphan();
                    return;
                }
                Ok(Received::Datagram(datagram)) => match sys::bulk::unpack(datagram.bytes, datagram.fds) {
                    Ok((message, fds)) => {
                        self.handle_message(message, fds);
                        self.turn();
                    }
                    Err(error) => {
                        tracing::error!("arbiter said something that cannot be understood: {error}")
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!("a message of arbiter was lost: {error}");
                }
                Err(error) => {
                    tracing::error!("the link failed: {error}");
                    self.orphan();
                    return;
                }
            }
        }
    }

    fn handle_message(&mut self, message: ToManager, mut fds: Vec<OwnedFd>) {
        match message {
            ToManager::Boot(_) | ToManager::Adopt { .. } | ToManager::Begin => {
                tracing::error!("arbiter has begun twice with this manager");
            }
            ToManager::Status(status) => self.master = *status,
            ToManager::Notified { number, run, text } => {
                self.table.handle(Input::Notified { run, text }, now());
                self.turn();
                self.outbox.say(&ToArbiter::Acknowledge { number });
            }
            ToManager::Exited { run, exit, survivors } => self.adopted_ended(run, exit, survivors),
            ToManager::Gone { run } => self.adopted_gone(run),
            ToManager::Relayed { relay, reply } => self.relayed(relay, reply),
            ToManager::Candidate { operation } => self.candidate = Some((operation, fds.pop())),
            ToManager::Prepare => self.with_candidate(|operation, spec| Input::Prepare { operation, spec }),
            ToManager::Compare => self.with_candidate(|operation, spec| Input::Compare { operation, spec }),
            ToManager::Commit => self.table.handle(Input::Commit, now()),
            ToManager::Abort => self.table.handle(Input::Abort, now()),
            ToManager::Stop { required_too, pace } => {
                self.table.handle(Input::Stop { required_too, pace }, now());
            }
            ToManager::Retire if self.leaving == Leaving::No => self.retire(),
            ToManager::Retire => {}
        }
    }

    fn with_candidate(&mut self, input: impl FnOnce(u64, proto::spec::CompanionsSpec) -> Input) {
        let Some((operation, fd)) = self.candidate.take() else {
            tracing::error!("arbiter named no specification");
            return;
        };
        match fd.ok_or_else(|| "it came without one".to_owned()).and_then(|fd| read_spec(&fd)) {
            Ok(spec) => self.table.handle(input(operation, spec), now()),
            Err(error) => {
                let text = format!("the specification cannot be read: {error}");
                tracing::error!("{text}");
                self.outbox.say(&ToArbiter::Prepared { operation, result: Err(text) });
            }
        }
    }
}
