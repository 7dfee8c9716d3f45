//! What processes use, measured in a child.
//!
//! The proportional set size takes the process's memory lock and, for gigabytes, many milliseconds; a list of
//! descriptors can be long. So a daemon runs its own program once more in a hidden mode; that child reads everything and
//! leaves it in a memory file, what is cheap first.

use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::time::Duration;

use crate::spawn::{Command, Spawned};

/// How long measuring may take.
pub const TIMEOUT: Duration = Duration::from_secs(4);

/// The hidden mode's name on the command line; what follows are process numbers.
const MODE: &str = "--measure-into-descriptor-3";
/// The memory file's descriptor in the child.
const DESCRIPTOR: i32 = 3;
/// A program's own image: this name leads to it whatever has become of its file.
const OWN_IMAGE: &std::ffi::CStr = c"/proc/self/exe";
/// The most a result may take: two lines for each of a hundred thousand processes would fit.
const RESULT_MAX: usize = 1 << 24;
/// Clock ticks a second in `/proc`: the same on every machine Linux runs on today.
const TICKS: u64 = 100;

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When it was started, in ticks after boot: together with its number that names it for good.
    pub started_ticks: u64,
    /// For how long it has lived.
    pub age: Duration,
    /// Its processor time so far.
    pub cpu_time: Duration,
    /// Its threads.
    pub threads: u32,
    /// Its resident size in bytes.
    pub resident: u64,
    /// Its proportional size in bytes, where that can be read.
    pub proportional: Option<u64>,
    /// Its open descriptors, where they may be counted.
    pub descriptors: Option<u32>,
}

impl Usage {
    /// The proportional size where it is known, else the resident one.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.proportional.unwrap_or(self.resident)
    }
}

/// A child that measures, and where it leaves the result.
#[derive(Debug)]
pub struct Job {
    /// The child.
    pub spawned: Spawned,
    result: File,
}

impl Job {
    /// Starts a child that measures these processes: the daemon's own program, under its `name`.
    ///
    /// # Errors
    /// No process or memory is to be had.
    pub fn start(name: &str, pids: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let result = crate::memfd::writable(c"usage")?;
        let null = crate::fd::null()?;
        let numbers = pids.into_iter().map(|pid| pid.to_string());
        let words = [name.to_owned(), MODE.to_owned()].into_iter().chain(numbers);
        let command = Command {
            candidates: vec![OWN_IMAGE.into()],
            argv: words.map(CString::new).collect::<Result<_, _>>()?,
            fds: vec![(null.as_fd(), 0), (null.as_fd(), 1), (null.as_fd(), 2), (result.as_fd(), DESCRIPTOR)],
            parent_death_signal: Some(libc::SIGKILL),
            ..Command::default()
        };
        let spawned = crate::spawn::spawn(&command)?;
        Ok(Self { spawned, result: File::from(result) })
    }

    /// What was found, by process, as far as the child has come.
    #[must_use]
    pub fn result(&self) -> HashMap<i32, Usage> {
        let size = self.result.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(RESULT_MAX)];
        let read = self.result.read_at(&mut bytes, 0).unwrap_or(0);
        parse(&String::from_utf8_lossy(&bytes[..read]))
    }
}

/// The hidden mode, if these arguments are that: to be asked first thing in `main` of every program that
/// measures.
#[must_use]
pub fn hidden_mode(arguments: &[OsString]) -> Option<ExitCode> {
    let (mode, pids) = arguments.split_first()?;
    let pids = || pids.iter().filter_map(|word| word.to_str()?.parse().ok()).collect::<Vec<i32>>();
    (mode == MODE).then(|| match run(&pids()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run(pids: &[i32]) -> io::Result<()> {
    let result = crate::fd::adopt_inherited(&[DESCRIPTOR])?.pop();
    let result: OwnedFd = result.ok_or(io::ErrorKind::NotFound)?;
    let mut file = File::from(result);
    let uptime = uptime();
    let mut lines = String::new();
    for &pid in pids {
        // What cannot be written to a text cannot happen.
        let _ = cheap_line(&mut lines, pid, uptime);
    }
    file.write_all(lines.as_bytes())?;
    for &pid in pids {
        if let Some(kib) = crate::procfs::pss_kib(pid) {
            file.write_all(format!("pss {pid} {kib}\n").as_bytes())?;
        }
    }
    Ok(())
}

fn cheap_line(lines: &mut String, pid: i32, uptime: Duration) -> std::fmt::Result {
    let Some(stat) = crate::procfs::stat(pid) else { return Ok(()) };
    let (ticks, resident) = (stat.utime + stat.stime, stat.rss_pages * crate::process::page_size());
    let age = uptime.saturating_sub(in_ticks(stat.start_time_ticks)).as_millis();
    let started = stat.start_time_ticks;
    write!(lines, "use {pid} {started} {age} {ticks} {} {resident}", stat.threads)?;
    if let Some(count) = crate::procfs::descriptor_count(pid) {
        write!(lines, " {count}")?;
    }
    writeln!(lines)
}

/// Since boot, times of sleep included, as processes' starts are told.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
}

fn in_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000 / TICKS))
}

fn parse(text: &str) -> HashMap<i32, Usage> {
    let mut found = HashMap::new();
    // A child that was killed may have been in the middle of its last line.
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut words = line.split(' ');
        let kind = words.next();
        let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
        let pid = |pid: u64| i32::try_from(pid).unwrap_or_default();
        match (kind, numbers.as_deref()) {
            (Some("use"), Some([number, started, age, ticks, threads, resident, rest @ ..])) => {
                let usage = Usage {
                    started_ticks: *started,
                    age: Duration::from_millis(*age),
                    cpu_time: in_ticks(*ticks),
                    threads: u32::try_from(*threads).unwrap_or(u32::MAX),
                    resident: *resident,
                    proportional: None,
                    descriptors: rest.first().map(|&count| u32::try_from(count).unwrap_or(u32::MAX)),
                };
                found.insert(pid(*number), usage);
            }
            (Some("pss"), Some([number, kib])) => {
                if let Some(usage) = found.get_mut(&pid(*number)) {
                    usage.proportional = Some(kib.saturating_mul(1024));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_wrote_is_read_as_far_as_it_came() {
        let text = "use 7 100 2500 250 3 8192 12\nuse 8 100 2500 0 1 4096\npss 7 5\npss 8 1";
        let found = parse(text);
        let seven = Usage {
            started_ticks: 100,
            age: Duration::from_millis(2500),
            cpu_time: Duration::from_millis(2500),
            threads: 3,
            resident: 8192,
            proportional: Some(5120),
            descriptors: Some(12),
        };
        assert_eq!(found[&7], seven);
        assert_eq!((found[&8].proportional, found[&8].descriptors, found[&8].memory()), (None, None, 4096));
    }

    #[test]
    fn the_own_process_can_be_measured() {
        let mut lines = String::new();
        let own = crate::process::pid();
        cheap_line(&mut lines, own, uptime()).unwrap();
        let usage = parse(&lines)[&own];
        assert!(usage.threads >= 1 && usage.resident > 0 && usage.descriptors.unwrap() >= 3);
        assert!(usage.age < Duration::from_secs(3600));
    }
}
