//! Companions that come and go at run time, beside those of the file.
//!
//! They are read against what the top level of the configuration in force says, and stay as they were resolved: a
//! reload touches none of them.

use super::accounts::{Accounts, Person, SystemAccounts};
use super::companion::Read;
use super::companions;
use super::context::Context;
use super::diagnostic::{Diagnostics, Fault, Sources};
use super::exit;
use super::judge::Judge;
use super::process::Defaults;
use super::section::Section;
use super::tree::{self, Data, Node, Table};
use super::{Input, keys};
use proto::spec::{Change, CompanionSpec, CompanionsSpec, ListenerSpec, Load, Resolution, Shared};
use std::path::Path;

/// The companions in force after `change`, or what is wrong with it.
#[must_use]
pub fn change(input: &Input, in_force: CompanionsSpec, change: &Change) -> Resolution {
    change_with(input, in_force, change, &SystemAccounts, sys::process::effective_uid())
}

/// As [`change`], with the users of `accounts`.
pub(crate) fn change_with(
    input: &Input,
    in_force: CompanionsSpec,
    change: &Change,
    accounts: &dyn Accounts,
    own_uid: u32,
) -> Resolution {
    match change {
        Change::Load(request) => load(input, in_force, request, accounts, own_uid),
        Change::Unload(names) => unload(in_force, names),
    }
}

fn load(
    input: &Input,
    in_force: CompanionsSpec,
    request: &Load,
    accounts: &dyn Accounts,
    own_uid: u32,
) -> Resolution {
    let mut sources = Sources::default();
    let diagnostics = Diagnostics::default();
    let Some(mut text) = tree::parse(&request.origin, &request.toml, &mut sources, &diagnostics) else {
        return exit::invalid(&diagnostics, &sources);
    };
    if let Some(session) = &request.session {
        put_into(session, &mut text);
    }
    let base = Path::new(&in_force.shared.base);
    let context =
        Context { diagnostics: &diagnostics, sources: &sources, accounts, env: &input.env, base, own_uid };
    let top = Section::open(&text, keys::LOADED, "a text that is loaded", &diagnostics);
    let defaults = defaults(&in_force.shared, accounts);
    let read = companions::read_all(&top, &defaults, &in_force.companions, &context);
    if read.is_empty() {
        top.contradiction(&[], Fault::new("there is nothing to load").help("write [companion.NAME]"));
    }
    read.iter().for_each(|companion| check_name(companion, &in_force, request.replace, &context));
    let listeners: Vec<&str> = in_force.shared.listeners.iter().map(String::as_str).collect();
    let judge = Judge { name: &in_force.name, listeners: &listeners, context: &context };
    read.iter().for_each(|companion| judge.companion(companion));
    if !diagnostics.render_errors(&sources, false).is_empty() {
        return exit::failure(diagnostics.render_errors(&sources, false), exit::BAD_CONFIGURATION);
    }
    let warnings = diagnostics.render_warnings(&sources, true);
    let names: Vec<String> = read.iter().map(|companion| companion.spec.name.clone()).collect();
    let mut companions = in_force.companions;
    companions.retain(|companion| !names.contains(&companion.name));
    let mut read = read;
    for Read { spec, .. } in &mut read {
        spec.loaded = true;
        spec.autostart &= request.start;
    }
    let companions = join(read, companions);
    done(CompanionsSpec { companions, ..in_force }, names, warnings)
}

fn unload(in_force: CompanionsSpec, names: &[String]) -> Resolution {
    let is_meant = |companion: &CompanionSpec| companion.loaded && names.contains(&companion.name);
    let (gone, stay): (Vec<_>, Vec<_>) = in_force.companions.into_iter().partition(is_meant);
    for companion in &stay {
        if let Some(below) = gone.iter().find(|gone| companion.after.contains(&gone.name)) {
            let text = format!("{} comes after {}: unload both", companion.name, below.name);
            return exit::failure(text, exit::FAILED);
        }
    }
    let names = gone.into_iter().map(|companion| companion.name).collect();
    done(CompanionsSpec { companions: stay, ..in_force }, names, Vec::new())
}

