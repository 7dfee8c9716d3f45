//! Starting workers, signalling them, and telling of them.

use super::{Role, Shell, Source};
use crate::hooks::Occasion;
use crate::pool::{self, Weight};
use proto::spec::WorkersSpec;
use std::os::fd::AsFd;
use supervise::signal::SIGKILL;
use supervise::unit::Note;
use supervise::{Action, Input, Monotonic, RunId};
use sys::launch::{Launch, Output, Place};
use sys::reactor::Interest;

impl Shell {
    pub(super) fn act_on_worker(&mut self, now: Monotonic, action: Action) {
        match action {
            Action::Spawn { run } => self.start_worker_after_hook(now, run),
            Action::Signal { run, .. } | Action::Kill { run } if self.withdraw_worker(now, run) => {}
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
            Action::Note { run, note } => self.log_note(now, run, note),
        }
    }

    /// Starts a worker's process.
    pub(super) fn start_worker(&mut self, now: Monotonic, run: RunId) {
        let input = match self.spawn_worker(now, run) {
            Ok(pid) => Input::Spawned { pid },
            Err(error) => {
                let name = self.master.pool().name_of(run).unwrap_or_default();
                self.log((Weight::Error, format!("{name}: cannot be started: {error:#}")));
                Input::NotSpawned { reason: format!("cannot be started: {error:#}").into() }
            }
        };
        self.master.handle_worker(now, run, input);
    }

    /// A signal to a process that has just ended is no news; anything else is.
    fn expect_sent(&self, run: RunId, sent: std::io::Result<()>) {
        match sent {
            Err(error) if self.children.peek(run).is_ok_and(|exit| exit.is_none()) => {
                let name = self.master.pool().name_of(run).unwrap_or_default();
                self.log((Weight::Warn, format!("{name}: cannot be signalled: {error}")));
            }
            _ => {}
        }
    }

    /// Writes a line that may be about a worker.
    pub(super) fn log(&self, (weight, line): (Weight, String)) {
        let (worker, pid) = self.master.pool().subject_of(&line).unzip();
        let pid = pid.flatten();
        match weight {
            Weight::Info => tracing::info!(worker, pid, "{line}"),
            Weight::Warn => tracing::warn!(worker, pid, "{line}"),
            Weight::Error => tracing::error!(worker, pid, "{line}"),
        }
    }

    fn log_note(&self, now: Monotonic, run: RunId, note: Note) {
        if let Some(told) = self.master.pool().tell_note(now, run, note) {
            self.log(told);
        }
    }

    /// Where a listener has a socket for each slot: clients come where a worker serves.
    pub(super) fn follow_slots(&mut self) {
        if !self.listeners.are_per_slot() {
            return;
        }
        let members = || self.master.pool().members();
        let there = members().map(|member| member.slot).collect();
        let serving = members().filter(|member| member.ready && member.role != pool::Role::Leaving);
        let serving = serving.map(|member| member.slot).collect();
        self.listeners.follow_slots(&there, serving);
    }

    /// Whether a worker is for a configuration that is not in force yet.
    pub(super) fn is_for_candidate(&self, plan: &pool::Launch) -> bool {
        plan.generation > self.master.pool().generation()
    }

    fn spawn_worker(&mut self, now: Monotonic, run: RunId) -> anyhow::Result<i32> {
        let plan = self.master.pool().launch(run).expect("the pool asks only for runs that it has");
        let spec: &WorkersSpec = &plan.settings.spec;
        let for_candidate = self.is_for_candidate(&plan);
        let owner = spec.process.identity.as_ref().map(|identity| identity.uid);
        self.listeners.prepare(for_candidate, plan.slot).map_err(anyhow::Error::msg)?;
        let notify = self.notify.take(owner)?;
        let [stdout, stderr] = &self.outputs;
        let variables = self.listeners.variables(for_candidate);
        let launch = Launch {
            spec: &spec.process,
            inherited: &self.origin.environment,
            place: place(&plan, &self.master.spec().name, self.control_socket(for_candidate)),
            variables: variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
            listeners: self.listeners.inherited(for_candidate, plan.slot),
            listen: None,
            streams: Vec::new(),
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
        tracing::info!(worker = slot, pid, "worker {slot} (generation {generation}): started, pid {pid}");
        self.hooks.post(now, Occasion::PostFork { slot, generation, pid });
        Ok(pid)
    }
}

/// Which copy of what a worker is.
pub(super) fn place<'a>(plan: &pool::Launch, name: &'a str, control_socket: Option<&'a str>) -> Place<'a> {
    let (slot, generation) = (plan.slot, plan.generation);
    Place { arbiter: sys::process::pid(), name, slot, generation, control_socket }
}
