//! The manual pages against the programs: what there is stands in the page where it belongs, and what stands there is.
//!
//! That the pages are made of their sources, `man/build --check` holds.

#[path = "manual/command_lines.rs"]
mod command_lines;
#[path = "manual/configuration.rs"]
mod configuration;
#[path = "manual/surroundings.rs"]
mod surroundings;
#[path = "manual/words.rs"]
mod words;

use std::collections::BTreeSet;

/// Both are the same; otherwise what is too few and too many is told.
fn assert_same(what: &str, documented: &BTreeSet<String>, real: &BTreeSet<String>) {
    assert!(!real.is_empty(), "{what}: none was found");
    let missing: Vec<_> = real.difference(documented).collect();
    let surplus: Vec<_> = documented.difference(real).collect();
    assert!(missing.is_empty(), "{what}: not in the manual: {missing:?}");
    assert!(surplus.is_empty(), "{what}: in the manual, but not there: {surplus:?}");
}

/// Copies of these.
fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// The texts in quotes.
fn quoted(source: &str) -> BTreeSet<String> {
    set(source.split('"').skip(1).step_by(2))
}
