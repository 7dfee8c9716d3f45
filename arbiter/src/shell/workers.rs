//! Workers: their processes, and the ends of all children.

use super::{Launching, Role, Shell, Source, Zombie};
use crate::master::Event;
use proto::spec::WorkersSpec;
use std::os::fd::AsFd;
use supervise::unit::{Note, Phase};
use supervise::{Action, Exit, Input, Monotonic, RunId};
use sys::launch::{Launch, Output, Place, Program};
use sys::notify::NotifySocket;
use sys::reactor::Interest;
use sys::spawn::SpawnProgress;

/// What the kernel sends a worker when arbiter dies.
const SIGKILL: i32 = 9;

impl Shell {
    pub(super) fn act_on_worker(&mut self, now: Monotonic, action: Action) {
        match action {
            Action::Spawn { run } => {
                let input = match self.spawn_worker(run) {
                    Ok(pid) => Input::Spawned { pid },
                    Err(error) => {
                        let name = self.master.pool().name_of(run).unwrap_or_default();
                        tracing::error!("{name}: cannot be started: {error:#}");
                        Input::NotSpawned { reason: format!("cannot be started: {error:#}").into() }
                    }
                };
                self.master.handle_worker(now, run, input);
            }
            Action::Signal { run, signal, group } => {
                let sent = if group {
                    self.children.signal_group(run, signal)
                } else {
                    self.children.signal(run, signal)
                };
                self.expect_sent(run, sent);
            }
            Action::Kill { run } => {
                let sent = self.children.signal_group(run, SIGKILL);
                self.expect_sent(run, sent);
            }
            Action::Note { run, note } => self.log_note(run, note),
        }
    }

    /// A signal to a process that has just ended is no news; anything else is.
    fn expect_sent(&self, run: RunId, sent: std::io::Result<()>) {
        match sent {
            Err(error) if self.children.peek(run).is_ok_and(|exit| exit.is_none()) => {
                let name = self.master.pool().name_of(run).unwrap_or_default();
                tracing::warn!("{name}: cannot be signalled: {error}");
            }
            _ => {}
        }
    }

    fn log_note(&self, run: RunId, note: Note) {
        let Some(name) = self.master.pool().name_of(run) else { return };
        match note {
            Note::Ready { assumed: false } => tracing::info!("{name}: ready"),
            Note::Ready { assumed: true } => tracing::warn!(
                "{name}: was never seen waiting on a listener, taken as ready; set workers.ready to say how it tells"
            ),
            Note::Unready => tracing::warn!("{name}: was not ready within its start_timeout, aborting it"),
            Note::Killed => tracing::warn!("{name}: did not leave in time, killed"),
            Note::Stuck => tracing::error!("{name}: still there 10 s after SIGKILL"),
            Note::Ended => {}
        }
    }

    fn spawn_worker(&mut self, run: RunId) -> anyhow::Result<i32> {
        let plan = self.master.pool().launch(run).expect("the pool asks only for runs that it has");
        let spec: &WorkersSpec = &plan.settings.spec;
        let for_candidate = plan.generation > self.master.pool().generation();
        let owner = spec.process.identity.as_ref().map(|identity| identity.uid);
        let notify = NotifySocket::bind(&self.notify.path().join(run.to_string()), owner)?;
        let null = sys::fd::null()?;
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let launch = Launch {
            spec: &spec.process,
            inherited: &self.origin.environment,
            place: Place {
                arbiter: sys::process::pid(),
                name: &self.master.spec().name,
                slot: plan.slot,
                generation: plan.generation,
                control_socket: self.companions.control_socket(),
            },
            variables: Vec::new(),
            listeners: self.listeners.inherited(for_candidate),
            stdin: null.as_fd(),
            outputs: [Output::Open(stdout.as_fd()), Output::Open(stderr.as_fd())],
            notify_socket: Some(notify.path()),
            nofile: Some(self.nofile),
            parent_death_signal: Some(SIGKILL),
            letter: None,
        };
        let (command, program) = launch.command()?;
        let spawned = sys::spawn::spawn(&command)?;
        drop(command);
        let (pid, generation, slot) = (spawned.pid, plan.generation, plan.slot);
        self.reactor.register(&notify, Source::Notify(run).into(), Interest::READ)?;
        self.notify_sockets.insert(run, notify);
        self.watch_launch(run, spawned.status, program)?;
        self.watch_child(run, Role::Worker, pid, spawned.pidfd)?;
        tracing::info!("worker {slot} (generation {generation}): started, pid {pid}");
        Ok(pid)
    }

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
            self.bury(run);
        }
    }

    fn worker_ended(&mut self, now: Monotonic, run: RunId, exit: Exit, survivors: bool) {
        if let Some((name, unit)) = self.master.pool().name_of(run).zip(self.master.pool().unit_of(run)) {
            let pid = self.children.pid(run).unwrap_or_default();
            let (phase, expected) = match unit.phase() {
                Phase::Starting { .. } => ("while starting", false),
                Phase::Stopping { .. } => ("while stopping", true),
                _ => ("while serving", false),
            };
            let used = (exit.user_time + exit.system_time).as_secs_f64();
            let memory = exit.max_rss_kib / 1024;
            let text =
                format!("{name}: pid {pid} {} {phase} ({used:.2} s of cpu, {memory} MiB)", exit.status);
            if expected { tracing::info!("{text}") } else { tracing::warn!("{text}") }
        }
        if !survivors {
            self.bury(run);
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

    /// Tells the master of something outside its workers.
    pub(super) fn inform(&mut self, now: Monotonic, event: Event) {
        self.master.handle(now, event);
    }
}
