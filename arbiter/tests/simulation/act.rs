//! Doing what arbiter decided, and what it must not decide.

use crate::manager::some_time;
use crate::world::{Told, World};
use arbiter::master::{Line, MasterAction};
use arbiter::pool::PoolAction;
use proto::control::{Answer, Reply};
use proto::link::ToManager;
use std::time::Duration;
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
            MasterAction::Pool(PoolAction::Report(_)) => self.accuse("a report was passed on"),
            MasterAction::Resolve => {
                self.require(self.resolver.is_none(), "two configurations are read at once");
                self.resolver = Some(now + some_time(&mut self.rng));
            }
            MasterAction::AbandonResolver => self.resolver = None,
            MasterAction::Bind(_) => {
                self.require(!self.candidate_open, "two sets of new listeners are open at once");
                let result = if self.rng.u8(..8) == 0 { Err("address in use".into()) } else { Ok(()) };
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
            MasterAction::KillCompanions => {
                self.seen.kills_of_companions += 1;
                self.killed = true;
                let awaited = self.manager.hung || !self.manager.is_up() || self.manager_missed_in_stop;
                self.require(awaited, "a manager that answers was not waited for");
            }
            MasterAction::Exit(code) => self.end(code),
            MasterAction::Log(Line::Error(line)) => {
                if line.ends_with("see the program's own output") {
                    self.seen.boot_failures += 1;
                    self.require(!self.ever_ready, "a boot failed after a worker was ready");
                    self.require(self.master.pool().generation() == 1, "a boot failed after a reload");
                    let after = line.split("status ").nth(1).and_then(|rest| rest.split(' ').next());
                    self.boot_code = after.and_then(|code| code.parse().ok());
                }
            }
            MasterAction::Adopt(_) | MasterAction::ReopenLog | MasterAction::Log(_) => {}
        }
    }

    fn act_on_worker(&mut self, action: &Action) {
        match *action {
            Action::Spawn { run } => {
                self.require(!self.listeners_closed, "a worker was started after the listeners were closed");
                let known = self.master.pool().launch(run).is_some();
                self.require(known, "a run is started that nobody has");
                let program = self.program();
                self.kernel.spawn_program(run, Place(run.0), program);
            }
            Action::Signal { run, signal, group } => self.kernel.signal(run, signal, group),
            Action::Kill { run } => {
                self.killed |= self.is_stopping();
                self.kernel.kill(run);
            }
            Action::Note { .. } => {}
        }
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
                self.require(self.master.pool().is_settled(), "the manager was retired before the workers");
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
