//! The answer to `status`: `NAME STATE description`, one line a process, as `supervisorctl status` reads.

use super::table::{Line, Table};
use super::time::{rfc3339_seconds, span, uptime};
use proto::control::{ArbiterState, CompanionStatus, ProcessStatus, Status, StrayStatus, WorkerStatus};
use proto::supervise::State;
use std::fmt::Write;
use std::time::Duration;

/// The lines of `status`; arbiter, manager, workers and strays are among them only where `everything` was
/// asked for.
pub(super) fn table(status: &Status, everything: bool) -> Table {
    let mut table = Table::default();
    if everything {
        table.daemons = vec![arbiter(status), manager(status)];
        let workers = status.workers.processes.iter();
        table.processes.extend(workers.map(|it| worker(it, status.arbiter.generation)));
    }
    table.processes.extend(status.companions.iter().flat_map(companion));
    if everything {
        table.processes.extend(status.strays.iter().map(stray));
    }
    table
}

/// `status` as it is `age` later, if nothing happens.
pub(super) fn older(status: &Status, age: Duration) -> Status {
    let mut status = status.clone();
    status.arbiter.uptime += age;
    let workers = status.workers.processes.iter_mut().map(|worker| &mut worker.process);
    let companions = status.companions.iter_mut().flat_map(|companion| &mut companion.processes);
    for process in workers.chain(companions.map(|process| &mut process.process)) {
        process.uptime = process.uptime.map(|uptime| uptime + age);
    }
    status
}

fn arbiter(status: &Status) -> Line {
    let arbiter = &status.arbiter;
    let state = match arbiter.state {
        ArbiterState::Running | ArbiterState::Reloading | ArbiterState::Upgrading => State::Running,
        ArbiterState::Starting => State::Starting,
        ArbiterState::Stopping => State::Stopping,
    };
    let mut description = format!(
        "pid {}, uptime {}, {} {}, generation {}",
        arbiter.pid,
        uptime(arbiter.uptime),
        arbiter.name,
        arbiter.version,
        arbiter.generation
    );
    let addresses: Vec<_> = status.listeners.iter().map(|listener| listener.address.as_str()).collect();
    if !addresses.is_empty() {
        let _ = write!(description, ", on {}", addresses.join(", "));
    }
    Line { name: "arbiter".into(), word: arbiter.state.to_string().to_ascii_uppercase(), state, description }
}

fn manager(status: &Status) -> Line {
    let replaced = match status.manager.restarts {
        0 => String::new(),
        1 => ", replaced once".into(),
        times => format!(", replaced {times} times"),
    };
    let (state, description) = match status.manager.pid {
        Some(pid) => (State::Running, format!("pid {pid}{replaced}")),
        None => (State::Starting, format!("being replaced{replaced}")),
    };
    Line { name: "manager".into(), word: state.to_string(), state, description }
}

fn worker(worker: &WorkerStatus, generation: u64) -> Line {
    let mut description = describe(&worker.process);
    if worker.generation != generation {
        let _ = write!(description, ", generation {}", worker.generation);
    }
    line(format!("worker:{}", worker.process.slot), &worker.process, description)
}

fn line(name: String, process: &ProcessStatus, description: String) -> Line {
    Line { name, word: process.state.to_string(), state: process.state, description }
}

fn companion(companion: &CompanionStatus) -> Vec<Line> {
    let CompanionStatus { name, state, .. } = companion;
    if companion.processes.is_empty() {
        let description = if companion.description.is_empty() && *state == State::Stopped {
            "not started".into()
        } else {
            companion.description.clone()
        };
        return vec![Line { name: name.clone(), word: state.to_string(), state: *state, description }];
    }
    let alone = companion.target <= 1 && companion.processes.len() == 1;
    let lines = companion.processes.iter().map(|process| {
        let mut description = describe(&process.process);
        if process.oneoff {
            description.push_str(", one-off");
        }
        let name = if alone { name.clone() } else { format!("{name}:{}", process.process.slot) };
        line(name, &process.process, description)
    });
    lines.collect()
}

fn stray(stray: &StrayStatus) -> Line {
    // No companion's name has brackets.
    Line {
        name: "[stray]".into(),
        word: State::Running.to_string(),
        state: State::Running,
        description: format!("pid {}, {}, left behind by a child of arbiter", stray.pid, stray.command),
    }
}

/// The description column of one process.
fn describe(process: &ProcessStatus) -> String {
    let reason = process.reason.clone();
    match (process.state, process.pid) {
        (State::Running | State::Starting | State::Stopping, Some(pid)) => alive(process, pid),
        (State::Starting, None) => reason.unwrap_or_else(|| "about to start".into()),
        (State::Stopping, None) => reason.unwrap_or_else(|| "its processes are not all gone".into()),
        (State::Running, None) => reason.unwrap_or_else(|| "no process".into()),
        (State::Backoff, _) => reason.unwrap_or_else(|| match process.retry_in {
            Some(retry) => format!("{}, retrying in {}", how_it_ended(process), span(retry)),
            None => how_it_ended(process),
        }),
        (State::Fatal, _) => reason.unwrap_or_else(|| how_it_ended(process)),
        (State::Exited, _) => {
            let at = process.last_exit.as_ref().map(|exit| format!(" at {}", rfc3339_seconds(exit.at)));
            format!("{}{}", reason.unwrap_or_else(|| how_it_ended(process)), at.unwrap_or_default())
        }
        (State::Stopped, _) => match (reason, &process.last_exit) {
            (Some(reason), _) => reason,
            (None, Some(_)) => "stopped".into(),
            (None, None) => "not started".into(),
        },
    }
}

fn alive(process: &ProcessStatus, pid: i32) -> String {
    let mut text = format!("pid {pid}");
    if let Some(time) = process.uptime {
        let _ = write!(text, ", uptime {}", uptime(time));
    }
    if let Some(reason) = &process.reason {
        let _ = write!(text, ", {reason}");
    } else if process.state == State::Running && !process.ready {
        text.push_str(", not ready");
    }
    if let Some(status) = &process.status_text {
        let _ = write!(text, ", {status}");
    }
    text
}

fn how_it_ended(process: &ProcessStatus) -> String {
    let remark = process.last_exit.as_ref().and_then(|exit| exit.remark.as_deref());
    let remark = remark.map(|remark| format!(" ({remark})")).unwrap_or_default();
    match process.last_exit.as_ref().map(|exit| exit.status) {
        Some(Some(status)) => format!("{status}{remark}"),
        Some(None) => "could not be started".into(),
        None => "for an unknown reason".into(),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
