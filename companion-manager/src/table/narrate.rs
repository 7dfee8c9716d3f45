//! Lines for the log.

use super::{Action, Level};
use supervise::unit::Phase;
use supervise::{Cause, Monotonic, Note, Policy, Unit};

pub(super) fn say(level: Level, text: String) -> Action {
    Action::Say { level, text }
}

/// A unit has begun to end its run.
pub(super) fn ending(label: &str, cause: Cause) -> Option<Action> {
    match cause {
        Cause::Requested => Some(say(Level::Info, format!("{label}: stop requested"))),
        Cause::Leaves => Some(say(Level::Info, format!("{label}: leaves by itself"))),
        Cause::Died => Some(say(
            Level::Warn,
            format!("{label}: its main process has gone and left others of its group behind: ending them"),
        )),
        // These have notes of their own.
        Cause::Unready | Cause::Unhealthy => None,
        // Who sent the signal knows.
        Cause::Signalled => None,
    }
}

/// What a unit found worth telling; `unit` is as it was left.
pub(super) fn note(label: &str, note: Note, unit: &Unit, policy: &Policy, now: Monotonic) -> Option<Action> {
    Some(match note {
        Note::Ready { assumed: false } => say(Level::Info, format!("{label}: ready")),
        Note::Ready { assumed: true } => {
            let text = "was never seen waiting on its socket, taken as ready; set ready to say how it tells";
            say(Level::Warn, format!("{label}: {text}"))
        }
        Note::Unready => say(
            Level::Warn,
            format!(
                "{label}: not ready after {} s: stopping it; see its log, or raise start_timeout",
                policy.start_timeout.as_secs_f64()
            ),
        ),
        Note::Killed => say(Level::Warn, format!("{label}: did not leave in time: killed")),
        Note::Stuck => say(Level::Error, format!("{label}: {}", unit.reason(now).unwrap_or_default())),
        Note::Ended => return ended(label, unit, now),
    })
}

fn ended(label: &str, unit: &Unit, now: Monotonic) -> Option<Action> {
    let last = unit.last()?;
    let sentence = last.sentence();
    Some(match unit.phase() {
        Phase::Backoff { .. } => {
            say(Level::Warn, format!("{label}: {}", unit.reason(now).unwrap_or(sentence)))
        }
        Phase::Exited { success: true } => say(Level::Info, format!("{label}: {sentence}")),
        Phase::Exited { success: false } => {
            let level = if last.was_requested() { Level::Info } else { Level::Warn };
            say(level, format!("{label}: {sentence}, not started again"))
        }
        Phase::Fatal => say(Level::Error, format!("{label}: {}", unit.lasting_reason().unwrap_or(sentence))),
        Phase::Stopped => say(Level::Info, format!("{label}: stopped, {sentence}")),
        Phase::Waiting | Phase::Starting { .. } | Phase::Running | Phase::Stopping { .. } => {
            let level = if last.was_requested() { Level::Info } else { Level::Warn };
            say(level, format!("{label}: {sentence}, starting again"))
        }
    })
}
