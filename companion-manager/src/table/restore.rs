//! A table that goes on where another one was cut off.

use super::narrate::say;
use super::record::{self, Head, Parsed, Place};
use super::watchdog::Watch;
use super::{Action, Companion, Key, Level, OneOff, Slot, Table, Will, oneoff};
use proto::link::{Pace, Saved, SavedProcess};
use proto::spec::{
    CompanionSpec, CompanionsSpec, LogSpec, MOST_PROCESSES, Output, ProcessSpec, Ready, Recycle,
    RestartPolicy, Stdin, StopSpec,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;
use supervise::signal::SIGTERM;
use supervise::unit::{Phase, Step};
use supervise::{Desired, Input, Monotonic, RunId, RunIds, Turn, Unit};

/// What a table is made from.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// What the managers before left.
    pub saved: &'a Saved,
    /// The first free run number.
    pub next_run: u64,
    /// How often the manager was replaced.
    pub restarts: u32,
    /// The stop under way: also of what the workers require, and how patiently.
    pub stop: Option<(bool, Pace)>,
    /// The sentence for a step and an error number at which a process failed before its exec.
    pub describe: &'a dyn Fn(&CompanionSpec, u32, i32) -> String,
    /// The runs that have ended and in whose groups others live.
    pub survivors: &'a BTreeSet<RunId>,
    /// A specification that the manager before may have begun to bring into force.
    pub coming: Option<&'a CompanionsSpec>,
}

type Places = BTreeMap<u32, (Place, u64)>;

impl Table {
    /// The table for `spec` after what has been.
    ///
    /// Units go on from their records. A process that has ended is fed as ended; a run without a process was lost before
    /// it came into being; a process without a record is taken as it is.
    #[must_use]
    pub fn restore(spec: CompanionsSpec, past: Past<'_>, now: Monotonic) -> Self {
        let mut table = Self::empty(spec.required, past.next_run);
        table.tells_changes = spec.tells_changes;
        let (heads, mut places) = parse_all(past.saved);
        let blind = past.restarts > 0 && heads.is_empty() && !past.saved.processes.is_empty();
        let coming = past.coming.map(by_name);
        for spec in spec.companions {
            let known = heads.get(&spec.name);
            let places = places.remove(&spec.name).unwrap_or_default();
            let is_going = known.is_none_or(|(head, _)| head.removed)
                && coming.as_ref().is_some_and(|coming| !coming.contains_key(spec.name.as_str()));
            let mut companion = rebuild(spec, known, places, now);
            if is_going {
                companion.will = Will::Down;
            }
            table.add(companion);
        }
        let mut added = Vec::new();
        for (name, known) in &heads {
            if table.names.contains_key(name) {
                continue;
            }
            let (head, places) = (&known.0, places.remove(name).unwrap_or_default());
            let wanted = coming.as_ref().and_then(|coming| coming.get(name.as_str()));
            if let Some(&spec) = wanted.filter(|_| !head.removed) {
                added.push(table.add(rebuild(spec.clone(), Some(known), places, now)));
                continue;
            }
            let mut companion = rebuild(leftover(name, head), None, places, now);
            companion.removed = true;
            companion.will = head.will;
            for slot in companion.slots.values_mut() {
                slot.leaving = true;
            }
            table.add(companion);
        }
        table.go_on_preparing(past.coming.cloned(), added);
        table.remember_ends(past.saved);
        // They are known to all.
        table.happened.clear();
        if let Some((required_too, pace)) = past.stop {
            table.resume_stop(required_too, pace);
        }
        table.reconnect(now);
        // First those that are lost: an end that is taken in may start another process at once, which
        // arbiter cannot know yet.
        table.lose_missing(past.saved, now);
        table.take_processes(past, now);
        table.repeat_signals();
        if blind {
            table.take_as_observed();
        }
        if let Some((required_too, pace)) = past.stop {
            table.handle_stop(required_too, pace, now);
        }
        table.resume(now);
        table.take_owed(past.saved);
        table.settle(now);
        #[cfg(debug_assertions)]
        table.check_invariants();
        table
    }

