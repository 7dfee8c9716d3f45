//! The manager's process, and what it leaves when it dies.
//!
//! A manager may die at any instant. Its companions become arbiter's children then, because arbiter is
//! their sub-reaper; those that were on their way to exec have reported themselves over the link or will.
//! So: wait for the link's end (every holder has exec'd or died), adopt what the ledger has, start another
//! manager and hand it everything.

use super::custody::{Custody, LETTERS, LINK, RESPAWN, STEADY};
use super::{Role, Shell, Source, Zombie, now};
use crate::hooks::Child;
use crate::master::Event;
use anyhow::Context;
use proto::control::EventKind;
use proto::link::{Boot, ToManager, manager_title};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use supervise::signal::SIGKILL;
use supervise::unit::Change;
use supervise::{Exit, Monotonic, RunId};
use sys::launch::Program;
use sys::reactor::Interest;
use sys::seqpacket;
use sys::spawn::Command;

impl Shell {
    /// Starts a manager and hands it everything there is.
    pub(super) fn start_manager(&mut self, now: Monotonic) {
        let run = self.master.allot_run();
        match self.try_start_manager(now, run) {
            Ok(()) => self.master.handle(now, Event::ManagerBegun),
            Err(error) => {
                tracing::error!("cannot start the companion manager: {error:#}");
                self.retry_manager(now);
            }
        }
    }

    fn try_start_manager(&mut self, now: Monotonic, run: RunId) -> anyhow::Result<()> {
        let (ours, theirs) = seqpacket::pair().context("cannot create the link")?;
        let [stdout, stderr] = &self.outputs;
        let environment = self.origin.environment.iter();
        let command = Command {
            image: Some(self.companions.image.as_fd()),
            // The whole title, so that it has the room for it.
            argv: vec![CString::new(manager_title(&self.master.spec().name))?],
            env: environment.map(crate::resolver::pair).collect::<Result<_, _>>()?,
            fds: vec![
                (self.null.as_fd(), 0),
                (stdout.as_fd(), 1),
                (stderr.as_fd(), 2),
                (theirs.as_fd(), LINK),
            ],
            ..Command::default()
        };
        let spawned = sys::spawn::spawn(&command)?;
        drop(command);
        drop(theirs);
        let program = Program { name: "companion-manager".into(), ..Program::default() };
        self.watch_launch(run, spawned.status, program)?;
        self.watch_child(run, Role::Manager, spawned.pid, spawned.pidfd)?;
        self.reactor.register(&ours, Source::Link.into(), Interest::READ)?;
        self.companions.link = Some(ours);
        self.companions.awaiting_room = false;
        self.companions.custody = Custody::Up { run, since: now };
        self.companions.told = None;
        self.companions.pings.forget();
        tracing::info!("companion manager started, pid {}", spawned.pid);
        self.happens("manager", EventKind::Spawn { pid: spawned.pid });
        self.brief_manager()
    }

    /// Tells a new manager all it needs.
    fn brief_manager(&mut self) -> anyhow::Result<()> {
        let events = self.happenings.begin_anew();
        let companions = &self.companions;
        let control = &self.master.spec().control;
        let boot = ToManager::Boot(Box::new(Boot {
            arbiter: sys::process::pid(),
            control_socket: self.control_socket(false).map(str::to_owned),
            has_listener: companions.control.is_some(),
            allow_users: control.allow_users.clone(),
            allow_groups: control.allow_groups.clone(),
            notify_directory: self.notify.directory().to_string_lossy().into_owned(),
            log: self.master.spec().log.clone(),
            next_run: companions.ledger.next_run(),
            restarts: companions.restarts,
            stop: self.master.stop_of_companions(),
            events,
            is_watched: self.happenings.is_watched(),
            nofile: Some(self.nofile),
        }));
        let is_reaped = |run| self.children.leader(run).is_none();
        let saved = proto::codec::encode(&companions.ledger.saved(is_reaped));
        let mut descriptors = vec![
            companions.in_force.try_clone()?,
            sys::memfd::sealed(c"saved", &saved).context("cannot create a memory file")?,
        ];
        if let Some(control) = &companions.control {
            descriptors.push(control.listener().as_fd().try_clone_to_owned()?);
        }
        self.queue(&boot, descriptors);
        self.hand_over_processes()?;
        for (message, descriptors) in self.companions.captures.messages()? {
            self.queue(&message, descriptors);
        }
        self.hand_over_inputs()?;
        self.hand_over_sockets(false)?;
        if self.master.is_prepared() {
            self.hand_over_sockets(true)?;
            if let Some((message, descriptors)) = self.companions.candidate_message()? {
                self.queue(&message, descriptors);
            }
        }
        let status = self.status();
        self.queue(&ToManager::Status(Box::new(status.clone())), Vec::new());
        self.companions.told = Some(status);
        self.queue(&ToManager::Begin, Vec::new());
        let records: Vec<_> = self.companions.ledger.records().collect();
        for (relay, reply) in self.companions.relays.owed(records.iter()) {
            self.queue(&ToManager::Relayed { relay, reply }, Vec::new());
        }
        let notices: Vec<_> = self.companions.ledger.notices().cloned().collect();
        for (number, run, text) in notices {
            self.queue(&ToManager::Notified { number, run, text }, Vec::new());
        }
        for zombie in
            self.zombies.iter().filter(|zombie| zombie.role == Role::Adopted).copied().collect::<Vec<_>>()
        {
            if let Ok(Some(exit)) = self.children.peek(zombie.run) {
                let survivors = zombie.survivors;
                self.queue(&ToManager::Exited { run: zombie.run, exit, survivors }, Vec::new());
            }
        }
        Ok(())
    }

