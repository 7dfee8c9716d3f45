//! Children of every kind: their way to exec, their ends.
//!
//! An end is looked at first, then taken in, and the process is reaped when nothing is left of its group:
//! until then its number is reserved, so that nobody else's group can be hit.

use super::{Launching, Role, Shell, Source, Zombie};
use crate::hooks::{Child, Occasion};
use supervise::signal::SIGKILL;
use supervise::{Exit, Input, Monotonic, Phase, RunId};
use sys::cgroup::OUT_OF_MEMORY;
use sys::launch::Program;
use sys::reactor::Interest;
use sys::spawn::SpawnProgress;

impl Shell {
    pub(super) fn watch_launch(
        &mut self,
        run: RunId,
        status: std::os::fd::OwnedFd,
        program: Program,
    ) -> std::io::Result<()> {
        self.reactor.register(&status, Source::Exec(run).into(), Interest::READ)?;
        self.launching.insert(run, Launching { status, program });
        Ok(())
    }

    /// A child has become its program, or failed to.
    pub(super) fn handle_exec(&mut self, now: Monotonic, run: RunId) {
        let Some(launching) = self.launching.get(&run) else { return };
        let progress = sys::spawn::read_status(&launching.status);
        if matches!(progress, Ok(SpawnProgress::Pending)) {
            return;
        }
        let Some(launching) = self.launching.remove(&run) else { return };
        if let Err(error) = self.reactor.deregister(&launching.status) {
            tracing::error!("cannot stop watching a start: {error}");
        }
        if let Ok(SpawnProgress::Failed(failure)) = progress {
            let reason = launching.program.describe(failure);
            match self.roles.get(&run) {
                Some(Role::Worker) => {
                    let name = self.master.pool().name_of(run).unwrap_or_default();
                    tracing::error!("{name}: {reason}");
                    self.master.handle_worker(now, run, Input::NotExecuted { reason: reason.into() });
                }
                Some(Role::Hook) => self.hooks.not_executed(run, reason),
                _ => tracing::error!("{reason}"),
            }
        }
    }

    /// A child's main process has ended: looked at first, taken in, reaped when nothing is left of its group.
    pub(super) fn handle_exit(&mut self, now: Monotonic, run: RunId) {
        // What a failed start had to say comes before its end.
        self.handle_exec(now, run);
        let Some(&role) = self.roles.get(&run) else { return };
        let exit = match self.children.peek(run) {
            Ok(Some(exit)) => exit,
            Ok(None) => return,
            Err(_) if role == Role::Adopted => return self.adopted_reaped(run),
            Err(error) => {
                tracing::error!("cannot look at the end of a child: {error}");
                return;
            }
        };
        // What it said last comes before its end, too: even that another process counts in its place.
        self.handle_notices(now, run);
        if !matches!(self.children.peek(run), Ok(Some(_))) {
            return;
        }
        if let Some(pidfd) = self.children.get(run) {
            let _ = self.reactor.deregister(&pidfd);
        }
        let survivors = self.children.group_alive(run).unwrap_or(false);
        match role {
            Role::Worker => self.worker_ended(now, run, exit, survivors),
            Role::Adopted => return self.adopted_ended(run, exit, survivors),
            Role::Manager => self.manager_ended(now, run, exit),
            Role::Helper => {
                self.bury(run);
                return self.leftovers_ended(now, run, exit.status);
            }
            Role::Successor => {
                self.bury(run);
                return self.successor_ended(now, run, exit.status);
            }
            Role::Hook => self.hooks.ended(now, run, exit.status),
            Role::Resolver => {
                self.bury(run);
                self.resolver_ended(now, run, exit.status);
                return;
            }
            Role::Trial => {
                self.bury(run);
                return self.trial_ended(now, run);
            }
            Role::Measurer => {
                self.bury(run);
                self.measurer_ended(now, run);
                return;
            }
        }
        if survivors {
            self.zombies.push(Zombie { run, role, released: true, survivors });
            // What a hook leaves in its group is nobody's any more. In the manager's may be companions on their way.
            if role == Role::Hook {
                let _ = self.children.signal_group(run, SIGKILL);
            }
        } else {
            self.to_bury.push(run);
        }
    }

