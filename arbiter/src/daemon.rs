//! `--daemon`: arbiter in the background, and a command that returns when it is ready.
//!
//! The command starts its own program once more, in a session of its own, and waits for a byte on a pipe or for the
//! pipe's end. Nothing but the configuration has been read by then. The daemon keeps the command's standard error
//! until it is ready; what it starts never has it, so that whoever reads that to its end does not wait for workers.

use crate::listeners::Passed;
use crate::resolver::{Origin, pair};
use anyhow::{Context, bail};
use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::launch::FIRST_LISTENER;
use sys::reactor::{Interest, Reactor, Token};
use sys::spawn::{Command, SpawnProgress, Spawned};

/// The hidden mode's name on the command line; the number of the pipe follows, and arbiter's own arguments.
const MODE: &str = "--ready-on-descriptor";
/// What the daemon does not need to be told again.
const FLAG: &str = "--daemon";
const STDOUT: i32 = 1;
const STDERR: i32 = 2;

/// Starts the daemon and waits until it is ready or has ended. Returns the command's exit status.
///
/// # Errors
/// It cannot be started, or was stopped or killed before it was ready.
pub fn launch(origin: &Origin, passed: &[Passed]) -> anyhow::Result<u8> {
    if sys::process::pid() == 1 {
        bail!("cannot go to the background as the first process of a container: leave out --daemon");
    }
    let (reader, writer) = sys::pipe::nonblocking_pair().context("cannot create a pipe")?;
    let spawned = spawn(origin, passed, writer.as_fd())?;
    drop(writer);
    wait(&reader)?;
    let mut byte = [0];
    if sys::pipe::read(&reader, &mut byte).is_ok_and(|read| read == Some(1)) {
        return Ok(0);
    }
    wait(&spawned.pidfd)?;
    if let Ok(SpawnProgress::Failed(failure)) = sys::spawn::read_status(&spawned.status) {
        bail!(failure.describe("arbiter", None));
    }
    let mut children = sys::children::Children::new();
    children.insert((), spawned.pid, spawned.pidfd);
    match children.reap(())?.status {
        supervise::ExitStatus::Code(0) => bail!("the daemon was stopped before it was ready"),
        supervise::ExitStatus::Code(code) => Ok(u8::try_from(code).unwrap_or(1)),
        status => bail!("the daemon {status} before it was ready"),
    }
}

