//! The pidfile.

use anyhow::{Context, bail};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Everybody may read who runs.
const MODE: u32 = 0o644;

/// What its name ends in while another arbiter is in charge.
const BESIDE: &str = ".2";

/// A file that names this process; removed at the end if it still does.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    is_left: bool,
}

impl Pidfile {
    /// Writes the file in one step. One that a dead process left is replaced.
    ///
    /// # Errors
    /// It names a live arbiter, or cannot be written.
    pub fn create(path: &str) -> anyhow::Result<Self> {
        Self::create_after(path, sys::process::pid())
    }

    /// As [`Pidfile::create`], where the arbiter with this pid has left the file, though it may not quite have
    /// ended yet.
    ///
    /// # Errors
    /// As [`Pidfile::create`].
    pub fn create_after(path: &str, gone: i32) -> anyhow::Result<Self> {
        let path = PathBuf::from(path);
        let is_free = |pid| pid == gone || pid == sys::process::pid();
        if let Some(pid) = owner(&path).filter(|&pid| !is_free(pid) && is_arbiter(pid)) {
            bail!(
                "another arbiter runs as pid {pid}, says the pidfile {}: stop it, or choose another pidfile",
                path.display()
            );
        }
        let text = format!("cannot write the pidfile {}", path.display());
        replace(&path).context(text)?;
        Ok(Self { path, is_left: false })
    }

    /// The file that the program before this one, in the same process, has written.
    pub(crate) fn kept(path: PathBuf) -> Self {
        Self { path, is_left: false }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Pidfile::create`], for an arbiter that is not in charge yet.
    ///
    /// # Errors
    /// As [`Pidfile::create`].
    pub fn create_beside(path: &str) -> anyhow::Result<Self> {
        Self::create(&beside(path))
    }

    /// Removes the file that the arbiter with this pid has left beside the one at `path`: it was killed before it
    /// was in charge.
    pub fn remove_beside(path: &str, gone: i32) {
        remove_of(Path::new(&beside(path)), gone);
    }

    /// Leaves the file to another master, if that one is going to replace it.
    pub fn leave_to(mut self, pid: i32) {
        self.is_left = self.path.to_str().is_some_and(|path| owner(Path::new(&beside(path))) == Some(pid));
    }

    /// Whether it is at this path, or at the same place by another name: a link may lead there.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        let path = Path::new(path);
        self.path == path || file(&self.path).is_some_and(|own| file(path) == Some(own))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if !self.is_left {
            remove_of(&self.path, sys::process::pid());
        }
    }
}

/// Which file is at a path.
fn file(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Removes a pidfile, if it still names this process.
fn remove_of(path: &Path, pid: i32) {
    if owner(path) != Some(pid) {
        return;
    }
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!("cannot remove the pidfile {}: {error}", path.display());
    }
}

fn beside(path: &str) -> String {
    format!("{path}{BESIDE}")
}

/// The process a pidfile names; `None` when there is no file or it holds something else.
fn owner(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a process is a master: a number may long belong to somebody else.
fn is_arbiter(pid: i32) -> bool {
    sys::procfs::stat(pid).is_some_and(|stat| stat.state != 'Z')
        && sys::procfs::comm(pid).is_some_and(|name| name.starts_with("arbiter"))
}

/// Whoever looks sees the old file or the new one, whole.
fn replace(path: &Path) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", sys::process::pid()));
    let beside = PathBuf::from(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
        writeln!(file, "{}", sys::process::pid())?;
        fs::rename(&beside, path)
    })();
    written.inspect_err(|_| {
        // It is the first failure that is told.
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_names_this_process_and_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("arbiter.pid");
        fs::write(&path, "not a number\n").unwrap();
        let pidfile = Pidfile::create(path.to_str().unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", sys::process::pid()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
        drop(pidfile);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_pidfile_that_has_become_somebody_elses_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("arbiter.pid");
        let pidfile = Pidfile::create(path.to_str().unwrap()).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_pidfile_is_known_by_every_name_of_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let [path, link] = ["run", "link"].map(|name| directory.path().join(name));
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let [path, link] = [path, link].map(|at| at.join("arbiter.pid").display().to_string());
        let pidfile = Pidfile::create(&path).unwrap();
        assert!(pidfile.is_at(&path) && pidfile.is_at(&link));
        assert!(!pidfile.is_at(directory.path().join("arbiter.pid").to_str().unwrap()));
        // Once it has gone there is nothing to be known by.
        fs::remove_file(&path).unwrap();
        assert!(pidfile.is_at(&path) && !pidfile.is_at(&link));
    }

    #[test]
    fn one_that_a_dead_arbiter_left_beside_another_goes_unless_it_names_somebody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("arbiter.pid");
        let path = path.to_str().unwrap();
        fs::write(path, "7\n").unwrap();
        fs::write(beside(path), "7\n").unwrap();
        Pidfile::remove_beside(path, 8);
        assert!(Path::new(&beside(path)).exists());
        Pidfile::remove_beside(path, 7);
        Pidfile::remove_beside(path, 7);
        assert!(Path::new(path).exists() && !Path::new(&beside(path)).exists());
    }

    #[test]
    fn a_directory_that_is_missing_is_told_with_the_path() {
        let error = Pidfile::create("/nowhere/arbiter.pid").unwrap_err();
        assert_eq!(error.to_string(), "cannot write the pidfile /nowhere/arbiter.pid");
    }
}
