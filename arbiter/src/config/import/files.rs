//! The foreign file, and what it includes.

use std::path::{Path, PathBuf};

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// How messages name it.
    pub(super) name: String,
    /// What it says.
    pub(super) text: String,
}

/// The files of a disk, seen from a directory.
pub(super) trait Files {
    /// Those that a pattern means, in the order of their names; a pattern without a match means none. The error says
    /// what is wrong with the pattern or with a file.
    fn matching(&self, pattern: &str) -> Result<Vec<Text>, String>;
}

/// What lies beside a file.
pub(super) struct Beside {
    /// The file's directory.
    pub(super) directory: PathBuf,
}

impl Files for Beside {
    fn matching(&self, pattern: &str) -> Result<Vec<Text>, String> {
        let base = glob::Pattern::escape(&self.directory.to_string_lossy());
        let absolute = Path::new(&base).join(pattern);
        let found = glob::glob(&absolute.to_string_lossy())
            .map_err(|error| format!("\"{pattern}\" is not a pattern: {}", error.msg))?;
        let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
        paths.sort();
        paths.iter().map(|path| read(path, &path.display().to_string())).collect()
    }
}

/// Reads a file. What is not UTF-8 in it is replaced: comments in other encodings hurt nobody.
pub(super) fn read(path: &Path, name: &str) -> Result<Text, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Text { name: name.to_owned(), text: text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned() })
}

/// No file is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nowhere;

impl Files for Nowhere {
    fn matching(&self, _: &str) -> Result<Vec<Text>, String> {
        Ok(Vec::new())
    }
}
