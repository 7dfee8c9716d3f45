//! The program that is installed now, as a child that says whether it can take over. It opens and changes nothing.

use super::{MAX, State};
use crate::config;
use crate::resolver::{Origin, enter, pair};
use anyhow::{Context, anyhow, bail};
use proto::spec::{CompanionsSpec, Resolution};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command as Process, ExitCode};
use std::time::Duration;
use supervise::Monotonic;
use sys::spawn::{Command, Spawned};

/// How long it may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The hidden mode's name on the command line.
const MODE: &str = "--try-to-take-over-from-descriptor-3";
/// The state's descriptor in the child; after it come the answer, the companions in force, the manager's program.
const FIRST: i32 = 3;
/// The most an answer may take.
const ANSWER_MAX: usize = 1 << 20;
/// Variables that are about arbiter's own process, not this one.
const NOT_ITS_OWN: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// A trial under way, and what will follow it.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The child.
    pub(crate) spawned: Spawned,
    /// The program that is tried.
    pub(crate) program: File,
    /// The manager's that goes with it.
    pub(crate) manager: File,
    answer: OwnedFd,
}

impl Trial {
    /// Starts `program` as a child that is shown `state`.
    ///
    /// # Errors
    /// No process or memory is to be had.
    pub(crate) fn start(
        origin: &Origin,
        (program, manager): (File, File),
        state: &State,
        companions: BorrowedFd<'_>,
    ) -> anyhow::Result<Self> {
        let answer = sys::memfd::writable(c"answer").context("cannot create a memory file")?;
        let state = sys::memfd::sealed(c"state", &state.to_bytes()).context("cannot create a memory file")?;
        let null = sys::fd::null().context("cannot open /dev/null")?;
        let environment = origin.environment.iter();
        let environment =
            environment.filter(|(name, _)| !NOT_ITS_OWN.iter().any(|own| name.as_os_str() == *own));
        let command = Command {
            image: Some(program.as_fd()),
            argv: vec![CString::new("arbiter")?, CString::new(MODE)?],
            env: environment.map(pair).collect::<Result<_, _>>()?,
            fds: vec![
                (null.as_fd(), 0),
                (null.as_fd(), 1),
                (null.as_fd(), 2),
                (state.as_fd(), FIRST),
                (answer.as_fd(), FIRST + 1),
                (companions, FIRST + 2),
                (manager.as_fd(), FIRST + 3),
            ],
            cwd: Some(c"/".to_owned()),
            parent_death_signal: Some(supervise::signal::SIGKILL),
            ..Command::default()
        };
        let spawned = sys::spawn::spawn(&command).context("cannot start the installed program")?;
        drop(command);
        Ok(Self { spawned, program, manager, answer })
    }

    /// What it said, once it has ended.
    ///
    /// # Errors
    /// Why it cannot take over.
    pub(crate) fn answer(&self) -> Result<(), String> {
        let bytes = sys::memfd::read_sealed(&self.answer, ANSWER_MAX)
            .map_err(|_| "the installed program gave no answer: is it arbiter, and not older?".to_owned())?;
        let reason = String::from_utf8_lossy(&bytes).into_owned();
        if reason.is_empty() { Ok(()) } else { Err(reason) }
    }
}

/// Acts as a trial, if the arguments say so.
#[must_use]
pub(crate) fn hidden_mode(arguments: &[OsString]) -> Option<ExitCode> {
    arguments.first().filter(|mode| *mode == MODE).map(|_| match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run() -> anyhow::Result<()> {
    sys::title::set_name("arbiter");
    let inherited = sys::fd::adopt_inherited(&[FIRST, FIRST + 1, FIRST + 2, FIRST + 3])?;
    let [state, answer, companions, manager]: [OwnedFd; 4] =
        inherited.try_into().map_err(|_| anyhow!("a descriptor is missing"))?;
    let reason = consider(&state, &companions, &manager).err().map(|error| format!("{error:#}"));
    let mut file = File::from(answer);
    file.write_all(reason.unwrap_or_default().as_bytes())?;
    sys::memfd::seal(&file)?;
    Ok(())
}

fn consider(state: &OwnedFd, companions: &OwnedFd, manager: &OwnedFd) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let bytes = sys::memfd::read_sealed(state, MAX).context("the state cannot be read")?;
    let state = State::from_bytes(&bytes)
        .map_err(|error| anyhow!("the installed arbiter {version} cannot use this one's state: {error}"))?;
    let now = Monotonic::from_boot(sys::clock::monotonic());
    check_manager(manager, version)?;
    let in_force: CompanionsSpec = proto::codec::decode_bulk(&sys::memfd::read_sealed(companions, MAX)?)
        .context("the installed arbiter cannot use the companions in force")?;
    let file = state.master.spec.config.iter().flat_map(|file| ["-c".into(), file.into()]);
    let argv = file.chain(state.origin.arguments()).collect();
    let loaded = in_force.companions.iter().filter(|companion| companion.loaded).cloned().collect();
    let cwd = enter(&state.origin.directory());
    let input = config::Input { argv, env: sys::launch::own_environment(), cwd, loaded };
    match config::resolve(&input) {
        Resolution::Run { .. } => {}
        Resolution::Print { stderr, .. } => bail!("the configuration is not in order: {}", stderr.trim_end()),
        Resolution::Companions { .. } => bail!("the configuration cannot be read"),
    }
    // Last: it takes the state apart.
    crate::master::Master::restore(state.master, None, now).context("the state contradicts itself")?;
    Ok(())
}

/// The manager's program has to be of the same version: a package may be half unpacked.
fn check_manager(manager: &OwnedFd, version: &str) -> anyhow::Result<()> {
    let program = format!("/proc/self/fd/{}", manager.as_raw_fd());
    let output = Process::new(program)
        .arg("--version")
        .output()
        .context("cannot run the installed companion-manager")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let expected = format!("companion-manager {version}");
    if told.trim_end() != expected {
        bail!(
            "the installed arbiter is version {version}, but its manager says {:?}: half installed? try again",
            told.trim_end()
        );
    }
    Ok(())
}
