//! Where the programs are.

use anyhow::bail;
use std::path::{Path, PathBuf};

/// Where Debian's package of s6 has its programs.
const SYSTEM: &str = "/usr/bin";

/// Every program that a figure may start.
#[derive(Debug)]
pub struct Programs {
    pub arbiter: PathBuf,
    pub arbiterctl: PathBuf,
    pub stamp_worker: PathBuf,
    pub web_worker: PathBuf,
    pub bare_loop: PathBuf,
    pub bare_fleet: PathBuf,
    pub line_writer: PathBuf,
    pub gunicorn: PathBuf,
    pub gunicornc: PathBuf,
    pub supervisord: PathBuf,
    pub supervisorctl: PathBuf,
    pub circusd: PathBuf,
    pub circusctl: PathBuf,
    /// Where those of s6 are, where they are installed.
    pub s6: Option<PathBuf>,
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
            web_worker: found(programs, "web-worker")?,
            bare_loop: found(programs, "bare-loop")?,
            bare_fleet: found(programs, "bare-fleet")?,
            line_writer: found(programs, "line-writer")?,
            gunicorn: found(&peer.join("bin"), "gunicorn")?,
            gunicornc: found(&peer.join("bin"), "gunicornc")?,
            supervisord: found(&peer.join("bin"), "supervisord")?,
            supervisorctl: found(&peer.join("bin"), "supervisorctl")?,
            circusd: found(&peer.join("bin"), "circusd")?,
            circusctl: found(&peer.join("bin"), "circusctl")?,
            s6: found(Path::new(SYSTEM), "s6-svscan").is_ok().then(|| SYSTEM.into()),
        })
    }
}
