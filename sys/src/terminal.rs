//! The terminal that a person sits at: how big it is, its keys one by one, and leaving it by a signal.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

/// How big a terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// The size of a terminal; `None` of what is none, or does not know its size.
#[must_use]
pub fn size(terminal: impl AsFd) -> Option<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize, for which there is room; the descriptor is borrowed and open.
    let answer = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let known = answer == 0 && size.ws_col > 0 && size.ws_row > 0;
    known.then(|| Size { columns: size.ws_col.into(), rows: size.ws_row.into() })
}

/// A terminal whose keys are read as they are pressed, and not shown. Ctrl-C and Ctrl-Z stay signals. Dropping it
/// gives the terminal back as it was.
#[derive(Debug)]
pub struct KeyByKey {
    terminal: OwnedFd,
    before: Termios,
}

impl KeyByKey {
    /// Takes the keys of `terminal`.
    ///
    /// # Errors
    /// It is no terminal.
    pub fn take(terminal: impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = termios::tcgetattr(&terminal)?;
        let mut settings = before.clone();
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        termios::tcsetattr(&terminal, SetArg::TCSANOW, &settings)?;
        Ok(Self { terminal, before })
    }
}

impl AsFd for KeyByKey {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }
}

impl Drop for KeyByKey {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// Ends this process, or stops it, as `signal` does where nobody catches it: so that a shell sees what it expects.
/// Returns only when the process is continued.
///
/// # Errors
/// There is no such signal.
pub fn yield_to(signal: i32) -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_is_no_terminal_has_neither_size_nor_keys() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(size(&file), None);
        assert!(KeyByKey::take(&file).is_err());
    }
}
