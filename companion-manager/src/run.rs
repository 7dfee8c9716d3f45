//! The start, and the loop.

use crate::shell::{Beginning, Coming, SIGNALS, Shell, Sockets, Source};
use anyhow::{Context, bail};
use proto::codec;
use proto::link::{Boot, CapturedPipe, Channel, MAX_DATAGRAM, MasterStatus, Saved, ToManager, manager_title};
use proto::spec::CompanionsSpec;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use supervise::RunId;
use sys::control::ControlListener;
use sys::reactor::{Interest, Reactor};
use sys::seqpacket::{Link, Received};
use sys::signals::Signals;

/// The descriptor in which arbiter passes the link.
const LINK: i32 = 3;
/// The largest specification or state that is believed.
const BULK_MAX: usize = 1 << 30;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    sys::memory::begin();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let hidden = sys::launch::launcher(&arguments).or_else(|| sys::usage::hidden_mode(&arguments));
    if let Some(code) = hidden {
        return code;
    }
    if arguments.first().is_some_and(|word| word == "--version") {
        return say_version();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where the log is not open yet, the subscriber is missing and standard error is all there is.
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// For an arbiter that is about to start it.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say_version() -> ExitCode {
    println!("companion-manager {}", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the log may not be open when the start fails")]
fn report(error: &anyhow::Error) {
    eprintln!("companion-manager: {error:#}");
}

fn run() -> anyhow::Result<()> {
    let Some(beginning) = receive_beginning()? else { return Ok(()) };
    let mut shell = Shell::begin(beginning).context("cannot begin")?;
    while shell.step().context("the loop failed")? {}
    Ok(())
}

/// Waits for arbiter's first words. `None`: it went before it said them.
fn receive_beginning() -> anyhow::Result<Option<Beginning>> {
    sys::fd::fill_standard_streams().context("cannot open /dev/null")?;
    let inherited = sys::fd::adopt_inherited(&[LINK]);
    let link =
        inherited.context("the link to arbiter is missing: companion-manager is started by arbiter only")?;
    let link = link.into_iter().next().context("the link to arbiter is missing")?;
    let link = Link::from_fd(link).context("descriptor 3 is not the link to arbiter")?;
    sys::process::become_subreaper().context("cannot become a sub-reaper")?;
    let environment = sys::launch::own_environment();
    let signals = Signals::install(&SIGNALS).context("cannot handle signals")?;
    sys::signals::unblock_all().context("cannot unblock signals")?;
    let mut reactor = Reactor::new().context("cannot make an epoll set")?;
    reactor.register(&link, Source::Link.token(), Interest::READ).context("cannot wait for arbiter")?;
    let mut words = Words::default();
    let mut buffer = vec![0; MAX_DATAGRAM];
    while !words.begun {
        match link.recv(&mut buffer).context("the link failed")? {
            Received::Empty => reactor.wait(None)?,
            Received::Closed => return Ok(None),
            Received::Datagram(datagram) => {
                let (message, fds) = sys::bulk::unpack(datagram.bytes, datagram.fds)
                    .context("arbiter cannot be understood")?;
                words.hear(message, fds)?;
            }
        }
    }
    let Some((boot, spec, saved, control)) = words.boot else {
        bail!("arbiter began without a boot message")
    };
    let Some(master) = words.master else { bail!("arbiter began without telling its status") };
    let Words { adopted, mains, captured, tails, inputs, sockets, coming, .. } = words;
    Ok(Some(Beginning {
        link,
        reactor,
        signals,
        environment,
        boot,
        control,
        saved,
        spec,
        master,
        adopted,
        mains,
        captured,
        tails,
        inputs,
        sockets,
        coming,
    }))
}

/// What arbiter says before a manager begins.
#[derive(Default)]
struct Words {
    boot: Option<(Boot, CompanionsSpec, Saved, Option<ControlListener>)>,
    master: Option<MasterStatus>,
    adopted: Vec<(RunId, OwnedFd)>,
    mains: Vec<(RunId, OwnedFd)>,
    captured: Vec<(CapturedPipe, OwnedFd)>,
    tails: Vec<(String, OwnedFd)>,
    inputs: Vec<((RunId, Channel), OwnedFd)>,
    sockets: Sockets,
    coming: Option<Coming>,
    begun: bool,
}

impl Words {
    fn hear(&mut self, message: ToManager, fds: Vec<OwnedFd>) -> anyhow::Result<()> {
        match message {
            ToManager::Boot(boot) => {
                if let Err(error) = sys::log::init((&boot.log).into()) {
                    report(&anyhow::Error::new(error).context("cannot open the log"));
                }
                let mut fds = fds.into_iter();
                let spec = fds.next().context("arbiter sent no specification")?;
                let spec = read_spec(&spec).map_err(anyhow::Error::msg)?;
                let saved = fds.next().context("arbiter sent no state")?;
                let saved = sys::memfd::read_sealed(&saved, BULK_MAX).context("the state cannot be read")?;
                let saved = codec::decode_bulk(&saved).context("the state cannot be read")?;
                let control = match fds.next() {
                    Some(fd) if boot.has_listener => Some(
                        ControlListener::from_fd(fd, None)
                            .context("the control socket cannot be listened on")?,
                    ),
                    _ => None,
                };
                sys::title::set(&manager_title(&spec.name));
                self.boot = Some((*boot, spec, saved, control));
            }
            ToManager::Adopt { runs } => {
                if runs.len() != fds.len() {
                    bail!("arbiter sent {} descriptors for {} processes", fds.len(), runs.len());
                }
                self.adopted.extend(runs.into_iter().zip(fds));
            }
            ToManager::AdoptMains { runs } => {
                if runs.len() != fds.len() {
                    bail!("arbiter sent {} descriptors for {} main processes", fds.len(), runs.len());
                }
                self.mains.extend(runs.into_iter().zip(fds));
            }
            ToManager::Captured { pipes } => {
                if pipes.len() != fds.len() {
                    bail!("arbiter sent {} descriptors for {} pipes", fds.len(), pipes.len());
                }
                self.captured.extend(pipes.into_iter().zip(fds));
            }
            ToManager::Tails { names } => {
                if names.len() != fds.len() {
                    bail!("arbiter sent {} descriptors for {} memory files", fds.len(), names.len());
                }
                self.tails.extend(names.into_iter().zip(fds));
            }
            ToManager::Inputs { inputs } => {
                if inputs.len() != fds.len() {
                    bail!("arbiter sent {} descriptors for {} ways into processes", fds.len(), inputs.len());
                }
                self.inputs.extend(inputs.into_iter().zip(fds));
            }
            ToManager::Sockets { for_candidate, is_first, sockets } => {
                self.sockets.take(for_candidate, is_first, sockets, fds);
            }
            ToManager::Candidate { control_socket, .. } => {
                let spec = fds.first().context("arbiter sent no specification")?;
                self.coming =
                    Some(Coming { spec: read_spec(spec).map_err(anyhow::Error::msg)?, control_socket });
            }
            ToManager::Status(status) => self.master = Some(*status),
            ToManager::Begin => self.begun = true,
            other => bail!("arbiter said something else before the beginning: {other:?}"),
        }
        Ok(())
    }
}

/// Reads a specification from a sealed memory file.
///
/// # Errors
///
/// When it is not sealed or holds something else; the sentence says what.
pub(crate) fn read_spec(fd: &OwnedFd) -> Result<CompanionsSpec, String> {
    let bytes = sys::memfd::read_sealed(fd, BULK_MAX).map_err(|error| error.to_string())?;
    codec::decode_bulk(&bytes).map_err(|error| error.to_string())
}
