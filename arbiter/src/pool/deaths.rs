//! Deaths that nobody asked for: storms of them, and first ones that end arbiter.

use super::{Pool, PoolAction, Report, Role};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use supervise::{Cause, ExitStatus, Monotonic, Phase};

/// So many deaths …
const STORM_DEATHS: usize = 20;
/// … within this time, and also a healthy worker's replacement has to wait.
const STORM_WINDOW: Duration = Duration::from_secs(10);

/// The newest deaths that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deaths(VecDeque<Monotonic>);

impl Deaths {
    fn count(&mut self, now: Monotonic) {
        if self.0.len() == STORM_DEATHS {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    /// Whether there were so many lately that a healthy worker's replacement has to wait too.
    pub(super) fn are_a_storm(&self, now: Monotonic) -> bool {
        self.0.iter().filter(|&&at| now.since(at) <= STORM_WINDOW).count() == STORM_DEATHS
    }
}

impl Pool {
    /// A worker of the first generation that says it cannot work, before any other could, ends arbiter.
    pub(super) fn notice_failed_boot(&mut self, index: usize, status: ExitStatus) {
        let worker = &self.workers[index];
        let ExitStatus::Code(code) = status else { return };
        let Ok(code) = u8::try_from(code) else { return };
        let halts = worker.settings.spec.halt_exit_codes.contains(&code);
        if halts && self.is_first_boot(index) {
            let reason = format!("worker {} exited with status {code} before it was ready", worker.slot);
            self.actions.push(PoolAction::Report(Report::BootFailed { code, reason }));
        }
    }

    /// Whether a worker is of the first generation, of which none was ever ready.
    pub(super) fn is_first_boot(&self, index: usize) -> bool {
        let worker = &self.workers[index];
        let is_first = self.first_generation == Some(worker.generation);
        is_first && worker.role == Role::Current && !self.ever_ready
    }

    /// Counts a death that nobody asked for towards a storm.
    pub(super) fn count_death(&mut self, now: Monotonic, index: usize) {
        let worker = &self.workers[index];
        let was_ended = match worker.unit.phase() {
            Phase::Stopping { cause, .. } => cause != Cause::Leaves,
            _ => false,
        };
        if worker.role == Role::Current && !was_ended {
            self.deaths.count(now);
        }
    }
}
