//! A master with everything it needs.

use crate::samples;
use arbiter::hooks::Occasion;
use arbiter::master::{Event, Line, Master, MasterAction};
use arbiter::pool::{PoolAction, Role};
use proto::control::{Answer, ReloadReport, Reply, Verb};
use proto::link::{Pace, ToManager};
use proto::spec::MasterSpec;
use std::time::Duration;
use supervise::{Action, Exit, ExitStatus, Input, Monotonic, RunId};

/// What the master wanted done, as far as its order matters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Open,
    Spawn,
    Ask,
    Kill,
    Resolve,
    AbandonResolver,
    Bind,
    Keep,
    Drop,
    Close,
    Adopt,
    Tell(ToManager),
    Answer(u64, Result<Answer, String>),
    StartSuccessor,
    AbandonSuccessor,
    TryUpgrade,
    AbandonUpgrade,
    KeepProgram,
    Reopen,
    KillCompanions,
    Exit(u8),
}

pub(crate) struct Bench {
    pub(crate) master: Master,
    successor: Option<RunId>,
    now: Monotonic,
    deeds: Vec<Deed>,
    /// What hooks were to be told.
    pub(crate) told: Vec<Occasion>,
    /// Whether a manager was to be started.
    pub(crate) manager_wanted: bool,
    pub(crate) log: Vec<String>,
}

/// A stop as the manager is told.
pub(crate) fn stop(required_too: bool, pace: Pace) -> Deed {
    Deed::Tell(ToManager::Stop { required_too, pace })
}

impl Bench {
    /// A master that has begun, without a manager.
    pub(crate) fn new(spec: MasterSpec) -> Self {
        Self::of(Master::new(spec))
    }

    /// A master that begins.
    pub(crate) fn of(master: Master) -> Self {
        let now = Monotonic::from_boot(Duration::from_secs(1000));
        let mut bench = Self {
            master,
            successor: None,
            now,
            deeds: Vec::new(),
            told: Vec::new(),
            manager_wanted: false,
            log: Vec::new(),
        };
        bench.master.start(bench.now);
        bench.drain();
        bench
    }

    /// Two workers that serve, and a manager.
    pub(crate) fn serving() -> Self {
        Self::serving_with(samples::master(Some(samples::workers(2))))
    }

    /// As [`Bench::serving`], of a configuration of its own.
    pub(crate) fn serving_with(spec: MasterSpec) -> Self {
        let mut bench = Self::new(spec);
        bench.event(Event::ManagerBegun);
        bench.event(Event::Required(None));
        bench.all_ready();
        bench.take();
        bench
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.master.handle(self.now, event);
        self.drain();
    }

    pub(crate) fn request(&mut self, relay: u64, verb: Verb) {
        self.event(Event::Request { relay, wait: true, verb });
    }

    pub(crate) fn resolved(&mut self, result: Result<MasterSpec, &str>) {
        self.master.resolved(self.now, result.map(Box::new).map_err(Into::into));
        self.drain();
    }

    /// A change of the companions in force was read.
    pub(crate) fn changed(&mut self, names: &[&str]) {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.master.changed(self.now, names, Duration::ZERO, Vec::new());
        self.drain();
    }

    pub(crate) fn opened(&mut self, result: Result<(), &str>) {
        self.master.opened(self.now, result.map_err(Into::into));
        self.drain();
    }

    pub(crate) fn bound(&mut self, result: Result<(), &str>) {
        self.master.bound(self.now, result.map_err(Into::into));
        self.drain();
    }

    pub(crate) fn committed(&mut self) {
        self.event(Event::Committed(ReloadReport::default()));
    }

    /// A reload up to the moment when its new workers start.
    pub(crate) fn reload_until_rolling(&mut self, relay: u64, spec: MasterSpec) {
        self.request(relay, Verb::Reload(proto::control::ReloadScope::All));
        self.resolved(Ok(spec));
        self.bound(Ok(()));
        self.event(Event::Prepared(Ok(false)));
        self.take();
    }

    pub(crate) fn worker(&mut self, run: RunId, input: Input) {
        self.master.handle_worker(self.now, run, input);
        self.drain();
    }

