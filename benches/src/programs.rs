//! Where the programs are.

use anyhow::bail;
use std::path::{Path, PathBuf};

/// Every program that a figure may start.
#[derive(Debug)]
pub struct Programs {
    pub arbiter: PathBuf,
    pub arbiterctl: PathBuf,
    pub stamp_worker: PathBuf,
    pub bare_loop: PathBuf,
    pub gunicorn: PathBuf,
    pub gunicornc: PathBuf,
}

impl Programs {
    /// Those of this workspace in `programs`, those of the peer in the virtual environment `peer`.
    ///
    /// # Errors
    /// One is missing.
    pub fn find(programs: &Path, peer: &Path) -> anyhow::Result<Self> {
        let found = |directory: &Path, name: &str| {
            let path = std::path::absolute(directory.join(name))?;
            if !path.is_file() {
                bail!("{} is missing, run benches/run", path.display());
            }
            Ok(path)
        };
        found(programs, "companion-manager")?;
        Ok(Self {
            arbiter: found(programs, "arbiter")?,
            arbiterctl: found(programs, "arbiterctl")?,
            stamp_worker: found(programs, "stamp-worker")?,
            bare_loop: found(programs, "bare-loop")?,
            gunicorn: found(&peer.join("bin"), "gunicorn")?,
            gunicornc: found(&peer.join("bin"), "gunicornc")?,
        })
    }
}
