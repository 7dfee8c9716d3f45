//! When processes are asked from outside how they are: the schedule of checks.
//!
//! A check belongs to a run and is repeated for as long as its owner wants it ([`Probes::follow`]). One *try*
//! follows the other: the first at once (or, for checks that go on for life, spread over the interval), each
//! further one an interval after the end of the one before. A try that is not answered within its timeout has
//! failed. At most [`AT_ONCE`] tries of one daemon are under way; what is due beyond that waits its turn.
//!
//! Nothing here asks anybody: [`Step`]s tell the shell what to begin and what to give up, and it answers with
//! [`Probes::tried`].

use crate::unit::seconds;
use crate::{Monotonic, RunId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many tries may be under way at the same time: each may cost a process.
pub const AT_ONCE: usize = 32;

/// A timeout that is looked at so much later than it came says that the looker was away (stopped, or on a
/// machine that was): what was not heard meanwhile is held against nobody.
const LATE: Duration = Duration::from_secs(1);

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first success makes the process ready.
    Ready,
    /// Enough failures in a row say that it does not work any more.
    Health,
}

/// How one process is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What for.
    pub purpose: Purpose,
    /// From the end of one try to the beginning of the next.
    pub interval: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// How many failures in a row count.
    pub failures: u32,
}

/// One try: a number never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u64);

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask; answer with [`Probes::tried`].
    Try {
        /// The try.
        attempt: Attempt,
        /// About whom.
        run: RunId,
        /// What for.
        purpose: Purpose,
    },
    /// Nobody waits for this try any more.
    Abandon {
        /// Which.
        attempt: Attempt,
    },
}

/// What a try has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of whom.
    pub run: RunId,
    /// What for.
    pub purpose: Purpose,
    /// `None`: it is well. Else what is wrong, without its subject.
    pub failure: Option<String>,
    /// Whether there have been so many failures in a row that they count.
    pub counts: bool,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Due(Monotonic),
    UnderWay { attempt: Attempt, until: Monotonic },
}

#[derive(Clone, Debug)]
struct Probe {
    plan: Plan,
    when: When,
    /// In a row.
    failures: u32,
}

/// All checks of one daemon.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    probes: BTreeMap<RunId, Probe>,
    under_way: BTreeMap<Attempt, RunId>,
    attempts: u64,
    steps: Vec<Step>,
}

impl Probes {
    /// How a run is to be checked from now on; `None`: not at all. The same plan again changes nothing.
    pub fn follow(&mut self, run: RunId, wanted: Option<Plan>, now: Monotonic) {
        if self.probes.get(&run).map(|probe| probe.plan) == wanted {
            return;
        }
        if let Some(Probe { when: When::UnderWay { attempt, .. }, .. }) = self.probes.remove(&run) {
            self.abandon(attempt);
        }
        if let Some(plan) = wanted {
            let when = When::Due(now + first_wait(run, &plan));
            self.probes.insert(run, Probe { plan, when, failures: 0 });
        }
    }

    /// Takes in how a try has ended. Of one that nobody waits for any more nothing is believed.
    pub fn tried(&mut self, attempt: Attempt, result: Result<(), String>, now: Monotonic) -> Option<Verdict> {
        let run = self.under_way.remove(&attempt)?;
        let probe = self.probes.get_mut(&run).expect("a try under way belongs to a check");
        probe.when = When::Due(now + probe.plan.interval);
        probe.failures = if result.is_ok() { 0 } else { probe.failures.saturating_add(1) };
        let counts = probe.failures >= probe.plan.failures;
        Some(Verdict { run, purpose: probe.plan.purpose, failure: result.err(), counts })
    }

    /// Ends the tries whose time is over: they have failed.
    pub fn expire(&mut self, now: Monotonic) -> Vec<Verdict> {
        let mut over = Vec::new();
        for run in self.under_way.values() {
            let probe = self.probes.get_mut(run).expect("a try under way belongs to a check");
            let When::UnderWay { attempt, until } = &mut probe.when else { continue };
            if now.since(*until) > LATE {
                *until = now + probe.plan.timeout;
            } else if *until <= now {
                over.push((*attempt, probe.plan.timeout));
            }
        }
        let verdicts = over.into_iter().filter_map(|(attempt, timeout)| {
            self.steps.push(Step::Abandon { attempt });
            self.tried(attempt, Err(format!("no answer within {}", seconds(timeout))), now)
        });
        verdicts.collect()
    }

