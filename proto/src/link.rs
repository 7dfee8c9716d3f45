//! What arbiter and its manager say to each other over the link, a pair of `SOCK_SEQPACKET` sockets.
//!
//! Both are always of one version: arbiter starts the manager's image that belongs to its own. One
//! datagram holds one message of at most [`MAX_DATAGRAM`] bytes; anything longer travels as a sealed memfd
//! whose descriptor comes with the message. A third party writes into the link too: a companion on its
//! way from clone to exec, whose *letter* ([`ToArbiter::Born`]) hands arbiter its pidfd before anything
//! that could be lost has happened.

use crate::control::{
    ArbiterStatus, EventKind, ListenerStatus, ReloadReport, Reply, Token, Verb, WorkersStatus,
};
use crate::spec::Log;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::unit::{killing, retrying};
use supervise::{Exit, Monotonic, RunId, State};

/// The longest datagram, in bytes.
pub const MAX_DATAGRAM: usize = 64 * 1024;
/// The most descriptors in one datagram. The kernel's limit is 253.
pub const MAX_DESCRIPTORS: usize = 200;

/// From arbiter to the manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToManager {
    /// The first message. Descriptors: the companions' specification and a [`Saved`] state, both sealed
    /// memfds, then the control socket's listener where there is one.
    Boot(Box<Boot>),
    /// Processes that outlived the manager before. Descriptors: their pidfds, in order.
    Adopt {
        /// The runs.
        runs: Vec<RunId>,
    },
    /// Which of them another process of its session counts for. Descriptors: those processes' pidfds, in order.
    AdoptMains {
        /// The runs.
        runs: Vec<RunId>,
    },
    /// Captured output that outlived the manager before. Descriptors: the pipes' read ends, in order.
    Captured {
        /// The pipes.
        pipes: Vec<CapturedPipe>,
    },
    /// Output kept in memory, likewise. Descriptors: the memory files, in order.
    Tails {
        /// What the manager called them.
        names: Vec<String>,
    },
    /// Ways into processes that outlived the manager before. Descriptors: this side's ends, in order.
    Inputs {
        /// Whose, and which.
        inputs: Vec<(RunId, Channel)>,
    },
    /// The sockets held for companions, all of them in as many messages as it takes. Descriptors: they, in order.
    Sockets {
        /// Whether they are those of the specification that comes next.
        for_candidate: bool,
        /// Whether what was told of them before is void.
        is_first: bool,
        /// What they are.
        sockets: Vec<HeldSocket>,
    },
    /// All of the state has been told.
    Begin,
    /// Where lines of the log go from now on; a file is opened anew though it is the same.
    Log(Log),
    /// arbiter's own part of the status, the newest.
    Status(Box<MasterStatus>),
    /// A process said something over its notify socket. Repeated to the next manager until acknowledged.
    Notified {
        /// Counts up.
        number: u64,
        /// Which run.
        run: RunId,
        /// What it said.
        text: String,
    },
    /// An adopted process has ended. arbiter keeps its number reserved until it is among [`Transaction::gone`].
    Exited {
        /// Which run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether others of its group are left.
        survivors: bool,
    },
    /// Everything that a process said before [`ToArbiter::PassOn`] was taken in has been passed on.
    PassedOn {
        /// Which run.
        run: RunId,
        /// As in the request.
        at_end: bool,
    },
    /// Another process of its session counts in a run's place: its end is the end, and it is signalled. Descriptor:
    /// its pidfd, or none where it is the first process itself again.
    Follow {
        /// Which run.
        run: RunId,
        /// The process.
        pid: i32,
    },
    /// Nothing is left of an adopted process's group.
    Gone {
        /// Which run.
        run: RunId,
    },
    /// The answer to a relayed request.
    Relayed {
        /// Its number.
        relay: u64,
        /// What is said. More may follow unless it is the last one.
        reply: Reply,
    },
    /// Another specification, as a sealed memfd. Descriptor: it. Before [`Self::Begin`]: the manager before may have
    /// begun to bring it into force.
    Candidate {
        /// Names the operation it is for; answers carry it, so that a late one is known as such.
        operation: u64,
        /// Where the control socket will be, for processes that are started for it.
        control_socket: Option<String>,
    },
    /// Another control socket, or other clients, from now on. Descriptor: the listener, where it was replaced by
    /// another one.
    Control {
        /// Where it is, for children and messages.
        socket: Option<String>,
        /// Whether it is another one than before. Who has connected to that is served all the same.
        replaced: bool,
        /// Users that may use it beside root and arbiter's own.
        allow_users: Vec<u32>,
        /// Groups that may.
        allow_groups: Vec<u32>,
    },
    /// The candidate is about to come into force: the manager starts what the workers will require and nothing
    /// else. Answer: [`ToArbiter::Prepared`].
    Prepare,
    /// The prepared specification is in force. Answer: [`ToArbiter::Committed`].
    Commit {
        /// Whom the change is about: of the others nothing is done or told. `None`: about all.
        only: Option<Vec<String>>,
    },
    /// It will not be: what was added for it is removed again.
    Abort,
    /// Compare the candidate with what is in force. Answer: [`ToArbiter::Committed`].
    Compare,
    /// Stop companions. Answer: [`ToArbiter::Stopped`].
    Stop {
        /// Also those that the workers require.
        required_too: bool,
        /// How patient to be.
        pace: Pace,
    },
    /// Say this number in your turn. Answer: [`ToArbiter::Pong`].
    Ping {
        /// It.
        number: u64,
    },
    /// What happened to arbiter's own, since somebody watches. Repeated to the next manager until it is counted as
    /// taken in ([`EventCount`]).
    Happened {
        /// The number of the last one. They are numbered by themselves, without gaps; numbers that are missing were
        /// not kept.
        last: u64,
        /// The newest, oldest first; none right after somebody has begun to watch.
        happenings: Vec<Happening>,
    },
    /// Answer what is owed and exit; the companions run on.
    Retire,
}

