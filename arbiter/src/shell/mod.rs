//! The loop, and everything that acts: signals, processes, descriptors, the link.
//!
//! One thread, one wait. Each turn takes in what has happened, lets the machines decide, and does what they
//! decided; nothing in here waits for anything but the reactor.
//!
//! | file | what it acts on |
//! | --- | --- |
//! | `mod` | the turn |
//! | `relays` | requests that the manager relays, and their answers |
//! | `signals` | what each signal to arbiter means |
//! | `source` | what a readiness event is about |
//! | `act` | what the master decided |
//! | `workers` | starting and signalling workers |
//! | `hooks` | starting hooks, and what waits for them |
//! | `children` | every child's way to exec, and its end |
//! | `custody` | what is kept for the manager |
//! | `companions` | the manager's process, and what it left |
//! | `memory` | how much the workers use |
//! | `link` | what the manager says |
//! | `probes` | asking workers whether they are ready |
//! | `notify_pool` | notify sockets for processes to come |
//! | `notices` | what processes say over their notify sockets |
//! | `succession` | another master beside this one |
//! | `upgrade` | replacing arbiter's own program |
//! | `upward` | what arbiter's own service manager is told |
//! | `ending` | the last steps |

mod act;
mod captures;
mod children;
mod companions;
mod custody;
mod ending;
mod files;
mod hooks;
mod link;
mod memory;
mod notices;
mod notify_pool;
mod probes;
mod relays;
mod signals;
mod source;
mod succession;
mod upgrade;
mod upward;
mod workers;

use crate::daemon::Launcher;
use crate::handover::Predecessor;
use crate::happenings::Happenings;
use crate::listeners::Listeners;
use crate::master::Master;
use crate::resolver::{Job, Origin};
use crate::runtime::{Control, Lock, NotifyDirectory, Pidfile, Running};
use anyhow::Context;
use custody::Companions;
pub(crate) use custody::manager_beside;
use ending::Ending;
use files::Prepared;
pub(crate) use files::no_log;
use hooks::{ShellHooks, Waiting};
use memory::Measuring;
use notify_pool::NotifyPool;
use proto::control::{ArbiterState, Clocks};
use proto::spec::{HookSpec, MasterSpec};
pub(crate) use relays::Relays;
use serde::{Deserialize, Serialize};
use source::Source;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use succession::Succession;
use supervise::{Monotonic, RunId};
use sys::cgroup::OutOfMemory;
use sys::children::Children;
use sys::launch::Program;
use sys::memory::Rest;
use sys::notify::NotifySocket;
use sys::probe::Tries;
use sys::reactor::{Interest, Reactor};
use sys::signals::Signals;
use upgrade::Upgrade;
use upward::Upward;

/// What is open for arbiter's whole life.
#[derive(Debug)]
pub struct Held {
    /// What says that arbiter is in charge.
    pub lock: Option<Lock>,
    /// The list of what runs, for the start after one that was killed.
    pub running: Running,
    /// The file that names arbiter.
    pub pidfile: Option<Pidfile>,
    /// The control socket.
    pub control: Option<Control>,
    /// The workers' sockets.
    pub listeners: Listeners,
    /// Where notify sockets live.
    pub notify: NotifyDirectory,
    /// The companions' specification, encoded, in a memory file.
    pub companions: OwnedFd,
    /// Where the standard output and error of children go that have none of their own.
    pub outputs: [OwnedFd; 2],
    /// Who waits in the foreground until arbiter is ready.
    pub launcher: Option<Launcher>,
    /// The limit of open files as arbiter was started.
    pub nofile: (u64, u64),
    /// The manager's program.
    pub manager: File,
}

/// What the loop stands on.
struct Foundation {
    reactor: Reactor,
    signals: Signals,
    null: OwnedFd,
}

impl Foundation {
    /// # Errors
    /// A system call fails.
    fn lay() -> anyhow::Result<Self> {
        let reactor = Reactor::new().context("cannot create an epoll set")?;
        let signals = Signals::install(&signals::HANDLED).context("cannot install signal handlers")?;
        sys::signals::unblock_all().context("cannot unblock signals")?;
        reactor.register(&signals, Source::Signals.into(), Interest::READ)?;
        Ok(Self { reactor, signals, null: sys::fd::null().context("cannot open /dev/null")? })
    }
}

/// What a child of arbiter's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Worker,
    Manager,
    Resolver,
    /// Reads how much memory workers use.
    Measurer,
    /// It ends what a killed master left.
    Helper,
    /// The program that is installed now, which says whether it can take over.
    Trial,
    /// Another master.
    Successor,
    /// It runs at an event.
    Hook,
    /// A companion that a dead manager left.
    Adopted,
}

/// A child between clone and exec.
#[derive(Debug)]
struct Launching {
    status: OwnedFd,
    program: Program,
}

