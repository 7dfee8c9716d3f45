//! Ends of processes: peek, tell, reap.
//!
//! An own process's end is looked at while it stays a zombie, told to arbiter, and only when that has gone
//! into the link is the zombie reaped; until then its number reserves its group's. An adopted process is
//! arbiter's child: its end comes as a message, and arbiter reaps it when it is told that the run is *gone*. That is
//! the one place where the two differ. A run is gone in the same transaction in which the records learn of its end.

use super::{Leaving, Shell, Source, now};
use crate::table::{Input, shown};
use proto::link::{Saved, SavedProcess, ToArbiter};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use supervise::signal::SIGKILL;
use supervise::{Exit, RunId};
use sys::cgroup::OUT_OF_MEMORY;
use sys::children::Children;
use sys::launch::Program;
use sys::reactor::Interest;
use sys::spawn::SpawnProgress;

/// From how many processes on it is looked for strangers first.
const MANY: usize = 32;

/// The processes behind the table's runs.
#[derive(Default)]
pub(super) struct Processes {
    pub(super) children: Children<RunId>,
    adopted: HashSet<RunId>,
    /// Processes on their way to exec.
    pub(super) starting: HashMap<RunId, (OwnedFd, Program)>,
    /// How main processes ended that have not been reaped.
    ended: HashMap<RunId, Exit>,
    /// Own runs whose main process has ended, which is believed when arbiter has passed on all that they said.
    doubted: BTreeSet<RunId>,
    /// Own runs whose main process has ended while others of its group live.
    held: BTreeSet<RunId>,
    /// Own runs whose main process has ended and left nobody.
    alone: HashSet<RunId>,
    /// Whether this process has children that it has not started, as seen in this step.
    has_strangers: Option<bool>,
}

impl Processes {
    /// The processes that outlived the manager before.
    pub(super) fn adopting(
        saved: &Saved,
        adopted: Vec<(RunId, OwnedFd)>,
        mains: Vec<(RunId, OwnedFd)>,
    ) -> Self {
        let known: HashMap<RunId, &SavedProcess> =
            saved.processes.iter().map(|process| (process.run, process)).collect();
        let mut processes = Self::default();
        for (run, pidfd) in adopted {
            if let Some(pid) = known.get(&run).and_then(|process| process.pid) {
                processes.children.insert(run, pid, pidfd);
                processes.adopted.insert(run);
            }
        }
        for (run, pidfd) in mains {
            if let Some(pid) = known.get(&run).and_then(|process| process.main) {
                processes.children.follow(run, Some((pid, pidfd)));
            }
        }
        processes
    }
}

