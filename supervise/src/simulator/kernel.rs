//! The simulated kernel: processes, signals, and messages about them that take their time.

use super::check::Violation;
use super::process::{Leader, Process, Sight};
use super::program::{Odds, Program, happens};
use crate::signal::SIGKILL;
use crate::unit::Input;
use crate::{Exit, ExitStatus, Monotonic, RunId};
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// Where at most one run may be at a time: a slot, or whatever else its caller keeps single.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// The exit code of a process that could not become its program, as shells have it.
const NOT_EXECUTED: i32 = 127;

/// Simulated processes and the clock they live by.
#[derive(Clone, Debug)]
pub struct Kernel {
    rng: Rng,
    odds: Odds,
    now: Monotonic,
    next_pid: i32,
    /// Grows with everything queued, so that equal moments keep their order.
    sequence: u64,
    used: BTreeSet<RunId>,
    processes: BTreeMap<RunId, Process>,
    places: BTreeMap<Place, RunId>,
    agenda: BinaryHeap<Reverse<(Monotonic, u64, RunId, Happening)>>,
    post: BinaryHeap<Reverse<(Monotonic, u64, RunId, Message)>>,
    violation: Option<Violation>,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    SaysReady,
    LeaderEnds(Death),
    OtherEnds,
    AllOthersEnd,
}

/// How a process ends, as something that can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    Code(i32),
    Signal(i32, bool),
}

/// What is told of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Spawned,
    NotSpawned,
    NotExecuted,
    Ready,
    Exited,
    Gone,
}

