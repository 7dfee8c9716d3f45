//! Web servers with workers, for clients to ask while something happens to them.

use super::ctl;
use crate::process::{Process, log_tail, wait_until};
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use std::time::Duration;
use tempfile::TempDir;

/// gunicorn's application.
const APPLICATION: &str = include_str!("../../peer/web.py");
/// The directory's file that makes new workers fail.
const BROKEN: &str = "broken";
/// The master's pidfile in the directory; while there are two masters the second's ends with `.2`.
const PIDFILE: &str = "pid";
/// What a person waits before the old master is told to stop, where the new one cannot say that it serves.
const LOOK_FIRST: Duration = Duration::from_millis(500);
const SIGHUP: i32 = 1;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// Longer than any worker takes to end after a reload.
const PATIENCE: Duration = Duration::from_secs(40);

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One server process, its own master: nothing can happen to it.
    Bare,
    /// arbiter with `web-worker`.
    Arbiter,
    /// gunicorn with sync workers, its default.
    Gunicorn,
    /// gunicorn with workers of four threads, which keep connections.
    GunicornThreads,
}

/// What is served how.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub workers: usize,
    /// How long a worker needs before it serves.
    pub boot: Duration,
    /// Each worker ends with status 1 at once.
    pub crashing: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { workers: 2, boot: Duration::ZERO, crashing: false }
    }
}

/// A running server.
pub struct Web {
    // In this order: the process ends before its directory goes.
    process: Process,
    directory: TempDir,
    kind: Kind,
    workers: usize,
    /// The master after an upgrade: no child of ours.
    successor: Option<(i32, OwnedFd)>,
}

