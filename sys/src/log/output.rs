//! Where the lines go, and what happens when they cannot.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::errno::{check, check_size, retry};
use crate::fd::{Kind, kind, open};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    Stderr,
    /// Appended to; created with mode 0640 (before the umask) if it is not there.
    File(PathBuf),
}

/// A pipe takes at most this much at once when it is only known to be writable.
const PIPE_BUF: usize = 4096;

enum Way {
    /// An open file description of our own, with O_NONBLOCK.
    Own(OwnedFd),
    /// A regular file that is shared with whoever else writes to standard error: one of our own would have
    /// a place of its own in the file and overwrite theirs.
    SharedFile(OwnedFd),
    /// A socket: the flag is given with each call.
    Socket(OwnedFd),
    /// Shared with others and not to be opened again: asked before each write.
    Shared(OwnedFd),
}

/// One output and what is owed to it.
pub(super) struct Output {
    target: LogTarget,
    way: Way,
    /// The end of a line of which a pipe took only the beginning.
    rest: Vec<u8>,
    /// Lines dropped and not told yet.
    untold: u64,
    dropped: u64,
}

impl Output {
    pub(super) fn open(target: LogTarget) -> io::Result<Self> {
        let way = open_way(&target)?;
        Ok(Self { target, way, rest: Vec::new(), untold: 0, dropped: 0 })
    }

    /// Opens the file anew, for one that was renamed meanwhile. On failure the old one stays in use.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if matches!(self.target, LogTarget::File(_)) {
            self.way = open_way(&self.target)?;
            self.rest.clear();
        }
        Ok(())
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes a line, or drops and counts it. `notice` makes the line that tells of a number of dropped ones.
    pub(super) fn line(&mut self, line: &[u8], notice: impl FnOnce(u64) -> String) {
        if !self.flush_rest() {
            self.drop_one();
            return;
        }
        if self.untold == 0 {
            if !self.write(line) {
                self.drop_one();
            }
            return;
        }
        // Told together with the next line that fits: alone, the short notice would go into a room too small
        // for any line, over and over.
        let mut text = notice(self.untold).into_bytes();
        text.extend_from_slice(line);
        if self.write(&text) {
            self.untold = 0;
        } else {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        self.untold += 1;
        self.dropped += 1;
    }

    fn flush_rest(&mut self) -> bool {
        if self.rest.is_empty() {
            return true;
        }
        let rest = std::mem::take(&mut self.rest);
        let written = self.attempt(&rest).unwrap_or(0);
        self.rest = rest[written..].to_vec();
        self.rest.is_empty()
    }

    /// False: nothing of it was written.
    fn write(&mut self, bytes: &[u8]) -> bool {
        match self.attempt(bytes) {
            Ok(0) | Err(_) => false,
            Ok(written) => {
                self.rest = bytes[written..].to_vec();
                true
            }
        }
    }

    fn attempt(&self, bytes: &[u8]) -> io::Result<usize> {
        let (pointer, length) = (bytes.as_ptr().cast(), bytes.len());
        match &self.way {
            Way::Own(fd) | Way::SharedFile(fd) => {
                // SAFETY: the buffer is valid for its length.
                retry(|| check_size(unsafe { libc::write(fd.as_raw_fd(), pointer, length) }))
            }
            Way::Socket(fd) => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the buffer is valid for its length.
                retry(|| check_size(unsafe { libc::send(fd.as_raw_fd(), pointer, length, flags) }))
            }
            Way::Shared(fd) => {
                if !writable(fd.as_fd()) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // SAFETY: the buffer is valid for the shorter length.
                retry(|| check_size(unsafe { libc::write(fd.as_raw_fd(), pointer, length.min(PIPE_BUF)) }))
            }
        }
    }
}

fn writable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid pollfd, and no waiting.
    let ready = check(unsafe { libc::poll(&raw mut poll, 1, 0) });
    ready.is_ok_and(|count| count == 1) && poll.revents & libc::POLLOUT != 0
}

fn open_way(target: &LogTarget) -> io::Result<Way> {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK;
    match target {
        LogTarget::File(path) => {
            let name = CString::new(path.as_os_str().as_bytes())?;
            Ok(Way::Own(open(&name, flags | libc::O_CREAT, 0o640)?))
        }
        LogTarget::Stderr => way_of(io::stderr().as_fd()),
    }
}

