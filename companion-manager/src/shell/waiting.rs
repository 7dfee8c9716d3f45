//! Telling clients that wait how far their requests have come.

use super::{Shell, now};
use crate::table::{Asker, and_more};
use proto::control::{ArbiterState, Progress, Reply, Response, Verb};
use proto::link::MasterStatus;
use std::time::Duration;
use supervise::{Monotonic, State};

/// Between two words to the same client; what is done sooner needs none.
const INTERVAL: Duration = Duration::from_secs(1);

/// A client that waits for the answer to a request.
#[derive(Debug)]
struct Waiter {
    asker: Asker,
    /// The request, for a person; unknown of those that come back for an outcome.
    verb: Option<&'static str>,
    since: Monotonic,
    next: Monotonic,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Waiter>);

impl Waiting {
    /// A client waits for the end of the request with the token of `asker`, or for its answer.
    pub(super) fn note(&mut self, asker: Asker, verb: Option<&'static str>, now: Monotonic) {
        self.0.push(Waiter { asker, verb, since: now, next: now + INTERVAL });
    }

    pub(super) fn forget_client(&mut self, client: u64) {
        self.0.retain(|waiter| waiter.asker.client != client);
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.0.iter().map(|waiter| waiter.next).min()
    }

    /// Those who are to be told something now. They are asked after again an interval later.
    fn take_due(&mut self, now: Monotonic) -> Vec<Waiter> {
        let (due, rest) = std::mem::take(&mut self.0).into_iter().partition(|waiter| waiter.next <= now);
        self.0 = rest;
        due
    }
}

/// Whether the answer to `verb` may take long, for one who waits for it, and is no stream.
pub(super) fn may_take_long(verb: &Verb) -> bool {
    !matches!(
        verb,
        Verb::Version
            | Verb::Ping
            | Verb::Status(_)
            | Verb::Info(_)
            | Verb::Stats(_)
            | Verb::Pids(_)
            | Verb::Logs(_)
            | Verb::Events { .. }
            | Verb::Receive { .. }
            | Verb::Send(_)
            | Verb::Outcome(_)
    )
}

impl Shell {
    /// Tells those who have waited for a while how far it is. Nobody is told who does not read.
    pub(super) fn tell_those_who_wait(&mut self) {
        let now = now();
        for waiter in self.waiting.take_due(now) {
            let Some(progress) = self.progress_of(&waiter, now) else { continue };
            let Asker { client, id, .. } = waiter.asker;
            if self.server.untaken(client) == 0 {
                let response = Response { id, reply: Reply::Progress(progress) };
                self.server.answer(client, &response, &self.reactor);
            }
            self.waiting.0.push(Waiter { next: now + INTERVAL, ..waiter });
        }
    }

    /// How far a request is that has not been answered yet.
    fn progress_of(&self, waiter: &Waiter, now: Monotonic) -> Option<Progress> {
        let since = now.since(waiter.since);
        if let Some(progress) = self.table.progress(waiter.asker, since, now) {
            return Some(progress);
        }
        if !self.outcomes.is_under_way(&waiter.asker.token) {
            return None;
        }
        let status = self.master.at(now);
        let verb = waiter.verb.unwrap_or("the request");
        let ends = status.arbiter.state == ArbiterState::Stopping;
        let of_companions = || self.table.leaving(now).map(|(text, next)| (format!("{verb}: {text}"), next));
        let under_way = || (format!("{verb} is under way"), None);
        let told = of_workers(verb, &status).or_else(|| of_companions().filter(|_| ends));
        let (message, escalation) = told.unwrap_or_else(under_way);
        let (escalates_in, escalation) = escalation.map_or((None, ""), |(in_, what)| (Some(in_), what));
        Some(Progress { message, since, escalates_in, escalation: escalation.into() })
    }
}

