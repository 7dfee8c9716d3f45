//! The launcher: the second half of the way to exec of a process with an `env_file`.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::RawFd;
use std::process::ExitCode;

use proto::spec::EnvFile;
use proto::spec::env_file::{self, LONGEST};
use serde::{Deserialize, Serialize};

use super::words::{Environment, LaunchError, Words};
use crate::spawn::{Command, Failed, Handed, Handover, Letter, SpawnFailure, Stage};

/// The hidden mode's name on the command line; what follows is the number of the order's descriptor.
const MODE: &str = "--launch-from-descriptor";
/// A program's own image: this name leads to it whatever has become of its file.
const OWN_IMAGE: &std::ffi::CStr = c"/proc/self/exe";
/// The most an order may take: more than exec could pass on.
const ORDER_MAX: usize = 16 << 20;

/// What a launcher is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Order<'a> {
    words: Words<'a>,
    /// The daemon.
    parent: i32,
    parent_death_signal: Option<i32>,
    failed: Option<(Vec<u8>, usize, usize)>,
}

/// The first half: the command that becomes a launcher. Its environment is the daemon's own, which is the lowest
/// layer of the program's.
pub(super) fn command<'a>(
    words: Words<'_>,
    file: &EnvFile,
    inherited: &Environment,
    parent_death_signal: Option<i32>,
    letter: Option<&Letter<'_>>,
) -> Result<Command<'a>, LaunchError> {
    let first = words.after_streams();
    let order = Order {
        words,
        parent: crate::process::pid(),
        parent_death_signal,
        failed: letter
            .map(|letter| (letter.failed.clone(), letter.failed_stage_offset, letter.failed_errno_offset)),
    };
    let bytes = proto::codec::encode(&order);
    let order = crate::memfd::sealed(c"launch", &bytes).map_err(LaunchError::Order)?;
    let argv = ["arbiter", MODE, &first.to_string()];
    Ok(Command {
        candidates: vec![OWN_IMAGE.into()],
        argv: argv
            .iter()
            .map(|word| super::words::c_string("the command", (*word).into()))
            .collect::<Result<_, _>>()?,
        env: super::words::pairs(
            inherited.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())),
        )?,
        handover: Some(Handover {
            order,
            env_file: super::words::c_string("env_file", file.path.clone().into_bytes())?,
            is_optional: file.optional,
            first,
        }),
        ..Command::default()
    })
}

/// Acts as the launcher, if the arguments say so: to be asked first thing in `main` of every program that starts
/// processes. Comes back with an exit status only when nothing was handed over.
#[must_use]
pub fn launcher(arguments: &[OsString]) -> Option<ExitCode> {
    let [mode, first] = arguments else { return None };
    if mode != MODE {
        return None;
    }
    let first: RawFd = first.to_str()?.parse().ok()?;
    Some(match Handed::take(first) {
        Ok(handed) => run(handed, first),
        Err(_) => ExitCode::FAILURE,
    })
}

fn run(mut handed: Handed, first: RawFd) -> ! {
    let order: Order<'static> = match read_order(&handed) {
        Ok(order) => order,
        Err(error) => handed.fail(failure(Stage::Launcher, &error)),
    };
    if let Some((bytes, stage_offset, errno_offset)) = order.failed.clone() {
        let failed = Failed { bytes, stage_offset, errno_offset };
        if let Err(error) = handed.tell_failures(first, failed) {
            handed.fail(failure(Stage::Launcher, &error));
        }
    }
    let set = match read_file(&handed) {
        Ok(set) => set,
        Err(error) => handed.fail(failure(Stage::EnvFile, &error)),
    };
    match order.words.command(&super::own_environment(), &set) {
        Ok(mut command) => {
            command.parent_death_signal = order.parent_death_signal;
            handed.resume(&command, order.parent)
        }
        Err(error) => handed.fail(order.failure(&error)),
    }
}

fn read_order(handed: &Handed) -> io::Result<Order<'static>> {
    let bytes = crate::memfd::read_sealed(&handed.order, ORDER_MAX)?;
    proto::codec::decode_bulk(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What the file of variables sets.
fn read_file(handed: &Handed) -> io::Result<Vec<(String, String)>> {
    let mut content = Vec::new();
    let file = std::fs::File::from(handed.env_file.try_clone()?);
    file.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    let variables = env_file::parse(&content).map_err(|_| io::Error::from_raw_os_error(libc::EILSEQ))?;
    Ok(variables.set)
}

fn failure(stage: Stage, error: &io::Error) -> SpawnFailure {
    SpawnFailure { stage, errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
}

impl Order<'_> {
    /// A placeholder's variable is told by its place among those of the specification, as
    /// [`super::Program::variables`] has them.
    fn failure(&self, error: &LaunchError) -> SpawnFailure {
        let LaunchError::Unset(unset) = error else {
            return SpawnFailure { stage: Stage::Launcher, errno: libc::EINVAL };
        };
        let program = self.words.program();
        let index = program.variables.iter().position(|name| *name == unset.variable);
        let index = index.and_then(|index| i32::try_from(index).ok()).unwrap_or(i32::MAX);
        SpawnFailure { stage: Stage::Variable, errno: index }
    }
}
