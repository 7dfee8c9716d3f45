//! What processes use. Nothing is measured unless somebody asks, and never in the loop: a child does it, one at a
//! time; who asks meanwhile is served by the next one together.

use super::{Shell, Source, now};
use crate::table::Asker;
use proto::control::{Answer, Failure, FailureKind, Pid, Reply, Response, Stats};
use std::collections::HashMap;
use std::time::Duration;
use supervise::Monotonic;
use supervise::signal::SIGKILL;
use sys::reactor::Interest;
use sys::usage::{Job, TIMEOUT, Usage};

/// A share of a processor that was taken over less than this is left as it was: ticks are too coarse.
const COARSE: Duration = Duration::from_millis(500);
/// A look that is older does not count any more: the share is one of the whole life then.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// A request, and the processes it is about.
type Question = (Asker, Vec<Pid>);

/// A look at a process.
#[derive(Clone, Copy, Debug)]
struct Look {
    started_ticks: u64,
    cpu_time: Duration,
    at: Monotonic,
    share: f64,
}

/// A measurement under way.
#[derive(Debug)]
struct Measuring {
    job: Job,
    deadline: Monotonic,
    asked: Vec<Question>,
}

/// What was asked, and what was seen last.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    measuring: Option<Measuring>,
    waiting: Vec<Question>,
    looks: HashMap<i32, Look>,
}

impl Statistics {
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.measuring.as_ref().map(|measuring| measuring.deadline)
    }

    /// The child that measures, which is no stray.
    pub(super) fn helper(&self) -> Option<i32> {
        self.measuring.as_ref().map(|measuring| measuring.job.spawned.pid)
    }

    /// The share of a processor since the last look, or of the whole life where that is too long ago.
    fn share(&mut self, pid: i32, usage: &Usage, now: Monotonic) -> f64 {
        let look = self.looks.get(&pid).filter(|look| look.started_ticks == usage.started_ticks);
        let share = match look {
            Some(look) if now.since(look.at) < COARSE => return look.share,
            Some(look) => ratio(usage.cpu_time.saturating_sub(look.cpu_time), now.since(look.at)),
            None => ratio(usage.cpu_time, usage.age),
        };
        let (started_ticks, cpu_time) = (usage.started_ticks, usage.cpu_time);
        self.looks.insert(pid, Look { started_ticks, cpu_time, at: now, share });
        share
    }
}

fn ratio(cpu: Duration, passed: Duration) -> f64 {
    if passed.is_zero() { 0.0 } else { cpu.as_secs_f64() / passed.as_secs_f64() }
}

impl Shell {
    /// Somebody asks what processes use.
    pub(super) fn ask_stats(&mut self, asker: Asker, names: &[String]) {
        match self.subjects(names) {
            Ok(subjects) => self.statistics.waiting.push((asker, subjects)),
            Err(failure) => return self.answer_stats(asker, Reply::Failed(failure)),
        }
        self.begin_measuring_usage();
    }

    /// The processes that `names` stand for: everything, or the workers, the two daemons, companions.
    fn subjects(&self, names: &[String]) -> Result<Vec<Pid>, Failure> {
        let (own, names): (Vec<&String>, Vec<&String>) =
            names.iter().partition(|name| matches!(name.as_str(), "arbiter" | "manager" | "workers"));
        let all = own.is_empty() && names.is_empty();
        let wants = |name: &str| all || own.iter().any(|own| *own == name);
        let mut subjects = Vec::new();
        if wants("arbiter") {
            subjects.push(Pid { name: "arbiter".into(), slot: None, pid: self.boot.arbiter });
        }
        if wants("manager") {
            subjects.push(Pid { name: "manager".into(), slot: None, pid: sys::process::pid() });
        }
        if wants("workers") {
            let workers = self.master.workers.processes.iter().map(|worker| &worker.process);
            subjects.extend(workers.filter_map(|process| {
                Some(Pid { name: "worker".into(), slot: Some(process.slot), pid: process.pid? })
            }));
        }
        if all && self.table.companions().next().is_some() {
            subjects.extend(self.table.pids(&["*".into()])?);
        } else if !names.is_empty() {
            subjects.extend(self.table.pids(&names.into_iter().cloned().collect::<Vec<_>>())?);
        }
        Ok(subjects)
    }

