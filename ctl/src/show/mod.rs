//! Answers for people.

mod event;
mod processes;
mod results;
mod status;
mod style;
mod time;

pub(crate) use event::{event, kind_name};
pub(crate) use results::{progress, result_name};
pub(crate) use style::Style;
pub(crate) use time::{rfc3339_millis, rfc3339_seconds};

use proto::control::{Answer, ReloadScope, Verb};

/// The text of the answer to `verb`, each line with its newline.
pub(crate) fn answer(verb: &Verb, wait: bool, answer: &Answer, style: Style) -> String {
    match answer {
        Answer::Done => results::done(verb, wait),
        Answer::Version { manager, arbiter } => {
            let own = env!("CARGO_PKG_VERSION");
            format!("arbiter {}\ncompanion-manager {}\narbiterctl {own}\n", plain(arbiter), plain(manager))
        }
        Answer::Status(shown) => {
            let everything = matches!(verb, Verb::Status(names) if names.is_empty());
            status::status(shown, everything, style)
        }
        Answer::Reload(report) => results::reload(report, matches!(verb, Verb::Reload(ReloadScope::DryRun))),
        Answer::Results(list) => results::results(list),
        Answer::Count(number) => format!("{number}\n"),
        Answer::Run { pid, .. } => format!("{pid}\n"),
        Answer::Info(info) => processes::info(info),
        Answer::Stats(list) => processes::stats(list),
        Answer::Pids(list) => processes::pids(list),
    }
}

/// `text` without control characters: what a child says of itself must not drive the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
