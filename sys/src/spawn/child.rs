//! Between clone and exec: system calls in the one right order, and nothing else.
//!
//! The C library's wrappers are used where they are nothing but the system call; where they do more (setresuid
//! speaks to other threads, sigaction hides two signals) the raw call is made.

use std::ptr;

use libc::{c_int, c_long};

use super::plan::{Announcement, Handing, PID_ROOM, Plan};
use super::resume;
use super::stage::{SpawnFailure, Stage};
use crate::fail_point;

type Step = Result<(), SpawnFailure>;

/// The child's whole life in this image.
pub(super) fn run(plan: &mut Plan<'_>) -> ! {
    let failure = match prepare(plan) {
        Ok(()) => execute(plan),
        Err(failure) => failure,
    };
    report(plan.status, plan.announcement.as_mut(), failure);
    exit()
}

/// The rest of it in the launcher's image.
pub(super) fn go_on(plan: &mut Plan<'_>) -> ! {
    // The mask is as it was, everything blocked; the start of this image may have changed dispositions.
    default_dispositions(plan.dispositions);
    let failure = match settle(plan) {
        Ok(()) => execute(plan),
        Err(failure) => failure,
    };
    report(plan.status, plan.announcement.as_mut(), failure);
    exit()
}

pub(super) fn exit() -> ! {
    // SAFETY: _exit runs no code of this process.
    unsafe { libc::_exit(127) }
}

fn errno() -> i32 {
    // SAFETY: the calling thread's own errno.
    unsafe { *libc::__errno_location() }
}

/// The answer of a system call as a step's result.
fn done(stage: Stage, result: c_long) -> Step {
    if result == -1 { Err(SpawnFailure { stage, errno: errno() }) } else { Ok(()) }
}

fn prepare(plan: &mut Plan<'_>) -> Step {
    default_dispositions(plan.dispositions);
    fail_point::reach("spawn-before-session");
    // SAFETY: no arguments.
    done(Stage::Session, c_long::from(unsafe { libc::setsid() }))?;
    if let Some(announcement) = &mut plan.announcement {
        fail_point::reach("spawn-before-letter");
        announce(announcement)?;
        fail_point::reach("spawn-after-letter");
    }
    place_descriptors(plan)?;
    if let Some(handing) = &plan.handing {
        hand_over(plan, handing)?;
    }
    set_attributes(plan)?;
    set_limits(plan)?;
    become_user(plan)?;
    settle(plan)
}

/// What is done as the process's user. A launcher does it once more: what the first time had nothing to do, and
/// what its exec may have undone.
fn settle(plan: &mut Plan<'_>) -> Step {
    if let Some(cwd) = plan.cwd {
        // SAFETY: a valid C string.
        done(Stage::Directory, c_long::from(unsafe { libc::chdir(cwd) }))?;
    }
    open_files(plan)?;
    if plan.no_new_privileges {
        // SAFETY: plain integers.
        let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        done(Stage::NoNewPrivileges, c_long::from(result))?;
    }
    die_with_parent(plan)?;
    write_own_pid(plan);
    if plan.announcement.is_some() {
        fail_point::reach("spawn-before-exec");
    }
    if plan.handing.is_some() { Ok(()) } else { empty_mask() }
}

/// Every signal's default action: handlers would be lost at exec anyway, but what was ignored would stay so.
fn default_dispositions(changed: u64) {
    // The kernel's sigaction: handler, flags, restorer, mask. All zero is SIG_DFL.
    let default = [0u64; 4];
    for signal in 1..=64usize {
        if changed & crate::signals::bit(signal) == 0 {
            continue;
        }
        // SAFETY: a zeroed kernel sigaction of sufficient size; KILL and STOP answer EINVAL, which is fine.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), 8usize)
        };
    }
}

fn announce(announcement: &mut Announcement<'_>) -> Step {
    // SAFETY: plain integers.
    let own = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    done(Stage::Announce, own)?;
    let own = c_int::try_from(own).unwrap_or(-1);
    announcement.born.set_first(own);
    let result = send(announcement.socket, |socket| announcement.born.send(socket));
    // SAFETY: opened above, and the message carries its own reference.
    unsafe { libc::close(own) };
    result.map_err(|errno| SpawnFailure { stage: Stage::Announce, errno })
}