/// Something that happened to arbiter, a worker, the manager: an event that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// When, since the Unix epoch.
    pub time: Duration,
    /// To whom.
    pub subject: String,
    /// What.
    pub kind: EventKind,
}

/// How far events have been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// The number of the last event.
    pub last: u64,
    /// The number of the last [`Happening`] that is among them.
    pub taken: u64,
}

/// A listening socket held for a companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSocket {
    /// The companion's full name.
    pub name: String,
    /// The address as bound, as it is told to children.
    pub address: String,
}

/// How patient a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pace {
    /// Everything gets its own timeout.
    Graceful,
    /// At most five seconds a level.
    Quick,
    /// SIGKILL.
    Force,
}

/// What a manager needs to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// arbiter's process.
    pub arbiter: i32,
    /// Where the control socket is, for children and messages.
    pub control_socket: Option<String>,
    /// Whether the control socket's listener came along.
    pub has_listener: bool,
    /// Users that may use it beside root and arbiter's own.
    pub allow_users: Vec<u32>,
    /// Groups that may.
    pub allow_groups: Vec<u32>,
    /// The directory for notify sockets.
    pub notify_directory: String,
    /// How to log.
    pub log: Log,
    /// The first free run number.
    pub next_run: u64,
    /// How often the manager was replaced.
    pub restarts: u32,
    /// The stop under way, if there is one: nothing is to be started that it would stop. It is asked for again
    /// after the beginning.
    pub stop: Option<(bool, Pace)>,
    /// How far the managers before have counted events.
    pub events: EventCount,
    /// Whether somebody watched events, who will come back.
    pub is_watched: bool,
    /// arbiter's soft limit of open descriptors as it was started, which children get back.
    pub nofile: Option<(u64, u64)>,
}

/// What the managers before left with arbiter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Their records.
    pub records: Vec<Record>,
    /// Processes that still have something of them left.
    pub processes: Vec<SavedProcess>,
    /// Outcomes of the newest requests.
    pub outcomes: Vec<(Token, Vec<u8>)>,
}

/// One companion's record: opaque to arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Full name.
    pub name: String,
    /// Its content; `None` removes it.
    pub content: Option<Vec<u8>>,
}

/// A process that a manager started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedProcess {
    /// Which run.
    pub run: RunId,
    /// Of which companion.
    pub companion: String,
    /// Of which slot.
    pub slot: u32,
    /// The process, which leads its group; `None` when it never came into being.
    pub pid: Option<i32>,
    /// The one of its session that counts in its place.
    pub main: Option<i32>,
    /// How its main process ended, if it has.
    pub exit: Option<Exit>,
    /// Whether the manager before has reaped it: nothing is left of it, and its number may be another's.
    pub is_reaped: bool,
    /// Why it could not become its program, if so.
    pub failure: Option<(u32, i32)>,
}

