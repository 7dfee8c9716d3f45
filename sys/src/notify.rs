//! The readiness protocol of sd_notify(3), both sides: one socket per process here, and the message upward.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::ancillary::{get_option, pass_credentials, receive};
use crate::errno::unless_blocking;
use crate::listener::{Address, bind_file, clear_stale};

/// The longest message; systemd's own bound is the same.
pub const MESSAGE_MAX: usize = 4096;

/// One message.
#[derive(Debug)]
pub struct Notification {
    /// Who sent it, as the kernel knows it. The process may have ended already.
    pub pid: i32,
    pub uid: u32,
    /// `KEY=VALUE` lines. A message longer than [`MESSAGE_MAX`] is cut at its last whole line.
    pub text: String,
    /// Kept only when the message says `BARRIER=1`: dropping them tells the sender that everything before has
    /// been read.
    pub fds: Vec<OwnedFd>,
}

/// A datagram socket on a path, removed with it.
#[derive(Debug)]
pub struct NotifySocket {
    fd: OwnedFd,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds a socket that only `owner` (`None`: this process's user) and root can write to.
    ///
    /// # Errors
    /// As bind(2); `AddrInUse` when the path is served by somebody else.
    pub fn bind(path: &Path, owner: Option<u32>) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before anybody can send: a message without credentials could be nobody's.
        pass_credentials(fd.as_fd())?;
        clear_stale(path, SockType::Datagram)?;
        bind_file(fd.as_fd(), path, 0o600, (owner, None))?;
        Ok(Self { fd, path: path.to_path_buf() })
    }

    /// Takes a socket kept over an exec, or held by another process meanwhile.
    ///
    /// # Errors
    /// The descriptor is no datagram socket bound to a path.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let datagram = get_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE)? == libc::SOCK_DGRAM;
        match Address::of_socket(fd.as_fd())? {
            Address::Unix(path) if datagram => Ok(Self { fd, path }),
            Address::Unix(_) | Address::Abstract(_) | Address::Tcp(_) => {
                let text = format!("descriptor {} is not a notify socket", fd.as_raw_fd());
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Receives one message. `None`: nothing is there.
    ///
    /// # Errors
    /// None in practice.
    pub fn recv(&self) -> io::Result<Option<Notification>> {
        // One byte more than the bound, so that a message of exactly the bound is not taken for a longer one.
        let mut buffer = [0u8; MESSAGE_MAX + 1];
        let Some(received) = unless_blocking(receive(self.fd.as_fd(), &mut buffer))? else {
            return Ok(None);
        };
        let mut bytes = &buffer[..received.len];
        if received.truncated || bytes.len() > MESSAGE_MAX {
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
            bytes = &bytes[..whole];
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut fds = received.fds;
        if !text.lines().any(|line| line == "BARRIER=1") {
            fds.clear();
        }
        // Credentials are always attached; without them the message would be from nobody known.
        let (pid, uid) = received.credentials.map_or((0, u32::MAX), |sender| (sender.pid, sender.uid));
        Ok(Some(Notification { pid, uid, text, fds }))
    }

    /// Gives the descriptor away and leaves the path in place: another process goes on with it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        let mut this = std::mem::ManuallyDrop::new(self);
        this.path = PathBuf::new();
        // SAFETY: `this` is never dropped nor used again, so the descriptor is moved out exactly once.
        unsafe { std::ptr::read(&raw const this.fd) }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // A path that is gone already is what was wanted.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What an assignment tells of its process's trouble, as a fragment: `ERRNO=` an error number, `EXIT_STATUS=` the
/// status it ends with, or would (sd_notify(3)). `None`: nothing.
#[must_use]
pub fn trouble(name: &str, value: &str) -> Option<String> {
    let number = value.parse::<i32>().ok().filter(|number| *number > 0)?;
    match name {
        "ERRNO" => Some(crate::errno::fragment(number)),
        "EXIT_STATUS" => Some(format!("it tells exit status {number}")),
        _ => None,
    }
}

/// Sends a message to the service manager above, whose address is the value of `NOTIFY_SOCKET`. Never waits.
///
/// # Errors
/// Nobody listens there, or (`WouldBlock`) it is too busy now.
pub fn send_upward(address: &OsStr, text: &str) -> io::Result<()> {
    let (_, system) = Address::from_notify(address)?.to_system()?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    sendto(fd.as_raw_fd(), text.as_bytes(), &system, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_assignments_tell_of_trouble() {
        assert_eq!(trouble("ERRNO", "13").as_deref(), Some("permission denied"));
        assert_eq!(trouble("EXIT_STATUS", "78").as_deref(), Some("it tells exit status 78"));
        for (name, value) in [("ERRNO", "0"), ("ERRNO", "x"), ("ERRNO", "-1"), ("STATUS", "13"), ("", "")] {
            assert_eq!(trouble(name, value), None);
        }
    }
}