/// Sends as if the socket were blocking: its flag belongs to the parent's loop.
fn send(socket: c_int, mut attempt: impl FnMut(c_int) -> Result<usize, i32>) -> Result<(), i32> {
    loop {
        match attempt(socket) {
            Ok(_) => return Ok(()),
            Err(libc::EINTR) => {}
            Err(libc::EAGAIN) => wait_writable(socket, -1),
            // Too many descriptors on their way: no event tells when the receiver has taken some.
            Err(libc::ETOOMANYREFS) => wait_writable(-1, 10),
            Err(errno) => return Err(errno),
        }
    }
}

fn wait_writable(socket: c_int, timeout: c_int) {
    let mut poll = libc::pollfd { fd: socket, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid pollfd; a failure leads to another attempt at sending, which tells.
    unsafe { libc::poll(&raw mut poll, 1, timeout) };
}

/// First everything out of the way, then each into its place, then all others are marked or closed.
fn place_descriptors(plan: &mut Plan<'_>) -> Step {
    let base = plan.base;
    for entry in &mut *plan.moves {
        entry.source = out_of_the_way(entry.source, base, true)?;
    }
    plan.status = out_of_the_way(plan.status, base, false)?;
    if let Some(image) = &mut plan.image {
        *image = out_of_the_way(*image, base, false)?;
    }
    if let Some(announcement) = &mut plan.announcement {
        announcement.socket = out_of_the_way(announcement.socket, base, false)?;
    }
    for entry in &*plan.moves {
        // SAFETY: replacing whatever has the target's number is the purpose; dup2 leaves no close-on-exec flag.
        done(Stage::Descriptors, c_long::from(unsafe { libc::dup2(entry.source, entry.target) }))?;
    }
    for number in 0..base {
        if !plan.moves.iter().any(|entry| entry.target == number) {
            // SAFETY: plain integers; a number that is not open answers EBADF, which is fine.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    // Everything is close-on-exec from birth; this is for what a library or whoever started us left open.
    if close_range(base, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
        close_all_but_own(plan);
    }
    Ok(())
}

/// Puts what a launcher needs where it finds it: before the limit of open files is set, and while the process may
/// open what its user may not.
fn hand_over(plan: &Plan<'_>, handing: &Handing) -> Step {
    let flags = libc::O_RDONLY | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: a valid C string and plain integers.
    let mut file = unsafe { libc::open(handing.env_file, flags) };
    if file == -1 && handing.is_optional && errno() == libc::ENOENT {
        // SAFETY: as above.
        file = unsafe { libc::open(c"/dev/null".as_ptr(), flags) };
    }
    done(Stage::EnvFile, c_long::from(file))?;
    put(Stage::EnvFile, file, handing.first + resume::ENV_FILE)?;
    put(Stage::Descriptors, plan.status, handing.first + resume::STATUS)?;
    if let Some(announcement) = &plan.announcement {
        put(Stage::Descriptors, announcement.socket, handing.first + resume::LETTER)?;
    }
    Ok(())
}

fn open_files(plan: &Plan<'_>) -> Step {
    for (path, target) in plan.files {
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: a valid C string and plain integers.
        let file = unsafe { libc::open(*path, flags, 0o666) };
        done(Stage::Output, c_long::from(file))?;
        put(Stage::Output, file, *target)?;
    }
    Ok(())
}

/// Lets a close-on-exec descriptor survive exec under another number, or its own.
fn put(stage: Stage, fd: c_int, target: c_int) -> Step {
    let result = if fd == target {
        // SAFETY: plain integers; the flag is taken off the number that is to stay.
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }
    } else {
        // SAFETY: as for the other descriptors.
        unsafe { libc::dup2(fd, target) }
    };
    done(stage, c_long::from(result))
}

/// A close-on-exec duplicate at `base` or higher, or the number itself when it is there already and shared
/// with no other entry.
fn out_of_the_way(fd: c_int, base: c_int, always: bool) -> Result<c_int, SpawnFailure> {
    if fd >= base && !always {
        return Ok(fd);
    }
    // SAFETY: plain integers.
    let moved = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, base) };
    done(Stage::Descriptors, c_long::from(moved))?;
    Ok(moved)
}

fn close_range(first: c_int, last: c_int, flags: libc::c_uint) -> c_long {
    // SAFETY: the numbers of descriptors this process needs are outside the range, or only marked.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }
}

/// Linux 5.10 knows close_range but not its flag: the gaps between the few descriptors still needed are closed.
fn close_all_but_own(plan: &Plan<'_>) {
    let own = [plan.status, plan.image.unwrap_or(-1), plan.announcement.as_ref().map_or(-1, |a| a.socket)];
    let mut first = plan.base;
    loop {
        let mut next = c_int::MAX;
        for number in own {
            if number >= first && number < next {
                next = number;
            }
        }
        if next == c_int::MAX {
            close_range(first, c_int::MAX, 0);
            return;
        }
        if next > first {
            close_range(first, next - 1, 0);
        }
        first = next + 1;
    }
}

