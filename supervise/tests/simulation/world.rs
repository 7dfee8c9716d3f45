//! A driver of some units, as a program has one, and what has to hold after each of its steps.

use crate::invariants::broken;
use crate::mischief::Mischief;
use crate::operator::{Command, random_policy};
use crate::seen::Seen;
use fastrand::Rng;
use std::time::Duration;
use supervise::simulator::{Kernel, Odds, Place, Violation};
use supervise::unit::{Cause, MOST_EXTENDED, Note, Step};
use supervise::{
    Action, Desired, Input, Ladder, Monotonic, Phase, Policy, RunId, RunIds, Timers, Turn, Unit,
};

/// One unit and what its driver knows of it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) unit: Unit,
    pub(crate) policy: Policy,
    /// What the operator wants: kept beside the unit, to hold against it.
    pub(crate) wish: Desired,
    /// The unit that has to be ready first.
    pub(crate) after: Option<usize>,
    pub(crate) open: bool,
    pub(crate) spawns: u32,
    /// The run that was asked to leave, and whether its group was.
    pub(crate) asked: Option<(RunId, bool)>,
    pub(crate) killed: Option<RunId>,
    /// When the run that is asked to leave will be killed.
    pub(crate) patience: Option<(RunId, Monotonic)>,
    /// Whether it asks for more time.
    pub(crate) asks_for_time: bool,
    pub(crate) longest_delay: Duration,
}

/// Units, their driver, their operator, and the kernel they live in.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) kernel: Kernel,
    pub(crate) ids: RunIds,
    pub(crate) seats: Vec<Seat>,
    pub(crate) timers: Timers<usize>,
    pub(crate) actions: Vec<Action>,
    pub(crate) storm: bool,
    /// A run whose deadline was moved back.
    pub(crate) extended: Option<RunId>,
    pub(crate) steps: u64,
    pub(crate) seen: Seen,
    pub(crate) mischief: Option<Mischief>,
    pub(crate) telling: bool,
}

impl World {
    pub(crate) fn new(seed: u64, mischief: Option<Mischief>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let odds = if rng.u8(..8) == 0 { Odds::calm() } else { Odds::rough() };
        let seats = (0..rng.usize(1..=4))
            .map(|index| Seat {
                unit: Unit::new(),
                policy: random_policy(&mut rng),
                wish: Desired::Down,
                after: (index > 0 && rng.bool()).then(|| rng.usize(..index)),
                open: true,
                spawns: 0,
                asked: None,
                killed: None,
                patience: None,
                asks_for_time: false,
                longest_delay: Duration::ZERO,
            })
            .collect();
        Self {
            kernel: Kernel::new(rng.u64(..), odds),
            rng,
            ids: RunIds::starting_at(1),
            seats,
            timers: Timers::default(),
            actions: Vec::new(),
            storm: false,
            extended: None,
            steps: 0,
            seen: Seen::default(),
            mischief,
            telling: false,
        }
    }

    /// Tells every step on standard error.
    pub(crate) fn telling(mut self) -> Self {
        self.telling = true;
        self
    }

