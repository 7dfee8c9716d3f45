//! What the master decided.

use super::files::Prepared;
use super::{Role, Shell, Source, Waiting};
use crate::hooks::Occasion;
use crate::master::{Event, Line, MasterAction};
use crate::pool::{PoolAction, Weight};
use crate::resolver;
use crate::runtime::Kind;
use anyhow::anyhow;
use proto::link::ToManager;
use proto::spec::{Change, MasterSpec, Ready, Resolution};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use supervise::{Input, Monotonic, RunId};
use sys::reactor::Interest;

impl Shell {
    pub(super) fn act(&mut self, now: Monotonic, action: MasterAction) {
        match action {
            MasterAction::Open => self.hooks.ask(now, Occasion::OnStarting, Waiting::Start),
            MasterAction::StartManager => self.start_manager(now),
            MasterAction::Hook(occasion) => self.hooks.post(now, occasion),
            MasterAction::Pool(PoolAction::Unit(action)) => self.act_on_worker(now, action),
            MasterAction::Pool(PoolAction::Look { run, pid }) => {
                // The group's leader, whichever process is the main one.
                if self.waits_on_listener(self.children.pid(run).unwrap_or(pid)) {
                    self.master.handle_worker(now, run, Input::Ready);
                }
            }
            MasterAction::Pool(PoolAction::Measure { workers }) => self.measure(now, workers),
            MasterAction::Pool(PoolAction::Probe(step)) => self.act_on_probe(now, step),
            // The master has taken the reports out.
            MasterAction::Pool(PoolAction::Report(_)) => {}
            MasterAction::Resolve(change) => self.start_resolver(now, change.as_deref()),
            MasterAction::AbandonResolver => self.abandon_resolver(),
            MasterAction::Bind(spec) => {
                let result = self.bind_candidate(&spec);
                self.master.bound(now, result);
            }
            MasterAction::BindHeld(spec) => {
                let result = self.listeners.bind_candidate(&spec, false);
                self.master.bound(now, result);
            }
            MasterAction::KeepNewListeners => {
                sys::fail_point::reach("reload-commit");
                self.listeners.keep_candidate();
            }
            MasterAction::DropNewListeners => {
                self.listeners.drop_candidate();
                self.companions.drop_control(&self.master.spec().control);
                self.companions.drop_candidate();
                self.prepared = Prepared::default();
            }
            MasterAction::CloseListeners => self.listeners.close(),
            MasterAction::Adopt(spec) => self.adopt_configuration(now, &spec),
            MasterAction::Tell(message) => self.tell_manager(message),
            MasterAction::Answer { relay, reply } => {
                // Who is answered that something was done finds it in the status.
                self.tell_status_first();
                self.companions.relays.end(relay, reply.clone());
                self.tell_manager(ToManager::Relayed { relay, reply });
                self.flush_link();
                sys::fail_point::reach("arbiter-answered");
            }
            MasterAction::Signal { run, signal } => {
                if let Err(error) = self.children.signal(run, signal) {
                    tracing::warn!("cannot send signal {signal} to a worker: {error}");
                }
            }
            MasterAction::StartSuccessor { run } => {
                self.hooks.ask(now, Occasion::PreExec, Waiting::Successor(run));
            }
            MasterAction::AbandonSuccessor { run } => {
                if self.hooks.cancel(now, Waiting::Successor(run)) {
                    self.master.handle(now, Event::SuccessorGone { run });
                }
            }
            MasterAction::TryUpgrade => self.hooks.ask(now, Occasion::PreExec, Waiting::Upgrade),
            MasterAction::AbandonUpgrade => {
                self.hooks.cancel(now, Waiting::Upgrade);
                self.abandon_upgrade();
            }
            MasterAction::KeepProgram => self.keep_program(now),
            MasterAction::ReopenLog => {
                if let Err(error) = sys::log::reopen() {
                    tracing::error!("cannot reopen the log: {error}");
                }
                self.tell_manager(ToManager::Log(self.master.spec().log.clone()));
            }
            MasterAction::KillCompanions => self.kill_companions(),
            MasterAction::Exit(code) => self.begin_ending(now, code),
            MasterAction::Log(Line::Info(text)) => self.log((Weight::Info, text)),
            MasterAction::Log(Line::Warn(text)) => self.log((Weight::Warn, text)),
            MasterAction::Log(Line::Error(text)) => self.log((Weight::Error, text)),
        }
    }

    /// Opens what a new configuration listens on, and the files that it names, beside what is open.
    fn bind_candidate(&mut self, spec: &MasterSpec) -> Result<(), String> {
        // Those that are asked over a new socket, or serve alone on it before the rest comes, need clients.
        let needed = spec
            .workers
            .as_ref()
            .is_some_and(|it| it.reload_batch > 0 || matches!(it.ready, Ready::Probe { .. }));
        self.listeners.bind_candidate(spec, !needed)?;
        let old = &self.master.spec().control;
        let prepared = self.companions.prepare_control(old, &spec.control);
        prepared.and_then(|()| self.prepare_files(spec)).map_err(|error| format!("{error:#}"))
    }

