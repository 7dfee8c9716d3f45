//! Moving what lies in a pipe without reading it: tee(2) looks, splice(2) takes. Between the two nothing is in this
//! process's memory that its death could lose.
//!
//! A capture pipe's read end is shared between processes (the open file description is one), and it has one word
//! that outlives each of them: [`set_mark`].

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use crate::errno::{check, check_size, retry, unless_blocking};

/// What a pipe is grown to when it is found full: the most that everybody may ask for.
pub const LARGE: usize = 1 << 20;
/// asm-generic/fcntl.h; missing from libc.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

/// A pipe into which others are teed, to look at what they hold.
#[derive(Debug)]
pub struct Glass {
    reader: File,
    writer: OwnedFd,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// This many bytes, now in the buffer.
    Bytes(usize),
    /// Nothing now.
    Empty,
    /// Nothing, and nobody holds the other end.
    Ended,
}

impl Glass {
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = crate::pipe::nonblocking_pair()?;
        grow(&writer);
        Ok(Self { reader: File::from(reader), writer })
    }

    /// Fills the buffer with what stands first in the pipe, which keeps it.
    ///
    /// # Errors
    /// As tee(2).
    pub fn look(&mut self, pipe: &impl AsFd, buffer: &mut [u8]) -> io::Result<Look> {
        let Some(seen) = self.tee(pipe, buffer.len())? else { return Ok(Look::Empty) };
        if seen == 0 {
            return Ok(Look::Ended);
        }
        self.reader.read_exact(&mut buffer[..seen])?;
        Ok(Look::Bytes(seen))
    }

    /// Where the first `byte` stands in all that the pipe holds, read through `buffer`. `None`: nowhere.
    ///
    /// # Errors
    /// As tee(2).
    pub fn find(&mut self, pipe: &impl AsFd, byte: u8, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(mut left) = self.tee(pipe, LARGE)? else { return Ok(None) };
        let (mut passed, mut found) = (0, None);
        while left > 0 {
            let piece = left.min(buffer.len());
            self.reader.read_exact(&mut buffer[..piece])?;
            if found.is_none() {
                found = buffer[..piece].iter().position(|&other| other == byte).map(|at| passed + at);
            }
            passed += piece;
            left -= piece;
        }
        Ok(found)
    }

    fn tee(&self, pipe: &impl AsFd, length: usize) -> io::Result<Option<usize>> {
        let (from, to) = (pipe.as_fd().as_raw_fd(), self.writer.as_raw_fd());
        unless_blocking(retry(|| {
            // SAFETY: two open descriptors and no memory.
            check_size(unsafe { libc::tee(from, to, length, libc::SPLICE_F_NONBLOCK) })
        }))
    }
}

/// Moves at most `length` bytes from a pipe to that place of a regular file; the number that were moved, fewer where
/// the file took no more.
///
/// # Errors
/// As splice(2): the file takes nothing. A file opened to append is refused.
pub fn to_file(pipe: &impl AsFd, file: &impl AsFd, at: u64, length: usize) -> io::Result<usize> {
    let mut offset = i64::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    retry(|| {
        // SAFETY: `offset` is valid for the write; two open descriptors.
        check_size(unsafe {
            libc::splice(
                pipe.as_fd().as_raw_fd(),
                ptr::null_mut(),
                file.as_fd().as_raw_fd(),
                &raw mut offset,
                length,
                libc::SPLICE_F_NONBLOCK,
            )
        })
    })
}

/// Takes at most `length` bytes out of a pipe, to nowhere: `null` is `/dev/null`.
///
/// # Errors
/// As splice(2).
pub fn discard(pipe: &impl AsFd, null: &impl AsFd, length: usize) -> io::Result<usize> {
    let (from, to) = (pipe.as_fd().as_raw_fd(), null.as_fd().as_raw_fd());
    retry(|| {
        // SAFETY: two open descriptors and no memory.
        check_size(unsafe {
            libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), length, libc::SPLICE_F_NONBLOCK)
        })
    })
}

