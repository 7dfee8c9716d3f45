//! Where a socket listens, as the system says it and as the user reads it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, UnixAddr, getsockname};

/// A resolved address. Its text is the one of the configuration: `127.0.0.1:80`, `[::1]:80`, `unix:/path`,
/// `unix:@name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// Linux's abstract namespace: a name without a file, not beginning with the NUL.
    Abstract(Vec<u8>),
}

impl Address {
    /// The address as the system takes it, with its family.
    pub(crate) fn to_system(&self) -> io::Result<(AddressFamily, SockaddrStorage)> {
        let too_long = |_| {
            let text = format!("{self} is too long for a socket: 107 bytes are the most");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        Ok(match self {
            Self::Tcp(address @ SocketAddr::V4(_)) => (AddressFamily::Inet, SockaddrStorage::from(*address)),
            Self::Tcp(address @ SocketAddr::V6(_)) => (AddressFamily::Inet6, SockaddrStorage::from(*address)),
            Self::Unix(path) => (AddressFamily::Unix, storage(&UnixAddr::new(path).map_err(too_long)?)?),
            Self::Abstract(name) => {
                (AddressFamily::Unix, storage(&UnixAddr::new_abstract(name).map_err(too_long)?)?)
            }
        })
    }

    /// The address a socket is bound to: with port 0 resolved.
    ///
    /// # Errors
    /// The descriptor is no socket, or one that is neither TCP nor Unix, or a Unix socket without a name.
    pub fn of_socket(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let unknown =
            || io::Error::new(io::ErrorKind::InvalidInput, "the socket has no address arbiter can show");
        let bound: SockaddrStorage = getsockname(socket.as_raw_fd())?;
        if let Some(address) = bound.as_sockaddr_in() {
            return Ok(Self::Tcp(SocketAddr::V4((*address).into())));
        }
        if let Some(address) = bound.as_sockaddr_in6() {
            return Ok(Self::Tcp(SocketAddr::V6((*address).into())));
        }
        let address = bound.as_unix_addr().ok_or_else(unknown)?;
        if let Some(name) = address.as_abstract() {
            return Ok(Self::Abstract(name.to_vec()));
        }
        Ok(Self::Unix(address.path().ok_or_else(unknown)?.to_path_buf()))
    }

    /// Reads `/path` and `@name`, the form of `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// It begins with neither.
    pub fn from_notify(text: &std::ffi::OsStr) -> io::Result<Self> {
        match text.as_bytes().split_first() {
            Some((b'/', _)) => Ok(Self::Unix(PathBuf::from(text))),
            Some((b'@', name)) if !name.is_empty() => Ok(Self::Abstract(name.to_vec())),
            _ => {
                let text = format!("{} is no notify socket: give a path or @name", text.to_string_lossy());
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        }
    }
}

fn storage(address: &UnixAddr) -> io::Result<SockaddrStorage> {
    // SAFETY: pointer and length describe one valid sockaddr_un.
    unsafe { SockaddrStorage::from_raw(address.as_ptr().cast(), Some(address.len())) }
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => {
                write!(f, "unix:@{}", OsString::from_vec(name.clone()).to_string_lossy())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_user_writes_them() {
        assert_eq!(Address::Tcp("127.0.0.1:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(Address::Tcp("[::1]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(Address::Unix("/run/a.sock".into()).to_string(), "unix:/run/a.sock");
        assert_eq!(Address::Abstract(b"a".to_vec()).to_string(), "unix:@a");
    }

    #[test]
    fn notify_addresses_are_paths_or_abstract_names() {
        assert_eq!(Address::from_notify("/run/n".as_ref()).unwrap(), Address::Unix("/run/n".into()));
        assert_eq!(Address::from_notify("@n".as_ref()).unwrap(), Address::Abstract(b"n".to_vec()));
        for bad in ["", "@", "vsock:2:1", "run/n"] {
            assert!(Address::from_notify(bad.as_ref()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_an_error_that_says_so() {
        let error = Address::Unix("/x".repeat(60).into()).to_system().unwrap_err();
        assert!(error.to_string().contains("107 bytes"), "{error}");
    }
}
