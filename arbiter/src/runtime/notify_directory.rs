//! The directory of the notify sockets.

use super::base::{bases, prepare_base};
use anyhow::{Context, bail};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use sys::launch::Environment;

/// The directory of one arbiter's notify sockets; removed at the end.
#[derive(Debug)]
pub struct NotifyDirectory {
    path: PathBuf,
}

/// The names of notify directories begin with this; the owner's pid follows.
const PREFIX: &str = "notify-";

impl NotifyDirectory {
    /// Makes the directory in the first place of the usual list that can be used, and removes those that
    /// arbiters left behind which were killed.
    ///
    /// # Errors
    /// None of the places can be used.
    pub fn create(environment: &Environment) -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        for base in bases(environment) {
            match Self::create_in(&base) {
                Ok(path) => return Ok(Self { path }),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        bail!("no directory for notify sockets: {}", problems.join("; "))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn create_in(base: &Path) -> anyhow::Result<PathBuf> {
        prepare_base(base)?;
        remove_leftovers(base);
        let path = base.join(format!("{PREFIX}{}", sys::process::pid()));
        // Children of any user have to get through to the socket that is theirs; nobody may list.
        match DirBuilder::new().mode(0o711).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
                DirBuilder::new().mode(0o711).create(&path)?;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
        }
        // The mode given above went through the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        Ok(path)
    }
}

impl Drop for NotifyDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes the notify directories of processes that are gone.
fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<i32>().ok());
        if pid.is_some_and(|pid| sys::procfs::stat(pid).is_none()) {
            // Somebody else may be quicker; what cannot be removed is left.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
