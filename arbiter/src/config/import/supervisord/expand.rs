//! Python's `%(name)s` in values.

use crate::config::context::Environment;
use crate::config::import::hints;
use std::ffi::OsStr;

/// What stands for the number of a process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// There is one process, or one of each number.
    Is(i64),
    /// Our slots count on.
    Slot,
}

/// What expressions mean in a section.
pub(super) struct Expansion<'a> {
    /// `program_name`.
    pub(super) program: &'a str,
    /// `group_name`.
    pub(super) group: &'a str,
    /// `process_num`.
    pub(super) number: Number,
    /// `numprocs`.
    pub(super) numprocs: u32,
    /// `here`: the file's directory.
    pub(super) here: &'a str,
    /// For `ENV_X`.
    pub(super) env: &'a Environment,
}

/// When a variable of the environment is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At each start, by a placeholder.
    Start,
    /// Now: the value can hold no placeholder.
    Now,
}

impl Expansion<'_> {
    /// `text` with every expression that has a counterpart replaced. What has none stays and is noted.
    pub(super) fn expand(&self, text: &str, when: When, notes: &mut Vec<String>) -> String {
        if when == When::Start {
            notes.extend(hints::braces(text));
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                expanded.push('%');
                rest = after;
                continue;
            }
            let Some((name, format, after)) = expression(after) else {
                expanded.push('%');
                rest = after;
                continue;
            };
            let written = &rest[before.len()..rest.len() - after.len()];
            match self.value(name, format, when, notes) {
                Some(value) => expanded.push_str(&value),
                None => {
                    let why = if name.starts_with("ENV_") {
                        "that variable is not set here, and this value can hold no placeholder: write it out"
                    } else {
                        "it stays as it is: write out what it means"
                    };
                    notes.push(format!("{written} has no counterpart; {why}"));
                    expanded.push_str(written);
                }
            }
            rest = after;
        }
        expanded.push_str(rest);
        expanded
    }

    fn value(&self, name: &str, format: &str, when: When, notes: &mut Vec<String>) -> Option<String> {
        if let Some(variable) = name.strip_prefix("ENV_") {
            if when == When::Start && is_placeholder(variable) {
                return Some(format!("{{env.{variable}}}"));
            }
            let value = self.env.get(OsStr::new(variable))?.to_string_lossy().into_owned();
            notes.push(format!("%({name})s is what {variable} was when this was written: \"{value}\""));
            return Some(value);
        }
        match name {
            "program_name" => Some(self.program.to_owned()),
            "group_name" => Some(self.group.to_owned()),
            "here" => Some(self.here.to_owned()),
            "numprocs" => Some(formatted(i64::from(self.numprocs), format)),
            "process_num" => match self.number {
                Number::Is(number) => Some(formatted(number, format)),
                Number::Slot if when == When::Now => None,
                Number::Slot => {
                    notes.push(format!("%(process_num){format} became {{slot}}, which counts 1, 2, 3"));
                    Some("{slot}".to_owned())
                }
            },
            _ => None,
        }
    }
}

/// Whether `{env.NAME}` would be read as a placeholder.
fn is_placeholder(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `(name)02d` and what follows it: name, format, the rest.
fn expression(text: &str) -> Option<(&str, &str, &str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[digits..].starts_with(['s', 'd']).then(|| (name, &after[..=digits], &after[digits + 1..]))
}

/// A number in a format as `02d`.
fn formatted(number: i64, format: &str) -> String {
    let digits = format.trim_end_matches(['s', 'd']);
    let width = digits.parse::<usize>().unwrap_or(0).min(20);
    match format.ends_with('d') && digits.starts_with('0') {
        true => format!("{number:0width$}"),
        false => format!("{number:width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, number: Number, when: When) -> (String, usize) {
        let env = Environment::from([("HOME".into(), "/root".into())]);
        let expansion = Expansion { program: "p", group: "g", number, numprocs: 3, here: "/etc", env: &env };
        let mut notes = Vec::new();
        (expansion.expand(text, when, &mut notes), notes.len())
    }

    #[test]
    fn expressions_become_text_or_placeholders() {
        let cases = [
            ("%(program_name)s_%(group_name)s %(here)s/x 100%%", "p_g /etc/x 100%", 0),
            ("80%(process_num)02d %(process_num)s %(numprocs)d", "8007 7 3", 0),
            ("%(ENV_HOME)s %(ENV_NOPE)s", "{env.HOME} {env.NOPE}", 0),
            ("%(host_node_name)s %(what)s", "%(host_node_name)s %(what)s", 2),
            ("{name} {http} {}", "{name} {http} {}", 1),
            ("100% %( %(x %(x)q %", "100% %( %(x %(x)q %", 0),
        ];
        for (text, expected, notes) in cases {
            assert_eq!(expand(text, Number::Is(7), When::Start), (expected.to_owned(), notes), "{text}");
        }
        assert_eq!(expand("w%(process_num)02d", Number::Slot, When::Start), ("w{slot}".to_owned(), 1));
    }

    #[test]
    fn what_can_hold_no_placeholder_is_looked_up_and_noted() {
        assert_eq!(expand("%(ENV_HOME)s", Number::Is(0), When::Now), ("/root".to_owned(), 1));
        assert_eq!(expand("%(ENV_NOPE)s", Number::Is(0), When::Now), ("%(ENV_NOPE)s".to_owned(), 1));
    }
}
