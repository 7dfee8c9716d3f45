//! Events.

use super::text::plain;
use super::time::{rfc3339_millis, span};
use proto::control::{Event, EventKind};
use proto::supervise::{ExitStatus, signal_name};

/// One event as a line: `17 2026-01-01T00:00:00.000Z companion.redis.1 exit pid 16, exited with status 1`.
pub(crate) fn event(event: &Event) -> String {
    let details = details(&event.kind);
    let (time, subject) = (rfc3339_millis(event.time), plain(&event.subject));
    let line = format!("{} {time} {subject} {} {}", event.seq, kind_name(&event.kind), plain(&details));
    format!("{}\n", line.trim_end())
}

/// The kind's name in events.
pub(crate) fn kind_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Spawn { .. } => "spawn",
        EventKind::Ready { .. } => "ready",
        EventKind::Exit { .. } => "exit",
        EventKind::Reap { .. } => "reap",
        EventKind::Kill { .. } => "kill",
        EventKind::Flap { .. } => "flap",
        EventKind::Fatal { .. } => "fatal",
        EventKind::Health { .. } => "health",
        EventKind::Update { .. } => "update",
        EventKind::Start => "start",
        EventKind::Stop => "stop",
        EventKind::Load => "load",
        EventKind::Unload => "unload",
        EventKind::Reload { .. } => "reload",
        EventKind::Upgrade { .. } => "upgrade",
        EventKind::Lost { .. } => "lost",
    }
}

fn details(kind: &EventKind) -> String {
    match kind {
        EventKind::Spawn { pid } | EventKind::Ready { pid } | EventKind::Reap { pid } => format!("pid {pid}"),
        EventKind::Exit { pid, code, signal, requested, oneoff } => {
            let pid = pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
            let how = match (code, signal) {
                (Some(code), _) => ExitStatus::Code(*code).to_string(),
                (None, Some(number)) => {
                    ExitStatus::Signal { number: *number, core_dumped: false }.to_string()
                }
                (None, None) => "could not be started".into(),
            };
            let requested = if *requested { ", as asked" } else { "" };
            let oneoff = if *oneoff { ", one-off" } else { "" };
            format!("{pid}{how}{requested}{oneoff}")
        }
        EventKind::Kill { pid, signal } => match signal_name(*signal) {
            Some(name) => format!("pid {pid}, {name}"),
            None => format!("pid {pid}, signal {signal}"),
        },
        EventKind::Flap { count, retry_in } => format!("for the {count}. time, again in {}", span(*retry_in)),
        EventKind::Fatal { reason } => reason.clone(),
        EventKind::Health { ok: true, .. } => "good".into(),
        EventKind::Health { ok: false, reason } => format!("bad: {reason}"),
        EventKind::Update { target } => format!("to {target}"),
        EventKind::Start | EventKind::Stop | EventKind::Load | EventKind::Unload => String::new(),
        EventKind::Reload { generation, ok: true, .. } => format!("done, generation {generation}"),
        EventKind::Reload { error, .. } => {
            format!("failed: {}", error.as_deref().unwrap_or("for an unknown reason"))
        }
        EventKind::Upgrade { ok } => String::from(if *ok { "done" } else { "failed" }),
        EventKind::Lost { count } => format!("{count} events: the reader was too slow"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_event_is_one_line_of_number_time_subject_kind_and_details() {
        let line = |kind| {
            let time = Duration::from_millis(1_767_225_600_007);
            event(&Event { seq: 17, time, subject: "companion.rq.1".into(), kind })
        };
        let start = "17 2026-01-01T00:00:00.007Z companion.rq.1";
        assert_eq!(line(EventKind::Start), format!("{start} start\n"));
        let exit =
            EventKind::Exit { pid: Some(5), code: None, signal: Some(9), requested: true, oneoff: false };
        assert_eq!(line(exit), format!("{start} exit pid 5, was killed by SIGKILL, as asked\n"));
        let reload = EventKind::Reload { generation: 2, ok: false, error: Some("line 1\nline 2".into()) };
        assert_eq!(line(reload), format!("{start} reload failed: line 1 line 2\n"));
    }
}
