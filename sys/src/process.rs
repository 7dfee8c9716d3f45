//! The own process: who it is, what it inherits, what it leaves to its children, and becoming another image.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::errno::{check, check_long};

#[must_use]
pub fn pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// 1 or another sub-reaper's number once the parent has died.
#[must_use]
pub fn parent_pid() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// The real user.
#[must_use]
pub fn uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

#[must_use]
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[must_use]
pub fn effective_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// Whether there is a controlling terminal.
#[must_use]
pub fn has_terminal() -> bool {
    crate::fd::open(c"/dev/tty", libc::O_RDONLY | libc::O_NONBLOCK, 0).is_ok()
}

/// Orphans below this process become its children. Kept over exec, not inherited by children.
///
/// # Errors
/// None in practice.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Has the kernel send a signal to this process when the thread that started it ends. `parent` is the number
/// the parent had: when it is gone already, the answer is `false` and the caller should end.
///
/// # Errors
/// The signal is unknown.
pub fn die_with_parent(signal: i32, parent: i32) -> io::Result<bool> {
    // SAFETY: plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) })?;
    Ok(parent_pid() == parent)
}

/// Sends a signal to one process by number: for numbers that came from this process's own children only.
///
/// # Errors
/// ESRCH, EPERM; `InvalidInput` for numbers that would mean a group or everybody.
pub fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    if pid <= 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no process number")));
    }
    // SAFETY: plain integers.
    check(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// Kills a group by number: for groups of which is known that they are still the ones that were meant.
///
/// # Errors
/// ESRCH, EPERM; `InvalidInput` for numbers that would mean the own group or everybody.
pub fn kill_group(group: i32) -> io::Result<()> {
    if group <= 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{group} is no group to kill")));
    }
    // SAFETY: plain integers.
    check(unsafe { libc::kill(-group, libc::SIGKILL) })?;
    Ok(())
}

/// Raises the soft limit of open files to the hard one. Answers the (soft, hard) limit as it was, which
/// children get back: programs that use select(2) cannot live with a large one.
///
/// # Errors
/// None in practice: a soft limit may always be raised to the hard one.
pub fn raise_nofile() -> io::Result<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok((soft, hard))
}

/// The (soft, hard) limit of a resource of this process, by its number of setrlimit(2).
///
/// # Errors
/// The resource is unknown to this kernel.
pub fn limit(resource: u32) -> io::Result<(u64, u64)> {
    let mut value = [0u64; 2];
    let none = ptr::null::<u64>();
    // SAFETY: pid 0 is the caller, nothing is set, and the old value is two u64.
    check_long(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, none, value.as_mut_ptr()) })?;
    Ok((value[0], value[1]))
}

/// The size of a page in bytes.
#[must_use]
pub fn page_size() -> u64 {
    configured(libc::_SC_PAGESIZE, 4096)
}

fn configured(name: i32, otherwise: u64) -> u64 {
    // SAFETY: a plain integer; an unknown name answers -1.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|&value| value > 0).unwrap_or(otherwise)
}

/// Replaces this process's image by an opened program. Returns only on failure. Descriptors survive that were
/// told to ([`crate::fd::set_survives_exec`]); the signal mask and ignored signals stay as they are.
///
/// # Errors
/// As execveat(2), or a NUL inside an argument.
pub fn replace_image(program: &impl AsFd, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| {
        list.iter().map(|entry| entry.as_ptr()).chain([ptr::null()]).collect::<Vec<*const libc::c_char>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    let number = program.as_fd().as_raw_fd();
    // SAFETY: NULL-terminated arrays of valid C strings, and an open descriptor.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            number,
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_the_descriptor_limit_answers_the_one_before() {
        let nofile = crate::limits::number(proto::spec::Resource::Nofile);
        let before = limit(nofile).unwrap();
        assert_eq!(raise_nofile().unwrap(), before);
        assert_eq!(limit(nofile).unwrap(), (before.1, before.1));
    }

    #[test]
    fn a_group_or_everybody_is_never_signalled_by_number() {
        for pid in [0, -1, -42] {
            assert_eq!(send_signal(pid, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        send_signal(pid(), 0).unwrap();
    }
}
