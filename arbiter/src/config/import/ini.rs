//! INI files as Python's configparser reads them, which is what supervisord and circus use. Its dialect (values over
//! several lines, comments behind values, which of two equal keys counts) is no other reader's, and messages
//! need the places, so it is read here.

use crate::config::diagnostic::{Diagnostics, Fault, Place};

/// Where the two programs differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// What begins a comment behind a value, after white space.
    pub(super) comments: &'static [char],
    /// Of two equal keys the first counts, not the last.
    pub(super) first_counts: bool,
}

/// A key and its value; lines of a longer value are joined by line feeds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As it was written. The programs do not tell upper from lower case, save in circus' environment.
    pub(super) key: String,
    /// The value.
    pub(super) value: String,
}

/// A section; all of the same name are one.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// Between the brackets.
    pub(super) name: String,
    /// Its keys, in the order of writing, none twice.
    pub(super) entries: Vec<Entry>,
}

impl Section {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| entry.value.as_str())
    }

    /// `x` of `[kind:x]`.
    pub(super) fn name_of(&self, kind: &str) -> Option<&str> {
        self.name.strip_prefix(kind)?.strip_prefix(':').map(str::trim)
    }
}

/// The sections of a file and of what it includes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ini {
    /// In the order of writing.
    pub(super) sections: Vec<Section>,
}

/// The value that lines may go on with.
struct Open {
    section: usize,
    /// `None`: the value does not count.
    entry: Option<usize>,
    indent: usize,
}

impl Ini {
    /// The section of this name.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Adds what a file says. Lines that are neither a section nor a key nor a value are reported.
    pub(super) fn add(&mut self, text: &str, source: usize, dialect: Dialect, diagnostics: &Diagnostics) {
        let mut start = 0;
        let mut section: Option<usize> = None;
        let mut open: Option<Open> = None;
        for line in text.split_inclusive('\n') {
            let place = Place::new(source, start..start + line.trim_end().len());
            start += line.len();
            let bare = without_comment(line, dialect);
            let indent = bare.len() - bare.trim_start().len();
            let bare = bare.trim();
            if bare.is_empty() {
                continue;
            }
            match &open {
                Some(value) if indent > value.indent => {
                    if let Some(entry) = value.entry {
                        let value = &mut self.sections[value.section].entries[entry].value;
                        value.push('\n');
                        value.push_str(bare);
                    }
                    continue;
                }
                _ => {}
            }
            if let Some((name, _)) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                section = Some(self.enter(name.trim()));
                open = None;
                continue;
            }
            let Some((number, (key, value))) = section.zip(bare.split_once(['=', ':'])) else {
                let fault = Fault::new("this is neither a [section] nor a KEY = VALUE in one");
                diagnostics.report(place, fault.help("remove this line, or put it right"));
                continue;
            };
            let entry = self.set(number, key.trim_end(), value.trim_start(), dialect);
            open = Some(Open { section: number, entry, indent });
        }
    }

    fn enter(&mut self, name: &str) -> usize {
        let known = self.sections.iter().position(|section| section.name == name);
        known.unwrap_or_else(|| {
            self.sections.push(Section { name: name.to_owned(), entries: Vec::new() });
            self.sections.len() - 1
        })
    }

    /// Where the value is kept; `None`: an earlier one counts.
    fn set(&mut self, section: usize, key: &str, value: &str, dialect: Dialect) -> Option<usize> {
        let entries = &mut self.sections[section].entries;
        let value = if dialect.first_counts && value == "\"\"" { "" } else { value };
        match entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key)) {
            Some(_) if dialect.first_counts => None,
            Some(number) => {
                entries[number].value = value.to_owned();
                Some(number)
            }
            None => {
                entries.push(Entry { key: key.to_owned(), value: value.to_owned() });
                Some(entries.len() - 1)
            }
        }
    }
}

fn without_comment(line: &str, dialect: Dialect) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let begins = |(at, character): (usize, char)| {
        dialect.comments.contains(&character) && line[..at].ends_with(char::is_whitespace)
    };
    let end = line.char_indices().find(|found| begins(*found)).map_or(line.len(), |(at, _)| at);
    line[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Sources;

    const SUPERVISORD: Dialect = Dialect { comments: &[';', '#'], first_counts: false };
    const CIRCUS: Dialect = Dialect { comments: &[';'], first_counts: true };

    fn read(text: &str, dialect: Dialect) -> (Ini, String) {
        let (mut sources, diagnostics) = (Sources::default(), Diagnostics::default());
        let source = sources.add_file("x.ini".to_owned(), text.to_owned());
        let mut ini = Ini::default();
        ini.add(text, source, dialect, &diagnostics);
        (ini, diagnostics.render_errors(&sources, true))
    }

    fn value(text: &str, dialect: Dialect) -> String {
        let (ini, errors) = read(text, dialect);
        assert_eq!(errors, "");
        ini.section("a").and_then(|section| section.get("k")).unwrap_or("nothing").to_owned()
    }

    #[test]
    fn values_go_on_in_deeper_lines_and_end_at_a_comment() {
        for (text, expected) in [
            ("[a]\nk = v", "v"),
            ("[a] ; x\nK:v;w ; x", "v;w"),
            ("[a]\nk =\n  one ; first\n\n  # not this\n  two\nl = x", "\none\ntwo"),
            ("[a]\n  k = v\n  l = w", "v"),
            ("[a]\nk = a=b:c", "a=b:c"),
            ("[a]\nl=1\n[b]\nx=1\n[a]\nk=2", "2"),
            ("# x\n; k = 1\n[a]\n#k=1\nk = \"\"", "\"\""),
            ("[a]\nk = a # x", "a"),
        ] {
            assert_eq!(value(text, SUPERVISORD), expected, "{text:?}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_and_in_circus_the_first() {
        let text = "[a]\nk = 1\nk = 2\n  3";
        assert_eq!(value(text, SUPERVISORD), "2\n3");
        assert_eq!(value(text, CIRCUS), "1");
        assert_eq!(value("[a]\nk = #1 ;x", CIRCUS), "#1");
        assert_eq!(value("[a]\nk = \"\"", CIRCUS), "");
    }

    #[test]
    fn every_line_that_makes_no_sense_is_named_with_its_file_and_number() {
        let (_, errors) = read("k = 1\n[a]\nwhat\nk = 1\n{% if x %}\n", SUPERVISORD);
        for place in ["x.ini:1:1: this is neither", "x.ini:3:1: ", "x.ini:5:1: "] {
            assert!(errors.contains(place), "{place} in {errors}");
        }
    }
}
