//! The answers to everything but `status`.

use super::SCHEMA;
use super::process::{code_and_signal, seconds};
use crate::show::{rfc3339_seconds, sum};
use proto::control::{Info, PastExit, Pid, ReloadReport, Stats, TargetResult};
use proto::supervise::ExitStatus;
use serde::Serialize;

/// To `ping`, and to what has nothing more to say.
#[derive(Debug, Serialize)]
pub(super) struct Acknowledged {
    pub(super) schema: u32,
    pub(super) ok: bool,
}

/// To `version`.
#[derive(Debug, Serialize)]
pub(super) struct Versions<'a> {
    pub(super) schema: u32,
    pub(super) arbiter: &'a str,
    pub(super) manager: &'a str,
    pub(super) arbiterctl: &'a str,
}

/// To `scale`.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) schema: u32,
    pub(super) count: u32,
}

/// To `reload`.
#[derive(Debug, Serialize)]
pub(super) struct Reload<'a> {
    schema: u32,
    generation: u64,
    added: &'a [String],
    removed: &'a [String],
    restarted: &'a [String],
    scaled: &'a [String],
    applied: &'a [String],
    unchanged: &'a [String],
    pending: &'a [String],
    workers: ReplacedWorkers,
}

#[derive(Debug, Serialize)]
struct ReplacedWorkers {
    replaced: u32,
}

impl<'a> From<&'a ReloadReport> for Reload<'a> {
    fn from(report: &'a ReloadReport) -> Self {
        Self {
            schema: SCHEMA,
            generation: report.generation,
            added: &report.added,
            removed: &report.removed,
            restarted: &report.restarted,
            scaled: &report.scaled,
            applied: &report.applied,
            unchanged: &report.unchanged,
            pending: &report.pending,
            workers: ReplacedWorkers { replaced: report.workers_replaced },
        }
    }
}

/// To `start`, `stop`, `restart`, `signal`, `wait`, `unload`.
#[derive(Debug, Serialize)]
pub(super) struct Results<'a> {
    schema: u32,
    results: Vec<Target<'a>>,
}

#[derive(Debug, Serialize)]
struct Target<'a> {
    name: &'a str,
    slot: Option<u32>,
    state: String,
    pid: Option<i32>,
    changed: bool,
    message: &'a str,
}

impl<'a> From<&'a [TargetResult]> for Results<'a> {
    fn from(list: &'a [TargetResult]) -> Self {
        let target = |result: &'a TargetResult| Target {
            name: &result.name,
            slot: result.slot,
            state: result.state.to_string(),
            pid: result.pid,
            changed: result.changed,
            message: &result.message,
        };
        Self { schema: SCHEMA, results: list.iter().map(target).collect() }
    }
}

/// To `run`.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    schema: u32,
    pid: i32,
    exit: Option<Ended>,
}

#[derive(Debug, Serialize)]
struct Ended {
    code: Option<i32>,
    signal: Option<String>,
}

impl Run {
    /// Of a process, and of its end where that was waited for.
    pub(super) fn new(pid: i32, exit: Option<ExitStatus>) -> Self {
        let exit = exit.map(|status| {
            let (code, signal) = code_and_signal(Some(status));
            Ended { code, signal }
        });
        Self { schema: SCHEMA, pid, exit }
    }
}

/// To `info`.
#[derive(Debug, Serialize)]
pub(super) struct Information<'a> {
    schema: u32,
    name: &'a str,
    settings: &'a str,
    exits: Vec<Past>,
}

#[derive(Debug, Serialize)]
struct Past {
    slot: u32,
    pid: Option<i32>,
    code: Option<i32>,
    signal: Option<String>,
    at: String,
    requested: bool,
    lived_seconds: f64,
}

impl From<&PastExit> for Past {
    fn from(exit: &PastExit) -> Self {
        let (code, signal) = code_and_signal(exit.status);
        Self {
            slot: exit.slot,
            pid: exit.pid,
            code,
            signal,
            at: rfc3339_seconds(exit.at),
            requested: exit.requested,
            lived_seconds: seconds(exit.lived),
        }
    }
}

impl<'a> From<&'a Info> for Information<'a> {
    fn from(info: &'a Info) -> Self {
        let exits = info.exits.iter().map(Past::from).collect();
        Self { schema: SCHEMA, name: &info.name, settings: &info.settings, exits }
    }
}

/// To `stats`.
#[derive(Debug, Serialize)]
pub(super) struct Statistics<'a> {
    schema: u32,
    processes: Vec<Used<'a>>,
    sum: Sum,
}

#[derive(Debug, Serialize)]
struct Sum {
    cpu: f64,
    cpu_seconds: f64,
    memory_bytes: u64,
    descriptors: u32,
    threads: u32,
}

#[derive(Debug, Serialize)]
struct Used<'a> {
    name: &'a str,
    slot: Option<u32>,
    pid: i32,
    cpu: f64,
    cpu_seconds: f64,
    memory_bytes: u64,
    descriptors: u32,
    threads: u32,
}

impl<'a> From<&'a [Stats]> for Statistics<'a> {
    fn from(list: &'a [Stats]) -> Self {
        let used = |one: &'a Stats| Used {
            name: &one.name,
            slot: one.slot,
            pid: one.pid,
            cpu: one.cpu,
            cpu_seconds: seconds(one.cpu_time),
            memory_bytes: one.memory,
            descriptors: one.descriptors,
            threads: one.threads,
        };
        let Stats { cpu, cpu_time, memory, descriptors, threads, .. } = sum(list);
        let sum = Sum { cpu, cpu_seconds: seconds(cpu_time), memory_bytes: memory, descriptors, threads };
        Self { schema: SCHEMA, processes: list.iter().map(used).collect(), sum }
    }
}

/// To `pid`.
#[derive(Debug, Serialize)]
pub(super) struct Pids<'a> {
    schema: u32,
    pids: Vec<Process<'a>>,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    name: &'a str,
    slot: Option<u32>,
    pid: i32,
}

impl<'a> From<&'a [Pid]> for Pids<'a> {
    fn from(list: &'a [Pid]) -> Self {
        let process = |one: &'a Pid| Process { name: &one.name, slot: one.slot, pid: one.pid };
        Self { schema: SCHEMA, pids: list.iter().map(process).collect() }
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
