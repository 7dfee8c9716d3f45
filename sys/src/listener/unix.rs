//! Socket files: replacing a stale one, never a live one, and giving a new one its final mode from the start.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, bind, connect, socket};
use nix::sys::stat::{Mode, umask};

use super::address::Address;
use crate::fd::FileId;

/// Removes the socket file a dead process left behind. Anything else in the place is an error: `AddrInUse` for a
/// socket somebody still serves, `AlreadyExists` for what is no socket.
pub(crate) fn clear_stale(path: &Path, kind: SockType) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let text = format!("{} exists and is not a socket: remove it or choose another path", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, kind, flags, None)?;
    let (_, address) = Address::Unix(path.to_path_buf()).to_system()?;
    match connect(probe.as_raw_fd(), &address) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path),
        Err(Errno::ENOENT) => Ok(()),
        // A full queue (EAGAIN) or a socket of another type (EPROTOTYPE) is served by somebody too.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            let text = format!("{} is in use: stop who serves it or choose another path", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Err(error) => Err(error.into()),
    }
}

/// Binds a socket to a path. The file has its mode from the first instant (the umask does that), its owner
/// before anybody can connect (the caller listens afterwards).
pub(crate) fn bind_file(
    socket: BorrowedFd<'_>,
    path: &Path,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
) -> io::Result<FileId> {
    let (_, address) = Address::Unix(path.to_path_buf()).to_system()?;
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = bind(socket.as_raw_fd(), &address);
    umask(before);
    bound?;
    let created = fs::symlink_metadata(path)?;
    let id = FileId { device: created.dev(), inode: created.ino() };
    let finish = || -> io::Result<()> {
        if owner != (None, None) {
            std::os::unix::fs::lchown(path, owner.0, owner.1)?;
        }
        // A default ACL of the directory may have taken bits away.
        if created.mode() & 0o777 != mode & 0o777 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))?;
        }
        Ok(())
    };
    finish().inspect_err(|_| {
        let _ = remove_if_same(path, id);
    })?;
    Ok(id)
}

/// Removes a socket file if it still is the one of that identity.
pub(super) fn remove_if_same(path: &Path, id: FileId) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.dev() == id.device && found.ino() == id.inode => {
            fs::remove_file(path)?;
            Ok(true)
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A stream socket of a family, blocking or not.
pub(super) fn stream(family: AddressFamily, nonblocking: bool) -> io::Result<OwnedFd> {
    let mut flags = SockFlag::SOCK_CLOEXEC;
    flags.set(SockFlag::SOCK_NONBLOCK, nonblocking);
    Ok(socket(family, SockType::Stream, flags, None)?)
}
