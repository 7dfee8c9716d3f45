//! The unit's inputs.

use super::{
    Action, Cause, Desired, Ending, Input, MOST_EXTENDED, Note, Phase, REMARK_MAX, Run, STUCK_AFTER, Step,
    Turn, Unit,
};
use crate::flapping::{Flaps, Verdict};
use crate::policy::{Ladder, Policy, Readiness, Restart};
use crate::{Exit, Monotonic, RunId};
use std::time::Duration;

impl Unit {
    /// A process should run. Counters start anew; one that is being stopped is started again when it has
    /// gone; a running one is left alone.
    pub fn start(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        self.desired = Desired::Up;
        self.forgive();
        if self.run.is_none() {
            self.restarts = 0;
            self.phase = Phase::Waiting;
            self.reconcile(turn, policy);
        } else if let Phase::Stopping { cause, .. } = &mut self.phase {
            *cause = Cause::Requested;
        }
    }

    /// No process should run.
    pub fn stop(&mut self, turn: &mut Turn<'_>, ladder: Ladder) {
        self.desired = Desired::Down;
        if self.run.is_none() {
            self.phase = Phase::Stopped;
        } else {
            self.end(turn, Cause::Requested, ladder);
        }
    }

    /// Another process should run in place of this one; the new one starts when the old one has gone.
    pub fn restart(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if self.run.is_none() {
            self.start(turn, policy);
            return;
        }
        self.desired = Desired::Up;
        self.forgive();
        self.end(turn, Cause::Requested, policy.stop);
    }

    /// Another process should run in place of this one, though nothing is wrong: as [`Unit::restart`], but what
    /// went wrong before still counts.
    pub fn recycle(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if self.phase == Phase::Running && self.desired == Desired::Up {
            self.end(turn, Cause::Requested, policy.stop);
        }
    }

