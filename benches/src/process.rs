//! A process that is ours: told to end with its handle, and by the kernel when this program is killed.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use sys::children::Children;
use sys::reactor::{Interest, Reactor, Token};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// How long a contestant has to stop by itself. Longer than any of them takes.
const STOP: Duration = Duration::from_secs(15);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(2);
/// How much of a log is shown when something goes wrong.
const TAIL: usize = 2000;

/// A running contestant. What it says goes to a file.
pub struct Process {
    pid: i32,
    children: Children<()>,
    reactor: Reactor,
}

impl Process {
    /// Starts `argv` in `directory` with `env` over this program's environment; its output goes to `log`
    /// there. To be called in the main thread, with which it ends.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(directory: &Path, argv: &[&OsStr], env: &[(&str, &OsStr)]) -> anyhow::Result<Self> {
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        environment.extend(env.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let argv = argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let null = sys::fd::null()?;
        let log = std::fs::File::create(directory.join("log")).context("cannot create a log")?;
        let command = sys::spawn::Command {
            candidates: argv.first().cloned().into_iter().collect(),
            argv,
            env: environment
                .iter()
                .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
                .collect::<Result<_, _>>()?,
            fds: vec![(null.as_fd(), 0), (log.as_fd(), 1), (log.as_fd(), 2)],
            cwd: Some(CString::new(directory.as_os_str().as_bytes())?),
            parent_death_signal: Some(SIGTERM),
            ..sys::spawn::Command::default()
        };
        let spawned = sys::spawn::spawn(&command).context("cannot start a contestant")?;
        let reactor = Reactor::new()?;
        reactor.register(&spawned.pidfd, Token(0), Interest::READ)?;
        let mut children = Children::new();
        children.insert((), spawned.pid, spawned.pidfd);
        Ok(Self { pid: spawned.pid, children, reactor })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Looks with `probe` until it answers something.
    ///
    /// # Errors
    /// The process ends before, or ten seconds are over.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = sys::clock::monotonic() + Duration::from_secs(10);
        while sys::clock::monotonic() < deadline {
            if let Some(found) = probe()? {
                return Ok(found);
            }
            if self.ends_within(Duration::from_millis(20))? {
                bail!("a contestant ended before {what}");
            }
        }
        bail!("{what} took more than 10 s")
    }

    /// Asks it to stop, and kills it if it does not.
    fn end(&mut self) -> io::Result<()> {
        self.children.signal((), SIGTERM)?;
        if !self.ends_within(STOP)? {
            self.children.signal_group((), SIGKILL)?;
            self.ends_within(STOP)?;
        }
        self.children.reap(()).map(drop)
    }

    /// Whether it ends, or has ended, within this time.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn ends_within(&mut self, time: Duration) -> io::Result<bool> {
        self.reactor.wait(Some(time))?;
        Ok(self.children.peek(())?.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to be done about one that cannot even be killed.
        let _ = self.end();
    }
}

/// Looks with `probe` until it says yes.
///
/// # Errors
/// It fails, or has not said so within `limit`.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = sys::clock::monotonic() + limit;
    while !probe()? {
        if sys::clock::monotonic() > deadline {
            bail!("waited {limit:?} in vain until {what}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The end of the log in `directory`, for an error.
#[must_use]
pub fn log_tail(directory: &Path) -> String {
    let text = std::fs::read(directory.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned()
}
