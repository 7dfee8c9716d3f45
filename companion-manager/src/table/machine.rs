//! The table itself: inputs, outputs, and the pass that follows each input.

use super::descent::Descent;
use super::narrate::say;
use super::pending::Pending;
use super::recycling::Recycling;
use super::reload::{Committing, Prepared};
use super::roll::Roll;
use super::shutdown::Shutdown;
use super::{Companion, Key, Will};
use proto::control::{EventKind, Reply, Request, Token};
use proto::link::{Pace, Record, ToArbiter};
use proto::spec::CompanionsSpec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use supervise::probe::{Attempt, Probes, Step};
use supervise::recycling::Measured;
use supervise::unit::Phase;
use supervise::{Monotonic, RunId, RunIds, Timers};

/// Who asked: a client's number, its request's number, and the request's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker {
    /// The connection.
    pub client: u64,
    /// The request on it.
    pub id: u64,
    /// All zero for questions.
    pub token: Token,
}

/// What happens to the table.
#[derive(Clone, Debug)]
pub enum Input {
    /// Something happened to a run.
    Run {
        /// To which.
        run: RunId,
        /// What.
        input: supervise::Input,
    },
    /// A process said something over its notify socket.
    Notified {
        /// Of which run.
        run: RunId,
        /// Its assignments, one a line.
        text: String,
    },
    /// All that a process had said when [`ToArbiter::PassOn`] was said has been heard.
    PassedOn {
        /// Which run.
        run: RunId,
    },
    /// Another process of its session counts in a run's place.
    Follow {
        /// Which run's.
        run: RunId,
        /// The process.
        pid: i32,
    },
    /// A process uses so much memory.
    Weighed {
        /// Which run.
        run: RunId,
        /// How many bytes.
        bytes: u64,
    },
    /// The manager itself was away: nobody's silence counts from before.
    WasAway,
    /// An operator asks for something about companions.
    Command {
        /// Who.
        asker: Asker,
        /// What.
        request: Request,
    },
    /// Another specification is about to come into force.
    Prepare {
        /// The number its answer carries.
        operation: u64,
        /// The specification.
        spec: CompanionsSpec,
    },
    /// The prepared specification is in force.
    Commit {
        /// Whom the change is about: of the others nothing is done or told. `None`: about all.
        only: Option<Vec<String>>,
    },
    /// It will not be.
    Abort,
    /// What would change with this specification?
    Compare {
        /// The number its answer carries.
        operation: u64,
        /// The specification.
        spec: CompanionsSpec,
    },
    /// arbiter is about to end: operators start nothing any more, and everything runs on until [`Input::Stop`].
    Ending,
    /// Stop companions.
    Stop {
        /// Also those that the workers require.
        required_too: bool,
        /// How patiently.
        pace: Pace,
    },
    /// arbiter has died: stop everything, within five seconds.
    Orphaned,
    /// A try to ask a process how it is has ended.
    Tried {
        /// Which.
        attempt: Attempt,
        /// An error says what was wrong.
        result: Result<(), String>,
    },
    /// A deadline may have come.
    Deadline,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is doubtful.
    Warn,
    /// What an operator wants to know.
    Info,
}

/// What the caller is to do, in order, once the records are safe.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a process; answer with `Spawned` or `NotSpawned`.
    Spawn {
        /// As this run.
        run: RunId,
        /// For this slot.
        key: Key,
        /// The slot's run before.
        replaces: Option<RunId>,
    },
    /// Send a signal.
    Signal {
        /// To which run.
        run: RunId,
        /// Which.
        signal: i32,
        /// To its whole group.
        group: bool,
    },
    /// Send SIGKILL to the whole group.
    Kill {
        /// Of which run.
        run: RunId,
    },
    /// See whether a starting process waits on the socket that is held for it; if so, it is ready.
    Look {
        /// Which run's.
        run: RunId,
    },
    /// Ask a process how it is, or give a try up; answer with [`Input::Tried`].
    Probe(Step),
    /// See how much memory these use; answer each with [`Input::Weighed`].
    Measure(Vec<Measured>),
    /// Answer a client.
    Reply {
        /// Which.
        to: Asker,
        /// With this.
        reply: Reply,
    },
    /// Tell arbiter.
    Tell(ToArbiter),
    /// Write a line to the log.
    Say {
        /// How important.
        level: Level,
        /// The line.
        text: String,
    },
}

/// What came out of the table since the last time.
#[derive(Clone, Debug, Default)]
pub struct Drained {
    /// Records that changed: to be told before any of the actions is performed.
    pub records: Vec<Record>,
    /// What is to be done.
    pub actions: Vec<Action>,
    /// What has happened, and to whom.
    pub happened: Vec<(String, EventKind)>,
}

