//! What has to hold after each step.

use crate::world::{Told, World};
use arbiter::master::Event;
use arbiter::pool::{Member, Role};
use proto::control::{ArbiterState, ScaleTarget, Verb};
use std::collections::BTreeSet;
use supervise::simulator::{Violation, check_unit};
use supervise::unit::MOST_EXTENDED;
use supervise::{Cause, Input, Monotonic, Phase, RunId};

/// How it was before a step, and what the step may change.
pub(crate) struct Before {
    members: Vec<Member>,
    generation: u64,
    /// The worker that something happened to by itself.
    own: Option<RunId>,
    /// Whether the number of workers was to change.
    resized: bool,
    /// Who asks for more time, and when its time was over before.
    asks: Option<(RunId, Option<Monotonic>)>,
}

fn serving(members: &[Member]) -> usize {
    members.iter().filter(|member| member.role == Role::Current && member.ready).count()
}

impl World {
    /// Whether it has begun to end what runs: not while it serves on for the delay before.
    pub(crate) fn is_stopping(&self) -> bool {
        self.master.stop_of_companions().is_some()
    }

    pub(crate) fn snapshot(&self, told: &Told) -> Before {
        let own = match told {
            Told::Worker(
                run,
                Input::Exited { .. } | Input::NotSpawned { .. } | Input::Gone | Input::Leaves,
            ) => Some(*run),
            _ => None,
        };
        let resized = match told {
            Told::Event(Event::ScaleWorkers(_) | Event::Withdraw) => true,
            Told::Event(Event::Request { verb: Verb::Scale { target, .. }, .. }) => {
                *target == ScaleTarget::Workers
            }
            _ => false,
        };
        let asks = match told {
            Told::Worker(run, Input::MoreTime { .. }) => {
                let unit = self.master.pool().unit_of(*run);
                Some((*run, unit.and_then(supervise::Unit::next_deadline)))
            }
            _ => None,
        };
        let generation = self.master.pool().generation();
        Before { members: self.members(), generation, own, resized, asks }
    }

    /// More time is given to those that are starting or leaving in good order, and only so much.
    fn check_extension(&mut self, before: &Before) -> Result<(), Violation> {
        let Some((run, due)) = before.asks else { return Ok(()) };
        let Some(unit) = self.master.pool().unit_of(run) else { return Ok(()) };
        let (Some(due), Some(now_due), Some(current)) = (due, unit.next_deadline(), unit.run()) else {
            return Ok(());
        };
        let begun = current.over_at.unwrap_or(current.started);
        let settings = self.master.pool().launch(run).map(|launch| launch.settings);
        let longest = settings.map(|it| it.policy.stop.timeout.max(it.policy.start_timeout) * MOST_EXTENDED);
        self.seen.extended += u64::from(now_due > due);
        if now_due < due || (now_due > due && now_due > begun + longest.unwrap_or_default()) {
            return broken(format!("from {due:?} to {now_due:?} is not what can be asked for: {unit:?}"));
        }
        Ok(())
    }

    pub(crate) fn check(&mut self, before: &Before) -> Result<(), Violation> {
        self.kernel.check()?;
        let after = self.members();
        self.ever_ready |= after.iter().any(|member| member.ready);
        if let Some(what) = self.violation.take() {
            return Err(Violation(what));
        }
        self.check_extension(before)?;
        let own = before.own.and_then(|run| self.master.pool().unit_of(run));
        let leaves =
            |unit: &supervise::Unit| matches!(unit.phase(), Phase::Stopping { cause: Cause::Leaves, .. });
        self.seen.left += u64::from(own.is_some_and(leaves));
        self.check_manager()?;
        check_places(&after)?;
        if let Some(run) = self.unknown_runs() {
            return broken(format!("run {run} is in the kernel and nobody knows of it"));
        }
        if !self.is_stopping() {
            self.check_number(&after)?;
            self.check_capacity(before, &after)?;
            self.check_replacement(before, &after)?;
            self.check_successors(&after)?;
        } else if after.iter().any(|member| member.role != Role::Leaving) {
            return broken(format!("stops and keeps a worker: {after:?}"));
        }
        Ok(())
    }

    /// All that was due has been done.
    pub(crate) fn check_rested(&self) -> Result<(), Violation> {
        let now = self.now();
        if self.master.next_deadline().is_some_and(|deadline| deadline < now) {
            return broken(format!("has a deadline in the past: {:?}", self.master));
        }
        for run in self.members().into_iter().filter_map(|member| member.run) {
            if let Some(unit) = self.master.pool().unit_of(run) {
                // Nothing is due of one that is held back before it is known to have its process.
                let is_known = unit.run().is_some_and(|run| run.pid.is_some());
                let rested = is_known || !self.ever_held.contains(&run);
                check_unit(unit, now, true, rested)?;
            }
        }
        Ok(())
    }

    pub(crate) fn check_end(&self) -> Result<(), Violation> {
        if let Some(relay) = self.tickets.first() {
            return broken(format!("request {relay} was never answered"));
        }
        let awake = |run| !self.kernel.is_asleep(run);
        match self.kernel.runs().find(|(run, sight)| sight.living() > 0 && awake(*run)) {
            Some((run, _)) => broken(format!("run {run} outlives arbiter")),
            None => Ok(()),
        }
    }