/// The flag O_NONBLOCK belongs to the open file description, which a standard stream shares with the shell and
/// whoever else: it must never be set there. Opening the same thing again gives a description of our own.
pub(super) fn way_of_number(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let name = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    open(&name, libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK, 0)
}

fn way_of(fd: BorrowedFd<'_>) -> io::Result<Way> {
    match kind(fd)? {
        Kind::Socket => return Ok(Way::Socket(crate::fd::duplicate(fd)?)),
        Kind::Regular => return Ok(Way::SharedFile(crate::fd::duplicate(fd)?)),
        Kind::Directory | Kind::Pipe | Kind::Character | Kind::Other => {}
    }
    match way_of_number(fd) {
        Ok(own) => Ok(Way::Own(own)),
        Err(_) => Ok(Way::Shared(crate::fd::duplicate(fd)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn output(way: Way) -> Output {
        Output { target: LogTarget::Stderr, way, rest: Vec::new(), untold: 0, dropped: 0 }
    }

    fn notice(count: u64) -> String {
        format!("dropped {count}\n")
    }

    /// Fills an output, empties its far end, writes once more: every line is whole, and those missing are told.
    fn check_full(mut output: Output, mut far: impl Read) {
        let line = |number: u32| format!("{number:06} {}\n", "x".repeat(3000));
        let mut number = 0;
        while output.dropped() < 3 {
            output.line(line(number).as_bytes(), notice);
            number += 1;
            assert!(number < 100_000, "it never fills");
        }
        let mut text = Vec::new();
        let mut chunk = vec![0; 65536];
        for _ in 0..2 {
            loop {
                match far.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => text.extend_from_slice(&chunk[..length]),
                }
            }
            output.line(b"last\n", notice);
        }
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let kept = usize::try_from(number).unwrap() - 3;
        for (index, found) in lines.iter().take(kept).enumerate() {
            assert_eq!(format!("{found}\n"), line(u32::try_from(index).unwrap()));
        }
        assert_eq!(lines[kept..], ["dropped 3", "last"]);
    }

    fn reader(fd: OwnedFd) -> std::fs::File {
        crate::fd::set_nonblocking(&fd, true).unwrap();
        std::fs::File::from(fd)
    }

    #[test]
    fn lines_and_what_others_write_to_the_same_file_do_not_overwrite_each_other() {
        let path = std::env::temp_dir().join(format!("sys-log-shared-{}", crate::process::pid()));
        let mut others = std::fs::File::create(&path).unwrap();
        let mut output = output(way_of(others.as_fd()).unwrap());
        for word in ["one", "two"] {
            std::io::Write::write_all(&mut others, format!("their {word}\n").as_bytes()).unwrap();
            output.line(format!("our {word}\n").as_bytes(), notice);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "their one\nour one\ntheir two\nour two\n");
    }

    #[test]
    fn a_full_pipe_drops_whole_lines_and_tells_how_many() {
        let (far, near) = crate::pipe::pair().unwrap();
        let own = way_of(near.as_fd()).unwrap();
        assert!(matches!(own, Way::Own(_)));
        assert!(!crate::fd::is_nonblocking(near.as_fd()).unwrap());
        check_full(output(own), reader(far));
    }

    #[test]
    fn a_shared_pipe_is_asked_before_each_write() {
        let (far, near) = crate::pipe::pair().unwrap();
        check_full(output(Way::Shared(near)), reader(far));
    }

    #[test]
    fn a_full_socket_drops_whole_lines_and_tells_how_many() {
        let (far, near) = std::os::unix::net::UnixStream::pair().unwrap();
        let near: OwnedFd = near.into();
        let way = way_of(near.as_fd()).unwrap();
        assert!(matches!(way, Way::Socket(_)));
        check_full(output(way), reader(far.into()));
        assert!(!crate::fd::is_nonblocking(near.as_fd()).unwrap());
    }

    #[test]
    fn a_renamed_file_is_left_when_reopened() {
        let base = std::env::temp_dir().join(format!("sys-log-{}", std::process::id()));
        let old = base.with_extension("old");
        let mut output = Output::open(LogTarget::File(base.clone())).unwrap();
        output.line(b"one\n", notice);
        std::fs::rename(&base, &old).unwrap();
        output.line(b"two\n", notice);
        output.reopen().unwrap();
        output.line(b"three\n", notice);
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&base).unwrap(), "three\n");
        std::fs::remove_file(base).unwrap();
        std::fs::remove_file(old).unwrap();
    }
}
