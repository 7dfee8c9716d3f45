//! Starting workers, signalling them, and telling of them.

use super::{Role, Shell, Source};
use proto::spec::WorkersSpec;
use std::os::fd::AsFd;
use supervise::unit::Note;
use supervise::{Action, Input, Monotonic, RunId};
use sys::launch::{Launch, Output, Place};
use sys::reactor::Interest;

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
        let notify = self.notify.take(owner)?;
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
            stdin: self.null.as_fd(),
            outputs: [Output::Open(stdout.as_fd()), Output::Open(stderr.as_fd())],
            notify_socket: Some(notify.path()),
            watchdog: crate::pool::heartbeat_period(spec),
            nofile: Some(self.nofile),
            parent_death_signal: Some(SIGKILL),
            letter: None,
        };
        let (command, program) = launch.command()?;
        self.reactor.register(&notify, Source::Notify(run).into(), Interest::READ)?;
        let spawned = sys::spawn::spawn(&command)?;
        drop(command);
        let (pid, generation, slot) = (spawned.pid, plan.generation, plan.slot);
        self.watch_child(run, Role::Worker, pid, spawned.pidfd)?;
        self.watch_launch(run, spawned.status, program)?;
        self.notify_sockets.insert(run, notify);
        tracing::info!("worker {slot} (generation {generation}): started, pid {pid}");
        Ok(pid)
    }
}
