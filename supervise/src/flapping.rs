//! When a process that keeps ending is given up.

use crate::Monotonic;
use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a process that keeps ending is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// This many unrequested ends …
    pub attempts: u32,
    /// … within this time are one flap,
    pub window: Duration,
    /// after which it waits this long;
    pub retry_in: Duration,
    /// the flap after this many in a row is the end; -1: never.
    pub max_retry: i32,
}

/// How many ends are remembered apart from each other. With more attempts, those of one sixteenth of the window are
/// remembered together: what a process leaves for another supervisor has to stay short.
const REMEMBERED: usize = 16;

/// Ends that count as one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ends {
    at: Monotonic,
    count: u32,
}

/// The ends of one process that nobody asked for, as far as they still count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flaps {
    /// Those of the present window, the oldest first.
    ends: Vec<Ends>,
    /// Flaps without a long run in between.
    in_a_row: u32,
    /// The attempts and the window of the flap that the last end completed.
    last: Option<(u32, Duration)>,
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is no flap.
    Calm,
    /// One is complete: it waits so long.
    Flap(Duration),
    /// It is given up.
    Fatal,
}

impl Flapping {
    /// How long after the first of them the end comes that completes a flap, for a process that ends as soon as
    /// it is started: beyond the window no flap ever comes.
    #[must_use]
    pub fn fastest(&self, delay: Duration, delay_max: Duration) -> Duration {
        (1..self.attempts).map(|failures| Policy::wait_after(failures, delay, delay_max)).sum()
    }
}

impl Flaps {
    /// Takes in an end at `now`, after a run of `lived`.
    pub(crate) fn ended(&mut self, rule: &Flapping, now: Monotonic, lived: Duration) -> Verdict {
        self.last = None;
        if lived >= rule.window {
            *self = Self::default();
        }
        self.ends.retain(|ends| now.since(ends.at) <= rule.window);
        self.remember(rule, now);
        let count: u32 = self.ends.iter().map(|ends| ends.count).sum();
        if count < rule.attempts {
            return Verdict::Calm;
        }
        self.ends.clear();
        self.last = Some((rule.attempts, rule.window));
        self.in_a_row = self.in_a_row.saturating_add(1);
        match u32::try_from(rule.max_retry) {
            Ok(most) if self.in_a_row > most => Verdict::Fatal,
            _ => Verdict::Flap(rule.retry_in),
        }
    }

    fn remember(&mut self, rule: &Flapping, now: Monotonic) {
        let are_few = rule.attempts as usize <= REMEMBERED;
        let part = (rule.window.as_nanos() / REMEMBERED as u128).max(1);
        let part_of = |moment: Monotonic| moment.since_boot().as_nanos() / part;
        match self.ends.last_mut() {
            // Counted as of the newest, so that none of them is forgotten too early.
            Some(last) if !are_few && part_of(last.at) == part_of(now) => {
                last.at = now;
                last.count = last.count.saturating_add(1);
            }
            _ => self.ends.push(Ends { at: now, count: 1 }),
        }
    }

    /// How often it has flapped in a row, and the rule that says so, if the last end completed a flap.
    pub(crate) fn completed(&self) -> Option<(u32, u32, Duration)> {
        self.last.map(|(attempts, window)| (self.in_a_row, attempts, window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(1000 + seconds))
    }

    fn rule(attempts: u32, window: u64, max_retry: i32) -> Flapping {
        let window = Duration::from_secs(window);
        Flapping { attempts, window, retry_in: Duration::from_secs(300), max_retry }
    }

    /// The verdicts on ends at these moments, each after a run of a second.
    fn verdicts(rule: &Flapping, ends: impl IntoIterator<Item = u64>) -> Vec<Verdict> {
        let mut flaps = Flaps::default();
        ends.into_iter().map(|second| flaps.ended(rule, at(second), SECOND)).collect()
    }

    const FLAP: Verdict = Verdict::Flap(Duration::from_secs(300));

    #[test]
    fn so_many_ends_within_the_window_are_a_flap_and_the_one_after_the_last_retry_is_the_end() {
        use Verdict::{Calm, Fatal};
        assert_eq!(
            verdicts(&rule(3, 60, 1), [0, 30, 60, 400, 401, 402]),
            [Calm, Calm, FLAP, Calm, Calm, Fatal]
        );
        assert_eq!(verdicts(&rule(3, 60, 0), [0, 1, 2]), [Calm, Calm, Fatal]);
        assert_eq!(verdicts(&rule(1, 60, 0), [0]), [Fatal]);
        assert_eq!(verdicts(&rule(1, 60, -1), 0..100), [FLAP; 100]);
    }

    #[test]
    fn ends_that_are_further_apart_never_are() {
        assert_eq!(verdicts(&rule(3, 60, 0), (0..100).map(|end| end * 31)), [Verdict::Calm; 100]);
        // The first of four leaves the window before the third comes.
        assert_eq!(verdicts(&rule(3, 60, 0), [0, 40, 61, 90])[2..], [Verdict::Calm, Verdict::Fatal]);
    }

    #[test]
    fn a_run_as_long_as_the_window_forgives_what_was_before() {
        let rule = rule(2, 60, 1);
        let mut flaps = Flaps::default();
        for second in [0, 1] {
            flaps.ended(&rule, at(second), SECOND);
        }
        assert_eq!(flaps.in_a_row, 1);
        assert_eq!(flaps.ended(&rule, at(100), Duration::from_secs(60)), Verdict::Calm);
        assert_eq!(flaps.ended(&rule, at(101), SECOND), FLAP, "the first of a new row");
        flaps.ended(&rule, at(500), Duration::from_secs(59));
        assert_eq!(flaps.ended(&rule, at(501), SECOND), Verdict::Fatal, "one run was too short to forgive");
    }

    #[test]
    fn many_attempts_are_counted_without_being_remembered_one_by_one() {
        let rule = rule(1000, 160, 0);
        let mut flaps = Flaps::default();
        let mut milliseconds = 0;
        let mut ends = 1;
        while flaps.ended(&rule, at(0) + Duration::from_millis(milliseconds), SECOND) == Verdict::Calm {
            milliseconds += 100;
            ends += 1;
            assert!(flaps.ends.len() <= REMEMBERED + 2);
        }
        assert_eq!(ends, 1000);
        // One each second never are a thousand in 160 s.
        assert!(verdicts(&rule, 0..3000).iter().all(|verdict| *verdict == Verdict::Calm));
    }

    #[test]
    fn whether_a_flap_can_come_at_all_is_known_from_the_waits() {
        let (delay, longest) = (SECOND, Duration::from_secs(60));
        assert_eq!(rule(5, 60, 5).fastest(delay, longest), Duration::from_secs(1 + 2 + 4 + 8));
        assert_eq!(rule(1, 60, 5).fastest(delay, longest), Duration::ZERO);
        assert_eq!(rule(3, 60, 5).fastest(longest, longest), Duration::from_secs(120));
    }
}