    /// Begins to measure for all who wait, unless a measurement is under way.
    fn begin_measuring_usage(&mut self) {
        if self.statistics.measuring.is_some() || self.statistics.waiting.is_empty() {
            return;
        }
        let asked = std::mem::take(&mut self.statistics.waiting);
        let mut pids: Vec<i32> = asked.iter().flat_map(|(_, subjects)| subjects).map(|one| one.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        let started = Job::start("companion-manager", pids).and_then(|job| {
            let watched = self.reactor.register(&job.spawned.pidfd, Source::Usage.token(), Interest::READ);
            watched.inspect_err(|_| drop(sys::pidfd::send_signal(&job.spawned.pidfd, SIGKILL)))?;
            Ok(job)
        });
        match started {
            Ok(job) => {
                self.statistics.measuring = Some(Measuring { job, deadline: now() + TIMEOUT, asked });
            }
            Err(error) => {
                for (asker, _) in asked {
                    let text = format!("no process can be started to measure with: {error}");
                    self.answer_stats(asker, Reply::Failed(Failure::new(FailureKind::Refused, text)));
                }
            }
        }
    }

    /// The child that measures has ended. It is reaped like everybody whom nobody knows.
    pub(super) fn usage_ended(&mut self) {
        let Some(measuring) = self.statistics.measuring.take() else { return };
        if let Err(error) = self.reactor.deregister(&measuring.job.spawned.pidfd) {
            tracing::debug!("a measurer could not be taken out of the loop: {error}");
        }
        let (found, now) = (measuring.job.result(), now());
        self.statistics.looks.retain(|_, look| now.since(look.at) < FORGOTTEN);
        for (asker, subjects) in measuring.asked {
            let stats = subjects.into_iter().filter_map(|Pid { name, slot, pid }| {
                let usage = found.get(&pid)?;
                let cpu = self.statistics.share(pid, usage, now);
                let (cpu_time, memory, threads) = (usage.cpu_time, usage.memory(), usage.threads);
                let descriptors = usage.descriptors.unwrap_or(0);
                Some(Stats { name, slot, pid, cpu, cpu_time, memory, descriptors, threads })
            });
            let stats = stats.collect();
            self.answer_stats(asker, Reply::Done(Answer::Stats(stats)));
        }
        self.begin_measuring_usage();
    }

    /// One that takes too long has at least left what is cheap.
    pub(super) fn end_late_usage(&mut self, now: Monotonic) {
        if let Some(measuring) = self.statistics.measuring.as_ref().filter(|it| it.deadline <= now) {
            tracing::warn!("measuring took more than {} s", TIMEOUT.as_secs());
            // It may have ended in this moment.
            let _ = sys::pidfd::send_signal(&measuring.job.spawned.pidfd, SIGKILL);
            self.usage_ended();
        }
    }

    fn answer_stats(&mut self, to: Asker, reply: Reply) {
        self.server.answer(to.client, &Response { id: to.id, reply }, &self.reactor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cpu: u64, age: u64) -> Usage {
        Usage {
            started_ticks: 7,
            age: Duration::from_millis(age),
            cpu_time: Duration::from_millis(cpu),
            threads: 1,
            resident: 1,
            proportional: None,
            descriptors: None,
        }
    }

    fn at(milliseconds: u64) -> Monotonic {
        Monotonic::from_boot(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_share_is_of_the_time_since_the_last_look_and_at_first_of_the_whole_life() {
        let mut statistics = Statistics::default();
        let mut share = |cpu, age, now| (statistics.share(5, &usage(cpu, age), at(now)) * 100.0).round();
        assert_eq!(share(500, 1000, 0), 50.0);
        assert_eq!(share(1500, 3000, 2000), 50.0);
        assert_eq!(share(1700, 3100, 2100), 50.0, "too soon for another look");
        assert_eq!(share(1500, 4000, 3000), 0.0);
        assert_eq!(share(3500, 6000, 4000), 200.0, "two threads");
    }

    #[test]
    fn another_process_of_the_same_number_is_looked_at_afresh() {
        let mut statistics = Statistics::default();
        statistics.share(5, &usage(500, 1000), at(0));
        let other = Usage { started_ticks: 8, ..usage(100, 1000) };
        assert!((statistics.share(5, &other, at(2000)) - 0.1).abs() < 1e-9);
    }
}
