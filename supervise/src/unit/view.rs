//! What a unit looks like to a person.

use super::{Cause, Ending, Phase, Step, Unit};
use crate::Monotonic;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The state shown of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Stopped by hand, or never started.
    Stopped,
    /// Not ready yet, or waiting for what it comes after.
    Starting,
    /// Ready.
    Running,
    /// Ended unexpectedly or could not be started; tried again later.
    Backoff,
    /// Asked to stop, not gone yet.
    Stopping,
    /// Ended, and its restart policy says no more.
    Exited,
    /// Given up.
    Fatal,
}

impl State {
    /// How bad the state is: a set is shown in the state of its worst process.
    #[must_use]
    pub fn severity(self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Stopped => 1,
            Self::Exited => 2,
            Self::Starting => 3,
            Self::Stopping => 4,
            Self::Backoff => 5,
            Self::Fatal => 6,
        }
    }

    /// What happens to a process that stays in this state for too long.
    #[must_use]
    pub fn escalation(self) -> Option<&'static str> {
        match self {
            Self::Stopping => Some("SIGKILL"),
            Self::Starting => Some("start_timeout"),
            Self::Stopped | Self::Running | Self::Backoff | Self::Exited | Self::Fatal => None,
        }
    }

    /// The worst of several; [`State::Stopped`] of none.
    #[must_use]
    pub fn worst(states: impl IntoIterator<Item = Self>) -> Self {
        states.into_iter().max_by_key(|state| state.severity()).unwrap_or(Self::Stopped)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Backoff => "BACKOFF",
            Self::Stopping => "STOPPING",
            Self::Exited => "EXITED",
            Self::Fatal => "FATAL",
        })
    }
}

impl Unit {
    /// The state to show.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stopped => State::Stopped,
            Phase::Waiting | Phase::Starting { .. } => State::Starting,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Running => State::Running,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Exited { .. } => State::Exited,
            Phase::Fatal => State::Fatal,
        }
    }

    /// How long until it is tried again, in BACKOFF.
    #[must_use]
    pub fn retry_in(&self, now: Monotonic) -> Option<Duration> {
        match self.phase {
            Phase::Backoff { until } => Some(until.since(now)),
            _ => None,
        }
    }

    /// Why it is in its state, where that is not plain: the last end in BACKOFF, EXITED and FATAL, the
    /// escalation in STOPPING. What a waiting one waits for is known to its owner only.
    #[must_use]
    pub fn reason(&self, now: Monotonic) -> Option<String> {
        let reason = self.lasting_reason()?;
        Some(match self.phase {
            Phase::Backoff { until } => retrying(&reason, until.since(now)),
            Phase::Stopping { step: Step::Asked { deadline, .. }, .. } => {
                killing(&reason, deadline.since(now))
            }
            _ => reason,
        })
    }

    /// How long until something harsher happens to it, which [`State::escalation`] names.
    #[must_use]
    pub fn escalates_in(&self, now: Monotonic) -> Option<Duration> {
        match self.phase {
            Phase::Stopping { step: Step::Asked { deadline, .. }, .. } => Some(deadline.since(now)),
            Phase::Starting { timeout_at, .. } => Some(timeout_at.since(now)),
            _ => None,
        }
    }

    /// As [`Unit::reason`], without the times that pass: it stays true for as long as the phase does.
    #[must_use]
    pub fn lasting_reason(&self) -> Option<String> {
        match self.phase {
            Phase::Backoff { .. } => {
                let mut text = self.last.as_ref().map(Ending::sentence).unwrap_or_default();
                if let Some((_, attempts, window)) = self.flaps.completed() {
                    text.push_str(&format!(", {} time within {}", ordinal(attempts), seconds(window)));
                } else if self.failures > 1 {
                    text.push_str(&format!(", {} time", ordinal(self.failures)));
                }
                Some(text)
            }
            Phase::Exited { .. } => self.last.as_ref().map(Ending::sentence),
            Phase::Fatal => {
                let mut text = self.last.as_ref().map(Ending::sentence).unwrap_or_default();
                if let Some((in_a_row, attempts, window)) = self.flaps.completed() {
                    let ends = format!(", {} time within {}", ordinal(attempts), seconds(window));
                    let again = if in_a_row > 1 { format!(", {in_a_row} times over") } else { String::new() };
                    text = format!("given up: it {text}{ends}{again}");
                }
                Some(text)
            }
            Phase::Stopping { step: Step::Stuck, .. } => {
                let pid = self.run.as_ref().and_then(|run| run.pid).unwrap_or_default();
                Some(format!("pid {pid} is still there after SIGKILL: it sleeps in the kernel"))
            }
            Phase::Stopping { step: Step::Killed { .. }, .. } => Some("killed, not gone yet".into()),
            Phase::Stopping { step: Step::Asked { .. }, cause, .. } => Some(
                match cause {
                    Cause::Requested => "asked to stop",
                    Cause::Unready => "was not ready in time",
                    Cause::Unhealthy => "does not answer",
                    Cause::Leaves => "leaves by itself",
                    Cause::Died => "left processes behind",
                    Cause::Signalled => "went by a signal that was sent to it",
                }
                .into(),
            ),
            Phase::Starting { .. } => {
                let run = self.run.as_ref();
                run.and_then(|run| run.failure.as_deref().or(run.awaits.as_deref())).map(str::to_owned)
            }
            Phase::Stopped | Phase::Waiting | Phase::Running => None,
        }
    }
}

/// A lasting reason with the time until SIGKILL.
#[must_use]
pub fn killing(reason: &str, in_: Duration) -> String {
    format!("{reason}, SIGKILL in {}", seconds(in_))
}

/// A lasting reason with the time until the next try.
#[must_use]
pub fn retrying(reason: &str, in_: Duration) -> String {
    format!("{reason}, retrying in {}", seconds(in_))
}

impl Ending {
    /// The end as a sentence without its subject: "exited with status 1 after 0.2 s".
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Some(failure) = &self.failure {
            return failure.to_string();
        }
        let after = seconds(self.lived);
        let remark = self.remark.as_ref().map(|remark| format!(" ({remark})")).unwrap_or_default();
        match (self.cause, self.exit) {
            (Some(Cause::Unready), _) => format!("was not ready within {after}{remark}"),
            (Some(Cause::Unhealthy), _) => format!("did not answer any more after {after}{remark}"),
            (_, Some(exit)) => format!("{}{remark} after {after}", exit.status),
            (_, None) => format!("ended after {after}, nobody saw how"),
        }
    }
}

/// A duration as a person says it: "0.2 s", "4 s", "3 min", "2 h", "5 d".
pub(crate) fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    match tenths {
        0..100 if tenths % 10 != 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        0..1200 => format!("{} s", tenths.div_ceil(10)),
        1200..72_000 => format!("{} min", tenths / 600),
        72_000..1_728_000 => format!("{} h", tenths / 36_000),
        _ => format!("{} d", tenths / 864_000),
    }
}

/// "second", "third", "11th", "23rd".
#[must_use]
pub fn ordinal(number: u32) -> String {
    const WORDS: [&str; 9] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
    if let Some(word) = (number as usize).checked_sub(1).and_then(|index| WORDS.get(index)) {
        return (*word).to_owned();
    }
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}
