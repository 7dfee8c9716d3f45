//! Exits: how a process ended and what it used, looked at or taken.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use supervise::{Exit, ExitStatus};

use crate::errno::{check_long, retry};

/// Whom a wait is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Any,
    Pid(i32),
    Group(i32),
    Pidfd(i32),
}

/// waitid(2) through the kernel's own interface, which also tells the resource usage. Never waits.
///
/// `None`: such children exist but none is in a state asked for. ECHILD: there is none.
pub(crate) fn wait(target: Target, flags: i32) -> io::Result<Option<(i32, Exit)>> {
    let (kind, id) = match target {
        Target::Any => (libc::P_ALL, 0),
        Target::Pid(pid) => (libc::P_PID, pid),
        Target::Group(group) => (libc::P_PGID, group),
        Target::Pidfd(fd) => (libc::P_PIDFD, fd),
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    retry(|| {
        // SAFETY: both out-pointers are valid for writes of their types.
        check_long(unsafe {
            libc::syscall(
                libc::SYS_waitid,
                kind,
                id,
                info.as_mut_ptr(),
                flags | libc::WNOHANG,
                usage.as_mut_ptr(),
            )
        })
    })?;
    // SAFETY: all-zero is valid for both plain C types, and the kernel wrote whole values over it or nothing.
    let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
    // SAFETY: waitid fills the SIGCHLD member of the union, or leaves it zero.
    let (pid, value) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let status = match info.si_code {
        libc::CLD_EXITED => ExitStatus::Code(value),
        code => ExitStatus::Signal { number: value, core_dumped: code == libc::CLD_DUMPED },
    };
    let exit = Exit {
        status,
        user_time: duration(usage.ru_utime),
        system_time: duration(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    };
    Ok(Some((pid, exit)))
}

/// As [`wait`], with "there is no such child" as `None` too.
pub(crate) fn wait_if_any(target: Target, flags: i32) -> io::Result<Option<(i32, Exit)>> {
    match wait(target, flags) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        result => result,
    }
}

fn duration(time: libc::timeval) -> Duration {
    let microseconds = u32::try_from(time.tv_usec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), microseconds * 1000)
}
