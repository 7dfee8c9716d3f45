//! Operations that have not been answered yet.

use super::companion::is_done;
use super::narrate::say;
use super::roll::Roll;
use super::{Action, Asker, Key, Level, Table, record, shown};
use proto::control::{Answer, Failure, FailureKind, Reply, TargetResult};
use serde::{Deserialize, Serialize};
use supervise::unit::{Phase, Step};
use supervise::{Cause, Desired, ExitStatus, Monotonic, State, Unit};

/// One request under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) asker: Asker,
    pub(super) goal: Goal,
    pub(super) watched: Vec<Watched>,
}

/// When a request is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Goal {
    /// Each process is ready, or has failed once.
    Ready,
    /// Each is ready, however often it fails before.
    WaitReady,
    /// Nothing of them is left.
    Stopped,
    /// The same, whoever does it.
    WaitStopped,
    /// Each roll has ended.
    Rolled,
    /// As [`Goal::Ready`], answered by the new number.
    Scaled(u32),
    /// The one-off has become its program, or has ended.
    Ran {
        /// Whether its end is waited for.
        to_end: bool,
    },
}

/// What became of a one-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// Its process.
    pub(super) pid: i32,
    /// How that ended, if it has.
    pub(super) exit: Option<ExitStatus>,
    /// Whether that was a success.
    pub(super) success: bool,
}

/// One process that a request waits for.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) key: Key,
    /// Full name, kept for when the companion is gone.
    pub(super) name: String,
    /// The roll that restarts it.
    pub(super) roll: Option<u64>,
    /// Whether the request did anything to it.
    pub(super) changed: bool,
    /// How it ended, once it has.
    pub(super) end: Option<Result<String, String>>,
    /// What became of it, where it is a one-off.
    pub(super) ran: Option<Ran>,
}

/// How far one process has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not yet.
    Open,
    /// As wanted.
    Done(&'static str),
    /// Not as wanted, for this reason.
    Failed(String),
}

/// Whether a process that was asked to run is ready.
pub(super) fn judge_ready(table: &Table, key: Key) -> Verdict {
    let Some(slot) = table.slot(key).filter(|slot| !slot.leaving) else {
        return Verdict::Failed("was removed meanwhile".into());
    };
    let unit = &slot.unit;
    if table.is_shut_down(key.companion) {
        return Verdict::Failed("arbiter is stopping".into());
    }
    if unit.desired() == Desired::Down || table.is_doomed(key.companion) {
        return Verdict::Failed("was stopped meanwhile".into());
    }
    if is_done(unit) {
        return Verdict::Done("started");
    }
    match unit.phase() {
        Phase::Backoff { .. } | Phase::Fatal | Phase::Exited { .. } => {
            let reason = match unit.phase() {
                Phase::Fatal => unit.lasting_reason(),
                _ => unit.last().map(supervise::Ending::sentence),
            };
            Verdict::Failed(reason.unwrap_or_else(|| "could not be started".into()))
        }
        Phase::Stopping { cause: Cause::Unready, .. } => {
            let timeout = table.companion(key.companion).map(|c| c.spec.start_timeout).unwrap_or_default();
            Verdict::Failed(format!("was not ready within {} s", timeout.as_secs_f64()))
        }
        Phase::Stopping { step: Step::Stuck, .. } => {
            Verdict::Failed("the process before it cannot be killed: it sleeps in the kernel".into())
        }
        Phase::Waiting => match table.hopeless_blocker(key.companion, |_| false) {
            Some((name, state)) => Verdict::Failed(blocked_by(name, state)),
            None => Verdict::Open,
        },
        Phase::Stopping { .. } | Phase::Starting { .. } | Phase::Running | Phase::Stopped => Verdict::Open,
    }
}

pub(super) fn blocked_by(name: &str, state: State) -> String {
    format!("comes after {name}, which is {state}: start {name} first")
}

fn judge_stopped(table: &Table, key: Key, whoever: bool) -> Verdict {
    let Some(slot) = table.slot(key) else { return Verdict::Done("stopped") };
    let unit = &slot.unit;
    if !whoever && unit.desired() == Desired::Up && !table.is_doomed(key.companion) {
        return Verdict::Failed("was started meanwhile".into());
    }
    match unit.phase() {
        Phase::Stopped | Phase::Exited { .. } | Phase::Fatal => Verdict::Done("stopped"),
        Phase::Stopping { step: Step::Stuck, .. } => Verdict::Failed(stuck(unit)),
        Phase::Stopping { .. }
        | Phase::Waiting
        | Phase::Backoff { .. }
        | Phase::Starting { .. }
        | Phase::Running => Verdict::Open,
    }
}

