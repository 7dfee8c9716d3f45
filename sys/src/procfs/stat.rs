//! Single facts about a process.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

/// The part of `/proc/PID/stat` that is used here. Times are in clock ticks (`getconf CLK_TCK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// R, S, D, T, Z …, as proc(5) lists them.
    pub state: char,
    pub ppid: i32,
    pub pgrp: i32,
    pub session: i32,
    pub utime: u64,
    pub stime: u64,
    pub threads: u32,
    /// After boot: together with the number it names a process for good.
    pub start_time_ticks: u64,
    pub rss_pages: u64,
}

/// `None`: there is no such process.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    // Longer than the line can be, which the kernel writes whole: one read is enough.
    let mut line = [0; 2048];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    parse(&line[..length])
}

/// The name in parentheses may hold anything, so the fields are counted from the last parenthesis.
fn parse(content: &[u8]) -> Option<Stat> {
    let after = content.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&content[after..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    // proc(5) counts from 1 with the number and the name first, so its field 3 is the first here.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        state: field(3)?.chars().next()?,
        ppid: field(4)?.parse().ok()?,
        pgrp: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        utime: field(14)?.parse().ok()?,
        stime: field(15)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        start_time_ticks: field(22)?.parse().ok()?,
        rss_pages: field(24)?.parse().ok()?,
    })
}

/// All processes there are, in no order.
#[must_use]
pub fn processes() -> Vec<i32> {
    numbers("/proc")
}

/// The live and dead children of a process, those of all its threads.
#[must_use]
pub fn children_of(pid: i32) -> Vec<i32> {
    listed_children(pid).unwrap_or_else(|| {
        processes().into_iter().filter(|&p| stat(p).is_some_and(|s| s.ppid == pid)).collect()
    })
}

/// The children of this very process: [`children_of`] of the calling process.
#[must_use]
pub fn own_children() -> Vec<i32> {
    children_of(crate::process::pid())
}

/// A process and those of its descendants that are in the group it leads.
#[must_use]
pub fn group_of(leader: i32) -> Vec<i32> {
    let mut members = vec![leader];
    let mut looked = 0;
    while let Some(&member) = members.get(looked) {
        looked += 1;
        members.extend(
            children_of(member).into_iter().filter(|&pid| stat(pid).is_some_and(|s| s.pgrp == leader)),
        );
    }
    members
}

/// The user a process runs as.
#[must_use]
pub fn owner(pid: i32) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("/proc/{pid}")).ok()?))
}

/// `None`: the kernel was built without these lists.
fn listed_children(pid: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    let mut listed = false;
    for thread in numbers(&format!("/proc/{pid}/task")) {
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            listed = true;
            found.extend(text.split_ascii_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
    }
    listed.then_some(found)
}

/// The entries of a directory that are numbers.
pub(super) fn numbers(directory: &str) -> Vec<i32> {
    let Ok(listing) = fs::read_dir(directory) else { return Vec::new() };
    listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The proportional set size: shared pages count in parts. It takes the process's memory lock and, for
/// gigabytes, many milliseconds: never in a daemon's loop.
#[must_use]
pub fn pss_kib(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The short name, without its newline.
#[must_use]
pub fn comm(pid: i32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned())
}

/// Whether a debugger is attached to a process.
#[must_use]
pub fn is_traced(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = text.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// The program file a process runs, by identity: the same for two processes that run the same file.
#[must_use]
pub fn executable(pid: i32) -> Option<(PathBuf, crate::fd::FileId)> {
    use std::os::unix::fs::MetadataExt;
    let link = format!("/proc/{pid}/exe");
    let found = fs::metadata(&link).ok()?;
    let id = crate::fd::FileId { device: found.dev(), inode: found.ino() };
    Some((fs::read_link(&link).ok()?, id))
}

/// A variable of the environment that a process was started with. `None` also for a process that may not be
/// looked into.
#[must_use]
pub fn variable(pid: i32, name: &str) -> Option<Vec<u8>> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |pair: &[u8]| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    environment.split(|&byte| byte == 0).find_map(value)
}

/// The name of the namespace in which this process's numbers mean something.
#[must_use]
pub fn pid_namespace() -> Option<String> {
    Some(fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned())
}

/// The random name of this boot of the machine.
#[must_use]
pub fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_and_blanks_is_skipped() {
        let line = b"42 (a) b) (c\n) S 7 42 40 0 -1 4194304 1 2 3 4 55 66 0 0 20 0 3 0 9999 1000 12 0 0";
        let expected = Stat {
            state: 'S',
            ppid: 7,
            pgrp: 42,
            session: 40,
            utime: 55,
            stime: 66,
            threads: 3,
            start_time_ticks: 9999,
            rss_pages: 12,
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse(b"42 (cut short) S 7"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn the_own_process_is_described() {
        let own = crate::process::pid();
        let found = stat(own).unwrap();
        assert_eq!(found.ppid, crate::process::parent_pid());
        assert!(found.threads >= 1 && found.rss_pages > 0 && found.start_time_ticks > 0);
        assert!(pss_kib(own).unwrap() > 0);
        assert!(!comm(own).unwrap().ends_with('\n'));
        assert_eq!(executable(own).unwrap().0, std::env::current_exe().unwrap());
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(processes().contains(&own));
    }

    #[test]
    fn a_process_that_is_not_there_answers_nothing() {
        assert_eq!(stat(i32::MAX), None);
        assert_eq!(comm(i32::MAX), None);
        assert_eq!(pss_kib(i32::MAX), None);
        assert_eq!(children_of(i32::MAX), []);
    }
}
