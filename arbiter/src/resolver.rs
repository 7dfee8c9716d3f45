//! Reading the configuration, in a child of its own.
//!
//! A file on a dead disk, a slow name service or a parser's memory must not touch arbiter. So arbiter runs
//! its own program once more in a hidden mode; that child reads and checks everything and leaves the result
//! in a memory file.

use crate::config;
use crate::upgrade::SavedOrigin;
use anyhow::{Context, anyhow, bail};
use proto::spec::{Change, CompanionsSpec, Resolution};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use sys::launch::Environment;
use sys::spawn::{Command, Spawned};

/// How long reading the configuration may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The hidden mode's name on the command line; what follows are arbiter's own directory and arguments.
const MODE: &str = "--resolve-into-descriptor-3";
/// The memory file's descriptor in the child; the two after it hold the companions in force and a change of them,
/// or nothing.
const DESCRIPTOR: i32 = 3;
/// The most a result may take: a million companions would fit.
const RESULT_MAX: usize = 1 << 30;

/// How arbiter was started: enough to read its configuration again.
#[derive(Debug)]
pub struct Origin {
    /// arbiter's own program.
    pub image: File,
    /// Where it was found: what is installed there now may be another.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
    /// Its directory.
    pub directory: OsString,
}

/// What else a reading is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Companions<'a> {
    /// The specification of the companions in force: what was loaded at run time stays.
    pub in_force: Option<BorrowedFd<'a>>,
    /// Not the configuration is read, but this.
    pub change: Option<&'a Change>,
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
        let image = File::open("/proc/self/exe").context("cannot open arbiter's own program")?;
        let mut environment = sys::launch::own_environment();
        environment.remove(OsStr::new(proto::handover::VARIABLE));
        let directory = directory(&environment)?;
        let program = program_path(&image, &environment, &directory)?;
        Ok(Self { image, program, arguments, environment, directory: directory.into() })
    }

    /// How arbiter was started, as the program before this one has kept it.
    ///
    /// # Errors
    /// This program cannot be opened.
    pub(crate) fn kept(saved: &SavedOrigin) -> anyhow::Result<Self> {
        Ok(Self {
            image: File::open("/proc/self/exe").context("cannot open arbiter's own program")?,
            program: saved.program(),
            arguments: saved.arguments(),
            environment: saved.environment(),
            directory: saved.directory(),
        })
    }

    /// Starts the child. A reload names the configuration file in force, so that the one that was found at
    /// the start stays the one that is read.
    ///
    /// # Errors
    /// No process or memory is to be had.
    pub fn resolve(&self, in_force: Option<&str>, companions: Companions<'_>) -> anyhow::Result<Job> {
        let result = sys::memfd::writable(c"configuration").context("cannot create a memory file")?;
        let null = sys::fd::null().context("cannot open /dev/null")?;
        let change =
            companions.change.map(|change| sys::memfd::sealed(c"change", &proto::codec::encode(change)));
        let change = change.transpose().context("cannot create a memory file")?;
        let errors = std::io::stderr();
        let file = in_force.map(|file| ["-c".into(), file.into()]).into_iter().flatten();
        let words = ["arbiter".into(), MODE.into(), self.directory.clone()];
        let words = words.into_iter().chain(file).chain(self.arguments.iter().cloned());
        let command = Command {
            image: Some(self.image.as_fd()),
            argv: words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
            env: self.environment.iter().map(pair).collect::<Result<_, _>>()?,
            fds: vec![
                (null.as_fd(), 0),
                (null.as_fd(), 1),
                (errors.as_fd(), 2),
                (result.as_fd(), DESCRIPTOR),
                (companions.in_force.unwrap_or(null.as_fd()), DESCRIPTOR + 1),
                (change.as_ref().map_or(null.as_fd(), AsFd::as_fd), DESCRIPTOR + 2),
            ],
            cwd: Some(c"/".to_owned()),
            parent_death_signal: Some(9),
            ..Command::default()
        };
        let spawned =
            sys::spawn::spawn(&command).context("cannot start a process to read the configuration")?;
        Ok(Job { spawned, result })
    }
}

