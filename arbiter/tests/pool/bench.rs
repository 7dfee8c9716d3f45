//! A pool with everything it needs.

use crate::samples;
use arbiter::pool::{Measured, Pool, PoolAction, Report, Role, Weight};
use proto::control::{Clocks, WorkersStatus};
use proto::link::Pace;
use proto::spec::WorkersSpec;
use std::collections::HashMap;
use std::time::Duration;
use supervise::probe::{Attempt, Step};
use supervise::{Action, Exit, ExitStatus, Input, Monotonic, RunId, RunIds};

/// A slot and a generation.
pub(crate) type Seat = (u32, u64);

/// What the pool wanted done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) spawned: Vec<Seat>,
    pub(crate) asked: Vec<(Seat, i32)>,
    pub(crate) killed: Vec<Seat>,
    pub(crate) reports: Vec<Report>,
    pub(crate) looked: Vec<Seat>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) tried: Vec<Seat>,
    pub(crate) given_up: usize,
}

pub(crate) struct Bench {
    pub(crate) pool: Pool,
    ids: RunIds,
    now: Monotonic,
    seats: HashMap<RunId, Seat>,
    wanted: Wanted,
    attempts: HashMap<Seat, Attempt>,
    /// Whether new processes are held back.
    pub(crate) holds: bool,
    /// Lines for the log.
    told: Vec<String>,
}

impl Bench {
    pub(crate) fn with(spec: WorkersSpec, has_listeners: bool) -> Self {
        Self {
            pool: Pool::new(Some(spec), has_listeners),
            ids: RunIds::starting_at(1),
            now: Monotonic::from_boot(Duration::from_secs(1000)),
            seats: HashMap::new(),
            wanted: Wanted::default(),
            attempts: HashMap::new(),
            holds: false,
            told: Vec::new(),
        }
    }

    /// `count` workers that were started and say nothing yet.
    pub(crate) fn starting(count: u32) -> Self {
        let mut bench = Self::with(samples::workers(count), false);
        bench.start();
        bench.take();
        bench
    }

    /// `count` workers that are ready.
    pub(crate) fn serving(count: u32) -> Self {
        let mut bench = Self::starting(count);
        for slot in 1..=count {
            bench.ready(slot, 1);
        }
        bench.take();
        bench
    }

    pub(crate) fn start(&mut self) {
        self.pool.start(self.now, &mut self.ids);
        self.drain();
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.pool.handle_deadlines(self.now, &mut self.ids);
        self.drain();
    }

    /// Lets the time pass to the next deadline; how long that took.
    pub(crate) fn wait(&mut self) -> Duration {
        let next = self.pool.next_deadline().expect("something is due");
        let passed = next.since(self.now);
        self.pass(passed.as_secs_f64());
        passed
    }

    /// The run of a worker that has not been asked to leave, or else of one that has.
    pub(crate) fn run(&self, slot: u32, generation: u64) -> RunId {
        let mut there: Vec<_> = self
            .pool
            .members()
            .filter(|member| (member.slot, member.generation) == (slot, generation))
            .filter_map(|member| Some((member.role == Role::Leaving, member.run?)))
            .collect();
        there.sort();
        there.first().expect("there is such a worker").1
    }

    pub(crate) fn handle(&mut self, run: RunId, input: Input) {
        self.pool.handle(self.now, &mut self.ids, run, input);
        self.drain();
    }

    pub(crate) fn ready(&mut self, slot: u32, generation: u64) {
        self.handle(self.run(slot, generation), Input::Ready);
    }

    /// The newest try to ask a worker has ended.
    pub(crate) fn answer(&mut self, slot: u32, generation: u64, result: Result<(), &str>) {
        let attempt = self.attempts[&(slot, generation)];
        self.pool.tried(self.now, &mut self.ids, attempt, result.map_err(str::to_owned));
        self.drain();
    }

    pub(crate) fn beat(&mut self, slot: u32, generation: u64) {
        self.pool.beat(self.now, self.run(slot, generation));
    }

    /// An operator sends `signal` to the worker in `slot`.
    pub(crate) fn signal(&mut self, slot: u32, signal: i32) {
        assert_eq!(self.pool.signalled(Some(slot), signal, self.now).count(), 1);
    }

    /// Its worker uses so many bytes.
    pub(crate) fn weigh(&mut self, run: RunId, bytes: u64) {
        self.pool.weigh(self.now, &mut self.ids, run, bytes);
        self.drain();
    }

