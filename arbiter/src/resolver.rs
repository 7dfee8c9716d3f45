//! Reading the configuration, in a child of its own.
//!
//! A file on a dead disk, a slow name service or a parser's memory must not touch arbiter. So arbiter runs
//! its own program once more in a hidden mode; that child reads and checks everything and leaves the result
//! in a memory file.

use crate::config;
use anyhow::{Context, anyhow, bail};
use proto::spec::Resolution;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;
use sys::launch::Environment;
use sys::spawn::{Command, Spawned};

/// How long reading the configuration may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The hidden mode's name on the command line; what follows are arbiter's own arguments.
const MODE: &str = "--resolve-into-descriptor-3";
/// The memory file's descriptor in the child.
const DESCRIPTOR: i32 = 3;
/// The most a result may take: a million companions would fit.
const RESULT_MAX: usize = 1 << 30;

/// How arbiter was started: enough to read its configuration again.
#[derive(Debug)]
pub struct Origin {
    /// arbiter's own program.
    pub image: File,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
    /// Its directory.
    pub directory: OsString,
}

/// A child that reads the configuration, and where it will leave the result.
#[derive(Debug)]
pub struct Job {
    /// The child.
    pub spawned: Spawned,
    result: OwnedFd,
}

impl Origin {
    /// How this process was started.
    ///
    /// # Errors
    /// Its program or directory cannot be opened.
    pub fn of_this_process(arguments: Vec<OsString>) -> anyhow::Result<Self> {
        Ok(Self {
            image: File::open("/proc/self/exe").context("cannot open arbiter's own program")?,
            arguments,
            environment: sys::launch::own_environment(),
            directory: std::env::current_dir().context("cannot read the current directory")?.into(),
        })
    }

    /// Starts the child. A reload names the configuration file in force, so that the one that was found at
    /// the start stays the one that is read.
    ///
    /// # Errors
    /// No process or memory is to be had.
    pub fn resolve(&self, in_force: Option<&str>) -> anyhow::Result<Job> {
        let result = sys::memfd::writable(c"configuration").context("cannot create a memory file")?;
        let null = sys::fd::null().context("cannot open /dev/null")?;
        let errors = std::io::stderr();
        let file = in_force.map(|file| ["-c".into(), file.into()]).into_iter().flatten();
        let words =
            ["arbiter".into(), MODE.into()].into_iter().chain(file).chain(self.arguments.iter().cloned());
        let command = Command {
            image: Some(self.image.as_fd()),
            argv: words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
            env: self.environment.iter().map(pair).collect::<Result<_, _>>()?,
            fds: vec![
                (null.as_fd(), 0),
                (null.as_fd(), 1),
                (errors.as_fd(), 2),
                (result.as_fd(), DESCRIPTOR),
            ],
            cwd: Some(CString::new(self.directory.as_bytes())?),
            parent_death_signal: Some(9),
            ..Command::default()
        };
        let spawned =
            sys::spawn::spawn(&command).context("cannot start a process to read the configuration")?;
        Ok(Job { spawned, result })
    }
}

/// An environment variable as exec wants it.
///
/// # Errors
/// It has a NUL byte.
pub fn pair((name, value): (&OsString, &OsString)) -> Result<CString, std::ffi::NulError> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
}

impl Job {
    /// What the child left, once it has ended with success.
    ///
    /// # Errors
    /// It left nothing that can be read.
    pub fn result(&self) -> anyhow::Result<Resolution> {
        let bytes = sys::memfd::read_sealed(&self.result, RESULT_MAX).context("it left no result")?;
        proto::codec::decode_bulk(&bytes).context("it left an unreadable result")
    }

    /// Waits for the child and takes its result: only before there is a loop.
    ///
    /// # Errors
    /// It ended without a result, or not in time.
    pub fn wait(self) -> anyhow::Result<Resolution> {
        let mut reactor = sys::reactor::Reactor::new()?;
        let token = sys::reactor::Token(0);
        reactor.register(&self.spawned.pidfd, token, sys::reactor::Interest::READ)?;
        let mut children = sys::children::Children::new();
        children.insert((), self.spawned.pid, self.spawned.pidfd.try_clone()?);
        reactor.wait(Some(TIMEOUT))?;
        if children.peek(())?.is_none() {
            children.signal_group((), 9)?;
            bail!("reading the configuration took more than {} s", TIMEOUT.as_secs());
        }
        let exit = children.reap(())?;
        self.result()
            .map_err(|error| anyhow!("the process that reads the configuration {}: {error:#}", exit.status))
    }
}

/// The arguments of the hidden mode, if these are that.
#[must_use]
pub fn hidden_mode(arguments: &[OsString]) -> Option<ExitCode> {
    let (mode, arguments) = arguments.split_first()?;
    (mode == MODE).then(|| match run(arguments.to_vec()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run(argv: Vec<OsString>) -> anyhow::Result<()> {
    sys::title::set_name("arbiter");
    let result = sys::fd::adopt_inherited(&[DESCRIPTOR])?.pop().context("no descriptor for the result")?;
    let cwd = std::env::current_dir().context("cannot read the current directory")?;
    let resolution = config::resolve(&config::Input { argv, env: sys::launch::own_environment(), cwd });
    let mut file = File::from(result);
    std::io::Write::write_all(&mut file, &proto::codec::encode(&resolution))?;
    sys::memfd::seal(&file)?;
    Ok(())
}
