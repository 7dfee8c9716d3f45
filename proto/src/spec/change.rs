//! Changes of the companions in force that are no reload.

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Add the companions of a text.
    Load(Load),
    /// Remove loaded ones, by full names.
    Unload(Vec<String>),
}

/// A text with `[companion.*]` tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What messages call the text: its file.
    pub origin: String,
    /// The text.
    pub toml: String,
    /// The session of companions whose text names none.
    pub session: Option<String>,
    /// Whether they are started.
    pub start: bool,
    /// Whether ones that were loaded before may be replaced.
    pub replace: bool,
}
