//! The list of what runs: for the start after one that was killed.
//!
//! A file of fixed-size records beside the lock, each written in one step whenever a process begins or ends. It is
//! never read by its writer, and a machine that goes down makes it worthless: nothing is synchronised to the disk.

use super::lock::Lock;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use supervise::RunId;

/// The first bytes of the file; the last one counts its formats.
const MAGIC: [u8; 8] = *b"arbiter\x01";
/// The room for the name of the place in which process numbers mean something.
const PLACE: usize = 64;
/// Magic, arbiter's number, four bytes unused, its start time, the place.
const HEADER: usize = 24 + PLACE;
/// Number, kind, start time. A number of 0: nobody.
const RECORD: usize = 16;
/// What the file's name has in the place of the lock's ending.
const ENDING: &str = "running";

/// What a process is to arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It serves, and the kernel ends it with arbiter.
    Worker,
    /// It ends its companions when arbiter has died, and then itself.
    Manager,
    /// The manager's.
    Companion,
    /// Any other child: it reads the configuration, runs a hook, checks something.
    Helper,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Worker, Self::Manager, Self::Companion, Self::Helper];

    fn code(self) -> u32 {
        match self {
            Self::Worker => 1,
            Self::Manager => 2,
            Self::Companion => 3,
            Self::Helper => 4,
        }
    }
}

/// A process by a name that it never shares with a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub pid: i32,
    /// When it was started, in clock ticks after boot.
    pub started: u64,
    /// What it is.
    pub kind: Kind,
}

/// The list as its file has it.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// Where its process numbers mean something: a boot and a namespace on it.
    pub place: String,
    /// Who wrote it, and when that was started.
    pub arbiter: (i32, u64),
    /// What ran.
    pub processes: Vec<Listed>,
}

impl List {
    /// The list in these bytes; `None` when they are something else. A record that was cut off or makes no sense
    /// is left out.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, records) = bytes.split_at_checked(HEADER)?;
        if header[..8] != MAGIC {
            return None;
        }
        let place = std::str::from_utf8(&header[24..]).ok()?.trim_end_matches('\0');
        let processes = records.chunks_exact(RECORD).filter_map(|record| {
            let code = u32::from_le_bytes(record[4..8].try_into().ok()?);
            let kind = Kind::ALL.into_iter().find(|kind| kind.code() == code)?;
            let pid = i32::from_le_bytes(record[..4].try_into().ok()?);
            let started = u64::from_le_bytes(record[8..].try_into().ok()?);
            // 1 is never anybody's child.
            (pid > 1).then_some(Listed { pid, started, kind })
        });
        Some(Self {
            place: place.to_owned(),
            arbiter: (
                i32::from_le_bytes(header[8..12].try_into().ok()?),
                u64::from_le_bytes(header[16..24].try_into().ok()?),
            ),
            processes: processes.collect(),
        })
    }
}

fn header(place: &str, (pid, started): (i32, u64)) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(pid.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(started.to_le_bytes());
    bytes.extend(place.as_bytes());
    bytes.resize(HEADER, 0);
    bytes
}

fn record(listed: Option<Listed>) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    if let Some(listed) = listed {
        bytes[..4].copy_from_slice(&listed.pid.to_le_bytes());
        bytes[4..8].copy_from_slice(&listed.kind.code().to_le_bytes());
        bytes[8..].copy_from_slice(&listed.started.to_le_bytes());
    }
    bytes
}

/// Where process numbers mean what they mean to this process: a boot of the machine, and a namespace on it.
/// `None` without `/proc`.
#[must_use]
pub(super) fn place() -> Option<String> {
    let place = format!("{} {}", sys::procfs::boot_id()?, sys::procfs::pid_namespace()?);
    (place.len() <= PLACE).then_some(place)
}

/// The list's path beside a lock.
#[must_use]
pub(super) fn path_beside(lock: &Path) -> PathBuf {
    lock.with_extension(ENDING)
}

/// What runs now, and the file that tells of it. The file is removed with it.
#[derive(Debug, Default)]
pub struct Running {
    file: Option<(PathBuf, File)>,
    /// By record; `None`: free.
    records: Vec<Option<(i32, Kind)>>,
    by_run: HashMap<RunId, usize>,
    /// Records that the file does not show yet.
    changed: Vec<usize>,
}

