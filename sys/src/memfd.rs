//! Sealed memory files: values too big for a datagram, and state that outlives an exec.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use crate::errno::{check, check_size, retry};

/// With these set no holder of the file can change it any more, nor unset them.
const SEALS: SealFlag = SealFlag::F_SEAL_SEAL
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

/// An empty memory file that can still be written, and sealed later. The name shows up in `/proc/PID/fd` only.
///
/// # Errors
/// No descriptor or no memory is left.
pub fn writable(name: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // "Not executable" is newer than 5.10, where the flag is unknown; some machines insist on it.
    let number = match create(name, flags | libc::MFD_NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(name, flags)?,
        result => result?,
    };
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn create(name: &CStr, flags: libc::c_uint) -> io::Result<i32> {
    // SAFETY: `name` is a valid C string for the duration of the call.
    check(unsafe { libc::memfd_create(name.as_ptr(), flags) })
}

/// Seals a memory file against any change.
///
/// # Errors
/// The file is mapped writable somewhere, or is no memory file.
pub fn seal(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(())
}

/// A sealed memory file with the bytes given.
///
/// # Errors
/// No descriptor or no memory is left.
pub fn sealed(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(writable(name)?);
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file.into())
}

/// The content of a sealed memory file of at most `limit` bytes. The seals are checked first: what has been
/// read cannot change behind the reader's back, and the size read is the size there is.
///
/// # Errors
/// `InvalidData` when it is not sealed or greater than the limit.
pub fn read_sealed(fd: &impl AsFd, limit: usize) -> io::Result<Vec<u8>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let found = fcntl(fd, FcntlArg::F_GET_SEALS).map_err(|_| invalid("not a memory file".to_owned()))?;
    if !SealFlag::from_bits_retain(found).contains(SEALS) {
        return Err(invalid("the memory file is not sealed".to_owned()));
    }
    let size = usize::try_from(nix::sys::stat::fstat(fd)?.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(invalid(format!("the memory file holds {size} bytes, the limit is {limit}")));
    }
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        let rest = &mut bytes[filled..];
        let offset = libc::off_t::try_from(filled).unwrap_or(libc::off_t::MAX);
        let read = retry(|| {
            // SAFETY: the buffer is valid for its length; pread leaves the shared offset alone.
            check_size(unsafe {
                libc::pread(fd.as_fd().as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), offset)
            })
        })?;
        if read == 0 {
            return Err(invalid("the memory file is shorter than it says".to_owned()));
        }
        filled += read;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_read_back_any_number_of_times() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let fd = sealed(c"test", &bytes).unwrap();
        assert!(crate::fd::is_close_on_exec(fd.as_fd()).unwrap());
        assert_eq!(read_sealed(&fd, bytes.len()).unwrap(), bytes);
        assert_eq!(read_sealed(&fd, bytes.len()).unwrap(), bytes);
        assert!(File::from(fd).write_all(b"x").is_err());
    }

    #[test]
    fn unsealed_foreign_or_oversized_files_are_refused() {
        let open = writable(c"test").unwrap();
        assert_eq!(read_sealed(&open, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        seal(&open).unwrap();
        assert_eq!(read_sealed(&open, 10).unwrap(), b"");
        let null = crate::fd::null().unwrap();
        assert_eq!(read_sealed(&null, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let big = sealed(c"test", &[0; 11]).unwrap();
        assert_eq!(read_sealed(&big, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
