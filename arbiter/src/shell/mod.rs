//! The loop, and everything that acts: signals, processes, descriptors, the link.
//!
//! One thread, one wait. Each turn takes in what has happened, lets the machines decide, and does what they
//! decided; nothing in here waits for anything but the reactor.
//!
//! | file | what it acts on |
//! | --- | --- |
//! | `mod` | the turn |
//! | `source` | what a readiness event is about |
//! | `act` | what the master decided |
//! | `workers` | starting and signalling workers |
//! | `children` | every child's way to exec, and its end |
//! | `custody` | what is kept for the manager |
//! | `companions` | the manager's process, and what it left |
//! | `link` | what the manager says |
//! | `notify_pool` | notify sockets for processes to come |
//! | `notices` | what processes say over their notify sockets |
//! | `upward` | what arbiter's own service manager is told |
//! | `ending` | the last steps |

mod act;
mod children;
mod companions;
mod custody;
mod ending;
mod link;
mod notices;
mod notify_pool;
mod source;
mod upward;
mod workers;

use crate::listeners::Listeners;
use crate::master::{Event, Master};
use crate::resolver::{Job, Origin};
use crate::runtime::{Control, NotifyDirectory, Pidfile};
use anyhow::Context;
use custody::Companions;
use ending::Ending;
use notify_pool::NotifyPool;
use proto::control::Clocks;
use proto::link::Pace;
use proto::spec::MasterSpec;
use source::Source;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;
use supervise::{Monotonic, RunId};
use sys::children::Children;
use sys::launch::Program;
use sys::memory::Rest;
use sys::notify::NotifySocket;
use sys::reactor::{Interest, Reactor};
use sys::signals::Signals;
use upward::Upward;

/// What is open for arbiter's whole life.
#[derive(Debug)]
pub struct Held {
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
    /// The limit of open files as arbiter was started.
    pub nofile: (u64, u64),
}

/// What a child of arbiter's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Worker,
    Manager,
    Resolver,
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
#[derive(Clone, Copy, Debug)]
struct Zombie {
    run: RunId,
    role: Role,
    /// Whether the manager lets go of it; workers are arbiter's own to let go.
    released: bool,
    /// Whether others of its group were left when that was last told.
    survivors: bool,
}

/// The acting half of arbiter.
pub struct Shell {
    reactor: Reactor,
    signals: Signals,
    origin: Origin,
    master: Master,
    children: Children<RunId>,
    roles: HashMap<RunId, Role>,
    launching: HashMap<RunId, Launching>,
    zombies: Vec<Zombie>,
    /// Children of which nothing is left, to be reaped when the turn's more urgent work is done.
    to_bury: Vec<RunId>,
    /// Whether SIGCHLD has come.
    child_signal: bool,
    notify_sockets: HashMap<RunId, NotifySocket>,
    notify: NotifyPool,
    null: OwnedFd,
    pidfile: Option<Pidfile>,
    listeners: Listeners,
    companions: Companions,
    resolver: Option<(RunId, Job, Monotonic)>,
    upward: Upward,
    nofile: (u64, u64),
    started: Monotonic,
    rest: Rest,
    ending: Option<Ending>,
}

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
const SIGWINCH: i32 = 28;

/// A turn that comes so much later than it should: arbiter was stopped, its machine paused, or both are
/// too busy to judge anybody's silence.
const LATE: Duration = Duration::from_secs(1);

impl Shell {
    /// An arbiter that has everything open and runs nothing yet.
    ///
    /// # Errors
    /// A system call for its own needs fails, or the manager's program is missing.
    pub fn new(spec: MasterSpec, origin: Origin, held: Held) -> anyhow::Result<Self> {
        let reactor = Reactor::new().context("cannot create an epoll set")?;
        let signals = Signals::install(&[
            SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGTTIN, SIGTTOU, SIGWINCH,
        ])
        .context("cannot install signal handlers")?;
        sys::signals::unblock_all().context("cannot unblock signals")?;
        reactor.register(&signals, Source::Signals.into(), Interest::READ)?;
        sys::title::set(&format!("arbiter: master [{}]", spec.name));
        act::say_doubts(&spec);
        let upward = Upward::new(&origin.environment, now());
        Ok(Self {
            reactor,
            signals,
            origin,
            master: Master::new(spec),
            children: Children::new(),
            roles: HashMap::new(),
            launching: HashMap::new(),
            zombies: Vec::new(),
            to_bury: Vec::new(),
            child_signal: false,
            notify_sockets: HashMap::new(),
            notify: NotifyPool::new(held.notify),
            null: sys::fd::null().context("cannot open /dev/null")?,
            pidfile: held.pidfile,
            listeners: held.listeners,
            companions: Companions::new(held.control, held.companions)?,
            resolver: None,
            upward,
            nofile: held.nofile,
            started: now(),
            rest: Rest::default(),
            ending: None,
        })
    }

