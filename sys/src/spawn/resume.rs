//! The launcher's side of a handover: the second half of the way to exec.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::arena::Arena;
use super::child;
use super::command::{Command, Letter};
use super::plan::{self, Plan};
use super::stage::{SpawnFailure, Stage};

/// Where the file of variables is, counted from the order's number.
pub(super) const ENV_FILE: RawFd = 1;
/// Where the status pipe is.
pub(super) const STATUS: RawFd = 2;
/// Where the letter's socket is.
pub(super) const LETTER: RawFd = 3;

/// What a launcher was handed; see [`super::Handover`]. None of it survives another exec.
#[derive(Debug)]
pub struct Handed {
    pub order: OwnedFd,
    pub env_file: OwnedFd,
    status: OwnedFd,
    letter: Option<(OwnedFd, Failed)>,
}

/// The letter that tells of a failure, as [`Letter`] has it.
#[derive(Debug)]
pub struct Failed {
    pub bytes: Vec<u8>,
    pub stage_offset: usize,
    pub errno_offset: usize,
}

impl Handed {
    /// Takes what there is from number `first` on: first thing in `main`.
    ///
    /// # Errors
    /// It is not there.
    pub fn take(first: RawFd) -> io::Result<Self> {
        let mut taken = crate::fd::adopt_inherited(&[first, first + ENV_FILE, first + STATUS])?.into_iter();
        let mut next = || taken.next().expect("as many are answered as were asked for");
        Ok(Self { order: next(), env_file: next(), status: next(), letter: None })
    }

    /// A failure is to be told by a letter, too.
    ///
    /// # Errors
    /// Its socket was not handed over.
    pub fn tell_failures(&mut self, first: RawFd, failed: Failed) -> io::Result<()> {
        let socket = crate::fd::adopt_inherited(&[first + LETTER])?.pop();
        self.letter = socket.map(|socket| (socket, failed));
        Ok(())
    }

    fn letter(&self) -> Option<Letter<'_>> {
        self.letter.as_ref().map(|(socket, failed)| Letter {
            socket: socket.as_fd(),
            born: Vec::new(),
            failed: failed.bytes.clone(),
            failed_stage_offset: failed.stage_offset,
            failed_errno_offset: failed.errno_offset,
            send: Vec::new(),
        })
    }

    /// Goes the rest of the way: directory, files, no_new_privs, the parent-death signal (with a check that
    /// `parent` still lives), LISTEN_PID, mask emptied, exec. The command's descriptors and user are not looked
    /// at: they are as they are to be.
    pub fn resume(self, command: &Command<'_>, parent: i32) -> ! {
        let (arena, letter) = (Arena::default(), self.letter());
        let announcement = letter.as_ref().and_then(|letter| plan::announcement(&arena, letter).ok());
        match Plan::new(&arena, command, self.status.as_raw_fd()) {
            Ok(mut plan) => {
                plan.parent = parent;
                plan.announcement = announcement;
                child::go_on(&mut plan)
            }
            Err(_) => self.fail(SpawnFailure { stage: Stage::Launcher, errno: libc::EINVAL }),
        }
    }

    /// Tells why the process comes no further, and ends it.
    pub fn fail(self, failure: SpawnFailure) -> ! {
        let (arena, letter) = (Arena::default(), self.letter());
        let mut announcement = letter.as_ref().and_then(|letter| plan::announcement(&arena, letter).ok());
        child::report(self.status.as_raw_fd(), announcement.as_mut(), failure);
        child::exit()
    }
}