fn spawn(origin: &Origin, passed: &[Passed], writer: BorrowedFd<'_>) -> anyhow::Result<Spawned> {
    let null = sys::fd::null().context("cannot open /dev/null")?;
    let (stdout, stderr) = (output(STDOUT)?, std::io::stderr());
    let mut fds = vec![(null.as_fd(), 0), (stdout.as_fd(), STDOUT), (stderr.as_fd(), STDERR)];
    let sockets = passed.iter().map(Passed::descriptor).chain([writer]);
    fds.extend(sockets.zip(FIRST_LISTENER..));
    let number = fds.last().map_or(0, |(_, number)| *number).to_string();
    let mut words = vec!["arbiter".into(), MODE.into(), number.into()];
    words.extend(without_flag(&origin.arguments).cloned());
    let mut environment = origin.environment.clone();
    let mut own_pid = Vec::new();
    if !passed.is_empty() {
        environment.remove(OsStr::new("LISTEN_PID"));
        own_pid.push("LISTEN_PID");
    }
    let command = Command {
        image: Some(origin.image.as_fd()),
        argv: words.iter().map(|word: &OsString| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
        env: environment.iter().map(pair).collect::<Result<_, _>>()?,
        own_pid,
        fds,
        ..Command::default()
    };
    sys::spawn::spawn(&command).context("cannot start a process for the daemon")
}

/// arbiter's arguments without `--daemon`: what it starts with once more (for another program, or a second master)
/// is in the background already.
fn without_flag(arguments: &[OsString]) -> impl Iterator<Item = &OsString> {
    let mut is_command = false;
    arguments.iter().filter(move |word| {
        is_command |= *word == "--";
        is_command || *word != FLAG
    })
}

fn wait(fd: &OwnedFd) -> anyhow::Result<()> {
    let mut reactor = Reactor::new().context("cannot create an epoll set")?;
    reactor.register(fd, Token(0), Interest::READ).context("cannot wait for the daemon")?;
    while reactor.events().next().is_none() {
        reactor.wait(None).context("cannot wait for the daemon")?;
    }
    Ok(())
}

/// What a standard stream of the command becomes in the background: a file stays, and what the journal reads. A
/// terminal goes away one day, and the reader of a pipe may wait for its end.
fn output(number: i32) -> anyhow::Result<OwnedFd> {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let stream = if number == STDOUT { stdout.as_fd() } else { stderr.as_fd() };
    let stays = sys::fd::kind(stream)? == sys::fd::Kind::Regular || sys::log::is_journal(stream);
    let kept = if stays { sys::fd::duplicate(stream) } else { sys::fd::null() };
    kept.context("cannot open /dev/null")
}

/// Whether nobody will ever see what is written there.
#[must_use]
pub fn is_lost(output: &OwnedFd) -> bool {
    let null = sys::fd::null().and_then(sys::fd::identity);
    sys::fd::identity(output).is_ok_and(|id| null.is_ok_and(|null| id == null))
}

/// Who waits in the foreground until this process is ready.
#[derive(Debug)]
pub struct Launcher {
    pipe: OwnedFd,
}

impl Launcher {
    /// The launcher, and arbiter's own arguments, if these are those of a daemon.
    ///
    /// # Errors
    /// They name no open descriptor.
    pub fn take(arguments: Vec<OsString>) -> anyhow::Result<(Option<Self>, Vec<OsString>)> {
        let [mode, number, rest @ ..] = arguments.as_slice() else { return Ok((None, arguments)) };
        if mode != MODE {
            return Ok((None, arguments));
        }
        // Started from a descriptor, it would be called by that one's number.
        sys::title::set_name("arbiter");
        let number = number.to_str().and_then(|number| number.parse().ok());
        let number = number.with_context(|| format!("{MODE} is for arbiter's own use: give --daemon"))?;
        let pipe = sys::fd::adopt_inherited(&[number])?.pop().context("no descriptor for the launcher")?;
        Ok((Some(Self { pipe }), rest.to_vec()))
    }

    /// Where the standard output and error of this process, and of all that it starts, go in the background.
    ///
    /// # Errors
    /// There is no `/dev/null`.
    pub fn outputs() -> anyhow::Result<[OwnedFd; 2]> {
        Ok([output(STDOUT)?, output(STDERR)?])
    }

    /// This process is ready: nothing of it stays in the foreground.
    ///
    /// # Errors
    /// The foreground cannot be left. The launcher has been told nevertheless.
    pub fn ready(self, outputs: &[OwnedFd; 2], log: &proto::spec::Log) -> anyhow::Result<()> {
        let left = leave(outputs, log);
        // Nobody reads it any more where the launcher was killed.
        let _ = std::fs::File::from(self.pipe).write_all(b"!");
        left
    }
}

fn leave([stdout, stderr]: &[OwnedFd; 2], log: &proto::spec::Log) -> anyhow::Result<()> {
    sys::fd::redirect(STDOUT, stdout).context("cannot let go of standard output")?;
    sys::fd::redirect(STDERR, stderr).context("cannot let go of standard error")?;
    // It may have opened the old one for itself.
    sys::log::init(log.into()).context("cannot open the log again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_left_out_and_the_same_word_of_a_command_stays() {
        let words = ["-w", "2", "--daemon", "--", "serve", "--daemon"].map(OsString::from);
        let left: Vec<_> = without_flag(&words).collect();
        assert_eq!(left, ["-w", "2", "--", "serve", "--daemon"]);
    }

    #[test]
    fn arguments_of_a_person_are_left_alone() {
        let words = vec![OsString::from("-w"), OsString::from("2")];
        let (launcher, left) = Launcher::take(words.clone()).unwrap();
        assert!(launcher.is_none());
        assert_eq!(left, words);
    }

    #[test]
    fn the_hidden_mode_is_not_for_persons() {
        let error = Launcher::take(vec![MODE.into(), "x".into()]).unwrap_err();
        assert!(error.to_string().contains("give --daemon"), "{error}");
    }
}
