//! One listening socket and what is remembered of it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockType, bind};

use super::address::Address;
use super::flow;
use super::unix::{SocketFile, bind_file, change_access, clear_stale, is_same, stream};
use crate::ancillary::{get_option, set_option};
use crate::errno::check;
use crate::fd::FileId;

/// How to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub backlog: u32,
    /// TCP: several sockets may share the address if all of them say so.
    pub reuse_port: bool,
    /// TCP: as if [`Listener::hold_back`] had been called before anybody could connect.
    pub held_back: bool,
    /// IPv6: no IPv4 through this socket.
    pub v6only: bool,
    /// The mode of a socket file.
    pub unix_mode: u32,
    /// The user and group of a socket file, either one left as it is by `None`.
    pub unix_owner: (Option<u32>, Option<u32>),
    /// For this process's own loop.
    pub nonblocking: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backlog: 2048,
            reuse_port: false,
            held_back: false,
            v6only: false,
            unix_mode: 0o666,
            unix_owner: (None, None),
            nonblocking: false,
        }
    }
}

/// A listening socket. Closing it leaves a socket file in place: see [`Listener::unlink_if_ours`].
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    address: Address,
    /// The socket file made by [`Listener::bind`].
    file: Option<FileId>,
}

impl Listener {
    /// Binds and listens. A stale socket file is replaced.
    ///
    /// # Errors
    /// `AddrInUse`: somebody listens there. `AlreadyExists`: what is at the path is no socket. Else as
    /// bind(2): a missing directory, no permission, an address this machine does not have.
    pub fn bind(address: &Address, options: &Options) -> io::Result<Self> {
        let (family, system) = address.to_system()?;
        let fd = stream(family, options.nonblocking)?;
        let mut file = None;
        match address {
            Address::Unix(path) => {
                clear_stale(path, SockType::Stream)?;
                file = Some(bind_file(fd.as_fd(), path, options.unix_mode, options.unix_owner)?);
            }
            Address::Abstract(_) => bind(fd.as_raw_fd(), &system)?,
            Address::Tcp(_) => {
                // Without it a restart within a minute would find the old connections' port taken.
                set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
                if options.reuse_port {
                    set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
                }
                if family == AddressFamily::Inet6 {
                    let only = i32::from(options.v6only);
                    set_option(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only)?;
                }
                bind(fd.as_raw_fd(), &system)?;
                if options.held_back {
                    // A sandbox without the filter is no reason not to listen: clients come a little early.
                    let _ = flow::hold_back(fd.as_fd(), true);
                }
            }
        }
        let mut listener = Self { fd, address: address.clone(), file };
        if let Err(error) = listener.finish(options.backlog) {
            let _ = listener.unlink_if_ours();
            return Err(error);
        }
        Ok(listener)
    }

    fn finish(&mut self, backlog: u32) -> io::Result<()> {
        self.set_backlog(backlog)?;
        if matches!(self.address, Address::Tcp(_)) {
            self.address = Address::of_socket(self.fd.as_fd())?;
        }
        Ok(())
    }

    /// Takes a socket that was inherited or kept over an exec, with the identity of its file if that was made
    /// by this program ([`Listener::file`] of the one that was handed over).
    ///
    /// # Errors
    /// The descriptor is no listening stream socket of a known family.
    pub fn from_fd(fd: OwnedFd, file: Option<FileId>) -> io::Result<Self> {
        let socket = fd.as_fd();
        let stream = get_option(socket, libc::SOL_SOCKET, libc::SO_TYPE)? == libc::SOCK_STREAM;
        if !stream || get_option(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? == 0 {
            let text = format!("descriptor {} is not a listening stream socket", fd.as_raw_fd());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let address = Address::of_socket(socket)?;
        Ok(Self { fd, address, file })
    }

    /// The address as bound: port 0 is resolved.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address as the user sees it: `127.0.0.1:8000`, `[::1]:80`, `unix:/path`, `unix:@name`.
    #[must_use]
    pub fn local_address(&self) -> String {
        self.address.to_string()
    }

    /// The inode number of the socket itself (not of its file), by which `/proc` speaks of it.
    ///
    /// # Errors
    /// None in practice.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(crate::fd::identity(&self.fd)?.inode)
    }

    /// The identity of the socket file, if this program made one.
    #[must_use]
    pub fn file(&self) -> Option<FileId> {
        self.file
    }

    /// Changes the queue's length of a socket that listens already. The kernel caps it at `net.core.somaxconn`.
    ///
    /// # Errors
    /// None in practice for a bound socket.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        // SAFETY: plain integers on an open descriptor.
        check(unsafe { libc::listen(self.fd.as_raw_fd(), backlog) })?;
        Ok(())
    }

    /// Lets further sockets share the address, or not: to be set on the old socket as well when a new one is
    /// to be bound beside it.
    ///
    /// # Errors
    /// A Unix socket does not know the option.
    pub fn set_reuse_port(&self, reuse: bool) -> io::Result<()> {
        set_option(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, i32::from(reuse))
    }

    /// The socket's file, if this program made one.
    #[must_use]
    pub fn socket_file(&self) -> Option<SocketFile> {
        match (&self.address, self.file) {
            (Address::Unix(path), Some(id)) => Some(SocketFile { path: path.clone(), id }),
            _ => None,
        }
    }

    /// Lets nobody begin a connection to a TCP socket, or lets them again. Whoever tries meanwhile hears nothing
    /// and tries again, first after a second, and comes to another socket of that address if this one has been
    /// closed by then. Connections and the queue go on as they are.
    ///
    /// # Errors
    /// A Unix socket knows nothing of it.
    pub fn hold_back(&self, held: bool) -> io::Result<()> {
        flow::hold_back(self.fd.as_fd(), held)
    }

    /// Of the sockets that share the address of this one, new connections go to those of these numbers, or to
    /// each its part if none is named. The kernel numbers them as they began to listen; when one is closed, the
    /// last takes its place.
    ///
    /// # Errors
    /// The socket has never shared its address.
    pub fn steer(&self, among: &[u32]) -> io::Result<()> {
        flow::steer(self.fd.as_fd(), among)
    }

    /// Changes the mode and the owner of the socket file: the queue stays as it is.
    ///
    /// # Errors
    /// The file is not the one that this program made, or may not be given away.
    pub fn set_file_access(&self, mode: u32, owner: (Option<u32>, Option<u32>)) -> io::Result<()> {
        match (&self.address, self.file) {
            (Address::Unix(path), Some(file)) => change_access(path, file, mode, owner),
            _ => Ok(()),
        }
    }

    /// Whether clients still find the socket: its file may have been removed or replaced.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        match (&self.address, self.file) {
            (Address::Unix(path), Some(file)) => is_same(path, file).unwrap_or(false),
            _ => true,
        }
    }

    /// Removes the socket file if this program made it and it still is the same one; tells whether.
    ///
    /// # Errors
    /// The directory may not be written.
    pub fn unlink_if_ours(&self) -> io::Result<bool> {
        self.socket_file().map_or(Ok(false), |file| file.remove_if_same())
    }

    /// Gives the descriptor back, to be kept over an exec. A socket file stays.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
