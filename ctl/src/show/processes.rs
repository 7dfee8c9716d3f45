//! The answers to `pid` and `info`, and how processes are called.

use super::text::plain;
use super::time::{rfc3339_seconds, span};
use proto::control::{Info, PastExit, Pid};
use std::fmt::Write;
use std::time::Duration;

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

/// How a process is called among as many as have its name: with its slot, unless it is the first and only one. A
/// worker always has its.
pub(super) fn process_name(name: &str, slot: Option<u32>, namesakes: usize) -> String {
    match slot {
        Some(slot) if matches!(name, "worker" | "workers") => format!("worker:{slot}"),
        Some(slot) if namesakes > 1 || slot != 1 => format!("{}:{slot}", plain(name)),
        _ => plain(name),
    }
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
