//! A daemon with many processes, of each breed the same: the worker that stamps, and dies of TERM at once.

use crate::book::{Book, Entry};
use crate::process::{Process, log_tail};
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Far more than the slowest takes for a thousand.
const LONG: Duration = Duration::from_secs(240);
const SIGTERM: i32 = 15;

/// Whose daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breed {
    BareVfork,
    BareFork,
    /// A companion for each process.
    Arbiter,
    /// A program for each process.
    Supervisord,
    /// A watcher that has all processes.
    Circus,
    /// A service directory for each process.
    S6,
}

impl Breed {
    /// In the order in which they have their turns.
    pub const ALL: [Self; 6] =
        [Self::BareVfork, Self::BareFork, Self::Arbiter, Self::S6, Self::Circus, Self::Supervisord];

    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BareVfork => "bare-vfork",
            Self::BareFork => "bare-fork",
            Self::Arbiter => "arbiter",
            Self::Supervisord => "supervisord",
            Self::Circus => "circusd",
            Self::S6 => "s6-svscan",
        }
    }
}

/// A running daemon and its processes.
pub struct Fleet {
    // In this order: the process ends before its directory goes.
    process: Process,
    directory: TempDir,
    book: Book,
    count: usize,
    born: usize,
    living: Vec<Entry>,
}

impl Fleet {
    /// Starts it; returns when all `count` have lived, and how long the last one's first act took from the
    /// daemon's own start.
    ///
    /// # Errors
    /// They do not live.
    pub fn start(programs: &Programs, breed: Breed, count: usize) -> anyhow::Result<(Self, Duration)> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        let book = Book::create(directory.path())?;
        let argv = prepare(programs, breed, count, directory.path())?;
        let argv: Vec<&OsStr> = argv.iter().map(|word| word.as_os_str()).collect();
        let environment =
            [("BENCH_BOOK", book.path().as_os_str()), ("RUNTIME_DIRECTORY", directory.path().as_os_str())];
        let begun = sys::clock::monotonic();
        let process = Process::start(directory.path(), &argv, &environment)?;
        let mut fleet = Self { process, directory, book, count, born: 0, living: Vec::new() };
        let last = fleet.await_births().with_context(|| breed.name())?;
        Ok((fleet, last.saturating_sub(begun)))
    }

    /// The daemon's number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The processes that have lived last.
    #[must_use]
    pub fn living(&self) -> &[Entry] {
        &self.living
    }

    /// Where its control socket is, if it has one.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// A whole run of a client, in the daemon's directory.
    ///
    /// # Errors
    /// It fails.
    pub fn ask(&self, client: &mut Command) -> anyhow::Result<()> {
        let output = client.current_dir(self.directory.path()).output()?;
        if !output.status.success() {
            bail!("{client:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The daemon and all others of its tree that are none of the processes it keeps.
    #[must_use]
    pub fn daemons(&self) -> Vec<i32> {
        let kept: HashSet<i32> = self.living.iter().map(|entry| entry.pid).collect();
        let mut found = vec![self.process.pid()];
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(sys::procfs::children_of(pid).into_iter().filter(|child| !kept.contains(child)));
            next += 1;
        }
        found
    }

    /// Kills all of them in one go; returns when as many have lived again, and how long the last one's first
    /// act took from the first kill.
    ///
    /// # Errors
    /// They do not live again.
    pub fn kill_all(&mut self) -> anyhow::Result<Duration> {
        let begun = sys::clock::monotonic();
        for entry in &self.living {
            sys::process::send_signal(entry.pid, super::SIGKILL)?;
        }
        Ok(self.await_births()?.saturating_sub(begun))
    }

    /// Tells the daemon to stop; how long until it has ended, and with it all others.
    ///
    /// # Errors
    /// It does not, or leaves somebody.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let begun = sys::clock::monotonic();
        sys::process::send_signal(self.process.pid(), SIGTERM)?;
        if !self.process.ends_within(LONG)? {
            bail!("it does not stop: {}", log_tail(self.directory.path()));
        }
        let took = sys::clock::monotonic().saturating_sub(begun);
        let left = self.living.iter().filter(|entry| sys::procfs::stat(entry.pid).is_some()).count();
        if left > 0 {
            bail!("it left {left} processes behind");
        }
        Ok(took)
    }

    fn await_births(&mut self) -> anyhow::Result<Duration> {
        let born = self.born + self.count;
        let entries = self.book.wait_for(born, LONG).with_context(|| log_tail(self.directory.path()))?;
        if entries.len() > born {
            bail!("{} processes were born, {born} were due", entries.len());
        }
        self.living = entries[self.born..].to_vec();
        self.born = born;
        self.living.iter().map(|entry| entry.born).max().context("there are none")
    }
}

/// Writes what the daemon reads; its words.
fn prepare(
    programs: &Programs,
    breed: Breed,
    count: usize,
    directory: &Path,
) -> anyhow::Result<Vec<std::ffi::OsString>> {
    let worker = &programs.stamp_worker;
    let bare = |how: &str| {
        Ok(vec![programs.bare_fleet.clone().into(), how.into(), worker.into(), count.to_string().into()])
    };
    match breed {
        Breed::BareVfork => bare("vfork"),
        Breed::BareFork => bare("fork"),
        Breed::Arbiter => {
            let mut text = "name = \"bench\"\n[control]\nsocket = \"control.sock\"\n".to_owned();
            for number in 1..=count {
                write!(text, "[companion.side{number}]\ncommand = [\"{}\"]\n", worker.display())?;
            }
            std::fs::write(directory.join("arbiter.toml"), text)?;
            Ok(vec![programs.arbiter.clone().into(), "-c".into(), "arbiter.toml".into()])
        }
        Breed::Supervisord => {
            let text = format!(
                "[supervisord]\nnodaemon=true\nlogfile=supervisord.log\npidfile=supervisord.pid\nminfds=8192\n\
                 [unix_http_server]\nfile=control.sock\n[supervisorctl]\nserverurl=unix://control.sock\n\
                 [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
                 [program:side]\ncommand={}\nnumprocs={count}\nnumprocs_start=1\nautorestart=true\n\
                 process_name=side%(process_num)d\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
                worker.display()
            );
            std::fs::write(directory.join("supervisord.conf"), text)?;
            Ok(vec![programs.supervisord.clone().into(), "-c".into(), "supervisord.conf".into()])
        }
        Breed::Circus => {
            let text = format!(
                "[circus]\nendpoint=ipc://control.sock\npubsub_endpoint=ipc://events.sock\nloglevel=error\n\
                 [watcher:side]\ncmd={}\nnumprocesses={count}\ncopy_env=True\n",
                worker.display()
            );
            std::fs::write(directory.join("circus.ini"), text)?;
            Ok(vec![programs.circusd.clone().into(), "circus.ini".into()])
        }
        Breed::S6 => {
            for number in 1..=count {
                let service = directory.join(format!("scan/side{number}"));
                std::fs::create_dir_all(&service)?;
                std::os::unix::fs::symlink(worker, service.join("run"))?;
            }
            let most = (count + 1).to_string();
            let s6 = programs.s6.as_ref().context("s6 is not installed")?;
            Ok(vec![s6.join("s6-svscan").into(), "-c".into(), most.into(), "scan".into()])
        }
    }
}