impl SavedProcess {
    /// The process whose end is the end.
    #[must_use]
    pub fn main_pid(&self) -> Option<i32> {
        self.main.or(self.pid)
    }
}

/// The read end of a pipe into which processes write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedPipe {
    /// The run it was made for, which may be gone.
    pub run: RunId,
    /// Which of its streams.
    pub stream: OutputStream,
    /// Of which companion.
    pub companion: String,
    /// Of which slot.
    pub slot: u32,
}

/// A way into a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Its standard input, a pipe.
    Stdin,
    /// The stream of that name, which is a way out as well.
    Stream(String),
}

/// An output stream that is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutputStream {
    /// Standard output, and what goes together with it.
    Stdout,
    /// Standard error by itself.
    Stderr,
}

/// From the manager to arbiter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToArbiter {
    /// A letter: this run's process exists. Sent by the process itself before exec; the kernel names its
    /// pid. Descriptors: its own pidfd, then this side's ends of the ways into it, then the read ends of the
    /// pipes of its captured output.
    Born {
        /// Which run.
        run: RunId,
        /// The ways into it.
        inputs: Vec<Channel>,
        /// Which of its output streams are captured.
        captured: Vec<OutputStream>,
    },
    /// A letter: this run's process could not become its program and is about to exit.
    Unborn {
        /// Which run.
        run: RunId,
        /// At which stage.
        stage: u32,
        /// With which error number.
        errno: i32,
    },
    /// What is about to be done and what has become known, together or not at all.
    /// Descriptors: one notify socket for each intent to spawn, in order.
    Transaction(Transaction),
    /// Nobody writes to a captured pipe any more, and all of it has been taken out; or its companion is removed.
    Drained {
        /// The run it was made for.
        run: RunId,
        /// Which of its streams.
        stream: OutputStream,
    },
    /// Output will be kept in memory. Descriptor: the memory file.
    Tail {
        /// Its name; what had that name before is dropped.
        name: String,
    },
    /// A memory file is of no use any more.
    DropTail {
        /// Its name.
        name: String,
    },
    /// Everything up to this number that was [`ToManager::Notified`] is in the records.
    Acknowledge {
        /// The number.
        number: u64,
    },
    /// Nothing more is written to a run's standard input: it is to end.
    CloseInput {
        /// Which run.
        run: RunId,
    },
    /// The answer to [`ToManager::Ping`].
    Pong {
        /// The number asked for.
        number: u64,
    },
    /// A request that is arbiter's to answer.
    Relay {
        /// Its number.
        relay: u64,
        /// Whether the answer comes when the thing is done.
        wait: bool,
        /// What is asked.
        verb: Verb,
    },
    /// Whether all that the workers require is ready, and if not, what is waited for.
    Required {
        /// `None` when everything is.
        waiting_for: Option<String>,
    },
    /// The answer to [`ToManager::Prepare`].
    Prepared {
        /// Of which operation.
        operation: u64,
        /// What the workers will require is ready: whether the commit will change any companion. Or why it is not.
        result: Result<bool, String>,
    },
    /// The answer to [`ToManager::Commit`] and [`ToManager::Compare`].
    Committed {
        /// Of which operation.
        operation: u64,
        /// What was, or would be, changed.
        report: ReloadReport,
    },
    /// The answer to [`ToManager::Stop`].
    Stopped {
        /// As in the request.
        required_too: bool,
        /// Whether anything had to be killed.
        killed: bool,
    },
    /// Whether somebody watches: [`ToManager::Happened`] is told only then.
    Watch(bool),
    /// For the hook of that name, and sent only where there is one. Nothing keeps it: what happens while the
    /// link is full, or in the moment of a manager's death, is not told.
    CompanionEvent(CompanionChange),
    /// A process seems to be silent, or has ended: whatever lies unread in its notify socket is wanted before that
    /// is believed, for arbiter may have been away, and another process may count in its place. Answer:
    /// [`ToManager::PassedOn`].
    PassOn {
        /// Which run.
        run: RunId,
        /// Whether it has ended.
        at_end: bool,
    },
    /// A critical companion was given up: arbiter stops. Said again by the next manager.
    CriticalLost {
        /// Which process, as log lines name it.
        name: String,
        /// Why, as a sentence without its subject.
        reason: String,
    },
}

