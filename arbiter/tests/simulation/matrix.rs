//! Every operation, and at each of its steps every victim and every kind of mishap: whatever happens, arbiter comes to
//! rest with exactly what is configured, or ends as it should. The cells are generated: an operation is begun again
//! and again with the mishap one step later, until it is over before that.

use crate::faults::{Fault, Kind, Victim};
use crate::samples;
use crate::upgrade::Replacement;
use crate::world::{Told, World};
use arbiter::master::Event;
use arbiter::pool::Role;
use proto::control::{ArbiterState, ReloadScope, ScaleChange, ScaleTarget, Verb};
use proto::link::Pace;
use std::collections::BTreeMap;
use supervise::simulator::Violation;

/// How many workers are configured.
const COUNT: u32 = 2;
/// How often each cell is played, each time with other waits.
const ROUNDS: u64 = 6;
/// Turns of the loop within which everything comes to rest.
const PATIENCE: usize = 5_000;

/// A long operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Start,
    Stop(Pace),
    Reload,
    ReloadInBatches,
    ReloadCompanions,
    RestartWorkers,
    RestartWorker,
    Scale(u32),
    Upgrade,
    /// The next program goes back to this one.
    UpgradeSentBack,
    RestartManager,
    /// The workers leave, and come back.
    Withdrawal,
    SecondMaster,
}

const OPERATIONS: [Operation; 16] = [
    Operation::Start,
    Operation::Stop(Pace::Graceful),
    Operation::Stop(Pace::Quick),
    Operation::Stop(Pace::Force),
    Operation::Reload,
    Operation::ReloadInBatches,
    Operation::ReloadCompanions,
    Operation::RestartWorkers,
    Operation::RestartWorker,
    Operation::Scale(COUNT + 1),
    Operation::Scale(COUNT - 1),
    Operation::Upgrade,
    Operation::UpgradeSentBack,
    Operation::RestartManager,
    Operation::Withdrawal,
    Operation::SecondMaster,
];
const VICTIMS: [Victim; 4] = [Victim::Manager, Victim::Arbiter, Victim::Worker, Victim::Companion];
const KINDS: [Kind; 3] = [Kind::Kill, Kind::StopAndContinue, Kind::Exit];

impl World {
    /// A world in which nothing fails but what is meant to.
    fn reliable(seed: u64, operation: Operation) -> Self {
        let mut workers = samples::workers(COUNT);
        workers.requires = vec!["redis".into()];
        let batch = (operation == Operation::ReloadInBatches).then_some(1);
        workers.reload_batch = batch.unwrap_or_default();
        Self::serving(seed, samples::master(Some(workers)), batch)
    }

    fn begin(&mut self, operation: Operation) -> Result<(), Violation> {
        match operation {
            Operation::Start => self.step(Told::Start),
            Operation::Stop(Pace::Force) => {
                self.forced = true;
                self.request(Verb::Shutdown { force: true })
            }
            Operation::Stop(pace) => self.stop(pace),
            Operation::Reload | Operation::ReloadInBatches => self.request(Verb::Reload(ReloadScope::All)),
            Operation::ReloadCompanions => self.request(Verb::Reload(ReloadScope::Companions)),
            Operation::RestartWorkers => self.request(Verb::RestartWorkers),
            Operation::RestartWorker => self.request(Verb::RestartWorker { slot: 1 }),
            Operation::Scale(count) => {
                let target = ScaleTarget::Workers;
                self.request(Verb::Scale { target, change: ScaleChange::To(count) })
            }
            Operation::Upgrade | Operation::UpgradeSentBack => self.request(Verb::Upgrade),
            Operation::RestartManager => self.request(Verb::RestartManager),
            Operation::Withdrawal => self.step(Told::Event(Event::Withdraw)),
            Operation::SecondMaster => self.step(Told::Event(Event::Succeed)),
        }
    }