/// A child whose main process has ended while others of its group are left, or whose end has not been
/// taken in yet: its number stays reserved.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Zombie {
    pub(crate) run: RunId,
    pub(crate) role: Role,
    /// Whether the manager lets go of it; workers are arbiter's own to let go.
    pub(crate) released: bool,
    /// Whether others of its group were left when that was last told.
    pub(crate) survivors: bool,
}

/// The acting half of arbiter.
pub struct Shell {
    reactor: Reactor,
    signals: Signals,
    origin: Origin,
    master: Master,
    hooks: ShellHooks,
    children: Children<RunId>,
    roles: HashMap<RunId, Role>,
    launching: HashMap<RunId, Launching>,
    zombies: Vec<Zombie>,
    /// Children of which nothing is left, to be reaped when the turn's more urgent work is done.
    to_bury: Vec<RunId>,
    out_of_memory: OutOfMemory,
    /// Whether SIGCHLD has come.
    child_signal: bool,
    notify_sockets: HashMap<RunId, NotifySocket>,
    tries: Tries,
    notify: NotifyPool,
    null: OwnedFd,
    pidfile: Option<Pidfile>,
    prepared: Prepared,
    listeners: Listeners,
    /// With the control socket, by whose file who waits for arbiter's end sees that: it goes after those above.
    companions: Companions,
    resolver: Option<(RunId, Job, Monotonic)>,
    measuring: Option<Measuring>,
    upward: Upward,
    succession: Succession,
    upgrade: Upgrade,
    outputs: [OwnedFd; 2],
    launcher: Option<Launcher>,
    nofile: (u64, u64),
    started: Monotonic,
    rest: Rest,
    ending: Option<Ending>,
    happenings: Happenings,
    running: Running,
    /// Let go of last, when all other files are gone.
    lock: Option<Lock>,
}

impl Shell {
    /// An arbiter that has everything open and runs nothing yet.
    ///
    /// # Errors
    /// A system call for its own needs fails.
    pub fn new(
        spec: MasterSpec,
        origin: Origin,
        held: Held,
        predecessor: Option<Predecessor>,
    ) -> anyhow::Result<Self> {
        let foundation = Foundation::lay()?;
        act::tell_configuration(&spec);
        let hooks = spec.hooks.clone();
        let mut master =
            if predecessor.is_some() { Master::beside_predecessor(spec) } else { Master::new(spec) };
        master.seed(chance());
        let mut shell = Self::build(foundation, origin, master, &hooks, held);
        if let Some(predecessor) = predecessor {
            shell.follow(now(), predecessor)?;
        }
        Ok(shell)
    }

    fn build(foundation: Foundation, origin: Origin, master: Master, hooks: &[HookSpec], held: Held) -> Self {
        let Foundation { reactor, signals, null } = foundation;
        sys::title::set(&format!("arbiter: master [{}]", master.spec().name));
        Self {
            reactor,
            signals,
            upward: Upward::new(&origin.environment, now()),
            origin,
            hooks: ShellHooks::new(hooks),
            master,
            children: Children::new(),
            roles: HashMap::new(),
            launching: HashMap::new(),
            zombies: Vec::new(),
            to_bury: Vec::new(),
            out_of_memory: OutOfMemory::watch(),
            child_signal: false,
            notify_sockets: HashMap::new(),
            tries: Tries::default(),
            notify: NotifyPool::new(held.notify),
            null,
            pidfile: held.pidfile,
            prepared: Prepared::default(),
            listeners: held.listeners,
            companions: Companions::new(held.manager, held.control, held.companions),
            resolver: None,
            measuring: None,
            succession: Succession::default(),
            upgrade: Upgrade::default(),
            outputs: held.outputs,
            launcher: held.launcher,
            nofile: held.nofile,
            started: now(),
            rest: Rest::default(),
            ending: None,
            happenings: Happenings::default(),
            running: held.running,
            lock: held.lock,
        }
    }

    /// Runs until everything has ended. Returns the exit status.
    ///
    /// # Errors
    /// The reactor fails: nothing can be supervised without it.
    pub fn run(mut self) -> anyhow::Result<u8> {
        if !self.upgrade.is_arriving() {
            let (version, pid) = (env!("CARGO_PKG_VERSION"), sys::process::pid());
            tracing::info!("arbiter {version} starts, pid {pid}");
            self.tell_listeners();
            self.master.start(now());
        }
        self.settle(now());
        self.arrived();
        loop {
            let deadline = self.next_deadline();
            self.rest.wait(&mut self.reactor, deadline).context("cannot wait for events")?;
            let now = now();
            if supervise::heartbeat::was_away(deadline, now) {
                self.master.was_away(now);
                self.companions.pings.forgive(now);
            }
            let events: Vec<_> = self.reactor.events().collect();
            // Messages of the workers, beats most of them, are no work worth resting from.
            if events.iter().any(|event| !matches!(Source::from(event.token), Source::Notify(_))) {
                self.rest.stir(now);
            }
            for event in events {
                self.handle(now, event);
            }
            self.handle_deadlines(now);
            self.settle(now);
            if let Some(code) = self.ended(now) {
                self.leave();
                tracing::info!("arbiter ends with status {code}");
                return Ok(code);
            }
        }
    }

