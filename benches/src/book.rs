//! When a thousand processes lived: each writes a line to one file, which wakes nobody.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks at the file: a quarter of a per cent of the shortest that is measured with it.
const LOOK: Duration = Duration::from_millis(1);

/// One process's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub pid: i32,
    /// On the monotonic clock.
    pub born: Duration,
}

/// The file.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
}

impl Book {
    /// An empty one in `directory`.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("book");
        std::fs::File::create(&path).context("cannot create the book")?;
        Ok(Self { path })
    }

    /// Where to write to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines, once there are `count`.
    ///
    /// # Errors
    /// There are fewer within `limit`, or one of them is none.
    pub fn wait_for(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<Entry>> {
        let deadline = sys::clock::monotonic() + limit;
        // A line is a few bytes: whether a read is worth it, the length tells.
        let mut length = 0;
        loop {
            let now = std::fs::metadata(&self.path)?.len();
            if now != length {
                length = now;
                let entries = self.entries()?;
                if entries.len() >= count {
                    return Ok(entries);
                }
            }
            if sys::clock::monotonic() > deadline {
                bail!("{} of {count} processes were born within {limit:?}", self.entries()?.len());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What stands in it now.
    ///
    /// # Errors
    /// It cannot be read or a line is none.
    pub fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        let text = std::fs::read_to_string(&self.path)?;
        text.lines().map(|line| parse(line).with_context(|| format!("what is this line: {line}"))).collect()
    }
}

/// `PID NANOSECONDS`
fn parse(line: &str) -> Option<Entry> {
    let (pid, born) = line.split_once(' ')?;
    Some(Entry { pid: pid.parse().ok()?, born: Duration::from_nanos(born.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_number_and_a_time() {
        assert_eq!(parse("7 1000000001"), Some(Entry { pid: 7, born: Duration::from_nanos(1_000_000_001) }));
        assert_eq!(parse("7"), None);
        assert_eq!(parse("7 1 1"), None);
    }
}