    /// Where SIGKILL has ended a worker and nobody here sent it, the kernel may tell why.
    fn ask_for_cause(&mut self, now: Monotonic, run: RunId, exit: Exit) {
        let phase = self.master.pool().unit_of(run).map(|unit| unit.phase());
        let is_unexplained = exit.status.is_killed() && !matches!(phase, Some(Phase::Stopping { .. }));
        if is_unexplained && self.out_of_memory.claims() {
            self.master.handle_worker(now, run, Input::Remark { text: OUT_OF_MEMORY.into() });
        }
    }

    fn worker_ended(&mut self, now: Monotonic, run: RunId, exit: Exit, survivors: bool) {
        self.ask_for_cause(now, run, exit);
        if let Some(told) = self.master.pool().tell_exit(now, run, &exit) {
            self.log(told);
        }
        if let Some((unit, launch)) = self.master.pool().unit_of(run).zip(self.master.pool().launch(run)) {
            let pid = unit.run().and_then(|run| run.pid).unwrap_or_default();
            let (slot, generation, status) = (launch.slot, launch.generation, exit.status);
            self.hooks.post(now, Occasion::WorkerExit { slot, generation, pid, status });
        }
        self.master.handle_worker(now, run, Input::Exited { exit, survivors });
    }

    /// Reaps what is left of a run and forgets it.
    pub(super) fn bury(&mut self, run: RunId) {
        self.drop_notify_socket(run);
        if self.children.get(run).is_some() {
            if let Err(error) = self.children.reap(run) {
                tracing::error!("cannot reap a child: {error}");
            }
        }
        self.roles.remove(&run);
        self.running.ended(run);
    }

    /// SIGCHLD: somebody has ended whom no pidfd tells of, or the last of a group.
    pub(super) fn handle_child_signal(&mut self, now: Monotonic) {
        self.suspect_stopped_manager();
        for zombie in std::mem::take(&mut self.zombies) {
            if let Some(zombie) = self.look_at_zombie(now, zombie) {
                self.zombies.push(zombie);
            }
        }
        if self.companions.may_reap_strays() {
            let companions = self.companions.pids();
            let is_of_hook = self.hook_members();
            let known = |pid| companions.contains(&pid) || self.tries.knows(pid) || is_of_hook(pid);
            match self.children.reap_strays(known) {
                Ok(strays) => {
                    for stray in strays {
                        tracing::debug!("stray process {} {}", stray.pid, stray.exit.status);
                        self.post_child_exit(now, Child::Stray, stray.pid, stray.exit.status);
                    }
                }
                Err(error) => tracing::error!("cannot reap strays: {error}"),
            }
        }
    }

    /// Buries a zombie whose group is empty; gives it back while it is not.
    pub(super) fn look_at_zombie(&mut self, now: Monotonic, mut zombie: Zombie) -> Option<Zombie> {
        if self.children.group_alive(zombie.run).unwrap_or(false) {
            return Some(zombie);
        }
        if std::mem::take(&mut zombie.survivors) {
            match zombie.role {
                Role::Worker => {
                    self.bury(zombie.run);
                    self.master.handle_worker(now, zombie.run, Input::Gone);
                    return None;
                }
                Role::Adopted => self.adopted_gone(zombie.run),
                Role::Manager
                | Role::Resolver
                | Role::Measurer
                | Role::Hook
                | Role::Helper
                | Role::Trial
                | Role::Successor => {}
            }
        }
        if !zombie.released {
            return Some(zombie);
        }
        self.forget_companion(zombie.run);
        self.bury(zombie.run);
        None
    }
}
