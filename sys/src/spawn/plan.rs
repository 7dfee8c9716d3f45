//! A command laid out as plain buffers, before the clone: afterwards nothing is allocated.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

use libc::c_char;

use super::command::{Command, Handover, Identity, Letter, Limit};
use super::resume;
use crate::ancillary::Envelope;

/// Room for the ten digits of any process's number and the NUL.
pub(super) const PID_ROOM: usize = 11;

/// One descriptor on its way: where it is (first in the parent, then out of the way), and where it belongs.
pub(super) struct Move {
    pub(super) source: RawFd,
    pub(super) target: RawFd,
}

pub(super) struct Announcement {
    pub(super) socket: RawFd,
    pub(super) born: Envelope,
    pub(super) failed: Envelope,
    pub(super) stage_offset: usize,
    pub(super) errno_offset: usize,
}

/// Everything the child needs. Raw descriptors and pointers borrow from the command, which outlives the clone.
pub(super) struct Plan<'a> {
    pub(super) parent: i32,
    /// Signals whose default action has to be restored, as [`crate::signals::not_default`] has them.
    pub(super) dispositions: u64,
    /// The write end of the status pipe.
    pub(super) status: RawFd,
    pub(super) image: Option<RawFd>,
    pub(super) candidates: &'a [CString],
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    /// `NAME=` and [`PID_ROOM`] each, for the child to write its number into.
    pub(super) own_pid: Vec<Vec<u8>>,
    pub(super) moves: Vec<Move>,
    /// The first number above every target: what is moved out of the way goes here or higher.
    pub(super) base: RawFd,
    pub(super) files: &'a [(CString, RawFd)],
    pub(super) cwd: Option<&'a CString>,
    pub(super) umask: Option<u32>,
    pub(super) nice: Option<i32>,
    pub(super) oom_score_adj: Option<Vec<u8>>,
    pub(super) limits: Vec<Limit>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) no_new_privileges: bool,
    pub(super) parent_death_signal: Option<i32>,
    pub(super) announcement: Option<Announcement>,
    pub(super) handover: Option<&'a Handover>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(command: &'a Command<'_>, status: RawFd) -> io::Result<Self> {
        if command.image.is_none() && command.candidates.is_empty() {
            return Err(invalid("no program to start was given"));
        }
        let moves = moves(command)?;
        let targets =
            moves.iter().map(|entry| entry.target).chain(command.files.iter().map(|(_, target)| *target));
        let handed = command.handover.iter().map(|handover| handover.first + resume::LETTER);
        let targets = targets.chain(handed);
        let base = targets.map(|target| target + 1).max().unwrap_or(0).max(3);
        let mut own_pid: Vec<Vec<u8>> = command.own_pid.iter().map(|name| slot(name)).collect();
        let mut envp: Vec<*const c_char> = command.env.iter().map(|entry| entry.as_ptr()).collect();
        // The child writes its number into these buffers, whose heap places do not move with the plan.
        envp.extend(own_pid.iter_mut().map(|slot| slot.as_mut_ptr().cast_const().cast::<c_char>()));
        envp.push(ptr::null());
        let mut argv: Vec<*const c_char> = command.argv.iter().map(|entry| entry.as_ptr()).collect();
        argv.push(ptr::null());
        let nofile = command.nofile.map(|(soft, hard)| Limit { resource: nofile_resource(), soft, hard });
        Ok(Self {
            parent: crate::process::pid(),
            dispositions: crate::signals::not_default(),
            status,
            image: command.image.as_ref().map(AsRawFd::as_raw_fd),
            candidates: &command.candidates,
            argv,
            envp,
            own_pid,
            moves,
            base,
            files: &command.files,
            cwd: command.cwd.as_ref(),
            umask: command.umask,
            nice: command.nice,
            oom_score_adj: command.oom_score_adj.map(|value| value.to_string().into_bytes()),
            limits: nofile.into_iter().chain(command.limits.iter().copied()).collect(),
            identity: command.identity.as_ref(),
            no_new_privileges: command.no_new_privileges,
            parent_death_signal: command.parent_death_signal,
            announcement: command.letter.as_ref().map(announcement).transpose()?,
            handover: command.handover.as_ref(),
        })
    }
}

fn slot(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"=", &[0; PID_ROOM]].concat()
}

#[allow(clippy::unnecessary_cast, reason = "the C type of a resource differs between C libraries")]
fn nofile_resource() -> u32 {
    libc::RLIMIT_NOFILE as u32
}

fn moves(command: &Command<'_>) -> io::Result<Vec<Move>> {
    let mut moves: Vec<Move> = Vec::with_capacity(command.fds.len());
    let order = command.handover.iter().map(|handover| (handover.order.as_fd(), handover.first));
    for (source, target) in command.fds.iter().copied().chain(order) {
        if !(0..=1 << 20).contains(&target) || moves.iter().any(|entry| entry.target == target) {
            return Err(invalid(&format!("descriptor number {target} cannot be given to a process twice")));
        }
        moves.push(Move { source: source.as_raw_fd(), target });
    }
    for (index, (_, target)) in command.files.iter().enumerate() {
        let taken =
            moves.iter().map(|entry| entry.target).chain(command.files[..index].iter().map(|(_, t)| *t));
        if *target < 0 || *target > 1 << 20 || taken.into_iter().any(|number| number == *target) {
            return Err(invalid(&format!("descriptor number {target} cannot be given to a process twice")));
        }
    }
    Ok(moves)
}

pub(super) fn announcement(letter: &Letter<'_>) -> io::Result<Announcement> {
    for offset in [letter.failed_stage_offset, letter.failed_errno_offset] {
        if offset.checked_add(4).is_none_or(|end| end > letter.failed.len()) {
            return Err(invalid("the letter about a failure has no room for its reason"));
        }
    }
    // The first number is the pidfd, known to the child alone.
    let mut numbers = vec![-1];
    numbers.extend(letter.send.iter().map(AsRawFd::as_raw_fd));
    Ok(Announcement {
        socket: letter.socket.as_raw_fd(),
        born: Envelope::new(letter.born.clone(), &numbers)?,
        failed: Envelope::new(letter.failed.clone(), &[])?,
        stage_offset: letter.failed_stage_offset,
        errno_offset: letter.failed_errno_offset,
    })
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