fn set_attributes(plan: &Plan<'_>) -> Step {
    if let Some(mask) = plan.umask {
        // SAFETY: plain integers; umask cannot fail.
        unsafe { libc::umask(mask as libc::mode_t) };
    }
    if let Some(nice) = plan.nice {
        // SAFETY: plain integers. The raw call answers 0 or -1.
        let result = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) };
        done(Stage::Nice, result)?;
    }
    if let Some(text) = plan.oom_score_adj {
        // SAFETY: a valid C string and plain flags.
        let file =
            unsafe { libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
        done(Stage::OomScore, c_long::from(file))?;
        // SAFETY: the buffer is valid for its length, the file was opened above.
        let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
        let result = done(Stage::OomScore, written as c_long);
        // SAFETY: opened above, owned by nobody else.
        unsafe { libc::close(file) };
        result?;
    }
    Ok(())
}

fn set_limits(plan: &Plan<'_>) -> Step {
    for limit in plan.limits {
        let value = [limit.soft, limit.hard];
        // SAFETY: the kernel's rlimit64 is two u64; pid 0 is the caller; the old value is not asked for.
        let result = unsafe {
            let none = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_prlimit64, 0, limit.resource, value.as_ptr(), none)
        };
        done(Stage::Limit(limit.resource), result)?;
    }
    Ok(())
}

fn become_user(plan: &Plan<'_>) -> Step {
    let Some(user) = &plan.user else { return Ok(()) };
    let (uid, gid) = (user.uid, user.gid);
    // SAFETY: pointer and length of one slice. Raw calls all: the wrappers would signal threads that are not here.
    let groups = unsafe { libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) };
    done(Stage::Groups, groups)?;
    // SAFETY: plain integers.
    done(Stage::Gid, unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: plain integers.
    done(Stage::Uid, unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    let mut ids = [0u32; 6];
    let at = ids.as_mut_ptr();
    // SAFETY: six valid u32 places.
    unsafe {
        libc::syscall(libc::SYS_getresgid, at, at.add(1), at.add(2));
        libc::syscall(libc::SYS_getresuid, at.add(3), at.add(4), at.add(5));
    }
    if ids[..3] != [gid; 3] {
        return Err(SpawnFailure { stage: Stage::Gid, errno: libc::EPERM });
    }
    if ids[3..] != [uid; 3] {
        return Err(SpawnFailure { stage: Stage::Uid, errno: libc::EPERM });
    }
    Ok(())
}

fn die_with_parent(plan: &Plan<'_>) -> Step {
    let Some(signal) = plan.parent_death_signal else { return Ok(()) };
    // SAFETY: plain integers.
    done(Stage::ParentDeath, c_long::from(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) }))?;
    // SAFETY: no arguments.
    if unsafe { libc::getppid() } != plan.parent {
        // It died before the line above: nobody will send the signal any more, and nobody reads a report.
        exit();
    }
    Ok(())
}

/// Left-justified and ended by a NUL: zero-padded digits would be read as octal and refused.
fn write_own_pid(plan: &Plan<'_>) {
    // SAFETY: no arguments.
    let mut rest = unsafe { libc::getpid() }.unsigned_abs();
    let mut digits = [0u8; 10];
    let mut count = 0;
    for digit in &mut digits {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for start in plan.own_pid {
        // SAFETY: a place of this many bytes in the plan's own environment, which nobody else reads before exec.
        let room = unsafe { std::slice::from_raw_parts_mut(*start, PID_ROOM) };
        for (place, digit) in room.iter_mut().zip(digits.iter().take(count).rev()) {
            *place = *digit;
        }
    }
}

fn empty_mask() -> Step {
    let none = 0u64;
    // SAFETY: a valid kernel signal set of eight bytes; the old one is not asked for.
    let result = unsafe {
        let old = ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, 8usize)
    };
    done(Stage::SignalMask, result)
}

