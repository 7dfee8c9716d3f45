//! The control socket: who may connect is decided by the file's mode, and who did is told by the kernel.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::ancillary::Credentials;
use crate::errno::check;
use crate::fd::FileId;
use crate::listener::{Address, Listener, Options};

/// Clients queued before they are accepted: more than may be served at once.
const BACKLOG: u32 = 4096;

/// A connected client.
#[derive(Debug)]
pub struct Client {
    /// Non-blocking.
    pub stream: UnixStream,
    /// The process that called connect(2).
    pub peer: Credentials,
}

/// Why no client could be accepted.
#[derive(Debug)]
pub enum AcceptError {
    /// No descriptor or memory is left, here or on the machine. The client stays in the queue, so the socket
    /// stays readable: stop polling it until something has been closed.
    Exhausted(io::Error),
    /// Anything else; the next client may do better.
    Other(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted(error) => write!(f, "accept a client (raise the limit of open files): {error}"),
            Self::Other(error) => write!(f, "accept a client: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

/// The listening control socket.
#[derive(Debug)]
pub struct ControlListener {
    listener: Listener,
}

impl ControlListener {
    /// Binds in an existing directory. The file has its final mode from the first instant and its group before
    /// anybody can connect.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind(path: &Path, mode: u32, group: Option<u32>) -> io::Result<Self> {
        let options = Options {
            backlog: BACKLOG,
            unix_mode: mode,
            unix_owner: (None, group),
            nonblocking: true,
            ..Options::default()
        };
        Ok(Self { listener: Listener::bind(&Address::Unix(path.to_path_buf()), &options)? })
    }

    /// Takes the socket from the process that holds it.
    ///
    /// # Errors
    /// The descriptor is no listening socket.
    pub fn from_fd(fd: OwnedFd, file: Option<FileId>) -> io::Result<Self> {
        let listener = Listener::from_fd(fd, file)?;
        crate::fd::set_nonblocking(&listener, true)?;
        Ok(Self { listener })
    }

    /// Accepts one client. `None`: nobody is waiting.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub fn accept(&self) -> Result<Option<Client>, AcceptError> {
        loop {
            match accept(self.listener.as_fd()) {
                Ok(client) => return Ok(Some(client)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    // The client left while it was waiting.
                    Some(libc::ECONNABORTED | libc::EINTR) => {}
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
                        return Err(AcceptError::Exhausted(error));
                    }
                    _ => return Err(AcceptError::Other(error)),
                },
            }
        }
    }

    /// The listening socket itself: its address, its file.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.listener
    }
}

impl AsFd for ControlListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn accept(socket: BorrowedFd<'_>) -> io::Result<Client> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let none = std::ptr::null_mut();
    // SAFETY: the peer's address is not asked for.
    let number = check(unsafe { libc::accept4(socket.as_raw_fd(), none, none.cast(), flags) })?;
    // SAFETY: the kernel has just created this descriptor and nobody else knows its number.
    let stream = unsafe { UnixStream::from_raw_fd(number) };
    let peer = peer_credentials(&stream)?;
    Ok(Client { stream, peer })
}

/// Who connected, as the kernel recorded it at that moment (SO_PEERCRED).
///
/// # Errors
/// Not a connected Unix stream socket.
pub fn peer_credentials(stream: &impl AsFd) -> io::Result<Credentials> {
    let peer = nix::sys::socket::getsockopt(&stream.as_fd(), nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(Credentials { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() })
}

/// The supplementary groups of who connected (SO_PEERGROUPS).
///
/// # Errors
/// Not a connected Unix stream socket.
pub fn peer_groups(stream: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 32];
    loop {
        let mut length = u32::try_from(size_of_val(groups.as_slice())).unwrap_or(u32::MAX);
        // SAFETY: the buffer is valid for the length given; the kernel writes back how much it needs.
        let result = check(unsafe {
            libc::getsockopt(
                stream.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        });
        let count = length as usize / size_of::<u32>();
        match result {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && count > groups.len() => {
                groups.resize(count, 0);
            }
            Err(error) => return Err(error),
        }
    }
}
