//! The figures, a file each. A new one is a file with a function that answers a [`Figure`], and a line in
//! [`ALL`].

mod backlog;
mod broken;
mod captured;
mod companion;
mod crash_loop;
mod fleet;
mod idle;
mod lost;
mod manager_crash;
mod memory;
mod orphans;
mod replaced;
mod respawn;
mod rest;
mod soak;
mod stall;
mod status;
mod trips;

use crate::programs::Programs;
use Take::{One, Several};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use tests::traffic::{Exchange, Fate, tally};

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
#[derive(Debug, Clone)]
pub struct Row {
    pub contestant: String,
    pub part: Part,
    pub values: Vec<f64>,
    /// What the values are made of, or stand beside, by a word each.
    pub counts: BTreeMap<&'static str, usize>,
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
        Self { contestant: contestant.to_owned(), part, values: Vec::new(), counts: BTreeMap::new() }
    }

    /// A contestant of which there is one value.
    #[must_use]
    pub fn single(contestant: &str, part: Part, value: f64) -> Self {
        Self { values: vec![value], ..Self::new(contestant, part) }
    }

    /// One more value: how many of these requests were lost; how they were is counted.
    pub fn lose(&mut self, exchanges: &[Exchange]) {
        let fates = tally(exchanges);
        let lost = exchanges.len() - fates.get(&Fate::Good).copied().unwrap_or_default();
        self.values.push(count(lost));
        *self.counts.entry("asked").or_default() += exchanges.len();
        for (fate, number) in fates.into_iter().filter(|(fate, _)| *fate != Fate::Good) {
            *self.counts.entry(word(fate)).or_default() += number;
        }
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Good => "good",
        Fate::Refused => "refused",
        Fate::Reset => "reset",
        Fate::Empty => "empty",
        Fate::Short => "short",
        Fate::Wrong => "wrong",
        Fate::Late => "late",
    }
}

/// A number of things as a value.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A figure and the name it has in the results.
pub type Named = (&'static str, Figure);

/// How a figure is taken.
#[derive(Clone, Copy)]
pub enum Take {
    /// Alone.
    One(fn(&Programs) -> anyhow::Result<Figure>),
    /// Several from the same processes' lives; each with its own name.
    Several(fn(&Programs) -> anyhow::Result<Vec<Named>>),
}

/// All figures, by the name to ask for.
pub const ALL: [(&str, Take); 20] = [
    ("respawn", One(respawn::take)),
    ("memory", One(memory::take)),
    ("idle", One(idle::take)),
    ("status", One(status::take)),
    ("lost", One(lost::over_reloads)),
    ("upgrades", One(lost::over_upgrades)),
    ("stall", One(stall::take)),
    ("broken", One(broken::take)),
    ("backlog", One(backlog::take)),
    ("orphans", One(orphans::take)),
    ("crash-loop", One(crash_loop::take)),
    ("fleet", Several(fleet::lives)),
    ("fleet-rest", Several(rest::take)),
    ("companion", One(companion::take)),
    ("captured", One(captured::one_by_one)),
    ("captured-together", One(captured::together)),
    ("trips", Several(trips::take)),
    ("manager-crash", One(manager_crash::take)),
    ("replaced", Several(replaced::take)),
    ("soak", Several(soak::take)),
];

/// The figures named in `wanted`; all if it is empty.
///
/// # Errors
/// An unknown name, or a contestant fails.
pub fn take(programs: &Programs, wanted: &[String]) -> anyhow::Result<Vec<Named>> {
    if let Some(unknown) = wanted.iter().find(|name| ALL.iter().all(|(known, _)| known != name)) {
        bail!("there is no figure {unknown}, there are {}", ALL.map(|(name, _)| name).join(", "));
    }
    let chosen = ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|it| it == name));
    let mut figures = Vec::new();
    for (name, take) in chosen {
        let taken = match take {
            One(take) => take(programs).map(|figure| vec![(*name, figure)]),
            Several(take) => take(programs),
        };
        figures.extend(taken.with_context(|| format!("figure {name}"))?);
    }
    Ok(figures)
}
