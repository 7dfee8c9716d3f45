//! The lock: who is in charge of a control socket.
//!
//! The kernel holds it (flock(2) on a close-on-exec descriptor), so it ends with its owner however that ends. The
//! file beside the socket is only where it hangs, and tells people the owner's number.

use super::base::prepare_base;
use anyhow::{anyhow, bail};
use proto::spec::MasterSpec;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nobody else can open it: whoever can could take the lock.
const MODE: u32 = 0o600;
/// What the file's name adds to that of the control socket or the pidfile.
const SUFFIX: &str = ".lock";
/// How long the lock of an owner that is gone may stay taken: the kernel closes a dead process's descriptors one
/// after the other, and a child on its way to exec still has a copy. One that leaves lets go of it last.
const AFTERGLOW: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// The lock, held. Its file is removed with it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{0}")]
    Held(Held),
    /// The file cannot be used.
    #[error("cannot lock {}: {error}", .path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A lock that another process holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// The owner, as it says itself; `None` in the instant before it does.
    pub pid: Option<i32>,
    path: PathBuf,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.pid.map(|pid| format!(", pid {pid},")).unwrap_or_default();
        write!(f, "another arbiter{owner} is in charge of {}", self.path.display())
    }
}

impl Held {
    fn owner_is_gone(&self) -> bool {
        self.pid.is_some_and(|pid| sys::procfs::stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X')))
    }

    /// Whether its owner has removed, or not made yet, what the lock is beside.
    fn guards_nothing(&self) -> bool {
        let guarded = self.path.to_str().and_then(|path| path.strip_suffix(SUFFIX));
        guarded.is_some_and(|path| std::fs::symlink_metadata(path).is_err())
    }
}

impl Lock {
    /// Takes the lock that hangs on the file at `path`, without waiting.
    ///
    /// # Errors
    /// It is held, or the file cannot be made.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let unusable = |error| LockError::Unusable { path: path.to_owned(), error };
        loop {
            let mut file = sys::fd::open_regular(path, MODE).map_err(unusable)?;
            match sys::fd::try_lock(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let pid = read_pid(&mut file);
                    return Err(LockError::Held(Held { pid, path: path.to_owned() }));
                }
                Err(error) => return Err(unusable(error)),
            }
            // The owner before may have removed the file after it was opened here: then this lock hangs on a
            // file that nobody else will find.
            if !is_same(&file, path) {
                continue;
            }
            let lock = Self { file, path: path.to_owned() };
            lock.write_pid().map_err(unusable)?;
            return Ok(lock);
        }
    }

    /// Takes the lock that goes with the control socket or the pidfile at `path`, without waiting.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn beside(path: &str) -> Result<Self, LockError> {
        Self::acquire(&file_beside(path))
    }

    /// Whether it goes with the control socket or the pidfile at `path`.
    #[must_use]
    pub fn is_beside(&self, path: &str) -> bool {
        self.path == file_beside(path)
    }

    /// The lock that the program before this one, in the same process, has held with this file.
    pub(crate) fn kept(path: PathBuf, file: File) -> Self {
        Self { file, path }
    }

    /// The file, whose lock is its descriptor's.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// [`Lock::acquire`], with patience for an owner that has just died or is just leaving: only before there is a
    /// loop.
    fn acquire_patiently(path: &Path) -> Result<Self, LockError> {
        let until = sys::clock::monotonic() + AFTERGLOW;
        loop {
            match Self::acquire(path) {
                Err(LockError::Held(held))
                    if (held.owner_is_gone() || held.guards_nothing()) && sys::clock::monotonic() < until =>
                {
                    std::thread::sleep(LOOK);
                }
                result => return result,
            }
        }
    }

    /// The file it hangs on.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_pid(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(format!("{}\n", sys::process::pid()).as_bytes(), 0)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held nobody else may put another file in its place; a person may have.
        if is_same(&self.file, &self.path) {
            if let Err(error) = std::fs::remove_file(&self.path) {
                tracing::warn!("cannot remove {}: {error}", self.path.display());
            }
        }
    }
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether a path still leads to an open file.
pub(super) fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// What a configuration lets arbiter take charge of.
#[derive(Debug)]
pub struct Charge {
    /// The lock; `None` where there is nothing to lock.
    pub lock: Option<Lock>,
    /// Whether the control socket may be opened: another arbiter serves the default path otherwise.
    pub may_serve: bool,
}