    /// Puts what the records say into the tables that are derived from it.
    fn reconnect(&mut self, now: Monotonic) {
        let ids: Vec<u32> = self.companions.keys().copied().collect();
        let keys: Vec<Key> = ids.into_iter().flat_map(|id| self.keys_of(id)).collect();
        for key in keys {
            if let Some(run) = self.slot(key).and_then(|slot| slot.unit.run()).map(|run| run.id) {
                self.runs.insert(run, key);
            }
            if self.slot(key).is_some_and(|slot| slot.leaving) {
                self.leaving.insert(key);
            }
            self.drive(key, now, |_, _, _| {});
        }
    }

    fn take_processes(&mut self, past: Past<'_>, now: Monotonic) {
        for process in &past.saved.processes {
            match self.runs.get(&process.run) {
                Some(&key) => self.feed(key, process, past, now),
                None if process.exit.is_some() || process.pid.is_none() => self.remember(process),
                None => self.adopt(process, now),
            }
        }
    }

    /// A run that its unit has done with, while arbiter has not: the next one in its slot names it.
    fn remember(&mut self, process: &SavedProcess) {
        let companion = self.names.get(&process.companion).and_then(|id| self.companions.get_mut(id));
        if let Some(slot) = companion.and_then(|companion| companion.slots.get_mut(&process.slot)) {
            slot.previous = Some(process.run);
        }
    }

    /// Tells a unit what became of its process meanwhile.
    fn feed(&mut self, key: Key, process: &SavedProcess, past: Past<'_>, now: Monotonic) {
        let mut inputs = Vec::new();
        match process.main_pid() {
            Some(pid) => {
                self.oneoff_spawned(key, pid);
                self.oneoff_begun(key);
                inputs.push(Input::Spawned { pid });
            }
            None => inputs.push(self.lost(key)),
        }
        if let (Some((stage, errno)), Some(companion)) = (process.failure, self.companion(key.companion)) {
            let reason = (past.describe)(&companion.spec, stage, errno).into();
            inputs.push(Input::NotExecuted { reason });
        }
        if oneoff::is_oneoff(key.slot) && process.pid.is_some() && process.failure.is_none() {
            // The link has ended: whoever was on its way has become its program.
            inputs.push(Input::Ready);
        }
        if let Some(exit) = process.exit {
            inputs.push(Input::Exited { exit, survivors: past.survivors.contains(&process.run) });
        }
        for input in inputs {
            self.drive(key, now, |unit, turn, policy| unit.handle(turn, policy, process.run, input));
        }
    }

    /// A process that no record knows: it takes the place it says, and if that is taken, it has to go.
    fn adopt(&mut self, process: &SavedProcess, now: Monotonic) {
        let id = match self.names.get(&process.companion) {
            Some(&id) => id,
            None => {
                let head = Head {
                    program: 0,
                    will: Will::Down,
                    target: 0,
                    configured: 0,
                    removed: true,
                    stop: StopSpec { signal: SIGTERM, timeout: LEFTOVER_TIMEOUT, group: false },
                    after: Vec::new(),
                };
                let mut companion = Companion::new(leftover(&process.companion, &head));
                companion.removed = true;
                self.add(companion)
            }
        };
        let Some(companion) = self.companions.get_mut(&id) else { return };
        let slot = match oneoff::shown(process.slot) {
            0 => companion.add_oneoff(OneOff { request: None, pid: process.main_pid() }),
            slot => slot,
        };
        let key = Key { companion: id, slot };
        let (removed, settings, target) = (companion.removed, companion.settings, companion.target as usize);
        let full = companion.staying().count() >= target;
        let surplus = removed || (full && !companion.slots.contains_key(&slot));
        let slot = companion.slots.entry(slot).or_insert_with(|| Box::new(Slot::new()));
        if slot.unit.run().is_some() {
            let text = format!(
                "{}: pid {} has no place: ending it",
                process.companion,
                process.main_pid().unwrap_or_default()
            );
            self.actions.push(say(Level::Warn, text));
            self.actions.push(Action::Kill { run: process.run });
            return;
        }
        slot.settings = settings;
        slot.leaving |= surplus;
        let policy =
            if slot.oneoff.is_some() { &oneoff::policy(&companion.policy) } else { &companion.policy };
        slot.unit = observed(process, now, policy);
        if slot.leaving {
            self.leaving.insert(key);
        } else {
            companion.will = Will::Up;
        }
        self.runs.insert(process.run, key);
        self.drive(key, now, |_, _, _| {});
    }

