//! Starting another master beside this one on the same sockets, and being the one that was started so.

use crate::listeners::Listeners;
use crate::resolver::{Origin, pair};
use crate::runtime::Control;
use anyhow::Context;
use proto::handover::{DESCRIPTOR, Handover, MAX, SocketFile, VARIABLE};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::departure::Departure;
use sys::fd::FileId;
use sys::launch::Environment;
use sys::spawn::{Command, Spawned, Strings};

/// Variables that describe the old process or its descriptors, not the new one.
const OF_THE_OLD: [&str; 5] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID"];

/// The master that this one was started beside, and what it handed over.
#[derive(Debug)]
pub struct Predecessor {
    /// Readable when it has ended; `None` when it has already.
    pub pidfd: Option<OwnedFd>,
    /// Its process.
    pub pid: i32,
    /// The sockets it listens on, open here too.
    pub listeners: Listeners,
    /// The control socket, which it serves for as long as it lives.
    pub control: Option<Control>,
    /// Whether it or this one leaves last.
    pub departure: Departure,
}

impl Predecessor {
    /// Takes what was handed to this process, if anything was. To be called first thing in `main`: what is
    /// opened before might be taken for it.
    ///
    /// # Errors
    /// It cannot be used: it comes from a version of arbiter that this one does not know.
    pub fn take() -> anyhow::Result<Option<Self>> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        Self::take_announced().context("cannot take over from the arbiter that started this one").map(Some)
    }

    fn take_announced() -> anyhow::Result<Self> {
        let file = take_descriptors(DESCRIPTOR, 1)?.pop().context("nothing is open")?;
        let handover = Handover::from_bytes(&sys::memfd::read_sealed(&file, MAX)?)?;
        // A listener may have a socket for each slot.
        let own: usize = handover.listeners.iter().map(|listener| listener.slots.len()).sum();
        let count = handover.passed.len() + own + usize::from(handover.control.is_some());
        let mut sockets = take_descriptors(DESCRIPTOR + 1, 1 + count)?.into_iter();
        let departure = sockets.next().context("nothing is open")?.into();
        let listeners = Listeners::handed_over(handover.passed, handover.listeners, &mut sockets)?;
        let control = match (handover.control, sockets.next()) {
            (Some(file), Some(socket)) => Some(Control::handed_over(socket, file_id(file))?),
            _ => None,
        };
        let pidfd = sys::pidfd::open(handover.pid);
        // Whoever has that number now is not the one that started this process, if that one has gone.
        let pidfd = if sys::process::parent_pid() == handover.pid { Some(pidfd?) } else { None };
        Ok(Self { pidfd, pid: handover.pid, listeners, control, departure })
    }
}

fn take_descriptors(first: i32, count: usize) -> anyhow::Result<Vec<OwnedFd>> {
    let numbers: Vec<i32> = (first..).take(count).collect();
    sys::fd::adopt_inherited(&numbers).context("a descriptor is missing")
}

/// A file's identity in its two forms.
pub(crate) fn file_id(file: SocketFile) -> FileId {
    FileId { device: file.device, inode: file.inode }
}

pub(crate) fn socket_file(id: FileId) -> SocketFile {
    SocketFile { device: id.device, inode: id.inode }
}

/// Starts the program that is installed now beside this one, as this one was started.
///
/// # Errors
/// No process or memory is to be had. That the program cannot be executed is told by the new process.
pub(crate) fn start_successor(
    origin: &Origin,
    listeners: &Listeners,
    control: Option<&Control>,
    departure: &Departure,
    stdin: BorrowedFd<'_>,
    outputs: &[OwnedFd; 2],
    nofile: (u64, u64),
) -> anyhow::Result<Spawned> {
    let (passed, own, sockets) = listeners.to_hand_over();
    let control = control.and_then(|control| Some((control.listener(), control.listener().file()?)));
    let handover = Handover {
        pid: sys::process::pid(),
        passed,
        listeners: own,
        control: control.map(|(_, file)| socket_file(file)),
    };
    let file =
        sys::memfd::sealed(c"handover", &handover.to_bytes()).context("cannot create a memory file")?;
    let [stdout, stderr] = outputs;
    let control = control.map(|(listener, _)| listener.as_fd());
    let sockets = std::iter::once(departure.as_fd()).chain(sockets).chain(control);
    let mut fds = vec![(stdin, 0), (stdout.as_fd(), 1), (stderr.as_fd(), 2), (file.as_fd(), DESCRIPTOR)];
    fds.extend(sockets.zip(DESCRIPTOR + 1..));
    let words = std::iter::once(origin.program.as_os_str()).chain(origin.arguments.iter().map(AsRef::as_ref));
    let mut env = environment(&origin.environment).collect::<Result<Strings, _>>()?;
    env.push(&[format!("{VARIABLE}={DESCRIPTOR}").as_bytes()])?;
    let command = Command {
        candidates: vec![CString::new(origin.program.as_bytes())?],
        argv: words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
        env,
        own_pid: if is_watched(&origin.environment) { vec!["WATCHDOG_PID"] } else { Vec::new() },
        fds,
        cwd: Some(CString::new(origin.directory.as_bytes())?),
        nofile: Some(nofile),
        ..Command::default()
    };
    Ok(sys::spawn::spawn(&command)?)
}

fn environment(own: &Environment) -> impl Iterator<Item = Result<CString, std::ffi::NulError>> + '_ {
    own.iter().filter(|(name, _)| !OF_THE_OLD.iter().any(|old| name.as_os_str() == *old)).map(pair)
}

/// Whether the service manager above waits for signs of life of this very process.
fn is_watched(own: &Environment) -> bool {
    let pid = own.get(OsStr::new("WATCHDOG_PID")).and_then(|pid| pid.to_str()?.parse().ok());
    pid == Some(sys::process::pid())
}
