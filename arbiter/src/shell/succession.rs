//! The other master, where there is one: the one that was started beside this one, or the one before it.

use super::{Role, Shell, Source};
use crate::handover::{self, Predecessor};
use crate::master::Event;
use crate::runtime::{Control, LockError, Pidfile, open_control, take_over, words_to_end_leftovers};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use supervise::{ExitStatus, Monotonic, RunId};
use sys::departure::Departure;
use sys::launch::Program;
use sys::reactor::Interest;

/// What this master has to do with another one.
#[derive(Debug, Default)]
pub(super) struct Succession {
    /// Started by this one.
    successor: Option<Successor>,
    /// Whether the other one leaves last: while it lives.
    departure: Option<Departure>,
    /// In charge for as long as it lives.
    predecessor: Option<Before>,
}

/// The master that this one has started.
#[derive(Debug)]
struct Successor {
    run: RunId,
    pid: i32,
    /// The pidfile beside which it has made its own.
    pidfile: Option<String>,
}

/// How often a lock is looked at that its dead owner seems to hold: a child on its way to exec has a copy.
const LOOK: Duration = Duration::from_millis(20);

/// The master before this one.
#[derive(Debug)]
struct Before {
    pid: i32,
    step: Step,
    /// The control socket, which it serves: here it may be meant to be another one.
    control: Option<Control>,
}

/// What stands between this master and being in charge.
#[derive(Debug)]
enum Step {
    /// The one before lives; this is readable when it has ended.
    Alive(OwnedFd),
    /// The lock is tried at this moment.
    Locked(Monotonic),
    /// What the one before left is being ended by this run: it was killed.
    Leftovers(RunId),
}

impl Succession {
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match self.predecessor.as_ref()?.step {
            Step::Locked(at) => Some(at),
            Step::Alive(_) | Step::Leftovers(_) => None,
        }
    }

    /// The process that was started by this one and lives.
    pub(super) fn successor(&self) -> Option<i32> {
        self.successor.as_ref().map(|successor| successor.pid)
    }
}

impl Shell {
    /// Another master is wanted.
    pub(super) fn want_successor(&mut self, now: Monotonic) {
        // Where this process is the first of its machine or container, everything ends with it.
        if sys::process::pid() == 1 {
            tracing::warn!("no other arbiter is started: this one is process 1, and all would end with it");
            return;
        }
        self.master.handle(now, Event::Succeed);
    }

    /// The workers are to leave, if that was meant: a terminal sends the same signal when its size changes.
    pub(super) fn withdraw(&mut self, now: Monotonic) {
        if sys::process::has_terminal() {
            tracing::debug!("SIGWINCH ignored: there is a terminal, whose size may have changed");
            return;
        }
        self.master.handle(now, Event::Withdraw);
    }

    pub(super) fn start_successor(&mut self, now: Monotonic, run: RunId) {
        if let Err(error) = self.try_start_successor(run) {
            tracing::error!("no other arbiter is started: {error:#}");
            self.master.handle(now, Event::SuccessorGone { run });
        }
    }

    fn try_start_successor(&mut self, run: RunId) -> anyhow::Result<()> {
        let departure = Departure::new()?;
        let spawned = handover::start_successor(
            &self.origin,
            &self.listeners,
            self.companions.control.as_ref(),
            &departure,
            self.null.as_fd(),
            &self.outputs,
            self.nofile,
        )?;
        let pid = spawned.pid;
        self.watch_child(run, Role::Successor, pid, spawned.pidfd)?;
        let name = self.origin.program.to_string_lossy().into_owned();
        let cwd = self.origin.directory.to_string_lossy().into_owned();
        self.watch_launch(run, spawned.status, Program { name, cwd, ..Program::default() })?;
        let pidfile = self.master.spec().pidfile.clone();
        self.succession.successor = Some(Successor { run, pid, pidfile });
        self.succession.departure = Some(departure);
        self.share(true);
        tracing::info!("another arbiter is started beside this one, pid {pid}");
        Ok(())
    }

    /// The other master has ended, and this one goes on.
    pub(super) fn successor_ended(&mut self, now: Monotonic, run: RunId, status: ExitStatus) {
        if let Some(gone) = self.succession.successor.take_if(|successor| successor.run == run) {
            tracing::warn!("the arbiter that was started beside this one {status}: this one goes on");
            self.share(false);
            if let Some(path) = gone.pidfile {
                Pidfile::remove_beside(&path, gone.pid);
            }
            self.master.handle(now, Event::SuccessorGone { run });
        }
    }

    /// Files of sockets that another master holds as well are left where they are.
    fn share(&mut self, is_shared: bool) {
        self.succession.departure.take_if(|_| !is_shared);
        if let Some(control) = &mut self.companions.control {
            control.set_shared(is_shared);
        }
        if is_shared {
            self.listeners.share();
        } else {
            self.listeners.own();
            // The other one has removed its own, unless it was killed.
            self.notify.remove_left_beside();
        }
    }

