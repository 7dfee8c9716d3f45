//! Answers for programs: one JSON object a line. What is here is a promise: fields are added, never changed.

mod answers;
mod event;
mod process;
mod status;

#[cfg(test)]
pub(crate) mod sample;

pub(crate) use event::event;

use proto::control::Answer;
use serde::Serialize;

/// The number of the form of all answers.
const SCHEMA: u32 = 1;

/// The answer as a line.
pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Done => line(&answers::Acknowledged { schema: SCHEMA, ok: true }),
        Answer::Version { manager, arbiter } => {
            let arbiterctl = env!("CARGO_PKG_VERSION");
            line(&answers::Versions { schema: SCHEMA, arbiter, manager, arbiterctl })
        }
        Answer::Status(shown) => line(&status::Document::from(&**shown)),
        Answer::Reload(report) => line(&answers::Reload::from(report)),
        Answer::Results(list) => line(&answers::Results::from(list.as_slice())),
        Answer::Count(count) => line(&answers::Count { schema: SCHEMA, count: *count }),
        Answer::Run { pid, exit, .. } => line(&answers::Run::new(*pid, *exit)),
        Answer::Info(info) => line(&answers::Information::from(&**info)),
        Answer::Stats(list) => line(&answers::Statistics::from(list.as_slice())),
        Answer::Pids(list) => line(&answers::Pids::from(list.as_slice())),
    }
}

fn line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).expect("structures with text keys can always be written");
    text.push('\n');
    text
}