impl Web {
    /// Returns when it answers, or, if its workers crash, at once.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(programs: &Programs, kind: Kind, setup: Setup) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        let argv = match kind {
            Kind::Bare => vec![programs.web_worker.clone().into(), "--bind".into(), "127.0.0.1:0".into()],
            Kind::Arbiter => {
                std::fs::write(directory.path().join("arbiter.toml"), configuration(programs, setup)?)?;
                vec![programs.arbiter.clone().into(), "-c".into(), "arbiter.toml".into()]
            }
            Kind::Gunicorn | Kind::GunicornThreads => {
                std::fs::write(directory.path().join("web.py"), APPLICATION)?;
                gunicorn(programs, kind, setup)
            }
        };
        let argv: Vec<_> = argv.iter().map(OsString::as_os_str).collect();
        let boot = setup.boot.as_secs_f64().to_string();
        let mut environment =
            vec![("RUNTIME_DIRECTORY", directory.path().as_os_str()), ("BOOT", boot.as_ref())];
        if setup.crashing {
            environment.push(("EXIT", "1".as_ref()));
        }
        let process = Process::start(directory.path(), &argv, &environment)?;
        let mut web = Self { process, directory, kind, workers: setup.workers, successor: None };
        if !setup.crashing {
            let ready = web.wait_until_ready();
            ready.with_context(|| log_tail(web.directory.path()))?;
        }
        Ok(web)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let directory = self.directory.path().to_owned();
        let workers = self.workers;
        let (marker, count) = match self.kind {
            Kind::Bare => ("listening at", 1),
            Kind::Arbiter => (": ready", workers),
            Kind::Gunicorn | Kind::GunicornThreads => ("Booting worker", workers),
        };
        let waited = self.process.wait_for("a server was up", || {
            Ok((log(&directory).matches(marker).count() >= count).then_some(()))
        });
        waited?;
        // gunicorn says nothing once a worker serves: a good answer does.
        tests::traffic::Client::new(self.address()?, false, PATIENCE).ask("/");
        Ok(())
    }

    /// The master's number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.successor.as_ref().map_or_else(|| self.process.pid(), |(pid, _)| *pid)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Its log does not say.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let log = log(self.directory.path());
        let word = log.split_whitespace().find_map(|word| {
            let word = word.split_once("127.0.0.1:").map(|(_, port)| format!("127.0.0.1:{port}"))?;
            word.trim_end_matches([',', '/', ')', '"']).parse().ok()
        });
        word.with_context(|| format!("the log names no address: {}", log_tail(self.directory.path())))
    }

    /// How often the log says that a worker was started.
    #[must_use]
    pub fn starts(&self) -> usize {
        let marker = if self.kind == Kind::Arbiter { ": started, pid" } else { "Booting worker" };
        log(self.directory.path()).matches(marker).count()
    }

    /// The workers that live now.
    #[must_use]
    pub fn workers(&self) -> Vec<i32> {
        let children = sys::procfs::children_of(self.pid()).into_iter();
        let is_worker = |pid: &i32| {
            let alive = sys::procfs::stat(*pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'));
            alive && (self.kind != Kind::Arbiter || sys::procfs::comm(*pid).as_deref() == Some("web-worker"))
        };
        children.filter(is_worker).collect()
    }

    /// Whether the server lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        sys::procfs::stat(self.pid()).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// Waits until the master has ended, at most this long.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn ends_within(&mut self, time: Duration) -> anyhow::Result<bool> {
        Ok(self.process.ends_within(time)?)
    }

    /// Sends the master a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, number: i32) -> anyhow::Result<()> {
        Ok(sys::process::send_signal(self.pid(), number)?)
    }

    /// Asks for a reload.
    ///
    /// # Errors
    /// The master has ended.
    pub fn ask_to_reload(&self) -> anyhow::Result<()> {
        self.signal(SIGHUP)
    }

    /// A whole reload: until all workers are new and the old ones have gone.
    ///
    /// # Errors
    /// That does not happen.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        let before = self.workers();
        self.ask_to_reload()?;
        wait_until("all workers are new", PATIENCE, || {
            let now = self.workers();
            Ok(now.len() == self.workers && now.iter().all(|pid| !before.contains(pid)))
        })
        .with_context(|| log_tail(self.directory.path()))
    }

    /// An upgrade in place.
    ///
    /// # Errors
    /// It is refused, or another process serves afterwards.
    pub fn replace(&self, programs: &Programs) -> anyhow::Result<()> {
        self.ctl(programs, &["upgrade"]).map(drop)
    }

    /// A whole run of arbiterctl; what it said.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, programs: &Programs, words: &[&str]) -> anyhow::Result<Vec<u8>> {
        Ok(ctl::run(programs, &self.socket(), words)?.stdout)
    }

    /// The manager's number.
    ///
    /// # Errors
    /// `status` fails or does not name it.
    pub fn manager(&self, programs: &Programs) -> anyhow::Result<i32> {
        ctl::manager(&ctl::status(programs, &self.socket())?)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// How long nothing was handled at each upgrade in place, in milliseconds, as the log tells.
    #[must_use]
    pub fn gaps(&self) -> Option<Vec<f64>> {
        let log = log(self.directory.path());
        let told = log.lines().filter(|line| line.contains("goes on in the place of the one before"));
        told.map(|line| line.rsplit_once("after ")?.1.strip_suffix(" ms")?.parse().ok()).collect()
    }

    /// A whole upgrade: USR2, a second master that serves, and the end of the first.
    ///
    /// # Errors
    /// That does not happen.
    pub fn upgrade(&mut self) -> anyhow::Result<()> {
        let (marker, each) = match self.kind {
            Kind::Arbiter => ("workers ready", 1),
            Kind::Bare | Kind::Gunicorn | Kind::GunicornThreads => ("Booting worker", self.workers),
        };
        let directory = self.directory.path().to_owned();
        let said = || log(&directory).matches(marker).count();
        let (old, begun) = (self.pid(), said());
        let second = format!("{PIDFILE}.2");
        self.signal(SIGUSR2)?;
        wait_until("a second master serves", PATIENCE, || {
            Ok(pid_in(&directory, &second).is_some() && said() >= begun + each)
        })?;
        if self.kind != Kind::Arbiter {
            std::thread::sleep(LOOK_FIRST);
        }
        let new = pid_in(&directory, &second).context("the second master has ended")?;
        let new = (new, sys::pidfd::open(new)?);
        self.signal(SIGTERM)?;
        match self.successor.replace(new) {
            None if self.process.ends_within(PATIENCE)? => {}
            None => bail!("the first master does not end"),
            Some((_, pidfd)) => {
                wait_until("the old master ends", PATIENCE, || Ok(sys::pidfd::has_ended(&pidfd)?))?
            }
        }
        wait_until("the new master is in charge", PATIENCE, || {
            Ok(pid_in(&directory, PIDFILE).is_some_and(|pid| pid != old))
        })
    }

    /// From now on new workers fail, as with broken code.
    ///
    /// # Errors
    /// The disk is full.
    pub fn break_code(&self) -> anyhow::Result<()> {
        Ok(std::fs::write(self.directory.path().join(BROKEN), "")?)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let Some((_, pidfd)) = &self.successor else { return };
        // It may have ended by itself.
        let _ = sys::pidfd::send_signal(pidfd, SIGTERM);
        if wait_until("it ends", PATIENCE, || Ok(sys::pidfd::has_ended(pidfd)?)).is_err() {
            let _ = sys::pidfd::send_signal(pidfd, SIGKILL);
        }
    }
}

fn pid_in(directory: &Path, pidfile: &str) -> Option<i32> {
    std::fs::read_to_string(directory.join(pidfile)).ok()?.trim().parse().ok()
}

fn log(directory: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(directory.join("log")).unwrap_or_default()).into_owned()
}

fn configuration(programs: &Programs, setup: Setup) -> anyhow::Result<String> {
    let worker = programs.web_worker.display();
    let (boot, workers) = (setup.boot.as_secs_f64(), setup.workers);
    let mut text = String::from(
        "name = \"bench\"\npidfile = \"pid\"\n[control]\nsocket = \"control.sock\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n",
    );
    let more = if setup.crashing { ", \"--exit\", \"1\"" } else { "" };
    write!(
        text,
        "[workers]\ncount = {workers}\n\
         command = [\"{worker}\", \"--boot\", \"{boot}\", \"--exit-if\", \"{BROKEN}\"{more}]\n"
    )?;
    Ok(text)
}

fn gunicorn(programs: &Programs, kind: Kind, setup: Setup) -> Vec<OsString> {
    let workers = setup.workers.to_string();
    let mut words = vec![
        "--bind",
        "127.0.0.1:0",
        "--control-socket",
        "control.sock",
        "--pid",
        PIDFILE,
        "--workers",
        &workers,
        "web",
    ];
    if kind == Kind::GunicornThreads {
        words.extend(["--worker-class", "gthread", "--threads", "4"]);
    }
    std::iter::once(programs.gunicorn.clone().into()).chain(words.into_iter().map(OsString::from)).collect()
}