fn done(spec: CompanionsSpec, names: Vec<String>, warnings: Vec<String>) -> Resolution {
    let stop_within = companions::stop_within(spec.companions.iter());
    let held = held(&spec.companions);
    Resolution::Companions { companions: proto::codec::encode(&spec), names, stop_within, held, warnings }
}

/// Puts the companions that name no session into this one.
fn put_into(session: &str, text: &mut Table) {
    let place = text.place;
    let companions = text.entries.iter_mut().filter(|entry| entry.key == "companion");
    for companions in companions {
        let Data::Table(companions) = &mut companions.node.data else { continue };
        for entry in companions.entries.iter_mut().filter(|entry| !entry.key.contains('.')) {
            let Data::Table(companion) = &mut entry.node.data else { continue };
            if companion.get("session").is_none() {
                companion.set("session", Node { place, data: Data::Text(session.to_owned()) });
            }
        }
    }
}

fn check_name(companion: &Read, in_force: &CompanionsSpec, replace: bool, context: &Context<'_>) {
    let name = &companion.spec.name;
    let fault = match in_force.companions.iter().find(|other| other.name == *name) {
        Some(other) if !other.loaded => {
            Fault::new(format!("a companion named \"{name}\" stands in the configuration"))
                .help("choose another name or session")
        }
        Some(_) if !replace => Fault::new(format!("a companion named \"{name}\" is loaded already"))
            .help("give --replace, or choose another name or session"),
        _ => return,
    };
    context.diagnostics.report(companion.place, fault);
}

/// Checks what a file says against what is loaded and stays.
pub(crate) fn check(loaded: &[CompanionSpec], read: &[Read], context: &Context<'_>) {
    let is_there = |name: &String| {
        read.iter().any(|other| other.spec.name == *name) || loaded.iter().any(|other| other.name == *name)
    };
    for companion in loaded {
        let name = &companion.name;
        let unload = format!("unload that first: arbiterctl unload companion {name}");
        if let Some(same) = read.iter().find(|other| other.spec.name == *name) {
            let fault = Fault::new(format!("a companion named \"{name}\" was loaded at run time"));
            context.diagnostics.report(same.place, fault.help(unload));
        } else if let Some(below) = companion.after.iter().find(|below| !is_there(below)) {
            let text = format!(
                "the companion \"{name}\", which was loaded, comes after \"{below}\", which is not there any more"
            );
            context.diagnostics.error_anywhere(Fault::new(text).help(unload));
        }
    }
}

/// Both, in order of full names.
pub(crate) fn join(read: Vec<Read>, others: impl IntoIterator<Item = CompanionSpec>) -> Vec<CompanionSpec> {
    let mut all: Vec<CompanionSpec> =
        read.into_iter().map(|companion| companion.spec).chain(others).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The sockets that are held for companions.
pub(crate) fn held(companions: &[CompanionSpec]) -> Vec<ListenerSpec> {
    companions.iter().filter_map(|companion| companion.listen.clone()).collect()
}

/// What companions that are loaded later will be read against.
pub(crate) fn shared(defaults: &Defaults, listeners: &[ListenerSpec], context: &Context<'_>) -> Shared {
    let Defaults { env, unset_env, umask, user, group } = defaults.clone();
    Shared {
        base: context.base.to_string_lossy().into_owned(),
        env,
        unset_env,
        umask,
        user: user.map(|Person { uid, account }| (uid, account.map(|account| account.name))),
        group,
        listeners: listeners.iter().map(|listener| listener.name.clone()).collect(),
    }
}

fn defaults(shared: &Shared, accounts: &dyn Accounts) -> Defaults {
    let Shared { env, unset_env, umask, user, group, .. } = shared.clone();
    // What the database does not tell now is told when the process is to become that user.
    let account = |name: String| accounts.user_by_name(&name).ok().flatten();
    let user = user.map(|(uid, name)| Person { uid, account: name.and_then(account) });
    Defaults { env, unset_env, umask, user, group }
}
