//! One companion.

use super::history::History;
use super::watchdog::Watch;
use super::{OneOff, fingerprint, oneoff};
use proto::spec::{CompanionSpec, Ready, RestartPolicy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use supervise::unit::Phase;
use supervise::{Desired, Ending, Ladder, Monotonic, Policy, Readiness, Restart, RunId, State, Unit, slots};

/// One process of one companion. Numbers of companions are never used again while a table lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which companion.
    pub companion: u32,
    /// Which of its slots.
    pub slot: u32,
}

/// What is wanted of a companion as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Will {
    /// Nobody has said anything yet.
    Untold,
    /// It should run.
    Up,
    /// It was stopped by hand.
    Down,
}

/// The place of one process.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its lifecycle.
    pub unit: Unit,
    /// What the process says of itself.
    pub status_text: Option<Box<str>>,
    /// Whether the slot goes when its process has gone.
    pub leaving: bool,
    /// The settings that its current run was started with.
    pub settings: u64,
    /// The signs of life of the current run.
    pub(super) watch: Watch,
    /// How many bytes its process used when that was more than it may.
    pub(super) too_big: Option<u64>,
    /// The run before the current one.
    pub previous: Option<RunId>,
    /// The signal an operator sent last, and when.
    pub signalled: Option<(i32, Monotonic)>,
    /// That it is one of a one-off, and whose.
    pub oneoff: Option<OneOff>,
    /// Stands for the record that arbiter has.
    pub(super) told: u64,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            unit: Unit::new(),
            status_text: None,
            leaving: false,
            settings: 0,
            watch: Watch::default(),
            too_big: None,
            previous: None,
            signalled: None,
            oneoff: None,
            told: 0,
        }
    }
}

/// A companion: its settings and its slots.
#[derive(Clone, Debug)]
pub struct Companion {
    /// Its settings.
    pub spec: CompanionSpec,
    /// What follows from them for each process.
    pub policy: Policy,
    /// Stands for the settings whose change replaces a process.
    pub settings: u64,
    /// What is wanted.
    pub will: Will,
    /// How many processes there should be.
    pub target: u32,
    /// Its processes. Each on its own: a map has room for eleven, and most companions have one.
    pub slots: BTreeMap<u32, Box<Slot>>,
    /// Whether it goes when its last process has gone.
    pub removed: bool,
    /// The number of the next one-off's slot: none comes twice.
    pub(super) next_oneoff: u32,
    /// How its last runs ended.
    pub(super) history: History,
    /// Stands for the record of that which arbiter has.
    pub(super) history_told: u64,
    /// Stands for the record that arbiter has.
    pub(super) told: u64,
}

impl Companion {
    pub(super) fn new(spec: CompanionSpec) -> Self {
        let mut companion = Self {
            policy: policy(&spec),
            settings: fingerprint::of_settings(&spec),
            will: Will::Untold,
            target: spec.count,
            slots: BTreeMap::new(),
            removed: false,
            next_oneoff: 0,
            history: History::default(),
            history_told: 0,
            told: 0,
            spec,
        };
        companion.fill();
        companion
    }

    /// Takes over other settings. Neither slots nor processes are touched.
    pub(super) fn set_spec(&mut self, spec: CompanionSpec) {
        self.policy = policy(&spec);
        self.settings = fingerprint::of_settings(&spec);
        self.spec = spec;
    }

    /// What went wrong before counts no more: there are other settings.
    pub(super) fn forgive(&mut self) {
        for slot in self.slots.values_mut() {
            slot.unit.forgive();
        }
    }

    /// The slot of a process that was given up, or ended without success and is not to be started again.
    pub(super) fn given_up(&self) -> Option<u32> {
        let ends = self.policy.restart == Restart::Never;
        let is_given_up = |unit: &Unit| match unit.phase() {
            Phase::Fatal => true,
            Phase::Exited { success } => ends && !success && !unit.last().is_some_and(Ending::was_requested),
            Phase::Stopped
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Starting { .. }
            | Phase::Running
            | Phase::Stopping { .. } => false,
        };
        self.staying().find(|(_, slot)| is_given_up(&slot.unit)).map(|(number, _)| number)
    }

    /// Adds the slots that are missing; they take the lowest free numbers.
    pub(super) fn fill(&mut self) -> Vec<u32> {
        let missing = (self.target as usize).saturating_sub(self.staying().count());
        let added = slots::lowest_free_of(self.slots.keys().copied(), missing);
        self.slots.extend(added.iter().map(|&number| (number, Box::new(Slot::new()))));
        added
    }

