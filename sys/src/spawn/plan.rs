//! A command laid out as plain buffers, before the clone: afterwards nothing is allocated, and nothing of the heap
//! is there.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

use libc::c_char;

use super::arena::Arena;
use super::command::{Command, Letter, Limit};
use super::resume;
use crate::ancillary::Envelope;

/// Room for the ten digits of any process's number and the NUL.
pub(super) const PID_ROOM: usize = 11;

/// One descriptor on its way: where it is (first in the parent, then out of the way), and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub(super) source: RawFd,
    pub(super) target: RawFd,
}

/// The user to become.
pub(super) struct User<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'a [u32],
}

/// What a launcher is handed beside its order, which is among the moves.
pub(super) struct Handing {
    pub(super) env_file: *const c_char,
    pub(super) is_optional: bool,
    pub(super) first: RawFd,
}

pub(super) struct Announcement<'a> {
    pub(super) socket: RawFd,
    pub(super) born: Envelope<'a>,
    pub(super) failed: Envelope<'a>,
    pub(super) stage_offset: usize,
    pub(super) errno_offset: usize,
}

/// Everything the child needs, in an arena. Raw descriptors borrow from the command, which outlives the clone.
pub(super) struct Plan<'a> {
    pub(super) parent: i32,
    /// Signals whose default action has to be restored, as [`crate::signals::not_default`] has them.
    pub(super) dispositions: u64,
    /// The write end of the status pipe.
    pub(super) status: RawFd,
    pub(super) image: Option<RawFd>,
    pub(super) candidates: &'a [*const c_char],
    pub(super) argv: &'a [*const c_char],
    pub(super) envp: &'a [*const c_char],
    /// Where in the environment the child writes its number: [`PID_ROOM`] bytes each.
    pub(super) own_pid: &'a [*mut u8],
    pub(super) moves: &'a mut [Move],
    /// The first number above every target: what is moved out of the way goes here or higher.
    pub(super) base: RawFd,
    pub(super) files: &'a [(*const c_char, RawFd)],
    pub(super) cwd: Option<*const c_char>,
    pub(super) umask: Option<u32>,
    pub(super) nice: Option<i32>,
    pub(super) oom_score_adj: Option<&'a [u8]>,
    pub(super) limits: &'a [Limit],
    pub(super) user: Option<User<'a>>,
    pub(super) no_new_privileges: bool,
    pub(super) parent_death_signal: Option<i32>,
    pub(super) announcement: Option<Announcement<'a>>,
    pub(super) handing: Option<Handing>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(arena: &'a Arena, command: &Command<'_>, status: RawFd) -> io::Result<Self> {
        if command.image.is_none() && command.candidates.is_empty() {
            return Err(invalid("no program to start was given"));
        }
        let moves = moves(command)?;
        let targets =
            moves.iter().map(|entry| entry.target).chain(command.files.iter().map(|(_, target)| *target));
        let handed = command.handover.iter().map(|handover| handover.first + resume::LETTER);
        let targets = targets.chain(handed);
        let base = targets.map(|target| target + 1).max().unwrap_or(0).max(3);
        let (envp, own_pid) = environment(arena, command)?;
        let mut files = Vec::with_capacity(command.files.len());
        for (path, target) in &command.files {
            files.push((arena.c_string(path)?, *target));
        }
        let user = |identity: &super::Identity| {
            let groups = arena.list(identity.groups.iter().copied())?;
            Ok::<_, io::Error>(User { uid: identity.uid, gid: identity.gid, groups })
        };
        let handing = |handover: &super::Handover| {
            let (is_optional, first) = (handover.is_optional, handover.first);
            Ok::<_, io::Error>(Handing { env_file: arena.c_string(&handover.env_file)?, is_optional, first })
        };
        let nofile = command.nofile.map(|(soft, hard)| Limit { resource: nofile_resource(), soft, hard });
        let score = command.oom_score_adj.map(|value| value.to_string());
        Ok(Self {
            parent: crate::process::pid(),
            dispositions: crate::signals::not_default(),
            status,
            image: command.image.as_ref().map(AsRawFd::as_raw_fd),
            candidates: pointers(arena, &command.candidates, false)?,
            argv: pointers(arena, &command.argv, true)?,
            envp,
            own_pid,
            moves: arena.list(moves.iter().copied())?,
            base,
            files: arena.list(files.iter().copied())?,
            cwd: command.cwd.as_ref().map(|cwd| arena.c_string(cwd)).transpose()?,
            umask: command.umask,
            nice: command.nice,
            oom_score_adj: score.map(|text| arena.bytes(&[text.as_bytes()])).transpose()?.map(|text| &*text),
            limits: arena.list(nofile.into_iter().chain(command.limits.iter().copied()))?,
            user: command.identity.as_ref().map(user).transpose()?,
            no_new_privileges: command.no_new_privileges,
            parent_death_signal: command.parent_death_signal,
            announcement: command.letter.as_ref().map(|letter| announcement(arena, letter)).transpose()?,
            handing: command.handover.as_ref().map(handing).transpose()?,
        })
    }
}

/// C strings and where each is, with a null pointer behind them where exec wants it.
fn pointers<'a>(arena: &'a Arena, texts: &[CString], is_ended: bool) -> io::Result<&'a [*const c_char]> {
    let mut pointers = Vec::with_capacity(texts.len() + 1);
    for text in texts {
        pointers.push(arena.c_string(text)?);
    }
    pointers.extend(is_ended.then_some(ptr::null()));
    Ok(arena.list(pointers.iter().copied())?)
}

/// The environment, and the places in it for the child's own number.
fn environment<'a>(
    arena: &'a Arena,
    command: &Command<'_>,
) -> io::Result<(&'a [*const c_char], &'a [*mut u8])> {
    let whole = arena.bytes(&[command.env.bytes()])?.as_ptr();
    // SAFETY: each start is within the bytes.
    let known = command.env.starts().iter().map(|start| unsafe { whole.add(*start) });
    let mut envp: Vec<*const c_char> = known.map(<*const u8>::cast).collect();
    let mut own_pid = Vec::with_capacity(command.own_pid.len());
    for name in &command.own_pid {
        let slot = arena.bytes(&[name.as_bytes(), b"=", &[0; PID_ROOM]])?;
        envp.push(slot.as_ptr().cast());
        own_pid.push(slot[name.len() + 1..].as_mut_ptr());
    }
    envp.push(ptr::null());
    Ok((arena.list(envp.iter().copied())?, arena.list(own_pid.iter().copied())?))
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

pub(super) fn announcement<'a>(arena: &'a Arena, letter: &Letter<'_>) -> io::Result<Announcement<'a>> {
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
        born: Envelope::new(arena.bytes(&[&letter.born])?, &numbers)?,
        failed: Envelope::new(arena.bytes(&[&letter.failed])?, &[])?,
        stage_offset: letter.failed_stage_offset,
        errno_offset: letter.failed_errno_offset,
    })
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