impl Kernel {
    /// A kernel without processes, some time after boot.
    #[must_use]
    pub fn new(seed: u64, odds: Odds) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            odds,
            now: Monotonic::from_boot(Duration::from_secs(1000)),
            next_pid: 100,
            sequence: 0,
            used: BTreeSet::new(),
            processes: BTreeMap::new(),
            places: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            post: BinaryHeap::new(),
            violation: None,
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        self.now
    }

    /// When something next happens or is told.
    #[must_use]
    pub fn next_event(&self) -> Option<Monotonic> {
        let happening = self.agenda.peek().map(|Reverse((at, ..))| *at);
        let message = self.post.peek().map(|Reverse((at, ..))| *at);
        happening.into_iter().chain(message).min()
    }

    /// Lets the time pass until `moment`; the clock never goes back.
    pub fn advance_to(&mut self, moment: Monotonic) {
        while let Some(&Reverse((at, _, run, happening))) = self.agenda.peek() {
            if at > moment {
                break;
            }
            self.agenda.pop();
            self.now = self.now.max(at);
            self.happen(run, happening);
        }
        self.now = self.now.max(moment);
    }

    /// The next message that has arrived by now. Messages about one run come in order, those about
    /// different runs do not; some come again after their run was reaped.
    pub fn poll_event(&mut self) -> Option<(RunId, Input)> {
        if self.post.peek().is_none_or(|Reverse((at, ..))| *at > self.now) {
            return None;
        }
        let Reverse((_, _, run, message)) = self.post.pop()?;
        Some((run, self.tell(run, message)))
    }

    /// Starts a program drawn from the odds.
    pub fn spawn(&mut self, run: RunId, place: Place) {
        let program = Program::random(&mut self.rng, &self.odds);
        self.spawn_program(run, place, program);
    }

    /// Starts `program`.
    pub fn spawn_program(&mut self, run: RunId, place: Place, program: Program) {
        if !self.used.insert(run) {
            self.accuse(format!("run {run} was used before"));
            return;
        }
        if let Some(older) = self.places.get(&place) {
            self.accuse(format!("run {run} was started where run {older} still is"));
            return;
        }
        self.next_pid = if self.next_pid == i32::MAX { 100 } else { self.next_pid + 1 };
        let leader = if program.spawn_fails { Leader::Missing } else { Leader::Alive };
        let others = if program.spawn_fails || program.exec_fails { 0 } else { program.others };
        let process = Process {
            place,
            pid: self.next_pid,
            program: program.clone(),
            started: self.now,
            leader,
            others,
            newest_message: self.now,
            exit_taken: false,
            paused_until: None,
            killed: false,
        };
        self.processes.insert(run, process);
        self.places.insert(place, run);
        self.foretell(run, &program);
    }

    /// Sends `signal` to the main process of `run`, or to its whole group.
    pub fn signal(&mut self, run: RunId, signal: i32, group: bool) {
        if signal == SIGKILL {
            self.kill(run);
            return;
        }
        let Some(process) = self.processes.get(&run) else {
            self.accuse(format!("signal {signal} was sent to run {run}, which is reaped"));
            return;
        };
        let Program { leaves_after, others_leave_after, .. } = process.program;
        let (alive, others) = (process.leader == Leader::Alive, process.others);
        if let Some((after, code)) = leaves_after.filter(|_| alive) {
            self.schedule(self.now + after, run, Happening::LeaderEnds(Death::Code(code)));
        }
        if let Some(after) = others_leave_after.filter(|_| group && others > 0) {
            self.schedule(self.now + after, run, Happening::AllOthersEnd);
        }
    }

    /// Sends SIGKILL to the whole group of `run`.
    pub fn kill(&mut self, run: RunId) {
        if !self.processes.contains_key(&run) {
            self.accuse(format!("SIGKILL was sent to run {run}, which is reaped"));
            return;
        }
        if let Some(process) = self.processes.get_mut(&run) {
            process.killed = true;
        }
        self.schedule(self.now, run, Happening::LeaderEnds(Death::Signal(SIGKILL, false)));
        self.schedule(self.now, run, Happening::AllOthersEnd);
    }

    /// Stops the main process of `run` and whatever is in its group until `until`: until then nothing becomes of
    /// it but its death by SIGKILL.
    pub fn pause(&mut self, run: RunId, until: Monotonic) {
        if let Some(process) = self.processes.get_mut(&run) {
            process.paused_until = Some(until);
        }
    }

    /// The main process of `run` exits by itself with this code, as soon as it can.
    pub fn exit(&mut self, run: RunId, code: i32) {
        if self.processes.contains_key(&run) {
            self.schedule(self.now, run, Happening::LeaderEnds(Death::Code(code)));
        }
    }

    /// All runs that are not reaped.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, Sight)> + '_ {
        self.processes.iter().map(|(run, process)| (*run, process.sight()))
    }

    /// What is at `place` and not reaped.
    #[must_use]
    pub fn at(&self, place: Place) -> Option<(RunId, Sight)> {
        let run = *self.places.get(&place)?;
        Some((run, self.processes.get(&run)?.sight()))
    }

    /// Whether `run` sleeps where no signal ends it.
    #[must_use]
    pub fn is_asleep(&self, run: RunId) -> bool {
        self.processes.get(&run).is_some_and(|process| process.is_asleep(self.now))
    }

    /// How many happenings and messages are still to come: bounded when signals are.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.agenda.len() + self.post.len()
    }

    /// What the caller did that no caller may do.
    ///
    /// # Errors
    ///
    /// The first such thing: two runs at one place, a run number used again, a signal to a reaped run.
    pub fn check(&self) -> Result<(), Violation> {
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// Settles what a new process will do by itself.
    fn foretell(&mut self, run: RunId, program: &Program) {
        if program.spawn_fails {
            self.send(run, Message::NotSpawned);
            return;
        }
        self.send(run, Message::Spawned);
        if program.exec_fails {
            self.send(run, Message::NotExecuted);
            self.schedule(self.now, run, Happening::LeaderEnds(Death::Code(NOT_EXECUTED)));
            return;
        }
        if let Some(after) = program.ready_after {
            self.schedule(self.now + after, run, Happening::SaysReady);
        }
        if let Some((after, status)) = program.ends_after {
            self.schedule(self.now + after, run, Happening::LeaderEnds(status.into()));
            // Of what is left behind, some leaves soon and some stays.
            if self.rng.bool() {
                self.schedule(self.now + 2 * after, run, Happening::OtherEnds);
            }
        }
    }

    fn happen(&mut self, run: RunId, happening: Happening) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        let is_by_kill =
            matches!(happening, Happening::LeaderEnds(Death::Signal(SIGKILL, _)) | Happening::AllOthersEnd);
        let is_paused = !(is_by_kill && process.killed);
        if let Some(until) = process.paused_until.filter(|until| *until > self.now && is_paused) {
            return self.schedule(until, run, happening);
        }
        if happening == Happening::SaysReady {
            if process.leader == Leader::Alive {
                self.send(run, Message::Ready);
            }
            return;
        }
        match process.next_mortal_moment(self.now) {
            Some(moment) if moment == self.now => {}
            Some(later) => return self.schedule(later, run, happening),
            None => return,
        }
        match happening {
            Happening::LeaderEnds(death) => {
                if process.leader == Leader::Alive {
                    process.leader = Leader::Zombie(death.into());
                    self.send(run, Message::Exited);
                }
            }
            Happening::OtherEnds | Happening::AllOthersEnd => {
                let before = process.others;
                let left = if happening == Happening::OtherEnds { before.saturating_sub(1) } else { 0 };
                process.others = left;
                if before > 0 && left == 0 && process.exit_taken {
                    self.send(run, Message::Gone);
                }
            }
            Happening::SaysReady => {}
        }
    }

    /// Turns a message into the input it is at this moment, and reaps what it was the last one about.
    fn tell(&mut self, run: RunId, message: Message) -> Input {
        let process = self.processes.get_mut(&run);
        let pid = process.as_ref().map_or(0, |process| process.pid);
        match message {
            Message::Spawned => Input::Spawned { pid },
            Message::NotExecuted => Input::NotExecuted { reason: "no such program".into() },
            Message::Ready => {
                self.perhaps_again(run, message);
                Input::Ready
            }
            Message::NotSpawned => {
                self.reap(run);
                Input::NotSpawned { reason: "too many processes".into() }
            }
            Message::Gone => {
                self.reap(run);
                Input::Gone
            }
            Message::Exited => {
                let (status, survivors) = match process {
                    Some(Process { leader: Leader::Zombie(status), others, exit_taken, .. }) => {
                        *exit_taken = true;
                        (*status, *others > 0)
                    }
                    // Told again after it was reaped.
                    _ => (ExitStatus::Code(0), false),
                };
                if !survivors {
                    self.reap(run);
                }
                self.perhaps_again(run, message);
                Input::Exited { exit: Exit::bare(status), survivors }
            }
        }
    }

    fn reap(&mut self, run: RunId) {
        if let Some(process) = self.processes.remove(&run) {
            self.places.remove(&process.place);
        }
    }

    fn schedule(&mut self, at: Monotonic, run: RunId, happening: Happening) {
        self.sequence += 1;
        self.agenda.push(Reverse((at, self.sequence, run, happening)));
    }

    /// Tells `message` after a while, and not before what was told of the run earlier.
    fn send(&mut self, run: RunId, message: Message) {
        let longest = u64::try_from(self.odds.latency.as_micros()).unwrap_or(u64::MAX);
        let mut at = self.now + Duration::from_micros(self.rng.u64(0..=longest));
        if let Some(process) = self.processes.get_mut(&run) {
            at = at.max(process.newest_message);
            process.newest_message = at;
        }
        self.sequence += 1;
        self.post.push(Reverse((at, self.sequence, run, message)));
    }

    fn perhaps_again(&mut self, run: RunId, message: Message) {
        if happens(&mut self.rng, self.odds.duplicates) {
            self.send(run, message);
        }
    }

    fn accuse(&mut self, what: String) {
        self.violation.get_or_insert(Violation(what));
    }
}

impl From<ExitStatus> for Death {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Code(code) => Self::Code(code),
            ExitStatus::Signal { number, core_dumped } => Self::Signal(number, core_dumped),
        }
    }
}

impl From<Death> for ExitStatus {
    fn from(death: Death) -> Self {
        match death {
            Death::Code(code) => Self::Code(code),
            Death::Signal(number, core_dumped) => Self::Signal { number, core_dumped },
        }
    }
}
