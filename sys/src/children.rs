//! The parent's side of processes: look at an exit, signal, probe and empty a group, reap.
//!
//! The order that loses nothing: [`Children::peek`] tells the exit while the zombie still reserves its number,
//! the caller makes the fact known and kills what is left of the group, and [`Children::reap`] ends it. Nothing
//! here signals a group whose leader has been reaped: its number may belong to strangers by then.
//!
//! Where a process came from makes no difference: spawned by this process, or adopted as its sub-reaper with a
//! pidfd received from elsewhere. While it still has another parent, looking at its exit answers ECHILD, which
//! means "not yet ours", never "gone".

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use supervise::{Exit, ExitStatus};

use crate::pidfd;
use crate::wait::{Target, wait, wait_if_any};

/// A process somebody else's death left to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stray {
    pub pid: i32,
    pub exit: Exit,
}

struct Child {
    pid: i32,
    pidfd: OwnedFd,
    /// The one that counts in its place, of its session ([`Children::follow`]).
    main: Option<(i32, OwnedFd)>,
}

impl Child {
    /// The one whose end is the end, and who is signalled.
    fn main(&self) -> BorrowedFd<'_> {
        self.main.as_ref().map_or(self.pidfd.as_fd(), |(_, pidfd)| pidfd.as_fd())
    }
}

/// Processes by the caller's key. Each leads a session, hence a process group of its own number.
pub struct Children<K> {
    by_key: HashMap<K, Child>,
    by_pid: HashMap<i32, K>,
}

