//! What requests that act did.

use super::processes::process_name;
use super::text::plain;
use super::time::span;
use proto::control::{Progress, ReloadReport, TargetResult, Verb};
use std::fmt::Write;
use std::time::Duration;

/// The answer that says nothing more.
pub(super) fn done(verb: &Verb, wait: bool) -> String {
    if matches!(verb, Verb::Ping) {
        return "pong\n".into();
    }
    format!("{}: {}\n", verb.name(), if wait { "done" } else { "begun" })
}

/// What did not fail, one line each; the failures go to standard error.
pub(crate) fn results(results: &[TargetResult]) -> String {
    let mut text = String::new();
    for result in results.iter().filter(|result| !result.failed) {
        let _ = write!(text, "{}: {}", result_name(result, results), plain(&result.message));
        match result.pid {
            Some(pid) if !result.message.contains("pid ") => {
                let _ = writeln!(text, ", pid {pid}");
            }
            _ => text.push('\n'),
        }
    }
    text
}

/// The name of one result among all.
pub(crate) fn result_name(result: &TargetResult, all: &[TargetResult]) -> String {
    let namesakes = all.iter().filter(|other| other.name == result.name).count();
    process_name(&result.name, result.slot, namesakes)
}

/// What a change of the companions in force did.
pub(super) fn changed(report: &ReloadReport) -> String {
    lists(report, false)
}

/// What a reload did, or would do: a line for each list that is not empty.
pub(crate) fn reload(report: &ReloadReport, is_plan: bool) -> String {
    let mut text = lists(report, is_plan);
    let ReloadReport { workers_replaced: count, generation, .. } = report;
    let _ = match (count, is_plan) {
        (0, _) => writeln!(text, "workers: unchanged, generation {generation}"),
        (_, false) => writeln!(text, "workers: {count} replaced, generation {generation}"),
        (_, true) => writeln!(text, "workers: {count} would be replaced, generation {generation}"),
    };
    text
}

fn lists(report: &ReloadReport, is_plan: bool) -> String {
    let lists: [(&str, &str, &[String]); 7] = [
        ("added", "would be added", &report.added),
        ("removed", "would be removed", &report.removed),
        ("restarted", "would be restarted", &report.restarted),
        ("scaled", "would be scaled", &report.scaled),
        ("applied", "would be applied", &report.applied),
        ("unchanged", "unchanged", &report.unchanged),
        ("pending", "would change", &report.pending),
    ];
    let mut text = String::new();
    for (done, planned, names) in lists {
        if !names.is_empty() {
            let label = if is_plan { planned } else { done };
            let _ = writeln!(text, "{label}: {}", plain(&names.join(", ")));
        }
    }
    text
}

/// How far a request has come: `redis is STOPPING, 12 s so far, SIGKILL in 48 s`.
pub(crate) fn progress(progress: &Progress) -> String {
    let mut text = format!("{}, {} so far", plain(&progress.message), seconds(progress.since));
    if let Some(time) = progress.escalates_in {
        let _ = write!(text, ", {} in {}", plain(&progress.escalation), seconds(time));
    }
    text
}

/// Whole seconds: tenths would only make it restless.
fn seconds(time: Duration) -> String {
    span(Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::supervise::State;
    use std::time::Duration;

    fn result(name: &str, slot: Option<u32>, message: &str, pid: Option<i32>) -> TargetResult {
        let state = State::Running;
        TargetResult {
            name: name.into(),
            slot,
            state,
            pid,
            changed: true,
            message: message.into(),
            failed: false,
        }
    }

    #[test]
    fn each_result_is_a_line_with_its_slot_where_there_are_several() {
        let list = [
            result("redis", Some(1), "started", None),
            result("rq", Some(1), "restarted", Some(123)),
            result("rq", Some(2), "restarted with pid 124", Some(124)),
            result("batch.x", None, "stopped", None),
            result("workers", Some(3), "restarted", None),
            TargetResult { failed: true, ..result("bad", None, "no", None) },
        ];
        let expected = "\
redis: started
rq:1: restarted, pid 123
rq:2: restarted with pid 124
batch.x: stopped
worker:3: restarted
";
        assert_eq!(results(&list), expected);
    }

    #[test]
    fn a_reload_names_what_changed_and_a_plan_what_would() {
        let report = ReloadReport {
            generation: 2,
            added: vec!["a".into(), "b".into()],
            unchanged: vec!["c".into()],
            pending: vec!["listener.http".into()],
            workers_replaced: 4,
            ..ReloadReport::default()
        };
        let done = "added: a, b\nunchanged: c\npending: listener.http\nworkers: 4 replaced, generation 2\n";
        assert_eq!(reload(&report, false), done);
        let plan = "would be added: a, b\nunchanged: c\nwould change: listener.http\n\
                    workers: 4 would be replaced, generation 2\n";
        assert_eq!(reload(&report, true), plan);
        let nothing = ReloadReport { generation: 1, ..ReloadReport::default() };
        assert_eq!(reload(&nothing, false), "workers: unchanged, generation 1\n");
    }

    #[test]
    fn progress_says_how_long_it_has_taken_and_what_comes() {
        let waiting = Progress {
            message: "redis is STOPPING".into(),
            since: Duration::from_millis(12_700),
            escalates_in: Some(Duration::from_secs(48)),
            escalation: "SIGKILL".into(),
        };
        assert_eq!(progress(&waiting), "redis is STOPPING, 12 s so far, SIGKILL in 48 s");
        let open = Progress { escalates_in: None, ..waiting };
        assert_eq!(progress(&open), "redis is STOPPING, 12 s so far");
    }
}
