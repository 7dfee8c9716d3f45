//! Braces that were probably meant to be a listener's name.

use super::diagnostic::{Fault, nearest};
use proto::spec::template::{self, Piece};

/// Placeholders with a meaning of their own.
const KNOWN: [&str; 4] = ["slot", "name", "generation", "listen"];

/// What is doubtful about the placeholders of a text. Workers are given `listeners`; companions are not.
pub(crate) fn doubts(text: &str, listeners: &[&str], is_companion: bool) -> Vec<Fault> {
    let mut doubts = Vec::new();
    for piece in template::pieces(text) {
        let Piece::Placeholder(word) = piece else { continue };
        if KNOWN.contains(&word) || word.starts_with("env.") {
            continue;
        }
        if is_companion {
            if listeners.contains(&word) {
                let message =
                    format!("{{{word}}} stays as it is: companions are not given the listener \"{word}\"");
                doubts.push(Fault::new(message).help("use `listen` and {listen} for a socket of its own"));
            }
        } else if !listeners.contains(&word) {
            if let Some(near) = nearest(word, listeners.iter().copied()) {
                let message = format!("{{{word}}} stays as it is: there is no listener \"{word}\"");
                doubts.push(Fault::new(message).help(format!("did you mean {{{near}}}?")));
            }
        }
    }
    doubts
}
