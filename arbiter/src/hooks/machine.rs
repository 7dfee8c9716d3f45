//! Which hook runs when.

use super::Occasion;
use proto::spec::{HookEvent, HookSpec};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use supervise::{ExitStatus, Monotonic, RunId, RunIds};

/// How many hooks run at once.
pub const AT_ONCE: usize = 8;
/// How many events wait that nothing waits for.
pub const WAITING_MAX: usize = 1024;

/// Where the runs of hooks are numbered from: those of workers and companions never come near.
const RUNS: u64 = 1 << 52;

/// What is to be done. `W` names what waits for a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAction<W> {
    /// Start a hook; answer with [`Hooks::not_started`], or later with [`Hooks::ended`].
    Start {
        /// As this run.
        run: RunId,
        /// The hook.
        spec: Arc<HookSpec>,
        /// What it is told.
        occasion: Occasion,
        /// When that happened.
        at: Monotonic,
    },
    /// SIGKILL the whole group of a hook.
    Kill {
        /// Which run.
        run: RunId,
    },
    /// What waited for a hook need not wait any longer.
    Over {
        /// What waited.
        waiting: W,
        /// Whether the hook ended with success, or how not.
        result: Result<(), String>,
    },
    /// A line for the log: something failed or was given up.
    Warn(String),
}

/// A hook that runs.
#[derive(Debug)]
struct Running<W> {
    run: RunId,
    event: HookEvent,
    waiting: Option<W>,
    timeout: Duration,
    /// When it has taken too long; `None` once it is being killed and nobody minds it any more.
    until: Option<Monotonic>,
    /// Why it could not become its program.
    failure: Option<String>,
}

/// The hooks in force, those that run, and the events that wait.
#[derive(Debug)]
pub struct Hooks<W> {
    specs: BTreeMap<HookEvent, Arc<HookSpec>>,
    ids: RunIds,
    /// Something waits for these: they go first.
    asked: VecDeque<(Monotonic, Occasion, W)>,
    queued: VecDeque<(Monotonic, Occasion)>,
    dropped: u64,
    running: Vec<Running<W>>,
    actions: Vec<HookAction<W>>,
}