    /// Begins the tries that are due, the longest due first, as many as there is room for.
    pub fn begin_due(&mut self, now: Monotonic) {
        let room = AT_ONCE.saturating_sub(self.under_way.len());
        let mut due: Vec<(Monotonic, RunId)> = self
            .probes
            .iter()
            .filter_map(|(&run, probe)| match probe.when {
                When::Due(at) if at <= now => Some((at, run)),
                When::Due(_) | When::UnderWay { .. } => None,
            })
            .collect();
        due.sort_unstable();
        for (_, run) in due.into_iter().take(room) {
            let probe = self.probes.get_mut(&run).expect("it was just listed");
            self.attempts += 1;
            let attempt = Attempt(self.attempts);
            probe.when = When::UnderWay { attempt, until: now + probe.plan.timeout };
            self.under_way.insert(attempt, run);
            self.steps.push(Step::Try { attempt, run, purpose: probe.plan.purpose });
        }
    }

    /// What the shell is to do, in order.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// When [`Probes::expire`] or [`Probes::begin_due`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let has_room = self.under_way.len() < AT_ONCE;
        let moments = self.probes.values().filter_map(|probe| match probe.when {
            When::Due(at) => has_room.then_some(at),
            When::UnderWay { until, .. } => Some(until),
        });
        moments.min()
    }

    fn abandon(&mut self, attempt: Attempt) {
        self.under_way.remove(&attempt);
        self.steps.push(Step::Abandon { attempt });
    }
}

