//! What files are called after a rotation: `NAME` is written to, `NAME.1` is the one before, up to `NAME.keep`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the file that is so many rotations old.
pub(super) fn name(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

/// Renames (from, to) in their order. A rotation that was cut off has left a gap: files behind it have moved already.
fn plan(exists: impl Fn(u32) -> bool, keep: u32) -> Vec<(u32, u32)> {
    let last = (1..keep).find(|&age| !exists(age)).unwrap_or(keep);
    (0..last).rev().map(|age| (age, age + 1)).collect()
}

/// Makes room for a new file at `path`, of which `keep` older ones stay.
///
/// # Errors
/// The directory cannot be written to.
pub(super) fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return fs::remove_file(path);
    }
    for (from, to) in plan(|age| name(path, age).exists(), keep) {
        fs::rename(name(path, from), name(path, to))?;
    }
    Ok(())
}

/// How old the oldest file is that a reader can come to.
pub(super) fn oldest(path: &Path, keep: u32) -> u32 {
    (1..=keep).take_while(|&age| name(path, age).exists()).last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_there_are_enough() {
        assert_eq!(plan(|_| true, 3), [(2, 3), (1, 2), (0, 1)]);
        assert_eq!(plan(|_| true, 1), [(0, 1)]);
    }

    #[test]
    fn nothing_moves_beyond_a_gap() {
        assert_eq!(plan(|age| age != 1, 3), [(0, 1)]);
        assert_eq!(plan(|age| age != 2, 3), [(1, 2), (0, 1)]);
        assert_eq!(plan(|_| false, 3), [(0, 1)]);
    }
}