    pub(crate) fn reopen_logs(&mut self) {
        self.pool.reopen_logs();
        self.drain();
    }

    pub(crate) fn give_up(&mut self, slot: u32, generation: u64) {
        let run = self.run(slot, generation);
        self.pool.give_up(self.now, &mut self.ids, run);
        self.drain();
    }

    /// arbiter is away for a while, and then does what is due.
    pub(crate) fn be_away(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.pool.forgive(self.now);
        self.pass(0.0);
    }

    pub(crate) fn status(&self) -> WorkersStatus {
        self.pool.status(Clocks { now: self.now, wall: Duration::ZERO }, None)
    }

    pub(crate) fn exit(&mut self, slot: u32, generation: u64, code: i32) {
        let exit = Exit::bare(ExitStatus::Code(code));
        self.handle(self.run(slot, generation), Input::Exited { exit, survivors: false });
    }

    pub(crate) fn roll_out(&mut self, spec: Option<WorkersSpec>) {
        self.pool.roll_out(self.now, &mut self.ids, spec, false);
        self.drain();
    }

    pub(crate) fn restart_slot(&mut self, slot: u32) -> bool {
        let found = self.pool.restart_slot(self.now, &mut self.ids, slot);
        self.drain();
        found
    }

    pub(crate) fn abandon_rollout(&mut self) {
        self.pool.abandon_rollout(self.now, &mut self.ids);
        self.drain();
    }

    pub(crate) fn scale_to(&mut self, target: u32) -> u32 {
        let target = self.pool.scale_to(self.now, &mut self.ids, target);
        self.drain();
        target
    }

    pub(crate) fn stop(&mut self, pace: Pace) {
        self.pool.stop(self.now, &mut self.ids, pace);
        self.drain();
    }

    /// What was wanted since the last time.
    pub(crate) fn take(&mut self) -> Wanted {
        std::mem::take(&mut self.wanted)
    }

    /// What was told since the last time.
    pub(crate) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// The line for a worker's end.
    pub(crate) fn tell_exit(&self, slot: u32, generation: u64, exit: &Exit) -> (Weight, String) {
        self.pool.tell_exit(self.now, self.run(slot, generation), exit).expect("it is a worker's")
    }

    /// Those in a role, by slot.
    pub(crate) fn seats(&self, role: Role) -> Vec<Seat> {
        let mut seats: Vec<_> =
            self.pool.members().filter(|m| m.role == role).map(|m| (m.slot, m.generation)).collect();
        seats.sort_unstable();
        seats
    }

    /// A run has its process.
    pub(crate) fn spawned(&mut self, run: RunId) {
        let pid = i32::try_from(run.0).expect("few runs are made");
        self.handle(run, Input::Spawned { pid });
    }

    fn drain(&mut self) {
        loop {
            let actions = self.pool.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.note(action);
            }
        }
    }

    fn note(&mut self, action: PoolAction) {
        match action {
            PoolAction::Unit(Action::Spawn { run }) => {
                let launch = self.pool.launch(run).expect("it is started for somebody");
                let seat = (launch.slot, launch.generation);
                self.seats.insert(run, seat);
                self.wanted.spawned.push(seat);
                if self.holds {
                    self.pool.hold(run);
                } else {
                    self.spawned(run);
                }
            }
            PoolAction::Unit(Action::Signal { run, signal, .. }) => {
                self.wanted.asked.push((self.seats[&run], signal));
            }
            PoolAction::Unit(Action::Kill { run }) => self.wanted.killed.push(self.seats[&run]),
            PoolAction::Unit(Action::Note { run, note }) => {
                let told = self.pool.tell_note(self.now, run, note);
                self.told.extend(told.map(|(_, line)| line));
            }
            PoolAction::Look { run, .. } => self.wanted.looked.push(self.seats[&run]),
            PoolAction::Measure { workers } => self.wanted.measured.extend(workers),
            PoolAction::Probe(Step::Try { attempt, run, .. }) => {
                self.attempts.insert(self.seats[&run], attempt);
                self.wanted.tried.push(self.seats[&run]);
            }
            PoolAction::Probe(Step::Abandon { .. }) => self.wanted.given_up += 1,
            PoolAction::Report(report) => self.wanted.reports.push(report),
        }
    }
}
