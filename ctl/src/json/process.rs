//! What the answers have in common: durations, moments, and how processes end.

use crate::show::rfc3339_seconds;
use proto::control::LastExit;
use proto::supervise::{ExitStatus, signal_name};
use serde::Serialize;
use std::time::Duration;

/// Seconds, to the millisecond: more digits would be noise.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// An exit code or the name of a signal; neither of them when the process could not be started.
pub(super) fn code_and_signal(status: Option<ExitStatus>) -> (Option<i32>, Option<String>) {
    match status {
        Some(ExitStatus::Code(code)) => (Some(code), None),
        Some(ExitStatus::Signal { number, .. }) => (None, Some(signal(number))),
        None => (None, None),
    }
}

/// `SIGKILL`, or for signals without a name `SIG34`.
pub(super) fn signal(number: i32) -> String {
    signal_name(number).map_or_else(|| format!("SIG{number}"), str::to_owned)
}

/// How a process ended.
#[derive(Debug, Serialize)]
pub(super) struct Exit {
    code: Option<i32>,
    signal: Option<String>,
    at: String,
    requested: bool,
    remark: Option<String>,
}

impl From<LastExit> for Exit {
    fn from(exit: LastExit) -> Self {
        let (code, signal) = code_and_signal(exit.status);
        let at = rfc3339_seconds(exit.at);
        Self { code, signal, at, requested: exit.requested, remark: exit.remark }
    }
}
