//! The C convention "-1 and errno" turned into results.

use std::io;

/// A call that answers an `int`, -1 meaning failure.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A raw `syscall(2)`, -1 meaning failure.
pub(crate) fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A call that answers a byte count, negative meaning failure.
pub(crate) fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Repeats a call that a signal handler cut short.
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// `None` in place of "it would block".
pub(crate) fn unless_blocking<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same for the middle of a sentence: the system's words begin with a capital letter.
pub(crate) fn fragment(errno: i32) -> String {
    let mut characters = text(errno).chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// The system's own words for an error number, without the "(os error 2)" of `io::Error`.
pub(crate) fn text(errno: i32) -> &'static str {
    nix::errno::Errno::from_raw(errno).desc()
}
