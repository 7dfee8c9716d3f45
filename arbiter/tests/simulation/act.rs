//! Doing what arbiter decided, and what it must not decide.

use crate::manager::some_time;
use crate::world::{Told, World};
use arbiter::master::{Event, Line, MasterAction};
use arbiter::pool::{Measured, PoolAction};
use proto::control::{Answer, Reply};
use proto::link::ToManager;
use proto::spec::OnBootFailure;
use std::time::Duration;
use supervise::probe::Step;
use supervise::simulator::{Place, Program};
use supervise::{Action, ExitStatus, Input, RunId};

impl World {
    pub(crate) fn act(&mut self, action: MasterAction) {
        let now = self.now();
        match action {
            MasterAction::Pool(PoolAction::Unit(action)) => self.act_on_worker(&action),
            MasterAction::Pool(PoolAction::Look { run, .. }) => {
                if self.rng.u8(..3) == 0 {
                    self.next.push_back(Told::Worker(run, Input::Ready));
                }
            }
            MasterAction::Pool(PoolAction::Measure { workers }) => {
                for Measured { run, limit, .. } in workers {
                    let bytes = self.rng.u64(..limit + limit / 8);
                    self.next.push_back(Told::Weighs(run, bytes));
                }
            }
            MasterAction::Pool(PoolAction::Probe(Step::Try { attempt, .. })) => {
                // Most are answered; some never are.
                match self.rng.u8(..4) {
                    0 => {}
                    1 => self.next.push_back(Told::Tried(attempt, Ok(()))),
                    _ => self.next.push_back(Told::Tried(attempt, Err("no".into()))),
                }
            }
            MasterAction::Pool(PoolAction::Probe(Step::Abandon { .. })) => {}
            MasterAction::Pool(PoolAction::Report(_)) => self.accuse("a report was passed on"),
            MasterAction::Resolve(_) => {
                self.require(self.resolver.is_none(), "two configurations are read at once");
                self.resolver = Some(now + some_time(&mut self.rng));
            }
            MasterAction::AbandonResolver => self.resolver = None,
            MasterAction::Bind(_) | MasterAction::BindHeld(_) => {
                self.require(!self.candidate_open, "two sets of new listeners are open at once");
                let result = if self.fails(8) { Err("address in use".into()) } else { Ok(()) };
                self.candidate_open = result.is_ok();
                self.next.push_back(Told::Bound(result));
            }
            MasterAction::KeepNewListeners => {
                self.require(self.candidate_open, "listeners are kept that are not open");
                self.candidate_open = false;
            }
            MasterAction::DropNewListeners => self.candidate_open = false,
            MasterAction::CloseListeners => {
                self.require(!self.listeners_closed, "the listeners are closed twice");
                self.listeners_closed = true;
            }
            MasterAction::Tell(message) => self.tell_manager(&message),
            MasterAction::Answer { relay, reply } => self.answer(relay, &reply),
            MasterAction::Signal { run, signal } => self.kernel.signal(run, signal, false),
            // It was started at once here.
            MasterAction::AbandonSuccessor { .. } => {}
            MasterAction::TryUpgrade => self.try_upgrade(),
            MasterAction::AbandonUpgrade => self.abandon_upgrade(),
            MasterAction::KeepProgram => self.keep_program(),
            MasterAction::StartSuccessor { run } => self.start_successor(run),
            MasterAction::StartManager => {
                self.require(self.is_in_charge(), "a manager is started beside another master");
                self.start_manager();
            }
            MasterAction::Log(Line::Info(line)) if line.starts_with("withdrawing the workers") => {
                self.seen.dismissed += 1;
                self.are_withdrawn = true;
            }
            MasterAction::Log(Line::Info(line)) if line.starts_with("bringing the workers back") => {
                self.seen.brought_back += 1;
                self.require(self.are_withdrawn, "workers are brought back that were not withdrawn");
                self.are_withdrawn = false;
            }
            MasterAction::KillCompanions => {
                self.seen.kills_of_companions += 1;
                self.killed = true;
                let awaited = self.manager.hung || !self.manager.is_up() || self.manager_missed_in_stop;
                self.require(awaited, "a manager that answers was not waited for");
            }
            MasterAction::Exit(code) => self.end(code),
            MasterAction::Log(Line::Error(line)) => {
                let cannot_start = line == "the workers cannot be started: stopping";
                if cannot_start || line.ends_with("see the program's own output") {
                    self.seen.boot_failures += 1;
                    self.require(!self.ever_ready, "a boot failed after a worker was ready");
                    let generation = Some(self.master.pool().generation());
                    self.require(generation == self.first_generation, "a boot failed after a reload");
                    let master = &self.master;
                    let halts = master.spec().on_boot_failure == OnBootFailure::Halt;
                    self.require(halts, "a boot failed that was to be tried again");
                    let after = line.split("status ").nth(1).and_then(|rest| rest.split(' ').next());
                    self.boot_code =
                        if cannot_start { Some(1) } else { after.and_then(|code| code.parse().ok()) };
                }
            }
            MasterAction::Log(Line::Info(line)) if line.ends_with("replacing it") => {
                self.seen.recycled_old += u64::from(line.contains("has lived"));
                self.seen.recycled_big += u64::from(line.contains("uses"));
                self.require(self.recycles, "a worker is recycled that may live for ever");
                self.require(!self.is_stopping(), "a worker is recycled in a stop");
            }
            MasterAction::Log(Line::Warn(line)) if line.contains("stays, its successor") => {
                self.seen.recyclings_failed += 1;
            }
            MasterAction::Log(Line::Warn(line)) if line.ends_with("going back to the workers before") => {
                self.seen.ways_back += 1;
                self.require(self.batch.is_some(), "something is to be undone where nothing had taken over");
            }
            MasterAction::Open => self.accuse("a hook was to be run that is not configured"),
            MasterAction::Adopt(_)
            | MasterAction::ReopenLog
            | MasterAction::Hook(_)
            | MasterAction::Log(_) => {}
        }
    }

