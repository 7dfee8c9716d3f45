//! At least one message of every kind, each field with something in it at least once.

mod answers;
mod events;
mod requests;

pub(crate) use requests::{TOKEN, requests};

use proto::control::Response;
use proto::hello::Hello;

/// A message with the name it has in the golden file.
pub(crate) type Sample<T> = (&'static str, T);

pub(crate) fn hellos() -> Vec<Sample<Hello>> {
    let hello = |lowest, highest, program: &str| Hello { lowest, highest, program: program.into() };
    vec![
        ("version_1", hello(1, 1, "0.1.0")),
        ("versions_1_to_3", hello(1, 3, "2.10.0-rc.1")),
        ("a_program_without_a_version", hello(1, 1, "")),
    ]
}

pub(crate) fn responses() -> Vec<Sample<Response>> {
    let mut id = 0;
    answers::replies()
        .into_iter()
        .chain(events::chunks())
        .map(|(name, reply)| {
            id += 1;
            (name, Response { id, reply })
        })
        .collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
