//! What arbiter keeps for its manager.

use crate::ledger::Ledger;
use crate::runtime::Control;
use anyhow::{Context, bail};
use proto::link::ToManager;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervise::{Monotonic, RunId};
use sys::seqpacket::Link;

/// Where the manager is installed, when it is not beside arbiter.
const INSTALLED: &str = "/usr/libexec/arbiter/companion-manager";
/// The link's descriptor in the manager.
pub(super) const LINK: i32 = 3;
/// The waits before a manager that died soon is followed by another.
pub(super) const RESPAWN: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// A manager that lived this long did not die soon.
pub(super) const STEADY: Duration = Duration::from_secs(30);
/// How long the link's end may take after the manager's: what holds it then is stuck before its exec.
pub(super) const LETTERS: Duration = Duration::from_millis(500);

/// Where the manager's process is.
#[derive(Debug)]
pub(super) enum Custody {
    /// There is none; another is started at this moment.
    Absent { retry_at: Option<Monotonic> },
    /// It runs.
    Up { run: RunId, since: Monotonic },
    /// It has died, and the link has not ended yet.
    Dead { deadline: Monotonic },
}

/// A message on its way, with its descriptors.
pub(super) type Outgoing = (Vec<u8>, Vec<OwnedFd>);

/// The manager and what arbiter keeps for it.
#[derive(Debug)]
pub(super) struct Companions {
    pub(super) image: File,
    pub(super) control: Option<Control>,
    /// The specification in force, and that of a reload under way.
    pub(super) in_force: OwnedFd,
    pub(super) candidate: Option<OwnedFd>,
    pub(super) committing: bool,
    /// Counts candidates: answers to an earlier one are not believed.
    pub(super) operation: u64,
    pub(super) ledger: Ledger,
    pub(super) pidfds: HashMap<RunId, OwnedFd>,
    pub(super) custody: Custody,
    pub(super) link: Option<Link>,
    pub(super) outbox: VecDeque<Outgoing>,
    /// Whether the reactor was asked to tell when the link has room.
    pub(super) awaiting_room: bool,
    pub(super) restarts: u32,
    pub(super) early_deaths: usize,
    pub(super) told: Option<proto::link::MasterStatus>,
}

impl Companions {
    pub(super) fn new(control: Option<Control>, in_force: OwnedFd) -> anyhow::Result<Self> {
        Ok(Self {
            image: manager_image()?,
            control,
            in_force,
            candidate: None,
            committing: false,
            operation: 0,
            ledger: Ledger::default(),
            pidfds: HashMap::new(),
            custody: Custody::Absent { retry_at: None },
            link: None,
            outbox: VecDeque::new(),
            awaiting_room: false,
            restarts: 0,
            early_deaths: 0,
            told: None,
        })
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match self.custody {
            Custody::Absent { retry_at } => retry_at,
            Custody::Up { .. } => None,
            Custody::Dead { deadline } => Some(deadline),
        }
    }

    /// The control socket's path, for children.
    pub(super) fn control_socket(&self) -> Option<&str> {
        match self.control.as_ref()?.listener().address() {
            sys::listener::Address::Unix(path) => path.to_str(),
            _ => None,
        }
    }

    /// Whether children that nobody knows may be reaped: not while processes may exist that have reported
    /// themselves but have not been read of.
    pub(super) fn may_reap_strays(&self) -> bool {
        !matches!(self.custody, Custody::Dead { .. })
    }

    /// The processes of all companions.
    pub(super) fn pids(&self) -> HashSet<i32> {
        self.ledger.processes().map(|(_, pid)| pid).collect()
    }

    pub(super) fn manager_restarts(&self) -> u32 {
        self.restarts
    }

    pub(super) fn set_candidate(&mut self, specification: OwnedFd) {
        self.operation += 1;
        self.candidate = Some(specification);
    }

    pub(super) fn drop_candidate(&mut self) {
        self.candidate = None;
        self.committing = false;
    }

    /// The manager has what it was told to commit.
    pub(super) fn committed(&mut self) {
        if std::mem::take(&mut self.committing)
            && let Some(candidate) = self.candidate.take()
        {
            self.in_force = candidate;
        }
    }

    /// Whether an answer is to the operation under way.
    pub(super) fn is_current(&self, operation: u64) -> bool {
        self.operation == operation
    }

    /// The candidate as a message, where one has to go before `message`.
    pub(super) fn preface(
        &mut self,
        message: &ToManager,
    ) -> std::io::Result<Option<(ToManager, Vec<OwnedFd>)>> {
        self.committing |= *message == ToManager::Commit;
        match (message, &self.candidate) {
            (ToManager::Prepare | ToManager::Compare, Some(candidate)) => {
                let message = ToManager::Candidate { operation: self.operation };
                Ok(Some((message, vec![candidate.try_clone()?])))
            }
            _ => Ok(None),
        }
    }

    /// Removes the control socket's file.
    pub(super) fn close_control(&mut self) {
        self.control = None;
    }
}

/// The manager's program: beside arbiter's own, else where packages put it.
fn manager_image() -> anyhow::Result<File> {
    let own = std::env::current_exe().context("cannot find arbiter's own program")?;
    let beside = own.parent().map(|directory| directory.join("companion-manager"));
    let places: Vec<PathBuf> = beside.into_iter().chain([Path::new(INSTALLED).to_owned()]).collect();
    for place in &places {
        if let Ok(image) = File::open(place) {
            return Ok(image);
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    bail!("cannot find the program companion-manager (looked for {}): install it there", places.join(" and "))
}
