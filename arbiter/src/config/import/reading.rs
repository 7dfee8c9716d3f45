//! The values of an INI section, taken one by one: what nobody took in the end is not known, and said so.

use super::ini::{Entry, Section};
use crate::config::quantity::LONGEST;
use crate::config::value;
use proto::spec::MOST_PROCESSES;
use std::ops::RangeInclusive;

/// What is true and what is not, in both programs.
const BOOLEANS: [(&str, bool); 8] = [
    ("true", true),
    ("yes", true),
    ("on", true),
    ("1", true),
    ("false", false),
    ("no", false),
    ("off", false),
    ("0", false),
];

/// A section that is being read.
pub(super) struct Reading<'a> {
    section: &'a Section,
    taken: Vec<bool>,
    /// What has to be said about it.
    pub(super) notes: Vec<String>,
}

impl<'a> Reading<'a> {
    /// From the beginning.
    pub(super) fn of(section: &'a Section) -> Self {
        Self { section, taken: vec![false; section.entries.len()], notes: Vec::new() }
    }

    /// The value of a key. An empty one is none.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a str> {
        let mut entries = self.section.entries.iter();
        let at = entries.position(|entry| entry.key.eq_ignore_ascii_case(key))?;
        self.taken[at] = true;
        Some(self.section.entries[at].value.as_str()).filter(|value| !value.is_empty())
    }

    /// Keys that mean nothing here, and need to mean nothing.
    pub(super) fn pass_over(&mut self, keys: &[&str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// Says of a key, if it is there, that it has no counterpart: `why`, or what to do instead.
    pub(super) fn without(&mut self, key: &str, why: &str) {
        if let Some(value) = self.take(key) {
            self.notes.push(format!("{key} = {value}: {why}"));
        }
    }

    /// As [`Reading::without`], unless the value is one that asks for nothing.
    pub(super) fn without_unless(&mut self, key: &str, nothing: &[&str], why: &str) {
        let value =
            self.take(key).filter(|value| !nothing.iter().any(|word| word.eq_ignore_ascii_case(value)));
        if let Some(value) = value {
            self.notes.push(format!("{key} = {value}: {why}"));
        }
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let text = self.take(key)?;
        let known = BOOLEANS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
        self.or_refuse(key, text, known.map(|(_, value)| *value), "neither true nor false")
    }

    /// A whole number, after `expand`.
    pub(super) fn number(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
        expand: impl Fn(&str) -> String,
    ) -> Option<i64> {
        let text = self.take(key)?;
        let number = expand(text).trim().parse::<i64>().ok().filter(|number| range.contains(number));
        let wrong = format!("not a whole number from {} to {}", range.start(), range.end());
        self.or_refuse(key, text, number, &wrong)
    }

    /// Seconds, at most as many as a duration can have. Parts of a second are dropped.
    pub(super) fn seconds(&mut self, key: &str, expand: impl Fn(&str) -> String) -> Option<u32> {
        let text = self.take(key)?;
        let expanded = expand(text);
        let whole = expanded.trim().split('.').next().unwrap_or_default();
        let longest = u32::try_from(LONGEST.as_secs()).unwrap_or(u32::MAX);
        let seconds = whole.parse::<u32>().ok().filter(|seconds| *seconds <= longest);
        self.or_refuse(key, text, seconds, "not a number of seconds, at most a year")
    }

    /// How many processes.
    pub(super) fn count(&mut self, key: &str, expand: impl Fn(&str) -> String) -> Option<u32> {
        let count = self.number(key, 0..=i64::from(MOST_PROCESSES), expand)?;
        u32::try_from(count).ok()
    }

    /// A signal, as it is written here.
    pub(super) fn signal(&mut self, key: &str) -> Option<String> {
        let text = self.take(key)?;
        let number = supervise::signal_number(text.trim());
        let name = number.map(|number| match supervise::signal_name(number) {
            Some(name) => name.trim_start_matches("SIG").to_owned(),
            None => number.to_string(),
        });
        self.or_refuse(key, text, name, "no signal of that name")
    }

    /// Octal permissions.
    pub(super) fn mode(&mut self, key: &str) -> Option<String> {
        let text = self.take(key)?;
        let digits = text.trim().trim_start_matches("0o");
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
        self.or_refuse(key, text, mode.map(|mode| format!("{mode:04o}")), "not an octal mode up to 0777")
    }

    /// The words of a command line, as Python's shlex splits it.
    pub(super) fn words(&mut self, key: &str, line: &str) -> Option<Vec<String>> {
        let words = split(line).filter(|words| !words.is_empty());
        self.or_refuse(key, line, words, "its words cannot be told: a quote has no end, or there is none")
    }

    fn or_refuse<T>(&mut self, key: &str, text: &str, value: Option<T>, wrong: &str) -> Option<T> {
        if value.is_none() {
            self.notes.push(format!("{key} = {text}: {wrong}"));
        }
        value
    }

    /// The keys that nobody took.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a Entry> + use<'a, '_> {
        self.section.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry)
    }

    /// All that has to be said, with what is not known in the end.
    pub(super) fn finish(mut self) -> Vec<String> {
        let unknown =
            self.rest().map(|entry| format!("{} = {}: this key is not known", entry.key, entry.value));
        let unknown: Vec<String> = unknown.collect();
        self.notes.extend(unknown);
        self.notes
    }
}

/// Splits as a shell does, but a `#` begins no comment.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut kept = String::with_capacity(line.len());
    let mut quoting = Quoting::default();
    for character in line.chars() {
        let begins_word = quoting.is_plain() && kept.chars().next_back().is_none_or(char::is_whitespace);
        if character == '#' && begins_word {
            kept.push('\\');
        }
        kept.push(character);
        quoting.pass(character);
    }
    shlex::split(&kept)
}

/// What quotes and backslashes make of the next character of a command line.
#[derive(Debug, Default)]
pub(super) struct Quoting {
    within: Option<char>,
    is_escaped: bool,
}

impl Quoting {
    /// It stands outside of all quotes and means what it means.
    fn is_plain(&self) -> bool {
        self.within.is_none() && !self.is_escaped
    }

    /// It stands within single quotes, where nothing means anything.
    pub(super) fn is_single(&self) -> bool {
        self.within == Some('\'')
    }

    /// It was `character`.
    pub(super) fn pass(&mut self, character: char) {
        match self.within {
            _ if self.is_escaped => self.is_escaped = false,
            Some('"') | None if character == '\\' => self.is_escaped = true,
            Some(open) if open == character => self.within = None,
            None if matches!(character, '\'' | '"') => self.within = Some(character),
            _ => {}
        }
    }
}

/// Whether a variable of an environment can be called so.
pub(super) fn is_variable(name: &str) -> bool {
    value::variable_name(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_a_word_like_any_other() {
        for (line, words) in [
            ("a #b 'c #d' \"#e\" f#g", vec!["a", "#b", "c #d", "#e", "f#g"]),
            ("#a \\#b '\\' #c", vec!["#a", "#b", "\\", "#c"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert_eq!(split("it's"), None);
    }
}
