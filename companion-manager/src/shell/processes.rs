//! Ends of processes: peek, tell, reap.
//!
//! An own process's end is looked at while it stays a zombie, told to arbiter, and only when that has gone
//! into the link is the zombie reaped; until then its number reserves its group's. An adopted process is
//! arbiter's child: its end comes as a message, and arbiter reaps it when it is *released*. That is the one
//! place where the two differ.

use super::{Shell, Source, now};
use crate::table::Input;
use proto::link::{Saved, ToArbiter};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use supervise::{Exit, RunId};
use sys::children::Children;
use sys::launch::Program;
use sys::reactor::Interest;
use sys::spawn::SpawnProgress;

/// The processes behind the table's runs.
#[derive(Default)]
pub(super) struct Processes {
    pub(super) children: Children<RunId>,
    adopted: HashSet<RunId>,
    /// Processes on their way to exec.
    pub(super) starting: HashMap<RunId, (OwnedFd, Program)>,
    /// How main processes ended that have not been reaped.
    ended: HashMap<RunId, Exit>,
    /// Own runs whose main process has ended while others of its group live.
    held: BTreeSet<RunId>,
}

impl Processes {
    /// The processes that outlived the manager before.
    pub(super) fn adopting(saved: &Saved, adopted: Vec<(RunId, OwnedFd)>) -> Self {
        let pids: HashMap<RunId, i32> =
            saved.processes.iter().filter_map(|process| Some((process.run, process.pid?))).collect();
        let mut processes = Self::default();
        for (run, pidfd) in adopted {
            if let Some(&pid) = pids.get(&run) {
                processes.children.insert(run, pid, pidfd);
                processes.adopted.insert(run);
            }
        }
        processes
    }
}

impl Shell {
    /// Lets arbiter reap what ended while there was no manager and left nobody behind: the table is told of
    /// these ends, and may start another process in the same slot in its first turn.
    pub(super) fn release_ended(&mut self, saved: &Saved) {
        for process in saved.processes.iter().filter(|process| process.exit.is_some()) {
            if !process.pid.is_some_and(has_group) {
                self.outbox.say(&ToArbiter::Release { run: process.run });
                self.processes.children.forget(process.run);
                self.processes.adopted.remove(&process.run);
            }
        }
    }

    /// A pidfd says that a main process has ended.
    pub(super) fn handle_end(&mut self, run: RunId) {
        if let Some(pidfd) = self.processes.children.get(run) {
            if let Err(error) = self.reactor.deregister(&pidfd) {
                tracing::debug!("run {run} could not be taken out of the loop: {error}");
            }
        }
        if self.processes.adopted.contains(&run) {
            // Only watched once arbiter is gone: its end is all there is to know.
            self.forget(run);
            self.feed(run, supervise::Input::Gone);
            return;
        }
        match self.processes.children.peek(run) {
            Ok(Some(exit)) => {
                // How far it came has to be known before how it ended.
                self.handle_progress(run);
                self.processes.ended.insert(run, exit);
                self.facts.exits.push((run, exit));
            }
            Ok(None) => self.watch(run),
            Err(error) => tracing::error!("run {run}: its end cannot be looked at: {error}"),
        }
    }

    /// Its end has been told: the zombie may go, unless others of its group live.
    pub(super) fn end_told(&mut self, run: RunId) {
        let Some(&exit) = self.processes.ended.get(&run) else { return };
        if self.processes.children.group_alive(run).unwrap_or(false) {
            self.processes.held.insert(run);
            self.feed(run, supervise::Input::Exited { exit, survivors: true });
        } else {
            self.reap(run);
            self.feed(run, supervise::Input::Exited { exit, survivors: false });
        }
    }

    /// SIGCHLD: groups may have become empty, and strays may have ended.
    pub(super) fn handle_children(&mut self) {
        let held: Vec<RunId> = self.processes.held.iter().copied().collect();
        for run in held {
            if !self.processes.children.group_alive(run).unwrap_or(false) {
                self.reap(run);
                self.feed(run, supervise::Input::Gone);
            }
        }
        match self.processes.children.reap_strays(|_| false) {
            Ok(strays) => {
                for stray in strays {
                    tracing::debug!("reaped a stray, pid {}: {}", stray.pid, stray.exit.status);
                }
            }
            Err(error) => tracing::warn!("strays cannot be reaped: {error}"),
        }
    }