    /// Whichever manager is there knows what it has to do, and nothing is left of what has failed.
    fn check_manager(&self) -> Result<(), Violation> {
        let there = self.manager.is_up() && self.manager_known;
        if there && !self.is_in_charge() {
            return broken("there is a manager beside that of the other master".into());
        }
        if there && self.is_stopping() && self.exit.is_none() && !self.manager.stopping {
            return broken("a manager was not told that all is to end".into());
        }
        if self.master.state() != ArbiterState::Running {
            return Ok(());
        }
        if there && self.manager.prepared {
            return broken("a manager keeps what was prepared for a reload that is over".into());
        }
        // A listener that was opened just now is still to be told of.
        if self.candidate_open && self.next.is_empty() {
            return broken("new listeners are left of a reload that is over".into());
        }
        Ok(())
    }

    /// As many current ones as there should be, once any have been started; none while they are withdrawn.
    fn check_number(&self, after: &[Member]) -> Result<(), Violation> {
        let current = after.iter().filter(|member| member.role == Role::Current).count();
        let target = if self.are_withdrawn { 0 } else { self.master.pool().target() as usize };
        let any_started = !after.is_empty() || self.first_generation.is_some();
        if current != target && any_started {
            return broken(format!("there are {current} workers instead of {target}: {after:?}"));
        }
        Ok(())
    }

    /// Nothing but a worker's own end takes it from those that serve, or a number that was made smaller:
    /// then the oldest go first, ready or not.
    fn check_capacity(&self, before: &Before, after: &[Member]) -> Result<(), Violation> {
        if before.resized {
            return Ok(());
        }
        let own = |member: &Member| member.role == Role::Current && member.ready && member.run == before.own;
        let died = before.own.is_some() && before.members.iter().any(own);
        let was = serving(&before.members) - usize::from(died);
        let least = was.min(self.master.pool().target() as usize);
        let serving = serving(after);
        if serving < least {
            return broken(format!("{serving} workers serve, {least} could: {:?} {after:?}", before.members));
        }
        Ok(())
    }

    /// Old ones that serve are asked to leave only when a new one serves in the same place, or at the end of
    /// a rollout; without batches all new ones are ready by then.
    fn check_replacement(&mut self, before: &Before, after: &[Member]) -> Result<(), Violation> {
        let current = |members: &[Member]| -> BTreeSet<RunId> {
            members.iter().filter(|m| m.role == Role::Current).filter_map(|m| m.run).collect()
        };
        let now = current(after);
        let new: Vec<&Member> = before.members.iter().filter(|m| m.role == Role::Successor).collect();
        let promoted = new.iter().filter(|m| m.run.is_some_and(|run| now.contains(&run))).count();
        let committed = before.generation != self.master.pool().generation();
        self.seen.resizes += u64::from(before.resized);
        self.seen.resizes_in_rollouts += u64::from(before.resized && !new.is_empty());
        self.seen.commits += u64::from(promoted > 0 && committed);
        self.seen.batches += u64::from(promoted > 0 && !committed && self.batch.is_some());
        if promoted > 0 && (committed || self.batch.is_none()) {
            // One that takes over and is one too many may leave at once: the number was made smaller.
            let stays = |m: &&&Member| after.iter().any(|a| a.run == m.run && a.role == Role::Successor);
            if let Some(left) = new.iter().find(stays) {
                return broken(format!("took over while {left:?} did not"));
            }
            let ready =
                |m: &Member| after.iter().any(|a| a.run == m.run && (a.ready || a.role == Role::Leaving));
            if let Some(gone) = new.iter().find(|m| !m.ready && !ready(m)) {
                return broken(format!("took over before {gone:?} was ready"));
            }
        }
        let served = |slot| after.iter().any(|m| m.role == Role::Current && m.slot == slot && m.ready);
        let left =
            |m: &&Member| m.role == Role::Current && m.ready && m.run.is_some_and(|r| !now.contains(&r));
        let lost = before.members.iter().filter(left).find(|m| m.run != before.own && !served(m.slot));
        match lost.filter(|_| !before.resized && !committed) {
            Some(lost) => broken(format!("{lost:?} was asked to leave with nothing in its place: {after:?}")),
            None => Ok(()),
        }
    }

    /// No more new ones at a time than are asked for, and none of a rollout that is over.
    fn check_successors(&self, after: &[Member]) -> Result<(), Violation> {
        let successors = || after.iter().filter(|member| member.role == Role::Successor);
        let starting = successors().filter(|member| !member.ready).count();
        if self.batch.is_some_and(|batch| starting > batch as usize) {
            return broken(format!("too many are started at a time: {after:?}"));
        }
        let recycling = self.recycles && !self.master.pool().is_rolling_out();
        let may_be =
            if self.master.state() == ArbiterState::Running { usize::from(recycling) } else { usize::MAX };
        if successors().count() > may_be {
            return broken(format!("a new worker is left of what is over: {after:?}"));
        }
        Ok(())
    }
}

/// Nothing has two current ones or two successors in a slot.
fn check_places(members: &[Member]) -> Result<(), Violation> {
    let mut taken = BTreeSet::new();
    for member in members.iter().filter(|member| member.role != Role::Leaving) {
        if !taken.insert((member.slot, member.role)) {
            return broken(format!("two workers are in one place: {members:?}"));
        }
    }
    Ok(())
}

fn broken(what: String) -> Result<(), Violation> {
    Err(Violation(what))
}
