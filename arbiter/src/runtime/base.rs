//! Where runtime files go.

use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::launch::Environment;

/// Where runtime files go, in order of preference.
pub(super) fn bases(environment: &Environment) -> Vec<PathBuf> {
    let variable = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
    let mut bases = Vec::new();
    if let Some(directories) = variable("RUNTIME_DIRECTORY").and_then(|value| value.to_str()) {
        bases.extend(directories.split(':').next().map(PathBuf::from));
    }
    let uid = sys::process::effective_uid();
    if uid == 0 {
        bases.push("/run/arbiter".into());
    }
    if let Some(directory) = variable("XDG_RUNTIME_DIR") {
        bases.push(Path::new(directory).join("arbiter"));
    }
    bases.push(last_resort());
    bases
}

/// Where runtime files go that can go nowhere else.
fn last_resort() -> PathBuf {
    format!("/tmp/arbiter-{}", sys::process::effective_uid()).into()
}

/// Makes `base` where it is missing. In a place that others can write to it has to be a real directory of
/// our own, and for us alone, so that nobody can lay a trap there.
pub(super) fn prepare_base(base: &Path) -> anyhow::Result<()> {
    let mode = if sys::process::effective_uid() == 0 && base.starts_with("/run") { 0o755 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(base) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot create {}", base.display()));
        }
        _ => {}
    }
    let metadata =
        fs::symlink_metadata(base).with_context(|| format!("cannot look at {}", base.display()))?;
    if !metadata.is_dir() {
        bail!("{} is not a directory", base.display());
    }
    if base.starts_with("/tmp") && metadata.uid() != sys::process::effective_uid() {
        bail!("{} belongs to user {}", base.display(), metadata.uid());
    }
    let mode = metadata.mode() & 0o777;
    if base == last_resort() && mode != 0o700 {
        bail!("{} has mode {mode:04o} instead of 0700", base.display());
    }
    Ok(())
}
