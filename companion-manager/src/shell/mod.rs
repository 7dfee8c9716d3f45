//! Performs what the table decides, and tells the table what happens.
//!
//! | room | what it does |
//! | --- | --- |
//! | `source` | what the loop can be woken by |
//! | `turn` | records, facts and intents go out, then effects are performed |
//! | `processes` | ends of processes: peek, tell, reap |
//! | `spawn` | starting one |
//! | `link` | what arbiter says |
//! | `requests` | what clients ask |
//! | `outcomes` | answers that outlive a connection, and requests that are arbiter's to answer |
//! | `status` | everything, for a person |

mod link;
mod outcomes;
mod processes;
mod requests;
mod source;
mod spawn;
mod status;
mod turn;

pub use source::Source;

use crate::outbox::Outbox;
use crate::server::{Access, Server};
use crate::table::{Input, Table};
use outcomes::Outcomes;
use processes::Processes;
use proto::link::{Boot, MasterStatus, Transaction};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use supervise::Monotonic;
use sys::launch::Environment;
use sys::memory::Rest;
use sys::reactor::{Interest, Reactor};
use sys::seqpacket::Link;
use sys::signals::Signals;
use turn::Effect;

/// How long a manager that is replaced may take to write what it owes to clients.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

/// Why the manager goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Not at all.
    No,
    /// It was told to; at the latest then.
    Retired(Monotonic),
    /// arbiter has died: as soon as nothing runs any more.
    Orphaned,
}

/// A manager at work.
pub struct Shell {
    reactor: Reactor,
    link: Link,
    /// Whether the reactor was asked to tell when the link has room.
    awaiting_room: bool,
    signals: Signals,
    boot: Boot,
    environment: Environment,
    null: OwnedFd,
    table: Table,
    processes: Processes,
    outbox: Outbox<Effect>,
    /// Ends that go into the next transaction.
    facts: Transaction,
    outcomes: Outcomes,
    server: Server,
    master: MasterStatus,
    leaving: Leaving,
    /// A specification that something is about to be done with, and the operation it is for.
    candidate: Option<(u64, Option<OwnedFd>)>,
    rest: Rest,
}

/// What a manager begins with.
pub struct Beginning {
    /// Its end of the link.
    pub link: Link,
    /// The loop's set.
    pub reactor: Reactor,
    /// Installed handlers.
    pub signals: Signals,
    /// The environment of its children, as arbiter was started.
    pub environment: Environment,
    /// What arbiter said first.
    pub boot: Boot,
    /// The control socket.
    pub control: Option<sys::control::ControlListener>,
    /// The state to go on from.
    pub saved: proto::link::Saved,
    /// What to look after.
    pub spec: proto::spec::CompanionsSpec,
    /// arbiter's own part of the status.
    pub master: MasterStatus,
    /// Processes that outlived the manager before.
    pub adopted: Vec<(supervise::RunId, OwnedFd)>,
}

/// The time.
#[must_use]
pub fn now() -> Monotonic {
    Monotonic::from_boot(sys::clock::monotonic())
}

impl Shell {
    /// Takes up the work.
    ///
    /// # Errors
    ///
    /// When the system refuses what the loop needs.
    pub fn begin(beginning: Beginning) -> io::Result<Self> {
        let Beginning { link, reactor, signals, environment, boot, control, saved, spec, master, adopted } =
            beginning;
        reactor.register(&signals, Source::Signals.token(), Interest::READ)?;
        let access = Access::new(boot.allow_users.clone(), boot.allow_groups.clone());
        let server =
            Server::new(control, access, Source::Listener.token(), |client| Source::Client(client).token());
        let past = crate::table::Past {
            saved: &saved,
            next_run: boot.next_run,
            restarts: boot.restarts,
            stop: boot.stop,
            describe: &spawn::describe,
            has_group: &processes::has_group,
        };
        let table = Table::restore(spec, past, now());
        let mut shell = Self {
            awaiting_room: false,
            null: sys::fd::null()?,
            processes: Processes::adopting(&saved, adopted),
            outbox: Outbox::default(),
            facts: Transaction::default(),
            outcomes: Outcomes::restore(&saved, boot.restarts),
            master,
            leaving: Leaving::No,
            candidate: None,
            rest: Rest::default(),
            reactor,
            link,
            signals,
            boot,
            environment,
            table,
            server,
        };
        shell.server.listen(&shell.reactor);
        shell.release_ended(&saved);
        shell.turn();
        Ok(shell)
    }

    /// Waits for something to happen and does all that follows. `false`: the manager is done.
    ///
    /// # Errors
    ///
    /// When the loop itself cannot go on.
    pub fn step(&mut self) -> io::Result<bool> {
        let timeout = self.next_deadline().map(|deadline| deadline.since(now()));
        self.reactor.wait(timeout)?;
        let events: Vec<_> = self.reactor.events().collect();
        if !events.is_empty() {
            self.rest.stir(now());
        }
        for event in events {
            match Source::of(event.token) {
                Some(Source::Link) => self.handle_link(event.readable),
                Some(Source::Signals) => self.handle_signals(),
                Some(Source::Listener) => self.server.accept(&self.reactor, now()),
                Some(Source::Process(run)) => self.handle_end(run),
                Some(Source::Progress(run)) => self.handle_progress(run),
                Some(Source::Client(client)) => {
                    self.server.serve(client, event.readable, &self.reactor, now());
                }
                None => {}
            }
            self.turn();
        }
        let now = now();
        if self.table.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.table.handle(Input::Deadline, now);
        }
        self.server.handle_deadlines(&self.reactor, now);
        self.server.serve_waiting(&self.reactor, now);
        self.turn();
        let done = self.is_done(now);
        // Last, so that little is touched again before the wait.
        self.rest.handle_deadline(now);
        Ok(!done)
    }

    fn next_deadline(&mut self) -> Option<Monotonic> {
        let retired = match self.leaving {
            Leaving::Retired(at) => Some(at),
            Leaving::No | Leaving::Orphaned => None,
        };
        let own = [self.server.next_deadline(now()), retired, self.rest.next_deadline()];
        self.table.next_deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    fn is_done(&self, now: Monotonic) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Retired(at) => at <= now || (self.outbox.is_empty() && self.server.is_drained()),
            Leaving::Orphaned => self.table.is_empty() && self.outbox.is_empty(),
        }
    }

    fn handle_signals(&mut self) {
        for (signal, _) in self.signals.take() {
            if signal == SIGCHLD {
                self.handle_children();
            } else {
                let name = supervise::signal_name(signal).unwrap_or("a signal");
                tracing::warn!("{name} ignored: the companion manager stops with arbiter, send it there");
            }
        }
    }

    /// arbiter has died: everything is stopped, and then the manager goes too.
    fn orphan(&mut self) {
        if self.leaving == Leaving::Orphaned {
            return;
        }
        tracing::error!("arbiter has died: stopping all companions");
        self.leaving = Leaving::Orphaned;
        self.outbox.sever();
        if let Err(error) = self.reactor.deregister(&self.link) {
            tracing::debug!("the link could not be taken out of the loop: {error}");
        }
        self.server.retire(&self.reactor);
        self.watch_adopted();
        self.table.handle(Input::Orphaned, now());
    }

    fn retire(&mut self) {
        self.leaving = Leaving::Retired(now() + RETIRE_WITHIN);
        self.server.retire(&self.reactor);
    }
}

/// Signals that a stray hand or a terminal may send and that must not end the manager, and SIGCHLD.
pub const SIGNALS: [i32; 7] = [1, 2, 3, 10, 12, 15, SIGCHLD];

const SIGCHLD: i32 = 17;
