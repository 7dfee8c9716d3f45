//! What of an answer is a failure.

use crate::exit_code;
use crate::problem::Problem;
use crate::show;
use proto::control::{Answer, ReloadReport, TargetResult, Verb};

/// What the answer to `verb` says has failed, with what was done all the same; `None` when nothing has.
pub(crate) fn failure(verb: &Verb, answer: &Answer) -> Option<Problem> {
    let message = match answer {
        Answer::Results(results) => failed_results(results)?,
        Answer::Reload(report) if !report.problems.is_empty() => failed_reload(verb, report),
        Answer::Run { pid, exit: Some(status), success: false } => {
            let name = match verb {
                Verb::Run(run) => run.name.as_str(),
                _ => "the process",
            };
            format!("{name} (pid {pid}) {status}; look with `arbiterctl info companion {name}`")
        }
        _ => return None,
    };
    Some(Problem::new(exit_code::FAILED, message))
}

fn failed_results(results: &[TargetResult]) -> Option<String> {
    let failed: Vec<_> = results
        .iter()
        .filter(|result| result.failed)
        .map(|result| format!("{}: {}", show::result_name(result, results), result.message))
        .collect();
    let done = in_brackets(&show::results(results));
    (!failed.is_empty()).then(|| format!("{}{done}; look with `arbiterctl status`", failed.join("; ")))
}

fn failed_reload(verb: &Verb, report: &ReloadReport) -> String {
    let changed = ReloadReport { unchanged: Vec::new(), ..report.clone() };
    let (what, done) = match verb {
        Verb::Load(_) => ("it was loaded", String::new()),
        Verb::Unload(_) => ("it was unloaded", String::new()),
        _ => ("the configuration was applied", in_brackets(&show::reload(&changed, false))),
    };
    format!("{what}{done}, but then: {}; look with `arbiterctl status`", report.problems.join("; "))
}

/// The lines of `text` as an aside in a sentence.
fn in_brackets(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() { String::new() } else { format!(" ({})", lines.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::RunRequest;
    use proto::supervise::{ExitStatus, State};

    fn result(slot: u32, failed: bool) -> TargetResult {
        TargetResult {
            name: "rq".into(),
            slot: Some(slot),
            state: if failed { State::Backoff } else { State::Running },
            pid: None,
            changed: true,
            message: if failed { "exited with status 1".into() } else { "started".into() },
            failed,
        }
    }

    #[test]
    fn results_fail_when_one_of_them_does() {
        let verdict = |results| failure(&Verb::Start(vec![]), &Answer::Results(results)).map(|it| it.message);
        assert_eq!(verdict(vec![result(1, false), result(2, false)]), None);
        let some = "rq:2: exited with status 1 (rq:1: started); look with `arbiterctl status`";
        assert_eq!(verdict(vec![result(1, false), result(2, true)]).as_deref(), Some(some));
        let all = "rq: exited with status 1; look with `arbiterctl status`";
        assert_eq!(verdict(vec![result(1, true)]).as_deref(), Some(all));
    }

    #[test]
    fn a_reload_whose_companions_fail_afterwards_fails_and_says_what_was_done() {
        let report = ReloadReport {
            added: vec!["rq".into()],
            unchanged: vec!["redis".into()],
            workers_replaced: 2,
            generation: 3,
            problems: vec!["rq: exited".into()],
            ..ReloadReport::default()
        };
        let verb = Verb::Reload(proto::control::ReloadScope::All);
        let problem = failure(&verb, &Answer::Reload(report)).unwrap();
        assert_eq!(problem.code, exit_code::FAILED);
        assert_eq!(
            problem.message,
            "the configuration was applied (added: rq; workers: 2 replaced, generation 3), but then: rq: exited; \
             look with `arbiterctl status`"
        );
    }

    #[test]
    fn a_run_that_was_waited_for_fails_as_its_process_does() {
        let verb = Verb::Run(RunRequest { name: "rq".into(), env: vec![], args: vec![] });
        let verdict = |exit, success| failure(&verb, &Answer::Run { pid: 7, exit, success });
        assert_eq!(verdict(None, true), None);
        assert_eq!(verdict(Some(ExitStatus::Code(4)), true), None);
        let problem = verdict(Some(ExitStatus::Code(3)), false).unwrap();
        assert!(problem.message.starts_with("rq (pid 7) exited with status 3"), "{}", problem.message);
    }
}
