//! The manual pages' sources, taken apart: what is said in them is compared with the programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the project is.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate of a workspace")
}

/// The text of a file of the project.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn file(path: &str) -> String {
    let path: PathBuf = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The source of a page, or a part of it.
#[derive(Clone, Debug)]
pub struct Page {
    /// What failures call it.
    name: String,
    text: String,
}

/// A definition: what is defined, and what is said of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What stands before the colon.
    pub term: String,
    /// What stands behind it, on one line.
    pub body: String,
}

impl Page {
    /// The source of the page `name`, such as `arbiter.8`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn read(name: &str) -> Self {
        Self { name: name.to_owned(), text: file(&format!("man/{name}.md")) }
    }

    /// All of it, as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands below a heading, up to the next one.
    ///
    /// # Panics
    /// There is no such heading, or nothing below it.
    #[must_use]
    pub fn section(&self, heading: &str) -> Self {
        self.below(heading, |_, _| true)
    }

    /// What stands below a heading, its subsections too.
    ///
    /// # Panics
    /// There is no such heading, or nothing below it.
    #[must_use]
    pub fn chapter(&self, heading: &str) -> Self {
        self.below(heading, |level, other| other <= level)
    }

    fn below(&self, heading: &str, ends: impl Fn(usize, usize) -> bool) -> Self {
        let name = format!("{}, {heading}", self.name);
        let mut lines =
            self.text.lines().skip_while(|line| title(line).is_none_or(|(_, text)| text != heading));
        let (level, _) = lines.next().and_then(title).unwrap_or_else(|| panic!("{name}: no such heading"));
        let is_end = |line: &&str| title(line).is_some_and(|(other, _)| ends(level, other));
        let text = lines.take_while(|line| !is_end(line)).collect::<Vec<_>>().join("\n");
        assert!(!text.trim().is_empty(), "{name}: nothing is said");
        Self { name, text }
    }

    /// All definitions.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let lines: Vec<&str> = self.text.lines().collect();
        let starts = |at: &usize| lines.get(at + 1).is_some_and(|line| line.starts_with(": "));
        let entry = |at: usize| {
            let rest = lines[at + 2..].iter().take_while(|line| line.is_empty() || line.starts_with(' '));
            let body = std::iter::once(&lines[at + 1][1..]).chain(rest.copied()).map(str::trim);
            Entry { term: lines[at].to_owned(), body: body.collect::<Vec<_>>().join(" ").trim().to_owned() }
        };
        (0..lines.len()).filter(starts).map(entry).collect()
    }

    /// What is said of `name`.
    ///
    /// # Panics
    /// Nothing, or more than once.
    #[must_use]
    pub fn entry(&self, name: &str) -> Entry {
        let found: Vec<Entry> =
            self.entries().into_iter().filter(|entry| entry.names().iter().any(|own| own == name)).collect();
        let [entry] = &found[..] else { panic!("{}: {name} is defined {} times", self.name, found.len()) };
        entry.clone()
    }

    /// What all definitions define.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.entries().iter().flat_map(Entry::names).collect()
    }

    /// Whether a word stands here as something literal, alone or with others.
    #[must_use]
    pub fn has_word(&self, word: &str) -> bool {
        literals(&self.text).iter().any(|literal| words(literal).any(|other| other == word))
    }

    /// The examples in a language.
    #[must_use]
    pub fn examples(&self, language: &str) -> Vec<String> {
        let fence = format!("```{language}\n");
        let examples = self.text.split(&fence).skip(1);
        examples.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
    }

    /// The cells of the table rows, without the head.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        table_rows(&self.text)
    }
}

impl Entry {
    /// What is literal in the term, before its value.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        literals(self.term.split(" = ").next().unwrap_or_default())
    }
}

/// The cells of the rows of all tables in a text, without their heads.
#[must_use]
pub fn table_rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |at: &usize| {
        let is_ruled = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("| --"));
        lines[*at].starts_with('|') && !is_ruled(*at) && !is_ruled(at + 1)
    };
    let cells =
        |at: usize| lines[at].trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    (0..lines.len()).filter(is_row).map(cells).collect()
}

/// What stands between backticks.
#[must_use]
pub fn literals(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .filter(|word| !word.is_empty())
}

/// Level and text of a heading.
fn title(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    (level > 0 && text.starts_with(' ')).then(|| (level, text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let text = "# One\n\nText of `a-b`.\n\n`x`, `y` = `\"z\"`\n:   Said of\n    both.\n\n    More.\n\n## Two\n\n`w`\n:   W.\n\n\
                    ```sh\nrun\n```\n\n# Three\n\n| head | |\n| --- | --- |\n| `c` | |\n";
        Page { name: "page".into(), text: text.into() }
    }

    #[test]
    fn a_section_ends_at_the_next_heading_and_a_chapter_at_its_like() {
        assert_eq!(page().section("One").names(), BTreeSet::from(["x".into(), "y".into()]));
        assert_eq!(page().chapter("One").names(), BTreeSet::from(["w".into(), "x".into(), "y".into()]));
        assert_eq!(page().section("One").entry("y").body, "Said of both.  More.");
    }

    #[test]
    fn words_examples_and_rows_are_found() {
        assert!(page().has_word("a-b") && !page().has_word("a") && !page().has_word("Text"));
        assert_eq!(page().examples("sh"), ["run\n"]);
        assert_eq!(page().rows(), [["`c`", ""]]);
    }
}