    #[expect(clippy::print_stderr, reason = "who plays a seed again wants to read what happens")]
    fn tell(&self, line: impl FnOnce(&Self) -> String) {
        if self.telling {
            eprintln!("{}", line(self));
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    /// Lives for `steps` steps, then stops everything and sees that nothing is left.
    pub(crate) fn live(&mut self, steps: u64) -> Result<(), Violation> {
        for index in 0..self.seats.len() {
            self.command(index, Command::Start)?;
        }
        while self.steps < steps {
            if self.rng.u8(..6) == 0 {
                let (index, command) = (self.rng.usize(..self.seats.len()), Command::random(&mut self.rng));
                self.command(index, command)?;
            } else {
                self.turn()?;
            }
        }
        self.end()
    }

    /// One turn of the loop: the time passes, inputs come in, then what is due is done.
    fn turn(&mut self) -> Result<(), Violation> {
        let next = self.kernel.next_event().into_iter().chain(self.timers.next_deadline()).min();
        let now = self.kernel.now();
        let soon = now + Duration::from_millis(self.rng.u64(..1000));
        let late = now + Duration::from_secs(self.rng.u64(..7200));
        let moment = match self.rng.u8(..64) {
            0 => late,
            1 | 2 => soon,
            _ => next.unwrap_or(soon),
        };
        self.kernel.advance_to(moment);
        while let Some((run, input)) = self.kernel.poll_event() {
            self.deliver(run, input)?;
        }
        self.serve_deadlines()?;
        self.check_invariants(true)
    }

    fn serve_deadlines(&mut self) -> Result<(), Violation> {
        if self.errs(Mischief::OverlooksDeadlines) {
            return Ok(());
        }
        while let Some(index) = self.timers.pop_due(self.kernel.now()) {
            self.step(index, "deadline", |seat, turn| seat.unit.handle_deadline(turn, &seat.policy))?;
            let Seat { unit, .. } = &self.seats[index];
            if unit.next_deadline().is_some_and(|deadline| deadline < self.kernel.now()) {
                return broken(format!("a deadline in the past was left behind: {unit:?}"));
            }
        }
        Ok(())
    }

    fn deliver(&mut self, run: RunId, mut input: Input) -> Result<(), Violation> {
        let of = |seat: &Seat| seat.unit.run().is_some_and(|current| current.id == run);
        let index = self.seats.iter().position(of);
        if let Input::Exited { survivors, .. } = &mut input {
            self.seen.strays += u64::from(*survivors);
            if self.errs(Mischief::LosesExits) {
                return Ok(());
            }
            *survivors &= !self.errs(Mischief::OverlooksSurvivors);
        }
        // A message about a run that is gone goes to whoever; it must be ignored.
        let stale = index.is_none();
        self.seen.stale += u64::from(stale);
        let index = index.unwrap_or_else(|| self.rng.usize(..self.seats.len()));
        let before = stale.then(|| self.seats[index].unit.clone());
        let current = self.seats[index].unit.run().map_or(run, |current| current.id);
        let mistaken = input == Input::Ready && self.errs(Mischief::MistakesRuns);
        let taken_for = if mistaken { current } else { run };
        self.step(index, "message", |seat, turn| {
            seat.unit.handle(turn, &seat.policy, taken_for, input);
        })?;
        if before.is_some_and(|before| before != self.seats[index].unit) {
            return broken(format!("a message about run {run}, which is over, changed a unit"));
        }
        if stale && self.errs(Mischief::SignalsTheDead) {
            self.kernel.signal(run, 1, false);
        }
        self.kernel.check()
    }

    fn command(&mut self, index: usize, command: Command) -> Result<(), Violation> {
        let seat = &mut self.seats[index];
        let quick = seat.policy.stop.within(Duration::from_secs(5));
        let quick = Ladder { signal: 3, ..quick };
        match command {
            Command::Start | Command::Restart => seat.wish = Desired::Up,
            Command::Stop | Command::QuickStop | Command::ForcedStop => seat.wish = Desired::Down,
            Command::ToggleGate => seat.open = !seat.open,
            Command::ToggleStorm => self.storm = !self.storm,
            Command::ChangePolicy => seat.policy = random_policy(&mut self.rng),
            Command::HandOver => {
                let record = serde_json::to_string(&seat.unit).expect("a unit is data");
                seat.unit = serde_json::from_str(&record).expect("a unit");
            }
            Command::Fail => {}
            Command::MoreTime => seat.asks_for_time = true,
            Command::Leaves => {
                let started = matches!(seat.unit.phase(), Phase::Starting { .. } | Phase::Running);
                let run = seat.unit.run().filter(|run| started && run.failure.is_none());
                // It knows by itself what others are asked.
                seat.asked = run.map(|run| (run.id, false)).or(seat.asked);
                self.seen.left += u64::from(run.is_some());
            }
        }
        let by = Duration::from_millis(self.rng.u64(..100_000));
        self.step(index, "command", |seat, turn| {
            let (unit, policy) = (&mut seat.unit, &seat.policy);
            match command {
                Command::Start => unit.start(turn, policy),
                Command::Stop => unit.stop(turn, policy.stop),
                Command::QuickStop => unit.stop(turn, quick),
                Command::ForcedStop => unit.stop(turn, Ladder::FORCE),
                Command::Restart => unit.restart(turn, policy),
                Command::Fail => unit.fail(turn, policy),
                Command::MoreTime | Command::Leaves => {
                    let more = Input::MoreTime { by };
                    let input = if matches!(command, Command::Leaves) { Input::Leaves } else { more };
                    let run = unit.run().map(|run| run.id);
                    run.into_iter().for_each(|run| unit.handle(turn, policy, run, input.clone()));
                }
                Command::ToggleGate | Command::ToggleStorm | Command::ChangePolicy | Command::HandOver => {}
            }
        })?;
        self.seats[index].asks_for_time = false;
        Ok(())
    }

    /// One input to one unit, everything that follows from it, and the check.
    fn step(
        &mut self,
        index: usize,
        what: &str,
        input: impl FnOnce(&mut Seat, &mut Turn<'_>),
    ) -> Result<(), Violation> {
        self.steps += 1;
        self.tell(|world| {
            format!("{:?} unit {index} {what}: {:?}", world.kernel.now(), world.seats[index].unit.phase())
        });
        if self.errs(Mischief::ForgetsRunNumbers) {
            self.ids = RunIds::starting_at(1);
        }
        self.input(index, input);
        self.reconcile();
        self.err(index);
        self.check_invariants(false)
    }

    /// Lets everything that waits look again, until nothing changes any more.
    fn reconcile(&mut self) {
        if self.errs(Mischief::ForgetsToReconcile) {
            return;
        }
        for index in 0..self.seats.len() {
            if self.seats[index].unit.phase() == Phase::Waiting && self.gate(index) {
                self.input(index, |seat, turn| seat.unit.reconcile(turn, &seat.policy));
            }
        }
    }

    pub(crate) fn input(&mut self, index: usize, input: impl FnOnce(&mut Seat, &mut Turn<'_>)) {
        let gate = self.gate(index);
        let mut actions = std::mem::take(&mut self.actions);
        let mut turn = Turn {
            now: self.kernel.now(),
            ids: &mut self.ids,
            gate,
            storm: self.storm,
            actions: &mut actions,
        };
        input(&mut self.seats[index], &mut turn);
        for action in actions.drain(..) {
            self.perform(index, &action);
        }
        self.actions = actions;
        if !self.errs(Mischief::ForgetsTimers) {
            self.timers.set(index, self.seats[index].unit.next_deadline());
        }
        self.observe(index);
        self.check_patience(index);
    }

    fn perform(&mut self, index: usize, action: &Action) {
        self.tell(|_| format!("    {action:?}"));
        let place = Place(index as u64);
        match *action {
            Action::Spawn { run } => {
                self.seen.spawns += 1;
                self.seats[index].spawns += 1;
                self.kernel.spawn(run, place);
            }
            Action::Signal { .. } if self.errs(Mischief::NeverAsks) => {}
            Action::Kill { .. } if self.errs(Mischief::ForgetsKills) => {}
            Action::Signal { run, signal, group } => {
                let asked = &mut self.seats[index].asked;
                *asked = Some((run, group || *asked == Some((run, true))));
                self.kernel.signal(run, signal, group);
            }
            Action::Kill { run } => {
                self.seen.kills += 1;
                self.seats[index].killed = Some(run);
                if self.mischief != Some(Mischief::NeverKills) {
                    self.kernel.kill(run);
                }
            }
            Action::Note { note, .. } => match note {
                Note::Ready { assumed } => {
                    self.seen.ready += 1;
                    self.seen.assumed += u64::from(assumed);
                }
                Note::Unready => self.seen.unready += 1,
                Note::Stuck => self.seen.stuck += 1,
                Note::Killed | Note::Ended => {}
            },
        }
    }

    fn observe(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        let retry = seat.policy.flapping.map_or(Duration::ZERO, |flapping| flapping.retry_in);
        let waits = [seat.policy.delay, seat.policy.delay_max, retry];
        seat.longest_delay = waits.into_iter().fold(seat.longest_delay, Duration::max);
        match seat.unit.phase() {
            Phase::Stopping { cause: Cause::Died, .. } => self.seen.died += 1,
            Phase::Exited { .. } => self.seen.exited += 1,
            Phase::Backoff { .. } => self.seen.backoff += 1,
            Phase::Stopped
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running
            | Phase::Stopping { .. }
            | Phase::Fatal => {}
        }
    }

    /// Once a run is asked to leave, its time only gets shorter, unless it asks for more itself; and that has
    /// an end.
    fn check_patience(&mut self, index: usize) {
        let Seat { unit, patience, policy, asks_for_time, .. } = &mut self.seats[index];
        let asked_until = match (unit.run(), unit.phase()) {
            (Some(run), Phase::Stopping { step: Step::Asked { deadline, .. }, .. }) => {
                Some((run.id, deadline))
            }
            _ => None,
        };
        if let (Some((run, before)), Some((same, after))) = (*patience, asked_until) {
            if run == same && after > before {
                let begun = unit.run().and_then(|run| run.over_at).unwrap_or(after);
                let latest = begun + policy.stop.timeout * MOST_EXTENDED;
                self.seen.extended += 1;
                if !*asks_for_time || after > latest {
                    self.extended = Some(run);
                }
            }
        }
        *patience = asked_until;
    }

    pub(crate) fn gate(&self, index: usize) -> bool {
        let Seat { open, after, .. } = self.seats[index];
        let ready = |index: usize| {
            let unit = &self.seats[index].unit;
            unit.is_ready() || unit.phase() == Phase::Exited { success: true }
        };
        open && after.is_none_or(ready)
    }

    /// Whether the driver errs now, in the way it was told to.
    pub(crate) fn errs(&mut self, mischief: Mischief) -> bool {
        self.mischief == Some(mischief) && self.rng.u8(..4) == 0
    }

    /// Stops everything and lets the clock run on until nothing is to come.
    fn end(&mut self) -> Result<(), Violation> {
        for index in 0..self.seats.len() {
            self.command(index, Command::Stop)?;
        }
        while let Some(next) = self.kernel.next_event().into_iter().chain(self.timers.next_deadline()).min() {
            if self.errs(Mischief::LeavesEarly) {
                break;
            }
            self.kernel.advance_to(next);
            while let Some((run, input)) = self.kernel.poll_event() {
                self.deliver(run, input)?;
            }
            self.serve_deadlines()?;
            self.check_invariants(true)?;
        }
        if let Some(left) = self.kernel.runs().find(|(run, _)| self.is_alive_and_awake(*run)) {
            return broken(format!("a process outlives the end: {left:?}"));
        }
        for Seat { unit, .. } in &self.seats {
            if !unit.is_settled() {
                return broken(format!("is not settled at the end: {unit:?}"));
            }
        }
        Ok(())
    }
}
