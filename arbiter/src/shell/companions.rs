//! The manager's process, and what it leaves when it dies.
//!
//! A manager may die at any instant. Its companions become arbiter's children then, because arbiter is
//! their sub-reaper; those that were on their way to exec have reported themselves over the link or will.
//! So: wait for the link's end (every holder has exec'd or died), adopt what the ledger has, start another
//! manager and hand it everything.

use super::custody::{Custody, LETTERS, LINK, RESPAWN, STEADY};
use super::{Role, Shell, Source, Zombie, now};
use crate::master::Event;
use anyhow::Context;
use proto::link::{Boot, ToManager};
use std::os::fd::AsFd;
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
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let environment = self.origin.environment.iter();
        let command = Command {
            image: Some(self.companions.image.as_fd()),
            argv: vec![c"companion-manager".into()],
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
        let program = Program { name: "companion-manager".into(), cwd: String::new() };
        self.watch_launch(run, spawned.status, program)?;
        self.watch_child(run, Role::Manager, spawned.pid, spawned.pidfd)?;
        self.reactor.register(&ours, Source::Link.into(), Interest::READ)?;
        self.companions.link = Some(ours);
        self.companions.awaiting_room = false;
        self.companions.custody = Custody::Up { run, since: now };
        self.companions.told = None;
        tracing::info!("companion manager started, pid {}", spawned.pid);
        self.brief_manager()
    }

    /// Tells a new manager all it needs.
    fn brief_manager(&mut self) -> anyhow::Result<()> {
        let companions = &self.companions;
        let control = &self.master.spec().control;
        let boot = ToManager::Boot(Box::new(Boot {
            arbiter: sys::process::pid(),
            control_socket: companions.control_socket().map(str::to_owned),
            has_listener: companions.control.is_some(),
            allow_users: control.allow_users.clone(),
            allow_groups: control.allow_groups.clone(),
            notify_directory: self.notify.directory().to_string_lossy().into_owned(),
            log: self.master.spec().log.clone(),
            next_run: companions.ledger.next_run(),
            restarts: companions.restarts,
            stop: self.master.stop_of_companions(),
            nofile: Some(self.nofile),
        }));
        let saved = proto::codec::encode(&companions.ledger.saved());
        let mut descriptors = vec![
            companions.in_force.try_clone()?,
            sys::memfd::sealed(c"saved", &saved).context("cannot create a memory file")?,
        ];
        if let Some(control) = &companions.control {
            descriptors.push(control.listener().as_fd().try_clone_to_owned()?);
        }
        self.queue(&boot, descriptors);
        self.hand_over_processes()?;
        let status = self.status();
        self.queue(&ToManager::Status(Box::new(status.clone())), Vec::new());
        self.companions.told = Some(status);
        self.queue(&ToManager::Begin, Vec::new());
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
                if let Some(pidfd) = self.children.get(run) {
                    descriptors.push(pidfd.try_clone_to_owned()?);
                    handed.push(run);
                }
            }
            self.queue(&ToManager::Adopt { runs: handed }, descriptors);
        }
        Ok(())
    }

    /// The manager has died: what it started becomes arbiter's.
    pub(super) fn manager_ended(&mut self, now: Monotonic, run: RunId, exit: Exit) {
        let Custody::Up { run: current, since } = self.companions.custody else { return };
        if current != run {
            return;
        }
        if now.since(since) > STEADY {
            self.companions.early_deaths = 0;
        }
        self.companions.custody = Custody::Dead { deadline: now + LETTERS };
        self.companions.outbox.clear();
        self.master.handle(now, Event::ManagerGone);
        if self.master.needs_manager() {
            tracing::error!("the companion manager {}: starting another, its companions run on", exit.status);
        }
        if self.companions.link.is_none() {
            self.adopt_companions(now);
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
                if self.children.peek(run).is_ok_and(|exit| exit.is_none()) && self.master.needs_manager() {
                    tracing::error!("the companion manager closed the link: killing it");
                    let _ = self.children.signal(run, 9);
                }
                self.handle_exit(now, run);
            }
            Custody::Dead { .. } => self.adopt_companions(now),
            Custody::Absent { .. } => {}
        }
    }

    fn adopt_companions(&mut self, now: Monotonic) {
        self.companions.ledger.forget_unborn();
        let processes: Vec<_> = self.companions.ledger.processes().collect();
        for (run, pid) in processes {
            if self.children.get(run).is_some() {
                continue;
            }
            match self.companions.pidfds.remove(&run) {
                Some(pidfd) => {
                    if let Err(error) = self.watch_child(run, Role::Adopted, pid, pidfd) {
                        tracing::error!("cannot watch the companion process {pid}: {error}");
                    }
                }
                None => tracing::error!("companion process {pid} came without a descriptor"),
            }
        }
        if self.master.needs_manager() {
            self.retry_manager(now);
        } else {
            self.companions.custody = Custody::Absent { retry_at: None };
        }
    }

    fn retry_manager(&mut self, now: Monotonic) {
        let wait = RESPAWN[self.companions.early_deaths.min(RESPAWN.len() - 1)];
        self.companions.early_deaths += 1;
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
            Custody::Dead { deadline } if deadline <= at => {
                self.kill_unexecuted();
                // The last letters are in the queue by now, or will never be.
                self.companions.custody = Custody::Dead { deadline: at + LETTERS };
            }
            Custody::Absent { .. } | Custody::Up { .. } | Custody::Dead { .. } => {}
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

    /// An adopted companion's main process has ended. Its number stays reserved until the manager lets go.
    pub(super) fn adopted_ended(&mut self, run: RunId, exit: Exit, survivors: bool) {
        // The manager before had told of this end: nothing is to be decided about it any more.
        let known = self.companions.ledger.exit_of(run).is_some();
        self.companions.ledger.ended(run, exit);
        // At the end there is no manager any more who could let go of it.
        let released = !self.master.needs_manager();
        if (known || released) && !survivors {
            self.forget_companion(run);
            self.bury(run);
            return;
        }
        self.zombies.push(Zombie { run, role: Role::Adopted, released, survivors });
        self.tell_manager(ToManager::Exited { run, exit, survivors });
    }

    pub(super) fn adopted_gone(&mut self, run: RunId) {
        self.tell_manager(ToManager::Gone { run });
    }

    /// The manager has no more use for a run's number.
    pub(super) fn release(&mut self, now: Monotonic, run: RunId) {
        let Some(index) = self.zombies.iter().position(|zombie| zombie.run == run) else { return };
        let mut zombie = self.zombies.swap_remove(index);
        zombie.released = true;
        if let Some(zombie) = self.look_at_zombie(now, zombie) {
            self.zombies.push(zombie);
        }
    }

    /// Nothing is left of a companion's run.
    pub(super) fn forget_companion(&mut self, run: RunId) {
        self.companions.ledger.gone(run);
        self.companions.pidfds.remove(&run);
        self.drop_notify_socket(run);
    }

    /// The manager has not stopped its companions in time: arbiter ends them, and the manager.
    pub(super) fn kill_companions(&mut self) {
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
