//! The guide in `docs/` tells the truth: each page's commands are run, in order, beside copies of its files (those
//! in `docs/examples` and in the page's own directory there), and have to print what the page shows.
//!
//! A `console` block holds commands (`$ …`) and what they print; `...` stands for any lines, or for a word. Words
//! that are numbers of a moment (process ids, times, ports) may differ, everything else may not. An `arbiter` whose
//! output ends in `...` stays, as in a terminal of its own, and has to have ended well when the page is over.
//! Every other block is an excerpt of one of the page's files, or of a file that it links to.

#[path = "guide/form.rs"]
mod form;
#[path = "guide/page.rs"]
mod page;
#[path = "guide/reader.rs"]
mod reader;

use page::{ExampleFile, Page};
use reader::Reader;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tests::Site;

/// A page and a test that does what it says.
macro_rules! pages {
    ($($scenario:ident: $name:literal,)*) => {
        /// The pages that have commands.
        const RUN: &[&str] = &[$($name),*];
        $(#[test] fn $scenario() { follow($name); })*
    };
}

pages! {
    what_is_installed_works_as_the_guide_tells: "install",
    a_first_service_is_as_the_guide_tells: "first-service",
    companions_are_as_the_guide_tells: "companions",
    reloads_and_upgrades_are_as_the_guide_tells: "reload-and-upgrade",
    what_gunicorn_served_is_served_as_the_guide_tells: "coming-from-gunicorn",
    what_supervisord_ran_is_run_as_the_guide_tells: "coming-from-supervisord",
    what_circus_ran_is_run_as_the_guide_tells: "coming-from-circus",
    what_pm2_ran_is_run_as_the_guide_tells: "coming-from-pm2",
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").join("docs")
}

/// Does what a page says, in a place of its own.
fn follow(name: &str) {
    let page = Page::read(&docs().join(format!("{name}.md")));
    let site = Site::new("");
    let mut reader = Reader::new(&site, files_of(name));
    for step in &page.steps {
        reader.take(step);
    }
    reader.finish();
}

/// Names, texts and modes of the files that a page is about.
fn files_of(name: &str) -> Vec<ExampleFile> {
    let all = docs().join("examples");
    [&all, &all.join(name)].into_iter().flat_map(|directory| ExampleFile::all_in(directory)).collect()
}

/// The names of all pages.
fn names() -> Vec<String> {
    let entries =
        fs::read_dir(docs()).expect("the guide is there").map(|entry| entry.expect("it is readable"));
    let names = entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".md")?.to_owned()));
    names.collect()
}

#[test]
fn each_page_with_commands_is_run() {
    let pages = names().into_iter();
    let with_commands: BTreeSet<String> =
        pages.filter(|name| !Page::read(&docs().join(format!("{name}.md"))).steps.is_empty()).collect();
    assert_eq!(with_commands, RUN.iter().map(|&name| name.to_owned()).collect());
}

#[test]
fn what_a_page_shows_of_a_file_stands_in_that_file() {
    for name in names() {
        let page = Page::read(&docs().join(format!("{name}.md")));
        let files = files_of(&name);
        for excerpt in &page.excerpts {
            let linked = page.links.iter().filter_map(|link| fs::read_to_string(docs().join(link)).ok());
            let texts = files.iter().map(|file| file.text.clone()).chain(linked);
            let found = texts.into_iter().any(|text| text.contains(excerpt));
            assert!(found, "{name}.md shows what no file in docs/examples/{name} says:\n{excerpt}");
        }
    }
}

#[test]
fn each_configuration_of_the_guide_is_valid() {
    for name in names() {
        let site = Site::new("");
        let reader = Reader::new(&site, files_of(&name));
        for file in files_of(&name).iter().filter(|file| file.name.ends_with(".toml")) {
            let mut command = reader.command(&format!("arbiter -c {} --check-config", file.name));
            let output = command.output().expect("bash can be started");
            assert!(output.status.success(), "{name}/{}: {output:?}", file.name);
        }
    }
}

#[test]
fn links_lead_to_files() {
    let root = docs().join("..");
    let guide = names().into_iter().map(|name| docs().join(format!("{name}.md")));
    for file in guide.chain([root.join("README.md")]) {
        let beside = file.parent().expect("a file lies in a directory");
        for link in Page::read(&file).links {
            assert!(beside.join(&link).exists(), "{} leads nowhere with {link}", file.display());
        }
    }
}
