//! What the master decided.

use super::{Role, Shell, Source};
use crate::master::{Line, MasterAction};
use crate::pool::PoolAction;
use crate::resolver;
use crate::runtime::Pidfile;
use anyhow::anyhow;
use proto::link::ToManager;
use proto::spec::{MasterSpec, Resolution};
use std::io;
use std::os::fd::OwnedFd;
use supervise::{Input, Monotonic, RunId};
use sys::reactor::Interest;

impl Shell {
    pub(super) fn act(&mut self, now: Monotonic, action: MasterAction) {
        match action {
            MasterAction::Pool(PoolAction::Unit(action)) => self.act_on_worker(now, action),
            MasterAction::Pool(PoolAction::Look { run, pid }) => {
                if self.waits_on_listener(pid) {
                    self.master.handle_worker(now, run, Input::Ready);
                }
            }
            // The master has taken the reports out.
            MasterAction::Pool(PoolAction::Report(_)) => {}
            MasterAction::Resolve => self.start_resolver(now),
            MasterAction::AbandonResolver => self.abandon_resolver(),
            MasterAction::Bind(spec) => {
                let result = self.listeners.bind_candidate(&spec.listeners);
                self.master.bound(now, result);
            }
            MasterAction::KeepNewListeners => self.listeners.keep_candidate(),
            MasterAction::DropNewListeners => {
                self.listeners.drop_candidate();
                self.companions.drop_candidate();
            }
            MasterAction::CloseListeners => self.listeners.close(),
            MasterAction::Adopt(spec) => self.adopt_configuration(&spec),
            MasterAction::Tell(message) => self.tell_manager(message),
            MasterAction::Answer { relay, reply } => self.tell_manager(ToManager::Relayed { relay, reply }),
            MasterAction::Signal { run, signal } => {
                if let Err(error) = self.children.signal(run, signal) {
                    tracing::warn!("cannot send signal {signal} to a worker: {error}");
                }
            }
            MasterAction::ReopenLog => {
                if let Err(error) = sys::log::reopen() {
                    tracing::error!("cannot reopen the log: {error}");
                }
            }
            MasterAction::KillCompanions => self.kill_companions(),
            MasterAction::Exit(code) => self.begin_ending(now, code),
            MasterAction::Log(Line::Info(text)) => tracing::info!("{text}"),
            MasterAction::Log(Line::Warn(text)) => tracing::warn!("{text}"),
            MasterAction::Log(Line::Error(text)) => tracing::error!("{text}"),
        }
    }

    fn waits_on_listener(&self, pid: i32) -> bool {
        let inodes = self.listeners.inodes();
        sys::procfs::group_of(pid).into_iter().any(|member| sys::procfs::waits_on(member, &inodes))
    }

    fn adopt_configuration(&mut self, spec: &MasterSpec) {
        if let Err(error) = sys::log::init((&spec.log).into()) {
            tracing::error!("cannot change the log: {error}");
        }
        self.move_pidfile(spec.pidfile.as_deref());
        sys::title::set(&format!("arbiter: master [{}]", spec.name));
        say_doubts(spec);
    }

    /// The new pidfile is there before the old one goes.
    fn move_pidfile(&mut self, path: Option<&str>) {
        let Some(path) = path else {
            self.pidfile = None;
            return;
        };
        if self.pidfile.as_ref().is_some_and(|pidfile| pidfile.is_at(path)) {
            return;
        }
        match Pidfile::create(path) {
            Ok(pidfile) => self.pidfile = Some(pidfile),
            Err(error) => tracing::error!("{error:#}"),
        }
    }

    fn start_resolver(&mut self, now: Monotonic) {
        let run = self.master.allot_run();
        let started = self.origin.resolve(self.master.spec().config.as_deref()).and_then(|job| {
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
                self.listeners.complete(&mut master.listeners);
                self.take_candidate(&companions).map(|()| master)
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
        self.roles.insert(run, role);
        Ok(())
    }
}

/// Says what of a configuration is doubtful, and what has no effect yet.
pub(super) fn say_doubts(spec: &MasterSpec) {
    for warning in &spec.warnings {
        tracing::warn!("{warning}");
    }
    for key in &spec.not_implemented {
        tracing::warn!("{key} has no effect in this version");
    }
}