impl Running {
    /// Puts the list beside a lock, instead of where it was. What another arbiter left there has been dealt with.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn put_beside(&mut self, lock: &Lock) -> io::Result<()> {
        let path = path_beside(lock.path());
        if self.file.as_ref().is_some_and(|(old, _)| *old == path) {
            return Ok(());
        }
        let own = sys::process::pid();
        let started = sys::procfs::stat(own).map(|stat| stat.start_time_ticks);
        let Some((place, started)) = place().zip(started) else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "/proc is not there"));
        };
        // A new file: one that somebody else has open, or may write, is not written to.
        remove(&path)?;
        let file = sys::fd::open_regular(&path, 0o600)?;
        file.write_all_at(&header(&place, (own, started)), 0)?;
        self.remove_file();
        self.file = Some((path, file));
        self.changed = (0..self.records.len()).collect();
        self.write();
        Ok(())
    }

    /// A process has begun. The file tells of it after the next [`Running::write`].
    pub fn begun(&mut self, run: RunId, pid: i32, kind: Kind) {
        if self.by_run.contains_key(&run) {
            return;
        }
        let free = self.records.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.records.push(None);
            self.records.len() - 1
        });
        self.records[index] = Some((pid, kind));
        self.by_run.insert(run, index);
        self.changed.push(index);
    }

    /// Nothing is left of a process and its group.
    pub fn ended(&mut self, run: RunId) {
        if let Some(index) = self.by_run.remove(&run) {
            self.records[index] = None;
            self.changed.push(index);
        }
    }

    /// Writes what has changed: to be called when everything urgent has been done.
    pub fn write(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let Some((path, file)) = &self.file else { return };
        for index in changed {
            let listed = self.records[index].and_then(|(pid, kind)| {
                Some(Listed { pid, started: sys::procfs::stat(pid)?.start_time_ticks, kind })
            });
            let offset = HEADER as u64 + index as u64 * RECORD as u64;
            if let Err(error) = file.write_all_at(&record(listed), offset) {
                tracing::warn!(
                    "cannot write {}: {error}: if arbiter is killed, the next start may not find what it left",
                    path.display()
                );
                self.remove_file();
                return;
            }
        }
    }

    fn remove_file(&mut self) {
        let Some((path, _)) = self.file.take() else { return };
        if let Err(error) = remove(&path) {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.remove_file();
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(directory: &tempfile::TempDir) -> List {
        List::parse(&std::fs::read(directory.path().join("control.sock.running")).unwrap()).unwrap()
    }

    #[test]
    fn the_file_tells_of_what_runs_and_goes_with_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(&directory.path().join("control.sock.lock")).unwrap();
        let own = sys::process::pid();
        let started = sys::procfs::stat(own).unwrap().start_time_ticks;
        let mut running = Running::default();
        // What began before there was a file is told as well.
        running.begun(RunId(1), own, Kind::Manager);
        running.put_beside(&lock).unwrap();
        running.begun(RunId(2), own, Kind::Worker);
        running.begun(RunId(2), own, Kind::Companion);
        running.begun(RunId(3), own, Kind::Companion);
        running.ended(RunId(2));
        running.write();
        let list = read(&directory);
        assert_eq!(list.arbiter, (own, started));
        assert_eq!(Some(list.place), place());
        let listed = |kind| Listed { pid: own, started, kind };
        assert_eq!(list.processes, [listed(Kind::Manager), listed(Kind::Companion)]);
        running.begun(RunId(4), own, Kind::Helper);
        running.write();
        assert_eq!(read(&directory).processes[1], listed(Kind::Helper), "a free record is used again");
        drop(running);
        drop(lock);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_process_that_has_gone_already_is_not_listed() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(&directory.path().join("control.sock.lock")).unwrap();
        let mut running = Running::default();
        running.put_beside(&lock).unwrap();
        running.begun(RunId(1), i32::MAX, Kind::Worker);
        running.write();
        assert_eq!(read(&directory).processes, []);
    }

    #[test]
    fn what_is_no_list_or_only_half_of_one_is_read_as_far_as_it_makes_sense() {
        let listed = Listed { pid: 7, started: 8, kind: Kind::Worker };
        let mut bytes = header("here", (5, 6));
        for entry in [None, Some(listed), Some(Listed { pid: 1, ..listed }), Some(listed)] {
            bytes.extend(record(entry));
        }
        bytes.truncate(bytes.len() - 1);
        let list = List { place: "here".into(), arbiter: (5, 6), processes: vec![listed] };
        assert_eq!(List::parse(&bytes), Some(list));
        assert_eq!(List::parse(&bytes[..HEADER - 1]), None);
        bytes[7] = 2;
        assert_eq!(List::parse(&bytes), None, "another format");
    }
}