impl Origin {
    /// Starts arbiter's own program with these arguments of a hidden mode, for what may have to wait.
    ///
    /// # Errors
    /// No process is to be had.
    pub fn start_helper(&self, words: &[OsString]) -> anyhow::Result<Spawned> {
        let null = sys::fd::null().context("cannot open /dev/null")?;
        let errors = std::io::stderr();
        let words = std::iter::once(OsStr::new("arbiter")).chain(words.iter().map(AsRef::as_ref));
        let command = Command {
            image: Some(self.image.as_fd()),
            argv: words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
            env: self.environment.iter().map(pair).collect::<Result<_, _>>()?,
            fds: vec![(null.as_fd(), 0), (null.as_fd(), 1), (errors.as_fd(), 2)],
            parent_death_signal: Some(9),
            ..Command::default()
        };
        Ok(sys::spawn::spawn(&command)?)
    }
}

/// The directory this process is in, by the name that its shell has for it, so that a symbolic link on the way that
/// is switched later is followed. Without a shell, or where the name means another one, its plain path.
fn directory(environment: &Environment) -> anyhow::Result<PathBuf> {
    let named = environment.get(OsStr::new("PWD")).map(Path::new);
    let named = named
        .filter(|path| path.is_absolute() && !path.components().any(|part| part == Component::ParentDir));
    let identity = |path: &Path| Some(path.metadata().ok()?).map(|found| (found.dev(), found.ino()));
    match named {
        Some(path) if identity(path).is_some_and(|found| Some(found) == identity(Path::new("."))) => {
            Ok(path.into())
        }
        _ => std::env::current_dir().context("cannot read the current directory"),
    }
}

/// The path arbiter was started by, made absolute, so that whatever is put there later can be started by it:
/// a symbolic link that is switched is followed. Where that path cannot be told, the program's own.
fn program_path(image: &File, environment: &Environment, directory: &Path) -> anyhow::Result<OsString> {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = environment.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let own = sys::fd::identity(image).context("cannot look at arbiter's own program")?;
    let candidates = sys::launch::candidates(&called.to_string_lossy(), path).into_iter();
    let is_own = |path: &PathBuf| {
        File::open(path).is_ok_and(|file| sys::fd::identity(&file).is_ok_and(|found| found == own))
    };
    let found = candidates.map(|path| directory.join(OsString::from_vec(path))).find(is_own);
    let found = found.map_or_else(std::env::current_exe, Ok).context("cannot find arbiter's own program")?;
    Ok(found.into())
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
    let (mode, words) = arguments.split_first()?;
    (mode == MODE).then(|| match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run(words: &[OsString]) -> anyhow::Result<()> {
    sys::title::set_name("arbiter");
    let (directory, argv) = words.split_first().context("no directory is named")?;
    let inherited = sys::fd::adopt_inherited(&[DESCRIPTOR, DESCRIPTOR + 1, DESCRIPTOR + 2])?;
    let [result, in_force, change]: [OwnedFd; 3] =
        inherited.try_into().map_err(|_| anyhow!("no descriptors for the result and what it is about"))?;
    let in_force = held(&in_force).map(|bytes| proto::codec::decode_bulk::<CompanionsSpec>(&bytes));
    let in_force =
        in_force.transpose().context("the companions in force are unreadable")?.unwrap_or_default();
    let change = held(&change).map(|bytes| proto::codec::decode_bulk::<Change>(&bytes));
    let env = sys::launch::own_environment();
    let (argv, cwd) = (argv.to_vec(), enter(directory));
    let loaded = in_force.companions.iter().filter(|companion| companion.loaded).cloned().collect();
    let input = config::Input { argv, env, cwd, loaded };
    let resolution = match change.transpose().context("the change is unreadable")? {
        Some(change) => config::change(&input, in_force, &change),
        None => config::resolve(&input),
    };
    let mut file = File::from(result);
    std::io::Write::write_all(&mut file, &proto::codec::encode(&resolution))?;
    sys::memfd::seal(&file)?;
    Ok(())
}

/// Goes to the directory arbiter was started in. That may have gone: then whatever needs it says so.
pub(crate) fn enter(directory: &OsStr) -> PathBuf {
    let _ = std::env::set_current_dir(directory);
    directory.into()
}

/// What a sealed memory file holds; `None` when it is something else: there was nothing to tell.
fn held(fd: &OwnedFd) -> Option<Vec<u8>> {
    sys::memfd::read_sealed(fd, RESULT_MAX).ok()
}
