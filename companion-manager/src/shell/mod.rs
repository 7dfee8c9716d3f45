//! Performs what the table decides, and tells the table what happens.
//!
//! | room | what it does |
//! | --- | --- |
//! | `source` | what the loop can be woken by |
//! | `turn` | records, facts and intents go out, then effects are performed |
//! | `processes` | ends of processes: peek, tell, reap |
//! | `spawn` | starting one |
//! | `inputs` | writing to standard inputs and streams |
//! | `streams` | what comes out of streams |
//! | `sockets` | what is held for companions to listen on |
//! | `probes` | asking companions how they are |
//! | `captures` | captured output: its pipes, and who is shown it |
//! | `memory` | how much memory they use |
//! | `link` | what arbiter says |
//! | `requests` | what clients ask |
//! | `events` | telling those who watch |
//! | `outcomes` | answers that outlive a connection, and requests that are arbiter's to answer |
//! | `stats` | what processes use |
//! | `status` | everything, for a person |
//! | `waiting` | telling those who wait how far it is |

mod captures;
mod events;
mod inputs;
mod link;
mod memory;
mod outcomes;
mod probes;
mod processes;
mod requests;
mod sockets;
mod source;
mod spared;
mod spawn;
mod stats;
mod status;
mod streams;
mod turn;
mod waiting;

pub use sockets::Sockets;
pub use source::Source;

use crate::capture::Hand;
use crate::feed::Feed;
use crate::outbox::Outbox;
use crate::server::{Access, Server};
use crate::table::{Input, Table};
use captures::Readers;
use inputs::Inputs;
use memory::Measuring;
use outcomes::Outcomes;
use processes::Processes;
use proto::link::{Boot, Channel, EventCount, MasterStatus, Transaction};
use spared::Spared;
use stats::Statistics;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use streams::Streams;
use supervise::Monotonic;
use supervise::signal::SIGCHLD;
use sys::cgroup::OutOfMemory;
use sys::launch::Environment;
use sys::memory::Rest;
use sys::probe::Tries;
use sys::reactor::{Interest, Reactor};
use sys::seqpacket::Link;
use sys::signals::Signals;
use turn::Effect;
use waiting::Waiting;

/// How long a manager that is replaced may take to write what it owes to clients.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

/// How long processes are looked after, and how long what was decided is performed, before arbiter and clients have
/// their turn again: both wait for at most a few of these, since the kernel tells of what is ready in turns.
const SLICE: Duration = Duration::from_millis(5);

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
    sockets: Sockets,
    inputs: Inputs,
    streams: Streams,
    tries: Tries,
    measuring: Option<Measuring>,
    out_of_memory: OutOfMemory,
    outbox: Outbox<Effect>,
    /// Ends that go into the next transaction.
    facts: Transaction,
    outcomes: Outcomes,
    waiting: Waiting,
    feed: Feed,
    statistics: Statistics,
    /// How far arbiter was told that events are counted.
    counted: EventCount,
    server: Server,
    master: MasterStatus,
    spared: Spared,
    leaving: Leaving,
    /// When what was decided waits for the next turn of the loop.
    slice_ends: Monotonic,
    /// A specification that something is about to be done with, and the operation it is for.
    candidate: Option<(u64, Option<OwnedFd>)>,
    /// Where the control socket will be with it.
    candidate_socket: Option<String>,
    captures: Hand,
    readers: Readers,
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
    /// Those that count in the place of one of them.
    pub mains: Vec<(supervise::RunId, OwnedFd)>,
    /// Captured output that outlived it.
    pub captured: Vec<(proto::link::CapturedPipe, OwnedFd)>,
    /// Output that it kept in memory, by the names it gave.
    pub tails: Vec<(String, OwnedFd)>,
    /// This side's ends of the ways into them.
    pub inputs: Vec<((supervise::RunId, Channel), OwnedFd)>,
    /// What is held for companions to listen on.
    pub sockets: Sockets,
    /// What the manager before may have begun to bring into force.
    pub coming: Option<Coming>,
}

/// A specification that is about to come into force.
pub struct Coming {
    /// What to look after then.
    pub spec: proto::spec::CompanionsSpec,
    /// Where the control socket will be.
    pub control_socket: Option<String>,
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
        let Beginning { link, reactor, signals, environment, boot, control, .. } = beginning;
        let Beginning { saved, spec, master, adopted, mains, captured, .. } = beginning;
        let Beginning { tails, inputs, sockets, coming, .. } = beginning;
        reactor.register(&signals, Source::Signals.token(), Interest::READ)?;
        let access = Access::new(boot.allow_users.clone(), boot.allow_groups.clone());
        let server =
            Server::new(control, access, Source::Listener.token(), |client| Source::Client(client).token());
        let survivors = processes::with_survivors(&saved);
        let past = crate::table::Past {
            saved: &saved,
            next_run: boot.next_run,
            restarts: boot.restarts,
            stop: boot.stop,
            describe: &spawn::describe,
            survivors: &survivors,
            coming: coming.as_ref().map(|coming| &coming.spec),
        };
        sys::fail_point::reach("manager-adopting");
        let table = Table::restore(spec, past, now());
        sys::fail_point::reach("manager-adopted");
        let mut spared = Spared::new(boot.arbiter);
        spared.learn(&master);
        let mut shell = Self {
            spared,
            awaiting_room: false,
            null: sys::fd::null()?,
            processes: Processes::adopting(&saved, adopted, mains),
            sockets,
            inputs: Inputs::new(inputs),
            streams: Streams::default(),
            tries: Tries::default(),
            measuring: None,
            out_of_memory: OutOfMemory::watch(),
            outbox: Outbox::default(),
            facts: Transaction::default(),
            outcomes: Outcomes::restore(&saved, boot.restarts),
            waiting: Waiting::default(),
            counted: boot.events,
            statistics: Statistics::default(),
            feed: Feed::resume(boot.events, boot.is_watched, now()),
            master,
            leaving: Leaving::No,
            slice_ends: now() + SLICE,
            candidate: None,
            candidate_socket: coming.and_then(|coming| coming.control_socket),
            captures: Hand::new(Source::Captures.token()),
            readers: Readers::default(),
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
        let tails = shell.adopt_streams(tails);
        shell.adopt_captured(captured, tails);
        shell.forget_ended(&saved, &survivors);
        shell.notice_ending();
        shell.turn();
        Ok(shell)
    }

