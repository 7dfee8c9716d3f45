//! What arbiter keeps for its manager.

use super::captures::Captures;
use super::relays::Relays;
use crate::ledger::Ledger;
use crate::pings::Pings;
use crate::runtime::{Control, ControlChange, prepare_control};
use crate::upgrade::{Keeping, Kept, Number, SavedCompanions};
use anyhow::{Context, bail};
use proto::link::{Channel, ToManager};
use proto::spec::ControlSpec;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
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
    Dead { run: RunId, deadline: Monotonic },
}

/// A message on its way, with its descriptors.
pub(super) type Outgoing = (Vec<u8>, Vec<OwnedFd>);

/// The manager and what arbiter keeps for it.
#[derive(Debug)]
pub(super) struct Companions {
    pub(super) image: File,
    pub(super) control: Option<Control>,
    /// What a reload under way makes of it.
    control_candidate: Option<ControlChange>,
    /// The specification in force, and that of a reload under way.
    pub(super) in_force: OwnedFd,
    pub(super) candidate: Option<OwnedFd>,
    pub(super) committing: bool,
    /// Counts candidates: answers to an earlier one are not believed.
    pub(super) operation: u64,
    pub(super) ledger: Ledger,
    pub(super) pidfds: HashMap<RunId, OwnedFd>,
    /// Those that count in a first process's place.
    pub(super) mains: BTreeMap<RunId, OwnedFd>,
    pub(super) captures: Captures,
    /// This side's ends of standard inputs and streams: as long as they are open here, no process sees an end.
    pub(super) inputs: HashMap<RunId, Vec<(Channel, OwnedFd)>>,
    pub(super) custody: Custody,
    pub(super) link: Option<Link>,
    pub(super) outbox: VecDeque<Outgoing>,
    /// Whether the reactor was asked to tell when the link has room.
    pub(super) awaiting_room: bool,
    pub(super) restarts: u32,
    pub(super) early_deaths: usize,
    /// Whether the manager was told to leave.
    pub(super) retiring: bool,
    pub(super) relays: Relays,
    pub(super) told: Option<proto::link::MasterStatus>,
    pub(super) pings: Pings,
}

impl Companions {
    pub(super) fn new(image: File, control: Option<Control>, in_force: OwnedFd) -> Self {
        Self {
            image,
            control,
            control_candidate: None,
            in_force,
            candidate: None,
            committing: false,
            operation: 0,
            ledger: Ledger::default(),
            pidfds: HashMap::new(),
            mains: BTreeMap::new(),
            captures: Captures::default(),
            inputs: HashMap::new(),
            custody: Custody::Absent { retry_at: None },
            link: None,
            outbox: VecDeque::new(),
            awaiting_room: false,
            restarts: 0,
            early_deaths: 0,
            retiring: false,
            relays: Relays::default(),
            told: None,
            pings: Pings::default(),
        }
    }

    /// What is kept, for the program that follows.
    pub(super) fn save(&self, keeping: &mut Keeping) -> SavedCompanions {
        SavedCompanions {
            in_force: keeping.keep(&self.in_force),
            operation: self.operation,
            restarts: self.restarts,
            ledger: self.ledger.clone(),
            mains: self.mains.iter().map(|(run, main)| (*run, keeping.keep(main))).collect(),
            captures: self.captures.save(keeping),
            inputs: self.save_inputs(keeping),
            relays: self.relays.clone(),
        }
    }

    fn save_inputs(&self, keeping: &mut Keeping) -> Vec<(RunId, Channel, Number)> {
        let ends =
            self.inputs.iter().flat_map(|(run, ends)| ends.iter().map(|(channel, end)| (*run, channel, end)));
        let mut ends: Vec<_> =
            ends.map(|(run, channel, end)| (run, channel.clone(), keeping.keep(end))).collect();
        ends.sort_unstable();
        ends
    }

