//! Two-way streams to processes, and taking bytes out of one so that a taker that dies loses and doubles none.
//!
//! A taker *peeks*, puts what it saw where it outlives it, notes that, and only then consumes it. How much was peeked
//! and not consumed is known to the kernel (`SO_PEEK_OFF`, socket(7)), and outlives the taker as the socket does.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};

use crate::errno::{check, check_size, retry, unless_blocking};

/// A pair of connected stream sockets, close-on-exec: this process's own end, which is non-blocking and counts what is
/// peeked, and the one for a child, which blocks.
///
/// # Errors
/// No descriptor is left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (own, other) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    crate::fd::set_nonblocking(&own, true)?;
    unpeek(&own)?;
    Ok((own, other))
}

/// Looks at what comes after all that was peeked at before: `None` when there is nothing now, 0 at the end.
///
/// # Errors
/// As recv(2). The descriptor must be non-blocking.
pub fn peek(end: &impl AsFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let number = end.as_fd().as_raw_fd();
    unless_blocking(retry(|| {
        // SAFETY: the buffer is valid for its length.
        check_size(unsafe { libc::recv(number, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_PEEK) })
    }))
}

/// How much was peeked at and has not been consumed.
///
/// # Errors
/// It is no socket.
pub fn peeked(end: &impl AsFd) -> io::Result<usize> {
    let mut offset: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&offset)).unwrap_or_default();
    // SAFETY: both pointers are to values of the sizes that are said.
    check(unsafe {
        libc::getsockopt(
            end.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw mut offset).cast(),
            &raw mut length,
        )
    })?;
    Ok(usize::try_from(offset).unwrap_or(0))
}

/// Forgets that anything was peeked at.
///
/// # Errors
/// It is no socket.
pub fn unpeek(end: &impl AsFd) -> io::Result<()> {
    let offset: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&offset)).unwrap_or_default();
    // SAFETY: the pointer is to a value of the size that is said.
    check(unsafe {
        libc::setsockopt(
            end.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw const offset).cast(),
            length,
        )
    })?;
    Ok(())
}

/// Tells the other side that nothing more will be written, whoever holds this end.
///
/// # Errors
/// It is no connected socket.
pub fn end_writing(end: &impl AsFd) -> io::Result<()> {
    Ok(shutdown(end.as_fd().as_raw_fd(), Shutdown::Write)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn what_is_peeked_at_is_counted_until_it_is_consumed() {
        let (own, other) = pair().unwrap();
        let mut other = File::from(other);
        other.write_all(b"hello").unwrap();
        let mut buffer = [0; 4];
        assert_eq!(peek(&own, &mut buffer).unwrap(), Some(4));
        assert_eq!((&buffer, peeked(&own).unwrap()), (b"hell", 4));
        assert_eq!(crate::pipe::read(&own, &mut buffer[..3]).unwrap(), Some(3));
        assert_eq!(peeked(&own).unwrap(), 1);
        unpeek(&own).unwrap();
        assert_eq!(peek(&own, &mut buffer).unwrap(), Some(2));
        assert_eq!(peek(&own, &mut buffer).unwrap(), None);
        assert_eq!(crate::pipe::read(&own, &mut buffer).unwrap(), Some(2));
        drop(other);
        assert_eq!(peek(&own, &mut buffer).unwrap(), Some(0));
    }

    #[test]
    fn an_end_of_writing_is_seen_though_another_holds_the_end_too() {
        let (own, other) = pair().unwrap();
        let _held = own.try_clone().unwrap();
        crate::pipe::write(&own, b"last").unwrap();
        end_writing(&own).unwrap();
        let mut text = String::new();
        let mut other = File::from(other);
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last");
        other.write_all(b"answer").unwrap();
        assert_eq!(peek(&own, &mut [0; 16]).unwrap(), Some(6));
        assert_eq!(crate::pipe::write(&own, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
