//! The identity of one execution.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One execution of a program, from the decision to start it until its process group is empty.
///
/// Numbers are never reused while arbiter lives, so an exit, a message or a timer that names a run
/// can never hit the process that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Hands out run numbers.
#[derive(Clone, Debug)]
pub struct RunIds {
    next: u64,
}

impl RunIds {
    /// Numbers from `first` on.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        Self { next: first }
    }

    /// A number never handed out before.
    pub fn allot(&mut self) -> RunId {
        let run = RunId(self.next);
        self.next += 1;
        run
    }

    /// The number the next run will get.
    #[must_use]
    pub fn upcoming(&self) -> u64 {
        self.next
    }
}
