//! From the command line to a running loop.

use crate::daemon::{self, Launcher};
use crate::handover::Predecessor;
use crate::listeners::{Listeners, Passed};
use crate::master::EXIT_CANNOT_START;
use crate::resolver::{self, Origin};
use crate::runtime::{self, Charge, NotifyDirectory, Pidfile, Running};
use crate::shell::{Held, Shell, manager_beside, no_log};
use crate::upgrade::{self, Arrival};
use anyhow::Context;
use proto::spec::{LogTarget, MasterSpec, Resolution};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use supervise::signal::SIGCHLD;

/// The program: reads the configuration, opens what it needs, runs until it is told to stop.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    sys::memory::begin();
    let hidden = sys::launch::launcher(&arguments)
        .or_else(|| resolver::hidden_mode(&arguments))
        .or_else(|| sys::usage::hidden_mode(&arguments))
        .or_else(|| upgrade::hidden_mode(&arguments))
        .or_else(|| runtime::hidden_mode(&arguments));
    if let Some(code) = hidden {
        return code;
    }
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            print(std::io::stderr(), &format!("arbiter: {error:#}\n"));
            ExitCode::from(EXIT_CANNOT_START)
        }
    }
}

fn run(arguments: Vec<OsString>) -> anyhow::Result<u8> {
    if let Some(arrival) = Arrival::take()? {
        arrival.way_back.need(start_log(&arrival.state.master.spec));
        return Shell::arrive(arrival).run();
    }
    keep_signals()?;
    // Before anything else is open: they are known by their numbers alone.
    let passed = Passed::take_all()?;
    let predecessor = Predecessor::take()?;
    let (launcher, arguments) = Launcher::take(arguments)?;
    sys::fd::fill_standard_streams().context("cannot open /dev/null")?;
    let origin = Origin::of_this_process(arguments)?;
    match origin.resolve(None, resolver::Companions::default())?.wait()? {
        Resolution::Companions { .. } => anyhow::bail!("nothing was to be changed"),
        Resolution::Print { stdout, stderr, code } => {
            print(std::io::stdout(), &stdout);
            print(std::io::stderr(), &stderr);
            Ok(code)
        }
        Resolution::Run { master, .. } if master.daemon && launcher.is_none() => {
            daemon::launch(&origin, &passed)
        }
        Resolution::Run { mut master, companions } => {
            start_log(&master)?;
            let mut predecessor = predecessor;
            let held = hold(&mut master, companions, passed, launcher, predecessor.as_mut(), &origin)?;
            Shell::new(*master, origin, held, predecessor)?.run()
        }
    }
}

/// As the first process of a container arbiter would never hear of a signal that comes before its handlers are
/// there: the kernel drops what has no handler then. Blocked ones are kept until the loop begins. And where
/// whoever started arbiter ignores SIGCHLD, the kernel would keep no child's end for it.
fn keep_signals() -> anyhow::Result<()> {
    if sys::process::pid() == 1 {
        sys::signals::block_all().context("cannot block signals")?.keep();
    }
    sys::signals::restore(SIGCHLD).context("cannot hear of the ends of children")
}

/// Opens everything that is there for arbiter's whole life. The specification gets a listener for each passed
/// socket that it has none for.
fn hold(
    master: &mut MasterSpec,
    companions: Vec<u8>,
    passed: Vec<Passed>,
    launcher: Option<Launcher>,
    predecessor: Option<&mut Predecessor>,
    origin: &Origin,
) -> anyhow::Result<Held> {
    let outputs = match &launcher {
        Some(_) => Launcher::outputs()?,
        None => [sys::fd::duplicate(std::io::stdout())?, sys::fd::duplicate(std::io::stderr())?],
    };
    if launcher.is_some() && master.log.target == LogTarget::Stderr && daemon::is_lost(&outputs[1]) {
        tracing::warn!("in the background nobody will see the log: set log.file");
    }
    sys::process::become_subreaper().context("cannot become the reaper of what children leave behind")?;
    let nofile = sys::process::raise_nofile().context("cannot raise the limit of open files")?;
    let is_second = predecessor.is_some();
    // First, and gone last: whoever has it is alone with all other files.
    let Charge { lock, may_serve } =
        if is_second { Charge { lock: None, may_serve: false } } else { runtime::take_charge(master)? };
    let mut running = Running::default();
    if let Some(lock) = &lock {
        runtime::end_leftovers(lock.path())?;
        if let Err(error) = running.put_beside(lock) {
            tracing::warn!("no list of what runs beside {}: {error}", lock.path().display());
        }
    }
    let create = if is_second { Pidfile::create_beside } else { Pidfile::create };
    let pidfile = master.pidfile.as_deref().map(create).transpose()?;
    let control = if may_serve { runtime::open_control(&master.control)? } else { None };
    let mut listeners = match predecessor {
        Some(predecessor) => std::mem::take(&mut predecessor.listeners),
        None => Listeners::passed(passed.into_iter().map(Passed::into_listener).collect::<Result<_, _>>()?),
    };
    listeners.complete(master);
    listeners.open(master).map_err(anyhow::Error::msg)?;
    let notify = NotifyDirectory::create(&origin.environment)?;
    let companions = sys::memfd::sealed(c"companions", &companions).context("cannot create a memory file")?;
    let manager = manager_beside(&std::env::current_exe().context("cannot find arbiter's own program")?)?;
    Ok(Held {
        lock,
        running,
        launcher,
        outputs,
        pidfile,
        control,
        listeners,
        notify,
        companions,
        nofile,
        manager,
    })
}

fn start_log(master: &MasterSpec) -> anyhow::Result<()> {
    sys::log::init((&master.log).into()).with_context(|| no_log(&master.log))
}

/// Writes an answer; a reader that has gone away is no error.
fn print(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}
