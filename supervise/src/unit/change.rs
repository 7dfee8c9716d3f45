//! What of a unit's life is worth telling others: found by comparing it before and after an input.

use super::{Action, Desired, Ending, Note, Phase, Unit};
use crate::{ExitStatus, RunId};
use std::time::Duration;

/// Something that happened to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A process should run from now on.
    Wanted,
    /// None should from now on.
    Unwanted,
    /// It has a process.
    Spawned {
        /// The process.
        pid: i32,
    },
    /// The process is ready.
    Ready {
        /// The process.
        pid: i32,
    },
    /// Nothing is left of the process.
    Ended {
        /// The process; `None` when none came into being.
        pid: Option<i32>,
        /// How it ended; `None` when none came into being.
        status: Option<ExitStatus>,
        /// Whether that was asked for.
        requested: bool,
    },
    /// It keeps ending, and waits for longer than after a single end.
    Flaps {
        /// How often in a row.
        count: u32,
        /// Until it is tried again.
        retry_in: Duration,
    },
    /// It was given up.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// A unit before an input.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    desired: Desired,
    run: Option<(RunId, Option<i32>)>,
    given_up: bool,
}

impl Unit {
    /// What [`Before::changes`] compares with.
    #[must_use]
    pub fn before(&self) -> Before {
        Before {
            desired: self.desired,
            run: self.run.as_ref().map(|run| (run.id, run.pid)),
            given_up: self.phase == Phase::Fatal,
        }
    }
}

impl Unit {
    /// The flap that the last end has completed, if it waits for that.
    fn flap(&self) -> Option<Change> {
        let Phase::Backoff { until } = self.phase else { return None };
        let (count, _, _) = self.flaps.completed()?;
        let ended = self.last.as_ref()?.at;
        Some(Change::Flaps { count, retry_in: until.since(ended) })
    }
}

impl Before {
    /// What has happened since, in order; `actions` are those that came out of the input.
    #[must_use]
    pub fn changes(&self, unit: &Unit, actions: &[Action]) -> Vec<Change> {
        let mut changes = Vec::new();
        match (self.desired, unit.desired) {
            (Desired::Down, Desired::Up) => changes.push(Change::Wanted),
            (Desired::Up, Desired::Down) => changes.push(Change::Unwanted),
            (Desired::Up, Desired::Up) | (Desired::Down, Desired::Down) => {}
        }
        let pid_before = self.run.and_then(|(_, pid)| pid);
        let pid = unit.run.as_ref().and_then(|run| run.pid);
        if let Some(run) = unit.run.as_ref().filter(|run| self.run == Some((run.id, None))) {
            changes.extend(pid.map(|pid| Change::Spawned { pid }));
            // One that is ready at once may have been so before its number was known.
            let ready = run.ready_at.filter(|_| !actions.iter().any(is_ready));
            changes.extend(ready.and(pid).map(|pid| Change::Ready { pid }));
        }
        for action in actions {
            match action {
                action if is_ready(action) => changes.extend(pid.map(|pid| Change::Ready { pid })),
                Action::Note { run, note: Note::Ended } => {
                    let pid = pid_before.filter(|_| self.run.is_some_and(|(before, _)| before == *run));
                    let last = unit.last.as_ref();
                    let status = last.and_then(|last| last.exit).map(|exit| exit.status);
                    let requested = last.is_some_and(Ending::was_requested);
                    changes.push(Change::Ended { pid, status, requested });
                    changes.extend(unit.flap());
                }
                Action::Note {
                    note: Note::Ready { .. } | Note::Unready | Note::Killed | Note::Stuck,
                    ..
                }
                | Action::Spawn { .. }
                | Action::Signal { .. }
                | Action::Kill { .. } => {}
            }
        }
        if unit.phase == Phase::Fatal && !self.given_up {
            changes.push(Change::GivenUp { reason: unit.lasting_reason().unwrap_or_default() });
        }
        changes
    }
}

fn is_ready(action: &Action) -> bool {
    matches!(action, Action::Note { note: Note::Ready { .. }, .. })
}
