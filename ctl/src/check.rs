//! Whether a status is as configured: `status --check`.
//!
//! Each worker and each companion that starts by itself (or each one named) has to be RUNNING and ready, or
//! EXITED with success. While one is being replaced, it is enough that as many as there should be are ready.
//! An arbiter that is stopping never is as configured.

use crate::exit_code;
use crate::problem::Problem;
use proto::control::{ArbiterState, CompanionStatus, ProcessStatus, Status, WorkersStatus};
use proto::supervise::State;

/// Checks `status`, the answer to a question for `names`; without names for everything.
///
/// # Errors
///
/// Names what is not as configured.
pub(crate) fn check(status: &Status, names: &[String]) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    if status.arbiter.state == ArbiterState::Stopping {
        wrong.push("arbiter is stopping".to_owned());
    }
    if names.is_empty() {
        wrong.extend(workers(&status.workers));
        wrong.extend(status.companions.iter().filter(|c| c.autostart).filter_map(all_of));
    } else if names.iter().any(|name| name.contains(':')) {
        // Single processes were asked for: how many there should be of the companion says nothing about them.
        wrong.extend(status.companions.iter().filter_map(each_shown));
    } else {
        wrong.extend(status.companions.iter().filter_map(|companion| {
            let nothing_runs = companion.processes.iter().all(|process| process.oneoff);
            if companion.target == 0 && nothing_runs { Some(describe(companion)) } else { all_of(companion) }
        }));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("not as configured: {}; look with `arbiterctl status`", wrong.join(", "));
    Err(Problem::new(exit_code::NOT_AS_CONFIGURED, message))
}

fn is_ready(process: &ProcessStatus) -> bool {
    process.state == State::Running && process.ready
}

fn workers(workers: &WorkersStatus) -> Option<String> {
    let ready = workers.processes.iter().filter(|worker| is_ready(&worker.process)).count();
    let target = workers.target;
    (ready < target as usize).then(|| format!("{ready} of {target} workers are ready"))
}

/// The companion as a whole, with as many processes as it should have.
fn all_of(companion: &CompanionStatus) -> Option<String> {
    if companion.state == State::Exited {
        return (!companion.succeeded).then(|| describe(companion));
    }
    let stopped = companion.state == State::Stopped && companion.target.max(companion.configured) > 0;
    let counted = companion.processes.iter().filter(|process| !process.oneoff);
    let ready = counted.filter(|process| is_ready(&process.process)).count();
    (stopped || ready < companion.target as usize).then(|| describe(companion))
}

/// The companion's processes that are in the status, however few.
fn each_shown(companion: &CompanionStatus) -> Option<String> {
    let mut shown = companion.processes.iter().map(|process| &process.process).peekable();
    if shown.peek().is_none() {
        return Some(describe(companion));
    }
    shown
        .find(|process| {
            let succeeded = process.state == State::Exited && companion.succeeded;
            !is_ready(process) && !succeeded
        })
        .map(|process| format!("{}:{} is {}", companion.name, process.slot, process.state))
}

fn describe(companion: &CompanionStatus) -> String {
    let CompanionStatus { name, state, .. } = companion;
    match state {
        State::Running => format!("{name} is not ready in full"),
        State::Exited => format!("{name} is {state} without success"),
        State::Stopped | State::Starting | State::Backoff | State::Stopping | State::Fatal => {
            format!("{name} is {state}")
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