impl<W: Copy + PartialEq> Hooks<W> {
    /// These hooks, none of which runs.
    #[must_use]
    pub fn new(specs: &[HookSpec]) -> Self {
        Self {
            specs: by_event(specs),
            ids: RunIds::starting_at(RUNS),
            asked: VecDeque::new(),
            queued: VecDeque::new(),
            dropped: 0,
            running: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Other hooks are in force. What runs goes on; events wait for the new ones, or are forgotten where there
    /// is none any more.
    pub fn configure(&mut self, now: Monotonic, specs: &[HookSpec]) {
        self.specs = by_event(specs);
        self.queued.retain(|(_, occasion)| self.specs.contains_key(&occasion.event()));
        for (at, occasion, waiting) in std::mem::take(&mut self.asked) {
            if self.has(occasion.event()) {
                self.asked.push_back((at, occasion, waiting));
            } else {
                self.actions.push(HookAction::Over { waiting, result: Ok(()) });
            }
        }
        self.start_next(now);
    }

    /// Whether there is a hook for this event.
    #[must_use]
    pub fn has(&self, event: HookEvent) -> bool {
        self.specs.contains_key(&event)
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<HookAction<W>> {
        std::mem::take(&mut self.actions)
    }

    /// Whether no hook runs or is to be run. One that is being killed runs no more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.queued.is_empty() && self.live().next().is_none()
    }

    /// Something has happened that nothing waits for a hook to hear.
    pub fn post(&mut self, now: Monotonic, occasion: Occasion) {
        if !self.has(occasion.event()) {
            return;
        }
        if self.queued.len() == WAITING_MAX {
            if self.dropped == 0 {
                let text = format!("{WAITING_MAX} events wait for their hooks: further ones are dropped");
                self.actions.push(HookAction::Warn(text));
            }
            self.dropped += 1;
            return;
        }
        self.queued.push_back((now, occasion));
        self.start_next(now);
    }

    /// `waiting` waits for the hook to be over, which [`HookAction::Over`] tells: at once where there is none.
    pub fn ask(&mut self, now: Monotonic, occasion: Occasion, waiting: W) {
        if self.has(occasion.event()) {
            self.asked.push_back((now, occasion, waiting));
            self.start_next(now);
        } else {
            self.actions.push(HookAction::Over { waiting, result: Ok(()) });
        }
    }

    /// `waiting` is given up: its hook is killed, and no [`HookAction::Over`] follows. Returns whether there was
    /// one.
    pub fn cancel(&mut self, now: Monotonic, waiting: W) -> bool {
        let before = self.asked.len();
        self.asked.retain(|(.., asked)| *asked != waiting);
        let mut found = self.asked.len() < before;
        for hook in self.running.iter_mut().filter(|hook| hook.waiting == Some(waiting)) {
            found = true;
            hook.waiting = None;
            hook.until = None;
            self.actions.push(HookAction::Kill { run: hook.run });
        }
        self.start_next(now);
        found
    }

    /// Gives everything up: what runs is killed, what waits for a hook is told that it is over.
    pub fn give_up(&mut self) {
        let forgotten = self.queued.len() as u64 + std::mem::take(&mut self.dropped);
        self.queued.clear();
        if forgotten > 0 {
            self.actions.push(HookAction::Warn(format!("events never told to their hooks: {forgotten}")));
        }
        let reason = "arbiter did not wait for it any longer";
        for (_, occasion, waiting) in std::mem::take(&mut self.asked) {
            self.finish(occasion.event(), Some(waiting), Err(reason.into()));
        }
        for index in 0..self.running.len() {
            let hook = &mut self.running[index];
            if hook.until.take().is_some() {
                let (run, event, waiting) = (hook.run, hook.event, hook.waiting.take());
                self.actions.push(HookAction::Kill { run });
                self.finish(event, waiting, Err(reason.into()));
            }
        }
    }

    /// A run could not even be tried.
    pub fn not_started(&mut self, now: Monotonic, run: RunId, reason: &str) {
        self.conclude(now, run, Err(format!("cannot be started: {reason}")));
    }

    /// A run's process could not become its program; its end is still to come.
    pub fn not_executed(&mut self, run: RunId, reason: String) {
        if let Some(hook) = self.running.iter_mut().find(|hook| hook.run == run) {
            hook.failure = Some(reason);
        }
    }

    /// A run's process has ended.
    pub fn ended(&mut self, now: Monotonic, run: RunId, status: ExitStatus) {
        let result = if status.is_success(&[0]) { Ok(()) } else { Err(status.to_string()) };
        self.conclude(now, run, result);
    }

    /// The next moment at which [`Hooks::handle_deadlines`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.live().filter_map(|hook| hook.until).min()
    }

    /// Kills what has taken too long. Nothing waits for it to have gone.
    pub fn handle_deadlines(&mut self, now: Monotonic) {
        for index in 0..self.running.len() {
            let hook = &mut self.running[index];
            if hook.until.take_if(|until| *until <= now).is_some() {
                let reason = format!("took longer than {} s: killed", hook.timeout.as_secs_f64());
                let (run, event, waiting) = (hook.run, hook.event, hook.waiting.take());
                self.actions.push(HookAction::Kill { run });
                self.finish(event, waiting, Err(reason));
            }
        }
        self.start_next(now);
    }

    /// Those that run and are not being killed.
    fn live(&self) -> impl Iterator<Item = &Running<W>> {
        self.running.iter().filter(|hook| hook.until.is_some())
    }

    fn conclude(&mut self, now: Monotonic, run: RunId, result: Result<(), String>) {
        let Some(index) = self.running.iter().position(|hook| hook.run == run) else { return };
        let hook = self.running.remove(index);
        // Of one that was killed everything has been said.
        if hook.until.is_some() {
            let result = hook.failure.map_or(result, |reason| Err(format!("cannot be started: {reason}")));
            self.finish(hook.event, hook.waiting, result);
        }
        self.start_next(now);
    }

    fn finish(&mut self, event: HookEvent, waiting: Option<W>, result: Result<(), String>) {
        let result = result.map_err(|reason| format!("the hook {} {reason}", event.name()));
        match (waiting, result) {
            (Some(waiting), result) => self.actions.push(HookAction::Over { waiting, result }),
            (None, Err(text)) => self.actions.push(HookAction::Warn(text)),
            (None, Ok(())) => {}
        }
    }

    fn start_next(&mut self, now: Monotonic) {
        while self.live().count() < AT_ONCE {
            let (at, occasion, waiting) = if let Some((at, occasion, waiting)) = self.asked.pop_front() {
                (at, occasion, Some(waiting))
            } else if let Some((at, occasion)) = self.next_queued() {
                (at, occasion, None)
            } else {
                break;
            };
            let event = occasion.event();
            let spec = self.specs.get(&event).expect("only events that have a hook wait");
            let (run, timeout) = (self.ids.allot(), spec.timeout);
            let until = Some(now + timeout);
            self.actions.push(HookAction::Start { run, spec: Arc::clone(spec), occasion, at });
            self.running.push(Running { run, event, waiting, timeout, until, failure: None });
        }
        if self.queued.is_empty() && self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            self.actions.push(HookAction::Warn(format!("events dropped, their hooks not run: {dropped}")));
        }
    }

    /// The first event whose hook does not run already.
    fn next_queued(&mut self) -> Option<(Monotonic, Occasion)> {
        let is_free = |event| self.live().all(|hook| hook.event != event);
        let index = self.queued.iter().position(|(_, occasion)| is_free(occasion.event()))?;
        self.queued.remove(index)
    }
}

fn by_event(specs: &[HookSpec]) -> BTreeMap<HookEvent, Arc<HookSpec>> {
    specs.iter().map(|spec| (spec.event, Arc::new(spec.clone()))).collect()
}
