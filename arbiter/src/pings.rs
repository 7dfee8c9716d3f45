//! Whether the manager answers.
//!
//! With whatever the manager is told goes a number that it has to say again in its turn, one at a time; while
//! nothing is said nothing is asked, so that idle stays idle. A manager that owes this for [`PATIENCE`] is of no
//! use any more, though it lives: stopped, or in a circle without end.
//!
//! The time is counted in slices, each looked at when it is over. A look that comes late says that arbiter itself
//! was away or its machine too busy to judge anybody: then all of it begins anew. So a pause of both never counts
//! for more than one slice.

use std::time::Duration;
use supervise::Monotonic;

/// How long the manager may owe an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How many slices that has.
const SLICES: u32 = 10;
const SLICE: Duration = Duration::from_millis(500);
/// A look so much after the end of its slice is late.
const LATE: Duration = Duration::from_millis(500);

/// What the manager owes.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    number: u64,
    /// Whether anything was said that no number has followed yet.
    said: bool,
    owed: Option<Owed>,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    /// When the current slice is over.
    at: Monotonic,
    /// How many slices are left, the current one among them.
    left: u32,
}

impl Owed {
    fn from(now: Monotonic) -> Self {
        Self { at: now + SLICE, left: SLICES }
    }
}

impl Pings {
    /// The manager was told something.
    pub(crate) fn said(&mut self) {
        self.said = true;
    }

    /// The number to say after it, unless one is owed already.
    pub(crate) fn next(&mut self, now: Monotonic) -> Option<u64> {
        if !self.said || self.owed.is_some() {
            return None;
        }
        self.said = false;
        self.number += 1;
        self.owed = Some(Owed::from(now));
        Some(self.number)
    }

    /// The manager said a number.
    pub(crate) fn answered(&mut self, number: u64) {
        if number == self.number {
            self.owed = None;
        }
    }

    /// arbiter was away, or there is a good reason for the silence: all the time is given again.
    pub(crate) fn forgive(&mut self, now: Monotonic) {
        self.owed = self.owed.map(|_| Owed::from(now));
    }

    /// That manager owes nothing any more.
    pub(crate) fn forget(&mut self) {
        self.owed = None;
        self.said = false;
    }

    /// When to look.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        self.owed.map(|owed| owed.at)
    }

    /// Looks: whether an answer has been owed for too long.
    pub(crate) fn is_overdue(&mut self, now: Monotonic) -> bool {
        let Some(owed) = self.owed.as_mut().filter(|owed| owed.at <= now) else { return false };
        if now.since(owed.at) > LATE {
            *owed = Owed::from(now);
            return false;
        }
        *owed = Owed { at: owed.at + SLICE, left: owed.left.saturating_sub(1) };
        owed.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs_f64(100.0 + seconds))
    }

    /// Looks whenever it is time; when an answer is overdue, if that is before `until`.
    fn overdue_at(pings: &mut Pings, until: Monotonic) -> Option<Monotonic> {
        while let Some(look) = pings.deadline().filter(|look| *look <= until) {
            if pings.is_overdue(look) {
                return Some(look);
            }
        }
        None
    }

    #[test]
    fn where_nothing_is_said_nothing_is_asked() {
        let mut pings = Pings::default();
        assert_eq!((pings.next(at(0.0)), pings.deadline()), (None, None));
        pings.said();
        assert_eq!(pings.next(at(0.0)), Some(1));
        pings.answered(1);
        assert_eq!((pings.next(at(1.0)), pings.deadline()), (None, None));
    }

    #[test]
    fn what_is_said_while_an_answer_is_owed_is_asked_about_afterwards() {
        let mut pings = Pings::default();
        pings.said();
        assert_eq!(pings.next(at(0.0)), Some(1));
        pings.said();
        assert_eq!(pings.next(at(0.1)), None);
        pings.answered(1);
        assert_eq!(pings.next(at(0.2)), Some(2));
        pings.answered(1);
        assert!(pings.deadline().is_some(), "an old answer pays nothing");
    }

    #[test]
    fn an_answer_is_overdue_after_five_seconds() {
        let mut pings = Pings::default();
        pings.said();
        pings.next(at(0.0));
        assert_eq!(overdue_at(&mut pings, at(60.0)), Some(at(0.0) + PATIENCE));
        pings.forget();
        assert_eq!(pings.deadline(), None);
    }

    #[test]
    fn a_late_look_gives_all_the_time_again() {
        let mut pings = Pings::default();
        pings.said();
        pings.next(at(0.0));
        assert_eq!(overdue_at(&mut pings, at(4.9)), None);
        assert!(!pings.is_overdue(at(30.0)), "arbiter was away");
        assert_eq!(overdue_at(&mut pings, at(60.0)), Some(at(35.0)));
    }
}
