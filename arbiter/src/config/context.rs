//! What all parts of the configuration are read against.

use super::accounts::Accounts;
use super::diagnostic::{Diagnostics, Sources};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// arbiter's own environment, as it was started.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The surroundings of a resolution.
pub(crate) struct Context<'a> {
    /// Where all that is wrong goes.
    pub(crate) diagnostics: &'a Diagnostics,
    /// What was read, to name places.
    pub(crate) sources: &'a Sources,
    /// Users and groups.
    pub(crate) accounts: &'a dyn Accounts,
    /// The environment children inherit.
    pub(crate) env: &'a Environment,
    /// What relative paths are relative to.
    pub(crate) base: &'a Path,
    /// The user arbiter runs as.
    pub(crate) own_uid: u32,
}

impl Context<'_> {
    /// A variable of arbiter's environment; empty counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .get(std::ffi::OsStr::new(name))
            .and_then(|value| value.to_str())
            .filter(|text| !text.is_empty())
    }

    /// A path made absolute, symbolic links left as they are. One that begins with a variable is left alone: it
    /// is only known at the spawn.
    pub(crate) fn absolute(&self, path: &str) -> String {
        if path.starts_with("{env.") { path.to_owned() } else { absolute(self.base, path) }
    }
}

/// `path` seen from `base`, without `.` in it. `..` stays: behind a symbolic link it means another directory.
pub(crate) fn absolute(base: &Path, path: &str) -> String {
    let joined = base.join(path);
    let clean: PathBuf = joined.components().filter(|part| *part != Component::CurDir).collect();
    clean.to_string_lossy().into_owned()
}