    /// The end that comes now is by the signal that an operator has just sent: it was asked for.
    pub fn ends_as_asked(&mut self, now: Monotonic, policy: &Policy) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Running) {
            let step = Step::Asked { deadline: now + policy.stop.timeout, group: false };
            self.phase = Phase::Stopping { cause: Cause::Signalled, step, signal: policy.stop.signal };
            self.forgive();
        }
    }

    /// What went wrong before counts no more.
    pub fn forgive(&mut self) {
        self.failures = 0;
        self.flaps = Flaps::default();
    }

    /// The process does not answer any more: it is ended as the abort ladder says, as a failure.
    pub fn fail(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Running) {
            self.end(turn, Cause::Unhealthy, policy.abort);
        }
    }

    /// The current run's process comes only now, because something else came first: what counts from its start
    /// counts from here.
    fn begin_late(&mut self, now: Monotonic) {
        let Some(run) = &mut self.run else { return };
        let late = now.since(run.started);
        run.started = now;
        if let Phase::Starting { alive_at, timeout_at } = &mut self.phase {
            *alive_at = alive_at.map(|at| at + late);
            *timeout_at = *timeout_at + late;
        }
    }

    /// Looks again whether a process can be started: to be called when the gate may have opened.
    pub fn reconcile(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if self.awaits_gate() && turn.gate {
            self.spawn(turn, policy);
        }
    }

    /// Whether it is started as soon as its gate is open.
    #[must_use]
    pub fn awaits_gate(&self) -> bool {
        self.desired == Desired::Up && self.phase == Phase::Waiting
    }

    /// The moment at which [`Unit::handle_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Backoff { until } => Some(until),
            Phase::Starting { alive_at, timeout_at } => {
                // What has no process yet does not live.
                let alive_at = alive_at.filter(|_| self.has_process());
                Some(alive_at.map_or(timeout_at, |alive| alive.min(timeout_at)))
            }
            Phase::Stopping { step: Step::Asked { deadline, .. }, .. } => Some(deadline),
            Phase::Stopping { step: Step::Killed { give_up }, .. } => Some(give_up),
            Phase::Stopped
            | Phase::Waiting
            | Phase::Running
            | Phase::Stopping { step: Step::Stuck, .. }
            | Phase::Exited { .. }
            | Phase::Fatal => None,
        }
    }

    fn has_process(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.pid.is_some())
    }

    /// Does what is due at `turn.now`.
    pub fn handle_deadline(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if self.next_deadline().is_none_or(|deadline| turn.now < deadline) {
            return;
        }
        match self.phase {
            Phase::Backoff { .. } => {
                self.phase = Phase::Waiting;
                self.reconcile(turn, policy);
            }
            Phase::Starting { alive_at, .. } => {
                if self.has_process() && alive_at.is_some_and(|alive| alive <= turn.now) {
                    self.become_ready(turn, false);
                } else if policy.readiness == Readiness::ToldOrTimeout && !self.is_unstartable() {
                    self.become_ready(turn, true);
                } else {
                    if let Some(run) = &mut self.run {
                        run.remark = run.awaits.take().or(run.remark.take());
                    }
                    self.note(turn, Note::Unready);
                    self.end(turn, Cause::Unready, policy.abort);
                }
            }
            Phase::Stopping { cause, step: Step::Asked { .. }, signal } => {
                self.note(turn, Note::Killed);
                self.kill(turn, cause, signal);
            }
            Phase::Stopping { cause, step: Step::Killed { .. }, signal } => {
                self.phase = Phase::Stopping { cause, step: Step::Stuck, signal };
                self.note(turn, Note::Stuck);
            }
            Phase::Stopped
            | Phase::Waiting
            | Phase::Running
            | Phase::Stopping { step: Step::Stuck, .. }
            | Phase::Exited { .. }
            | Phase::Fatal => {}
        }
    }

    /// Takes in what happened to `run`. Of a run that is not the current one nothing is believed.
    pub fn handle(&mut self, turn: &mut Turn<'_>, policy: &Policy, run: RunId, input: Input) {
        let Some(current) = self.run.as_mut().filter(|current| current.id == run) else { return };
        match input {
            Input::Spawned { pid } => {
                // Where many are started at once this comes late: what counts from its start counts from here.
                if current.pid.replace(pid).is_none() {
                    self.begin_late(turn.now);
                }
            }
            Input::NotSpawned { reason } => {
                current.failure = Some(reason);
                self.finish(turn, policy);
            }
            Input::Lost => {
                self.run = None;
                self.phase = if self.desired == Desired::Up { Phase::Waiting } else { Phase::Stopped };
                self.reconcile(turn, policy);
            }
            Input::NotExecuted { reason } => {
                current.failure = Some(reason);
                if let Phase::Starting { alive_at, .. } = &mut self.phase {
                    *alive_at = None;
                }
            }
            Input::Ready => {
                let starting = matches!(self.phase, Phase::Starting { .. });
                if starting && policy.readiness.can_be_told() && !self.is_unstartable() {
                    self.become_ready(turn, false);
                }
            }
            Input::Awaits { what } => current.awaits = Some(cut(&what)),
            Input::Remark { text } => current.remark = Some(cut(&text)),
            Input::MoreTime { by } => self.extend(turn.now, policy, by),
            Input::Leaves => self.leave(turn, policy),
            Input::Exited { exit, survivors } => self.handle_exit(turn, policy, exit, survivors),
            Input::Gone => self.finish(turn, policy),
        }
    }

    fn handle_exit(&mut self, turn: &mut Turn<'_>, policy: &Policy, exit: Exit, survivors: bool) {
        let run = self.run.as_mut().expect("only called with a current run");
        run.exit = Some(exit);
        run.over_at.get_or_insert(turn.now);
        if !survivors {
            self.finish(turn, policy);
            return;
        }
        match self.phase {
            Phase::Stopping { step: Step::Asked { group: false, deadline }, cause, signal } => {
                self.phase = Phase::Stopping { cause, step: Step::Asked { deadline, group: true }, signal };
                self.signal(turn, signal, true);
            }
            // It left others behind without being asked to go: nobody is there to drain for.
            Phase::Starting { .. } | Phase::Running => self.kill(turn, Cause::Died, policy.stop.signal),
            Phase::Stopping { .. }
            | Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Exited { .. }
            | Phase::Fatal => {}
        }
    }

    fn spawn(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        let id = turn.ids.allot();
        let now = turn.now;
        let alive_at = match policy.readiness {
            Readiness::Alive(after) | Readiness::ToldOrAlive(after) => Some(now + after),
            Readiness::Told | Readiness::ToldOrTimeout | Readiness::Success => None,
        };
        self.run = Some(Run {
            id,
            pid: None,
            started: now,
            ready_at: None,
            over_at: None,
            exit: None,
            failure: None,
            awaits: None,
            remark: None,
        });
        self.phase = Phase::Starting { alive_at, timeout_at: now + policy.start_timeout };
        turn.actions.push(Action::Spawn { run: id });
    }

    fn become_ready(&mut self, turn: &mut Turn<'_>, assumed: bool) {
        let run = self.run.as_mut().expect("a starting unit has a run");
        run.ready_at = Some(turn.now);
        run.awaits = None;
        self.phase = Phase::Running;
        self.note(turn, Note::Ready { assumed });
    }

    /// Begins to end the current run, or hurries one that is being ended already.
    fn end(&mut self, turn: &mut Turn<'_>, cause: Cause, ladder: Ladder) {
        let deadline = turn.now + ladder.timeout;
        if let Phase::Stopping { cause: was, .. } = &mut self.phase {
            let was = std::mem::replace(was, if cause == Cause::Requested { cause } else { *was });
            self.hurry(turn, deadline, ladder, was);
            return;
        }
        let run = self.run.as_mut().expect("only a run is ended");
        run.over_at.get_or_insert(turn.now);
        if ladder.timeout.is_zero() {
            self.kill(turn, cause, ladder.signal);
            return;
        }
        let step = Step::Asked { deadline, group: ladder.group };
        self.phase = Phase::Stopping { cause, step, signal: ladder.signal };
        self.signal(turn, ladder.signal, ladder.group);
    }

    /// The process leaves by itself: it has its time for that, and hears nothing.
    fn leave(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Running) && !self.is_unstartable() {
            let ladder = policy.stop;
            if ladder.timeout.is_zero() {
                return self.end(turn, Cause::Leaves, ladder);
            }
            self.run.as_mut().expect("a run leaves").over_at.get_or_insert(turn.now);
            let step = Step::Asked { deadline: turn.now + ladder.timeout, group: false };
            self.phase = Phase::Stopping { cause: Cause::Leaves, step, signal: ladder.signal };
        }
    }

    /// Puts off the deadline under way, as far as that goes.
    fn extend(&mut self, now: Monotonic, policy: &Policy, by: Duration) {
        let run = self.run.as_ref().expect("only called with a current run");
        let latest = |begun: Monotonic, timeout: Duration| begun + timeout.saturating_mul(MOST_EXTENDED);
        match &mut self.phase {
            Phase::Starting { timeout_at, .. } => {
                let latest = latest(run.started, policy.start_timeout);
                *timeout_at = (now + by).min(latest).max(*timeout_at);
            }
            Phase::Stopping {
                cause: Cause::Requested | Cause::Leaves,
                step: Step::Asked { deadline, .. },
                ..
            } => {
                let latest = latest(run.over_at.unwrap_or(now), policy.stop.timeout);
                *deadline = (now + by).min(latest).max(*deadline);
            }
            Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Running
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::Fatal => {}
        }
    }

    /// Brings the deadline of one that is being ended forward, never back, and sends the signal of the new
    /// ladder where it is another: a quick stop has its own. One that is being aborted has heard enough.
    fn hurry(&mut self, turn: &mut Turn<'_>, deadline: Monotonic, ladder: Ladder, was: Cause) {
        let Phase::Stopping { cause, step: Step::Asked { deadline: current, group }, signal } =
            &mut self.phase
        else {
            return;
        };
        *current = deadline.min(*current);
        if *current <= turn.now {
            let (cause, signal) = (*cause, *signal);
            self.kill(turn, cause, signal);
        } else if matches!(was, Cause::Requested | Cause::Leaves) && *signal != ladder.signal {
            *signal = ladder.signal;
            *group |= ladder.group;
            let (signal, group) = (*signal, *group);
            self.signal(turn, signal, group);
        }
    }

    /// Whether the current run is known not to have become its program; its exit is still to come.
    fn is_unstartable(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.failure.is_some())
    }

    fn kill(&mut self, turn: &mut Turn<'_>, cause: Cause, signal: i32) {
        let run = self.run.as_ref().expect("only a run is killed").id;
        let step = Step::Killed { give_up: turn.now + STUCK_AFTER };
        self.phase = Phase::Stopping { cause, step, signal };
        turn.actions.push(Action::Kill { run });
    }

    fn signal(&self, turn: &mut Turn<'_>, signal: i32, group: bool) {
        let run = self.run.as_ref().expect("only a run is signalled").id;
        turn.actions.push(Action::Signal { run, signal, group });
    }

    fn note(&self, turn: &mut Turn<'_>, note: Note) {
        let run = self.run.as_ref().expect("only a run is worth a note").id;
        turn.actions.push(Action::Note { run, note });
    }

    /// Nothing is left of the current run: decides what comes next.
    fn finish(&mut self, turn: &mut Turn<'_>, policy: &Policy) {
        self.note(turn, Note::Ended);
        let run = self.run.take().expect("only a run ends");
        let lived = run.over_at.unwrap_or(turn.now).since(run.started);
        let status = run.exit.map(|exit| exit.status);
        let clean = status.is_some_and(|status| status.is_success(&policy.success_codes));
        let cause = match self.phase {
            Phase::Stopping { cause: Cause::Died | Cause::Leaves, .. } => None,
            Phase::Stopping { cause, .. } => Some(cause),
            Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Starting { .. }
            | Phase::Running
            | Phase::Exited { .. }
            | Phase::Fatal => None,
        };
        let failed = matches!(cause, Some(Cause::Unready | Cause::Unhealthy));
        let success = clean && !failed && run.failure.is_none();
        let ready = run.ready_at.is_some() || (policy.readiness == Readiness::Success && success);
        let healthy = ready && lived >= policy.healthy_after;
        let Run { exit, failure, remark, .. } = run;
        self.last = Some(Ending { exit, at: turn.now, lived, ready, cause, failure, remark });
        if self.desired == Desired::Down {
            self.phase = Phase::Stopped;
        } else if cause == Some(Cause::Requested)
            || (cause == Some(Cause::Signalled) && policy.restart != Restart::Never)
        {
            self.phase = Phase::Waiting;
            self.reconcile(turn, policy);
        } else if !policy.restart.follows(success) {
            self.phase = Phase::Exited { success };
        } else {
            self.come_back(turn, policy, healthy, lived);
        }
    }

    fn come_back(&mut self, turn: &mut Turn<'_>, policy: &Policy, healthy: bool, lived: Duration) {
        let flapping = policy.flapping.as_ref();
        let verdict = flapping.map_or(Verdict::Calm, |rule| self.flaps.ended(rule, turn.now, lived));
        if verdict == Verdict::Fatal {
            self.phase = Phase::Fatal;
            return;
        }
        self.restarts = self.restarts.saturating_add(1);
        if let Verdict::Flap(wait) = verdict {
            // The waits begin anew too: with long ones the next flap would never come.
            self.failures = 0;
            self.phase = Phase::Backoff { until: turn.now + wait };
        } else if healthy && !turn.storm {
            self.failures = 0;
            self.phase = Phase::Waiting;
            self.reconcile(turn, policy);
        } else {
            self.failures = self.failures.saturating_add(1);
            let wait = Policy::wait_after(self.failures, policy.delay, policy.delay_max);
            self.phase = Phase::Backoff { until: turn.now + wait };
        }
    }
}

fn cut(text: &str) -> Box<str> {
    text.chars().take(REMARK_MAX).collect::<String>().into()
}

impl Readiness {
    /// Whether a word from the process, or about it, makes it ready.
    fn can_be_told(self) -> bool {
        match self {
            Self::Told | Self::ToldOrAlive(_) | Self::ToldOrTimeout => true,
            Self::Alive(_) | Self::Success => false,
        }
    }
}

impl Restart {
    /// Whether an end with or without success is followed by another start.
    fn follows(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !success,
            Self::Never => false,
        }
    }
}
