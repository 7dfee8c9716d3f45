//! Everything that one program leaves to the next.

use super::kept::Number;
use crate::happenings::Happenings;
use crate::ledger::Ledger;
use crate::master;
use crate::shell::{Relays, Zombie};
use proto::handover::{Handed, SocketFile};
use proto::link::{CapturedPipe, Channel};
use proto::numbered::{Numbered, Unusable};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use supervise::{Monotonic, RunId};
use sys::launch::Environment;

const FORM: Numbered = Numbered::new(*b"arbiter!", 1);

/// What a program leaves to the one that replaces it. Descriptors are told by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The version that leaves it.
    pub(crate) version: String,
    /// When it stopped handling anything.
    pub(crate) left_at: Monotonic,
    /// All descriptors.
    pub(crate) descriptors: Vec<Number>,
    /// How arbiter was started.
    pub(crate) origin: SavedOrigin,
    /// When.
    pub(crate) started: Monotonic,
    /// The limit of open files as it was started.
    pub(crate) nofile: (u64, u64),
    /// Where the standard output and error of children go.
    pub(crate) outputs: [Number; 2],
    /// The manager's program: this version's own, and the one that goes with what is installed now.
    pub(crate) managers: [Number; 2],
    /// The master, with the workers.
    pub(crate) master: master::Saved,
    /// The sockets that were passed, by their names, then arbiter's own, then all their descriptors.
    pub(crate) listeners: (Vec<String>, Vec<Handed>, Vec<Number>),
    /// The control socket.
    pub(crate) control: Option<SocketAt>,
    /// The pidfile.
    pub(crate) pidfile: Option<String>,
    /// The lock's file.
    pub(crate) lock: Option<(String, Number)>,
    /// The directory of the notify sockets, its lock, and how many were made there.
    pub(crate) notify: (String, Number, u64),
    /// The children that are workers, and those that a manager left.
    pub(crate) children: Vec<Child>,
    /// The notify sockets of all processes.
    pub(crate) notify_sockets: Vec<(RunId, Number)>,
    /// Ended children that are not buried yet.
    pub(crate) zombies: Vec<Zombie>,
    /// What is kept for the manager.
    pub(crate) companions: SavedCompanions,
    /// What happened, for those who watch.
    pub(crate) happenings: Happenings,
    /// What was told upward.
    pub(crate) upward: SavedUpward,
}

/// How arbiter was started. Texts are bytes: they need not be UTF-8.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedOrigin {
    program: Vec<u8>,
    arguments: Vec<Vec<u8>>,
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    directory: Vec<u8>,
}

/// A child, known by its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Child {
    /// Its run.
    pub(crate) run: RunId,
    /// Whether it is a worker: else a companion's.
    pub(crate) is_worker: bool,
    /// The leader of its group.
    pub(crate) pid: i32,
    /// Its pidfd.
    pub(crate) pidfd: Number,
    /// The process that counts in its place, and its pidfd.
    pub(crate) main: Option<(i32, Number)>,
}

/// A socket with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SocketAt {
    /// The socket.
    pub(crate) socket: Number,
    /// Its file.
    pub(crate) file: SocketFile,
}

/// What is kept for the manager.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedCompanions {
    /// The specification in force.
    pub(crate) in_force: Number,
    /// Counts candidates.
    pub(crate) operation: u64,
    /// How often the manager was replaced.
    pub(crate) restarts: u32,
    /// The table.
    pub(crate) ledger: Ledger,
    /// Those that count in a first process's place.
    pub(crate) mains: Vec<(RunId, Number)>,
    /// Captured output.
    pub(crate) captures: SavedCaptures,
    /// Standard inputs and streams.
    pub(crate) inputs: Vec<(RunId, Channel, Number)>,
    /// Answers that may have to be told again.
    pub(crate) relays: Relays,
}

/// Captured output.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedCaptures {
    /// On its way.
    pub(crate) pipes: Vec<(CapturedPipe, Number)>,
    /// Kept in memory.
    pub(crate) tails: Vec<(String, Number)>,
}

/// What was told upward.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedUpward {
    /// When the next sign of life is due.
    pub(crate) watchdog_at: Option<Monotonic>,
    /// The status that was told last.
    pub(crate) status: String,
    /// What found no room.
    pub(crate) owed: Vec<String>,
}

impl SavedOrigin {
    /// As it is kept.
    #[must_use]
    pub(crate) fn new(
        program: &OsString,
        arguments: &[OsString],
        environment: &Environment,
        directory: &OsString,
    ) -> Self {
        let bytes = |text: &OsString| text.as_bytes().to_vec();
        Self {
            program: bytes(program),
            arguments: arguments.iter().map(bytes).collect(),
            environment: environment.iter().map(|(name, value)| (bytes(name), bytes(value))).collect(),
            directory: bytes(directory),
        }
    }

    /// The program's path.
    #[must_use]
    pub(crate) fn program(&self) -> OsString {
        OsString::from_vec(self.program.clone())
    }

    /// The arguments.
    #[must_use]
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        self.arguments.iter().cloned().map(OsString::from_vec).collect()
    }

    /// The environment.
    #[must_use]
    pub(crate) fn environment(&self) -> Environment {
        let pair = |(name, value): &(Vec<u8>, Vec<u8>)| {
            (OsString::from_vec(name.clone()), OsString::from_vec(value.clone()))
        };
        self.environment.iter().map(pair).collect()
    }

    /// The directory.
    #[must_use]
    pub(crate) fn directory(&self) -> OsString {
        OsString::from_vec(self.directory.clone())
    }
}

impl State {
    /// Its bytes.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        FORM.write(self)
    }

    /// What `bytes` hold.
    ///
    /// # Errors
    /// It is not what this program knows.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unusable> {
        FORM.read(bytes)
    }
}
