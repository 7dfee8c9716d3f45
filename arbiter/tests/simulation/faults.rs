//! Something goes wrong at a certain step: who, and how.

use crate::manager::Manager;
use crate::upgrade::Replacement;
use crate::world::{Told, World};
use arbiter::master::{Event, Master};
use proto::link::Pace;
use std::time::Duration;
use supervise::simulator::{Kernel, Violation};

/// How long who is stopped stays so: shorter than what arbiter's shell takes for a dead manager.
const PAUSE: Duration = Duration::from_secs(4);

/// Whom it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Manager,
    Arbiter,
    Worker,
    /// One that workers require, or that is critical.
    Companion,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    StopAndContinue,
    /// It ends by itself: arbiter in good order, a critical companion for good.
    Exit,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) victim: Victim,
    pub(crate) kind: Kind,
    /// After this step of the world.
    pub(crate) after: u64,
    /// Whether there was somebody for it to happen to.
    pub(crate) has_hit: bool,
}

impl Fault {
    /// Whether its step has come.
    pub(crate) fn is_over(&self, steps: u64) -> bool {
        steps >= self.after
    }

    /// Whether arbiter ends because of it.
    pub(crate) fn ends_arbiter(&self) -> bool {
        self.has_hit && self.kind == Kind::Exit && matches!(self.victim, Victim::Arbiter | Victim::Companion)
    }
}

impl World {
    pub(crate) fn fail_when_due(&mut self) -> Result<(), Violation> {
        let Some(fault) = self.fault.filter(|fault| fault.after == self.steps) else { return Ok(()) };
        self.tell(|_| format!("    {fault:?}"));
        let has_hit = self.exit.is_none() && self.strike(fault)?;
        self.fault = Some(Fault { has_hit, ..fault });
        Ok(())
    }

    /// Returns whether there was somebody.
    fn strike(&mut self, Fault { victim, kind, .. }: Fault) -> Result<bool, Violation> {
        let until = self.now() + PAUSE;
        match (victim, kind) {
            (Victim::Manager, _) if !self.manager.is_up() => return Ok(false),
            (Victim::Manager, Kind::StopAndContinue) => self.manager.pause(until),
            (Victim::Manager, Kind::Kill) => self.end_manager()?,
            (Victim::Manager, Kind::Exit) => {
                // All that it was about to say is heard.
                while let Some(event) = self.manager.poll(until) {
                    self.step(Told::Event(event))?;
                }
                if self.exit.is_none() && self.manager.is_up() {
                    self.end_manager()?;
                }
            }
            (Victim::Arbiter, Kind::Exit) => self.stop(Pace::Graceful)?,
            (Victim::Arbiter, Kind::Kill) => self.kill_arbiter()?,
            (Victim::Arbiter, Kind::StopAndContinue) => self.away_until = Some(until),
            (Victim::Worker, _) => return Ok(self.strike_worker(kind)),
            (Victim::Companion, _) if !self.manager.is_up() => return Ok(false),
            (Victim::Companion, Kind::Exit) => {
                self.critical_lost |= !self.master.is_stopping();
                let (name, reason) = ("redis:1".into(), "it exited with status 1".into());
                self.step(Told::Event(Event::CriticalLost { name, reason }))?;
            }
            (Victim::Companion, Kind::Kill | Kind::StopAndContinue) => {
                let now = self.now();
                self.manager.say(&mut self.rng, now, Event::Required(Some("redis to be ready".into())));
                if kind == Kind::StopAndContinue {
                    self.manager.pause(until);
                }
                self.manager.say(&mut self.rng, now, Event::Required(None));
            }
        }
        Ok(true)
    }

    fn strike_worker(&mut self, kind: Kind) -> bool {
        let living = self.kernel.runs().filter(|(_, sight)| sight.leader_alive).map(|(run, _)| run);
        let Some(run) = self.rng.choice(living.collect::<Vec<_>>()) else { return false };
        match kind {
            Kind::Kill => self.kernel.kill(run),
            Kind::Exit => self.kernel.exit(run, 1),
            Kind::StopAndContinue => self.kernel.pause(run, self.kernel.now() + PAUSE),
        }
        true
    }

    /// arbiter is killed: the kernel kills the workers, the manager ends the companions, and somebody starts arbiter
    /// again, which knows nothing.
    fn kill_arbiter(&mut self) -> Result<(), Violation> {
        let spec = self.configured.clone().unwrap_or_else(|| self.master.spec().clone());
        let now = self.now();
        let seed = self.rng.u64(..);
        self.master = Master::new(spec);
        self.master.seed(seed);
        self.kernel = Kernel::new(seed, self.odds.clone());
        self.kernel.advance_to(now);
        self.manager = Manager::reliable(now);
        (self.manager_known, self.manager_missed_in_stop) = (false, false);
        self.held.clear();
        self.ever_held.clear();
        self.next.clear();
        self.tickets.clear();
        self.resolver = None;
        self.replacement = Replacement::default();
        (self.successor, self.predecessor) = (None, None);
        (self.candidate_open, self.listeners_closed, self.are_withdrawn) = (false, false, false);
        (self.killed, self.forced, self.ever_ready, self.critical_lost) = (false, false, false, false);
        self.first_generation = None;
        self.step(Told::Start)
    }
}