    /// Takes up what the program before has kept; the specification in force is here already.
    pub(super) fn restore(&mut self, saved: SavedCompanions, kept: &mut Kept) -> anyhow::Result<()> {
        self.operation = saved.operation;
        self.restarts = saved.restarts;
        self.ledger = saved.ledger;
        self.captures = Captures::restore(saved.captures, kept)?;
        for (run, number) in saved.mains {
            self.mains.insert(run, kept.take(number)?);
        }
        for (run, channel, number) in saved.inputs {
            self.inputs.entry(run).or_default().push((channel, kept.take(number)?));
        }
        self.relays = saved.relays;
        Ok(())
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        match self.custody {
            Custody::Absent { retry_at } => retry_at,
            Custody::Up { .. } => self.pings.deadline(),
            Custody::Dead { deadline, .. } => Some(deadline),
        }
    }

    /// The control socket's path, for children: with a new configuration under way, for those who are for that
    /// one.
    pub(super) fn control_socket(&self, for_candidate: bool) -> Option<&str> {
        match self.control_candidate.as_ref().filter(|_| for_candidate) {
            Some(ControlChange::Replaced(control)) => control.as_ref()?.path(),
            Some(ControlChange::Access(_)) | None => self.control.as_ref()?.path(),
        }
    }

    /// Opens the control socket of a new configuration beside that of the old one.
    pub(super) fn prepare_control(&mut self, old: &ControlSpec, new: &ControlSpec) -> anyhow::Result<()> {
        self.control_candidate = prepare_control(self.control.as_ref(), old, new)?;
        Ok(())
    }

    /// The new configuration will not come into force, the old one stays.
    pub(super) fn drop_control(&mut self, old: &ControlSpec) {
        let changed = self.control_candidate.take().zip(self.control.as_ref());
        let Some((ControlChange::Access(new), control)) = changed else { return };
        if let Err(error) = control.change_access(&new, old) {
            tracing::error!("{error:#}");
        }
    }

    /// The new configuration is in force: what to tell the manager, with a new socket where there is one.
    pub(super) fn keep_control(&mut self, new: &ControlSpec) -> Option<(ToManager, Vec<OwnedFd>)> {
        let change = self.control_candidate.take()?;
        let replaced = matches!(change, ControlChange::Replaced(_));
        if let ControlChange::Replaced(control) = change {
            // The old one's file goes here: nobody comes to it any more when the manager takes in its queue.
            self.control = control;
            match self.control.as_ref().and_then(Control::path) {
                Some(path) => tracing::info!("the control socket is {path} now"),
                None => tracing::info!("there is no control socket any more"),
            }
        }
        let socket = self.control.as_ref().filter(|_| replaced);
        let socket = socket.map(|control| control.listener().as_fd().try_clone_to_owned()).transpose();
        let message = ToManager::Control {
            socket: self.control_socket(false).map(str::to_owned),
            replaced,
            allow_users: new.allow_users.clone(),
            allow_groups: new.allow_groups.clone(),
        };
        match socket {
            Ok(socket) => Some((message, socket.into_iter().collect())),
            Err(error) => {
                tracing::error!("cannot hand the control socket to the companion manager: {error}");
                None
            }
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
        if std::mem::take(&mut self.committing) {
            if let Some(candidate) = self.candidate.take() {
                self.in_force = candidate;
            }
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
        self.committing |= matches!(message, ToManager::Commit { .. });
        match message {
            ToManager::Prepare | ToManager::Compare => self.candidate_message(),
            _ => Ok(None),
        }
    }

    /// The candidate as a message, where there is one.
    pub(super) fn candidate_message(&self) -> std::io::Result<Option<(ToManager, Vec<OwnedFd>)>> {
        let Some(candidate) = &self.candidate else { return Ok(None) };
        let control_socket = self.control_socket(true).map(str::to_owned);
        let message = ToManager::Candidate { operation: self.operation, control_socket };
        Ok(Some((message, vec![candidate.try_clone()?])))
    }
}

/// The manager's program: beside arbiter's own, else where packages put it.
///
/// # Errors
/// It is in neither place.
pub(crate) fn manager_beside(arbiter: &Path) -> anyhow::Result<File> {
    let own = arbiter.canonicalize().with_context(|| format!("cannot find {}", arbiter.display()))?;
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
