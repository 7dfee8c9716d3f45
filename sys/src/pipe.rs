//! Pipes, and moving what is in them without a copy in user memory: nothing that a crash could lose.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::errno::{check, check_size, retry, unless_blocking};

/// A pipe: (read end, write end), both close-on-exec and blocking: the write end is usually a child's standard
/// output, whose program expects it so. See [`nonblocking_pair`].
///
/// # Errors
/// No descriptor is left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// A pipe whose both ends are non-blocking and close-on-exec: for this process's own use.
///
/// # Errors
/// No descriptor is left.
pub fn nonblocking_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?)
}

/// Opens the same pipe a second time through `/proc/self/fd`, non-blocking: the flag then does not reach the
/// other holders of the end given.
///
/// # Errors
/// `/proc` is not mounted, or this process's user may not open the pipe.
pub fn reopen_for_reading(end: &impl AsFd) -> io::Result<OwnedFd> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", end.as_fd().as_raw_fd()))?;
    crate::fd::open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0)
}

/// How many bytes the pipe holds at most.
///
/// # Errors
/// Not a pipe.
pub fn capacity(end: &impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(fcntl(end, FcntlArg::F_GETPIPE_SZ)?).unwrap_or(0))
}

/// Grows (or shrinks) the pipe to at least this many bytes; answers what the kernel made of it.
///
/// # Errors
/// `PermissionDenied` above the system's bound for unprivileged users; a caller goes on with what there is.
pub fn set_capacity(end: &impl AsFd, bytes: usize) -> io::Result<usize> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    Ok(usize::try_from(fcntl(end, FcntlArg::F_SETPIPE_SZ(bytes))?).unwrap_or(0))
}

/// How many bytes lie in the pipe now.
///
/// # Errors
/// Not a pipe.
pub fn queued(end: &impl AsFd) -> io::Result<usize> {
    let mut bytes = 0i32;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(end.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Moves up to `length` bytes from a pipe to a file (at `offset`, which is advanced) or, without an offset, to
/// another pipe or to the file's own position. `None`: nothing could be moved without waiting for the pipe;
/// 0: every writer has gone and the pipe is empty. Writing to a disk may still take its time.
///
/// # Errors
/// As splice(2); a target opened with O_APPEND is `InvalidInput`, a full disk is ENOSPC and moves nothing.
pub fn splice(
    from: &impl AsFd,
    to: &impl AsFd,
    offset: Option<&mut i64>,
    length: usize,
) -> io::Result<Option<usize>> {
    let offset = offset.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    unless_blocking(retry(|| {
        // SAFETY: both descriptors are open; the offset is null or points at a live i64.
        check_size(unsafe { libc::splice(from, std::ptr::null_mut(), to, offset, length, flags) })
    }))
}

/// Copies up to `length` bytes from one pipe to another without consuming them. `None`: nothing to copy or no
/// room without waiting; 0: every writer has gone and the pipe is empty.
///
/// # Errors
/// As tee(2).
pub fn tee(from: &impl AsFd, to: &impl AsFd, length: usize) -> io::Result<Option<usize>> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    unless_blocking(retry(|| {
        // SAFETY: both descriptors are open.
        check_size(unsafe { libc::tee(from, to, length, libc::SPLICE_F_NONBLOCK) })
    }))
}

/// Gives the storage of a range of a file back, leaving a hole: the forgotten part of an endless memory file.
///
/// # Errors
/// The file system knows no holes.
pub fn punch_hole(file: &impl AsFd, offset: i64, length: i64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: plain integers on an open descriptor.
    check(unsafe { libc::fallocate(file.as_fd().as_raw_fd(), mode, offset, length) })?;
    Ok(())
}

/// Reads without waiting: `None` when there is nothing now, 0 at the end.
///
/// # Errors
/// As read(2). The descriptor must be non-blocking.
pub fn read(end: &impl AsFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let number = end.as_fd().as_raw_fd();
    unless_blocking(retry(|| {
        // SAFETY: the buffer is valid for its length.
        check_size(unsafe { libc::read(number, buffer.as_mut_ptr().cast(), buffer.len()) })
    }))
}

/// Writes without waiting: `None` when there is no room now.
///
/// # Errors
/// As write(2). The descriptor must be non-blocking.
pub fn write(end: &impl AsFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    let number = end.as_fd().as_raw_fd();
    unless_blocking(retry(|| {
        // SAFETY: the buffer is valid for its length.
        check_size(unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) })
    }))
}

/// A new empty file for captured output: opened for writing without O_APPEND (which splice refuses), created if
/// it is not there. The caller seeks to its end.
///
/// # Errors
/// As open(2).
pub fn output_file(path: &std::path::Path, mode: u32) -> io::Result<File> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // O_NONBLOCK only matters when the path is a FIFO: opening that must not wait for a reader.
    let number = check(
        // SAFETY: `path` is a valid C string for the duration of the call.
        unsafe {
            libc::open(
                path.as_ptr(),
                libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK,
                mode,
            )
        },
    )?;
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    Ok(unsafe { File::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn bytes_are_looked_at_with_tee_and_moved_with_splice() {
        let (source, feed) = pair().unwrap();
        let (peek, copy) = nonblocking_pair().unwrap();
        let target = File::from(crate::memfd::writable(c"test").unwrap());
        assert_eq!(splice(&source, &target, Some(&mut 0), 10).unwrap(), None);
        write(&feed, b"one\ntwo\n").unwrap();
        assert_eq!(queued(&source).unwrap(), 8);
        assert_eq!(tee(&source, &copy, 100).unwrap(), Some(8));
        let mut buffer = [0; 16];
        assert_eq!(read(&peek, &mut buffer).unwrap(), Some(8));
        assert_eq!(read(&peek, &mut buffer).unwrap(), None);
        let mut offset = 0;
        assert_eq!(splice(&source, &target, Some(&mut offset), 4).unwrap(), Some(4));
        assert_eq!(offset, 4);
        drop(feed);
        assert_eq!(splice(&source, &target, Some(&mut offset), 100).unwrap(), Some(4));
        assert_eq!(splice(&source, &target, Some(&mut offset), 100).unwrap(), Some(0));
        let mut content = [0; 8];
        target.read_exact_at(&mut content, 0).unwrap();
        assert_eq!(&content, b"one\ntwo\n");
        punch_hole(&target, 0, 4).unwrap();
        target.read_exact_at(&mut content, 0).unwrap();
        assert_eq!(&content, b"\0\0\0\0two\n");
    }

    #[test]
    fn a_pipe_grows_when_asked() {
        let (reader, _writer) = pair().unwrap();
        assert!(set_capacity(&reader, 131_072).unwrap() >= 131_072);
        assert!(capacity(&reader).unwrap() >= 131_072);
    }

    #[test]
    fn reopening_leaves_the_flags_of_the_other_holder_alone() {
        let (reader, _writer) = pair().unwrap();
        let second = reopen_for_reading(&reader).unwrap();
        assert!(crate::fd::is_nonblocking(second.as_fd()).unwrap());
        assert!(!crate::fd::is_nonblocking(reader.as_fd()).unwrap());
    }
}