    fn reap(&mut self, run: RunId) {
        match self.processes.children.reap(run) {
            Ok(_) => {}
            Err(error) => {
                tracing::error!("run {run} cannot be reaped: {error}");
                self.processes.children.forget(run);
            }
        }
        self.forget(run);
    }

    /// Nothing is left of a run.
    fn forget(&mut self, run: RunId) {
        self.processes.children.forget(run);
        self.processes.starting.remove(&run);
        self.processes.ended.remove(&run);
        self.processes.held.remove(&run);
        if !self.processes.adopted.remove(&run) {
            self.facts.gone.push(run);
        }
        self.unlink_notify_socket(run);
    }

    /// An adopted process has ended.
    pub(super) fn adopted_ended(&mut self, run: RunId, exit: Exit, survivors: bool) {
        if !survivors {
            self.let_go(run);
        }
        self.feed(run, supervise::Input::Exited { exit, survivors });
    }

    /// Nothing is left of an adopted process.
    pub(super) fn adopted_gone(&mut self, run: RunId) {
        self.let_go(run);
        self.feed(run, supervise::Input::Gone);
    }

    /// Has arbiter reap an adopted process, which frees its slot: to be said before the next one is meant.
    fn let_go(&mut self, run: RunId) {
        self.outbox.say(&ToArbiter::Release { run });
        self.forget(run);
    }

    /// With arbiter gone, nobody tells of the ends of adopted processes.
    pub(super) fn watch_adopted(&mut self) {
        let adopted: Vec<RunId> = self.processes.adopted.iter().copied().collect();
        for run in adopted {
            self.watch(run);
        }
    }

    /// Asks the loop to tell when a process has ended.
    pub(super) fn watch(&mut self, run: RunId) {
        let Some(pidfd) = self.processes.children.get(run) else { return };
        if let Err(error) = self.reactor.register(&pidfd, Source::Process(run).token(), Interest::READ) {
            tracing::error!("run {run}: its end cannot be waited for: {error}");
        }
    }

    /// A new process has come further, or has failed on its way to exec.
    pub(super) fn handle_progress(&mut self, run: RunId) {
        let Some((status, program)) = self.processes.starting.get(&run) else { return };
        match sys::spawn::read_status(status) {
            Ok(SpawnProgress::Pending) => return,
            Ok(SpawnProgress::Executed) => {}
            Ok(SpawnProgress::Failed(failure)) => {
                let reason = failure.describe(&program.name, Some(&program.cwd)).into();
                self.feed(run, supervise::Input::NotExecuted { reason });
            }
            Err(error) => tracing::warn!("run {run}: its start cannot be followed: {error}"),
        }
        if let Some((status, _)) = self.processes.starting.remove(&run) {
            if let Err(error) = self.reactor.deregister(&status.as_fd()) {
                tracing::debug!("run {run} could not be taken out of the loop: {error}");
            }
        }
    }

    pub(super) fn signal(&mut self, run: RunId, signal: i32, group: bool) {
        let children = &self.processes.children;
        let sent = if group { children.signal_group(run, signal) } else { children.signal(run, signal) };
        report(run, signal, sent);
    }

    pub(super) fn kill(&mut self, run: RunId) {
        report(run, SIGKILL, self.processes.children.signal_group(run, SIGKILL));
        // Somebody who moved to another group is killed at least as the main process.
        report(run, SIGKILL, self.processes.children.signal(run, SIGKILL));
    }

    pub(super) fn feed(&mut self, run: RunId, input: supervise::Input) {
        self.table.handle(Input::Run { run, input }, now());
    }
}

const SIGKILL: i32 = 9;

/// Whether anybody lives in the group that the process `pid` led: looked up in /proc, for its members may be
/// children of anybody's.
pub(super) fn has_group(pid: i32) -> bool {
    sys::procfs::processes()
        .into_iter()
        .filter_map(sys::procfs::stat)
        .any(|stat| stat.pgrp == pid && stat.state != 'Z')
}

/// A process that has gone meanwhile is no news: its end is on its way.
fn report(run: RunId, signal: i32, sent: io::Result<()>) {
    const ESRCH: i32 = 3;
    match sent {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(ESRCH) || error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!("run {run}: signal {signal} was not sent: {error}"),
    }
}
