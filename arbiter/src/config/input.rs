//! What a resolution starts from.

use proto::spec::CompanionSpec;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// How arbiter was started.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Arguments, the program's name not among them. For a reload the caller names the file in force in front
    /// of the others, as `-c FILE`: the search at the start is not repeated, so a removed `./arbiter.toml` is an
    /// error, and not a change to the system's configuration.
    pub argv: Vec<OsString>,
    /// The environment arbiter was started with.
    pub env: BTreeMap<OsString, OsString>,
    /// The directory arbiter was started in, absolute. At a reload it may have gone.
    pub cwd: PathBuf,
    /// Companions that were loaded at run time: they stay as they are.
    pub loaded: Vec<CompanionSpec>,
}