/// A companion's process has come into another state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionChange {
    /// The companion's full name.
    pub name: String,
    /// Which of its processes.
    pub slot: u32,
    /// Its process, where there is one, or was one until now.
    pub pid: Option<i32>,
    /// The state before.
    pub before: State,
    /// The state now.
    pub after: State,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// What is about to be done and what has become known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Changed records.
    pub records: Vec<Record>,
    /// Processes that will be started.
    pub spawns: Vec<SpawnIntent>,
    /// Ends of the manager's own children, before they are reaped.
    pub exits: Vec<(RunId, Exit)>,
    /// Runs of which nothing is left, and whose ends the records know. arbiter forgets them, and reaps those that
    /// were adopted.
    pub gone: Vec<RunId>,
    /// Outcomes of requests.
    pub outcomes: Vec<(Token, Vec<u8>)>,
    /// How far events have been counted: told before any of them is.
    pub events: Option<EventCount>,
}

impl Transaction {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.spawns.is_empty()
            && self.exits.is_empty()
            && self.gone.is_empty()
            && self.outcomes.is_empty()
            && self.events.is_none()
    }
}

/// A process that will be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnIntent {
    /// As this run.
    pub run: RunId,
    /// Of this companion.
    pub companion: String,
    /// In this slot.
    pub slot: u32,
    /// The run whose place it takes. arbiter refuses to record two runs in one slot.
    pub replaces: Option<RunId>,
}

/// arbiter's own part of the status. Ages are told as moments, so that it need not be sent again as time
/// goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterStatus {
    /// The master; its uptime is not filled in.
    pub arbiter: ArbiterStatus,
    /// When it was started.
    pub started: Monotonic,
    /// How often the manager was replaced.
    pub manager_restarts: u32,
    /// Listening sockets.
    pub listeners: Vec<ListenerStatus>,
    /// The workers; ages count from `taken`, and reasons name no times.
    pub workers: WorkersStatus,
    /// Processes of arbiter's own that come and go, and are no strays: commands of checks, hooks.
    pub helpers: Vec<i32>,
    /// How long after `taken` something harsher happens to workers, by their pids; their state says what.
    pub escalations: Vec<(i32, Duration)>,
    /// When this was taken.
    pub taken: Monotonic,
}

/// What ps(1) shows of the manager of an arbiter with this name.
#[must_use]
pub fn manager_title(name: &str) -> String {
    format!("arbiter: companion manager [{name}]")
}

impl MasterStatus {
    /// The same at `now`: everything in it is older, and what is tried again is tried sooner.
    #[must_use]
    pub fn at(&self, now: Monotonic) -> Self {
        let age = now.since(self.taken);
        let mut later = self.clone();
        later.arbiter.uptime = now.since(self.started);
        later.taken = now;
        for worker in &mut later.workers.processes {
            let process = &mut worker.process;
            worker.heartbeat_age = worker.heartbeat_age.map(|before| before + age);
            process.uptime = process.uptime.map(|before| before + age);
            process.retry_in = process.retry_in.map(|before| before.saturating_sub(age));
            let escalation = later.escalations.iter_mut().find(|(pid, _)| process.pid == Some(*pid));
            if let Some((_, in_)) = escalation {
                *in_ = in_.saturating_sub(age);
                let reason = process.reason.as_deref().filter(|_| process.state == State::Stopping);
                process.reason = reason.map(|reason| killing(reason, *in_)).or(process.reason.take());
            }
            if let Some((reason, retry_in)) = process.reason.as_deref().zip(process.retry_in) {
                process.reason = Some(retrying(reason, retry_in));
            }
        }
        later
    }

    /// Whether `later` says the same, only older.
    #[must_use]
    pub fn is_same_but_older(&self, later: &Self) -> bool {
        // Whether a worker's time is running out is told by its state.
        let ageless = |status: &Self| Self {
            workers: ageless(&status.workers),
            escalations: Vec::new(),
            taken: later.taken,
            ..status.clone()
        };
        ageless(self) == ageless(later)
    }
}

/// The workers without what changes by itself as time goes by.
fn ageless(workers: &WorkersStatus) -> WorkersStatus {
    let mut workers = workers.clone();
    for worker in &mut workers.processes {
        worker.heartbeat_age = None;
        worker.process.uptime = None;
        worker.process.retry_in = None;
        if let Some(exit) = &mut worker.process.last_exit {
            exit.at = Duration::ZERO;
        }
    }
    workers
}
