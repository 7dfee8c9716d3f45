//! When a watched question is asked again.
//!
//! An arbiter where nothing happens is left in peace: a status is asked for when events say that something
//! happened, each second while something is on its way, and otherwise now and then, for what no event tells (what
//! a process says of itself).

use std::time::{Duration, Instant};

/// How long events are gathered before one question is asked for all of them.
const GATHER: Duration = Duration::from_millis(50);
/// At least so long between two questions, however much happens.
const LEAST: Duration = Duration::from_millis(250);
/// While a process starts, stops or waits to be tried again: what is said of it counts seconds.
const RESTLESS: Duration = Duration::from_secs(1);
/// While everything is quiet.
const QUIET: Duration = Duration::from_secs(5);
/// For what has no events.
const MEASURED: Duration = Duration::from_secs(2);

/// Says when.
#[derive(Debug)]
pub(super) struct Pace {
    heeds_events: bool,
    /// When the last answer came.
    answered: Option<Instant>,
    /// When to ask next; `None`: at once.
    due: Option<Instant>,
}

impl Pace {
    /// For a question that is asked at once; whether events tell when its answer has changed.
    pub(super) fn new(heeds_events: bool) -> Self {
        Self { heeds_events, answered: None, due: None }
    }

    pub(super) fn heeds_events(&self) -> bool {
        self.heeds_events
    }

    /// Something happened.
    pub(super) fn event(&mut self, now: Instant) {
        let soon = now + GATHER;
        let soon = self.answered.map_or(soon, |answered| soon.max(answered + LEAST));
        self.due = self.due.map(|due| due.min(soon));
    }

    /// The answer has come. `restless`: it counts seconds.
    pub(super) fn answered(&mut self, restless: bool, now: Instant) {
        self.answered = Some(now);
        self.due = Some(now + if restless { RESTLESS.min(self.longest()) } else { self.longest() });
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    pub(super) fn due_in(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// The longest time between an answer and the next question.
    pub(super) fn longest(&self) -> Duration {
        if self.heeds_events { QUIET } else { MEASURED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_arbiter_is_asked_seldom_and_a_restless_one_each_second() {
        let start = Instant::now();
        let mut pace = Pace::new(true);
        assert!(pace.is_due(start));
        pace.answered(false, start);
        assert_eq!(pace.due_in(start), QUIET);
        pace.answered(true, start);
        assert_eq!(pace.due_in(start), RESTLESS);
        assert!(pace.is_due(start + RESTLESS));
    }

    #[test]
    fn an_event_is_asked_about_soon_and_many_together() {
        let start = Instant::now();
        let mut pace = Pace::new(true);
        pace.answered(false, start);
        for happened in 0..100 {
            pace.event(start + Duration::from_millis(happened));
        }
        assert_eq!(pace.due_in(start), LEAST);
        pace.answered(false, start);
        pace.event(start + Duration::from_secs(3));
        assert_eq!(pace.due_in(start), Duration::from_secs(3) + GATHER);
    }

    #[test]
    fn what_is_measured_is_measured_at_even_times() {
        let start = Instant::now();
        let mut pace = Pace::new(false);
        pace.answered(false, start);
        assert_eq!(pace.due_in(start), MEASURED);
    }
}
