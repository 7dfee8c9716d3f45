//! The directory of the notify sockets.

use super::base::{bases, prepare_base};
use super::lock::is_same;
use anyhow::{Context, bail};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use sys::launch::Environment;

/// The directory of one arbiter's notify sockets; removed at the end. It is locked, which tells those that are in use
/// from those that were left: numbers would not, where containers share a place.
#[derive(Debug)]
pub struct NotifyDirectory {
    path: PathBuf,
    lock: File,
}

/// The names of notify directories begin with this; the owner's pid follows.
const PREFIX: &str = "notify-";
/// Where they are when no usual place will do, and how their names begin there.
const APART: (&str, &str) = ("/tmp", "arbiter-notify-");
/// How many arbiters with the same pid may share a place.
const ATTEMPTS: u32 = 100;
/// The longest path of a place under which every socket has one that an address can hold: 107 bytes, less such a
/// directory's name and a number of ten digits.
const LONGEST_BASE: usize = 107 - "/arbiter-notify-4194304.99/".len() - 10;

impl NotifyDirectory {
    /// Makes the directory in the first place of the usual list that can be used, else in `/tmp`, and removes those
    /// that arbiters left behind which were killed.
    ///
    /// # Errors
    /// None of the places can be used.
    pub fn create(environment: &Environment) -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        let usual = bases(environment).into_iter().map(|base| Self::create_below(&base));
        let apart = std::iter::once_with(|| Self::create_in(Path::new(APART.0), APART.1));
        for made in usual.chain(apart) {
            match made {
                Ok(made) => return Ok(made),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        bail!("no directory for notify sockets: {}", problems.join("; "))
    }

    /// The directory that the program before this one, in the same process, has made.
    pub(crate) fn kept(path: PathBuf, lock: File) -> Self {
        Self { path, lock }
    }

    /// Removes those in the same place that arbiters left behind which were killed.
    pub fn remove_left_beside(&self) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = if name.starts_with(APART.1) { APART.1 } else { PREFIX };
        if let Some(base) = self.path.parent() {
            remove_leftovers(base, prefix);
        }
    }

    /// What holds it.
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In a usual place.
    fn create_below(base: &Path) -> anyhow::Result<Self> {
        prepare_base(base)?;
        if sys::process::effective_uid() == 0 && !is_open_to_all(base)? {
            bail!("children of other users cannot get into {}", base.display());
        }
        Self::create_in(base, PREFIX)
    }

    fn create_in(base: &Path, prefix: &str) -> anyhow::Result<Self> {
        if base.as_os_str().len() > LONGEST_BASE {
            bail!("{} is too long a path for sockets", base.display());
        }
        remove_leftovers(base, prefix);
        let own = format!("{prefix}{}", sys::process::pid());
        for attempt in 0..ATTEMPTS {
            let name = if attempt == 0 { own.clone() } else { format!("{own}.{attempt}") };
            if let Some(made) = Self::create_at(base.join(name))? {
                return Ok(made);
            }
        }
        bail!("all names for a directory in {} are taken", base.display())
    }

    /// `None`: the name is taken.
    fn create_at(path: PathBuf) -> anyhow::Result<Option<Self>> {
        // Children of any user have to get through to the socket that is theirs; nobody may list.
        match DirBuilder::new().mode(0o711).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
        }
        // Whoever looks for leftovers in this moment may be quicker, and removes it.
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        if sys::fd::try_lock(&lock).is_err() || !is_same(&lock, &path) {
            return Ok(None);
        }
        // The mode given above went through the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        Ok(Some(Self { path, lock }))
    }
}

impl Drop for NotifyDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Whether everybody can get at what is in a directory.
fn is_open_to_all(directory: &Path) -> anyhow::Result<bool> {
    let path = directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))?;
    Ok(path.ancestors().all(|directory| fs::metadata(directory).is_ok_and(|it| it.mode() & 0o001 != 0)))
}

/// Removes the notify directories that nobody uses any more.
fn remove_leftovers(base: &Path, prefix: &str) {
    let uid = sys::process::effective_uid();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == uid);
        if is_ours && File::open(entry.path()).is_ok_and(|directory| sys::fd::try_lock(&directory).is_ok()) {
            // Somebody else may be quicker; what cannot be removed is left.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_in_use_stay_and_those_that_were_left_go() {
        let base = tempfile::tempdir().unwrap();
        let left = base.path().join("notify-1");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("socket"), "").unwrap();
        // In two containers arbiter may have the same number.
        let first = NotifyDirectory::create_in(base.path(), PREFIX).unwrap();
        let second = NotifyDirectory::create_in(base.path(), PREFIX).unwrap();
        assert!(!left.exists());
        assert!(first.path().is_dir() && second.path().is_dir() && first.path() != second.path());
        drop((first, second));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_left_beside_one_in_use_goes_wherever_that_is() {
        for prefix in [PREFIX, APART.1] {
            let base = tempfile::tempdir().unwrap();
            let first = NotifyDirectory::create_in(base.path(), prefix).unwrap();
            let second = NotifyDirectory::create_in(base.path(), prefix).unwrap();
            let (left, foreign) = (base.path().join(format!("{prefix}1")), base.path().join("other-1"));
            fs::create_dir(&left).unwrap();
            fs::create_dir(&foreign).unwrap();
            first.remove_left_beside();
            assert!(!left.exists() && foreign.exists());
            assert!(first.path().exists() && second.path().exists());
        }
    }

    #[test]
    fn a_place_whose_sockets_would_have_too_long_paths_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let place = |longer: usize| {
            let name = "x".repeat(LONGEST_BASE - root.path().as_os_str().len() - 1 + longer);
            let base = root.path().join(name);
            fs::create_dir(&base).unwrap();
            base
        };
        let made = NotifyDirectory::create_in(&place(0), APART.1).unwrap();
        std::os::unix::net::UnixDatagram::bind(made.path().join("4294967295")).unwrap();
        let refused = NotifyDirectory::create_in(&place(1), APART.1).unwrap_err().to_string();
        assert!(refused.ends_with("is too long a path for sockets"), "{refused}");
    }
}
