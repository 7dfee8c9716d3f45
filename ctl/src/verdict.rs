//! What of an answer is a failure.

use crate::exit_code;
use crate::problem::Problem;
use crate::show;
use proto::control::{Answer, TargetResult, Verb};
use proto::supervise::ExitStatus;

/// Failures that an answer tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    /// All of them.
    pub(crate) problem: Problem,
    /// Whether there is nothing but failure to tell, so that standard output stays empty.
    pub(crate) nothing_done: bool,
}

/// The failures in the answer to `verb`; `None` when there are none.
pub(crate) fn failures(verb: &Verb, answer: &Answer) -> Option<Failures> {
    match answer {
        Answer::Results(results) => failed_results(results),
        Answer::Reload(report) if !report.problems.is_empty() => Some(Failures {
            problem: Problem::new(
                exit_code::FAILED,
                format!(
                    "the configuration was applied, but then: {}; look with `arbiterctl status`",
                    report.problems.join("; ")
                ),
            ),
            nothing_done: false,
        }),
        Answer::Run { pid, exit: Some(status) } if *status != ExitStatus::Code(0) => {
            let name = match verb {
                Verb::Run(run) => run.name.as_str(),
                _ => "the process",
            };
            let message =
                format!("{name} (pid {pid}) {status}; look with `arbiterctl info companion {name}`");
            Some(Failures { problem: Problem::new(exit_code::FAILED, message), nothing_done: true })
        }
        _ => None,
    }
}

fn failed_results(results: &[TargetResult]) -> Option<Failures> {
    let lines: Vec<_> = results
        .iter()
        .filter(|result| result.failed)
        .map(|result| format!("{}: {}", show::result_name(result, results), result.message))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let nothing_done = lines.len() == results.len();
    let message = format!("{}; look with `arbiterctl status`", lines.join("; "));
    Some(Failures { problem: Problem::new(exit_code::FAILED, message), nothing_done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::{ReloadReport, RunRequest};
    use proto::supervise::State;

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
        let verdict = |results| failures(&Verb::Start(vec![]), &Answer::Results(results));
        assert_eq!(verdict(vec![result(1, false), result(2, false)]), None);
        let some = verdict(vec![result(1, false), result(2, true)]).unwrap();
        assert!(!some.nothing_done);
        assert_eq!(some.problem.message, "rq:2: exited with status 1; look with `arbiterctl status`");
        assert!(verdict(vec![result(1, true), result(2, true)]).unwrap().nothing_done);
    }

    #[test]
    fn a_reload_whose_companions_fail_afterwards_fails_but_has_been_done() {
        let report = ReloadReport { problems: vec!["rq: exited".into()], ..ReloadReport::default() };
        let verb = Verb::Reload(proto::control::ReloadScope::All);
        let failures = failures(&verb, &Answer::Reload(report)).unwrap();
        assert!(!failures.nothing_done);
        assert_eq!(failures.problem.code, exit_code::FAILED);
    }

    #[test]
    fn a_run_that_was_waited_for_fails_as_its_process_does() {
        let verb = Verb::Run(RunRequest { name: "rq".into(), env: vec![], args: vec![] });
        let verdict = |exit| failures(&verb, &Answer::Run { pid: 7, exit });
        assert_eq!(verdict(None), None);
        assert_eq!(verdict(Some(ExitStatus::Code(0))), None);
        let problem = verdict(Some(ExitStatus::Code(3))).unwrap().problem;
        assert!(problem.message.starts_with("rq (pid 7) exited with status 3"), "{}", problem.message);
    }
}
