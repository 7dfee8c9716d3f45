//! A log that may come into use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::{LogConfig, LogTarget};

/// A log that can be opened. The file that was made to see that goes again, unless it is to stay.
#[derive(Debug)]
pub struct Candidate {
    made: Option<PathBuf>,
}

impl Candidate {
    /// Opens the log, and writes nothing to it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: LogConfig) -> io::Result<Self> {
        let missing = match &config.target {
            LogTarget::File(path) if fs::symlink_metadata(path).is_err() => Some(path.clone()),
            LogTarget::File(_) | LogTarget::Stderr => None,
        };
        Output::open(config.target)?;
        Ok(Self { made: missing })
    }

    /// The log comes into use: its file stays.
    pub fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        // One that is in use by now is somebody else's.
        let is_unused =
            |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0);
        if let Some(path) = self.made.take().filter(|path| is_unused(path)) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn candidate(path: &Path) -> io::Result<Candidate> {
        let target = LogTarget::File(path.to_owned());
        Candidate::open(LogConfig { level: Level::INFO, format: super::super::Format::Text, target })
    }

    #[test]
    fn a_file_that_was_made_for_it_goes_unless_it_is_kept_or_used() {
        let path = std::env::temp_dir().join(format!("sys-log-candidate-{}", crate::process::pid()));
        drop(candidate(&path).unwrap());
        assert!(!path.exists());

        let used = candidate(&path).unwrap();
        fs::write(&path, "theirs\n").unwrap();
        drop(used);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs\n");

        fs::write(&path, "").unwrap();
        drop(candidate(&path).unwrap());
        assert!(path.exists(), "it was there before");

        fs::remove_file(&path).unwrap();
        candidate(&path).unwrap().keep();
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        assert!(candidate(&path.join("below")).is_err());
    }
}