    /// Runs that arbiter knows nothing of never came into being.
    fn lose_missing(&mut self, saved: &Saved, now: Monotonic) {
        let known: HashSet<RunId> = saved.processes.iter().map(|process| process.run).collect();
        let mut lost: Vec<(RunId, Key)> =
            self.runs.iter().filter(|(run, _)| !known.contains(run)).map(|(&run, &key)| (run, key)).collect();
        // In their order: a simulation is to go the same way again.
        lost.sort_unstable();
        for (run, key) in lost {
            let input = self.lost(key);
            self.drive(key, now, |unit, turn, policy| unit.handle(turn, policy, run, input));
        }
    }

    /// What a unit is told whose run never came into being: it is begun again where it is still wanted. A one-off
    /// that may have been begun is not.
    fn lost(&mut self, key: Key) -> Input {
        let is_wanted = |companion: &Companion| !companion.removed && companion.will != Will::Down;
        let is_to_run = match oneoff::is_oneoff(key.slot) {
            true => self.is_owed_oneoff(key),
            false => {
                self.companion(key.companion).is_some_and(is_wanted) && !self.is_shut_down(key.companion)
            }
        };
        if !is_to_run {
            return Input::NotSpawned { reason: LOST.into() };
        }
        let wanted = self.slot(key).is_some_and(|slot| slot.unit.desired() == Desired::Up);
        if let Some(companion) = self.companion(key.companion).filter(|_| wanted) {
            let text = format!("{}: {LOST}, starting it again", companion.label(key.slot));
            self.actions.push(say(Level::Warn, text));
        }
        Input::Lost
    }

    /// What was recorded as asked may not have been said any more: it is said again.
    fn repeat_signals(&mut self) {
        let units =
            self.companions.values().flat_map(|companion| companion.slots.values().map(|slot| &slot.unit));
        for unit in units {
            let (Phase::Stopping { cause, step, signal }, Some(run)) = (unit.phase(), unit.run()) else {
                continue;
            };
            let run = run.id;
            match step {
                // Nobody asked it.
                Step::Asked { group: false, .. } if cause == supervise::Cause::Leaves => {}
                Step::Asked { group, .. } => self.actions.push(Action::Signal { run, signal, group }),
                Step::Killed { .. } | Step::Stuck => self.actions.push(Action::Kill { run }),
            }
        }
    }

    /// Without records: what runs is wanted, what does not run is not.
    fn take_as_observed(&mut self) {
        let text =
            "begun without the records of the manager before: what runs goes on, nothing else is started";
        self.actions.push(say(Level::Warn, text.into()));
        for companion in self.companions.values_mut().filter(|companion| companion.will == Will::Untold) {
            companion.will = Will::Down;
        }
        self.dirty.extend(self.companions.keys());
    }

    /// Whether a companion's own processes have all stopped, and are meant to have.
    fn is_stopped(&self, id: u32) -> bool {
        self.companion(id).is_some_and(|companion| {
            let mut units = companion.staying().map(|(_, slot)| &slot.unit);
            units.all(|unit| unit.run().is_none() && unit.desired() == Desired::Down)
        })
    }

    /// Goes on with what was under way.
    fn resume(&mut self, now: Monotonic) {
        let ids: Vec<u32> = self.companions.keys().copied().collect();
        let (mut gone, mut down) = (BTreeSet::new(), BTreeSet::new());
        for id in ids {
            let Some(companion) = self.companions.get_mut(&id) else { continue };
            let will = companion.will;
            if companion.removed {
                gone.insert(id);
                continue;
            }
            let (added, surplus) = (companion.fill(), companion.surplus());
            for slot in surplus {
                self.leave(Key { companion: id, slot }, Pace::Graceful, now);
            }
            let is_to_go = |key: &Key| self.leaving.contains(key) && !oneoff::is_oneoff(key.slot);
            let leaving: Vec<Key> = self.keys_of(id).into_iter().filter(is_to_go).collect();
            for key in leaving {
                self.stop_slot(key, Pace::Graceful, now);
            }
            match will {
                Will::Untold | Will::Up if self.is_shut_down(id) => {}
                Will::Untold => self.autostart(id, now),
                // One-offs of one that has stopped run on.
                Will::Down if self.is_stopped(id) => {}
                Will::Down => {
                    down.insert(id);
                }
                Will::Up => {
                    for slot in added {
                        let key = Key { companion: id, slot };
                        self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
                    }
                    let slots = self.companion(id).map(Companion::left_behind).unwrap_or_default();
                    if !slots.is_empty() {
                        self.roll(id, slots, false);
                    }
                }
            }
        }
        self.remove(&gone, now);
        self.descend(&down, Pace::Graceful, now);
    }
}

