//! What happens to arbiter, its workers and its manager, for those who watch events.
//!
//! Everything is counted; it is kept, and told to the manager, only while somebody watches. What was told is kept
//! until the manager has said that its event has a number: until then it could be lost with the manager.

use proto::link::{EventCount, Happening, ToManager};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The most that is kept. A manager that is away for longer than it takes to fill this makes watchers miss some, and
/// they are told how many.
const KEPT: usize = 1024;
/// The most in one message, which has to fit into a datagram.
const A_MESSAGE: usize = 64;

/// The queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Happenings {
    is_watched: bool,
    /// The number of the last one.
    last: u64,
    /// The newest, up to and including the last one.
    kept: VecDeque<Happening>,
    /// The number up to which the manager has been told.
    told: u64,
    /// Whether the manager is to be told the number though nothing is behind it.
    owes_number: bool,
    /// How far the manager has counted.
    count: EventCount,
}

impl Happenings {
    /// Something has happened.
    pub fn add(&mut self, happening: Happening) {
        self.last += 1;
        if self.is_watched {
            self.kept.push_back(happening);
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
        }
    }

    /// Whether happenings are kept: they need not be worded otherwise.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Somebody begins to watch, or the last one has gone.
    pub fn watch(&mut self, is_watched: bool) {
        if is_watched && !self.is_watched {
            self.told = self.last;
            self.owes_number = true;
        }
        self.is_watched = is_watched;
        if !is_watched {
            self.kept.clear();
        }
    }

    /// The manager has counted so far.
    pub fn counted(&mut self, count: EventCount) {
        self.count = count;
        let kept = usize::try_from(self.last.saturating_sub(count.taken)).unwrap_or(usize::MAX);
        while self.kept.len() > kept {
            self.kept.pop_front();
        }
    }

    /// There is a new manager: it has to be told what the one before has not counted. How far that was.
    pub fn begin_anew(&mut self) -> EventCount {
        self.told = self.count.taken;
        self.owes_number = self.is_watched;
        self.count
    }

    /// What is to be said next, if there is anything.
    pub fn next_message(&mut self) -> Option<ToManager> {
        if !self.is_watched || (self.told == self.last && !self.owes_number) {
            return None;
        }
        self.owes_number = false;
        let first_kept = self.last - self.kept.len() as u64;
        let skip = usize::try_from(self.told.saturating_sub(first_kept)).unwrap_or(usize::MAX);
        let happenings: Vec<_> = self.kept.iter().skip(skip).take(A_MESSAGE).cloned().collect();
        // Without any, all that is left to say is how many there were.
        let last = if happenings.is_empty() {
            self.last
        } else {
            self.told.max(first_kept) + happenings.len() as u64
        };
        self.told = last;
        Some(ToManager::Happened { last, happenings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::EventKind;
    use std::time::Duration;

    fn happening(pid: i32) -> Happening {
        Happening { time: Duration::ZERO, subject: "worker.1".into(), kind: EventKind::Spawn { pid } }
    }

    fn told(happenings: &mut Happenings) -> Vec<(u64, usize)> {
        let message = || match happenings.next_message()? {
            ToManager::Happened { last, happenings } => Some((last, happenings.len())),
            other => panic!("something else is said: {other:?}"),
        };
        std::iter::from_fn(message).collect()
    }

    #[test]
    fn what_nobody_watches_is_only_counted() {
        let mut happenings = Happenings::default();
        (0..5).for_each(|pid| happenings.add(happening(pid)));
        assert_eq!(told(&mut happenings), []);
        happenings.watch(true);
        assert_eq!(told(&mut happenings), [(5, 0)]);
        happenings.add(happening(6));
        assert_eq!(told(&mut happenings), [(6, 1)]);
        happenings.watch(false);
        happenings.add(happening(7));
        assert_eq!(told(&mut happenings), []);
    }

    #[test]
    fn the_next_manager_is_told_what_the_one_before_has_not_counted() {
        let mut happenings = Happenings::default();
        happenings.watch(true);
        (0..100).for_each(|pid| happenings.add(happening(pid)));
        assert_eq!(told(&mut happenings), [(64, 64), (100, 36)]);
        happenings.counted(EventCount { last: 170, taken: 70 });
        assert_eq!(happenings.begin_anew(), EventCount { last: 170, taken: 70 });
        assert_eq!(told(&mut happenings), [(100, 30)]);
    }

    #[test]
    fn without_a_manager_a_bounded_number_is_kept() {
        let mut happenings = Happenings::default();
        happenings.watch(true);
        assert_eq!(told(&mut happenings), [(0, 0)]);
        (0..5000).for_each(|pid| happenings.add(happening(pid)));
        let told = told(&mut happenings);
        assert_eq!(told.iter().map(|(_, count)| count).sum::<usize>(), KEPT);
        assert_eq!((told[0], told.last().unwrap().0), ((5000 - KEPT as u64 + 64, 64), 5000));
    }
}
