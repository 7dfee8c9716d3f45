//! Signs of life, and what becomes of a worker that gives none.
//!
//! Where a heartbeat is asked for, a worker that has been silent for its `timeout` is ended by the abort
//! ladder and replaced. Only beats count: a worker that says other things may hang all the same. One that is
//! being stopped may be as silent as it likes.
//!
//! | `heartbeat` | its silence counts |
//! | --- | --- |
//! | `auto` | from its first beat on: a program that knows nothing of this is left alone |
//! | `required` | from its start |
//! | `off`, or `timeout` 0 | never |

use super::{Pool, PoolAction, Report, Worker};
use proto::control::WorkersStatus;
use proto::spec::WorkersSpec;
use std::time::Duration;
use supervise::{Heartbeat, Monotonic, Phase, RunId, RunIds, Unit};

/// The signs of life of a run that begins now and has given none yet.
pub(super) fn of_new_run(spec: &WorkersSpec, now: Monotonic) -> Heartbeat {
    let is_required = spec.heartbeat == proto::spec::Heartbeat::Required;
    if is_required && !spec.timeout.is_zero() { Heartbeat::required(now) } else { Heartbeat::default() }
}

/// How far apart the beats of a worker may be, where any are asked for.
#[must_use]
pub fn period(spec: &WorkersSpec) -> Option<Duration> {
    let is_off = spec.heartbeat == proto::spec::Heartbeat::Off || spec.timeout.is_zero();
    (!is_off).then_some(spec.timeout)
}

/// How much older than it is a last beat may be shown. Beats are not told on one by one.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Whether what was told of the workers `passed` ago shows one as silent that has given signs since.
#[must_use]
pub fn is_shown_too_old(told: &WorkersStatus, now: &WorkersStatus, passed: Duration) -> bool {
    told.processes.iter().zip(&now.processes).any(|(told, now)| {
        match (told.heartbeat_age, now.heartbeat_age) {
            (Some(told), Some(now)) => (told + passed).saturating_sub(now) > SHOWN_WITHIN,
            (told, now) => told.is_some() != now.is_some(),
        }
    })
}

impl Worker {
    /// When it will have been silent for too long.
    pub(super) fn silent_at(&self) -> Option<Monotonic> {
        self.heartbeat.silent_at(self.settings.spec.timeout).filter(|_| self.phase_name().is_some())
    }

    /// What it does, where its silence matters: not while it is being ended, or has no process.
    fn phase_name(&self) -> Option<&'static str> {
        match self.unit.phase() {
            Phase::Starting { .. } => Some("booting"),
            Phase::Running => Some("serving"),
            Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::Fatal => None,
        }
    }
}

impl Pool {
    /// A worker gave a sign of life.
    pub fn beat(&mut self, now: Monotonic, run: RunId) {
        let Some(index) = self.find(run) else { return };
        let worker = &mut self.workers[index];
        worker.heartbeat.beat(now, period(&worker.settings.spec).is_some());
    }

    /// A worker says that it has failed: it is aborted at once, whatever is configured
    /// (`WATCHDOG=trigger` of sd_notify(3)).
    pub fn give_up(&mut self, now: Monotonic, ids: &mut RunIds, run: RunId) {
        if let Some(index) = self.find(run) {
            self.abort(now, ids, index, "says that it has failed", "");
            self.settle(now, ids);
        }
    }

    /// arbiter itself was away (stopped, or on a machine that was): what was not heard meanwhile is held
    /// against nobody. Every silence that counts begins anew.
    pub fn forgive(&mut self, now: Monotonic) {
        for worker in &mut self.workers {
            worker.heartbeat.forgive(now);
        }
    }

    pub(super) fn abort_if_silent(&mut self, now: Monotonic, ids: &mut RunIds, index: usize) {
        let worker = &self.workers[index];
        if worker.silent_at().is_some_and(|at| at <= now) {
            let since = worker.heartbeat.silent_since().expect("it is silent since then");
            let silence = format!("silent for {:.1} s", now.since(since).as_secs_f64());
            self.abort(now, ids, index, &silence, " (timeout)");
        }
    }

    /// Ends a worker that hangs, unless it is being ended already.
    fn abort(&mut self, now: Monotonic, ids: &mut RunIds, index: usize, why: &str, limit: &str) {
        let worker = &self.workers[index];
        let Some(phase) = worker.phase_name() else { return };
        let reason = format!("{}: {why} while {phase}{limit}, aborting it", worker.name());
        self.actions.push(PoolAction::Report(Report::Aborted { reason }));
        self.drive(now, ids, index, false, Unit::fail);
    }
}
