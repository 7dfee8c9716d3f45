//! From the command line to a running loop.

use crate::listeners::{Listeners, Passed};
use crate::resolver::{self, Origin};
use crate::runtime::{self, NotifyDirectory, Pidfile};
use crate::shell::{Held, Shell};
use anyhow::Context;
use proto::spec::{LogTarget, MasterSpec, Resolution};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// The exit status when arbiter cannot start.
const EXIT_CANNOT_START: u8 = 1;

/// The program: reads the configuration, opens what it needs, runs until it is told to stop.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(code) = resolver::hidden_mode(&arguments) {
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
    // Before anything else is open: they are known by their numbers alone.
    let passed = Passed::take_all()?;
    sys::fd::fill_standard_streams().context("cannot open /dev/null")?;
    let origin = Origin::of_this_process(arguments)?;
    match origin.resolve(None)?.wait()? {
        Resolution::Print { stdout, stderr, code } => {
            print(std::io::stdout(), &stdout);
            print(std::io::stderr(), &stderr);
            Ok(code)
        }
        Resolution::Run { mut master, companions } => {
            start_log(&master)?;
            let held = hold(&mut master, companions, passed, &origin)?;
            Shell::new(*master, origin, held)?.run()
        }
    }
}

/// Opens everything that is there for arbiter's whole life. The specification gets a listener for each passed
/// socket that it has none for.
fn hold(
    master: &mut MasterSpec,
    companions: Vec<u8>,
    passed: Vec<Passed>,
    origin: &Origin,
) -> anyhow::Result<Held> {
    sys::process::become_subreaper().context("cannot become the reaper of what children leave behind")?;
    let nofile = sys::process::raise_nofile().context("cannot raise the limit of open files")?;
    let pidfile = master.pidfile.as_deref().map(Pidfile::create).transpose()?;
    let control = runtime::open_control(&master.control)?;
    let passed: Vec<_> = passed.into_iter().map(Passed::into_listener).collect::<Result<_, _>>()?;
    let mut listeners = Listeners::passed(passed);
    listeners.complete(&mut master.listeners);
    listeners.open(&master.listeners).map_err(anyhow::Error::msg)?;
    let notify = NotifyDirectory::create(&origin.environment)?;
    let companions = sys::memfd::sealed(c"companions", &companions).context("cannot create a memory file")?;
    Ok(Held { pidfile, control, listeners, notify, companions, nofile })
}

fn start_log(master: &MasterSpec) -> anyhow::Result<()> {
    sys::log::init((&master.log).into()).with_context(|| match &master.log.target {
        LogTarget::File(path) => format!("cannot open the log {path}"),
        LogTarget::Stderr => "cannot write to standard error".into(),
    })
}

/// Writes an answer; a reader that has gone away is no error.
fn print(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}