impl Shell {
    /// Lets go of what ended while there was no manager and left nobody behind: the table knows of these ends.
    pub(super) fn forget_ended(&mut self, saved: &Saved, survivors: &BTreeSet<RunId>) {
        for process in saved.processes.iter().filter(|process| process.exit.is_some()) {
            if !survivors.contains(&process.run) {
                self.forget(process.run);
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
            Ok(Some(exit)) if self.may_have_said_more(run, exit) => {
                self.processes.doubted.insert(run);
                self.outbox.say(&ToArbiter::PassOn { run, at_end: true });
            }
            Ok(Some(exit)) => self.tell_end(run, exit),
            Ok(None) => self.watch(run),
            Err(error) => tracing::error!("run {run}: its end cannot be looked at: {error}"),
        }
    }

    /// Whether what a process that has ended said last counts, and may not have been heard yet: that another one
    /// counts in its place, or why it ends. Of one that was killed, or asked to end, and leaves nobody, it does not.
    fn may_have_said_more(&mut self, run: RunId, exit: Exit) -> bool {
        let is_worth_it = self.table.is_unasked(run) && !exit.status.is_killed();
        self.leaving == Leaving::No && (is_worth_it || self.leaves_somebody(run))
    }

    /// Whether anybody of its group is alive after the end of a run's main process. A group that nobody is left in
    /// stays so. The kernel looks at every child to tell; among many it is quicker to look whether there is one that was
    /// left behind by anybody. Where another process counts, the first one itself may be left.
    fn leaves_somebody(&mut self, run: RunId) -> bool {
        if self.processes.alone.contains(&run) {
            return false;
        }
        let children = &self.processes.children;
        let is_asked = children.len() < MANY || children.main_pid(run) != children.pid(run);
        let is_alive =
            (is_asked || self.has_strangers()) && self.processes.children.group_alive(run).unwrap_or(false);
        if !is_alive {
            self.processes.alone.insert(run);
        }
        is_alive
    }

    fn has_strangers(&mut self) -> bool {
        if let Some(known) = self.processes.has_strangers {
            return known;
        }
        let has_strangers = self.processes.children.has_strangers(|pid| self.is_a_helper(pid));
        self.processes.has_strangers = Some(has_strangers);
        has_strangers
    }

    /// Time has passed: whoever has ended since may have left somebody.
    pub(super) fn look_anew(&mut self) {
        self.processes.has_strangers = None;
    }

    /// All that a process said which has ended has been heard: if it still is the one that counts, that was the end.
    pub(super) fn believe_end(&mut self, run: RunId) {
        if !self.processes.doubted.remove(&run) {
            return;
        }
        if let Ok(Some(exit)) = self.processes.children.peek(run) {
            self.tell_end(run, exit);
        }
        if self.processes.doubted.is_empty() {
            self.reap_strays();
        }
    }

    /// Nobody passes on anything any more.
    pub(super) fn believe_ends(&mut self) {
        for run in self.processes.doubted.clone() {
            self.believe_end(run);
        }
    }

    fn tell_end(&mut self, run: RunId, exit: Exit) {
        // How far it came has to be known before how it ended.
        self.handle_progress(run);
        self.processes.ended.insert(run, exit);
        self.facts.exits.push((run, exit));
    }

    /// From now on another process of its session counts in a run's place; without a descriptor the first itself.
    pub(super) fn follow(&mut self, run: RunId, pid: i32, pidfd: Option<OwnedFd>) {
        let Some(before) = self.processes.children.get(run) else { return };
        if self.processes.ended.contains_key(&run) {
            // Its end has been told: too late.
            return;
        }
        let is_own = !self.processes.adopted.contains(&run);
        if is_own {
            if let Err(error) = self.reactor.deregister(&before) {
                // Where that has ended it was taken out already.
                tracing::debug!("run {run} could not be taken out of the loop: {error}");
            }
        }
        self.processes.children.follow(run, pidfd.map(|pidfd| (pid, pidfd)));
        if is_own {
            self.watch(run);
        }
        self.table.handle(Input::Follow { run, pid }, now());
    }

    /// Where SIGKILL has ended a process and nobody here sent it, the kernel may tell why.
    fn ask_for_cause(&mut self, run: RunId, exit: Exit) {
        let is_unexplained = exit.status.is_killed() && self.table.is_unasked(run);
        if is_unexplained && self.out_of_memory.claims() {
            self.feed(run, supervise::Input::Remark { text: OUT_OF_MEMORY.into() });
        }
    }

    /// Its end has been told: the zombie may go, unless others of its group live.
    pub(super) fn end_told(&mut self, run: RunId) {
        let Some(&exit) = self.processes.ended.get(&run) else { return };
        self.ask_for_cause(run, exit);
        if self.leaves_somebody(run) {
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
            if !self.leaves_somebody(run) {
                self.reap(run);
                self.feed(run, supervise::Input::Gone);
            }
        }
        if self.processes.doubted.is_empty() {
            self.reap_strays();
        }
    }

    /// Not while a main process may be among them that arbiter has yet to name.
    fn reap_strays(&mut self) {
        match self.processes.children.reap_strays(|pid| self.is_a_helper(pid)) {
            Ok(strays) => {
                for stray in strays {
                    tracing::debug!("reaped a stray, pid {}: {}", stray.pid, stray.exit.status);
                }
            }
            Err(error) => tracing::warn!("strays cannot be reaped: {error}"),
        }
    }

    /// Whether it is a process of this program's own that is waited for elsewhere.
    fn is_a_helper(&self, pid: i32) -> bool {
        self.tries.knows(pid) || self.measuring.as_ref().is_some_and(|measuring| measuring.is(pid))
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
        self.processes.alone.remove(&run);
        self.processes.doubted.remove(&run);
        self.end_input(run);
        self.processes.adopted.remove(&run);
        self.facts.gone.push(run);
        self.unlink_notify_socket(run);
    }

    /// An adopted process has ended.
    pub(super) fn adopted_ended(&mut self, run: RunId, exit: Exit, survivors: bool) {
        if !self.processes.adopted.contains(&run) {
            // It was known from the beginning.
            return;
        }
        self.ask_for_cause(run, exit);
        if !survivors {
            self.forget(run);
        }
        self.feed(run, supervise::Input::Exited { exit, survivors });
    }

    /// Nothing is left of an adopted process.
    pub(super) fn adopted_gone(&mut self, run: RunId) {
        self.forget(run);
        self.feed(run, supervise::Input::Gone);
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
            // That makes a one-off ready.
            Ok(SpawnProgress::Executed) if self.is_oneoff(run) => self.feed(run, supervise::Input::Ready),
            Ok(SpawnProgress::Executed) => {}
            Ok(SpawnProgress::Failed(failure)) => {
                let reason = program.describe(failure).into();
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

    fn is_oneoff(&self, run: RunId) -> bool {
        self.table.key_of(run).is_some_and(|key| shown(key.slot) == 0)
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

    /// Whoever of a starting process's group waits on the companion's socket makes it ready.
    pub(super) fn look(&mut self, run: RunId) {
        let companion = self.table.key_of(run).and_then(|key| self.table.companion(key.companion));
        let Some(companion) = companion else { return };
        // The group's leader, whichever process is the main one.
        let Some(leader) = self.processes.children.pid(run) else { return };
        let inodes = self.sockets.inodes(&companion.spec.name);
        let mut group = sys::procfs::group_of(leader).into_iter();
        if group.any(|member| sys::procfs::waits_on(member, &inodes)) {
            self.feed(run, supervise::Input::Ready);
        }
    }

    pub(super) fn feed(&mut self, run: RunId, input: supervise::Input) {
        self.table.handle(Input::Run { run, input }, now());
    }
}

/// The runs that have ended and in whose groups others live: looked up in /proc, once for all, for they may be
/// children of anybody's.
pub(super) fn with_survivors(saved: &Saved) -> BTreeSet<RunId> {
    let ended = saved.processes.iter().filter(|process| process.exit.is_some() && !process.is_reaped);
    let leaders: HashMap<i32, RunId> =
        ended.filter_map(|process| Some((process.pid?, process.run))).collect();
    if leaders.is_empty() {
        return BTreeSet::new();
    }
    let stats = sys::procfs::processes().into_iter().filter_map(sys::procfs::stat);
    let living = stats.filter(|stat| stat.state != 'Z');
    living.filter_map(|stat| leaders.get(&stat.pgrp).copied()).collect()
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
