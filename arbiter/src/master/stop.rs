//! The end: workers and what they do not need first, then what they need, then the manager.

use super::{Line, Master, MasterAction, Phase};
use crate::pool::QUICK_STOP;
use proto::control::EventKind;
use proto::link::{Pace, ToManager};
use std::time::Duration;
use supervise::Monotonic;

/// How much longer than promised a step may take before arbiter ends the companions itself.
const COMPANIONS_GRACE: Duration = Duration::from_secs(10);
/// The exit status of a stop that had to kill something.
const EXIT_KILLED: u8 = 5;
/// The exit status when a critical companion was given up.
const EXIT_CRITICAL: u8 = 6;

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Stop {
    pace: Pace,
    step: Step,
    /// The exit status, where something decided it.
    code: u8,
    /// Whether SIGKILL was needed.
    killed: bool,
    /// Whether SIGKILL was asked for.
    forced: bool,
    /// When arbiter ends the companions itself; each step has its own.
    deadline: Monotonic,
    overdue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Workers and the companions they do not require leave.
    Workers { companions_done: bool },
    /// The required companions leave.
    Required,
    /// The manager leaves.
    Manager,
    /// Nothing is left.
    Done,
}

impl Stop {
    /// Whether a manager is still needed.
    pub(super) fn needs_manager(&self) -> bool {
        !self.overdue && !matches!(self.step, Step::Manager | Step::Done)
    }

    /// A failed boot has the first word; what was forced had to kill.
    fn exit_code(&self, killed: bool) -> u8 {
        if self.code == 0 && killed && !self.forced { EXIT_KILLED } else { self.code }
    }

    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.step {
            // Only workers are waited for, and they have deadlines of their own.
            Step::Workers { companions_done: true } | Step::Done => None,
            Step::Workers { companions_done: false } | Step::Required | Step::Manager => {
                (!self.overdue).then_some(self.deadline)
            }
        }
    }
}

impl Master {
    /// Begins to stop, or hurries a stop: a second request to stop in good order makes it quick, a third
    /// one kills.
    pub(super) fn begin_stop(&mut self, now: Monotonic, pace: Pace, code: u8) {
        if matches!(self.phase, Phase::Opening) {
            self.log(Line::Info("stopping before anything was started".into()));
            return self.end_unopened(now, code);
        }
        if !self.is_stopping() {
            self.happens(EventKind::Stop);
        }
        let forced = pace == Pace::Force;
        let delay = self.spec.pre_stop_delay;
        let pace = match &self.phase {
            Phase::Running if pace == Pace::Graceful && !delay.is_zero() => {
                self.abandon_operations(now);
                self.phase = Phase::Leaving { until: now + delay, code };
                let text = format!("stopping: serving for another {} s first", delay.as_secs_f64());
                return self.log(Line::Info(text));
            }
            Phase::Opening | Phase::Starting | Phase::Running => pace,
            Phase::Leaving { .. } | Phase::Stopping(Stop { pace: Pace::Graceful, .. }) => {
                pace.max(Pace::Quick)
            }
            Phase::Stopping(_) => Pace::Force,
        };
        self.stop_everything(now, pace, forced, code);
    }

    /// Ends before anything was started.
    pub(super) fn end_unopened(&mut self, now: Monotonic, code: u8) {
        self.abandon_operations(now);
        let (pace, step) = (Pace::Graceful, Step::Done);
        self.phase = Phase::Stopping(Stop {
            pace,
            step,
            code,
            killed: false,
            forced: false,
            deadline: now,
            overdue: false,
        });
        self.actions.extend([MasterAction::CloseListeners, MasterAction::Exit(code)]);
    }

    /// The time in which load balancers were to notice is over.
    pub(super) fn leave_when_due(&mut self, now: Monotonic) {
        if matches!(self.phase, Phase::Leaving { until, .. } if until <= now) {
            self.stop_everything(now, Pace::Graceful, false, 0);
        }
    }

    /// A companion without which nothing makes sense was given up. It is told again by each new manager, and
    /// that hurries nothing.
    pub(super) fn critical_lost(&mut self, now: Monotonic, name: &str, reason: &str) {
        if !self.is_stopping() {
            self.log(Line::Error(format!("{name} is critical: {reason}, stopping")));
            self.begin_stop(now, Pace::Graceful, EXIT_CRITICAL);
        }
    }

