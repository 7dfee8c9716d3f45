//! One game: a world, and what happens to it.

use crate::choices::{NAMES, random_spec, random_verb};
use crate::rules::{self, Ending, Owed};
use crate::world::World;
use companion_manager::table::Input;
use fastrand::Rng;
use proto::control::{Reply, ScaleTarget, SignalTarget, Verb};
use proto::link::{Pace, ToArbiter};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use supervise::State;
use supervise::simulator::{Kernel, Odds};

/// The most that a manager performs of a turn in which it is killed.
const PERFORMED: usize = 6;

/// What happens to companions.
pub(crate) const WHATS: [&str; 12] = [
    "start",
    "stop",
    "restart",
    "reload companion",
    "scale",
    "signal",
    "run",
    "wait",
    "crash",
    "reload",
    "end",
    "orphaned",
];
/// In which states they may be.
pub(crate) const STATES: [State; 7] = [
    State::Stopped,
    State::Starting,
    State::Running,
    State::Backoff,
    State::Stopping,
    State::Exited,
    State::Fatal,
];

pub(crate) struct Game {
    rng: Rng,
    pub(crate) world: World,
    /// Companions that were stopped by hand and that nobody has started since.
    stopped: BTreeSet<String>,
    /// Requests that the manager has to answer some time.
    pub(crate) owed: Vec<Owed>,
    /// How long the machine has slept.
    pub(crate) slept: Duration,
    /// The stop of everything that is under way.
    pub(crate) ending: Option<Ending>,
    /// What has happened to a companion in which state.
    seen: HashSet<(&'static str, State)>,
}

impl Game {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let spec = random_spec(&mut rng);
        let mut world = World::with(spec, Kernel::new(seed ^ 0xabcd, Odds::rough()), true);
        world.perform(usize::MAX);
        Self {
            rng,
            world,
            stopped: BTreeSet::new(),
            owed: Vec::new(),
            slept: Duration::ZERO,
            ending: None,
            seen: HashSet::new(),
        }
    }