/// Says that not even SIGKILL ended a process.
fn stuck(unit: &Unit) -> String {
    let pid = unit.run().and_then(|run| run.pid).unwrap_or_default();
    format!("pid {pid} is still there after SIGKILL: it sleeps in the kernel")
}

fn judge_wait_ready(table: &Table, key: Key) -> Verdict {
    let Some(slot) = table.slot(key) else { return Verdict::Failed("was removed meanwhile".into()) };
    match slot.unit.phase() {
        _ if is_done(&slot.unit) => Verdict::Done("ready"),
        Phase::Fatal | Phase::Exited { success: false } => {
            Verdict::Failed(slot.unit.last().map(supervise::Ending::sentence).unwrap_or_default())
        }
        _ if table.is_shut_down(key.companion) => Verdict::Failed("arbiter is stopping".into()),
        _ => Verdict::Open,
    }
}

impl Table {
    /// What a request waits for in one slot.
    pub(super) fn watch(&self, key: Key, changed: bool) -> Watched {
        let name = self.companion(key.companion).map(|c| c.spec.name.clone()).unwrap_or_default();
        Watched { key, name, roll: None, changed, end: None, ran: None }
    }

    /// Answers a request now, or when it is done.
    pub(super) fn pend(&mut self, asker: Asker, wait: bool, goal: Goal, watched: Vec<Watched>) {
        let pending = Pending { asker, goal, watched };
        if wait {
            self.owe(&pending);
            self.pending.push(pending);
        } else {
            let reply = self.reply_of(&pending);
            self.actions.push(Action::Reply { to: asker, reply });
        }
    }

    /// Answers the requests that are done.
    pub(super) fn answer_pending(&mut self, _now: Monotonic) {
        let mut all = std::mem::take(&mut self.pending);
        all.retain_mut(|pending| {
            self.look_at(pending);
            if pending.watched.iter().all(|watched| watched.end.is_some()) {
                let reply = self.reply_of(pending);
                self.actions.push(Action::Reply { to: pending.asker, reply });
                if pending.asker.token != [0; 16] {
                    self.records.push(record::no_request(&pending.asker.token));
                }
                return false;
            }
            true
        });
        self.pending = all;
    }

    fn look_at(&self, pending: &mut Pending) {
        for index in 0..pending.watched.len() {
            let watched = &pending.watched[index];
            if watched.end.is_some() {
                continue;
            }
            let verdict = match pending.goal {
                Goal::Ready => judge_ready(self, watched.key),
                // A changed one was added, any other one is to leave.
                Goal::Scaled(_) if watched.changed => judge_ready(self, watched.key),
                Goal::Scaled(_) | Goal::Stopped => judge_stopped(self, watched.key, false),
                Goal::WaitReady => judge_wait_ready(self, watched.key),
                Goal::WaitStopped => judge_stopped(self, watched.key, true),
                // Begun by the manager before, and not known as a roll any more.
                Goal::Rolled if watched.roll.is_none() => judge_ready(self, watched.key),
                Goal::Rolled => Verdict::Open,
                Goal::Ran { to_end } => {
                    let (verdict, ran) = judge_ran(self, watched.key, to_end);
                    pending.watched[index].ran = ran;
                    verdict
                }
            };
            match verdict {
                Verdict::Open => {}
                Verdict::Done(what) => {
                    let what = if pending.goal == Goal::Rolled { "restarted" } else { what };
                    pending.watched[index].end = Some(Ok(what.to_owned()));
                }
                Verdict::Failed(reason) => fail(pending, index, reason),
            }
        }
    }

    /// A roll has ended: whoever waits for one of its slots is told.
    pub(super) fn resolve_rolled(&mut self, roll: &Roll, result: &Result<(), String>) {
        let watched = self.pending.iter_mut().flat_map(|pending| &mut pending.watched);
        for watched in watched.filter(|watched| watched.roll == Some(roll.number) && watched.end.is_none()) {
            let slot = watched.key.slot;
            watched.end = Some(match result {
                _ if roll.done.contains(&slot) => Ok("restarted".into()),
                Ok(()) => Err("was removed meanwhile".into()),
                Err(reason) if roll.current().is_none_or(|current| current == slot) => Err(reason.clone()),
                Err(_) => Err("left as it is, because another one did not come back".into()),
            });
        }
    }

