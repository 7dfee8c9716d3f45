//! arbiter's own files: the log, the pidfile, the lock.

use super::Shell;
use crate::runtime::{Control, Lock, Pidfile};
use anyhow::Context;
use proto::spec::{Log, LogTarget, MasterSpec};

/// The files of a configuration that is not in force yet. Without that they go again.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pidfile: Option<Pidfile>,
    log: Option<sys::log::Candidate>,
}

impl Shell {
    /// Writes the pidfile of a new configuration beside that of the old one, and sees that its log can be opened.
    pub(super) fn prepare_files(&mut self, spec: &MasterSpec) -> anyhow::Result<()> {
        let path = spec.pidfile.as_deref();
        let path = path.filter(|path| !self.pidfile.as_ref().is_some_and(|pidfile| pidfile.is_at(path)));
        self.prepared.pidfile = path.map(Pidfile::create).transpose()?;
        let log = sys::log::Candidate::open((&spec.log).into());
        self.prepared.log = Some(log.with_context(|| no_log(&spec.log))?);
        Ok(())
    }

    /// The log that was prepared is opened anew: its file may have been moved away since then.
    pub(super) fn change_log(&mut self, log: &Log) {
        if let Some(prepared) = self.prepared.log.take() {
            prepared.keep();
        }
        if let Err(error) = sys::log::init(log.into()) {
            tracing::error!("{}: {error}", no_log(log));
        }
    }

    /// Holds this lock instead of another one.
    pub(super) fn hold_lock(&mut self, lock: Lock) {
        if let Err(error) = self.running.put_beside(&lock) {
            tracing::warn!("no list of what runs beside {}: {error}", lock.path().display());
        }
        self.lock = Some(lock);
    }

    /// The new pidfile is there before the old one goes.
    pub(super) fn move_pidfile(&mut self, path: Option<&str>) {
        let Some(path) = path else {
            self.pidfile = None;
            return;
        };
        if self.pidfile.as_ref().is_some_and(|pidfile| pidfile.is_at(path)) {
            return;
        }
        let prepared = self.prepared.pidfile.take().map_or_else(|| Pidfile::create(path), Ok);
        match prepared {
            Ok(pidfile) => self.pidfile = Some(pidfile),
            Err(error) => tracing::error!("{error:#}"),
        }
    }

    /// The lock and the list of what runs are beside the control socket; without one, beside the pidfile.
    pub(super) fn move_lock(&mut self, pidfile: Option<&str>) {
        let Some(path) = self.companions.control.as_ref().and_then(Control::path).or(pidfile) else { return };
        if self.lock.as_ref().is_some_and(|lock| lock.is_beside(path)) {
            return;
        }
        match Lock::beside(path) {
            Ok(lock) => self.hold_lock(lock),
            Err(error) => tracing::error!("the lock stays where it was: {error}"),
        }
    }
}

/// What is said of a log that cannot be used.
pub(crate) fn no_log(log: &Log) -> String {
    match &log.target {
        LogTarget::File(path) => format!("cannot open the log {path}"),
        LogTarget::Stderr => "cannot write to standard error".into(),
    }
}
