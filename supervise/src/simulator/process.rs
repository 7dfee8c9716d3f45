//! One simulated process and its group.

use super::kernel::Place;
use super::program::{Program, Sleep};
use crate::{ExitStatus, Monotonic};

/// A run that was not reaped yet.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) place: Place,
    pub(super) pid: i32,
    pub(super) program: Program,
    pub(super) started: Monotonic,
    pub(super) leader: Leader,
    /// Others of the group that are alive.
    pub(super) others: u8,
    /// When the newest message about it arrives: messages about one run never overtake each other.
    pub(super) newest_message: Monotonic,
    /// Whether its caller knows of the leader's end, and waits for that of the group.
    pub(super) exit_taken: bool,
    /// Until when it is stopped.
    pub(super) paused_until: Option<Monotonic>,
    /// Whether SIGKILL was sent to its group: that ends what is stopped, too.
    pub(super) killed: bool,
}

/// The main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    /// It was never born.
    Missing,
    Alive,
    Zombie(ExitStatus),
}

/// What can be seen of a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Where it runs.
    pub place: Place,
    /// The number of its main process.
    pub pid: i32,
    /// Whether the main process is alive; a zombie is not.
    pub leader_alive: bool,
    /// How many others of its group are alive.
    pub others: u8,
}

impl Process {
    /// The first moment from `at` on at which a death can happen; `None`: never.
    pub(super) fn next_mortal_moment(&self, at: Monotonic) -> Option<Monotonic> {
        let Some(Sleep { begins, lasts }) = self.program.sleep else { return Some(at) };
        let begins = self.started + begins;
        if at < begins {
            return Some(at);
        }
        lasts.map(|lasts| at.max(begins + lasts))
    }

    /// Whether no signal can end it at `now`.
    pub(super) fn is_asleep(&self, now: Monotonic) -> bool {
        self.next_mortal_moment(now) != Some(now)
    }

    pub(super) fn sight(&self) -> Sight {
        let leader_alive = self.leader == Leader::Alive;
        Sight { place: self.place, pid: self.pid, leader_alive, others: self.others }
    }
}

impl Sight {
    /// How many of the group are alive.
    #[must_use]
    pub fn living(&self) -> usize {
        usize::from(self.others) + usize::from(self.leader_alive)
    }
}