    fn tell_listeners(&self) {
        for listener in self.listeners.status() {
            tracing::info!("listening on {} ({})", listener.address, listener.name);
        }
        for (socket, _) in self.listeners.of_companions(false) {
            tracing::info!("listening on {} for the companion {}", socket.address, socket.name);
        }
    }

    fn handle(&mut self, now: Monotonic, event: sys::reactor::Event) {
        match Source::from(event.token) {
            Source::Signals => self.handle_signals(now),
            Source::Link => self.handle_link(now, event),
            Source::Predecessor => self.predecessor_ended(now),
            Source::Child(run) => self.handle_exit(now, run),
            Source::Exec(run) => self.handle_exec(now, run),
            Source::Notify(run) => self.handle_notices(now, run),
            Source::Probe(attempt) => self.handle_try(now, attempt),
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        let resolver = self.resolver.as_ref().map(|(_, _, deadline)| *deadline);
        let ending = self.ending.as_ref().and_then(Ending::deadline);
        let companions = self.companions.next_deadline();
        let hooks = self.hooks.next_deadline();
        let measuring = self.measuring.as_ref().map(Measuring::deadline);
        let succession = self.succession.next_deadline();
        let upward = self.upward.next_deadline();
        let upgrade = self.upgrade.next_deadline();
        let own = [resolver, measuring, ending, companions, hooks, succession, upgrade, upward];
        self.master.next_deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    fn handle_deadlines(&mut self, now: Monotonic) {
        self.master.handle_deadlines(now);
        self.handle_manager_deadline(now);
        self.take_charge_when_due(now);
        self.end_late_resolver(now);
        self.end_late_measurer(now);
        self.handle_upgrade_deadline(now);
        self.hooks.handle_deadlines(now);
        self.handle_ending_deadline(now);
    }

    /// Does what the machines decided, until they have nothing more to say.
    fn settle(&mut self, now: Monotonic) {
        loop {
            let actions = self.master.take_actions();
            let any = !actions.is_empty();
            // Who is answered that something was done finds it among the events.
            self.tell_happenings();
            for action in actions {
                self.act(now, action);
            }
            if !self.act_on_hooks(now) && !any {
                break;
            }
        }
        self.follow_slots();
        self.clean_up(now);
        self.flush_link();
        self.replace_program_when_calm(now);
        self.tell_happenings();
        self.tell_status();
        self.ping_manager();
        self.flush_link();
        let is_told = self.upward.is_wanted() && self.master.is_in_charge();
        if is_told || self.launcher.is_some() {
            let status = self.status();
            if is_told {
                let is_followed = self.succession.successor().is_some();
                self.upward.tell(now, status.arbiter.state, &status.workers, is_followed);
            }
            if status.arbiter.state == ArbiterState::Running {
                self.leave_foreground();
            }
        }
    }

    /// Ready: whoever waits for that in the foreground is let go.
    fn leave_foreground(&mut self) {
        let Some(launcher) = self.launcher.take() else { return };
        if let Err(error) = launcher.ready(&self.outputs, &self.master.spec().log) {
            tracing::error!("{error:#}");
        }
    }

    /// What can wait until everything urgent is done: a replacement is started before the dead are buried.
    fn clean_up(&mut self, now: Monotonic) {
        for run in std::mem::take(&mut self.to_bury) {
            self.bury(run);
        }
        if std::mem::take(&mut self.child_signal) {
            self.handle_child_signal(now);
            self.settle(now);
        }
        if let Some(workers) = &self.master.spec().workers {
            self.notify.prepare(workers.process.identity.as_ref().map(|identity| identity.uid));
        }
        self.running.write();
    }
}

/// The time.
fn now() -> Monotonic {
    Monotonic::from_boot(sys::clock::monotonic())
}

/// A number that another arbiter, or this one started anew, hardly has. It need not be secret.
fn chance() -> u64 {
    let pid = u64::from(sys::process::pid().unsigned_abs());
    let moment = sys::clock::wall().as_nanos() ^ sys::clock::monotonic().as_nanos();
    pid.rotate_left(32) ^ u64::try_from(moment & u128::from(u64::MAX)).unwrap_or(pid)
}

/// Both clocks.
fn clocks() -> Clocks {
    Clocks { now: now(), wall: sys::clock::wall() }
}