    /// Whether nothing is under way any more.
    fn is_at_rest(&self) -> bool {
        let Replacement { trial: None, leaving: None, .. } = self.replacement else { return false };
        let nothing_waits = self.tickets.is_empty()
            && self.resolver.is_none()
            && self.held.is_empty()
            && self.successor.is_none()
            && self.manager.is_silent()
            && self.kernel.pending() == 0;
        let members = self.members();
        let serve = members.iter().all(|member| member.ready && member.role == Role::Current);
        let number = if self.are_withdrawn { 0 } else { self.master.pool().target() as usize };
        nothing_waits
            && self.master.state() == ArbiterState::Running
            && (self.manager.is_up() && self.manager_known)
            && (serve && members.len() == number)
    }

    /// Goes on until it is at rest, or has ended.
    fn rest(&mut self) -> Result<(), Violation> {
        for _ in 0..PATIENCE {
            if self.exit.is_some() || self.is_at_rest() {
                return Ok(());
            }
            self.turn()?;
        }
        Err(Violation(format!("does not come to rest: {self:?}")))
    }
}

/// Plays `operation` with `fault` after its step of that number. Answers the fault as it came, `None` when the
/// operation was over before.
fn play(seed: u64, operation: Operation, mut fault: Fault, told: bool) -> Result<Option<Fault>, Violation> {
    let mut world = World::reliable(seed, operation);
    if told {
        world = world.telling();
    }
    if operation != Operation::Start {
        world.step(Told::Start)?;
        world.rest()?;
    }
    world.replacement_is_sent_back = operation == Operation::UpgradeSentBack;
    fault.after += world.steps;
    world.fault = Some(fault);
    world.begin(operation)?;
    world.rest()?;
    if world.are_withdrawn && world.exit.is_none() {
        world.step(Told::Event(Event::ScaleWorkers(1)))?;
        world.rest()?;
    }
    let Some(fault) = world.fault.take().filter(|fault| fault.is_over(world.steps)) else { return Ok(None) };
    let is_killed = fault.has_hit && (fault.victim, fault.kind) == (Victim::Arbiter, Kind::Kill);
    let ends = fault.ends_arbiter() || (matches!(operation, Operation::Stop(_)) && !is_killed);
    if ends != world.exit.is_some() {
        return Err(Violation(format!("ended with {:?}, by {fault:?}", world.exit)));
    }
    if world.exit.is_none() {
        let wanted = match operation {
            Operation::Scale(count) if !is_killed => count,
            _ => COUNT,
        };
        if world.master.pool().target() != wanted {
            return Err(Violation(format!("{} workers instead of {wanted}", world.master.pool().target())));
        }
        world.forced = false;
        world.stop(Pace::Graceful)?;
        world.rest()?;
    }
    world.check_end()?;
    Ok(Some(fault))
}

/// Plays `operation` with the mishap after each of its steps. Answers how often there was somebody for it.
fn play_all_steps(seed: u64, operation: Operation, victim: Victim, kind: Kind) -> u64 {
    let mut hits = 0;
    for after in 1.. {
        let fault = Fault { victim, kind, after, has_hit: false };
        let found = play(seed, operation, fault, false).unwrap_or_else(|broken| {
            let _again = play(seed, operation, fault, true);
            panic!("{operation:?}, seed {seed}, {fault:?}: {broken}")
        });
        let Some(fault) = found else { break };
        hits += u64::from(fault.has_hit);
    }
    hits
}

#[test]
fn whatever_fails_at_whichever_step_arbiter_comes_to_rest_as_configured() {
    let mut cells: BTreeMap<(Operation, Victim, Kind), u64> = BTreeMap::new();
    for operation in OPERATIONS {
        for (victim, kind) in VICTIMS.into_iter().flat_map(|victim| KINDS.map(|kind| (victim, kind))) {
            let hits = cells.entry((operation, victim, kind)).or_default();
            for seed in 0..ROUNDS {
                *hits += play_all_steps(seed, operation, victim, kind);
            }
        }
    }
    println!("{} cells, {} mishaps: {cells:?}", cells.len(), cells.values().sum::<u64>());
    assert_eq!(cells.len(), OPERATIONS.len() * VICTIMS.len() * KINDS.len());
    assert!(cells.values().all(|hits| *hits > 0), "a cell is empty: {cells:?}");
}
