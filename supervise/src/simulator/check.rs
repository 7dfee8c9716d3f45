//! What holds of a unit after every input.

use crate::Monotonic;
use crate::unit::{Desired, Phase, Step, Unit};
use std::fmt;

/// A rule that was broken, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Checks what holds of `unit` whatever happened to it. `gate` says whether what it comes after is
/// ready, and `rested` that all that was due at `now` has been done.
///
/// # Errors
///
/// The first rule that does not hold: a run where there can be none or none where there must be one, a
/// unit that should be stopped and is not on its way, one that should run and that nothing will wake, a
/// deadline where nothing is to come, a deadline in the past.
pub fn check_unit(unit: &Unit, now: Monotonic, gate: bool, rested: bool) -> Result<(), Violation> {
    let (phase, desired) = (unit.phase(), unit.desired());
    let (has_run, has_deadline) = match phase {
        Phase::Stopped | Phase::Waiting | Phase::Exited { .. } | Phase::Fatal => (false, false),
        Phase::Backoff { .. } => (false, true),
        Phase::Starting { .. } | Phase::Stopping { step: Step::Asked { .. } | Step::Killed { .. }, .. } => {
            (true, true)
        }
        Phase::Running | Phase::Stopping { step: Step::Stuck, .. } => (true, false),
    };
    if unit.run().is_some() != has_run {
        return broken(unit, "has a run where there can be none, or none where there must be one");
    }
    let deadline = unit.next_deadline();
    if deadline.is_some() != has_deadline {
        return broken(unit, "has a deadline with nothing to come, or none where one is needed");
    }
    let at_rest_when_down = matches!(phase, Phase::Stopped | Phase::Stopping { .. });
    if desired == Desired::Down && !at_rest_when_down {
        return broken(unit, "should be stopped and is not on its way");
    }
    if desired == Desired::Up && (phase == Phase::Stopped || (phase == Phase::Waiting && gate)) {
        return broken(unit, "should run, could run, and nothing will wake it");
    }
    if rested && deadline.is_some_and(|deadline| deadline < now) {
        return broken(unit, "has a deadline in the past");
    }
    Ok(())
}

fn broken(unit: &Unit, what: &str) -> Result<(), Violation> {
    Err(Violation(format!("{what}: {unit:?}")))
}