/// Who waits for a process to become ready wants to know at once. What goes on for life begins at a moment of
/// each run's own, so that many that were started together are not asked together for ever.
fn first_wait(run: RunId, plan: &Plan) -> Duration {
    const PARTS: u32 = 32;
    match plan.purpose {
        Purpose::Ready => Duration::ZERO,
        // 13 and 32 have no common factor: neighbours are far apart.
        Purpose::Health => {
            let part = u32::try_from(run.0.wrapping_mul(13) % u64::from(PARTS)).unwrap_or(0) + 1;
            plan.interval * part / PARTS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Plan = Plan {
        purpose: Purpose::Ready,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        failures: 1,
    };
    const HEALTH: Plan = Plan { purpose: Purpose::Health, failures: 3, ..READY };

    fn at(seconds: f64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs_f64(100.0 + seconds))
    }

    fn tries(probes: &mut Probes, now: Monotonic) -> Vec<(Attempt, RunId)> {
        probes.begin_due(now);
        let steps = probes.take_steps().into_iter();
        steps
            .filter_map(|step| match step {
                Step::Try { attempt, run, .. } => Some((attempt, run)),
                Step::Abandon { .. } => None,
            })
            .collect()
    }

    fn only_try(probes: &mut Probes, now: Monotonic) -> Attempt {
        let tries = tries(probes, now);
        assert_eq!(tries.len(), 1);
        tries[0].0
    }

    #[test]
    fn the_first_try_comes_at_once_and_each_further_one_an_interval_after_the_end_of_the_last() {
        let mut probes = Probes::default();
        probes.follow(RunId(1), Some(READY), at(0.0));
        let first = only_try(&mut probes, at(0.0));
        assert_eq!(probes.next_deadline(), Some(at(5.0)));
        let verdict = probes.tried(first, Err("refused".into()), at(2.0)).unwrap();
        assert_eq!((verdict.failure.as_deref(), verdict.counts), (Some("refused"), true));
        assert_eq!(probes.next_deadline(), Some(at(3.0)));
        assert!(tries(&mut probes, at(2.9)).is_empty());
        let second = only_try(&mut probes, at(3.0));
        assert_eq!(probes.tried(second, Ok(()), at(3.1)).unwrap().failure, None);
    }

    #[test]
    fn a_try_without_an_answer_in_time_has_failed_and_is_given_up() {
        let mut probes = Probes::default();
        probes.follow(RunId(1), Some(READY), at(0.0));
        let attempt = only_try(&mut probes, at(0.0));
        assert!(probes.expire(at(4.9)).is_empty());
        let verdicts = probes.expire(at(5.0));
        assert_eq!(verdicts[0].failure.as_deref(), Some("no answer within 5 s"));
        assert_eq!(probes.take_steps(), [Step::Abandon { attempt }]);
        assert_eq!(probes.tried(attempt, Ok(()), at(5.1)), None, "it was given up");
        assert_eq!(probes.next_deadline(), Some(at(6.0)));
    }

    #[test]
    fn what_was_not_heard_while_the_looker_was_away_is_held_against_nobody() {
        let mut probes = Probes::default();
        probes.follow(RunId(1), Some(READY), at(0.0));
        only_try(&mut probes, at(0.0));
        assert!(probes.expire(at(60.0)).is_empty());
        assert_eq!(probes.next_deadline(), Some(at(65.0)));
        assert_eq!(probes.expire(at(65.0)).len(), 1);
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let mut probes = Probes::default();
        probes.follow(RunId(1), Some(HEALTH), at(0.0));
        let mut now = at(1.0);
        let mut counted = Vec::new();
        for well in [false, false, true, false, false, false] {
            let attempt = only_try(&mut probes, now);
            let result = if well { Ok(()) } else { Err("no".into()) };
            counted.push(probes.tried(attempt, result, now).unwrap().counts);
            now = now + HEALTH.interval;
        }
        assert_eq!(counted, [false, false, false, false, false, true]);
    }

    #[test]
    fn no_more_than_so_many_are_under_way_and_the_others_wait_without_a_wake_up() {
        let mut probes = Probes::default();
        for run in 0..100 {
            probes.follow(RunId(run), Some(READY), at(0.0));
        }
        let under_way = tries(&mut probes, at(0.0));
        assert_eq!(under_way.len(), AT_ONCE);
        assert_eq!(probes.next_deadline(), Some(at(5.0)), "those that wait have no deadline");
        probes.tried(under_way[0].0, Ok(()), at(0.5));
        assert_eq!(tries(&mut probes, at(0.5)).len(), 1);
        probes.follow(under_way[1].1, None, at(0.5));
        assert_eq!(tries(&mut probes, at(0.5)).len(), 1, "one that is wanted no more makes room");
        let mut seen: usize = AT_ONCE + 2;
        while seen < 100 {
            let now = probes.next_deadline().unwrap();
            probes.expire(now);
            seen += tries(&mut probes, now).len();
        }
    }

    #[test]
    fn health_checks_of_many_that_began_together_are_spread_over_the_interval() {
        let mut probes = Probes::default();
        for run in 0..32 {
            probes.follow(RunId(run), Some(HEALTH), at(0.0));
        }
        let mut moments = Vec::new();
        while let Some(now) = probes.next_deadline() {
            for (_, run) in tries(&mut probes, now) {
                probes.follow(run, None, now);
                moments.push(now);
            }
        }
        moments.dedup();
        assert_eq!(moments.len(), 32);
        assert!(*moments.last().unwrap() <= at(1.0));
    }

    #[test]
    fn a_run_that_is_followed_no_more_is_asked_no_more() {
        let mut probes = Probes::default();
        probes.follow(RunId(1), Some(READY), at(0.0));
        let attempt = only_try(&mut probes, at(0.0));
        probes.follow(RunId(1), Some(READY), at(1.0));
        assert!(probes.take_steps().is_empty(), "the same plan changes nothing");
        probes.follow(RunId(1), None, at(1.0));
        assert_eq!(probes.take_steps(), [Step::Abandon { attempt }]);
        assert_eq!((probes.next_deadline(), probes.tried(attempt, Ok(()), at(2.0))), (None, None));
    }
}
