//! The answers to `stats`, `pid` and `info`.

use super::plain;
use super::time::{rfc3339_seconds, span, uptime};
use proto::control::{Info, PastExit, Pid, Stats};
use std::fmt::Write;
use std::time::Duration;

/// A table of what each process uses, and the sum where there are several.
pub(super) fn stats(list: &[Stats]) -> String {
    let mut rows = vec![["NAME", "PID", "CPU%", "CPU TIME", "MEMORY", "FDS", "THREADS"].map(String::from)];
    rows.extend(list.iter().map(|one| {
        let name = match one.slot {
            Some(slot) => format!("{}:{slot}", plain(&one.name)),
            None => plain(&one.name),
        };
        row(name, one.pid.to_string(), one)
    }));
    if list.len() > 1 {
        rows.push(row("sum".into(), String::new(), &sum(list)));
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for [name, cells @ ..] in &rows {
        let _ = write!(text, "{name:width$}", width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths[1..]) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn row(name: String, pid: String, one: &Stats) -> [String; 7] {
    let cpu = format!("{:.1}", one.cpu * 100.0);
    let (descriptors, threads) = (one.descriptors.to_string(), one.threads.to_string());
    [name, pid, cpu, uptime(one.cpu_time), size(one.memory), descriptors, threads]
}

/// The sum of all, without a name.
pub(crate) fn sum(list: &[Stats]) -> Stats {
    Stats {
        name: String::new(),
        slot: None,
        pid: 0,
        cpu: list.iter().map(|one| one.cpu).sum(),
        cpu_time: list.iter().map(|one| one.cpu_time).sum(),
        memory: list.iter().map(|one| one.memory).sum(),
        descriptors: list.iter().map(|one| one.descriptors).sum(),
        threads: list.iter().map(|one| one.threads).sum(),
    }
}

/// `512 B`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >> shift > 0 {
            // Tenths, rounded down: a size is never shown larger than it is.
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// Process ids, one a line.
pub(super) fn pids(list: &[Pid]) -> String {
    list.iter().map(|pid| format!("{}\n", pid.pid)).collect()
}

/// A companion's settings as they would stand in a file, and its last exits as comments.
pub(super) fn info(info: &Info) -> String {
    let mut text = info.settings.clone();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if info.exits.is_empty() {
        let _ = writeln!(text, "\n# {} has not exited yet", plain(&info.name));
    } else {
        let _ = writeln!(text, "\n# last exits of {}, newest first", plain(&info.name));
    }
    for exit in &info.exits {
        let _ = writeln!(text, "# {}", past_exit(exit));
    }
    text
}

fn past_exit(exit: &PastExit) -> String {
    let pid = exit.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let how = exit.status.map_or_else(|| "could not be started".into(), |status| status.to_string());
    let lived =
        if exit.lived > Duration::ZERO { format!(" after {}", span(exit.lived)) } else { String::new() };
    let requested = if exit.requested { ", as asked" } else { "" };
    format!("{}: slot {}{pid} {how}{lived}{requested}", rfc3339_seconds(exit.at), exit.slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::supervise::ExitStatus;

    #[test]
    fn stats_are_a_table_with_their_sum() {
        let one = |slot, pid| Stats {
            name: "rq".into(),
            slot: Some(slot),
            pid,
            cpu: 0.125,
            cpu_time: Duration::from_secs(61),
            memory: 3 << 19,
            descriptors: 9,
            threads: 2,
        };
        let expected = "\
NAME   PID  CPU%  CPU TIME   MEMORY  FDS  THREADS
rq:1    40  12.5   0:01:01  1.5 MiB    9        2
rq:2  4100  12.5   0:01:01  1.5 MiB    9        2
sum         25.0   0:02:02  3.0 MiB   18        4
";
        assert_eq!(stats(&[one(1, 40), one(2, 4100)]), expected);
        assert!(!stats(&[one(1, 40)]).contains("sum"));
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (5 << 29, "2.5 GiB")]
        {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(size(u64::MAX), "17179869183.9 GiB");
    }

    #[test]
    fn exits_follow_the_settings_as_comments() {
        let past = PastExit {
            slot: 1,
            pid: Some(7),
            at: Duration::from_secs(1_767_225_600),
            status: Some(ExitStatus::Code(1)),
            requested: false,
            lived: Duration::from_millis(200),
        };
        let shown = info(&Info {
            name: "rq".into(),
            settings: "[companion.rq]\ncount = 1".into(),
            exits: vec![
                past.clone(),
                PastExit { status: None, pid: None, lived: Duration::ZERO, requested: true, ..past },
            ],
        });
        let expected = "\
[companion.rq]
count = 1

# last exits of rq, newest first
# 2026-01-01T00:00:00Z: slot 1 (pid 7) exited with status 1 after 0.2 s
# 2026-01-01T00:00:00Z: slot 1 could not be started, as asked
";
        assert_eq!(shown, expected);
    }
}
