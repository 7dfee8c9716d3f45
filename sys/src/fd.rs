//! Descriptors: their flags, their identity, and a few ways to open one.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use crate::errno::check;

/// What a file, socket or pipe is known by while it exists: device and inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// What kind of thing a descriptor is, for a check of what was inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    Pipe,
    Socket,
    Character,
    Other,
}

/// # Errors
/// The descriptor is not open.
pub fn identity(fd: impl AsFd) -> io::Result<FileId> {
    let stat = nix::sys::stat::fstat(fd)?;
    Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
}

/// # Errors
/// The descriptor is not open.
pub fn kind(fd: impl AsFd) -> io::Result<Kind> {
    let stat = nix::sys::stat::fstat(fd)?;
    Ok(match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::Regular,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFCHR => Kind::Character,
        _ => Kind::Other,
    })
}

/// Lets a descriptor survive the next exec of this process, or not. Only for replacing the own image: what a
/// child inherits is a list given to [`crate::spawn`].
///
/// # Errors
/// The descriptor is not open.
pub fn set_survives_exec(fd: impl AsFd, survives: bool) -> io::Result<()> {
    let flag = if survives { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flag))?;
    Ok(())
}

/// As [`set_survives_exec`], for descriptors by their numbers.
///
/// # Errors
/// A number names no open descriptor; those before it are changed.
pub fn let_survive(numbers: &[RawFd], survives: bool) -> io::Result<()> {
    let flag = if survives { 0 } else { libc::FD_CLOEXEC };
    for &number in numbers {
        // SAFETY: the flag of any number may be set; it fails when the number is not open.
        check(unsafe { libc::fcntl(number, libc::F_SETFD, flag) })?;
    }
    Ok(())
}

/// Sets or clears O_NONBLOCK. It belongs to the open file description: never use this on something another
/// process shares.
///
/// # Errors
/// The descriptor is not open.
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> io::Result<()> {
    let fd = fd.as_fd();
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, nonblocking);
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// A close-on-exec duplicate, numbered 3 or higher so that a standard stream is never replaced by accident.
///
/// # Errors
/// The descriptor limit is reached.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes ownership of a descriptor that this process was started with (from `LISTEN_FDS`, or over an exec of
/// its own image): verifies that it is open and makes it close-on-exec.
///
/// # Errors
/// The number names no open descriptor.
///
/// # Safety
/// Nothing else in this process may own the number.
pub unsafe fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: fcntl with F_SETFD on any number is harmless; it fails when the number is not open.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: open, as just proven, and unowned by the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes ownership of the descriptors listed, all of them inherited over an exec: [`adopt`] for a caller that
/// may not write unsafe code. To be called first thing in `main`, before anything else has opened a descriptor.
///
/// # Errors
/// A number is below 3, listed twice, or not open.
pub fn adopt_inherited(numbers: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    static ADOPTED: std::sync::Mutex<Vec<RawFd>> = std::sync::Mutex::new(Vec::new());
    let mut adopted = ADOPTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut owned = Vec::with_capacity(numbers.len());
    for &number in numbers {
        if number < 3 || adopted.contains(&number) {
            let text =
                format!("descriptor {number} cannot be inherited: it is a standard stream or taken twice");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: each number is handed out once per process, as the list above records, and callers run
        // before anything else opens descriptors.
        owned.push(unsafe { adopt(number) }?);
        adopted.push(number);
    }
    Ok(owned)
}

/// Opens a path with the flags given and close-on-exec, never as the controlling terminal.
///
/// # Errors
/// As open(2).
pub fn open(path: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: `path` is a valid C string for the duration of the call.
    let number = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC | libc::O_NOCTTY, mode) })?;
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Opens a regular file for reading and writing, or makes it with that mode: neither through a symbolic link
/// that somebody put in its place, nor waiting for whom a FIFO would wait.
///
/// # Errors
/// As open(2); `InvalidInput` when it is something else than a regular file.
pub fn open_regular(path: &Path, mode: u32) -> io::Result<File> {
    regular(path, libc::O_RDWR | libc::O_CREAT, mode)
}

