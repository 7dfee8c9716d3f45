//! All companions: their order, and what they are to one another and to the workers.

use super::companion::{self, Read};
use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::process::Defaults;
use super::section::Section;
use super::tree::Data;
use super::value;
use proto::spec::{CompanionSpec, LogSpec, Output, companion_variable};
use std::collections::BTreeMap;
use std::time::Duration;
use supervise::order::{self, Dependencies};

/// Reads `[companion.*]`, in order of full names; duplicates are reported. They may come after `others`, which are
/// there already.
pub(crate) fn read_all(
    top: &Section<'_>,
    defaults: &Defaults,
    others: &[CompanionSpec],
    context: &Context<'_>,
) -> Vec<Read> {
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
    check_after(&read, others, context);
    check_variables(&read, context);
    check_logs(&read, others, context);
    read
}

fn dependencies<'a>(read: &'a [Read], others: &'a [CompanionSpec]) -> Dependencies<'a> {
    // What is read takes the place of another of its name.
    let specs = || others.iter().chain(read.iter().map(|companion| &companion.spec));
    let names: Vec<&str> = specs().map(|spec| spec.name.as_str()).collect();
    let known = |name: &&str| names.contains(name);
    specs()
        .map(|spec| (spec.name.as_str(), spec.after.iter().map(String::as_str).filter(known).collect()))
        .collect()
}

fn unknown(name: &str, read: &[Read], others: &[CompanionSpec]) -> Fault {
    let others = || others.iter().map(|spec| spec.name.as_str());
    let names = || others().chain(read.iter().map(|companion| companion.spec.name.as_str()));
    let fault = Fault::new(format!("there is no companion \"{}\"", name.escape_debug()));
    match names().find(|full| full.rsplit_once('.').is_some_and(|(_, short)| short == name)) {
        Some(full) => fault.help(format!("did you mean \"{full}\"?")),
        None => fault.suggest(name, names()),
    }
}

fn check_after(read: &[Read], others: &[CompanionSpec], context: &Context<'_>) {
    for companion in read {
        for (name, place) in &companion.after {
            let is_read = read.iter().any(|other| other.spec.name == *name);
            if !is_read && !others.iter().any(|other| other.name == *name) {
                context.diagnostics.report(*place, unknown(name, read, others));
            }
        }
    }
    let mut dependencies = dependencies(read, others);
    while let Some(cycle) = order::cycle(&dependencies) {
        // The cycle closes with a step from the last but one to the last: point at that step, or at the last one
        // that was read.
        let place = cycle.windows(2).rev().find_map(|step| {
            let from = read.iter().find(|companion| companion.spec.name == step[0])?;
            from.after.iter().find(|(name, _)| *name == step[1])
        });
        if let Some((_, place)) = place {
            let text = cycle.join(" after ");
            context.diagnostics.report(
                *place,
                Fault::new(format!("these companions wait for one another: {text}"))
                    .help("remove one `after`"),
            );
        }
        // One that shares a companion with this one may be gone with it.
        let on_it = |name: &str| cycle.iter().any(|other| other == name);
        dependencies.iter_mut().filter(|(name, _)| on_it(name)).for_each(|(_, after)| after.clear());
    }
}

/// Held sockets are told to every child as variables, whose names have to differ.
fn check_variables(read: &[Read], context: &Context<'_>) {
    let mut variables: BTreeMap<String, &Read> = BTreeMap::new();
    for companion in read.iter().filter(|companion| companion.listen.is_some()) {
        let name = companion_variable(&companion.spec.name);
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

/// The files that a companion's output goes to, and how each is kept; `None`: its processes write it themselves.
fn written(spec: &CompanionSpec) -> impl Iterator<Item = (String, Option<&LogSpec>)> {
    let streams = [Some(&spec.stdout), spec.stderr.as_ref()].into_iter().flatten();
    let files = streams.filter_map(|output| match output {
        Output::File(path) => Some((path, None)),
        Output::Capture => Some((&spec.log.file, Some(&spec.log))),
        Output::Inherit | Output::Null | Output::Stdout => None,
    });
    files.filter(|(path, _)| !path.is_empty()).map(|(path, log)| (path.replace("{name}", &spec.name), log))
}

/// A file is kept in one way, and what is rotated nobody else writes to: that would go on in the old file.
fn check_logs(read: &[Read], others: &[CompanionSpec], context: &Context<'_>) {
    let others = others.iter().filter(|other| !read.iter().any(|one| one.spec.name == other.name));
    let specs = others.map(|spec| (spec, None)).chain(read.iter().map(|one| (&one.spec, Some(one.place))));
    let mut known: BTreeMap<String, (&CompanionSpec, Option<&LogSpec>)> = BTreeMap::new();
    for (spec, place) in specs {
        for (path, log) in written(spec) {
            let Some(&(other, kept)) = known.get(&path) else {
                known.insert(path, (spec, log));
                continue;
            };
            let how = |log: &LogSpec| (log.max_size, log.keep, log.timestamps);
            let fault = match (log, kept) {
                (Some(log), Some(kept)) if how(log) != how(kept) => {
                    let text =
                        format!("{path} is the log of \"{}\" too, which keeps it in another way", other.name);
                    Fault::new(text).help("give both the same max_size, keep and timestamps, or each a file")
                }
                (Some(log), None) | (None, Some(log)) if log.max_size > 0 => {
                    let text = format!("{path} is rotated, and \"{}\" has it open, too", other.name);
                    Fault::new(text).help("give each a file of its own, or set log.max_size = 0")
                }
                _ => continue,
            };
            if let Some(place) = place {
                context.diagnostics.report(place, fault);
            }
        }
    }
}

/// Checks `workers.requires` and gives the full names of what has to be ready before the workers start: those
/// and all they come after.
pub(crate) fn required(requires: &[(String, Place)], read: &[Read], context: &Context<'_>) -> Vec<String> {
    let find = |name: &str| read.iter().find(|companion| companion.spec.name == name);
    let mut roots: Vec<&str> = Vec::new();
    for (name, place) in requires {
        match find(name) {
            None => context.diagnostics.report(*place, unknown(name, read, &[])),
            Some(companion) => {
                roots.push(name);
                let whole = order::closure(&dependencies(read, &[]), [companion.spec.name.as_str()]);
                for needed in whole.into_iter().filter_map(find) {
                    check_starts(name, needed, *place, context);
                }
            }
        }
    }
    order::closure(&dependencies(read, &[]), roots).into_iter().map(str::to_owned).collect()
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
pub(crate) fn stop_within<'a>(specs: impl Iterator<Item = &'a CompanionSpec>) -> Duration {
    let specs: Vec<&CompanionSpec> = specs.collect();
    let mut known: BTreeMap<&str, Duration> = BTreeMap::new();
    // Every round settles at least one companion whose dependencies are settled; a cycle settles none.
    loop {
        let before = known.len();
        for spec in &specs {
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
