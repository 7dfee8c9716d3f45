//! The deadlines of many units, earliest first.

use crate::Monotonic;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// One deadline a key. Setting another, or none, makes the one before void, so that no stale timer can
/// act.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Monotonic, K)>>,
    current: HashMap<K, Monotonic>,
}

impl<K: Copy + Eq + Hash + Ord> Default for Timers<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), current: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash + Ord> Timers<K> {
    /// Sets the deadline of `key`, or clears it.
    pub fn set(&mut self, key: K, deadline: Option<Monotonic>) {
        match deadline {
            Some(deadline) => {
                if self.current.insert(key, deadline) != Some(deadline) {
                    self.heap.push(Reverse((deadline, key)));
                    self.shed();
                }
            }
            None => {
                self.current.remove(&key);
            }
        }
    }

    /// Whether `key` has a deadline.
    #[must_use]
    pub fn is_set(&self, key: K) -> bool {
        self.current.contains_key(&key)
    }

    /// The earliest deadline.
    pub fn next_deadline(&mut self) -> Option<Monotonic> {
        while let Some(Reverse((deadline, key))) = self.heap.peek() {
            if self.current.get(key) == Some(deadline) {
                return Some(*deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the next key whose deadline is not after `now`.
    pub fn pop_due(&mut self, now: Monotonic) -> Option<K> {
        if self.next_deadline()? > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.current.remove(&key);
        Some(key)
    }

    /// Forgets void entries once they are most of the heap: it stays as large as what is live.
    fn shed(&mut self) {
        if self.heap.len() > 64 && self.heap.len() > 2 * self.current.len() {
            self.heap = self.current.iter().map(|(&key, &at)| Reverse((at, key))).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn deadlines_come_due_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set('a', Some(at(3)));
        timers.set('b', Some(at(1)));
        assert_eq!(timers.next_deadline(), Some(at(1)));
        assert_eq!(timers.pop_due(at(0)), None);
        assert_eq!(timers.pop_due(at(3)), Some('b'));
        assert_eq!(timers.pop_due(at(3)), Some('a'));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_moved_or_cleared_deadline_never_acts() {
        let mut timers = Timers::default();
        timers.set('a', Some(at(1)));
        timers.set('a', Some(at(5)));
        timers.set('b', Some(at(1)));
        timers.set('b', None);
        assert!(timers.is_set('a') && !timers.is_set('b'));
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(5)), Some('a'));
        assert_eq!(timers.pop_due(at(9)), None);
    }

    #[test]
    fn a_deadline_moved_for_ever_takes_no_more_memory() {
        let mut timers = Timers::default();
        for second in 0..100_000 {
            timers.set('a', Some(at(second)));
        }
        assert!(timers.heap.len() <= 65, "{} entries", timers.heap.len());
        assert_eq!(timers.next_deadline(), Some(at(99_999)));
    }
}