/// How many bytes lie in a pipe.
///
/// # Errors
/// The descriptor is no pipe.
pub fn held(pipe: &impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: `bytes` is valid for the write.
    check(unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Whether nobody holds the write end of a pipe any more.
///
/// # Errors
/// As poll(2).
pub fn is_abandoned(pipe: &impl AsFd) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: pipe.as_fd().as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: `entry` is valid for the call, which does not wait.
    retry(|| check(unsafe { libc::poll(&raw mut entry, 1, 0) }))?;
    Ok(entry.revents & libc::POLLHUP != 0)
}

/// How much a pipe can hold, in bytes that fill whole pages.
///
/// # Errors
/// The descriptor is no pipe.
pub fn capacity(pipe: &impl AsFd) -> io::Result<usize> {
    // SAFETY: an open descriptor and no memory.
    let size = check(unsafe { libc::fcntl(pipe.as_fd().as_raw_fd(), libc::F_GETPIPE_SZ) })?;
    Ok(usize::try_from(size).unwrap_or(0))
}

/// Lets a pipe hold [`LARGE`] bytes, as far as its owner's limit goes.
pub fn grow(pipe: &impl AsFd) {
    // It is better so, and works without: a user who has many pipes is refused.
    // SAFETY: an open descriptor and no memory.
    let _ = unsafe { libc::fcntl(pipe.as_fd().as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
}

/// Marks a pipe, or takes the mark away. The mark belongs to the open file description: whoever is handed the end
/// finds it, whatever became of who set it. The kernel keeps it as the signal of asynchronous input (F_SETSIG), which
/// is never switched on.
///
/// # Errors
/// The descriptor is not open.
pub fn set_mark(pipe: &impl AsFd, marked: bool) -> io::Result<()> {
    let signal = if marked { libc::SIGIO } else { 0 };
    // SAFETY: an open descriptor and no memory.
    check(unsafe { libc::fcntl(pipe.as_fd().as_raw_fd(), F_SETSIG, signal) })?;
    Ok(())
}

/// Whether a pipe is marked.
#[must_use]
pub fn is_marked(pipe: &impl AsFd) -> bool {
    // SAFETY: an open descriptor and no memory.
    unsafe { libc::fcntl(pipe.as_fd().as_raw_fd(), F_GETSIG) == libc::SIGIO }
}

/// Gives the memory of a file's beginning back, up to `end`; its size stays.
///
/// # Errors
/// The file system knows no holes.
pub fn punch(file: &impl AsFd, from: u64, end: u64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let place = |value: u64| i64::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG));
    let (from, length) = (place(from)?, place(end.saturating_sub(from))?);
    // SAFETY: an open descriptor and no memory.
    check(unsafe { libc::fallocate(file.as_fd().as_raw_fd(), mode, from, length) })?;
    Ok(())
}

/// Gives a pipe, or what else is open, to another user: who opens it anew by its name in /proc needs that.
///
/// # Errors
/// As fchown(2).
pub fn give(fd: &impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: an open descriptor and no memory.
    check(unsafe { libc::fchown(fd.as_fd().as_raw_fd(), uid, gid) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn filled(bytes: &[u8]) -> (OwnedFd, File) {
        let (reader, writer) = crate::pipe::pair().unwrap();
        let mut writer = File::from(writer);
        writer.write_all(bytes).unwrap();
        (reader, writer)
    }

    #[test]
    fn a_look_takes_nothing_and_tells_an_empty_pipe_from_an_ended_one() {
        let (pipe, writer) = filled(b"one\ntwo");
        let mut glass = Glass::new().unwrap();
        let mut buffer = [0; 16];
        for _ in 0..2 {
            assert_eq!(glass.look(&pipe, &mut buffer).unwrap(), Look::Bytes(7));
            assert_eq!(&buffer[..7], b"one\ntwo");
        }
        assert_eq!(glass.find(&pipe, b'\n', &mut buffer[..2]).unwrap(), Some(3));
        assert_eq!(glass.find(&pipe, b'x', &mut buffer).unwrap(), None);
        assert_eq!(discard(&pipe, &crate::fd::null().unwrap(), 4).unwrap(), 4);
        assert_eq!(glass.look(&pipe, &mut buffer).unwrap(), Look::Bytes(3));
        discard(&pipe, &crate::fd::null().unwrap(), 3).unwrap();
        assert_eq!(glass.look(&pipe, &mut buffer).unwrap(), Look::Empty);
        drop(writer);
        assert_eq!(glass.look(&pipe, &mut buffer).unwrap(), Look::Ended);
    }

    #[test]
    fn exactly_as_much_as_asked_goes_to_the_place_named() {
        let (pipe, _writer) = filled(b"one\ntwo\nthr");
        let file = File::from(crate::memfd::writable(c"test").unwrap());
        file.write_all_at(b"before\n", 0).unwrap();
        assert_eq!(to_file(&pipe, &file, 7, 8).unwrap(), 8);
        let mut found = [0; 15];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(&found, b"before\none\ntwo\n");
        punch(&file, 0, 4096).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 15);
    }

    #[test]
    fn a_mark_is_found_by_whoever_holds_the_pipe() {
        let (pipe, _writer) = filled(b"");
        let other = crate::fd::duplicate(&pipe).unwrap();
        assert!(!is_marked(&other));
        set_mark(&pipe, true).unwrap();
        assert!(is_marked(&other));
        set_mark(&other, false).unwrap();
        assert!(!is_marked(&pipe));
    }

    #[test]
    fn a_pipe_grows_once() {
        let (pipe, _writer) = filled(b"");
        let before = capacity(&pipe).unwrap();
        grow(&pipe);
        assert!(capacity(&pipe).unwrap() >= before);
    }
}
