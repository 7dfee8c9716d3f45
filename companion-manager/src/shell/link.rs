//! What arbiter says.

use super::{Leaving, Shell, now};
use crate::run::read_spec;
use crate::server::Access;
use crate::table::Input;
use proto::control::ArbiterState;
use proto::link::{MAX_DATAGRAM, MasterStatus, ToArbiter, ToManager, manager_title};
use std::io;
use std::os::fd::OwnedFd;
use sys::cgroup::OUT_OF_MEMORY;
use sys::control::ControlListener;
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
            ToManager::Boot(_)
            | ToManager::Adopt { .. }
            | ToManager::AdoptMains { .. }
            | ToManager::Inputs { .. }
            | ToManager::Captured { .. }
            | ToManager::Tails { .. }
            | ToManager::Begin => {
                tracing::error!("arbiter has begun twice with this manager");
            }
            ToManager::Log(log) => {
                if let Err(error) = sys::log::init((&log).into()) {
                    tracing::error!("cannot open the log: {error}");
                }
                self.captures.reopen(&self.reactor);
            }
            ToManager::Status(status) => {
                // A death for want of memory that arbiter has found its worker for is not to be taken for a
                // companion's.
                for _ in 0..new_deaths_of_memory(&self.master, &status) {
                    self.out_of_memory.claims();
                }
                if self.master.arbiter.name != status.arbiter.name {
                    sys::title::set(&manager_title(&status.arbiter.name));
                }
                self.spared.learn(&status);
                self.master = *status;
                self.notice_ending();
            }
            ToManager::Notified { number, run, text } => {
                self.table.handle(Input::Notified { run, text }, now());
                self.turn();
                self.outbox.say(&ToArbiter::Acknowledge { number });
            }
            ToManager::PassedOn { run, at_end: true } => self.believe_end(run),
            ToManager::PassedOn { run, at_end: false } => self.table.handle(Input::PassedOn { run }, now()),
            ToManager::Follow { run, pid } => self.follow(run, pid, fds.pop()),
            ToManager::Exited { run, exit, survivors } => self.adopted_ended(run, exit, survivors),
            ToManager::Gone { run } => self.adopted_gone(run),
            ToManager::Relayed { relay, reply } => self.relayed(relay, reply),
            ToManager::Sockets { for_candidate, is_first, sockets } => {
                self.sockets.take(for_candidate, is_first, sockets, fds);
            }
            ToManager::Candidate { operation, control_socket } => {
                self.candidate = Some((operation, fds.pop()));
                self.candidate_socket = control_socket;
            }
            ToManager::Control { socket, replaced, allow_users, allow_groups } => {
                self.boot.control_socket = socket;
                self.server.change_access(Access::new(allow_users, allow_groups));
                if replaced {
                    self.change_listener(fds.pop());
                }
            }
            ToManager::Happened { last, happenings } => self.happened(last, happenings),
            ToManager::Prepare => self.with_candidate(|operation, spec| Input::Prepare { operation, spec }),
            ToManager::Compare => self.with_candidate(|operation, spec| Input::Compare { operation, spec }),
            ToManager::Commit { only } => {
                self.sockets.commit();
                self.table.handle(Input::Commit { only }, now());
                self.refresh_captures();
                self.refresh_streams();
            }
            ToManager::Abort => {
                self.sockets.abort();
                self.table.handle(Input::Abort, now());
            }
            ToManager::Stop { required_too, pace } => {
                self.table.handle(Input::Stop { required_too, pace }, now());
            }
            ToManager::Ping { number } => self.outbox.say_first(&ToArbiter::Pong { number }),
            ToManager::Retire if self.leaving == Leaving::No => self.retire(),
            ToManager::Retire => {}
        }
    }

    /// arbiter says that it is about to end before it says what is to stop, and how.
    pub(super) fn notice_ending(&mut self) {
        if self.master.arbiter.state == ArbiterState::Stopping {
            self.table.handle(Input::Ending, now());
        }
    }

    fn change_listener(&mut self, fd: Option<OwnedFd>) {
        match fd.map(|fd| ControlListener::from_fd(fd, None)).transpose() {
            Ok(listener) => self.server.change_listener(listener, &self.reactor, now()),
            Err(error) => tracing::error!("the control socket cannot be listened on: {error}"),
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

/// How many ends of workers were told as such since `before`.
fn new_deaths_of_memory(before: &MasterStatus, now: &MasterStatus) -> usize {
    let deaths = |status: &MasterStatus| {
        let workers = status.workers.processes.iter();
        let killed = workers.filter(|worker| {
            let last = worker.process.last_exit.as_ref();
            last.is_some_and(|exit| exit.remark.as_deref() == Some(OUT_OF_MEMORY))
        });
        killed
            .map(|worker| (worker.process.slot, worker.generation, worker.process.restarts))
            .collect::<Vec<_>>()
    };
    let known = deaths(before);
    deaths(now).iter().filter(|death| !known.contains(death)).count()
}
