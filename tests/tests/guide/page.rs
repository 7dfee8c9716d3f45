//! A page of the guide, taken apart, and the files that it is about.

use std::fs::{self, Permissions};
use std::path::Path;

/// Kinds of blocks that are neither run nor parts of a file: commands for a machine that the suite has not.
const TOLD: [&str; 2] = ["sh", "text"];

/// A command and what the page says it prints.
#[derive(Debug)]
pub(crate) struct Step {
    /// `PAGE:LINE`, for messages.
    pub(crate) place: String,
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

/// What of a page can be true or not.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) steps: Vec<Step>,
    /// Parts of files.
    pub(crate) excerpts: Vec<String>,
    /// Where its links lead within the project.
    pub(crate) links: Vec<String>,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links =
            links.filter(|link| !link.is_empty() && !link.contains("://")).map(str::to_owned).collect();
        let mut page = Self { links, ..Self::default() };
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else { continue };
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            match kind {
                "console" => page.add_steps(path, number + 2, &block),
                _ if TOLD.contains(&kind) => {}
                _ => page.excerpts.push(block.join("\n")),
            }
        }
        page
    }

    fn add_steps(&mut self, path: &Path, first: usize, block: &[&str]) {
        for (number, line) in (first..).zip(block) {
            let place = format!("{}:{number}", path.display());
            if let Some(command) = line.strip_prefix("$ ") {
                self.steps.push(Step { place, command: command.to_owned(), shown: Vec::new() });
            } else {
                let step = self.steps.last_mut().unwrap_or_else(|| panic!("{place}: output of no command"));
                step.shown.push((*line).to_owned());
            }
        }
    }
}

/// A file of `docs/examples`.
#[derive(Debug)]
pub(crate) struct ExampleFile {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) mode: Permissions,
}

impl ExampleFile {
    /// Those of a directory itself; none where there is no directory.
    pub(crate) fn all_in(directory: &Path) -> Vec<Self> {
        let entries =
            fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("it is readable"));
        let files = entries.filter(|entry| entry.path().is_file()).map(|entry| Self {
            name: entry.file_name().into_string().expect("names are text"),
            text: fs::read_to_string(entry.path()).expect("examples are text"),
            mode: fs::metadata(entry.path()).expect("it was read").permissions(),
        });
        files.collect()
    }
}