/// All companions.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) required: Vec<String>,
    /// Whether arbiter is told when a process comes into another state.
    pub(super) tells_changes: bool,
    /// Each on its own: a map keeps room for eleven where it has six.
    pub(super) companions: BTreeMap<u32, Box<Companion>>,
    pub(super) names: BTreeMap<String, u32>,
    pub(super) next_id: u32,
    pub(super) next_number: u64,
    pub(super) ids: RunIds,
    pub(super) runs: HashMap<RunId, Key>,
    pub(super) timers: Timers<Key>,
    pub(super) probes: Probes,
    /// When starting processes are looked at next.
    pub(super) looks: Timers<Key>,
    /// Units that wait for a gate.
    pub(super) waiting: BTreeSet<Key>,
    /// Slots that go when their process has gone.
    pub(super) leaving: BTreeSet<Key>,
    /// Companions of which something had to be killed.
    pub(super) killed: BTreeSet<u32>,
    /// Critical companions that are given up and of which arbiter knows.
    pub(super) lost: BTreeSet<u32>,
    pub(super) recycling: Recycling,
    pub(super) dirty: BTreeSet<u32>,
    pub(super) touched: bool,
    pub(super) actions: Vec<Action>,
    pub(super) records: Vec<Record>,
    pub(super) happened: Vec<(String, EventKind)>,
    pub(super) pending: Vec<Pending>,
    pub(super) rolls: BTreeMap<u32, Roll>,
    pub(super) descents: Vec<Descent>,
    pub(super) prepared: Option<Prepared>,
    pub(super) committing: Option<Committing>,
    pub(super) shutdown: Option<Shutdown>,
    /// Whether a stop of everything is about to come.
    pub(super) ending: bool,
    /// The operation of arbiter's that was last heard of.
    pub(super) operation: u64,
    /// What arbiter was told last of the companions that the workers require.
    pub(super) required_told: Option<Option<String>>,
}

impl Table {
    pub(super) fn empty(required: Vec<String>, next_run: u64) -> Self {
        Self {
            required,
            tells_changes: false,
            companions: BTreeMap::new(),
            names: BTreeMap::new(),
            next_id: 1,
            next_number: 1,
            ids: RunIds::starting_at(next_run),
            runs: HashMap::new(),
            timers: Timers::default(),
            probes: Probes::default(),
            looks: Timers::default(),
            waiting: BTreeSet::new(),
            leaving: BTreeSet::new(),
            killed: BTreeSet::new(),
            lost: BTreeSet::new(),
            recycling: Recycling::default(),
            dirty: BTreeSet::new(),
            touched: false,
            actions: Vec::new(),
            records: Vec::new(),
            happened: Vec::new(),
            pending: Vec::new(),
            rolls: BTreeMap::new(),
            descents: Vec::new(),
            prepared: None,
            committing: None,
            shutdown: None,
            ending: false,
            operation: 0,
            required_told: None,
        }
    }

    /// Takes in what happened, and does everything that follows from it.
    pub fn handle(&mut self, input: Input, now: Monotonic) {
        match input {
            Input::Run { run, input } => self.handle_run(run, input, now),
            Input::Notified { run, text } => self.handle_notified(run, &text, now),
            Input::PassedOn { run } => self.judge_silence(run, now),
            Input::Follow { run, pid } => self.follow(run, pid, now),
            Input::Weighed { run, bytes } => self.weigh(run, bytes),
            Input::WasAway => self.forgive_silence(now),
            Input::Command { asker, request } => self.handle_command(asker, request, now),
            Input::Prepare { operation, spec } => {
                self.operation = operation;
                self.handle_prepare(spec, now);
            }
            Input::Commit { only } => self.handle_commit(only.as_deref(), now),
            Input::Abort => self.handle_abort(now),
            Input::Compare { operation, spec } => {
                self.operation = operation;
                self.handle_compare(&spec);
            }
            Input::Ending => self.ending = true,
            Input::Stop { required_too, pace } => self.handle_stop(required_too, pace, now),
            Input::Orphaned => self.handle_orphaned(now),
            Input::Tried { attempt, result } => self.handle_tried(attempt, result, now),
            Input::Deadline => {}
        }
        self.handle_deadlines(now);
        self.settle(now);
        #[cfg(debug_assertions)]
        self.check_invariants();
    }

    /// When [`Input::Deadline`] has something to do.
    pub fn next_deadline(&mut self) -> Option<Monotonic> {
        let force = self.shutdown.as_ref().and_then(|shutdown| shutdown.force_at);
        let (looks, memory) = (self.looks.next_deadline(), self.recycling.look_at);
        let own = [self.timers.next_deadline(), self.probes.next_deadline(), force, looks, memory];
        own.into_iter().flatten().min()
    }

