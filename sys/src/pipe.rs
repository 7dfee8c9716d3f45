//! Pipes, and reading one without waiting.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::OFlag;

use crate::errno::{check_size, retry, unless_blocking};

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

/// Writes without waiting what there is room for: `None` when there is none. Up to 4096 bytes are written whole or
/// not at all (pipe(7)).
///
/// # Errors
/// As write(2): `BrokenPipe` when nobody can read it any more. The descriptor must be non-blocking.
pub fn write(end: &impl AsFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    let number = end.as_fd().as_raw_fd();
    unless_blocking(retry(|| {
        // SAFETY: the bytes are valid for their length.
        check_size(unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn a_pipe_is_read_to_its_end_without_waiting() {
        let (reader, writer) = nonblocking_pair().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(read(&reader, &mut buffer).unwrap(), None);
        File::from(writer).write_all(b"one\n").unwrap();
        assert_eq!(read(&reader, &mut buffer).unwrap(), Some(4));
        assert_eq!(&buffer[..4], b"one\n");
        assert_eq!(read(&reader, &mut buffer).unwrap(), Some(0));
    }

    #[test]
    fn a_full_pipe_takes_nothing_and_one_without_a_reader_says_so() {
        let (reader, writer) = nonblocking_pair().unwrap();
        let page = [7; 4096];
        while write(&writer, &page).unwrap().is_some() {}
        assert_eq!(write(&writer, b"x").unwrap(), None);
        drop(reader);
        assert_eq!(write(&writer, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn only_a_pipe_for_this_process_is_non_blocking_and_none_survives_an_exec() {
        for (ends, nonblocking) in [(pair().unwrap(), false), (nonblocking_pair().unwrap(), true)] {
            for end in [ends.0, ends.1] {
                assert_eq!(crate::fd::is_nonblocking(end.as_fd()).unwrap(), nonblocking);
                assert!(crate::fd::is_close_on_exec(end.as_fd()).unwrap());
            }
        }
    }
}
