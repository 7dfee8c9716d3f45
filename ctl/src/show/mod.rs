//! Answers for people.

mod event;
mod processes;
mod results;
mod stats;
mod status;
mod style;
mod table;
mod text;
mod time;
mod view;

pub(crate) use event::{event, kind_name};
pub(crate) use results::{progress, reload, result_name, results};
pub(crate) use stats::{Order, sum};
pub(crate) use text::{cut, plain};
pub(crate) use time::{rfc3339_millis, rfc3339_seconds};
pub(crate) use view::View;

use proto::control::{Answer, ReloadScope, Verb};
use proto::supervise::State;
use std::time::Duration;
use style::Style;
use sys::terminal::Size;

/// The text of the answer to `verb`, each line with its newline.
pub(crate) fn answer(verb: &Verb, wait: bool, answer: &Answer, view: View) -> String {
    match answer {
        Answer::Done => results::done(verb, wait),
        Answer::Version { manager, arbiter } => {
            let own = env!("CARGO_PKG_VERSION");
            format!("arbiter {}\ncompanion-manager {}\narbiterctl {own}\n", plain(arbiter), plain(manager))
        }
        Answer::Status(shown) => {
            let everything = matches!(verb, Verb::Status(names) if names.is_empty());
            status::table(shown, everything).text(view)
        }
        Answer::Reload(report) if matches!(verb, Verb::Load(_) | Verb::Unload(_)) => results::changed(report),
        Answer::Reload(report) => results::reload(report, matches!(verb, Verb::Reload(ReloadScope::DryRun))),
        Answer::Results(list) => results::results(list),
        Answer::Count(number) => format!("{number}\n"),
        Answer::Run { pid, .. } => format!("{pid}\n"),
        Answer::Info(info) => processes::info(info),
        Answer::Stats(list) => stats::stats(list, view),
        Answer::Pids(list) => processes::pids(list),
    }
}

/// The rows of a screen that shows the answer to a question of `--watch`, which came `age` ago.
pub(crate) fn screen(
    answer: &Answer,
    everything: bool,
    age: Duration,
    order: Order,
    size: Size,
    style: Style,
) -> Vec<String> {
    match answer {
        Answer::Status(shown) => status::table(&status::older(shown, age), everything).screen(size, style),
        Answer::Stats(list) => stats::screen(list, order, size),
        _ => Vec::new(),
    }
}

/// Whether an answer counts seconds that only another one tells: of processes on their way.
pub(crate) fn is_restless(answer: &Answer) -> bool {
    let Answer::Status(status) = answer else { return false };
    let workers = status.workers.processes.iter().map(|worker| worker.process.state);
    let processes = status.companions.iter().flat_map(|companion| &companion.processes);
    let mut states = workers.chain(processes.map(|process| process.process.state));
    states.any(|state| matches!(state, State::Starting | State::Stopping | State::Backoff))
}
