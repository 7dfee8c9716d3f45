//! Processes as `/proc` shows them.

use crate::MARK;
use std::collections::BTreeMap;
use std::fs;

/// The processes that carry the mark of a site, with their command lines. Zombies are not among them.
#[must_use]
pub fn marked(mark: &str) -> Vec<(i32, String)> {
    let wanted = format!("{MARK}={mark}");
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let processes = sys::procfs::processes().into_iter().filter(is_marked);
    processes.filter(|pid| is_alive(*pid)).map(|pid| (pid, command_line(pid))).collect()
}

/// A process's arguments, joined by spaces.
#[must_use]
pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// Whether the process exists and is no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    sys::procfs::stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process has ended and nobody has reaped it.
#[must_use]
pub fn is_zombie(pid: i32) -> bool {
    sys::procfs::stat(pid).is_some_and(|stat| stat.state == 'Z')
}

/// Sends a signal.
///
/// # Panics
/// There is no such process.
pub fn signal(pid: i32, signal: i32) {
    sys::process::send_signal(pid, signal)
        .unwrap_or_else(|error| panic!("cannot send signal {signal} to {pid}: {error}"));
}

/// The open descriptors of a process and what they are.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let described = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    });
    described.collect()
}

/// A line of `/proc/PID/status` without its name.
///
/// # Panics
/// There is no such process or line.
#[must_use]
pub fn status_line(pid: i32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in the status of {pid}")).trim().to_owned()
}

/// The environment a process was started with.
#[must_use]
pub fn environment(pid: i32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let pair =
        |variable: &str| variable.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('\0').filter_map(pair).collect()
}