    /// The slots that are too many, the oldest first.
    pub(super) fn surplus(&self) -> Vec<u32> {
        let surplus = self.staying().count().saturating_sub(self.target as usize);
        let copies = self.staying().map(|(number, slot)| (number, slot.unit.run().map(|run| run.started)));
        slots::oldest(copies, surplus)
    }

    /// The slots that count.
    pub fn staying(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.slots.iter().filter(|(_, slot)| !slot.leaving).map(|(&number, slot)| (number, &**slot))
    }

    /// The slots that should run and whose run, if any, was started with other settings.
    pub(super) fn outdated(&self) -> Vec<u32> {
        let is_outdated = |slot: &Slot| slot.unit.desired() == Desired::Up && slot.settings != self.settings;
        self.staying().filter(|(_, slot)| is_outdated(slot)).map(|(number, _)| number).collect()
    }

    /// Those of them that have a process: a reload failed, or its manager died, before their turn came.
    pub(super) fn left_behind(&self) -> Vec<u32> {
        let mut slots = self.outdated();
        slots.retain(|number| self.slots.get(number).is_some_and(|slot| slot.unit.run().is_some()));
        slots
    }

    /// Whether what comes after it may start: all of it is ready or has ended with success.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        !self.removed && self.target > 0 && self.staying().all(|(_, slot)| is_done(&slot.unit))
    }

    /// Whether nothing of it runs, save what cannot be killed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.slots.values().all(|slot| slot.unit.is_settled())
    }

    /// Whether a starting process is looked at: it is ready when it waits on its socket.
    pub(super) fn is_looked_at(&self) -> bool {
        self.spec.listen.is_some() && matches!(self.spec.ready, Ready::Auto | Ready::Listening)
    }

    /// The state of its worst process; one that is being removed is stopping.
    #[must_use]
    pub fn state(&self) -> State {
        if self.removed {
            return State::Stopping;
        }
        State::worst(self.staying().map(|(_, slot)| slot.unit.state()))
    }

    /// Whether it will not become ready unless somebody does something.
    pub(super) fn is_hopeless(&self) -> bool {
        self.target == 0
            || self.removed
            || self.staying().any(|(_, slot)| {
                matches!(slot.unit.phase(), Phase::Stopped | Phase::Fatal | Phase::Exited { success: false })
                    && (slot.unit.desired() == Desired::Down || slot.unit.phase() != Phase::Stopped)
            })
    }

    /// Its name, or one of its processes' where it has several.
    #[must_use]
    pub fn label(&self, slot: u32) -> String {
        let is_alone = self.target <= 1 && self.slots.len() - self.oneoffs().count() <= 1;
        if is_alone && !oneoff::is_oneoff(slot) {
            self.spec.name.clone()
        } else {
            format!("{}:{}", self.spec.name, oneoff::shown(slot))
        }
    }
}

/// Whether a process serves, or has done what it was for.
pub(super) fn is_done(unit: &Unit) -> bool {
    unit.is_ready() || unit.phase() == Phase::Exited { success: true }
}

/// With `start_seconds = 0` a program that ends at once would be restarted without a pause.
const SHORTEST_HEALTHY_RUN: Duration = Duration::from_millis(100);

fn policy(spec: &CompanionSpec) -> Policy {
    let stop = Ladder { signal: spec.stop.signal, timeout: spec.stop.timeout, group: spec.stop.group };
    Policy {
        restart: match spec.restart {
            RestartPolicy::Always => Restart::Always,
            RestartPolicy::OnFailure => Restart::OnFailure,
            RestartPolicy::Never => Restart::Never,
        },
        success_codes: spec.success_exit_codes.clone(),
        delay: spec.restart_delay,
        delay_max: spec.restart_delay_max,
        flapping: spec.flapping,
        healthy_after: spec.start_seconds.max(SHORTEST_HEALTHY_RUN),
        readiness: match spec.ready {
            Ready::Auto if spec.listen.is_some() => Readiness::ToldOrTimeout,
            Ready::Auto => Readiness::ToldOrAlive(spec.start_seconds),
            Ready::Notify | Ready::Listening | Ready::Probe { .. } => Readiness::Told,
            Ready::Started => Readiness::Alive(spec.start_seconds),
            Ready::Exit => Readiness::Success,
        },
        start_timeout: spec.start_timeout,
        stop,
        abort: stop,
    }
}
