//! What the kernel spares when arbiter dies.
//!
//! It ends the processes that arbiter has started with arbiter, but not those that have changed their user (set-uid
//! programs), nor what any of them has started: the manager ends their groups.

use super::{Shell, Source, now};
use proto::link::MasterStatus;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;
use supervise::Monotonic;
use sys::reactor::Interest;

/// How long arbiter's end may take from the moment at which its link is closed.
const DYING: Duration = Duration::from_secs(1);

/// arbiter, and what it has started.
#[derive(Debug)]
pub(super) struct Spared {
    arbiter: i32,
    /// arbiter's own session.
    session: i32,
    pidfd: Option<OwnedFd>,
    children: BTreeMap<i32, Child>,
    /// Until when arbiter's end is awaited.
    until: Option<Monotonic>,
}

/// A process that arbiter has started.
#[derive(Clone, Copy, Debug)]
struct Child {
    /// In clock ticks after boot.
    started: u64,
    group: i32,
}

impl Spared {
    pub(super) fn new(arbiter: i32) -> Self {
        let session = sys::procfs::stat(arbiter).map_or(0, |stat| stat.session);
        let pidfd = sys::pidfd::open(arbiter).ok();
        Self { arbiter, session, pidfd, children: BTreeMap::new(), until: None }
    }

    /// Takes in what arbiter has started by now.
    pub(super) fn learn(&mut self, status: &MasterStatus) {
        let workers = status.workers.processes.iter().filter_map(|worker| worker.process.pid);
        let pids = workers.chain(status.helpers.iter().copied());
        let known = std::mem::take(&mut self.children);
        let child = |pid| Some((pid, known.get(&pid).copied().or_else(|| self.look_at(pid))?));
        self.children = pids.filter_map(child).collect();
    }

    /// `None`: arbiter has not started it.
    fn look_at(&self, pid: i32) -> Option<Child> {
        let stat = sys::procfs::stat(pid).filter(|stat| stat.ppid == self.arbiter)?;
        let is_apart = stat.pgrp == stat.session && stat.session != self.session;
        // One that is on its way is still in arbiter's session, and about to lead a group of its own.
        let group = if is_apart { stat.pgrp } else { pid };
        Some(Child { started: stat.start_time_ticks, group })
    }

    /// When [`Shell::give_up_on_arbiter`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.until
    }

    /// Whether arbiter's end is still awaited.
    pub(super) fn is_awaiting(&self) -> bool {
        self.until.is_some()
    }

    /// Kills the groups of all that is left. No number has come to mean somebody else: one of another start time is
    /// left alone, and that of a group whose leader has gone is not given away while the group has members.
    fn kill(&mut self) {
        for (pid, child) in std::mem::take(&mut self.children) {
            if sys::procfs::stat(pid).is_none_or(|stat| stat.start_time_ticks == child.started) {
                // It may be that nobody is left.
                let _ = sys::process::kill_group(child.group);
            }
        }
    }
}

impl Shell {
    /// The link is closed: as soon as arbiter has ended, and the kernel has done its part, the rest is killed.
    pub(super) fn await_end_of_arbiter(&mut self) {
        let Some(pidfd) = &self.spared.pidfd else { return self.spared.kill() };
        match self.reactor.register(pidfd, Source::Arbiter.token(), Interest::READ) {
            Ok(()) => self.spared.until = Some(now() + DYING),
            Err(error) => tracing::error!("arbiter's end cannot be waited for: {error}"),
        }
    }

    pub(super) fn arbiter_ended(&mut self) {
        self.spared.kill();
        self.leave_arbiter_alone();
    }

    /// arbiter may live on, and looks after its own.
    pub(super) fn give_up_on_arbiter(&mut self, now: Monotonic) {
        if self.spared.until.is_some_and(|until| until <= now) {
            self.leave_arbiter_alone();
        }
    }

    fn leave_arbiter_alone(&mut self) {
        self.spared.until = None;
        if let Some(pidfd) = self.spared.pidfd.take() {
            let _ = self.reactor.deregister(&pidfd);
        }
    }
}