    fn waits_on_listener(&self, pid: i32) -> bool {
        let inodes = self.listeners.inodes();
        sys::procfs::group_of(pid).into_iter().any(|member| sys::procfs::waits_on(member, &inodes))
    }

    fn adopt_configuration(&mut self, now: Monotonic, spec: &MasterSpec) {
        self.change_log(&spec.log);
        self.tell_manager(ToManager::Log(spec.log.clone()));
        self.move_pidfile(spec.pidfile.as_deref());
        if let Some((message, socket)) = self.companions.keep_control(&spec.control) {
            self.queue(&message, socket);
        }
        self.move_lock(spec.pidfile.as_deref());
        self.hooks.configure(now, &spec.hooks);
        sys::title::set(&format!("arbiter: master [{}]", spec.name));
        tell_configuration(spec);
    }

    fn start_resolver(&mut self, now: Monotonic, change: Option<&Change>) {
        let run = self.master.allot_run();
        let companions = resolver::Companions { in_force: Some(self.companions.in_force.as_fd()), change };
        let config = self.master.spec().config.as_deref();
        let started = self.origin.resolve(config, companions).and_then(|job| {
            self.watch_child(run, Role::Resolver, job.spawned.pid, job.spawned.pidfd.try_clone()?)?;
            Ok(job)
        });
        match started {
            Ok(job) => self.resolver = Some((run, job, now + resolver::TIMEOUT)),
            Err(error) => self.master.resolved(now, Err(format!("{error:#}"))),
        }
    }

    /// The child that reads the configuration has ended.
    pub(super) fn resolver_ended(&mut self, now: Monotonic, run: RunId, status: supervise::ExitStatus) {
        let Some((_, job, _)) = self.resolver.take_if(|(current, _, _)| *current == run) else { return };
        let resolution =
            job.result().map_err(|error| anyhow!("reading the configuration {status}: {error:#}"));
        let result = match resolution {
            Ok(Resolution::Run { mut master, companions }) => {
                self.listeners.complete(&mut master);
                self.take_candidate(&companions).map(|()| master)
            }
            Ok(Resolution::Companions { companions, names, stop_within, held, warnings }) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                match self.take_candidate(&companions) {
                    Ok(()) => return self.master.changed(now, names, stop_within, held),
                    Err(error) => Err(error),
                }
            }
            Ok(Resolution::Print { stderr, .. }) => Err(stderr.trim_end().to_owned()),
            Err(error) => Err(format!("{error:#}")),
        };
        self.master.resolved(now, result);
    }

    fn take_candidate(&mut self, companions: &[u8]) -> Result<(), String> {
        let file = sys::memfd::sealed(c"companions", companions);
        self.companions.set_candidate(file.map_err(|error| format!("cannot create a memory file: {error}"))?);
        Ok(())
    }

    fn abandon_resolver(&mut self) {
        if let Some((run, _, _)) = self.resolver.take() {
            // It may have ended already; its exit is taken in like any other.
            let _ = self.children.signal_group(run, 9);
        }
    }

    pub(super) fn end_late_resolver(&mut self, now: Monotonic) {
        if self.resolver.as_ref().is_some_and(|(_, _, deadline)| *deadline <= now) {
            self.abandon_resolver();
            let seconds = resolver::TIMEOUT.as_secs();
            self.master.resolved(now, Err(format!("reading the configuration took more than {seconds} s")));
        }
    }

    /// Watches a new child; one that cannot be watched must not live.
    pub(super) fn watch_child(&mut self, run: RunId, role: Role, pid: i32, pidfd: OwnedFd) -> io::Result<()> {
        self.reactor
            .register(&pidfd, Source::Child(run).into(), Interest::READ)
            .inspect_err(|_| drop(sys::pidfd::send_signal(&pidfd, 9)))?;
        self.children.insert(run, pid, pidfd);
        let kind = match role {
            Role::Worker => Some(Kind::Worker),
            Role::Manager => Some(Kind::Manager),
            Role::Adopted => Some(Kind::Companion),
            Role::Resolver | Role::Measurer | Role::Hook | Role::Helper | Role::Trial => Some(Kind::Helper),
            // It outlives this one.
            Role::Successor => None,
        };
        if let Some(kind) = kind {
            self.running.begun(run, pid, kind);
        }
        self.roles.insert(run, role);
        Ok(())
    }
}

/// Says what a configuration comes to and what of it is doubtful.
pub(super) fn tell_configuration(spec: &MasterSpec) {
    // It is only there at level debug.
    for line in spec.effective.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()) {
        tracing::debug!("in effect: {line}");
    }
    for warning in &spec.warnings {
        tracing::warn!("{warning}");
    }
}
