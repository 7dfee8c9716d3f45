//! One supervised process: what it should be, what it is, and what to do about the difference.
//!
//! A unit is a slot that holds at most one run. Two words describe it: *desired* ([`Desired`], what the
//! operator or the configuration wants) and the *phase* ([`Phase`], what is). Inputs change one of them;
//! the unit then answers with [`Action`]s for its caller to perform. It never looks at a clock: each
//! input comes in a [`Turn`] that carries the time.
//!
//! # The table
//!
//! | phase | input | next phase | actions |
//! | --- | --- | --- | --- |
//! | Stopped, Exited, Fatal, Backoff, Waiting | `start`, `restart` | Starting, or Waiting while the gate is closed | spawn |
//! | Waiting | `reconcile` with an open gate | Starting | spawn |
//! | Backoff | its time has come | Starting or Waiting | spawn |
//! | Waiting, Backoff, Exited, Fatal | `stop` | Stopped | |
//! | Starting | told ready, or alive long enough | Running | |
//! | Starting | start timeout | Stopping (unready), or Running where the policy says so | abort signal |
//! | Starting, Running | `stop` | Stopping (requested), desired down | stop signal |
//! | Starting, Running | `restart` | Stopping (requested), desired up | stop signal |
//! | Running | `recycle` | Stopping (requested), desired up | stop signal |
//! | Starting, Running | `fail` (heartbeat, health check) | Stopping (unhealthy) | abort signal |
//! | Starting, Running | says that it leaves | Stopping (leaves), desired as before | |
//! | Starting, Running | exit, nothing left of the group | as *ended* | |
//! | Starting, Running | exit, group members left | Stopping (died) | kill |
//! | Stopping | main process exits, group members left | Stopping | stop signal to the group |
//! | Stopping | deadline | Stopping (killed) | kill |
//! | Stopping (killed) | ten more seconds | Stopping (stuck) | |
//! | Stopping | `stop` with a shorter ladder | Stopping, earlier deadline | its signal, where it is another |
//! | Starting, Stopping (requested, leaves) | asks for more time | the same, later deadline, at most three times the timeout | |
//! | Stopping | `start` | Stopping, desired up | |
//! | Stopping | group empty | as *ended* | |
//!
//! One that leaves by itself is not signalled, also when it is asked to stop then; its end is one that nobody
//! asked for.
//!
//! *Ended*: with desired down, Stopped. With desired up: after a requested end Starting at once; an end
//! that the restart policy does not follow up, Exited; after a healthy run Starting at once; otherwise
//! Backoff, for a time that doubles. One that has ended so often that it flaps ([`crate::Flapping`]) waits
//! longer, and after so many flaps in a row it is Fatal.
//!
//! A run that could not be spawned ends the moment it began. A message about a run that is not the
//! current one is ignored: that is what [`RunId`] is for.

mod change;
mod drive;
mod view;

use crate::flapping::Flaps;
use crate::{Exit, Monotonic, RunId, RunIds};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use change::{Before, Change};
pub(crate) use view::seconds;
pub use view::{State, killing, ordinal, retrying};

/// How long after SIGKILL a process may still be there before it is reported and no longer waited for.
/// Only an uninterruptible sleep in the kernel takes that long.
pub const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The most characters of a remark: it is part of a record.
pub const REMARK_MAX: usize = 160;
/// How many times its timeout a process that asks for more time may take to become ready or to leave, from
/// the beginning of that.
pub const MOST_EXTENDED: u32 = 3;

/// What should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desired {
    /// A process should run.
    Up,
    /// None should.
    Down,
}

/// What is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No process: never started, or stopped on request.
    Stopped,
    /// No process yet: something it comes after is not ready.
    Waiting,
    /// No process for now: the last one ended badly.
    Backoff {
        /// When it is tried again.
        until: Monotonic,
    },
    /// A process that is not ready yet.
    Starting {
        /// When being alive makes it ready.
        alive_at: Option<Monotonic>,
        /// When it has taken too long.
        timeout_at: Monotonic,
    },
    /// A ready process.
    Running,
    /// A process, or what is left of its group, that is being ended.
    Stopping {
        /// Why.
        cause: Cause,
        /// How far that has come.
        step: Step,
        /// The signal that asks, kept for what is left of the group.
        signal: i32,
    },
    /// No process: the last one ended and the policy says no more.
    Exited {
        /// Whether it ended with success.
        success: bool,
    },
    /// No process: given up.
    Fatal,
}

/// Why a run is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The operator, a reload, or a stop of the whole asked for it: neither failure nor flapping.
    Requested,
    /// It was not ready in time.
    Unready,
    /// It was ready and stopped answering.
    Unhealthy,
    /// It said that it leaves, by itself.
    Leaves,
    /// The main process has gone by itself and left others of its group behind.
    Died,
    /// It went by the very signal that an operator had just sent it: neither failure nor flapping.
    Signalled,
}

/// How far the ending of a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Asked to leave.
    Asked {
        /// When SIGKILL follows.
        deadline: Monotonic,
        /// Whether the group was asked together with the main process.
        group: bool,
    },
    /// SIGKILL has been sent to the group.
    Killed {
        /// When it is reported as impossible to kill.
        give_up: Monotonic,
    },
    /// Still there long after SIGKILL.
    Stuck,
}

