//! What has to hold after each step.

use crate::world::{Told, World};
use arbiter::master::Event;
use arbiter::pool::{Member, Role};
use proto::control::{ArbiterState, ScaleTarget, Verb};
use std::collections::BTreeSet;
use supervise::simulator::{Violation, check_unit};
use supervise::{Input, RunId};

/// How it was before a step, and what the step may change.
pub(crate) struct Before {
    members: Vec<Member>,
    /// The worker that something happened to by itself.
    own: Option<RunId>,
    /// Whether the number of workers was to change.
    resized: bool,
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
            Told::Worker(run, Input::Exited { .. } | Input::NotSpawned { .. } | Input::Gone) => Some(*run),
            _ => None,
        };
        let resized = match told {
            Told::Event(Event::ScaleWorkers(_)) => true,
            Told::Event(Event::Request { verb: Verb::Scale { target, .. }, .. }) => {
                *target == ScaleTarget::Workers
            }
            _ => false,
        };
        Before { members: self.members(), own, resized }
    }

    pub(crate) fn check(&mut self, before: &Before) -> Result<(), Violation> {
        self.kernel.check()?;
        let after = self.members();
        self.ever_ready |= after.iter().any(|member| member.ready);
        if let Some(what) = self.violation.take() {
            return Err(Violation(what));
        }
        self.check_manager()?;
        check_places(&after)?;
        if let Some(run) = self.unknown_runs() {
            return broken(format!("run {run} is in the kernel and nobody knows of it"));
        }
        if !self.is_stopping() {
            self.check_number(&after)?;
            self.check_capacity(before, &after)?;
            self.check_replacement(before, &after)?;
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
                check_unit(unit, now, true, true)?;
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

    /// As many current ones as there should be, once any have been started.
    fn check_number(&self, after: &[Member]) -> Result<(), Violation> {
        let current = after.iter().filter(|member| member.role == Role::Current).count();
        let target = self.master.pool().target() as usize;
        if current != target && !after.is_empty() {
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

    /// Old ones are asked to leave only when all new ones are ready and take over.
    fn check_replacement(&mut self, before: &Before, after: &[Member]) -> Result<(), Violation> {
        let runs = |members: &[Member], role| -> BTreeSet<RunId> {
            members.iter().filter(|member| member.role == role).filter_map(|member| member.run).collect()
        };
        let (old, new) = (runs(&before.members, Role::Current), runs(&before.members, Role::Successor));
        let now = runs(after, Role::Current);
        let promoted = new.intersection(&now).count();
        let dismissed = old.iter().find(|run| !now.contains(run) && Some(**run) != before.own);
        self.seen.resizes += u64::from(before.resized);
        self.seen.resizes_in_rollouts += u64::from(before.resized && !new.is_empty());
        let without_workers = self.master.pool().target() == 0;
        if promoted > 0 {
            self.seen.commits += 1;
            // One that takes over and is one too many may leave at once: the number was made smaller.
            let unready = after
                .iter()
                .find(|m| m.role == Role::Successor && m.run.is_some_and(|run| new.contains(&run)));
            if let Some(unready) = unready {
                return broken(format!("took over while {unready:?} did not"));
            }
            let gone = before.members.iter().find(|m| m.role == Role::Successor && !m.ready);
            let ready =
                |m: &Member| after.iter().any(|a| a.run == m.run && (a.ready || a.role == Role::Leaving));
            if let Some(gone) = gone.filter(|m| !ready(m)) {
                return broken(format!("took over before {gone:?} was ready"));
            }
        } else if let Some(run) = dismissed.filter(|_| !before.resized && !without_workers) {
            return broken(format!("run {run} was asked to leave with nothing in its place: {after:?}"));
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
