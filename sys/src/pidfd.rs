//! Processes by descriptor: a number that can never come to mean another process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::errno::check_long;
use crate::procfs;

/// A descriptor for a live (or not yet reaped) process. For a process that is not a child of the caller there
/// is a race between learning its number and this call: compare its start time afterwards.
///
/// # Errors
/// ESRCH: there is no such process.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers; the kernel creates pidfds close-on-exec.
    let number = check_long(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let number = i32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor for a live process of the session that `leader` leads.
///
/// # Errors
/// ESRCH: there is no such process. `NotFound`: it is of another session, or has ended.
pub fn open_member(leader: i32, pid: i32) -> io::Result<OwnedFd> {
    let pidfd = open(pid)?;
    // Looked at while it is held on to: the number cannot come to mean somebody else meanwhile.
    if procfs::stat(pid).is_some_and(|stat| stat.session == leader && stat.state != 'Z') {
        return Ok(pidfd);
    }
    let text = format!("process {pid} is not of the session of {leader}");
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// Sends a signal; 0 only asks whether the process is there.
///
/// # Errors
/// ESRCH: it has ended and was reaped. EPERM: it changed its user.
pub fn send_signal(pidfd: &impl AsFd, signal: i32) -> io::Result<()> {
    let number = pidfd.as_fd().as_raw_fd();
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means "as kill(2) does".
    check_long(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, number, signal, no_info, 0) })?;
    Ok(())
}

/// Whether the process has ended (reaped or not). The same condition makes the descriptor readable.
///
/// # Errors
/// None in practice.
pub fn has_ended(pidfd: &impl AsFd) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: pidfd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, and no waiting.
    let ready = crate::errno::check(unsafe { libc::poll(&raw mut poll, 1, 0) })?;
    Ok(ready > 0)
}

/// Whether the process still has its number: it lives, or waits to be reaped.
#[must_use]
pub fn is_unreaped(pidfd: &impl AsFd) -> bool {
    !matches!(send_signal(pidfd, 0), Err(error) if error.raw_os_error() == Some(libc::ESRCH))
}

/// Sends a signal to the group that the process leads, for one that is not (or no longer) this process's own
/// child: only while the number is still its own.
///
/// # Errors
/// ESRCH: it has been reaped. EPERM: all of the group run as somebody this process may not signal.
pub fn signal_group(pidfd: &impl AsFd, pid: i32, signal: i32) -> io::Result<()> {
    // While its leader is unreaped the group's number cannot be given to anybody else.
    if !is_unreaped(pidfd) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: plain integers. The pid is that of a real process, so its negative is never -1 or 0.
    match crate::errno::check(unsafe { libc::kill(-pid, signal) }) {
        // So young that it has not made its group yet: nothing else can be in it.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => send_signal(pidfd, signal),
        result => result.map(drop),
    }
}

/// Whether a group has members, zombies among them. It signals nobody.
pub(crate) fn has_members(group: i32) -> bool {
    // SAFETY: plain integers. The group was led by a real process, so its negative is never -1 or 0.
    let asked = crate::errno::check(unsafe { libc::kill(-group, 0) });
    !matches!(asked, Err(error) if error.raw_os_error() == Some(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_there_and_has_not_ended() {
        let own = open(crate::process::pid()).unwrap();
        assert!(crate::fd::is_close_on_exec(own.as_fd()).unwrap());
        assert!(!has_ended(&own).unwrap());
        assert!(is_unreaped(&own));
        send_signal(&own, 0).unwrap();
    }

    #[test]
    fn a_number_nobody_has_is_an_error() {
        assert_eq!(open(i32::MAX).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
