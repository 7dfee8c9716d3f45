//! The answer to `status`. The order of the fields is the documented one.

use super::SCHEMA;
use super::process::{Exit, seconds};
use proto::control::{
    ArbiterStatus, CompanionProcess, CompanionStatus, ProcessStatus, Status, WorkerStatus, WorkersStatus,
};
use proto::supervise::State;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    arbiter: Arbiter<'a>,
    manager: Manager,
    listeners: Vec<Listener<'a>>,
    workers: Workers<'a>,
    companions: Vec<Companion<'a>>,
    strays: Vec<Stray<'a>>,
}

#[derive(Debug, Serialize)]
struct Arbiter<'a> {
    pid: i32,
    name: &'a str,
    version: &'a str,
    state: String,
    generation: u64,
    uptime_seconds: f64,
    config: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Manager {
    pid: Option<i32>,
    restarts: u32,
}

#[derive(Debug, Serialize)]
struct Listener<'a> {
    name: &'a str,
    address: &'a str,
}

#[derive(Debug, Serialize)]
struct Workers<'a> {
    target: u32,
    configured: u32,
    processes: Vec<Worker<'a>>,
}

#[derive(Debug, Serialize)]
struct Worker<'a> {
    slot: u32,
    pid: Option<i32>,
    state: String,
    ready: bool,
    generation: u64,
    uptime_seconds: Option<f64>,
    restarts: u32,
    heartbeat_age_seconds: Option<f64>,
    status_text: Option<&'a str>,
    last_exit: Option<Exit>,
    retry_in_seconds: Option<f64>,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Companion<'a> {
    name: &'a str,
    session: &'a str,
    state: String,
    target: u32,
    configured: u32,
    description: &'a str,
    processes: Vec<Process<'a>>,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    slot: u32,
    oneoff: bool,
    pid: Option<i32>,
    state: String,
    ready: bool,
    uptime_seconds: Option<f64>,
    restarts: u32,
    status_text: Option<&'a str>,
    last_exit: Option<Exit>,
    retry_in_seconds: Option<f64>,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Stray<'a> {
    pid: i32,
    command: &'a str,
}

impl<'a> From<&'a Status> for Document<'a> {
    fn from(status: &'a Status) -> Self {
        Self {
            schema: SCHEMA,
            arbiter: Arbiter::from(&status.arbiter),
            manager: Manager { pid: status.manager.pid, restarts: status.manager.restarts },
            listeners: status
                .listeners
                .iter()
                .map(|listener| Listener { name: &listener.name, address: &listener.address })
                .collect(),
            workers: Workers::from(&status.workers),
            companions: status.companions.iter().map(Companion::from).collect(),
            strays: status
                .strays
                .iter()
                .map(|stray| Stray { pid: stray.pid, command: &stray.command })
                .collect(),
        }
    }
}

impl<'a> From<&'a ArbiterStatus> for Arbiter<'a> {
    fn from(arbiter: &'a ArbiterStatus) -> Self {
        Self {
            pid: arbiter.pid,
            name: &arbiter.name,
            version: &arbiter.version,
            state: arbiter.state.to_string(),
            generation: arbiter.generation,
            uptime_seconds: seconds(arbiter.uptime),
            config: arbiter.config.as_deref(),
        }
    }
}

impl<'a> From<&'a WorkersStatus> for Workers<'a> {
    fn from(workers: &'a WorkersStatus) -> Self {
        let processes = workers.processes.iter().map(Worker::from).collect();
        Self { target: workers.target, configured: workers.configured, processes }
    }
}

impl<'a> From<&'a WorkerStatus> for Worker<'a> {
    fn from(worker: &'a WorkerStatus) -> Self {
        let process = &worker.process;
        Self {
            slot: process.slot,
            pid: process.pid,
            state: process.state.to_string(),
            ready: process.ready,
            generation: worker.generation,
            uptime_seconds: uptime_seconds(process),
            restarts: process.restarts,
            heartbeat_age_seconds: worker.heartbeat_age.map(seconds),
            status_text: process.status_text.as_deref(),
            last_exit: process.last_exit.clone().map(Exit::from),
            retry_in_seconds: retry_in_seconds(process),
            reason: process.reason.as_deref(),
        }
    }
}

impl<'a> From<&'a CompanionStatus> for Companion<'a> {
    fn from(companion: &'a CompanionStatus) -> Self {
        Self {
            name: &companion.name,
            session: &companion.session,
            state: companion.state.to_string(),
            target: companion.target,
            configured: companion.configured,
            description: &companion.description,
            processes: companion.processes.iter().map(Process::from).collect(),
        }
    }
}

impl<'a> From<&'a CompanionProcess> for Process<'a> {
    fn from(process: &'a CompanionProcess) -> Self {
        let CompanionProcess { oneoff, process } = process;
        Self {
            slot: process.slot,
            oneoff: *oneoff,
            pid: process.pid,
            state: process.state.to_string(),
            ready: process.ready,
            uptime_seconds: uptime_seconds(process),
            restarts: process.restarts,
            status_text: process.status_text.as_deref(),
            last_exit: process.last_exit.clone().map(Exit::from),
            retry_in_seconds: retry_in_seconds(process),
            reason: process.reason.as_deref(),
        }
    }
}

/// Null when there is no process, whatever else is known.
fn uptime_seconds(process: &ProcessStatus) -> Option<f64> {
    process.pid.and(process.uptime).map(seconds)
}

/// Only in BACKOFF.
fn retry_in_seconds(process: &ProcessStatus) -> Option<f64> {
    process.retry_in.filter(|_| process.state == State::Backoff).map(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{answer, sample};
    use proto::control::Answer;
    use std::time::Duration;

    #[test]
    fn the_status_is_the_documented_one_field_by_field_in_its_order() {
        let text = answer(&Answer::Status(Box::new(sample::status())));
        assert_eq!(text, sample::without_spaces(sample::STATUS) + "\n");
    }

    #[test]
    fn what_is_not_there_is_null() {
        let mut status = sample::status();
        status.manager.pid = None;
        status.arbiter.config = None;
        let process = &mut status.companions[0].processes[0].process;
        process.pid = None;
        process.uptime = Some(Duration::from_secs(1));
        process.retry_in = Some(Duration::from_secs(1));
        process.last_exit = None;
        let value = serde_json::to_value(Document::from(&status)).unwrap();
        let process = &value["companions"][0]["processes"][0];
        assert_eq!(process["uptime_seconds"], serde_json::Value::Null);
        assert_eq!(process["retry_in_seconds"], serde_json::Value::Null, "it is RUNNING");
        assert_eq!(value["manager"]["pid"], serde_json::Value::Null);
        assert!(value["arbiter"].as_object().unwrap().contains_key("config"));

        status.companions[0].processes[0].process.state = State::Backoff;
        let value = serde_json::to_value(Document::from(&status)).unwrap();
        assert_eq!(value["companions"][0]["processes"][0]["retry_in_seconds"], 1.0);
    }
}