    /// Runs until everything has ended. Returns the exit status.
    ///
    /// # Errors
    /// The reactor fails: nothing can be supervised without it.
    pub fn run(mut self) -> anyhow::Result<u8> {
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!("arbiter {version} starts, pid {}", sys::process::pid());
        for listener in self.listeners.status() {
            tracing::info!("listening on {} ({})", listener.address, listener.name);
        }
        self.start_manager(now());
        self.master.start(now());
        self.settle(now());
        loop {
            let deadline = self.next_deadline();
            let timeout = deadline.map(|deadline| deadline.since(now()));
            self.reactor.wait(timeout).context("cannot wait for events")?;
            let now = now();
            if deadline.is_some_and(|deadline| now.since(deadline) > LATE) {
                self.master.was_away(now);
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
            if let Some(code) = self.ended() {
                tracing::info!("arbiter ends with status {code}");
                return Ok(code);
            }
            // Last, so that little is touched again before the wait.
            self.rest.handle_deadline(now);
        }
    }

    fn handle(&mut self, now: Monotonic, event: sys::reactor::Event) {
        match Source::from(event.token) {
            Source::Signals => self.handle_signals(now),
            Source::Link => self.handle_link(now, event),
            Source::Child(run) => self.handle_exit(now, run),
            Source::Exec(run) => self.handle_exec(now, run),
            Source::Notify(run) => self.handle_notices(now, run),
        }
    }

    fn handle_signals(&mut self, now: Monotonic) {
        for (signal, count) in self.signals.take() {
            for _ in 0..count.min(1000) {
                match signal {
                    SIGTERM => self.master.handle(now, Event::Stop(Pace::Graceful)),
                    SIGINT | SIGQUIT => self.master.handle(now, Event::Stop(Pace::Quick)),
                    SIGHUP => self.master.handle(now, Event::Reload),
                    SIGUSR1 => self.master.handle(now, Event::ReopenLogs),
                    SIGTTIN => self.master.handle(now, Event::ScaleWorkers(1)),
                    SIGTTOU => self.master.handle(now, Event::ScaleWorkers(-1)),
                    SIGUSR2 | SIGWINCH => {
                        let name = supervise::signal_name(signal).unwrap_or_default();
                        tracing::warn!("{name} is not implemented in this version");
                    }
                    _ => {}
                }
            }
            self.child_signal |= signal == SIGCHLD;
        }
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        let resolver = self.resolver.as_ref().map(|(_, _, deadline)| *deadline);
        let ending = self.ending.as_ref().and_then(Ending::deadline);
        let companions = self.companions.next_deadline();
        let own = [resolver, ending, companions, self.upward.next_deadline(), self.rest.next_deadline()];
        self.master.next_deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    fn handle_deadlines(&mut self, now: Monotonic) {
        self.master.handle_deadlines(now);
        self.handle_manager_deadline(now);
        self.end_late_resolver(now);
        self.handle_ending_deadline(now);
    }

    /// Does what the machines decided, until they have nothing more to say.
    fn settle(&mut self, now: Monotonic) {
        loop {
            let actions = self.master.take_actions();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.act(now, action);
            }
        }
        self.clean_up(now);
        self.flush_link();
        self.tell_status();
        self.flush_link();
        if self.upward.is_wanted() {
            let status = self.status();
            self.upward.tell(now, status.arbiter.state, &status.workers);
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
    }
}

/// The time.
fn now() -> Monotonic {
    Monotonic::from_boot(sys::clock::monotonic())
}

/// Both clocks.
fn clocks() -> Clocks {
    Clocks { now: now(), wall: sys::clock::wall() }
}
