//! Children of every kind: their way to exec, their ends.
//!
//! An end is looked at first, then taken in, and the process is reaped when nothing is left of its group:
//! until then its number is reserved, so that nobody else's group can be hit.

use super::{Launching, Role, Shell, Source, Zombie};
use supervise::unit::{Cause, Phase};
use supervise::{Exit, Input, Monotonic, RunId};
use sys::launch::Program;
use sys::reactor::Interest;
use sys::spawn::SpawnProgress;

const SIGKILL: i32 = 9;

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
            let reason = failure.describe(&launching.program.name, Some(&launching.program.cwd));
            match self.roles.get(&run) {
                Some(Role::Worker) => {
                    let name = self.master.pool().name_of(run).unwrap_or_default();
                    tracing::error!("{name}: {reason}");
                    self.master.handle_worker(now, run, Input::NotExecuted { reason: reason.into() });
                }
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
            Err(error) => {
                tracing::error!("cannot look at the end of a child: {error}");
                return;
            }
        };
        // What it said last comes before its end, too.
        self.handle_notices(now, run);
        if let Some(pidfd) = self.children.get(run) {
            let _ = self.reactor.deregister(&pidfd);
        }
        let survivors = self.children.group_alive(run).unwrap_or(false);
        match role {
            Role::Worker => self.worker_ended(now, run, exit, survivors),
            Role::Adopted => return self.adopted_ended(run, exit, survivors),
            Role::Manager => self.manager_ended(now, run, exit),
            Role::Resolver => {
                self.bury(run);
                self.resolver_ended(now, run, exit.status);
                return;
            }
        }
        if survivors {
            self.zombies.push(Zombie { run, role, released: true, survivors });
            // What a manager or a helper leaves in its group is nobody's any more.
            if role != Role::Worker {
                let _ = self.children.signal_group(run, SIGKILL);
            }
        } else {
            self.to_bury.push(run);
        }
    }

    fn worker_ended(&mut self, now: Monotonic, run: RunId, exit: Exit, survivors: bool) {
        if let Some((name, unit)) = self.master.pool().name_of(run).zip(self.master.pool().unit_of(run)) {
            let pid = self.children.pid(run).unwrap_or_default();
            let (phase, expected) = match unit.phase() {
                Phase::Starting { .. } => ("while starting", false),
                Phase::Stopping { cause: Cause::Unready | Cause::Unhealthy, .. } => {
                    ("while being aborted", true)
                }
                Phase::Stopping { .. } => ("while stopping", true),
                _ => ("while serving", false),
            };
            let used = (exit.user_time + exit.system_time).as_secs_f64();
            let memory = exit.max_rss_kib / 1024;
            let text =
                format!("{name}: pid {pid} {} {phase} ({used:.2} s of cpu, {memory} MiB)", exit.status);
            if expected { tracing::info!("{text}") } else { tracing::warn!("{text}") }
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
    }

    /// SIGCHLD: somebody has ended whom no pidfd tells of, or the last of a group.
    pub(super) fn handle_child_signal(&mut self, now: Monotonic) {
        for zombie in std::mem::take(&mut self.zombies) {
            if let Some(zombie) = self.look_at_zombie(now, zombie) {
                self.zombies.push(zombie);
            }
        }
        if self.companions.may_reap_strays() {
            let companions = self.companions.pids();
            match self.children.reap_strays(|pid| companions.contains(&pid)) {
                Ok(strays) => {
                    for stray in strays {
                        tracing::debug!("stray process {} {}", stray.pid, stray.exit.status);
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
                Role::Manager | Role::Resolver => {}
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