/// Returns only when nothing could be executed.
fn execute(plan: &Plan<'_>) -> SpawnFailure {
    let (argv, envp) = (plan.argv.as_ptr(), plan.envp.as_ptr());
    let stage = if plan.handing.is_some() { Stage::Launcher } else { Stage::Execute };
    let failed = |errno| SpawnFailure { stage, errno };
    if let Some(image) = plan.image {
        // SAFETY: NULL-terminated arrays of valid C strings, and an open descriptor.
        unsafe {
            libc::syscall(libc::SYS_execveat, image, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH);
        }
        return failed(errno());
    }
    let mut denied = false;
    let mut last = libc::ENOENT;
    for candidate in plan.candidates {
        // SAFETY: NULL-terminated arrays of valid C strings.
        unsafe { libc::execve(*candidate, argv, envp) };
        last = errno();
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR => {}
            _ => return failed(last),
        }
    }
    failed(if denied { libc::EACCES } else { last })
}

/// Tells the third party and the parent. What cannot be told is not waited for but by the parent's own means:
/// the end of the process.
pub(super) fn report(status: c_int, announcement: Option<&mut Announcement<'_>>, failure: SpawnFailure) {
    let code = failure.stage.code().to_le_bytes();
    let errno = failure.errno.to_le_bytes();
    if let Some(announcement) = announcement {
        if failure.stage != Stage::Announce {
            let bytes = announcement.failed.bytes_mut();
            patch(bytes, announcement.stage_offset, code);
            patch(bytes, announcement.errno_offset, errno);
            let _ = send(announcement.socket, |socket| announcement.failed.send(socket));
        }
    }
    let mut message = [0u8; 8];
    patch(&mut message, 0, code);
    patch(&mut message, 4, errno);
    // SAFETY: the buffer is valid for its length; a pipe takes eight bytes whole or not at all.
    unsafe { libc::write(status, message.as_ptr().cast(), message.len()) };
}

fn patch(bytes: &mut [u8], offset: usize, value: [u8; 4]) {
    for (place, byte) in bytes.iter_mut().skip(offset).zip(value) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::Command;
    use crate::spawn::arena::Arena;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

    fn is_open(fd: c_int) -> bool {
        // SAFETY: F_GETFD on any number is harmless.
        unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
    }

    /// The way of kernels that know close_range(2) without its flag, tried in a process of its own.
    #[test]
    fn without_the_newer_flag_all_but_the_needed_descriptors_are_closed() {
        let null = crate::fd::null().unwrap();
        let high = |at: c_int| {
            // SAFETY: the kernel picks a free number, owned right away.
            unsafe { OwnedFd::from_raw_fd(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at)) }
        };
        let (image, status, stranger) = (high(600), high(605), high(610));
        let mut command = Command { candidates: vec![c"/bin/true".into()], ..Command::default() };
        command.image = Some(image.as_fd());
        let arena = Arena::default();
        let plan = Plan::new(&arena, &command, status.as_raw_fd()).unwrap();
        let strangers = [600, 605, 610].map(|at| at + 1).into_iter().chain([stranger.as_raw_fd(), plan.base]);
        let strangers: Vec<c_int> =
            strangers.filter(|fd| ![image.as_raw_fd(), status.as_raw_fd()].contains(fd)).collect();
        assert!(is_so_in_a_child(|| {
            close_all_but_own(&plan);
            let kept = is_open(plan.status) && is_open(image.as_raw_fd());
            kept && strangers.iter().all(|&fd| !is_open(fd))
        }));
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_the_heap_has_grown_by_is_not_there_in_a_child() {
        crate::memory::begin();
        // SAFETY: the allocator takes note when others have moved the heap's end.
        let grown = unsafe { libc::sbrk(1 << 16) };
        let page = grown.map_addr(|address| address.next_multiple_of(1 << 12));
        let is_there = || {
            let mut answer = 0u8;
            // SAFETY: it only asks whether there is a page at the address.
            unsafe { libc::mincore(page, 1 << 12, &raw mut answer) == 0 }
        };
        crate::memory::withhold_heap();
        assert!(is_there());
        assert!(is_so_in_a_child(|| !is_there()));
        let arena = Arena::default();
        let kept = arena.bytes(&[b"kept"]).unwrap();
        assert!(is_so_in_a_child(|| kept == b"kept"));
    }

    /// Nothing but system calls may be made by `check`.
    fn is_so_in_a_child(check: impl FnOnce() -> bool) -> bool {
        let (pid, pidfd) = super::super::start::clone().unwrap();
        if pid == 0 {
            // SAFETY: _exit runs no code of this process.
            unsafe { libc::_exit(if check() { 0 } else { 1 }) }
        }
        // SAFETY: just created for the parent.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd; the child ends at once.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
        let target = crate::wait::Target::Pidfd(pidfd.as_raw_fd());
        let (_, exit) = crate::wait::wait(target, libc::WEXITED).unwrap().unwrap();
        exit.status == supervise::ExitStatus::Code(0)
    }
}
