//! Captured output, as scenarios look at it.

use std::fs;
use std::path::Path;

/// A companion `talk` that runs a script and stays.
#[must_use]
pub fn talk(script: &str, keys: &str) -> String {
    format!(
        "[companion.talk]\ncommand = [\"sh\", \"-c\", '{script}; exec sleep 3600']\nready = \"started\"\n\
         start_seconds = 0\n{keys}\n"
    )
}

/// What a log holds, as text; nothing where there is none.
#[must_use]
pub fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A log and what it was before its rotations, the oldest first.
#[must_use]
pub fn with_rotated(path: &Path) -> String {
    let rotated = |age: u32| format!("{}.{age}", path.display());
    let ages: Vec<u32> = (1..).take_while(|&age| Path::new(&rotated(age)).exists()).collect();
    let old: String = ages.into_iter().rev().map(|age| text(Path::new(&rotated(age)))).collect();
    old + &text(path)
}
