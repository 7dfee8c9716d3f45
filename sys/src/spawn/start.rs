//! The parent's side: the clone itself, and reading how far the child has come.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::arena::Arena;
use super::child;
use super::command::Command;
use super::plan::Plan;
use super::stage::{SpawnFailure, SpawnProgress, Stage};
use crate::errno::{check_long, check_size, retry, unless_blocking};

/// A process between clone and exec.
#[derive(Debug)]
pub struct Spawned {
    pub pid: i32,
    /// Readable when the process has ended.
    pub pidfd: OwnedFd,
    /// Readable when there is news for [`read_status`].
    pub status: OwnedFd,
}

/// The kernel's clone_args in its first size, which every clone3 understands.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Starts a process, without waiting for any part of its way to exec.
///
/// # Errors
/// The command makes no sense (`InvalidInput`), no descriptor is left, or the machine's or user's bound of
/// processes or memory is reached (`WouldBlock` for EAGAIN, `OutOfMemory`).
pub fn spawn(command: &Command<'_>) -> io::Result<Spawned> {
    let (status, write_end) = crate::pipe::nonblocking_pair()?;
    let arena = Arena::default();
    let mut plan = Plan::new(&arena, command, write_end.as_raw_fd())?;
    crate::fail_point::prepare();
    crate::memory::withhold_heap();
    let before = set_mask(u64::MAX);
    let cloned = clone();
    if let Ok((0, _)) = cloned {
        child::run(&mut plan);
    }
    set_mask(before);
    let (pid, pidfd) = cloned?;
    // SAFETY: the kernel has just created this descriptor for the parent alone, close-on-exec.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Spawned { pid, pidfd, status })
}

/// Sets the calling thread's whole mask, the C library's internal signals included; answers the one before.
fn set_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: two valid kernel signal sets of eight bytes; with these arguments the call cannot fail.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, 8usize)
    };
    before
}

/// (pid, pidfd) in the parent, (0, unspecified) in the child.
pub(super) fn clone() -> io::Result<(i32, RawFd)> {
    match clone3() {
        // Missing, or hidden by a sandbox's filter.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => clone_plain(),
        result => result,
    }
}

fn clone3() -> io::Result<(i32, RawFd)> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM the child has its own copy of all memory, this stack included. It goes straight
    // to `child::run`, which makes nothing but system calls.
    let pid = check_long(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    Ok((process_number(pid), pidfd))
}

fn clone_plain() -> io::Result<(i32, RawFd)> {
    let mut pidfd: RawFd = -1;
    let flags = libc::c_long::from(libc::CLONE_PIDFD | libc::SIGCHLD);
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: as clone3. The third argument is where the pidfd goes, on every architecture whose first two are
    // flags and stack.
    let pid = check_long(unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) })?;
    Ok((process_number(pid), pidfd))
}

fn process_number(value: libc::c_long) -> i32 {
    i32::try_from(value).expect("a process number fits an i32: the kernel's bound is 4194304")
}

/// Looks, without waiting, how far a process has come. After anything but `Pending` the descriptor has told all.
///
/// # Errors
/// None in practice.
pub fn read_status(status: &impl AsFd) -> io::Result<SpawnProgress> {
    let mut message = [0u8; 8];
    let number = status.as_fd().as_raw_fd();
    let length = unless_blocking(retry(|| {
        // SAFETY: the buffer is valid for its length.
        check_size(unsafe { libc::read(number, message.as_mut_ptr().cast(), message.len()) })
    }))?;
    let word = |at: usize| [message[at], message[at + 1], message[at + 2], message[at + 3]];
    Ok(match length {
        None => SpawnProgress::Pending,
        Some(8) => SpawnProgress::Failed(SpawnFailure {
            stage: Stage::from_code(u32::from_le_bytes(word(0))),
            errno: i32::from_le_bytes(word(4)),
        }),
        Some(_) => SpawnProgress::Executed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_clone_gives_the_same_as_the_newer_one() {
        for attempt in [clone3, clone_plain] {
            let before = set_mask(u64::MAX);
            let cloned = attempt();
            if let Ok((0, _)) = cloned {
                // SAFETY: in the child: _exit runs no code of this process.
                unsafe { libc::_exit(7) };
            }
            set_mask(before);
            let (pid, pidfd) = cloned.unwrap();
            // SAFETY: just created for the parent.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            assert!(crate::fd::is_close_on_exec(pidfd.as_fd()).unwrap());
            let target = crate::wait::Target::Pidfd(pidfd.as_raw_fd());
            let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid pollfd; the child exits at once.
            assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
            let (reaped, exit) = crate::wait::wait(target, libc::WEXITED).unwrap().unwrap();
            assert_eq!((reaped, exit.status), (pid, supervise::ExitStatus::Code(7)));
        }
    }
}
