//! Socket files: replacing a stale one, never a live one, and giving a new one its final mode from the start.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, bind, connect, socket};
use nix::sys::stat::{Mode, umask};

use super::address::Address;
use crate::fd::{FileId, identity};

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
        let _ = SocketFile { path: path.to_path_buf(), id }.remove_if_same();
    })?;
    Ok(id)
}

/// A socket's file, which stays when the socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
}

impl SocketFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it if it still is the same one; tells whether.
    ///
    /// # Errors
    /// The directory may not be written.
    pub fn remove_if_same(&self) -> io::Result<bool> {
        let is_same = is_same(&self.path, self.id)?;
        if is_same {
            fs::remove_file(&self.path)?;
        }
        Ok(is_same)
    }
}

/// Changes the mode and the owner of the socket file of that identity, whatever is at its path meanwhile.
pub(super) fn change_access(
    path: &Path,
    id: FileId,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
) -> io::Result<()> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let file = fs::File::options().read(true).custom_flags(flags).open(path)?;
    if identity(&file)? != id {
        let text = format!("{} is another's by now", path.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let file = format!("/proc/self/fd/{}", file.as_raw_fd());
    if owner != (None, None) {
        std::os::unix::fs::chown(&file, owner.0, owner.1)?;
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(mode & 0o777))
}

/// Whether the file at a path is the one of that identity.
pub(super) fn is_same(path: &Path, id: FileId) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.dev() == id.device && found.ino() == id.inode),
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
