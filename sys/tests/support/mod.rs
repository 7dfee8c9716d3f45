//! What the tests of processes need: a command, its output, and waiting for a condition instead of a time.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use sys::clock::monotonic;
use sys::reactor::{Interest, Reactor, Token};
use sys::spawn::{Command, SpawnFailure, SpawnProgress, Spawned, read_status};

pub(crate) fn text(value: &str) -> CString {
    CString::new(value).unwrap()
}

/// A command with the standard streams at `/dev/null`.
pub(crate) fn command<'fd>(null: &'fd OwnedFd, argv: &[&str]) -> Command<'fd> {
    Command {
        candidates: vec![text(argv[0])],
        argv: argv.iter().map(|word| text(word)).collect(),
        fds: (0..3).map(|target| (null.as_fd(), target)).collect(),
        ..Command::default()
    }
}

/// Waits until a descriptor is readable.
pub(crate) fn wait_readable(what: &str, fd: BorrowedFd<'_>) {
    let mut reactor = Reactor::new().unwrap();
    reactor.register(&fd, Token(0), Interest::READ).unwrap();
    reactor.wait(Some(Duration::from_secs(20))).unwrap();
    assert!(reactor.events().next().is_some(), "{what}: nothing within 20 s");
}

/// Waits until a condition holds that no descriptor tells of.
pub(crate) fn wait_for(what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = monotonic() + Duration::from_secs(20);
    while !probe() {
        assert!(monotonic() < deadline, "{what}: not within 20 s");
        std::thread::yield_now();
    }
}

/// How the way to exec ended.
pub(crate) fn outcome(spawned: &Spawned) -> SpawnProgress {
    wait_readable("the status pipe", spawned.status.as_fd());
    read_status(&spawned.status).unwrap()
}

pub(crate) fn failure(spawned: &Spawned) -> SpawnFailure {
    match outcome(spawned) {
        SpawnProgress::Failed(failure) => failure,
        other => panic!("expected a failure, found {other:?}"),
    }
}

/// Everything a pipe gives until its end.
pub(crate) fn read_all(fd: OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

/// A socket, pipe or file as `/proc/PID/fd` calls it.
pub(crate) fn link(fd: &impl AsFd) -> String {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    std::fs::read_link(path).unwrap().to_string_lossy().into_owned()
}
