//! Braces that were probably meant to be a listener's name.

use super::diagnostic::Fault;
use proto::nearest::nearest;
use proto::spec::template::{self, Piece};

/// Placeholders with a meaning of their own.
const KNOWN: [&str; 4] = ["slot", "name", "generation", "listen"];

/// Whether a word in braces is replaced wherever it stands.
pub(crate) fn is_known(word: &str) -> bool {
    KNOWN.contains(&word) || word.starts_with("env.")
}

/// `text` with a likely value for each placeholder that has one: where the values are known at a start only, the
/// shape of the whole can be judged before.
pub(crate) fn sample(text: &str) -> String {
    let value = |word: &str| is_known(word).then(|| "1".to_owned());
    template::expand(text, value).unwrap_or_else(|_| text.to_owned())
}

/// What is doubtful about the placeholders of a text. Workers are given `listeners`; companions are not.
pub(crate) fn doubts(text: &str, listeners: &[&str], is_companion: bool) -> Vec<Fault> {
    let mut doubts = Vec::new();
    for piece in template::pieces(text) {
        let Piece::Placeholder(word) = piece else { continue };
        if is_known(word) {
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
