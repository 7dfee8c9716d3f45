//! arbiter's life: what it is told, when, and by whom.

use crate::manager::{Manager, some_time};
use crate::samples;
use arbiter::master::{Event, Master};
use arbiter::pool::Member;
use fastrand::Rng;
use proto::control::{ReloadScope, ScaleChange, ScaleTarget, SignalTarget, Verb};
use proto::link::Pace;
use proto::spec::{MasterSpec, Ready};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Violation};
use supervise::{Input, Monotonic, RunId};

/// One thing that arbiter is told.
#[derive(Debug)]
pub(crate) enum Told {
    Start,
    Event(Event),
    Worker(RunId, Input),
    Resolved(Result<Box<MasterSpec>, String>),
    Bound(Result<(), String>),
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
}

impl Seen {
    fn counts(&mut self) -> [&mut u64; 12] {
        let Self { commits, undone, resizes, resizes_in_rollouts, manager_deaths, boot_failures, .. } = self;
        let Self { kills_of_companions, clean_ends, killing_ends, forced_ends, answers, abandoned, .. } =
            self;
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
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum += *count;
        }
    }

    pub(crate) fn assert_everything_was_seen(&mut self) {
        assert!(
            self.counts().into_iter().all(|count| *count > 20),
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
    /// When the child that reads the configuration is done.
    pub(crate) resolver: Option<Monotonic>,
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
    pub(crate) ever_ready: bool,
    pub(crate) exit: Option<u8>,
    /// A rule that was broken while acting.
    pub(crate) violation: Option<String>,
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
        Self {
            odds,
            master: Master::new(random_spec(&mut rng)),
            manager: Manager::absent(begin_at),
            manager_known: false,
            manager_missed_in_stop: false,
            kernel,
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
            ever_ready: false,
            exit: None,
            violation: None,
            steps: 0,
            seen: Seen::default(),
            telling: false,
            rng,
        }
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

    fn next_moment(&self) -> Option<Monotonic> {
        let inside = self.kernel.next_event().into_iter().chain(self.master.next_deadline());
        inside.chain(self.manager.next_event()).chain(self.resolver).min()
    }

    /// One turn of the loop: the time passes, inputs come in, then what is due is done.
    fn turn(&mut self) -> Result<(), Violation> {
        let soon = self.now() + Duration::from_millis(self.rng.u64(..1000));
        let moment = match self.rng.u8(..64) {
            // Late turns are for those whom nobody waits for.
            0 if !self.is_stopping() => self.now() + Duration::from_secs(self.rng.u64(..600)),
            1 | 2 => soon,
            _ => self.next_moment().unwrap_or(soon),
        };
        self.kernel.advance_to(moment);
        while let Some((run, input)) = self.kernel.poll_event() {
            self.step(Told::Worker(run, input))?;
        }
        self.hear_manager()?;
        if self.resolver.take_if(|at| *at <= moment).is_some() {
            let result = if self.rng.u8(..6) == 0 {
                Err("arbiter.toml:1:1: a mistake".into())
            } else {
                Ok(Box::new(random_spec(&mut self.rng)))
            };
            self.step(Told::Resolved(result))?;
        }
        self.step(Told::Deadlines)?;
        self.check_rested()
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
            if self.master.needs_manager() {
                self.manager.begin(&mut self.rng, now);
                self.step(Told::Event(Event::ManagerBegun))?;
            } else {
                self.manager.stay_dead();
            }
        }
        Ok(())
    }

    fn end_manager(&mut self) -> Result<(), Violation> {
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
        match self.rng.u8(..64) {
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
            44 => self.request(Verb::Signal { target: SignalTarget::Workers, signal: 10 }),
            45..48 => {
                self.broken = Some(self.rng.i32(1..5));
                Ok(())
            }
            48..56 => {
                self.broken = None;
                Ok(())
            }
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

    fn stop(&mut self, pace: Pace) -> Result<(), Violation> {
        self.step(Told::Event(Event::Stop(pace)))
    }

    fn request(&mut self, verb: Verb) -> Result<(), Violation> {
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
    fn step(&mut self, told: Told) -> Result<(), Violation> {
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
            Told::Resolved(result) => self.master.resolved(now, result),
            Told::Bound(result) => self.master.bound(now, result),
            Told::Deadlines => self.master.handle_deadlines(now),
        }
    }
}

/// A configuration that can be, now and then without workers.
fn random_spec(rng: &mut Rng) -> MasterSpec {
    let mut workers = samples::workers(rng.u32(1..=4));
    workers.ready = match rng.u8(..4) {
        0 => Ready::Auto,
        1 => Ready::Started,
        _ => Ready::Notify,
    };
    workers.start_timeout = Duration::from_millis(rng.u64(500..60_000));
    workers.stop.timeout = Duration::from_secs(rng.u64(..60));
    workers.stop.group = rng.bool();
    if rng.bool() {
        workers.requires = vec!["redis".into()];
    }
    let mut spec = samples::master((rng.u8(..12) != 0).then_some(workers));
    spec.pre_stop_delay = Duration::from_secs(rng.u64(..3));
    spec.companions_stop_within = Duration::from_secs(rng.u64(..60));
    spec
}
