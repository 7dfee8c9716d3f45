//! What is said of a worker in the log.
//!
//! Three things can be too late, and each has its line: a boot (`start_timeout`), a sign of life (`timeout`),
//! a drain (`graceful_timeout`). The line of an end says how, in which of the three phases, how long the
//! worker had been silent, and what it had used.

use super::{Pool, Worker};
use supervise::unit::{Note, Run};
use supervise::{Cause, Exit, Monotonic, Phase, RunId};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As it should be.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Something is wrong.
    Error,
}

impl Worker {
    /// What else is known of its trouble, to stand behind a sentence.
    fn remark(&self) -> String {
        let remark = self.unit.run().and_then(|run| run.remark.as_deref());
        remark.map(|remark| format!(" ({remark})")).unwrap_or_default()
    }

    /// Whether its end began because it was too late, also where that has been asked for since.
    fn was_aborted(&self) -> bool {
        let policy = &self.settings.policy;
        match self.unit.phase() {
            Phase::Stopping { cause: Cause::Unready | Cause::Unhealthy, .. } => true,
            // The signal with which an end began stays.
            Phase::Stopping { signal, .. } => signal == policy.abort.signal && signal != policy.stop.signal,
            _ => false,
        }
    }

    /// Whether it has never become its program: it ends by itself then, whatever it is asked.
    fn is_unstartable(&self) -> bool {
        self.unit.run().is_some_and(|run| run.failure.is_some())
    }

    /// What it does, or did when its end began.
    fn phase_in_words(&self) -> &'static str {
        let was_ready = self.unit.run().is_some_and(|run| run.ready_at.is_some());
        match self.unit.phase() {
            _ if self.is_unstartable() => "booting",
            Phase::Stopping { cause: Cause::Requested | Cause::Leaves, .. } if !self.was_aborted() => {
                "draining"
            }
            _ if was_ready => "serving",
            _ => "booting",
        }
    }
}

impl Pool {
    /// The line for the end of a run's main process.
    #[must_use]
    pub fn tell_exit(&self, now: Monotonic, run: RunId, exit: &Exit) -> Option<(Weight, String)> {
        let worker = &self.workers[self.find(run)?];
        let pid = worker.unit.run().and_then(|run| run.pid).unwrap_or_default();
        let aborted = if worker.was_aborted() { ", aborted" } else { "" };
        let is_meant = matches!(worker.unit.phase(), Phase::Stopping { .. }) && !worker.is_unstartable();
        let weight = if is_meant { Weight::Info } else { Weight::Warn };
        let age = worker.heartbeat.age(now);
        let silence = age.map(|age| format!(", last heartbeat {:.1} s before", age.as_secs_f64()));
        let line = format!(
            "{}: pid {pid} {}{} while {}{aborted}{} ({:.2} s of cpu, {} MiB)",
            worker.name(),
            exit.status,
            worker.remark(),
            worker.phase_in_words(),
            silence.unwrap_or_default(),
            (exit.user_time + exit.system_time).as_secs_f64(),
            exit.max_rss_kib / 1024
        );
        Some((weight, line))
    }

    /// The line for something worth telling that happened to a run.
    #[must_use]
    pub fn tell_note(&self, now: Monotonic, run: RunId, note: Note) -> Option<(Weight, String)> {
        let worker = self.workers.iter().find(|worker| {
            let ended = note == Note::Ended && worker.unit.run().is_none();
            ended && worker.last_run == Some(run) || worker.unit.run().is_some_and(|it| it.id == run)
        })?;
        let since = |moment: fn(&Run) -> Option<Monotonic>| {
            let begun = worker.unit.run().and_then(moment).unwrap_or(now);
            format!("{:.1} s", now.since(begun).as_secs_f64())
        };
        let (weight, words) = match note {
            Note::Ready { assumed: false } => (Weight::Info, "ready".into()),
            Note::Ready { assumed: true } => (
                Weight::Warn,
                "was never seen waiting on a listener, taken as ready; set workers.ready to say how it tells"
                    .into(),
            ),
            Note::Unready => {
                let after = since(|run| Some(run.started));
                let remark = worker.remark();
                let words =
                    format!("not ready after {after} while booting (start_timeout){remark}, aborting it");
                (Weight::Warn, words)
            }
            Note::Killed => {
                let after = since(|run| run.over_at);
                let words = match worker.phase_in_words() {
                    "draining" => format!("not gone after {after} while draining (graceful_timeout), killed"),
                    phase => {
                        format!("not gone {after} after it was aborted while {phase} (abort_timeout), killed")
                    }
                };
                (Weight::Warn, words)
            }
            Note::Stuck => (Weight::Error, "still there 10 s after SIGKILL".into()),
            Note::Ended => {
                let wait = worker.unit.retry_in(now)?;
                (Weight::Info, format!("the next one is started in {:.1} s", wait.as_secs_f64()))
            }
        };
        Some((weight, format!("{}: {words}", worker.name())))
    }
}
