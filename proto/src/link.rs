//! What arbiter and its manager say to each other over the link, a pair of `SOCK_SEQPACKET` sockets.
//!
//! Both are always of one version: arbiter starts the manager's image that belongs to its own. One
//! datagram holds one message of at most [`MAX_DATAGRAM`] bytes; anything longer travels as a sealed memfd
//! whose descriptor comes with the message. A third party writes into the link too: a companion on its
//! way from clone to exec, whose *letter* ([`ToArbiter::Born`]) hands arbiter its pidfd before anything
//! that could be lost has happened.

use crate::control::{ArbiterStatus, ListenerStatus, ReloadReport, Reply, Token, Verb, WorkersStatus};
use crate::spec::Log;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use supervise::unit::retrying;
use supervise::{Exit, Monotonic, RunId};

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
    /// All of the state has been told.
    Begin,
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
    /// An adopted process has ended. arbiter keeps its number reserved until [`ToArbiter::Release`].
    Exited {
        /// Which run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether others of its group are left.
        survivors: bool,
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
    /// Another specification, as a sealed memfd. Descriptor: it.
    Candidate {
        /// Names the operation it is for; answers carry it, so that a late one is known as such.
        operation: u64,
    },
    /// The candidate is about to come into force: the manager starts what the workers will require and nothing
    /// else. Answer: [`ToArbiter::Prepared`].
    Prepare,
    /// The prepared specification is in force. Answer: [`ToArbiter::Committed`].
    Commit,
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
    /// Answer what is owed and exit; the companions run on.
    Retire,
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
    /// The process; `None` when it never came into being.
    pub pid: Option<i32>,
    /// How its main process ended, if it has.
    pub exit: Option<Exit>,
    /// Why it could not become its program, if so.
    pub failure: Option<(u32, i32)>,
}

/// From the manager to arbiter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToArbiter {
    /// A letter: this run's process exists. Sent by the process itself before exec; the kernel names its
    /// pid. Descriptors: its own pidfd.
    Born {
        /// Which run.
        run: RunId,
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
    /// Everything up to this number that was [`ToManager::Notified`] is in the records.
    Acknowledge {
        /// The number.
        number: u64,
    },
    /// The manager has no more use for an adopted run's group: it may be reaped once it is empty, which
    /// arbiter answers with [`ToManager::Gone`].
    Release {
        /// Which run.
        run: RunId,
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
        /// Whether what the workers will require is ready, or why not.
        result: Result<(), String>,
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
    /// Runs of which nothing is left.
    pub gone: Vec<RunId>,
    /// Outcomes of requests.
    pub outcomes: Vec<(Token, Vec<u8>)>,
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
    /// When this was taken.
    pub taken: Monotonic,
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
            if let Some((reason, retry_in)) = process.reason.as_deref().zip(process.retry_in) {
                process.reason = Some(retrying(reason, retry_in));
            }
        }
        later
    }

    /// Whether `later` says the same, only older.
    #[must_use]
    pub fn is_same_but_older(&self, later: &Self) -> bool {
        Self { workers: ageless(&self.workers), taken: later.taken, ..self.clone() }
            == Self { workers: ageless(&later.workers), ..later.clone() }
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
