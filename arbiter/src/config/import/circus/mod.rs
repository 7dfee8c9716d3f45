//! A `circus.ini`.

mod daemon;
mod expand;
mod output;
mod sockets;
mod watcher;

use super::World;
use super::ini::{Dialect, Ini, Section};
use super::names::Names;
use super::plan::Plan;
use super::reading::is_variable;
use sockets::Sockets;
use std::ffi::OsStr;

/// Its INI files.
pub(super) const DIALECT: Dialect = Dialect { comments: &[';'], first_counts: true };

/// The patterns of `include` and `include_dir`.
pub(super) fn included(ini: &Ini, _: &World<'_>) -> Vec<String> {
    let Some(section) = ini.section("circus") else { return Vec::new() };
    let words = |key: &str| section.get(key).unwrap_or_default().split_whitespace();
    let directories =
        words("include_dir").map(|directory| format!("{}/*.ini", directory.trim_end_matches('/')));
    words("include").map(str::to_owned).chain(directories).collect()
}

/// What it says in our words.
pub(super) fn plan(ini: &Ini, world: &World<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut names = Names::default();
    let mut sockets = Sockets::read(ini, world, &mut plan);
    for section in &ini.sections {
        if let Some(name) = section.name_of("watcher") {
            let whole = watcher::Watcher { section, name, ini, world };
            if let Some(program) = whole.read(&mut names, &mut sockets, &mut plan) {
                plan.programs.push(program);
            }
        } else if section.name == "circus" {
            daemon::read(section, world, &mut plan);
        } else if section.name_of("plugin").is_some() {
            daemon::read_plugin(section, &mut plan);
        } else if section.name != "env"
            && section.name_of("env").is_none()
            && section.name_of("socket").is_none()
        {
            plan.rest.push(format!("[{}]: this section is not known", section.name));
        }
    }
    sockets.note_unused(&mut plan);
    let copies = |section: &Section| {
        section
            .get("copy_env")
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
    };
    let mut watchers = ini.sections.iter().filter(|section| section.name_of("watcher").is_some());
    if watchers.any(|section| !copies(section)) {
        plan.notes.push(
            "copy_env was off for some, which began with an empty environment; here all have arbiter's, and \
             unset_env takes variables away"
                .to_owned(),
        );
    }
    if plan.programs.iter().any(|program| program.rank != 0) {
        plan.notes.push(
            "priority became `after`: each companion waits until those before it are ready, where only the order \
             of the starts counted; take it away where nothing has to be waited for"
                .to_owned(),
        );
    }
    plan
}

/// The variables that `[env]` sections give a watcher, the later ones over the earlier.
fn environment(
    ini: &Ini,
    watcher: &str,
    world: &World<'_>,
    notes: &mut Vec<String>,
) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    for section in &ini.sections {
        let is_meant = section.name == "env"
            || section
                .name_of("env")
                .is_some_and(|names| names.split(',').any(|name| matches(name.trim(), watcher)));
        for entry in section.entries.iter().filter(|_| is_meant) {
            let value = variables(&entry.value, world, notes, &entry.key);
            if is_variable(&entry.key) {
                env.retain(|(other, _)| *other != entry.key);
                env.push((entry.key.clone(), value));
            }
        }
    }
    env
}

/// A name, or a pattern as `worker*`.
fn matches(pattern: &str, name: &str) -> bool {
    pattern == name || glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name))
}

/// `$NAME` and `${NAME}` as they are in the environment now: values can hold no placeholder.
fn variables(text: &str, world: &World<'_>, notes: &mut Vec<String>, key: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let is_braced = after.starts_with('{');
        let word = after.trim_start_matches('{');
        let length = word.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(word.len());
        let (name, following) = word.split_at(length);
        match world.env.get(OsStr::new(name)).filter(|_| !name.is_empty()) {
            Some(value) => {
                let value = value.to_string_lossy();
                notes.push(format!("${name} in {key} is what it was when this was written: \"{value}\""));
                expanded.push_str(&value);
                rest = if is_braced { following.strip_prefix('}').unwrap_or(following) } else { following };
            }
            None => {
                if !name.is_empty() {
                    notes.push(format!(
                        "${name} in {key} is not set here and stays as it is: write its value out"
                    ));
                }
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}