    fn hand_over_processes(&mut self) -> anyhow::Result<()> {
        let runs: Vec<RunId> = self.companions.ledger.processes().map(|(run, _)| run).collect();
        for batch in runs.chunks(proto::link::MAX_DESCRIPTORS) {
            let mut handed = Vec::new();
            let mut descriptors = Vec::new();
            for &run in batch {
                if let Some(pidfd) = self.children.leader(run) {
                    descriptors.push(pidfd.try_clone_to_owned()?);
                    handed.push(run);
                }
            }
            self.queue(&ToManager::Adopt { runs: handed }, descriptors);
        }
        let mut messages = Vec::new();
        let mains: Vec<_> = self.companions.mains.iter().collect();
        for batch in mains.chunks(proto::link::MAX_DESCRIPTORS) {
            let descriptors = batch.iter().map(|(_, main)| main.try_clone()).collect::<Result<_, _>>()?;
            let runs = batch.iter().map(|(run, _)| **run).collect();
            messages.push((ToManager::AdoptMains { runs }, descriptors));
        }
        for (message, descriptors) in messages {
            self.queue(&message, descriptors);
        }
        Ok(())
    }

    fn hand_over_inputs(&mut self) -> std::io::Result<()> {
        let inputs = self.companions.inputs.iter();
        let inputs: Vec<_> =
            inputs.flat_map(|(run, ends)| ends.iter().map(|(channel, end)| (*run, channel, end))).collect();
        let mut messages = Vec::new();
        for batch in inputs.chunks(proto::link::MAX_DESCRIPTORS - 1) {
            let inputs = batch.iter().map(|(run, channel, _)| (*run, (*channel).clone())).collect();
            let ends = batch.iter().map(|(_, _, end)| end.try_clone()).collect::<Result<_, _>>()?;
            messages.push((ToManager::Inputs { inputs }, ends));
        }
        for (message, descriptors) in messages {
            self.queue(&message, descriptors);
        }
        Ok(())
    }

    /// Hands the manager the sockets held for companions, those of a new configuration under way if so.
    pub(super) fn hand_over_sockets(&mut self, for_candidate: bool) -> std::io::Result<()> {
        let mut messages = Vec::new();
        let held = self.listeners.of_companions(for_candidate);
        let batches = held.chunks(proto::link::MAX_DESCRIPTORS);
        // None is worth a message too: what was told before is void.
        for batch in batches.chain(held.is_empty().then_some(&[][..])) {
            let sockets = batch.iter().map(|(named, _)| named.clone()).collect();
            let descriptors = batch.iter().map(|(_, socket)| socket.try_clone_to_owned());
            let is_first = messages.is_empty();
            let message = ToManager::Sockets { for_candidate, is_first, sockets };
            messages.push((message, descriptors.collect::<Result<_, _>>()?));
        }
        for (message, descriptors) in messages {
            self.queue(&message, descriptors);
        }
        Ok(())
    }

    /// The manager has died: what it started becomes arbiter's.
    pub(super) fn manager_ended(&mut self, now: Monotonic, run: RunId, exit: Exit) {
        let Custody::Up { run: current, since } = self.companions.custody else { return };
        if current != run {
            return;
        }
        let pid = self.children.pid(run).unwrap_or_default();
        self.post_child_exit(now, Child::Manager, pid, exit.status);
        let change = Change::Ended {
            pid: Some(pid),
            status: Some(exit.status),
            requested: self.companions.retiring || !self.master.needs_manager(),
        };
        self.happens("manager", EventKind::of(change, false));
        if now.since(since) > STEADY {
            self.companions.early_deaths = 0;
        }
        self.companions.custody = Custody::Dead { run, deadline: now + LETTERS };
        self.companions.outbox.clear();
        self.master.handle(now, Event::ManagerGone);
        if self.master.needs_manager() && self.companions.retiring {
            tracing::info!("the companion manager has left: starting another, its companions run on");
        } else if self.master.needs_manager() {
            tracing::error!("the companion manager {}: starting another, its companions run on", exit.status);
        }
        if self.companions.link.is_none() {
            self.adopt_companions(now, run);
        }
    }