/// What a request to arbiter waits for, as far as workers show it: new ones that are not ready, then old ones that
/// have not left; and what happens to the first of those whose time runs out, and when. `None`: for none of them.
fn of_workers(verb: &str, status: &MasterStatus) -> Option<(String, Option<(Duration, &'static str)>)> {
    let workers = &status.workers.processes;
    let in_state = |state| workers.iter().filter(move |worker| worker.process.state == state);
    let first_of = |state: State| {
        let escalations = status.escalations.iter();
        let of_it =
            escalations.filter(|(pid, _)| in_state(state).any(|worker| worker.process.pid == Some(*pid)));
        of_it.map(|(_, in_)| *in_).min().zip(state.escalation())
    };
    let newest = workers.iter().map(|worker| worker.generation).max().unwrap_or_default();
    let ready = workers.iter().filter(|worker| worker.generation == newest && worker.process.ready).count();
    let target = status.workers.target;
    if ready < target as usize && status.arbiter.state != ArbiterState::Stopping {
        let message = format!("{verb}: {ready} of {target} workers of generation {newest} are ready");
        Some((message, first_of(State::Starting)))
    } else if let Some(leaving) = in_state(State::Stopping).next() {
        let slot = leaving.process.slot;
        let more = and_more(in_state(State::Stopping).count() - 1);
        let message = format!("{verb}: worker {slot} is STOPPING{more}");
        Some((message, first_of(State::Stopping)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::{ArbiterStatus, ProcessStatus, WorkerStatus, WorkersStatus};

    #[test]
    fn who_waits_is_told_after_an_interval_and_who_has_gone_is_not() {
        let at = |milliseconds| Monotonic::from_boot(Duration::from_millis(milliseconds));
        let asker = |client| Asker { client, id: 1, token: [9; 16] };
        let mut waiting = Waiting::default();
        assert_eq!(waiting.next_deadline(), None);
        waiting.note(asker(1), Some("stop"), at(0));
        waiting.note(asker(2), None, at(500));
        assert_eq!(waiting.next_deadline(), Some(at(1000)));
        assert!(waiting.take_due(at(999)).is_empty());
        assert_eq!(waiting.take_due(at(1000)).len(), 1);
        waiting.forget_client(2);
        assert_eq!(waiting.next_deadline(), None);
    }

    #[test]
    fn a_request_to_arbiter_waits_for_new_workers_then_for_old_ones() {
        let worker = |pid, generation, state, ready| WorkerStatus {
            generation,
            heartbeat_age: None,
            process: ProcessStatus {
                slot: 1,
                pid: Some(pid),
                state,
                ready,
                uptime: None,
                restarts: 0,
                status_text: None,
                last_exit: None,
                retry_in: None,
                reason: None,
            },
        };
        let told = |state, processes| {
            let arbiter = ArbiterStatus {
                pid: 1,
                name: String::new(),
                version: String::new(),
                state,
                generation: 2,
                uptime: Duration::ZERO,
                config: None,
            };
            let status = MasterStatus {
                arbiter,
                started: Monotonic::from_boot(Duration::ZERO),
                manager_restarts: 0,
                listeners: Vec::new(),
                workers: WorkersStatus { target: 1, configured: 1, processes },
                helpers: Vec::new(),
                escalations: vec![(7, Duration::from_secs(20)), (8, Duration::from_secs(30))],
                taken: Monotonic::from_boot(Duration::ZERO),
            };
            of_workers("reload", &status)
        };
        let seconds = Duration::from_secs;
        let (old, running) = (worker(7, 1, State::Stopping, false), ArbiterState::Reloading);
        let starting = vec![old.clone(), worker(8, 2, State::Starting, false)];
        let expected = "reload: 0 of 1 workers of generation 2 are ready";
        assert_eq!(told(running, starting), Some((expected.into(), Some((seconds(30), "start_timeout")))));
        let leaving = vec![old.clone(), worker(9, 2, State::Running, true)];
        let expected = Some(("reload: worker 1 is STOPPING".into(), Some((seconds(20), "SIGKILL"))));
        assert_eq!(told(running, leaving), expected);
        assert_eq!(told(ArbiterState::Stopping, vec![old]), expected);
        assert_eq!(told(running, vec![worker(9, 2, State::Running, true)]), None);
        assert_eq!(told(ArbiterState::Stopping, Vec::new()), None);
    }
}
