//! A project's manifests and sources, from disk or made up.

use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{DocumentMut, Item};

/// Folders that hold nothing of ours; hidden ones do not either.
const NOT_OURS: [&str; 3] = ["target", "__pycache__", "node_modules"];
/// Kinds of dependency tables.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A crate of the project.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its folder from the root, without a slash at the end.
    pub(crate) folder: String,
    /// Its name.
    pub(crate) name: String,
    /// Its manifest.
    pub(crate) manifest: DocumentMut,
}

/// Files by their path from the root.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    files: BTreeMap<String, String>,
}

impl Project {
    /// Every file under `root` that a rule may look at.
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_folder(root, "", &mut files);
        Self { files }
    }

    /// A project of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    /// The same project with one file more or another.
    pub(crate) fn with(&self, path: &str, text: &str) -> Self {
        let mut project = self.clone();
        project.files.insert(path.to_owned(), text.to_owned());
        project
    }

    /// The text of a file.
    pub(crate) fn file(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("the project has no {path}"))
    }

    /// Paths and texts of the files whose path ends with `ending`.
    pub(crate) fn files_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Path and text of every Rust source under `folder`.
    pub(crate) fn sources<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let inside = format!("{folder}/");
        self.files_ending(".rs").filter(move |(path, _)| path.starts_with(&inside))
    }

    /// The workspace's own manifest.
    pub(crate) fn manifest(&self) -> DocumentMut {
        parse("Cargo.toml", self.file("Cargo.toml"))
    }

    /// The workspace's crates.
    pub(crate) fn packages(&self) -> Vec<Package> {
        let manifest = self.manifest();
        let members = manifest["workspace"]["members"].as_array().expect("the workspace lists its members");
        members
            .iter()
            .map(|folder| {
                let folder = folder.as_str().expect("a member is a folder").to_owned();
                let path = format!("{folder}/Cargo.toml");
                let manifest = parse(&path, self.file(&path));
                let name = manifest["package"]["name"].as_str().expect("a crate has a name").to_owned();
                Package { folder, name, manifest }
            })
            .collect()
    }
}

impl Package {
    /// The names of everything it depends on, for the programs, their tests or their build, on any platform.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let mut names = names(self.manifest.as_item());
        if let Some(platforms) = self.manifest.get("target").and_then(Item::as_table_like) {
            platforms.iter().for_each(|(_, platform)| names.extend(self::names(platform)));
        }
        names
    }

    /// The path of its manifest.
    pub(crate) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

/// The dependencies in the tables of `item`, by the names they have where they are published.
fn names(item: &Item) -> Vec<String> {
    let tables = TABLES.iter().filter_map(|table| item.get(table)?.as_table_like());
    tables
        .flat_map(|table| table.iter())
        .map(|(name, dependency)| dependency.get("package").and_then(Item::as_str).unwrap_or(name).to_owned())
        .collect()
}

fn parse(path: &str, text: &str) -> DocumentMut {
    text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_folder(folder: &Path, path: &str, files: &mut BTreeMap<String, String>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder can be read to its end");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("an entry has a type");
        let inside = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if kind.is_dir() {
            if !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                read_folder(&entry.path(), &inside, files);
            }
        } else if [".rs", ".py", ".toml"].iter().any(|ending| name.ends_with(ending))
            || name == "rust-toolchain"
        {
            // Others may come and go while we look.
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                files.insert(inside, text);
            }
        }
    }
}