    /// The link has ended: all letters are read.
    pub(super) fn link_ended(&mut self, now: Monotonic) {
        if let Some(link) = self.companions.link.take() {
            let _ = self.reactor.deregister(&link);
        }
        match self.companions.custody {
            // Its end may be seen before its death is; a manager that lives on without the link is of no use.
            Custody::Up { run, .. } => {
                let lives = self.children.peek(run).is_ok_and(|exit| exit.is_none());
                // One that was told to leave closes it on its way out.
                if lives && self.master.needs_manager() && !self.companions.retiring {
                    tracing::error!("the companion manager closed the link: killing it");
                    let _ = self.children.signal(run, SIGKILL);
                }
                self.handle_exit(now, run);
            }
            Custody::Dead { run, .. } => self.adopt_companions(now, run),
            Custody::Absent { .. } => {}
        }
    }

    fn adopt_companions(&mut self, now: Monotonic, manager: RunId) {
        // Who was on the way to a group of its own is in it: what the manager's has left is nobody's.
        let _ = self.children.signal_group(manager, SIGKILL);
        self.child_signal = true;
        for run in self.companions.ledger.forget_unborn() {
            self.forget_companion(run);
        }
        let processes: Vec<_> = self.companions.ledger.processes().collect();
        for (run, pid) in processes {
            if self.children.get(run).is_some() {
                continue;
            }
            match self.companions.pidfds.remove(&run) {
                Some(pidfd) => {
                    if let Err(error) = self.adopt(run, pid, pidfd) {
                        tracing::error!("cannot watch the companion process {pid}: {error}");
                    }
                }
                // The manager before that has reaped it.
                None if self.companions.ledger.exit_of(run).is_some() => {}
                None => tracing::error!("companion process {pid} came without a descriptor"),
            }
        }
        if self.master.is_to_be_replaced() {
            // The next program starts one of its own, which is another one, too: its requests are numbered apart.
            self.companions.restarts += 1;
            self.companions.retiring = false;
            self.companions.custody = Custody::Absent { retry_at: None };
        } else if self.master.needs_manager() {
            self.retry_manager(now);
        } else {
            self.companions.custody = Custody::Absent { retry_at: None };
        }
    }

    fn adopt(&mut self, run: RunId, pid: i32, pidfd: OwnedFd) -> std::io::Result<()> {
        self.watch_child(run, Role::Adopted, pid, pidfd)?;
        let ledger = &self.companions.ledger;
        // Of one that has been told as ended, only what is left of its group counts.
        if let Some(main) = self.companions.mains.get(&run).filter(|_| ledger.exit_of(run).is_none()) {
            let (main, pid) = (main.try_clone()?, ledger.main_of(run).unwrap_or(pid));
            self.follow_main(run, pid, Some(main));
        }
        Ok(())
    }

    fn retry_manager(&mut self, now: Monotonic) {
        // One that was asked to leave is no failure, and its successor is awaited.
        let wait = if std::mem::take(&mut self.companions.retiring) {
            Duration::ZERO
        } else {
            self.companions.early_deaths += 1;
            RESPAWN[(self.companions.early_deaths - 1).min(RESPAWN.len() - 1)]
        };
        self.companions.restarts += 1;
        self.companions.custody = Custody::Absent { retry_at: Some(now + wait) };
        if wait.is_zero() {
            self.handle_manager_deadline(now);
        }
    }

    pub(super) fn handle_manager_deadline(&mut self, at: Monotonic) {
        match self.companions.custody {
            Custody::Absent { retry_at: Some(retry_at) } if retry_at <= at => {
                self.companions.custody = Custody::Absent { retry_at: None };
                if self.master.needs_manager() {
                    self.start_manager(now());
                }
            }
            Custody::Dead { run, deadline } if deadline <= at => {
                self.kill_unexecuted();
                // The last letters are in the queue by now, or will never be.
                self.companions.custody = Custody::Dead { run, deadline: at + LETTERS };
            }
            Custody::Up { run, .. } => self.kill_silent_manager(run, at),
            Custody::Absent { .. } | Custody::Dead { .. } => {}
        }
    }