/// Takes charge: the lock beside the control socket, or, without one, beside the pidfile.
///
/// # Errors
/// Another arbiter is in charge of a path that was given, or the lock cannot be made beside it.
pub fn take_charge(spec: &MasterSpec) -> anyhow::Result<Charge> {
    let mut may_serve = true;
    if let Some(socket) = spec.control.socket.as_deref() {
        match lock_beside(socket, !spec.control.explicit) {
            Ok(lock) => return Ok(Charge { lock: Some(lock), may_serve }),
            Err(error) if spec.control.explicit => bail!(explain(&error, "the control socket", socket)),
            Err(LockError::Held(held)) => {
                tracing::warn!("no control socket: {held}: give one with --control-socket");
                may_serve = false;
            }
            // Opening the socket will fail as well, and tell why.
            Err(LockError::Unusable { .. }) => {}
        }
    }
    let lock = spec
        .pidfile
        .as_deref()
        .map(|path| lock_beside(path, false).map_err(|error| anyhow!(explain(&error, "the pidfile", path))));
    Ok(Charge { lock: lock.transpose()?, may_serve })
}

fn file_beside(path: &str) -> PathBuf {
    PathBuf::from(format!("{path}{SUFFIX}"))
}

/// Takes charge without waiting: for a second master, when the first one has ended.
///
/// # Errors
/// The lock is held still, or cannot be made.
pub fn take_over(spec: &MasterSpec) -> Result<Option<Lock>, LockError> {
    let beside = spec.control.socket.as_deref().or(spec.pidfile.as_deref());
    beside.map(Lock::beside).transpose()
}

/// The lock that goes with a control socket or a pidfile.
fn lock_beside(path: &str, make_directory: bool) -> Result<Lock, LockError> {
    let path = file_beside(path);
    if let Some(directory) = path.parent().filter(|_| make_directory) {
        prepare_base(directory).map_err(|error| LockError::Unusable {
            path: path.clone(),
            error: io::Error::other(format!("{error:#}")),
        })?;
    }
    Lock::acquire_patiently(&path)
}

fn explain(error: &LockError, what: &str, path: &str) -> String {
    match error {
        LockError::Held(held) => format!("{held}, and so of {what} {path}: stop it, or choose another path"),
        LockError::Unusable { .. } => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(result: Result<Lock, LockError>) -> Held {
        match result {
            Err(LockError::Held(held)) => held,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_holds_it_the_other_learns_who_and_may_try_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock.lock");
        let lock = Lock::acquire(&path).unwrap();
        let held = held(Lock::acquire(&path));
        assert_eq!(held.pid, Some(sys::process::pid()));
        drop(lock);
        assert!(!path.exists(), "the file goes with its lock");
        drop(Lock::acquire(&path).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_comes_while_the_owner_leaves_waits_for_it_and_else_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let path = file_beside(socket.to_str().unwrap());
        std::fs::write(&socket, "").unwrap();
        let lock = Lock::acquire(&path).unwrap();
        held(Lock::acquire_patiently(&path));
        std::fs::remove_file(&socket).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let newcomer = std::thread::spawn(move || {
            sender.send(()).unwrap();
            Lock::acquire_patiently(&path).is_ok()
        });
        receiver.recv().unwrap();
        drop(lock);
        assert!(newcomer.join().unwrap());
    }

    #[test]
    fn a_file_that_a_dead_owner_left_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        std::fs::write(&path, "123456789\nand more than a number\n").unwrap();
        let lock = Lock::acquire(&path).unwrap();
        assert_eq!(std::fs::read_to_string(lock.path()).unwrap(), format!("{}\n", sys::process::pid()));
    }

    #[test]
    fn a_file_that_somebody_else_put_in_its_place_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::acquire(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = Lock::acquire(&path).unwrap();
        drop(lock);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn of_many_who_come_and_go_only_one_is_in_charge_at_a_time() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let (inside, turns) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while turns.load(Ordering::Acquire) < 2000 {
                        let Ok(_lock) = Lock::acquire(&path) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two are in charge");
                        turns.fetch_add(1, Ordering::AcqRel);
                        inside.fetch_sub(1, Ordering::AcqRel);
                    }
                });
            }
        });
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_used_is_named() {
        let error = Lock::acquire(Path::new("/nowhere/lock")).unwrap_err();
        assert!(error.to_string().starts_with("cannot lock /nowhere/lock: "), "{error}");
    }
}
