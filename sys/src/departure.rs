//! Which of two processes leaves last, when both may leave at any time: that one cleans up.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One of two ends of the question. The first to ask has one left behind, the second is the last.
///
/// It is the read end of a pipe that holds one byte and has no writer: whoever gets the byte came first.
#[derive(Debug)]
pub struct Departure(File);

impl Departure {
    /// A question that nobody has asked yet.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        let (read, write) = crate::pipe::pair()?;
        File::from(write).write_all(&[0])?;
        Ok(Self(read.into()))
    }

    /// Whether the other one has asked before. To be asked once, when the two part: at the very end of either, or when
    /// the other one has died.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!((&self.0).read(&mut [0]), Ok(0))
    }
}

impl From<OwnedFd> for Departure {
    /// The other end, which was inherited.
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl AsFd for Departure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_ask_is_the_last() {
        let one = Departure::new().unwrap();
        let other = Departure::from(one.as_fd().try_clone_to_owned().unwrap());
        assert!(!other.is_last());
        assert!(one.is_last());
    }
}