    /// A one-off has ended: whoever waits for it is told.
    pub(super) fn resolve_ran(&mut self, key: Key, ending: &Result<Ran, String>) {
        let is_its = |pending: &&mut Pending| matches!(pending.goal, Goal::Ran { .. });
        let watched = self.pending.iter_mut().filter(is_its).flat_map(|pending| &mut pending.watched);
        for watched in watched.filter(|watched| watched.key == key && watched.end.is_none()) {
            watched.ran = ending.as_ref().ok().copied();
            watched.end = Some(ending.as_ref().map(|_| "ran".to_owned()).map_err(Clone::clone));
        }
    }

    fn reply_of(&self, pending: &Pending) -> Reply {
        if let Goal::Ran { to_end } = pending.goal {
            return reply_of_run(&pending.watched, to_end);
        }
        if let Goal::Scaled(count) = pending.goal {
            let failed = pending.watched.iter().find_map(|watched| Some((watched, watched.end.as_ref()?)));
            return match failed {
                Some((watched, Err(reason))) => {
                    let text = format!("{}:{}: {reason}", watched.name, watched.key.slot);
                    Reply::Failed(Failure::new(FailureKind::Refused, text))
                }
                _ => Reply::Done(Answer::Count(count)),
            };
        }
        Reply::Done(Answer::Results(pending.watched.iter().map(|watched| self.result_of(watched)).collect()))
    }

    fn result_of(&self, watched: &Watched) -> TargetResult {
        let unit = self.slot(watched.key).map(|slot| &slot.unit);
        let (message, failed) = match &watched.end {
            Some(Ok(done)) => match (done.as_str(), watched.changed) {
                ("started", false) => ("was already running".into(), false),
                ("stopped", false) => ("was already stopped".into(), false),
                _ => (done.clone(), false),
            },
            Some(Err(reason)) => (reason.clone(), true),
            None if watched.changed => ("asked for".into(), false),
            None => ("nothing to do".into(), false),
        };
        TargetResult {
            name: watched.name.clone(),
            slot: Some(shown(watched.key.slot)),
            state: unit.map_or(State::Stopped, supervise::Unit::state),
            pid: unit.and_then(|unit| unit.run()?.pid),
            changed: watched.changed,
            message,
            failed,
        }
    }

    /// Says how many answers are still owed, for the log of a manager that is to end.
    pub(super) fn note_owed(&mut self) {
        if !self.pending.is_empty() {
            let text = format!("{} requests are still under way", self.pending.len());
            self.actions.push(say(Level::Info, text));
        }
    }
}

/// Whether what a one-off's request waits for has come; its end is told when its slot goes.
fn judge_ran(table: &Table, key: Key, to_end: bool) -> (Verdict, Option<Ran>) {
    let Some(slot) = table.slot(key) else {
        return (Verdict::Failed("its end was lost with the manager: look at its log".into()), None);
    };
    let pid = slot.unit.run().and_then(|run| run.pid);
    match (slot.unit.phase(), pid.filter(|_| slot.unit.is_ready() && !to_end)) {
        (_, Some(pid)) => (Verdict::Done("started"), Some(Ran { pid, exit: None, success: true })),
        (Phase::Stopping { step: Step::Stuck, .. }, None) => (Verdict::Failed(stuck(&slot.unit)), None),
        _ => (Verdict::Open, None),
    }
}

/// The answer about a one-off.
fn reply_of_run(watched: &[Watched], to_end: bool) -> Reply {
    match watched.first().map(|watched| (watched.name.as_str(), &watched.end, watched.ran)) {
        Some((_, Some(Ok(_)), Some(Ran { pid, exit, success }))) => {
            Reply::Done(Answer::Run { pid, exit: exit.filter(|_| to_end), success: success || !to_end })
        }
        Some((name, Some(Err(reason)), _)) => {
            Reply::Failed(Failure::new(FailureKind::Refused, format!("{name}: {reason}")))
        }
        _ => Reply::Failed(Failure::new(FailureKind::Unknown, "what became of it is not known")),
    }
}

/// One process has failed: its request need not wait for the others of the same companion.
fn fail(pending: &mut Pending, index: usize, reason: String) {
    let companion = pending.watched[index].key.companion;
    pending.watched[index].end = Some(Err(reason));
    if pending.goal == Goal::Ready {
        for other in &mut pending.watched {
            if other.key.companion == companion && other.end.is_none() {
                other.end = Some(Ok("started, not ready yet".into()));
            }
        }
    }
}
