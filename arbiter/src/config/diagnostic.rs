//! What is wrong, where, and what to write instead.

use proto::nearest::nearest;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;

/// A piece of text that a user wrote: a range of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index into the sources.
    pub(crate) source: usize,
    /// First byte.
    pub(crate) start: usize,
    /// First byte after it.
    pub(crate) end: usize,
}

impl Place {
    /// The bytes `range` of a source.
    pub(crate) fn new(source: usize, range: Range<usize>) -> Self {
        Self { source, start: range.start, end: range.end }
    }
}

/// Something that was read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As it is named in messages: a file, a flag (`-w 0`) or an environment variable.
    pub(crate) name: String,
    /// Its text; `None`: the name says it all.
    pub(crate) text: Option<String>,
}

/// Everything that was read, flags first, then files in the order of reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file.
    pub(crate) fn add_file(&mut self, name: String, text: String) -> usize {
        self.add(Source { name, text: Some(text) })
    }

    /// Adds a flag or variable; the place stands for all of it.
    pub(crate) fn add_word(&mut self, name: String) -> Place {
        Place { source: self.add(Source { name, text: None }), start: 0, end: 0 }
    }

    fn add(&mut self, source: Source) -> usize {
        self.0.push(source);
        self.0.len() - 1
    }

    /// `FILE:LINE:COLUMN`, or the flag.
    pub(crate) fn locate(&self, place: Place) -> String {
        let source = &self.0[place.source];
        let Some(text) = &source.text else { return source.name.clone() };
        let (line, column, _) = position(text, place.start);
        format!("{}:{line}:{column}", source.name)
    }

    fn is_file(&self, place: Place) -> bool {
        self.0[place.source].text.is_some()
    }

    /// The source line and a line of carets under the place; nothing for a flag.
    fn excerpt(&self, place: Place) -> Option<String> {
        let text = self.0[place.source].text.as_ref()?;
        let (_, column, line) = position(text, place.start);
        let line = line.trim_end_matches('\r');
        let indent: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let end = place.end.min(text.len()).max(place.start);
        let width = text.get(place.start..end).map_or(1, |marked| {
            let marked = marked.lines().next().unwrap_or("");
            marked.trim_end().chars().count().max(1)
        });
        Some(format!("    {line}\n    {indent}{}\n", "^".repeat(width)))
    }
}

/// Line and column (in characters), both from 1, of a byte, and the text of its line.
fn position(text: &str, byte: usize) -> (usize, usize, &str) {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    let begin = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].split('\n').next().unwrap_or("");
    (text[..begin].matches('\n').count() + 1, text[begin..byte].chars().count() + 1, line)
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
struct Diagnostic {
    place: Option<Place>,
    message: String,
    help: Option<String>,
}

/// A fault of one value, without its place: that is the value's unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
    /// Where exactly, for a part of the value.
    pub(crate) place: Option<Place>,
    /// What else is wrong with the value.
    pub(crate) more: Vec<Fault>,
}

impl Fault {
    /// A fault without advice.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place: None, more: Vec::new() }
    }

    /// The same with advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with `did you mean`, when one of `known` is near to `word`.
    pub(crate) fn suggest<'a>(mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.help = nearest(word, known).map(|near| format!("did you mean \"{near}\"?")).or(self.help);
        self
    }

    /// The same about a part of the value.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = self.place.or(Some(place));
        self
    }

    /// The same with another one of the same value.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.more.push(other);
        self
    }
}

