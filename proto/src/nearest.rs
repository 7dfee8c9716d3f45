//! What was probably meant by a word that is not known.

/// How far two words may be apart to be taken for one another: a third of the longer one's letters.
const LETTERS_PER_SLIP: usize = 3;

/// The word of `known` that was probably meant by `word`.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let letters = candidate.chars().count().max(word.chars().count());
            *distance <= (letters / LETTERS_PER_SLIP).max(1) && *distance < letters
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["count", "command", "cwd", "timeout"];
        for (word, near) in [
            ("cuont", Some("count")),
            ("comand", Some("command")),
            ("CWD", Some("cwd")),
            ("time_out", Some("timeout")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