    fn start_successor(&mut self, run: RunId) {
        self.seen.successors += 1;
        self.require(self.successor.is_none(), "there are three masters");
        self.require(self.is_in_charge(), "another master is started by one that is not in charge");
        self.require(!self.is_stopping(), "another master is started in a stop");
        self.require(
            self.resolver.is_none() && !self.candidate_open,
            "another master is started in a reload",
        );
        if self.fails(4) {
            self.next.push_back(Told::Event(Event::SuccessorGone { run }));
        } else {
            let until = self.now() + some_time(&mut self.rng) * 1000;
            self.successor = Some((run, until));
        }
    }

    /// Whether companions are this one's to look after.
    pub(crate) fn is_in_charge(&self) -> bool {
        self.predecessor.is_none()
    }

    fn act_on_worker(&mut self, action: &Action) {
        match *action {
            Action::Spawn { run } => {
                self.require(!self.listeners_closed, "a worker was started after the listeners were closed");
                let launch = self.master.pool().launch(run);
                let generation = launch.as_ref().map(|launch| launch.generation);
                self.first_generation = self.first_generation.or(generation);
                self.require(launch.is_some(), "a run is started that nobody has");
                self.require(!self.are_withdrawn, "a worker is started while they are withdrawn");
                if self.rng.u8(..4) == 0 {
                    self.master.hold_worker(run);
                    let until = self.now() + some_time(&mut self.rng);
                    self.held.push((until, run));
                    self.ever_held.insert(run);
                } else {
                    self.spawn(run);
                }
            }
            Action::Signal { run, .. } | Action::Kill { run } if self.withdraw(run) => {}
            Action::Signal { run, signal, group } => self.kernel.signal(run, signal, group),
            Action::Kill { run } => {
                // One that was held back and is not known to have a process yet is not known to be killed.
                let unit = self.master.pool().unit_of(run).and_then(|unit| unit.run());
                let is_known = unit.is_none_or(|run| run.pid.is_some()) || !self.ever_held.contains(&run);
                self.killed |= self.is_stopping() && is_known;
                self.kernel.kill(run);
            }
            Action::Note { .. } => {}
        }
    }