    /// Waits for something to happen and does all that follows. `false`: the manager is done.
    ///
    /// # Errors
    ///
    /// When the loop itself cannot go on.
    pub fn step(&mut self) -> io::Result<bool> {
        let deadline = if self.is_behind() { Some(now()) } else { self.next_deadline() };
        self.rest.wait(&mut self.reactor, deadline)?;
        self.look_anew();
        if supervise::heartbeat::was_away(deadline, now()) {
            self.table.handle(Input::WasAway, now());
        }
        let events = self.reactor.events().map(|event| (Source::of(event.token), event.readable));
        let (processes, others): (Vec<_>, Vec<_>) =
            events.partition(|(source, _)| source.is_some_and(Source::is_a_process));
        let begun = now();
        self.slice_ends = begun + SLICE;
        if !(processes.is_empty() && others.is_empty()) {
            self.rest.stir(begun);
        }
        for (source, readable) in others.into_iter().chain(processes) {
            // Where a thousand die at once, what is left of them is told again by the next wait.
            let is_a_process = source.is_some_and(Source::is_a_process);
            if is_a_process && now() > self.slice_ends {
                break;
            }
            match source {
                Some(Source::Link) => self.handle_link(readable),
                Some(Source::Arbiter) => self.arbiter_ended(),
                Some(Source::Signals) => self.handle_signals(),
                Some(Source::Listener) => self.server.accept(&self.reactor, now()),
                Some(Source::Process(run)) => self.handle_end(run),
                Some(Source::Progress(run)) => self.handle_progress(run),
                Some(Source::Usage) => self.usage_ended(),
                Some(Source::Input(number)) => self.input_stirs(number, readable),
                Some(Source::Probe(attempt)) => self.handle_try(attempt),
                Some(Source::Measurer) => self.measurer_ended(),
                Some(Source::Captures) => self.handle_captures(),
                Some(Source::Client(client)) => {
                    self.server.serve(client, readable, &self.reactor, now());
                }
                None => {}
            }
            // What becomes of many processes at once is told at once.
            if !is_a_process {
                self.turn();
            }
        }
        let now = now();
        // However long the others took, what was decided goes on.
        self.slice_ends = now + SLICE;
        if self.table.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.table.handle(Input::Deadline, now);
        }
        self.end_late_measurer();
        self.feed.handle_deadline(now);
        self.end_late_usage(now);
        self.give_up_writing(now);
        self.give_up_on_arbiter(now);
        self.server.handle_deadlines(&self.reactor, now);
        self.server.serve_waiting(&self.reactor, now);
        self.serve_readers();
        self.serve_streams();
        self.tell_those_who_wait();
        self.turn();
        Ok(!self.is_done(now))
    }

    fn next_deadline(&mut self) -> Option<Monotonic> {
        let retired = match self.leaving {
            Leaving::Retired(at) => Some(at),
            Leaving::No | Leaving::Orphaned => None,
        };
        let measuring = self.measuring.as_ref().and_then(Measuring::deadline);
        let own = [
            self.server.next_deadline(now()),
            retired,
            measuring,
            self.feed.next_deadline(),
            self.statistics.next_deadline(),
            self.inputs.next_deadline(),
            self.waiting.next_deadline(),
            self.spared.next_deadline(),
        ];
        self.table.next_deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    fn is_done(&mut self, now: Monotonic) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Retired(at) => {
                let is_flushed = self.captures.is_flushed(&self.reactor);
                at <= now || (is_flushed && self.outbox.is_empty() && self.server.is_drained())
            }
            Leaving::Orphaned => {
                let is_over = self.table.is_empty() && self.outbox.is_empty() && !self.spared.is_awaiting();
                is_over && self.captures.is_flushed(&self.reactor)
            }
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
        self.believe_ends();
        self.await_end_of_arbiter();
        self.table.handle(Input::Orphaned, now());
    }

    fn retire(&mut self) {
        self.leaving = Leaving::Retired(now() + RETIRE_WITHIN);
        self.server.retire(&self.reactor);
    }
}

/// Signals that a stray hand or a terminal may send and that must not end the manager, and SIGCHLD.
pub const SIGNALS: [i32; 7] = [1, 2, 3, 10, 12, 15, SIGCHLD];
