//! What a killed arbiter left: ended before anything is started.
//!
//! The kernel ends workers with their arbiter, and the manager ends its companions within five seconds, unless it
//! was killed or stopped in the same moment. So the manager is given its time first, and what is left then is killed.

use super::lock::Lock;
use super::running::{Kind, List, Listed, path_beside, place, remove};
use anyhow::bail;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use supervise::signal::{SIGCONT, SIGKILL, SIGTERM};
use sys::procfs::Stat;

/// How long the manager may take to end what it owns: it promises five seconds. Without one, as long as
/// companions may take that are asked here.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a killed process may take to go. What waits for a dead disk does not go at all.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// More than any list takes: a hundred thousand processes.
const LIST_MAX: u64 = 2 << 20;

/// The hidden mode's name on the command line; the lock's path follows.
const MODE: &str = "--end-leftovers-beside";

/// The words that make this program end what a killed arbiter left beside the lock, in a process that may wait
/// for it; `None` where nothing was left.
#[must_use]
pub fn words_to_end_leftovers(lock: &Lock) -> Option<[OsString; 2]> {
    path_beside(lock.path()).exists().then(|| [MODE.into(), lock.path().into()])
}

/// The exit status, if the arguments are the hidden mode's.
#[must_use]
pub fn hidden_mode(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments {
        [mode, lock] if mode == MODE => {
            let ended = end_leftovers(Path::new(lock));
            Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => None,
    }
}

/// Ends what the list beside the lock names and what is left of its groups. Waits for it: only where there is no
/// loop.
///
/// # Errors
/// The arbiter that wrote the list lives: somebody has removed its lock.
pub fn end_leftovers(lock: &Path) -> anyhow::Result<()> {
    let path = path_beside(lock);
    let Some(list) = read(&path).filter(|list| Some(&list.place) == place().as_ref()) else { return Ok(()) };
    let (arbiter, started) = list.arbiter;
    if arbiter != sys::process::pid() && is_live(arbiter, started) {
        bail!(
            "another arbiter, pid {arbiter}, runs, says {}: stop it, or choose another path",
            path.display()
        );
    }
    let spared = own_line();
    let look = || {
        let marked = |pid| is_child_of(pid, arbiter);
        leftovers(&list.processes, &observed(), &spared, marked)
    };
    let found = look();
    if !found.is_empty() {
        tracing::warn!("arbiter {arbiter} was killed and left {}: ending them first", count(&found));
        end(look);
    }
    if let Err(error) = remove(&path) {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
    Ok(())
}

/// The list, if it is nobody else's: whoever can write it could have anybody killed.
fn read(path: &Path) -> Option<List> {
    let found = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if found.uid() != sys::process::effective_uid() || found.mode() & 0o022 != 0 {
        tracing::warn!("{} may be written by others: not believed", path.display());
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(LIST_MAX).read_to_end(&mut bytes).ok()?;
    List::parse(&bytes)
}

/// Asks, waits, kills, waits.
fn end(look: impl Fn() -> Vec<Leftover>) {
    let begun = sys::clock::monotonic();
    let mut asked = false;
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        let waited = sys::clock::monotonic() - begun;
        let has_manager = left.iter().any(|leftover| leftover.kind == Kind::Manager);
        if waited >= PATIENCE {
            break;
        }
        for leftover in &left {
            match leftover.kind {
                Kind::Worker | Kind::Helper => leftover.send(SIGKILL),
                // One that is stopped cannot end anybody.
                Kind::Manager => leftover.send(SIGCONT),
                Kind::Companion if !has_manager && !asked => {
                    leftover.send(SIGCONT);
                    leftover.send(SIGTERM);
                }
                Kind::Companion => {}
            }
        }
        asked |= !has_manager;
        std::thread::sleep(LOOK);
    }
    kill(look);
}

fn kill(look: impl Fn() -> Vec<Leftover>) {
    let until = sys::clock::monotonic() + AFTER_KILL;
    let mut told = false;
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!("{} did not leave: killed", count(&left));
        }
        for leftover in &left {
            leftover.send(SIGKILL);
        }
        if sys::clock::monotonic() >= until {
            for leftover in left {
                tracing::error!("process {} of the arbiter before cannot be ended", leftover.pid);
            }
            return;
        }
        std::thread::sleep(LOOK);
    }
}

fn count(leftovers: &[Leftover]) -> String {
    match leftovers {
        [one] => format!("process {}", one.pid),
        many => format!("{} processes", many.len()),
    }
}

/// A live process that a killed arbiter left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leftover {
    pid: i32,
    started: u64,
    kind: Kind,
}