    /// Kills a manager that has owed an answer for too long; another takes over what it has.
    fn kill_silent_manager(&mut self, run: RunId, at: Monotonic) {
        if !self.companions.pings.is_overdue(at) {
            return;
        }
        let pid = self.children.pid(run).unwrap_or_default();
        if sys::procfs::is_traced(pid) {
            // Somebody looks at it with a debugger.
            return self.companions.pings.forgive(at);
        }
        let seconds = crate::pings::PATIENCE.as_secs();
        tracing::error!("the companion manager (pid {pid}) has not answered for {seconds} s: killing it");
        self.companions.pings.forget();
        if let Err(error) = self.children.signal(run, SIGKILL) {
            tracing::error!("the companion manager cannot be killed: {error}");
        }
    }

    /// A manager that somebody has stopped is asked whether it answers, though it was told nothing.
    pub(super) fn suspect_stopped_manager(&mut self) {
        let Custody::Up { run, .. } = self.companions.custody else { return };
        if self.children.is_stopped(run) {
            self.companions.pings.said();
        }
    }

    /// Kills children that still run the manager's image: they have not reached anybody's code.
    fn kill_unexecuted(&self) {
        let Ok(image) = sys::fd::identity(&self.companions.image) else { return };
        for pid in sys::procfs::own_children() {
            let same = sys::procfs::executable(pid).is_some_and(|(_, executable)| executable == image);
            if same && self.children.key_of(pid).is_none() {
                tracing::warn!("process {pid} was stuck before its program started: killed");
                let _ = sys::process::send_signal(pid, 9);
            }
        }
    }

    /// An adopted companion's main process has ended. Its number stays reserved until a manager says that the run is
    /// gone: one that had only told of its end may have died before the records knew of it.
    pub(super) fn adopted_ended(&mut self, run: RunId, exit: Exit, survivors: bool) {
        self.companions.ledger.ended(run, exit);
        // At the end there is no manager any more who could let go of it.
        let released = !self.master.needs_manager() || !self.companions.ledger.contains(run);
        if released && !survivors {
            self.forget_companion(run);
            self.bury(run);
            return;
        }
        self.zombies.push(Zombie { run, role: Role::Adopted, released, survivors });
        self.tell_manager(ToManager::Exited { run, exit, survivors });
    }

    /// The manager before has reaped an adopted process, and died before it could say that nothing is left of it.
    /// The next one has to hear of its end all the same.
    pub(super) fn adopted_reaped(&mut self, run: RunId) {
        if let Some(pidfd) = self.children.forget(run) {
            let _ = self.reactor.deregister(&pidfd);
        }
        self.bury(run);
        let ledger = &self.companions.ledger;
        if !self.master.needs_manager() {
            self.forget_companion(run);
        } else if ledger.contains(run) && ledger.exit_of(run).is_none() {
            // No manager reaps before it tells: whatever has done so, the slot is free.
            tracing::error!("the end of a companion's process was not told");
            self.forget_companion(run);
            self.adopted_gone(run);
        }
    }

    pub(super) fn adopted_gone(&mut self, run: RunId) {
        self.tell_manager(ToManager::Gone { run });
    }

    /// The manager has no more use for a run's number: it has taken in that nothing is left of it.
    pub(super) fn let_go(&mut self, now: Monotonic, run: RunId) {
        self.forget_companion(run);
        let index = self.zombies.iter().position(|zombie| zombie.run == run);
        match index.map(|index| self.zombies.swap_remove(index)) {
            Some(mut zombie) => {
                zombie.released = true;
                if let Some(zombie) = self.look_at_zombie(now, zombie) {
                    self.zombies.push(zombie);
                }
            }
            // It was adopted, and its end has not been looked at yet.
            None if self.roles.get(&run) == Some(&Role::Adopted) => self.handle_exit(now, run),
            None => {}
        }
    }

    /// Nothing is left of a companion's run.
    pub(super) fn forget_companion(&mut self, run: RunId) {
        self.companions.ledger.gone(run);
        self.running.ended(run);
        self.companions.pidfds.remove(&run);
        self.companions.mains.remove(&run);
        self.companions.inputs.remove(&run);
        self.drop_notify_socket(run);
    }

    /// The manager has not stopped its companions in time: arbiter ends them, and the manager.
    pub(super) fn kill_companions(&mut self) {
        for main in self.companions.mains.values() {
            // It may have made a group of its own; one that has ended is no news.
            let _ = sys::pidfd::send_signal(main, 9);
        }
        for (run, pid) in self.companions.ledger.processes().collect::<Vec<_>>() {
            let killed = match (self.children.get(run), self.companions.pidfds.get(&run)) {
                (Some(_), _) => self.children.signal_group(run, 9),
                (None, Some(pidfd)) => sys::pidfd::signal_group(pidfd, pid, 9),
                (None, None) => Ok(()),
            };
            if let Err(error) = killed {
                tracing::warn!("cannot kill the companion process {pid}: {error}");
            }
        }
        if let Custody::Up { run, .. } = self.companions.custody {
            let _ = self.children.signal_group(run, 9);
        }
    }
}