    pub(crate) fn spawn(&mut self, run: RunId) {
        let program = self.program();
        self.kernel.spawn_program(run, Place(run.0), program);
    }

    /// A worker that is held back needs no process any more. Returns whether it was.
    fn withdraw(&mut self, run: RunId) -> bool {
        let Some(index) = self.held.iter().position(|(_, held)| *held == run) else {
            // It may have been withdrawn a moment ago and be hurried before that is told.
            return self.ever_held.contains(&run) && self.kernel.runs().all(|(there, _)| there != run);
        };
        self.held.remove(index);
        self.seen.withdrawn += 1;
        let reason = "asked to stop before it was started".into();
        self.next.push_back(Told::Worker(run, Input::NotSpawned { reason }));
        true
    }

    fn program(&mut self) -> Program {
        let mut program = Program::random(&mut self.rng, &self.odds);
        if let Some(code) = self.broken {
            program.ready_after = None;
            let soon = Duration::from_millis(self.rng.u64(..400));
            program.ends_after = Some((soon, ExitStatus::Code(code)));
        }
        program
    }

    fn tell_manager(&mut self, message: &ToManager) {
        self.require(self.manager_known, "a manager that is known to be dead was told something");
        match message {
            ToManager::Stop { required_too, .. } => {
                let settled = self.master.pool().is_settled();
                self.require(!required_too || settled, "required companions were stopped before the workers");
            }
            ToManager::Retire => {
                let settled = self.master.pool().is_settled();
                self.require(!self.is_stopping() || settled, "the manager was retired before the workers");
            }
            _ => {}
        }
        let now = self.now();
        if self.manager.is_up() {
            self.manager.hear(&mut self.rng, now, message);
        }
    }

    fn answer(&mut self, relay: u64, reply: &Reply) {
        self.seen.answers += 1;
        if let Reply::Failed(failure) = reply {
            self.seen.abandoned += u64::from(failure.message.contains("arbiter is stopping"));
            self.seen.stays += u64::from(failure.message.contains("stays as it is"));
            self.seen.undone += u64::from(failure.message.contains("nothing was changed: new worker"));
        }
        if let Reply::Done(Answer::Reload(report)) = reply {
            self.require(report.problems.is_empty(), "a manager had to commit what it never prepared");
        }
        let known = self.tickets.remove(&relay);
        self.require(known, "a request was answered twice");
    }

    fn end(&mut self, code: u8) {
        self.require(self.exit.is_none(), "arbiter ends twice");
        self.require(self.master.pool().is_settled(), "arbiter ends while workers are left");
        let expected = match self.boot_code {
            Some(code) => code,
            None if self.critical_lost => 6,
            None if self.killed && !self.forced => 5,
            None => 0,
        };
        if code != expected {
            self.accuse(&format!("arbiter ends with {code} instead of {expected}"));
        }
        match code {
            0 if self.forced => self.seen.forced_ends += 1,
            0 => self.seen.clean_ends += 1,
            _ => self.seen.killing_ends += 1,
        }
        self.seen.ends_beside += u64::from(self.successor.is_some() || !self.is_in_charge());
        self.exit = Some(code);
    }

    pub(crate) fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.accuse(otherwise);
        }
    }

    pub(crate) fn accuse(&mut self, what: &str) {
        self.violation.get_or_insert_with(|| what.to_owned());
    }

    /// What is in the kernel and nobody knows of any more.
    pub(crate) fn unknown_runs(&self) -> Option<RunId> {
        let known: Vec<_> = self.members().into_iter().filter_map(|member| member.run).collect();
        self.kernel.runs().map(|(run, _)| run).find(|run| !known.contains(run))
    }
}
