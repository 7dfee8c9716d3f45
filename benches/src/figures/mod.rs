//! The figures, a file each. A new one is a file with a function that answers a [`Figure`], and a line in
//! [`ALL`].

mod idle;
mod memory;
mod respawn;
mod status;

use crate::programs::Programs;
use anyhow::{Context, bail};

/// One thing measured for several contestants in one run.
#[derive(Debug)]
pub struct Figure {
    /// What was measured, in a few words.
    pub title: &'static str,
    /// What a value counts.
    pub unit: &'static str,
    /// Contestants in the order to show them.
    pub rows: Vec<Row>,
}

/// One contestant's values.
#[derive(Debug)]
pub struct Row {
    pub contestant: String,
    pub part: Part,
    pub values: Vec<f64>,
}

/// What a contestant is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the others are divided by: one in a figure.
    Limit,
    /// Beside which arbiter is put: at most one in a figure.
    Peer,
    /// Neither.
    Other,
}

impl Row {
    /// A contestant without values yet.
    #[must_use]
    pub fn new(contestant: &str, part: Part) -> Self {
        Self { contestant: contestant.to_owned(), part, values: Vec::new() }
    }

    /// A contestant of which there is one value.
    #[must_use]
    pub fn single(contestant: &str, part: Part, value: f64) -> Self {
        Self { values: vec![value], ..Self::new(contestant, part) }
    }
}

/// Takes one figure.
type Take = fn(&Programs) -> anyhow::Result<Figure>;

/// All figures, by the name to ask for.
pub const ALL: [(&str, Take); 4] =
    [("respawn", respawn::take), ("memory", memory::take), ("idle", idle::take), ("status", status::take)];

/// The figures named in `wanted`; all if it is empty.
///
/// # Errors
/// An unknown name, or a contestant fails.
pub fn take(programs: &Programs, wanted: &[String]) -> anyhow::Result<Vec<(&'static str, Figure)>> {
    if let Some(unknown) = wanted.iter().find(|name| ALL.iter().all(|(known, _)| known != name)) {
        bail!("there is no figure {unknown}, there are {}", ALL.map(|(name, _)| name).join(", "));
    }
    let chosen = ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|it| it == name));
    chosen
        .map(|(name, take)| Ok((*name, take(programs).with_context(|| format!("figure {name}"))?)))
        .collect()
}
