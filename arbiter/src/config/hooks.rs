//! `[hooks]`.

use super::context::Context;
use super::diagnostic::{Fault, Place};
use super::keys;
use super::process::Defaults;
use super::quantity;
use super::section::Section;
use super::tree::{Data, Entry};
use super::value;
use proto::spec::{HookEvent, HookSpec, ProcessSpec};
use std::time::Duration;

/// How long a hook may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All hooks in the order of [`HookEvent::ALL`], each with the place of its command.
pub(crate) fn read_all(
    top: &Section<'_>,
    defaults: &Defaults,
    context: &Context<'_>,
) -> Vec<(HookSpec, Place)> {
    let Some(entry) = top.entry("hooks") else { return Vec::new() };
    let Data::Table(table) = &entry.node.data else {
        context.diagnostics.report(entry.node.place, value::wrong_type("a table", &entry.node));
        return Vec::new();
    };
    let mut hooks = Vec::new();
    for entry in &table.entries {
        let Some((event, _)) = HookEvent::ALL.iter().find(|(_, name)| *name == entry.key) else {
            let fault = Fault::new(format!("unknown key \"{}\" in [hooks]", entry.key.escape_debug()));
            let names = HookEvent::ALL.iter().map(|(_, name)| *name);
            context.diagnostics.report(entry.place, fault.suggest(&entry.key, names));
            continue;
        };
        let (command, timeout) = read_one(entry, context);
        // Hooks act for arbiter: as its user, with its limits, in the variables that all processes get.
        let process = ProcessSpec {
            command,
            cwd: context.absolute(""),
            env: defaults.env.clone(),
            unset_env: defaults.unset_env.clone(),
            ..ProcessSpec::default()
        };
        hooks.push((HookSpec { event: *event, process, timeout }, entry.node.place));
    }
    hooks.sort_by_key(|(hook, _)| hook.event);
    hooks
}

fn read_one(entry: &Entry, context: &Context<'_>) -> (Vec<String>, Duration) {
    let diagnostics = context.diagnostics;
    if let Data::Table(table) = &entry.node.data {
        let section = Section::open(table, keys::HOOK, &format!("hooks.{}", entry.key), diagnostics);
        if !section.has("command") {
            let fault = Fault::new("this hook has no command").help("add command = [\"program\"]");
            section.contradiction(&[], fault);
        }
        let command = section.value_or("command", Vec::new(), value::command);
        return (command, section.value_or("timeout", TIMEOUT, quantity::some_time));
    }
    match value::command(&entry.node) {
        Ok(command) => (command, TIMEOUT),
        Err(fault) => {
            diagnostics.report(entry.node.place, fault);
            (Vec::new(), TIMEOUT)
        }
    }
}
