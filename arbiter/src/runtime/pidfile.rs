//! The pidfile.

use anyhow::{Context, bail};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Everybody may read who runs.
const MODE: u32 = 0o644;

/// A file that names this process; removed at the end if it still does.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
}

impl Pidfile {
    /// Writes the file in one step. One that a dead process left is replaced.
    ///
    /// # Errors
    /// It names a live arbiter, or cannot be written.
    pub fn create(path: &str) -> anyhow::Result<Self> {
        let path = PathBuf::from(path);
        if let Some(pid) = owner(&path).filter(|&pid| pid != sys::process::pid() && is_arbiter(pid)) {
            bail!(
                "another arbiter runs as pid {pid}, says the pidfile {}: stop it, or choose another pidfile",
                path.display()
            );
        }
        let text = format!("cannot write the pidfile {}", path.display());
        replace(&path).context(text)?;
        Ok(Self { path })
    }

    /// Whether it is at this path.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if owner(&self.path) == Some(sys::process::pid())
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove the pidfile {}: {error}", self.path.display());
        }
    }
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
    fn a_directory_that_is_missing_is_told_with_the_path() {
        let error = Pidfile::create("/nowhere/arbiter.pid").unwrap_err();
        assert_eq!(error.to_string(), "cannot write the pidfile /nowhere/arbiter.pid");
    }
}