    /// So many steps as chance will have it, and no more than `most`, then a stop of everything; how many steps there
    /// were, and what was seen.
    pub(crate) fn play(mut self, longest: u64, most: u64) -> (u64, HashSet<(&'static str, State)>) {
        let steps = self.rng.u64(1..=longest).min(most);
        for _ in 0..steps {
            self.step();
        }
        if self.rng.u8(..5) == 0 {
            self.lose_arbiter();
        } else {
            self.stop_everything();
        }
        rules::check_end(&mut self);
        (steps, self.seen)
    }

    /// Something happens to a companion, or to all.
    fn see(&mut self, what: &'static str, name: Option<&str>) {
        let met = self.world.table.companions().map(|(_, companion)| companion);
        let met = met.filter(|companion| name.is_none_or(|name| companion.spec.name == name));
        self.seen.extend(met.map(|companion| (what, companion.state())));
    }

    fn see_command(&mut self, verb: &Verb) {
        let (what, name) = match verb {
            Verb::Start(names) => ("start", &names[0]),
            Verb::Stop { names, .. } => ("stop", &names[0]),
            Verb::Restart(names) => ("restart", &names[0]),
            Verb::ReloadCompanion(names) => ("reload companion", &names[0]),
            Verb::Scale { target: ScaleTarget::Companion(name), .. } => ("scale", name),
            Verb::Signal { target: SignalTarget::Companions(names), .. } => ("signal", &names[0]),
            Verb::Run(request) => ("run", &request.name),
            Verb::Wait { name, .. } => ("wait", name),
            other => panic!("{other:?} is not played"),
        };
        self.see(what, Some(name));
    }

    fn command(&mut self) {
        let verb = random_verb(&mut self.rng);
        self.see_command(&verb);
        if let Verb::Start(_) | Verb::Restart(_) | Verb::ReloadCompanion(_) = &verb {
            self.stopped.clear();
        }
        let wait = self.rng.bool();
        let asker = self.world.ask_and(verb.clone(), wait);
        let refused = matches!(self.world.reply(asker), Some(Reply::Failed(_)));
        let (at, slept) = (self.world.kernel.now(), self.slept);
        self.owed.push(Owed { asker, verb: verb.clone(), at, slept });
        if let (Verb::Stop { names, .. }, false) = (verb, refused) {
            self.stopped.extend(names.into_iter().filter(|name| NAMES.contains(&name.as_str())));
        }
    }

    fn reload(&mut self) {
        match self.world.candidate.take() {
            None if self.rng.u8(..4) == 0 => {
                let spec = random_spec(&mut self.rng);
                self.world.handle(Input::Compare { operation: 0, spec });
            }
            None => self.world.prepare(random_spec(&mut self.rng)),
            Some(spec) if self.rng.bool() => {
                // A changed autostart, and a removal, say otherwise than the operator.
                self.stopped.clear();
                self.world.spec = spec;
                self.see("reload", None);
                self.world.handle(Input::Commit { only: None });
            }
            Some(_) => {
                self.world.handle(Input::Abort);
                self.forget_removed();
            }
        }
    }

    /// What was only being prepared is forgotten, and with it that it was stopped by hand.
    fn forget_removed(&mut self) {
        let in_force = &self.world.spec.companions;
        self.stopped.retain(|name| in_force.iter().any(|spec| spec.name == *name));
    }

    /// A process says something of its own deadlines.
    fn speak(&mut self) {
        let runs: Vec<_> = self.world.kernel.runs().map(|(run, _)| run).collect();
        if let Some(run) = self.rng.choice(runs) {
            let more = format!("EXTEND_TIMEOUT_USEC={}", self.rng.u64(..60_000_000));
            let text = match self.rng.u8(..8) {
                0 => "STOPPING=1".into(),
                1 => "WATCHDOG=trigger".into(),
                2..5 => "WATCHDOG=1".into(),
                _ => more,
            };
            self.world.handle(Input::Notified { run, text });
        }
    }

    /// arbiter answers, sooner or later, and the manager's own turn is late now and then.
    fn pass_on(&mut self) {
        let asked = self.world.told.iter().rev().find_map(|message| match message {
            ToArbiter::PassOn { run, .. } => Some(*run),
            _ => None,
        });
        if let Some(run) = asked.filter(|_| self.rng.u8(..4) > 0) {
            self.world.handle(Input::PassedOn { run });
        }
        for measured in std::mem::take(&mut self.world.measured) {
            let bytes = self.rng.u64(..2 * measured.limit);
            self.world.handle(Input::Weighed { run: measured.run, bytes });
        }
        for run in std::mem::take(&mut self.world.looks) {
            // Seen waiting on its socket.
            if self.rng.bool() {
                self.world.handle(Input::Run { run, input: supervise::Input::Ready });
            }
        }
        if self.rng.u8(..8) == 0 {
            self.world.handle(Input::WasAway);
        }
    }

    /// The machine sleeps.
    fn sleep(&mut self) {
        let pause = Duration::from_secs(self.rng.u64(..100));
        let later = self.world.kernel.now() + pause;
        self.world.kernel.advance_to(later);
        self.slept += pause;
        self.world.is_rested = false;
    }

    pub(crate) fn step(&mut self) {
        let (spawned, restarts) = (self.world.spawned.len(), self.world.restarts);
        let has_arbiter = !self.ending.as_ref().is_some_and(|ending| ending.is_orphaned);
        match self.rng.u8(..200) {
            0..=5 => self.command(),
            6 if self.ending.is_none() => self.reload(),
            7 if has_arbiter => {
                self.see("crash", None);
                self.world.crash(0);
            }
            // In the middle of the next turn, whatever that is about.
            8 if has_arbiter => self.world.fuse = Some(self.rng.usize(..PERFORMED)),
            10..=15 => self.speak(),
            16..=25 => self.pass_on(),
            9 => self.sleep(),
            // Some are never answered.
            26..=56 if !self.world.tries.is_empty() => {
                let well = self.rng.u8(..4) > 0;
                self.world.answer(if well { Ok(()) } else { Err("connection refused") });
            }
            _ => {
                let until = self.world.kernel.now() + Duration::from_secs(2);
                self.world.step(until);
            }
        }
        if self.world.restarts > restarts {
            self.forget_removed();
        }
        for (name, _) in self.world.spawned[spawned..].iter().filter(|(_, slot)| *slot > 0) {
            assert!(!self.stopped.contains(name), "{name} was stopped by hand and is started");
        }
        rules::check_step(self, spawned);
    }

    /// arbiter stops: first what the workers do not require, then the rest; it may lose its patience meanwhile.
    fn stop_everything(&mut self) {
        if self.rng.bool() && self.world.candidate.take().is_some() {
            self.world.handle(Input::Abort);
            self.forget_removed();
        }
        self.see("end", None);
        self.ask_to_stop(false, Pace::Graceful);
        for required_too in [false, true] {
            if required_too {
                let pace = self.world.stop.map_or(Pace::Graceful, |(_, pace)| pace);
                self.ask_to_stop(true, pace);
            }
            while !self.has_stopped() {
                if self.rng.u16(..400) == 0 {
                    let pace = if self.rng.u8(..4) == 0 { Pace::Force } else { Pace::Quick };
                    self.ask_to_stop(required_too, pace);
                }
                self.step();
            }
        }
    }

    fn ask_to_stop(&mut self, required_too: bool, pace: Pace) {
        let pace = self.world.stop.map_or(pace, |(_, before)| before.max(pace));
        self.ending = Some(Ending::begin(self, required_too, pace));
        self.world.stop(required_too, pace);
    }

    fn has_stopped(&self) -> bool {
        let Some(ending) = &self.ending else { return false };
        self.world.told[ending.told..].iter().any(|message| {
            matches!(message, ToArbiter::Stopped { required_too, .. } if *required_too == ending.required_too)
        })
    }

    /// arbiter dies: the manager stops everything, and within five seconds.
    fn lose_arbiter(&mut self) {
        self.world.fuse = None;
        let mut ending = Ending::begin(self, true, Pace::Quick);
        ending.is_orphaned = true;
        self.ending = Some(ending);
        self.see("orphaned", None);
        self.world.handle(Input::Orphaned);
        while !self.world.table.is_empty() {
            self.step();
        }
    }
}