fn by_name(spec: &CompanionsSpec) -> BTreeMap<&str, &CompanionSpec> {
    spec.companions.iter().map(|companion| (companion.name.as_str(), companion)).collect()
}

fn parse_all(saved: &Saved) -> (BTreeMap<String, (Head, u64)>, BTreeMap<String, Places>) {
    let mut heads = BTreeMap::new();
    let mut places: BTreeMap<String, Places> = BTreeMap::new();
    for record in &saved.records {
        let told = record::told(record);
        match record::parse(record) {
            Some(Parsed::Head { name, head }) => {
                heads.insert(name, (head, told));
            }
            Some(Parsed::Place { name, slot, place }) => {
                places.entry(name).or_default().insert(slot, (*place, told));
            }
            None => {}
        }
    }
    (heads, places)
}

/// A companion as its records say.
fn rebuild(spec: CompanionSpec, known: Option<&(Head, u64)>, places: Places, now: Monotonic) -> Companion {
    let mut companion = Companion::new(spec);
    let same_program = known.is_none_or(|(head, _)| head.program == record::program());
    if let Some((head, told)) = known {
        companion.will = head.will;
        companion.removed = false;
        companion.told = *told;
        // One that was being removed and is wanted again has the configured number.
        if !head.removed && head.configured == companion.spec.count {
            companion.target = head.target.min(MOST_PROCESSES);
        }
        companion.slots.clear();
    }
    for (number, (place, told)) in places {
        let mut slot = Slot::new();
        let is_of_removed = known.is_none_or(|(head, _)| head.removed);
        slot.leaving = place.oneoff.is_some() || (place.leaving && !is_of_removed);
        slot.oneoff = place.oneoff;
        slot.settings = if same_program { place.settings } else { companion.settings };
        slot.status_text = place.status_text;
        slot.watch = Watch::of_record(place.beats, now);
        slot.unit = place.unit;
        slot.told = told;
        companion.slots.insert(number, Box::new(slot));
    }
    if known.is_some_and(|(head, _)| head.will == Will::Untold || head.removed) {
        companion.fill();
    }
    companion
}

/// A unit for a process that is only known to run: it is taken as wanted, and as ready.
fn observed(process: &SavedProcess, now: Monotonic, policy: &supervise::Policy) -> Unit {
    let mut unit = Unit::new();
    let (mut ids, mut actions) = (RunIds::starting_at(process.run.0), Vec::new());
    let mut turn = Turn { now, ids: &mut ids, gate: true, storm: false, actions: &mut actions };
    unit.start(&mut turn, policy);
    let pid = process.main_pid().unwrap_or_default();
    unit.handle(&mut turn, policy, process.run, Input::Spawned { pid });
    unit.handle(&mut turn, policy, process.run, Input::Ready);
    debug_assert_eq!(unit.desired(), Desired::Up);
    unit
}

const LOST: &str = "was lost with the manager that was about to start it";

/// How long a process may take to leave whose companion nothing is known of.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Settings for what is only to be stopped.
fn leftover(name: &str, head: &Head) -> CompanionSpec {
    CompanionSpec {
        name: name.to_owned(),
        session: name.split_once('.').map_or("default", |(session, _)| session).to_owned(),
        loaded: false,
        process: ProcessSpec::default(),
        env_digest: 0,
        count: 0,
        autostart: false,
        critical: false,
        after: head.after.clone(),
        restart: RestartPolicy::Never,
        success_exit_codes: vec![0],
        restart_delay: Duration::from_secs(1),
        restart_delay_max: Duration::from_secs(60),
        flapping: None,
        ready: Ready::Started,
        start_seconds: Duration::from_secs(1),
        start_timeout: LEFTOVER_TIMEOUT,
        health: None,
        watchdog: Duration::ZERO,
        stop: head.stop,
        reload_signal: None,
        stdout: Output::Inherit,
        stderr: None,
        log: LogSpec { file: String::new(), max_size: 0, keep: 0, timestamps: false },
        stdin: Stdin::Null,
        streams: Vec::new(),
        listen: None,
        recycle: Recycle::default(),
    }
}