/// Opens a regular file for reading, as carefully as [`open_regular`].
///
/// # Errors
/// As [`open_regular`]; `NotFound` when there is none.
pub fn read_regular(path: &Path) -> io::Result<File> {
    regular(path, libc::O_RDONLY, 0)
}

fn regular(path: &Path, flags: i32, mode: u32) -> io::Result<File> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let file = File::from(open(&path, flags | libc::O_NOFOLLOW | libc::O_NONBLOCK, mode)?);
    if kind(&file)? != Kind::Regular {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// `/dev/null`, for reading and writing.
///
/// # Errors
/// The machine has no `/dev/null`, or the descriptor limit is reached.
pub fn null() -> io::Result<OwnedFd> {
    open(c"/dev/null", libc::O_RDWR, 0)
}

/// Puts another file in the place of a standard stream of this process.
///
/// # Errors
/// `InvalidInput` for any number but 0, 1 and 2.
pub fn redirect(stream: RawFd, to: &impl AsFd) -> io::Result<()> {
    if !(0..=2).contains(&stream) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{stream} is no standard stream")));
    }
    // SAFETY: both descriptors are open; nothing in this process owns the number of a standard stream.
    check(unsafe { libc::dup2(to.as_fd().as_raw_fd(), stream) })?;
    Ok(())
}

/// Opens `/dev/null` in the place of each standard stream that is closed, so that no later descriptor becomes
/// 0, 1 or 2. Part of the first steps of a daemon.
///
/// # Errors
/// The machine has no `/dev/null`.
pub fn fill_standard_streams() -> io::Result<()> {
    loop {
        // SAFETY: a valid C string; the result is checked.
        let number = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
        if number > 2 {
            // SAFETY: opened just above, owned by nobody else.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
            return Ok(());
        }
    }
}

/// Takes the exclusive advisory lock of an open file without waiting. It lives as long as the open file
/// description does: over an exec if the descriptor survives, in no child (close-on-exec).
///
/// # Errors
/// `WouldBlock` when another open file description has it.
pub fn try_lock(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the duration of the call.
    check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })?;
    Ok(())
}

/// Whether an open file description has O_NONBLOCK set.
///
/// # Errors
/// The descriptor is not open.
pub fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?).contains(OFlag::O_NONBLOCK))
}

/// Whether an exec would close the descriptor.
///
/// # Errors
/// The descriptor is not open.
pub fn is_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?).contains(FdFlag::FD_CLOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_born_close_on_exec_and_duplicates_stay_so() {
        let null = null().unwrap();
        assert!(is_close_on_exec(null.as_fd()).unwrap());
        let copy = duplicate(&null).unwrap();
        assert!(copy.as_raw_fd() >= 3);
        assert!(is_close_on_exec(copy.as_fd()).unwrap());
        assert_eq!(identity(&null).unwrap(), identity(&copy).unwrap());
        assert_eq!(kind(&null).unwrap(), Kind::Character);
        set_survives_exec(&copy, true).unwrap();
        assert!(!is_close_on_exec(copy.as_fd()).unwrap());
        assert!(is_close_on_exec(null.as_fd()).unwrap());
    }

    #[test]
    fn a_standard_stream_or_a_closed_number_is_not_adopted() {
        assert!(adopt_inherited(&[1]).is_err());
        assert!(adopt_inherited(&[1_000_000]).is_err());
    }

    #[test]
    fn neither_a_link_nor_a_device_is_opened_as_a_regular_file() {
        let path = std::env::temp_dir().join(format!("sys-regular-{}", std::process::id()));
        drop(open_regular(&path, 0o600).unwrap());
        drop(open_regular(&path, 0o600).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(open_regular(&path, 0o600).is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            open_regular(Path::new("/dev/null"), 0o600).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_lock_is_held_by_one_open_file_only() {
        let path = std::env::temp_dir().join(format!("sys-lock-{}", std::process::id()));
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        try_lock(&first).unwrap();
        assert_eq!(try_lock(&second).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        try_lock(&second).unwrap();
    }
}