impl<K> Default for Children<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), by_pid: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Children<K> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a process; an entry under the same key is forgotten (not reaped).
    pub fn insert(&mut self, key: K, pid: i32, pidfd: OwnedFd) {
        self.forget(key);
        self.by_pid.insert(pid, key);
        self.by_key.insert(key, Child { pid, pidfd, main: None });
    }

    /// From now on another process of its session ([`pidfd::open_member`]) counts in a process's place: its end is
    /// the end, and it is the one that is signalled. The group stays the one that the first process leads. `None`:
    /// the first process counts itself again.
    pub fn follow(&mut self, key: K, main: Option<(i32, OwnedFd)>) {
        let Some(child) = self.by_key.get_mut(&key) else { return };
        let counts = main.as_ref().map_or(child.pid, |(pid, _)| *pid);
        if let Some((before, _)) = std::mem::replace(&mut child.main, main) {
            self.by_pid.remove(&before);
        }
        self.by_pid.insert(counts, key);
    }

    /// Removes a process without reaping it: it was another process's child and that one has reaped it.
    pub fn forget(&mut self, key: K) -> Option<OwnedFd> {
        let child = self.by_key.remove(&key)?;
        if self.by_pid.get(&child.pid) == Some(&key) {
            self.by_pid.remove(&child.pid);
        }
        if let Some((main, _)) = child.main {
            self.by_pid.remove(&main);
        }
        Some(child.pidfd)
    }

    /// The pidfd of the process, or of the one that counts in its place: readable when it has ended.
    #[must_use]
    pub fn get(&self, key: K) -> Option<BorrowedFd<'_>> {
        self.by_key.get(&key).map(Child::main)
    }

    #[must_use]
    pub fn pid(&self, key: K) -> Option<i32> {
        self.by_key.get(&key).map(|child| child.pid)
    }

    /// The pidfd of the process itself, whichever counts in its place.
    #[must_use]
    pub fn leader(&self, key: K) -> Option<BorrowedFd<'_>> {
        self.by_key.get(&key).map(|child| child.pidfd.as_fd())
    }

    /// The number of the one whose end is the end: of the process, or of the one that counts in its place.
    #[must_use]
    pub fn main_pid(&self, key: K) -> Option<i32> {
        self.by_key.get(&key).map(|child| child.main.as_ref().map_or(child.pid, |(pid, _)| *pid))
    }

    #[must_use]
    pub fn key_of(&self, pid: i32) -> Option<K> {
        self.by_pid.get(&pid).copied()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.by_key.keys().copied()
    }

    /// The exit of a process that has ended, without reaping it. `None` while it lives.
    ///
    /// # Errors
    /// ECHILD: it is not (yet) a child of this process. `NotFound`: the key is unknown.
    pub fn peek(&self, key: K) -> io::Result<Option<Exit>> {
        let child = self.child(key)?;
        match wait(Target::Pidfd(child.main().as_raw_fd()), libc::WEXITED | libc::WNOWAIT) {
            // Of one that has another parent only that it has ended can be known: that is taken for success.
            Err(error) if child.main.is_some() && error.raw_os_error() == Some(libc::ECHILD) => {
                let has_ended = pidfd::has_ended(&child.main())?;
                Ok(has_ended.then(|| Exit::bare(ExitStatus::Code(0))))
            }
            found => Ok(found?.map(|(_, exit)| exit)),
        }
    }

    /// Whether somebody has stopped the process (SIGSTOP and the like). SIGCHLD tells when to look.
    #[must_use]
    pub fn is_stopped(&self, key: K) -> bool {
        let Ok(child) = self.child(key) else { return false };
        let target = Target::Pidfd(child.pidfd.as_raw_fd());
        wait(target, libc::WSTOPPED | libc::WNOWAIT).is_ok_and(|found| found.is_some())
    }

    /// Signals the process itself.
    ///
    /// # Errors
    /// ESRCH: it has been reaped. EPERM: it runs as somebody this process may not signal. `NotFound`: the key
    /// is unknown.
    pub fn signal(&self, key: K, signal: i32) -> io::Result<()> {
        pidfd::send_signal(&self.child(key)?.main(), signal)
    }

    /// Signals every process of the group, the leader included. A process so young that it has not made its
    /// group yet is signalled alone: nothing else can be in the group then.
    ///
    /// # Errors
    /// ESRCH: the leader has been reaped, so the number means nothing any more. EPERM: all of the group run as
    /// somebody this process may not signal. `NotFound`: the key is unknown.
    pub fn signal_group(&self, key: K, signal: i32) -> io::Result<()> {
        let child = self.child(key)?;
        if child.main.is_some() {
            // It may have made a group of its own; one that has ended is no news.
            let _ = pidfd::send_signal(&child.main(), signal);
        }
        pidfd::signal_group(&child.pidfd, child.pid, signal)
    }

    /// Whether anybody in the process's group is alive, zombies not counted: one system call. It sees children
    /// of this process only, which is everybody whose parents in the group have died, provided that this
    /// process is the sub-reaper.
    ///
    /// # Errors
    /// `NotFound`: the key is unknown.
    pub fn group_alive(&self, key: K) -> io::Result<bool> {
        // Without WEXITED the kernel does not look at the dead: with nobody else left it says ECHILD.
        match wait(Target::Group(self.child(key)?.pid), libc::WSTOPPED | libc::WNOWAIT) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reaps an ended process and whatever has ended of its group, and forgets the key.
    ///
    /// # Errors
    /// `WouldBlock`: it lives. ECHILD: it is not (yet) a child of this process. `NotFound`: the key is
    /// unknown. The key is kept in each case.
    pub fn reap(&mut self, key: K) -> io::Result<Exit> {
        let child = self.child(key)?;
        let pid = child.pid;
        let Some((_, exit)) = wait(Target::Pidfd(child.pidfd.as_raw_fd()), libc::WEXITED)? else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        if let Some((_, main)) = &child.main {
            let _ = wait_if_any(Target::Pidfd(main.as_raw_fd()), libc::WEXITED);
        }
        // A wait for a group looks at every child there is; whether the group has anybody left is told at once.
        if pidfd::has_members(pid) {
            while let Ok(Some(_)) = wait_if_any(Target::Group(pid), libc::WEXITED) {}
        }
        self.forget(key);
        Ok(exit)
    }

    /// Whether this process may have children, dead ones too, that are neither in this table nor known to the caller.
    /// Without one, nobody is alive whom a child that has ended before left behind, provided that this process is the
    /// sub-reaper.
    #[must_use]
    pub fn has_strangers(&self, known_elsewhere: impl Fn(i32) -> bool) -> bool {
        let children = crate::procfs::own_children();
        // None at all: no descriptor or no /proc was to be had.
        children.is_empty() || !children.into_iter().all(self.known_with(known_elsewhere))
    }

    /// To be called after SIGCHLD: reaps every ended child that is neither in this table nor known to the
    /// caller (helpers waited for elsewhere), and tells who they were.
    ///
    /// # Errors
    /// None in practice.
    pub fn reap_strays(&self, known_elsewhere: impl Fn(i32) -> bool) -> io::Result<Vec<Stray>> {
        let known = self.known_with(known_elsewhere);
        let mut strays = Vec::new();
        loop {
            let Some((pid, _)) = wait_if_any(Target::Any, libc::WEXITED | libc::WNOWAIT)? else {
                return Ok(strays);
            };
            if known(pid) {
                // A held zombie hides what lies behind it: look at each child by name.
                break;
            }
            take(pid, &mut strays)?;
        }
        for pid in crate::procfs::own_children() {
            if !known(pid) {
                take(pid, &mut strays)?;
            }
        }
        Ok(strays)
    }

    /// Whether a process is in this table or known to the caller.
    fn known_with(&self, known_elsewhere: impl Fn(i32) -> bool) -> impl Fn(i32) -> bool {
        move |pid| self.by_pid.contains_key(&pid) || known_elsewhere(pid)
    }

    fn child(&self, key: K) -> io::Result<&Child> {
        self.by_key
            .get(&key)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such process is kept"))
    }
}

fn take(pid: i32, strays: &mut Vec<Stray>) -> io::Result<()> {
    if let Some((pid, exit)) = wait_if_any(Target::Pid(pid), libc::WEXITED)? {
        strays.push(Stray { pid, exit });
    }
    Ok(())
}