    /// What came out since the last call.
    pub fn drain(&mut self) -> Drained {
        let mut records = std::mem::take(&mut self.records);
        for id in std::mem::take(&mut self.dirty) {
            self.write_records(id, &mut records);
        }
        let (actions, happened) = (std::mem::take(&mut self.actions), std::mem::take(&mut self.happened));
        Drained { records, actions, happened }
    }

    /// The companion of this number.
    #[must_use]
    pub fn companion(&self, id: u32) -> Option<&Companion> {
        self.companions.get(&id).map(Box::as_ref)
    }

    /// The companion of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Companion> {
        self.companions.get(self.names.get(name)?).map(Box::as_ref)
    }

    /// Companions in the order of their full names, with their numbers.
    pub fn companions(&self) -> impl Iterator<Item = (u32, &Companion)> {
        self.names.values().filter_map(|id| Some((*id, self.companion(*id)?)))
    }

    /// The slot a run belongs to.
    #[must_use]
    pub fn key_of(&self, run: RunId) -> Option<Key> {
        self.runs.get(&run).copied()
    }

    /// Whether a run serves or starts, and nobody has asked it to end.
    #[must_use]
    pub fn is_unasked(&self, run: RunId) -> bool {
        let slot = self.key_of(run).and_then(|key| self.slot(key));
        slot.is_some_and(|slot| matches!(slot.unit.phase(), Phase::Starting { .. } | Phase::Running))
    }

    pub(super) fn slot(&self, key: Key) -> Option<&super::Slot> {
        self.companions.get(&key.companion)?.slots.get(&key.slot).map(Box::as_ref)
    }

    pub(super) fn keys_of(&self, id: u32) -> Vec<Key> {
        let slots = self.companions.get(&id).map(|companion| &companion.slots);
        slots.into_iter().flatten().map(|(&slot, _)| Key { companion: id, slot }).collect()
    }

    /// The slots of a companion that do not leave.
    pub(super) fn staying_keys(&self, id: u32) -> Vec<Key> {
        self.keys_of(id).into_iter().filter(|key| !self.leaving.contains(key)).collect()
    }

    /// A number for a roll, a descent: never the same twice.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Adds a companion and starts what is to be started by itself.
    pub(super) fn add(&mut self, companion: Companion) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.names.insert(companion.spec.name.clone(), id);
        self.companions.insert(id, Box::new(companion));
        self.dirty.insert(id);
        self.happens(id, EventKind::Load);
        id
    }

    /// Starts a companion nobody has said anything of, where its settings ask for that.
    pub(super) fn autostart(&mut self, id: u32, now: Monotonic) {
        let Some(companion) = self.companions.get_mut(&id) else { return };
        if companion.will != Will::Untold || !companion.spec.autostart || companion.removed {
            return;
        }
        companion.will = Will::Up;
        for key in self.staying_keys(id) {
            self.drive(key, now, |unit, turn, policy| unit.start(turn, policy));
        }
    }

    fn handle_run(&mut self, run: RunId, input: supervise::Input, now: Monotonic) {
        let Some(&key) = self.runs.get(&run) else { return };
        match input {
            supervise::Input::Spawned { pid } => self.oneoff_spawned(key, pid),
            // It has become its program, or has ended on the way there.
            supervise::Input::Ready | supervise::Input::Exited { .. } | supervise::Input::Gone => {
                self.oneoff_begun(key);
            }
            _ => {}
        }
        let exited_as_signalled = match &input {
            supervise::Input::Exited { exit, .. } => self.was_signalled(key, exit, now),
            supervise::Input::Spawned { pid } => {
                let label = self.companions.get(&key.companion).map(|companion| companion.label(key.slot));
                let text = format!("{}: started, pid {pid}", label.unwrap_or_default());
                self.actions.push(say(Level::Info, text));
                false
            }
            _ => false,
        };
        self.drive(key, now, |unit, turn, policy| {
            if exited_as_signalled {
                unit.ends_as_asked(turn.now, policy);
            }
            unit.handle(turn, policy, run, input);
        });
    }

    fn follow(&mut self, run: RunId, pid: i32, now: Monotonic) {
        let Some(&key) = self.runs.get(&run) else { return };
        let label = self.companions.get(&key.companion).map(|companion| companion.label(key.slot));
        let text = format!("{}: its main process is pid {pid} from now on", label.unwrap_or_default());
        self.actions.push(say(Level::Info, text));
        self.hear(key, run, supervise::Input::Spawned { pid }, now);
    }

    fn handle_notified(&mut self, run: RunId, text: &str, now: Monotonic) {
        let Some(&key) = self.runs.get(&run) else { return };
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match (name, value) {
                ("READY", "1") => {
                    self.hear(key, run, supervise::Input::Ready, now);
                }
                ("WATCHDOG", "1") => self.beat(key, run, now),
                ("WATCHDOG", "trigger") => self.fail_by_itself(key, run, now),
                ("STOPPING", "1") => self.hear(key, run, supervise::Input::Leaves, now),
                // A stop that is in a hurry has no more time to give.
                ("EXTEND_TIMEOUT_USEC", time) if !self.is_in_a_hurry() => {
                    if let Ok(by) = time.parse().map(std::time::Duration::from_micros) {
                        self.hear(key, run, supervise::Input::MoreTime { by }, now);
                    }
                }
                ("STATUS", status) => {
                    let slot =
                        self.companions.get_mut(&key.companion).and_then(|c| c.slots.get_mut(&key.slot));
                    if let Some(slot) = slot {
                        let status: String = status.chars().take(STATUS_MAX).collect();
                        slot.status_text = (!status.is_empty()).then(|| status.into());
                    }
                }
                (name, value) => {
                    if let Some(text) = sys::notify::trouble(name, value) {
                        self.drive(key, now, |unit, turn, policy| {
                            unit.handle(turn, policy, run, supervise::Input::Remark { text });
                        });
                    }
                }
            }
        }
    }

    fn hear(&mut self, key: Key, run: RunId, said: supervise::Input, now: Monotonic) {
        self.drive(key, now, |unit, turn, policy| unit.handle(turn, policy, run, said));
    }

    fn handle_deadlines(&mut self, now: Monotonic) {
        while let Some(key) = self.timers.pop_due(now) {
            self.drive(key, now, |unit, turn, policy| unit.handle_deadline(turn, policy));
            self.doubt_if_silent(key, now);
            self.want_recycling_when_due(key, now);
        }
        self.look_when_due(now);
        self.expire_tries(now);
        self.look_at_memory_when_due(now);
        self.force_when_due(now);
    }

    /// Everything that follows from a change, until nothing follows any more.
    pub(super) fn settle(&mut self, now: Monotonic) {
        loop {
            self.touched = false;
            let opened = self.open_gates(now);
            let rolled = self.advance_rolls(now);
            let descended = self.advance_descents(now);
            let removed = self.drop_leaving();
            let recycled = self.advance_recycling(now);
            if !(opened || rolled || descended || removed || recycled || self.touched) {
                break;
            }
        }
        self.advance_reload();
        self.advance_shutdown();
        self.answer_pending(now);
        self.tell_required();
        self.tell_critical();
        self.arm_look_at_memory(now);
        self.begin_tries(now);
    }

    /// Forgets slots and companions whose time is over.
    fn drop_leaving(&mut self) -> bool {
        let gone: Vec<Key> = self
            .leaving
            .iter()
            .copied()
            .filter(|&key| self.slot(key).is_none_or(|slot| slot.unit.run().is_none()))
            .collect();
        for key in &gone {
            self.leaving.remove(key);
            self.waiting.remove(key);
            self.timers.set(*key, None);
            let Some(companion) = self.companions.get_mut(&key.companion) else { continue };
            let slot = companion.slots.remove(&key.slot);
            let codes = &companion.policy.success_codes;
            let ran =
                slot.and_then(|slot| Some(super::oneoff::ending(&slot.unit, slot.oneoff.as_ref()?, codes)));
            self.records.push(super::record::no_slot(&companion.spec.name, key.slot));
            if companion.removed && companion.slots.is_empty() {
                let name = companion.spec.name.clone();
                self.forget(key.companion, &name);
            }
            if let Some(ran) = ran {
                self.resolve_ran(*key, &ran);
            }
        }
        !gone.is_empty()
    }

    pub(super) fn forget(&mut self, id: u32, name: &str) {
        self.companions.remove(&id);
        self.names.remove(name);
        self.dirty.remove(&id);
        self.killed.remove(&id);
        self.lost.remove(&id);
        self.recycling.forget(id);
        self.rolls.remove(&id);
        self.records.push(super::record::none(name));
        self.records.push(super::history::no_record(name));
        self.actions.push(say(Level::Info, format!("{name}: removed")));
    }

    fn tell_required(&mut self) {
        let waiting: Vec<&str> = self
            .required
            .iter()
            .map(String::as_str)
            .filter(|name| !self.by_name(name).is_some_and(Companion::is_satisfied))
            .collect();
        let waiting_for = (!waiting.is_empty()).then(|| waiting.join(", "));
        if self.required_told.as_ref() != Some(&waiting_for) {
            self.required_told = Some(waiting_for.clone());
            self.actions.push(Action::Tell(ToArbiter::Required { waiting_for }));
        }
    }
}

/// The most characters kept of what a process says of itself.
const STATUS_MAX: usize = 256;
