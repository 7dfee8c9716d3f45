//! arbiter's life: what it is told, when, and by whom.

use crate::faults::Fault;
use crate::manager::{Manager, some_time};
use crate::samples;
use crate::upgrade::Replacement;
use arbiter::master::{Event, Master};
use arbiter::pool::Member;
use fastrand::Rng;
use proto::control::{ReloadScope, ScaleChange, ScaleTarget, SignalTarget, Verb};
use proto::link::Pace;
use proto::spec::{Check, MasterSpec, Ready, Recycle};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use supervise::probe::Attempt;
use supervise::simulator::{Kernel, Odds, Violation};
use supervise::{Input, Monotonic, RunId};

/// One thing that arbiter is told.
#[derive(Debug)]
pub(crate) enum Told {
    Start,
    Event(Event),
    Worker(RunId, Input),
    Tried(Attempt, Result<(), String>),
    Resolved(Result<Box<MasterSpec>, String>),
    Bound(Result<(), String>),
    Weighs(RunId, u64),
    TriedUpgrade(Result<(), String>),
    NotReplaced,
    Replaced,
    Deadlines,
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) commits: u64,
    pub(crate) undone: u64,
    pub(crate) resizes: u64,
    pub(crate) resizes_in_rollouts: u64,
    pub(crate) manager_deaths: u64,
    pub(crate) boot_failures: u64,
    pub(crate) kills_of_companions: u64,
    pub(crate) clean_ends: u64,
    pub(crate) killing_ends: u64,
    pub(crate) forced_ends: u64,
    pub(crate) answers: u64,
    pub(crate) abandoned: u64,
    pub(crate) batches: u64,
    pub(crate) ways_back: u64,
    pub(crate) stays: u64,
    pub(crate) recycled_old: u64,
    pub(crate) recycled_big: u64,
    pub(crate) recyclings_failed: u64,
    pub(crate) withdrawn: u64,
    pub(crate) extended: u64,
    pub(crate) left: u64,
    pub(crate) dismissed: u64,
    pub(crate) brought_back: u64,
    pub(crate) successors: u64,
    pub(crate) charges_taken: u64,
    pub(crate) ends_beside: u64,
    pub(crate) upgrades: u64,
    pub(crate) sent_back: u64,
}

impl Seen {
    fn counts(&mut self) -> [&mut u64; 28] {
        let Self { commits, undone, resizes, resizes_in_rollouts, manager_deaths, boot_failures, .. } = self;
        let Self { kills_of_companions, clean_ends, killing_ends, forced_ends, answers, abandoned, .. } =
            self;
        let Self { batches, ways_back, stays, recycled_old, recycled_big, recyclings_failed, .. } = self;
        let Self { extended, left, withdrawn, upgrades, sent_back, .. } = self;
        let Self { dismissed, brought_back, successors, charges_taken, ends_beside, .. } = self;
        [
            commits,
            undone,
            resizes,
            resizes_in_rollouts,
            manager_deaths,
            boot_failures,
            kills_of_companions,
            clean_ends,
            killing_ends,
            forced_ends,
            answers,
            abandoned,
            batches,
            ways_back,
            stays,
            recycled_old,
            recycled_big,
            recyclings_failed,
            withdrawn,
            extended,
            left,
            dismissed,
            brought_back,
            successors,
            charges_taken,
            ends_beside,
            upgrades,
            sent_back,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum += *count;
        }
    }

