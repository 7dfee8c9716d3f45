//! All companions: their order, and what they are to one another and to the workers.

use super::companion::{self, Read, variable};
use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::process::Defaults;
use super::section::Section;
use super::tree::Data;
use super::value;
use std::collections::BTreeMap;
use std::time::Duration;
use supervise::order::{self, Dependencies};

/// Reads `[companion.*]`, in order of full names; duplicates are reported.
pub(crate) fn read_all(top: &Section<'_>, defaults: &Defaults, context: &Context<'_>) -> Vec<Read> {
    let Some(entry) = top.entry("companion") else { return Vec::new() };
    let Data::Table(table) = &entry.node.data else {
        let fault = value::wrong_type("tables", &entry.node).help("write [companion.NAME]");
        context.diagnostics.report(entry.place, fault);
        return Vec::new();
    };
    let mut read: Vec<Read> = Vec::new();
    for entry in &table.entries {
        let Some(companion) = companion::read(entry, defaults, context) else { continue };
        let name = &companion.spec.name;
        if let Some(first) = read.iter().find(|other| other.spec.name == *name) {
            let first = context.sources.locate(first.place);
            let fault = Fault::new(format!("a companion named \"{name}\" is there already, at {first}"));
            context.diagnostics.report(companion.place, fault.help("choose another name or session"));
            continue;
        }
        read.push(companion);
    }
    read.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    check_after(&read, context);
    check_variables(&read, context);
    read
}

fn dependencies(read: &[Read]) -> Dependencies<'_> {
    let names: Vec<&str> = read.iter().map(|companion| companion.spec.name.as_str()).collect();
    let known = |name: &&str| names.contains(name);
    read.iter()
        .map(|companion| {
            let after = companion.spec.after.iter().map(String::as_str).filter(known).collect();
            (companion.spec.name.as_str(), after)
        })
        .collect()
}

fn unknown(name: &str, read: &[Read]) -> Fault {
    let names = || read.iter().map(|companion| companion.spec.name.as_str());
    let fault = Fault::new(format!("there is no companion \"{}\"", name.escape_debug()));
    match names().find(|full| full.rsplit_once('.').is_some_and(|(_, short)| short == name)) {
        Some(full) => fault.help(format!("did you mean \"{full}\"?")),
        None => fault.suggest(name, names()),
    }
}

fn check_after(read: &[Read], context: &Context<'_>) {
    for companion in read {
        for (name, place) in &companion.after {
            if !read.iter().any(|other| other.spec.name == *name) {
                context.diagnostics.report(*place, unknown(name, read));
            }
        }
    }
    if let Some(cycle) = order::cycle(&dependencies(read)) {
        // The cycle closes with a step from the last but one to the last: point at that step.
        let [.., from, to] = &cycle[..] else { return };
        let step = read.iter().find(|companion| companion.spec.name == *from);
        let place = step.and_then(|from| from.after.iter().find(|(name, _)| name == to));
        if let Some((_, place)) = place {
            let text = cycle.join(" after ");
            context.diagnostics.report(
                *place,
                Fault::new(format!("these companions wait for one another: {text}"))
                    .help("remove one `after`"),
            );
        }
    }
}

/// Held sockets are told to every child as variables, whose names have to differ.
fn check_variables(read: &[Read], context: &Context<'_>) {
    let mut variables: BTreeMap<String, &Read> = BTreeMap::new();
    for companion in read.iter().filter(|companion| companion.listen.is_some()) {
        let name = variable("ARBITER_COMPANION_", &companion.spec.name);
        if let Some(other) = variables.get(&name) {
            let message = format!(
                "companions \"{}\" and \"{}\" (at {}) would both be told as {name}",
                companion.spec.name,
                other.spec.name,
                context.sources.locate(other.place)
            );
            context.diagnostics.report(companion.place, Fault::new(message).help("rename one of them"));
            continue;
        }
        variables.insert(name, companion);
    }
}

/// Checks `workers.requires` and gives the full names of what has to be ready before the workers start: those
/// and all they come after.
pub(crate) fn required(requires: &[(String, Place)], read: &[Read], context: &Context<'_>) -> Vec<String> {
    let find = |name: &str| read.iter().find(|companion| companion.spec.name == name);
    let mut roots: Vec<&str> = Vec::new();
    for (name, place) in requires {
        match find(name) {
            None => context.diagnostics.report(*place, unknown(name, read)),
            Some(companion) => {
                roots.push(name);
                let whole = order::closure(&dependencies(read), [companion.spec.name.as_str()]);
                for needed in whole.into_iter().filter_map(find) {
                    check_starts(name, needed, *place, context);
                }
            }
        }
    }
    order::closure(&dependencies(read), roots).into_iter().map(str::to_owned).collect()
}

fn check_starts(required: &str, needed: &Read, place: Place, context: &Context<'_>) {
    let spec = &needed.spec;
    let reason = if !spec.autostart {
        "autostart = false"
    } else if spec.count == 0 {
        "count = 0"
    } else {
        return;
    };
    let at = context.sources.locate(needed.place);
    let message = if spec.name == required {
        format!(
            "\"{required}\" is required by the workers, but has {reason} (at {at}): they would never start"
        )
    } else {
        format!(
            "\"{required}\" is required by the workers and comes after \"{}\", which has {reason} (at {at}): they would never start",
            spec.name
        )
    };
    let help = format!("remove {reason}, or \"{required}\" from `requires`");
    context.diagnostics.report(place, Fault::new(message).help(help));
}

/// How long the slowest chain of companions may take to stop: each level waits for the one above it. Only
/// meaningful without cycles.
pub(crate) fn stop_within(read: &[Read]) -> Duration {
    let mut known: BTreeMap<&str, Duration> = BTreeMap::new();
    // Every round settles at least one companion whose dependencies are settled; a cycle settles none.
    loop {
        let before = known.len();
        for companion in read {
            let spec = &companion.spec;
            if known.contains_key(spec.name.as_str()) {
                continue;
            }
            let below: Option<Vec<Duration>> =
                spec.after.iter().map(|name| known.get(name.as_str()).copied()).collect();
            if let Some(below) = below {
                let slowest = below.into_iter().max().unwrap_or_default();
                known.insert(&spec.name, spec.stop.timeout + slowest);
            }
        }
        if known.len() == before {
            return known.into_values().max().unwrap_or_default();
        }
    }
}