    fn stop_everything(&mut self, now: Monotonic, pace: Pace, forced: bool, code: u8) {
        self.pool.stop(now, &mut self.ids, pace);
        let deadline = now + self.patience(pace, self.pool.longest_drain());
        if let Phase::Stopping(stop) = &mut self.phase {
            stop.forced |= forced;
            stop.pace = pace;
            stop.deadline = stop.deadline.min(deadline);
        } else {
            self.abandon_operations(now);
            self.abandon_successor();
            let code = if let Phase::Leaving { code, .. } = self.phase { code } else { code };
            let step = Step::Workers { companions_done: !self.is_in_charge() };
            let stop = Stop { pace, step, code, killed: false, forced, deadline, overdue: false };
            self.phase = Phase::Stopping(stop);
            self.actions.push(MasterAction::CloseListeners);
        }
        self.log(Line::Info(match pace {
            Pace::Graceful => "stopping".into(),
            Pace::Quick => "stopping quickly".into(),
            Pace::Force => "stopping with SIGKILL".into(),
        }));
        self.remind_of_stop();
    }

    /// How long the companions may take while workers take `drain`, before arbiter ends them itself.
    fn patience(&self, pace: Pace, drain: Duration) -> Duration {
        let chain = self.spec.companions_stop_within;
        let promised = match pace {
            Pace::Graceful => chain.max(drain),
            Pace::Quick => chain.max(drain.min(QUICK_STOP)),
            Pace::Force => Duration::ZERO,
        };
        promised.saturating_add(COMPANIONS_GRACE)
    }

    /// The stop that companions are in: whether also those that the workers require leave, and how.
    #[must_use]
    pub fn stop_of_companions(&self) -> Option<(bool, Pace)> {
        match &self.phase {
            Phase::Stopping(stop) => Some((!matches!(stop.step, Step::Workers { .. }), stop.pace)),
            Phase::Opening | Phase::Starting | Phase::Running | Phase::Leaving { .. } => None,
        }
    }

    /// The exit status when strays had to be killed, too, instead of the one that was told.
    #[must_use]
    pub fn code_after_kill(&self, told: u8) -> u8 {
        match &self.phase {
            Phase::Stopping(stop) => stop.exit_code(true),
            Phase::Opening | Phase::Starting | Phase::Running | Phase::Leaving { .. } => told,
        }
    }

    /// Tells the manager what is to leave now.
    pub(super) fn remind_of_stop(&mut self) {
        let Phase::Stopping(stop) = &self.phase else { return };
        let pace = stop.pace;
        match stop.step {
            // Also when the one before has done it: a new one must not start anything again.
            Step::Workers { .. } => self.tell(ToManager::Stop { required_too: false, pace }),
            Step::Required => self.tell(ToManager::Stop { required_too: true, pace }),
            Step::Manager => self.tell(ToManager::Retire),
            Step::Done => {}
        }
    }

    pub(super) fn companions_stopped(&mut self, now: Monotonic, required_too: bool, killed: bool) {
        let Phase::Stopping(stop) = &mut self.phase else { return };
        stop.killed |= killed;
        match &mut stop.step {
            Step::Workers { companions_done } => *companions_done = true,
            step @ Step::Required if required_too => {
                *step = Step::Manager;
                stop.deadline = now + COMPANIONS_GRACE;
                self.tell(ToManager::Retire);
            }
            Step::Required | Step::Manager | Step::Done => {}
        }
    }

    pub(super) fn advance_stop(&mut self, now: Monotonic) {
        let settled = self.pool.is_settled();
        let pool_killed = self.pool.had_to_kill();
        let Phase::Stopping(stop) = &self.phase else { return };
        let for_required = now + self.patience(stop.pace, Duration::ZERO);
        let manager_up = self.manager_up;
        let in_charge = self.is_in_charge();
        let Phase::Stopping(stop) = &mut self.phase else { return };
        let overdue = stop.overdue && settled && stop.step != Step::Done;
        if overdue || (stop.step == Step::Manager && !manager_up) {
            stop.step = Step::Done;
            let killed = stop.killed || stop.overdue || pool_killed;
            let code = stop.exit_code(killed);
            self.actions.push(MasterAction::Exit(code));
        } else if stop.step == (Step::Workers { companions_done: true }) && settled && !in_charge {
            stop.step = Step::Manager;
            self.advance_stop(now);
        } else if stop.step == (Step::Workers { companions_done: true }) && settled {
            stop.step = Step::Required;
            stop.deadline = for_required;
            self.remind_of_stop();
        }
    }

    /// The companions have had all the time they were promised: arbiter ends them itself.
    pub(super) fn stop_overdue(&mut self, now: Monotonic) {
        let Phase::Stopping(stop) = &mut self.phase else { return };
        if stop.deadline().is_some_and(|deadline| deadline <= now) {
            stop.overdue = true;
            self.actions.push(MasterAction::KillCompanions);
            self.log(Line::Error(
                "the companion manager did not stop its companions in time: killed them".into(),
            ));
        }
    }
}