/// The current run of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which one.
    pub id: RunId,
    /// Its process, once there is one.
    pub pid: Option<i32>,
    /// When it was started.
    pub started: Monotonic,
    /// When it became ready.
    pub ready_at: Option<Monotonic>,
    /// When it was over: its main process ended, or its end was begun, whichever came first.
    pub over_at: Option<Monotonic>,
    /// How its main process ended, while others of its group remain.
    pub exit: Option<Exit>,
    /// Why it could not be started.
    pub failure: Option<Box<str>>,
    /// What is waited for, while it starts; with its end only if it was not ready in time.
    pub awaits: Option<Box<str>>,
    /// What else is known of its trouble: what it or the kernel said last.
    pub remark: Option<Box<str>>,
}

/// The end of the last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How; `None` when no process came into being.
    pub exit: Option<Exit>,
    /// When.
    pub at: Monotonic,
    /// How long it lived, until its main process ended or its end was begun.
    pub lived: Duration,
    /// Whether it had been ready.
    pub ready: bool,
    /// Why it was ended; `None` when it ended by itself.
    pub cause: Option<Cause>,
    /// Why it could not be started.
    pub failure: Option<Box<str>>,
    /// What else was known of its trouble.
    pub remark: Option<Box<str>>,
}

impl Ending {
    /// Whether somebody wanted it.
    #[must_use]
    pub fn was_requested(&self) -> bool {
        matches!(self.cause, Some(Cause::Requested | Cause::Signalled))
    }
}

/// One supervised process.
///
/// It is plain data: written into a record it is enough to go on in another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    desired: Desired,
    phase: Phase,
    run: Option<Run>,
    last: Option<Ending>,
    /// Ends in a row that ended no healthy run.
    failures: u32,
    /// Starts that followed an unrequested end.
    restarts: u32,
    /// Ends that may lead to its being given up.
    flaps: Flaps,
}

/// What the caller tells a unit with each input.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The time.
    pub now: Monotonic,
    /// Where run numbers come from.
    pub ids: &'a mut RunIds,
    /// Whether what the unit comes after is ready.
    pub gate: bool,
    /// Whether so many have died lately that even a healthy run's end has to wait.
    pub storm: bool,
    /// What is to be done, in order.
    pub actions: &'a mut Vec<Action>,
}

/// What happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It has a process.
    Spawned {
        /// The process.
        pid: i32,
    },
    /// No process came into being.
    NotSpawned {
        /// Why, as a sentence.
        reason: Box<str>,
    },
    /// Whoever was about to start it has died before there was a process: nothing speaks against the program, and it
    /// is started again at once.
    Lost,
    /// The process could not become the program; its exit follows.
    NotExecuted {
        /// Why, as a sentence.
        reason: Box<str>,
    },
    /// It is ready.
    Ready,
    /// It is not ready yet, for this reason.
    Awaits {
        /// What is waited for, as a fragment; cut at [`REMARK_MAX`] characters.
        what: String,
    },
    /// Something is known of its trouble: shown with its end.
    Remark {
        /// What, as a fragment; cut at [`REMARK_MAX`] characters.
        text: String,
    },
    /// It needs so long from now to become ready, or to leave.
    MoreTime {
        /// How long.
        by: Duration,
    },
    /// It begins to leave, though nobody has asked.
    Leaves,
    /// Its main process has ended.
    Exited {
        /// How.
        exit: Exit,
        /// Whether others of its group are left. [`Input::Gone`] follows when the last of them is.
        survivors: bool,
    },
    /// Nothing is left of its group.
    Gone,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process; answer with [`Input::Spawned`] or [`Input::NotSpawned`].
    Spawn {
        /// The new run.
        run: RunId,
    },
    /// Send a signal.
    Signal {
        /// To which run.
        run: RunId,
        /// Which.
        signal: i32,
        /// To its whole group instead of its main process.
        group: bool,
    },
    /// Send SIGKILL to the whole group.
    Kill {
        /// Of which run.
        run: RunId,
    },
    /// Something worth telling happened; nothing needs to be done.
    Note {
        /// To which run.
        run: RunId,
        /// What.
        note: Note,
    },
}

/// Something worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It became ready.
    Ready {
        /// Nobody said so: it was still alive at the start timeout.
        assumed: bool,
    },
    /// It was not ready in time and is being ended.
    Unready,
    /// It had to be killed: it outstayed its stop timeout.
    Killed,
    /// It is still there long after SIGKILL.
    Stuck,
    /// It has ended and nothing is left of it.
    Ended,
}

impl Default for Unit {
    fn default() -> Self {
        Self::new()
    }
}

impl Unit {
    /// A unit without a process that should have none.
    #[must_use]
    pub fn new() -> Self {
        Self {
            desired: Desired::Down,
            phase: Phase::Stopped,
            run: None,
            last: None,
            failures: 0,
            restarts: 0,
            flaps: Flaps::default(),
        }
    }

    /// What should be.
    #[must_use]
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// What is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The current run.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// The end of the run before the current one.
    #[must_use]
    pub fn last(&self) -> Option<&Ending> {
        self.last.as_ref()
    }

    /// How many starts followed an unrequested end.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether it is ready to serve.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Whether nothing of it runs, or what runs cannot be killed: a stop need not wait for it any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.run.is_none() || matches!(self.phase, Phase::Stopping { step: Step::Stuck, .. })
    }
}
