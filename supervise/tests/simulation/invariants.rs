//! What has to hold after each step.

use crate::world::{Seat, World};
use supervise::simulator::{Place, Violation, check_unit};
use supervise::unit::{STUCK_AFTER, Step};
use supervise::{Phase, RunId};

impl World {
    pub(crate) fn check_invariants(&self, rested: bool) -> Result<(), Violation> {
        self.kernel.check()?;
        for index in 0..self.seats.len() {
            self.check_seat(index, rested)?;
        }
        if let Some(run) = self.extended {
            return broken(format!("run {run} was given more time to leave than it may have"));
        }
        // A few signals and what a program foretells of itself, for each place.
        let pending = self.kernel.pending();
        if pending > 10_000 {
            return broken(format!("{pending} events are pending"));
        }
        Ok(())
    }

    fn check_seat(&self, index: usize, rested: bool) -> Result<(), Violation> {
        let seat = &self.seats[index];
        let (unit, now) = (&seat.unit, self.kernel.now());
        check_unit(unit, now, self.gate(index), rested)?;
        if unit.desired() != seat.wish {
            return broken(format!("the operator wants {:?} of {unit:?}", seat.wish));
        }
        if unit.restarts() > seat.spawns {
            return broken(format!("{} restarts with {} spawns", unit.restarts(), seat.spawns));
        }
        let there = self.kernel.at(Place(index as u64));
        if there.map(|(run, _)| run) != unit.run().map(|run| run.id) {
            return broken(format!("the kernel has {there:?} for {unit:?}"));
        }
        match unit.phase() {
            Phase::Backoff { until } if until.since(now) > seat.longest_delay => {
                broken(format!("waits longer than ever allowed: {unit:?}"))
            }
            Phase::Stopping { step, .. } => self.check_step(seat, step),
            _ => Ok(()),
        }
    }

    /// A kill is waited for, at most for a while, and only what sleeps is given up.
    fn check_step(&self, seat: &Seat, step: Step) -> Result<(), Violation> {
        let Seat { unit, asked, killed, .. } = seat;
        let run = unit.run().map(|run| run.id);
        match step {
            Step::Asked { group, .. } => {
                let told = asked.is_some_and(|(asked, of_group)| Some(asked) == run && of_group >= group);
                if told { Ok(()) } else { broken(format!("waits for what it never asked: {unit:?}")) }
            }
            Step::Killed { .. } | Step::Stuck if run != *killed => {
                broken(format!("waits for a kill that was not sent: {unit:?}"))
            }
            Step::Killed { give_up } if give_up.since(self.kernel.now()) > STUCK_AFTER => {
                broken(format!("waits too long for a kill: {unit:?}"))
            }
            Step::Stuck => {
                let living = run.is_some_and(|run| self.is_alive_and_awake(run));
                if living { broken(format!("was given up and could be killed: {unit:?}")) } else { Ok(()) }
            }
            Step::Killed { .. } => Ok(()),
        }
    }

    pub(crate) fn is_alive_and_awake(&self, run: RunId) -> bool {
        let living = self.kernel.runs().any(|(id, sight)| id == run && sight.living() > 0);
        living && !self.kernel.is_asleep(run)
    }
}

pub(crate) fn broken(what: String) -> Result<(), Violation> {
    Err(Violation(what))
}