/// All that is wrong so far, and what is doubtful. Reading goes on after a report, so that all comes at once.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    errors: RefCell<Vec<Diagnostic>>,
    /// Problems of a companion's surroundings: told by the check, tried again at run time.
    problems: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl Diagnostics {
    /// An error at `place`.
    pub(crate) fn report(&self, place: Place, fault: Fault) {
        push(&self.errors, Some(place), fault);
    }

    /// An error at `place` without advice.
    pub(crate) fn error(&self, place: Place, message: impl Into<String>) {
        self.report(place, Fault::new(message));
    }

    /// An error that has no place, as a file that cannot be read.
    pub(crate) fn error_anywhere(&self, fault: Fault) {
        push(&self.errors, None, fault);
    }

    /// What a check reports as an error and a start as a warning.
    pub(crate) fn problem(&self, place: Place, fault: Fault) {
        push(&self.problems, Some(place), fault);
    }

    /// What is doubtful.
    pub(crate) fn warn(&self, place: Place, fault: Fault) {
        push(&self.warnings, Some(place), fault);
    }

    /// All errors, with excerpts; with `strict`, problems among them. Empty: there are none.
    pub(crate) fn render_errors(&self, sources: &Sources, strict: bool) -> String {
        let mut all = self.errors.borrow().clone();
        if strict {
            all.extend(self.problems.borrow().iter().cloned());
        }
        all.sort_by_key(|diagnostic| diagnostic.place);
        all.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        all.iter().map(|diagnostic| render(diagnostic, sources)).collect()
    }

    /// Warnings, a line each; with `problems`, those too.
    pub(crate) fn render_warnings(&self, sources: &Sources, problems: bool) -> Vec<String> {
        let mut all = self.warnings.borrow().clone();
        if problems {
            all.extend(self.problems.borrow().iter().cloned());
        }
        all.sort_by_key(|diagnostic| diagnostic.place);
        all.iter().map(|diagnostic| line(diagnostic, sources)).collect()
    }
}

/// Adds a fault, and each that came with it.
fn push(to: &RefCell<Vec<Diagnostic>>, place: Option<Place>, fault: Fault) {
    let Fault { message, help, place: own, more } = fault;
    to.borrow_mut().push(Diagnostic { place: own.or(place), message, help });
    more.into_iter().for_each(|fault| push(to, place, fault));
}

fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut text = match diagnostic.place {
        Some(place) if sources.is_file(place) => {
            format!("{}: {}\n", sources.locate(place), diagnostic.message)
        }
        Some(place) => format!("arbiter: {}: {}\n", sources.locate(place), diagnostic.message),
        None => format!("arbiter: {}\n", diagnostic.message),
    };
    if let Some(excerpt) = diagnostic.place.and_then(|place| sources.excerpt(place)) {
        text.push_str(&excerpt);
    }
    if let Some(help) = &diagnostic.help {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    help: {help}");
    }
    text
}

fn line(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut text = match diagnostic.place {
        Some(place) => format!("{}: {}", sources.locate(place), diagnostic.message),
        None => diagnostic.message.clone(),
    };
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, " ({help})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place_behind_tabs_and_letters_of_two_bytes() {
        let mut sources = Sources::default();
        let source = sources.add_file("a.toml".into(), "x = 1\n\t\"ä\" = wrong # no\r\n".into());
        let diagnostics = Diagnostics::default();
        diagnostics.report(Place::new(source, 14..19), Fault::new("bad").suggest("wrong", ["wrung"]));
        let expected = "a.toml:2:8: bad\n    \t\"ä\" = wrong # no\n    \t      ^^^^^\n    help: did you mean \"wrung\"?\n";
        assert_eq!(diagnostics.render_errors(&sources, false), expected);
    }

    #[test]
    fn errors_come_in_the_order_of_their_places_and_not_twice() {
        let mut sources = Sources::default();
        let flag = sources.add_word("-w 0".into());
        let file = sources.add_file("a.toml".into(), "ab".into());
        let diagnostics = Diagnostics::default();
        diagnostics.error(Place::new(file, 1..2), "two");
        diagnostics.error(Place::new(file, 0..1), "one");
        diagnostics.error(Place::new(file, 1..2), "two");
        diagnostics.error(flag, "zero");
        let text = diagnostics.render_errors(&sources, false);
        assert_eq!(
            text,
            "arbiter: -w 0: zero\na.toml:1:1: one\n    ab\n    ^\na.toml:1:2: two\n    ab\n     ^\n"
        );
    }

    #[test]
    fn a_place_at_the_end_of_a_file_or_within_a_letter_has_a_line() {
        let mut sources = Sources::default();
        let source = sources.add_file("a".into(), "ä\n".into());
        assert_eq!(sources.locate(Place::new(source, 3..3)), "a:2:1");
        assert_eq!(sources.locate(Place::new(source, 1..9)), "a:1:1");
        assert_eq!(sources.excerpt(Place::new(source, 3..3)).as_deref(), Some("    \n    ^\n"));
    }
}