    pub(crate) fn assert_everything_was_seen(&mut self) {
        assert!(
            self.counts().into_iter().all(|count| *count > 10),
            "something is hardly ever seen: {self:?}"
        );
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) odds: Odds,
    pub(crate) kernel: Kernel,
    pub(crate) master: Master,
    pub(crate) manager: Manager,
    /// Whether arbiter takes it to be there.
    pub(crate) manager_known: bool,
    /// Whether there was none for some time of the stop.
    pub(crate) manager_missed_in_stop: bool,
    /// Workers whose processes are held back, and until when.
    pub(crate) held: Vec<(Monotonic, RunId)>,
    /// All that ever were.
    pub(crate) ever_held: BTreeSet<RunId>,
    /// When the child that reads the configuration is done.
    pub(crate) resolver: Option<Monotonic>,
    /// How many new workers a rollout starts at a time: nothing is all.
    pub(crate) batch: Option<u32>,
    /// Whether workers are recycled.
    pub(crate) recycles: bool,
    /// With which code the program on disk exits at once, if it is broken.
    pub(crate) broken: Option<i32>,
    /// What comes of acting, to be told next.
    pub(crate) next: VecDeque<Told>,
    /// Requests without an answer.
    pub(crate) tickets: BTreeSet<u64>,
    pub(crate) relays: u64,
    pub(crate) candidate_open: bool,
    pub(crate) listeners_closed: bool,
    /// Whether anything was killed in the stop, and whether that was asked for.
    pub(crate) killed: bool,
    pub(crate) forced: bool,
    pub(crate) boot_code: Option<u8>,
    /// The generation that was started first.
    pub(crate) first_generation: Option<u64>,
    pub(crate) ever_ready: bool,
    pub(crate) exit: Option<u8>,
    /// Whether the workers were told to leave until they are brought back.
    pub(crate) are_withdrawn: bool,
    /// The master that was started beside this one, and when it ends.
    pub(crate) successor: Option<(RunId, Monotonic)>,
    /// When the master ends that this one was started beside: it is in charge until then.
    pub(crate) predecessor: Option<Monotonic>,
    /// The replacement of arbiter's program, if one is under way.
    pub(crate) replacement: Replacement,
    /// A rule that was broken while acting.
    pub(crate) violation: Option<String>,
    /// The configuration on disk, where nothing but what is meant to fails: else it is another each time.
    pub(crate) configured: Option<MasterSpec>,
    /// Whether each next program goes back at once.
    pub(crate) replacement_is_sent_back: bool,
    /// Until when arbiter is stopped.
    pub(crate) away_until: Option<Monotonic>,
    /// What is to go wrong at a certain step.
    pub(crate) fault: Option<Fault>,
    pub(crate) critical_lost: bool,
    pub(crate) steps: u64,
    pub(crate) seen: Seen,
    telling: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let odds = match rng.u8(..4) {
            0 => Odds::calm(),
            1 => Odds::rough(),
            _ => Odds { ends: 0.2, never_ready: 0.02, spawn_fails: 0.01, exec_fails: 0.01, ..Odds::rough() },
        };
        let kernel = Kernel::new(rng.u64(..), odds.clone());
        let begin_at = kernel.now() + some_time(&mut rng);
        let batch = rng.bool().then(|| rng.u32(1..=2));
        let recycles = rng.u8(..3) == 0;
        let spec = random_spec(&mut rng, batch, recycles);
        let predecessor = (rng.u8(..8) == 0).then(|| kernel.now() + some_time(&mut rng) * 1000);
        let mut master =
            if predecessor.is_some() { Master::beside_predecessor(spec) } else { Master::new(spec) };
        master.seed(rng.u64(..));
        Self {
            odds,
            master,
            batch,
            recycles,
            // Beside another master the manager is that one's.
            manager: Manager::absent(predecessor.unwrap_or(begin_at)),
            manager_known: false,
            manager_missed_in_stop: false,
            kernel,
            held: Vec::new(),
            ever_held: BTreeSet::new(),
            resolver: None,
            broken: (rng.u8(..8) == 0).then_some(3),
            next: VecDeque::new(),
            tickets: BTreeSet::new(),
            relays: 0,
            candidate_open: false,
            listeners_closed: false,
            killed: false,
            forced: false,
            boot_code: None,
            first_generation: None,
            ever_ready: false,
            exit: None,
            are_withdrawn: false,
            successor: None,
            predecessor,
            replacement: Replacement::default(),
            violation: None,
            configured: None,
            replacement_is_sent_back: false,
            away_until: None,
            fault: None,
            critical_lost: false,
            steps: 0,
            seen: Seen::default(),
            telling: false,
            rng,
        }
    }

    /// A world without mishaps, with `spec` on disk.
    pub(crate) fn serving(seed: u64, spec: MasterSpec, batch: Option<u32>) -> Self {
        let mut world = Self::new(seed);
        world.odds = Odds::calm();
        world.kernel = Kernel::new(world.rng.u64(..), Odds::calm());
        world.master = Master::new(spec.clone());
        world.master.seed(world.rng.u64(..));
        world.manager = Manager::reliable(world.kernel.now());
        (world.batch, world.recycles) = (batch, false);
        (world.broken, world.predecessor) = (None, None);
        world.configured = Some(spec);
        world
    }

    /// Tells every step on standard error.
    pub(crate) fn telling(mut self) -> Self {
        self.telling = true;
        self
    }

    #[expect(clippy::print_stderr, reason = "who plays a seed again wants to read what happens")]
    pub(crate) fn tell(&self, line: impl FnOnce(&Self) -> String) {
        if self.telling {
            eprintln!("{}", line(self));
        }
    }

    pub(crate) fn now(&self) -> Monotonic {
        self.kernel.now()
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        self.master.pool().members().collect()
    }

    /// Lives for `steps` steps, then stops and sees that it ends.
    pub(crate) fn live(&mut self, steps: u64) -> Result<(), Violation> {
        self.step(Told::Start)?;
        while self.exit.is_none() && self.steps < steps {
            if self.rng.u8(..6) == 0 { self.command()? } else { self.turn()? }
        }
        if !self.is_stopping() && self.exit.is_none() {
            self.stop(Pace::Graceful)?;
        }
        while self.exit.is_none() {
            if self.next_moment().is_none() {
                return Err(Violation("is stopping and nothing will wake it".into()));
            }
            self.turn()?;
        }
        self.check_end()
    }

    /// Whether something that can fail does so now.
    pub(crate) fn fails(&mut self, one_in: u8) -> bool {
        self.configured.is_none() && self.rng.u8(..one_in) == 0
    }

    fn next_moment(&self) -> Option<Monotonic> {
        let inside = self.kernel.next_event().into_iter().chain(self.master.next_deadline());
        let held = self.held.iter().map(|(until, _)| *until);
        let others = self.predecessor.into_iter().chain(self.successor.map(|(_, until)| until));
        let inside = inside.chain(self.replacement.next_event());
        inside.chain(self.manager.next_event()).chain(self.resolver).chain(held).chain(others).min()
    }

    /// One turn of the loop: the time passes, inputs come in, then what is due is done.
    pub(crate) fn turn(&mut self) -> Result<(), Violation> {
        let soon = self.now() + Duration::from_millis(self.rng.u64(..1000));
        let moment = match self.rng.u8(..64) {
            // Late turns are for those whom nobody waits for.
            0 if !self.is_stopping() && self.configured.is_none() => {
                self.now() + Duration::from_secs(self.rng.u64(..600))
            }
            1 | 2 => soon,
            _ => self.next_moment().unwrap_or(soon),
        };
        let away_until = self.away_until.take();
        let moment = moment.max(away_until.unwrap_or(moment));
        self.kernel.advance_to(moment);
        if away_until.is_some() {
            self.master.was_away(moment);
        }
        while let Some((run, input)) = self.kernel.poll_event() {
            self.step(Told::Worker(run, input))?;
        }
        while let Some(index) = self.held.iter().position(|(until, _)| *until <= moment) {
            let (_, run) = self.held.remove(index);
            self.spawn(run);
        }
        self.hear_of_other_masters()?;
        self.hear_manager()?;
        self.go_on_with_upgrade()?;
        if self.resolver.take_if(|at| *at <= moment).is_some() {
            let result = if self.fails(6) {
                Err("arbiter.toml:1:1: a mistake".into())
            } else {
                let (batch, recycles) = (self.batch, self.recycles);
                let spec = self.configured.clone();
                Ok(Box::new(spec.unwrap_or_else(|| random_spec(&mut self.rng, batch, recycles))))
            };
            self.step(Told::Resolved(result))?;
        }
        self.step(Told::Deadlines)?;
        self.check_rested()
    }

    fn hear_of_other_masters(&mut self) -> Result<(), Violation> {
        let now = self.now();
        if self.predecessor.take_if(|until| *until <= now).is_some() {
            self.seen.charges_taken += 1;
            self.step(Told::Event(Event::TakeCharge))?;
        }
        match self.successor.take_if(|(_, until)| *until <= now) {
            Some((run, _)) => self.step(Told::Event(Event::SuccessorGone { run })),
            None => Ok(()),
        }
    }

    fn hear_manager(&mut self) -> Result<(), Violation> {
        let now = self.now();
        while let Some(event) = self.manager.poll(now) {
            self.step(Told::Event(event))?;
        }
        if self.manager.retires(now) {
            self.end_manager()?;
        }
        if self.manager.begins(now) {
            if self.master.is_to_be_replaced() || !self.master.needs_manager() {
                // The next program starts one of its own.
                self.manager.stay_dead();
            } else {
                self.require(self.is_in_charge(), "a manager is wanted beside another master");
                self.manager.begin(&mut self.rng, now);
                self.step(Told::Event(Event::ManagerBegun))?;
            }
        }
        Ok(())
    }

    pub(crate) fn end_manager(&mut self) -> Result<(), Violation> {
        let now = self.now();
        let last = self.manager.die(&mut self.rng, now);
        self.seen.manager_deaths += 1;
        // Some of what it said last is read before its end is known, the rest after.
        let before = self.rng.usize(..=last.len());
        let mut told: VecDeque<Event> = last.into();
        told.insert(before, Event::ManagerGone);
        for event in told {
            self.step(Told::Event(event))?;
        }
        Ok(())
    }

    /// Somebody asks, or breaks, something.
    fn command(&mut self) -> Result<(), Violation> {
        let stopping = self.is_stopping();
        match self.rng.u8(..67) {
            0 if stopping || self.rng.u8(..4) == 0 => self.stop(Pace::Graceful),
            1 if stopping || self.rng.u8(..8) == 0 => self.stop(Pace::Quick),
            2 if stopping || self.rng.u8(..8) == 0 => {
                self.forced = true;
                self.request(Verb::Shutdown { force: true })
            }
            3..8 if self.manager.is_up() => self.end_manager(),
            8..16 => self.step(Told::Event(Event::Reload)),
            16..20 => self.request(Verb::Reload(ReloadScope::All)),
            20 => self.request(Verb::Reload(ReloadScope::Companions)),
            21 => self.request(Verb::Reload(ReloadScope::DryRun)),
            22..26 => self.request(Verb::RestartWorkers),
            26..30 => {
                let slot = self.rng.u32(1..6);
                self.request(Verb::RestartWorker { slot })
            }
            30..36 if self.master.pool().target() < 6 => self.step(Told::Event(Event::ScaleWorkers(1))),
            36..42 => self.step(Told::Event(Event::ScaleWorkers(-1))),
            42 | 43 => {
                let change = ScaleChange::To(self.rng.u32(..7));
                self.request(Verb::Scale { target: ScaleTarget::Workers, change })
            }
            48 | 49 => self.step(Told::Event(Event::Withdraw)),
            50 | 51 => self.step(Told::Event(Event::Succeed)),
            44 => self.request(Verb::Signal { target: SignalTarget::Workers, signal: 10 }),
            45..48 => {
                self.broken = Some(self.rng.i32(1..5));
                Ok(())
            }
            52..56 => {
                self.broken = None;
                Ok(())
            }
            60 | 61 => {
                let talkers: Vec<RunId> = self.kernel.runs().map(|(run, _)| run).collect();
                let Some(run) = self.rng.choice(talkers) else { return Ok(()) };
                let by = Duration::from_millis(self.rng.u64(..100_000));
                self.step(Told::Worker(run, Input::MoreTime { by }))
            }
            62 => {
                let talkers: Vec<RunId> = self.kernel.runs().map(|(run, _)| run).collect();
                let Some(run) = self.rng.choice(talkers) else { return Ok(()) };
                self.step(Told::Worker(run, Input::Leaves))
            }
            63..66 => self.request(Verb::Upgrade),
            66 => self.request(Verb::RestartManager),
            56..60 => {
                let victims: Vec<RunId> = self.kernel.runs().map(|(run, _)| run).collect();
                if let Some(victim) = self.rng.choice(victims) {
                    self.kernel.kill(victim);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn stop(&mut self, pace: Pace) -> Result<(), Violation> {
        self.step(Told::Event(Event::Stop(pace)))
    }

    pub(crate) fn request(&mut self, verb: Verb) -> Result<(), Violation> {
        self.relays += 1;
        let relay = self.relays;
        let wait = self.rng.u8(..4) != 0;
        // Who waits for a shutdown is answered by the end.
        if !(wait && matches!(verb, Verb::Shutdown { .. })) {
            self.tickets.insert(relay);
        }
        self.step(Told::Event(Event::Request { relay, wait, verb }))
    }

    /// One input, everything that follows from it, and the check.
    pub(crate) fn step(&mut self, told: Told) -> Result<(), Violation> {
        self.next.push_back(told);
        while let Some(told) = self.next.pop_front() {
            self.steps += 1;
            self.tell(|world| format!("{:?} {told:?}", world.now()));
            let before = self.snapshot(&told);
            self.hand_over(told);
            for action in self.master.take_actions() {
                self.tell(|_| format!("    {action:?}"));
                self.act(action);
            }
            self.check(&before)?;
            self.fail_when_due()?;
        }
        Ok(())
    }

    fn hand_over(&mut self, told: Told) {
        let now = self.now();
        match told {
            Told::Start => self.master.start(now),
            Told::Event(event) => {
                match event {
                    Event::Stopped { killed: true, .. } => self.killed |= self.is_stopping(),
                    Event::ManagerBegun => {
                        self.manager_known = true;
                        self.manager_missed_in_stop |= self.is_stopping();
                    }
                    Event::ManagerGone => {
                        self.manager_known = false;
                        self.manager_missed_in_stop |= self.is_stopping();
                    }
                    _ => {}
                }
                self.master.handle(now, event);
            }
            Told::Worker(run, input) => self.master.handle_worker(now, run, input),
            Told::Tried(attempt, result) => self.master.tried(now, attempt, result),
            Told::Resolved(result) => self.master.resolved(now, result),
            Told::Bound(result) => self.master.bound(now, result),
            Told::Weighs(run, bytes) => self.master.worker_weighs(now, run, bytes),
            Told::TriedUpgrade(result) => self.master.tried_to_upgrade(now, result),
            Told::NotReplaced => {
                self.replacement = Replacement::default();
                self.master.not_replaced(now, "it could not be executed");
            }
            Told::Replaced => self.replace_program(),
            Told::Deadlines => self.master.handle_deadlines(now),
        }
    }
}

/// A configuration that can be, now and then without workers.
fn random_spec(rng: &mut Rng, batch: Option<u32>, recycles: bool) -> MasterSpec {
    let mut workers = samples::workers(rng.u32(1..=4));
    workers.ready = match rng.u8(..4) {
        0 => Ready::Auto,
        1 => Ready::Started,
        2 => Ready::Probe {
            check: Check::Tcp("127.0.0.1:80".into()),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
        },
        _ => Ready::Notify,
    };
    workers.start_timeout = Duration::from_millis(rng.u64(500..60_000));
    workers.stop.timeout = Duration::from_secs(rng.u64(..60));
    workers.stop.group = rng.bool();
    if recycles {
        workers.recycle = Recycle {
            max_lifetime: Duration::from_secs(rng.u64(..100)),
            max_lifetime_jitter: Duration::from_secs(rng.u64(..100)),
            memory_max: rng.u64(..2) * 1000,
        };
    }
    workers.reload_batch = batch.unwrap_or_default();
    if rng.bool() {
        workers.requires = vec!["redis".into()];
    }
    let mut spec = samples::master((rng.u8(..12) != 0).then_some(workers));
    spec.pre_stop_delay = Duration::from_secs(rng.u64(..3));
    spec.companions_stop_within = Duration::from_secs(rng.u64(..60));
    spec
}