    /// The runs in a role, by slot.
    pub(crate) fn runs(&self, role: Role) -> Vec<RunId> {
        let mut members: Vec<_> = self.master.pool().members().filter(|m| m.role == role).collect();
        members.sort_by_key(|member| member.slot);
        members.into_iter().filter_map(|member| member.run).collect()
    }

    /// All that are starting become ready.
    pub(crate) fn all_ready(&mut self) {
        for run in [self.runs(Role::Current), self.runs(Role::Successor)].concat() {
            self.worker(run, Input::Ready);
        }
    }

    pub(crate) fn exit(&mut self, run: RunId, code: i32) {
        let exit = Exit::bare(ExitStatus::Code(code));
        self.worker(run, Input::Exited { exit, survivors: false });
    }

    /// All that were asked to leave do.
    pub(crate) fn all_leave(&mut self) {
        for run in self.runs(Role::Leaving) {
            self.exit(run, 0);
        }
    }

    /// The other master ends.
    pub(crate) fn end_successor(&mut self) {
        let run = self.successor.take().expect("another master was started");
        self.event(Event::SuccessorGone { run });
    }

    pub(crate) fn stopped(&mut self, required_too: bool, killed: bool) {
        self.event(Event::Stopped { required_too, killed });
    }

    pub(crate) fn wait(&mut self) -> Duration {
        let next = self.master.next_deadline().expect("something is due");
        let passed = next.since(self.now);
        self.now = next;
        self.master.handle_deadlines(self.now);
        self.drain();
        passed
    }

    /// What was wanted since the last time.
    pub(crate) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    fn drain(&mut self) {
        for action in self.master.take_actions() {
            let deed = match action {
                MasterAction::Open => Deed::Open,
                MasterAction::StartManager => {
                    self.manager_wanted = true;
                    continue;
                }
                MasterAction::Hook(occasion) => {
                    self.told.push(occasion);
                    continue;
                }
                MasterAction::Pool(PoolAction::Unit(Action::Spawn { .. })) => Deed::Spawn,
                MasterAction::Pool(PoolAction::Unit(Action::Signal { .. })) | MasterAction::Signal { .. } => {
                    Deed::Ask
                }
                MasterAction::Pool(PoolAction::Unit(Action::Kill { .. })) => Deed::Kill,
                MasterAction::Pool(_) => continue,
                MasterAction::Resolve(_) => Deed::Resolve,
                MasterAction::AbandonResolver => Deed::AbandonResolver,
                MasterAction::Bind(_) | MasterAction::BindHeld(_) => Deed::Bind,
                MasterAction::KeepNewListeners => Deed::Keep,
                MasterAction::DropNewListeners => Deed::Drop,
                MasterAction::CloseListeners => Deed::Close,
                MasterAction::Adopt(_) => Deed::Adopt,
                MasterAction::Tell(message) => Deed::Tell(message),
                MasterAction::Answer { relay, reply: Reply::Done(answer) } => Deed::Answer(relay, Ok(answer)),
                MasterAction::Answer { relay, reply: Reply::Failed(failure) } => {
                    Deed::Answer(relay, Err(failure.message))
                }
                MasterAction::Answer { reply, .. } => panic!("{reply:?} ends nothing"),
                MasterAction::StartSuccessor { run } => {
                    self.successor = Some(run);
                    Deed::StartSuccessor
                }
                MasterAction::AbandonSuccessor { .. } => Deed::AbandonSuccessor,
                MasterAction::TryUpgrade => Deed::TryUpgrade,
                MasterAction::AbandonUpgrade => Deed::AbandonUpgrade,
                MasterAction::KeepProgram => Deed::KeepProgram,
                MasterAction::ReopenLog => Deed::Reopen,
                MasterAction::KillCompanions => Deed::KillCompanions,
                MasterAction::Exit(code) => Deed::Exit(code),
                MasterAction::Log(Line::Info(line) | Line::Warn(line) | Line::Error(line)) => {
                    self.log.push(line);
                    continue;
                }
            };
            self.deeds.push(deed);
        }
    }
}