impl Leftover {
    /// Signals it, unless the number has come to mean somebody else.
    fn send(&self, signal: i32) {
        let Ok(pidfd) = sys::pidfd::open(self.pid) else { return };
        // Looked at while the descriptor holds on to whoever has the number now.
        if !is_live(self.pid, self.started) {
            return;
        }
        match sys::pidfd::send_signal(&pidfd, signal) {
            Err(error) if sys::pidfd::is_unreaped(&pidfd) => {
                tracing::debug!("cannot send signal {signal} to process {}: {error}", self.pid);
            }
            _ => {}
        }
    }
}

/// Whoever of these processes is on the list, or in the session of one that is. A number that has come to mean
/// somebody else is nobody's: a leader is known by its start time, members by a leader that is there, and those
/// whose leader has gone by `marked`, which says that the arbiter before is their ancestor.
fn leftovers(
    list: &[Listed],
    observed: &[(i32, Stat)],
    spared: &HashSet<i32>,
    marked: impl Fn(i32) -> bool,
) -> Vec<Leftover> {
    let mut found = Vec::new();
    for &listed in list {
        let leader = observed.iter().find(|(pid, _)| *pid == listed.pid);
        if leader.is_some_and(|(_, stat)| stat.start_time_ticks != listed.started) {
            continue;
        }
        let members = observed.iter().filter(|(pid, stat)| *pid == listed.pid || stat.session == listed.pid);
        let ours = members.filter(|(pid, stat)| {
            !matches!(stat.state, 'Z' | 'X') && !spared.contains(pid) && (leader.is_some() || marked(*pid))
        });
        found.extend(ours.map(|&(pid, stat)| Leftover {
            pid,
            started: stat.start_time_ticks,
            kind: listed.kind,
        }));
    }
    found
}

fn observed() -> Vec<(i32, Stat)> {
    let processes = sys::procfs::processes().into_iter();
    processes.filter_map(|pid| Some((pid, sys::procfs::stat(pid)?))).collect()
}

fn is_live(pid: i32, started: u64) -> bool {
    sys::procfs::stat(pid)
        .is_some_and(|stat| stat.start_time_ticks == started && !matches!(stat.state, 'Z' | 'X'))
}

/// Whether a process was told that this arbiter is its own: it inherited that from whom arbiter started.
fn is_child_of(pid: i32, arbiter: i32) -> bool {
    sys::procfs::variable(pid, "ARBITER_PID").is_some_and(|value| value == arbiter.to_string().as_bytes())
}

/// This process and its ancestors: a companion may have started this arbiter.
fn own_line() -> HashSet<i32> {
    let mut line = HashSet::new();
    let mut pid = sys::process::pid();
    while pid > 0 && line.insert(pid) {
        pid = sys::procfs::stat(pid).map_or(0, |stat| stat.ppid);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: [Listed; 2] = [
        Listed { pid: 10, started: 100, kind: Kind::Manager },
        Listed { pid: 20, started: 200, kind: Kind::Companion },
    ];

    fn process(pid: i32, session: i32, started: u64, state: char) -> (i32, Stat) {
        let stat = Stat {
            state,
            ppid: 1,
            pgrp: session,
            session,
            utime: 0,
            stime: 0,
            threads: 1,
            start_time_ticks: started,
            rss_pages: 0,
        };
        (pid, stat)
    }

    fn found(observed: &[(i32, Stat)], spared: &[i32], marked: &[i32]) -> Vec<i32> {
        let spared = spared.iter().copied().collect();
        let found = leftovers(&LIST, observed, &spared, |pid| marked.contains(&pid));
        found.into_iter().map(|leftover| leftover.pid).collect()
    }

    #[test]
    fn listed_processes_and_their_sessions_are_left_over() {
        let observed = [
            process(10, 10, 100, 'S'),
            process(20, 20, 200, 'T'),
            process(21, 20, 250, 'S'),
            process(30, 30, 300, 'S'),
        ];
        assert_eq!(found(&observed, &[], &[]), [10, 20, 21]);
    }

    #[test]
    fn a_number_that_means_somebody_else_now_is_left_alone_with_its_session() {
        let observed = [process(20, 20, 201, 'S'), process(21, 20, 250, 'S')];
        assert_eq!(found(&observed, &[], &[21]), []);
    }

    #[test]
    fn a_session_without_its_leader_is_known_by_what_it_inherited() {
        let observed = [process(21, 20, 250, 'S'), process(22, 20, 250, 'S')];
        assert_eq!(found(&observed, &[], &[22]), [22]);
    }

    #[test]
    fn the_dead_are_not_left_over_but_vouch_for_their_session() {
        let observed = [process(20, 20, 200, 'Z'), process(21, 20, 250, 'S')];
        assert_eq!(found(&observed, &[], &[]), [21]);
    }

    #[test]
    fn whoever_started_this_arbiter_is_spared() {
        let observed = [process(20, 20, 200, 'S'), process(21, 20, 250, 'S')];
        assert_eq!(found(&observed, &[20], &[]), [21]);
        assert!(own_line().contains(&sys::process::pid()));
        assert!(own_line().contains(&sys::process::parent_pid()));
    }
}
