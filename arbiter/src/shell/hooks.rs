//! Running hooks, and what waits for them.

use super::{Role, Shell, clocks};
use crate::hooks::{Child, HookAction, Hooks, Occasion};
use crate::master::Event;
use anyhow::Context;
use proto::spec::{HookEvent, HookSpec};
use std::fs::File;
use std::io::Seek;
use std::os::fd::{AsFd, OwnedFd};
use supervise::signal::SIGKILL;
use supervise::{ExitStatus, Input, Monotonic, RunId};
use sys::launch::{Launch, Output, Place};

/// What waits for a hook to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Everything.
    Start,
    /// A worker's process.
    Worker(RunId),
    /// Another master beside this one.
    Successor(RunId),
    /// The replacement of arbiter's own program.
    Upgrade,
    /// arbiter's end.
    End,
}

/// The hooks of this shell.
pub(super) type ShellHooks = Hooks<Waiting>;

impl Shell {
    /// Does what the hooks' machine wants. Returns whether there was anything.
    pub(super) fn act_on_hooks(&mut self, now: Monotonic) -> bool {
        let actions = self.hooks.take_actions();
        let any = !actions.is_empty();
        for action in actions {
            match action {
                HookAction::Start { run, spec, occasion, at } => {
                    if let Err(error) = self.start_hook(run, &spec, &occasion, at) {
                        self.hooks.not_started(now, run, &format!("{error:#}"));
                    }
                }
                HookAction::Kill { run } => {
                    // It may have ended already; its end is taken in like any other.
                    let _ = self.children.signal_group(run, SIGKILL);
                }
                HookAction::Over { waiting, result } => self.hook_over(now, waiting, result),
                HookAction::Warn(text) => tracing::warn!("{text}"),
            }
        }
        any
    }

    fn hook_over(&mut self, now: Monotonic, waiting: Waiting, result: Result<(), String>) {
        match (waiting, result) {
            (Waiting::Start, result) => self.master.opened(now, result),
            (Waiting::Worker(run), result) => {
                if let (Err(reason), Some(name)) = (result, self.master.pool().name_of(run)) {
                    tracing::warn!("{name}: {reason}: starting it all the same");
                }
                self.start_worker(now, run);
            }
            (Waiting::Successor(run), Ok(())) => self.start_successor(now, run),
            (Waiting::Successor(run), Err(reason)) => {
                tracing::error!("no other arbiter is started: {reason}");
                self.master.handle(now, Event::SuccessorGone { run });
            }
            (Waiting::Upgrade, Ok(())) => self.try_upgrade(now),
            (Waiting::Upgrade, Err(reason)) => self.master.tried_to_upgrade(now, Err(reason)),
            (Waiting::End, result) => {
                if let Err(reason) = result {
                    tracing::warn!("{reason}");
                }
                self.exit_hook_over(now);
            }
        }
    }

    /// Starts a worker, after the hook that may come first.
    pub(super) fn start_worker_after_hook(&mut self, now: Monotonic, run: RunId) {
        match self.master.pool().launch(run) {
            Some(launch) if self.hooks.has(HookEvent::PreFork) => {
                self.master.hold_worker(run);
                let occasion = Occasion::PreFork { slot: launch.slot, generation: launch.generation };
                self.hooks.ask(now, occasion, Waiting::Worker(run));
            }
            _ => self.start_worker(now, run),
        }
    }

    /// A worker that still waits for its hook needs no process any more. Returns whether it did.
    pub(super) fn withdraw_worker(&mut self, now: Monotonic, run: RunId) -> bool {
        let waited = self.hooks.cancel(now, Waiting::Worker(run));
        if waited {
            let reason = "asked to stop before it was started".into();
            self.master.handle_worker(now, run, Input::NotSpawned { reason });
        }
        waited
    }

    /// A child that is no worker has ended.
    pub(super) fn post_child_exit(&mut self, now: Monotonic, child: Child, pid: i32, status: ExitStatus) {
        // What a hook itself leaves behind must not start another one at arbiter's end.
        if self.ending.is_none() {
            self.hooks.post(now, Occasion::ChildExit { child, pid, status });
        }
    }

    /// The processes of hooks, which are also the numbers of their groups.
    pub(super) fn hook_pids(&self) -> Vec<i32> {
        let runs = self.roles.iter().filter(|(_, role)| **role == Role::Hook);
        let mut pids: Vec<i32> = runs.filter_map(|(run, _)| self.children.pid(*run)).collect();
        pids.sort_unstable();
        pids
    }

    /// Tells whether a process is a hook, which may not lead its group yet, or one of its group: what a hook leaves
    /// there is ended and reaped with it.
    pub(super) fn hook_members(&self) -> impl Fn(i32) -> bool + use<> {
        let hooks = self.hook_pids();
        move |pid| {
            let is_in_group = || sys::procfs::stat(pid).is_some_and(|stat| hooks.contains(&stat.pgrp));
            !hooks.is_empty() && (hooks.contains(&pid) || is_in_group())
        }
    }

    /// Starts the hook for what happened at `at`.
    fn start_hook(
        &mut self,
        run: RunId,
        spec: &HookSpec,
        occasion: &Occasion,
        at: Monotonic,
    ) -> anyhow::Result<()> {
        let clocks = clocks();
        let wall = clocks.wall.saturating_sub(clocks.now.since(at));
        let mut variables = self.listeners.variables(false);
        variables.extend(occasion.variables(wall).into_iter().map(|(name, value)| (name.to_owned(), value)));
        let line = sys::memfd::sealed(c"event", occasion.json_line(wall).as_bytes());
        let line = rewound(line.context("cannot create a memory file")?)?;
        let stderr = &self.outputs[1];
        let (slot, generation) = occasion.worker().unwrap_or((0, self.master.pool().generation()));
        let launch = Launch {
            spec: &spec.process,
            inherited: &self.origin.environment,
            place: Place {
                arbiter: sys::process::pid(),
                name: &self.master.spec().name,
                slot,
                generation,
                control_socket: self.control_socket(false),
            },
            variables: variables.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
            listeners: Vec::new(),
            listen: None,
            streams: Vec::new(),
            stdin: line.as_fd(),
            outputs: [Output::Open(stderr.as_fd()), Output::Open(stderr.as_fd())],
            notify_socket: None,
            watchdog: None,
            nofile: Some(self.nofile),
            parent_death_signal: Some(SIGKILL),
            letter: None,
        };
        let (command, program) = launch.command()?;
        let spawned = sys::spawn::spawn(&command)?;
        drop(command);
        self.watch_child(run, Role::Hook, spawned.pid, spawned.pidfd)?;
        self.watch_launch(run, spawned.status, program)?;
        tracing::debug!("hook {} started, pid {}", occasion.event().name(), spawned.pid);
        Ok(())
    }
}

/// The file, to be read from its beginning by whoever gets it.
fn rewound(file: OwnedFd) -> anyhow::Result<OwnedFd> {
    let mut file = File::from(file);
    file.rewind().context("cannot rewind a memory file")?;
    Ok(file.into())
}
