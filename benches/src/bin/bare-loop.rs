//! The least that brings a dead process back: no log, no readiness, no limits, nothing else to look after.
//!
//! | `bare-loop HOW PROGRAM` | |
//! | --- | --- |
//! | `vfork` | posix_spawn(3), which shares the parent's memory until exec; a blocking wait |
//! | `fork` | fork(2) and exec; a blocking wait |
//! | `clone` | what arbiter spawns with, and what it sets up in the child, one event loop, nothing else |

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use sys::children::Children;
use sys::reactor::{Interest, Reactor, Token};

const SIGKILL: i32 = 9;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let how = arguments.next().unwrap_or_default();
    let program = arguments.next().unwrap_or_default();
    match how.to_str() {
        Some("vfork") => wait_and_respawn(Command::new(program)),
        Some("fork") => {
            let mut command = Command::new(program);
            // Any change of identity, even to what it is, keeps the standard library from posix_spawn.
            command.gid(std::fs::metadata("/proc/self")?.gid());
            wait_and_respawn(command)
        }
        Some("clone") => watch_and_respawn(program),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: bare-loop vfork|fork|clone PROGRAM")),
    }
}

fn wait_and_respawn(mut command: Command) -> io::Result<()> {
    loop {
        command.spawn()?.wait()?;
    }
}

fn watch_and_respawn(program: OsString) -> io::Result<()> {
    let program = CString::new(program.into_vec())?;
    let environment = std::env::vars_os()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let null = sys::fd::null()?;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let command = sys::spawn::Command {
        candidates: vec![program.clone()],
        argv: vec![program],
        env: environment.collect::<Result<_, _>>()?,
        fds: vec![(null.as_fd(), 0), (stdout.as_fd(), 1), (stderr.as_fd(), 2)],
        nofile: Some(sys::process::raise_nofile()?),
        parent_death_signal: Some(SIGKILL),
        ..sys::spawn::Command::default()
    };
    let mut reactor = Reactor::new()?;
    let mut children = Children::new();
    loop {
        let spawned = sys::spawn::spawn(&command)?;
        reactor.register(&spawned.pidfd, Token(0), Interest::READ)?;
        children.insert((), spawned.pid, spawned.pidfd);
        while children.peek(())?.is_none() {
            reactor.wait(None)?;
        }
        if let Some(pidfd) = children.get(()) {
            reactor.deregister(&pidfd)?;
        }
        children.reap(())?;
    }
}
