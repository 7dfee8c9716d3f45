//! The files of a configuration: found, read, and merged with what they include.

use super::diagnostic::{Diagnostics, Fault, Sources};
use super::tree::{self, Data, Entry, Node, Table};
use super::value;
use std::path::{Path, PathBuf};

/// A configuration's name where none is given.
pub(crate) const NAME: &str = "arbiter.toml";

/// Where a configuration is looked for after `./arbiter.toml`.
const SYSTEM_FILE: &str = "/etc/arbiter/arbiter.toml";

/// Tables whose keys may come from several files.
const MERGED: [&str; 5] = ["control", "log", "workers", "companion", "hooks"];

/// A configuration file.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
    /// How messages name it: as the user did.
    pub(crate) name: String,
}

/// `./arbiter.toml`, else the system's; `None` when there is neither.
pub(crate) fn search(cwd: &Path) -> Option<ConfigFile> {
    [cwd.join(NAME), PathBuf::from(SYSTEM_FILE)]
        .into_iter()
        .find(|path| path.exists())
        .map(|path| ConfigFile { name: path.display().to_string(), path })
}

/// Reads a file and what it includes into one table. What is wrong is reported; `None` when a file
/// could not be read.
pub(crate) fn read(file: &ConfigFile, sources: &mut Sources, diagnostics: &Diagnostics) -> Option<Table> {
    let mut whole = read_one(&file.path, &file.name, sources, diagnostics)?;
    let Some(position) = whole.entries.iter().position(|entry| entry.key == "include") else {
        return Some(whole);
    };
    let include = whole.entries.remove(position);
    // Without all parts, what the others refer to would be reported as missing.
    let mut is_whole = true;
    for (path, name) in included(&include, file, diagnostics) {
        let Some(part) = read_one(&path, &name, sources, diagnostics) else {
            is_whole = false;
            continue;
        };
        if let Some(nested) = part.get("include") {
            let fault = Fault::new("an included file cannot include others");
            diagnostics.report(nested.place, fault.help(format!("list them in {}", file.name)));
        }
        merge(&mut whole, part, sources, diagnostics);
    }
    is_whole.then_some(whole)
}

fn read_one(path: &Path, name: &str, sources: &mut Sources, diagnostics: &Diagnostics) -> Option<Table> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let fault = Fault::new(format!("the configuration \"{name}\" cannot be read: {error}"));
            diagnostics.error_anywhere(fault.help("check the path and its permissions"));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        // Editors of other systems begin a file with a byte order mark; it would shift the first line's columns.
        Ok(text) => tree::parse(name, text.strip_prefix('\u{feff}').unwrap_or(&text), sources, diagnostics),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = sources.add_file(name.to_owned(), text);
            let place = super::diagnostic::Place::new(source, valid..valid);
            diagnostics.error(place, "this is not TOML: the text is not UTF-8");
            None
        }
    }
}

/// The files that `include` names, in the order of its patterns and of names within each, none twice.
fn included(include: &Entry, file: &ConfigFile, diagnostics: &Diagnostics) -> Vec<(PathBuf, String)> {
    let patterns = match value::words(&include.node) {
        Ok(patterns) => patterns,
        Err(fault) => {
            diagnostics.report(include.node.place, fault);
            return Vec::new();
        }
    };
    let directory = file.path.parent().unwrap_or(Path::new("/"));
    let shown = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for (pattern, place) in patterns {
        let absolute = Path::new(&glob::Pattern::escape(&directory.to_string_lossy())).join(&pattern);
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let matches = match glob::glob_with(&absolute.to_string_lossy(), options) {
            Ok(matches) => matches,
            Err(error) => {
                diagnostics.error(place, format!("\"{pattern}\" is not a pattern: {}", error.msg));
                continue;
            }
        };
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in matches {
            match entry {
                Ok(path) => paths.push(path),
                Err(error) => diagnostics.error(place, format!("\"{pattern}\" cannot be followed: {error}")),
            }
        }
        paths.sort();
        for path in paths.into_iter().filter(|path| path.is_file() && *path != file.path) {
            if found.iter().any(|(other, _)| *other == path) {
                continue;
            }
            let name = path.strip_prefix(directory).map_or(path.clone(), |rest| shown.join(rest));
            found.push((path, name.display().to_string()));
        }
    }
    found
}

/// Adds what an included file says. Listeners are appended, tables are merged key by key, and what is set
/// twice is reported with both places.
fn merge(whole: &mut Table, part: Table, sources: &Sources, diagnostics: &Diagnostics) {
    for entry in part.entries {
        if entry.key == "include" {
            continue;
        }
        let Some(existing) = whole.entries.iter_mut().find(|existing| existing.key == entry.key) else {
            whole.entries.push(entry);
            continue;
        };
        match (&mut existing.node.data, entry.node) {
            (Data::List(into), Node { data: Data::List(more), .. }) if entry.key == "listener" => {
                into.extend(more)
            }
            (Data::Table(into), Node { data: Data::Table(more), .. })
                if MERGED.contains(&entry.key.as_str()) =>
            {
                merge_keys(into, more, &entry.key, sources, diagnostics);
            }
            _ => report_twice(&entry.key, entry.place, existing, sources, diagnostics),
        }
    }
}

fn merge_keys(into: &mut Table, more: Table, title: &str, sources: &Sources, diagnostics: &Diagnostics) {
    for entry in more.entries {
        match into.get(&entry.key) {
            Some(existing) => {
                let name = format!("{title}.{}", entry.key);
                report_twice(&name, entry.place, existing, sources, diagnostics);
            }
            None => into.entries.push(entry),
        }
    }
}

fn report_twice(
    name: &str,
    place: super::diagnostic::Place,
    first: &Entry,
    sources: &Sources,
    diagnostics: &Diagnostics,
) {
    let first = sources.locate(first.place);
    let fault = Fault::new(format!("\"{name}\" is set twice, first at {first}")).help("remove one of them");
    diagnostics.report(place, fault);
}
