//! A unit with everything it needs, and a clock that is set by hand.

use std::time::Duration;
use supervise::unit::Note;
use supervise::{
    Action, Ending, Exit, ExitStatus, Input, Ladder, Monotonic, Phase, Policy, Readiness, Restart, RunId,
    RunIds, Turn, Unit,
};

pub(crate) const TERM: i32 = 15;
pub(crate) const ABRT: i32 = 6;
pub(crate) const QUIT: i32 = 3;

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(crate) fn moment(at: f64) -> Monotonic {
    Monotonic::from_boot(seconds(at))
}

/// Told ready within a minute, healthy after a second, a second's delay that grows to a minute, TERM and
/// a minute to stop, ABRT and a second to abort.
pub(crate) fn policy() -> Policy {
    Policy {
        restart: Restart::Always,
        success_codes: vec![0],
        delay: seconds(1.0),
        delay_max: seconds(60.0),
        flapping: None,
        healthy_after: seconds(1.0),
        readiness: Readiness::Told,
        start_timeout: seconds(60.0),
        stop: Ladder { signal: TERM, timeout: seconds(60.0), group: false },
        abort: Ladder { signal: ABRT, timeout: seconds(1.0), group: false },
    }
}

pub(crate) struct Bench {
    pub(crate) unit: Unit,
    pub(crate) policy: Policy,
    pub(crate) ids: RunIds,
    pub(crate) now: f64,
    pub(crate) gate: bool,
    pub(crate) storm: bool,
    pub(crate) actions: Vec<Action>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(policy())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let ids = RunIds::starting_at(1);
        Self { unit: Unit::new(), policy, ids, now: 0.0, gate: true, storm: false, actions: Vec::new() }
    }

    /// A bench whose first run is ready at 0.
    pub(crate) fn running() -> Self {
        let mut bench = Self::new();
        bench.start();
        bench.handle(Input::Spawned { pid: 10 });
        bench.handle(Input::Ready);
        bench.take();
        bench
    }

    fn turn(&mut self, input: impl FnOnce(&mut Unit, &mut Turn<'_>, &Policy)) {
        let mut turn = Turn {
            now: moment(self.now),
            ids: &mut self.ids,
            gate: self.gate,
            storm: self.storm,
            actions: &mut self.actions,
        };
        input(&mut self.unit, &mut turn, &self.policy);
    }

    pub(crate) fn at(&mut self, now: f64) -> &mut Self {
        self.now = now;
        self
    }

    pub(crate) fn start(&mut self) {
        self.turn(|unit, turn, policy| unit.start(turn, policy));
    }

    pub(crate) fn stop(&mut self) {
        self.turn(|unit, turn, policy| unit.stop(turn, policy.stop));
    }

    pub(crate) fn stop_with(&mut self, ladder: Ladder) {
        self.turn(|unit, turn, _| unit.stop(turn, ladder));
    }

    pub(crate) fn restart(&mut self) {
        self.turn(|unit, turn, policy| unit.restart(turn, policy));
    }

    pub(crate) fn fail(&mut self) {
        self.turn(|unit, turn, policy| unit.fail(turn, policy));
    }

    pub(crate) fn reconcile(&mut self) {
        self.turn(|unit, turn, policy| unit.reconcile(turn, policy));
    }

    pub(crate) fn deadline(&mut self) {
        self.turn(|unit, turn, policy| unit.handle_deadline(turn, policy));
    }

    pub(crate) fn handle(&mut self, input: Input) {
        let run = self.run();
        self.handle_of(run, input);
    }

    pub(crate) fn handle_of(&mut self, run: RunId, input: Input) {
        self.turn(|unit, turn, policy| unit.handle(turn, policy, run, input));
    }

    /// The main process exits with `code` and leaves nobody.
    pub(crate) fn exit(&mut self, code: i32) {
        self.handle(exited(code, false));
    }

    pub(crate) fn run(&self) -> RunId {
        self.unit.run().expect("a current run").id
    }

    pub(crate) fn phase(&self) -> Phase {
        self.unit.phase()
    }

    pub(crate) fn last(&self) -> &Ending {
        self.unit.last().expect("an ended run")
    }

    pub(crate) fn reason(&self) -> String {
        self.unit.reason(moment(self.now)).expect("a reason")
    }

    /// When something is due, in seconds.
    pub(crate) fn due(&self) -> Option<f64> {
        self.unit.next_deadline().map(|at| at.since_boot().as_secs_f64())
    }

    /// What was to be done since the last time, without the notes.
    pub(crate) fn take(&mut self) -> Vec<Action> {
        let notes = |action: &Action| !matches!(action, Action::Note { .. });
        self.actions.drain(..).filter(notes).collect()
    }

    /// What was worth telling since the last time.
    pub(crate) fn notes(&mut self) -> Vec<Note> {
        let told = |action: Action| if let Action::Note { note, .. } = action { Some(note) } else { None };
        self.actions.drain(..).filter_map(told).collect()
    }
}

pub(crate) fn exited(code: i32, survivors: bool) -> Input {
    Input::Exited { exit: Exit::bare(ExitStatus::Code(code)), survivors }
}

pub(crate) fn spawn(run: u64) -> Action {
    Action::Spawn { run: RunId(run) }
}

pub(crate) fn signal(run: u64, signal: i32) -> Action {
    Action::Signal { run: RunId(run), signal, group: false }
}

pub(crate) fn group_signal(run: u64, signal: i32) -> Action {
    Action::Signal { run: RunId(run), signal, group: true }
}

pub(crate) fn kill(run: u64) -> Action {
    Action::Kill { run: RunId(run) }
}