    /// Follows the master that this one was started beside.
    pub(super) fn follow(&mut self, now: Monotonic, predecessor: Predecessor) -> anyhow::Result<()> {
        tracing::info!("started beside the arbiter with pid {}, which is in charge", predecessor.pid);
        let step = match predecessor.pidfd {
            Some(pidfd) => {
                self.reactor.register(&pidfd, Source::Predecessor.into(), Interest::READ)?;
                Step::Alive(pidfd)
            }
            None => Step::Locked(now),
        };
        self.succession.departure = Some(predecessor.departure);
        self.succession.predecessor =
            Some(Before { pid: predecessor.pid, step, control: predecessor.control });
        Ok(())
    }

    /// The master before this one has ended.
    pub(super) fn predecessor_ended(&mut self, now: Monotonic) {
        if let Some(before) = &mut self.succession.predecessor {
            if let Step::Alive(pidfd) = &before.step {
                let _ = self.reactor.deregister(pidfd);
                before.step = Step::Locked(now);
            }
        }
        self.take_charge_when_due(now);
    }

    /// Takes charge when the lock can be had, and what the one before left has been ended.
    pub(super) fn take_charge_when_due(&mut self, now: Monotonic) {
        let Some(before) = &mut self.succession.predecessor else { return };
        if !matches!(before.step, Step::Locked(at) if at <= now) {
            return;
        }
        match take_over(self.master.spec()) {
            Ok(lock) => self.lock = lock,
            Err(LockError::Held(_)) => {
                before.step = Step::Locked(now + LOOK);
                return;
            }
            Err(error) => tracing::error!("{error}"),
        }
        match self.lock.as_ref().and_then(words_to_end_leftovers) {
            Some(words) => self.end_leftovers(now, &words),
            None => self.take_charge(now),
        }
    }

    fn end_leftovers(&mut self, now: Monotonic, words: &[OsString]) {
        tracing::warn!("the arbiter before was killed: ending first what it has left");
        let run = self.master.allot_run();
        let started = self.origin.start_helper(words).and_then(|spawned| {
            self.watch_child(run, Role::Helper, spawned.pid, spawned.pidfd)?;
            Ok(())
        });
        match started {
            Ok(()) => {
                let before = self.succession.predecessor.as_mut().expect("what it left is being ended");
                before.step = Step::Leftovers(run);
            }
            Err(error) => {
                tracing::error!("cannot end what the arbiter before has left: {error:#}");
                self.take_charge(now);
            }
        }
    }

    pub(super) fn leftovers_ended(&mut self, now: Monotonic, run: RunId, status: ExitStatus) {
        let is_awaited = |before: &Before| matches!(before.step, Step::Leftovers(of) if of == run);
        if self.succession.predecessor.as_ref().is_some_and(is_awaited) {
            if status != ExitStatus::Code(0) {
                tracing::error!("cannot end what the arbiter before has left: the helper {status}");
            }
            self.take_charge(now);
        }
    }

    fn take_charge(&mut self, now: Monotonic) {
        let control = self.succession.predecessor.take().and_then(|before| before.control);
        let spec = self.master.spec().clone();
        let is_wanted =
            |control: &Control| control.path().is_some() && control.path() == spec.control.socket.as_deref();
        let (kept, left) = match control {
            Some(control) if is_wanted(&control) => (Some(control), None),
            control => (None, control),
        };
        self.companions.control = kept.or_else(|| {
            open_control(&spec.control).unwrap_or_else(|error| {
                tracing::error!("{error:#}");
                None
            })
        });
        // Nobody serves it where it was, and nobody else is left to remove its file.
        if let Some(mut left) = left {
            left.set_shared(false);
        }
        if let Some(lock) = self.lock.take() {
            self.hold_lock(lock);
        }
        // One that leaves says who follows; one that was killed has not left its mark either.
        let is_named = self.succession.departure.as_ref().is_none_or(Departure::is_last);
        self.share(false);
        self.move_pidfile(spec.pidfile.as_deref());
        self.master.handle(now, Event::TakeCharge);
        if !is_named && self.master.is_in_charge() {
            self.upward.tell_own();
        }
        if self.master.needs_manager() {
            self.start_manager(now);
        }
    }

    /// The very end: what another master goes on with is left to it.
    pub(super) fn leave(&mut self) {
        if self.succession.departure.as_ref().is_none_or(Departure::is_last) {
            // What the one before has left to this one is taken over, to be removed with all the rest.
            if let Some(before) = self.succession.predecessor.take() {
                self.companions.control = before.control;
                if let Some(path) = &self.master.spec().pidfile {
                    match Pidfile::create_after(path, before.pid) {
                        Ok(pidfile) => self.pidfile = Some(pidfile),
                        Err(error) => tracing::error!("{error:#}"),
                    }
                }
            }
            return self.share(false);
        }
        let Some(pid) = self.succession.successor() else { return };
        tracing::info!("the arbiter with pid {pid} goes on");
        if let Some(pidfile) = self.pidfile.take() {
            pidfile.leave_to(pid);
        }
        self.upward.tell_successor(pid);
    }

    /// The control socket's path, for children: also before it is this master's to serve, and with a new
    /// configuration under way for those who are for that one.
    pub(super) fn control_socket(&self, for_candidate: bool) -> Option<&str> {
        let is_beside = self.succession.predecessor.is_some();
        let to_be = self.master.spec().control.socket.as_deref().filter(|_| is_beside);
        self.companions.control_socket(for_candidate).or(to_be)
    }
}
